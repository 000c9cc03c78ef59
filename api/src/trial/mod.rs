//! `/try`: two members of the demo's sample side by side, so that a newcomer sees in a minute what Doorstep does.
//!
//! Whoever opens the page acts as these members without a token. Promise: that is so in the demo alone, where the binary
//! gave [`Trial`], and elsewhere these paths do not exist; for members of the sample alone; and only for a browser that was
//! sent to this machine by an address of its own, so that a name that somebody else points here opens nothing. Forms are
//! held against other sites as those of the desk are. A page shows what the interface would answer the two, by the same
//! functions, and each form is one command with an id of its own; all works without the script.
//! `asked` has what an address says, `side` what one member sees, `statements` what was decided
//! about them, `acts` carries out, `refused` has a form that was not, `told` says what happened in the
//! words of the rules, `live` tells a page that it is to be looked at again.

mod acts;
mod asked;
mod live;
mod page;
mod refused;
mod side;
mod statements;
mod told;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use domain::ids::{ConversationId, MemberId};

use crate::app::State;
use crate::pages::Failed;
use crate::pages::guard::Cookie;
use crate::problem::{ApiError, Code};

/// The page's path.
const HOME: &str = "/try";
/// What the forms of a browser are bound to.
const COOKIE: Cookie = Cookie {
    name: "doorstep_try",
    path: HOME,
};

/// The paths, as they are counted.
pub(crate) const PATHS: [&str; 3] = ["/try", "/try/act", "/try/live"];

/// The demo's sample, for trying it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The members that one may act as, in the order in which they are offered.
    pub members: Vec<TrialMember>,
    /// The two that one begins with.
    pub first: [MemberId; 2],
    /// Where the service listens.
    pub listens: SocketAddr,
}

/// A member of the sample.
#[derive(Clone, Debug)]
pub struct TrialMember {
    /// Who.
    pub id: MemberId,
    /// What is particular about them, in a few words; empty where nothing is.
    pub about: String,
}

impl Trial {
    /// The member of this id, if it is one of the sample.
    fn member(&self, id: &str) -> Option<&MemberId> {
        let mut members = self.members.iter().map(|member| &member.id);
        members.find(|member| member.as_str() == id)
    }

    /// With whom a member has this conversation, if that is a member of the sample.
    fn other(&self, member: &MemberId, conversation: ConversationId) -> Option<&MemberId> {
        let mut members = self.members.iter().map(|member| &member.id);
        members.find(|other| *other != member && ConversationId::of(member, other) == conversation)
    }

    /// Whether a browser that sends this `Host` was sent here by an address of this machine.
    fn answers(&self, host: &str) -> bool {
        if host.parse::<SocketAddr>() == Ok(self.listens) {
            return true;
        }
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let address = bare.unwrap_or(name).parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback())
    }
}

/// The routes, for an app that has a sample to try.
pub(crate) fn router(state: &State) -> Router<State> {
    let Some(trial) = state.options.trial.clone() else {
        return Router::new();
    };
    Router::new()
        .route("/try", get(page::page))
        .route("/try/act", post(acts::act).get(page::page))
        .route("/try/live", get(live::live))
        .layer(from_fn_with_state(trial, at_home))
}

/// Lets in who came by an address of this machine.
async fn at_home(Extract(trial): Extract<Arc<Trial>>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_none() && host.is_some_and(|host| trial.answers(host)) {
        return next.run(request).await;
    }
    let words = "Here anyone acts as the members of the sample, so this answers only under the address that the service listens on, or a loopback name such as localhost.";
    Failed::new(ApiError::with_detail(Code::Forbidden, words), None, HOME).into_response()
}

/// The sample; these routes exist only where there is one.
fn trial(shared: &State) -> Result<&Arc<Trial>, ApiError> {
    let trial = shared.options.trial.as_ref();
    trial.ok_or_else(|| ApiError::new(Code::NotFound))
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn answers_under_its_own_addresses_alone() {
        let trial = Trial {
            members: Vec::new(),
            first: ["ann", "bob"].map(|id| MemberId::new(id).unwrap()),
            listens: "192.0.2.7:7070".parse().unwrap(),
        };
        for host in [
            "192.0.2.7:7070",
            "localhost",
            "localhost:7070",
            "LOCALHOST:80",
            "127.0.0.1:7070",
            "127.1.2.3",
            "[::1]:7070",
            "[::1]",
        ] {
            assert!(trial.answers(host), "{host}");
        }
        for host in [
            "",
            "192.0.2.7",
            "192.0.2.7:80",
            "192.0.2.8:7070",
            "doorstep.example",
            "doorstep.example:7070",
            "localhost.doorstep.example",
            "127.0.0.1.doorstep.example:7070",
            "localhost:x",
            "localhost:7070:7070",
            "user@localhost",
            "[::1].example",
            "0.0.0.0:7070",
        ] {
            assert!(!trial.answers(host), "{host}");
        }
    }
}

//! Who may come in: a token as bearer, or as the password of any user name, as published clients send it.
//!
//! Whether a token is enough is the caller's to say, by [`Access`]; this file finds the token, tells a refusal in the
//! protocol's words, and lets what goes on ask again.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Status};

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No token, or none that is good.
    Unknown,
    /// A good token that is not enough.
    Role,
}

/// What somebody comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To read or follow.
    Read,
    /// To append.
    Append,
}

/// Says who may come in.
pub trait Access: Send + Sync + 'static {
    /// The name of who gives this token, if they may do this; no token where none is given.
    fn takes(&self, token: Option<&str>, act: Act) -> Result<Arc<str>, Denied>;
}

/// Takes everyone.
#[derive(Clone, Copy, Debug)]
pub struct Everyone;

impl Access for Everyone {
    fn takes(&self, _token: Option<&str>, _act: Act) -> Result<Arc<str>, Denied> {
        Ok(Arc::from("anyone"))
    }
}

/// Somebody who came in.
#[derive(Clone)]
pub(super) struct Entered {
    access: Arc<dyn Access>,
    token: Option<Arc<str>>,
    act: Act,
    /// Their name.
    pub(super) who: Arc<str>,
}

impl Entered {
    /// Lets in whom [`Access`] takes.
    pub(super) fn by<T>(
        access: &Arc<dyn Access>,
        request: &Request<T>,
        act: Act,
    ) -> Result<Self, Status> {
        let token = token(request.metadata());
        let who = access.takes(token.as_deref(), act).map_err(refused)?;
        Ok(Self {
            access: Arc::clone(access),
            token: token.map(Arc::from),
            act,
            who,
        })
    }

    /// Whether they still may.
    pub(super) fn still(&self) -> Result<(), Status> {
        let taken = self.access.takes(self.token.as_deref(), self.act);
        taken.map(drop).map_err(refused)
    }
}

fn refused(why: Denied) -> Status {
    match why {
        Denied::Unknown => Status::unauthenticated(
            "a token is needed that is good, as bearer or as the password of any user name",
        ),
        Denied::Role => denied("the token's roles are not enough"),
    }
}

/// A refusal as the protocol tells it.
pub(super) fn denied(why: &str) -> Status {
    let mut status = Status::permission_denied(format!("access denied: {why}"));
    let exception = MetadataValue::from_static("access-denied");
    status.metadata_mut().insert("exception", exception);
    status
}

fn token(metadata: &MetadataMap) -> Option<String> {
    token_of(metadata.get("authorization")?.to_str().ok()?)
}

/// The token in an `authorization` header.
fn token_of(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn a_token_comes_as_bearer_or_as_the_password_of_any_user() {
        assert_eq!(token_of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token_of("bearer abc").as_deref(), Some("abc"));
        let basic = format!("Basic {}", STANDARD.encode("admin:a.b:c"));
        assert_eq!(token_of(&basic).as_deref(), Some("a.b:c"));
        for none in ["", "abc", "Digest abc", "Basic !", "Basic YWJj"] {
            assert_eq!(token_of(none), None, "{none}");
        }
    }
}

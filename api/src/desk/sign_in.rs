//! Signing in by pasting a token, and signing out.
//!
//! Before there is a token a cookie of its own has a random word, to which the sign-in form is bound as all other forms are
//! to the token: who comes to the door by a link from elsewhere, which brings no token along, keeps the one they have. A
//! token that does not count, or has no role with pages here, is told so in words; it is not shown again.

use askama::Template;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use uuid::Uuid;

use super::session::{AsAnyone, COOKIE, HOME, Posted, elsewhere, with_cookie};
use crate::app::{Shared, State};
use crate::caller::{Access as _, Caller};
use crate::pages::alert::Alert;
use crate::pages::form::Fields;
use crate::pages::guard::{Cookie, from_elsewhere};
use crate::pages::{Failed, Frame, html, see};
use crate::problem::Code;

/// What the sign-in form is bound to.
const DOOR: Cookie = Cookie {
    name: "doorstep_desk_door",
    path: HOME,
};
/// A longer token fits into no cookie that browsers keep.
const TOKEN_BYTES_MAX: usize = 3_800;
/// A longer way back is none.
const WAY_BACK_BYTES_MAX: usize = 1_024;

#[derive(Template)]
#[template(path = "desk/sign_in.html")]
struct Page<'a> {
    frame: Frame,
    /// What was done.
    said: Option<&'a str>,
    /// Why one is asked to sign in, or what is wrong with the token.
    problem: Option<Alert>,
    csrf: String,
    /// Where one wanted to go.
    to: &'a str,
    /// What was typed into a form that was not carried out.
    typed: Vec<String>,
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let query = Fields::of_query(uri.query()).unwrap_or_default();
    let to = way_back(query.text("to"));
    let token = COOKIE.of(&headers);
    if token.is_some_and(|token| shared.tokens.check(token).is_ok()) && query.get("why").is_none() {
        return see(to);
    }
    let (said, failed) = match query.get("why") {
        Some("expired") => (
            Some("Your token has expired. Sign in with a new one."),
            true,
        ),
        Some("token") => (
            Some("Your token does not count any more. Sign in with a new one."),
            true,
        ),
        Some("out") => (Some("You have signed out."), false),
        Some(_) | None => (None, false),
    };
    let besides = Besides {
        said,
        failed,
        to,
        typed: Vec::new(),
    };
    answer(&shared, &headers, StatusCode::OK, besides)
}

/// What the page says besides.
struct Besides<'a> {
    said: Option<&'a str>,
    failed: bool,
    to: &'a str,
    typed: Vec<String>,
}

fn answer(
    shared: &Shared,
    headers: &HeaderMap,
    status: StatusCode,
    besides: Besides<'_>,
) -> Response {
    let word = DOOR.of(headers).filter(|word| !word.is_empty());
    let word = word.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let page = Page {
        frame: Frame::titled("Sign in"),
        said: besides.said.filter(|_| !besides.failed),
        problem: besides
            .said
            .filter(|_| besides.failed)
            .map(|said| Alert::at(said, "token", "To the token")),
        csrf: DOOR.mark(shared, &word),
        to: besides.to,
        typed: besides.typed,
    };
    with_cookie(html(status, &page), DOOR.set(headers, &word))
}

/// The page in place of what a form was sent for, with what was typed into it.
pub(super) fn interrupted(
    shared: &Shared,
    headers: &HeaderMap,
    why: &str,
    fields: &Fields,
) -> Response {
    let said = match why {
        "expired" => "Your token has expired, so nothing was done. Sign in with a new one.",
        _ => "Nobody is signed in, so nothing was done. Sign in first.",
    };
    let besides = Besides {
        said: Some(said),
        failed: true,
        to: HOME,
        typed: fields.typed(),
    };
    answer(shared, headers, StatusCode::UNAUTHORIZED, besides)
}

/// Signs in.
pub(super) async fn sign_in(Extract(shared): Extract<State>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    if from_elsewhere(&headers) {
        return Failed::new(elsewhere(), None, HOME).into_response();
    }
    let fields = match Fields::read(&shared, &headers, body).await {
        Ok(fields) => fields,
        Err(error) => return Failed::new(error, None, HOME).into_response(),
    };
    let to = way_back(fields.text("to"));
    let refuse = |status, said: &str| {
        let besides = Besides {
            said: Some(said),
            failed: true,
            to,
            typed: Vec::new(),
        };
        answer(&shared, &headers, status, besides)
    };
    let word = DOOR.of(&headers).unwrap_or_default();
    if !DOOR.marked(&shared, word, fields.text("csrf")) {
        let said = "The form was out of date, or the browser keeps no cookies here. Paste the token once more.";
        return refuse(StatusCode::FORBIDDEN, said);
    }
    // Pasted from a terminal it may have been wrapped; a token has no white space of its own.
    let token: String = fields.text("token").split_whitespace().collect();
    if token.is_empty() {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "Paste a token.");
    }
    if token.len() > TOKEN_BYTES_MAX {
        let said =
            "The token is longer than a browser keeps in a cookie. Get one with fewer claims.";
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, said);
    }
    let principal = match shared.tokens.check(&token) {
        Ok(principal) => principal,
        Err(error) if error.code() == Code::TokenExpired => {
            return refuse(
                StatusCode::UNAUTHORIZED,
                "This token has expired. Get a new one.",
            );
        }
        Err(_) => {
            let said = "This is no token that counts here: it is not signed by a key of this service, or was not pasted whole.";
            return refuse(StatusCode::UNAUTHORIZED, said);
        }
    };
    let roles = principal.roles;
    match Caller::<AsAnyone>::admitted(&shared, principal).await {
        Ok(_) => with_cookie(see(to), COOKIE.set(&headers, &token)),
        Err(error) if error.code() == Code::Forbidden => {
            let said = format!(
                "The desk is for {}; this token has {roles}.",
                AsAnyone::ROLES
            );
            refuse(StatusCode::FORBIDDEN, &said.replace('`', ""))
        }
        Err(error) => refuse(error.status(), error.told()),
    }
}

/// Signs out.
pub(super) async fn sign_out(headers: HeaderMap, sent: Posted<AsAnyone>) -> Response {
    if let Err(failed) = sent.current() {
        return *failed;
    }
    with_cookie(see("/desk/sign-in?why=out"), COOKIE.clear(&headers))
}

/// Where one wanted to go, if that is a page of the desk.
fn way_back(to: &str) -> &str {
    let rest = to.strip_prefix(HOME);
    let is_ours = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let is_plain = to
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    // One that leads back to the door, or that is a form's, leads nowhere.
    let is_page = !to.starts_with("/desk/sign-");
    if is_ours && is_plain && is_page && to.len() <= WAY_BACK_BYTES_MAX {
        to
    } else {
        HOME
    }
}

#[cfg(test)]
mod spec {
    use super::way_back;

    #[test]
    fn leads_back_to_pages_of_the_desk_alone() {
        for to in [
            "/desk",
            "/desk/queue?state=open",
            "/desk?x=1",
            "/desk/cases/1",
        ] {
            assert_eq!(way_back(to), to);
        }
        for to in [
            "",
            "https://elsewhere.example/desk",
            "//elsewhere.example",
            "/desktop",
            "/desk\\elsewhere",
            "/desk/\r\nset-cookie: a=b",
            "/desk/sign-out",
            "/v1/me",
        ] {
            assert_eq!(way_back(to), "/desk", "{to:?}");
        }
    }
}

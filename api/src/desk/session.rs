//! Who sits at the desk: a token in a cookie, checked at every request as one in a header is.
//!
//! Without a token that counts a page is the sign-in page, which leads back to it; with a role that a page is not for,
//! the page says so. [`Posted`] is a form that was sent from here: nothing of it is looked at before `pages::guard` has
//! let it in. A form that was shown to an earlier sign-in does nothing and comes back as it was typed, for whoever sits there
//! now; where no page can show it again, what was typed is shown for copying.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use domain::ids::MemberId;
use domain::time::Timestamp;

use super::sign_in;
use crate::app::{Shared, State};
use crate::caller::{Access, Acting, AsAuditor, AsModerator, Caller};
use crate::pages::filled::command_id;
use crate::pages::form::{Fields, encoded};
use crate::pages::guard::{Cookie, from_elsewhere};
use crate::pages::shown::When;
use crate::pages::{Failed, Frame, Link, SeatShown, see};
use crate::problem::{ApiError, Code};
use crate::tokens::{Principal, Role, Roles};

/// The desk's cookie: the token, or before there is one what the sign-in form is bound to.
pub(super) const COOKIE: Cookie = Cookie {
    name: "doorstep_desk",
    path: "/desk",
};

/// What stands in a form's mark before whom the form was shown to; no mark has it.
const BY: char = '.';

/// Where the desk begins.
pub(super) const HOME: &str = "/desk";
const QUEUE: Link = Link {
    href: "/desk/queue",
    text: "Queue",
};
const LOG: Link = Link {
    href: "/desk/log",
    text: "Log",
};
const LEDGER: Link = Link {
    href: "/desk/ledger",
    text: "Ledger",
};
const FIGURES: Link = Link {
    href: "/desk/figures",
    text: "Figures",
};

/// Whoever has pages here.
pub(super) use crate::caller::AsOverseer as AsAnyone;

/// Who sits at a page.
pub(super) struct Seat<A> {
    /// The caller, as the routes of the interface know one.
    pub(super) caller: Caller<A>,
    /// The same as the head of a page shows it.
    pub(super) shown: SeatShown,
}

impl<A> Seat<A> {
    /// The frame of a page of this seat.
    pub(super) fn frame(&self, title: impl Into<String>) -> Frame {
        Frame {
            seat: Some(self.shown.clone()),
            ..Frame::titled(title)
        }
    }

    /// A failure on a page of this seat.
    pub(super) fn failed(&self, error: ApiError) -> Response {
        failed(error, self.shown.clone())
    }

    /// The first page that is theirs.
    pub(super) fn first(&self) -> &'static str {
        self.shown
            .links
            .first()
            .map_or("/desk/sign-in", |link| link.href)
    }
}

/// A failure on a page of this seat.
pub(super) fn failed(error: ApiError, seat: SeatShown) -> Response {
    lost(error, seat, Vec::new())
}

/// A failure in place of a form's page, with what was typed into the form.
pub(super) fn lost(error: ApiError, seat: SeatShown, typed: Vec<String>) -> Response {
    let failed = Failed::new(error, Some(seat), HOME).with_typed(typed);
    failed.into_response()
}

/// The pages that are for these roles.
fn links(roles: Roles) -> Vec<Link> {
    let of = [
        (AsModerator::ROLES, QUEUE),
        (AsAnyone::ROLES, LOG),
        (AsAuditor::ROLES, LEDGER),
        (AsAnyone::ROLES, FIGURES),
    ];
    of.into_iter()
        .filter(|(for_roles, _)| for_roles.meet(roles))
        .map(|(_, link)| link)
        .collect()
}

fn shown(shared: &Shared, principal: &Principal, cookie: &str) -> SeatShown {
    let here = [Role::Moderator, Role::Auditor];
    let roles = here.into_iter().filter(|role| principal.roles.has(*role));
    let roles: Vec<&str> = roles.map(Role::as_str).collect();
    SeatShown {
        name: principal.sub.to_string(),
        roles: roles.join(" and "),
        until: When(Timestamp(principal.expires_s().saturating_mul(1_000))),
        csrf: format!("{}{BY}{}", COOKIE.mark(shared, cookie), principal.sub),
        links: links(principal.roles),
    }
}

/// Why nobody sits there.
enum Absent {
    /// There is no token, or none that counts: the word for it.
    SignedOut(&'static str),
    /// The token is not for this page.
    NotTheirs(Box<Failed>),
}

/// Who sits there, with the cookie that says so.
async fn sits<A: Access>(parts: &Parts, shared: &Shared) -> Result<(Seat<A>, String), Absent> {
    let cookie = COOKIE.of(&parts.headers);
    let cookie = cookie.ok_or(Absent::SignedOut("in"))?;
    let principal = match shared.tokens.check(cookie) {
        Ok(principal) => principal,
        Err(error) if error.code() == Code::TokenExpired => {
            return Err(Absent::SignedOut("expired"));
        }
        Err(_) => return Err(Absent::SignedOut("token")),
    };
    let shown = shown(shared, &principal, cookie);
    match Caller::admitted(shared, principal).await {
        Ok(caller) => Ok((Seat { caller, shown }, cookie.to_owned())),
        Err(error) => {
            // Words for a route would speak of the token's header.
            let error = if error.code() == Code::Forbidden {
                error.saying("This page is not for the roles of your token.")
            } else {
                error
            };
            let failed = Failed::new(error, Some(shown), HOME);
            Err(Absent::NotTheirs(Box::new(failed)))
        }
    }
}

impl<A: Access> FromRequestParts<State> for Seat<A> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &State) -> Result<Self, Response> {
        match sits(parts, shared).await {
            Ok((seat, _)) => Ok(seat),
            Err(Absent::NotTheirs(failed)) => Err(failed.into_response()),
            Err(Absent::SignedOut(why)) => {
                let asked = parts
                    .uri
                    .path_and_query()
                    .map_or(HOME, |asked| asked.as_str());
                let to = if parts.method == Method::GET {
                    asked
                } else {
                    HOME
                };
                Err(see(&format!("/desk/sign-in?why={why}&to={}", encoded(to))))
            }
        }
    }
}

/// A form that was sent from a page of the desk.
pub(super) struct Posted<A> {
    /// Who sent it.
    seat: Seat<A>,
    /// What it says.
    fields: Fields,
    /// That it was shown to another sign-in, which nothing is done for.
    outdated: Option<ApiError>,
}

/// A form whose command comes from somebody.
pub(super) struct Sent<A> {
    /// Whom it comes from.
    pub(super) acting: Acting<A>,
    /// How the seat is shown.
    pub(super) shown: SeatShown,
    /// What it says.
    pub(super) fields: Fields,
    /// Why it is not carried out, whatever it says.
    pub(super) outdated: Option<ApiError>,
}

impl<A> Posted<A> {
    /// Whom its command comes from and what it says; the page instead where it has no key.
    pub(super) fn acting(self) -> Result<Sent<A>, Box<Response>> {
        let Posted {
            seat,
            fields,
            outdated,
        } = self;
        let command_id = match command_id(&fields) {
            Ok(command_id) => command_id,
            Err(error) => return Err(Box::new(lost(error, seat.shown, fields.typed()))),
        };
        let acting = Acting {
            caller: seat.caller,
            command_id,
            id_given: true,
            at: None,
        };
        Ok(Sent {
            acting,
            shown: seat.shown,
            fields,
            outdated,
        })
    }

    /// Lets it through where it was shown to this very sign-in; the page instead.
    pub(super) fn current(self) -> Result<(), Box<Response>> {
        match self.outdated {
            None => Ok(()),
            Some(error) => Err(Box::new(self.seat.failed(error))),
        }
    }
}

impl<A: Access> FromRequest<State> for Posted<A> {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &State) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        if from_elsewhere(&parts.headers) {
            let failed = Failed::new(elsewhere(), None, HOME);
            return Err(failed.into_response());
        }
        let seat = sits(&parts, shared).await;
        let fields = Fields::read(shared, &parts.headers, body).await;
        let (seat, cookie) = match seat {
            Ok(sits) => sits,
            Err(Absent::NotTheirs(failed)) => {
                let typed = fields.unwrap_or_default().typed();
                return Err(failed.with_typed(typed).into_response());
            }
            Err(Absent::SignedOut(why)) => {
                let fields = fields.unwrap_or_default();
                return Err(sign_in::interrupted(shared, &parts.headers, why, &fields));
            }
        };
        let fields = fields.map_err(|error| seat.failed(error))?;
        let given = fields.text("csrf");
        let (mark, by) = given.split_once(BY).unwrap_or((given, ""));
        let current = COOKIE.marked(shared, &cookie, mark);
        let outdated = (!current).then(|| out_of_date(by, &seat.shown.name));
        Ok(Posted {
            seat,
            fields,
            outdated,
        })
    }
}

/// What a form is told that another site sent.
pub(super) fn elsewhere() -> ApiError {
    let words = "The form was not sent from this desk, so nothing was done.";
    ApiError::with_detail(Code::Forbidden, words)
}

/// What a form is told that was shown to another sign-in, of whom it says.
fn out_of_date(by: &str, now: &str) -> ApiError {
    let words = match MemberId::new(by) {
        Ok(by) if by.as_str() == now => {
            "You have signed in again since this form was shown, so nothing was done. It is as you left it: send it once more.".to_owned()
        }
        Ok(by) => format!(
            "This form was shown to {by}, and {now} is signed in now, so nothing was done. What was typed is kept: send it as {now}, or sign in as {by} again."
        ),
        Err(_) => format!(
            "This form was not shown to {now}, who is signed in now, so nothing was done. What was typed is kept: send it once more."
        ),
    };
    ApiError::with_detail(Code::Forbidden, words)
}

/// An answer with this value of the cookie; without it where it cannot be one.
pub(super) fn with_cookie(
    mut response: Response,
    cookie: Option<axum::http::HeaderValue>,
) -> Response {
    match cookie {
        Some(cookie) => {
            response.headers_mut().append(header::SET_COOKIE, cookie);
            response
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

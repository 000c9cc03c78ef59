//! `/desk`: the moderators' desk, pages of this very service.
//!
//! Promise: a page shows what the interface would answer the same caller, by the same functions, and does nothing that
//! the interface would not: whoever is let in by a route of `/v1` is let in here, looks are recorded alike, and every
//! form is one command with an id of its own. All works without the script. A page is a file here and one in
//! `templates/desk`; `session` says who sits at it.

use axum::Router;
use axum::extract::State as Extract;
use axum::response::Response;
use axum::routing::{get, post};

use crate::app::State;
use crate::pages::see;
use crate::problem::{ApiError, Code};

mod acts;
mod bulk;
mod case;
mod counts;
mod figures;
mod history;
mod ledger;
mod live;
mod log;
mod member;
mod queue;
mod ruling;
mod session;
mod sign_in;

/// The paths of the pages, as they are counted.
pub(crate) const PATHS: [&str; 25] = [
    "/desk",
    "/desk/",
    "/desk/sign-in",
    "/desk/sign-out",
    "/desk/live",
    "/desk/figures",
    "/desk/ledger",
    "/desk/log",
    "/desk/queue",
    "/desk/cases/{id}",
    "/desk/cases/{id}/claim",
    "/desk/cases/{id}/release",
    "/desk/cases/{id}/notes",
    "/desk/cases/{id}/escalate",
    "/desk/cases/{id}/decision",
    "/desk/cases/{id}/appeal",
    "/desk/cases/{id}/reverse",
    "/desk/cases/{id}/reopen",
    "/desk/cases/{id}/report-limit",
    "/desk/cases/{id}/report-limit-end",
    "/desk/members/{id}",
    "/desk/members/{id}/decisions",
    "/desk/acts/{id}",
    "/desk/acts/{id}/reverse",
    "/desk/{*rest}",
];

/// The routes of the pages.
pub(crate) fn router() -> Router<State> {
    Router::new()
        .route("/desk", get(first))
        .route("/desk/", get(first))
        .route("/desk/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/desk/sign-out", get(first).post(sign_in::sign_out))
        .route("/desk/live", get(live::live))
        .route("/desk/figures", get(figures::page))
        .route("/desk/ledger", get(ledger::page))
        .route("/desk/log", get(log::page))
        .route("/desk/queue", get(queue::page))
        .route("/desk/cases/{id}", get(case::page))
        .route("/desk/cases/{id}/claim", post(acts::claim).get(acts::back))
        .route(
            "/desk/cases/{id}/release",
            post(acts::release).get(acts::back),
        )
        .route("/desk/cases/{id}/notes", post(acts::note).get(acts::back))
        .route(
            "/desk/cases/{id}/escalate",
            post(acts::escalate).get(acts::back),
        )
        .route(
            "/desk/cases/{id}/decision",
            post(acts::decide).get(acts::back),
        )
        .route(
            "/desk/cases/{id}/appeal",
            post(acts::appeal).get(acts::back),
        )
        .route(
            "/desk/cases/{id}/reverse",
            post(acts::reverse).get(acts::back),
        )
        .route(
            "/desk/cases/{id}/reopen",
            post(acts::reopen).get(acts::back),
        )
        .route(
            "/desk/cases/{id}/report-limit",
            post(acts::limit).get(acts::back),
        )
        .route(
            "/desk/cases/{id}/report-limit-end",
            post(acts::unlimit).get(acts::back),
        )
        .route("/desk/members/{id}", get(member::page))
        .route(
            "/desk/members/{id}/decisions",
            post(member::decide).get(member::back),
        )
        .route("/desk/acts/{id}", get(bulk::page))
        .route(
            "/desk/acts/{id}/reverse",
            post(bulk::reverse).get(bulk::back),
        )
        .route("/desk/{*rest}", get(nowhere))
}

/// The first page that is theirs.
async fn first(Extract(_): Extract<State>, seat: session::Seat<session::AsAnyone>) -> Response {
    see(seat.first())
}

/// A path that no page has.
async fn nowhere(seat: session::Seat<session::AsAnyone>) -> Response {
    seat.failed(ApiError::with_detail(
        Code::NotFound,
        "The desk has no such page.",
    ))
}

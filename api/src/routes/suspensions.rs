//! `/v1/moderation/members/{id}/suspension`: a moderator suspends a member by hand, or ends their suspensions.
//!
//! A suspension by hand is a decision like those on cases: the member has its statement, can appeal it, and it can be
//! reversed.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::{MemberId, ReasonCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsModerator};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, Members};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(suspend, reinstate))
}

/// A suspension.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Suspension {
    /// RFC 3339; for good when absent or null.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
    /// What the member is told: at most 2,000 graphemes and 8 KiB.
    text: String,
    /// The facts relied on, which the member is told too: at most 2,000 graphemes and 8 KiB.
    facts: String,
}

/// Suspends a member.
#[utoipa::path(put, path = "/v1/moderation/members/{id}/suspension", tag = "moderator", params(("id" = String, Path)),
    request_body = Suspension,
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_suspension`", body = Problem)))]
async fn suspend(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Members(member): Members<MemberId>,
    Json(suspension): Json<Suspension>,
) -> Result<Answered<Reached>, ApiError> {
    let until = match &suspension.until {
        Some(text) => Some(query::time(Code::InvalidBody, "until", text)?),
        None => None,
    };
    let command = Command::SuspendMember {
        member,
        until,
        reason: suspension.reason,
        text: suspension.text,
        facts: suspension.facts,
    };
    shared.reach(acting, command).await
}

/// Ends a suspension. *Unchanged* where there is none.
#[utoipa::path(delete, path = "/v1/moderation/members/{id}/suspension", tag = "moderator", params(("id" = String, Path)),
    responses((status = 200, body = Reached)))]
async fn reinstate(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Members(member): Members<MemberId>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(acting, Command::ReinstateMember { member })
        .await
}

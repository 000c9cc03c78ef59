//! `/v1/moderation/members/{id}/suspension`: a moderator suspends a member by hand, or ends their suspensions.
//!
//! A suspension by hand is a decision like those on cases: the member has its statement, can appeal it, and it can be
//! reversed.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::{MemberId, ReasonCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsModerator, ShownPosition};
use crate::follow_ups::carried_out;
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

/// A suspension by hand, as it was decided.
#[derive(Debug, Serialize, ToSchema)]
struct Suspended {
    /// The decision, by which it is appealed and reversed.
    #[schema(format = Uuid)]
    decision_id: Option<String>,
    position: ShownPosition,
    /// Whether the file on it is there, and `position` reaches up to there. Where it is not by now, it is made later by
    /// itself; the member is suspended all the same.
    carried_out: bool,
}

/// Suspends a member.
#[utoipa::path(put, path = "/v1/moderation/members/{id}/suspension", tag = "moderator", params(("id" = String, Path)),
    request_body = Suspension,
    responses((status = 200, body = Suspended), (status = 409, description = "`own_case`", body = Problem),
        (status = 422, description = "`invalid_suspension`", body = Problem)))]
async fn suspend(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Members(member): Members<MemberId>,
    Json(suspension): Json<Suspension>,
) -> Result<Answered<Suspended>, ApiError> {
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
    let (outcome, _) = shared.carry_out(&acting, command).await?;
    let decision = shared.commands.suspension_at(outcome.position).await?;
    let carried = carried_out(&shared, &acting, &outcome).await;
    let body = Suspended {
        decision_id: decision.map(|decision| decision.to_string()),
        position: carried.position.clone(),
        carried_out: carried.carried_out,
    };
    Ok(Answered::ok(carried.position, body))
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

//! `POST /v1/moderation/cases/{id}/decision`: what is done about a reported member, and why.
//!
//! The answer waits until the decision is carried out, and its position reaches up to there: a view that has come so far
//! shows what it did. Where that takes too long, or cannot be for now, the answer says so: decided it is.

use axum::extract::State as Extract;
use commands::{Answer, Command};
use domain::case::Ruling;
use domain::ids::ReasonCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsModerator, ShownPosition};
use crate::follow_ups::{act, carried_out};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, Segments};
use crate::words::Action;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(decide))
}

/// A decision on a case.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDecision {
    action: Action,
    /// RFC 3339. `limit` needs it, `suspend` is for good without it, the others have none.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// 1-100 numbers of reported messages; of `remove_messages` alone.
    #[serde(default)]
    #[schema(max_items = 100)]
    messages: Vec<u64>,
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
    /// What the member is told: at most 2,000 graphemes and 8 KiB; may be empty for `no_action` alone.
    #[serde(default)]
    text: String,
    /// The facts relied on, within the same limits.
    #[serde(default)]
    facts: String,
}

/// A decision that was made.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionMade {
    #[schema(format = Uuid)]
    decision_id: String,
    position: ShownPosition,
    /// Whether what it does is done, and `position` reaches up to there. Where it is not by now, it is done later by
    /// itself; the decision given once more under its key waits for it again.
    carried_out: bool,
}

/// Decides a case.
#[utoipa::path(post, path = "/v1/moderation/cases/{id}/decision", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    request_body = NewDecision,
    responses((status = 200, body = DecisionMade), (status = 409, description = "`not_claimed`, `already_decided`", body = Problem),
        (status = 422, description = "`invalid_decision`", body = Problem)))]
async fn decide(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    Json(decision): Json<NewDecision>,
) -> Result<Answered<DecisionMade>, ApiError> {
    let until = match &decision.until {
        Some(text) => Some(query::time(Code::InvalidBody, "until", text)?),
        None => None,
    };
    let command = Command::DecideCase {
        case: query::case(&id),
        ruling: Ruling {
            action: decision.action.into(),
            until,
            messages: decision.messages,
            reason: decision.reason,
            text: decision.text,
            facts: decision.facts,
        },
    };
    let (outcome, _) = act(&shared, &acting, command).await?;
    let Answer::Decided { decision } = outcome.answer else {
        return Err(ApiError::with_detail(
            Code::Internal,
            "a decision without an id",
        ));
    };
    let carried = carried_out(&shared, &acting, &outcome).await;
    let body = DecisionMade {
        decision_id: decision.to_string(),
        position: carried.position.clone(),
        carried_out: carried.carried_out,
    };
    Ok(Answered::ok(carried.position, body))
}

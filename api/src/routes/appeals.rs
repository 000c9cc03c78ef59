//! `/v1/decisions/{id}/appeal`, `/v1/moderation/cases/{id}/appeal-decision`, `/v1/moderation/decisions/{id}/reverse`: a member
//! appeals what was decided about them, another moderator decides the appeal, and any moderator takes a decision back.
//!
//! What is reversed is undone before it is answered, and the position reaches up to there, or the answer says that it does
//! not. A decision is named by its id alone; whose case it is on, the write side knows.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::{CaseId, DecisionId, ReasonCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsMember, AsModerator};
use crate::follow_ups::{Carried, act, carried_out, joined};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, Segments};
use crate::words::AppealOutcome;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(appeal))
        .routes(routes!(decide_appeal))
        .routes(routes!(reverse))
}

/// An appeal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAppeal {
    /// At most 2,000 graphemes and 8 KiB.
    text: String,
}

/// Appeals a decision about the caller.
#[utoipa::path(post, path = "/v1/decisions/{id}/appeal", tag = "member", params(("id" = String, Path, format = Uuid)),
    request_body = NewAppeal,
    responses((status = 200, body = Reached),
        (status = 409, description = "`already_appealed`, `appeal_window_over`, `already_reversed`", body = Problem),
        (status = 422, description = "`invalid_appeal`", body = Problem)))]
async fn appeal(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Segments(id): Segments<String>,
    Json(appeal): Json<NewAppeal>,
) -> Result<Answered<Reached>, ApiError> {
    let (case, decision) = named(&shared, &id).await?;
    let command = Command::AppealDecision {
        case,
        decision,
        text: appeal.text,
    };
    shared.reach(acting, command).await
}

/// What becomes of an appeal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AppealAnswer {
    outcome: AppealOutcome,
    /// Of which decision; the one whose appeal has waited longest when absent or null.
    #[schema(value_type = Option<String>, format = Uuid)]
    decision_id: Option<DecisionId>,
    /// What the member is told: at most 2,000 graphemes and 8 KiB.
    text: String,
}

/// Decides the appeal that waits on a case.
#[utoipa::path(post, path = "/v1/moderation/cases/{id}/appeal-decision", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    request_body = AppealAnswer,
    responses((status = 200, body = Carried),
        (status = 409, description = "`not_appealed`, `same_moderator`, `own_case`", body = Problem),
        (status = 422, description = "`invalid_decision`", body = Problem)))]
async fn decide_appeal(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    Json(answer): Json<AppealAnswer>,
) -> Result<Answered<Carried>, ApiError> {
    let command = Command::DecideAppeal {
        case: query::case(&id),
        decision: answer.decision_id,
        outcome: answer.outcome.into(),
        text: answer.text,
    };
    undo(&shared, &acting, command).await
}

/// The reversal of a decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReversal {
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
    /// What the member is told: at most 2,000 graphemes and 8 KiB; may be empty where nothing had been done.
    #[serde(default)]
    text: String,
}

/// Takes back what a decision changed. *Unchanged* where that was done.
#[utoipa::path(post, path = "/v1/moderation/decisions/{id}/reverse", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    request_body = NewReversal,
    responses((status = 200, body = Carried), (status = 409, description = "`same_moderator`, `own_case`", body = Problem),
        (status = 422, description = "`invalid_decision`", body = Problem)))]
async fn reverse(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    Json(reversal): Json<NewReversal>,
) -> Result<Answered<Carried>, ApiError> {
    let (case, decision) = named(&shared, &id).await?;
    let command = Command::ReverseDecision {
        case,
        decision,
        reason: reversal.reason,
        text: reversal.text,
    };
    undo(&shared, &acting, command).await
}

/// The decision of this id and its case; one that does not exist, on a case that does not exist: whether it is there for
/// the caller is decided by one path.
pub(crate) async fn named(shared: &State, id: &str) -> Result<(CaseId, DecisionId), ApiError> {
    let decision = id.parse().unwrap_or(DecisionId(Uuid::nil()));
    let known = shared.commands.case_of(decision);
    let case = match tokio::time::timeout(shared.options.view_wait, known).await {
        Ok(case) => case?,
        Err(_) => return Err(ApiError::new(Code::Busy).retry_after_s(1)),
    };
    // The file on a suspension by hand follows from it; the case of any other decision is there before that.
    if case == Some(CaseId::of_suspension(decision)) {
        let filed = joined(shared, CaseId::of_suspension(decision)).await;
        filed.map_err(|_| ApiError::new(Code::Busy).retry_after_s(1))?;
    }
    Ok((case.unwrap_or(CaseId(Uuid::nil())), decision))
}

/// Carries out what may take a decision back, up to where that is done.
async fn undo(
    shared: &State,
    acting: &Acting<AsModerator>,
    command: Command,
) -> Result<Answered<Carried>, ApiError> {
    let (outcome, _) = act(shared, acting, command).await?;
    let carried = carried_out(shared, acting, &outcome).await;
    Ok(Answered::ok(carried.position.clone(), carried))
}

//! `/v1/moderation/cases/{id}/claim`, `/release`, `/notes`, `/escalate`: who works on a case, and what they write down.

use axum::extract::State as Extract;
use commands::{Answer, Command};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::{Json, JsonOrNone};
use crate::caller::{Acting, AsModerator, ShownPosition};
use crate::follow_ups::act;
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, Segments};
use crate::time;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(claim))
        .routes(routes!(release))
        .routes(routes!(note))
        .routes(routes!(escalate))
}

/// A case that the caller holds.
#[derive(Debug, Serialize, ToSchema)]
struct Held {
    /// When the claim lapses unless the caller acts on the case before.
    #[schema(format = DateTime)]
    claimed_until: String,
    position: ShownPosition,
}

/// Takes a case, or takes it for longer.
#[utoipa::path(post, path = "/v1/moderation/cases/{id}/claim", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Held), (status = 409, description = "`already_claimed`, `already_decided`, `same_moderator`, `own_case`", body = Problem)))]
async fn claim(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
) -> Result<Answered<Held>, ApiError> {
    let case = query::case(&id);
    let (outcome, position) = act(&shared, &acting, Command::ClaimCase { case }).await?;
    let Answer::Claimed { until } = outcome.answer else {
        return Err(ApiError::with_detail(
            Code::Internal,
            "a claim without an end",
        ));
    };
    let body = Held {
        claimed_until: time::format(until.as_millis()),
        position: position.clone(),
    };
    Ok(Answered::ok(position, body))
}

/// Lets a case go. *Unchanged* where nobody holds it.
#[utoipa::path(post, path = "/v1/moderation/cases/{id}/release", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Reached), (status = 409, description = "`not_claimed`, `own_case`", body = Problem)))]
async fn release(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
) -> Result<Answered<Reached>, ApiError> {
    let case = query::case(&id);
    reach(&shared, &acting, Command::ReleaseCase { case }).await
}

/// A note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    /// At most 2,000 graphemes and 8 KiB.
    text: String,
}

/// Writes something down about a case, for moderators alone.
#[utoipa::path(post, path = "/v1/moderation/cases/{id}/notes", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    request_body = NewNote,
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_note`", body = Problem)))]
async fn note(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    Json(note): Json<NewNote>,
) -> Result<Answered<Reached>, ApiError> {
    let command = Command::NoteOnCase {
        case: query::case(&id),
        text: note.text,
    };
    reach(&shared, &acting, command).await
}

/// What the next moderator should know.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Escalation {
    /// At most 2,000 graphemes and 8 KiB; shown among the notes.
    #[serde(default)]
    text: String,
}

/// Leaves a case to another moderator.
#[utoipa::path(post, path = "/v1/moderation/cases/{id}/escalate", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    request_body = Option<Escalation>,
    responses((status = 200, body = Reached), (status = 409, description = "`not_claimed`, `own_case`", body = Problem),
        (status = 422, description = "`invalid_note`", body = Problem)))]
async fn escalate(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    JsonOrNone(escalation): JsonOrNone<Escalation>,
) -> Result<Answered<Reached>, ApiError> {
    let command = Command::EscalateCase {
        case: query::case(&id),
        text: escalation.text,
    };
    reach(&shared, &acting, command).await
}

/// Carries out an act on a case that has nothing to tell but its position.
async fn reach(
    shared: &State,
    acting: &Acting<AsModerator>,
    command: Command,
) -> Result<Answered<Reached>, ApiError> {
    let (_, position) = act(shared, acting, command).await?;
    Ok(Answered::ok(position.clone(), Reached { position }))
}

//! `POST /v1/moderation/cases/{id}/reopen`: somebody asks, and a decided case is decided once more.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::ReasonCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsModerator};
use crate::follow_ups::act;
use crate::problem::{ApiError, Problem};
use crate::query::{self, Segments};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(reopen))
}

/// Why a case is opened again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reopening {
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
    /// What the next moderator should know: at most 2,000 graphemes and 8 KiB; shown among the notes.
    #[serde(default)]
    text: String,
}

/// Opens a decided case again. *Unchanged* where it is open.
#[utoipa::path(post, path = "/v1/moderation/cases/{id}/reopen", tag = "moderator", params(("id" = String, Path, format = Uuid)),
    request_body = Reopening,
    responses((status = 200, body = Reached), (status = 409, description = "`own_case`", body = Problem),
        (status = 422, description = "`invalid_note`", body = Problem)))]
async fn reopen(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    Json(reopening): Json<Reopening>,
) -> Result<Answered<Reached>, ApiError> {
    let command = Command::ReopenCase {
        case: query::case(&id),
        reason: reopening.reason,
        text: reopening.text,
    };
    let (_, position) = act(&shared, &acting, command).await?;
    Ok(Answered::ok(position.clone(), Reached { position }))
}

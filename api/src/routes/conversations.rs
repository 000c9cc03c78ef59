//! What a member does with a conversation of theirs: marks it read, mutes it, moves it to the requests.

use axum::extract::State as Extract;
use commands::{Command, Target};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsMember};
use crate::problem::{ApiError, Problem};
use crate::query::{self, Segments};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(read))
        .routes(routes!(mute, unmute))
        .routes(routes!(move_to_requests))
}

fn target(cid: &str) -> Target {
    Target::Conversation(query::conversation(cid))
}

/// How far the caller has read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadMark {
    /// The number of the last message read.
    up_to: u64,
}

/// Marks the messages up to a number as read. *Unchanged* below the mark there is.
#[utoipa::path(put, path = "/v1/conversations/{cid}/read", tag = "member", params(("cid" = String, Path, format = Uuid)),
    request_body = ReadMark,
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_read_mark`", body = Problem)))]
async fn read(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Segments(cid): Segments<String>,
    Json(mark): Json<ReadMark>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::MarkRead {
                target: target(&cid),
                up_to: mark.up_to,
            },
        )
        .await
}

/// Mutes a conversation.
#[utoipa::path(put, path = "/v1/conversations/{cid}/mute", tag = "member", params(("cid" = String, Path, format = Uuid)),
    responses((status = 200, body = Reached)))]
async fn mute(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Segments(cid): Segments<String>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::MuteConversation {
                target: target(&cid),
            },
        )
        .await
}

/// Unmutes a conversation.
#[utoipa::path(delete, path = "/v1/conversations/{cid}/mute", tag = "member", params(("cid" = String, Path, format = Uuid)),
    responses((status = 200, body = Reached)))]
async fn unmute(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Segments(cid): Segments<String>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::UnmuteConversation {
                target: target(&cid),
            },
        )
        .await
}

/// Moves an accepted conversation back to the requests, silently.
#[utoipa::path(post, path = "/v1/conversations/{cid}/move-to-requests", tag = "member",
    params(("cid" = String, Path, format = Uuid)),
    responses((status = 200, body = Reached), (status = 409, description = "`not_accepted`", body = Problem)))]
async fn move_to_requests(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Segments(cid): Segments<String>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::MoveToRequests {
                target: target(&cid),
            },
        )
        .await
}

//! The request folder: what waits on the caller's doorstep, and what they do with it, singly and in bulk.
//!
//! Accepting and deleting are never limited. In bulk, item *i* has the command id `key/i`; the items are carried out in
//! order, each with a status of its own, and a failure of one is none of the others'.

use axum::extract::State as Extract;
use commands::{Command, Envelope, Target};
use event_store::Position;
use projections::{LastMessage, RequestItem, ViewName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed, Reached};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsMember, AsMemberUnlimited, Caller, ShownPosition};
use crate::problem::{ApiError, Code, FieldCode, Problem};
use crate::query::{self, Paging, Query, Segments};
use crate::time;
use crate::words::DeleteMode;

/// Conversations of one bulk call.
const BULK_IDS_MAX: usize = 200;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(accept))
        .routes(routes!(restore))
        .routes(routes!(delete))
        .routes(routes!(accept_all))
        .routes(routes!(delete_all))
}

fn target(cid: &str) -> Target {
    Target::Conversation(query::conversation(cid))
}

/// The last message of a conversation, as the caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownLastMessage {
    number: u64,
    from: String,
    /// Null once unsent.
    text: Option<String>,
    #[schema(format = DateTime)]
    sent_at: String,
}

impl From<LastMessage> for ShownLastMessage {
    fn from(last: LastMessage) -> Self {
        ShownLastMessage {
            number: last.number,
            from: last.from.to_string(),
            text: last.text,
            sent_at: time::format(last.sent_at.as_millis()),
        }
    }
}

/// What is known between the caller and the one who knocks.
#[derive(Debug, Serialize, ToSchema)]
struct Relationship {
    you_follow: bool,
    follows_you: bool,
    suggested: bool,
}

/// A request that waits for the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Request {
    #[schema(format = Uuid)]
    conversation_id: String,
    /// Who knocks.
    with: String,
    last_message: ShownLastMessage,
    muted: bool,
    #[schema(format = DateTime)]
    opened_at: String,
    /// How many messages wait.
    messages: u64,
    relationship: Relationship,
}

impl From<RequestItem> for Request {
    fn from(item: RequestItem) -> Self {
        Request {
            conversation_id: item.conversation_id.to_string(),
            with: item.with.to_string(),
            last_message: item.last_message.into(),
            muted: item.muted,
            opened_at: time::format(item.opened_at.as_millis()),
            messages: item.messages,
            relationship: Relationship {
                you_follow: item.relationship.you_follow,
                follows_you: item.relationship.follows_you,
                suggested: item.relationship.suggested,
            },
        }
    }
}

/// What waits on the caller's doorstep, newest first.
#[utoipa::path(get, path = "/v1/requests", tag = "member", params(Paging), responses((status = 200, body = Listed<Request>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Query(asked): Query<Paging>,
) -> Result<Answered<Listed<Request>>, ApiError> {
    const VIEW: ViewName = ViewName::Requests;
    let page = shared.page(&caller, VIEW.as_str(), &asked)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let page = shared.reads.requests(caller.sub(), &page).await?;
    Ok(shared.listed(&caller, VIEW.as_str(), page, Request::from))
}

/// Accepts a request.
#[utoipa::path(post, path = "/v1/requests/{cid}/accept", tag = "member", params(("cid" = String, Path, format = Uuid)),
    responses((status = 200, body = Reached), (status = 403, description = "`account_restricted`", body = Problem),
        (status = 409, description = "`request_not_pending` (with `restorable_until` after a delete), `request_frozen`", body = Problem)))]
async fn accept(
    Extract(shared): Extract<State>,
    acting: Acting<AsMemberUnlimited>,
    Segments(cid): Segments<String>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::AcceptRequest {
                target: target(&cid),
            },
        )
        .await
}

/// Takes a deletion back.
#[utoipa::path(post, path = "/v1/requests/{cid}/restore", tag = "member", params(("cid" = String, Path, format = Uuid)),
    responses((status = 200, body = Reached), (status = 409, description = "`not_restorable`, `request_frozen`", body = Problem)))]
async fn restore(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Segments(cid): Segments<String>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::RestoreRequest {
                target: target(&cid),
            },
        )
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct How {
    /// `quiet` unless given.
    mode: Option<DeleteMode>,
}

impl How {
    fn mode(&self) -> DeleteMode {
        self.mode.unwrap_or(DeleteMode::Quiet)
    }
}

/// Deletes a request.
#[utoipa::path(delete, path = "/v1/requests/{cid}", tag = "member", params(("cid" = String, Path, format = Uuid), How),
    responses((status = 200, body = Reached), (status = 409, description = "`already_accepted`, `request_not_pending`", body = Problem)))]
async fn delete(
    Extract(shared): Extract<State>,
    acting: Acting<AsMemberUnlimited>,
    Segments(cid): Segments<String>,
    Query(how): Query<How>,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::DeleteRequest {
                target: target(&cid),
                mode: how.mode().into(),
            },
        )
        .await
}

/// The requests of a bulk call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Bulk {
    /// 1-200 ids.
    #[schema(min_items = 1, max_items = 200)]
    conversation_ids: Vec<String>,
}

/// What became of one request of a bulk call.
#[derive(Debug, Serialize, ToSchema)]
struct BulkItem {
    /// As it was given.
    conversation_id: String,
    /// The status that a single call would have had.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<ShownPosition>,
}

/// What became of the requests of a bulk call, in order.
#[derive(Debug, Serialize, ToSchema)]
struct BulkDone {
    items: Vec<BulkItem>,
    /// The highest position that any of them reached.
    position: ShownPosition,
}

/// Accepts many requests.
#[utoipa::path(post, path = "/v1/requests/accept", tag = "member", request_body = Bulk, responses((status = 200, body = BulkDone)))]
async fn accept_all(
    Extract(shared): Extract<State>,
    acting: Acting<AsMemberUnlimited>,
    Json(bulk): Json<Bulk>,
) -> Result<Answered<BulkDone>, ApiError> {
    each(&shared, acting, bulk, |target| Command::AcceptRequest {
        target,
    })
    .await
}

/// Deletes many requests.
#[utoipa::path(post, path = "/v1/requests/delete", tag = "member", params(How), request_body = Bulk,
    responses((status = 200, body = BulkDone)))]
async fn delete_all(
    Extract(shared): Extract<State>,
    acting: Acting<AsMemberUnlimited>,
    Query(how): Query<How>,
    Json(bulk): Json<Bulk>,
) -> Result<Answered<BulkDone>, ApiError> {
    each(&shared, acting, bulk, |target| Command::DeleteRequest {
        target,
        mode: how.mode().into(),
    })
    .await
}

async fn each(
    shared: &State,
    acting: Acting<AsMemberUnlimited>,
    bulk: Bulk,
    command: impl Fn(Target) -> Command,
) -> Result<Answered<BulkDone>, ApiError> {
    if !(1..=BULK_IDS_MAX).contains(&bulk.conversation_ids.len()) {
        return Err(ApiError::at_field(
            Code::InvalidBody,
            "conversation_ids",
            FieldCode::OutOfRange,
            "It has to be a list of 1 to 200 ids.",
        ));
    }
    let caller = &acting.caller;
    let mut submitted = Vec::with_capacity(bulk.conversation_ids.len());
    for (index, cid) in bulk.conversation_ids.iter().enumerate() {
        let envelope = Envelope {
            actor: caller.sub().clone(),
            command_id: acting.command_id.item(index),
            id_given: acting.id_given,
            at: acting.at,
            command: command(target(cid)),
        };
        submitted.push(shared.commands.submit(envelope).await);
    }
    let mut highest = Position::START;
    let mut items = Vec::with_capacity(submitted.len());
    for (conversation_id, pending) in bulk.conversation_ids.into_iter().zip(submitted) {
        let outcome = match pending {
            Ok(pending) => pending.durable().await,
            Err(error) => Err(error),
        };
        items.push(match outcome {
            Ok(outcome) => {
                highest = highest.max(outcome.position);
                let position = Some(caller.shows(shared, outcome.position));
                BulkItem {
                    conversation_id,
                    status: 200,
                    code: None,
                    position,
                }
            }
            Err(error) => {
                let error = ApiError::from(error);
                BulkItem {
                    conversation_id,
                    status: error.status().as_u16(),
                    code: Some(error.code()),
                    position: None,
                }
            }
        });
    }
    let position = caller.shows(shared, highest);
    Ok(Answered::ok(position.clone(), BulkDone { items, position }))
}

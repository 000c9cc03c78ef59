//! Messages: sending, unsending, reading a conversation.
//!
//! Every refusal of `POST /v1/messages` comes out of the one command by the one mapping, so that a block, an audience,
//! an age and an unknown recipient answer with the same bytes after the same steps.

use axum::extract::State as Extract;
use commands::{Answer, Command, Target};
use domain::conversation::GivenRelationship;
use domain::ids::MemberId;
use projections::{MessageItem, ViewName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed, Reached};
use crate::app::{State, now};
use crate::body::Json;
use crate::caller::{Acting, AsMember, AsSender, Caller, ShownPosition};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, Paging, Query, Segments};
use crate::time;
use crate::tokens::Role;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(send))
        .routes(routes!(unsend))
        .routes(routes!(list))
}

/// A message to another member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Message {
    /// The recipient.
    #[schema(value_type = String)]
    to: MemberId,
    /// 1-1,000 graphemes and at most 8 KiB, stored as sent.
    text: String,
    /// What the host knows of the two: for callers who have the role `service` too. It is recorded before the message
    /// is decided.
    relationship: Option<RelationshipGiven>,
}

/// What the host knows of the relationship of sender and recipient; what is absent is as it was recorded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RelationshipGiven {
    /// The recipient follows the sender.
    recipient_follows: Option<bool>,
    /// The sender follows the recipient.
    sender_follows: Option<bool>,
    /// The sender is suggested to the recipient.
    suggested: Option<bool>,
}

/// A message that has its place. Whether it went to an inbox, waits or is withheld is not told.
#[derive(Debug, Serialize, ToSchema)]
struct MessageSent {
    #[schema(format = Uuid)]
    conversation_id: String,
    /// Its number in the conversation, from 1.
    number: u64,
    /// `sent`.
    outcome: &'static str,
    #[schema(format = DateTime)]
    sent_at: String,
    position: ShownPosition,
}

/// Sends a message.
#[utoipa::path(post, path = "/v1/messages", tag = "member", request_body = Message,
    responses((status = 201, body = MessageSent),
        (status = 403, description = "`not_allowed`, `account_restricted`", body = Problem),
        (status = 422, description = "`invalid_message`", body = Problem),
        (status = 429, description = "`limit_reached`, `rate_limited`", body = Problem)))]
async fn send(
    Extract(shared): Extract<State>,
    acting: Acting<AsSender>,
    Json(message): Json<Message>,
) -> Result<Answered<MessageSent>, ApiError> {
    let relationship = match message.relationship {
        None => GivenRelationship::default(),
        Some(_) if !acting.caller.principal().roles.has(Role::Service) => {
            return Err(ApiError::with_detail(
                Code::Forbidden,
                "`relationship` is for the role `service`.",
            ));
        }
        Some(given) => GivenRelationship {
            recipient_follows: given.recipient_follows,
            sender_follows: given.sender_follows,
            suggested: given.suggested,
        },
    };
    let command = Command::SendMessage {
        to: message.to,
        text: message.text,
        relationship,
    };
    let (outcome, position) = match shared.limiter.may_send(acting.caller.sub().as_str()) {
        Ok(()) => shared.carry_out(&acting, command).await?,
        // The limit is on what is new: what was sent before it is told again.
        Err(limited) => shared
            .carried_out_before(&acting, command)
            .await?
            .ok_or(limited)?,
    };
    let Answer::Sent {
        conversation,
        number,
        at,
    } = outcome.answer
    else {
        return Err(ApiError::with_detail(
            Code::Internal,
            "a message was sent without an answer",
        ));
    };
    let body = MessageSent {
        conversation_id: conversation.to_string(),
        number,
        outcome: "sent",
        sent_at: time::format(at.as_millis()),
        position: position.clone(),
    };
    Ok(Answered::created(position, body))
}

/// Takes a message back.
#[utoipa::path(delete, path = "/v1/conversations/{cid}/messages/{n}", tag = "member",
    params(("cid" = String, Path, format = Uuid), ("n" = u64, Path)),
    responses((status = 200, body = Reached), (status = 403, description = "`not_author`", body = Problem)))]
async fn unsend(
    Extract(shared): Extract<State>,
    acting: Acting<AsMember>,
    Segments((cid, number)): Segments<(String, String)>,
) -> Result<Answered<Reached>, ApiError> {
    let target = Target::Conversation(query::conversation(&cid));
    shared
        .reach(
            acting,
            Command::UnsendMessage {
                target,
                number: query::message_number(&number),
            },
        )
        .await
}

/// A message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownMessage {
    number: u64,
    from: String,
    /// Null once unsent or removed.
    text: Option<String>,
    #[schema(format = DateTime)]
    sent_at: String,
    #[schema(format = DateTime)]
    unsent_at: Option<String>,
    /// When moderators removed it.
    #[schema(format = DateTime)]
    removed_at: Option<String>,
}

impl From<MessageItem> for ShownMessage {
    fn from(item: MessageItem) -> Self {
        ShownMessage {
            number: item.number,
            from: item.from.to_string(),
            text: item.text,
            sent_at: time::format(item.sent_at.as_millis()),
            unsent_at: item.unsent_at.map(|at| time::format(at.as_millis())),
            removed_at: item.removed_at.map(|at| time::format(at.as_millis())),
        }
    }
}

/// The messages of a conversation that the caller sees, newest first.
#[utoipa::path(get, path = "/v1/conversations/{cid}/messages", tag = "member",
    params(("cid" = String, Path, format = Uuid), Paging), responses((status = 200, body = Listed<ShownMessage>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Segments(cid): Segments<String>,
    Query(asked): Query<Paging>,
) -> Result<Answered<Listed<ShownMessage>>, ApiError> {
    const VIEW: ViewName = ViewName::Conversation;
    let conversation = query::conversation(&cid);
    // A cursor is for one conversation: in another it is none.
    let scope = format!("{VIEW} {conversation}");
    let page = shared.page(&caller, &scope, &asked)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let page = shared
        .reads
        .messages(caller.sub(), conversation, &page, now())
        .await?;
    Ok(shared.listed(&caller, &scope, page, ShownMessage::from))
}

//! `GET /v1/inbox`: the caller's conversations, newest first.

use axum::extract::State as Extract;
use projections::{InboxItem, ViewName};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::State;
use crate::caller::{AsMember, Caller};
use crate::problem::ApiError;
use crate::query::{Paging, Query};
use crate::routes::requests::ShownLastMessage;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(list))
}

/// A conversation in the caller's inbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboxEntry {
    #[schema(format = Uuid)]
    conversation_id: String,
    /// The other member.
    with: String,
    last_message: ShownLastMessage,
    /// How many messages of the other the caller has not read.
    unread: u64,
    muted: bool,
}

impl From<InboxItem> for InboxEntry {
    fn from(item: InboxItem) -> Self {
        InboxEntry {
            conversation_id: item.conversation_id.to_string(),
            with: item.with.to_string(),
            last_message: item.last_message.into(),
            unread: item.unread,
            muted: item.muted,
        }
    }
}

/// The caller's conversations, newest first.
#[utoipa::path(get, path = "/v1/inbox", tag = "member", params(Paging), responses((status = 200, body = Listed<InboxEntry>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Query(asked): Query<Paging>,
) -> Result<Answered<Listed<InboxEntry>>, ApiError> {
    const VIEW: ViewName = ViewName::Inbox;
    let page = shared.page(&caller, VIEW.as_str(), &asked)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let page = shared.reads.inbox(caller.sub(), &page).await?;
    Ok(shared.listed(&caller, VIEW.as_str(), page, InboxEntry::from))
}

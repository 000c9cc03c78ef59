//! `/v1/me/blocks`: whom the caller does not want to hear of. Never limited; an unknown member answers alike.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::MemberId;
use projections::{BlockItem, ViewName};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed, Reached};
use crate::app::{State, now};
use crate::caller::{Acting, AsMember, AsMemberUnlimited, Caller};
use crate::problem::{ApiError, Problem};
use crate::query::{Members, Paging, Query};
use crate::time;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(block, unblock))
        .routes(routes!(list))
}

/// Blocks a member, known or not.
#[utoipa::path(put, path = "/v1/me/blocks/{other}", tag = "member", params(("other" = String, Path)),
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_member`", body = Problem)))]
async fn block(
    Extract(shared): Extract<State>,
    acting: Acting<AsMemberUnlimited>,
    Members(other): Members<MemberId>,
) -> Result<Answered<Reached>, ApiError> {
    shared.reach(acting, Command::BlockMember { other }).await
}

/// Ends a block. *Unchanged* where there was none.
#[utoipa::path(delete, path = "/v1/me/blocks/{other}", tag = "member", params(("other" = String, Path)),
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_member`", body = Problem)))]
async fn unblock(
    Extract(shared): Extract<State>,
    acting: Acting<AsMemberUnlimited>,
    Members(other): Members<MemberId>,
) -> Result<Answered<Reached>, ApiError> {
    shared.reach(acting, Command::UnblockMember { other }).await
}

/// A blocked member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Block {
    member: String,
    /// Their conversation, if it holds a message that the caller sees.
    #[schema(format = Uuid)]
    conversation_id: Option<String>,
    #[schema(format = DateTime)]
    since: String,
}

impl From<BlockItem> for Block {
    fn from(item: BlockItem) -> Self {
        Block {
            member: item.member.to_string(),
            conversation_id: item.conversation_id.map(|id| id.to_string()),
            since: time::format(item.since.as_millis()),
        }
    }
}

/// Whom the caller has blocked, the latest first.
#[utoipa::path(get, path = "/v1/me/blocks", tag = "member", params(Paging), responses((status = 200, body = Listed<Block>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Query(asked): Query<Paging>,
) -> Result<Answered<Listed<Block>>, ApiError> {
    const VIEW: ViewName = ViewName::Blocked;
    let page = shared.page(&caller, VIEW.as_str(), &asked)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let page = shared.reads.blocks(caller.sub(), &page, now()).await?;
    Ok(shared.listed(&caller, VIEW.as_str(), page, Block::from))
}

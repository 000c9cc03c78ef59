//! `GET /v1/unread`: in how many conversations something unread waits.

use axum::extract::State as Extract;
use projections::ViewName;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::State;
use crate::caller::{AsMember, Caller};
use crate::problem::ApiError;
use crate::query::{AsOf, Query};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(count))
}

/// In how many conversations something unread waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unread {
    inbox: u64,
    requests: u64,
}

impl From<projections::Unread> for Unread {
    fn from(unread: projections::Unread) -> Self {
        Unread {
            inbox: unread.inbox,
            requests: unread.requests,
        }
    }
}

/// In how many conversations something unread waits.
#[utoipa::path(get, path = "/v1/unread", tag = "member", params(AsOf), responses((status = 200, body = Unread)))]
async fn count(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Query(asked): Query<AsOf>,
) -> Result<Answered<Unread>, ApiError> {
    shared
        .reached(&caller, ViewName::Unread, asked.min_position.as_deref())
        .await?;
    let answer = shared.reads.unread(caller.sub()).await?;
    Ok(shared.standing_at(&caller, answer.position, answer.value.into()))
}

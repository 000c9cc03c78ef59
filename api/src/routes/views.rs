//! `GET /v1/views`: how the read views are.

use axum::extract::State as Extract;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::State;
use crate::caller::{AsOperator, Caller, ShownPosition};
use crate::problem::ApiError;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(list))
}

/// A read view.
#[derive(Debug, Serialize, ToSchema)]
struct View {
    name: &'static str,
    /// The version of its code.
    version: u32,
    /// `building`, `catching_up`, `live`, `stopped` or `closed`.
    state: &'static str,
    /// How far it has come.
    position: ShownPosition,
    /// How far it is behind the log, in events.
    lag: u64,
    /// For how many seconds the first of these events has been waiting; 0 where there is none.
    lag_seconds: f64,
    /// The size of its file on the disk.
    bytes: u64,
}

/// How the read views are.
#[utoipa::path(get, path = "/v1/views", tag = "operator", responses((status = 200, body = Listed<View>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
) -> Result<Answered<Listed<View>>, ApiError> {
    let mut items = Vec::new();
    for status in shared.reads.states() {
        items.push(View {
            name: status.view,
            version: status.version,
            state: status.state.name(),
            position: caller.shows(&shared, status.applied),
            lag: status.lag_events,
            lag_seconds: shared.waiting_s(status.applied).await,
            bytes: status.bytes,
        });
    }
    let position = shared.store.durable_position();
    Ok(shared.standing_at(
        &caller,
        position,
        Listed {
            items,
            next_cursor: None,
        },
    ))
}

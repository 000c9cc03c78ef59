//! `GET /v1/moderation/queue/counts`: how many cases wait, and of what kind.

use axum::extract::State as Extract;
use projections::{QueueCounts, ViewName};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answered;
use crate::app::State;
use crate::caller::{AsModerator, Caller};
use crate::problem::ApiError;
use crate::query::{AsOf, Query};
use crate::words::Category;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(counts))
}

/// How many cases there are.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    /// In each state.
    states: Vec<OfState>,
    /// With a report of each category, of the cases that wait: open, claimed or appealed. One of two categories counts in both.
    categories: Vec<CasesOfCategory>,
    /// Open ones, that nobody holds.
    unclaimed: u64,
    /// Those of them that were left to another moderator.
    escalated: u64,
    /// With an appeal that waits, in whatever state.
    appealed: u64,
    /// Held by the caller.
    mine: u64,
}

/// The cases in a state.
#[derive(Debug, Serialize, ToSchema)]
struct OfState {
    /// `open`, `claimed`, `decided` or `closed`.
    state: &'static str,
    cases: u64,
}

/// The cases with a report of a category.
#[derive(Debug, Serialize, ToSchema)]
struct CasesOfCategory {
    category: Category,
    cases: u64,
}

impl From<QueueCounts> for Counts {
    fn from(counts: QueueCounts) -> Self {
        let states = counts.states.into_iter().map(|(state, cases)| OfState {
            state: state.as_str(),
            cases,
        });
        let categories = counts.categories.into_iter();
        let states: Vec<OfState> = states.collect();
        let open = projections::CaseState::Open.as_str();
        Counts {
            unclaimed: states
                .iter()
                .filter(|of| of.state == open)
                .map(|of| of.cases)
                .sum(),
            states,
            categories: categories
                .map(|(category, cases)| CasesOfCategory {
                    category: category.into(),
                    cases,
                })
                .collect(),
            escalated: counts.escalated,
            appealed: counts.appealed,
            mine: counts.mine,
        }
    }
}

/// How many cases wait, and of what kind, but for those of the caller's own conversations.
#[utoipa::path(get, path = "/v1/moderation/queue/counts", tag = "moderator", params(AsOf), responses((status = 200, body = Counts)))]
async fn counts(
    Extract(shared): Extract<State>,
    caller: Caller<AsModerator>,
    Query(asked): Query<AsOf>,
) -> Result<Answered<Counts>, ApiError> {
    shared
        .reached(
            &caller,
            ViewName::ModerationQueue,
            asked.min_position.as_deref(),
        )
        .await?;
    let answer = shared.reads.queue_counts(caller.sub()).await?;
    Ok(shared.standing_at(&caller, answer.position, Counts::from(answer.value)))
}

//! `/v1/views`: how the read views are; proving one, making it anew, going back to the file before, and giving that up.
//!
//! A verification or a rebuild reads the whole log: it is answered as soon as it has begun, goes on by itself, and is told
//! with its view until the next. Nothing here writes to the log.

use axum::extract::State as Extract;
use projections::{Beginning, CareError, Last, Status, Verified, ViewName, ViewState, Work};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::{Shared, State};
use crate::caller::{AsOperator, Caller, ShownPosition};
use crate::problem::{ApiError, Code, Problem};
use crate::query::Segments;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(verify))
        .routes(routes!(rebuild))
        .routes(routes!(roll_back))
        .routes(routes!(drop_previous))
}

/// A read view.
#[derive(Debug, Serialize, ToSchema)]
struct View {
    name: &'static str,
    /// The version of its code whose rows are served; the one before as long as a new one is made, or after going back to it.
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
    /// How many events it has set aside because it cannot apply them.
    failed: usize,
    /// How many wait behind those.
    waiting: usize,
    /// Why it does not go on; null unless it has stopped.
    reason: Option<String>,
    /// How far the file has come that was served before the last switch; null where none is kept.
    previous: Option<ShownPosition>,
    /// The verification or rebuild that is under way.
    work: Option<UnderWay>,
    /// What the last one came to since the service was started.
    last: Option<Came>,
}

/// A verification or rebuild that is under way.
#[derive(Debug, Serialize, ToSchema)]
struct UnderWay {
    /// Later work has a higher one.
    number: u64,
    /// `verify` or `rebuild`.
    kind: &'static str,
    /// The version that is proved or made.
    version: u32,
    /// `folding`, `folding_again`, `comparing` or `catching_up`.
    stage: &'static str,
    /// Events of this stage so far.
    events: u64,
    /// The last of them.
    position: ShownPosition,
    /// Where this stage ends.
    until: ShownPosition,
    /// How much of it is done, in hundredths.
    percent: u8,
    /// How long it still takes at its speed so far; null before anything was done.
    seconds_to_go: Option<u64>,
}

/// What a verification or rebuild came to.
#[derive(Debug, Serialize, ToSchema)]
struct Came {
    /// The one it had while it was under way.
    number: u64,
    /// `verify` or `rebuild`.
    kind: &'static str,
    /// Where both stood that were compared; null with an error.
    position: Option<ShownPosition>,
    /// How many rows the log gives; null with an error.
    rows: Option<u64>,
    /// SHA-256 over them, in hexadecimal; null with an error.
    sha256: Option<String>,
    /// Whether the rows that were served were these, or, where a new version was made, those of a second fold; null with an
    /// error. After a rebuild they are.
    equal: Option<bool>,
    /// Why nothing came of it, in words; what was served is served. Null where something did.
    error: Option<String>,
}

/// How the read views are.
#[utoipa::path(get, path = "/v1/views", tag = "operator", responses((status = 200, body = Listed<View>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
) -> Result<Answered<Listed<View>>, ApiError> {
    // Before what came of it: the work goes after that is there.
    let work = shared.reads.work();
    let mut items = Vec::new();
    for status in shared.reads.states() {
        let work = work.filter(|work| work.view == status.view);
        let named = shared.reads.named(status.view);
        let last = named.and_then(|view| shared.reads.last(view));
        items.push(shown(&shared, &caller, status, work, last).await);
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

/// Begins to prove a view.
#[utoipa::path(post, path = "/v1/views/{name}/verify", tag = "operator", params(("name" = String, Path)),
    responses((status = 202, body = View), (status = 409, description = "`view_busy`", body = Problem)))]
async fn verify(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
    Segments(name): Segments<String>,
) -> Result<Answered<View>, ApiError> {
    begin(&shared, &caller, &name, |name| {
        shared.reads.begin_verify(name)
    })
    .await
}

/// Begins to make a view anew.
#[utoipa::path(post, path = "/v1/views/{name}/rebuild", tag = "operator", params(("name" = String, Path)),
    responses((status = 202, body = View), (status = 409, description = "`view_busy`", body = Problem)))]
async fn rebuild(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
    Segments(name): Segments<String>,
) -> Result<Answered<View>, ApiError> {
    begin(&shared, &caller, &name, |name| {
        shared.reads.begin_rebuild(name)
    })
    .await
}

/// Serves the file again that was served before.
#[utoipa::path(post, path = "/v1/views/{name}/rollback", tag = "operator", params(("name" = String, Path)),
    responses((status = 200, body = View), (status = 409, description = "`no_previous_view`", body = Problem)))]
async fn roll_back(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
    Segments(name): Segments<String>,
) -> Result<Answered<View>, ApiError> {
    let name = named(&shared, &name)?;
    shared.reads.go_back(name).await.map_err(refused)?;
    done(&shared, &caller, name).await
}

/// Gives up the file that was served before.
#[utoipa::path(delete, path = "/v1/views/{name}/previous", tag = "operator", params(("name" = String, Path)),
    responses((status = 200, body = View), (status = 409, description = "`no_previous_view`", body = Problem)))]
async fn drop_previous(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
    Segments(name): Segments<String>,
) -> Result<Answered<View>, ApiError> {
    let name = named(&shared, &name)?;
    shared.reads.drop_previous(name).await.map_err(refused)?;
    done(&shared, &caller, name).await
}

/// Begins work, and answers with the view as it was then.
async fn begin(
    shared: &Shared,
    caller: &Caller<AsOperator>,
    name: &str,
    begin: impl FnOnce(ViewName) -> Result<Beginning, CareError>,
) -> Result<Answered<View>, ApiError> {
    let name = named(shared, name)?;
    let last = shared.reads.last(name);
    let work = begin(name).map_err(refused)?.work;
    let view = shown(shared, caller, status(shared, name)?, Some(work), last).await;
    Ok(Answered::accepted(view.position.clone(), view))
}

/// What a switch answers: the view as it is now.
async fn done(
    shared: &Shared,
    caller: &Caller<AsOperator>,
    name: ViewName,
) -> Result<Answered<View>, ApiError> {
    let last = shared.reads.last(name);
    let view = shown(shared, caller, status(shared, name)?, None, last).await;
    Ok(Answered::ok(view.position.clone(), view))
}

/// The view that a path names.
pub(super) fn named(shared: &Shared, name: &str) -> Result<ViewName, ApiError> {
    shared.reads.named(name).ok_or_else(|| {
        let names = shared.reads.names();
        let names: Vec<&str> = names.iter().map(|view| view.as_str()).collect();
        let words = format!("There is no such view; there are {}.", names.join(", "));
        ApiError::with_detail(Code::NotFound, words)
    })
}

fn status(shared: &Shared, name: ViewName) -> Result<Status, ApiError> {
    let mut states = shared.reads.states().into_iter();
    let found = states.find(|status| status.view == name.as_str());
    found.ok_or_else(|| Code::NotFound.into())
}

async fn shown(
    shared: &Shared,
    caller: &Caller<AsOperator>,
    status: Status,
    work: Option<Work>,
    last: Option<Last>,
) -> View {
    View {
        name: status.view,
        version: status.version,
        state: status.state.name(),
        position: caller.shows(shared, status.applied),
        lag: status.lag_events,
        lag_seconds: shared.waiting_s(status.applied).await,
        bytes: status.bytes,
        failed: status.set_aside.failed,
        waiting: status.set_aside.waiting,
        reason: match status.state {
            ViewState::Stopped { cause, .. } => Some(cause),
            ViewState::Building | ViewState::CatchingUp | ViewState::Live | ViewState::Closed => {
                None
            }
        },
        previous: status.previous.map(|at| caller.shows(shared, at)),
        work: work.map(|work| under_way(shared, caller, &work)),
        last: last.map(|last| came(shared, caller, last)),
    }
}

fn under_way(shared: &Shared, caller: &Caller<AsOperator>, work: &Work) -> UnderWay {
    UnderWay {
        number: work.number,
        kind: work.kind.name(),
        version: work.version,
        stage: work.stage.name(),
        events: work.events,
        position: caller.shows(shared, work.position),
        until: caller.shows(shared, work.until),
        percent: work.percent(),
        seconds_to_go: work
            .to_go()
            .map(|left| left.as_millis().div_ceil(1_000))
            .and_then(|seconds| u64::try_from(seconds).ok()),
    }
}

fn came(shared: &Shared, caller: &Caller<AsOperator>, last: Last) -> Came {
    let compared = last.outcome.as_ref().ok();
    Came {
        number: last.number,
        kind: last.kind,
        position: compared.map(|compared| caller.shows(shared, compared.position)),
        rows: compared.map(|compared| compared.folded.rows),
        sha256: compared.map(|compared| compared.folded.to_string()),
        equal: compared.map(Verified::equal),
        error: last.outcome.err(),
    }
}

/// Why nothing was begun or switched.
pub(super) fn refused(error: CareError) -> ApiError {
    match error {
        CareError::Busy(view) => {
            let words = format!(
                "The view `{view}` is being verified or made anew, one view at a time; `GET /v1/views` tells how far it is."
            );
            ApiError::with_detail(Code::ViewBusy, words).retry_after_s(10)
        }
        CareError::NoPrevious(_) => Code::NoPreviousView.into(),
        CareError::NotServed(_) => ApiError::with_detail(
            Code::NotReady,
            "The view has no rows to be read now; `/readyz` says why. Ask again after the seconds of `Retry-After`.",
        )
        .retry_after_s(1),
        CareError::NotSwitched(why) => ApiError::with_detail(
            Code::NotReady,
            format!("Nothing was switched: {why}."),
        )
        .retry_after_s(1),
        CareError::Failed(why) => ApiError::with_detail(Code::Internal, why),
    }
}

//! `/v1/views/{name}/letters`: what a view could not apply, with what waits behind it; tried again, or done without.
//!
//! An event is named by its stream and version, as everywhere. What a view does without is decided by an operator and
//! stands in the log (`act-event-skipped`), where a rebuild finds it; trying again is no decision and writes nothing.

use axum::extract::State as Extract;
use commands::Command;
use domain::ids::{ReasonCode, ViewId};
use domain::member::STATEMENT_LIMITS;
use domain::text;
use event_store::Position;
use projections::{
    LIMIT_DEFAULT, LIMIT_MAX, Letter, QueryError, Retry, SetAside, ViewName, ViewState, WaitError,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::{Shared, State};
use crate::body::Json;
use crate::caller::{Acting, AsOperator, Caller, ShownPosition};
use crate::damage::Broken;
use crate::problem::{ApiError, Code, FieldCode, Problem, text_of_body};
use crate::query::{Paging, Query, Segments};
use crate::routes::views::{named, refused};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(retry))
        .routes(routes!(skip))
}

/// An event that a view has not applied, although it has come past it or stopped before it.
#[derive(Debug, Serialize, ToSchema)]
struct SetAsideEvent {
    /// `failed` where it cannot be applied, `waiting` where it only belongs to one of those, `stopped` where the view stays
    /// before it.
    state: &'static str,
    /// The event's stream.
    stream: String,
    /// Its version there.
    version: u64,
    /// Its type.
    r#type: String,
    /// Its place in the log.
    position: ShownPosition,
    /// Why it cannot be applied; null where it only waits.
    cause: Option<String>,
}

/// What came of events that were set aside.
#[derive(Debug, Serialize, ToSchema)]
struct CameOf {
    /// Events that are applied now.
    applied: u64,
    /// Events that were tried, and failed again.
    failed: u64,
    /// How many are set aside still because they cannot be applied.
    left_failed: usize,
    /// How many wait behind those.
    left_waiting: usize,
    /// How far the view has come.
    position: ShownPosition,
}

/// What is left of events that were set aside.
#[derive(Debug, Serialize, ToSchema)]
struct Remaining {
    /// How many are set aside still because they cannot be applied.
    left_failed: usize,
    /// How many wait behind those.
    left_waiting: usize,
    /// The position of the event that says what the view does without.
    position: ShownPosition,
}

/// Which events are tried again.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// The stream of the one event that is tried again, with its `version`; all that failed without.
    stream: Option<String>,
    /// The version of the one event that is tried again.
    version: Option<u64>,
}

/// What a view shall do without.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Skip {
    /// The event's stream.
    stream: String,
    /// Its version there.
    version: u64,
    /// Why, as a code: 1-64 bytes of `[a-z0-9_]`.
    #[schema(value_type = String)]
    reason: ReasonCode,
    /// Why, in words.
    #[serde(default)]
    text: String,
}

/// What a view has set aside.
#[utoipa::path(get, path = "/v1/views/{name}/letters", tag = "operator", params(("name" = String, Path), Paging),
    responses((status = 200, body = Listed<SetAsideEvent>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
    Segments(name): Segments<String>,
    Query(paging): Query<Paging>,
) -> Result<Answered<Listed<SetAsideEvent>>, ApiError> {
    let name = named(&shared, &name)?;
    shared
        .reached(&caller, name, paging.min_position.as_deref())
        .await?;
    let scope = format!("{name} letters");
    let limit = paging.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(QueryError::BadLimit.into());
    }
    let after = match &paging.cursor {
        Some(text) => {
            let content = shared.cursor_given(&scope, caller.sub().as_str(), text)?;
            let place = <[u8; 8]>::try_from(content).unwrap_or([u8::MAX; 8]);
            Position(u64::from_be_bytes(place))
        }
        None => Position::START,
    };
    let position = shared.reads.applied(name);
    let letters = shared.reads.letters(name, after, limit + 1);
    let next = letters.get(limit).and(letters.get(limit - 1));
    let next_cursor = next.map(|last| {
        let content = last.position.0.to_be_bytes();
        shared.cursor_shown(&scope, caller.sub().as_str(), &content)
    });
    let mut items: Vec<_> = letters
        .into_iter()
        .take(limit)
        .map(|letter| shown(&shared, &caller, letter))
        .collect();
    if next_cursor.is_none() {
        items.extend(stopped(&shared, &caller, name).await?);
    }
    Ok(shared.standing_at(&caller, position, Listed { items, next_cursor }))
}

/// Tries again what a view has set aside.
#[utoipa::path(post, path = "/v1/views/{name}/letters/retry", tag = "operator", params(("name" = String, Path), Which),
    responses((status = 200, body = CameOf)))]
async fn retry(
    Extract(shared): Extract<State>,
    caller: Caller<AsOperator>,
    Segments(name): Segments<String>,
    Query(which): Query<Which>,
) -> Result<Answered<CameOf>, ApiError> {
    let name = named(&shared, &name)?;
    let retry = match (which.stream, which.version) {
        (None, None) => Retry::All,
        (Some(stream), Some(version)) => {
            let letter = shared.reads.letter(name, &stream, version);
            match letter.filter(|letter| letter.cause.is_some()) {
                Some(letter) => Retry::One(letter.position),
                None => return Err(nothing_of_it(&shared, name, &stream, version)),
            }
        }
        (stream, _) => {
            let field = if stream.is_some() {
                "version"
            } else {
                "stream"
            };
            let words = "An event is named by `stream` and `version` together.";
            let code = FieldCode::Missing;
            return Err(ApiError::at_field(Code::InvalidQuery, field, code, words));
        }
    };
    let tried = shared.reads.retry(name, retry).await.map_err(refused)?;
    shared.following.tell_everybody();
    let SetAside { failed, waiting } = shared.reads.set_aside(name);
    let position = caller.shows(&shared, shared.reads.applied(name));
    let came = CameOf {
        applied: tried.applied,
        failed: tried.failed,
        left_failed: failed,
        left_waiting: waiting,
        position: position.clone(),
    };
    Ok(Answered::ok(position, came))
}

/// Has a view do without an event that it cannot apply.
#[utoipa::path(post, path = "/v1/views/{name}/letters/skip", tag = "operator", params(("name" = String, Path)),
    request_body = Skip,
    responses((status = 200, body = Remaining), (status = 409, description = "`event_waits`", body = Problem)))]
async fn skip(
    Extract(shared): Extract<State>,
    acting: Acting<AsOperator>,
    Segments(name): Segments<String>,
    Json(skip): Json<Skip>,
) -> Result<Answered<Remaining>, ApiError> {
    let name = named(&shared, &name)?;
    let Skip {
        stream,
        version,
        reason,
        text,
    } = skip;
    text::check(&text, STATEMENT_LIMITS).map_err(|problem| text_of_body("text", problem))?;
    let failed = match shared.reads.letter(name, &stream, version) {
        Some(letter) => letter.cause.is_some(),
        None => match stopped_before(&shared, name).await? {
            Some((event, _)) => event.stream() == stream && event.version() == version,
            None => false,
        },
    };
    let decided = shared.reads.does_without(name, &stream, version).await;
    if let Some(position) = decided.map_err(refused)? {
        // It was so already; a view that had stopped may not have looked since.
        if failed {
            shared.reads.retry(name, Retry::No).await.map_err(refused)?;
        }
        let position = acting.caller.shows(&shared, position);
        return Ok(remaining(&shared, name, position));
    }
    if !failed {
        return Err(nothing_of_it(&shared, name, &stream, version));
    }
    let view = ViewId::new(name.as_str()).map_err(|_| Code::NotFound)?;
    let command = Command::SkipEvent {
        view,
        view_version: shared.reads.version(name),
        stream,
        version,
        reason,
        text,
    };
    let (outcome, position) = shared.carry_out(&acting, command).await?;
    // The view meets the event by itself, unless it has stopped before another one.
    let within = shared.options.view_wait;
    if let Err(WaitError::Stopped(_)) = shared.reads.wait(name, outcome.position, within).await {
        shared.reads.retry(name, Retry::No).await.map_err(refused)?;
    }
    shared.following.tell_everybody();
    Ok(remaining(&shared, name, position))
}

fn remaining(shared: &Shared, name: ViewName, position: ShownPosition) -> Answered<Remaining> {
    let SetAside { failed, waiting } = shared.reads.set_aside(name);
    let left = Remaining {
        left_failed: failed,
        left_waiting: waiting,
        position: position.clone(),
    };
    Answered::ok(position, left)
}

/// Why an event is neither tried again nor done without.
fn nothing_of_it(shared: &Shared, name: ViewName, stream: &str, version: u64) -> ApiError {
    if shared.reads.letter(name, stream, version).is_some() {
        return Code::EventWaits.into();
    }
    let words = format!("The view `{name}` has not set aside the event {version} of `{stream}`.");
    ApiError::with_detail(Code::NotFound, words)
}

fn shown(shared: &Shared, caller: &Caller<AsOperator>, letter: Letter) -> SetAsideEvent {
    SetAsideEvent {
        state: if letter.cause.is_some() {
            "failed"
        } else {
            "waiting"
        },
        stream: letter.stream.into(),
        version: letter.version,
        r#type: letter.event_type.into(),
        position: caller.shows(shared, letter.position),
        cause: letter.cause.map(Into::into),
    }
}

/// The event before which a view stays, as the list has it.
async fn stopped(
    shared: &Shared,
    caller: &Caller<AsOperator>,
    name: ViewName,
) -> Result<Option<SetAsideEvent>, ApiError> {
    let found = stopped_before(shared, name).await?;
    Ok(found.map(|(event, cause)| SetAsideEvent {
        state: "stopped",
        stream: event.stream().to_owned(),
        version: event.version(),
        r#type: event.event_type().to_owned(),
        position: caller.shows(shared, event.position()),
        cause: Some(cause),
    }))
}

/// The event before which a view stays, and why. Where its file fails it is the event's fault no more than another's.
async fn stopped_before(
    shared: &Shared,
    name: ViewName,
) -> Result<Option<(event_store::RecordedEvent, String)>, ApiError> {
    let mut states = shared.reads.states().into_iter();
    let state = states.find(|status| status.view == name.as_str());
    let Some(ViewState::Stopped {
        position,
        cause,
        passes: false,
    }) = state.map(|status| status.state)
    else {
        return Ok(None);
    };
    let before = Position(position.0.saturating_sub(1));
    let event = match shared.store.read_at(position).await {
        Ok(event) => event,
        Err(error) => {
            let (store, found) = (&*shared.store, &shared.damage);
            return Err(Broken::of(&error, store, found, before).await.into());
        }
    };
    Ok(event.map(|event| (event, cause)))
}

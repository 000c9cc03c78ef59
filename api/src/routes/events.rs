//! `GET /v1/events`: the log itself, for auditors and the host.
//!
//! As JSON a page: events after a position, filtered, with the position to go on from; a page looks at a bounded number of
//! events, so that a filter that matches little answers in bounded time with fewer items. As `application/x-ndjson` every
//! matching event up to the end of the log as it was when asked. Damage of the log is a problem in place of a page, and
//! the last line of lines, after every event that stands before it. Reading the log is noted in the access log.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use event_store::{Direction, LogId, Position, ReadError, RecordedEvent, StreamFrom, damage};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::State;
use crate::caller::{
    AsReader, Caller, DOORSTEP_POSITION, LAST_EVENT_ID, ShownPosition, bearer, last_event_id,
};
use crate::damage::Broken;
use crate::event_filter::EventFilter;
use crate::event_json;
use crate::following::follower::{Follower, Wanted};
use crate::following::frames::Form;
use crate::following::session::{self, Session};
use crate::problem::{ApiError, Code};
use crate::query::Query;
use crate::server::Cut;

/// What cursors of this list are for.
const SCOPE: &str = "events";
/// Events that one page looks at, at most.
const LOOKED_AT_MAX: usize = 20_000;
/// Events and bytes of one reading of the log.
const BLOCK_EVENTS: usize = 2_048;
const BLOCK_BYTES: usize = 1024 * 1024;
/// A page's bytes, beyond which it ends early.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(events))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Events after this position, one that was told; from the beginning when absent.
    after: Option<String>,
    /// `next_cursor` of the page before, instead of `after`.
    cursor: Option<String>,
    /// Items of a page, 1-200, 50 when absent. Of lines and of a stream that goes on: events at most, all when absent.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Of this stream alone: `policy`, or `conversation-`, `member-`, `case-`, `act-` or `reactor-` and an id.
    stream: Option<String>,
    /// Of this type alone, such as `message-sent.v1`; without `.v1`, of every version.
    r#type: Option<String>,
    /// Concerning this member, or done by them: a member, a moderator, the host.
    member: Option<String>,
    /// Goes on with what comes: as `application/x-ndjson` where `Accept` names that, else as `text/event-stream`, which
    /// always goes on.
    follow: Option<bool>,
}

/// Where a reading of the log is.
struct Reading {
    shared: State,
    log_id: LogId,
    filter: EventFilter,
    after: Position,
    /// The end of the log when asked.
    end: Position,
    /// The version to go on from, where one stream is read.
    version: Option<u64>,
    /// Events read at once; fewer near damage, so that what stands before it is told.
    at_once: usize,
    done: bool,
}

impl Reading {
    /// The next events, matching or not, up to the end; none when there are no more.
    async fn block(&mut self) -> Result<Vec<RecordedEvent>, Broken> {
        if self.done {
            return Ok(Vec::new());
        }
        let mut events = loop {
            match self.read().await {
                Ok(events) => break events,
                Err(error) => match damage::fewer(self.at_once) {
                    Some(less) if matches!(error, ReadError::Damaged { .. }) => self.at_once = less,
                    _ => {
                        self.done = true;
                        let (store, found) = (&*self.shared.store, &self.shared.damage);
                        return Err(Broken::of(&error, store, found, self.after).await);
                    }
                },
            }
        };
        let last = events
            .last()
            .map(|event| (event.position(), event.version()));
        match last {
            Some((position, version)) if position < self.end => {
                self.after = self.after.max(position);
                self.version = version.checked_add(1);
            }
            _ => self.done = true,
        }
        events.retain(|event| event.position() <= self.end);
        Ok(events)
    }

    async fn read(&self) -> Result<Vec<RecordedEvent>, ReadError> {
        let store = &self.shared.store;
        match self.filter.stream() {
            Some(stream) => {
                let from = self.version.map_or(StreamFrom::Start, StreamFrom::Version);
                store
                    .read_stream(stream, from, Direction::Forward, self.at_once)
                    .await
            }
            None => store.read_all(self.after, self.at_once, BLOCK_BYTES).await,
        }
    }
}

/// Events of the log, in order.
#[utoipa::path(get, path = "/v1/events", tag = "auditor",
    params(Asked, ("Last-Event-ID" = Option<String>, Header, description = "Of a stream that goes on: where the one before ended. It wins over `after` and `cursor`.")),
    responses((status = 200,
    description = "A page `{\"items\", \"next_cursor\"}`; with `Accept: application/x-ndjson` an event a line, to the end of the log as it was when asked. Lines that cannot go on end with one line `{\"error\": {\"code\", \"detail\", \"position\"}}`: `damaged` with the position of the first event that cannot be read, or null where that is not known. `next_cursor` is null at the end. `text/event-stream` goes on: see the description.",
    content((serde_json::Value = "application/json"), (serde_json::Value = "application/x-ndjson"), (String = "text/event-stream")))))]
async fn events(
    Extract(shared): Extract<State>,
    caller: Caller<AsReader>,
    headers: HeaderMap,
    cut: Option<Extension<Cut>>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    let invalid = |field: &'static str, detail: &'static str| {
        ApiError::field(Code::InvalidQuery, field, detail)
    };
    // A cursor goes on where it was given: in a list of other events it is none.
    let scope = format!(
        "{SCOPE} {:?} {:?} {:?}",
        asked.stream, asked.r#type, asked.member
    );
    let (after, version) = match (&asked.after, &asked.cursor) {
        (Some(text), None) => (shared.position_given(&caller, "after", text)?, None),
        (None, Some(text)) => place(&shared.cursor_given(&scope, caller.sub().as_str(), text)?),
        (None, None) => (Position::START, None),
        (Some(_), Some(_)) => return Err(invalid("cursor", "It is given beside `after`.")),
    };
    let filter = EventFilter::of(
        asked.stream.as_deref(),
        asked.r#type.as_deref(),
        asked.member.as_deref(),
    )
    .map_err(|none| ApiError::field(Code::InvalidQuery, none.field, none.detail))?;
    let wants = Wants::of(&headers, asked.follow)?;
    let (most, usual) = match wants {
        Wants::Page => (projections::LIMIT_MAX, projections::LIMIT_DEFAULT),
        Wants::Lines | Wants::Following(_) => (usize::MAX, usize::MAX),
    };
    let limit = asked.limit.unwrap_or(usual);
    if !(1..=most).contains(&limit) {
        return Err(projections::QueryError::BadLimit.into());
    }
    if let Wants::Following(form) = wants {
        let (after, field) = match last_event_id(&headers)? {
            Some(text) => (
                shared.position_given(&caller, LAST_EVENT_ID, text)?,
                LAST_EVENT_ID,
            ),
            None => (after, "after"),
        };
        let wanted = Wanted {
            form,
            filter,
            after,
            limit,
        };
        begins(&shared, field, after).await?;
        return follow(&shared, &caller, &headers, cut, field, wanted).await;
    }
    // What a cursor holds was read from the log.
    if asked.after.is_some() {
        begins(&shared, "after", after).await?;
    }
    let lines = wants == Wants::Lines;
    let end = shared.store.durable_position();
    tracing::info!(target: "doorstep::access", reader = caller.sub().as_str(), after = after.0, end = end.0, "the log is read");
    let reading = Reading {
        log_id: shared.store.log_id(),
        filter,
        at_once: BLOCK_EVENTS,
        after,
        end,
        version,
        done: after >= end,
        shared: Arc::clone(&shared),
    };
    let shown = ShownPosition::Number(end.0);
    let (body, media_type) = if lines {
        (all_lines(reading, after, limit), "application/x-ndjson")
    } else {
        let (mut body, next) = page(reading, after, limit).await?;
        match next {
            Some(content) => {
                body.push(b'"');
                body.extend_from_slice(
                    shared
                        .cursor_shown(&scope, caller.sub().as_str(), &content)
                        .as_bytes(),
                );
                body.extend_from_slice(b"\"}");
            }
            None => body.extend_from_slice(b"null}"),
        }
        (Body::from(body), "application/json")
    };
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
        .headers_mut()
        .insert(DOORSTEP_POSITION, shown.to_header());
    Ok(response)
}

/// Refuses to begin after what is no place of the log: a number between two of a cluster's positions.
async fn begins(shared: &State, field: &'static str, after: Position) -> Result<(), ApiError> {
    match shared.is_place(after).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiError::field(
            Code::InvalidQuery,
            field,
            format!("No event has position {after}; give back a position as it was told."),
        )),
        Err(error) => {
            let (store, found) = (&*shared.store, &shared.damage);
            Err(Broken::of(&error, store, found, after).await.into())
        }
    }
}

/// A stream that goes on.
async fn follow(
    shared: &State,
    caller: &Caller<AsReader>,
    headers: &HeaderMap,
    cut: Option<Extension<Cut>>,
    field: &'static str,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let place = shared.following.follow(cut.map(|cut| cut.0))?;
    let there = shared.comes_to(wanted.after).await;
    let end = shared.store.durable_position();
    if !there {
        // Who waited for it would not notice that it is another log's.
        let detail = format!("The log ends at position {end}; nobody was given a later one.");
        return Err(ApiError::field(Code::InvalidQuery, field, detail));
    }
    tracing::info!(target: "doorstep::access", reader = caller.sub().as_str(), after = wanted.after.0, "the log is followed");
    let form = wanted.form;
    let session = Session::new(shared, place, bearer(headers)?);
    let body = session::body(Follower::new(session, wanted));
    Ok(session::answer(body, form, &ShownPosition::Number(end.0)))
}

/// What a caller wants of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// A page.
    Page,
    /// All lines up to the end.
    Lines,
    /// What comes as well.
    Following(Form),
}

impl Wants {
    /// By the media types that are named, in order: lines wherever they are, then the first that there is.
    fn of(headers: &HeaderMap, follow: Option<bool>) -> Result<Self, ApiError> {
        let accept = headers.get(header::ACCEPT);
        let accept = accept.map_or("*/*", |accept| accept.to_str().unwrap_or(""));
        let named = || {
            accept
                .split(',')
                .map(|part| part.split(';').next().unwrap_or("").trim())
        };
        if named().any(|part| part == "application/x-ndjson") {
            return Ok(match follow {
                Some(true) => Wants::Following(Form::Lines),
                Some(false) | None => Wants::Lines,
            });
        }
        let any_of = |types: &[&str]| named().any(|part| types.contains(&part));
        if follow == Some(true) {
            return if any_of(&["text/event-stream", "text/*", "*/*", ""]) {
                Ok(Wants::Following(Form::Events))
            } else {
                Err(Code::NotAcceptable.into())
            };
        }
        let exact = named().find_map(|part| match part {
            "application/json" => Some(Wants::Page),
            "text/event-stream" => Some(Wants::Following(Form::Events)),
            _ => None,
        });
        match exact {
            Some(Wants::Following(_)) if follow.is_some() => Err(ApiError::field(
                Code::InvalidQuery,
                "follow",
                "`text/event-stream` always goes on; leave it out, or accept `application/x-ndjson`.",
            )),
            Some(wants) => Ok(wants),
            None if any_of(&["application/*", "*/*", ""]) => Ok(Wants::Page),
            None => Err(Code::NotAcceptable.into()),
        }
    }
}

/// The place that a cursor names: after which position, and in a stream from which version.
fn place(content: &[u8]) -> (Position, Option<u64>) {
    let number = |bytes: Option<&[u8; 8]>| bytes.map(|bytes| u64::from_be_bytes(*bytes));
    let (position, rest) = content
        .split_first_chunk::<8>()
        .map_or((None, content), |(at, rest)| (Some(at), rest));
    (
        Position(number(position).unwrap_or(0)),
        number(rest.first_chunk::<8>()),
    )
}

/// A page but for its cursor, and the content of that.
async fn page(
    mut reading: Reading,
    after: Position,
    limit: usize,
) -> Result<(Vec<u8>, Option<Vec<u8>>), ApiError> {
    let mut body = b"{\"items\":[".to_vec();
    let (mut items, mut looked_at) = (0, 0);
    let mut came_to = None;
    let mut more = true;
    'reading: loop {
        let events = match reading.block().await {
            Ok(events) => events,
            // The page is whole; the next one tells.
            Err(_) if items == limit => break,
            Err(broken) => return Err(broken.into()),
        };
        if events.is_empty() && reading.done {
            more = false;
            break;
        }
        for event in events {
            if event.position() <= after {
                continue;
            }
            if items == limit || looked_at == LOOKED_AT_MAX || body.len() > PAGE_BYTES {
                break 'reading;
            }
            looked_at += 1;
            came_to = Some((event.position(), event.version()));
            if reading.filter.takes(&event) {
                if items > 0 {
                    body.push(b',');
                }
                event_json::write(reading.log_id, &event, &mut body);
                items += 1;
            }
        }
    }
    body.extend_from_slice(b"],\"next_cursor\":");
    let next = came_to.filter(|_| more).map(|(position, version)| {
        let mut content = position.0.to_be_bytes().to_vec();
        if reading.filter.stream().is_some() {
            content.extend_from_slice(&version.saturating_add(1).to_be_bytes());
        }
        content
    });
    Ok((body, next))
}

fn all_lines(reading: Reading, after: Position, limit: usize) -> Body {
    let blocks = futures::stream::try_unfold(
        (reading, limit),
        move |(mut reading, mut left)| async move {
            loop {
                let events = match reading.block().await {
                    Ok(events) => events,
                    // The answer has begun well: its last line says why it ends.
                    Err(broken) => {
                        return Ok(Some((Bytes::from(broken.line()), (reading, 0))));
                    }
                };
                if left == 0 || (events.is_empty() && reading.done) {
                    return Ok::<_, std::io::Error>(None);
                }
                let mut lines = Vec::new();
                for event in events {
                    if left > 0 && event.position() > after && reading.filter.takes(&event) {
                        event_json::write(reading.log_id, &event, &mut lines);
                        lines.push(b'\n');
                        left -= 1;
                    }
                }
                if !lines.is_empty() {
                    return Ok(Some((Bytes::from(lines), (reading, left))));
                }
            }
        },
    );
    Body::from_stream(blocks)
}

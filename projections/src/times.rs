//! `times`: which part of the log was there at a time?
//!
//! A time *T* means the end of the longest prefix of the log in which no `at` is later than *T*: what was imported later
//! about earlier was not known then. The view notes the latest `at` so far at every 1,024th event, by position and by
//! that time; what lies between two notes is read from the log, at most [`SPARSE_EVENTS`] events a question. Bound: two
//! rows per 1,024 events.

use domain::event::Event;
use domain::time::Timestamp;
use event_store::{EventStore, Position, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::key::{Key, Parts};
use tables::{ApplyError, Order, Reader, Span, Tx, View};

use crate::ViewName;
use crate::codec::DomainCodec;
use crate::rows::{decode, load, store};

const BY_POSITION: &str = "by_position";
const BY_TIME: &str = "by_time";
const LAST: &str = "last";
const LAST_KEY: &[u8] = b"last";

/// How many events lie between two notes.
pub(crate) const SPARSE_EVENTS: u64 = 1_024;
/// Events read at once between two notes.
const BLOCK_EVENTS: usize = 256;
/// Bytes read at once between two notes.
const BLOCK_BYTES: usize = 1024 * 1024;

/// The end of what was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    /// The latest `at` so far.
    at: i64,
    /// Events since the last note.
    since: u64,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times;

impl View<DomainCodec> for Times {
    fn name(&self) -> &'static str {
        ViewName::Times.as_str()
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[BY_POSITION, BY_TIME, LAST]
    }

    /// Its rows are an order over the whole log.
    fn letters_max(&self) -> usize {
        0
    }

    fn apply_header(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
    ) -> Option<Result<(), ApplyError>> {
        Some(Self::note(tx, recorded))
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        _decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        Self::note(tx, recorded)
    }
}

impl Times {
    fn note(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<(), ApplyError> {
        let last: Option<Last> = load(tx, LAST, LAST_KEY)?;
        let mut last = last.unwrap_or(Last {
            at: i64::MIN,
            since: 0,
        });
        last.at = last.at.max(recorded.at_ms());
        last.since += 1;
        if last.since == SPARSE_EVENTS {
            last.since = 0;
            let position = recorded.position().0;
            store(tx, BY_POSITION, &Key::new().u64(position), &last.at)?;
            tx.put(BY_TIME, &Key::new().i64(last.at).u64(position), &[])?;
        }
        store(tx, LAST, LAST_KEY, &last)
    }
}

/// The end of the longest prefix of the log, up to `end`, in which no `at` is later than `time`.
pub(crate) async fn position_at(
    reader: &Reader,
    log: &dyn EventStore,
    time: Timestamp,
    end: Position,
) -> anyhow::Result<Position> {
    let span = Span::all().through(&Key::new().i64(time.0).u64(end.0));
    let noted = reader
        .scan(BY_TIME, &span, Order::Descending)?
        .next()
        .transpose()?;
    let noted = noted.and_then(|(key, _)| {
        let mut parts = Parts::of(&key);
        parts.i64()?;
        parts.u64()
    });
    let mut reached = Position(noted.unwrap_or(Position::START.0)).min(end);
    loop {
        let events = log.read_all(reached, BLOCK_EVENTS, BLOCK_BYTES).await?;
        if events.is_empty() {
            return Ok(reached);
        }
        for event in &events {
            if event.position() > end || event.at_ms() > time.0 {
                return Ok(reached);
            }
            reached = event.position();
        }
    }
}

/// The latest `at` of the log up to `position`; none before the first event.
pub(crate) async fn latest_at(
    reader: &Reader,
    log: &dyn EventStore,
    position: Position,
) -> anyhow::Result<Option<Timestamp>> {
    let span = Span::all().through(&Key::new().u64(position.0));
    let noted = reader
        .scan(BY_POSITION, &span, Order::Descending)?
        .next()
        .transpose()?;
    let (mut reached, mut latest) = (Position::START, None);
    if let Some((key, value)) = noted {
        let noted = Parts::of(&key).u64().unwrap_or(Position::START.0);
        reached = Position(noted);
        latest = Some(decode::<i64>(BY_POSITION, &value)?);
    }
    while reached < position {
        let events = log.read_all(reached, BLOCK_EVENTS, BLOCK_BYTES).await?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            if event.position() > position {
                return Ok(latest.map(Timestamp));
            }
            latest = latest.max(Some(event.at_ms()));
            reached = event.position();
        }
    }
    Ok(latest.map(Timestamp))
}

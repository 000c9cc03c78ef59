//! Reads streams up to a position and merges them into the order of the log, within bounds.

use std::collections::BTreeSet;

use event_store::{Direction, EventStore, Position, RecordedEvent, StreamFrom, StreamName};

use super::PastError;

/// Events read at once.
pub(super) const BLOCK_EVENTS: usize = 1_024;
/// Bytes read at once, where the whole log is read.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;

/// What one question may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Events, wanted by a view or not: the time it takes.
    pub events_max: usize,
    /// Bytes of the events that are folded: the memory it takes.
    pub bytes_max: usize,
    /// Streams.
    pub streams_max: usize,
}

impl Default for Bounds {
    /// 200,000 events, 64 MiB of them, 20,000 streams.
    fn default() -> Self {
        Self {
            events_max: 200_000,
            bytes_max: 64 << 20,
            streams_max: 20_000,
        }
    }
}

/// The events of some streams, in the log's order.
pub(super) struct Gathered {
    /// Those that are wanted.
    pub(super) events: Vec<RecordedEvent>,
    /// How many were read.
    pub(super) read: usize,
}

/// The wanted events of these streams up to `until`.
pub(super) async fn gather(
    log: &dyn EventStore,
    streams: &BTreeSet<String>,
    until: Position,
    wanted: &(dyn Fn(&str) -> bool + Send + Sync),
    bounds: Bounds,
) -> Result<Gathered, PastError> {
    if streams.len() > bounds.streams_max {
        return Err(PastError::TooMuch(bounds));
    }
    let (mut events, mut read, mut bytes) = (Vec::new(), 0, 0);
    for stream in streams {
        let name = StreamName::new(stream.as_str()).map_err(anyhow::Error::from)?;
        let mut from = StreamFrom::Start;
        loop {
            let page = log
                .read_stream(&name, from, Direction::Forward, BLOCK_EVENTS)
                .await?;
            let whole = page.len() < BLOCK_EVENTS;
            let mut passed = false;
            for event in page {
                if event.position() > until {
                    passed = true;
                    break;
                }
                read += 1;
                from = StreamFrom::Version(event.version().saturating_add(1));
                if wanted(event.event_type()) {
                    bytes += event.bytes().len();
                    // Else it would keep the whole block that it was read with.
                    events.push(event.detached());
                }
                if read > bounds.events_max || bytes > bounds.bytes_max {
                    return Err(PastError::TooMuch(bounds));
                }
            }
            if whole || passed {
                break;
            }
            // A store may read without ever waiting: let others pass between two pages.
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    }
    events.sort_unstable_by_key(RecordedEvent::position);
    Ok(Gathered { events, read })
}

//! The trait that every store fulfils, with its tickets and subscriptions.
//!
//! The promise: positions and versions are fixed in the order in which `append` resolves; readers
//! see the log up to the durable position and not one event further. What a store must do beyond
//! its signatures is written as tests in `conformance`.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    Append, AppendError, Direction, Lease, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName,
};

/// How much of a decision a store checks when it appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// The written stream and every stream read, at once: decisions are serializable.
    Serializable,
    /// The written stream alone.
    WrittenStreamOnly,
}

/// An event store.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// The log's identity.
    fn log_id(&self) -> LogId;

    /// The log's schema level: what is appended is of a type and version that programs of this level read.
    fn schema_level(&self) -> u32;

    /// What an append checks.
    fn grade(&self) -> Grade;

    /// Fixes the place of the events and gives a ticket to wait on. What the ticket names is not
    /// durable, and not readable, before [`Ticket::durable`] says so.
    async fn append(&self, append: Append) -> Result<Ticket, AppendError>;

    /// The same for a caller that has nothing else on its way: the store may make the events durable
    /// on the calling thread before it gives the ticket, which spares two wake-ups.
    async fn append_alone(&self, append: Append) -> Result<Ticket, AppendError> {
        self.append(append).await
    }

    /// The same for events that another log recorded, with the time at which it recorded each, in milliseconds: that is
    /// their `recorded_at` here. Where it would fall below that of this log's last event, and that may not be, nothing is
    /// written ([`AppendError::Unfit`]). The default takes no such events.
    async fn append_recorded(
        &self,
        _append: Append,
        _recorded_at_ms: Vec<i64>,
    ) -> Result<Ticket, AppendError> {
        let what = "events that another log recorded";
        Err(AppendError::Unfit { what })
    }

    /// At most `max` events of a stream, beginning at `from` (included). An absent stream is empty.
    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError>;

    /// The event of a stream with this version.
    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError>;

    /// Events of the whole log after a position, in order; at least one where there is one, however
    /// small the bounds. Empty means the durable end.
    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError>;

    /// The event at this position, where one is.
    async fn read_at(&self, position: Position) -> Result<Option<RecordedEvent>, ReadError> {
        let Some(before) = position.0.checked_sub(1) else {
            return Ok(None);
        };
        let events = self.read_all(Position(before), 1, 1).await?;
        Ok(events
            .into_iter()
            .find(|event| event.position() == position))
    }

    /// At most `max` events of the whole log before a position, the last first; fewer only where there are no more. The
    /// default reads forward from ever further back, which costs little where positions have no gaps.
    async fn read_all_backward(
        &self,
        before: Position,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let max = max.max(1);
        let last = before.0.saturating_sub(1).min(self.durable_position().0);
        let mut span = u64::try_from(max).unwrap_or(u64::MAX);
        loop {
            let mut after = Position(last.saturating_sub(span));
            let begun = after == Position::START;
            let mut found = VecDeque::with_capacity(max.min(BLOCK_EVENTS_MAX));
            'blocks: loop {
                let block = self
                    .read_all(after, BLOCK_EVENTS_MAX, BLOCK_BYTES_MAX)
                    .await?;
                if block.is_empty() {
                    break;
                }
                for event in block {
                    if event.position() >= before {
                        break 'blocks;
                    }
                    after = event.position();
                    if found.len() == max {
                        found.pop_front();
                    }
                    found.push_back(event);
                }
            }
            if begun || found.len() == max {
                return Ok(found.into_iter().rev().collect());
            }
            span = span.saturating_mul(4);
        }
    }

    /// The last durable event of a stream.
    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError>;

    /// The position up to which events are durable.
    fn durable_position(&self) -> Position;

    /// How many events are between two positions, about: exactly so many where positions have no gaps, which the default
    /// takes for granted.
    fn events_between(&self, from: Position, to: Position) -> u64 {
        to.0.saturating_sub(from.0)
    }

    /// The durable position as it changes. The sender goes away when the store ends.
    fn durable_changes(&self) -> watch::Receiver<Position>;

    /// Waits until the position is durable.
    async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown>;

    /// History after a position, then what comes, without a gap.
    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError>;

    /// The lease of what one of the log's nodes does for all; none where this program is the only node.
    fn lease(&self) -> Option<Arc<dyn Lease>> {
        None
    }
}

/// A future that ends when a ticket's events are durable.
pub type Durable = Pin<Box<dyn Future<Output = Result<Position, OutcomeUnknown>> + Send>>;

/// The place of appended events, fixed but not yet durable.
#[must_use = "events are not durable before the ticket says so"]
pub struct Ticket {
    /// The version of the first event.
    pub first_version: u64,
    /// The version of the last event.
    pub last_version: u64,
    /// The position of the first event.
    pub first_position: Position,
    /// The position of the last event.
    pub last_position: Position,
    /// Events of the same ids were already there, and nothing was written. Where others append to the log, they may be
    /// another's, who decided the same command otherwise, or it is not known whose they are: read what they say.
    pub repeated: bool,
    durable: Durable,
}

impl Ticket {
    /// A ticket of a store, with what to wait on.
    pub fn new(
        versions: (u64, u64),
        positions: (Position, Position),
        repeated: bool,
        durable: Durable,
    ) -> Self {
        Self {
            first_version: versions.0,
            last_version: versions.1,
            first_position: positions.0,
            last_position: positions.1,
            repeated,
            durable,
        }
    }

    /// Waits until the last event is durable, and gives its position. Dropping the ticket leaves
    /// the append as it is.
    pub async fn durable(self) -> Result<Position, OutcomeUnknown> {
        self.durable.await
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("first_version", &self.first_version)
            .field("last_version", &self.last_version)
            .field("first_position", &self.first_position)
            .field("last_position", &self.last_position)
            .field("repeated", &self.repeated)
            .finish_non_exhaustive()
    }
}

/// What a subscription draws on.
#[async_trait]
pub trait Source: Send {
    /// The next events, at least one; waits where there is none yet.
    async fn next(&mut self) -> Result<Vec<RecordedEvent>, ReadError>;
}

/// The log from a position on: history, then what comes, in order and without a gap.
pub struct Subscription {
    source: Box<dyn Source>,
}

impl Subscription {
    /// A subscription over a store's own source.
    pub fn new(source: Box<dyn Source>) -> Self {
        Self { source }
    }

    /// A subscription that reads blocks of the log whenever the durable position moves.
    pub fn reading(store: Arc<dyn EventStore>, after: Position) -> Self {
        let changes = store.durable_changes();
        Self::new(Box::new(Reading {
            store,
            after,
            changes,
        }))
    }

    /// The next events, at least one; waits where there is none yet. Safe to drop while waiting.
    pub async fn next(&mut self) -> Result<Vec<RecordedEvent>, ReadError> {
        self.source.next().await
    }
}

/// Events of one block of a subscription at most.
const BLOCK_EVENTS_MAX: usize = 4096;
/// Bytes of one block of a subscription at most.
const BLOCK_BYTES_MAX: usize = 1024 * 1024;

struct Reading {
    store: Arc<dyn EventStore>,
    after: Position,
    changes: watch::Receiver<Position>,
}

#[async_trait]
impl Source for Reading {
    async fn next(&mut self) -> Result<Vec<RecordedEvent>, ReadError> {
        loop {
            self.changes.borrow_and_update();
            let events = self
                .store
                .read_all(self.after, BLOCK_EVENTS_MAX, BLOCK_BYTES_MAX)
                .await?;
            if let Some(last) = events.last() {
                self.after = last.position();
                return Ok(events);
            }
            self.changes
                .changed()
                .await
                .map_err(|_| ReadError::Closed)?;
        }
    }
}

//! A log that is read alone, in memory: what the runner sees of a store, for tests and measurements.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use parking_lot::RwLock;
use tokio::sync::watch;

/// Events in memory, served in order of position. It takes no appends: [`Log::push`] adds to it.
pub struct Log {
    id: LogId,
    events: RwLock<Vec<RecordedEvent>>,
    durable: watch::Sender<Position>,
    this: Weak<Self>,
}

impl Log {
    /// A log of these events.
    pub fn new(log_id: LogId, events: Vec<RecordedEvent>) -> Arc<Self> {
        let end = events
            .last()
            .map_or(Position::START, RecordedEvent::position);
        Arc::new_cyclic(|this| Self {
            id: log_id,
            events: RwLock::new(events),
            durable: watch::Sender::new(end),
            this: Weak::clone(this),
        })
    }

    /// All of its events.
    pub fn all(&self) -> Vec<RecordedEvent> {
        self.events.read().clone()
    }

    /// Adds events at its end.
    pub fn push(&self, events: impl IntoIterator<Item = RecordedEvent>) {
        let mut log = self.events.write();
        log.extend(events);
        let end = log.last().map_or(Position::START, RecordedEvent::position);
        drop(log);
        self.durable.send_replace(end);
    }
}

#[async_trait]
impl EventStore for Log {
    fn log_id(&self) -> LogId {
        self.id
    }

    fn schema_level(&self) -> u32 {
        1
    }

    fn grade(&self) -> Grade {
        Grade::Serializable
    }

    async fn append(&self, _append: Append) -> Result<Ticket, AppendError> {
        Err(AppendError::Closed)
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let log = self.events.read();
        let of_stream = log.iter().filter(|event| event.stream() == stream.as_str());
        let found = match (direction, from) {
            (Direction::Forward, StreamFrom::Start) => of_stream.take(max).cloned().collect(),
            (Direction::Forward, StreamFrom::End) => {
                of_stream.last().into_iter().cloned().collect()
            }
            (Direction::Forward, StreamFrom::Version(from)) => of_stream
                .filter(|event| event.version() >= from)
                .take(max)
                .cloned()
                .collect(),
            (Direction::Backward, StreamFrom::Start) => of_stream.take(1).cloned().collect(),
            (Direction::Backward, StreamFrom::End) => of_stream.rev().take(max).cloned().collect(),
            (Direction::Backward, StreamFrom::Version(from)) => of_stream
                .rev()
                .filter(|event| event.version() <= from)
                .take(max)
                .cloned()
                .collect(),
        };
        Ok(found)
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let log = self.events.read();
        Ok(log
            .iter()
            .find(|event| event.stream() == stream.as_str() && event.version() == version)
            .cloned())
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let log = self.events.read();
        let from = log.partition_point(|event| event.position() <= after);
        let mut left = max_bytes;
        let enough = |event: &&RecordedEvent| {
            let fits = left > 0;
            left = left.saturating_sub(event.data().len());
            fits
        };
        Ok(log
            .iter()
            .skip(from)
            .take(max_events)
            .take_while(enough)
            .cloned()
            .collect())
    }

    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        let log = self.events.read();
        let last = log
            .iter()
            .rev()
            .find(|event| event.stream() == stream.as_str());
        Ok(last.map(|event| StreamHead {
            version: event.version(),
            position: event.position(),
        }))
    }

    fn durable_position(&self) -> Position {
        *self.durable.borrow()
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        self.durable.subscribe()
    }

    async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown> {
        let mut durable = self.durable.subscribe();
        durable
            .wait_for(|durable| *durable >= position)
            .await
            .map(drop)
            .map_err(|_| OutcomeUnknown)
    }

    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError> {
        let store = self.this.upgrade().ok_or(ReadError::Closed)?;
        Ok(Subscription::reading(store, after))
    }
}

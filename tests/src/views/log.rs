//! A log in memory for the tests of views: events that are there already, and nothing is ever appended.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;

use super::LOG_ID;

/// A log in memory: events that are there already.
pub struct Log {
    events: Vec<RecordedEvent>,
    streams: HashMap<String, Vec<usize>>,
    changes: watch::Sender<Position>,
}

impl Log {
    /// A log of these events.
    pub fn of(events: Vec<RecordedEvent>) -> Arc<Self> {
        let (changes, _) = watch::channel(Position(events.len() as u64));
        let mut streams: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, event) in events.iter().enumerate() {
            streams
                .entry(event.stream().to_owned())
                .or_default()
                .push(index);
        }
        Arc::new(Self {
            events,
            streams,
            changes,
        })
    }

    fn stream(&self, stream: &StreamName) -> Vec<RecordedEvent> {
        let indexes = self.streams.get(stream.as_str()).into_iter().flatten();
        indexes.map(|index| self.events[*index].clone()).collect()
    }
}

#[async_trait]
impl EventStore for Log {
    fn log_id(&self) -> LogId {
        LOG_ID
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
        let mut events = self.stream(stream);
        match (from, direction) {
            (StreamFrom::Version(from), Direction::Forward) => {
                events.retain(|event| event.version() >= from);
            }
            (StreamFrom::Version(from), Direction::Backward) => {
                events.retain(|event| event.version() <= from);
            }
            (StreamFrom::Start, Direction::Backward) | (StreamFrom::End, Direction::Forward) => {
                events.clear();
            }
            (StreamFrom::Start, Direction::Forward) | (StreamFrom::End, Direction::Backward) => {}
        }
        if direction == Direction::Backward {
            events.reverse();
        }
        events.truncate(max);
        Ok(events)
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        Ok(self
            .stream(stream)
            .into_iter()
            .find(|event| event.version() == version))
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        _max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        Ok(self
            .events
            .iter()
            .filter(|event| event.position() > after)
            .take(max_events)
            .cloned()
            .collect())
    }

    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        let last = self.stream(stream).pop();
        Ok(last.map(|event| StreamHead {
            version: event.version(),
            position: event.position(),
        }))
    }

    fn durable_position(&self) -> Position {
        *self.changes.borrow()
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        self.changes.subscribe()
    }

    async fn wait_durable(&self, _position: Position) -> Result<(), OutcomeUnknown> {
        Ok(())
    }

    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError> {
        Ok(Subscription::reading(Self::of(self.events.clone()), after))
    }
}

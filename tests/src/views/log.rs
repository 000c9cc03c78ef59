//! A log in memory for the tests of views: events that were decided elsewhere, and nothing is appended by its trait.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;

use super::LOG_ID;

/// A log in memory: events that are there already, and those that it grows by.
#[derive(Clone)]
pub struct Log {
    held: Arc<RwLock<Held>>,
    changes: watch::Sender<Position>,
}

#[derive(Default)]
struct Held {
    events: Vec<RecordedEvent>,
    streams: HashMap<String, Vec<usize>>,
}

impl Log {
    /// A log of these events.
    pub fn of(events: Vec<RecordedEvent>) -> Arc<Self> {
        let log = Arc::new(Self {
            held: Arc::default(),
            changes: watch::Sender::new(Position::START),
        });
        log.grow(events);
        log
    }

    /// Takes events up, which are durable then.
    pub fn grow(&self, events: Vec<RecordedEvent>) {
        let mut held = self.held.write().unwrap();
        for event in events {
            let index = held.events.len();
            let stream = held.streams.entry(event.stream().to_owned()).or_default();
            stream.push(index);
            held.events.push(event);
        }
        let end = Position(held.events.len() as u64);
        drop(held);
        self.changes.send_replace(end);
    }

    fn stream(&self, stream: &StreamName) -> Vec<RecordedEvent> {
        let held = self.held.read().unwrap();
        let indexes = held.streams.get(stream.as_str()).into_iter().flatten();
        indexes.map(|index| held.events[*index].clone()).collect()
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
        let held = self.held.read().unwrap();
        Ok(held
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
        Ok(Subscription::reading(Arc::new(self.clone()), after))
    }
}

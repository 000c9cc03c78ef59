//! A store in front of the real one that comes to no append of one type: what waits for it waits until the process is
//! killed.
//!
//! Everything is the real store's; it tells the parent process when such an append is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;

use crate::killed;

/// A store that halts before an event.
pub struct Halting {
    store: Arc<dyn EventStore>,
    before: String,
}

impl Halting {
    /// A store that halts before the first event of this type, and tells `halted` then.
    pub fn new(store: Arc<dyn EventStore>, before: &str) -> Self {
        Self {
            store,
            before: before.to_owned(),
        }
    }
}

#[async_trait]
impl EventStore for Halting {
    fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    fn schema_level(&self) -> u32 {
        self.store.schema_level()
    }

    fn grade(&self) -> Grade {
        self.store.grade()
    }

    async fn append(&self, append: Append) -> Result<Ticket, AppendError> {
        let mut events = append.events.iter();
        if events.any(|event| *event.event_type == *self.before) {
            killed::tell("halted");
            std::future::pending::<()>().await;
        }
        self.store.append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.store.read_stream(stream, from, direction, max).await
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        self.store.read_one(stream, version).await
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.store.read_all(after, max_events, max_bytes).await
    }

    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        self.store.head(stream).await
    }

    fn durable_position(&self) -> Position {
        self.store.durable_position()
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        self.store.durable_changes()
    }

    async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown> {
        self.store.wait_durable(position).await
    }

    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError> {
        self.store.subscribe(after).await
    }
}

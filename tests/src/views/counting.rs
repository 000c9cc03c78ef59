//! A store that counts the events that are read from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;

/// Another store, with a count of the events that readers were given; what subscribers follow does not count.
pub struct Counting {
    store: Arc<dyn EventStore>,
    read: AtomicUsize,
}

impl Counting {
    /// Counts over a store.
    pub fn over(store: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            read: AtomicUsize::new(0),
        })
    }

    /// The events read since this was asked last.
    pub fn take(&self) -> usize {
        self.read.swap(0, Ordering::SeqCst)
    }

    fn count(&self, events: usize) {
        self.read.fetch_add(events, Ordering::SeqCst);
    }
}

#[async_trait]
impl EventStore for Counting {
    fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    fn grade(&self) -> Grade {
        self.store.grade()
    }

    fn schema_level(&self) -> u32 {
        self.store.schema_level()
    }

    async fn append(&self, append: Append) -> Result<Ticket, AppendError> {
        self.store.append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let events = self.store.read_stream(stream, from, direction, max).await?;
        self.count(events.len());
        Ok(events)
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let event = self.store.read_one(stream, version).await?;
        self.count(usize::from(event.is_some()));
        Ok(event)
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let events = self.store.read_all(after, max_events, max_bytes).await?;
        self.count(events.len());
        Ok(events)
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

//! A store that counts what is read of it, and else is the store below it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;

/// A store, counted.
pub struct Counted {
    store: Arc<dyn EventStore>,
    readings: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
}

impl Counted {
    /// Counts this one.
    pub fn over(store: Arc<dyn EventStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            readings: AtomicU64::new(0),
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// How often events were read.
    pub fn readings(&self) -> u64 {
        self.readings.load(Ordering::SeqCst)
    }

    /// How many events were read.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::SeqCst)
    }

    /// The events read since this was asked last; counting begins anew.
    pub fn take(&self) -> usize {
        usize::try_from(self.events.swap(0, Ordering::SeqCst)).unwrap_or(usize::MAX)
    }

    /// How many bytes they had.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    fn count(
        &self,
        read: Result<Vec<RecordedEvent>, ReadError>,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.readings.fetch_add(1, Ordering::SeqCst);
        for event in read.iter().flatten() {
            self.events.fetch_add(1, Ordering::SeqCst);
            let bytes = event.bytes().len() as u64;
            self.bytes.fetch_add(bytes, Ordering::SeqCst);
        }
        read
    }
}

#[async_trait]
impl EventStore for Counted {
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

    async fn append_alone(&self, append: Append) -> Result<Ticket, AppendError> {
        self.store.append_alone(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.count(self.store.read_stream(stream, from, direction, max).await)
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let read = self.store.read_one(stream, version).await;
        let read = self.count(read.map(|event| event.into_iter().collect()));
        Ok(read?.pop())
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.count(self.store.read_all(after, max_events, max_bytes).await)
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

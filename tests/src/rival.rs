//! A store in which somebody else is faster: before an append to one stream an event of theirs takes its place.
//!
//! Everything is the real store's: the rival's event is appended to it, and the mismatch is its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, ExpectedVersion, Grade, LogId, OutcomeUnknown,
    Position, ReadError, RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::commands::copy_of;

/// A store with a rival on one stream.
pub struct Rival {
    store: Arc<dyn EventStore>,
    stream: StreamName,
    times: AtomicU32,
}

impl Rival {
    /// A store whose next appends to a stream that has events lose so many times.
    pub fn new(store: Arc<dyn EventStore>, stream: &str, times: u32) -> Self {
        Self {
            store,
            stream: StreamName::new(stream).unwrap(),
            times: AtomicU32::new(times),
        }
    }

    /// Says again what the stream's last event said, as an event of its own.
    async fn be_faster(&self) {
        let last = self
            .store
            .read_stream(&self.stream, StreamFrom::End, Direction::Backward, 1)
            .await
            .unwrap();
        let mut event = copy_of(&last[0]);
        let version = last[0].version();
        event.event_id = Uuid::from_u64_pair(9, version);
        event.correlation_id = Uuid::from_u64_pair(8, version);
        let append = Append {
            stream: self.stream.clone(),
            expected: ExpectedVersion::Exact(version),
            events: vec![event],
            reads: Vec::new(),
        };
        let ticket = self.store.append(append).await.unwrap();
        ticket.durable().await.unwrap();
    }
}

#[async_trait]
impl EventStore for Rival {
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
        let less = |times: u32| times.checked_sub(1);
        if append.stream == self.stream
            && self
                .times
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
        {
            self.be_faster().await;
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

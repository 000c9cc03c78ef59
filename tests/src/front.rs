//! A store in front of another: what it does not do itself, the one behind it does.
//!
//! A store of the tests says which one is behind it and what it does otherwise; all the rest is the real store's.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OutcomeUnknown, Position, ReadError,
    RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;

/// What a store in front of another does otherwise.
#[async_trait]
pub trait Front: Send + Sync + 'static {
    /// Before an append is handed on.
    async fn before(&self, _behind: &dyn EventStore, _append: &Append) {}

    /// Before a stream is read.
    async fn reading(&self, _stream: &StreamName) {}

    /// An event as it is shown.
    fn shows(&self, event: RecordedEvent) -> RecordedEvent {
        event
    }

    /// Before one event is given to who reads it alone.
    async fn giving(&self, _event: &RecordedEvent) -> Result<(), ReadError> {
        Ok(())
    }

    /// When something was read, or could not be.
    fn after_reading(&self, _read: &[RecordedEvent]) {}
}

/// A store in front of another.
pub struct Fronted<F> {
    front: F,
    behind: Arc<dyn EventStore>,
}

impl<F> Fronted<F> {
    /// This in front of that one.
    pub fn over(behind: Arc<dyn EventStore>, front: F) -> Arc<Self> {
        Arc::new(Self { front, behind })
    }
}

impl<F> std::ops::Deref for Fronted<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.front
    }
}

impl<F: Front> Fronted<F> {
    fn told(
        &self,
        read: Result<Vec<RecordedEvent>, ReadError>,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.front
            .after_reading(read.as_deref().unwrap_or_default());
        let shown = |event| self.front.shows(event);
        Ok(read?.into_iter().map(shown).collect())
    }
}

#[async_trait]
impl<F: Front> EventStore for Fronted<F> {
    fn log_id(&self) -> LogId {
        self.behind.log_id()
    }

    fn schema_level(&self) -> u32 {
        self.behind.schema_level()
    }

    fn grade(&self) -> Grade {
        self.behind.grade()
    }

    async fn append(&self, append: Append) -> Result<Ticket, AppendError> {
        self.front.before(&*self.behind, &append).await;
        self.behind.append(append).await
    }

    async fn append_alone(&self, append: Append) -> Result<Ticket, AppendError> {
        self.front.before(&*self.behind, &append).await;
        self.behind.append_alone(append).await
    }

    async fn append_recorded(
        &self,
        append: Append,
        recorded_at_ms: Vec<i64>,
    ) -> Result<Ticket, AppendError> {
        self.front.before(&*self.behind, &append).await;
        self.behind.append_recorded(append, recorded_at_ms).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.front.reading(stream).await;
        let read = self.behind.read_stream(stream, from, direction, max);
        self.told(read.await)
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let read = self.behind.read_one(stream, version).await;
        let read = read.map(|event| event.into_iter().collect());
        let event = self.told(read)?.pop();
        if let Some(event) = &event {
            self.front.giving(event).await?;
        }
        Ok(event)
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let read = self.behind.read_all(after, max_events, max_bytes);
        self.told(read.await)
    }

    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        self.behind.head(stream).await
    }

    fn durable_position(&self) -> Position {
        self.behind.durable_position()
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        self.behind.durable_changes()
    }

    async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown> {
        self.behind.wait_durable(position).await
    }

    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError> {
        self.behind.subscribe(after).await
    }
}

//! The embedded store: a log of append-only segments in one folder.
//!
//! This file is the engine's face: options, opening, stopping and the trait. Ordering stands in
//! `order`, writing in `writer`, reading in `reader`, what runs behind them in `keeper`.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::backend::{Backend, RealBackend};
use crate::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OpenError, OutcomeUnknown, Position,
    ReadError, RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};

/// Ends the process after a failed write or sync; called once everything waiting has its answer.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;
/// The store's clock, in milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How an embedded store is opened.
#[derive(Clone)]
pub struct Options {
    /// Bytes of a segment file.
    pub segment_bytes: u64,
    /// Free bytes of the disk below which appends are refused.
    pub reserve_bytes: u64,
    /// Files of sealed segments held open at most.
    pub max_open_footers: usize,
    /// Bytes ordered but not yet durable at most; appends beyond wait for room.
    pub pending_bytes_max: usize,
    /// Stream heads kept for the check of appends.
    pub heads_max: usize,
    /// The file system.
    pub backend: Arc<dyn Backend>,
    /// How the process ends after a failed write or sync.
    pub on_fatal: OnFatal,
    /// What `recorded_at` is read from.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            reserve_bytes: 256 * 1024 * 1024,
            max_open_footers: 64,
            pending_bytes_max: 8 * 1024 * 1024,
            heads_max: 64 * 1024,
            backend: Arc::new(RealBackend),
            on_fatal: Arc::new(|_| std::process::exit(70)),
            clock: Arc::new(|| 0),
        }
    }
}

/// The embedded event store. Clones share one log; it stops when the last is dropped.
#[derive(Clone)]
pub struct EmbeddedStore {}

impl EmbeddedStore {
    /// Opens the log of a data folder, or makes one.
    pub fn open(_dir: impl AsRef<Path>, _options: Options) -> Result<Self, OpenError> {
        todo!()
    }

    /// Writes what is ordered, marks a clean stop and frees the folder. Appends after it are
    /// `Closed`.
    pub async fn close(&self) {
        todo!()
    }
}

#[async_trait]
impl EventStore for EmbeddedStore {
    fn log_id(&self) -> LogId {
        todo!()
    }

    fn grade(&self) -> Grade {
        Grade::Serializable
    }

    async fn append(&self, _append: Append) -> Result<Ticket, AppendError> {
        todo!()
    }

    async fn read_stream(
        &self,
        _stream: &StreamName,
        _from: StreamFrom,
        _direction: Direction,
        _max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        todo!()
    }

    async fn read_one(
        &self,
        _stream: &StreamName,
        _version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        todo!()
    }

    async fn read_all(
        &self,
        _after: Position,
        _max_events: usize,
        _max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        todo!()
    }

    async fn head(&self, _stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        todo!()
    }

    fn durable_position(&self) -> Position {
        todo!()
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        todo!()
    }

    async fn wait_durable(&self, _position: Position) -> Result<(), OutcomeUnknown> {
        todo!()
    }

    async fn subscribe(&self, _after: Position) -> Result<Subscription, ReadError> {
        todo!()
    }
}

//! The embedded store: a log of append-only segments in one folder.
//!
//! This file is the engine's face: options, opening, stopping and the trait. Ordering stands in
//! `order`, writing in `writer`, reading in `reader`, what runs behind them in `keeper`, opening in
//! `recovery`. Readings block the calling thread for as long as the disk does; what an append has to look
//! up first is read beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use crate::backend::{Backend, RealBackend, create_dirs};
use crate::batch::{BATCH_HEADER, SEGMENT_HEADER};
use crate::copied;
use crate::lock::READERS;
use crate::order::{Attempt, Batch, Head, Heads, LookedUp, Order, Phase, Placed, Room, Times};
use crate::paged::PageCache;
use crate::reader::Reader;
use crate::recovery::{self, Recovery};
use crate::shared::{Shared, Space, Waiters};
use crate::verify::{self, End, Verified};
use crate::{
    Append, AppendError, Direction, EventStore, ExpectedVersion, Grade, LogId, OpenError,
    OutcomeUnknown, Position, ReadError, RecordedEvent, StreamFrom, StreamHead, StreamName,
    Subscription, Ticket, keeper, record, writer,
};

/// Ends the process after a failed write or sync; called once everything waiting has its answer.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;
/// The store's clock, in milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;
/// Is told of every batch; runs on the writer's thread.
pub type Observer = Arc<dyn Fn(&BatchWritten) + Send + Sync>;

/// The exit code of a process whose store failed.
pub const EXIT_STORE_FAILED: i32 = 70;
/// Time left to the answers of what was waiting when the store failed.
const FATAL_GRACE: Duration = Duration::from_millis(250);
/// Bytes of a segment at least.
pub const SEGMENT_BYTES_MIN: u64 = 16 * 1024;
/// Bytes of a segment at most.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A batch that became durable.
#[derive(Clone, Copy, Debug)]
pub struct BatchWritten {
    /// Its events.
    pub events: u32,
    /// Its bytes.
    pub bytes: usize,
    /// How long the sync took.
    pub sync: Duration,
    /// How long writing and syncing took together.
    pub total: Duration,
    /// The durable position after it.
    pub durable: Position,
}

/// How an embedded store is opened.
#[derive(Clone)]
pub struct Options {
    /// Bytes of a segment file: 16 KiB to 1 GiB. An append must fit one segment.
    pub segment_bytes: u64,
    /// Free bytes of the disk below which appends are refused.
    pub reserve_bytes: u64,
    /// Sealed segments whose files are held open at most.
    pub max_open_footers: usize,
    /// Bytes of the cache for the pages of index files.
    pub index_cache_bytes: usize,
    /// Bytes ordered but not yet being written at most; appends beyond wait for room.
    pub pending_bytes_max: usize,
    /// Stream heads kept for the check of appends.
    pub heads_max: usize,
    /// The schema level of events that this program knows; a log above it is refused, a new log gets
    /// it, an older one keeps its own until it is raised.
    pub schema_level: u32,
    /// The file system.
    pub backend: Arc<dyn Backend>,
    /// How the process ends after a failed write or sync: by exit code 70, a moment later.
    pub on_fatal: OnFatal,
    /// What `recorded_at` is read from.
    pub clock: Clock,
    /// Is told of every batch.
    pub observer: Option<Observer>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024 * 1024,
            reserve_bytes: 256 * 1024 * 1024,
            max_open_footers: 64,
            index_cache_bytes: 16 * 1024 * 1024,
            pending_bytes_max: 8 * 1024 * 1024,
            heads_max: 64 * 1024,
            schema_level: 1,
            backend: Arc::new(RealBackend),
            on_fatal: Arc::new(|_| {
                std::thread::sleep(FATAL_GRACE);
                std::process::exit(EXIT_STORE_FAILED)
            }),
            clock: Arc::new(system_clock),
            observer: None,
        }
    }
}

fn system_clock() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The embedded event store. Clones share one log; it stops cleanly when the last is dropped.
#[derive(Clone)]
pub struct EmbeddedStore {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    data_dir: PathBuf,
    recovery: Recovery,
    running: Mutex<Option<Running>>,
}

/// What is freed when the store has stopped.
struct Running {
    threads: Vec<JoinHandle<()>>,
    _lock: Box<dyn Send + Sync>,
}

impl EmbeddedStore {
    /// Opens the log of a data folder, or makes one: the log's files in `DIR/log`, the lock in
    /// `DIR/lock`.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        check(&options)?;
        let data_dir = dir.as_ref().to_owned();
        let log_dir = data_dir.join("log");
        let backend = Arc::clone(&options.backend);
        if copied::is_backup(&*backend, &data_dir) {
            return Err(OpenError::Backup { dir: data_dir });
        }
        // Whoever holds the folder already finds it as it was.
        create_dirs(&*backend, &data_dir)?;
        let lock = lock(&*backend, &data_dir)?;
        create_dirs(&*backend, &log_dir)?;
        let opened = recovery::open(
            &*backend,
            &log_dir,
            options.segment_bytes,
            options.schema_level,
        )?;
        let durable = opened.next_position - 1;
        let reader = Reader::new(
            log_dir.clone(),
            backend,
            opened.catalog,
            durable,
            PageCache::new(options.index_cache_bytes),
            options.max_open_footers,
        );
        let (changes, watched) = watch::channel(Position(durable));
        let order = Order {
            phase: Phase::Running,
            next_position: opened.next_position,
            recorded_at_ms: opened.tail.recorded_at_ms,
            batch: Batch::default(),
            heads: Heads::new(options.heads_max),
            room: Room {
                write_at: opened.tail.active.index.read().end,
                filled: opened.filled,
                segment_bytes: options.segment_bytes,
                next_ready: false,
                demand: 0,
                full: opened.torn.as_ref().map(|_| Instant::now()),
            },
            pending_bytes_max: options.pending_bytes_max,
        };
        let shared = Arc::new(Shared {
            dir: log_dir,
            log_id: opened.identity.log_id,
            schema_level: opened.identity.schema_level,
            order: Mutex::new(order),
            work: Condvar::new(),
            has_work: AtomicBool::new(false),
            tail: Mutex::new(opened.tail),
            sync_nanos: AtomicU64::new(u64::MAX),
            failed: Mutex::default(),
            reader,
            room_changed: Notify::new(),
            waiters: Waiters::default(),
            changes: Mutex::new(Some(changes)),
            watched,
            prepared: Mutex::new(None),
            torn: Mutex::new(opened.torn),
            keeper: Mutex::default(),
            keeper_work: Condvar::new(),
            space: Space::new(options.reserve_bytes),
            options,
        });
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(body)
                .map_err(|e| OpenError::io(&data_dir, e))
        };
        let for_writer = Arc::clone(&shared);
        let writer = spawn("log-writer", Box::new(move || writer::run(&for_writer)))?;
        let for_keeper = Arc::clone(&shared);
        let keeper = spawn("log-keeper", Box::new(move || keeper::run(&for_keeper)))?;
        shared.wake_keeper();
        let running = Running {
            threads: vec![writer, keeper],
            _lock: lock,
        };
        Ok(Self {
            handle: Arc::new(Handle {
                shared,
                data_dir,
                recovery: opened.recovery,
                running: Mutex::new(Some(running)),
            }),
        })
    }

    /// Writes what is ordered, marks a clean stop and frees the folder. Appends after it are
    /// `Closed`; readings go on. Blocks until it is done.
    pub fn close(&self) {
        self.handle.close();
    }

    /// What opening found.
    pub fn recovery(&self) -> &Recovery {
        &self.handle.recovery
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        &self.handle.data_dir
    }

    /// Free bytes of the disk as last asked for, at most a tenth of a second old while appending.
    pub fn free_bytes(&self) -> u64 {
        let shared = &self.handle.shared;
        shared.space.is_low(shared.backend(), &shared.dir);
        shared.space.free()
    }

    /// Checks every record up to the durable position while the store serves. Blocks.
    pub fn verify(&self) -> Result<Verified, OpenError> {
        let (backend, dir, end, _) = self.snapshot();
        verify::check_log(backend, dir, Some(end))
    }

    /// The file system, the folder of the log's files, and the durable end with its position.
    pub(crate) fn snapshot(&self) -> (&dyn Backend, &Path, End, Position) {
        let shared = self.shared();
        let catalog = shared.reader.catalog();
        let mut end = End {
            segment: 0,
            offset: 0,
        };
        let mut position = Position::START;
        if let Some(active) = catalog.open.last() {
            let index = active.index.read();
            end = End {
                segment: active.header.first_position,
                offset: index.end,
            };
            position = Position(index.next_position - 1);
        }
        (shared.backend(), &shared.dir, end, position)
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// What is known of an append whose stream, or a stream read, is elsewhere: the same append again,
    /// or a conflict.
    async fn settle(
        &self,
        append: &Append,
        stream: StreamName,
        expected: ExpectedVersion,
        head: Head,
    ) -> Result<Ticket, AppendError> {
        if stream == append.stream
            && let Some(ticket) = self.repeated(append, head).await?
        {
            return Ok(ticket);
        }
        Err(AppendError::WrongVersion {
            stream,
            expected,
            actual: head.map(|head| head.version),
            position: head.map_or(Position::START, |head| head.position),
        })
    }

    /// The first ticket of an append that was made before: its events stand at its exact versions.
    async fn repeated(&self, append: &Append, head: Head) -> Result<Option<Ticket>, AppendError> {
        let first = append.expected.next();
        let count = append.events.len();
        let last = first
            .saturating_add(crate::wire::len_u64(count))
            .saturating_sub(1);
        let Some(head) = head.filter(|head| last <= head.version) else {
            return Ok(None);
        };
        // They can be ordered and not yet readable.
        let shared = self.shared();
        shared
            .wait_durable(head.position)
            .await
            .map_err(|_| AppendError::Closed)?;
        let stream = append.stream.clone();
        let stored = self
            .aside(move |reader| {
                let from = StreamFrom::Version(first);
                reader.read_stream(&stream, from, Direction::Forward, count)
            })
            .await?;
        let same = stored.len() == count
            && stored
                .iter()
                .zip(&append.events)
                .all(|(a, b)| a.event_id() == b.event_id);
        let (Some(a), Some(b)) = (stored.first(), stored.last()) else {
            return Ok(None);
        };
        let position = b.position();
        Ok(same.then(|| {
            let durable = Box::pin(async move { Ok(position) });
            Ticket::new((first, last), (a.position(), position), true, durable)
        }))
    }

    /// Reads beside the runtime's own threads: who appends may have more to do than to wait for the disk.
    async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let shared = Arc::clone(&self.handle.shared);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime
                .spawn_blocking(move || read(&shared.reader))
                .await
                .map_err(|_| ReadError::Closed)?,
            Err(_) => read(&shared.reader),
        }
    }

    /// Fixes the place of an append; one that comes alone is written here where the disk is quick.
    async fn order(
        &self,
        append: Append,
        recorded_at_ms: Option<&[i64]>,
        alone: bool,
    ) -> Result<Ticket, AppendError> {
        append.check_bounds()?;
        let shared = self.shared();
        let bytes: usize = append
            .events
            .iter()
            .map(|event| record::encoded_len(&append.stream, event))
            .sum();
        let overhead = SEGMENT_HEADER + BATCH_HEADER;
        if crate::wire::len_u64(bytes + overhead) > shared.options.segment_bytes {
            let limit = crate::wire::index(shared.options.segment_bytes) - overhead;
            return Err(AppendError::TooLarge {
                what: "bytes of an append in a segment",
                limit,
            });
        }
        let times = match recorded_at_ms {
            Some(told) => Times::Told(told),
            None => Times::Now((shared.options.clock)()),
        };
        let mut looked_up: Vec<LookedUp> = Vec::new();
        loop {
            // Made before the attempt: it hears of all room made from here on.
            let room = shared.room_changed.notified();
            let space_low = shared.space.is_low(shared.backend(), &shared.dir);
            let durable = shared.reader.durable();
            let attempt = shared
                .order
                .lock()
                .attempt(&append, bytes, times, space_low, durable, &looked_up);
            match attempt {
                Attempt::Placed(placed) => {
                    if placed.wakes && !(alone && writer::write_here(shared)) {
                        shared.has_work.store(true, Ordering::Relaxed);
                        shared.work.notify_one();
                    }
                    return Ok(self.ticket(placed));
                }
                Attempt::LookUp(stream, generation) => {
                    let head = if let Ok(head) = shared.reader.head_in_memory(&stream) {
                        head
                    } else {
                        let asked = stream.clone();
                        self.aside(move |reader| reader.head(&asked)).await?
                    };
                    looked_up.retain(|known| known.generation == generation);
                    looked_up.push(LookedUp {
                        stream,
                        head,
                        generation,
                    });
                }
                Attempt::Mismatch {
                    stream,
                    expected,
                    head,
                } => {
                    return self.settle(&append, stream, expected, head).await;
                }
                Attempt::Falls => {
                    let what = "events recorded before the last one that it has";
                    return Err(AppendError::Unfit { what });
                }
                Attempt::NoRoom => {
                    shared.wake_keeper();
                    room.await;
                }
                Attempt::Full => {
                    shared.retry_room();
                    return Err(AppendError::StorageFull);
                }
                Attempt::Closed => return Err(AppendError::Closed),
            }
        }
    }

    fn ticket(&self, placed: Placed) -> Ticket {
        let shared = Arc::clone(&self.handle.shared);
        let (first, last) = placed.positions;
        let last = Position(last);
        let durable = Box::pin(async move { shared.wait_durable(last).await.map(|()| last) });
        Ticket::new(placed.versions, (Position(first), last), false, durable)
    }
}

fn check(options: &Options) -> Result<(), OpenError> {
    if (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&options.segment_bytes) {
        Ok(())
    } else {
        Err(OpenError::Option {
            name: "segment_bytes",
            what: format!("outside of {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}"),
        })
    }
}

/// Takes the lock of a data folder.
pub(crate) fn lock(
    backend: &dyn Backend,
    data_dir: &Path,
) -> Result<Box<dyn Send + Sync>, OpenError> {
    let path = data_dir.join("lock");
    backend
        .lock(&path)
        .map_err(|error| not_locked(data_dir, path, error))
}

/// Takes the lock of a data folder together with others who only read. A backup has none: nobody writes to it.
pub(crate) fn lock_to_read(
    backend: &dyn Backend,
    data_dir: &Path,
) -> Result<Box<dyn Send + Sync>, OpenError> {
    if copied::is_backup(backend, data_dir) {
        return Ok(Box::new(()));
    }
    let path = data_dir.join("lock");
    backend
        .lock_to_read(&path)
        .map_err(|error| not_locked(data_dir, path, error))
}

fn not_locked(data_dir: &Path, lock: PathBuf, error: std::io::Error) -> OpenError {
    let dir = data_dir.to_owned();
    if error.kind() != std::io::ErrorKind::WouldBlock {
        return OpenError::io(lock, error);
    }
    match error.to_string() {
        readers if readers == READERS => OpenError::BeingRead { dir },
        pid => OpenError::Locked { dir, pid },
    }
}

impl Handle {
    fn close(&self) {
        let running = self.running.lock().take();
        if let Some(running) = running {
            self.shared.stop();
            for thread in running.threads {
                // A handler of `on_fatal` may drop the store on one of its own threads.
                if thread.thread().id() != std::thread::current().id() {
                    let _ = thread.join();
                }
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl EventStore for EmbeddedStore {
    fn log_id(&self) -> LogId {
        self.shared().log_id
    }

    fn schema_level(&self) -> u32 {
        self.shared().schema_level
    }

    fn grade(&self) -> Grade {
        Grade::Serializable
    }

    async fn append(&self, append: Append) -> Result<Ticket, AppendError> {
        self.order(append, None, false).await
    }

    async fn append_recorded(
        &self,
        append: Append,
        recorded_at_ms: Vec<i64>,
    ) -> Result<Ticket, AppendError> {
        append.check_times(&recorded_at_ms)?;
        self.order(append, Some(&recorded_at_ms), false).await
    }

    async fn append_alone(&self, append: Append) -> Result<Ticket, AppendError> {
        self.order(append, None, true).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.shared()
            .reader
            .read_stream(stream, from, direction, max)
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        self.shared().reader.read_one(stream, version)
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.shared().reader.read_all(after, max_events, max_bytes)
    }

    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        self.shared().reader.head(stream)
    }

    fn durable_position(&self) -> Position {
        Position(self.shared().reader.durable())
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        self.shared().watched.clone()
    }

    async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown> {
        self.shared().wait_durable(position).await
    }

    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError> {
        Ok(Subscription::reading(Arc::new(self.clone()), after))
    }
}

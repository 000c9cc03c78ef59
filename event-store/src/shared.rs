//! What the store's threads and callers share, and how the store ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot, watch};

use crate::active::Torn;
use crate::backend::{Backend, BackendFile};
use crate::order::{Order, Phase};
use crate::reader::Reader;
use crate::writer::Tail;
use crate::{LogId, Options, OutcomeUnknown, Position};

/// How often the free space of the disk is asked for, at most.
const SPACE_EVERY: Duration = Duration::from_millis(100);

/// The parts of an open store.
pub(crate) struct Shared {
    /// The folder of the log's files.
    pub(crate) dir: PathBuf,
    pub(crate) log_id: LogId,
    pub(crate) schema_level: u32,
    pub(crate) options: Options,
    pub(crate) order: Mutex<Order>,
    /// The batch has events, or the store is to stop.
    pub(crate) work: Condvar,
    /// The same, to be looked at without the mutex; set by appends, cleared by the writer.
    pub(crate) has_work: AtomicBool,
    /// The end of the log; whoever holds it takes the next batch and writes it.
    pub(crate) tail: Mutex<Tail>,
    /// How long the last batch took to write and sync; the longest there is before the first.
    pub(crate) sync_nanos: AtomicU64,
    /// What failed on a caller's thread, for the writer's to end the process.
    pub(crate) failed: Mutex<Option<String>>,
    pub(crate) reader: Reader,
    /// There may be room again.
    pub(crate) room_changed: Notify,
    pub(crate) waiters: Waiters,
    pub(crate) changes: Mutex<Option<watch::Sender<Position>>>,
    pub(crate) watched: watch::Receiver<Position>,
    /// The next segment, zero-filled.
    pub(crate) prepared: Mutex<Option<Arc<dyn BackendFile>>>,
    /// The torn tail that there was no room to keep aside; there is no room to write until it is.
    pub(crate) torn: Mutex<Option<Torn>>,
    pub(crate) keeper: Mutex<KeeperCall>,
    pub(crate) keeper_work: Condvar,
    pub(crate) space: Space,
}

/// Ends the store when its thread panics, so that nobody waits for ever.
pub(crate) struct EndOnPanic<'a>(pub(crate) &'a Shared);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fatal("a thread of the store panicked");
        }
    }
}

/// What the keeper is called for.
#[derive(Default)]
pub(crate) struct KeeperCall {
    pub(crate) woken: bool,
    pub(crate) stop: bool,
}

impl Shared {
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.options.backend
    }

    /// Has the keeper look what there is to do.
    pub(crate) fn wake_keeper(&self) {
        self.keeper.lock().woken = true;
        self.keeper_work.notify_one();
    }

    /// Has room tried for again where the disk was full some while ago.
    pub(crate) fn retry_room(&self) {
        let now = Instant::now();
        let due = {
            let mut order = self.order.lock();
            let due = order
                .room
                .full
                .is_some_and(|full| now.duration_since(full) >= SPACE_EVERY);
            if due {
                order.room.full = Some(now);
            }
            due
        };
        if due {
            self.wake_keeper();
        }
    }

    /// Waits until a position is durable.
    pub(crate) async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown> {
        if self.reader.durable() >= position.0 {
            return Ok(());
        }
        let Some(reached) = self.waiters.enter(position.0, &self.reader) else {
            return if self.reader.durable() >= position.0 {
                Ok(())
            } else {
                Err(OutcomeUnknown)
            };
        };
        reached.await.map_err(|_| OutcomeUnknown)
    }

    /// Has the writer write what is ordered and end.
    pub(crate) fn stop(&self) {
        let mut order = self.order.lock();
        if order.phase == Phase::Running {
            order.phase = Phase::Stopping;
        }
        drop(order);
        self.work.notify_all();
        self.room_changed.notify_waiters();
    }

    /// Ends the store: nothing is ordered any more, everything waiting is answered.
    pub(crate) fn end(&self) {
        {
            let mut order = self.order.lock();
            order.phase = Phase::Ended;
            order.batch.clear();
        }
        self.work.notify_all();
        self.waiters.end();
        self.changes.lock().take();
        self.room_changed.notify_waiters();
        self.keeper.lock().stop = true;
        self.keeper_work.notify_all();
    }

    /// Ends the store after a failure on a caller's thread. Ending the process is left to the writer's thread: a caller
    /// that stood still for it would keep the answers of others from going out.
    pub(crate) fn fail_from_outside(&self, what: String) {
        *self.failed.lock() = Some(what);
        self.end();
    }

    /// Ends the store after a failure that leaves files in doubt, and the process with it.
    pub(crate) fn fatal(&self, what: &str) {
        tracing::error!(what, "the event store has ended; nothing is retried");
        self.end();
        (self.options.on_fatal)(what);
    }
}

/// Who waits for a position to be durable.
#[derive(Default)]
pub(crate) struct Waiters {
    list: Mutex<WaitList>,
}

#[derive(Default)]
struct WaitList {
    ended: bool,
    waiting: Vec<(u64, oneshot::Sender<()>)>,
}

impl Waiters {
    /// Waits from now on; none where the position is reached or the store has ended.
    fn enter(&self, position: u64, reader: &Reader) -> Option<oneshot::Receiver<()>> {
        let mut list = self.list.lock();
        // The writer moves the durable position before it takes this lock.
        if list.ended || reader.durable() >= position {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        list.waiting.push((position, sender));
        Some(receiver)
    }

    /// Wakes those whose position is durable.
    pub(crate) fn reached(&self, durable: u64) {
        let mut reached = Vec::new();
        {
            let mut list = self.list.lock();
            reached.extend(
                list.waiting
                    .extract_if(.., |(position, _)| *position <= durable),
            );
        }
        for (_, sender) in reached {
            // Whoever went away does not need it.
            let _ = sender.send(());
        }
    }

    fn end(&self) {
        let mut list = self.list.lock();
        list.ended = true;
        list.waiting.clear();
    }
}

/// The free space of the disk, asked for now and then.
pub(crate) struct Space {
    reserve: u64,
    begun: Instant,
    next_ms: AtomicU64,
    low: AtomicBool,
    free: AtomicU64,
}

impl Space {
    pub(crate) fn new(reserve: u64) -> Self {
        Self {
            reserve,
            begun: Instant::now(),
            next_ms: AtomicU64::new(0),
            low: AtomicBool::new(false),
            free: AtomicU64::new(u64::MAX),
        }
    }

    /// Whether the free space is below the reserve.
    pub(crate) fn is_low(&self, backend: &dyn Backend, dir: &std::path::Path) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.begun.elapsed());
        let next = self.next_ms.load(Ordering::Relaxed);
        if now >= next
            && self
                .next_ms
                .compare_exchange(
                    next,
                    now + millis(SPACE_EVERY),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
        {
            match backend.free_bytes(dir) {
                Ok(free) => {
                    self.free.store(free, Ordering::Relaxed);
                    self.low.store(free < self.reserve, Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(%error, "the free space is not known"),
            }
        }
        self.low.load(Ordering::Relaxed)
    }

    /// The free bytes as last asked for.
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }
}

//! The bounds of the write side, its clock and its mode.
//!
//! Every bound stands here beside its reason; the binary fills them from the configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::policy::Rules;
use domain::time::Timestamp;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Whose time the write side lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Commands come now: reactors and timers run by themselves, ids are known for the window, recorded refusals are
    /// limited per member.
    Service,
    /// Commands come from a file, strictly in order, with their own times: reactors and timers run between the
    /// commands, on the log's time; ids are looked up without any window; recorded refusals are not limited.
    Import,
}

/// How a [`CommandHandler`](crate::CommandHandler) works.
#[derive(Clone)]
pub struct Options {
    /// The folder of the write side's own tables; none keeps them in memory (and reads the whole log at start).
    pub dir: Option<PathBuf>,
    /// Whose time it lives in.
    pub mode: Mode,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The rules of the first `policy-set`, appended where the log has none.
    pub initial_policy: Arc<Rules>,
    /// Workers; a stream belongs to one of them. More than the cores does not help.
    pub workers: usize,
    /// Aggregates that one worker holds. Those with events that are not durable stay beyond it.
    pub aggregates_per_worker: usize,
    /// Members whose state is held for decisions on other streams.
    pub members_cached: usize,
    /// Commands that wait for one worker; beyond it the answer is `Busy`.
    pub waiting_per_worker_max: usize,
    /// Refusals of one member recorded within 24 hours; beyond it the answer is `RateLimited`, and nothing is written.
    pub recorded_refusals_per_day_max: u32,
    /// Outcomes of one member that wrote nothing and are kept over a restart, within 24 hours; beyond it they are known
    /// until the stop alone.
    pub unchanged_kept_per_day_max: u32,
    /// Outcomes that wrote nothing and are kept in all, at about 300 bytes each; beyond it the oldest go.
    pub unchanged_kept_max: u64,
    /// How long what follows from events and time is left to the node that does it, before another takes it over. It
    /// decides how soon that moves from a node that died, and how slow a node may be that is well.
    pub lease_patience: Duration,
    /// Memory for knowing that a command id is new without asking the disk.
    pub filter_bytes: usize,
    /// Cache of the write side's own tables.
    pub tables_cache_bytes: usize,
}

impl Options {
    /// The bounds as measured, the system's clock.
    pub fn new(dir: Option<PathBuf>, mode: Mode, initial_policy: Arc<Rules>) -> Self {
        Self {
            dir,
            mode,
            clock: Arc::new(SystemClock),
            initial_policy,
            workers: std::thread::available_parallelism().map_or(2, |cores| cores.get().min(8)),
            aggregates_per_worker: 16_384,
            members_cached: 65_536,
            waiting_per_worker_max: 1024,
            recorded_refusals_per_day_max: 100,
            unchanged_kept_per_day_max: 1_000,
            unchanged_kept_max: 1_000_000,
            lease_patience: Duration::from_secs(4),
            filter_bytes: 24 << 20,
            tables_cache_bytes: 16 << 20,
        }
    }
}

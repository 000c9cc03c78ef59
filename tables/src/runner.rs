//! Follows the log for a set of views: reads and decodes each event once, applies it to each, commits, and tells how
//! far each view is.
//!
//! One task reads ahead, one thread applies. Views that are behind the others skip nothing and see nothing twice: an
//! event at or before a view's checkpoint is passed over. Durable checkpoints are taken one view at a time.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_store::{EventStore, LogId, Position, ReadError, RecordedEvent};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use crate::care::Care;
use crate::feed::{Feed, Taken};
use crate::file::Synced;
use crate::follower::{Decoded, Follower, Log};
use crate::handle::{Inner, RunnerHandle, StopError, ViewHandle};
use crate::make::Maker;
use crate::switch::Order;
use crate::versions::{self, Opening, Versions};
use crate::{Codec, Retry, Skips, TableError, View};

/// Views of one runner at most: which events they want is kept in 64 bits.
pub(crate) const VIEWS_MAX: usize = 64;
/// Batches that may wait in the feed while one is applied.
const FEED_BATCHES: usize = 2;
/// The cache of a file at least; a write transaction needs some pages at once.
const CACHE_BYTES_MIN: usize = 64 << 10;
/// A batch smaller than this is not worth a second thread.
const PARALLEL_EVENTS: usize = 512;
/// A view that has come this near to a moving end of the log has caught up.
pub(crate) const NEAR_EVENTS: u64 = 4_096;
/// Longest sleep of an idle runner.
const IDLE: Duration = Duration::from_mins(1);

/// Where the files lie, and the bounds.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// The folder of the files; none keeps all rows in memory.
    pub dir: Option<PathBuf>,
    /// Cache of all the files together, in bytes.
    pub cache_bytes: usize,
    /// A durable checkpoint of each view at least this often, if it has moved.
    pub checkpoint_every: Duration,
    /// A durable checkpoint of each view after at most about this many events.
    pub checkpoint_events: u64,
    /// Events of one batch at most.
    pub batch_events_max: usize,
    /// Folded rows held in memory by all views together that are being built or catch up, in bytes.
    pub overlay_bytes_max: usize,
    /// Threads that apply a large batch to different views at once.
    pub apply_threads: usize,
    /// Unapplied events past which [`RunnerHandle::room`] makes writers wait.
    pub unapplied_events_max: u64,
}

impl RunnerOptions {
    /// Files in `dir`, the bounds as measured.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: Some(dir.into()),
            ..Self::in_memory()
        }
    }

    /// No files: rows live as long as the runner.
    pub fn in_memory() -> Self {
        Self {
            dir: None,
            cache_bytes: 128 << 20,
            checkpoint_every: Duration::from_secs(5),
            checkpoint_events: 200_000,
            batch_events_max: 16_384,
            overlay_bytes_max: 40 << 20,
            apply_threads: std::thread::available_parallelism()
                .map_or(1, |cores| cores.get().min(4)),
            unapplied_events_max: 100_000,
        }
    }
}

/// Why a runner cannot start, or a rebuild cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Two views bear one name, a name is not one, or there are none or too many.
    #[error("the views cannot stand together: {0}")]
    Views(String),
    /// A file cannot be opened, made or written.
    #[error(transparent)]
    Table(TableError),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Read(#[from] ReadError),
    /// The log does not have what it should.
    #[error("the log cannot be read: {0}")]
    Log(String),
    /// A view cannot apply an event.
    #[error("`{view}` cannot apply the event at {position}: {cause}")]
    Apply {
        /// The view.
        view: &'static str,
        /// The event.
        position: Position,
        /// What it answered.
        cause: String,
    },
    /// It was stopped before it was done.
    #[error("it was stopped before it was done")]
    Stopped,
    /// The thread that applies cannot be started, or ended early.
    #[error("the applying thread: {0}")]
    Thread(String),
}

impl From<TableError> for StartError {
    fn from(error: TableError) -> Self {
        if matches!(error, TableError::Stopped) {
            return Self::Stopped;
        }
        Self::Table(error)
    }
}

/// Starts runners.
pub struct Runner;

impl Runner {
    /// Opens the views' files and follows the log. Does not wait for the views to catch up;
    /// [`RunnerHandle::states`] tells how far they are. Must be called within a tokio runtime.
    pub async fn start<C: Codec>(
        store: Arc<dyn EventStore>,
        codec: C,
        views: Vec<Arc<dyn View<C>>>,
        options: RunnerOptions,
    ) -> Result<RunnerHandle, StartError> {
        check(&views)?;
        let (log_id, durable) = (store.log_id(), store.durable_position());
        let mut skips = Vec::with_capacity(views.len());
        for view in &views {
            let mut of_versions = FxHashMap::default();
            let versions = [
                Some(view.version()),
                view.earlier().map(|view| view.version()),
            ];
            for version in versions.into_iter().flatten() {
                let read = Skips::read(&*store, &codec, (view.name(), version), durable);
                of_versions.insert(version, Arc::new(read.await?));
            }
            skips.push(of_versions);
        }
        let versions = Arc::new(Versions(views));
        let newest = Arc::clone(&versions);
        let (views, options) = tokio::task::spawn_blocking(move || {
            open(&newest.0, &skips, &options, log_id, durable).map(|views| (views, options))
        })
        .await
        .map_err(|error| StartError::Thread(error.to_string()))??;
        let from = views.iter().map(Follower::applied).min().unwrap_or(durable);
        let feed = Feed::new(from, options.batch_events_max * FEED_BATCHES);
        let (stopped, stopping) = watch::channel(None);
        let (orders, ordered) = std::sync::mpsc::channel();
        let codec = Arc::new(codec);
        let maker = Maker {
            store: Arc::clone(&store),
            codec: Arc::clone(&codec),
            versions: Arc::clone(&versions),
        };
        let (reading, read) = watch::channel(());
        let handles = views
            .iter()
            .filter(|view| !view.is_previous)
            .map(|view| Arc::clone(&view.shared))
            .collect::<Vec<_>>();
        let handles = handles
            .into_iter()
            .map(|shared| ViewHandle::new(shared, Arc::clone(&store), Arc::clone(&feed)));
        let inner = Inner {
            views: handles.collect(),
            feed: Arc::clone(&feed),
            stopped: stopping,
            read,
            unapplied_events_max: options.unapplied_events_max,
            care: Care::new(Box::new(maker), orders),
        };
        let running = Running {
            masks: Masks::new(&views),
            views,
            versions,
            codec,
            store: Arc::clone(&store),
            feed: Arc::clone(&feed),
            options,
            orders: ordered,
            runtime: tokio::runtime::Handle::current(),
        };
        thread("views", move || {
            stopped.send_replace(Some(running.run()));
        })?;
        // A store may block where it reads, which is no matter on a thread of its own.
        let runtime = tokio::runtime::Handle::current();
        thread("views-read", move || {
            runtime.block_on(feed.fill(store));
            drop(reading);
        })?;
        Ok(RunnerHandle::new(inner))
    }
}

/// Starts a thread of its own.
pub(crate) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned
        .map(drop)
        .map_err(|error| StartError::Thread(error.to_string()))
}

/// Names of views and tables become names of files and labels.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn check<C: Codec>(views: &[Arc<dyn View<C>>]) -> Result<(), StartError> {
    if views.is_empty() || views.len() > VIEWS_MAX {
        return Err(StartError::Views(format!(
            "{} views; from 1 to {VIEWS_MAX} can run",
            views.len()
        )));
    }
    for (index, view) in views.iter().enumerate() {
        let name = view.name();
        if views.iter().take(index).any(|other| other.name() == name) {
            return Err(StartError::Views(format!("two views are named `{name}`")));
        }
        check_names(name, view.tables())?;
        versions::check(&**view)?;
    }
    Ok(())
}

pub(crate) fn check_names(view: &str, tables: &[&str]) -> Result<(), StartError> {
    for (index, name) in [view].iter().chain(tables).enumerate() {
        if !is_name(name) {
            return Err(StartError::Views(format!(
                "`{name}` of `{view}` is not a name"
            )));
        }
        if index > 0 && tables.iter().take(index - 1).any(|other| other == name) {
            return Err(StartError::Views(format!(
                "`{view}` has two tables `{name}`"
            )));
        }
    }
    Ok(())
}

fn open<C: Codec>(
    views: &[Arc<dyn View<C>>],
    skips: &[FxHashMap<u32, Arc<Skips>>],
    options: &RunnerOptions,
    log_id: LogId,
    durable: Position,
) -> Result<Vec<Follower<C>>, StartError> {
    let count = u32::try_from(views.len()).unwrap_or(u32::MAX);
    let shares: u64 = views.iter().map(|view| u64::from(view.cache_share())).sum();
    let now = Instant::now();
    let mut followers = Vec::with_capacity(views.len());
    let mut kept = Vec::new();
    for ((index, view), skips) in (1..).zip(views).zip(skips) {
        let cache_bytes =
            options.cache_bytes as u64 * u64::from(view.cache_share()) / shares.max(1);
        let opening = Opening {
            skips,
            dir: options.dir.as_deref(),
            log_id,
            durable,
            cache_bytes: usize::try_from(cache_bytes)
                .unwrap_or(options.cache_bytes)
                .max(CACHE_BYTES_MIN),
            due: now + options.checkpoint_every * index / count,
        };
        let (serving, previous) = opening.open(view)?;
        followers.push(serving);
        kept.extend(previous);
    }
    // Behind those that are served, whose places the handles know.
    followers.extend(kept);
    if followers.len() > VIEWS_MAX {
        return Err(StartError::Views(format!(
            "{} files of views; {VIEWS_MAX} can be followed",
            followers.len()
        )));
    }
    Ok(followers)
}

/// Which views want events of a type, found once per type.
pub(crate) struct Masks {
    by_type: FxHashMap<Box<str>, u64>,
}

impl Masks {
    fn new<C: Codec>(views: &[Follower<C>]) -> Self {
        debug_assert!(views.len() <= VIEWS_MAX, "checked at the start");
        Self {
            by_type: FxHashMap::default(),
        }
    }

    /// After the views have changed.
    pub(crate) fn forget(&mut self) {
        self.by_type.clear();
    }

    fn of<C: Codec>(&mut self, views: &[Follower<C>], event_type: &str) -> u64 {
        if let Some(mask) = self.by_type.get(event_type) {
            return *mask;
        }
        let mask = views
            .iter()
            .enumerate()
            .filter(|(_, follower)| follower.view.wants(event_type))
            .fold(0, |mask, (index, _)| mask | (1_u64 << index));
        self.by_type.insert(event_type.into(), mask);
        mask
    }
}

/// The applying thread.
pub(crate) struct Running<C: Codec> {
    /// Those that are served, then those that were.
    pub(crate) views: Vec<Follower<C>>,
    pub(crate) versions: Arc<Versions<C>>,
    pub(crate) masks: Masks,
    pub(crate) codec: Arc<C>,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) feed: Arc<Feed>,
    options: RunnerOptions,
    orders: std::sync::mpsc::Receiver<Order>,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl<C: Codec> Running<C> {
    fn run(mut self) -> Result<(), StopError> {
        // It may be another program now.
        for index in 0..self.views.len() {
            self.try_again(index, Retry::All);
        }
        self.settle();
        loop {
            match self
                .feed
                .take(self.options.batch_events_max, self.wake_at())
            {
                Taken::Events(events) => self.apply(&events),
                Taken::Nothing => {}
                Taken::Asked => {
                    while let Ok(order) = self.orders.try_recv() {
                        self.carry_out(order);
                    }
                }
                Taken::Stop => break,
            }
            self.settle();
        }
        let failures = self.views.iter_mut().filter_map(|view| {
            let name = view.view.name();
            view.close().map(|cause| format!("{name}: {cause}"))
        });
        let failures: Vec<_> = failures.collect();
        if failures.is_empty() {
            Ok(())
        } else {
            Err(StopError(failures.join("; ")))
        }
    }

    fn apply(&mut self, events: &[RecordedEvent]) {
        let masks: Vec<u64> = events
            .iter()
            .map(|event| self.masks.of(&self.views, event.event_type()))
            .collect();
        let behind = self
            .views
            .iter()
            .filter(|view| !view.is_stopped())
            .map(Follower::applied)
            .min();
        let decoded: Vec<Decoded<'_, C>> = events
            .iter()
            .zip(&masks)
            .map(|(event, &mask)| {
                let needed = mask != 0 && behind.is_some_and(|behind| behind < event.position());
                needed.then(|| self.codec.decode(event))
            })
            .collect();
        let now = Instant::now();
        let turn = Turn {
            log: Log {
                store: &*self.store,
                codec: &*self.codec,
                runtime: &self.runtime,
            },
            events,
            decoded: &decoded,
            masks: &masks,
            more: events
                .last()
                .is_some_and(|last| last.position() < self.store.durable_position()),
            overlay_bytes_max: self.options.overlay_bytes_max / self.views.len().max(1),
            durable: self.due(now),
        };
        let threads = if events.len() < PARALLEL_EVENTS {
            1
        } else {
            self.options.apply_threads
        };
        let mut views: Vec<_> = self.views.iter_mut().enumerate().collect();
        // The longest first, so that the threads end together.
        views.sort_by_key(|(_, view)| Reverse(view.took()));
        let views = Mutex::new(views.into_iter());
        let work = || {
            loop {
                let Some((index, view)) = views.lock().next() else {
                    return;
                };
                turn.apply(index, view);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        if let Some(view) = turn.durable.and_then(|index| self.views.get_mut(index)) {
            view.next_durable(now + self.options.checkpoint_every);
        }
    }

    /// Tries again what a view has set aside, where nobody waits for what comes of it.
    fn try_again(&mut self, index: usize, retry: Retry) {
        let has_letters = self.views.get(index).is_some_and(Follower::has_letters);
        if has_letters && let Err(error) = self.reconsider_one(index, retry) {
            tracing::warn!(view = self.name_of(index), %error, "what was set aside is not tried again");
        }
    }

    /// After a batch, or when a time has come: which views have caught up, who needs a durable checkpoint, who may
    /// try again; and the metrics.
    fn settle(&mut self) {
        let now = Instant::now();
        let end = self.store.durable_position();
        for view in &mut self.views {
            view.catch_up(end, NEAR_EVENTS);
        }
        if let Some(at) = self.views.iter().position(Follower::is_overtaken) {
            self.give_up(at);
        }
        for index in 0..self.views.len() {
            if self.views.get(index).is_some_and(Follower::is_undone) {
                self.try_again(index, Retry::No);
            }
        }
        for view in &mut self.views {
            if view.commit_due().is_some_and(|due| due <= now) {
                view.commit(Synced::No);
            }
        }
        if let Some(view) = self.due(now).and_then(|index| self.views.get_mut(index)) {
            if !view.is_building() {
                view.commit(Synced::Yes);
            }
            view.next_durable(now + self.options.checkpoint_every);
        }
        self.retry(now);
    }

    /// The view that needs a durable checkpoint most, if one does: one at a time, lest all files be synced at once.
    fn due(&self, now: Instant) -> Option<usize> {
        let moved = self
            .views
            .iter()
            .enumerate()
            .filter(|(_, view)| !view.is_stopped() && view.is_dirty());
        moved
            .filter(|(_, view)| {
                view.durable_due() <= now
                    || view.events_since_durable() >= self.options.checkpoint_events
            })
            .min_by_key(|(_, view)| view.durable_due())
            .map(|(index, _)| index)
    }

    fn retry(&mut self, now: Instant) {
        let mut goes_on = false;
        for view in &mut self.views {
            if view.retry_at().is_some_and(|at| at <= now) {
                goes_on |= view.retry();
            }
        }
        if goes_on {
            self.read_on();
        }
    }

    /// Has the log read from where the view that is furthest behind stands: one that goes on again must not take the log
    /// from another that is further behind.
    pub(crate) fn read_on(&self) {
        let going = self.views.iter().filter(|view| !view.is_stopped());
        if let Some(from) = going.map(Follower::applied).min() {
            self.feed.rewind(from);
        }
    }

    /// When the thread has something to do although no event comes.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let mut at = now + IDLE;
        for view in &self.views {
            if let Some(retry) = view.retry_at() {
                at = at.min(retry);
            } else if !view.is_stopped() && view.is_dirty() {
                at = at.min(view.durable_due());
                at = at.min(view.commit_due().unwrap_or(at));
            }
        }
        at
    }
}

/// What one batch is to each of the views.
struct Turn<'a, 'e, C: Codec> {
    log: Log<'a, C>,
    events: &'a [RecordedEvent],
    decoded: &'a [Decoded<'e, C>],
    masks: &'a [u64],
    /// The log goes on after this batch.
    more: bool,
    overlay_bytes_max: usize,
    /// The view whose turn it is to be durable.
    durable: Option<usize>,
}

impl<C: Codec> Turn<'_, '_, C> {
    fn apply(&self, index: usize, view: &mut Follower<C>) {
        let before = view.applied();
        let wanted = |event| {
            self.masks
                .get(event)
                .is_some_and(|mask| mask & (1_u64 << index) != 0)
        };
        view.apply(self.events, self.decoded, wanted, Some(&self.log));
        if view.applied() == before {
            return;
        }
        // A view that is built shows nothing before its end, and goes to its file only when memory asks for it.
        let full = view.overlay_bytes() > self.overlay_bytes_max;
        let shown = !self.more || view.commit_due().is_some_and(|due| due <= Instant::now());
        if self.durable == Some(index) && !view.is_building() {
            view.commit(Synced::Yes);
        } else if full || (shown && !view.is_building()) {
            view.commit(Synced::No);
        } else if view.is_building() {
            view.publish();
        }
    }
}

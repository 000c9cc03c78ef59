//! The way from the log to the thread that applies: a bounded queue of blocks, filled by one task that reads ahead.
//!
//! Reading and applying overlap; what has gathered while a batch was applied becomes the next one, so that batches are
//! small when little happens and large when much does. At the log's end the reader rests some milliseconds after each
//! block, longer under load, unless somebody waits for a view: events that come one by one are then applied together.
//! A failed reading is tried again from where it was, for as long as it takes; the views stay where they are and say
//! why.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use event_store::{EventStore, Position, ReadError, RecordedEvent};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

/// First pause after a failed reading; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long the reader rests near the log's end while nobody waits: [`REST_TIMES`] as long as the last batch took to
/// apply, within these bounds.
const REST_MIN: Duration = Duration::from_millis(5);
const REST_MAX: Duration = Duration::from_millis(50);
const REST_TIMES: u32 = 3;
/// With more events than this to read, the reader does not rest.
const NEAR_END_EVENTS: u64 = 8_192;

/// What the consumer gets.
pub(crate) enum Taken {
    /// The next events, at least one.
    Events(Vec<RecordedEvent>),
    /// Nothing came until the time given.
    Nothing,
    /// Something else is to be done first.
    Asked,
    /// The runner shall stop.
    Stop,
}

#[derive(Default)]
struct State {
    blocks: VecDeque<Vec<RecordedEvent>>,
    events: usize,
    stop: bool,
    /// Something waits to be done between two batches.
    asked: bool,
    /// Raised when reading shall begin anew elsewhere; blocks of before are dropped.
    generation: u64,
    from: Position,
    failure: Option<ReadError>,
    /// When the consumer last got events, and how long it worked on those before.
    taken: Option<Instant>,
    worked: Duration,
}

/// The queue.
pub(crate) struct Feed {
    state: Mutex<State>,
    filled: Condvar,
    poked: Notify,
    events_max: usize,
    /// How many wait for a view to move.
    waiting: AtomicUsize,
    hurried: Notify,
}

/// Somebody waits for a view: the reader does not rest.
pub(crate) struct Hurry<'a>(&'a Feed);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Feed {
    /// A queue of at most about `events_max` events, reading after `from`.
    pub(crate) fn new(from: Position, events_max: usize) -> Arc<Self> {
        let state = State {
            from,
            ..State::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            poked: Notify::new(),
            events_max,
            waiting: AtomicUsize::new(0),
            hurried: Notify::new(),
        })
    }

    /// The next events, as many as are there up to `max` (a single block may be larger); waits until `deadline`.
    pub(crate) fn take(&self, max: usize, deadline: Instant) -> Taken {
        let mut state = self.state.lock();
        if let Some(taken) = state.taken.take() {
            state.worked = taken.elapsed();
        }
        loop {
            if state.stop {
                return Taken::Stop;
            }
            if mem::take(&mut state.asked) {
                return Taken::Asked;
            }
            if let Some(mut events) = state.blocks.pop_front() {
                while let Some(next) = state.blocks.front()
                    && events.len() + next.len() <= max
                {
                    events.append(&mut state.blocks.pop_front().unwrap_or_default());
                }
                state.events -= events.len();
                state.taken = Some(Instant::now());
                drop(state);
                self.poked.notify_one();
                return Taken::Events(events);
            }
            if self.filled.wait_until(&mut state, deadline).timed_out()
                && state.blocks.is_empty()
                && !state.stop
                && !state.asked
            {
                return Taken::Nothing;
            }
        }
    }

    /// Reads again from after `from`; what is queued is dropped.
    pub(crate) fn rewind(&self, from: Position) {
        let mut state = self.state.lock();
        state.generation += 1;
        state.from = from;
        state.blocks.clear();
        state.events = 0;
        drop(state);
        self.poked.notify_one();
    }

    /// Makes the consumer look for what it is asked to do before it takes more.
    pub(crate) fn ask(&self) {
        self.state.lock().asked = true;
        self.filled.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.filled.notify_all();
        self.poked.notify_one();
    }

    /// Keeps the reader from resting for as long as this is held.
    pub(crate) fn hurry(&self) -> Hurry<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.hurried.notify_one();
        Hurry(self)
    }

    /// Lets events gather; ends early when somebody waits, or what is read is not wanted any more.
    async fn rest(&self, generation: u64) {
        let worked = self.state.lock().worked;
        let over = tokio::time::sleep((worked * REST_TIMES).clamp(REST_MIN, REST_MAX));
        tokio::pin!(over);
        while self.waiting.load(Ordering::Relaxed) == 0 && self.is_current(generation) {
            tokio::select! {
                () = &mut over => return,
                () = self.hurried.notified() => {}
                () = self.poked.notified() => {}
            }
        }
    }

    /// Why the log cannot be read at the moment.
    pub(crate) fn failure(&self) -> Option<ReadError> {
        self.state.lock().failure.clone()
    }

    /// Where to read from, and in which generation; nothing once stopped.
    fn begin(&self) -> Option<(u64, Position)> {
        let state = self.state.lock();
        (!state.stop).then_some((state.generation, state.from))
    }

    fn is_current(&self, generation: u64) -> bool {
        let state = self.state.lock();
        !state.stop && state.generation == generation
    }

    /// Queues a block when there is room; `false` if it is not wanted any more.
    async fn push(&self, generation: u64, mut block: Vec<RecordedEvent>) -> bool {
        loop {
            {
                let mut state = self.state.lock();
                if state.stop || state.generation != generation {
                    return false;
                }
                if state.events < self.events_max {
                    state.failure = None;
                    state.events += block.len();
                    if let Some(last) = block.last() {
                        state.from = last.position();
                    }
                    state.blocks.push_back(mem::take(&mut block));
                    drop(state);
                    self.filled.notify_one();
                    return true;
                }
            }
            self.poked.notified().await;
        }
    }

    /// Reads the log into the queue until it is stopped.
    pub(crate) async fn fill(self: Arc<Self>, store: Arc<dyn EventStore>) {
        let mut pause = PAUSE_MIN;
        while let Some((generation, from)) = self.begin() {
            let Err(error) = self.read(&*store, generation, from, &mut pause).await else {
                continue;
            };
            tracing::error!(%error, "the log cannot be read for the views; trying again");
            self.state.lock().failure = Some(error.clone());
            // A poke ends the pause: the runner stops, or reads from elsewhere.
            let _ = tokio::time::timeout(pause, self.poked.notified()).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn read(
        &self,
        store: &dyn EventStore,
        generation: u64,
        from: Position,
        pause: &mut Duration,
    ) -> Result<(), ReadError> {
        let mut subscription = store.subscribe(from).await?;
        loop {
            let block = tokio::select! {
                biased;
                () = self.poked.notified() => {
                    if self.is_current(generation) { continue }
                    return Ok(());
                }
                block = subscription.next() => block?,
            };
            *pause = PAUSE_MIN;
            let near_end = block.last().is_none_or(|last| {
                store.events_between(last.position(), store.durable_position()) < NEAR_END_EVENTS
            });
            if !block.is_empty() && !self.push(generation, block).await {
                return Ok(());
            }
            if near_end {
                self.rest(generation).await;
                if !self.is_current(generation) {
                    return Ok(());
                }
            }
        }
    }
}

//! Who follows, and what wakes them: one task for all, which runs while anybody does.
//!
//! Promise: nobody reads at the log's end by looking again and again. The task reads each new block once and tells all
//! followers of the log that it is there; of the feeds it wakes those of the members that a block concerns, and all of
//! them for what may concern anybody (a setting, a standing, the rules). There are only so many streams at once, and of
//! one member fewer. A stream whose reader takes nothing for too long is cut off with its connection, counted and logged;
//! the position it was sent last is where it goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::ids::MemberId;
use event_store::{EventStore, Position, RecordedEvent};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::FollowOptions;
use super::blocks::{BLOCK_EVENTS, Block, Blocks};
use crate::problem::{ApiError, Code};
use crate::server::Cut;

/// After a failed reading the task rests so long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long who found no place is told to wait, in seconds.
const RETRY_S: u64 = 5;

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The log.
    Log,
    /// A member's own changes.
    Feed(MemberId),
}

impl Followed {
    /// Its label in metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Followed::Log => "log",
            Followed::Feed(_) => "feed",
        }
    }
}

/// Everybody who follows.
pub(crate) struct Hub {
    store: Arc<dyn EventStore>,
    /// The log as all read it.
    pub(crate) blocks: Arc<Blocks>,
    /// The bounds.
    pub(crate) options: FollowOptions,
    state: Mutex<State>,
    /// How far the task has read.
    tip: watch::Sender<Position>,
    /// Whether the service stops.
    stop: watch::Sender<bool>,
    left: Notify,
    started: Instant,
}

#[derive(Default)]
struct State {
    running: bool,
    next: u64,
    open: HashMap<u64, Arc<Pulse>>,
    followers: usize,
    members: HashMap<MemberId, Member>,
}

/// The feeds of one member.
struct Member {
    feeds: usize,
    /// What may concern them happened up to here.
    concerned: watch::Sender<Position>,
}

/// How a stream fares, as the task sees it.
struct Pulse {
    label: &'static str,
    cut: Option<Cut>,
    /// Since when something waits to be taken, in milliseconds after the hub's start and one; 0 where nothing does.
    handed_ms: AtomicU64,
}

/// A stream's place among the number there are; given back when dropped.
pub(crate) struct Place {
    hub: Arc<Hub>,
    id: u64,
    pulse: Arc<Pulse>,
    followed: Followed,
}

impl Place {
    /// Something was handed to the connection.
    pub(crate) fn handed(&self) {
        let since = self.hub.elapsed_ms().saturating_add(1);
        self.pulse.handed_ms.store(since, Ordering::Relaxed);
    }

    /// It was taken.
    pub(crate) fn taken(&self) {
        self.pulse.handed_ms.store(0, Ordering::Relaxed);
    }

    /// The hub it is a place of.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.hub.state.lock();
        state.open.remove(&self.id);
        match &self.followed {
            Followed::Log => state.followers = state.followers.saturating_sub(1),
            Followed::Feed(member) => {
                let last = state.members.get_mut(member).is_some_and(|entry| {
                    entry.feeds = entry.feeds.saturating_sub(1);
                    entry.feeds == 0
                });
                if last {
                    state.members.remove(member);
                }
            }
        }
        drop(state);
        self.hub.left.notify_one();
    }
}

/// A member's place, with what wakes the feed.
pub(crate) struct FeedPlace {
    pub(crate) place: Place,
    /// What may concern the member happened up to here.
    pub(crate) concerned: watch::Receiver<Position>,
}

impl Hub {
    /// Nobody follows yet.
    pub(crate) fn new(store: Arc<dyn EventStore>, options: FollowOptions) -> Arc<Self> {
        Arc::new(Self {
            blocks: Blocks::new(Arc::clone(&store), options.blocks_bytes_max),
            store,
            options,
            state: Mutex::default(),
            tip: watch::Sender::new(Position::START),
            stop: watch::Sender::new(false),
            left: Notify::new(),
            started: Instant::now(),
        })
    }

    /// Ends every stream, and those that would begin.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the service stops, as it changes.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// How far the log was read, as it changes; for who has a place.
    pub(crate) fn tip(&self) -> watch::Receiver<Position> {
        self.tip.subscribe()
    }

    /// How many follow the log, and how many feeds there are.
    pub(crate) fn open(&self) -> [(&'static str, usize); 2] {
        let state = self.state.lock();
        let feeds = state.open.len().saturating_sub(state.followers);
        [("log", state.followers), ("feed", feeds)]
    }

    /// A place for a stream of the log.
    pub(crate) fn follow(self: &Arc<Self>, cut: Option<Cut>) -> Result<Place, ApiError> {
        let mut state = self.state.lock();
        if state.followers >= self.options.followers_max {
            return Err(full("As many follow the log as may at once."));
        }
        state.followers += 1;
        Ok(self.enter(&mut state, Followed::Log, cut))
    }

    /// A place for a member's feed. Whatever happens after this moment wakes it.
    pub(crate) fn feed(
        self: &Arc<Self>,
        member: &MemberId,
        cut: Option<Cut>,
    ) -> Result<FeedPlace, ApiError> {
        let mut state = self.state.lock();
        let of_member = state.members.get(member).map_or(0, |entry| entry.feeds);
        if of_member >= self.options.feeds_per_member_max {
            return Err(ApiError::with_detail(
                Code::RateLimited,
                "The caller has as many feeds open as one may have at once; close one, or wait until one has ended.",
            )
            .retry_after_s(RETRY_S));
        }
        if state.open.len().saturating_sub(state.followers) >= self.options.feeds_max {
            return Err(full("As many feeds are open as there may be at once."));
        }
        let entry = state
            .members
            .entry(member.clone())
            .or_insert_with(|| Member {
                feeds: 0,
                concerned: watch::Sender::new(Position::START),
            });
        entry.feeds += 1;
        let concerned = entry.concerned.subscribe();
        let place = self.enter(&mut state, Followed::Feed(member.clone()), cut);
        Ok(FeedPlace { place, concerned })
    }

    fn enter(self: &Arc<Self>, state: &mut State, followed: Followed, cut: Option<Cut>) -> Place {
        let pulse = Arc::new(Pulse {
            label: followed.label(),
            cut,
            handed_ms: AtomicU64::new(0),
        });
        let id = state.next;
        state.next += 1;
        state.open.insert(id, Arc::clone(&pulse));
        if !state.running {
            state.running = true;
            // Who enters looks at the log's end after this.
            let from = self.store.durable_position();
            tokio::spawn(Arc::clone(self).run(from));
        }
        Place {
            hub: Arc::clone(self),
            id,
            pulse,
            followed,
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reads what comes for as long as anybody follows.
    async fn run(self: Arc<Self>, mut at: Position) {
        let mut durable = self.store.durable_changes();
        let every =
            (self.options.stall / 8).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let mut look = tokio::time::interval(every);
        let mut rests_until = None;
        self.tip.send_replace(at);
        loop {
            let resting = rests_until.is_some_and(|until| Instant::now() < until);
            if !resting {
                rests_until = None;
                durable.borrow_and_update();
                if let Err(to) = self.read_on(&mut at).await {
                    // Whoever follows reads for themselves, and meets what was met here.
                    at = to;
                    self.tell_all(to);
                    rests_until = Some(Instant::now() + PAUSE);
                }
            }
            tokio::select! {
                changed = durable.changed(), if !resting => if changed.is_err() {
                    // The store has ended.
                    self.stop();
                    break;
                },
                _ = look.tick() => self.look(),
                () = self.left.notified() => {}
            }
            if self.is_over() {
                return;
            }
        }
        self.state.lock().running = false;
    }

    /// Reads to the durable end and tells what is there; where that fails, up to where nothing was told.
    async fn read_on(&self, at: &mut Position) -> Result<(), Position> {
        loop {
            match self.blocks.after(*at, BLOCK_EVENTS).await {
                Ok(Some(block)) => {
                    *at = block.to();
                    self.tell(&block);
                    self.tip.send_replace(*at);
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be read for those who follow it");
                    return Err(self.store.durable_position());
                }
            }
        }
    }

    /// Wakes the feeds that a block concerns.
    fn tell(&self, block: &Block) {
        let state = self.state.lock();
        if state.members.is_empty() {
            return;
        }
        for held in &block.events {
            let position = held.event.position();
            if concerns_everybody(&held.event) {
                for member in state.members.values() {
                    member.concerned.send_replace(position);
                }
                continue;
            }
            for member in held.event.members() {
                if let Some(entry) = state.members.get(member) {
                    entry.concerned.send_replace(position);
                }
            }
        }
    }

    /// Wakes everybody.
    /// Lets everybody look once more: events that were set aside may be applied by now.
    pub(crate) fn tell_everybody(&self) {
        self.tell_all(self.store.durable_position());
    }

    fn tell_all(&self, position: Position) {
        for member in self.state.lock().members.values() {
            member.concerned.send_replace(position);
        }
        self.tip.send_replace(position);
    }

    /// Cuts off whoever takes nothing.
    fn look(&self) {
        let now_ms = self.elapsed_ms();
        let stall_ms = u64::try_from(self.options.stall.as_millis()).unwrap_or(u64::MAX);
        for pulse in self.state.lock().open.values() {
            let since = pulse.handed_ms.load(Ordering::Relaxed);
            if since == 0 || now_ms.saturating_add(1).saturating_sub(since) < stall_ms {
                continue;
            }
            pulse.handed_ms.store(0, Ordering::Relaxed);
            metrics::counter!("doorstep_follow_dropped_total", "followed" => pulse.label)
                .increment(1);
            tracing::warn!(
                followed = pulse.label,
                "a stream was cut off: its reader took nothing of it"
            );
            if let Some(cut) = &pulse.cut {
                cut.now();
            }
        }
    }

    /// Whether nobody follows any more; then the task has ended.
    fn is_over(&self) -> bool {
        let mut state = self.state.lock();
        if state.open.is_empty() {
            state.running = false;
            self.blocks.clear();
        }
        state.open.is_empty()
    }
}

/// Whether an event may change what members are answered whom it does not name: whose requests are frozen, and whose feeds
/// were held up by an event that the view does without from here on.
fn concerns_everybody(event: &RecordedEvent) -> bool {
    let counts = |event_type: &str| {
        event_type.starts_with("request-slot-") || event_type.starts_with("report-counted.")
    };
    let stream = event.stream();
    stream == domain::policy::STREAM
        || stream.starts_with("act-view/")
        || (stream.starts_with("member-") && !counts(event.event_type()))
}

fn full(detail: &'static str) -> ApiError {
    ApiError::with_detail(Code::Busy, detail).retry_after_s(RETRY_S)
}

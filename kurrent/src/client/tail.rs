//! What of the log came last, as the subscription told it: the newest events in memory, how far the log is known to reach,
//! and where streams are known to be.
//!
//! Promise: the kept events are those of the log between two positions, each of them once; the durable position only rises,
//! and is always that of an event. What was once known is a floor: a reading that shows less comes from a node that lags
//! behind, and is not believed.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use event_store::{Position, RecordedEvent, StreamName};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Events kept at most: a view that follows closely reads them from here.
const EVENTS_MAX: usize = 16_384;
/// And their bytes at most.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// How far apart two events are taken to be where none is kept: about the bytes that a message takes in KurrentDB's log.
const SPACING: u64 = 512;
/// Streams whose last known place is kept at most.
const HEADS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// What came last.
pub(super) struct Tail {
    kept: Mutex<Kept>,
    /// Up to where the subscription has told the log.
    told: watch::Sender<Position>,
    durable: AtomicU64,
    /// Taken away when the store ends, so that who follows learns of it.
    changes: Mutex<Option<watch::Sender<Position>>>,
    heads: Mutex<LruCache<StreamName, u64>>,
}

struct Kept {
    /// The kept events are all that come after this.
    after: Position,
    events: VecDeque<RecordedEvent>,
    bytes: usize,
}

impl Tail {
    /// Of a log that reaches up to here.
    pub(super) fn new(end: Position) -> Self {
        Self {
            kept: Mutex::new(Kept {
                after: end,
                events: VecDeque::new(),
                bytes: 0,
            }),
            told: watch::Sender::new(end),
            durable: AtomicU64::new(end.0),
            changes: Mutex::new(Some(watch::Sender::new(end))),
            heads: Mutex::new(LruCache::new(HEADS_MAX)),
        }
    }

    /// How far the log is known to reach.
    pub(super) fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    /// The same as it changes; one that has ended once the store has.
    pub(super) fn changes(&self) -> watch::Receiver<Position> {
        match &*self.changes.lock() {
            Some(changes) => changes.subscribe(),
            None => watch::channel(self.durable()).1,
        }
    }

    /// The log has an event here.
    pub(super) fn raise(&self, position: Position) {
        if self.durable.fetch_max(position.0, Ordering::AcqRel) >= position.0 {
            return;
        }
        if let Some(changes) = &*self.changes.lock() {
            changes.send_if_modified(|durable| {
                let rises = *durable < position;
                *durable = (*durable).max(position);
                rises
            });
        }
    }

    /// The store has ended.
    pub(super) fn end(&self) {
        self.changes.lock().take();
    }

    /// Whether the store has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.changes.lock().is_none()
    }

    /// Where the subscription goes on.
    pub(super) fn told(&self) -> Position {
        *self.told.borrow()
    }

    /// The subscription told the next event.
    pub(super) fn push(&self, event: RecordedEvent) {
        let position = event.position();
        if position <= self.told() {
            return;
        }
        if let Some(stream) = event.stream_name() {
            self.note(&stream, event.version());
        }
        {
            let mut kept = self.kept.lock();
            kept.bytes += event.bytes().len();
            kept.events.push_back(event);
            while kept.events.len() > EVENTS_MAX || kept.bytes > BYTES_MAX {
                let Some(oldest) = kept.events.pop_front() else {
                    break;
                };
                kept.bytes -= oldest.bytes().len();
                kept.after = oldest.position();
            }
        }
        self.told.send_replace(position);
        self.raise(position);
    }

    /// The subscription has come to here, and told all there was for us.
    pub(super) fn checkpoint(&self, position: Position) {
        self.told.send_if_modified(|told| {
            let rises = *told < position;
            *told = (*told).max(position);
            rises
        });
    }

    /// The subscription told what is none of ours: who reads on meets it in the log itself.
    pub(super) fn pass(&self, position: Position) {
        {
            let mut kept = self.kept.lock();
            kept.events.clear();
            kept.bytes = 0;
            kept.after = position;
        }
        self.checkpoint(position);
        self.raise(position);
    }

    /// Kept events after a position; none where what comes after it is not kept, or not told yet.
    pub(super) fn read(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Option<Vec<RecordedEvent>> {
        let kept = self.kept.lock();
        if after < kept.after {
            return None;
        }
        let first = kept
            .events
            .partition_point(|event| event.position() <= after);
        let mut bytes = 0;
        let mut events = Vec::new();
        for event in kept.events.iter().skip(first).take(max_events.max(1)) {
            bytes += event.bytes().len();
            if bytes > max_bytes && !events.is_empty() {
                break;
            }
            events.push(event.clone());
        }
        (!events.is_empty()).then_some(events)
    }

    /// The kept event at a position.
    pub(super) fn at(&self, position: Position) -> Option<RecordedEvent> {
        let kept = self.kept.lock();
        let at = kept
            .events
            .binary_search_by_key(&position, RecordedEvent::position);
        kept.events.get(at.ok()?).cloned()
    }

    /// How many events are between two positions: counted where they are kept, and else by how far apart the kept ones are.
    pub(super) fn between(&self, from: Position, to: Position) -> u64 {
        if from >= to {
            return 0;
        }
        let kept = self.kept.lock();
        let count = |events: usize| u64::try_from(events).unwrap_or(u64::MAX);
        let until = |end: Position| kept.events.partition_point(|event| event.position() <= end);
        let last = kept
            .events
            .back()
            .map_or(kept.after, RecordedEvent::position);
        if from >= kept.after {
            let told = until(to).saturating_sub(until(from));
            // What was appended here and not told yet is there as well.
            return count(told) + u64::from(to > last);
        }
        let spacing = (last.0 - kept.after.0)
            .checked_div(count(kept.events.len()))
            .map_or(SPACING, |spacing| spacing.max(1));
        (to.0 - from.0).div_ceil(spacing)
    }

    /// Waits until the subscription has told more than this.
    pub(super) async fn comes_after(&self, after: Position) {
        let mut told = self.told.subscribe();
        // The sender is this tail's own.
        let _ = told.wait_for(|told| *told > after).await;
    }

    /// The stream has an event of this version.
    pub(super) fn note(&self, stream: &StreamName, version: u64) {
        let mut heads = self.heads.lock();
        if heads.peek(stream).is_none_or(|known| *known < version) {
            heads.put(stream.clone(), version);
        }
    }

    /// The last version that the stream is known to have.
    pub(super) fn known(&self, stream: &StreamName) -> Option<u64> {
        self.heads.lock().get(stream).copied()
    }
}

//! The log as everybody who follows it reads it: in blocks, each read once however many want it.
//!
//! Promise: who asks for what comes after a position gets a block that begins at or before it, or learns that the log
//! ends there. The blocks read lately are kept, within a bound; one that is not kept is read by one task while all others
//! wait for it, so that a hundred followers at one place cost one reading. Readings stand in line, and so following never
//! takes more than one of them at a time from those who write and query. Who is told what is `follower`'s and `feed`'s.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use event_store::{EventStore, LogId, Position, ReadError, RecordedEvent};
use parking_lot::Mutex;

use crate::event_json;

/// Events of a block at most.
pub(crate) const BLOCK_EVENTS: usize = 512;
/// Bytes of a block at most, but for its last event: what one slow follower holds on to.
const BLOCK_BYTES: usize = 128 * 1024;
/// What an event takes in memory for each byte of its record: itself, and as JSON.
const MEMORY_TIMES: usize = 3;

/// An event, and its JSON once somebody wanted it.
pub(crate) struct Held {
    pub(crate) event: RecordedEvent,
    json: OnceLock<Bytes>,
}

impl Held {
    /// The event as one JSON object without a line end.
    pub(crate) fn json(&self, log_id: LogId) -> &Bytes {
        self.json.get_or_init(|| {
            let mut json = Vec::with_capacity(self.event.bytes().len() * 2);
            event_json::write(log_id, &self.event, &mut json);
            json.into()
        })
    }
}

/// Consecutive events of the log, or of one stream.
pub(crate) struct Block {
    /// They are all there are after this position.
    after: Position,
    pub(crate) events: Vec<Held>,
    bytes: usize,
}

impl Block {
    /// A block of what was read after a position; none where that is nothing.
    pub(crate) fn of(after: Position, events: Vec<RecordedEvent>) -> Option<Arc<Self>> {
        events.last()?;
        let held = |event: RecordedEvent| Held {
            // Not the whole buffer it was read into.
            event: event.detached(),
            json: OnceLock::new(),
        };
        let bytes = events.iter().map(|event| event.bytes().len()).sum();
        Some(Arc::new(Self {
            after,
            events: events.into_iter().map(held).collect(),
            bytes,
        }))
    }

    /// The position of its last event.
    pub(crate) fn to(&self) -> Position {
        self.events
            .last()
            .map_or(self.after, |held| held.event.position())
    }

    fn memory(&self) -> usize {
        self.bytes * MEMORY_TIMES
    }
}

/// The blocks that are kept.
#[derive(Default)]
struct Kept {
    by_start: BTreeMap<Position, Arc<Block>>,
    /// The same, oldest first.
    order: VecDeque<Position>,
    bytes: usize,
}

impl Kept {
    /// The block with the event that comes after a position.
    fn after(&self, position: Position) -> Option<Arc<Block>> {
        let (_, block) = self.by_start.range(..=position).next_back()?;
        (block.to() > position).then(|| Arc::clone(block))
    }

    fn keep(&mut self, block: &Arc<Block>, bytes_max: usize) {
        self.bytes += block.memory();
        self.order.push_back(block.after);
        if let Some(before) = self.by_start.insert(block.after, Arc::clone(block)) {
            // A shorter one of the same place, read near damage or at what was the end.
            self.bytes -= before.memory();
            if let Some(at) = self.order.iter().position(|start| *start == block.after) {
                self.order.remove(at);
            }
        }
        while self.bytes > bytes_max && self.order.len() > 1 {
            let oldest = self.order.pop_front();
            let gone = oldest.and_then(|start| self.by_start.remove(&start));
            self.bytes -= gone.map_or(0, |block| block.memory());
        }
    }
}

/// The log in blocks.
pub(crate) struct Blocks {
    store: Arc<dyn EventStore>,
    kept: Mutex<Kept>,
    reading: tokio::sync::Mutex<()>,
    bytes_max: usize,
}

impl Blocks {
    /// Keeps about `bytes_max` bytes of blocks.
    pub(crate) fn new(store: Arc<dyn EventStore>, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            store,
            kept: Mutex::default(),
            reading: tokio::sync::Mutex::new(()),
            bytes_max,
        })
    }

    /// The block with what comes after a position; none at the durable end. Near damage `at_once` is small, so that what
    /// stands before it is read.
    pub(crate) async fn after(
        self: &Arc<Self>,
        position: Position,
        at_once: usize,
    ) -> Result<Option<Arc<Block>>, ReadError> {
        if let Some(block) = self.kept.lock().after(position) {
            return Ok(Some(block));
        }
        if position >= self.store.durable_position() {
            return Ok(None);
        }
        // A task of its own: who asked may go away, or not be looked at for long, and others wait behind it.
        let blocks = Arc::clone(self);
        let read = tokio::spawn(async move { blocks.read(position, at_once).await });
        read.await.unwrap_or(Err(ReadError::Closed))
    }

    async fn read(
        &self,
        position: Position,
        at_once: usize,
    ) -> Result<Option<Arc<Block>>, ReadError> {
        let _reading = self.reading.lock().await;
        if let Some(block) = self.kept.lock().after(position) {
            return Ok(Some(block));
        }
        metrics::counter!("doorstep_follow_blocks_read_total").increment(1);
        let events = self.store.read_all(position, at_once, BLOCK_BYTES).await?;
        let block = Block::of(position, events);
        if let Some(block) = &block {
            self.kept.lock().keep(block, self.bytes_max);
        }
        Ok(block)
    }

    /// Keeps nothing any more.
    pub(crate) fn clear(&self) {
        *self.kept.lock() = Kept::default();
    }
}

#[cfg(test)]
mod spec {
    use super::*;
    use event_store::{Members, NewEvent, StreamName};
    use uuid::Uuid;

    fn event(position: u64) -> RecordedEvent {
        let new = NewEvent {
            event_id: Uuid::from_u128(u128::from(position)),
            event_type: "message-sent.v1".into(),
            at_ms: 0,
            command_id: "c".into(),
            correlation_id: Uuid::nil(),
            causation_id: Uuid::nil(),
            actor: "ann".into(),
            members: Members::none(),
            last_number: None,
            data: Bytes::from_static(b"{}"),
        };
        let stream = StreamName::new("policy").unwrap();
        RecordedEvent::record(Position(position), 0, &stream, position, &new)
    }

    fn block(positions: std::ops::RangeInclusive<u64>) -> Arc<Block> {
        let after = Position(positions.start() - 1);
        Block::of(after, positions.map(event).collect()).unwrap()
    }

    #[test]
    fn a_block_is_found_by_any_position_within_it() {
        let mut kept = Kept::default();
        kept.keep(&block(1..=10), usize::MAX);
        kept.keep(&block(11..=12), usize::MAX);
        let found = |at| kept.after(Position(at)).map(|block| block.to().0);
        assert_eq!((found(0), found(9)), (Some(10), Some(10)));
        assert_eq!(
            (found(10), found(11), found(12)),
            (Some(12), Some(12), None)
        );
    }

    #[test]
    fn the_oldest_go_first_and_the_bound_holds() {
        let mut kept = Kept::default();
        let one = block(1..=1).memory();
        for position in 1..=100 {
            kept.keep(&block(position..=position), 10 * one);
            assert!(kept.bytes <= 10 * one);
            assert_eq!(kept.order.len(), kept.by_start.len());
        }
        assert!(kept.after(Position(89)).is_none());
        assert!(kept.after(Position(90)).is_some());
    }

    #[test]
    fn a_longer_block_takes_the_place_of_a_shorter_one() {
        let mut kept = Kept::default();
        kept.keep(&block(1..=1), usize::MAX);
        kept.keep(&block(1..=5), usize::MAX);
        assert_eq!(kept.bytes, block(1..=5).memory());
        assert_eq!(kept.order.len(), 1);
        assert!(kept.after(Position(4)).is_some());
    }
}

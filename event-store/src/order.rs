//! The order of the log: one mutex under which every append finds its place.
//!
//! Versions are checked, positions given and records laid into the next batch here, all at once, so
//! that two appends can only be one before the other. Heads of streams are kept in bounded memory;
//! one that is not is looked up outside of the mutex and the append tried again. What may be ordered
//! is bounded by the bytes pending and by the zero-filled room there is to write them.

use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::batch::{BATCH_HEADER, SEGMENT_HEADER};
use crate::record::{self, Place};
use crate::wire::len_u64;
use crate::{Append, ExpectedVersion, Position, StreamHead, StreamName};

/// The last event of a stream, or that there is none.
pub(crate) type Head = Option<StreamHead>;

/// Heads of streams, in two halves: when the young one is full it becomes the old one, and what was
/// old and not asked for since is forgotten, except for what is not durable yet.
pub(crate) struct Heads {
    young: FxHashMap<StreamName, Head>,
    old: FxHashMap<StreamName, Head>,
    half: usize,
    /// Rises whenever heads are forgotten; a head looked up before is then looked up again.
    pub(crate) generation: u64,
}

impl Heads {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            half: (max / 2).max(16),
            generation: 0,
        }
    }

    fn get(&mut self, stream: &StreamName) -> Option<Head> {
        if let Some(head) = self.young.get(stream) {
            return Some(*head);
        }
        let (name, head) = self.old.remove_entry(stream)?;
        self.young.insert(name, head);
        Some(head)
    }

    fn put(&mut self, stream: &StreamName, head: Head, durable: u64) {
        if let Some(place) = self.young.get_mut(stream) {
            *place = head;
            return;
        }
        self.old.remove(stream);
        if self.young.len() >= self.half {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.generation += 1;
            let pending = |head: &Head| head.is_some_and(|head| head.position.0 > durable);
            self.young
                .extend(forgotten.into_iter().filter(|(_, head)| pending(head)));
        }
        self.young.insert(stream.clone(), head);
    }
}

/// Zero-filled room to write in.
#[derive(Debug)]
pub(crate) struct Room {
    /// Where the next batch goes in the active segment.
    pub(crate) write_at: u64,
    /// How far the active segment is zero-filled.
    pub(crate) filled: u64,
    /// How far a segment is to be zero-filled.
    pub(crate) segment_bytes: u64,
    /// The next segment stands ready, zero-filled whole.
    pub(crate) next_ready: bool,
    /// Bytes that an append waits for.
    pub(crate) demand: u64,
    /// When the disk was last found full while making room.
    pub(crate) full: Option<Instant>,
}

impl Room {
    /// Whether a batch of these bytes has a place.
    fn holds(&self, bytes: u64) -> bool {
        self.write_at + bytes <= self.filled
            || (self.next_ready && len_u64(SEGMENT_HEADER) + bytes <= self.segment_bytes)
    }
}

/// A stream's events in a batch.
pub(crate) struct BatchRun {
    pub(crate) stream: StreamName,
    pub(crate) first_version: u64,
    pub(crate) count: u32,
}

/// The batch that appends are laid into until the writer takes it.
#[derive(Default)]
pub(crate) struct Batch {
    /// Room for the batch's header, then records without checksums.
    pub(crate) bytes: Vec<u8>,
    pub(crate) runs: Vec<BatchRun>,
    pub(crate) first_position: u64,
    pub(crate) count: u32,
    /// `recorded_at` of its last event.
    pub(crate) recorded_at_ms: i64,
}

impl Batch {
    /// Empties it, its memory kept.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.count = 0;
    }
}

/// Where the writer puts a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// At this offset of the active segment.
    Active(u64),
    /// At the beginning of the next segment.
    Next,
}

/// Whether appends are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// What is ordered is still written.
    Stopping,
    Ended,
}

/// Everything that is decided under the mutex.
pub(crate) struct Order {
    pub(crate) phase: Phase,
    pub(crate) next_position: u64,
    /// `recorded_at` of the last event ordered; it never falls.
    pub(crate) recorded_at_ms: i64,
    pub(crate) batch: Batch,
    pub(crate) heads: Heads,
    pub(crate) room: Room,
    pub(crate) pending_bytes_max: usize,
}

/// The place an append got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) versions: (u64, u64),
    pub(crate) positions: (u64, u64),
    /// The batch was empty before: the writer sleeps.
    pub(crate) wakes: bool,
}

/// When the events of an append are recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Times<'a> {
    /// Now, or when the last event was, if that is later.
    Now(i64),
    /// When another log recorded each of them.
    Told(&'a [i64]),
}

/// A head read from the log, with the generation of heads it belongs to.
pub(crate) struct LookedUp {
    pub(crate) stream: StreamName,
    pub(crate) head: Head,
    pub(crate) generation: u64,
}

/// What came of trying to order an append.
pub(crate) enum Attempt {
    Placed(Placed),
    /// This stream's head must be looked up first; the generation goes with it.
    LookUp(StreamName, u64),
    /// A stream is elsewhere.
    Mismatch {
        stream: StreamName,
        expected: ExpectedVersion,
        head: Head,
    },
    /// An event was recorded before the log's last one.
    Falls,
    /// There is no room now; there will be.
    NoRoom,
    /// There is no room, and the disk is full.
    Full,
    Closed,
}

impl Order {
    /// Tries to order an append whose records take `bytes`.
    pub(crate) fn attempt(
        &mut self,
        append: &Append,
        bytes: usize,
        times: Times<'_>,
        space_low: bool,
        durable: u64,
        looked_up: &[LookedUp],
    ) -> Attempt {
        if self.phase != Phase::Running {
            return Attempt::Closed;
        }
        let written = std::iter::once((&append.stream, append.expected));
        let read = append
            .reads
            .iter()
            .map(|(stream, expected)| (stream, *expected));
        let mut before = None;
        for (number, (stream, expected)) in written.chain(read).enumerate() {
            let Some(head) = self.head(stream, durable, looked_up) else {
                return Attempt::LookUp(stream.clone(), self.heads.generation);
            };
            if head.map(|head| head.version) != expected.version() {
                return Attempt::Mismatch {
                    stream: stream.clone(),
                    expected,
                    head,
                };
            }
            if number == 0 {
                before = head;
            }
        }
        if self.falls(times) {
            return Attempt::Falls;
        }
        if space_low {
            return Attempt::Full;
        }
        let held = self.batch.bytes.len().max(BATCH_HEADER);
        if held > BATCH_HEADER && held + bytes > self.pending_bytes_max {
            return Attempt::NoRoom;
        }
        if !self.room.holds(len_u64(held + bytes)) {
            self.room.demand = self.room.demand.max(len_u64(held + bytes));
            return if self.room.full.is_some() {
                Attempt::Full
            } else {
                Attempt::NoRoom
            };
        }
        Attempt::Placed(self.place(append, before, times, durable))
    }

    /// Whether one of these times is before what comes before it in the log.
    fn falls(&self, times: Times<'_>) -> bool {
        match times {
            Times::Now(_) => false,
            Times::Told(told) => {
                let first = told
                    .first()
                    .is_some_and(|first| *first < self.recorded_at_ms);
                first || !told.is_sorted()
            }
        }
    }

    fn head(&mut self, stream: &StreamName, durable: u64, looked_up: &[LookedUp]) -> Option<Head> {
        if let Some(head) = self.heads.get(stream) {
            return Some(head);
        }
        let known = looked_up
            .iter()
            .find(|known| known.stream == *stream && known.generation == self.heads.generation)?;
        self.heads.put(stream, known.head, durable);
        Some(known.head)
    }

    fn place(&mut self, append: &Append, before: Head, times: Times<'_>, durable: u64) -> Placed {
        let wakes = self.batch.count == 0;
        if wakes {
            self.batch.bytes.clear();
            self.batch.bytes.resize(BATCH_HEADER, 0);
            self.batch.first_position = self.next_position;
        }
        let first_version = append.expected.next();
        let first_position = self.next_position;
        let mut previous = before.map_or(0, |head| head.position.0);
        let mut version = first_version;
        for (number, event) in append.events.iter().enumerate() {
            let time_ms = match times {
                Times::Now(now_ms) => now_ms,
                Times::Told(told) => told.get(number).copied().unwrap_or(i64::MIN),
            };
            self.recorded_at_ms = self.recorded_at_ms.max(time_ms);
            let place = Place {
                position: self.next_position,
                version,
                recorded_at_ms: self.recorded_at_ms,
                previous,
            };
            record::encode(&mut self.batch.bytes, place, &append.stream, event);
            previous = self.next_position;
            self.next_position += 1;
            version += 1;
        }
        let count = crate::wire::len_u32(append.events.len());
        self.batch.count += count;
        self.batch.recorded_at_ms = self.recorded_at_ms;
        self.batch.runs.push(BatchRun {
            stream: append.stream.clone(),
            first_version,
            count,
        });
        let last = StreamHead {
            version: version - 1,
            position: Position(previous),
        };
        self.heads.put(&append.stream, Some(last), durable);
        Placed {
            versions: (first_version, last.version),
            positions: (first_position, previous),
            wakes,
        }
    }

    /// Whether what is ordered goes into the next segment.
    pub(crate) fn begins_segment(&self) -> bool {
        self.room.write_at + len_u64(self.batch.bytes.len()) > self.room.filled
    }

    /// Takes the batch for the writer and gives it its place; `empty` comes in its stead.
    pub(crate) fn take(&mut self, empty: Batch) -> (Batch, Target) {
        let begins_segment = self.begins_segment();
        let batch = std::mem::replace(&mut self.batch, empty);
        let bytes = len_u64(batch.bytes.len());
        let room = &mut self.room;
        room.demand = 0;
        if begins_segment {
            room.next_ready = false;
            room.write_at = len_u64(SEGMENT_HEADER) + bytes;
            room.filled = room.segment_bytes;
            (batch, Target::Next)
        } else {
            let at = room.write_at;
            room.write_at += bytes;
            (batch, Target::Active(at))
        }
    }
}

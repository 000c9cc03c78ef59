//! The index of a segment that has no footer yet, in memory: where every event of it stands.
//!
//! The active segment has one, and a sealed one until its footer is written; so it is bounded by
//! the segment's size. The writer adds to it once a batch is durable.

use rustc_hash::FxHashMap;

use crate::StreamName;

/// Bytes of a segment between two entries of its position index.
const SPARSE_BYTES: u64 = 16 * 1024;

/// A stream's events in one segment; their versions are dense.
pub(crate) struct StreamRun {
    pub(crate) first_version: u64,
    pub(crate) last_position: u64,
    /// The offset of each event, by version.
    pub(crate) offsets: Vec<u32>,
}

impl StreamRun {
    /// The version of its last event.
    pub(crate) fn last_version(&self) -> u64 {
        self.first_version + crate::wire::len_u64(self.offsets.len()).saturating_sub(1)
    }
}

/// Where the events of one segment stand.
pub(crate) struct MemoryIndex {
    /// The position after its last event.
    pub(crate) next_position: u64,
    /// The byte after its last batch.
    pub(crate) end: u64,
    pub(crate) streams: FxHashMap<StreamName, StreamRun>,
    /// (position, offset) of a record about every [`SPARSE_BYTES`].
    pub(crate) sparse: Vec<(u64, u32)>,
}

impl MemoryIndex {
    pub(crate) fn new(first_position: u64) -> Self {
        Self {
            next_position: first_position,
            end: crate::wire::len_u64(crate::batch::SEGMENT_HEADER),
            streams: FxHashMap::default(),
            sparse: Vec::new(),
        }
    }

    /// Adds the next event.
    pub(crate) fn add(&mut self, stream: &StreamName, version: u64, offset: u64) {
        if !self.extend_known(stream.as_str(), offset) {
            let offset = self.next(offset);
            let run = StreamRun {
                first_version: version,
                last_position: self.next_position - 1,
                offsets: vec![offset],
            };
            self.streams.insert(stream.clone(), run);
        }
    }

    /// Adds the next event where its stream is known here.
    pub(crate) fn extend_known(&mut self, stream: &str, offset: u64) -> bool {
        let position = self.next_position;
        let Some(run) = self.streams.get_mut(stream) else {
            return false;
        };
        run.last_position = position;
        run.offsets.push(u32::try_from(offset).unwrap_or(u32::MAX));
        self.next(offset);
        true
    }

    fn next(&mut self, offset: u64) -> u32 {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        let near = self
            .sparse
            .last()
            .is_some_and(|(_, last)| u64::from(offset) < u64::from(*last) + SPARSE_BYTES);
        if !near {
            self.sparse.push((self.next_position, offset));
        }
        self.next_position += 1;
        offset
    }

    /// The last indexed record at or before a position.
    pub(crate) fn near(&self, position: u64) -> Option<(u64, u32)> {
        let after = self.sparse.partition_point(|(at, _)| *at <= position);
        self.sparse.get(after.checked_sub(1)?).copied()
    }
}

//! One segment as readings see it: its file, where its batches end, its records checked.
//!
//! The active segment, and a sealed one without a footer yet, are indexed in memory; the others in
//! their footers. Nothing leaves here that its own checksum does not stand over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::backend::BackendFile;
use crate::batch::SegmentHeader;
use crate::footer::Footer;
use crate::memory::MemoryIndex;
use crate::paged::io_error;
use crate::wire::{index, len_u64};
use crate::{ReadError, RecordedEvent, record};

/// Bytes first read of a record whose length is not known.
const RECORD_GUESS: usize = 1024;
/// Bytes between two records of a stream that are still read at once.
const GAP_MAX: u32 = 4096;
/// Bytes of records of a stream read at once at most.
const SPAN_MAX: u32 = 256 * 1024;

/// A segment whose index is in memory: the active one, and a sealed one that has no footer yet.
pub(crate) struct OpenSegment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn BackendFile>,
    pub(crate) index: RwLock<MemoryIndex>,
}

/// A sealed segment's open files.
pub(crate) struct SealedFiles {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn BackendFile>,
    pub(crate) footer: Arc<Footer>,
}

/// A segment to read from.
#[derive(Clone)]
pub(crate) enum Segment {
    Open(Arc<OpenSegment>),
    Sealed(Arc<SealedFiles>),
}

impl Segment {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Open(open) => &open.path,
            Self::Sealed(sealed) => &sealed.path,
        }
    }

    pub(crate) fn file(&self) -> &dyn BackendFile {
        match self {
            Self::Open(open) => &*open.file,
            Self::Sealed(sealed) => &*sealed.file,
        }
    }

    /// The byte after its last durable batch.
    pub(crate) fn end(&self) -> u64 {
        match self {
            Self::Open(open) => open.index.read().end,
            Self::Sealed(sealed) => sealed.footer.sealed.bytes,
        }
    }

    pub(crate) fn damaged(&self, offset: u64, what: impl Into<String>) -> ReadError {
        ReadError::Damaged {
            file: self.path().to_owned(),
            offset,
            what: what.into(),
        }
    }

    /// Reads up to `len` bytes at an offset; fewer only at the end.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let len = len.min(index(self.end().saturating_sub(offset)));
        let mut bytes = vec![0; len];
        let read = self
            .file()
            .read_at(&mut bytes, offset)
            .map_err(|e| io_error(self.path(), &e))?;
        if read < len {
            return Err(self.damaged(offset + len_u64(read), "the segment is cut short"));
        }
        Ok(Bytes::from(bytes))
    }

    pub(crate) fn event(&self, offset: u64, bytes: Bytes) -> Result<RecordedEvent, ReadError> {
        RecordedEvent::from_bytes(bytes).map_err(|e| self.damaged(offset, e.to_string()))
    }

    /// The records at rising offsets.
    pub(crate) fn records(
        &self,
        offsets: &[u32],
        out: &mut Vec<RecordedEvent>,
    ) -> Result<(), ReadError> {
        let mut rest = offsets;
        while let Some(&first) = rest.first() {
            let near = rest.windows(2).take_while(|pair| {
                let [a, b] = pair else { return false };
                b.saturating_sub(*a) <= GAP_MAX && b.saturating_sub(first) <= SPAN_MAX
            });
            let (group, after) = rest.split_at(1 + near.count());
            rest = after;
            let last = group.last().copied().unwrap_or(first);
            let base = u64::from(first);
            let block = self.read(base, index(u64::from(last - first)) + RECORD_GUESS)?;
            for offset in group {
                let at = index(u64::from(offset - first));
                let offset = u64::from(*offset);
                let Some(len) = block.get(at..).and_then(record::stored_len) else {
                    return Err(self.damaged(offset, "no record where the index names one"));
                };
                let bytes = if at + len <= block.len() {
                    block.slice(at..at + len)
                } else {
                    self.read(offset, len)?
                };
                out.push(self.event(offset, bytes)?);
            }
        }
        Ok(())
    }
}

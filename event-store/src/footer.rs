//! The footer of a sealed segment: `FIRST.idx`, where its events stand.
//!
//! Offsets of all its events, stream by stream, and a sparse index of positions. Which streams those
//! are, and where each one's offsets begin, stands in the stream files (`levels`). Built from the
//! segment's index in memory when it is sealed, or again from the segment itself.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::backend::{Backend, BackendFile};
use crate::levels::Entry;
use crate::memory::MemoryIndex;
use crate::paged::{PageCache, PageWriter, PagedFile, pages_for};
use crate::wire::{i64_at, put_at, u32_at, u64_at, uuid_at};
use crate::{LogId, ReadError, StreamName};

const MAGIC: &[u8; 8] = b"DOORIDX1";
const OFFSET: usize = 4;
const SPARSE: usize = 12;

/// A stream's hash as the index files hold it: FNV-1a with a finalizer, stable for ever.
pub(crate) fn hash_of(stream: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in stream.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// What a footer says of its segment as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The id its batches are bound to.
    pub(crate) log_id: LogId,
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    /// Bytes of the segment's file.
    pub(crate) bytes: u64,
    /// The checksum of its last batch.
    pub(crate) chain: u32,
    /// `recorded_at` of its last event.
    pub(crate) recorded_at_ms: i64,
}

/// A footer, open for reading.
pub(crate) struct Footer {
    pub(crate) sealed: Sealed,
    file: PagedFile,
    offsets: u64,
    sparse: u64,
}

impl Footer {
    /// Opens the footer of the segment that begins at this position.
    pub(crate) fn open(backend: &dyn Backend, dir: &Path, first: u64) -> Result<Self, ReadError> {
        let path = dir.join(crate::files::footer_name(first));
        Self::of(PagedFile::open(backend, path, (0, first, 0))?)
    }

    /// The footer of the segment that begins at this position, in a file that is open already and would be in `dir`.
    pub(crate) fn in_file(
        file: Arc<dyn BackendFile>,
        dir: &Path,
        first: u64,
    ) -> Result<Self, ReadError> {
        let path = dir.join(crate::files::footer_name(first));
        Self::of(PagedFile::of(file, path, (0, first, 0)))
    }

    fn of(file: PagedFile) -> Result<Self, ReadError> {
        let page = file.read_page(0)?;
        if page.get(..8) != Some(MAGIC.as_slice()) {
            return Err(ReadError::Damaged {
                file: file.path().to_owned(),
                offset: 0,
                what: "not a footer".into(),
            });
        }
        let sealed = Sealed {
            log_id: LogId(uuid_at(&page, 8)),
            first_position: u64_at(&page, 24),
            last_position: u64_at(&page, 32),
            bytes: u64_at(&page, 40),
            recorded_at_ms: i64_at(&page, 48),
            chain: u32_at(&page, 56),
        };
        Ok(Self {
            sealed,
            offsets: u64_at(&page, 60),
            sparse: u64_at(&page, 68),
            file,
        })
    }

    /// The offsets of `count` events of a stream, from place `first` of the section on.
    pub(crate) fn offsets(
        &self,
        cache: &PageCache,
        first: u64,
        count: u64,
    ) -> Result<Vec<u32>, ReadError> {
        (first..first + count)
            .map(|at| Ok(u32::from_le_bytes(self.file.item::<OFFSET>(cache, 1, at)?)))
            .collect()
    }

    /// The last indexed record at or before a position.
    pub(crate) fn near(
        &self,
        cache: &PageCache,
        position: u64,
    ) -> Result<Option<(u64, u32)>, ReadError> {
        let first = 1 + pages_for(self.offsets, OFFSET);
        let entry = |at| {
            let bytes = self.file.item::<SPARSE>(cache, first, at)?;
            Ok((u64_at(&bytes, 0), u32_at(&bytes, 8)))
        };
        let (mut low, mut high) = (0, self.sparse);
        while low < high {
            let middle = low + (high - low) / 2;
            if entry(middle)?.0 <= position {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1).map(entry).transpose()
    }

    /// Checks every page.
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        let pages = 1 + pages_for(self.offsets, OFFSET) + pages_for(self.sparse, SPARSE);
        self.file.check_all(pages)
    }
}

/// Writes a footer, and gives the entries of its streams in the order of the stream files.
pub(crate) fn write(
    file: Arc<dyn BackendFile>,
    sealed: &Sealed,
    index: &MemoryIndex,
) -> io::Result<Vec<Entry>> {
    let mut streams: Vec<_> = index
        .streams
        .iter()
        .map(|(name, run)| (hash_of(name.as_str()), name, run))
        .collect();
    streams.sort_unstable_by(|a, b| {
        let key = |(hash, name, run): &(u64, &StreamName, _)| {
            let run: &&crate::memory::StreamRun = run;
            (*hash, run.first_version, (*name).clone())
        };
        key(a).cmp(&key(b))
    });

    let mut pages = PageWriter::new(file, 1);
    let mut entries = Vec::with_capacity(streams.len());
    let mut place = 0_u32;
    for (hash, _, run) in streams {
        let count = crate::wire::len_u32(run.offsets.len());
        entries.push(Entry {
            hash,
            first_version: run.first_version,
            segment: sealed.first_position,
            count,
            place,
        });
        for offset in &run.offsets {
            pages.push(&offset.to_le_bytes())?;
        }
        place += count;
    }
    pages.end_section()?;
    for (position, offset) in &index.sparse {
        let mut item = [0; SPARSE];
        put_at(&mut item, 0, &position.to_le_bytes());
        put_at(&mut item, 8, &offset.to_le_bytes());
        pages.push(&item)?;
    }

    let mut header = [0; 76];
    put_at(&mut header, 0, MAGIC);
    put_at(&mut header, 8, sealed.log_id.0.as_bytes());
    put_at(&mut header, 24, &sealed.first_position.to_le_bytes());
    put_at(&mut header, 32, &sealed.last_position.to_le_bytes());
    put_at(&mut header, 40, &sealed.bytes.to_le_bytes());
    put_at(&mut header, 48, &sealed.recorded_at_ms.to_le_bytes());
    put_at(&mut header, 56, &sealed.chain.to_le_bytes());
    put_at(&mut header, 60, &u64::from(place).to_le_bytes());
    put_at(
        &mut header,
        68,
        &crate::wire::len_u64(index.sparse.len()).to_le_bytes(),
    );
    pages.finish(&header)?;
    Ok(entries)
}

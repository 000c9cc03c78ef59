//! Stream files: which streams have events in which sealed segments.
//!
//! One is written for every segment that is sealed; eight neighbours of a level are merged into
//! one of the next, so that a lookup opens a few files however long the log is. A file holds a
//! filter that tells most absent streams at the price of one page, and entries sorted by stream
//! hash and first version. Two streams may share a hash: whoever follows an entry compares names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{Backend, BackendFile};
use crate::footer::Sealed;
use crate::paged::{FileKey, PageCache, PageWriter, PagedFile, pages_for, per_page};
use crate::wire::{index, put_at, u32_at, u64_at, uuid_at};
use crate::{LogId, ReadError};

/// Files of one level that are merged into one of the next.
pub(crate) const FANOUT: usize = 8;

const MAGIC: &[u8; 8] = b"DOORSTR1";
const ENTRY: usize = 32;
const BLOCK: usize = 64;
/// Keys of a filter block: 512 bits, a little over 10 for each.
const KEYS_OF_BLOCK: u64 = 48;
/// Bits set for a key.
const PROBES: u32 = 6;

/// A stream's events in one sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) hash: u64,
    pub(crate) first_version: u64,
    /// The first position of the segment.
    pub(crate) segment: u64,
    /// How many events.
    pub(crate) count: u32,
    /// Where their offsets begin in the segment's footer.
    pub(crate) place: u32,
}

impl Entry {
    /// The version of the last event.
    pub(crate) fn last_version(&self) -> u64 {
        self.first_version + u64::from(self.count).saturating_sub(1)
    }

    fn encode(&self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        put_at(&mut out, 0, &self.hash.to_le_bytes());
        put_at(&mut out, 8, &self.first_version.to_le_bytes());
        put_at(&mut out, 16, &self.segment.to_le_bytes());
        put_at(&mut out, 24, &self.count.to_le_bytes());
        put_at(&mut out, 28, &self.place.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8; ENTRY]) -> Self {
        Self {
            hash: u64_at(bytes, 0),
            first_version: u64_at(bytes, 8),
            segment: u64_at(bytes, 16),
            count: u32_at(bytes, 24),
            place: u32_at(bytes, 28),
        }
    }
}

/// What a stream file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) level: u32,
    /// The first position of its first segment.
    pub(crate) first: u64,
    /// The last position of its last segment.
    pub(crate) last: u64,
}

impl Coverage {
    /// The file's name.
    pub(crate) fn name(&self) -> String {
        format!(
            "streams-{}-{:020}-{:020}",
            self.level, self.first, self.last
        )
    }

    /// That of one sealed segment.
    pub(crate) fn of_segment(sealed: &Sealed) -> Self {
        Self {
            level: 0,
            first: sealed.first_position,
            last: sealed.last_position,
        }
    }

    /// Reads a file's name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("streams-")?.split('-');
        let coverage = Self {
            level: parts.next()?.parse().ok()?,
            first: parts.next()?.parse().ok()?,
            last: parts.next()?.parse().ok()?,
        };
        (coverage.name() == name).then_some(coverage)
    }

    /// What names the file in the cache of pages.
    fn key(&self) -> FileKey {
        (self.level + 1, self.first, self.last)
    }

    /// Whether all of the other lies within this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// A stream file, open for reading.
pub(crate) struct StreamFile {
    pub(crate) coverage: Coverage,
    pub(crate) entries: u64,
    blocks: u64,
    file: PagedFile,
}

impl StreamFile {
    pub(crate) fn open(
        backend: &dyn Backend,
        path: PathBuf,
        log_id: LogId,
        coverage: Coverage,
    ) -> Result<Self, ReadError> {
        Self::of(
            PagedFile::open(backend, path, coverage.key())?,
            log_id,
            coverage,
        )
    }

    /// A stream file that is open already, and would be in `dir`.
    pub(crate) fn in_file(
        file: Arc<dyn BackendFile>,
        dir: &Path,
        log_id: LogId,
        coverage: Coverage,
    ) -> Result<Self, ReadError> {
        let file = PagedFile::of(file, dir.join(coverage.name()), coverage.key());
        Self::of(file, log_id, coverage)
    }

    fn of(file: PagedFile, log_id: LogId, coverage: Coverage) -> Result<Self, ReadError> {
        let page = file.read_page(0)?;
        let found = Coverage {
            level: u32_at(&page, 24),
            first: u64_at(&page, 28),
            last: u64_at(&page, 36),
        };
        if page.get(..8) != Some(MAGIC.as_slice())
            || uuid_at(&page, 8) != log_id.0
            || found != coverage
        {
            return Err(ReadError::Damaged {
                file: file.path().to_owned(),
                offset: 0,
                what: "not the stream file of this log that its name says".into(),
            });
        }
        Ok(Self {
            coverage,
            entries: u64_at(&page, 44),
            blocks: u64_at(&page, 52),
            file,
        })
    }

    /// The place of the last entry of a stream hash whose first version is at most `version`.
    pub(crate) fn find(
        &self,
        cache: &PageCache,
        hash: u64,
        version: u64,
    ) -> Result<Option<u64>, ReadError> {
        if !self.may_hold(cache, hash)? {
            return Ok(None);
        }
        // The place after all entries up to (hash, version). Hashes are spread evenly, so the first
        // guess is near; the search then closes in by halves.
        let (mut low, mut high) = (0, self.entries);
        let guess = index_of_share(hash, self.entries);
        let mut reach = per_page(ENTRY);
        let mut probe = guess.min(self.entries.saturating_sub(1));
        while low < high {
            let entry = self.entry(cache, probe)?;
            if (entry.hash, entry.first_version) <= (hash, version) {
                low = probe + 1;
                probe = low.saturating_add(reach);
            } else {
                high = probe;
                probe = high.saturating_sub(reach);
            }
            reach = reach.saturating_mul(4);
            if probe < low || probe >= high || reach > self.entries {
                probe = low + (high.saturating_sub(low)) / 2;
            }
        }
        let Some(at) = low.checked_sub(1) else {
            return Ok(None);
        };
        Ok((self.entry(cache, at)?.hash == hash).then_some(at))
    }

    /// An entry by its place.
    pub(crate) fn entry(&self, cache: &PageCache, at: u64) -> Result<Entry, ReadError> {
        Ok(Entry::decode(&self.file.item::<ENTRY>(
            cache,
            self.first_entry_page(),
            at,
        )?))
    }

    /// Whether the filter leaves it open that the stream is here.
    fn may_hold(&self, cache: &PageCache, hash: u64) -> Result<bool, ReadError> {
        if self.entries == 0 {
            return Ok(false);
        }
        let block = self
            .file
            .item::<BLOCK>(cache, 1, block_of(hash, self.blocks))?;
        Ok(bits_of(hash).all(|(byte, bit)| block.get(byte).is_some_and(|b| b & bit != 0)))
    }

    fn first_entry_page(&self) -> u64 {
        1 + pages_for(self.blocks, BLOCK)
    }

    /// Checks every page.
    pub(crate) fn check(&self) -> Result<(), ReadError> {
        self.file
            .check_all(self.first_entry_page() + pages_for(self.entries, ENTRY))
    }

    /// Its entries in order, past the cache.
    fn scan(&self) -> Scan<'_> {
        Scan {
            of: self,
            page: Vec::new(),
            at: 0,
        }
    }
}

struct Scan<'a> {
    of: &'a StreamFile,
    page: Vec<u8>,
    at: u64,
}

impl Scan<'_> {
    fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        if self.at >= self.of.entries {
            return Ok(None);
        }
        let within = self.at % per_page(ENTRY);
        if within == 0 {
            let number = self.of.first_entry_page() + self.at / per_page(ENTRY);
            self.page = self.of.file.read_page(number)?;
        }
        self.at += 1;
        let at = index(within) * ENTRY;
        let bytes = self
            .page
            .get(at..at + ENTRY)
            .and_then(|bytes| bytes.try_into().ok());
        Ok(bytes.map(Entry::decode))
    }
}

fn index_of_share(hash: u64, of: u64) -> u64 {
    let share = (u128::from(hash) * u128::from(of)) >> 64;
    u64::try_from(share).unwrap_or(0)
}

fn block_of(hash: u64, blocks: u64) -> u64 {
    // Other bits than those that sort the entries would do as well; these are spread evenly.
    index_of_share(hash.rotate_left(32), blocks)
}

fn bits_of(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    let mut mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |_| {
        let bit = mixed >> 55;
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(9) ^ hash;
        (index(bit / 8) % BLOCK, 1 << (bit % 8))
    })
}

/// Writes a stream file of sorted entries.
pub(crate) fn write(
    file: Arc<dyn BackendFile>,
    log_id: LogId,
    coverage: Coverage,
    entries: &[Entry],
) -> io::Result<()> {
    let mut sorted = entries.iter();
    let count = crate::wire::len_u64(entries.len());
    write_from(file, log_id, coverage, count, || Ok(sorted.next().copied()))
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Merges neighbouring stream files, oldest first, into one.
pub(crate) fn merge(
    file: Arc<dyn BackendFile>,
    log_id: LogId,
    coverage: Coverage,
    inputs: &[Arc<StreamFile>],
) -> Result<(), ReadError> {
    let mut scans: Vec<_> = inputs.iter().map(|input| input.scan()).collect();
    let mut heads = Vec::with_capacity(scans.len());
    for scan in &mut scans {
        heads.push(scan.next()?);
    }
    let count = inputs.iter().map(|input| input.entries).sum();
    write_from(file, log_id, coverage, count, || {
        let least = heads
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| entry.map(|entry| (entry, at)))
            .min();
        let Some((entry, at)) = least else {
            return Ok(None);
        };
        if let (Some(head), Some(scan)) = (heads.get_mut(at), scans.get_mut(at)) {
            *head = scan.next()?;
        }
        Ok(Some(entry))
    })
}

fn write_from(
    file: Arc<dyn BackendFile>,
    log_id: LogId,
    coverage: Coverage,
    count: u64,
    mut next: impl FnMut() -> Result<Option<Entry>, ReadError>,
) -> Result<(), ReadError> {
    let failed = |error: io::Error| ReadError::Io {
        file: coverage.name().into(),
        message: error.to_string(),
    };
    let blocks = count.div_ceil(KEYS_OF_BLOCK).max(1);
    let filter_pages = pages_for(blocks, BLOCK);
    let mut filter = vec![0_u8; index(blocks) * BLOCK];
    let mut pages = PageWriter::new(Arc::clone(&file), 1 + filter_pages);
    let mut written = 0;
    while let Some(entry) = next()? {
        let block = index(block_of(entry.hash, blocks)) * BLOCK;
        for (byte, bit) in bits_of(entry.hash) {
            if let Some(place) = filter.get_mut(block + byte) {
                *place |= bit;
            }
        }
        pages.push(&entry.encode()).map_err(failed)?;
        written += 1;
    }
    pages.flush_section().map_err(failed)?;

    let mut pages = PageWriter::new(file, 1);
    for block in filter.chunks(BLOCK) {
        pages.push(block).map_err(failed)?;
    }
    let mut header = [0; 60];
    put_at(&mut header, 0, MAGIC);
    put_at(&mut header, 8, log_id.0.as_bytes());
    put_at(&mut header, 24, &coverage.level.to_le_bytes());
    put_at(&mut header, 28, &coverage.first.to_le_bytes());
    put_at(&mut header, 36, &coverage.last.to_le_bytes());
    put_at(&mut header, 44, &u64::to_le_bytes(written));
    put_at(&mut header, 52, &blocks.to_le_bytes());
    pages.finish(&header).map_err(failed)
}

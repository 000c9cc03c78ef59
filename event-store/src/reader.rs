//! Reading the log: by position, by stream, by version, up to the durable end.
//!
//! Every record is checked before it is served, wherever it comes from. What is open is indexed in
//! memory, what is sealed in footers and stream files; a reading costs what it reads and a few pages
//! of index. Readings block for as long as the disk does.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use crate::backend::{Backend, Mode};
use crate::batch::{BATCH_HEADER, begins_batch};
use crate::footer::{Footer, hash_of};
use crate::kept::KeptIndex;
use crate::levels::{Entry, StreamFile};
use crate::paged::{PageCache, io_error};
use crate::record::{self, RECORD_BYTES_MAX};
use crate::segment::{OpenSegment, SealedFiles, Segment};
use crate::wire::{index, len_u64};
use crate::{Direction, Position, ReadError, RecordedEvent, StreamFrom, StreamHead, StreamName};

/// Bytes of a block of the log at most.
const BLOCK_MAX: usize = 1024 * 1024;
/// Bytes of a block of the log at least, where there are so many.
const BLOCK_MIN: usize = 64 * 1024;

/// The files of the log, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Catalog {
    /// First positions of the sealed segments that have footers.
    pub(crate) sealed: Vec<u64>,
    pub(crate) open: Vec<Arc<OpenSegment>>,
    pub(crate) levels: Vec<Arc<StreamFile>>,
    /// Index files of sealed segments that there was no room for.
    pub(crate) kept: Vec<Arc<KeptIndex>>,
}

/// Everything a reading needs.
pub(crate) struct Reader {
    dir: PathBuf,
    backend: Arc<dyn Backend>,
    catalog: RwLock<Arc<Catalog>>,
    durable: AtomicU64,
    pages: PageCache,
    files: Mutex<LruCache<u64, Arc<SealedFiles>>>,
}

/// Events of one stream that stand in one segment.
struct Run {
    segment: Segment,
    first_version: u64,
    last_version: u64,
    /// Where their offsets begin in a footer.
    place: u64,
}

/// Where in the stream files a run was found.
#[derive(Clone, Copy)]
struct Spot {
    level: usize,
    at: u64,
}

/// What is asked for is not in memory.
pub(crate) struct OnDisk;

/// The position and offset of a record, or of the header of its batch.
type Near = (u64, u64);

impl Reader {
    pub(crate) fn new(
        dir: PathBuf,
        backend: Arc<dyn Backend>,
        catalog: Catalog,
        durable: u64,
        pages: PageCache,
        files_max: usize,
    ) -> Self {
        let files_max = NonZeroUsize::new(files_max).unwrap_or(NonZeroUsize::MIN);
        Self {
            dir,
            backend,
            catalog: RwLock::new(Arc::new(catalog)),
            durable: AtomicU64::new(durable),
            pages,
            files: Mutex::new(LruCache::new(files_max)),
        }
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Moves the durable position. The writer does it while it holds the active segment's index, so
    /// that whoever finds an event there finds it durable, too.
    pub(crate) fn set_durable(&self, position: u64) {
        self.durable.store(position, Ordering::Release);
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read())
    }

    /// Replaces the catalog by what `change` makes of it.
    pub(crate) fn change_catalog(&self, change: impl FnOnce(&mut Catalog)) {
        let mut held = self.catalog.write();
        let mut next = Catalog::clone(&held);
        change(&mut next);
        *held = Arc::new(next);
    }

    /// Events after a position, in order, at least one where there is one.
    pub(crate) fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let durable = self.durable();
        let mut out = Vec::new();
        let mut bytes_left = max_bytes.max(1);
        let mut next = after.0.saturating_add(1);
        let max_events = max_events.max(1);
        while next <= durable && out.len() < max_events && bytes_left > 0 {
            let catalog = self.catalog();
            let Some((segment, near)) = self.segment_at(&catalog, next)? else {
                break;
            };
            let before = out.len();
            let mut cursor = Cursor {
                segment,
                at: near,
                next,
                durable,
            };
            while out.len() < max_events && bytes_left > 0 {
                if !cursor.block(max_events, &mut bytes_left, &mut out)? {
                    break;
                }
            }
            next = cursor.next;
            if out.len() == before {
                let (segment, (_, offset)) = (cursor.segment, cursor.at);
                return Err(segment.damaged(offset, format!("position {next} is not here")));
            }
        }
        Ok(out)
    }

    /// The segment a position is in, with a record of it at or before the position.
    fn segment_at(
        &self,
        catalog: &Catalog,
        position: u64,
    ) -> Result<Option<(Segment, Near)>, ReadError> {
        let from_start = |first: u64| (first, len_u64(crate::batch::SEGMENT_HEADER));
        let after = catalog
            .open
            .partition_point(|open| open.header.first_position <= position);
        if let Some(open) = after.checked_sub(1).and_then(|at| catalog.open.get(at)) {
            let near = open.index.read().near(position);
            let near = near.map_or(from_start(open.header.first_position), |(p, o)| {
                (p, u64::from(o))
            });
            return Ok(Some((Segment::Open(Arc::clone(open)), near)));
        }
        let after = catalog.sealed.partition_point(|first| *first <= position);
        let Some(first) = after.checked_sub(1).and_then(|at| catalog.sealed.get(at)) else {
            return Ok(None);
        };
        let files = self.sealed(*first)?;
        let near = files.footer.near(&self.pages, position)?;
        let near = near.map_or(from_start(*first), |(p, o)| (p, u64::from(o)));
        Ok(Some((Segment::Sealed(files), near)))
    }

    /// The files of a sealed segment, kept open for a while.
    fn sealed(&self, first: u64) -> Result<Arc<SealedFiles>, ReadError> {
        if let Some(files) = self.files.lock().get(&first) {
            return Ok(Arc::clone(files));
        }
        let path = self.dir.join(crate::files::segment_name(first));
        let file = self
            .backend
            .open(&path, Mode::Read)
            .map_err(|e| io_error(&path, &e))?;
        let kept = self.catalog();
        let footer = match kept.kept.iter().find(|kept| kept.first() == first) {
            Some(kept) => kept.footer(),
            None => Arc::new(Footer::open(&*self.backend, &self.dir, first)?),
        };
        let files = Arc::new(SealedFiles { path, file, footer });
        self.files.lock().put(first, Arc::clone(&files));
        Ok(files)
    }

    /// The run of a stream that holds a version, or the last run before it; with the last version
    /// asked for, that is the stream's end. In sealed segments the names are compared.
    fn run(&self, stream: &StreamName, version: u64) -> Result<Option<Run>, ReadError> {
        let found = self.run_below(&self.catalog(), stream, version, None)?;
        Ok(found.map(|(run, _)| run))
    }

    /// The same, where runs above were found already: the search goes on below the last one's spot.
    fn run_below(
        &self,
        catalog: &Catalog,
        stream: &StreamName,
        version: u64,
        above: Option<Spot>,
    ) -> Result<Option<(Run, Option<Spot>)>, ReadError> {
        let open = if above.is_some() {
            &[]
        } else {
            catalog.open.as_slice()
        };
        for open in open.iter().rev() {
            let held = open.index.read();
            if let Some(run) = held
                .streams
                .get(stream)
                .filter(|run| run.first_version <= version)
            {
                let run = Run {
                    first_version: run.first_version,
                    last_version: run.last_version(),
                    place: 0,
                    segment: Segment::Open(Arc::clone(open)),
                };
                return Ok(Some((run, None)));
            }
        }
        let hash = hash_of(stream.as_str());
        let below = above.map_or(catalog.levels.len(), |spot| spot.level + 1);
        for (level, file) in catalog.levels.iter().enumerate().take(below).rev() {
            let mut next = match above.filter(|spot| spot.level == level) {
                Some(spot) => spot.at.checked_sub(1),
                None => file.find(&self.pages, hash, version)?,
            };
            // Below stand this stream's earlier segments, and other streams of the same hash.
            while let Some(at) = next {
                let entry = file.entry(&self.pages, at)?;
                if entry.hash != hash {
                    break;
                }
                next = at.checked_sub(1);
                if entry.first_version > version {
                    continue;
                }
                let run = self.run_of(&entry)?;
                let found = self.version_of(&run, version.min(run.last_version))?;
                if found.stream() == stream.as_str() {
                    return Ok(Some((run, Some(Spot { level, at }))));
                }
            }
        }
        Ok(None)
    }

    fn run_of(&self, entry: &Entry) -> Result<Run, ReadError> {
        Ok(Run {
            segment: Segment::Sealed(self.sealed(entry.segment)?),
            first_version: entry.first_version,
            last_version: entry.last_version(),
            place: u64::from(entry.place),
        })
    }

    fn version_of(&self, run: &Run, version: u64) -> Result<RecordedEvent, ReadError> {
        let mut out = Vec::with_capacity(1);
        // The stream does not matter here: the run is a sealed one.
        let offsets = match &run.segment {
            Segment::Sealed(files) => {
                files
                    .footer
                    .offsets(&self.pages, run.place + version - run.first_version, 1)?
            }
            Segment::Open(_) => Vec::new(),
        };
        run.segment.records(&offsets, &mut out)?;
        out.pop()
            .ok_or_else(|| run.segment.damaged(0, "the index names no record"))
    }

    /// The offsets of versions `low..=high` of a run.
    fn offsets(
        &self,
        stream: &StreamName,
        run: &Run,
        low: u64,
        high: u64,
    ) -> Result<Vec<u32>, ReadError> {
        let (from, count) = (low - run.first_version, high - low + 1);
        match &run.segment {
            Segment::Open(open) => {
                let held = open.index.read();
                let range = index(from)..index(from + count);
                let offsets = held
                    .streams
                    .get(stream)
                    .and_then(|run| run.offsets.get(range));
                Ok(offsets.map(<[u32]>::to_vec).unwrap_or_default())
            }
            Segment::Sealed(files) => files.footer.offsets(&self.pages, run.place + from, count),
        }
    }

    /// The last event of a stream, where the disk need not be asked.
    pub(crate) fn head_in_memory(&self, stream: &StreamName) -> Result<Option<StreamHead>, OnDisk> {
        let catalog = self.catalog();
        let head = catalog.open.iter().rev().find_map(|open| {
            let held = open.index.read();
            held.streams.get(stream).map(|run| StreamHead {
                version: run.last_version(),
                position: Position(run.last_position),
            })
        });
        if head.is_some() || catalog.levels.is_empty() {
            Ok(head)
        } else {
            Err(OnDisk)
        }
    }

    /// The last event of a stream.
    pub(crate) fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        if let Ok(head) = self.head_in_memory(stream) {
            return Ok(head);
        }
        let Some(run) = self.run(stream, u64::MAX)? else {
            return Ok(None);
        };
        let last = self.read_versions(stream, run.last_version, run.last_version)?;
        Ok(last.first().map(|event| StreamHead {
            version: event.version(),
            position: event.position(),
        }))
    }

    pub(crate) fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        match self.run(stream, version)? {
            Some(run) if version <= run.last_version => {
                Ok(self.read_versions(stream, version, version)?.pop())
            }
            Some(_) | None => Ok(None),
        }
    }

    pub(crate) fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let Some(last) = self.run(stream, u64::MAX)? else {
            return Ok(Vec::new());
        };
        let last = last.last_version;
        let more = len_u64(max).saturating_sub(1);
        let (low, high) = match (direction, from) {
            (_, _) if max == 0 => return Ok(Vec::new()),
            (Direction::Forward, StreamFrom::Start) => (0, more.min(last)),
            (Direction::Forward, StreamFrom::End) => (last, last),
            (Direction::Forward, StreamFrom::Version(v)) => (v, v.saturating_add(more).min(last)),
            (Direction::Backward, StreamFrom::Start) => (0, 0),
            (Direction::Backward, StreamFrom::End) => (last.saturating_sub(more), last),
            (Direction::Backward, StreamFrom::Version(v)) => {
                (v.min(last).saturating_sub(more), v.min(last))
            }
        };
        let mut events = self.read_versions(stream, low, high)?;
        if direction == Direction::Backward {
            events.reverse();
        }
        Ok(events)
    }

    /// Versions `low..=high` of a stream, rising; they are all there.
    fn read_versions(
        &self,
        stream: &StreamName,
        low: u64,
        high: u64,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        if low > high {
            return Ok(Vec::new());
        }
        let catalog = self.catalog();
        let mut pieces = Vec::new();
        let mut top = high;
        let mut above = None;
        loop {
            let found = self.run_below(&catalog, stream, top, above)?;
            let Some((run, spot)) = found.filter(|(run, _)| top <= run.last_version) else {
                return Err(ReadError::Damaged {
                    file: self.dir.clone(),
                    offset: 0,
                    what: format!("no index has version {top} of {stream}"),
                });
            };
            let bottom = low.max(run.first_version);
            let offsets = self.offsets(stream, &run, bottom, top)?;
            pieces.push((run.segment, bottom, offsets));
            if bottom == low {
                break;
            }
            top = bottom - 1;
            above = spot;
        }
        let mut out = Vec::with_capacity(index(high - low + 1).min(4096));
        for (segment, bottom, offsets) in pieces.iter().rev() {
            let before = out.len();
            segment.records(offsets, &mut out)?;
            let read = out.get(before..).unwrap_or_default();
            for ((event, version), offset) in read.iter().zip(*bottom..).zip(offsets) {
                if event.stream() != stream.as_str() || event.version() != version {
                    let what = format!("not version {version} of {stream}, as the index has it");
                    return Err(segment.damaged(u64::from(*offset), what));
                }
            }
        }
        Ok(out)
    }
}

/// A place in a segment from which records are read in order.
struct Cursor {
    segment: Segment,
    /// Where the next record stands.
    at: Near,
    /// The first position wanted.
    next: u64,
    durable: u64,
}

impl Cursor {
    /// Reads one block; false at the segment's end.
    fn block(
        &mut self,
        max_events: usize,
        bytes_left: &mut usize,
        out: &mut Vec<RecordedEvent>,
    ) -> Result<bool, ReadError> {
        let (_, offset) = self.at;
        if self.next > self.durable || offset >= self.segment.end() {
            return Ok(false);
        }
        let wanted = bytes_left
            .saturating_add(BLOCK_MIN / 2)
            .clamp(BLOCK_MIN, BLOCK_MAX);
        let block = self.segment.read(offset, wanted)?;
        let at = self.records_of(&block, max_events, bytes_left, out)?;
        if at == 0 {
            // The next record does not fit a block of this size.
            let block = self.segment.read(offset, BATCH_HEADER + RECORD_BYTES_MAX)?;
            if self.records_of(&block, max_events, bytes_left, out)? == 0 {
                return Err(self
                    .segment
                    .damaged(offset, "a record that its segment cuts short"));
            }
        }
        Ok(true)
    }

    /// Takes the records of a block, and gives how far it came.
    fn records_of(
        &mut self,
        block: &Bytes,
        max_events: usize,
        bytes_left: &mut usize,
        out: &mut Vec<RecordedEvent>,
    ) -> Result<usize, ReadError> {
        let mut at = 0;
        while out.len() < max_events && *bytes_left > 0 && self.next <= self.durable {
            let (position, offset) = self.at;
            let Some(rest) = block.get(at..).filter(|rest| rest.len() >= 4) else {
                break;
            };
            let taken = if begins_batch(rest) {
                if rest.len() < BATCH_HEADER {
                    break;
                }
                BATCH_HEADER
            } else {
                let Some(len) = record::stored_len(rest) else {
                    return Err(self.segment.damaged(offset, "no record where one follows"));
                };
                let Some(bytes) = rest.get(..len) else { break };
                if record::position_of(bytes) != position {
                    let what = format!("a record that is not at position {position}");
                    return Err(self.segment.damaged(offset, what));
                }
                if position == self.next {
                    out.push(self.segment.event(offset, block.slice(at..at + len))?);
                    *bytes_left = bytes_left.saturating_sub(len);
                    self.next += 1;
                }
                self.at.0 += 1;
                len
            };
            self.at.1 += len_u64(taken);
            at += taken;
        }
        Ok(at)
    }
}

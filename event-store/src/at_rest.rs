//! A log at rest, opened to be read and left as it is: no byte of its folder is written.
//!
//! The same checks as at an opening for writing stand before it, with the same words: damage is not read over. What has
//! no index, as in a backup, is read whole and indexed in memory (4 bytes an event, 32 bytes a stream of a segment);
//! a torn tail stays where it is. Others may read beside it; who would write waits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::active::end_of;
use crate::backend::{Backend, Mode};
use crate::batch::SegmentHeader;
use crate::kept::KeptIndex;
use crate::mark::{self, Mark};
use crate::paged::PageCache;
use crate::reader::{Catalog, Reader};
use crate::recovery::{
    Listing, damaged, footer_of, read_file, read_header, read_identity, read_sealed, usable_streams,
};
use crate::segment::OpenSegment;
use crate::verify::End;
use crate::wire::len_u64;
use crate::{
    Append, AppendError, Direction, EventStore, Grade, LogId, OpenError, Options, OutcomeUnknown,
    Position, ReadError, RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
    copied, embedded, files,
};

/// A log at rest that is only read. Appends are `Closed`.
#[derive(Clone)]
pub struct LogAtRest {
    held: Arc<Held>,
}

struct Held {
    backend: Arc<dyn Backend>,
    dir: PathBuf,
    log_id: LogId,
    schema_level: u32,
    reader: Reader,
    end: End,
    durable: Position,
    /// Kept for who follows: it never changes.
    _changes: watch::Sender<Position>,
    watched: watch::Receiver<Position>,
    _lock: Box<dyn Send + Sync>,
}

impl LogAtRest {
    /// Opens the log of a data folder that no process writes to, or of a backup, whose manifest it has to reach.
    pub fn open(data_dir: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let data_dir = data_dir.as_ref();
        let dir = data_dir.join("log");
        let backend = Arc::clone(&options.backend);
        let lock = embedded::lock_to_read(&*backend, data_dir)?;
        let found = find(&*backend, &dir, options.schema_level)?;
        copied::reaches(&*backend, data_dir, found.durable)?;
        let (changes, watched) = watch::channel(found.durable);
        let reader = Reader::new(
            dir.clone(),
            Arc::clone(&backend),
            found.catalog,
            found.durable.0,
            PageCache::new(options.index_cache_bytes),
            options.max_open_footers,
        );
        Ok(Self {
            held: Arc::new(Held {
                backend,
                dir,
                log_id: found.log_id,
                schema_level: found.schema_level,
                reader,
                end: found.end,
                durable: found.durable,
                _changes: changes,
                watched,
                _lock: lock,
            }),
        })
    }

    /// The file system, the folder of the log's files, and the end with its position.
    pub(crate) fn snapshot(&self) -> (&dyn Backend, &Path, End, Position) {
        let held = &self.held;
        (&*held.backend, &held.dir, held.end, held.durable)
    }
}

/// What a log at rest is.
struct Found {
    log_id: LogId,
    schema_level: u32,
    catalog: Catalog,
    end: End,
    durable: Position,
}

fn find(backend: &dyn Backend, dir: &Path, schema_level: u32) -> Result<Found, OpenError> {
    let listing = Listing::of(backend, dir)?;
    let identity = read_identity(backend, dir)?;
    if identity.schema_level > schema_level {
        return Err(OpenError::SchemaLevel {
            found: identity.schema_level,
            known: schema_level,
        });
    }
    let log_id = identity.log_id;
    let mark = mark_of(backend, dir, &listing)?.filter(|mark| mark.log_id == log_id);
    let mut segments: Vec<(u64, PathBuf)> = listing
        .segments
        .iter()
        .map(|first| (*first, dir.join(files::segment_name(*first))))
        .collect();
    let last = listing.segments.last().copied().unwrap_or(0);
    if let Some(mark) = mark
        && mark.segment > last
    {
        let missing = dir.join(files::segment_name(mark.segment));
        let what = "the segment is missing; the mark names it";
        return Err(damaged(&missing, 0, what));
    }
    // The last segment is the active one, unless it was written under an earlier id.
    let mut active = None;
    if let Some((first, path)) = segments.last() {
        let header = read_header(backend, path, &identity, *first)?;
        active = (header.log_id == log_id).then_some(header);
    }
    let active = active.and_then(|header| Some((segments.pop()?.1, header)));
    let mut link = SegmentHeader {
        log_id,
        first_position: 1,
        chain: 0,
        recorded_at_ms: i64::MIN,
    };
    let mut end = End {
        segment: 0,
        offset: 0,
    };
    let mut catalog = Catalog::default();
    let mut streams = usable_streams(backend, dir, &listing, &segments, log_id, true);
    for (first, path) in &segments {
        follows(dir, &link, *first)?;
        let indexed = streams
            .iter()
            .any(|file| file.coverage.first <= *first && *first <= file.coverage.last);
        let has_footer = listing.footers.contains(first);
        let footer = if has_footer {
            footer_of(backend, dir, path, &identity, *first)?
        } else {
            None
        };
        let sealed = if let Some(sealed) = footer.filter(|_| indexed) {
            sealed
        } else {
            let (sealed, index) = read_sealed(backend, path, &identity, *first)?;
            let kept = KeptIndex::make(dir, log_id, sealed, &index, indexed)?;
            if !indexed {
                streams.push(kept.streams());
            }
            catalog.kept.push(Arc::new(kept));
            sealed
        };
        link.first_position = sealed.last_position + 1;
        link.chain = sealed.chain;
        end = End {
            segment: *first,
            offset: sealed.bytes,
        };
        catalog.sealed.push(*first);
    }
    streams.sort_unstable_by_key(|file| file.coverage.first);
    catalog.levels = streams;
    let mut durable = link.first_position - 1;
    if let Some((path, header)) = active {
        follows(dir, &link, header.first_position)?;
        if header.chain != link.chain {
            let what = "the segment does not follow the one before it";
            return Err(damaged(&path, 0, what));
        }
        let bytes = read_file(backend, &path)?;
        let scanned = end_of(&path, &bytes, &header, mark)?;
        if let Some(stop) = &scanned.stop {
            tracing::warn!(file = %path.display(), offset = stop.offset, what = stop.what,
                "the log's tail does not check; it was never durable, and is not read");
        }
        end = End {
            segment: header.first_position,
            offset: len_u64(scanned.link.offset),
        };
        durable = scanned.link.position - 1;
        let file = backend
            .open(&path, Mode::Read)
            .map_err(|e| OpenError::io(&path, e))?;
        catalog.open.push(Arc::new(OpenSegment {
            header,
            path,
            file,
            index: RwLock::new(scanned.index),
        }));
    }
    Ok(Found {
        log_id,
        schema_level: identity.schema_level,
        catalog,
        end,
        durable: Position(durable),
    })
}

/// Checks that a segment begins where the one before it ends.
fn follows(dir: &Path, link: &SegmentHeader, first: u64) -> Result<(), OpenError> {
    if first == link.first_position {
        return Ok(());
    }
    let missing = dir.join(files::segment_name(link.first_position));
    Err(damaged(&missing, 0, "the segment is missing"))
}

/// The newest mark that checks.
fn mark_of(
    backend: &dyn Backend,
    dir: &Path,
    listing: &Listing,
) -> Result<Option<Mark>, OpenError> {
    if !listing.mark {
        return Ok(None);
    }
    let path = dir.join(files::MARK);
    let slots = backend
        .open(&path, Mode::Read)
        .and_then(|file| mark::read(&*file))
        .map_err(|e| OpenError::io(&path, e))?;
    Ok(slots.newest)
}

#[async_trait]
impl EventStore for LogAtRest {
    fn log_id(&self) -> LogId {
        self.held.log_id
    }

    fn schema_level(&self) -> u32 {
        self.held.schema_level
    }

    fn grade(&self) -> Grade {
        Grade::Serializable
    }

    async fn append(&self, _: Append) -> Result<Ticket, AppendError> {
        Err(AppendError::Closed)
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.held.reader.read_stream(stream, from, direction, max)
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        self.held.reader.read_one(stream, version)
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.held.reader.read_all(after, max_events, max_bytes)
    }

    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        self.held.reader.head(stream)
    }

    fn durable_position(&self) -> Position {
        self.held.durable
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        self.held.watched.clone()
    }

    async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown> {
        if position <= self.held.durable {
            Ok(())
        } else {
            Err(OutcomeUnknown)
        }
    }

    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError> {
        Ok(Subscription::reading(Arc::new(self.clone()), after))
    }
}

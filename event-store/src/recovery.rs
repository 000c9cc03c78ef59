//! Opening a log: what is there, where it ends, what is aside of it.
//!
//! Sealed segments are taken by their footers, and read only where a footer is missing; where it cannot
//! be written again, on a full disk, it is kept in memory (`kept`). The active
//! segment is read whole: it ends at the first batch that does not check. If what follows is damage,
//! or the mark says that more was durable, nothing is changed and the log does not open; else the
//! rejected bytes are kept aside and zeroed, on a full disk once there is room. What was accepted since the mark is written and synced
//! again, since after a kill it may be in the page cache alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::active::Torn;
use crate::backend::{Backend, BackendFile, Mode};
use crate::batch::{self, FORMAT, Link, SEGMENT_HEADER, SegmentHeader};
use crate::footer::{Footer, Sealed};
use crate::identity::Identity;
use crate::keeper;
use crate::kept::KeptIndex;
use crate::levels::{Coverage, StreamFile};
use crate::mark::{self, Mark, SLOT};
use crate::memory::MemoryIndex;
use crate::order::Batch;
use crate::reader::Catalog;
use crate::wire::{index, len_u64};
use crate::writer::Tail;
use crate::{LogId, OpenError, ReadError, StreamName, active, files, record};

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The log was stopped cleanly, or is new.
    pub clean: bool,
    /// Bytes of the active segment that were written and synced again.
    pub rewritten_bytes: u64,
    /// The rejected bytes of the tail.
    pub torn: Option<TornTail>,
    /// Sealed segments whose footers were built again.
    pub footers_rebuilt: usize,
}

/// Bytes at the log's end that were no batch, kept aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment they stood in.
    pub file: PathBuf,
    /// Where they began.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// What did not check.
    pub what: String,
    /// The file they are kept in; none while the disk is too full for it. Until there is room they
    /// stay where they are, and appends are refused.
    pub kept_in: Option<PathBuf>,
}

/// An opened log, before its threads run.
pub(crate) struct Opened {
    pub(crate) identity: Identity,
    pub(crate) catalog: Catalog,
    pub(crate) tail: Tail,
    pub(crate) next_position: u64,
    /// How far the active segment is zero-filled.
    pub(crate) filled: u64,
    pub(crate) recovery: Recovery,
    /// A torn tail that is still to be kept aside.
    pub(crate) torn: Option<Torn>,
}

/// The files of a log by their names.
#[derive(Default)]
pub(crate) struct Listing {
    /// First positions, rising.
    pub(crate) segments: Vec<u64>,
    pub(crate) footers: Vec<u64>,
    pub(crate) streams: Vec<Coverage>,
    pub(crate) identity: bool,
    pub(crate) mark: bool,
    pub(crate) torn: Vec<String>,
    leftovers: Vec<String>,
}

impl Listing {
    pub(crate) fn of(backend: &dyn Backend, dir: &Path) -> Result<Self, OpenError> {
        let mut listing = Self::default();
        for name in backend.list(dir).map_err(|e| OpenError::io(dir, e))? {
            if let Some(first) = files::segment_of_name(&name) {
                listing.segments.push(first);
            } else if let Some(first) = files::footer_of_name(&name) {
                listing.footers.push(first);
            } else if let Some(coverage) = Coverage::of_name(&name) {
                listing.streams.push(coverage);
            } else if name.starts_with("torn-") {
                listing.torn.push(name);
            } else if name == files::IDENTITY {
                listing.identity = true;
            } else if name == files::MARK {
                listing.mark = true;
            } else if name == files::PREPARED || name == files::UNFINISHED {
                listing.leftovers.push(name);
            }
        }
        listing.segments.sort_unstable();
        listing.footers.sort_unstable();
        Ok(listing)
    }
}

/// Reads a whole file.
pub(crate) fn read_file(backend: &dyn Backend, path: &Path) -> Result<Vec<u8>, OpenError> {
    let failed = |e| OpenError::io(path, e);
    let file = backend.open(path, Mode::Read).map_err(failed)?;
    let mut bytes = vec![0; index(file.len().map_err(failed)?)];
    let read = file.read_at(&mut bytes, 0).map_err(failed)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Writes a whole file, under its name only once it is complete.
pub(crate) fn write_file(
    backend: &dyn Backend,
    dir: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<(), OpenError> {
    let unfinished = dir.join(files::UNFINISHED);
    let failed = |e| OpenError::io(dir.join(name), e);
    let file = backend.open(&unfinished, Mode::Create).map_err(failed)?;
    file.write_at(bytes, 0)
        .and_then(|()| file.sync())
        .map_err(failed)?;
    backend
        .rename(&unfinished, &dir.join(name))
        .map_err(failed)?;
    backend.sync_dir(dir).map_err(failed)
}

/// Reads the log's identity.
pub(crate) fn read_identity(backend: &dyn Backend, dir: &Path) -> Result<Identity, OpenError> {
    let path = dir.join(files::IDENTITY);
    Identity::parse(&read_file(backend, &path)?).map_err(|format| match format {
        Some(found) => OpenError::Format {
            found,
            known: FORMAT,
        },
        None => damaged(&path, 0, "the log's identity does not check"),
    })
}

pub(crate) fn damaged(file: &Path, offset: usize, what: impl Into<String>) -> OpenError {
    OpenError::Damaged {
        file: file.to_owned(),
        offset: len_u64(offset),
        what: what.into(),
    }
}

/// Opens the log in `dir`, which exists, or makes one there.
pub(crate) fn open(
    backend: &dyn Backend,
    dir: &Path,
    segment_bytes: u64,
    schema_level: u32,
) -> Result<Opened, OpenError> {
    let listing = Listing::of(backend, dir)?;
    clear(backend, dir, &listing)?;
    let identity = if listing.identity {
        read_identity(backend, dir)?
    } else if listing.segments.is_empty() {
        let identity = Identity {
            log_id: batch::new_log_id(),
            schema_level,
            earlier: Vec::new(),
        };
        write_file(backend, dir, files::IDENTITY, identity.render().as_bytes())?;
        identity
    } else {
        return Err(damaged(
            &dir.join(files::IDENTITY),
            0,
            "the log's identity is missing",
        ));
    };
    if identity.schema_level > schema_level {
        return Err(OpenError::SchemaLevel {
            found: identity.schema_level,
            known: schema_level,
        });
    }
    let (mark_file, slots) = open_mark(backend, dir, listing.mark)?;
    let mark = slots.newest.filter(|mark| mark.log_id == identity.log_id);

    let mut segments = Vec::with_capacity(listing.segments.len());
    for first in &listing.segments {
        let path = dir.join(files::segment_name(*first));
        segments.push((*first, path));
    }
    if segments.first().is_some_and(|(first, _)| *first != 1) {
        return Err(damaged(
            &dir.join(files::segment_name(1)),
            0,
            "the segment is missing",
        ));
    }
    let last = listing.segments.last().copied().unwrap_or(0);
    if let Some(mark) = mark
        && mark.segment > last
    {
        let path = dir.join(files::segment_name(mark.segment));
        return Err(damaged(
            &path,
            0,
            "the segment is missing; the mark names it",
        ));
    }

    // The last segment is the active one, unless it was written under an earlier id.
    let mut recovery = Recovery {
        clean: true,
        ..Recovery::default()
    };
    let active = match segments.last() {
        Some((first, path)) => {
            let header = read_header(backend, path, &identity, *first)?;
            (header.log_id == identity.log_id).then(|| (path.clone(), header))
        }
        None => None,
    };
    if active.is_some() {
        segments.pop();
    }
    let mut catalog = Catalog::default();
    let mut link = SegmentHeader {
        log_id: identity.log_id,
        first_position: 1,
        chain: 0,
        recorded_at_ms: i64::MIN,
    };
    let mut streams = usable_streams(backend, dir, &listing, &segments, identity.log_id, false);
    for (first, path) in &segments {
        if *first != link.first_position {
            let missing = dir.join(files::segment_name(link.first_position));
            return Err(damaged(&missing, 0, "the segment is missing"));
        }
        let indexed = streams
            .iter()
            .any(|file| file.coverage.first <= *first && *first <= file.coverage.last);
        let sealed = match footer_of(backend, dir, path, &identity, *first)? {
            Some(sealed) if indexed => sealed,
            found => {
                let (sealed, index) = read_sealed(backend, path, &identity, *first)?;
                if found.is_none() || !indexed {
                    recovery.footers_rebuilt += 1;
                }
                let written =
                    keeper::write_index_files(backend, dir, identity.log_id, &sealed, &index);
                let file = match written {
                    Ok(file) => {
                        if indexed {
                            // A wider file has these entries already.
                            let _ = backend.remove(&dir.join(file.coverage.name()));
                        }
                        file
                    }
                    Err(error @ ReadError::Io { .. }) => {
                        tracing::warn!(%error, "an index of the log could not be written; it is kept in memory, and written once it can be");
                        let kept = KeptIndex::make(dir, identity.log_id, sealed, &index, indexed)?;
                        let streams = kept.streams();
                        catalog.kept.push(Arc::new(kept));
                        streams
                    }
                    Err(
                        error @ (ReadError::Closed
                        | ReadError::Damaged { .. }
                        | ReadError::Unavailable { .. }
                        | ReadError::Foreign { .. }),
                    ) => {
                        return Err(error.into());
                    }
                };
                if !indexed {
                    streams.push(file);
                }
                sealed
            }
        };
        link.first_position = sealed.last_position + 1;
        link.chain = sealed.chain;
        link.recorded_at_ms = sealed.recorded_at_ms;
        catalog.sealed.push(*first);
    }
    streams.sort_unstable_by_key(|file| file.coverage.first);
    catalog.levels = streams;

    let (opened, filled) = match active {
        Some((path, header)) => {
            if header.first_position != link.first_position {
                let missing = dir.join(files::segment_name(link.first_position));
                return Err(damaged(&missing, 0, "the segment is missing"));
            }
            if header.chain != link.chain {
                return Err(damaged(
                    &path,
                    0,
                    "the segment does not follow the one before it",
                ));
            }
            active::recover(backend, dir, path, header, mark, &mut recovery)?
        }
        None => active::create(backend, dir, link, segment_bytes)?,
    };
    let next_position = opened.segment.index.read().next_position;
    let mark = Mark {
        sequence: mark.map_or(0, |mark| mark.sequence + 1),
        log_id: identity.log_id,
        segment: opened.segment.header.first_position,
        offset: opened.segment.index.read().end,
        position: next_position - 1,
        chain: opened.chain,
        clean: false,
    };
    let marked = [
        mark,
        Mark {
            sequence: mark.sequence + 1,
            ..mark
        },
    ];
    for mark in &marked {
        mark.write(&*mark_file)
            .map_err(|e| OpenError::io(dir.join(files::MARK), e))?;
    }
    mark_file
        .sync()
        .map_err(|e| OpenError::io(dir.join(files::MARK), e))?;

    let active = Arc::new(opened.segment);
    catalog.open.push(Arc::clone(&active));
    Ok(Opened {
        identity,
        catalog,
        tail: Tail {
            active,
            chain: opened.chain,
            recorded_at_ms: opened.recorded_at_ms,
            mark_file,
            mark: Mark {
                sequence: mark.sequence + 1,
                ..mark
            },
            empty: Batch::default(),
        },
        next_position,
        filled,
        recovery,
        torn: opened.torn,
    })
}

/// Removes what was being written when the log last ended; none of it is part of the log.
fn clear(backend: &dyn Backend, dir: &Path, listing: &Listing) -> Result<(), OpenError> {
    for name in &listing.leftovers {
        let path = dir.join(name);
        backend.remove(&path).map_err(|e| OpenError::io(&path, e))?;
    }
    Ok(())
}

fn open_mark(
    backend: &dyn Backend,
    dir: &Path,
    exists: bool,
) -> Result<(Arc<dyn BackendFile>, mark::Slots), OpenError> {
    let path = dir.join(files::MARK);
    let failed = |e| OpenError::io(&path, e);
    if !exists {
        write_file(backend, dir, files::MARK, &[0; 2 * SLOT])?;
        let file = backend.open(&path, Mode::Write).map_err(failed)?;
        return Ok((file, mark::Slots::default()));
    }
    let file = backend.open(&path, Mode::Write).map_err(failed)?;
    let slots = mark::read(&*file).map_err(failed)?;
    if let Some(offset) = slots.damaged_at {
        tracing::warn!(
            offset,
            "a slot of the mark does not check; the other one is taken"
        );
    }
    Ok((file, slots))
}

/// Reads and checks a segment's header.
pub(crate) fn read_header(
    backend: &dyn Backend,
    path: &Path,
    identity: &Identity,
    first: u64,
) -> Result<SegmentHeader, OpenError> {
    let failed = |e| OpenError::io(path, e);
    let file = backend.open(path, Mode::Read).map_err(failed)?;
    let mut bytes = [0; SEGMENT_HEADER];
    let read = file.read_at(&mut bytes, 0).map_err(failed)?;
    let header = SegmentHeader::decode(bytes.get(..read).unwrap_or_default())
        .map_err(|what| damaged(path, 0, what))?;
    check_header(path, &header, identity, first)?;
    Ok(header)
}

/// Checks that a header is that of this log's segment from this position.
pub(crate) fn check_header(
    path: &Path,
    header: &SegmentHeader,
    identity: &Identity,
    first: u64,
) -> Result<(), OpenError> {
    if header.first_position != first {
        return Err(damaged(
            path,
            0,
            "the segment's header names another position",
        ));
    }
    // An active segment that was empty when the log was copied may carry the id before.
    let known = std::iter::once(identity.log_id).chain(identity.earlier.iter().map(|(id, _)| *id));
    if identity.written_as(first) != header.log_id && !known.clone().any(|id| id == header.log_id) {
        return Err(OpenError::ForeignLog {
            file: path.to_owned(),
            found: header.log_id,
        });
    }
    Ok(())
}

/// The stream files that check and lie over the sealed segments; those that a wider one covers are
/// removed, unless the log is only read.
pub(crate) fn usable_streams(
    backend: &dyn Backend,
    dir: &Path,
    listing: &Listing,
    segments: &[(u64, PathBuf)],
    log_id: LogId,
    only_read: bool,
) -> Vec<Arc<StreamFile>> {
    let mut wide_first = listing.streams.clone();
    wide_first.sort_unstable_by_key(|c| (std::cmp::Reverse(c.level), c.first));
    let mut usable: Vec<Arc<StreamFile>> = Vec::new();
    for coverage in wide_first {
        let path = dir.join(coverage.name());
        let begins = segments.iter().any(|(first, _)| *first == coverage.first);
        let covered = usable.iter().any(|file| file.coverage.covers(&coverage));
        let opened =
            (begins && !covered).then(|| StreamFile::open(backend, path.clone(), log_id, coverage));
        match opened {
            Some(Ok(file)) => usable.push(Arc::new(file)),
            Some(Err(error)) => {
                tracing::warn!(%error, "a stream file does not check and is built again");
            }
            None if only_read => {}
            None => {
                let _ = backend.remove(&path);
            }
        }
    }
    usable
}

/// What the footer says of a sealed segment; none where it must be built again.
pub(crate) fn footer_of(
    backend: &dyn Backend,
    dir: &Path,
    segment: &Path,
    identity: &Identity,
    first: u64,
) -> Result<Option<Sealed>, OpenError> {
    let sealed = match Footer::open(backend, dir, first) {
        Ok(footer) => footer.sealed,
        Err(error) => {
            tracing::warn!(%error, "a footer is missing or does not check and is built again");
            return Ok(None);
        }
    };
    if sealed.first_position != first || sealed.log_id != identity.written_as(first) {
        return Ok(None);
    }
    let failed = |e| OpenError::io(segment, e);
    let bytes = backend
        .open(segment, Mode::Read)
        .and_then(|f| f.len())
        .map_err(failed)?;
    if bytes == sealed.bytes {
        Ok(Some(sealed))
    } else {
        Err(damaged(
            segment,
            index(bytes.min(sealed.bytes)),
            format!(
                "the segment has {bytes} bytes, its footer says {}",
                sealed.bytes
            ),
        ))
    }
}

/// Reads a sealed segment whole and indexes it.
pub(crate) fn read_sealed(
    backend: &dyn Backend,
    path: &Path,
    identity: &Identity,
    first: u64,
) -> Result<(Sealed, MemoryIndex), OpenError> {
    let bytes = read_file(backend, path)?;
    let header = SegmentHeader::decode(&bytes).map_err(|what| damaged(path, 0, what))?;
    check_header(path, &header, identity, first)?;
    let scanned = scan(&bytes, &header);
    if let Some(stop) = scanned.stop {
        return Err(stop.damage(path, &bytes));
    }
    if scanned.link.offset != bytes.len() {
        return Err(damaged(
            path,
            scanned.link.offset,
            "zeros in a sealed segment",
        ));
    }
    let sealed = Sealed {
        log_id: header.log_id,
        first_position: first,
        last_position: scanned.link.position - 1,
        bytes: len_u64(bytes.len()),
        chain: scanned.link.chain,
        recorded_at_ms: scanned.recorded_at_ms,
    };
    Ok((sealed, scanned.index))
}

pub(crate) struct Scanned {
    pub(crate) link: Link,
    pub(crate) stop: Option<batch::Stop>,
    pub(crate) index: MemoryIndex,
    pub(crate) recorded_at_ms: i64,
}

/// Walks a segment in memory and indexes it.
pub(crate) fn scan(bytes: &[u8], header: &SegmentHeader) -> Scanned {
    let mut index = MemoryIndex::new(header.first_position);
    let mut recorded_at_ms = header.recorded_at_ms;
    let from = Link {
        offset: SEGMENT_HEADER,
        position: header.first_position,
        chain: header.chain,
    };
    let (link, stop) = batch::walk(bytes, header.log_id, from, |offset, record| {
        recorded_at_ms = record::recorded_at_of(record);
        let stream = record::stream_of(record);
        if !index.extend_known(stream, len_u64(offset)) {
            let version = record::version_of(record);
            index.add(&StreamName::unchecked(stream), version, len_u64(offset));
        }
    });
    index.end = len_u64(link.offset);
    Scanned {
        link,
        stop,
        index,
        recorded_at_ms,
    }
}

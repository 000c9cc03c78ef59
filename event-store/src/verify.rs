//! Checking a whole log: every record, batch, chain, footer and mark, up to the first damage.
//!
//! At rest everything in the folder is looked at and left as it is, while nobody writes to it; a backup is also compared
//! with its manifest. A running store checks
//! its own log up to the durable position while it serves. Segments are read one at a time.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::backend::{Backend, Mode, RealBackend};
use crate::batch::{self, Link, SEGMENT_HEADER, SegmentHeader};
use crate::footer::Footer;
use crate::identity::Identity;
use crate::levels::StreamFile;
use crate::mark::{self, Mark};
use crate::recovery::{Listing, check_header, damaged, read_file, read_identity};
use crate::wire::{index, len_u64};
use crate::{LogId, OpenError, Position, copied, files, record};

/// What a check of a log found to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The log.
    pub log_id: LogId,
    /// Events checked.
    pub events: u64,
    /// The position up to which they were checked.
    pub position: Position,
    /// Segments checked.
    pub segments: usize,
    /// Bytes of segments checked.
    pub bytes: u64,
    /// Bytes behind the log's end that are no batch, left by a crash: file, offset, how many. Nothing
    /// of them was ever durable; the next opening keeps them aside.
    pub torn: Option<(PathBuf, u64, u64)>,
    /// Files kept aside by earlier openings.
    pub kept_aside: Vec<String>,
}

/// Checks the log of a data folder that no process writes to, or a backup.
pub fn verify(dir: impl AsRef<Path>) -> Result<Verified, OpenError> {
    verify_with(&RealBackend, dir.as_ref())
}

/// Checks a log at rest on any file system.
pub fn verify_with(backend: &dyn Backend, dir: &Path) -> Result<Verified, OpenError> {
    let _lock = crate::embedded::lock_to_read(backend, dir)?;
    let verified = check_log(backend, &dir.join("log"), None)?;
    copied::check(backend, dir, verified.position)?;
    Ok(verified)
}

/// The durable end of a running log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// The first position of the segment it is in.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// Checks a log; of a running one, what stands before `end`.
pub(crate) fn check_log(
    backend: &dyn Backend,
    dir: &Path,
    end: Option<End>,
) -> Result<Verified, OpenError> {
    check_log_as(backend, dir, end, &read_identity(backend, dir)?)
}

/// Checks the files of a log whose identity may not stand there yet.
pub(crate) fn check_log_as(
    backend: &dyn Backend,
    dir: &Path,
    end: Option<End>,
    identity: &Identity,
) -> Result<Verified, OpenError> {
    let listing = Listing::of(backend, dir)?;
    let mark = if end.is_none() {
        read_mark(backend, dir, &listing, identity)?
    } else {
        None
    };
    let mut verified = Verified {
        log_id: identity.log_id,
        events: 0,
        position: Position::START,
        segments: 0,
        bytes: 0,
        torn: None,
        kept_aside: listing.torn.clone(),
    };
    let segments: Vec<u64> = listing
        .segments
        .iter()
        .copied()
        .filter(|first| end.is_none_or(|end| *first <= end.segment))
        .collect();
    let last = segments.last().copied().unwrap_or(0);
    let mut link = Link {
        offset: SEGMENT_HEADER,
        position: 1,
        chain: 0,
    };
    let mut recorded_at_ms = i64::MIN;
    for first in segments {
        let path = dir.join(files::segment_name(first));
        if first != link.position {
            let missing = dir.join(files::segment_name(link.position));
            return Err(damaged(&missing, 0, "the segment is missing"));
        }
        let mut bytes = read_file(backend, &path)?;
        if let Some(end) = end.filter(|end| end.segment == first) {
            if len_u64(bytes.len()) < end.offset {
                return Err(damaged(&path, bytes.len(), "the segment is cut short"));
            }
            bytes.truncate(index(end.offset));
        }
        let header = SegmentHeader::decode(&bytes).map_err(|what| damaged(&path, 0, what))?;
        check_header(&path, &header, identity, first)?;
        if header.chain != link.chain || header.recorded_at_ms != recorded_at_ms {
            return Err(damaged(
                &path,
                0,
                "the segment does not follow the one before it",
            ));
        }
        let from = Link {
            offset: SEGMENT_HEADER,
            ..link
        };
        let (walked, stop) = check_segment(&path, &bytes, &header, from, &mut recorded_at_ms)?;
        verified.segments += 1;
        verified.bytes += len_u64(walked.offset);
        verified.events += walked.position - link.position;
        link = walked;
        // Only the last segment of a log at rest may go on after its last batch.
        if first == last && end.is_none() && header.log_id == identity.log_id {
            verified.torn = check_tail(&path, &bytes, &header, walked, stop, mark)?;
        } else if let Some(stop) = stop {
            return Err(stop.damage(&path, &bytes));
        } else if walked.offset != bytes.len() {
            return Err(damaged(&path, walked.offset, "zeros where a batch follows"));
        }
        if first != last {
            check_footer(backend, dir, &path, &listing, &walked, end.is_some())?;
        }
    }
    verified.position = Position(link.position - 1);
    if let Some(mark) = mark
        && mark.segment > last
    {
        let missing = dir.join(files::segment_name(mark.segment));
        return Err(damaged(
            &missing,
            0,
            "the segment is missing; the mark names it",
        ));
    }
    for coverage in &listing.streams {
        let path = dir.join(coverage.name());
        if end.is_some() && backend.open(&path, Mode::Read).is_err() {
            // Merged meanwhile.
            continue;
        }
        StreamFile::open(backend, path, identity.log_id, *coverage)?.check()?;
    }
    Ok(verified)
}

fn read_mark(
    backend: &dyn Backend,
    dir: &Path,
    listing: &Listing,
    identity: &Identity,
) -> Result<Option<Mark>, OpenError> {
    if !listing.mark {
        return Ok(None);
    }
    let path = dir.join(files::MARK);
    let file = backend
        .open(&path, Mode::Read)
        .map_err(|e| OpenError::io(&path, e))?;
    let slots = mark::read(&*file).map_err(|e| OpenError::io(&path, e))?;
    if let Some(offset) = slots.damaged_at {
        return Err(damaged(
            &path,
            index(offset),
            "a slot of the mark does not check",
        ));
    }
    match slots.newest {
        Some(mark) if mark.log_id != identity.log_id => Err(OpenError::ForeignLog {
            file: path,
            found: mark.log_id,
        }),
        newest => Ok(newest),
    }
}

/// Walks a segment and checks that the streams within it go on as they should.
fn check_segment(
    path: &Path,
    bytes: &[u8],
    header: &SegmentHeader,
    from: Link,
    recorded_at_ms: &mut i64,
) -> Result<(Link, Option<batch::Stop>), OpenError> {
    let mut heads: FxHashMap<&str, (u64, u64)> = FxHashMap::default();
    let mut wrong = None;
    let (link, stop) = batch::walk(bytes, header.log_id, from, |offset, _| {
        let Some(record) = bytes.get(offset..) else {
            return;
        };
        let (version, position) = (record::version_of(record), record::position_of(record));
        let previous = record::previous_of(record);
        let before = heads.insert(record::stream_of(record), (version, position));
        let follows = match before {
            Some((v, p)) => version == v + 1 && previous == p,
            None => (version == 0) == (previous == 0) && previous < header.first_position,
        };
        if !follows {
            wrong.get_or_insert((
                offset,
                "the event does not follow its stream's event before",
            ));
        }
        if record::recorded_at_of(record) < *recorded_at_ms {
            wrong.get_or_insert((offset, "the event was recorded before the one before it"));
        }
        *recorded_at_ms = record::recorded_at_of(record);
    });
    match wrong {
        Some((offset, what)) => Err(damaged(path, offset, what)),
        None => Ok((link, stop)),
    }
}

/// What follows the last batch of a log at rest.
fn check_tail(
    path: &Path,
    bytes: &[u8],
    header: &SegmentHeader,
    link: Link,
    stop: Option<batch::Stop>,
    mark: Option<Mark>,
) -> Result<Option<(PathBuf, u64, u64)>, OpenError> {
    let mark = mark.filter(|mark| mark.segment == header.first_position);
    if let Some(mark) = mark {
        let same_place = index(mark.offset) == link.offset;
        let same_end = (mark.position, mark.chain) == (link.position - 1, link.chain);
        if index(mark.offset) > link.offset {
            return Err(batch::short_of_mark(path, bytes, link, stop.as_ref()));
        }
        if (same_place && !same_end) || (mark.clean && !same_place) {
            return Err(damaged(
                path,
                link.offset,
                "the mark names another end of the log",
            ));
        }
    }
    let Some(stop) = stop else { return Ok(None) };
    let next = Position(link.position);
    if batch::find_later(bytes, header.log_id, link.offset, next).is_some() {
        return Err(stop.damage(path, bytes));
    }
    let rest = bytes.get(link.offset..).unwrap_or_default();
    let used = rest
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    Ok(Some((path.to_owned(), len_u64(link.offset), len_u64(used))))
}

/// Checks a sealed segment's footer, where it has one: without, it is built again.
fn check_footer(
    backend: &dyn Backend,
    dir: &Path,
    segment: &Path,
    listing: &Listing,
    link: &Link,
    running: bool,
) -> Result<(), OpenError> {
    let first = segment
        .file_name()
        .and_then(|name| files::segment_of_name(name.to_str()?));
    let Some(first) = first.filter(|first| listing.footers.contains(first)) else {
        return Ok(());
    };
    let path = dir.join(files::footer_name(first));
    if running && backend.open(&path, Mode::Read).is_err() {
        return Ok(());
    }
    let footer = Footer::open(backend, dir, first)?;
    footer.check()?;
    let sealed = footer.sealed;
    let same = sealed.first_position == first
        && sealed.last_position == link.position - 1
        && sealed.bytes == len_u64(link.offset)
        && sealed.chain == link.chain;
    if same {
        Ok(())
    } else {
        Err(damaged(&path, 0, "the footer is of another segment"))
    }
}

//! The end of the log at opening: the active segment is read whole and made safe to go on from.
//!
//! It ends at the first batch that does not check. Where a later batch of this log checks by itself,
//! or the mark says that more was durable, the rest is damage and nothing is changed; else it is a
//! torn tail, kept aside and zeroed, lest an old frame be taken for a new one.

use std::path::{Path, PathBuf};

use parking_lot::RwLock;

use crate::backend::{Backend, BackendFile, Mode};
use crate::batch::{self, SEGMENT_HEADER, SegmentHeader};
use crate::keeper::{self, FIRST_FILL};
use crate::mark::Mark;
use crate::memory::MemoryIndex;
use crate::recovery::{Recovery, TornTail, damaged, read_file, scan, write_file};
use crate::segment::OpenSegment;
use crate::wire::{index, len_u64};
use crate::{OpenError, Position, files};

/// The active segment, ready to be written.
pub(crate) struct Active {
    pub(crate) segment: OpenSegment,
    /// The checksum of the last batch.
    pub(crate) chain: u32,
    /// `recorded_at` of the last event.
    pub(crate) recorded_at_ms: i64,
}

/// Finds the end of the active segment and makes it safe to go on from. Gives the segment and how far
/// it is zero-filled.
pub(crate) fn recover(
    backend: &dyn Backend,
    dir: &Path,
    path: PathBuf,
    header: SegmentHeader,
    mark: Option<Mark>,
    recovery: &mut Recovery,
) -> Result<(Active, u64), OpenError> {
    let bytes = read_file(backend, &path)?;
    let scanned = scan(&bytes, &header);
    let end = scanned.link.offset;
    let here = mark.filter(|mark| mark.segment == header.first_position);
    recovery.clean = here.is_some_and(|mark| mark.clean && index(mark.offset) == end);

    let marked = here.map_or(SEGMENT_HEADER, |mark| index(mark.offset));
    if marked > end {
        let (offset, what) = scanned.stop.map_or_else(
            || (end, "the log ends here, the mark says later".to_owned()),
            |stop| (stop.offset, stop.what),
        );
        return Err(damaged(&path, offset, what));
    }
    let file = backend
        .open(&path, Mode::Write)
        .map_err(|e| OpenError::io(&path, e))?;
    if let Some(stop) = scanned.stop {
        let next = Position(scanned.link.position);
        if let Some((at, later)) = batch::find_later(&bytes, header.log_id, end, next) {
            let what = format!(
                "{}; a batch from position {} stands at byte {at}",
                stop.what, later.first_position
            );
            return Err(damaged(&path, stop.offset, what));
        }
        recovery.torn = Some(set_aside(
            backend, dir, &path, &*file, &bytes, end, next, stop.what,
        )?);
    }
    if !recovery.clean {
        let accepted = bytes.get(marked..end).unwrap_or_default();
        let failed = |e| OpenError::io(&path, e);
        if !accepted.is_empty() {
            file.write_at(accepted, len_u64(marked)).map_err(failed)?;
        }
        file.sync().map_err(failed)?;
        recovery.rewritten_bytes = len_u64(accepted.len());
    }
    let active = Active {
        segment: OpenSegment {
            header,
            path,
            file,
            index: RwLock::new(scanned.index),
        },
        chain: scanned.link.chain,
        recorded_at_ms: scanned.recorded_at_ms,
    };
    Ok((active, len_u64(bytes.len())))
}

/// Keeps the bytes from `end` on in a file of their own, then zeroes them.
#[expect(
    clippy::too_many_arguments,
    reason = "one call, everything it names is needed"
)]
fn set_aside(
    backend: &dyn Backend,
    dir: &Path,
    path: &Path,
    file: &dyn BackendFile,
    bytes: &[u8],
    end: usize,
    next: Position,
    what: String,
) -> Result<TornTail, OpenError> {
    let rest = bytes.get(end..).unwrap_or_default();
    let used = rest
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let torn = rest.get(..used).unwrap_or_default();
    let held = backend.list(dir).map_err(|e| OpenError::io(dir, e))?;
    let plain = files::torn_name(next.0);
    let mut name = plain.clone();
    let mut number = 1;
    while held.contains(&name) {
        number += 1;
        name = format!("{plain}.{number}");
    }
    tracing::warn!(file = %path.display(), offset = end, bytes = used, %what, kept_in = %name,
        "the log's tail does not check and is kept aside");
    write_file(backend, dir, &name, torn)?;
    let failed = |e| OpenError::io(path, e);
    keeper::fill(file, len_u64(end), len_u64(end + used)).map_err(failed)?;
    file.sync().map_err(failed)?;
    Ok(TornTail {
        file: path.to_owned(),
        offset: len_u64(end),
        bytes: len_u64(used),
        what,
        kept_in: dir.join(name),
    })
}

/// Makes a segment to go on in after `header`'s link, filled far enough to begin.
pub(crate) fn create(
    backend: &dyn Backend,
    dir: &Path,
    header: SegmentHeader,
    segment_bytes: u64,
) -> Result<(Active, u64), OpenError> {
    let path = dir.join(files::segment_name(header.first_position));
    let failed = |e| OpenError::io(&path, e);
    let prepared = dir.join(files::PREPARED);
    let file = backend.open(&prepared, Mode::Create).map_err(failed)?;
    let filled = FIRST_FILL.min(segment_bytes);
    file.write_at(&header.encode(), 0).map_err(failed)?;
    keeper::fill(&*file, len_u64(SEGMENT_HEADER), filled).map_err(failed)?;
    file.sync().map_err(failed)?;
    backend.rename(&prepared, &path).map_err(failed)?;
    backend.sync_dir(dir).map_err(failed)?;
    let index = RwLock::new(MemoryIndex::new(header.first_position));
    let active = Active {
        segment: OpenSegment {
            header,
            path,
            file,
            index,
        },
        chain: header.chain,
        recorded_at_ms: header.recorded_at_ms,
    };
    Ok((active, filled))
}

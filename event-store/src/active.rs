//! The end of the log at opening: the active segment is read whole and made safe to go on from.
//!
//! It ends at the first batch that does not check. Where a later batch of this log checks by itself,
//! or the mark says that more was durable, the rest is damage and nothing is changed; else it is a
//! torn tail, kept aside and zeroed, lest an old frame be taken for a new one. Where the disk has no room
//! for that, the log opens all the same and the tail stays untouched; nothing is written before it is
//! set aside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::backend::{Backend, BackendFile, Mode};
use crate::batch::{self, SEGMENT_HEADER, SegmentHeader};
use crate::keeper::{self, FIRST_FILL, RoomError};
use crate::mark::Mark;
use crate::memory::MemoryIndex;
use crate::recovery::{Recovery, Scanned, TornTail, read_file, scan};
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
    /// A torn tail that there was no room to keep aside.
    pub(crate) torn: Option<Torn>,
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
    let scanned = end_of(&path, &bytes, &header, mark)?;
    let end = scanned.link.offset;
    let here = mark.filter(|mark| mark.segment == header.first_position);
    recovery.clean = here.is_some_and(|mark| mark.clean && index(mark.offset) == end);

    let marked = here.map_or(SEGMENT_HEADER, |mark| index(mark.offset));
    let file = backend
        .open(&path, Mode::Write)
        .map_err(|e| OpenError::io(&path, e))?;
    let mut filled = len_u64(bytes.len());
    let mut torn = None;
    if let Some(stop) = scanned.stop {
        let next = Position(scanned.link.position);
        let used = bytes.iter().rposition(|byte| *byte != 0);
        let mut tail = Torn {
            path: path.clone(),
            file: Arc::clone(&file),
            end: len_u64(end),
            until: len_u64(used.map_or(end, |last| end.max(last + 1))),
            next,
            kept_in: None,
            filled,
        };
        tracing::warn!(file = %path.display(), offset = end, what = stop.what,
            "the log's tail does not check");
        recovery.clean = false;
        recovery.torn = Some(TornTail {
            file: path.clone(),
            offset: tail.end,
            bytes: tail.until - tail.end,
            what: stop.what,
            kept_in: None,
        });
        match tail.set_aside(backend, dir) {
            Ok(kept_in) => {
                if let Some(told) = &mut recovery.torn {
                    told.kept_in = Some(kept_in);
                }
            }
            Err(RoomError::Full(error)) => {
                tracing::warn!(%error, "the torn tail stays where it is until there is room");
                filled = tail.end;
                torn = Some(tail);
            }
            Err(RoomError::Failed(error)) => return Err(OpenError::io(&path, error)),
        }
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
        torn,
    };
    Ok((active, filled))
}

/// Finds the end of the active segment, or the damage in it, and changes nothing.
pub(crate) fn end_of(
    path: &Path,
    bytes: &[u8],
    header: &SegmentHeader,
    mark: Option<Mark>,
) -> Result<Scanned, OpenError> {
    let scanned = scan(bytes, header);
    let link = scanned.link;
    let later = mark.is_some_and(|mark| {
        mark.segment == header.first_position && index(mark.offset) > link.offset
    });
    if later {
        let stop = scanned.stop.as_ref();
        return Err(batch::short_of_mark(path, bytes, link, stop));
    }
    let next = Position(link.position);
    match &scanned.stop {
        Some(stop) if batch::find_later(bytes, header.log_id, link.offset, next).is_some() => {
            Err(stop.damage(path, bytes))
        }
        Some(_) | None => Ok(scanned),
    }
}

/// Bytes behind the log's end that were no batch, still where they are.
pub(crate) struct Torn {
    path: PathBuf,
    file: Arc<dyn BackendFile>,
    /// Where the log ends and they begin.
    end: u64,
    /// Where they end; zeros follow.
    until: u64,
    next: Position,
    kept_in: Option<PathBuf>,
    /// How far the segment is zero-filled once they are zeroed.
    pub(crate) filled: u64,
}

impl Torn {
    /// Keeps the bytes in a file of their own, then zeroes them. Where there is no room, it can be
    /// called again.
    pub(crate) fn set_aside(
        &mut self,
        backend: &dyn Backend,
        dir: &Path,
    ) -> Result<PathBuf, RoomError> {
        let kept_in = match &self.kept_in {
            Some(kept_in) => kept_in.clone(),
            None => self.keep(backend, dir)?,
        };
        self.kept_in = Some(kept_in.clone());
        keeper::fill(&*self.file, self.end, self.until)?;
        self.file.sync().map_err(RoomError::Failed)?;
        tracing::warn!(file = %self.path.display(), offset = self.end, kept_in = %kept_in.display(),
            "the log's torn tail was kept aside");
        Ok(kept_in)
    }

    fn keep(&self, backend: &dyn Backend, dir: &Path) -> Result<PathBuf, RoomError> {
        let mut bytes = vec![0; index(self.until - self.end)];
        let read = self
            .file
            .read_at(&mut bytes, self.end)
            .map_err(RoomError::Failed)?;
        bytes.truncate(read);
        let held = backend.list(dir).map_err(RoomError::Failed)?;
        let plain = files::torn_name(self.next.0);
        let mut name = plain.clone();
        let mut number = 1;
        while held.contains(&name) {
            number += 1;
            name = format!("{plain}.{number}");
        }
        let unfinished = dir.join(files::UNFINISHED);
        let file = backend
            .open(&unfinished, Mode::Create)
            .map_err(RoomError::of_write)?;
        if let Err(error) = file.write_at(&bytes, 0) {
            // What little of it was written is given back.
            let _ = backend.remove(&unfinished);
            return Err(RoomError::of_write(error));
        }
        file.sync().map_err(RoomError::Failed)?;
        let kept_in = dir.join(name);
        backend
            .rename(&unfinished, &kept_in)
            .map_err(RoomError::of_write)?;
        backend.sync_dir(dir).map_err(RoomError::Failed)?;
        Ok(kept_in)
    }
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
    keeper::fill(&*file, len_u64(SEGMENT_HEADER), filled)
        .map_err(|error| failed(error.into_io()))?;
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
        torn: None,
    };
    Ok((active, filled))
}

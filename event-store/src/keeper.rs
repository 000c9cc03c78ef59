//! The thread behind the writer: zero-fills ahead, writes footers, merges stream files.
//!
//! Room to write is its first work; a full disk is told to the appends and tried again when one asks.
//! Only a write can say that it is full: a sync that fails ends the store, whatever its error.
//! Footers and stream files are derived: a failure there is told and tried again at the next
//! occasion, and meanwhile the segment's index stays in memory. At most [`UNSEALED_MAX`] segments may
//! be in that state before no further segment is prepared.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ReadError;
use crate::backend::{BackendFile, Mode};
use crate::files;
use crate::footer::{self, Sealed};
use crate::kept::give_back;
use crate::levels::{self, Coverage, FANOUT, StreamFile};
use crate::order::Room;
use crate::segment::OpenSegment;
use crate::shared::{EndOnPanic, Shared};
use crate::wire::len_u64;

/// Sealed segments without a footer at most.
const UNSEALED_MAX: usize = 4;
/// Bytes a fresh segment begins with.
pub(crate) const FIRST_FILL: u64 = 1024 * 1024;
/// Zeros written at once.
const ZEROS: usize = 1024 * 1024;

/// Whether an error says that the disk, or this user's share of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Why no room was made.
pub(crate) enum RoomError {
    /// There is none; it can be tried again.
    Full(io::Error),
    /// Anything else. After a sync that fails, whatever the error says, the file's pages are in doubt.
    Failed(io::Error),
}

impl RoomError {
    /// The error of a write, or of giving a file its name.
    pub(crate) fn of_write(error: io::Error) -> Self {
        if is_full(&error) {
            Self::Full(error)
        } else {
            Self::Failed(error)
        }
    }

    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Full(error) | Self::Failed(error) => error,
        }
    }
}

/// Writes zeros over a range of a file.
pub(crate) fn fill(file: &dyn BackendFile, from: u64, to: u64) -> Result<(), RoomError> {
    let zeros = vec![0; ZEROS.min(crate::wire::index(to.saturating_sub(from)))];
    let mut at = from;
    while at < to {
        let len = crate::wire::index(to - at).min(zeros.len());
        file.write_at(zeros.get(..len).unwrap_or_default(), at)
            .map_err(RoomError::of_write)?;
        at += len_u64(len);
    }
    Ok(())
}

/// Whether room should be made.
pub(crate) fn is_due(room: &Room) -> bool {
    fill_to(room).is_some() || next_due(room)
}

/// How far the active segment should be filled now.
fn fill_to(room: &Room) -> Option<u64> {
    if room.filled >= room.segment_bytes {
        return None;
    }
    let left = room.filled.saturating_sub(room.write_at);
    (left < (room.filled / 2).max(room.demand)).then(|| {
        let wanted = (2 * room.filled)
            .max(room.write_at + 2 * room.demand)
            .max(FIRST_FILL);
        wanted.min(room.segment_bytes)
    })
}

/// Whether the next segment should be prepared now.
fn next_due(room: &Room) -> bool {
    !room.next_ready
        && room.filled >= room.segment_bytes
        && (room.write_at >= room.segment_bytes / 4 || room.demand > 0)
}

/// Works until the store ends.
pub(crate) fn run(shared: &Shared) {
    let _guard = EndOnPanic(shared);
    let (mut full, mut unwritten) = (Told::default(), Told::default());
    loop {
        {
            let mut call = shared.keeper.lock();
            while !call.woken && !call.stop {
                shared.keeper_work.wait(&mut call);
            }
            if call.stop {
                return;
            }
            call.woken = false;
        }
        if let Err(error) = make_room(shared, &mut full) {
            shared.fatal(&format!("making room for the log failed: {error}"));
            return;
        }
        let written = write_kept(shared).and_then(|()| write_footers(shared));
        match written.and_then(|()| merge_levels(shared)) {
            Err(error @ ReadError::Damaged { .. }) => unwritten.again(|times| {
                tracing::error!(%error, times, "an index of the log is damaged; the next start makes it anew");
            }),
            Err(error) => unwritten.again(|times| {
                tracing::warn!(%error, times, "an index of the log could not be written; tried again later");
            }),
            // What there was no room for is still to be written.
            Ok(()) if !shared.reader.catalog().kept.is_empty() => {}
            Ok(()) => unwritten.over(|| tracing::warn!("the indexes of the log are written")),
        }
    }
}

/// How often what goes on is told at most.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// What goes on for a while, told when it begins, now and then, and when it is over.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    /// Times since it was told.
    times: u64,
    goes_on: bool,
}

impl Told {
    fn again(&mut self, tell: impl FnOnce(u64)) {
        self.times += 1;
        if self.last.is_none_or(|last| last.elapsed() >= TOLD_EVERY) {
            tell(self.times);
            self.last = Some(Instant::now());
            self.times = 0;
            self.goes_on = true;
        }
    }

    fn over(&mut self, tell: impl FnOnce()) {
        if std::mem::take(&mut self.goes_on) {
            tell();
        }
    }
}

/// Fills the active segment and prepares the next, as far as it is due.
fn make_room(shared: &Shared, told: &mut Told) -> io::Result<()> {
    let made = try_room(shared);
    let mut order = shared.order.lock();
    let result = match made {
        Ok(()) => {
            if order.room.full.take().is_some() {
                told.over(|| tracing::warn!("there is room on the disk again"));
            }
            Ok(())
        }
        Err(RoomError::Full(error)) => {
            told.again(|times| tracing::warn!(%error, times, "the disk is full"));
            order.room.full = Some(Instant::now());
            Ok(())
        }
        Err(RoomError::Failed(error)) => Err(error),
    };
    drop(order);
    shared.room_changed.notify_waiters();
    result
}

/// Keeps a torn tail aside that opening had no room for. Nothing is written or filled before.
fn set_tail_aside(shared: &Shared) -> Result<(), RoomError> {
    let mut torn = shared.torn.lock();
    if let Some(tail) = &mut *torn {
        tail.set_aside(shared.backend(), &shared.dir)?;
        shared.order.lock().room.filled = tail.filled;
        *torn = None;
    }
    Ok(())
}

fn try_room(shared: &Shared) -> Result<(), RoomError> {
    set_tail_aside(shared)?;
    loop {
        let (filled, to) = {
            let order = shared.order.lock();
            (order.room.filled, fill_to(&order.room))
        };
        let Some(to) = to else { break };
        let catalog = shared.reader.catalog();
        let Some(active) = catalog.open.last() else {
            break;
        };
        // The writer goes on to the next segment only once this one is filled whole.
        if let Err(error) = fill(&*active.file, filled, to) {
            if matches!(error, RoomError::Full(_)) {
                active.file.set_len(filled).map_err(RoomError::Failed)?;
            }
            return Err(error);
        }
        active.file.sync().map_err(RoomError::Failed)?;
        shared.order.lock().room.filled = to;
        shared.room_changed.notify_waiters();
    }
    // Footers come first where they lag, so that memory stays bounded.
    let unsealed = shared.reader.catalog().open.len().saturating_sub(1);
    if unsealed >= UNSEALED_MAX
        && let Err(error) = write_footers(shared)
    {
        tracing::warn!(%error, "an index of the log could not be written");
        return Err(RoomError::Full(io::ErrorKind::StorageFull.into()));
    }
    let (due, bytes) = {
        let order = shared.order.lock();
        (next_due(&order.room), order.room.segment_bytes)
    };
    if due && shared.prepared.lock().is_none() {
        let path = shared.dir.join(files::PREPARED);
        let backend = shared.backend();
        let file = backend
            .open(&path, Mode::Create)
            .map_err(RoomError::of_write)?;
        if let Err(error) = fill(&*file, 0, bytes) {
            if matches!(error, RoomError::Full(_)) {
                backend.remove(&path).map_err(RoomError::Failed)?;
            }
            return Err(error);
        }
        file.sync().map_err(RoomError::Failed)?;
        *shared.prepared.lock() = Some(file);
        shared.order.lock().room.next_ready = true;
    }
    Ok(())
}

/// Writes the footers of sealed segments that have none, oldest first.
fn write_footers(shared: &Shared) -> Result<(), ReadError> {
    loop {
        let catalog = shared.reader.catalog();
        let (Some(sealed), Some(next)) = (catalog.open.first(), catalog.open.get(1)) else {
            return Ok(());
        };
        let file = seal(shared, sealed, next)?;
        let first = sealed.header.first_position;
        shared.reader.change_catalog(|catalog| {
            catalog.open.remove(0);
            catalog.sealed.push(first);
            catalog.levels.push(file);
        });
    }
}

fn seal(
    shared: &Shared,
    segment: &OpenSegment,
    next: &OpenSegment,
) -> Result<Arc<StreamFile>, ReadError> {
    let index = segment.index.read();
    let sealed = Sealed {
        log_id: segment.header.log_id,
        first_position: segment.header.first_position,
        last_position: next.header.first_position - 1,
        bytes: index.end,
        chain: next.header.chain,
        recorded_at_ms: next.header.recorded_at_ms,
    };
    write_index_files(
        shared.backend(),
        &shared.dir,
        shared.log_id,
        &sealed,
        &index,
    )
}

/// Writes a segment's footer and its stream file.
pub(crate) fn write_index_files(
    backend: &dyn crate::backend::Backend,
    dir: &std::path::Path,
    log_id: crate::LogId,
    sealed: &Sealed,
    index: &crate::memory::MemoryIndex,
) -> Result<Arc<StreamFile>, ReadError> {
    let failed = |e: io::Error| crate::paged::io_error(dir, &e);
    let unfinished = dir.join(files::UNFINISHED);
    let finish = |name: &str| {
        backend
            .rename(&unfinished, &dir.join(name))
            .and_then(|()| backend.sync_dir(dir))
    };
    let coverage = Coverage::of_segment(sealed);
    let write = || {
        let file = backend.open(&unfinished, Mode::Create)?;
        let entries = footer::write(file, sealed, index)?;
        finish(&files::footer_name(sealed.first_position))?;
        let file = backend.open(&unfinished, Mode::Create)?;
        levels::write(file, log_id, coverage, &entries)?;
        finish(&coverage.name())
    };
    give_back(backend, dir, write()).map_err(failed)?;
    let opened = StreamFile::open(backend, dir.join(coverage.name()), log_id, coverage)?;
    Ok(Arc::new(opened))
}

/// Writes the index files that opening had no room for.
fn write_kept(shared: &Shared) -> Result<(), ReadError> {
    loop {
        let catalog = shared.reader.catalog();
        let Some(kept) = catalog.kept.first() else {
            return Ok(());
        };
        if shared.order.lock().room.full.is_some() {
            return Ok(());
        }
        let streams = kept.write(shared.backend(), &shared.dir, shared.log_id)?;
        shared.reader.change_catalog(|catalog| {
            catalog.kept.remove(0);
            if let Some(streams) = streams
                && let Some(held) = catalog
                    .levels
                    .iter_mut()
                    .find(|held| held.coverage == streams.coverage)
            {
                *held = streams;
            }
        });
    }
}

/// Merges the eldest neighbours of a level while there are enough of them.
fn merge_levels(shared: &Shared) -> Result<(), ReadError> {
    loop {
        let catalog = shared.reader.catalog();
        if !catalog.kept.is_empty() {
            // What is merged is removed; these are not on disk yet.
            return Ok(());
        }
        let Some((at, inputs)) = mergeable(&catalog.levels) else {
            return Ok(());
        };
        let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else {
            return Ok(());
        };
        let coverage = Coverage {
            level: first.coverage.level + 1,
            first: first.coverage.first,
            last: last.coverage.last,
        };
        let failed = |e: io::Error| crate::paged::io_error(&shared.dir, &e);
        let unfinished = shared.dir.join(files::UNFINISHED);
        let file = shared
            .backend()
            .open(&unfinished, Mode::Create)
            .map_err(failed)?;
        levels::merge(file, shared.log_id, coverage, inputs)?;
        let path = shared.dir.join(coverage.name());
        shared
            .backend()
            .rename(&unfinished, &path)
            .map_err(failed)?;
        shared.backend().sync_dir(&shared.dir).map_err(failed)?;
        let merged = StreamFile::open(shared.backend(), path, shared.log_id, coverage)?;
        shared.reader.change_catalog(|catalog| {
            catalog.levels.splice(at..at + FANOUT, [Arc::new(merged)]);
        });
        for input in inputs {
            let path = shared.dir.join(input.coverage.name());
            // Readers that still hold it keep their open file.
            shared.backend().remove(&path).map_err(failed)?;
        }
    }
}

/// The first [`FANOUT`] neighbours of one level.
fn mergeable(levels: &[Arc<StreamFile>]) -> Option<(usize, &[Arc<StreamFile>])> {
    levels.windows(FANOUT).enumerate().find(|(_, window)| {
        let level = window.first().map(|file| file.coverage.level);
        window.iter().all(|file| Some(file.coverage.level) == level)
    })
}

#[cfg(test)]
mod tests {
    use super::Told;

    #[test]
    fn what_goes_on_is_told_once_and_then_that_it_is_over() {
        let (mut told, mut said) = (Told::default(), Vec::new());
        told.over(|| said.push("over"));
        for _ in 0..1000 {
            told.again(|_| said.push("full"));
        }
        for _ in 0..2 {
            told.over(|| said.push("over"));
        }
        assert_eq!(said, ["full", "over"]);
    }
}

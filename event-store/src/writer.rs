//! Writes the log: takes what is ordered, writes it as one batch, syncs, tells.
//!
//! One thread does, and an append that comes alone may do it in its own, with the log's end in its
//! hands: there is one writer at any moment. A batch is written only after the sync before it, so at
//! most one is ever in doubt. A write or a sync that fails ends the store and the process: nothing is
//! retried on a file whose pages are in doubt. Room is made by the keeper before it is needed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use crate::backend::BackendFile;
use crate::batch::{self, BATCH_HEADER, SEGMENT_HEADER, SegmentHeader};
use crate::mark::Mark;
use crate::memory::MemoryIndex;
use crate::order::{Batch, Phase, Target};
use crate::segment::OpenSegment;
use crate::shared::{EndOnPanic, Shared};
use crate::wire::len_u64;
use crate::{BatchWritten, Position, files, keeper, record};

/// The end of the log, as the writer holds it.
pub(crate) struct Tail {
    pub(crate) active: Arc<OpenSegment>,
    /// The checksum of the last batch.
    pub(crate) chain: u32,
    /// `recorded_at` of the last event.
    pub(crate) recorded_at_ms: i64,
    pub(crate) mark_file: Arc<dyn BackendFile>,
    pub(crate) mark: Mark,
    /// A batch without events, whose memory the next one takes.
    pub(crate) empty: Batch,
}

/// How long the writer looks for the next append before it sleeps: waking a sleeping thread costs
/// about as much.
const AWAKE: Duration = Duration::from_micros(50);

/// Writing and syncing a batch within this is quick enough to be done in a caller's thread.
const QUICK_NANOS: u64 = 1_000_000;

/// Gives others the processor until there is work or the time is over.
fn stay_awake(shared: &Shared) {
    let begun = Instant::now();
    while !shared.has_work.load(Ordering::Relaxed) && begun.elapsed() < AWAKE {
        std::thread::yield_now();
    }
}

/// Writes until the store stops or fails.
pub(crate) fn run(shared: &Shared) {
    let _guard = EndOnPanic(shared);
    loop {
        stay_awake(shared);
        {
            let mut order = shared.order.lock();
            while order.batch.count == 0 && order.phase == Phase::Running {
                shared.work.wait(&mut order);
            }
            if order.batch.count == 0 {
                break;
            }
        }
        let written = write_next(shared, &mut shared.tail.lock());
        if let Err(what) = written {
            shared.fatal(&what);
            return;
        }
    }
    let mut tail = shared.tail.lock();
    // A tail that still stands behind the log's end is for the next opening to find.
    if shared.order.lock().phase == Phase::Stopping
        && shared.torn.lock().is_none()
        && let Err(error) = mark_clean(&mut tail)
    {
        tracing::warn!(%error, "the clean stop could not be marked");
    }
    drop(tail);
    shared.end();
    let failed = shared.failed.lock().take();
    if let Some(what) = failed {
        shared.fatal(&what);
    }
}

/// Writes what is ordered on this thread, unless the log is being written, the disk was slow of late, or the thread is
/// the only one of its runtime. Whether it was tried; what is ordered meanwhile has called the writer's thread itself.
pub(crate) fn write_here(shared: &Shared) -> bool {
    if shared.sync_nanos.load(Ordering::Relaxed) > QUICK_NANOS || !may_wait() {
        return false;
    }
    let Some(mut tail) = shared.tail.try_lock() else {
        return false;
    };
    // A new segment takes a while to begin.
    if shared.order.lock().begins_segment() {
        return false;
    }
    let _guard = FailOnPanic(shared);
    if let Err(what) = write_next(shared, &mut tail) {
        shared.fail_from_outside(what);
    }
    true
}

/// Whether others of this thread's runtime go on while it waits for the disk.
fn may_wait() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    Handle::try_current().is_ok_and(|runtime| {
        runtime.runtime_flavor() == RuntimeFlavor::MultiThread
            && runtime.metrics().num_workers() > 1
    })
}

/// Ends the store when a caller panics with the log's end in its hands.
struct FailOnPanic<'a>(&'a Shared);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let what = "an append panicked while it wrote";
            self.0.fail_from_outside(what.to_owned());
        }
    }
}

/// Writes what is ordered, if anything still is. After a failure nothing more is written, whoever holds
/// the tail next.
fn write_next(shared: &Shared, tail: &mut Tail) -> Result<(), String> {
    let (mut batch, target, due) = {
        let mut order = shared.order.lock();
        if order.batch.count == 0 || order.phase == Phase::Ended {
            return Ok(());
        }
        shared.has_work.store(false, Ordering::Relaxed);
        let (batch, target) = order.take(std::mem::take(&mut tail.empty));
        (batch, target, keeper::is_due(&order.room))
    };
    // Whoever waited for room may lay into the next batch while this one is written.
    shared.room_changed.notify_waiters();
    if let Err(error) = write(shared, tail, &mut batch, target) {
        shared.order.lock().phase = Phase::Ended;
        return Err(format!("writing the log failed: {error}"));
    }
    if due {
        shared.wake_keeper();
    }
    batch.clear();
    tail.empty = batch;
    Ok(())
}

fn write(shared: &Shared, tail: &mut Tail, batch: &mut Batch, target: Target) -> io::Result<()> {
    let begun = Instant::now();
    let offset = match target {
        Target::Active(offset) => offset,
        Target::Next => {
            rotate(shared, tail, batch.first_position)?;
            len_u64(SEGMENT_HEADER)
        }
    };
    let count = batch.count;
    let chain = batch::seal(
        &mut batch.bytes,
        shared.log_id,
        batch.first_position,
        count,
        tail.chain,
    );
    tail.active.file.write_at(&batch.bytes, offset)?;
    let synced_from = Instant::now();
    tail.active.file.sync()?;
    let sync = synced_from.elapsed();
    let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    shared.sync_nanos.store(nanos, Ordering::Relaxed);
    tail.chain = chain;
    tail.recorded_at_ms = batch.recorded_at_ms;

    let end = offset + len_u64(batch.bytes.len());
    let durable = batch.first_position + u64::from(count) - 1;
    tail.mark = Mark {
        sequence: tail.mark.sequence + 1,
        segment: tail.active.header.first_position,
        offset: end,
        position: durable,
        chain,
        clean: false,
        ..tail.mark
    };
    tail.mark.write(&*tail.mark_file)?;
    publish(shared, tail, batch, offset, end, durable);
    if let Some(observer) = &shared.options.observer {
        observer(&BatchWritten {
            events: count,
            bytes: batch.bytes.len(),
            sync,
            total: begun.elapsed(),
            durable: Position(durable),
        });
    }
    Ok(())
}

/// Makes a batch visible: first the index and the durable position, then whoever waits.
fn publish(shared: &Shared, tail: &Tail, batch: &Batch, offset: u64, end: u64, durable: u64) {
    {
        let mut index = tail.active.index.write();
        let mut at = BATCH_HEADER;
        for run in &batch.runs {
            for number in 0..run.count {
                let rest = batch.bytes.get(at..).unwrap_or_default();
                let version = run.first_version + u64::from(number);
                index.add(&run.stream, version, offset + len_u64(at));
                at += record::stored_len(rest).unwrap_or(0);
            }
        }
        index.end = end;
        shared.reader.set_durable(durable);
    }
    if let Some(changes) = &*shared.changes.lock() {
        changes.send_replace(Position(durable));
    }
    shared.waiters.reached(durable);
}

/// Seals the active segment and puts the prepared one in its place.
fn rotate(shared: &Shared, tail: &mut Tail, first_position: u64) -> io::Result<()> {
    let sealed = &tail.active;
    let end = sealed.index.read().end;
    sealed.file.set_len(end)?;
    sealed.file.sync()?;

    // Held until the file has its name, so that the keeper does not begin the next one under the old.
    let mut prepared = shared.prepared.lock();
    let file = prepared
        .take()
        .ok_or_else(|| io::Error::other("no segment is prepared"))?;
    let header = SegmentHeader {
        log_id: shared.log_id,
        first_position,
        chain: tail.chain,
        recorded_at_ms: tail.recorded_at_ms,
    };
    file.write_at(&header.encode(), 0)?;
    file.sync()?;
    let path = shared.dir.join(files::segment_name(first_position));
    shared
        .backend()
        .rename(&shared.dir.join(files::PREPARED), &path)?;
    drop(prepared);
    shared.backend().sync_dir(&shared.dir)?;
    tail.active = Arc::new(OpenSegment {
        header,
        path,
        file,
        index: RwLock::new(MemoryIndex::new(first_position)),
    });
    let active = Arc::clone(&tail.active);
    shared
        .reader
        .change_catalog(|catalog| catalog.open.push(active));
    shared.wake_keeper();
    Ok(())
}

fn mark_clean(tail: &mut Tail) -> io::Result<()> {
    // Both slots, so that each alone tells the end.
    for _ in 0..2 {
        tail.mark = Mark {
            sequence: tail.mark.sequence + 1,
            clean: true,
            ..tail.mark
        };
        tail.mark.write(&*tail.mark_file)?;
    }
    tail.mark_file.sync()
}

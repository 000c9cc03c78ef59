//! How a rebuild shares the machine with those who write: it rests while the log grows.
//!
//! Between two slices of work it looks whether the log has grown since the last one; if so, somebody writes, and it
//! rests in proportion to what it worked. The less is written, the fewer slices see it, and on an idle log it never rests.
//! Its threads have a low priority, so that whoever is woken for a command does not wait for a slice to end. At the same
//! looks it finds out that nobody waits for it any more, and ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use event_store::{EventStore, Position};

use crate::TableError;

/// How long is worked before the next look.
const SLICE: Duration = Duration::from_millis(1);
/// Rows or events between two looks at the clock.
const LOOK_EVERY: u32 = 32;
/// A rest is so many halves of the work before it: with it a rebuild beside writers still does more than the quarter that
/// is asked of it.
const REST_HALVES: u32 = 3;
/// A rest at most, whatever took long before it.
const REST_MAX: Duration = Duration::from_millis(20);
/// A low priority, of about a tenth of the processor where others want all of it: at the lowest there is, a machine that
/// is never idle would never see the end of a rebuild.
const NICE: i32 = 10;

/// Gives the calling thread a low priority. A system that does not take it has the rests alone.
pub(crate) fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the priority of a rebuild could not be lowered");
    }
}

/// When to rest, and when to end.
pub(crate) struct Pace(Option<Beside>);

/// When the work began, and what the log was then.
struct Beside {
    store: Arc<dyn EventStore>,
    seen: Position,
    since: Instant,
    looks: u32,
    /// Raised when nobody waits for the work any more.
    stopped: Arc<AtomicBool>,
}

impl Pace {
    /// Never rests: what is done is waited for.
    pub(crate) const fn alone() -> Self {
        Self(None)
    }

    /// Rests while this log grows, until it is stopped.
    pub(crate) fn beside(store: Arc<dyn EventStore>, stopped: Arc<AtomicBool>) -> Self {
        Self(Some(Beside {
            seen: store.durable_position(),
            store,
            since: Instant::now(),
            looks: 0,
            stopped,
        }))
    }

    /// Rests where it is time to, and somebody writes; an error once it is stopped. Cheap, so that it may be asked at every
    /// row.
    pub(crate) fn rest(&mut self) -> Result<(), TableError> {
        let Some(beside) = &mut self.0 else {
            return Ok(());
        };
        beside.looks = beside.looks.wrapping_add(1);
        if !beside.looks.is_multiple_of(LOOK_EVERY) {
            return Ok(());
        }
        if beside.stopped.load(Ordering::Relaxed) {
            return Err(TableError::Stopped);
        }
        beside.look();
        Ok(())
    }
}

impl Beside {
    fn look(&mut self) {
        let worked = self.since.elapsed();
        if worked < SLICE {
            return;
        }
        let end = self.store.durable_position();
        if std::mem::replace(&mut self.seen, end) != end {
            std::thread::sleep((worked * REST_HALVES / 2).min(REST_MAX));
        }
        self.since = Instant::now();
    }
}

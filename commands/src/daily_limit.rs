//! How much of what one member asks is written though it changes nothing: refusals that are recorded, outcomes that are
//! kept. Enough to explain and to repeat them, too few to fill a disk with.
//!
//! Counted in memory by windows of 24 hours of the node's clock, for the members counted most recently; a restart
//! forgives. What is beyond a limit writes nothing.

use std::num::NonZeroUsize;
use std::sync::Arc;

use domain::time::{DAY_MS, Timestamp};
use lru::LruCache;
use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;

/// Members who are counted; beyond it the one counted longest ago is forgiven.
const MEMBERS_MAX: usize = 65_536;

/// The counts.
pub(crate) struct DailyLimit {
    per_day_max: Option<u32>,
    counts: Mutex<LruCache<Arc<str>, Count, FxBuildHasher>>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    counted: u32,
}

impl DailyLimit {
    /// No count yet. Without a limit everything is admitted.
    pub(crate) fn new(per_day_max: Option<u32>) -> Self {
        let bound = NonZeroUsize::new(MEMBERS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self {
            per_day_max,
            counts: Mutex::new(LruCache::with_hasher(bound, FxBuildHasher)),
        }
    }

    /// Counts what is about to be written for a member, and says whether it may be.
    pub(crate) fn admit(&self, actor: &Arc<str>, now: Timestamp) -> bool {
        let Some(max) = self.per_day_max else {
            return true;
        };
        let mut counts = self.counts.lock();
        let fresh = || Count {
            since: now,
            counted: 0,
        };
        let count = counts.get_or_insert_mut(Arc::clone(actor), fresh);
        if now.since_ms(count.since) >= DAY_MS {
            *count = fresh();
        }
        let admitted = count.counted < max;
        if admitted {
            count.counted += 1;
        }
        admitted
    }
}

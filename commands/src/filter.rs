//! A filter in memory that knows most ids it has never seen, so that a new command costs no disk read.
//!
//! Promise: an id that was added within the window is never denied; one that was not is denied with a probability that
//! falls with the filter's size. Bits are kept in three eras of half a window each, so that old ids leave without being
//! counted; until the ids of earlier runs are loaded, nothing is denied. It is a hint in front of the command index:
//! what it says *perhaps* to is looked up there.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Words of one block: 512 bits, a cache line. An id sets one bit in each.
const BLOCK_WORDS: usize = 8;
/// Eras kept. Two whole ones cover the window, the third is being filled.
const ERAS: usize = 3;
const ERAS_I64: i64 = 3;

/// A blocked Bloom filter over command ids, in eras of time. An id is named by 62 bits or more of its hash.
pub(crate) struct SeenFilter {
    eras: [Era; ERAS],
    era_ms: i64,
    complete: AtomicBool,
}

impl Default for SeenFilter {
    /// The smallest: it denies nothing before it is complete, and little after.
    fn default() -> Self {
        Self::new(1, 1)
    }
}

struct Era {
    number: AtomicI64,
    /// Held by the one who begins an era, so that what others add to it meanwhile is not cleared.
    beginning: Mutex<()>,
    words: Box<[AtomicU64]>,
}

impl Era {
    /// Makes sure that this era or a later one is kept here; the first id of a new one clears the place of one that
    /// left the window. Whether it is this one: what is older than what is kept is out of the window.
    fn begin(&self, number: i64) -> bool {
        if self.number.load(Ordering::Acquire) < number {
            let _beginning = self.beginning.lock();
            // Another thread may have begun it meanwhile, and have ids in it.
            if self.number.load(Ordering::Acquire) < number {
                for word in &self.words {
                    word.store(0, Ordering::Relaxed);
                }
                self.number.store(number, Ordering::Release);
            }
        }
        self.number.load(Ordering::Acquire) == number
    }
}

impl SeenFilter {
    /// A filter of about `bytes` for ids of the last `window_ms`.
    pub(crate) fn new(bytes: usize, window_ms: i64) -> Self {
        let blocks = (bytes / ERAS / (BLOCK_WORDS * 8)).max(1);
        let era = || Era {
            number: AtomicI64::new(i64::MIN),
            beginning: Mutex::new(()),
            words: (0..blocks * BLOCK_WORDS)
                .map(|_| AtomicU64::new(0))
                .collect(),
        };
        Self {
            eras: [era(), era(), era()],
            era_ms: (window_ms / 2).max(1),
            complete: AtomicBool::new(false),
        }
    }

    /// From now on an id that was not added is denied: those of earlier runs are in.
    pub(crate) fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    /// Adds an id that arrived at `arrived_ms`.
    pub(crate) fn add(&self, id: u64, arrived_ms: i64) {
        let number = arrived_ms.div_euclid(self.era_ms);
        let Some(era) = usize::try_from(number.rem_euclid(ERAS_I64))
            .ok()
            .and_then(|slot| self.eras.get(slot))
        else {
            return;
        };
        if era.begin(number) {
            for (word, bit) in Self::probes(era, id) {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    /// Whether the id may have been added.
    pub(crate) fn maybe(&self, id: u64) -> bool {
        !self.complete.load(Ordering::Acquire)
            || self
                .eras
                .iter()
                .any(|era| era.number.load(Ordering::Acquire) != i64::MIN && Self::holds(era, id))
    }

    fn holds(era: &Era, id: u64) -> bool {
        Self::probes(era, id).all(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// One bit in each word of the id's block.
    fn probes(era: &Era, id: u64) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let blocks = (era.words.len() / BLOCK_WORDS).max(1) as u64;
        let mixed = (id ^ (id >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let block = usize::try_from((mixed >> 20) % blocks).unwrap_or(0) * BLOCK_WORDS;
        let words = era.words.get(block..block + BLOCK_WORDS).unwrap_or(&[]);
        words
            .iter()
            .zip(0..)
            .map(move |(word, index)| (word, 1 << ((id >> (6 * index)) & 63)))
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn key(n: u32) -> u64 {
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, &n.to_be_bytes())
            .as_u64_pair()
            .1
    }

    #[test]
    fn denies_nothing_it_holds_and_most_of_what_it_does_not() {
        let filter = SeenFilter::new(3 * 64 * 1024, 7 * DAY_MS);
        filter.complete();
        for n in 0..20_000 {
            filter.add(key(n), 0);
        }
        assert!((0..20_000).all(|n| filter.maybe(key(n))));
        let wrong = (20_000..120_000).filter(|&n| filter.maybe(key(n))).count();
        assert!(wrong < 200, "{wrong} of 100000 taken for known");
    }

    #[test]
    fn keeps_a_whole_window_while_time_goes_on() {
        let filter = SeenFilter::new(3 * 64 * 1024, 7 * DAY_MS);
        filter.complete();
        for day in 0..60_u32 {
            filter.add(key(day), i64::from(day) * DAY_MS);
            for earlier in day.saturating_sub(7)..=day {
                assert!(
                    filter.maybe(key(earlier)),
                    "day {earlier} is gone on day {day}"
                );
            }
        }
        assert!(!filter.maybe(key(0)));
    }

    #[test]
    fn denies_nothing_before_it_is_complete() {
        assert!(SeenFilter::new(1024, DAY_MS).maybe(key(1)));
    }

    #[test]
    fn two_threads_that_begin_an_era_at_once_lose_nothing() {
        for turn in 0..100_u32 {
            let filter = SeenFilter::new(3 << 20, 7 * DAY_MS);
            let go = std::sync::Barrier::new(2);
            let ids = |side: u32| (0..100).map(move |n| key(turn * 1000 + side * 500 + n));
            // What an earlier run left is filled in while the first event of this one arrives.
            std::thread::scope(|threads| {
                for side in 0..2 {
                    let (filter, go) = (&filter, &go);
                    threads.spawn(move || {
                        go.wait();
                        for id in ids(side) {
                            filter.add(id, 0);
                        }
                    });
                }
            });
            filter.complete();
            assert!((0..2).flat_map(ids).all(|id| filter.maybe(id)));
        }
    }
}

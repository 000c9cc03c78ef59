//! Rate limits per caller.
//!
//! Each `sub` has a bucket of requests that refills steadily, one size for members and one for everybody else, and a
//! count of the `not_allowed` answers of the last day; 100 of those are a limit on sending, so that nobody finds out by
//! trial who takes whose messages. A limit tells how long to wait. Memory is bounded: the least recent callers are
//! forgotten first. Routes that protect a member (accept, delete, block, report) do not ask here at all; see `caller`.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Instant;

use parking_lot::Mutex;

use crate::problem::{ApiError, Code};

const SHARDS: usize = 16;
/// Callers remembered in each shard and generation.
const CALLERS_MAX: usize = 2_048;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How much a caller may ask. A rate of 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    /// Requests a second of one member, in the long run.
    pub member_per_second: u32,
    /// Requests of one member at once.
    pub member_burst: u32,
    /// Requests a second of one moderator, auditor, service or operator, in the long run.
    pub staff_per_second: u32,
    /// Requests of one of these at once.
    pub staff_burst: u32,
    /// Answers `not_allowed` within a day before sending is limited.
    pub not_allowed_per_day: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        RateLimits {
            member_per_second: 100,
            member_burst: 1_000,
            staff_per_second: 20_000,
            staff_burst: 100_000,
            not_allowed_per_day: 100,
        }
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled_ms: u64,
    denials: u32,
    denials_since_ms: u64,
}

#[derive(Default)]
struct Shard {
    young: HashMap<u64, Bucket>,
    old: HashMap<u64, Bucket>,
}

impl Shard {
    #[cfg(test)]
    fn held(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn bucket(&mut self, key: u64, fresh: impl FnOnce() -> Bucket) -> &mut Bucket {
        if !self.young.contains_key(&key) {
            let bucket = self.old.remove(&key).unwrap_or_else(fresh);
            if self.young.len() >= CALLERS_MAX {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(key, bucket);
        }
        self.young.entry(key).or_insert(Bucket {
            tokens: 0.0,
            filled_ms: 0,
            denials: 0,
            denials_since_ms: 0,
        })
    }
}

/// The buckets of all callers.
pub struct Limiter {
    limits: RateLimits,
    hasher: RandomState,
    started: Instant,
    shards: [Mutex<Shard>; SHARDS],
}

/// Which of the two sizes of bucket a caller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A member's.
    Member,
    /// Everybody else's.
    Staff,
}

impl Limiter {
    /// A limiter in which nobody has asked yet.
    pub fn new(limits: RateLimits) -> Self {
        Limiter {
            limits,
            hasher: RandomState::new(),
            started: Instant::now(),
            shards: Default::default(),
        }
    }

    /// Counts one request of the caller.
    pub fn ask(&self, caller: &str, size: Size) -> Result<(), ApiError> {
        self.ask_at(caller, size, self.now_ms())
    }

    /// Refuses a caller who had too many `not_allowed` within a day.
    pub fn may_send(&self, caller: &str) -> Result<(), ApiError> {
        self.may_send_at(caller, self.now_ms())
    }

    /// Counts one `not_allowed` of the caller.
    pub fn not_allowed(&self, caller: &str) {
        self.not_allowed_at(caller, self.now_ms());
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn ask_at(&self, caller: &str, size: Size, now_ms: u64) -> Result<(), ApiError> {
        let (per_second, burst) = match size {
            Size::Member => (self.limits.member_per_second, self.limits.member_burst),
            Size::Staff => (self.limits.staff_per_second, self.limits.staff_burst),
        };
        if per_second == 0 {
            return Ok(());
        }
        let (per_ms, burst) = (f64::from(per_second) / 1000.0, f64::from(burst.max(1)));
        self.with_bucket(caller, burst, now_ms, |bucket| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "milliseconds of a process's life are exact in an f64"
            )]
            let waited_ms = now_ms.saturating_sub(bucket.filled_ms) as f64;
            bucket.tokens = (bucket.tokens + waited_ms * per_ms).min(burst);
            bucket.filled_ms = now_ms;
            if bucket.tokens >= 1.0 {
                bucket.tokens -= 1.0;
                Ok(())
            } else {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "small and positive"
                )]
                let wait_s = ((1.0 - bucket.tokens) / per_ms / 1000.0).ceil() as u64;
                Err(limited("Too many requests of this caller.", wait_s))
            }
        })
    }

    fn may_send_at(&self, caller: &str, now_ms: u64) -> Result<(), ApiError> {
        let max = self.limits.not_allowed_per_day;
        if max == 0 {
            return Ok(());
        }
        self.with_bucket(
            caller,
            f64::from(self.limits.member_burst),
            now_ms,
            |bucket| {
                let since_ms = now_ms.saturating_sub(bucket.denials_since_ms);
                if bucket.denials < max || since_ms >= DAY_MS {
                    return Ok(());
                }
                Err(limited(
                    "Too many messages to members who do not take them.",
                    (DAY_MS - since_ms).div_ceil(1000),
                ))
            },
        )
    }

    fn not_allowed_at(&self, caller: &str, now_ms: u64) {
        self.with_bucket(
            caller,
            f64::from(self.limits.member_burst),
            now_ms,
            |bucket| {
                if bucket.denials == 0 || now_ms.saturating_sub(bucket.denials_since_ms) >= DAY_MS {
                    bucket.denials = 0;
                    bucket.denials_since_ms = now_ms;
                }
                bucket.denials = bucket.denials.saturating_add(1);
            },
        );
    }

    fn with_bucket<T>(
        &self,
        caller: &str,
        full: f64,
        now_ms: u64,
        work: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let key = self.hasher.hash_one(caller);
        let [first, ..] = key.to_le_bytes();
        let shard = self
            .shards
            .get(usize::from(first) % SHARDS)
            .unwrap_or(&self.shards[0]);
        let mut shard = shard.lock();
        work(shard.bucket(key, || Bucket {
            tokens: full,
            filled_ms: now_ms,
            denials: 0,
            denials_since_ms: now_ms,
        }))
    }
}

fn limited(detail: &'static str, wait_s: u64) -> ApiError {
    ApiError::with_detail(Code::RateLimited, detail).retry_after_s(wait_s)
}

#[cfg(test)]
mod tests {
    use super::{CALLERS_MAX, DAY_MS, Limiter, RateLimits, SHARDS, Size};
    use crate::problem::Code;

    fn limiter() -> Limiter {
        Limiter::new(RateLimits {
            member_per_second: 2,
            member_burst: 3,
            not_allowed_per_day: 2,
            ..RateLimits::default()
        })
    }

    #[test]
    fn a_burst_is_let_through_and_refills() {
        let limiter = limiter();
        for _ in 0..3 {
            limiter.ask_at("ann", Size::Member, 0).unwrap();
        }
        assert_eq!(
            limiter.ask_at("ann", Size::Member, 0).unwrap_err().code(),
            Code::RateLimited
        );
        limiter.ask_at("bob", Size::Member, 0).unwrap();
        limiter.ask_at("ann", Size::Member, 500).unwrap();
        assert!(limiter.ask_at("ann", Size::Member, 500).is_err());
    }

    #[test]
    fn many_refusals_in_a_day_stop_the_sending_until_it_is_over() {
        let limiter = limiter();
        limiter.not_allowed_at("ann", 5);
        limiter.may_send_at("ann", 6).unwrap();
        limiter.not_allowed_at("ann", 7);
        assert!(limiter.may_send_at("ann", 8).is_err());
        limiter.may_send_at("bob", 8).unwrap();
        limiter.may_send_at("ann", 5 + DAY_MS).unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = limiter();
        for caller in 0..100_000 {
            limiter
                .ask_at(&caller.to_string(), Size::Member, 0)
                .unwrap();
        }
        let held: usize = limiter.shards.iter().map(|shard| shard.lock().held()).sum();
        assert!(held <= 2 * SHARDS * CALLERS_MAX, "{held}");
    }
}

//! Times and spans as whole milliseconds.
//!
//! A [`Timestamp`] is the command's `at`, in milliseconds since the Unix epoch. Arithmetic saturates, so that folding
//! any log whatever cannot panic. Reading and printing RFC 3339 is left to the outermost crates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One hour in milliseconds.
pub const HOUR_MS: i64 = 60 * 60 * 1000;
/// One day of 24 hours in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// A moment: milliseconds since the Unix epoch, leap seconds not counted.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The Unix epoch, the `at` of the first policy.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment and `ms` milliseconds, held within the range of the type.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    /// This moment and `days` times 24 hours, held within the range of the type.
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Timestamp {
        Timestamp(self.0.saturating_add((days as i64).saturating_mul(DAY_MS)))
    }

    /// Milliseconds from `earlier` to this moment; negative when it is later.
    pub const fn since_ms(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

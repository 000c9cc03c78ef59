//! Durations in buckets, so that the median of any days is found by adding up those of each.
//!
//! A bucket is an exact number of milliseconds below 256; above, 128 of them share each doubling, so that the middle of a
//! bucket is within 1 in 256 (0.4 %) of every duration in it.

use std::collections::BTreeMap;

/// Buckets between a power of two and the next.
const OF_A_DOUBLING: u64 = 128;
const EXACT_BELOW: u64 = 2 * OF_A_DOUBLING;

/// The bucket of a duration; buckets are in the order of the durations.
pub(super) fn bucket(ms: u64) -> u64 {
    let shift = u64::from((ms / EXACT_BELOW).checked_ilog2().map_or(0, |log| log + 1));
    shift * OF_A_DOUBLING + (ms >> shift)
}

/// The middle of a bucket.
pub(super) fn middle(bucket: u64) -> u64 {
    if bucket < EXACT_BELOW {
        return bucket;
    }
    let shift = (bucket / OF_A_DOUBLING - 1).min(56);
    let low = (bucket - shift * OF_A_DOUBLING) << shift;
    low + (1 << shift) / 2
}

/// How many there are, and the one in the middle; of an even number the lesser of the two.
pub(super) fn median(buckets: &BTreeMap<u64, u64>) -> Option<(u64, u64)> {
    let count = buckets
        .values()
        .fold(0_u64, |sum, of_bucket| sum.saturating_add(*of_bucket));
    let mut before = 0_u64;
    for (bucket, of_bucket) in buckets {
        before = before.saturating_add(*of_bucket);
        if before >= count.div_ceil(2) && count > 0 {
            return Some((count, middle(*bucket)));
        }
    }
    None
}

#[cfg(test)]
mod spec {
    use proptest::prelude::*;

    use super::*;

    /// As long as durations get: 290,000 years.
    const LONGEST_MS: u64 = i64::MAX as u64;

    proptest! {
        #[test]
        fn the_middle_of_its_bucket_is_within_one_in_256_of_a_duration(bits in 0..63_u32, random: u64) {
            let ms = (random & LONGEST_MS) >> bits;
            prop_assert!(middle(bucket(ms)).abs_diff(ms) <= ms / 256);
        }

        #[test]
        fn longer_is_in_no_earlier_bucket(a in 0..LONGEST_MS, b in 0..1_000_000_u64, bits in 0..63_u32) {
            let a = a >> bits;
            prop_assert!(bucket(a) <= bucket(a.saturating_add(b).min(LONGEST_MS)));
        }

        #[test]
        fn the_median_is_the_one_in_the_middle(mut durations in prop::collection::vec(0..256_u64, 1..40)) {
            let mut buckets = BTreeMap::new();
            for ms in &durations {
                *buckets.entry(bucket(*ms)).or_insert(0) += 1;
            }
            durations.sort_unstable();
            let count = durations.len();
            let expected = durations[count.div_ceil(2) - 1];
            prop_assert_eq!(median(&buckets), Some((count as u64, expected)));
        }
    }

    #[test]
    fn of_nothing_there_is_no_median() {
        assert_eq!(median(&BTreeMap::new()), None);
    }
}

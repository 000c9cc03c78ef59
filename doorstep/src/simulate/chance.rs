//! Chance from a seed: the same seed, the same numbers.
//!
//! Nothing here has to be hard to guess. What is drawn are times and choices of the simulation; each part has a source of
//! its own, so that one that draws more often moves no other.

/// Mixes a number so that neighbours have nothing in common.
pub(super) fn mix(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A source of numbers.
pub(super) struct Chance(u64);

impl Chance {
    /// The source of one part, by its name in numbers.
    pub(super) fn of(seed: u64, part: u64) -> Self {
        Self(mix(mix(seed) ^ part))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0, below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(super) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0, below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Time until something that happens so often on average, in the unit of `mean`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "microseconds of a simulation of seconds"
    )]
    pub(super) fn waiting(&mut self, mean: u64) -> u64 {
        (-(1.0 - self.part()).ln() * mean as f64) as u64
    }

    /// A rank from 0 below `count`, the n-th drawn as often as its rank to the power of minus `exponent`, which is not 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "ranks are far below 2^53"
    )]
    pub(super) fn rank(&mut self, count: u64, exponent: f64) -> u64 {
        let power = 1.0 - exponent;
        let top = (count as f64 + 1.0).powf(power) - 1.0;
        let drawn = (self.part() * top + 1.0).powf(1.0 / power);
        (drawn as u64)
            .saturating_sub(1)
            .min(count.saturating_sub(1))
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_and_another_part_something_else() {
        let drawn = |part| {
            let mut chance = Chance::of(7, part);
            (0..100).map(|_| chance.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn waiting_has_its_mean_and_ranks_fall() {
        let mut chance = Chance::of(7, 1);
        let sum: u64 = (0..20_000).map(|_| chance.waiting(1_000)).sum();
        assert!((950..1_050).contains(&(sum / 20_000)), "{sum}");
        let mut counts = [0_u32; 100];
        for _ in 0..50_000 {
            counts[usize::try_from(chance.rank(100, 0.8)).unwrap()] += 1;
        }
        assert!(counts[0] > 2 * counts[3] && counts[3] > 2 * counts[30]);
        assert!(counts[99] > 0);
    }
}

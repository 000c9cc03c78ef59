//! Chance from a seed: the same seed, the same numbers.
//!
//! Drawn by sums, products and comparisons of numbers alone, whose results are laid down to the last bit, so that no machine's
//! logarithm makes another table. Nothing here has to be hard to guess. What is drawn are times and choices of the simulation; each part has a source of
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

    /// Time until something that happens so often on average, in the unit of `mean`: of runs of falling numbers the first
    /// of odd length says by its first number where in its round it is, and how many were even says which round (von
    /// Neumann's way to an exponential distribution).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "microseconds of a simulation of seconds"
    )]
    pub(super) fn waiting(&mut self, mean: u64) -> u64 {
        let mut rounds = 0.0;
        loop {
            let first = self.part();
            let (mut last, mut length) = (first, 1_u32);
            loop {
                let next = self.part();
                if next >= last {
                    break;
                }
                (last, length) = (next, length + 1);
            }
            if length % 2 == 1 {
                return ((rounds + first) * mean as f64) as u64;
            }
            rounds += 1.0;
        }
    }

    /// A rank from 0 below `count`, the n-th drawn as often as n to the power of minus 0.8, which is [`ZIPF_EXPONENT`].
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "ranks are far below 2^53"
    )]
    pub(super) fn rank(&mut self, count: u64) -> u64 {
        let drawn = self.part() * (fifth_root(count as f64 + 1.0) - 1.0) + 1.0;
        let rank = fifth_power(drawn) as u64;
        rank.saturating_sub(1).min(count.saturating_sub(1))
    }
}

/// How ranks are drawn; what is summed up over ranks grows with the power of 1 - 0.8 then, the fifth root.
pub(super) const ZIPF_EXPONENT: f64 = 0.8;

fn fifth_power(x: f64) -> f64 {
    let square = x * x;
    square * square * x
}

/// By halving the way to it.
fn fifth_root(x: f64) -> f64 {
    let (mut low, mut high) = (0.0, x.max(1.0));
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if fifth_power(middle) < x {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
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
            counts[usize::try_from(chance.rank(100)).unwrap()] += 1;
        }
        assert!(counts[0] > 2 * counts[3] && counts[3] > 2 * counts[30]);
        assert!(counts[99] > 0);
    }
}

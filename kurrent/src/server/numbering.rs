//! How positions of the log are told as commit positions of the protocol.
//!
//! Clients may only compare and give back what they were told. So that tests see to that, positions can be told with
//! irregular gaps.

use event_store::Position;

/// How positions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// As the log has them.
    Same,
    /// With gaps that follow from a seed, between 1 and twice this many.
    Gaps {
        /// The seed.
        seed: u64,
    },
}

/// Numbers that one position has for itself.
const SPAN: u64 = 1_024;

impl Numbering {
    /// What a position is told as.
    pub fn told(self, position: Position) -> u64 {
        match self {
            Self::Same => position.0,
            Self::Gaps { seed } => position
                .0
                .saturating_mul(SPAN)
                .saturating_add(mixed(seed ^ position.0) % SPAN),
        }
    }

    /// Where a reading begins that has the event told as this for its first: at that event, or after another one. Only
    /// positions of the log's own may be asked for below: those told as they are may have gaps.
    pub(super) fn at(self, told: u64) -> (Option<Position>, Position) {
        match self {
            Self::Same => (Some(Position(told)), Position(told)),
            Self::Gaps { .. } => (None, self.below(told)),
        }
    }

    /// The last position that is told as less than this.
    pub fn below(self, told: u64) -> Position {
        match self {
            Self::Same => Position(told.saturating_sub(1)),
            Self::Gaps { .. } => {
                let nearest = Position(told / SPAN);
                if self.told(nearest) < told {
                    nearest
                } else {
                    Position(nearest.0.saturating_sub(1))
                }
            }
        }
    }
}

/// A number's bits well mixed: the finalizer of `SplitMix64` (G. Steele, D. Lea, C. Flood, *Fast splittable pseudorandom number
/// generators*, OOPSLA 2014).
pub(super) fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn what_was_told_is_found_again_and_so_is_what_lies_between() {
        for numbering in [Numbering::Same, Numbering::Gaps { seed: 7 }] {
            let mut before = 0;
            for position in 1..2_000 {
                let told = numbering.told(Position(position));
                assert!(told > before, "they rise");
                assert_eq!(numbering.below(told), Position(position - 1));
                assert_eq!(numbering.below(told + 1), Position(position));
                before = told;
            }
            assert_eq!(numbering.below(0), Position::START);
        }
        let gaps = |seed| {
            let numbering = Numbering::Gaps { seed };
            numbering.told(Position(2)) - numbering.told(Position(1))
        };
        assert_ne!(gaps(1), gaps(2));
    }
}

//! What a report complains of, and what orders the queue of cases by it.
//!
//! The rule of the queue's order stands here alone ([`PriorityInputs::rank`]); its inputs are recorded with each report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a report complains of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Category {
    Spam,
    Scam,
    Harassment,
    Hate,
    SexualContent,
    MinorSafety,
    Violence,
    SelfHarm,
    Impersonation,
    IllegalGoods,
    Other,
}

impl Category {
    /// Every category, in the order of the domain's page.
    pub const ALL: [Category; 11] = [
        Category::Spam,
        Category::Scam,
        Category::Harassment,
        Category::Hate,
        Category::SexualContent,
        Category::MinorSafety,
        Category::Violence,
        Category::SelfHarm,
        Category::Impersonation,
        Category::IllegalGoods,
        Category::Other,
    ];

    /// How urgent a report of this category is, 1 to 5. The page asks for a severity and gives no numbers: harm to
    /// life and to minors first, then harm done to a person, then to their purse, then nuisance.
    pub const fn severity(self) -> u8 {
        match self {
            Category::MinorSafety | Category::SelfHarm => 5,
            Category::Violence => 4,
            Category::Hate | Category::Harassment | Category::SexualContent => 3,
            Category::Scam | Category::Impersonation | Category::IllegalGoods => 2,
            Category::Spam | Category::Other => 1,
        }
    }
}

/// What orders the queue. The rule stands here alone: [`PriorityInputs::rank`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PriorityInputs {
    /// Severity of the worst category reported, 1 to 5.
    pub severity: u8,
    /// Different members who reported this member within 90 days, in any conversation, up to
    /// [`PriorityInputs::REPORTERS_MAX`]; reports over their reporters' daily limit do not count.
    pub reporters: u32,
    /// Earlier cases against this member that were upheld.
    pub upheld: u32,
    /// Whether every report of the case was over its reporter's daily limit: such a case is sorted last.
    pub over_limit: bool,
}

impl PriorityInputs {
    /// Days within which reporters count.
    pub const REPORTERS_DAYS: u32 = 90;
    /// Reporters that count at most: beyond it a priority does not rise, so that a member whom thousands report costs no
    /// more to order than one whom so many do.
    pub const REPORTERS_MAX: u32 = 250;

    /// The inputs of a suspension by hand, which no report asks for: as of the mildest one. It waits with its appeal alone.
    pub const OF_A_SUSPENSION: PriorityInputs = PriorityInputs {
        severity: 1,
        reporters: 0,
        upheld: 0,
        over_limit: false,
    };

    /// The inputs once a report joins a case with these inputs, or opens one: they change at reports and at nothing else.
    /// While a report within its reporter's daily limit is there, those over theirs do not make the case graver. Where
    /// all was decided, what comes beyond the limit stands by itself: it brings the case back to its place at the end.
    #[must_use]
    pub fn at_report(
        before: Option<PriorityInputs>,
        decided: bool,
        severity: u8,
        over_limit: bool,
        reporters: u32,
        upheld: u32,
    ) -> PriorityInputs {
        let before = before.filter(|_| !(decided && over_limit));
        let severity = match before {
            Some(before) if before.over_limit == over_limit => before.severity.max(severity),
            Some(before) if over_limit => before.severity,
            Some(_) | None => severity,
        };
        PriorityInputs {
            severity,
            reporters: reporters.min(Self::REPORTERS_MAX),
            upheld,
            over_limit: over_limit && before.is_none_or(|before| before.over_limit),
        }
    }

    /// Higher comes first; among equals the case opened earlier comes first. Cases within the reporters' daily limits
    /// come before all others; then the severity decides, then how many members complain (no difference above
    /// [`PriorityInputs::REPORTERS_MAX`]), then how many earlier cases were upheld (above 255 alike).
    pub fn rank(&self) -> u64 {
        let reporters = u64::from(self.reporters.min(Self::REPORTERS_MAX));
        let upheld = u64::from(self.upheld.min(0xff));
        (u64::from(!self.over_limit) << 32)
            | (u64::from(self.severity) << 24)
            | (reporters << 8)
            | upheld
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    /// What floods in on a decided case does not bring it back to the place that its earlier reports had.
    #[test]
    fn stands_by_what_is_over_the_limit_alone_where_all_else_was_decided() {
        let grave = PriorityInputs::at_report(None, false, 5, false, 3, 1);
        let beyond = |decided| PriorityInputs::at_report(Some(grave), decided, 1, true, 3, 1);
        assert_eq!(beyond(false), grave);
        let flooded = beyond(true);
        assert_eq!((flooded.severity, flooded.over_limit), (1, true));
        assert!(flooded.rank() < grave.rank());
        let counted = PriorityInputs::at_report(Some(grave), true, 1, false, 4, 1);
        assert_eq!((counted.severity, counted.over_limit), (5, false));
    }

    #[test]
    fn ranks_by_severity_then_reporters_then_upheld_and_what_is_over_the_limit_last() {
        let inputs = |severity, reporters, upheld, over_limit| {
            PriorityInputs {
                severity,
                reporters,
                upheld,
                over_limit,
            }
            .rank()
        };
        assert!(inputs(1, 1, 0, false) > inputs(5, 100, 9, true));
        assert!(inputs(3, 1, 0, false) > inputs(2, 100_000, 1_000, false));
        assert!(inputs(3, 2, 0, false) > inputs(3, 1, 255, false));
        assert!(inputs(3, 2, 1, false) > inputs(3, 2, 0, false));
        let most = PriorityInputs::REPORTERS_MAX;
        assert!(inputs(3, most, 0, false) > inputs(3, most - 1, 255, false));
        assert_eq!(inputs(3, most, 0, false), inputs(3, u32::MAX, 0, false));
        let many = PriorityInputs::at_report(None, false, 3, false, u32::MAX, 0);
        assert_eq!(many.reporters, most);
    }
}

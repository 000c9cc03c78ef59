//! What became of a decision, as moderators are shown it in its case: the member's appeal, its answer, and the reversal.
//!
//! Part of the answer of `moderation.rs`; what the member is told stands in `statements.rs`.

use projections::{CaseAnswer, CaseAppeal, CaseReversal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;
use crate::words::AppealOutcome;

/// A member's appeal of a decision.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShownAppeal {
    text: String,
    #[schema(format = DateTime)]
    appealed_at: String,
    /// Null while it waits; and where a reversal without it answered it.
    answer: Option<ShownAnswer>,
}

/// How an appeal was decided.
#[derive(Debug, Serialize, ToSchema)]
struct ShownAnswer {
    /// Which moderator.
    by: String,
    outcome: AppealOutcome,
    /// What the member is told.
    text: String,
    #[schema(format = DateTime)]
    decided_at: String,
}

/// That a decision was reversed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShownReversal {
    /// Which moderator.
    by: String,
    /// Why, as a code; `appeal_granted` where an appeal was.
    reason: String,
    /// What the member is told.
    text: String,
    #[schema(format = DateTime)]
    reversed_at: String,
}

impl From<CaseAppeal> for ShownAppeal {
    fn from(appeal: CaseAppeal) -> Self {
        let answer = |answer: CaseAnswer| ShownAnswer {
            by: answer.by.to_string(),
            outcome: answer.outcome.into(),
            text: answer.text,
            decided_at: time::format(answer.decided_at.as_millis()),
        };
        ShownAppeal {
            text: appeal.text,
            appealed_at: time::format(appeal.appealed_at.as_millis()),
            answer: appeal.answer.map(answer),
        }
    }
}

impl From<CaseReversal> for ShownReversal {
    fn from(reversal: CaseReversal) -> Self {
        ShownReversal {
            by: reversal.by.to_string(),
            reason: reversal.reason.to_string(),
            text: reversal.text,
            reversed_at: time::format(reversal.reversed_at.as_millis()),
        }
    }
}

//! What was decided about a member, as they are told it, with the form to appeal where there still is an appeal.

use domain::case::{Action, AppealOutcome};
use domain::ids::DecisionId;
use domain::time::Timestamp;
use projections::OwnDecision;

use crate::pages::shown::{When, category, count};

/// A decision about the member.
pub(super) struct Statement {
    pub(super) id: DecisionId,
    pub(super) what: String,
    pub(super) at: When,
    /// How long what it restricts lasts, or when it ended.
    pub(super) lasts: Lasts,
    pub(super) reason: String,
    pub(super) category: Option<&'static str>,
    pub(super) text: String,
    pub(super) facts: Option<String>,
    /// Until when it can be appealed, while it can.
    pub(super) appealable: Option<When>,
    /// The appeal that was sent and refused.
    pub(super) typed: Option<String>,
    pub(super) appeal: Option<Appeal>,
    pub(super) reversed: Option<Reversed>,
}

/// How long a restriction lasts.
pub(super) enum Lasts {
    /// It restricts nothing.
    Nothing,
    /// It has no end.
    ForGood,
    /// Until then.
    Until(When),
    /// It ended then.
    Ended(When),
}

/// The member's appeal.
pub(super) struct Appeal {
    pub(super) text: String,
    pub(super) at: When,
    /// What became of it, what the member is told, and when.
    pub(super) answer: Option<(&'static str, String, When)>,
}

/// That it was taken back.
pub(super) struct Reversed {
    pub(super) text: String,
    pub(super) at: When,
}

/// A decision as its member is told it at a time.
pub(super) fn statement(decision: OwnDecision, now: Timestamp) -> Statement {
    let open = decision.appeal.is_none() && decision.reversal.is_none();
    let until = decision
        .appealable_until
        .filter(|until| open && now < *until);
    let restricts = matches!(decision.action, Action::Limit | Action::Suspend);
    Statement {
        id: decision.decision_id,
        what: match decision.action {
            Action::Nothing => "Nothing was done".to_owned(),
            Action::Warn => "A warning".to_owned(),
            Action::RemoveMessages => {
                let messages = u64::try_from(decision.messages).unwrap_or(u64::MAX);
                format!("{} removed", count(messages, "message", "messages"))
            }
            Action::Limit => "May open no requests".to_owned(),
            Action::Suspend => "Suspended".to_owned(),
        },
        at: When(decision.decided_at),
        lasts: match (restricts, decision.ended_at, decision.until) {
            (false, _, _) => Lasts::Nothing,
            (true, Some(ended), _) => Lasts::Ended(When(ended)),
            (true, None, Some(until)) => Lasts::Until(When(until)),
            (true, None, None) => Lasts::ForGood,
        },
        reason: decision.reason.to_string(),
        category: decision.category.map(category),
        text: decision.text,
        facts: decision.facts,
        appealable: until.map(When),
        typed: None,
        appeal: decision.appeal.map(|appeal| Appeal {
            text: appeal.text,
            at: When(appeal.appealed_at),
            answer: appeal.answer.map(|(outcome, text, at)| {
                let became = match outcome {
                    AppealOutcome::Upheld => "the decision stays",
                    AppealOutcome::Reversed => "the decision is taken back",
                };
                (became, text, When(at))
            }),
        }),
        reversed: decision.reversal.map(|reversal| Reversed {
            text: reversal.text,
            at: When(reversal.reversed_at),
        }),
    }
}

//! `member-suspended.v1`: a suspension by hand before it was a decision that can be appealed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{MemberId, ReasonCode};
use crate::member::MemberSuspended;
use crate::text::Text;
use crate::time::Timestamp;

/// `member-suspended.v1`: a moderator suspended a member. It lacks the decision's id, the facts relied on, and how long it
/// can be appealed: none could be, and no facts were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MemberSuspendedV1<'a> {
    /// Who.
    member: MemberId,
    /// Which moderator.
    by: MemberId,
    /// Until when; for good when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Why, as a code.
    reason: ReasonCode,
    /// What the member is told.
    #[serde(borrow)]
    text: Text<'a>,
}

impl<'a> From<MemberSuspendedV1<'a>> for MemberSuspended<'a> {
    fn from(old: MemberSuspendedV1<'a>) -> Self {
        MemberSuspended {
            member: old.member,
            decision: None,
            by: old.by,
            until: old.until,
            reason: old.reason,
            text: old.text,
            facts: Text::from(""),
            appealable_until: None,
        }
    }
}

impl<'a> MemberSuspendedV1<'a> {
    /// The old form of an event, where it says the same.
    pub(crate) fn of(event: &'a MemberSuspended<'_>) -> Option<Self> {
        let says_all =
            event.decision.is_none() && event.facts.is_empty() && event.appealable_until.is_none();
        says_all.then(|| MemberSuspendedV1 {
            member: event.member.clone(),
            by: event.by.clone(),
            until: event.until,
            reason: event.reason.clone(),
            text: Text::from(event.text.as_str()),
        })
    }
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::ids::DecisionId;

    #[test]
    fn says_of_an_old_suspension_that_nobody_can_appeal_it_and_is_written_where_that_is_so() {
        let old = MemberSuspendedV1 {
            member: MemberId::new("bob").unwrap(),
            by: MemberId::new("mia").unwrap(),
            until: None,
            reason: ReasonCode::new("spam").unwrap(),
            text: Text::from("Spam."),
        };
        let event = MemberSuspended::from(old.clone());
        assert_eq!((event.decision, event.appealable_until), (None, None));
        assert_eq!(MemberSuspendedV1::of(&event), Some(old));
        let decision = Some(DecisionId(uuid::Uuid::nil()));
        let appealable_until = Some(Timestamp(1));
        let facts = Text::from("Ten letters.");
        for more in [
            MemberSuspended {
                decision,
                ..event.clone()
            },
            MemberSuspended {
                appealable_until,
                ..event.clone()
            },
            MemberSuspended {
                facts,
                ..event.clone()
            },
        ] {
            assert_eq!(MemberSuspendedV1::of(&more), None);
        }
    }
}

//! Payloads of versions that are written no more, each with its upcaster: what an old event says, said as of today.
//!
//! They are as they were stored and never change; the golden events of each are read for ever. What an old event did not
//! record is filled in with what was so for every event of its version, never with a rule of today. A log whose level has
//! not been raised goes on being written in them: `of` gives the old form, and none where that would lose something.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::{Category, ReportJoined};
use crate::ids::{MemberId, ReportId};

mod refused;
mod suspended;
pub(crate) use refused::CommandRefusedV1;
pub(crate) use suspended::MemberSuspendedV1;

/// `report-joined.v1`: a report belongs to the case; the first, too. It lacks what the case's priority followed from
/// then: the severity, which was the category's as fixed at the time, and the upheld cases, of which there were none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReportJoinedV1 {
    /// The report.
    report_id: ReportId,
    /// Version of the `messages-reported` event in the conversation's stream.
    conversation_version: u64,
    /// Who reported.
    reporter: MemberId,
    /// The member reported.
    reported: MemberId,
    /// What for.
    category: Category,
    /// How many messages it newly names.
    messages: u32,
    /// Made beyond the reporter's daily limit.
    over_limit: bool,
    /// Different members who reported this member within 90 days, this one among them, when it joined. Reports over
    /// their reporters' daily limit do not count.
    reporters: u32,
}

impl From<ReportJoinedV1> for ReportJoined {
    fn from(old: ReportJoinedV1) -> Self {
        ReportJoined {
            report_id: old.report_id,
            conversation_version: old.conversation_version,
            reporter: old.reporter,
            reported: old.reported,
            severity: severity_v1(old.category),
            category: old.category,
            messages: old.messages,
            over_limit: old.over_limit,
            reporters: old.reporters,
            upheld: UPHELD_V1,
        }
    }
}

impl ReportJoinedV1 {
    /// The old form of an event, where it says the same.
    pub(crate) fn of(event: &ReportJoined) -> Option<Self> {
        let says_all = event.severity == severity_v1(event.category) && event.upheld == UPHELD_V1;
        says_all.then(|| ReportJoinedV1 {
            report_id: event.report_id,
            conversation_version: event.conversation_version,
            reporter: event.reporter.clone(),
            reported: event.reported.clone(),
            category: event.category,
            messages: event.messages,
            over_limit: event.over_limit,
            reporters: event.reporters,
        })
    }
}

/// No case could be decided while this version was written.
const UPHELD_V1: u32 = 0;

/// What [`Category::severity`] was for every event of this version. It stays as it is when that changes.
const fn severity_v1(category: Category) -> u8 {
    match category {
        Category::MinorSafety | Category::SelfHarm => 5,
        Category::Violence => 4,
        Category::Hate | Category::Harassment | Category::SexualContent => 3,
        Category::Scam | Category::Impersonation | Category::IllegalGoods => 2,
        Category::Spam | Category::Other => 1,
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    /// These numbers are what old logs mean: none may ever change.
    #[test]
    fn reads_the_severity_that_every_old_event_had() {
        let then = [1, 2, 3, 3, 3, 5, 4, 5, 2, 2, 1];
        assert_eq!(Category::ALL.map(severity_v1), then);
    }

    fn joined(severity: u8, upheld: u32) -> ReportJoined {
        ReportJoined {
            report_id: ReportId(uuid::Uuid::nil()),
            conversation_version: 4,
            reporter: MemberId::new("ann").unwrap(),
            reported: MemberId::new("bob").unwrap(),
            category: Category::Hate,
            severity,
            messages: 2,
            over_limit: true,
            reporters: 7,
            upheld,
        }
    }

    #[test]
    fn writes_the_old_form_only_where_it_says_the_same() {
        let event = joined(3, 0);
        let old = ReportJoinedV1::of(&event).unwrap();
        assert_eq!(ReportJoined::from(old), event);
        for more in [joined(4, 0), joined(3, 1)] {
            assert_eq!(ReportJoinedV1::of(&more), None);
        }
    }
}

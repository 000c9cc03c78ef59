//! What moderators are shown of a member beside a case: reports they made and received, cases, and their standing.

use projections::MemberHistory;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// What moderators know of a member.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    member: String,
    #[schema(format = DateTime)]
    registered_at: Option<String>,
    /// Reports they made.
    reports_made: u64,
    /// Of those the ones that were decided.
    reports_decided: u64,
    /// Of those the ones that were upheld.
    reports_upheld: u64,
    /// How many of their reports a day count by a moderator; null where all do that the policy lets count.
    report_limit: Option<ShownLimit>,
    /// Different members whom they reported within 90 days, as of their last report.
    members_reported: u32,
    /// Reports about them.
    reports_received: u64,
    /// Different members who reported them within 90 days, as of the last report about them.
    reporters: u32,
    cases: u64,
    cases_upheld: u64,
    suspensions: u64,
    suspended: bool,
}

/// How many of a member's reports count.
#[derive(Debug, Serialize, ToSchema)]
struct ShownLimit {
    per_day: u32,
    #[schema(format = DateTime)]
    until: String,
}

impl From<MemberHistory> for History {
    fn from(history: MemberHistory) -> Self {
        History {
            member: history.member.to_string(),
            registered_at: history.registered_at.map(|at| time::format(at.as_millis())),
            reports_made: history.reports_made,
            reports_decided: history.reports_decided,
            reports_upheld: history.reports_upheld,
            report_limit: history.report_limit.map(|(per_day, until)| ShownLimit {
                per_day,
                until: time::format(until.as_millis()),
            }),
            members_reported: history.members_reported,
            reports_received: history.reports_received,
            reporters: history.reporters,
            cases: history.cases,
            cases_upheld: history.cases_upheld,
            suspensions: history.suspensions,
            suspended: history.suspended,
        }
    }
}

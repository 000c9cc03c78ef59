//! What moderators know of a member: registration and standing, reports made and received, cases and how they ended.
//!
//! Key: the member. Reports and cases are counted where they are applied; here is the row, what the member's own events make
//! of it, and how it is read.

use domain::ids::MemberId;
use domain::member::{self, Restriction};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use tables::{ApplyError, Reader, Tx};

use super::MEMBERS;
use crate::case::MemberHistory;
use crate::rows::{fetch, load, store};

/// What moderators know of a member, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberRow {
    pub(super) registered_at: Option<i64>,
    pub(super) reports_made: u64,
    /// Of those the ones that were decided, and upheld.
    pub(super) reports_decided: u64,
    pub(super) reports_upheld: u64,
    pub(super) reports_received: u64,
    pub(super) cases: u64,
    pub(super) cases_upheld: u32,
    pub(super) suspensions: u64,
    pub(super) suspended: bool,
    /// Different members who reported this one within 90 days, and whom this one reported.
    pub(super) reporters: u32,
    pub(super) reported: u32,
    /// How many of their reports a day count by a moderator, and until when.
    pub(super) report_limit: Option<(u32, i64)>,
}

/// What moderators know of a member beside reports and cases.
pub(super) fn apply(tx: &mut Tx<'_>, event: &member::Event<'_>) -> Result<(), ApplyError> {
    let key = event.member().as_str().as_bytes();
    let before: MemberRow = load(tx, MEMBERS, key)?.unwrap_or_default();
    let after = match event {
        member::Event::MemberRegistered(registered) => MemberRow {
            registered_at: Some(registered.registered_at.0),
            ..before
        },
        member::Event::MemberSuspended(_) => MemberRow {
            suspensions: before.suspensions + 1,
            suspended: true,
            ..before
        },
        member::Event::MemberReinstated(_) | member::Event::SuspensionEnded(_) => MemberRow {
            suspended: false,
            ..before
        },
        member::Event::MemberRestricted(restricted) => match restricted.restriction {
            Restriction::Suspension => MemberRow {
                suspensions: before.suspensions + 1,
                suspended: true,
                ..before
            },
            Restriction::Limit => return Ok(()),
        },
        member::Event::RestrictionEnded(ended) => MemberRow {
            suspended: ended.suspended,
            ..before
        },
        member::Event::RestrictionLifted(lifted) => match lifted.restriction {
            Restriction::Suspension => MemberRow {
                suspended: lifted.suspended,
                ..before
            },
            Restriction::Limit => return Ok(()),
        },
        member::Event::ReportLimitSet(set) => MemberRow {
            report_limit: Some((set.per_day, set.until.0)),
            ..before
        },
        member::Event::ReportLimitLifted(_) | member::Event::ReportLimitEnded(_) => MemberRow {
            report_limit: None,
            ..before
        },
        member::Event::AgeBandChanged(_)
        | member::Event::DmSettingChanged(_)
        | member::Event::RequestSlotTaken(_)
        | member::Event::RequestSlotReturned(_)
        | member::Event::ReportCounted(_) => return Ok(()),
    };
    store(tx, MEMBERS, key, &after)
}

/// What moderators know of a member.
pub(crate) fn history(reader: &Reader, member: &MemberId) -> anyhow::Result<MemberHistory> {
    let row: MemberRow = fetch(reader, MEMBERS, member.as_str().as_bytes())?.unwrap_or_default();
    Ok(MemberHistory {
        member: member.clone(),
        registered_at: row.registered_at.map(Timestamp),
        reports_made: row.reports_made,
        reports_received: row.reports_received,
        reports_decided: row.reports_decided,
        reports_upheld: row.reports_upheld,
        members_reported: row.reported,
        reporters: row.reporters,
        report_limit: row
            .report_limit
            .map(|(per_day, until)| (per_day, Timestamp(until))),
        cases: row.cases,
        cases_upheld: u64::from(row.cases_upheld),
        suspensions: row.suspensions,
        suspended: row.suspended,
    })
}

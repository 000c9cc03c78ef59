//! `moderation_log`: what did a moderator do, and what was done on a case?
//!
//! A row for each act, under its moderator and, where it is one on a case, under the case, with what others did there:
//! reports that joined, appeals, claims that lapsed. Key: the moderator or the case, then the position, falling. Texts and
//! reasons stay in the log, where the case shows them. Bound: two rows per event of a case, one per suspension by hand
//! and its end.

use anyhow::Context as _;
use domain::case::{self, Action, AppealOutcome};
use domain::event::Event;
use domain::ids::{CaseId, MemberId};
use domain::member;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Tx, View};

use crate::codec::DomainCodec;
use crate::rows::{decode, store};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Page, PageRequest, QueryError, ViewName};

const BY_MODERATOR: &str = "by_moderator";
const BY_CASE: &str = "by_case";

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogItem {
    /// What.
    pub what: Done,
    /// By whom: a moderator, or whoever reported or appealed.
    pub by: MemberId,
    /// On which case; none where it was done to a member by hand.
    pub case_id: Option<CaseId>,
    /// The member whose case it is, or to whom it was done.
    pub member: MemberId,
    /// When.
    pub at: Timestamp,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// A report joined the case.
    Reported,
    /// The case was shown.
    Looked,
    /// It was claimed, or for longer.
    Claimed,
    /// It was let go.
    Released,
    /// Its claim lapsed.
    Lapsed,
    /// A note was written.
    Noted,
    /// It was left to another moderator.
    Escalated,
    /// It was decided.
    Decided(Action),
    /// The decision was appealed.
    Appealed,
    /// The appeal was answered.
    Answered(AppealOutcome),
    /// A decision was taken back.
    Reversed,
    /// A decided case was opened again.
    Reopened,
    /// Fewer of a member's reports count for a time.
    ReportsLimited,
    /// All of them count again.
    ReportsUnlimited,
    /// A member was suspended by hand.
    Suspended,
    /// Such a suspension was ended by hand.
    Reinstated,
}

impl Done {
    /// Whether a moderator did it; what others do is told on the case alone.
    const fn by_moderator(self) -> bool {
        match self {
            Done::Reported | Done::Appealed | Done::Lapsed => false,
            Done::Looked
            | Done::Claimed
            | Done::Released
            | Done::Noted
            | Done::Escalated
            | Done::Decided(_)
            | Done::Answered(_)
            | Done::Reversed
            | Done::Reopened
            | Done::ReportsLimited
            | Done::ReportsUnlimited
            | Done::Suspended
            | Done::Reinstated => true,
        }
    }
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModerationLog;

impl View<DomainCodec> for ModerationLog {
    fn name(&self) -> &'static str {
        ViewName::ModerationLog.as_str()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[BY_MODERATOR, BY_CASE]
    }

    fn wants(&self, event_type: &str) -> bool {
        let topics = [Topic::Member, Topic::Report, Topic::Case, Topic::Look];
        Topic::of(event_type).is_one_of(&topics)
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        match decoded {
            Event::Case(event) => match of_case(event) {
                Some(act) => note(tx, recorded, act, Some(case_of(recorded)?)),
                None => Ok(()),
            },
            Event::Member(event) => match of_member(event) {
                Some(act) => note(tx, recorded, act, None),
                None => Ok(()),
            },
            Event::Conversation(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Act(_)
            | Event::Refused(_) => Ok(()),
        }
    }
}

/// What was done, by whom, and about whom.
type Act<'e> = (Done, &'e MemberId, &'e MemberId);

fn of_case<'e>(event: &'e case::Event<'_>) -> Option<Act<'e>> {
    use case::Event;
    Some(match event {
        Event::ReportJoined(it) => (Done::Reported, &it.reporter, &it.reported),
        Event::ContentDisclosed(it) => (Done::Looked, &it.by, &it.reported),
        Event::CaseClaimed(it) => (Done::Claimed, &it.by, &it.reported),
        Event::CaseReleased(it) => (Done::Released, &it.by, &it.reported),
        Event::ClaimLapsed(it) => (Done::Lapsed, &it.by, &it.reported),
        Event::CaseNoted(it) => (Done::Noted, &it.by, &it.reported),
        Event::CaseEscalated(it) => (Done::Escalated, &it.by, &it.reported),
        Event::CaseDecided(it) => (Done::Decided(it.action), &it.by, &it.reported),
        Event::DecisionAppealed(it) => (Done::Appealed, &it.reported, &it.reported),
        Event::AppealDecided(it) => (Done::Answered(it.outcome), &it.by, &it.reported),
        Event::DecisionReversed(it) => (Done::Reversed, &it.by, &it.reported),
        Event::CaseReopened(it) => (Done::Reopened, &it.by, &it.reported),
        // A suspension by hand is told where it is made.
        Event::CaseOpened(_) | Event::SuspensionFiled(_) | Event::CaseClosed(_) => return None,
    })
}

fn of_member<'e>(event: &'e member::Event<'_>) -> Option<Act<'e>> {
    use member::Event;
    match event {
        Event::MemberSuspended(it) => Some((Done::Suspended, &it.by, &it.member)),
        Event::MemberReinstated(it) => Some((Done::Reinstated, &it.by, &it.member)),
        Event::ReportLimitSet(it) => Some((Done::ReportsLimited, &it.by, &it.member)),
        Event::ReportLimitLifted(it) => Some((Done::ReportsUnlimited, &it.by, &it.member)),
        Event::MemberRegistered(_)
        | Event::AgeBandChanged(_)
        | Event::DmSettingChanged(_)
        | Event::SuspensionEnded(_)
        // A decision, and what takes it back, are told where they are made.
        | Event::MemberRestricted(_)
        | Event::RestrictionLifted(_)
        | Event::SuspensionLifted(_)
        | Event::RestrictionEnded(_)
        | Event::RequestSlotTaken(_)
        | Event::RequestSlotReturned(_)
        | Event::ReportLimitEnded(_)
        | Event::ReportCounted(_) => None,
    }
}

fn note(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    (what, by, member): Act<'_>,
    case_id: Option<CaseId>,
) -> Result<(), ApplyError> {
    let row = LogItem {
        what,
        by: by.clone(),
        case_id,
        member: member.clone(),
        at: Timestamp(recorded.at_ms()),
    };
    let position = recorded.position().0;
    if what.by_moderator() {
        let key = Key::new().text(by.as_str()).u64_desc(position);
        store(tx, BY_MODERATOR, &key, &row)?;
    }
    if let Some(case) = case_id {
        let key = Key::new().fixed(case.0.as_bytes()).u64_desc(position);
        store(tx, BY_CASE, &key, &row)?;
    }
    Ok(())
}

/// The case whose stream this is.
fn case_of(recorded: &RecordedEvent) -> Result<CaseId, ApplyError> {
    let id = recorded.stream().strip_prefix("case-");
    id.and_then(|id| id.parse().ok())
        .context("an event of a case stands on another stream")
        .map_err(ApplyError::event)
}

/// What a moderator did, the latest first.
pub(crate) fn of_moderator(
    reads: &dyn Views,
    moderator: &MemberId,
    page: &PageRequest,
) -> Result<Page<LogItem>, QueryError> {
    listed(
        reads,
        BY_MODERATOR,
        &Key::new().text(moderator.as_str()),
        page,
    )
}

/// What was done on a case, the latest first.
pub(crate) fn on_case(
    reads: &dyn Views,
    case: CaseId,
    page: &PageRequest,
) -> Result<Page<LogItem>, QueryError> {
    listed(reads, BY_CASE, &Key::new().fixed(case.0.as_bytes()), page)
}

fn listed(
    reads: &dyn Views,
    table: &'static str,
    of: &Key,
    page: &PageRequest,
) -> Result<Page<LogItem>, QueryError> {
    const VIEW: ViewName = ViewName::ModerationLog;
    Page::below(&reads.reader(VIEW)?, table, of, page, VIEW, |bytes| {
        decode::<LogItem>(table, bytes)
    })
}

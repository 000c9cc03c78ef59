//! `moderation_log`: what did a moderator do, and what was done on a case?
//!
//! A row for each act, under its moderator and, where it is one on a case, under the case, with what others did there:
//! reports that joined, appeals, claims that lapsed. Key: the moderator or the case, then the position, falling. A decision
//! on many cases is one row of its moderator's, whatever came of it, and its single decisions are told on their cases alone;
//! how far it has come is kept by the act and read with the row. Texts and reasons stay in the log, where the case shows
//! them. Bound: two rows per event of a case, one per suspension by hand and its end, two per act on many cases and one
//! per reversal of one.

use anyhow::Context as _;
use domain::act::{self, Step, stream_of_act};
use domain::case::{self, Action, AppealOutcome};
use domain::event::Event;
use domain::ids::{ActId, CaseId, MemberId};
use domain::member;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Tx, View, WaitKey};

use crate::codec::DomainCodec;
use crate::rows::{decode, fetch, load, store};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Page, PageRequest, QueryError, ViewName};

const VIEW: ViewName = ViewName::ModerationLog;
const BY_MODERATOR: &str = "by_moderator";
const BY_CASE: &str = "by_case";
/// How far each act on many cases has come.
const ACTS: &str = "acts";

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogItem {
    /// What.
    pub what: Done,
    /// By whom: a moderator, or whoever reported or appealed.
    pub by: MemberId,
    /// On which case; none where it was done to a member by hand, or on many cases at once.
    pub case_id: Option<CaseId>,
    /// The act on many cases that it is, or is part of.
    pub act_id: Option<ActId>,
    /// The member whose case it is, or to whom it was done.
    pub member: MemberId,
    /// When.
    pub at: Timestamp,
}

/// What a moderator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// What was done.
    pub item: LogItem,
    /// How far it has come, where it was done on many cases at once.
    pub progress: Option<ActProgress>,
}

/// How far a step of an act on many cases has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActProgress {
    /// On how many cases it was asked for.
    pub cases: u64,
    /// On how many it is done.
    pub done: u64,
    /// How many were passed over; told once all were gone through.
    pub passed_over: u64,
    /// Whether all were gone through.
    pub finished: bool,
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
    /// Many cases of a member were decided at once.
    DecidedMany(Action),
    /// A decision was taken back.
    Reversed,
    /// An act on many cases was taken back.
    ReversedMany,
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
            | Done::DecidedMany(_)
            | Done::Answered(_)
            | Done::Reversed
            | Done::ReversedMany
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
        VIEW.as_str()
    }

    fn version(&self) -> u32 {
        3
    }

    fn tables(&self) -> &'static [&'static str] {
        &[BY_MODERATOR, BY_CASE, ACTS]
    }

    fn wants(&self, event_type: &str) -> bool {
        let topics = [Topic::Member, Topic::Report, Topic::Case, Topic::Look];
        Topic::of(event_type).is_one_of(&topics)
    }

    /// What decides a case, or takes that back, may be part of an act.
    fn keys(&self, event: &RecordedEvent, decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        let mut keys = vec![WaitKey::Writes(event.stream().to_owned())];
        let act = match decoded {
            Some(Event::Case(event)) => part_of(event).map(|(act, _)| act),
            Some(_) | None => None,
        };
        keys.extend(act.map(|act| WaitKey::Writes(stream_of_act(act))));
        keys
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        match decoded {
            Event::Case(event) => of_case(tx, recorded, event),
            Event::Member(event) => match of_member(event) {
                Some((what, by, member)) => note(tx, recorded, &item(recorded, what, by, member)),
                None => Ok(()),
            },
            Event::Act(event) => of_act(tx, recorded, event),
            Event::Conversation(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => Ok(()),
        }
    }
}

/// What was done, by whom, and about whom.
type Act<'e> = (Done, &'e MemberId, &'e MemberId);

/// The row of what an event tells, on no case yet.
fn item(recorded: &RecordedEvent, what: Done, by: &MemberId, member: &MemberId) -> LogItem {
    LogItem {
        what,
        by: by.clone(),
        case_id: None,
        act_id: None,
        member: member.clone(),
        at: Timestamp(recorded.at_ms()),
    }
}

/// The act that an event of a case is part of, and which step of it.
fn part_of(event: &case::Event<'_>) -> Option<(ActId, Step)> {
    use case::Event;
    match event {
        Event::CaseDecided(it) => it.act.map(|act| (act, Step::Decision)),
        Event::DecisionReversed(it) => it.act.map(|act| (act, Step::Reversal)),
        Event::CaseOpened(_)
        | Event::SuspensionFiled(_)
        | Event::ReportJoined(_)
        | Event::ContentDisclosed(_)
        | Event::CaseClaimed(_)
        | Event::CaseReleased(_)
        | Event::ClaimLapsed(_)
        | Event::CaseNoted(_)
        | Event::CaseEscalated(_)
        | Event::CaseClosed(_)
        | Event::DecisionAppealed(_)
        | Event::AppealDecided(_)
        | Event::CaseReopened(_) => None,
    }
}

fn of_case(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &case::Event<'_>,
) -> Result<(), ApplyError> {
    use case::Event;
    let (what, by, member): Act<'_> = match event {
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
        Event::CaseOpened(_) | Event::SuspensionFiled(_) | Event::CaseClosed(_) => return Ok(()),
    };
    // What a person takes back of an act by itself is theirs, and no part of it.
    let part = part_of(event).filter(|_| recorded.actor().contains('/'));
    let mut row = item(recorded, what, by, member);
    row.case_id = Some(case_of(recorded)?);
    row.act_id = part.map(|(act, _)| act);
    note(tx, recorded, &row)?;
    match part {
        Some((act, step)) => progressed(tx, act, step, |progress| progress.done += 1),
        None => Ok(()),
    }
}

fn of_act(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &act::Event<'_>,
) -> Result<(), ApplyError> {
    use act::Event;
    match event {
        Event::CasesDecided(it) => {
            let what = Done::DecidedMany(it.action);
            let mut row = item(recorded, what, &it.by, &it.member);
            row.act_id = Some(it.act);
            let acted = Acted {
                decision: begun(number(it.cases.len())),
                reversal: None,
            };
            store(tx, ACTS, it.act.0.as_bytes(), &acted)?;
            note(tx, recorded, &row)
        }
        Event::CasesReversed(it) => {
            let mut row = item(recorded, Done::ReversedMany, &it.by, &it.member);
            row.act_id = Some(it.act);
            if let Some(mut acted) = load::<Acted>(tx, ACTS, it.act.0.as_bytes())? {
                // What the act had passed over, it takes back no more than it decided it.
                let decided = acted
                    .decision
                    .cases
                    .saturating_sub(acted.decision.passed_over);
                acted.reversal = Some(begun(decided));
                store(tx, ACTS, it.act.0.as_bytes(), &acted)?;
            }
            note(tx, recorded, &row)
        }
        Event::ActCarriedOut(it) => progressed(tx, it.act, it.step, |progress| {
            // One that was taken back by itself before is no doing of this step.
            progress.done = u64::from(it.done);
            progress.passed_over = number(it.passed_over.len());
            progress.finished = true;
        }),
        Event::ContentDisclosed(_) | Event::EventSkipped(_) => Ok(()),
    }
}

fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
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
        | Event::RestrictionEnded(_)
        | Event::RequestSlotTaken(_)
        | Event::RequestSlotReturned(_)
        | Event::ReportLimitEnded(_)
        | Event::ReportCounted(_) => None,
    }
}

/// How far an act has come, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Acted {
    decision: ActProgress,
    reversal: Option<ActProgress>,
}

/// A step that was asked for, on so many cases.
fn begun(cases: u64) -> ActProgress {
    ActProgress {
        cases,
        done: 0,
        passed_over: 0,
        finished: false,
    }
}

/// A step of an act has come further. What is folded without the act's own events has none.
fn progressed(
    tx: &mut Tx<'_>,
    act: ActId,
    step: Step,
    further: impl FnOnce(&mut ActProgress),
) -> Result<(), ApplyError> {
    let Some(mut acted) = load::<Acted>(tx, ACTS, act.0.as_bytes())? else {
        return Ok(());
    };
    match (step, &mut acted.reversal) {
        (Step::Decision, _) => further(&mut acted.decision),
        (Step::Reversal, Some(reversal)) => further(reversal),
        (Step::Reversal, None) => return Ok(()),
    }
    store(tx, ACTS, act.0.as_bytes(), &acted)
}

/// Puts a row under its moderator and under its case. What is part of an act is told of the moderator by the act's own.
fn note(tx: &mut Tx<'_>, recorded: &RecordedEvent, row: &LogItem) -> Result<(), ApplyError> {
    let position = recorded.position().0;
    let is_part = row.act_id.is_some() && row.case_id.is_some();
    if row.what.by_moderator() && !is_part {
        let key = Key::new().text(row.by.as_str()).u64_desc(position);
        store(tx, BY_MODERATOR, &key, row)?;
    }
    if let Some(case) = row.case_id {
        let key = Key::new().fixed(case.0.as_bytes()).u64_desc(position);
        store(tx, BY_CASE, &key, row)?;
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
) -> Result<Page<LogLine>, QueryError> {
    let of = Key::new().text(moderator.as_str());
    let reader = reads.reader(VIEW)?;
    Page::below(&reader, BY_MODERATOR, &of, page, VIEW, |bytes| {
        let item: LogItem = decode(BY_MODERATOR, bytes)?;
        let acted = match (item.act_id, item.case_id) {
            (Some(act), None) => fetch::<Acted>(&reader, ACTS, act.0.as_bytes())?,
            _ => None,
        };
        let progress = acted.and_then(|acted| {
            if item.what == Done::ReversedMany {
                acted.reversal
            } else {
                Some(acted.decision)
            }
        });
        Ok(LogLine { item, progress })
    })
}

/// What was done on a case, the latest first.
pub(crate) fn on_case(
    reads: &dyn Views,
    case: CaseId,
    page: &PageRequest,
) -> Result<Page<LogItem>, QueryError> {
    let of = Key::new().fixed(case.0.as_bytes());
    Page::below(&reads.reader(VIEW)?, BY_CASE, &of, page, VIEW, |bytes| {
        decode::<LogItem>(BY_CASE, bytes)
    })
}

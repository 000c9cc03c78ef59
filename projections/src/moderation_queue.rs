//! `moderation_queue`: which cases wait for a moderator, and what is their evidence?
//!
//! A case is made from the report itself, so that it is in the queue with the report's position; the case's own events
//! only tell what moderators do with it (`acts.rs`). Key of the queue: state (and once more under a number beside the states
//! while an appeal waits), then the rank by the domain's rule
//! (`PriorityInputs::rank`), then the position at which the case was opened; and the same within each member. The rule's inputs are kept with the case,
//! and while it waits worked out anew at reports of its member alone, as of their time: nothing else that happens to a case, and
//! no passing of time, moves it. What was decided stays where it was; where it waits again, its place is by the last report. Bound: a row per case, per report, note and decision (its place in the log, no text), twice per pair
//! of reporter and reported until a report 90 days later (`windows.rs`), per member, per act on many cases (`bulk.rs`), and
//! per count of the queue, all in all and of each member's own (`counts.rs`).

use domain::case::{Category, PriorityInputs};
use domain::conversation;
use domain::event::Event;
use domain::ids::{CaseId, ConversationId, DecisionId, MemberId};
use domain::member;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, Tx, View, WaitKey};

use crate::ViewName;
use crate::codec::{DomainCodec, conversation_of};
use crate::rows::{fetch, load, store};
use crate::topic::Topic;

const CASES: &str = "cases";
const REPORTS: &str = "reports";
const MEMBERS: &str = "members";
const NOTES: &str = "notes";
const DECISIONS: &str = "decisions";
const MADE: &str = "made";

/// The cases in one order, list by list: all of them, and each member's.
struct Lists {
    all: &'static str,
    of_member: &'static str,
}

/// By rank, the highest first.
const RANKS: Lists = Lists {
    all: "queue",
    of_member: "queue_of_member",
};

/// By when they were opened.
const AGES: Lists = Lists {
    all: "ages",
    of_member: "ages_of_member",
};

mod acts;
mod bulk;
mod counts;
mod members;
mod query;
mod windows;
pub(crate) use acts::{Placed, Ruled, decided, noted};
pub(crate) use bulk::query as act;
pub use bulk::{Act, ActStep};
pub use counts::QueueCounts;
pub(crate) use counts::query as counts;
use members::MemberRow;
pub(crate) use members::history;
pub(crate) use query::query;
pub use query::{QueueFilter, QueueSort};

/// What a case is going through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CaseState {
    /// Nobody holds it.
    Open,
    /// A moderator holds it.
    Claimed,
    /// It was decided; an appeal may come.
    Decided,
    /// It is over.
    Closed,
}

impl CaseState {
    /// All states, in the order a case goes through them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Claimed, Self::Decided, Self::Closed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Decided => "decided",
            Self::Closed => "closed",
        }
    }

    /// The state of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    const fn number(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Claimed => 1,
            Self::Decided => 2,
            Self::Closed => 3,
        }
    }
}

/// The list of the cases with an appeal that waits, beside those of the states.
const APPEALED: u8 = 4;

/// The lists of the cases that wait.
const WAITING: [u8; 3] = [
    CaseState::Open.number(),
    CaseState::Claimed.number(),
    APPEALED,
];

/// A case in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueItem {
    /// The case.
    pub case_id: CaseId,
    /// The conversation it is about; none of a suspension by hand.
    pub conversation_id: Option<ConversationId>,
    /// The reported member.
    pub member: MemberId,
    /// Where it stands.
    pub state: CaseState,
    /// What its place in the queue follows from; [`PriorityInputs::rank`] is the place.
    pub priority: PriorityInputs,
    /// The categories of its reports, worst first.
    pub categories: Vec<Category>,
    /// How many reports it has.
    pub reports: u64,
    /// How many different members reported this member within 90 days, in any conversation.
    pub reporters: u32,
    /// When the first report came.
    pub opened_at: Timestamp,
    /// Who holds it.
    pub claimed_by: Option<MemberId>,
    /// When that claim lapses unless its holder acts before.
    pub claimed_until: Option<Timestamp>,
    /// Who left it to another moderator.
    pub escalated_by: Option<MemberId>,
    /// How often what is to be decided changed: by a report, a decision, that it was opened again, or that it was left to
    /// another. Equal to that of the case itself once its reports have joined it.
    pub revision: u64,
    /// When the member made the appeal that has waited longest; none where none waits.
    pub appealed_at: Option<Timestamp>,
}

/// A case as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CaseRow {
    conversation: ConversationId,
    member: MemberId,
    /// The other member of the conversation.
    reporter: MemberId,
    state: CaseState,
    /// A bit per category.
    categories: u16,
    reports: u64,
    /// The inputs of its priority, as of the last report.
    severity: u8,
    reporters: u32,
    upheld: u32,
    over_limit: bool,
    opened_at: i64,
    opened_position: u64,
    claimed_by: Option<MemberId>,
    claimed_until: Option<i64>,
    escalated_by: Option<MemberId>,
    /// Whether it was ever upheld.
    was_upheld: bool,
    revision: u64,
    /// Reports that joined it and are yet to be decided.
    pending: u64,
    /// How many decisions that stand upheld its reports.
    upheld_by: u32,
    /// The decisions with an appeal that waits, and since when, in the order of the appeals.
    appeals: Vec<(DecisionId, i64)>,
}

impl CaseRow {
    /// One that begins with an event: the reported member and the reporter, and nothing of them yet.
    fn opened(
        recorded: &RecordedEvent,
        conversation: ConversationId,
        (member, reporter): (MemberId, MemberId),
    ) -> Self {
        Self {
            conversation,
            member,
            reporter,
            state: CaseState::Open,
            categories: 0,
            reports: 0,
            severity: 0,
            reporters: 0,
            upheld: 0,
            over_limit: false,
            opened_at: recorded.at_ms(),
            opened_position: recorded.position().0,
            claimed_by: None,
            claimed_until: None,
            escalated_by: None,
            was_upheld: false,
            revision: 0,
            pending: 0,
            upheld_by: 0,
            appeals: Vec::new(),
        }
    }

    fn is_decided(&self) -> bool {
        matches!(self.state, CaseState::Decided | CaseState::Closed)
    }

    /// Whether a member is one of the two of its conversation.
    fn is_of(&self, member: &MemberId) -> bool {
        [&self.member, &self.reporter].contains(&member)
    }

    /// Whether something about it is to be decided: then reports of its member move it.
    fn waits(&self) -> bool {
        !self.is_decided() || !self.appeals.is_empty()
    }

    fn priority(&self) -> PriorityInputs {
        PriorityInputs {
            severity: self.severity,
            reporters: self.reporters,
            upheld: self.upheld,
            over_limit: self.over_limit,
        }
    }

    /// The lists that it is in: that of its state, and while an appeal waits that of the appealed.
    fn lists(&self) -> impl Iterator<Item = u8> + use<> {
        let appealed = (!self.appeals.is_empty()).then_some(APPEALED);
        std::iter::once(self.state.number()).chain(appealed)
    }

    /// Where it stands in a list of each order: the order's tables, and its key there.
    fn places(&self, list: u8) -> [(&'static Lists, Key); 2] {
        let begin = Key::new().u8(list);
        let ranked = begin.clone().u64_desc(self.priority().rank());
        [
            (&RANKS, ranked.u64(self.opened_position)),
            (&AGES, begin.u64(self.opened_position)),
        ]
    }

    /// The case as the queue shows it. The reporters shown are all there are, counted with the member.
    fn into_item(self, reader: &Reader, case_id: CaseId) -> anyhow::Result<QueueItem> {
        let member: Option<MemberRow> = fetch(reader, MEMBERS, self.member.as_str().as_bytes())?;
        let mut categories: Vec<Category> = categories_of(self.categories).collect();
        categories.sort_by_key(|category| (std::cmp::Reverse(category.severity()), *category));
        Ok(QueueItem {
            case_id,
            conversation_id: (self.reporter != self.member).then_some(self.conversation),
            priority: self.priority(),
            member: self.member,
            state: self.state,
            categories,
            reports: self.reports,
            reporters: member.map_or(self.reporters, |member| member.reporters),
            opened_at: Timestamp(self.opened_at),
            claimed_by: self.claimed_by,
            claimed_until: self.claimed_until.map(Timestamp),
            escalated_by: self.escalated_by,
            revision: self.revision,
            appealed_at: self.appeals.first().map(|(_, at)| Timestamp(*at)),
        })
    }
}

fn bit_of(category: Category) -> u16 {
    Category::ALL
        .iter()
        .position(|known| *known == category)
        .map_or(0, |index| 1 << index)
}

fn categories_of(bits: u16) -> impl Iterator<Item = Category> {
    Category::ALL
        .into_iter()
        .filter(move |category| bits & bit_of(*category) != 0)
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModerationQueue;

impl View<DomainCodec> for ModerationQueue {
    fn name(&self) -> &'static str {
        ViewName::ModerationQueue.as_str()
    }

    fn version(&self) -> u32 {
        5
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            CASES,
            RANKS.all,
            RANKS.of_member,
            AGES.all,
            AGES.of_member,
            REPORTS,
            MEMBERS,
            windows::REPORTERS.until,
            windows::REPORTERS.expiries,
            windows::REPORTED.until,
            windows::REPORTED.expiries,
            NOTES,
            DECISIONS,
            MADE,
            counts::COUNTS,
            bulk::ACTS,
        ]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[
            Topic::Message,
            Topic::Report,
            Topic::Member,
            Topic::Case,
        ])
    }

    /// A report ranks all cases of its member by those before it and counts for its reporter; what moderators do with a
    /// case needs its reports, and what decides it may be an act.
    fn keys(&self, event: &RecordedEvent, decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        let mut keys = vec![WaitKey::Writes(event.stream().to_owned())];
        match decoded {
            Some(Event::Conversation(conversation::Event::MessagesReported(reported))) => {
                keys.push(WaitKey::Writes(member::stream(&reported.reported)));
                keys.push(WaitKey::Writes(member::stream(&reported.reporter)));
                keys.extend(case_key(event, &reported.reported));
            }
            Some(Event::Case(domain::case::Event::CaseDecided(decided))) => {
                let members = [&decided.reported, &decided.reporter];
                keys.extend(members.map(|member| WaitKey::Writes(member::stream(member))));
                let act = decided.act.map(domain::act::stream_of_act);
                keys.extend(act.map(WaitKey::Writes));
            }
            Some(Event::Case(domain::case::Event::DecisionReversed(reversed))) => {
                let members = [&reversed.reported, &reversed.reporter];
                keys.extend(members.map(|member| WaitKey::Writes(member::stream(member))));
                let act = reversed.act.map(domain::act::stream_of_act);
                keys.extend(act.map(WaitKey::Writes));
            }
            Some(Event::Case(domain::case::Event::CaseReopened(reopened))) => {
                let members = [&reopened.reported, &reopened.reporter];
                keys.extend(members.map(|member| WaitKey::Writes(member::stream(member))));
            }
            // Where by it a decided case waits again, it is placed by the reports of its member.
            Some(Event::Case(domain::case::Event::ReportJoined(joined))) => {
                keys.push(WaitKey::Writes(member::stream(&joined.reported)));
            }
            Some(Event::Case(domain::case::Event::DecisionAppealed(appealed))) => {
                keys.push(WaitKey::Writes(member::stream(&appealed.reported)));
            }
            Some(_) => {}
            None => {
                for id in event.members() {
                    keys.push(WaitKey::Writes(format!("member-{id}")));
                    keys.extend(MemberId::new(id).ok().and_then(|id| case_key(event, &id)));
                }
            }
        }
        keys
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        match decoded {
            Event::Conversation(conversation::Event::MessagesReported(reported)) => {
                report(tx, recorded, reported)
            }
            Event::Member(event) => members::apply(tx, event),
            Event::Case(event) => acts::apply(tx, recorded, event),
            Event::Act(event) => bulk::apply(tx, recorded, event),
            Event::Conversation(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => Ok(()),
        }
    }
}

/// What waits for a report of this member in the event's conversation: their case there.
fn case_key(event: &RecordedEvent, reported: &MemberId) -> Option<WaitKey> {
    let case = CaseId::of(conversation_of(event).ok()?, reported);
    Some(WaitKey::Writes(domain::case::stream(case)))
}

fn report(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    reported: &conversation::MessagesReported<'_>,
) -> Result<(), ApplyError> {
    let conversation = conversation_of(recorded)?;
    let id = CaseId::of(conversation, &reported.reported);
    recount(tx, recorded.at_ms(), reported)?;

    let reporter_key = reported.reporter.as_str().as_bytes();
    let mut reporter: MemberRow = load(tx, MEMBERS, reporter_key)?.unwrap_or_default();
    reporter.reports_made += 1;
    reporter.reported = windows::REPORTED.count(
        tx,
        reported.reporter.as_str(),
        recorded.at_ms(),
        reporter.reported,
        Some(reported.reported.as_str()),
    )?;
    store(tx, MEMBERS, reporter_key, &reporter)?;

    let member_key = reported.reported.as_str().as_bytes();
    let mut member: MemberRow = load(tx, MEMBERS, member_key)?.unwrap_or_default();
    member.reports_received += 1;
    let before: Option<CaseRow> = load(tx, CASES, id.0.as_bytes())?;
    let mut case = before.clone().unwrap_or_else(|| {
        let members = (reported.reported.clone(), reported.reporter.clone());
        CaseRow::opened(recorded, conversation, members)
    });
    if before.is_none() {
        member.cases += 1;
    }
    acts::reopen(&mut case);
    case.reports += 1;
    case.revision += 1;
    case.categories |= bit_of(reported.category);
    let priority = PriorityInputs::at_report(
        before.as_ref().map(CaseRow::priority),
        before.as_ref().is_some_and(CaseRow::is_decided),
        reported.category.severity(),
        reported.over_limit,
        member.reporters,
        member.cases_upheld,
    );
    case.severity = priority.severity;
    case.reporters = priority.reporters;
    case.upheld = priority.upheld;
    case.over_limit = priority.over_limit;
    store(tx, MEMBERS, member_key, &member)?;
    place(tx, id, before.as_ref(), &case)?;
    let filed = Filed {
        version: recorded.version(),
    };
    store(
        tx,
        REPORTS,
        &Key::new().fixed(id.0.as_bytes()).u64(recorded.position().0),
        &filed,
    )
}

/// Puts a case where it belongs in the queue.
fn place(
    tx: &mut Tx<'_>,
    id: CaseId,
    before: Option<&CaseRow>,
    after: &CaseRow,
) -> Result<(), ApplyError> {
    store(tx, CASES, id.0.as_bytes(), after)?;
    counts::moved(tx, before, after)?;
    let member = Key::new().text(after.member.as_str());
    let places = |case: &CaseRow| -> Vec<_> {
        let lists = case.lists();
        lists.flat_map(|list| case.places(list)).collect()
    };
    let (left, taken) = (before.map_or_else(Vec::new, places), places(after));
    for (lists, key) in left {
        tx.delete(lists.all, &key)?;
        tx.delete(lists.of_member, &member.clone().fixed(&key))?;
    }
    for (lists, key) in taken {
        tx.put(lists.all, &key, id.0.as_bytes())?;
        tx.put(
            lists.of_member,
            &member.clone().fixed(&key),
            id.0.as_bytes(),
        )?;
    }
    Ok(())
}

/// Counts who reported a member within 90 days of this report, over all conversations, and puts the cases of that member
/// that wait where they belong by it; none where the count is beyond what a priority rises by. A report over its reporter's
/// daily limit does not count.
fn recount(
    tx: &mut Tx<'_>,
    at: i64,
    reported: &conversation::MessagesReported<'_>,
) -> Result<(), ApplyError> {
    let of_member = Key::new().text(reported.reported.as_str());
    let key = reported.reported.as_str().as_bytes();
    let mut member: MemberRow = load(tx, MEMBERS, key)?.unwrap_or_default();
    let before = member.reporters;
    let reporter = Some(reported.reporter.as_str()).filter(|_| !reported.over_limit);
    member.reporters =
        windows::REPORTERS.count(tx, reported.reported.as_str(), at, before, reporter)?;
    if member.reporters == before {
        return Ok(());
    }
    store(tx, MEMBERS, key, &member)?;
    let counted = counting(&member);
    if counted == before.min(PriorityInputs::REPORTERS_MAX) {
        return Ok(());
    }
    let mut ids = Vec::new();
    for list in WAITING {
        let list = Span::prefix(&of_member.clone().u8(list));
        for row in tx.scan(RANKS.of_member, &list, Order::Ascending)? {
            ids.extend(row?.1.first_chunk::<16>().copied());
        }
    }
    for id in ids {
        let Some(before) = load::<CaseRow>(tx, CASES, &id)? else {
            continue;
        };
        // Open or claimed with an appeal that waits, it is in two lists; a suspension by hand no report moves.
        if before.reporters == counted || before.reporter == before.member {
            continue;
        }
        let after = CaseRow {
            reporters: counted,
            ..before.clone()
        };
        let id = CaseId(uuid::Uuid::from_bytes(id));
        place(tx, id, Some(&before), &after)?;
    }
    Ok(())
}

/// The reporters of a member that count for the place of a case.
fn counting(member: &MemberRow) -> u32 {
    member.reporters.min(PriorityInputs::REPORTERS_MAX)
}

/// A report's place in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filed {
    /// The version of its event.
    pub(crate) version: u64,
}

/// The latest reports of a case, oldest first.
pub(crate) fn filed(reader: &Reader, case: CaseId, max: usize) -> anyhow::Result<Vec<Filed>> {
    let mut filed = Vec::new();
    for row in reader
        .scan(REPORTS, &Span::prefix(case.0.as_bytes()), Order::Descending)?
        .take(max)
    {
        let (_, value) = row?;
        filed.push(crate::rows::decode(REPORTS, &value)?);
    }
    filed.reverse();
    Ok(filed)
}

/// The member whom a case is about.
pub(crate) fn reported_in(reader: &Reader, case: CaseId) -> anyhow::Result<Option<MemberId>> {
    let row: Option<CaseRow> = fetch(reader, CASES, case.0.as_bytes())?;
    Ok(row.map(|row| row.member))
}

/// A case as the queue shows it, and the other member of its conversation; none of a suspension by hand.
pub(crate) fn summary(
    reader: &Reader,
    case: CaseId,
) -> anyhow::Result<Option<(QueueItem, Option<MemberId>)>> {
    let row: Option<CaseRow> = fetch(reader, CASES, case.0.as_bytes())?;
    let Some(row) = row else { return Ok(None) };
    let reporter = Some(row.reporter.clone()).filter(|it| *it != row.member);
    Ok(Some((row.into_item(reader, case)?, reporter)))
}

//! `decisions`: what was decided about a member, and what do they learn of it?
//!
//! Key: the member, then the position of the decision, falling; beside it the place of each by its id. A row is made by each
//! decision on a case that does something, and by each suspension by hand; who reported, where, and which moderator is not
//! in it. Texts are read from the log. What ended before its time, or by it, says when. Bound: a row per decision, one of a
//! few words per case with a report, and per suspension that is in force.

use domain::case::{self, Action, AppealOutcome, Category};
use domain::event::Event;
use domain::ids::{CaseId, DecisionId, MemberId, ReasonCode};
use domain::member::{self, Restriction};
use domain::time::Timestamp;
use event_store::{EventStore, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Span, Tx, View, WaitKey};

use crate::case::{appeal, event, reversal, suspension};
use crate::codec::DomainCodec;
use crate::rows::{decode, load, store};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Page, PageRequest, QueryError, ViewName};

const ROWS: &str = "rows";
const BY_ID: &str = "by_id";
/// The worst category reported, by case.
const CATEGORIES: &str = "categories";
/// The decisions of an act on many cases, by act and place: what it restricts was done once for all of them.
const OF_ACTS: &str = "of_acts";
/// Suspensions in force: by member and place.
const SUSPENDING: &str = "suspending";

/// A decision, as the member concerned sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnDecision {
    /// The decision.
    pub decision_id: DecisionId,
    /// What it does.
    pub action: Action,
    /// It was made by hand, with no report that asked for it.
    pub by_hand: bool,
    /// When.
    pub decided_at: Timestamp,
    /// Until when; none where it has no end.
    pub until: Option<Timestamp>,
    /// When what it restricts ended; none while it is in force, and where it restricts nothing.
    pub ended_at: Option<Timestamp>,
    /// What it was about: the worst category that was reported; none of a suspension by hand.
    pub category: Option<Category>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
    /// The facts relied on; none of a suspension by hand of before such were given.
    pub facts: Option<String>,
    /// How many messages it removes.
    pub messages: usize,
    /// From when on it can be appealed no more; none where there is no appeal.
    pub appealable_until: Option<Timestamp>,
    /// The member's appeal.
    pub appeal: Option<OwnAppeal>,
    /// That it was reversed.
    pub reversal: Option<OwnReversal>,
}

/// An appeal, as the member sees it who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAppeal {
    /// What they said.
    pub text: String,
    /// When.
    pub appealed_at: Timestamp,
    /// What became of it, what they are told, and when; none while it waits. A reversal answers it as well.
    pub answer: Option<(AppealOutcome, String, Timestamp)>,
}

/// That a decision was reversed, as the member concerned sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnReversal {
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
    /// When.
    pub reversed_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    decision: DecisionId,
    /// Where what became of it stands; none of a suspension by hand that nobody can appeal.
    case: Option<CaseId>,
    /// A suspension by hand: its event is the member's.
    by_hand: bool,
    /// The version of its event, in its case's stream or the member's.
    version: u64,
    category: Option<Category>,
    until: Option<i64>,
    ended_at: Option<i64>,
    /// Versions of the events of its case that say what became of it.
    appealed: Option<u64>,
    answered: Option<u64>,
    reversed: Option<u64>,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decisions;

impl View<DomainCodec> for Decisions {
    fn name(&self) -> &'static str {
        ViewName::Decisions.as_str()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, BY_ID, CATEGORIES, OF_ACTS, SUSPENDING]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[Topic::Member, Topic::Case])
    }

    /// What happens to a case and to its member meets in the member's rows.
    fn keys(&self, event: &RecordedEvent, _decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        let members = event.members();
        let members = members.map(|member| WaitKey::Writes(format!("of-{member}")));
        members
            .chain([WaitKey::Writes(event.stream().to_owned())])
            .collect()
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        match decoded {
            Event::Case(event) => of_case(tx, recorded, event),
            Event::Member(event) => of_member(tx, recorded, event),
            Event::Conversation(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Act(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => Ok(()),
        }
    }
}

fn of_case(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &case::Event<'_>,
) -> Result<(), ApplyError> {
    use case::Event as C;
    let version = recorded.version();
    let id = recorded.stream().strip_prefix("case-");
    let Some(case) = id.and_then(|id| id.parse::<CaseId>().ok()) else {
        return Ok(());
    };
    match event {
        C::ReportJoined(joined) => {
            let so_far: Option<Category> = load(tx, CATEGORIES, case.0.as_bytes())?;
            let worse = so_far.is_none_or(|it| it.severity() < joined.category.severity());
            if worse {
                store(tx, CATEGORIES, case.0.as_bytes(), &joined.category)?;
            }
            Ok(())
        }
        C::CaseDecided(decided) if decided.action.upholds() => {
            let row = Row {
                decision: decided.decision,
                case: Some(case),
                by_hand: false,
                version,
                category: load(tx, CATEGORIES, case.0.as_bytes())?,
                until: decided.until.map(|until| until.0),
                ended_at: None,
                appealed: None,
                answered: None,
                reversed: None,
            };
            let key = put(tx, recorded, &decided.reported, &row)?;
            match decided.act {
                Some(act) => Ok(tx.put(
                    OF_ACTS,
                    &Key::new().fixed(act.0.as_bytes()).fixed(&key),
                    &[],
                )?),
                None => Ok(()),
            }
        }
        C::DecisionAppealed(appealed) => change(tx, appealed.decision, |row| {
            row.appealed = Some(version);
        }),
        C::AppealDecided(appeal) => change(tx, appeal.decision, |row| {
            row.answered = Some(version);
        }),
        C::DecisionReversed(reversed) => change(tx, reversed.decision, |row| {
            row.reversed = Some(version);
        }),
        C::CaseDecided(_)
        | C::CaseOpened(_)
        // The member's own event says it.
        | C::SuspensionFiled(_)
        | C::ContentDisclosed(_)
        | C::CaseClaimed(_)
        | C::CaseReleased(_)
        | C::ClaimLapsed(_)
        | C::CaseNoted(_)
        | C::CaseEscalated(_)
        | C::CaseClosed(_)
        | C::CaseReopened(_) => Ok(()),
    }
}

fn of_member(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &member::Event<'_>,
) -> Result<(), ApplyError> {
    use member::Event as M;
    let at = recorded.at_ms();
    match event {
        M::MemberSuspended(suspended) => {
            if suspended.decision.is_none() {
                // It takes the place of the first.
                end_suspensions(tx, &suspended.member, at, true)?;
            }
            // An old one has no id of its own: its event's names it.
            let id = || DecisionId(recorded.event_id());
            let row = Row {
                decision: suspended.decision.unwrap_or_else(id),
                case: suspended.decision.map(CaseId::of_suspension),
                by_hand: true,
                version: recorded.version(),
                category: None,
                until: suspended.until.map(|until| until.0),
                ended_at: None,
                appealed: None,
                answered: None,
                reversed: None,
            };
            let key = put(tx, recorded, &suspended.member, &row)?;
            Ok(tx.put(SUSPENDING, &key, &[])?)
        }
        M::MemberReinstated(reinstated) => end_suspensions(tx, &reinstated.member, at, false),
        M::SuspensionEnded(ended) => end_suspensions(tx, &ended.member, at, true),
        M::MemberRestricted(restricted) => match restricted.restriction {
            Restriction::Limit => Ok(()),
            Restriction::Suspension => {
                for key in rows_of(tx, restricted.decision)? {
                    tx.put(SUSPENDING, &key, &[])?;
                }
                Ok(())
            }
        },
        M::RestrictionEnded(ended) => {
            restriction_over(tx, ended.decision, at)?;
            let over = ended.restriction == Restriction::Suspension && !ended.suspended;
            if over {
                end_suspensions(tx, &ended.member, at, true)
            } else {
                Ok(())
            }
        }
        M::RestrictionLifted(lifted) => {
            restriction_over(tx, lifted.decision, at)?;
            let over = lifted.restriction == Restriction::Suspension && !lifted.suspended;
            if over {
                end_suspensions(tx, &lifted.member, at, true)
            } else {
                Ok(())
            }
        }
        M::MemberRegistered(_)
        | M::AgeBandChanged(_)
        | M::DmSettingChanged(_)
        | M::RequestSlotTaken(_)
        | M::RequestSlotReturned(_)
        | M::ReportLimitSet(_)
        | M::ReportLimitLifted(_)
        | M::ReportLimitEnded(_)
        | M::ReportCounted(_) => Ok(()),
    }
}

/// Puts a decision into its member's list, and says where.
fn put(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    member: &MemberId,
    row: &Row,
) -> Result<Key, ApplyError> {
    let key = Key::new().text(member.as_str());
    let key = key.u64_desc(recorded.position().0);
    store(tx, ROWS, &key, row)?;
    tx.put(BY_ID, row.decision.0.as_bytes(), &key)?;
    Ok(key)
}

/// Changes the row of a decision; one that does nothing has none.
fn change(
    tx: &mut Tx<'_>,
    decision: DecisionId,
    change: impl FnOnce(&mut Row),
) -> Result<(), ApplyError> {
    let key = tx.get(BY_ID, decision.0.as_bytes())?;
    let Some(key) = key.map(|key| key.to_vec()) else {
        return Ok(());
    };
    change_at(tx, &key, change)
}

fn change_at(tx: &mut Tx<'_>, key: &[u8], change: impl FnOnce(&mut Row)) -> Result<(), ApplyError> {
    let Some(mut row) = load::<Row>(tx, ROWS, key)? else {
        return Ok(());
    };
    change(&mut row);
    store(tx, ROWS, key, &row)
}

/// What a decision restricts is over.
fn restriction_over(tx: &mut Tx<'_>, decision: DecisionId, at: i64) -> Result<(), ApplyError> {
    for key in rows_of(tx, decision)? {
        tx.delete(SUSPENDING, &key)?;
        change_at(tx, &key, |row| row.ended_at = Some(at))?;
    }
    Ok(())
}

/// The rows of what restricts a member under this id: of a decision its own, of an act those of all its decisions.
fn rows_of(tx: &mut Tx<'_>, decision: DecisionId) -> Result<Vec<Vec<u8>>, ApplyError> {
    let id = decision.0.as_bytes();
    if let Some(key) = tx.get(BY_ID, id)? {
        return Ok(vec![key.to_vec()]);
    }
    let mut keys = Vec::new();
    for row in tx.scan(OF_ACTS, &Span::prefix(id), Order::Ascending)? {
        let (key, _) = row?;
        keys.extend(key.split_at_checked(id.len()).map(|(_, key)| key.to_vec()));
    }
    Ok(keys)
}

/// Ends the suspensions of a member that are in force: all, or the one of before such by hand were decisions. One whose own end came before this event
/// ended then.
fn end_suspensions(
    tx: &mut Tx<'_>,
    member: &MemberId,
    at: i64,
    old_alone: bool,
) -> Result<(), ApplyError> {
    let mut suspending = Vec::new();
    let span = Span::prefix(&Key::new().text(member.as_str()));
    for row in tx.scan(SUSPENDING, &span, Order::Ascending)? {
        suspending.push(row?.0.to_vec());
    }
    for key in suspending {
        let Some(mut row) = load::<Row>(tx, ROWS, &key)? else {
            continue;
        };
        if old_alone && row.case.is_some() {
            continue;
        }
        row.ended_at = Some(row.until.map_or(at, |until| until.min(at)));
        store(tx, ROWS, &key, &row)?;
        tx.delete(SUSPENDING, &key)?;
    }
    Ok(())
}

/// A page of what was decided about a member, the latest first.
pub(crate) async fn query(
    reads: &dyn Views,
    member: &MemberId,
    page: &PageRequest,
) -> Result<Page<OwnDecision>, QueryError> {
    const VIEW: ViewName = ViewName::Decisions;
    let prefix = Key::new().text(member.as_str());
    let page = Page::below(&reads.reader(VIEW)?, ROWS, &prefix, page, VIEW, |bytes| {
        decode::<Row>(ROWS, bytes)
    })?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(row.into_decision(reads.log(), member).await?);
    }
    Ok(Page {
        items,
        next: page.next,
        position: page.position,
    })
}

impl Row {
    async fn into_decision(
        self,
        log: &dyn EventStore,
        member: &MemberId,
    ) -> anyhow::Result<OwnDecision> {
        match self.case {
            Some(case) if !self.by_hand => self.on_case(log, case).await,
            Some(_) | None => self.by_hand(log, member).await,
        }
    }

    /// The member's appeal, and that it was reversed, as the events of its case say.
    async fn became(
        &self,
        log: &dyn EventStore,
        case: CaseId,
    ) -> anyhow::Result<(Option<OwnAppeal>, Option<OwnReversal>)> {
        let reversal = match self.reversed {
            Some(version) => {
                let reversal = reversal(log, case, version).await?;
                Some(OwnReversal {
                    reason: reversal.reason,
                    text: reversal.text,
                    reversed_at: reversal.reversed_at,
                })
            }
            None => None,
        };
        let appeal = match self.appealed {
            Some(version) => Some(appeal(log, case, version, self.answered).await?),
            None => None,
        };
        let appeal = appeal.map(|appeal| {
            let answer = appeal.answer;
            let answer = answer.map(|it| (it.outcome, it.text, it.decided_at));
            let by_reversal = reversal.as_ref().map(|reversal| {
                let text = reversal.text.clone();
                (AppealOutcome::Reversed, text, reversal.reversed_at)
            });
            OwnAppeal {
                text: appeal.text,
                appealed_at: appeal.appealed_at,
                answer: answer.or(by_reversal),
            }
        });
        Ok((appeal, reversal))
    }

    async fn on_case(self, log: &dyn EventStore, id: CaseId) -> anyhow::Result<OwnDecision> {
        let recorded = event(log, id, self.version).await?;
        let decoded = domain::codec::decode(recorded.event_type(), recorded.data())?;
        let Event::Case(case::Event::CaseDecided(decided)) = decoded else {
            anyhow::bail!("the event of a decision is none");
        };
        let (appeal, reversal) = self.became(log, id).await?;
        Ok(OwnDecision {
            decision_id: decided.decision,
            action: decided.action,
            by_hand: false,
            decided_at: Timestamp(recorded.at_ms()),
            until: decided.until,
            ended_at: self.ended_at.map(Timestamp),
            category: self.category,
            reason: decided.reason,
            text: decided.text.as_str().to_owned(),
            facts: Some(decided.facts.as_str().to_owned()),
            messages: decided.messages.len(),
            appealable_until: decided.appealable_until,
            appeal,
            reversal,
        })
    }

    async fn by_hand(self, log: &dyn EventStore, member: &MemberId) -> anyhow::Result<OwnDecision> {
        let recorded = suspension(log, member, self.version).await?;
        let (appeal, reversal) = match self.case {
            Some(case) => self.became(log, case).await?,
            None => (None, None),
        };
        let decoded = domain::codec::decode(recorded.event_type(), recorded.data())?;
        let Event::Member(member::Event::MemberSuspended(suspended)) = decoded else {
            anyhow::bail!("the event of a suspension is none");
        };
        Ok(OwnDecision {
            decision_id: self.decision,
            action: Action::Suspend,
            by_hand: true,
            decided_at: Timestamp(recorded.at_ms()),
            until: suspended.until,
            ended_at: self.ended_at.map(Timestamp),
            category: None,
            reason: suspended.reason,
            text: suspended.text.as_str().to_owned(),
            facts: Some(suspended.facts.as_str())
                .filter(|facts| !facts.is_empty())
                .map(str::to_owned),
            messages: 0,
            appealable_until: suspended.appealable_until,
            appeal,
            reversal,
        })
    }
}

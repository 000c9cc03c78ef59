//! `transparency`: what was reported, decided and reversed, day by day?
//!
//! Every event counts on the day in UTC of its `at`, and what is counted is a sum, so that no order of streams matters and a
//! report over any days is the sum of theirs (`query.rs`). Key of the counts: day, figure, then its words; of the times to a
//! decision: day, figure, bucket (`durations.rs`). Since when a case or an appeal waits, and what restricts a member, is
//! kept while it is so. Bound: per day a row per category, per pair of action and ground, and per bucket that was met; a row
//! per case and appeal that waits and per member who is restricted. No row names a member to whoever reads the figures.

use std::collections::BTreeSet;

use domain::case::{self, Action, AppealOutcome, Category, DecisionReversed};
use domain::conversation;
use domain::event::Event;
use domain::ids::{DecisionId, MemberId, ReasonCode};
use domain::member::{self, Restriction};
use domain::time::DAY_MS;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Tx, View};

use crate::ViewName;
use crate::codec::DomainCodec;
use crate::rows::{load, store};
use crate::topic::Topic;

mod durations;
mod query;
pub(crate) use query::query;
pub use query::{Day, DecisionFigure, MedianTime, Source, Transparency};

const COUNTS: &str = "counts";
const DURATIONS: &str = "durations";
const CHANGES: &str = "changes";
const WAITING: &str = "waiting";
const RESTRICTED: &str = "restricted";

/// What is counted of a day; the numbers stand in keys and are never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    /// Reports, by category.
    Notices,
    /// Cases that were opened.
    CasesOpened,
    /// Decisions on cases, by action and ground.
    Decisions,
    /// Suspensions that no case led to, by ground.
    OwnInitiative,
    /// Appeals that were made.
    Appeals,
    /// Appeals that were decided, by what became of them.
    AppealsDecided,
    /// Decisions that were reversed, upon an appeal or not.
    Reversals,
}

impl Figure {
    const fn number(self) -> u8 {
        match self {
            Self::Notices => 0,
            Self::CasesOpened => 1,
            Self::Decisions => 2,
            Self::OwnInitiative => 3,
            Self::Appeals => 4,
            Self::AppealsDecided => 5,
            Self::Reversals => 6,
        }
    }

    const fn numbered(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Notices),
            1 => Some(Self::CasesOpened),
            2 => Some(Self::Decisions),
            3 => Some(Self::OwnInitiative),
            4 => Some(Self::Appeals),
            5 => Some(Self::AppealsDecided),
            6 => Some(Self::Reversals),
            _ => None,
        }
    }
}

/// What is timed; the numbers stand in keys and are never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timed {
    /// From the first report that waits for it to a decision.
    Decision,
    /// From an appeal to its decision.
    Appeal,
}

impl Timed {
    const fn number(self) -> u8 {
        match self {
            Self::Decision => 0,
            Self::Appeal => 1,
        }
    }
}

/// How many restrictions of a kind began and ended on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Changed {
    began: u64,
    ended: u64,
}

/// What restricts a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Restricted {
    /// Suspended by hand.
    by_hand: bool,
    suspensions: BTreeSet<DecisionId>,
    limits: BTreeSet<DecisionId>,
}

impl Restricted {
    fn of(&mut self, restriction: Restriction) -> &mut BTreeSet<DecisionId> {
        match restriction {
            Restriction::Suspension => &mut self.suspensions,
            Restriction::Limit => &mut self.limits,
        }
    }

    /// How many suspensions and limits.
    fn counted(&self) -> [(Restriction, u64); 2] {
        let suspensions = self.suspensions.len() as u64 + u64::from(self.by_hand);
        [
            (Restriction::Suspension, suspensions),
            (Restriction::Limit, self.limits.len() as u64),
        ]
    }
}

/// Where the decisions of an action stand.
fn place_of(action: Action) -> u64 {
    let earlier = Action::ALL.into_iter().take_while(|it| *it != action);
    earlier.count() as u64
}

/// Where a restriction's changes stand.
const fn number_of(restriction: Restriction) -> u8 {
    match restriction {
        Restriction::Suspension => 0,
        Restriction::Limit => 1,
    }
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures;

impl View<DomainCodec> for Figures {
    fn name(&self) -> &'static str {
        ViewName::Transparency.as_str()
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[COUNTS, DURATIONS, CHANGES, WAITING, RESTRICTED]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[Topic::Report, Topic::Member, Topic::Case])
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        let mut day = OfDay {
            tx,
            day: recorded.at_ms().div_euclid(DAY_MS),
        };
        match decoded {
            Event::Conversation(conversation::Event::MessagesReported(reported)) => {
                day.notice(reported.category)
            }
            Event::Case(event) => day.case(recorded, event),
            Event::Member(event) => day.member(event),
            Event::Conversation(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Act(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => Ok(()),
        }
    }
}

/// The rows of a day.
struct OfDay<'t, 'tx> {
    tx: &'t mut Tx<'tx>,
    day: i64,
}

impl OfDay<'_, '_> {
    fn notice(&mut self, category: Category) -> Result<(), ApplyError> {
        let earlier = Category::ALL.into_iter().take_while(|it| *it != category);
        let key = self.key(Figure::Notices).u64(earlier.count() as u64);
        self.count(COUNTS, &key)
    }

    fn case(
        &mut self,
        recorded: &RecordedEvent,
        event: &case::Event<'_>,
    ) -> Result<(), ApplyError> {
        let stream = recorded.stream().as_bytes();
        match event {
            case::Event::CaseOpened(_) => {
                let key = self.key(Figure::CasesOpened);
                self.count(COUNTS, &key)
            }
            case::Event::ReportJoined(_) | case::Event::CaseReopened(_) => {
                self.wait(Timed::Decision, stream, recorded.at_ms())
            }
            case::Event::CaseDecided(decided) => {
                self.decision(decided.action, &decided.reason)?;
                self.waited(Timed::Decision, stream, recorded.at_ms())?;
                Ok(())
            }
            case::Event::DecisionAppealed(appealed) => {
                let key = self.key(Figure::Appeals);
                self.count(COUNTS, &key)?;
                let decision = appealed.decision.0;
                self.wait(Timed::Appeal, decision.as_bytes(), recorded.at_ms())
            }
            case::Event::AppealDecided(decided) => {
                let decision = decided.decision;
                self.appeal_decided(decision, decided.outcome, recorded.at_ms())
            }
            case::Event::DecisionReversed(reversed) => self.reversed(recorded, reversed),
            case::Event::SuspensionFiled(_)
            | case::Event::ContentDisclosed(_)
            | case::Event::CaseClaimed(_)
            | case::Event::CaseReleased(_)
            | case::Event::ClaimLapsed(_)
            | case::Event::CaseNoted(_)
            | case::Event::CaseEscalated(_)
            | case::Event::CaseClosed(_) => Ok(()),
        }
    }

    fn decision(&mut self, action: Action, reason: &ReasonCode) -> Result<(), ApplyError> {
        let key = self.key(Figure::Decisions).u64(place_of(action));
        self.count(COUNTS, &key.text(reason.as_str()))
    }

    /// Counts what became of an appeal, unless that was counted.
    fn appeal_decided(
        &mut self,
        decision: DecisionId,
        outcome: AppealOutcome,
        at: i64,
    ) -> Result<(), ApplyError> {
        if !self.waited(Timed::Appeal, decision.0.as_bytes(), at)? {
            return Ok(());
        }
        let key = self.key(Figure::AppealsDecided);
        self.count(COUNTS, &key.text(outcome.as_str()))
    }

    fn reversed(
        &mut self,
        recorded: &RecordedEvent,
        reversed: &DecisionReversed<'_>,
    ) -> Result<(), ApplyError> {
        let at = recorded.at_ms();
        let key = self.key(Figure::Reversals).u8(reversed.appealed.into());
        self.count(COUNTS, &key)?;
        if reversed.appealed {
            // Where nobody decided the appeal itself, this answers it.
            self.appeal_decided(reversed.decision, AppealOutcome::Reversed, at)?;
        }
        if reversed.reopened {
            self.wait(Timed::Decision, recorded.stream().as_bytes(), at)?;
        }
        Ok(())
    }

    fn member(&mut self, event: &member::Event<'_>) -> Result<(), ApplyError> {
        match event {
            member::Event::MemberSuspended(suspended) => {
                let key = self.key(Figure::OwnInitiative);
                self.count(COUNTS, &key.text(suspended.reason.as_str()))?;
                self.restrict(&suspended.member, |restricted| match suspended.decision {
                    Some(decision) => {
                        restricted.of(Restriction::Suspension).insert(decision);
                    }
                    None => restricted.by_hand = true,
                })
            }
            member::Event::SuspensionEnded(ended) => {
                self.restrict(&ended.member, |restricted| restricted.by_hand = false)
            }
            // It ends what decisions suspended as well.
            member::Event::MemberReinstated(reinstated) => {
                self.restrict(&reinstated.member, |restricted| {
                    restricted.by_hand = false;
                    restricted.suspensions.clear();
                })
            }
            member::Event::MemberRestricted(made) => self.restrict(&made.member, |restricted| {
                restricted.of(made.restriction).insert(made.decision);
            }),
            member::Event::RestrictionEnded(ended) => self.restrict(&ended.member, |restricted| {
                restricted.of(ended.restriction).remove(&ended.decision);
                // What was over before had no event while this one held on.
                restricted.by_hand &= ended.suspended;
            }),
            member::Event::RestrictionLifted(lifted) => {
                self.restrict(&lifted.member, |restricted| {
                    restricted.of(lifted.restriction).remove(&lifted.decision);
                    restricted.by_hand &= lifted.suspended;
                })
            }
            member::Event::MemberRegistered(_)
            | member::Event::AgeBandChanged(_)
            | member::Event::DmSettingChanged(_)
            | member::Event::RequestSlotTaken(_)
            | member::Event::RequestSlotReturned(_)
            | member::Event::ReportLimitSet(_)
            | member::Event::ReportLimitLifted(_)
            | member::Event::ReportLimitEnded(_)
            | member::Event::ReportCounted(_) => Ok(()),
        }
    }

    fn key(&self, figure: Figure) -> Key {
        Key::new().i64(self.day).u8(figure.number())
    }

    /// Counts one more.
    fn count(&mut self, table: &'static str, key: &Key) -> Result<(), ApplyError> {
        let before: u64 = load(self.tx, table, key)?.unwrap_or(0);
        store(self.tx, table, key, &before.saturating_add(1))
    }

    /// Notes since when something waits, unless it does already.
    fn wait(&mut self, timed: Timed, what: &[u8], at: i64) -> Result<(), ApplyError> {
        let key = Key::new().u8(timed.number()).fixed(what);
        if self.tx.contains(WAITING, &key)? {
            return Ok(());
        }
        store(self.tx, WAITING, &key, &at)
    }

    /// Counts for how long something has waited; whether it has.
    fn waited(&mut self, timed: Timed, what: &[u8], at: i64) -> Result<bool, ApplyError> {
        let key = Key::new().u8(timed.number()).fixed(what);
        let Some(since) = load::<i64>(self.tx, WAITING, &key)? else {
            return Ok(false);
        };
        self.tx.delete(WAITING, &key)?;
        let waited = u64::try_from(at.saturating_sub(since)).unwrap_or(0);
        let key = Key::new()
            .i64(self.day)
            .u8(timed.number())
            .u64(durations::bucket(waited));
        self.count(DURATIONS, &key)?;
        Ok(true)
    }

    /// Changes what restricts a member, and counts what began or ended by it.
    fn restrict(
        &mut self,
        member: &MemberId,
        change: impl FnOnce(&mut Restricted),
    ) -> Result<(), ApplyError> {
        let key = member.as_str().as_bytes();
        let before: Restricted = load(self.tx, RESTRICTED, key)?.unwrap_or_default();
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        for ((restriction, then), (_, now)) in before.counted().into_iter().zip(after.counted()) {
            if then == now {
                continue;
            }
            let key = Key::new().i64(self.day).u8(number_of(restriction));
            let mut changed: Changed = load(self.tx, CHANGES, &key)?.unwrap_or_default();
            changed.began = changed.began.saturating_add(now.saturating_sub(then));
            changed.ended = changed.ended.saturating_add(then.saturating_sub(now));
            store(self.tx, CHANGES, &key, &changed)?;
        }
        if after == Restricted::default() {
            return Ok(self.tx.delete(RESTRICTED, key)?);
        }
        store(self.tx, RESTRICTED, key, &after)
    }
}

//! What time ends: suspensions, what decisions restrict, moderators' claims and decided cases, by when it comes.
//!
//! Promise: at its due time the event that ends it (`suspension-ended`, `restriction-ended`, `report-limit-ended`, `claim-lapsed`,
//! `case-closed`) is appended, once. The due times are rebuilt from the log (they are rows of the write side's view, and what is appended here is noted at once), so a
//! stop loses none; the aggregate's own state decides whether there is still something to end, so firing twice does
//! nothing. Which clock says that a time has come is the caller's: the clock in service, the log's own time during
//! import. An event comes here twice, from who appended it and later from the view: of one thing the newest counts, in
//! whatever order they come.

use std::collections::BTreeSet;

use domain::ids::{CaseId, DecisionId, MemberId};
use domain::member::Restriction;
use domain::time::Timestamp;
use domain::{Event, case, member};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tables::key::{Key, Parts};
use tokio::sync::Notify;
use uuid::Uuid;

/// What comes to an end by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ending {
    /// A member's suspension.
    Suspension(MemberId),
    /// A moderator's claim of a case.
    Claim(CaseId),
    /// A suspension by a decision.
    SuspensionBy(MemberId, DecisionId),
    /// The time in which a case's last decision can be appealed.
    Appeal(CaseId),
    /// How many of a member's reports count.
    ReportLimit(MemberId),
    /// What a decision restricts of a member beside suspending them.
    LimitBy(MemberId, DecisionId),
}

impl Ending {
    /// As a key.
    pub(crate) fn encode(&self) -> Key {
        match self {
            Self::Suspension(member) => Key::new().u8(0).text(member.as_str()),
            Self::Claim(case) => Key::new().u8(1).fixed(case.0.as_bytes()),
            Self::SuspensionBy(member, decision) => {
                Self::suspensions_by(member).fixed(decision.0.as_bytes())
            }
            Self::Appeal(case) => Key::new().u8(3).fixed(case.0.as_bytes()),
            Self::ReportLimit(member) => Key::new().u8(4).text(member.as_str()),
            Self::LimitBy(member, decision) => Key::new()
                .u8(5)
                .text(member.as_str())
                .fixed(decision.0.as_bytes()),
        }
    }

    /// What the keys of a member's suspensions by decisions begin with: a moderator ends all of them at once.
    pub(crate) fn suspensions_by(member: &MemberId) -> Key {
        Key::new().u8(2).text(member.as_str())
    }

    /// What a decision restricts.
    fn by(restriction: Restriction, member: MemberId, decision: DecisionId) -> Self {
        match restriction {
            Restriction::Suspension => Self::SuspensionBy(member, decision),
            Restriction::Limit => Self::LimitBy(member, decision),
        }
    }

    /// From a key.
    pub(crate) fn decode(key: &[u8]) -> Option<Self> {
        let (kind, rest) = key.split_first()?;
        match kind {
            0 => {
                let member = Parts::of(rest).text()?;
                MemberId::new(&member).ok().map(Self::Suspension)
            }
            1 => Some(Self::Claim(CaseId(Uuid::from_slice(rest).ok()?))),
            2 => {
                let (member, decision) = of_decision(rest)?;
                Some(Self::SuspensionBy(member, decision))
            }
            3 => Some(Self::Appeal(CaseId(Uuid::from_slice(rest).ok()?))),
            4 => {
                let member = Parts::of(rest).text()?;
                MemberId::new(&member).ok().map(Self::ReportLimit)
            }
            5 => {
                let (member, decision) = of_decision(rest)?;
                Some(Self::LimitBy(member, decision))
            }
            _ => None,
        }
    }
}

/// The member and the decision that a key ends with.
fn of_decision(rest: &[u8]) -> Option<(MemberId, DecisionId)> {
    let mut parts = Parts::of(rest);
    let member = MemberId::new(&parts.text()?).ok()?;
    Some((member, DecisionId(Uuid::from_bytes(parts.fixed()?))))
}

/// What an event says of an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Of what.
    pub(crate) of: Ending,
    /// When it ends now; none when there is nothing to end any more, or it is for good.
    pub(crate) until: Option<Timestamp>,
}

impl Said {
    /// What an event of this stream says of ends.
    pub(crate) fn by(stream: &str, event: &Event<'_>) -> [Option<Self>; 2] {
        match event {
            Event::Member(event) => Self::of_member(event),
            Event::Case(event) => {
                let case = stream.strip_prefix("case-").and_then(|id| id.parse().ok());
                case.map_or([None, None], |case| Self::of_case(case, event))
            }
            Event::Conversation(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Act(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => [None, None],
        }
    }

    fn of_member(event: &member::Event<'_>) -> [Option<Self>; 2] {
        let member = event.member().clone();
        let said = |of, until| Some(Self { of, until });
        let one = |of, until| [said(of, until), None];
        // A suspension by hand that was over by time has no event of its own where one by a decision held on: it ends with
        // the last of these.
        let ended = |restriction, decision, suspended: bool| {
            let by_hand = (restriction == Restriction::Suspension && !suspended)
                .then(|| Ending::Suspension(member.clone()));
            let of = Ending::by(restriction, member.clone(), decision);
            [said(of, None), by_hand.and_then(|of| said(of, None))]
        };
        match event {
            member::Event::MemberSuspended(suspended) => {
                let of = match suspended.decision {
                    Some(decision) => Ending::by(Restriction::Suspension, member, decision),
                    None => Ending::Suspension(member),
                };
                one(of, suspended.until)
            }
            member::Event::MemberReinstated(_) | member::Event::SuspensionEnded(_) => {
                one(Ending::Suspension(member), None)
            }
            member::Event::MemberRestricted(restricted) => one(
                Ending::by(restricted.restriction, member, restricted.decision),
                restricted.until,
            ),
            member::Event::RestrictionEnded(it) => ended(it.restriction, it.decision, it.suspended),
            member::Event::RestrictionLifted(it) => {
                ended(it.restriction, it.decision, it.suspended)
            }
            member::Event::ReportLimitSet(set) => one(Ending::ReportLimit(member), Some(set.until)),
            member::Event::ReportLimitLifted(_) | member::Event::ReportLimitEnded(_) => {
                one(Ending::ReportLimit(member), None)
            }
            member::Event::MemberRegistered(_)
            | member::Event::AgeBandChanged(_)
            | member::Event::DmSettingChanged(_)
            | member::Event::RequestSlotTaken(_)
            | member::Event::RequestSlotReturned(_)
            | member::Event::ReportCounted(_) => [None, None],
        }
    }

    fn of_case(case: CaseId, event: &case::Event<'_>) -> [Option<Self>; 2] {
        let said = |of, until| Some(Self { of, until });
        match event {
            case::Event::CaseClaimed(claimed) => {
                [said(Ending::Claim(case), Some(claimed.until)), None]
            }
            // By who does not hold the case it changes nothing.
            case::Event::CaseNoted(noted) => {
                let until = noted.claimed_until;
                [
                    until.and_then(|until| said(Ending::Claim(case), Some(until))),
                    None,
                ]
            }
            case::Event::CaseReleased(_)
            | case::Event::ClaimLapsed(_)
            | case::Event::CaseEscalated(_) => [said(Ending::Claim(case), None), None],
            case::Event::CaseDecided(decided) => [
                said(Ending::Claim(case), None),
                said(Ending::Appeal(case), decided.appealable_until),
            ],
            case::Event::SuspensionFiled(filed) => [
                said(Ending::Appeal(case), Some(filed.appealable_until)),
                None,
            ],
            case::Event::CaseClosed(_) | case::Event::CaseReopened(_) => {
                [said(Ending::Appeal(case), None), None]
            }
            // The case is open again: what ends is the next decision's.
            case::Event::DecisionReversed(reversed) if reversed.reopened => {
                [said(Ending::Appeal(case), None), None]
            }
            case::Event::DecisionReversed(_)
            | case::Event::DecisionAppealed(_)
            | case::Event::AppealDecided(_)
            | case::Event::CaseOpened(_)
            | case::Event::ReportJoined(_)
            | case::Event::ContentDisclosed(_) => [None, None],
        }
    }
}

/// An end that is to come, and what gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// When.
    pub(crate) until: Timestamp,
    /// The event that gave it.
    pub(crate) cause: Uuid,
    /// What that event belongs to.
    pub(crate) correlation: Uuid,
}

impl Due {
    /// As a row.
    pub(crate) fn encode(&self) -> [u8; 40] {
        let mut row = [0; 40];
        let (until, ids) = row.split_at_mut(8);
        until.copy_from_slice(&self.until.0.to_be_bytes());
        let (cause, correlation) = ids.split_at_mut(16);
        cause.copy_from_slice(self.cause.as_bytes());
        correlation.copy_from_slice(self.correlation.as_bytes());
        row
    }

    /// From a row.
    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let (until, ids) = row.split_first_chunk::<8>()?;
        let (cause, correlation) = ids.split_first_chunk::<16>()?;
        Some(Self {
            until: Timestamp(i64::from_be_bytes(*until)),
            cause: Uuid::from_bytes(*cause),
            correlation: Uuid::from_bytes(*correlation.first_chunk()?),
        })
    }
}

/// What the newest event seen left of an end.
struct Newest {
    version: u64,
    /// None is kept until the view has come as far, so that what it tells later is known to be older.
    due: Option<Due>,
}

#[derive(Default)]
struct Held {
    by_time: BTreeSet<(Timestamp, Ending)>,
    by_ending: FxHashMap<Ending, Newest>,
}

impl Held {
    /// Sets or clears a due time, unless something newer did. Whether one was set.
    fn put(&mut self, of: &Ending, version: u64, due: Option<Due>) -> bool {
        let before = self.by_ending.get(of);
        if before.is_some_and(|newest| newest.version > version) {
            return false;
        }
        if let Some(before) = before.and_then(|newest| newest.due) {
            self.by_time.remove(&(before.until, of.clone()));
        }
        if let Some(due) = due {
            self.by_time.insert((due.until, of.clone()));
        }
        self.by_ending.insert(of.clone(), Newest { version, due });
        due.is_some()
    }

    /// Forgets what is not due any more, where nothing older than `version` can come any more.
    fn settle(&mut self, of: &Ending, version: u64) {
        if let Some(newest) = self.by_ending.get(of)
            && newest.due.is_none()
            && newest.version <= version
        {
            self.by_ending.remove(of);
        }
    }
}

/// The due times.
#[derive(Default)]
pub(crate) struct Timers {
    held: Mutex<Held>,
    changed: Notify,
}

impl Timers {
    /// Takes what an appended event says into account.
    pub(crate) fn observe(&self, said: &Said, version: u64, event_id: Uuid, correlation: Uuid) {
        let due = said.until.map(|until| Due {
            until,
            cause: event_id,
            correlation,
        });
        if self.held.lock().put(&said.of, version, due) {
            self.changed.notify_one();
        }
    }

    /// The same for an event that the view applies: it may have been seen, as may newer ones, and no older one comes
    /// after it.
    pub(crate) fn applied(&self, said: &Said, version: u64, event_id: Uuid, correlation: Uuid) {
        self.observe(said, version, event_id, correlation);
        self.held.lock().settle(&said.of, version);
    }

    /// Takes in what the view's rows say, unless an event said something already.
    pub(crate) fn set(&self, of: &Ending, due: Due) {
        if self.held.lock().put(of, 0, Some(due)) {
            self.changed.notify_one();
        }
    }

    /// Clears a due time, if it is still this one. Told once more by the view it comes once more, and ends nothing again.
    pub(crate) fn forget(&self, of: &Ending, due: Due) {
        let mut held = self.held.lock();
        let newest = held.by_ending.get(of).and_then(|newest| newest.due);
        if newest == Some(due) {
            held.by_ending.remove(of);
            held.by_time.remove(&(due.until, of.clone()));
        }
    }

    /// The first end that comes at `now` or before, but for those passed over.
    pub(crate) fn first_due(
        &self,
        now: Timestamp,
        passed_over: &FxHashSet<Ending>,
    ) -> Option<(Ending, Due)> {
        let held = self.held.lock();
        let (_, of) = held
            .by_time
            .iter()
            .take_while(|(until, _)| *until <= now)
            .find(|(_, of)| !passed_over.contains(of))?;
        let due = held.by_ending.get(of)?.due?;
        Some((of.clone(), due))
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.held.lock().by_time.first().map(|(until, _)| *until)
    }

    /// Ends when a due time was added.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn bob() -> Ending {
        Ending::Suspension(MemberId::new("bob").unwrap())
    }

    fn suspended(until: i64) -> Said {
        Said {
            of: bob(),
            until: Some(Timestamp(until)),
        }
    }

    fn reinstated() -> Said {
        Said {
            of: bob(),
            until: None,
        }
    }

    fn due(timers: &Timers) -> Option<i64> {
        timers
            .first_due(Timestamp(i64::MAX), &FxHashSet::default())
            .map(|(_, due)| due.until.0)
    }

    #[test]
    fn what_the_view_tells_late_does_not_undo_what_is_newer() {
        let timers = Timers::default();
        let (cause, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        timers.observe(&suspended(10), 2, cause, cause);
        timers.observe(&reinstated(), 3, other, other);
        assert_eq!(due(&timers), None);
        timers.applied(&suspended(10), 2, cause, cause);
        assert_eq!(due(&timers), None, "an older suspension stays lifted");
        timers.observe(&suspended(20), 4, other, other);
        timers.applied(&reinstated(), 3, other, other);
        assert_eq!(due(&timers), Some(20), "a newer suspension stays due");
        timers.applied(&suspended(20), 4, other, other);
        assert_eq!(due(&timers), Some(20));
    }

    #[test]
    fn nothing_is_kept_of_a_member_of_whom_nothing_is_due() {
        let timers = Timers::default();
        let cause = Uuid::from_u128(1);
        timers.observe(&suspended(10), 2, cause, cause);
        timers.observe(&reinstated(), 3, cause, cause);
        timers.applied(&suspended(10), 2, cause, cause);
        assert_eq!(timers.held.lock().by_ending.len(), 1);
        timers.applied(&reinstated(), 3, cause, cause);
        assert_eq!(timers.held.lock().by_ending.len(), 0);
    }

    #[test]
    fn nothing_is_kept_of_what_had_nothing_left_to_end() {
        let timers = Timers::default();
        let cause = Uuid::from_u128(1);
        timers.applied(&suspended(10), 2, cause, cause);
        let (of, due) = timers
            .first_due(Timestamp(10), &FxHashSet::default())
            .unwrap();
        timers.forget(&of, due);
        let held = timers.held.lock();
        assert_eq!((held.by_ending.len(), held.by_time.len()), (0, 0));
    }

    #[test]
    fn what_is_passed_over_keeps_nothing_waiting() {
        let timers = Timers::default();
        let due = |until| Due {
            until: Timestamp(until),
            cause: Uuid::nil(),
            correlation: Uuid::nil(),
        };
        let claim = Ending::Claim(CaseId(Uuid::from_u128(7)));
        timers.set(&bob(), due(10));
        timers.set(&claim, due(20));
        let passed_over = FxHashSet::from_iter([bob()]);
        let first = timers.first_due(Timestamp(20), &passed_over);
        assert_eq!(first, Some((claim, due(20))));
    }

    #[test]
    fn what_ends_and_when_is_read_back_from_its_row() {
        let (case, decision) = (CaseId(Uuid::from_u128(u128::MAX - 1)), Uuid::from_u128(9));
        let eve = MemberId::new("eve").unwrap();
        for of in [
            bob(),
            Ending::ReportLimit(eve.clone()),
            Ending::Claim(case),
            Ending::SuspensionBy(eve.clone(), DecisionId(decision)),
            Ending::LimitBy(eve, DecisionId(decision)),
            Ending::Appeal(case),
        ] {
            assert_eq!(Ending::decode(&of.encode()), Some(of));
        }
        let due = Due {
            until: Timestamp(-7),
            cause: Uuid::from_u128(1),
            correlation: Uuid::from_u128(2),
        };
        assert_eq!(Due::decode(&due.encode()), Some(due));
    }
}

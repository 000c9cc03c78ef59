//! What time ends: the suspensions that have an end, by when it comes.
//!
//! Promise: at a suspension's due time a `suspension-ended` is appended, once. The due times are rebuilt from the log
//! (they are rows of the write side's view, and what is appended here is noted at once), so a stop loses none; the
//! member's own state decides whether there is still something to end, so firing twice does nothing. Which clock says
//! that a time has come is the caller's: the clock in service, the log's own time during import. An event comes here
//! twice, from who appended it and later from the view: of a member the newest counts, in whatever order they come.

use std::collections::BTreeSet;

use domain::ids::MemberId;
use domain::member;
use domain::time::Timestamp;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::Notify;
use uuid::Uuid;

/// A suspension that has an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suspension {
    /// When it ends.
    pub(crate) until: Timestamp,
    /// The event that suspended the member.
    pub(crate) cause: Uuid,
    /// What that event belongs to.
    pub(crate) correlation: Uuid,
}

impl Suspension {
    /// What an event leaves of its member's suspension; none when there is none, or it is for good.
    pub(crate) fn of(event: &member::Event<'_>, cause: Uuid, correlation: Uuid) -> Option<Self> {
        let member::Event::MemberSuspended(suspended) = event else {
            return None;
        };
        suspended.until.map(|until| Self {
            until,
            cause,
            correlation,
        })
    }

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

/// What the newest event seen of a member left.
struct Newest {
    version: u64,
    /// None is kept until the view has come as far, so that what it tells later is known to be older.
    suspension: Option<Suspension>,
}

#[derive(Default)]
struct Due {
    by_time: BTreeSet<(Timestamp, MemberId)>,
    by_member: FxHashMap<MemberId, Newest>,
}

impl Due {
    /// Sets or clears a member's due time, unless something newer did. Whether one was set.
    fn put(&mut self, member: &MemberId, version: u64, suspension: Option<Suspension>) -> bool {
        let before = self.by_member.get(member);
        if before.is_some_and(|newest| newest.version > version) {
            return false;
        }
        if let Some(before) = before.and_then(|newest| newest.suspension) {
            self.by_time.remove(&(before.until, member.clone()));
        }
        if let Some(suspension) = suspension {
            self.by_time.insert((suspension.until, member.clone()));
        }
        let newest = Newest {
            version,
            suspension,
        };
        self.by_member.insert(member.clone(), newest);
        suspension.is_some()
    }

    /// Forgets a member of whom nothing is due, where nothing older than `version` can come any more.
    fn settle(&mut self, member: &MemberId, version: u64) {
        if let Some(newest) = self.by_member.get(member)
            && newest.suspension.is_none()
            && newest.version <= version
        {
            self.by_member.remove(member);
        }
    }
}

/// The due times.
#[derive(Default)]
pub(crate) struct Timers {
    due: Mutex<Due>,
    changed: Notify,
}

impl Timers {
    /// Takes an event of a member's stream that was appended into account.
    pub(crate) fn observe(
        &self,
        event: &member::Event<'_>,
        version: u64,
        event_id: Uuid,
        correlation: Uuid,
    ) {
        match event {
            member::Event::MemberSuspended(_)
            | member::Event::MemberReinstated(_)
            | member::Event::SuspensionEnded(_) => {
                let suspension = Suspension::of(event, event_id, correlation);
                if self.due.lock().put(event.member(), version, suspension) {
                    self.changed.notify_one();
                }
            }
            member::Event::MemberRegistered(_)
            | member::Event::AgeBandChanged(_)
            | member::Event::DmSettingChanged(_)
            | member::Event::RequestSlotTaken(_)
            | member::Event::RequestSlotReturned(_)
            | member::Event::ReportCounted(_) => {}
        }
    }

    /// The same for an event that the view applies: it may have been seen, as may newer ones, and no older one comes
    /// after it.
    pub(crate) fn applied(
        &self,
        event: &member::Event<'_>,
        version: u64,
        event_id: Uuid,
        correlation: Uuid,
    ) {
        self.observe(event, version, event_id, correlation);
        self.due.lock().settle(event.member(), version);
    }

    /// Takes in what the view's rows say, unless an event said something already.
    pub(crate) fn set(&self, member: &MemberId, suspension: Suspension) {
        if self.due.lock().put(member, 0, Some(suspension)) {
            self.changed.notify_one();
        }
    }

    /// Clears a member's due time, if it is still this one.
    pub(crate) fn forget(&self, member: &MemberId, suspension: Suspension) {
        let mut due = self.due.lock();
        if let Some(newest) = due.by_member.get_mut(member)
            && newest.suspension == Some(suspension)
        {
            newest.suspension = None;
            due.by_time.remove(&(suspension.until, member.clone()));
        }
    }

    /// The first suspension that ends at `now` or before, but for those of the members passed over.
    pub(crate) fn first_due(
        &self,
        now: Timestamp,
        passed_over: &FxHashSet<MemberId>,
    ) -> Option<(MemberId, Suspension)> {
        let due = self.due.lock();
        let (_, member) = due
            .by_time
            .iter()
            .take_while(|(until, _)| *until <= now)
            .find(|(_, member)| !passed_over.contains(member))?;
        let suspension = due.by_member.get(member)?.suspension?;
        Some((member.clone(), suspension))
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.due.lock().by_time.first().map(|(until, _)| *until)
    }

    /// Ends when a due time was added.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod spec {
    use domain::ids::ReasonCode;

    use super::*;

    fn bob() -> MemberId {
        MemberId::new("bob").unwrap()
    }

    fn suspended(until: i64) -> member::Event<'static> {
        member::Event::MemberSuspended(member::MemberSuspended {
            member: bob(),
            by: MemberId::new("mod").unwrap(),
            until: Some(Timestamp(until)),
            reason: ReasonCode::new("spam").unwrap(),
            text: "rest".into(),
        })
    }

    fn reinstated() -> member::Event<'static> {
        member::Event::MemberReinstated(member::MemberReinstated {
            member: bob(),
            by: MemberId::new("mod").unwrap(),
        })
    }

    fn due(timers: &Timers) -> Option<i64> {
        timers
            .first_due(Timestamp(i64::MAX), &FxHashSet::default())
            .map(|(_, suspension)| suspension.until.0)
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
        assert_eq!(timers.due.lock().by_member.len(), 1);
        timers.applied(&reinstated(), 3, cause, cause);
        assert_eq!(timers.due.lock().by_member.len(), 0);
    }

    #[test]
    fn a_member_passed_over_keeps_nobody_waiting() {
        let timers = Timers::default();
        let suspension = |until| Suspension {
            until: Timestamp(until),
            cause: Uuid::nil(),
            correlation: Uuid::nil(),
        };
        let eve = MemberId::new("eve").unwrap();
        timers.set(&bob(), suspension(10));
        timers.set(&eve, suspension(20));
        let passed_over = FxHashSet::from_iter([bob()]);
        let first = timers.first_due(Timestamp(20), &passed_over);
        assert_eq!(first, Some((eve, suspension(20))));
    }
}

//! What time ends: the suspensions that have an end, by when it comes.
//!
//! Promise: at a suspension's due time a `suspension-ended` is appended, once. The due times are rebuilt from the log
//! (they are rows of the write side's view, and what is appended here is noted at once), so a stop loses none; the
//! member's own state decides whether there is still something to end, so firing twice does nothing. Which clock says
//! that a time has come is the caller's: the clock in service, the log's own time during import.

use std::collections::BTreeSet;

use domain::ids::MemberId;
use domain::member;
use domain::time::Timestamp;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
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

#[derive(Default)]
struct Due {
    by_time: BTreeSet<(Timestamp, MemberId)>,
    by_member: FxHashMap<MemberId, Suspension>,
}

/// The due times.
#[derive(Default)]
pub(crate) struct Timers {
    due: Mutex<Due>,
    changed: Notify,
}

impl Timers {
    /// Takes an event of a member's stream into account. One seen twice, or out of order, at worst makes a timer fire
    /// that finds nothing to end.
    pub(crate) fn observe(&self, event: &member::Event<'_>, event_id: Uuid, correlation: Uuid) {
        match event {
            member::Event::MemberSuspended(_)
            | member::Event::MemberReinstated(_)
            | member::Event::SuspensionEnded(_) => {
                self.set(
                    event.member().clone(),
                    Suspension::of(event, event_id, correlation),
                );
            }
            member::Event::MemberRegistered(_)
            | member::Event::AgeBandChanged(_)
            | member::Event::DmSettingChanged(_)
            | member::Event::RequestSlotTaken(_)
            | member::Event::RequestSlotReturned(_)
            | member::Event::ReportCounted(_) => {}
        }
    }

    /// Sets or clears a member's due time.
    pub(crate) fn set(&self, member: MemberId, suspension: Option<Suspension>) {
        let mut due = self.due.lock();
        if let Some(before) = due.by_member.remove(&member) {
            due.by_time.remove(&(before.until, member.clone()));
        }
        if let Some(suspension) = suspension {
            due.by_time.insert((suspension.until, member.clone()));
            due.by_member.insert(member, suspension);
            drop(due);
            self.changed.notify_one();
        }
    }

    /// Clears a member's due time, if it is still this one.
    pub(crate) fn forget(&self, member: &MemberId, suspension: Suspension) {
        let mut due = self.due.lock();
        if due.by_member.get(member) == Some(&suspension) {
            due.by_member.remove(member);
            due.by_time.remove(&(suspension.until, member.clone()));
        }
    }

    /// The first suspension that ends at `now` or before.
    pub(crate) fn first_due(&self, now: Timestamp) -> Option<(MemberId, Suspension)> {
        let due = self.due.lock();
        let (until, member) = due.by_time.first()?;
        if *until > now {
            return None;
        }
        due.by_member
            .get(member)
            .map(|suspension| (member.clone(), *suspension))
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

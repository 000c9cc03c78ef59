//! Who reported whom within 90 days: how many reported a member, and how many a member reported.
//!
//! Counted at reports and at nothing else: a report counts its two members until one of theirs 90 days later takes it out.

use domain::case::PriorityInputs;
use domain::time::DAY_MS;
use tables::key::{Key, Parts};
use tables::{ApplyError, Order, Span, Tx};

use crate::rows::{load, store};

/// One direction: until when each other member counts, and the same by that time.
pub(super) struct Window {
    pub(super) until: &'static str,
    pub(super) expiries: &'static str,
}

/// Those who reported a member.
pub(super) const REPORTERS: Window = Window {
    until: "reporters",
    expiries: "expiries",
};

/// Those whom a member reported.
pub(super) const REPORTED: Window = Window {
    until: "reported",
    expiries: "reported_expiries",
};

impl Window {
    /// How many others count for a member at a report, of so many before it; `other` counts from now on, if it does.
    pub(super) fn count(
        &self,
        tx: &mut Tx<'_>,
        member: &str,
        at: i64,
        before: u32,
        other: Option<&str>,
    ) -> Result<u32, ApplyError> {
        let of_member = Key::new().text(member);
        let mut count = before;
        for other in self.over(tx, &of_member, at)? {
            tx.delete(self.until, &of_member.clone().text(&other))?;
            count = count.saturating_sub(1);
        }
        let Some(other) = other else {
            return Ok(count);
        };
        let until = at.saturating_add(i64::from(PriorityInputs::REPORTERS_DAYS) * DAY_MS);
        let pair = of_member.clone().text(other);
        let known: Option<i64> = load(tx, self.until, &pair)?;
        if known.is_none() {
            count = count.saturating_add(1);
        }
        if known.is_none_or(|known| known < until) {
            if let Some(known) = known {
                tx.delete(self.expiries, &of_member.clone().i64(known).text(other))?;
            }
            store(tx, self.until, &pair, &until)?;
            tx.put(
                self.expiries,
                &of_member.clone().i64(until).text(other),
                &[],
            )?;
        }
        Ok(count)
    }

    /// Takes out what of a member is over, and names whom it was about.
    fn over(&self, tx: &mut Tx<'_>, of_member: &Key, at: i64) -> Result<Vec<String>, ApplyError> {
        let mut over = Vec::new();
        for row in tx.scan(self.expiries, &Span::prefix(of_member), Order::Ascending)? {
            let (key, _) = row?;
            let mut parts = Parts::of(&key);
            let (_, until, other) = (parts.bytes(), parts.i64(), parts.text());
            if until.is_some_and(|until| until > at) {
                break;
            }
            over.extend(other.map(|other| (key.to_vec(), other)));
        }
        for (key, _) in &over {
            tx.delete(self.expiries, key)?;
        }
        Ok(over.into_iter().map(|(_, other)| other).collect())
    }
}

//! How many cases the queue holds: by state, by category, left to another, appealed, and held by each moderator.
//!
//! Counted as cases move, a row per count that is not zero, so that telling them reads two rows each and no case. What waits
//! for nobody, decided or closed and not appealed, counts in its state and nowhere else, as the queue lists it only where it is
//! asked for. Each case is counted under its two members as well: whoever asks is told of none of their own, which nobody
//! judges, and no number tells that they were reported.

use domain::case::Category;
use domain::ids::MemberId;
use tables::key::Key;
use tables::{ApplyError, Reader, Tx};

use super::{CaseRow, CaseState, bit_of, categories_of};
use crate::rows::{fetch, load, store};
use crate::{Answer, QueryError};

/// The table.
pub(super) const COUNTS: &str = "counts";

/// How many cases there are, but for those of whoever asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// In each state, in the order of [`CaseState::ALL`].
    pub states: Vec<(CaseState, u64)>,
    /// With a report of each category, in the order of [`Category::ALL`], of those that wait: open, claimed or appealed.
    pub categories: Vec<(Category, u64)>,
    /// Open ones that were left to another moderator.
    pub escalated: u64,
    /// With an appeal that waits, in whatever state.
    pub appealed: u64,
    /// Held by whoever asks.
    pub mine: u64,
}

/// Where a case counts: among all, and among those of each of its two members; of a suspension by hand there is one.
fn keys(case: &CaseRow) -> Vec<Key> {
    let kinds = kinds(case);
    let mut members = vec![&case.member, &case.reporter];
    members.dedup();
    let own = members.into_iter();
    let own = own.flat_map(|member| kinds.iter().map(move |of| of_own(member, of)));
    let own: Vec<Key> = own.collect();
    kinds.into_iter().chain(own).collect()
}

/// What it counts as.
fn kinds(case: &CaseRow) -> Vec<Key> {
    let mut keys = vec![of_state(case.state)];
    if !case.appeals.is_empty() {
        keys.push(of_appealed());
    }
    let over = matches!(case.state, CaseState::Decided | CaseState::Closed);
    if over && case.appeals.is_empty() {
        return keys;
    }
    keys.extend(categories_of(case.categories).map(of_category));
    if case.state == CaseState::Open && case.escalated_by.is_some() {
        keys.push(of_escalated());
    }
    keys.extend(case.claimed_by.as_ref().map(of_holder));
    keys
}

fn of_state(state: CaseState) -> Key {
    Key::new().u8(0).u8(state.number())
}

fn of_category(category: Category) -> Key {
    Key::new().u8(1).u64(u64::from(bit_of(category)))
}

fn of_escalated() -> Key {
    Key::new().u8(2)
}

fn of_appealed() -> Key {
    Key::new().u8(4)
}

fn of_holder(moderator: &MemberId) -> Key {
    Key::new().u8(3).text(moderator.as_str())
}

/// The same of the cases that this member is one of the two members of.
fn of_own(member: &MemberId, of: &Key) -> Key {
    Key::new().u8(5).text(member.as_str()).fixed(of)
}

/// Counts a case where it is now, and no more where it was.
pub(super) fn moved(
    tx: &mut Tx<'_>,
    before: Option<&CaseRow>,
    after: &CaseRow,
) -> Result<(), ApplyError> {
    let (before, after) = (before.map_or_else(Vec::new, keys), keys(after));
    for key in before.iter().filter(|key| !after.contains(key)) {
        let left = load::<u64>(tx, COUNTS, key)?.unwrap_or_default();
        match left.saturating_sub(1) {
            0 => tx.delete(COUNTS, key)?,
            left => store(tx, COUNTS, key, &left)?,
        }
    }
    for key in after.iter().filter(|key| !before.contains(key)) {
        let count = load::<u64>(tx, COUNTS, key)?.unwrap_or_default();
        store(tx, COUNTS, key, &(count + 1))?;
    }
    Ok(())
}

/// The counts, as a moderator asks for them.
pub(crate) fn query(
    reader: &Reader,
    moderator: &MemberId,
) -> Result<Answer<QueueCounts>, QueryError> {
    let all = |key: &Key| -> anyhow::Result<u64> {
        Ok(fetch::<u64>(reader, COUNTS, key)?.unwrap_or_default())
    };
    let count = |key: Key| -> anyhow::Result<u64> {
        let own = all(&of_own(moderator, &key))?;
        Ok(all(&key)?.saturating_sub(own))
    };
    let mut counts = QueueCounts {
        escalated: count(of_escalated())?,
        appealed: count(of_appealed())?,
        mine: count(of_holder(moderator))?,
        ..QueueCounts::default()
    };
    for state in CaseState::ALL {
        counts.states.push((state, count(of_state(state))?));
    }
    for category in Category::ALL {
        let of_category = count(of_category(category))?;
        counts.categories.push((category, of_category));
    }
    Ok(Answer {
        value: counts,
        position: reader.checkpoint().position,
    })
}

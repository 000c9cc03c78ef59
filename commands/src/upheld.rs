//! How many cases about a member stand upheld, as of any position: an input of a case's priority.
//!
//! Promise: the answer is one row, however much was decided about the member and taken back since. A case counts as long as
//! a decision on it that upheld its reports stands. Two tables of the write side's view: which decisions stand, and how many
//! cases did after each event that changed it. What is reversed leaves no row among the first.

use domain::case::{CaseDecided, DecisionReversed};
use domain::ids::{DecisionId, MemberId};
use event_store::{Position, RecordedEvent};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, TableError, Tx};

/// The decisions that stand, by member, case and decision.
pub(crate) const UPHELD: &str = "upheld";
/// How many cases stand upheld, by member and the position of the event from which on.
pub(crate) const UPHELD_CASES: &str = "upheld_cases";

/// Takes a decision in.
pub(crate) fn decided(
    tx: &mut Tx<'_>,
    event: &RecordedEvent,
    decided: &CaseDecided<'_>,
) -> Result<(), ApplyError> {
    if !decided.action.upholds() {
        return Ok(());
    }
    let stood = stands(tx, &decided.reported, event.stream())?;
    let key = decision_key(&decided.reported, event.stream(), decided.decision);
    tx.put(UPHELD, &key, &[])?;
    if stood {
        return Ok(());
    }
    count(tx, &decided.reported, event.position(), |cases| {
        cases.saturating_add(1)
    })
}

/// Takes the reversal of a decision in.
pub(crate) fn reversed(
    tx: &mut Tx<'_>,
    event: &RecordedEvent,
    reversed: &DecisionReversed<'_>,
) -> Result<(), ApplyError> {
    let key = decision_key(&reversed.reported, event.stream(), reversed.decision);
    if !tx.contains(UPHELD, &key)? {
        return Ok(());
    }
    tx.delete(UPHELD, &key)?;
    if stands(tx, &reversed.reported, event.stream())? {
        return Ok(());
    }
    count(tx, &reversed.reported, event.position(), |cases| {
        cases.saturating_sub(1)
    })
}

/// Whether any decision on a case that upheld its reports stands.
fn stands(tx: &mut Tx<'_>, reported: &MemberId, case: &str) -> Result<bool, ApplyError> {
    let of_case = Span::prefix(&case_key(reported, case));
    let first = tx.scan(UPHELD, &of_case, Order::Ascending)?.next();
    Ok(first.transpose()?.is_some())
}

/// Says how many cases stand upheld from an event on.
fn count(
    tx: &mut Tx<'_>,
    reported: &MemberId,
    position: Position,
    change: impl FnOnce(u32) -> u32,
) -> Result<(), ApplyError> {
    let before = before(reported, position);
    let last = tx.scan(UPHELD_CASES, &before, Order::Descending)?.next();
    let cases = last
        .transpose()?
        .map_or(0, |(_, row)| cases_of(&row).unwrap_or(0));
    let key = cases_key(reported).u64(position.0);
    tx.put(UPHELD_CASES, &key, &change(cases).to_be_bytes())?;
    Ok(())
}

/// How many cases about this member stood upheld before a position; at most `max`.
pub(crate) fn upheld(
    reader: &Reader,
    reported: &MemberId,
    position: Position,
    max: u32,
) -> Result<u32, TableError> {
    let before = before(reported, position);
    let last = reader
        .scan(UPHELD_CASES, &before, Order::Descending)?
        .next();
    let cases = last.transpose()?.and_then(|(_, row)| cases_of(&row));
    Ok(cases.unwrap_or(0).min(max))
}

/// The counts of a member from before a position.
fn before(reported: &MemberId, position: Position) -> Span {
    let of_member = cases_key(reported);
    Span::prefix(&of_member).before(&cases_key(reported).u64(position.0))
}

fn cases_of(row: &[u8]) -> Option<u32> {
    row.first_chunk().copied().map(u32::from_be_bytes)
}

fn cases_key(reported: &MemberId) -> Key {
    Key::new().text(reported.as_str())
}

fn case_key(reported: &MemberId, case: &str) -> Key {
    Key::new().text(reported.as_str()).text(case)
}

fn decision_key(reported: &MemberId, case: &str, decision: DecisionId) -> Key {
    case_key(reported, case).fixed(decision.0.as_bytes())
}

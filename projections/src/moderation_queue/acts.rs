//! What moderators do with a case: who holds it, who left it to another, what they noted and decided.
//!
//! An act finds its case, which its first report made. Texts stay in the log.

use anyhow::Context;
use domain::act::Step;
use domain::case::{CaseDecided, Event};
use domain::ids::CaseId;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, Tx};

use super::{CASES, CaseRow, CaseState, DECISIONS, MEMBERS, MemberRow, NOTES, UPHELD, bulk, place};
use crate::rows::{decode, load, store};

/// Takes an event of a case's own stream into its row.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &Event<'_>,
) -> Result<(), ApplyError> {
    match event {
        Event::CaseClaimed(claimed) => change(tx, recorded, |case| {
            case.state = CaseState::Claimed;
            case.claimed_by = Some(claimed.by.clone());
            case.claimed_until = Some(claimed.until.0);
        }),
        Event::CaseReleased(_) | Event::ClaimLapsed(_) => change(tx, recorded, unclaim),
        Event::CaseNoted(noted) => {
            put(tx, NOTES, recorded)?;
            let Some(until) = noted.claimed_until else {
                return Ok(());
            };
            change(tx, recorded, |case| case.claimed_until = Some(until.0))
        }
        Event::CaseEscalated(escalated) => {
            if !escalated.text.is_empty() {
                put(tx, NOTES, recorded)?;
            }
            change(tx, recorded, |case| {
                unclaim(case);
                case.revision += 1;
                case.escalated_by = Some(escalated.by.clone());
            })
        }
        Event::CaseDecided(decided) => decide(tx, recorded, decided),
        Event::CaseClosed(_) => change(tx, recorded, |case| case.state = CaseState::Closed),
        // It was decided after the report was made and before it had joined: the report is yet to be decided.
        Event::ReportJoined(_) => change(tx, recorded, |case| {
            reopen(case);
            case.pending += 1;
        }),
        Event::CaseOpened(_) | Event::ContentDisclosed(_) => Ok(()),
    }
}

/// What is newly reported opens a decided case again.
pub(super) fn reopen(case: &mut CaseRow) {
    if matches!(case.state, CaseState::Decided | CaseState::Closed) {
        case.state = CaseState::Open;
    }
}

fn decide(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    decided: &CaseDecided<'_>,
) -> Result<(), ApplyError> {
    put(tx, DECISIONS, recorded)?;
    let (mut first_upheld, mut reports) = (false, 0);
    change(tx, recorded, |case| {
        unclaim(case);
        case.revision += 1;
        reports = std::mem::take(&mut case.pending);
        case.escalated_by = None;
        // What nobody can appeal is over.
        case.state = match decided.appealable_until {
            Some(_) => CaseState::Decided,
            None => CaseState::Closed,
        };
        first_upheld = decided.action.upholds() && !case.was_upheld;
        case.was_upheld |= decided.action.upholds();
    })?;
    if first_upheld {
        let key = decided.reported.as_str().as_bytes();
        let mut member: MemberRow = load(tx, MEMBERS, key)?.unwrap_or_default();
        member.cases_upheld = member.cases_upheld.saturating_add(1);
        store(tx, MEMBERS, key, &member)?;
    }
    count(tx, decided, reports)?;
    match decided.act {
        Some(act) => bulk::done(tx, act, Step::Decision),
        None => Ok(()),
    }
}

/// Counts reports that are decided by this for who made them: all reports of a case are the other member's. A note of those
/// that were upheld stays, for a reversal.
fn count(tx: &mut Tx<'_>, decided: &CaseDecided<'_>, reports: u64) -> Result<(), ApplyError> {
    let key = decided.reporter.as_str().as_bytes();
    let mut reporter: MemberRow = load(tx, MEMBERS, key)?.unwrap_or_default();
    reporter.reports_decided += reports;
    if decided.action.upholds() {
        reporter.reports_upheld += reports;
        store(tx, UPHELD, decided.decision.0.as_bytes(), &reports)?;
    }
    store(tx, MEMBERS, key, &reporter)
}

fn unclaim(case: &mut CaseRow) {
    case.state = CaseState::Open;
    case.claimed_by = None;
    case.claimed_until = None;
}

fn change(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    change: impl FnOnce(&mut CaseRow),
) -> Result<(), ApplyError> {
    let id = case_of(recorded)?;
    let before: CaseRow = load(tx, CASES, id.0.as_bytes())?
        .context("an act on a case that no report made")
        .map_err(ApplyError::event)?;
    let mut after = before.clone();
    change(&mut after);
    if after == before {
        return Ok(());
    }
    place(tx, id, Some(&before), &after)
}

/// The case whose stream this is.
fn case_of(recorded: &RecordedEvent) -> Result<CaseId, ApplyError> {
    let id = recorded.stream().strip_prefix("case-");
    id.and_then(|id| id.parse().ok())
        .context("an event of a case stands on another stream")
        .map_err(ApplyError::event)
}

/// An event's place in its case's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    /// The version of the event.
    pub(crate) version: u64,
}

/// Notes an event of a case in a table.
fn put(tx: &mut Tx<'_>, table: &'static str, recorded: &RecordedEvent) -> Result<(), ApplyError> {
    let version = recorded.version();
    let key = Key::new()
        .fixed(case_of(recorded)?.0.as_bytes())
        .u64(version);
    store(tx, table, &key, &Placed { version })
}

/// The latest notes of a case, oldest first.
pub(crate) fn noted(reader: &Reader, case: CaseId, max: usize) -> anyhow::Result<Vec<Placed>> {
    placed(reader, NOTES, case, max)
}

/// The latest decisions on a case, oldest first.
pub(crate) fn decided(reader: &Reader, case: CaseId, max: usize) -> anyhow::Result<Vec<Placed>> {
    placed(reader, DECISIONS, case, max)
}

fn placed(
    reader: &Reader,
    table: &'static str,
    case: CaseId,
    max: usize,
) -> anyhow::Result<Vec<Placed>> {
    let mut placed = Vec::new();
    for row in reader
        .scan(table, &Span::prefix(case.0.as_bytes()), Order::Descending)?
        .take(max)
    {
        let (_, value) = row?;
        placed.push(decode(table, &value)?);
    }
    placed.reverse();
    Ok(placed)
}

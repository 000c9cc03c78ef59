//! What moderators do with a case: who holds it, who left it to another, what they noted.
//!
//! An act finds its case, which its first report made. Texts stay in the log.

use anyhow::Context;
use domain::case::Event;
use domain::ids::CaseId;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, Tx};

use super::{CASES, CaseRow, CaseState, NOTES, place};
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
            note(tx, recorded)?;
            let Some(until) = noted.claimed_until else {
                return Ok(());
            };
            change(tx, recorded, |case| case.claimed_until = Some(until.0))
        }
        Event::CaseEscalated(escalated) => {
            if !escalated.text.is_empty() {
                note(tx, recorded)?;
            }
            change(tx, recorded, |case| {
                unclaim(case);
                case.escalated_by = Some(escalated.by.clone());
            })
        }
        Event::CaseOpened(_) | Event::ReportJoined(_) | Event::ContentDisclosed(_) => Ok(()),
    }
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
    place(tx, id, Some(&before), &after)
}

/// The case whose stream this is.
fn case_of(recorded: &RecordedEvent) -> Result<CaseId, ApplyError> {
    let id = recorded.stream().strip_prefix("case-");
    id.and_then(|id| id.parse().ok())
        .context("an event of a case stands on another stream")
        .map_err(ApplyError::event)
}

/// A text's place in its case's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// The version of its event.
    pub(crate) version: u64,
}

fn note(tx: &mut Tx<'_>, recorded: &RecordedEvent) -> Result<(), ApplyError> {
    let key = Key::new()
        .fixed(case_of(recorded)?.0.as_bytes())
        .u64(recorded.version());
    let version = recorded.version();
    store(tx, NOTES, &key, &Noted { version })
}

/// The latest notes of a case, oldest first.
pub(crate) fn noted(reader: &Reader, case: CaseId, max: usize) -> anyhow::Result<Vec<Noted>> {
    let mut noted = Vec::new();
    for row in reader
        .scan(NOTES, &Span::prefix(case.0.as_bytes()), Order::Descending)?
        .take(max)
    {
        let (_, value) = row?;
        noted.push(decode(NOTES, &value)?);
    }
    noted.reverse();
    Ok(noted)
}

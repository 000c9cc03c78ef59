//! What moderators do with a case: who holds it, who left it to another, what they noted and decided, what was appealed and
//! what became of it.
//!
//! An act finds its case, which its first report made, or the suspension by hand that it is about. Texts stay in the log.

use anyhow::Context;
use domain::act::Step;
use domain::case::{
    CaseDecided, CaseReopened, DecisionReversed, Event, PriorityInputs, SuspensionFiled,
};
use domain::ids::{CaseId, ConversationId, DecisionId};
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, Tx};

use super::{
    CASES, CaseRow, CaseState, DECISIONS, MADE, MEMBERS, MemberRow, NOTES, bulk, counting, place,
};
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
        Event::DecisionAppealed(appealed) => {
            rule(tx, recorded, appealed.decision, |ruled, version| {
                ruled.appealed = Some(version);
            })?;
            change(tx, recorded, |case| {
                case.appeals.push((appealed.decision, recorded.at_ms()));
            })
        }
        Event::AppealDecided(appeal) => {
            rule(tx, recorded, appeal.decision, |ruled, version| {
                ruled.answered = Some(version);
            })?;
            change(tx, recorded, |case| answer(case, appeal.decision))
        }
        Event::DecisionReversed(reversed) => reverse(tx, recorded, reversed),
        // It was decided after the report was made and before it had joined: the report is yet to be decided.
        Event::ReportJoined(joined) => change(tx, recorded, |case| {
            if case.is_decided() && joined.over_limit {
                case.severity = joined.severity;
                case.over_limit = true;
            }
            reopen(case);
            case.pending += 1;
        }),
        Event::SuspensionFiled(filed) => file(tx, recorded, filed),
        Event::CaseReopened(reopened) => open_again(tx, recorded, reopened),
        Event::CaseOpened(_) | Event::ContentDisclosed(_) => Ok(()),
    }
}

/// Makes the case of a suspension by hand: decided, with no report, and for as long as it is there with no reporter but the
/// member and no conversation but the one with themself, in which nobody writes.
fn file(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    filed: &SuspensionFiled,
) -> Result<(), ApplyError> {
    let case = case_of(recorded)?;
    if load::<CaseRow>(tx, CASES, case.0.as_bytes())?.is_some() {
        return Ok(());
    }
    let key = Key::new().fixed(case.0.as_bytes()).u64(recorded.version());
    tx.put(MADE, filed.decision.0.as_bytes(), &key)?;
    store(tx, DECISIONS, &key, &Ruled::at(recorded.version(), 0, 0))?;
    let priority = PriorityInputs::OF_A_SUSPENSION;
    let member = &filed.reported;
    let conversation = ConversationId::of(member, member);
    let row = CaseRow {
        state: CaseState::Decided,
        severity: priority.severity,
        reporters: priority.reporters,
        upheld: priority.upheld,
        over_limit: priority.over_limit,
        ..CaseRow::opened(recorded, conversation, (member.clone(), member.clone()))
    };
    place(tx, case, None, &row)
}

/// What is newly reported, or asked for, opens a decided case again.
pub(super) fn reopen(case: &mut CaseRow) {
    if case.is_decided() {
        case.state = CaseState::Open;
    }
}

/// A moderator opened a decided case again: the reports that its latest decision decided wait once more, and count as decided
/// and upheld no more. What the decision did stands, and what it counted for the reported member with it.
fn open_again(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    reopened: &CaseReopened<'_>,
) -> Result<(), ApplyError> {
    if !reopened.text.is_empty() {
        put(tx, NOTES, recorded)?;
    }
    let case = case_of(recorded)?;
    let span = Span::prefix(case.0.as_bytes());
    let latest = tx.scan(DECISIONS, &span, Order::Descending)?.next();
    let latest = latest.transpose()?.map(|(key, _)| key.to_vec());
    let mut given_back = (0, 0);
    if let Some(key) = latest
        && let Some(mut ruled) = load::<Ruled>(tx, DECISIONS, &key)?
    {
        given_back = ruled.give_back();
        store(tx, DECISIONS, &key, &ruled)?;
    }
    let (decided, upheld) = given_back;
    change(tx, recorded, |case| {
        reopen(case);
        case.revision += 1;
        case.pending += decided;
    })?;
    count(tx, reopened.reporter.as_str(), |reporter| {
        reporter.reports_decided = reporter.reports_decided.saturating_sub(decided);
        reporter.reports_upheld = reporter.reports_upheld.saturating_sub(upheld);
    })
}

fn decide(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    decided: &CaseDecided<'_>,
) -> Result<(), ApplyError> {
    let case = case_of(recorded)?;
    let key = Key::new().fixed(case.0.as_bytes()).u64(recorded.version());
    tx.put(MADE, decided.decision.0.as_bytes(), &key)?;
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
        first_upheld = decided.action.upholds() && case.upheld_by == 0;
        case.upheld_by += u32::from(decided.action.upholds());
    })?;
    if first_upheld {
        count_upheld(tx, decided.reported.as_str(), |cases| {
            cases.saturating_add(1)
        })?;
    }
    let upheld = if decided.action.upholds() { reports } else { 0 };
    let ruled = Ruled::at(recorded.version(), reports, upheld);
    store(tx, DECISIONS, &key, &ruled)?;
    count(tx, decided.reporter.as_str(), |reporter| {
        reporter.reports_decided += reports;
        reporter.reports_upheld += upheld;
    })?;
    match decided.act {
        Some(act) => bulk::done(tx, act, Step::Decision),
        None => Ok(()),
    }
}

/// Counts reports for who made them: all reports of a case are the other member's.
fn count(
    tx: &mut Tx<'_>,
    reporter: &str,
    count: impl FnOnce(&mut MemberRow),
) -> Result<(), ApplyError> {
    let mut row: MemberRow = load(tx, MEMBERS, reporter.as_bytes())?.unwrap_or_default();
    count(&mut row);
    store(tx, MEMBERS, reporter.as_bytes(), &row)
}

/// What a decision changed is taken back: the case is open again where the event says so, and upheld no more where nothing
/// else that stands upheld it. What reports made of its place stays.
fn reverse(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    reversed: &DecisionReversed<'_>,
) -> Result<(), ApplyError> {
    let (mut decided, mut upheld) = (0, 0);
    rule(tx, recorded, reversed.decision, |ruled, version| {
        ruled.reversed = Some(version);
        upheld = std::mem::take(&mut ruled.upheld);
        if reversed.reopened {
            (decided, _) = ruled.give_back();
        }
    })?;
    let mut last_upheld = false;
    change(tx, recorded, |case| {
        answer(case, reversed.decision);
        if reversed.reopened {
            reopen(case);
            case.revision += 1;
            case.pending += decided;
        }
        last_upheld = reversed.action.upholds() && case.upheld_by == 1;
        case.upheld_by = case
            .upheld_by
            .saturating_sub(u32::from(reversed.action.upholds()));
    })?;
    if last_upheld {
        count_upheld(tx, reversed.reported.as_str(), |cases| {
            cases.saturating_sub(1)
        })?;
    }
    count(tx, reversed.reporter.as_str(), |reporter| {
        reporter.reports_decided = reporter.reports_decided.saturating_sub(decided);
        reporter.reports_upheld = reporter.reports_upheld.saturating_sub(upheld);
    })?;
    match reversed.act {
        Some(act) => bulk::done(tx, act, Step::Reversal),
        None => Ok(()),
    }
}

fn count_upheld(
    tx: &mut Tx<'_>,
    member: &str,
    count: impl FnOnce(u32) -> u32,
) -> Result<(), ApplyError> {
    let key = member.as_bytes();
    let mut row: MemberRow = load(tx, MEMBERS, key)?.unwrap_or_default();
    row.cases_upheld = count(row.cases_upheld);
    store(tx, MEMBERS, key, &row)
}

/// The appeal of this decision waits no more.
fn answer(case: &mut CaseRow, decision: DecisionId) {
    case.appeals.retain(|(appealed, _)| *appealed != decision);
}

/// Notes what became of a decision, at the version of the event that says so.
fn rule(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    decision: DecisionId,
    note: impl FnOnce(&mut Ruled, u64),
) -> Result<(), ApplyError> {
    let unknown = || ApplyError::event(anyhow::anyhow!("an event of a decision that none made"));
    let key = tx.get(MADE, decision.0.as_bytes())?;
    let key = key.ok_or_else(unknown)?.to_vec();
    let mut ruled: Ruled = load(tx, DECISIONS, &key)?.ok_or_else(unknown)?;
    note(&mut ruled, recorded.version());
    store(tx, DECISIONS, &key, &ruled)
}

fn unclaim(case: &mut CaseRow) {
    case.state = CaseState::Open;
    case.claimed_by = None;
    case.claimed_until = None;
}

/// Changes a case. One that waits by it is placed by the reports that its member had meanwhile.
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
    // What no report made, none moves.
    if after.waits() && !before.waits() && after.reporter != after.member {
        let member: Option<MemberRow> = load(tx, MEMBERS, after.member.as_str().as_bytes())?;
        after.reporters = member.as_ref().map_or(after.reporters, counting);
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

/// A decision on a case, and where it says what became of it: versions of events in the case's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ruled {
    /// Of the decision.
    pub(crate) version: u64,
    /// Of its appeal.
    pub(crate) appealed: Option<u64>,
    /// Of the answer to that.
    pub(crate) answered: Option<u64>,
    /// Of its reversal.
    pub(crate) reversed: Option<u64>,
    /// How many reports it decided that do not wait for another.
    decided: u64,
    /// How many of those it upheld, and is not reversed.
    upheld: u64,
}

impl Ruled {
    fn at(version: u64, decided: u64, upheld: u64) -> Self {
        Self {
            decided,
            upheld,
            version,
            appealed: None,
            answered: None,
            reversed: None,
        }
    }

    /// Lets its reports wait for another decision: how many it had decided, and upheld.
    fn give_back(&mut self) -> (u64, u64) {
        let decided = std::mem::take(&mut self.decided);
        (decided, std::mem::take(&mut self.upheld))
    }
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
pub(crate) fn decided(reader: &Reader, case: CaseId, max: usize) -> anyhow::Result<Vec<Ruled>> {
    placed(reader, DECISIONS, case, max)
}

fn placed<R: serde::de::DeserializeOwned>(
    reader: &Reader,
    table: &'static str,
    case: CaseId,
    max: usize,
) -> anyhow::Result<Vec<R>> {
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

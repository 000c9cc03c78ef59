//! Acts on many cases: how far each has come.
//!
//! Key: the act. The row counts the cases decided and reversed by it as their own events come, and keeps the places of the
//! act's few events; what was asked for, and what had moved on, is read there.

use anyhow::Context;
use domain::act::{self, PassedCase, Step};
use domain::case::Action;
use domain::event::Event;
use domain::ids::{ActId, MemberId, ReasonCode};
use domain::time::Timestamp;
use event_store::{EventStore, RecordedEvent, StreamName};
use serde::{Deserialize, Serialize};
use tables::{ApplyError, Tx};

use crate::rows::{fetch, load, store};
use crate::views::Views;
use crate::{Answer, QueryError, ViewName};

/// The table.
pub(super) const ACTS: &str = "acts";

/// An act on many cases of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The act.
    pub act_id: ActId,
    /// Whose cases.
    pub member: MemberId,
    /// What it does.
    pub action: Action,
    /// Until when; none where it has no end.
    pub until: Option<Timestamp>,
    /// The facts relied on.
    pub facts: String,
    /// How many cases it names.
    pub total: u64,
    /// Its decision, as far as it was carried out.
    pub decision: ActStep,
    /// Its reversal, where there is one.
    pub reversal: Option<ActStep>,
}

/// A step of an act, as far as it was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActStep {
    /// Which moderator.
    pub by: MemberId,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// On how many cases it is done so far.
    pub done: u64,
    /// Those that had moved on; told once all were gone through.
    pub moved_on: Vec<PassedCase>,
    /// Whether all were gone through.
    pub finished: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ActRow {
    decided: u64,
    reversed: u64,
    /// The versions of its events: what was asked for, and what came of it.
    events: Vec<u64>,
}

/// Takes an event of an act's own stream into its row.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &act::Event<'_>,
) -> Result<(), ApplyError> {
    let id = match event {
        act::Event::ContentDisclosed(_) | act::Event::EventSkipped(_) => return Ok(()),
        act::Event::CasesDecided(decided) => decided.act,
        act::Event::CasesReversed(reversed) => reversed.act,
        act::Event::ActCarriedOut(carried_out) => carried_out.act,
    };
    let mut row: ActRow = load(tx, ACTS, id.0.as_bytes())?.unwrap_or_default();
    row.events.push(recorded.version());
    store(tx, ACTS, id.0.as_bytes(), &row)
}

/// Counts a case that an act has decided, or whose decision it has reversed. As of a moment cases are shown without acts.
pub(super) fn done(tx: &mut Tx<'_>, act: ActId, step: Step) -> Result<(), ApplyError> {
    let Some(mut row) = load::<ActRow>(tx, ACTS, act.0.as_bytes())? else {
        return Ok(());
    };
    match step {
        Step::Decision => row.decided += 1,
        Step::Reversal => row.reversed += 1,
    }
    store(tx, ACTS, act.0.as_bytes(), &row)
}

/// An act, as far as it was carried out.
pub(crate) async fn query(reads: &dyn Views, id: ActId) -> Result<Answer<Act>, QueryError> {
    let reader = reads.reader(ViewName::ModerationQueue)?;
    let row: ActRow = fetch(&reader, ACTS, id.0.as_bytes())?.ok_or(QueryError::NotFound)?;
    let (mut shown, mut ended) = (None, Vec::new());
    for version in &row.events {
        let event = event(reads.log(), id, *version).await?;
        let at = Timestamp(event.at_ms());
        let decoded = domain::codec::decode(event.event_type(), event.data());
        match decoded.context("an event of an act cannot be read")? {
            Event::Act(act::Event::CasesDecided(decided)) => {
                shown = Some(decided_by(&decided, at, row.decided));
            }
            Event::Act(act::Event::CasesReversed(reversed)) => {
                if let Some(act) = &mut shown {
                    act.reversal = Some(reversed_by(&reversed, at, row.reversed));
                }
            }
            Event::Act(act::Event::ActCarriedOut(told)) => ended.push(told),
            Event::Act(act::Event::ContentDisclosed(_) | act::Event::EventSkipped(_))
            | Event::Conversation(_)
            | Event::Member(_)
            | Event::Case(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => {}
        }
    }
    let mut act = shown.context("an act was never asked for")?;
    for told in ended {
        let step = match told.step {
            Step::Decision => Some(&mut act.decision),
            Step::Reversal => act.reversal.as_mut(),
        };
        if let Some(step) = step {
            step.finished = true;
            // One reversed by itself before is no doing of this step.
            step.done = u64::from(told.done);
            step.moved_on = told.passed_over;
        }
    }
    Ok(Answer {
        value: act,
        position: reader.checkpoint().position,
    })
}

fn decided_by(decided: &act::CasesDecided<'_>, at: Timestamp, done: u64) -> Act {
    Act {
        act_id: decided.act,
        member: decided.member.clone(),
        action: decided.action,
        until: decided.until,
        facts: decided.facts.as_str().to_owned(),
        total: u64::try_from(decided.cases.len()).unwrap_or(u64::MAX),
        decision: ActStep {
            by: decided.by.clone(),
            reason: decided.reason.clone(),
            text: decided.text.as_str().to_owned(),
            at,
            done,
            moved_on: Vec::new(),
            finished: false,
        },
        reversal: None,
    }
}

fn reversed_by(reversed: &act::CasesReversed<'_>, at: Timestamp, done: u64) -> ActStep {
    ActStep {
        by: reversed.by.clone(),
        reason: reversed.reason.clone(),
        text: reversed.text.as_str().to_owned(),
        at,
        done,
        moved_on: Vec::new(),
        finished: false,
    }
}

async fn event(log: &dyn EventStore, id: ActId, version: u64) -> anyhow::Result<RecordedEvent> {
    let stream = StreamName::new(act::stream_of_act(id))?;
    let event = log.read_one(&stream, version).await?;
    event.context("an event of an act is gone")
}

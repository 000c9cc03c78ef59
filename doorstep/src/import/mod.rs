//! `import`: commands from newline-delimited JSON, strictly in the order of the file, with their own times.
//!
//! A run may end at any moment; the next one goes on where it was and does nothing twice, and its summary speaks of the
//! whole file. What a line left in the log is found by its command id, however long ago it was. A line that left nothing
//! (*unchanged*, *not found*) stands before one that did: it is decided on the state just before that one, to be counted,
//! and changes nothing. An id that left nothing is kept for the rest of the file: the same line again comes to the same,
//! and with other content it is a reused id. A line whose time the clock has not reached is told as refused
//! (`invalid_time`), which is not final: a run after that time carries it out.
//!
//! Commands are submitted one after the other without waiting for the disk; a second task waits for their outcomes in
//! the same order. What reactors and timers owe is done between the commands, by the write side; what falls due after
//! the last of them is left to whoever comes next, because the file may grow.

mod course;
mod left_nothing;
mod progress;
mod refusals;
mod source;

use std::collections::BTreeMap;

use anyhow::Context as _;
use commands::{CommandError, CommandHandler, Kind, Mode, Outcome, Pending};
use event_store::Position;
use serde::Serialize;
use tokio::sync::mpsc;

use course::{Course, Known};
use progress::Progress;
use refusals::{Named, Refusals, Why};
use source::{Input, RawLine};

pub(crate) use source::Source;

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::line::Line;
use crate::log::Log;
use crate::out;

/// Commands that are decided but not yet known to be durable, at most.
const PENDING_MAX: usize = 4096;
/// The code of an id that was used with other content.
const REUSED: &str = "command_id_reused";

/// What the summary says: of the whole file, whichever run carried a line out.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub(crate) lines: u64,
    pub(crate) carried_out: u64,
    pub(crate) unchanged: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) invalid: u64,
    pub(crate) position: Position,
}

impl Summary {
    fn count(&mut self, came: CameTo) {
        match came {
            CameTo::Done => self.carried_out += 1,
            CameTo::Unchanged => self.unchanged += 1,
            CameTo::Refused(code) => *self.refused.entry(code.to_owned()).or_insert(0) += 1,
        }
    }
}

/// What a line came to, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameTo {
    Done,
    Unchanged,
    Refused(&'static str),
}

impl CameTo {
    /// None for what stops an import.
    fn of(outcome: &Result<Outcome, CommandError>) -> Option<Self> {
        Some(match outcome {
            Ok(outcome) => match outcome.kind {
                Kind::Done => Self::Done,
                Kind::Unchanged => Self::Unchanged,
            },
            Err(CommandError::Refused(refusal)) => Self::Refused(refusal.code().as_str()),
            Err(CommandError::NotFound) => Self::Refused("not_found"),
            Err(CommandError::CommandIdReused) => Self::Refused(REUSED),
            Err(CommandError::InvalidTime(_)) => Self::Refused("invalid_time"),
            Err(CommandError::TooLarge) => Self::Refused("too_large"),
            Err(
                CommandError::RateLimited
                | CommandError::Busy
                | CommandError::StorageFull
                | CommandError::OutcomeUnknown
                | CommandError::StoreUnavailable(_)
                | CommandError::AboveLevel(_)
                | CommandError::Unreadable(_),
            ) => return None,
        })
    }
}

/// Runs `import`.
pub(crate) async fn run(args: &cli::Import) -> Done {
    // What is read and written must be there before a data folder is made for it.
    let input = Input::open(&args.file)?;
    let told = Refusals::open(args.refusals.as_ref(), &args.file)?;
    let folder = DataFolder::at(&args.folder.data);
    let log = Log::open(&folder, &args.store).await?;
    let store = log.store();
    // Before the write side begins a new log with its first policy.
    let began = store.durable_position();
    let handler = compose::start_commands(&folder, &store, Mode::Import).await?;
    let mut source = Source::new(input, began)?;
    let progress = Progress::new(source.bytes, source.lines_of, args.progress);
    let refusals = Refusals::new(told, progress.clone());
    let result = carry_out(&handler, &mut source, progress, refusals).await;
    handler.stop().await;
    log.close();
    let summary = result?;
    out::line(serde_json::to_string(&summary)?)?;
    if summary.invalid > 0 {
        Err(Failure::Told)
    } else {
        Ok(())
    }
}

/// Carries out lines at hand, without telling how far it is.
pub(crate) async fn carry_out_silently(
    handler: &CommandHandler,
    lines: &[Line],
) -> anyhow::Result<Summary> {
    let progress = Progress::silent();
    let refusals = Refusals::silent();
    carry_out(handler, &mut Source::of_lines(lines)?, progress, refusals).await
}

/// Carries out all lines of a source, and what follows from them.
async fn carry_out(
    handler: &CommandHandler,
    source: &mut Source,
    progress: Progress,
    refusals: Refusals,
) -> anyhow::Result<Summary> {
    let telling = progress.tell();
    let known = Known::find(handler, source, &progress).await?;
    progress.begin(false);
    let (submitted, pending) = mpsc::channel(PENDING_MAX);
    let counting = tokio::spawn(count(pending, refusals));
    let fed = feed(Course::new(handler, known), source, &submitted, &progress).await;
    drop(submitted);
    let (mut summary, refusals) = counting.await.context("counting ended early")??;
    summary.lines = fed?;
    handler.drain_reactors().await?;
    drop(telling);
    progress.finish();
    refusals.finish()?;
    Ok(summary)
}

/// A line on its way to be counted.
enum Counted {
    /// Decided in this run, perhaps not durable yet.
    Now(Pending),
    /// Decided in an earlier run.
    Then(Result<Outcome, CommandError>),
    /// Told by an earlier line.
    Again(CameTo, u64),
    /// It cannot be read, for this reason.
    Invalid(String),
}

/// Submits the lines in order, and gives how many there were.
async fn feed(
    mut course: Course<'_>,
    source: &mut Source,
    submitted: &mpsc::Sender<(Named, Counted)>,
    progress: &Progress,
) -> anyhow::Result<u64> {
    let mut lines = 0;
    while let Some(RawLine {
        number,
        ends_at,
        text,
    }) = source.next_line()?
    {
        lines += 1;
        progress.at(number, ends_at);
        let known = text.as_ref().ok().copied();
        let parsed = text.and_then(|text| Line::parse(text).map_err(|error| error.to_string()));
        let counted = match parsed {
            Ok(line) => {
                let envelope = line.envelope();
                let named = Named {
                    line: number,
                    id: Some(envelope.command_id.as_str().to_owned()),
                    member: Some(envelope.actor.as_str().to_owned()),
                    command: Some(envelope.command.name().to_owned()),
                };
                (named, course.take(number, envelope).await?)
            }
            Err(reason) => (Named::of_invalid(number, known), Counted::Invalid(reason)),
        };
        if submitted.send(counted).await.is_err() {
            // Counting has ended with an error, which tells why.
            return Ok(lines);
        }
    }
    Ok(lines)
}

/// The last event that a line left, or stood on.
fn position_of(decided: &Result<Outcome, CommandError>) -> Position {
    match decided {
        Ok(outcome) => outcome.position,
        Err(CommandError::Refused(refusal)) => refusal.position,
        Err(_) => Position::START,
    }
}

/// Waits for the outcomes in their order, counts them, and tells of those that are refused.
async fn count(
    mut pending: mpsc::Receiver<(Named, Counted)>,
    mut refusals: Refusals,
) -> anyhow::Result<(Summary, Refusals)> {
    let mut summary = Summary::default();
    while let Some((line, counted)) = pending.recv().await {
        let outcome = match counted {
            Counted::Now(pending) => pending.durable().await,
            Counted::Then(outcome) => outcome,
            Counted::Again(came, first) => {
                summary.count(came);
                if let CameTo::Refused(code) = came {
                    refusals.refused(&line, &Why::again(code, first))?;
                }
                continue;
            }
            Counted::Invalid(reason) => {
                summary.invalid += 1;
                refusals.invalid(&line, &reason)?;
                continue;
            }
        };
        let Some(came) = CameTo::of(&outcome) else {
            outcome.context("the import stopped; run it again to go on where it is")?;
            continue;
        };
        summary.position = summary.position.max(position_of(&outcome));
        summary.count(came);
        if let (CameTo::Refused(code), Err(error)) = (came, &outcome) {
            refusals.refused(&line, &Why::of(code, error))?;
        }
    }
    Ok((summary, refusals))
}

//! The way through the lines: which of them an earlier run carried out, and what each comes to now.
//!
//! What a line left in the log is found by its command id. A line that left nothing stands before one that did: it is
//! decided on the state just before that one, to be counted, and changes nothing.

use std::collections::HashSet;

use commands::{CommandError, CommandHandler, Envelope, Outcome};
use domain::time::Timestamp;
use event_store::Position;

use super::left_nothing::LeftNothing;
use super::progress::Progress;
use super::source::{RawLine, Source};
use super::{CameTo, Counted, REUSED};
use crate::line::Line;

/// The way through the lines.
pub(super) struct Course<'a> {
    handler: &'a CommandHandler,
    known: Known,
    /// Marks of the lines so far.
    passed: usize,
    /// The latest time of the lines since the last mark: what timers were due by.
    time: Option<Timestamp>,
    /// Where the command that a killed run did not come to begins in the log, until this run comes to it.
    unfinished: Option<Position>,
    left_nothing: LeftNothing,
}

impl<'a> Course<'a> {
    /// From the first line on.
    pub(super) fn new(handler: &'a CommandHandler, known: Known) -> Self {
        Self {
            handler,
            unfinished: handler.unfinished(),
            known,
            passed: 0,
            time: None,
            left_nothing: LeftNothing::default(),
        }
    }

    /// Carries out a line, or finds what it came to.
    pub(super) async fn take(
        &mut self,
        number: u64,
        envelope: Envelope,
    ) -> anyhow::Result<Counted> {
        let (id, content) = envelope.ids();
        if let Some(first) = self.left_nothing.first(id) {
            return Ok(if first.is_of(content) {
                Counted::Again(first.came, first.line)
            } else {
                Counted::Then(Err(CommandError::CommandIdReused))
            });
        }
        let then = self.decided_then(number, &envelope).await;
        let counted = match then {
            Some(outcome) => Counted::Then(outcome),
            None => match self.handler.submit(envelope).await {
                Ok(pending) => Counted::Now(pending),
                Err(error) => Counted::Then(Err(error)),
            },
        };
        let outcome = match &counted {
            Counted::Now(pending) => pending.decided(),
            Counted::Then(outcome) => outcome,
            Counted::Again(..) | Counted::Invalid(_) => return Ok(counted),
        };
        if !self.known.log_has(number)
            && matches!(counted, Counted::Now(_))
            && !matches!(outcome, Err(CommandError::InvalidTime(_)))
        {
            self.unfinished = None;
        }
        match CameTo::of(outcome) {
            // The log has it, or its first use is told apart already.
            None | Some(CameTo::Done | CameTo::Refused(REUSED)) => {}
            Some(came) => self.left_nothing.add(id, content, came, number),
        }
        Ok(counted)
    }

    /// What a line that left nothing came to in an earlier run; none where it was not decided then.
    async fn decided_then(
        &mut self,
        number: u64,
        envelope: &Envelope,
    ) -> Option<Result<Outcome, CommandError>> {
        let mark = loop {
            match self.known.marks.get(self.passed) {
                Some(mark) if mark.line <= number => {
                    self.passed += 1;
                    self.time = None;
                }
                mark => break mark.copied(),
            }
        };
        if self.known.log_has(number) {
            return None;
        }
        self.time = self.time.max(envelope.at);
        let time = self.time?;
        let moments = match mark {
            Some(mark) => [
                Some(mark.before),
                Some(mark.first).filter(|first| *first < mark.before),
            ],
            None => [self.unfinished, None],
        };
        for moment in moments.into_iter().flatten() {
            let then = self
                .handler
                .decide_as_of(envelope.clone(), moment, time)
                .await;
            let Some(outcome) = then.transpose() else {
                continue;
            };
            // The run that was killed may not have come to all timers that this line lets fire.
            if mark.is_none()
                && let Some(at) = envelope.at
                && let Err(error) = self.handler.run_timers(at).await
            {
                return Some(Err(error));
            }
            return Some(outcome);
        }
        // Not decided then after all: the line was not in the file yet, or is the one to go on with.
        None
    }
}

/// What the log has of the lines.
#[derive(Default)]
pub(super) struct Known {
    /// By line number, whether the log has its id.
    found: Vec<bool>,
    /// The lines that left something, in the order of the file.
    marks: Vec<Mark>,
}

/// A line that left something.
#[derive(Clone, Copy)]
struct Mark {
    line: u64,
    /// Just before what it left.
    before: Position,
    /// The lowest of that of this line and all after it: they differ where lines were put between those of an earlier
    /// import.
    first: Position,
}

impl Known {
    /// Looks every line up in the log, and goes back to the first one.
    pub(super) async fn find(
        handler: &CommandHandler,
        source: &mut Source,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let mut known = Self::default();
        if !source.may_be_known {
            return Ok(known);
        }
        let mut positions = HashSet::new();
        progress.begin(true);
        while let Some(RawLine {
            number,
            ends_at,
            text,
        }) = source.next_line()?
        {
            progress.at(number, ends_at);
            let Some(line) = text.ok().and_then(|text| Line::parse(text).ok()) else {
                continue;
            };
            let envelope = line.envelope();
            let trace = handler.trace(&envelope.actor, &envelope.command_id).await?;
            let Some(trace) = trace else {
                continue;
            };
            known.found.resize(usize::try_from(number)?, false);
            known.found.push(true);
            // A line that repeats another one, or uses its id again, left nothing itself.
            let (_, content) = envelope.ids();
            if content == trace.content && positions.insert(trace.position) {
                known.marks.push(Mark {
                    line: number,
                    before: trace.before,
                    first: trace.before,
                });
            }
        }
        let mut first = Position(u64::MAX);
        for mark in known.marks.iter_mut().rev() {
            first = first.min(mark.before);
            mark.first = first;
        }
        source.rewind()?;
        Ok(known)
    }

    /// Whether the log has the id of a line.
    fn log_has(&self, number: u64) -> bool {
        usize::try_from(number)
            .ok()
            .and_then(|number| self.found.get(number))
            == Some(&true)
    }
}

//! A command that is so already: how it is answered, and what keeps that it was.
//!
//! Promise: it is answered with the position of the event that made it so, 0 if none did, and a repetition gives the same,
//! whatever happened since. Where this program is the only one that writes the log, a file beside it keeps the outcome
//! (`kept.rs`). Where nodes share the log that file is one node's own; so the outcome is an event there, on the stream it was
//! decided on. An event at that version also settles a race: of two nodes that are asked the same command while it turns from
//! being so to not being so, one finds the other's event, and answers as that one did.

use std::borrow::Cow;
use std::sync::Arc;

use domain::codec::COMMAND_UNCHANGED_SINCE;
use domain::event::Event;
use domain::unchanged::CommandUnchanged;
use event_store::{Position, StreamName};

use crate::aggregate::State;
use crate::counters::command_name;
use crate::job::{Job, Origin};
use crate::outcomes::{MadeSo, told_then};
use crate::shared::Shared;
use crate::steps::give_slot_back;
use crate::task::member_of;
use crate::worker::{Desk, Entry, Message};
use crate::{CommandError, Kind, Mode, Outcome};

impl Desk<'_> {
    /// The event that keeps that this command is so already; none where nobody else can be asked it, its id was not given by a
    /// client, the log's level has no such events, or its actor has enough of them. None of an act either: what is so there
    /// stays so, by the same event, and every node finds that.
    pub(crate) fn kept_by_event(&self, entry: &Entry, job: &mut Job) -> Option<Event<'static>> {
        let shared = self.shared;
        let Origin::Command { actor, .. } = &job.origin else {
            return None;
        };
        let has_a_place = shared.others_write()
            && shared.options.mode == Mode::Service
            && shared.store.schema_level() >= COMMAND_UNCHANGED_SINCE
            && !matches!(entry.aggregate.state, State::Act(_))
            && job.claim.as_ref().is_some_and(|claim| claim.id_given);
        if !has_a_place {
            return None;
        }
        if !job.counted.unchanged {
            let arrived = shared.options.clock.now();
            job.counted.unchanged = shared.kept.admits(actor.as_arc(), arrived);
        }
        if !job.counted.unchanged {
            return None;
        }
        let state = &entry.aggregate.state;
        let answer = job
            .task
            .answer_unchanged(state, &job.stream, &shared.facts.policy());
        let named = job.task.refusal(actor);
        let (by, other) = named.map_or_else(|| (actor.clone(), None), |(_, by, other)| (by, other));
        // Who acts on another member's stream acts towards them.
        let other = other.or_else(|| member_of(&job.stream).filter(|member| *member != by));
        Some(Event::Unchanged(CommandUnchanged {
            command: Cow::Borrowed(command_name(&job.task)),
            by,
            other,
            since: job.task.already(state),
            told: told_then(&answer),
        }))
    }

    /// A command that is so already, and of which nothing is written.
    pub(crate) fn unchanged(&mut self, entry: &Entry, job: Box<Job>, decided_on: Position) {
        let policy = self.shared.facts.policy();
        let aggregate = &entry.aggregate;
        let outcome = Outcome {
            position: Position::START,
            kind: Kind::Unchanged,
            repeated: false,
            answer: job
                .task
                .answer_unchanged(&aggregate.state, &job.stream, &policy),
        };
        give_slot_back(self.shared, &job, &[]);
        let already = job.task.already(&aggregate.state);
        let made_so = already.map_or(MadeSo::ByNothing, MadeSo::By);
        let held = (aggregate.version, aggregate.position);
        self.was_so(job, made_so, held, outcome, decided_on);
    }

    /// Answers with the position of the event that made it so. `held` is the version that it was decided on, and its
    /// position.
    pub(crate) fn was_so(
        &mut self,
        job: Box<Job>,
        made_so: MadeSo,
        held: (Option<u64>, Position),
        outcome: Outcome,
        decided_on: Position,
    ) {
        let at = move |position| Outcome {
            position,
            ..outcome
        };
        match made_so {
            MadeSo::ByNothing => self.conclude(job, Ok(at(Position::START)), decided_on),
            MadeSo::By(version) if held.0 == Some(version) => {
                self.conclude(job, Ok(at(held.1)), decided_on);
            }
            MadeSo::By(version) => {
                let (shared, messages) = (Arc::clone(self.shared), self.messages.clone());
                tokio::spawn(async move {
                    let durable = shared.store.wait_durable(decided_on).await;
                    let by = Arc::clone(&shared);
                    by.loading.aside(async move {
                        let position = match durable {
                            Ok(()) => position_of(&shared, &job.stream, version).await,
                            Err(error) => Err(error.into()),
                        };
                        let result = position.map(at);
                        let _ = messages.send(Message::Concluded(job, result, decided_on));
                    });
                });
            }
        }
    }
}

async fn position_of(
    shared: &Shared,
    stream: &StreamName,
    version: u64,
) -> Result<Position, CommandError> {
    let record = shared.store.read_one(stream, version).await?;
    Ok(record.map_or(Position::START, |record| record.position()))
}

//! How the reactor `cases` carries out what is decided on many cases at once.
//!
//! Promise: each case of the act is decided once, on its own stream, or passed over because it had moved on; what the act
//! does to its member is done once, where any case was decided; at the end one event of the act's stream says what came of
//! it. A kill anywhere on the way leaves each target with what it has: gone through again, the cases decided before are so
//! already, and an act that was gone through whole is left alone.

use domain::act::{self, ActCarriedOut, CasesDecided, MovedOn, PassedCase, Step};
use domain::case::{self, Action, DecideByAct, Ruling};
use domain::ids::{ActId, DecisionId};
use domain::member::{self, RestrictMember, Restriction};
use domain::time::Timestamp;
use domain::{Event, codec};
use event_store::{Direction, Position, RecordedEvent, StreamFrom};

use crate::CommandError;
use crate::aggregate::stream_name;
use crate::reactors::{Cases, Trouble};
use crate::task::Task;

/// Events of an act's stream read at once: what is asked for and what came of it, twice, and refusals between.
const PAGE_EVENTS: usize = 64;

impl Cases {
    /// Decides the cases of an act, and does to its member what it does.
    pub(crate) async fn decide_cases(
        &self,
        record: &RecordedEvent,
        decided: &CasesDecided<'_>,
    ) -> Result<Position, Trouble> {
        if let Some(done) = self.carried_out(decided.act, Step::Decision).await? {
            return Ok(done);
        }
        let mut position = record.position();
        let mut done = 0;
        let mut passed_over = Vec::new();
        for seen in &decided.cases {
            let command = DecideByAct {
                act: decided.act,
                decision: decided.decision_on(seen.case),
                by: decided.by.clone(),
                member: decided.member.clone(),
                revision: seen.revision,
                ruling: ruling(decided),
                at: Timestamp(record.at_ms()),
            };
            let task = Task::Case(case::Command::DecideByAct(command));
            match self.effect(record, case::stream(seen.case), task).await {
                Ok(reached) => {
                    done += 1;
                    position = position.max(reached);
                }
                Err(trouble) => passed_over.push(PassedCase {
                    case: seen.case,
                    why: passed(trouble)?,
                }),
            }
        }
        if done > 0
            && let Some(restrict) = restriction_of(decided)
        {
            let stream = member::stream(&decided.member);
            let task = Task::Member(member::Command::RestrictMember(restrict));
            position = position.max(self.effect(record, stream, task).await?);
        }
        let told = ActCarriedOut {
            act: decided.act,
            member: decided.member.clone(),
            step: Step::Decision,
            done,
            passed_over,
        };
        let task = Task::Act(act::Command::CarryOut(told));
        let reached = self.effect(record, act::stream_of_act(decided.act), task);
        Ok(position.max(reached.await?))
    }

    /// Where an act's stream says that a step of it was carried out.
    async fn carried_out(&self, act: ActId, step: Step) -> Result<Option<Position>, Trouble> {
        let stream = stream_name(act::stream_of_act(act));
        let read = self.shared.store.read_stream(
            &stream,
            StreamFrom::End,
            Direction::Backward,
            PAGE_EVENTS,
        );
        let events = read
            .await
            .map_err(|error| Trouble::Passing(CommandError::from(error)))?;
        for event in &events {
            let decoded = codec::decode(event.event_type(), event.data())
                .map_err(|error| Trouble::Lasting(error.to_string()))?;
            if let Event::Act(act::Event::ActCarriedOut(told)) = decoded
                && told.step == step
            {
                return Ok(Some(event.position()));
            }
        }
        Ok(None)
    }
}

/// Why a case was passed over, where it was.
fn passed(trouble: Trouble) -> Result<MovedOn, Trouble> {
    match trouble {
        Trouble::Refused(refusal) => match refusal.rejection.moved_on() {
            Some(why) => Ok(why),
            None => Err(Trouble::Refused(refusal)),
        },
        trouble @ (Trouble::Passing(_) | Trouble::Lasting(_)) => Err(trouble),
    }
}

fn ruling(decided: &CasesDecided<'_>) -> Ruling {
    Ruling {
        action: decided.action,
        until: decided.until,
        messages: Vec::new(),
        reason: decided.reason.clone(),
        text: decided.text.as_str().to_owned(),
        facts: decided.facts.as_str().to_owned(),
    }
}

/// What an act does to its member, once for all of its cases.
fn restriction_of(decided: &CasesDecided<'_>) -> Option<RestrictMember> {
    let restriction = match decided.action {
        Action::Nothing | Action::Warn | Action::RemoveMessages => return None,
        Action::Limit => Restriction::Limit,
        Action::Suspend => Restriction::Suspension,
    };
    Some(RestrictMember {
        member: decided.member.clone(),
        decision: DecisionId::of_act(decided.act),
        by: decided.by.clone(),
        restriction,
        until: decided.until,
        reason: decided.reason.clone(),
        text: decided.text.as_str().to_owned(),
    })
}

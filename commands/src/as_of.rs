//! A command decided again on the state of an earlier moment, writing nothing.
//!
//! `import` needs it: a line that left no trace (it was so already, or refused by itself) was decided before the lines
//! after it that did. Deciding it on what they made true would change what a second run does. So it is decided on the
//! streams as they were up to the last trace before it.

use std::sync::Arc;

use domain::ids::MemberId;
use domain::member;
use domain::rejection::Code;
use event_store::{Position, StreamName};

use crate::aggregate::{Aggregate, State, policy_stream, stream_name};
use crate::facts::{MemberFact, PolicyFact};
use crate::routing::of_command;
use crate::shared::Shared;
use crate::task::FactsInHand;
use crate::{CommandError, Envelope, Kind, Outcome, Refusal, messages};

/// What the command came to if it was decided before: none where it would write events, so that it never was.
pub(crate) async fn decide(
    shared: &Shared,
    envelope: Envelope,
    as_of: Position,
) -> Result<Option<Outcome>, CommandError> {
    let Envelope {
        actor,
        command_id,
        at,
        command,
    } = envelope;
    let (stream, mut task) = of_command(command, &actor, &command_id, &shared.facts.policy());
    let aggregate = fold(shared, &stream, as_of).await?;
    let [by, other] = task.members_needed(&aggregate.state);
    let facts = FactsInHand {
        by: member(shared, by.as_ref(), as_of).await?,
        other: member(shared, other.as_ref(), as_of).await?,
        policy: Some(Arc::new(policy(shared, as_of).await?)),
    };
    let at = at.unwrap_or_else(|| shared.options.clock.now().max(aggregate.at));
    if at < aggregate.at {
        return Err(CommandError::InvalidTime);
    }
    if let Some((numbers, asking)) = task.messages_named() {
        let head = aggregate.version;
        let found = messages::look_up(
            &*shared.store,
            &shared.view,
            &stream,
            head,
            &numbers,
            asking,
        )
        .await?;
        task.put_messages(found);
    }
    task.put_facts(&facts, at, Some(&command_id));
    match task.decide(&aggregate.state) {
        Ok(events) if events.is_empty() => {
            let position = match task.already(&aggregate.state) {
                Some(version) => shared.store.read_one(&stream, version).await?,
                None => None,
            };
            let position = position.map_or(Position::START, |record| record.position());
            let fact = facts
                .policy
                .as_deref()
                .cloned()
                .unwrap_or_else(|| (*shared.facts.policy()).clone());
            let answer = task.answer_unchanged(&aggregate.state, &stream, &fact);
            Ok(Some(Outcome {
                position,
                kind: Kind::Unchanged,
                repeated: true,
                answer,
            }))
        }
        Ok(_) => Ok(None),
        Err(rejection) if matches!(rejection.code(), Code::SlotNeeded | Code::CountNeeded) => {
            Ok(None)
        }
        Err(rejection) if rejection.code() == Code::NotFound => Err(CommandError::NotFound),
        Err(rejection) if rejection.recorded() && task.refusal(&actor).is_some() => Ok(None),
        Err(rejection) => {
            let refusal = Refusal {
                rejection,
                position: aggregate.position,
                repeated: true,
            };
            Err(CommandError::Refused(Box::new(refusal)))
        }
    }
}

async fn fold(
    shared: &Shared,
    stream: &StreamName,
    as_of: Position,
) -> Result<Aggregate, CommandError> {
    let mut aggregate = Aggregate::empty(stream).ok_or(CommandError::NotFound)?;
    aggregate
        .catch_up(&*shared.store, stream, Some(as_of), |_| {})
        .await?;
    Ok(aggregate)
}

async fn member(
    shared: &Shared,
    member: Option<&MemberId>,
    as_of: Position,
) -> Result<Option<Arc<MemberFact>>, CommandError> {
    let Some(member) = member else {
        return Ok(None);
    };
    let stream = stream_name(member::stream(member));
    let Aggregate {
        state,
        version,
        position,
        ..
    } = fold(shared, &stream, as_of).await?;
    let State::Member(state) = state else {
        return Ok(None);
    };
    Ok(Some(Arc::new(MemberFact {
        stream,
        version,
        position,
        state,
    })))
}

async fn policy(shared: &Shared, as_of: Position) -> Result<PolicyFact, CommandError> {
    let aggregate = fold(shared, &policy_stream(), as_of).await?;
    let newest = shared.facts.policy();
    let in_force = match &aggregate.state {
        State::Policy(state) => state.in_force().cloned(),
        State::Conversation(_) | State::Member(_) | State::Case(_) | State::Reactor(_) => None,
    };
    Ok(PolicyFact {
        version: aggregate.version,
        position: aggregate.position,
        in_force: in_force.unwrap_or_else(|| newest.in_force.clone()),
    })
}

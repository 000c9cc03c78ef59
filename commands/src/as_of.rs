//! A command decided again on the state of an earlier moment, writing nothing.
//!
//! `import` needs it: a line that left no trace (it was so already, or refused by itself) was decided before the lines
//! after it that did. Deciding it on what they made true would change what a second run does. So it is decided on the
//! streams as they were just before the next trace; of the timers that fired there, those that were due by then had.

use std::sync::Arc;

use domain::ids::MemberId;
use domain::member;
use domain::rejection::Code;
use domain::time::Timestamp;
use event_store::{Direction, Position, StreamFrom, StreamName};

use crate::aggregate::{Aggregate, State, policy_stream, stream_name};
use crate::archive::is_timed;
use crate::facts::{MemberFact, PolicyFact};
use crate::handler::AHEAD_MS_MAX;
use crate::routing::of_command;
use crate::shared::Shared;
use crate::task::FactsInHand;
use crate::{CommandError, Envelope, Kind, Outcome, Refusal, WrongTime, messages};

/// Timers read at once.
const TIMERS_PAGE: usize = 8;

/// What the command came to if it was decided before: none where it would write events, or is too far ahead of the
/// clock, so that it never was. Timers that fired right after `as_of` had fired, if they were due by `time`.
pub(crate) async fn decide(
    shared: &Shared,
    envelope: Envelope,
    as_of: Position,
    time: Timestamp,
) -> Result<Option<Outcome>, CommandError> {
    if envelope
        .at
        .is_some_and(|at| at.since_ms(shared.options.clock.now()) > AHEAD_MS_MAX)
    {
        return Ok(None);
    }
    let as_of = after_timers(shared, as_of, time).await?;
    let Envelope {
        actor,
        command_id,
        at,
        command,
        ..
    } = envelope;
    let policy = Arc::new(policy(shared, as_of).await?);
    let (stream, mut task) = of_command(command, &actor, &command_id, &policy);
    let aggregate = fold(shared, &stream, as_of).await?;
    let [by, other] = task.members_needed(&aggregate.state);
    let facts = FactsInHand {
        by: member(shared, by.as_ref(), as_of).await?,
        other: member(shared, other.as_ref(), as_of).await?,
        policy: task.needs_policy().then(|| Arc::clone(&policy)),
    };
    let at = at.unwrap_or_else(|| shared.options.clock.now().max(aggregate.at));
    if at < aggregate.at {
        return Err(CommandError::InvalidTime(WrongTime::BeforeLast));
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
            let answer = task.answer_unchanged(&aggregate.state, &stream, &policy);
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
                position: aggregate.position.max(facts.position()),
                repeated: true,
            };
            Err(CommandError::Refused(Box::new(refusal)))
        }
    }
}

/// The position after the timers that fired after a position, up to a time.
async fn after_timers(
    shared: &Shared,
    mut position: Position,
    time: Timestamp,
) -> Result<Position, CommandError> {
    loop {
        let page = shared
            .store
            .read_all(position, TIMERS_PAGE, usize::MAX)
            .await?;
        if page.is_empty() {
            return Ok(position);
        }
        for record in &page {
            if !is_timed(record.event_type()) || record.at_ms() > time.0 {
                return Ok(position);
            }
            position = record.position();
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
    if let Some(fact) = in_force(&aggregate) {
        return Ok(fact);
    }
    // Before the log's first event the rules are those that it begins with.
    let stream = policy_stream();
    let first = shared
        .store
        .read_stream(&stream, StreamFrom::Start, Direction::Forward, 1)
        .await?;
    let mut aggregate = Aggregate::empty(&stream).ok_or(CommandError::NotFound)?;
    for record in &first {
        aggregate.fold(record)?;
    }
    in_force(&aggregate).ok_or_else(|| CommandError::Unreadable("the log has no policy".to_owned()))
}

fn in_force(aggregate: &Aggregate) -> Option<PolicyFact> {
    let in_force = match &aggregate.state {
        State::Policy(state) => state.in_force()?.clone(),
        State::Conversation(_)
        | State::Member(_)
        | State::Case(_)
        | State::Reactor(_)
        | State::Act(_) => {
            return None;
        }
    };
    Some(PolicyFact {
        version: aggregate.version,
        position: aggregate.position,
        in_force,
    })
}

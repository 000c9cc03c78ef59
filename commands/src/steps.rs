//! Steps of a command on other streams: a slot of the daily limit, taken or given back, and a report counted.
//!
//! A step bears the ids of its command, so that a retry finds what an earlier try has done. When one is taken, and that
//! the command is decided again after it, stands in `deciding.rs`; what one does is the domain's.

use std::sync::Arc;

use domain::Event;
use domain::conversation::{Command as ConversationCommand, Event as ConversationEvent, Slot};
use domain::ids::MemberId;
use domain::member;
use domain::time::Timestamp;
use event_store::StreamName;

use crate::aggregate::stream_name;
use crate::job::{At, InFlight, Job, Origin, Place, Reply};
use crate::shared::Shared;
use crate::task::{Task, conversation_of};

/// A step on the way of a command, on another stream, for which nobody waits.
pub(crate) fn step_on(
    in_flight: &Arc<InFlight>,
    stream: StreamName,
    command: member::Command,
    origin: &Origin,
    at: At,
) -> Job {
    let mut origin = origin.clone();
    if let Origin::Command { step, .. } = &mut origin {
        *step = true;
    }
    let at = match at {
        At::Clock => At::Clock,
        At::Given(at) | At::NotBefore(at) => At::NotBefore(at),
    };
    let place = Place::beyond(in_flight);
    Job::new(
        stream,
        Task::Member(command),
        origin,
        at,
        Reply::Nobody,
        place,
    )
}

/// Gives back the slot that a command took and did not use; nothing where it holds none.
pub(crate) fn slot_return(
    in_flight: &Arc<InFlight>,
    member: &MemberId,
    origin: &Origin,
    at: At,
) -> Option<Job> {
    let command = member::Command::ReturnRequestSlot {
        member: member.clone(),
        command_id: origin.command_id()?.clone(),
    };
    let stream = stream_name(member::stream(member));
    Some(step_on(in_flight, stream, command, origin, at))
}

/// A slot was taken, but the message opened nothing: the slot goes back.
pub(crate) fn give_slot_back(shared: &Arc<Shared>, job: &Job, events: &[Event<'static>]) {
    let Task::Conversation(ConversationCommand::SendMessage(send)) = &job.task else {
        return;
    };
    let opened = events.iter().any(|event| {
        matches!(
            event,
            Event::Conversation(ConversationEvent::RequestOpened(_))
        )
    });
    let Some(command_id) = job.origin.command_id().filter(|_| !opened) else {
        return;
    };
    // It may have been taken for another recipient, by a try that a crash ended.
    let sender = shared.facts.member(&send.from);
    if send.slot != Slot::Taken
        && sender.is_none_or(|fact| !fact.state.has_slot(command_id, None, send.at))
    {
        return;
    }
    if let Some(returned) = slot_return(&shared.in_flight, &send.from, &job.origin, job.at) {
        shared.dispatch(Box::new(returned));
    }
}

/// The step that this command needs on its actor's stream.
pub(crate) fn step_of(
    command: &ConversationCommand,
    job: &Job,
    policy: domain::policy::InForce,
) -> Option<member::Command> {
    let at = Timestamp::EPOCH;
    if let ConversationCommand::SendMessage(send) = command {
        let (member, conversation) = (send.from.clone(), conversation_of(&job.stream)?);
        let command_id = job.origin.command_id()?.clone();
        Some(member::Command::TakeRequestSlot {
            member,
            conversation,
            command_id,
            policy,
            at,
        })
    } else if let ConversationCommand::ReportMessage(report) = command {
        let (member, report_id) = (report.by.clone(), report.report_id);
        Some(member::Command::CountReport {
            member,
            report_id,
            policy,
            at,
        })
    } else {
        None
    }
}

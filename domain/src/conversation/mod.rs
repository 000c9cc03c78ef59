//! Everything between two members: who may write, what waits on the doorstep, what was reported.
//!
//! Protects, against every race between the two (send, accept, delete, block, follow, report, unsend):
//! - a message reaches its recipient only by acceptance, by their own message, or as the audience table says; what a
//!   block or a cooldown keeps away is withheld, for ever;
//! - message numbers are dense from 1, withheld messages included;
//! - a request holds at most as many messages as the policy says until its recipient accepts;
//! - a message is in at most one report of each member.
//!
//! Stream `conversation-{uuid}`, the uuid being [`ConversationId::of`] the two. Its events are in [`event`](Event), what
//! bounds its state in [`State`], its commands in [`Command`]; `send`, `requests` and `report` hold the rules.
//!
//! Decided here, where the domain's page is silent: a read mark is held against the last message its member can see, so
//! that numbers of withheld messages do not show; blocks and relationships need no message and no registration. A message
//! that moderators removed keeps its number and its place in every list, as an unsent one of an accepted thread does: what it
//! said is gone, until the decision is reversed. It can be unsent and reported as before. All decisions on one member here come from one case, in the order of
//! its versions, so *carried out already* is *not above that version*.

mod command;
mod event;
mod given;
mod report;
mod requests;
mod send;
mod snapshot;
mod state;

#[cfg(test)]
mod spec;

pub use command::{
    AcceptRequest, BlockMember, Command, Count, DeleteRequest, MarkRead, MessageFacts,
    MoveToRequests, MuteConversation, NamedMessage, RecordRelationship, RemoveMessages,
    ReportMessage, Reported, RestoreMessages, RestoreRequest, SendMessage, Slot, Standing,
    UnblockMember, UnmuteConversation, UnsendMessage,
};
pub use event::{
    AcceptMethod, Also, AlsoOutcome, ConversationMuted, ConversationUnmuted, DeleteMode, Event,
    MemberBlocked, MemberUnblocked, MessageSent, MessageUnsent, MessageWithheld, MessagesRemoved,
    MessagesReported, MessagesRestored, MovedToRequests, ReadMarked, RelationshipKind,
    RelationshipRecorded, ReportedMessage, RequestAccepted, RequestDeleted, RequestOpened,
    RequestRestored, RequestWithdrawn, Route,
};
pub use given::{GivenRelationship, recorded_first};
pub use report::{also_outcome, earliest_report, needs_count};
pub use requests::{Frozen, frozen};
pub use snapshot::STATE_VERSION;
pub use state::{RequestState, State, evolve};

use crate::conversation::state::Who;
use crate::ids::{ConversationId, MemberId};
use crate::rejection::{Code, Rejection};

/// The stream of a conversation.
pub fn stream(conversation: ConversationId) -> String {
    format!("conversation-{conversation}")
}

/// The events that carry a command out, none when it is already so, or why not.
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event<'static>>, Rejection> {
    match command {
        Command::SendMessage(command) => {
            let mut events = given::differing(state, command);
            let known = given::with(state, &events, command);
            events.extend(send::decide(&known, command)?);
            Ok(events)
        }
        Command::AcceptRequest(command) => requests::accept(state, command),
        Command::DeleteRequest(command) => requests::delete(state, command),
        Command::RestoreRequest(command) => requests::restore(state, command),
        Command::MoveToRequests(command) => requests::move_to_requests(state, command),
        Command::UnsendMessage(command) => requests::unsend(state, command),
        Command::MarkRead(command) => mark_read(state, command),
        Command::MuteConversation(command) => mute(state, command),
        Command::UnmuteConversation(command) => unmute(state, command),
        Command::BlockMember(command) => block(state, command),
        Command::UnblockMember(command) => unblock(state, command),
        Command::RecordRelationship(command) => record_relationship(state, command),
        Command::ReportMessage(command) => report::decide(state, command),
        Command::RemoveMessages(command) => Ok(remove(state, command)),
        Command::RestoreMessages(command) => Ok(show_again(state, command)),
    }
}

/// The version of the event that made a command already so, when `decide` gives no event; none when no event did.
pub fn already(state: &State, command: &Command) -> Option<u64> {
    let side = |member: &MemberId| state.who(member).map(|who| state.side(who));
    match command {
        Command::SendMessage(_) => None,
        Command::AcceptRequest(AcceptRequest { by, .. })
        | Command::DeleteRequest(DeleteRequest { by, .. })
        | Command::MoveToRequests(MoveToRequests { by, .. }) => {
            requests::received_version(state, by)
        }
        Command::RestoreRequest(command) => requests::restored_version(state, &command.by),
        Command::UnsendMessage(command) => command
            .message
            .facts
            .as_ref()
            .and_then(|facts| facts.unsent),
        Command::MarkRead(command) => side(&command.by).and_then(|side| side.read_version),
        Command::MuteConversation(MuteConversation { by, .. })
        | Command::UnmuteConversation(UnmuteConversation { by, .. }) => {
            side(by).and_then(|side| side.muted.version)
        }
        Command::BlockMember(BlockMember { by, .. })
        | Command::UnblockMember(UnblockMember { by, .. }) => {
            side(by).and_then(|side| side.blocks.version)
        }
        Command::RecordRelationship(command) => {
            side(&command.member).and_then(|side| relationship_fact(side, command.kind).version)
        }
        Command::RemoveMessages(RemoveMessages { from, .. })
        | Command::RestoreMessages(RestoreMessages { from, .. }) => {
            let removed = state.who(from).map(|who| state.outgoing(who).removed);
            removed.flatten().map(|removed| removed.version)
        }
        Command::ReportMessage(command) => {
            earliest_report(command).map(|reported| reported.version)
        }
    }
}

/// Whether a message would open a request as a first contact, and so needs a slot of its sender's before it is decided.
pub fn needs_slot(state: &State, command: &SendMessage) -> bool {
    if state.last_number() > 0 {
        return false;
    }
    let known = given::with(state, &given::differing(state, command), command);
    send::decide(&known, command).is_err_and(|rejection| rejection.code() == Code::SlotNeeded)
}

fn mark_read(state: &State, command: &MarkRead) -> Result<Vec<Event<'static>>, Rejection> {
    let (who, other) = existing(state, &command.by, command.at)?;
    let last_visible = state
        .outgoing(who)
        .last_written
        .max(state.outgoing(who.other()).last_reached);
    if command.up_to > last_visible {
        return Err(Rejection::of_state(Code::InvalidReadMark).with_field("up_to"));
    }
    if command.up_to <= state.side(who).read_up_to {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ReadMarked(ReadMarked {
        by: command.by.clone(),
        other,
        up_to: command.up_to,
    })])
}

fn mute(state: &State, command: &MuteConversation) -> Result<Vec<Event<'static>>, Rejection> {
    let (who, other) = existing(state, &command.by, command.at)?;
    if state.side(who).muted.holds {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ConversationMuted(ConversationMuted {
        by: command.by.clone(),
        other,
    })])
}

fn unmute(state: &State, command: &UnmuteConversation) -> Result<Vec<Event<'static>>, Rejection> {
    let (who, other) = existing(state, &command.by, command.at)?;
    if !state.side(who).muted.holds {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ConversationUnmuted(ConversationUnmuted {
        by: command.by.clone(),
        other,
    })])
}

fn block(state: &State, command: &BlockMember) -> Result<Vec<Event<'static>>, Rejection> {
    let (by, other) = two(&command.by, &command.other)?;
    if state.blocks(by) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::MemberBlocked(MemberBlocked {
        by: by.clone(),
        other: other.clone(),
    })])
}

fn unblock(state: &State, command: &UnblockMember) -> Result<Vec<Event<'static>>, Rejection> {
    let (by, other) = two(&command.by, &command.other)?;
    if !state.blocks(by) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::MemberUnblocked(MemberUnblocked {
        by: by.clone(),
        other: other.clone(),
    })])
}

fn record_relationship(
    state: &State,
    command: &RecordRelationship,
) -> Result<Vec<Event<'static>>, Rejection> {
    let (member, other) = two(&command.member, &command.other)?;
    let holds = state
        .who(member)
        .is_some_and(|who| relationship_fact(state.side(who), command.kind).holds);
    let should_hold = match command.kind {
        RelationshipKind::Follow | RelationshipKind::Suggest => true,
        RelationshipKind::Unfollow | RelationshipKind::Unsuggest => false,
    };
    if holds == should_hold {
        return Ok(Vec::new());
    }
    Ok(vec![Event::RelationshipRecorded(RelationshipRecorded {
        kind: command.kind,
        member: member.clone(),
        other: other.clone(),
    })])
}

/// Removes messages; nothing where this decision or a later one of the case was carried out.
fn remove(state: &State, command: &RemoveMessages) -> Vec<Event<'static>> {
    if carried_out(state, &command.from, command.case_version) || command.numbers.is_empty() {
        return Vec::new();
    }
    vec![Event::MessagesRemoved(MessagesRemoved {
        decision: command.decision,
        case_version: command.case_version,
        by: command.by.clone(),
        from: command.from.clone(),
        to: command.to.clone(),
        numbers: command.numbers.clone(),
    })]
}

/// Shows removed messages again; nothing where this reversal or something later of the case was carried out.
fn show_again(state: &State, command: &RestoreMessages) -> Vec<Event<'static>> {
    if carried_out(state, &command.from, command.case_version) || command.numbers.is_empty() {
        return Vec::new();
    }
    vec![Event::MessagesRestored(MessagesRestored {
        decision: command.decision,
        case_version: command.case_version,
        by: command.by.clone(),
        from: command.from.clone(),
        to: command.to.clone(),
        numbers: command.numbers.clone(),
    })]
}

/// Whether what stands at this version of the case on a member, or something later, was carried out on their messages.
fn carried_out(state: &State, from: &MemberId, case_version: u64) -> bool {
    let removed = state.who(from).and_then(|who| state.outgoing(who).removed);
    removed.is_some_and(|removed| removed.case_version >= case_version)
}

fn relationship_fact(side: &state::Side, kind: RelationshipKind) -> state::Fact {
    match kind {
        RelationshipKind::Follow | RelationshipKind::Unfollow => side.follows,
        RelationshipKind::Suggest | RelationshipKind::Unsuggest => side.suggested,
    }
}

/// The member's side and the other, where the conversation exists for them.
fn existing(
    state: &State,
    by: &MemberId,
    at: crate::time::Timestamp,
) -> Result<(Who, MemberId), Rejection> {
    if !state.exists_for(by, at) {
        return Err(Rejection::not_found());
    }
    match (state.who(by), state.other(by)) {
        (Some(who), Some(other)) => Ok((who, other.clone())),
        (_, _) => Err(Rejection::not_found()),
    }
}

/// Two different members, or `invalid_member`.
fn two<'a>(
    one: &'a MemberId,
    other: &'a MemberId,
) -> Result<(&'a MemberId, &'a MemberId), Rejection> {
    if one == other {
        return Err(Rejection::of_command(Code::InvalidMember).with_field("other"));
    }
    Ok((one, other))
}

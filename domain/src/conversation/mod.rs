//! Everything between two members: who may write, what waits on the doorstep, what was reported.
//!
//! Protects every race between the two: send, accept, delete, block, follow, report, unsend. Stream
//! `conversation-{uuid}`, the uuid being [`ConversationId::of`] the two.

mod command;
mod event;
mod state;

pub use command::*;
pub use event::*;
pub use state::{RequestState, State, evolve};

use crate::ids::{ConversationId, MemberId, ReportId};
use crate::member::Facts;
use crate::policy::InForce;
use crate::rejection::Rejection;

/// The stream of a conversation.
pub fn stream(conversation: ConversationId) -> String {
    format!("conversation-{conversation}")
}

/// Why a pending request is hidden: its sender could not send it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Frozen {
    /// The recipient blocks the sender.
    Blocked,
    /// The recipient's audience refuses the sender.
    Audience,
    /// The sender is suspended.
    Suspended,
    /// One of them is under 16, or unknown.
    Age,
}

/// The events that carry a command out, none when it is already so, or why not.
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event<'static>>, Rejection> {
    let _ = (state, command);
    todo!()
}

/// The version of the event that made a command already so, when `decide` gives no event; none when no event did.
pub fn already(state: &State, command: &Command) -> Option<u64> {
    let _ = (state, command);
    todo!()
}

/// Whether a message would open a request as a first contact, and so needs a slot of its sender's before it is decided.
pub fn needs_slot(state: &State, command: &SendMessage) -> bool {
    let _ = (state, command);
    todo!()
}

/// Whether a report names anything new, and so has to be counted on its reporter's stream before it is decided.
pub fn needs_count(state: &State, command: &ReportMessage) -> bool {
    let _ = (state, command);
    todo!()
}

/// The earliest report in which the reporter named any of these messages: what is answered when nothing is new.
pub fn earliest_report(command: &ReportMessage) -> Option<ReportId> {
    let _ = command;
    todo!()
}

/// Whether the request from `from` is frozen, were it pending: the cause, by the facts of now.
pub fn frozen(
    state: &State,
    from: &MemberId,
    standing: &Standing,
    policy: &InForce,
) -> Option<Frozen> {
    let _ = (state, from, standing, policy);
    let _: Option<Facts> = standing.sender;
    todo!()
}

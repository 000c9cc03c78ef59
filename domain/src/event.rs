//! What all events have in common: the sum over the aggregates, and an event's place in its stream.
//!
//! [`Event`] is what the codec decodes to and what views are built from. It borrows its texts from the log's bytes;
//! [`Event::into_owned`] cuts that tie. Header fields that follow from the content ([`Event::members`]) are answered
//! here, so that the write side need not know each payload.

use crate::act;
use crate::case;
use crate::conversation;
use crate::ids::MemberId;
use crate::member;
use crate::policy;
use crate::reactor;
use crate::rejection::CommandRefused;
use crate::time::Timestamp;
use crate::unchanged::CommandUnchanged;

/// An event's place in its stream and its time: what `evolve` gets beside the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Place in the stream, from 0.
    pub version: u64,
    /// The command's time.
    pub at: Timestamp,
}

/// Any event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Of a stream `conversation-…`.
    Conversation(conversation::Event<'a>),
    /// Of a stream `member-…`.
    Member(member::Event<'a>),
    /// Of a stream `case-…`.
    Case(case::Event<'a>),
    /// Of the stream `policy`.
    Policy(policy::Event),
    /// Of a stream `reactor-…`.
    Reactor(reactor::Event),
    /// Of a stream `act-…`.
    Act(act::Event<'a>),
    /// A refusal, on any stream. It changes no aggregate's state.
    Refused(CommandRefused),
    /// A command that was so already, on any stream. It changes no aggregate's state.
    Unchanged(CommandUnchanged),
}

impl Event<'_> {
    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::Conversation(event) => Event::Conversation(event.into_owned()),
            Event::Member(event) => Event::Member(event.into_owned()),
            Event::Case(event) => Event::Case(event.into_owned()),
            Event::Policy(event) => Event::Policy(event),
            Event::Reactor(event) => Event::Reactor(event),
            Event::Act(event) => Event::Act(event.into_owned()),
            Event::Refused(event) => Event::Refused(event),
            Event::Unchanged(event) => Event::Unchanged(event),
        }
    }

    /// The members the event concerns, for its header: at most two, the acting one first.
    pub fn members(&self) -> [Option<&MemberId>; 2] {
        match self {
            Event::Conversation(event) => event.members().map(Some),
            Event::Member(event) => [Some(event.member()), None],
            Event::Case(event) => event.members(),
            Event::Act(event) => event.members(),
            Event::Policy(_) | Event::Reactor(_) => [None, None],
            Event::Refused(refused) => [Some(&refused.by), refused.other.as_ref()],
            Event::Unchanged(unchanged) => [Some(&unchanged.by), unchanged.other.as_ref()],
        }
    }
}

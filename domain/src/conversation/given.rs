//! What the host says of the relationship with a message: recorded first, in the same append.
//!
//! Promise: a message that comes with a relationship is decided as if the host had recorded what differs just before
//! it, and the events say so; what is as recorded, or not said, is recorded by no event. When the message is refused
//! and the refusal is recorded, what the host knows stands before it all the same ([`recorded_first`]), so that the
//! refusal can be explained by the log. Who may say such a thing is the interface's to check.

use std::borrow::Cow;

use crate::conversation::command::{Command, SendMessage};
use crate::conversation::event::{Event, RelationshipKind, RelationshipRecorded};
use crate::conversation::state::{self, State};
use crate::event::Recorded;

/// What the host says of the relationship between a sender and a recipient; what is absent is as it was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GivenRelationship {
    /// The recipient follows the sender.
    pub recipient_follows: Option<bool>,
    /// The sender follows the recipient.
    pub sender_follows: Option<bool>,
    /// The sender is suggested to the recipient.
    pub suggested: Option<bool>,
}

impl GivenRelationship {
    /// Whether it says nothing.
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// The events that a command's decision begins with, those of its refusal too: what its host knows otherwise than it was
/// recorded.
pub fn recorded_first(state: &State, command: &Command) -> Vec<Event<'static>> {
    match command {
        Command::SendMessage(command) => differing(state, command),
        Command::AcceptRequest(_)
        | Command::DeleteRequest(_)
        | Command::RestoreRequest(_)
        | Command::MoveToRequests(_)
        | Command::UnsendMessage(_)
        | Command::MarkRead(_)
        | Command::MuteConversation(_)
        | Command::UnmuteConversation(_)
        | Command::BlockMember(_)
        | Command::UnblockMember(_)
        | Command::RecordRelationship(_)
        | Command::ReportMessage(_)
        | Command::RemoveMessages(_)
        | Command::RestoreMessages(_) => Vec::new(),
    }
}

/// What the host says that the state does not.
pub(super) fn differing(state: &State, command: &SendMessage) -> Vec<Event<'static>> {
    let (given, from, to) = (command.relationship, &command.from, &command.to);
    if given.is_silent() || from == to {
        return Vec::new();
    }
    let known = state.relationship(from);
    let follow = [RelationshipKind::Follow, RelationshipKind::Unfollow];
    let suggest = [RelationshipKind::Suggest, RelationshipKind::Unsuggest];
    [
        (
            given.recipient_follows,
            known.recipient_follows,
            follow,
            to,
            from,
        ),
        (given.sender_follows, known.sender_follows, follow, from, to),
        (given.suggested, known.suggested, suggest, to, from),
    ]
    .into_iter()
    .filter_map(|(given, known, [begins, ends], member, other)| {
        let holds = given.filter(|given| *given != known)?;
        Some(Event::RelationshipRecorded(RelationshipRecorded {
            kind: if holds { begins } else { ends },
            member: member.clone(),
            other: other.clone(),
        }))
    })
    .collect()
}

/// The state with these events taken in, for the decision that goes on from there.
pub(super) fn with<'a>(
    state: &'a State,
    events: &[Event<'static>],
    command: &SendMessage,
) -> Cow<'a, State> {
    if events.is_empty() {
        return Cow::Borrowed(state);
    }
    let mut state = state.clone();
    for event in events {
        // No decision about a message looks at the versions of relationships.
        let recorded = Recorded {
            version: 0,
            at: command.at,
        };
        state::evolve(&mut state, recorded, event);
    }
    Cow::Owned(state)
}

//! What an auditor looked at: the acts of one auditor, who changes nothing by them.
//!
//! Protects: private content is shown to an auditor only once the log says so. Stream `act-{auditor}`, apart from the
//! streams of those who are looked at, so that a look takes no version, no number and no time of theirs, and nobody can
//! tell from an answer that it happened. Disclosures of a moderators' file stand in the file's own stream
//! ([`crate::case::ContentDisclosed`]). State is empty: every look is an event of its own, however often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Recorded;
use crate::ids::{ConversationId, MemberId, ReasonCode};
use crate::time::Timestamp;

/// The stream of an auditor's acts.
pub fn stream(auditor: &MemberId) -> String {
    format!("act-{auditor}")
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Looked {
    /// A member's inbox.
    Inbox,
    /// A member's requests.
    Requests,
    /// How much of a member's is unread.
    Unread,
    /// Whom a member has blocked.
    Blocks,
    /// A member's DM setting.
    DmSetting,
    /// What a member did and what was done towards them.
    Timeline,
    /// What changed for a member or in a conversation between two moments.
    Diff,
    /// The messages of a conversation.
    Messages,
    /// What is known between the two of a conversation.
    Relationship,
    /// Why a message went where it went.
    Explanation,
}

/// What an auditor does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// They are shown content of others.
    ContentDisclosed(ContentDisclosed),
}

/// `act-content-disclosed.v1`: content of others was shown to an auditor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentDisclosed {
    /// The auditor.
    pub by: MemberId,
    /// What for.
    pub purpose: ReasonCode,
    /// What was looked at; of a list the whole list, in however many pages.
    pub looked: Looked,
    /// Whose it is; of a conversation one of the two.
    pub member: MemberId,
    /// The other of a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<MemberId>,
    /// The conversation, where one was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// The time of the earlier moment that it was compared with; absent where nothing was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The time of the moment it was shown as of; absent where that was the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
}

impl Event {
    /// The members the event concerns, for its header: those whose content it is. Who acts is in the header already.
    pub fn members(&self) -> [Option<&MemberId>; 2] {
        match self {
            Event::ContentDisclosed(disclosed) => {
                [Some(&disclosed.member), disclosed.other.as_ref()]
            }
        }
    }
}

/// Nothing that is decided depends on earlier acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State;

/// What an auditor is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// They are about to be shown content of others.
    Disclose(ContentDisclosed),
}

/// The event of the act. Refuses nothing.
pub fn decide(_state: &State, command: &Command) -> Vec<Event> {
    match command {
        Command::Disclose(disclosed) => vec![Event::ContentDisclosed(disclosed.clone())],
    }
}

/// Takes an event into the state.
pub fn evolve(_state: &mut State, _recorded: Recorded, event: &Event) {
    match event {
        Event::ContentDisclosed(_) => {}
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn id(name: &str) -> MemberId {
        MemberId::new(name).unwrap()
    }

    fn look() -> Command {
        Command::Disclose(ContentDisclosed {
            by: id("ada"),
            purpose: ReasonCode::new("audit").unwrap(),
            looked: Looked::Messages,
            member: id("ann"),
            other: Some(id("bob")),
            conversation: Some(ConversationId::of(&id("ann"), &id("bob"))),
            from: None,
            as_of: None,
        })
    }

    #[test]
    fn every_look_is_an_event_of_its_own_and_concerns_those_who_are_looked_at() {
        let mut state = State;
        for version in 0..2 {
            let events = decide(&state, &look());
            assert_eq!(events.len(), 1);
            let [member, other] = events[0].members();
            assert_eq!((member, other), (Some(&id("ann")), Some(&id("bob"))));
            let at = Timestamp(9);
            evolve(&mut state, Recorded { version, at }, &events[0]);
        }
    }

    #[test]
    fn the_stream_is_the_auditors() {
        assert_eq!(stream(&id("ada")), "act-ada");
    }
}

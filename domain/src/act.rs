//! What is done beside the rules: what an auditor looked at, and what an operator has a view do without.
//!
//! Protects: private content is shown to an auditor only once the log says so. Stream `act-{auditor}`, apart from the
//! streams of those who are looked at, so that a look takes no version, no number and no time of theirs, and nobody can
//! tell from an answer that it happened. Moderators' looks at a file stand in the file's own stream
//! ([`crate::case::ContentDisclosed`]), auditors' here: the event tells as which of them somebody looked. What a view does without stands in a stream of the view, `act-view/{name}`, which
//! is no member's since their ids have no `/`; whoever makes the view anew reads it there. State is empty: every act is an
//! event of its own, however often.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::ShownMessages;
use crate::event::Recorded;
use crate::ids::{CaseId, ConversationId, MemberId, ReasonCode, ViewId};
use crate::text::Text;
use crate::time::Timestamp;

/// The stream of an auditor's acts.
pub fn stream(auditor: &MemberId) -> String {
    format!("act-{auditor}")
}

/// The stream of what is done to a view.
pub fn stream_of_view(view: &ViewId) -> String {
    format!("act-view/{view}")
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
    /// A moderators' file.
    Case,
    /// Who looked at what is a member's.
    Disclosures,
}

impl Looked {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Looked::Inbox => "inbox",
            Looked::Requests => "requests",
            Looked::Unread => "unread",
            Looked::Blocks => "blocks",
            Looked::DmSetting => "dm_setting",
            Looked::Timeline => "timeline",
            Looked::Diff => "diff",
            Looked::Messages => "messages",
            Looked::Relationship => "relationship",
            Looked::Explanation => "explanation",
            Looked::Case => "case",
            Looked::Disclosures => "disclosures",
        }
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An auditor is shown content of others.
    ContentDisclosed(ContentDisclosed),
    /// A view does without an event from now on.
    EventSkipped(EventSkipped<'a>),
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
    /// The moderators' file, where one was looked at; `member` is whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// Which messages of the conversation a moderators' file showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<ShownMessages>,
    /// The time of the earlier moment that it was compared with; absent where nothing was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The time of the moment it was shown as of; absent where that was the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
}

/// `act-event-skipped.v1`: an operator decided that a view, which cannot apply an event, shall do without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventSkipped<'a> {
    /// The operator.
    pub by: MemberId,
    /// The view.
    pub view: ViewId,
    /// The version of the view that does without it; another one tries the event.
    pub view_version: u32,
    /// The stream of the event.
    pub stream: Cow<'a, str>,
    /// Its version there.
    pub version: u64,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// Why, in words.
    #[serde(borrow)]
    pub text: Text<'a>,
}

impl Event<'_> {
    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::ContentDisclosed(disclosed) => Event::ContentDisclosed(disclosed),
            Event::EventSkipped(skipped) => Event::EventSkipped(EventSkipped {
                stream: skipped.stream.into_owned().into(),
                text: skipped.text.into_owned(),
                ..skipped
            }),
        }
    }

    /// The members the event concerns, for its header: those whose content it is. Who acts is in the header already.
    pub fn members(&self) -> [Option<&MemberId>; 2] {
        match self {
            Event::ContentDisclosed(disclosed) => {
                [Some(&disclosed.member), disclosed.other.as_ref()]
            }
            Event::EventSkipped(_) => [None, None],
        }
    }
}

/// Nothing that is decided depends on earlier acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State;

/// What is about to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// An auditor is about to be shown content of others.
    Disclose(ContentDisclosed),
    /// An operator has a view do without an event.
    SkipEvent(EventSkipped<'static>),
}

/// The event of the act. Refuses nothing: whoever makes the command holds what it says to [`STATEMENT_LIMITS`](crate::member::STATEMENT_LIMITS).
pub fn decide(_state: &State, command: &Command) -> Vec<Event<'static>> {
    match command {
        Command::Disclose(disclosed) => vec![Event::ContentDisclosed(disclosed.clone())],
        Command::SkipEvent(skipped) => vec![Event::EventSkipped(skipped.clone())],
    }
}

/// Takes an event into the state.
pub fn evolve(_state: &mut State, _recorded: Recorded, event: &Event<'_>) {
    match event {
        Event::ContentDisclosed(_) | Event::EventSkipped(_) => {}
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
            case: None,
            shown: None,
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

    #[test]
    fn what_a_view_does_without_is_an_event_of_no_members_stream_and_concerns_nobody() {
        let view = ViewId::new("inbox").unwrap();
        assert_eq!(stream_of_view(&view), "act-view/inbox");
        assert!(MemberId::new("view/inbox").is_err());
        let skip = Command::SkipEvent(EventSkipped {
            by: id("olaf"),
            view,
            view_version: 1,
            stream: "conversation-1".into(),
            version: 3,
            reason: ReasonCode::new("unreadable").unwrap(),
            text: "As the incident of May says.".into(),
        });
        let events = decide(&State, &skip);
        assert_eq!(events[0].members(), [None, None]);
        let recorded = Recorded {
            version: 0,
            at: Timestamp(9),
        };
        evolve(&mut State, recorded, &events[0]);
    }
}

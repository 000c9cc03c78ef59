//! What is done beside the rules: what an auditor looked at, what an operator has a view do without, and what a moderator
//! decides on many cases at once.
//!
//! Protects: private content is shown to an auditor only once the log says so. Stream `act-{auditor}`, apart from the
//! streams of those who are looked at, so that a look takes no version, no number and no time of theirs, and nobody can
//! tell from an answer that it happened. Moderators' looks at a file stand in the file's own stream
//! ([`crate::case::ContentDisclosed`]), auditors' here: the event tells as which of them somebody looked. What a view does
//! without stands in a stream of the view, `act-view/{name}`, which
//! is no member's since their ids have no `/`; whoever makes the view anew reads it there. Each of these is an event of its
//! own, however often, and leaves no state. What is decided on many cases stands in `act-{uuid}`, see [`bulk`]; no such id
//! is a member's, who would have to be named by a digest of a command that is yet to come.

mod bulk;

pub use bulk::{
    ActCarriedOut, CASES_MAX, CasesDecided, CasesReversed, DecideCases, MovedOn, PassedCase,
    ReverseCases, SeenCase, Step, stream_of_act,
};

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::ShownMessages;
use crate::event::Recorded;
use crate::ids::{CaseId, ConversationId, MemberId, ReasonCode, ViewId};
use crate::rejection::Rejection;
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
    /// A moderator decides many cases of a member at once.
    CasesDecided(CasesDecided<'a>),
    /// A moderator takes that back.
    CasesReversed(CasesReversed<'a>),
    /// One of the two was carried out.
    ActCarriedOut(ActCarriedOut),
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
            Event::CasesDecided(decided) => Event::CasesDecided(CasesDecided {
                text: decided.text.into_owned(),
                facts: decided.facts.into_owned(),
                ..decided
            }),
            Event::CasesReversed(reversed) => Event::CasesReversed(CasesReversed {
                text: reversed.text.into_owned(),
                ..reversed
            }),
            Event::ActCarriedOut(carried_out) => Event::ActCarriedOut(carried_out),
        }
    }

    /// The members the event concerns, for its header: those whose content it is, or whose cases. Who acts is in the
    /// header already.
    pub fn members(&self) -> [Option<&MemberId>; 2] {
        match self {
            Event::ContentDisclosed(disclosed) => {
                [Some(&disclosed.member), disclosed.other.as_ref()]
            }
            Event::EventSkipped(_) => [None, None],
            Event::CasesDecided(decided) => [Some(&decided.member), None],
            Event::CasesReversed(reversed) => [Some(&reversed.member), None],
            Event::ActCarriedOut(carried_out) => [Some(&carried_out.member), None],
        }
    }

    /// Whether it leaves no state: that of its stream is the same as without it.
    pub fn leaves_nothing(&self) -> bool {
        match self {
            Event::ContentDisclosed(_) | Event::EventSkipped(_) => true,
            Event::CasesDecided(_) | Event::CasesReversed(_) | Event::ActCarriedOut(_) => false,
        }
    }
}

/// What decisions need of an act's stream: of one on many cases how far it has come, of all others nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    bulk: Option<bulk::Bulk>,
}

/// What is about to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// An auditor is about to be shown content of others.
    Disclose(ContentDisclosed),
    /// An operator has a view do without an event.
    SkipEvent(EventSkipped<'static>),
    /// A moderator decides many cases of a member at once.
    DecideCases(DecideCases),
    /// A moderator takes such an act back.
    ReverseCases(ReverseCases),
    /// All cases of an act were gone through: by the reactor.
    CarryOut(ActCarriedOut),
}

/// The event of the act; none when it is already so. Looks and skips are refused nothing: whoever makes the command holds
/// what it says to [`STATEMENT_LIMITS`](crate::member::STATEMENT_LIMITS).
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event<'static>>, Rejection> {
    let bulk = state.bulk.as_ref();
    match command {
        Command::Disclose(disclosed) => Ok(vec![Event::ContentDisclosed(disclosed.clone())]),
        Command::SkipEvent(skipped) => Ok(vec![Event::EventSkipped(skipped.clone())]),
        Command::DecideCases(command) => bulk::decide(bulk, command),
        Command::ReverseCases(command) => bulk::reverse(bulk, command),
        Command::CarryOut(told) => Ok(bulk::carried_out(bulk, told)),
    }
}

/// The version of the event that made a command already so, when `decide` gives no event; none when no event did.
pub fn already(state: &State, command: &Command) -> Option<u64> {
    let bulk = state.bulk.as_ref()?;
    match command {
        Command::Disclose(_) | Command::SkipEvent(_) => None,
        Command::DecideCases(_) => Some(bulk.decided.version),
        Command::ReverseCases(_) => bulk.reversed.map(|reversed| reversed.version),
        Command::CarryOut(told) => bulk.place(told.step)?.carried_out,
    }
}

/// Takes an event into the state.
pub fn evolve(state: &mut State, recorded: Recorded, event: &Event<'_>) {
    match event {
        Event::ContentDisclosed(_) | Event::EventSkipped(_) => {}
        Event::CasesDecided(decided) => {
            state.bulk.get_or_insert_with(|| bulk::Bulk {
                member: decided.member.clone(),
                action: decided.action,
                decided: bulk::Place::asked(recorded.version),
                reversed: None,
            });
        }
        Event::CasesReversed(_) => {
            if let Some(bulk) = &mut state.bulk {
                let asked = bulk::Place::asked(recorded.version);
                bulk.reversed.get_or_insert(asked);
            }
        }
        Event::ActCarriedOut(carried_out) => {
            if let Some(bulk) = &mut state.bulk {
                bulk.carry_out(carried_out.step, recorded.version);
            }
        }
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
        let mut state = State::default();
        for version in 0..2 {
            let events = decide(&state, &look()).unwrap();
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
        let events = decide(&State::default(), &skip).unwrap();
        assert_eq!(events[0].members(), [None, None]);
        let recorded = Recorded {
            version: 0,
            at: Timestamp(9),
        };
        evolve(&mut State::default(), recorded, &events[0]);
    }
}

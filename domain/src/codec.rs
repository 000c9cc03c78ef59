//! Events to the bytes of the log and back.
//!
//! `data` is JSON with its fields in the order of the payload's struct, so that the same event always gives the same
//! bytes. Decoding borrows texts from those bytes and ignores fields it does not know. [`TYPES`] lists every type and
//! version ever stored: a type that changes its shape gets a new version and a row of its own, and the old row's
//! function becomes its upcaster, which reads the old payload and gives today's event.
//!
//! This is also the one place where personal content (`crate::text::Text`) will be sealed.

use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::rejection::CommandRefused;
use crate::text::Text;
use crate::{case, conversation, member, policy, reactor};

/// One stored type and version, and how it is read.
pub struct EventType {
    /// The name in the record's header, with the schema version.
    pub name: &'static str,
    /// The streams it stands on.
    pub stream: &'static str,
    /// Reads `data` of this type.
    decode: for<'a> fn(&'a [u8]) -> Result<Event<'a>, serde_json::Error>,
    /// The shape of `data`.
    shape: fn(&mut SchemaGenerator) -> serde_json::Value,
}

impl EventType {
    /// The shape of its `data`; what it shares with others is left to the generator.
    pub(crate) fn shape(&self, generator: &mut SchemaGenerator) -> serde_json::Value {
        (self.shape)(generator)
    }
}

/// An event that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A type that this program does not know: the log is above its level.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// The data are not what the type says.
    #[error("event data of type {event_type}: {error}")]
    Data {
        /// The type.
        event_type: &'static str,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
}

/// The streams that events of an aggregate stand on.
macro_rules! stream {
    (Conversation) => {
        "conversation-{uuid}"
    };
    (Member) => {
        "member-{id}"
    };
    (Case) => {
        "case-{uuid}"
    };
    (Policy) => {
        "policy"
    };
    (Reactor) => {
        "reactor-{name}"
    };
}

/// The stored name of each payload, and the table of how to read it. The most frequent types come first, because the
/// table is searched in order.
macro_rules! types {
    ($($name:literal => $aggregate:ident :: $variant:ident in $sum:ident),* $(,)?) => {
        /// Every type and version ever stored.
        pub const TYPES: &[EventType] = &[
            $(EventType {
                name: $name,
                stream: stream!($sum),
                decode: |data| {
                    serde_json::from_slice(data).map(|event| Event::$sum($aggregate::Event::$variant(event)))
                },
                shape: |generator| <$aggregate::$variant as JsonSchema>::json_schema(generator).to_value(),
            },)*
            EventType {
                name: COMMAND_REFUSED,
                stream: "the stream the command was decided on",
                decode: |data| serde_json::from_slice(data).map(Event::Refused),
                shape: |generator| CommandRefused::json_schema(generator).to_value(),
            },
        ];

        /// The type under which an event is stored.
        pub fn event_type(event: &Event<'_>) -> &'static str {
            match event {
                $(Event::$sum($aggregate::Event::$variant(_)) => $name,)*
                Event::Refused(_) => COMMAND_REFUSED,
            }
        }

        /// The bytes under which an event is stored.
        pub fn encode(event: &Event<'_>) -> Vec<u8> {
            match event {
                $(Event::$sum($aggregate::Event::$variant(event)) => to_json(event),)*
                Event::Refused(event) => to_json(event),
            }
        }
    };
}

const COMMAND_REFUSED: &str = "command-refused.v1";

types! {
    "message-sent.v1" => conversation::MessageSent in Conversation,
    "request-opened.v1" => conversation::RequestOpened in Conversation,
    "request-accepted.v1" => conversation::RequestAccepted in Conversation,
    "message-withheld.v1" => conversation::MessageWithheld in Conversation,
    "request-slot-taken.v1" => member::RequestSlotTaken in Member,
    "relationship-recorded.v1" => conversation::RelationshipRecorded in Conversation,
    "read-marked.v1" => conversation::ReadMarked in Conversation,
    "messages-reported.v1" => conversation::MessagesReported in Conversation,
    "report-counted.v1" => member::ReportCounted in Member,
    "report-joined.v1" => case::ReportJoined in Case,
    "case-opened.v1" => case::CaseOpened in Case,
    "request-deleted.v1" => conversation::RequestDeleted in Conversation,
    "request-restored.v1" => conversation::RequestRestored in Conversation,
    "request-withdrawn.v1" => conversation::RequestWithdrawn in Conversation,
    "moved-to-requests.v1" => conversation::MovedToRequests in Conversation,
    "message-unsent.v1" => conversation::MessageUnsent in Conversation,
    "conversation-muted.v1" => conversation::ConversationMuted in Conversation,
    "conversation-unmuted.v1" => conversation::ConversationUnmuted in Conversation,
    "member-blocked.v1" => conversation::MemberBlocked in Conversation,
    "member-unblocked.v1" => conversation::MemberUnblocked in Conversation,
    "member-registered.v1" => member::MemberRegistered in Member,
    "age-band-changed.v1" => member::AgeBandChanged in Member,
    "dm-setting-changed.v1" => member::DmSettingChanged in Member,
    "member-suspended.v1" => member::MemberSuspended in Member,
    "member-reinstated.v1" => member::MemberReinstated in Member,
    "suspension-ended.v1" => member::SuspensionEnded in Member,
    "request-slot-returned.v1" => member::RequestSlotReturned in Member,
    "content-disclosed.v1" => case::ContentDisclosed in Case,
    "policy-set.v1" => policy::PolicySet in Policy,
    "reactor-checkpoint.v1" => reactor::ReactorCheckpoint in Reactor,
}

/// Reads an event.
pub fn decode<'a>(event_type: &str, data: &'a [u8]) -> Result<Event<'a>, DecodeError> {
    let known = TYPES
        .iter()
        .find(|known| known.name == event_type)
        .ok_or_else(|| DecodeError::UnknownType(event_type.to_owned()))?;
    (known.decode)(data).map_err(|error| DecodeError::Data {
        event_type: known.name,
        error,
    })
}

/// Reads of a message no more than its text; none where the event sends no message.
pub fn message_text<'a>(event_type: &str, data: &'a [u8]) -> Result<Option<Text<'a>>, DecodeError> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        text: Text<'a>,
    }

    let event_type = match event_type {
        "message-sent.v1" => "message-sent.v1",
        "message-withheld.v1" => "message-withheld.v1",
        other => {
            let known = TYPES.iter().any(|known| known.name == other);
            return if known {
                Ok(None)
            } else {
                Err(DecodeError::UnknownType(other.to_owned()))
            };
        }
    };
    serde_json::from_slice::<Message<'a>>(data)
        .map(|message| Some(message.text))
        .map_err(|error| DecodeError::Data { event_type, error })
}

#[expect(
    clippy::expect_used,
    reason = "an empty record instead would be a silent loss"
)]
fn to_json<T: Serialize>(event: &T) -> Vec<u8> {
    let mut data = Vec::with_capacity(256);
    serde_json::to_writer(&mut data, event)
        .expect("payloads are structs of strings, numbers and enums");
    data
}

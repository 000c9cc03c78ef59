//! Events to the bytes of the log and back.
//!
//! `data` is JSON with its fields in the order of the payload's struct, so that the same event always gives the same
//! bytes. Decoding borrows texts from those bytes and ignores fields it does not know. [`TYPES`] lists every type and
//! version ever stored. What changes its shape gets a new version and a row of its own; the old payload moves to
//! `superseded`, with the upcaster that reads it as today's event, and its row to the end of the table.
//!
//! Each row has the schema level from which on it is written ([`LEVEL`] is the newest). A log has a level of its own, which
//! is raised by hand: until then [`encode_at`] writes what every program of that level reads.
//!
//! This is also the one place where personal content (`crate::text::Text`) will be sealed.

use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::rejection::CommandRefused;
use crate::superseded::{CommandRefusedV1, MemberSuspendedV1, ReportJoinedV1};
use crate::text::Text;
use crate::unchanged::CommandUnchanged;
use crate::{act, case, conversation, member, policy, reactor};

/// The newest schema level: that of the newest row of [`TYPES`]. A log above it is not read.
pub const LEVEL: u32 = 3;

/// One stored type and version, and how it is read.
pub struct EventType {
    /// The name in the record's header, with the schema version.
    pub name: &'static str,
    /// The streams it stands on.
    pub stream: &'static str,
    /// The schema level of logs from which on it is written.
    pub since: u32,
    /// The version that is written instead, where the log's level has it.
    pub superseded_by: Option<&'static str>,
    /// Reads `data` of this type.
    decode: for<'a> fn(&'a [u8]) -> Result<Event<'a>, serde_json::Error>,
    /// The shape of `data`.
    shape: fn(&mut SchemaGenerator) -> serde_json::Value,
}

/// An event that cannot be written into a log of this level, because nothing that its programs read says the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{event_type} needs a log of schema level {needed}, this one has {level}; raise it with `doorstep raise-level`"
)]
pub struct AboveLevel {
    /// The type that would say it.
    pub event_type: &'static str,
    /// The level that has it.
    pub needed: u32,
    /// The log's level.
    pub level: u32,
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
    #[error(
        "unknown event type {0}: a newer Doorstep wrote it, or something else did, which has to be kept off these streams"
    )]
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
    (Act) => {
        "act-{member}; what a view does without on act-view/{name}; what is decided on many cases on act-{uuid}"
    };
    (Policy) => {
        "policy"
    };
    (Reactor) => {
        "reactor-{name}"
    };
}

/// The stored name of each payload, since which level, and the table of how to read it. The most frequent types come
/// first, because the table is searched in order; superseded ones, the newest of a name first, come last.
macro_rules! types {
    (
        written { $($name:literal since $since:literal => $aggregate:ident :: $variant:ident in $sum:ident,)* }
        superseded { $($old:literal since $old_since:literal => $payload:ident, by $new:literal,
                       $new_aggregate:ident :: $new_variant:ident in $new_sum:ident,)* }
    ) => {
        /// Every type and version ever stored.
        pub const TYPES: &[EventType] = &[
            $(EventType {
                name: $name,
                stream: stream!($sum),
                since: $since,
                superseded_by: None,
                decode: |data| {
                    serde_json::from_slice(data).map(|event| Event::$sum($aggregate::Event::$variant(event)))
                },
                shape: |generator| <$aggregate::$variant as JsonSchema>::json_schema(generator).to_value(),
            },)*
            EventType {
                name: COMMAND_REFUSED,
                stream: ITS_STREAM,
                since: COMMAND_REFUSED_SINCE,
                superseded_by: None,
                decode: |data| serde_json::from_slice(data).map(Event::Refused),
                shape: |generator| CommandRefused::json_schema(generator).to_value(),
            },
            EventType {
                name: COMMAND_UNCHANGED,
                stream: ITS_STREAM,
                since: COMMAND_UNCHANGED_SINCE,
                superseded_by: None,
                decode: |data| serde_json::from_slice(data).map(Event::Unchanged),
                shape: |generator| CommandUnchanged::json_schema(generator).to_value(),
            },
            EventType {
                name: COMMAND_REFUSED_V1,
                stream: ITS_STREAM,
                since: 1,
                superseded_by: Some(COMMAND_REFUSED),
                decode: |data| {
                    let old: CommandRefusedV1 = serde_json::from_slice(data)?;
                    Ok(Event::Refused(old.into()))
                },
                shape: |generator| CommandRefusedV1::json_schema(generator).to_value(),
            },
            $(EventType {
                name: $old,
                stream: stream!($new_sum),
                since: $old_since,
                superseded_by: Some($new),
                decode: |data| {
                    let old: $payload = serde_json::from_slice(data)?;
                    Ok(Event::$new_sum($new_aggregate::Event::$new_variant(old.into())))
                },
                shape: |generator| $payload::json_schema(generator).to_value(),
            },)*
        ];

        /// The newest type of an event, and the level that has it.
        fn newest(event: &Event<'_>) -> (&'static str, u32) {
            match event {
                $(Event::$sum($aggregate::Event::$variant(_)) => ($name, $since),)*
                Event::Refused(_) => (COMMAND_REFUSED, COMMAND_REFUSED_SINCE),
                Event::Unchanged(_) => (COMMAND_UNCHANGED, COMMAND_UNCHANGED_SINCE),
            }
        }

        /// The bytes of an event under its newest type.
        pub fn encode(event: &Event<'_>) -> Vec<u8> {
            match event {
                $(Event::$sum($aggregate::Event::$variant(event)) => to_json(event),)*
                Event::Refused(event) => to_json(event),
                Event::Unchanged(event) => to_json(event),
            }
        }

        /// The type and bytes of an event as a superseded type of this level or below says it, if one does.
        fn superseded(event: &Event<'_>, level: u32) -> Option<(&'static str, Vec<u8>)> {
            $(
                if $old_since <= level
                    && let Event::$new_sum($new_aggregate::Event::$new_variant(event)) = event
                {
                    return $payload::of(event).map(|old| ($old, to_json(&old)));
                }
            )*
            if level >= 1
                && let Event::Refused(refused) = event
            {
                return CommandRefusedV1::of(refused).map(|old| (COMMAND_REFUSED_V1, to_json(&old)));
            }
            None
        }
    };
}

const COMMAND_REFUSED: &str = "command-refused.v2";
const COMMAND_REFUSED_SINCE: u32 = 2;
const COMMAND_REFUSED_V1: &str = "command-refused.v1";
const COMMAND_UNCHANGED: &str = "command-unchanged.v1";
/// The schema level of logs that hold by an event what was so already ([`crate::unchanged`]).
pub const COMMAND_UNCHANGED_SINCE: u32 = 3;
/// Where refusals stand, and what was so already.
const ITS_STREAM: &str = "the stream the command was decided on";

types! {
    written {
        "message-sent.v1" since 1 => conversation::MessageSent in Conversation,
        "request-opened.v1" since 1 => conversation::RequestOpened in Conversation,
        "request-accepted.v1" since 1 => conversation::RequestAccepted in Conversation,
        "message-withheld.v1" since 1 => conversation::MessageWithheld in Conversation,
        "request-slot-taken.v1" since 1 => member::RequestSlotTaken in Member,
        "relationship-recorded.v1" since 1 => conversation::RelationshipRecorded in Conversation,
        "read-marked.v1" since 1 => conversation::ReadMarked in Conversation,
        "messages-reported.v1" since 1 => conversation::MessagesReported in Conversation,
        "report-counted.v1" since 1 => member::ReportCounted in Member,
        "report-joined.v2" since 2 => case::ReportJoined in Case,
        "case-opened.v1" since 1 => case::CaseOpened in Case,
        "request-deleted.v1" since 1 => conversation::RequestDeleted in Conversation,
        "request-restored.v1" since 1 => conversation::RequestRestored in Conversation,
        "request-withdrawn.v1" since 1 => conversation::RequestWithdrawn in Conversation,
        "moved-to-requests.v1" since 1 => conversation::MovedToRequests in Conversation,
        "message-unsent.v1" since 1 => conversation::MessageUnsent in Conversation,
        "conversation-muted.v1" since 1 => conversation::ConversationMuted in Conversation,
        "conversation-unmuted.v1" since 1 => conversation::ConversationUnmuted in Conversation,
        "member-blocked.v1" since 1 => conversation::MemberBlocked in Conversation,
        "member-unblocked.v1" since 1 => conversation::MemberUnblocked in Conversation,
        "member-registered.v1" since 1 => member::MemberRegistered in Member,
        "age-band-changed.v1" since 1 => member::AgeBandChanged in Member,
        "dm-setting-changed.v1" since 1 => member::DmSettingChanged in Member,
        "member-suspended.v2" since 2 => member::MemberSuspended in Member,
        "suspension-filed.v1" since 2 => case::SuspensionFiled in Case,
        "member-reinstated.v1" since 1 => member::MemberReinstated in Member,
        "suspension-ended.v1" since 1 => member::SuspensionEnded in Member,
        "request-slot-returned.v1" since 1 => member::RequestSlotReturned in Member,
        "case-claimed.v1" since 2 => case::CaseClaimed in Case,
        "case-released.v1" since 2 => case::CaseReleased in Case,
        "claim-lapsed.v1" since 2 => case::ClaimLapsed in Case,
        "case-noted.v1" since 2 => case::CaseNoted in Case,
        "case-escalated.v1" since 2 => case::CaseEscalated in Case,
        "messages-removed.v1" since 2 => conversation::MessagesRemoved in Conversation,
        "case-decided.v1" since 2 => case::CaseDecided in Case,
        "case-closed.v1" since 2 => case::CaseClosed in Case,
        "decision-appealed.v1" since 2 => case::DecisionAppealed in Case,
        "appeal-decided.v1" since 2 => case::AppealDecided in Case,
        "decision-reversed.v1" since 2 => case::DecisionReversed in Case,
        "messages-restored.v1" since 2 => conversation::MessagesRestored in Conversation,
        "restriction-lifted.v1" since 2 => member::RestrictionLifted in Member,
        "member-restricted.v1" since 2 => member::MemberRestricted in Member,
        "restriction-ended.v1" since 2 => member::RestrictionEnded in Member,
        "report-limit-set.v1" since 2 => member::ReportLimitSet in Member,
        "report-limit-lifted.v1" since 2 => member::ReportLimitLifted in Member,
        "report-limit-ended.v1" since 2 => member::ReportLimitEnded in Member,
        "case-reopened.v1" since 2 => case::CaseReopened in Case,
        "content-disclosed.v1" since 1 => case::ContentDisclosed in Case,
        "policy-set.v1" since 1 => policy::PolicySet in Policy,
        "act-content-disclosed.v1" since 2 => act::ContentDisclosed in Act,
        "act-event-skipped.v1" since 2 => act::EventSkipped in Act,
        "cases-decided.v1" since 2 => act::CasesDecided in Act,
        "cases-reversed.v1" since 2 => act::CasesReversed in Act,
        "act-carried-out.v1" since 2 => act::ActCarriedOut in Act,
        "reactor-checkpoint.v1" since 1 => reactor::ReactorCheckpoint in Reactor,
    }
    superseded {
        "report-joined.v1" since 1 => ReportJoinedV1, by "report-joined.v2", case::ReportJoined in Case,
        "member-suspended.v1" since 1 => MemberSuspendedV1, by "member-suspended.v2", member::MemberSuspended in Member,
    }
}

/// The newest type of an event.
pub fn event_type(event: &Event<'_>) -> &'static str {
    newest(event).0
}

/// The type and bytes under which an event is stored in a log of this schema level.
pub fn encode_at(event: &Event<'_>, level: u32) -> Result<(&'static str, Vec<u8>), AboveLevel> {
    let (event_type, needed) = newest(event);
    if needed <= level {
        return Ok((event_type, encode(event)));
    }
    superseded(event, level).ok_or(AboveLevel {
        event_type,
        needed,
        level,
    })
}

/// The name of a stored type without its version: what it is about is the same in all of them.
pub fn name(event_type: &str) -> &str {
    event_type
        .rsplit_once('.')
        .map_or(event_type, |(name, _)| name)
}

/// Reads an event.
pub fn decode<'a>(event_type: &str, data: &'a [u8]) -> Result<Event<'a>, DecodeError> {
    let known = known(event_type)?;
    (known.decode)(data).map_err(|error| DecodeError::Data {
        event_type: known.name,
        error,
    })
}

fn known(event_type: &str) -> Result<&'static EventType, DecodeError> {
    TYPES
        .iter()
        .find(|known| known.name == event_type)
        .ok_or_else(|| DecodeError::UnknownType(event_type.to_owned()))
}

/// Reads of a message no more than its text; none where the event sends no message.
pub fn message_text<'a>(event_type: &str, data: &'a [u8]) -> Result<Option<Text<'a>>, DecodeError> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        text: Text<'a>,
    }

    let known = known(event_type)?;
    if !matches!(name(event_type), "message-sent" | "message-withheld") {
        return Ok(None);
    }
    serde_json::from_slice::<Message<'a>>(data)
        .map(|message| Some(message.text))
        .map_err(|error| DecodeError::Data {
            event_type: known.name,
            error,
        })
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

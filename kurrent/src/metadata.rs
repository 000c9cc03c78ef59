//! What stands in the metadata of an event behind the protocol: its header, beside the two ids that KurrentDB's own
//! tools know.
//!
//! Promise: what [`Metadata::of`] writes, [`Metadata::parse`] reads back field by field; what it does not know it refuses,
//! since a log of ours has no place to keep it. Id, type, stream and version have their own places in the protocol.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use event_store::{Members, NewEvent, RecordedEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An event's metadata.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata<'a> {
    #[serde(borrow)]
    doorstep: Header<'a>,
    #[serde(rename = "$correlationId")]
    correlation_id: Uuid,
    #[serde(rename = "$causationId")]
    causation_id: Uuid,
}

/// The rest of an event's header.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    /// The command's time, in milliseconds since the Unix epoch.
    at: i64,
    #[serde(borrow)]
    command_id: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_number: Option<u64>,
    /// Where another log recorded the event first: when, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded_at: Option<i64>,
}

/// The metadata is not one of ours.
#[derive(Debug, thiserror::Error)]
#[error(
    "an event's metadata has to be JSON with `doorstep` (`at`, `command_id`, `actor`, `members`, `last_number`, `recorded_at`), `$correlationId` and `$causationId`, and nothing else, or empty: {0}"
)]
pub struct InvalidMetadata(String);

/// Members that an event concerns at most.
const MEMBERS_MAX: usize = 2;

impl<'a> Metadata<'a> {
    /// That of a recorded event.
    pub fn of(event: &'a RecordedEvent) -> Self {
        Self {
            doorstep: Header {
                at: event.at_ms(),
                command_id: event.command_id().into(),
                actor: event.actor().into(),
                members: event.members().map(Cow::Borrowed).collect(),
                last_number: event.last_number(),
                recorded_at: None,
            },
            correlation_id: event.correlation_id(),
            causation_id: event.causation_id(),
        }
    }

    /// That of an event to be appended, with the time at which another log recorded it, if one did.
    pub fn of_new(event: &'a NewEvent, recorded_at_ms: Option<i64>) -> Self {
        Self {
            doorstep: Header {
                at: event.at_ms,
                command_id: (&*event.command_id).into(),
                actor: (&*event.actor).into(),
                members: event
                    .members
                    .iter()
                    .map(|member| Cow::Borrowed(&**member))
                    .collect(),
                last_number: event.last_number,
                recorded_at: recorded_at_ms,
            },
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
        }
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// From what was stored or sent.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, InvalidMetadata> {
        let metadata: Self =
            serde_json::from_slice(bytes).map_err(|error| InvalidMetadata(error.to_string()))?;
        if metadata.doorstep.members.len() > MEMBERS_MAX {
            return Err(InvalidMetadata(format!("more than {MEMBERS_MAX} members")));
        }
        Ok(metadata)
    }

    /// When another log recorded the event, where one did.
    pub fn recorded_at_ms(&self) -> Option<i64> {
        self.doorstep.recorded_at
    }

    /// The event that it belongs to.
    pub fn into_event(self, event_id: Uuid, event_type: String, data: Bytes) -> NewEvent {
        let header = self.doorstep;
        let members = match &header.members[..] {
            [] => Members::none(),
            [one] => Members::one(&**one),
            [first, second, ..] => Members::two(&**first, &**second),
        };
        NewEvent {
            event_id,
            event_type: event_type.into(),
            at_ms: header.at,
            command_id: Arc::from(&*header.command_id),
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            actor: Arc::from(&*header.actor),
            members,
            last_number: header.last_number,
            data,
        }
    }
}

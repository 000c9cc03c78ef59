//! Events and ids as the protocol has them.

use std::collections::HashMap;

use event_store::RecordedEvent;
use tonic::Status;
use uuid::Uuid;

use super::Numbering;
use crate::metadata::Metadata;
use crate::proto::event_store::client::streams::ReadResp;
use crate::proto::event_store::client::streams::read_resp::read_event::{
    Position, RecordedEvent as Told,
};
use crate::proto::event_store::client::streams::read_resp::{Content, ReadEvent};
use crate::proto::event_store::client::{StreamIdentifier, Uuid as ToldUuid, uuid as told};

/// Ticks of 100 ns in a millisecond, the unit in which the protocol tells when an event was recorded.
const TICKS_PER_MS: i64 = 10_000;

/// How ids are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// As two halves.
    Structured,
    /// As text.
    Text,
}

impl Ids {
    pub(super) fn told(self, id: Uuid) -> ToldUuid {
        let value = match self {
            Self::Structured => {
                let (most, least) = id.as_u64_pair();
                told::Value::Structured(told::Structured {
                    most_significant_bits: most.cast_signed(),
                    least_significant_bits: least.cast_signed(),
                })
            }
            Self::Text => told::Value::String(id.to_string()),
        };
        ToldUuid { value: Some(value) }
    }
}

/// An id as it was given.
pub(super) fn id(given: Option<ToldUuid>) -> Result<Uuid, Status> {
    let given = given.and_then(|given| given.value);
    match given {
        Some(told::Value::Structured(halves)) => Ok(Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
        Some(told::Value::String(text)) => Uuid::parse_str(&text)
            .map_err(|_| Status::invalid_argument(format!("not a UUID: {text:?}"))),
        None => Err(Status::invalid_argument("an id is missing")),
    }
}

/// A stream's name on its way out.
pub(super) fn stream(name: &str) -> StreamIdentifier {
    StreamIdentifier {
        stream_name: name.as_bytes().to_vec().into(),
    }
}

/// An event on its way out.
pub(super) fn event(event: &RecordedEvent, numbering: Numbering, ids: Ids) -> ReadResp {
    let position = numbering.told(event.position());
    let metadata = HashMap::from([
        ("type".to_owned(), event.event_type().to_owned()),
        ("content-type".to_owned(), "application/json".to_owned()),
        (
            "created".to_owned(),
            event
                .recorded_at_ms()
                .saturating_mul(TICKS_PER_MS)
                .to_string(),
        ),
    ]);
    content(Content::Event(ReadEvent {
        event: Some(Told {
            id: Some(ids.told(event.event_id())),
            stream_identifier: Some(stream(event.stream())),
            stream_revision: event.version(),
            prepare_position: position,
            commit_position: position,
            metadata,
            custom_metadata: Metadata::of(event).to_bytes(),
            data: event.data_bytes(),
        }),
        link: None,
        position: Some(Position::CommitPosition(position)),
    }))
}

/// A message of a reading.
pub(super) fn content(content: Content) -> ReadResp {
    ReadResp {
        content: Some(content),
    }
}

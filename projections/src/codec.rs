//! What the views are given: events as the domain decodes them, each once for all views.

use anyhow::Context;
use domain::event::Event;
use domain::ids::ConversationId;
use event_store::RecordedEvent;
use tables::{ApplyError, Codec, DecodeError};

/// Decodes with the domain's own codec.
#[derive(Clone, Copy, Debug, Default)]
pub struct DomainCodec;

impl Codec for DomainCodec {
    type Decoded<'a> = Event<'a>;

    fn decode<'a>(&self, event: &'a RecordedEvent) -> Result<Event<'a>, DecodeError> {
        domain::codec::decode(event.event_type(), event.data()).map_err(DecodeError::new)
    }
}

/// The conversation in whose stream an event stands.
pub(crate) fn conversation_of(recorded: &RecordedEvent) -> Result<ConversationId, ApplyError> {
    recorded
        .stream()
        .strip_prefix("conversation-")
        .and_then(|id| id.parse().ok())
        .context("an event of a conversation stands in another stream")
        .map_err(ApplyError::event)
}

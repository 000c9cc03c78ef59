//! What the views are given: events as the domain decodes them, each once for all views.

use anyhow::Context;
use domain::event::Event;
use domain::ids::{ConversationId, ViewId};
use domain::text::Text;
use domain::{act, conversation};
use event_store::{RecordedEvent, StreamName};
use tables::{ApplyError, Codec, DecodeError, Skipped};

/// Decodes with the domain's own codec.
#[derive(Clone, Copy, Debug, Default)]
pub struct DomainCodec;

impl Codec for DomainCodec {
    type Decoded<'a> = Event<'a>;

    fn decode<'a>(&self, event: &'a RecordedEvent) -> Result<Event<'a>, DecodeError> {
        domain::codec::decode(event.event_type(), event.data()).map_err(DecodeError::new)
    }

    fn skip_stream(&self, view: &str) -> Option<StreamName> {
        let view = ViewId::new(view).ok()?;
        StreamName::new(act::stream_of_view(&view)).ok()
    }

    fn skipped(&self, event: &RecordedEvent) -> Option<Skipped> {
        match self.decode(event) {
            Ok(Event::Act(act::Event::EventSkipped(skipped))) => Some(Skipped {
                view_version: skipped.view_version,
                stream: skipped.stream.into_owned(),
                version: skipped.version,
            }),
            Ok(_) | Err(_) => None,
        }
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

/// A message, as the event that sent it says.
pub(crate) struct Message<'e, 'a> {
    pub(crate) number: u64,
    pub(crate) text: &'e Text<'a>,
    /// Only its author sees it.
    pub(crate) withheld: bool,
}

/// The message that an event sends, if it sends one.
pub(crate) fn message_of<'e, 'a>(event: &'e conversation::Event<'a>) -> Option<Message<'e, 'a>> {
    use conversation::Event;
    match event {
        Event::MessageSent(sent) => Some(Message {
            number: sent.number,
            text: &sent.text,
            withheld: false,
        }),
        Event::MessageWithheld(withheld) => Some(Message {
            number: withheld.number,
            text: &withheld.text,
            withheld: true,
        }),
        Event::RequestOpened(_)
        | Event::RequestAccepted(_)
        | Event::RequestDeleted(_)
        | Event::RequestRestored(_)
        | Event::RequestWithdrawn(_)
        | Event::MovedToRequests(_)
        | Event::MessageUnsent(_)
        | Event::ReadMarked(_)
        | Event::ConversationMuted(_)
        | Event::ConversationUnmuted(_)
        | Event::MemberBlocked(_)
        | Event::MemberUnblocked(_)
        | Event::MessagesRemoved(_)
        | Event::MessagesRestored(_)
        | Event::RelationshipRecorded(_)
        | Event::MessagesReported(_) => None,
    }
}

//! A command that came before: its first outcome again, from its stored events.

use domain::codec;
use domain::conversation::Event as ConversationEvent;
use domain::event::Event;
use domain::time::Timestamp;
use event_store::{Direction, EventStore, Position, ReadError, StreamFrom, StreamName};
use uuid::Uuid;

use crate::outcomes::{MadeSo, Told};
use crate::{CommandError, Outcome};

/// Events read at once: few commands write more than three.
const PAGE_EVENTS: usize = 4;

/// What a command that came before came to.
pub(crate) struct First {
    /// Its outcome.
    pub(crate) result: Result<Outcome, CommandError>,
    /// Whether it was decided and opened no request, so that no slot is its due.
    pub(crate) opened_nothing: bool,
}

impl First {
    fn unknown(error: CommandError) -> Self {
        Self {
            result: Err(error),
            opened_nothing: false,
        }
    }
}

/// The outcome of the command whose first event stands here, once it is durable. None where that event belongs to
/// another command: the index names places by a part of the id.
pub(crate) async fn outcome(
    store: &dyn EventStore,
    stream: &StreamName,
    version: u64,
    correlation: Uuid,
    causation: Uuid,
) -> Option<First> {
    let mut told = Told::by(stream);
    let mut last = Position::START;
    let mut opened_nothing = true;
    let mut from = version;
    // What followed from the command on the same stream has its correlation, but another cause.
    'pages: loop {
        let page = StreamFrom::Version(from);
        let events = match store
            .read_stream(stream, page, Direction::Forward, PAGE_EVENTS)
            .await
        {
            Ok(events) => events,
            // It is there, so that nobody may say of it that nothing was changed.
            Err(ReadError::Unavailable { .. }) => {
                return Some(First::unknown(CommandError::OutcomeUnknown));
            }
            Err(error) => return Some(First::unknown(error.into())),
        };
        for record in &events {
            if record.correlation_id() != correlation || record.causation_id() != causation {
                if record.version() == version && record.correlation_id() == correlation {
                    return Some(First::unknown(CommandError::CommandIdReused));
                }
                break 'pages;
            }
            match codec::decode(record.event_type(), record.data()) {
                Ok(event) => {
                    told.event(&event, record.version(), Timestamp(record.at_ms()));
                    opened_nothing &= !matches!(
                        event,
                        Event::Conversation(ConversationEvent::RequestOpened(_))
                    );
                }
                Err(error) => {
                    return Some(First::unknown(CommandError::Unreadable(error.to_string())));
                }
            }
            last = record.position();
            from = record.version().saturating_add(1);
        }
        if events.len() < PAGE_EVENTS {
            break;
        }
    }
    if last == Position::START {
        return None;
    }
    let position = match told.was_so() {
        None => last,
        Some(MadeSo::ByNothing) => Position::START,
        Some(MadeSo::By(version)) => match store.read_one(stream, version).await {
            Ok(made_so) => made_so.map_or(Position::START, |event| event.position()),
            Err(ReadError::Unavailable { .. }) => {
                return Some(First::unknown(CommandError::OutcomeUnknown));
            }
            Err(error) => return Some(First::unknown(error.into())),
        },
    };
    Some(First {
        result: told.outcome(position, true),
        opened_nothing,
    })
}

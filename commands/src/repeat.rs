//! A command that came before: its first outcome again, from its stored events.

use domain::codec;
use domain::time::Timestamp;
use event_store::{Direction, EventStore, Position, StreamFrom, StreamName};
use uuid::Uuid;

use crate::outcomes::Told;
use crate::{CommandError, Outcome};

/// Events read at once: few commands write more than three.
const PAGE_EVENTS: usize = 4;

/// The outcome of the command whose first event stands here, once it is durable. None where that event belongs to
/// another command: the index names places by a part of the id.
pub(crate) async fn outcome(
    store: &dyn EventStore,
    stream: &StreamName,
    version: u64,
    correlation: Uuid,
    causation: Uuid,
) -> Option<Result<Outcome, CommandError>> {
    let mut told = Told::by(stream);
    let mut last = Position::START;
    let mut from = version;
    // What followed from the command on the same stream has its correlation, but another cause.
    'pages: loop {
        let page = StreamFrom::Version(from);
        let events = match store
            .read_stream(stream, page, Direction::Forward, PAGE_EVENTS)
            .await
        {
            Ok(events) => events,
            Err(error) => return Some(Err(CommandError::Unreadable(error.to_string()))),
        };
        for record in &events {
            if record.correlation_id() != correlation || record.causation_id() != causation {
                if record.version() == version && record.correlation_id() == correlation {
                    return Some(Err(CommandError::CommandIdReused));
                }
                break 'pages;
            }
            match codec::decode(record.event_type(), record.data()) {
                Ok(event) => told.event(&event, record.version(), Timestamp(record.at_ms())),
                Err(error) => return Some(Err(CommandError::Unreadable(error.to_string()))),
            }
            last = record.position();
            from = record.version().saturating_add(1);
        }
        if events.len() < PAGE_EVENTS {
            break;
        }
    }
    (last > Position::START).then(|| told.outcome(last, true))
}

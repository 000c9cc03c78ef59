//! A command that came before: its first outcome again, from its stored events.

use domain::codec;
use domain::time::Timestamp;
use event_store::{Direction, EventStore, Position, StreamFrom, StreamName, bounds};
use uuid::Uuid;

use crate::outcomes::Told;
use crate::{CommandError, Outcome};

/// The outcome of the command whose first event stands here, once it is durable. None where that event belongs to
/// another command: the index names places by a part of the id.
pub(crate) async fn outcome(
    store: &dyn EventStore,
    stream: &StreamName,
    version: u64,
    correlation: Uuid,
    causation: Uuid,
) -> Option<Result<Outcome, CommandError>> {
    let from = StreamFrom::Version(version);
    let events = match store
        .read_stream(stream, from, Direction::Forward, bounds::APPEND_EVENTS_MAX)
        .await
    {
        Ok(events) => events,
        Err(error) => return Some(Err(CommandError::Unreadable(error.to_string()))),
    };
    let first = events
        .first()
        .filter(|record| record.correlation_id() == correlation)?;
    if first.causation_id() != causation {
        return Some(Err(CommandError::CommandIdReused));
    }
    let mut told = Told::by(stream);
    let mut last = Position::START;
    // What followed from the command on the same stream has its correlation, but another cause.
    for record in events.iter().take_while(|record| {
        record.correlation_id() == correlation && record.causation_id() == causation
    }) {
        match codec::decode(record.event_type(), record.data()) {
            Ok(event) => told.event(&event, record.version(), Timestamp(record.at_ms())),
            Err(error) => return Some(Err(CommandError::Unreadable(error.to_string()))),
        }
        last = record.position();
    }
    (last > Position::START).then(|| told.outcome(last, true))
}

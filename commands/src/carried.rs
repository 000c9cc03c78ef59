//! How far a decision on a case, or the reversal of one, reaches: up to what it did.
//!
//! The effect's id follows from the decision's event, so that it is found again whenever it is asked for: the same
//! position each time.

use domain::ids::{CaseId, DecisionId, reactor_event_id};
use domain::{Event, codec};
use event_store::{Direction, Position, StreamFrom};

use crate::aggregate::stream_name;
use crate::reactors::{CASES, effect_of};
use crate::shared::Shared;
use crate::{CommandError, index};

/// The case that a decision is on, up to where the write side's view has come.
pub(crate) fn case_of(
    shared: &Shared,
    decision: DecisionId,
) -> Result<Option<CaseId>, CommandError> {
    let unreadable = |error: String| CommandError::Unreadable(error);
    let reader = shared.view.reader();
    let reader = reader.map_err(|error| unreadable(error.to_string()))?;
    index::case_of_decision(&reader, decision).map_err(|error| unreadable(error.to_string()))
}

/// Events read at once.
const PAGE_EVENTS: usize = 64;

/// The position of what the decision or reversal that stands at a position did; its own where it did nothing, or
/// nothing yet.
pub(crate) async fn position(
    shared: &Shared,
    decision: Position,
) -> Result<Position, CommandError> {
    let Some(record) = shared.store.read_at(decision).await? else {
        return Ok(decision);
    };
    let decoded = codec::decode(record.event_type(), record.data())
        .map_err(|error| CommandError::Unreadable(error.to_string()))?;
    let Event::Case(event) = decoded else {
        return Ok(decision);
    };
    let Some((stream, _)) = effect_of(&event, record.version()) else {
        return Ok(decision);
    };
    let stream = stream_name(stream);
    let effect = reactor_event_id(CASES, record.event_id(), stream.as_str(), 0);
    let mut from = StreamFrom::End;
    loop {
        let page = shared
            .store
            .read_stream(&stream, from, Direction::Backward, PAGE_EVENTS)
            .await?;
        for event in &page {
            if event.event_id() == effect {
                return Ok(event.position());
            }
            if event.position() < decision {
                return Ok(decision);
            }
        }
        match page.last().map(event_store::RecordedEvent::version) {
            Some(version) if version > 0 => from = StreamFrom::Version(version - 1),
            Some(_) | None => return Ok(decision),
        }
    }
}

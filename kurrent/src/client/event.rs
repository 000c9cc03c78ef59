//! Events as KurrentDB has them, and as we have them.
//!
//! Promise: what [`proposed`] sends, [`recorded`] reads back field by field, `data` byte for byte; an event that was not
//! written so is refused with what is wrong with it, and never taken for one of ours.

use event_store::{
    Append, AppendError, ExpectedVersion, NewEvent, Position, ReadError, RecordedEvent, StreamName,
};
use eventstore::{EventData, RecordedEvent as Told, ResolvedEvent};
use serde_json::value::RawValue;

use crate::metadata::Metadata;

/// Ticks of 100 ns in a millisecond, the unit in which KurrentDB tells when an event was recorded.
const TICKS_PER_MS: i64 = 10_000;

/// An event on its way out, with the time at which another log recorded it, if one did.
pub(super) fn proposed(
    event: &NewEvent,
    recorded_at_ms: Option<i64>,
) -> Result<EventData, AppendError> {
    let unfit = |what| AppendError::Unfit { what };
    let json: &RawValue =
        serde_json::from_slice(&event.data).map_err(|_| unfit("data that is no JSON"))?;
    if json.get().len() != event.data.len() {
        return Err(unfit("data with white space around its JSON"));
    }
    let data = EventData::json(&*event.event_type, &json);
    let data = data.map_err(|_| unfit("data that is no JSON"))?;
    let metadata = Metadata::of_new(event, recorded_at_ms).to_bytes();
    Ok(data.id(event.event_id).metadata(metadata))
}

/// Where a told event is in the log.
pub(super) fn position(told: &ResolvedEvent) -> Position {
    Position(told.get_original_event().position.commit)
}

/// The stream of a told event.
pub(super) fn stream(told: &ResolvedEvent) -> &str {
    told.get_original_event().stream_id()
}

/// An event that came in.
pub(super) fn recorded(told: &ResolvedEvent) -> Result<RecordedEvent, ReadError> {
    let told = told.get_original_event();
    of_told(told).map_err(|what| ReadError::Foreign {
        place: format!(
            "event {} of stream {} (type {}, position {})",
            told.revision,
            told.stream_id(),
            told.event_type,
            told.position.commit
        ),
        what: format!(
            "{what}; Doorstep did not write it: let nothing else write to Doorstep's streams, and keep other streams under other names or in another cluster"
        ),
    })
}

fn of_told(told: &Told) -> Result<RecordedEvent, String> {
    if told.position.commit != told.position.prepare {
        return Err("it was written by a transaction of an old client".to_owned());
    }
    let stream = StreamName::new(told.stream_id()).map_err(|error| error.to_string())?;
    // The client's own field is cut to whole seconds.
    let ticks = told
        .metadata
        .get("created")
        .and_then(|ticks| ticks.parse::<i64>().ok());
    let ticks = ticks.ok_or("it does not say when it was recorded")?;
    let metadata = Metadata::parse(&told.custom_metadata).map_err(|error| error.to_string())?;
    let recorded_at_ms = metadata
        .recorded_at_ms()
        .unwrap_or_else(|| ticks.div_euclid(TICKS_PER_MS));
    let event = metadata.into_event(told.id, told.event_type.clone(), told.data.clone());
    let append = Append {
        stream,
        expected: ExpectedVersion::NoStream,
        events: vec![event],
        reads: Vec::new(),
    };
    append.check_bounds().map_err(|error| error.to_string())?;
    let position = Position(told.position.commit);
    let record = |event| {
        RecordedEvent::record(
            position,
            recorded_at_ms,
            &append.stream,
            told.revision,
            event,
        )
    };
    append
        .events
        .first()
        .map(record)
        .ok_or_else(|| "it is none".to_owned())
}

//! What every event store promises, as tests that any store's own tests call.
//!
//! Each function takes an open store, works on streams of fresh names, and panics where a promise is
//! not kept; the store may hold other events and may be written by others meanwhile. [`all`] runs
//! every one. Promises that differ by [`Grade`](crate::Grade) are checked for the store's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a suite of assertions"
)]

mod appending;
mod following;
mod reading;

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

pub use appending::{
    an_append_is_taken_whole_or_not_at_all, an_append_made_alone_is_like_any_other, bounds_hold,
    concurrent_appends_have_one_winner, expected_versions_are_checked, places_follow_the_order,
    read_versions_are_checked, repeated_appends_give_the_first_ticket,
};
pub use following::{
    recorded_times_never_fall, subscriptions_have_no_gap, what_is_durable_is_visible,
};
pub use reading::{
    absent_streams_are_empty, every_field_comes_back, read_all_goes_backward_too,
    read_all_goes_in_order, streams_read_both_ways,
};

use crate::{
    Append, EventStore, ExpectedVersion, Members, NewEvent, RecordedEvent, StreamName, Ticket,
};

/// Runs the whole suite.
pub async fn all(store: Arc<dyn EventStore>) {
    places_follow_the_order(&store).await;
    expected_versions_are_checked(&store).await;
    repeated_appends_give_the_first_ticket(&store).await;
    read_versions_are_checked(&store).await;
    concurrent_appends_have_one_winner(&store).await;
    an_append_made_alone_is_like_any_other(&store).await;
    an_append_is_taken_whole_or_not_at_all(&store).await;
    bounds_hold(&store).await;
    absent_streams_are_empty(&store).await;
    every_field_comes_back(&store).await;
    streams_read_both_ways(&store).await;
    read_all_goes_in_order(&store).await;
    read_all_goes_backward_too(&store).await;
    what_is_durable_is_visible(&store).await;
    subscriptions_have_no_gap(&store).await;
    recorded_times_never_fall(&store).await;
}

/// A stream of a name that no store has yet.
pub fn fresh_stream(category: &str) -> StreamName {
    StreamName::new(format!("{category}-{}", Uuid::new_v4())).unwrap()
}

/// An event with a fresh id and this `data`.
pub fn event_with(data: impl Into<Bytes>) -> NewEvent {
    NewEvent {
        event_id: Uuid::new_v4(),
        event_type: "thing-happened.v1".into(),
        at_ms: 1_700_000_000_000,
        command_id: "command".into(),
        correlation_id: Uuid::new_v4(),
        causation_id: Uuid::new_v4(),
        actor: "actor".into(),
        members: Members::none(),
        last_number: None,
        data: data.into(),
    }
}

/// An event with a fresh id and a small `data`.
pub fn event() -> NewEvent {
    event_with(r#"{"a":1}"#)
}

/// An append of these events that read nothing.
pub fn append_of(stream: &StreamName, expected: ExpectedVersion, events: Vec<NewEvent>) -> Append {
    Append {
        stream: stream.clone(),
        expected,
        events,
        reads: Vec::new(),
    }
}

/// Appends events to a stream and waits until they are durable.
async fn appended(
    store: &Arc<dyn EventStore>,
    stream: &StreamName,
    expected: ExpectedVersion,
    events: Vec<NewEvent>,
) -> (u64, u64) {
    let ticket = store
        .append(append_of(stream, expected, events))
        .await
        .unwrap();
    let versions = (ticket.first_version, ticket.last_version);
    ticket.durable().await.unwrap();
    versions
}

/// A stream with `count` events of distinct data, durable.
async fn stream_of(store: &Arc<dyn EventStore>, count: u64) -> StreamName {
    let stream = fresh_stream("conformance");
    let mut last: Option<Ticket> = None;
    for number in 0..count {
        let expected = ExpectedVersion::of(number.checked_sub(1));
        let event = event_with(format!(r#"{{"number":{number}}}"#));
        last = Some(
            store
                .append(append_of(&stream, expected, vec![event]))
                .await
                .unwrap(),
        );
    }
    if let Some(last) = last {
        last.durable().await.unwrap();
    }
    stream
}

fn versions_of(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(RecordedEvent::version).collect()
}

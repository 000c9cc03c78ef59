//! Who has a published client of KurrentDB appends to a store of ours: once, at the revision that was expected, or not at all.

use std::sync::Arc;

use eventstore::{
    BatchAppendOptions, DeleteStreamOptions, Error, ReadStreamOptions, StreamState,
    TombstoneStreamOptions,
};
use kurrent::metadata::Metadata;
use kurrent::server::{Everyone, Numbering, Options};
use tests::kurrent::{Behind, append, read_stream, thing};
use tests::store::all_events;
use tonic_code::ALREADY_EXISTS;

/// What the protocol's batches fail with where another version is met.
mod tonic_code {
    pub(crate) const ALREADY_EXISTS: i32 = 6;
}

fn appending(seed: u64) -> Options {
    Options {
        numbering: Numbering::Gaps { seed },
        ..Options::appending(Arc::new(Everyone))
    }
}

#[tokio::test]
async fn what_is_appended_is_there_once_at_the_revision_that_was_expected() {
    let behind = Behind::open(appending(17)).await;
    let client = behind.client("");
    let append = async |state, number| append(&client, "thing-1", state, number).await;
    let first = append(StreamState::NoStream, 1).await.expect("written");
    assert_eq!(first.0, 0);
    let again = append(StreamState::NoStream, 1).await.expect("as at first");
    assert_eq!(again, first);
    let second = append(StreamState::StreamRevision(0), 2).await;
    let second = second.expect("written");
    assert!(second.1 > first.1);
    for state in [StreamState::NoStream, StreamState::StreamRevision(0)] {
        let refused = append(state, 3).await;
        assert!(
            matches!(refused, Err(Error::WrongExpectedVersion { .. })),
            "{refused:?}"
        );
    }
    let third = append(StreamState::Any, 4).await.expect("written");
    assert_eq!(third.0, 2);
    let fourth = append(StreamState::StreamExists, 5).await;
    assert_eq!(fourth.expect("written").0, 3);
    for state in [StreamState::Any, StreamState::StreamExists] {
        assert_eq!(append(state, 4).await.expect("as at first"), third);
    }
    let none = tests::kurrent::append(&client, "thing-2", StreamState::StreamExists, 6).await;
    assert!(
        matches!(none, Err(Error::WrongExpectedVersion { .. })),
        "{none:?}"
    );
    assert_eq!(all_events(&*behind.store).await.len(), 4);
    behind.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_expect_nothing_of_a_stream_come_one_after_the_other() {
    let behind = Behind::open(appending(37)).await;
    let client = behind.client("");
    let writers = (1..=8_u128).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            for number in 0..10 {
                let number = writer * 100 + number;
                let written = append(&client, "thing-1", StreamState::Any, number).await;
                written.expect("written, however many others are");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let stored = all_events(&*behind.store).await;
    let versions: Vec<u64> = stored
        .iter()
        .map(event_store::RecordedEvent::version)
        .collect();
    assert_eq!(versions, (0..80).collect::<Vec<u64>>());
    behind.stop().await;
}

#[tokio::test]
async fn batches_are_whole_in_order_and_there_once() {
    let behind = Behind::open(appending(19)).await;
    let client = behind.client("");
    let batches = client.batch_append(&BatchAppendOptions::default()).await;
    let batches = batches.expect("a stream of batches");
    let events = |from: u128| (from..from + 3).map(thing).collect::<Vec<_>>();
    let first = batches
        .append_to_stream("thing-1", StreamState::NoStream, events(1))
        .await
        .expect("written");
    assert_eq!(first.current_revision(), Some(2));
    let again = batches
        .append_to_stream("thing-1", StreamState::NoStream, events(1))
        .await
        .expect("as at first");
    assert_eq!(again.current_revision(), Some(2));
    assert_eq!(again.current_position(), first.current_position());
    let next = StreamState::StreamRevision(2);
    let second = batches.append_to_stream("thing-1", next, events(4)).await;
    assert_eq!(second.expect("written").current_revision(), Some(5));
    let refused = batches.append_to_stream("thing-1", next, events(7)).await;
    match refused {
        Err(Error::Grpc { code, .. }) => assert_eq!(i32::from(code), ALREADY_EXISTS),
        other => panic!("{other:?}"),
    }
    let told = read_stream(&client, "thing-1", ReadStreamOptions::default()).await;
    let ids: Vec<u128> = told
        .expect("the stream")
        .iter()
        .map(|event| event.get_original_event().id.as_u128())
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    behind.stop().await;
}

#[tokio::test]
async fn what_is_none_of_ours_is_refused_and_leaves_nothing() {
    let behind = Behind::open(appending(23)).await;
    let client = behind.client("");
    let options = eventstore::AppendToStreamOptions::default();
    let write = async |name: &str, events: Vec<eventstore::EventData>| {
        let written = client.append_to_stream(name, &options, events).await;
        match written {
            Err(Error::Grpc { message, .. }) => message,
            other => panic!("{other:?}"),
        }
    };
    let many = (1..=17).map(thing).collect();
    assert!(write("thing-1", many).await.contains("at most 16 events"));
    let nothing = write("thing-1", Vec::new()).await;
    assert!(nothing.contains("without events"), "{nothing}");
    let binary = eventstore::EventData::binary("thing.v1", vec![1, 2].into());
    let binary = write("thing-1", vec![binary]).await;
    assert!(binary.contains("application/json"), "{binary}");
    let foreign = thing(1).metadata_as_json(&serde_json::json!({"theirs": 1}));
    let foreign = write("thing-1", vec![foreign.expect("JSON")]).await;
    assert!(foreign.contains("`doorstep`"), "{foreign}");
    let name = write("no name of a stream", vec![thing(1)]).await;
    assert!(name.contains("stream"), "{name}");
    // A batch that is refused ends the published client's stream of batches, so each has its own.
    for events in [(1..=17).map(thing).collect(), Vec::new()] {
        let batches = client.batch_append(&BatchAppendOptions::default()).await;
        let batches = batches.expect("a stream of batches");
        let refused = batches
            .append_to_stream("thing-1", StreamState::Any, events)
            .await;
        assert!(matches!(refused, Err(Error::Grpc { .. })), "{refused:?}");
    }
    assert!(all_events(&*behind.store).await.is_empty());
    behind.stop().await;
}

#[tokio::test]
async fn an_events_header_comes_back_as_it_was_written() {
    let behind = Behind::open(appending(29)).await;
    let client = behind.client("");
    let metadata = serde_json::json!({
        "doorstep": {
            "at": 1_700_000_000_123_i64, "command_id": "c1", "actor": "ann",
            "members": ["ann", "bob"], "last_number": 7
        },
        "$correlationId": uuid::Uuid::from_u128(11),
        "$causationId": uuid::Uuid::from_u128(12),
    });
    let event = thing(1).metadata_as_json(&metadata).expect("JSON");
    let options = eventstore::AppendToStreamOptions::default();
    let written = client.append_to_stream("thing-1", &options, event).await;
    written.expect("written");
    let stored = all_events(&*behind.store).await;
    assert_eq!(stored[0].at_ms(), 1_700_000_000_123);
    assert_eq!(stored[0].command_id(), "c1");
    assert_eq!(stored[0].actor(), "ann");
    assert_eq!(stored[0].members().collect::<Vec<_>>(), ["ann", "bob"]);
    assert_eq!(stored[0].last_number(), Some(7));
    assert_eq!(stored[0].correlation_id().as_u128(), 11);
    assert_eq!(stored[0].causation_id().as_u128(), 12);
    let told = read_stream(&client, "thing-1", ReadStreamOptions::default()).await;
    let told = told.expect("the stream");
    let told = told[0].get_original_event();
    let back: serde_json::Value = serde_json::from_slice(&told.custom_metadata).expect("JSON");
    assert_eq!(back, metadata);
    assert!(Metadata::parse(&told.custom_metadata).is_ok());
    behind.stop().await;
}

#[tokio::test]
async fn nothing_is_ever_deleted() {
    let behind = Behind::open(appending(31)).await;
    let client = behind.client("");
    append(&client, "thing-1", StreamState::NoStream, 1)
        .await
        .expect("written");
    let deleted = client
        .delete_stream("thing-1", &DeleteStreamOptions::default())
        .await;
    assert!(matches!(deleted, Err(Error::AccessDenied)), "{deleted:?}");
    let deleted = client
        .tombstone_stream("thing-1", &TombstoneStreamOptions::default())
        .await;
    assert!(matches!(deleted, Err(Error::AccessDenied)), "{deleted:?}");
    assert_eq!(all_events(&*behind.store).await.len(), 1);
    behind.stop().await;
}

//! The adapter keeps what a store promises, over a socket and through the published client.
//!
//! The suite is `event_store::conformance`; here it meets servers of the protocol whose positions have gaps.
//! `DOORSTEP_KURRENT_URL` names a real KurrentDB that it is to meet as well.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{
    AppendError, Direction, EventStore, ExpectedVersion, Position, ReadError, RecordedEvent,
    StreamFrom, bounds, conformance,
};
use eventstore::{AppendToStreamOptions, EventData, StreamState};
use kurrent::client::{Connection, KurrentStore, OpenError, Options, Streams};
use kurrent::server::Numbering;
use tests::cluster::{Log, open};
use tests::front::{Front, Fronted};
use tests::store::{event, stream};

async fn all(store: &dyn EventStore) -> Vec<RecordedEvent> {
    let mut all: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = all.last().map_or(Position::START, RecordedEvent::position);
        let block = store.read_all(after, 7, 1 << 20).await.expect("a block");
        if block.is_empty() {
            return all;
        }
        all.extend(block);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_conforms() {
    let log = Log::new();
    for seed in [5, 6] {
        let node = log.serve(seed);
        conformance::all(Arc::new(open(&node.at()).await.expect("it answers"))).await;
    }
}

#[tokio::test]
async fn the_adapter_conforms_on_one_thread() {
    let log = Log::new();
    let node = log.serve(7);
    conformance::all(Arc::new(open(&node.at()).await.expect("it answers"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_conforms_over_a_cluster_that_is_named() {
    let Ok(url) = std::env::var("DOORSTEP_KURRENT_URL") else {
        eprintln!("DOORSTEP_KURRENT_URL names no cluster: held against none");
        return;
    };
    conformance::all(Arc::new(open(&url).await.expect("it answers"))).await;
}

#[tokio::test]
async fn it_is_the_same_log_event_for_event() {
    let log = Log::new();
    for number in 0..40_u64 {
        let expected = ExpectedVersion::of((number / 4).checked_sub(1));
        let append = conformance::append_of(&stream(number % 4), expected, vec![event(number, 40)]);
        let ticket = log.store.append(append).await.expect("a place");
        ticket.durable().await.expect("the disk");
    }
    let node = log.serve(8);
    let store = open(&node.at()).await.expect("it answers");
    let told = all(&store).await;
    let own = all(&*log.store).await;
    // Which log it is stands in the log below, and is none of its events.
    assert_eq!((told.len(), own.len()), (40, 41));
    let numbering = Numbering::Gaps { seed: 8 };
    for (told, own) in told.iter().zip(&own) {
        assert_eq!(told.canonical_digest(), own.canonical_digest());
        assert_eq!(told.position().0, numbering.told(own.position()));
    }
}

#[tokio::test]
async fn every_node_of_a_log_knows_it_by_the_same_id() {
    let log = Log::new();
    let node = log.serve(9);
    let (at, also) = (node.at(), node.at());
    let (one, other) = tokio::join!(open(&at), open(&also));
    let (one, other) = (one.expect("it answers"), other.expect("it answers"));
    assert_eq!(one.log_id(), other.log_id());
    assert_eq!(one.schema_level(), 1);
    drop((one, other));
    let connection = Connection::parse(&node.at()).expect("a connection string");
    let options = Options {
        schema_level: 0,
        ..Options::default()
    };
    let refused = KurrentStore::open(connection, options).await;
    assert!(matches!(
        refused.err(),
        Some(OpenError::SchemaLevel {
            found: 1,
            known: 0,
            ..
        })
    ));
}

#[tokio::test]
async fn what_one_node_appends_another_finds_and_knows_again() {
    let log = Log::new();
    let node = log.serve(10);
    let one = open(&node.at()).await.expect("it answers");
    let other = open(&node.at()).await.expect("it answers");
    let append = conformance::append_of(
        &stream(1),
        ExpectedVersion::NoStream,
        vec![event(1, 40), event(2, 40)],
    );
    let first = one.append(append.clone()).await.expect("a place");
    let position = first.durable().await.expect("acknowledged");
    // The other may not have been told yet: the cluster says so, and the ids say that it is the same.
    let again = other.append(append.clone()).await.expect("the first place");
    assert_eq!(again.last_position, position);
    let rival = conformance::append_of(&stream(1), ExpectedVersion::NoStream, vec![event(3, 40)]);
    let refused = other.append(rival).await.expect_err("a rival");
    assert!(
        matches!(refused, AppendError::WrongVersion { actual: Some(1), position: at, .. } if at == position),
        "{refused}"
    );
    other.wait_durable(position).await.expect("it is there");
    assert_eq!(all(&other).await.len(), 2);
    assert_eq!(all(&*log.store).await.len(), 3);
}

#[tokio::test]
async fn a_position_between_two_events_is_none_to_begin_at() {
    let log = Log::new();
    let node = log.serve(14);
    let store = open(&node.at()).await.expect("it answers");
    let mut positions = Vec::new();
    for number in 0..6_u64 {
        let expected = ExpectedVersion::of(number.checked_sub(1));
        let append = conformance::append_of(&stream(1), expected, vec![event(number, 40)]);
        let ticket = store.append(append).await.expect("a place");
        positions.push(ticket.durable().await.expect("acknowledged"));
    }
    // One that remembers none of them.
    let store = open(&node.at()).await.expect("it answers");
    let between = Position(positions[2].0 + 1);
    assert!(between < positions[3]);
    assert_eq!(store.read_at(between).await.expect("it reads"), None);
    let there = store.read_at(positions[2]).await.expect("it reads");
    assert_eq!(there.map(|event| event.version()), Some(2));
    let Err(ReadError::Foreign { place, .. }) = store.read_all(between, 10, 1 << 20).await else {
        panic!("it begins nowhere");
    };
    assert_eq!(place, format!("position {between}"));
    for count in [1, 2, 7] {
        let back = store.read_all_backward(between, count).await;
        let back = back.expect("what lies before it");
        let back: Vec<Position> = back.iter().map(RecordedEvent::position).collect();
        let mut before = positions[..3].to_vec();
        before.reverse();
        before.truncate(count);
        assert_eq!(back, before);
    }
    let beyond = Position(positions[5].0 + 1);
    assert!(
        store
            .read_all(beyond, 10, 1 << 20)
            .await
            .expect("it reads")
            .is_empty()
    );
    assert_eq!(store.read_at(beyond).await.expect("it reads"), None);
}

#[tokio::test]
async fn streams_of_others_are_left_out_and_not_written() {
    let log = Log::new();
    let node = log.serve(11);
    let connection = Connection::parse(&node.at()).expect("a connection string");
    let options = Options {
        streams: Streams::Categories(&["thing"]),
        ..Options::default()
    };
    let store = KurrentStore::open(connection, options).await;
    let store = store.expect("it answers");
    let client = client(&node.at());
    let mut last = Position::START;
    for number in 0..20_u64 {
        // Not ours, not JSON of ours, and between ours.
        let theirs = EventData::json("order-placed", &number).expect("JSON");
        let any = AppendToStreamOptions::default().stream_state(StreamState::Any);
        let written = client.append_to_stream("orders-1", &any, theirs).await;
        written.expect("written");
        if number % 5 == 0 {
            let expected = ExpectedVersion::of((number / 5).checked_sub(1));
            let own = conformance::append_of(&stream(3), expected, vec![event(number, 40)]);
            let ticket = store.append(own).await.expect("a place");
            last = ticket.durable().await.expect("acknowledged");
        }
    }
    let own = all(&store).await;
    assert_eq!(own.len(), 4);
    assert_eq!(own.last().map(RecordedEvent::position), Some(last));
    assert_eq!(store.durable_position(), last);
    let back = store.read_all_backward(Position(u64::MAX), 3).await;
    let back: Vec<u64> = back
        .expect("a block")
        .iter()
        .map(RecordedEvent::version)
        .collect();
    assert_eq!(back, [3, 2, 1]);
    let elsewhere = event_store::StreamName::new("orders-1").expect("a name");
    let append =
        conformance::append_of(&elsewhere, ExpectedVersion::Exact(19), vec![event(77, 40)]);
    let refused = store.append(append).await.expect_err("not this log's");
    assert!(matches!(refused, AppendError::Unfit { .. }), "{refused}");
}

/// Shows the second event of each stream as no event of Doorstep's is: beyond its bounds.
struct Strange;

#[async_trait]
impl Front for Strange {
    fn shows(&self, shown: RecordedEvent) -> RecordedEvent {
        let Some(stream) = shown.stream_name().filter(|_| shown.version() == 1) else {
            return shown;
        };
        let strange = event(1, bounds::EVENT_BYTES_MAX + 1);
        RecordedEvent::record(shown.position(), 0, &stream, 1, &strange)
    }
}

#[tokio::test]
async fn an_event_that_is_not_ours_is_told_and_what_lies_around_it_is_read() {
    let log = Log::new();
    for number in 0..4_u64 {
        let expected = ExpectedVersion::of((number / 2).checked_sub(1));
        let append = conformance::append_of(&stream(number % 2), expected, vec![event(number, 40)]);
        let ticket = log.store.append(append).await.expect("a place");
        ticket.durable().await.expect("the disk");
    }
    let node = log.serve_over(Fronted::over(Arc::clone(&log.store), Strange), 12);
    let store = open(&node.at())
        .await
        .err()
        .expect("the last event is strange");
    let told = store.to_string();
    assert!(told.contains("event 1 of stream thing-1"), "{told}");
    assert!(told.contains("let nothing else write"), "{told}");
    let last = conformance::append_of(&stream(2), ExpectedVersion::NoStream, vec![event(9, 40)]);
    let ticket = log.store.append(last).await.expect("a place");
    ticket.durable().await.expect("the disk");
    let store = open(&node.at()).await.expect("it answers");
    let begin = store.read_all(Position::START, 10, 1 << 20).await;
    let begin = begin.expect("what lies before it");
    assert_eq!(begin.len(), 2);
    let foreign = store.read_all(begin[1].position(), 10, 1 << 20).await;
    let Err(ReadError::Foreign { place, .. }) = foreign else {
        panic!("{foreign:?}");
    };
    assert!(
        place.contains("event 1 of stream thing-0 (type thing-happened.v1"),
        "{place}"
    );
    let of_stream = store
        .read_stream(&stream(0), StreamFrom::Start, Direction::Forward, 10)
        .await;
    assert!(matches!(of_stream, Err(ReadError::Foreign { .. })));
    let one = store.read_one(&stream(0), 0).await.expect("it is ours");
    assert!(one.is_some());
    // One that comes while the log is followed is met by whoever follows.
    let mut subscription = store.subscribe(store.durable_position()).await.expect("it");
    for number in 10..12_u64 {
        let expected = ExpectedVersion::of((number - 10).checked_sub(1));
        let append = conformance::append_of(&stream(3), expected, vec![event(number, 40)]);
        let ticket = log.store.append(append).await.expect("a place");
        ticket.durable().await.expect("the disk");
    }
    let error = loop {
        match subscription.next().await {
            Ok(events) => assert!(events.iter().all(|event| event.version() == 0)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ReadError::Foreign { .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_kept_byte_for_byte_is_refused() {
    let log = Log::new();
    let node = log.serve(13);
    let store = open(&node.at()).await.expect("it answers");
    for data in ["", "{", "{\"a\":1} ", "\n{}"] {
        let event = conformance::event_with(data.to_owned());
        let append = conformance::append_of(&stream(1), ExpectedVersion::NoStream, vec![event]);
        let refused = store.append(append).await.expect_err("not for this store");
        assert!(matches!(refused, AppendError::Unfit { .. }), "{refused}");
    }
    assert_eq!(store.head(&stream(1)).await.expect("the stream"), None);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let log = Log::new();
    let node = log.serve(14);
    let store = open(&node.at()).await.expect("it answers");
    let mut changes = store.durable_changes();
    let mut subscription = store
        .subscribe(Position::START)
        .await
        .expect("a subscription");
    store.close();
    assert!(changes.changed().await.is_err());
    assert_eq!(subscription.next().await, Err(ReadError::Closed));
    let append = conformance::append_of(&stream(1), ExpectedVersion::NoStream, vec![event(1, 40)]);
    assert_eq!(
        store.append(append).await.expect_err("closed"),
        AppendError::Closed
    );
    assert_eq!(store.head(&stream(1)).await, Err(ReadError::Closed));
    assert!(store.wait_durable(Position(u64::MAX)).await.is_err());
}

fn client(at: &str) -> eventstore::Client {
    let settings = at.parse().expect("a connection string");
    eventstore::Client::new(settings).expect("a client")
}

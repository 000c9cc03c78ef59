//! Promises of the readings: what comes back, in which order, within which bounds.

use std::sync::Arc;

use uuid::Uuid;

use super::{append_of, fresh_stream, stream_of, versions_of};
use crate::{
    Direction, EventStore, ExpectedVersion, Members, NewEvent, Position, RecordedEvent, StreamFrom,
};

/// A stream without events reads as empty, by every way.
pub async fn absent_streams_are_empty(store: &Arc<dyn EventStore>) {
    let absent = fresh_stream("absent");
    assert_eq!(store.head(&absent).await.unwrap(), None);
    assert_eq!(store.read_one(&absent, 0).await.unwrap(), None);
    for direction in [Direction::Forward, Direction::Backward] {
        for from in [StreamFrom::Start, StreamFrom::End, StreamFrom::Version(3)] {
            let events = store
                .read_stream(&absent, from, direction, 10)
                .await
                .unwrap();
            assert!(events.is_empty());
        }
    }
}

/// Header and data come back as they were given, data byte for byte.
pub async fn every_field_comes_back(store: &Arc<dyn EventStore>) {
    let stream = fresh_stream("fields");
    let plain = NewEvent {
        event_id: Uuid::new_v4(),
        event_type: "plain.v1".into(),
        at_ms: -1,
        command_id: "c".into(),
        correlation_id: Uuid::nil(),
        causation_id: Uuid::max(),
        actor: "a".into(),
        members: Members::none(),
        last_number: Some(0),
        data: "{}".into(),
    };
    let full = NewEvent {
        event_id: Uuid::new_v4(),
        event_type: "message-sent.v1".into(),
        at_ms: 1_733_000_000_123,
        command_id: "key/7 – ü".into(),
        correlation_id: Uuid::new_v4(),
        causation_id: Uuid::new_v4(),
        actor: "did:plc:z72i7hd".into(),
        members: Members::two("did:plc:z72i7hd", "member.2"),
        last_number: Some(41),
        data: "{ \"text\" :\"\\u00e9 é 🚪\",\n\"b\": 1.50e3 }".into(),
    };
    let one = NewEvent {
        event_id: Uuid::new_v4(),
        members: Members::one("m"),
        ..plain.clone()
    };
    let events = vec![plain, full, one];
    let before = store.durable_position();
    let append = append_of(&stream, ExpectedVersion::NoStream, events.clone());
    store.append(append).await.unwrap().durable().await.unwrap();

    let by_stream = store
        .read_stream(&stream, StreamFrom::Start, Direction::Forward, 10)
        .await
        .unwrap();
    let by_log = own_events(store, before, stream.as_str()).await;
    assert_eq!(by_stream.len(), 3);
    assert_eq!(by_log.len(), 3);
    for ((version, new), (a, b)) in (0..).zip(&events).zip(by_stream.iter().zip(&by_log)) {
        let one = store.read_one(&stream, version).await.unwrap().unwrap();
        for stored in [a, b, &one] {
            assert_eq!(stored.stream(), stream.as_str());
            assert_eq!(stored.version(), version);
            assert_eq!(stored.event_id(), new.event_id);
            assert_eq!(stored.event_type(), new.event_type);
            assert_eq!(stored.at_ms(), new.at_ms);
            assert_eq!(stored.command_id(), &*new.command_id);
            assert_eq!(stored.correlation_id(), new.correlation_id);
            assert_eq!(stored.causation_id(), new.causation_id);
            assert_eq!(stored.actor(), &*new.actor);
            assert!(stored.members().eq(new.members.iter().map(|m| &**m)));
            assert_eq!(stored.last_number(), new.last_number);
            assert_eq!(stored.data(), &new.data[..]);
            assert_eq!(stored.position(), a.position());
            assert_eq!(stored.recorded_at_ms(), a.recorded_at_ms());
            // What digests are over does not depend on the log.
            let elsewhere = RecordedEvent::record(
                Position(7_777_777),
                stored.recorded_at_ms(),
                &stream,
                version,
                new,
            );
            assert_eq!(stored.canonical_digest(), elsewhere.canonical_digest());
        }
    }
}

/// From every place, both ways, never more than asked for.
pub async fn streams_read_both_ways(store: &Arc<dyn EventStore>) {
    let stream = stream_of(store, 10).await;
    let cases: [(StreamFrom, Direction, usize, Vec<u64>); 15] = [
        (
            StreamFrom::Start,
            Direction::Forward,
            100,
            (0..10).collect(),
        ),
        (StreamFrom::Start, Direction::Forward, 3, vec![0, 1, 2]),
        (StreamFrom::Start, Direction::Forward, 0, vec![]),
        (StreamFrom::Start, Direction::Backward, 100, vec![0]),
        (StreamFrom::End, Direction::Forward, 100, vec![9]),
        (
            StreamFrom::End,
            Direction::Backward,
            100,
            (0..10).rev().collect(),
        ),
        (StreamFrom::End, Direction::Backward, 3, vec![9, 8, 7]),
        (StreamFrom::End, Direction::Backward, 0, vec![]),
        (StreamFrom::Version(4), Direction::Forward, 3, vec![4, 5, 6]),
        (
            StreamFrom::Version(4),
            Direction::Forward,
            usize::MAX,
            (4..10).collect(),
        ),
        (
            StreamFrom::Version(4),
            Direction::Backward,
            3,
            vec![4, 3, 2],
        ),
        (
            StreamFrom::Version(4),
            Direction::Backward,
            usize::MAX,
            vec![4, 3, 2, 1, 0],
        ),
        (StreamFrom::Version(9), Direction::Forward, 3, vec![9]),
        (StreamFrom::Version(10), Direction::Forward, 3, vec![]),
        (StreamFrom::Version(99), Direction::Backward, 2, vec![9, 8]),
    ];
    for (from, direction, max, wanted) in cases {
        let events = store
            .read_stream(&stream, from, direction, max)
            .await
            .unwrap();
        assert_eq!(versions_of(&events), wanted, "{from:?} {direction:?} {max}");
        for event in &events {
            assert_eq!(
                event.data(),
                format!(r#"{{"number":{}}}"#, event.version()).as_bytes()
            );
        }
    }
    for version in 0..10 {
        let one = store.read_one(&stream, version).await.unwrap().unwrap();
        assert_eq!(one.version(), version);
    }
    assert_eq!(store.read_one(&stream, 10).await.unwrap(), None);
    assert_eq!(store.read_one(&stream, u64::MAX).await.unwrap(), None);
}

/// The log reads in the order of positions, in pieces of any size, each at least one event.
pub async fn read_all_goes_in_order(store: &Arc<dyn EventStore>) {
    let before = store.durable_position();
    let a = stream_of(store, 5).await;
    let b = stream_of(store, 5).await;
    let end = store.durable_position();
    for (max_events, max_bytes) in [(1, 1), (1000, 1), (3, 1 << 20), (1000, 1 << 20), (0, 0)] {
        let mut after = before;
        let mut seen = Vec::new();
        loop {
            let events = store.read_all(after, max_events, max_bytes).await.unwrap();
            assert!(events.len() <= max_events.max(1));
            let Some(last) = events.last() else { break };
            for event in &events {
                assert!(event.position() > after, "positions rise");
                after = event.position();
            }
            assert_eq!(last.position(), after);
            seen.extend(events);
            if after >= end {
                break;
            }
        }
        let own = |stream: &str| {
            let of_stream: Vec<_> = seen
                .iter()
                .filter(|event| event.stream() == stream)
                .cloned()
                .collect();
            versions_of(&of_stream)
        };
        assert_eq!(own(a.as_str()), [0, 1, 2, 3, 4]);
        assert_eq!(own(b.as_str()), [0, 1, 2, 3, 4]);
    }
    assert!(
        store
            .read_all(Position(u64::MAX), 10, 1000)
            .await
            .unwrap()
            .is_empty()
    );
}

/// The whole log can be read backward from any place, and is the same as forward.
pub async fn read_all_goes_backward_too(store: &Arc<dyn EventStore>) {
    let before = store.durable_position();
    stream_of(store, 7).await;
    stream_of(store, 4).await;
    let end = store.durable_position();
    let mut forward = Vec::new();
    let mut after = before;
    while after < end {
        let block = store.read_all(after, 1000, 1 << 20).await.unwrap();
        after = block.last().unwrap().position();
        forward.extend(block);
    }
    for max in [1, 3, 1000] {
        let mut backward: Vec<RecordedEvent> = Vec::new();
        let mut at = Position(after.0 + 1);
        loop {
            let block = store.read_all_backward(at, max).await.unwrap();
            assert!(block.len() <= max);
            let Some(last) = block.last() else { break };
            at = last.position();
            backward.extend(block);
            if at <= before {
                break;
            }
        }
        backward.retain(|event| event.position() > before);
        backward.reverse();
        assert_eq!(backward, forward);
    }
    assert!(
        store
            .read_all_backward(Position::START, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let last = store
        .read_all_backward(Position(u64::MAX), 1)
        .await
        .unwrap();
    assert!(last.first().is_some_and(|event| event.position() >= after));
}

async fn own_events(
    store: &Arc<dyn EventStore>,
    mut after: Position,
    stream: &str,
) -> Vec<RecordedEvent> {
    let mut own = Vec::new();
    loop {
        let events = store.read_all(after, 100, 1 << 20).await.unwrap();
        let Some(last) = events.last() else {
            return own;
        };
        after = last.position();
        own.extend(events.into_iter().filter(|event| event.stream() == stream));
    }
}

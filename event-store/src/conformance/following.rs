//! Promises over time: what is durable is visible and nothing else, subscriptions miss nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::{append_of, event, fresh_stream, stream_of};
use crate::{EventStore, ExpectedVersion, Position};

/// Streams that are written at once.
const WRITERS: u64 = 8;
/// Events that each gets.
const EVENTS: u64 = 50;

/// After `durable` everything shows the event; and no reading goes past the durable position.
pub async fn what_is_durable_is_visible(store: &Arc<dyn EventStore>) {
    let mut changes = store.durable_changes();
    let before = store.durable_position();
    let writers = write_concurrently(store);
    // Whatever is read now is durable by the time it is read.
    let mut after = before;
    for _ in 0..200 {
        for event in store.read_all(after, 10, 1 << 16).await.unwrap() {
            assert!(event.position() <= store.durable_position());
            after = event.position();
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        for (stream, version, position) in writer.await.unwrap() {
            assert!(store.durable_position() >= position);
            store.wait_durable(position).await.unwrap();
            let head = store.head(&stream).await.unwrap().unwrap();
            assert!(head.version >= version && head.position >= position);
            let stored = store.read_one(&stream, version).await.unwrap().unwrap();
            assert_eq!(stored.position(), position);
        }
    }
    changes.changed().await.unwrap();
    assert!(*changes.borrow() > before);
    store.wait_durable(Position::START).await.unwrap();
}

/// A subscription gives history and then what comes, each event once and in order, from wherever it
/// begins and whenever.
pub async fn subscriptions_have_no_gap(store: &Arc<dyn EventStore>) {
    let start = store.durable_position();
    let early = stream_of(store, 20).await;
    let middle = store
        .read_all(start, 10, 1 << 20)
        .await
        .unwrap()
        .pop()
        .unwrap()
        .position();
    let writers = write_concurrently(store);
    let mut subscriptions = Vec::new();
    for after in [start, middle, store.durable_position()] {
        subscriptions.push((after, store.subscribe(after).await.unwrap()));
    }
    let mut last = Position::START;
    for writer in writers {
        for (_, _, position) in writer.await.unwrap() {
            last = last.max(position);
        }
    }
    let late = stream_of(store, 3).await;
    let end = store.head(&late).await.unwrap().unwrap().position;
    assert!(end > last);

    for (after, mut subscription) in subscriptions {
        let mut at = after;
        let mut next: HashMap<String, u64> = HashMap::new();
        while at < end {
            let events = subscription.next().await.unwrap();
            assert!(!events.is_empty());
            for event in events {
                assert!(event.position() > at, "in order, and none twice");
                at = event.position();
                let version = next
                    .entry(event.stream().to_owned())
                    .or_insert(event.version());
                assert_eq!(event.version(), *version, "no gap in {}", event.stream());
                *version += 1;
            }
        }
        assert_eq!(next.get(late.as_str()), Some(&3));
        if after == start {
            assert_eq!(next.get(early.as_str()), Some(&20));
            let full = next.values().filter(|count| **count == EVENTS).count();
            assert!(full >= usize::try_from(WRITERS).unwrap());
        }
    }
}

/// `recorded_at` never falls along the log.
pub async fn recorded_times_never_fall(store: &Arc<dyn EventStore>) {
    let before = store.durable_position();
    for writer in write_concurrently(store) {
        writer.await.unwrap();
    }
    let mut last = i64::MIN;
    let mut after = before;
    loop {
        let events = store.read_all(after, 1000, 1 << 20).await.unwrap();
        let Some(end) = events.last().map(crate::RecordedEvent::position) else {
            break;
        };
        for event in events {
            assert!(event.recorded_at_ms() >= last);
            last = event.recorded_at_ms();
        }
        after = end;
    }
}

type Written = Vec<(crate::StreamName, u64, Position)>;

/// Writers of streams of their own, each of which gives what was durable.
fn write_concurrently(store: &Arc<dyn EventStore>) -> Vec<tokio::task::JoinHandle<Written>> {
    (0..WRITERS)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let stream = fresh_stream("written");
                let mut written = Vec::new();
                for number in 0..EVENTS {
                    let expected = ExpectedVersion::of(number.checked_sub(1));
                    let append = append_of(&stream, expected, vec![event()]);
                    let ticket = store.append(append).await.unwrap();
                    let version = ticket.last_version;
                    written.push((stream.clone(), version, ticket.durable().await.unwrap()));
                }
                written
            })
        })
        .collect()
}

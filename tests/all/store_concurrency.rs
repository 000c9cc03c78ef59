//! Many writers and readers at once, over many small segments: every reader sees what was acknowledged,
//! in order, while segments are sealed, indexed and merged, and the log is checked and copied.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use event_store::{
    AppendError, Direction, EmbeddedStore, EventStore, ExpectedVersion, Options, Position,
    RecordedEvent, StreamFrom, StreamName, backup, conformance, verify,
};
use tests::store::{event, stream};

/// Tasks that append.
const WRITERS: u64 = 24;
/// Appends of each.
const APPENDS: u64 = 120;
/// Streams they share.
const STREAMS: u64 = 60;

async fn write(store: EmbeddedStore, writer: u64) -> u64 {
    let mut taken = 0;
    for number in 0..APPENDS {
        let name = stream((writer * 31 + number * 7) % STREAMS);
        let events: Vec<_> = (0..=number % 3)
            .map(|n| event(writer << 32 | number << 8 | n, 300))
            .collect();
        let count = events.len() as u64;
        let mut append = conformance::append_of(&name, ExpectedVersion::NoStream, events);
        let head = store.head(&name).await.unwrap();
        append.expected = ExpectedVersion::of(head.map(|head| head.version));
        loop {
            let placed = if number.is_multiple_of(4) {
                store.append_alone(append.clone()).await
            } else {
                store.append(append.clone()).await
            };
            match placed {
                Ok(ticket) => {
                    assert!(!ticket.repeated);
                    let position = ticket.durable().await.unwrap();
                    let head = store.head(&name).await.unwrap().unwrap();
                    assert!(head.position >= position);
                    taken += count;
                    break;
                }
                Err(AppendError::WrongVersion { actual, .. }) => {
                    append.expected = ExpectedVersion::of(actual);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    taken
}

/// Everything up to the one event of this stream.
async fn follow(store: EmbeddedStore, last: StreamName) -> Vec<RecordedEvent> {
    let mut subscription = store.subscribe(Position::START).await.unwrap();
    let mut seen: Vec<RecordedEvent> = Vec::new();
    while seen
        .last()
        .is_none_or(|event| event.stream() != last.as_str())
    {
        seen.extend(subscription.next().await.unwrap());
    }
    seen
}

async fn page(store: EmbeddedStore, done: Arc<AtomicBool>, seed: u64) -> u64 {
    let mut pages = 0;
    while !done.load(Ordering::Acquire) {
        let name = stream((seed + pages * 13) % STREAMS);
        let head = store.head(&name).await.unwrap();
        let max = 1 + usize::try_from(pages % 9).unwrap();
        let page = store
            .read_stream(&name, StreamFrom::End, Direction::Backward, max)
            .await
            .unwrap();
        assert!(
            page.windows(2)
                .all(|two| two[0].version() == two[1].version() + 1)
        );
        if let Some(head) = head {
            assert!(page[0].version() >= head.version && page[0].position() >= head.position);
            let one = store
                .read_one(&name, head.version / 2)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(one.version(), head.version / 2);
        }
        pages += 1;
        tokio::task::yield_now().await;
    }
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_readers_agree_while_the_log_is_sealed_merged_checked_and_copied() {
    let dirs = tempfile::tempdir().unwrap();
    let options = || Options {
        segment_bytes: 32 * 1024,
        reserve_bytes: 0,
        max_open_footers: 4,
        heads_max: 40,
        pending_bytes_max: 16 * 1024,
        index_cache_bytes: 128 * 1024,
        ..Options::default()
    };
    let dir = dirs.path().join("log");
    let store = EmbeddedStore::open(&dir, options()).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write(store.clone(), n)))
        .collect();
    let followers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(follow(store.clone(), stream(999))))
        .collect();
    let pagers: Vec<_> = (0..3)
        .map(|n| tokio::spawn(page(store.clone(), Arc::clone(&done), n)))
        .collect();
    let checks = Arc::new(AtomicU64::new(0));
    let checker = {
        let (store, done, checks) = (store.clone(), Arc::clone(&done), Arc::clone(&checks));
        let copies = dirs.path().to_owned();
        tokio::task::spawn_blocking(move || {
            while !done.load(Ordering::Acquire) {
                let at_least = store.durable_position();
                assert!(store.verify().unwrap().position >= at_least);
                let number = checks.fetch_add(1, Ordering::Relaxed);
                let copy = copies.join(format!("copy-{number}"));
                assert!(backup(&store, copy).unwrap().durable_position >= at_least);
            }
        })
    };
    let mut taken = 0;
    for writer in writers {
        taken += writer.await.unwrap();
    }
    // One more, so that the followers end.
    done.store(true, Ordering::Release);
    let last = conformance::append_of(&stream(999), ExpectedVersion::NoStream, vec![event(1, 1)]);
    store.append(last).await.unwrap().durable().await.unwrap();
    checker.await.unwrap();
    for pager in pagers {
        assert!(pager.await.unwrap() > 0);
    }
    for follower in followers {
        let seen = follower.await.unwrap();
        assert_eq!(seen.len() as u64, taken + 1);
        let mut versions: HashMap<&str, u64> = HashMap::new();
        for (event, position) in seen.iter().zip(1..) {
            assert_eq!(event.position(), Position(position));
            let next = versions.entry(event.stream()).or_default();
            assert_eq!(event.version(), *next);
            *next += 1;
        }
    }
    assert!(checks.load(Ordering::Relaxed) > 0);
    drop(store);
    let verified = verify(&dir).unwrap();
    assert_eq!(verified.events, taken + 1);
    assert!(verified.segments > 50, "{verified:?}");
    let store = EmbeddedStore::open(&dir, options()).unwrap();
    assert!(store.recovery().clean);
    assert_eq!(store.durable_position(), verified.position);
}

//! What another log recorded is appended with the times at which it did: on the embedded store, and on one behind the
//! protocol.

use std::sync::Arc;

use event_store::{
    Append, AppendError, EmbeddedStore, EventStore, ExpectedVersion, Options, RecordedEvent,
};
use tests::cluster::{Log, open};
use tests::store::{all_events, event, options, stream};

/// Two events of a stream that has so many.
fn two(number: u64, version: u64) -> Append {
    Append {
        stream: stream(1),
        expected: ExpectedVersion::of(version.checked_sub(1)),
        events: vec![event(number, 40), event(number + 1, 40)],
        reads: Vec::new(),
    }
}

async fn keeps_the_times_it_is_told(store: &dyn EventStore) {
    let now = store.append(two(1, 0)).await.expect("a place");
    now.durable().await.expect("the disk");
    let recorded = |events: &[RecordedEvent]| {
        events
            .iter()
            .map(RecordedEvent::recorded_at_ms)
            .collect::<Vec<_>>()
    };
    let before = recorded(&all_events(store).await);
    let last = before[1];
    let times = vec![last + 1_000, last + 1_000];
    let appended = store.append_recorded(two(3, 2), times.clone()).await;
    let appended = appended.expect("a place");
    let position = appended.durable().await.expect("the disk");
    let after = recorded(&all_events(store).await);
    assert_eq!(after, [&before[..], &times].concat());

    let again = store.append_recorded(two(3, 2), times.clone()).await;
    let again = again.expect("the same place");
    assert!(again.repeated);
    assert_eq!(again.last_position, position);

    // One before the log's last event, one before its own neighbour, one without a time.
    for times in [
        vec![last, last + 2_000],
        vec![last + 3_000, last + 2_000],
        vec![last + 2_000],
    ] {
        let refused = store.append_recorded(two(5, 4), times).await;
        assert!(matches!(refused, Err(AppendError::Unfit { .. })));
    }
    assert_eq!(recorded(&all_events(store).await), after, "nothing more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_log_keeps_the_times_of_another_log_and_has_none_that_fall() {
    let dir = tempfile::tempdir().expect("a folder");
    let defaults = Options::default();
    let store = EmbeddedStore::open(dir.path(), options(defaults.backend)).expect("a log");
    keeps_the_times_it_is_told(&store).await;
    store.close();
    let verified = event_store::verify(dir.path()).expect("it checks");
    assert_eq!(verified.events, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_a_log_behind_the_protocol() {
    let log = Log::new();
    let node = log.serve(41);
    let store: Arc<dyn EventStore> = Arc::new(open(&node.at()).await.expect("it answers"));
    keeps_the_times_it_is_told(&*store).await;
}

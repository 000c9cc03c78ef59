//! The embedded store keeps what every store promises.
//!
//! The suite is `event_store::conformance`; here it meets the embedded engine, with segments of the
//! usual size and with small ones, so that every promise is also kept over many segments.

use std::sync::Arc;

use event_store::{EmbeddedStore, EventStore, Options, conformance};

fn open(dir: &tempfile::TempDir, segment_bytes: u64) -> Arc<dyn EventStore> {
    let options = Options {
        segment_bytes,
        reserve_bytes: 0,
        ..Options::default()
    };
    Arc::new(EmbeddedStore::open(dir.path(), options).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conformance::all(open(&dir, 64 * 1024 * 1024)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_conforms_over_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        conformance::all(open(&dir, 640 * 1024)).await;
    }
    let store = open(&dir, 640 * 1024);
    for _ in 0..20 {
        conformance::streams_read_both_ways(&store).await;
        conformance::subscriptions_have_no_gap(&store).await;
        conformance::repeated_appends_give_the_first_ticket(&store).await;
    }
}

#[tokio::test]
async fn the_embedded_store_conforms_on_one_thread() {
    let dir = tempfile::tempdir().unwrap();
    conformance::all(open(&dir, 1024 * 1024)).await;
}

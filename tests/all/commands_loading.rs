//! What a command has to read keeps nobody else of its worker waiting, and of a long stream little is read.

use std::sync::Arc;
use std::time::Duration;

use tests::commands::{Desk, Gate, number};

/// A log with sealed segments, so that the heads of cold streams are on the disk, of one worker behind this gate.
async fn cold(gate: &Gate) -> Desk {
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.backend());
    options.segment_bytes = 16 * 1024;
    options.index_cache_bytes = 4 * 1024;
    options.pending_bytes_max = 8 * 1024;
    let desk = Desk::open_over(options, |options| options.workers = 1).await;
    desk.members(&["ann", "bob", "eve", "zoe"]).await;
    for (from, to) in [
        ("bob", "ann"),
        ("ann", "bob"),
        ("eve", "zoe"),
        ("zoe", "eve"),
    ] {
        desk.message(from, to, "hi").await.unwrap();
    }
    for _ in 0..24 {
        desk.message("bob", "ann", &"x".repeat(900)).await.unwrap();
    }
    desk.reopen().await
}

/// Opens a gate when it goes, so that a failed test ends.
struct Opened(Gate);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_waits_for_the_disk_keeps_no_other_of_its_worker_waiting() {
    let mut held_back = 0;
    // The readings that a command on a cold stream makes are held back in turn, the first ones each, then every
    // seventh: those of its load, of its facts, and of the heads that its append is checked against.
    for after in (0..8).chain((8..).step_by(7)) {
        let gate = Gate::new();
        let desk = Arc::new(cold(&gate).await);
        let sent = desk.log().await.len();
        gate.hold_one_reading(after);
        let _opened = Opened(gate.clone());
        let waiting = {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move { desk.message("bob", "ann", "cold").await })
        };
        tokio::pin!(waiting);
        let held = tokio::select! {
            () = gate.reached() => true,
            outcome = &mut waiting => {
                outcome.unwrap().unwrap();
                false
            }
        };
        if !held {
            gate.open();
            desk.handler.stop().await;
            assert_eq!(desk.log().await.len(), sent + 1);
            break;
        }
        held_back += 1;
        let other = desk.message("eve", "zoe", "passes");
        let other = tokio::time::timeout(Duration::from_secs(30), other).await;
        assert_eq!(
            number(&other.expect("kept waiting by a reading")),
            3,
            "{after}"
        );
        gate.open();
        assert!(number(&waiting.await.unwrap()) > 24);
        desk.handler.stop().await;
    }
    assert!(held_back >= 5, "{held_back} readings");
}

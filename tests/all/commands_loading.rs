//! What a command has to read keeps nobody else of its worker waiting, and of a long stream little is read.

use std::sync::Arc;
use std::time::Duration;

use commands::Command;
use event_store::faults::{FaultyBackend, Survives};
use tests::commands::{Desk, Gate, code, member, number, with};

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

/// A conversation of so many messages behind this gate.
async fn long(gate: &Gate, messages: u64) -> Desk {
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.before(Arc::new(FaultyBackend::new())));
    let desk = Desk::open_over(options, |_| {}).await;
    desk.members(&["ann", "bob"]).await;
    desk.message("bob", "ann", "hi").await.unwrap();
    for _ in 1..messages {
        desk.message("ann", "bob", &"x".repeat(500)).await.unwrap();
    }
    desk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_conversation_is_folded_from_its_snapshot_after_a_restart() {
    let gate = Gate::new();
    let mut desk = long(&gate, 600).await;
    let mut read = Vec::new();
    for turn in 1..=3 {
        desk = desk.reopen().await;
        let before = gate.bytes_read();
        let sent = desk.message("bob", "ann", "back").await;
        read.push(gate.bytes_read() - before);
        assert_eq!(number(&sent), 600 + turn);
    }
    // The first start folds it all and leaves a snapshot; those after it read a fraction of that.
    assert!(read[0] > 600 * 500, "{read:?}");
    assert!(read[1] < read[0] / 10 && read[2] < read[0] / 10, "{read:?}");
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_the_log_does_not_have_is_none() {
    let (gate, disk) = (Gate::new(), FaultyBackend::new());
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.before(Arc::new(disk.clone())));
    let desk = Desk::open_over(options, |_| {}).await;
    desk.members(&["ann", "bob"]).await;
    let early = disk.power_loss(Survives::Everything);
    desk.message("bob", "ann", "hi").await.unwrap();
    for _ in 0..300 {
        desk.message("ann", "bob", "hi").await.unwrap();
    }
    // Folded whole, and kept; then the log is as it was before.
    let desk = desk.reopen().await;
    assert_eq!(number(&desk.message("bob", "ann", "hi").await), 302);
    let desk = desk
        .reopen_over(|options| options.backend = Arc::new(early))
        .await;
    assert_eq!(number(&desk.message("ann", "bob", "hi").await), 1);
    desk.handler.stop().await;

    // Another log in the same folder, longer than the snapshot's place.
    let desk = desk
        .reopen_over(|options| options.backend = Arc::new(FaultyBackend::new()))
        .await;
    desk.members(&["ann", "bob"]).await;
    assert_eq!(number(&desk.message("bob", "ann", "hi").await), 1);
    for turn in 0..400 {
        let block = Command::BlockMember {
            other: member("bob"),
        };
        let unblock = Command::UnblockMember {
            other: member("bob"),
        };
        let command = if turn % 2 == 0 { block } else { unblock };
        desk.send("ann", command).await.unwrap();
    }
    let desk = desk.reopen().await;
    assert_eq!(number(&desk.message("bob", "ann", "hi").await), 2);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_with_a_long_stream_is_known_as_before() {
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(FaultyBackend::new());
    let desk = Desk::open_over(options, |_| {}).await;
    desk.members(&["ann", "bob"]).await;
    let audiences = ["following", "friends"].map(|word| format!("\"{word}\""));
    for turn in 0..400 {
        let audience = serde_json::from_str(&audiences[turn % 2]).unwrap();
        desk.send("ann", Command::ChangeDmSetting { audience })
            .await
            .unwrap();
    }
    let mut desk = desk;
    for _ in 0..2 {
        desk = desk.reopen().await;
        assert_eq!(code(&desk.message("bob", "ann", "hi").await), "not_allowed");
    }
    desk.follow("ann", "bob").await;
    desk.follow("bob", "ann").await;
    assert_eq!(number(&desk.message("bob", "ann", "hi").await), 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_unchanged_stays_so_over_a_restart_though_the_state_moved_on() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let unblock = || Command::UnblockMember {
        other: member("bob"),
    };
    let block = || Command::BlockMember {
        other: member("bob"),
    };
    desk.message("bob", "ann", "hi").await.unwrap();
    let accept = || Command::AcceptRequest {
        target: with("bob"),
    };
    desk.send("ann", accept()).await.unwrap();
    let never = desk.send_as("ann", "u1", unblock()).await.unwrap();
    let accepted = desk.send_as("ann", "a1", accept()).await.unwrap();
    assert_eq!(never.kind, commands::Kind::Unchanged);
    desk.send("ann", block()).await.unwrap();
    let mut desk = desk;
    for _ in 0..2 {
        desk = desk.reopen().await;
        let events = desk.log().await.len();
        for (id, command, first) in [("u1", unblock(), &never), ("a1", accept(), &accepted)] {
            let again = desk.send_as("ann", id, command).await.unwrap();
            assert!(again.repeated);
            assert_eq!(
                (again.position, again.kind, &again.answer),
                (first.position, first.kind, &first.answer)
            );
            assert_eq!(
                desk.send_as("ann", id, block()).await,
                Err(commands::CommandError::CommandIdReused)
            );
        }
        assert_eq!(desk.log().await.len(), events);
    }
    // A week later the id is as good as new.
    desk.clock.advance_ms(8 * domain::time::DAY_MS);
    let desk = desk.reopen().await;
    let later = desk.send_as("ann", "u1", unblock()).await.unwrap();
    assert_eq!(later.kind, commands::Kind::Done);
    desk.handler.stop().await;
}

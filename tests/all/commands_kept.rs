//! Which outcomes that wrote nothing are kept over a restart: those of ids that can come again, so many of a member and
//! so many in all.

use commands::{Command, Kind, Outcome};
use tests::commands::{Desk, envelope, member};

fn unblock() -> Command {
    Command::UnblockMember {
        other: member("bob"),
    }
}

fn block() -> Command {
    Command::BlockMember {
        other: member("bob"),
    }
}

/// Unblocks whom nobody has blocked, under these ids.
async fn unchanged(desk: &Desk, ids: &[&str]) {
    for id in ids {
        let outcome = desk.send_as("ann", id, unblock()).await.unwrap();
        assert_eq!(outcome.kind, Kind::Unchanged, "{id}");
    }
}

/// What the same comes to after a block.
async fn after_a_block(desk: &Desk, id: &str) -> Outcome {
    desk.send("ann", block()).await.unwrap();
    desk.send_as("ann", id, unblock()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_no_client_gave_is_not_remembered() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let mut made = envelope("ann", "made-here", unblock());
    made.id_given = false;
    let first = desk.handler.handle(made).await.unwrap();
    assert_eq!(first.kind, Kind::Unchanged);
    unchanged(&desk, &["given"]).await;
    let desk = desk.reopen().await;
    assert_eq!(after_a_block(&desk, "made-here").await.kind, Kind::Done);
    assert_eq!(after_a_block(&desk, "given").await.kind, Kind::Unchanged);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_member_so_many_are_kept_a_day_and_the_rest_are_known_until_the_stop() {
    let desk = Desk::open_with(|options| options.unchanged_kept_per_day_max = 2).await;
    desk.members(&["ann", "bob", "cyd"]).await;
    unchanged(&desk, &["u1", "u2", "u3"]).await;
    // Another member has a count of their own.
    desk.send_as("cyd", "u1", unblock()).await.unwrap();
    assert_eq!(after_a_block(&desk, "u3").await.kind, Kind::Unchanged);
    desk.send("ann", unblock()).await.unwrap();
    desk.clock.advance_ms(domain::time::DAY_MS);
    unchanged(&desk, &["u4"]).await;

    let desk = desk.reopen().await;
    for id in ["u1", "u2", "u4"] {
        assert_eq!(after_a_block(&desk, id).await.kind, Kind::Unchanged, "{id}");
    }
    assert_eq!(after_a_block(&desk, "u3").await.kind, Kind::Done);
    assert!(desk.send_as("cyd", "u1", unblock()).await.unwrap().repeated);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_in_all_the_oldest_are_decided_again() {
    let mut desk = Desk::open_with(|options| options.unchanged_kept_max = 2).await;
    desk.members(&["ann", "bob"]).await;
    for id in ["u1", "u2", "u3"] {
        desk.clock.advance_ms(1);
        unchanged(&desk, &[id]).await;
        desk = desk.reopen().await;
    }
    for id in ["u2", "u3"] {
        assert_eq!(after_a_block(&desk, id).await.kind, Kind::Unchanged, "{id}");
    }
    assert_eq!(after_a_block(&desk, "u1").await.kind, Kind::Done);
    desk.handler.stop().await;
}

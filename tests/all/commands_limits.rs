//! Promises over many streams and many callers: the daily slots, the counted reports, recorded refusals, busy queues.

use std::sync::Arc;

use commands::{Command, CommandError};
use domain::case::Category;
use domain::conversation::Also;
use event_store::faults::{FaultyBackend, Survives};
use tests::commands::{Desk, Gate, code, member, message, with};

/// A text whose event has no room beside another's in a batch of a kilobyte.
fn long() -> Command {
    message("ann", &"x".repeat(900))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_first_contacts_never_opens_more_than_the_day_allows() {
    let desk = Arc::new(Desk::open_with(|options| options.workers = 4).await);
    let recipients: Vec<String> = (0..60).map(|n| format!("m{n}")).collect();
    desk.members(&["bob"]).await;
    desk.members(&recipients.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let mut calls = tokio::task::JoinSet::new();
    for to in recipients.clone() {
        let desk = Arc::clone(&desk);
        calls.spawn(async move {
            loop {
                // Lost races end as busy: the caller repeats with the same id, as clients do.
                let outcome = desk
                    .send_as("bob", &format!("to-{to}"), message(&to, "hi"))
                    .await;
                if outcome != Err(CommandError::Busy) {
                    return code(&outcome);
                }
            }
        });
    }
    let codes = calls.join_all().await;
    let of = |code: &str| codes.iter().filter(|got| *got == code).count();
    assert_eq!((of("ok"), of("limit_reached")), (20, 40), "{codes:?}");
    assert_eq!(desk.count("request-opened.v1").await, 20);
    let taken = desk.count("request-slot-taken.v1").await;
    assert_eq!(taken - desk.count("request-slot-returned.v1").await, 20);

    desk.clock.advance_ms(24 * 60 * 60 * 1000);
    assert_eq!(code(&desk.message("bob", "m59", "hi").await), "ok");
    desk.handler.stop().await;
}

/// Two members, and what a crash between the slot and bob's message `m1` to ann leaves: the slot's event alone.
async fn desk_with_a_slot_left() -> Desk {
    let (desk, other) = (Desk::open().await, Desk::open().await);
    for desk in [&desk, &other] {
        desk.members(&["ann", "bob", "eve"]).await;
    }
    other
        .send_as("bob", "m1", message("ann", "hi"))
        .await
        .unwrap();
    let mut log = other.log().await;
    log.retain(|record| record.event_type() == "request-slot-taken.v1");
    tests::commands::append_copy(&*desk.store, &log).await;
    other.handler.stop().await;
    desk.reopen().await
}

/// Slots taken, and those of them given back.
async fn slots(desk: &Desk) -> (usize, usize) {
    let taken = desk.count("request-slot-taken.v1").await;
    (taken, desk.count("request-slot-returned.v1").await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_a_crash_left_is_found_by_the_retry() {
    let desk = desk_with_a_slot_left().await;
    let sent = desk.send_as("bob", "m1", message("ann", "hi")).await;
    assert_eq!(tests::commands::number(&sent), 1);
    assert_eq!(slots(&desk).await, (1, 0));
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_a_crash_left_serves_no_other_recipient_and_no_other_day() {
    let desk = desk_with_a_slot_left().await;
    desk.send_as("bob", "m1", message("eve", "hi"))
        .await
        .unwrap();
    assert_eq!(slots(&desk).await, (2, 0));
    desk.handler.stop().await;

    let desk = desk_with_a_slot_left().await;
    desk.clock.advance_ms(24 * 60 * 60 * 1000);
    desk.send_as("bob", "m1", message("ann", "hi"))
        .await
        .unwrap();
    assert_eq!(slots(&desk).await, (2, 0));
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_opened_nothing_goes_back_also_after_a_crash_in_between() {
    let desk = desk_with_a_slot_left().await;
    // Between the crash and the retry the recipient blocks the sender.
    let block = Command::BlockMember {
        other: member("bob"),
    };
    desk.send("ann", block).await.unwrap();
    let refused = desk.send_as("bob", "m1", message("ann", "hi")).await;
    assert_eq!(code(&refused), "not_allowed");
    let desk = desk.reopen().await;
    assert_eq!(slots(&desk).await, (1, 1));

    // The same log, ended by another crash before the slot went back.
    let mut log = desk.log().await;
    desk.handler.stop().await;
    log.retain(|record| record.event_type() != "request-slot-returned.v1");
    let cut = Desk::open().await;
    cut.handler.stop().await;
    tests::commands::append_copy(&*cut.store, &log[1..]).await;
    let mut cut = cut.reopen().await;
    for _ in 0..2 {
        let refused = cut.send_as("bob", "m1", message("ann", "hi")).await;
        assert_eq!(code(&refused), "not_allowed");
        cut = cut.reopen().await;
        assert_eq!(slots(&cut).await, (1, 1));
    }
    cut.handler.stop().await;
}

/// What a kill leaves between the slot of bob's message `m1` to ann and the message itself.
async fn killed_between_slot_and_message() -> Desk {
    let (gate, disk) = (Gate::new(), FaultyBackend::new());
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.before(Arc::new(disk.clone())));
    // The message waits for room until the batch with the slot is taken, so that the two are never in one.
    options.pending_bytes_max = 1024;
    let desk = Arc::new(Desk::open_over(options, |_| {}).await);
    desk.members(&["ann", "bob"]).await;
    gate.close();
    let sending = {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move { desk.send_as("bob", "m1", long()).await })
    };
    gate.reached().await;
    let left = disk.power_loss(Survives::Everything);
    gate.open();
    sending.await.unwrap().unwrap();
    let desk = Arc::into_inner(desk).unwrap();
    let desk = desk
        .reopen_over(|options| options.backend = Arc::new(left))
        .await;
    assert_eq!(slots(&desk).await, (1, 0), "killed right after the slot");
    assert_eq!(desk.count("message-sent.v1").await, 0);
    desk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_a_kill_left_goes_back_without_a_retry_once() {
    let mut desk = killed_between_slot_and_message().await;
    desk.clock.advance_ms(59_999);
    desk.handler.give_back_slots().await.unwrap();
    assert_eq!(
        slots(&desk).await,
        (1, 0),
        "it is left to a retry for a minute"
    );
    desk.clock.advance_ms(1);
    for _ in 0..2 {
        desk.handler.give_back_slots().await.unwrap();
        desk = desk.reopen().await;
        assert_eq!(slots(&desk).await, (1, 1));
    }
    let log = desk.log().await;
    let of = |event_type: &str| log.iter().find(|record| record.event_type() == event_type);
    let (taken, returned) = (of("request-slot-taken.v1"), of("request-slot-returned.v1"));
    let (taken, returned) = (taken.unwrap(), returned.unwrap());
    assert_eq!(
        (returned.causation_id(), returned.at_ms()),
        (taken.event_id(), taken.at_ms())
    );
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_after_its_slot_went_back_takes_effect_once() {
    let desk = killed_between_slot_and_message().await;
    desk.clock.advance_ms(60_000);
    desk.handler.give_back_slots().await.unwrap();
    let sent = desk.send_as("bob", "m1", long()).await;
    assert_eq!(tests::commands::number(&sent), 1);
    let again = desk.send_as("bob", "m1", long()).await;
    assert!(again.unwrap().repeated);
    desk.clock.advance_ms(60_000);
    desk.handler.give_back_slots().await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.give_back_slots().await.unwrap();
    assert_eq!(
        slots(&desk).await,
        (2, 1),
        "a slot that opened a request stays"
    );
    assert_eq!(desk.count("message-sent.v1").await, 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_while_its_slot_goes_back_never_opens_without_one() {
    let desk = killed_between_slot_and_message().await;
    desk.clock.advance_ms(60_000);
    let (returned, sent) = tokio::join!(
        desk.handler.give_back_slots(),
        desk.send_as("bob", "m1", long())
    );
    returned.unwrap();
    assert_eq!(tests::commands::number(&sent), 1);
    let desk = desk.reopen().await;
    let (taken, returned) = slots(&desk).await;
    assert_eq!(taken - returned, 1);
    assert_eq!(desk.count("message-sent.v1").await, 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_of_a_refused_message_goes_back_without_a_retry() {
    let desk = desk_with_a_slot_left().await;
    let block = Command::BlockMember {
        other: member("bob"),
    };
    desk.send("ann", block).await.unwrap();
    let refused = desk.send_as("bob", "m1", message("ann", "hi")).await;
    assert_eq!(code(&refused), "not_allowed");
    let desk = desk.reopen().await;
    let mut log = desk.log().await;
    desk.handler.stop().await;
    log.retain(|record| record.event_type() != "request-slot-returned.v1");
    let cut = Desk::open().await;
    cut.handler.stop().await;
    tests::commands::append_copy(&*cut.store, &log[1..]).await;
    let cut = cut.reopen().await;
    cut.clock.advance_ms(60_000);
    cut.handler.give_back_slots().await.unwrap();
    let cut = cut.reopen().await;
    assert_eq!(slots(&cut).await, (1, 1));
    let again = cut.send_as("bob", "m1", message("ann", "hi")).await;
    assert_eq!(code(&again), "not_allowed");
    assert_eq!(cut.count("command-refused.v2").await, 1);
    cut.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_beyond_fifty_a_day_are_kept_and_marked() {
    let desk = Desk::open().await;
    let senders: Vec<String> = (0..52).map(|n| format!("m{n}")).collect();
    desk.members(&["ann"]).await;
    desk.members(&senders.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for from in &senders {
        desk.message(from, "ann", "buy").await.unwrap();
        let report = Command::ReportMessage {
            target: with(from),
            messages: vec![1],
            category: Category::Spam,
            comment: String::new(),
            also: Also::None,
        };
        desk.send("ann", report).await.unwrap();
    }
    let marked = desk
        .log()
        .await
        .iter()
        .filter(|record| {
            record.event_type() == "messages-reported.v1"
                && String::from_utf8_lossy(record.data()).contains("\"over_limit\":true")
        })
        .count();
    assert_eq!(marked, 2);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_beyond_the_limit_are_told_and_not_written() {
    let desk = Desk::open_with(|options| options.recorded_refusals_per_day_max = 3).await;
    desk.members(&["ann", "bob", "eve"]).await;
    desk.send(
        "ann",
        Command::BlockMember {
            other: member("bob"),
        },
    )
    .await
    .unwrap();
    for _ in 0..3 {
        assert_eq!(code(&desk.message("bob", "ann", "hi").await), "not_allowed");
    }
    assert_eq!(
        desk.message("bob", "ann", "hi").await,
        Err(CommandError::RateLimited)
    );
    assert_eq!(desk.count("command-refused.v2").await, 3);
    // Others have a limit of their own, and what the command alone refuses is not counted.
    desk.send(
        "ann",
        Command::BlockMember {
            other: member("eve"),
        },
    )
    .await
    .unwrap();
    assert_eq!(
        code(&desk.message("eve", "ann", " ").await),
        "invalid_message"
    );
    assert_eq!(code(&desk.message("eve", "ann", "hi").await), "not_allowed");
    assert_eq!(desk.count("command-refused.v2").await, 4);
    desk.clock.advance_ms(24 * 60 * 60 * 1000);
    assert_eq!(code(&desk.message("bob", "ann", "hi").await), "not_allowed");
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_ahead_of_the_clock_or_before_its_stream_is_refused() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let at = |id: &str, ms: i64| {
        let mut envelope = tests::commands::envelope("bob", id, message("ann", "hi"));
        envelope.at = Some(domain::Timestamp(tests::commands::START.0 + ms));
        envelope
    };
    assert_eq!(
        desk.handler.handle(at("m1", 5_001)).await,
        Err(CommandError::InvalidTime(commands::WrongTime::Ahead))
    );
    desk.handler.handle(at("m1", 5_000)).await.unwrap();
    assert_eq!(
        desk.handler.handle(at("m2", 4_999)).await,
        Err(CommandError::InvalidTime(commands::WrongTime::BeforeLast))
    );
    // Without a time of its own a command is never before its stream.
    desk.message("bob", "ann", "hi").await.unwrap();
    let last = desk.log().await.last().unwrap().at_ms();
    assert_eq!(last, tests::commands::START.0 + 5_000);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_protects_a_member_is_answered_beyond_the_limit_too() {
    let desk = Desk::open_with(|options| options.recorded_refusals_per_day_max = 1).await;
    desk.members(&["ann", "bob"]).await;
    desk.message("bob", "ann", "hi").await.unwrap();
    desk.send(
        "ann",
        Command::AcceptRequest {
            target: with("bob"),
        },
    )
    .await
    .unwrap();
    let delete = || Command::DeleteRequest {
        target: with("bob"),
        mode: domain::conversation::DeleteMode::Quiet,
    };
    for _ in 0..3 {
        assert_eq!(code(&desk.send("ann", delete()).await), "already_accepted");
    }
    assert_eq!(desk.count("command-refused.v2").await, 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_may_wait_is_told_to_come_again() {
    let gate = tests::commands::Gate::new();
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.backend());
    // So little may be ordered and unsynced that appends wait for room while the disk stands still.
    options.pending_bytes_max = 4 * 1024;
    let desk = Arc::new(
        Desk::open_over(options, |options| {
            options.workers = 1;
            options.waiting_per_worker_max = 8;
        })
        .await,
    );
    let members: Vec<String> = (0..60).map(|n| format!("m{n}")).collect();
    desk.members(&members.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    gate.close();
    let mut calls = tokio::task::JoinSet::new();
    for pair in members.chunks(2) {
        let (desk, [from, to]) = (Arc::clone(&desk), pair) else {
            continue;
        };
        let (from, to) = (from.clone(), to.clone());
        calls.spawn(async move { desk.message(&from, &to, &"x".repeat(900)).await });
    }
    let first = calls.join_next().await.unwrap().unwrap();
    assert_eq!(
        first,
        Err(CommandError::Busy),
        "the first answer while nothing is durable"
    );
    gate.open();
    let outcomes = calls.join_all().await;
    assert!(outcomes.iter().any(Result::is_ok));
    desk.handler.stop().await;
}

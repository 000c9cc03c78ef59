//! A repeated command id gives the first outcome again: at once, over restarts, for refusals too; never for other content.

use std::sync::Arc;

use commands::{Command, CommandError, Kind, Mode, Target};
use futures::FutureExt;
use tests::commands::{Desk, code, id, member, message, number, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_message_gives_its_first_outcome_and_writes_nothing() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let first = desk
        .send_as("bob", "m1", message("ann", "hi"))
        .await
        .unwrap();
    desk.message("bob", "ann", "more").await.unwrap();
    desk.clock.advance_ms(60_000);
    let before = desk.log().await.len();
    let again = desk
        .send_as("bob", "m1", message("ann", "hi"))
        .await
        .unwrap();
    assert!(again.repeated && !first.repeated);
    assert_eq!(
        (&again.answer, again.position, again.kind),
        (&first.answer, first.position, Kind::Done)
    );
    assert_eq!(desk.log().await.len(), before);

    let desk = desk.reopen().await;
    let again = desk
        .send_as("bob", "m1", message("ann", "hi"))
        .await
        .unwrap();
    assert_eq!(
        (&again.answer, again.position),
        (&first.answer, first.position)
    );
    assert_eq!(desk.log().await.len(), before);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_refusal_is_the_first_one_also_when_it_would_pass_now() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    desk.send(
        "ann",
        Command::BlockMember {
            other: member("bob"),
        },
    )
    .await
    .unwrap();
    let first = desk.send_as("bob", "m1", message("ann", "hi")).await;
    assert_eq!(code(&first), "not_allowed");
    desk.send(
        "ann",
        Command::UnblockMember {
            other: member("bob"),
        },
    )
    .await
    .unwrap();
    for desk in [desk.reopen().await] {
        let again = desk.send_as("bob", "m1", message("ann", "hi")).await;
        let (Err(CommandError::Refused(first)), Err(CommandError::Refused(again))) =
            (&first, &again)
        else {
            panic!("{again:?}")
        };
        assert_eq!(
            (again.code(), again.position, again.repeated),
            (first.code(), first.position, true)
        );
        assert_eq!(
            number(&desk.send_as("bob", "m2", message("ann", "hi")).await),
            1
        );
        desk.handler.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_with_other_content_is_refused_and_ids_belong_to_their_actor() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    desk.send_as("bob", "m1", message("ann", "hi"))
        .await
        .unwrap();
    let other = desk.send_as("bob", "m1", message("ann", "hi!")).await;
    assert_eq!(other, Err(CommandError::CommandIdReused));
    assert_eq!(
        desk.send_as(
            "bob",
            "m1",
            Command::BlockMember {
                other: member("ann")
            }
        )
        .await,
        Err(CommandError::CommandIdReused)
    );
    // One content, however the conversation is named.
    desk.send_as(
        "ann",
        "m1",
        Command::AcceptRequest {
            target: with("bob"),
        },
    )
    .await
    .unwrap();
    let conversation = domain::ConversationId::of(&member("ann"), &member("bob"));
    let target = Target::Conversation(conversation);
    let again = desk
        .send_as("ann", "m1", Command::AcceptRequest { target })
        .await
        .unwrap();
    assert!(again.repeated);
    let desk = desk.reopen().await;
    assert_eq!(
        desk.send_as("bob", "m1", message("ann", "hi!")).await,
        Err(CommandError::CommandIdReused)
    );
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_told_to_be_taken_only_once_what_took_it_is_durable() {
    let gate = tests::commands::Gate::new();
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.backend());
    let desk = Desk::open_over(options, |_| {}).await;
    desk.members(&["ann", "bob"]).await;
    gate.close();
    let first = tests::commands::envelope("bob", "m1", message("ann", "hi"));
    let pending = desk.handler.submit(first).await.unwrap();
    let other = desk.send_as("bob", "m1", message("ann", "hi!"));
    assert_eq!(other.now_or_never(), None);
    gate.open();
    pending.durable().await.unwrap();
    let other = desk.send_as("bob", "m1", message("ann", "hi!")).await;
    assert_eq!(other, Err(CommandError::CommandIdReused));
    desk.handler.stop().await;
}

#[tokio::test]
async fn an_id_is_free_again_where_what_took_it_first_came_to_nothing() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    // Nothing was ever sent between them: not found, which is nobody's outcome.
    let target = with("ann");
    let (first, other) = tokio::join!(
        desk.send_as("bob", "m1", Command::AcceptRequest { target }),
        desk.send_as("bob", "m1", message("ann", "hi"))
    );
    assert_eq!(first, Err(CommandError::NotFound));
    assert_eq!(number(&other), 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_id_gives_its_outcome_also_when_its_time_is_ahead_by_now() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let at = |id| {
        let mut envelope = tests::commands::envelope("bob", id, message("ann", "hi"));
        envelope.at = Some(domain::Timestamp(tests::commands::START.0 + 5_000));
        envelope
    };
    let first = desk.handler.handle(at("m1")).await.unwrap();
    // The clock is set back.
    desk.clock.advance_ms(-1_000);
    let desk = desk.reopen().await;
    let again = desk.handler.handle(at("m1")).await.unwrap();
    assert_eq!(
        (again.repeated, again.position, again.answer),
        (true, first.position, first.answer)
    );
    assert_eq!(
        desk.handler.handle(at("m2")).await,
        Err(CommandError::InvalidTime(commands::WrongTime::Ahead))
    );
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_times_the_same_id_at_once_is_one_decision() {
    let desk = Arc::new(Desk::open().await);
    desk.members(&["ann", "bob"]).await;
    let before = desk.log().await.len();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let desk = Arc::clone(&desk);
        calls.spawn(async move {
            desk.send_as("bob", "m1", message("ann", "hi"))
                .await
                .unwrap()
        });
    }
    let outcomes = calls.join_all().await;
    let first = outcomes.iter().find(|outcome| !outcome.repeated).unwrap();
    assert_eq!(
        outcomes.iter().filter(|outcome| !outcome.repeated).count(),
        1
    );
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.answer == first.answer && outcome.position == first.position)
    );
    // The slot, the request and its message.
    assert_eq!(desk.log().await.len(), before + 3);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_unchanged_stays_so_for_its_id() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let unchanged = Command::UnblockMember {
        other: member("bob"),
    };
    let first = desk.send_as("ann", "u1", unchanged.clone()).await.unwrap();
    assert_eq!(first.kind, Kind::Unchanged);
    desk.send(
        "ann",
        Command::BlockMember {
            other: member("bob"),
        },
    )
    .await
    .unwrap();
    let again = desk.send_as("ann", "u1", unchanged).await.unwrap();
    assert_eq!(
        (again.kind, again.position, again.repeated),
        (Kind::Unchanged, first.position, true)
    );
    assert_eq!(desk.count("member-unblocked.v1").await, 0);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_known_over_days_and_to_an_import_for_ever() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let clock = Arc::new(std::sync::atomic::AtomicI64::new(tests::commands::START.0));
    let mut options = tests::commands::store_options();
    let arrival = Arc::clone(&clock);
    options.clock = Arc::new(move || arrival.load(std::sync::atomic::Ordering::SeqCst));
    let mut desk = Desk::open_over(options, |_| {}).await;
    desk.members(&["ann", "bob"]).await;
    desk.send_as("bob", "m1", message("ann", "hi"))
        .await
        .unwrap();
    desk.send(
        "ann",
        Command::AcceptRequest {
            target: with("bob"),
        },
    )
    .await
    .unwrap();
    for day in 1..=10 {
        clock.fetch_add(DAY_MS, std::sync::atomic::Ordering::SeqCst);
        desk.clock.advance_ms(DAY_MS);
        // Something new each day, so that days go by in the log.
        desk.send(
            "ann",
            Command::MarkRead {
                target: with("bob"),
                up_to: 1,
            },
        )
        .await
        .unwrap();
        desk.send("bob", message("ann", "again")).await.unwrap();
        if day == 6 {
            desk = desk.reopen().await;
            assert!(
                desk.send_as("bob", "m1", message("ann", "hi"))
                    .await
                    .unwrap()
                    .repeated
            );
        }
    }
    let last = desk.store.durable_position();
    desk = desk
        .reopen_with(|options| options.mode = Mode::Import)
        .await;
    assert!(
        desk.handler
            .trace(&member("bob"), &id("m1"))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        desk.handler
            .trace(&member("bob"), &id("m2"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        desk.send_as("bob", "m1", message("ann", "hi"))
            .await
            .unwrap()
            .repeated
    );
    assert_eq!(desk.store.durable_position(), last);
    desk.handler.stop().await;
}

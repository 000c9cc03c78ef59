//! Decisions on what others wrote: stale aggregates and stale facts are found by the store and decided again, and no
//! answer is given before what it was decided on is durable.

use std::sync::Arc;

use commands::{Command, Kind};
use domain::member::AgeBand;
use domain::policy::Audience;
use event_store::{Append, ExpectedVersion, RecordedEvent, StreamName};
use tests::commands::{Desk, Gate, append_copy, code, member, message, number, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_another_wrote_is_read_again() {
    let (desk, other) = (Desk::open().await, Desk::open().await);
    for desk in [&desk, &other] {
        desk.members(&["ann", "bob"]).await;
        desk.send_as("bob", "m1", message("ann", "hi"))
            .await
            .unwrap();
    }
    let before = other.log().await.len();
    other
        .send_as(
            "ann",
            "d1",
            Command::AcceptRequest {
                target: with("bob"),
            },
        )
        .await
        .unwrap();
    append_copy(&*desk.store, &other.log().await[before..]).await;
    // Decided on the pending request in memory, refused by the store, decided again on the accepted one.
    let late = desk
        .send(
            "ann",
            Command::DeleteRequest {
                target: with("bob"),
                mode: domain::conversation::DeleteMode::Quiet,
            },
        )
        .await;
    assert_eq!(code(&late), "already_accepted");
    assert_eq!(number(&desk.message("bob", "ann", "two").await), 2);
    desk.handler.stop().await;
    other.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whom_another_changed_is_read_again() {
    let (desk, other) = (Desk::open().await, Desk::open().await);
    for desk in [&desk, &other] {
        desk.members(&["ann", "bob"]).await;
    }
    desk.follow("ann", "bob").await;
    desk.message("bob", "ann", "one").await.unwrap();
    let before = other.log().await.len();
    other
        .send(
            "ann",
            Command::ChangeDmSetting {
                audience: Audience::NoOne,
            },
        )
        .await
        .unwrap();
    append_copy(&*desk.store, &other.log().await[before..]).await;
    assert_eq!(
        code(&desk.message("bob", "ann", "two").await),
        "not_allowed"
    );
    desk.handler.stop().await;
    other.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_answered_before_it_is_durable() {
    let gate = Gate::new();
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.backend());
    let desk = Arc::new(Desk::open_over(options, |_| {}).await);
    desk.members(&["ann", "bob"]).await;
    desk.message("bob", "ann", "hi").await.unwrap();

    gate.close();
    let accept = || Command::AcceptRequest {
        target: with("bob"),
    };
    let delete = || Command::DeleteRequest {
        target: with("bob"),
        mode: domain::conversation::DeleteMode::Quiet,
    };
    let call = |command: Command| {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move { desk.send("ann", command).await })
    };
    let first = call(accept());
    gate.reached().await;
    // Decided on what is not durable yet: unchanged, refused, and a setting of another stream that a message is
    // decided on.
    let calls = [
        call(accept()),
        call(delete()),
        call(Command::ChangeDmSetting {
            audience: Audience::NoOne,
        }),
    ];
    let message = {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            loop {
                // Until the setting is decided the message is delivered; then it is refused.
                if let Err(refused) = desk.message("bob", "ann", "more").await {
                    return code(&Err(refused));
                }
            }
        })
    };
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(
        !first.is_finished()
            && !message.is_finished()
            && calls.iter().all(|call| !call.is_finished())
    );
    let durable = desk.store.durable_position();
    gate.open();
    let first = first.await.unwrap().unwrap();
    assert!(first.position > durable);
    let [again, refused, setting] = calls;
    let again = again.await.unwrap().unwrap();
    assert_eq!(
        (again.kind, again.position),
        (Kind::Unchanged, first.position)
    );
    assert_eq!(code(&refused.await.unwrap()), "already_accepted");
    let setting = setting.await.unwrap().unwrap();
    assert_eq!(message.await.unwrap(), "not_allowed");
    assert!(desk.store.durable_position() >= setting.position);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_answered_by_a_stop() {
    let gate = Gate::new();
    let mut options = tests::commands::store_options();
    options.backend = Arc::new(gate.backend());
    let desk = Arc::new(Desk::open_over(options, |_| {}).await);
    desk.members(&["ann", "bob"]).await;
    gate.close();
    let waiting = {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move { desk.message("bob", "ann", "hi").await })
    };
    gate.reached().await;
    let stopping = {
        let desk = Arc::clone(&desk);
        tokio::spawn(async move { desk.handler.stop().await })
    };
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(number(&waiting.await.unwrap()), 1);
    stopping.await.unwrap();
    assert_eq!(
        desk.message("bob", "ann", "late").await,
        Err(commands::CommandError::Busy)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evicted_aggregate_comes_back_as_it_was() {
    let desk = Desk::open_with(|options| {
        options.workers = 1;
        options.aggregates_per_worker = 4;
        options.members_cached = 16;
    })
    .await;
    let members: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    desk.members(&members.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    for round in 1..=2 {
        for pair in members.chunks(2) {
            let [from, to] = pair else { continue };
            assert_eq!(number(&desk.message(from, to, "hi").await), round);
        }
    }
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_policy_is_as_old_as_time_and_is_changed_by_an_event() {
    let desk = Desk::open().await;
    let log = desk.log().await;
    assert_eq!(
        (log[0].event_type(), log[0].at_ms(), log[0].stream()),
        ("policy-set.v1", 0, "policy")
    );
    let mut rules = domain::policy::Rules {
        requests_per_day: 0,
        ..domain::policy::Rules::default()
    };
    let command = |rules: &domain::policy::Rules| Command::ChangePolicy {
        rules: Arc::new(rules.clone()),
    };
    desk.members(&["ann", "bob"]).await;
    desk.send("host", command(&rules)).await.unwrap();
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "limit_reached"
    );
    assert_eq!(
        desk.send("host", command(&rules)).await.unwrap().kind,
        Kind::Unchanged
    );
    rules.report_messages_max = 1_000;
    assert_eq!(
        code(&desk.send("host", command(&rules)).await),
        "invalid_policy"
    );
    let desk = desk.reopen().await;
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "limit_reached"
    );
    assert_eq!(desk.count("policy-set.v1").await, 2);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_told_again_without_an_event() {
    let desk = Desk::open().await;
    desk.members(&["ann"]).await;
    let register = |age_band, registered_at| Command::RegisterMember {
        member: member("ann"),
        age_band,
        registered_at,
    };
    let again = desk
        .send("host", register(AgeBand::Adult, None))
        .await
        .unwrap();
    assert_eq!((again.kind, again.position.0), (Kind::Unchanged, 2));
    let fixed = desk
        .send(
            "host",
            register(AgeBand::Adult, Some(tests::commands::START)),
        )
        .await;
    assert_eq!(code(&fixed), "registered_at_fixed");
    assert_eq!(
        desk.send("host", register(AgeBand::From16To17, None))
            .await
            .unwrap()
            .kind,
        Kind::Done
    );
    desk.handler.stop().await;
}

/// The store takes copies of events only where they fit: a guard of this file's own helper.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_event_needs_its_place() {
    let desk = Desk::open().await;
    desk.members(&["ann"]).await;
    let log = desk.log().await;
    let record: &RecordedEvent = log.last().unwrap();
    let append = Append {
        stream: StreamName::new(record.stream()).unwrap(),
        expected: ExpectedVersion::Exact(record.version() + 7),
        events: vec![tests::commands::copy_of(record)],
        reads: Vec::new(),
    };
    assert!(desk.store.append(append).await.is_err());
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_loses_its_place_is_decided_again_at_most_five_times() {
    for (times, expected) in [(5, "ok"), (6, "busy")] {
        let desk = Desk::open().await;
        desk.members(&["ann", "bob"]).await;
        desk.message("bob", "ann", "hi").await.unwrap();
        let mute = || Command::MuteConversation {
            target: with("bob"),
        };
        desk.send("ann", mute()).await.unwrap();
        let conversation = domain::ConversationId::of(&member("ann"), &member("bob"));
        let stream = domain::conversation::stream(conversation);
        let rival = tests::rival::Rival::over(Arc::clone(&desk.store), &stream, times);
        let options = commands::Options::new(
            None,
            commands::Mode::Service,
            Arc::new(domain::policy::Rules::default()),
        );
        let handler = commands::CommandHandler::start(rival, options)
            .await
            .unwrap();
        let before = desk.log().await.len();
        let envelope = tests::commands::envelope(
            "ann",
            &format!("r{times}"),
            Command::BlockMember {
                other: member("bob"),
            },
        );
        let outcome = handler.handle(envelope).await;
        assert_eq!(code(&outcome), expected, "after {times} lost places");
        handler.stop().await;
        let log = desk.log().await;
        let blocked = log[before..]
            .iter()
            .filter(|record| record.event_type() == "member-blocked.v1")
            .count();
        assert_eq!(blocked, usize::from(times == 5));
        assert_eq!(log.len() - before - blocked, times as usize);
        desk.handler.stop().await;
    }
}

//! What time, restarts and kills do to cases: claims lapse once, by an event, at their time; decisions are carried out once
//! and end by an event; and what a log of another level does with them.

use commands::{Answer, CarriedOut, Command};
use domain::CaseId;
use domain::case::{Action, CLAIM_MS, Category, Ruling};
use domain::conversation::Also;
use domain::ids::ReasonCode;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use tests::commands::{Desk, START, code, member, with};

fn case() -> CaseId {
    let (ann, bob) = (member("ann"), member("bob"));
    CaseId::of(domain::ConversationId::of(&ann, &bob), &bob)
}

/// Bob writes to ann, who reports it; the case has it.
async fn reported(desk: &Desk) {
    desk.members(&["ann", "bob"]).await;
    desk.message("bob", "ann", "buy").await.unwrap();
    let report = Command::ReportMessage {
        target: with("bob"),
        messages: vec![1],
        category: Category::Spam,
        comment: String::new(),
        also: Also::None,
    };
    desk.send("ann", report).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
}

async fn claim(desk: &Desk, by: &str) -> String {
    code(&desk.send(by, Command::ClaimCase { case: case() }).await)
}

async fn lapses(desk: &Desk) -> Vec<RecordedEvent> {
    let mut log = desk.log().await;
    log.retain(|record| record.event_type() == "claim-lapsed.v1");
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_lapses_by_an_event_at_its_time_once() {
    let desk = Desk::open().await;
    reported(&desk).await;
    let claimed = desk.send("mia", Command::ClaimCase { case: case() }).await;
    let until = Timestamp(START.0 + CLAIM_MS);
    assert_eq!(claimed.unwrap().answer, Answer::Claimed { until });
    let desk = desk.reopen().await;
    desk.handler
        .run_timers(Timestamp(until.0 - 1))
        .await
        .unwrap();
    assert_eq!(lapses(&desk).await.len(), 0);
    desk.clock.advance_ms(CLAIM_MS);
    desk.handler.run_timers(until).await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.run_timers(until).await.unwrap();
    let log = desk.log().await;
    let claimed = log
        .iter()
        .find(|record| record.event_type() == "case-claimed.v1")
        .unwrap();
    let [lapsed] = &lapses(&desk).await[..] else {
        panic!("one lapse");
    };
    assert_eq!(
        (lapsed.at_ms(), lapsed.causation_id(), lapsed.actor()),
        (until.0, claimed.event_id(), "timer/claims")
    );
    assert_eq!(claim(&desk, "max").await, "ok");
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_lengthened_released_or_left_to_another_does_not_lapse() {
    let desk = Desk::open().await;
    reported(&desk).await;
    assert_eq!(claim(&desk, "mia").await, "ok");
    desk.clock.advance_ms(60_000);
    let text = "spam".to_owned();
    let note = Command::NoteOnCase { case: case(), text };
    desk.send("mia", note).await.unwrap();
    let first = Timestamp(START.0 + CLAIM_MS);
    desk.handler.run_timers(first).await.unwrap();
    assert_eq!(lapses(&desk).await.len(), 0);
    let release = Command::ReleaseCase { case: case() };
    desk.send("mia", release).await.unwrap();
    let desk = desk.reopen().await;
    let later = Timestamp(first.0 + 60_000);
    desk.handler.run_timers(later).await.unwrap();
    assert_eq!(claim(&desk, "mia").await, "ok");
    let text = String::new();
    let escalate = Command::EscalateCase { case: case(), text };
    desk.send("mia", escalate).await.unwrap();
    desk.clock.advance_ms(2 * CLAIM_MS);
    let end = Timestamp(later.0 + 2 * CLAIM_MS);
    desk.handler.run_timers(end).await.unwrap();
    let desk = desk.reopen().await;
    assert_eq!(lapses(&desk).await.len(), 0);
    desk.handler.stop().await;
}

/// The timer may be late; the rule is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_over_by_the_next_commands_time() {
    let mut service = tests::commands::store_options();
    service.schema_level = domain::codec::LEVEL;
    let desk = Desk::open_over(service, |options| {
        options.mode = commands::Mode::Import;
    })
    .await;
    reported(&desk).await;
    assert_eq!(claim(&desk, "mia").await, "ok");
    desk.clock.advance_ms(CLAIM_MS - 1);
    assert_eq!(claim(&desk, "max").await, "already_claimed");
    desk.clock.advance_ms(1);
    let again = || desk.send_as("max", "c1", Command::ClaimCase { case: case() });
    let first = again().await.unwrap();
    // It says that mia's lapsed, in the same append and before; her timer then has nothing to end.
    let (log, lapsed) = (desk.log().await, lapses(&desk).await);
    let [before @ .., claimed] = &log[..] else {
        panic!("no claim");
    };
    assert_eq!((lapsed.len(), lapsed.last()), (1, before.last()));
    assert_eq!(
        (claimed.event_type(), claimed.position()),
        ("case-claimed.v1", first.position)
    );
    let end = Timestamp(START.0 + CLAIM_MS);
    assert_eq!(lapsed[0].at_ms(), end.0);
    desk.handler.run_timers(end).await.unwrap();
    assert_eq!(desk.log().await.len(), log.len());
    // Repeated, it is answered by its own events alone.
    let repeated = again().await.unwrap();
    assert_eq!(
        (repeated.answer, repeated.position),
        (first.answer, first.position)
    );
    desk.handler.stop().await;
}

fn decide(action: Action, until: Option<i64>) -> Command {
    let ruling = Ruling {
        action,
        until: until.map(Timestamp),
        messages: Vec::new(),
        reason: ReasonCode::new("spam").unwrap(),
        text: "You sent the same offer to many.".to_owned(),
        facts: "Message 1.".to_owned(),
    };
    Command::DecideCase {
        case: case(),
        ruling,
    }
}

/// Mia claims the case and decides it.
async fn decided(desk: &Desk, action: Action, until: Option<i64>) {
    assert_eq!(claim(desk, "mia").await, "ok");
    desk.send("mia", decide(action, until)).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_to_suspend_is_carried_out_and_ends_by_an_event_once() {
    let desk = Desk::open().await;
    reported(&desk).await;
    let until = START.0 + 60_000;
    decided(&desk, Action::Suspend, Some(until)).await;
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "account_restricted"
    );
    assert_eq!(desk.count("member-restricted.v1").await, 1);
    let desk = desk.reopen().await;
    desk.handler.run_timers(Timestamp(until - 1)).await.unwrap();
    assert_eq!(desk.count("restriction-ended.v1").await, 0);
    desk.clock.advance_ms(60_000);
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    assert_eq!(desk.count("restriction-ended.v1").await, 1);
    assert_eq!(code(&desk.message("bob", "ann", "hi").await), "ok");
    // Who was reported can appeal for 180 days; then the case is closed.
    let closes = Timestamp(START.0 + 180 * domain::time::DAY_MS);
    desk.handler
        .run_timers(Timestamp(closes.0 - 1))
        .await
        .unwrap();
    assert_eq!(desk.count("case-closed.v1").await, 0);
    desk.handler.run_timers(closes).await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.run_timers(closes).await.unwrap();
    let desk = desk.reopen().await;
    assert_eq!(desk.count("case-closed.v1").await, 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limited_member_opens_no_request_and_goes_on_where_they_are_known() {
    let desk = Desk::open().await;
    reported(&desk).await;
    desk.members(&["cat"]).await;
    let until = START.0 + 60_000;
    decided(&desk, Action::Limit, Some(until)).await;
    assert_eq!(
        code(&desk.message("bob", "cat", "hi").await),
        "account_restricted"
    );
    assert_eq!(code(&desk.message("bob", "ann", "again").await), "ok");
    desk.clock.advance_ms(60_000);
    assert_eq!(
        code(&desk.message("bob", "cat", "hi").await),
        "ok",
        "by its time"
    );
    desk.handler.stop().await;
}

/// A process killed between the decision and what it does: whatever part of it the log has, it is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_whose_reactor_was_killed_is_carried_out_once_after_the_start() {
    let whole = Desk::open().await;
    reported(&whole).await;
    decided(&whole, Action::Suspend, None).await;
    whole.handler.stop().await;
    let log = whole.log().await;
    let decision = log
        .iter()
        .position(|record| record.event_type() == "case-decided.v1")
        .unwrap();
    for end in decision + 1..=log.len() {
        let cut = Desk::over_twice(&log[..end]).await;
        let mut restricted = cut.log().await;
        restricted.retain(|record| record.event_type() == "member-restricted.v1");
        assert_eq!(restricted.len(), 1, "cut at {end}");
        let (event, cause) = (&restricted[0], &log[decision]);
        assert_eq!(
            (event.stream(), event.causation_id(), event.at_ms()),
            ("member-bob", cause.event_id(), cause.at_ms())
        );
        let reached = cut.handler.carried_out(cause.position()).await;
        assert_eq!(reached, Ok(CarriedOut::UpTo(event.position())));
        assert_eq!(
            code(&cut.message("bob", "ann", "hi").await),
            "account_restricted"
        );
        cut.handler.stop().await;
    }
}

/// Messages of the case alone, and once: what comes of a kill between decision and removal is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reported_messages_are_removed_once_and_no_others() {
    let whole = Desk::open().await;
    reported(&whole).await;
    whole.message("bob", "ann", "not reported").await.unwrap();
    assert_eq!(claim(&whole, "mia").await, "ok");
    let removing = |numbers: &[u64]| {
        let mut command = decide(Action::RemoveMessages, None);
        if let Command::DecideCase { ruling, .. } = &mut command {
            ruling.messages = numbers.to_vec();
        }
        command
    };
    for numbers in [&[2][..], &[1, 2], &[9], &[]] {
        let refused = whole.send("mia", removing(numbers)).await;
        assert_eq!(code(&refused), "invalid_decision", "{numbers:?}");
    }
    whole.send("mia", removing(&[1, 1])).await.unwrap();
    whole.handler.drain_reactors().await.unwrap();
    whole.handler.stop().await;
    let log = whole.log().await;
    let decision = log
        .iter()
        .position(|record| record.event_type() == "case-decided.v1")
        .unwrap();
    for end in decision + 1..=log.len() {
        let cut = Desk::over_twice(&log[..end]).await;
        let mut removed = cut.log().await;
        removed.retain(|record| record.event_type() == "messages-removed.v1");
        let [removed] = &removed[..] else {
            panic!("{} removals, cut at {end}", removed.len());
        };
        let event = domain::codec::decode(removed.event_type(), removed.data()).unwrap();
        let domain::Event::Conversation(domain::conversation::Event::MessagesRemoved(event)) =
            event
        else {
            panic!("another event");
        };
        assert_eq!((&event.numbers[..], event.from.as_str()), (&[1][..], "bob"));
        let reached = cut.handler.carried_out(log[decision].position()).await;
        assert_eq!(reached, Ok(CarriedOut::UpTo(removed.position())));
        cut.handler.stop().await;
    }
}

/// A moderator who reinstates by hand has the last word: the decision is not carried out again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lifted_by_hand_does_not_come_back_with_a_restart() {
    let desk = Desk::open().await;
    reported(&desk).await;
    decided(&desk, Action::Suspend, None).await;
    let bob = member("bob");
    desk.send("max", Command::ReinstateMember { member: bob })
        .await
        .unwrap();
    desk.handler.stop().await;
    // As after a crash that lost the reactor's checkpoint.
    let mut log = desk.log().await;
    log.retain(|record| record.event_type() != "reactor-checkpoint.v1");
    let again = Desk::over(&log).await;
    assert_eq!(again.count("member-restricted.v1").await, 1);
    assert_eq!(code(&again.message("bob", "ann", "hi").await), "ok");
    again.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_made_once_and_a_new_report_opens_the_case_again() {
    let desk = Desk::open().await;
    reported(&desk).await;
    assert_eq!(
        code(&desk.send("mia", decide(Action::Warn, None)).await),
        "not_claimed"
    );
    assert_eq!(claim(&desk, "mia").await, "ok");
    let first = desk
        .send_as("mia", "d1", decide(Action::Warn, None))
        .await
        .unwrap();
    let again = desk
        .send_as("mia", "d1", decide(Action::Warn, None))
        .await
        .unwrap();
    assert_eq!(
        (again.position, &again.answer),
        (first.position, &first.answer)
    );
    assert!(again.repeated);
    assert_eq!(
        code(&desk.send("mia", decide(Action::Warn, None)).await),
        "already_decided"
    );
    assert_eq!(claim(&desk, "max").await, "already_decided");
    desk.message("bob", "ann", "more").await.unwrap();
    let report = Command::ReportMessage {
        target: with("bob"),
        messages: vec![2],
        category: Category::Spam,
        comment: String::new(),
        also: Also::None,
    };
    desk.send("ann", report).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    assert_eq!(claim(&desk, "max").await, "ok");
    // The report that joined saw that the member's case had been upheld.
    let log = desk.log().await;
    let joined = log
        .iter()
        .rfind(|record| record.event_type() == "report-joined.v2")
        .unwrap();
    let event = domain::codec::decode(joined.event_type(), joined.data()).unwrap();
    let domain::Event::Case(domain::case::Event::ReportJoined(joined)) = event else {
        panic!("another event");
    };
    assert_eq!(joined.upheld, 1);
    desk.handler.stop().await;
}

/// A log of an older level has no words for claims: that is told, and nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_an_older_level_takes_no_claim_and_records_other_refusals_as_before() {
    let mut old = tests::commands::store_options();
    old.schema_level = 1;
    let desk = Desk::open_over(old, |_| {}).await;
    reported(&desk).await;
    let before = desk.log().await.len();
    let refused = desk.send("mia", Command::ClaimCase { case: case() }).await;
    assert!(
        matches!(refused, Err(commands::CommandError::AboveLevel(_))),
        "{refused:?}"
    );
    assert_eq!(desk.log().await.len(), before);
    let unsend = Command::UnsendMessage {
        target: with("bob"),
        number: 1,
    };
    assert_eq!(code(&desk.send("ann", unsend).await), "not_author");
    assert_eq!(desk.count("command-refused.v1").await, 1);
    desk.handler.stop().await;
}

//! A suspension by hand as a decision: its file is opened once and its reversal carried out once, wherever the process was cut
//! off; time closes the one and ends the other.

use commands::{CarriedOut, Command};
use domain::case::APPEAL_DAYS;
use domain::ids::{CaseId, DecisionId, ReasonCode};
use domain::time::{DAY_MS, Timestamp};
use domain::{Event, codec, member};
use event_store::RecordedEvent;
use tests::commands::{Desk, START, code};

fn suspend(until: Option<i64>) -> Command {
    Command::SuspendMember {
        member: tests::commands::member("bob"),
        until: until.map(Timestamp),
        reason: ReasonCode::new("spam").unwrap(),
        text: "You sent the same offer to many.".to_owned(),
        facts: "Ten letters.".to_owned(),
    }
}

fn reverse(decision: DecisionId) -> Command {
    Command::ReverseDecision {
        case: CaseId::of_suspension(decision),
        decision,
        reason: ReasonCode::new("mistake").unwrap(),
        text: "We were wrong.".to_owned(),
    }
}

async fn of_type(desk: &Desk, name: &str) -> Vec<RecordedEvent> {
    let mut log = desk.log().await;
    log.retain(|record| codec::name(record.event_type()) == name);
    log
}

/// The decision by which bob is suspended.
async fn decision(desk: &Desk) -> DecisionId {
    let suspended = &of_type(desk, "member-suspended").await[0];
    let event = codec::decode(suspended.event_type(), suspended.data()).unwrap();
    let Event::Member(member::Event::MemberSuspended(event)) = event else {
        panic!("another event");
    };
    event.decision.unwrap()
}

/// Whatever part of it a killed process had written, there is one file, and what is reversed is lifted once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_file_is_opened_and_its_reversal_carried_out_once_wherever_its_process_was_cut_off() {
    let whole = Desk::open().await;
    whole.members(&["ann", "bob"]).await;
    whole.send("mia", suspend(None)).await.unwrap();
    whole.handler.drain_reactors().await.unwrap();
    let decision = decision(&whole).await;
    whole.send("max", reverse(decision)).await.unwrap();
    whole.handler.drain_reactors().await.unwrap();
    whole.handler.stop().await;
    let log = whole.log().await;
    for (cause, effect) in [
        ("member-suspended", "suspension-filed"),
        ("decision-reversed", "restriction-lifted"),
    ] {
        let is_cause = |record: &RecordedEvent| codec::name(record.event_type()) == cause;
        let at = log.iter().position(is_cause).unwrap();
        for end in at + 1..=log.len() {
            let cut = Desk::over_twice(&log[..end]).await;
            let effects = of_type(&cut, effect).await;
            assert_eq!(effects.len(), 1, "{effect}, cut at {end}");
            let (event, cause) = (&effects[0], &log[at]);
            assert_eq!(
                (event.causation_id(), event.at_ms()),
                (cause.event_id(), cause.at_ms())
            );
            let reached = cut.handler.carried_out(cause.position()).await;
            assert_eq!(reached, Ok(CarriedOut::UpTo(event.position())));
            let reversed = !of_type(&cut, "restriction-lifted").await.is_empty();
            let expected = if reversed { "ok" } else { "account_restricted" };
            let sent = cut.message("bob", "ann", "hi").await;
            assert_eq!(code(&sent), expected, "{effect}, cut at {end}");
            cut.handler.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_ends_it_and_closes_its_file_each_by_an_event_once() {
    let mut desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let until = START.0 + DAY_MS;
    desk.send("mia", suspend(Some(until))).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    let suspended = of_type(&desk, "member-suspended").await[0].at_ms();
    let mut now = START.0;
    let closes = Timestamp(suspended + APPEAL_DAYS * DAY_MS);
    let counts = async |desk: &Desk| {
        let ended = of_type(desk, "restriction-ended").await.len();
        (ended, of_type(desk, "case-closed").await.len())
    };
    for (time, expected) in [
        (Timestamp(until - 1), (0, 0)),
        (Timestamp(until), (1, 0)),
        (Timestamp(closes.0 - 1), (1, 0)),
        (closes, (1, 1)),
        (Timestamp(closes.0 + 1), (1, 1)),
    ] {
        desk.clock.advance_ms(time.0 - now);
        now = time.0;
        desk.handler.run_timers(time).await.unwrap();
        // What a stop leaves is durable.
        desk = desk.reopen().await;
        assert_eq!(counts(&desk).await, expected, "{time:?}");
    }
    desk.handler.stop().await;
}

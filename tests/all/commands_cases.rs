//! What time and restarts do to claims: they lapse once, by an event, at their time; and a claim of another log level.

use commands::{Answer, Command};
use domain::CaseId;
use domain::case::{CLAIM_MS, Category};
use domain::conversation::Also;
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
    assert_eq!(claim(&desk, "max").await, "ok");
    assert_eq!(lapses(&desk).await.len(), 0, "no timer ran");
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

//! What a moderator sets of a member's reports: it counts them at once, ends by an event at its time, once, and is known
//! again after a restart.

use commands::Command;
use domain::case::Category;
use domain::conversation::Also;
use domain::ids::ReasonCode;
use domain::time::Timestamp;
use domain::{Event, member};
use tests::commands::{Desk, START, code, member as id, with};

const MINUTE: i64 = 60 * 1000;

fn limit(until: i64) -> Command {
    Command::LimitReports {
        member: id("ann"),
        per_day: 0,
        until: Timestamp(until),
        reason: ReasonCode::new("flooding").unwrap(),
    }
}

async fn report(desk: &Desk, number: u64) {
    let report = Command::ReportMessage {
        target: with("bob"),
        messages: vec![number],
        category: Category::Spam,
        comment: String::new(),
        also: Also::None,
    };
    desk.send("ann", report).await.unwrap();
}

/// Whether each counted report of ann's was beyond her limit.
async fn counted(desk: &Desk) -> Vec<bool> {
    let mut counted = Vec::new();
    for record in desk.log().await {
        let event = domain::codec::decode(record.event_type(), record.data()).unwrap();
        if let Event::Member(member::Event::ReportCounted(report)) = event {
            counted.push(report.over_limit);
        }
    }
    counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_reports_ends_by_an_event_at_its_time_once() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    for text in ["one", "two", "three"] {
        desk.message("bob", "ann", text).await.unwrap();
    }
    report(&desk, 1).await;
    let until = START.0 + MINUTE;
    desk.send("mia", limit(until)).await.unwrap();
    let desk = desk.reopen().await;
    report(&desk, 2).await;
    desk.handler.run_timers(Timestamp(until - 1)).await.unwrap();
    assert_eq!(desk.count("report-limit-ended.v1").await, 0);
    desk.clock.advance_ms(MINUTE);
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    assert_eq!(desk.count("report-limit-ended.v1").await, 1);
    report(&desk, 3).await;
    assert_eq!(counted(&desk).await, [false, true, false]);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_was_lifted_or_set_anew_does_not_end_at_its_first_time() {
    let desk = Desk::open().await;
    desk.members(&["ann"]).await;
    let first = START.0 + MINUTE;
    desk.send("mia", limit(first)).await.unwrap();
    desk.send("mia", limit(first + MINUTE)).await.unwrap();
    desk.handler.run_timers(Timestamp(first)).await.unwrap();
    let lift = Command::LiftReportLimit { member: id("ann") };
    desk.send("max", lift).await.unwrap();
    let desk = desk.reopen().await;
    let later = Timestamp(first + MINUTE);
    desk.handler.run_timers(later).await.unwrap();
    assert_eq!(desk.count("report-limit-ended.v1").await, 0);
    let over = desk.send("mia", limit(START.0)).await;
    assert_eq!(code(&over), "invalid_report_limit");
    desk.handler.stop().await;
}

/// Whatever of the log is known by then: of what came later nothing is counted, not at the same moment either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_joins_its_case_with_the_reporters_up_to_it_alone() {
    let whole = Desk::open().await;
    let reporters = ["ann", "ben", "cat"];
    whole.members(&["bob"]).await;
    whole.members(&reporters).await;
    for reporter in reporters {
        whole.message("bob", reporter, "buy").await.unwrap();
        let report = Command::ReportMessage {
            target: with("bob"),
            messages: vec![1],
            category: Category::Spam,
            comment: String::new(),
            also: Also::None,
        };
        whole.send(reporter, report).await.unwrap();
    }
    whole.handler.stop().await;
    // As a reactor finds it that was held up until all of them were there.
    let mut log = whole.log().await;
    log.retain(|record| {
        !record.stream().starts_with("case-") && !record.stream().starts_with("reactor-")
    });
    let desk = Desk::over(&log).await;
    desk.handler.drain_reactors().await.unwrap();
    let joined = desk.log().await;
    let joined = joined
        .iter()
        .filter(|record| record.event_type() == "report-joined.v2");
    let counts: Vec<u64> = joined
        .map(|record| {
            let told: serde_json::Value = serde_json::from_slice(record.data()).unwrap();
            told["reporters"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(counts, [1, 2, 3]);
    desk.handler.stop().await;
}

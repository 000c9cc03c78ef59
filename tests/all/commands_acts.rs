//! One decision on many cases of a member: each case decided once, what had moved on told, the member restricted once,
//! whatever a kill leaves of it.

use commands::{Answer, Command, Kind};
use domain::act::{ActCarriedOut, MovedOn, SeenCase, Step};
use domain::case::{Action, Category, Ruling};
use domain::conversation::Also;
use domain::ids::{ActId, ReasonCode};
use domain::time::Timestamp;
use domain::{CaseId, ConversationId, Event};
use event_store::RecordedEvent;
use tests::commands::{Desk, START, code, id, member, with};

/// The case about bob of whom he wrote to.
fn case(reporter: &str) -> CaseId {
    let (bob, reporter) = (member("bob"), member(reporter));
    CaseId::of(ConversationId::of(&bob, &reporter), &bob)
}

fn claim(reporter: &str) -> Command {
    let case = case(reporter);
    Command::ClaimCase { case }
}

async fn report(desk: &Desk, by: &str, number: u64) {
    let report = Command::ReportMessage {
        target: with("bob"),
        messages: vec![number],
        category: Category::Spam,
        comment: String::new(),
        also: Also::None,
    };
    desk.send(by, report).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
}

/// Bob writes to each of these, who reports it.
async fn reported(desk: &Desk, reporters: &[&str]) {
    desk.members(&["bob"]).await;
    desk.members(reporters).await;
    for reporter in reporters {
        desk.message("bob", reporter, "buy").await.unwrap();
        report(desk, reporter, 1).await;
    }
}

fn ruling(action: Action) -> Ruling {
    Ruling {
        action,
        until: (action == Action::Limit).then_some(Timestamp(START.0 + 60_000)),
        messages: Vec::new(),
        reason: ReasonCode::new("spam").unwrap(),
        text: "You sent the same offer to many.".to_owned(),
        facts: "Message 1 of each.".to_owned(),
    }
}

/// A decision on bob's cases, each seen with its one report.
fn deciding(action: Action, reporters: &[&str]) -> Command {
    let seen = |reporter: &&str| SeenCase {
        case: case(reporter),
        revision: 1,
    };
    Command::DecideCases {
        member: member("bob"),
        cases: reporters.iter().map(seen).collect(),
        ruling: ruling(action),
    }
}

/// Sends it as mia, and waits until it is carried out.
async fn decide(desk: &Desk, key: &str, command: Command) {
    let outcome = desk.send_as("mia", key, command).await.unwrap();
    let act = ActId::of(&member("mia"), &id(key));
    assert_eq!(outcome.answer, Answer::DecidedMany { act });
    desk.handler.drain_reactors().await.unwrap();
}

fn of_type(log: &[RecordedEvent], event_type: &str) -> Vec<Event<'static>> {
    let found = log
        .iter()
        .filter(|record| record.event_type() == event_type);
    let decoded = found.map(|record| domain::codec::decode(record.event_type(), record.data()));
    decoded.map(|event| event.unwrap().into_owned()).collect()
}

/// What acts came to.
fn told(log: &[RecordedEvent]) -> Vec<ActCarriedOut> {
    let events = of_type(log, "act-carried-out.v1").into_iter();
    let told = events.map(|event| {
        let Event::Act(domain::act::Event::ActCarriedOut(told)) = event else {
            panic!("another event");
        };
        told
    });
    told.collect()
}

fn passed(told: &ActCarriedOut) -> Vec<(CaseId, MovedOn)> {
    let passed = told.passed_over.iter();
    passed.map(|passed| (passed.case, passed.why)).collect()
}

/// The cases that were decided, by their streams, sorted.
fn decided(log: &[RecordedEvent]) -> Vec<String> {
    let mut decided: Vec<String> = log
        .iter()
        .filter(|record| record.event_type() == "case-decided.v1")
        .map(|record| record.stream().to_owned())
        .collect();
    decided.sort();
    decided
}

fn streams(reporters: &[&str]) -> Vec<String> {
    let mut streams: Vec<String> = reporters
        .iter()
        .map(|reporter| domain::case::stream(case(reporter)))
        .collect();
    streams.sort();
    streams
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_decides_every_case_and_suspends_its_member_once() {
    let desk = Desk::open().await;
    let all = ["ann", "ben", "cat"];
    reported(&desk, &all).await;
    decide(&desk, "a1", deciding(Action::Suspend, &all)).await;
    let log = desk.log().await;
    assert_eq!(decided(&log), streams(&all));
    let [told] = &told(&log)[..] else {
        panic!("told once");
    };
    assert_eq!((told.step, told.done), (Step::Decision, 3));
    assert_eq!(told.passed_over, []);
    let [restricted] = &of_type(&log, "member-restricted.v1")[..] else {
        panic!("restricted once");
    };
    let act = ActId::of(&member("mia"), &id("a1"));
    assert!(matches!(
        restricted,
        Event::Member(domain::member::Event::MemberRestricted(restricted))
            if restricted.decision == domain::ids::DecisionId::of_act(act)
    ));
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "account_restricted"
    );
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_moved_on_is_passed_over_and_told() {
    let desk = Desk::open().await;
    let all = ["ann", "ben", "cat", "dan", "eve", "mia"];
    reported(&desk, &all).await;
    // Ann reports again, max holds ben's and has decided cat's, mia left dan's to another and is part of her own.
    desk.message("bob", "ann", "buy now").await.unwrap();
    report(&desk, "ann", 2).await;
    desk.send("max", claim("ben")).await.unwrap();
    desk.send("max", claim("cat")).await.unwrap();
    let decision = Command::DecideCase {
        case: case("cat"),
        ruling: ruling(Action::Nothing),
    };
    desk.send("max", decision).await.unwrap();
    desk.send("mia", claim("dan")).await.unwrap();
    let (case_of_dan, text) = (case("dan"), String::new());
    let escalate = Command::EscalateCase {
        case: case_of_dan,
        text,
    };
    desk.send("mia", escalate).await.unwrap();
    let mut command = deciding(Action::Warn, &all);
    let nowhere = CaseId(uuid::Uuid::nil());
    if let Command::DecideCases { cases, .. } = &mut command {
        cases.push(SeenCase {
            case: nowhere,
            revision: 0,
        });
    }
    decide(&desk, "a1", command).await;
    let log = desk.log().await;
    let [told] = &told(&log)[..] else {
        panic!("told once");
    };
    assert_eq!(told.done, 1);
    assert_eq!(
        passed(told),
        [
            (case("ann"), MovedOn::Reported),
            (case("ben"), MovedOn::Claimed),
            (case("cat"), MovedOn::Decided),
            (case("dan"), MovedOn::Escalated),
            (case("mia"), MovedOn::OwnCase),
            (nowhere, MovedOn::NotFound),
        ]
    );
    assert_eq!(decided(&log), streams(&["cat", "eve"]));
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_whose_cases_have_all_moved_on_does_nothing_to_its_member() {
    let desk = Desk::open().await;
    reported(&desk, &["ann"]).await;
    desk.send("max", claim("ann")).await.unwrap();
    decide(&desk, "a1", deciding(Action::Suspend, &["ann"])).await;
    let log = desk.log().await;
    assert_eq!(told(&log)[0].done, 0);
    assert_eq!(of_type(&log, "member-restricted.v1"), []);
    assert_eq!(code(&desk.message("bob", "ann", "hi").await), "ok");
    desk.handler.stop().await;
}

/// A process killed anywhere between the act and its end: every case is decided once, and so on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_whose_reactor_was_killed_is_carried_out_once_after_the_start() {
    let whole = Desk::open().await;
    let all = ["ann", "ben", "cat", "dan"];
    reported(&whole, &all).await;
    whole.send("max", claim("ben")).await.unwrap();
    decide(&whole, "a1", deciding(Action::Limit, &all)).await;
    whole.handler.stop().await;
    let log = whole.log().await;
    let act = log
        .iter()
        .position(|record| record.event_type() == "cases-decided.v1")
        .unwrap();
    for end in act + 1..=log.len() {
        let cut = Desk::over_twice(&log[..end]).await;
        let after = cut.log().await;
        assert_eq!(decided(&after), streams(&["ann", "cat", "dan"]), "{end}");
        let [told] = &told(&after)[..] else {
            panic!("told once, cut at {end}");
        };
        assert_eq!(told.done, 3, "cut at {end}");
        assert_eq!(passed(told), [(case("ben"), MovedOn::Claimed)]);
        let restricted = of_type(&after, "member-restricted.v1");
        assert_eq!(restricted.len(), 1, "cut at {end}");
        cut.handler.stop().await;
    }
}

/// What it passed over stays as it is, also where it is brought again after a crash that lost the checkpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_was_gone_through_is_left_alone() {
    let desk = Desk::open().await;
    reported(&desk, &["ann", "ben"]).await;
    desk.send("max", claim("ann")).await.unwrap();
    decide(&desk, "a1", deciding(Action::Warn, &["ann", "ben"])).await;
    let case = case("ann");
    desk.send("max", Command::ReleaseCase { case })
        .await
        .unwrap();
    desk.handler.stop().await;
    let mut log = desk.log().await;
    log.retain(|record| record.event_type() != "reactor-checkpoint.v1");
    let again = Desk::over(&log).await;
    assert_eq!(decided(&again.log().await), streams(&["ben"]));
    again.handler.stop().await;
}

/// The decisions on its cases bear the act's command as their correlation, and are not taken for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_under_a_repeated_id_is_answered_as_at_first_and_done_once() {
    let desk = Desk::open().await;
    reported(&desk, &["ann", "ben"]).await;
    let command = || deciding(Action::Warn, &["ann", "ben"]);
    decide(&desk, "a1", command()).await;
    let desk = desk.reopen().await;
    let before = desk.log().await.len();
    let again = desk.send_as("mia", "a1", command()).await.unwrap();
    let act = ActId::of(&member("mia"), &id("a1"));
    assert!(again.repeated);
    assert_eq!(
        (again.kind, again.answer),
        (Kind::Done, Answer::DecidedMany { act })
    );
    let other = deciding(Action::Nothing, &["ann"]);
    let reused = desk.send_as("mia", "a1", other).await;
    assert!(matches!(
        reused,
        Err(commands::CommandError::CommandIdReused)
    ));
    assert_eq!(desk.log().await.len(), before);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_cannot_be_is_refused_and_changes_nothing() {
    let desk = Desk::open().await;
    reported(&desk, &["ann"]).await;
    let before = desk.log().await.len();
    let mut removing = deciding(Action::RemoveMessages, &["ann"]);
    if let Command::DecideCases { ruling, .. } = &mut removing {
        ruling.messages = vec![1];
    }
    for command in [
        deciding(Action::Warn, &[]),
        deciding(Action::Warn, &["ann", "ann"]),
        removing,
    ] {
        assert_eq!(code(&desk.send("mia", command).await), "invalid_decision");
    }
    assert_eq!(desk.log().await.len(), before);
    desk.handler.stop().await;
}

/// Sends the reversal of mia's act as max, and waits until it is carried out.
async fn reverse(desk: &Desk, by: &str) {
    let reversal = Command::ReverseCases {
        act: ActId::of(&member("mia"), &id("a1")),
        reason: ReasonCode::new("mistaken").unwrap(),
        text: "We were wrong.".to_owned(),
    };
    desk.send_as(by, "b1", reversal).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
}

/// Reverses the decision that mia's act made on one case.
async fn reverse_one(desk: &Desk, by: &str, reporter: &str) {
    let act = ActId::of(&member("mia"), &id("a1"));
    let reversal = Command::ReverseDecision {
        case: case(reporter),
        decision: domain::ids::DecisionId::by_act(act, case(reporter)),
        reason: ReasonCode::new("mistaken").unwrap(),
        text: "We were wrong.".to_owned(),
    };
    desk.send(by, reversal).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
}

fn reversed(log: &[RecordedEvent]) -> Vec<String> {
    let of_type = log
        .iter()
        .filter(|record| record.event_type() == "decision-reversed.v1");
    let mut reversed: Vec<String> = of_type.map(|record| record.stream().to_owned()).collect();
    reversed.sort();
    reversed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_is_reversed_by_one_act_and_leaves_what_another_decision_did() {
    let desk = Desk::open().await;
    let all = ["ann", "ben", "cat"];
    reported(&desk, &all).await;
    desk.send("max", claim("cat")).await.unwrap();
    decide(&desk, "a1", deciding(Action::Suspend, &all)).await;
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "account_restricted"
    );
    let decision = Command::DecideCase {
        case: case("cat"),
        ruling: ruling(Action::Limit),
    };
    desk.send("max", decision).await.unwrap();
    reverse(&desk, "max").await;
    let log = desk.log().await;
    assert_eq!(reversed(&log), streams(&["ann", "ben"]));
    let told = told(&log);
    assert_eq!((told.len(), told[1].step), (2, Step::Reversal));
    assert_eq!((told[1].done, passed(&told[1])), (2, Vec::new()));
    assert_eq!(desk.count("restriction-lifted.v1").await, 1);
    assert_eq!(code(&desk.message("bob", "ann", "hi").await), "ok");
    desk.members(&["new"]).await;
    assert_eq!(
        code(&desk.message("bob", "new", "hi").await),
        "account_restricted",
        "limited by max's decision"
    );
    // Again it is so already, and nothing comes of it.
    let before = desk.log().await.len();
    reverse(&desk, "max").await;
    assert_eq!(desk.log().await.len(), before);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reversal_tells_what_it_had_nothing_to_do_on() {
    let desk = Desk::open().await;
    let all = ["ann", "ben", "max"];
    reported(&desk, &all).await;
    decide(&desk, "a1", deciding(Action::Suspend, &all)).await;
    reverse_one(&desk, "zoe", "ann").await;
    reverse(&desk, "max").await;
    let told = told(&desk.log().await);
    assert_eq!(told[1].done, 1);
    assert_eq!(
        passed(&told[1]),
        [
            (case("ann"), MovedOn::Reversed),
            (case("max"), MovedOn::OwnCase)
        ]
    );
    // A decision of the act stands, and with it what the act did, until another moderator takes that back.
    assert_eq!(desk.count("restriction-lifted.v1").await, 0);
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "account_restricted"
    );
    reverse_one(&desk, "zoe", "max").await;
    assert_eq!(desk.count("restriction-lifted.v1").await, 1);
    assert_eq!(code(&desk.message("bob", "ann", "hi").await), "ok");
    desk.handler.stop().await;
}

/// What an act did to its member was done for each of its decisions: it goes with the last of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reversed_one_by_one_the_decisions_of_an_act_lift_what_it_did_with_the_last() {
    let desk = Desk::open().await;
    let all = ["ann", "ben", "cat"];
    reported(&desk, &all).await;
    desk.send("zoe", claim("cat")).await.unwrap();
    decide(&desk, "a1", deciding(Action::Suspend, &all)).await;
    reverse_one(&desk, "max", "ann").await;
    assert_eq!(desk.count("restriction-lifted.v1").await, 0);
    assert_eq!(
        code(&desk.message("bob", "ann", "hi").await),
        "account_restricted"
    );
    let desk = desk.reopen().await;
    reverse_one(&desk, "max", "ben").await;
    assert_eq!(desk.count("restriction-lifted.v1").await, 1);
    assert_eq!(code(&desk.message("bob", "ann", "hi").await), "ok");
    desk.handler.stop().await;
}

/// A process killed anywhere between the reversal and its end: every decision is reversed once, and so on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reversal_whose_reactor_was_killed_is_carried_out_once_after_the_start() {
    let whole = Desk::open().await;
    let all = ["ann", "ben", "cat"];
    reported(&whole, &all).await;
    decide(&whole, "a1", deciding(Action::Suspend, &all)).await;
    reverse_one(&whole, "zoe", "ben").await;
    reverse(&whole, "max").await;
    whole.handler.stop().await;
    let log = whole.log().await;
    let act = log
        .iter()
        .position(|record| record.event_type() == "cases-reversed.v1")
        .unwrap();
    for end in act + 1..=log.len() {
        let cut = Desk::over_twice(&log[..end]).await;
        let after = cut.log().await;
        assert_eq!(reversed(&after), streams(&all), "cut at {end}");
        let told = told(&after);
        assert_eq!(told.len(), 2, "cut at {end}");
        assert_eq!(told[1].done, 2, "cut at {end}");
        assert_eq!(passed(&told[1]), [(case("ben"), MovedOn::Reversed)]);
        assert_eq!(
            of_type(&after, "restriction-lifted.v1").len(),
            1,
            "cut at {end}"
        );
        assert_eq!(code(&cut.message("bob", "ann", "hi").await), "ok");
        cut.handler.stop().await;
    }
}

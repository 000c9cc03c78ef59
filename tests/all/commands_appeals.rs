//! What kills, time and restarts do to reversals: a decision is carried out once and taken back once, and nothing that ended
//! meanwhile is touched.

use std::path::Path;
use std::sync::Arc;

use commands::{CarriedOut, Command, CommandHandler, Mode, Options, Outcome};
use domain::case::{Action, AppealOutcome, Category, Ruling};
use domain::conversation::Also;
use domain::ids::{CommandId, DecisionId, ReasonCode};
use domain::policy::Rules;
use domain::time::{DAY_MS, Timestamp};
use domain::{CaseId, Event, case};
use event_store::{EmbeddedStore, EventStore};
use tests::commands::{
    Desk, START, StandingClock, code, envelope, log, member, store_options, with,
};
use tests::halting::Halting;
use tests::killed;

const CHILD_DIR: &str = "DOORSTEP_TEST_APPEALS_DIR";
const CHILD_BEFORE: &str = "DOORSTEP_TEST_APPEALS_BEFORE";

fn case() -> CaseId {
    let (ann, bob) = (member("ann"), member("bob"));
    CaseId::of(domain::ConversationId::of(&ann, &bob), &bob)
}

fn report(number: u64) -> Command {
    Command::ReportMessage {
        target: with("bob"),
        messages: vec![number],
        category: Category::Spam,
        comment: String::new(),
        also: Also::None,
    }
}

fn decide(action: Action, until: Option<i64>, messages: &[u64]) -> Command {
    let ruling = Ruling {
        action,
        until: until.map(Timestamp),
        messages: messages.to_vec(),
        reason: ReasonCode::new("spam").unwrap(),
        text: "You sent the same offer to many.".to_owned(),
        facts: "Message 1.".to_owned(),
    };
    Command::DecideCase {
        case: case(),
        ruling,
    }
}

/// The decision that mia made under this id.
fn made(command_id: &str) -> DecisionId {
    DecisionId::on_case(case(), &member("mia"), &CommandId::new(command_id).unwrap())
}

fn reverse(decision: DecisionId) -> Command {
    Command::ReverseDecision {
        case: case(),
        decision,
        reason: ReasonCode::new("mistake").unwrap(),
        text: "We were wrong.".to_owned(),
    }
}

fn appeal(decision: DecisionId) -> Command {
    Command::AppealDecision {
        case: case(),
        decision,
        text: "It was a joke.".to_owned(),
    }
}

fn grant(outcome: AppealOutcome) -> Command {
    Command::DecideAppeal {
        case: case(),
        decision: None,
        outcome,
        text: "We looked again.".to_owned(),
    }
}

/// Reported, claimed and decided under this id.
async fn decided(desk: &Desk, command_id: &str, decision: Command) {
    let claim = Command::ClaimCase { case: case() };
    desk.send("mia", claim).await.unwrap();
    desk.send_as("mia", command_id, decision).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
}

async fn reported(desk: &Desk) {
    desk.members(&["ann", "bob"]).await;
    desk.message("bob", "ann", "buy").await.unwrap();
    desk.send("ann", report(1)).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
}

/// Whatever part of it a killed process had written, each reversal is carried out once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reversal_is_carried_out_once_wherever_its_process_was_cut_off() {
    for (decision, effect) in [
        (decide(Action::Suspend, None, &[]), "restriction-lifted.v1"),
        (
            decide(Action::RemoveMessages, None, &[1]),
            "messages-restored.v1",
        ),
    ] {
        let whole = Desk::open().await;
        reported(&whole).await;
        decided(&whole, "d1", decision).await;
        whole.send("bob", appeal(made("d1"))).await.unwrap();
        let granted = grant(AppealOutcome::Reversed);
        let granted = whole.send("max", granted).await.unwrap();
        whole.handler.drain_reactors().await.unwrap();
        whole.handler.stop().await;
        let log = whole.log().await;
        let reversal = log
            .iter()
            .position(|record| record.position() == granted.position);
        let reversal = reversal.unwrap();
        assert_eq!(log[reversal].event_type(), "decision-reversed.v1");
        for end in reversal + 1..=log.len() {
            let cut = Desk::over_twice(&log[..end]).await;
            let mut effects = cut.log().await;
            effects.retain(|record| record.event_type() == effect);
            assert_eq!(effects.len(), 1, "{effect} cut at {end}");
            let (event, cause) = (&effects[0], &log[reversal]);
            assert_eq!(
                (event.causation_id(), event.at_ms()),
                (cause.event_id(), cause.at_ms())
            );
            let reached = cut.handler.carried_out(cause.position()).await;
            assert_eq!(reached, Ok(CarriedOut::UpTo(event.position())));
            assert_eq!(code(&cut.message("bob", "ann", "hi").await), "ok");
            cut.handler.stop().await;
        }
    }
}

async fn open(dir: &Path, before: Option<&str>) -> (Arc<dyn EventStore>, CommandHandler) {
    let embedded = EmbeddedStore::open(dir, store_options()).unwrap();
    let mut store: Arc<dyn EventStore> = Arc::new(embedded);
    if let Some(before) = before {
        store = Halting::over(store, before);
    }
    let tables = Some(dir.join("tables"));
    let mut options = Options::new(tables, Mode::Service, Arc::new(Rules::default()));
    options.clock = StandingClock::new();
    options.filter_bytes = 1 << 20;
    let handler = CommandHandler::start(Arc::clone(&store), options).await;
    (store, handler.unwrap())
}

async fn send(handler: &CommandHandler, actor: &str, id: &str, command: Command) -> Outcome {
    handler.handle(envelope(actor, id, command)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_that_is_killed_before_what_follows() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let before = std::env::var(CHILD_BEFORE).unwrap();
    let (_store, handler) = open(Path::new(&dir), Some(&before)).await;
    if before == "member-restricted.v1" {
        send(&handler, "mia", "d1", decide(Action::Suspend, None, &[])).await;
    } else {
        send(&handler, "max", "r1", reverse(made("d1"))).await;
    }
    // The answer was given: the decision is durable. What follows is on its way.
    std::future::pending::<()>().await;
}

/// A process of its own, killed by the system after the answer and before what follows from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_decision_and_effect_has_one_outcome_each() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (_store, handler) = open(dir.path(), None).await;
        for id in ["ann", "bob"] {
            let register = Command::RegisterMember {
                member: member(id),
                age_band: domain::member::AgeBand::Adult,
                registered_at: Some(tests::commands::REGISTERED),
            };
            send(&handler, "host", id, register).await;
            let audience = domain::policy::Audience::Everyone;
            send(
                &handler,
                id,
                "audience",
                Command::ChangeDmSetting { audience },
            )
            .await;
        }
        send(
            &handler,
            "bob",
            "m1",
            tests::commands::message("ann", "buy"),
        )
        .await;
        send(&handler, "ann", "r1", report(1)).await;
        handler.drain_reactors().await.unwrap();
        send(&handler, "mia", "c1", Command::ClaimCase { case: case() }).await;
        handler.stop().await;
    }
    let repeated = [
        (
            "case-decided.v1",
            "member-restricted.v1",
            "mia",
            "d1",
            decide(Action::Suspend, None, &[]),
        ),
        (
            "decision-reversed.v1",
            "restriction-lifted.v1",
            "max",
            "r1",
            reverse(made("d1")),
        ),
    ];
    for (cause, effect, actor, id, command) in repeated {
        let told = [
            (CHILD_DIR, dir.path().to_string_lossy().into_owned()),
            (CHILD_BEFORE, effect.to_owned()),
        ];
        let test = "commands_appeals::the_child_that_is_killed_before_what_follows";
        assert!(
            killed::when(test, &told, |line| line == "halted"),
            "{effect}"
        );

        let count = |log: &[event_store::RecordedEvent], name: &str| {
            log.iter()
                .filter(|record| record.event_type() == name)
                .count()
        };
        {
            let store = EmbeddedStore::open(dir.path(), store_options()).unwrap();
            let log = log(&store).await;
            assert_eq!(
                (count(&log, cause), count(&log, effect)),
                (1, 0),
                "killed between"
            );
        }
        let (store, handler) = open(dir.path(), None).await;
        handler.drain_reactors().await.unwrap();
        let first = send(&handler, actor, id, command).await;
        assert!(first.repeated);
        handler.drain_reactors().await.unwrap();
        handler.stop().await;
        let log = log(&*store).await;
        assert_eq!((count(&log, cause), count(&log, effect)), (1, 1));
    }
    let (_store, handler) = open(dir.path(), None).await;
    let free = tests::commands::message("ann", "free again");
    send(&handler, "bob", "m2", free).await;
    handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_does_not_close_while_an_appeal_waits_and_closes_with_its_answer() {
    let desk = Desk::open().await;
    reported(&desk).await;
    decided(&desk, "d1", decide(Action::Warn, None, &[])).await;
    desk.clock.advance_ms(180 * DAY_MS - 1);
    desk.send("bob", appeal(made("d1"))).await.unwrap();
    let closes = Timestamp(START.0 + 180 * DAY_MS);
    desk.clock.advance_ms(1);
    desk.handler.run_timers(closes).await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.run_timers(closes).await.unwrap();
    assert_eq!(desk.count("case-closed.v1").await, 0);
    let upheld = desk.send("max", grant(AppealOutcome::Upheld)).await;
    assert_eq!(code(&upheld), "ok");
    desk.handler.run_timers(closes).await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.run_timers(closes).await.unwrap();
    assert_eq!(desk.count("case-closed.v1").await, 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_time_has_ended_is_not_lifted_again_and_what_was_lifted_does_not_end() {
    let desk = Desk::open().await;
    reported(&desk).await;
    let until = START.0 + 60_000;
    decided(&desk, "d1", decide(Action::Suspend, Some(until), &[])).await;
    desk.clock.advance_ms(60_000);
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    desk.send("max", reverse(made("d1"))).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    assert_eq!(desk.count("restriction-lifted.v1").await, 0);

    // It is open again: the next decision is lifted before its end, which then has nothing to end.
    let until = until + 60_000;
    decided(&desk, "d2", decide(Action::Suspend, Some(until), &[])).await;
    desk.send("max", reverse(made("d2"))).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    desk.clock.advance_ms(60_000);
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    let desk = desk.reopen().await;
    desk.handler.run_timers(Timestamp(until)).await.unwrap();
    assert_eq!(desk.count("restriction-lifted.v1").await, 1);
    assert_eq!(desk.count("restriction-ended.v1").await, 1);
    desk.handler.stop().await;
}

/// A report that comes after a reversal records that nothing stands upheld.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reversed_decision_counts_as_upheld_no_more() {
    let desk = Desk::open().await;
    reported(&desk).await;
    decided(&desk, "d1", decide(Action::Warn, None, &[])).await;
    for text in ["more", "and more"] {
        desk.message("bob", "ann", text).await.unwrap();
    }
    desk.send("ann", report(2)).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    desk.send("max", reverse(made("d1"))).await.unwrap();
    let desk = desk.reopen().await;
    desk.send("ann", report(3)).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    let mut upheld = Vec::new();
    for record in desk.log().await {
        let event = domain::codec::decode(record.event_type(), record.data()).unwrap();
        if let Event::Case(case::Event::ReportJoined(joined)) = event {
            upheld.push(joined.upheld);
        }
    }
    assert_eq!(upheld, [0, 1, 0]);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_case_of_a_decision_is_known_and_of_no_other() {
    let desk = Desk::open().await;
    reported(&desk).await;
    decided(&desk, "d1", decide(Action::Warn, None, &[])).await;
    let known = desk.handler.case_of(made("d1")).await.unwrap();
    assert_eq!(known, Some(case()));
    let none = desk.handler.case_of(made("d2")).await.unwrap();
    assert_eq!(none, None);
    desk.handler.stop().await;
}

//! What a command that was so already comes to on a log that nodes share: an event keeps it (ADR 11), so that each node answers
//! it as the first one did, after whatever changes, after restarts, and on a log that is raised meanwhile.

use std::sync::Arc;

use commands::{Answer, Command, CommandError, Kind, Options, Outcome};
use domain::act::SeenCase;
use domain::case::{Action, Ruling};
use domain::ids::{ActId, CaseId, ConversationId, ReasonCode};
use domain::policy::{Audience, Rules};
use event_store::{EventStore as _, Position};
use kurrent::client::{Connection, raise_level};
use tests::cluster::Log;
use tests::commands::{code, envelope, id, member, message, with};
use tests::meanwhile::Before;

use crate::commands_nodes::{LONG, Side, Two, conversation, report};

fn unblock(other: &str) -> Command {
    Command::UnblockMember {
        other: member(other),
    }
}

fn block(other: &str) -> Command {
    Command::BlockMember {
        other: member(other),
    }
}

/// Both outcomes, of which the second is the first one again.
fn one_and_again(first: &Outcome, again: &Outcome) {
    assert_eq!((first.repeated, again.repeated), (false, true));
    let first = Outcome {
        repeated: true,
        ..first.clone()
    };
    assert_eq!(*again, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_so_already_at_one_node_has_no_effect_at_the_other_after_a_change() {
    let two = Two::open(&["ann", "bob"]).await;
    let first = two.one.ask("ann", "u", unblock("bob")).await.unwrap();
    assert_eq!(
        (first.kind, first.position),
        (Kind::Unchanged, Position::START)
    );
    two.one.ask("ann", "b", block("bob")).await.unwrap();
    let again = two.other.ask("ann", "u", unblock("bob")).await.unwrap();
    one_and_again(&first, &again);
    assert_eq!(two.one.count("member-unblocked.v1").await, 0);
    // The id is that command's, whichever node is asked.
    let reused = two.other.ask("ann", "u", block("bob")).await.unwrap_err();
    assert_eq!(reused, CommandError::CommandIdReused);
    two.stop().await;
}

/// In the middle of its decision at the one the same command is answered by the other, and what made it so ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_turns_from_being_so_while_two_decide_it_has_one_outcome() {
    for moment in [Before::Appending, Before::Reading] {
        let two = Two::open(&["ann", "bob"]).await;
        let stream = conversation("ann", "bob");
        let asked = vec![
            envelope("ann", "u", unblock("bob")),
            envelope("ann", "b", block("bob")),
        ];
        let meanwhile = two.other.asked_meanwhile(asked);
        two.one.store.happens(moment(stream), meanwhile);
        let here = two.one.ask("ann", "u", unblock("bob")).await.unwrap();
        assert!(two.one.store.has_happened());
        let there = two.other.ask("ann", "u", unblock("bob")).await.unwrap();
        assert_eq!((here.kind, there.kind), (Kind::Unchanged, Kind::Unchanged));
        assert_eq!(here.position, there.position);
        assert_eq!(two.one.count("member-unblocked.v1").await, 0);
        assert_eq!(two.one.count("command-unchanged.v1").await, 1);
        two.stop().await;
    }
}

/// Whatever it is answered with beside its position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_so_already_is_answered_alike_by_all_nodes() {
    let two = Two::open(&["ann", "bob"]).await;
    let sent = two.one.ask("bob", "hello", message("ann", "hi")).await;
    sent.expect("a request");
    let reported = two.one.ask("ann", "r", report("bob", vec![1])).await;
    let Ok(Answer::Reported { case, .. }) = reported.map(|outcome| outcome.answer) else {
        panic!("no report");
    };
    two.one.handler.drain_reactors().await.expect("a case");
    let claim = || Command::ClaimCase { case };
    two.one.ask("mod", "claim", claim()).await.expect("a claim");
    let asked = [
        ("ann", report("bob", vec![1])),
        (
            "ann",
            Command::ChangeDmSetting {
                audience: Audience::Everyone,
            },
        ),
        (
            "host",
            Command::ChangePolicy {
                rules: Arc::new(Rules::default()),
            },
        ),
        (
            "ann",
            Command::MarkRead {
                target: with("bob"),
                up_to: 0,
            },
        ),
        ("mod", claim()),
        (
            "mod",
            Command::LiftReportLimit {
                member: member("bob"),
            },
        ),
    ];
    for (number, (actor, command)) in asked.into_iter().enumerate() {
        let id = format!("again-{number}");
        let first = two.one.ask(actor, &id, command.clone()).await.unwrap();
        assert_eq!(first.kind, Kind::Unchanged, "{command:?}");
        let again = two.other.ask(actor, &id, command).await.unwrap();
        one_and_again(&first, &again);
    }
    two.stop().await;
}

/// Beyond so many of one caller a day nothing keeps it, at that node or at another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_member_so_many_that_were_so_already_are_kept_a_day() {
    let mut two = Two::open(&["ann", "bob"]).await;
    two.one.handler.stop().await;
    let few = |options: &mut Options| options.unchanged_kept_per_day_max = 1;
    two.one = Side::open_with(&two.node, few).await;
    for id in ["u1", "u2"] {
        let outcome = two.one.ask("ann", id, unblock("bob")).await.unwrap();
        assert_eq!(outcome.kind, Kind::Unchanged, "{id}");
    }
    assert_eq!(two.one.count("command-unchanged.v1").await, 1);
    // Another member has a count of their own, and an id that no client gave leaves nothing.
    two.one.ask("bob", "u1", unblock("ann")).await.unwrap();
    assert_eq!(two.one.count("command-unchanged.v1").await, 2);
    let mut made = envelope("bob", "made-here", unblock("ann"));
    made.id_given = false;
    two.other.handler.handle(made).await.unwrap();
    assert_eq!(two.other.count("command-unchanged.v1").await, 2);
    two.stop().await;
}

/// Programs of an older level could not read it: the node that answered keeps it for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_an_older_level_gets_no_event_of_what_was_so_already() {
    let log = Log::new();
    let node = log.serve(77);
    let side = Side::open_at(&node, 2, |_| {}).await;
    side.members(&["ann", "bob"]).await;
    side.ask("ann", "u", unblock("bob")).await.unwrap();
    side.ask("ann", "b", block("bob")).await.unwrap();
    let again = side.ask("ann", "u", unblock("bob")).await.unwrap();
    assert_eq!((again.kind, again.repeated), (Kind::Unchanged, true));
    assert_eq!(side.count("command-unchanged.v1").await, 0);
    side.handler.stop().await;
}

/// The ids come from the log then, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_so_already_is_known_to_nodes_that_start_later() {
    let two = Two::open(&["ann", "bob"]).await;
    let first = two.one.ask("ann", "u", unblock("bob")).await.unwrap();
    two.one.ask("ann", "b", block("bob")).await.unwrap();
    two.one.handler.stop().await;
    two.other.handler.stop().await;
    for _ in 0..2 {
        let new = Side::open(&two.node).await;
        let again = new.ask("ann", "u", unblock("bob")).await.unwrap();
        one_and_again(&first, &again);
        new.handler.stop().await;
    }
    assert_eq!(two.one.count("command-unchanged.v1").await, 1);
    assert_eq!(two.one.count("member-unblocked.v1").await, 0);
}

/// What is found in the event of another node is the first outcome again; nothing here keeps it once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_has_kept_counts_there_alone() {
    let mut two = Two::open(&["ann", "bob"]).await;
    two.other.handler.stop().await;
    two.other = Side::open_with(&two.node, |options| options.unchanged_kept_per_day_max = 1).await;
    let stream = conversation("ann", "bob");
    let meanwhile = vec![envelope("ann", "u1", unblock("bob"))];
    let meanwhile = two.one.asked_meanwhile(meanwhile);
    two.other.store.happens(Before::Reading(stream), meanwhile);
    let again = two.other.ask("ann", "u1", unblock("bob")).await.unwrap();
    assert!(two.other.store.has_happened() && again.repeated);
    // The one that may be kept here a day.
    two.other.ask("ann", "u2", unblock("bob")).await.unwrap();
    assert_eq!(two.other.count("command-unchanged.v1").await, 2);
    two.stop().await;
}

/// From then on it is an event there, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_the_log_is_raised_what_was_so_already_is_kept_for_all_nodes() {
    let log = Log::new();
    let node = log.serve(77);
    let older = Side::open_at(&node, 2, |_| {}).await;
    older.members(&["ann", "bob"]).await;
    older.handler.stop().await;
    let side = Side::open(&node).await;
    side.ask("ann", "u1", unblock("bob")).await.unwrap();
    assert_eq!(side.count("command-unchanged.v1").await, 0);
    let connection = Connection::parse(&node.at()).unwrap();
    raise_level(connection, domain::codec::LEVEL).await.unwrap();
    let noticed = tokio::time::timeout(LONG, async {
        while side.store.schema_level() < domain::codec::LEVEL {
            tokio::task::yield_now().await;
        }
    });
    noticed.await.expect("it is told");
    let first = side.ask("ann", "u2", unblock("bob")).await.unwrap();
    assert_eq!(side.count("command-unchanged.v1").await, 1);
    let other = Side::open(&node).await;
    other.ask("ann", "b", block("bob")).await.unwrap();
    let again = other.ask("ann", "u2", unblock("bob")).await.unwrap();
    one_and_again(&first, &again);
    side.handler.stop().await;
    other.handler.stop().await;
}

/// Rules that are in force already are kept as such, and stay in force at every node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_set_again_are_the_rules_of_every_node() {
    let two = Two::open(&["ann", "bob"]).await;
    let few = Rules {
        request_messages_max: 1,
        ..Rules::default()
    };
    let set = |id: &'static str| {
        let rules = Arc::new(few.clone());
        two.one.ask("host", id, Command::ChangePolicy { rules })
    };
    assert_eq!(set("p1").await.unwrap().kind, Kind::Done);
    assert_eq!(
        code(&two.other.ask("bob", "m1", message("ann", "1")).await),
        "ok"
    );
    for id in ["p2", "p3"] {
        assert_eq!(set(id).await.unwrap().kind, Kind::Unchanged);
        let second = two.other.ask("bob", id, message("ann", "2")).await;
        assert_eq!(code(&second), "limit_reached");
    }
    assert_eq!(two.one.count("command-unchanged.v1").await, 2);
    two.stop().await;
}

/// An act that is reversed stays so, by the same event: that is known without one that says it again, and what of an act's
/// stream is read for a decision is all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_reversed_again_is_so_at_every_node() {
    let two = Two::open(&["ann", "ben", "bob"]).await;
    let of = |reporter: &str| {
        let (bob, reporter) = (member("bob"), member(reporter));
        CaseId::of(ConversationId::of(&bob, &reporter), &bob)
    };
    for reporter in ["ann", "ben"] {
        let sent = two.one.ask("bob", reporter, message(reporter, "buy")).await;
        sent.expect("a request");
        let reported = two.one.ask(reporter, "r", report("bob", vec![1])).await;
        reported.expect("a report");
    }
    two.one.handler.drain_reactors().await.expect("two cases");
    let cases = ["ann", "ben"].map(|reporter| SeenCase {
        case: of(reporter),
        revision: 1,
    });
    let decide = Command::DecideCases {
        member: member("bob"),
        cases: cases.to_vec(),
        ruling: Ruling {
            action: Action::Suspend,
            until: None,
            messages: Vec::new(),
            reason: ReasonCode::new("spam").unwrap(),
            text: "You sent the same offer to many.".to_owned(),
            facts: "Message 1 of each.".to_owned(),
        },
    };
    two.one.ask("mia", "a1", decide).await.expect("an act");
    two.one.handler.drain_reactors().await.expect("decided");
    let reverse = || Command::ReverseCases {
        act: ActId::of(&member("mia"), &id("a1")),
        reason: ReasonCode::new("mistaken").unwrap(),
        text: "We were wrong.".to_owned(),
    };
    let first = two.one.ask("max", "r1", reverse()).await.expect("reversed");
    two.one.handler.drain_reactors().await.expect("reversed");
    let new = Side::open(&two.node).await;
    for (id, side) in [("r2", &two.one), ("r3", &two.other), ("r4", &new)] {
        let again = side.ask("max", id, reverse()).await.expect("so already");
        assert_eq!(
            (again.kind, again.position),
            (Kind::Unchanged, first.position),
            "{id}"
        );
    }
    for side in [&two.other, &new] {
        let again = side.ask("max", "r1", reverse()).await.expect("at first");
        one_and_again(&first, &again);
    }
    assert_eq!(two.one.count("cases-reversed.v1").await, 1);
    assert_eq!(two.one.count("act-carried-out.v1").await, 2);
    assert_eq!(two.one.count("command-unchanged.v1").await, 0);
    new.handler.stop().await;
    two.stop().await;
}

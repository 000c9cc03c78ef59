//! What a moderator did, and what was done on a case: acts on many cases are one line of their moderator's, whatever came of them.

use domain::act::{self, MovedOn, SeenCase, Step};
use domain::case::{self, Action, Category, DecideByAct, Ruling};
use domain::conversation::Also;
use domain::event::Event;
use domain::ids::{ActId, CaseId, CommandId, DecisionId};
use domain::time::Timestamp;
use projections::{ActProgress, Done, LogLine, PageRequest};
use tests::views::{World, conversation_of, id};

const REPORTERS: [&str; 3] = ["ann", "ben", "cat"];

fn case_about_bob(reporter: &str) -> CaseId {
    CaseId::of(conversation_of("bob", reporter), &id("bob"))
}

/// A world where each of the three reported bob.
fn world() -> World {
    let mut world = World::open(&["ann", "ben", "cat", "bob"]);
    for reporter in REPORTERS {
        let number = world.send("bob", reporter, "buy now").unwrap();
        let numbers = [number];
        world
            .report(reporter, "bob", &numbers, Category::Spam, "", Also::None)
            .unwrap();
        world.join("bob", reporter);
    }
    world
}

fn ruling() -> Ruling {
    Ruling {
        action: Action::Warn,
        until: None,
        messages: Vec::new(),
        reason: "spam".parse().unwrap(),
        text: "Do not.".to_owned(),
        facts: "Message 1.".to_owned(),
    }
}

/// Mia decides all three at once.
fn ask(world: &mut World, command: &str) -> ActId {
    let act = ActId::of(&id("mia"), &CommandId::new(command).unwrap());
    let command = act::Command::DecideCases(act::DecideCases {
        act,
        by: id("mia"),
        member: id("bob"),
        cases: REPORTERS
            .map(|reporter| SeenCase {
                case: case_about_bob(reporter),
                revision: 1,
            })
            .to_vec(),
        ruling: ruling(),
        at: Timestamp(world.now),
    });
    for event in act::decide(&act::State::default(), &command).unwrap() {
        world.append(&act::stream_of_act(act), &Event::Act(event));
    }
    act
}

/// The act decides one of them.
fn decide(world: &mut World, act: ActId, reporter: &str) {
    let command = case::Command::DecideByAct(DecideByAct {
        act,
        decision: DecisionId::by_act(act, case_about_bob(reporter)),
        by: id("mia"),
        member: id("bob"),
        revision: 1,
        ruling: ruling(),
        at: Timestamp(world.now),
    });
    world.actor = "reactor/cases";
    world.on_case("bob", reporter, &command).unwrap();
    world.actor = "actor";
}

/// All of its cases were gone through.
fn tell(world: &mut World, act: ActId, step: Step, done: u32, passed_over: &[&str]) {
    let passed_over = passed_over.iter().map(|reporter| act::PassedCase {
        case: case_about_bob(reporter),
        why: MovedOn::Claimed,
    });
    let told = act::Event::ActCarriedOut(act::ActCarriedOut {
        act,
        member: id("bob"),
        step,
        done,
        passed_over: passed_over.collect(),
    });
    world.append(&act::stream_of_act(act), &Event::Act(told));
}

async fn log(world: &World, by: &str) -> Vec<LogLine> {
    let page = PageRequest::first(50).unwrap();
    let reads = world.reads().await;
    reads.log_of_moderator(&id(by), &page).await.unwrap().items
}

fn progress(cases: u64, done: u64, passed_over: u64, finished: bool) -> ActProgress {
    ActProgress {
        cases,
        done,
        passed_over,
        finished,
    }
}

#[tokio::test]
async fn an_act_on_many_cases_is_one_line_that_tells_how_far_it_has_come() {
    let mut world = world();
    let act = ask(&mut world, "a1");
    let begun = log(&world, "mia").await;
    assert_eq!(begun.len(), 1);
    let [line] = &begun[..] else { unreachable!() };
    assert_eq!(line.item.what, Done::DecidedMany(Action::Warn));
    assert_eq!((line.item.act_id, line.item.case_id), (Some(act), None));
    assert_eq!(line.item.member, id("bob"));
    assert_eq!(line.progress, Some(progress(3, 0, 0, false)));
    decide(&mut world, act, "ann");
    decide(&mut world, act, "cat");
    let further = log(&world, "mia").await;
    assert_eq!(further.len(), 1, "its single decisions are folded into it");
    assert_eq!(further[0].progress, Some(progress(3, 2, 0, false)));
    tell(&mut world, act, Step::Decision, 2, &["ben"]);
    assert_eq!(
        log(&world, "mia").await[0].progress,
        Some(progress(3, 2, 1, true))
    );
    // On its case each is told, and what it was part of.
    let reads = world.reads().await;
    let page = PageRequest::first(50).unwrap();
    let on_case = reads.log_on_case(case_about_bob("ann"), &page).await;
    let latest = &on_case.unwrap().items[0];
    assert_eq!(latest.what, Done::Decided(Action::Warn));
    assert_eq!((latest.act_id, &latest.by), (Some(act), &id("mia")));
    world.check();
}

#[tokio::test]
async fn an_act_that_decided_nothing_is_a_line_as_well() {
    let mut world = world();
    let act = ask(&mut world, "a1");
    tell(&mut world, act, Step::Decision, 0, &REPORTERS);
    let lines = log(&world, "mia").await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].progress, Some(progress(3, 0, 3, true)));
    world.check();
}

#[tokio::test]
async fn taking_an_act_back_is_one_line_of_who_did_it() {
    let mut world = world();
    let act = ask(&mut world, "a1");
    for reporter in ["ann", "cat"] {
        decide(&mut world, act, reporter);
    }
    tell(&mut world, act, Step::Decision, 2, &["ben"]);
    let reversed = act::Event::CasesReversed(act::CasesReversed {
        act,
        by: id("max"),
        member: id("bob"),
        reason: "mistake".parse().unwrap(),
        text: "We were wrong.".to_owned().into(),
    });
    world.append(&act::stream_of_act(act), &Event::Act(reversed));
    let lines = log(&world, "max").await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].item.what, Done::ReversedMany);
    assert_eq!(lines[0].progress, Some(progress(2, 0, 0, false)));
    tell(&mut world, act, Step::Reversal, 2, &[]);
    assert_eq!(
        log(&world, "max").await[0].progress,
        Some(progress(2, 2, 0, true))
    );
    assert_eq!(
        log(&world, "mia").await[0].progress,
        Some(progress(3, 2, 1, true))
    );
    world.check();
}

#[tokio::test]
async fn what_a_person_takes_back_of_an_act_by_itself_is_a_line_of_theirs_and_no_step_of_the_act() {
    let mut world = world();
    let act = ask(&mut world, "a1");
    for reporter in ["ann", "cat"] {
        decide(&mut world, act, reporter);
    }
    tell(&mut world, act, Step::Decision, 2, &["ben"]);
    let reverse = case::Command::ReverseDecision {
        by: id("max"),
        decision: DecisionId::by_act(act, case_about_bob("ann")),
        reason: "mistake".parse().unwrap(),
        text: "We were wrong.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", "ann", &reverse).unwrap();
    let lines = log(&world, "max").await;
    assert_eq!(lines[0].item.what, Done::Reversed);
    assert_eq!(lines[0].item.case_id, Some(case_about_bob("ann")));
    let of_act = &log(&world, "mia").await[0];
    assert_eq!(of_act.progress, Some(progress(3, 2, 1, true)));
    world.check();
}

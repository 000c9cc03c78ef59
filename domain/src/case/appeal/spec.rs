//! An appeal is made once and in time, decided by another, and a reversal takes back what its decision changed.

use super::*;
use crate::case::command::Ruling;
use crate::case::given::{Given, id, report};
use crate::case::{APPEAL_DAYS, Command, DECISIONS_KEPT_MAX};
use crate::conversation::{MessageFacts, NamedMessage, Reported};
use crate::ids::{CommandId, ReportId};
use crate::time::DAY_MS;

const WINDOW: i64 = APPEAL_DAYS * DAY_MS;

fn decision(name: &str) -> DecisionId {
    DecisionId::by_hand(
        &id("any"),
        &id("any"),
        &CommandId::new(name).unwrap(),
        crate::time::Timestamp(0),
    )
}

fn claim(by: &str) -> Command {
    Command::ClaimCase {
        by: id(by),
        at: Timestamp(0),
    }
}

fn decide(name: &str, by: &str, action: Action, messages: &[u64]) -> Command {
    let until = (action == Action::Limit).then_some(Timestamp(10));
    let named = messages.iter().map(|number| NamedMessage {
        number: *number,
        facts: Some(MessageFacts {
            from: id("bob"),
            sent_at: Timestamp(0),
            text: "buy".to_owned(),
            withheld: false,
            unsent: None,
            reported: Some(Reported {
                report_id: ReportId(uuid::Uuid::nil()),
                version: 4,
            }),
        }),
    });
    Command::DecideCase {
        by: id(by),
        decision: decision(name),
        ruling: Ruling {
            action,
            until,
            messages: messages.to_vec(),
            reason: ReasonCode::new("spam").unwrap(),
            text: "You sent the same offer to many.".to_owned(),
            facts: "Seven members reported it.".to_owned(),
        },
        named: named.collect(),
        at: Timestamp(0),
    }
}

fn appeal(name: &str, by: &str, at: i64) -> Command {
    Command::AppealDecision {
        by: id(by),
        decision: decision(name),
        text: "It was a joke.".to_owned(),
        at: Timestamp(at),
    }
}

fn answer(name: Option<&str>, by: &str, outcome: AppealOutcome, at: i64) -> Command {
    Command::DecideAppeal {
        by: id(by),
        decision: name.map(decision),
        outcome,
        text: "We looked again.".to_owned(),
        at: Timestamp(at),
    }
}

fn reverse(name: &str, by: &str) -> Command {
    Command::ReverseDecision {
        by: id(by),
        decision: decision(name),
        reason: ReasonCode::new("mistake").unwrap(),
        text: "We were wrong.".to_owned(),
        at: Timestamp(WINDOW),
    }
}

fn close(at: i64) -> Command {
    Command::CloseCase { at: Timestamp(at) }
}

/// Reported, claimed and decided.
fn decided(action: Action) -> Given {
    Given::default()
        .with(&report(4))
        .with(&claim("mia"))
        .with(&decide("d1", "mia", action, &[]))
}

fn again(given: Given, version: u64, by: &str, made: &Command) -> Given {
    given.with(&report(version)).with(&claim(by)).with(made)
}

/// What a command's events are, by kind.
fn kinds(given: &Given, command: &Command) -> Vec<&'static str> {
    let events = crate::case::decide(&given.state, command).unwrap();
    let kind = |event: &Event<'_>| {
        crate::codec::event_type(&crate::Event::Case(event.clone().into_owned()))
    };
    events.iter().map(kind).collect()
}

/// What a reversal shows again, and whether the case is open by it.
fn taken_back(given: &Given, command: &Command) -> (Vec<u64>, bool) {
    let events = crate::case::decide(&given.state, command).unwrap();
    let mut reversed = None;
    for event in events {
        if let Event::DecisionReversed(event) = event {
            reversed = Some((event.messages, event.reopened));
        }
    }
    reversed.unwrap()
}

#[test]
fn is_made_once_and_in_time_by_the_member_concerned() {
    let given = decided(Action::Suspend);
    for other in ["ann", "mia", "eve"] {
        given.refuses(&appeal("d1", other, 1), Code::NotFound);
    }
    given.refuses(&appeal("d2", "bob", 1), Code::NotFound);
    given.refuses(&appeal("d1", "bob", WINDOW), Code::AppealWindowOver);
    let given = given.with(&appeal("d1", "bob", WINDOW - 1));
    given.refuses(&appeal("d1", "bob", WINDOW - 1), Code::AlreadyAppealed);
    let given = given.with(&answer(None, "max", AppealOutcome::Upheld, WINDOW));
    given.refuses(&appeal("d1", "bob", WINDOW), Code::AlreadyAppealed);
    Given::default().refuses(&appeal("d1", "bob", 1), Code::NotFound);
}

#[test]
fn says_something_within_its_limits() {
    let given = decided(Action::Warn);
    for said in ["", " ", "a\0b", &"x".repeat(2_001)] {
        let mut command = appeal("d1", "bob", 1);
        if let Command::AppealDecision { text, .. } = &mut command {
            said.clone_into(text);
        }
        given.refuses(&command, Code::InvalidAppeal);
        let given = given.clone().with(&appeal("d1", "bob", 1));
        let mut command = answer(None, "max", AppealOutcome::Upheld, 1);
        if let Command::DecideAppeal { text, .. } = &mut command {
            said.clone_into(text);
        }
        given.refuses(&command, Code::InvalidDecision);
        let mut command = reverse("d1", "max");
        if let Command::ReverseDecision { text, .. } = &mut command {
            said.clone_into(text);
        }
        given.refuses(&command, Code::InvalidDecision);
    }
}

/// Who was reported in vain does not learn of it here.
#[test]
fn cannot_be_made_of_what_did_nothing_and_that_can_be_reversed() {
    let given = decided(Action::Nothing);
    given.refuses(&appeal("d1", "bob", 1), Code::NotFound);
    let mut silent = reverse("d1", "max");
    if let Command::ReverseDecision { text, .. } = &mut silent {
        text.clear();
    }
    assert_eq!(taken_back(&given, &silent), (vec![], true));
    given.with(&silent).with(&claim("max"));
}

#[test]
fn is_decided_once_by_another_than_who_decided_and_none_of_the_two_members() {
    let given = decided(Action::Suspend);
    let upheld = |by: &str| answer(None, by, AppealOutcome::Upheld, 2);
    given.refuses(&upheld("max"), Code::NotAppealed);
    let given = given.with(&appeal("d1", "bob", 1));
    given.refuses(&upheld("mia"), Code::SameModerator);
    for (own, code) in [("ann", Code::OwnCase), ("bob", Code::NotFound)] {
        given.refuses(&upheld(own), code);
        given.refuses(&reverse("d1", own), code);
    }
    given.refuses(
        &answer(Some("d2"), "max", AppealOutcome::Upheld, 2),
        Code::NotFound,
    );
    let given = given.with(&upheld("max"));
    given.refuses(&upheld("max"), Code::NotAppealed);
    given.refuses(
        &answer(Some("d1"), "eve", AppealOutcome::Reversed, 2),
        Code::NotAppealed,
    );
}

#[test]
fn of_a_decision_made_after_a_reversal_is_not_decided_by_who_made_it() {
    let given = decided(Action::Suspend).with(&reverse("d1", "max"));
    let given = given
        .with(&claim("max"))
        .with(&decide("d2", "max", Action::Warn, &[]))
        .with(&appeal("d2", "bob", 1));
    given.refuses(
        &answer(None, "max", AppealOutcome::Upheld, 2),
        Code::SameModerator,
    );
    given.with(&answer(None, "mia", AppealOutcome::Upheld, 2));
}

#[test]
fn closes_the_case_once_it_is_decided_and_not_before() {
    let given = decided(Action::Suspend).with(&appeal("d1", "bob", 1));
    given.quiet(&close(WINDOW), None);
    let upheld = answer(None, "max", AppealOutcome::Upheld, 2);
    let kinds_of = kinds(&given, &upheld);
    assert_eq!(kinds_of, ["appeal-decided.v1", "case-closed.v1"]);
    let granted = answer(None, "max", AppealOutcome::Reversed, 2);
    let kinds_of = kinds(&given, &granted);
    assert_eq!(
        kinds_of,
        [
            "appeal-decided.v1",
            "case-closed.v1",
            "decision-reversed.v1"
        ]
    );
    let given = given.with(&granted);
    given.quiet(&close(WINDOW), None);
    given.refuses(&claim("max"), Code::AlreadyDecided);
    given.quiet(&reverse("d1", "eve"), Some(7));
}

#[test]
fn of_an_earlier_decision_leaves_the_case_as_it_is() {
    let given = decided(Action::Suspend).with(&appeal("d1", "bob", 1));
    let open = given.clone().with(&report(9));
    let granted = answer(None, "max", AppealOutcome::Reversed, 2);
    assert_eq!(
        kinds(&open, &granted),
        ["appeal-decided.v1", "decision-reversed.v1"]
    );
    assert_eq!(taken_back(&open, &granted), (vec![], false));
    open.with(&granted).with(&claim("mia"));

    // The newer decision's time runs on, and over while the older one's appeal waits.
    let given = again(given, 9, "mia", &decide("d2", "mia", Action::Warn, &[]));
    assert_eq!(
        kinds(&given, &granted),
        ["appeal-decided.v1", "decision-reversed.v1"]
    );
    given.quiet(&close(WINDOW), None);
    let late = answer(None, "max", AppealOutcome::Reversed, WINDOW);
    assert!(kinds(&given, &late).contains(&"case-closed.v1"));
    given.with(&granted).with(&close(WINDOW));
}

#[test]
fn of_several_that_wait_the_oldest_is_decided_first_and_the_last_one_closes() {
    let given = decided(Action::Suspend).with(&appeal("d1", "bob", 1));
    let given = again(given, 9, "max", &decide("d2", "max", Action::Warn, &[]));
    let given = given.with(&appeal("d2", "bob", 2));
    let upheld = |name, by| answer(name, by, AppealOutcome::Upheld, 3);
    given.refuses(&upheld(Some("d1"), "mia"), Code::SameModerator);
    // The oldest that is theirs to answer: the first one is their own decision.
    let second = upheld(None, "mia");
    assert_eq!(kinds(&given, &second), ["appeal-decided.v1"]);
    let given = given.with(&second);
    // What is left of the standing one is its time; the older one's answer does not cut it short.
    given.with(&upheld(None, "max")).with(&close(WINDOW));
}

#[test]
fn a_reversal_opens_the_case_again_answers_the_appeal_and_is_made_once() {
    let given = decided(Action::Limit).with(&appeal("d1", "bob", 1));
    // While an appeal waits it is another moderator's to answer.
    given.refuses(&reverse("d1", "mia"), Code::SameModerator);
    let given = given.with(&reverse("d1", "max"));
    given.quiet(&reverse("d1", "mia"), Some(5));
    given.refuses(
        &answer(None, "max", AppealOutcome::Upheld, 2),
        Code::NotAppealed,
    );
    given.refuses(&appeal("d1", "bob", 2), Code::AlreadyAppealed);
    given.quiet(&close(WINDOW), None);
    let given = given
        .with(&claim("max"))
        .with(&decide("d2", "max", Action::Warn, &[]));
    given.with(&close(WINDOW));
    let given = decided(Action::Limit).with(&reverse("d1", "mia"));
    given.refuses(&appeal("d1", "bob", 1), Code::AlreadyReversed);
    given.refuses(&reverse("d9", "mia"), Code::NotFound);
}

#[test]
fn a_reversal_of_an_earlier_decision_does_not_open_the_case() {
    let given = decided(Action::Warn);
    let given = again(given, 9, "max", &decide("d2", "max", Action::Warn, &[]));
    assert_eq!(taken_back(&given, &reverse("d1", "max")), (vec![], false));
    // Its time is over too, and the timer may have found an appeal that waited.
    let late = kinds(&given, &reverse("d1", "max"));
    assert_eq!(late, ["case-closed.v1", "decision-reversed.v1"]);
    let given = given.with(&reverse("d1", "max"));
    given.refuses(&claim("max"), Code::AlreadyDecided);
    assert!(taken_back(&given, &reverse("d2", "max")).1);
}

#[test]
fn a_reversal_shows_what_no_other_decision_that_stands_removes() {
    let given = Given::default()
        .with(&report(4))
        .with(&claim("mia"))
        .with(&decide("d1", "mia", Action::RemoveMessages, &[1, 2, 3]));
    let removes = decide("d2", "mia", Action::RemoveMessages, &[2, 4]);
    let given = again(given, 9, "mia", &removes);
    assert_eq!(taken_back(&given, &reverse("d1", "max")).0, [1, 3]);
    let given = given.with(&reverse("d1", "max"));
    assert_eq!(taken_back(&given, &reverse("d2", "max")).0, [2, 4]);
}

#[test]
fn knows_as_many_decisions_as_its_bound() {
    let mut given = decided(Action::Warn);
    for number in 0..DECISIONS_KEPT_MAX {
        let made = decide(&format!("n{number}"), "mia", Action::Warn, &[]);
        given = again(given, 10 + number as u64, "mia", &made);
    }
    assert_eq!(given.state.made.len(), DECISIONS_KEPT_MAX);
    given.refuses(&reverse("d1", "max"), Code::NotFound);
    given.with(&reverse("n0", "max"));
}

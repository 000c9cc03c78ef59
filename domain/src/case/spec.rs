//! The specs of reports and looks: what joins a case, what it is ranked by, who is shown it.

use super::given::{Given, conversation, id, report};
use super::*;
use crate::event::Recorded;
use crate::ids::ReasonCode;
use crate::rejection::Code;
use crate::time::Timestamp;

fn disclose() -> Command {
    Command::DiscloseCase {
        by: id("mod"),
        purpose: ReasonCode::new("review").unwrap(),
        shown: ShownMessages {
            reported: vec![2],
            around: vec![1, 3],
        },
    }
}

#[test]
fn is_neither_shown_to_who_is_in_it_nor_noted_on_by_them() {
    let given = Given::default().with(&report(4));
    for (member, code) in [("bob", Code::NotFound), ("ann", Code::OwnCase)] {
        let mut look = disclose();
        if let Command::DiscloseCase { by, .. } = &mut look {
            *by = id(member);
        }
        given.refuses(&look, code);
        let note = Command::NoteOnCase {
            by: id(member),
            text: "I did not.".to_owned(),
            at: Timestamp(0),
        };
        given.refuses(&note, code);
    }
}

/// The state after these commands, all of them carried out.
fn given(commands: &[Command]) -> State {
    let mut given = Given::default();
    for command in commands {
        given = given.with(command);
    }
    given.state
}

#[test]
fn opens_a_case_with_its_first_report() {
    let events = decide(&State::default(), &report(4)).unwrap();
    assert!(matches!(events.as_slice(), [
        Event::CaseOpened(opened),
        Event::ReportJoined(joined),
    ] if opened.case == CaseId::of(conversation(), &id("bob")) && joined.conversation_version == 4));
}

#[test]
fn joins_a_later_report() {
    let state = given(&[report(4)]);
    let events = decide(&state, &report(7)).unwrap();
    assert!(matches!(events.as_slice(), [Event::ReportJoined(_)]));
    assert_eq!(state.reports(), 1);
}

/// A report of its own: category, beyond the reporter's limit, reporters then.
fn told(version: u64, category: Category, over_limit: bool, reporters: u32) -> Command {
    let Command::JoinReport(report) = report(version) else {
        unreachable!()
    };
    Command::JoinReport(JoinReport {
        category,
        over_limit,
        reporters,
        ..report
    })
}

fn priority(commands: &[Command]) -> (u8, u32, bool) {
    let inputs = given(commands).priority().expect("a report joined");
    (inputs.severity, inputs.reporters, inputs.over_limit)
}

#[test]
fn works_its_priority_out_at_each_report_from_what_it_records() {
    let spam = told(1, Category::Spam, false, 1);
    assert_eq!(given(&[]).priority(), None);
    assert_eq!(priority(std::slice::from_ref(&spam)), (1, 1, false));
    let hate = told(2, Category::Hate, false, 4);
    assert_eq!(priority(&[spam.clone(), hate.clone()]), (3, 4, false));
    let again = told(3, Category::Spam, false, 2);
    assert_eq!(priority(&[spam, hate, again]), (3, 2, false));
}

#[test]
fn leaves_its_priority_as_it_is_when_its_content_is_disclosed() {
    let reported = [told(1, Category::Hate, false, 3)];
    let disclosed = [reported[0].clone(), disclose(), disclose()];
    assert_eq!(priority(&disclosed), priority(&reported));
}

#[test]
fn is_no_graver_by_reports_beyond_the_daily_limit() {
    let over = told(1, Category::MinorSafety, true, 0);
    let within = told(2, Category::Spam, false, 1);
    let over_again = told(3, Category::Violence, true, 1);
    assert_eq!(priority(std::slice::from_ref(&over)), (5, 0, true));
    assert_eq!(priority(&[over.clone(), within.clone()]), (1, 1, false));
    assert_eq!(priority(&[over, within, over_again]), (1, 1, false));
}

#[test]
fn stays_quiet_at_a_report_brought_again() {
    let state = given(&[report(4), report(7)]);
    for version in [4, 7] {
        assert_eq!(decide(&state, &report(version)), Ok(Vec::new()));
        assert_eq!(already(&state, &report(version)), Some(2));
    }
}

#[test]
fn discloses_an_open_case_each_time_anew() {
    let state = given(&[report(4), disclose()]);
    let events = decide(&state, &disclose()).unwrap();
    assert!(
        matches!(events.as_slice(), [Event::ContentDisclosed(disclosed)] if disclosed.reported == id("bob"))
    );
}

/// Who saw a member's messages, and which, is found by the member, whoever reported whom.
#[test]
fn names_both_members_in_everything_and_what_was_shown_of_them() {
    let mut state = State::default();
    let (bob, ann) = (id("bob"), id("ann"));
    let two = [Some(&bob), Some(&ann)];
    for command in [report(4), report(7), disclose()] {
        for event in decide(&state, &command).unwrap() {
            assert_eq!(event.members(), two, "{event:?}");
            if let Event::ContentDisclosed(disclosed) = &event {
                let shown = disclosed.shown.clone().unwrap();
                assert_eq!((shown.reported, shown.around), (vec![2], vec![1, 3]));
                assert_eq!(disclosed.conversation, Some(conversation()));
                assert_eq!(disclosed.by, id("mod"));
            }
            let at = Timestamp(9);
            evolve(&mut state, Recorded { version: 0, at }, &event);
        }
    }
}

#[test]
fn knows_no_case_without_a_report() {
    assert_eq!(
        decide(&State::default(), &disclose()),
        Err(Rejection::not_found())
    );
}

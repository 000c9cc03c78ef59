//! Messages that a decision on a case removes: once, on the direction of who wrote them, and nothing else moves.

use super::*;
use crate::ids::{CommandId, DecisionId};

fn remove(from: &str, to: &str, case_version: u64, numbers: &[u64]) -> Command {
    let moderator = MemberId::new("mia").unwrap();
    Command::RemoveMessages(RemoveMessages {
        decision: DecisionId::by_hand(
            &moderator,
            &moderator,
            &CommandId::new("d1").unwrap(),
            crate::time::Timestamp(0),
        ),
        case_version,
        by: moderator,
        from: MemberId::new(from).unwrap(),
        to: MemberId::new(to).unwrap(),
        numbers: numbers.to_vec(),
    })
}

/// The state after a command, and how many events it gave.
fn after(mut state: State, version: u64, command: &Command) -> (State, usize) {
    let events = decide(&state, command).unwrap();
    let at = Timestamp(0);
    for event in &events {
        evolve(&mut state, Recorded { version, at }, event);
    }
    (state, events.len())
}

#[test]
fn removes_once_for_each_decision_of_a_case_in_their_order() {
    let state = open_door().and(BOB, Act::Send("buy")).state;
    let (state, first) = after(state, 10, &remove(BOB, ANN, 7, &[1]));
    assert_eq!(first, 1);
    for earlier in [7, 3] {
        let again = remove(BOB, ANN, earlier, &[1]);
        assert_eq!(after(state.clone(), 11, &again).1, 0);
        assert_eq!(already(&state, &again), Some(10));
    }
    let (state, later) = after(state, 11, &remove(BOB, ANN, 9, &[1]));
    assert_eq!(later, 1);
    // What the other wrote belongs to another case, with versions of its own.
    assert_eq!(after(state, 12, &remove(ANN, BOB, 2, &[2])).1, 1);
}

fn restore(case_version: u64, numbers: &[u64]) -> Command {
    let moderator = MemberId::new("max").unwrap();
    Command::RestoreMessages(RestoreMessages {
        decision: DecisionId::by_hand(
            &moderator,
            &moderator,
            &CommandId::new("d1").unwrap(),
            crate::time::Timestamp(0),
        ),
        case_version,
        by: moderator,
        from: MemberId::new(BOB).unwrap(),
        to: MemberId::new(ANN).unwrap(),
        numbers: numbers.to_vec(),
    })
}

#[test]
fn shows_again_once_for_each_reversal_and_is_not_removed_by_what_comes_again() {
    let state = open_door().and(BOB, Act::Send("buy")).state;
    let (state, _) = after(state, 10, &remove(BOB, ANN, 7, &[1]));
    let (state, shown) = after(state, 11, &restore(9, &[1]));
    assert_eq!(shown, 1);
    for again in [restore(9, &[1]), remove(BOB, ANN, 7, &[1])] {
        assert_eq!(after(state.clone(), 12, &again).1, 0);
        assert_eq!(already(&state, &again), Some(11));
    }
    assert_eq!(after(state.clone(), 12, &restore(10, &[])).1, 0);
    assert_eq!(after(state, 12, &remove(BOB, ANN, 11, &[1])).1, 1);
}

#[test]
fn changes_nothing_of_a_request_and_what_may_be_done_with_it() {
    let story = open_door().and(BOB, Act::Send("buy"));
    let mut removed = story.clone();
    removed.state = after(story.state.clone(), 10, &remove(BOB, ANN, 7, &[1])).0;
    removed.next_version = 11;
    removed
        .clone()
        .when(ANN, Act::Accept)
        .then("bob accepted (Accept)");
    removed
        .clone()
        .when(BOB, Act::Unsend(1))
        .then("unsent 1; withdrawn");
    let report = Act::Report(&[1], Also::None);
    removed.when(ANN, report).then("reported [1]");
}

#[test]
fn a_snapshot_remembers_what_was_removed() {
    let state = open_door().and(BOB, Act::Send("buy")).state;
    let (state, _) = after(state, 10, &remove(BOB, ANN, 7, &[1]));
    assert_eq!(State::from_snapshot(&state.to_snapshot()), Some(state));
}

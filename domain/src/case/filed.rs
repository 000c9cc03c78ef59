//! The file on a suspension by hand: it is there so that the member can appeal, and another moderator answers.

use crate::case::event::{Event, SuspensionFiled};
use crate::case::state::State;

/// Opens the file; nothing where that was done.
pub(super) fn file(state: &State, filed: &SuspensionFiled) -> Vec<Event<'static>> {
    if state.exists() {
        return Vec::new();
    }
    vec![Event::SuspensionFiled(filed.clone())]
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::case::given::{Given, id};
    use crate::case::{Action, AppealOutcome, Command, decide};
    use crate::ids::{CaseId, CommandId, DecisionId, MemberId, ReasonCode};
    use crate::rejection::Code;
    use crate::time::Timestamp;

    fn decision() -> DecisionId {
        let command = CommandId::new("s1").unwrap();
        DecisionId::by_hand(&id("bob"), &id("mia"), &command, crate::time::Timestamp(0))
    }

    fn filed() -> Command {
        Command::FileSuspension(SuspensionFiled {
            case: CaseId::of_suspension(decision()),
            decision: decision(),
            by: id("mia"),
            reported: id("bob"),
            member_version: 3,
            appealable_until: Timestamp(100),
        })
    }

    fn appeal(by: &str, at: i64) -> Command {
        Command::AppealDecision {
            by: id(by),
            decision: decision(),
            text: "It was a joke.".to_owned(),
            at: Timestamp(at),
        }
    }

    fn answer(by: &str, outcome: AppealOutcome) -> Command {
        Command::DecideAppeal {
            by: id(by),
            decision: None,
            outcome,
            text: "It was not.".to_owned(),
            at: Timestamp(20),
        }
    }

    fn reverse(by: &str) -> Command {
        Command::ReverseDecision {
            by: id(by),
            decision: decision(),
            reason: ReasonCode::new("mistake").unwrap(),
            text: "We were wrong.".to_owned(),
            at: Timestamp(20),
        }
    }

    /// The types of the events that a command gives; a reversal must be of a suspension, and leave nothing open.
    fn events(given: &Given, command: &Command) -> Vec<&'static str> {
        let events = decide(&given.state, command).unwrap();
        for event in &events {
            if let Event::DecisionReversed(reversed) = event {
                assert_eq!(
                    (reversed.action, reversed.reopened),
                    (Action::Suspend, false)
                );
                assert_eq!(reversed.reporter, reversed.reported, "there is no reporter");
            }
        }
        let of = |event: Event<'static>| crate::codec::event_type(&crate::Event::Case(event));
        events.into_iter().map(of).collect()
    }

    #[test]
    fn is_opened_once_and_concerns_the_member_alone() {
        let given = Given::default().with(&filed());
        given.quiet(&filed(), Some(0));
        let appealed = decide(&given.state, &appeal("bob", 0)).unwrap();
        let members: Vec<[Option<MemberId>; 2]> = appealed
            .iter()
            .map(|event| event.members().map(Option::<&MemberId>::cloned))
            .collect();
        assert_eq!(members, [[Some(id("bob")), None]]);
    }

    #[test]
    fn is_appealed_once_in_time_by_the_member_and_answered_by_another_moderator() {
        let given = Given::default().with(&filed());
        given.refuses(&appeal("ann", 0), Code::NotFound);
        given.refuses(&appeal("bob", 100), Code::AppealWindowOver);
        let given = given.with(&appeal("bob", 99));
        given.refuses(&appeal("bob", 99), Code::AlreadyAppealed);
        given.refuses(&answer("mia", AppealOutcome::Upheld), Code::SameModerator);
        given.refuses(&reverse("mia"), Code::SameModerator);
        given.refuses(&answer("bob", AppealOutcome::Reversed), Code::NotFound);
        assert_eq!(
            events(&given, &answer("max", AppealOutcome::Upheld)),
            ["appeal-decided.v1", "case-closed.v1"]
        );
        assert_eq!(
            events(&given, &answer("max", AppealOutcome::Reversed)),
            [
                "appeal-decided.v1",
                "case-closed.v1",
                "decision-reversed.v1"
            ]
        );
    }

    #[test]
    fn is_reversed_and_then_closed_and_never_open() {
        let given = Given::default().with(&filed());
        given.refuses(&reverse("bob"), Code::NotFound);
        assert_eq!(
            events(&given, &reverse("mia")),
            ["case-closed.v1", "decision-reversed.v1"]
        );
        let claim = Command::ClaimCase {
            by: id("max"),
            at: Timestamp(0),
        };
        let reopen = Command::ReopenCase {
            by: id("max"),
            reason: ReasonCode::new("asked").unwrap(),
            text: String::new(),
        };
        for given in [given.clone(), given.with(&reverse("mia"))] {
            given.refuses(&claim, Code::AlreadyDecided);
            given.refuses(&reopen, Code::AlreadyDecided);
        }
    }

    #[test]
    fn closes_when_nobody_can_appeal_any_more() {
        let given = Given::default().with(&filed());
        let close = |at| Command::CloseCase { at: Timestamp(at) };
        given.quiet(&close(99), None);
        assert_eq!(events(&given, &close(100)), ["case-closed.v1"]);
        let appealed = given.with(&appeal("bob", 99));
        appealed.quiet(&close(100), None);
    }
}

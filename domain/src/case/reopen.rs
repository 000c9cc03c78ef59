//! Opening a decided case again, because somebody asks: any moderator may, but for its own two members.
//!
//! Nothing is taken back by it; a reversal is what does that. Whoever then claims the case decides it once more.

use crate::case::NOTE_LIMITS;
use crate::case::claim::members_for;
use crate::case::event::{CaseReopened, Event};
use crate::case::state::State;
use crate::ids::{MemberId, ReasonCode};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};

/// Opens the case again. What is not decided is open already.
pub(super) fn reopen(
    state: &State,
    by: &MemberId,
    reason: &ReasonCode,
    text: &str,
) -> Result<Vec<Event<'static>>, Rejection> {
    let (reported, reporter) = members_for(state, by)?;
    text::check(text, NOTE_LIMITS).map_err(|problem| {
        Rejection::of_command(Code::InvalidNote)
            .with_field("text")
            .with_problem(problem)
    })?;
    if state.by_hand {
        return Err(Rejection::of_state(Code::AlreadyDecided));
    }
    if state.decided.is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CaseReopened(CaseReopened {
        by: by.clone(),
        reported,
        reporter,
        reason: reason.clone(),
        text: Text::from(text.to_owned()),
    })])
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::case::given::{Given, id, report};
    use crate::case::{Action, Command, Ruling};
    use crate::ids::{CommandId, DecisionId};
    use crate::time::Timestamp;

    fn reopening(by: &str, text: &str) -> Command {
        Command::ReopenCase {
            by: id(by),
            reason: ReasonCode::new("asked").unwrap(),
            text: text.to_owned(),
        }
    }

    fn claim(by: &str) -> Command {
        Command::ClaimCase {
            by: id(by),
            at: Timestamp(0),
        }
    }

    fn decision(by: &str, name: &str, action: Action) -> Command {
        let by = id(by);
        let said = || match action {
            Action::Nothing => String::new(),
            Action::Warn | Action::RemoveMessages | Action::Limit | Action::Suspend => {
                "x".to_owned()
            }
        };
        Command::DecideCase {
            decision: DecisionId::by_hand(
                &by,
                &by,
                &CommandId::new(name).unwrap(),
                crate::time::Timestamp(0),
            ),
            by,
            ruling: Ruling {
                action,
                until: None,
                messages: Vec::new(),
                reason: ReasonCode::new("harmless").unwrap(),
                text: said(),
                facts: said(),
            },
            named: Vec::new(),
            at: Timestamp(0),
        }
    }

    fn decided(action: Action) -> Given {
        Given::default()
            .with(&report(4))
            .with(&claim("mia"))
            .with(&decision("mia", "d1", action))
    }

    #[test]
    fn opens_a_decided_case_for_whoever_claims_it() {
        for action in [Action::Nothing, Action::Warn] {
            let given = decided(action).with(&reopening("max", "the member asks"));
            let revision = given.state.revision();
            given.quiet(&reopening("mia", ""), Some(4));
            let again = given.with(&claim("mia"));
            assert_eq!(again.state.revision(), revision);
            again.with(&decision("mia", "d2", Action::Warn));
        }
    }

    #[test]
    fn has_nothing_to_do_on_what_is_open() {
        Given::default()
            .with(&report(4))
            .quiet(&reopening("max", ""), None);
        decided(Action::Nothing)
            .with(&report(9))
            .quiet(&reopening("max", ""), None);
    }

    #[test]
    fn refuses_its_own_two_members_what_says_too_much_and_what_is_no_case() {
        let given = decided(Action::Nothing);
        for (party, code) in [("ann", Code::OwnCase), ("bob", Code::NotFound)] {
            given.refuses(&reopening(party, ""), code);
        }
        given.refuses(&reopening("max", &"x".repeat(2_001)), Code::InvalidNote);
        given.refuses(&reopening("max", "a\0b"), Code::InvalidNote);
        Given::default().refuses(&reopening("max", ""), Code::NotFound);
    }
}

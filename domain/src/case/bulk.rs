//! What an act on many cases does to one of them: it decides it as it was seen, or passes it over and says why.
//!
//! An act needs no claim, because it does not look into the case again; a claim of another keeps it off, its moderator's own
//! ends with it. What makes a case another one than was seen is a report, that it was left to another, and a decision;
//! who claims, reads or notes changes nothing that is decided.

use crate::act::MovedOn;
use crate::case::claim::lapse;
use crate::case::command::DecideByAct;
use crate::case::decision::decided;
use crate::case::event::{CaseDecided, Event};
use crate::case::state::{Change, State};
use crate::rejection::Rejection;

/// Decides the case; nothing where the act did so before.
pub(super) fn decide(
    state: &State,
    command: &DecideByAct,
) -> Result<Vec<Event<'static>>, Rejection> {
    let DecideByAct {
        act,
        decision,
        by,
        member,
        revision,
        ruling,
        at,
    } = command;
    let pass = |why| Err(Rejection::passes_over(why));
    let Some((reported, reporter)) = state.members().filter(|(reported, _)| reported == member)
    else {
        return pass(MovedOn::NotFound);
    };
    if state.act == Some(*act) {
        return Ok(Vec::new());
    }
    // As other acts on it are answered.
    if *by == reported {
        return pass(MovedOn::NotFound);
    }
    if *by == reporter {
        return pass(MovedOn::OwnCase);
    }
    if state.decided.is_some() {
        return pass(MovedOn::Decided);
    }
    if state.claimed(*at).is_some_and(|(holder, _)| holder != by) {
        return pass(MovedOn::Claimed);
    }
    if state.escalated_by.as_ref() == Some(by) && state.claimed(*at).is_none() {
        return pass(MovedOn::Escalated);
    }
    if state.revision != *revision {
        return pass(match state.changed_by {
            Some(Change::Reported) | None => MovedOn::Reported,
            Some(Change::Escalated) => MovedOn::Escalated,
            Some(Change::Decided) => MovedOn::Reopened,
        });
    }
    let mut events = lapse(state, *at);
    events.push(Event::CaseDecided(CaseDecided {
        act: Some(*act),
        ..decided(*decision, by, (reported, reporter), ruling, *at)
    }));
    Ok(events)
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::case::given::{Given, id, report};
    use crate::case::{Action, CLAIM_MS, Command, Ruling};
    use crate::ids::{ActId, CommandId, DecisionId, MemberId, ReasonCode};
    use crate::rejection::Code;
    use crate::time::Timestamp;

    fn act(name: &str) -> ActId {
        ActId::of(&id("mia"), &CommandId::new(name).unwrap())
    }

    fn ruling() -> Ruling {
        Ruling {
            action: Action::Warn,
            until: None,
            messages: Vec::new(),
            reason: ReasonCode::new("spam").unwrap(),
            text: "You sent the same offer to many.".to_owned(),
            facts: "Seven members reported it.".to_owned(),
        }
    }

    fn by_act(by: &str, name: &str, revision: u64) -> DecideByAct {
        let act = act(name);
        DecideByAct {
            act,
            decision: DecisionId::of_act(act),
            by: id(by),
            member: id("bob"),
            revision,
            ruling: ruling(),
            at: Timestamp(0),
        }
    }

    fn decides(revision: u64) -> Command {
        Command::DecideByAct(by_act("mia", "a1", revision))
    }

    #[track_caller]
    fn passes(given: &Given, command: DecideByAct, why: MovedOn) {
        let refused = crate::case::decide(&given.state, &Command::DecideByAct(command));
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.code(), refused.moved_on()),
            (Code::MovedOn, Some(why))
        );
        assert!(!refused.recorded());
    }

    fn reported() -> Given {
        Given::default().with(&report(4))
    }

    fn claim(by: &str, at: i64) -> Command {
        let (by, at) = (id(by), Timestamp(at));
        Command::ClaimCase { by, at }
    }

    #[test]
    fn decides_an_open_case_as_it_was_seen_once() {
        let given = reported().with(&decides(1));
        given.quiet(&decides(1), Some(2));
        given.refuses(&claim("max", 0), Code::AlreadyDecided);
        // Brought again after something else came: it was decided by this act, and is not again.
        given.with(&report(9)).quiet(&decides(1), None);
    }

    #[test]
    fn says_which_act_it_belongs_to_and_can_be_appealed() {
        let events = crate::case::decide(&reported().state, &decides(1)).unwrap();
        let [Event::CaseDecided(decided)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(decided.act, Some(act("a1")));
        assert!(decided.appealable_until.is_some());
    }

    #[test]
    fn passes_over_what_was_reported_since() {
        passes(
            &reported().with(&report(9)),
            by_act("mia", "a1", 1),
            MovedOn::Reported,
        );
    }

    #[test]
    fn passes_over_what_was_decided_and_what_was_opened_again_since() {
        let given = reported().with(&decides(1));
        passes(&given, by_act("mia", "a2", 1), MovedOn::Decided);
        passes(
            &given.with(&report(9)),
            by_act("mia", "a2", 1),
            MovedOn::Reported,
        );
    }

    #[test]
    fn passes_over_what_another_holds_and_decides_what_its_moderator_does() {
        let given = reported().with(&claim("max", 0));
        passes(&given, by_act("mia", "a1", 1), MovedOn::Claimed);
        let late = DecideByAct {
            at: Timestamp(CLAIM_MS),
            ..by_act("mia", "a1", 1)
        };
        let late = Command::DecideByAct(late);
        let events = crate::case::decide(&given.state, &late).unwrap();
        assert!(
            matches!(&events[..], [Event::ClaimLapsed(lapsed), Event::CaseDecided(_)] if lapsed.by == id("max")),
            "{events:?}"
        );
        let given = reported().with(&claim("mia", 0)).with(&decides(1));
        assert_eq!(given.state.claimed(Timestamp(0)), None);
    }

    #[test]
    fn passes_over_what_was_left_to_another() {
        let left = Command::EscalateCase {
            by: id("mia"),
            text: String::new(),
            at: Timestamp(0),
        };
        let given = reported().with(&claim("mia", 0)).with(&left);
        passes(&given, by_act("mia", "a1", 2), MovedOn::Escalated);
        passes(&given, by_act("max", "a2", 1), MovedOn::Escalated);
        given.with(&Command::DecideByAct(by_act("max", "a2", 2)));
    }

    #[test]
    fn passes_over_a_case_of_its_own_moderator_and_of_another_member() {
        for (party, why) in [("ann", MovedOn::OwnCase), ("bob", MovedOn::NotFound)] {
            passes(&reported(), by_act(party, "a1", 1), why);
        }
        let other = DecideByAct {
            member: MemberId::new("eve").unwrap(),
            ..by_act("mia", "a1", 1)
        };
        passes(&reported(), other, MovedOn::NotFound);
        passes(&Given::default(), by_act("mia", "a1", 0), MovedOn::NotFound);
    }

    #[test]
    fn is_as_it_was_seen_whoever_reads_notes_or_claims_it() {
        let note = Command::NoteOnCase {
            by: id("max"),
            text: "seen".to_owned(),
            at: Timestamp(0),
        };
        let release = Command::ReleaseCase {
            by: id("max"),
            at: Timestamp(0),
        };
        let given = reported().with(&claim("max", 0)).with(&note).with(&release);
        assert_eq!(given.state.revision(), 1);
        given.with(&decides(1));
    }
}

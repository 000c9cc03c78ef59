//! Suspending a member by hand, and how that ends: by time, by hand, or with the reversal of the decision.
//!
//! A suspension by hand is a decision of its own: it gives the rule, the facts relied on, and the time within which it can be
//! appealed. A file is opened for it (`crate::case`), on which the appeal is made and answered. Another one takes the place
//! of one in force, which ends by that: the reversal of the new one does not bring it back.

use crate::case::APPEAL_DAYS;
use crate::ids::{DecisionId, MemberId};
use crate::member::command::Command;
use crate::member::event::{
    Event, MemberReinstated, MemberSuspended, Restriction, SuspensionEnded, SuspensionLifted,
};
use crate::member::state::{State, Suspension};
use crate::member::{STATEMENT_LIMITS, not_own};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};
use crate::time::{DAY_MS, Timestamp};

type Decision = Result<Vec<Event<'static>>, Rejection>;

/// Suspends a member; nothing where they are suspended just so.
pub(super) fn suspend(state: &State, command: &Command) -> Decision {
    let Command::SuspendMember {
        member,
        decision,
        by,
        until,
        reason,
        text,
        facts,
        at,
    } = command
    else {
        return Ok(Vec::new());
    };
    if state.registration.is_none() {
        return Err(Rejection::not_found());
    }
    if until.is_some_and(|until| until <= *at) {
        return Err(Rejection::of_command(Code::InvalidSuspension).with_field("until"));
    }
    for (field, said) in [("text", text), ("facts", facts)] {
        text::check_nonempty(said, STATEMENT_LIMITS).map_err(|problem| {
            Rejection::of_command(Code::InvalidSuspension)
                .with_field(field)
                .with_problem(problem)
        })?;
    }
    let same = |suspension: &Suspension| {
        suspension.until == *until
            && suspension.reason == *reason
            && suspension.text.as_str() == text
            && suspension.facts.as_str() == facts
    };
    if state.suspension.as_ref().is_some_and(same) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::MemberSuspended(MemberSuspended {
        member: member.clone(),
        decision: Some(*decision),
        by: by.clone(),
        until: *until,
        reason: reason.clone(),
        text: Text::from(text.clone()),
        facts: Text::from(facts.clone()),
        appealable_until: Some(at.plus_ms(APPEAL_DAYS * DAY_MS)),
    })])
}

/// Lifts a suspension whose decision was reversed; nothing where that is over already, by time, by hand, or by another.
pub(super) fn lift(
    state: &State,
    member: &MemberId,
    decision: DecisionId,
    by: &MemberId,
    at: Timestamp,
) -> Vec<Event<'static>> {
    let made = state.suspension.as_ref().and_then(|it| it.decision);
    if made != Some(decision) || !state.suspended_by_hand(at) {
        return Vec::new();
    }
    vec![Event::SuspensionLifted(SuspensionLifted {
        member: member.clone(),
        decision,
        by: by.clone(),
        suspended: state.restricted(Restriction::Suspension, at),
    })]
}

/// Ends all suspensions of a member, by hand and by decisions.
pub(super) fn reinstate(
    state: &State,
    member: &MemberId,
    by: &MemberId,
    at: Timestamp,
) -> Decision {
    if state.registration.is_none() {
        return Err(Rejection::not_found());
    }
    not_own(member, by)?;
    if !state.suspended(at) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::MemberReinstated(MemberReinstated {
        member: member.clone(),
        by: by.clone(),
    })])
}

/// Ends a suspension by hand whose end has come.
pub(super) fn end(state: &State, member: &MemberId, at: Timestamp) -> Vec<Event<'static>> {
    if state.restricted(Restriction::Suspension, at) {
        // They stay suspended: the end of what holds on says so for both.
        return Vec::new();
    }
    match state.suspension_due() {
        Some(until) if until <= at => vec![Event::SuspensionEnded(SuspensionEnded {
            member: member.clone(),
            until,
        })],
        Some(_) | None => Vec::new(),
    }
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::event::Recorded;
    use crate::ids::{CommandId, ReasonCode};
    use crate::member::{AgeBand, MemberRegistered, RestrictMember, decide, evolve};

    fn id(name: &str) -> MemberId {
        MemberId::new(name).unwrap()
    }

    fn decision(name: &str) -> DecisionId {
        DecisionId::by_hand(&id("bob"), &id("mia"), &CommandId::new(name).unwrap())
    }

    fn suspend(name: &str, until: Option<i64>, text: &str, facts: &str) -> Command {
        Command::SuspendMember {
            member: id("bob"),
            decision: decision(name),
            by: id("mia"),
            until: until.map(Timestamp),
            reason: ReasonCode::new("spam").unwrap(),
            text: text.to_owned(),
            facts: facts.to_owned(),
            at: Timestamp(0),
        }
    }

    fn lift(name: &str, at: i64) -> Command {
        Command::LiftSuspension {
            member: id("bob"),
            decision: decision(name),
            by: id("max"),
            at: Timestamp(at),
        }
    }

    fn restrict(name: &str) -> Command {
        Command::RestrictMember(RestrictMember {
            member: id("bob"),
            decision: decision(name),
            by: id("mia"),
            restriction: Restriction::Suspension,
            until: None,
            reason: ReasonCode::new("spam").unwrap(),
            text: String::new(),
        })
    }

    #[derive(Clone)]
    struct Given(State, u64);

    impl Given {
        fn registered() -> Self {
            let registered = Event::MemberRegistered(MemberRegistered {
                member: id("bob"),
                age_band: AgeBand::Adult,
                registered_at: Timestamp(0),
            });
            Given(State::default(), 0).event(&registered)
        }

        fn event(mut self, event: &Event<'_>) -> Self {
            let recorded = Recorded {
                version: self.1,
                at: Timestamp(0),
            };
            evolve(&mut self.0, recorded, event);
            self.1 += 1;
            self
        }

        fn with(self, command: &Command) -> Self {
            let events = decide(&self.0, command).unwrap();
            assert!(!events.is_empty(), "{command:?} is so already");
            events.iter().fold(self, |given, event| given.event(event))
        }

        fn lifted(&self, command: &Command) -> Option<SuspensionLifted> {
            match decide(&self.0, command).unwrap().pop() {
                Some(Event::SuspensionLifted(lifted)) => Some(lifted),
                Some(other) => panic!("{other:?}"),
                None => None,
            }
        }
    }

    #[test]
    fn tells_the_member_why_and_on_what_facts_and_can_be_appealed_for_180_days() {
        for (text, facts, field) in [("", "f", "text"), (" ", "f", "text"), ("t", "", "facts")] {
            let refused = decide(&Given::registered().0, &suspend("s1", None, text, facts));
            let refused = refused.unwrap_err();
            let found = (refused.code(), refused.field());
            assert_eq!(found, (Code::InvalidSuspension, Some(field)));
        }
        let made = decide(&Given::registered().0, &suspend("s1", None, "t", "f")).unwrap();
        let [Event::MemberSuspended(suspended)] = made.as_slice() else {
            panic!("{made:?}");
        };
        assert_eq!(suspended.decision, Some(decision("s1")));
        assert_eq!(suspended.appealable_until, Some(Timestamp(180 * DAY_MS)));
    }

    #[test]
    fn is_lifted_by_the_reversal_of_its_own_decision_while_it_is_in_force() {
        let given = Given::registered().with(&suspend("s1", Some(10), "t", "f"));
        assert_eq!(given.lifted(&lift("other", 5)), None);
        assert_eq!(given.lifted(&lift("s1", 10)), None, "time has ended it");
        let lifted = given.lifted(&lift("s1", 5)).unwrap();
        assert!(!lifted.suspended);
        let given = given.with(&lift("s1", 5));
        assert!(!given.0.suspended(Timestamp(5)));
        assert_eq!(given.lifted(&lift("s1", 5)), None);
        assert_eq!(crate::member::already(&given.0, &lift("s1", 5)), Some(2));
    }

    #[test]
    fn another_takes_its_place_for_good() {
        let given = Given::registered()
            .with(&suspend("s1", None, "t", "f"))
            .with(&suspend("s2", Some(10), "t", "f"));
        assert_eq!(given.lifted(&lift("s1", 5)), None);
        let given = given.with(&lift("s2", 5));
        assert!(!given.0.suspended(Timestamp(5)));
    }

    #[test]
    fn its_reversal_leaves_what_decisions_on_cases_suspend() {
        let given = Given::registered()
            .with(&restrict("d1"))
            .with(&suspend("s1", None, "t", "f"));
        assert!(given.lifted(&lift("s1", 5)).unwrap().suspended);
        assert!(given.with(&lift("s1", 5)).0.suspended(Timestamp(5)));
    }
}

//! Suspending a member by hand, and ending suspensions by hand.
//!
//! A suspension by hand is a decision of its own: it gives the rule, the facts relied on, and the time within which it can be
//! appealed. A file is opened for it (`crate::case`), on which the appeal is made and answered. It stands beside what other
//! decisions restrict (`restriction.rs`), so that its reversal takes back what it did and nothing else.

use uuid::Uuid;

use crate::case::APPEAL_DAYS;
use crate::ids::{DecisionId, MemberId, ReasonCode};
use crate::member::command::SuspendMember;
use crate::member::event::{
    Event, MemberReinstated, MemberSuspended, Restriction, SuspensionEnded,
};
use crate::member::state::State;
use crate::member::{STATEMENT_LIMITS, not_own};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};
use crate::time::{DAY_MS, Timestamp};

type Decision = Result<Vec<Event<'static>>, Rejection>;

/// Suspends a member; nothing where they are suspended just so.
pub(super) fn suspend(state: &State, command: &SuspendMember) -> Decision {
    if state.registration.is_none() {
        return Err(Rejection::not_found());
    }
    if command.until.is_some_and(|until| until <= command.at) {
        return Err(Rejection::of_command(Code::InvalidSuspension).with_field("until"));
    }
    for (field, said) in [("text", &command.text), ("facts", &command.facts)] {
        text::check_nonempty(said, STATEMENT_LIMITS).map_err(|problem| {
            Rejection::of_command(Code::InvalidSuspension)
                .with_field(field)
                .with_problem(problem)
        })?;
    }
    not_own(&command.member, &command.by)?;
    if so_already(state, command).is_some() {
        return Ok(Vec::new());
    }
    let SuspendMember {
        member,
        command_id,
        by,
        until,
        reason,
        text,
        facts,
        at,
    } = command.clone();
    Ok(vec![Event::MemberSuspended(MemberSuspended {
        decision: Some(DecisionId::by_hand(&member, &by, &command_id, at)),
        member,
        by,
        until,
        reason,
        text: Text::from(text),
        facts: Text::from(facts),
        appealable_until: Some(at.plus_ms(APPEAL_DAYS * DAY_MS)),
    })])
}

/// The version of the event that suspends a member by hand just so, with the same end, reason and words; none where none in
/// force does.
pub(super) fn so_already(state: &State, command: &SuspendMember) -> Option<u64> {
    let said = Some(said(&command.reason, &command.text, &command.facts));
    let mut standing = state.restrictions.iter();
    let same = standing.find(|it| {
        it.said == said
            && it.until == command.until
            && it.holds(Restriction::Suspension, command.at)
    });
    same.map(|it| it.version)
}

impl MemberSuspended<'_> {
    /// What stands for its reason and words.
    pub(super) fn said(&self) -> Uuid {
        said(&self.reason, self.text.as_str(), self.facts.as_str())
    }
}

fn said(reason: &ReasonCode, text: &str, facts: &str) -> Uuid {
    crate::ids::words(&[reason.as_str(), text, facts])
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

/// Ends a suspension by hand of before these were decisions, once its end has come.
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
    use crate::ids::CommandId;
    use crate::member::{AgeBand, Command, MemberRegistered, decide, evolve};

    fn id(name: &str) -> MemberId {
        MemberId::new(name).unwrap()
    }

    fn decision(name: &str) -> DecisionId {
        let command = CommandId::new(name).unwrap();
        DecisionId::by_hand(&id("bob"), &id("mia"), &command, Timestamp(0))
    }

    fn suspend(name: &str, until: Option<i64>, text: &str, facts: &str) -> Command {
        Command::SuspendMember(SuspendMember {
            member: id("bob"),
            command_id: CommandId::new(name).unwrap(),
            by: id("mia"),
            until: until.map(Timestamp),
            reason: ReasonCode::new("spam").unwrap(),
            text: text.to_owned(),
            facts: facts.to_owned(),
            at: Timestamp(0),
        })
    }

    fn lift(name: &str, at: i64) -> Command {
        Command::LiftRestriction {
            member: id("bob"),
            decision: decision(name),
            by: id("max"),
            at: Timestamp(at),
        }
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

        /// Has nothing to do for a command.
        #[track_caller]
        fn quiet(&self, command: &Command) {
            assert_eq!(decide(&self.0, command), Ok(Vec::new()), "{command:?}");
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
    fn nobody_suspends_themself() {
        let mut own = suspend("s1", None, "t", "f");
        if let Command::SuspendMember(SuspendMember { by, .. }) = &mut own {
            *by = id("bob");
        }
        let refused = decide(&Given::registered().0, &own).unwrap_err();
        assert_eq!(refused.code(), Code::OwnCase);
    }

    #[test]
    fn the_same_again_is_so_already_while_it_is_in_force() {
        let given = Given::registered().with(&suspend("s1", Some(10), "t", "f"));
        let again = suspend("s2", Some(10), "t", "f");
        given.quiet(&again);
        assert_eq!(crate::member::already(&given.0, &again), Some(1));
        for other in [
            suspend("s2", Some(10), "t2", "f"),
            suspend("s2", Some(10), "t", "f2"),
            suspend("s2", Some(11), "t", "f"),
        ] {
            assert_eq!(decide(&given.0, &other).unwrap().len(), 1, "{other:?}");
        }
    }

    #[test]
    fn is_lifted_by_the_reversal_of_its_own_decision_while_it_is_in_force() {
        let given = Given::registered().with(&suspend("s1", Some(10), "t", "f"));
        given.quiet(&lift("other", 5));
        given.quiet(&lift("s1", 10));
        let given = given.with(&lift("s1", 5));
        assert!(!given.0.suspended(Timestamp(5)));
        given.quiet(&lift("s1", 5));
    }

    #[test]
    fn stands_beside_another_and_what_is_reversed_leaves_the_other() {
        let given = Given::registered()
            .with(&suspend("s1", None, "t", "f"))
            .with(&suspend("s2", Some(10), "t", "f"));
        let first = given.clone().with(&lift("s1", 5));
        assert!(first.0.suspended(Timestamp(5)) && !first.0.suspended(Timestamp(10)));
        let second = given.with(&lift("s2", 5));
        assert!(second.0.suspended(Timestamp(10)));
    }

    #[test]
    fn ends_by_itself_and_with_all_others_by_hand() {
        let given = Given::registered()
            .with(&suspend("s1", Some(10), "t", "f"))
            .with(&suspend("s2", None, "t", "f"));
        let end = Command::EndRestriction {
            member: id("bob"),
            decision: decision("s1"),
            at: Timestamp(10),
        };
        let given = given.with(&end);
        assert!(given.0.suspended(Timestamp(10)));
        let reinstated = Command::ReinstateMember {
            member: id("bob"),
            by: id("max"),
            at: Timestamp(11),
        };
        assert!(!given.with(&reinstated).0.suspended(Timestamp(11)));
    }
}

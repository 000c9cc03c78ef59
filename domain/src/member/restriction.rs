//! What decisions on cases restrict: carried out once, each under its decision, ended when it is due, and lifted where its
//! decision is reversed before.

use crate::ids::{DecisionId, MemberId};
use crate::member::command::RestrictMember;
use crate::member::event::{
    Event, MemberRestricted, Restriction, RestrictionEnded, RestrictionLifted,
};
use crate::member::state::{Restricted, State};
use crate::text::Text;
use crate::time::Timestamp;

/// Carries a decision out; nothing where that was done before, whatever has become of it since.
pub(super) fn restrict(state: &State, command: &RestrictMember) -> Vec<Event<'static>> {
    if state.carried_out(command.decision).is_some() {
        return Vec::new();
    }
    let RestrictMember {
        member,
        decision,
        by,
        restriction,
        until,
        reason,
        text,
    } = command.clone();
    vec![Event::MemberRestricted(MemberRestricted {
        member,
        decision,
        by,
        restriction,
        until,
        reason,
        text: Text::from(text),
    })]
}

/// Ends what a decision restricts once its end has come.
pub(super) fn end(
    state: &State,
    member: &MemberId,
    decision: DecisionId,
    at: Timestamp,
) -> Vec<Event<'static>> {
    let mut restrictions = state.restrictions.iter();
    let restricted = restrictions.find(|restricted| restricted.decision == decision);
    let Some((restriction, until)) =
        restricted.and_then(|restricted| Some((restricted.restriction, restricted.until?)))
    else {
        return Vec::new();
    };
    if at < until {
        return Vec::new();
    }
    vec![Event::RestrictionEnded(RestrictionEnded {
        member: member.clone(),
        decision,
        restriction,
        until,
        // This one is over by now, whatever is left.
        suspended: state.suspended(at),
    })]
}

/// Lifts what a reversed decision restricts; nothing where that is over already, by time or by hand.
pub(super) fn lift(
    state: &State,
    member: &MemberId,
    decision: DecisionId,
    by: &MemberId,
    at: Timestamp,
) -> Vec<Event<'static>> {
    let of_decision = |it: &&Restricted| it.decision == decision;
    let Some(restricted) = state.restrictions.iter().find(of_decision) else {
        return Vec::new();
    };
    // The timer tells of this end.
    if restricted.until.is_some_and(|until| until <= at) {
        return Vec::new();
    }
    let others = state.restrictions.iter().filter(|it| !of_decision(it));
    let suspended = state.suspended_by_hand(at)
        || others
            .clone()
            .any(|other| other.holds(Restriction::Suspension, at));
    vec![Event::RestrictionLifted(RestrictionLifted {
        member: member.clone(),
        decision,
        by: by.clone(),
        restriction: restricted.restriction,
        suspended,
    })]
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::event::Recorded;
    use crate::ids::{CommandId, ReasonCode};
    use crate::member::state::{DECISIONS_REMEMBERED_MAX, RESTRICTIONS_MAX};
    use crate::member::{
        AgeBand, Command, MemberRegistered, MemberReinstated, MemberSuspended, Restriction, decide,
        evolve,
    };
    use crate::policy::Rules;
    use crate::rejection::Code;

    fn bob() -> MemberId {
        MemberId::new("bob").unwrap()
    }

    fn decision(name: &str) -> DecisionId {
        DecisionId::by_hand(
            &bob(),
            &bob(),
            &CommandId::new(name).unwrap(),
            crate::time::Timestamp(0),
        )
    }

    #[derive(Clone, Default)]
    struct Given {
        state: State,
        version: u64,
        last: Option<Event<'static>>,
    }

    impl Given {
        fn registered() -> Self {
            Given::default().event(&Event::MemberRegistered(MemberRegistered {
                member: bob(),
                age_band: AgeBand::Adult,
                registered_at: Timestamp(0),
            }))
        }

        fn event(mut self, event: &Event<'_>) -> Self {
            let recorded = Recorded {
                version: self.version,
                at: Timestamp(0),
            };
            evolve(&mut self.state, recorded, event);
            self.version += 1;
            self.last = Some(event.clone().into_owned());
            self
        }

        /// What the restriction that ended last says of those left.
        fn left_suspended(&self) -> bool {
            matches!(&self.last, Some(Event::RestrictionEnded(ended)) if ended.suspended)
        }

        /// How many events a command gives, with them taken in.
        fn done(self, command: &Command) -> (Self, usize) {
            let events = decide(&self.state, command).unwrap();
            let given = events.iter().fold(self, |given, event| given.event(event));
            (given, events.len())
        }

        fn restricted(self, name: &str, restriction: Restriction, until: Option<i64>) -> Self {
            let (given, events) = self.done(&carry(name, restriction, until));
            assert_eq!(events, 1);
            given
        }

        /// Suspended, limited at a time.
        fn is(&self, at: i64) -> (bool, bool) {
            let facts = self
                .state
                .facts(&Rules::default(), 0, Timestamp(at))
                .unwrap();
            (facts.suspended, facts.limited)
        }
    }

    fn carry(name: &str, restriction: Restriction, until: Option<i64>) -> Command {
        Command::RestrictMember(RestrictMember {
            member: bob(),
            decision: decision(name),
            by: MemberId::new("mia").unwrap(),
            restriction,
            until: until.map(Timestamp),
            reason: ReasonCode::new("spam").unwrap(),
            text: name.to_owned(),
        })
    }

    fn end_at(name: &str, at: i64) -> Command {
        Command::EndRestriction {
            member: bob(),
            decision: decision(name),
            at: Timestamp(at),
        }
    }

    #[test]
    fn suspends_or_limits_until_its_end() {
        let given = Given::registered().restricted("d1", Restriction::Suspension, Some(10));
        assert_eq!((given.is(9), given.is(10)), ((true, false), (false, false)));
        let given = Given::registered().restricted("d1", Restriction::Limit, Some(10));
        assert_eq!((given.is(9), given.is(10)), ((false, true), (false, false)));
        let given = Given::registered().restricted("d1", Restriction::Suspension, None);
        assert_eq!(given.is(i64::MAX - 1), (true, false));
    }

    #[test]
    fn is_carried_out_once_whatever_came_of_it() {
        let carried = carry("d1", Restriction::Suspension, Some(10));
        let given = Given::registered().restricted("d1", Restriction::Suspension, Some(10));
        assert_eq!(given.clone().done(&carried).1, 0);
        let (given, events) = given.done(&end_at("d1", 10));
        assert_eq!(events, 1);
        assert_eq!(given.clone().done(&carried).1, 0);
        assert_eq!(crate::member::already(&given.state, &carried), Some(2));
        assert_eq!(given.done(&end_at("d1", 11)).1, 0, "it has ended already");
    }

    #[test]
    fn ends_each_by_itself_and_none_before_its_time() {
        let given = Given::registered()
            .restricted("d1", Restriction::Suspension, Some(10))
            .restricted("d2", Restriction::Suspension, Some(20))
            .restricted("d3", Restriction::Limit, Some(30));
        let (given, early) = given.done(&end_at("d1", 9));
        assert_eq!(early, 0);
        let (given, due) = given.done(&end_at("d1", 10));
        assert_eq!((due, given.is(10)), (1, (true, true)));
        assert!(given.left_suspended());
        let (given, due) = given.done(&end_at("d2", 20));
        assert_eq!((due, given.is(20)), (1, (false, true)));
        assert!(!given.left_suspended());
        assert_eq!(given.clone().done(&end_at("d4", 99)).1, 0);
        let for_good = Given::registered().restricted("d1", Restriction::Suspension, None);
        assert_eq!(for_good.done(&end_at("d1", i64::MAX)).1, 0);
    }

    fn lift_at(name: &str, at: i64) -> Command {
        Command::LiftRestriction {
            member: bob(),
            decision: decision(name),
            by: MemberId::new("max").unwrap(),
            at: Timestamp(at),
        }
    }

    /// What the restriction that was lifted last says of those left.
    fn lifted_and_suspended(given: &Given) -> bool {
        matches!(&given.last, Some(Event::RestrictionLifted(lifted)) if lifted.suspended)
    }

    #[test]
    fn is_lifted_by_the_reversal_of_its_decision_and_no_other_is() {
        let given = Given::registered()
            .restricted("d1", Restriction::Suspension, Some(10))
            .restricted("d2", Restriction::Suspension, None)
            .restricted("d3", Restriction::Limit, None);
        let (given, events) = given.done(&lift_at("d1", 5));
        assert_eq!((events, given.is(5)), (1, (true, true)));
        assert!(lifted_and_suspended(&given));
        let (given, events) = given.done(&lift_at("d2", 5));
        assert_eq!((events, given.is(5)), (1, (false, true)));
        assert!(!lifted_and_suspended(&given));
        let (given, events) = given.done(&lift_at("d3", 5));
        assert_eq!((events, given.is(5)), (1, (false, false)));
        for name in ["d1", "d2", "d3", "d4"] {
            assert_eq!(given.clone().done(&lift_at(name, 6)).1, 0, "{name}");
            assert_eq!(given.clone().done(&end_at(name, 10)).1, 0, "{name}");
        }
        assert_eq!(
            crate::member::already(&given.state, &lift_at("d1", 6)),
            Some(4)
        );
        let again = carry("d1", Restriction::Suspension, Some(10));
        assert_eq!(given.done(&again).1, 0, "a reactor brings it again");
    }

    #[test]
    fn is_not_lifted_where_it_is_over() {
        let given = Given::registered().restricted("d1", Restriction::Suspension, Some(10));
        assert_eq!(given.clone().done(&lift_at("d1", 10)).1, 0);
        let (ended, _) = given.clone().done(&end_at("d1", 10));
        assert_eq!(ended.done(&lift_at("d1", 11)).1, 0);
        let reinstated = Event::MemberReinstated(MemberReinstated {
            member: bob(),
            by: bob(),
        });
        assert_eq!(given.event(&reinstated).done(&lift_at("d1", 5)).1, 0);
    }

    #[test]
    fn leaves_a_suspension_by_hand_where_it_is_lifted() {
        let by_hand = |until| {
            Event::MemberSuspended(MemberSuspended {
                member: bob(),
                decision: None,
                by: bob(),
                until: Some(Timestamp(until)),
                reason: ReasonCode::new("scam").unwrap(),
                text: "by hand".into(),
                facts: "".into(),
                appealable_until: None,
            })
        };
        let both = Given::registered().restricted("d1", Restriction::Suspension, None);
        let (given, _) = both.clone().event(&by_hand(20)).done(&lift_at("d1", 5));
        assert!(lifted_and_suspended(&given));
        assert_eq!((given.is(5), given.is(20)), ((true, false), (false, false)));
        let (given, _) = both.event(&by_hand(4)).done(&lift_at("d1", 5));
        assert!(!lifted_and_suspended(&given));
        let over = Command::EndSuspension {
            member: bob(),
            at: Timestamp(5),
        };
        assert_eq!(given.done(&over).1, 0, "the one by hand had ended before");
    }

    #[test]
    fn nobody_lifts_what_holds_for_themself() {
        let given = Given::registered().restricted("d1", Restriction::Suspension, None);
        let reinstate = |by: &str| Command::ReinstateMember {
            member: bob(),
            by: MemberId::new(by).unwrap(),
            at: Timestamp(0),
        };
        let refused = decide(&given.state, &reinstate("bob")).unwrap_err();
        assert_eq!(refused.code(), Code::OwnCase);
        let lift = Command::LiftReportLimit {
            member: bob(),
            by: bob(),
            at: Timestamp(0),
        };
        let refused = decide(&given.state, &lift).unwrap_err();
        assert_eq!(refused.code(), Code::OwnCase);
        assert_eq!(given.done(&reinstate("max")).1, 1);
    }

    #[test]
    fn a_limits_end_leaves_the_end_of_a_suspension_by_hand_to_its_timer() {
        let by_hand = Event::MemberSuspended(MemberSuspended {
            member: bob(),
            decision: None,
            by: bob(),
            until: Some(Timestamp(20)),
            reason: ReasonCode::new("scam").unwrap(),
            text: "by hand".into(),
            facts: "".into(),
            appealable_until: None,
        });
        let given = Given::registered()
            .restricted("d1", Restriction::Limit, Some(40))
            .restricted("d2", Restriction::Limit, Some(20))
            .event(&by_hand);
        let lift = Command::LiftRestriction {
            member: bob(),
            decision: decision("d1"),
            by: MemberId::new("max").unwrap(),
            at: Timestamp(20),
        };
        let (given, lifted) = given.done(&lift);
        let (given, ended) = given.done(&end_at("d2", 20));
        let over = Command::EndSuspension {
            member: bob(),
            at: Timestamp(20),
        };
        assert_eq!((lifted, ended, given.done(&over).1), (1, 1, 1));
    }

    #[test]
    fn stands_beside_a_suspension_by_hand_until_that_is_lifted() {
        let by_hand = Event::MemberSuspended(MemberSuspended {
            member: bob(),
            decision: None,
            by: bob(),
            until: Some(Timestamp(20)),
            reason: ReasonCode::new("scam").unwrap(),
            text: "by hand".into(),
            facts: "".into(),
            appealable_until: None,
        });
        let given = Given::registered()
            .restricted("d1", Restriction::Suspension, Some(30))
            .event(&by_hand);
        let told = |given: &Given, at| {
            given
                .state
                .suspension_told(Timestamp(at))
                .map(|(_, version)| version)
        };
        assert_eq!(told(&given, 10), Some(1), "it ends last");
        let (given, events) = given.done(&Command::EndSuspension {
            member: bob(),
            at: Timestamp(20),
        });
        assert_eq!(
            (events, given.is(20)),
            (0, (true, false)),
            "they stay suspended"
        );
        let reinstated = Event::MemberReinstated(MemberReinstated {
            member: bob(),
            by: bob(),
        });
        let given = given
            .restricted("d2", Restriction::Limit, Some(30))
            .event(&reinstated);
        assert_eq!(given.is(20), (false, true));
        assert_eq!(told(&given, 20), None);
    }

    #[test]
    fn remembers_as_many_decisions_as_its_bound() {
        let mut given = Given::registered();
        for number in 0..=DECISIONS_REMEMBERED_MAX {
            given = given.restricted(&format!("d{number}"), Restriction::Limit, Some(0));
        }
        assert_eq!(given.state.carried_out.len(), DECISIONS_REMEMBERED_MAX);
        assert_eq!(given.state.carried_out(decision("d0")), None);
    }

    #[test]
    fn keeps_those_that_end_last_beyond_its_bound() {
        let mut given = Given::registered().restricted("last", Restriction::Suspension, Some(9));
        for number in 0..RESTRICTIONS_MAX {
            given = given.restricted(&format!("d{number}"), Restriction::Suspension, Some(8));
        }
        let of_kind = |given: &Given, kind| {
            let mut all = given.state.restrictions.iter().map(|it| it.restriction);
            all.by_ref().filter(|it| *it == kind).count()
        };
        given = given.restricted("good", Restriction::Limit, None);
        assert_eq!(of_kind(&given, Restriction::Suspension), RESTRICTIONS_MAX);
        assert_eq!(of_kind(&given, Restriction::Limit), 1, "a kind for itself");
        assert_eq!(given.is(8), (true, true));
        assert_eq!(given.is(9), (false, true));
        assert_eq!(given.clone().done(&lift_at("last", 5)).1, 1);
        assert_eq!(given.done(&lift_at("d0", 5)).1, 0, "it was the first to go");
    }
}

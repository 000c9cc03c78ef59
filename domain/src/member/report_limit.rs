//! How many of a member's reports a day count, where a moderator has set it: so that who floods the moderators moves no queue.
//!
//! Nothing else changes: reports beyond it are made, kept, answered and decided as all others, and marked as those beyond
//! everybody's limit are. The member is told of none of it. It has an end, so that nobody is forgotten under it, and no
//! rule sets it by itself: that somebody reports much, or in vain, does not say that they do it in bad faith.

use crate::ids::{MemberId, ReasonCode};
use crate::member::event::{Event, ReportLimitEnded, ReportLimitLifted, ReportLimitSet};
use crate::member::state::{ReportLimit, State};
use crate::policy::REPORTS_PER_DAY_MAX;
use crate::rejection::{Code, Rejection};
use crate::time::Timestamp;

/// Sets it, or sets it anew.
pub(super) fn set(
    state: &State,
    member: &MemberId,
    by: &MemberId,
    limit: (u32, Timestamp, &ReasonCode),
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    let (per_day, until, reason) = limit;
    if state.registration.is_none() {
        return Err(Rejection::not_found());
    }
    let invalid = |field| Rejection::of_command(Code::InvalidReportLimit).with_field(field);
    if per_day > REPORTS_PER_DAY_MAX {
        return Err(invalid("per_day").with_range(0, u64::from(REPORTS_PER_DAY_MAX)));
    }
    super::not_own(member, by)?;
    if until <= at {
        return Err(invalid("until"));
    }
    let same = |limit: &ReportLimit| {
        limit.per_day == per_day && limit.until == until && limit.reason == *reason
    };
    if state.report_limit.as_ref().is_some_and(same) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ReportLimitSet(ReportLimitSet {
        member: member.clone(),
        by: by.clone(),
        per_day,
        until,
        reason: reason.clone(),
    })])
}

/// Ends it by hand. What is not there any more is lifted already.
pub(super) fn lift(
    state: &State,
    member: &MemberId,
    by: &MemberId,
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    if state.registration.is_none() {
        return Err(Rejection::not_found());
    }
    super::not_own(member, by)?;
    if state.report_limit(at).is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ReportLimitLifted(ReportLimitLifted {
        member: member.clone(),
        by: by.clone(),
    })])
}

/// Ends it once its end has come; nothing where it was given another end meanwhile, or none is left.
pub(super) fn end(state: &State, member: &MemberId, at: Timestamp) -> Vec<Event<'static>> {
    match &state.report_limit {
        Some(limit) if limit.until <= at => vec![Event::ReportLimitEnded(ReportLimitEnded {
            member: member.clone(),
            until: limit.until,
        })],
        Some(_) | None => Vec::new(),
    }
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::event::Recorded;
    use crate::ids::{CommandId, ReportId};
    use crate::member::{AgeBand, Command, MemberRegistered, already, decide, evolve};
    use crate::policy::{InForce, Rules};
    use crate::time::DAY_MS;

    fn ann() -> MemberId {
        MemberId::new("ann").unwrap()
    }

    fn rules() -> InForce {
        InForce {
            version: 0,
            rules: std::sync::Arc::new(Rules::default()),
        }
    }

    fn set_to(per_day: u32, until: i64, at: i64) -> Command {
        Command::LimitReports {
            member: ann(),
            by: MemberId::new("mia").unwrap(),
            per_day,
            until: Timestamp(until),
            reason: ReasonCode::new("flooding").unwrap(),
            at: Timestamp(at),
        }
    }

    fn lifted(at: i64) -> Command {
        Command::LiftReportLimit {
            member: ann(),
            by: MemberId::new("max").unwrap(),
            at: Timestamp(at),
        }
    }

    fn ended(at: i64) -> Command {
        let (member, at) = (ann(), Timestamp(at));
        Command::EndReportLimit { member, at }
    }

    #[derive(Clone, Default)]
    struct Given {
        state: State,
        version: u64,
    }

    impl Given {
        fn registered() -> Self {
            Given::default().event(
                &Event::MemberRegistered(MemberRegistered {
                    member: ann(),
                    age_band: AgeBand::Adult,
                    registered_at: Timestamp(0),
                }),
                0,
            )
        }

        fn event(mut self, event: &Event<'_>, at: i64) -> Self {
            let (version, at) = (self.version, Timestamp(at));
            evolve(&mut self.state, Recorded { version, at }, event);
            self.version += 1;
            self
        }

        fn with(mut self, command: &Command, at: i64) -> Self {
            let events = decide(&self.state, command).unwrap();
            assert_eq!(events.len(), 1, "{command:?}");
            for event in events {
                assert_eq!(event.member(), &ann());
                self = self.event(&event, at);
            }
            self
        }

        #[track_caller]
        fn quiet(&self, command: &Command, since: Option<u64>) {
            assert_eq!(decide(&self.state, command), Ok(Vec::new()));
            assert_eq!(already(&self.state, command), since);
        }

        /// Whether the next report is beyond the limit.
        fn next_is_beyond(&self, at: i64) -> bool {
            let command = Command::CountReport {
                member: ann(),
                report_id: ReportId::of(&ann(), &CommandId::new(&format!("r{at}")).unwrap()),
                policy: rules(),
                at: Timestamp(at),
            };
            let events = decide(&self.state, &command).unwrap();
            let [Event::ReportCounted(counted)] = &events[..] else {
                panic!("{events:?}");
            };
            counted.over_limit
        }
    }

    #[track_caller]
    fn refuses(given: &Given, command: &Command, code: Code, field: Option<&str>) {
        let refused = decide(&given.state, command).unwrap_err();
        assert_eq!((refused.code(), refused.field()), (code, field));
    }

    #[test]
    fn lets_so_many_reports_a_day_count_until_its_end() {
        let given = Given::registered();
        assert!(!given.next_is_beyond(10));
        let given = given.with(&set_to(0, 2 * DAY_MS, 10), 10);
        assert!(given.next_is_beyond(10));
        assert!(given.next_is_beyond(2 * DAY_MS - 1));
        assert!(!given.next_is_beyond(2 * DAY_MS), "by its time");
        let given = given.with(&set_to(1, 2 * DAY_MS, 20), 20);
        assert!(!given.next_is_beyond(20));
    }

    #[test]
    fn raises_nobodys_limit() {
        let given = Given::registered().with(&set_to(REPORTS_PER_DAY_MAX, DAY_MS, 0), 0);
        let everybodys = rules().rules.reports_per_day;
        assert_eq!(
            given.state.reports_per_day(&rules().rules, Timestamp(1)),
            everybodys
        );
    }

    #[test]
    fn is_lifted_by_hand_or_ends_by_itself_once() {
        let given = Given::registered();
        given.quiet(&lifted(0), None);
        given.quiet(&ended(i64::MAX), None);
        let given = given.with(&set_to(0, 100, 0), 0);
        given.quiet(&set_to(0, 100, 1), Some(1));
        given.quiet(&ended(99), Some(1));
        let by_hand = given.clone().with(&lifted(50), 50);
        by_hand.quiet(&lifted(50), Some(2));
        by_hand.quiet(&ended(100), Some(2));
        assert!(!by_hand.next_is_beyond(50));
        let by_time = given.with(&ended(100), 100);
        by_time.quiet(&lifted(101), Some(2));
        by_time.quiet(&ended(101), Some(2));
    }

    #[test]
    fn refuses_what_is_over_before_it_begins_is_too_much_or_is_nobodys() {
        let given = Given::registered();
        let invalid = Code::InvalidReportLimit;
        refuses(&given, &set_to(0, 10, 10), invalid, Some("until"));
        let much = set_to(REPORTS_PER_DAY_MAX + 1, 10, 0);
        refuses(&given, &much, invalid, Some("per_day"));
        let nobody = Given::default();
        refuses(&nobody, &set_to(0, 10, 0), Code::NotFound, None);
        refuses(&nobody, &lifted(0), Code::NotFound, None);
    }
}

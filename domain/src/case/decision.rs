//! Deciding a case, and closing it when nobody can appeal any more.
//!
//! A decision is its holder's; it ends the claim. What it does to the member is carried out on the member's own stream,
//! by a reactor. A report that joins afterwards opens the case again: the decision goes on as it is, and another may
//! follow.

use crate::case::claim::{held, members_for};
use crate::case::command::Ruling;
use crate::case::event::{Action, CaseClosed, CaseDecided, Event};
use crate::case::state::State;
use crate::case::{APPEAL_DAYS, REMOVED_MESSAGES_MAX, RULING_LIMITS};
use crate::conversation::NamedMessage;
use crate::ids::{DecisionId, MemberId};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};
use crate::time::{DAY_MS, Timestamp};

/// Decides the case.
pub(super) fn decide(
    state: &State,
    by: &MemberId,
    decision: DecisionId,
    ruling: &Ruling,
    named: &[NamedMessage],
    at: Timestamp,
) -> Result<Vec<Event<'static>>, Rejection> {
    let (reported, reporter) = members_for(state, by)?;
    check_ruling(ruling, at)?;
    if state.decided.is_some() {
        return Err(Rejection::of_state(Code::AlreadyDecided));
    }
    held(state, by, at)?;
    // What nobody reported is none of the moderators' business.
    let of_case = |message: &NamedMessage| {
        let facts = message.facts.as_ref();
        facts.is_some_and(|facts| facts.from == reported && facts.reported.is_some())
    };
    if !named.iter().all(of_case) {
        return Err(Rejection::of_state(Code::InvalidDecision).with_field("messages"));
    }
    let members = (reported, reporter);
    let decided = decided(decision, by, members, ruling, at);
    Ok(vec![Event::CaseDecided(decided)])
}

/// The event of a decision by itself.
pub(super) fn decided(
    decision: DecisionId,
    by: &MemberId,
    (reported, reporter): (MemberId, MemberId),
    ruling: &Ruling,
    at: Timestamp,
) -> CaseDecided<'static> {
    let Ruling {
        action,
        until,
        messages,
        reason,
        text,
        facts,
    } = ruling;
    let mut messages = messages.clone();
    messages.sort_unstable();
    messages.dedup();
    let appealable_until = at.plus_ms(APPEAL_DAYS * DAY_MS);
    CaseDecided {
        decision,
        by: by.clone(),
        reported,
        reporter,
        action: *action,
        until: *until,
        messages,
        reason: reason.clone(),
        text: Text::from(text.clone()),
        facts: Text::from(facts.clone()),
        appealable_until: action.upholds().then_some(appealable_until),
        act: None,
    }
}

/// Closes the case once its last decision can be appealed no more; nothing where it was opened again meanwhile.
pub(super) fn close(state: &State, at: Timestamp) -> Vec<Event<'static>> {
    let (Some((reported, reporter)), Some(decided)) = (state.members(), state.decided) else {
        return Vec::new();
    };
    // An appeal that waits is decided first, and closes the case.
    if decided.closes.is_none_or(|closes| at < closes) || state.waiting_appeal().is_some() {
        return Vec::new();
    }
    vec![Event::CaseClosed(CaseClosed {
        decision: decided.decision,
        reported,
        reporter,
    })]
}

/// Holds a ruling against what every ruling has to be: an end where its action has one, and words for what is done to
/// somebody.
pub(crate) fn check_ruling(ruling: &Ruling, at: Timestamp) -> Result<(), Rejection> {
    let invalid = |field| Rejection::of_command(Code::InvalidDecision).with_field(field);
    let end_fits = match (ruling.action, ruling.until) {
        (Action::Nothing | Action::Warn | Action::RemoveMessages, until) => until.is_none(),
        (Action::Limit, until) => until.is_some_and(|until| at < until),
        (Action::Suspend, until) => until.is_none_or(|until| at < until),
    };
    if !end_fits {
        return Err(invalid("until"));
    }
    let most = if ruling.action == Action::RemoveMessages {
        u64::from(REMOVED_MESSAGES_MAX)
    } else {
        0
    };
    let least = most.min(1);
    let count = u64::try_from(ruling.messages.len()).unwrap_or(u64::MAX);
    if !(least..=most).contains(&count) {
        return Err(invalid("messages").with_range(least, most));
    }
    for (field, said) in [("text", &ruling.text), ("facts", &ruling.facts)] {
        let checked = if ruling.action.upholds() {
            text::check_nonempty(said, RULING_LIMITS)
        } else {
            text::check(said, RULING_LIMITS)
        };
        checked.map_err(|problem| invalid(field).with_problem(problem))?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod spec {
    use super::*;
    use crate::case::given::{Given, id, report};
    use crate::case::{CLAIM_MS, Command};
    use crate::conversation::{MessageFacts, Reported};
    use crate::ids::{CommandId, ReasonCode, ReportId};

    const NOW: i64 = 1_000;

    pub(in crate::case) fn ruling(action: Action, until: Option<i64>) -> Ruling {
        Ruling {
            action,
            until: until.map(Timestamp),
            messages: Vec::new(),
            reason: ReasonCode::new("spam").unwrap(),
            text: "You sent the same offer to many.".to_owned(),
            facts: "Seven members reported it.".to_owned(),
        }
    }

    pub(in crate::case) fn by(moderator: &str, at: i64, ruling: Ruling) -> Command {
        let by = id(moderator);
        let decision = DecisionId::by_hand(
            &by,
            &by,
            &CommandId::new("c1").unwrap(),
            crate::time::Timestamp(0),
        );
        let at = Timestamp(at);
        Command::DecideCase {
            by,
            decision,
            ruling,
            named: Vec::new(),
            at,
        }
    }

    /// A decision to remove messages, of which these were reported.
    fn removing(messages: &[u64], reported: &[u64]) -> Command {
        let ruling = Ruling {
            messages: messages.to_vec(),
            ..ruling(Action::RemoveMessages, None)
        };
        let mut command = by("mia", NOW, ruling);
        if let Command::DecideCase { named, .. } = &mut command {
            *named = messages
                .iter()
                .map(|number| NamedMessage {
                    number: *number,
                    facts: Some(MessageFacts {
                        from: id("bob"),
                        sent_at: Timestamp(0),
                        text: "buy".to_owned(),
                        withheld: false,
                        unsent: None,
                        reported: reported.contains(number).then_some(Reported {
                            report_id: ReportId(uuid::Uuid::nil()),
                            version: 4,
                        }),
                    }),
                })
                .collect();
        }
        command
    }

    #[test]
    fn removes_messages_that_were_reported_and_no_others() {
        let given = claimed();
        given.refuses(&removing(&[1, 2], &[1]), Code::InvalidDecision);
        given.refuses(&removing(&[], &[]), Code::InvalidDecision);
        let many: Vec<u64> = (1..=101).collect();
        given.refuses(&removing(&many, &many), Code::InvalidDecision);
        let warned = Ruling {
            messages: vec![1],
            ..ruling(Action::Warn, None)
        };
        given.refuses(&by("mia", NOW, warned), Code::InvalidDecision);
        let mut own = removing(&[1], &[1]);
        if let Command::DecideCase { named, .. } = &mut own {
            named[0].facts.as_mut().unwrap().from = id("ann");
        }
        given.refuses(&own, Code::InvalidDecision);
        let events = crate::case::decide(&given.state, &removing(&[3, 1, 3], &[1, 3])).unwrap();
        assert!(matches!(&events[..], [Event::CaseDecided(decided)] if decided.messages == [1, 3]));
    }

    fn claim(moderator: &str, at: i64) -> Command {
        Command::ClaimCase {
            by: id(moderator),
            at: Timestamp(at),
        }
    }

    fn claimed() -> Given {
        Given::default().with(&report(4)).with(&claim("mia", NOW))
    }

    #[test]
    fn is_made_by_who_holds_the_case_alone() {
        let warn = || ruling(Action::Warn, None);
        Given::default()
            .with(&report(4))
            .refuses(&by("mia", NOW, warn()), Code::NotClaimed);
        let given = claimed();
        for (own, code) in [("ann", Code::OwnCase), ("bob", Code::NotFound)] {
            given.refuses(&by(own, NOW, warn()), code);
        }
        given.refuses(&by("max", NOW, warn()), Code::NotClaimed);
        given.refuses(&by("mia", NOW + CLAIM_MS, warn()), Code::NotClaimed);
        let given = given.with(&by("mia", NOW, warn()));
        assert_eq!(given.state.claimed(Timestamp(NOW)), None);
        Given::default().refuses(&by("mia", NOW, warn()), Code::NotFound);
    }

    #[test]
    fn is_made_once_until_something_is_newly_reported() {
        let warn = || ruling(Action::Warn, None);
        let given = claimed().with(&by("mia", NOW, warn()));
        given.refuses(&by("mia", NOW, warn()), Code::AlreadyDecided);
        given.refuses(&by("max", NOW, warn()), Code::AlreadyDecided);
        given.refuses(&claim("max", NOW), Code::AlreadyDecided);
        let given = given.with(&report(9));
        given.refuses(&by("mia", NOW, warn()), Code::NotClaimed);
        given.with(&claim("max", NOW)).with(&by("max", NOW, warn()));
    }

    #[test]
    fn has_an_end_where_its_action_has_one() {
        let given = claimed();
        let later = Some(NOW + 1);
        for (action, until) in [
            (Action::Nothing, later),
            (Action::Warn, later),
            (Action::RemoveMessages, later),
            (Action::Limit, None),
            (Action::Limit, Some(NOW)),
            (Action::Suspend, Some(NOW)),
        ] {
            let decide = by("mia", NOW, ruling(action, until));
            given.refuses(&decide, Code::InvalidDecision);
        }
        for (action, until) in [
            (Action::Nothing, None),
            (Action::Warn, None),
            (Action::Limit, later),
            (Action::Suspend, later),
            (Action::Suspend, None),
        ] {
            given.clone().with(&by("mia", NOW, ruling(action, until)));
        }
    }

    #[test]
    fn says_what_was_done_and_on_which_facts() {
        let given = claimed();
        for said in ["", " ", &"x".repeat(2_001)] {
            let text = said.to_owned();
            let without = Ruling {
                text: text.clone(),
                ..ruling(Action::Warn, None)
            };
            given.refuses(&by("mia", NOW, without), Code::InvalidDecision);
            let without = Ruling {
                facts: text,
                ..ruling(Action::Suspend, None)
            };
            given.refuses(&by("mia", NOW, without), Code::InvalidDecision);
        }
        let silent = Ruling {
            text: String::new(),
            facts: String::new(),
            ..ruling(Action::Nothing, None)
        };
        given.with(&by("mia", NOW, silent));
    }

    #[test]
    fn can_be_appealed_for_180_days_where_something_was_done_and_closes_then() {
        let end = NOW + APPEAL_DAYS * DAY_MS;
        let close = |at| Command::CloseCase { at: Timestamp(at) };
        let given = claimed().with(&by("mia", NOW, ruling(Action::Warn, None)));
        given.quiet(&close(end - 1), None);
        let closed = given.clone().with(&close(end));
        closed.quiet(&close(end), Some(4));
        closed.refuses(&claim("max", end), Code::AlreadyDecided);
        given.with(&report(9)).quiet(&close(end), None);
        let nothing = claimed().with(&by("mia", NOW, ruling(Action::Nothing, None)));
        nothing.quiet(&close(end), None);
        claimed().quiet(&close(end), None);
    }
}

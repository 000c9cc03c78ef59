//! Who works on a case: taking it, letting it go, leaving it to another, and notes.
//!
//! A claim is judged by the command's own time. Whoever finds it over and writes something says so first, in the same
//! append: every claim has its end in the log before what came after it, and the timer then finds nothing to end.

use crate::case::event::{CaseClaimed, CaseEscalated, CaseNoted, CaseReleased, ClaimLapsed, Event};
use crate::case::state::State;
use crate::case::{CLAIM_MS, NOTE_LIMITS};
use crate::ids::MemberId;
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text, TextProblem};
use crate::time::Timestamp;

type Decision = Result<Vec<Event<'static>>, Rejection>;

/// Takes the case, or takes it for longer.
pub(super) fn claim(state: &State, by: &MemberId, at: Timestamp) -> Decision {
    let (reported, reporter) = members_for(state, by)?;
    if state.decided.is_some() {
        return Err(Rejection::of_state(Code::AlreadyDecided));
    }
    let until = at.plus_ms(CLAIM_MS);
    if let Some((holder, held_until)) = state.claimed(at) {
        if holder != by {
            return Err(Rejection::of_state(Code::AlreadyClaimed));
        }
        if held_until >= until {
            return Ok(Vec::new());
        }
    } else if state.escalated_by.as_ref() == Some(by) {
        return Err(Rejection::of_state(Code::SameModerator));
    }
    let mut events = lapse(state, at);
    events.push(Event::CaseClaimed(CaseClaimed {
        by: by.clone(),
        reported,
        reporter,
        until,
    }));
    Ok(events)
}

/// Lets the case go. What nobody holds is released already.
pub(super) fn release(state: &State, by: &MemberId, at: Timestamp) -> Decision {
    let (reported, reporter) = members_for(state, by)?;
    if state.claimed(at).is_none() {
        return Ok(Vec::new());
    }
    held(state, by, at)?;
    Ok(vec![Event::CaseReleased(CaseReleased {
        by: by.clone(),
        reported,
        reporter,
    })])
}

/// Writes something down; by its holder it is an act on the case.
pub(super) fn note(state: &State, by: &MemberId, text: &str, at: Timestamp) -> Decision {
    let (reported, reporter) = members_for(state, by)?;
    text::check_nonempty(text, NOTE_LIMITS).map_err(invalid_note)?;
    let holds = state.claimed(at).is_some_and(|(holder, _)| holder == by);
    let mut events = lapse(state, at);
    events.push(Event::CaseNoted(CaseNoted {
        by: by.clone(),
        reported,
        reporter,
        text: Text::from(text.to_owned()),
        claimed_until: holds.then(|| at.plus_ms(CLAIM_MS)),
    }));
    Ok(events)
}

/// Leaves the case to another moderator.
pub(super) fn escalate(state: &State, by: &MemberId, text: &str, at: Timestamp) -> Decision {
    let (reported, reporter) = members_for(state, by)?;
    text::check(text, NOTE_LIMITS).map_err(invalid_note)?;
    if state.claimed(at).is_none() && state.escalated_by.as_ref() == Some(by) {
        return Ok(Vec::new());
    }
    held(state, by, at)?;
    Ok(vec![Event::CaseEscalated(CaseEscalated {
        by: by.clone(),
        reported,
        reporter,
        text: Text::from(text.to_owned()),
    })])
}

/// Ends a claim whose time has come, for the timer or for who comes before it; nothing where it was given another end
/// meanwhile, or none is left.
pub(super) fn lapse(state: &State, at: Timestamp) -> Vec<Event<'static>> {
    let (Some((reported, reporter)), Some(claim)) = (state.members(), &state.claim) else {
        return Vec::new();
    };
    if at < claim.until {
        return Vec::new();
    }
    vec![Event::ClaimLapsed(ClaimLapsed {
        by: claim.by.clone(),
        reported,
        reporter,
        until: claim.until,
    })]
}

/// The two members of a case, reported and reporter, for an act of a moderator: nobody judges their own case. Who is reported in
/// it is answered as if there were none, since they do not learn here that they were.
pub(super) fn members_for(state: &State, by: &MemberId) -> Result<(MemberId, MemberId), Rejection> {
    let (reported, reporter) = state.members().ok_or_else(Rejection::not_found)?;
    not_own(&reported, &reporter, by)?;
    Ok((reported, reporter))
}

/// Refuses who is one of the two.
pub(super) fn not_own(
    reported: &MemberId,
    reporter: &MemberId,
    by: &MemberId,
) -> Result<(), Rejection> {
    if by == reported {
        return Err(Rejection::not_found());
    }
    if by == reporter {
        return Err(Rejection::of_state(Code::OwnCase));
    }
    Ok(())
}

/// Refuses whoever does not hold the case.
pub(super) fn held(state: &State, by: &MemberId, at: Timestamp) -> Result<(), Rejection> {
    match state.claimed(at) {
        Some((holder, _)) if holder == by => Ok(()),
        Some(_) | None => Err(Rejection::of_state(Code::NotClaimed)),
    }
}

fn invalid_note(problem: TextProblem) -> Rejection {
    Rejection::of_command(Code::InvalidNote)
        .with_field("text")
        .with_problem(problem)
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::case::given::{Given, id, report};
    use crate::case::{Command, decide};

    const MINUTE: i64 = 60 * 1000;

    fn claim(by: &str, at: i64) -> Command {
        Command::ClaimCase {
            by: id(by),
            at: Timestamp(at),
        }
    }

    fn release(by: &str, at: i64) -> Command {
        Command::ReleaseCase {
            by: id(by),
            at: Timestamp(at),
        }
    }

    fn note(by: &str, text: &str, at: i64) -> Command {
        Command::NoteOnCase {
            by: id(by),
            text: text.to_owned(),
            at: Timestamp(at),
        }
    }

    fn escalate(by: &str, at: i64) -> Command {
        Command::EscalateCase {
            by: id(by),
            text: String::new(),
            at: Timestamp(at),
        }
    }

    fn lapse(at: i64) -> Command {
        Command::LapseClaim { at: Timestamp(at) }
    }

    fn reported() -> Given {
        Given::default().with(&report(4))
    }

    fn holder(given: &Given, at: i64) -> Option<(&str, i64)> {
        let (by, until) = given.state.claimed(Timestamp(at))?;
        Some((by.as_str(), until.0))
    }

    #[test]
    fn gives_an_open_case_to_who_claims_it_for_half_an_hour() {
        let given = reported().with(&claim("mia", 10));
        assert_eq!(holder(&given, 10), Some(("mia", 10 + 30 * MINUTE)));
        assert_eq!(holder(&given, 10 + 30 * MINUTE), None);
    }

    #[test]
    fn refuses_a_case_that_another_holds_until_the_claim_is_over() {
        let given = reported().with(&claim("mia", 0));
        given.refuses(&claim("max", 30 * MINUTE - 1), Code::AlreadyClaimed);
        let given = given.with(&claim("max", 30 * MINUTE));
        assert_eq!(holder(&given, 31 * MINUTE), Some(("max", 60 * MINUTE)));
        // The timer comes late, and finds another claim.
        given.quiet(&lapse(30 * MINUTE), Some(4));
    }

    /// The names of what a command gives: whose claim it says to have lapsed, then what it does.
    fn gives(given: &Given, command: &Command) -> Vec<String> {
        let events = decide(&given.state, command).unwrap();
        let named = events.iter().map(|event| {
            if let Event::ClaimLapsed(lapsed) = event {
                format!("{} lapsed at {}", lapsed.by, lapsed.until.0)
            } else if let Event::CaseClaimed(claimed) = event {
                format!("{} claims", claimed.by)
            } else if let Event::CaseNoted(noted) = event {
                format!("{} notes", noted.by)
            } else {
                panic!("{event:?}")
            }
        });
        named.collect()
    }

    #[test]
    fn says_that_the_earlier_claim_lapsed_before_what_comes_after_it() {
        let given = reported().with(&claim("mia", 0));
        let end = 30 * MINUTE;
        let lapsed = format!("mia lapsed at {end}");
        for (by, at) in [("max", end), ("mia", end + 7)] {
            assert_eq!(
                gives(&given, &claim(by, at)),
                [lapsed.clone(), format!("{by} claims")]
            );
            assert_eq!(
                gives(&given, &note(by, "late", at)),
                [lapsed.clone(), format!("{by} notes")]
            );
        }
        assert_eq!(gives(&given, &note("max", "early", end - 1)), ["max notes"]);
        let given = given.with(&note("max", "late", end));
        given.quiet(&lapse(end), Some(3));
        assert_eq!(gives(&given, &claim("max", end)), ["max claims"]);
    }

    #[test]
    fn writes_nothing_of_a_lapsed_claim_where_there_is_nothing_else_to_write() {
        let given = reported().with(&claim("mia", 0));
        given.quiet(&release("mia", 30 * MINUTE), Some(2));
        given.refuses(&escalate("mia", 30 * MINUTE), Code::NotClaimed);
    }

    #[test]
    fn is_no_ones_own() {
        for (by, code) in [("ann", Code::OwnCase), ("bob", Code::NotFound)] {
            let given = reported();
            given.refuses(&claim(by, 0), code);
            given.refuses(&release(by, 0), code);
            given.refuses(&escalate(by, 0), code);
            given.refuses(&note(by, "", 0), code);
        }
    }

    #[test]
    fn lengthens_a_claim_by_its_holders_acts() {
        let given = reported()
            .with(&claim("mia", 0))
            .with(&claim("mia", MINUTE));
        assert_eq!(holder(&given, MINUTE), Some(("mia", 31 * MINUTE)));
        given.quiet(&claim("mia", MINUTE), Some(3));
        let given = given.with(&note("mia", "spam", 2 * MINUTE));
        assert_eq!(holder(&given, 2 * MINUTE), Some(("mia", 32 * MINUTE)));
        let given = given.with(&note("max", "seen before", 3 * MINUTE));
        assert_eq!(holder(&given, 3 * MINUTE), Some(("mia", 32 * MINUTE)));
        given.quiet(&lapse(31 * MINUTE), None);
    }

    #[test]
    fn lets_a_case_go_by_its_holder_alone() {
        let given = reported().with(&claim("mia", 0));
        given.refuses(&release("max", 1), Code::NotClaimed);
        let given = given.with(&release("mia", 1));
        assert_eq!(holder(&given, 1), None);
        given.quiet(&release("mia", 2), Some(3));
        given.quiet(&release("max", 2), Some(3));
        reported().quiet(&release("mia", 0), None);
    }

    #[test]
    fn lapses_once_at_its_end_and_not_before() {
        let given = reported().with(&claim("mia", 0));
        given.quiet(&lapse(30 * MINUTE - 1), None);
        let given = given.with(&lapse(30 * MINUTE));
        given.quiet(&lapse(30 * MINUTE), Some(3));
        reported().quiet(&lapse(i64::MAX), None);
    }

    #[test]
    fn leaves_an_escalated_case_to_another_moderator() {
        let given = reported();
        given.refuses(&escalate("mia", 0), Code::NotClaimed);
        let given = given.with(&claim("mia", 0)).with(&escalate("mia", 1));
        assert_eq!(holder(&given, 1), None);
        given.quiet(&escalate("mia", 2), Some(3));
        given.refuses(&claim("mia", 2), Code::SameModerator);
        let given = given.with(&claim("max", 2));
        given.refuses(&escalate("mia", 3), Code::NotClaimed);
        given.refuses(&claim("mia", 3), Code::AlreadyClaimed);
        let given = given.with(&release("max", 4));
        given.refuses(&claim("mia", 5), Code::SameModerator);
    }

    #[test]
    fn takes_a_note_that_says_something_within_its_limits() {
        let given = reported();
        for text in [
            "",
            " \u{2003}",
            "a\0b",
            &"x".repeat(2_001),
            &"é".repeat(4_097),
        ] {
            given.refuses(&note("mia", text, 0), Code::InvalidNote);
        }
        given.with(&note("mia", &"x".repeat(2_000), 0));
    }

    #[test]
    fn knows_nothing_of_a_case_without_a_report() {
        let given = Given::default();
        for command in [
            claim("mia", 0),
            release("mia", 0),
            note("mia", "x", 0),
            escalate("mia", 0),
        ] {
            assert_eq!(decide(&given.state, &command), Err(Rejection::not_found()));
        }
        given.quiet(&lapse(0), None);
    }
}

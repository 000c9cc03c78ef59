//! Appealing a decision, deciding the appeal, and reversing a decision.
//!
//! A member appeals each decision once, within its time; another moderator than the one who made it decides the appeal. A
//! reversal is one event that says all that has to be taken back: what it restricted and removed is undone on the streams
//! of the member and the conversation, by a reactor.

use crate::case::RULING_LIMITS;
use crate::case::claim::members_for;
use crate::case::event::{
    Action, AppealDecided, AppealOutcome, CaseClosed, DecisionAppealed, DecisionReversed, Event,
};
use crate::case::state::{Appeal, Made, State};
use crate::ids::{DecisionId, MemberId, ReasonCode};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};
use crate::time::Timestamp;

type Decision = Result<Vec<Event<'static>>, Rejection>;

/// Appeals a decision, for the member concerned.
pub(super) fn appeal(
    state: &State,
    by: &MemberId,
    decision: DecisionId,
    text: &str,
    at: Timestamp,
) -> Decision {
    let (reported, reporter) = state.members().ok_or_else(Rejection::not_found)?;
    // What did nothing is not told to its member, who does not learn here that they were reported.
    let (made, until) = state
        .made(decision)
        .filter(|_| *by == reported)
        .and_then(|made| Some((made, made.appealable_until?)))
        .ok_or_else(Rejection::not_found)?;
    text::check_nonempty(text, RULING_LIMITS).map_err(|problem| {
        Rejection::of_command(Code::InvalidAppeal)
            .with_field("text")
            .with_problem(problem)
    })?;
    if made.appeal != Appeal::NotMade {
        return Err(Rejection::of_state(Code::AlreadyAppealed));
    }
    if made.reversed.is_some() {
        return Err(Rejection::of_state(Code::AlreadyReversed));
    }
    if at >= until {
        return Err(Rejection::of_state(Code::AppealWindowOver));
    }
    Ok(vec![Event::DecisionAppealed(DecisionAppealed {
        decision,
        reported,
        reporter,
        text: Text::from(text.to_owned()),
    })])
}

/// Decides an appeal: of the decision named, or else the one that has waited longest.
pub(super) fn decide(
    state: &State,
    by: &MemberId,
    decision: Option<DecisionId>,
    outcome: AppealOutcome,
    text: &str,
    at: Timestamp,
) -> Decision {
    let (reported, reporter) = members_for(state, by)?;
    check_told(text, true)?;
    let made = match decision {
        Some(decision) => Some(state.made(decision).ok_or_else(Rejection::not_found)?),
        // One's own decision is another's to answer for.
        None => state.waiting_appeal_for(by),
    };
    let made = made
        .filter(|made| made.appeal == Appeal::Waits)
        .ok_or_else(|| Rejection::of_state(Code::NotAppealed))?;
    if made.by == *by {
        return Err(Rejection::of_state(Code::SameModerator));
    }
    let mut events = vec![Event::AppealDecided(AppealDecided {
        decision: made.decision,
        by: by.clone(),
        reported: reported.clone(),
        reporter: reporter.clone(),
        outcome,
        text: Text::from(text.to_owned()),
    })];
    if let Some(standing) = closes_with(state, made.decision, at) {
        events.push(Event::CaseClosed(CaseClosed {
            decision: standing,
            reported: reported.clone(),
            reporter: reporter.clone(),
        }));
    }
    if outcome == AppealOutcome::Reversed {
        events.push(Event::DecisionReversed(DecisionReversed {
            decision: made.decision,
            by: by.clone(),
            reported,
            reporter,
            action: made.action,
            messages: removed_alone(state, made),
            reason: ReasonCode::appeal_granted(),
            text: Text::from(text.to_owned()),
            appealed: true,
            reopened: false,
            act: made.act,
        }));
    }
    Ok(events)
}

/// Takes back what a decision changed; nothing where that was done before.
pub(super) fn reverse(
    state: &State,
    by: &MemberId,
    decision: DecisionId,
    reason: &ReasonCode,
    text: &str,
    at: Timestamp,
) -> Decision {
    let (reported, reporter) = members_for(state, by)?;
    let made = state.made(decision).ok_or_else(Rejection::not_found)?;
    check_told(text, made.action.upholds())?;
    if made.reversed.is_some() {
        return Ok(Vec::new());
    }
    // It would answer the appeal, which is another moderator's to do.
    if made.appeal == Appeal::Waits && made.by == *by {
        return Err(Rejection::of_state(Code::SameModerator));
    }
    // Of a suspension by hand no report is left without an answer.
    let stands = state.decided.is_some_and(|it| it.decision == decision);
    let reopened = stands && !state.by_hand;
    let mut events = Vec::with_capacity(2);
    if let Some(standing) = closes_with(state, decision, at).filter(|_| !reopened) {
        events.push(Event::CaseClosed(CaseClosed {
            decision: standing,
            reported: reported.clone(),
            reporter: reporter.clone(),
        }));
    }
    events.push(Event::DecisionReversed(DecisionReversed {
        decision,
        by: by.clone(),
        reported,
        reporter,
        action: made.action,
        messages: removed_alone(state, made),
        reason: reason.clone(),
        text: Text::from(text.to_owned()),
        appealed: made.appeal == Appeal::Waits,
        reopened,
        act: made.act,
    }));
    Ok(events)
}

/// The messages that this decision removes and no other that stands.
fn removed_alone(state: &State, made: &Made) -> Vec<u64> {
    let others = || {
        let standing = state.made.iter().filter(|other| {
            other.decision != made.decision
                && other.reversed.is_none()
                && other.action == Action::RemoveMessages
        });
        standing.flat_map(|other| &other.messages)
    };
    let alone = made.messages.iter().copied();
    alone
        .filter(|number| others().all(|other| other != number))
        .collect()
}

/// The decision that stands, where the case is over once this one's appeal waits no more: no other waits, and nothing
/// is left to appeal.
fn closes_with(state: &State, decided: DecisionId, at: Timestamp) -> Option<DecisionId> {
    let standing = state.decided?;
    let closes = standing.closes?;
    let over = standing.decision == decided || closes <= at;
    let mut waiting = state
        .made
        .iter()
        .filter(|made| made.appeal == Appeal::Waits);
    (over && waiting.all(|made| made.decision == decided)).then_some(standing.decision)
}

/// Holds what the member is told against its limits.
fn check_told(text: &str, needed: bool) -> Result<(), Rejection> {
    let checked = if needed {
        text::check_nonempty(text, RULING_LIMITS)
    } else {
        text::check(text, RULING_LIMITS)
    };
    checked.map_err(|problem| {
        Rejection::of_command(Code::InvalidDecision)
            .with_field("text")
            .with_problem(problem)
    })
}

#[cfg(test)]
mod spec;

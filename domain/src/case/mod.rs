//! The moderators' file on one reported member in one conversation, or on one suspension by hand.
//!
//! Protects: a report is in its case once, however often a reactor brings it; a case that was never opened discloses
//! nothing; two moderators do not hold it at once; it is decided by who holds it, once until something is newly reported.
//! Stream `case-{uuid}`, the uuid being [`CaseId::of`] its conversation
//! and reported member.
//!
//! State is bounded: beside whom it is about it keeps of the reports their count, the inputs of the case's priority, and
//! the version in the conversation's stream up to which they were taken, of the claim who holds it until when, and of the
//! last [`DECISIONS_KEPT_MAX`] decisions what it takes to reverse them; no note, and nothing of what was said. All reports of a case come from one conversation, in the order of its versions, so *already joined* is *not above
//! that version*.
//!
//! Decided here, where the domain's page is silent:
//! - A claim lasts [`CLAIM_MS`] from its holder's last act: claiming (again, too) and noting. Reading the case is none. What is
//!   written once it is over, before its timer came, says first that it lapsed.
//! - Any moderator may note; releasing and escalating are the holder's. What nobody holds is released already.
//! - A report that joins a decided or closed case opens it again; what was decided before goes on as it is. Where nothing was
//!   done there is nothing to appeal, and the case is closed at once.
//! - What its reporter has reported already is no new report, so that what was judged harmless does not come back by it: the
//!   reporter is answered with the earliest report, as ever, and the case stays as it is until something else is reported or
//!   a moderator opens it again.
//! - Only messages that were reported in the case can be removed: moderators act on what they were shown by a report.
//! - An escalated case is open to every moderator but the one who escalated it.
//! - Who is one of the two members of the conversation does nothing on its case. Who reported is told why; to who is reported
//!   there is none, since they do not learn that they were.
//! - A decision that did nothing is none to its member: they are not told of it, and cannot appeal it. It can be reversed.
//! - A granted appeal answers the reports, and an upheld one leaves nothing to appeal: the case closes. What is reversed
//!   otherwise leaves the reports without an answer: the case is open again. Either holds for the decision that stands; one
//!   that a newer report or decision has followed changes nothing of the case.
//! - A reversal answers the appeal that waits. Of a case with an appeal nobody says that it is over before that is decided.
//! - A suspension by hand is decided before there is a file on it. It can be appealed and reversed as any decision, and is never
//!   open: nobody claims it, decides it or opens it again. Reversed, it closes.
//! - An appeal takes no claim. Once the case is decided only the appeal is left to do, and it is done once.

mod appeal;
mod bulk;
mod claim;
mod command;
mod decision;
mod event;
mod filed;
mod priority;
mod reopen;
mod state;

#[cfg(test)]
mod given;
#[cfg(test)]
mod spec;

pub use command::{Command, DecideByAct, JoinReport, Ruling};
pub(crate) use decision::check_ruling;
pub use event::{
    Action, AppealDecided, AppealOutcome, CaseClaimed, CaseClosed, CaseDecided, CaseEscalated,
    CaseNoted, CaseOpened, CaseReleased, CaseReopened, ClaimLapsed, ContentDisclosed,
    DecisionAppealed, DecisionReversed, Event, REMOVED_MESSAGES_MAX, ReportJoined, ShownMessages,
    SuspensionFiled,
};
pub use priority::{Category, PriorityInputs};
pub use state::{DECISIONS_KEPT_MAX, State, evolve};

use crate::ids::CaseId;
use crate::rejection::Rejection;
use crate::text::Limits;

/// The stream of a case.
pub fn stream(case: CaseId) -> String {
    format!("case-{case}")
}

/// How long a claim lasts after its holder's last act.
pub const CLAIM_MS: i64 = 30 * 60 * 1000;

/// The limits of a note, and of what is said at an escalation.
pub const NOTE_LIMITS: Limits = Limits {
    graphemes_max: 2_000,
    bytes_max: 8 * 1024,
};

/// The limits of what a decision tells its member, and of the facts it relies on.
pub const RULING_LIMITS: Limits = crate::member::STATEMENT_LIMITS;

/// Days within which the member can appeal a decision.
pub const APPEAL_DAYS: i64 = 180;

/// The events that carry a command out; none when it is already so. Every disclosure is an event of its own, however
/// often the same member reads.
pub fn decide(state: &State, command: &Command) -> Result<Vec<Event<'static>>, Rejection> {
    match command {
        Command::JoinReport(report) => Ok(join(state, report)),
        Command::FileSuspension(filed) => Ok(filed::file(state, filed)),
        Command::DiscloseCase { by, purpose, shown } => {
            let reported = state.reported.clone().ok_or_else(Rejection::not_found)?;
            let reporter = state.reporter.as_ref().unwrap_or(&reported);
            claim::not_own(&reported, reporter, by)?;
            Ok(vec![Event::ContentDisclosed(ContentDisclosed {
                by: by.clone(),
                reported,
                purpose: purpose.clone(),
                conversation: state.conversation,
                reporter: state.reporter.clone().filter(|_| !state.by_hand),
                shown: Some(shown.clone()),
            })])
        }
        Command::ClaimCase { by, at } => claim::claim(state, by, *at),
        Command::ReleaseCase { by, at } => claim::release(state, by, *at),
        Command::NoteOnCase { by, text, at } => claim::note(state, by, text, *at),
        Command::EscalateCase { by, text, at } => claim::escalate(state, by, text, *at),
        Command::LapseClaim { at } => Ok(claim::lapse(state, *at)),
        Command::DecideCase {
            by,
            decision,
            ruling,
            named,
            at,
        } => decision::decide(state, by, *decision, ruling, named, *at),
        Command::DecideByAct(command) => bulk::decide(state, command),
        Command::ReopenCase { by, reason, text } => reopen::reopen(state, by, reason, text),
        Command::CloseCase { at } => Ok(decision::close(state, *at)),
        Command::AppealDecision {
            by,
            decision,
            text,
            at,
        } => appeal::appeal(state, by, *decision, text, *at),
        Command::DecideAppeal {
            by,
            decision,
            outcome,
            text,
            at,
        } => appeal::decide(state, by, *decision, *outcome, text, *at),
        Command::ReverseDecision {
            by,
            decision,
            reason,
            text,
            at,
        } => appeal::reverse(state, by, *decision, reason, text, *at),
    }
}

/// The version of the event that made a command already so, when `decide` gives no event; none when no event did. For a
/// report that joined before later ones it is the latest join.
pub fn already(state: &State, command: &Command) -> Option<u64> {
    match command {
        Command::JoinReport(_) => state.joined_up_to.map(|joined| joined.version),
        // A claim that time has ended was given its end by the event that made it.
        Command::ClaimCase { .. }
        | Command::ReleaseCase { .. }
        | Command::EscalateCase { .. }
        | Command::LapseClaim { .. } => {
            let claim = state.claim.as_ref().map(|claim| claim.version);
            claim.or(state.claim_over)
        }
        Command::ReopenCase { .. } => state.reopened,
        Command::CloseCase { .. } | Command::DecideByAct(_) | Command::FileSuspension(_) => {
            state.decided.map(|decided| decided.version)
        }
        Command::ReverseDecision { decision, .. } => {
            state.made(*decision).and_then(|made| made.reversed)
        }
        Command::DiscloseCase { .. }
        | Command::NoteOnCase { .. }
        | Command::DecideCase { .. }
        | Command::AppealDecision { .. }
        | Command::DecideAppeal { .. } => None,
    }
}

fn join(state: &State, report: &JoinReport) -> Vec<Event<'static>> {
    if state
        .joined_up_to
        .is_some_and(|joined| joined.conversation_version >= report.conversation_version)
    {
        return Vec::new();
    }
    let mut events = Vec::with_capacity(2);
    if !state.exists() {
        events.push(Event::CaseOpened(CaseOpened {
            case: CaseId::of(report.conversation, &report.reported),
            conversation: report.conversation,
            reported: report.reported.clone(),
            reporter: Some(report.reporter.clone()),
        }));
    }
    events.push(Event::ReportJoined(ReportJoined {
        report_id: report.report_id,
        conversation_version: report.conversation_version,
        reporter: report.reporter.clone(),
        reported: report.reported.clone(),
        category: report.category,
        severity: report.category.severity(),
        messages: report.messages,
        over_limit: report.over_limit,
        reporters: report.reporters,
        upheld: report.upheld,
    }));
    events
}

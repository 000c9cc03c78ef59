//! The forms of a case: claim, release, note, escalate, decide, answer an appeal, take a decision
//! back, open it again; and how many of a member's reports count.
//!
//! Each is one command, by the function that its route of `/v1` calls. What was done is shown by the case anew, once its
//! view has come to it; what was refused, by the case with the form as it was sent, and why.

use axum::extract::State as Extract;
use axum::response::Response;
use commands::Command;
use domain::case::AppealOutcome;
use domain::ids::{CaseId, DecisionId, MemberId};
use projections::ViewName;

use super::case::{Forms, Looked, answer};
use super::ruling::{NO_TIME, reason, ruling, until, wrong};
use super::session::{Posted, Sent, lost};
use crate::app::State;
use crate::caller::{Acting, AsModerator, ShownPosition};
use crate::follow_ups::{act, carried_out};
use crate::pages::filled::Filled;
use crate::pages::form::Fields;
use crate::pages::see;
use crate::problem::{ApiError, Code, FieldCode};
use crate::query::{self, Segments};

type Given = Posted<AsModerator>;
type Done = Result<ShownPosition, ApiError>;

/// Which form.
#[derive(Clone, Copy)]
enum Form {
    Claim,
    Release,
    Note,
    Escalate,
    Decide,
    Appeal,
    Reverse,
    Reopen,
    Limit,
    Unlimit,
}

impl Form {
    /// What the page says when it is done.
    const fn done(self) -> &'static str {
        match self {
            Form::Claim => "claimed",
            Form::Release => "released",
            Form::Note => "noted",
            Form::Escalate => "escalated",
            Form::Decide => "decided",
            Form::Appeal => "answered",
            Form::Reverse => "reversed",
            Form::Reopen => "reopened",
            Form::Limit => "limited",
            Form::Unlimit => "unlimited",
        }
    }

    /// The forms of the page where it was refused.
    fn refused(self, fields: Fields, error: ApiError) -> Forms {
        let mut forms = Forms::fresh();
        let form = match self {
            Form::Claim => &mut forms.claim,
            Form::Release => &mut forms.release,
            Form::Note => &mut forms.note,
            Form::Escalate => &mut forms.escalate,
            Form::Decide => &mut forms.decide,
            Form::Appeal => &mut forms.appeal,
            Form::Reverse => &mut forms.reverse,
            Form::Reopen => &mut forms.reopen,
            Form::Limit => &mut forms.limit,
            Form::Unlimit => &mut forms.unlimit,
        };
        *form = Filled::refused(fields, error);
        forms
    }
}

/// A form's own path asked for as a page, as by reloading one that was refused: the case, anew.
pub(super) async fn back(Segments(id): Segments<String>) -> Response {
    see(&format!("/desk/cases/{}", query::case(&id)))
}

/// Claims a case, or takes it for longer.
pub(super) async fn claim(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, _: &Fields| Ok(Command::ClaimCase { case });
    done(&shared, &id, sent, Form::Claim, command).await
}

/// Lets a case go.
pub(super) async fn release(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, _: &Fields| Ok(Command::ReleaseCase { case });
    done(&shared, &id, sent, Form::Release, command).await
}

/// Writes something down.
pub(super) async fn note(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, fields: &Fields| {
        let text = fields.text("text").to_owned();
        Ok(Command::NoteOnCase { case, text })
    };
    done(&shared, &id, sent, Form::Note, command).await
}

/// Leaves a case to another moderator.
pub(super) async fn escalate(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, fields: &Fields| {
        let text = fields.text("text").to_owned();
        Ok(Command::EscalateCase { case, text })
    };
    done(&shared, &id, sent, Form::Escalate, command).await
}

/// Decides a case.
pub(super) async fn decide(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, fields: &Fields| {
        let ruling = ruling(fields)?;
        Ok(Command::DecideCase { case, ruling })
    };
    done(&shared, &id, sent, Form::Decide, command).await
}

/// Decides the appeal of a decision.
pub(super) async fn appeal(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, fields: &Fields| {
        let outcome = AppealOutcome::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == fields.text("outcome"))
            .ok_or_else(|| wrong("outcome", FieldCode::Missing, "Choose what becomes of it."))?;
        Ok(Command::DecideAppeal {
            case,
            decision: Some(decision(fields)?),
            outcome,
            text: fields.text("text").to_owned(),
        })
    };
    done(&shared, &id, sent, Form::Appeal, command).await
}

/// Takes a decision back.
pub(super) async fn reverse(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, fields: &Fields| {
        Ok(Command::ReverseDecision {
            case,
            decision: decision(fields)?,
            reason: reason(fields)?,
            text: fields.text("text").to_owned(),
        })
    };
    done(&shared, &id, sent, Form::Reverse, command).await
}

/// Opens a decided case again.
pub(super) async fn reopen(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |case, fields: &Fields| {
        let (reason, text) = (reason(fields)?, fields.text("text").to_owned());
        Ok(Command::ReopenCase { case, reason, text })
    };
    done(&shared, &id, sent, Form::Reopen, command).await
}

/// Sets how many of a member's reports count.
pub(super) async fn limit(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |_, fields: &Fields| {
        let per_day = fields.get("per_day").unwrap_or("0").parse();
        let until = fields.get("until").and_then(until);
        Ok(Command::LimitReports {
            member: member(fields)?,
            per_day: per_day
                .map_err(|_| wrong("per_day", FieldCode::Malformed, "That is no number."))?,
            until: until.ok_or_else(|| wrong("until", FieldCode::Malformed, NO_TIME))?,
            reason: reason(fields)?,
        })
    };
    done(&shared, &id, sent, Form::Limit, command).await
}

/// Lets all of a member's reports count again.
pub(super) async fn unlimit(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Given,
) -> Response {
    let command = |_, fields: &Fields| {
        let member = member(fields)?;
        Ok(Command::LiftReportLimit { member })
    };
    done(&shared, &id, sent, Form::Unlimit, command).await
}

/// Carries a form out, and shows what came of it.
async fn done(
    shared: &State,
    id: &str,
    sent: Given,
    form: Form,
    command: impl FnOnce(CaseId, &Fields) -> Result<Command, ApiError>,
) -> Response {
    let Sent {
        acting,
        shown,
        fields,
        outdated,
    } = match sent.acting() {
        Ok(sent) => sent,
        Err(failed) => return *failed,
    };
    let outcome = match (outdated, command(query::case(id), &fields)) {
        (None, Ok(command)) => reached(shared, &acting, command).await,
        (Some(error), _) | (None, Err(error)) => Err(error),
    };
    match outcome {
        Ok(position) => {
            let at = position.to_query();
            let (case, word) = (query::case(id), form.done());
            see(&format!("/desk/cases/{case}?done={word}&at={at}"))
        }
        Err(error) if error.code() == Code::NotFound => lost(error, shown, fields.typed()),
        Err(error) => {
            let status = error.status();
            // Why it was refused may have happened just now. Where the view does not come there, it is shown as it is.
            let (end, within) = (shared.store.durable_position(), shared.options.view_wait);
            let _ = shared
                .reads
                .wait(ViewName::ModerationQueue, end, within)
                .await;
            let looked = Looked {
                id,
                at: None,
                done: None,
                typed: fields.typed(),
            };
            let forms = form.refused(fields, error);
            answer(shared, acting.caller, shown, &looked, forms, status).await
        }
    }
}

async fn reached(shared: &State, acting: &Acting<AsModerator>, command: Command) -> Done {
    let follows = matches!(
        command,
        Command::DecideCase { .. } | Command::DecideAppeal { .. } | Command::ReverseDecision { .. }
    );
    let (outcome, position) = act(shared, acting, command).await?;
    if follows {
        return Ok(carried_out(shared, acting, &outcome).await.position);
    }
    Ok(position)
}

/// The member that a form is about.
fn member(fields: &Fields) -> Result<MemberId, ApiError> {
    let id = MemberId::new(fields.text("member"));
    id.map_err(|_| wrong("member", FieldCode::Malformed, "That is no member."))
}

/// The decision that a form is about.
fn decision(fields: &Fields) -> Result<DecisionId, ApiError> {
    let id = fields.text("decision").parse();
    id.map_err(|_| wrong("decision", FieldCode::Malformed, "That is no decision."))
}

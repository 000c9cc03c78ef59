//! `/desk/acts/{id}`: a decision on many cases at once, how far it has come, and the form that takes it back.
//!
//! It is what `GET /v1/moderation/acts/{id}` answers. While the cases are decided the page goes on by itself; the form stands
//! apart from what is replaced, so that nothing typed is lost.

use askama::Template;
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use commands::Command;
use domain::act::{MovedOn, PassedCase};
use projections::{Act, ActStep, ViewName};

use super::ruling::{action, reason};
use super::session::{Posted, Seat, Sent, failed, lost};
use crate::app::State;
use crate::caller::{Acting, AsModerator, Caller};
use crate::follow_ups::{act, carried_out};
use crate::pages::filled::Filled;
use crate::pages::form::Fields;
use crate::pages::shown::When;
use crate::pages::{Frame, SeatShown, html, see};
use crate::problem::{ApiError, Code};
use crate::query::{self, Segments};
use crate::routes::acts::act_for;

#[derive(Template)]
#[template(path = "desk/act.html")]
struct Page {
    frame: Frame,
    csrf: String,
    id: String,
    member: String,
    action: &'static str,
    until: Option<When>,
    facts: String,
    total: u64,
    decision: Step,
    reversal: Option<Step>,
    /// What was just done.
    done: Option<&'static str>,
    /// The form that takes it back, where it was not.
    reverse: Option<Filled>,
}

/// A step of the act, as far as it has come.
struct Step {
    by: String,
    reason: String,
    text: String,
    at: When,
    /// On how many cases it is done.
    cases: u64,
    /// Those that had moved on, and why.
    moved_on: Vec<(String, &'static str)>,
    /// How many were gone through.
    gone: u64,
    finished: bool,
}

impl From<ActStep> for Step {
    fn from(step: ActStep) -> Self {
        let passed = step.moved_on.iter();
        let passed = passed.map(|PassedCase { case, why }| (case.to_string(), words(*why)));
        let moved_on: Vec<_> = passed.collect();
        Step {
            by: step.by.to_string(),
            reason: step.reason.to_string(),
            text: step.text,
            at: When(step.at),
            cases: step.done,
            gone: step.done + u64::try_from(moved_on.len()).unwrap_or(u64::MAX),
            moved_on,
            finished: step.finished,
        }
    }
}

/// Why a case was passed over, in words.
const fn words(why: MovedOn) -> &'static str {
    match why {
        MovedOn::NotFound => "is no case of this member",
        MovedOn::OwnCase => "is of the moderator's own conversation",
        MovedOn::Claimed => "is held by another moderator",
        MovedOn::Decided => "was decided meanwhile",
        MovedOn::Escalated => "was left to another moderator",
        MovedOn::Reported => "something was reported since it was seen",
        MovedOn::Reopened => "was opened again since it was seen",
        MovedOn::Reversed => "its decision was taken back already",
        MovedOn::Appealed => "its decision is appealed, which another moderator answers",
    }
}

/// What was just done, by the word that the page was called with.
fn done(word: Option<&str>) -> Option<&'static str> {
    match word {
        Some("decided") => Some("It is on record, and its cases are decided one after another."),
        Some("reversed") => Some("It is taken back, one decision after another."),
        Some(_) | None => None,
    }
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    seat: Seat<AsModerator>,
    Segments(id): Segments<String>,
    uri: Uri,
) -> Response {
    let asked = match Fields::of_query(uri.query()) {
        Ok(asked) => asked,
        Err(error) => return seat.failed(error),
    };
    let Seat { caller, shown } = seat;
    match made(&shared, &caller, &shown, &id, &asked, Filled::fresh()).await {
        Ok(page) => html(StatusCode::OK, &page),
        Err(error) => failed(error, shown),
    }
}

/// The form's own path asked for as a page.
pub(super) async fn back(Segments(id): Segments<String>) -> Response {
    see(&format!("/desk/acts/{}", query::act(&id)))
}

/// Takes the act back, and shows how far that has come.
pub(super) async fn reverse(
    Extract(shared): Extract<State>,
    Segments(id): Segments<String>,
    sent: Posted<AsModerator>,
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
    let outcome = match outdated {
        None => reversed(&shared, &acting, &id, &fields).await,
        Some(error) => Err(error),
    };
    match outcome {
        Ok(path) => see(&path),
        Err(error) if error.code() == Code::NotFound => lost(error, shown, fields.typed()),
        Err(error) => {
            let (status, typed) = (error.status(), fields.typed());
            let form = Filled::refused(fields, error);
            let asked = Fields::default();
            match made(&shared, &acting.caller, &shown, &id, &asked, form).await {
                Ok(page) => html(status, &page),
                Err(error) => lost(error, shown, typed),
            }
        }
    }
}

async fn reversed(
    shared: &State,
    acting: &Acting<AsModerator>,
    id: &str,
    fields: &Fields,
) -> Result<String, ApiError> {
    let id = query::act(id);
    let command = Command::ReverseCases {
        act: id,
        reason: reason(fields)?,
        text: fields.text("text").to_owned(),
    };
    let (outcome, _) = act(shared, acting, command).await?;
    let at = carried_out(shared, acting, &outcome)
        .await
        .position
        .to_query();
    Ok(format!("/desk/acts/{id}?done=reversed&at={at}"))
}

async fn made(
    shared: &State,
    caller: &Caller<AsModerator>,
    seat: &SeatShown,
    id: &str,
    asked: &Fields,
    form: Filled,
) -> Result<Page, ApiError> {
    let view = ViewName::ModerationQueue;
    shared.reached(caller, view, asked.get("at")).await?;
    let answer = act_for(shared, caller, id).await?;
    let at = caller.shows(shared, answer.position).to_query();
    let Act {
        act_id,
        member,
        action: of,
        until,
        facts,
        total,
        decision,
        reversal,
    } = answer.value;
    Ok(Page {
        frame: Frame {
            seat: Some(seat.clone()),
            live: Some(format!("/desk/live?act={act_id}&after={at}")),
            ..Frame::titled(format!("Act on cases about {member}"))
        },
        csrf: seat.csrf.clone(),
        id: act_id.to_string(),
        member: member.to_string(),
        action: action(of),
        until: until.map(When),
        facts,
        total,
        done: done(asked.get("done")),
        reverse: (reversal.is_none() || form.is_refused()).then_some(form),
        decision: decision.into(),
        reversal: reversal.map(Step::from),
    })
}

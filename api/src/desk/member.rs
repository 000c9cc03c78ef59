//! `/desk/members/{id}`: a member's cases that may be decided at once, and the form that does it.
//!
//! The form names each case with the revision at which the page showed it, so that what has changed since is passed over and
//! told on the act's page. Those that the act would pass over anyway, held by another or left by who looks, are not offered.

use askama::Template;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use commands::{Answer, Command};
use domain::act::{CASES_MAX, SeenCase};
use domain::case::Action;
use domain::ids::MemberId;
use projections::{CaseState, Page as Listed, PageRequest, QueueFilter, QueueItem, ViewName};

use super::queue::{self, Held};
use super::ruling::{self, Choice, ruling, wrong};
use super::session::{Posted, Seat, Sent, lost};
use crate::app::State;
use crate::caller::{Acting, AsModerator, Caller};
use crate::follow_ups::{act, carried_out};
use crate::pages::filled::Filled;
use crate::pages::form::{Fields, encoded};
use crate::pages::shown::{When, category, count};
use crate::pages::{Frame, SeatShown, html, see};
use crate::problem::{ApiError, Code, FieldCode};
use crate::query::{self, Segments};

/// Pages of the queue that are looked through for the cases of a form.
const PAGES_MAX: usize = 10;
/// What stands between a case and its revision in a form.
const AS_SEEN: char = ':';

#[derive(Template)]
#[template(path = "desk/member.html")]
struct Page {
    frame: Frame,
    csrf: String,
    member: String,
    cases: Vec<Seen>,
    /// Whether there are more than one act may have.
    more: bool,
    form: Filled,
    actions: Vec<Choice>,
    reasons: Vec<&'static str>,
}

/// A case as it is seen.
struct Seen {
    id: String,
    /// The case and its revision, as the form sends them.
    value: String,
    state: &'static str,
    categories: String,
    reports: String,
    opened_at: When,
    held: Option<Held>,
    chosen: bool,
}

impl Seen {
    fn new(item: &QueueItem, me: &MemberId, form: &Filled) -> Self {
        let id = item.case_id.to_string();
        let named = |sent: &str| sent.split(AS_SEEN).next() == Some(&*id);
        let chosen = !form.is_refused() || form.typed.all("cases").any(named);
        let categories: Vec<&str> = item.categories.iter().map(|one| category(*one)).collect();
        Seen {
            value: format!("{id}{AS_SEEN}{}", item.revision),
            state: queue::state(item.state),
            categories: categories.join(", "),
            reports: count(item.reports, "report", "reports"),
            opened_at: When(item.opened_at),
            held: queue::held(item, me),
            chosen,
            id,
        }
    }
}

/// The case and the revision that a form names.
fn seen(text: &str) -> Option<SeenCase> {
    let (case, revision) = text.split_once(AS_SEEN)?;
    Some(SeenCase {
        case: query::case(case),
        revision: revision.parse().ok()?,
    })
}

/// The member whom a path names.
fn member(text: &str) -> Result<MemberId, ApiError> {
    MemberId::new(text).map_err(|_| {
        let words = "There is nobody by that name.";
        ApiError::with_detail(Code::NotFound, words)
    })
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    seat: Seat<AsModerator>,
    Segments(id): Segments<String>,
) -> Response {
    let Seat { caller, shown } = seat;
    let fresh = Filled::fresh();
    answer(&shared, &caller, shown, &id, fresh, StatusCode::OK).await
}

/// The form's own path asked for as a page.
pub(super) async fn back(Segments(id): Segments<String>) -> Response {
    see(&format!("/desk/members/{}", encoded(&id)))
}

/// Decides the cases that the form names, and shows how far that has come.
pub(super) async fn decide(
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
        None => decided(&shared, &acting, &id, &fields).await,
        Some(error) => Err(error),
    };
    match outcome {
        Ok(path) => see(&path),
        Err(error) if error.code() == Code::NotFound => lost(error, shown, fields.typed()),
        Err(error) => {
            let status = error.status();
            let form = Filled::refused(fields, error);
            answer(&shared, &acting.caller, shown, &id, form, status).await
        }
    }
}

async fn decided(
    shared: &State,
    acting: &Acting<AsModerator>,
    id: &str,
    fields: &Fields,
) -> Result<String, ApiError> {
    let malformed = || {
        wrong(
            "cases",
            FieldCode::Malformed,
            "That is no case as it was seen.",
        )
    };
    let cases = fields.all("cases").map(seen);
    let command = Command::DecideCases {
        member: member(id)?,
        cases: cases.collect::<Option<_>>().ok_or_else(malformed)?,
        ruling: ruling(fields)?,
    };
    let (outcome, _) = act(shared, acting, command).await?;
    let position = carried_out(shared, acting, &outcome).await.position;
    let Answer::DecidedMany { act } = outcome.answer else {
        let words = "an act without an id";
        return Err(ApiError::with_detail(Code::Internal, words));
    };
    let at = position.to_query();
    Ok(format!("/desk/acts/{act}?done=decided&at={at}"))
}

async fn answer(
    shared: &State,
    caller: &Caller<AsModerator>,
    seat: SeatShown,
    id: &str,
    form: Filled,
    status: StatusCode,
) -> Response {
    let typed = form.typed.typed();
    match made(shared, caller, &seat, id, form).await {
        Ok(page) => html(status, &page),
        Err(error) => lost(error, seat, typed),
    }
}

async fn made(
    shared: &State,
    caller: &Caller<AsModerator>,
    seat: &SeatShown,
    id: &str,
    form: Filled,
) -> Result<Page, ApiError> {
    let member = member(id)?;
    let me = caller.sub();
    // As far as the view comes in time: a case that it shows as it was before is passed over, and nothing typed is lost.
    let (end, within) = (shared.store.durable_position(), shared.options.view_wait);
    let _ = shared
        .reads
        .wait(ViewName::ModerationQueue, end, within)
        .await;
    let (items, more) = waiting(shared, &member, me).await?;
    Ok(Page {
        frame: Frame {
            seat: Some(seat.clone()),
            ..Frame::titled(format!("Cases about {member}"))
        },
        csrf: seat.csrf.clone(),
        cases: items
            .iter()
            .map(|item| Seen::new(item, me, &form))
            .collect(),
        more,
        actions: ruling::choices(&form, |of| of != Action::RemoveMessages),
        reasons: ruling::reasons(),
        member: member.to_string(),
        form,
    })
}

/// The member's cases that this moderator may decide, the most urgent first, and whether there are more.
async fn waiting(
    shared: &State,
    member: &MemberId,
    me: &MemberId,
) -> Result<(Vec<QueueItem>, bool), ApiError> {
    let max = usize::try_from(CASES_MAX).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for (state, claimed_by) in [
        (CaseState::Claimed, Some(me.clone())),
        (CaseState::Open, None),
    ] {
        let filter = QueueFilter {
            state: Some(state),
            member: Some(member.clone()),
            claimed_by,
            besides: Some(me.clone()),
            ..QueueFilter::default()
        };
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let asked = PageRequest::new(projections::LIMIT_MAX, after.take())?;
            let Listed { items, next, .. } = shared.reads.moderation_queue(&filter, &asked).await?;
            let may = |item: &QueueItem| item.escalated_by.as_ref() != Some(me);
            found.extend(items.into_iter().filter(may));
            after = next;
            if after.is_none() || found.len() > max {
                break;
            }
        }
        if after.is_some() {
            found.truncate(max);
            return Ok((found, true));
        }
    }
    let more = found.len() > max;
    found.truncate(max);
    Ok((found, more))
}

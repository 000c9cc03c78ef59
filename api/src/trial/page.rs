//! `GET /try`: the page with the two sides.
//!
//! The page waits until the views of both have come to what was done, or to what there is, so that one sees what one did;
//! where that takes too long it says so and shows what they have.

use std::time::Duration;

use askama::Template;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use event_store::Position;
use projections::ViewName;
use uuid::Uuid;

use super::acts;
use super::asked::{Asked, Slot};
use super::refused::Refused;
use super::side::{Choice, Side, side};
use super::statements::Lasts;
use super::told::{Told, told};
use super::{COOKIE, HOME, Trial, trial};
use crate::app::{Shared, State};
use crate::caller::AsMemberUnlimited;
use crate::pages::form::Fields;
use crate::pages::{Failed, Frame, html};
use crate::problem::{ApiError, Code};

/// The views that the two sides are made of.
const VIEWS: [ViewName; 7] = [
    ViewName::Inbox,
    ViewName::Requests,
    ViewName::Conversation,
    ViewName::Blocked,
    ViewName::Members,
    ViewName::Reports,
    ViewName::Decisions,
];

#[derive(Template)]
#[template(path = "try/page.html")]
struct Page {
    frame: Frame,
    sides: Vec<Side>,
    /// Who may be chosen on each side.
    choices: [Vec<Choice>; 2],
    told: Option<Told>,
    /// Nothing that was done last: what is wrong with what was asked for.
    refused: Option<Refused>,
    /// The views have not come to what was done.
    behind: bool,
    csrf: String,
    /// Where forms are sent.
    act: String,
}

impl Page {
    /// An id for a form, made when it is shown, so that sending it twice does once.
    fn key() -> Uuid {
        Uuid::new_v4()
    }

    /// Whether this field of a side's form was wrong.
    fn is_wrong(&self, slot: &str, field: &str) -> bool {
        let element = format!("{slot}-{field}");
        let refused = self.refused_at(slot);
        refused.is_some_and(|refused| refused.alert.is_at(&element))
    }

    /// What a side's form was refused for.
    fn refused_at(&self, slot: &str) -> Option<&Refused> {
        let refused = self.refused.as_ref();
        refused.filter(|refused| refused.at.as_str() == slot)
    }
}

/// The page.
pub(super) async fn page(
    Extract(shared): Extract<State>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let asked = async {
        let trial = trial(&shared)?;
        let asked = Asked::of(&Fields::of_query(uri.query())?, trial)?;
        Ok((trial, asked))
    };
    match asked.await {
        Ok((trial, asked)) => answer(&shared, trial, &headers, &asked, None).await,
        Err(error) => failed(error),
    }
}

/// A failure, told on a page.
pub(super) fn failed(error: ApiError) -> Response {
    Failed::new(error, None, HOME).into_response()
}

/// The page as it is answered, with what was refused where something was.
pub(super) async fn answer(
    shared: &State,
    trial: &Trial,
    headers: &HeaderMap,
    asked: &Asked,
    refused: Option<Refused>,
) -> Response {
    // The value is random: it binds forms to this browser and says nothing.
    let known = COOKIE
        .of(headers)
        .filter(|value| Uuid::try_parse(value).is_ok());
    let cookie = known.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let status = refused
        .as_ref()
        .map_or(StatusCode::OK, |refused| refused.status);
    let page = match made(shared, trial, asked, refused, COOKIE.mark(shared, &cookie)).await {
        Ok(page) => page,
        Err(error) => return failed(error),
    };
    let mut response = html(status, &page);
    match COOKIE.set(headers, &cookie) {
        Some(cookie) => {
            let headers = response.headers_mut();
            headers.append(axum::http::header::SET_COOKIE, cookie);
            response
        }
        None => failed(ApiError::new(Code::Internal)),
    }
}

async fn made(
    shared: &State,
    trial: &Trial,
    asked: &Asked,
    mut refused: Option<Refused>,
    csrf: String,
) -> Result<Page, ApiError> {
    let [left, _] = &asked.members;
    let caller = acts::caller::<AsMemberUnlimited>(shared, left).await?;
    let position = match &asked.at {
        Some(at) => shared.position_given(&caller, "at", at)?,
        // A fresh page has what there is; a service that has just begun may have to make it first.
        None => shared.store.durable_position(),
    };
    let behind = !reached(shared, position, shared.options.view_wait).await;
    // The sides stand here or further on; what comes later is told to the page.
    let applied = VIEWS.iter().map(|view| shared.reads.applied(*view)).min();
    let stands = caller.shows(shared, applied.unwrap_or(Position::START));
    let mut sides = Vec::with_capacity(Slot::ALL.len());
    for slot in Slot::ALL {
        sides.push(side(shared, trial, asked, slot).await?);
    }
    if let Some(refused) = &mut refused {
        let at = refused.at.as_str();
        let mut of = sides.iter_mut().filter(|side| side.slot == at);
        of.by_ref().for_each(|side| refused.put_back(side));
    }
    Ok(Page {
        frame: Frame {
            live: Some(asked.live(stands.to_header().to_str().unwrap_or_default())),
            ..Frame::titled("Try it")
        },
        sides,
        choices: Slot::ALL.map(|slot| choices(trial, asked, slot)),
        told: told(shared, asked).await,
        refused,
        behind,
        csrf,
        act: asked.act(),
    })
}

/// Whether the views of the two sides have come to a position, within a while for each.
pub(super) async fn reached(shared: &Shared, position: Position, within: Duration) -> bool {
    for view in VIEWS {
        if shared.reads.wait(view, position, within).await.is_err() {
            return false;
        }
    }
    true
}

fn choices(trial: &Trial, asked: &Asked, slot: Slot) -> Vec<Choice> {
    let members = trial.members.iter();
    let choices = members.map(|member| Choice {
        value: member.id.to_string(),
        text: if member.about.is_empty() {
            member.id.to_string()
        } else {
            format!("{}: {}", member.id, member.about)
        },
        chosen: member.id == *slot.of(&asked.members),
    });
    choices.collect()
}

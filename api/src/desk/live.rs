//! `/desk/live`: a stream that tells a page of the desk that it has changed.
//!
//! It says no more than that, and how far to look: what changed is asked for by the page, as it was asked for first. The
//! stream takes one of the places of the moderator's feeds, wakes by the hub as all streams do, and tells of many changes
//! together, once the view has come to the last of them. Looking at a case changes nothing that a page shows. Of what
//! concerns whoever follows nothing is told: nobody learns from it that they were reported.

use std::time::Duration;

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use domain::act::stream_of_act;
use domain::case;
use domain::event::Event;
use domain::ids::{ActId, CaseId, MemberId};
use event_store::{Position, ReadError, RecordedEvent};
use projections::{ViewName, WaitError};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::session::{COOKIE, Seat};
use crate::app::State;
use crate::caller::{AsModerator, Caller, LAST_EVENT_ID, ShownPosition, last_event_id};
use crate::following::blocks::BLOCK_EVENTS;
use crate::following::frames::{End, Form};
use crate::following::hub::FeedPlace;
use crate::following::session::{self, Frames, Session, Woken};
use crate::pages::form::Fields;
use crate::problem::{ApiError, Code};
use crate::query;
use crate::server::Cut;

/// Two changes are told at least so far apart.
const APART: Duration = Duration::from_millis(500);
/// Blocks of the log that are looked through for a change; who is further behind is told that there is one.
const BLOCKS_MAX: usize = 32;

/// What a page shows.
enum Page {
    /// The queue.
    Queue,
    /// A case.
    Case(String),
    /// An act on many cases.
    Act(ActId),
}

impl Page {
    fn of(fields: &Fields) -> Self {
        if let Some(act) = fields.get("act") {
            return Page::Act(query::act(act));
        }
        let case = fields.get("case").map(query::case);
        case.map_or(Page::Queue, |case: CaseId| {
            Page::Case(domain::case::stream(case))
        })
    }

    /// Whether an event changes it, as this moderator sees it.
    fn shows(&self, event: &RecordedEvent, to: &MemberId) -> bool {
        let event_type = event.event_type();
        if event.members().any(|member| member == to.as_str()) {
            return false;
        }
        if event_type.starts_with("content-disclosed.")
            || event_type.starts_with("command-refused.")
            || event_type.starts_with("command-unchanged.")
        {
            return false;
        }
        match self {
            Page::Queue => {
                event.stream().starts_with("case-") || event_type.starts_with("messages-reported.")
            }
            Page::Case(stream) => event.stream() == stream,
            Page::Act(act) => event.stream() == stream_of_act(*act) || of_act(event) == Some(*act),
        }
    }
}

/// The act on many cases that a decision, or its reversal, is part of.
fn of_act(event: &RecordedEvent) -> Option<ActId> {
    let event_type = event.event_type();
    let decides = ["case-decided.", "decision-reversed."];
    if !decides.iter().any(|one| event_type.starts_with(one)) {
        return None;
    }
    match domain::codec::decode(event_type, event.data()) {
        Ok(Event::Case(case::Event::CaseDecided(decided))) => decided.act,
        Ok(Event::Case(case::Event::DecisionReversed(reversed))) => reversed.act,
        Ok(_) | Err(_) => None,
    }
}

/// The stream.
struct Live {
    session: Session,
    caller: Caller<AsModerator>,
    page: Page,
    /// Every change up to here was told, or is to be told.
    at: Position,
    /// The last change that is to be told.
    changed: Option<Position>,
    /// Nothing is told before.
    not_before: Instant,
    tip: watch::Receiver<Position>,
    began: bool,
}

/// What a page is told.
#[derive(Serialize)]
struct Changed<'a> {
    position: &'a ShownPosition,
}

/// The stream that goes on after a position that the page was given, or from now on.
pub(super) async fn live(
    Extract(shared): Extract<State>,
    seat: Seat<AsModerator>,
    headers: HeaderMap,
    uri: Uri,
    cut: Option<Extension<Cut>>,
) -> Response {
    match opened(&shared, seat, &headers, &uri, cut.map(|cut| cut.0)) {
        Ok(response) => response,
        // Whoever reads a stream reads no page.
        Err(error) => error.into_response(),
    }
}

fn opened(
    shared: &State,
    seat: Seat<AsModerator>,
    headers: &HeaderMap,
    uri: &Uri,
    cut: Option<Cut>,
) -> Result<Response, ApiError> {
    let fields = Fields::of_query(uri.query())?;
    let caller = seat.caller;
    let given = match last_event_id(headers)? {
        Some(text) => Some((LAST_EVENT_ID, text)),
        None => fields.get("after").map(|text| ("after", text)),
    };
    let after = match given {
        Some((field, text)) => Some((field, shared.position_given(&caller, field, text)?)),
        None => None,
    };
    let FeedPlace { place, .. } = shared.following.feed(caller.sub(), cut)?;
    let tip = shared.following.tip();
    let end = shared.store.durable_position();
    if let Some((field, _)) = after.filter(|(_, after)| *after > end) {
        let detail = "It lies beyond the end of the log.";
        return Err(ApiError::field(Code::InvalidQuery, field, detail));
    }
    let token = COOKIE.of(headers).unwrap_or_default();
    let position = caller.shows(shared, end);
    let live = Live {
        session: Session::new(shared, place, token),
        caller,
        page: Page::of(&fields),
        at: after.map_or(end, |(_, after)| after),
        changed: None,
        not_before: Instant::now(),
        tip,
        began: false,
    };
    Ok(session::answer(
        session::body(live),
        Form::Events,
        &position,
    ))
}

impl Live {
    /// Looks through what has come, to the end of what there is.
    async fn look(&mut self) -> Result<(), ReadError> {
        let shared = State::clone(self.session.shared());
        for _ in 0..BLOCKS_MAX {
            let Some(block) = shared.following.blocks.after(self.at, BLOCK_EVENTS).await? else {
                return Ok(());
            };
            for held in &block.events {
                let position = held.event.position();
                if position > self.at && self.page.shows(&held.event, self.caller.sub()) {
                    self.changed = Some(position);
                }
            }
            self.at = self.at.max(block.to());
        }
        self.at = shared.store.durable_position();
        self.changed = Some(self.at);
        Ok(())
    }

    fn end(&mut self, end: &End, frame: &mut Vec<u8>) {
        Form::Events.end(end, frame);
        self.session.end();
    }

    fn tell(&mut self, position: Position, frame: &mut Vec<u8>) {
        let position = self.caller.shows(self.session.shared(), position);
        let changed = Changed {
            position: &position,
        };
        Form::Events.said(Some(&position), "changed", &changed, frame);
        self.not_before = Instant::now() + APART;
    }
}

/// Waits until the queue's view has come to a position; says whether it has.
async fn shown(shared: State, position: Position, not_before: Instant) -> Result<bool, ()> {
    tokio::time::sleep_until(not_before).await;
    let within = shared.following.options.heartbeat;
    let view = ViewName::ModerationQueue;
    match shared.reads.wait(view, position, within).await {
        Ok(()) => Ok(true),
        Err(WaitError::Behind(_)) => Ok(false),
        Err(WaitError::Stopped(_)) => Err(()),
    }
}

impl Frames for Live {
    async fn next(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        if !self.began {
            self.began = true;
            Form::Events.beginning(&mut frame);
            // Something, so that who waits for the stream knows that it is there.
            Form::comment(&mut frame);
            return frame;
        }
        loop {
            match self.session.due() {
                Woken::Came(()) => {}
                Woken::Beat => Form::comment(&mut frame),
                Woken::Over(end) => self.end(&end, &mut frame),
            }
            if !frame.is_empty() {
                return frame;
            }
            // What comes while one waits is told with the rest.
            if self.look().await.is_err() {
                self.end(&End::NOT_READY, &mut frame);
                return frame;
            }
            let woken = if let Some(position) = self.changed {
                let shared = State::clone(self.session.shared());
                let waiting = shown(shared, position, self.not_before);
                match self.session.wait(waiting).await {
                    Woken::Came(Ok(true)) => {
                        self.changed = None;
                        self.tell(position, &mut frame);
                        return frame;
                    }
                    Woken::Came(Ok(false)) => continue,
                    Woken::Came(Err(())) => Woken::Over(End::NOT_READY),
                    Woken::Beat => Woken::Beat,
                    Woken::Over(end) => Woken::Over(end),
                }
            } else {
                let (at, mut tip) = (self.at, self.tip.clone());
                let waiting = async move { tip.wait_for(|tip| *tip > at).await.map(drop) };
                self.session.wait(waiting).await
            };
            match woken {
                Woken::Came(Ok(())) => {}
                Woken::Came(Err(_)) => self.end(&End::STOPPING, &mut frame),
                Woken::Beat => Form::comment(&mut frame),
                Woken::Over(end) => self.end(&end, &mut frame),
            }
            if !frame.is_empty() {
                return frame;
            }
        }
    }

    fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

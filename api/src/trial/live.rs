//! `GET /try/live`: tells a page that something which may concern one of its two members happened, once the views have it.
//!
//! It stands on the members' feeds: a place of each at the hub, woken by what may concern them. Wakings that come while the
//! views catch up are told as one, with the latest position. It ends when the service does, and its places with it.

use std::future::Future;

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use domain::ids::MemberId;
use event_store::Position;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::acts::caller;
use super::asked::Asked;
use super::page::reached;
use super::trial;
use crate::app::State;
use crate::caller::{AsMemberUnlimited, Caller, LAST_EVENT_ID, last_event_id};
use crate::following::frames::{End, Form};
use crate::following::hub::FeedPlace;
use crate::following::session;
use crate::pages::form::Fields;
use crate::problem::ApiError;
use crate::server::Cut;

/// What one page is told over.
struct Watching {
    shared: State,
    caller: Caller<AsMemberUnlimited>,
    places: [FeedPlace; 2],
    stopping: watch::Receiver<bool>,
    beat: Instant,
    /// Something happened up to here.
    due: Position,
    /// It was told up to here.
    told: Position,
    began: bool,
    over: bool,
}

/// The stream of one page.
pub(super) async fn live(
    Extract(shared): Extract<State>,
    headers: HeaderMap,
    cut: Option<Extension<Cut>>,
    uri: Uri,
) -> Response {
    match opened(shared, &headers, cut.map(|cut| cut.0), &uri).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn opened(
    shared: State,
    headers: &HeaderMap,
    cut: Option<Cut>,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let fields = Fields::of_query(uri.query())?;
    let asked = Asked::of(&fields, trial(&shared)?)?;
    let [left, right] = &asked.members;
    let caller = caller(&shared, left).await?;
    let after = match last_event_id(headers)? {
        Some(text) => Some((LAST_EVENT_ID, text)),
        None => fields.get("after").map(|text| ("after", text)),
    };
    let after = match after {
        Some((field, text)) => Some(shared.position_given(&caller, field, text)?),
        None => None,
    };
    let place = |member: &MemberId| shared.following.feed(member, cut.clone());
    let places = [place(left)?, place(right)?];
    // What happens after this wakes the places; whether what happened before concerns the two, a look will tell.
    let end = shared.store.durable_position();
    let position = caller.shows(&shared, end);
    let watching = Watching {
        stopping: shared.following.stopping(),
        beat: Instant::now() + shared.following.options.heartbeat,
        due: end,
        told: after.unwrap_or(end),
        shared,
        caller,
        places,
        began: false,
        over: false,
    };
    let frames = futures::stream::unfold(watching, async |mut watching| {
        watching.places.iter().for_each(|one| one.place.taken());
        if watching.over {
            return None;
        }
        let frame = watching.next().await;
        watching.places.iter().for_each(|one| one.place.handed());
        Some((Ok::<_, std::io::Error>(Bytes::from(frame)), watching))
    });
    let body = axum::body::Body::from_stream(frames);
    Ok(session::answer(body, Form::Events, &position))
}

impl Watching {
    /// What the page is told next.
    async fn next(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        if !self.began {
            self.began = true;
            Form::Events.beginning(&mut frame);
            return frame;
        }
        loop {
            for one in &mut self.places {
                self.due = self.due.max(*one.concerned.borrow_and_update());
            }
            if self.due > self.told {
                let (shared, due) = (State::clone(&self.shared), self.due);
                let within = shared.following.options.heartbeat;
                match self.unless_stopped(reached(&shared, due, within)).await {
                    None => return self.ended(),
                    // Nothing that may be told yet, and somebody has to hear that we are here.
                    Some(false) => Form::comment(&mut frame),
                    Some(true) => {
                        self.told = due;
                        let position = self.caller.shows(&self.shared, due);
                        Form::Events.said(Some(&position), "changed", &json!({}), &mut frame);
                    }
                }
                return frame;
            }
            let beat = self.beat;
            let [left, right] = &mut self.places;
            let mut stopping = self.stopping.clone();
            let woken = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => None,
                woken = left.concerned.changed() => woken.ok().map(|()| false),
                woken = right.concerned.changed() => woken.ok().map(|()| false),
                () = tokio::time::sleep_until(beat) => Some(true),
            };
            match woken {
                // The service stops, or nobody wakes it any more.
                None => return self.ended(),
                Some(false) => {}
                Some(true) => {
                    self.beat = Instant::now() + self.shared.following.options.heartbeat;
                    Form::comment(&mut frame);
                    return frame;
                }
            }
        }
    }

    async fn unless_stopped<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => None,
            came = what => Some(came),
        }
    }

    fn ended(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        self.over = true;
        Form::Events.end(&End::STOPPING, &mut frame);
        frame
    }
}

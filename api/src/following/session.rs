//! What every stream shares: its place, its heartbeats, and what ends it.
//!
//! Promise: a stream says something at least once a heartbeat, outlives its token by no more than that, ends with words
//! when the service stops, and is known to the hub while something waits to be taken. The token is looked at again with
//! each heartbeat, so that a key that is taken out of the set ends what it opened.

use std::future::Future;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::frames::{End, Form};
use super::hub::Place;
use crate::app::State;
use crate::caller::{DOORSTEP_POSITION, ShownPosition};

/// Bytes of a frame, about; a stream makes the next one when this one is taken.
pub(crate) const FRAME_BYTES: usize = 64 * 1024;

/// What woke a stream that waited.
pub(crate) enum Woken<T> {
    /// What it waited for.
    Came(T),
    /// A heartbeat is due.
    Beat,
    /// It is over.
    Over(End),
}

/// A stream's own.
pub(crate) struct Session {
    shared: State,
    place: Place,
    token: String,
    beat: Instant,
    stopping: watch::Receiver<bool>,
    over: bool,
}

impl Session {
    /// The session of a stream with this place, opened by a token.
    pub(crate) fn new(shared: &State, place: Place, token: &str) -> Self {
        let stopping = place.hub().stopping();
        Self {
            shared: State::clone(shared),
            beat: Instant::now() + place.hub().options.heartbeat,
            place,
            token: token.to_owned(),
            stopping,
            over: false,
        }
    }

    /// The state of all routes.
    pub(crate) fn shared(&self) -> &State {
        &self.shared
    }

    /// Waits for something, but no longer than to the next heartbeat or the end.
    pub(crate) async fn wait<T>(&mut self, what: impl Future<Output = T>) -> Woken<T> {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => return Woken::Over(End::STOPPING),
            came = what => return Woken::Came(came),
            () = tokio::time::sleep_until(self.beat) => {}
        }
        self.beaten()
    }

    /// What is due without waiting; nothing is `Came`.
    pub(crate) fn due(&mut self) -> Woken<()> {
        if *self.stopping.borrow() {
            return Woken::Over(End::STOPPING);
        }
        if Instant::now() < self.beat {
            return Woken::Came(());
        }
        self.beaten()
    }

    fn beaten<T>(&mut self) -> Woken<T> {
        self.said();
        match self.shared.tokens.check(&self.token) {
            Ok(_) => Woken::Beat,
            Err(refused) => Woken::Over(End::of_token(refused.code())),
        }
    }

    /// The next heartbeat is a whole one away.
    fn said(&mut self) {
        self.beat = Instant::now() + self.place.hub().options.heartbeat;
    }

    /// Nothing is said after this.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    /// Whether all is said.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }
}

/// Something that makes frames, one when asked, with the session that it makes them in.
pub(crate) trait Frames: Send + 'static {
    /// The next frame; empty once the session is over.
    fn next(&mut self) -> impl Future<Output = Vec<u8>> + Send;

    /// Its session.
    fn session(&mut self) -> &mut Session;
}

/// A body of these frames.
pub(crate) fn body(frames: impl Frames) -> Body {
    let frames = futures::stream::unfold(frames, async |mut frames| {
        frames.session().place.taken();
        if frames.session().is_over() {
            return None;
        }
        let frame = frames.next().await;
        if frame.is_empty() {
            return None;
        }
        frames.session().place.handed();
        Some((Ok::<_, std::io::Error>(Bytes::from(frame)), frames))
    });
    Body::from_stream(frames)
}

/// The answer that a stream is the body of, with the position at which it was asked for.
pub(crate) fn answer(body: Body, form: Form, position: &ShownPosition) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static(form.media_type());
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(DOORSTEP_POSITION, position.to_header());
    // Proxies that gather what they pass on would keep it back.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    headers.insert(unbuffered, HeaderValue::from_static("no"));
    response
}

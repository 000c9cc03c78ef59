//! What nobody read of a request's body: read to its end and thrown away before the answer, or the connection is closed.
//!
//! Promise: an answer after which the connection cannot be used says so with `Connection: close`. Many a request is
//! answered before its body was read, or all of it had come: without a token, say. Over HTTP/1.1 the next request stands
//! behind that body, so a connection goes on only once it is gone. Small bodies are; of one that is larger, late, or
//! waits to be asked for (`Expect: 100-continue`) the connection is given up. Bodies that are read whole cost one lock.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt as _;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

use crate::body::BODY_BYTES_MAX;

/// How long an answer waits for the rest of a body.
const WITHIN: Duration = Duration::from_secs(1);

/// A body, and whether its end was met: one in chunks does not say so by itself.
struct Held {
    body: Body,
    ended: bool,
}

impl Held {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }
}

/// A body of which something may be left.
pub(crate) struct Unread {
    held: Arc<Mutex<Held>>,
    waits_to_be_asked: bool,
}

/// The same body, as the route reads it.
struct Read(Arc<Mutex<Held>>);

impl HttpBody for Read {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0.lock().poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}

/// The request as it came, and what keeps hold of its body, if it has one.
pub(crate) fn keep(request: Request) -> (Request, Option<Unread>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let (parts, body) = request.into_parts();
    let held = Arc::new(Mutex::new(Held { body, ended: false }));
    let waits_to_be_asked = parts.headers.contains_key(header::EXPECT);
    let read = Body::new(Read(Arc::clone(&held)));
    let unread = Unread {
        held,
        waits_to_be_asked,
    };
    (Request::from_parts(parts, read), Some(unread))
}

impl Unread {
    /// Makes sure that what comes after the answer is the next request, or is none.
    pub(crate) async fn settle(self, response: &mut Response) {
        let late = response.status() == StatusCode::REQUEST_TIMEOUT;
        let over = {
            let held = self.held.lock();
            held.ended || held.body.is_end_stream()
        };
        let gone = over || (!late && !self.waits_to_be_asked && self.throw_away().await);
        if !gone {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
    }

    /// Whether the rest came and was small.
    async fn throw_away(&self) -> bool {
        if self.held.lock().body.size_hint().lower() > BODY_BYTES_MAX as u64 {
            return false;
        }
        let mut rest = std::pin::pin!(self.rest());
        // Most of them are there already; only the others need a timer.
        match rest.as_mut().now_or_never() {
            Some(gone) => gone,
            None => tokio::time::timeout(WITHIN, rest).await.unwrap_or(false),
        }
    }

    async fn rest(&self) -> bool {
        let mut bytes = 0_usize;
        loop {
            let frame = std::future::poll_fn(|cx| self.held.lock().poll(cx));
            match frame.await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => {
                    bytes = bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                }
            }
            if bytes > BODY_BYTES_MAX {
                return false;
            }
        }
    }
}

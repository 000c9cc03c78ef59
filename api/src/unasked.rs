//! What came with a request to a route that takes none of it: a query, a body.
//!
//! The outermost layer knows from the document what each route takes and sets the rest aside here; `caller` looks at it
//! once it knows who asks, so that nothing is read for who may not come in, and who has no token is told that first.
//! What says anything is refused, lest what somebody meant be passed over.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::Method;
use axum::http::request::Parts;
use parking_lot::Mutex;

use crate::problem::{ApiError, Code};
use crate::{body, query};

/// What an operation takes besides its path and headers.
#[derive(Clone, Copy)]
pub(crate) struct Takes {
    pub(crate) query: bool,
    pub(crate) body: bool,
}

/// What was set aside of a request.
#[derive(Clone)]
struct Unasked {
    query: bool,
    /// Shared, since extensions are; taken out once.
    body: Arc<Mutex<Option<Body>>>,
    within: Duration,
}

/// The request without the body that its route does not take. Its caller answers for that and for a query.
pub(crate) fn set_aside(takes: Takes, request: Request, within: Duration) -> Request {
    // What is asked, not told, has no body that anybody reads.
    let said = !takes.body && request.method() != Method::GET && !request.body().is_end_stream();
    let query = !takes.query && request.uri().query().is_some();
    if !said && !query {
        return request;
    }
    let (mut parts, body) = request.into_parts();
    let (aside, body) = if said {
        (Some(body), Body::empty())
    } else {
        (None, body)
    };
    parts.extensions.insert(Unasked {
        query,
        body: Arc::new(Mutex::new(aside)),
        within,
    });
    Request::from_parts(parts, body)
}

/// Refuses what was set aside where it says anything.
pub(crate) async fn refuse(parts: &mut Parts) -> Result<(), ApiError> {
    let Some(unasked) = parts.extensions.remove::<Unasked>() else {
        return Ok(());
    };
    if unasked.query
        && let Some(given) = parts.uri.query()
    {
        let wrong = query::none_taken(given);
        if !wrong.is_empty() {
            return Err(ApiError::at_fields(Code::InvalidQuery, wrong));
        }
    }
    let aside = unasked.body.lock().take();
    match aside {
        Some(body) => body::nothing(body, unasked.within).await,
        None => Ok(()),
    }
}

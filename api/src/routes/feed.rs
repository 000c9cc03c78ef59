//! `GET /v1/me/feed`: what changes of the caller's own views, as it does.

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::State;
use crate::caller::{AsMember, Caller, LAST_EVENT_ID, bearer, last_event_id};
use crate::following::feed::Feed;
use crate::following::frames::Form;
use crate::following::hub::FeedPlace;
use crate::following::session::{self, Session};
use crate::problem::{ApiError, Code};
use crate::query::Query;
use crate::server::Cut;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(feed))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Changes after this position, as an answer gave it; what comes from now on when absent.
    after: Option<String>,
}

/// What changes of the caller's own views.
#[utoipa::path(get, path = "/v1/me/feed", tag = "member",
    params(Asked, ("Last-Event-ID" = Option<String>, Header, description = "Where the feed before ended. It wins over `after`.")),
    responses((status = 200, description = "A stream that goes on: an event for each view that changed, of its name, with `data` as `{\"view\", \"conversation_id\", \"position\"}`.",
        body = String, content_type = "text/event-stream")))]
async fn feed(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    headers: HeaderMap,
    cut: Option<Extension<Cut>>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    if !takes_events(&headers) {
        return Err(Code::NotAcceptable.into());
    }
    let given = match last_event_id(&headers)? {
        Some(text) => Some((LAST_EVENT_ID, text)),
        None => asked.after.as_deref().map(|text| ("after", text)),
    };
    let after = match given {
        Some((field, text)) => Some((field, shared.position_given(&caller, field, text)?)),
        None => None,
    };
    let there = match after {
        Some((_, after)) => shared.comes_to(after).await,
        None => true,
    };
    let FeedPlace { place, concerned } =
        shared.following.feed(caller.sub(), cut.map(|cut| cut.0))?;
    // What happens after this wakes the feed; what happened before is looked for.
    let end = shared.store.durable_position();
    if let Some((field, _)) = after.filter(|_| !there) {
        let detail = "It lies beyond the end of the log.";
        return Err(ApiError::field(Code::InvalidQuery, field, detail));
    }
    tracing::info!(target: "doorstep::access", reader = caller.sub().as_str(), "a feed is followed");
    let position = caller.shows(&shared, end);
    let session = Session::new(&shared, place, bearer(&headers)?);
    let after = after.map(|(_, after)| after);
    let feed = Feed::new(session, caller, concerned, after, end);
    Ok(session::answer(
        session::body(feed),
        Form::Events,
        &position,
    ))
}

/// Whether the caller takes the one form there is.
fn takes_events(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT) else {
        return true;
    };
    let named = accept.to_str().unwrap_or("").split(',');
    named
        .map(|part| part.split(';').next().unwrap_or("").trim())
        .any(|part| matches!(part, "text/event-stream" | "text/*" | "*/*" | ""))
}

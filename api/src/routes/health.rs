//! How the service is, for whoever reaches the port: `/healthz`, `/readyz`, `/metrics`.
//!
//! Healthy is a process that answers. Ready is one that does all of its work, as `readiness` judges it. None of them names
//! a member or holds a key.

use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::State;
use crate::metering;
use crate::readiness::{self, Readiness};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "open", security(()), responses((status = 200, description = "`ok`", content_type = "text/plain", body = String)))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether commands are taken, views and reactors follow, the clock is right, and no damage was found.
#[utoipa::path(get, path = "/readyz", tag = "open", security(()), responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn readyz(Extract(shared): Extract<State>) -> Response {
    let readiness = readiness::of(&shared).await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, axum::Json(readiness)).into_response()
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "open", security(()), responses((status = 200, content_type = "text/plain", body = String)))]
async fn metrics(Extract(shared): Extract<State>) -> Response {
    let mut response = metering::render(&shared).await.into_response();
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}

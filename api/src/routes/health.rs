//! How the service is, for whoever reaches the port: `/healthz`, `/readyz`, `/metrics`.
//!
//! Healthy is a process that answers. Ready is one whose store takes commands, whose views serve and follow, whose clock
//! agrees with the log's, and that has met no damage of the log. None of them names a member or holds a key.

use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use event_store::Position;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{Shared, State, StoreState};
use crate::metering;

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

/// Whether the service is ready, and else why not.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    /// `writable`, `full` or `failed`.
    store: &'static str,
    /// Milliseconds by which the log's time is ahead of this clock; more than the tolerance is not ready.
    clock_behind_ms: i64,
    views: Vec<ViewReadiness>,
    reactors: Vec<ReactorReadiness>,
    /// What is not well, in words.
    reasons: Vec<String>,
}

/// How what follows in other streams is. Parked targets wait for somebody to look; the rest goes on, so the service
/// stays ready.
#[derive(Debug, Serialize, ToSchema)]
struct ReactorReadiness {
    name: &'static str,
    /// Targets whose events wait because one could not be handled.
    parked: usize,
}

/// How one view is.
#[derive(Debug, Serialize, ToSchema)]
struct ViewReadiness {
    name: &'static str,
    state: &'static str,
    lag: u64,
    ready: bool,
}

async fn readiness(shared: &Shared) -> Readiness {
    let mut reasons = Vec::new();
    let store = match shared.care.state() {
        StoreState::Writable => "writable",
        StoreState::Full => {
            reasons
                .push("the disk has less room than the reserve; commands are refused".to_owned());
            "full"
        }
        StoreState::Failed => {
            reasons.push("the store has ended".to_owned());
            "failed"
        }
    };
    reasons.extend(shared.damage.reason());
    let clock_behind_ms = clock_behind_ms(shared).await;
    let tolerance_ms =
        i64::try_from(shared.options.clock_tolerance.as_millis()).unwrap_or(i64::MAX);
    if clock_behind_ms > tolerance_ms {
        reasons.push(format!("the clock is {clock_behind_ms} ms behind the log"));
    }
    let views: Vec<ViewReadiness> = shared
        .reads
        .states()
        .into_iter()
        .map(|status| {
            let served = matches!(status.state.name(), "live" | "catching_up");
            let ready = served && status.lag_events <= shared.options.lag_events_max;
            if !ready {
                reasons.push(format!(
                    "the view `{}` is {}, {} events behind",
                    status.view,
                    status.state.name(),
                    status.lag_events
                ));
            }
            ViewReadiness {
                name: status.view,
                state: status.state.name(),
                lag: status.lag_events,
                ready,
            }
        })
        .collect();
    let reactors = shared.commands.reactors().into_iter();
    let reactors = reactors
        .map(|status| ReactorReadiness {
            name: status.name,
            parked: status.parked,
        })
        .collect();
    Readiness {
        ready: reasons.is_empty(),
        store,
        clock_behind_ms,
        views,
        reactors,
        reasons,
    }
}

/// How far the last recorded event lies ahead of this clock; 0 where it does not.
async fn clock_behind_ms(shared: &Shared) -> i64 {
    // The event at the durable position is the last one.
    let before_last = Position(shared.store.durable_position().0.saturating_sub(1));
    let last = shared
        .store
        .read_all(before_last, 1, 1)
        .await
        .ok()
        .and_then(|events| events.last().cloned());
    let recorded_at_ms = last.map_or(i64::MIN, |event| event.recorded_at_ms());
    recorded_at_ms.saturating_sub(crate::time::now_ms()).max(0)
}

/// Whether the store takes commands, the views follow, and the clock is right.
#[utoipa::path(get, path = "/readyz", tag = "open", security(()), responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn readyz(Extract(shared): Extract<State>) -> Response {
    let readiness = readiness(&shared).await;
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
    metrics::gauge!("doorstep_store_durable_position")
        .set(approximately(shared.store.durable_position().0));
    for status in shared.reads.states() {
        metrics::gauge!("doorstep_view_lag_events", "view" => status.view)
            .set(approximately(status.lag_events));
        metrics::gauge!("doorstep_view_position", "view" => status.view)
            .set(approximately(status.applied.0));
    }
    let mut response = metering::render().into_response();
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point; beyond 2^53 the last digits are lost"
)]
fn approximately(number: u64) -> f64 {
    number as f64
}

//! The outermost layer: request ids, the bodies of errors, panics, spans and counts.
//!
//! Every answer leaves with an `X-Request-Id`: the client's own if it is a plain token, else one made here. Errors get
//! their body here, so that the request id is the only thing in which two like refusals differ. A query or a body where
//! the route's document has none is set aside for `caller` to refuse. Nothing here looks at a token; spans carry the method, the route's template and the request id alone.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use metrics::{Counter, Histogram};
use tracing::Instrument as _;

use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem, Paths};

use crate::damage::Found;
use crate::pages::TellsItself;
use crate::problem::{ApiError, Code};
use crate::unasked::{self, Takes};
use crate::unread;

/// The header with the id of a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;
const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PUT, Method::DELETE];

/// What the layer keeps: the request ids and the meters of all routes.
pub(crate) struct Outermost {
    /// Keyed by chance, so that ids do not count requests.
    ids: RandomState,
    next: AtomicU64,
    body_timeout: Duration,
    damage: Arc<Found>,
    meters: HashMap<String, RouteMeter>,
    unmatched: RouteMeter,
}

impl Takes {
    /// Whatever it is, nobody minds.
    const ANYTHING: Takes = Takes {
        query: true,
        body: true,
    };

    fn of(operation: &Operation) -> Self {
        if operation.tags.iter().flatten().any(|tag| tag == "open") {
            return Self::ANYTHING;
        }
        let mut parameters = operation.parameters.iter().flatten();
        let query = parameters.any(|parameter| {
            matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
        });
        Takes {
            query,
            body: operation.request_body.is_some(),
        }
    }
}

struct RouteMeter {
    methods: [MethodMeter; METHODS.len()],
    other: MethodMeter,
}

/// Answers by the first digit of their status, and how long they took. A series begins with its first answer, lest every
/// scrape tell of all the routes that nobody asked.
struct MethodMeter {
    route: String,
    method: String,
    kind: &'static str,
    takes: Takes,
    answers: [OnceLock<Counter>; STATUSES.len()],
    seconds: OnceLock<Histogram>,
}

const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl MethodMeter {
    fn new(route: &str, method: &str, takes: Takes) -> Self {
        let kind = match (route.starts_with("/v1/"), method) {
            (false, _) => "other",
            (true, "GET") => "query",
            (true, _) => "command",
        };
        MethodMeter {
            route: route.to_owned(),
            method: method.to_owned(),
            kind,
            takes,
            answers: Default::default(),
            seconds: OnceLock::new(),
        }
    }

    fn count(&self, response: &Response, started: Instant) {
        let class = usize::from(response.status().as_u16() / 100).saturating_sub(1);
        if let (Some(counter), Some(status)) = (self.answers.get(class), STATUSES.get(class)) {
            counter
                .get_or_init(|| {
                    metrics::counter!("doorstep_http_answers_total",
                        "route" => self.route.clone(), "method" => self.method.clone(), "status" => *status)
                })
                .increment(1);
        }
        self.seconds
            .get_or_init(
                || metrics::histogram!("doorstep_http_answer_seconds", "kind" => self.kind),
            )
            .record(started.elapsed().as_secs_f64());
    }
}

impl RouteMeter {
    fn new(route: &str, item: &PathItem) -> Self {
        let operations = [&item.get, &item.post, &item.put, &item.delete];
        let mut operations = operations.into_iter();
        RouteMeter {
            methods: METHODS.map(|method| {
                let operation = operations.next().and_then(Option::as_ref);
                let takes = operation.map_or(Takes::ANYTHING, Takes::of);
                MethodMeter::new(route, method.as_str(), takes)
            }),
            other: MethodMeter::new(route, "other", Takes::ANYTHING),
        }
    }

    fn method(&self, method: &Method) -> &MethodMeter {
        METHODS
            .iter()
            .position(|known| known == method)
            .and_then(|index| self.methods.get(index))
            .unwrap_or(&self.other)
    }
}

impl Outermost {
    /// The layer over these routes, and those that no document has.
    pub(crate) fn new(
        documented: &Paths,
        others: &[&str],
        body_timeout: Duration,
        damage: Arc<Found>,
    ) -> Arc<Self> {
        let nothing = PathItem::default();
        let documented = documented.paths.iter();
        let routes = documented.map(|(path, item)| (path.as_str(), item));
        let routes = routes.chain(others.iter().map(|path| (*path, &nothing)));
        Arc::new(Outermost {
            body_timeout,
            damage,
            ids: RandomState::new(),
            next: AtomicU64::new(0),
            meters: routes
                .map(|(path, item)| (path.to_owned(), RouteMeter::new(path, item)))
                .collect(),
            unmatched: RouteMeter::new("unmatched", &nothing),
        })
    }

    fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(REQUEST_ID).filter(|value| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&value.len())
                && value
                    .as_bytes()
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(byte))
        });
        if let Some(given) = given {
            return given.clone();
        }
        let id = self.ids.hash_one(self.next.fetch_add(1, Ordering::Relaxed));
        HeaderValue::from_str(&format!("{id:016x}")).unwrap_or(HeaderValue::from_static("none"))
    }
}

/// The layer itself.
pub(crate) async fn outermost(
    State(layer): State<Arc<Outermost>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = layer.request_id(request.headers());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let meter = layer
        .meters
        .get(route)
        .unwrap_or(&layer.unmatched)
        .method(&method);
    let id_text = id.to_str().unwrap_or("none");

    let span = tracing::debug_span!("request", request_id = id_text, %method, route);
    let (request, unread) = unread::keep(request);
    let request = unasked::set_aside(meter.takes, request, layer.body_timeout);
    let handled = next.run(request);
    let mut response = match AssertUnwindSafe(handled)
        .catch_unwind()
        .instrument(span)
        .await
    {
        Ok(response) => response,
        Err(_) => ApiError::new(Code::Internal).into_response(),
    };
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        if let Some(place) = error.damaged() {
            layer.damage.note(&place.into());
        }
        if error.code() == Code::Internal {
            tracing::error!(request_id = id_text, %method, route, detail = error.detail(), "a request failed");
        }
        // A page tells of its failure itself.
        if response.extensions_mut().remove::<TellsItself>().is_none() {
            let mut rendered = error.render(id_text);
            if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
                rendered.headers_mut().insert(header::ALLOW, allow);
            }
            response = rendered;
        }
    }
    if let Some(unread) = unread {
        unread.settle(&mut response).await;
    }
    meter.count(&response, started);
    tracing::debug!(request_id = id_text, %method, route, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use axum::http::HeaderMap;
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use std::sync::Arc;
    use std::time::Duration;

    use utoipa::openapi::path::Paths;

    use super::{Outermost, REQUEST_ID, outermost};
    use crate::problem::{ApiError, Code};

    async fn answer(path: &str) -> (u16, String, Value) {
        let layer = Outermost::new(
            &Paths::default(),
            &["/boom", "/broken"],
            Duration::ZERO,
            Arc::default(),
        );
        let broken = || async { ApiError::with_detail(Code::Internal, "/var/lib/secret") };
        let boom = || async { assert_eq!(1, 2, "inside") };
        let router = Router::new()
            .route("/boom", get(boom))
            .route("/broken", get(broken))
            .layer(axum::middleware::from_fn_with_state(layer, outermost));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, id, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_defect_and_a_panic_are_told_without_what_is_inside() {
        for path in ["/boom", "/broken"] {
            let (status, id, body) = answer(path).await;
            assert_eq!(
                (status, body["code"].as_str()),
                (500, Some("internal")),
                "{path}"
            );
            assert_eq!(body["detail"], Code::Internal.meaning(), "{path}");
            assert_eq!(body["request_id"], id, "{path}");
        }
    }

    /// The number that `SplitMix64`'s finalizer, a permutation anyone can undo, made into this one.
    fn unmixed(mixed: u64) -> u64 {
        let mixed = (mixed ^ (mixed >> 31) ^ (mixed >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
        let mixed = (mixed ^ (mixed >> 27) ^ (mixed >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
        mixed ^ (mixed >> 30) ^ (mixed >> 60)
    }

    #[test]
    fn ids_do_not_count_requests() {
        let layer = Outermost::new(&Paths::default(), &[], Duration::ZERO, Arc::default());
        let id = || {
            let id = layer.request_id(&HeaderMap::new());
            u64::from_str_radix(id.to_str().unwrap(), 16).unwrap()
        };
        let ids: Vec<u64> = (0..100).map(|_| id()).collect();
        for pair in ids.windows(2) {
            assert!(pair[0].abs_diff(pair[1]) > 1_000);
            assert!(unmixed(pair[0]).abs_diff(unmixed(pair[1])) > 1_000);
        }
    }
}

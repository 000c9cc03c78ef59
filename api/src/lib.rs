//! The HTTP interface: routes, tokens, errors, OpenAPI.
//!
//! A request comes in at `server`, through `middleware` (ids, counts, the bodies of errors), to its file in `routes`.
//! There `caller` says who asks and in which role, `body` and `query` what is asked, strictly; one command or one query
//! answers; `problem` names every failure. Nothing here decides what may happen, and nothing here appends.
//! `desk` has pages for the browser over the same functions, in the frame of `pages`.
//! Opaque positions and cursors are made in `seals`, tokens are checked in `tokens` against the set in `keys`.

mod answers;
mod app;
mod audit;
pub mod audit_documents;
mod body;
mod caller;
mod damage;
mod desk;
pub mod event_filter;
pub mod event_json;
pub mod fields;
mod follow_ups;
mod following;
pub mod keys;
pub mod limits;
pub mod metering;
mod middleware;
pub mod near;
mod openapi;
mod operations;
mod pages;
pub mod problem;
mod query;
mod readiness;
mod routes;
mod seals;
mod server;
mod tar;
mod time;
pub mod tokens;
mod trial;
mod unasked;
mod unread;
mod words;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::net::TcpListener;

pub use app::{App, BackupPart, LogElsewhere, Options, StoreCare, StoreState};
pub use following::FollowOptions;
pub use keys::{KeyError, KeySet};
pub use server::{ServeOptions, serve_router};
pub use tokens::Role;
pub use trial::{Trial, TrialMember};

use app::{Shared, State};
use middleware::Outermost;
use problem::{ApiError, Code};

/// The OpenAPI document of the interface, as JSON that ends with a line.
pub fn document() -> String {
    let mut document = routes::all().into_openapi();
    openapi::finish(&mut document);
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// All routes over an app. Installs the recorder of metrics where the program has not. Streams that go on end when their
/// connections do; [`serve`] ends them when it is told to stop.
pub fn router(app: App) -> Router {
    routed(app).0
}

fn routed(app: App) -> (Router, State) {
    metering::install();
    let document = document();
    let (routes, documented) = routes::all().split_for_parts();
    let mut undocumented = vec![openapi::DOCUMENT_PATH, "/docs", "/docs/", "/docs/{*rest}"];
    undocumented.extend(pages::assets::paths());
    undocumented.extend(desk::PATHS);
    undocumented.extend(trial::PATHS);
    let body_timeout = app.options.body_timeout;
    let shared = Shared::new(app, Bytes::from(document));
    let damage = Arc::clone(&shared.damage);
    let layer = Outermost::new(&documented.paths, &undocumented, body_timeout, damage);
    let state = Arc::clone(&shared);
    let router = routes
        .route(openapi::DOCUMENT_PATH, get(served_document))
        .merge(openapi::page())
        .merge(pages::assets::router())
        .merge(desk::router())
        .merge(trial::router(&shared))
        .fallback(|| async {
            ApiError::with_detail(
                Code::NotFound,
                "No route has this path; `/openapi.json` lists the routes there are.",
            )
        })
        .method_not_allowed_fallback(|| async { ApiError::new(Code::MethodNotAllowed) })
        .layer(axum::middleware::from_fn_with_state(
            layer,
            middleware::outermost,
        ))
        .with_state(shared);
    (router, state)
}

async fn served_document(Extract(shared): Extract<State>) -> Response {
    let mut response = shared.document.clone().into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// Serves an app until `shutdown` is done and everything accepted is answered; streams that go on are ended then.
pub async fn serve(
    listener: TcpListener,
    app: App,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (router, state) = routed(app);
    let stopping = async move {
        shutdown.await;
        state.following.stop();
    };
    serve_router(listener, router, options, stopping).await
}

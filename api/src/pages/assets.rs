//! The stylesheet and the script of the pages, compiled in.
//!
//! Their names carry a hash of what they say, so that they are kept for as long as a browser likes, and a new binary's
//! pages never meet an old one's style.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

/// A file that pages load.
pub(crate) struct Asset {
    /// Where it is.
    pub(crate) path: String,
    text: &'static str,
    media_type: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, media_type: &'static str, text: &'static str) -> Self {
        let [first, second, third, fourth, ..]: [u8; 32] = Sha256::digest(text).into();
        let hash = u32::from_be_bytes([first, second, third, fourth]);
        Asset {
            path: format!("/assets/{name}-{hash:08x}.{extension}"),
            text,
            media_type,
        }
    }

    fn answer(&self) -> Response {
        let mut response = self.text.into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.media_type),
        );
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        response
    }
}

/// The stylesheet of all pages.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = concat!(
        include_str!("../../assets/style.css"),
        include_str!("../../assets/try.css")
    );
    Asset::new("style", "css", "text/css; charset=utf-8", text)
});

/// The script of all pages.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../assets/script.js");
    Asset::new("script", "js", "text/javascript; charset=utf-8", text)
});

/// The paths of the assets, as they are counted.
pub(crate) fn paths() -> [&'static str; 2] {
    [&STYLE.path, &SCRIPT.path]
}

/// Their routes.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(&STYLE.path, get(|| async { STYLE.answer() }))
        .route(&SCRIPT.path, get(|| async { SCRIPT.answer() }))
}

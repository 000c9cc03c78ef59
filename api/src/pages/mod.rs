//! What all pages in the browser share: the frame around them, their headers, and how a failure looks there.
//!
//! Promise: a page loads nothing from anywhere but here, runs no script and no style but ours, is shown in no frame of
//! anybody's, is kept by no cache, and text of members is text in it: the templates escape whatever they are given.
//! `assets` has the stylesheet and the script, `guard` holds forms against cross-site requests, `form` reads them, `filled` shows them,
//! `alert` leads to what was wrong with them, `shown` writes times and words. What a page is about is in `desk`.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::problem::{ApiError, Code};

pub(crate) mod alert;
pub(crate) mod assets;
pub(crate) mod filled;
pub(crate) mod form;
pub(crate) mod guard;
pub(crate) mod shown;

/// What a page may load and do.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A response whose body tells of the failure in its extensions by itself.
#[derive(Clone, Copy)]
pub(crate) struct TellsItself;

/// What is around a page.
pub(crate) struct Frame {
    /// What the page is called.
    pub(crate) title: String,
    /// The stylesheet's path.
    pub(crate) style: &'static str,
    /// The script's path.
    pub(crate) script: &'static str,
    /// Where the page is told of changes, if it is.
    pub(crate) live: Option<String>,
    /// Who sits at it; none where nobody is signed in.
    pub(crate) seat: Option<SeatShown>,
}

/// Who sits at a page, as its head tells.
#[derive(Clone)]
pub(crate) struct SeatShown {
    /// The token's `sub`.
    pub(crate) name: String,
    /// Its roles, in words.
    pub(crate) roles: String,
    /// When the token does not count any more.
    pub(crate) until: shown::When,
    /// What each form of this seat carries.
    pub(crate) csrf: String,
    /// The pages that are theirs.
    pub(crate) links: Vec<Link>,
}

/// A page among those that one may go to.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// Where it is.
    pub(crate) href: &'static str,
    /// What it is called.
    pub(crate) text: &'static str,
}

impl Frame {
    /// The frame of a page with nobody at it.
    pub(crate) fn titled(title: impl Into<String>) -> Self {
        Frame {
            title: title.into(),
            style: &assets::STYLE.path,
            script: &assets::SCRIPT.path,
            live: None,
            seat: None,
        }
    }
}

/// A page as it is answered.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    let text = match page.render() {
        Ok(text) => text,
        Err(error) => {
            return ApiError::with_detail(Code::Internal, error.to_string()).into_response();
        }
    };
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, media_type);
    guarded(headers);
    response
}

/// The headers that every answer to a browser has.
fn guarded(headers: &mut axum::http::HeaderMap) {
    let set: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Sends the browser to another page, which it asks for anew.
pub(crate) fn see(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    guarded(headers);
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(header::LOCATION, place);
    response
}

#[derive(Template)]
#[template(path = "failed.html")]
struct FailedPage<'a> {
    frame: Frame,
    status: u16,
    detail: &'a str,
    back: &'a str,
    /// What was typed into a form that was not carried out, and cannot be shown again.
    typed: Vec<String>,
}

/// A failure, told on a page.
pub(crate) struct Failed {
    error: ApiError,
    seat: Option<SeatShown>,
    back: &'static str,
    typed: Vec<String>,
}

impl Failed {
    /// Tells of a failure, with the way back to where all is well.
    pub(crate) fn new(error: ApiError, seat: Option<SeatShown>, back: &'static str) -> Self {
        Failed {
            error,
            seat,
            back,
            typed: Vec::new(),
        }
    }

    /// The same with what was typed, which nothing else shows.
    #[must_use]
    pub(crate) fn with_typed(mut self, typed: Vec<String>) -> Self {
        self.typed = typed;
        self
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Failed {
            error,
            seat,
            back,
            typed,
        } = self;
        let status = error.status();
        let page = FailedPage {
            frame: Frame {
                seat,
                ..Frame::titled(error.code().title())
            },
            status: status.as_u16(),
            detail: error.told(),
            back,
            typed,
        };
        let mut response = html(status, &page);
        response.extensions_mut().insert(error);
        response.extensions_mut().insert(TellsItself);
        response
    }
}

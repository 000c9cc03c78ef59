//! Cookies of pages, and what holds their forms against requests that another site makes.
//!
//! Promise: a form takes effect only where the browser does not say that another site sent it, and it carries a mark
//! that was made for this very cookie under a key that never leaves the service. A browser says where a request came
//! from in `Sec-Fetch-Site`; where it does not (over plain HTTP to another machine), `Origin` has to be the address it was
//! sent to. Our pages send no referrer, for which browsers write the origin as `null`: that tells nothing, and the mark
//! decides. Cookies are `HttpOnly`, `SameSite=Strict`, for the pages' own path alone, and `Secure` where a proxy says that
//! the browser speaks HTTPS with it (`X-Forwarded-Proto: https`); who forges that header only makes their own stricter.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::app::Shared;

/// A cookie of some pages.
#[derive(Clone, Copy)]
pub(crate) struct Cookie {
    /// Its name.
    pub(crate) name: &'static str,
    /// The path of the pages.
    pub(crate) path: &'static str,
}

impl Cookie {
    /// Its value in a request. Where two are given nobody knows whose: there is none.
    pub(crate) fn of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(header::COOKIE).iter();
        let mut values = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name)
            .map(|(_, value)| value);
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return None;
        }
        first
    }

    /// Gives it a value.
    pub(crate) fn set(&self, request: &HeaderMap, value: &str) -> Option<HeaderValue> {
        self.written(request, value, "")
    }

    /// Takes it away.
    pub(crate) fn clear(&self, request: &HeaderMap) -> Option<HeaderValue> {
        self.written(request, "", "; Max-Age=0")
    }

    fn written(&self, request: &HeaderMap, value: &str, more: &str) -> Option<HeaderValue> {
        let secure = if over_https(request) { "; Secure" } else { "" };
        let (name, path) = (self.name, self.path);
        let text = format!("{name}={value}; HttpOnly; SameSite=Strict; Path={path}{secure}{more}");
        HeaderValue::from_str(&text).ok()
    }

    /// What forms carry that are made for who has this value.
    pub(crate) fn mark(&self, shared: &Shared, value: &str) -> String {
        let keys = shared.tokens.keys();
        let seal = keys.seals().first();
        seal.map(|seal| seal.form(self.name, value))
            .unwrap_or_default()
    }

    /// Whether a form carries that.
    pub(crate) fn marked(&self, shared: &Shared, value: &str, mark: &str) -> bool {
        let keys = shared.tokens.keys();
        keys.seals()
            .iter()
            .any(|seal| seal.is_form(self.name, value, mark))
    }
}

/// Whether the browser speaks HTTPS with a proxy before us.
fn over_https(headers: &HeaderMap) -> bool {
    let said = headers
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok());
    // Each proxy adds what it saw; the first spoke with the browser.
    let first = said.and_then(|said| said.split(',').next());
    first.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// Whether the browser says that this request was made by a page of another site, or by none of ours.
pub(crate) fn from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("-"));
    if let Some(site) = text("sec-fetch-site") {
        return site != "same-origin";
    }
    match text("origin") {
        None | Some("null") => false,
        Some(origin) => {
            let of = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            of.is_none() || of != text("host")
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    const COOKIE: Cookie = Cookie {
        name: "doorstep_desk",
        path: "/desk",
    };

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn reads_its_own_cookie_among_others_and_none_of_two() {
        let one = headers(&[("cookie", "a=b; doorstep_desk=x.y.z; doorstep_desk_2=no")]);
        assert_eq!(COOKIE.of(&one), Some("x.y.z"));
        let two = headers(&[("cookie", "doorstep_desk=x"), ("cookie", "doorstep_desk=y")]);
        assert_eq!(COOKIE.of(&two), None);
        assert_eq!(COOKIE.of(&HeaderMap::new()), None);
    }

    #[test]
    fn is_secure_where_a_proxy_says_https() {
        let plain = COOKIE.set(&HeaderMap::new(), "x").unwrap();
        assert_eq!(
            plain,
            "doorstep_desk=x; HttpOnly; SameSite=Strict; Path=/desk"
        );
        let proxied = headers(&[("x-forwarded-proto", "https, http")]);
        let secure = COOKIE.set(&proxied, "x").unwrap();
        assert_eq!(
            secure,
            "doorstep_desk=x; HttpOnly; SameSite=Strict; Path=/desk; Secure"
        );
    }

    #[test]
    fn takes_a_request_from_its_own_pages_alone() {
        for (from, elsewhere) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("origin", "null")], false),
            (
                &[("origin", "http://a.example:80"), ("host", "a.example:80")],
                false,
            ),
            (
                &[("origin", "https://a.example"), ("host", "a.example")],
                false,
            ),
            (
                &[("origin", "https://b.example"), ("host", "a.example")],
                true,
            ),
            (&[("origin", "a.example"), ("host", "a.example")], true),
            (
                &[("sec-fetch-site", "cross-site"), ("origin", "null")],
                true,
            ),
        ] {
            assert_eq!(from_elsewhere(&headers(from)), elsewhere, "{from:?}");
        }
    }
}

//! What a form or a query of a page says: pairs of names and values, in order.
//!
//! Promise: what is no text is refused, never mended; lines end in one way, whatever the browser sends; a field that was
//! left empty is absent.

use std::fmt::Write as _;

use axum::http::HeaderMap;

use crate::app::Shared;
use crate::body;
use crate::problem::{ApiError, Code, FieldCode};

/// What a form says besides what was typed or chosen: what holds it, and what it is about.
const NOT_TYPED: [&str; 7] = ["csrf", "key", "to", "token", "decision", "member", "cases"];

/// The pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a form's body.
    pub(crate) async fn read(
        shared: &Shared,
        headers: &HeaderMap,
        body: axum::body::Body,
    ) -> Result<Self, ApiError> {
        body::media_type(headers, &["application/x-www-form-urlencoded"])?;
        let bytes = body::read(body, body::BODY_BYTES_MAX, shared.options.body_timeout).await?;
        Self::parse(&bytes, Code::InvalidBody)
    }

    /// Reads a query.
    pub(crate) fn of_query(query: Option<&str>) -> Result<Self, ApiError> {
        Self::parse(query.unwrap_or_default().as_bytes(), Code::InvalidQuery)
    }

    fn parse(bytes: &[u8], code: Code) -> Result<Self, ApiError> {
        let pairs = bytes
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty());
        let mut fields = Vec::new();
        for pair in pairs {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = pair.split_at(at.unwrap_or(pair.len()));
            let value = value.strip_prefix(b"=").unwrap_or(value);
            let no_text = || {
                let what = "It is not text in UTF-8, written as forms are.";
                ApiError::at_field(code, "form", FieldCode::Malformed, what)
            };
            let name = decoded(name).ok_or_else(no_text)?;
            let value = decoded(value).ok_or_else(no_text)?;
            fields.push((name, value.replace("\r\n", "\n")));
        }
        Ok(Fields(fields))
    }

    /// The first value of a name, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// The same, empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The values that say something, of all names but these.
    pub(crate) fn texts_but(&self, names: &[&str]) -> Vec<&str> {
        let pairs = self.0.iter();
        pairs
            .filter(|(name, value)| !value.is_empty() && !names.contains(&name.as_str()))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// What was typed or chosen, for copying where the form cannot be shown again.
    pub(crate) fn typed(&self) -> Vec<String> {
        let texts = self.texts_but(&NOT_TYPED).into_iter();
        texts.map(str::to_owned).collect()
    }

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.iter().filter(move |(known, _)| known == name);
        pairs.map(|(_, value)| value.as_str())
    }
}

/// The text behind `application/x-www-form-urlencoded`; none where it is none.
fn decoded(bytes: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(plain).ok()
}

/// A value as it stands in a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn reads_what_a_browser_writes() {
        let fields = Fields::parse(
            b"a=1&a=2&text=x%0D%0Ay+z%C3%A9&empty=&bare",
            Code::InvalidBody,
        )
        .unwrap();
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.get("text"), Some("x\ny z\u{e9}"));
        assert_eq!(fields.get("empty"), None);
        assert_eq!(fields.get("bare"), None);
    }

    #[test]
    fn refuses_what_is_no_text() {
        for bad in [&b"a=%ff"[..], b"a=%4", b"a=%zz", b"%e2%82=1"] {
            assert!(Fields::parse(bad, Code::InvalidBody).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let text = "a b&c=d/\u{202e}\u{1f600}%";
        let query = format!("x={}", encoded(text));
        assert_eq!(Fields::of_query(Some(&query)).unwrap().get("x"), Some(text));
    }
}

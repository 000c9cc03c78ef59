//! Strict bodies: JSON of exactly the fields a route takes, within its bounds of size and time.
//!
//! A body is read whole before anything is decided. Unknown fields are refused by the types (`deny_unknown_fields`), a
//! body over its bound is 413, one that does not arrive is 408. Errors name the field.

use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use serde::de::DeserializeOwned;

use crate::app::State;
use crate::fields;
use crate::problem::{ApiError, Code, FieldCode, FieldError, WHOLE_BODY};

/// A body of an ordinary route.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// A body that says nothing.
const NOTHING_BYTES_MAX: usize = 64;
/// A body of a bulk route.
pub(crate) const BULK_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Items of a bulk body.
pub(crate) const BULK_ITEMS_MAX: usize = 1_000;

/// A JSON body of at most [`BODY_BYTES_MAX`].
#[derive(Debug)]
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<State> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &State) -> Result<Self, ApiError> {
        media_type(request.headers(), &["application/json"])?;
        let bytes = read(
            request.into_body(),
            BODY_BYTES_MAX,
            shared.options.body_timeout,
        )
        .await?;
        parse(&bytes).map(Json)
    }
}

/// The same where every field may be left out: no body at all is one without fields.
#[derive(Debug)]
pub(crate) struct JsonOrNone<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<State> for JsonOrNone<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &State) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let bytes = read(body, BODY_BYTES_MAX, shared.options.body_timeout).await?;
        if bytes.is_empty() {
            return Ok(JsonOrNone(T::default()));
        }
        media_type(&head.headers, &["application/json"])?;
        parse(&bytes).map(JsonOrNone)
    }
}

/// A newline-delimited body of at most [`BULK_BODY_BYTES_MAX`], not yet parsed.
#[derive(Debug)]
pub(crate) struct Lines(pub Bytes);

impl FromRequest<State> for Lines {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &State) -> Result<Self, ApiError> {
        media_type(
            request.headers(),
            &[
                "application/x-ndjson",
                "application/ndjson",
                "application/jsonl",
                "application/json",
            ],
        )?;
        read(
            request.into_body(),
            BULK_BODY_BYTES_MAX,
            shared.options.body_timeout * 6,
        )
        .await
        .map(Lines)
    }
}

/// Parses one JSON object of exactly this type; the error names the field.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Derived types would take an array for an object with its fields in order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(whole(
            FieldCode::WrongType,
            "It is a list, and has to be an object.",
        ));
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(plain) => Err(locate::<T>(bytes, &plain)),
    }
}

/// Parses once more, slowly, to find where it went wrong.
fn locate<T: DeserializeOwned>(bytes: &[u8], plain: &serde_json::Error) -> ApiError {
    if bytes.trim_ascii().is_empty() {
        return whole(
            FieldCode::Missing,
            "The body is empty, and has to be a JSON object.",
        );
    }
    // A word of a list that is no text counts as wrong syntax there; as a value it is told as the wrong type that it is.
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) {
        return match serde_path_to_error::deserialize::<_, T>(value) {
            Err(error) => wrong(fields::told(
                &error.path().to_string(),
                &error.inner().to_string(),
            )),
            Ok(_) => wrong(fields::told("", &plain.to_string())),
        };
    }
    if plain.is_syntax() || plain.is_eof() {
        let (line, column) = (plain.line(), plain.column());
        let what = if plain.is_eof() {
            "It ends before the JSON does"
        } else {
            "It is not JSON"
        };
        return whole(
            FieldCode::Malformed,
            format!("{what}, at line {line} column {column}."),
        );
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) => wrong(fields::told(
            &error.path().to_string(),
            &error.inner().to_string(),
        )),
        Ok(_) => wrong(fields::told("", &plain.to_string())),
    }
}

fn wrong(field: FieldError) -> ApiError {
    ApiError::at_fields(Code::InvalidBody, vec![field])
}

/// A failure of the body as a whole.
fn whole(what: FieldCode, message: impl Into<String>) -> ApiError {
    ApiError::at_field(Code::InvalidBody, WHOLE_BODY, what, message)
}

/// A request without a `Content-Type` is taken at its word; one with another is refused.
pub(crate) fn media_type(headers: &HeaderMap, taken: &[&str]) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let named = value
        .to_str()
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    if taken.iter().any(|taken| named.eq_ignore_ascii_case(taken)) {
        Ok(())
    } else {
        Err(ApiError::with_detail(
            Code::UnsupportedMediaType,
            format!(
                "The body was sent as `{named}`, and has to be `{}`; say so in the header `Content-Type`.",
                taken.first().unwrap_or(&"application/json")
            ),
        ))
    }
}

/// Refuses a body that says anything, for a route that takes none.
pub(crate) async fn nothing(body: Body, timeout: Duration) -> Result<(), ApiError> {
    let said = || {
        whole(
            FieldCode::Unknown,
            "The route takes no body; what it needs stands in its path and query.",
        )
    };
    let bytes = match read(body, NOTHING_BYTES_MAX, timeout).await {
        Err(error) if error.code() == Code::BodyTooLarge => return Err(said()),
        read => read?,
    };
    match bytes.trim_ascii() {
        b"" | b"{}" | b"null" => Ok(()),
        _ => Err(said()),
    }
}

pub(crate) async fn read(
    body: Body,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::with_detail(
            Code::BodyTooLarge,
            format!("The body is over {bytes_max} bytes. Send less at once."),
        )
    };
    if body.size_hint().lower() > drained_max(bytes_max) as u64 {
        return Err(too_large());
    }
    let mut reading = pin!(collect(body, bytes_max));
    // Most bodies are there already; only the others need a timer.
    let collected = match reading.as_mut().now_or_never() {
        Some(collected) => collected,
        None => match tokio::time::timeout(timeout, reading).await {
            Ok(collected) => collected,
            Err(_) => return Err(Code::RequestTimeout.into()),
        },
    };
    match collected {
        Ok(bytes) => Ok(bytes),
        Err(Unread::TooLarge) => Err(too_large()),
        Err(Unread::Broken) => Err(whole(FieldCode::Malformed, "The body broke off.")),
    }
}

enum Unread {
    TooLarge,
    Broken,
}

/// A body that is too large is read on this far and thrown away, since a client that is still sending when it is answered
/// may never see the answer.
const fn drained_max(bytes_max: usize) -> usize {
    2 * bytes_max + 1024 * 1024
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Unread> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut so_far = 0_usize;
    while let Some(frame) =
        std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await
    {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        so_far = so_far.saturating_add(data.len());
        if so_far > drained_max(bytes_max) {
            break;
        }
        if so_far > bytes_max {
            (first, rest) = (None, BytesMut::new());
        } else if first.is_none() && rest.is_empty() {
            first = Some(data);
        } else {
            if let Some(first) = first.take() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    if so_far > bytes_max {
        return Err(Unread::TooLarge);
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::problem::Code;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its type matters")]
        messages: Vec<u64>,
        #[expect(dead_code, reason = "only its type matters")]
        word: Option<Word>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Spoken,
    }

    /// The field that is wrong and the words for it.
    fn refusal(body: &str) -> String {
        let error = parse::<Body>(body.as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidBody);
        let field = error.errors().first().map_or("", |error| &error.field);
        format!("{field}: {}", error.detail())
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        assert!(refusal(r#"{"messages": [1, "two"]}"#).starts_with("messages[1]: "));
        assert!(refusal(r#"{"messages": [1], "x": 1}"#).starts_with("x: "));
        assert!(refusal("{}").starts_with("messages: "));
        for word in ["1", "true", "[]", "{}"] {
            let told = refusal(&format!(r#"{{"messages": [], "word": {word}}}"#));
            assert!(told.starts_with("word: "), "{told}");
            assert!(!told.contains("not JSON"), "{told}");
        }
        assert!(refusal(r#"{"messages": [1]"#).contains("ends before the JSON does"));
        assert!(refusal(r#"{"messages": [1]} x"#).contains("not JSON, at line 1 column 19"));
        assert!(refusal(" ").contains("empty"));
        assert!(refusal("[[1]]").contains("a list"));
        assert!(refusal("null").contains("an object"));
    }
}

//! The one error type of the interface.
//!
//! Every failure leaves as `application/problem+json` (RFC 9457) with a stable `code`. The table of codes is in `codes`;
//! what a refusal of the rules says is in `refusals`; `docs/errors.md` is made here.
//! An [`ApiError`] carries no request id: the outermost layer (`middleware`) writes the body once it knows the id, so
//! that two refusals that must not be told apart differ in nothing else.
//! Which failure a command or a query has is decided in the crates below; this file only names it.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::damage::FoundPlace;

mod codes;
mod refusals;
pub(crate) use refusals::text_of_body;

pub use codes::{Code, FieldCode};

/// How the whole body is named among the fields.
pub const WHOLE_BODY: &str = "body";

/// One field that is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field in the body, the query or the headers, such as `messages[2]`.
    ///
    /// Of a body as a whole `body`.
    pub field: String,
    /// What is wrong with it.
    pub code: FieldCode,
    /// What is wrong and what is accepted, in words.
    pub message: String,
}

/// The body of every error: a problem of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Problem")]
pub struct Problem<'a> {
    /// Identifies the kind of problem: `urn:doorstep:problem:` and the code.
    #[serde(rename = "type")]
    pub type_uri: &'a str,
    /// The same for every problem of this kind.
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: Code,
    /// What was wrong this time, in words.
    pub detail: &'a str,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
    /// How long the request that was deleted can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restorable_until: Option<&'a str>,
    /// With `limit_reached`: which limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// With `account_restricted` of a suspended member: when the suspension ends; absent where it is for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<&'a str>,
    /// With the same: why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// With the same: the moderators' words; may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    /// The id of this request, also the header `X-Request-Id`.
    pub request_id: &'a str,
}

/// Which limit of messages was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// New requests within 24 hours, whoever is addressed.
    RequestsPerDay,
    /// Messages that may wait for one member's answer.
    RequestMessages,
}

/// What a suspended member is told of the suspension in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspended {
    /// When it ends; none where it is for good.
    pub until: Option<String>,
    /// Why, as a code.
    pub reason: String,
    /// The moderators' words; may be empty.
    pub text: String,
}

/// A failure on its way to the client.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Failure>);

#[derive(Clone, Debug)]
struct Failure {
    code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    restorable_until: Option<String>,
    limit: Option<Limit>,
    suspension: Option<Suspended>,
    retry_after_s: Option<u64>,
    damaged: Option<FoundPlace>,
}

impl ApiError {
    /// A failure of this kind, told by what its code means.
    pub fn new(code: Code) -> Self {
        Self::with_detail(code, code.meaning())
    }

    /// A failure of this kind, told in words of its own.
    pub fn with_detail(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        ApiError(Box::new(Failure {
            code,
            status: code.status(),
            detail: detail.into(),
            errors: Vec::new(),
            restorable_until: None,
            limit: None,
            suspension: None,
            retry_after_s: None,
            damaged: None,
        }))
    }

    /// A failure of one field that is not of the form it has to be.
    pub fn field(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::at_field(code, field, FieldCode::Malformed, message)
    }

    /// A failure of one field, saying what is wrong with it.
    pub fn at_field(
        code: Code,
        field: impl Into<String>,
        what: FieldCode,
        message: impl Into<String>,
    ) -> Self {
        let (field, message) = (field.into(), message.into());
        Self::at_fields(
            code,
            vec![FieldError {
                field,
                code: what,
                message,
            }],
        )
    }

    /// A failure of some fields; the first of them is its detail.
    pub fn at_fields(code: Code, errors: Vec<FieldError>) -> Self {
        let detail = match errors.first() {
            Some(first) if first.field == WHOLE_BODY => first.message.clone(),
            Some(first) => format!("`{}`: {}", first.field, first.message),
            None => code.meaning().to_owned(),
        };
        let mut error = Self::with_detail(code, detail);
        error.0.errors = errors;
        error
    }

    /// The same with status 400: it is the request that is malformed, before any rule was asked.
    #[must_use]
    pub fn as_bad_request(mut self) -> Self {
        self.0.status = StatusCode::BAD_REQUEST;
        self
    }

    /// The same with the time until which the deleted request can be restored.
    #[must_use]
    pub fn restorable_until(mut self, until: Option<String>) -> Self {
        self.0.restorable_until = until;
        self
    }

    /// The same, naming the limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// The same with what is said of the caller's own suspension.
    #[must_use]
    pub fn suspension(mut self, suspension: Suspended) -> Self {
        self.0.suspension = Some(suspension);
        self
    }

    /// The same in these words.
    #[must_use]
    pub(crate) fn saying(mut self, detail: &'static str) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// The same with a `Retry-After` in seconds, at least 1.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds.max(1));
        self
    }

    /// The same with where the log is damaged, which is noted and not told.
    #[must_use]
    pub(crate) fn damaged_at(mut self, place: FoundPlace) -> Self {
        self.0.damaged = Some(place);
        self
    }

    /// Where the log is damaged, if that is yet to be noted.
    pub(crate) fn damaged(&self) -> Option<&FoundPlace> {
        self.0.damaged.as_ref()
    }

    /// The status it is sent with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Its words as they are logged.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Its words as the client is told them: of a defect, nothing that is inside.
    pub fn told(&self) -> &str {
        if self.0.code == Code::Internal {
            self.0.code.meaning()
        } else {
            &self.0.detail
        }
    }

    /// The fields that are wrong.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The whole answer, with the id of the request it answers.
    pub fn render(&self, request_id: &str) -> Response {
        let failure = &*self.0;
        let suspension = failure.suspension.as_ref();
        let problem = Problem {
            type_uri: failure.code.type_uri(),
            title: failure.code.title(),
            status: failure.status.as_u16(),
            code: failure.code,
            detail: self.told(),
            errors: &failure.errors,
            restorable_until: failure.restorable_until.as_deref(),
            limit: failure.limit,
            until: suspension.and_then(|told| told.until.as_deref()),
            reason: suspension.map(|told| told.reason.as_str()),
            text: suspension.map(|told| told.text.as_str()),
            request_id,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (failure.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = failure.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if failure.code.status() == StatusCode::UNAUTHORIZED {
            let challenge = if failure.code == Code::TokenInvalid {
                "Bearer error=\"invalid_token\""
            } else if failure.code == Code::TokenExpired {
                "Bearer error=\"invalid_token\", error_description=\"expired\""
            } else {
                "Bearer"
            };
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        ApiError::new(code)
    }
}

impl IntoResponse for ApiError {
    /// A response without a body that carries the error for the outermost layer, which writes it.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The page `docs/errors.md`, made from the table.
pub fn document() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Error codes\n\n\
         Every error of the interface is `application/problem+json` with one of these codes. This page is made from the table in\n\
         `api/src/problem/codes.rs` and compared with it by a test.\n\n\
         ```json\n\
         {\"type\": \"urn:doorstep:problem:invalid_body\", \"title\": \"The body is not what this route takes\", \"status\": 400,\n\
         \x20\"code\": \"invalid_body\", \"detail\": \"`to`: It is missing.\",\n\
         \x20\"errors\": [{\"field\": \"to\", \"code\": \"missing\", \"message\": \"It is missing.\"}], \"request_id\": \"4be0643f1d98573b\"}\n\
         ```\n\n\
         `code` is what to branch on, and stable. `title` belongs to the code; `detail` says what was wrong this time and what to\n\
         do. `errors` names the fields that are wrong, of the path, the query, the headers or the body, with a code of its own\n\
         from the second table; of a body the first that is wrong alone (`body` is the whole). Words may change, codes do not.\n\
         Where a command is repeated with the same `Idempotency-Key`, a refusal that was recorded is given again; what stands in it\n\
         of the caller's suspension, and its `Retry-After`, are as of now.\n\n\
         A head that is no HTTP, has too long a path (over 64 KiB) or too many headers (over 100) comes to no route: it is\n\
         answered 400, 414 or 431 without a body, and the connection is closed.\n\n\
         | code | status | title | meaning |\n| --- | --- | --- | --- |\n",
    );
    for code in Code::ALL {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            code.as_str(),
            code.status().as_u16(),
            code.title(),
            code.meaning()
        );
    }
    page.push_str("\n## Codes of fields\n\n| code | meaning |\n| --- | --- |\n");
    for code in FieldCode::ALL {
        let _ = writeln!(page, "| `{}` | {} |", code.as_str(), code.meaning());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{ApiError, Code};

    #[test]
    fn every_code_says_more_than_its_title() {
        for code in Code::ALL {
            let error = ApiError::new(*code);
            assert_ne!(error.told(), code.title(), "{code:?}");
            assert!(error.told().len() > 20, "{code:?}");
        }
    }
}

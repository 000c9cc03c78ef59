//! The one error type of the interface, and the one table of its codes.
//!
//! Every failure leaves as `application/problem+json` (RFC 9457) with a stable `code`. The table below is the only place
//! where a code meets a status, a title and its meaning; the OpenAPI document and `docs/errors.md` are made from it.
//! An [`ApiError`] carries no request id: the outermost layer (`middleware`) writes the body once it knows the id, so
//! that two refusals that must not be told apart differ in nothing else.
//! Which failure a command or a query has is decided in the crates below; this file only names it.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use commands::CommandError;
use domain::rejection::{Code as Refused, Rejection};
use domain::text::TextProblem;
use projections::QueryError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

const HOUR_S: u64 = 60 * 60;

/// Declares [`Code`] with its table: variant, wire name, status, title, meaning.
macro_rules! codes {
    ($($variant:ident, $name:tt, $status:ident, $title:literal, $meaning:literal;)+) => {
        /// A stable code of an error; what clients branch on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
        pub enum Code {
            $(
                #[doc = $meaning]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl Code {
            /// Every code there is, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $name),+ }
            }

            /// The HTTP status it is sent with.
            pub const fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status),+ }
            }

            /// The short human title, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Code::$variant => $title),+ }
            }

            /// What it means and what to do about it, for the documents.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $meaning),+ }
            }

            /// The problem type, an identifier and not an address.
            pub const fn type_uri(self) -> &'static str {
                match self { $(Code::$variant => concat!("urn:doorstep:problem:", $name)),+ }
            }
        }
    };
}

codes! {
    InvalidBody, "invalid_body", BAD_REQUEST, "The body is not what this route takes",
        "Broken JSON, a wrong type, a missing or an unknown field, a value outside its range; `errors` names the field. Nothing was changed.";
    InvalidQuery, "invalid_query", BAD_REQUEST, "The query is not what this route takes",
        "A limit, cursor, position, time or filter that is none, or a parameter that the route does not know.";
    InvalidHeader, "invalid_header", BAD_REQUEST, "A header is not what this route takes",
        "An `Idempotency-Key` that is not 1-128 bytes of text without control characters, a `Doorstep-At` that is no time, or one of them given twice.";
    InvalidTime, "invalid_time", BAD_REQUEST, "The command's time cannot be taken",
        "A `Doorstep-At` more than 5 seconds ahead of the service's clock, or before the last event of what it concerns.";
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "A bearer token is needed",
        "No `Authorization: Bearer` header.";
    TokenInvalid, "token_invalid", UNAUTHORIZED, "The token does not verify",
        "Forged, not signed, signed by an unknown key or with another algorithm than its key's, or not a token at all.";
    TokenExpired, "token_expired", UNAUTHORIZED, "The token has expired",
        "Get a new token and repeat, with the same `Idempotency-Key` for a command.";
    Forbidden, "forbidden", FORBIDDEN, "The token does not open this route",
        "The token lacks the role, its `sub` is no registered member where a member is needed, or `Doorstep-At` was given by another role than `service`.";
    NotAllowed, "not_allowed", FORBIDDEN, "This message cannot be sent to this member",
        "The recipient does not take messages from the sender. Why is not told: a block, the audience, an age and an unknown recipient answer alike.";
    AccountRestricted, "account_restricted", FORBIDDEN, "This account may not do this now",
        "The caller is not registered, suspended, limited by a decision, or too young.";
    NotAuthor, "not_author", FORBIDDEN, "The message was written by the other member",
        "Only its author can unsend a message.";
    NotFound, "not_found", NOT_FOUND, "There is nothing here for the caller",
        "It does not exist, or the caller may not know of it; the two are not told apart.";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "The route does not take this method",
        "The `Allow` header lists the methods it takes.";
    NotAcceptable, "not_acceptable", NOT_ACCEPTABLE, "The route has no answer of the media type that `Accept` names",
        "The document lists the media types of each route.";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "The body did not arrive in time",
        "Send it again, with the same `Idempotency-Key` for a command.";
    CommandIdReused, "command_id_reused", CONFLICT, "The Idempotency-Key was used for another command",
        "The same key with other content. Nothing was changed.";
    RequestNotPending, "request_not_pending", CONFLICT, "The request is not pending",
        "Deleted or withdrawn; after a delete `restorable_until` says how long it can be restored.";
    RequestFrozen, "request_frozen", CONFLICT, "The request is frozen",
        "While the sender could not send it now, it can be neither accepted nor restored; deleting and reporting work.";
    AlreadyAccepted, "already_accepted", CONFLICT, "The request was accepted",
        "An accepted request is a conversation, and is not deleted as a request.";
    NotRestorable, "not_restorable", CONFLICT, "The request can no longer be restored",
        "It was not deleted, or longer ago than it can be restored.";
    NotAccepted, "not_accepted", CONFLICT, "The conversation is not in the inbox",
        "Only an accepted conversation can be moved to the requests.";
    RegisteredAtFixed, "registered_at_fixed", CONFLICT, "The time of registration cannot change",
        "The member is registered, with another `registered_at`.";
    OtherLog, "other_log", GONE, "The cursor or position belongs to another log",
        "The service was restored or moved since; begin again without it.";
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large",
        "Over 64 KiB; on bulk routes over 16 MiB or 1,000 items.";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has another media type than this route takes",
        "Send `application/json`; bulk routes take `application/x-ndjson`.";
    InvalidMessage, "invalid_message", UNPROCESSABLE_ENTITY, "The message cannot be sent as it is",
        "Empty, too long, with a U+0000, or addressed to oneself; `detail` names the limit.";
    InvalidReport, "invalid_report", UNPROCESSABLE_ENTITY, "The report cannot be made as it is",
        "It names no or too many messages, messages that are not the other member's or were never visible to the caller, or its comment is too long.";
    InvalidReadMark, "invalid_read_mark", UNPROCESSABLE_ENTITY, "The read mark is above the last message",
        "`up_to` is above the last message that the caller can see.";
    InvalidMember, "invalid_member", UNPROCESSABLE_ENTITY, "The member cannot be the one meant",
        "A command between two members names the same one twice, or one that cannot be registered.";
    InvalidSuspension, "invalid_suspension", UNPROCESSABLE_ENTITY, "The suspension cannot be as it is",
        "It is over before it begins, or its text is too long.";
    InvalidPolicy, "invalid_policy", UNPROCESSABLE_ENTITY, "The policy has a value that none may have",
        "`detail` names it.";
    LimitReached, "limit_reached", TOO_MANY_REQUESTS, "A limit of messages was reached",
        "Too many messages in a request that waits, or too many new requests in a day.";
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "Too many requests",
        "Wait as long as `Retry-After` says. Accepting, deleting, blocking and reporting are never limited.";
    Internal, "internal", INTERNAL_SERVER_ERROR, "The service failed",
        "A defect; the service's log has it under the request id. A command may be repeated with the same key.";
    OutcomeUnknown, "outcome_unknown", SERVICE_UNAVAILABLE, "Whether it was carried out is not known",
        "The log could not be made durable. Repeat with the same `Idempotency-Key`: it takes effect once.";
    Busy, "busy", SERVICE_UNAVAILABLE, "The service is busy",
        "A bounded queue is full. Repeat with the same `Idempotency-Key`.";
    ViewBehind, "view_behind", SERVICE_UNAVAILABLE, "The view has not come that far",
        "The view did not reach `min_position` in time; ask again.";
    NotReady, "not_ready", SERVICE_UNAVAILABLE, "The service is not ready",
        "It starts, stops, or a part of it is not well; `/readyz` says which.";
    StorageFull, "storage_full", INSUFFICIENT_STORAGE, "The disk is full",
        "Commands are refused until there is room again; queries go on.";
}

/// One field that is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field in the body, the query or the headers, such as `messages[2]`.
    pub field: String,
    /// Why, in words.
    pub detail: String,
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
    /// The id of this request, also the header `X-Request-Id`.
    pub request_id: &'a str,
}

/// A failure on its way to the client.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Failure>);

#[derive(Clone, Debug)]
struct Failure {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    restorable_until: Option<String>,
    retry_after_s: Option<u64>,
}

impl ApiError {
    /// A failure of this kind, told in the words of its title.
    pub fn new(code: Code) -> Self {
        Self::with_detail(code, code.title())
    }

    /// A failure of this kind, told in words of its own.
    pub fn with_detail(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        ApiError(Box::new(Failure {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            restorable_until: None,
            retry_after_s: None,
        }))
    }

    /// A failure of one field.
    pub fn field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut error = Self::with_detail(code, detail.clone());
        error.0.errors.push(FieldError {
            field: field.into(),
            detail,
        });
        error
    }

    /// The same with the time until which the deleted request can be restored.
    #[must_use]
    pub fn restorable_until(mut self, until: Option<String>) -> Self {
        self.0.restorable_until = until;
        self
    }

    /// The same with a `Retry-After` in seconds, at least 1.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds.max(1));
        self
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
            self.0.code.title()
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
        let problem = Problem {
            type_uri: failure.code.type_uri(),
            title: failure.code.title(),
            status: failure.code.status().as_u16(),
            code: failure.code,
            detail: self.told(),
            errors: &failure.errors,
            restorable_until: failure.restorable_until.as_deref(),
            request_id,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (failure.code.status(), body).into_response();
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
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refused(&refusal.rejection),
            CommandError::NotFound => Code::NotFound.into(),
            CommandError::CommandIdReused => Code::CommandIdReused.into(),
            CommandError::InvalidTime => Code::InvalidTime.into(),
            CommandError::RateLimited => {
                ApiError::with_detail(Code::RateLimited, "Too many refused commands within a day.")
                    .retry_after_s(HOUR_S)
            }
            CommandError::Busy => ApiError::new(Code::Busy).retry_after_s(1),
            CommandError::TooLarge => ApiError::with_detail(
                Code::BodyTooLarge,
                "It would make an event that is too large.",
            ),
            CommandError::StorageFull => Code::StorageFull.into(),
            CommandError::OutcomeUnknown => Code::OutcomeUnknown.into(),
            CommandError::Unreadable(what) => ApiError::with_detail(Code::Internal, what),
        }
    }
}

/// A refusal in the words of its code, so that nothing of the state it depends on shows.
fn refused(rejection: &Rejection) -> ApiError {
    let code = match rejection.code() {
        Refused::AccountRestricted => Code::AccountRestricted,
        Refused::InvalidMessage => Code::InvalidMessage,
        Refused::LimitReached => Code::LimitReached,
        Refused::NotAllowed => Code::NotAllowed,
        Refused::NotFound => Code::NotFound,
        Refused::RequestFrozen => Code::RequestFrozen,
        Refused::RequestNotPending => Code::RequestNotPending,
        Refused::AlreadyAccepted => Code::AlreadyAccepted,
        Refused::NotRestorable => Code::NotRestorable,
        Refused::NotAccepted => Code::NotAccepted,
        Refused::NotAuthor => Code::NotAuthor,
        Refused::InvalidReport => Code::InvalidReport,
        Refused::InvalidReadMark => Code::InvalidReadMark,
        Refused::InvalidMember => Code::InvalidMember,
        Refused::RegisteredAtFixed => Code::RegisteredAtFixed,
        Refused::InvalidSuspension => Code::InvalidSuspension,
        Refused::InvalidPolicy => Code::InvalidPolicy,
        Refused::SlotNeeded | Refused::CountNeeded => {
            return ApiError::with_detail(
                Code::Internal,
                "a refusal of the write side's own left it",
            );
        }
    };
    let error = match (rejection.field(), rejection.problem()) {
        (Some(field), Some(problem)) => ApiError::field(code, field, told(problem)),
        (Some(field), None) => ApiError::field(code, field, code.title()),
        (None, _) => ApiError::new(code),
    };
    error.restorable_until(
        rejection
            .restorable_until()
            .map(|at| time::format(at.as_millis())),
    )
}

fn told(problem: TextProblem) -> String {
    match problem {
        TextProblem::Empty => "It says nothing but white space.".to_owned(),
        TextProblem::GraphemesMax(most) => format!("It has more than {most} graphemes."),
        TextProblem::BytesMax(most) => format!("It has more than {most} bytes."),
        TextProblem::Nul => "It holds a U+0000.".to_owned(),
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotFound => Code::NotFound.into(),
            QueryError::BadLimit => {
                ApiError::field(Code::InvalidQuery, "limit", "A page has 1 to 200 items.")
            }
            QueryError::BadCursor => ApiError::field(
                Code::InvalidQuery,
                "cursor",
                "It is not a cursor of this list.",
            ),
            QueryError::OtherLog => Code::OtherLog.into(),
            QueryError::Unavailable { view, .. } => ApiError::with_detail(
                Code::NotReady,
                format!("The view `{view}` cannot be read now."),
            )
            .retry_after_s(1),
            QueryError::Storage(error) => {
                ApiError::with_detail(Code::Internal, format!("{error:#}"))
            }
        }
    }
}

/// The page `docs/errors.md`, made from the table.
pub fn document() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Error codes\n\n\
         Every error of the interface is `application/problem+json` with one of these codes. This page is made from the table in\n\
         `api/src/problem.rs` and compared with it by a test.\n\n\
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
    page
}

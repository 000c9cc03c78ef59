//! Strict queries and paths: what does not parse is `invalid_query`, or names nothing and is `not_found`.
//!
//! A parameter that the route does not know is refused like a field of a body would be. An id in a path that cannot be
//! one is not told apart from one that does not exist: a conversation's becomes an id that no conversation has, and
//! goes the way of every unknown one.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use domain::ids::{CaseId, ConversationId, MemberId, ReportId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::{ApiError, Code};

/// The query of a route.
#[derive(Debug)]
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Query(query.0)),
            Err(rejection) => Err(ApiError::with_detail(
                Code::InvalidQuery,
                rejection.body_text(),
            )),
        }
    }
}

/// The variable segments of a route's path.
#[derive(Debug)]
pub(crate) struct Segments<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Segments(path.0)),
            Err(_) => Err(Code::NotFound.into()),
        }
    }
}

/// Ids that cannot be one are moved here, where nothing is.
const NOWHERE: Uuid = Uuid::from_u128(0x6f57_2b6c_1d0e_4c0f_9a11_53d2_77aa_e001);

fn uuid(text: &str) -> Uuid {
    // Only the form that is written is read, so that one thing has one name.
    match Uuid::try_parse(text) {
        Ok(uuid) if text.len() == 36 => uuid,
        _ => Uuid::new_v5(&NOWHERE, text.as_bytes()),
    }
}

/// The conversation that a path names, or one that does not exist.
pub(crate) fn conversation(text: &str) -> ConversationId {
    ConversationId(uuid(text))
}

/// The case that a path names, or one that does not exist.
pub(crate) fn case(text: &str) -> CaseId {
    CaseId(uuid(text))
}

/// The report that a path names, or one that does not exist.
pub(crate) fn report(text: &str) -> ReportId {
    ReportId(uuid(text))
}

/// The number of a message that a path names; 0, which no message has, where it is none.
pub(crate) fn message_number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// The member that a path names. What cannot be an id names nobody.
pub(crate) fn member(text: &str) -> Result<MemberId, ApiError> {
    MemberId::new(text).map_err(|_| Code::NotFound.into())
}

/// A time in a query or body field.
pub(crate) fn time(
    code: Code,
    field: &'static str,
    text: &str,
) -> Result<domain::time::Timestamp, ApiError> {
    crate::time::parse(text)
        .map(domain::time::Timestamp)
        .ok_or_else(|| ApiError::field(code, field, "It is not a time of RFC 3339."))
}

/// The query of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// 1-200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Waits until the view has come to this position.
    pub min_position: Option<String>,
}

/// The query of one answer.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOf {
    /// Waits until the view has come to this position.
    pub min_position: Option<String>,
}

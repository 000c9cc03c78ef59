//! Strict queries and paths: what does not parse is `invalid_query`, or names nothing and is `not_found`.
//!
//! A parameter that the route does not know is refused like a field of a body would be; what is wrong is told from the
//! route's own document. An id in a path that cannot be one is not told apart from one that does not exist: a
//! conversation's becomes an id that no conversation has, and goes the way of every unknown one. A member's is told to be
//! none (`invalid_member`), on routes where the caller may name any member.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path, RawPathParams};
use axum::http::Uri;
use axum::http::request::Parts;
use domain::ids::{ActId, CaseId, ConversationId, MemberId, ReportId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use crate::fields;
use crate::problem::{ApiError, Code, FieldCode, FieldError};

/// The query of a route.
#[derive(Debug)]
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => Ok(Query(query.0)),
            Err(_) => Err(ApiError::at_fields(
                Code::InvalidQuery,
                wrong_parameters::<T>(parts.uri.query().unwrap_or_default()),
            )),
        }
    }
}

/// The query of a route that knows some parameters itself, while others mean what the thing asked for says.
#[derive(Debug)]
pub(crate) struct Partly<T> {
    /// The known ones, or what is wrong with them.
    pub known: Result<T, Vec<FieldError>>,
    /// The others by name, in the order given.
    pub others: Vec<(String, String)>,
}

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Partly<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let names = names::<T>();
        let (mut known, mut others) = (Vec::new(), Vec::new());
        let query = parts.uri.query().unwrap_or_default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match pair(part) {
                Some((name, value)) if !names.contains(&name) => others.push((name, value)),
                Some(_) | None => known.push(part),
            }
        }
        let known = known.join("&");
        let parsed = format!("/?{known}")
            .parse()
            .ok()
            .and_then(|uri| axum::extract::Query::<T>::try_from_uri(&uri).ok());
        Ok(Partly {
            known: parsed
                .map(|query| query.0)
                .ok_or_else(|| wrong_parameters::<T>(&known)),
            others,
        })
    }
}

/// The names of the parameters that a route knows.
pub(crate) fn names<T: IntoParams>() -> Vec<String> {
    let known = T::into_params(|| None);
    known.into_iter().map(|known| known.name).collect()
}

/// Looks at each parameter by itself, by the document of the route.
fn wrong_parameters<T: DeserializeOwned + IntoParams>(query: &str) -> Vec<FieldError> {
    let known = T::into_params(|| None);
    let names: Vec<String> = known
        .iter()
        .map(|known| format!("`{}`", known.name))
        .collect();
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let Some((name, parsed)) = one_parameter::<T>(part) else {
            continue;
        };
        let mut tell = |code, message| {
            wrong.push(FieldError {
                field: name.clone(),
                code,
                message,
            });
        };
        match known.iter().find(|known| known.name == name) {
            None => tell(
                FieldCode::Unknown,
                format!("The route does not know it; it takes {}.", names.join(", ")),
            ),
            Some(_) if seen.contains(&name) => {
                tell(
                    FieldCode::Repeated,
                    "It is given more than once.".to_owned(),
                );
            }
            Some(parameter) => {
                if let Err(said) = parsed {
                    let (code, message) = accepted(parameter, &said);
                    tell(code, message);
                }
            }
        }
        seen.push(name);
    }
    wrong
}

/// What is wrong with a query where none is taken.
pub(crate) fn none_taken(query: &str) -> Vec<FieldError> {
    let names = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| pair(part).map_or_else(|| part.to_owned(), |(name, _)| name));
    names
        .map(|field| FieldError {
            field,
            code: FieldCode::Unknown,
            message: "The route takes no query.".to_owned(),
        })
        .collect()
}

/// A parameter's name and value.
fn pair(part: &str) -> Option<(String, String)> {
    let uri: Uri = format!("/?{part}").parse().ok()?;
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok()?;
    pairs.0.into_iter().next()
}

/// One parameter's name, and what the parser says of its value.
fn one_parameter<T: DeserializeOwned>(part: &str) -> Option<(String, Result<(), String>)> {
    let (name, _) = pair(part)?;
    let uri: Uri = format!("/?{part}").parse().ok()?;
    let parsed = axum::extract::Query::<T>::try_from_uri(&uri)
        .map(drop)
        .map_err(|rejection| rejection.body_text());
    Some((name, parsed))
}

/// What a parameter accepts: its words, or its numbers with their bounds.
fn accepted(parameter: &Parameter, said: &str) -> (FieldCode, String) {
    if let Some(words) = said.find("unknown variant").and_then(|at| said.get(at..)) {
        let told = fields::told(&parameter.name, words);
        return (told.code, told.message);
    }
    let bounds = match &parameter.schema {
        Some(RefOr::T(Schema::Object(object))) => (&object.minimum, &object.maximum),
        _ => (&None, &None),
    };
    let number = |bound: &Option<utoipa::Number>| {
        bound
            .as_ref()
            .and_then(|bound| serde_json::to_string(bound).ok())
            .map(|bound| bound.trim_end_matches(".0").to_owned())
    };
    let message = match (number(bounds.0), number(bounds.1)) {
        (Some(least), Some(most)) => format!("It takes a whole number from {least} to {most}."),
        (Some(least), None) => format!("It takes a whole number, {least} or more."),
        _ => "It is not what the route takes for it.".to_owned(),
    };
    (FieldCode::WrongType, message)
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

/// The act on many cases that a path names, or one that does not exist.
pub(crate) fn act(text: &str) -> ActId {
    ActId(uuid(text))
}

/// The report that a path names, or one that does not exist.
pub(crate) fn report(text: &str) -> ReportId {
    ReportId(uuid(text))
}

/// The number of a message that a path names; 0, which no message has, where it is none.
pub(crate) fn message_number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// The members that a path names, in order. What cannot be an id is told so: who may name members on these routes
/// learns nothing from it.
#[derive(Debug)]
pub(crate) struct Members<T>(pub T);

/// One member or a pair.
pub(crate) trait OfMembers: Sized {
    /// Made of all that a path names.
    fn of(members: Vec<MemberId>) -> Option<Self>;
}

impl OfMembers for MemberId {
    fn of(members: Vec<MemberId>) -> Option<Self> {
        <[MemberId; 1]>::try_from(members).ok().map(|[one]| one)
    }
}

impl OfMembers for (MemberId, MemberId) {
    fn of(members: Vec<MemberId>) -> Option<Self> {
        <[MemberId; 2]>::try_from(members).ok().map(Into::into)
    }
}

impl<T: OfMembers, S: Send + Sync> FromRequestParts<S> for Members<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let no_id = |name: &str| {
            let message = format!("It has to be {}.", fields::MEMBER_ID);
            ApiError::field(Code::InvalidMember, name, message).as_bad_request()
        };
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| no_id("id"))?;
        let mut members = Vec::with_capacity(2);
        for (name, text) in &params {
            members.push(MemberId::new(text).map_err(|_| no_id(name))?);
        }
        T::of(members).map(Members).ok_or_else(|| {
            ApiError::with_detail(Code::Internal, "a route names other members than it has")
        })
    }
}

/// What is wrong with what is no time.
pub(crate) const NO_TIME: &str = "It has to be a time of RFC 3339, such as `2026-01-31T12:00:00Z`.";

/// A time in a query or body field.
pub(crate) fn time(
    code: Code,
    field: &'static str,
    text: &str,
) -> Result<domain::time::Timestamp, ApiError> {
    crate::time::parse(text)
        .map(domain::time::Timestamp)
        .ok_or_else(|| ApiError::field(code, field, NO_TIME))
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
    /// Waits until the view has come to this position, given as it was received.
    pub min_position: Option<String>,
}

/// The query of one answer.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOf {
    /// Waits until the view has come to this position, given as it was received.
    pub min_position: Option<String>,
}

//! What the host tells of two members: follows and suggestions, one by one or in bulk.
//!
//! `POST /v1/relationships` takes a line for each fact and answers a line for each, in order. A line that cannot be read
//! changes nothing and is told so in its place; the others are carried out. The lines are submitted in order and waited
//! for together, so that a bulk call costs a few syncs and not one for each line.

use axum::extract::State as Extract;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use commands::{Command, Envelope};
use domain::ids::MemberId;
use domain::time::Timestamp;
use event_store::Position;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Reached};
use crate::app::State;
use crate::body::{self, BULK_ITEMS_MAX, Lines};
use crate::caller::{Acting, AsService, DOORSTEP_POSITION, ShownPosition};
use crate::problem::{ApiError, Code, FieldCode, FieldError, Problem};
use crate::query::{self, Members};
use crate::words::RelationshipKind;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(follow, unfollow))
        .routes(routes!(suggest, unsuggest))
        .routes(routes!(record))
}

async fn tell(
    shared: State,
    acting: Acting<AsService>,
    (member, other): (MemberId, MemberId),
    kind: RelationshipKind,
) -> Result<Answered<Reached>, ApiError> {
    shared
        .reach(
            acting,
            Command::RecordRelationship {
                member,
                kind: kind.into(),
                other,
            },
        )
        .await
}

/// `id` follows `other`.
#[utoipa::path(put, path = "/v1/members/{id}/follows/{other}", tag = "service",
    params(("id" = String, Path), ("other" = String, Path)),
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_member`", body = Problem)))]
async fn follow(
    Extract(shared): Extract<State>,
    acting: Acting<AsService>,
    Members(pair): Members<(MemberId, MemberId)>,
) -> Result<Answered<Reached>, ApiError> {
    tell(shared, acting, pair, RelationshipKind::Follow).await
}

/// `id` follows `other` no more.
#[utoipa::path(delete, path = "/v1/members/{id}/follows/{other}", tag = "service",
    params(("id" = String, Path), ("other" = String, Path)),
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_member`", body = Problem)))]
async fn unfollow(
    Extract(shared): Extract<State>,
    acting: Acting<AsService>,
    Members(pair): Members<(MemberId, MemberId)>,
) -> Result<Answered<Reached>, ApiError> {
    tell(shared, acting, pair, RelationshipKind::Unfollow).await
}

/// `other` is suggested to `id`.
#[utoipa::path(put, path = "/v1/members/{id}/suggestions/{other}", tag = "service",
    params(("id" = String, Path), ("other" = String, Path)),
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_member`", body = Problem)))]
async fn suggest(
    Extract(shared): Extract<State>,
    acting: Acting<AsService>,
    Members(pair): Members<(MemberId, MemberId)>,
) -> Result<Answered<Reached>, ApiError> {
    tell(shared, acting, pair, RelationshipKind::Suggest).await
}

/// `other` is suggested to `id` no more.
#[utoipa::path(delete, path = "/v1/members/{id}/suggestions/{other}", tag = "service",
    params(("id" = String, Path), ("other" = String, Path)),
    responses((status = 200, body = Reached), (status = 422, description = "`invalid_member`", body = Problem)))]
async fn unsuggest(
    Extract(shared): Extract<State>,
    acting: Acting<AsService>,
    Members(pair): Members<(MemberId, MemberId)>,
) -> Result<Answered<Reached>, ApiError> {
    tell(shared, acting, pair, RelationshipKind::Unsuggest).await
}

/// One fact of a bulk call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Fact {
    #[schema(value_type = String)]
    member: MemberId,
    kind: RelationshipKind,
    #[schema(value_type = String)]
    other: MemberId,
    /// When it happened, RFC 3339; the header `Doorstep-At` or the service's clock when absent.
    #[schema(format = DateTime)]
    at: Option<String>,
}

/// The outcome of one line: a position, or a code with its words.
#[derive(Debug, Serialize, ToSchema)]
struct LineOutcome {
    /// The status that a single command would have had.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<ShownPosition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl LineOutcome {
    fn of(outcome: Result<ShownPosition, ApiError>) -> Self {
        match outcome {
            Ok(position) => LineOutcome {
                status: 200,
                position: Some(position),
                code: None,
                detail: None,
                errors: Vec::new(),
            },
            Err(error) => LineOutcome {
                status: error.status().as_u16(),
                position: None,
                code: Some(error.code()),
                detail: Some(error.told().to_owned()),
                errors: error.errors().to_vec(),
            },
        }
    }
}

/// Records many facts, a line of JSON each, and answers a line each.
#[utoipa::path(post, path = "/v1/relationships", tag = "service",
    request_body(content = Fact, content_type = "application/x-ndjson",
        description = "One fact a line, at most 1,000. Empty lines are passed over. Line i has the command id `key/i`, from 0."),
    responses((status = 200, description = "One outcome a line, in order.", body = LineOutcome, content_type = "application/x-ndjson"),
        (status = 413, description = "`body_too_large`", body = Problem)))]
async fn record(
    Extract(shared): Extract<State>,
    acting: Acting<AsService>,
    Lines(bytes): Lines,
) -> Result<Response, ApiError> {
    let lines: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.len() > BULK_ITEMS_MAX {
        return Err(ApiError::with_detail(
            Code::BodyTooLarge,
            format!("The body has over {BULK_ITEMS_MAX} items. Send fewer at once."),
        ));
    }
    let mut submitted = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        submitted.push(match fact(line) {
            Ok((command, at)) => {
                let dated = at.is_some();
                let envelope = Envelope {
                    actor: acting.caller.sub().clone(),
                    command_id: acting.command_id.item(index),
                    id_given: acting.id_given,
                    at: at.or(acting.at),
                    command,
                };
                let pending = shared.commands.submit(envelope).await;
                pending
                    .map(|pending| (pending, dated))
                    .map_err(|error| of_line(error.into(), dated))
            }
            Err(error) => Err(error),
        });
    }
    let mut highest = Position::START;
    let mut body = Vec::with_capacity(lines.len() * 48);
    for pending in submitted {
        let outcome = match pending {
            Ok((pending, dated)) => {
                let outcome = pending.durable().await;
                outcome.map_err(|error| of_line(error.into(), dated))
            }
            Err(error) => Err(error),
        };
        let shown = outcome.map(|outcome| {
            highest = highest.max(outcome.position);
            acting.caller.shows(&shared, outcome.position)
        });
        serde_json::to_writer(&mut body, &LineOutcome::of(shown))
            .map_err(|error| ApiError::with_detail(Code::Internal, error.to_string()))?;
        body.push(b'\n');
    }
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    headers.insert(
        DOORSTEP_POSITION,
        acting.caller.shows(&shared, highest).to_header(),
    );
    Ok(response)
}

/// A failure of a line that has a time of its own names that, and not the header.
fn of_line(error: ApiError, dated: bool) -> ApiError {
    if dated && error.code() == Code::InvalidTime {
        let told = error.errors().first();
        let message = told.map_or(Code::InvalidTime.meaning(), |told| &told.message);
        return ApiError::at_field(Code::InvalidTime, "at", FieldCode::Unfit, message);
    }
    error
}

fn fact(line: &[u8]) -> Result<(Command, Option<Timestamp>), ApiError> {
    let fact: Fact = body::parse(line)?;
    let at = match &fact.at {
        Some(text) => Some(query::time(Code::InvalidBody, "at", text)?),
        None => None,
    };
    Ok((
        Command::RecordRelationship {
            member: fact.member,
            kind: fact.kind.into(),
            other: fact.other,
        },
        at,
    ))
}

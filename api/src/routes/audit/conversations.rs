//! `/v1/audit/conversations/{cid}/…`: what was said, known and decided between two members, as of a moment.

use axum::extract::State as Extract;
use domain::act::Looked;
use domain::ids::{ConversationId, MemberId};
use projections::{Moment, ViewName, Which};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::shapes::{Changes, Explained, Pair};
use super::{OneAsOf, Span};
use crate::answers::{Answered, Listed};
use crate::app::State;
use crate::audit::{self, Asked, Question, Subject};
use crate::caller::{AsAuditor, Caller};
use crate::fields;
use crate::problem::{ApiError, Code, FieldCode};
use crate::query::{self, Query, Segments};
use crate::routes::messages::ShownMessage;

/// What is asked for, in words.
const WHAT: &str = "The conversation";

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(messages))
        .routes(routes!(relationship))
        .routes(routes!(explain))
        .routes(routes!(diff))
}

/// The two members of a conversation as of a moment; not found before it began.
async fn members(
    question: &Question<'_>,
    id: ConversationId,
    moment: Moment,
) -> Result<[MemberId; 2], ApiError> {
    let members = question.past.members_of(id, moment.position).await;
    audit::or_unknown(members, WHAT, moment)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MessagesAsOf {
    /// As this one of the two saw them; every message, whoever saw it, when absent.
    member: Option<String>,
    /// A position, or a time of RFC 3339: the end of the longest prefix of the log in which no `at` is later. Now when
    /// absent, or the moment of the cursor.
    as_of: Option<String>,
    /// What for, 1-64 bytes of `[a-z0-9_]`; `audit` when absent. It is recorded.
    purpose: Option<String>,
    /// 1-200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The messages of a conversation as of a moment.
#[utoipa::path(get, path = "/v1/audit/conversations/{cid}/messages", tag = "auditor",
    params(("cid" = String, Path, format = Uuid), MessagesAsOf), responses((status = 200, body = Listed<ShownMessage>)))]
async fn messages(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Segments(cid): Segments<String>,
    Query(asked): Query<MessagesAsOf>,
) -> Result<Answered<Listed<ShownMessage>>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let reader = asked.member.as_deref().map(MemberId::new).transpose();
    let reader = reader.map_err(|_| {
        let message = format!("It has to be {}.", fields::MEMBER_ID);
        ApiError::field(Code::InvalidQuery, "member", message)
    })?;
    let mut question = shared.question().await?;
    let id = query::conversation(&cid);
    // The conversation's own members have it from its first event on: before any moment is known they name its cursors.
    let two = question.past.members_of(id, question.past.end()).await?;
    let subject = Subject::between(Looked::Messages, id, two);
    let asked = Asked {
        as_of: asked.as_of.as_deref(),
        limit: asked.limit,
        cursor: asked.cursor.as_deref(),
    };
    let at = question.page(&caller, &subject, asked).await?;
    members(&question, id, at.moment).await?;
    let whom = projections::Subject::Conversation(id);
    let rows = question
        .past
        .as_of(&whom, &[ViewName::Conversation], at.moment)
        .await?;
    let request = at.request()?;
    let page = match &reader {
        Some(reader) => rows.messages(reader, id, &request).await,
        None => rows.all_messages(id, &request).await,
    };
    let page = audit::or_unknown(page, WHAT, at.moment)?;
    question
        .listed(
            caller,
            purpose,
            subject,
            &at,
            (page, None),
            ShownMessage::from,
        )
        .await
}

/// What was known between the two of a conversation as of a moment.
#[utoipa::path(get, path = "/v1/audit/conversations/{cid}/relationship", tag = "auditor",
    params(("cid" = String, Path, format = Uuid), OneAsOf), responses((status = 200, body = Pair)))]
async fn relationship(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Segments(cid): Segments<String>,
    Query(asked): Query<OneAsOf>,
) -> Result<Answered<Pair>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let at = question.moment(asked.as_of.as_deref()).await?;
    let id = query::conversation(&cid);
    let two = members(&question, id, at.0).await?;
    let facts = question.past.relationship(id, at.0).await;
    let facts = audit::or_unknown(facts, WHAT, at.0)?;
    let subject = Subject::between(Looked::Relationship, id, two);
    question
        .answered(caller, purpose, subject, at, facts.value.into())
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Explaining {
    /// The message of this number; this or `command_id`.
    #[param(minimum = 1)]
    number: Option<u64>,
    /// The command of this id, a refused one too; this or `number`.
    command_id: Option<String>,
    /// A position, or a time of RFC 3339. Now when absent.
    as_of: Option<String>,
    /// What for, 1-64 bytes of `[a-z0-9_]`; `audit` when absent. It is recorded.
    purpose: Option<String>,
}

/// Why a message went where it went, or a command was refused.
#[utoipa::path(get, path = "/v1/audit/conversations/{cid}/explain", tag = "auditor",
    params(("cid" = String, Path, format = Uuid), Explaining), responses((status = 200, body = Explained)))]
async fn explain(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Segments(cid): Segments<String>,
    Query(asked): Query<Explaining>,
) -> Result<Answered<Explained>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let (which, what) = match (asked.number, asked.command_id) {
        (Some(number), None) => (Which::Message(number), "A message of this number"),
        (None, Some(id)) => (Which::Command(id), "A command of this id"),
        (None, None) => {
            return Err(ApiError::at_field(
                Code::InvalidQuery,
                "number",
                FieldCode::Missing,
                "It is missing, and so is `command_id`; give one of them.",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(ApiError::at_field(
                Code::InvalidQuery,
                "command_id",
                FieldCode::Unfit,
                "It is given beside `number`; give one of them.",
            ));
        }
    };
    let mut question = shared.question().await?;
    let at = question.moment(asked.as_of.as_deref()).await?;
    let id = query::conversation(&cid);
    let two = members(&question, id, at.0).await?;
    let decisions = question.past.explain(id, &which, at.0).await;
    let decisions = audit::or_unknown(decisions, what, at.0)?;
    let subject = Subject::between(Looked::Explanation, id, two);
    let body = Explained::of(id, decisions.value);
    question.answered(caller, purpose, subject, at, body).await
}

/// What changed in a conversation from one moment to another.
#[utoipa::path(get, path = "/v1/audit/conversations/{cid}/diff", tag = "auditor",
    params(("cid" = String, Path, format = Uuid), Span), responses((status = 200, body = Changes)))]
async fn diff(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Segments(cid): Segments<String>,
    Query(span): Query<Span>,
) -> Result<Answered<Changes>, ApiError> {
    let purpose = audit::purpose(span.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let [from, to] = span.moments(&mut question).await?;
    let id = query::conversation(&cid);
    let two = members(&question, id, to).await?;
    let whom = projections::Subject::Conversation(id);
    let diff = question.past.diff(&whom, from, to).await?;
    let subject = Subject::between(Looked::Diff, id, two);
    let caller = question
        .look(caller, purpose, subject, (Some(from), Some(to)))
        .await?;
    Ok(shared.standing_at(&caller, to.position, diff.into()))
}

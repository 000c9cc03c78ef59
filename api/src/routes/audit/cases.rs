//! `GET /v1/audit/cases/{id}`: a moderators' file as of a moment. Looking is recorded with the auditor's other looks, with the
//! messages that were shown; the file's own stream has those of moderators alone.

use axum::extract::State as Extract;
use domain::act::Looked;
use projections::{PastError, QueryError, ViewName};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::OneAsOf;
use crate::answers::Answered;
use crate::app::State;
use crate::audit::{self, Subject};
use crate::caller::{AsAuditor, Caller};
use crate::follow_ups::joined;
use crate::problem::ApiError;
use crate::query::{self, Query, Segments};
use crate::routes::moderation::{ShownCase, shown_messages};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(case))
}

/// A case with its evidence as of a moment.
#[utoipa::path(get, path = "/v1/audit/cases/{id}", tag = "auditor", params(("id" = String, Path, format = Uuid), OneAsOf),
    responses((status = 200, body = ShownCase)))]
async fn case(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Segments(id): Segments<String>,
    Query(asked): Query<OneAsOf>,
) -> Result<Answered<ShownCase>, ApiError> {
    const WHAT: &str = "The case";
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let (moment, present) = question.moment(asked.as_of.as_deref()).await?;
    let case = query::case(&id);
    let views = [ViewName::ModerationQueue, ViewName::Conversation];
    let subject = projections::Subject::Case(case);
    let mut rows = question.past.as_of(&subject, &views, moment).await;
    if let Err(PastError::Query(QueryError::NotFound)) = rows {
        // A report makes its case, whose stream the reactor begins a moment later.
        joined(&shared, case).await?;
        rows = question.past.as_of(&subject, &views, moment).await;
    }
    let rows = audit::or_unknown(rows, WHAT, moment)?;
    let found = audit::or_unknown(rows.case(case).await, WHAT, moment)?;
    let file = &found.value;
    let subject = Subject {
        looked: Looked::Case,
        member: file.summary.member.clone(),
        other: file.reporter.clone(),
        conversation: file.summary.conversation_id,
        case: Some((case, shown_messages(file))),
    };
    let at = (moment, present);
    question
        .answered(caller, purpose, subject, at, found.value.into())
        .await
}

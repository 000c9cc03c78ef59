//! `/v1/audit/members/{id}/…`: what a member had before them at a moment.

use axum::extract::State as Extract;
use domain::act::Looked;
use domain::ids::MemberId;
use projections::{AsOf, Moment, TimelinePage, ViewName};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::shapes::{Changes, Happened};
use super::{ListAsOf, OneAsOf, Span};
use crate::answers::{Answered, Listed};
use crate::app::State;
use crate::audit::{self, Question, Subject};
use crate::caller::{AsAuditor, Caller, ShownPosition};
use crate::problem::ApiError;
use crate::query::{Members, Query};
use crate::routes::blocks::Block;
use crate::routes::dm_setting::DmSetting;
use crate::routes::inbox::InboxEntry;
use crate::routes::requests::Request;
use crate::routes::unread::Unread;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(inbox))
        .routes(routes!(requests))
        .routes(routes!(unread))
        .routes(routes!(blocks))
        .routes(routes!(dm_setting))
        .routes(routes!(timeline))
        .routes(routes!(diff))
}

/// A view of a member as of a moment; not found before they were registered.
async fn as_of(
    question: &Question<'_>,
    member: &MemberId,
    view: ViewName,
    moment: Moment,
) -> Result<AsOf, ApiError> {
    let subject = projections::Subject::Member(member.clone());
    let as_of = question
        .past
        .as_of(&subject, &[view, ViewName::Members], moment)
        .await?;
    audit::or_unknown(as_of.member(member).await, "The member", moment)?;
    Ok(as_of)
}

/// A member's inbox as of a moment.
#[utoipa::path(get, path = "/v1/audit/members/{id}/inbox", tag = "auditor", params(("id" = String, Path), ListAsOf),
    responses((status = 200, body = Listed<InboxEntry>)))]
async fn inbox(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(asked): Query<ListAsOf>,
) -> Result<Answered<Listed<InboxEntry>>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let subject = Subject::of(Looked::Inbox, &member);
    let at = question.page(&caller, &subject, asked.asked()).await?;
    let rows = as_of(&question, &member, ViewName::Inbox, at.moment).await?;
    let page = rows.inbox(&member, &at.request()?).await?;
    question
        .listed(
            caller,
            purpose,
            subject,
            &at,
            (page, None),
            InboxEntry::from,
        )
        .await
}

/// What waited for a member as of a moment.
#[utoipa::path(get, path = "/v1/audit/members/{id}/requests", tag = "auditor", params(("id" = String, Path), ListAsOf),
    responses((status = 200, body = Listed<Request>)))]
async fn requests(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(asked): Query<ListAsOf>,
) -> Result<Answered<Listed<Request>>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let subject = Subject::of(Looked::Requests, &member);
    let at = question.page(&caller, &subject, asked.asked()).await?;
    let rows = as_of(&question, &member, ViewName::Requests, at.moment).await?;
    let page = rows.requests(&member, &at.request()?).await?;
    question
        .listed(caller, purpose, subject, &at, (page, None), Request::from)
        .await
}

/// In how many conversations of a member something unread waited as of a moment.
#[utoipa::path(get, path = "/v1/audit/members/{id}/unread", tag = "auditor", params(("id" = String, Path), OneAsOf),
    responses((status = 200, body = Unread)))]
async fn unread(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(asked): Query<OneAsOf>,
) -> Result<Answered<Unread>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let at = question.moment(asked.as_of.as_deref()).await?;
    let rows = as_of(&question, &member, ViewName::Unread, at.0).await?;
    let unread = rows.unread(&member).await?.value;
    let subject = Subject::of(Looked::Unread, &member);
    question
        .answered(caller, purpose, subject, at, unread.into())
        .await
}

/// Whom a member had blocked as of a moment.
#[utoipa::path(get, path = "/v1/audit/members/{id}/blocks", tag = "auditor", params(("id" = String, Path), ListAsOf),
    responses((status = 200, body = Listed<Block>)))]
async fn blocks(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(asked): Query<ListAsOf>,
) -> Result<Answered<Listed<Block>>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let subject = Subject::of(Looked::Blocks, &member);
    let at = question.page(&caller, &subject, asked.asked()).await?;
    let rows = as_of(&question, &member, ViewName::Blocked, at.moment).await?;
    let page = rows.blocks(&member, &at.request()?).await?;
    question
        .listed(caller, purpose, subject, &at, (page, None), Block::from)
        .await
}

/// A member's DM setting as of a moment.
#[utoipa::path(get, path = "/v1/audit/members/{id}/dm-setting", tag = "auditor", params(("id" = String, Path), OneAsOf),
    responses((status = 200, body = DmSetting)))]
async fn dm_setting(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(asked): Query<OneAsOf>,
) -> Result<Answered<DmSetting>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let at = question.moment(asked.as_of.as_deref()).await?;
    let rows = as_of(&question, &member, ViewName::Members, at.0).await?;
    let setting = rows.member(&member).await?.value.dm_setting;
    let subject = Subject::of(Looked::DmSetting, &member);
    let body = DmSetting::shown(&setting, ShownPosition::Number(setting.position.0));
    question.answered(caller, purpose, subject, at, body).await
}

/// What a member did and what others did towards them.
#[utoipa::path(get, path = "/v1/audit/members/{id}/timeline", tag = "auditor", params(("id" = String, Path), ListAsOf),
    responses((status = 200, body = Listed<Happened>)))]
async fn timeline(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(asked): Query<ListAsOf>,
) -> Result<Answered<Listed<Happened>>, ApiError> {
    let purpose = audit::purpose(asked.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let subject = Subject::of(Looked::Timeline, &member);
    let at = question.page(&caller, &subject, asked.asked()).await?;
    let page = TimelinePage {
        limit: at.limit(),
        before: at.before(),
    };
    let (page, next) = question.past.timeline(&member, at.moment, page).await?;
    if page.items.is_empty() && at.before().is_none() {
        return Err(audit::unknown("The member", at.moment));
    }
    let next = next.map(|position| position.0.to_be_bytes().to_vec());
    question
        .listed(caller, purpose, subject, &at, (page, next), Happened::from)
        .await
}

/// What changed for a member from one moment to another.
#[utoipa::path(get, path = "/v1/audit/members/{id}/diff", tag = "auditor", params(("id" = String, Path), Span),
    responses((status = 200, body = Changes)))]
async fn diff(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(span): Query<Span>,
) -> Result<Answered<Changes>, ApiError> {
    let purpose = audit::purpose(span.purpose.as_deref())?;
    let mut question = shared.question().await?;
    let [from, to] = span.moments(&mut question).await?;
    as_of(&question, &member, ViewName::Members, to).await?;
    let whom = projections::Subject::Member(member.clone());
    let diff = question.past.diff(&whom, from, to).await?;
    let subject = Subject::of(Looked::Diff, &member);
    let caller = question
        .look(caller, purpose, subject, (Some(from), Some(to)))
        .await?;
    Ok(shared.standing_at(&caller, to.position, diff.into()))
}

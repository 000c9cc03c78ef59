//! `GET /v1/audit/members/{id}/disclosures`: the ledger of who was shown what is a member's.
//!
//! It goes up to the moment of its first page, which does not have the look that it is itself.

use axum::extract::State as Extract;
use domain::act::Looked;
use domain::ids::MemberId;
use projections::{DisclosureItem, LookedAs, ViewName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::{Shared, State};
use crate::audit::{self, Asked, Subject};
use crate::caller::{AsAuditor, Caller};
use crate::problem::{ApiError, Code};
use crate::query::{Members, Query};
use crate::time;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default().routes(routes!(disclosures))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Ledger {
    /// What for, 1-64 bytes of `[a-z0-9_]`; `audit` when absent. It is recorded.
    purpose: Option<String>,
    /// 1-200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A look at what is a member's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Disclosure {
    /// Who looked.
    by: String,
    /// As what: `moderator`, at a case, or `auditor`.
    role: &'static str,
    #[schema(format = DateTime)]
    at: String,
    /// What for, as they said.
    purpose: String,
    /// What was looked at: `case`, `inbox`, `requests`, `unread`, `blocks`, `dm_setting`, `timeline`, `diff`, `messages`,
    /// `relationship`, `explanation` or `disclosures`; of a list the whole list.
    looked: &'static str,
    /// The moderators' file.
    #[schema(format = Uuid)]
    case_id: Option<String>,
    #[schema(format = Uuid)]
    conversation_id: Option<String>,
    /// The other member whose it is as well.
    with: Option<String>,
    /// Which messages of the conversation a case showed; null where no case was looked at.
    messages: Option<Shown>,
    /// The earlier moment that it was compared with.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// The moment as of which it was shown; null for the present one.
    #[schema(format = DateTime)]
    as_of: Option<String>,
}

/// The messages that a case showed, by number.
#[derive(Debug, Serialize, ToSchema)]
struct Shown {
    /// The reported ones, as they were sent.
    reported: Vec<u64>,
    /// Those around them.
    around: Vec<u64>,
}

impl From<DisclosureItem> for Disclosure {
    fn from(item: DisclosureItem) -> Self {
        let time = |at: domain::Timestamp| time::format(at.as_millis());
        Disclosure {
            by: item.by.to_string(),
            role: match item.role {
                LookedAs::Moderator => "moderator",
                LookedAs::Auditor => "auditor",
            },
            at: time(item.at),
            purpose: item.purpose.to_string(),
            looked: item.looked.as_str(),
            case_id: item.case_id.map(|id| id.to_string()),
            conversation_id: item.conversation_id.map(|id| id.to_string()),
            with: item.with.map(|id| id.to_string()),
            messages: item.shown.map(|shown| Shown {
                reported: shown.reported,
                around: shown.around,
            }),
            from: item.from.map(time),
            as_of: item.as_of.map(time),
        }
    }
}

/// Who was shown what is a member's, the latest look first.
#[utoipa::path(get, path = "/v1/audit/members/{id}/disclosures", tag = "auditor", params(("id" = String, Path), Ledger),
    responses((status = 200, body = Listed<Disclosure>)))]
async fn disclosures(
    Extract(shared): Extract<State>,
    caller: Caller<AsAuditor>,
    Members(member): Members<MemberId>,
    Query(asked): Query<Ledger>,
) -> Result<Answered<Listed<Disclosure>>, ApiError> {
    let page = Asked {
        as_of: None,
        limit: asked.limit,
        cursor: asked.cursor.as_deref(),
    };
    let purpose = asked.purpose.as_deref();
    read(&shared, caller, &member, (purpose, page), Disclosure::from).await
}

/// The page of a member's ledger that is asked for, and what for; that it is read is recorded by then.
pub(crate) async fn read<T>(
    shared: &Shared,
    caller: Caller<AsAuditor>,
    member: &MemberId,
    (purpose, asked): (Option<&str>, Asked<'_>),
    item: impl FnMut(DisclosureItem) -> T,
) -> Result<Answered<Listed<T>>, ApiError> {
    let purpose = audit::purpose(purpose)?;
    let mut question = shared.question().await?;
    let subject = Subject::of(Looked::Disclosures, member);
    let at = question.page(&caller, &subject, asked).await?;
    for view in [ViewName::Members, ViewName::Disclosures] {
        come_to(shared, view, at.moment.position).await?;
    }
    let known = shared.reads.member(member).await;
    audit::or_unknown(known, "The member", at.moment)?;
    let page = shared
        .reads
        .disclosures(member, at.moment.position, &at.request()?)
        .await?;
    question
        .listed(caller, purpose, subject, &at, (page, None), item)
        .await
}

/// Waits until a view has come to a position.
async fn come_to(
    shared: &Shared,
    view: ViewName,
    position: event_store::Position,
) -> Result<(), ApiError> {
    let within = shared.options.view_wait;
    let waited = shared.reads.wait(view, position, within).await;
    waited.map_err(|error| match error {
        projections::WaitError::Behind(_) => ApiError::new(Code::ViewBehind).retry_after_s(1),
        projections::WaitError::Stopped(_) => ApiError::new(Code::NotReady).retry_after_s(1),
    })
}

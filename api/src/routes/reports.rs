//! Reports: making one, and what came of the caller's own. Making one is never limited.

use axum::extract::State as Extract;
use commands::{Answer, Command, Envelope, Target};
use domain::conversation::AlsoOutcome;
use domain::ids::ReportId;
use projections::{ReportItem, ViewName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::State;
use crate::body::Json;
use crate::caller::{Acting, AsMember, AsMemberUnlimited, Caller, ShownPosition};
use crate::problem::{ApiError, Code, Problem};
use crate::query::{self, AsOf, Paging, Query, Segments};
use crate::time;
use crate::words::{Also, Category};

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(make))
        .routes(routes!(list))
        .routes(routes!(show))
}

/// A report of messages of the other member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReport {
    #[schema(format = Uuid)]
    conversation_id: String,
    /// 1-20 numbers of messages.
    #[schema(min_items = 1, max_items = 20)]
    messages: Vec<u64>,
    category: Category,
    /// At most 2,000 graphemes and 8 KiB.
    #[serde(default)]
    comment: String,
    /// What to do besides; `none` unless given.
    also: Option<Also>,
}

/// A report that is kept.
#[derive(Debug, Serialize, ToSchema)]
struct Reported {
    /// The report; where nothing was new, the earliest of these messages.
    #[schema(format = Uuid)]
    report_id: String,
    position: ShownPosition,
    also: AlsoDone,
}

/// What became of what a report asked for besides.
#[derive(Debug, Serialize, ToSchema)]
struct AlsoDone {
    /// As it was given; `none` where it was not.
    asked: Also,
    outcome: AlsoBecame,
    /// Why it was not applied: `already_deleted`, `already_blocked`, or `no_pending_request`, where there
    /// is none to delete, since it was accepted or withdrawn or never needed to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AlsoBecame {
    /// Done, in the same append as the report.
    Applied,
    /// It does not apply here.
    Skipped,
    /// It was so already.
    Unchanged,
    /// Nothing was asked.
    None,
}

impl AlsoDone {
    fn of(asked: Also, outcome: Option<AlsoOutcome>) -> Self {
        let (outcome, reason) = match outcome {
            None => (AlsoBecame::None, None),
            Some(AlsoOutcome::Done) => (AlsoBecame::Applied, None),
            Some(AlsoOutcome::Skipped) => (AlsoBecame::Skipped, Some("no_pending_request")),
            Some(AlsoOutcome::Already) => (
                AlsoBecame::Unchanged,
                Some(match asked {
                    Also::Block => "already_blocked",
                    Also::Delete | Also::None => "already_deleted",
                }),
            ),
        };
        AlsoDone {
            asked,
            outcome,
            reason,
        }
    }
}

/// Reports messages. 200 with the earliest report where nothing was new.
#[utoipa::path(post, path = "/v1/reports", tag = "member", request_body = NewReport,
    responses((status = 201, body = Reported), (status = 200, description = "Nothing was new.", body = Reported),
        (status = 422, description = "`invalid_report`", body = Problem)))]
async fn make(
    Extract(shared): Extract<State>,
    acting: Acting<AsMemberUnlimited>,
    Json(report): Json<NewReport>,
) -> Result<Answered<Reported>, ApiError> {
    let asked = report.also.unwrap_or(Also::None);
    let command = Command::ReportMessage {
        target: Target::Conversation(query::conversation(&report.conversation_id)),
        messages: report.messages,
        category: report.category.into(),
        comment: report.comment,
        also: asked.into(),
    };
    let (outcome, position) = shared.carry_out(&acting, command.clone()).await?;
    let (report, new, also) = if let Answer::Reported {
        report, new, also, ..
    } = outcome.answer
    {
        (report, new, also)
    } else {
        (
            earliest(&shared, &acting, command).await?,
            false,
            Some(AlsoOutcome::Done),
        )
    };
    let body = Reported {
        report_id: report.to_string(),
        position: position.clone(),
        also: AlsoDone::of(asked, also),
    };
    Ok(if new {
        Answered::created(position, body)
    } else {
        Answered::ok(position, body)
    })
}

/// A report that named nothing new and yet did what else was asked for has an answer of that alone. The same report
/// without it is *unchanged*, writes nothing, and names the earliest one.
async fn earliest(
    shared: &State,
    acting: &Acting<AsMemberUnlimited>,
    command: Command,
) -> Result<ReportId, ApiError> {
    let unanswered =
        || ApiError::with_detail(Code::Internal, "a report was made without an answer");
    let Command::ReportMessage {
        target,
        messages,
        category,
        comment,
        ..
    } = command
    else {
        return Err(unanswered());
    };
    let also = domain::conversation::Also::None;
    let envelope = Envelope {
        actor: acting.caller.sub().clone(),
        command_id: acting.command_id.step("earliest"),
        // Which report is the earliest stays so: nothing has to keep what was told of it.
        id_given: false,
        at: acting.at,
        command: Command::ReportMessage {
            target,
            messages,
            category,
            comment,
            also,
        },
    };
    let answer = shared.commands.handle(envelope).await?.answer;
    if let Answer::Reported { report, .. } = answer {
        Ok(report)
    } else {
        Err(unanswered())
    }
}

/// A report, as its reporter sees it.
#[derive(Debug, Serialize, ToSchema)]
struct OwnReport {
    #[schema(format = Uuid)]
    report_id: String,
    #[schema(format = Uuid)]
    conversation_id: String,
    /// Who was reported.
    member: String,
    messages: Vec<u64>,
    category: Category,
    comment: String,
    #[schema(format = DateTime)]
    reported_at: String,
    /// `open` or `decided`; a reversal that is not an appeal's makes it `open` again.
    state: &'static str,
    /// What came of it, as far as it concerns the reporter: `acted_on`, `not_acted_on`, or `reversed`, where what had been
    /// decided was taken back; null before a decision.
    outcome: Option<&'static str>,
}

impl From<ReportItem> for OwnReport {
    fn from(item: ReportItem) -> Self {
        OwnReport {
            report_id: item.report_id.to_string(),
            conversation_id: item.conversation_id.to_string(),
            member: item.member.to_string(),
            messages: item.messages,
            category: item.category.into(),
            comment: item.comment,
            reported_at: time::format(item.reported_at.as_millis()),
            state: item.state.as_str(),
            outcome: item.outcome.map(projections::ReportOutcome::as_str),
        }
    }
}

/// What the caller has reported, the latest first.
#[utoipa::path(get, path = "/v1/me/reports", tag = "member", params(Paging), responses((status = 200, body = Listed<OwnReport>)))]
async fn list(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Query(asked): Query<Paging>,
) -> Result<Answered<Listed<OwnReport>>, ApiError> {
    const VIEW: ViewName = ViewName::Reports;
    let page = shared.page(&caller, VIEW.as_str(), &asked)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let page = shared.reads.my_reports(caller.sub(), &page).await?;
    Ok(shared.listed(&caller, VIEW.as_str(), page, OwnReport::from))
}

/// One report of the caller's.
#[utoipa::path(get, path = "/v1/reports/{id}", tag = "member", params(("id" = String, Path, format = Uuid), AsOf),
    responses((status = 200, body = OwnReport)))]
async fn show(
    Extract(shared): Extract<State>,
    caller: Caller<AsMember>,
    Segments(id): Segments<String>,
    Query(asked): Query<AsOf>,
) -> Result<Answered<OwnReport>, ApiError> {
    shared
        .reached(&caller, ViewName::Reports, asked.min_position.as_deref())
        .await?;
    let answer = shared
        .reads
        .my_report(caller.sub(), query::report(&id))
        .await?;
    Ok(shared.standing_at(&caller, answer.position, OwnReport::from(answer.value)))
}

//! The moderators' queue and its cases.
//!
//! Showing a case is itself an event, which names the messages: it is durable before anything is shown. A moderator sees
//! the reported messages and five on either side, never the rest of the inbox; what that is, the view decides.

use std::collections::BTreeSet;

use axum::extract::State as Extract;
use commands::Command;
use domain::case::{PriorityInputs, ShownMessages};
use domain::ids::{CaseId, MemberId, ReasonCode};
use projections::{
    Answer as ViewAnswer, Case, CaseDecision, CaseMessage, CaseNote, CaseReport, CaseState,
    QueueFilter, QueueItem, QueueSort, ViewName,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::{Answered, Listed};
use crate::app::State;
use crate::caller::{Acting, AsModerator, Caller};
use crate::fields;
use crate::follow_ups::{for_moderator, joined};
use crate::problem::{ApiError, Code, FieldCode};
use crate::query::{self, Paging, Query, Segments};
use crate::routes::case_appeals::{ShownAppeal, ShownReversal};
use crate::time;
use crate::words::{Action, Category};

mod history;
use history::History;

const VIEW: ViewName = ViewName::ModerationQueue;

pub(crate) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::default()
        .routes(routes!(queue))
        .routes(routes!(case))
}

/// The word for cases with an appeal that waits, beside those of the states.
const APPEALED: &str = "appealed";

fn words_of_states() -> impl Iterator<Item = &'static str> {
    let states = CaseState::ALL.iter().map(|state| state.as_str());
    states.chain([APPEALED])
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// `open`, `claimed`, `decided` or `closed`; `appealed`: with an appeal that waits, whatever else. When absent what waits:
    /// open, claimed or appealed; of one member all but closed ones.
    state: Option<String>,
    /// With a report of this category.
    category: Option<Category>,
    /// About this member.
    member: Option<String>,
    /// Held by this moderator.
    claimed_by: Option<String>,
    /// Opened before this time, RFC 3339.
    opened_before: Option<String>,
    /// Opened at this time or later, RFC 3339.
    opened_after: Option<String>,
    /// `priority` (when absent), `oldest` or `newest`.
    sort: Option<String>,
    /// 1-200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next_cursor` of the page before, with the same filter and order.
    cursor: Option<String>,
    /// Waits until the view has come to this position, given as it was received.
    min_position: Option<String>,
}

impl Asked {
    fn filter(&self, of: &MemberId) -> Result<QueueFilter, ApiError> {
        let appealed = self.state.as_deref() == Some(APPEALED);
        let state = match self.state.as_deref() {
            Some(word) if !appealed => {
                let state = CaseState::ALL
                    .into_iter()
                    .find(|state| state.as_str() == word);
                Some(state.ok_or_else(|| {
                    let words: Vec<&str> = words_of_states().collect();
                    ApiError::at_field(
                        Code::InvalidQuery,
                        "state",
                        FieldCode::NotOneOf,
                        format!("It takes `{}`.", words.join("`, `")),
                    )
                })?)
            }
            Some(_) | None => None,
        };
        let id = |field: &'static str, id: &Option<String>| {
            let Some(id) = id else { return Ok(None) };
            let member = MemberId::new(id).map(Some);
            member.map_err(|_| {
                let message = format!("It has to be {}.", fields::MEMBER_ID);
                ApiError::field(Code::InvalidQuery, field, message)
            })
        };
        let member = id("member", &self.member)?;
        let claimed_by = id("claimed_by", &self.claimed_by)?;
        let time = |field: &'static str, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| query::time(Code::InvalidQuery, field, text))
                .transpose()
        };
        let opened_before = time("opened_before", &self.opened_before)?;
        let opened_after = time("opened_after", &self.opened_after)?;
        let sort = match self.sort.as_deref() {
            None | Some("priority") => QueueSort::Priority,
            Some("oldest") => QueueSort::Oldest,
            Some("newest") => QueueSort::Newest,
            Some(_) => {
                return Err(ApiError::at_field(
                    Code::InvalidQuery,
                    "sort",
                    FieldCode::NotOneOf,
                    "It takes `priority`, `oldest`, `newest`; `priority` when it is absent.",
                ));
            }
        };
        let category = self.category.map(Into::into);
        Ok(QueueFilter {
            state,
            appealed,
            category,
            member,
            claimed_by,
            opened_before,
            opened_after,
            besides: Some(of.clone()),
            sort,
        })
    }
}

/// A case in the queue.
#[derive(Debug, Serialize, ToSchema)]
struct QueuedCase {
    #[schema(format = Uuid)]
    case_id: String,
    /// Null of a suspension by hand.
    #[schema(format = Uuid)]
    conversation_id: Option<String>,
    /// The reported member; of a suspension by hand who was suspended.
    member: String,
    /// `open`, `claimed`, `decided` or `closed`.
    state: &'static str,
    /// Higher comes first; among equals the case opened earlier.
    priority: u64,
    priority_inputs: PriorityFrom,
    /// Worst first.
    categories: Vec<Category>,
    /// How many reports it has.
    reports: u64,
    /// How many different members reported this member within 90 days, as of the member's last report.
    reporters: u32,
    #[schema(format = DateTime)]
    opened_at: String,
    claimed_by: Option<String>,
    /// When that claim lapses unless its holder acts before.
    #[schema(format = DateTime)]
    claimed_until: Option<String>,
    /// Who left it to another moderator.
    escalated_by: Option<String>,
    /// How often what is to be decided changed; a decision on many cases names it, so that it decides what was seen.
    revision: u64,
    /// When the member made the appeal that has waited longest; null where none waits.
    #[schema(format = DateTime)]
    appealed_at: Option<String>,
}

/// What a case's place in the queue follows from.
#[derive(Debug, Serialize, ToSchema)]
struct PriorityFrom {
    /// Of the worst category, 0 to 5.
    severity: u8,
    /// Different members who reported this member, as of the member's last report while the case waited; 250 at most.
    reporters: u32,
    /// Earlier cases of the member that were upheld.
    upheld: u32,
    /// All its reports are over their reporters' daily limit.
    over_limit: bool,
}

impl From<PriorityInputs> for PriorityFrom {
    fn from(priority: PriorityInputs) -> Self {
        PriorityFrom {
            severity: priority.severity,
            reporters: priority.reporters,
            upheld: priority.upheld,
            over_limit: priority.over_limit,
        }
    }
}

impl From<QueueItem> for QueuedCase {
    fn from(item: QueueItem) -> Self {
        QueuedCase {
            case_id: item.case_id.to_string(),
            conversation_id: item.conversation_id.map(|id| id.to_string()),
            member: item.member.to_string(),
            state: item.state.as_str(),
            priority: item.priority.rank(),
            priority_inputs: item.priority.into(),
            categories: item.categories.into_iter().map(Category::from).collect(),
            reports: item.reports,
            reporters: item.reporters,
            opened_at: time::format(item.opened_at.as_millis()),
            claimed_by: item.claimed_by.map(|id| id.to_string()),
            claimed_until: item.claimed_until.map(|at| time::format(at.as_millis())),
            escalated_by: item.escalated_by.map(|id| id.to_string()),
            revision: item.revision,
            appealed_at: item.appealed_at.map(|at| time::format(at.as_millis())),
        }
    }
}

/// The cases that wait, the most urgent first, but for those of the caller's own conversations.
#[utoipa::path(get, path = "/v1/moderation/queue", tag = "moderator", params(Asked), responses((status = 200, body = Listed<QueuedCase>)))]
async fn queue(
    Extract(shared): Extract<State>,
    caller: Caller<AsModerator>,
    Query(asked): Query<Asked>,
) -> Result<Answered<Listed<QueuedCase>>, ApiError> {
    let filter = asked.filter(caller.sub())?;
    // A cursor is for one filter and order: with another it is none.
    let scope = format!("{VIEW} {filter:?}");
    let paging = Paging {
        limit: asked.limit,
        cursor: asked.cursor,
        min_position: None,
    };
    let page = shared.page(&caller, &scope, &paging)?;
    shared
        .reached(&caller, VIEW, asked.min_position.as_deref())
        .await?;
    let page = shared.reads.moderation_queue(&filter, &page).await?;
    Ok(shared.listed(&caller, &scope, page, QueuedCase::from))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Reading {
    /// What for, 1-64 bytes of `[a-z0-9_]`; `review` when absent. It is recorded.
    purpose: Option<String>,
    /// Waits until the view has come to this position, given as it was received.
    min_position: Option<String>,
}

/// A case with its evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownCase {
    #[schema(format = Uuid)]
    case_id: String,
    /// Null of a suspension by hand.
    #[schema(format = Uuid)]
    conversation_id: Option<String>,
    /// The reported member; of a suspension by hand who was suspended.
    member: String,
    /// The other member of the conversation, who reported; null of a suspension by hand.
    reporter: Option<String>,
    /// `open`, `claimed`, `decided` or `closed`.
    state: &'static str,
    priority: u64,
    priority_inputs: PriorityFrom,
    /// Worst first.
    categories: Vec<Category>,
    #[schema(format = DateTime)]
    opened_at: String,
    claimed_by: Option<String>,
    /// When that claim lapses unless its holder acts before.
    #[schema(format = DateTime)]
    claimed_until: Option<String>,
    /// Who left it to another moderator.
    escalated_by: Option<String>,
    /// How often what is to be decided changed; a decision on many cases names it, so that it decides what was seen.
    revision: u64,
    /// What moderators wrote down, oldest first; of more than 100 the newest.
    notes: Vec<Note>,
    /// Oldest first; of more than 100 the newest.
    decisions: Vec<ShownDecision>,
    /// Oldest first; of more than 100 the newest.
    reports: Vec<ShownReport>,
    /// The reported messages and up to five on either side, by number.
    messages: Vec<ContextMessage>,
    /// Of the reported member, then of the reporter where there is one.
    history: Vec<History>,
}

/// What a moderator wrote down about a case, or said as they left it to another or opened it again.
#[derive(Debug, Serialize, ToSchema)]
struct Note {
    by: String,
    text: String,
    #[schema(format = DateTime)]
    at: String,
}

impl From<CaseNote> for Note {
    fn from(note: CaseNote) -> Self {
        Note {
            by: note.by.to_string(),
            text: note.text,
            at: time::format(note.at.as_millis()),
        }
    }
}

/// What was decided on a case.
#[derive(Debug, Serialize, ToSchema)]
struct ShownDecision {
    #[schema(format = Uuid)]
    decision_id: String,
    /// Which moderator; no member is told.
    by: String,
    action: Action,
    #[schema(format = DateTime)]
    until: Option<String>,
    /// The messages that it removes, by number.
    messages: Vec<u64>,
    /// Why, as a code.
    reason: String,
    /// What the member is told.
    text: String,
    /// The facts relied on.
    facts: String,
    #[schema(format = DateTime)]
    decided_at: String,
    /// From when on the member can appeal no more; null where there is nothing to appeal.
    #[schema(format = DateTime)]
    appealable_until: Option<String>,
    /// The act on many cases that it is part of; null where it stands by itself.
    #[schema(format = Uuid)]
    act_id: Option<String>,
    appeal: Option<ShownAppeal>,
    reversal: Option<ShownReversal>,
}

impl From<CaseDecision> for ShownDecision {
    fn from(decision: CaseDecision) -> Self {
        let time = |at: domain::Timestamp| time::format(at.as_millis());
        ShownDecision {
            decision_id: decision.decision_id.to_string(),
            by: decision.by.to_string(),
            action: decision.action.into(),
            until: decision.until.map(time),
            messages: decision.messages,
            reason: decision.reason.to_string(),
            text: decision.text,
            facts: decision.facts,
            decided_at: time(decision.decided_at),
            appealable_until: decision.appealable_until.map(time),
            act_id: decision.act.map(|act| act.to_string()),
            appeal: decision.appeal.map(Into::into),
            reversal: decision.reversal.map(Into::into),
        }
    }
}

/// A report of a case.
#[derive(Debug, Serialize, ToSchema)]
struct ShownReport {
    #[schema(format = Uuid)]
    report_id: String,
    reporter: String,
    category: Category,
    comment: String,
    #[schema(format = DateTime)]
    reported_at: String,
    /// It was over the reporter's daily limit, everybody's or one that a moderator set: it moves no queue.
    over_limit: bool,
    /// The reported messages as they were sent.
    evidence: Vec<ReportedMessage>,
}

/// A reported message as it was sent.
#[derive(Debug, Serialize, ToSchema)]
struct ReportedMessage {
    number: u64,
    text: String,
    #[schema(format = DateTime)]
    sent_at: String,
}

/// A message around the reported ones.
#[derive(Debug, Serialize, ToSchema)]
struct ContextMessage {
    number: u64,
    from: String,
    /// Null once unsent, unless it was reported.
    text: Option<String>,
    #[schema(format = DateTime)]
    sent_at: String,
    #[schema(format = DateTime)]
    unsent_at: Option<String>,
    /// When moderators removed it.
    #[schema(format = DateTime)]
    removed_at: Option<String>,
    /// It is one of the reported ones.
    reported: bool,
}

impl From<CaseReport> for ShownReport {
    fn from(report: CaseReport) -> Self {
        ShownReport {
            report_id: report.report_id.to_string(),
            reporter: report.reporter.to_string(),
            category: report.category.into(),
            comment: report.comment,
            reported_at: time::format(report.reported_at.as_millis()),
            over_limit: report.over_limit,
            evidence: report
                .evidence
                .into_iter()
                .map(|item| ReportedMessage {
                    number: item.number,
                    text: item.text,
                    sent_at: time::format(item.sent_at.as_millis()),
                })
                .collect(),
        }
    }
}

impl From<CaseMessage> for ContextMessage {
    fn from(message: CaseMessage) -> Self {
        ContextMessage {
            number: message.number,
            from: message.from.to_string(),
            text: message.text,
            sent_at: time::format(message.sent_at.as_millis()),
            unsent_at: message.unsent_at.map(|at| time::format(at.as_millis())),
            removed_at: message.removed_at.map(|at| time::format(at.as_millis())),
            reported: message.reported,
        }
    }
}

impl From<Case> for ShownCase {
    fn from(case: Case) -> Self {
        let summary = QueuedCase::from(case.summary);
        ShownCase {
            case_id: summary.case_id,
            conversation_id: summary.conversation_id,
            member: summary.member,
            reporter: case.reporter.map(|id| id.to_string()),
            state: summary.state,
            priority: summary.priority,
            priority_inputs: summary.priority_inputs,
            categories: summary.categories,
            opened_at: summary.opened_at,
            claimed_by: summary.claimed_by,
            claimed_until: summary.claimed_until,
            escalated_by: summary.escalated_by,
            revision: summary.revision,
            notes: case.notes.into_iter().map(Note::from).collect(),
            decisions: case
                .decisions
                .into_iter()
                .map(ShownDecision::from)
                .collect(),
            reports: case.reports.into_iter().map(ShownReport::from).collect(),
            messages: case
                .messages
                .into_iter()
                .map(ContextMessage::from)
                .collect(),
            history: std::iter::once(case.history)
                .chain(case.history_of_reporter)
                .map(History::from)
                .collect(),
        }
    }
}

/// A case with its evidence. Reading it is recorded: by whom, for what purpose, and which messages were shown.
#[utoipa::path(get, path = "/v1/moderation/cases/{id}", tag = "moderator", params(("id" = String, Path, format = Uuid), Reading),
    responses((status = 200, body = ShownCase)))]
async fn case(
    Extract(shared): Extract<State>,
    acting: Acting<AsModerator>,
    Segments(id): Segments<String>,
    Query(reading): Query<Reading>,
) -> Result<Answered<ShownCase>, ApiError> {
    let purpose =
        ReasonCode::new(reading.purpose.as_deref().unwrap_or("review")).map_err(|_| {
            ApiError::field(
                Code::InvalidQuery,
                "purpose",
                "It has to be 1-64 characters of `a-z 0-9 _`; `review` when it is absent.",
            )
        })?;
    let min_position = reading.min_position.as_deref();
    let answer = opened(&shared, &acting, query::case(&id), purpose, min_position).await?;
    Ok(shared.standing_at(
        &acting.caller,
        answer.position,
        ShownCase::from(answer.value),
    ))
}

/// A case that is about to be shown; that it is shown, and why, is recorded by then.
pub(crate) async fn opened(
    shared: &State,
    acting: &Acting<AsModerator>,
    case: CaseId,
    purpose: ReasonCode,
    min_position: Option<&str>,
) -> Result<ViewAnswer<Case>, ApiError> {
    shared.reached(&acting.caller, VIEW, min_position).await?;
    let case = for_moderator(shared, acting.caller.sub(), case)?;
    let answer = shared.reads.case(case).await?;
    let shown = shown_messages(&answer.value);
    let command = Command::DiscloseCase {
        case,
        purpose,
        shown,
    };
    disclose(shared, acting, case, command).await?;
    Ok(answer)
}

/// The messages that a case shows, each once: those of its reports, and those around them.
pub(crate) fn shown_messages(case: &Case) -> ShownMessages {
    let evidence = case.reports.iter().flat_map(|report| &report.evidence);
    let reported: BTreeSet<u64> = evidence.map(|item| item.number).collect();
    let around = case.messages.iter().map(|message| message.number);
    ShownMessages {
        around: around.filter(|number| !reported.contains(number)).collect(),
        reported: reported.into_iter().collect(),
    }
}

/// Records that the case is about to be shown. The view shows a case from its first report on; its own stream begins a
/// moment later, by the reactor, which is waited for.
async fn disclose(
    shared: &State,
    acting: &Acting<AsModerator>,
    case: CaseId,
    command: Command,
) -> Result<(), ApiError> {
    match shared.carry_out(acting, command.clone()).await {
        Err(error) if error.code() == Code::NotFound => {
            joined(shared, case).await?;
            shared.carry_out(acting, command).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

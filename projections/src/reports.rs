//! `reports`: what has a member reported, and what came of it?
//!
//! Key: the reporter, then the position of the report, falling; beside it the place of each report by its id. Comments
//! are read from the log. The reporter learns the outcome that concerns them, never which moderator: a decision on a case
//! decides its reports that wait, and its reversal says so, and has them wait again where the case is open by it. What it is that was
//! done they do not learn. Bound: a row per report.

use domain::case::{self, Category};
use domain::conversation;
use domain::event::Event;
use domain::ids::{CaseId, ConversationId, DecisionId, MemberId, ReportId};
use domain::time::Timestamp;
use event_store::{EventStore, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Span, Tx, View, WaitKey};

use crate::codec::{DomainCodec, conversation_of};
use crate::rows::{Merged, decode, fetch, load, store};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Answer, Page, PageRequest, QueryError, ViewName, texts};

const ROWS: &str = "rows";
const BY_ID: &str = "by_id";
/// The reports of a case, by their positions.
const BY_CASE: &str = "by_case";

/// A report, as its reporter sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportItem {
    /// The report.
    pub report_id: ReportId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Who was reported.
    pub member: MemberId,
    /// The messages it names.
    pub messages: Vec<u64>,
    /// Its category.
    pub category: Category,
    /// What the reporter wrote.
    pub comment: String,
    /// When.
    pub reported_at: Timestamp,
    /// Where it stands.
    pub state: ReportState,
    /// What came of it, as far as it concerns the reporter; none before a decision.
    pub outcome: Option<ReportOutcome>,
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportOutcome {
    /// Something was done.
    ActedOn,
    /// Nothing was done.
    NotActedOn,
    /// What had been decided was reversed.
    Reversed,
}

impl ReportOutcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActedOn => "acted_on",
            Self::NotActedOn => "not_acted_on",
            Self::Reversed => "reversed",
        }
    }
}

/// Where a report stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportState {
    /// It waits for a moderator, or one looks at it.
    Open,
    /// It was decided.
    Decided,
}

impl ReportState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Decided => "decided",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    report_id: ReportId,
    conversation: ConversationId,
    /// The version of its event.
    version: u64,
    member: MemberId,
    messages: Vec<u64>,
    category: Category,
    reported_at: i64,
    state: ReportState,
    outcome: Option<ReportOutcome>,
    /// The decision that decided it last.
    decision: Option<DecisionId>,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reports;

impl View<DomainCodec> for Reports {
    fn name(&self) -> &'static str {
        ViewName::Reports.as_str()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, BY_ID, BY_CASE]
    }

    /// What moderators do with a case changes rows that the reports in its conversation made.
    fn keys(&self, event: &RecordedEvent, decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        let mut keys = vec![WaitKey::Writes(event.stream().to_owned())];
        if let Some(Event::Case(_)) = decoded {
            return keys;
        }
        let reported = event.members().filter_map(|id| MemberId::new(id).ok());
        let cases = conversation_of(event).map(|conversation| {
            reported.map(move |member| case::stream(CaseId::of(conversation, &member)))
        });
        keys.extend(cases.into_iter().flatten().map(WaitKey::Writes));
        keys
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[Topic::Report, Topic::Case])
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        if let Event::Case(event) = decoded {
            return of_case(tx, recorded, event);
        }
        let Event::Conversation(conversation::Event::MessagesReported(reported)) = decoded else {
            return Ok(());
        };
        let row = Row {
            report_id: reported.report_id,
            conversation: conversation_of(recorded)?,
            version: recorded.version(),
            member: reported.reported.clone(),
            messages: reported
                .messages
                .iter()
                .map(|message| message.number)
                .collect(),
            category: reported.category,
            reported_at: recorded.at_ms(),
            state: ReportState::Open,
            outcome: None,
            decision: None,
        };
        let case = CaseId::of(row.conversation, &row.member);
        let key = Key::new()
            .text(reported.reporter.as_str())
            .u64_desc(recorded.position().0);
        store(tx, ROWS, &key, &row)?;
        let of_case = Key::new().fixed(case.0.as_bytes());
        tx.put(BY_CASE, &of_case.u64(recorded.position().0), &key)?;
        Ok(tx.put(BY_ID, reported.report_id.0.as_bytes(), &key)?)
    }
}

/// What moderators do with a case changes its reports.
fn of_case(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &case::Event<'_>,
) -> Result<(), ApplyError> {
    use case::Event as C;
    match event {
        C::CaseDecided(decided) => each_of(tx, recorded, |row| {
            if row.state == ReportState::Open {
                row.state = ReportState::Decided;
                row.decision = Some(decided.decision);
                row.outcome = Some(if decided.action.upholds() {
                    ReportOutcome::ActedOn
                } else {
                    ReportOutcome::NotActedOn
                });
            }
        }),
        C::DecisionReversed(reversed) => each_of(tx, recorded, |row| {
            if row.decision == Some(reversed.decision) {
                row.outcome = Some(ReportOutcome::Reversed);
                if reversed.reopened {
                    row.state = ReportState::Open;
                }
            }
        }),
        // It was decided after the report was made and before it had joined: the report is yet to be decided.
        C::ReportJoined(joined) => each_of(tx, recorded, |row| {
            if row.report_id == joined.report_id {
                row.state = ReportState::Open;
                row.outcome = None;
                row.decision = None;
            }
        }),
        C::CaseOpened(_)
        | C::ContentDisclosed(_)
        | C::CaseClaimed(_)
        | C::CaseReleased(_)
        | C::ClaimLapsed(_)
        | C::CaseNoted(_)
        | C::CaseEscalated(_)
        | C::CaseClosed(_)
        | C::DecisionAppealed(_)
        | C::AppealDecided(_) => Ok(()),
    }
}

/// Changes the rows of the reports of the event's case.
fn each_of(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    change: impl Fn(&mut Row),
) -> Result<(), ApplyError> {
    let id = recorded.stream().strip_prefix("case-");
    let Some(case) = id.and_then(|id| id.parse::<CaseId>().ok()) else {
        return Ok(());
    };
    let mut keys = Vec::new();
    for row in tx.scan(BY_CASE, &Span::prefix(case.0.as_bytes()), Order::Ascending)? {
        keys.push(row?.1.to_vec());
    }
    for key in keys {
        let Some(before) = load::<Row>(tx, ROWS, &key)? else {
            continue;
        };
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            store(tx, ROWS, &key, &after)?;
        }
    }
    Ok(())
}

impl Row {
    async fn into_item(self, log: &dyn EventStore) -> anyhow::Result<ReportItem> {
        let event = texts::event(log, self.conversation, self.version).await?;
        let decoded = domain::codec::decode(event.event_type(), event.data())?;
        let Event::Conversation(conversation::Event::MessagesReported(reported)) = decoded else {
            anyhow::bail!("the event of a report is none");
        };
        Ok(ReportItem {
            report_id: self.report_id,
            conversation_id: self.conversation,
            member: self.member,
            messages: self.messages,
            category: self.category,
            comment: reported.comment.as_str().to_owned(),
            reported_at: Timestamp(self.reported_at),
            state: self.state,
            outcome: self.outcome,
        })
    }
}

/// A page of what a member has reported.
pub(crate) async fn query(
    reads: &dyn Views,
    member: &MemberId,
    page: &PageRequest,
) -> Result<Page<ReportItem>, QueryError> {
    let reader = reads.reader(ViewName::Reports)?;
    let checkpoint = reader.checkpoint();
    let prefix = Key::new().text(member.as_str());
    let mut span = Span::prefix(&prefix);
    if let Some(place) = page.place::<8>(ViewName::Reports, checkpoint.log_id)? {
        span = span.after(&prefix.fixed(&place));
    }
    let mut rows = Merged::<8>::of(&reader, ROWS, &[span], Order::Ascending)?;
    let page = Page::read(&mut rows, page, ViewName::Reports, checkpoint, |bytes| {
        decode::<Row>(ROWS, bytes)
    })?;
    drop(rows);
    let Page {
        items,
        next,
        position,
    } = page;
    let mut answers = Vec::with_capacity(items.len());
    for row in items {
        answers.push(row.into_item(reads.log()).await?);
    }
    Ok(Page {
        items: answers,
        next,
        position,
    })
}

/// One report, for its reporter.
pub(crate) async fn query_one(
    reads: &dyn Views,
    member: &MemberId,
    report: ReportId,
) -> Result<Answer<ReportItem>, QueryError> {
    let reader = reads.reader(ViewName::Reports)?;
    let prefix = Key::new().text(member.as_str());
    let key = reader
        .get(BY_ID, report.0.as_bytes())?
        .map(|key| key.to_vec());
    let key = key
        .filter(|key| key.starts_with(&prefix))
        .ok_or(QueryError::NotFound)?;
    let row: Row = fetch(&reader, ROWS, &key)?.ok_or(QueryError::NotFound)?;
    Ok(Answer {
        value: row.into_item(reads.log()).await?,
        position: reader.checkpoint().position,
    })
}

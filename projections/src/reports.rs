//! `reports`: what has a member reported, and what came of it?
//!
//! Key: the reporter, then the position of the report, falling; beside it the place of each report by its id. Comments
//! are read from the log. The reporter learns the outcome that concerns them, never which moderator; a decision
//! changes state and outcome of the rows of its case. Bound: a row per report.

use domain::case::Category;
use domain::conversation;
use domain::event::Event;
use domain::ids::{ConversationId, MemberId, ReportId};
use domain::time::Timestamp;
use event_store::{EventStore, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Span, Tx, View};

use crate::codec::{DomainCodec, conversation_of};
use crate::rows::{Merged, decode, fetch, store};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Answer, Page, PageRequest, QueryError, ViewName, texts};

const ROWS: &str = "rows";
const BY_ID: &str = "by_id";

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
    pub outcome: Option<String>,
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
    outcome: Option<String>,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reports;

impl View<DomainCodec> for Reports {
    fn name(&self) -> &'static str {
        ViewName::Reports.as_str()
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, BY_ID]
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
        };
        let key = Key::new()
            .text(reported.reporter.as_str())
            .u64_desc(recorded.position().0);
        store(tx, ROWS, &key, &row)?;
        Ok(tx.put(BY_ID, reported.report_id.0.as_bytes(), &key)?)
    }
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

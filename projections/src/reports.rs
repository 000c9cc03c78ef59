//! `reports`: what has a member reported, and what came of it?
//!
//! Key: the reporter, then the position of the report, falling; beside it the place of each report by its id. Comments
//! are read from the log. The reporter learns the outcome that concerns them, never which moderator: a decision on a case
//! decides its reports that wait, and its reversal says so, and has them wait again where the case is open by it; so does a
//! moderator who opens the case again. What it is that was done they do not learn. An event of a case reads the reports that it
//! changes and no other. Bound: a row per report, its place twice, and a row per decided case.

use domain::case::{self, CaseDecided, Category};
use domain::conversation;
use domain::event::Event;
use domain::ids::{CaseId, ConversationId, DecisionId, MemberId, ReportId};
use domain::time::Timestamp;
use event_store::{EventStore, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Span, Tx, View, WaitKey};
use uuid::Uuid;

use crate::codec::{DomainCodec, conversation_of};
use crate::rows::{decode, fetch, load, store};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Answer, Page, PageRequest, QueryError, ViewName, texts};

const ROWS: &str = "rows";
const BY_ID: &str = "by_id";
/// The reports of a case that wait for a decision, by their ids.
const OPEN: &str = "open";
/// The reports that a decision decided last, by their ids, until they wait again.
const DECIDED: &str = "decided";
/// The latest decision on a case.
const LATEST: &str = "latest";

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
        &[ROWS, BY_ID, OPEN, DECIDED, LATEST]
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
        tx.put(OPEN, &place(case.0, row.report_id), &key)?;
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
    let id = recorded.stream().strip_prefix("case-");
    let Some(case) = id.and_then(|id| id.parse::<CaseId>().ok()) else {
        return Ok(());
    };
    match event {
        C::CaseDecided(decided) => decide(tx, case, decided),
        C::DecisionReversed(reversed) => {
            if reversed.reopened {
                wait_again(tx, case, reversed.decision)?;
            }
            reverse(tx, case, reversed.decision)
        }
        // It was decided after the report was made and before it had joined: the report is yet to be decided.
        C::ReportJoined(joined) => {
            let key = tx.get(BY_ID, joined.report_id.0.as_bytes())?;
            let Some(key) = key.map(|key| key.to_vec()) else {
                return Ok(());
            };
            let Some(mut row) = load::<Row>(tx, ROWS, &key)? else {
                return Ok(());
            };
            if let Some(decision) = row.decision.take() {
                tx.delete(DECIDED, &place(decision.0, row.report_id))?;
            }
            wait(tx, case, &key, row)
        }
        C::CaseReopened(_) => match load(tx, LATEST, case.0.as_bytes())? {
            Some(decision) => wait_again(tx, case, decision),
            None => Ok(()),
        },
        C::CaseOpened(_)
        | C::SuspensionFiled(_)
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

/// Where a report stands among those of its case that wait, or among those of its decision.
fn place(among: Uuid, report: ReportId) -> Key {
    Key::new()
        .fixed(among.as_bytes())
        .fixed(report.0.as_bytes())
}

/// The rows at the places among which an event changes some, and their keys.
fn listed(
    tx: &mut Tx<'_>,
    table: &'static str,
    among: Uuid,
) -> Result<Vec<(Vec<u8>, Row)>, ApplyError> {
    let mut keys = Vec::new();
    for row in tx.scan(table, &Span::prefix(among.as_bytes()), Order::Ascending)? {
        keys.push(row?.1.to_vec());
    }
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(row) = load(tx, ROWS, &key)? {
            rows.push((key, row));
        }
    }
    Ok(rows)
}

/// Decides the reports that wait.
fn decide(tx: &mut Tx<'_>, case: CaseId, decided: &CaseDecided<'_>) -> Result<(), ApplyError> {
    let outcome = if decided.action.upholds() {
        ReportOutcome::ActedOn
    } else {
        ReportOutcome::NotActedOn
    };
    for (key, mut row) in listed(tx, OPEN, case.0)? {
        row.state = ReportState::Decided;
        row.outcome = Some(outcome);
        row.decision = Some(decided.decision);
        tx.delete(OPEN, &place(case.0, row.report_id))?;
        tx.put(DECIDED, &place(decided.decision.0, row.report_id), &key)?;
        store(tx, ROWS, &key, &row)?;
    }
    store(tx, LATEST, case.0.as_bytes(), &decided.decision)
}

/// Has the reports that a decision decided wait for another.
fn wait_again(tx: &mut Tx<'_>, case: CaseId, decision: DecisionId) -> Result<(), ApplyError> {
    for (key, row) in listed(tx, DECIDED, decision.0)? {
        tx.delete(DECIDED, &place(decision.0, row.report_id))?;
        wait(tx, case, &key, row)?;
    }
    Ok(())
}

/// Has a report wait for a decision.
fn wait(tx: &mut Tx<'_>, case: CaseId, key: &[u8], mut row: Row) -> Result<(), ApplyError> {
    row.state = ReportState::Open;
    row.outcome = None;
    tx.put(OPEN, &place(case.0, row.report_id), key)?;
    store(tx, ROWS, key, &row)
}

/// Says of a decision's reports that it is reversed, of those too that wait again.
fn reverse(tx: &mut Tx<'_>, case: CaseId, decision: DecisionId) -> Result<(), ApplyError> {
    let mut rows = listed(tx, DECIDED, decision.0)?;
    let waiting = listed(tx, OPEN, case.0)?.into_iter();
    rows.extend(waiting.filter(|(_, row)| row.decision == Some(decision)));
    for (key, mut row) in rows {
        row.outcome = Some(ReportOutcome::Reversed);
        store(tx, ROWS, &key, &row)?;
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
    const VIEW: ViewName = ViewName::Reports;
    let prefix = Key::new().text(member.as_str());
    let page = Page::below(&reads.reader(VIEW)?, ROWS, &prefix, page, VIEW, |bytes| {
        decode::<Row>(ROWS, bytes)
    })?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(row.into_item(reads.log()).await?);
    }
    Ok(Page {
        items,
        next: page.next,
        position: page.position,
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

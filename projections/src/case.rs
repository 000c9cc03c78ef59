//! A case with its evidence: what a moderator reads before deciding.
//!
//! The queue's own row, the reports as the log has them (evidence and comments are stored there alone), the messages
//! around the reported ones as `conversation` finds them, and what is known of both members. A moderator sees the
//! reported messages and five on either side, never the rest, and nothing that was withheld from its recipient.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use domain::case::{self, Action, AppealOutcome, Category};
use domain::conversation as events;
use domain::event::Event;
use domain::ids::{ActId, CaseId, ConversationId, DecisionId, MemberId, ReasonCode, ReportId};
use domain::member;
use domain::time::Timestamp;
use event_store::{EventStore, RecordedEvent, StreamName};

use crate::conversation::{self, Row};
use crate::moderation_queue::{self, Filed, Placed, QueueItem, Ruled};
use crate::views::Views;
use crate::{Answer, QueryError, ViewName, texts};

/// How many messages on either side of a reported one are shown.
const AROUND: u64 = 5;

/// A case with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// As the queue shows it.
    pub summary: QueueItem,
    /// The other member of the conversation, who reported; none of a suspension by hand, which has no reports.
    pub reporter: Option<MemberId>,
    /// Its reports, oldest first; at most [`Case::REPORTS_MAX`], the newest.
    pub reports: Vec<CaseReport>,
    /// The reported messages and up to five on either side, by number.
    pub messages: Vec<CaseMessage>,
    /// What moderators wrote down, oldest first; at most [`Case::NOTES_MAX`], the newest.
    pub notes: Vec<CaseNote>,
    /// What was decided, oldest first; at most [`Case::DECISIONS_MAX`], the newest.
    pub decisions: Vec<CaseDecision>,
    /// What is known of the reported member.
    pub history: MemberHistory,
    /// What is known of the reporter.
    pub history_of_reporter: Option<MemberHistory>,
}

impl Case {
    /// How many reports a case shows.
    pub const REPORTS_MAX: usize = 100;
    /// How many notes a case shows.
    pub const NOTES_MAX: usize = 100;
    /// How many decisions a case shows.
    pub const DECISIONS_MAX: usize = 100;
    /// How many messages of the conversation a case shows; those about its latest reports come first.
    pub const MESSAGES_MAX: usize = 500;
}

/// A report of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReport {
    /// The report.
    pub report_id: ReportId,
    /// Who reported.
    pub reporter: MemberId,
    /// Its category.
    pub category: Category,
    /// What the reporter wrote.
    pub comment: String,
    /// When.
    pub reported_at: Timestamp,
    /// It was over the reporter's daily limit.
    pub over_limit: bool,
    /// The messages as they were sent.
    pub evidence: Vec<EvidenceItem>,
}

/// A reported message as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceItem {
    /// Its number.
    pub number: u64,
    /// What it said.
    pub text: String,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// A message of a case's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseMessage {
    /// Its number.
    pub number: u64,
    /// Who wrote it.
    pub from: MemberId,
    /// What it says; none once unsent, unless it was reported.
    pub text: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was unsent.
    pub unsent_at: Option<Timestamp>,
    /// When moderators removed it.
    pub removed_at: Option<Timestamp>,
    /// It is one of the reported ones.
    pub reported: bool,
}

/// What a moderator wrote down about a case, or said as they left it to another or opened it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseNote {
    /// Who wrote it.
    pub by: MemberId,
    /// What.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What was decided on a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseDecision {
    /// The decision.
    pub decision_id: DecisionId,
    /// Which moderator.
    pub by: MemberId,
    /// What it does.
    pub action: Action,
    /// Until when; none where it has no end.
    pub until: Option<Timestamp>,
    /// The messages that it removes.
    pub messages: Vec<u64>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
    /// The facts relied on.
    pub facts: String,
    /// When.
    pub decided_at: Timestamp,
    /// From when on the member can appeal no more; none where there is nothing to appeal.
    pub appealable_until: Option<Timestamp>,
    /// The act on many cases that it is part of, where it is.
    pub act: Option<ActId>,
    /// The member's appeal.
    pub appeal: Option<CaseAppeal>,
    /// That it was reversed.
    pub reversal: Option<CaseReversal>,
}

/// A member's appeal of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseAppeal {
    /// What they say.
    pub text: String,
    /// When.
    pub appealed_at: Timestamp,
    /// What a moderator answered; none while it waits, and where a reversal without it answered it.
    pub answer: Option<CaseAnswer>,
}

/// How a moderator decided an appeal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseAnswer {
    /// Which moderator.
    pub by: MemberId,
    /// Whether the decision stays.
    pub outcome: AppealOutcome,
    /// What the member is told.
    pub text: String,
    /// When.
    pub decided_at: Timestamp,
}

/// That a decision was reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReversal {
    /// Which moderator.
    pub by: MemberId,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
    /// When.
    pub reversed_at: Timestamp,
}

/// What moderators know of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberHistory {
    /// The member.
    pub member: MemberId,
    /// When they registered.
    pub registered_at: Option<Timestamp>,
    /// Reports they made.
    pub reports_made: u64,
    /// Of those the ones that were decided.
    pub reports_decided: u64,
    /// Of those the ones that were upheld.
    pub reports_upheld: u64,
    /// How many of their reports a day count by a moderator, and until when; none where no moderator says so.
    pub report_limit: Option<(u32, Timestamp)>,
    /// Different members whom they reported within 90 days, as of their last report.
    pub members_reported: u32,
    /// Reports about them.
    pub reports_received: u64,
    /// Different members who reported them within 90 days, as of the last report about them.
    pub reporters: u32,
    /// Cases about them.
    pub cases: u64,
    /// Cases about them that were upheld.
    pub cases_upheld: u64,
    /// How often they were suspended.
    pub suspensions: u64,
    /// Whether they are suspended now.
    pub suspended: bool,
}

/// A case with its evidence.
pub(crate) async fn query(reads: &dyn Views, case: CaseId) -> Result<Answer<Case>, QueryError> {
    let queue = reads.reader(ViewName::ModerationQueue)?;
    let conversation = reads.reader(ViewName::Conversation)?;
    let position = queue
        .checkpoint()
        .position
        .min(conversation.checkpoint().position);
    let (summary, reporter) =
        moderation_queue::summary(&queue, case)?.ok_or(QueryError::NotFound)?;
    let history = moderation_queue::history(&queue, &summary.member)?;
    let of_reporter = reporter
        .as_ref()
        .map(|reporter| moderation_queue::history(&queue, reporter));
    let history_of_reporter = of_reporter.transpose()?;

    let mut notes = Vec::new();
    for noted in moderation_queue::noted(&queue, case, Case::NOTES_MAX)? {
        notes.push(note(reads.log(), case, noted).await?);
    }
    let mut decisions = Vec::new();
    for decided in moderation_queue::decided(&queue, case, Case::DECISIONS_MAX)? {
        decisions.push(decision(reads.log(), case, decided).await?);
    }
    let (mut reports, mut messages) = (Vec::new(), Vec::new());
    if let Some(id) = summary.conversation_id {
        for filed in moderation_queue::filed(&queue, case, Case::REPORTS_MAX)? {
            reports.push(report(reads.log(), id, filed).await?);
        }
        messages = shown(reads, &conversation, id, &reports).await?;
    }
    Ok(Answer {
        value: Case {
            summary,
            reporter,
            reports,
            messages,
            notes,
            decisions,
            history,
            history_of_reporter,
        },
        position,
    })
}

/// The messages of the conversation that belong to the case: those that its reports name, and those around them.
async fn shown(
    reads: &dyn Views,
    reader: &tables::Reader,
    id: ConversationId,
    reports: &[CaseReport],
) -> anyhow::Result<Vec<CaseMessage>> {
    let rows = around(reader, id, reports)?;
    let members = conversation::members(reader, id)?;
    let versions: Vec<u64> = rows.iter().rev().map(|(_, row)| row.version).collect();
    let texts = texts::messages(reads.log(), id, &versions).await?;
    let reported: BTreeSet<u64> = reports
        .iter()
        .flat_map(|report| &report.evidence)
        .map(|item| item.number)
        .collect();
    let mut messages = Vec::with_capacity(rows.len());
    for ((number, row), sent) in rows.iter().zip(texts.into_iter().rev()) {
        let members = members
            .as_ref()
            .context("a conversation with messages has members")?;
        let reported = reported.contains(number);
        messages.push(CaseMessage {
            number: *number,
            from: row.from.of(members).clone(),
            text: (reported || row.unsent_at.is_none()).then_some(sent.text),
            sent_at: sent.sent_at,
            unsent_at: row.unsent_at.map(Timestamp),
            removed_at: row.removed_at.map(Timestamp),
            reported,
        });
    }
    Ok(messages)
}

/// A report as its event has it.
async fn report(
    store: &dyn EventStore,
    conversation: ConversationId,
    filed: Filed,
) -> anyhow::Result<CaseReport> {
    let event = texts::event(store, conversation, filed.version).await?;
    let decoded = domain::codec::decode(event.event_type(), event.data())?;
    let Event::Conversation(events::Event::MessagesReported(reported)) = decoded else {
        anyhow::bail!("the event of a report is none");
    };
    let evidence = reported.messages.iter().map(|message| EvidenceItem {
        number: message.number,
        text: message.text.as_str().to_owned(),
        sent_at: message.sent_at,
    });
    Ok(CaseReport {
        report_id: reported.report_id,
        reporter: reported.reporter.clone(),
        category: reported.category,
        comment: reported.comment.as_str().to_owned(),
        reported_at: Timestamp(event.at_ms()),
        over_limit: reported.over_limit,
        evidence: evidence.collect(),
    })
}

/// The event of a case at this version.
pub(crate) async fn event(
    store: &dyn EventStore,
    id: CaseId,
    version: u64,
) -> anyhow::Result<RecordedEvent> {
    let stream = StreamName::new(case::stream(id))?;
    let event = store.read_one(&stream, version).await?;
    event.context("an event of a case is gone")
}

/// A decision as its event has it.
async fn decision(
    store: &dyn EventStore,
    id: CaseId,
    ruled: Ruled,
) -> anyhow::Result<CaseDecision> {
    let appeal = match ruled.appealed {
        Some(version) => Some(appeal(store, id, version, ruled.answered).await?),
        None => None,
    };
    let reversal = match ruled.reversed {
        Some(version) => Some(reversal(store, id, version).await?),
        None => None,
    };
    let event = event(store, id, ruled.version).await?;
    let decoded = domain::codec::decode(event.event_type(), event.data())?;
    if let Event::Case(case::Event::SuspensionFiled(filed)) = &decoded {
        return by_hand(store, filed, appeal, reversal).await;
    }
    let Event::Case(case::Event::CaseDecided(decided)) = decoded else {
        anyhow::bail!("the event of a decision is none");
    };
    Ok(CaseDecision {
        decision_id: decided.decision,
        by: decided.by,
        action: decided.action,
        until: decided.until,
        messages: decided.messages,
        reason: decided.reason,
        text: decided.text.as_str().to_owned(),
        facts: decided.facts.as_str().to_owned(),
        decided_at: Timestamp(event.at_ms()),
        appealable_until: decided.appealable_until,
        act: decided.act,
        appeal,
        reversal,
    })
}

/// A suspension by hand as its event in the member's stream has it.
async fn by_hand(
    store: &dyn EventStore,
    filed: &case::SuspensionFiled,
    appeal: Option<CaseAppeal>,
    reversal: Option<CaseReversal>,
) -> anyhow::Result<CaseDecision> {
    let event = suspension(store, &filed.reported, filed.member_version).await?;
    let decoded = domain::codec::decode(event.event_type(), event.data())?;
    let Event::Member(member::Event::MemberSuspended(suspended)) = decoded else {
        anyhow::bail!("the event of a suspension is none");
    };
    Ok(CaseDecision {
        decision_id: filed.decision,
        by: suspended.by,
        action: Action::Suspend,
        until: suspended.until,
        messages: Vec::new(),
        reason: suspended.reason,
        text: suspended.text.as_str().to_owned(),
        facts: suspended.facts.as_str().to_owned(),
        decided_at: Timestamp(event.at_ms()),
        appealable_until: suspended.appealable_until,
        act: None,
        appeal,
        reversal,
    })
}

/// The event of a member at this version.
pub(crate) async fn suspension(
    store: &dyn EventStore,
    member: &MemberId,
    version: u64,
) -> anyhow::Result<RecordedEvent> {
    let stream = StreamName::new(member::stream(member))?;
    let event = store.read_one(&stream, version).await?;
    event.context("the event of a suspension is gone")
}

/// An appeal as its event has it, with its answer.
pub(crate) async fn appeal(
    store: &dyn EventStore,
    id: CaseId,
    version: u64,
    answered: Option<u64>,
) -> anyhow::Result<CaseAppeal> {
    let answer = match answered {
        Some(version) => Some(answer(store, id, version).await?),
        None => None,
    };
    let event = event(store, id, version).await?;
    let decoded = domain::codec::decode(event.event_type(), event.data())?;
    let Event::Case(case::Event::DecisionAppealed(appealed)) = decoded else {
        anyhow::bail!("the event of an appeal is none");
    };
    Ok(CaseAppeal {
        text: appealed.text.as_str().to_owned(),
        appealed_at: Timestamp(event.at_ms()),
        answer,
    })
}

async fn answer(store: &dyn EventStore, id: CaseId, version: u64) -> anyhow::Result<CaseAnswer> {
    let event = event(store, id, version).await?;
    let decoded = domain::codec::decode(event.event_type(), event.data())?;
    let Event::Case(case::Event::AppealDecided(answered)) = decoded else {
        anyhow::bail!("the event of a decided appeal is none");
    };
    Ok(CaseAnswer {
        by: answered.by,
        outcome: answered.outcome,
        text: answered.text.as_str().to_owned(),
        decided_at: Timestamp(event.at_ms()),
    })
}

/// A reversal as its event has it.
pub(crate) async fn reversal(
    store: &dyn EventStore,
    id: CaseId,
    version: u64,
) -> anyhow::Result<CaseReversal> {
    let event = event(store, id, version).await?;
    let decoded = domain::codec::decode(event.event_type(), event.data())?;
    let Event::Case(case::Event::DecisionReversed(reversed)) = decoded else {
        anyhow::bail!("the event of a reversal is none");
    };
    Ok(CaseReversal {
        by: reversed.by,
        reason: reversed.reason,
        text: reversed.text.as_str().to_owned(),
        reversed_at: Timestamp(event.at_ms()),
    })
}

/// A note as its event has it.
async fn note(store: &dyn EventStore, id: CaseId, at: Placed) -> anyhow::Result<CaseNote> {
    let event = event(store, id, at.version).await?;
    let decoded = domain::codec::decode(event.event_type(), event.data())?;
    let (by, text) = if let Event::Case(case::Event::CaseNoted(noted)) = decoded {
        (noted.by, noted.text)
    } else if let Event::Case(case::Event::CaseEscalated(escalated)) = decoded {
        (escalated.by, escalated.text)
    } else if let Event::Case(case::Event::CaseReopened(reopened)) = decoded {
        (reopened.by, reopened.text)
    } else {
        anyhow::bail!("the event of a note is none");
    };
    Ok(CaseNote {
        by,
        text: text.as_str().to_owned(),
        at: Timestamp(event.at_ms()),
    })
}

/// The messages of the conversation that belong to the case, by number.
fn around(
    reader: &tables::Reader,
    id: ConversationId,
    reports: &[CaseReport],
) -> anyhow::Result<BTreeMap<u64, Row>> {
    let mut rows = BTreeMap::new();
    for item in reports.iter().rev().flat_map(|report| &report.evidence) {
        if rows.len() + 11 > Case::MESSAGES_MAX {
            break;
        }
        let numbers = item.number.saturating_sub(AROUND)..=item.number.saturating_add(AROUND);
        rows.extend(conversation::reached(reader, id, numbers)?);
    }
    Ok(rows)
}

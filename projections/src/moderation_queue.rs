//! `moderation_queue`: which cases wait for a moderator, and what is their evidence?

use domain::case::{Category, PriorityInputs};
use domain::ids::{CaseId, ConversationId, MemberId, ReportId};
use domain::time::Timestamp;

/// What a case is going through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaseState {
    /// Nobody holds it.
    Open,
    /// A moderator holds it.
    Claimed,
    /// It was decided; an appeal may come.
    Decided,
    /// It is over.
    Closed,
}

impl CaseState {
    /// All states, in the order a case goes through them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Claimed, Self::Decided, Self::Closed];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Decided => "decided",
            Self::Closed => "closed",
        }
    }
}

/// Which cases are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// In this state; all but closed ones if none is named.
    pub state: Option<CaseState>,
    /// With a report of this category.
    pub category: Option<Category>,
    /// About this member.
    pub member: Option<MemberId>,
    /// Held by this moderator.
    pub claimed_by: Option<String>,
    /// In this order.
    pub sort: QueueSort,
}

/// The queue's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueSort {
    /// The most urgent first.
    #[default]
    Priority,
    /// The oldest first.
    Oldest,
    /// The newest first.
    Newest,
}

/// A case in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueItem {
    /// The case.
    pub case_id: CaseId,
    /// The conversation it is about.
    pub conversation_id: ConversationId,
    /// The reported member.
    pub member: MemberId,
    /// Where it stands.
    pub state: CaseState,
    /// What its place in the queue follows from; [`PriorityInputs::rank`] is the place.
    pub priority: PriorityInputs,
    /// The categories of its reports, worst first.
    pub categories: Vec<Category>,
    /// How many reports it has.
    pub reports: u64,
    /// How many different members reported this member within 90 days, in any conversation.
    pub reporters: u32,
    /// When the first report came.
    pub opened_at: Timestamp,
    /// Who holds it.
    pub claimed_by: Option<String>,
}

/// A case with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// As the queue shows it.
    pub summary: QueueItem,
    /// The other member of the conversation, who reported.
    pub reporter: MemberId,
    /// Its reports, oldest first; at most [`Case::REPORTS_MAX`], the newest.
    pub reports: Vec<CaseReport>,
    /// The reported messages and up to five on either side, by number.
    pub messages: Vec<CaseMessage>,
    /// What is known of the reported member and of the reporter.
    pub history: [MemberHistory; 2],
}

impl Case {
    /// How many reports a case shows.
    pub const REPORTS_MAX: usize = 100;
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
    /// It is one of the reported ones.
    pub reported: bool,
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
    /// Reports about them.
    pub reports_received: u64,
    /// Cases about them.
    pub cases: u64,
    /// Cases about them that were upheld.
    pub cases_upheld: u64,
    /// How often they were suspended.
    pub suspensions: u64,
    /// Whether they are suspended now.
    pub suspended: bool,
}

pub(crate) fn query(
    reader: &tables::Reader,
    filter: &QueueFilter,
    page: &crate::PageRequest,
) -> Result<crate::Page<QueueItem>, crate::QueryError> {
    let _ = (reader, filter, page);
    todo!()
}

pub(crate) async fn query_case(
    reads: &crate::ReadSide,
    case: CaseId,
) -> Result<crate::Answer<Case>, crate::QueryError> {
    let _ = (reads, case);
    todo!()
}

//! `reports`: what has a member reported, and what came of it?

use domain::case::Category;
use domain::ids::{ConversationId, MemberId, ReportId};
use domain::time::Timestamp;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

pub(crate) async fn query(
    reads: &crate::ReadSide,
    member: &MemberId,
    page: &crate::PageRequest,
) -> Result<crate::Page<ReportItem>, crate::QueryError> {
    let _ = (reads, member, page);
    todo!()
}

pub(crate) async fn query_one(
    reads: &crate::ReadSide,
    member: &MemberId,
    report: ReportId,
) -> Result<crate::Answer<ReportItem>, crate::QueryError> {
    let _ = (reads, member, report);
    todo!()
}

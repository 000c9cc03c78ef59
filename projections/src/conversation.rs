//! `conversation`: what was said in a conversation, as one of the two sees it?

use domain::ids::MemberId;
use domain::time::Timestamp;

/// A message as one of the two sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageItem {
    /// Its number in the conversation.
    pub number: u64,
    /// Who wrote it.
    pub from: MemberId,
    /// What it says; none once unsent.
    pub text: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was unsent.
    pub unsent_at: Option<Timestamp>,
}

pub(crate) async fn query(
    reads: &crate::ReadSide,
    member: &MemberId,
    conversation: domain::ids::ConversationId,
    page: &crate::PageRequest,
    now: Timestamp,
) -> Result<crate::Page<MessageItem>, crate::QueryError> {
    let _ = (reads, member, conversation, page, now);
    todo!()
}

//! `requests`: who waits on a member's doorstep?

use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;

use crate::last_message::LastMessage;

/// A request that waits for a member, neither accepted nor frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestItem {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Who knocks.
    pub with: MemberId,
    /// The last message that the member sees.
    pub last_message: LastMessage,
    /// Whether the member muted it.
    pub muted: bool,
    /// When it was opened, or moved here.
    pub opened_at: Timestamp,
    /// How many messages wait in it.
    pub messages: u64,
    /// What is known between the two, to help to decide.
    pub relationship: Relationship,
}

/// What is known between a member and the one who knocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relationship {
    /// The member follows the one who knocks.
    pub you_follow: bool,
    /// The one who knocks follows the member.
    pub follows_you: bool,
    /// The one who knocks is suggested to the member.
    pub suggested: bool,
}

pub(crate) async fn query(
    reads: &crate::ReadSide,
    member: &MemberId,
    page: &crate::PageRequest,
) -> Result<crate::Page<RequestItem>, crate::QueryError> {
    let _ = (reads, member, page);
    todo!()
}

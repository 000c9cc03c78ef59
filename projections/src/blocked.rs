//! `blocked`: whom has a member blocked?

use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;

/// A member whom the caller has blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockItem {
    /// The blocked member.
    pub member: MemberId,
    /// Their conversation, if it holds a message that the caller sees.
    pub conversation_id: Option<ConversationId>,
    /// Since when.
    pub since: Timestamp,
}

pub(crate) fn query(
    reader: &tables::Reader,
    member: &MemberId,
    page: &crate::PageRequest,
    now: Timestamp,
) -> Result<crate::Page<BlockItem>, crate::QueryError> {
    let _ = (reader, member, page, now);
    todo!()
}

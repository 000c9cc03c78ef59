//! `unread`: how many conversations hold something unread?

/// How many conversations hold something unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// In the inbox.
    pub inbox: u64,
    /// On the doorstep.
    pub requests: u64,
}

pub(crate) fn query(
    reader: &tables::Reader,
    member: &domain::ids::MemberId,
) -> Result<crate::Answer<Unread>, crate::QueryError> {
    let _ = (reader, member);
    todo!()
}

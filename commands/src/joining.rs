//! Which cases are behind their own reports: a report stands in its conversation, and is not in its case yet.
//!
//! Promise: a row as long as that is so, of the newest report. It is told by the report's header alone, so that a report
//! which cannot be read counts too. A table of the write side's view; who brings a report into its case is the reactor.

use domain::case::ReportJoined;
use domain::ids::{CaseId, ConversationId, MemberId};
use event_store::{RecordedEvent, StreamName};
use tables::key::{Key, Parts};
use tables::{ApplyError, Reader, TableError, Tx};

use crate::aggregate::stream_name;
use crate::index::case_of;

/// The newest report that is not in its case, by case: its version, and the conversation.
pub(crate) const JOINING: &str = "joining";

/// Takes a report in.
pub(crate) fn reported(tx: &mut Tx<'_>, event: &RecordedEvent) -> Result<(), ApplyError> {
    let conversation = event.stream().strip_prefix("conversation-");
    let conversation: Option<ConversationId> = conversation.and_then(|id| id.parse().ok());
    // Its reporter acts; the other one of the two is reported.
    let mut members = event.members();
    let reported = members.find(|member| *member != event.actor());
    let reported = reported.and_then(|member| MemberId::new(member).ok());
    if let (Some(conversation), Some(reported)) = (conversation, reported) {
        let case = CaseId::of(conversation, &reported);
        let row = Key::new()
            .u64(event.version())
            .fixed(conversation.0.as_bytes());
        tx.put(JOINING, case.0.as_bytes(), row.as_bytes())?;
    }
    Ok(())
}

/// Takes in that a report is in its case.
pub(crate) fn joined(
    tx: &mut Tx<'_>,
    event: &RecordedEvent,
    joined: &ReportJoined,
) -> Result<(), ApplyError> {
    let Some(case) = case_of(event.stream()) else {
        return Ok(());
    };
    let row = tx.get(JOINING, case.0.as_bytes())?;
    let newest = row.and_then(|row| Parts::of(&row).u64());
    if newest.is_some_and(|newest| newest <= joined.conversation_version) {
        tx.delete(JOINING, case.0.as_bytes())?;
    }
    Ok(())
}

/// The conversation whose reports a case does not have whole; none where it has them all.
pub(crate) fn behind(reader: &Reader, case: CaseId) -> Result<Option<StreamName>, TableError> {
    let row = reader.get(JOINING, case.0.as_bytes())?;
    let conversation = row.and_then(|row| {
        let mut parts = Parts::of(&row);
        parts.u64()?;
        Some(ConversationId(uuid::Uuid::from_bytes(parts.fixed()?)))
    });
    Ok(conversation.map(|id| stream_name(domain::conversation::stream(id))))
}

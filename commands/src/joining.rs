//! Which cases are behind what makes them: a report stands in its conversation, or a suspension by hand in its member's stream,
//! and is not in its case yet.
//!
//! Promise: a row as long as that is so, of the newest report. It is told by the report's header alone, so that a report
//! which cannot be read counts too. A table of the write side's view; who brings a report into its case is the reactor.

use domain::case::ReportJoined;
use domain::ids::{CaseId, ConversationId, MemberId};
use event_store::{RecordedEvent, StreamName};
use tables::key::Parts;
use tables::{ApplyError, Reader, TableError, Tx};

use crate::index::case_of;

/// The newest report, or the suspension, that is not in its case, by case: its version, and its stream.
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
        put(tx, event, case)?;
    }
    Ok(())
}

/// Takes a suspension by hand in, whose file this is.
pub(crate) fn suspended(
    tx: &mut Tx<'_>,
    event: &RecordedEvent,
    case: CaseId,
) -> Result<(), ApplyError> {
    put(tx, event, case)
}

/// Takes in that there is the file on a suspension.
pub(crate) fn filed(tx: &mut Tx<'_>, case: CaseId) -> Result<(), ApplyError> {
    Ok(tx.delete(JOINING, case.0.as_bytes())?)
}

fn put(tx: &mut Tx<'_>, event: &RecordedEvent, case: CaseId) -> Result<(), ApplyError> {
    let mut row = event.version().to_be_bytes().to_vec();
    row.extend_from_slice(event.stream().as_bytes());
    Ok(tx.put(JOINING, case.0.as_bytes(), &row)?)
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

/// The stream whose reports, or whose suspension, a case does not have; none where it has them all.
pub(crate) fn behind(reader: &Reader, case: CaseId) -> Result<Option<StreamName>, TableError> {
    let row = reader.get(JOINING, case.0.as_bytes())?;
    Ok(row.and_then(|row| {
        let (_, stream) = row.split_first_chunk::<8>()?;
        StreamName::new(String::from_utf8(stream.to_vec()).ok()?).ok()
    }))
}

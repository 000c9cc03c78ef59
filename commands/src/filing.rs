//! The file that follows from a suspension by hand: the reactor `cases` opens it, so that there is where to appeal.

use domain::ids::CaseId;
use domain::{case, member};

/// The file on a suspension by hand that stands at this version of its member's stream; none where it is of before such
/// suspensions were decisions.
pub(crate) fn filing(
    suspended: &member::MemberSuspended<'_>,
    member_version: u64,
) -> Option<(CaseId, case::Command)> {
    let (decision, appealable_until) = suspended.decision.zip(suspended.appealable_until)?;
    let case = CaseId::of_suspension(decision);
    let filed = case::SuspensionFiled {
        case,
        decision,
        by: suspended.by.clone(),
        reported: suspended.member.clone(),
        member_version,
        appealable_until,
    };
    Some((case, case::Command::FileSuspension(filed)))
}

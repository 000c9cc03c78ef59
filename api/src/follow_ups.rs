//! What follows from a command on other streams, waited for on behalf of who asks.
//!
//! Promise: an act on a case is decided once the case has all its reports, as it is shown, and waits for nothing else; what a
//! decision does is done before it is answered, or the answer says that it is not. Neither waits longer than a query for its
//! view. A command that is durable is never answered as a failure for what has yet to follow from it.

use commands::{Command, Joined, Outcome};
use domain::ids::{CaseId, MemberId};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::State;
use crate::caller::{Acting, AsModerator, ShownPosition};
use crate::problem::{ApiError, Code};

/// What a command answers that is carried out on other streams, and has nothing else to tell.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Carried {
    /// How far it reaches.
    pub position: ShownPosition,
    /// Whether what it does is done, and `position` reaches up to there. Where it is not by now, it is done later by
    /// itself; the command given once more under its key waits for it again.
    pub carried_out: bool,
}

/// Waits until every report of a case is in it, or the suspension by hand that it is about. The queue shows a case from its
/// report on, which a reactor brings into the case's own stream.
pub(crate) async fn joined(shared: &State, case: CaseId) -> Result<(), ApiError> {
    let joined = shared.commands.joined(case);
    match tokio::time::timeout(shared.options.view_wait, joined).await {
        Ok(Ok(Joined::All)) => Ok(()),
        Ok(Ok(Joined::Parked)) => {
            let words = "A report, or the suspension that this case is about, cannot be brought into it for now, so that nobody acts on the case without it; `/readyz` says so. Nothing was changed. Ask again once the service is ready.";
            Err(ApiError::with_detail(Code::NotReady, words).retry_after_s(1))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(ApiError::new(Code::Busy).retry_after_s(1)),
    }
}

/// Carries out an act of a moderator, on a case once that has its reports. One that was carried out before is answered as
/// at first, however its case is.
pub(crate) async fn act(
    shared: &State,
    acting: &Acting<AsModerator>,
    mut command: Command,
) -> Result<(Outcome, ShownPosition), ApiError> {
    if let Some(case) = named(&mut command) {
        // Where nobody can look it up now the case itself refuses: an act needs no view.
        let looked_up = for_moderator(shared, acting.caller.sub(), *case);
        *case = looked_up.unwrap_or(*case);
    }
    if let Some(case) = case_of(&command)
        && let Err(behind) = joined(shared, case).await
    {
        let before = shared.carried_out_before(acting, command).await?;
        return before.ok_or(behind);
    }
    shared.carry_out(acting, command).await
}

/// The case, for a moderator whom it is not about; for who is reported in it one that is none. They do not learn here that
/// they were, by whatever it takes to look.
pub(crate) fn for_moderator(
    shared: &State,
    moderator: &MemberId,
    case: CaseId,
) -> Result<CaseId, ApiError> {
    let about = shared.reads.reported_in(case)?;
    if about.as_ref() == Some(moderator) {
        return Ok(CaseId(Uuid::nil()));
    }
    Ok(case)
}

/// The case that a command names.
fn named(command: &mut Command) -> Option<&mut CaseId> {
    if let Command::ClaimCase { case }
    | Command::ReleaseCase { case }
    | Command::NoteOnCase { case, .. }
    | Command::EscalateCase { case, .. }
    | Command::DecideCase { case, .. }
    | Command::ReopenCase { case, .. }
    | Command::DecideAppeal { case, .. }
    | Command::ReverseDecision { case, .. } = command
    {
        return Some(case);
    }
    None
}

/// The case on whose reports a command depends; none where it depends on none: what was decided is answered for whatever else
/// was reported, and who lets a case go need not know of more.
fn case_of(command: &Command) -> Option<CaseId> {
    if let Command::ClaimCase { case }
    | Command::NoteOnCase { case, .. }
    | Command::EscalateCase { case, .. }
    | Command::DecideCase { case, .. }
    | Command::ReopenCase { case, .. } = command
    {
        return Some(*case);
    }
    None
}

/// Waits until what was decided or taken back is carried out, and says up to where.
pub(crate) async fn carried_out(
    shared: &State,
    acting: &Acting<AsModerator>,
    outcome: &Outcome,
) -> Carried {
    let carried = shared.commands.carried_out(outcome.position);
    let carried = tokio::time::timeout(shared.options.view_wait, carried).await;
    let reached = match carried {
        Ok(Ok(commands::CarriedOut::UpTo(position))) => Some(position),
        Ok(Ok(commands::CarriedOut::Parked)) | Err(_) => None,
        Ok(Err(error)) => {
            tracing::warn!(position = %outcome.position, %error, "what follows from it could not be looked up");
            None
        }
    };
    Carried {
        position: acting
            .caller
            .shows(shared, reached.unwrap_or(outcome.position)),
        carried_out: reached.is_some(),
    }
}

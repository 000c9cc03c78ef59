//! What an event of a case does to its member or conversation: the one command on one other stream that carries it out, or
//! takes it back.
//!
//! Pure: the same event gives the same command, whoever asks and however often. The reactor `cases` gives it to the target,
//! which knows what it has.

use domain::case::{self, Action};
use domain::conversation;
use domain::ids::{ConversationId, DecisionId};
use domain::member::{self, RestrictMember, Restriction};
use domain::time::Timestamp;

use crate::task::Task;

/// Whether an event of a case is there to be carried out.
pub(crate) fn follows_from(event: &case::Event<'_>) -> bool {
    use case::Event as C;
    match event {
        C::CaseDecided(_) | C::DecisionReversed(_) => true,
        C::CaseOpened(_)
        | C::SuspensionFiled(_)
        | C::ReportJoined(_)
        | C::ContentDisclosed(_)
        | C::CaseClaimed(_)
        | C::CaseReleased(_)
        | C::ClaimLapsed(_)
        | C::CaseNoted(_)
        | C::CaseEscalated(_)
        | C::CaseClosed(_)
        | C::CaseReopened(_)
        | C::DecisionAppealed(_)
        | C::AppealDecided(_) => false,
    }
}

/// What an event that stands at this version of its case's stream does, and on which stream; none where it does
/// nothing.
pub(crate) fn effect_of(event: &case::Event<'_>, case_version: u64) -> Option<(String, Task)> {
    if let case::Event::CaseDecided(decided) = event {
        carried_out(decided, case_version)
    } else if let case::Event::DecisionReversed(reversed) = event {
        taken_back(reversed, case_version)
    } else {
        None
    }
}

/// What a reversal does: the opposite of what its decision did.
fn taken_back(reversed: &case::DecisionReversed<'_>, case_version: u64) -> Option<(String, Task)> {
    match reversed.action {
        Action::Nothing | Action::Warn => None,
        Action::RemoveMessages if reversed.messages.is_empty() => None,
        Action::RemoveMessages => {
            let (from, to) = (reversed.reported.clone(), reversed.reporter.clone());
            let stream = conversation::stream(ConversationId::of(&from, &to));
            let restore = conversation::RestoreMessages {
                decision: reversed.decision,
                case_version,
                by: reversed.by.clone(),
                from,
                to,
                numbers: reversed.messages.clone(),
            };
            let command = conversation::Command::RestoreMessages(restore);
            Some((stream, Task::Conversation(command)))
        }
        Action::Limit | Action::Suspend => {
            let member = reversed.reported.clone();
            let stream = member::stream(&member);
            let command = member::Command::LiftRestriction {
                member,
                // What an act did was done once for all of its cases.
                decision: reversed.act.map_or(reversed.decision, DecisionId::of_act),
                by: reversed.by.clone(),
                at: Timestamp::EPOCH,
            };
            Some((stream, Task::Member(command)))
        }
    }
}

fn carried_out(decided: &case::CaseDecided<'_>, case_version: u64) -> Option<(String, Task)> {
    let restriction = match decided.action {
        Action::Nothing | Action::Warn => return None,
        // The act does it once for all of its cases.
        Action::Limit | Action::Suspend if decided.act.is_some() => return None,
        Action::RemoveMessages => {
            let (from, to) = (decided.reported.clone(), decided.reporter.clone());
            let stream = conversation::stream(ConversationId::of(&from, &to));
            let remove = conversation::RemoveMessages {
                decision: decided.decision,
                case_version,
                by: decided.by.clone(),
                from,
                to,
                numbers: decided.messages.clone(),
            };
            let command = conversation::Command::RemoveMessages(remove);
            return Some((stream, Task::Conversation(command)));
        }
        Action::Limit => Restriction::Limit,
        Action::Suspend => Restriction::Suspension,
    };
    let restrict = RestrictMember {
        member: decided.reported.clone(),
        decision: decided.decision,
        by: decided.by.clone(),
        restriction,
        until: decided.until,
        reason: decided.reason.clone(),
        text: decided.text.as_str().to_owned(),
    };
    let stream = member::stream(&restrict.member);
    Some((
        stream,
        Task::Member(member::Command::RestrictMember(restrict)),
    ))
}

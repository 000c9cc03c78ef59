//! From a caller's command to the stream it is decided on, and the domain's own command.
//!
//! Facts and times are placeholders here: `task.rs` puts them in before every decision.

use domain::conversation::{Count, NamedMessage, Slot, Standing};
use domain::ids::{ActId, CommandId, ConversationId, DecisionId, MemberId, ReportId};
use domain::policy::InForce;
use domain::time::Timestamp;
use domain::{act, case, conversation, member, policy};
use event_store::StreamName;

use crate::Command;
use crate::aggregate::{policy_stream, stream_name};
use crate::command::Look;
use crate::facts::PolicyFact;
use crate::task::Task;

/// A placeholder until the decision's own rules are put in.
fn no_policy(policy: &PolicyFact) -> InForce {
    policy.in_force.clone()
}

/// The stream of a caller's command, and its task.
pub(crate) fn of_command(
    command: Command,
    actor: &MemberId,
    command_id: &CommandId,
    policy: &PolicyFact,
) -> (StreamName, Task) {
    use conversation as c;
    let at = Timestamp::EPOCH;
    let by = actor.clone();
    let standing = Standing {
        sender: None,
        recipient: None,
    };
    let conversation = |id: ConversationId| stream_name(conversation::stream(id));
    let (stream, command) = match command {
        Command::RegisterMember {
            member,
            age_band,
            registered_at,
        } => {
            let stream = stream_name(member::stream(&member));
            return (
                stream,
                Task::Member(member::Command::RegisterMember {
                    member,
                    age_band,
                    registered_at,
                    at,
                }),
            );
        }
        Command::ChangeDmSetting { audience } => {
            let stream = stream_name(member::stream(actor));
            return (
                stream,
                Task::Member(member::Command::ChangeDmSetting {
                    member: by,
                    audience,
                    at,
                }),
            );
        }
        Command::SuspendMember {
            member,
            until,
            reason,
            text,
            facts,
        } => {
            let stream = stream_name(member::stream(&member));
            let command = member::Command::SuspendMember(member::SuspendMember {
                command_id: command_id.clone(),
                member,
                by,
                until,
                reason,
                text,
                facts,
                at,
            });
            return (stream, Task::Member(command));
        }
        Command::LimitReports {
            member,
            per_day,
            until,
            reason,
        } => {
            let stream = stream_name(member::stream(&member));
            let command = member::Command::LimitReports {
                member,
                by,
                per_day,
                until,
                reason,
                at,
            };
            return (stream, Task::Member(command));
        }
        Command::LiftReportLimit { member } => {
            let stream = stream_name(member::stream(&member));
            let command = member::Command::LiftReportLimit { member, by, at };
            return (stream, Task::Member(command));
        }
        Command::ReinstateMember { member } => {
            let stream = stream_name(member::stream(&member));
            return (
                stream,
                Task::Member(member::Command::ReinstateMember { member, by, at }),
            );
        }
        Command::ChangePolicy { rules } => {
            return (
                policy_stream(),
                Task::Policy(policy::Command::ChangePolicy { rules }),
            );
        }
        Command::DiscloseCase {
            case,
            purpose,
            shown,
        } => {
            let stream = stream_name(case::stream(case));
            return (
                stream,
                Task::Case(case::Command::DiscloseCase { by, purpose, shown }),
            );
        }
        Command::ClaimCase { case } => {
            let stream = stream_name(case::stream(case));
            return (stream, Task::Case(case::Command::ClaimCase { by, at }));
        }
        Command::ReleaseCase { case } => {
            let stream = stream_name(case::stream(case));
            return (stream, Task::Case(case::Command::ReleaseCase { by, at }));
        }
        Command::NoteOnCase { case, text } => {
            let stream = stream_name(case::stream(case));
            let command = case::Command::NoteOnCase { by, text, at };
            return (stream, Task::Case(command));
        }
        Command::EscalateCase { case, text } => {
            let stream = stream_name(case::stream(case));
            let command = case::Command::EscalateCase { by, text, at };
            return (stream, Task::Case(command));
        }
        Command::DecideCase { case, ruling } => {
            let stream = stream_name(case::stream(case));
            let decision = DecisionId::on_case(case, actor, command_id);
            let named = ruling.messages.iter().map(|number| NamedMessage {
                number: *number,
                facts: None,
            });
            let command = case::Command::DecideCase {
                by,
                decision,
                named: named.collect(),
                ruling,
                at,
            };
            return (stream, Task::Case(command));
        }
        Command::ReopenCase { case, reason, text } => {
            let stream = stream_name(case::stream(case));
            let command = case::Command::ReopenCase { by, reason, text };
            return (stream, Task::Case(command));
        }
        Command::DecideCases {
            member,
            cases,
            ruling,
        } => {
            let act = ActId::of(actor, command_id);
            let command = act::DecideCases {
                act,
                by,
                member,
                cases,
                ruling,
                at,
            };
            return (
                stream_name(act::stream_of_act(act)),
                Task::Act(act::Command::DecideCases(command)),
            );
        }
        Command::ReverseCases { act, reason, text } => {
            let command = act::ReverseCases {
                by,
                act,
                reason,
                text,
            };
            return (
                stream_name(act::stream_of_act(act)),
                Task::Act(act::Command::ReverseCases(command)),
            );
        }
        Command::AppealDecision {
            case,
            decision,
            text,
        } => {
            let stream = stream_name(case::stream(case));
            let command = case::Command::AppealDecision {
                by,
                decision,
                text,
                at,
            };
            return (stream, Task::Case(command));
        }
        Command::DecideAppeal {
            case,
            decision,
            outcome,
            text,
        } => {
            let stream = stream_name(case::stream(case));
            let command = case::Command::DecideAppeal {
                by,
                decision,
                outcome,
                text,
                at,
            };
            return (stream, Task::Case(command));
        }
        Command::ReverseDecision {
            case,
            decision,
            reason,
            text,
        } => {
            let stream = stream_name(case::stream(case));
            let command = case::Command::ReverseDecision {
                by,
                decision,
                reason,
                text,
                at,
            };
            return (stream, Task::Case(command));
        }
        Command::DiscloseToAuditor { look } => {
            let Look {
                looked,
                purpose,
                member,
                other,
                conversation,
                case,
                shown,
                from,
                as_of,
            } = look;
            let disclosed = act::ContentDisclosed {
                by,
                purpose,
                looked,
                member,
                other,
                conversation,
                case,
                shown,
                from,
                as_of,
            };
            return (
                stream_name(act::stream(actor)),
                Task::Act(act::Command::Disclose(disclosed)),
            );
        }
        Command::SkipEvent {
            view,
            view_version,
            stream,
            version,
            reason,
            text,
        } => {
            let of_view = stream_name(act::stream_of_view(&view));
            let skipped = act::EventSkipped {
                by,
                view,
                view_version,
                stream: stream.into(),
                version,
                reason,
                text: text.into(),
            };
            return (of_view, Task::Act(act::Command::SkipEvent(skipped)));
        }
        Command::RecordRelationship {
            member,
            kind,
            other,
        } => {
            let stream = conversation(ConversationId::of(&member, &other));
            (
                stream,
                c::Command::RecordRelationship(c::RecordRelationship {
                    kind,
                    member,
                    other,
                    at,
                }),
            )
        }
        Command::SendMessage {
            to,
            text,
            relationship,
        } => {
            let stream = conversation(ConversationId::of(actor, &to));
            let send = c::SendMessage {
                from: by,
                to,
                text,
                at,
                sender: None,
                recipient: None,
                policy: no_policy(policy),
                slot: Slot::Open { used: 0 },
                relationship,
            };
            (stream, c::Command::SendMessage(send))
        }
        Command::AcceptRequest { target } => {
            let command = c::AcceptRequest {
                by,
                at,
                standing,
                policy: no_policy(policy),
            };
            (
                conversation(target.resolve(actor)),
                c::Command::AcceptRequest(command),
            )
        }
        Command::DeleteRequest { target, mode } => {
            let command = c::DeleteRequest {
                by,
                mode,
                at,
                policy: no_policy(policy),
            };
            (
                conversation(target.resolve(actor)),
                c::Command::DeleteRequest(command),
            )
        }
        Command::RestoreRequest { target } => {
            let command = c::RestoreRequest {
                by,
                at,
                standing,
                policy: no_policy(policy),
            };
            (
                conversation(target.resolve(actor)),
                c::Command::RestoreRequest(command),
            )
        }
        Command::MoveToRequests { target } => (
            conversation(target.resolve(actor)),
            c::Command::MoveToRequests(c::MoveToRequests { by, at }),
        ),
        Command::UnsendMessage { target, number } => {
            let message = NamedMessage {
                number,
                facts: None,
            };
            let command = c::UnsendMessage { by, message, at };
            (
                conversation(target.resolve(actor)),
                c::Command::UnsendMessage(command),
            )
        }
        Command::MarkRead { target, up_to } => (
            conversation(target.resolve(actor)),
            c::Command::MarkRead(c::MarkRead { by, up_to, at }),
        ),
        Command::MuteConversation { target } => (
            conversation(target.resolve(actor)),
            c::Command::MuteConversation(c::MuteConversation { by, at }),
        ),
        Command::UnmuteConversation { target } => (
            conversation(target.resolve(actor)),
            c::Command::UnmuteConversation(c::UnmuteConversation { by, at }),
        ),
        Command::BlockMember { other } => {
            let stream = conversation(ConversationId::of(actor, &other));
            (
                stream,
                c::Command::BlockMember(c::BlockMember { by, other, at }),
            )
        }
        Command::UnblockMember { other } => {
            let stream = conversation(ConversationId::of(actor, &other));
            (
                stream,
                c::Command::UnblockMember(c::UnblockMember { by, other, at }),
            )
        }
        Command::ReportMessage {
            target,
            messages,
            category,
            comment,
            also,
        } => {
            let stream = conversation(target.resolve(actor));
            let report = c::ReportMessage {
                report_id: ReportId::of(actor, command_id),
                by,
                messages: messages
                    .into_iter()
                    .map(|number| NamedMessage {
                        number,
                        facts: None,
                    })
                    .collect(),
                category,
                comment,
                also,
                count: Count::NotYet,
                at,
                policy: no_policy(policy),
            };
            (stream, c::Command::ReportMessage(report))
        }
    };
    (stream, Task::Conversation(command))
}

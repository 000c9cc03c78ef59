//! What the write side counts, by the `metrics` crate. No label holds a member, a stream or a key; a series begins with
//! its first outcome.

use std::sync::OnceLock;

use domain::rejection::CommandName;
use domain::{act, case, conversation, member};
use metrics::{Counter, counter};

use crate::task::Task;
use crate::{CommandError, Kind, Outcome};

/// The classes of outcomes, as labels.
const OUTCOMES: [&str; 12] = [
    "done",
    "unchanged",
    "refused",
    "not_found",
    "command_id_reused",
    "invalid_time",
    "rate_limited",
    "busy",
    "storage_full",
    "outcome_unknown",
    "store_unavailable",
    "failed",
];

/// The commands and steps, as labels.
const COMMANDS: [&str; 52] = [
    "SendMessage",
    "AcceptRequest",
    "DeleteRequest",
    "RestoreRequest",
    "ReportMessage",
    "ChangeDmSetting",
    "UnsendMessage",
    "MarkRead",
    "BlockMember",
    "UnblockMember",
    "MuteConversation",
    "UnmuteConversation",
    "MoveToRequests",
    "RecordRelationship",
    "RegisterMember",
    "ChangePolicy",
    "SuspendMember",
    "ReinstateMember",
    "ClaimCase",
    "ReleaseCase",
    "NoteOnCase",
    "EscalateCase",
    "DecideCase",
    "AppealDecision",
    "DecideAppeal",
    "ReverseDecision",
    "ReopenCase",
    "LimitReports",
    "LiftReportLimit",
    "EndReportLimit",
    "DecideCases",
    "ReverseCases",
    "DecideByAct",
    "CarryOut",
    "DiscloseCase",
    "DiscloseToAuditor",
    "SkipEvent",
    "EndSuspension",
    "LapseClaim",
    "RemoveMessages",
    "RestoreMessages",
    "RestrictMember",
    "EndRestriction",
    "LiftRestriction",
    "CloseCase",
    "TakeRequestSlot",
    "ReturnRequestSlot",
    "CountReport",
    "JoinReport",
    "FileSuspension",
    "Checkpoint",
    "Other",
];

/// Handles made once, so that counting costs an addition.
pub(crate) struct Counters {
    outcomes: Vec<OnceLock<Counter>>,
    repeated: Counter,
    conflicts: Counter,
    recorded: Counter,
    not_recorded: Counter,
    timers_failed: Counter,
}

impl Counters {
    /// Handles of the recorder installed now.
    pub(crate) fn new() -> Self {
        let mut outcomes = Vec::new();
        outcomes.resize_with(COMMANDS.len() * OUTCOMES.len(), OnceLock::new);
        Self {
            outcomes,
            repeated: counter!("doorstep_commands_repeated_total"),
            conflicts: counter!("doorstep_commands_conflicts_total"),
            recorded: counter!("doorstep_commands_refusals_recorded_total"),
            not_recorded: counter!("doorstep_commands_refusals_not_recorded_total"),
            timers_failed: counter!("doorstep_timers_failed_total"),
        }
    }

    /// Counts a decided task.
    pub(crate) fn outcome(&self, task: &Task, result: &Result<Outcome, CommandError>) {
        let (command, outcome) = (index_of(&name_of(task)), class_of(result));
        let counter = self.outcomes.get(command * OUTCOMES.len() + outcome);
        if let (Some(counter), Some(command), Some(outcome)) =
            (counter, COMMANDS.get(command), OUTCOMES.get(outcome))
        {
            counter
                .get_or_init(|| {
                    counter!("doorstep_commands_decided_total", "command" => *command, "outcome" => *outcome)
                })
                .increment(1);
        }
    }

    /// Counts a command answered with its first outcome.
    pub(crate) fn repeated(&self) {
        self.repeated.increment(1);
    }

    /// Counts a mismatch of versions.
    pub(crate) fn conflict(&self) {
        self.conflicts.increment(1);
    }

    /// Counts a refusal that becomes an event.
    pub(crate) fn refusal_recorded(&self) {
        self.recorded.increment(1);
    }

    /// Counts a refusal beyond its member's limit.
    pub(crate) fn refusal_not_recorded(&self) {
        self.not_recorded.increment(1);
    }

    /// Counts a timer that could not do what was due, each time it is tried.
    pub(crate) fn timer_failed(&self) {
        self.timers_failed.increment(1);
    }
}

fn class_of(result: &Result<Outcome, CommandError>) -> usize {
    match result {
        Ok(outcome) => match outcome.kind {
            Kind::Done => 0,
            Kind::Unchanged => 1,
        },
        Err(CommandError::Refused(_)) => 2,
        Err(CommandError::NotFound) => 3,
        Err(CommandError::CommandIdReused) => 4,
        Err(CommandError::InvalidTime(_)) => 5,
        Err(CommandError::RateLimited) => 6,
        Err(CommandError::Busy) => 7,
        Err(CommandError::StorageFull) => 8,
        Err(CommandError::OutcomeUnknown) => 9,
        Err(CommandError::StoreUnavailable(_)) => 10,
        Err(CommandError::TooLarge | CommandError::AboveLevel(_) | CommandError::Unreadable(_)) => {
            11
        }
    }
}

/// A name by its place in [`COMMANDS`].
fn index_of(name: &Named) -> usize {
    match name {
        Named::Client(name) => match name {
            CommandName::SendMessage => 0,
            CommandName::AcceptRequest => 1,
            CommandName::DeleteRequest => 2,
            CommandName::RestoreRequest => 3,
            CommandName::ReportMessage => 4,
            CommandName::ChangeDmSetting => 5,
            CommandName::UnsendMessage => 6,
            CommandName::MarkRead => 7,
            CommandName::BlockMember => 8,
            CommandName::UnblockMember => 9,
            CommandName::MuteConversation => 10,
            CommandName::UnmuteConversation => 11,
            CommandName::MoveToRequests => 12,
            CommandName::RecordRelationship => 13,
            CommandName::RegisterMember => 14,
            CommandName::ChangePolicy => 15,
            CommandName::SuspendMember => 16,
            CommandName::ReinstateMember => 17,
            CommandName::ClaimCase => 18,
            CommandName::ReleaseCase => 19,
            CommandName::NoteOnCase => 20,
            CommandName::EscalateCase => 21,
            CommandName::DecideCase => 22,
            CommandName::AppealDecision => 23,
            CommandName::DecideAppeal => 24,
            CommandName::ReverseDecision => 25,
            CommandName::ReopenCase => 26,
        },
        Named::Other(name) => COMMANDS
            .iter()
            .position(|command| command == name)
            .unwrap_or(COMMANDS.len() - 1),
    }
}

/// The name of a task's command.
pub(crate) fn command_name(task: &Task) -> &'static str {
    COMMANDS
        .get(index_of(&name_of(task)))
        .copied()
        .unwrap_or_default()
}

enum Named {
    Client(CommandName),
    Other(&'static str),
}

fn name_of(task: &Task) -> Named {
    match task {
        Task::Conversation(command) => command.name().map_or_else(
            || {
                let restores = matches!(command, conversation::Command::RestoreMessages(_));
                Named::Other(if restores {
                    "RestoreMessages"
                } else {
                    "RemoveMessages"
                })
            },
            Named::Client,
        ),
        Task::Member(command) => match command {
            member::Command::RegisterMember { .. } => Named::Client(CommandName::RegisterMember),
            member::Command::ChangeDmSetting { .. } => Named::Client(CommandName::ChangeDmSetting),
            member::Command::SuspendMember(_) => Named::Client(CommandName::SuspendMember),
            member::Command::ReinstateMember { .. } => Named::Client(CommandName::ReinstateMember),
            member::Command::LimitReports { .. } => Named::Other("LimitReports"),
            member::Command::LiftReportLimit { .. } => Named::Other("LiftReportLimit"),
            member::Command::EndReportLimit { .. } => Named::Other("EndReportLimit"),
            member::Command::EndSuspension { .. } => Named::Other("EndSuspension"),
            member::Command::RestrictMember(_) => Named::Other("RestrictMember"),
            member::Command::EndRestriction { .. } => Named::Other("EndRestriction"),
            member::Command::LiftRestriction { .. } => Named::Other("LiftRestriction"),
            member::Command::TakeRequestSlot { .. } => Named::Other("TakeRequestSlot"),
            member::Command::ReturnRequestSlot { .. } => Named::Other("ReturnRequestSlot"),
            member::Command::CountReport { .. } => Named::Other("CountReport"),
        },
        Task::Case(command) => match command {
            case::Command::JoinReport(_) => Named::Other("JoinReport"),
            case::Command::FileSuspension(_) => Named::Other("FileSuspension"),
            case::Command::DiscloseCase { .. } => Named::Other("DiscloseCase"),
            case::Command::LapseClaim { .. } => Named::Other("LapseClaim"),
            case::Command::CloseCase { .. } => Named::Other("CloseCase"),
            case::Command::ReopenCase { .. } => Named::Client(CommandName::ReopenCase),
            case::Command::DecideByAct(_) => Named::Other("DecideByAct"),
            case::Command::DecideCase { .. } => Named::Client(CommandName::DecideCase),
            case::Command::AppealDecision { .. } => Named::Client(CommandName::AppealDecision),
            case::Command::DecideAppeal { .. } => Named::Client(CommandName::DecideAppeal),
            case::Command::ReverseDecision { .. } => Named::Client(CommandName::ReverseDecision),
            case::Command::ClaimCase { .. } => Named::Client(CommandName::ClaimCase),
            case::Command::ReleaseCase { .. } => Named::Client(CommandName::ReleaseCase),
            case::Command::NoteOnCase { .. } => Named::Client(CommandName::NoteOnCase),
            case::Command::EscalateCase { .. } => Named::Client(CommandName::EscalateCase),
        },
        Task::Policy(_) => Named::Client(CommandName::ChangePolicy),
        Task::Reactor(_) => Named::Other("Checkpoint"),
        Task::Act(act::Command::Disclose(_)) => Named::Other("DiscloseToAuditor"),
        Task::Act(act::Command::SkipEvent(_)) => Named::Other("SkipEvent"),
        Task::Act(act::Command::DecideCases(_)) => Named::Other("DecideCases"),
        Task::Act(act::Command::ReverseCases(_)) => Named::Other("ReverseCases"),
        Task::Act(act::Command::CarryOut(_)) => Named::Other("CarryOut"),
    }
}

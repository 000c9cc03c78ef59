//! What may be asked of a case.

use crate::case::event::{Action, AppealOutcome, ShownMessages, SuspensionFiled};
use crate::case::priority::Category;
use crate::conversation::NamedMessage;
use crate::ids::{ActId, ConversationId, DecisionId, MemberId, ReasonCode, ReportId};
use crate::rejection::CommandName;
use crate::time::Timestamp;

/// What may be asked of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A report was made: by the reactor, from the conversation's event.
    JoinReport(JoinReport),
    /// A member was suspended by hand: by the reactor, from the member's event.
    FileSuspension(SuspensionFiled),
    /// Somebody is about to be shown the case.
    DiscloseCase {
        /// Who reads.
        by: MemberId,
        /// What for.
        purpose: ReasonCode,
        /// Which messages.
        shown: ShownMessages,
    },
    /// A moderator takes the case, or takes it for longer.
    ClaimCase {
        /// Who.
        by: MemberId,
        /// The command's time.
        at: Timestamp,
    },
    /// Its holder lets it go.
    ReleaseCase {
        /// Who.
        by: MemberId,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator writes something down.
    NoteOnCase {
        /// Who.
        by: MemberId,
        /// What.
        text: String,
        /// The command's time.
        at: Timestamp,
    },
    /// Its holder leaves it to another moderator.
    EscalateCase {
        /// Who.
        by: MemberId,
        /// What the next one should know; may be empty.
        text: String,
        /// The command's time.
        at: Timestamp,
    },
    /// Its holder decides it.
    DecideCase {
        /// Who.
        by: MemberId,
        /// The decision's id.
        decision: DecisionId,
        /// What is decided.
        ruling: Ruling,
        /// What is known of the messages that it removes.
        named: Vec<NamedMessage>,
        /// The command's time.
        at: Timestamp,
    },
    /// The member appeals a decision.
    AppealDecision {
        /// Who.
        by: MemberId,
        /// Which.
        decision: DecisionId,
        /// What they say.
        text: String,
        /// The command's time.
        at: Timestamp,
    },
    /// Another moderator decides the case's appeal.
    DecideAppeal {
        /// Who.
        by: MemberId,
        /// Of which decision; the one whose appeal has waited longest when absent.
        decision: Option<DecisionId>,
        /// Whether the decision stays.
        outcome: AppealOutcome,
        /// What the member is told.
        text: String,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator takes back what a decision changed.
    ReverseDecision {
        /// Who.
        by: MemberId,
        /// Which.
        decision: DecisionId,
        /// Why, as a code.
        reason: ReasonCode,
        /// What the member is told.
        text: String,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator wants a decided case decided once more.
    ReopenCase {
        /// Who.
        by: MemberId,
        /// Why, as a code.
        reason: ReasonCode,
        /// What the next one should know; may be empty.
        text: String,
    },
    /// It is decided among others by an act on many: by the reactor.
    DecideByAct(DecideByAct),
    /// The time in which the last decision could be appealed is over: by the timer.
    CloseCase {
        /// The time that has come.
        at: Timestamp,
    },
    /// A claim's end has come: by the timer.
    LapseClaim {
        /// The time that has come.
        at: Timestamp,
    },
}

impl Command {
    /// The command's name, where a caller asks for it and its refusal is recorded.
    pub fn name(&self) -> Option<CommandName> {
        match self {
            Command::ClaimCase { .. } => Some(CommandName::ClaimCase),
            Command::ReleaseCase { .. } => Some(CommandName::ReleaseCase),
            Command::NoteOnCase { .. } => Some(CommandName::NoteOnCase),
            Command::EscalateCase { .. } => Some(CommandName::EscalateCase),
            Command::DecideCase { .. } => Some(CommandName::DecideCase),
            Command::AppealDecision { .. } => Some(CommandName::AppealDecision),
            Command::DecideAppeal { .. } => Some(CommandName::DecideAppeal),
            Command::ReverseDecision { .. } => Some(CommandName::ReverseDecision),
            Command::ReopenCase { .. } => Some(CommandName::ReopenCase),
            Command::JoinReport(_)
            | Command::FileSuspension(_)
            | Command::DiscloseCase { .. }
            | Command::DecideByAct(_)
            | Command::LapseClaim { .. }
            | Command::CloseCase { .. } => None,
        }
    }
}

/// What a moderator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What is done.
    pub action: Action,
    /// Until when; none where it has no end.
    pub until: Option<Timestamp>,
    /// Which messages are removed, in any order; naming one twice names it once.
    pub messages: Vec<u64>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
    /// The facts relied on.
    pub facts: String,
}

/// An act on many cases on its way to one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecideByAct {
    /// The act.
    pub act: ActId,
    /// The decision's id.
    pub decision: DecisionId,
    /// Who decides.
    pub by: MemberId,
    /// Whose cases the act decides.
    pub member: MemberId,
    /// How often what is to be decided had changed when the moderator saw the case.
    pub revision: u64,
    /// What is decided.
    pub ruling: Ruling,
    /// The act's time, or a later one.
    pub at: Timestamp,
}

/// A report on its way into its case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReport {
    /// The conversation it was made in.
    pub conversation: ConversationId,
    /// Version of the `messages-reported` event in that conversation's stream.
    pub conversation_version: u64,
    /// The report.
    pub report_id: ReportId,
    /// Who reported.
    pub reporter: MemberId,
    /// The member reported.
    pub reported: MemberId,
    /// What for.
    pub category: Category,
    /// How many messages it newly names.
    pub messages: u32,
    /// Made beyond the reporter's daily limit.
    pub over_limit: bool,
    /// Different members who reported this member within 90 days, this one among them.
    pub reporters: u32,
    /// Earlier cases against this member that were upheld.
    pub upheld: u32,
}

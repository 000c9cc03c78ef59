//! What may be asked of a member's stream: by the host, the member, moderators, timers, and by the write side, which
//! takes a slot or counts a report here before it decides in a conversation.
//!
//! Each command names the member whose stream it is; the rules in force come along where one is used.

use crate::ids::{CommandId, ConversationId, DecisionId, MemberId, ReasonCode, ReportId};
use crate::member::event::{AgeBand, Restriction};
use crate::policy::{Audience, InForce};
use crate::rejection::CommandName;
use crate::time::Timestamp;

/// What may be asked of a member's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The host makes a member known, or tells their age again.
    RegisterMember {
        /// Who.
        member: MemberId,
        /// How old.
        age_band: AgeBand,
        /// Since when; `at` when absent.
        registered_at: Option<Timestamp>,
        /// The command's time.
        at: Timestamp,
    },
    /// The member chooses an audience.
    ChangeDmSetting {
        /// Who.
        member: MemberId,
        /// Whom to let write to them.
        audience: Audience,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator suspends the member.
    SuspendMember(SuspendMember),
    /// A moderator ends the suspension.
    ReinstateMember {
        /// Who.
        member: MemberId,
        /// Which moderator.
        by: MemberId,
        /// The command's time.
        at: Timestamp,
    },
    /// The timer: the end of a suspension by hand of before these were decisions came due.
    EndSuspension {
        /// Who.
        member: MemberId,
        /// The time it fires for.
        at: Timestamp,
    },
    /// The reactor: a decision on a case restricts the member.
    RestrictMember(RestrictMember),
    /// The timer: the end of what a decision restricted came due.
    EndRestriction {
        /// Who.
        member: MemberId,
        /// The decision.
        decision: DecisionId,
        /// The time it fires for.
        at: Timestamp,
    },
    /// The reactor: a decision was reversed.
    LiftRestriction {
        /// Who.
        member: MemberId,
        /// The decision.
        decision: DecisionId,
        /// Which moderator reversed it.
        by: MemberId,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator sets how many of the member's reports a day count.
    LimitReports {
        /// Who.
        member: MemberId,
        /// Which moderator.
        by: MemberId,
        /// How many within 24 hours.
        per_day: u32,
        /// Until when.
        until: Timestamp,
        /// Why, as a code.
        reason: ReasonCode,
        /// The command's time.
        at: Timestamp,
    },
    /// A moderator lifts that.
    LiftReportLimit {
        /// Who.
        member: MemberId,
        /// Which moderator.
        by: MemberId,
        /// The command's time.
        at: Timestamp,
    },
    /// The timer: its end came due.
    EndReportLimit {
        /// Who.
        member: MemberId,
        /// The time it fires for.
        at: Timestamp,
    },
    /// The write side, before a message opens a request.
    TakeRequestSlot {
        /// Who.
        member: MemberId,
        /// Where.
        conversation: ConversationId,
        /// By which command.
        command_id: CommandId,
        /// The rules in force.
        policy: InForce,
        /// The command's time.
        at: Timestamp,
    },
    /// The write side, when that message opened none.
    ReturnRequestSlot {
        /// Who.
        member: MemberId,
        /// The command that took it.
        command_id: CommandId,
    },
    /// The write side, before a report is made.
    CountReport {
        /// Who.
        member: MemberId,
        /// The report.
        report_id: ReportId,
        /// The rules in force.
        policy: InForce,
        /// The command's time.
        at: Timestamp,
    },
}

/// A suspension by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspendMember {
    /// Who.
    pub member: MemberId,
    /// The command's id, from which the decision's follows.
    pub command_id: CommandId,
    /// Which moderator.
    pub by: MemberId,
    /// Until when; for good when absent.
    pub until: Option<Timestamp>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
    /// The facts relied on.
    pub facts: String,
    /// The command's time.
    pub at: Timestamp,
}

/// What a decision restricts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestrictMember {
    /// Who.
    pub member: MemberId,
    /// The decision.
    pub decision: DecisionId,
    /// Which moderator decided.
    pub by: MemberId,
    /// How.
    pub restriction: Restriction,
    /// Until when; for good when absent.
    pub until: Option<Timestamp>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
}

impl Command {
    /// The name by which a refusal is recorded; none for what no client asks.
    pub fn name(&self) -> Option<CommandName> {
        match self {
            Command::RegisterMember { .. } => Some(CommandName::RegisterMember),
            Command::ChangeDmSetting { .. } => Some(CommandName::ChangeDmSetting),
            Command::SuspendMember(_) => Some(CommandName::SuspendMember),
            Command::ReinstateMember { .. } => Some(CommandName::ReinstateMember),
            Command::EndSuspension { .. }
            | Command::RestrictMember(_)
            | Command::EndRestriction { .. }
            | Command::LiftRestriction { .. }
            | Command::LimitReports { .. }
            | Command::LiftReportLimit { .. }
            | Command::EndReportLimit { .. }
            | Command::TakeRequestSlot { .. }
            | Command::ReturnRequestSlot { .. }
            | Command::CountReport { .. } => None,
        }
    }
}

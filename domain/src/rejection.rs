//! Why a command was refused: one type for all aggregates, and the event that records it.
//!
//! A refusal that depends on state becomes a [`CommandRefused`] event on the stream it was decided on, so that it can be
//! explained, and repeated when its command id comes again: [`Rejection::from_event`] gives it back as it was. One that
//! depends on the command alone is not recorded, nor is *not found*: who has no standing in a stream writes nothing to
//! it. HTTP statuses are left to `api`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::act::MovedOn;
use crate::evidence::{Cause, Evidence};
use crate::ids::MemberId;
use crate::text::TextProblem;
use crate::time::Timestamp;

/// The stable code of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The acting member may not do this, or not now, whoever it concerns.
    AccountRestricted,
    /// The text or its addressee cannot be.
    InvalidMessage,
    /// As much as may be was done already.
    LimitReached,
    /// The recipient does not take this message. Says nothing of why.
    NotAllowed,
    /// Nothing of that name exists for the caller.
    NotFound,
    /// The sender could not send the request now, so it cannot be accepted or restored.
    RequestFrozen,
    /// There is no pending request to accept or delete.
    RequestNotPending,
    /// The request was accepted, or never needed to be.
    AlreadyAccepted,
    /// There is nothing that can be restored, or no longer.
    NotRestorable,
    /// The thread is not in the caller's inbox, so it cannot leave it.
    NotAccepted,
    /// The message was written by the other member.
    NotAuthor,
    /// The report names what it cannot, or too much.
    InvalidReport,
    /// A read mark above the last message the caller can see.
    InvalidReadMark,
    /// A command of a member about themselves that needs two.
    InvalidMember,
    /// A member's time of registration cannot change.
    RegisteredAtFixed,
    /// A suspension that is over before it begins, or says too much.
    InvalidSuspension,
    /// A policy with a value that none may have.
    InvalidPolicy,
    /// Another moderator holds the case.
    AlreadyClaimed,
    /// The moderator does not hold the case, which this needs.
    NotClaimed,
    /// Another moderator has to do this than the one who asks.
    SameModerator,
    /// The case was decided, and nothing was reported since.
    AlreadyDecided,
    /// A limit of a member's reports that is over before it begins, or no limit.
    InvalidReportLimit,
    /// A note that says nothing or too much.
    InvalidNote,
    /// A decision without what every decision has, or with an end that cannot be.
    InvalidDecision,
    /// Who asks is one of the two members of the case.
    OwnCase,
    /// The decision was appealed before.
    AlreadyAppealed,
    /// The time in which the decision can be appealed is over.
    AppealWindowOver,
    /// The decision was reversed: there is nothing to appeal.
    AlreadyReversed,
    /// No appeal waits for a decision.
    NotAppealed,
    /// An appeal that says nothing or too much.
    InvalidAppeal,
    /// The message would open a request: take a slot of the sender's first, then decide again. Never leaves the write
    /// side.
    SlotNeeded,
    /// The report is new: count it on the reporter's stream first, then decide again. Never leaves the write side.
    CountNeeded,
    /// An act on many cases passes the case over. Never leaves the write side.
    MovedOn,
}

impl Code {
    /// The code as it is written in answers and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::AccountRestricted => "account_restricted",
            Code::InvalidMessage => "invalid_message",
            Code::LimitReached => "limit_reached",
            Code::NotAllowed => "not_allowed",
            Code::NotFound => "not_found",
            Code::RequestFrozen => "request_frozen",
            Code::RequestNotPending => "request_not_pending",
            Code::AlreadyAccepted => "already_accepted",
            Code::NotRestorable => "not_restorable",
            Code::NotAccepted => "not_accepted",
            Code::NotAuthor => "not_author",
            Code::InvalidReport => "invalid_report",
            Code::InvalidReadMark => "invalid_read_mark",
            Code::InvalidMember => "invalid_member",
            Code::RegisteredAtFixed => "registered_at_fixed",
            Code::InvalidSuspension => "invalid_suspension",
            Code::InvalidPolicy => "invalid_policy",
            Code::AlreadyClaimed => "already_claimed",
            Code::NotClaimed => "not_claimed",
            Code::SameModerator => "same_moderator",
            Code::AlreadyDecided => "already_decided",
            Code::InvalidReportLimit => "invalid_report_limit",
            Code::InvalidNote => "invalid_note",
            Code::InvalidDecision => "invalid_decision",
            Code::OwnCase => "own_case",
            Code::AlreadyAppealed => "already_appealed",
            Code::AppealWindowOver => "appeal_window_over",
            Code::AlreadyReversed => "already_reversed",
            Code::NotAppealed => "not_appealed",
            Code::InvalidAppeal => "invalid_appeal",
            Code::SlotNeeded => "slot_needed",
            Code::CountNeeded => "count_needed",
            Code::MovedOn => "moved_on",
        }
    }
}

/// A refusal with all that its answer and its event tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    code: Code,
    recorded: bool,
    evidence: Option<Box<Evidence>>,
    cause: Option<Cause>,
    restorable_until: Option<Timestamp>,
    field: Option<&'static str>,
    range: Option<(u64, u64)>,
    problem: Option<TextProblem>,
    moved_on: Option<MovedOn>,
}

impl Rejection {
    /// A refusal that depends on state, and is recorded.
    pub fn of_state(code: Code) -> Rejection {
        Rejection {
            code,
            recorded: true,
            evidence: None,
            cause: None,
            restorable_until: None,
            field: None,
            range: None,
            problem: None,
            moved_on: None,
        }
    }

    /// A refusal that depends on the command alone, and is not recorded.
    pub fn of_command(code: Code) -> Rejection {
        Rejection {
            recorded: false,
            ..Rejection::of_state(code)
        }
    }

    /// Nothing of that name exists for the caller; not recorded.
    pub fn not_found() -> Rejection {
        Rejection::of_command(Code::NotFound)
    }

    /// With what it was decided on.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Rejection {
        self.evidence = Some(Box::new(evidence));
        self
    }

    /// With the exact reason, for commands that record no whole evidence.
    #[must_use]
    pub fn with_cause(mut self, cause: Cause) -> Rejection {
        self.cause = Some(cause);
        self
    }

    /// With the end of the time in which the deleted request can be restored.
    #[must_use]
    pub fn with_restorable_until(mut self, until: Timestamp) -> Rejection {
        self.restorable_until = Some(until);
        self
    }

    /// Naming the field that cannot be.
    #[must_use]
    pub fn with_field(mut self, field: &'static str) -> Rejection {
        self.field = Some(field);
        self
    }

    /// Naming the least and the most that the field may be, or hold.
    #[must_use]
    pub fn with_range(mut self, least: u64, most: u64) -> Rejection {
        self.range = Some((least, most));
        self
    }

    /// Naming the limit that a text breaks.
    #[must_use]
    pub fn with_problem(mut self, problem: TextProblem) -> Rejection {
        self.problem = Some(problem);
        self
    }

    /// Why an act on many cases passes a case over.
    pub fn passes_over(why: MovedOn) -> Rejection {
        Rejection {
            moved_on: Some(why),
            ..Rejection::of_command(Code::MovedOn)
        }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The rule of `SendMessage` that matched, if it was one.
    pub fn rule(&self) -> Option<u8> {
        self.evidence().and_then(|evidence| evidence.rule)
    }

    /// Whether it is recorded as an event.
    pub fn recorded(&self) -> bool {
        self.recorded
    }

    /// What it was decided on.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_deref()
    }

    /// The exact reason, from the evidence or beside it.
    pub fn cause(&self) -> Option<Cause> {
        self.evidence()
            .and_then(|evidence| evidence.cause)
            .or(self.cause)
    }

    /// Until when the deleted request can be restored; given with `request_not_pending` after a delete.
    pub fn restorable_until(&self) -> Option<Timestamp> {
        self.restorable_until
    }

    /// The field of the command that cannot be.
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// The least and the most that the field may be, or hold.
    pub fn range(&self) -> Option<(u64, u64)> {
        self.range
    }

    /// The limit that a text breaks.
    pub fn problem(&self) -> Option<TextProblem> {
        self.problem
    }

    /// Why an act on many cases passes the case over, where it does.
    pub fn moved_on(&self) -> Option<MovedOn> {
        self.moved_on
    }

    /// The event that records this refusal of `by`'s command, which concerned `other`.
    pub fn to_event(
        &self,
        command: CommandName,
        by: &MemberId,
        other: Option<&MemberId>,
    ) -> CommandRefused {
        CommandRefused {
            command,
            by: by.clone(),
            other: other.cloned(),
            code: self.code,
            evidence: self.evidence().copied(),
            cause: self.cause,
            restorable_until: self.restorable_until,
        }
    }

    /// The refusal that an event recorded, to be answered again.
    pub fn from_event(event: &CommandRefused) -> Rejection {
        Rejection {
            code: event.code,
            recorded: true,
            evidence: event.evidence.map(Box::new),
            cause: event.cause,
            restorable_until: event.restorable_until,
            field: recorded_field(event.code),
            range: None,
            problem: None,
            moved_on: None,
        }
    }
}

/// The field that a recorded refusal names: it follows from the code.
fn recorded_field(code: Code) -> Option<&'static str> {
    if matches!(code, Code::InvalidReport | Code::InvalidDecision) {
        Some("messages")
    } else if code == Code::InvalidReadMark {
        Some("up_to")
    } else if code == Code::RegisteredAtFixed {
        Some("registered_at")
    } else {
        None
    }
}

/// The commands by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each is named like the command it names")]
pub enum CommandName {
    SendMessage,
    AcceptRequest,
    DeleteRequest,
    RestoreRequest,
    ReportMessage,
    ChangeDmSetting,
    UnsendMessage,
    MarkRead,
    BlockMember,
    UnblockMember,
    MuteConversation,
    UnmuteConversation,
    MoveToRequests,
    RecordRelationship,
    RegisterMember,
    ChangePolicy,
    SuspendMember,
    ReinstateMember,
    ClaimCase,
    ReleaseCase,
    NoteOnCase,
    EscalateCase,
    DecideCase,
    AppealDecision,
    DecideAppeal,
    ReverseDecision,
    ReopenCase,
}

/// `command-refused.v2`: a command was refused for what was so then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRefused {
    /// Which command.
    pub command: CommandName,
    /// Who acted.
    pub by: MemberId,
    /// The other member it concerned, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<MemberId>,
    /// The refusal's code.
    pub code: Code,
    /// What it was decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The exact reason, where there is no whole evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Until when the deleted request could be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restorable_until: Option<Timestamp>,
}

//! What callers get back: the outcome of a command, or why there is none.
//!
//! Promise: an outcome, a refusal and *unchanged* included, is given only when everything it was decided on is
//! durable. A repeated command gives the first outcome again, with `repeated` set.

use domain::codec::AboveLevel;
use domain::conversation::AlsoOutcome;
use domain::ids::{ActId, CaseId, ConversationId, DecisionId, ReportId};
use domain::policy::Audience;
use domain::rejection::{Code, Rejection};
use domain::time::Timestamp;
use event_store::Position;

/// A command that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The position reached: of the command's last event; of the event that made it true where it was so already, 0 if
    /// none did.
    pub position: Position,
    /// Whether anything was written.
    pub kind: Kind,
    /// It is the first outcome of a repeated command.
    pub repeated: bool,
    /// What the caller learns besides.
    pub answer: Answer,
}

/// Whether a command wrote anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its events were appended.
    Done,
    /// It was so already.
    Unchanged,
}

/// What a command's caller learns besides its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing more.
    Nothing,
    /// A message has its place. Delivered, waiting and withheld ones answer alike.
    Sent {
        /// Its conversation.
        conversation: ConversationId,
        /// Its number there.
        number: u64,
        /// Its time.
        at: Timestamp,
    },
    /// A report is kept.
    Reported {
        /// The report; the earliest one of these messages where nothing was new.
        report: ReportId,
        /// The case it goes to.
        case: CaseId,
        /// Whether it named a message that this member had not reported.
        new: bool,
        /// What became of what else was asked for; none where nothing else was.
        also: Option<AlsoOutcome>,
    },
    /// The DM setting in force.
    Setting {
        /// Who may write.
        audience: Audience,
        /// How often it was set.
        version: u64,
    },
    /// The caller holds a case.
    Claimed {
        /// When the claim lapses unless they act before.
        until: Timestamp,
    },
    /// A case is decided.
    Decided {
        /// By which decision.
        decision: DecisionId,
    },
    /// Many cases are decided as one act, which is being carried out.
    DecidedMany {
        /// Which.
        act: ActId,
    },
    /// The policy in force.
    Policy {
        /// Its version.
        version: u64,
    },
}

/// A refusal by the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its code, and what its answer tells.
    pub rejection: Rejection,
    /// The position it was decided on; of the recorded refusal where there is one.
    pub position: Position,
    /// It is the first outcome of a repeated command.
    pub repeated: bool,
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> Code {
        self.rejection.code()
    }
}

/// Why a command has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The rules refuse it.
    #[error("refused: {}", .0.code().as_str())]
    Refused(Box<Refusal>),
    /// What it names does not exist for the actor.
    #[error("not found")]
    NotFound,
    /// The id belongs to another command of this actor.
    #[error("the command id was used with other content")]
    CommandIdReused,
    /// Its time is more than 5 seconds ahead of the clock, or before the last event of its stream.
    #[error("the time is {0}")]
    InvalidTime(WrongTime),
    /// Too many refusals of this member were recorded; nothing was written.
    #[error("too many refused commands")]
    RateLimited,
    /// Too much is waiting, or the write side stops. Nothing was written.
    #[error("busy")]
    Busy,
    /// It would make an event beyond the store's bounds. Nothing was written.
    #[error("too large")]
    TooLarge,
    /// The disk is full. Nothing was written.
    #[error("the disk is full")]
    StorageFull,
    /// The store ended before the outcome was durable, or did not answer. Repeat with the same id.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// A store elsewhere cannot be reached. Nothing was written.
    #[error("the store cannot be reached: {0}")]
    StoreUnavailable(String),
    /// The log's schema level is below what it would write; it is raised by hand. Nothing was written.
    #[error(transparent)]
    AboveLevel(#[from] AboveLevel),
    /// What is stored cannot be read.
    #[error("the log cannot be read: {0}")]
    Unreadable(String),
}

impl CommandError {
    /// Whether the same may succeed later, without anybody's doing.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Busy
            | Self::StorageFull
            | Self::OutcomeUnknown
            | Self::StoreUnavailable(_)
            | Self::RateLimited => true,
            Self::Refused(_)
            | Self::NotFound
            | Self::CommandIdReused
            | Self::InvalidTime(_)
            | Self::TooLarge
            | Self::AboveLevel(_)
            | Self::Unreadable(_) => false,
        }
    }
}

/// Why a command's own time cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongTime {
    /// More than 5 seconds.
    #[error("ahead of the clock")]
    Ahead,
    /// Time never falls within a stream.
    #[error("before the last event of its stream")]
    BeforeLast,
}

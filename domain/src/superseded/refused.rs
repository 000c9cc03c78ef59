//! Refusals as they were recorded before moderators worked on cases: the shorter lists of codes and commands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::{Cause, Evidence};
use crate::ids::MemberId;
use crate::rejection::{Code, CommandName, CommandRefused};
use crate::time::Timestamp;

/// A list of words as a version had it, and the words that came later, which it cannot say.
macro_rules! shorter {
    ($(#[$attribute:meta])* $name:ident of $today:ident { $($(#[$doc:meta])* $word:ident,)* } later { $($later:ident,)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        $(#[$attribute])*
        enum $name {
            $($(#[$doc])* $word,)*
        }

        impl From<$name> for $today {
            fn from(word: $name) -> Self {
                match word { $($name::$word => $today::$word,)* }
            }
        }

        impl $name {
            fn of(word: $today) -> Option<Self> {
                match word {
                    $($today::$word => Some($name::$word),)*
                    $($today::$later)|* => None,
                }
            }
        }
    };
}

shorter! {
    /// The stable code of a refusal.
    #[serde(rename_all = "snake_case")]
    CodeV1 of Code {
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
        /// The message would open a request: take a slot of the sender's first, then decide again. Never leaves the write
        /// side.
        SlotNeeded,
        /// The report is new: count it on the reporter's stream first, then decide again. Never leaves the write side.
        CountNeeded,
    }
    later {
        AlreadyClaimed,
        NotClaimed,
        SameModerator,
        AlreadyDecided,
        InvalidReportLimit,
        InvalidNote,
        InvalidDecision,
        OwnCase,
        AlreadyAppealed,
        AppealWindowOver,
        AlreadyReversed,
        NotAppealed,
        InvalidAppeal,
        MovedOn,
    }
}

shorter! {
    /// The commands by their names.
    CommandNameV1 of CommandName {
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
    }
    later {
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
}

/// `command-refused.v1`: a command was refused for what was so then. It knows no command of a moderator on a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CommandRefusedV1 {
    /// Which command.
    command: CommandNameV1,
    /// Who acted.
    by: MemberId,
    /// The other member it concerned, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    other: Option<MemberId>,
    /// The refusal's code.
    code: CodeV1,
    /// What it was decided on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    /// The exact reason, where there is no whole evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    /// Until when the deleted request could be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restorable_until: Option<Timestamp>,
}

impl From<CommandRefusedV1> for CommandRefused {
    fn from(old: CommandRefusedV1) -> Self {
        CommandRefused {
            command: old.command.into(),
            by: old.by,
            other: old.other,
            code: old.code.into(),
            evidence: old.evidence,
            cause: old.cause,
            restorable_until: old.restorable_until,
        }
    }
}

impl CommandRefusedV1 {
    /// The old form of an event, where its lists have the command and the code.
    pub(crate) fn of(event: &CommandRefused) -> Option<Self> {
        Some(CommandRefusedV1 {
            command: CommandNameV1::of(event.command)?,
            code: CodeV1::of(event.code)?,
            by: event.by.clone(),
            other: event.other.clone(),
            evidence: event.evidence,
            cause: event.cause,
            restorable_until: event.restorable_until,
        })
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn refused(command: CommandName, code: Code) -> CommandRefused {
        CommandRefused {
            command,
            by: MemberId::new("ann").unwrap(),
            other: None,
            code,
            evidence: None,
            cause: None,
            restorable_until: Some(Timestamp(7)),
        }
    }

    #[test]
    fn writes_the_old_form_only_where_its_lists_have_both_words() {
        let event = refused(CommandName::SendMessage, Code::NotAllowed);
        let old = CommandRefusedV1::of(&event).unwrap();
        assert_eq!(CommandRefused::from(old), event);
        for (command, code) in [
            (CommandName::ClaimCase, Code::NotAllowed),
            (CommandName::SendMessage, Code::AlreadyClaimed),
        ] {
            assert_eq!(CommandRefusedV1::of(&refused(command, code)), None);
        }
    }
}

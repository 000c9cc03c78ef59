//! What callers hand in: a command with who acts, its id and its time.
//!
//! A command here is parsed and well-formed; whether it may happen is the domain's to decide, and who may call it at
//! all is the API's. Its *content* (name and fields, the conversation resolved) is hashed into the causation id of its
//! events, so that an id used again with other content shows. Adding a command is a variant, its name, its content and
//! its route to a stream in `task.rs`.

use std::sync::Arc;

use domain::act::Looked;
use domain::case::{Category, ShownMessages};
use domain::conversation::{Also, DeleteMode, GivenRelationship, RelationshipKind};
use domain::ids::{
    CaseId, CommandId, ConversationId, MemberId, ReasonCode, ViewId, causation_id, correlation_id,
};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// A command with its header.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Who acts: the token's `sub`, for `import` the line's `member`. Command ids are unique to it.
    pub actor: MemberId,
    /// The client's id of this command.
    pub command_id: CommandId,
    /// Whether the client gave the id, and so may give it again; else it was made for this command alone.
    pub id_given: bool,
    /// When it happened, where the caller may say so; else the clock decides, and time never falls within a stream.
    pub at: Option<Timestamp>,
    /// What is to happen.
    pub command: Command,
}

impl Envelope {
    /// What tells commands apart: the actor's id of it, and that with its content. They are the correlation and
    /// causation ids of its events.
    pub fn ids(&self) -> (Uuid, Uuid) {
        let (actor, command_id) = (self.actor.as_str(), self.command_id.as_str());
        let content = self.command.content(&self.actor);
        (
            correlation_id(actor, command_id),
            causation_id(actor, command_id, &content),
        )
    }
}

/// A conversation, named by its id or by the other member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its id. One that does not exist, or that the actor has no part in, is not found.
    Conversation(ConversationId),
    /// The actor's conversation with this member.
    With(MemberId),
}

impl Target {
    /// The conversation meant when `actor` says this.
    pub fn resolve(&self, actor: &MemberId) -> ConversationId {
        match self {
            Self::Conversation(id) => *id,
            Self::With(other) => ConversationId::of(actor, other),
        }
    }
}

/// What an auditor is about to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What.
    pub looked: Looked,
    /// What for.
    pub purpose: ReasonCode,
    /// Whose; of a conversation one of the two.
    pub member: MemberId,
    /// The other of a conversation.
    pub other: Option<MemberId>,
    /// The conversation, where one is looked at.
    pub conversation: Option<ConversationId>,
    /// The time of the earlier moment that it is compared with.
    pub from: Option<Timestamp>,
    /// The time of the moment it is shown as of; none for the present one.
    pub as_of: Option<Timestamp>,
}

/// What may be asked of the write side. The acting member is the envelope's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The host makes a member known, or tells their age again.
    RegisterMember {
        /// Who.
        member: MemberId,
        /// How old.
        age_band: AgeBand,
        /// Since when; the command's time when absent.
        registered_at: Option<Timestamp>,
    },
    /// The host tells what is known between two members.
    RecordRelationship {
        /// Who follows, or to whom the other is suggested.
        member: MemberId,
        /// What happened.
        kind: RelationshipKind,
        /// The other member.
        other: MemberId,
    },
    /// A moderator suspends a member.
    SuspendMember {
        /// Whom.
        member: MemberId,
        /// Until when; for good when absent.
        until: Option<Timestamp>,
        /// Why, as a code.
        reason: ReasonCode,
        /// What the member is told.
        text: String,
    },
    /// A moderator ends a suspension.
    ReinstateMember {
        /// Whose.
        member: MemberId,
    },
    /// The host puts these rules in force, whole.
    ChangePolicy {
        /// All the rules.
        rules: Arc<Rules>,
    },
    /// A moderator is about to be shown a case.
    DiscloseCase {
        /// Which.
        case: CaseId,
        /// What for.
        purpose: ReasonCode,
        /// Which of its messages.
        shown: ShownMessages,
    },
    /// An auditor is about to be shown content of others.
    DiscloseToAuditor {
        /// What, whose, as of when and what for.
        look: Look,
    },
    /// An operator has a view do without an event that it cannot apply.
    SkipEvent {
        /// The view.
        view: ViewId,
        /// The version of it that is served.
        view_version: u32,
        /// The stream of the event.
        stream: String,
        /// Its version there.
        version: u64,
        /// Why, as a code.
        reason: ReasonCode,
        /// Why, in words.
        text: String,
    },
    /// The actor chooses an audience.
    ChangeDmSetting {
        /// Whom to let write.
        audience: Audience,
    },
    /// The actor writes.
    SendMessage {
        /// To whom.
        to: MemberId,
        /// What, as it was typed.
        text: String,
        /// What the host says of the relationship with it; silent where the host does not speak.
        relationship: GivenRelationship,
    },
    /// The actor accepts what the other member sent.
    AcceptRequest {
        /// Where.
        target: Target,
    },
    /// The actor deletes what the other member sent.
    DeleteRequest {
        /// Where.
        target: Target,
        /// How.
        mode: DeleteMode,
    },
    /// The actor takes a deletion back.
    RestoreRequest {
        /// Where.
        target: Target,
    },
    /// The actor sends an accepted thread back to the request folder.
    MoveToRequests {
        /// Where.
        target: Target,
    },
    /// The actor takes a message back.
    UnsendMessage {
        /// Where.
        target: Target,
        /// Which.
        number: u64,
    },
    /// The actor has read up to a message.
    MarkRead {
        /// Where.
        target: Target,
        /// The last message read.
        up_to: u64,
    },
    /// The actor hears no more of a conversation.
    MuteConversation {
        /// Where.
        target: Target,
    },
    /// The actor hears of it again.
    UnmuteConversation {
        /// Where.
        target: Target,
    },
    /// The actor blocks a member, known or not.
    BlockMember {
        /// Whom.
        other: MemberId,
    },
    /// The actor ends a block.
    UnblockMember {
        /// Whose.
        other: MemberId,
    },
    /// The actor reports messages of the other member.
    ReportMessage {
        /// Where.
        target: Target,
        /// Which, by number.
        messages: Vec<u64>,
        /// What for.
        category: Category,
        /// What the actor adds.
        comment: String,
        /// What else to do in the same append.
        also: Also,
    },
}

impl Command {
    /// The command's name, for metrics and spans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RegisterMember { .. } => "RegisterMember",
            Self::RecordRelationship { .. } => "RecordRelationship",
            Self::SuspendMember { .. } => "SuspendMember",
            Self::ReinstateMember { .. } => "ReinstateMember",
            Self::ChangePolicy { .. } => "ChangePolicy",
            Self::DiscloseCase { .. } => "DiscloseCase",
            Self::DiscloseToAuditor { .. } => "DiscloseToAuditor",
            Self::SkipEvent { .. } => "SkipEvent",
            Self::ChangeDmSetting { .. } => "ChangeDmSetting",
            Self::SendMessage { .. } => "SendMessage",
            Self::AcceptRequest { .. } => "AcceptRequest",
            Self::DeleteRequest { .. } => "DeleteRequest",
            Self::RestoreRequest { .. } => "RestoreRequest",
            Self::MoveToRequests { .. } => "MoveToRequests",
            Self::UnsendMessage { .. } => "UnsendMessage",
            Self::MarkRead { .. } => "MarkRead",
            Self::MuteConversation { .. } => "MuteConversation",
            Self::UnmuteConversation { .. } => "UnmuteConversation",
            Self::BlockMember { .. } => "BlockMember",
            Self::UnblockMember { .. } => "UnblockMember",
            Self::ReportMessage { .. } => "ReportMessage",
        }
    }

    /// The bytes that two commands share only if they are the same: the name, then each field with its length. The
    /// conversation is resolved, so that naming it by its id or by the other member is one content. Stored by way of
    /// the causation id: never change what a command gives.
    pub(crate) fn content(&self, actor: &MemberId) -> Vec<u8> {
        let mut content = Content::of(self.name());
        match self {
            Self::RegisterMember {
                member,
                age_band,
                registered_at,
            } => {
                content
                    .text(member.as_str())
                    .value(age_band)
                    .value(registered_at);
            }
            Self::RecordRelationship {
                member,
                kind,
                other,
            } => {
                content
                    .text(member.as_str())
                    .value(kind)
                    .text(other.as_str());
            }
            Self::SuspendMember {
                member,
                until,
                reason,
                text,
            } => {
                content
                    .text(member.as_str())
                    .value(until)
                    .text(reason.as_str())
                    .text(text);
            }
            Self::ReinstateMember { member } => {
                content.text(member.as_str());
            }
            Self::ChangePolicy { rules } => {
                content.value(rules);
            }
            Self::DiscloseCase {
                case,
                purpose,
                shown,
            } => {
                content.bytes(case.0.as_bytes()).text(purpose.as_str());
                // As it was before it was told what is shown.
                if *shown != ShownMessages::default() {
                    content.value(shown);
                }
            }
            Self::DiscloseToAuditor { look } => {
                content
                    .value(&look.looked)
                    .text(look.purpose.as_str())
                    .text(look.member.as_str())
                    .value(&look.other)
                    .value(&look.conversation)
                    .value(&look.from)
                    .value(&look.as_of);
            }
            Self::SkipEvent {
                view,
                view_version,
                stream,
                version,
                reason,
                text,
            } => {
                content
                    .text(view.as_str())
                    .value(view_version)
                    .text(stream)
                    .value(version)
                    .text(reason.as_str())
                    .text(text);
            }
            Self::ChangeDmSetting { audience } => {
                content.value(audience);
            }
            Self::SendMessage {
                to,
                text,
                relationship,
            } => {
                content
                    .text(to.as_str())
                    .text(text)
                    .relationship(*relationship);
            }
            Self::DeleteRequest { target, mode } => {
                content.target(target, actor).value(mode);
            }
            Self::AcceptRequest { target }
            | Self::RestoreRequest { target }
            | Self::MoveToRequests { target }
            | Self::MuteConversation { target }
            | Self::UnmuteConversation { target } => {
                content.target(target, actor);
            }
            Self::UnsendMessage { target, number }
            | Self::MarkRead {
                target,
                up_to: number,
            } => {
                content.target(target, actor).bytes(&number.to_be_bytes());
            }
            Self::BlockMember { other } | Self::UnblockMember { other } => {
                content.text(other.as_str());
            }
            Self::ReportMessage {
                target,
                messages,
                category,
                comment,
                also,
            } => {
                content
                    .target(target, actor)
                    .value(messages)
                    .value(category)
                    .text(comment)
                    .value(also);
            }
        }
        content.0
    }
}

/// Bytes put together field by field, each with its length before it.
struct Content(Vec<u8>);

impl Content {
    fn of(name: &str) -> Self {
        let mut content = Self(Vec::with_capacity(128));
        content.text(name);
        content
    }

    /// A relationship that says something; a silent one leaves the content as it was before there were any.
    fn relationship(&mut self, given: GivenRelationship) -> &mut Self {
        let GivenRelationship {
            recipient_follows,
            sender_follows,
            suggested,
        } = given;
        if given.is_silent() {
            return self;
        }
        let said = [recipient_follows, sender_follows, suggested];
        self.bytes(&said.map(|said| said.map_or(2, u8::from)))
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0
            .extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn target(&mut self, target: &Target, actor: &MemberId) -> &mut Self {
        self.bytes(target.resolve(actor).0.as_bytes())
    }

    /// A plain value in its stored form. Those used here cannot fail to serialize; if one did, it would count as empty.
    fn value<T: Serialize>(&mut self, value: &T) -> &mut Self {
        let json = serde_json::to_vec(value).unwrap_or_default();
        self.bytes(&json)
    }
}

#[cfg(test)]
mod spec;

//! What may be asked of a conversation, and the facts that come with it.
//!
//! A command brings everything its decision needs that is not in the conversation's own state: what the member streams
//! say of both, the rules in force, and what is known of a named message. The write side looks them up.

use crate::case::Category;
use crate::conversation::event::{Also, DeleteMode, RelationshipKind};
use crate::conversation::given::GivenRelationship;
use crate::ids::{DecisionId, MemberId, ReportId};
use crate::member::Facts;
use crate::policy::InForce;
use crate::rejection::CommandName;
use crate::time::Timestamp;

/// What may be asked of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write to the other member.
    SendMessage(SendMessage),
    /// Accept the other member's request.
    AcceptRequest(AcceptRequest),
    /// Delete the other member's request.
    DeleteRequest(DeleteRequest),
    /// Take a deletion back.
    RestoreRequest(RestoreRequest),
    /// Move the other member's accepted thread back to the doorstep.
    MoveToRequests(MoveToRequests),
    /// Take an own message back.
    UnsendMessage(UnsendMessage),
    /// Note how far one has read.
    MarkRead(MarkRead),
    /// Want no notices of this conversation.
    MuteConversation(MuteConversation),
    /// Want them again.
    UnmuteConversation(UnmuteConversation),
    /// Block the other member.
    BlockMember(BlockMember),
    /// End the block.
    UnblockMember(UnblockMember),
    /// Note what the host knows between the two.
    RecordRelationship(RecordRelationship),
    /// Report messages of the other member.
    ReportMessage(ReportMessage),
    /// The reactor: a decision on a case removes messages.
    RemoveMessages(RemoveMessages),
    /// The reactor: a decision that removed messages was reversed.
    RestoreMessages(RestoreMessages),
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendMessage {
    /// Who writes.
    pub from: MemberId,
    /// To whom.
    pub to: MemberId,
    /// What.
    pub text: String,
    /// The command's time.
    pub at: Timestamp,
    /// What the sender's stream says of them; none when they are unknown.
    pub sender: Option<Facts>,
    /// What the recipient's stream says of them; none when they are unknown.
    pub recipient: Option<Facts>,
    /// The rules in force.
    pub policy: InForce,
    /// The sender's slots of the daily limit.
    pub slot: Slot,
    /// What the host says of the relationship with it.
    pub relationship: GivenRelationship,
}

/// Where the sender stands with the daily limit of new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// This command holds no slot; so many others were taken within 24 h.
    Open {
        /// Slots taken within 24 h.
        used: u32,
    },
    /// This command holds one.
    Taken,
}

/// What is known of both sides when a request is to become visible to its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the stream of the request's sender says of them; none when they are unknown.
    pub sender: Option<Facts>,
    /// What the stream of the request's recipient says of them; none when they are unknown.
    pub recipient: Option<Facts>,
}

/// Accept the other member's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptRequest {
    /// Who accepts.
    pub by: MemberId,
    /// The command's time.
    pub at: Timestamp,
    /// Both sides; `by` is the recipient.
    pub standing: Standing,
    /// The rules in force.
    pub policy: InForce,
}

/// Delete the other member's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRequest {
    /// Who deletes.
    pub by: MemberId,
    /// How.
    pub mode: DeleteMode,
    /// The command's time.
    pub at: Timestamp,
    /// The rules in force.
    pub policy: InForce,
}

/// Take a deletion back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// Who restores.
    pub by: MemberId,
    /// The command's time.
    pub at: Timestamp,
    /// Both sides; `by` is the recipient.
    pub standing: Standing,
    /// The rules in force.
    pub policy: InForce,
}

/// Move the other member's accepted thread back to the doorstep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveToRequests {
    /// Who moves it.
    pub by: MemberId,
    /// The command's time.
    pub at: Timestamp,
}

/// What the log says of a named message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFacts {
    /// Who wrote it.
    pub from: MemberId,
    /// When.
    pub sent_at: Timestamp,
    /// What, as it was sent.
    pub text: String,
    /// Taken, but shown to nobody but its sender.
    pub withheld: bool,
    /// Version of the event that unsent it, if one did; of the last one, where that withdrew its request as well.
    pub unsent: Option<u64>,
    /// The report in which the member who asks has reported it already.
    pub reported: Option<Reported>,
}

/// A report made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Which report.
    pub report_id: ReportId,
    /// Version of its event in this stream.
    pub version: u64,
}

/// A message by its number, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMessage {
    /// The number.
    pub number: u64,
    /// What the log says; none when there is no such message.
    pub facts: Option<MessageFacts>,
}

/// Take an own message back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsendMessage {
    /// Who unsends.
    pub by: MemberId,
    /// Which message.
    pub message: NamedMessage,
    /// The command's time.
    pub at: Timestamp,
}

/// Note how far one has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRead {
    /// Who read.
    pub by: MemberId,
    /// Up to which number.
    pub up_to: u64,
    /// The command's time.
    pub at: Timestamp,
}

/// Want no notices of this conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuteConversation {
    /// Who mutes.
    pub by: MemberId,
    /// The command's time.
    pub at: Timestamp,
}

/// Want notices again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmuteConversation {
    /// Who unmutes.
    pub by: MemberId,
    /// The command's time.
    pub at: Timestamp,
}

/// Block the other member, whether or not anything was ever written, or they exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockMember {
    /// Who blocks.
    pub by: MemberId,
    /// Whom.
    pub other: MemberId,
    /// The command's time.
    pub at: Timestamp,
}

/// End the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnblockMember {
    /// Who unblocks.
    pub by: MemberId,
    /// Whom.
    pub other: MemberId,
    /// The command's time.
    pub at: Timestamp,
}

/// Note what the host knows between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRelationship {
    /// What begins or ends.
    pub kind: RelationshipKind,
    /// Who follows, or to whom is suggested.
    pub member: MemberId,
    /// Who is followed, or suggested.
    pub other: MemberId,
    /// The command's time.
    pub at: Timestamp,
}

/// Whether a report was counted on its reporter's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Not yet.
    NotYet,
    /// It was, within the daily limit.
    Within,
    /// It was, beyond the daily limit.
    Over,
}

/// Report messages of the other member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportMessage {
    /// Who reports.
    pub by: MemberId,
    /// The id that a new report gets.
    pub report_id: ReportId,
    /// The messages, in any order; naming one twice names it once.
    pub messages: Vec<NamedMessage>,
    /// What for.
    pub category: Category,
    /// What the reporter adds; may be empty.
    pub comment: String,
    /// What else to do in the same append.
    pub also: Also,
    /// Whether the report was counted.
    pub count: Count,
    /// The command's time.
    pub at: Timestamp,
    /// The rules in force.
    pub policy: InForce,
}

/// What a decision on a case removes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveMessages {
    /// The decision.
    pub decision: DecisionId,
    /// Version of the event that decided, in the case's stream.
    pub case_version: u64,
    /// Which moderator decided.
    pub by: MemberId,
    /// Who wrote the messages.
    pub from: MemberId,
    /// The other member.
    pub to: MemberId,
    /// Which, ascending.
    pub numbers: Vec<u64>,
}

/// What the reversal of a decision on a case shows again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreMessages {
    /// The decision.
    pub decision: DecisionId,
    /// Version of the event that reversed it, in the case's stream.
    pub case_version: u64,
    /// Which moderator reversed it.
    pub by: MemberId,
    /// Who wrote the messages.
    pub from: MemberId,
    /// The other member.
    pub to: MemberId,
    /// Which, ascending.
    pub numbers: Vec<u64>,
}

impl Command {
    /// The name by which a refusal is recorded; none for what no client asks.
    pub fn name(&self) -> Option<CommandName> {
        Some(match self {
            Command::RemoveMessages(_) | Command::RestoreMessages(_) => return None,
            Command::SendMessage(_) => CommandName::SendMessage,
            Command::AcceptRequest(_) => CommandName::AcceptRequest,
            Command::DeleteRequest(_) => CommandName::DeleteRequest,
            Command::RestoreRequest(_) => CommandName::RestoreRequest,
            Command::MoveToRequests(_) => CommandName::MoveToRequests,
            Command::UnsendMessage(_) => CommandName::UnsendMessage,
            Command::MarkRead(_) => CommandName::MarkRead,
            Command::MuteConversation(_) => CommandName::MuteConversation,
            Command::UnmuteConversation(_) => CommandName::UnmuteConversation,
            Command::BlockMember(_) => CommandName::BlockMember,
            Command::UnblockMember(_) => CommandName::UnblockMember,
            Command::RecordRelationship(_) => CommandName::RecordRelationship,
            Command::ReportMessage(_) => CommandName::ReportMessage,
        })
    }

    /// Who acts; for a relationship the member it belongs to.
    pub fn by(&self) -> &MemberId {
        match self {
            Command::SendMessage(command) => &command.from,
            Command::AcceptRequest(command) => &command.by,
            Command::DeleteRequest(command) => &command.by,
            Command::RestoreRequest(command) => &command.by,
            Command::MoveToRequests(command) => &command.by,
            Command::UnsendMessage(command) => &command.by,
            Command::MarkRead(command) => &command.by,
            Command::MuteConversation(command) => &command.by,
            Command::UnmuteConversation(command) => &command.by,
            Command::BlockMember(command) => &command.by,
            Command::UnblockMember(command) => &command.by,
            Command::RecordRelationship(command) => &command.member,
            Command::ReportMessage(command) => &command.by,
            Command::RemoveMessages(command) => &command.by,
            Command::RestoreMessages(command) => &command.by,
        }
    }
}

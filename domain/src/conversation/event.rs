//! What happens in a conversation: the payloads of its events, each a stored contract.
//!
//! `from` is always the sender of a direction and `to` or `by` its recipient, as the event's doc says. Numbers name
//! messages of this conversation. Times other than the event's own `at` are milliseconds since the Unix epoch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::case::{Category, REMOVED_MESSAGES_MAX};
use crate::evidence::Evidence;
use crate::ids::{DecisionId, MemberId, ReportId};
use crate::policy::{REPORT_MESSAGES_MAX, Relationship};
use crate::text::Text;
use crate::time::Timestamp;

/// What happens in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message reached its recipient: their inbox, or their doorstep.
    MessageSent(MessageSent<'a>),
    /// A message was taken, and is shown to nobody but its sender.
    MessageWithheld(MessageWithheld<'a>),
    /// A request waits from here on.
    RequestOpened(RequestOpened),
    /// The recipient, or what is between the two, accepted the sender.
    RequestAccepted(RequestAccepted),
    /// The recipient deleted the request.
    RequestDeleted(RequestDeleted),
    /// The recipient took a deletion back.
    RequestRestored(RequestRestored),
    /// The sender unsent the last message of the request.
    RequestWithdrawn(RequestWithdrawn),
    /// The recipient moved an accepted thread back to the doorstep.
    MovedToRequests(MovedToRequests),
    /// The sender took a message back.
    MessageUnsent(MessageUnsent),
    /// Moderators removed messages.
    MessagesRemoved(MessagesRemoved),
    /// Messages that moderators removed are shown again.
    MessagesRestored(MessagesRestored),
    /// A member has read up to a message.
    ReadMarked(ReadMarked),
    /// A member wants no notices of this conversation.
    ConversationMuted(ConversationMuted),
    /// A member wants them again.
    ConversationUnmuted(ConversationUnmuted),
    /// One blocks the other.
    MemberBlocked(MemberBlocked),
    /// One no longer blocks the other.
    MemberUnblocked(MemberUnblocked),
    /// The host knows a relationship otherwise.
    RelationshipRecorded(RelationshipRecorded),
    /// One reported messages of the other.
    MessagesReported(MessagesReported<'a>),
}

/// Where a sent message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The recipient's inbox.
    Inbox,
    /// The recipient's request folder.
    Request,
}

/// `message-sent.v1`: a message reached its recipient: their inbox, or their doorstep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageSent<'a> {
    /// The message's number, dense from 1 in its conversation.
    #[schemars(range(min = 1))]
    pub number: u64,
    /// Who wrote.
    pub from: MemberId,
    /// To whom.
    pub to: MemberId,
    /// Where it went.
    pub route: Route,
    /// What was written, as it was sent.
    #[serde(borrow)]
    pub text: Text<'a>,
    /// What it was decided on.
    pub evidence: Evidence,
}

/// `message-withheld.v1`: a message was taken, and is shown to nobody but its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageWithheld<'a> {
    /// The message's number: it takes the next one like any other.
    #[schemars(range(min = 1))]
    pub number: u64,
    /// Who wrote.
    pub from: MemberId,
    /// To whom, who never sees it.
    pub to: MemberId,
    /// What was written, as it was sent.
    #[serde(borrow)]
    pub text: Text<'a>,
    /// What it was decided on.
    pub evidence: Evidence,
}

/// `request-opened.v1`: a request waits from here on. Followed in the same append by the `message-sent` that opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestOpened {
    /// Who knocks.
    pub from: MemberId,
    /// At whose door.
    pub to: MemberId,
    /// Number of the message that opens it. A reopened request shows only what came since.
    #[schemars(range(min = 1))]
    pub number: u64,
    /// After a deletion or a withdrawal.
    pub reopened: bool,
    /// What is known between the two.
    pub relationship: Relationship,
}

/// What made a direction accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AcceptMethod {
    /// The recipient said so.
    Accept,
    /// The recipient wrote back.
    Reply,
    /// Both knocked at once.
    Crossing,
    /// The audience table came to say inbox.
    Relationship,
}

/// `request-accepted.v1`: the recipient, or what is between the two, accepted the sender. Everything that was sent and not
/// withheld is visible again, a deleted part too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestAccepted {
    /// The recipient, whose consent it is.
    pub by: MemberId,
    /// The sender who is accepted.
    pub from: MemberId,
    /// How.
    pub method: AcceptMethod,
    /// What it was decided on, when the recipient accepted by command; otherwise it stands in the message that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// How a request is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeleteMode {
    /// The sender may knock again after a while.
    Quiet,
    /// The sender may not knock again until the recipient acts.
    Final,
}

/// `request-deleted.v1`: the recipient deleted the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestDeleted {
    /// The recipient.
    pub by: MemberId,
    /// The sender whose request it is.
    pub from: MemberId,
    /// How.
    pub mode: DeleteMode,
    /// Messages of this direction above this number can be restored; 0 is all.
    pub after: u64,
    /// Messages of this direction up to this number are deleted.
    pub up_to: u64,
    /// What the sender writes before this is withheld; until the recipient acts when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_until: Option<Timestamp>,
    /// The last moment at which it can be restored.
    pub restorable_until: Timestamp,
    /// Version of the rules that gave the spans.
    pub policy_version: u64,
}

/// `request-restored.v1`: the recipient took a deletion back. Pending again, with the part that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestRestored {
    /// The recipient.
    pub by: MemberId,
    /// The sender whose request it is.
    pub from: MemberId,
    /// Messages of this direction above this number are visible again; 0 is all.
    pub after: u64,
    /// Into a newer pending request.
    pub merged: bool,
    /// What it was decided on.
    pub evidence: Evidence,
}

/// `request-withdrawn.v1`: the sender unsent the last message of the request. Follows the `message-unsent` of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestWithdrawn {
    /// The sender.
    pub from: MemberId,
    /// The recipient.
    pub to: MemberId,
}

/// `moved-to-requests.v1`: the recipient moved an accepted thread back to the doorstep. Pending, with an empty count; the
/// thread shows whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MovedToRequests {
    /// The recipient.
    pub by: MemberId,
    /// The sender whose direction it is.
    pub from: MemberId,
    /// Number of the conversation's last message then: `messages` counts those above it.
    pub after: u64,
    /// What is known between the two.
    pub relationship: Relationship,
}

/// `message-unsent.v1`: the sender took a message back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageUnsent {
    /// Which message.
    #[schemars(range(min = 1))]
    pub number: u64,
    /// Its sender.
    pub by: MemberId,
    /// The other member.
    pub to: MemberId,
    /// It was withheld: for the other member nothing happens.
    pub withheld: bool,
}

/// `messages-removed.v1`: a decision on a case removed messages. They keep their numbers and places; what they said is
/// shown to neither member any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessagesRemoved {
    /// The decision.
    pub decision: DecisionId,
    /// Version of the event that decided, in the case's stream.
    pub case_version: u64,
    /// Which moderator decided.
    pub by: MemberId,
    /// Who wrote them.
    pub from: MemberId,
    /// The other member.
    pub to: MemberId,
    /// Which, ascending.
    #[schemars(length(min = 1, max = REMOVED_MESSAGES_MAX))]
    pub numbers: Vec<u64>,
}

/// `messages-restored.v1`: a decision on a case was reversed, and what it removed is shown again, as far as it would be
/// had nobody removed it: what was unsent meanwhile stays unsent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessagesRestored {
    /// The decision.
    pub decision: DecisionId,
    /// Version of the event that reversed it, in the case's stream.
    pub case_version: u64,
    /// Which moderator reversed it.
    pub by: MemberId,
    /// Who wrote them.
    pub from: MemberId,
    /// The other member.
    pub to: MemberId,
    /// Which, ascending.
    #[schemars(length(min = 1, max = REMOVED_MESSAGES_MAX))]
    pub numbers: Vec<u64>,
}

/// `read-marked.v1`: a member has read up to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadMarked {
    /// Who read.
    pub by: MemberId,
    /// The other member, who learns nothing of it while a request is open.
    pub other: MemberId,
    /// Up to which number.
    pub up_to: u64,
}

/// `conversation-muted.v1`: a member wants no notices of this conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationMuted {
    /// Who mutes.
    pub by: MemberId,
    /// The other member.
    pub other: MemberId,
}

/// `conversation-unmuted.v1`: a member wants notices of this conversation again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationUnmuted {
    /// Who unmutes.
    pub by: MemberId,
    /// The other member.
    pub other: MemberId,
}

/// `member-blocked.v1`: one blocks the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberBlocked {
    /// Who blocks.
    pub by: MemberId,
    /// Whom.
    pub other: MemberId,
}

/// `member-unblocked.v1`: one no longer blocks the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberUnblocked {
    /// Who unblocks.
    pub by: MemberId,
    /// Whom.
    pub other: MemberId,
}

/// A relationship that begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelationshipKind {
    /// `member` follows `other`.
    Follow,
    /// `member` no longer follows `other`.
    Unfollow,
    /// `other` is suggested to `member`.
    Suggest,
    /// `other` is no longer suggested to `member`.
    Unsuggest,
}

/// `relationship-recorded.v1`: the host knows a relationship otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RelationshipRecorded {
    /// What begins or ends.
    pub kind: RelationshipKind,
    /// Who follows, or to whom is suggested.
    pub member: MemberId,
    /// Who is followed, or suggested.
    pub other: MemberId,
}

/// What a reporter wants done in the same append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Also {
    /// Nothing.
    #[default]
    None,
    /// Delete the request, quietly.
    Delete,
    /// Block the member.
    Block,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlsoOutcome {
    /// Done in this append.
    Done,
    /// It was so before.
    Already,
    /// It does not apply here.
    Skipped,
}

/// `messages-reported.v1`: one reported messages of the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessagesReported<'a> {
    /// The report.
    pub report_id: ReportId,
    /// Who reports.
    pub reporter: MemberId,
    /// Whose messages.
    pub reported: MemberId,
    /// What for.
    pub category: Category,
    /// What the reporter adds; may be empty.
    #[serde(borrow)]
    pub comment: Text<'a>,
    /// The messages this member had not reported before, as they were sent, by number.
    #[serde(borrow)]
    #[schemars(length(min = 1, max = REPORT_MESSAGES_MAX))]
    pub messages: Vec<ReportedMessage<'a>>,
    /// Made beyond the reporter's daily limit.
    pub over_limit: bool,
    /// What else was asked for.
    pub also: Also,
    /// What became of that; absent when nothing else was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also_outcome: Option<AlsoOutcome>,
    /// Version of the rules in force.
    pub policy_version: u64,
}

/// A message in a report: a copy, which nothing that the sender does afterwards changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedMessage<'a> {
    /// Which message.
    #[schemars(range(min = 1))]
    pub number: u64,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// What was written.
    #[serde(borrow)]
    pub text: Text<'a>,
}

impl Event<'_> {
    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::MessageSent(MessageSent {
                number,
                from,
                to,
                route,
                text,
                evidence,
            }) => Event::MessageSent(MessageSent {
                number,
                from,
                to,
                route,
                text: text.into_owned(),
                evidence,
            }),
            Event::MessageWithheld(MessageWithheld {
                number,
                from,
                to,
                text,
                evidence,
            }) => Event::MessageWithheld(MessageWithheld {
                number,
                from,
                to,
                text: text.into_owned(),
                evidence,
            }),
            Event::MessagesReported(reported) => Event::MessagesReported(reported.into_owned()),
            Event::RequestOpened(event) => Event::RequestOpened(event),
            Event::RequestAccepted(event) => Event::RequestAccepted(event),
            Event::RequestDeleted(event) => Event::RequestDeleted(event),
            Event::RequestRestored(event) => Event::RequestRestored(event),
            Event::RequestWithdrawn(event) => Event::RequestWithdrawn(event),
            Event::MovedToRequests(event) => Event::MovedToRequests(event),
            Event::MessageUnsent(event) => Event::MessageUnsent(event),
            Event::MessagesRemoved(event) => Event::MessagesRemoved(event),
            Event::MessagesRestored(event) => Event::MessagesRestored(event),
            Event::ReadMarked(event) => Event::ReadMarked(event),
            Event::ConversationMuted(event) => Event::ConversationMuted(event),
            Event::ConversationUnmuted(event) => Event::ConversationUnmuted(event),
            Event::MemberBlocked(event) => Event::MemberBlocked(event),
            Event::MemberUnblocked(event) => Event::MemberUnblocked(event),
            Event::RelationshipRecorded(event) => Event::RelationshipRecorded(event),
        }
    }

    /// The two members, the acting one first (for a relationship: the one it belongs to).
    pub fn members(&self) -> [&MemberId; 2] {
        match self {
            Event::MessageSent(event) => [&event.from, &event.to],
            Event::MessageWithheld(event) => [&event.from, &event.to],
            Event::RequestOpened(event) => [&event.from, &event.to],
            Event::RequestAccepted(event) => [&event.by, &event.from],
            Event::RequestDeleted(event) => [&event.by, &event.from],
            Event::RequestRestored(event) => [&event.by, &event.from],
            Event::RequestWithdrawn(event) => [&event.from, &event.to],
            Event::MovedToRequests(event) => [&event.by, &event.from],
            Event::MessageUnsent(event) => [&event.by, &event.to],
            Event::MessagesRemoved(event) => [&event.from, &event.to],
            Event::MessagesRestored(event) => [&event.from, &event.to],
            Event::ReadMarked(event) => [&event.by, &event.other],
            Event::ConversationMuted(event) => [&event.by, &event.other],
            Event::ConversationUnmuted(event) => [&event.by, &event.other],
            Event::MemberBlocked(event) => [&event.by, &event.other],
            Event::MemberUnblocked(event) => [&event.by, &event.other],
            Event::RelationshipRecorded(event) => [&event.member, &event.other],
            Event::MessagesReported(event) => [&event.reporter, &event.reported],
        }
    }
}

impl MessagesReported<'_> {
    fn into_owned(self) -> MessagesReported<'static> {
        let MessagesReported {
            report_id,
            reporter,
            reported,
            category,
            comment,
            messages,
            over_limit,
            also,
            also_outcome,
            policy_version,
        } = self;
        let owned = |message: ReportedMessage<'_>| ReportedMessage {
            number: message.number,
            sent_at: message.sent_at,
            text: message.text.into_owned(),
        };
        MessagesReported {
            report_id,
            reporter,
            reported,
            category,
            comment: comment.into_owned(),
            messages: messages.into_iter().map(owned).collect(),
            over_limit,
            also,
            also_outcome,
            policy_version,
        }
    }
}

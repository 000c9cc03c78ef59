//! What callers hand in: a command with who acts, its id and its time.
//!
//! A command here is parsed and well-formed; whether it may happen is the domain's to decide, and who may call it at
//! all is the API's. Its *content* (name and fields, the conversation resolved) is hashed into the causation id of its
//! events, so that an id used again with other content shows. Adding a command is a variant, its name, its content in
//! `content.rs` and its route to a stream in `routing.rs`.

use std::sync::Arc;

use domain::act::{Looked, SeenCase};
use domain::case::{AppealOutcome, Category, Ruling, ShownMessages};
use domain::conversation::{Also, DeleteMode, GivenRelationship, RelationshipKind};
use domain::ids::{
    ActId, CaseId, CommandId, ConversationId, DecisionId, MemberId, ReasonCode, ViewId,
    causation_id, correlation_id,
};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::Timestamp;
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
    /// The moderators' file, where one is looked at.
    pub case: Option<CaseId>,
    /// Which messages that file shows.
    pub shown: Option<ShownMessages>,
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
        /// The facts relied on.
        facts: String,
    },
    /// A moderator sets how many of a member's reports a day count.
    LimitReports {
        /// Whose.
        member: MemberId,
        /// How many within 24 hours.
        per_day: u32,
        /// Until when.
        until: Timestamp,
        /// Why, as a code.
        reason: ReasonCode,
    },
    /// A moderator lets all of them count again.
    LiftReportLimit {
        /// Whose.
        member: MemberId,
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
    /// A moderator takes a case, or takes it for longer.
    ClaimCase {
        /// Which.
        case: CaseId,
    },
    /// Its holder lets it go.
    ReleaseCase {
        /// Which.
        case: CaseId,
    },
    /// A moderator writes something down about a case.
    NoteOnCase {
        /// Which.
        case: CaseId,
        /// What.
        text: String,
    },
    /// Its holder leaves a case to another moderator.
    EscalateCase {
        /// Which.
        case: CaseId,
        /// What the next one should know; may be empty.
        text: String,
    },
    /// Its holder decides a case.
    DecideCase {
        /// Which.
        case: CaseId,
        /// What is decided.
        ruling: Ruling,
    },
    /// A moderator opens a decided case again.
    ReopenCase {
        /// Which.
        case: CaseId,
        /// Why, as a code.
        reason: ReasonCode,
        /// What the next one should know; may be empty.
        text: String,
    },
    /// A moderator decides many cases of one member as one act.
    DecideCases {
        /// Whose.
        member: MemberId,
        /// Which, and as what they were seen.
        cases: Vec<SeenCase>,
        /// What is decided.
        ruling: Ruling,
    },
    /// A moderator takes back what an act on many cases changed.
    ReverseCases {
        /// Which act.
        act: ActId,
        /// Why, as a code.
        reason: ReasonCode,
        /// What the member is told.
        text: String,
    },
    /// The actor appeals a decision on them.
    AppealDecision {
        /// On which case.
        case: CaseId,
        /// Which.
        decision: DecisionId,
        /// What they say.
        text: String,
    },
    /// A moderator decides an appeal.
    DecideAppeal {
        /// On which case.
        case: CaseId,
        /// Of which decision; the one whose appeal has waited longest when absent.
        decision: Option<DecisionId>,
        /// Whether the decision stays.
        outcome: AppealOutcome,
        /// What the member is told.
        text: String,
    },
    /// A moderator takes back what a decision changed.
    ReverseDecision {
        /// On which case.
        case: CaseId,
        /// Which.
        decision: DecisionId,
        /// Why, as a code.
        reason: ReasonCode,
        /// What the member is told.
        text: String,
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
    /// Whether a reactor has something to do once it is done.
    pub(crate) fn moves_reactors(&self) -> bool {
        matches!(
            self,
            Command::ReportMessage { .. }
                | Command::SuspendMember { .. }
                | Command::DecideCase { .. }
                | Command::DecideCases { .. }
                | Command::ReverseCases { .. }
                | Command::DecideAppeal { .. }
                | Command::ReverseDecision { .. }
        )
    }

    /// The command's name, for metrics and spans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RegisterMember { .. } => "RegisterMember",
            Self::RecordRelationship { .. } => "RecordRelationship",
            Self::SuspendMember { .. } => "SuspendMember",
            Self::ReinstateMember { .. } => "ReinstateMember",
            Self::ChangePolicy { .. } => "ChangePolicy",
            Self::DiscloseCase { .. } => "DiscloseCase",
            Self::ClaimCase { .. } => "ClaimCase",
            Self::ReleaseCase { .. } => "ReleaseCase",
            Self::NoteOnCase { .. } => "NoteOnCase",
            Self::EscalateCase { .. } => "EscalateCase",
            Self::DecideCase { .. } => "DecideCase",
            Self::LimitReports { .. } => "LimitReports",
            Self::LiftReportLimit { .. } => "LiftReportLimit",
            Self::ReopenCase { .. } => "ReopenCase",
            Self::DecideCases { .. } => "DecideCases",
            Self::ReverseCases { .. } => "ReverseCases",
            Self::AppealDecision { .. } => "AppealDecision",
            Self::DecideAppeal { .. } => "DecideAppeal",
            Self::ReverseDecision { .. } => "ReverseDecision",
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
}

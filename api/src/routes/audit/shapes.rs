//! The shapes of what only auditors ask: statements, changes, decisions, what is known between two.

use projections::{Decision, Diff, Outcome, PairFacts, RowChange, Shown, SideFacts, Statement};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::caller::ShownPosition;
use crate::routes::blocks::Block;
use crate::routes::dm_setting::DmSetting;
use crate::routes::inbox::InboxEntry;
use crate::routes::messages::ShownMessage;
use crate::routes::requests::Request;
use crate::routes::unread::Unread;
use crate::time;
use crate::words::{AgeBand, Audience};

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Happened {
    position: ShownPosition,
    /// The stored type of its event.
    r#type: String,
    #[schema(format = DateTime)]
    at: String,
    /// Who did it: a member, a moderator, the host, or the service itself.
    by: String,
    /// The member it was done to, if that is another.
    whom: Option<String>,
    #[schema(format = Uuid)]
    conversation_id: Option<String>,
    /// The number of the message it is about, if it is about one.
    number: Option<u64>,
    /// The same in words.
    statement: String,
}

impl From<Statement> for Happened {
    fn from(statement: Statement) -> Self {
        Happened {
            position: ShownPosition::Number(statement.position.0),
            r#type: statement.event_type,
            at: time::format(statement.at.as_millis()),
            by: statement.by,
            whom: statement.whom.map(|whom| whom.to_string()),
            conversation_id: statement.conversation_id.map(|id| id.to_string()),
            number: statement.number,
            statement: statement.words,
        }
    }
}

/// What is known between the two of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pair {
    #[schema(format = Uuid)]
    conversation_id: String,
    /// How many messages were written, withheld and unsent ones too.
    messages: u64,
    /// Both of them follow the other.
    friends: bool,
    /// Each of the two, the lower id first.
    sides: Vec<PairSide>,
}

/// What one of the two is and did towards the other.
#[derive(Debug, Serialize, ToSchema)]
struct PairSide {
    member: String,
    follows: bool,
    /// The other is suggested to them.
    suggested: bool,
    blocks: bool,
    /// What became of the other's request to them: `none`, `pending`, `accepted`, `deleted` or `withdrawn`.
    request: &'static str,
}

impl From<SideFacts> for PairSide {
    fn from(side: SideFacts) -> Self {
        use domain::conversation::RequestState;
        PairSide {
            member: side.member.to_string(),
            follows: side.follows,
            suggested: side.suggested,
            blocks: side.blocks,
            request: match side.request {
                RequestState::None => "none",
                RequestState::Pending => "pending",
                RequestState::Accepted => "accepted",
                RequestState::Deleted => "deleted",
                RequestState::Withdrawn => "withdrawn",
            },
        }
    }
}

impl From<PairFacts> for Pair {
    fn from(facts: PairFacts) -> Self {
        Pair {
            conversation_id: facts.conversation_id.to_string(),
            messages: facts.messages,
            friends: facts.sides.iter().all(|side| side.follows),
            sides: facts.sides.into_iter().map(PairSide::from).collect(),
        }
    }
}

/// Why what was asked for went as it did, as recorded with the decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explained {
    #[schema(format = Uuid)]
    conversation_id: String,
    /// Of a message one; of a command id one per member who gave it.
    decisions: Vec<Decided>,
}

impl Explained {
    /// The decisions of a conversation.
    pub(crate) fn of(id: domain::ids::ConversationId, decisions: Vec<Decision>) -> Self {
        Explained {
            conversation_id: id.to_string(),
            decisions: decisions.into_iter().map(Decided::from).collect(),
        }
    }
}

/// A decision with what it was made on.
#[derive(Debug, Serialize, ToSchema)]
struct Decided {
    /// The command, `SendMessage` for one; null where the event alone does not say.
    command: Option<String>,
    command_id: String,
    /// Who acted.
    by: String,
    /// The other member.
    towards: String,
    /// `inbox`, `requests`, `withheld`, `refused`; `done` or `unchanged` for what sends nothing.
    outcome: &'static str,
    /// The number of the message, if it sent one.
    number: Option<u64>,
    /// The code of a refusal.
    code: Option<&'static str>,
    /// The rule of `SendMessage` that matched, 1 to 12.
    rule: Option<u8>,
    /// What exactly matched, where the rule has several reasons.
    #[schema(value_type = Option<String>)]
    cause: Value,
    /// Version of the rules in force.
    policy_version: Option<u64>,
    /// Version of the recipient's DM setting.
    setting_version: Option<u64>,
    /// The recipient's audience, where it was held against the relationship.
    audience: Option<Audience>,
    /// `recipient_follows`, `suggested`, `friend` or `anyone`: the column of the audience table that decided.
    #[schema(value_type = Option<String>)]
    relationship_class: Value,
    /// The sender's member stream was read up to this version.
    sender_version: Option<u64>,
    /// The recipient's member stream was read up to this version.
    recipient_version: Option<u64>,
    /// How many were used of what is limited.
    used: Option<u32>,
    /// The limit that `used` was held against.
    limit: Option<u32>,
    /// How a request was accepted in the same append: `accept`, `reply`, `crossing` or `relationship`.
    #[schema(value_type = Option<String>)]
    accepted: Value,
    /// A request was opened in the same append.
    opened_request: bool,
    #[schema(format = DateTime)]
    at: String,
    position: ShownPosition,
    /// The version of the event in the conversation's stream.
    version: u64,
    /// The same in words.
    words: String,
}

/// A word as it is stored; null where there is none.
fn word<T: Serialize>(word: Option<T>) -> Value {
    serde_json::to_value(word).unwrap_or_default()
}

impl From<Decision> for Decided {
    fn from(decision: Decision) -> Self {
        let evidence = decision.evidence;
        Decided {
            command: decision.command.map(|command| format!("{command:?}")),
            command_id: decision.command_id,
            by: decision.by.to_string(),
            towards: decision.towards.to_string(),
            outcome: match decision.outcome {
                Outcome::Inbox => "inbox",
                Outcome::Request => "requests",
                Outcome::Withheld => "withheld",
                Outcome::Refused => "refused",
                Outcome::Done => "done",
                Outcome::Unchanged => "unchanged",
            },
            number: decision.number,
            code: decision.code.map(domain::rejection::Code::as_str),
            rule: evidence.and_then(|evidence| evidence.rule),
            cause: word(
                evidence
                    .and_then(|evidence| evidence.cause)
                    .or(decision.cause),
            ),
            policy_version: evidence.map(|evidence| evidence.policy_version),
            setting_version: evidence.and_then(|evidence| evidence.setting_version),
            audience: evidence
                .and_then(|evidence| evidence.audience)
                .map(Audience::from),
            relationship_class: word(evidence.and_then(|evidence| evidence.class)),
            sender_version: evidence.and_then(|evidence| evidence.sender_version),
            recipient_version: evidence.and_then(|evidence| evidence.recipient_version),
            used: evidence.and_then(|evidence| evidence.used),
            limit: evidence.and_then(|evidence| evidence.limit),
            accepted: word(decision.accepted),
            opened_request: decision.opened,
            at: time::format(decision.at.as_millis()),
            position: ShownPosition::Number(decision.position.0),
            version: decision.version,
            words: decision.words,
        }
    }
}

/// What changed from one moment to another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// The position of the first moment.
    from: ShownPosition,
    /// The position of the second.
    to: ShownPosition,
    /// What changed, by views.
    items: Vec<ChangedRow>,
}

/// A row that is other than it was.
#[derive(Debug, Serialize, ToSchema)]
struct ChangedRow {
    /// `inbox`, `requests`, `blocks`, `unread`, `member`, `messages` or `relationship`.
    view: &'static str,
    /// `added`, `removed` or `changed`.
    change: &'static str,
    /// Whose row it is; null where it is of both.
    member: Option<String>,
    #[schema(format = Uuid)]
    conversation_id: Option<String>,
    /// The item as the view showed it, null where it was not there.
    before: Value,
    /// The item as the view shows it, null where it is gone.
    after: Value,
    /// The events it came by, oldest first, at most 50.
    events: Vec<Happened>,
    /// How many more there were.
    more_events: usize,
}

/// A member's registration, setting and standing.
#[derive(Debug, Serialize, ToSchema)]
struct Standing {
    #[schema(format = DateTime)]
    registered_at: String,
    age_band: AgeBand,
    dm_setting: DmSetting,
    suspended: bool,
    #[schema(format = DateTime)]
    suspended_until: Option<String>,
}

impl From<projections::Member> for Standing {
    fn from(member: projections::Member) -> Self {
        let setting = &member.dm_setting;
        let until = member.suspension.and_then(|suspension| suspension.until);
        Standing {
            registered_at: time::format(member.registered_at.as_millis()),
            age_band: member.age_band.into(),
            dm_setting: DmSetting::shown(setting, ShownPosition::Number(setting.position.0)),
            suspended: member.suspension.is_some(),
            suspended_until: until.map(|until| time::format(until.as_millis())),
        }
    }
}

/// A row in the shape in which its view answers it.
fn shown(row: Option<Shown>) -> Value {
    let value = match row {
        None => return Value::Null,
        Some(Shown::Inbox(item)) => serde_json::to_value(InboxEntry::from(item)),
        Some(Shown::Request(item)) => serde_json::to_value(Request::from(item)),
        Some(Shown::Block(item)) => serde_json::to_value(Block::from(item)),
        Some(Shown::Unread(unread)) => serde_json::to_value(Unread::from(unread)),
        Some(Shown::Member(member)) => serde_json::to_value(Standing::from(member)),
        Some(Shown::Message(item)) => serde_json::to_value(ShownMessage::from(item)),
        Some(Shown::Relationship(facts)) => serde_json::to_value(Pair::from(facts)),
    };
    value.unwrap_or_default()
}

impl From<RowChange> for ChangedRow {
    fn from(change: RowChange) -> Self {
        ChangedRow {
            view: change.view,
            change: match (&change.before, &change.after) {
                (None, _) => "added",
                (Some(_), None) => "removed",
                (Some(_), Some(_)) => "changed",
            },
            member: change.member.map(|member| member.to_string()),
            conversation_id: change.conversation_id.map(|id| id.to_string()),
            before: shown(change.before),
            after: shown(change.after),
            events: change.events.into_iter().map(Happened::from).collect(),
            more_events: change.more_events,
        }
    }
}

impl From<Diff> for Changes {
    fn from(diff: Diff) -> Self {
        Changes {
            from: ShownPosition::Number(diff.from.position.0),
            to: ShownPosition::Number(diff.to.position.0),
            items: diff.changes.into_iter().map(ChangedRow::from).collect(),
        }
    }
}

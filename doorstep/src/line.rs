//! One command as a line of JSON: what `import` reads and `workload` prints.
//!
//! A line is read whole or not at all: unknown fields, fields told twice, missing ones and wrong types make it invalid.
//! Here is only its form, and how it becomes a command of the write side, which decides what it means to the rules.

mod fields;
mod moderation;
mod words;

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use commands::{Command, Envelope, Target};
use domain::case::{Action, AppealOutcome, Category, Ruling};
use domain::conversation::{Also, DeleteMode, GivenRelationship, RelationshipKind};
use domain::ids::{CaseId, CommandId, DecisionId, MemberId, ReasonCode};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use self::fields::Fields;

/// What is said of a time that is none.
const NO_TIME: &str = "not an RFC 3339 time";
/// What some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One line: whose command it is, when, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The command id, unique to the acting member.
    pub id: CommandId,
    /// When it happened.
    pub at: At,
    /// What is asked.
    #[serde(flatten)]
    pub command: LineCommand,
}

impl Line {
    /// Reads one line; fails with the reason when it is no JSON object of exactly the fields its command has.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let Fields(mut fields) =
            serde_json::from_slice(text).map_err(|error| words::of_text(&error))?;
        let head = Head {
            id: take(&mut fields, "id")?,
            at: take(&mut fields, "at")?,
        };
        if head.id.as_str().len() > domain::ids::COMMAND_ID_BYTES_MAX {
            return Err(serde_json::Error::custom("the id is too long"));
        }
        let command = if fields
            .get("command")
            .is_some_and(|name| name == "ChangePolicy")
        {
            fields.remove("command");
            let member = take(&mut fields, "member")?;
            LineCommand::ChangePolicy {
                member,
                rules: rules(fields)?,
            }
        } else {
            LineCommand::deserialize(&Value::Object(fields.clone()))
                .map_err(|error| words::of_command(&fields, &error))?
        };
        Ok(Self {
            id: head.id,
            at: head.at,
            command,
        })
    }

    /// The command of the write side that this line asks for.
    pub fn envelope(&self) -> Envelope {
        let (actor, command) = self.command.command();
        Envelope {
            actor,
            command_id: self.id.clone(),
            id_given: true,
            at: Some(self.at.0),
            command,
        }
    }
}

/// What every line begins with.
struct Head {
    id: CommandId,
    at: At,
}

/// A time: any RFC 3339 is read; UTC with milliseconds is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::from_timestamp_millis(self.0.as_millis()).unwrap_or_default();
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .map(|time| Self(Timestamp(time.timestamp_millis())))
            .map_err(|_| D::Error::custom(NO_TIME))
    }
}

/// What the host knows of the relationship when a message is sent; what is absent is as it was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relationship {
    /// The recipient follows the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_follows: Option<bool>,
    /// The sender follows the recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_follows: Option<bool>,
    /// The sender is suggested to the recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<bool>,
}

impl Relationship {
    fn given(self) -> GivenRelationship {
        GivenRelationship {
            recipient_follows: self.recipient_follows,
            sender_follows: self.sender_follows,
            suggested: self.suggested,
        }
    }
}

/// The commands, by the names of the domain; `member` acts. The fields are those of the commands' routes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the interface's own words, which the routes explain"
)]
pub enum LineCommand {
    RegisterMember {
        member: MemberId,
        age_band: AgeBand,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        registered_at: Option<At>,
    },
    ChangeDmSetting {
        member: MemberId,
        audience: Audience,
    },
    RecordRelationship {
        member: MemberId,
        kind: RelationshipKind,
        other: MemberId,
    },
    SendMessage {
        member: MemberId,
        to: MemberId,
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relationship: Option<Relationship>,
    },
    AcceptRequest {
        member: MemberId,
        with: MemberId,
    },
    DeleteRequest {
        member: MemberId,
        with: MemberId,
        #[serde(default = "quiet")]
        mode: DeleteMode,
    },
    RestoreRequest {
        member: MemberId,
        with: MemberId,
    },
    UnsendMessage {
        member: MemberId,
        with: MemberId,
        number: u64,
    },
    MarkRead {
        member: MemberId,
        with: MemberId,
        up_to: u64,
    },
    MuteConversation {
        member: MemberId,
        with: MemberId,
    },
    UnmuteConversation {
        member: MemberId,
        with: MemberId,
    },
    MoveToRequests {
        member: MemberId,
        with: MemberId,
    },
    BlockMember {
        member: MemberId,
        other: MemberId,
    },
    UnblockMember {
        member: MemberId,
        other: MemberId,
    },
    ReportMessage {
        member: MemberId,
        with: MemberId,
        messages: Vec<u64>,
        category: Category,
        #[serde(default)]
        comment: String,
        #[serde(default)]
        also: Also,
    },
    SuspendMember {
        member: MemberId,
        other: MemberId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<At>,
        reason: ReasonCode,
        text: String,
        facts: String,
    },
    ReinstateMember {
        member: MemberId,
        other: MemberId,
    },
    ClaimCase {
        member: MemberId,
        case: CaseId,
    },
    ReleaseCase {
        member: MemberId,
        case: CaseId,
    },
    NoteOnCase {
        member: MemberId,
        case: CaseId,
        text: String,
    },
    EscalateCase {
        member: MemberId,
        case: CaseId,
        #[serde(default)]
        text: String,
    },
    DecideCase {
        member: MemberId,
        case: CaseId,
        action: Action,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<At>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        messages: Vec<u64>,
        reason: ReasonCode,
        #[serde(default)]
        text: String,
        #[serde(default)]
        facts: String,
    },
    AppealDecision {
        member: MemberId,
        case: CaseId,
        decision: DecisionId,
        text: String,
    },
    DecideAppeal {
        member: MemberId,
        case: CaseId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<DecisionId>,
        outcome: AppealOutcome,
        text: String,
    },
    ReverseDecision {
        member: MemberId,
        case: CaseId,
        decision: DecisionId,
        reason: ReasonCode,
        #[serde(default)]
        text: String,
    },
    DecideCases(moderation::DecideCases),
    ReverseCases(moderation::ReverseCases),
    ReopenCase(moderation::ReopenCase),
    LimitReports(moderation::LimitReports),
    LiftReportLimit(moderation::LiftReportLimit),
    #[serde(skip_deserializing)]
    ChangePolicy {
        member: MemberId,
        #[serde(flatten)]
        rules: Arc<Rules>,
    },
}

impl LineCommand {
    /// Who acts, and the command.
    fn command(&self) -> (MemberId, Command) {
        let with = |other: &MemberId| Target::With(other.clone());
        match self.clone() {
            Self::RegisterMember {
                member,
                age_band,
                registered_at,
            } => {
                let registered_at = registered_at.map(|at| at.0);
                (
                    member.clone(),
                    Command::RegisterMember {
                        member,
                        age_band,
                        registered_at,
                    },
                )
            }
            Self::ChangeDmSetting { member, audience } => {
                (member, Command::ChangeDmSetting { audience })
            }
            Self::RecordRelationship {
                member,
                kind,
                other,
            } => (
                member.clone(),
                Command::RecordRelationship {
                    member,
                    kind,
                    other,
                },
            ),
            Self::SendMessage {
                member,
                to,
                text,
                relationship,
            } => (
                member,
                Command::SendMessage {
                    to,
                    text,
                    relationship: relationship.unwrap_or_default().given(),
                },
            ),
            Self::AcceptRequest {
                member,
                with: other,
            } => (
                member,
                Command::AcceptRequest {
                    target: with(&other),
                },
            ),
            Self::DeleteRequest {
                member,
                with: other,
                mode,
            } => (
                member,
                Command::DeleteRequest {
                    target: with(&other),
                    mode,
                },
            ),
            Self::RestoreRequest {
                member,
                with: other,
            } => (
                member,
                Command::RestoreRequest {
                    target: with(&other),
                },
            ),
            Self::UnsendMessage {
                member,
                with: other,
                number,
            } => (
                member,
                Command::UnsendMessage {
                    target: with(&other),
                    number,
                },
            ),
            Self::MarkRead {
                member,
                with: other,
                up_to,
            } => (
                member,
                Command::MarkRead {
                    target: with(&other),
                    up_to,
                },
            ),
            Self::MuteConversation {
                member,
                with: other,
            } => (
                member,
                Command::MuteConversation {
                    target: with(&other),
                },
            ),
            Self::UnmuteConversation {
                member,
                with: other,
            } => (
                member,
                Command::UnmuteConversation {
                    target: with(&other),
                },
            ),
            Self::MoveToRequests {
                member,
                with: other,
            } => (
                member,
                Command::MoveToRequests {
                    target: with(&other),
                },
            ),
            Self::BlockMember { member, other } => (member, Command::BlockMember { other }),
            Self::UnblockMember { member, other } => (member, Command::UnblockMember { other }),
            Self::ReportMessage {
                member,
                with: other,
                messages,
                category,
                comment,
                also,
            } => (
                member,
                Command::ReportMessage {
                    target: with(&other),
                    messages,
                    category,
                    comment,
                    also,
                },
            ),
            Self::SuspendMember {
                member,
                other,
                until,
                reason,
                text,
                facts,
            } => {
                let until = until.map(|at| at.0);
                (
                    member,
                    Command::SuspendMember {
                        member: other,
                        until,
                        reason,
                        text,
                        facts,
                    },
                )
            }
            Self::ReinstateMember { member, other } => {
                (member, Command::ReinstateMember { member: other })
            }
            Self::ClaimCase { member, case } => (member, Command::ClaimCase { case }),
            Self::ReleaseCase { member, case } => (member, Command::ReleaseCase { case }),
            Self::NoteOnCase { member, case, text } => (member, Command::NoteOnCase { case, text }),
            Self::EscalateCase { member, case, text } => {
                (member, Command::EscalateCase { case, text })
            }
            Self::DecideCase {
                member,
                case,
                action,
                until,
                messages,
                reason,
                text,
                facts,
            } => {
                let ruling = Ruling {
                    action,
                    until: until.map(|at| at.0),
                    messages,
                    reason,
                    text,
                    facts,
                };
                (member, Command::DecideCase { case, ruling })
            }
            Self::AppealDecision {
                member,
                case,
                decision,
                text,
            } => {
                let command = Command::AppealDecision {
                    case,
                    decision,
                    text,
                };
                (member, command)
            }
            Self::DecideAppeal {
                member,
                case,
                decision,
                outcome,
                text,
            } => {
                let command = Command::DecideAppeal {
                    case,
                    decision,
                    outcome,
                    text,
                };
                (member, command)
            }
            Self::ReverseDecision {
                member,
                case,
                decision,
                reason,
                text,
            } => {
                let command = Command::ReverseDecision {
                    case,
                    decision,
                    reason,
                    text,
                };
                (member, command)
            }
            Self::DecideCases(line) => line.into(),
            Self::ReverseCases(line) => line.into(),
            Self::ReopenCase(line) => line.into(),
            Self::LimitReports(line) => line.into(),
            Self::LiftReportLimit(line) => line.into(),
            Self::ChangePolicy { member, rules } => (member, Command::ChangePolicy { rules }),
        }
    }
}

fn quiet() -> DeleteMode {
    DeleteMode::Quiet
}

/// Takes a field that must be there.
fn take<T: for<'de> Deserialize<'de>>(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<T, serde_json::Error> {
    let value = fields
        .remove(name)
        .ok_or_else(|| words::of_field("", &format!("missing field `{name}`")))?;
    T::deserialize(&value).map_err(|error| words::of_field(name, &error.to_string()))
}

/// Reads rules. They are put whole, as over HTTP: what is missing or unknown makes the line invalid.
fn rules(fields: Map<String, Value>) -> Result<Arc<Rules>, serde_json::Error> {
    let rules = Rules::deserialize(&Value::Object(fields.clone()))
        .map_err(|error| words::of_field("", &error.to_string()))?;
    let (given, whole) = (Value::Object(fields), serde_json::to_value(&rules)?);
    if let Some(name) = lacking(&whole, &given) {
        return Err(words::of_field("", &format!("unknown field `{name}`")));
    }
    if let Some(name) = lacking(&given, &whole) {
        return Err(words::of_field("", &format!("missing field `{name}`")));
    }
    Ok(Arc::new(rules))
}

/// The first name, at any depth, that `other` has and `one` lacks.
fn lacking(one: &Value, other: &Value) -> Option<String> {
    other
        .as_object()?
        .iter()
        .find_map(|(name, value)| match one.get(name) {
            Some(held) => lacking(held, value),
            None => Some(name.clone()),
        })
}

#[cfg(test)]
mod spec;

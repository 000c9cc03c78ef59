//! One command as a line of JSON: what `import` reads and `workload` prints.
//!
//! A line is read whole or not at all: unknown fields, missing ones and wrong types make it invalid. What a line means
//! to the rules is decided by the write side; here is only its form.

use serde::{Deserialize, Serialize};

/// One line: whose command it is, when, and what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The command id, unique to the acting member.
    pub id: String,
    /// When it happened, RFC 3339.
    pub at: String,
    /// What is asked.
    #[serde(flatten)]
    pub command: LineCommand,
}

/// The head of every line.
#[derive(Debug, Deserialize)]
struct Head {
    id: String,
    at: String,
}

impl Line {
    /// Reads one line.
    ///
    /// Fails with the reason in words when it is no JSON object of exactly the fields its command has.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        use serde::de::Error as _;
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
        let mut head = serde_json::Map::new();
        for name in ["id", "at"] {
            let value = fields
                .remove(name)
                .ok_or_else(|| serde_json::Error::custom(format!("missing field `{name}`")))?;
            head.insert(name.to_owned(), value);
        }
        let Head { id, at } = serde_json::from_value(serde_json::Value::Object(head))?;
        let command = serde_json::from_value(serde_json::Value::Object(fields))?;
        Ok(Self { id, at, command })
    }
}

/// The commands, by the names of the domain; `member` acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of the routes of the same commands"
)]
pub enum LineCommand {
    RegisterMember {
        member: String,
        age_band: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        registered_at: Option<String>,
    },
    ChangeDmSetting {
        member: String,
        audience: String,
    },
    RecordRelationship {
        member: String,
        kind: String,
        other: String,
    },
    SendMessage {
        member: String,
        to: String,
        text: String,
    },
    AcceptRequest {
        member: String,
        with: String,
    },
    DeleteRequest {
        member: String,
        with: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    },
    RestoreRequest {
        member: String,
        with: String,
    },
    UnsendMessage {
        member: String,
        with: String,
        number: u64,
    },
    MarkRead {
        member: String,
        with: String,
        up_to: u64,
    },
    MuteConversation {
        member: String,
        with: String,
    },
    UnmuteConversation {
        member: String,
        with: String,
    },
    MoveToRequests {
        member: String,
        with: String,
    },
    BlockMember {
        member: String,
        other: String,
    },
    UnblockMember {
        member: String,
        other: String,
    },
    ReportMessage {
        member: String,
        with: String,
        messages: Vec<u64>,
        category: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        also: Option<String>,
    },
    SuspendMember {
        member: String,
        other: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    ReinstateMember {
        member: String,
        other: String,
    },
    ChangePolicy {
        member: String,
        policy: serde_json::Value,
    },
}

//! Identifiers and how each is derived.
//!
//! Members are named by the host's own ids; everything else that needs a name without asking anyone (conversations,
//! cases, reports, events) is a UUIDv5 over a constant namespace and a NUL-separated list. No part of such a list can
//! hold a NUL, so two lists never give the same bytes. The namespaces are part of the stored contract: never change one.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{Uuid, uuid};

use crate::time::Timestamp;

/// Namespace of conversation ids: lower member id, NUL, higher member id, in byte order.
pub const CONVERSATION_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c01");
/// Namespace of case ids: conversation id as lower-case hyphenated text, NUL, reported member.
pub const CASE_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c02");
/// Namespace of report ids: reporter, NUL, command id.
pub const REPORT_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c03");
/// Namespace of event ids: see [`event_id`] and [`reactor_event_id`].
pub const EVENT_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c04");
/// Namespace of correlation and causation ids of commands: see [`correlation_id`] and [`causation_id`].
pub const COMMAND_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c05");

/// Namespace of decision ids: see [`DecisionId`].
pub const DECISION_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c06");

/// Namespace of the ids of acts on many cases: moderator, NUL, command id.
pub const ACT_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c07");

/// Namespace of what stands for words.
const WORDS_NAMESPACE: Uuid = uuid!("5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c08");

/// Most bytes of a member id.
pub const MEMBER_ID_BYTES_MAX: usize = 128;
/// Most bytes of a client's command id; an item of a bulk call adds its own few to it.
pub const COMMAND_ID_BYTES_MAX: usize = 128;
/// Most bytes of a reason code or purpose.
pub const REASON_CODE_BYTES_MAX: usize = 64;

/// A string that is no id of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}")]
pub struct InvalidId(pub &'static str);

/// The host's id of a member: 1-128 bytes of `[A-Za-z0-9._:-]`.
// Cheap to clone; ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct MemberId(#[schemars(regex(pattern = r"^[A-Za-z0-9._:-]{1,128}$"))] Arc<str>);

impl MemberId {
    /// Checks and takes an id.
    pub fn new(id: &str) -> Result<MemberId, InvalidId> {
        if id.is_empty() || id.len() > MEMBER_ID_BYTES_MAX || !id.bytes().all(is_member_byte) {
            return Err(InvalidId("member id"));
        }
        Ok(MemberId(Arc::from(id)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text itself, for headers that hold it as such.
    pub fn as_arc(&self) -> &Arc<str> {
        &self.0
    }
}

const fn is_member_byte(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'-')
}

/// A command's id, made by its client: 1-128 bytes of UTF-8 without control characters, unique to the acting member.
/// That of an item of a bulk call is longer by `/` and a number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct CommandId(#[schemars(length(min = 1))] Arc<str>);

impl CommandId {
    /// Checks and takes an id.
    pub fn new(id: &str) -> Result<CommandId, InvalidId> {
        if id.is_empty() || id.len() > COMMAND_ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(InvalidId("command id"));
        }
        Ok(CommandId(Arc::from(id)))
    }

    /// The id of item `index` of a bulk call: `key/index`. It may be longer than a client's own.
    #[must_use]
    pub fn item(&self, index: usize) -> CommandId {
        CommandId(Arc::from(format!("{}/{index}", self.0)))
    }

    /// The id of what the service carries out by itself on the way of this command. No client has such a one: it holds a
    /// control character.
    #[must_use]
    pub fn step(&self, name: &'static str) -> CommandId {
        CommandId(Arc::from(format!("{}\u{1f}{name}", self.0)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared text itself, for headers that hold it as such.
    pub fn as_arc(&self) -> &Arc<str> {
        &self.0
    }
}

/// A short machine-readable reason or purpose: 1-64 bytes of `[a-z0-9_]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct ReasonCode(#[schemars(regex(pattern = r"^[a-z0-9_]{1,64}$"))] Arc<str>);

/// The name of a read view: 1-64 bytes of `[a-z0-9_]`, the first of them a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct ViewId(#[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,63}$"))] Arc<str>);

impl ViewId {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<ViewId, InvalidId> {
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
        if !begins || name.len() > REASON_CODE_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(InvalidId("view's name"));
        }
        Ok(ViewId(Arc::from(name)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ReasonCode {
    /// Checks and takes a code.
    pub fn new(code: &str) -> Result<ReasonCode, InvalidId> {
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if code.is_empty() || code.len() > REASON_CODE_BYTES_MAX || !code.bytes().all(allowed) {
            return Err(InvalidId("reason code"));
        }
        Ok(ReasonCode(Arc::from(code)))
    }

    /// Why a decision is reversed whose appeal was granted.
    pub fn appeal_granted() -> ReasonCode {
        ReasonCode(Arc::from("appeal_granted"))
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text id held as a shared string: printing, comparing, and serde with the check of its constructor.
macro_rules! text_id {
    ($name:ident, $expected:literal, $construct:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(id: &str) -> Result<Self, InvalidId> {
                Self::new(id)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, id: &str) -> Result<$name, E> {
                        $construct(id).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

text_id!(MemberId, "a member id", MemberId::new);
text_id!(ReasonCode, "a reason code", ReasonCode::new);
text_id!(ViewId, "a view's name", ViewId::new);
// What is stored may be an item's id, longer than any client's: only its characters are checked on reading.
text_id!(CommandId, "a command id", |id: &str| {
    if id.is_empty() || id.chars().any(char::is_control) {
        return Err(InvalidId("command id"));
    }
    Ok(CommandId(Arc::from(id)))
});

/// A UUID with a meaning of its own.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(id: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(id).map($name).map_err(|_| InvalidId("UUID"))
            }
        }
    };
}

uuid_id!(
    /// Names everything between two members, whichever of them asks.
    ConversationId
);
uuid_id!(
    /// Names the moderators' file on one reported member in one conversation, or on one suspension by hand.
    CaseId
);
uuid_id!(
    /// Names one report.
    ReportId
);
uuid_id!(
    /// Names one decision of a moderator, on a case or by hand.
    DecisionId
);
uuid_id!(
    /// Names one act of a moderator on many cases.
    ActId
);

impl ConversationId {
    /// The conversation of two members, in either order.
    pub fn of(one: &MemberId, other: &MemberId) -> ConversationId {
        let (lower, higher) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        ConversationId(derive(
            &CONVERSATION_NAMESPACE,
            &[lower.as_str(), higher.as_str()],
        ))
    }
}

impl CaseId {
    /// The case on `reported` in a conversation.
    pub fn of(conversation: ConversationId, reported: &MemberId) -> CaseId {
        let mut buffer = Uuid::encode_buffer();
        let conversation: &str = conversation.0.hyphenated().encode_lower(&mut buffer);
        CaseId(derive(&CASE_NAMESPACE, &[conversation, reported.as_str()]))
    }

    /// The file on a suspension by hand.
    pub fn of_suspension(decision: DecisionId) -> CaseId {
        CaseId(Uuid::new_v5(&CASE_NAMESPACE, decision.0.as_bytes()))
    }
}

impl ReportId {
    /// The report that a command of `reporter` makes.
    pub fn of(reporter: &MemberId, command: &CommandId) -> ReportId {
        ReportId(derive(
            &REPORT_NAMESPACE,
            &[reporter.as_str(), command.as_str()],
        ))
    }
}

impl DecisionId {
    /// The decision that a command of `moderator` makes on `member` by hand at a time: a key is one command's for as long as
    /// it is remembered and no longer.
    pub fn by_hand(
        member: &MemberId,
        moderator: &MemberId,
        command: &CommandId,
        at: Timestamp,
    ) -> DecisionId {
        let at = at.as_millis().to_string();
        DecisionId(derive(
            &DECISION_NAMESPACE,
            &[member.as_str(), moderator.as_str(), command.as_str(), &at],
        ))
    }

    /// The decision that a command of `moderator` makes on a case: of the case, too, since a key is one command's for as long
    /// as it is remembered and no longer.
    pub fn on_case(case: CaseId, moderator: &MemberId, command: &CommandId) -> DecisionId {
        DecisionId(derive(
            &DECISION_NAMESPACE,
            &[&case.to_string(), moderator.as_str(), command.as_str()],
        ))
    }

    /// The decision that an act makes on one of its cases.
    pub fn by_act(act: ActId, case: CaseId) -> DecisionId {
        DecisionId(Uuid::new_v5(&act.0, case.0.as_bytes()))
    }

    /// What an act does to its member, once for all of its cases.
    pub fn of_act(act: ActId) -> DecisionId {
        DecisionId(act.0)
    }
}

impl ActId {
    /// The act on many cases that a command of `moderator` makes.
    pub fn of(moderator: &MemberId, command: &CommandId) -> ActId {
        ActId(derive(
            &ACT_NAMESPACE,
            &[moderator.as_str(), command.as_str()],
        ))
    }
}

/// What stands for words, to tell the same from others where they are not kept.
pub(crate) fn words(words: &[&str]) -> Uuid {
    derive(&WORDS_NAMESPACE, words)
}

/// The id of event `index` (from 0) that a command appends to a stream.
pub fn event_id(actor: &str, command_id: &str, stream: &str, index: usize) -> Uuid {
    derive(
        &EVENT_NAMESPACE,
        &[actor, command_id, stream, &index.to_string()],
    )
}

/// The id of event `index` (from 0) that a reactor appends to a stream because of the event `cause`.
pub fn reactor_event_id(reactor: &str, cause: Uuid, stream: &str, index: usize) -> Uuid {
    let mut buffer = Uuid::encode_buffer();
    let cause: &str = cause.hyphenated().encode_lower(&mut buffer);
    derive(
        &EVENT_NAMESPACE,
        &["reactor", reactor, cause, stream, &index.to_string()],
    )
}

/// What ties together all events of one command, in whatever stream.
pub fn correlation_id(actor: &str, command_id: &str) -> Uuid {
    derive(&COMMAND_NAMESPACE, &[actor, command_id])
}

/// The cause of a command's events: the command and its whole content, so that a reused id shows.
pub fn causation_id(actor: &str, command_id: &str, content: &[u8]) -> Uuid {
    let mut name = Vec::with_capacity(actor.len() + command_id.len() + content.len() + 2);
    name.extend_from_slice(actor.as_bytes());
    name.push(0);
    name.extend_from_slice(command_id.as_bytes());
    name.push(0);
    name.extend_from_slice(content);
    Uuid::new_v5(&COMMAND_NAMESPACE, &name)
}

fn derive(namespace: &Uuid, parts: &[&str]) -> Uuid {
    let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            name.push(0);
        }
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(namespace, &name)
}

#[cfg(test)]
mod spec {
    use super::*;

    fn member(id: &str) -> MemberId {
        MemberId::new(id).unwrap()
    }

    #[test]
    fn takes_a_uuid_a_snowflake_and_a_did_as_member_ids() {
        for id in [
            "5a1b6c1e-6f0c-5d0e-9a54-2f6a4a1f8c01",
            "1146012345678901234",
            "did:plc:z72i7_h.x",
            &"x".repeat(128),
        ] {
            assert_eq!(member(id).as_str(), id);
        }
    }

    #[test]
    fn refuses_what_is_no_member_id() {
        for id in ["", "a b", "a/b", "\u{e4}", "a\0", "a@b", &"x".repeat(129)] {
            assert!(MemberId::new(id).is_err(), "{id:?}");
            assert!(
                serde_json::from_value::<MemberId>(serde_json::json!(id)).is_err(),
                "{id:?}"
            );
        }
    }

    #[test]
    fn names_a_conversation_alike_from_both_sides() {
        let id = ConversationId::of(&member("ann"), &member("bob"));
        assert_eq!(id, ConversationId::of(&member("bob"), &member("ann")));
        assert_eq!(id.0, Uuid::new_v5(&CONVERSATION_NAMESPACE, b"ann\0bob"));
        assert_ne!(id, ConversationId::of(&member("an"), &member("nbob")));
    }

    /// These are stored in logs: none may ever change.
    #[test]
    fn derives_the_ids_that_are_stored() {
        let conversation = ConversationId::of(&member("ann"), &member("bob"));
        let command = CommandId::new("c1").unwrap();
        let derived = [
            conversation.0,
            CaseId::of(conversation, &member("bob")).0,
            ReportId::of(&member("ann"), &command).0,
            event_id("ann", "c1", "member-ann", 0),
            reactor_event_id("cases", Uuid::nil(), "case-x", 1),
            correlation_id("ann", "c1"),
            causation_id("ann", "c1", b"{}"),
        ];
        let expected: [&str; 7] = [
            "14d1d27c-98f6-50b4-a228-93c749ff66dc",
            "238eae41-3f63-571e-8282-bf1e2e58322f",
            "d94492e7-72dc-56dd-84db-8778dddb51bd",
            "18a0a930-e05b-512e-aba7-83368ee33103",
            "6ecfffce-1f3a-5ddb-8cbe-a9a3c548dac5",
            "44b6b676-d4d0-5bea-b942-ffdecf70fd50",
            "e4242f08-b57f-5a23-a94c-ccd1e22141b4",
        ];
        assert_eq!(derived.map(|id| id.to_string()), expected);
    }

    #[test]
    fn takes_command_ids_of_any_printable_kind() {
        assert!(CommandId::new("key/\u{e4} 1").is_ok());
        for id in ["", "a\nb", "a\0b", &"x".repeat(129)] {
            assert!(CommandId::new(id).is_err(), "{id:?}");
        }
        let step = CommandId::new("key").unwrap().step("earliest");
        assert!(
            CommandId::new(step.as_str()).is_err(),
            "no client makes the id of a step"
        );
        let item = CommandId::new(&"x".repeat(128)).unwrap().item(7);
        assert!(item.as_str().ends_with("x/7"));
        let read: CommandId = serde_json::from_str(&serde_json::to_string(&item).unwrap()).unwrap();
        assert_eq!(read, item);
    }

    #[test]
    fn tells_a_reused_command_by_its_content() {
        assert_ne!(
            causation_id("ann", "c1", b"a"),
            causation_id("ann", "c1", b"b")
        );
        assert_eq!(
            causation_id("ann", "c1", b"a"),
            causation_id("ann", "c1", b"a")
        );
    }
}

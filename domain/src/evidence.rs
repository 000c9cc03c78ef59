//! What a decision was decided on, recorded with its event.
//!
//! Replay never evaluates a rule again, so an event has to say which rule matched and which facts of other streams it
//! saw, by their versions. Only what was looked at is there: a field is absent where its rule was not reached. Auditors
//! read it; no member ever does, because [`Cause`] tells apart what their answers must not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::{Audience, Class};

/// The facts and the rule of one decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The rule of `SendMessage` that matched, 1 to 12. Absent for other commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 12))]
    pub rule: Option<u8>,
    /// What exactly matched, where the rule has several reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Version of the rules in force.
    pub policy_version: u64,
    /// The sender's member stream was read up to this version; absent when they are not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_version: Option<u64>,
    /// The recipient's member stream was read up to this version; absent when they are not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient_version: Option<u64>,
    /// Version of the recipient's DM setting, as that setting counts its changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting_version: Option<u64>,
    /// The recipient's audience, where it was held against the relationship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// The column of the audience table that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// How many were used of what is limited: requests of the last 24 h, or messages since the last acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u32>,
    /// The limit that `used` was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What exactly stood in the way, finer than any answer to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The sender is not registered.
    SenderUnknown,
    /// The sender is suspended.
    SenderSuspended,
    /// The sender is under 16.
    SenderUnder16,
    /// The sender may not open requests, by a moderator's decision.
    SenderLimited,
    /// The sender opened as many requests within 24 h as they may.
    RequestsOfTheDay,
    /// The recipient is not registered.
    RecipientUnknown,
    /// The recipient is under 16.
    RecipientUnder16,
    /// The recipient blocks the sender.
    RecipientBlocks,
    /// The sender blocks the recipient.
    SenderBlocks,
    /// The recipient's audience refuses the sender.
    Audience,
    /// The cooldown of a deleted request runs.
    Cooldown,
    /// As many messages as a request may hold were written.
    RequestMessages,
    /// The acting member is under 16.
    ActorUnder16,
    /// The acting member is suspended.
    ActorSuspended,
}

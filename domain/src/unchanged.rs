//! That a command was so already, as an event: for logs that several nodes write.
//!
//! A command that is true already writes nothing that a state or a view would know of. Its id has to be known all the same, so
//! that a repetition gives the first outcome: one program can remember that for itself, nodes that share a log have nothing
//! in common but the log. [`CommandUnchanged`] stands on the stream the command was decided on, at the version after the one
//! that it was decided on; so it is settled there, once and for all nodes, whether the command was so or had an effect.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conversation::AlsoOutcome;
use crate::ids::{CaseId, MemberId, ReportId};
use crate::policy::Audience;
use crate::time::Timestamp;

/// `command-unchanged.v1`: a command was so already, and changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandUnchanged {
    /// Which command, by its name.
    #[schemars(regex(pattern = r"^[A-Za-z]{1,64}$"))]
    pub command: Cow<'static, str>,
    /// Who acted.
    pub by: MemberId,
    /// The other member it concerned, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<MemberId>,
    /// The version, in this stream, of the event that had made it so; absent where none had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// What was answered beside that; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// What a command that was so already is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// A report that named nothing new.
    Report {
        /// The earliest report of these messages.
        report_id: ReportId,
        /// The case it went to.
        case: CaseId,
        /// What became of what else was asked for; absent where nothing else was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        also_outcome: Option<AlsoOutcome>,
    },
    /// The DM setting in force.
    Setting {
        /// Who may write.
        audience: Audience,
        /// How often it was set.
        version: u64,
    },
    /// The claim of a case.
    Claim {
        /// When it lapses unless its holder acts before.
        until: Timestamp,
    },
    /// The rules in force.
    Policy {
        /// Their version.
        version: u64,
    },
}

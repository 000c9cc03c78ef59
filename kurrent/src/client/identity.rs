//! Which log a cluster holds: its id and its schema level, in a stream of the adapter's own.
//!
//! KurrentDB has no name for a log that is new after a restore and a copy. So the first node writes one into
//! [`STREAM`], at the version of a stream that is not there yet: of many nodes that begin at once one does, and the others
//! read what it wrote. The stream is no part of the log that is read and followed.
//!
//! A cluster restored from a backup has the id that it had. Whoever restores one gives it a new one by hand, by appending
//! another `log-begun` to the stream; the last one counts.

use bytes::Bytes;
use event_store::{LogId, Members, NewEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The stream that holds it.
pub(super) const STREAM: &str = "doorstep-log";
/// The type of its events.
pub(super) const TYPE: &str = "log-begun.v1";

/// Which log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) log_id: Uuid,
    pub(super) schema_level: u32,
}

impl Identity {
    /// That of a log that begins now.
    pub(super) fn new(schema_level: u32) -> Self {
        Self {
            log_id: Uuid::now_v7(),
            schema_level,
        }
    }

    pub(super) fn log_id(&self) -> LogId {
        LogId(self.log_id)
    }

    /// As it is stored; none of it is a secret.
    pub(super) fn to_event(self, at_ms: i64) -> NewEvent {
        NewEvent {
            event_id: self.log_id,
            event_type: TYPE.into(),
            at_ms,
            command_id: self.log_id.to_string().into(),
            correlation_id: self.log_id,
            causation_id: self.log_id,
            actor: "doorstep".into(),
            members: Members::none(),
            last_number: None,
            data: Bytes::from(serde_json::to_vec(&self).unwrap_or_default()),
        }
    }

    /// From what was stored.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        serde_json::from_slice(data).ok()
    }
}

//! Which log a cluster holds: its id and its schema level, in a stream of the adapter's own.
//!
//! KurrentDB has no name for a log that is new after a restore and a copy. So the first node writes one into
//! [`STREAM`], at the version of a stream that is not there yet: of many nodes that begin at once one does, and the others
//! read what it wrote. The stream is no part of the log that is read and followed.
//!
//! A cluster restored from a backup has the id that it had. Whoever restores one gives it a new one by hand, by appending
//! another `log-begun` to the stream; the last one counts. So does one with a higher level, by which a log is raised
//! ([`raising`](super::raising)). [`Held`] is what a running store holds a cluster to: what it does not hold is not used.

use std::sync::atomic::{AtomicU32, Ordering};

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
    pub(super) fn parse(event_type: &str, data: &[u8]) -> Option<Self> {
        (event_type == TYPE)
            .then(|| serde_json::from_slice(data).ok())
            .flatten()
    }
}

/// What a cluster says which log it holds.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// This, by the event of this version.
    Log(Identity, u64),
    /// Something by an event of this type that this program cannot read.
    Strange(String),
}

impl Said {
    /// By the last event of the stream, if there is one.
    pub(super) fn by(last: Option<&eventstore::RecordedEvent>) -> Self {
        match last {
            None => Self::Nothing,
            Some(last) => match Identity::parse(&last.event_type, &last.data) {
                Some(identity) => Self::Log(identity, last.revision),
                None => Self::Strange(last.event_type.clone()),
            },
        }
    }
}

/// Why what stands in the stream does not say which log it is.
pub(super) fn strange(event_type: &str) -> String {
    format!(
        "its stream {STREAM} has a last event of type {event_type} that does not say which log it is; it was written by a newer Doorstep, or by something else"
    )
}

/// The log that a store has opened, and the level that it has come to.
pub(super) struct Held {
    log_id: LogId,
    level: AtomicU32,
    /// The highest level that this program knows.
    known: u32,
}

impl Held {
    pub(super) fn new(identity: Identity, known: u32) -> Self {
        Self {
            log_id: identity.log_id(),
            level: AtomicU32::new(identity.schema_level),
            known,
        }
    }

    /// The level at which the log is written.
    pub(super) fn level(&self) -> u32 {
        self.level.load(Ordering::Acquire)
    }

    /// Takes up what the cluster says now; why it is not to be used, where it is not.
    pub(super) fn take_up(&self, said: &Said) -> Result<(), String> {
        match said {
            Said::Log(identity, _) if identity.log_id() != self.log_id => Err(format!(
                "it holds another log than it did ({}, and before {}): restart the service; its views are made anew",
                identity.log_id(),
                self.log_id
            )),
            Said::Log(identity, _) if identity.schema_level > self.known => Err(format!(
                "its log was raised to schema level {}, and this program knows up to {}: replace it by the newer one",
                identity.schema_level, self.known
            )),
            Said::Log(identity, _) => {
                // One that lags may still say the lower one.
                self.level
                    .fetch_max(identity.schema_level, Ordering::AcqRel);
                Ok(())
            }
            Said::Nothing => Err(format!(
                "it holds no log any more: its stream {STREAM} is gone; restore a backup"
            )),
            Said::Strange(event_type) => Err(strange(event_type)),
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn a_raised_level_is_taken_up_and_another_log_is_not() {
        let identity = Identity::new(1);
        let held = Held::new(identity, 3);
        let said = |schema_level| {
            let raised = Identity {
                schema_level,
                ..identity
            };
            Said::Log(raised, 1)
        };
        held.take_up(&said(3)).unwrap();
        assert_eq!(held.level(), 3);
        held.take_up(&said(1)).unwrap();
        assert_eq!(held.level(), 3, "a level does not fall");
        let above = held.take_up(&said(4)).unwrap_err();
        assert!(above.contains("schema level 4"), "{above}");
        let other = Said::Log(Identity::new(1), 0);
        for none in [other, Said::Nothing, Said::Strange("order-placed".into())] {
            held.take_up(&none).unwrap_err();
        }
        assert_eq!(held.level(), 3);
    }
}

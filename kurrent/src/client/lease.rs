//! The lease of what one node does for all, in a stream of the adapter's own.
//!
//! Promise: of two nodes that take it at once one does, by the expected version of [`STREAM`]; each event says who has it
//! from then on, and the last one counts. It is written to when it changes hands, and never to be kept: an idle cluster gets
//! nothing. The stream is no part of the log that is read and followed.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use event_store::{Held, Lease, Members, NewEvent, ReadError};
use eventstore::{AppendToStreamOptions, ReadStreamOptions, StreamPosition, StreamState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event;
use super::link::{Failure, Link};

/// The stream that holds it.
pub(super) const STREAM: &str = "doorstep-lease";
/// The type of its events.
const TYPE: &str = "lease-given.v1";

/// Who has it; none where it was given back.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    holder: Option<Uuid>,
}

/// The lease of a cluster's log.
pub(super) struct ClusterLease {
    pub(super) link: Arc<Link>,
}

fn unavailable(why: String) -> ReadError {
    ReadError::Unavailable { why }
}

fn failed(failure: &Failure) -> ReadError {
    match failure {
        Failure::Closed => ReadError::Closed,
        Failure::Refused(_) | Failure::Away { .. } => unavailable(failure.to_string()),
    }
}

#[async_trait]
impl Lease for ClusterLease {
    async fn held(&self) -> Result<Held, ReadError> {
        let options = ReadStreamOptions::default()
            .position(StreamPosition::End)
            .max_count(1)
            .requires_leader(true);
        let asked = self.link.call(|client| {
            let options = options.clone();
            async move {
                let mut reading = client.read_stream(STREAM, &options).await?;
                reading.next().await
            }
        });
        let told = match asked.await {
            Ok(told) => told,
            Err(Failure::Refused(eventstore::Error::ResourceNotFound)) => None,
            Err(failure) => return Err(failed(&failure)),
        };
        let Some(told) = told else {
            return Ok(Held::default());
        };
        let told = told.get_original_event();
        let given: Option<Given> = (told.event_type == TYPE)
            .then(|| serde_json::from_slice(&told.data).ok())
            .flatten();
        let given = given.ok_or_else(|| ReadError::Foreign {
            place: format!("event {} of stream {STREAM}", told.revision),
            what: format!(
                "it is of type {} and does not say who has the lease; Doorstep did not write it",
                told.event_type
            ),
        })?;
        Ok(Held {
            holder: given.holder,
            term: Some(told.revision),
        })
    }

    async fn give(&self, standing: Held, to: Option<Uuid>) -> Result<bool, ReadError> {
        let event = given(to);
        let proposed =
            event::proposed(&event, None).map_err(|error| unavailable(error.to_string()))?;
        let state = standing
            .term
            .map_or(StreamState::NoStream, StreamState::StreamRevision);
        let options = AppendToStreamOptions::default()
            .stream_state(state)
            .requires_leader(true);
        let written = self.link.call(|client| {
            let (options, proposed) = (options.clone(), proposed.clone());
            async move { client.append_to_stream(STREAM, &options, proposed).await }
        });
        match written.await {
            Ok(_) => Ok(true),
            // It may have been this very call, tried twice.
            Err(Failure::Refused(eventstore::Error::WrongExpectedVersion { .. })) => {
                let now = self.held().await?;
                let next = standing.term.map_or(0, |term| term + 1);
                Ok(to.is_some() && now.holder == to && now.term == Some(next))
            }
            Err(failure) => Err(failed(&failure)),
        }
    }
}

fn given(to: Option<Uuid>) -> NewEvent {
    let id = Uuid::now_v7();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let at_ms = now.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    NewEvent {
        event_id: id,
        event_type: TYPE.into(),
        at_ms,
        command_id: id.to_string().into(),
        correlation_id: id,
        causation_id: id,
        actor: "doorstep".into(),
        members: Members::none(),
        last_number: None,
        data: Bytes::from(serde_json::to_vec(&Given { holder: to }).unwrap_or_default()),
    }
}

//! Appending by the protocol: events at an expected revision, recognised by their ids when they come again.
//!
//! Promise: what is answered is durable; a refused append wrote nothing. `Any` and *exists* are made exact against the
//! stream's head, and tried again when somebody was faster; their events are looked for among the last of the stream first.

use std::sync::Arc;

use bytes::Bytes;
use event_store::{
    Append, AppendError, Direction, EventStore, ExpectedVersion, Members, NewEvent, Position,
    RecordedEvent, StreamFrom, StreamName, bounds,
};
use prost::Message;
use tokio::sync::watch;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use super::Numbering;
use super::faults::Faults;
use super::messages;
use super::streams::{stream_name, unread};
use crate::metadata::Metadata;
use crate::proto::event_store::client as shared;
use crate::proto::event_store::client::streams::append_req::options::ExpectedStreamRevision;
use crate::proto::event_store::client::streams::append_req::{Content, Options};
use crate::proto::event_store::client::streams::append_resp::{
    Position as ToldPosition, Result as Told, Success, WrongExpectedVersion, success,
    wrong_expected_version as wrong,
};
use crate::proto::event_store::client::streams::batch_append_req::options::ExpectedStreamPosition;
use crate::proto::event_store::client::streams::batch_append_resp::success as batch_success;
use crate::proto::event_store::client::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, batch_append_req, batch_append_resp,
};
use crate::proto::google::rpc;

/// Tries against a stream that others write to, where no exact revision is expected.
const TRIES: u32 = 256;
/// Events back from a stream's end among which those are looked for that come again without an exact place.
const LOOKED_BACK: usize = 64;
/// The type that events have to say they are of.
const CONTENT_TYPE: &str = "application/json";

/// What is expected of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Exactly(ExpectedVersion),
    Any,
    Exists,
}

/// An event as it came, with the time at which another log recorded it, if one did.
pub(super) struct Arrived {
    event: NewEvent,
    recorded_at_ms: Option<i64>,
}

/// Where appended events are.
struct Appended {
    last_version: u64,
    last_position: Position,
}

/// Why nothing was appended.
enum Refused {
    /// The stream is elsewhere.
    Elsewhere {
        actual: Option<u64>,
    },
    Status(Status),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// One append, whose events come one after the other.
pub(super) async fn append(
    store: &dyn EventStore,
    numbering: Numbering,
    mut messages: Streaming<AppendReq>,
) -> Result<AppendResp, Status> {
    let first = messages.message().await?.and_then(|first| first.content);
    let Some(Content::Options(options)) = first else {
        return Err(Status::invalid_argument(
            "an append begins with its options",
        ));
    };
    let Options {
        stream_identifier,
        expected_stream_revision,
    } = options;
    let stream = stream_name(stream_identifier)?;
    let expected = match expected_stream_revision {
        Some(ExpectedStreamRevision::Revision(version)) => {
            Expected::Exactly(ExpectedVersion::Exact(version))
        }
        Some(ExpectedStreamRevision::NoStream(())) => Expected::Exactly(ExpectedVersion::NoStream),
        Some(ExpectedStreamRevision::Any(())) => Expected::Any,
        Some(ExpectedStreamRevision::StreamExists(())) => Expected::Exists,
        None => return Err(Status::invalid_argument("an append that expects nothing")),
    };
    let mut events = Vec::new();
    while let Some(message) = messages.message().await? {
        let Some(Content::ProposedMessage(message)) = message.content else {
            return Err(Status::invalid_argument("options come once, first"));
        };
        events.push(event(Proposed {
            id: message.id,
            metadata: message.metadata,
            custom_metadata: message.custom_metadata,
            data: message.data,
        })?);
        if events.len() > bounds::APPEND_EVENTS_MAX {
            return Err(too_large());
        }
    }
    match place(store, &stream, expected, events).await {
        Ok(appended) => {
            let position = numbering.told(appended.last_position);
            Ok(AppendResp {
                result: Some(Told::Success(Success {
                    current_revision_option: Some(success::CurrentRevisionOption::CurrentRevision(
                        appended.last_version,
                    )),
                    position_option: Some(success::PositionOption::Position(ToldPosition {
                        commit_position: position,
                        prepare_position: position,
                    })),
                })),
            })
        }
        Err(Refused::Elsewhere { actual }) => Ok(AppendResp {
            result: Some(Told::WrongExpectedVersion(elsewhere(expected, actual))),
        }),
        Err(Refused::Status(status)) => Err(status),
    }
}

fn elsewhere(expected: Expected, actual: Option<u64>) -> WrongExpectedVersion {
    use wrong::{
        CurrentRevisionOption as Current, CurrentRevisionOption2060 as OldCurrent,
        ExpectedRevisionOption as Wanted, ExpectedRevisionOption2060 as OldWanted,
    };
    let (wanted, old_wanted) = match expected {
        Expected::Exactly(ExpectedVersion::Exact(version)) => (
            Wanted::ExpectedRevision(version),
            Some(OldWanted::ExpectedRevision2060(version)),
        ),
        Expected::Exactly(ExpectedVersion::NoStream) => (Wanted::ExpectedNoStream(()), None),
        Expected::Any => (Wanted::ExpectedAny(()), Some(OldWanted::Any2060(()))),
        Expected::Exists => (
            Wanted::ExpectedStreamExists(()),
            Some(OldWanted::StreamExists2060(())),
        ),
    };
    WrongExpectedVersion {
        current_revision_option_20_6_0: Some(actual.map_or(
            OldCurrent::NoStream2060(()),
            OldCurrent::CurrentRevision2060,
        )),
        expected_revision_option_20_6_0: old_wanted,
        current_revision_option: Some(
            actual.map_or(Current::CurrentNoStream(()), Current::CurrentRevision),
        ),
        expected_revision_option: Some(wanted),
    }
}

/// Many appends over one call, answered in their order.
pub(super) struct Batches {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) numbering: Numbering,
    pub(super) messages: Streaming<BatchAppendReq>,
    /// Nothing more is taken once the server stops; what was taken is answered.
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) faults: Option<Arc<Faults>>,
    /// The batch that is not whole yet.
    pub(super) begun: Option<(batch_append_req::Options, Vec<Arrived>)>,
}

impl Batches {
    /// The next answer; none when no batch is to come.
    pub(super) async fn next(&mut self) -> Result<Option<BatchAppendResp>, Status> {
        loop {
            let message = tokio::select! {
                message = self.messages.message() => message?,
                // Without a sender it has stopped.
                _ = self.stopping.wait_for(|stopping| *stopping) => {
                    return Err(Status::unavailable("the server stops"));
                }
            };
            let Some(message) = message else {
                return Ok(None);
            };
            let (correlation, last) = (message.correlation_id.clone(), message.is_final);
            let stream = message.options.as_ref();
            let stream = stream.and_then(|options| options.stream_identifier.clone());
            let mut answer = match self.take(message) {
                Ok(()) if !last => continue,
                Ok(()) => {
                    let (options, events) = self.begun.take().unwrap_or_default();
                    self.answer(&options, events).await
                }
                Err(status) => {
                    let begun = self.begun.take();
                    let begun = begun.and_then(|(options, _)| options.stream_identifier);
                    BatchAppendResp {
                        result: Some(batch_append_resp::Result::Error(told(&status))),
                        // Clients count on one.
                        stream_identifier: Some(stream.or(begun).unwrap_or_default()),
                        ..BatchAppendResp::default()
                    }
                }
            };
            answer.correlation_id = correlation;
            if let Some(faults) = &self.faults {
                faults.answer().await?;
            }
            return Ok(Some(answer));
        }
    }

    fn take(&mut self, message: BatchAppendReq) -> Result<(), Status> {
        let (_, events) = match (&mut self.begun, message.options) {
            (Some(begun), None) => begun,
            (begun, Some(options)) => begun.insert((options, Vec::new())),
            (None, None) => return Err(Status::invalid_argument("a batch without options")),
        };
        for message in message.proposed_messages {
            if events.len() >= bounds::APPEND_EVENTS_MAX {
                return Err(too_large());
            }
            events.push(event(Proposed {
                id: message.id,
                metadata: message.metadata,
                custom_metadata: message.custom_metadata,
                data: message.data,
            })?);
        }
        Ok(())
    }

    async fn answer(
        &self,
        options: &batch_append_req::Options,
        events: Vec<Arrived>,
    ) -> BatchAppendResp {
        use batch_append_resp::ExpectedStreamPosition as Echo;
        let (expected, echo) = match options.expected_stream_position {
            Some(ExpectedStreamPosition::StreamPosition(version)) => (
                Expected::Exactly(ExpectedVersion::Exact(version)),
                Echo::StreamPosition(version),
            ),
            Some(ExpectedStreamPosition::NoStream(())) => (
                Expected::Exactly(ExpectedVersion::NoStream),
                Echo::NoStream(()),
            ),
            Some(ExpectedStreamPosition::StreamExists(())) => {
                (Expected::Exists, Echo::StreamExists(()))
            }
            Some(ExpectedStreamPosition::Any(())) | None => (Expected::Any, Echo::Any(())),
        };
        let placed = match stream_name(options.stream_identifier.clone()) {
            Ok(stream) => place(&*self.store, &stream, expected, events).await,
            Err(status) => Err(status.into()),
        };
        let result = match placed {
            Ok(appended) => {
                let position = self.numbering.told(appended.last_position);
                batch_append_resp::Result::Success(batch_append_resp::Success {
                    current_revision_option: Some(
                        batch_success::CurrentRevisionOption::CurrentRevision(
                            appended.last_version,
                        ),
                    ),
                    position_option: Some(batch_success::PositionOption::Position(
                        batch_success::AllStreamPosition {
                            commit_position: position,
                            prepare_position: position,
                        },
                    )),
                })
            }
            Err(Refused::Elsewhere { actual }) => {
                batch_append_resp::Result::Error(batch_elsewhere(expected, actual))
            }
            Err(Refused::Status(status)) => batch_append_resp::Result::Error(told(&status)),
        };
        BatchAppendResp {
            correlation_id: None,
            result: Some(result),
            stream_identifier: options.stream_identifier.clone(),
            expected_stream_position: Some(echo),
        }
    }
}

fn batch_elsewhere(expected: Expected, actual: Option<u64>) -> rpc::Status {
    use shared::wrong_expected_version::{
        CurrentStreamRevisionOption as Current, ExpectedStreamPositionOption as Wanted,
    };
    let wanted = match expected {
        Expected::Exactly(ExpectedVersion::Exact(version)) => {
            Wanted::ExpectedStreamPosition(version)
        }
        Expected::Exactly(ExpectedVersion::NoStream) => Wanted::ExpectedNoStream(()),
        Expected::Any => Wanted::ExpectedAny(()),
        Expected::Exists => Wanted::ExpectedStreamExists(()),
    };
    let wrong = shared::WrongExpectedVersion {
        current_stream_revision_option: Some(
            actual.map_or(Current::CurrentNoStream(()), Current::CurrentStreamRevision),
        ),
        expected_stream_position_option: Some(wanted),
    };
    rpc::Status {
        code: Code::AlreadyExists.into(),
        message: "WrongExpectedVersion".to_owned(),
        details: Some(packed("WrongExpectedVersion", &wrong)),
    }
}

/// A failure as an answer among others.
fn told(status: &Status) -> rpc::Status {
    let details = if status.code() == Code::InvalidArgument {
        let message = status.message().to_owned();
        packed("BadRequest", &shared::BadRequest { message })
    } else {
        packed("Unknown", &shared::Unknown {})
    };
    rpc::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Some(details),
    }
}

fn packed(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("type.googleapis.com/event_store.client.{name}"),
        value: message.encode_to_vec(),
    }
}

/// Appends, and waits until it is durable.
async fn place(
    store: &dyn EventStore,
    stream: &StreamName,
    expected: Expected,
    arrived: Vec<Arrived>,
) -> Result<Appended, Refused> {
    let recorded_at_ms = recorded(&arrived)?;
    let events: Vec<NewEvent> = arrived.into_iter().map(|arrived| arrived.event).collect();
    let mut tries = 0;
    // Where the stream is beyond what is durable, once that was met.
    let mut met = None;
    loop {
        tries += 1;
        let exact = match expected {
            Expected::Exactly(exact) => exact,
            Expected::Any | Expected::Exists => {
                if let Some(appended) = earlier(store, stream, &events).await? {
                    return Ok(appended);
                }
                let head = store.head(stream).await.map_err(|error| unread(&error))?;
                let head = head.map(|head| head.version).max(met);
                if head.is_none() && expected == Expected::Exists {
                    return Err(Refused::Elsewhere { actual: None });
                }
                ExpectedVersion::of(head)
            }
        };
        let append = Append {
            stream: stream.clone(),
            expected: exact,
            events: events.clone(),
            reads: Vec::new(),
        };
        let appended = match recorded_at_ms.clone() {
            Some(recorded_at_ms) => store.append_recorded(append, recorded_at_ms).await,
            None => store.append(append).await,
        };
        match appended {
            Ok(ticket) => {
                let (last_version, last_position) = (ticket.last_version, ticket.last_position);
                let durable = ticket.durable().await;
                durable.map_err(|_| {
                    Status::unavailable("the store has ended; the outcome is unknown")
                })?;
                return Ok(Appended {
                    last_version,
                    last_position,
                });
            }
            Err(AppendError::WrongVersion { actual, .. }) => match expected {
                Expected::Exactly(_) => return Err(Refused::Elsewhere { actual }),
                Expected::Any | Expected::Exists if tries < TRIES => met = actual,
                Expected::Any | Expected::Exists => {
                    let what = "others were faster each time; try again";
                    return Err(Status::aborted(what).into());
                }
            },
            Err(AppendError::TooLarge { .. }) => return Err(too_large().into()),
            Err(error @ (AppendError::Empty | AppendError::Unfit { .. })) => {
                return Err(Status::invalid_argument(error.to_string()).into());
            }
            Err(error @ AppendError::StorageFull) => {
                return Err(Status::resource_exhausted(error.to_string()).into());
            }
            Err(
                error @ (AppendError::Closed
                | AppendError::Unanswered { .. }
                | AppendError::Unavailable { .. }),
            ) => {
                return Err(Status::unavailable(error.to_string()).into());
            }
            Err(AppendError::Read(error)) => return Err(unread(&error).into()),
        }
    }
}

/// When another log recorded these events; that is known of all or of none.
fn recorded(arrived: &[Arrived]) -> Result<Option<Vec<i64>>, Status> {
    let told: Vec<i64> = arrived
        .iter()
        .filter_map(|arrived| arrived.recorded_at_ms)
        .collect();
    if told.is_empty() {
        Ok(None)
    } else if told.len() == arrived.len() {
        Ok(Some(told))
    } else {
        Err(Status::invalid_argument(
            "`recorded_at` is told of all events of an append, or of none",
        ))
    }
}

/// Where these very events are among the last of the stream: without an exact place it is their ids that tell.
async fn earlier(
    store: &dyn EventStore,
    stream: &StreamName,
    events: &[NewEvent],
) -> Result<Option<Appended>, Refused> {
    if events.is_empty() {
        return Ok(None);
    }
    let last = store
        .read_stream(stream, StreamFrom::End, Direction::Backward, LOOKED_BACK)
        .await
        .map_err(|error| unread(&error))?;
    let ids = || events.iter().rev().map(|event| event.event_id);
    let mut found = last
        .windows(events.len())
        .filter(|stored| stored.iter().map(RecordedEvent::event_id).eq(ids()));
    let found = found.next().and_then(<[RecordedEvent]>::first);
    Ok(found.map(|event| Appended {
        last_version: event.version(),
        last_position: event.position(),
    }))
}

/// A refusal of what passes a bound, as the protocol tells it.
fn too_large() -> Status {
    let what = format!(
        "an append has at most {} events and {} bytes, an event {} bytes",
        bounds::APPEND_EVENTS_MAX,
        bounds::APPEND_BYTES_MAX,
        bounds::EVENT_BYTES_MAX
    );
    let mut status = Status::invalid_argument(what);
    let exception = MetadataValue::from_static("maximum-append-size-exceeded");
    status.metadata_mut().insert("exception", exception);
    let most = MetadataValue::from(bounds::APPEND_BYTES_MAX);
    status.metadata_mut().insert("maximum-append-size", most);
    status
}

/// An event as it is proposed, by either call.
struct Proposed {
    id: Option<shared::Uuid>,
    metadata: std::collections::HashMap<String, String>,
    custom_metadata: Bytes,
    data: Bytes,
}

fn event(proposed: Proposed) -> Result<Arrived, Status> {
    let id = messages::id(proposed.id)?;
    let invalid = |what: &str| Status::invalid_argument(what);
    let event_type = proposed
        .metadata
        .get("type")
        .filter(|event_type| !event_type.is_empty())
        .ok_or_else(|| invalid("an event without a type"))?;
    if proposed.metadata.get("content-type").map(String::as_str) != Some(CONTENT_TYPE) {
        return Err(invalid("an event's content is application/json"));
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&proposed.data)
        .map_err(|error| Status::invalid_argument(format!("data that is no JSON: {error}")))?;
    if proposed.custom_metadata.is_empty() {
        return Ok(Arrived {
            event: foreign(id, event_type.clone(), proposed.data),
            recorded_at_ms: None,
        });
    }
    let metadata = Metadata::parse(&proposed.custom_metadata)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let recorded_at_ms = metadata.recorded_at_ms();
    Ok(Arrived {
        event: metadata.into_event(id, event_type.clone(), proposed.data),
        recorded_at_ms,
    })
}

/// An event of a client that knows nothing of ours: it is its own command.
fn foreign(event_id: Uuid, event_type: String, data: Bytes) -> NewEvent {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at_ms = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    NewEvent {
        event_id,
        event_type: event_type.into(),
        at_ms,
        command_id: Arc::from(event_id.to_string()),
        correlation_id: event_id,
        causation_id: event_id,
        actor: Arc::from("kurrent"),
        members: Members::none(),
        last_number: None,
        data,
    }
}

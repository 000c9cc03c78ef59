//! The store: what the adapter's parts make together.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, ExpectedVersion, Grade, LogId, OutcomeUnknown,
    Position, ReadError, RecordedEvent, StreamFrom, StreamHead, StreamName, Subscription, Ticket,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::Connection;
use super::following;
use super::identity::{self, Identity};
use super::link::{Failure, Link};
use super::streams::Streams;
use super::tail::Tail;

/// How long a reading waits for the subscription to tell what is known to be there, before it asks the cluster itself.
pub(super) const TOLD_SOON: Duration = Duration::from_millis(20);

/// What the adapter needs to know beside where the store is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which streams are the log.
    pub streams: Streams,
    /// The schema level of events that this program knows; a log above it is refused, a new one gets it.
    pub schema_level: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            streams: Streams::All,
            schema_level: 1,
        }
    }
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached, or does not let this caller in.
    #[error("{store}: {why}")]
    Unavailable {
        /// Where it is.
        store: String,
        /// What is in the way, and what to do about it.
        why: String,
    },
    /// What it holds is not a log of this program.
    #[error("{store}: {what}")]
    NotOurs {
        /// Where it is.
        store: String,
        /// What is wrong, and what to do about it.
        what: String,
    },
    /// Its events are of a schema level above this program's.
    #[error("{store}: the log has schema level {found}, this program knows up to {known}")]
    SchemaLevel {
        /// Where it is.
        store: String,
        /// The level of the log.
        found: u32,
        /// The highest level known.
        known: u32,
    },
}

/// A log on a KurrentDB cluster. Clones share one connection; it ends when the last is dropped, or by [`Self::close`].
#[derive(Clone)]
pub struct KurrentStore {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) link: Arc<Link>,
    pub(super) tail: Arc<Tail>,
    pub(super) streams: Streams,
    identity: Identity,
    following: JoinHandle<()>,
}

impl KurrentStore {
    /// Opens the log of a cluster, or begins one where there is none.
    pub async fn open(connection: Connection, options: Options) -> Result<Self, OpenError> {
        let store = connection.to_string();
        let unavailable = |why: String| OpenError::Unavailable {
            store: store.clone(),
            why,
        };
        let link = Link::open(connection).await;
        let link = Arc::new(link.map_err(|failure| unavailable(failure.to_string()))?);
        let identity =
            identify(&link, options.schema_level)
                .await
                .map_err(|error| match error {
                    Unidentified::Away(why) => unavailable(why),
                    Unidentified::Foreign(what) => OpenError::NotOurs {
                        store: store.clone(),
                        what,
                    },
                })?;
        if identity.schema_level > options.schema_level {
            return Err(OpenError::SchemaLevel {
                store,
                found: identity.schema_level,
                known: options.schema_level,
            });
        }
        let streams = options.streams;
        // A tail that begins at the start knows of nothing, so this asks the cluster's leader alone.
        let unfollowed = Inner {
            link: Arc::clone(&link),
            tail: Arc::new(Tail::new(Position::START)),
            streams,
            identity,
            following: tokio::spawn(async {}),
        };
        let end = match unfollowed.log_backward(Position(u64::MAX), 1).await {
            Ok(events) => events
                .first()
                .map_or(Position::START, RecordedEvent::position),
            Err(ReadError::Foreign { place, what }) => {
                return Err(OpenError::NotOurs {
                    store,
                    what: format!("{place}: {what}"),
                });
            }
            Err(error) => return Err(unavailable(error.to_string())),
        };
        let tail = Arc::new(Tail::new(end));
        let following = tokio::spawn(following::follow(
            Arc::clone(&link),
            Arc::clone(&tail),
            streams,
        ));
        let inner = Inner {
            link,
            tail,
            streams,
            identity,
            following,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Whether the cluster answers, as far as is known.
    pub fn is_reached(&self) -> bool {
        self.inner.link.is_reached()
    }

    /// Ends it: nothing is read, written or followed any more.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn close(&self) {
        self.following.abort();
        self.tail.end();
        self.link.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.following.abort();
        self.tail.end();
    }
}

enum Unidentified {
    Away(String),
    Foreign(String),
}

/// Which log the cluster holds; the first who asks says so.
async fn identify(link: &Link, schema_level: u32) -> Result<Identity, Unidentified> {
    if let Some(identity) = identity_of(link).await? {
        return Ok(identity);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    let event = Identity::new(schema_level).to_event(now_ms);
    let proposed =
        super::event::proposed(&event).map_err(|error| Unidentified::Foreign(error.to_string()))?;
    let options = eventstore::AppendToStreamOptions::default()
        .stream_state(eventstore::StreamState::NoStream)
        .requires_leader(true);
    let begun = link.call(|client| {
        let (options, proposed) = (options.clone(), proposed.clone());
        async move {
            client
                .append_to_stream(identity::STREAM, &options, proposed)
                .await
        }
    });
    match begun.await {
        // Somebody else was first.
        Ok(_) | Err(Failure::Refused(eventstore::Error::WrongExpectedVersion { .. })) => {}
        Err(failure) => return Err(Unidentified::Away(failure.to_string())),
    }
    let identity = identity_of(link).await?;
    identity.ok_or_else(|| {
        Unidentified::Away("what answers lags behind what was just written".to_owned())
    })
}

/// What the cluster says which log it holds.
async fn identity_of(link: &Link) -> Result<Option<Identity>, Unidentified> {
    let options = eventstore::ReadStreamOptions::default()
        .position(eventstore::StreamPosition::End)
        .max_count(1)
        .requires_leader(true);
    let asked = link.call(|client| {
        let options = options.clone();
        async move {
            let mut reading = client.read_stream(identity::STREAM, &options).await?;
            reading.next().await
        }
    });
    let told = match asked.await {
        Ok(told) => told,
        Err(Failure::Refused(eventstore::Error::ResourceNotFound)) => None,
        Err(failure) => return Err(Unidentified::Away(failure.to_string())),
    };
    let Some(told) = told else { return Ok(None) };
    let told = told.get_original_event();
    let known = (told.event_type == identity::TYPE)
        .then(|| Identity::parse(&told.data))
        .flatten();
    known.map(Some).ok_or_else(|| {
        Unidentified::Foreign(format!(
            "its stream {} has a last event of type {} that does not say which log it is; it was written by a newer Doorstep, or by something else",
            identity::STREAM,
            told.event_type
        ))
    })
}

#[async_trait]
impl EventStore for KurrentStore {
    fn log_id(&self) -> LogId {
        self.inner.identity.log_id()
    }

    fn schema_level(&self) -> u32 {
        self.inner.identity.schema_level
    }

    fn grade(&self) -> Grade {
        Grade::WrittenStreamOnly
    }

    async fn append(&self, append: Append) -> Result<Ticket, AppendError> {
        self.inner.append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.inner.stream(stream, from, direction, max).await
    }

    async fn read_one(
        &self,
        stream: &StreamName,
        version: u64,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        let from = StreamFrom::Version(version);
        let events = self
            .inner
            .stream(stream, from, Direction::Forward, 1)
            .await?;
        Ok(events.into_iter().next())
    }

    async fn read_all(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let tail = &self.inner.tail;
        if tail.has_ended() {
            return Err(ReadError::Closed);
        }
        if after >= tail.durable() {
            return Ok(Vec::new());
        }
        if let Some(events) = tail.read(after, max_events, max_bytes) {
            return Ok(events);
        }
        if after >= tail.told() {
            // Known to be there because of an append, and on its way to the tail.
            let _ = timeout(TOLD_SOON, tail.comes_after(after)).await;
            if let Some(events) = tail.read(after, max_events, max_bytes) {
                return Ok(events);
            }
        }
        self.inner.log(after, max_events, max_bytes).await
    }

    async fn read_at(&self, position: Position) -> Result<Option<RecordedEvent>, ReadError> {
        self.inner.log_at(position).await
    }

    async fn read_all_backward(
        &self,
        before: Position,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        self.inner.log_backward(before, max).await
    }

    async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        self.inner.head(stream).await
    }

    fn durable_position(&self) -> Position {
        self.inner.tail.durable()
    }

    fn events_between(&self, from: Position, to: Position) -> u64 {
        self.inner.tail.between(from, to)
    }

    fn durable_changes(&self) -> watch::Receiver<Position> {
        self.inner.tail.changes()
    }

    async fn wait_durable(&self, position: Position) -> Result<(), OutcomeUnknown> {
        let mut changes = self.inner.tail.changes();
        let there = changes.wait_for(|durable| *durable >= position).await;
        there.map(|_| ()).map_err(|_| OutcomeUnknown)
    }

    async fn subscribe(&self, after: Position) -> Result<Subscription, ReadError> {
        if self.inner.tail.has_ended() {
            return Err(ReadError::Closed);
        }
        Ok(Subscription::reading(Arc::new(self.clone()), after))
    }
}

impl Inner {
    pub(super) async fn head(&self, stream: &StreamName) -> Result<Option<StreamHead>, ReadError> {
        let end = self
            .stream(stream, StreamFrom::End, Direction::Backward, 1)
            .await?;
        Ok(end.first().map(|event| StreamHead {
            version: event.version(),
            position: event.position(),
        }))
    }

    /// Whether the stream is known to be beyond what is expected of it.
    pub(super) fn known_beyond(&self, stream: &StreamName, expected: ExpectedVersion) -> bool {
        let known = self.tail.known(stream);
        known.is_some_and(|version| version >= expected.next())
    }
}

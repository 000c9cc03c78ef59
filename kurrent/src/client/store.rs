//! The store: what the adapter's parts make together.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use event_store::{
    Append, AppendError, Direction, EventStore, ExpectedVersion, Grade, Lease, LogId,
    OutcomeUnknown, Position, ReadError, RecordedEvent, StreamFrom, StreamHead, StreamName,
    Subscription, Ticket,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::Connection;
use super::following;
use super::identity::{self, Held, Identity, Said};
use super::lease::ClusterLease;
use super::link::{self, Failure, Link};
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

/// What becomes of a cluster that holds no log.
#[derive(Clone, Copy)]
enum Empty {
    /// One is begun there, as of now or of this time.
    Begun(Option<i64>),
    /// It stays so.
    Left,
}

impl KurrentStore {
    /// Opens the log of a cluster, or begins one where there is none.
    pub async fn open(connection: Connection, options: Options) -> Result<Self, OpenError> {
        Self::begin(connection, options, None).await
    }

    /// The same; a log that is begun is recorded as begun at this time, which is to be before that of its first event.
    pub async fn begin(
        connection: Connection,
        options: Options,
        recorded_at_ms: Option<i64>,
    ) -> Result<Self, OpenError> {
        let there = connection.to_string();
        let opened = Self::of(connection, options, Empty::Begun(recorded_at_ms)).await?;
        opened.ok_or_else(|| OpenError::Unavailable {
            store: there,
            why: BEHIND.to_owned(),
        })
    }

    /// Opens the log of a cluster, which is left as it is; none where there is none.
    pub async fn existing(
        connection: Connection,
        options: Options,
    ) -> Result<Option<Self>, OpenError> {
        Self::of(connection, options, Empty::Left).await
    }

    async fn of(
        connection: Connection,
        options: Options,
        empty: Empty,
    ) -> Result<Option<Self>, OpenError> {
        let store = connection.to_string();
        let unavailable = |why: String| OpenError::Unavailable {
            store: store.clone(),
            why,
        };
        let link = Link::open(connection).await;
        let link = Arc::new(link.map_err(|failure| unavailable(failure.to_string()))?);
        let identity = identify(&link, options.schema_level, empty)
            .await
            .map_err(|error| error.of(&store))?;
        let Some(identity) = identity else {
            link.close();
            return Ok(None);
        };
        if identity.schema_level > options.schema_level {
            return Err(OpenError::SchemaLevel {
                store,
                found: identity.schema_level,
                known: options.schema_level,
            });
        }
        link.hold_to(Held::new(identity, options.schema_level));
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
        Ok(Some(Self {
            inner: Arc::new(inner),
        }))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Where the cluster is, without credentials.
    pub fn place(&self) -> String {
        self.inner.link.place()
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

pub(super) enum Unidentified {
    Away(String),
    Foreign(String),
}

impl Unidentified {
    /// At the store that is named so.
    pub(super) fn of(self, store: &str) -> OpenError {
        let store = store.to_owned();
        match self {
            Self::Away(why) => OpenError::Unavailable { store, why },
            Self::Foreign(what) => OpenError::NotOurs { store, what },
        }
    }
}

/// What a cluster's answers are that do not show what it just took.
const BEHIND: &str = "what answers lags behind what was just written";

/// Which log the cluster holds; the first who may says so.
async fn identify(
    link: &Link,
    schema_level: u32,
    empty: Empty,
) -> Result<Option<Identity>, Unidentified> {
    let recorded_at_ms = match (identity_of(link).await?, empty) {
        (found, Empty::Left) => return Ok(found.map(|(identity, _)| identity)),
        // Begun a second time it is refused, unless the user may not write at all: that is told here, and not by the
        // first command.
        (Some(_), Empty::Begun(_)) => None,
        (None, Empty::Begun(recorded_at_ms)) => recorded_at_ms,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    let event = Identity::new(schema_level).to_event(now_ms);
    let proposed = super::event::proposed(&event, recorded_at_ms)
        .map_err(|error| Unidentified::Foreign(error.to_string()))?;
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
    match identity_of(link).await? {
        Some((identity, _)) => Ok(Some(identity)),
        None => Err(Unidentified::Away(BEHIND.to_owned())),
    }
}

/// What the cluster says which log it holds, and by the event of which version.
pub(super) async fn identity_of(link: &Link) -> Result<Option<(Identity, u64)>, Unidentified> {
    let said = link.call(|client| async move { link::said(&client).await });
    match said.await {
        Ok(Said::Log(identity, version)) => Ok(Some((identity, version))),
        Ok(Said::Nothing) => Ok(None),
        Ok(Said::Strange(event_type)) => Err(Unidentified::Foreign(identity::strange(&event_type))),
        Err(failure) => Err(Unidentified::Away(failure.to_string())),
    }
}

#[async_trait]
impl EventStore for KurrentStore {
    fn log_id(&self) -> LogId {
        self.inner.identity.log_id()
    }

    fn schema_level(&self) -> u32 {
        self.inner.link.level()
    }

    fn grade(&self) -> Grade {
        Grade::WrittenStreamOnly
    }

    async fn append(&self, append: Append) -> Result<Ticket, AppendError> {
        self.inner.append(append, None).await
    }

    async fn append_recorded(
        &self,
        append: Append,
        recorded_at_ms: Vec<i64>,
    ) -> Result<Ticket, AppendError> {
        append.check_times(&recorded_at_ms)?;
        self.inner.append(append, Some(&recorded_at_ms)).await
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

    fn lease(&self) -> Option<Arc<dyn Lease>> {
        let link = Arc::clone(&self.inner.link);
        Some(Arc::new(ClusterLease { link }))
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

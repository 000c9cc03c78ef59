//! The words every store shares: positions, stream names, expected versions, events to append.
//!
//! Plain values without IO. The bounds of an event and of an append stand here once, so that every
//! store refuses the same things.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::AppendError;

/// The bounds of events and appends, the same in every store.
pub mod bounds {
    /// Bytes of an event at most: its texts and its `data`.
    pub const EVENT_BYTES_MAX: usize = 256 * 1024;
    /// Events of an append at most.
    pub const APPEND_EVENTS_MAX: usize = 16;
    /// Bytes of an append at most, counted as for an event.
    pub const APPEND_BYTES_MAX: usize = 512 * 1024;
    /// Bytes of a stream's name at most.
    pub const STREAM_NAME_BYTES_MAX: usize = 200;
    /// Bytes of an actor, a command id, an event type or a member at most.
    pub const TEXT_BYTES_MAX: usize = 1024;
    /// Streams that an append names as read at most.
    pub const APPEND_READS_MAX: usize = 64;
}

/// An event's place in the whole log. Compared, never added to, outside of a store.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The identity of a log, new after every restore and copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub Uuid);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The name of a stream: `category-id`, or a bare category. 1 to 200 bytes of printable ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// The text is not a stream's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stream name (1 to 200 bytes of printable ASCII without spaces): {0:?}")]
pub struct InvalidStreamName(pub String);

impl StreamName {
    /// Checks the text and takes it as a name.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidStreamName> {
        let text = text.into();
        if Self::is_valid(&text) {
            Ok(Self(text))
        } else {
            Err(InvalidStreamName(text.chars().take(64).collect()))
        }
    }

    /// A name that stands in the log already.
    pub(crate) fn unchecked(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the text is a stream's name.
    pub fn is_valid(text: &str) -> bool {
        (1..=bounds::STREAM_NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic())
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first `-`; the whole name where there is none.
    pub fn category(&self) -> &str {
        self.0
            .split_once('-')
            .map_or(&*self.0, |(category, _)| category)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What a stream must be at for an append to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// It has no event.
    NoStream,
    /// Its last event has this version.
    Exact(u64),
}

impl ExpectedVersion {
    /// The version that the next event gets.
    pub fn next(self) -> u64 {
        match self {
            Self::NoStream => 0,
            Self::Exact(version) => version.saturating_add(1),
        }
    }

    /// The expectation that a stream with this last version meets.
    pub fn of(last: Option<u64>) -> Self {
        last.map_or(Self::NoStream, Self::Exact)
    }

    /// The version named, none for no stream.
    pub fn version(self) -> Option<u64> {
        match self {
            Self::NoStream => None,
            Self::Exact(version) => Some(version),
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStream => f.write_str("no stream"),
            Self::Exact(version) => write!(f, "version {version}"),
        }
    }
}

/// The members an event concerns: none, one or two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members([Option<Arc<str>>; 2]);

impl Members {
    /// Nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// One member.
    pub fn one(member: impl Into<Arc<str>>) -> Self {
        Self([Some(member.into()), None])
    }

    /// Two members, in the order given.
    pub fn two(first: impl Into<Arc<str>>, second: impl Into<Arc<str>>) -> Self {
        Self([Some(first.into()), Some(second.into())])
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().flatten()
    }

    pub(crate) fn at(&self, index: usize) -> Option<&str> {
        self.0.get(index).and_then(Option::as_deref)
    }
}

/// An event to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id; a repeated append is recognised by it.
    pub event_id: Uuid,
    /// Its type with schema version, such as `message-sent.v1`.
    pub event_type: Cow<'static, str>,
    /// The command's time, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The command that led to it.
    pub command_id: Arc<str>,
    /// What belongs together over streams.
    pub correlation_id: Uuid,
    /// The command's content, or the event that caused it.
    pub causation_id: Uuid,
    /// Who acted.
    pub actor: Arc<str>,
    /// The members concerned.
    pub members: Members,
    /// In a conversation: the last message's number after this event.
    pub last_number: Option<u64>,
    /// JSON, stored and copied byte for byte.
    pub data: Bytes,
}

impl NewEvent {
    /// The bytes counted against the bounds: its texts and its `data`.
    pub fn counted_bytes(&self) -> usize {
        let members: usize = self.members.iter().map(|m| m.len()).sum();
        self.event_type.len() + self.command_id.len() + self.actor.len() + members + self.data.len()
    }
}

/// Events for one stream, at its expected version, with the versions of streams that were only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The stream written.
    pub stream: StreamName,
    /// Where that stream must be.
    pub expected: ExpectedVersion,
    /// 1 to 16 events, taken whole or not at all.
    pub events: Vec<NewEvent>,
    /// Streams that the decision read, and where they were; a store of
    /// [`Grade::Serializable`](crate::Grade::Serializable) checks them.
    pub reads: Vec<(StreamName, ExpectedVersion)>,
}

impl Append {
    /// Checks that each event has a time at which another log recorded it.
    pub fn check_times(&self, recorded_at_ms: &[i64]) -> Result<(), AppendError> {
        if recorded_at_ms.len() == self.events.len() {
            return Ok(());
        }
        let what = "events of which some have no time of recording";
        Err(AppendError::Unfit { what })
    }

    /// Checks the bounds that are the same in every store, and gives the counted bytes.
    pub fn check_bounds(&self) -> Result<usize, AppendError> {
        let too_large = |what, limit| Err(AppendError::TooLarge { what, limit });
        if self.events.is_empty() {
            return Err(AppendError::Empty);
        }
        if self.events.len() > bounds::APPEND_EVENTS_MAX {
            return too_large("events of an append", bounds::APPEND_EVENTS_MAX);
        }
        if self.reads.len() > bounds::APPEND_READS_MAX {
            return too_large("read streams of an append", bounds::APPEND_READS_MAX);
        }
        let mut total = 0;
        for event in &self.events {
            let longest = [
                event.event_type.len(),
                event.command_id.len(),
                event.actor.len(),
            ]
            .into_iter()
            .chain(event.members.iter().map(|m| m.len()))
            .max();
            if longest.is_some_and(|bytes| bytes > bounds::TEXT_BYTES_MAX) {
                return too_large(
                    "bytes of a text in an event's header",
                    bounds::TEXT_BYTES_MAX,
                );
            }
            let bytes = event.counted_bytes();
            if bytes > bounds::EVENT_BYTES_MAX {
                return too_large("bytes of an event", bounds::EVENT_BYTES_MAX);
            }
            total += bytes;
        }
        if total > bounds::APPEND_BYTES_MAX {
            return too_large("bytes of an append", bounds::APPEND_BYTES_MAX);
        }
        Ok(total)
    }
}

/// Where a reading of a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFrom {
    /// At its first event.
    Start,
    /// At its last event.
    End,
    /// At the event of this version, included.
    Version(u64),
}

/// Which way a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Versions rising.
    Forward,
    /// Versions falling.
    Backward,
}

/// The last event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// Its version.
    pub version: u64,
    /// Its position.
    pub position: Position,
}

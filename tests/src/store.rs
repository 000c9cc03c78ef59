//! Small event stores for tests: events made from numbers, segments of a few kilobytes, file systems
//! that fail, and the naive model that a log is compared with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use event_store::backend::Backend;
use event_store::faults::FaultyBackend;
use event_store::{
    Append, Direction, EmbeddedStore, EventStore, ExpectedVersion, Members, NewEvent, Options,
    Position, RecordedEvent, StreamFrom, StreamName,
};
use uuid::Uuid;

/// The data folder of stores on a file system in memory.
pub const DATA_DIR: &str = "/data";

/// The stream of this number.
///
/// # Panics
/// Never: the name is valid.
pub fn stream(number: u64) -> StreamName {
    StreamName::new(format!("thing-{number}")).expect("a stream's name")
}

/// The event of this number, with about so many bytes of data; the same each time.
pub fn event(number: u64, bytes: usize) -> NewEvent {
    let filler = "x".repeat(bytes.saturating_sub(16));
    NewEvent {
        event_id: Uuid::from_u128(u128::from(number) + 1),
        event_type: "thing-happened.v1".into(),
        at_ms: 1_700_000_000_000,
        command_id: format!("command-{number}").into(),
        correlation_id: Uuid::from_u128(7),
        causation_id: Uuid::from_u128(8),
        actor: "actor".into(),
        members: Members::one("member"),
        last_number: Some(number),
        data: format!(r#"{{"n":{number},"t":"{filler}"}}"#).into(),
    }
}

/// Options for a small log that leaves the process alone when it fails.
pub fn options(backend: Arc<dyn Backend>) -> Options {
    let time = AtomicI64::new(1_700_000_000_000);
    Options {
        segment_bytes: 16 * 1024,
        reserve_bytes: 0,
        max_open_footers: 3,
        index_cache_bytes: 64 * 1024,
        pending_bytes_max: 8 * 1024,
        heads_max: 0,
        on_fatal: Arc::new(|_| {}),
        clock: Arc::new(move || time.fetch_add(1, Ordering::Relaxed)),
        backend,
        ..Options::default()
    }
}

/// Opens a small log on a file system in memory.
pub fn open_small(backend: &FaultyBackend) -> Result<EmbeddedStore, event_store::OpenError> {
    EmbeddedStore::open(DATA_DIR, options(Arc::new(backend.clone())))
}

/// Every event of a log.
///
/// # Panics
/// Where the log does not read.
pub async fn all_events(store: &dyn EventStore) -> Vec<RecordedEvent> {
    let mut all: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = all.last().map_or(Position::START, RecordedEvent::position);
        let events = store
            .read_all(after, 1000, 1 << 20)
            .await
            .expect("the log reads");
        if events.is_empty() {
            return all;
        }
        all.extend(events);
    }
}

/// A log as nobody would build it: a list.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Each append, in order.
    pub appends: Vec<(StreamName, Vec<NewEvent>)>,
    heads: BTreeMap<StreamName, u64>,
}

impl Model {
    /// Where a stream is.
    pub fn expected(&self, stream: &StreamName) -> ExpectedVersion {
        ExpectedVersion::of(self.heads.get(stream).copied())
    }

    /// Makes an append that the stream will take, and notes it.
    pub fn append(&mut self, stream: &StreamName, events: Vec<NewEvent>) -> Append {
        let expected = self.expected(stream);
        let last = expected.next() + events.len() as u64 - 1;
        self.heads.insert(stream.clone(), last);
        self.appends.push((stream.clone(), events.clone()));
        Append {
            stream: stream.clone(),
            expected,
            events,
            reads: Vec::new(),
        }
    }

    /// The events of the log.
    pub fn events(&self) -> impl Iterator<Item = (&StreamName, &NewEvent)> {
        self.appends
            .iter()
            .flat_map(|(stream, events)| events.iter().map(move |e| (stream, e)))
    }

    /// Forgets the appends after this many events; false where that would cut one in two.
    pub fn cut(&mut self, events: usize) -> bool {
        let mut kept = Self::default();
        let mut held = 0;
        for (stream, new) in std::mem::take(&mut self.appends) {
            if held == events {
                break;
            }
            held += new.len();
            kept.append(&stream, new);
        }
        *self = kept;
        held == events
    }

    /// Compares the whole log, by position, by stream and by version.
    ///
    /// # Panics
    /// Where they differ.
    pub async fn compare(&self, store: &dyn EventStore) {
        let events = all_events(store).await;
        assert_eq!(events.len(), self.events().count(), "events of the log");
        let mut versions: BTreeMap<&StreamName, u64> = BTreeMap::new();
        for ((stored, (stream, new)), position) in events.iter().zip(self.events()).zip(1..) {
            let version = versions.entry(stream).and_modify(|v| *v += 1).or_insert(0);
            assert_eq!(stored.position(), Position(position));
            assert_eq!(stored.stream(), stream.as_str());
            assert_eq!(stored.version(), *version);
            assert_eq!(stored.event_id(), new.event_id);
            assert_eq!(stored.data(), &new.data[..]);
            let one = store
                .read_one(stream, *version)
                .await
                .expect("the log reads");
            assert_eq!(one.as_ref(), Some(stored));
        }
        for (stream, last) in &versions {
            let head = store
                .head(stream)
                .await
                .expect("the log reads")
                .expect("a head");
            assert_eq!(head.version, *last);
            let forward = store
                .read_stream(stream, StreamFrom::Start, Direction::Forward, usize::MAX)
                .await
                .expect("the log reads");
            let of_stream = events
                .iter()
                .filter(|event| event.stream() == stream.as_str())
                .cloned();
            assert_eq!(forward, of_stream.collect::<Vec<_>>());
            assert_eq!(
                forward.last().map(RecordedEvent::position),
                Some(head.position)
            );
            assert_eq!(store.read_one(stream, last + 1).await, Ok(None));
        }
    }
}

/// The names of the log's files, by their endings.
pub fn log_file(name: &str) -> std::path::PathBuf {
    Path::new(DATA_DIR).join("log").join(name)
}

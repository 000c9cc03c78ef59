//! Copies of logs as processes: logs of events that no program knows, a store to copy them to, and a copy that is killed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use event_store::{
    Append, EmbeddedStore, EventStore, ExpectedVersion, LogAtRest, Members, NewEvent, Options,
    Position, RecordedEvent, StreamName,
};
use uuid::Uuid;

use crate::cluster::Log;
use crate::program::{self, Ended, Server};
use crate::store::all_events;

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(5);

/// An event of this number, of a type that no program knows.
fn event(number: u64, bytes: usize) -> NewEvent {
    let filler = "ß".repeat(bytes / 2);
    NewEvent {
        event_id: Uuid::from_u128(u128::from(number) + 1),
        event_type: "something-of-later.v7".into(),
        at_ms: 1_700_000_000_000 + i64::try_from(number).expect("small"),
        command_id: format!("command-{number}").into(),
        correlation_id: Uuid::from_u128(7),
        causation_id: Uuid::from_u128(8),
        actor: "ann".into(),
        members: match number % 3 {
            0 => Members::none(),
            1 => Members::one("ann"),
            _ => Members::two("ann", "bob"),
        },
        last_number: number.is_multiple_of(2).then_some(number),
        data: format!(r#"{{ "later" : {number},"text":"{filler}" }}"#).into(),
    }
}

/// A log of a test.
pub fn options() -> Options {
    Options {
        reserve_bytes: 0,
        segment_bytes: 1024 * 1024,
        ..Options::default()
    }
}

/// Appends events to a log at rest, each to the stream that its number is of, and closes it.
pub async fn fill(data: &Path, numbers: std::ops::Range<u64>, stream_of: impl Fn(u64) -> String) {
    let store = EmbeddedStore::open(data, options()).expect("a log");
    append(&store, numbers, stream_of).await;
    store.close();
}

/// Appends events, each to the stream that its number is of.
pub async fn append(
    store: &dyn EventStore,
    numbers: std::ops::Range<u64>,
    stream_of: impl Fn(u64) -> String,
) {
    let mut heads: BTreeMap<StreamName, Option<u64>> = BTreeMap::new();
    let mut last = Position::START;
    for number in numbers {
        let stream = StreamName::new(stream_of(number)).expect("a name");
        if !heads.contains_key(&stream) {
            let head = store.head(&stream).await.expect("the log reads");
            heads.insert(stream.clone(), head.map(|head| head.version));
        }
        let head = heads.get_mut(&stream).expect("just put there");
        let expected = ExpectedVersion::of(*head);
        *head = Some(expected.next());
        let append = Append {
            stream,
            expected,
            events: vec![event(number, 60)],
            reads: Vec::new(),
        };
        let ticket = store.append(append).await.expect("a place");
        last = ticket.last_position;
    }
    store.wait_durable(last).await.expect("the disk");
}

/// Runs of one stream, longer than an append, and streams in turn.
pub fn mixed(number: u64) -> String {
    if number % 100 < 40 {
        "member-ann".to_owned()
    } else {
        format!("conversation-{}", number % 7)
    }
}

/// The events of a log at rest, of whatever level that is known.
pub async fn at_rest(data: &Path) -> Vec<RecordedEvent> {
    let options = Options {
        schema_level: domain::codec::LEVEL,
        ..options()
    };
    let log = LogAtRest::open(data, &options).expect("the log opens");
    all_events(&log).await
}

/// The log of a data folder, as `copy` is told of it.
pub fn folder(data: &Path) -> String {
    format!("embedded:{}", data.display())
}

/// Copies, to the end.
pub fn copy(from: &str, to: &str) -> Ended {
    program::run(["copy", "--from", from, "--to", to, "--reserve-bytes", "0"])
}

/// What two logs have in common when one is a copy of the other.
pub fn digests(events: &[RecordedEvent]) -> Vec<[u8; 32]> {
    events.iter().map(RecordedEvent::canonical_digest).collect()
}

/// `doorstep store` over a folder, and how to reach it.
pub fn store(data: &Path) -> (Server, String) {
    let mut command = program::doorstep(["store", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(data);
    let server = Server::spawn(command, data);
    let at = server.url.clone();
    (server, at)
}

/// A copy on its way, killed when dropped.
pub struct Copying(Child);

impl Copying {
    /// Begins one.
    pub fn begin(from: &str, to: &str, more: &[&str]) -> Self {
        let mut command = program::doorstep(["copy", "--from", from, "--to", to]);
        command.args(["--reserve-bytes", "0"]).args(more);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("copy starts"))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_some()
    }

    /// Kills it, in the middle.
    pub fn kill(mut self) {
        self.0.kill().expect("it runs");
        let status = self.0.wait().expect("it was a child");
        assert_eq!(status.code(), None, "killed, and not done already");
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> Ended {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let told = self.0.stdout.take().expect("piped");
        let words = self.0.stderr.take().expect("piped");
        let telling = std::thread::spawn(move || {
            let mut words = words;
            words.read_to_string(&mut stderr).expect("UTF-8");
            stderr
        });
        let mut told = told;
        told.read_to_string(&mut stdout).expect("UTF-8");
        let status = self.0.wait().expect("it was a child");
        Ended {
            status: status.code(),
            stdout,
            stderr: telling.join().expect("it reads"),
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a log has come so far.
pub async fn reaches(log: &Log, position: u64) {
    let mut changes = log.store.durable_changes();
    let there = changes.wait_for(|durable| durable.0 >= position);
    let waited = tokio::time::timeout(LONG, there).await;
    waited.expect("in time").expect("the log is open");
}

//! A write side over a real embedded store in a folder of its own, with a clock that stands until it is moved.
//!
//! [`Desk`] opens, closes and opens again; its short words send the commands that most tests begin with. What is in the
//! log is read back from the store, never from the write side.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use commands::{
    Answer, Clock, Command, CommandError, CommandHandler, Envelope, Mode, Options, Outcome, Target,
};
use domain::conversation::{GivenRelationship, RelationshipKind};
use domain::ids::{CommandId, MemberId};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::{DAY_MS, Timestamp};
use event_store::backend::{self, Backend, BackendFile, RealBackend};
use event_store::{
    Append, EmbeddedStore, EventStore, ExpectedVersion, Members, NewEvent, Position, RecordedEvent,
    StreamName,
};
use tempfile::TempDir;

/// When the tests' clock starts: some days after everybody's registration.
pub const START: Timestamp = Timestamp(1_700_000_000_000);
/// When everybody registered.
pub const REGISTERED: Timestamp = Timestamp(START.0 - 30 * DAY_MS);

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct StandingClock(AtomicI64);

impl StandingClock {
    /// A clock that stands at [`START`].
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(START.0)))
    }

    /// Moves it on.
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A write side, its store and its folder.
pub struct Desk {
    /// The write side.
    pub handler: CommandHandler,
    /// The store.
    pub store: Arc<dyn EventStore>,
    /// Its clock.
    pub clock: Arc<StandingClock>,
    /// Its folder, removed at the end.
    pub dir: Arc<TempDir>,
    next: AtomicU64,
    options: Options,
    store_options: event_store::Options,
}

/// A member's id.
pub fn member(id: &str) -> MemberId {
    MemberId::new(id).unwrap()
}

/// A command's id.
pub fn id(id: &str) -> CommandId {
    CommandId::new(id).unwrap()
}

/// The conversation with this member.
pub fn with(other: &str) -> Target {
    Target::With(member(other))
}

/// Store options for tests: small segments, no reserve of free disk, the newest schema level.
pub fn store_options() -> event_store::Options {
    event_store::Options {
        segment_bytes: 1024 * 1024,
        reserve_bytes: 0,
        schema_level: domain::codec::LEVEL,
        ..event_store::Options::default()
    }
}

impl Desk {
    /// A write side in service, over a new log.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// The same, with options changed.
    pub async fn open_with(change: impl FnOnce(&mut Options)) -> Self {
        Self::open_over(store_options(), change).await
    }

    /// The same, with a store of one's own.
    pub async fn open_over(
        store_options: event_store::Options,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let clock = StandingClock::new();
        let mut options = Options::new(
            Some(dir.path().join("tables")),
            Mode::Service,
            Arc::new(Rules::default()),
        );
        options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        options.filter_bytes = 1 << 20;
        change(&mut options);
        Self::start(dir, clock, options, store_options).await
    }

    /// A node on a log that others write to as well, by this clock, with so much patience for the one that leads.
    pub async fn node(
        store: Arc<dyn EventStore>,
        clock: &Arc<StandingClock>,
        patience: Duration,
    ) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let mut options = Options::new(
            Some(dir.path().join("tables")),
            Mode::Service,
            Arc::new(Rules::default()),
        );
        options.clock = Arc::clone(clock) as Arc<dyn Clock>;
        options.filter_bytes = 1 << 20;
        options.lease_patience = patience;
        Self::start_over(store, dir, Arc::clone(clock), options, store_options()).await
    }

    async fn start(
        dir: Arc<TempDir>,
        clock: Arc<StandingClock>,
        options: Options,
        store_options: event_store::Options,
    ) -> Self {
        let store: Arc<dyn EventStore> =
            Arc::new(EmbeddedStore::open(dir.path(), store_options.clone()).unwrap());
        Self::start_over(store, dir, clock, options, store_options).await
    }

    async fn start_over(
        store: Arc<dyn EventStore>,
        dir: Arc<TempDir>,
        clock: Arc<StandingClock>,
        options: Options,
        store_options: event_store::Options,
    ) -> Self {
        let handler = CommandHandler::start(Arc::clone(&store), options.clone())
            .await
            .unwrap();
        Self {
            handler,
            store,
            clock,
            dir,
            next: AtomicU64::new(0),
            options,
            store_options,
        }
    }

    /// Stops in order and opens again.
    pub async fn reopen(self) -> Self {
        self.reopen_with(|_| {}).await
    }

    /// A write side over a log that ends like this one, as a kill left it: opened, and its reactors at the end.
    pub async fn over(log: &[RecordedEvent]) -> Self {
        let desk = Self::open().await;
        desk.handler.stop().await;
        // The first event is the policy, which every new log has.
        append_copy(&*desk.store, &log[1..]).await;
        let desk = desk.reopen().await;
        desk.handler.drain_reactors().await.unwrap();
        desk
    }

    /// The same, and once more, with what the reactors of the first time wrote.
    pub async fn over_twice(log: &[RecordedEvent]) -> Self {
        let desk = Self::over(log).await.reopen().await;
        desk.handler.drain_reactors().await.unwrap();
        desk
    }

    /// Stops in order and opens again, the store with options changed.
    pub async fn reopen_over(mut self, change: impl FnOnce(&mut event_store::Options)) -> Self {
        change(&mut self.store_options);
        self.reopen().await
    }

    /// Stops in order and opens again, with options changed.
    pub async fn reopen_with(self, change: impl FnOnce(&mut Options)) -> Self {
        self.handler.stop().await;
        let Self {
            handler,
            store,
            clock,
            dir,
            mut options,
            store_options,
            ..
        } = self;
        drop(handler);
        drop(store);
        change(&mut options);
        Self::start(dir, clock, options, store_options).await
    }

    /// Sends a command under an id of its own.
    pub async fn send(&self, actor: &str, command: Command) -> Result<Outcome, CommandError> {
        let next = self.next.fetch_add(1, Ordering::SeqCst);
        // The folder is in it, so that ids are new after every opening, too.
        let own = format!(
            "{}-{next}-{}",
            std::ptr::from_ref(self).addr(),
            self.store.durable_position()
        );
        self.send_as(actor, &own, command).await
    }

    /// Sends a command under this id.
    pub async fn send_as(
        &self,
        actor: &str,
        command_id: &str,
        command: Command,
    ) -> Result<Outcome, CommandError> {
        self.handler
            .handle(envelope(actor, command_id, command))
            .await
    }

    /// Registers adults whose audience is `everyone`.
    pub async fn members(&self, ids: &[&str]) {
        for id in ids {
            self.send(
                "host",
                Command::RegisterMember {
                    member: member(id),
                    age_band: AgeBand::Adult,
                    registered_at: Some(REGISTERED),
                },
            )
            .await
            .unwrap();
            self.send(
                id,
                Command::ChangeDmSetting {
                    audience: Audience::Everyone,
                },
            )
            .await
            .unwrap();
        }
    }

    /// Sends a message.
    pub async fn message(&self, from: &str, to: &str, text: &str) -> Result<Outcome, CommandError> {
        self.send(from, message(to, text)).await
    }

    /// Lets `member` follow `other`.
    pub async fn follow(&self, follower: &str, other: &str) {
        let command = Command::RecordRelationship {
            member: member(follower),
            kind: RelationshipKind::Follow,
            other: member(other),
        };
        self.send("host", command).await.unwrap();
    }

    /// Every event that is durable.
    pub async fn log(&self) -> Vec<RecordedEvent> {
        log(&*self.store).await
    }

    /// How many durable events have this type.
    pub async fn count(&self, event_type: &str) -> usize {
        self.log()
            .await
            .iter()
            .filter(|record| record.event_type() == event_type)
            .count()
    }
}

/// Every event of a store that is durable.
pub async fn log(store: &dyn EventStore) -> Vec<RecordedEvent> {
    let mut found: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = found
            .last()
            .map_or(Position::START, RecordedEvent::position);
        let page = store.read_all(after, 4096, 1 << 20).await.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// A command in its envelope, without a time of its own.
pub fn envelope(actor: &str, command_id: &str, command: Command) -> Envelope {
    Envelope {
        actor: member(actor),
        command_id: id(command_id),
        id_given: true,
        at: None,
        command,
    }
}

/// A message to a member.
pub fn message(to: &str, text: &str) -> Command {
    Command::SendMessage {
        to: member(to),
        text: text.to_owned(),
        relationship: GivenRelationship::default(),
    }
}

/// The number a message got.
pub fn number(outcome: &Result<Outcome, CommandError>) -> u64 {
    match outcome {
        Ok(Outcome {
            answer: Answer::Sent { number, .. },
            ..
        }) => *number,
        other => panic!("not sent: {other:?}"),
    }
}

/// The code of a refusal, or the name of another error; `ok` for an outcome.
pub fn code(outcome: &Result<Outcome, CommandError>) -> String {
    match outcome {
        Ok(_) => "ok".to_owned(),
        Err(CommandError::Refused(refusal)) => refusal.code().as_str().to_owned(),
        Err(other) => other.to_string(),
    }
}

/// The event as it would be appended again.
pub fn copy_of(record: &RecordedEvent) -> NewEvent {
    let mut members = record.members();
    let members = match (members.next(), members.next()) {
        (Some(one), Some(other)) => Members::two(one, other),
        (Some(one), None) => Members::one(one),
        (None, _) => Members::none(),
    };
    NewEvent {
        event_id: record.event_id(),
        event_type: Cow::Owned(record.event_type().to_owned()),
        at_ms: record.at_ms(),
        command_id: Arc::from(record.command_id()),
        correlation_id: record.correlation_id(),
        causation_id: record.causation_id(),
        actor: Arc::from(record.actor()),
        members,
        last_number: record.last_number(),
        data: Bytes::copy_from_slice(record.data()),
    }
}

/// Appends copies of another log's events, each at its own version, as another node would; those of one append
/// together.
pub async fn append_copy(store: &dyn EventStore, records: &[RecordedEvent]) {
    for append in appends_of(records) {
        store.append(append).await.unwrap().durable().await.unwrap();
    }
}

/// The appends that wrote these events: neighbours on one stream with one cause.
pub fn appends_of(records: &[RecordedEvent]) -> Vec<Append> {
    let mut appends: Vec<Append> = Vec::new();
    let mut last: Option<&RecordedEvent> = None;
    for record in records {
        let together = last.is_some_and(|last| {
            last.stream() == record.stream()
                && last.correlation_id() == record.correlation_id()
                && last.causation_id() == record.causation_id()
        });
        match appends.last_mut() {
            Some(append) if together => append.events.push(copy_of(record)),
            _ => appends.push(Append {
                stream: StreamName::new(record.stream()).unwrap(),
                expected: ExpectedVersion::of(record.version().checked_sub(1)),
                events: vec![copy_of(record)],
                reads: Vec::new(),
            }),
        }
        last = Some(record);
    }
    appends
}

/// Holds back every sync of a file system while it is closed, or one reading.
#[derive(Clone, Default)]
pub struct Gate(Arc<GateState>);

#[derive(Default)]
struct GateState {
    held: Mutex<Held>,
    bytes_read: AtomicU64,
    opened: Condvar,
    reached: tokio::sync::Notify,
}

#[derive(Default)]
struct Held {
    syncs: bool,
    /// Readings that still pass before one is held back.
    reading_after: Option<u64>,
    /// A reading is held back.
    reading: bool,
}

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds back syncs from now on.
    pub fn close(&self) {
        self.0.held.lock().unwrap().syncs = true;
    }

    /// Holds back one reading, after so many others, and lets all others pass.
    pub fn hold_one_reading(&self, after: u64) {
        self.0.held.lock().unwrap().reading_after = Some(after);
    }

    /// Lets everything go.
    pub fn open(&self) {
        *self.0.held.lock().unwrap() = Held::default();
        self.0.opened.notify_all();
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.0.bytes_read.load(Ordering::SeqCst)
    }

    /// Ends when something is held back.
    pub async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// The machine's file system behind this gate.
    pub fn backend(&self) -> GatedBackend {
        self.before(Arc::new(RealBackend))
    }

    /// A file system behind this gate.
    pub fn before(&self, backend: Arc<dyn Backend>) -> GatedBackend {
        GatedBackend {
            gate: self.clone(),
            backend,
        }
    }

    fn wait_while(&self, closed: impl Fn(&Held) -> bool) {
        let mut held = self.0.held.lock().unwrap();
        while closed(&held) {
            self.0.reached.notify_one();
            held = self.0.opened.wait(held).unwrap();
        }
    }

    fn pass_sync(&self) {
        self.wait_while(|held| held.syncs);
    }

    fn pass_reading(&self) {
        let mut held = self.0.held.lock().unwrap();
        match held.reading_after {
            None => return,
            Some(0) => {
                held.reading_after = None;
                held.reading = true;
            }
            Some(after) => {
                held.reading_after = Some(after - 1);
                return;
            }
        }
        drop(held);
        self.wait_while(|held| held.reading);
    }
}

/// A file system behind a gate.
pub struct GatedBackend {
    gate: Gate,
    backend: Arc<dyn Backend>,
}

struct GatedFile {
    gate: Gate,
    file: Arc<dyn BackendFile>,
}

impl Backend for GatedBackend {
    fn open(&self, path: &Path, mode: backend::Mode) -> io::Result<Arc<dyn BackendFile>> {
        let file = self.backend.open(path, mode)?;
        Ok(Arc::new(GatedFile {
            gate: self.gate.clone(),
            file,
        }))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.backend.list(dir)
    }
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.backend.create_dir(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.backend.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.backend.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.backend.sync_dir(dir)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.backend.free_bytes(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.backend.lock(path)
    }
}

impl BackendFile for GatedFile {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.gate.pass_reading();
        let read = self.file.read_at(out, offset)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.gate.0.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        Ok(read)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.gate.pass_sync();
        self.file.sync()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

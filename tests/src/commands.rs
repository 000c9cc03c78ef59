//! A write side over a real embedded store in a folder of its own, with a clock that stands until it is moved.
//!
//! [`Desk`] opens, closes and opens again; its short words send the commands that most tests begin with. What is in the
//! log is read back from the store, never from the write side.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use commands::{
    Answer, Clock, Command, CommandError, CommandHandler, Envelope, Mode, Options, Outcome, Target,
};
use domain::conversation::RelationshipKind;
use domain::ids::{CommandId, MemberId};
use domain::member::AgeBand;
use domain::policy::{Audience, Rules};
use domain::time::{DAY_MS, Timestamp};
use event_store::{EmbeddedStore, EventStore, Position, RecordedEvent};
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

/// Store options for tests: small segments, no reserve of free disk.
pub fn store_options() -> event_store::Options {
    event_store::Options {
        segment_bytes: 1024 * 1024,
        reserve_bytes: 0,
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

    async fn start(
        dir: Arc<TempDir>,
        clock: Arc<StandingClock>,
        options: Options,
        store_options: event_store::Options,
    ) -> Self {
        let store: Arc<dyn EventStore> =
            Arc::new(EmbeddedStore::open(dir.path(), store_options.clone()).unwrap());
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
        at: None,
        command,
    }
}

/// A message to a member.
pub fn message(to: &str, text: &str) -> Command {
    Command::SendMessage {
        to: member(to),
        text: text.to_owned(),
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

//! The door of the write side: takes commands, answers them, ends in order.
//!
//! Before a command goes to its worker its id is claimed: one that was decided before, here or in an earlier run, gets
//! its first outcome again. During an import the timers that are due before a command, and the reactors that it
//! concerns, run between the commands, so that the log comes out the same however often the import was killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use domain::ids::{CommandId, MemberId, correlation_id};
use domain::time::Timestamp;
use event_store::{EventStore, Position, StreamName};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tables::RunnerHandle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::archive::{Archive, Found, Trace};
use crate::idempotency::{Begun, Claim};
use crate::job::{At, Decided, Job, Origin, Place, Reply};
use crate::pending::{Pending, settled};
use crate::reactors::Cases;
use crate::repeat::First;
use crate::routing::of_command;
use crate::shared::Shared;
use crate::starting::{Started, start};
use crate::steps::slot_return;
use crate::worker::Message;
use crate::{
    Command, CommandError, Envelope, Kind, Mode, Options, Outcome, as_of, ids, repeat, slots,
    snapshots, timekeeping,
};

/// How far ahead of the clock a command's time may be.
pub(crate) const AHEAD_MS_MAX: i64 = 5_000;
/// Ids that the index has not applied at most; beyond it the write side is busy.
const RECENT_MAX: usize = 1 << 20;
/// Commands between two looks at how far the followers of the log are behind.
const ROOM_EVERY: u32 = 16;

/// The write side over one store; cheap to clone.
#[derive(Clone)]
pub struct CommandHandler {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    runner: RunnerHandle,
    pub(crate) cases: Arc<Cases>,
    archive: Option<Archive>,
    stopping: AtomicBool,
    stop: watch::Sender<bool>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    keeping: Mutex<Option<JoinHandle<()>>>,
    acting: Mutex<Vec<JoinHandle<()>>>,
    room: RwLock<Vec<Room>>,
    turn: AtomicU32,
}

/// Waits until a follower of the log has room for more.
type Room = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Why the write side did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its tables cannot be opened.
    #[error("the write side's tables: {0}")]
    Tables(String),
    /// The log cannot be read, or an event of it cannot be decoded.
    #[error("the log cannot be read: {0}")]
    Log(String),
    /// The policy of the configuration cannot be, or could not be set.
    #[error("the first policy: {0}")]
    Policy(String),
}

/// How a reactor is, for readiness and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReactorStatus {
    /// Its name.
    pub name: &'static str,
    /// The last position of the log handled.
    pub handled: Position,
    /// The position of the log up to which it has taken up every cause there is.
    pub reached: Position,
    /// Targets whose events wait because one could not be handled.
    pub parked: usize,
}

/// What comes of a command's id.
enum Known {
    /// Decided before.
    Before(Result<Outcome, CommandError>),
    /// To be decided now.
    New(Box<Job>),
}

impl CommandHandler {
    /// Opens the write side's tables, sets the first policy where the log has none, starts workers, reactors and timers.
    /// Returns once the command index has caught up with the log.
    pub async fn start(store: Arc<dyn EventStore>, options: Options) -> Result<Self, StartError> {
        let mode = options.mode;
        let Started {
            shared,
            runner,
            cases,
            workers,
            keeping,
        } = start(store, options).await?;
        let archive = match mode {
            Mode::Service => None,
            Mode::Import => Some(
                Archive::read(&*shared.store)
                    .await
                    .map_err(|error| StartError::Log(error.to_string()))?,
            ),
        };
        let (stop, stopped) = watch::channel(false);
        let handler = Self {
            inner: Arc::new(Inner {
                shared,
                runner,
                cases,
                archive,
                stopping: AtomicBool::new(false),
                stop,
                workers: Mutex::new(workers),
                keeping: Mutex::new(Some(keeping)),
                acting: Mutex::new(Vec::new()),
                room: RwLock::new(Vec::new()),
                turn: AtomicU32::new(0),
            }),
        };
        let own = handler.inner.runner.clone();
        handler.hold_back_for(move || {
            let own = own.clone();
            async move { own.room().await }
        });
        if mode == Mode::Service {
            let cases = Arc::clone(&handler.inner.cases);
            let timers = Arc::clone(&handler.inner.shared);
            let slots = Arc::clone(&handler.inner.shared);
            let (cases_stopped, slots_stopped) = (stopped.clone(), stopped.clone());
            handler.inner.acting.lock().extend([
                tokio::spawn(async move { slots::run(&slots, slots_stopped).await }),
                tokio::spawn(async move { cases.run(cases_stopped).await }),
                tokio::spawn(async move { timekeeping::keep_time(&timers, stopped).await }),
            ]);
        } else {
            // A run that was killed may have left a report without its case.
            let log = |error: CommandError| StartError::Log(error.to_string());
            handler.inner.shared.leading.claim().await.map_err(log)?;
            handler
                .drain_reactors()
                .await
                .map_err(|error| StartError::Log(error.to_string()))?;
        }
        Ok(handler)
    }

    /// Carries a command out. What it gives is durable.
    pub async fn handle(&self, envelope: Envelope) -> Result<Outcome, CommandError> {
        if self.inner.shared.options.mode == Mode::Import {
            return self.submit(envelope).await?.durable().await;
        }
        let result = match self.begin(envelope).await? {
            Known::Before(outcome) => outcome,
            Known::New(mut job) => {
                let (caller, outcome) = oneshot::channel();
                job.reply = Reply::Durable(caller);
                self.inner.shared.dispatch(job);
                outcome.await.unwrap_or(Err(CommandError::OutcomeUnknown))
            }
        };
        settled(&self.inner.shared, &result).await;
        result
    }

    /// What a command came to that was given before; none where its id is new. Decides nothing, and leaves a new id free.
    pub async fn before(&self, envelope: Envelope) -> Result<Option<Outcome>, CommandError> {
        match self.begin(envelope).await? {
            Known::Before(outcome) => {
                settled(&self.inner.shared, &outcome).await;
                outcome.map(Some)
            }
            Known::New(_) => Ok(None),
        }
    }

    /// Decides a command and fixes the place of its events, without waiting for them to be durable. Commands submitted
    /// one after the other are decided in that order. In [`Mode::Import`] the timers that are due before a new one, and
    /// the reactors that it concerns, have run when it returns.
    pub async fn submit(&self, envelope: Envelope) -> Result<Pending, CommandError> {
        let importing = self.inner.shared.options.mode == Mode::Import;
        let at = envelope.at;
        let goes_on = envelope.command.moves_reactors();
        let decided = match self.begin(envelope).await? {
            Known::Before(result) => Decided {
                result,
                position: Position::START,
            },
            Known::New(mut job) => {
                if importing && let Some(at) = at {
                    self.run_timers(at).await?;
                }
                let (caller, decided) = oneshot::channel();
                job.reply = Reply::Decided(caller);
                self.inner.shared.dispatch(job);
                decided.await.unwrap_or(Decided {
                    result: Err(CommandError::OutcomeUnknown),
                    position: Position::START,
                })
            }
        };
        if importing
            && goes_on
            && matches!(&decided.result, Ok(outcome) if outcome.kind == Kind::Done)
        {
            self.inner
                .shared
                .store
                .wait_durable(decided.position)
                .await?;
            self.inner.cases.drain().await?;
        }
        Ok(Pending::new(&self.inner.shared, decided))
    }

    /// Where the log has a command of this actor, whatever its age; none where it left no trace. For `import`, which has
    /// to know how far an earlier run came.
    pub async fn trace(
        &self,
        actor: &MemberId,
        command_id: &CommandId,
    ) -> Result<Option<Trace>, CommandError> {
        let Some(archive) = &self.inner.archive else {
            return Ok(None);
        };
        let id = correlation_id(actor.as_str(), command_id.as_str());
        let found = archive.find(&*self.inner.shared.store, id).await?;
        Ok(found.map(|found| Trace {
            position: found.record.position(),
            before: found.before,
            content: found.record.causation_id(),
        }))
    }

    /// Just before the timers and steps that ended the log when an import began: they belong to a command that a killed
    /// run did not come to. None where the log did not end so.
    pub fn unfinished(&self) -> Option<Position> {
        self.inner.archive.as_ref().and_then(Archive::unfinished)
    }

    /// What a command that left no trace came to when it was decided before: decided again on the state as of a
    /// position, and of what the timers right after it did up to a time, writing nothing; none where it would write
    /// events, so that it was never decided. For `import`, whose lines without a trace must not be decided on what came
    /// after them.
    pub async fn decide_as_of(
        &self,
        envelope: Envelope,
        as_of: Position,
        time: Timestamp,
    ) -> Result<Option<Outcome>, CommandError> {
        as_of::decide(&self.inner.shared, envelope, as_of, time).await
    }

    /// Appends what the timers owe up to a time. In service they run by themselves, on the clock, and one that fails
    /// keeps no other waiting.
    pub async fn run_timers(&self, until: Timestamp) -> Result<(), CommandError> {
        timekeeping::run_timers(&self.inner.shared, until).await
    }

    /// Lets the reactors handle everything that is durable now, and waits until what they did is durable, too.
    pub async fn drain_reactors(&self) -> Result<(), CommandError> {
        self.inner.cases.drain().await?;
        self.inner.cases.durable().await
    }

    /// Gives back the slots of the daily limit that were taken a minute ago or earlier and opened no request. In service
    /// this happens by itself; an import repeats its commands instead.
    pub async fn give_back_slots(&self) -> Result<(), CommandError> {
        slots::give_back(&self.inner.shared, slots::GRACE_MS).await
    }

    /// How the reactors are.
    pub fn reactors(&self) -> Vec<ReactorStatus> {
        vec![self.inner.cases.status()]
    }

    /// Why no command is taken any more; none while commands are.
    pub fn ended(&self) -> Option<&'static str> {
        let any_ended =
            |tasks: &Mutex<Vec<JoinHandle<()>>>| tasks.lock().iter().any(JoinHandle::is_finished);
        if self.inner.stopping.load(Ordering::Acquire) {
            Some("the write side was stopped")
        } else if any_ended(&self.inner.workers) {
            Some("a worker of the write side has ended")
        } else if any_ended(&self.inner.acting) {
            Some("the reactors or the timers have ended")
        } else {
            None
        }
    }

    /// How the write side's own tables are; a stopped one means that repeated commands are no longer recognised.
    pub fn tables(&self) -> Vec<tables::Status> {
        self.inner.runner.states()
    }

    /// Lets commands wait for a follower of the log that falls behind, such as the read side: `room` ends when it has
    /// room for more. Every sixteenth command asks.
    pub fn hold_back_for<R>(&self, room: impl Fn() -> R + Send + Sync + 'static)
    where
        R: Future<Output = ()> + Send + 'static,
    {
        self.inner
            .room
            .write()
            .push(Box::new(move || room().boxed()));
    }

    /// Takes no more commands (they get `Busy`), answers those accepted, stops reactors and timers, closes the tables.
    pub async fn stop(&self) {
        self.inner.stopping.store(true, Ordering::Release);
        self.inner.stop.send_replace(true);
        let acting = std::mem::take(&mut *self.inner.acting.lock());
        for task in acting {
            // A task that panicked has ended, which is all that is asked of it here.
            let _ = task.await;
        }
        self.inner.shared.leading.leave().await;
        self.inner.shared.in_flight.none().await;
        for lane in &self.inner.shared.lanes {
            let _ = lane.messages.send(Message::Stop);
        }
        let workers = std::mem::take(&mut *self.inner.workers.lock());
        for task in workers {
            let _ = task.await;
        }
        self.inner.shared.kept.stop().await;
        let keeping = self.inner.keeping.lock().take();
        if let Some(task) = keeping {
            let _ = task.await;
        }
        self.inner.room.write().clear();
        if let Err(error) = self.inner.runner.stop().await {
            tracing::warn!(%error, "the write side's tables did not close");
        }
    }

    /// Claims the command's id, or finds its first outcome.
    async fn begin(&self, envelope: Envelope) -> Result<Known, CommandError> {
        let shared = &self.inner.shared;
        if self.inner.stopping.load(Ordering::Acquire) || shared.recent.len() > RECENT_MAX {
            return Err(CommandError::Busy);
        }
        if self
            .inner
            .turn
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(ROOM_EVERY)
        {
            let rooms: Vec<_> = self.inner.room.read().iter().map(|room| room()).collect();
            for room in rooms {
                room.await;
            }
        }
        let (correlation, causation) = envelope.ids();
        loop {
            match shared
                .recent
                .begin(correlation, causation, shared.view.applied())
            {
                Begun::Claimed(claim) => {
                    if let Some(first) = self.decided_before(correlation, causation).await? {
                        return Ok(self
                            .repeated(&envelope, correlation, causation, first)
                            .await);
                    }
                    // What was decided before was in time then.
                    let ahead = |at: Timestamp| at.since_ms(shared.options.clock.now());
                    if envelope.at.is_some_and(|at| ahead(at) > AHEAD_MS_MAX) {
                        return Err(CommandError::InvalidTime(crate::WrongTime::Ahead));
                    }
                    return self
                        .job(envelope, correlation, causation, claim)
                        .map(Known::New);
                }
                // Whether it was decided or given up, and on what content, the next turn tells.
                Begun::Running(ended) => drop(ended.await),
                Begun::Unchanged(first, position, outcome) => {
                    shared.store.wait_durable(position).await?;
                    if first != causation {
                        return Err(CommandError::CommandIdReused);
                    }
                    shared.counters.repeated();
                    return Ok(Known::Before(Ok(outcome)));
                }
                Begun::Decided(seen) => {
                    shared.store.wait_durable(seen.position).await?;
                    if seen.causation != causation {
                        return Err(CommandError::CommandIdReused);
                    }
                    let first = self
                        .first_outcome(seen.stream, seen.version, correlation, causation)
                        .await;
                    return match first {
                        Some(first) => Ok(self
                            .repeated(&envelope, correlation, causation, first)
                            .await),
                        None => Err(CommandError::OutcomeUnknown),
                    };
                }
            }
        }
    }

    /// The answer to a command that came before. A crash may have kept it from giving back a slot that it did not use,
    /// which is done now.
    async fn repeated(
        &self,
        envelope: &Envelope,
        correlation: Uuid,
        causation: Uuid,
        first: First,
    ) -> Known {
        let shared = &self.inner.shared;
        shared.counters.repeated();
        if first.opened_nothing && matches!(envelope.command, Command::SendMessage { .. }) {
            let (actor, command_id) = (&envelope.actor, &envelope.command_id);
            let sender = if let Some(sender) = shared.facts.member(actor) {
                Some(sender)
            } else {
                // What cannot be read now is found again by the next try.
                let (reading, actor) = (Arc::clone(shared), actor.clone());
                let load = async move { snapshots::load_member(&reading, &actor).await.ok() };
                shared.loading.read(load).await.flatten()
            };
            let at = envelope.at.unwrap_or_else(|| shared.options.clock.now());
            if sender.is_some_and(|fact| fact.state.has_slot(command_id, None, at)) {
                let origin = Origin::Command {
                    actor: actor.clone(),
                    command_id: command_id.clone(),
                    correlation,
                    causation,
                    step: true,
                };
                let at = envelope.at.map_or(At::Clock, At::Given);
                if let Some(returned) = slot_return(&shared.in_flight, actor, &origin, at) {
                    shared.dispatch(Box::new(returned));
                }
            }
        }
        Known::Before(first.result)
    }

    /// The first outcome of a command that an earlier run decided, or that the index has taken over.
    async fn decided_before(
        &self,
        correlation: Uuid,
        causation: Uuid,
    ) -> Result<Option<First>, CommandError> {
        let found = self.left_events(correlation, causation).await?;
        if found.is_some() || self.inner.shared.options.mode == Mode::Import {
            return Ok(found);
        }
        Ok(self.wrote_nothing(correlation, causation).await)
    }

    /// The first outcome of a command that was so already, where it is kept. An import decides such a line as of then.
    async fn wrote_nothing(&self, correlation: Uuid, causation: Uuid) -> Option<First> {
        let shared = &self.inner.shared;
        if !shared.kept.maybe_unchanged(correlation) {
            return None;
        }
        let (kept, now) = (Arc::clone(&shared.kept), shared.options.clock.now());
        let read = async move { kept.unchanged(correlation, now) };
        let (first, outcome) = shared.loading.read(read).await.flatten()?;
        Some(First {
            result: if first == causation {
                Ok(outcome)
            } else {
                Err(CommandError::CommandIdReused)
            },
            opened_nothing: false,
        })
    }

    /// The first outcome of a command that left events.
    async fn left_events(
        &self,
        correlation: Uuid,
        causation: Uuid,
    ) -> Result<Option<First>, CommandError> {
        let shared = &self.inner.shared;
        if let Some(archive) = &self.inner.archive
            && let Some(Found { stream, record, .. }) =
                archive.find(&*shared.store, correlation).await?
        {
            return Ok(self
                .first_outcome(stream, record.version(), correlation, causation)
                .await);
        }
        if !shared.filter.maybe(ids::mark_of(correlation)) {
            return Ok(None);
        }
        let reader = shared
            .view
            .reader()
            .map_err(|error| CommandError::Unreadable(error.to_string()))?;
        let places = tokio::task::spawn_blocking(move || ids::find(&reader, correlation))
            .await
            .map_err(|error| CommandError::Unreadable(error.to_string()))?
            .map_err(|error| CommandError::Unreadable(error.to_string()))?;
        for (stream, version) in places {
            let found = self
                .first_outcome(stream, version, correlation, causation)
                .await;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// What the command whose first event stands here came to, read beside who asks.
    async fn first_outcome(
        &self,
        stream: StreamName,
        version: u64,
        correlation: Uuid,
        causation: Uuid,
    ) -> Option<First> {
        let shared = Arc::clone(&self.inner.shared);
        let read = async move {
            repeat::outcome(&*shared.store, &stream, version, correlation, causation).await
        };
        self.inner.shared.loading.read(read).await.flatten()
    }

    /// A command with its place among those that wait for its worker.
    fn job(
        &self,
        envelope: Envelope,
        correlation: Uuid,
        causation: Uuid,
        mut claim: Claim,
    ) -> Result<Box<Job>, CommandError> {
        let shared = &self.inner.shared;
        let Envelope {
            actor,
            command_id,
            id_given,
            at,
            command,
        } = envelope;
        let (stream, task) = of_command(command, &actor, &command_id, &shared.facts.policy());
        let waiting = &shared.lane(&stream).waiting;
        let place = Place::take(
            waiting,
            shared.options.waiting_per_worker_max,
            &shared.in_flight,
        )
        .ok_or(CommandError::Busy)?;
        let origin = Origin::Command {
            actor,
            command_id,
            correlation,
            causation,
            step: false,
        };
        let at = at.map_or(At::Clock, At::Given);
        let mut job = Job::new(stream, task, origin, at, Reply::Nobody, place);
        claim.id_given = id_given;
        job.claim = Some(claim);
        Ok(Box::new(job))
    }
}

//! What all workers share: the store, the caches in front of it, and the way to each worker.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use event_store::{EventStore, Grade, Position, RecordedEvent, StreamName};
use rustc_hash::FxBuildHasher;
use tables::ViewHandle;
use tokio::sync::{mpsc, oneshot};

use crate::aggregate::LoadError;
use crate::counters::Counters;
use crate::daily_limit::DailyLimit;
use crate::facts::Facts;
use crate::filter::SeenFilter;
use crate::idempotency::{Recent, Seen};
use crate::index;
use crate::job::{Decided, InFlight, Job, Place, Reply};
use crate::kept::Kept;
use crate::leading::Leading;
use crate::loading::Loading;
use crate::messages::LookUpError;
use crate::timers::Timers;
use crate::worker::Message;
use crate::{CommandError, Options};

/// The way to one worker.
pub(crate) struct Lane {
    /// Where it takes its messages from. Bounded by `waiting` for what clients ask.
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    /// How many of its clients' commands are not decided yet.
    pub(crate) waiting: Arc<AtomicUsize>,
}

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) loading: Loading,
    pub(crate) kept: Arc<Kept>,
    pub(crate) options: Options,
    pub(crate) facts: Facts,
    pub(crate) recent: Arc<Recent>,
    pub(crate) filter: Arc<SeenFilter>,
    pub(crate) view: ViewHandle,
    pub(crate) timers: Arc<Timers>,
    pub(crate) refusals: DailyLimit,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) counters: Counters,
    pub(crate) leading: Leading,
}

impl Shared {
    /// The durable event that stands at a position; none where none does.
    pub(crate) async fn event_at(
        &self,
        position: Position,
    ) -> Result<Option<RecordedEvent>, CommandError> {
        Ok(self.store.read_at(position).await?)
    }

    /// The way to the worker of a stream.
    pub(crate) fn lane(&self, stream: &StreamName) -> &Lane {
        let hash = usize::try_from(FxBuildHasher.hash_one(stream.as_str()) >> 32).unwrap_or(0);
        match self.lanes.get(hash % self.lanes.len().max(1)) {
            Some(lane) => lane,
            None => unreachable!("there is at least one worker"),
        }
    }

    /// Hands a job to its worker. A worker ends only when nothing is on its way.
    pub(crate) fn dispatch(&self, job: Box<Job>) {
        let messages = self.lane(&job.stream).messages.clone();
        if let Err(mpsc::error::SendError(Message::Job(job))) = messages.send(Message::Job(job)) {
            answer(
                job.reply,
                Err(CommandError::OutcomeUnknown),
                Position::START,
            );
        }
    }

    /// Hands over a job made by `job` for a place beyond the bound, and waits for its decision.
    pub(crate) async fn decide(&self, job: impl FnOnce(Reply, Place) -> Job) -> Decided {
        let (sender, decided) = oneshot::channel();
        self.dispatch(Box::new(job(
            Reply::Decided(sender),
            Place::beyond(&self.in_flight),
        )));
        decided.await.unwrap_or(Decided {
            result: Err(CommandError::OutcomeUnknown),
            position: Position::START,
        })
    }

    /// Whether others may append to the log, so that what is held in memory may be behind it.
    pub(crate) fn others_write(&self) -> bool {
        self.store.grade() == Grade::WrittenStreamOnly
    }

    /// Notes a stored event's command: one that is on its way here has to know, and the index may not have it yet.
    pub(crate) fn note(&self, stream: &StreamName, record: &RecordedEvent) {
        if self.others_write() && index::is_clients(record) {
            let seen = Seen {
                stream: stream.clone(),
                version: record.version(),
                position: record.position(),
                causation: record.causation_id(),
            };
            let applied = self.view.applied();
            self.recent.note(record.correlation_id(), seen, applied);
        }
    }
}

/// Gives an answer to who waits for a decision, whatever it waits on besides.
pub(crate) fn answer(
    reply: Reply,
    result: Result<crate::Outcome, CommandError>,
    position: Position,
) {
    // Whoever went away needs no answer.
    match reply {
        Reply::Durable(caller) => drop(caller.send(result)),
        Reply::Decided(caller) => drop(caller.send(Decided { result, position })),
        Reply::Resume(parent) => answer(parent.reply, result, position),
        Reply::Nobody => {}
    }
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(error) => error.into(),
            LoadError::Event { .. } => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<LookUpError> for CommandError {
    fn from(error: LookUpError) -> Self {
        match error {
            LookUpError::Read(error) => error.into(),
            LookUpError::Table(_) | LookUpError::View(_) | LookUpError::Decode(_) => {
                Self::Unreadable(error.to_string())
            }
        }
    }
}

impl From<event_store::ReadError> for CommandError {
    fn from(error: event_store::ReadError) -> Self {
        use event_store::ReadError;
        match error {
            ReadError::Unavailable { why } => Self::StoreUnavailable(why),
            ReadError::Closed
            | ReadError::Damaged { .. }
            | ReadError::Io { .. }
            | ReadError::Foreign { .. } => Self::Unreadable(error.to_string()),
        }
    }
}

impl From<event_store::OutcomeUnknown> for CommandError {
    fn from(_: event_store::OutcomeUnknown) -> Self {
        Self::OutcomeUnknown
    }
}

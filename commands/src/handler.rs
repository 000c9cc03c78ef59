//! The door of the write side: takes commands, answers them, ends in order.

use std::sync::Arc;

use domain::ids::{CommandId, MemberId};
use domain::time::Timestamp;
use event_store::{EventStore, Position};

use crate::{CommandError, Envelope, Options, Outcome};

/// The write side over one store; cheap to clone.
#[derive(Clone)]
pub struct CommandHandler {
    inner: Arc<()>,
}

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

/// How the reactors are, for readiness and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReactorStatus {
    /// Its name.
    pub name: &'static str,
    /// The last position of the log handled.
    pub handled: Position,
    /// Targets whose events wait because one could not be handled.
    pub parked: usize,
}

/// A command whose place is fixed: decided, not yet durable.
#[must_use = "an outcome counts when it is durable"]
pub struct Pending {
    decided: Result<Outcome, CommandError>,
}

impl Pending {
    /// What was decided; not to be shown to anybody before it is durable.
    pub fn decided(&self) -> &Result<Outcome, CommandError> {
        &self.decided
    }

    /// Waits until everything the outcome was decided on is durable, and gives it.
    pub async fn durable(self) -> Result<Outcome, CommandError> {
        todo!()
    }
}

impl CommandHandler {
    /// Opens the write side's tables, sets the first policy where the log has none, starts workers, reactors and timers.
    /// Returns once the command index has caught up with the log.
    pub async fn start(store: Arc<dyn EventStore>, options: Options) -> Result<Self, StartError> {
        let _ = (store, options);
        todo!()
    }

    /// Carries a command out. What it gives is durable.
    pub async fn handle(&self, envelope: Envelope) -> Result<Outcome, CommandError> {
        self.submit(envelope).await?.durable().await
    }

    /// Decides a command and fixes the place of its events, without waiting for them to be durable. Commands submitted
    /// one after the other are decided in that order. In [`Mode::Import`](crate::Mode::Import) the timers that are due
    /// before it, and the reactors that it concerns, have run when it returns.
    pub async fn submit(&self, envelope: Envelope) -> Result<Pending, CommandError> {
        let _ = envelope;
        todo!()
    }

    /// The position of the first event of a command of this actor in the log, whatever its age; none where it left no
    /// trace. For `import`, which has to know how far an earlier run came.
    pub async fn trace(
        &self,
        actor: &MemberId,
        command_id: &CommandId,
    ) -> Result<Option<Position>, CommandError> {
        let _ = (actor, command_id);
        todo!()
    }

    /// What a command that left no trace came to when it was decided before: decided again on the state as of a
    /// position, writing nothing. For `import`, whose unchanged and untraced lines must not be decided on what came
    /// after them.
    pub async fn decide_as_of(
        &self,
        envelope: Envelope,
        as_of: Position,
    ) -> Result<Outcome, CommandError> {
        let _ = (envelope, as_of);
        todo!()
    }

    /// Appends what the timers owe up to a time. For the end of an import.
    pub async fn run_timers(&self, until: Timestamp) -> Result<(), CommandError> {
        let _ = until;
        todo!()
    }

    /// Lets the reactors handle everything that is durable now.
    pub async fn drain_reactors(&self) -> Result<(), CommandError> {
        todo!()
    }

    /// How the reactors are.
    pub fn reactors(&self) -> Vec<ReactorStatus> {
        todo!()
    }

    /// Takes no more commands (they get `Busy`), answers those accepted, stops reactors and timers, closes the tables.
    pub async fn stop(&self) {
        let _ = &self.inner;
        todo!()
    }
}

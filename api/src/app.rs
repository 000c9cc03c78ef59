//! What the interface stands on, and the few things that every route does with it.
//!
//! [`App`] is handed over by the binary; [`Shared`] is what the routes see of it. A command is carried out in one place
//! ([`Shared::carry_out`]) and a view is waited for in one place ([`Shared::reached`]), so that a refusal cannot take
//! another path because of the route it came by.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::{CommandError, CommandHandler, Outcome};
use domain::evidence::Cause;
use domain::time::Timestamp;
use event_store::{Direction, EventStore, Grade, Position, ReadError, StreamFrom, StreamName};
use projections::{Bounds, ReadSide, ViewName, WaitError};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::caller::{Acting, Caller, ShownPosition};
use crate::damage::Found;
use crate::following::FollowOptions;
use crate::following::hub::Hub;
use crate::keys::KeySet;
use crate::limits::{Limiter, RateLimits};
use crate::problem::{ApiError, Code, Suspended};
use crate::tokens::{Principal, Tokens};
use crate::trial::Trial;

/// More refused commands than this are not recorded of one who is not registered.
const REFUSALS_BEFORE_REGISTRATION_MAX: usize = 256;

/// How the interface behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much callers may ask.
    pub rate_limits: RateLimits,
    /// How long a body may take to arrive; a bulk body six times as long.
    pub body_timeout: Duration,
    /// How long a query waits for its view to reach `min_position`.
    pub view_wait: Duration,
    /// A clock further than this from the log's is not ready.
    pub clock_tolerance: Duration,
    /// A view further behind than this many events is not ready.
    pub lag_events_max: u64,
    /// What one question about the past may read.
    pub past: Bounds,
    /// The bounds of streams that go on.
    pub follow: FollowOptions,
    /// The demo's sample, to be tried at `/try`; without it there is no such place.
    pub trial: Option<Arc<Trial>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rate_limits: RateLimits::default(),
            body_timeout: Duration::from_secs(10),
            view_wait: Duration::from_secs(5),
            clock_tolerance: Duration::from_secs(5),
            lag_events_max: 100_000,
            past: Bounds::default(),
            follow: FollowOptions::default(),
            trial: None,
        }
    }
}

/// What an operator may ask of the store beyond the trait of all stores; the binary knows which engine runs.
#[async_trait]
pub trait StoreCare: Send + Sync + 'static {
    /// Checks every record. An object that names what was checked and what is wrong; `ok` says whether nothing is, and
    /// `damage` where the log does not check: `file`, `offset`, `what`.
    async fn verify(&self) -> anyhow::Result<Value>;

    /// Writes the files of a consistent copy of the log, one after the other; [`LogElsewhere`] where there are none.
    async fn backup(&self, files: mpsc::Sender<BackupPart>) -> anyhow::Result<()>;

    /// Whether the store takes commands now, and else why not.
    fn state(&self) -> StoreState;

    /// The free room of the log's disk, where the engine knows it.
    fn free_bytes(&self) -> Option<u64> {
        None
    }
}

/// Why a log has no backup here: it is kept elsewhere, and backed up there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LogElsewhere(pub &'static str);

/// A piece of a backup.
#[derive(Debug)]
pub enum BackupPart {
    /// A file begins: its path inside the backup, and exactly how many bytes follow.
    File {
        /// The path, relative, with `/`.
        path: PathBuf,
        /// The bytes that follow.
        bytes: u64,
    },
    /// The next bytes of the file.
    Bytes(bytes::Bytes),
}

/// Whether the store takes commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It does.
    Writable,
    /// The disk has less room than the reserve.
    Full,
    /// It ended after a failure.
    Failed,
    /// It is elsewhere, and cannot be reached at the moment.
    Unavailable,
}

/// What the interface stands on.
#[derive(Clone)]
pub struct App {
    /// The write side.
    pub commands: CommandHandler,
    /// The read side.
    pub reads: ReadSide,
    /// The log, for reading alone.
    pub store: Arc<dyn EventStore>,
    /// Verification and backup of the engine that runs.
    pub care: Arc<dyn StoreCare>,
    /// The signing keys.
    pub keys: Arc<KeySet>,
    /// How the interface behaves.
    pub options: Options,
}

/// The state of all routes.
pub(crate) struct Shared {
    /// The write side.
    pub(crate) commands: CommandHandler,
    /// The read side.
    pub(crate) reads: ReadSide,
    /// The log.
    pub(crate) store: Arc<dyn EventStore>,
    /// Who follows.
    pub(crate) following: Arc<Hub>,
    /// Verification and backup.
    pub(crate) care: Arc<dyn StoreCare>,
    /// Damage of the log that was met.
    pub(crate) damage: Arc<Found>,
    /// Tokens that are checked.
    pub(crate) tokens: Tokens,
    /// Rate limits.
    pub(crate) limiter: Limiter,
    /// How the interface behaves.
    pub(crate) options: Options,
    /// The OpenAPI document, as it is served.
    pub(crate) document: bytes::Bytes,
    /// One verification at a time: it reads the whole log.
    pub(crate) verifying: tokio::sync::Semaphore,
    /// Questions about the past that are answered at once, [`crate::audit::AT_ONCE`] at most.
    pub(crate) auditing: tokio::sync::Semaphore,
    /// One backup at a time.
    pub(crate) backing_up: Arc<tokio::sync::Semaphore>,
}

/// The state as extractors and routes get it.
pub(crate) type State = Arc<Shared>;

impl Shared {
    /// The state over an app, with the document it serves.
    pub(crate) fn new(app: App, document: bytes::Bytes) -> State {
        Arc::new(Shared {
            commands: app.commands,
            reads: app.reads,
            following: Hub::new(Arc::clone(&app.store), app.options.follow),
            store: app.store,
            care: app.care,
            damage: Arc::default(),
            tokens: Tokens::new(app.keys),
            limiter: Limiter::new(app.options.rate_limits),
            options: app.options,
            document,
            verifying: tokio::sync::Semaphore::new(1),
            auditing: tokio::sync::Semaphore::new(crate::audit::AT_ONCE),
            backing_up: Arc::new(tokio::sync::Semaphore::new(1)),
        })
    }

    /// Carries a command out; the answer is durable.
    pub(crate) async fn carry_out<A>(
        &self,
        acting: &Acting<A>,
        command: commands::Command,
    ) -> Result<(Outcome, ShownPosition), ApiError> {
        let caller = &acting.caller;
        match self.commands.handle(acting.envelope(command)).await {
            Ok(outcome) => {
                let position = caller.shows(self, outcome.position);
                Ok((outcome, position))
            }
            Err(error) => Err(self.refused_with_standing(caller.principal(), error).await),
        }
    }

    /// The failure with what the caller may know of their own standing now: the suspension, or when the first slot of
    /// the day's requests ends. Nothing of anybody else, and without it where it cannot be read.
    async fn refused_with_standing(&self, principal: &Principal, error: CommandError) -> ApiError {
        let cause = if let CommandError::Refused(refusal) = &error {
            refusal.rejection.cause()
        } else {
            None
        };
        let error = self.refused(principal, error);
        let suspended = matches!(cause, Some(Cause::SenderSuspended | Cause::ActorSuspended));
        let of_the_day = cause == Some(Cause::RequestsOfTheDay);
        if !suspended && !of_the_day {
            return error;
        }
        let now = now();
        if suspended {
            let told = self.commands.suspension_told(&principal.sub, now).await;
            if let Ok(Some(told)) = told {
                return error.suspension(Suspended {
                    until: told.until.map(|at| crate::time::format(at.as_millis())),
                    reason: told.reason.to_string(),
                    text: told.text,
                });
            }
            if told.is_err() {
                return error;
            }
            let words = "The account was suspended when this command was decided, and is not any more; a repeated key gives the first answer. Give the command with a key of its own.";
            return error.saying(words);
        }
        let Ok(standing) = self.commands.standing(&principal.sub).await else {
            return error;
        };
        match standing.slot_ends(now).filter(|_| of_the_day) {
            Some(end) => {
                let wait_ms = u64::try_from(end.since_ms(now)).unwrap_or(0);
                error.retry_after_s(wait_ms.div_ceil(1_000))
            }
            None => error,
        }
    }

    /// What a command came to that was given before, however often; none where its id is new. Decides nothing.
    pub(crate) async fn carried_out_before<A>(
        &self,
        acting: &Acting<A>,
        command: commands::Command,
    ) -> Result<Option<(Outcome, ShownPosition)>, ApiError> {
        let caller = &acting.caller;
        match self.commands.before(acting.envelope(command)).await {
            Ok(Some(outcome)) => {
                let position = caller.shows(self, outcome.position);
                Ok(Some((outcome, position)))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(self.refused_with_standing(caller.principal(), error).await),
        }
    }

    /// The failure of a command as the caller is told it; counts what the rate limits count.
    pub(crate) fn refused(&self, principal: &Principal, error: CommandError) -> ApiError {
        let first = matches!(&error, CommandError::Refused(refusal) if !refusal.repeated);
        let error = ApiError::from(error);
        if first && error.code() == Code::NotAllowed {
            self.limiter.not_allowed(principal.sub.as_str());
        }
        error
    }

    /// For how many seconds the first event after a position has been waiting to be taken up; 0 at the end of the log.
    pub(crate) async fn waiting_s(&self, taken: Position) -> f64 {
        if taken >= self.store.durable_position() {
            return 0.0;
        }
        let next = self.store.read_all(taken, 1, 1).await.unwrap_or_default();
        let waited_ms = next.first().map_or(0, |event| {
            crate::time::now_ms().saturating_sub(event.recorded_at_ms())
        });
        let waited_ms = u32::try_from(waited_ms.max(0)).unwrap_or(u32::MAX);
        f64::from(waited_ms) / 1_000.0
    }

    /// Whether the log reaches up to a position. One that others write as well is waited for a little: they may have
    /// acknowledged what this node has not seen yet.
    pub(crate) async fn comes_to(&self, position: Position) -> bool {
        if position <= self.store.durable_position() {
            return true;
        }
        match self.store.grade() {
            Grade::Serializable => false,
            Grade::WrittenStreamOnly => {
                let seen = self.store.wait_durable(position);
                let seen = tokio::time::timeout(self.options.view_wait, seen).await;
                matches!(seen, Ok(Ok(())))
            }
        }
    }

    /// Whether reading may begin after a position: an event is there, or it is the beginning, or lies beyond the end. Where
    /// positions have no gaps there is nothing to ask.
    pub(crate) async fn is_place(&self, position: Position) -> Result<bool, ReadError> {
        let everywhere = match self.store.grade() {
            Grade::Serializable => true,
            Grade::WrittenStreamOnly => {
                position == Position::START || position > self.store.durable_position()
            }
        };
        Ok(everywhere || self.store.read_at(position).await?.is_some())
    }

    /// Waits until the view has come to `min_position`, if one was asked for.
    pub(crate) async fn reached<A>(
        &self,
        caller: &Caller<A>,
        view: ViewName,
        min_position: Option<&str>,
    ) -> Result<(), ApiError> {
        let Some(text) = min_position else {
            return Ok(());
        };
        let position = self.position_given(caller, "min_position", text)?;
        match self
            .reads
            .wait(view, position, self.options.view_wait)
            .await
        {
            Ok(()) => Ok(()),
            Err(WaitError::Behind(_)) => Err(ApiError::new(Code::ViewBehind).retry_after_s(1)),
            Err(WaitError::Stopped(_)) => Err(ApiError::new(Code::NotReady).retry_after_s(1)),
        }
    }

    /// Whether the `sub` is a registered member, by the log itself, so that it holds at once after registration.
    pub(crate) async fn registered(&self, principal: &Principal) -> Result<bool, ApiError> {
        if principal.known_registered() {
            return Ok(true);
        }
        let name = StreamName::new(domain::member::stream(&principal.sub))
            .map_err(|error| ApiError::with_detail(Code::Internal, error.to_string()))?;
        // Registration is the first event of a member's stream but for refusals of what came before it.
        let events = self
            .store
            .read_stream(
                &name,
                StreamFrom::Start,
                Direction::Forward,
                REFUSALS_BEFORE_REGISTRATION_MAX,
            )
            .await
            .map_err(|error| ApiError::from(CommandError::from(error)))?;
        let registered = events
            .iter()
            .any(|event| event.event_type().starts_with("member-registered."));
        if registered {
            principal.set_registered();
        }
        Ok(registered)
    }
}

/// The time now, for queries that time takes part in.
pub(crate) fn now() -> Timestamp {
    Timestamp(crate::time::now_ms())
}

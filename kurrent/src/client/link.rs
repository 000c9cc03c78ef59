//! The way to the store: one client at a time, looked after by a supervisor.
//!
//! Promise: a call is answered, or told within [`PATIENCE`] that it was not. While the store is away calls are told so at
//! once, and nothing piles up; once it is back they go on by themselves. What a call does must be fit to be done again: one
//! whose answer was lost is tried anew, a few times.
//!
//! The published client has one state machine that ends for good when it finds no node, that stays with a dead node, and
//! that is never freed while it lives. So each client has a small runtime of its own ([`Generation`]), and giving the
//! client up is ending that runtime: with it end its connection and whatever hangs on it. Whether a client is still good is
//! asked of the store itself, regularly and whenever a call has failed or took too long: a connection that hangs without
//! closing is found out by that. It says which log it holds with that; what holds another one is away ([`Held`]).

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use eventstore::{Client, Error, ReadStreamOptions, StreamPosition};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::Connection;
use super::diagnosis;
use super::identity::{self, Held, Said};
use super::prompt;

/// How long a call may take, with all that is tried for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(6);
/// How long one try may take; longer than any answer of a store that is well.
const TRY: Duration = Duration::from_secs(4);
/// Tries of one call.
const TRIES: u32 = 3;
/// How long the store may take to say that it is well.
const PROBE: Duration = Duration::from_secs(2);
/// Between two such questions while all goes well.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// So long a new client is waited for before the store is taken to be away: where one of two hosts hangs, the other is found
/// within that.
const SWITCH: Duration = Duration::from_millis(1_500);
/// Of so many looks at a store that is well one is also for connections that were made anew meanwhile.
const PROMPT_EVERY: u64 = 16;
/// Between two new clients while the store is away: so it is found again well within a second.
const RETRY: Duration = Duration::from_millis(250);
/// Calls on their way at once at most, those that wait for the supervisor among them; the protocol's servers take about
/// as many of one connection.
pub const CALLS_MAX: usize = 200;

/// Codes of gRPC that say that a call was looked at and not taken: `INVALID_ARGUMENT`, `FAILED_PRECONDITION`, `OUT_OF_RANGE`.
const REFUSALS: [i32; 3] = [3, 9, 11];

/// One client and what it runs on.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) client: Client,
    runtime: Mutex<Option<Runtime>>,
}

impl Generation {
    /// Makes a client. Its certificates are read from the disk.
    fn new(number: u64, connection: &Connection) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kurrent-client")
            .enable_all()
            .build()
            .map_err(|error| format!("no thread for the client: {error}"))?;
        let made =
            Client::with_runtime_handle(runtime.handle().clone(), connection.settings().clone());
        match made {
            Ok(client) => Ok(Self {
                number,
                client,
                runtime: Mutex::new(Some(runtime)),
            }),
            Err(error) => {
                runtime.shutdown_background();
                Err(format!("no client can be made: {error}"))
            }
        }
    }

    /// Ends the client with everything that waits for it.
    fn retire(&self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.retire();
    }
}

/// How the store is, as far as is known.
#[derive(Clone)]
struct Standing {
    /// The client in use; none while the store is away.
    current: Result<Arc<Generation>, Arc<str>>,
    /// Rises whenever the supervisor has looked.
    looks: u64,
    /// Whether the link was closed.
    closed: bool,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The store answered that it will not.
    Refused(Error),
    /// There is no answer.
    Away {
        /// What is in the way.
        why: String,
        /// The store may have carried the call out.
        begun: bool,
    },
    /// The link was closed.
    Closed,
}

/// The way to the store.
pub(super) struct Link {
    shared: Arc<Shared>,
    supervisor: JoinHandle<()>,
}

struct Shared {
    connection: Connection,
    standing: watch::Sender<Standing>,
    calls: Semaphore,
    /// A call has failed: the supervisor is to look.
    suspicion: Notify,
    /// What the store has to hold, once that is known.
    held: OnceLock<Held>,
}

impl Shared {
    /// Whether what the store says is what it has to hold.
    fn holds(&self, said: &Said) -> Result<(), Failure> {
        let Some(held) = self.held.get() else {
            return Ok(());
        };
        let away = |why| Failure::Away { why, begun: false };
        held.take_up(said).map_err(away)
    }
}

impl Link {
    /// Opens the way; gives why where the store does not answer now.
    pub(super) async fn open(connection: Connection) -> Result<Self, Failure> {
        let first = match begin(1, &connection).await {
            Ok((first, _)) => first,
            Err(failure) => return Err(diagnosed(failure, &connection).await),
        };
        let (standing, _) = watch::channel(Standing {
            current: Ok(Arc::new(first)),
            looks: 0,
            closed: false,
        });
        let shared = Arc::new(Shared {
            connection,
            standing,
            calls: Semaphore::new(CALLS_MAX),
            suspicion: Notify::new(),
            held: OnceLock::new(),
        });
        let supervisor = tokio::spawn(supervise(Arc::clone(&shared)));
        Ok(Self { shared, supervisor })
    }

    /// Where the store is, without credentials.
    pub(super) fn place(&self) -> String {
        self.shared.connection.to_string()
    }

    /// From now on the store has to hold this log.
    pub(super) fn hold_to(&self, held: Held) {
        // It is said once.
        let _ = self.shared.held.set(held);
    }

    /// The level at which the log is written; 0 before it is known which it is.
    pub(super) fn level(&self) -> u32 {
        self.shared.held.get().map_or(0, Held::level)
    }

    /// Carries a call out, again where no answer came.
    pub(super) async fn call<T, Fut>(&self, call: impl Fn(Client) -> Fut) -> Result<T, Failure>
    where
        Fut: Future<Output = Result<T, Error>>,
    {
        let until = Instant::now() + PATIENCE;
        let mut begun = false;
        let mut why = "it is asked for more at once than it answers".to_owned();
        let Ok(Ok(_place)) = timeout_at(until, self.shared.calls.acquire()).await else {
            return Err(Failure::Away { why, begun });
        };
        for _ in 0..TRIES {
            let (generation, looks) = {
                let standing = self.shared.standing.borrow();
                if standing.closed {
                    return Err(Failure::Closed);
                }
                match &standing.current {
                    Ok(generation) => (Arc::clone(generation), standing.looks),
                    Err(away) => {
                        let why = away.to_string();
                        return Err(Failure::Away { why, begun });
                    }
                }
            };
            let limit = until.min(Instant::now() + TRY);
            match timeout_at(limit, call(generation.client.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => match no_answer(&error) {
                    NoAnswer::Refusal => return Err(Failure::Refused(error)),
                    NoAnswer::NotBegun => why = told(&error),
                    NoAnswer::Lost => {
                        begun = true;
                        why = told(&error);
                    }
                },
                Err(_) => {
                    begun = true;
                    "it does not answer in time".clone_into(&mut why);
                }
            }
            if !self.looked(looks, until).await {
                break;
            }
        }
        Err(Failure::Away { why, begun })
    }

    /// Lets the supervisor look, and waits until it has. Whether it has.
    async fn looked(&self, looks: u64, until: Instant) -> bool {
        let mut standing = self.shared.standing.subscribe();
        self.shared.suspicion.notify_one();
        let looked = standing.wait_for(|standing| standing.closed || standing.looks > looks);
        matches!(timeout_at(until, looked).await, Ok(Ok(_)))
    }

    /// The client in use; waits while the store is away. None once closed.
    pub(super) async fn client(&self) -> Option<Arc<Generation>> {
        let mut standing = self.shared.standing.subscribe();
        let there = standing
            .wait_for(|standing| standing.closed || standing.current.is_ok())
            .await
            .ok()?;
        if there.closed {
            return None;
        }
        there.current.clone().ok()
    }

    /// Done when this client is not the one in use any more.
    pub(super) async fn replaced(&self, generation: &Generation) {
        let mut standing = self.shared.standing.subscribe();
        let other = |standing: &Standing| match &standing.current {
            Ok(current) => standing.closed || current.number != generation.number,
            Err(_) => true,
        };
        // The sender lives as long as the link.
        let _ = standing.wait_for(other).await;
    }

    /// Something long-lived of this client has failed: lets the supervisor look.
    pub(super) fn suspect(&self) {
        self.shared.suspicion.notify_one();
    }

    /// Whether the store answers, as far as is known.
    pub(super) fn is_reached(&self) -> bool {
        self.shared.standing.borrow().current.is_ok()
    }

    /// Whether the link was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.standing.borrow().closed
    }

    /// Ends the client; calls on their way have no answer.
    pub(super) fn close(&self) {
        self.supervisor.abort();
        self.shared.standing.send_modify(|standing| {
            standing.closed = true;
            if let Ok(generation) = &standing.current {
                generation.retire();
            }
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// Looks after the client until the link is closed.
async fn supervise(shared: Arc<Shared>) {
    let mut number = 1;
    // Why it was away when it was looked for last, in the client's words.
    let mut known: Option<String> = None;
    loop {
        // A suspicion ends the wait; while the store is away there is always reason to look.
        let current = shared.standing.borrow().current.clone();
        let was_well = current.is_ok();
        if let Ok(generation) = current {
            let _ = timeout(PROBE_EVERY, shared.suspicion.notified()).await;
            let well = probe(&generation.client)
                .await
                .and_then(|said| shared.holds(&said));
            let Err(why) = well else {
                shared.standing.send_modify(|standing| standing.looks += 1);
                let looks = shared.standing.borrow().looks;
                if looks.is_multiple_of(PROMPT_EVERY) {
                    prompt::now(&shared.connection);
                }
                continue;
            };
            let why = why.to_string();
            tracing::warn!(store = %shared.connection, why, "the store does not answer; looking for it");
            generation.retire();
        } else {
            tokio::time::sleep(RETRY).await;
        }
        number += 1;
        let beginning = begin(number, &shared.connection);
        tokio::pin!(beginning);
        let begun = if let Ok(begun) = timeout(SWITCH, &mut beginning).await {
            begun
        } else {
            // Where all hosts hang, finding that out takes seconds in which nobody is to wait.
            shared.standing.send_modify(|standing| {
                standing.looks += 1;
                if standing.current.is_ok() {
                    standing.current = Err("it does not answer".into());
                }
            });
            beginning.await
        };
        let begun = begun.and_then(|(generation, said)| {
            let held = shared.holds(&said);
            held.map(|()| generation)
        });
        let why = begun.as_ref().err().map(ToString::to_string);
        // It may be away for another reason by now.
        let is_news = why.is_some() && (was_well || why != known);
        known = why;
        let begun = match begun {
            Err(failure) if is_news => Err(diagnosed(failure, &shared.connection).await),
            begun => begun,
        };
        shared.standing.send_modify(|standing| {
            standing.looks += 1;
            match begun {
                Ok(generation) => {
                    tracing::info!(store = %shared.connection, "the store answers");
                    standing.current = Ok(Arc::new(generation));
                }
                Err(failure) if is_news => {
                    let why: Arc<str> = failure.to_string().into();
                    tracing::error!(store = %shared.connection, %why, "the store is away");
                    standing.current = Err(why);
                }
                Err(_) => {}
            }
        });
    }
}

/// Makes a client that is known to be well; gives what the store said.
async fn begin(number: u64, connection: &Connection) -> Result<(Generation, Said), Failure> {
    let away = |why: String| Failure::Away { why, begun: false };
    let own = connection.clone();
    let made = tokio::task::spawn_blocking(move || Generation::new(number, &own)).await;
    let generation = made
        .map_err(|_| away("no client can be made of the certificates".to_owned()))?
        .map_err(away)?;
    let said = probe(&generation.client).await?;
    prompt::now(connection);
    Ok((generation, said))
}

/// Asks the store whether it is well: whether its leader lets this caller read which log it is.
async fn probe(client: &Client) -> Result<Said, Failure> {
    let away = |why: String| Failure::Away { why, begun: false };
    match timeout(PROBE, said(client)).await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(error)) if matches!(no_answer(&error), NoAnswer::Refusal) => {
            Err(Failure::Refused(error))
        }
        Ok(Err(error)) => Err(away(told(&error))),
        Err(_) => Err(away("it does not answer in time".to_owned())),
    }
}

/// What the store's leader says which log it holds.
pub(super) async fn said(client: &Client) -> Result<Said, Error> {
    let options = ReadStreamOptions::default()
        .position(StreamPosition::End)
        .max_count(1)
        .backwards()
        .requires_leader(true);
    let last = async {
        let mut reading = client.read_stream(identity::STREAM, &options).await?;
        reading.next().await
    };
    match last.await {
        Ok(last) => Ok(Said::by(
            last.as_ref()
                .map(eventstore::ResolvedEvent::get_original_event),
        )),
        Err(Error::ResourceNotFound) => Ok(Said::Nothing),
        Err(error) => Err(error),
    }
}

/// The same failure, with what a look at the hosts tells of it.
async fn diagnosed(failure: Failure, connection: &Connection) -> Failure {
    let Failure::Away { why, begun } = failure else {
        return failure;
    };
    let why = match diagnosis::of(connection).await {
        // The client's own words say less.
        Some(found) => found,
        None => why,
    };
    Failure::Away { why, begun }
}

/// What an error says about a call.
enum NoAnswer {
    /// It is an answer.
    Refusal,
    /// The call did not reach the store, or was sent on without being carried out.
    NotBegun,
    /// Not known.
    Lost,
}

fn no_answer(error: &Error) -> NoAnswer {
    match error {
        Error::Grpc { code, .. } if REFUSALS.contains(&i32::from(*code)) => NoAnswer::Refusal,
        Error::ServerError(_) | Error::DeadlineExceeded | Error::Grpc { .. } => NoAnswer::Lost,
        Error::NotLeaderException(_)
        | Error::ConnectionClosed
        | Error::GrpcConnectionError(_)
        | Error::InitializationError(_) => NoAnswer::NotBegun,
        Error::InternalParsingError(_)
        | Error::AccessDenied
        | Error::ResourceAlreadyExists
        | Error::ResourceNotFound
        | Error::ResourceDeleted
        | Error::UnsupportedFeature
        | Error::InternalClientError
        | Error::IllegalStateError(_)
        | Error::WrongExpectedVersion { .. } => NoAnswer::Refusal,
    }
}

/// An error in words that say what to do. The client's own words hold no credentials.
fn told(error: &Error) -> String {
    let words = error.to_string();
    match error {
        Error::AccessDenied => format!(
            "it takes this user or token for nobody, or for one without the right; the connection string names them as esdb://user:password@…, and the user has to be allowed to read $all and to read and write Doorstep's streams ({words})"
        ),
        Error::UnsupportedFeature => format!(
            "what answers there is no KurrentDB: the connection string has to name its HTTP port, 2113 by default ({words})"
        ),
        Error::ServerError(_)
        | Error::NotLeaderException(_)
        | Error::ConnectionClosed
        | Error::Grpc { .. }
        | Error::GrpcConnectionError(_)
        | Error::InternalParsingError(_)
        | Error::ResourceAlreadyExists
        | Error::ResourceNotFound
        | Error::ResourceDeleted
        | Error::InternalClientError
        | Error::DeadlineExceeded
        | Error::InitializationError(_)
        | Error::IllegalStateError(_)
        | Error::WrongExpectedVersion { .. } => words,
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => f.write_str(&told(error)),
            Self::Away { why, .. } => f.write_str(why),
            Self::Closed => f.write_str("the store was closed"),
        }
    }
}

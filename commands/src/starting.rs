//! How the write side starts: its tables, the first policy, the workers, the timers and reactors.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use domain::Event;
use domain::policy::{self, InForce};
use domain::time::Timestamp;
use event_store::{Append, AppendError, EventStore, StreamName};
use tables::{Runner, RunnerHandle, RunnerOptions, View};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::aggregate::{Aggregate, State, policy_stream};
use crate::counters::Counters;
use crate::daily_limit::DailyLimit;
use crate::facts::{Facts, PolicyFact};
use crate::filter::SeenFilter;
use crate::idempotency::Recent;
use crate::ids::{self, WINDOW_DAYS};
use crate::index::{self, VIEW, WriteSide, WriteSideCodec};
use crate::job::{InFlight, Origin};
use crate::kept::Kept;
use crate::leading::Leading;
use crate::loading::Loading;
use crate::reactors::Cases;
use crate::shared::{Lane, Shared};
use crate::task::Task;
use crate::timers::Timers;
use crate::{Mode, Options, StartError, acks, worker};

/// For how long a catching up of the tables is waited for before it is waited for again.
const CATCH_UP_WITHIN: Duration = Duration::from_hours(1);
/// Decisions of the first policy at most: another node may set it.
const POLICY_ATTEMPTS: usize = 5;

/// What runs after the start.
pub(crate) struct Started {
    pub(crate) shared: Arc<Shared>,
    pub(crate) runner: RunnerHandle,
    pub(crate) cases: Arc<Cases>,
    pub(crate) workers: Vec<JoinHandle<()>>,
    pub(crate) keeping: JoinHandle<()>,
}

/// Starts everything but the tasks that act by themselves.
pub(crate) async fn start(
    store: Arc<dyn EventStore>,
    options: Options,
) -> Result<Started, StartError> {
    let filter = Arc::new(SeenFilter::new(
        options.filter_bytes,
        WINDOW_DAYS * domain::time::DAY_MS,
    ));
    let timers = Arc::new(Timers::default());
    let (causes_in, causes) = watch::channel(event_store::Position::START);
    let view: Arc<dyn View<WriteSideCodec>> = Arc::new(WriteSide {
        filter: Arc::clone(&filter),
        timers: Arc::clone(&timers),
        causes: causes_in,
    });
    let tables = |error: &dyn std::fmt::Display| StartError::Tables(error.to_string());
    let runner_options = RunnerOptions {
        dir: options.dir.clone(),
        cache_bytes: options.tables_cache_bytes,
        ..RunnerOptions::in_memory()
    };
    let runner = Runner::start(
        Arc::clone(&store),
        WriteSideCodec,
        vec![view],
        runner_options,
    )
    .await
    .map_err(|error| tables(&error))?;
    let policy = first_policy(&*store, &options).await?;
    let view = runner
        .view(VIEW)
        .ok_or_else(|| StartError::Tables("the view is missing".to_owned()))?;
    view.wait(store.durable_position(), CATCH_UP_WITHIN)
        .await
        .map_err(|error| tables(&error))?;
    let reader = view.reader().map_err(|error| tables(&error))?;
    for (of, due) in index::timers(&reader).map_err(|error| tables(&error))? {
        timers.set(&of, due);
    }
    let filling = Arc::clone(&filter);
    tokio::task::spawn_blocking(move || match ids::fill_filter(&reader, &filling) {
        Ok(()) => filling.complete(),
        // It stays incomplete, which costs time and nothing else.
        Err(error) => tracing::warn!(%error, "the filter of command ids could not be filled"),
    });

    let (kept, waiting) = Kept::open(&*store, &options)?;
    let kept = Arc::new(kept);
    let mut lanes = Vec::new();
    let mut receivers = Vec::new();
    for _ in 0..options.workers.max(1) {
        let (messages, receiver) = mpsc::unbounded_channel();
        lanes.push(Lane {
            messages,
            waiting: Arc::new(AtomicUsize::new(0)),
        });
        receivers.push(receiver);
    }
    let refusals_max =
        (options.mode == Mode::Service).then_some(options.recorded_refusals_per_day_max);
    let shared = Arc::new(Shared {
        facts: Facts::new(Arc::clone(&store), options.members_cached, policy),
        loading: Loading::new(),
        kept: Arc::clone(&kept),
        recent: Recent::new(),
        filter,
        view,
        timers,
        refusals: DailyLimit::new(refusals_max),
        lanes,
        in_flight: Arc::new(InFlight::default()),
        counters: Counters::new(),
        leading: Leading::of(&*store, options.lease_patience),
        store,
        options,
    });
    let mut workers = Vec::new();
    for (index, (receiver, lane)) in receivers.into_iter().zip(&shared.lanes).enumerate() {
        let (answers, batches) = mpsc::unbounded_channel();
        let waiting =
            metrics::gauge!("doorstep_commands_waiting_count", "worker" => index.to_string());
        let to_self = lane.messages.clone();
        workers.push(tokio::spawn(worker::run(
            Arc::clone(&shared),
            receiver,
            to_self,
            answers,
            waiting,
        )));
        workers.push(tokio::spawn(acks::run(Arc::clone(&shared.store), batches)));
    }
    let (keeping, kept_of) = (Arc::clone(&kept), Arc::clone(&shared.store));
    let keeping = tokio::spawn(async move { keeping.run(kept_of, waiting).await });
    let cases = Arc::new(Cases::open(Arc::clone(&shared), causes).await?);
    Ok(Started {
        shared,
        runner,
        cases,
        workers,
        keeping,
    })
}

/// The rules in force; where the log has none, those of the configuration are set, as of the Unix epoch.
async fn first_policy(store: &dyn EventStore, options: &Options) -> Result<PolicyFact, StartError> {
    let stream = policy_stream();
    let problem = |error: &dyn std::fmt::Display| StartError::Policy(error.to_string());
    for _ in 0..POLICY_ATTEMPTS {
        let mut aggregate = Aggregate::empty(&stream).ok_or_else(|| problem(&"no policy"))?;
        aggregate
            .catch_up(store, &stream, None, |_| {})
            .await
            .map_err(|error| StartError::Log(error.to_string()))?;
        if let Some(in_force) = in_force(&aggregate) {
            return Ok(PolicyFact {
                version: aggregate.version,
                position: aggregate.position,
                in_force,
            });
        }
        match append_first(store, &stream, &aggregate, options).await {
            Ok(ticket) => ticket
                .durable()
                .await
                .map(drop)
                .map_err(|error| problem(&error))?,
            Err(PolicyError::Append(AppendError::WrongVersion { position, .. })) => {
                store
                    .wait_durable(position)
                    .await
                    .map_err(|error| problem(&error))?;
            }
            Err(PolicyError::Append(error)) => return Err(problem(&error)),
            Err(PolicyError::Rules(what)) => return Err(StartError::Policy(what)),
        }
    }
    Err(problem(&"it keeps changing"))
}

enum PolicyError {
    Append(AppendError),
    Rules(String),
}

async fn append_first(
    store: &dyn EventStore,
    stream: &StreamName,
    aggregate: &Aggregate,
    options: &Options,
) -> Result<event_store::Ticket, PolicyError> {
    let task = Task::Policy(policy::Command::ChangePolicy {
        rules: Arc::clone(&options.initial_policy),
    });
    let events: Vec<Event<'static>> = task.decide(&aggregate.state).map_err(|rejection| {
        PolicyError::Rules(format!(
            "{} {}",
            rejection.code().as_str(),
            rejection.field().unwrap_or_default()
        ))
    })?;
    let origin = Origin::Event {
        actor: Arc::from("doorstep/configuration"),
        name: "first-policy",
        cause: Uuid::nil(),
        correlation: Uuid::nil(),
        command_id: Arc::from("first-policy"),
    };
    let append = Append {
        stream: stream.clone(),
        expected: aggregate.expected(),
        events: origin
            .new_events(
                stream,
                aggregate,
                Timestamp::EPOCH,
                &events,
                store.schema_level(),
            )
            .map_err(|above| PolicyError::Rules(above.to_string()))?,
        reads: Vec::new(),
    };
    store.append(append).await.map_err(PolicyError::Append)
}

fn in_force(aggregate: &Aggregate) -> Option<InForce> {
    match &aggregate.state {
        State::Policy(state) => state.in_force().cloned(),
        State::Conversation(_)
        | State::Member(_)
        | State::Case(_)
        | State::Reactor(_)
        | State::Act(_) => None,
    }
}

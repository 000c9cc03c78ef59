//! What follows in another stream: the reactor `cases` brings each report into its case, and carries out what is decided
//! there, or taken back, on the streams of the member and the conversation.
//!
//! Promise: at least once, its effect once. Causes are found through the write side's view, in the order of the log;
//! the target itself decides whether a report has joined or a decision was carried out already, and the event ids follow
//! from the cause. The checkpoint
//! is an event of `reactor-cases`, at most one a second of the causes' own time, so that the log of an import does not
//! depend on when it was killed; while a target is parked none is taken. A cause that cannot be handled parks the later
//! causes of its stream, in order, and shows in the status; it holds up no other stream, whether what keeps it lasts or may
//! pass, but where that is the whole log's: then, and during an import, the reactor stands still.

use std::sync::Arc;
use std::time::Duration;

use domain::case::{self, JoinReport};
use domain::conversation::{Event as ConversationEvent, MessagesReported};
use domain::ids::{CaseId, ConversationId};
use domain::time::Timestamp;
use domain::{Event, act, codec, member, reactor};
use event_store::{Position, RecordedEvent, StreamName};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::aggregate::{Aggregate, State, stream_name};
use crate::effects::{effect_of, follows_from};
use crate::filing::filing;
use crate::hands::Hands;
use crate::job::{At, Hand, Job, Origin};
use crate::parked::{Cause, Firsts, Parked, Reached};
use crate::shared::Shared;
use crate::task::{Task, conversation_of};
use crate::{CommandError, Kind, Mode, Outcome, ReactorStatus, Refusal, StartError, index, upheld};

/// The reactor's name.
pub(crate) const CASES: &str = "cases";
/// Its stream.
pub(crate) const CASES_STREAM: &str = "reactor-cases";
/// Who acts in its events; no member's id, by its `/`.
const CASES_ACTOR: &str = "reactor/cases";
/// Between two checkpoints, by the causes' time.
const CHECKPOINT_EVERY_MS: i64 = 1_000;
/// Causes read at once.
const CAUSES_MAX: usize = 256;
/// For how long the view may be behind a durable cause.
pub(crate) const VIEW_WITHIN: Duration = Duration::from_secs(30);
/// After a failure that may pass, and between two tries of what is parked.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Between two looks at what another node is to do and has not done yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Between two looks at who leads while there is nothing to do.
const LOOK_IDLE: Duration = Duration::from_secs(5);
/// Different reporters counted at most: beyond it a priority does not rise.
const REPORTERS_MAX: usize = case::PriorityInputs::REPORTERS_MAX as usize;
/// Upheld cases counted at most: beyond it a priority does not rise.
const UPHELD_MAX: u32 = 255;

/// The reactor.
pub(crate) struct Cases {
    pub(crate) shared: Arc<Shared>,
    causes: watch::Receiver<Position>,
    state: tokio::sync::Mutex<Progress>,
    status: Mutex<ReactorStatus>,
    /// How far it is, for who waits for it.
    pub(crate) reached: watch::Sender<Reached>,
    /// What it left behind.
    pub(crate) parked: Firsts,
}

pub(crate) struct Progress {
    /// The last cause taken up.
    taken: Position,
    /// The time of the last checkpoint.
    pub(crate) checkpoint_at: Timestamp,
    parked: Parked,
    /// The last event decided on or written.
    pub(crate) effects: Position,
    /// Who does it.
    pub(crate) hands: Hands,
}

/// How far a look at the causes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// Nothing is left to be taken up.
    ToTheEnd,
    /// The next one is another node's to do, and is not done yet.
    ToAnothers,
}

/// A cause that was not handled.
pub(crate) enum Trouble {
    /// It may be later.
    Passing(CommandError),
    /// The target refuses it.
    Refused(Box<Refusal>),
    /// The target does not know what it is about.
    NotFound,
    /// It is to be done by another node, and is not yet.
    Undone,
    /// It is not, as it stands.
    Lasting(String),
}

impl Trouble {
    /// What a decision that failed means for its cause.
    fn of(error: CommandError) -> Self {
        match error {
            CommandError::Unreadable(what) => Trouble::Lasting(what),
            CommandError::Refused(refusal) => Trouble::Refused(refusal),
            CommandError::NotFound => Trouble::NotFound,
            error @ (CommandError::TooLarge | CommandError::AboveLevel(_)) => {
                Trouble::Lasting(error.to_string())
            }
            error @ (CommandError::Busy
            | CommandError::StorageFull
            | CommandError::OutcomeUnknown
            | CommandError::StoreUnavailable(_)
            | CommandError::InvalidTime(_)
            | CommandError::RateLimited
            | CommandError::CommandIdReused) => Trouble::Passing(error),
        }
    }

    /// Why its cause waits alone, or else what keeps the whole reactor from going on: what is the whole log's, and during an
    /// import, whose order is at stake, whatever may pass.
    fn of_its_own(self, mode: Mode) -> Result<String, CommandError> {
        match self {
            Trouble::Passing(
                error @ (CommandError::StorageFull
                | CommandError::OutcomeUnknown
                | CommandError::StoreUnavailable(_)),
            ) => Err(error),
            Trouble::Passing(error) if mode == Mode::Import => Err(error),
            Trouble::Passing(error) => Ok(error.to_string()),
            Trouble::Lasting(what) => Ok(what),
            Trouble::NotFound => Ok(CommandError::NotFound.to_string()),
            Trouble::Undone => Ok("it is another node's to do".to_owned()),
            Trouble::Refused(refusal) => Ok(CommandError::Refused(refusal).to_string()),
        }
    }
}

impl Cases {
    /// The reactor where its checkpoint left it.
    pub(crate) async fn open(
        shared: Arc<Shared>,
        causes: watch::Receiver<Position>,
    ) -> Result<Self, StartError> {
        let stream = stream_name(CASES_STREAM);
        let log = |what: String| StartError::Log(what);
        let mut aggregate =
            Aggregate::empty(&stream).ok_or_else(|| log("no reactor".to_owned()))?;
        aggregate
            .catch_up(&*shared.store, &stream, None, |_| {})
            .await
            .map_err(|error| log(error.to_string()))?;
        let last = match &aggregate.state {
            State::Reactor(state) => state.last(),
            State::Conversation(_)
            | State::Member(_)
            | State::Case(_)
            | State::Policy(_)
            | State::Act(_) => None,
        };
        let last = match last {
            Some((cause, version)) => {
                let cause = StreamName::new(cause).map_err(|error| log(error.to_string()))?;
                let read = shared.store.read_one(&cause, version).await;
                read.map_err(|error| log(error.to_string()))?
            }
            None => None,
        };
        let taken = last.map_or(Position::START, |cause| cause.position());
        let effects = aggregate.position;
        let parked = Firsts::default();
        let (reached, _) = watch::channel(Reached { taken, effects });
        Ok(Self {
            shared,
            causes,
            reached,
            state: tokio::sync::Mutex::new(Progress {
                taken,
                checkpoint_at: aggregate.at,
                parked: Parked::told_to(parked.clone()),
                effects,
                hands: Hands::default(),
            }),
            parked,
            status: Mutex::new(ReactorStatus {
                name: CASES,
                handled: taken,
                reached: taken,
                parked: 0,
            }),
        })
    }

    /// How it is.
    pub(crate) fn status(&self) -> ReactorStatus {
        // Looked up before the causes: what the view has by now, it has told.
        let applied = self.shared.view.applied();
        let last_cause = *self.causes.borrow();
        let mut status = self.status.lock().clone();
        status.parked = self.parked.streams();
        if status.handled >= last_cause {
            status.reached = status.handled.max(applied);
        }
        status
    }

    /// Handles what comes, until told to stop.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut causes = self.causes.clone();
        let mut next_retry = Instant::now();
        loop {
            causes.borrow_and_update();
            // Who has led looks now and then whether it still does, and says so, whether there is work or not.
            if let Err(error) = self.shared.leading.leads().await {
                tracing::debug!(reactor = CASES, %error, "nobody says who leads");
            }
            // What is parked is tried now and then, and not at each cause that comes.
            let due = Instant::now() >= next_retry;
            if due {
                next_retry = Instant::now() + RETRY_AFTER;
            }
            let again_at = match self.advance(due).await {
                Ok(Came::ToTheEnd) if self.status().parked > 0 => Some(next_retry),
                Ok(Came::ToTheEnd) => {
                    let shared = self.shared.leading.is_shared();
                    shared.then(|| Instant::now() + LOOK_IDLE)
                }
                Ok(Came::ToAnothers) => Some(Instant::now() + LOOK_AGAIN),
                Err(error) => {
                    tracing::warn!(reactor = CASES, %error, "the reactor tries again");
                    Some(next_retry)
                }
            };
            let again = async {
                match again_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending::<()>().await,
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                changed = causes.changed() => if changed.is_err() { return },
                () = again => {}
            }
        }
    }

    /// Handles every cause that was durable when it was called.
    pub(crate) async fn drain(&self) -> Result<(), CommandError> {
        let durable = self.shared.store.durable_position();
        self.wait_for_view(durable).await?;
        while self.advance(true).await? == Came::ToAnothers {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Waits until what was done so far is durable.
    pub(crate) async fn durable(&self) -> Result<(), CommandError> {
        let effects = self.state.lock().await.effects;
        Ok(self.shared.store.wait_durable(effects).await?)
    }

    /// Handles the causes that the view has, after those that are parked where these are to be tried.
    async fn advance(&self, retry_parked: bool) -> Result<Came, CommandError> {
        let told = *self.causes.borrow();
        self.wait_for_view(told).await?;
        let mut state = self.state.lock().await;
        if retry_parked {
            self.retry_parked(&mut state).await?;
        }
        loop {
            let reader = self
                .shared
                .view
                .reader()
                .map_err(|error| CommandError::Unreadable(error.to_string()))?;
            let found = index::causes(&reader, state.taken, CAUSES_MAX)
                .map_err(|error| CommandError::Unreadable(error.to_string()))?;
            if found.is_empty() {
                self.report(reader.checkpoint().position);
                return Ok(Came::ToTheEnd);
            }
            for (position, stream, version) in found {
                let cause = Cause { position, version };
                if self.take(&mut state, &stream, cause).await? == Came::ToAnothers {
                    self.report(state.taken);
                    return Ok(Came::ToAnothers);
                }
                state.taken = position;
                self.publish(&state);
            }
            self.report(state.taken);
        }
    }

    async fn wait_for_view(&self, position: Position) -> Result<(), CommandError> {
        self.shared
            .view
            .wait(position, VIEW_WITHIN)
            .await
            .map_err(|error| CommandError::Unreadable(error.to_string()))
    }

    fn report(&self, handled: Position) {
        let mut status = self.status.lock();
        status.handled = handled;
        status.reached = handled;
    }

    /// Tells who waits how far it is.
    fn publish(&self, state: &Progress) {
        let (taken, effects) = (state.taken, state.effects);
        self.reached.send_replace(Reached { taken, effects });
    }

    async fn take(
        &self,
        state: &mut Progress,
        stream: &StreamName,
        cause: Cause,
    ) -> Result<Came, CommandError> {
        if state.parked.holds(stream) {
            state.parked.push(stream, cause)?;
            return Ok(Came::ToTheEnd);
        }
        match self.tried(state, stream, cause).await? {
            Ok(Some(record)) => self.checkpoint(state, &record).await?,
            Ok(None) => {}
            Err(Trouble::Undone) => return Ok(Came::ToAnothers),
            Err(trouble) => {
                let what = trouble.of_its_own(self.shared.options.mode)?;
                tracing::error!(reactor = CASES, %stream, version = cause.version, what, "parked");
                state.parked.push(stream, cause)?;
            }
        }
        Ok(Came::ToTheEnd)
    }

    async fn retry_parked(&self, state: &mut Progress) -> Result<(), CommandError> {
        for stream in state.parked.names() {
            while let Some(cause) = state.parked.first(&stream) {
                match self.tried(state, &stream, cause).await? {
                    Ok(_) => {
                        // Whoever finds it parked no more finds what it did.
                        self.publish(state);
                        state.parked.pop(&stream);
                    }
                    Err(trouble) => {
                        trouble.of_its_own(self.shared.options.mode)?;
                        break;
                    }
                }
            }
        }
        // Who waits for one of them looks again.
        self.publish(state);
        Ok(())
    }

    /// Does what follows from a cause, and says up to where it was done; or looks up to where it was.
    pub(crate) async fn handle(
        &self,
        hand: Hand,
        record: &RecordedEvent,
    ) -> Result<Position, Trouble> {
        let lasting = |error: &dyn std::fmt::Display| Trouble::Lasting(error.to_string());
        let stream = StreamName::new(record.stream()).map_err(|error| lasting(&error))?;
        let event =
            codec::decode(record.event_type(), record.data()).map_err(|error| lasting(&error))?;
        let (stream, task) =
            if let Event::Conversation(ConversationEvent::MessagesReported(reported)) = event {
                let conversation = conversation_of(&stream)
                    .ok_or_else(|| Trouble::Lasting("a report of no conversation".to_owned()))?;
                let (case, join) = self.join(record, conversation, reported)?;
                let command = case::Command::JoinReport(join);
                (case::stream(case), Task::Case(command))
            } else if let Event::Member(member::Event::MemberSuspended(suspended)) = event {
                match filing(&suspended, record.version()) {
                    Some((case, file)) => (case::stream(case), Task::Case(file)),
                    None => return Ok(record.position()),
                }
            } else if let Event::Case(event) = &event
                && follows_from(event)
            {
                if let case::Event::DecisionReversed(reversed) = event
                    && self.act_stands(reversed, record.position()).await?
                {
                    return Ok(record.position());
                }
                match effect_of(event, record.version()) {
                    Some(effect) => effect,
                    None => return Ok(record.position()),
                }
            } else if let Event::Act(act::Event::CasesDecided(decided)) = event {
                return self.decide_cases(hand, record, &decided).await;
            } else if let Event::Act(act::Event::CasesReversed(reversed)) = event {
                return self.reverse_cases(hand, record, &reversed).await;
            } else {
                return Err(Trouble::Lasting("nothing follows from it".to_owned()));
            };
        self.effect(hand, record, stream, task).await
    }

    /// Does on a stream what follows from a cause, and says up to where it was done.
    pub(crate) async fn effect(
        &self,
        hand: Hand,
        record: &RecordedEvent,
        stream: String,
        task: Task,
    ) -> Result<Position, Trouble> {
        let (_, position) = self.outcome(hand, record, stream, task).await?;
        Ok(position)
    }

    /// The same, and what came of it.
    pub(crate) async fn outcome(
        &self,
        hand: Hand,
        record: &RecordedEvent,
        stream: String,
        task: Task,
    ) -> Result<(Outcome, Position), Trouble> {
        let origin = origin(record);
        let at = At::NotBefore(Timestamp(record.at_ms()));
        let decided = self
            .shared
            .decide(|reply, place| {
                Job::new(stream_name(stream), task, origin, at, reply, place).by(hand)
            })
            .await;
        match decided.result {
            Ok(outcome) if hand == Hand::Looks && outcome.kind == Kind::Done => {
                Err(Trouble::Undone)
            }
            Ok(outcome) => Ok((outcome, decided.position)),
            Err(error) => Err(Trouble::of(error)),
        }
    }

    /// A report on its way into its case.
    fn join(
        &self,
        record: &RecordedEvent,
        conversation: ConversationId,
        reported: MessagesReported<'_>,
    ) -> Result<(CaseId, JoinReport), Trouble> {
        let reader = self.reader()?;
        let upheld = upheld::upheld(&reader, &reported.reported, record.position(), UPHELD_MAX)
            .map_err(|error| unreadable(&error))?;
        let at = Timestamp(record.at_ms());
        let join = JoinReport {
            conversation,
            conversation_version: record.version(),
            report_id: reported.report_id,
            reporter: reported.reporter,
            category: reported.category,
            messages: u32::try_from(reported.messages.len()).unwrap_or(u32::MAX),
            over_limit: reported.over_limit,
            reporters: self.reporters(&reported.reported, at, record.position())?,
            upheld,
            reported: reported.reported,
        };
        Ok((CaseId::of(conversation, &join.reported), join))
    }

    pub(crate) fn reader(&self) -> Result<tables::Reader, Trouble> {
        let reader = self.shared.view.reader();
        reader.map_err(|error| unreadable(&error))
    }

    /// Different members who reported this member within 90 days, as of a report that the view has.
    fn reporters(
        &self,
        reported: &domain::MemberId,
        at: Timestamp,
        position: Position,
    ) -> Result<u32, Trouble> {
        let reader = self.reader()?;
        let since = Timestamp(at.0.saturating_sub(
            i64::from(case::PriorityInputs::REPORTERS_DAYS) * domain::time::DAY_MS,
        ));
        index::reporters(&reader, reported, since, position, REPORTERS_MAX)
            .map_err(|error| unreadable(&error))
    }

    /// Takes a checkpoint where one is due.
    async fn checkpoint(
        &self,
        state: &mut Progress,
        record: &RecordedEvent,
    ) -> Result<(), CommandError> {
        let at = Timestamp(record.at_ms());
        if !state.hands.led
            || !state.parked.is_empty()
            || at.since_ms(state.checkpoint_at) < CHECKPOINT_EVERY_MS
        {
            return Ok(());
        }
        let command = reactor::Command::Checkpoint(reactor::ReactorCheckpoint {
            stream: record.stream().to_owned(),
            version: record.version(),
        });
        let origin = origin(record);
        let decided = self
            .shared
            .decide(|reply, place| {
                let stream = stream_name(CASES_STREAM);
                Job::new(
                    stream,
                    Task::Reactor(command),
                    origin,
                    At::NotBefore(at),
                    reply,
                    place,
                )
            })
            .await;
        decided.result?;
        state.effects = state.effects.max(decided.position);
        state.checkpoint_at = at;
        Ok(())
    }
}

pub(crate) fn unreadable(error: &dyn std::fmt::Display) -> Trouble {
    Trouble::Passing(CommandError::Unreadable(error.to_string()))
}

fn origin(record: &RecordedEvent) -> Origin {
    Origin::Event {
        actor: Arc::from(CASES_ACTOR),
        name: CASES,
        cause: record.event_id(),
        correlation: record.correlation_id(),
        command_id: Arc::from(record.command_id()),
    }
}

//! One decision: facts, the domain's answer, the append, and what comes of each.
//!
//! Everything here runs in the worker between two messages. What has to be read is read elsewhere and comes back as a
//! message; until then the aggregate is busy, and commands of its stream wait in order. A mismatch of versions is
//! decided again on what is true now, at most [`ATTEMPTS_MAX`] times.

use domain::event::Event;
use domain::ids::MemberId;
use domain::rejection::{Code, Rejection};
use domain::time::Timestamp;
use event_store::{Append, AppendError, Position, Ticket};
use futures::FutureExt;
use uuid::Uuid;

use crate::acks::Ack;
use crate::aggregate::State;
use crate::idempotency::Claim;
use crate::job::{Hand, Job, Named, Origin, Reply};
use crate::outcomes::Told;
use crate::shared::answer;
use crate::steps::{give_slot_back, step_of, step_on};
use crate::task::{FactsInHand, Task};
use crate::timers::Said;
use crate::worker::{Desk, Entry, Landed};
use crate::{Answer, CommandError, Kind, Mode, Outcome, Refusal, WrongTime};

/// Decisions of one command at most, each after a mismatch of versions.
pub const ATTEMPTS_MAX: u8 = 5;
/// Steps on other streams that one command takes at most: one, and one more where it lost a race.
const STEPS_MAX: u8 = 4;

/// Events on their way into the log.
pub(crate) struct Appending {
    pub(crate) job: Box<Job>,
    events: Vec<Event<'static>>,
    at: Timestamp,
    first_id: Uuid,
    decided_on: Position,
}

impl Desk<'_> {
    /// Decides a job on its aggregate. Whether the aggregate is busy now.
    pub(crate) fn advance(&mut self, entry: &mut Entry, mut job: Box<Job>) -> bool {
        if self.shared.others_write()
            && let Some(seen) = job.claim.as_ref().and_then(Claim::noted)
        {
            self.answer_repeated(job, seen.stream, seen.version);
            return false;
        }
        let needed = job.task.members_needed(&entry.aggregate.state);
        let policy = job.task.needs_policy();
        let read_now = self.shared.others_write() && (policy || needed.iter().any(Option::is_some));
        let Some(facts) = self
            .facts(&needed, policy)
            .filter(|_| !read_now || job.facts_read)
        else {
            self.fetch_facts(job, needed);
            return true;
        };
        job.facts_read = false;
        let aggregate = &entry.aggregate;
        let decided_on = job.floor.max(aggregate.position).max(facts.position());
        let Some(at) = job.time(aggregate, self.shared.options.clock.now()) else {
            self.conclude(
                job,
                Err(CommandError::InvalidTime(WrongTime::BeforeLast)),
                decided_on,
            );
            return false;
        };
        if job.named == Named::Wanted {
            if job.task.messages_named().is_some() {
                let of_case = match &aggregate.state {
                    State::Case(state) => state.conversation(),
                    State::Conversation(_)
                    | State::Member(_)
                    | State::Policy(_)
                    | State::Reactor(_)
                    | State::Act(_) => None,
                };
                self.look_up_messages(job, aggregate.version, aggregate.position, of_case);
                return true;
            }
            job.named = Named::Put;
        }
        let Job { task, origin, .. } = &mut *job;
        task.put_facts(&facts, at, origin.command_id());
        let decided = {
            let _span = tracing::debug_span!(
                "command",
                stream = %job.stream,
                version = aggregate.version,
                command_id = job.origin.command_id().map(tracing::field::display),
            )
            .entered();
            job.task.decide(&aggregate.state)
        };
        // What was so already is an event where nodes share the log: it has no other place that all of them see.
        let decided = match decided {
            Ok(events) if events.is_empty() => {
                Ok(self.kept_by_event(entry, &mut job).into_iter().collect())
            }
            decided => decided,
        };
        // An append finds out whether the aggregate is the newest; what writes nothing has to read that first, where
        // others write too.
        let writes = decided
            .as_ref()
            .map_or_else(Rejection::recorded, |events| !events.is_empty());
        let found_out = writes && job.hand == Hand::Does;
        if !found_out && self.is_to_read_own(&mut job) {
            self.read_own(entry, job);
            return true;
        }
        match decided {
            Ok(events) if events.is_empty() => {
                self.unchanged(entry, job, decided_on);
                false
            }
            Ok(_) if job.hand == Hand::Looks => {
                let would = Outcome {
                    position: Position::START,
                    kind: Kind::Done,
                    repeated: false,
                    answer: Answer::Nothing,
                };
                self.conclude(job, Ok(would), decided_on);
                false
            }
            Ok(events) => self.append(entry, job, events, at, &facts, decided_on),
            Err(rejection) => self.rejected(entry, job, &rejection, at, &facts, decided_on),
        }
    }

    fn rejected(
        &mut self,
        entry: &mut Entry,
        mut job: Box<Job>,
        rejection: &Rejection,
        at: Timestamp,
        facts: &FactsInHand,
        decided_on: Position,
    ) -> bool {
        let code = rejection.code();
        if matches!(code, Code::SlotNeeded | Code::CountNeeded) {
            self.take_step(job, facts, decided_on);
            return false;
        }
        if code == Code::NotFound {
            self.conclude(job, Err(CommandError::NotFound), decided_on);
            return false;
        }
        let recorded = rejection.recorded().then(|| job.refusal()).flatten();
        let admitted = recorded
            .as_ref()
            .is_none_or(|(_, by, _)| self.may_record(&mut job, by));
        let Some((name, by, other)) = recorded.filter(|_| admitted) else {
            // Nothing is appended that would find out whether it was decided on the newest.
            if self.is_to_read_own(&mut job) {
                self.read_own(entry, job);
                return true;
            }
            if !admitted {
                self.shared.counters.refusal_not_recorded();
            }
            give_slot_back(self.shared, &job, &[]);
            let error = if admitted || job.task.is_never_limited() {
                let rejection = rejection.clone();
                CommandError::Refused(Box::new(Refusal {
                    rejection,
                    position: decided_on,
                    repeated: false,
                }))
            } else {
                CommandError::RateLimited
            };
            self.conclude(job, Err(error), decided_on);
            return false;
        };
        self.shared.counters.refusal_recorded();
        let mut events = job.task.recorded_first(&entry.aggregate.state);
        events.push(Event::Refused(rejection.to_event(
            name,
            &by,
            other.as_ref(),
        )));
        self.append(entry, job, events, at, facts, decided_on)
    }

    /// Whether a refusal of this job may become an event; it is counted once, however often it is decided.
    fn may_record(&self, job: &mut Job, by: &MemberId) -> bool {
        let now = self.shared.options.clock.now();
        if !job.counted.refusal && !self.shared.refusals.admit(by.as_arc(), now) {
            return false;
        }
        job.counted.refusal = true;
        true
    }

    fn append(
        &mut self,
        entry: &mut Entry,
        job: Box<Job>,
        events: Vec<Event<'static>>,
        at: Timestamp,
        facts: &FactsInHand,
        decided_on: Position,
    ) -> bool {
        let level = self.shared.store.schema_level();
        let stored = job
            .origin
            .new_events(&job.stream, &entry.aggregate, at, &events, level);
        let stored = match stored {
            Ok(stored) => stored,
            Err(above) => {
                self.conclude(job, Err(CommandError::AboveLevel(above)), decided_on);
                return false;
            }
        };
        let first_id = stored.first().map_or(Uuid::nil(), |event| event.event_id);
        let append = Append {
            stream: job.stream.clone(),
            expected: entry.aggregate.expected(),
            events: stored,
            reads: facts.reads(self.shared.facts.policy_stream()),
        };
        let appending = Appending {
            job,
            events,
            at,
            first_id,
            decided_on,
        };
        let store = &self.shared.store;
        // The first messages of a conversation all take the longer way, so that time does not tell which were requests.
        let begins = matches!(&entry.aggregate.state, State::Conversation(state) if state.last_number() == 0);
        let mut append = if self.shared.in_flight.is_one() && !begins {
            store.append_alone(append)
        } else {
            store.append(append)
        };
        if let Some(result) = (&mut append).now_or_never() {
            return self.appended(entry, appending, result);
        }
        self.appends.push(
            async move {
                Landed {
                    result: append.await,
                    appending,
                }
            }
            .boxed(),
        );
        true
    }

    /// Takes in what became of an append. Whether the aggregate is busy now.
    pub(crate) fn appended(
        &mut self,
        entry: &mut Entry,
        appending: Appending,
        result: Result<Ticket, AppendError>,
    ) -> bool {
        let Appending {
            mut job,
            events,
            at,
            first_id,
            decided_on,
        } = appending;
        let error = match result {
            // Events of these ids stand there: of another node, which may have decided the command otherwise, or of a
            // try whose answer was lost. What they say is read, and found in the state.
            Ok(ticket) if ticket.repeated && self.shared.others_write() => {
                job.attempts += 1;
                if job.attempts <= ATTEMPTS_MAX {
                    job.named = Named::Wanted;
                    let stream = job.stream.clone();
                    self.read_again(entry, job, stream, None, ticket.last_position, true);
                    return true;
                }
                CommandError::OutcomeUnknown
            }
            Ok(ticket) => {
                self.take_place(entry, job, &events, at, first_id, decided_on, &ticket);
                return false;
            }
            Err(AppendError::WrongVersion {
                stream,
                actual,
                position,
                ..
            }) => {
                self.shared.counters.conflict();
                job.attempts += 1;
                if job.attempts <= ATTEMPTS_MAX {
                    job.named = Named::Wanted;
                    self.read_again(entry, job, stream, actual, position, false);
                    return true;
                }
                CommandError::Busy
            }
            Err(AppendError::StorageFull) => CommandError::StorageFull,
            Err(AppendError::Closed | AppendError::Unanswered { .. }) => {
                CommandError::OutcomeUnknown
            }
            Err(AppendError::Unavailable { why }) => CommandError::StoreUnavailable(why),
            Err(AppendError::Unfit { what }) => CommandError::Unreadable(what.to_owned()),
            Err(AppendError::TooLarge { .. } | AppendError::Empty) => CommandError::TooLarge,
            Err(AppendError::Read(error)) => error.into(),
        };
        self.conclude(job, Err(error), decided_on);
        false
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one append that took its place"
    )]
    fn take_place(
        &mut self,
        entry: &mut Entry,
        mut job: Box<Job>,
        events: &[Event<'static>],
        at: Timestamp,
        first_id: Uuid,
        decided_on: Position,
        ticket: &Ticket,
    ) {
        let stream = job.stream.clone();
        let position = ticket.last_position;
        let held = (entry.aggregate.version, entry.aggregate.position);
        let mut told = Told::by(&stream);
        for (event, version) in events.iter().zip(ticket.first_version..) {
            entry.aggregate.evolve(version, at, position, event);
            told.event(event, version, at);
            for said in Said::by(stream.as_str(), event).into_iter().flatten() {
                let correlation = job.origin.ids().0;
                self.shared
                    .timers
                    .observe(&said, version, first_id, correlation);
            }
        }
        self.shared.facts.publish(&stream, &entry.aggregate);
        if let Some(claim) = job.claim.take() {
            claim.decided(&stream, ticket.first_version, position);
        }
        give_slot_back(self.shared, &job, events);
        let decided_on = decided_on.max(position);
        match (told.was_so(), told.outcome(position, false)) {
            (Some(made_so), Ok(outcome)) => self.was_so(job, made_so, held, outcome, decided_on),
            (_, result) => self.conclude(job, result, decided_on),
        }
    }

    /// Sends a job on to a step on its actor's stream, after which it is decided again.
    fn take_step(&mut self, mut job: Box<Job>, facts: &FactsInHand, decided_on: Position) {
        job.steps += 1;
        // Its stream goes on while the step runs: what is known of the messages it names may not be true afterwards.
        job.named = Named::Wanted;
        job.floor = job.floor.max(decided_on);
        let step = match (&job.task, &facts.by, &facts.policy) {
            (Task::Conversation(command), Some(by), Some(policy)) if job.steps <= STEPS_MAX => {
                step_of(command, &job, policy.in_force.clone())
                    .map(|step| (by.stream.clone(), step))
            }
            _ => None,
        };
        let Some((stream, command)) = step else {
            self.conclude(job, Err(CommandError::Busy), decided_on);
            return;
        };
        let mut step = step_on(&self.shared.in_flight, stream, command, &job.origin, job.at);
        step.reply = Reply::Resume(job);
        self.shared.dispatch(Box::new(step));
    }

    /// Gives a decision to who waits for it. Nothing is answered before `position` is durable.
    pub(crate) fn conclude(
        &mut self,
        mut job: Box<Job>,
        result: Result<Outcome, CommandError>,
        position: Position,
    ) {
        if let Reply::Resume(parent) = job.reply {
            self.resume(parent, result, position);
            return;
        }
        let repeated = match &result {
            Ok(outcome) => outcome.repeated,
            Err(CommandError::Refused(refusal)) => refusal.repeated,
            Err(_) => false,
        };
        if repeated {
            self.shared.counters.repeated();
        } else if job.hand == Hand::Does {
            self.shared.counters.outcome(&job.task, &result);
        }
        if let (Some(claim), Ok(outcome)) = (job.claim.take(), &result)
            && outcome.kind == Kind::Unchanged
            && claim.id_given
            // What another node decided is kept already, by its event.
            && !repeated
        {
            if self.shared.options.mode == Mode::Service
                && let Origin::Command { actor, .. } = &job.origin
            {
                let arrived = self.shared.options.clock.now();
                let kept = &self.shared.kept;
                kept.keep_unchanged(actor.as_arc(), claim.ids(), position, arrived, outcome);
            }
            claim.unchanged(position, outcome);
        }
        // What the store could not say waits for nothing.
        let position = match &result {
            Err(CommandError::StoreUnavailable(_) | CommandError::OutcomeUnknown) => {
                Position::START
            }
            Ok(_) | Err(_) => position,
        };
        match job.reply {
            Reply::Durable(caller) if position <= self.shared.store.durable_position() => {
                // A caller that went away needs no answer.
                let _ = caller.send(result);
            }
            Reply::Durable(caller) => self.acks.push(Ack {
                position,
                result,
                caller,
            }),
            reply @ (Reply::Decided(_) | Reply::Resume(_) | Reply::Nobody) => {
                answer(reply, result, position);
            }
        }
    }

    /// A step is decided: the command that wanted it is decided again, unless the step could not be tried.
    fn resume(
        &mut self,
        mut parent: Box<Job>,
        result: Result<Outcome, CommandError>,
        position: Position,
    ) {
        parent.floor = parent.floor.max(position);
        parent.own_read = false;
        match result {
            // A refused slot is seen in the facts: the rule that refuses is the conversation's.
            Ok(_) | Err(CommandError::Refused(_)) => self.shared.dispatch(parent),
            Err(error) => self.conclude(parent, Err(error), position),
        }
    }
}

//! A task on its way through a worker: who asked, under which ids, and who waits for the answer.
//!
//! Events get their ids here, from who caused them: a client's command, a step on its way (a slot, a count), or what
//! follows from an event (a reactor, a timer). The same cause gives the same ids, so that a repeated append is
//! recognised by the store.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::codec::AboveLevel;
use domain::conversation::Event as ConversationEvent;
use domain::ids::{CommandId, MemberId, event_id, reactor_event_id};
use domain::rejection::CommandName;
use domain::time::Timestamp;
use domain::{Event, codec};
use event_store::{Members, NewEvent, Position, StreamName};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::aggregate::{Aggregate, State};
use crate::idempotency::Claim;
use crate::task::Task;
use crate::{CommandError, Outcome};

/// What caused a task.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A client's command, or a step on its way, which stands on another stream and can come again at another version.
    Command {
        /// Who acts.
        actor: MemberId,
        /// The command's id.
        command_id: CommandId,
        /// Of the command's events.
        correlation: Uuid,
        /// Of the command's content.
        causation: Uuid,
        /// A step on the way, not the command itself.
        step: bool,
    },
    /// An event, by way of a reactor or a timer.
    Event {
        /// The reactor or timer; no member's id, by its `/`.
        actor: Arc<str>,
        /// The name in event ids.
        name: &'static str,
        /// The event.
        cause: Uuid,
        /// What that belongs to.
        correlation: Uuid,
        /// The command that led to that.
        command_id: Arc<str>,
    },
}

/// Whose time a task has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The clock's, or the stream's last if that is later.
    Clock,
    /// The caller's: refused where the stream is past it.
    Given(Timestamp),
    /// This, or the stream's last if that is later.
    NotBefore(Timestamp),
}

/// A decided task.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    /// What came of it.
    pub(crate) result: Result<Outcome, CommandError>,
    /// What it was decided on: nothing may be answered before this is durable.
    pub(crate) position: Position,
}

/// Who waits.
pub(crate) enum Reply {
    /// A caller, for the durable outcome.
    Durable(oneshot::Sender<Result<Outcome, CommandError>>),
    /// A caller, for the decision.
    Decided(oneshot::Sender<Decided>),
    /// The command that this was a step of.
    Resume(Box<Job>),
    /// Nobody.
    Nobody,
}

/// How far the messages that a task names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Not since the state last changed.
    Wanted,
    /// Put in, or none are named.
    Put,
}

/// What is done with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hand {
    /// It is carried out.
    Does,
    /// It is looked whether it was: nothing is written, and what would be is told as done at [`Position::START`].
    Looks,
}

/// Of what is bounded by the day for its actor, what a job was counted among.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counted {
    /// Refusals that are recorded.
    pub(crate) refusal: bool,
    /// Outcomes kept of what was so already.
    pub(crate) unchanged: bool,
}

/// A task with everything around it.
pub(crate) struct Job {
    /// Whose aggregate decides.
    pub(crate) stream: StreamName,
    /// The domain's command.
    pub(crate) task: Task,
    /// What caused it.
    pub(crate) origin: Origin,
    /// Whose time it has.
    pub(crate) at: At,
    /// The right to decide its id; none for what is no client's command.
    pub(crate) claim: Option<Claim>,
    /// Who waits.
    pub(crate) reply: Reply,
    /// Decisions lost to a mismatch of versions.
    pub(crate) attempts: u8,
    /// Steps asked for.
    pub(crate) steps: u8,
    /// What was read on the way is to be durable before the answer.
    pub(crate) floor: Position,
    /// Whether the named messages are put in.
    pub(crate) named: Named,
    /// Whether the facts were read for this very decision, where the store's grade demands it.
    pub(crate) facts_read: bool,
    /// Whether its own stream was read again for it, where others write too.
    pub(crate) own_read: bool,
    /// What it was counted among already, however often it is decided.
    pub(crate) counted: Counted,
    /// What is done with it.
    pub(crate) hand: Hand,
    /// Its place among those that wait; held until it is decided.
    #[expect(dead_code, reason = "held for its drop")]
    place: Place,
}

/// One of a bounded number, given back when dropped.
pub(crate) struct Place {
    waiting: Option<Arc<AtomicUsize>>,
    all: Arc<InFlight>,
}

/// Everything that is on its way, so that a stop can wait for it.
#[derive(Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    none: Notify,
}

impl InFlight {
    /// Whether just one thing is on its way: nobody waits for whoever asks.
    pub(crate) fn is_one(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 1
    }

    /// Ends when nothing is on its way.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.none.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl Place {
    /// A place among at most `max` that wait for one worker; none if all are taken.
    pub(crate) fn take(
        waiting: &Arc<AtomicUsize>,
        max: usize,
        all: &Arc<InFlight>,
    ) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::AcqRel) >= max {
            waiting.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        all.count.fetch_add(1, Ordering::AcqRel);
        Some(Self {
            waiting: Some(Arc::clone(waiting)),
            all: Arc::clone(all),
        })
    }

    /// A place that is never refused: for steps, reactors and timers, which are bounded by what causes them.
    pub(crate) fn beyond(all: &Arc<InFlight>) -> Self {
        all.count.fetch_add(1, Ordering::AcqRel);
        Self {
            waiting: None,
            all: Arc::clone(all),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.fetch_sub(1, Ordering::AcqRel);
        }
        if self.all.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all.none.notify_waiters();
        }
    }
}

impl Origin {
    /// The correlation and causation ids of its events.
    pub(crate) fn ids(&self) -> (Uuid, Uuid) {
        match self {
            Origin::Command {
                correlation,
                causation,
                ..
            } => (*correlation, *causation),
            Origin::Event {
                correlation, cause, ..
            } => (*correlation, *cause),
        }
    }

    /// The command's id, for slots and reports; what follows from an event has none.
    pub(crate) fn command_id(&self) -> Option<&CommandId> {
        match self {
            Origin::Command { command_id, .. } => Some(command_id),
            Origin::Event { .. } => None,
        }
    }

    /// The events as they are stored in a log of this schema level, for an append to this aggregate.
    pub(crate) fn new_events(
        &self,
        stream: &StreamName,
        aggregate: &Aggregate,
        at: Timestamp,
        events: &[Event<'_>],
        level: u32,
    ) -> Result<Vec<NewEvent>, AboveLevel> {
        let first = aggregate.expected().next();
        let mut last_number = match &aggregate.state {
            State::Conversation(state) => Some(state.last_number()),
            State::Member(_)
            | State::Case(_)
            | State::Policy(_)
            | State::Reactor(_)
            | State::Act(_) => None,
        };
        let stream = stream.as_str();
        let mut stored = Vec::with_capacity(events.len());
        for (index, event) in events.iter().enumerate() {
            if let (Some(last), Event::Conversation(event)) = (&mut last_number, event) {
                *last = number_of(event).unwrap_or(*last);
            }
            let members = match event.members() {
                [Some(one), Some(other)] => {
                    Members::two(Arc::clone(one.as_arc()), Arc::clone(other.as_arc()))
                }
                [Some(one), None] | [None, Some(one)] => Members::one(Arc::clone(one.as_arc())),
                [None, None] => Members::none(),
            };
            let (event_id, actor, command_id, correlation_id, causation_id) = match self {
                Origin::Command {
                    actor,
                    command_id,
                    correlation,
                    causation,
                    step,
                } => {
                    // A step may come again on its stream (a slot returned and taken anew): its version tells them
                    // apart.
                    let index = if *step {
                        usize::try_from(first)
                            .unwrap_or(usize::MAX)
                            .saturating_add(index)
                    } else {
                        index
                    };
                    (
                        event_id(actor.as_str(), command_id.as_str(), stream, index),
                        Arc::clone(actor.as_arc()),
                        Arc::clone(command_id.as_arc()),
                        *correlation,
                        *causation,
                    )
                }
                Origin::Event {
                    actor,
                    name,
                    cause,
                    correlation,
                    command_id,
                } => (
                    reactor_event_id(name, *cause, stream, index),
                    Arc::clone(actor),
                    Arc::clone(command_id),
                    *correlation,
                    *cause,
                ),
            };
            let (event_type, data) = codec::encode_at(event, level)?;
            stored.push(NewEvent {
                event_id,
                event_type: Cow::Borrowed(event_type),
                at_ms: at.0,
                command_id,
                correlation_id,
                causation_id,
                actor,
                members,
                last_number,
                data: data.into(),
            });
        }
        Ok(stored)
    }
}

impl Job {
    /// A job that nothing was done for yet.
    pub(crate) fn new(
        stream: StreamName,
        task: Task,
        origin: Origin,
        at: At,
        reply: Reply,
        place: Place,
    ) -> Self {
        Self {
            stream,
            task,
            origin,
            at,
            claim: None,
            reply,
            attempts: 0,
            steps: 0,
            floor: Position::START,
            named: Named::Wanted,
            facts_read: false,
            own_read: false,
            counted: Counted::default(),
            hand: Hand::Does,
            place,
        }
    }

    /// The same, by another hand.
    pub(crate) fn by(self, hand: Hand) -> Self {
        Self { hand, ..self }
    }

    /// How a refusal of this is recorded; none for what no client asked.
    pub(crate) fn refusal(&self) -> Option<(CommandName, MemberId, Option<MemberId>)> {
        match &self.origin {
            Origin::Command {
                actor, step: false, ..
            } => self.task.refusal(actor),
            Origin::Command { .. } | Origin::Event { .. } => None,
        }
    }

    /// The decision's time on this aggregate; none where the caller's is before the stream's last event.
    pub(crate) fn time(&self, aggregate: &Aggregate, now: Timestamp) -> Option<Timestamp> {
        match self.at {
            At::Clock => Some(now.max(aggregate.at)),
            At::NotBefore(at) => Some(at.max(aggregate.at)),
            At::Given(at) => (at >= aggregate.at).then_some(at),
        }
    }
}

/// The number of the message that the event writes, if it writes one.
pub(crate) fn number_of(event: &ConversationEvent<'_>) -> Option<u64> {
    match event {
        ConversationEvent::MessageSent(sent) => Some(sent.number),
        ConversationEvent::MessageWithheld(withheld) => Some(withheld.number),
        ConversationEvent::RequestOpened(_)
        | ConversationEvent::RequestAccepted(_)
        | ConversationEvent::RequestDeleted(_)
        | ConversationEvent::RequestRestored(_)
        | ConversationEvent::RequestWithdrawn(_)
        | ConversationEvent::MovedToRequests(_)
        | ConversationEvent::MessageUnsent(_)
        | ConversationEvent::ReadMarked(_)
        | ConversationEvent::ConversationMuted(_)
        | ConversationEvent::ConversationUnmuted(_)
        | ConversationEvent::MemberBlocked(_)
        | ConversationEvent::MemberUnblocked(_)
        | ConversationEvent::MessagesRemoved(_)
        | ConversationEvent::MessagesRestored(_)
        | ConversationEvent::RelationshipRecorded(_)
        | ConversationEvent::MessagesReported(_) => None,
    }
}

//! What follows from a command on other streams, for who waits for it: whether a case has all its reports, and how far a
//! decision reaches.
//!
//! Promise: who waits, waits for what concerns them. A case waits for its own reports and for no other cause, a decision for
//! what it does itself; a cause that is parked is told at once and not waited for. The effect's id follows from the
//! cause, so that it is found again whenever it is asked for. How long to wait at most is the caller's to say.

use domain::ids::{CaseId, DecisionId, reactor_event_id};
use domain::{Event, act, case, codec, member};
use event_store::{Direction, Position, RecordedEvent, StreamFrom, StreamName};
use uuid::Uuid;

use crate::aggregate::stream_name;
use crate::effects::effect_of;
use crate::reactors::{CASES, VIEW_WITHIN};
use crate::shared::Shared;
use crate::{CommandError, CommandHandler, index, joining};

/// Events read at once.
const PAGE_EVENTS: usize = 64;

/// Whether a case has all its reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It has.
    All,
    /// One cannot be brought into it for now, and the later ones wait behind it.
    Parked,
}

/// How far what follows from a decision has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedOut {
    /// It was done. The view that has come so far shows it; the decision's own position where it does nothing to its member.
    UpTo(Position),
    /// It cannot be done for now, and is tried again.
    Parked,
}

impl CommandHandler {
    /// Waits until every report of this case that is durable now is in it, and for nothing else.
    pub async fn joined(&self, case: CaseId) -> Result<Joined, CommandError> {
        let (shared, cases) = (&self.inner.shared, &self.inner.cases);
        let mut progress = cases.reached.subscribe();
        let durable = end(shared).await?;
        loop {
            // What the reactor did may not be durable yet, and nothing wakes who looks before it is.
            let effects = progress.borrow_and_update().effects;
            seen(shared, durable.max(effects)).await?;
            let reader = shared.view.reader().map_err(|error| unreadable(&error))?;
            let behind = joining::behind(&reader, case).map_err(|error| unreadable(&error))?;
            let Some(conversation) = behind else {
                return Ok(Joined::All);
            };
            if cases.parked.any(&conversation) {
                return Ok(Joined::Parked);
            }
            progress.changed().await.map_err(|_| CommandError::Busy)?;
        }
    }

    /// Waits until what follows from the event that stands at this position is carried out, and for nothing else: from a
    /// decision on a case or on many, or the reversal of one.
    pub async fn carried_out(&self, cause: Position) -> Result<CarriedOut, CommandError> {
        let (shared, cases) = (&self.inner.shared, &self.inner.cases);
        let Some(follows) = Follows::from(shared, cause).await? else {
            return Ok(CarriedOut::UpTo(cause));
        };
        let mut progress = cases.reached.subscribe();
        let taken = progress.wait_for(|reached| reached.taken >= cause).await;
        taken.map_err(|_| CommandError::Busy)?;
        let parked = cases.parked.wait(&follows.cause, cause);
        // After that: what is parked no more has done what it does by what is read here.
        let effects = progress.borrow().effects;
        shared.store.wait_durable(effects).await?;
        match follows.effect(shared, cause).await? {
            Effect::At(position) => Ok(CarriedOut::UpTo(position)),
            Effect::None { .. } if parked => Ok(CarriedOut::Parked),
            // It was so already, by what stands on the stream.
            Effect::None { end } => Ok(CarriedOut::UpTo(cause.max(end))),
        }
    }

    /// The decision by which the event at this position suspends a member by hand; none where it does not.
    pub async fn suspension_at(
        &self,
        position: Position,
    ) -> Result<Option<DecisionId>, CommandError> {
        let Some(record) = self.inner.shared.event_at(position).await? else {
            return Ok(None);
        };
        let decoded = codec::decode(record.event_type(), record.data());
        Ok(match decoded.map_err(|error| unreadable(&error))? {
            Event::Member(member::Event::MemberSuspended(suspended)) => suspended.decision,
            Event::Member(_)
            | Event::Act(_)
            | Event::Case(_)
            | Event::Conversation(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => None,
        })
    }

    /// The case that a decision is on, of those that are durable now; none where there is none.
    pub async fn case_of(&self, decision: DecisionId) -> Result<Option<CaseId>, CommandError> {
        let shared = &self.inner.shared;
        let look = || {
            let reader = shared.view.reader().map_err(|error| unreadable(&error))?;
            index::case_of_decision(&reader, decision).map_err(|error| unreadable(&error))
        };
        if let Some(case) = look()? {
            return Ok(Some(case));
        }
        seen(shared, end(shared).await?).await?;
        look()
    }
}

/// Where the log ends; what other nodes appended, and this one has not heard of, is before that.
async fn end(shared: &Shared) -> Result<Position, CommandError> {
    let known = shared.store.durable_position();
    if !shared.others_write() {
        return Ok(known);
    }
    let last = shared
        .store
        .read_all_backward(Position(u64::MAX), 1)
        .await?;
    Ok(last
        .first()
        .map_or(known, |last| last.position().max(known)))
}

/// Waits until the write side's view has come so far.
async fn seen(shared: &Shared, position: Position) -> Result<(), CommandError> {
    let seen = shared.view.wait(position, VIEW_WITHIN).await;
    seen.map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Unreadable(error.to_string())
}

/// What follows from an event, and where.
pub(crate) struct Follows {
    /// The event's own stream.
    cause: StreamName,
    /// The stream of what it does.
    target: StreamName,
    /// The last event of that.
    effect: Uuid,
}

/// Where what follows stands.
pub(crate) enum Effect {
    At(Position),
    /// Nowhere; the end of the stream that it would stand on.
    None {
        end: Position,
    },
}

impl Follows {
    /// What follows from the event at this position; none where nothing does.
    async fn from(shared: &Shared, cause: Position) -> Result<Option<Self>, CommandError> {
        let Some(record) = shared.event_at(cause).await? else {
            return Ok(None);
        };
        let decoded = codec::decode(record.event_type(), record.data());
        let target = match decoded.map_err(|error| unreadable(&error))? {
            Event::Case(event) => effect_of(&event, record.version()).map(|(stream, _)| stream),
            // What came of an act is said on its own stream, once all of it is done.
            Event::Act(act::Event::CasesDecided(decided)) => Some(act::stream_of_act(decided.act)),
            Event::Act(act::Event::CasesReversed(reversed)) => {
                Some(act::stream_of_act(reversed.act))
            }
            Event::Member(member::Event::MemberSuspended(suspended)) => suspended
                .decision
                .map(|decision| case::stream(CaseId::of_suspension(decision))),
            Event::Act(_)
            | Event::Conversation(_)
            | Event::Member(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => None,
        };
        Ok(target.map(|target| Self::on(&record, target)))
    }

    /// What follows from an event on this stream.
    pub(crate) fn on(cause: &RecordedEvent, target: String) -> Self {
        Self {
            cause: stream_name(cause.stream().to_owned()),
            effect: reactor_event_id(CASES, cause.event_id(), &target, 0),
            target: stream_name(target),
        }
    }

    /// Where it stands, as far as that is durable.
    pub(crate) async fn effect(
        &self,
        shared: &Shared,
        cause: Position,
    ) -> Result<Effect, CommandError> {
        let (mut from, mut end) = (StreamFrom::End, Position::START);
        loop {
            let page = shared
                .store
                .read_stream(&self.target, from, Direction::Backward, PAGE_EVENTS)
                .await?;
            for event in &page {
                end = end.max(event.position());
                if event.event_id() == self.effect {
                    return Ok(Effect::At(event.position()));
                }
                if event.position() < cause {
                    return Ok(Effect::None { end });
                }
            }
            match page.last().map(RecordedEvent::version) {
                Some(version) if version > 0 => from = StreamFrom::Version(version - 1),
                Some(_) | None => return Ok(Effect::None { end }),
            }
        }
    }
}

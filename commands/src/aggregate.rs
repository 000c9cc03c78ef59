//! One stream's aggregate in memory: its folded state and how far it was folded.
//!
//! Promise: the state is the fold of the stream's events up to `version`, no more and no less. Loading folds a stream
//! page by page, so that its length costs time and never memory; a tail is folded onto what is there. Where the state
//! lives and when it is thrown away is the worker's matter.

use std::sync::Arc;

use domain::event::Recorded;
use domain::time::Timestamp;
use domain::{Event, act, case, codec, conversation, member, policy, reactor};
use event_store::{
    Direction, EventStore, ExpectedVersion, Position, ReadError, RecordedEvent, StreamFrom,
    StreamName,
};

/// Events read at once when a stream is folded.
const PAGE_EVENTS: usize = 1024;

/// The state of a stream's category.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Of `conversation-…`.
    Conversation(Box<conversation::State>),
    /// Of `member-…`; shared with the decisions of other streams.
    Member(Arc<member::State>),
    /// Of `case-…`.
    Case(Box<case::State>),
    /// Of `policy`.
    Policy(policy::State),
    /// Of `reactor-…`.
    Reactor(reactor::State),
    /// Of `act-…`.
    Act(act::State),
}

/// A stream's state, and how far it is folded.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    /// What decisions need.
    pub(crate) state: State,
    /// The last event folded; none for a stream without events.
    pub(crate) version: Option<u64>,
    /// Its position.
    pub(crate) position: Position,
    /// Its time: no later event has an earlier one.
    pub(crate) at: Timestamp,
}

/// Why a stream could not be folded.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The store cannot read it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event of it does not decode, or belongs elsewhere.
    #[error("event {version} of {stream}: {what}")]
    Event {
        /// The stream.
        stream: StreamName,
        /// The event.
        version: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl Aggregate {
    /// The aggregate of a stream without events; none where the category has no aggregate.
    pub(crate) fn empty(stream: &StreamName) -> Option<Self> {
        let state = match stream.category() {
            "conversation" => State::Conversation(Box::default()),
            "member" => State::Member(Arc::default()),
            "case" => State::Case(Box::default()),
            "policy" => State::Policy(policy::State::default()),
            "reactor" => State::Reactor(reactor::State::default()),
            "act" => State::Act(act::State::default()),
            _ => return None,
        };
        Some(Self {
            state,
            version: None,
            position: Position::START,
            at: Timestamp(i64::MIN),
        })
    }

    /// What an append to this stream has to expect.
    pub(crate) fn expected(&self) -> ExpectedVersion {
        ExpectedVersion::of(self.version)
    }

    /// Folds one event; its place is taken as given.
    pub(crate) fn evolve(
        &mut self,
        version: u64,
        at: Timestamp,
        position: Position,
        event: &Event<'_>,
    ) -> bool {
        let recorded = Recorded { version, at };
        let fits = match (&mut self.state, event) {
            (State::Conversation(state), Event::Conversation(event)) => {
                conversation::evolve(state, recorded, event);
                true
            }
            (State::Member(state), Event::Member(event)) => {
                member::evolve(Arc::make_mut(state), recorded, event);
                true
            }
            (State::Case(state), Event::Case(event)) => {
                case::evolve(state, recorded, event);
                true
            }
            (State::Policy(state), Event::Policy(event)) => {
                policy::evolve(state, recorded, event);
                true
            }
            (State::Reactor(state), Event::Reactor(event)) => {
                reactor::evolve(state, recorded, event);
                true
            }
            (State::Act(state), Event::Act(event)) => {
                act::evolve(state, recorded, event);
                true
            }
            // A refusal changes no state, nor does what was so already, on whatever stream it stands.
            (_, Event::Refused(_) | Event::Unchanged(_)) => true,
            (
                State::Conversation(_)
                | State::Member(_)
                | State::Case(_)
                | State::Policy(_)
                | State::Reactor(_)
                | State::Act(_),
                Event::Conversation(_)
                | Event::Member(_)
                | Event::Case(_)
                | Event::Policy(_)
                | Event::Reactor(_)
                | Event::Act(_),
            ) => false,
        };
        self.version = Some(version);
        self.position = position;
        self.at = self.at.max(at);
        fits
    }

    /// Folds a stored event.
    pub(crate) fn fold(&mut self, record: &RecordedEvent) -> Result<(), LoadError> {
        let problem = |what: String| LoadError::Event {
            stream: StreamName::new(record.stream()).unwrap_or_else(|_| policy_stream()),
            version: record.version(),
            what,
        };
        let event = codec::decode(record.event_type(), record.data())
            .map_err(|error| problem(error.to_string()))?;
        if self.evolve(
            record.version(),
            Timestamp(record.at_ms()),
            record.position(),
            &event,
        ) {
            Ok(())
        } else {
            Err(problem(format!(
                "{} does not belong here",
                record.event_type()
            )))
        }
    }

    /// Folds what the store has of the stream beyond what is folded already, up to a position where one is given; each
    /// event is shown to `seen`.
    pub(crate) async fn catch_up(
        &mut self,
        store: &dyn EventStore,
        stream: &StreamName,
        until: Option<Position>,
        mut seen: impl FnMut(&RecordedEvent) + Send,
    ) -> Result<(), LoadError> {
        if let (State::Reactor(_) | State::Act(_), None, None) = (&self.state, self.version, until)
        {
            let last = store
                .read_stream(stream, StreamFrom::End, Direction::Backward, 1)
                .await?;
            // Its state is its last event, or nothing, however many there were; but of an act on many cases.
            if last.iter().all(is_the_whole_state) {
                for record in &last {
                    self.fold(record)?;
                    seen(record);
                }
                return Ok(());
            }
        }
        loop {
            let from = StreamFrom::Version(self.expected().next());
            let page = store
                .read_stream(stream, from, Direction::Forward, PAGE_EVENTS)
                .await?;
            for record in &page {
                if until.is_some_and(|until| record.position() > until) {
                    return Ok(());
                }
                self.fold(record)?;
                seen(record);
            }
            if page.len() < PAGE_EVENTS {
                return Ok(());
            }
            // A store may read without ever waiting: let others pass between two pages.
            tokio::task::yield_now().await;
        }
    }
}

/// Whether nothing before this last event of a reactor's or an act's stream is needed for its state.
fn is_the_whole_state(last: &RecordedEvent) -> bool {
    match codec::decode(last.event_type(), last.data()) {
        Ok(Event::Act(event)) => event.leaves_nothing(),
        // What cannot be decoded is told by the fold.
        Ok(Event::Reactor(_)) | Err(_) => true,
        Ok(
            Event::Conversation(_)
            | Event::Member(_)
            | Event::Case(_)
            | Event::Policy(_)
            | Event::Refused(_)
            | Event::Unchanged(_),
        ) => false,
    }
}

/// The stream of the rules.
pub(crate) fn policy_stream() -> StreamName {
    stream_name(policy::STREAM)
}

/// A name the domain gives, which is one by its making: ids are printable ASCII and within the bound.
pub(crate) fn stream_name(name: impl Into<Arc<str>>) -> StreamName {
    match StreamName::new(name) {
        Ok(name) => name,
        Err(error) => unreachable!("the domain names its streams: {error}"),
    }
}

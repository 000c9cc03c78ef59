//! How far a reactor has come: its checkpoint, as an event of `reactor-{name}`.
//!
//! Protects: a checkpoint is not taken twice. The effects themselves are idempotent at their targets, so an old
//! checkpoint costs work and nothing else. State is one place.
//!
//! A checkpoint names the event that was handled last by its stream and version, which every copy of a log keeps; a
//! position means something in one log only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Recorded;

/// The stream of a reactor.
pub fn stream(name: &str) -> String {
    format!("reactor-{name}")
}

/// What happens to a reactor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has handled everything in the log up to an event.
    ReactorCheckpoint(ReactorCheckpoint),
}

/// `reactor-checkpoint.v1`: a reactor has handled everything in the log up to an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReactorCheckpoint {
    /// The stream of the event that was handled last.
    pub stream: String,
    /// Its version there.
    pub version: u64,
}

/// The last checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    last: Option<ReactorCheckpoint>,
}

impl State {
    /// The event handled last, by its stream and version; none when there never was one.
    pub fn last(&self) -> Option<(&str, u64)> {
        self.last
            .as_ref()
            .map(|last| (last.stream.as_str(), last.version))
    }
}

/// What a reactor asks of its own stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Remember that everything up to this event was handled.
    Checkpoint(ReactorCheckpoint),
}

/// The checkpoint to append; none when it stands there already. Refuses nothing.
pub fn decide(state: &State, command: &Command) -> Vec<Event> {
    match command {
        Command::Checkpoint(checkpoint) => {
            if state.last.as_ref() == Some(checkpoint) {
                return Vec::new();
            }
            vec![Event::ReactorCheckpoint(checkpoint.clone())]
        }
    }
}

/// Takes an event into the state.
pub fn evolve(state: &mut State, _recorded: Recorded, event: &Event) {
    match event {
        Event::ReactorCheckpoint(checkpoint) => state.last = Some(checkpoint.clone()),
    }
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::time::Timestamp;

    fn place(version: u64) -> ReactorCheckpoint {
        ReactorCheckpoint {
            stream: "conversation-1".to_owned(),
            version,
        }
    }

    fn at(version: u64) -> State {
        let mut state = State::default();
        let recorded = Recorded {
            version: 0,
            at: Timestamp(0),
        };
        evolve(
            &mut state,
            recorded,
            &Event::ReactorCheckpoint(place(version)),
        );
        state
    }

    #[test]
    fn advances_and_stays_quiet_where_it_stands_already() {
        let checkpoint = |version| Command::Checkpoint(place(version));
        assert_eq!(decide(&State::default(), &checkpoint(0)).len(), 1);
        assert_eq!(decide(&at(5), &checkpoint(6)).len(), 1);
        assert_eq!(decide(&at(5), &checkpoint(5)), []);
    }

    #[test]
    fn names_the_event_that_was_handled_last() {
        assert_eq!(State::default().last(), None);
        assert_eq!(at(5).last(), Some(("conversation-1", 5)));
    }
}

//! How far a reactor has come: its checkpoint, as an event of `reactor-{name}`.
//!
//! Protects: the checkpoint of one log never falls. The effects themselves are idempotent at their targets, so an
//! old checkpoint costs work and nothing else. State is one position.
//!
//! A position means something in one log only: a checkpoint names the log it was taken in, and in another log (after
//! a restore or a copy) it counts as none, and the reactor starts from the beginning.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::Recorded;

/// The stream of a reactor.
pub fn stream(name: &str) -> String {
    format!("reactor-{name}")
}

/// What happens to a reactor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has handled everything up to a position.
    ReactorCheckpoint(ReactorCheckpoint),
}

/// `reactor-checkpoint.v1`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactorCheckpoint {
    /// The log whose positions these are.
    pub log_id: Uuid,
    /// The last position handled.
    pub position: u64,
}

/// The last checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    last: Option<ReactorCheckpoint>,
}

impl State {
    /// The last position handled of this log; none when it never was.
    pub fn position(&self, log_id: Uuid) -> Option<u64> {
        self.last
            .as_ref()
            .filter(|last| last.log_id == log_id)
            .map(|last| last.position)
    }
}

/// What a reactor asks of its own stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Remember that everything up to here was handled.
    Checkpoint {
        /// The log read from.
        log_id: Uuid,
        /// The last position handled.
        position: u64,
    },
}

/// The checkpoint to append; none when it would not advance. Refuses nothing.
pub fn decide(state: &State, command: &Command) -> Vec<Event> {
    match *command {
        Command::Checkpoint { log_id, position } => {
            if state.position(log_id).is_some_and(|last| last >= position) {
                return Vec::new();
            }
            vec![Event::ReactorCheckpoint(ReactorCheckpoint {
                log_id,
                position,
            })]
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

    const HERE: Uuid = Uuid::from_u128(1);
    const ELSEWHERE: Uuid = Uuid::from_u128(2);

    fn at(log_id: Uuid, position: u64) -> State {
        let mut state = State::default();
        let checkpoint = Event::ReactorCheckpoint(ReactorCheckpoint { log_id, position });
        evolve(
            &mut state,
            Recorded {
                version: 0,
                at: Timestamp(0),
            },
            &checkpoint,
        );
        state
    }

    #[test]
    fn advances_and_stays_quiet_where_it_would_not() {
        let checkpoint = |position| Command::Checkpoint {
            log_id: HERE,
            position,
        };
        assert_eq!(decide(&State::default(), &checkpoint(0)).len(), 1);
        assert_eq!(decide(&at(HERE, 5), &checkpoint(6)).len(), 1);
        assert_eq!(decide(&at(HERE, 5), &checkpoint(5)), []);
        assert_eq!(decide(&at(HERE, 5), &checkpoint(4)), []);
    }

    #[test]
    fn trusts_no_checkpoint_of_another_log() {
        assert_eq!(at(ELSEWHERE, 5).position(HERE), None);
        assert_eq!(
            decide(
                &at(ELSEWHERE, 5),
                &Command::Checkpoint {
                    log_id: HERE,
                    position: 1
                }
            )
            .len(),
            1
        );
    }
}

//! Causes of the reactor that wait because one of their stream could not be handled, and how far it has come.
//!
//! Promise: what waits keeps its order within its stream, holds up no other stream, and is bounded. It is kept by its place
//! in the log alone and read again at each try, so that what could not be read waits as well. Who waits for the reactor sees
//! what is parked ([`Firsts`]) beside how far it is ([`Reached`]).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use event_store::{Position, StreamName};
use parking_lot::Mutex;

use crate::CommandError;

/// Causes that wait at most, of all streams; beyond it the reactor stands still before the next.
const PARKED_MAX: usize = 10_000;

/// A cause by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) position: Position,
    pub(crate) version: u64,
}

/// How far the reactor has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    /// Every cause up to here was taken up: it was handled, or is parked.
    pub(crate) taken: Position,
    /// The last event decided on or written on the way.
    pub(crate) effects: Position,
}

/// Where the first cause that waits stands, by stream; shared with who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Firsts(Arc<Mutex<BTreeMap<StreamName, Position>>>);

impl Firsts {
    /// Of how many streams something waits.
    pub(crate) fn streams(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether the cause of this stream at this position waits, or one before it.
    pub(crate) fn wait(&self, stream: &StreamName, position: Position) -> bool {
        let firsts = self.0.lock();
        firsts.get(stream).is_some_and(|first| *first <= position)
    }

    /// Whether any cause of this stream waits.
    pub(crate) fn any(&self, stream: &StreamName) -> bool {
        self.0.lock().contains_key(stream)
    }
}

/// What is parked.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    by_stream: BTreeMap<StreamName, VecDeque<Cause>>,
    count: usize,
    firsts: Firsts,
}

impl Parked {
    /// Nothing yet, told to who shares this.
    pub(crate) fn told_to(firsts: Firsts) -> Self {
        Self {
            firsts,
            ..Self::default()
        }
    }

    /// Whether nothing is.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_stream.is_empty()
    }

    /// Whether a cause of this stream has to wait.
    pub(crate) fn holds(&self, stream: &StreamName) -> bool {
        self.by_stream.contains_key(stream)
    }

    /// The streams of which something waits.
    pub(crate) fn names(&self) -> Vec<StreamName> {
        self.by_stream.keys().cloned().collect()
    }

    /// The first cause of a stream that waits.
    pub(crate) fn first(&self, stream: &StreamName) -> Option<Cause> {
        self.by_stream.get(stream)?.front().copied()
    }

    /// Lets a cause wait behind those of its stream. `Busy` where there is no room.
    pub(crate) fn push(&mut self, stream: &StreamName, cause: Cause) -> Result<(), CommandError> {
        if self.count >= PARKED_MAX {
            return Err(CommandError::Busy);
        }
        self.count += 1;
        let waiting = self.by_stream.entry(stream.clone()).or_default();
        if waiting.is_empty() {
            let mut firsts = self.firsts.0.lock();
            firsts.insert(stream.clone(), cause.position);
        }
        waiting.push_back(cause);
        Ok(())
    }

    /// Takes the first cause of a stream, which was handled.
    pub(crate) fn pop(&mut self, stream: &StreamName) {
        let Some(waiting) = self.by_stream.get_mut(stream) else {
            return;
        };
        if waiting.pop_front().is_some() {
            self.count -= 1;
        }
        let mut firsts = self.firsts.0.lock();
        if let Some(next) = waiting.front() {
            firsts.insert(stream.clone(), next.position);
        } else {
            firsts.remove(stream);
            self.by_stream.remove(stream);
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn stream(name: &str) -> StreamName {
        StreamName::new(name).unwrap()
    }

    fn cause(position: u64) -> Cause {
        Cause {
            position: Position(position),
            version: position,
        }
    }

    #[test]
    fn tells_of_each_stream_the_first_that_waits() {
        let firsts = Firsts::default();
        let (one, other) = (stream("case-1"), stream("case-2"));
        let mut parked = Parked::told_to(firsts.clone());
        parked.push(&one, cause(3)).unwrap();
        parked.push(&one, cause(5)).unwrap();
        parked.push(&other, cause(4)).unwrap();
        let waits = |at| firsts.wait(&one, Position(at));
        assert_eq!([2, 3, 5].map(waits), [false, true, true]);
        parked.pop(&one);
        assert_eq!([3, 5].map(waits), [false, true]);
        assert_eq!((parked.first(&one), firsts.streams()), (Some(cause(5)), 2));
        parked.pop(&one);
        assert!(!firsts.any(&one) && !parked.holds(&one) && firsts.any(&other));
        parked.pop(&other);
        assert!(parked.is_empty() && firsts.streams() == 0);
    }

    #[test]
    fn lets_no_more_wait_than_its_bound_whatever_the_streams() {
        let mut parked = Parked::default();
        let names = [stream("case-1"), stream("case-2")];
        for (stream, at) in names.iter().cycle().zip(0..10_000) {
            parked.push(stream, cause(at)).unwrap();
        }
        let one_more = |parked: &mut Parked| parked.push(&names[0], cause(10_000));
        assert_eq!(one_more(&mut parked), Err(CommandError::Busy));
        parked.pop(&names[1]);
        assert_eq!(one_more(&mut parked), Ok(()));
    }
}

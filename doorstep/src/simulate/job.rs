//! One command on its way through a node, and the moments at which something of it happens.

use std::cmp::Ordering;

use domain::conversation::{Command, Event};
use domain::time::Timestamp;

use super::Micros;

/// What a job does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waits for its turn, or is decided.
    Deciding,
    /// So many facts of other streams are still to be read.
    Facts(u8),
    /// Its events are on their way into the log.
    Appending,
    /// The stream was elsewhere: so many readings until it is known what stands there.
    Comparing(u8),
    /// Waits until the subscription has told so many events of its stream.
    Told(u64),
    /// What its stream has more is read.
    CatchingUp,
}

/// One command.
pub(super) struct Job {
    pub(super) node: usize,
    pub(super) conversation: u64,
    pub(super) command: Command,
    pub(super) came: Micros,
    pub(super) stage: Stage,
    /// Mismatches of versions that it met.
    pub(super) attempts: u8,
    pub(super) facts_read: bool,
    /// Its own stream was read because it writes nothing.
    pub(super) own_read: bool,
    /// What it appends.
    pub(super) events: Vec<(Option<Event<'static>>, Timestamp)>,
    /// How many events its stream has with those, and without.
    pub(super) expected: [u64; 2],
}

impl Job {
    /// One that comes now.
    pub(super) fn new(node: usize, conversation: u64, command: Command, came: Micros) -> Self {
        Self {
            node,
            conversation,
            command,
            came,
            stage: Stage::Deciding,
            attempts: 0,
            facts_read: false,
            own_read: false,
            events: Vec::new(),
            expected: [0, 0],
        }
    }
}

/// What happens at a moment.
pub(super) enum Happening {
    /// The next command comes.
    Arrival,
    /// A call comes to the leader.
    Asked(Box<Job>),
    /// A reading's answer comes to the node: so many events its stream had.
    Read(Box<Job>, u64),
    /// An append's answer comes to the node: taken, or the stream has so many events.
    Appended(Box<Job>, Result<(), u64>),
    /// A pause is over.
    Again(Box<Job>),
}

/// A happening in its place.
pub(super) struct Moment {
    pub(super) at: Micros,
    /// Of two at the same time the one that was foreseen first comes first.
    pub(super) order: u64,
    pub(super) what: Happening,
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, since a heap gives the greatest.
impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

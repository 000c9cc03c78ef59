//! The cluster as its clients see it: one leader that takes calls in turn, orders appends, and acknowledges them once a
//! majority has them.
//!
//! Promise: an append is taken at the version that its stream has, those on their way to the majority included, or not at
//! all; a reading sees what was committed when it was served, and commits are in order. Streams are begun by the domain's own
//! decisions: in each two members follow each other. What comes of an answer is the node's.

use std::collections::HashMap;

use domain::conversation::{self, Command, Event, RecordRelationship, RelationshipKind, State};
use domain::event::Recorded;
use domain::ids::MemberId;
use domain::time::Timestamp;

use super::Micros;
use super::assumed::Assumed;
use super::chance::Chance;

/// An event in its place.
pub(super) struct Stored {
    /// What; none of a refusal, which changes no state.
    pub(super) event: Option<Event<'static>>,
    /// The command's time.
    pub(super) at: Timestamp,
    /// When a majority had it.
    pub(super) committed: Micros,
}

/// One conversation's stream.
pub(super) struct Stream {
    /// The two who talk.
    pub(super) pair: [MemberId; 2],
    pub(super) events: Vec<Stored>,
}

impl Stream {
    /// Of conversation `number`, as it begins.
    fn new(number: u64) -> anyhow::Result<Self> {
        let pair = [
            MemberId::new(&format!("a-{number}"))?,
            MemberId::new(&format!("b-{number}"))?,
        ];
        let mut stream = Self {
            pair,
            events: Vec::new(),
        };
        let [one, other] = &stream.pair;
        let follow = |member: &MemberId, other: &MemberId| {
            Command::RecordRelationship(RecordRelationship {
                kind: RelationshipKind::Follow,
                member: member.clone(),
                other: other.clone(),
                at: Timestamp(0),
            })
        };
        let mut state = State::default();
        for command in [follow(one, other), follow(other, one)] {
            let events = conversation::decide(&state, &command)
                .map_err(|refused| anyhow::anyhow!("a stream does not begin: {refused:?}"))?;
            for event in events {
                let stored = Stored {
                    event: Some(event),
                    at: Timestamp(0),
                    committed: 0,
                };
                evolve(&mut state, stream.length(), &stored);
                stream.events.push(stored);
            }
        }
        Ok(stream)
    }

    /// How many events it has, committed or not.
    pub(super) fn length(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    /// How many were committed by then.
    pub(super) fn committed_by(&self, moment: Micros) -> u64 {
        let count = self
            .events
            .partition_point(|stored| stored.committed <= moment);
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// When the last of so many events was committed.
    pub(super) fn committed_at(&self, length: u64) -> Micros {
        let last = length
            .checked_sub(1)
            .and_then(|at| usize::try_from(at).ok());
        let last = last.and_then(|at| self.events.get(at));
        last.map_or(0, |stored| stored.committed)
    }

    /// Takes what a state of `from` events does not have yet into it, up to `until` events.
    pub(super) fn fold(&self, state: &mut State, from: u64, until: u64) {
        for version in from..until {
            let stored = usize::try_from(version)
                .ok()
                .and_then(|at| self.events.get(at));
            if let Some(stored) = stored {
                evolve(state, version, stored);
            }
        }
    }
}

/// Takes one event into a state.
fn evolve(state: &mut State, version: u64, stored: &Stored) {
    if let Some(event) = &stored.event {
        let at = stored.at;
        conversation::evolve(state, Recorded { version, at }, event);
    }
}

/// What an append came to, and when its answer leaves the leader.
pub(super) enum Appended {
    /// A majority has it.
    Taken(Micros),
    /// The stream has so many events already.
    Elsewhere(Micros, u64),
}

/// The leader with its log.
pub(super) struct Cluster {
    assumed: Assumed,
    streams: HashMap<u64, Stream>,
    /// When each of those who serve calls is free.
    servers: Vec<Micros>,
    /// When each event was committed, in order.
    pub(super) commits: Vec<Micros>,
    /// Calls that were served while it is counted.
    pub(super) calls: u64,
    chance: Chance,
}

impl Cluster {
    /// With an empty log.
    pub(super) fn new(assumed: Assumed, seed: u64) -> Self {
        Self {
            assumed,
            streams: HashMap::new(),
            servers: vec![0; assumed.leader_servers],
            commits: Vec::new(),
            calls: 0,
            chance: Chance::of(seed, 1),
        }
    }

    /// The stream of a conversation, which begins where it is first asked for.
    pub(super) fn stream(&mut self, conversation: u64) -> anyhow::Result<&mut Stream> {
        use std::collections::hash_map::Entry;
        match self.streams.entry(conversation) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(Stream::new(conversation)?)),
        }
    }

    /// All streams that were asked for.
    pub(super) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.values()
    }

    /// Serves a call that comes now; gives when it is served.
    pub(super) fn serve(&mut self, now: Micros) -> Micros {
        self.calls += u64::from(self.assumed.counts(now));
        let Some(first) = self.servers.iter_mut().min() else {
            return now;
        };
        *first = now.max(*first) + self.assumed.leader_call_us;
        *first
    }

    /// Orders events behind `expected` others of their stream.
    pub(super) fn append(
        &mut self,
        now: Micros,
        conversation: u64,
        expected: u64,
        events: Vec<(Option<Event<'static>>, Timestamp)>,
    ) -> anyhow::Result<Appended> {
        let served = self.serve(now);
        let last = self.commits.last().copied().unwrap_or(0);
        let quorum = self.assumed.commit_us + self.chance.waiting(self.assumed.commit_more_us);
        let committed = (served + quorum).max(last + 1);
        let stream = self.stream(conversation)?;
        let length = stream.length();
        if length != expected {
            return Ok(Appended::Elsewhere(served, length));
        }
        let count = events.len();
        stream
            .events
            .extend(events.into_iter().map(|(event, at)| Stored {
                event,
                at,
                committed,
            }));
        self.commits.extend(std::iter::repeat_n(committed, count));
        Ok(Appended::Taken(committed))
    }
}

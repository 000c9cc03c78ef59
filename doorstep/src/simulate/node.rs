//! One node of the service: what it holds in memory, and the bounds that its work waits at.
//!
//! Promise: the bounds are the write side's and the adapter's own ([`commands::READINGS_MAX`], [`kurrent::client::CALLS_MAX`],
//! [`commands::Options`]); what is beyond one waits in the order it came. What is decided when is the simulation's.

use std::collections::{HashMap, VecDeque};

use domain::conversation::State;

use super::Micros;
use super::job::Job;

/// Places of which only so many are taken at once.
pub(super) struct Gate {
    free: usize,
    waiting: VecDeque<Box<Job>>,
}

impl Gate {
    fn new(places: usize) -> Self {
        Self {
            free: places,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a place for the job and gives it back, or keeps it until there is one.
    pub(super) fn enter(&mut self, job: Box<Job>) -> Option<Box<Job>> {
        if self.free == 0 {
            self.waiting.push_back(job);
            return None;
        }
        self.free -= 1;
        Some(job)
    }

    /// Gives a place up; whoever waited longest has it then.
    pub(super) fn leave(&mut self) -> Option<Box<Job>> {
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.free += 1;
        }
        next
    }
}

/// An aggregate in memory, and what waits for it.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) state: State,
    /// How many events are folded.
    pub(super) length: u64,
    pub(super) busy: bool,
    pub(super) waiting: VecDeque<Box<Job>>,
}

/// One node.
pub(super) struct Node {
    /// How long after its commit an event is told to it.
    pub(super) told_after: Micros,
    pub(super) entries: HashMap<u64, Entry>,
    /// How many events streams are known to have, beside what the subscription told.
    pub(super) noted: HashMap<u64, u64>,
    /// Readings beside the workers.
    pub(super) readings: Gate,
    /// Calls to the cluster.
    pub(super) calls: Gate,
    /// Commands in the hands of each worker.
    workers: Vec<usize>,
    waiting_per_worker_max: usize,
}

impl Node {
    /// With nothing in memory.
    pub(super) fn new(told_after: Micros, options: &commands::Options) -> Self {
        Self {
            told_after,
            entries: HashMap::new(),
            noted: HashMap::new(),
            readings: Gate::new(commands::READINGS_MAX),
            calls: Gate::new(kurrent::client::CALLS_MAX),
            workers: vec![0; options.workers.max(1)],
            waiting_per_worker_max: options.waiting_per_worker_max,
        }
    }

    fn worker(&mut self, conversation: u64) -> Option<&mut usize> {
        let count = u64::try_from(self.workers.len()).unwrap_or(1).max(1);
        let index = usize::try_from(super::chance::mix(conversation) % count).unwrap_or(0);
        self.workers.get_mut(index)
    }

    /// Whether the conversation's worker takes one more command.
    pub(super) fn admits(&mut self, conversation: u64) -> bool {
        let max = self.waiting_per_worker_max;
        let Some(waiting) = self.worker(conversation) else {
            return false;
        };
        let admits = *waiting < max;
        if admits {
            *waiting += 1;
        }
        admits
    }

    /// One that it took has its answer.
    pub(super) fn answered(&mut self, conversation: u64) {
        if let Some(waiting) = self.worker(conversation) {
            *waiting = waiting.saturating_sub(1);
        }
    }

    /// A stream is known to have so many events.
    pub(super) fn note(&mut self, conversation: u64, length: u64) {
        let noted = self.noted.entry(conversation).or_default();
        *noted = (*noted).max(length);
    }
}

//! A worker: decides the commands of its streams, one stream in order, without ever waiting.
//!
//! Promise: the next command on a stream is decided on the state that the last one left, whether or not that is durable
//! yet; what has to be loaded is loaded elsewhere, and other streams pass meanwhile. The aggregates decided on most
//! recently stay in memory; one whose events are not durable does not leave it, because what is read again would be
//! older. What a decision is and what comes of it stands in `deciding.rs`; answers are held back in `acks.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use event_store::{AppendError, Position, StreamName, Ticket};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use lru::LruCache;
use metrics::Gauge;
use rustc_hash::FxBuildHasher;
use tokio::sync::mpsc;

use crate::acks::Ack;
use crate::aggregate::{Aggregate, LoadError};
use crate::deciding::Appending;
use crate::job::Job;
use crate::shared::Shared;
use crate::{CommandError, Outcome, snapshots};

/// Messages taken at once before answers are handed on.
const BATCH: usize = 256;
/// Aggregates looked at for one that may go.
const EVICTION_TRIES: usize = 8;

/// What a worker is told.
pub(crate) enum Message {
    /// Decide this.
    Job(Box<Job>),
    /// The stream is folded.
    Loaded(StreamName, Result<Box<Aggregate>, LoadError>),
    /// What the job needed is there, or cannot be had; with the aggregate where that was read again.
    Ready(Box<Job>, Option<Box<Aggregate>>, Result<(), CommandError>),
    /// The job's answer was found out elsewhere.
    Concluded(Box<Job>, Result<Outcome, CommandError>, Position),
    /// End; nothing is on its way.
    Stop,
}

/// One aggregate and what waits for it.
pub(crate) struct Entry {
    pub(crate) aggregate: Aggregate,
    /// A job of this stream is on its way elsewhere, or the stream is being folded: what comes waits.
    busy: bool,
    waiting: VecDeque<Box<Job>>,
}

/// What a decision uses besides its aggregate.
pub(crate) struct Desk<'s> {
    pub(crate) shared: &'s Arc<Shared>,
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    pub(crate) appends: FuturesUnordered<BoxFuture<'s, Landed>>,
    pub(crate) acks: Vec<Ack>,
}

/// An append that had to wait for its place, with its result.
pub(crate) struct Landed {
    pub(crate) appending: Appending,
    pub(crate) result: Result<Ticket, AppendError>,
}

struct Worker<'s> {
    entries: LruCache<StreamName, Entry, FxBuildHasher>,
    entries_max: usize,
    desk: Desk<'s>,
}

/// Works until told to stop.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut messages: mpsc::UnboundedReceiver<Message>,
    to_self: mpsc::UnboundedSender<Message>,
    acks: mpsc::UnboundedSender<Vec<Ack>>,
    waiting: Gauge,
) {
    let mut worker = Worker {
        entries: LruCache::unbounded_with_hasher(FxBuildHasher),
        entries_max: shared.options.aggregates_per_worker.max(1),
        desk: Desk {
            shared: &shared,
            messages: to_self,
            appends: FuturesUnordered::new(),
            acks: Vec::new(),
        },
    };
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            Some(landed) = worker.desk.appends.next() => worker.landed(landed),
            count = messages.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
        }
        let mut stop = false;
        for message in batch.drain(..) {
            stop |= matches!(message, Message::Stop);
            worker.take(message);
        }
        if !worker.desk.acks.is_empty() {
            // The task that answers lives as long as this one.
            let _ = acks.send(std::mem::take(&mut worker.desk.acks));
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        waiting.set((messages.len() + worker.desk.appends.len()) as f64);
        if stop {
            return;
        }
    }
}

impl Worker<'_> {
    fn take(&mut self, message: Message) {
        match message {
            Message::Job(job) => self.job(job),
            Message::Loaded(stream, result) => self.loaded(&stream, result),
            Message::Ready(job, aggregate, result) => self.ready(job, aggregate, result),
            Message::Concluded(job, result, position) => self.desk.conclude(job, result, position),
            Message::Stop => {}
        }
    }

    fn job(&mut self, job: Box<Job>) {
        if let Some(entry) = self.entries.get_mut(&job.stream) {
            if entry.busy {
                entry.waiting.push_back(job);
            } else {
                entry.busy = self.desk.advance(entry, job);
            }
            return;
        }
        let stream = job.stream.clone();
        let Some(aggregate) = Aggregate::empty(&stream) else {
            self.desk
                .conclude(job, Err(CommandError::NotFound), Position::START);
            return;
        };
        self.evict();
        self.desk.load(stream.clone(), aggregate.clone());
        self.entries.put(
            stream,
            Entry {
                aggregate,
                busy: true,
                waiting: VecDeque::from([job]),
            },
        );
    }

    fn loaded(&mut self, stream: &StreamName, result: Result<Box<Aggregate>, LoadError>) {
        match result {
            Ok(aggregate) => {
                let Some(entry) = self.entries.get_mut(stream) else {
                    return;
                };
                entry.aggregate = *aggregate;
                entry.busy = false;
                self.desk.pump(entry);
            }
            Err(error) => {
                let Some(entry) = self.entries.pop(stream) else {
                    return;
                };
                for job in entry.waiting {
                    self.desk
                        .conclude(job, Err(error.clone().into()), Position::START);
                }
            }
        }
    }

    fn ready(
        &mut self,
        job: Box<Job>,
        aggregate: Option<Box<Aggregate>>,
        result: Result<(), CommandError>,
    ) {
        let Some(entry) = self.entries.get_mut(&job.stream) else {
            return;
        };
        if let Some(aggregate) = aggregate {
            entry.aggregate = *aggregate;
        }
        match result {
            Ok(()) => entry.busy = self.desk.advance(entry, job),
            Err(error) => {
                entry.busy = false;
                self.desk.conclude(job, Err(error), Position::START);
            }
        }
        self.desk.pump(entry);
    }

    fn landed(&mut self, landed: Landed) {
        let Some(entry) = self.entries.get_mut(&landed.appending.job.stream) else {
            return;
        };
        entry.busy = self.desk.appended(entry, landed.appending, landed.result);
        self.desk.pump(entry);
    }

    /// Makes room for one more. Those that are worked on, or not durable, stay beyond the bound.
    fn evict(&mut self) {
        let mut tries = EVICTION_TRIES;
        while self.entries.len() >= self.entries_max && tries > 0 {
            tries -= 1;
            let durable = self.desk.shared.store.durable_position();
            if let Some((stream, entry)) = self.entries.pop_lru()
                && (entry.busy || entry.aggregate.position > durable)
            {
                self.entries.put(stream, entry);
            }
        }
    }
}

impl Desk<'_> {
    /// Decides what waits for an aggregate until one is on its way elsewhere.
    fn pump(&mut self, entry: &mut Entry) {
        while !entry.busy
            && let Some(job) = entry.waiting.pop_front()
        {
            entry.busy = self.advance(entry, job);
        }
    }

    /// Folds a stream elsewhere.
    fn load(&self, stream: StreamName, empty: Aggregate) {
        let (shared, messages) = (Arc::clone(self.shared), self.messages.clone());
        self.shared.loading.aside(async move {
            let result = snapshots::load(&shared, &stream, empty).await;
            let _ = messages.send(Message::Loaded(stream, result.map(Box::new)));
        });
    }
}

//! The simulation itself: nodes, a leader, and a clock that goes from one happening to the next.
//!
//! Promise: what is decided is decided by the domain's own `decide` on states folded by its own `evolve`; when something is
//! read, waited for and tried again is as in `commands/src/deciding.rs` over a store that checks the written stream alone,
//! and as in `kurrent/src/client/appending.rs` where a stream is elsewhere. At the end the log is looked at: messages of a
//! conversation are numbered without a gap, and nothing was answered that is not there. What commands come is drawn from
//! the seed here; what the figures mean is told by whoever prints them.

use std::collections::BinaryHeap;
use std::collections::hash_map::Entry as Place;
use std::sync::Arc;

use anyhow::bail;
use commands::ATTEMPTS_MAX;
use domain::conversation::{self, Command, Event, GivenRelationship, MarkRead, SendMessage, Slot};
use domain::member::{AgeBand, Facts};
use domain::policy::{Audience, InForce, Rules};
use domain::time::Timestamp;
use hdrhistogram::Histogram;

use super::assumed::Assumed;
use super::chance::{Chance, mix};
use super::cluster::{Appended, Cluster};
use super::job::{Happening, Job, Moment, Stage};
use super::lag;
use super::node::{Entry, Node};
use super::{Case, Conversations, Micros, Routing, Row};

/// Streams that a message's decision reads besides its own: both members', and the rules'.
const FACTS: u8 = 3;
/// What the adapter reads where a stream is elsewhere: what stands at that version, and the stream's end.
const COMPARED: u8 = 2;

/// What was counted.
struct Counted {
    offered: u64,
    done: u64,
    busy: u64,
    conflicts: u64,
    /// Commands by the mismatches that they met.
    attempts: Vec<u64>,
    latency: Histogram<u64>,
}

/// One case under way.
pub(super) struct Simulation {
    case: Case,
    assumed: Assumed,
    seed: u64,
    now: Micros,
    order: u64,
    moments: BinaryHeap<Moment>,
    cluster: Cluster,
    nodes: Vec<Node>,
    policy: InForce,
    pause: Micros,
    ways: Chance,
    comings: Chance,
    counted: Counted,
    /// Events that answered commands have written.
    written: u64,
}

impl Simulation {
    /// Runs a case to its end.
    pub(super) fn run(case: Case, assumed: Assumed, seed: u64) -> anyhow::Result<Row> {
        let mut simulation = Self::new(case, assumed, seed)?;
        simulation.foresee(0, Happening::Arrival);
        while let Some(moment) = simulation.moments.pop() {
            simulation.now = moment.at;
            simulation.happen(moment.what)?;
        }
        simulation.look_at_the_log()?;
        simulation.told()
    }

    fn new(case: Case, assumed: Assumed, seed: u64) -> anyhow::Result<Self> {
        let mut options =
            commands::Options::new(None, commands::Mode::Service, Arc::new(Rules::default()));
        // Not this machine's cores, so that the figures are the same on every one.
        options.workers = 2;
        let held = options.workers * options.aggregates_per_worker;
        if usize::try_from(case.conversations(&assumed)).unwrap_or(usize::MAX) > held {
            bail!("more conversations than a node holds in memory");
        }
        let mut chance = Chance::of(seed, 2);
        let [soonest, latest] = assumed.told_us;
        let nodes = (0..case.nodes)
            .map(|_| Node::new(soonest + chance.below(latest - soonest), &options))
            .collect();
        Ok(Self {
            case,
            assumed,
            seed,
            now: 0,
            order: 0,
            moments: BinaryHeap::new(),
            cluster: Cluster::new(assumed, seed),
            nodes,
            policy: InForce {
                version: 0,
                rules: options.initial_policy,
            },
            pause: Micros::try_from(kurrent::client::LAG_PAUSE.as_micros())?,
            ways: Chance::of(seed, 3),
            comings: Chance::of(seed, 4),
            counted: Counted {
                offered: 0,
                done: 0,
                busy: 0,
                conflicts: 0,
                attempts: vec![0; usize::from(ATTEMPTS_MAX) + 2],
                latency: lag::histogram()?,
            },
            written: 0,
        })
    }

    fn foresee(&mut self, at: Micros, what: Happening) {
        self.order += 1;
        let order = self.order;
        self.moments.push(Moment { at, order, what });
    }

    fn way(&mut self) -> Micros {
        self.assumed.way_us + self.ways.waiting(self.assumed.way_more_us)
    }

    fn node(&mut self, index: usize) -> anyhow::Result<&mut Node> {
        let node = self.nodes.get_mut(index);
        node.ok_or_else(|| anyhow::anyhow!("there is no node {index}"))
    }

    fn happen(&mut self, what: Happening) -> anyhow::Result<()> {
        match what {
            Happening::Arrival => self.arrival(),
            Happening::Asked(job) => self.asked(job),
            Happening::Read(job, length) => {
                self.call_over(job.node)?;
                self.read(job, length)
            }
            Happening::Appended(job, outcome) => {
                self.call_over(job.node)?;
                self.appended(job, outcome)
            }
            Happening::Again(mut job) => {
                if matches!(job.stage, Stage::Told(_)) {
                    job.stage = Stage::CatchingUp;
                    return self.read_aside(job);
                }
                self.call(job)
            }
        }
    }

    /// A command comes to one of the nodes.
    fn arrival(&mut self) -> anyhow::Result<()> {
        let each = 1_000_000 / self.case.commands_per_s(&self.assumed);
        let next = self.now + self.comings.waiting(each);
        if next < self.assumed.end() {
            self.foresee(next, Happening::Arrival);
        }
        let count = self.case.conversations(&self.assumed);
        let conversation = match self.case.conversations {
            Conversations::Uniform => self.comings.below(count),
            Conversations::Zipf => self.comings.rank(count),
            Conversations::One => 0,
        };
        let nodes = u64::try_from(self.case.nodes)?;
        let node = match self.case.routing {
            Routing::Any | Routing::AnyCaughtUp => self.comings.below(nodes),
            Routing::Sticky => mix(self.seed ^ mix(conversation)) % nodes,
        };
        let command = self.drawn(conversation)?;
        let job = Box::new(Job::new(
            usize::try_from(node)?,
            conversation,
            command,
            self.now,
        ));
        self.come(job)
    }

    /// What one of the two does: mostly they write.
    fn drawn(&mut self, conversation: u64) -> anyhow::Result<Command> {
        let reads = self.comings.below(100) < self.assumed.reads_percent;
        let first = self.comings.below(2) == 0;
        let (now, at, policy) = (self.now, self.at(), self.policy.clone());
        let stream = self.cluster.stream(conversation)?;
        let [one, other] = stream.pair.clone();
        let (by, to) = if first { (one, other) } else { (other, one) };
        let seen = usize::try_from(stream.committed_by(now))?;
        let numbers = stream.events.iter().take(seen).rev();
        let last = numbers.filter_map(|stored| match &stored.event {
            Some(Event::MessageSent(sent)) => Some(sent.number),
            Some(_) | None => None,
        });
        if let Some(up_to) = { last }.next().filter(|_| reads) {
            return Ok(Command::MarkRead(MarkRead { by, up_to, at }));
        }
        let facts = || Facts {
            version: 0,
            registered_at: Timestamp(0),
            age_band: AgeBand::Adult,
            suspended: false,
            limited: false,
            audience: Audience::Everyone,
            setting_version: 0,
        };
        Ok(Command::SendMessage(SendMessage {
            from: by,
            to,
            text: "Do you play chess?".to_owned(),
            at,
            sender: Some(facts()),
            recipient: Some(facts()),
            policy,
            slot: Slot::Open { used: 0 },
            relationship: GivenRelationship::default(),
        }))
    }

    /// Now, as commands have it: members are registered long before.
    fn at(&self) -> Timestamp {
        let ms = i64::try_from(self.now / 1_000).unwrap_or(i64::MAX);
        Timestamp(ms.saturating_add(1_000_000_000))
    }

    fn counts(&self) -> bool {
        self.assumed.counts(self.now)
    }

    /// A node takes a command in, or is too busy.
    fn come(&mut self, job: Box<Job>) -> anyhow::Result<()> {
        let counts = u64::from(self.counts());
        self.counted.offered += counts;
        let conversation = job.conversation;
        let stream = self.cluster.stream(conversation)?;
        let Some(node) = self.nodes.get_mut(job.node) else {
            bail!("there is no node {}", job.node);
        };
        if !node.admits(conversation) {
            self.counted.busy += counts;
            return Ok(());
        }
        match node.entries.entry(conversation) {
            Place::Occupied(mut there) => {
                let entry = there.get_mut();
                if entry.busy {
                    entry.waiting.push_back(job);
                    return Ok(());
                }
                entry.busy = true;
            }
            // The conversations that go on are in every node's memory, as of when it had to do with them last.
            Place::Vacant(place) => {
                let entry = place.insert(Entry::default());
                entry.busy = true;
                let begun = stream.committed_by(0);
                stream.fold(&mut entry.state, 0, begun);
                entry.length = begun;
            }
        }
        self.advance(job)
    }

    /// Decides, and whatever waits behind it, until one is on its way elsewhere.
    fn advance(&mut self, job: Box<Job>) -> anyhow::Result<()> {
        let mut next = Some(job);
        while let Some(job) = next {
            next = self.decide(job)?;
        }
        Ok(())
    }

    /// One decision; gives the command behind it where it is over at once.
    fn decide(&mut self, mut job: Box<Job>) -> anyhow::Result<Option<Box<Job>>> {
        job.stage = Stage::Deciding;
        let at = self.at();
        if self.case.routing == Routing::AnyCaughtUp && !job.facts_read && self.behind(&job)? {
            job.stage = Stage::CatchingUp;
            self.read_aside(job)?;
            return Ok(None);
        }
        if let Command::SendMessage(send) = &mut job.command {
            if !std::mem::replace(&mut job.facts_read, false) {
                job.stage = Stage::Facts(FACTS);
                self.read_aside(job)?;
                return Ok(None);
            }
            send.at = at;
        }
        if let Command::MarkRead(mark) = &mut job.command {
            mark.at = at;
        }
        let conversation = job.conversation;
        let now = self.now;
        let stream = self.cluster.stream(conversation)?;
        let Some(node) = self.nodes.get_mut(job.node) else {
            bail!("there is no node {}", job.node);
        };
        let Some(entry) = node.entries.get(&conversation) else {
            bail!("the conversation is not in memory");
        };
        job.events = match conversation::decide(&entry.state, &job.command) {
            Ok(events) => events.into_iter().map(|event| (Some(event), at)).collect(),
            Err(refused) if refused.recorded() => vec![(None, at)],
            Err(_) => Vec::new(),
        };
        if job.events.is_empty() {
            // What writes nothing is decided on its stream as it stands, which an append would find out.
            if std::mem::replace(&mut job.own_read, true) {
                return self.conclude(&job, true);
            }
            job.stage = Stage::Told(entry.length);
            let at = stream.committed_at(entry.length) + node.told_after;
            self.foresee(at.max(now), Happening::Again(job));
            return Ok(None);
        }
        let count = u64::try_from(job.events.len())?;
        job.expected = [entry.length + count, entry.length];
        job.stage = if self.behind(&job)? {
            Stage::Comparing(COMPARED)
        } else {
            Stage::Appending
        };
        self.call(job)?;
        Ok(None)
    }

    /// Whether the node knows that the stream has more than it holds: by its subscription, or by what it was answered.
    fn behind(&mut self, job: &Job) -> anyhow::Result<bool> {
        let now = self.now;
        let stream = self.cluster.stream(job.conversation)?;
        let Some(node) = self.nodes.get(job.node) else {
            bail!("there is no node {}", job.node);
        };
        let told = stream.committed_by(now.saturating_sub(node.told_after));
        let noted = node.noted.get(&job.conversation).copied().unwrap_or(0);
        let held = node.entries.get(&job.conversation);
        Ok(held.is_some_and(|entry| told.max(noted) > entry.length))
    }

    /// Reads beside the workers, where there is a place.
    fn read_aside(&mut self, job: Box<Job>) -> anyhow::Result<()> {
        match self.node(job.node)?.readings.enter(job) {
            Some(job) => self.call(job),
            None => Ok(()),
        }
    }

    fn read_over(&mut self, node: usize) -> anyhow::Result<()> {
        match self.node(node)?.readings.leave() {
            Some(next) => self.call(next),
            None => Ok(()),
        }
    }

    /// Calls the leader, where there is a place.
    fn call(&mut self, job: Box<Job>) -> anyhow::Result<()> {
        if let Some(job) = self.node(job.node)?.calls.enter(job) {
            self.ask(job);
        }
        Ok(())
    }

    fn call_over(&mut self, node: usize) -> anyhow::Result<()> {
        if let Some(next) = self.node(node)?.calls.leave() {
            self.ask(next);
        }
        Ok(())
    }

    fn ask(&mut self, job: Box<Job>) {
        let at = self.now + self.way();
        self.foresee(at, Happening::Asked(job));
    }

    /// The leader serves a call.
    fn asked(&mut self, mut job: Box<Job>) -> anyhow::Result<()> {
        let way = self.way();
        let conversation = job.conversation;
        if job.stage != Stage::Appending {
            let served = self.cluster.serve(self.now);
            let length = self.cluster.stream(conversation)?.committed_by(served);
            self.foresee(served + way, Happening::Read(job, length));
            return Ok(());
        }
        let events = std::mem::take(&mut job.events);
        let [_, expected] = job.expected;
        let (at, outcome) = match self
            .cluster
            .append(self.now, conversation, expected, events)?
        {
            Appended::Taken(at) => (at, Ok(())),
            Appended::Elsewhere(at, length) => (at, Err(length)),
        };
        self.foresee(at + way, Happening::Appended(job, outcome));
        Ok(())
    }

    /// A reading's answer.
    fn read(&mut self, mut job: Box<Job>, length: u64) -> anyhow::Result<()> {
        let conversation = job.conversation;
        let again = self.now + self.pause;
        let own = !matches!(job.stage, Stage::Facts(_));
        let node = self.node(job.node)?;
        let noted = node.noted.get(&conversation).copied().unwrap_or(0);
        if own && length < noted {
            // What shows less than is known is not believed.
            self.foresee(again, Happening::Again(job));
            return Ok(());
        }
        match job.stage {
            Stage::Facts(left) if left > 1 => {
                job.stage = Stage::Facts(left - 1);
                self.call(job)
            }
            Stage::Facts(_) => {
                job.facts_read = true;
                self.read_over(job.node)?;
                self.advance(job)
            }
            Stage::Comparing(left) if left > 1 => {
                node.note(conversation, length);
                job.stage = Stage::Comparing(left - 1);
                self.call(job)
            }
            Stage::Comparing(_) => {
                node.note(conversation, length);
                self.elsewhere(job, length)
            }
            Stage::CatchingUp => {
                node.note(conversation, length);
                self.fold(&job, length)?;
                self.read_over(job.node)?;
                self.advance(job)
            }
            Stage::Deciding | Stage::Appending | Stage::Told(_) => {
                bail!("nothing was read while {:?}", job.stage)
            }
        }
    }

    /// A mismatch of versions: decided again on what is there, a few times.
    fn elsewhere(&mut self, mut job: Box<Job>, length: u64) -> anyhow::Result<()> {
        job.attempts += 1;
        self.counted.conflicts += u64::from(self.counts());
        if job.attempts > ATTEMPTS_MAX {
            if let Some(next) = self.conclude(&job, false)? {
                return self.advance(next);
            }
            return Ok(());
        }
        let committed = self.cluster.stream(job.conversation)?.committed_at(length);
        let at = committed + self.node(job.node)?.told_after;
        job.stage = Stage::Told(length);
        self.foresee(at.max(self.now), Happening::Again(job));
        Ok(())
    }

    /// An append's answer.
    fn appended(&mut self, mut job: Box<Job>, outcome: Result<(), u64>) -> anyhow::Result<()> {
        let conversation = job.conversation;
        let [length, before] = job.expected;
        match outcome {
            Ok(()) => {
                self.node(job.node)?.note(conversation, length);
                self.fold(&job, length)?;
                self.written += length - before;
                if let Some(next) = self.conclude(&job, true)? {
                    return self.advance(next);
                }
                Ok(())
            }
            Err(length) => {
                self.node(job.node)?.note(conversation, length);
                job.stage = Stage::Comparing(COMPARED);
                self.call(job)
            }
        }
    }

    /// Takes what the stream has into the node's memory.
    fn fold(&mut self, job: &Job, length: u64) -> anyhow::Result<()> {
        let stream = self.cluster.stream(job.conversation)?;
        let node = self.nodes.get_mut(job.node);
        if let Some(entry) = node.and_then(|node| node.entries.get_mut(&job.conversation)) {
            stream.fold(&mut entry.state, entry.length, length);
            entry.length = entry.length.max(length);
        }
        Ok(())
    }

    /// An answer; gives the command that waits behind it.
    fn conclude(&mut self, job: &Job, done: bool) -> anyhow::Result<Option<Box<Job>>> {
        if self.counts() {
            if done {
                self.counted.done += 1;
                let took = self.now - job.came;
                self.counted.latency.saturating_record(took);
            } else {
                self.counted.busy += 1;
            }
            if let Some(count) = self.counted.attempts.get_mut(usize::from(job.attempts)) {
                *count += 1;
            }
        }
        let node = self.node(job.node)?;
        node.answered(job.conversation);
        let Some(entry) = node.entries.get_mut(&job.conversation) else {
            return Ok(None);
        };
        let next = entry.waiting.pop_front();
        entry.busy = next.is_some();
        Ok(next)
    }

    /// Messages are numbered without a gap, and the log has what was answered, and no more.
    fn look_at_the_log(&self) -> anyhow::Result<()> {
        let mut events = 0;
        for stream in self.cluster.streams() {
            let mut last = 0;
            for stored in &stream.events {
                events += u64::from(stored.committed > 0);
                if let Some(Event::MessageSent(sent)) = &stored.event {
                    if sent.number != last + 1 {
                        bail!("message {} stands behind message {last}", sent.number);
                    }
                    last = sent.number;
                }
            }
        }
        if events != self.written {
            bail!(
                "the log has {events} events, and {} were answered",
                self.written
            );
        }
        Ok(())
    }

    /// What it came to.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a simulation of seconds"
    )]
    fn told(&self) -> anyhow::Result<Row> {
        let mut lags = lag::histogram()?;
        for node in &self.nodes {
            lag::note(
                &self.assumed,
                &self.cluster.commits,
                node.told_after,
                &mut lags,
            );
        }
        let counted = &self.counted;
        let seconds = self.assumed.counted_s as f64;
        let decided: u64 = counted.attempts.iter().sum();
        let each = |count: u64| count as f64 / decided.max(1) as f64;
        let ms = |us: u64| us as f64 / 1_000.0;
        let mut below = 0;
        let retries_p99 = counted.attempts.iter().position(|count| {
            below += count;
            below * 100 >= decided * 99
        });
        let capacity = self.assumed.leader_servers as f64 * seconds * 1_000_000.0;
        Ok(Row {
            nodes: self.case.nodes,
            conversations: self.case.conversations,
            routing: self.case.routing,
            offered_per_s: counted.offered as f64 / seconds,
            done_per_s: counted.done as f64 / seconds,
            busy_percent: 100.0 * counted.busy as f64 / counted.offered.max(1) as f64,
            conflicts_per_command: each(counted.conflicts),
            // The last mismatch of one that is refused is not tried again.
            retries_p99: retries_p99.unwrap_or(0).min(usize::from(ATTEMPTS_MAX)),
            p50_ms: ms(counted.latency.value_at_quantile(0.5)),
            p99_ms: ms(counted.latency.value_at_quantile(0.99)),
            view_lag_p99_ms: ms(lags.value_at_quantile(0.99)),
            calls_per_command: each(self.cluster.calls),
            leader_busy_percent: 100.0 * (self.cluster.calls * self.assumed.leader_call_us) as f64
                / capacity,
        })
    }
}

//! Replay on one core: every event of the log decoded and folded into its stream's state, beside `serde_json` over the
//! same bytes into the same structs; and the inbox rebuilt into its file, beside a fold of the same events in memory.
//!
//! Replay reads the log block by block; reading is timed in neither side, so that what is compared is work on the same
//! bytes in memory. The rebuild reads, in both.

use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::event::{Event, Recorded};
use domain::time::Timestamp;
use domain::{case, codec, conversation, member, policy, reactor};
use event_store::{EventStore, Position, RecordedEvent};
use projections::{DomainCodec, ViewName};
use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::Deserialize;
use tables::{Fold, RebuildOptions, View};
use tokio::sync::watch;

use super::Plan;
use super::commands::{Pairs, rate};
use super::figures::{Row, Target, median, number, quantile};
use super::log::Filled;
use crate::compose::{DataFolder, Store};

/// Callers that write beside a rebuild.
const WRITERS: u64 = 64;
const BLOCK_EVENTS: usize = 8192;
const BLOCK_BYTES: usize = 16 << 20;

/// `replay`: decode and fold.
pub(crate) async fn replay(plan: &Plan, log: &Filled) -> anyhow::Result<Vec<Row>> {
    let store = log.open()?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let mut states = States::default();
        let (mut folding, mut parsing) = (Duration::ZERO, Duration::ZERO);
        let mut events = 0_u64;
        let mut after = Position::START;
        loop {
            let block = store.read_all(after, BLOCK_EVENTS, BLOCK_BYTES).await?;
            let Some(last) = block.last() else { break };
            after = last.position();
            events += block.len() as u64;
            // Which goes first changes with each block, so that neither always finds the bytes warm.
            let ours_first = after.0.is_multiple_of(2);
            if ours_first {
                folding += fold(&mut states, &block)?;
            }
            parsing += parse(&block)?;
            if !ours_first {
                folding += fold(&mut states, &block)?;
            }
        }
        ours.push(rate(events, folding));
        bare.push(rate(events, parsing));
    }
    store.close();
    Ok(vec![
        Row::new(
            "replay",
            "replay: decode and fold every event, one core",
            "/s",
            median(ours),
            Target::RatioAtLeast(0.6),
        )
        .beside(
            "serde_json over the same bytes into the same structs",
            median(bare),
        ),
    ])
}

fn fold(states: &mut States, block: &[RecordedEvent]) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for event in block {
        states.fold(event)?;
    }
    Ok(started.elapsed())
}

fn parse(block: &[RecordedEvent]) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for event in block {
        let data = event.data();
        match event.event_type() {
            "message-sent.v1" => parse_as::<conversation::MessageSent<'_>>(data)?,
            "request-opened.v1" => parse_as::<conversation::RequestOpened>(data)?,
            "request-slot-taken.v1" => parse_as::<member::RequestSlotTaken>(data)?,
            "relationship-recorded.v1" => parse_as::<conversation::RelationshipRecorded>(data)?,
            "member-registered.v1" => parse_as::<member::MemberRegistered>(data)?,
            "dm-setting-changed.v1" => parse_as::<member::DmSettingChanged>(data)?,
            other => {
                black_box(codec::decode(other, data)?);
            }
        }
    }
    Ok(started.elapsed())
}

fn parse_as<'a, T: Deserialize<'a>>(data: &'a [u8]) -> anyhow::Result<()> {
    black_box(serde_json::from_slice::<T>(data)?);
    Ok(())
}

/// The state of every stream.
#[derive(Default)]
struct States {
    conversations: FxHashMap<u128, conversation::State>,
    members: FxHashMap<u128, member::State>,
    cases: FxHashMap<u128, case::State>,
    reactors: FxHashMap<u128, reactor::State>,
    policy: policy::State,
}

impl States {
    fn fold(&mut self, event: &RecordedEvent) -> anyhow::Result<()> {
        let recorded = Recorded {
            version: event.version(),
            at: Timestamp(event.at_ms()),
        };
        match codec::decode(event.event_type(), event.data())? {
            Event::Conversation(decoded) => {
                conversation::evolve(
                    state(&mut self.conversations, event.stream()),
                    recorded,
                    &decoded,
                );
            }
            Event::Member(decoded) => {
                member::evolve(state(&mut self.members, event.stream()), recorded, &decoded);
            }
            Event::Case(decoded) => {
                case::evolve(state(&mut self.cases, event.stream()), recorded, &decoded);
            }
            Event::Reactor(decoded) => reactor::evolve(
                state(&mut self.reactors, event.stream()),
                recorded,
                &decoded,
            ),
            Event::Policy(decoded) => policy::evolve(&mut self.policy, recorded, &decoded),
            Event::Act(_) | Event::Refused(_) | Event::Unchanged(_) => {}
        }
        Ok(())
    }
}

/// The state of a stream, which begins empty. Streams are known by a hash of 128 bits of their names, so that a look-up
/// touches one place in memory.
fn state<'s, S: Default>(states: &'s mut FxHashMap<u128, S>, stream: &str) -> &'s mut S {
    let half = |seed: u64| u128::from(FxBuildHasher.hash_one((seed, stream)));
    states.entry(half(1) << 64 | half(2)).or_default()
}

/// `rebuild`: the inbox into its file.
pub(crate) async fn rebuild(plan: &Plan, log: &Filled) -> anyhow::Result<Vec<Row>> {
    let inbox = inbox()?;
    let store = log.open()?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let until = store.durable_position();
        ours.push(rate(
            until.0,
            built(plan, &store, &inbox, until, round).await?,
        ));
        bare.push(rate(
            store.durable_position().0,
            in_memory(store.as_ref(), inbox.as_ref()).await?,
        ));
    }
    store.close();
    Ok(vec![
        Row::new(
            "rebuild",
            "rebuild of the inbox, idle",
            "events/s",
            median(ours),
            Target::RatioAtLeast(0.5),
        )
        .beside("a fold of the same events in memory", median(bare)),
    ])
}

/// `rebuild-beside`: the same while members write at a quarter of what they can, and what their waiting becomes. The
/// log grows by it.
pub(crate) async fn rebuild_beside(plan: &Plan, log: &Filled) -> anyhow::Result<Vec<Row>> {
    let inbox = &inbox()?;
    let pairs = Pairs::on(DataFolder::at(log.folder.path()), WRITERS).await?;
    // Ids of another run of the bench on the same log would be repeats.
    let run = pairs.store().durable_position().0;
    let (sent, took) = pairs.send_for(plan.round, run).await?;
    let quarter = rate(sent, took) / 4.0;
    let until = pairs.store().durable_position();
    let (mut ours, mut alone, mut beside, mut bare) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let (end, ended) = watch::channel(false);
        let begun = Instant::now();
        let (times, ()) = tokio::try_join!(
            pairs.send_paced(quarter, run + 2 * round + 1, ended.clone()),
            async {
                // A small log is built again, so that both sides meet the store's own work in the background.
                while begun.elapsed() < plan.round {
                    let took = built(plan, pairs.store(), inbox, until, round).await?;
                    ours.push(rate(until.0, took));
                }
                end.send_replace(true);
                anyhow::Ok(())
            }
        )?;
        beside.push(quantile(times, 0.99));
        let as_long = begun.elapsed();
        end.send_replace(false);
        let (times, ()) = tokio::try_join!(
            pairs.send_paced(quarter, run + 2 * round + 2, ended),
            async {
                tokio::time::sleep(as_long).await;
                end.send_replace(true);
                anyhow::Ok(())
            }
        )?;
        alone.push(quantile(times, 0.99));
        let end = pairs.store().durable_position();
        let took = in_memory(pairs.store().as_ref(), inbox.as_ref()).await?;
        bare.push(rate(end.0, took));
    }
    pairs.stop().await;
    let (alone, beside) = (median(alone), median(beside));
    let growth = beside / alone.max(1e-9);
    let row = Row::new(
        "rebuild-beside",
        "rebuild of the inbox beside writers at a quarter of their maximum",
        "events/s",
        median(ours),
        Target::RatioAtLeast(0.25),
    )
    .beside("a fold of the same events in memory, idle", median(bare))
    .noting(format!(
        "the writers' p99 {} ms, {} times that without a rebuild, target 1.5",
        number(beside),
        number(growth)
    ))
    .and(growth <= 1.5);
    Ok(vec![row])
}

type Inbox = Arc<dyn View<DomainCodec>>;

fn inbox() -> anyhow::Result<Inbox> {
    projections::views()
        .into_iter()
        .find(|view| view.name() == ViewName::Inbox.as_str())
        .context("there is no inbox")
}

/// How long the inbox takes to be built into a fresh file, which is deleted.
async fn built(
    plan: &Plan,
    store: &Store,
    inbox: &Inbox,
    until: Position,
    round: u64,
) -> anyhow::Result<Duration> {
    let path = plan.scratch.join(format!("rebuilt-{round}.redb"));
    let started = Instant::now();
    let rebuilt = tables::rebuild(
        Arc::clone(store) as Arc<dyn EventStore>,
        Arc::new(DomainCodec),
        Arc::clone(inbox),
        &path,
        until,
        RebuildOptions::default(),
        |_| {},
    )
    .await?;
    let took = started.elapsed();
    drop(rebuilt);
    std::fs::remove_file(&path)?;
    Ok(took)
}

async fn in_memory(
    store: &dyn EventStore,
    view: &dyn View<DomainCodec>,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut fold = Fold::new(view);
    let mut after = Position::START;
    loop {
        let block = store.read_all(after, BLOCK_EVENTS, BLOCK_BYTES).await?;
        let Some(last) = block.last() else { break };
        after = last.position();
        fold.apply_all(&DomainCodec, &block)?;
    }
    black_box(fold.bytes());
    Ok(started.elapsed())
}

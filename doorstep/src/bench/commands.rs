//! The write path in process: many callers, many callers with all views on, one caller.
//!
//! Each round runs ours, then writes the very sizes of its batches to bare segments; medians over the rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use commands::{Command, CommandHandler, Envelope, Mode};
use domain::conversation::GivenRelationship;
use domain::ids::{CommandId, MemberId};
use event_store::{EventStore as _, Position};
use projections::ReadSide;

use super::Plan;
use super::bare::{Bare, Batches};
use super::figures::{Row, Target, median, number, quantile};
use super::world::{self, CALLERS, Texts};
use crate::compose::{self, DataFolder, Store};

/// Bytes of the file that the baseline writes to, over and over.
const BARE_BYTES: u64 = 256 << 20;

/// A log with a pair of members for each caller, the second of whom follows the first.
pub(crate) struct Pairs {
    folder: DataFolder,
    store: Store,
    handler: CommandHandler,
    batches: Batches,
    members: Arc<Vec<[MemberId; 2]>>,
    texts: Texts,
}

impl Pairs {
    async fn open(plan: &Plan, name: &str, pairs: u64) -> anyhow::Result<Self> {
        let folder = DataFolder::at(&plan.scratch.join(name));
        folder.create()?;
        Self::on(folder, pairs).await
    }

    /// On a log that may have events, and these members among them.
    pub(crate) async fn on(folder: DataFolder, pairs: u64) -> anyhow::Result<Self> {
        let batches = Batches::default();
        let options = event_store::Options {
            observer: Some(batches.observer()),
            ..event_store::Options::default()
        };
        let store = Arc::new(compose::open_embedded(&folder, options)?);
        let handler = compose::start_commands(&folder, &store, Mode::Service).await?;
        let mut members = Vec::new();
        for pair in 0..pairs {
            let (one, other) = (2 * pair, 2 * pair + 1);
            world::register(&handler, one).await?;
            world::register(&handler, other).await?;
            world::follow(&handler, other, one).await?;
            members.push([world::member(one)?, world::member(other)?]);
        }
        Ok(Self {
            folder,
            store,
            handler,
            batches,
            members: Arc::new(members),
            texts: Texts::read()?,
        })
    }

    /// Every caller sends one message after the other for this long; says how many were durable.
    pub(crate) async fn send_for(
        &self,
        time: Duration,
        run: u64,
    ) -> anyhow::Result<(u64, Duration)> {
        let sent = Arc::new(AtomicU64::new(0));
        let started = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for (caller, pair) in self.members.iter().enumerate() {
            let (handler, texts, sent, [from, to]) = (
                self.handler.clone(),
                self.texts.clone(),
                Arc::clone(&sent),
                pair.clone(),
            );
            callers.spawn(async move {
                let mut n = 0;
                while started.elapsed() < time {
                    n += 1;
                    handler
                        .handle(message(
                            &from,
                            &to,
                            &format!("{run}-{caller}-{n}"),
                            texts.get(n),
                        )?)
                        .await?;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = callers.join_next().await {
            ended??;
        }
        Ok((sent.load(Ordering::Relaxed), started.elapsed()))
    }

    /// Every caller sends one message after the other until told to end, all together `per_second`; how long each
    /// took, in milliseconds.
    pub(crate) async fn send_paced(
        &self,
        per_second: f64,
        run: u64,
        end: tokio::sync::watch::Receiver<bool>,
    ) -> anyhow::Result<Vec<f64>> {
        let callers = u32::try_from(self.members.len())?;
        let every = Duration::from_secs_f64(f64::from(callers) / per_second.max(1.0));
        let mut sending = tokio::task::JoinSet::new();
        for (caller, pair) in (0_u32..).zip(self.members.iter()) {
            let (handler, texts, end, [from, to]) = (
                self.handler.clone(),
                self.texts.clone(),
                end.clone(),
                pair.clone(),
            );
            sending.spawn(async move {
                let mut times = Vec::new();
                let mut due = tokio::time::Instant::now() + every * caller / callers;
                let mut n = 0;
                while !*end.borrow() {
                    tokio::time::sleep_until(due).await;
                    due += every;
                    n += 1;
                    let id = format!("{run}-{caller}-{n}");
                    let envelope = message(&from, &to, &id, texts.get(n))?;
                    let started = Instant::now();
                    handler.handle(envelope).await?;
                    times.push(started.elapsed().as_secs_f64() * 1e3);
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(sent) = sending.join_next().await {
            times.extend(sent??);
        }
        Ok(times)
    }

    /// The log that is written.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Stops, the folder left as it is.
    pub(crate) async fn stop(self) {
        self.handler.stop().await;
        self.store.close();
    }

    async fn close(self) -> anyhow::Result<()> {
        let path = self.folder.path().to_owned();
        self.stop().await;
        std::fs::remove_dir_all(path)?;
        Ok(())
    }
}

fn message(from: &MemberId, to: &MemberId, id: &str, text: String) -> anyhow::Result<Envelope> {
    Ok(Envelope {
        actor: from.clone(),
        command_id: CommandId::new(id)?,
        id_given: true,
        at: None,
        command: Command::SendMessage {
            to: to.clone(),
            text,
            relationship: GivenRelationship::default(),
        },
    })
}

/// `send`: durable commands of many callers beside bare segments; `send-with-views`: the same with all views on.
pub(crate) async fn many(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let pairs = Pairs::open(plan, "send", CALLERS).await?;
    pairs.send_for(plan.warm_up, 0).await?;
    // Filled once: a disk that has just taken as many zeros is slower for a while.
    let path = plan.scratch.join("bare-segment");
    let mut segment = Bare::create(&path, BARE_BYTES)?;
    let (mut ours, mut bare, mut per_batch) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        pairs.batches.take();
        let (sent, took) = pairs.send_for(plan.round, round).await?;
        let sizes = pairs.batches.take();
        ours.push(rate(sent, took));
        bare.push(rate(sent, segment.time_of(&sizes)?));
        per_batch.push(
            rate(sent, Duration::from_secs(1)) / rate(sizes.len() as u64, Duration::from_secs(1)),
        );
    }
    std::fs::remove_file(&path)?;
    let alone = median(ours);
    let mut rows = vec![
        Row::new(
            "send",
            "SendMessage decided and durable, in process, 512 callers",
            "/s",
            alone,
            Target::RatioAtLeast(0.5),
        )
        .beside("bare segments, the same sizes of batches", median(bare))
        .noting(format!("{} events a batch", number(median(per_batch)))),
    ];
    rows.push(with_views(plan, &pairs, alone).await?);
    pairs.close().await?;
    Ok(rows)
}

async fn with_views(plan: &Plan, pairs: &Pairs, alone: f64) -> anyhow::Result<Row> {
    let reads: ReadSide = compose::start_reads(&pairs.folder, &pairs.store, 128 << 20).await?;
    caught_up(&reads, pairs.store.durable_position()).await?;
    let near = reads.clone();
    pairs.handler.hold_back_for(move || {
        let near = near.clone();
        async move { near.room().await }
    });
    let (sent, took) = pairs.send_for(plan.with_views, plan.rounds + 1).await?;
    let behind = pairs.store.durable_position();
    let since = Instant::now();
    caught_up(&reads, behind).await?;
    let lag = since.elapsed();
    reads.stop().await?;
    let what = format!(
        "the same for {} s with all views on",
        number(plan.with_views.as_secs_f64())
    );
    let row = Row::new(
        "send-with-views",
        &what,
        "/s",
        rate(sent, took),
        Target::RatioAtLeast(0.25),
    )
    .beside("the row above", alone)
    .noting(format!(
        "lag at the end {} s, target below 2",
        number(lag.as_secs_f64())
    ));
    Ok(row.and(lag < Duration::from_secs(2)))
}

/// Waits until every view has come to a position.
pub(crate) async fn caught_up(reads: &ReadSide, position: Position) -> anyhow::Result<()> {
    for view in reads.names() {
        reads.wait(view, position, Duration::from_hours(1)).await?;
    }
    Ok(())
}

/// `one-caller`: one command at a time beside one bare write with sync.
pub(crate) async fn one(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let pairs = Pairs::open(plan, "one-caller", 1).await?;
    let Some([from, to]) = pairs.members.first().cloned() else {
        anyhow::bail!("there is one pair")
    };
    let mut bare = Bare::create(&plan.scratch.join("bare-segment"), BARE_BYTES)?;
    let (mut ours, mut alone, mut ours_p99) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=plan.rounds {
        pairs.batches.take();
        let envelopes: Vec<Envelope> = (0..plan.one_caller)
            .map(|n| message(&from, &to, &format!("{round}-{n}"), pairs.texts.get(n)))
            .collect::<anyhow::Result<_>>()?;
        let handler = pairs.handler.clone();
        // A task, as a request to the service is one.
        let times = tokio::spawn(async move {
            let mut times = Vec::new();
            for envelope in envelopes {
                let started = Instant::now();
                handler.handle(envelope).await?;
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::Ok(times)
        })
        .await??;
        let mut bare_times = Vec::new();
        for bytes in pairs.batches.take() {
            let started = Instant::now();
            bare.batch(bytes)?;
            bare_times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        // The first round warms up.
        if round > 0 {
            ours.push(median(times.clone()));
            ours_p99.push(quantile(times, 0.99));
            alone.push(median(bare_times));
        }
    }
    pairs.close().await?;
    std::fs::remove_file(plan.scratch.join("bare-segment"))?;
    Ok(vec![
        Row::new(
            "one-caller",
            "one caller, one command at a time",
            "ms",
            median(ours),
            Target::RatioAtMost(1.3),
        )
        .beside("one bare write with sync, the same bytes", median(alone))
        .noting(format!("p99 {} ms", number(median(ours_p99)))),
    ])
}

/// So many in such a time, a second.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
pub(crate) fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

//! What the write side keeps beside its view, because no event says it: snapshots of long streams, and outcomes that
//! wrote nothing. (Where nodes share the log, an event says those: `so_already.rs`.)
//!
//! Promise: nothing here is ahead of the log, or of another one. A snapshot may be lost, which costs a longer fold: it is
//! written behind, and synced every few seconds and at the end. An outcome is durable before it is answered: those that
//! wait together are synced together, once what they rest on is durable. Snapshots are one row a stream. Outcomes are kept
//! for ids that a client gave, so many of a member within 24 hours and so many in all ([`Options`]); they leave after
//! [`WINDOW_DAYS`] by their arrival, or as the oldest of too many. How a stream is folded from a snapshot stands in
//! `snapshots.rs`, what a repeated command gets in `handler.rs`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::conversation::AlsoOutcome;
use domain::ids::{CaseId, ReportId};
use domain::policy::Audience;
use domain::time::{DAY_MS, Timestamp};
use event_store::{EventStore, Position, StreamName};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tables::key::{Key, Parts};
use tables::{Order, Reader, Shelf, Span, TableError, Tx};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::daily_limit::DailyLimit;
use crate::filter::SeenFilter;
use crate::ids::{WINDOW_DAYS, mark_of};
use crate::snapshots::Snapshot;
use crate::{Answer, Kind, Options, Outcome, StartError};

const SNAPSHOTS: &str = "snapshots";
const UNCHANGED: &str = "unchanged";
const ARRIVALS: &str = "arrivals";
const TABLES: &[&str] = &[SNAPSHOTS, UNCHANGED, ARRIVALS];

/// The file's name, with the version of its rows.
const FILE: &str = "write_side_kept.v1.redb";
/// What waits to be written at most; beyond it nothing more is kept until there is room.
const WAITING_MAX: usize = 4_096;
/// Written at once.
const BATCH: usize = 512;
/// Between two syncs, where there is something to sync.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// The part of the memory for command ids that goes to ids whose commands wrote nothing.
const FILTER_PART: usize = 8;

/// What is kept, and the way to keep more.
pub(crate) struct Kept {
    /// None once stopped, so that another may open the file.
    shelf: RwLock<Option<Arc<Shelf>>>,
    unchanged: SeenFilter,
    per_member: DailyLimit,
    unchanged_max: u64,
    stopping: AtomicBool,
    items: mpsc::Sender<Item>,
    /// How many outcomes were ever given to be kept, and how many of them are.
    given: Mutex<u64>,
    durable: watch::Sender<u64>,
}

/// Something to keep.
pub(crate) enum Item {
    /// A stream's snapshot.
    Snapshot(StreamName, Box<Snapshot>),
    /// An outcome that wrote nothing.
    Unchanged(Uuid, Box<Unchanged>),
    /// Keep what is there durably, and end.
    Stop,
}

/// An outcome that wrote nothing, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unchanged {
    causation: Uuid,
    decided_on: u64,
    arrived_ms: i64,
    position: u64,
    answer: KeptAnswer,
}

/// What a command that wrote nothing can answer.
#[derive(Debug, Serialize, Deserialize)]
enum KeptAnswer {
    Nothing,
    Reported(ReportId, CaseId, Option<AlsoOutcome>),
    Setting(Audience, u64),
    Policy(u64),
    Claimed(Timestamp),
}

impl Unchanged {
    fn of(
        causation: Uuid,
        decided_on: Position,
        arrived: Timestamp,
        outcome: &Outcome,
    ) -> Option<Self> {
        let answer = match outcome.answer {
            Answer::Nothing => KeptAnswer::Nothing,
            Answer::Reported {
                report, case, also, ..
            } => KeptAnswer::Reported(report, case, also),
            Answer::Setting { audience, version } => KeptAnswer::Setting(audience, version),
            Answer::Policy { version } => KeptAnswer::Policy(version),
            Answer::Claimed { until } => KeptAnswer::Claimed(until),
            // A message and a decision always write.
            Answer::Sent { .. } | Answer::Decided { .. } | Answer::DecidedMany { .. } => {
                return None;
            }
        };
        Some(Self {
            causation,
            decided_on: decided_on.0,
            arrived_ms: arrived.0,
            position: outcome.position.0,
            answer,
        })
    }

    fn outcome(&self) -> Outcome {
        let answer = match self.answer {
            KeptAnswer::Nothing => Answer::Nothing,
            KeptAnswer::Reported(report, case, also) => Answer::Reported {
                report,
                case,
                new: false,
                also,
            },
            KeptAnswer::Setting(audience, version) => Answer::Setting { audience, version },
            KeptAnswer::Policy(version) => Answer::Policy { version },
            KeptAnswer::Claimed(until) => Answer::Claimed { until },
        };
        Outcome {
            position: Position(self.position),
            kind: Kind::Unchanged,
            repeated: true,
            answer,
        }
    }
}

impl Kept {
    /// What an earlier run kept of this log, and what takes more from now on. Reads no row.
    pub(crate) fn open(
        store: &dyn EventStore,
        options: &Options,
    ) -> Result<(Self, mpsc::Receiver<Item>), StartError> {
        let problem = |error: TableError| StartError::Tables(error.to_string());
        let path = options.dir.as_ref().map(|dir| dir.join(FILE));
        let shelf = Shelf::open(
            path.as_deref(),
            TABLES,
            store.log_id(),
            store.durable_position(),
            options.tables_cache_bytes / 4,
        )
        .map_err(problem)?;
        let unchanged = SeenFilter::new(options.filter_bytes / FILTER_PART, WINDOW_DAYS * DAY_MS);
        let (items, waiting) = mpsc::channel(WAITING_MAX);
        let kept = Self {
            shelf: RwLock::new(Some(Arc::new(shelf))),
            unchanged,
            per_member: DailyLimit::new(Some(options.unchanged_kept_per_day_max)),
            unchanged_max: options.unchanged_kept_max,
            stopping: AtomicBool::new(false),
            items,
            given: Mutex::new(0),
            durable: watch::Sender::new(0),
        };
        Ok((kept, waiting))
    }

    /// Lets the filter know what earlier runs kept; until it does, every id is looked up. Ends early at a stop.
    fn fill_filter(&self) -> Result<(), TableError> {
        let Some(reader) = self.reader() else {
            return Ok(());
        };
        for row in reader.scan(ARRIVALS, &Span::all(), Order::Ascending)? {
            if self.stopping.load(Ordering::Acquire) {
                return Ok(());
            }
            let (key, _) = row?;
            let mut parts = Parts::of(&key);
            if let (Some(arrived_ms), Some(id)) = (parts.i64(), parts.fixed()) {
                self.unchanged
                    .add(mark_of(Uuid::from_bytes(id)), arrived_ms);
            }
        }
        self.unchanged.complete();
        Ok(())
    }

    /// The snapshot of a stream under a version of its fold. Reads the disk.
    pub(crate) fn snapshot(&self, stream: &StreamName, code: u32) -> Option<Snapshot> {
        let reader = self.reader()?;
        let key = snapshot_key(stream, code);
        let row = reader.get(SNAPSHOTS, &key).ok().flatten()?;
        Snapshot::decode(&row)
    }

    /// Keeps a stream's snapshot, in its own time.
    pub(crate) fn keep_snapshot(&self, stream: StreamName, snapshot: Snapshot) {
        // A full queue costs the next fold, and nothing else.
        let _ = self
            .items
            .try_send(Item::Snapshot(stream, Box::new(snapshot)));
    }

    fn reader(&self) -> Option<Reader> {
        self.shelf.read().as_ref().map(|shelf| shelf.reader())
    }

    /// Whether a command of this id may be kept that wrote nothing; asks no disk.
    pub(crate) fn maybe_unchanged(&self, id: Uuid) -> bool {
        self.unchanged.maybe(mark_of(id))
    }

    /// What a command of this id that wrote nothing came to, and its content. Reads the disk.
    pub(crate) fn unchanged(&self, id: Uuid, now: Timestamp) -> Option<(Uuid, Outcome)> {
        let reader = self.reader()?;
        let row = reader.get(UNCHANGED, id.as_bytes()).ok().flatten()?;
        let kept: Unchanged = serde_json::from_slice(&row).ok()?;
        let in_window = now.0.saturating_sub(kept.arrived_ms) <= WINDOW_DAYS * DAY_MS;
        in_window.then(|| (kept.causation, kept.outcome()))
    }

    /// Whether one outcome more of a member's may be kept that changed nothing; it is counted.
    pub(crate) fn admits(&self, actor: &Arc<str>, arrived: Timestamp) -> bool {
        self.per_member.admit(actor, arrived)
    }

    /// Keeps an outcome of a member's that wrote nothing, unless that member has enough kept; [`Self::settled`] tells when it
    /// is durable.
    pub(crate) fn keep_unchanged(
        &self,
        actor: &Arc<str>,
        (id, causation): (Uuid, Uuid),
        decided_on: Position,
        arrived: Timestamp,
        outcome: &Outcome,
    ) {
        let Some(unchanged) = Unchanged::of(causation, decided_on, arrived, outcome) else {
            return;
        };
        if !self.admits(actor, arrived) {
            return;
        }
        let item = Item::Unchanged(id, Box::new(unchanged));
        // Under the lock, so that they are written in the order in which they are counted.
        let mut given = self.given.lock();
        if self.items.try_send(item).is_ok() {
            *given += 1;
            self.unchanged.add(mark_of(id), arrived.0);
        }
    }

    /// Waits until every outcome given so far is durable, or cannot be any more.
    pub(crate) fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let given = *self.given.lock();
        let mut durable = self.durable.subscribe();
        async move {
            // Where nobody keeps anything any more, there is nothing to wait for.
            let _ = durable.wait_for(|durable| *durable >= given).await;
        }
    }

    /// Keeps what waits, durably, and takes no more.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // Who writes may have ended with the store.
        let _ = self.items.send(Item::Stop).await;
    }

    /// Writes what is to be kept until told to stop, or the store has ended.
    pub(crate) async fn run(
        self: Arc<Self>,
        store: Arc<dyn EventStore>,
        waiting: mpsc::Receiver<Item>,
    ) {
        Arc::clone(&self).write_all(store, waiting).await;
        // Nobody waits for what nobody writes any more.
        self.durable.send_replace(u64::MAX);
    }

    async fn write_all(
        self: Arc<Self>,
        store: Arc<dyn EventStore>,
        mut waiting: mpsc::Receiver<Item>,
    ) {
        let by = Arc::clone(&self);
        let filling = tokio::task::spawn_blocking(move || {
            if let Err(error) = by.fill_filter() {
                // It stays incomplete, which costs time and nothing else.
                tracing::warn!(%error, "the filter of unchanged outcomes could not be filled");
            }
        });
        let mut sync_at = None;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let due = async {
                match sync_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                count = waiting.recv_many(&mut batch, BATCH) => if count == 0 { return },
                () = due => {}
            }
            let stop = batch.iter().any(|item| matches!(item, Item::Stop));
            let outcomes = batch
                .iter()
                .filter(|item| matches!(item, Item::Unchanged(..)))
                .count();
            let sync = stop || outcomes > 0 || sync_at.is_some_and(|at| at <= Instant::now());
            let items = std::mem::take(&mut batch);
            let rests_on = items.iter().map(rests_on).max().unwrap_or(Position::START);
            if store.wait_durable(rests_on).await.is_err() {
                return;
            }
            let Some(shelf) = self.shelf.read().clone() else {
                return;
            };
            let unchanged_max = self.unchanged_max;
            let written = tokio::task::spawn_blocking(move || {
                let before = shelf.reader().count(ARRIVALS)?;
                shelf.change(rests_on, sync, |tx| {
                    put_all(tx, &items, before, unchanged_max)
                })
            });
            match written.await {
                Ok(Ok(())) => {}
                // A full disk, say: what was decided stands, and is told.
                Ok(Err(error)) => {
                    tracing::warn!(%error, "what the write side keeps could not be written; after a kill, what was so already is decided again");
                }
                Err(_) => return,
            }
            self.durable
                .send_modify(|durable| *durable += u64::try_from(outcomes).unwrap_or(0));
            if stop {
                // It reads the file that another may open next.
                let _ = filling.await;
                *self.shelf.write() = None;
                return;
            }
            sync_at = if sync {
                None
            } else {
                sync_at.or(Some(Instant::now() + SYNC_EVERY))
            };
        }
    }
}

fn rests_on(item: &Item) -> Position {
    match item {
        Item::Snapshot(_, snapshot) => snapshot.position,
        Item::Unchanged(_, unchanged) => Position(unchanged.decided_on),
        Item::Stop => Position::START,
    }
}

/// Writes what is to be kept, where `before` outcomes are; then the oldest go that are more than `unchanged_max`.
fn put_all(
    tx: &mut Tx<'_>,
    items: &[Item],
    before: u64,
    unchanged_max: u64,
) -> Result<(), TableError> {
    let mut rows = before;
    let mut latest = None;
    for item in items {
        match item {
            Item::Snapshot(stream, snapshot) => {
                // One a stream: those of other versions of the fold go.
                tx.delete_span(SNAPSHOTS, &Span::prefix(&Key::new().text(stream.as_str())))?;
                let key = snapshot_key(stream, snapshot.code);
                tx.put(SNAPSHOTS, &key, &snapshot.encode())?;
            }
            Item::Unchanged(id, unchanged) => {
                rows += 1;
                rows -= u64::from(forget_earlier(tx, *id)?);
                let row = serde_json::to_vec(&**unchanged).unwrap_or_default();
                tx.put(UNCHANGED, id.as_bytes(), &row)?;
                tx.put(ARRIVALS, &arrival_key(*id, unchanged.arrived_ms), &[])?;
                latest = latest.max(Some(unchanged.arrived_ms));
            }
            Item::Stop => {}
        }
    }
    match latest {
        Some(latest) => forget(
            tx,
            latest - (WINDOW_DAYS + 1) * DAY_MS,
            rows.saturating_sub(unchanged_max),
        ),
        None => Ok(()),
    }
}

/// Forgets when the outcome arrived that was kept of this id before; whether there was one.
fn forget_earlier(tx: &mut Tx<'_>, id: Uuid) -> Result<bool, TableError> {
    let row = tx.get(UNCHANGED, id.as_bytes())?;
    let Some(earlier) = row.and_then(|row| serde_json::from_slice::<Unchanged>(&row).ok()) else {
        return Ok(false);
    };
    tx.delete(ARRIVALS, &arrival_key(id, earlier.arrived_ms))?;
    Ok(true)
}

/// Forgets what arrived before a time, and the oldest that are too many.
fn forget(tx: &mut Tx<'_>, arrived_ms: i64, too_many: u64) -> Result<(), TableError> {
    let mut over = Vec::new();
    for (row, number) in tx.scan(ARRIVALS, &Span::all(), Order::Ascending)?.zip(0..) {
        let key = row?.0.to_vec();
        let in_time = Parts::of(&key).i64().is_some_and(|at| at >= arrived_ms);
        if number >= too_many && in_time {
            break;
        }
        over.push(key);
    }
    for key in over {
        let mut parts = Parts::of(&key);
        parts.i64();
        tx.delete(UNCHANGED, parts.rest())?;
        tx.delete(ARRIVALS, &key)?;
    }
    Ok(())
}

fn arrival_key(id: Uuid, arrived_ms: i64) -> Key {
    Key::new().i64(arrived_ms).fixed(id.as_bytes())
}

fn snapshot_key(stream: &StreamName, code: u32) -> Key {
    Key::new().text(stream.as_str()).u64(code.into())
}

#[cfg(test)]
mod spec {
    use event_store::LogId;

    use super::*;

    fn id(n: u64) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes())
    }

    fn kept_in_memory() -> Kept {
        let shelf = Shelf::open(None, TABLES, LogId(Uuid::nil()), Position(9), 1 << 20).unwrap();
        Kept {
            shelf: RwLock::new(Some(Arc::new(shelf))),
            unchanged: SeenFilter::new(1 << 16, WINDOW_DAYS * DAY_MS),
            per_member: DailyLimit::new(Some(10)),
            unchanged_max: 3,
            stopping: AtomicBool::new(false),
            items: mpsc::channel(1).0,
            given: Mutex::new(0),
            durable: watch::Sender::new(0),
        }
    }

    fn put(kept: &Kept, ids: std::ops::Range<u64>, arrived_ms: i64) {
        let outcome = Outcome {
            position: Position(1),
            kind: Kind::Unchanged,
            repeated: false,
            answer: Answer::Nothing,
        };
        let items: Vec<Item> = ids
            .map(|n| {
                let unchanged =
                    Unchanged::of(Uuid::nil(), Position(1), Timestamp(arrived_ms), &outcome);
                Item::Unchanged(id(n), Box::new(unchanged.unwrap()))
            })
            .collect();
        let shelf = kept.shelf.read().clone().unwrap();
        let before = shelf.reader().count(ARRIVALS).unwrap();
        shelf
            .change(Position(1), false, |tx| {
                put_all(tx, &items, before, kept.unchanged_max)
            })
            .unwrap();
    }

    fn found(kept: &Kept, among: std::ops::Range<u64>) -> Vec<u64> {
        let rows = |table| kept.reader().unwrap().count(table).unwrap();
        assert_eq!(rows(ARRIVALS), rows(UNCHANGED));
        among
            .filter(|n| kept.unchanged(id(*n), Timestamp(0)).is_some())
            .collect()
    }

    #[test]
    fn of_too_many_outcomes_the_oldest_go() {
        let kept = kept_in_memory();
        for n in 0..5 {
            put(&kept, n..n + 1, i64::try_from(n).unwrap());
        }
        assert_eq!(found(&kept, 0..9), [2, 3, 4]);
        put(&kept, 5..7, 5);
        assert_eq!(found(&kept, 0..9), [4, 5, 6]);
        put(&kept, 10..20, 6);
        assert_eq!(found(&kept, 0..20).len(), 3);
    }

    #[test]
    fn an_outcome_kept_again_stays_when_its_first_arrival_is_forgotten() {
        let kept = kept_in_memory();
        put(&kept, 0..1, -10 * DAY_MS);
        put(&kept, 0..1, -2 * DAY_MS);
        put(&kept, 1..2, 0);
        assert_eq!(found(&kept, 0..2), [0, 1]);
    }

    #[test]
    fn what_earlier_runs_kept_is_found_before_the_filter_knows_of_it_and_after() {
        let kept = kept_in_memory();
        put(&kept, 0..2, 0);
        assert!(kept.maybe_unchanged(id(0)) && kept.maybe_unchanged(id(7)));
        assert_eq!(found(&kept, 0..9), [0, 1]);
        kept.fill_filter().unwrap();
        assert!(kept.maybe_unchanged(id(0)) && kept.maybe_unchanged(id(1)));
        assert!(!kept.maybe_unchanged(id(7)));
    }

    #[test]
    fn a_stop_ends_the_filling_and_what_is_not_filled_denies_nothing() {
        let kept = kept_in_memory();
        put(&kept, 0..2, 0);
        kept.stopping.store(true, Ordering::Release);
        kept.fill_filter().unwrap();
        assert!(kept.maybe_unchanged(id(1)) && kept.maybe_unchanged(id(7)));
    }
}

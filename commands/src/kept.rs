//! What the write side keeps beside its view, because no event says it: snapshots of long streams, and outcomes that
//! wrote nothing.
//!
//! Promise: nothing here is ahead of the log, or of another one, and everything may be lost: a snapshot costs a longer
//! fold, an outcome a new decision. Nobody waits for anything to be kept. It is written behind, once what it rests on is
//! durable, and synced every few seconds and at the end, so that a kill loses the last of it. Snapshots are one row a
//! stream; outcomes leave after [`WINDOW_DAYS`] by their arrival. How a stream is folded from one stands in
//! `snapshots.rs`, what a repeated command gets in `handler.rs`.

use std::sync::Arc;
use std::time::Duration;

use domain::conversation::AlsoOutcome;
use domain::ids::{CaseId, ReportId};
use domain::policy::Audience;
use domain::time::{DAY_MS, Timestamp};
use event_store::{EventStore, Position, StreamName};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tables::key::{Key, Parts};
use tables::{Order, Reader, Shelf, Span, TableError, Tx};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

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
    items: mpsc::Sender<Item>,
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
            // A message always writes.
            Answer::Sent { .. } => return None,
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
    /// What an earlier run kept of this log, and what takes more from now on.
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
        let reader = shelf.reader();
        for row in reader
            .scan(ARRIVALS, &Span::all(), Order::Ascending)
            .map_err(problem)?
        {
            let (key, _) = row.map_err(problem)?;
            let mut parts = Parts::of(&key);
            if let (Some(arrived_ms), Some(id)) = (parts.i64(), parts.fixed()) {
                unchanged.add(mark_of(Uuid::from_bytes(id)), arrived_ms);
            }
        }
        unchanged.complete();
        let (items, waiting) = mpsc::channel(WAITING_MAX);
        let kept = Self {
            shelf: RwLock::new(Some(Arc::new(shelf))),
            unchanged,
            items,
        };
        Ok((kept, waiting))
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

    /// Keeps an outcome that wrote nothing, in its own time.
    pub(crate) fn keep_unchanged(
        &self,
        id: Uuid,
        causation: Uuid,
        decided_on: Position,
        arrived: Timestamp,
        outcome: &Outcome,
    ) {
        let Some(unchanged) = Unchanged::of(causation, decided_on, arrived, outcome) else {
            return;
        };
        let item = Item::Unchanged(id, Box::new(unchanged));
        if self.items.try_send(item).is_ok() {
            self.unchanged.add(mark_of(id), arrived.0);
        }
    }

    /// Keeps what waits, durably, and takes no more.
    pub(crate) async fn stop(&self) {
        // Who writes may have ended with the store.
        let _ = self.items.send(Item::Stop).await;
    }

    /// Writes what is to be kept until told to stop.
    pub(crate) async fn run(&self, store: Arc<dyn EventStore>, mut waiting: mpsc::Receiver<Item>) {
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
            let sync = stop || sync_at.is_some_and(|at| at <= Instant::now());
            let items = std::mem::take(&mut batch);
            let rests_on = items.iter().map(rests_on).max().unwrap_or(Position::START);
            if store.wait_durable(rests_on).await.is_err() {
                return;
            }
            let Some(shelf) = self.shelf.read().clone() else {
                return;
            };
            let written = tokio::task::spawn_blocking(move || {
                shelf.change(rests_on, sync, |tx| {
                    items.iter().try_for_each(|item| put(tx, item))
                })
            });
            match written.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "what the write side keeps could not be written");
                }
                Err(_) => return,
            }
            if stop {
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

fn put(tx: &mut Tx<'_>, item: &Item) -> Result<(), TableError> {
    match item {
        Item::Snapshot(stream, snapshot) => {
            // One a stream: those of other versions of the fold go.
            tx.delete_span(SNAPSHOTS, &Span::prefix(&Key::new().text(stream.as_str())))?;
            tx.put(
                SNAPSHOTS,
                &snapshot_key(stream, snapshot.code),
                &snapshot.encode(),
            )
        }
        Item::Unchanged(id, unchanged) => {
            forget_before(tx, unchanged.arrived_ms - (WINDOW_DAYS + 1) * DAY_MS)?;
            let row = serde_json::to_vec(unchanged).unwrap_or_default();
            tx.put(UNCHANGED, id.as_bytes(), &row)?;
            let arrival = Key::new().i64(unchanged.arrived_ms).fixed(id.as_bytes());
            tx.put(ARRIVALS, &arrival, &[])
        }
        Item::Stop => Ok(()),
    }
}

/// Forgets what arrived before a time.
fn forget_before(tx: &mut Tx<'_>, arrived_ms: i64) -> Result<(), TableError> {
    let span = Span::all().before(&Key::new().i64(arrived_ms));
    let mut over = Vec::new();
    for row in tx.scan(ARRIVALS, &span, Order::Ascending)? {
        over.push(row?.0.to_vec());
    }
    for key in over {
        let mut parts = Parts::of(&key);
        parts.i64();
        tx.delete(UNCHANGED, parts.rest())?;
        tx.delete(ARRIVALS, &key)?;
    }
    Ok(())
}

fn snapshot_key(stream: &StreamName, code: u32) -> Key {
    Key::new().text(stream.as_str()).u64(code.into())
}

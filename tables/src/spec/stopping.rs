//! A stop in the middle of work on a view: it ends within a few rows, and what was begun is taken away.

use std::fs;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::file::Synced;
use crate::overlay::{Change, Overlay};
use crate::pace::Pace;
use crate::reader::digest_at;
use crate::{CareError, StartError, TableError, ViewFile};

/// Counts events, and waits at one of them for the test, once it is told to.
#[derive(Default)]
struct Waiting {
    waits: AtomicBool,
    applied: AtomicU64,
    barrier: Option<Arc<Barrier>>,
}

/// Where it waits.
const WAITS_AT: u64 = 3_000;

impl View<Words> for Waiting {
    fn name(&self) -> &'static str {
        "waiting"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS]
    }

    fn apply(&self, tx: &mut Tx<'_>, event: &RecordedEvent, _: &&str) -> Result<(), ApplyError> {
        let position = event.position().0;
        if self.waits.load(Ordering::SeqCst) {
            self.applied.fetch_add(1, Ordering::SeqCst);
            if position == WAITS_AT
                && let Some(barrier) = &self.barrier
            {
                // It is there; it may go on.
                barrier.wait();
                barrier.wait();
            }
        }
        Ok(tx.put(ROWS, &position.to_be_bytes(), b"row")?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fold_that_is_under_way_ends_with_the_runner_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=50_000));
    let barrier = Arc::new(Barrier::new(2));
    let view = Arc::new(Waiting {
        barrier: Some(Arc::clone(&barrier)),
        ..Waiting::default()
    });
    let store: Arc<dyn EventStore> = log.clone();
    let views: Vec<Arc<dyn View<Words>>> = vec![view.clone()];
    let runner = Runner::start(store, Words, views, options(dir.path()))
        .await
        .unwrap();
    runner
        .wait("waiting", Position(50_000), LONG)
        .await
        .unwrap();
    view.waits.store(true, Ordering::SeqCst);
    let rebuilding = tokio::spawn({
        let runner = runner.clone();
        async move { runner.rebuild("waiting").await }
    });
    tokio::task::block_in_place(|| barrier.wait());
    // What is told at once, whoever waits for the end of it.
    runner.inner.care.cancel();
    tokio::task::block_in_place(|| barrier.wait());
    runner.stop().await.unwrap();
    let ended = rebuilding.await.unwrap();
    assert!(
        matches!(ended, Err(CareError::Fold(StartError::Stopped))),
        "{ended:?}"
    );
    let applied = view.applied.load(Ordering::SeqCst);
    assert!(
        (WAITS_AT..WAITS_AT + 100).contains(&applied),
        "{applied} of 50000"
    );
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["waiting.v1.redb"]);
}

/// A pace that nobody waits for any more.
fn stopped() -> Pace {
    Pace::beside(Log::new(LOG, Vec::new()), Arc::new(AtomicBool::new(true)))
}

#[test]
fn rows_are_loaded_merged_written_anew_packed_and_compared_no_further_than_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("counter.v1.redb");
    let mut file = ViewFile::begin(&path, &[ROWS], LOG, 1 << 16).unwrap();
    let rows = |overlay: &mut Overlay, keys: std::ops::Range<u64>, value: &[u8]| {
        for key in keys {
            overlay.set(0, &key.to_be_bytes(), Change::Put(value.into()));
        }
    };
    let mut overlay = Overlay::new(1);
    let ended = |done: Result<(), TableError>| assert!(matches!(done, Err(TableError::Stopped)));

    // Into an empty file.
    rows(&mut overlay, 0..1_000, b"first");
    file.set_pace(stopped());
    ended(file.commit(&mut overlay, Position(1), Synced::Yes));
    assert_eq!(file.checkpoint().position, Position(0));
    file.set_pace(Pace::alone());
    rows(&mut overlay, 0..1_000, b"first");
    file.commit(&mut overlay, Position(1), Synced::Yes).unwrap();
    let digest = digest(&file.reader()).unwrap();

    // Into one that has rows: some of them, or all of them anew.
    for changed in [0..100, 0..1_000] {
        file.set_pace(stopped());
        rows(&mut overlay, changed, b"second");
        ended(file.commit(&mut overlay, Position(2), Synced::Yes));
        assert_eq!(file.checkpoint().position, Position(1));
        assert_eq!(
            digest_at(&file.reader(), &mut Pace::alone()).unwrap(),
            digest
        );
    }
    ended(file.put_in_place());
    assert!(file.is_building());
    ended(digest_at(&file.reader(), &mut stopped()).map(drop));

    // It goes on where it was.
    file.set_pace(Pace::alone());
    file.put_in_place().unwrap();
    assert_eq!(
        digest_at(&file.reader(), &mut Pace::alone()).unwrap(),
        digest
    );
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["counter.v1.redb"]);
}

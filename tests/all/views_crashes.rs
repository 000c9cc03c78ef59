//! Random histories, written to a real log while the views follow it, by processes killed for real on the way: what a view
//! has in the end is what a rebuild makes of the log, and a fold in memory.
//!
//! The child is this test binary, run again with one test and a folder in its environment: it takes the events up from a
//! log aside, where the parent has laid them, and appends them one append after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use event_store::{EmbeddedStore, EventStore, RecordedEvent};
use projections::DomainCodec;
use proptest::prelude::*;
use tables::{Fold, RebuildOptions, Runner, RunnerHandle, RunnerOptions, digest};
use tests::commands::{appends_of, store_options};
use tests::killed;
use tests::store::all_events;
use tests::views::World;
use tests::views::acts::{run, steps};

use crate::audit_views::open_cases;
use crate::college_replay::every_view;

const CHILD_DIR: &str = "DOORSTEP_VIEWS_KILL_DIR";
const CHILD_BATCH: &str = "DOORSTEP_VIEWS_KILL_BATCH";
const LONG: Duration = Duration::from_mins(1);

/// A log, followed by all views in files.
struct Followed {
    store: Arc<dyn EventStore>,
    runner: RunnerHandle,
}

impl Followed {
    /// In batches of so many events at most, and with checkpoints as often: all sides of both are met by short histories.
    async fn open(dir: &Path, batch: usize) -> Self {
        let store = open(&dir.join("live"));
        let options = RunnerOptions {
            checkpoint_every: Duration::from_millis(20),
            checkpoint_events: batch as u64,
            batch_events_max: batch,
            cache_bytes: 1 << 20,
            ..RunnerOptions::in_dir(dir.join("views"))
        };
        let views = every_view();
        let runner = Runner::start(Arc::clone(&store), DomainCodec, views, options);
        Self {
            runner: runner.await.unwrap(),
            store,
        }
    }

    /// Appends what the log does not have of these events, and tells after each append how many are left.
    async fn go_on(&self, events: &[RecordedEvent], told: impl AsyncFn(usize)) {
        let has = self.store.durable_position().0;
        let left = appends_of(&events[usize::try_from(has).unwrap()..]);
        for (left, append) in (0..left.len()).rev().zip(left) {
            let ticket = self.store.append(append).await.unwrap();
            ticket.durable().await.unwrap();
            told(left).await;
        }
    }

    /// Waits until all views have come to the log's end.
    async fn caught_up(&self) {
        let end = self.store.durable_position();
        self.runner.wait_all(end, LONG).await.unwrap();
    }
}

fn open(dir: &Path) -> Arc<dyn EventStore> {
    Arc::new(EmbeddedStore::open(dir, store_options()).unwrap())
}

/// Where a child finds the events.
fn aside(dir: &Path) -> PathBuf {
    dir.join("aside")
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn the_child_whose_views_are_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let batch = std::env::var(CHILD_BATCH).unwrap().parse().unwrap();
    let dir = Path::new(&dir);
    runtime().block_on(async {
        let events = all_events(&*open(&aside(dir))).await;
        let followed = Followed::open(dir, batch).await;
        let told = async |left| {
            // Now and then nothing is on its way when the next append comes.
            if followed.store.durable_position().0.is_multiple_of(3) {
                followed.caught_up().await;
            }
            killed::tell(&format!("left {left}"));
        };
        followed.go_on(&events, told).await;
        followed.caught_up().await;
        killed::tell("done");
        std::future::pending::<()>().await;
    });
}

/// Lays the events of a world aside, for children to write.
async fn lay_aside(dir: &Path, world: &World) {
    let store = open(&aside(dir));
    let mut written = Vec::new();
    for append in appends_of(world.events()) {
        written.push(store.append(append).await.unwrap());
    }
    for ticket in written {
        ticket.durable().await.unwrap();
    }
}

/// Every view of a log, against a rebuild and a fold.
async fn compare(dir: &Path, followed: &Followed) {
    let events = all_events(&*followed.store).await;
    let end = followed.store.durable_position();
    for view in every_view() {
        let name = view.name();
        let rows = followed.runner.view(name).unwrap().reader().unwrap();
        let rows = digest(&rows).unwrap();
        let mut fold = Fold::new(&*view);
        fold.apply_all(&DomainCodec, &events).unwrap();
        let folded = fold.into_reader(followed.store.log_id());
        assert_eq!(rows, digest(&folded).unwrap(), "{name} and a fold");
        let aside = dir.join("rebuilt.redb");
        let rebuilt = tables::rebuild(
            Arc::clone(&followed.store),
            Arc::new(DomainCodec),
            view,
            &aside,
            end,
            RebuildOptions::default(),
            |_| {},
        );
        let rebuilt = rebuilt.await.unwrap();
        let made = digest(&rebuilt.file.reader()).unwrap();
        assert_eq!(rows, made, "{name} and a rebuild");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 32, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn killed_on_the_way_every_view_has_the_bytes_of_a_rebuild_and_of_a_fold(
        steps in steps(), kills in prop::collection::vec(0..101_usize, 1..4), batch in 1..40_usize,
    ) {
        let mut world = run(&steps);
        open_cases(&mut world);
        let dir = tempfile::tempdir().unwrap();
        let test = "views_crashes::the_child_whose_views_are_killed";
        let told = [
            (CHILD_DIR, dir.path().to_string_lossy().into_owned()),
            (CHILD_BATCH, batch.to_string()),
        ];
        runtime().block_on(lay_aside(dir.path(), &world));
        for share in kills {
            // After a share of what the child before has left, or after all of it.
            let mut enough = None;
            let killed = killed::when(test, &told, |line| {
                let left = line.strip_prefix("left ").map(|left| left.parse::<usize>().unwrap());
                let enough = *enough.get_or_insert(left.unwrap_or(0) * (100 - share) / 100);
                left.is_some_and(|left| share < 100 && left <= enough) || line == "done"
            });
            assert!(killed, "a child ended by itself");
        }
        runtime().block_on(async {
            let followed = Followed::open(dir.path(), batch).await;
            followed.go_on(world.events(), async |_| {}).await;
            followed.caught_up().await;
            compare(dir.path(), &followed).await;
            followed.runner.stop().await.unwrap();
        });
    }
}

//! A view whose disk is full: it says so, goes on answering from what it has, and catches up once there is room. One
//! whose disk has no room for it twice is served as it was built.
//!
//! The child is this test binary, run again with a limit on the size of its files in place of a full disk; the log is
//! in memory, so that only the view's file meets the limit.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, LogId, Position, RecordedEvent};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tables::testing::Log;
use tables::{
    ApplyError, Fold, Runner, RunnerOptions, Tx, Undecoded, View, ViewState, WaitError, digest,
};
use tests::store::{event, stream};
use uuid::Uuid;

use crate::program_service::SmallDisk;

const CHILD_DIR: &str = "DOORSTEP_TABLES_DISK_DIR";
const LONG: Duration = Duration::from_mins(1);
const LOG: LogId = LogId(Uuid::from_u128(5));

/// Every event's data, by position: a file that grows.
struct Everything;

impl View<Undecoded> for Everything {
    fn name(&self) -> &'static str {
        "everything"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["rows"]
    }

    fn apply(&self, tx: &mut Tx<'_>, event: &RecordedEvent, (): &()) -> Result<(), ApplyError> {
        Ok(tx.put("rows", &event.position().0.to_be_bytes(), event.data())?)
    }
}

fn events(positions: std::ops::RangeInclusive<u64>) -> Vec<RecordedEvent> {
    let of = |position| {
        RecordedEvent::record(
            Position(position),
            0,
            &stream(1),
            position,
            &event(position, 2_000),
        )
    };
    positions.map(of).collect()
}

fn limit_files(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: bytes,
            maximum,
        },
    )
    .unwrap();
}

#[test]
fn the_child_with_a_full_disk() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let log = Log::new(LOG, events(1..=100));
        let store: Arc<dyn EventStore> = log.clone();
        let options = RunnerOptions {
            cache_bytes: 64 << 10,
            checkpoint_every: Duration::from_millis(10),
            ..RunnerOptions::in_dir(dir)
        };
        let runner = Runner::start(store, Undecoded, vec![Arc::new(Everything)], options).await.unwrap();
        runner.wait_live(LONG).await.unwrap();
        let view = runner.view("everything").unwrap();

        limit_files(Some(2 << 20));
        let mut last = 100;
        let stopped = loop {
            log.push(events(last + 1..=last + 50));
            last += 50;
            match view.wait(Position(last), LONG).await {
                Ok(()) => assert!(last < 10_000, "no limit was met"),
                Err(error) => break error,
            }
        };
        assert!(matches!(&stopped, WaitError::Stopped { cause, .. } if cause.contains("File too large")), "{stopped:?}");

        // What is served is an earlier moment, whole.
        let reader = view.reader().unwrap();
        let position = reader.checkpoint().position;
        assert!(position >= Position(100) && position < Position(last), "at {position}");
        assert_eq!(reader.count("rows").unwrap(), position.0);
        drop(reader);

        limit_files(None);
        let mut published = view.status();
        while matches!(published.state, ViewState::Stopped { .. }) {
            tokio::task::yield_now().await;
            published = view.status();
        }
        log.push(events(last + 1..=last + 50));
        last += 50;
        view.wait(Position(last), LONG).await.unwrap();
        view.wait_live(LONG).await.unwrap();
        let mut fold = Fold::new(&Everything);
        fold.apply_all(&Undecoded, &events(1..=last)).unwrap();
        assert_eq!(digest(&view.reader().unwrap()).unwrap(), digest(&fold.into_reader(LOG)).unwrap());
        runner.stop().await.unwrap();
    });
}

#[test]
fn a_view_whose_disk_is_full_answers_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    // A process may go on past the limit only if it ignores the signal that comes with it.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tables_disk::the_child_with_a_full_disk",
            "--nocapture",
        ])
        .env(CHILD_DIR, dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}{}",
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_disk_has_no_room_for_it_twice_is_served_as_it_was_built() {
    const EVENTS: u64 = 7_000;
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), 24) else {
        // Without the right to mount, the crate's own test of a file that cannot be packed holds it.
        return;
    };
    let dir = folder.path().join("disk/views");
    let log = Log::new(LOG, events(1..=EVENTS));
    let store: Arc<dyn EventStore> = log.clone();
    let options = RunnerOptions {
        cache_bytes: 64 << 10,
        ..RunnerOptions::in_dir(dir.clone())
    };
    let runner = Runner::start(store, Undecoded, vec![Arc::new(Everything)], options)
        .await
        .unwrap();
    runner.wait_live(LONG).await.unwrap();
    let view = runner.view("everything").unwrap();
    assert_eq!(view.reader().unwrap().count("rows").unwrap(), EVENTS);
    let names: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["everything.v1.redb"], "nothing is left of packing");
    let built = std::fs::metadata(dir.join("everything.v1.redb"))
        .unwrap()
        .len();
    assert!(built > 12 << 20, "{built} bytes can be there twice");
    log.push(events(EVENTS + 1..=EVENTS + 10));
    view.wait(Position(EVENTS + 10), LONG).await.unwrap();
    runner.stop().await.unwrap();
    drop(disk);
}

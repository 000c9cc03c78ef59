//! Views over a real store: following it while it is written, and a process killed for real while both go on.
//!
//! The child is this test binary, run again with one test and a folder in its environment. It appends and follows with
//! frequent checkpoints; the parent kills it, opens what is left, and compares the rows with a fold of the whole log.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use event_store::{
    Append, EmbeddedStore, EventStore, ExpectedVersion, Options, Position, RecordedEvent,
};
use tables::key::Key;
use tables::{
    ApplyError, Fold, Order, Runner, RunnerHandle, RunnerOptions, Span, Tx, Undecoded, View,
    ViewState, digest,
};
use tests::store::{all_events, event, stream};
use uuid::Uuid;

const CHILD_DIR: &str = "DOORSTEP_TABLES_KILL_DIR";
const KILLS: u64 = 25;
const STREAMS: u64 = 40;
const LONG: Duration = Duration::from_mins(1);

/// The streams by their latest event, and how many events each has.
struct Latest;

const COUNTS: &str = "counts";
const ORDER: &str = "latest_first";

impl View<Undecoded> for Latest {
    fn name(&self) -> &'static str {
        "latest"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[COUNTS, ORDER]
    }

    fn apply(&self, tx: &mut Tx<'_>, event: &RecordedEvent, (): &()) -> Result<(), ApplyError> {
        let stream = event.stream();
        let old = tx.get(COUNTS, stream.as_bytes())?.map(|row| row.to_vec());
        let mut count = 0;
        if let Some(old) = old {
            let (at, rest) = old.split_first_chunk().unwrap();
            tx.delete(ORDER, &Key::new().u64_desc(u64::from_be_bytes(*at)))?;
            count = u64::from_be_bytes(rest.try_into().unwrap());
        }
        let position = event.position().0;
        let row = [position.to_be_bytes(), (count + 1).to_be_bytes()].concat();
        tx.put(COUNTS, stream.as_bytes(), &row)?;
        tx.put(ORDER, &Key::new().u64_desc(position), stream.as_bytes())?;
        Ok(())
    }
}

async fn follow(store: &EmbeddedStore, dir: &Path) -> RunnerHandle {
    let options = RunnerOptions {
        checkpoint_every: Duration::from_millis(20),
        checkpoint_events: 100,
        cache_bytes: 1 << 20,
        ..RunnerOptions::in_dir(dir.join("views"))
    };
    Runner::start(
        Arc::new(store.clone()),
        Undecoded,
        vec![Arc::new(Latest)],
        options,
    )
    .await
    .unwrap()
}

fn open(dir: &Path) -> EmbeddedStore {
    let options = Options {
        segment_bytes: 64 * 1024,
        reserve_bytes: 0,
        ..Options::default()
    };
    EmbeddedStore::open(dir, options).unwrap()
}

async fn append(store: &EmbeddedStore, number: u64) -> Position {
    let stream = stream(number % STREAMS);
    let head = store.head(&stream).await.unwrap();
    let mut new = event(number, 60);
    new.event_id = Uuid::new_v4();
    let append = Append {
        stream,
        expected: ExpectedVersion::of(head.map(|head| head.version)),
        events: vec![new],
        reads: Vec::new(),
    };
    store.append(append).await.unwrap().durable().await.unwrap()
}

/// The rows are what a fold of the log makes of it.
async fn agree(store: &EmbeddedStore, runner: &RunnerHandle) {
    runner
        .wait("latest", store.durable_position(), LONG)
        .await
        .unwrap();
    let reader = runner.view("latest").unwrap().reader().unwrap();
    let mut fold = Fold::new(&Latest);
    fold.apply_all(&Undecoded, &all_events(store).await)
        .unwrap();
    assert_eq!(
        digest(&reader).unwrap(),
        digest(&fold.into_reader(store.log_id())).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_durable_is_in_the_rows_once_it_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let runner = follow(&store, dir.path()).await;
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (store, runner) = (store.clone(), runner.clone());
        writers.push(tokio::spawn(async move {
            for number in 0..100 {
                // A writer has streams of its own.
                let number = number * 4 + writer;
                let position = append(&store, number).await;
                let view = runner.view("latest").unwrap();
                view.wait(position, LONG).await.unwrap();
                let reader = view.reader().unwrap();
                assert!(reader.checkpoint().position >= position);
                let span = Span::all().through(&Key::new().u64_desc(position.0));
                let mut newer = reader.scan(ORDER, &span, Order::Descending).unwrap();
                let (key, name) = newer.next().unwrap().unwrap();
                assert_eq!(*key, *Key::new().u64_desc(position.0));
                assert_eq!(*name, *stream(number % STREAMS).as_str().as_bytes());
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    agree(&store, &runner).await;
    runner.stop().await.unwrap();
    drop(runner);

    let again = follow(&store, dir.path()).await;
    let status = again.states().swap_remove(0);
    assert_eq!(
        (status.applied, status.lag_events),
        (store.durable_position(), 0)
    );
    again.wait_live(LONG).await.unwrap();
    agree(&store, &again).await;
}

#[tokio::test]
async fn rows_of_another_log_are_made_again() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, events) in [(dir.path(), 30), (other.path(), 20)] {
        let store = open(dir);
        let runner = follow(&store, dir).await;
        for number in 0..events {
            append(&store, number).await;
        }
        agree(&store, &runner).await;
        runner.stop().await.unwrap();
    }
    let file = "views/latest.v1.redb";
    std::fs::copy(other.path().join(file), dir.path().join(file)).unwrap();
    let store = open(dir.path());
    let runner = follow(&store, dir.path()).await;
    agree(&store, &runner).await;
}

#[test]
fn the_following_child_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(Path::new(&dir));
        let runner = follow(&store, Path::new(&dir)).await;
        // Until it is killed.
        for number in 0..u64::MAX {
            let position = append(&store, number).await;
            runner.wait("latest", position, LONG).await.unwrap();
            let line = format!("followed {position}\n");
            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        }
    });
}

#[tokio::test]
async fn views_of_a_killed_process_go_on_and_agree_with_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut went_on = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tables_recovery::the_following_child_that_is_killed",
                "--nocapture",
            ])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A prime, so that kills fall on all sides of the checkpoints.
        let wanted = usize::try_from(20 + round * 37 % 150).unwrap();
        let seen = lines
            .map_while(Result::ok)
            .filter(|line| line.starts_with("followed"))
            .take(wanted)
            .count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, wanted, "the child ended by itself");

        let store = open(dir.path());
        let runner = follow(&store, dir.path()).await;
        let status = runner.states().swap_remove(0);
        went_on += u64::from(status.durable > Position::START);
        assert!(!matches!(status.state, ViewState::Stopped { .. }));
        agree(&store, &runner).await;
        runner.stop().await.unwrap();
    }
    assert!(
        went_on > KILLS / 2,
        "only {went_on} of {KILLS} went on from a checkpoint"
    );
}

//! Two versions of a view over a real store, and a process killed for real while the new one is made, switched to, taken
//! back, given up and proved, by the new program and the old one.
//!
//! The child is this test binary, run again with one test and what it shall do in its environment. It appends, and does
//! one thing after the other to its view; the parent kills it somewhere in or after a thing of its choice, opens what is
//! left, and compares whatever is served, at once and at the end, with a fold of the log by the code of the version that
//! the rows say they are of.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event_store::{
    Append, EmbeddedStore, EventStore, ExpectedVersion, Options, Position, RecordedEvent,
};
use tables::key::Key;
use tables::{
    ApplyError, CareError, Fold, Kind, Reader, Runner, RunnerHandle, RunnerOptions, Tx, Undecoded,
    View, digest,
};
use tests::store::{all_events, event, stream};
use uuid::Uuid;

const CHILD: &str = "DOORSTEP_VERSIONS_KILL";
const STREAMS: u64 = 30;
/// Events that one child appends at most: what is folded stays small.
const APPENDS_MAX: u64 = 150;
const LONG: Duration = Duration::from_mins(2);

/// How many events each stream has; in the second version with its last position, and in order of that as well.
struct Streams {
    version: u32,
    applied: Arc<AtomicU64>,
}

fn code(version: u32) -> Streams {
    Streams {
        version,
        applied: Arc::default(),
    }
}

const COUNTS: &str = "counts";
const ORDER: &str = "latest_first";

impl View<Undecoded> for Streams {
    fn name(&self) -> &'static str {
        "streams"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn earlier(&self) -> Option<Arc<dyn View<Undecoded>>> {
        (self.version == 2).then(|| -> Arc<dyn View<Undecoded>> { Arc::new(code(1)) })
    }

    fn tables(&self) -> &'static [&'static str] {
        match self.version {
            1 => &[COUNTS],
            _ => &[COUNTS, ORDER],
        }
    }

    fn apply(&self, tx: &mut Tx<'_>, event: &RecordedEvent, (): &()) -> Result<(), ApplyError> {
        self.applied.fetch_add(1, Ordering::Relaxed);
        let (stream, position) = (event.stream().as_bytes(), event.position().0);
        let row = tx.get(COUNTS, stream)?.map(|row| row.to_vec());
        let count = row
            .as_ref()
            .map_or(0, |row| u64::from_be_bytes(*row.first_chunk().unwrap()));
        if self.version == 1 {
            return Ok(tx.put(COUNTS, stream, &(count + 1).to_be_bytes())?);
        }
        if let Some(last) = row.as_ref().and_then(|row| row.last_chunk()) {
            tx.delete(ORDER, &Key::new().u64_desc(u64::from_be_bytes(*last)))?;
        }
        let row = [(count + 1).to_be_bytes(), position.to_be_bytes()].concat();
        tx.put(COUNTS, stream, &row)?;
        tx.put(ORDER, &Key::new().u64_desc(position), stream)?;
        Ok(())
    }
}

/// The program whose newest version is this one.
async fn start(store: &EmbeddedStore, dir: &Path, view: Streams) -> RunnerHandle {
    let options = RunnerOptions {
        checkpoint_every: Duration::from_millis(20),
        checkpoint_events: 50,
        cache_bytes: 1 << 20,
        ..RunnerOptions::in_dir(dir.join("views"))
    };
    let views: Vec<Arc<dyn View<Undecoded>>> = vec![Arc::new(view)];
    Runner::start(Arc::new(store.clone()), Undecoded, views, options)
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

/// The rows are what the code of their version makes of the log up to where they stand.
fn right(reader: &Reader, log: &[RecordedEvent], store: &EmbeddedStore) {
    let (version, position) = (reader.version(), reader.checkpoint().position);
    let code = code(version);
    let mut fold = Fold::new(&code);
    let until = log.partition_point(|event| event.position() <= position);
    fold.apply_all(&Undecoded, &log[..until]).unwrap();
    let folded = fold.into_reader(store.log_id());
    assert_eq!(
        digest(reader).unwrap(),
        digest(&folded).unwrap(),
        "version {version} at {position}"
    );
}

fn served(runner: &RunnerHandle) -> Reader {
    runner.view("streams").unwrap().reader().unwrap()
}

/// Waits until the view and what it keeps for going back stand at the end of the log.
async fn at_the_end(store: &EmbeddedStore, runner: &RunnerHandle) {
    let end = store.durable_position();
    runner.wait("streams", end, LONG).await.unwrap();
    let view = runner.view("streams").unwrap();
    while view.status().previous.is_some_and(|at| at < end) {
        tokio::task::yield_now().await;
    }
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("views")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .map(|name| name.strip_prefix("streams.").unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// The same numbers every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_beside_live_traffic_and_an_older_program_finds_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..200 {
        append(&store, number).await;
    }
    let runner = start(&store, dir.path(), code(1)).await;
    at_the_end(&store, &runner).await;
    runner.stop().await.unwrap();

    let runner = start(&store, dir.path(), code(2)).await;
    assert_eq!(served(&runner).version(), 1, "at once");
    let writer = tokio::spawn({
        let (store, runner) = (store.clone(), runner.clone());
        async move {
            for number in 200..400 {
                let position = append(&store, number).await;
                runner.wait("streams", position, LONG).await.unwrap();
                assert!(served(&runner).checkpoint().position >= position);
            }
        }
    });
    let [view] = runner.outdated().try_into().unwrap();
    let begun = runner.begin_in_turn(view, Kind::Rebuild).await.unwrap();
    begun.rebuild().await.unwrap();
    drop(begun);
    assert_eq!(served(&runner).version(), 2);
    writer.await.unwrap();
    at_the_end(&store, &runner).await;
    let log = all_events(&store).await;
    right(&served(&runner), &log, &store);
    runner.go_back("streams").await.unwrap();
    right(&served(&runner), &log, &store);
    assert_eq!(served(&runner).version(), 1);
    runner.go_back("streams").await.unwrap();
    runner.stop().await.unwrap();

    // The older program has followed nothing meanwhile, and lacks nothing but what came since.
    let older = code(1);
    let applied = Arc::clone(&older.applied);
    append(&store, 400).await;
    let runner = start(&store, dir.path(), older).await;
    at_the_end(&store, &runner).await;
    assert_eq!(served(&runner).version(), 1);
    assert_eq!(applied.load(Ordering::Relaxed), 1);
    right(&served(&runner), &all_events(&store).await, &store);
    runner.stop().await.unwrap();
    let runner = start(&store, dir.path(), code(2)).await;
    at_the_end(&store, &runner).await;
    assert_eq!(served(&runner).version(), 2);
    right(&served(&runner), &all_events(&store).await, &store);
    runner.stop().await.unwrap();
}

/// What is done to the view; the first where there is a new version that is not served.
const THINGS: [&str; 5] = ["renew", "rebuild", "back", "drop", "verify"];

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
}

#[test]
fn the_caring_child_that_is_killed() {
    let Ok(asked) = std::env::var(CHILD) else {
        return;
    };
    let mut asked = asked.splitn(3, ' ');
    let version = asked.next().unwrap().parse().unwrap();
    let mut numbers = Numbers(asked.next().unwrap().parse().unwrap());
    let dir = Path::new(asked.next().unwrap()).to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&dir);
        let runner = start(&store, &dir, code(version)).await;
        let end = store.durable_position();
        runner.wait("streams", end, LONG).await.unwrap();
        let writing = store.clone();
        tokio::spawn(async move {
            for number in 0..APPENDS_MAX {
                append(&writing, number).await;
                say("appended");
            }
        });
        // Until it is killed.
        loop {
            let thing = if runner.outdated().is_empty() {
                THINGS[1 + usize::try_from(numbers.below(4)).unwrap()]
            } else {
                THINGS[0]
            };
            say(&format!("began {thing}"));
            let done = match thing {
                "back" => runner.go_back("streams").await.map(drop),
                "drop" => runner.drop_previous("streams").await,
                "verify" => runner.verify("streams").await.map(|verified| {
                    assert!(verified.equal());
                }),
                _ => runner.rebuild("streams").await.map(|switched| {
                    assert!(switched.compared.equal());
                }),
            };
            match done {
                // The way back may be none, or behind after a start.
                Ok(()) | Err(CareError::NoPrevious(_) | CareError::Switch(_)) => {}
                Err(error) => panic!("{thing}: {error}"),
            }
            say(&format!("ended {thing}"));
        }
    });
}

/// Runs a child until it has begun a thing so many times and told so many lines more, and kills it.
fn kill(dir: &Path, version: u32, thing: &str, times: usize, numbers: &mut Numbers) {
    let seed = numbers.below(1 << 30);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tables_versions::the_caring_child_that_is_killed",
            "--nocapture",
        ])
        .env(CHILD, format!("{version} {seed} {}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let wanted = format!("began {thing}");
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let begun = lines
        .by_ref()
        .filter(|line| *line == wanted)
        .take(times)
        .count();
    // A new version is made for about as long as the child appends.
    let longest = if thing == "renew" { 200 } else { 12 };
    let more = usize::try_from(numbers.below(longest)).unwrap();
    let seen = lines.take(more).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((begun, seen), (times, more), "the child ended by itself");
}

#[tokio::test]
async fn killed_at_whatever_is_done_to_two_versions_what_is_served_is_right_and_nothing_else_stays()
{
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut numbers = Numbers(7);
    for round in 0..25 {
        let thing = THINGS[round % THINGS.len()];
        if thing == "renew" {
            // As a folder is found by the first program that has the new version.
            let store = open(dir);
            let runner = start(&store, dir, code(1)).await;
            at_the_end(&store, &runner).await;
            runner.stop().await.unwrap();
            for new in files(dir).iter().filter(|name| name.starts_with("v2.")) {
                std::fs::remove_file(dir.join("views").join(format!("streams.{new}"))).unwrap();
            }
        }
        // Some by the older program.
        let version = if round % 8 == 6 && thing != "renew" {
            1
        } else {
            2
        };
        let times = if thing == "renew" { 1 } else { 1 + round % 3 };
        kill(dir, version, thing, times, &mut numbers);

        let store = open(dir);
        let log = all_events(&store).await;
        let runner = start(&store, dir, code(2)).await;
        let view = runner.view("streams").unwrap();
        match view.reader() {
            // Before it has caught up.
            Ok(reader) => right(&reader, &log, &store),
            Err(_) => assert!(
                !files(dir).iter().any(|name| name == "v1.redb"),
                "{thing}: the earlier version is whole and not served"
            ),
        }
        at_the_end(&store, &runner).await;
        right(&served(&runner), &log, &store);
        if view.status().previous.is_some() {
            for _ in 0..2 {
                runner.go_back("streams").await.unwrap();
                right(&served(&runner), &log, &store);
            }
        }
        assert!(runner.verify("streams").await.unwrap().equal());
        let version = served(&runner).version();
        runner.stop().await.unwrap();
        let files = files(dir);
        assert!(
            files.contains(&format!("v{version}.redb")),
            "{thing}: {files:?}"
        );
        let taken_back = files.iter().any(|name| name == "v2.rolled_back");
        assert!(!taken_back || version == 1, "{thing}: {files:?}");
        let kept: Vec<_> = files
            .iter()
            .filter(|name| *name != "v2.rolled_back")
            .collect();
        assert!(kept.len() <= 2, "{thing}: {files:?}");
        let names = ["v1.redb", "v1.previous.redb", "v2.redb", "v2.previous.redb"];
        assert!(
            kept.iter().all(|name| names.contains(&name.as_str())),
            "{thing}: {files:?}"
        );
    }
}

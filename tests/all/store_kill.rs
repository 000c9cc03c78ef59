//! A process killed for real while it writes: every acknowledged append is found again, nothing half.
//!
//! The child is this test binary, run again with one test and a folder in its environment. It appends
//! from several tasks and prints each append once it is durable; the parent kills it at a moment that
//! only the number of lines read decides, opens what is left, compares, and lets the next child go on.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use event_store::{
    Append, Direction, EmbeddedStore, EventStore, ExpectedVersion, Options, StreamFrom, StreamName,
    verify,
};
use tests::store::{all_events, event};
use uuid::Uuid;

/// Tells the child its folder.
const CHILD_DIR: &str = "DOORSTEP_STORE_KILL_DIR";
/// How often a child is killed.
const KILLS: u64 = 60;
/// Tasks that write in a child.
const TASKS: u64 = 8;
/// Events of each append.
const EVENTS_OF_APPEND: u64 = 3;

fn options() -> Options {
    Options {
        segment_bytes: 64 * 1024,
        reserve_bytes: 0,
        ..Options::default()
    }
}

#[test]
fn the_child_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(write_for_ever(Path::new(&dir)));
}

async fn write_for_ever(dir: &Path) {
    let store = EmbeddedStore::open(dir, options()).unwrap();
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let stream = StreamName::new(format!("task-{task}")).unwrap();
            // Until it is killed.
            for _ in 0..u64::MAX {
                let head = store.head(&stream).await.unwrap();
                let expected = ExpectedVersion::of(head.map(|head| head.version));
                let append = Uuid::new_v4();
                let mut events = Vec::new();
                for number in 0..EVENTS_OF_APPEND {
                    let mut new = event(number, 50 + 40 * usize::try_from(task).unwrap());
                    new.event_id = Uuid::new_v4();
                    new.correlation_id = append;
                    events.push(new);
                }
                let append_of = Append {
                    stream: stream.clone(),
                    expected,
                    events,
                    reads: vec![],
                };
                let ticket = if append.as_bytes()[0].is_multiple_of(2) {
                    store.append_alone(append_of).await.unwrap()
                } else {
                    store.append(append_of).await.unwrap()
                };
                let first = ticket.first_version;
                ticket.durable().await.unwrap();
                // One write, so that a line is whole or not there.
                let line = format!("durable {stream} {first} {append}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Runs a child until so many lines came, kills it, and gives all it acknowledged.
fn run_and_kill(dir: &Path, lines: usize) -> Vec<(StreamName, u64, Uuid)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "store_kill::the_child_that_is_killed",
            "--exact",
            "--nocapture",
        ])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        // The test harness writes lines of its own, and one may begin in the middle.
        let Some(at) = line.find("durable ") else {
            continue;
        };
        let mut parts = line[at..].split(' ').skip(1);
        let (Some(stream), Some(version), Some(append)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let Ok(append) = append.parse() else { continue };
        acknowledged.push((
            StreamName::new(stream).unwrap(),
            version.parse().unwrap(),
            append,
        ));
        if acknowledged.len() >= lines && !killed {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
    acknowledged
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_leaves_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let mut found_before = 0;
    for kill in 0..KILLS {
        let lines = 1 + usize::try_from(kill * kill * 7 % 97).unwrap();
        let acknowledged = run_and_kill(dir.path(), lines);

        let verified = verify(dir.path()).unwrap();
        let store = EmbeddedStore::open(dir.path(), options()).unwrap();
        assert!(!store.recovery().clean);
        assert_eq!(store.durable_position(), verified.position);
        for (stream, first, append) in acknowledged {
            let stored = store
                .read_stream(&stream, StreamFrom::Version(first), Direction::Forward, 3)
                .await
                .unwrap();
            assert_eq!(
                stored.len(),
                3,
                "kill {kill}: {stream} from {first} is there"
            );
            assert!(stored.iter().all(|event| event.correlation_id() == append));
        }
        let events = all_events(&store).await;
        assert!(events.len() > found_before, "kill {kill}");
        found_before = events.len();
        for (number, three) in events.chunks(3).enumerate() {
            assert_eq!(three.len(), 3, "kill {kill}: append {number} is whole");
            assert!(three.iter().all(|event| {
                event.correlation_id() == three[0].correlation_id()
                    && event.stream() == three[0].stream()
            }));
        }
        let mut ids: Vec<_> = events
            .iter()
            .map(event_store::RecordedEvent::event_id)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), events.len(), "nothing is there twice");
    }
    assert!(
        verify(dir.path()).unwrap().segments > 1,
        "the log grew over segments"
    );
}

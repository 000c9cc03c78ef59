//! Files over restarts: going on from a checkpoint, and starting over where a file cannot be trusted.

use std::fs;
use std::path::Path;

use super::*;
use crate::file::Synced;
use crate::overlay::{Change, Overlay};
use crate::{
    OpenedAs, RebuildOptions, StartError, StoredFile, ViewFile, delete_stored, rebuild,
    stored_files,
};

fn names(dir: &Path) -> Vec<(String, u32, bool)> {
    let files = stored_files(dir).unwrap();
    files
        .into_iter()
        .map(
            |StoredFile {
                 view,
                 version,
                 finished,
                 ..
             }| (view, version, finished),
        )
        .collect()
}

/// Runs `views` until they have applied what `log` has, and stops.
async fn run(log: &Arc<Log>, views: &[&Arc<Counter>], dir: &Path) {
    let runner = start(log, views, options(dir)).await;
    runner.wait_all(log.durable_position(), LONG).await.unwrap();
    runner.stop().await.unwrap();
}

/// How many events a fresh view had to apply to follow `log` in `dir`, with the right rows at the end.
async fn applied_again(log: &Arc<Log>, dir: &Path) -> u64 {
    let view = Arc::new(Counter::default());
    let runner = start(log, &[&view], options(dir)).await;
    runner.wait_all(log.durable_position(), LONG).await.unwrap();
    let all = log
        .read_all(Position::START, usize::MAX, usize::MAX)
        .await
        .unwrap();
    assert_eq!(rows(&runner, "counter"), expected(&all));
    runner.stop().await.unwrap();
    view.applied()
}

#[tokio::test]
async fn goes_on_from_its_checkpoint_after_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=50));
    run(&log, &[&Arc::default()], dir.path()).await;
    assert_eq!(names(dir.path()), [("counter".to_owned(), 1, true)]);
    log.push(events(51..=60));
    assert_eq!(applied_again(&log, dir.path()).await, 10);
    assert_eq!(applied_again(&log, dir.path()).await, 0);
}

#[tokio::test]
async fn views_at_different_checkpoints_each_get_what_they_lack() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=50));
    run(&log, &[&Arc::default()], dir.path()).await;
    log.push(events(51..=60));
    let old = Arc::new(Counter::default());
    let new = Arc::new(Counter {
        name: Some("new"),
        ..Counter::default()
    });
    let runner = start(&log, &[&old, &new], options(dir.path())).await;
    runner.wait_all(Position(60), LONG).await.unwrap();
    assert_eq!((old.applied(), new.applied()), (10, 60));
    assert_eq!(rows(&runner, "counter"), rows(&runner, "new"));
}

#[tokio::test]
async fn a_crash_goes_back_to_the_last_durable_checkpoint_and_catches_up() {
    let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = Log::new(LOG, events(1..=50));
    run(&log, &[&Arc::default()], dir.path()).await;
    let view = Arc::default();
    let runner = start(&log, &[&view], options(dir.path())).await;
    for position in 51..=90 {
        log.push(events(position..=position));
        runner.wait_all(Position(position), LONG).await.unwrap();
    }
    let status = runner.view("counter").unwrap().status();
    assert_eq!(
        (status.applied, status.durable),
        (Position(90), Position(50))
    );
    let file = "counter.v1.redb";
    fs::copy(dir.path().join(file), crashed.path().join(file)).unwrap();
    assert_eq!(applied_again(&log, crashed.path()).await, 40);
    runner.stop().await.unwrap();
    assert_eq!(applied_again(&log, dir.path()).await, 0);
}

#[tokio::test]
async fn a_durable_checkpoint_is_taken_after_so_many_events() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, Vec::new());
    let view = Arc::default();
    let options = RunnerOptions {
        checkpoint_events: 10,
        ..options(dir.path())
    };
    let runner = start(&log, &[&view], options).await;
    runner.wait_all(Position::START, LONG).await.unwrap();
    for position in 1..=25 {
        log.push(events(position..=position));
        runner.wait_all(Position(position), LONG).await.unwrap();
    }
    assert_eq!(
        runner.view("counter").unwrap().status().durable,
        Position(20)
    );
}

#[tokio::test]
async fn a_file_of_another_log_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    run(
        &Log::new(LogId(Uuid::from_u128(2)), events(1..=30)),
        &[&Arc::default()],
        dir.path(),
    )
    .await;
    assert_eq!(
        applied_again(&Log::new(LOG, events(1..=40)), dir.path()).await,
        40
    );
}

#[tokio::test]
async fn a_file_beyond_the_end_of_the_log_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    run(
        &Log::new(LOG, events(1..=30)),
        &[&Arc::default()],
        dir.path(),
    )
    .await;
    assert_eq!(
        applied_again(&Log::new(LOG, events(1..=29)), dir.path()).await,
        29
    );
}

#[tokio::test]
async fn a_damaged_file_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=30));
    let path = dir.path().join("counter.v1.redb");
    for damage in ["nothing like it", "truncated", "header"] {
        run(&log, &[&Arc::default()], dir.path()).await;
        let bytes = fs::read(&path).unwrap();
        let damaged = match damage {
            "truncated" => bytes[..bytes.len() / 3].to_vec(),
            "header" => [vec![0xA5; 512], bytes[512..].to_vec()].concat(),
            other => other.as_bytes().to_vec(),
        };
        fs::write(&path, damaged).unwrap();
        assert_eq!(applied_again(&log, dir.path()).await, 30, "{damage}");
    }
}

#[tokio::test]
async fn another_version_is_another_file_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=30));
    run(&log, &[&Arc::default()], dir.path()).await;
    let second = Arc::new(Counter {
        version: 2,
        ..Counter::default()
    });
    run(&log, &[&second], dir.path()).await;
    assert_eq!(second.applied(), 30);
    assert_eq!(
        names(dir.path()),
        [
            ("counter".to_owned(), 1, true),
            ("counter".to_owned(), 2, true)
        ]
    );
    log.push(events(31..=35));
    assert_eq!(
        applied_again(&log, dir.path()).await,
        5,
        "the older program finds its own file"
    );
    let old = stored_files(dir.path()).unwrap().swap_remove(0);
    assert!(old.bytes > 0);
    delete_stored(&old).unwrap();
    assert_eq!(names(dir.path()), [("counter".to_owned(), 2, true)]);
    assert_eq!(stored_files(&dir.path().join("absent")).unwrap(), []);
}

#[tokio::test]
async fn two_runners_cannot_have_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=30));
    let runner = start(&log, &[&Arc::default()], options(dir.path())).await;
    runner.wait_all(Position(30), LONG).await.unwrap();
    let second: Arc<dyn View<Words>> = Arc::new(Counter::default());
    let store: Arc<dyn EventStore> = log.clone();
    let started = Runner::start(store, Words, vec![second], options(dir.path())).await;
    assert!(matches!(
        started,
        Err(StartError::Table(crate::TableError::AlreadyOpen(_)))
    ));
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=30)));
}

#[tokio::test]
async fn a_view_that_is_built_is_not_read_before_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, vec![event(1, "a"), event(2, "bad"), event(3, "b")]);
    let view = Arc::new(Counter {
        fails_at: Some("bad"),
        ..Counter::default()
    });
    let runner = start(&log, &[&view], options(dir.path())).await;
    let waited = runner.wait("counter", Position(1), LONG).await;
    assert!(
        matches!(
            waited,
            Err(crate::WaitError::Stopped {
                position: Position(2),
                ..
            })
        ),
        "{waited:?}"
    );
    assert!(runner.view("counter").unwrap().reader().is_err());
    runner.stop().await.unwrap();
    assert_eq!(names(dir.path()), [("counter".to_owned(), 1, false)]);
    assert_eq!(
        applied_again(&log, dir.path()).await,
        2,
        "what was built is kept"
    );
    assert_eq!(names(dir.path()), [("counter".to_owned(), 1, true)]);
}

#[tokio::test]
async fn rebuilt_equals_live_whatever_fits_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("aside.redb");
    let all = events(1..=20_000);
    let log = Log::new(LOG, all.clone());
    for overlay_bytes_max in [0, 2_000, usize::MAX] {
        for until in [20_000, 12_345, 0] {
            let seen = Arc::new(AtomicU64::new(0));
            let told = Arc::clone(&seen);
            let rebuilt = rebuild(
                Arc::<Log>::clone(&log),
                Arc::new(Words),
                Arc::new(Counter::default()),
                &path,
                Position(until),
                RebuildOptions {
                    overlay_bytes_max,
                    ..RebuildOptions::default()
                },
                move |progress| told.store(progress.events, Ordering::SeqCst),
            )
            .await
            .unwrap();
            let part = all.get(..usize::try_from(until).unwrap()).unwrap();
            assert_eq!(digest(&rebuilt.file.reader()).unwrap(), expected(part));
            assert_eq!(rebuilt.file.checkpoint().position, Position(until));
            assert_eq!(
                (rebuilt.events, seen.load(Ordering::SeqCst)),
                (until, until)
            );
        }
    }
}

#[tokio::test]
async fn a_rebuild_that_fails_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("counter.v1.redb");
    run(
        &Log::new(LOG, events(1..=30)),
        &[&Arc::default()],
        dir.path(),
    )
    .await;
    let log = Log::new(LOG, [events(1..=30), vec![event(31, "bad")]].concat());
    let rebuilt = rebuild(
        Arc::<Log>::clone(&log),
        Arc::new(Words),
        Arc::new(Counter {
            fails_at: Some("bad"),
            ..Counter::default()
        }),
        &path,
        Position(31),
        RebuildOptions::default(),
        |_| {},
    )
    .await;
    assert!(matches!(
        rebuilt,
        Err(StartError::Apply {
            position: Position(31),
            ..
        })
    ));
    assert_eq!(applied_again(&log, dir.path()).await, 1);
}

#[tokio::test]
async fn a_file_built_in_many_steps_is_as_small_as_one_loaded_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let words = (1..=20_000).map(|position| event(position, &format!("word {position}")));
    let log = Log::new(LOG, words.collect());
    let mut bytes = Vec::new();
    for overlay_bytes_max in [usize::MAX, 10_000] {
        let path = dir.path().join("counter.v1.redb");
        let rebuilt = rebuild(
            Arc::<Log>::clone(&log),
            Arc::new(Words),
            Arc::new(Counter::default()),
            &path,
            Position(20_000),
            RebuildOptions {
                overlay_bytes_max,
                ..RebuildOptions::default()
            },
            |_| {},
        );
        drop(rebuilt.await.unwrap());
        bytes.push(fs::metadata(&path).unwrap().len());
    }
    let [at_once, in_steps] = bytes.try_into().unwrap();
    assert!(in_steps <= at_once, "{in_steps} bytes, {at_once} at once");
}

#[tokio::test]
async fn what_a_crash_left_of_packing_is_deleted_and_the_file_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=50));
    run(&log, &[&Arc::default()], dir.path()).await;
    let left = dir.path().join("counter.v1.packed");
    fs::write(&left, b"half a file").unwrap();
    assert_eq!(applied_again(&log, dir.path()).await, 0);
    assert!(!left.exists());
    assert_eq!(names(dir.path()), [("counter".to_owned(), 1, true)]);
}

#[tokio::test]
async fn a_file_that_cannot_be_packed_is_served_as_it_was_built() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("counter.v1.redb");
    let mut file = ViewFile::begin(&path, &["rows"], LOG, 1 << 16).unwrap();
    let mut overlay = Overlay::new(1);
    overlay.set(0, b"key", Change::Put(b"row".as_slice().into()));
    file.commit(&mut overlay, Position(7), Synced::Yes).unwrap();
    // Something that no file can be made in place of.
    fs::create_dir(dir.path().join("counter.v1.packed")).unwrap();
    file.put_in_place().unwrap();
    assert!(!file.is_building() && path.exists());
    let row = |file: &ViewFile| {
        let reader = file.reader();
        let row = reader.get("rows", b"key").unwrap();
        (reader.checkpoint().position, row.map(|row| row.to_vec()))
    };
    assert_eq!(row(&file), (Position(7), Some(b"row".to_vec())));
    // It goes on, and opens again.
    overlay.set(0, b"key", Change::Put(b"other".as_slice().into()));
    file.commit(&mut overlay, Position(8), Synced::Yes).unwrap();
    drop(file);
    fs::remove_dir(dir.path().join("counter.v1.packed")).unwrap();
    let (file, opened) = ViewFile::open(&path, &["rows"], LOG, Position(9), 1 << 16).unwrap();
    assert_eq!(opened, OpenedAs::Existing);
    assert_eq!(row(&file), (Position(8), Some(b"other".to_vec())));
}

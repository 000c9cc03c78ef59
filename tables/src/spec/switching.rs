//! Views proved and made anew beside those that are served.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::names::{compared_path, file_path, previous_path, rebuilt_path};
use crate::{CareError, Kind, ViewState, WaitError};

/// The names of the files in a folder, in order.
fn files(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().into_owned()
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

fn previous(runner: &RunnerHandle) -> Option<Position> {
    runner.view("counter").unwrap().status().previous
}

async fn caught_up(runner: &RunnerHandle, position: u64) {
    runner
        .wait("counter", Position(position), LONG)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_view_that_is_made_anew_takes_the_place_of_the_one_that_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=9_000));
    let runner = start(&log, &[&Arc::default()], options(dir.path())).await;
    caught_up(&runner, 9_000).await;
    let before = runner.view("counter").unwrap().reader().unwrap();

    let switched = runner.rebuild("counter").await.unwrap();
    assert_eq!(switched.position, Position(9_000));
    assert!(switched.compared.equal());
    assert_eq!(
        switched.compared.folded,
        expected(&events(1..=9_000)),
        "what was compared is what the log gives"
    );
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=9_000)));
    assert_eq!(
        digest(&before).unwrap(),
        expected(&events(1..=9_000)),
        "who reads the earlier one reads on"
    );
    assert_eq!(runner.work().map(|work| work.view), None);
    assert_eq!(
        files(dir.path()),
        ["counter.v1.previous.redb", "counter.v1.redb"]
    );

    // Both follow from now on.
    log.push(events(9_001..=9_100));
    caught_up(&runner, 9_100).await;
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=9_100)));
    runner.stop().await.unwrap();
    let runner = start(&log, &[&Arc::default()], options(dir.path())).await;
    assert_eq!(
        previous(&runner),
        Some(Position(9_100)),
        "over a restart too"
    );
    assert_eq!(runner.go_back("counter").await.unwrap(), Position(9_100));
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=9_100)));
    assert_eq!(runner.go_back("counter").await.unwrap(), Position(9_100));

    runner.drop_previous("counter").await.unwrap();
    assert_eq!(
        (previous(&runner), files(dir.path())),
        (None, vec!["counter.v1.redb".to_owned()])
    );
    for nothing in [
        runner.go_back("counter").await.map(drop),
        runner.drop_previous("counter").await,
    ] {
        assert!(matches!(nothing, Err(CareError::NoPrevious("counter"))));
    }
    log.push(events(9_101..=9_200));
    caught_up(&runner, 9_200).await;
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=9_200)));
    runner.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_while_it_is_made_anew_finds_a_whole_view_that_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=5_000));
    let runner = start(&log, &[&Arc::default()], options(dir.path())).await;
    caught_up(&runner, 5_000).await;
    let done = Arc::new(AtomicBool::new(false));
    let (writing, written, followed) = (Arc::clone(&done), Arc::clone(&log), runner.clone());
    let writer = tokio::spawn(async move {
        let mut end = 5_000;
        // No more than is soon folded, however slow the machine is.
        while !writing.load(Ordering::Acquire) && end < 20_000 {
            written.push(events(end + 1..=end + 7));
            end += 7;
            caught_up(&followed, end).await;
        }
        end
    });
    let (reading, read) = (Arc::clone(&done), runner.clone());
    let reader = tokio::spawn(async move {
        let (mut last, mut seen) = (Position(5_000), 0_u64);
        while !reading.load(Ordering::Acquire) {
            let reader = read.view("counter").unwrap().reader().unwrap();
            let position = reader.checkpoint().position;
            assert!(position >= last, "{position} after {last}");
            // Every event is in one count and leaves its stream's latest word.
            let counts: u64 = reader
                .scan(ROWS, &crate::Span::all(), crate::Order::Ascending)
                .unwrap()
                .map(|row| u64::from_be_bytes(*row.unwrap().1.first_chunk().unwrap()))
                .sum();
            assert_eq!(counts, position.0);
            last = position;
            seen += 1;
            // On to the next commit, if there is one more.
            let next = Position(position.0 + 1);
            let _ = read.wait("counter", next, Duration::from_millis(100)).await;
        }
        seen
    });
    for _ in 0..3 {
        let switched = runner.rebuild("counter").await.unwrap();
        assert!(switched.compared.equal());
    }
    done.store(true, Ordering::Release);
    let end = writer.await.unwrap();
    assert!(reader.await.unwrap() > 0);
    caught_up(&runner, end).await;
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=end)));
    assert!(runner.verify("counter").await.unwrap().equal());
    runner.stop().await.unwrap();
}

/// A view whose rows depend on how often it was asked, which no view may.
#[derive(Default)]
struct Fickle(AtomicU64);

impl View<Words> for Fickle {
    fn name(&self) -> &'static str {
        "fickle"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS]
    }

    fn apply(&self, tx: &mut Tx<'_>, _: &RecordedEvent, word: &&str) -> Result<(), ApplyError> {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        Ok(tx.put(ROWS, word.as_bytes(), &asked.to_be_bytes())?)
    }
}

#[tokio::test]
async fn a_view_that_is_no_function_of_the_log_is_found_out_and_not_switched() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=100));
    let store: Arc<dyn EventStore> = log.clone();
    let views: Vec<Arc<dyn View<Words>>> = vec![Arc::new(Fickle::default())];
    let runner = Runner::start(store, Words, views, options(dir.path()))
        .await
        .unwrap();
    runner.wait("fickle", Position(100), LONG).await.unwrap();
    let served = rows(&runner, "fickle");
    let verified = runner.verify("fickle").await.unwrap();
    assert!(!verified.equal());
    assert_eq!(
        (verified.position, verified.served),
        (Position(100), served)
    );
    let error = runner.rebuild("fickle").await.unwrap_err();
    assert!(
        matches!(error, CareError::Differs { view: "fickle", .. }),
        "{error}"
    );
    assert_eq!(rows(&runner, "fickle"), served);
    assert_eq!(
        files(dir.path()),
        ["fickle.v1.redb"],
        "nothing stays behind"
    );
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn rows_that_are_not_what_the_log_gives_are_found_and_made_good() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=100));
    // Applied by code that has no use for some events, and by code that has.
    let mut all = events(1..=100);
    all.extend((101..=110).map(|position| event(position, "odd one")));
    log.push(all[100..].iter().cloned());
    let wrong = Arc::new(Counter {
        even: true,
        ..Counter::default()
    });
    let runner = start(&log, &[&wrong], options(dir.path())).await;
    caught_up(&runner, 110).await;
    runner.stop().await.unwrap();
    let runner = start(&log, &[&Arc::default()], options(dir.path())).await;
    let verified = runner.verify("counter").await.unwrap();
    assert!(!verified.equal());
    assert_eq!(verified.folded, expected(&all));
    let switched = runner.rebuild("counter").await.unwrap();
    assert_eq!(switched.compared.served, verified.served);
    assert_eq!(rows(&runner, "counter"), expected(&all));
    assert!(runner.verify("counter").await.unwrap().equal());
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_kill_left_of_a_rebuild_is_taken_away_and_what_is_served_stays() {
    let dir = tempfile::tempdir().unwrap();
    let served = file_path(dir.path(), "counter", 1);
    let log = Log::new(LOG, events(1..=40));
    let runner = start(&log, &[&Arc::default()], options(dir.path())).await;
    caught_up(&runner, 40).await;
    runner.rebuild("counter").await.unwrap();
    runner.stop().await.unwrap();
    // A file that was made and not yet served, one that was being made, and one to compare it with.
    fs::copy(&served, rebuilt_path(&served)).unwrap();
    fs::write(crate::names::building_path(&rebuilt_path(&served)), "half").unwrap();
    fs::copy(&served, compared_path(&served)).unwrap();
    let view = Arc::new(Counter::default());
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 40).await;
    assert_eq!(view.applied(), 0);
    assert_eq!(
        files(dir.path()),
        ["counter.v1.previous.redb", "counter.v1.redb"]
    );
    runner.stop().await.unwrap();
    // An earlier file that cannot be trusted is no way back.
    fs::write(previous_path(&served), "no file of rows").unwrap();
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 40).await;
    assert_eq!(previous(&runner), None);
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=40)));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_stopped_view_is_made_anew_as_far_as_it_came_and_one_in_memory_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=30));
    let failing = Arc::new(Counter {
        fails_at: Some("bad"),
        ..Counter::default()
    });
    let runner = start(&log, &[&failing], options(dir.path())).await;
    caught_up(&runner, 30).await;
    log.push([event(31, "bad"), event(32, "word 1")]);
    let stopped = runner.wait("counter", Position(31), LONG).await;
    assert!(stopped.is_err());
    // It is made as far as the served one stands, and takes its place; the event stands in the way of both.
    let switched = runner.rebuild("counter").await.unwrap();
    assert_eq!(switched.position, Position(30));
    let stopped = runner.wait("counter", Position(32), LONG).await;
    assert!(
        matches!(stopped, Err(WaitError::Stopped { position, .. }) if position == Position(31)),
        "{stopped:?}"
    );
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=30)));
    runner.stop().await.unwrap();

    let in_memory = start(&log, &[&Arc::default()], RunnerOptions::in_memory()).await;
    for refused in [
        in_memory.rebuild("counter").await.map(drop),
        in_memory.verify("counter").await.map(drop),
    ] {
        assert!(matches!(refused, Err(CareError::InMemory("counter"))));
    }
    assert!(matches!(
        in_memory.verify("nothing").await,
        Err(CareError::UnknownView(name)) if name == "nothing"
    ));
    in_memory.stop().await.unwrap();
    assert!(matches!(
        runner.rebuild("counter").await,
        Err(CareError::NotServed(_) | CareError::Closed)
    ));
    assert_eq!(
        runner.view("counter").unwrap().status().state,
        ViewState::Closed
    );
}

#[tokio::test]
async fn work_that_waits_its_turn_begins_when_the_other_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=30));
    let runner = start(&log, &[&Arc::default()], options(dir.path())).await;
    caught_up(&runner, 30).await;
    let first = runner.begin("counter", Kind::Verify).unwrap();
    assert!(matches!(
        runner.begin("counter", Kind::Rebuild).map(drop),
        Err(CareError::Busy("counter"))
    ));
    let mut second = std::pin::pin!(runner.begin_in_turn("counter", Kind::Rebuild));
    let waits = tokio::time::timeout(Duration::ZERO, &mut second).await;
    assert!(waits.is_err());
    let number = first.work().number;
    drop(first);
    let second = second.await.unwrap();
    assert!(second.work().number > number);
    drop(second);
    runner.stop().await.unwrap();
    assert!(matches!(
        runner
            .begin_in_turn("counter", Kind::Verify)
            .await
            .map(drop),
        Err(CareError::NotServed(_) | CareError::Closed)
    ));
}

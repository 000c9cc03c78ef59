//! A new version of a view, made beside the earlier one that is served, and the ways back and on.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::names::{building_path, compared_path, file_path, mark, rebuilt_path};
use crate::{CareError, Kind, Order, Span, StartError, ViewState, WaitError};

/// Counts words; the second version in rows of another shape, and keeps each stream's latest word as well.
#[derive(Clone, Default)]
struct Counts {
    version: u32,
    /// Has no code of the version before.
    alone: bool,
    /// The first version fails at events of this word.
    fails_at: Option<&'static str>,
    /// Rows depend on how often it was asked.
    fickle: bool,
    applied: Arc<AtomicU64>,
}

fn first() -> Counts {
    Counts {
        version: 1,
        ..Counts::default()
    }
}

fn second() -> Counts {
    Counts {
        version: 2,
        ..Counts::default()
    }
}

impl View<Words> for Counts {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn earlier(&self) -> Option<Arc<dyn View<Words>>> {
        let version = self.version.checked_sub(1)?;
        (version > 0 && !self.alone).then(|| -> Arc<dyn View<Words>> {
            Arc::new(Self {
                version,
                fickle: false,
                ..self.clone()
            })
        })
    }

    fn tables(&self) -> &'static [&'static str] {
        if self.version == 1 {
            &[ROWS]
        } else {
            &[ROWS, LATEST]
        }
    }

    fn letters_max(&self) -> usize {
        0
    }

    fn apply(&self, tx: &mut Tx<'_>, event: &RecordedEvent, word: &&str) -> Result<(), ApplyError> {
        let asked = self.applied.fetch_add(1, Ordering::SeqCst);
        if self.version == 1 {
            if self.fails_at == Some(word) {
                return Err(ApplyError::message("it does not like the word"));
            }
            let count = tx
                .get(ROWS, word.as_bytes())?
                .and_then(|row| row.first_chunk().copied());
            let count = count.map_or(0, u64::from_be_bytes) + 1;
            return Ok(tx.put(ROWS, word.as_bytes(), &count.to_be_bytes())?);
        }
        let row = tx.get(ROWS, word.as_bytes())?.map(|row| row.to_vec());
        let count = row.map_or(0, |row| text(&row)) + 1;
        let more = if self.fickle { asked } else { 0 };
        let row = format!(
            "{count} in all{}",
            " ".repeat(usize::try_from(more % 7).unwrap())
        );
        tx.put(ROWS, word.as_bytes(), row.as_bytes())?;
        Ok(tx.put(LATEST, event.stream().as_bytes(), word.as_bytes())?)
    }
}

/// The count of a row of the second version.
fn text(row: &[u8]) -> u64 {
    let row = std::str::from_utf8(row).unwrap();
    row.split_once(' ').unwrap().0.parse().unwrap()
}

async fn run(log: &Arc<Log>, view: Counts, dir: &Path) -> RunnerHandle {
    let store: Arc<dyn EventStore> = log.clone();
    let views: Vec<Arc<dyn View<Words>>> = vec![Arc::new(view)];
    let runner = Runner::start(store, Words, views, options(dir))
        .await
        .unwrap();
    let end = log.durable_position();
    runner.wait("counter", end, LONG).await.unwrap();
    runner
}

/// The version that is served, and where it stands; its rows are what that version makes of so many events, and all
/// events are in them.
fn served(runner: &RunnerHandle, log: &[RecordedEvent]) -> (u32, u64) {
    let view = runner.view("counter").unwrap();
    let reader = view.reader().unwrap();
    let (version, position) = (reader.version(), reader.checkpoint().position.0);
    assert_eq!((view.version(), view.status().version), (version, version));
    let code = Counts {
        version,
        ..Counts::default()
    };
    let mut fold = Fold::new(&code);
    fold.apply_all(&Words, &log[..usize::try_from(position).unwrap()])
        .unwrap();
    let folded = fold.into_reader(LOG);
    assert_eq!(folded.version(), version);
    assert_eq!(digest(&reader).unwrap(), digest(&folded).unwrap());
    (version, position)
}

fn files(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        name.strip_prefix("counter.").unwrap().to_owned()
    });
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

fn previous(runner: &RunnerHandle) -> Option<Position> {
    runner.view("counter").unwrap().status().previous
}

#[tokio::test]
async fn the_earlier_version_is_served_and_follows_until_the_new_one_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=9_300);
    let log = Log::new(LOG, all[..9_000].to_vec());
    run(&log, first(), dir.path()).await.stop().await.unwrap();

    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(served(&runner, &all), (1, 9_000));
    assert_eq!(runner.outdated(), ["counter"]);
    assert_eq!(previous(&runner), None);
    log.push(all[9_000..9_100].iter().cloned());
    runner.wait("counter", Position(9_100), LONG).await.unwrap();
    assert_eq!(served(&runner, &all), (1, 9_100), "it follows");
    let earlier = runner.view("counter").unwrap().reader().unwrap();

    let begun = runner
        .begin_in_turn("counter", Kind::Rebuild)
        .await
        .unwrap();
    assert_eq!(begun.work().version, 2);
    let switched = begun.rebuild().await.unwrap();
    drop(begun);
    assert_eq!(switched.position, Position(9_100));
    assert!(switched.compared.equal(), "two folds came to the same");
    assert_eq!(served(&runner, &all), (2, 9_100));
    assert_eq!(earlier.version(), 1, "who reads the earlier one reads on");
    assert_eq!(earlier.tables(), [ROWS]);
    assert_eq!(runner.outdated(), [""; 0]);
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb"]);

    // Both follow from now on, over a restart too, and nothing is folded again.
    log.push(all[9_100..9_200].iter().cloned());
    runner.wait("counter", Position(9_200), LONG).await.unwrap();
    assert_eq!(served(&runner, &all), (2, 9_200));
    drop(earlier);
    runner.stop().await.unwrap();
    let view = second();
    let runner = run(&log, view.clone(), dir.path()).await;
    assert_eq!(served(&runner, &all), (2, 9_200));
    assert_eq!(previous(&runner), Some(Position(9_200)));
    assert_eq!(view.applied.load(Ordering::SeqCst), 0);
    log.push(all[9_200..].iter().cloned());
    runner.wait("counter", Position(9_300), LONG).await.unwrap();
    assert_eq!(served(&runner, &all), (2, 9_300));
    assert!(runner.verify("counter").await.unwrap().equal());
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn going_back_to_the_earlier_version_and_on_again_stays_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=200);
    let log = Log::new(LOG, all[..100].to_vec());
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    let runner = run(&log, second(), dir.path()).await;
    runner.rebuild("counter").await.unwrap();
    assert_eq!(runner.go_back("counter").await.unwrap(), Position(100));
    assert_eq!(served(&runner, &all), (1, 100));
    assert!(
        runner.verify("counter").await.unwrap().equal(),
        "what is proved is what is served"
    );
    runner.stop().await.unwrap();

    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(served(&runner, &all), (1, 100));
    assert_eq!(runner.outdated(), [""; 0], "it is not made again by itself");
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb", "v2.rolled_back"]);
    log.push(all[100..150].iter().cloned());
    runner.wait("counter", Position(150), LONG).await.unwrap();
    assert_eq!(served(&runner, &all), (1, 150));
    assert_eq!(runner.go_back("counter").await.unwrap(), Position(150));
    assert_eq!(served(&runner, &all), (2, 150));
    runner.stop().await.unwrap();

    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(served(&runner, &all), (2, 150));
    assert_eq!(previous(&runner), Some(Position(150)));
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb"]);
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_version_that_is_dropped_is_not_followed_and_does_not_come_back_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=100);
    let log = Log::new(LOG, all.clone());
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    // The new one is taken back and given up: the earlier one stays.
    let runner = run(&log, second(), dir.path()).await;
    runner.rebuild("counter").await.unwrap();
    runner.go_back("counter").await.unwrap();
    runner.drop_previous("counter").await.unwrap();
    assert_eq!(files(dir.path()), ["v1.redb", "v2.rolled_back"]);
    runner.stop().await.unwrap();
    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(served(&runner, &all), (1, 100));
    assert_eq!((previous(&runner), runner.outdated()), (None, vec![]));
    // Until it is asked for.
    runner.rebuild("counter").await.unwrap();
    assert_eq!(served(&runner, &all), (2, 100));
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb"]);
    runner.drop_previous("counter").await.unwrap();
    assert_eq!(files(dir.path()), ["v2.redb"]);
    assert!(matches!(
        runner.go_back("counter").await,
        Err(CareError::NoPrevious("counter"))
    ));
    runner.stop().await.unwrap();
    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(served(&runner, &all), (2, 100));
    assert_eq!(previous(&runner), None);
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_version_that_was_taken_back_is_made_anew_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=100);
    let log = Log::new(LOG, all.clone());
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    let runner = run(&log, second(), dir.path()).await;
    runner.rebuild("counter").await.unwrap();
    runner.go_back("counter").await.unwrap();
    runner.rebuild("counter").await.unwrap();
    assert_eq!(served(&runner, &all), (2, 100));
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb"]);
    // Once more, of the same version: there is one file to go back to at most.
    runner.rebuild("counter").await.unwrap();
    assert_eq!(served(&runner, &all), (2, 100));
    assert_eq!(files(dir.path()), ["v2.previous.redb", "v2.redb"]);
    runner.go_back("counter").await.unwrap();
    assert_eq!(served(&runner, &all), (2, 100));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn an_older_program_finds_its_own_file_and_a_newer_one_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=130);
    let log = Log::new(LOG, all[..100].to_vec());
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    let runner = run(&log, second(), dir.path()).await;
    runner.rebuild("counter").await.unwrap();
    // Made anew by the older program, which keeps a file of its own to go back to.
    runner.stop().await.unwrap();
    log.push(all[100..120].iter().cloned());
    let older = first();
    let runner = run(&log, older.clone(), dir.path()).await;
    assert_eq!(served(&runner, &all), (1, 120));
    assert_eq!(older.applied.load(Ordering::SeqCst), 20);
    runner.rebuild("counter").await.unwrap();
    runner.stop().await.unwrap();
    log.push(all[120..].iter().cloned());
    let newer = second();
    let runner = run(&log, newer.clone(), dir.path()).await;
    assert_eq!(served(&runner, &all), (2, 130));
    runner.wait_live(LONG).await.unwrap();
    runner.stop().await.unwrap();
    assert_eq!(
        newer.applied.load(Ordering::SeqCst),
        30 + 10,
        "each version what it lacks"
    );
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb"]);
    // A program that has no code of the earlier version leaves its file alone.
    let alone = Counts {
        alone: true,
        ..second()
    };
    let runner = run(&log, alone, dir.path()).await;
    assert_eq!((served(&runner, &all), previous(&runner)), ((2, 130), None));
    runner.stop().await.unwrap();
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb"]);
}

#[tokio::test]
async fn the_file_that_the_earlier_version_went_back_to_goes_with_the_switch() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=100);
    let log = Log::new(LOG, all.clone());
    let runner = run(&log, first(), dir.path()).await;
    runner.rebuild("counter").await.unwrap();
    runner.stop().await.unwrap();
    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(previous(&runner), Some(Position(100)));
    assert_eq!(files(dir.path()), ["v1.previous.redb", "v1.redb"]);
    runner.rebuild("counter").await.unwrap();
    assert_eq!(files(dir.path()), ["v1.redb", "v2.redb"]);
    assert_eq!(served(&runner, &all), (2, 100));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn whatever_a_kill_left_one_whole_version_is_served_and_the_rest_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=100);
    let log = Log::new(LOG, all.clone());
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    let [old, new] = [1, 2].map(|version| file_path(dir.path(), "counter", version));
    // Killed while it was made, compared, and just before the switch.
    for left in [
        building_path(&rebuilt_path(&new)),
        rebuilt_path(&new),
        compared_path(&new),
        building_path(&compared_path(&new)),
        // As an older program, and one without code of the earlier version, leave it.
        rebuilt_path(&old),
        compared_path(&old),
        building_path(&new),
    ] {
        fs::write(&left, "half a file").unwrap();
        let runner = run(&log, second(), dir.path()).await;
        assert_eq!(served(&runner, &all), (1, 100), "{left:?}");
        assert_eq!(runner.outdated(), ["counter"]);
        runner.stop().await.unwrap();
        assert_eq!(files(dir.path()), ["v1.redb"], "{left:?}");
    }
    let runner = run(&log, second(), dir.path()).await;
    runner.rebuild("counter").await.unwrap();
    runner.stop().await.unwrap();
    // Taken back, made anew, and killed after it got its name: it is still taken back.
    mark(&new).unwrap();
    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(served(&runner, &all), (1, 100));
    assert_eq!(previous(&runner), Some(Position(100)));
    runner.go_back("counter").await.unwrap();
    runner.stop().await.unwrap();
    // A damaged new version is not served while the earlier one is whole.
    fs::write(&new, "no file of rows").unwrap();
    let runner = run(&log, second(), dir.path()).await;
    assert_eq!(served(&runner, &all), (1, 100));
    runner.rebuild("counter").await.unwrap();
    runner.stop().await.unwrap();
    // Nor is a damaged earlier one, were it taken back to a hundred times.
    mark(&new).unwrap();
    fs::write(&old, "no file of rows").unwrap();
    let runner = run(&log, second(), dir.path()).await;
    assert_eq!((served(&runner, &all), previous(&runner)), ((2, 100), None));
    runner.stop().await.unwrap();
    assert_eq!(files(dir.path()), ["v2.redb"]);
}

#[tokio::test]
async fn where_neither_version_is_whole_the_new_one_is_built_before_it_is_read() {
    for before in ["nothing", "another log"] {
        let dir = tempfile::tempdir().unwrap();
        let all = events(1..=100);
        if before == "another log" {
            let other = Log::new(LogId(Uuid::from_u128(2)), events(1..=30));
            run(&other, first(), dir.path()).await.stop().await.unwrap();
        }
        let log = Log::new(LOG, all.clone());
        let runner = run(&log, second(), dir.path()).await;
        assert_eq!(runner.view("counter").unwrap().version(), 2);
        runner.wait("counter", Position(100), LONG).await.unwrap();
        assert_eq!(served(&runner, &all), (2, 100), "{before}");
        assert_eq!(runner.outdated(), [""; 0]);
        runner.stop().await.unwrap();
        assert_eq!(files(dir.path()), ["v2.redb"], "{before}");
    }
    // In memory there is no earlier one.
    let log = Log::new(LOG, events(1..=10));
    let store: Arc<dyn EventStore> = log.clone();
    let views: Vec<Arc<dyn View<Words>>> = vec![Arc::new(second())];
    let runner = Runner::start(store, Words, views, RunnerOptions::in_memory())
        .await
        .unwrap();
    runner.wait("counter", Position(10), LONG).await.unwrap();
    assert_eq!(served(&runner, &events(1..=10)), (2, 10));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_version_mends_what_the_earlier_one_stopped_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = events(1..=30);
    all.extend([event(31, "bad"), event(32, "good")]);
    let log = Log::new(LOG, all[..30].to_vec());
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    let mending = Counts {
        fails_at: Some("bad"),
        ..second()
    };
    let runner = run(&log, mending.clone(), dir.path()).await;
    log.push(all[30..].iter().cloned());
    let stopped = runner.wait("counter", Position(31), LONG).await;
    assert!(matches!(stopped, Err(WaitError::Stopped { .. })));
    assert_eq!(served(&runner, &all), (1, 30));
    runner.rebuild("counter").await.unwrap();
    runner.wait("counter", Position(32), LONG).await.unwrap();
    assert_eq!(served(&runner, &all), (2, 32));
    let back = runner.go_back("counter").await.unwrap_err();
    assert!(matches!(back, CareError::Switch(_)), "{back}");
    assert_eq!(served(&runner, &all), (2, 32));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_version_that_is_no_function_of_the_log_is_not_switched_to() {
    let dir = tempfile::tempdir().unwrap();
    let all = events(1..=100);
    let log = Log::new(LOG, all.clone());
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    let fickle = Counts {
        fickle: true,
        ..second()
    };
    let runner = run(&log, fickle, dir.path()).await;
    let error = runner.rebuild("counter").await.unwrap_err();
    assert!(matches!(error, CareError::Differs { .. }), "{error}");
    assert_eq!(served(&runner, &all), (1, 100));
    assert_eq!(files(dir.path()), ["v1.redb"], "nothing stays behind");
    runner.stop().await.unwrap();
}

/// What says it is the version before, and is not.
struct Claims(Arc<dyn View<Words>>);

impl View<Words> for Claims {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn version(&self) -> u32 {
        2
    }

    fn earlier(&self) -> Option<Arc<dyn View<Words>>> {
        Some(Arc::clone(&self.0))
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS]
    }

    fn apply(&self, _: &mut Tx<'_>, _: &RecordedEvent, _: &&str) -> Result<(), ApplyError> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_no_earlier_version_is_refused() {
    let counter = |name, version| Counter {
        name: Some(name),
        version,
        ..Counter::default()
    };
    for wrong in [
        counter("counter", 2),
        counter("counter", 3),
        counter("other", 1),
    ] {
        let store: Arc<dyn EventStore> = Log::new(LOG, Vec::new());
        let views: Vec<Arc<dyn View<Words>>> = vec![Arc::new(Claims(Arc::new(wrong)))];
        let started = Runner::start(store, Words, views, RunnerOptions::in_memory()).await;
        assert!(matches!(started, Err(StartError::Views(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_meanwhile_finds_whole_rows_of_the_version_they_say_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=5_000));
    run(&log, first(), dir.path()).await.stop().await.unwrap();
    let runner = run(&log, second(), dir.path()).await;
    let done = Arc::new(AtomicBool::new(false));
    let (writing, written, followed) = (Arc::clone(&done), Arc::clone(&log), runner.clone());
    let writer = tokio::spawn(async move {
        let mut end = 5_000;
        // No more than is soon folded, however slow the machine is.
        while !writing.load(Ordering::Acquire) && end < 20_000 {
            written.push(events(end + 1..=end + 7));
            end += 7;
            followed.wait("counter", Position(end), LONG).await.unwrap();
        }
        end
    });
    let (reading, read) = (Arc::clone(&done), runner.clone());
    let reader = tokio::spawn(async move {
        let (mut last, mut seen) = (Position(5_000), [false; 3]);
        while !reading.load(Ordering::Acquire) || seen != [false, true, true] {
            let reader = read.view("counter").unwrap().reader().unwrap();
            let position = reader.checkpoint().position;
            assert!(position >= last, "{position} after {last}");
            let counts: u64 = reader
                .scan(ROWS, &Span::all(), Order::Ascending)
                .unwrap()
                .map(|row| row.unwrap().1.to_vec())
                .map(|row| match reader.version() {
                    1 => u64::from_be_bytes(row.try_into().unwrap()),
                    _ => text(&row),
                })
                .sum();
            assert_eq!(counts, position.0);
            last = position;
            seen[reader.version() as usize] = true;
            tokio::task::yield_now().await;
        }
    });
    // Both versions are seen, however the threads are scheduled: it stays at the last of them until then.
    for _ in 0..3 {
        runner.rebuild("counter").await.unwrap();
        runner.go_back("counter").await.unwrap();
        runner.go_back("counter").await.unwrap();
        runner.go_back("counter").await.unwrap();
    }
    let mut version = 1;
    while !reader.is_finished() {
        done.store(true, Ordering::Release);
        if let Ok(position) = runner.go_back("counter").await {
            version = 3 - version;
            assert!(position >= Position(5_000));
        }
        tokio::task::yield_now().await;
    }
    reader.await.unwrap();
    let end = writer.await.unwrap();
    runner.wait("counter", Position(end), LONG).await.unwrap();
    assert_eq!(served(&runner, &events(1..=end)), (version, end));
    assert_eq!(
        runner.view("counter").unwrap().status().state,
        ViewState::Live
    );
    runner.stop().await.unwrap();
}

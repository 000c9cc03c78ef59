//! Events that a view cannot apply: set aside with those that belong to them, tried again, done without, bounded.

use proptest::prelude::*;

use super::*;
use crate::{Letter, Reconsidered, Retry, SetAside, Skips, ViewState, WaitError, rebuild};

/// A view with room for so many letters, and a bug with the events of some streams.
fn with_a_bug(streams: &[&str], letters_max: usize) -> Arc<Counter> {
    Arc::new(Counter {
        letters_max,
        bug: Mutex::new(streams.iter().map(|&stream| stream.to_owned()).collect()),
        ..Counter::default()
    })
}

fn repair(view: &Counter) {
    view.bug.lock().clear();
}

fn letters(runner: &RunnerHandle) -> Vec<Letter> {
    let view = runner.view("counter").unwrap();
    view.letters(Position::START, usize::MAX)
}

fn set_aside(runner: &RunnerHandle) -> SetAside {
    runner.view("counter").unwrap().status().set_aside
}

async fn caught_up(runner: &RunnerHandle, position: u64) {
    runner
        .wait("counter", Position(position), LONG)
        .await
        .unwrap();
}

/// The events of all streams but this one.
fn without(events: &[RecordedEvent], stream: &str) -> Vec<RecordedEvent> {
    let others = events.iter().filter(|event| event.stream() != stream);
    others.cloned().collect()
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_is_set_aside_and_its_stream_waits_while_the_others_flow_on()
 {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=20));
    let view = with_a_bug(&["stream-2"], 100);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 20).await;
    runner.wait_live(LONG).await.unwrap();
    assert_eq!(
        rows(&runner, "counter"),
        expected(&without(&events(1..=20), "stream-2"))
    );
    let found = letters(&runner);
    let places: Vec<_> = found.iter().map(|letter| letter.position.0).collect();
    assert_eq!(places, [2, 7, 12, 17]);
    assert_eq!((&*found[0].stream, found[0].version), ("stream-2", 0));
    assert_eq!(&*found[0].event_type, "word.v1");
    assert_eq!(
        found[0].cause.as_deref(),
        Some("the view panicked: a bug with it")
    );
    assert_eq!(found[1].cause, None, "it waits");
    assert_eq!(
        set_aside(&runner),
        SetAside {
            failed: 1,
            waiting: 3
        }
    );
    let page = runner.view("counter").unwrap().letters(Position(2), 2);
    assert_eq!(page, found[1..3]);

    // Tried again with the same code, it fails again.
    let again = runner.reconsider("counter", Retry::All).await.unwrap();
    assert_eq!(
        again,
        Reconsidered {
            failed: 1,
            ..Reconsidered::default()
        }
    );
    assert_eq!(letters(&runner), found);
    // Of another than the one that failed, nothing is tried.
    let none = runner
        .reconsider("counter", Retry::One(Position(7)))
        .await
        .unwrap();
    assert_eq!(none, Reconsidered::default());

    repair(&view);
    let again = runner
        .reconsider("counter", Retry::One(Position(2)))
        .await
        .unwrap();
    assert_eq!(
        again,
        Reconsidered {
            applied: 4,
            ..Reconsidered::default()
        }
    );
    assert_eq!(letters(&runner), []);
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=20)));
    log.push(events(21..=40));
    caught_up(&runner, 40).await;
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=40)));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_set_aside_is_there_after_a_restart_and_tried_again_by_what_may_be_another_program()
 {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=30));
    let view = with_a_bug(&["stream-1", "stream-4"], 100);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 30).await;
    let found = letters(&runner);
    assert_eq!(found.len(), 12);
    runner.stop().await.unwrap();
    let runner = start(&log, &[&view], options(dir.path())).await;
    log.push(events(31..=40));
    caught_up(&runner, 40).await;
    assert_eq!(letters(&runner)[..12], found);
    assert_eq!(
        set_aside(&runner),
        SetAside {
            failed: 2,
            waiting: 14
        }
    );
    runner.stop().await.unwrap();

    repair(&view);
    let runner = start(&log, &[&view], options(dir.path())).await;
    // Asked for nothing, it has done what it does at its start.
    let nothing = runner.reconsider("counter", Retry::No).await.unwrap();
    assert_eq!(nothing, Reconsidered::default());
    assert_eq!(set_aside(&runner), SetAside::default());
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=40)));
    runner.stop().await.unwrap();
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 40).await;
    assert_eq!(set_aside(&runner), SetAside::default(), "gone for good");
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn those_that_wait_make_others_wait_by_all_of_their_keys() {
    let dir = tempfile::tempdir().unwrap();
    let told = vec![
        event(1, "with ann"),
        event(2, "with ann"),
        event(3, "with bob"),
        event(4, "with cat"),
        event(7, "with cat"),
        event(9, "a"),
    ];
    let log = Log::new(LOG, told.clone());
    let view = with_a_bug(&["stream-1"], 100);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 9).await;
    let waiting: Vec<_> = letters(&runner)
        .iter()
        .map(|letter| letter.position.0)
        .collect();
    // 2 shares ann with 1, 7 its stream with 2; 4 came before 7, and 9 is of its stream, which 7 has not.
    assert_eq!(waiting, [1, 2, 7]);
    log.push([event(14, "with cat")]);
    caught_up(&runner, 14).await;
    assert_eq!(letters(&runner).len(), 4, "cat waits since 7 does");
    repair(&view);
    runner.reconsider("counter", Retry::All).await.unwrap();
    assert_eq!(
        rows(&runner, "counter"),
        expected(&[told, vec![event(14, "with cat")]].concat())
    );
}

#[tokio::test]
async fn those_that_read_the_same_do_not_wait_for_each_other_but_for_who_writes_it() {
    let dir = tempfile::tempdir().unwrap();
    let told = vec![
        event(1, "beside ann"),
        event(2, "beside ann"),
        event(3, "with ann"),
        event(4, "beside ann"),
        event(5, "beside bob"),
    ];
    let log = Log::new(LOG, told.clone());
    let view = with_a_bug(&["stream-1"], 100);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 5).await;
    let waiting = letters(&runner);
    let waiting: Vec<_> = waiting.iter().map(|letter| letter.position.0).collect();
    assert_eq!(
        waiting,
        [1, 3, 4],
        "3 writes what 1 reads, 4 reads what 3 writes"
    );
    repair(&view);
    runner.reconsider("counter", Retry::All).await.unwrap();
    assert_eq!(rows(&runner, "counter"), expected(&told));
}

#[tokio::test]
async fn past_its_bound_a_view_stops_and_says_why_and_goes_on_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=10));
    let view = with_a_bug(&["stream-3"], 3);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 10).await;
    log.push(events(11..=30));
    let stopped = runner.wait("counter", Position(30), LONG).await;
    assert!(
        matches!(&stopped, Err(WaitError::Stopped { position: Position(18), cause, .. })
            if cause.contains("3 events are set aside already")),
        "{stopped:?}"
    );
    assert_eq!(letters(&runner).len(), 3);
    assert_eq!(
        rows(&runner, "counter"),
        expected(&without(&events(1..=17), "stream-3"))
    );
    // With the bug it stays where it is.
    let again = runner.reconsider("counter", Retry::All).await.unwrap();
    assert_eq!((again.applied, again.failed), (0, 1));
    let stopped = runner.wait("counter", Position(30), LONG).await;
    assert!(matches!(
        stopped,
        Err(WaitError::Stopped {
            position: Position(18),
            ..
        })
    ));
    repair(&view);
    runner.reconsider("counter", Retry::All).await.unwrap();
    caught_up(&runner, 30).await;
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=30)));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_view_does_without_an_event_once_the_log_says_so_and_so_does_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = events(1..=20);
    let log = Log::new(LOG, told.clone());
    let view = Arc::new(Counter {
        fails_at: Some("bad"),
        letters_max: 100,
        ..Counter::default()
    });
    let runner = start(&log, &[&view], options(dir.path())).await;
    let more = [
        event(21, "bad"),
        event(22, "word"),
        event(26, "word"),
        event(31, "bad"),
    ];
    log.push(more.clone());
    told.extend(more);
    caught_up(&runner, 31).await;
    assert_eq!(
        set_aside(&runner),
        SetAside {
            failed: 1,
            waiting: 2
        }
    );
    // Its own passing by is enough.
    log.push([event(33, "skip stream-1 4")]);
    told.push(event(33, "skip stream-1 4"));
    caught_up(&runner, 33).await;
    let left: Vec<_> = letters(&runner)
        .iter()
        .map(|letter| letter.position.0)
        .collect();
    assert_eq!(
        left,
        [31],
        "26 waits for nothing, 31 is tried and fails by itself"
    );
    log.push([event(34, "skip stream-1 6")]);
    told.push(event(34, "skip stream-1 6"));
    caught_up(&runner, 34).await;
    assert_eq!(letters(&runner), []);
    let kept: Vec<_> = told
        .into_iter()
        .filter(|event| event.data() != b"bad")
        .collect();
    assert_eq!(rows(&runner, "counter"), expected(&kept));
    assert!(runner.verify("counter").await.unwrap().equal());
    runner.rebuild("counter").await.unwrap();
    assert_eq!(rows(&runner, "counter"), expected(&kept));
    let store: Arc<dyn EventStore> = log.clone();
    let skips = Skips::read(&*store, &Words, ("counter", 1), Position(40))
        .await
        .unwrap();
    let mut fold = Fold::without(&*view, skips);
    fold.apply_all(&Words, &log.all()).unwrap();
    assert_eq!(digest(&fold.into_reader(LOG)).unwrap(), expected(&kept));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_view_that_stopped_before_an_event_goes_on_once_it_shall_do_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, vec![event(1, "a"), event(2, "bad"), event(3, "b")]);
    let view = Arc::new(Counter {
        fails_at: Some("bad"),
        ..Counter::default()
    });
    let runner = start(&log, &[&view], options(dir.path())).await;
    let stopped = runner.wait("counter", Position(3), LONG).await;
    assert!(matches!(
        stopped,
        Err(WaitError::Stopped {
            position: Position(2),
            ..
        })
    ));
    log.push([event(4, "skip stream-2 0")]);
    runner.reconsider("counter", Retry::No).await.unwrap();
    caught_up(&runner, 4).await;
    assert_eq!(
        rows(&runner, "counter"),
        expected(&[event(1, "a"), event(3, "b"), event(4, "skip stream-2 0")])
    );
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_full_view_shall_do_without_is_done_without_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=10));
    let view = with_a_bug(&["stream-3"], 3);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 10).await;
    log.push(events(11..=30));
    let stopped = runner.wait("counter", Position(30), LONG).await;
    assert!(matches!(
        stopped,
        Err(WaitError::Stopped {
            position: Position(18),
            ..
        })
    ));
    // Said, and nobody tells the view before it ends.
    log.push([event(41, "skip stream-3 0"), event(42, "skip stream-3 1")]);
    runner.stop().await.unwrap();
    let runner = start(&log, &[&view], options(dir.path())).await;
    // One after the other fails by itself now: 13, then those behind it.
    let stopped = runner.wait("counter", Position(42), LONG).await;
    assert!(
        matches!(
            stopped,
            Err(WaitError::Stopped {
                position: Position(28),
                ..
            })
        ),
        "{stopped:?}"
    );
    let found: Vec<_> = letters(&runner)
        .iter()
        .map(|letter| letter.position.0)
        .collect();
    assert_eq!(found, [13, 18, 23]);
    // What stands there is what a fold gives that does without the same, though it is said beyond.
    assert!(runner.verify("counter").await.unwrap().equal());
    runner.rebuild("counter").await.unwrap();
    let without = without(&events(1..=27), "stream-3");
    assert_eq!(rows(&runner, "counter"), expected(&without));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_view_that_goes_on_takes_the_log_from_no_other_that_is_further_behind() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=10));
    let stopping = |name, word| {
        Arc::new(Counter {
            name: Some(name),
            fails_at: Some(word),
            ..Counter::default()
        })
    };
    let (early, late) = (
        stopping("early", "first bad"),
        stopping("late", "second bad"),
    );
    let runner = start(&log, &[&early, &late], options(dir.path())).await;
    runner.wait_all(Position(10), LONG).await.unwrap();
    log.push([event(11, "first bad")]);
    log.push(events(12..=5_000));
    log.push([event(5_001, "second bad")]);
    log.push(events(5_002..=6_000));
    for view in ["early", "late"] {
        assert!(runner.wait(view, Position(6_000), LONG).await.is_err());
    }
    // The one that is far behind goes on, and then the other, while the first has not come far.
    log.push([
        event(6_002, "skip stream-1 2"),
        event(6_003, "skip stream-1 1000"),
    ]);
    let both = tokio::join!(
        runner.reconsider("early", Retry::No),
        runner.reconsider("late", Retry::No)
    );
    both.0.unwrap();
    both.1.unwrap();
    // Told by the same stream, the first does without both; the other one had applied the first of them.
    for (view, without) in [
        ("early", &["first bad", "second bad"][..]),
        ("late", &["second bad"]),
    ] {
        runner.wait(view, Position(6_003), LONG).await.unwrap();
        let applied = log
            .all()
            .into_iter()
            .filter(|event| without.iter().all(|word| event.data() != word.as_bytes()));
        let applied: Vec<_> = applied.collect();
        assert_eq!(rows(&runner, view), expected(&applied), "{view}");
    }
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_goes_back_to_a_file_that_has_applied_what_the_view_does_without() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=20));
    let view = with_a_bug(&[], 100);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 20).await;
    runner.rebuild("counter").await.unwrap();
    let previous = || runner.view("counter").unwrap().status().previous;
    assert_eq!(previous(), Some(Position(20)));
    log.push([event(21, "skip stream-2 0")]);
    caught_up(&runner, 21).await;
    // Both files have come there before an order is looked at.
    runner.reconsider("counter", Retry::No).await.unwrap();
    assert_eq!(previous(), None);
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_view_that_goes_on_far_behind_keeps_no_writer_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=10));
    let view = with_a_bug(&[], 0);
    let options = RunnerOptions {
        unapplied_events_max: 5_000,
        ..options(dir.path())
    };
    let runner = start(&log, &[&view], options).await;
    caught_up(&runner, 10).await;
    runner.wait_live(LONG).await.unwrap();
    view.bug.lock().insert("stream-1".to_owned());
    log.push(events(11..=20_000));
    assert!(
        runner
            .wait("counter", Position(20_000), LONG)
            .await
            .is_err()
    );
    repair(&view);
    runner.reconsider("counter", Retry::All).await.unwrap();
    assert!(
        runner.lag_events() < 5_000,
        "nobody waits for what is far behind"
    );
    caught_up(&runner, 20_000).await;
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=20_000)));
    runner.stop().await.unwrap();
}

#[tokio::test]
async fn a_view_that_is_made_anew_sets_aside_the_same_and_brings_it_along() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::new(LOG, events(1..=5_000));
    let view = with_a_bug(&["stream-2"], 2_000);
    let runner = start(&log, &[&view], options(dir.path())).await;
    caught_up(&runner, 5_000).await;
    let found = letters(&runner);
    assert_eq!(found.len(), 1_000);
    assert!(runner.rebuild("counter").await.unwrap().compared.equal());
    assert_eq!(letters(&runner), found);
    repair(&view);
    runner.reconsider("counter", Retry::All).await.unwrap();
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=5_000)));
    // What was served before was tried again with it.
    runner.go_back("counter").await.unwrap();
    assert_eq!(letters(&runner), []);
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=5_000)));
    runner.stop().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever breaks when, and however it is restarted and committed meanwhile: what is left in the end is what the
    /// log gives.
    #[test]
    fn repaired_and_tried_again_it_equals_a_fold(
        blocks in proptest::collection::vec((1..40_u64, 0..6_usize, any::<bool>()), 1..8),
        batch_events_max in 1..50_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let log = Log::new(LOG, Vec::new());
            let view = with_a_bug(&[], 1_000);
            let options = RunnerOptions { batch_events_max, ..options(dir.path()) };
            let mut runner = start(&log, &[&view], options.clone()).await;
            let mut end = 0;
            for (count, breaks, restarts) in blocks {
                // One of the five streams more, or one less.
                let stream = format!("stream-{breaks}");
                let was_there = view.bug.lock().remove(&stream);
                if !was_there {
                    view.bug.lock().insert(stream);
                }
                log.push(events(end + 1..=end + count));
                end += count;
                caught_up(&runner, end).await;
                if restarts {
                    runner.stop().await.unwrap();
                    runner = start(&log, &[&view], options.clone()).await;
                }
            }
            repair(&view);
            runner.reconsider("counter", Retry::All).await.unwrap();
            caught_up(&runner, end).await;
            assert_eq!(set_aside(&runner), SetAside::default());
            assert_eq!(rows(&runner, "counter"), expected(&events(1..=end)));
            assert!(matches!(
                runner.view("counter").unwrap().status().state,
                ViewState::Live | ViewState::CatchingUp
            ));
            runner.stop().await.unwrap();
            let path = dir.path().join("aside.redb");
            let store: Arc<dyn EventStore> = log.clone();
            let view: Arc<dyn View<Words>> = view;
            let made = rebuild(store, Arc::new(Words), view, &path, Position(end), crate::RebuildOptions::default(), |_| ());
            assert_eq!(digest(&made.await.unwrap().file.reader()).unwrap(), expected(&events(1..=end)));
        });
    }
}

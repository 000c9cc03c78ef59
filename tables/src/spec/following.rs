//! Following the log, stopping at what cannot be applied, waiting, making room.

use super::*;
use crate::{Order, Span, StartError, ViewState, WaitError};

fn state(runner: &RunnerHandle, view: &str) -> ViewState {
    runner.view(view).unwrap().status().state
}

#[tokio::test]
async fn follows_history_and_then_what_comes() {
    let log = Log::new(LOG, events(1..=100));
    let view = Arc::new(Counter::default());
    let runner = start(&log, &[&view], RunnerOptions::in_memory()).await;
    runner.wait("counter", Position(100), LONG).await.unwrap();
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=100)));
    for position in 101..=150 {
        log.push(events(position..=position));
        runner
            .wait("counter", Position(position), LONG)
            .await
            .unwrap();
        let reader = runner.view("counter").unwrap().reader().unwrap();
        assert_eq!(reader.checkpoint().position, Position(position));
        assert_eq!(reader.checkpoint().log_id, LOG);
    }
    assert_eq!(rows(&runner, "counter"), expected(&events(1..=150)));
    assert_eq!(view.applied(), 150);
    runner.wait_live(LONG).await.unwrap();
    assert_eq!(state(&runner, "counter"), ViewState::Live);
    assert_eq!(runner.lag_events(), 0);
    runner.stop().await.unwrap();
    assert_eq!(state(&runner, "counter"), ViewState::Closed);
    assert!(matches!(
        runner.view("counter").unwrap().reader(),
        Err(WaitError::Closed)
    ));
    assert_eq!(
        runner.wait("counter", Position(151), LONG).await,
        Err(WaitError::Closed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_are_the_same_in_batches_of_any_size_and_over_several_threads() {
    let all = events(1..=5_000);
    let expected = expected(&all);
    for (batch_events_max, overlay_bytes_max, apply_threads) in
        [(1, 1, 1), (700, 1, 4), (10_000, 128 << 20, 2)]
    {
        let options = RunnerOptions {
            batch_events_max,
            overlay_bytes_max,
            apply_threads,
            ..RunnerOptions::in_memory()
        };
        let views = ["one", "two", "three"].map(|name| {
            Arc::new(Counter {
                name: Some(name),
                ..Counter::default()
            })
        });
        let log = Log::new(LOG, Vec::new());
        let runner = start(&log, &views.each_ref(), options).await;
        for block in all.chunks(999) {
            log.push(block.iter().cloned());
        }
        runner.wait_all(Position(5_000), LONG).await.unwrap();
        for view in &views {
            assert_eq!(rows(&runner, view.name()), expected);
            assert_eq!(view.applied(), 5_000);
        }
        runner.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_does_not_move_with_the_view() {
    let log = Log::new(LOG, events(1..=10));
    let view = Arc::new(Counter::default());
    let runner = start(&log, &[&view], RunnerOptions::in_memory()).await;
    runner.wait_all(Position(10), LONG).await.unwrap();
    let reader = runner.view("counter").unwrap().reader().unwrap();
    log.push(events(11..=500));
    runner.wait_all(Position(500), LONG).await.unwrap();
    assert_eq!(digest(&reader).unwrap(), expected(&events(1..=10)));
    let mut ascending: Vec<_> = reader
        .scan(LATEST, &Span::prefix(b"at "), Order::Ascending)
        .unwrap()
        .map(|row| row.unwrap().0.to_vec())
        .collect();
    let descending: Vec<_> = reader
        .scan(LATEST, &Span::prefix(b"at "), Order::Descending)
        .unwrap()
        .map(|row| row.unwrap().0.to_vec())
        .collect();
    ascending.reverse();
    assert_eq!(ascending, descending);
    assert_eq!(ascending.len(), 5);
}

#[tokio::test]
async fn a_view_that_cannot_apply_an_event_stops_before_it_and_the_others_go_on() {
    let log = Log::new(LOG, events(1..=20));
    let failing = Arc::new(Counter {
        name: Some("failing"),
        fails_at: Some("bad"),
        ..Counter::default()
    });
    let panicking = Arc::new(Counter {
        name: Some("panicking"),
        panics_at: Some("bad"),
        ..Counter::default()
    });
    let sound = Arc::new(Counter::default());
    let dir = tempfile::tempdir().unwrap();
    let runner = start(&log, &[&failing, &panicking, &sound], options(dir.path())).await;
    runner.wait_all(Position(20), LONG).await.unwrap();
    log.push([event(21, "word 1"), event(22, "bad"), event(23, "word 2")]);
    runner.wait("counter", Position(23), LONG).await.unwrap();
    let before = [events(1..=20), vec![event(21, "word 1")]].concat();
    for (view, why) in [("failing", "does not like"), ("panicking", "a bug")] {
        let stopped = runner.wait(view, Position(22), LONG).await;
        assert!(
            matches!(&stopped, Err(WaitError::Stopped { position: Position(22), cause, .. }) if cause.contains(why)),
            "{stopped:?}"
        );
        assert!(matches!(
            state(&runner, view),
            ViewState::Stopped {
                position: Position(22),
                ..
            }
        ));
        assert_eq!(runner.applied(view), Some(Position(21)));
        assert_eq!(rows(&runner, view), expected(&before));
        assert_eq!(runner.wait(view, Position(21), LONG).await, Ok(()));
    }
    assert_eq!(
        runner.lag_events(),
        0,
        "stopped views keep no writer waiting"
    );
    runner.stop().await.unwrap();

    // Repaired, it goes on from where it stopped.
    let repaired = Arc::new(Counter {
        name: Some("failing"),
        ..Counter::default()
    });
    let runner = start(&log, &[&repaired], options(dir.path())).await;
    runner.wait_all(Position(23), LONG).await.unwrap();
    assert_eq!(
        rows(&runner, "failing"),
        expected(&[before, vec![event(22, "bad"), event(23, "word 2")]].concat())
    );
    assert_eq!(repaired.applied(), 2);
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_stops_only_the_views_that_want_it() {
    let odd = RecordedEvent::clone(&event(3, "odd"));
    let unreadable = event(4, "unreadable");
    let log = Log::new(LOG, vec![event(1, "a"), event(2, "b"), odd, unreadable]);
    let all = Arc::new(Counter {
        name: Some("all"),
        ..Counter::default()
    });
    let runner = start(&log, &[&all], RunnerOptions::in_memory()).await;
    let stopped = runner.wait("all", Position(4), LONG).await;
    assert!(matches!(
        stopped,
        Err(WaitError::Stopped {
            position: Position(4),
            ..
        })
    ));
    assert_eq!(all.applied(), 3);

    let log = Log::new(
        LOG,
        vec![event(1, "a"), event(2, "odd unreadable"), event(3, "b")],
    );
    let even = Arc::new(Counter {
        name: Some("even"),
        even: true,
        ..Counter::default()
    });
    let runner = start(&log, &[&even], RunnerOptions::in_memory()).await;
    runner.wait("even", Position(3), LONG).await.unwrap();
    assert_eq!(even.applied(), 2);
}

#[tokio::test]
async fn waiting_ends_with_its_time() {
    let log = Log::new(LOG, events(1..=3));
    let view = Arc::new(Counter::default());
    let runner = start(&log, &[&view], RunnerOptions::in_memory()).await;
    runner.wait_all(Position(3), LONG).await.unwrap();
    let waited = runner
        .wait("counter", Position(4), Duration::from_millis(1))
        .await;
    assert_eq!(
        waited,
        Err(WaitError::Timeout {
            view: "counter",
            applied: Position(3)
        })
    );
    let unknown = runner.wait("nothing", Position(1), LONG).await;
    assert_eq!(unknown, Err(WaitError::UnknownView("nothing".to_owned())));
}

/// A view that stands still until it is let go.
struct Gate(Arc<Mutex<()>>);

impl View<Words> for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS]
    }

    fn apply(
        &self,
        _tx: &mut Tx<'_>,
        _event: &RecordedEvent,
        _word: &&str,
    ) -> Result<(), ApplyError> {
        drop(self.0.lock());
        Ok(())
    }
}

#[tokio::test]
#[expect(
    clippy::await_holding_lock,
    reason = "the lock is what holds the view up; no task waits for it"
)]
async fn writers_wait_while_a_live_view_is_too_far_behind() {
    let log = Log::new(LOG, events(1..=5));
    let gate = Arc::new(Mutex::new(()));
    let store: Arc<dyn EventStore> = log.clone();
    let options = RunnerOptions {
        unapplied_events_max: 10,
        ..RunnerOptions::in_memory()
    };
    let runner = Runner::start(
        store,
        Words,
        vec![Arc::new(Gate(Arc::clone(&gate)))],
        options,
    )
    .await
    .unwrap();
    runner.wait_all(Position(5), LONG).await.unwrap();
    runner.wait_live(LONG).await.unwrap();
    runner.room().await;
    let held = gate.lock();
    log.push(events(6..=14));
    runner.room().await;
    log.push(events(15..=15));
    assert_eq!(runner.lag_events(), 10);
    let waiting = tokio::time::timeout(Duration::from_millis(20), runner.room()).await;
    assert!(waiting.is_err(), "there is no room for more");
    drop(held);
    tokio::time::timeout(LONG, runner.room()).await.unwrap();
    runner.wait_all(Position(15), LONG).await.unwrap();
}

#[tokio::test]
async fn refuses_views_that_cannot_stand_together() {
    let log = Log::new(LOG, Vec::new());
    for names in [&["a", "a"][..], &["A"], &["a/b"], &[""], &["_meta"], &[]] {
        let views = names.iter().map(|name| -> Arc<dyn View<Words>> {
            Arc::new(Counter {
                name: Some(name),
                ..Counter::default()
            })
        });
        let store: Arc<dyn EventStore> = log.clone();
        let started =
            Runner::start(store, Words, views.collect(), RunnerOptions::in_memory()).await;
        assert!(matches!(started, Err(StartError::Views(_))), "{names:?}");
    }
}

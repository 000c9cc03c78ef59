//! A planted bug in every view, with the events of one stream of a random history from a random moment on: only what
//! conflicts with them waits, the rest stays current, over restarts; repaired and tried again, a view is what a
//! rebuild makes of the log. A view that may set nothing aside stops before the first of them, and goes on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, Position, RecordedEvent};
use projections::DomainCodec;
use proptest::prelude::*;
use proptest::sample::Index;
use tables::{Digest, Retry, Runner, RunnerHandle, RunnerOptions, View, WaitError, digest};
use tests::buggy::{Bug, Failing};
use tests::views::Log;
use tests::views::acts::{run, steps};

use crate::audit_views::open_cases;
use crate::college_replay::every_view;

const LONG: Duration = Duration::from_mins(1);

type Views = Vec<Arc<dyn View<DomainCodec>>>;

async fn start(log: &Arc<Log>, views: Views, dir: &Path, batch: usize) -> RunnerHandle {
    let options = RunnerOptions {
        batch_events_max: batch,
        cache_bytes: 1 << 20,
        ..RunnerOptions::in_dir(dir)
    };
    let store = Arc::clone(log) as Arc<dyn EventStore>;
    let runner = Runner::start(store, DomainCodec, views, options);
    runner.await.unwrap()
}

/// The rows that a view makes of these events.
fn folded(view: &dyn View<DomainCodec>, events: &[RecordedEvent]) -> Digest {
    let rows = tables::testing::fold(&DomainCodec, view, events);
    digest(&rows.unwrap()).unwrap()
}

fn rows(runner: &RunnerHandle, view: &str) -> Digest {
    digest(&runner.view(view).unwrap().reader().unwrap()).unwrap()
}

/// Every view is current but for what the bug keeps from it.
async fn all_else_is_current(runner: &RunnerHandle, bug: &Bug, events: &[RecordedEvent]) {
    let end = events.last().unwrap().position();
    for view in every_view() {
        let name = view.name();
        let aside = bug.sets_aside(&*view, events);
        let reached = runner.wait(name, end, LONG).await;
        if view.letters_max() == 0
            && let Some(first) = aside.first()
        {
            let stopped =
                matches!(&reached, Err(WaitError::Stopped { position, .. }) if position == first);
            assert!(stopped, "{name}: {reached:?}, not stopped at {first}");
            // Of one that stopped while it was first built, nobody is shown a half.
            if let Ok(shown) = runner.view(name).unwrap().reader() {
                let before = events.partition_point(|event| event.position() < *first);
                let before = folded(&*view, &events[..before]);
                assert_eq!(digest(&shown).unwrap(), before, "{name} before {first}");
            }
            continue;
        }
        reached.unwrap();
        let letters = runner
            .view(name)
            .unwrap()
            .letters(Position::START, usize::MAX);
        let found: BTreeSet<Position> = letters.iter().map(|letter| letter.position).collect();
        assert_eq!(found, aside, "what {name} has set aside");
        let others = events
            .iter()
            .filter(|event| !aside.contains(&event.position()));
        let others: Vec<RecordedEvent> = others.cloned().collect();
        assert_eq!(
            rows(runner, name),
            folded(&*view, &others),
            "{name} without them"
        );
    }
}

fn failing() -> impl Strategy<Value = Failing> {
    prop::sample::select(vec![
        Failing::Says,
        Failing::Panics,
        Failing::SaysLate,
        Failing::PanicsLate,
    ])
}

/// A bug with one of the conversations, one of the members or the rules, if there is any, from a share of the log on.
fn bug_with_one(events: &[RecordedEvent], which: Index, from: u64, failing: Failing) -> Bug {
    let streams: BTreeSet<&str> = events
        .iter()
        .map(RecordedEvent::stream)
        .filter(|stream| {
            ["conversation", "member", "policy"].contains(&stream.split('-').next().unwrap())
        })
        .collect();
    let streams: Vec<&str> = streams.into_iter().collect();
    let from = Position(events.len() as u64 * from / 100);
    let stream = if streams.is_empty() {
        "conversation-of-nobody"
    } else {
        which.get::<&str>(&streams)
    };
    Bug::with(stream, from, failing)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_bug_with_one_stream_keeps_what_conflicts_with_it_alone_and_repaired_the_views_are_as_rebuilt(
        steps in steps(), which in any::<Index>(), from in 0..100_u64,
        cuts in prop::array::uniform2(0..100_usize), failing in failing(), batch in 1..40_usize,
        restarts in any::<bool>(),
    ) {
        let mut world = run(&steps);
        open_cases(&mut world);
        let events = world.events().to_vec();
        let bug = bug_with_one(&events, which, from, failing);
        // What is there when the bug comes to it, when it is repaired, and afterwards.
        let mut cuts = cuts.map(|share| 1 + (events.len() - 1) * share / 100);
        cuts.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let log = Log::of(events[..cuts[0]].to_vec());
            let views = || bug.in_all(every_view());
            let mut runner = start(&log, views(), dir.path(), batch).await;
            all_else_is_current(&runner, &bug, &events[..cuts[0]]).await;
            if restarts {
                runner.stop().await.unwrap();
                runner = start(&log, views(), dir.path(), batch).await;
            }
            log.grow(events[cuts[0]..cuts[1]].to_vec());
            all_else_is_current(&runner, &bug, &events[..cuts[1]]).await;
            bug.repair();
            if restarts {
                runner.stop().await.unwrap();
                runner = start(&log, views(), dir.path(), batch).await;
            }
            for view in runner.views() {
                runner.reconsider(view.name(), Retry::All).await.unwrap();
                assert_eq!(view.letters(Position::START, usize::MAX), [], "{}", view.name());
            }
            log.grow(events[cuts[1]..].to_vec());
            runner.wait_all(Position(events.len() as u64), LONG).await.unwrap();
            for view in every_view() {
                assert_eq!(rows(&runner, view.name()), folded(&*view, &events), "{}", view.name());
            }
            // And one of them in a file made anew, as an operator does.
            let one = which.get(runner.views()).name();
            assert!(runner.verify(one).await.unwrap().equal(), "{one}");
            runner.stop().await.unwrap();
        });
    }
}

//! What a crash leaves: every acknowledged append is found again, and nothing half.
//!
//! The store runs on a file system in memory that fails at a chosen operation and loses what was not
//! synced, in whole, in part or by chance; and on one whose last batch is cut at every byte.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_store::faults::{FaultyBackend, Survives};
use event_store::{
    AppendError, EmbeddedStore, EventStore, ExpectedVersion, OpenError, OutcomeUnknown, Position,
    ReadError, conformance,
};
use tests::store::{DATA_DIR, Model, event, log_file, open_small, stream};

/// What the scenario does where the disk is full.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    Stop,
    TryAgain,
}

/// Appends in groups over two sessions until something fails; gives the position acknowledged.
async fn scenario(backend: &FaultyBackend, model: &mut Model, when_full: WhenFull) -> u64 {
    let mut acknowledged = 0;
    let mut number = 0;
    for _ in 0..2 {
        let Ok(store) = open_small(backend) else {
            return acknowledged;
        };
        for group in 0..6_u64 {
            let mut tickets = Vec::new();
            for of_group in 0..3_u64 {
                let size = 100 + 37 * usize::try_from(number % 31).unwrap();
                let events = (0..=of_group).map(|n| event(number + n, size)).collect();
                number += of_group + 1;
                let append = model.append(&stream(group % 4 + 10 * of_group), events);
                let ticket = loop {
                    let placed = if (group + of_group).is_multiple_of(2) {
                        store.append(append.clone()).await
                    } else {
                        store.append_alone(append.clone()).await
                    };
                    match placed {
                        Err(AppendError::StorageFull) if when_full == WhenFull::TryAgain => {
                            tokio::task::yield_now().await;
                        }
                        ticket => break ticket,
                    }
                };
                match ticket {
                    Ok(ticket) => tickets.push(ticket),
                    Err(_) => return acknowledged,
                }
            }
            for ticket in tickets {
                match ticket.durable().await {
                    Ok(position) => acknowledged = acknowledged.max(position.0),
                    Err(OutcomeUnknown) => return acknowledged,
                }
            }
        }
    }
    acknowledged
}

/// Opens what a crash left and compares it; then goes on writing.
async fn check(left: &FaultyBackend, model: &Model, acknowledged: u64, case: &str) {
    let store = open_small(left).unwrap_or_else(|error| panic!("{case}: {error}"));
    let found = store.durable_position().0;
    assert!(
        found >= acknowledged,
        "{case}: {acknowledged} acknowledged, {found} found"
    );
    let mut model = model.clone();
    assert!(
        model.cut(usize::try_from(found).unwrap()),
        "{case}: half an append"
    );
    model.compare(&store).await;
    for number in 0..3 {
        let append = model.append(&stream(3), vec![event(1_000 + number, 50)]);
        store.append(append).await.unwrap().durable().await.unwrap();
    }
    model.compare(&store).await;
    store
        .verify()
        .unwrap_or_else(|error| panic!("{case}: {error}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_acknowledged_append_whichever_operation_fails() {
    let whole = FaultyBackend::new();
    let acknowledged = scenario(&whole, &mut Model::default(), WhenFull::Stop).await;
    assert_eq!(
        acknowledged, 72,
        "the scenario runs through where nothing fails"
    );
    let operations = whole.operations();
    for fails in 1..=operations + 5 {
        let backend = FaultyBackend::new();
        backend.fail_from(fails, ErrorKind::Other);
        let mut model = Model::default();
        let acknowledged = scenario(&backend, &mut model, WhenFull::Stop).await;
        for survives in [
            Survives::Nothing,
            Survives::Everything,
            Survives::Chance(fails),
            Survives::Chance(fails + 7_000),
            Survives::Chance(fails + 90_000),
        ] {
            let case = format!("operation {fails} of {operations}, {survives:?}");
            check(&backend.power_loss(survives), &model, acknowledged, &case).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_every_acknowledged_append_when_one_operation_fails_and_the_next_succeed() {
    let whole = FaultyBackend::new();
    scenario(&whole, &mut Model::default(), WhenFull::Stop).await;
    let operations = whole.operations();
    for fails in 1..=operations + 5 {
        let backend = FaultyBackend::new();
        backend.fail_once(fails, ErrorKind::StorageFull);
        let mut model = Model::default();
        let acknowledged = scenario(&backend, &mut model, WhenFull::TryAgain).await;
        for survives in [Survives::Nothing, Survives::Chance(fails)] {
            let case = format!("operation {fails} of {operations} alone, {survives:?}");
            check(&backend.power_loss(survives), &model, acknowledged, &case).await;
        }
    }
}

#[tokio::test]
async fn a_new_log_survives_a_loss_of_power_with_all_its_folders() {
    // Whoever made a folder may have ended before it was durable.
    for ended_after in 0..8 {
        let backend = FaultyBackend::new();
        let dir = "/made/here/data";
        let mut options = tests::store::options(Arc::new(backend.clone()));
        if ended_after > 0 {
            backend.fail_from(ended_after, ErrorKind::Other);
            assert!(EmbeddedStore::open(dir, options.clone()).is_err());
            backend.fail_from(u64::MAX, ErrorKind::Other);
        }
        let store = EmbeddedStore::open(dir, options.clone()).unwrap();
        let mut model = Model::default();
        let append = model.append(&stream(0), vec![event(0, 10)]);
        store.append(append).await.unwrap().durable().await.unwrap();
        options.backend = Arc::new(backend.power_loss(Survives::Nothing));
        model
            .compare(&EmbeddedStore::open(dir, options).unwrap())
            .await;
    }
}

#[tokio::test]
async fn keeps_every_acknowledged_append_when_power_fails_between_groups() {
    for groups in 0..12_u64 {
        let backend = FaultyBackend::new();
        let mut model = Model::default();
        let store = open_small(&backend).unwrap();
        let mut acknowledged = 0;
        for number in 0..groups * 4 {
            let append = model.append(&stream(number % 5), vec![event(number, 700)]);
            acknowledged = store
                .append(append)
                .await
                .unwrap()
                .durable()
                .await
                .unwrap()
                .0;
        }
        for seed in 0..20 {
            let left = backend.power_loss(Survives::Chance(seed));
            check(
                &left,
                &model,
                acknowledged,
                &format!("{groups} groups, seed {seed}"),
            )
            .await;
        }
    }
}

/// A log without and with its last batch, of three appends: the segment, its bytes before and after,
/// and where the batch begins.
async fn last_batch() -> (FaultyBackend, FaultyBackend, Model, PathBuf, usize) {
    let backend = FaultyBackend::new();
    let mut model = Model::default();
    let store = open_small(&backend).unwrap();
    for number in 0..5 {
        let append = model.append(&stream(number % 2), vec![event(number, 60)]);
        store.append(append).await.unwrap().durable().await.unwrap();
    }
    let before = backend.power_loss(Survives::Everything);
    let mut whole = model.clone();
    let events = (10..13).map(|number| event(number, 40)).collect();
    let append = whole.append(&stream(1), events);
    store.append(append).await.unwrap().durable().await.unwrap();
    let after = backend.power_loss(Survives::Everything);
    let path = log_file("00000000000000000001.seg");
    let (a, b) = (&before.files()[&path], &after.files()[&path]);
    let begins = a.iter().zip(b).position(|(a, b)| a != b).unwrap();
    (before, after, model, path, begins)
}

#[tokio::test]
async fn ends_before_the_last_batch_wherever_it_is_cut() {
    let (before, after, model, path, begins) = last_batch().await;
    let whole = after.files()[&path].clone();
    let ends = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for cut in begins..ends {
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        let left = before.power_loss(Survives::Everything);
        left.put(&path, bytes.clone());
        let found = event_store::verify_with(&left, DATA_DIR.as_ref()).unwrap();
        assert_eq!(found.events, 5);

        let store = open_small(&left).unwrap();
        assert_eq!(store.durable_position(), Position(5), "cut at byte {cut}");
        let torn = store.recovery().torn.clone();
        let nonzero = bytes[begins..]
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |n| n + 1);
        if nonzero == 0 {
            assert_eq!(torn, None);
        } else {
            let torn = torn.unwrap();
            assert_eq!((torn.file, torn.offset), (path.clone(), begins as u64));
            let kept_in = torn.kept_in.unwrap();
            assert_eq!(kept_in, log_file("torn-6"));
            assert_eq!(left.files()[&kept_in], bytes[begins..begins + nonzero]);
            assert!(
                left.files()[&path][begins..].iter().all(|byte| *byte == 0),
                "zeroed"
            );
        }
        let mut model = model.clone();
        model.compare(&store).await;
        let append = model.append(&stream(0), vec![event(99, 10)]);
        store.append(append).await.unwrap().durable().await.unwrap();
        drop(store);
        let store = open_small(&left).unwrap();
        assert!(store.recovery().clean);
        model.compare(&store).await;
    }
}

#[tokio::test]
async fn refuses_a_log_whose_acknowledged_batch_is_cut() {
    let (_, after, _, path, begins) = last_batch().await;
    let whole = after.files()[&path].clone();
    let ends = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for cut in begins..ends {
        let left = after.power_loss(Survives::Everything);
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        left.put(&path, bytes);
        let files = left.files();
        let Err(error) = open_small(&left) else {
            panic!("opened with its last batch cut at byte {cut}")
        };
        assert_told(&error, &path, begins..ends);
        assert_eq!(left.files(), files, "nothing was changed");
        let verified = event_store::verify_with(&left, DATA_DIR.as_ref()).unwrap_err();
        assert_eq!(verified.to_string(), error.to_string());
    }
}

#[tokio::test]
async fn refuses_a_log_with_damage_before_a_batch_that_checks() {
    // Without the mark, what is behind the damage tells it from a torn tail.
    let (before, _, _, path, _) = last_batch().await;
    let whole = before.files()[&path].clone();
    let begins = 64;
    let second = (begins + 4..whole.len())
        .find(|at| whole[*at..].starts_with(b"DSB1"))
        .unwrap();
    for at in begins..second {
        let left = before.power_loss(Survives::Everything);
        left.put(&log_file("mark"), vec![0; 128]);
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        left.put(&path, bytes);
        let Err(error) = open_small(&left) else {
            panic!("opened with byte {at} changed")
        };
        assert_told(&error, &path, begins..second);
    }
}

/// Damage is told with its record, or the beginning of its batch, and then the batch in words.
#[track_caller]
fn assert_told(error: &OpenError, path: &Path, batch: Range<usize>) {
    let OpenError::Damaged { file, offset, what } = error else {
        panic!("{error}")
    };
    assert_eq!(file, path);
    assert!(
        batch.contains(&usize::try_from(*offset).unwrap()),
        "{error}"
    );
    let begins = format!("byte {}", batch.start);
    assert!(
        *offset == batch.start as u64 || what.contains(&begins),
        "{error}"
    );
}

#[tokio::test]
async fn keeps_torn_tails_of_the_same_position_apart() {
    let (before, _, _, path, begins) = last_batch().await;
    let left = before.power_loss(Survives::Everything);
    for (round, name) in ["torn-6", "torn-6.2", "torn-6.3"].into_iter().enumerate() {
        let mut bytes = left.files()[&path].clone();
        bytes[begins..begins + 9].copy_from_slice(b"not a log");
        left.put(&path, bytes);
        let store = open_small(&left).unwrap();
        assert_eq!(
            store.recovery().torn.as_ref().unwrap().kept_in,
            Some(log_file(name)),
            "{round}"
        );
        drop(store);
        assert_eq!(left.files()[&log_file(name)], b"not a log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_when_a_sync_fails_and_retries_nothing() {
    ends_at_a_failed_sync(false).await;
    ends_at_a_failed_sync(true).await;
}

/// Appends until one was written by this very thread, which takes a moment while the writer's lets go of the log.
async fn until_written_here(store: &EmbeddedStore, model: &mut Model, writers: &Writers) {
    let here = std::thread::current().id();
    for number in 0..100_000 {
        let append = model.append(&stream(0), vec![event(100 + number, 10)]);
        store
            .append_alone(append)
            .await
            .unwrap()
            .durable()
            .await
            .unwrap();
        if *writers.lock().unwrap() == Some(here) {
            return;
        }
    }
    panic!("no append made alone was written by its caller");
}

/// Who wrote the last batch.
type Writers = Arc<std::sync::Mutex<Option<std::thread::ThreadId>>>;

/// The append whose sync fails is written by the writer's thread, or by the caller's own.
async fn ends_at_a_failed_sync(alone: bool) {
    let backend = FaultyBackend::new();
    let fatal = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&fatal);
    let writers = Writers::default();
    let wrote = Arc::clone(&writers);
    let mut options = tests::store::options(std::sync::Arc::new(backend.clone()));
    // So large that the thread that makes room for the log has nothing to do beside the writer.
    options.segment_bytes = 64 * 1024 * 1024;
    options.on_fatal = std::sync::Arc::new(move |what| {
        let thread = std::thread::current();
        told.lock()
            .unwrap()
            .push((thread.name().map(str::to_owned), what.to_owned()));
    });
    options.observer = Some(Arc::new(move |_| {
        *wrote.lock().unwrap() = Some(std::thread::current().id());
    }));
    let store = event_store::EmbeddedStore::open(DATA_DIR, options).unwrap();
    let mut model = Model::default();
    let append = model.append(&stream(0), vec![event(0, 10)]);
    store.append(append).await.unwrap().durable().await.unwrap();
    if alone {
        until_written_here(&store, &mut model, &writers).await;
    }
    let durable = store.durable_position();
    let mut subscription = store.subscribe(durable).await.unwrap();
    let mut changes = store.durable_changes();
    changes.borrow_and_update();

    // The next operation is the write, the one after it the sync.
    backend.fail_from(backend.operations() + 2, ErrorKind::Other);
    let append = model.append(&stream(0), vec![event(1, 10)]);
    let first = if alone {
        store.append_alone(append).await.unwrap()
    } else {
        store.append(append).await.unwrap()
    };
    assert_eq!(first.durable().await, Err(OutcomeUnknown));
    assert_eq!(subscription.next().await, Err(ReadError::Closed));
    assert!(changes.changed().await.is_err());
    let after = conformance::append_of(&stream(9), ExpectedVersion::NoStream, vec![event(5, 10)]);
    assert_eq!(store.append(after).await.unwrap_err(), AppendError::Closed);
    assert_eq!(
        store.wait_durable(Position(durable.0 + 1)).await,
        Err(OutcomeUnknown)
    );
    let operations = backend.operations();

    // What was durable still reads.
    assert_eq!(store.durable_position(), durable);
    assert_eq!(
        store
            .read_one(&stream(0), 0)
            .await
            .unwrap()
            .unwrap()
            .event_id(),
        event(0, 1).event_id
    );
    store.close();
    let fatal = std::mem::take(&mut *fatal.lock().unwrap());
    let threads: Vec<_> = fatal.iter().map(|(thread, _)| thread.as_deref()).collect();
    assert_eq!(
        threads,
        [Some("log-writer")],
        "no caller stands still for the end"
    );
    assert_eq!(backend.operations(), operations, "nothing was tried again");
    check(
        &backend.power_loss(Survives::Nothing),
        &model,
        durable.0,
        "nothing survives",
    )
    .await;
    check(
        &backend.power_loss(Survives::Everything),
        &model,
        durable.0,
        "everything survives",
    )
    .await;
}

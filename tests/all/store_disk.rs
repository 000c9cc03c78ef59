//! The folder and its disk: one process to a folder, missing rights, a full disk, a reserve.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_store::backend::Backend;
use event_store::faults::{FaultyBackend, Survives};
use event_store::{
    AppendError, EmbeddedStore, EventStore, OpenError, Options, OutcomeUnknown, verify, verify_with,
};
use tests::store::{DATA_DIR, Model, event, log_file, open_small, options, stream};

#[test]
fn a_folder_in_use_is_refused_with_its_process() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        segment_bytes: 64 * 1024,
        ..Options::default()
    };
    let store = EmbeddedStore::open(dir.path(), options()).unwrap();
    let own = std::process::id().to_string();
    let second = EmbeddedStore::open(dir.path(), options()).err().unwrap();
    for refused in [second, verify(dir.path()).unwrap_err()] {
        let OpenError::Locked { pid, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(pid, &own);
        assert!(refused.to_string().contains(&own));
    }
    store.close();
    EmbeddedStore::open(dir.path(), options()).unwrap();
}

#[test]
fn a_folder_without_rights_is_a_clear_error() {
    let backend = FaultyBackend::new();
    backend.fail_from(1, ErrorKind::PermissionDenied);
    let refused = open_small(&backend).err().unwrap();
    let OpenError::Permission { path, .. } = &refused else {
        panic!("{refused}")
    };
    assert!(path.starts_with(DATA_DIR));
    assert!(
        refused.to_string().starts_with("no permission: /data"),
        "{refused}"
    );
}

#[test]
fn options_out_of_range_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for segment_bytes in [0, 100, 2 * 1024 * 1024 * 1024] {
        let options = Options {
            segment_bytes,
            ..Options::default()
        };
        let refused = EmbeddedStore::open(dir.path(), options).err().unwrap();
        assert!(
            matches!(
                refused,
                OpenError::Option {
                    name: "segment_bytes",
                    ..
                }
            ),
            "{refused}"
        );
    }
}

#[test]
fn a_log_of_a_higher_schema_level_is_refused() {
    let backend = FaultyBackend::new();
    let mut newer = options(Arc::new(backend.clone()));
    newer.schema_level = 2;
    drop(EmbeddedStore::open(DATA_DIR, newer).unwrap());
    let refused = open_small(&backend).err().unwrap();
    assert!(
        matches!(refused, OpenError::SchemaLevel { found: 2, known: 1 }),
        "{refused}"
    );
}

/// Appends until one is refused; gives the refusal.
async fn append_until_refused(
    store: &EmbeddedStore,
    model: &mut Model,
    at_most: u64,
) -> Option<AppendError> {
    for number in 0..at_most {
        let mut tried = model.clone();
        let append = tried.append(&stream(number % 3), vec![event(number, 900)]);
        match store.append(append).await {
            Ok(ticket) => {
                ticket.durable().await.unwrap();
                *model = tried;
            }
            Err(refused) => return Some(refused),
        }
    }
    None
}

#[tokio::test]
async fn a_full_disk_refuses_appends_until_there_is_room_again() {
    let backend = FaultyBackend::new();
    let store = open_small(&backend).unwrap();
    let mut model = Model::default();
    backend.set_bytes_max(Some(60 * 1024));
    let refused = append_until_refused(&store, &mut model, 1_000).await;
    assert_eq!(refused, Some(AppendError::StorageFull));
    assert!(model.appends.len() > 15, "the room there was is used");
    model.compare(&store).await;
    store.verify().unwrap();

    backend.set_bytes_max(None);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while append_until_refused(&store, &mut model, 60).await.is_some() {
        assert!(
            std::time::Instant::now() < until,
            "room is noticed without a restart"
        );
        tokio::task::yield_now().await;
    }
    model.compare(&store).await;
    drop(store);
    model.compare(&open_small(&backend).unwrap()).await;
}

/// Appends until the keeper's next sync has failed for want of room, as some systems have it.
async fn a_sync_without_room_ends_the_store(segment_bytes: u64, event_bytes: usize) {
    let backend = FaultyBackend::new();
    let fatal = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&fatal);
    let options = Options {
        segment_bytes,
        on_fatal: Arc::new(move |_| told.store(true, Ordering::SeqCst)),
        ..options(Arc::new(backend.clone()))
    };
    let store = EmbeddedStore::open(DATA_DIR, options).unwrap();
    let mut model = Model::default();
    backend.fail_next_sync("log-keeper", ErrorKind::StorageFull);
    let mut acknowledged = 0;
    for number in 0..40 {
        let append = model.append(&stream(number % 3), vec![event(number, event_bytes)]);
        match store.append(append).await {
            Ok(ticket) => match ticket.durable().await {
                Ok(position) => acknowledged = position.0,
                Err(OutcomeUnknown) => break,
            },
            Err(refused) => {
                assert_eq!(refused, AppendError::Closed);
                break;
            }
        }
    }
    assert!(acknowledged < 40, "appended on after a sync that failed");
    store.close();
    assert!(fatal.load(Ordering::SeqCst));
    let left = open_small(&backend.power_loss(Survives::Nothing)).unwrap();
    assert!(model.cut(usize::try_from(left.durable_position().0).unwrap()));
    assert!(left.durable_position().0 >= acknowledged);
    model.compare(&left).await;
}

#[tokio::test]
async fn a_sync_of_the_active_segment_that_finds_no_room_ends_the_store() {
    a_sync_without_room_ends_the_store(8 * 1024 * 1024, 60_000).await;
}

#[tokio::test]
async fn a_sync_of_the_next_segment_that_finds_no_room_ends_the_store() {
    a_sync_without_room_ends_the_store(16 * 1024, 900).await;
}

#[tokio::test]
async fn a_torn_tail_on_a_full_disk_stays_untouched_until_there_is_room() {
    let backend = FaultyBackend::new();
    let mut model = Model::default();
    let store = open_small(&backend).unwrap();
    assert_eq!(append_until_refused(&store, &mut model, 2).await, None);
    drop(store);
    let path = log_file("00000000000000000001.seg");
    let mut bytes = backend.files()[&path].clone();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() / 4 * 4 + 4;
    bytes[end..end + 9].copy_from_slice(b"not a log");
    // As after a loss of power: the mark is older than the log's end, and names no clean stop.
    backend.put(&log_file("mark"), vec![0; 128]);
    backend.put(&path, bytes.clone());
    backend.remove(&log_file("prepared")).ok();
    let held = |backend: &FaultyBackend| backend.files().values().map(Vec::len).sum::<usize>();
    backend.set_bytes_max(Some(held(&backend) as u64));

    for _ in 0..2 {
        let store = open_small(&backend).unwrap();
        let torn = store.recovery().torn.clone().unwrap();
        assert_eq!((torn.offset, torn.bytes), (end as u64, 9));
        assert_eq!(torn.kept_in, None);
        let refused = append_until_refused(&store, &mut model, 1).await;
        assert_eq!(refused, Some(AppendError::StorageFull));
        model.compare(&store).await;
        store.verify().unwrap();
        store.close();
        assert_eq!(backend.files()[&path], bytes, "untouched");
        assert!(!backend.files().contains_key(&log_file("unfinished")));
        let verified = verify_with(&backend, DATA_DIR.as_ref()).unwrap();
        assert_eq!(verified.torn, Some((path.clone(), end as u64, 9)));
    }

    let store = open_small(&backend).unwrap();
    backend.set_bytes_max(None);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while append_until_refused(&store, &mut model, 1).await.is_some() {
        assert!(
            std::time::Instant::now() < until,
            "room is noticed without a restart"
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(backend.files()[&log_file("torn-3")], b"not a log");
    model.compare(&store).await;
    let lost = open_small(&backend.power_loss(Survives::Nothing)).unwrap();
    assert_eq!(lost.recovery().torn, None);
    model.compare(&lost).await;
    drop(store);
    let store = open_small(&backend).unwrap();
    assert!(store.recovery().clean);
    model.compare(&store).await;
}

#[tokio::test]
async fn a_footer_lost_on_a_full_disk_is_kept_in_memory_until_there_is_room() {
    let backend = FaultyBackend::new();
    let mut model = Model::default();
    let store = open_small(&backend).unwrap();
    assert_eq!(append_until_refused(&store, &mut model, 120).await, None);
    drop(store);
    // Opened once more, so that every sealed segment has its index files.
    drop(open_small(&backend).unwrap());
    let with = |ending: &str| -> Vec<PathBuf> {
        let files = backend.files();
        let with = files
            .keys()
            .filter(|path| path.to_string_lossy().ends_with(ending));
        with.cloned().collect()
    };
    let footers = with(".idx");
    assert!(footers.len() > 3, "{footers:?}");
    let lost = [&footers[0], &footers[2]];
    for footer in lost {
        backend.remove(footer).unwrap();
    }
    let newest = backend.files().into_keys().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("streams-")
    });
    let streams = newest.max().unwrap();
    backend.remove(&streams).unwrap();
    backend.remove(&log_file("prepared")).ok();
    let held: usize = backend.files().values().map(Vec::len).sum();
    backend.set_bytes_max(Some(held as u64));

    for _ in 0..2 {
        let store = open_small(&backend).unwrap();
        assert!(store.recovery().footers_rebuilt >= 2);
        model.compare(&store).await;
        store.verify().unwrap();
        store.close();
        assert!(!backend.files().contains_key(&log_file("unfinished")));
        assert!(
            lost.iter()
                .all(|footer| !backend.files().contains_key(*footer))
        );
    }

    let store = open_small(&backend).unwrap();
    backend.set_bytes_max(None);
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while with(".idx").len() < footers.len() {
        assert!(std::time::Instant::now() < until, "room is noticed");
        append_until_refused(&store, &mut model, 1).await;
        tokio::task::yield_now().await;
    }
    // All that is sealed by now, the last one too.
    while with(".idx").len() + 1 < with(".seg").len() {
        assert!(std::time::Instant::now() < until, "footers are written");
        tokio::task::yield_now().await;
    }
    model.compare(&store).await;
    store.close();
    drop(store);
    let store = open_small(&backend).unwrap();
    assert_eq!(store.recovery().footers_rebuilt, 0);
    model.compare(&store).await;
    store.close();
    verify_with(&backend, DATA_DIR.as_ref()).unwrap();
}

#[tokio::test]
async fn below_the_reserve_appends_are_refused_and_readings_go_on() {
    let backend = FaultyBackend::new();
    let mut options = options(Arc::new(backend.clone()));
    options.reserve_bytes = 1_000_000;
    backend.set_free(Some(1_000_000));
    let store = EmbeddedStore::open(DATA_DIR, options).unwrap();
    let mut model = Model::default();
    assert_eq!(append_until_refused(&store, &mut model, 5).await, None);
    assert_eq!(store.free_bytes(), 1_000_000);

    backend.set_free(Some(999_999));
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    let refused = loop {
        if let Some(refused) = append_until_refused(&store, &mut model, 5).await {
            break refused;
        }
        assert!(std::time::Instant::now() < until, "the reserve is noticed");
    };
    assert_eq!(refused, AppendError::StorageFull);
    model.compare(&store).await;
    // What is there already is still told: nothing would be written.
    let mut first = Model::default();
    let (name, events) = model.appends[0].clone();
    assert!(
        store
            .append(first.append(&name, events))
            .await
            .unwrap()
            .repeated
    );

    backend.set_free(None);
    while append_until_refused(&store, &mut model, 1).await.is_some() {
        assert!(
            std::time::Instant::now() < until,
            "room is noticed without a restart"
        );
        tokio::task::yield_now().await;
    }
    model.compare(&store).await;
}

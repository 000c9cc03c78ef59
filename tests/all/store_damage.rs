//! Damage is told with its place and never served; what is derived is built again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use event_store::faults::{FaultyBackend, Survives};
use event_store::{EmbeddedStore, EventStore, OpenError, Position, ReadError, RecordedEvent};
use event_store::{Options, Verified, verify, verify_with};
use tests::store::{DATA_DIR, Model, all_events, event, log_file, open_small, stream};

/// A log of one sealed segment and a begun one, cleanly stopped, with its events.
async fn small_log() -> (FaultyBackend, Vec<RecordedEvent>, Model) {
    let backend = FaultyBackend::new();
    let mut model = Model::default();
    let store = open_small(&backend).unwrap();
    for number in 0..40 {
        let append = model.append(&stream(number % 5), vec![event(number, 330)]);
        store.append(append).await.unwrap().durable().await.unwrap();
    }
    let events = all_events(&store).await;
    store.close();
    // Opened once more, so that the keeper has surely written the footer.
    let store = open_small(&backend).unwrap();
    store.close();
    let names: Vec<_> = backend.files().into_keys().collect();
    let ending = |end: &str| {
        names
            .iter()
            .filter(|name| name.to_str().unwrap().ends_with(end))
            .count()
    };
    assert_eq!((ending(".seg"), ending(".idx")), (2, 1), "{names:?}");
    (backend, events, model)
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << (at % 8);
    bytes
}

/// The files that are part of a log: not the segment prepared for later, not the lock.
fn log_files(backend: &FaultyBackend) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = backend.files();
    files.retain(|path, _| path.starts_with("/data/log") && !path.ends_with("prepared"));
    files
}

#[tokio::test]
async fn every_flipped_bit_of_a_small_log_is_reported_with_its_place() {
    let (backend, ..) = small_log().await;
    assert_eq!(verify_with(&backend, DATA_DIR.as_ref()).unwrap().events, 40);
    let files = log_files(&backend);
    std::thread::scope(|scope| {
        for (path, bytes) in &files {
            let backend = backend.power_loss(Survives::Everything);
            scope.spawn(move || {
                for at in 0..bytes.len() {
                    backend.put(path, flipped(bytes, at));
                    match verify_with(&backend, DATA_DIR.as_ref()) {
                        Err(OpenError::Damaged { file, offset, .. }) => {
                            assert_eq!(&file, path, "byte {at}");
                            assert!(offset <= at as u64, "byte {at}, reported {offset}");
                        }
                        Err(OpenError::Format { .. }) if path.ends_with("identity") => {}
                        // A byte among the zeros behind the log's end: nothing of it was ever durable.
                        Ok(Verified {
                            torn: Some((file, offset, bytes)),
                            events: 40,
                            ..
                        }) => {
                            assert_eq!(&file, path, "byte {at}");
                            assert_eq!(offset + bytes, at as u64 + 1);
                        }
                        other => panic!("byte {at} of {} changed: {other:?}", path.display()),
                    }
                }
            });
        }
    });
}

#[tokio::test]
async fn a_flipped_bit_is_never_served_after_opening() {
    let (backend, events, _) = small_log().await;
    for (path, bytes) in log_files(&backend) {
        for at in (0..bytes.len()).step_by(11) {
            let left = backend.power_loss(Survives::Everything);
            left.put(&path, flipped(&bytes, at));
            match open_small(&left) {
                Ok(store) => served_right(&store, &events).await,
                Err(OpenError::Damaged { file, offset, .. }) => {
                    assert!(file == path && offset <= at as u64);
                }
                Err(OpenError::Format { .. }) => {}
                Err(other) => panic!("byte {at} of {}: {other}", path.display()),
            }
        }
    }
}

#[tokio::test]
async fn a_bit_flipped_under_a_running_store_is_never_served() {
    let (backend, events, _) = small_log().await;
    let files = log_files(&backend);
    let sealed = log_file("00000000000000000001.seg");
    for at in (64..files[&sealed].len()).step_by(3) {
        let left = backend.power_loss(Survives::Everything);
        let store = open_small(&left).unwrap();
        left.put(&sealed, flipped(&files[&sealed], at));
        served_right(&store, &events).await;
        let OpenError::Damaged { file, offset, .. } = store.verify().unwrap_err() else {
            panic!("not told as damage")
        };
        assert!(file == sealed && offset <= at as u64);
    }
}

/// Every reading gives the event as it was written, or damage.
async fn served_right(store: &EmbeddedStore, events: &[RecordedEvent]) {
    let mut after = Position::START;
    loop {
        match store.read_all(after, 3, 1 << 20).await {
            Ok(read) if read.is_empty() => break,
            Ok(read) => {
                for event in read {
                    assert_eq!(Some(&event), events.get(usize::try_from(after.0).unwrap()));
                    after = event.position();
                }
            }
            Err(ReadError::Damaged { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    for wanted in events {
        match store
            .read_one(&wanted.stream_name().unwrap(), wanted.version())
            .await
        {
            Ok(read) => assert_eq!(read.as_ref(), Some(wanted)),
            Err(ReadError::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_changed_length_in_a_long_batch_is_told_at_its_record() {
    let backend = FaultyBackend::new();
    let store = open_small(&backend).unwrap();
    let mut model = Model::default();
    let events = (0..9).map(|number| event(number, 1_000)).collect();
    let append = model.append(&stream(0), events);
    store.append(append).await.unwrap().durable().await.unwrap();
    drop(store);
    let path = log_file("00000000000000000001.seg");
    let bytes = backend.files()[&path].clone();
    let mut at = 64 + 48;
    for _ in 0..9 {
        for byte in 0..4 {
            let left = backend.power_loss(Survives::Everything);
            left.put(&path, flipped(&bytes, at + byte));
            let refused = verify_with(&left, DATA_DIR.as_ref()).unwrap_err();
            let OpenError::Damaged { offset, .. } = refused else {
                panic!("{refused}")
            };
            assert_eq!(offset, at as u64);
        }
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        at += len.next_multiple_of(4) as usize;
    }
}

#[tokio::test]
async fn random_bits_of_a_bigger_log_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        segment_bytes: 256 * 1024,
        reserve_bytes: 0,
        ..Options::default()
    };
    let store = EmbeddedStore::open(dir.path(), options()).unwrap();
    let mut model = Model::default();
    let mut last = None;
    for number in 0..3_000 {
        let append = model.append(&stream(number % 200), vec![event(number, 400)]);
        last = Some(store.append(append).await.unwrap());
    }
    last.unwrap().durable().await.unwrap();
    store.close();
    assert_eq!(verify(dir.path()).unwrap().events, 3_000);
    let mut files: Vec<_> = std::fs::read_dir(dir.path().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("prepared"))
        .collect();
    files.sort();
    let mut chance = 88_172_645_463_325_252_u64;
    for _ in 0..150 {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        let path = &files[usize::try_from(chance % files.len() as u64).unwrap()];
        let bytes = std::fs::read(path).unwrap();
        let at = usize::try_from((chance >> 20) % bytes.len() as u64).unwrap();
        std::fs::write(path, flipped(&bytes, at)).unwrap();
        match verify(dir.path()) {
            Err(OpenError::Damaged { file, offset, .. }) => {
                assert_eq!(&file, path);
                assert!(offset <= at as u64 && at as u64 - offset < 4096);
            }
            Ok(Verified {
                torn: Some((file, offset, bytes)),
                events: 3_000,
                ..
            }) => {
                assert_eq!(&file, path);
                assert_eq!(offset + bytes, at as u64 + 1);
            }
            other => panic!("byte {at} of {}: {other:?}", path.display()),
        }
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(verify(dir.path()).unwrap().events, 3_000);
}

#[tokio::test]
async fn indexes_that_are_gone_or_damaged_are_built_again() {
    let (backend, _, model) = small_log().await;
    let derived: Vec<_> = backend
        .files()
        .into_keys()
        .filter(|path| {
            path.to_str().unwrap().contains("idx") || path.to_str().unwrap().contains("streams")
        })
        .collect();
    assert_eq!(derived.len(), 2);
    let files = backend.files();
    let subsets = [&derived[..1], &derived[1..], &derived[..]];
    for gone in subsets {
        let left = FaultyBackend::new().power_loss(Survives::Nothing);
        for (path, bytes) in files.iter().filter(|(path, _)| !gone.contains(path)) {
            left.put(path, bytes.clone());
        }
        let store = open_small(&left).unwrap();
        assert_eq!(store.recovery().footers_rebuilt, 1);
        model.compare(&store).await;
        store.close();
        for path in gone {
            assert_eq!(left.files()[path], files[path], "to the same bytes");
        }
    }
    for path in &derived {
        // The first page says what the file is.
        let left = backend.power_loss(Survives::Everything);
        left.put(path, flipped(&files[path], 30));
        let store = open_small(&left).unwrap();
        assert_eq!(store.recovery().footers_rebuilt, 1);
        model.compare(&store).await;
        assert_eq!(left.files()[path], files[path]);
    }
}

#[tokio::test]
async fn missing_segments_are_reported() {
    let (backend, ..) = small_log().await;
    let files = backend.files();
    let segments: Vec<_> = files
        .keys()
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    for missing in segments {
        let left = FaultyBackend::new();
        for (path, bytes) in files.iter().filter(|(path, _)| path != &missing) {
            left.put(path, bytes.clone());
        }
        for refused in [
            open_small(&left).err().unwrap(),
            verify_with(&left, DATA_DIR.as_ref()).unwrap_err(),
        ] {
            let OpenError::Damaged { file, .. } = refused else {
                panic!("{refused}")
            };
            assert_eq!(&file, missing);
        }
    }
}

#[tokio::test]
async fn a_torn_tail_at_rest_is_told_with_its_place_and_is_no_damage() {
    let (stopped, ..) = small_log().await;
    let running = stopped.power_loss(Survives::Everything);
    let store = open_small(&running).unwrap();
    let killed = running.power_loss(Survives::Everything);
    store.close();
    let names = log_files(&stopped).into_keys();
    let mut segments = names.filter(|path| path.extension().is_some_and(|end| end == "seg"));
    let path = segments.next_back().unwrap();
    for backend in [stopped, killed] {
        let whole = verify_with(&backend, DATA_DIR.as_ref()).unwrap();
        assert_eq!((whole.events, &whole.torn), (40, &None));
        let mut bytes = backend.files()[&path].clone();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let end = end.next_multiple_of(4);
        bytes.resize(bytes.len().max(end + 48), 0);
        bytes[end + 8..end + 48].fill(0xa5);
        backend.put(&path, bytes.clone());
        let torn = verify_with(&backend, DATA_DIR.as_ref()).unwrap();
        assert_eq!(torn.torn, Some((path.clone(), end as u64, 48)));
        assert_eq!((torn.events, torn.position), (40, whole.position));

        // The same garbage and a bit of the last record: that one was durable.
        let bad = backend.power_loss(Survives::Everything);
        bad.put(&path, flipped(&bytes, end - 60));
        for refused in [
            verify_with(&bad, DATA_DIR.as_ref()).unwrap_err(),
            open_small(&bad).err().unwrap(),
        ] {
            let OpenError::Damaged { file, offset, .. } = refused else {
                panic!("{refused}")
            };
            assert!(file == path && offset < end as u64);
        }

        // Opening goes on, and keeps the garbage aside.
        let store = open_small(&backend).unwrap();
        assert_eq!(store.recovery().torn.as_ref().unwrap().offset, end as u64);
        store.close();
        let after = verify_with(&backend, DATA_DIR.as_ref()).unwrap();
        assert_eq!((after.events, after.torn), (40, None));
        assert_eq!(after.kept_aside.len(), 1);
    }
}

//! A copy taken while the store writes comes back with the same events, as another log.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use event_store::{
    BackupError, EmbeddedStore, EventStore, OpenError, Options, Position, backup, lay_out, restore,
    verify,
};
use tests::store::{Model, all_events, event, stream};

fn open(dir: &Path) -> EmbeddedStore {
    let options = Options {
        segment_bytes: 32 * 1024,
        reserve_bytes: 0,
        ..Options::default()
    };
    EmbeddedStore::open(dir, options).unwrap()
}

async fn fill(store: &EmbeddedStore, model: &mut Model, from: u64, count: u64) {
    for number in from..from + count {
        let append = model.append(&stream(number % 9), vec![event(number, 500)]);
        store.append(append).await.unwrap().durable().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_comes_back_as_another_log_and_goes_on() {
    let dirs = tempfile::tempdir().unwrap();
    let (source, copy) = (dirs.path().join("source"), dirs.path().join("copy"));
    let mut model = Model::default();
    let store = open(&source);
    fill(&store, &mut model, 0, 200).await;
    let at_least = store.durable_position();

    // It is written on while it is copied.
    let (writing, mut later) = (store.clone(), model.clone());
    let writer = tokio::spawn(async move {
        fill(&writing, &mut later, 1_000, 200).await;
        later
    });
    let manifest = backup(&store, &copy).unwrap();
    let later = writer.await.unwrap();
    assert!(manifest.durable_position >= at_least);
    assert_eq!(manifest.log_id, store.log_id());

    let mut copied = later.clone();
    assert!(copied.cut(usize::try_from(manifest.durable_position.0).unwrap()));
    let mut before = store.log_id();
    let mut from = copy;
    // Back, written on, copied again, and back again: each is a log of its own.
    for round in 0..3 {
        let restored_dir = dirs.path().join(format!("restored-{round}"));
        let restored = restore(&from, &restored_dir).unwrap();
        assert_eq!(restored.copy_of, before);
        assert_ne!(restored.log_id, before);
        assert_eq!(restored.position.0, copied.events().count() as u64);
        let log = verify(&restored_dir).unwrap();
        assert_eq!(
            (log.log_id, log.position),
            (restored.log_id, restored.position)
        );

        let back = open(&restored_dir);
        assert_eq!(back.log_id(), restored.log_id);
        copied.compare(&back).await;
        let originals = all_events(&store).await;
        for (a, b) in all_events(&back).await.iter().zip(&originals).take(200) {
            assert_eq!(a.bytes(), b.bytes(), "byte for byte");
        }
        fill(&back, &mut copied, 5_000 + round * 100, 30).await;
        copied.compare(&back).await;
        back.verify().unwrap();
        back.close();
        verify(&restored_dir).unwrap();
        let back = open(&restored_dir);
        copied.compare(&back).await;
        from = dirs.path().join(format!("copy-{round}"));
        backup(&back, &from).unwrap();
        before = back.log_id();
    }
    later.compare(&store).await;
}

#[tokio::test]
async fn an_empty_log_is_copied_and_comes_back() {
    let dirs = tempfile::tempdir().unwrap();
    let store = open(&dirs.path().join("source"));
    let copy = dirs.path().join("copy");
    assert_eq!(
        backup(&store, &copy).unwrap().durable_position,
        Position::START
    );
    let back = dirs.path().join("back");
    let restored = restore(&copy, &back).unwrap();
    assert_eq!(restored.position, Position::START);
    let store = open(&back);
    let mut model = Model::default();
    fill(&store, &mut model, 0, 5).await;
    model.compare(&store).await;
}

#[tokio::test]
async fn what_is_there_already_is_left_alone() {
    let dirs = tempfile::tempdir().unwrap();
    let source = dirs.path().join("source");
    let store = open(&source);
    fill(&store, &mut Model::default(), 0, 5).await;
    let copy = dirs.path().join("copy");
    backup(&store, &copy).unwrap();
    assert!(matches!(backup(&store, &copy), Err(BackupError::NotEmpty(dir)) if dir == copy));
    let held = restore(&copy, &source).unwrap_err();
    assert!(
        matches!(held, BackupError::Log(OpenError::Locked { .. })),
        "{held}"
    );
    store.close();
    assert!(matches!(
        restore(&copy, &source),
        Err(BackupError::NotEmpty(_))
    ));
    assert_eq!(open(&source).durable_position(), Position(5));
}

#[tokio::test]
async fn a_changed_copy_does_not_come_back() {
    let dirs = tempfile::tempdir().unwrap();
    let store = open(&dirs.path().join("source"));
    fill(&store, &mut Model::default(), 0, 100).await;
    let copy = dirs.path().join("copy");
    let manifest = backup(&store, &copy).unwrap();
    assert!(manifest.files.len() > 3);
    for (number, file) in manifest.files.iter().enumerate() {
        let path = copy.join("log").join(&file.name);
        let bytes = std::fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        let at = bytes.len() / 2;
        changed[at] ^= 4;
        let mut longer = bytes.clone();
        longer.push(0);
        for (kind, bad) in [changed, longer, bytes[1..].to_vec()]
            .into_iter()
            .enumerate()
        {
            std::fs::write(&path, bad).unwrap();
            let back = dirs.path().join(format!("back-{number}-{kind}"));
            let refused = restore(&copy, &back).unwrap_err();
            assert!(matches!(&refused, BackupError::Differs { file, .. } if *file == path));
            assert!(!back.exists(), "nothing of it is left to be opened");
        }
        std::fs::write(&path, bytes).unwrap();
    }
    restore(&copy, dirs.path().join("back")).unwrap();
}

#[tokio::test]
async fn a_copy_that_ends_elsewhere_than_its_manifest_says_does_not_come_back() {
    let dirs = tempfile::tempdir().unwrap();
    let store = open(&dirs.path().join("source"));
    fill(&store, &mut Model::default(), 0, 100).await;
    let copy = dirs.path().join("copy");
    let whole = backup(&store, &copy).unwrap();
    let segments: Vec<_> = whole
        .files
        .iter()
        .map(|file| file.name.as_str())
        .filter(|name| *name != "identity")
        .collect();
    assert!(segments.len() > 2);
    let without = |name: &str| {
        let mut manifest = whole.clone();
        manifest.files.retain(|file| file.name != name);
        manifest
    };
    let ending_at = |position| {
        let mut manifest = whole.clone();
        manifest.durable_position = Position(position);
        manifest
    };
    let wrong = [
        without(segments.last().unwrap()),
        without(segments[0]),
        without(segments[1]),
        ending_at(99),
        ending_at(101),
    ];
    for (number, manifest) in wrong.iter().enumerate() {
        let text = serde_json::to_vec(manifest).unwrap();
        std::fs::write(copy.join("manifest.json"), text).unwrap();
        let back = dirs.path().join(format!("back-{number}"));
        let refused = restore(&copy, &back).unwrap_err();
        assert!(
            matches!(
                refused,
                BackupError::Manifest { .. } | BackupError::Log(OpenError::Damaged { .. })
            ),
            "{refused}"
        );
        assert!(!back.exists(), "nothing of it is left to be opened");
    }
}

#[tokio::test]
async fn of_a_log_that_was_damaged_while_it_ran_no_copy_is_made() {
    let dirs = tempfile::tempdir().unwrap();
    let source = dirs.path().join("source");
    let store = open(&source);
    let mut model = Model::default();
    fill(&store, &mut model, 0, 200).await;
    let whole = backup(&store, dirs.path().join("whole")).unwrap();
    let names: Vec<_> = whole.files.iter().map(|file| &file.name).collect();
    let (sealed, active) = (names[1], names[names.len() - 2]);
    assert!(names.len() > 4 && sealed != active);
    for name in [sealed, active] {
        let path = source.join("log").join(name);
        let bytes = std::fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        for at in [8, 64 + 20, used / 2, used - 20] {
            let mut bad = bytes.clone();
            bad[at] ^= 16;
            std::fs::write(&path, bad).unwrap();
            refused_at(&store, &dirs.path().join(format!("{name}-{at}")), &path, at);
            std::fs::write(&path, &bytes).unwrap();
        }
    }
    // Cut short between two batches, or gone.
    let path = source.join("log").join(sealed);
    let bytes = std::fs::read(&path).unwrap();
    for (case, at) in [("header", 64), ("nothing", 0)] {
        std::fs::write(&path, &bytes[..at]).unwrap();
        refused_at(&store, &dirs.path().join(case), &path, at);
    }
    std::fs::remove_file(&path).unwrap();
    refused_at(&store, &dirs.path().join("gone"), &path, 0);
    std::fs::write(&path, &bytes).unwrap();
    backup(&store, dirs.path().join("again")).unwrap();
}

/// A backup is refused as damage in this file at or before this byte, and leaves nothing.
fn refused_at(store: &EmbeddedStore, copy: &Path, path: &Path, at: usize) {
    let refused = backup(store, copy).unwrap_err();
    let BackupError::Log(OpenError::Damaged { file, offset, .. }) = &refused else {
        panic!("{refused}")
    };
    assert_eq!(file, path);
    assert!(*offset <= at as u64, "byte {at}, told {offset}");
    assert_eq!(std::fs::read_dir(copy).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_laid_out_links_what_never_changes_and_is_the_same_copy() {
    let dirs = tempfile::tempdir().unwrap();
    let source = dirs.path().join("source");
    let mut model = Model::default();
    let store = open(&source);
    fill(&store, &mut model, 0, 200).await;
    let laid = source.join("laid-out");
    let manifest = lay_out(&store, &laid, 0).unwrap();
    let copied = backup(&store, dirs.path().join("copy")).unwrap();
    assert_eq!(manifest, copied);
    // It is written on; what was laid out stays as it is.
    fill(&store, &mut model.clone(), 1_000, 200).await;
    let file = |folder: &Path, name: &str| {
        std::fs::metadata(folder.join("log").join(name))
            .unwrap()
            .ino()
    };
    let segments: Vec<_> = manifest
        .files
        .iter()
        .filter(|file| file.name.starts_with('0'))
        .collect();
    let (tail, sealed) = segments.split_last().unwrap();
    assert!(sealed.len() > 2, "{segments:?}");
    for segment in sealed {
        assert_eq!(file(&laid, &segment.name), file(&source, &segment.name));
    }
    assert_ne!(file(&laid, &tail.name), file(&source, &tail.name));
    restore(&laid, dirs.path().join("back")).unwrap();
    let back = open(&dirs.path().join("back"));
    model.compare(&back).await;
    // The copy goes, the log stays.
    std::fs::remove_dir_all(&laid).unwrap();
    store.verify().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_go_below_the_reserve_is_not_laid_out() {
    let dirs = tempfile::tempdir().unwrap();
    let source = dirs.path().join("source");
    let store = open(&source);
    fill(&store, &mut Model::default(), 0, 200).await;
    let refused = lay_out(&store, source.join("laid-out"), u64::MAX / 2).unwrap_err();
    let BackupError::NoRoom { needed, .. } = &refused else {
        panic!("{refused}")
    };
    // The tail alone has to be copied.
    assert!(*needed > 0 && *needed <= 64 * 1024, "{refused}");
    assert!(
        refused.to_string().contains(" bytes beside the "),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_damaged_sealed_segment_nothing_is_laid_out() {
    let dirs = tempfile::tempdir().unwrap();
    let source = dirs.path().join("source");
    let store = open(&source);
    fill(&store, &mut Model::default(), 0, 200).await;
    let path = source.join("log/00000000000000000001.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let refused = lay_out(&store, source.join("laid-out"), 0).unwrap_err();
    assert!(
        matches!(&refused, BackupError::Log(OpenError::Damaged { file, .. }) if *file == path),
        "{refused}"
    );
}

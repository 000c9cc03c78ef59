//! A data folder on a disk without room: what is there is read, and an index that is lost does not stand in the way.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tests::program;

use crate::program_care::{filled_with, on};
use crate::program_service::SmallDisk;

/// The log's files whose names end so.
fn with_ending(data: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(data.join("log"))
        .expect("the log")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

#[test]
fn a_log_that_lost_a_footer_on_a_full_disk_is_read_and_gets_it_again_when_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), 96) else {
        // Without the right to mount, the engine's own test on a file system in memory holds it.
        return;
    };
    let data = folder.path().join("disk/data");
    filled_with(&data, &["--segment-bytes", "16384", "--reserve-bytes", "1"]);
    let whole = on(&data, &["events"]).done().stdout;
    let footers = with_ending(&data, ".idx");
    assert!(footers.len() > 3, "{footers:?}");
    std::fs::remove_file(&footers[1]).expect("a footer");
    for prepared in with_ending(&data, "prepared") {
        std::fs::remove_file(prepared).expect("it is there");
    }
    let filler = folder.path().join("disk/filler");
    let mut file = std::fs::File::create(&filler).expect("a file");
    for size in [1024 * 1024, 4096] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    drop(file);
    let again = || {
        let mut import = program::doorstep(["import", "/dev/null", "--reserve-bytes", "1"]);
        program::ended(import.arg("--data").arg(&data)).done()
    };
    for _ in 0..2 {
        assert_eq!(on(&data, &["events"]).done().stdout, whole);
        assert_eq!(with_ending(&data, ".idx").len(), footers.len() - 1);
        on(&data, &["verify"]).done();
    }
    let opened = again();
    assert!(
        opened.stderr.contains("kept in memory"),
        "{}",
        opened.stderr
    );
    assert_eq!(on(&data, &["events"]).done().stdout, whole);
    std::fs::remove_file(&filler).expect("it is there");
    again();
    assert_eq!(with_ending(&data, ".idx").len(), footers.len());
    assert_eq!(on(&data, &["events"]).done().stdout, whole);
    on(&data, &["verify"]).done();
    let more = folder.path().join("more.ndjson");
    std::fs::write(
        &more,
        r#"{"id":"e1","at":"2004-01-03T00:00:00Z","command":"RegisterMember","member":"eve","age_band":"adult"}"#,
    )
    .expect("a line");
    let mut import = program::doorstep(["import", "--reserve-bytes", "1"]);
    program::ended(import.arg(&more).arg("--data").arg(&data)).done();
    drop(disk);
}

#[test]
fn a_log_is_not_begun_on_a_disk_with_less_free_than_the_reserve() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("above/data");
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["import", "/dev/null"],
    ] {
        let reserve = ["--reserve-bytes", "4611686018427387904"];
        let ended = on(&data, &[command, &reserve].concat());
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        for words in ["`reserve_bytes` keeps 4611686018427387904", " bytes free"] {
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("disk is full"), "{}", ended.stderr);
        assert!(!folder.path().join("above").exists());
    }
}

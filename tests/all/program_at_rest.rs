//! Folders that are only read stay as they are, byte for byte; what belongs to another log is not given out or written to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::program::{self, Server};

use crate::program_care::{filled, filled_with, on};

/// Every file below a folder with its bytes.
fn held(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            files.extend(held(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            files.insert(path, bytes);
        }
    }
    files
}

/// A data folder of several segments, and a backup of it.
fn backed_up(folder: &Path) -> (PathBuf, PathBuf) {
    let (data, copy) = (folder.join("data"), folder.join("copy"));
    filled_with(&data, &["--segment-bytes", "16384"]);
    on(&data, &["backup", &copy.to_string_lossy()]).done();
    (data, copy)
}

#[track_caller]
fn refused(ended: &program::Ended, status: i32, words: &[&str]) {
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    for words in words {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[test]
fn commands_that_read_leave_a_folder_as_it_is_and_a_backup_that_was_read_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy) = backed_up(folder.path());
    for (number, at) in [&data, &copy].into_iter().enumerate() {
        let before = held(at);
        let lines = on(at, &["events"]).done().stdout;
        assert!(lines.lines().count() > 200);
        on(at, &["events", "--stream", "member-ann"]).done();
        assert_eq!(on(at, &["verify"]).done().json()["ok"], json!(true));
        let again = folder.path().join(format!("again-{number}"));
        on(at, &["backup", &again.to_string_lossy()]).done();
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            held(at).keys().collect::<Vec<_>>()
        );
        assert!(before == held(at), "a byte was changed");
    }
    assert_eq!(
        on(&copy, &["events"]).done().stdout,
        on(&data, &["events"]).done().stdout
    );
    let back = folder.path().join("back");
    on(&back, &["restore", &copy.to_string_lossy()]).done();
    // What was restored and never served is read the same way.
    let count = |at: &Path| on(at, &["events"]).done().stdout.lines().count();
    assert_eq!(count(&back), count(&data));
    let of_back = folder.path().join("of-back");
    on(&back, &["backup", &of_back.to_string_lossy()]).done();
    assert_eq!(count(&of_back), count(&data));
}

#[test]
fn nothing_is_written_to_a_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, copy) = backed_up(folder.path());
    let before = held(&copy);
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["serve", "--demo", "--listen", "127.0.0.1:0"],
        &["import", "/dev/null"],
        &["token", "--sub", "ann"],
    ] {
        refused(&on(&copy, command), 1, &["is a backup", "restore it first"]);
    }
    assert!(before == held(&copy));
}

#[test]
fn a_backup_that_is_not_what_its_manifest_says_does_not_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, copy) = backed_up(folder.path());
    let segments: Vec<PathBuf> = held(&copy.join("log"))
        .into_keys()
        .filter(|path| path.to_string_lossy().ends_with(".seg"))
        .collect();
    let last = segments.last().expect("a segment");
    let whole = std::fs::read(last).expect("it");
    let damaged = |words: &str| {
        let ended = on(&copy, &["verify"]);
        refused(&ended, 1, &[words]);
        let report = ended.json();
        assert_eq!(report["ok"], json!(false), "{report}");
        assert!(report["damage"]["file"].is_string(), "{report}");
    };
    let file = OpenOptions::new().write(true).open(last).expect("it");
    file.set_len(whole.len() as u64 - 10).expect("it is cut");
    damaged("the manifest says");
    refused(&on(&copy, &["events"]), 1, &["the log beside it ends at"]);
    // Zeros behind the end are no batch, and no part of the copy either.
    file.set_len(whole.len() as u64 - 10).expect("it is cut");
    std::fs::write(last, [&whole[..], &[0; 64]].concat()).expect("it");
    damaged("the manifest says");
    std::fs::remove_file(last).expect("it");
    damaged("it is missing");
    std::fs::write(last, &whole).expect("it");
    on(&copy, &["verify"]).done();
    std::fs::write(copy.join("manifest.json"), "{}").expect("the manifest");
    damaged("it is no manifest");
}

#[test]
fn a_sample_is_not_asked_for_over_another_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let mut by_variable = program::doorstep(["serve", "--listen", "127.0.0.1:0"]);
    by_variable
        .arg("--data")
        .arg(&data)
        .env("DOORSTEP_DEMO", "1");
    for ended in [
        on(&data, &["serve", "--demo", "--listen", "127.0.0.1:0"]),
        program::ended(&mut by_variable),
    ] {
        refused(&ended, 2, &["holds another log"]);
        assert_eq!(ended.stdout, "", "no token is printed");
    }
    assert!(!data.join("keys").exists());
}

#[test]
fn a_log_without_its_keys_is_served_with_a_warning_and_no_folder_is_made_for_a_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let server = Server::start(&data, &[]);
    let words = server.words();
    assert_eq!(words.matches("gets new ones").count(), 1, "{words}");
    assert!(server.stop().success());
    let server = Server::start(&data, &[]);
    assert!(
        !server.words().contains("gets new ones"),
        "{}",
        server.words()
    );
    assert!(server.stop().success());
    let typo = folder.path().join("typo");
    refused(
        &on(&typo, &["token", "--sub", "ann"]),
        1,
        &["holds neither keys nor a log"],
    );
    assert!(!typo.exists());
    // With a key of its own a token needs no folder.
    let keys = data.join("keys").to_string_lossy().into_owned();
    on(&typo, &["token", "--sub", "ann", "--auth-key", &keys]).done();
    assert!(!typo.exists());
}

#[test]
fn readers_share_a_folder_and_who_would_write_is_told_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let reading = File::open(data.join("lock")).expect("the lock");
    reading.lock_shared().expect("nobody holds it");
    on(&data, &["events"]).done();
    on(&data, &["verify"]).done();
    refused(
        &on(&data, &["import", "/dev/null"]),
        1,
        &["is being read by another command"],
    );
    drop(reading);
    on(&data, &["import", "/dev/null"]).done();
}

#[test]
fn an_archive_is_to_be_unpacked_before_it_is_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("backup.tar");
    std::fs::write(&archive, "an archive").expect("a file");
    let back = folder.path().join("back");
    let ended = on(&back, &["restore", &archive.to_string_lossy()]);
    refused(&ended, 1, &["is a file", "unpack it"]);
    assert!(!back.exists());
}

#[test]
fn a_log_of_json_lines_tells_the_address_in_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut command =
        program::doorstep(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    command
        .arg("--data")
        .arg(&data)
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("piped")));
    for line in lines {
        let line: Value = serde_json::from_str(&line.expect("a line")).expect("JSON a line");
        let url = line["fields"]["url"].as_str().unwrap_or_default();
        if url.starts_with("http://127.0.0.1:") {
            assert_eq!(line["level"], json!("INFO"));
            break;
        }
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

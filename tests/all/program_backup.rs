//! A backup of a running service and its disk: it takes no room that is kept free, and a kill leaves nothing for long.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use serde_json::json;
use tests::program::{self, Server};

use crate::program_care::{filled, on};

/// A log that no socket takes at once: some 20 MiB, most of it sealed.
fn filled_with_much(data: &Path) {
    let at = "2004-01-02T10:00:00Z";
    let mut lines = String::new();
    for name in ["ann", "bob"] {
        let line = json!({"id": "c1", "at": at, "command": "RegisterMember", "member": name, "age_band": "adult"});
        writeln!(lines, "{line}").expect("memory");
        let line = json!({"id": "c3", "at": at, "command": "ChangeDmSetting", "member": name, "audience": "everyone"});
        writeln!(lines, "{line}").expect("memory");
    }
    let follows = json!({"id": "c2", "at": at, "command": "RecordRelationship", "member": "ann", "kind": "follow", "other": "bob"});
    writeln!(lines, "{follows}").expect("memory");
    // Few graphemes of many bytes.
    let text = "\u{1f9d1}\u{200d}\u{1f4bb}".repeat(700);
    for number in 0..2_500 {
        let line = json!({"id": format!("m{number}"), "at": at, "command": "SendMessage", "member": "bob", "to": "ann", "text": text});
        writeln!(lines, "{line}").expect("memory");
    }
    let file = data.with_extension("ndjson");
    std::fs::write(&file, lines).expect("the lines");
    let mut import = program::doorstep(["import", "--segment-bytes", "4194304"]);
    let summary = program::ended(import.arg(&file).arg("--data").arg(data))
        .done()
        .json();
    assert_eq!(summary["carried_out"], json!(2_505), "{summary}");
}

/// How many files lie below a folder.
fn files_below(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            if entry.file_type().expect("a type").is_dir() {
                files_below(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

#[test]
fn what_a_killed_service_was_sending_is_gone_with_the_next_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled_with_much(&data);
    let before = on(&data, &["verify"]).done().json();
    let left = data.join("backups-on-their-way");
    for opens_it_next in ["serve", "import"] {
        let server = Server::start(&data, &[]);
        let operator = server.token("otto", "operator");
        let address = server.url.strip_prefix("http://").expect("an address");
        let mut slow = TcpStream::connect(address).expect("it listens");
        write!(
            slow,
            "GET /v1/store/backup HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {operator}\r\n\r\n"
        )
        .expect("it reads");
        let mut first = [0; 12];
        slow.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        // Nobody reads on, so that it is in the middle.
        assert!(files_below(&left) > 3, "it is laid out");
        server.kill();
        assert!(files_below(&left) > 3, "a kill takes nothing away");
        if opens_it_next == "serve" {
            assert!(Server::start(&data, &[]).stop().success());
        } else {
            on(&data, &["events", "--after", "100000"]).done();
            assert!(left.exists(), "what is only read stays as it is");
            on(&data, &["import", "/dev/null"]).done();
        }
        assert!(!left.exists(), "{opens_it_next}");
        let after = on(&data, &["verify"]).done().json();
        assert_eq!(after["events"], before["events"]);
    }
}

#[test]
fn a_backup_without_room_beside_the_reserve_is_refused_in_words_and_nothing_is_left_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    filled(&data);
    let server = Server::start(&data, &["--reserve-bytes", "4611686018427387904"]);
    let operator = server.token("otto", "operator");
    let to = copy.to_string_lossy();
    let refused = program::run(["backup", &*to, "--url", &server.url, "--token", &operator]);
    assert_eq!(refused.status, Some(1), "{}", refused.stdout);
    for words in [
        " 507 ",
        "storage_full",
        "4611686018427387904 that are kept free",
    ] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert!(!copy.exists());
    assert_eq!(files_below(&data.join("backups-on-their-way")), 0);
    assert!(server.stop().success());
}

//! Verification, backup and restore through the program, at rest and while it runs; and damage told with its place.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tests::program::{self, Ended, Server};

/// A folder with a few conversations, at rest.
pub(crate) fn filled(data: &Path) {
    filled_with(data, &[]);
}

/// The same by an import with these flags.
pub(crate) fn filled_with(data: &Path, flags: &[&str]) {
    let at = "2004-01-02T10:00:00Z";
    let mut lines = String::new();
    let mut line = |line: Value| writeln!(lines, "{line}").expect("memory");
    for name in ["ann", "bob"] {
        line(
            json!({"id": "c1", "at": at, "command": "RegisterMember", "member": name, "age_band": "adult"}),
        );
        line(
            json!({"id": "c2", "at": at, "command": "ChangeDmSetting", "member": name, "audience": "everyone"}),
        );
    }
    line(
        json!({"id": "c3", "at": at, "command": "RecordRelationship", "member": "ann", "kind": "follow", "other": "bob"}),
    );
    for number in 0..200 {
        let text = format!("message {number}, with some words to be found again");
        line(
            json!({"id": format!("m{number}"), "at": at, "command": "SendMessage", "member": "bob", "to": "ann", "text": text}),
        );
    }
    std::fs::create_dir_all(data).expect("a folder");
    let file = data.with_extension("ndjson");
    std::fs::write(&file, lines).expect("the lines");
    let mut import = program::doorstep(["import"]);
    program::ended(import.arg(&file).arg("--data").arg(data).args(flags)).done();
}

pub(crate) fn on(data: &Path, arguments: &[&str]) -> Ended {
    let mut command = program::doorstep(arguments);
    command.arg("--data").arg(data);
    program::ended(&mut command)
}

/// The events of a folder at rest without the log's id.
fn events(data: &Path) -> Vec<Value> {
    on(data, &["events"])
        .done()
        .stdout
        .lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).expect("an event a line");
            event
                .as_object_mut()
                .expect("an object")
                .remove("log_id")
                .expect("a log");
            event
        })
        .collect()
}

#[test]
fn a_backup_at_rest_comes_back_as_a_log_of_its_own_with_the_same_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy, back) = (
        folder.path().join("data"),
        folder.path().join("copy"),
        folder.path().join("back"),
    );
    filled(&data);
    on(&data, &["verify"]).done();
    on(&data, &["backup", &copy.to_string_lossy()]).done();
    assert!(!copy.join("keys").exists() && !copy.join("views").exists());
    on(&back, &["restore", &copy.to_string_lossy()]).done();
    on(&back, &["verify"]).done();
    assert_eq!(events(&back), events(&data));
    let id = |data: &Path| {
        let line = on(data, &["events"])
            .done()
            .stdout
            .lines()
            .next()
            .expect("an event")
            .to_owned();
        serde_json::from_str::<Value>(&line).expect("JSON")["log_id"].clone()
    };
    assert_ne!(id(&back), id(&data));
    // Neither overwrites what is there.
    assert_eq!(
        on(&back, &["restore", &copy.to_string_lossy()]).status,
        Some(1)
    );
    assert_eq!(
        on(&data, &["backup", &copy.to_string_lossy()]).status,
        Some(1)
    );
}

#[test]
fn what_was_restored_opens_without_a_warning_and_has_nothing_to_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy, back) = (
        folder.path().join("data"),
        folder.path().join("copy"),
        folder.path().join("back"),
    );
    // Segments of the smallest size, so that most are sealed.
    filled_with(&data, &["--segment-bytes", "16384"]);
    on(&data, &["backup", &copy.to_string_lossy()]).done();
    on(&back, &["restore", &copy.to_string_lossy()]).done();
    let names = |ending: &str| {
        let mut names: Vec<String> = std::fs::read_dir(back.join("log"))
            .expect("the log")
            .map(|entry| entry.expect("a file").file_name())
            .filter_map(|name| {
                name.to_string_lossy()
                    .strip_suffix(ending)
                    .map(str::to_owned)
            })
            .collect();
        names.sort();
        names
    };
    let segments = names(".seg");
    assert!(segments.len() > 3, "{segments:?}");
    assert_eq!(names(".idx"), segments, "every segment has its footer");
    let server = Server::start(&back, &[]);
    let words = server.words();
    let warnings: Vec<&str> = words.lines().filter(|line| line.contains("WARN")).collect();
    assert!(
        matches!(warnings[..], [of_keys] if of_keys.contains("gets new ones")),
        "of the keys alone, which are not in a backup: {words}"
    );
    assert!(server.stop().success());
    on(&back, &["verify"]).done();
    assert_eq!(events(&back), events(&data));
}

#[test]
fn a_restore_that_fails_says_why_once_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    filled(&data);
    on(&data, &["backup", &copy.to_string_lossy()]).done();
    let name = flip(&copy);
    let (made, there) = (folder.path().join("a/b"), folder.path().join("there"));
    std::fs::create_dir(&there).expect("a folder");
    std::fs::write(there.join("keys"), "of another log, and to be kept").expect("a file");
    for back in [&made, &there] {
        let refused = on(back, &["restore", &copy.to_string_lossy()]);
        assert_eq!(refused.status, Some(1), "{}", refused.stderr);
        assert_eq!(
            refused.stderr.matches(&name).count(),
            1,
            "{}",
            refused.stderr
        );
        assert!(refused.stderr.contains("its digest"), "{}", refused.stderr);
    }
    assert!(!folder.path().join("a").exists(), "what was made goes");
    assert!(there.join("keys").exists(), "what was there stays");
    assert!(!there.join("log").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_service_is_a_whole_beginning_of_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy, back) = (
        folder.path().join("data"),
        folder.path().join("copy"),
        folder.path().join("back"),
    );
    filled(&data);
    let server = Server::start(&data, &[]);
    let operator = server.token("otto", "operator");
    let bob = server.token("bob", "member");
    // Messages go on while the copy is made; the copy is asked for once the first of them are answered.
    let url = format!("{}/v1/messages", server.url);
    let (first, begun) = tokio::sync::oneshot::channel();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let sending = tokio::spawn(async move {
        let client = reqwest::Client::new();
        let mut first = Some(first);
        let mut sent = 0_u32;
        while stopped.try_recv().is_err() {
            let body = json!({"to": "ann", "text": format!("while it runs {sent}")});
            let answer = client
                .post(&url)
                .bearer_auth(&bob)
                .json(&body)
                .send()
                .await
                .expect("an answer");
            assert!(
                matches!(answer.status().as_u16(), 201 | 429),
                "{}",
                answer.status()
            );
            sent += 1;
            if let Some(first) = first.take() {
                first.send(()).expect("somebody waits");
            }
        }
        sent
    });
    begun.await.expect("messages are sent");
    let (url, to) = (server.url.clone(), copy.to_string_lossy().into_owned());
    let made = tokio::task::spawn_blocking(move || {
        program::run(["verify", "--url", &url, "--token", &operator]).done();
        program::run(["backup", &to, "--url", &url, "--token", &operator]).done()
    });
    made.await.expect("a backup");
    stop.send(()).expect("it sends");
    assert!(sending.await.expect("it ends") > 0);
    assert!(server.stop().success());
    on(&back, &["restore", &copy.to_string_lossy()]).done();
    on(&back, &["verify"]).done();
    let (whole, part) = (events(&data), events(&back));
    assert!(
        part.len() > 200 && part.len() <= whole.len(),
        "{} of {}",
        part.len(),
        whole.len()
    );
    assert_eq!(part, whole[..part.len()]);
}

#[test]
fn a_flipped_bit_is_told_with_its_place_and_never_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let name = flip(&data);
    let ended = on(&data, &["verify"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&name), "{}", ended.stderr);
    let report = ended.json();
    assert_eq!(report["ok"], json!(false));
    let told = report["error"].as_str().expect("what is wrong");
    assert!(told.contains(&name) && told.contains(" at byte "), "{told}");
    let served = on(&data, &["events"]);
    assert!(
        !served.stdout.contains("lessage") && !served.stdout.contains("message 100,"),
        "damage was served"
    );
    assert_ne!(served.status, Some(0));
    let refused = program::ended(
        program::doorstep(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data),
    );
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains(&name), "{}", refused.stderr);
}

/// Flips one bit of the text of a message in the middle of the log. Gives the file's name.
pub(crate) fn flip(data: &Path) -> String {
    let needle = b"message 100, with some words";
    let (file, at) = std::fs::read_dir(data.join("log"))
        .expect("the log")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .find_map(|path| {
            let bytes = std::fs::read(&path).expect("a file");
            let at = bytes
                .windows(needle.len())
                .position(|window| window == needle)?;
            Some((path, at as u64))
        })
        .expect("the message is in a file of the log");
    let segment = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&file)
        .expect("the segment");
    let mut byte = [0];
    segment.read_exact_at(&mut byte, at).expect("a byte");
    segment.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
    let name = file.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

#[test]
fn of_a_running_service_whose_log_was_damaged_no_backup_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    filled(&data);
    let server = Server::start(&data, &[]);
    let operator = server.token("otto", "operator");
    let name = flip(&data);
    let remote = ["--url", &server.url, "--token", &operator];
    let to = copy.to_string_lossy();
    let refused = program::run([&["backup", &*to][..], &remote].concat());
    assert_eq!(refused.status, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains(" 500 "), "{}", refused.stderr);
    assert!(refused.stderr.contains(", damaged: "), "{}", refused.stderr);
    assert!(
        refused.stderr.contains(&name) && refused.stderr.contains(" at byte "),
        "{}",
        refused.stderr
    );
    assert!(!copy.exists());
    let running = program::run([&["verify"][..], &remote].concat());
    assert!(server.stop().success());
    let at_rest = on(&data, &["verify"]);
    assert_eq!((running.status, at_rest.status), (Some(1), Some(1)));
    let (running, at_rest) = (running.json(), at_rest.json());
    assert_eq!(
        (&running["ok"], &at_rest["ok"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(running["error"], at_rest["error"]);
    let told = running["error"].as_str().expect("what is wrong");
    assert!(told.contains(&name) && told.contains(" at byte "), "{told}");
}

#[test]
fn a_torn_tail_at_rest_is_told_and_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let whole = on(&data, &["verify"]).done().json();
    assert_eq!(whole["torn"], Value::Null);
    assert_eq!(whole["segments"], json!(1));
    let file = data.join("log/00000000000000000001.seg");
    let mut bytes = std::fs::read(&file).expect("the segment");
    let end = usize::try_from(whole["bytes"].as_u64().expect("bytes")).expect("a size");
    bytes.resize(bytes.len().max(end + 48), 0);
    bytes[end + 8..end + 48].fill(0xa5);
    std::fs::write(&file, bytes).expect("the segment");
    let torn = on(&data, &["verify"]).done().json();
    assert_eq!(torn["ok"], json!(true));
    let place = json!({"file": file.to_string_lossy(), "offset": end, "bytes": 48});
    assert_eq!(torn["torn"], place);
    assert_eq!(torn["events"], whole["events"]);
}

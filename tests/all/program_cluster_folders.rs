//! The folder of a service over a cluster, and a folder that is copied into: no log is begun beside what was made from another
//! one, and half a copy is served by nobody.

use std::path::Path;
use std::sync::Arc;

use event_store::{Position, RecordedEvent, hold_folder};
use serde_json::json;
use tests::cluster::Log;
use tests::copying::{copy, fill, folder, mixed};
use tests::front::{Front, Fronted};
use tests::program::{self, Ended, Server};

use crate::program_care::{filled, on};

fn refused(ended: &Ended, status: i32, words: &[&str]) {
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    for words in words {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

fn serve(data: &Path) -> Ended {
    on(data, &["serve", "--listen", "127.0.0.1:0"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_leaves_the_folder_of_a_service_over_a_cluster_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, node_s) = (dir.path().join("data"), dir.path().join("node"));
    fill(&data, 0..20, mixed).await;
    let log = Log::new();
    let node = log.serve(71);
    let store = ["--store", &node.at()];
    let server = Server::start(&node_s, &store);
    let held = copy(&folder(&data), &folder(&node_s));
    refused(&held, 1, &["made from another log", "another folder"]);
    assert!(!node_s.join("log").exists(), "none is begun");
    assert!(server.stop().success());
    // Nor when the service does not run.
    let at_rest = copy(&folder(&data), &folder(&node_s));
    refused(&at_rest, 1, &["made from another log", "another folder"]);
    assert!(!node_s.join("log").exists(), "none is begun");

    // What a program that began with the folder has left is no log.
    std::fs::create_dir(node_s.join("log")).expect("a folder");
    refused(&serve(&node_s), 2, &["--store", "no log"]);
    let server = Server::start(&node_s, &store);
    assert!(server.stop().success());
    let left = std::fs::read_dir(node_s.join("log")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_somebody_holds_gets_no_log_from_a_copy() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, other) = (dir.path().join("data"), dir.path().join("other"));
    fill(&data, 0..20, mixed).await;
    std::fs::create_dir(&other).expect("a folder");
    let held = hold_folder(&other).expect("nobody else holds it");
    let copied = copy(&folder(&data), &folder(&other));
    refused(&copied, 1, &["in use by process"]);
    assert!(!other.join("log").exists());
    drop(held);
    copy(&folder(&data), &folder(&other)).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_is_begun_where_an_import_into_a_cluster_was_and_what_is_advised_there_works() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let log = Log::new();
    let node = log.serve(72);
    on(&data, &["import", "/dev/null", "--store", &node.at()]).done();
    assert!(data.join("write").is_dir() && !data.join("views").exists());
    refused(&serve(&data), 2, &["--store", "no log"]);
    refused(&on(&data, &["import", "/dev/null"]), 2, &["--store"]);
    assert!(!data.join("log").exists());

    for command in ["views list", "raise-level"] {
        let command: Vec<&str> = command.split(' ').collect();
        on(&data, &[&command[..], &["--store", &node.at()]].concat()).done();
    }
    let backup = dir.path().join("backup").to_string_lossy().into_owned();
    let own = "the cluster's own means";
    for (command, advice) in [
        (&["verify"][..], own),
        (&["backup", &backup], own),
        (&["views", "list"], "--store"),
        (&["raise-level"], "--store"),
        (&["events"], "--url"),
        (&["audit", "member", "ann"], "--url"),
    ] {
        let told = on(&data, command);
        refused(&told, 1, &["holds no log", advice]);
        assert_eq!(
            told.stderr.contains("--url"),
            advice == "--url",
            "{}",
            told.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_over_a_cluster_says_that_it_has_no_backup() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let log = Log::new();
    let node = log.serve(73);
    let server = Server::start(&data, &["--store", &node.at()]);
    let operator = server.token("otto", "operator");
    let dest = dir.path().join("backup");
    let dest_s = dest.to_string_lossy();
    let at = ["--url", &server.url, "--token", &operator];
    let backup = program::run([&["backup", &dest_s][..], &at].concat());
    let own = "check it and back it up with the cluster's own means";
    refused(&backup, 1, &["409", "log_elsewhere", own]);
    assert!(!dest.exists());
    let verify = program::run([&["verify"][..], &at].concat());
    refused(&verify, 1, &[own]);
    assert!(server.stop().success());
}

/// A cluster that tells a version too high from some event on, so that no log takes what it tells.
struct Skips;

impl Front for Skips {
    fn shows(&self, event: RecordedEvent) -> RecordedEvent {
        if event.position() < Position(60) {
            return event;
        }
        let stream = event.stream_name().expect("a name");
        let (place, time) = (event.position(), event.recorded_at_ms());
        RecordedEvent::record(place, time, &stream, event.version() + 1, &event.to_new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_copy_is_used_by_nobody_until_it_is_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    let (data, target) = (path("data"), path("target"));
    filled(&data);
    let log = Log::new();
    let plain = log.serve(74);
    copy(&folder(&data), &plain.at()).done();
    let skips = log.serve_over(Fronted::over(Arc::clone(&log.store), Skips), 74);
    let half = copy(&skips.at(), &folder(&target));
    assert_eq!(half.status, Some(1), "{}", half.stderr);
    let events = |data: &Path| {
        let checked = on(data, &["verify"]).done().json();
        checked["events"].as_u64().expect("a number")
    };
    let (there, whole) = (events(&target), events(&data));
    let told = on(&target, &["verify"]).done();
    assert!(told.stderr.contains("first part"), "{}", told.stderr);
    assert!(0 < there && there < whole, "{there} of {whole}");

    let words = ["was not finished", "copying", "run the same"];
    refused(&serve(&target), 1, &words);
    refused(&on(&target, &["import", "/dev/null"]), 1, &words);
    let backup = path("backup").to_string_lossy().into_owned();
    refused(&on(&target, &["backup", &backup]), 1, &words);
    refused(&on(&target, &["raise-level"]), 1, &words);
    let on_from_it = copy(&folder(&target), &folder(&path("third")));
    refused(&on_from_it, 1, &words);
    assert!(!path("backup").exists() && !path("third").exists());
    assert_eq!(events(&target), there, "nothing was written");

    let told = copy(&plain.at(), &folder(&target)).done().json();
    assert_eq!(told["equal"], json!(true), "{told}");
    assert!(!target.join("copying").exists());
    assert_eq!(events(&target), whole);
    let server = Server::start(&target, &[]);
    assert!(server.stop().success());
}

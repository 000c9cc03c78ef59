//! `doorstep copy`: from a data folder to a store behind the protocol, back, and on after whatever ended it.
//!
//! The store is `doorstep store` as a process of its own, or the same server in this one where a test has to see how far a
//! copy has come. A killed copy is killed as `kill -9` does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_store::{EmbeddedStore, Options, Position, RecordedEvent};
use reqwest::Client;
use serde_json::{Value, json};
use tests::cluster::Log;
use tests::copying::{
    Copying, append, at_rest, copy, digests, fill, folder, mixed, options, reaches, store,
};
use tests::front::{Front, Fronted};
use tests::program::{self, Server};

use crate::program_care::filled;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_goes_to_a_store_and_back_event_for_event() {
    let dir = tempfile::tempdir().expect("a folder");
    let (first, behind, last) = (
        dir.path().join("first"),
        dir.path().join("behind"),
        dir.path().join("last"),
    );
    fill(&first, 0..230, mixed).await;
    let own = at_rest(&first).await;
    let (server, at) = store(&behind);

    let there = copy(&folder(&first), &at).done().json();
    assert_eq!(there["equal"], true, "{there}");
    assert_eq!(
        (&there["from"]["events"], &there["to"]["events"]),
        (&json!(230), &json!(230))
    );
    assert_eq!(there["from"]["sha256"], there["to"]["sha256"]);
    assert_ne!(there["from"]["log_id"], there["to"]["log_id"]);
    assert_eq!(
        (
            &there["copied"],
            &there["left_out"],
            &there["recorded_later"],
            &there["schema_level"]
        ),
        (&json!(230), &json!(0), &json!(0), &json!(1)),
        "the level of a log that is older than the program stays"
    );

    let again = copy(&folder(&first), &at).done().json();
    assert_eq!(
        (&again["copied"], &again["equal"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(again["to"], there["to"], "the same log, untouched");

    let back = copy(&at, &folder(&last)).done().json();
    assert_eq!(back["equal"], true, "{back}");
    assert_eq!(back["from"], there["to"]);
    assert_eq!(back["to"]["sha256"], there["from"]["sha256"]);
    assert_eq!(back["schema_level"], 1);
    assert!(server.stop().success());

    let returned = at_rest(&last).await;
    assert_eq!(digests(&returned), digests(&own));
    let places = |events: &[RecordedEvent]| -> Vec<Position> {
        events.iter().map(RecordedEvent::position).collect()
    };
    assert_eq!(places(&returned), places(&own));
    let checked = program::run(["verify", "--data", &last.to_string_lossy()]).done();
    assert_eq!(checked.json()["events"], 230);

    // The folder behind the store has what says which log it is, too; that is no event of the log.
    let fourth = dir.path().join("fourth");
    let behind = copy(&folder(&behind), &folder(&fourth)).done().json();
    assert_eq!(
        (&behind["to"]["sha256"], &behind["left_out"]),
        (&there["from"]["sha256"], &json!(1))
    );

    let third = dir.path().join("third");
    let between = copy(&folder(&last), &folder(&third)).done().json();
    assert_eq!(between["to"]["sha256"], there["from"]["sha256"]);
    assert_ne!(between["to"]["log_id"], between["from"]["log_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_between_two_stores_is_the_same_too_and_leaves_out_what_is_not_doorsteps() {
    let (one, other) = (Log::new(), Log::new());
    let (first, second) = (one.serve(11), other.serve(12));
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    fill(&data, 0..50, mixed).await;
    copy(&folder(&data), &first.at()).done();
    append(&*one.store, 50..53, |_| "orders-1".to_owned()).await;
    append(&*one.store, 53..60, mixed).await;

    let copied = copy(&first.at(), &second.at()).done();
    let told = copied.json();
    assert_eq!(
        (&told["equal"], &told["copied"], &told["left_out"]),
        (&json!(true), &json!(57), &json!(3)),
        "{told}"
    );
    assert!(
        copied.stderr.contains("3 events") && copied.stderr.contains("left out"),
        "{}",
        copied.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_goes_on_where_it_was_and_ends_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    // No two neighbours of one stream: an append for each.
    fill(&data, 0..800, |number| {
        format!("conversation-{}", number % 7)
    })
    .await;
    let log = Log::new();
    let node = log.serve(13);
    let mut stood = 0;
    for reached in [1, 40, 300] {
        let copying = Copying::begin(&folder(&data), &node.at(), &[]);
        reaches(&log, stood + reached).await;
        copying.kill();
        stood = log.store.durable_position().0;
        assert!(stood < 800, "in the middle");
    }
    let told = copy(&folder(&data), &node.at()).done().json();
    assert_eq!(told["equal"], true, "{told}");
    assert_eq!(told["from"]["events"], 800);
    let copied = told["copied"].as_u64().expect("a number");
    assert!(0 < copied && copied < 800, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_into_a_folder_goes_on_after_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, target) = (dir.path().join("data"), dir.path().join("target"));
    fill(&data, 0..1_000, mixed).await;
    for file in ["log", "log/identity", "log/mark"] {
        let mut copying = Copying::begin(&folder(&data), &folder(&target), &[]);
        while !target.join(file).exists() && !copying.has_ended() {
            std::thread::yield_now();
        }
        drop(copying);
    }
    let told = copy(&folder(&data), &folder(&target)).done().json();
    assert_eq!(told["equal"], true, "{told}");
    assert_eq!(
        digests(&at_rest(&target).await),
        digests(&at_rest(&data).await)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_the_source_since_is_caught_up_with_from_within_a_batch() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, target) = (dir.path().join("data"), dir.path().join("target"));
    let one_stream = |_| "member-ann".to_owned();
    let log = Log::new();
    let node = log.serve(14);
    fill(&data, 0..5, one_stream).await;
    for to in [node.at(), folder(&target)] {
        assert_eq!(copy(&folder(&data), &to).done().json()["copied"], 5);
    }
    // With the five of before an append would have these; the first eleven of them stand in the target alone.
    fill(&data, 5..37, one_stream).await;
    for to in [node.at(), folder(&target)] {
        let copied = copy(&folder(&data), &to).done();
        let told = copied.json();
        assert_eq!(
            (&told["copied"], &told["equal"]),
            (&json!(32), &json!(true)),
            "{told}"
        );
        assert!(
            copied.stderr.contains("5 events stand"),
            "{}",
            copied.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_has_an_empty_copy() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, target) = (dir.path().join("data"), dir.path().join("target"));
    fill(&data, 0..0, mixed).await;
    let log = Log::new();
    let node = log.serve(15);
    for to in [node.at(), folder(&target)] {
        let told = copy(&folder(&data), &to).done().json();
        assert_eq!(
            (&told["to"]["events"], &told["equal"]),
            (&json!(0), &json!(true)),
            "{told}"
        );
    }
    assert!(at_rest(&target).await.is_empty());
}

/// The files below a folder with what is in them.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_holds_something_else_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    fill(&data, 0..20, mixed).await;

    let other = dir.path().join("other");
    fill(&other, 0..3, |_| "policy".to_owned()).await;
    let beyond = dir.path().join("beyond");
    copy(&folder(&data), &folder(&beyond)).done();
    fill(&beyond, 20..21, mixed).await;
    for (target, words) in [(&other, "holds something else"), (&beyond, "goes on where")] {
        let before = contents(target);
        let refused = copy(&folder(&data), &folder(target));
        assert_eq!(refused.status, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(refused.stderr.contains("nothing was written"));
        assert!(refused.stdout.is_empty());
        assert!(before == contents(target), "not a byte");
    }

    let log = Log::new();
    let node = log.serve(16);
    copy(&folder(&other), &node.at()).done();
    let position = log.store.durable_position();
    let refused = copy(&folder(&data), &node.at());
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("holds something else"));
    assert_eq!(log.store.durable_position(), position);

    // A store whose log has later events already cannot keep the times of these.
    let later = Log::new();
    let node = later.serve(23);
    append(&*later.store, 0..1, |_| "orders-1".to_owned()).await;
    let refused = copy(&folder(&data), &node.at());
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("recorded before the last"),
        "{}",
        refused.stderr
    );
    assert_eq!(later.store.durable_position(), Position(1));

    let newer = dir.path().join("newer");
    let level = Options {
        schema_level: 2,
        ..options()
    };
    EmbeddedStore::open(&newer, level).expect("a log").close();
    let refused = copy(&folder(&data), &folder(&newer));
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("schema level"),
        "{}",
        refused.stderr
    );

    let backup = dir.path().join("backup");
    let (from, to) = (data.to_string_lossy(), backup.to_string_lossy());
    program::run(["backup", &to, "--data", &from]).done();
    let refused = copy(&folder(&data), &folder(&backup));
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("backup"), "{}", refused.stderr);
    // Read, it is as good as the log.
    let restored = dir.path().join("restored");
    let told = copy(&folder(&backup), &folder(&restored)).done().json();
    assert_eq!(told["equal"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_not_copied_onto_itself_nor_from_nowhere_nor_while_it_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    fill(&data, 0..3, mixed).await;
    let itself = format!("embedded:{}/../data", data.display());
    let refused = copy(&folder(&data), &itself);
    assert_eq!(refused.status, Some(2));
    assert!(
        refused.stderr.contains("the same log"),
        "{}",
        refused.stderr
    );

    let log = Log::new();
    let node = log.serve(17);
    copy(&folder(&data), &node.at()).done();
    let by_name = node.at().replace("127.0.0.1", "localhost");
    let refused = copy(&node.at(), &by_name);
    assert_eq!(refused.status, Some(2));
    assert!(
        refused.stderr.contains("the same log"),
        "{}",
        refused.stderr
    );

    let (nowhere, target) = (dir.path().join("nowhere"), dir.path().join("target"));
    let refused = copy(&folder(&nowhere), &folder(&target));
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("holds no log"),
        "{}",
        refused.stderr
    );
    let empty = Log::new();
    let none = empty.serve(18);
    let refused = copy(&none.at(), &folder(&target));
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("holds no log"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        empty.store.durable_position(),
        Position::START,
        "none is begun"
    );
    assert!(!nowhere.exists() && !target.exists());

    let (server, _) = store(&data);
    let refused = copy(&folder(&data), &folder(&target));
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("in use"), "{}", refused.stderr);
    assert!(server.stop().success());

    for (from, words) in [
        ("embedded:", "needs the data folder"),
        ("here", "neither"),
        ("esdb://", ""),
    ] {
        let refused = copy(from, &folder(&target));
        assert_eq!(refused.status, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(refused.stderr.contains("--from"), "{}", refused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_waits_for_a_store_that_starts_anew_and_not_for_ever() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    fill(&data, 0..800, |number| {
        format!("conversation-{}", number % 7)
    })
    .await;
    let log = Log::new();
    let mut node = log.serve(19);

    let copying = Copying::begin(&folder(&data), &node.at(), &["--wait", "1s"]);
    reaches(&log, 100).await;
    node.kill().await;
    let ended = copying.ended();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("waiting for"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("run the same command again"),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.is_empty());
    let stood = log.store.durable_position().0;

    node.start();
    let copying = Copying::begin(&folder(&data), &node.at(), &["--wait", "5m"]);
    reaches(&log, stood + 100).await;
    node.kill().await;
    node.start();
    let ended = copying.ended().done();
    assert_eq!(ended.json()["equal"], true, "{}", ended.stdout);
    assert_eq!(ended.json()["to"]["events"], 800);
}

/// A cluster whose second leader has a clock that is behind the first one's.
struct Falls;

impl Front for Falls {
    fn shows(&self, event: RecordedEvent) -> RecordedEvent {
        if event.position() < Position(12) {
            return event;
        }
        let stream = event.stream_name().expect("a name");
        let (place, time) = (event.position(), event.recorded_at_ms() - 1_000_000);
        RecordedEvent::record(place, time, &stream, event.version(), &event.to_new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_recording_that_fall_are_held_at_the_last_and_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, target) = (dir.path().join("data"), dir.path().join("target"));
    fill(&data, 0..20, mixed).await;
    let (log, other) = (Log::new(), Log::new());
    let plain = log.serve(21);
    copy(&folder(&data), &plain.at()).done();
    let fallen = log.serve_over(Fronted::over(Arc::clone(&log.store), Falls), 21);
    let there = other.serve(22);
    for to in [folder(&target), there.at()] {
        let told = copy(&fallen.at(), &to).done().json();
        // Which log it is stands before the events.
        assert_eq!(
            (&told["equal"], &told["recorded_later"]),
            (&json!(true), &json!(10)),
            "{told}"
        );
        let again = copy(&fallen.at(), &to).done().json();
        assert_eq!(again["copied"], 0, "{again}");
    }
    let held = at_rest(&target).await;
    let times = held.iter().map(RecordedEvent::recorded_at_ms);
    assert!(times.is_sorted());
}

/// What ann is shown, once the views have come to what she did last.
async fn shown(server: &Server, token: &str) -> [Value; 2] {
    let client = Client::new();
    let at = |path: &str| format!("{}/v1/{path}", server.url);
    let setting = client.put(at("me/dm-setting")).bearer_auth(token);
    let setting = setting.json(&json!({"audience": "friends"})).send().await;
    let setting = setting.expect("an answer").json::<Value>().await;
    let setting = setting.expect("JSON");
    let position = setting["position"].as_str().expect("a position");
    let ask = async |path: String| -> Value {
        let answer = client.get(at(&path)).bearer_auth(token).send().await;
        let answer = answer.expect("an answer").json::<Value>().await;
        answer.expect("JSON")
    };
    let inbox = ask(format!("inbox?min_position={position}")).await;
    let talk = inbox["items"][0]["conversation_id"].as_str();
    let talk = talk.unwrap_or_else(|| panic!("a conversation: {inbox}"));
    let messages = format!("conversations/{talk}/messages?min_position={position}");
    let messages = ask(messages).await;
    [inbox["items"].clone(), messages["items"].clone()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_the_copy_shows_what_it_showed_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, back) = (dir.path().join("data"), dir.path().join("back"));
    filled(&data);
    let log = Log::new();
    let node = log.serve(20);
    copy(&folder(&data), &node.at()).done();
    copy(&node.at(), &folder(&back)).done();

    // Without positions of another scale the rows are the same to the byte.
    for view in ["inbox", "conversation"] {
        let verified = |data: &Path| {
            let data = data.to_string_lossy();
            let verified = program::run(["views", "verify", view, "--data", &data]);
            verified.done().json()
        };
        assert_eq!(verified(&back), verified(&data));
    }

    let old = Server::start(&data, &[]);
    let token = old.token("ann", "member");
    let before = shown(&old, &token).await;
    assert!(old.stop().success());
    // A new folder with the keys of the old one: tokens go on.
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    std::fs::copy(data.join("keys"), elsewhere.join("keys")).expect("the keys");
    let new = Server::start(&elsewhere, &["--store", &node.at()]);
    assert_eq!(shown(&new, &token).await, before);
    assert!(new.stop().success());
}

//! `doorstep views`, over a folder at rest and a running service; and the schedule.

use std::path::Path;
use std::sync::Arc;

use event_store::EmbeddedStore;
use serde_json::{Value, json};
use tests::program::{self, Ended, Server};

use crate::program_care::{filled, on};

/// `views` of a running service.
pub(crate) fn at(server: &Server, token: &str, arguments: &[&str]) -> Ended {
    let mut command = program::doorstep(["views"]);
    command.args(arguments);
    command.args(["--url", &server.url, "--token", token]);
    program::ended(&mut command)
}

/// The view of that name in a list.
pub(crate) fn item(list: &Value, view: &str) -> Value {
    let items = list["items"].as_array().expect("items");
    let mut named = items.iter().filter(|item| item["name"] == view);
    named.next().expect("the view").clone()
}

/// What lies in the folder of the views, in order.
pub(crate) fn files(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("views")).expect("the views");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Every command that a view is taken care of with, one after the other: what it answers and what it leaves.
fn taken_care_of(run: impl Fn(&[&str]) -> Ended) {
    let list = run(&["list"]).done().json();
    let items = list["items"].as_array().expect("items");
    assert_eq!(items.len(), projections::names().len(), "{list}");
    let inbox = item(&list, "inbox");
    assert_eq!(
        (&inbox["state"], &inbox["previous"]),
        (&json!("live"), &Value::Null)
    );
    let verified = run(&["verify", "inbox"]).done().json();
    assert_eq!(
        (
            &verified["name"],
            &verified["kind"],
            &verified["equal"],
            &verified["error"]
        ),
        (
            &json!("inbox"),
            &json!("verify"),
            &json!(true),
            &Value::Null
        )
    );
    let rebuilt = run(&["rebuild", "inbox"]).done().json();
    assert_eq!(rebuilt["kind"], "rebuild");
    for field in ["position", "rows", "sha256", "equal"] {
        assert_eq!(rebuilt[field], verified[field], "{field}");
    }
    assert_ne!(
        item(&run(&["list"]).done().json(), "inbox")["previous"],
        Value::Null
    );
    let back = run(&["rebuild", "inbox", "--rollback"]).done().json();
    assert_eq!(back["name"], "inbox");
    assert_ne!(back["previous"], Value::Null);
    let dropped = run(&["rebuild", "inbox", "--drop-previous"]).done().json();
    assert_eq!(dropped["previous"], Value::Null);
    for nothing in ["--rollback", "--drop-previous"] {
        let refused = run(&["rebuild", "inbox", nothing]);
        assert_eq!(refused.status, Some(1), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("earlier file"),
            "{}",
            refused.stderr
        );
        assert_eq!(refused.stdout, "");
    }
    let unknown = run(&["verify", "outbox"]);
    assert_eq!(unknown.status, Some(2));
    assert!(
        unknown.stderr.contains("there are inbox, requests"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn views_are_listed_proved_and_made_anew_at_rest_and_of_a_running_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    let events = on(&data, &["events"]).done().stdout;
    taken_care_of(|arguments| on(&data, &[&["views"], arguments].concat()));
    assert_eq!(
        on(&data, &["events"]).done().stdout,
        events,
        "the log is as it was"
    );
    let server = Server::start(&data, &[]);
    let (operator, member) = (
        server.token("otto", "operator"),
        server.token("ann", "member"),
    );
    taken_care_of(|arguments| at(&server, &operator, arguments));
    let held = on(&data, &["views", "verify", "inbox"]);
    assert_eq!(held.status, Some(1));
    assert!(
        held.stderr.contains(&server.id().to_string()) && held.stderr.contains("--url"),
        "{}",
        held.stderr
    );
    let forbidden = at(&server, &member, &["list"]);
    assert_eq!(forbidden.status, Some(1));
    assert!(
        forbidden.stderr.contains("forbidden"),
        "{}",
        forbidden.stderr
    );
    assert!(server.stop().success());
    let files = files(&data);
    assert_eq!(files.len(), projections::names().len(), "{files:?}");
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    for (arguments, words) in [
        (&["views"][..], "ACTION"),
        (&["views", "mend"], "mend"),
        (&["views", "verify"], "NAME"),
        (&["views", "list", "inbox"], "takes no NAME"),
        (&["views", "verify", "inbox", "--rollback"], "--rollback"),
        (
            &["views", "rebuild", "inbox", "--rollback", "--drop-previous"],
            "at once",
        ),
        (&["views", "list", "--url", "http://127.0.0.1:1"], "--token"),
        (&["serve", "--verify-views-every", "5s"], "60s at least"),
    ] {
        let ended = program::run(arguments);
        assert_eq!(ended.status, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(words),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = on(&folder.path().join("data"), &["views", "list"]);
    assert_eq!(nothing.status, Some(1));
    assert!(
        nothing.stderr.contains("holds no log"),
        "{}",
        nothing.stderr
    );
    assert!(!folder.path().join("data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_found_by_hand_and_by_the_schedule_told_counted_and_made_good() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    on(&data, &["views", "list"]).done();
    {
        let options = event_store::Options {
            schema_level: domain::codec::LEVEL,
            ..event_store::Options::default()
        };
        let store = EmbeddedStore::open(&data, options).expect("the log");
        tests::mistaken::plant(Arc::new(store.clone()), &data.join("views"), "inbox").await;
        store.close();
    }
    let found = on(&data, &["views", "verify", "inbox"]);
    assert_eq!(found.status, Some(1), "{}", found.stderr);
    assert_eq!(found.json()["equal"], false);
    assert!(found.stderr.contains("rebuild inbox"), "{}", found.stderr);

    let server = Server::start(&data, &["--verify-views-every", "60s", "--log", "info"]);
    let _ = server.line_with(&["ERROR", "inbox", "not what the log gives"]);
    let _ = server.line_with(&["INFO", "requests", "what the log gives"]);
    let metrics = reqwest::get(format!("{}/metrics", server.url)).await;
    let metrics = metrics.expect("an answer").text().await.expect("text");
    let counted = |name: &str, view: &str| {
        let series = format!("doorstep_view_{name}_total{{view=\"{view}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        value.expect("a value").parse::<u64>().expect("a number")
    };
    for (name, view, found) in [
        ("verified", "inbox", true),
        ("differences", "inbox", true),
        ("verified", "requests", true),
        ("differences", "requests", false),
    ] {
        assert_eq!(counted(name, view) > 0, found, "{name} {view}: {metrics}");
    }
    let operator = server.token("otto", "operator");
    assert_eq!(at(&server, &operator, &["verify", "inbox"]).status, Some(1));
    let rebuilt = at(&server, &operator, &["rebuild", "inbox"]).done();
    assert!(
        rebuilt.stderr.contains("those that are served now are"),
        "{}",
        rebuilt.stderr
    );
    at(&server, &operator, &["verify", "inbox"]).done();
    assert!(server.stop().success());
}

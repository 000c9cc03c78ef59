//! What an operator does with a log that is elsewhere: a data folder is one process's and one log's, `import`, `views` and
//! the sample work, and the schema level is raised while services run.

use std::path::Path;
use std::time::Duration;

use domain::codec::LEVEL;
use event_store::EventStore as _;
use kurrent::client::{Connection, KurrentStore, Options, Streams};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tests::cluster::Log;
use tests::program::{self, Ended, Server};

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(2);

/// The program with this command over a data folder and a store.
fn over(data: &Path, at: &str, command: &[&str]) -> Ended {
    let data = data.to_string_lossy();
    program::run([command, &["--data", &data, "--store", at]].concat())
}

/// How many events the log has, as an auditor reads it.
async fn events(server: &Server) -> usize {
    let lines = Client::new()
        .get(format!("{}/v1/events", server.url))
        .bearer_auth(server.token("ada", "auditor"))
        .header("Accept", "application/x-ndjson")
        .send();
    let lines = lines.await.expect("an answer").text().await.expect("lines");
    lines.lines().count()
}

/// The status by which the service lets an auditor look at a member's requests.
async fn looked(server: &Server, auditor: &str, member: &str) -> StatusCode {
    let answer = Client::new()
        .get(format!("{}/v1/audit/members/{member}/requests", server.url))
        .bearer_auth(auditor)
        .send();
    answer.await.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_one_process_s_wherever_its_log_is() {
    let log = Log::new();
    let node = log.serve(61);
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &["--store", &node.at()]);
    let id = server.id().to_string();
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["views", "list"],
        &["import", "-"],
    ] {
        let refused = over(data.path(), &node.at(), command);
        assert_eq!(refused.status, Some(1), "{}", refused.stderr);
        for words in [
            "is in use by process",
            &id,
            "(doorstep serve)",
            "stop it first",
        ] {
            assert!(refused.stderr.contains(words), "{}", refused.stderr);
        }
    }
    assert!(server.stop().success());
    // Without --store it is not the folder of a new log, in which every message would be missing.
    let folder = data.path().to_string_lossy();
    let refused = program::run(["serve", "--listen", "127.0.0.1:0", "--data", &folder]);
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--store"), "{}", refused.stderr);
    let server = Server::start(data.path(), &["--store", &node.at()]);
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_shows_the_log_that_it_is_given_and_no_other() {
    let (one, other) = (Log::new(), Log::new());
    let (one, other) = (one.serve(62), other.serve(63));
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &["--store", &one.at()]);
    server.register("ann").await;
    let last = server.register("bob").await;
    let auditor = server.token("ada", "auditor");
    assert_eq!(looked(&server, &auditor, "bob").await, StatusCode::OK);
    assert!(server.stop().success());
    let server = Server::start(data.path(), &["--store", &other.at()]);
    // Only the first policy is in it.
    assert_eq!(events(&server).await, 1);
    assert_eq!(
        looked(&server, &auditor, "bob").await,
        StatusCode::NOT_FOUND
    );
    server.register("ann").await;
    assert!(server.stop().success());
    for (at, members) in [(&other, ["ann"].as_slice()), (&one, &["ann", "bob"])] {
        let server = Server::start(data.path(), &["--store", &at.at()]);
        for member in members {
            assert_eq!(looked(&server, &auditor, member).await, StatusCode::OK);
        }
        assert!(server.stop().success());
        let views = over(data.path(), &at.at(), &["views", "verify", "members"]).done();
        assert_eq!(views.json()["equal"], true, "{}", views.stdout);
    }
    let server = Server::start(data.path(), &["--store", &one.at()]);
    assert_eq!(
        server.register("cat").await.cmp(&last),
        std::cmp::Ordering::Greater
    );
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_imported_into_a_cluster_and_the_sample_is_served_from_one() {
    let log = Log::new();
    let node = log.serve(64);
    let data = tempfile::tempdir().expect("a folder");
    let lines = data.path().join("lines");
    let text = r#"{"id": "c1", "at": "2004-01-01T00:00:00Z", "command": "RegisterMember", "member": "ann", "age_band": "adult"}
{"id": "c2", "at": "2004-01-01T00:00:00Z", "command": "RegisterMember", "member": "bob", "age_band": "adult"}
{"id": "c3", "at": "2004-01-01T00:00:00Z", "command": "ChangeDmSetting", "member": "ann", "audience": "everyone"}
{"id": "c4", "at": "2004-01-02T10:00:00Z", "command": "SendMessage", "member": "bob", "to": "ann", "text": "hi"}
{"id": "c5", "at": "2004-01-02T10:01:00Z", "command": "AcceptRequest", "member": "ann", "with": "bob"}
{"id": "c6", "at": "2004-01-02T10:02:00Z", "command": "DeleteRequest", "member": "ann", "with": "bob"}
"#;
    std::fs::write(&lines, text).expect("a file");
    let file = lines.to_string_lossy();
    let folder = data.path().join("data");
    let first = over(&folder, &node.at(), &["import", &file]).done().json();
    let summary = |name: &str| first[name].clone();
    assert_eq!(
        (summary("lines"), summary("carried_out")),
        (6.into(), 5.into())
    );
    assert_eq!(first["refused"]["already_accepted"], 1, "{first}");
    let before = doorsteps(&log).await;
    // Run again, it goes on where it was, which is the end.
    let again = over(&folder, &node.at(), &["import", &file]).done().json();
    assert_eq!(again, first);
    assert_eq!(doorsteps(&log).await, before, "nothing twice");
    let server = Server::start(&folder, &["--store", &node.at()]);
    let host = server.token("host", "service");
    let page = Client::new()
        .get(format!(
            "{}/v1/events?type=message-sent&member=ann",
            server.url
        ))
        .bearer_auth(host)
        .send();
    let page: Value = page.await.expect("an answer").json().await.expect("JSON");
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
    assert!(server.stop().success());
    // A sample is for a log of its own.
    let refused = over(
        &folder,
        &node.at(),
        &["serve", "--demo", "--listen", "127.0.0.1:0"],
    );
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("a cluster of its own"),
        "{}",
        refused.stderr
    );

    let log = Log::new();
    let node = log.serve(65);
    let sample = tempfile::tempdir().expect("a folder");
    let server = Server::start(sample.path(), &["--demo", "--store", &node.at()]);
    let member = server.token("58", "member");
    // The views may still be on their way through the sample.
    let requests = tokio::time::timeout(LONG, async {
        loop {
            let asked = Client::new().get(format!("{}/v1/requests", server.url));
            let answer = asked.bearer_auth(&member).send().await;
            let answer = answer.expect("an answer");
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                assert_eq!(answer.status(), StatusCode::OK);
                break answer.json::<Value>().await.expect("JSON");
            }
        }
    });
    let requests = requests.await.expect("they come to it");
    let items = requests["items"].as_array().expect("a list");
    assert!(!items.is_empty(), "{requests}");
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_of_a_cluster_s_log_is_raised_while_a_service_runs_over_it() {
    let log = Log::new();
    let node = log.serve(66);
    let at = node.at();
    let data = tempfile::tempdir().expect("a folder");
    let elsewhere = data.path().join("elsewhere");
    let raise = || over(&elsewhere, &at, &["raise-level"]);
    let none = raise();
    assert_eq!(none.status, Some(1), "{}", none.stderr);
    assert!(none.stderr.contains("holds no log"), "{}", none.stderr);
    // As an older program has begun it.
    let options = Options {
        streams: Streams::All,
        schema_level: 1,
    };
    let connection = Connection::parse(&at).expect("a connection string");
    let older = KurrentStore::open(connection.clone(), options).await;
    let older = older.expect("it answers");
    let server = Server::start(&data.path().join("data"), &["--store", &at]);
    server.line_with(&["doorstep raise-level"]);
    server.register("ann").await;
    let auditor = server.token("ada", "auditor");
    let refused = looked(&server, &auditor, "ann").await;
    assert!(!refused.is_success(), "older programs could not read it");
    let raised = raise().done().json();
    assert_eq!(raised["before"], 1, "{raised}");
    assert_eq!(raised["schema_level"], LEVEL, "{raised}");
    assert_eq!(raised["log_id"], older.log_id().to_string(), "{raised}");
    // The service takes it up by itself.
    let taken_up = tokio::time::timeout(LONG, async {
        while looked(&server, &auditor, "ann").await != StatusCode::OK {}
    });
    taken_up.await.expect("it takes it up");
    // The older program does no more with it, and does not open it again.
    let gone = tokio::time::timeout(LONG, async {
        while older.is_reached() {
            tokio::task::yield_now().await;
        }
    });
    gone.await.expect("it learns of it");
    let told = older.head(&tests::store::stream(1)).await;
    let told = told.expect_err("it is above it").to_string();
    assert!(told.contains("raised to schema level"), "{told}");
    let again = KurrentStore::open(connection, options).await;
    let told = again.err().expect("it is above it").to_string();
    assert!(told.contains("schema level"), "{told}");
    let again = raise().done().json();
    assert_eq!(
        (&again["before"], &again["schema_level"]),
        (&LEVEL.into(), &LEVEL.into())
    );
    assert!(!elsewhere.exists(), "it needs no folder");
    assert!(server.stop().success());
}

/// The events of the log that are Doorstep's, and not the adapter's own.
async fn doorsteps(log: &Log) -> Vec<(String, u64)> {
    let events = tests::store::all_events(&*log.store).await;
    let own = events
        .iter()
        .filter(|event| !event.stream().starts_with("doorstep-"));
    own.map(|event| (event.stream().to_owned(), event.version()))
        .collect()
}

//! What a view cannot apply, over real kills: set aside once, lost never, tried again, and done without by a service.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use event_store::{EmbeddedStore, EventStore as _, Options, Position, RecordedEvent};
use projections::ViewName;
use serde_json::{Value, json};
use tests::program::{self, Ended, Server};

use crate::program_care::{filled, on};

/// Conversations with an event that cannot be applied.
const BROKEN: usize = 6;
/// Messages behind each of those.
const BEHIND: usize = 300;

async fn log(data: &Path) -> (EmbeddedStore, Vec<RecordedEvent>) {
    let options = Options {
        schema_level: domain::codec::LEVEL,
        ..Options::default()
    };
    let store = EmbeddedStore::open(data, options).expect("the log");
    let events = tests::commands::log(&store).await;
    (store, events)
}

/// A folder at rest whose log holds, for each of some members who write to ann, a read mark that nobody can read, with
/// messages behind it. Gives the streams and versions of those marks.
async fn unreadable(data: &Path) -> Vec<(String, u64)> {
    filled(data);
    let at = "2004-01-02T10:00:00Z";
    let mut lines = String::new();
    let mut line = |line: Value| writeln!(lines, "{line}").expect("memory");
    for sender in 0..BROKEN {
        let from = format!("writer-{sender}");
        line(
            json!({"id": "c1", "at": at, "command": "RegisterMember", "member": from, "age_band": "adult"}),
        );
        line(
            json!({"id": format!("f{sender}"), "at": at, "command": "RecordRelationship", "member": "ann", "kind": "follow", "other": from}),
        );
        line(
            json!({"id": "m", "at": at, "command": "SendMessage", "member": from, "to": "ann", "text": "the first"}),
        );
    }
    for number in 0..BEHIND {
        for sender in 0..BROKEN {
            let from = format!("writer-{sender}");
            line(
                json!({"id": format!("m{number}"), "at": at, "command": "SendMessage", "member": from, "to": "ann", "text": "one more"}),
            );
        }
    }
    let file = data.with_extension("more.ndjson");
    std::fs::write(&file, lines).expect("the lines");
    on(data, &["import", &file.to_string_lossy()]).done();
    // The same log with a mark behind each first message, which only a log made by hand has.
    let (store, events) = log(data).await;
    store.close();
    let whole = data.with_extension("whole");
    std::fs::rename(data, &whole).expect("aside");
    std::fs::create_dir_all(data).expect("a folder");
    let (store, _) = log(data).await;
    let mut marks: Vec<(String, u64)> = Vec::new();
    for event in &events {
        let marked = marks.iter().any(|(stream, _)| stream == event.stream());
        let mut append = tests::commands::appends_of(std::slice::from_ref(event)).remove(0);
        if marked {
            append.expected = event_store::ExpectedVersion::Exact(event.version());
        }
        let stream = append.stream.clone();
        let ticket = store.append(append).await.expect("a place");
        ticket.durable().await.expect("durable");
        let firsts =
            event.event_type() == "message-sent.v1" && event.actor().starts_with("writer-");
        if firsts && !marked {
            let mut mark = tests::commands::copy_of(event);
            mark.event_id = uuid::Uuid::now_v7();
            mark.event_type = "read-marked.v1".into();
            mark.data = b"{}".as_slice().into();
            let append = event_store::Append {
                stream: stream.clone(),
                expected: event_store::ExpectedVersion::Exact(event.version()),
                events: vec![mark],
                reads: Vec::new(),
            };
            let ticket = store.append(append).await.expect("a place");
            ticket.durable().await.expect("durable");
            marks.push((stream.to_string(), event.version() + 1));
        }
    }
    store.close();
    assert_eq!(marks.len(), BROKEN);
    marks
}

fn at(server: &Server, token: &str, arguments: &[&str]) -> Ended {
    let mut command = program::doorstep(["views"]);
    command.args(arguments);
    command.args(["--url", &server.url, "--token", token]);
    program::ended(&mut command)
}

fn letters(list: &Value) -> (usize, usize) {
    let items = list["items"].as_array().expect("items");
    let of = |state: &str| items.iter().filter(|item| item["state"] == state).count();
    (of("failed"), of("waiting"))
}

fn item(list: &Value, view: &str) -> Value {
    let items = list["items"].as_array().expect("items");
    items
        .iter()
        .find(|item| item["name"] == view)
        .expect("the view")
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_while_events_are_set_aside_and_done_without_a_view_loses_none_and_applies_none_twice()
 {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let marks = unreadable(&data).await;
    // Killed at whatever it is at after so many looks at it.
    for looks in [0, 1, 2, 4, 7] {
        let server = Server::start(&data, &[]);
        let operator = server.token("otto", "operator");
        for _ in 0..looks {
            at(&server, &operator, &["list"]).done();
        }
        server.kill();
    }
    let at_rest = on(&data, &["views", "letters", "inbox"]).done().json();
    assert_eq!(letters(&at_rest), (BROKEN, BROKEN * BEHIND));
    let again = on(&data, &["views", "retry", "inbox"]).done().json();
    assert_eq!(
        (&again["failed"], &again["left_waiting"]),
        (&json!(BROKEN), &json!(BROKEN * BEHIND))
    );
    let list = on(&data, &["views", "list"]).done().json();
    assert_eq!(item(&list, "inbox")["failed"], BROKEN);
    assert_eq!(
        item(&list, "conversation")["failed"],
        0,
        "it wants no read marks"
    );

    for (done, (stream, version)) in marks.iter().enumerate() {
        let server = Server::start(&data, &[]);
        let operator = server.token("otto", "operator");
        let version = version.to_string();
        let skip = [
            "skip",
            "inbox",
            "--event-stream",
            stream,
            "--event-version",
            &version,
            "--reason",
            "unreadable",
        ];
        at(&server, &operator, &skip).done();
        // It answers within its time, however long the view takes to come there.
        let left = BROKEN - done - 1;
        loop {
            let list = at(&server, &operator, &["list"]).done().json();
            let inbox = item(&list, "inbox");
            if (&inbox["failed"], &inbox["waiting"]) == (&json!(left), &json!(left * BEHIND)) {
                break;
            }
        }
        server.kill();
    }
    let server = Server::start(&data, &[]);
    let operator = server.token("otto", "operator");
    // A kill goes back to what was durable; what the log says since comes again.
    while item(&at(&server, &operator, &["list"]).done().json(), "inbox")["state"] != "live" {}
    assert_eq!(
        letters(&at(&server, &operator, &["letters", "inbox"]).done().json()),
        (0, 0)
    );
    let verified = at(&server, &operator, &["verify", "inbox"]).done().json();
    assert_eq!(verified["equal"], true);
    // Every message is there once.
    let client = reqwest::Client::new();
    let inbox = client.get(format!("{}/v1/inbox", server.url));
    let inbox = inbox.bearer_auth(server.token("ann", "member"));
    let inbox: Value = inbox
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    for item in inbox["items"].as_array().expect("items") {
        if item["with"]
            .as_str()
            .expect("a member")
            .starts_with("writer-")
        {
            assert_eq!(item["last_message"]["number"], BEHIND + 1, "{item}");
            assert_eq!(item["unread"], BEHIND + 1, "{item}");
        }
    }
    server.kill();
    // What the log says, it says to a view that is made from nothing, and to another one with the same log.
    let views = data.join("views");
    std::fs::remove_dir_all(&views).expect("the views go");
    let list = on(&data, &["views", "list"]).done().json();
    assert_eq!(item(&list, "inbox")["failed"], 0);
    assert_eq!(
        item(&list, "requests")["failed"],
        BROKEN,
        "which nobody had do without"
    );
    on(&data, &["views", "verify", "inbox"]).done();
    on(&data, &["views", "verify", "requests"]).done();
    let (store, _) = log(&data).await;
    let store: Arc<dyn event_store::EventStore> = Arc::new(store);
    let served = item(&list, "inbox")["version"].as_u64().expect("a version");
    let served = u32::try_from(served).expect("a small version");
    let skips = tables::Skips::read(
        &*store,
        &projections::DomainCodec,
        (ViewName::Inbox.as_str(), served),
        store.durable_position(),
    );
    let skips = skips.await.expect("the log");
    assert!(
        marks
            .iter()
            .all(|(stream, version)| skips.has(stream, *version))
    );
    assert!(store.durable_position() > Position::START);
}

#[test]
fn what_is_asked_wrongly_of_set_aside_events_is_wrong_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    filled(&data);
    for (arguments, words) in [
        (&["views", "letters"][..], "needs the NAME"),
        (&["views", "skip", "inbox"], "needs --event-stream"),
        (
            &[
                "views",
                "skip",
                "inbox",
                "--event-stream",
                "s",
                "--event-version",
                "1",
                "--reason",
                "r",
            ],
            "goes by a running service",
        ),
        (
            &["views", "retry", "inbox", "--reason", "r"],
            "--reason goes with",
        ),
        (
            &[
                "views",
                "list",
                "--event-stream",
                "s",
                "--event-version",
                "1",
            ],
            "go with `views skip",
        ),
        (
            &["views", "retry", "inbox", "--event-stream", "s"],
            "--event-version",
        ),
        (&["views", "letters", "outbox"], "there is no view"),
    ] {
        let ended = on(&data, arguments);
        assert_eq!(ended.status, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(words),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let one = [
        "views",
        "retry",
        "inbox",
        "--event-stream",
        "conversation-1",
        "--event-version",
        "3",
    ];
    let ended = on(&data, &one);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("could apply the event 3"),
        "{}",
        ended.stderr
    );
    let nothing = on(&data, &["views", "letters", "inbox"]).done().json();
    assert_eq!(nothing, json!({"items": []}));
}

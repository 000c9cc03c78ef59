//! A log is written in the types and versions of its schema level, which is raised by hand; a program refuses a log above
//! its own.
//!
//! Old logs are made by an engine that is told an older level, and written by today's program.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use commands::{Command, CommandHandler, Mode, Options};
use domain::case::Category;
use domain::codec::{self, LEVEL};
use domain::conversation::Also;
use domain::policy::Rules;
use event_store::faults::{FaultyBackend, Survives};
use event_store::{EmbeddedStore, EventStore, OpenError, raise_level, raise_level_with};
use serde_json::{Value, json};
use tests::commands::{Desk, store_options, with};
use tests::program::{self, Ended, Server};
use tests::store::{DATA_DIR, Model, all_events, event, options, stream};

use crate::program_care::on;

/// A report of message 1 of `bob` by `ann`, or of a later one.
fn report(number: u64) -> Command {
    Command::ReportMessage {
        target: with("bob"),
        messages: vec![number],
        category: Category::Hate,
        comment: String::new(),
        also: Also::None,
    }
}

async fn reported(desk: &Desk, number: u64) {
    desk.message("bob", "ann", "hello").await.unwrap();
    desk.send("ann", report(number)).await.unwrap();
    desk.handler.drain_reactors().await.unwrap();
    let end = desk.store.durable_position();
    desk.store.wait_durable(end).await.unwrap();
}

/// The types of this name in the log, and what the events say as of today.
async fn joined(desk: &Desk) -> Vec<(String, u8, u32)> {
    let log = desk.log().await;
    let of_name = log
        .iter()
        .filter(|record| codec::name(record.event_type()) == "report-joined");
    of_name
        .map(|record| {
            let event = codec::decode(record.event_type(), record.data()).unwrap();
            let domain::Event::Case(domain::case::Event::ReportJoined(joined)) = event else {
                panic!("{}", record.event_type());
            };
            let name = record.event_type().to_owned();
            (name, joined.severity, joined.upheld)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_log_is_written_in_the_newest_versions_at_once() {
    let desk = Desk::open().await;
    assert_eq!(desk.store.schema_level(), LEVEL);
    desk.members(&["ann", "bob"]).await;
    reported(&desk, 1).await;
    assert_eq!(joined(&desk).await, [("report-joined.v2".to_owned(), 3, 0)]);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_log_is_written_as_its_programs_read_it_until_it_is_raised() {
    let mut old = store_options();
    old.schema_level = 1;
    let desk = Desk::open_over(old, |_| {}).await;
    desk.members(&["ann", "bob"]).await;
    reported(&desk, 1).await;
    // Opened by a program that knows more, it is written as before.
    let desk = desk
        .reopen_over(|options| options.schema_level = LEVEL)
        .await;
    assert_eq!(desk.store.schema_level(), 1);
    reported(&desk, 2).await;
    let before = [(); 2].map(|()| ("report-joined.v1".to_owned(), 3, 0));
    assert_eq!(joined(&desk).await, before);
    for record in desk.log().await {
        let mut types = codec::TYPES.iter();
        let known = types.find(|known| known.name == record.event_type());
        assert!(
            known.is_some_and(|known| known.since == 1),
            "{}",
            record.event_type()
        );
    }

    // Nobody raises it while it is in use.
    let refused = raise_level(desk.dir.path(), LEVEL).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    desk.handler.stop().await;
}

/// A decision that can be appealed is nothing that programs of level 1 could read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_by_hand_needs_a_log_that_was_raised() {
    let mut old = store_options();
    old.schema_level = 1;
    let desk = Desk::open_over(old, |_| {}).await;
    desk.members(&["ann", "bob"]).await;
    let before = desk.log().await.len();
    let suspend = || Command::SuspendMember {
        member: tests::commands::member("bob"),
        until: None,
        reason: "spam".parse().unwrap(),
        text: "Too much.".to_owned(),
        facts: "Ten letters.".to_owned(),
    };
    let refused = desk.send("mia", suspend()).await.unwrap_err();
    let told = refused.to_string();
    assert!(
        told.contains("member-suspended.v2") && told.contains("doorstep raise-level"),
        "{told}"
    );
    assert_eq!(desk.log().await.len(), before);
    desk.handler.stop().await;
}

/// There is no level 0: nothing can be written into such a log, not even the first policy, and that is told.
#[tokio::test]
async fn what_a_log_of_this_level_cannot_hold_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut below = store_options();
    below.schema_level = 0;
    let store: Arc<dyn EventStore> = Arc::new(EmbeddedStore::open(dir.path(), below).unwrap());
    let options = Options::new(None, Mode::Service, Arc::new(Rules::default()));
    let refused = CommandHandler::start(Arc::clone(&store), options).await;
    let words = refused.err().unwrap().to_string();
    assert!(words.contains("doorstep raise-level"), "{words}");
    assert_eq!(all_events(&*store).await, []);
}

#[tokio::test]
async fn raising_changes_the_level_and_no_event_and_is_whole_or_not_at_all() {
    let backend = FaultyBackend::new();
    let open = |level| {
        let mut options = options(Arc::new(backend.clone()));
        options.schema_level = level;
        EmbeddedStore::open(DATA_DIR, options)
    };
    let data = Path::new(DATA_DIR);
    let store = open(1).unwrap();
    let mut model = Model::default();
    for number in 0..40 {
        let append = model.append(&stream(number % 3), vec![event(number, 300)]);
        let ticket = store.append(append).await.unwrap();
        ticket.durable().await.unwrap();
    }
    let before = all_events(&store).await;
    drop(store);

    let raised = raise_level_with(&backend, data, 7).unwrap();
    assert_eq!((raised.before, raised.level), (1, 7));
    let again = raise_level_with(&backend, data, 7).unwrap();
    assert_eq!((again.before, again.level), (7, 7));
    assert!(matches!(
        raise_level_with(&backend, data, 6),
        Err(OpenError::SchemaLevel { found: 7, known: 6 })
    ));
    assert!(matches!(
        open(6).err(),
        Some(OpenError::SchemaLevel { found: 7, known: 6 })
    ));
    let store = open(8).unwrap();
    assert_eq!(store.schema_level(), 7);
    assert!(all_events(&store).await == before);
    drop(store);

    // At whatever operation the power fails, the log opens afterwards, at the old level or the new one.
    let mut found = BTreeSet::new();
    let begins = backend.operations() + 1;
    raise_level_with(&backend, data, 8).unwrap();
    let ends = backend.operations();
    for (number, to) in (begins..=ends).zip(9..) {
        let cut = backend.power_loss(Survives::Nothing);
        let from = raise_level_with(&cut, data, to - 1).unwrap().level;
        let at = cut.operations() + 1 + number - begins;
        cut.fail_once(at, ErrorKind::Other);
        let raised = raise_level_with(&cut, data, to);
        for survives in [Survives::Nothing, Survives::Everything] {
            let mut options = options(Arc::new(cut.power_loss(survives)));
            options.schema_level = 1000;
            let store = EmbeddedStore::open(DATA_DIR, options).unwrap();
            let level = store.schema_level();
            assert!(level == from || level == to, "{level}");
            assert!(raised.is_err() || level == to, "it was told and lost");
            assert!(all_events(&store).await == before);
            found.insert(level == to);
        }
    }
    assert_eq!(
        found.len(),
        2,
        "some failures left the old level, some the new"
    );
}

fn line(id: &str, member: &str, command: &str, more: &Value) -> Value {
    let mut line =
        json!({ "id": id, "at": "2004-01-02T10:00:00Z", "command": command, "member": member });
    let fields = line.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    line
}

fn import(data: &Path, lines: &[Value]) {
    let file = data.with_extension("ndjson");
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&file, text.join("\n")).unwrap();
    on(data, &["import", &file.to_string_lossy()]).done();
}

#[track_caller]
fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    for words in words {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

/// A new log of this level, without events.
fn begun(data: &Path, schema_level: u32) {
    let options = event_store::Options {
        schema_level,
        ..store_options()
    };
    EmbeddedStore::open(data, options).unwrap().close();
}

#[test]
fn the_program_raises_a_log_by_hand_and_reads_both_versions_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    begun(&data, 1);
    let mut lines = Vec::new();
    for name in ["ann", "bob"] {
        lines.push(line(
            "r",
            name,
            "RegisterMember",
            &json!({ "age_band": "adult" }),
        ));
        lines.push(line(
            "s",
            name,
            "ChangeDmSetting",
            &json!({ "audience": "everyone" }),
        ));
    }
    let mut talk = |number: u64| {
        let text = json!({ "to": "ann", "text": "hello" });
        lines.push(line(&format!("m{number}"), "bob", "SendMessage", &text));
        let named = json!({ "with": "bob", "messages": [number], "category": "spam" });
        lines.push(line(&format!("p{number}"), "ann", "ReportMessage", &named));
        lines.clone()
    };
    import(&data, &talk(1));
    let types = |filter: &str| -> Vec<String> {
        let events = on(&data, &["events", "--type", filter]).done().stdout;
        let events = events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        events
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(types("report-joined"), ["report-joined.v1"]);

    let server = Server::start(&data, &["--log", "info"]);
    let pid = server.id().to_string();
    refused(
        &on(&data, &["raise-level"]),
        &["is in use by process", &pid, "stop it first"],
    );
    assert!(
        server.words().contains("doorstep raise-level"),
        "{}",
        server.words()
    );
    assert!(server.stop().success());
    let raised = on(&data, &["raise-level"]).done().json();
    assert_eq!(
        (&raised["before"], &raised["schema_level"]),
        (&json!(1), &json!(LEVEL))
    );
    let again = on(&data, &["raise-level"]).done().json();
    assert_eq!(again["before"], json!(LEVEL));

    import(&data, &talk(2));
    assert_eq!(
        types("report-joined"),
        ["report-joined.v1", "report-joined.v2"]
    );
    assert_eq!(types("report-joined.v1"), ["report-joined.v1"]);
    assert_eq!(types("report-joined.v2"), ["report-joined.v2"]);
    assert_eq!(on(&data, &["verify"]).done().json()["ok"], json!(true));

    // A copy is of the level of what it was made of.
    let (copy, back) = (folder.path().join("copy"), folder.path().join("back"));
    on(&data, &["backup", &copy.to_string_lossy()]).done();
    refused(
        &on(&copy, &["raise-level"]),
        &["is a backup", "restore it first"],
    );
    on(&back, &["restore", &copy.to_string_lossy()]).done();
    assert_eq!(
        on(&back, &["raise-level"]).done().json()["before"],
        json!(LEVEL)
    );
}

#[test]
fn a_log_above_the_program_is_refused_by_every_command_that_would_read_or_write_events() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    begun(&data, LEVEL + 1);
    let identity = std::fs::read(data.join("log/identity")).unwrap();
    let above = format!(
        "the log has schema level {}, this program knows up to {LEVEL}",
        LEVEL + 1
    );
    let copy = folder.path().join("copy").to_string_lossy().into_owned();
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["import", "/dev/null"],
        &["events"],
        &["backup", &copy],
        &["raise-level"],
    ] {
        refused(&on(&data, command), &[&above, "a newer doorstep wrote it"]);
    }
    assert_eq!(std::fs::read(data.join("log/identity")).unwrap(), identity);
    // Who looks at bytes alone can still say whether they are whole.
    assert_eq!(on(&data, &["verify"]).done().json()["ok"], json!(true));
    let nothing = folder.path().join("nothing");
    refused(&on(&nothing, &["raise-level"]), &["holds no log"]);
    assert!(!nothing.exists());
    let usage = program::run(["raise-level", "--url", "http://127.0.0.1:1"]);
    assert_eq!(usage.status, Some(2), "{}", usage.stderr);
}

//! `doorstep import` run again: after another file, after a part of the file, and on whatever a kill leaves of the log.
//!
//! A log is cut at the end of every append of a whole run, which is all that a kill can leave, and the program goes on
//! from there. Each time the log is compared with that of one run, event for event, and so is the summary.

use std::path::Path;

use event_store::{EmbeddedStore, EventStore, RecordedEvent};
use serde_json::{Value, json};
use tests::commands::{appends_of, log, store_options};
use tests::program;

/// Imports these lines into a data folder, and gives the summary.
fn import(data: &Path, lines: &[Value]) -> Value {
    let file = data.with_extension("ndjson");
    let text = lines
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(&file, text).expect("the lines");
    program::run([
        "import".as_ref(),
        file.as_os_str(),
        "--data".as_ref(),
        data.as_os_str(),
        "--refusals".as_ref(),
        data.with_extension("refusals").as_os_str(),
    ])
    .done()
    .json()
}

/// The refusals that the last import into a data folder told.
fn refusals(data: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(data.with_extension("refusals")).expect("a file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON a line"))
        .collect()
}

/// How many lines a summary says were refused.
fn refused(summary: &Value) -> u64 {
    let codes = summary["refused"].as_object().expect("an object");
    codes.values().filter_map(Value::as_u64).sum()
}

fn at_rest<T>(data: &Path, work: impl AsyncFnOnce(&dyn EventStore) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = EmbeddedStore::open(data, store_options()).expect("the log opens");
        let done = work(&store).await;
        store.close();
        done
    })
}

fn events(data: &Path) -> Vec<RecordedEvent> {
    at_rest(data, log)
}

/// What two logs of one import have in common: all but their ids and when an event was recorded.
fn canonical(log: &[RecordedEvent]) -> Vec<String> {
    let line = |record: &RecordedEvent| {
        let data = std::str::from_utf8(record.data()).expect("JSON");
        format!(
            "{} {} {} {} {} {} {} {} {data}",
            record.position(),
            record.stream(),
            record.version(),
            record.event_id(),
            record.event_type(),
            record.at_ms(),
            record.correlation_id(),
            record.causation_id(),
        )
    };
    log.iter().map(line).collect()
}

/// What happened before the file: who is there, and a block that the file does not know of.
fn before() -> Vec<Value> {
    let at = "2004-01-01T00:00:00Z";
    let mut lines = Vec::new();
    for who in ["ann", "bob", "eve", "zoe"] {
        lines.push(json!({"id": "r", "at": at, "command": "RegisterMember", "member": who, "age_band": "adult"}));
        lines.push(json!({"id": "s", "at": at, "command": "ChangeDmSetting", "member": who, "audience": "everyone"}));
    }
    lines.push(
        json!({"id": "b", "at": at, "command": "BlockMember", "member": "ann", "other": "zoe"}),
    );
    lines
}

/// Lines that come to everything a line can come to, with times that fall.
fn lines() -> Vec<Value> {
    let day = |day: u32| format!("2004-02-{day:02}T00:00:00Z");
    let block = |id: &str, on: u32, verb: &str, other: &str| json!({"id": id, "at": day(on), "command": verb, "member": "ann", "other": other});
    let suspend = |id: &str, on: u32, until: u32, who: &str| json!({"id": id, "at": day(on), "command": "SuspendMember", "member": "mod", "other": who, "until": day(until), "reason": "spam", "text": "rest", "facts": "ten letters"});
    let register = |id: &str, on: u32, who: &str| json!({"id": id, "at": day(on), "command": "RegisterMember", "member": who, "age_band": "adult"});
    let send = |id: &str, on: u32, from: &str, to: &str, text: &str| json!({"id": id, "at": day(on), "command": "SendMessage", "member": from, "to": to, "text": text});
    vec![
        // So already, and lifted afterwards.
        block("b1", 1, "BlockMember", "zoe"),
        block("b2", 1, "UnblockMember", "zoe"),
        // So already, used again with other content, and once more.
        block("u1", 1, "UnblockMember", "bob"),
        block("u1", 1, "BlockMember", "bob"),
        register("r2", 1, "bob"),
        block("b3", 1, "BlockMember", "bob"),
        block("u1", 1, "UnblockMember", "bob"),
        block("b4", 1, "UnblockMember", "bob"),
        // A slot is taken on the way, on a stream that a line before it was decided on.
        register("r2", 1, "eve"),
        send("m0", 2, "eve", "ann", " "),
        send("m1", 2, "eve", "ann", "buy"),
        send("m1", 2, "eve", "ann", "buy more"),
        json!({"id": "p1", "at": day(2), "command": "ReportMessage", "member": "ann", "with": "eve", "messages": [1], "category": "spam", "comment": "", "also": "none"}),
        json!({"id": "a1", "at": day(2), "command": "AcceptRequest", "member": "zoe", "with": "bob"}),
        // Two suspensions of one member, the second longer; told again just before the first line past its end.
        suspend("x1", 3, 5, "bob"),
        suspend("x2", 4, 8, "bob"),
        suspend("x3", 5, 8, "bob"),
        suspend("y1", 5, 7, "eve"),
        suspend("x4", 6, 8, "bob"),
        suspend("y2", 6, 7, "eve"),
        send("m2", 9, "zoe", "ann", "hi"),
        // A time ahead, and back: what falls due in between waits for the next line past it.
        register("r4", 20, "kim"),
        suspend("x5", 10, 12, "bob"),
        json!({"id": "s5", "at": day(11), "command": "ChangeDmSetting", "member": "eve", "audience": "everyone"}),
        json!({"id": "s6", "at": day(11), "command": "ChangeDmSetting", "member": "zoe", "audience": "no_one"}),
        suspend("x6", 11, 12, "bob"),
        send("m3", 1, "zoe", "ann", "late"),
        // Nothing left by the last lines but what time ended.
        register("r5", 13, "zoe"),
        register("r5", 13, "zoe"),
        suspend("z1", 14, 15, "zoe"),
        suspend("z2", 14, 16, "eve"),
        register("r6", 17, "ann"),
    ]
}

#[test]
fn an_import_cut_after_any_append_goes_on_to_the_same_log_and_summary() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole");
    import(&whole, &before());
    let began = appends_of(&events(&whole)).len();
    let lines = lines();
    let summary = import(&whole, &lines);
    let ended = events(&whole);
    let expected = canonical(&ended);
    println!("{summary}\n{expected:#?}");
    let told = refusals(&whole);
    assert_eq!(told.len() as u64, refused(&summary), "{told:#?}");
    let count = |wanted: &str| {
        ended
            .iter()
            .filter(|record| record.event_type() == wanted)
            .count()
    };
    assert_eq!(
        (count("member-suspended.v2"), count("restriction-ended.v1")),
        (6, 6)
    );
    assert!(count("request-slot-taken.v1") > 0 && count("report-joined.v2") > 0);
    assert!(summary["unchanged"].as_u64() >= Some(10), "{summary}");
    assert_eq!(summary["refused"]["command_id_reused"], 2, "{summary}");
    assert_eq!(import(&whole, &lines), summary);
    assert_eq!(refusals(&whole), told, "the same in every run");
    assert_eq!(canonical(&events(&whole)), expected);

    let appends = appends_of(&ended);
    for cut in began..appends.len() {
        let data = folder.path().join(format!("cut-{cut}"));
        at_rest(&data, async |store| {
            for append in appends.iter().take(cut).cloned() {
                let ticket = store.append(append).await.expect("an append");
                ticket.durable().await.expect("it is durable");
            }
        });
        assert_eq!(import(&data, &lines), summary, "cut after {cut} appends");
        assert_eq!(refusals(&data), told, "cut after {cut} appends");
        assert_eq!(
            canonical(&events(&data)),
            expected,
            "cut after {cut} appends"
        );
        std::fs::remove_dir_all(&data).expect("it goes");
    }
}

#[test]
fn a_part_of_a_file_and_then_the_whole_is_one_import_of_the_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole");
    import(&whole, &before());
    let lines = lines();
    let summary = import(&whole, &lines);
    let expected = canonical(&events(&whole));
    let parts = folder.path().join("parts");
    import(&parts, &before());
    for end in 1..=lines.len() {
        import(&parts, &lines[..end]);
    }
    assert_eq!(canonical(&events(&parts)), expected);
    for end in [5, 17, 23, 29] {
        let data = folder.path().join(format!("part-{end}"));
        import(&data, &before());
        import(&data, &lines[..end]);
        assert_eq!(import(&data, &lines), summary, "after {end} lines");
        assert_eq!(canonical(&events(&data)), expected, "after {end} lines");
    }
}

#[test]
fn lines_that_left_nothing_after_another_file_in_between_leave_nothing_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import(&data, &before());
    let lines = lines();
    import(&data, &lines[..3]);
    let at = "2004-01-02T00:00:00Z";
    let between = [
        json!({"id": "o1", "at": "2004-02-01T00:00:00Z", "command": "BlockMember", "member": "ann", "other": "bob"}),
        json!({"id": "o2", "at": at, "command": "ChangeDmSetting", "member": "kay", "audience": "everyone"}),
    ];
    import(&data, &between);
    let first = import(&data, &lines);
    let ended = canonical(&events(&data));
    assert_eq!(import(&data, &lines), first);
    assert_eq!(canonical(&events(&data)), ended);
}

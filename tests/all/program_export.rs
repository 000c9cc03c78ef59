//! `events` into a file: what a Parquet file holds is what the lines say, row for row; a file is there whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Value, json};
use tests::program::{self, Ended, Server};

use crate::program_care::{filled, filled_with, flip, on};

/// The events of a data folder as they are printed.
fn printed(data: &Path, filter: &[&str]) -> Vec<Value> {
    let events = on(data, &[&["events"][..], filter].concat()).done();
    let lines = events.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn millis(time: &Value) -> i64 {
    let time = DateTime::parse_from_rfc3339(time.as_str().unwrap());
    time.unwrap().timestamp_millis()
}

/// The rows of a file, each as the line it was made from would be, times as milliseconds and `data` as text.
fn rows(file: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| as_json(&row.unwrap())).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a column has one of few kinds; any other ends the test"
)]
fn as_json(row: &Row) -> Value {
    let fields = row.get_column_iter().filter_map(|(name, field)| {
        let value = match field {
            Field::Null => return None,
            Field::Str(text) => json!(text),
            Field::ULong(number) => json!(number),
            Field::TimestampMillis(at) => json!(at),
            Field::ListInternal(list) => {
                let texts = list.elements().iter().map(|element| match element {
                    Field::Str(text) => text.clone(),
                    other => panic!("{other:?}"),
                });
                json!(texts.collect::<Vec<_>>())
            }
            other => panic!("{name}: {other:?}"),
        };
        Some((name.clone(), value))
    });
    Value::Object(fields.collect())
}

/// What the row of an event has to be.
fn row_of(event: &Value) -> Value {
    let mut row = event.clone();
    row["at"] = json!(millis(&event["at"]));
    row["recorded_at"] = json!(millis(&event["recorded_at"]));
    row["data"] = json!(event["data"].to_string());
    row
}

/// The same with `data` read again, for its fields stand in another order once parsed.
fn read_again(mut row: Value) -> Value {
    let data: Value = serde_json::from_str(row["data"].as_str().unwrap()).unwrap();
    row["data"] = json!(data.to_string());
    row
}

fn export(data: &Path, file: &Path, more: &[&str]) -> Ended {
    let file = file.to_string_lossy();
    let flags = ["events", "--format", "parquet", "--out", &file];
    on(data, &[&flags[..], more].concat())
}

/// Names in a folder.
fn held(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn refused(ended: &Ended, status: i32, words: &str) {
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
}

#[test]
fn a_parquet_file_holds_what_the_lines_say_row_for_row_at_rest_and_of_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    filled(&data);
    let ranges: [&[&str]; 5] = [
        &[],
        &["--after", "10", "--until", "20"],
        &["--type", "message-sent", "--after", "100"],
        &["--stream", "member-ann", "--until", "1000000"],
        &["--member", "nobody"],
    ];
    let mut files: Vec<(PathBuf, &[&str])> = Vec::new();
    for (number, range) in ranges.into_iter().enumerate() {
        let file = out.join(format!("{number}.parquet"));
        let told = export(&data, &file, range).done();
        let events = printed(&data, range);
        let meant: Vec<Value> = events.iter().map(row_of).collect();
        let found: Vec<Value> = rows(&file).into_iter().map(read_again).collect();
        assert!(found == meant, "{range:?}");
        let last = events.last().map(|event| event["position"].clone());
        assert_eq!(told.json()["events"], json!(events.len()));
        assert_eq!(told.json()["position"], last.unwrap_or(json!(0)));
        assert_eq!(told.json()["file"], json!(file));
        files.push((file, range));
    }
    // `data` is the very bytes of the lines.
    let lines = on(&data, &["events"]).done().stdout;
    for (row, line) in rows(&files[0].0).iter().zip(lines.lines()) {
        let data = format!("\"data\":{}}}", row["data"].as_str().unwrap());
        assert!(line.ends_with(&data), "{line}");
    }
    assert!(printed(&data, ranges[1]).len() == 10);

    // Of the running service the same bytes.
    let server = Server::start(&data, &[]);
    let auditor = server.token("ada", "auditor");
    for (file, range) in &files {
        let again = file.with_extension("again");
        let out = again.to_string_lossy();
        let flags = ["events", "--url", &server.url, "--token", &auditor];
        let flags = [&flags[..], &["--format", "parquet", "--out", &out], range].concat();
        program::run(flags).done();
        let bytes = |path: &Path| std::fs::read(path).unwrap();
        assert!(bytes(&again) == bytes(file), "{range:?}");
    }
    assert!(server.stop().success());
    assert_eq!(held(&out).len(), 2 * files.len(), "{:?}", held(&out));
}

#[test]
fn every_column_has_the_type_that_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (
        folder.path().join("data"),
        folder.path().join("events.parquet"),
    );
    filled(&data);
    export(&data, &file, &[]).done();
    let reader = SerializedFileReader::new(File::open(&file).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns: Vec<(String, &str)> = schema
        .columns()
        .iter()
        .map(|column| {
            let kind = match column.logical_type_ref() {
                Some(LogicalType::String) => "text",
                Some(LogicalType::Json) => "json",
                Some(LogicalType::Integer(integer)) => {
                    assert!(integer.bit_width == 64 && !integer.is_signed);
                    "number"
                }
                Some(LogicalType::Timestamp(time)) => {
                    assert!(time.is_adjusted_to_u_t_c && time.unit == TimeUnit::MILLIS);
                    "time"
                }
                other => panic!("{other:?}"),
            };
            (column.path().string(), kind)
        })
        .collect();
    let meant = [
        ("log_id", "text"),
        ("position", "number"),
        ("stream", "text"),
        ("version", "number"),
        ("event_id", "text"),
        ("type", "text"),
        ("at", "time"),
        ("recorded_at", "time"),
        ("command_id", "text"),
        ("correlation_id", "text"),
        ("causation_id", "text"),
        ("actor", "text"),
        ("members.list.element", "text"),
        ("last_number", "number"),
        ("data", "json"),
    ];
    assert_eq!(columns, meant.map(|(name, kind)| (name.to_owned(), kind)));
    let page = include_str!("../../docs/program.md");
    for (name, _) in meant {
        let name = name.split('.').next().unwrap();
        assert!(page.contains(&format!("`{name}`")), "{name} is documented");
    }
}

#[test]
fn lines_go_into_a_file_as_they_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (
        folder.path().join("data"),
        folder.path().join("events.ndjson"),
    );
    filled(&data);
    let out = file.to_string_lossy();
    let told = on(&data, &["events", "--out", &out, "--until", "50"]).done();
    assert_eq!(
        told.json(),
        json!({ "file": file, "events": 50, "position": 50 })
    );
    let printed = on(&data, &["events", "--until", "50"]).done().stdout;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), printed);
    let all = on(&data, &["events"]).done().stdout;
    assert!(all.starts_with(&printed) && all.len() > printed.len());
}

#[test]
fn flags_that_mean_nothing_together_are_wrong_usage_and_make_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    filled(&data);
    let file = out.join("file").to_string_lossy().into_owned();
    let server = ["--url", "http://127.0.0.1:1", "--token", "t"];
    let follow = [&["--follow", "--out", &file][..], &server].concat();
    let follow_until = [&["--follow", "--until", "5"][..], &server].concat();
    for (flags, words) in [
        (&["--format", "csv", "--out", &file][..], "parquet"),
        (&["--format", "parquet"], "needs --out"),
        (&["--force"], "--force needs --out"),
        (
            &["--after", "7", "--until", "3", "--out", &file],
            "nothing after position 7",
        ),
        (
            &["--after", "7", "--until", "7"],
            "nothing after position 7",
        ),
        (&["--until", "0"], "nothing after position 0"),
        (&["--until", "x"], "whole number"),
        (
            &["--type", "bogus", "--out", &file],
            "No event is of the type",
        ),
        (&follow, "--follow has no end"),
        (&follow_until, "--follow has no end"),
    ] {
        let told = if flags.contains(&"--url") {
            program::run([&["events"][..], flags].concat())
        } else {
            on(&data, &[&["events"][..], flags].concat())
        };
        refused(&told, 2, words);
    }
    assert_eq!(held(&out), [""; 0]);
}

#[test]
fn a_file_that_is_there_stays_as_it_is_unless_it_is_to_be_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    filled(&data);
    let file = out.join("events.parquet");
    std::fs::write(&file, "mine").unwrap();
    refused(
        &export(&data, &file, &[]),
        1,
        "is there already; --force writes over it",
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    export(&data, &file, &["--force"]).done();
    assert!(rows(&file).len() > 200);
    for (place, words) in [
        (out.join("no/such/folder/file"), "cannot write to"),
        (file.join("below-a-file"), "cannot write to"),
    ] {
        refused(&export(&data, &place, &[]), 1, words);
    }
    refused(&export(&data, &out, &["--force"]), 1, "is a folder");
    assert_eq!(held(&out), ["events.parquet"]);
}

#[test]
fn what_breaks_off_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    filled_with(&data, &["--segment-bytes", "16384"]);
    let hit = printed(&data, &[])
        .into_iter()
        .find(|event| {
            event["data"]["text"]
                .as_str()
                .is_some_and(|text| text.contains("message 100,"))
        })
        .unwrap();
    let position = hit["position"].as_u64().unwrap();
    flip(&data);
    let file = out.join("events.parquet");
    refused(
        &export(&data, &file, &[]),
        1,
        &format!("(position {position})"),
    );
    assert_eq!(held(&out), [""; 0]);
    // What stands before the damage, and behind it, can be had.
    let before = (position - 1).to_string();
    export(&data, &file, &["--until", &before]).done();
    assert_eq!(rows(&file).len(), usize::try_from(position - 1).unwrap());
    let behind = position.to_string();
    export(&data, &file, &["--after", &behind, "--force"]).done();
    assert_eq!(rows(&file)[0]["position"], json!(position + 1));

    // A service that is not there, or says no.
    let out_flag = out.join("remote").to_string_lossy().into_owned();
    let server = ["--url", "http://127.0.0.1:1", "--token", "t"];
    let flags = [&["events", "--out", &out_flag][..], &server].concat();
    refused(&program::run(flags), 1, "does not answer");
    assert_eq!(held(&out), ["events.parquet"]);
}

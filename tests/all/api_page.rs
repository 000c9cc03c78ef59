//! `docs/http.md`: every line of its shell blocks, run by `bash` against a service, and every answer as it is shown.
//!
//! What differs from run to run (times, positions, ids made at random, sizes) is compared by its kind alone.
//! `DOORSTEP_UPDATE_DOCS=1` writes the answers anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::program::{self, Server};

/// Answers that fit a line of this length stay on it.
const LINE_MAX: usize = 120;
/// Fields whose values differ from run to run.
const CHANGING: [&str; 26] = [
    "position",
    "request_id",
    "report_id",
    "decision_id",
    "act_id",
    "puid",
    "appeal_at",
    "application_date",
    "next_cursor",
    "bytes",
    "lag",
    "lag_seconds",
    "log_id",
    "event_id",
    "command_id",
    "correlation_id",
    "causation_id",
    "events",
    "version",
    "clock_behind_ms",
    "segments",
    "last_number",
    "sha256",
    "until",
    "previous",
    "median_time_ms",
];

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md")
}

/// A piece of the page.
enum Piece {
    Words(String),
    Shell(String),
    Answer(String),
}

fn pieces(page: &str) -> Vec<Piece> {
    let mut pieces = vec![Piece::Words(String::new())];
    for line in page.lines() {
        match (line, pieces.last_mut().unwrap()) {
            ("```sh", Piece::Words(_)) => pieces.push(Piece::Shell(String::new())),
            ("```json", Piece::Words(_)) => pieces.push(Piece::Answer(String::new())),
            ("```", Piece::Shell(_) | Piece::Answer(_)) => pieces.push(Piece::Words(String::new())),
            (_, Piece::Words(text) | Piece::Shell(text) | Piece::Answer(text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    pieces
}

/// What the blocks write to standard output, one after the other.
fn run(blocks: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("target/release")).unwrap();
    let link = folder.path().join("target/release/doorstep");
    std::os::unix::fs::symlink(program::binary(), link).unwrap();
    let server = Server::start(&folder.path().join("doorstep-data"), &[]);
    let address = server.url.strip_prefix("http://").unwrap();
    let mut script = String::from("set -euo pipefail\n");
    for block in blocks {
        script.push_str(block);
        script.push_str("\nprintf '=====\\n'\n");
    }
    assert!(script.contains("127.0.0.1:7070"));
    let output = Command::new("bash")
        .args(["-c", &script.replace("127.0.0.1:7070", address)])
        .current_dir(folder.path())
        .env_remove("DOORSTEP_DATA")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (said, words) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{said}\n{words}\n{}",
        server.words()
    );
    assert!(server.stop().success());
    let mut said: Vec<String> = said.split("=====\n").map(str::to_owned).collect();
    assert_eq!(said.pop().as_deref(), Some(""));
    said
}

/// JSON values as they stand in a text, one after the other.
fn values(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .map(|value| value.unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect()
}

/// The same without what differs from run to run.
fn steady(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                if name == "data" {
                    let names = value.as_object().map(|data| data.keys().cloned().collect());
                    return (name.clone(), names.unwrap_or(Value::Null));
                }
                let steady = if CHANGING.contains(&name.as_str()) && !value.is_object() {
                    Value::from(if value.is_null() { "null" } else { "changing" })
                } else {
                    steady(value)
                };
                (name.clone(), steady)
            })
            .collect(),
        Value::Array(items) => items.iter().map(steady).collect(),
        Value::String(text) if chrono::DateTime::parse_from_rfc3339(text).is_ok() => {
            Value::from("a time")
        }
        Value::String(text) if chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() => {
            Value::from("a day")
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// Compact JSON with its fields in the order they stand in, broken where a line would be too long.
fn shown(json: &str, indent: usize) -> String {
    let spaced = spaced(json);
    let inner = spaced.get(1..spaced.len() - 1).unwrap_or_default();
    if spaced.len() + indent <= LINE_MAX || !matches!(spaced.as_bytes(), [b'{' | b'[', ..]) {
        return spaced;
    }
    let (open, close) = spaced.split_at(1);
    let close = &close[close.len() - 1..];
    let mut text = open.to_owned();
    let parts = parts(inner);
    for (index, part) in parts.iter().enumerate() {
        let comma = if index + 1 < parts.len() { "," } else { "" };
        let (name, value) = match part.split_once("\": ") {
            Some((name, value)) if part.starts_with('"') && open == "{" => {
                (format!("{name}\": "), value)
            }
            _ => (String::new(), part.as_str()),
        };
        let value = shown(value, indent + 2 + name.len());
        // What is broken stands below its name, not beside it.
        let value = value.replace(&format!("\n{}", " ".repeat(name.len())), "\n");
        let _ = write!(text, "\n{}{name}{value}{comma}", " ".repeat(indent + 2));
    }
    let _ = write!(text, "\n{}{close}", " ".repeat(indent));
    text
}

/// A blank after each colon and comma that is not in a text.
fn spaced(json: &str) -> String {
    let (mut text, mut within, mut escaped) = (String::new(), false, false);
    for letter in json.chars() {
        if !within && letter == ' ' {
            continue;
        }
        text.push(letter);
        if within {
            within = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter == '"' {
            within = true;
        } else if matches!(letter, ':' | ',') {
            text.push(' ');
        }
    }
    text
}

/// The members of an object or a list, without what encloses them.
fn parts(inner: &str) -> Vec<String> {
    let (mut parts, mut depth, mut within, mut escaped) = (vec![String::new()], 0, false, false);
    for letter in inner.chars() {
        let part = parts.last_mut().unwrap();
        if !within && depth == 0 && letter == ',' {
            parts.push(String::new());
            continue;
        }
        if within {
            within = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else {
            match letter {
                '"' => within = true,
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                ' ' if part.is_empty() => continue,
                _ => {}
            }
        }
        part.push(letter);
    }
    parts
}

#[test]
fn every_example_of_the_page_answers_as_it_is_shown() {
    let page_text = std::fs::read_to_string(page()).unwrap();
    let pieces = pieces(&page_text);
    let blocks: Vec<&str> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Shell(text) => Some(text.as_str()),
            Piece::Words(_) | Piece::Answer(_) => None,
        })
        .collect();
    let mut outputs = run(&blocks).into_iter();
    let mut made = String::new();
    let (mut last, mut compared) = (String::new(), 0);
    for piece in &pieces {
        match piece {
            Piece::Words(text) => made.push_str(text),
            Piece::Shell(text) => {
                last = outputs.next().unwrap();
                let _ = write!(made, "```sh\n{text}```\n");
            }
            Piece::Answer(text) => {
                let updating = std::env::var_os("DOORSTEP_UPDATE_DOCS").is_some();
                let steady = |text: &str| values(text).iter().map(steady).collect::<Vec<_>>();
                let (is_shown, is_answered) = (steady(text), steady(&last));
                if is_shown == is_answered || !updating {
                    let _ = write!(made, "```json\n{text}```\n");
                } else {
                    let lines = last.lines().filter(|line| !line.trim().is_empty());
                    let answer: Vec<String> = lines.map(|line| shown(line, 0)).collect();
                    let _ = write!(made, "```json\n{}\n```\n", answer.join("\n"));
                }
                assert!(
                    updating || is_shown == is_answered,
                    "{text}\nis shown, but this is answered (DOORSTEP_UPDATE_DOCS=1 writes it anew):\n{last}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 30, "{compared} answers");
    if std::env::var_os("DOORSTEP_UPDATE_DOCS").is_some() {
        std::fs::write(page(), made).unwrap();
    }
}

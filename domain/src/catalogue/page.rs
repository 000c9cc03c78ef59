//! The catalogue as a page: `docs/events.md`, made from the same shapes as the JSON Schema.
//!
//! Each type has its meaning, its stream, its fields and an event that was stored once; what several types share stands
//! at the end. Nothing is told here that the shapes do not say.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::codec::{self, EventType};

const INTRODUCTION: &str = "\
# The events

Every type and version of event ever stored. This page is made from the code (`domain/src/catalogue.rs`) and compared with
it by a test, as is the same in JSON Schema, [events.schema.json](events.schema.json), which takes an object with an event's
`type` and `data` as `doorstep events` and `GET /v1/events` give them. What stands around `data` (position, stream, version,
times, ids, actor, members) is the same for all types: [the log over HTTP](http.md#the-log-auditor-service).

- A type and version never changes its shape, not by an optional field or a word of a list either: that is a new version.
  Old versions stay here, because they stay in logs; this program reads them as the newest one.
- A log has a *schema level*. A type is written into logs of its level or above, and a log below it goes on in the version
  before, until [`doorstep raise-level`](program.md#the-schema-level); a program refuses a log above its own level.
- `data` has the fields of its version and no others, always in the same order. A field that *may be absent* is left out,
  never null. Read on over fields that you do not know all the same: your copy of this page may be the older one.
- Numbers are whole, up to 2^64-1: take care where a language reads them as floating point. Times are whole milliseconds
  since the Unix epoch.
- **Personal** marks texts that people wrote.
";

/// The page.
pub fn page() -> String {
    let document = super::document();
    let empty = Map::new();
    let definitions = document.get("$defs").and_then(Value::as_object);
    let definitions = definitions.unwrap_or(&empty);
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n| type | stream | tells |\n| --- | --- | --- |\n");
    for known in codec::TYPES {
        let meaning = words(definitions.get(known.name).unwrap_or(&Value::Null));
        let _ = writeln!(
            page,
            "| [`{name}`](#{anchor}) | {stream} | {meaning} |",
            name = known.name,
            anchor = anchor(known.name),
            stream = stream(known),
        );
    }
    for known in codec::TYPES {
        let shape = definitions.get(known.name).unwrap_or(&Value::Null);
        let _ = write!(
            page,
            "\n## `{}`\n\n{} On {}; since schema level {}{}.\n",
            known.name,
            words(shape),
            stream(known),
            known.since,
            superseded(known)
        );
        fields(shape, definitions, &mut page);
        if let Some(example) = super::example(known.name) {
            let _ = write!(page, "\n```json\n{example}\n```\n");
        }
    }
    page.push_str("\n## What several types share\n");
    for (name, shape) in definitions {
        if codec::TYPES.iter().any(|known| known.name == name) {
            continue;
        }
        let _ = write!(page, "\n### `{name}`\n\n{}", words(shape));
        if shape.get("properties").is_some() {
            page.push('\n');
            fields(shape, definitions, &mut page);
        } else if let Some(several) = shape.get("oneOf").and_then(Value::as_array) {
            page.push_str("\n\n| word | means |\n| --- | --- |\n");
            for word in several {
                let (text, holds) = one_of_several(word, definitions);
                let _ = writeln!(page, "| `{text}` | {}{holds} |", words(word));
            }
        } else {
            let _ = writeln!(page, " As JSON: {}.", kind(shape, definitions));
        }
    }
    page
}

/// One of several: a word alone, or one with fields, and those in words.
fn one_of_several<'a>(word: &'a Value, definitions: &Map<String, Value>) -> (&'a str, String) {
    if let Some(text) = word.get("const").and_then(Value::as_str) {
        return (text, String::new());
    }
    let properties = word.get("properties").and_then(Value::as_object);
    let Some((text, shape)) = properties.and_then(|properties| properties.iter().next()) else {
        return ("", String::new());
    };
    let inside = shape.get("properties").and_then(Value::as_object);
    let inside = inside
        .into_iter()
        .flatten()
        .map(|(name, field)| format!(" `{name}` ({}): {}", kind(field, definitions), words(field)));
    (text, inside.collect())
}

fn stream(known: &EventType) -> String {
    if known.stream.contains(' ') {
        known.stream.to_owned()
    } else {
        format!("`{}`", known.stream)
    }
}

/// What is written instead, where something is.
fn superseded(known: &EventType) -> String {
    known.superseded_by.map_or_else(String::new, |newer| {
        format!(
            "; superseded by [`{newer}`](#{}), as which it is read",
            anchor(newer)
        )
    })
}

/// How the page's reader names a heading in a link.
fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

fn words(schema: &Value) -> &str {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The table of an object's fields: those that are always there first.
fn fields(shape: &Value, definitions: &Map<String, Value>, page: &mut String) {
    let empty = Map::new();
    let properties = shape.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&empty);
    let required: Vec<&str> = shape
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let others = properties
        .keys()
        .map(String::as_str)
        .filter(|name| !required.contains(name));
    page.push_str("\n| field | is | means |\n| --- | --- | --- |\n");
    for name in required.iter().copied().chain(others) {
        let field = properties.get(name).unwrap_or(&Value::Null);
        let absent = if required.contains(&name) {
            ""
        } else {
            "; may be absent"
        };
        let kind = kind(field, definitions);
        let _ = writeln!(page, "| `{name}` | {kind}{absent} | {} |", words(field));
    }
}

/// What a value is, in words, with its bounds.
fn kind(schema: &Value, definitions: &Map<String, Value>) -> String {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    if let Some(name) = text("$ref").and_then(|to| to.rsplit('/').next()) {
        let personal = definitions.get(name).is_some_and(is_personal);
        let mark = if personal { ", **personal**" } else { "" };
        return format!("[`{name}`](#{}){mark}", anchor(name));
    }
    if let Some(listed) = schema.get("enum").and_then(Value::as_array) {
        let listed: Vec<String> = listed
            .iter()
            .filter_map(Value::as_str)
            .map(|word| format!("`{word}`"))
            .collect();
        return format!("one of {}", listed.join(", "));
    }
    let mark = if is_personal(schema) {
        ", personal"
    } else {
        ""
    };
    match text("type") {
        Some("integer") if text("format") == Some("int64") => "a number, negative too".to_owned(),
        Some("integer") => format!("a number{}", bounds(schema, "minimum", "maximum", "")),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => {
            let item = schema.get("items").map(|items| kind(items, definitions));
            let long = bounds(schema, "minItems", "maxItems", " of them");
            format!("a list, each {}{long}", item.unwrap_or_default())
        }
        Some("string") if text("format") == Some("uuid") => "a UUID".to_owned(),
        Some("string") => {
            let long = bounds(schema, "minLength", "maxLength", " characters");
            let of = text("pattern").map_or_else(String::new, |pattern| format!(" of `{pattern}`"));
            format!("a text{of}{long}{mark}")
        }
        other => other.unwrap_or("anything").to_owned(),
    }
}

fn is_personal(schema: &Value) -> bool {
    schema.get("x-personal") == Some(&Value::Bool(true))
}

/// From how many to how many; from 0 goes without saying.
fn bounds(schema: &Value, least: &str, most: &str, unit: &str) -> String {
    let least = schema.get(least).and_then(Value::as_u64).filter(|n| *n > 0);
    let most = schema.get(most).and_then(Value::as_u64);
    match (least, most) {
        (Some(least), Some(most)) => format!(", {least} to {most}{unit}"),
        (Some(least), None) => format!(", at least {least}{unit}"),
        (None, Some(most)) => format!(", at most {most}{unit}"),
        (None, None) => String::new(),
    }
}

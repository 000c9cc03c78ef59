//! The catalogue of stored events: what each type and version means, and its shape as JSON Schema.
//!
//! Everything here is made from the payloads that `serde` writes and their doc comments, by way of the codec's table and
//! the golden events, so that it cannot say anything else than the code does. `docs/events.md` and
//! `docs/events.schema.json` are checked in as made; `golden/schemas.ndjson` holds each shape as it was first stored, and
//! a test refuses any other under the same name. Serving the catalogue to anybody is left to who needs it.
//!
//! A shape is what is *written*: every field that is always there is required, one that is absent is never null, and
//! there are no others. Readers ignore fields they do not know, because a newer program may have written them.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::codec::{self, EventType};

mod page;

pub use page::page;

/// The name under which the document of all shapes is known.
const ID: &str = "urn:doorstep:events";

/// One line of `golden/events.ndjson`: an event that was stored once.
#[derive(serde::Deserialize)]
struct Golden<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(borrow)]
    data: &'a serde_json::value::RawValue,
}

/// The `data` of the golden event of a type that says most: the one with the most fields.
pub fn example(event_type: &str) -> Option<&'static str> {
    include_str!("../golden/events.ndjson")
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Golden<'static>>(line).ok())
        .filter(|golden| golden.event_type == event_type)
        .map(|golden| golden.data.get())
        .max_by_key(|data| data.matches("\":").count())
}

/// All shapes as one JSON Schema (draft 2020-12): it takes an object with at least the `type` and the `data` of an event,
/// as `doorstep events` prints them. Under `$defs` stands each type by its name, and what several share.
pub fn document() -> Value {
    let mut generator = generator(false);
    let shapes: Vec<(&EventType, Value)> = codec::TYPES
        .iter()
        .map(|known| (known, known.shape(&mut generator)))
        .collect();
    let mut definitions: Map<String, Value> = generator.take_definitions(true);
    for shared in definitions.values_mut() {
        close(shared);
        plain_words(shared);
    }
    let mut any = Vec::with_capacity(shapes.len());
    for (known, mut shape) in shapes {
        close(&mut shape);
        plain_words(&mut shape);
        if let Value::Object(shape) = &mut shape {
            shape.insert("x-since-level".to_owned(), known.since.into());
            if known.superseded_by.is_some() {
                shape.insert("deprecated".to_owned(), true.into());
            }
        }
        any.push(json!({
            "properties": {
                "type": { "const": known.name },
                "data": { "$ref": format!("#/$defs/{}", known.name) },
            },
        }));
        definitions.insert(known.name.to_owned(), shape);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "The events of Doorstep",
        "description": "Every type and version ever stored, made from the code. `x-personal` marks texts that people wrote, \
            `x-since-level` the schema level of logs from which on a type is written, `deprecated` what a newer version says.",
        "type": "object",
        "required": ["type", "data"],
        "oneOf": any,
        "$defs": definitions,
    })
}

/// The shape of one type alone, whole and without words: what must never change under this name.
pub fn shape(known: &EventType) -> Value {
    bare(known.shape(&mut generator(true)))
}

/// The shape of any payload in the same way.
pub fn shape_of<T: JsonSchema>() -> Value {
    bare(T::json_schema(&mut generator(true)).to_value())
}

fn bare(mut shape: Value) -> Value {
    close(&mut shape);
    without_words(&mut shape);
    shape
}

/// Shapes as written, in pieces that refer to one another or whole.
fn generator(whole: bool) -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| {
            settings.inline_subschemas = whole;
            settings.meta_schema = None;
        })
        .into_generator()
}

/// Makes a shape say that there are no other fields, and that what can be absent is never null. A default is how the
/// program reads, not what it writes.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(schema) => {
            schema.remove("default");
            let required = schema.get("required").cloned().unwrap_or_default();
            let is_required = |name: &String| {
                let mut names = required.as_array().into_iter().flatten();
                names.any(|required| required == name)
            };
            if let Some(Value::Object(fields)) = schema.get_mut("properties") {
                for (name, field) in fields {
                    if !is_required(name) {
                        never_null(field);
                    }
                }
                schema.insert("additionalProperties".to_owned(), false.into());
            }
            schema.values_mut().for_each(close);
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Takes `null` out of what a field may be.
fn never_null(field: &mut Value) {
    let Value::Object(schema) = field else { return };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        any.retain(|one| one.get("type") != Some(&"null".into()));
        if let [Value::Object(one)] = any.as_slice() {
            let one = one.clone();
            schema.remove("anyOf");
            for (name, value) in one {
                schema.entry(name).or_insert(value);
            }
        }
    }
}

/// Makes the words of doc comments ones for a reader without the code: on one line, without links into it, and without
/// the type's name before what it means.
fn plain_words(schema: &mut Value) {
    match schema {
        Value::Object(schema) => {
            if let Some(Value::String(words)) = schema.get_mut("description") {
                let mut plain = words
                    .replace('\n', " ")
                    .replace("[`", "`")
                    .replace("`]", "`");
                if let Some((name, meaning)) = plain.split_once("`: ")
                    && name.starts_with('`')
                    && codec::TYPES.iter().any(|known| name.ends_with(known.name))
                {
                    let mut letters = meaning.chars();
                    let first = letters.next().map(|first| first.to_uppercase().to_string());
                    plain = first.unwrap_or_default() + letters.as_str();
                }
                *words = plain;
            }
            schema.values_mut().for_each(plain_words);
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(plain_words),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Takes away what only people read.
fn without_words(schema: &mut Value) {
    match schema {
        Value::Object(schema) => {
            for words in ["description", "title"] {
                // A field may be called so, too.
                if schema.get(words).is_some_and(Value::is_string) {
                    schema.remove(words);
                }
            }
            schema.values_mut().for_each(without_words);
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(without_words),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

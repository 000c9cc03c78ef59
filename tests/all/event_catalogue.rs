//! The catalogue of stored events is checked in as it is made, takes every event ever stored, and refuses any other.
//!
//! The frozen shapes and the golden events' decoding are held in `domain/tests`.

use domain::{catalogue, codec};
use serde_json::{Value, json};
use tests::json_schema::fits;

use crate::api_documents::compare;

fn document() -> Value {
    catalogue::document()
}

/// The golden events, each as an object with its `type` and `data`.
fn golden() -> Vec<Value> {
    include_str!("../../domain/golden/events.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_page_of_events_is_checked_in() {
    compare("docs/events.md", &catalogue::page());
}

#[test]
fn the_schema_of_events_is_checked_in() {
    let mut made = serde_json::to_string_pretty(&document()).unwrap();
    made.push('\n');
    compare("docs/events.schema.json", &made);
}

#[test]
fn the_schema_takes_every_event_ever_stored() {
    let document = document();
    for event in golden() {
        fits(&document, &document, &event).unwrap();
        let shape = json!({ "$ref": format!("#/$defs/{}", event["type"].as_str().unwrap()) });
        fits(&document, &shape, &event["data"]).unwrap();
    }
}

/// Everything that an event could have instead of what it has.
fn spoilt(value: &Value, spoil: &mut dyn FnMut(Value)) {
    match value {
        Value::Object(fields) => {
            let mut more = fields.clone();
            more.insert("of_later".to_owned(), json!(1));
            spoil(Value::Object(more));
            for (name, field) in fields {
                let mut changed = fields.clone();
                spoilt(field, &mut |field| {
                    changed.insert(name.clone(), field);
                    spoil(Value::Object(changed.clone()));
                });
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut changed = items.clone();
                spoilt(item, &mut |item| {
                    changed[index] = item;
                    spoil(Value::Array(changed.clone()));
                });
            }
        }
        Value::String(_) => {
            spoil(json!(1));
            // Longer than any text, and neither a word of a list nor an id.
            spoil(json!(" ".repeat(9000)));
        }
        Value::Number(_) => {
            spoil(json!("1"));
            spoil(json!(1.5));
        }
        Value::Bool(_) => spoil(json!("true")),
        Value::Null => panic!("nothing is stored as null"),
    }
    for never in [Value::Null, json!([{ "odd": 1 }])] {
        if *value != never {
            spoil(never);
        }
    }
}

#[test]
fn the_schema_refuses_what_no_event_is() {
    let document = document();
    let mut refused = 0;
    for event in golden() {
        spoilt(&event["data"], &mut |data| {
            let other = json!({ "type": event["type"], "data": data });
            let free = other["data"]["command_id"]
                .as_str()
                .is_some_and(|id| id.len() > 128)
                || other["data"]["stream"]
                    .as_str()
                    .is_some_and(|id| id.len() > 128);
            if !free {
                assert!(fits(&document, &document, &other).is_err(), "{other}");
                refused += 1;
            }
        });
        let shape = &document["$defs"][event["type"].as_str().unwrap()];
        for required in shape["required"].as_array().unwrap() {
            let mut less = event.clone();
            less["data"]
                .as_object_mut()
                .unwrap()
                .remove(required.as_str().unwrap());
            assert!(fits(&document, &document, &less).is_err(), "{less}");
        }
        for name in ["message-sung.v1", "message-sent.v99", "message-sent"] {
            let other = json!({ "type": name, "data": event["data"] });
            assert!(fits(&document, &document, &other).is_err(), "{other}");
        }
    }
    assert!(refused > 1000, "{refused}");
}

/// What members write is told apart, so that nobody copies it by accident.
#[test]
fn every_free_text_is_personal_or_known_not_to_be() {
    fn free(at: &str, schema: &Value, found: &mut Vec<(String, bool)>) {
        if schema["type"] == "string" && schema["oneOf"].is_null() {
            let bound = ["const", "enum", "format", "pattern"];
            if bound.iter().all(|word| schema[word].is_null()) {
                found.push((at.to_owned(), schema["x-personal"] == true));
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            free(&format!("{at} {name}"), schema, found);
        }
        if schema["items"].is_object() {
            free(at, &schema["items"], found);
        }
    }
    let mut found = Vec::new();
    for known in codec::TYPES {
        free(known.name, &catalogue::shape(known), &mut found);
    }
    let personal = found.iter().filter(|(_, personal)| *personal);
    let personal: Vec<&str> = personal.map(|(at, _)| at.as_str()).collect();
    let expected = [
        "act-event-skipped.v1 text",
        "appeal-decided.v1 text",
        "case-decided.v1 facts",
        "case-decided.v1 text",
        "case-escalated.v1 text",
        "case-noted.v1 text",
        "case-reopened.v1 text",
        "cases-decided.v1 facts",
        "cases-decided.v1 text",
        "cases-reversed.v1 text",
        "decision-appealed.v1 text",
        "decision-reversed.v1 text",
        "member-restricted.v1 text",
        "member-suspended.v1 text",
        "member-suspended.v2 facts",
        "member-suspended.v2 text",
        "message-sent.v1 text",
        "message-withheld.v1 text",
        "messages-reported.v1 comment",
        "messages-reported.v1 messages text",
    ];
    let mut sorted = personal.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let others = found.iter().filter(|(_, personal)| !*personal);
    let mut others: Vec<&str> = others.map(|(at, _)| at.as_str()).collect();
    others.sort_unstable();
    assert_eq!(
        others,
        [
            "act-event-skipped.v1 stream",
            "reactor-checkpoint.v1 stream",
            "request-slot-returned.v1 command_id",
            "request-slot-taken.v1 command_id",
        ]
    );
}

#[test]
fn every_type_and_field_says_what_it_means() {
    let document = document();
    let definitions = document["$defs"].as_object().unwrap();
    for (name, shape) in definitions {
        assert_ne!(shape["description"].as_str().unwrap_or(""), "", "{name}");
        for (field, schema) in shape["properties"].as_object().into_iter().flatten() {
            assert_ne!(
                schema["description"].as_str().unwrap_or(""),
                "",
                "{name} {field}"
            );
        }
    }
    for known in codec::TYPES {
        assert!(definitions.contains_key(known.name));
        assert!(catalogue::example(known.name).is_some(), "{}", known.name);
    }
    let page = catalogue::page();
    assert!(
        !page.contains("| |") && !page.contains("[`domain") && !page.contains("::"),
        "{page}"
    );
}

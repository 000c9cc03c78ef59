//! The stored contract once more, as shapes: what a type and version was when it was first stored, it is for ever.
//!
//! `golden/schemas.ndjson` holds the JSON Schema of each, whole and without words. Lines are added, never changed; with
//! `DOORSTEP_UPDATE_DOCS=1` this test adds those that are missing, and changes none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use domain::{catalogue, codec};
use serde_json::Value;

const FROZEN: &str = include_str!("../../golden/schemas.ndjson");

const NEW_VERSION: &str = "A stored shape changed, and every log holds events of the old one. Take the change back, and \
    give the new shape a version of its own: CONTRIBUTING.md, `A new event, or a new version of one`. That goes for an \
    optional field, for the order of fields, for a bound and for a word added to a list, too.";

fn read(lines: &str) -> BTreeMap<String, Value> {
    let lines = lines.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).expect("a shape per line");
        let name = line["type"].as_str().expect("a type").to_owned();
        (name, line["schema"].take())
    });
    lines.collect()
}

/// The frozen shapes, with those that are missing added where that is asked for.
fn frozen() -> BTreeMap<String, Value> {
    let mut lines = FROZEN.to_owned();
    if std::env::var_os("DOORSTEP_UPDATE_DOCS").is_some() {
        let there = read(&lines);
        for known in codec::TYPES {
            if !there.contains_key(known.name) {
                let (name, shape) = (known.name, catalogue::shape(known));
                writeln!(lines, r#"{{"type":"{name}","schema":{shape}}}"#).expect("to memory");
            }
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/schemas.ndjson");
        std::fs::write(&file, &lines).expect("the frozen shapes are written");
    }
    read(&lines)
}

#[test]
fn no_stored_shape_changes() {
    let frozen = frozen();
    for known in codec::TYPES {
        let Some(then) = frozen.get(known.name) else {
            panic!(
                "{} is not frozen yet; DOORSTEP_UPDATE_DOCS=1 adds it",
                known.name
            );
        };
        let now = catalogue::shape(known);
        assert!(
            now == *then,
            "{}: {NEW_VERSION}\nthen: {then}\nnow:  {now}",
            known.name
        );
    }
}

#[test]
fn no_stored_type_is_forgotten() {
    for name in read(FROZEN).keys() {
        assert!(
            codec::TYPES.iter().any(|known| known.name == name),
            "{name} was stored, and has to be read for ever"
        );
    }
}

/// What differs between two shapes is found, however small it is; words are no difference.
#[test]
fn a_shape_is_more_than_its_fields() {
    use schemars::JsonSchema;

    /// Words.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "its shape alone is used")]
    struct Before {
        /// Other words.
        number: u32,
        from: String,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "its shape alone is used")]
    struct Wider {
        number: u64,
        from: String,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "its shape alone is used")]
    struct Turned {
        from: String,
        number: u32,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "its shape alone is used")]
    struct Optional {
        number: u32,
        from: String,
        to: Option<String>,
    }
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "its shape alone is used")]
    struct Same {
        number: u32,
        from: String,
    }
    let before = catalogue::shape_of::<Before>();
    assert_eq!(before, catalogue::shape_of::<Same>());
    for other in [
        catalogue::shape_of::<Wider>(),
        catalogue::shape_of::<Turned>(),
        catalogue::shape_of::<Optional>(),
    ] {
        assert_ne!(before, other);
    }
}

//! A small and strict reader of JSON Schema (draft 2020-12): the words that our documents use, and no others.
//!
//! A word that it does not know ends the test: nothing is taken because it was not understood.

use serde_json::Value;

/// Whether a value is what a schema says; the error says where it is not. References lead into the document.
pub fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let words = schema.as_object().ok_or("a schema is an object")?;
    for (word, said) in words {
        let holds = match word.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "deprecated" | "x-personal"
            | "x-since-level" => Ok(()),
            "$ref" => {
                let path = text(said)
                    .strip_prefix('#')
                    .expect("a place in the document");
                let target = document
                    .pointer(path)
                    .unwrap_or_else(|| panic!("{path} leads nowhere"));
                fits(document, target, value)
            }
            "type" => is_of_type(said, value),
            "format" => is_of_format(text(said), value),
            "const" => told(said == value, || format!("it is not {said}")),
            "enum" => told(list(said).contains(value), || {
                format!("it is none of {said}")
            }),
            "oneOf" => {
                let fitting = list(said)
                    .iter()
                    .filter(|one| fits(document, one, value).is_ok())
                    .count();
                told(fitting == 1, || {
                    format!("{fitting} of the alternatives fit")
                })
            }
            "properties" => fields(document, said, value),
            "additionalProperties" => {
                assert_eq!(said, false, "fields are listed, or there are none");
                let known = words["properties"].as_object().expect("fields");
                let mut names = value
                    .as_object()
                    .into_iter()
                    .flat_map(|fields| fields.keys());
                names
                    .find(|name| !known.contains_key(*name))
                    .map_or(Ok(()), |other| Err(format!("there is no field {other}")))
            }
            "required" => list(said)
                .iter()
                .find(|name| value.get(text(name)).is_none())
                .map_or(Ok(()), |name| Err(format!("{name} is missing"))),
            "items" => list(value)
                .iter()
                .try_for_each(|item| fits(document, said, item)),
            "minItems" => told(list(value).len() >= count(said), || {
                "it is too short".to_owned()
            }),
            "maxItems" => told(list(value).len() <= count(said), || {
                "it is too long".to_owned()
            }),
            "minLength" => told(letters(value) >= count(said), || {
                "it is too short".to_owned()
            }),
            "maxLength" => told(letters(value) <= count(said), || {
                "it is too long".to_owned()
            }),
            "minimum" => told(number(value) >= number(said), || {
                "it is too small".to_owned()
            }),
            "maximum" => told(number(value) <= number(said), || {
                "it is too large".to_owned()
            }),
            "pattern" => {
                let pattern = regex::Regex::new(text(said)).expect("a pattern");
                let matches = value.as_str().is_some_and(|text| pattern.is_match(text));
                told(matches, || format!("it does not match {said}"))
            }
            other => panic!("a word that nobody here knows: {other}"),
        };
        holds.map_err(|why| format!("{value}: {why}"))?;
    }
    Ok(())
}

fn fields(document: &Value, schemas: &Value, value: &Value) -> Result<(), String> {
    let schemas = schemas.as_object().expect("schemas by name");
    for (name, schema) in schemas {
        if let Some(field) = value.get(name) {
            fits(document, schema, field).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(())
}

fn is_of_type(said: &Value, value: &Value) -> Result<(), String> {
    let holds = match text(said) {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("a type that nobody here knows: {other}"),
    };
    told(holds, || format!("it is no {said}"))
}

fn is_of_format(format: &str, value: &Value) -> Result<(), String> {
    let holds = match format {
        "uuid" => value
            .as_str()
            .is_some_and(|text| uuid::Uuid::parse_str(text).is_ok()),
        "uint8" => value.as_u64().is_some_and(|n| u8::try_from(n).is_ok()),
        "uint32" => value.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
        "uint64" => value.is_u64(),
        "int64" => value.is_i64(),
        other => panic!("a format that nobody here knows: {other}"),
    };
    told(holds, || format!("it is no {format}"))
}

fn told(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    holds.then_some(()).ok_or_else(why)
}

fn text(said: &Value) -> &str {
    said.as_str().expect("a text")
}

fn list(said: &Value) -> &[Value] {
    said.as_array().map_or(&[], Vec::as_slice)
}

fn count(said: &Value) -> usize {
    usize::try_from(said.as_u64().expect("a number")).expect("a small one")
}

fn letters(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

fn number(value: &Value) -> i128 {
    let whole = value.as_i64().map(i128::from);
    whole.or(value.as_u64().map(i128::from)).unwrap_or_default()
}

//! The documents that are made from the interface are checked in as they are made.
//!
//! `DOORSTEP_UPDATE_DOCS=1` writes them anew instead of comparing.

use std::path::Path;

use api::problem::Code;
use serde_json::Value;
use tests::api::Door;

pub(crate) fn compare(path: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("DOORSTEP_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, made).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        stored == made,
        "{path} is not what the code makes; DOORSTEP_UPDATE_DOCS=1 writes it anew"
    );
}

#[test]
fn the_openapi_document_is_checked_in() {
    compare("docs/openapi.json", &api::document());
}

#[test]
fn the_table_of_errors_is_checked_in() {
    compare("docs/errors.md", &api::problem::document());
}

#[test]
fn the_page_of_metrics_is_checked_in() {
    compare("docs/metrics.md", &api::metering::document());
}

#[test]
fn every_code_is_in_the_document() {
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let listed = document["components"]["schemas"]["Code"].to_string();
    for code in Code::ALL {
        assert!(
            listed.contains(&format!("\"{}\"", code.as_str())),
            "{}",
            code.as_str()
        );
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let text = api::document();
    let document: Value = serde_json::from_str(&text).unwrap();
    let named = text
        .split("\"#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    for name in named {
        assert!(
            document["components"]["schemas"].get(name).is_some(),
            "{name}"
        );
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_every_response_says_something() {
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                names.insert(operation["operationId"].to_string()),
                "{method} {path}"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert_ne!(
                    response["description"].as_str().unwrap_or(""),
                    "",
                    "{method} {path} {status}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served_from_the_program_alone() {
    let door = Door::open().await;
    let document = door.get("/openapi.json", "").await.expect(200);
    assert_eq!(document.bytes, api::document().into_bytes());
    assert_eq!(door.get("/docs", "").await.status, 303);
    let page = door.get("/docs/", "").await.expect(200);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    let mut parts = vec![String::from_utf8(page.bytes).unwrap()];
    for part in ["swagger-initializer.js", "index.css", "swagger-ui.css"] {
        let part = door.get(&format!("/docs/{part}"), "").await.expect(200);
        parts.push(String::from_utf8(part.bytes).unwrap());
    }
    assert!(
        parts[1].contains("/openapi.json") && parts[1].contains("\"validatorUrl\": \"none\""),
        "{}",
        parts[1]
    );
    for part in &parts[..2] {
        assert!(
            !part.contains("src=\"http") && !part.contains("href=\"http"),
            "{part}"
        );
    }
    for part in &parts[2..] {
        assert!(
            !part.contains("url(http") && !part.contains("@import"),
            "a style sheet fetches something"
        );
    }
}

/// Every operation: its method and path, and what the document says of it.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn every_operation_has_a_summary_a_description_examples_and_its_errors() {
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let operations = operations(&document);
    assert!(operations.len() > 40);
    for (name, operation) in &operations {
        let text = |field: &str| operation[field].as_str().unwrap_or_default().len();
        assert!(text("summary") > 10, "{name} has no summary");
        assert!(text("description") > 20, "{name} has no description");
        let media_type = |of: &Value| {
            of["content"].as_object().map(|content| {
                content
                    .iter()
                    .map(|(kind, content)| (kind.clone(), content.clone()))
                    .collect::<Vec<_>>()
            })
        };
        for (_, content) in media_type(&operation["requestBody"]).unwrap_or_default() {
            fits(&document, &content["schema"], &content["example"])
                .unwrap_or_else(|why| panic!("the body of {name}: {why}"));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (kind, content) in media_type(response).unwrap_or_default() {
                if status.starts_with('2') && kind.ends_with("json") {
                    assert!(content["example"].is_object(), "{name} {status}");
                    fits(&document, &content["schema"], &content["example"])
                        .unwrap_or_else(|why| panic!("the answer of {name}: {why}"));
                }
            }
        }
        if name.contains("/v1/") {
            let told = operation["responses"].to_string();
            for shared in ["unauthenticated", "token_expired", "forbidden", "internal"] {
                assert!(told.contains(&format!("`{shared}`")), "{name} {shared}");
            }
            let key = operation["parameters"]
                .to_string()
                .contains("Idempotency-Key");
            assert_eq!(
                key,
                told.contains("`invalid_header`")
                    && !(name.starts_with("get ") && name.contains("/cases/")),
                "{name}"
            );
        }
    }
    // Every code is an error of some operation, but for what belongs to no route.
    let all: String = operations
        .iter()
        .map(|(_, operation)| operation["responses"].to_string())
        .collect();
    for code in Code::ALL {
        let told = all.contains(&format!("`{}`", code.as_str()));
        assert_eq!(told, *code != Code::MethodNotAllowed, "{}", code.as_str());
    }
}

/// Whether a value is what a schema says, as far as the document's schemas go.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return fits(document, &document["components"]["schemas"][name], value)
            .map_err(|why| format!("{name}: {why}"));
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[several].as_array() {
            let one = schemas
                .iter()
                .any(|schema| fits(document, schema, value).is_ok());
            return one
                .then_some(())
                .ok_or(format!("{value} is none of {schema}"));
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words
            .contains(value)
            .then_some(())
            .ok_or(format!("{value} is none of {schema}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = schema["type"].to_string();
    let named = |kind: &str| kinds.contains(&format!("\"{kind}\""));
    let of_kind = named(kind) || (kind == "integer" && named("number"));
    if !schema["type"].is_null() && !of_kind {
        return Err(format!("{value} is no {kinds}"));
    }
    for field in schema["required"].as_array().into_iter().flatten() {
        if value.get(field.as_str().unwrap()).is_none() {
            return Err(format!("{field} is missing"));
        }
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, value) in fields {
            let schema = properties.get(name).ok_or(format!("no field {name}"))?;
            fits(document, schema, value).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item)?;
    }
    Ok(())
}

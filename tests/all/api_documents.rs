//! The documents that are made from the interface are checked in as they are made.
//!
//! `DOORSTEP_UPDATE_DOCS=1` writes them anew instead of comparing.

use std::path::Path;

use api::problem::Code;
use serde_json::Value;
use tests::api::Door;

fn compare(path: &str, made: &str) {
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

//! A log that is damaged while the service runs: told to whoever meets it, in the service's log, its metrics and its
//! readiness, and never served.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tests::program::{self, Server};
use tests::sse::Stream;

use crate::program_care::{filled, filled_with, flip, on};

/// A service whose log of 200 messages was damaged at one of them since it started.
struct Damaged {
    server: Server,
    client: Client,
    /// The file that is damaged.
    file: String,
    /// Where: the position of the message.
    position: u64,
    stream: String,
    folder: tempfile::TempDir,
}

impl Damaged {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        filled(&data);
        let events = on(&data, &["events", "--type", "message-sent"]).done();
        let hit: Value = events
            .stdout
            .lines()
            .find(|line| line.contains("message 100,"))
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .expect("the message");
        let server = Server::start(&data, &[]);
        let client = Client::new();
        // The views have read all of the log before it is damaged.
        let until = Instant::now() + Duration::from_mins(5);
        let url = format!("{}/readyz", server.url);
        while client.get(&url).send().await.expect("an answer").status() != 200 {
            assert!(Instant::now() < until, "the service becomes ready");
        }
        let file = flip(&data);
        Self {
            server,
            client,
            file,
            position: hit["position"].as_u64().expect("a position"),
            stream: hit["stream"].as_str().expect("a stream").to_owned(),
            folder,
        }
    }

    async fn get(&self, path: &str, token: &str, accept: &str) -> (u16, String) {
        let answer = self
            .client
            .get(format!("{}{path}", self.server.url))
            .bearer_auth(token)
            .header("accept", accept)
            .send()
            .await
            .expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a whole answer"))
    }

    /// The lines of an answer, as JSON.
    async fn lines(&self, query: &str) -> Vec<Value> {
        let auditor = self.server.token("ada", "auditor");
        let path = format!("/v1/events{query}");
        let (status, body) = self.get(&path, &auditor, "application/x-ndjson").await;
        assert_eq!(status, 200, "{body}");
        body.lines()
            .map(|line| serde_json::from_str(line).expect("JSON a line"))
            .collect()
    }

    /// The answer of `/readyz`, status and body.
    async fn readiness(&self) -> (u16, Value) {
        let (status, body) = self.get("/readyz", "", "*/*").await;
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// Why the service is not ready is told to anyone; where the damage is, to who reads its log.
    async fn unready(&self) {
        let (status, body) = self.readiness().await;
        assert_eq!((status, &body["ready"]), (503, &json!(false)), "{body}");
        let reasons = body["reasons"].to_string();
        assert!(reasons.contains("the log is damaged"), "{reasons}");
        assert!(!reasons.contains(&self.file), "{reasons}");
        let folder = self.folder.path().to_string_lossy().into_owned();
        assert!(!reasons.contains(&folder), "{reasons}");
        let (_, metrics) = self.get("/metrics", "", "*/*").await;
        let counted = metrics
            .lines()
            .find_map(|line| line.strip_prefix("doorstep_store_damage_found_total "))
            .expect("damage is counted");
        assert!(counted.parse::<u64>().expect("a number") > 0);
        let told = self.server.line_with(&["ERROR", "the log is damaged"]);
        assert!(
            told.contains(&self.file) && told.contains("offset="),
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_end_with_the_error_after_every_event_that_stands_before_the_damage() {
    let damaged = Damaged::start().await;
    assert_eq!(damaged.readiness().await.0, 200);
    let lines = damaged.lines("").await;
    let (last, events) = lines.split_last().expect("lines");
    assert_eq!(last["error"]["code"], json!("damaged"));
    assert_eq!(last["error"]["position"], json!(damaged.position));
    let at = format!("position {}", damaged.position);
    assert!(last["error"]["detail"].to_string().contains(&at), "{last}");
    let positions: Vec<u64> = events
        .iter()
        .filter_map(|event| event["position"].as_u64())
        .collect();
    assert_eq!(positions, (1..damaged.position).collect::<Vec<_>>());
    // The same of one stream, whose reading goes by versions.
    let lines = damaged.lines(&format!("?stream={}", damaged.stream)).await;
    let (last, events) = lines.split_last().expect("lines");
    assert_eq!(last["error"]["position"], json!(damaged.position));
    assert!(events.len() > 90 && events.iter().all(|event| event["error"].is_null()));
    damaged.unready().await;
    // Behind it one goes on.
    let rest = damaged.lines(&format!("?after={}", damaged.position)).await;
    assert!(rest.len() > 90 && rest.iter().all(|event| event["error"].is_null()));
    assert!(damaged.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_told_what_stands_before_the_damage_then_the_damage_and_goes_on_behind_it() {
    let damaged = Damaged::start().await;
    let auditor = damaged.server.token("ada", "auditor");
    let follow = async |query: &str| {
        let url = format!("{}/v1/events?follow=true{query}", damaged.server.url);
        Stream::of(damaged.client.get(url).bearer_auth(&auditor)).await
    };
    for of_a_stream in ["", &format!("&stream={}", damaged.stream)] {
        let mut said = follow(of_a_stream).await.rest().await;
        let last = said.pop().expect("an end");
        assert_eq!(last.event, "error");
        assert_eq!(last.json()["code"], json!("damaged"));
        assert_eq!(last.json()["position"], json!(damaged.position));
        assert_eq!(last.id, None);
        let ids: Vec<u64> = said
            .iter()
            .filter_map(|said| said.id.as_ref()?.parse().ok())
            .collect();
        assert_eq!(ids.len(), said.len());
        if of_a_stream.is_empty() {
            assert_eq!(ids, (1..damaged.position).collect::<Vec<_>>());
        } else {
            assert!(ids.len() > 90 && ids.iter().all(|id| *id < damaged.position));
        }
    }
    damaged.unready().await;
    let mut behind = follow(&format!("&after={}", damaged.position)).await;
    let said = behind.take(90).await;
    assert!(said.iter().all(|said| said.event != "error"));
    assert!(damaged.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_meets_damage_is_a_problem_that_names_the_position() {
    let damaged = Damaged::start().await;
    let auditor = damaged.server.token("ada", "auditor");
    let page = async |query: String| {
        let path = format!("/v1/events?{query}");
        let (status, body) = damaged.get(&path, &auditor, "application/json").await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        (status, body)
    };
    let (status, body) = page("limit=50".to_owned()).await;
    assert_eq!(
        (status, body["items"].as_array().map(Vec::len)),
        (200, Some(50))
    );
    let after = damaged.position - 10;
    let (status, body) = page(format!("after={after}&limit=50")).await;
    assert_eq!((status, &body["code"]), (500, &json!("damaged")), "{body}");
    let at = format!("position {};", damaged.position);
    assert!(body["detail"].to_string().contains(&at), "{body}");
    let (status, _) = page(format!("after={after}&limit=9")).await;
    assert_eq!(status, 200, "what stands before can be read");
    damaged.unready().await;
    assert!(damaged.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_prints_what_stands_before_the_damage_and_fails() {
    let damaged = Damaged::start().await;
    let auditor = damaged.server.token("ada", "auditor");
    let remote = program::run(["events", "--url", &damaged.server.url, "--token", &auditor]);
    assert_eq!(remote.status, Some(1), "{}", remote.stderr);
    let at = format!("position {}", damaged.position);
    assert!(remote.stderr.contains(&at), "{}", remote.stderr);
    let printed = remote.stdout.lines().count() as u64;
    assert_eq!(printed, damaged.position - 1);
    assert!(!remote.stdout.contains("\"error\""), "{}", remote.stdout);
    assert!(damaged.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_verification_that_found_damage_the_service_is_not_ready() {
    let damaged = Damaged::start().await;
    assert_eq!(damaged.readiness().await.0, 200);
    let operator = damaged.server.token("otto", "operator");
    let (url, token) = (damaged.server.url.clone(), operator.clone());
    let verified = tokio::task::spawn_blocking(move || {
        program::run(["verify", "--url", &url, "--token", &token])
    });
    let verified = verified.await.expect("it runs");
    assert_eq!(verified.status, Some(1), "{}", verified.stderr);
    let report = verified.json();
    let file = report["damage"]["file"].as_str().expect("a file");
    assert!(file.ends_with(&damaged.file), "{report}");
    damaged.unready().await;
    assert!(damaged.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_backup_that_found_damage_the_service_is_not_ready() {
    let damaged = Damaged::start().await;
    let operator = damaged.server.token("otto", "operator");
    let (status, body) = damaged
        .get("/v1/store/backup", &operator, "application/x-tar")
        .await;
    let body: Value = serde_json::from_str(&body).expect("a problem");
    assert_eq!((status, &body["code"]), (500, &json!("damaged")), "{body}");
    let detail = body["detail"].as_str().expect("words");
    assert!(
        detail.contains(&damaged.file) && detail.contains(" at byte "),
        "{detail}"
    );
    damaged.unready().await;
    assert!(damaged.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_messages_are_damaged_is_told_so_without_the_place() {
    let damaged = Damaged::start().await;
    let ann = damaged.server.token("ann", "member");
    let conversation = damaged
        .stream
        .strip_prefix("conversation-")
        .expect("a conversation");
    let path = format!("/v1/conversations/{conversation}/messages?limit=200");
    let (status, body) = damaged.get(&path, &ann, "*/*").await;
    let problem: Value = serde_json::from_str(&body).expect("a problem");
    assert_eq!(
        (status, &problem["code"]),
        (500, &json!("damaged")),
        "{body}"
    );
    let detail = problem["detail"].as_str().expect("words");
    assert!(
        detail.contains("the log is damaged") && !detail.contains(|c: char| c.is_ascii_digit()),
        "{detail}"
    );
    assert!(!body.contains(&damaged.file), "{body}");
    damaged.unready().await;
    let path = format!("/v1/conversations/{conversation}/messages?limit=20");
    let (status, _) = damaged.get(&path, &ann, "*/*").await;
    assert_eq!(status, 200, "what can be read is served");
    assert!(damaged.server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_a_view_meets_is_told_as_any() {
    let damaged = Damaged::start().await;
    let (operator, url) = (
        damaged.server.token("otto", "operator"),
        damaged.server.url.clone(),
    );
    let mut rebuild = program::doorstep(["views", "rebuild", "inbox"]);
    let ended = program::ended(rebuild.args(["--url", &url, "--token", &operator]));
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&damaged.file), "{}", ended.stderr);
    damaged.unready().await;
}

#[test]
fn views_of_a_folder_at_rest_end_where_the_log_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    // Small segments, so that the damage lies in one that is sealed and is not read at the opening; no view is made yet.
    filled_with(&data, &["--segment-bytes", "16384"]);
    let file = flip(&data);
    on(&data, &["events", "--until", "1"]).done();
    for asked in [&["list"][..], &["verify", "inbox"], &["letters", "inbox"]] {
        let ended = on(&data, &[&["views"], asked].concat());
        assert_eq!(ended.status, Some(1), "{asked:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&file), "{asked:?}: {}", ended.stderr);
    }
}

//! What a command that was so already leaves in a log that nodes share: auditors are told of it, and a folder that the log is
//! copied into has it, so that the service there answers by it.

use event_store::RecordedEvent;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tests::cluster::Log;
use tests::copying::{at_rest, copy, folder};
use tests::program::Server;
use tests::views::conversation_of;

/// Ann blocks bob, or ends that, under a key; gives the position.
async fn block(server: &Server, method: Method, key: &str) -> Value {
    let answer = Client::new()
        .request(method, format!("{}/v1/me/blocks/bob", server.url))
        .bearer_auth(server.token("ann", "member"))
        .header("Idempotency-Key", key)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK, "{key}");
    let answer: Value = answer.json().await.expect("JSON");
    answer["position"].clone()
}

async fn get(server: &Server, token: &str, path: &str) -> Value {
    let answer = Client::new()
        .get(format!("{}{path}", server.url))
        .bearer_auth(token)
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

fn count(log: &[RecordedEvent], event_type: &str) -> usize {
    let found = log.iter().filter(|it| it.event_type() == event_type);
    found.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_so_already_is_told_to_auditors_and_goes_with_a_copy() {
    let log = Log::new();
    let node = log.serve(75);
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::start(&dir.path().join("node"), &["--store", &node.at()]);
    for member in ["ann", "bob"] {
        server.register(member).await;
    }
    let done = block(&server, Method::PUT, "b").await;
    let so_already = block(&server, Method::PUT, "s").await;
    assert_eq!(so_already, done, "what made it so");
    block(&server, Method::DELETE, "d").await;
    assert_eq!(block(&server, Method::PUT, "s").await, done);

    let registered = Client::new()
        .put(format!("{}/v1/members/ann", server.url))
        .bearer_auth(server.token("host", "service"))
        .header("Idempotency-Key", "r")
        .json(&json!({"age_band": "adult"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(registered.status(), StatusCode::OK);

    let auditor = server.token("ada", "auditor");
    let timeline = get(&server, &auditor, "/v1/audit/members/ann/timeline").await;
    let items = timeline["items"].as_array().expect("a list");
    let told: Vec<&Value> = items
        .iter()
        .filter(|item| item["type"] == "command-unchanged.v1")
        .collect();
    let told: Vec<&str> = told
        .iter()
        .filter_map(|item| item["statement"].as_str())
        .collect();
    assert_eq!(
        told,
        [
            "RegisterMember of host towards ann was so already, and changed nothing",
            "BlockMember of ann towards bob was so already, and changed nothing"
        ]
    );
    let explain = format!(
        "/v1/audit/conversations/{}/explain?command_id=s",
        conversation_of("ann", "bob")
    );
    let explained = get(&server, &auditor, &explain).await;
    let decision = &explained["decisions"][0];
    assert_eq!(
        [
            &decision["command"],
            &decision["outcome"],
            &decision["by"],
            &decision["towards"]
        ],
        ["BlockMember", "unchanged", "ann", "bob"],
        "{explained}"
    );
    assert!(server.stop().success());

    let data = dir.path().join("data");
    let copied = copy(&node.at(), &folder(&data)).done().json();
    assert_eq!(copied["equal"], true, "{copied}");
    let server = Server::start(&data, &[]);
    block(&server, Method::PUT, "s").await;
    let ann = server.token("ann", "member");
    let blocked = get(&server, &ann, "/v1/me/blocks").await;
    assert_eq!(blocked["items"], json!([]), "it is no block of today");
    // Here a file keeps what is so already, beside what the log brought.
    let ended = block(&server, Method::DELETE, "again").await;
    block(&server, Method::PUT, "b2").await;
    assert_eq!(block(&server, Method::DELETE, "again").await, ended);
    assert!(server.stop().success());
    let log = at_rest(&data).await;
    assert_eq!(count(&log, "command-unchanged.v1"), 2);
    assert_eq!(count(&log, "member-blocked.v1"), 2);
    assert_eq!(count(&log, "member-unblocked.v1"), 1);
}

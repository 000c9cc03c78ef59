//! The service over a log that is elsewhere: what it does there is in that log, and while it is away that is said at once.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::cluster::Log;
use tests::program::{self, Server};

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(2);

/// Sends a message of ann's, by her token, to bob under a key; gives the status and the answer.
async fn send(server: &Server, client: &Client, ann: &str, key: &str) -> (StatusCode, Value) {
    let answer = client
        .post(format!("{}/v1/messages", server.url))
        .bearer_auth(ann)
        .header("Idempotency-Key", key)
        .json(&json!({"to": "bob", "text": "Hi Bob"}))
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    (status, answer.json().await.expect("JSON"))
}

/// The same until it is answered so.
async fn send_until(server: &Server, client: &Client, key: &str, code: &str) -> Value {
    let ann = server.token("ann", "member");
    let waited = tokio::time::timeout(LONG, async {
        loop {
            let (status, answer) = send(server, client, &ann, key).await;
            if (status.is_success() && code.is_empty()) || answer["code"] == code {
                return answer;
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        }
    });
    waited.await.expect("in time")
}

/// How many messages of ann's lie on bob's doorstep, once the view has come to a position.
async fn waiting(server: &Server, client: &Client, position: &str) -> u64 {
    let answer = client
        .get(format!(
            "{}/v1/requests?min_position={position}",
            server.url
        ))
        .bearer_auth(server.token("bob", "member"))
        .send()
        .await
        .expect("an answer");
    let requests: Value = answer.json().await.expect("JSON");
    let items = requests["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{requests}");
    items[0]["messages"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_over_a_cluster_loses_nothing_and_says_when_the_cluster_is_away() {
    let log = Log::new();
    let mut node = log.serve(31);
    let at = node.at();
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &["--store", &at]);
    let client = Client::new();
    for member in ["ann", "bob"] {
        server.register(member).await;
    }
    let everyone = client
        .put(format!("{}/v1/me/dm-setting", server.url))
        .bearer_auth(server.token("bob", "member"))
        .json(&json!({"audience": "everyone"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(everyone.status(), StatusCode::OK);
    let first = send_until(&server, &client, "k1", "").await;
    let position = first["position"].as_str().expect("a position");
    assert_eq!(waiting(&server, &client, position).await, 1);

    node.kill().await;
    send_until(&server, &client, "k2", "store_unavailable").await;
    let ann = server.token("ann", "member");
    // Each of them waiting for its answer would take ten minutes.
    let asked = tokio::time::timeout(LONG, async {
        for _ in 0..100 {
            let (status, answer) = send(&server, &client, &ann, "k2").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        }
    });
    asked.await.expect("at once");
    let ready = client.get(format!("{}/readyz", server.url)).send().await;
    let ready: Value = ready.expect("an answer").json().await.expect("JSON");
    assert_eq!(ready["store"], "unavailable", "{ready}");
    node.start();
    let second = send_until(&server, &client, "k2", "").await;
    let again = send_until(&server, &client, "k1", "").await;
    assert_eq!(again["position"], first["position"], "once");
    let position = second["position"].as_str().expect("a position");
    assert_eq!(waiting(&server, &client, position).await, 2);
    assert!(server.stop().success());

    // Another machine, which has nothing but the way to the cluster.
    let elsewhere = tempfile::tempdir().expect("a folder");
    let server = Server::start(elsewhere.path(), &["--store", &at]);
    let third = send_until(&server, &client, "k3", "").await;
    let position = third["position"].as_str().expect("a position");
    assert_eq!(waiting(&server, &client, position).await, 3);
    // It stops in order also where its store does not answer; and does not start.
    node.kill().await;
    assert!(server.stop().success());
    let secret = at.replacen("://", "://doorstep:s3cret@", 1);
    let folder = elsewhere.path().to_string_lossy();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &folder];
    let refused = program::run([&serve[..], &["--store", &secret]].concat());
    assert_eq!(refused.status, Some(1), "{}", refused.stderr);
    let address = node.address().to_string();
    assert!(refused.stderr.contains(&address), "{}", refused.stderr);
    assert!(!refused.stderr.contains("s3cret"), "{}", refused.stderr);
}

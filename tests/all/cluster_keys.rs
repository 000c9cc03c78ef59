//! What one node of a cluster signs and seals is taken by the others, where all have the same key file; and a node whose
//! keys are its own says so.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::cluster::{Log, Node};
use tests::program::{Server, run};

/// A node of the service over the cluster, with a folder of its own.
fn node(data: &std::path::Path, cluster: &Node, more: &[&str]) -> Server {
    let at = cluster.at();
    let mut args = vec!["--store", &at];
    args.extend(more);
    Server::start(data, &args)
}

async fn get(client: &Client, url: &str, token: &str) -> (StatusCode, Value) {
    let answer = client.get(url).bearer_auth(token).send().await;
    let answer = answer.expect("an answer");
    let status = answer.status();
    (status, answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_positions_and_cursors_of_one_node_are_taken_by_another_with_the_same_key_file() {
    let log = Log::new();
    let cluster = log.serve(41);
    let folders = tempfile::tempdir().expect("a folder");
    let key = folders.path().join("shared-key");
    std::fs::write(&key, "a secret of more than 32 bytes, for all nodes\n").expect("written");
    let key = key.to_string_lossy();
    let [one, other] = ["one", "other"]
        .map(|name| node(&folders.path().join(name), &cluster, &["--auth-key", &key]));
    assert!(!one.words().contains("new keys"), "{}", one.words());
    assert!(!other.words().contains("new keys"), "{}", other.words());
    let token = |sub: &str, role: &str| {
        let made = run(["token", "--auth-key", &*key, "--sub", sub, "--role", role]).done();
        made.stdout.trim().to_owned()
    };
    let client = Client::new();
    for member in ["ann", "bob", "cat"] {
        let answer = client
            .put(format!("{}/v1/members/{member}", one.url))
            .bearer_auth(token("host", "service"))
            .json(&json!({"age_band": "adult"}))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let everyone = client
        .put(format!("{}/v1/me/dm-setting", one.url))
        .bearer_auth(token("ann", "member"))
        .json(&json!({"audience": "everyone"}));
    let answer = everyone.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let mut position = String::new();
    for sender in ["bob", "cat"] {
        let answer = client
            .post(format!("{}/v1/messages", one.url))
            .bearer_auth(token(sender, "member"))
            .json(&json!({"to": "ann", "text": "Hi Ann"}))
            .send()
            .await
            .expect("an answer");
        assert!(answer.status().is_success());
        let sent: Value = answer.json().await.expect("JSON");
        sent["position"]
            .as_str()
            .expect("an opaque position")
            .clone_into(&mut position);
    }
    let ann = token("ann", "member");
    let page = |server: &Server, more: &str| {
        format!(
            "{}/v1/requests?min_position={position}&limit=1{more}",
            server.url
        )
    };
    let (status, first) = get(&client, &page(&one, ""), &ann).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let (status, second) = get(&client, &page(&other, &format!("&cursor={cursor}")), &ann).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    let from = |page: &Value| page["items"][0]["conversation_id"].clone();
    assert_ne!(from(&first), from(&second));
    assert_ne!(from(&second), Value::Null, "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_keys_of_its_own_takes_no_other_nodes_tokens_and_says_so_once() {
    let log = Log::new();
    let cluster = log.serve(42);
    let folders = tempfile::tempdir().expect("a folder");
    let (here, there) = (folders.path().join("here"), folders.path().join("there"));
    let (one, other) = (node(&here, &cluster, &[]), node(&there, &cluster, &[]));
    for server in [&one, &other] {
        let words = server.words();
        assert!(
            words.contains("give every node the same --auth-key"),
            "{words}"
        );
    }
    let (status, _) = get(
        &Client::new(),
        &format!("{}/v1/inbox", other.url),
        &one.token("ann", "member"),
    )
    .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(one.stop().success());
    let again = node(&here, &cluster, &[]);
    assert!(!again.words().contains("new keys"), "{}", again.words());
}

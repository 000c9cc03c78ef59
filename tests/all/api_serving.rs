//! The service as a whole: health, metrics, request ids, the log over HTTP, its care, failures of the store, the stop.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use api::Role;
use event_store::faults::FaultyBackend;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Setting, reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn health_readiness_and_metrics_answer_anyone() {
    let door = Door::open().await;
    door.register("some-member").await;
    door.register("another-member").await;
    let cid = door.sent("some-member", "another-member", "hi").await;
    assert_eq!(door.get("/healthz", "").await.expect(200).bytes, b"ok\n");
    let ready = door.get("/readyz", "").await.expect(200).json();
    assert_eq!(
        (&ready["ready"], &ready["store"], &ready["clock"]),
        (&json!(true), &json!("writable"), &json!("right"))
    );
    assert_eq!(
        ready["views"].as_array().unwrap().len(),
        projections::names().len()
    );
    let metrics = door.get("/metrics", "").await.expect(200);
    assert!(
        metrics.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    let text = String::from_utf8(metrics.bytes).unwrap();
    let answers = r#"doorstep_http_answers_total{route="/v1/messages",method="POST",status="2xx"}"#;
    assert!(text.contains(answers), "{text}");
    assert!(
        text.contains("doorstep_http_answer_seconds_bucket")
            && text.contains("doorstep_view_lag_events"),
        "{text}"
    );
    for secret in ["some-member", "another-member", cid.as_str()] {
        assert!(!text.contains(secret), "a label holds {secret}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let door = Door::open().await;
    let mut seen = Vec::new();
    for path in ["/healthz", "/v1/inbox", "/nothing"] {
        seen.push(
            door.get(path, "").await.headers["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
    for (given, kept) in [
        ("trace-1.a:B_2", true),
        ("a b", false),
        ("", false),
        (&"x".repeat(65), false),
    ] {
        let request = door
            .request(Method::GET, "/v1/inbox")
            .header("x-request-id", given);
        let answer = reply(request).await;
        assert_eq!(answer.headers["x-request-id"] == given, kept, "{given}");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

/// Three members, of whom two wrote.
async fn small_log() -> Door {
    let door = Door::open().await;
    for member in ["ann", "bob", "eve"] {
        door.register(member).await;
    }
    door.sent("bob", "ann", "one\ntwo \"three\"").await;
    door.sent("eve", "bob", "four").await;
    door
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_as_lines() {
    let door = small_log().await;
    let auditor = door.token("audit", &[Role::Auditor]);
    let end = door.position().await.0;
    let request = door
        .request(Method::GET, "/v1/events")
        .bearer_auth(&auditor)
        .header("accept", "application/x-ndjson");
    let lines = reply(request).await.expect(200);
    assert_eq!(lines.headers["content-type"], "application/x-ndjson");
    let text = String::from_utf8(lines.bytes).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len() as u64, end);
    assert!(
        lines
            .iter()
            .zip(1..)
            .all(|(line, position)| line["position"] == json!(position))
    );

    let mut paged = Vec::new();
    let mut path = "/v1/events?limit=3".to_owned();
    loop {
        let page = door.get(&path, &auditor).await.expect(200).json();
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/events?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(paged, lines);

    let sent: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "message-sent.v1")
        .collect();
    assert_eq!(sent[0]["data"]["text"], "one\ntwo \"three\"");
    assert_eq!(
        (&sent[0]["actor"], &sent[0]["members"]),
        (&json!("bob"), &json!(["bob", "ann"]))
    );
    assert_eq!(sent[0]["log_id"], json!(door.store.log_id().0.to_string()));
    let count = |query: &str| {
        let path = format!("/v1/events?{query}");
        let (door, auditor) = (&door, &auditor);
        async move {
            door.get(&path, auditor).await.expect(200).json()["items"]
                .as_array()
                .unwrap()
                .len()
        }
    };
    assert_eq!(count("type=message-sent.v1").await, 2);
    assert_eq!(count("type=message-sent").await, 2);
    assert_eq!(count("type=case-opened").await, 0);
    assert_eq!(count("stream=member-nobody").await, 0);
    let concerning = |member: &str| {
        lines
            .iter()
            .filter(|line| line["members"].as_array().unwrap().contains(&json!(member)))
            .count()
    };
    assert_eq!(count("member=eve").await, concerning("eve"));
    let stream = sent[0]["stream"].as_str().unwrap();
    let of_stream: Vec<&Value> = lines
        .iter()
        .filter(|line| line["stream"] == *stream)
        .collect();
    assert_eq!(count(&format!("stream={stream}")).await, of_stream.len());
    assert_eq!(count(&format!("after={}", end - 2)).await, 2);
    assert_eq!(count(&format!("after={end}")).await, 0);
    let first = door
        .get(&format!("/v1/events?stream={stream}&limit=1"), &auditor)
        .await
        .expect(200)
        .json();
    assert_eq!(&first["items"][0], of_stream[0]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = door
        .get(
            &format!("/v1/events?stream={stream}&limit=1&cursor={cursor}"),
            &auditor,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(&second["items"][0], of_stream[1]);
    let of_others = format!("/v1/events?limit=1&cursor={cursor}");
    let refused = door.get(&of_others, &auditor).await.failure();
    assert_eq!(refused, (400, "invalid_query".to_owned()));
}

/// The files of a tar archive.
fn unpack(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut at = 0;
    while archive[at] != 0 {
        let text = |from: usize, to: usize| {
            std::str::from_utf8(&archive[at + from..at + to])
                .unwrap()
                .trim_end_matches('\0')
                .to_owned()
        };
        let bytes = usize::from_str_radix(&text(124, 136), 8).unwrap();
        assert_eq!(text(257, 262), "ustar");
        files.insert(text(0, 100), archive[at + 512..at + 512 + bytes].to_vec());
        at += 512 + bytes.div_ceil(512) * 512;
    }
    assert_eq!(archive[at..], [0; 1024]);
    files
}

#[tokio::test]
async fn the_operator_verifies_and_takes_a_backup_that_restores() {
    let door = small_log().await;
    let operator = door.token("ops", &[Role::Operator]);
    let verified = door
        .post("/v1/store/verify", &operator, Value::Null)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&verified["ok"], &verified["events"]),
        (&json!(true), &json!(door.position().await.0))
    );
    let end = door.position().await;
    let backup = door.get("/v1/store/backup", &operator).await.expect(200);
    assert_eq!(backup.headers["content-type"], "application/x-tar");
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in unpack(&backup.bytes) {
        let file = folder.path().join("backup").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    let restored =
        event_store::restore(folder.path().join("backup"), folder.path().join("data")).unwrap();
    assert_eq!(restored.position, end);
    assert_ne!(restored.log_id, door.store.log_id());
}

#[tokio::test]
async fn on_a_full_disk_commands_are_refused_and_queries_go_on() {
    let backend = FaultyBackend::new();
    let store = event_store::Options {
        backend: Arc::new(backend.clone()),
        reserve_bytes: 1024,
        ..tests::commands::store_options()
    };
    let door = Door::open_with(Setting {
        store,
        ..Setting::default()
    })
    .await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    door.sent("bob", "ann", "hi").await;
    backend.set_free(Some(0));
    let full = refused_once_noticed(&door).await;
    assert_eq!(full, (507, "storage_full".to_owned()));
    assert_eq!(
        door.list("/v1/requests", "ann").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    backend.set_free(None);
    let mut status = 507;
    for _ in 0..1_000 {
        status = door.send("bob", "ann", "more").await.status;
        if status != 507 {
            break;
        }
    }
    assert_eq!(status, 201, "room made is noticed");
}

/// The first failure of a command that changes something; the store looks at the disk now and then.
async fn refused_once_noticed(door: &Door) -> (u16, String) {
    for turn in 0..1_000 {
        let path = format!("/v1/members/ann/follows/m{turn}");
        let answer = door.put(&path, &door.service(), Value::Null).await;
        if answer.status != 200 {
            return answer.failure();
        }
    }
    (200, String::new())
}

#[tokio::test]
async fn a_failed_sync_leaves_the_outcome_unknown() {
    let backend = FaultyBackend::new();
    let store = event_store::Options {
        backend: Arc::new(backend.clone()),
        on_fatal: Arc::new(|_| {}),
        ..tests::commands::store_options()
    };
    let door = Door::open_with(Setting {
        store,
        ..Setting::default()
    })
    .await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    backend.fail_from(backend.operations() + 1, ErrorKind::Other);
    assert_eq!(
        door.send("bob", "ann", "hi").await.failure(),
        (503, "outcome_unknown".to_owned())
    );
    assert_eq!(
        door.send("bob", "ann", "hi").await.status,
        503,
        "and stays so"
    );
    assert_eq!(door.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn what_was_accepted_is_answered_before_the_service_ends() {
    let mut door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let body = json!({"to": "ann", "text": "the last one"}).to_string();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: d\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        door.member("bob"),
        body.len()
    );
    let mut underway = TcpStream::connect(door.address).await.unwrap();
    underway.write_all(head.as_bytes()).await.unwrap();
    underway.write_all(&body.as_bytes()[..10]).await.unwrap();
    let mut idle = TcpStream::connect(door.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: d\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0_u8; 12];
    idle.read_exact(&mut buffer).await.unwrap();

    door.begin_stop();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    underway.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = String::new();
    underway.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 201 ") && answer.contains("connection: close"),
        "{answer}"
    );
    let address = door.address;
    let dir = door.stop().await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nothing listens any more"
    );

    let door = Door::serve_again(dir).await;
    let requests = door.list("/v1/requests", "ann").await;
    assert_eq!(requests["items"][0]["last_message"]["text"], "the last one");
}

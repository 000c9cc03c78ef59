//! Bounds on what one caller may ask, and on how slowly.

use std::time::Duration;

use api::limits::RateLimits;
use api::{Options, Role, ServeOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Setting, reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A door whose members may ask a few times, and then once in a long while.
async fn narrow(burst: u32) -> Door {
    let limits = RateLimits {
        member_per_second: 1,
        member_burst: burst,
        not_allowed_per_day: 3,
        ..RateLimits::default()
    };
    let options = Options {
        rate_limits: limits,
        ..Options::default()
    };
    Door::open_with(Setting {
        api: options,
        ..Setting::default()
    })
    .await
}

/// Asks until it is refused, since a second that passes meanwhile lets one more through.
async fn refused_within(door: &Door, most: usize, path: &str, token: &str) -> Option<Reply> {
    for _ in 0..most {
        let answer = door.get(path, token).await;
        if answer.status != 200 {
            return Some(answer);
        }
    }
    None
}

#[tokio::test]
async fn too_many_requests_are_told_how_long_to_wait() {
    let door = narrow(5).await;
    door.register_as("ann", "adult").await;
    door.register_as("bob", "adult").await;
    let ann = door.member("ann");
    assert!(refused_within(&door, 5, "/v1/inbox", &ann).await.is_none());
    let refused = refused_within(&door, 50, "/v1/unread", &ann).await.unwrap();
    assert_eq!(refused.failure(), (429, "rate_limited".to_owned()));
    let wait: u64 = refused.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(
        door.get("/v1/inbox", &door.member("bob")).await.status,
        200,
        "each has a limit of their own"
    );
    let fresh = door.keys.sign("ann", &[Role::Member], 7200).unwrap();
    // With a limit of its own it would let five through.
    let refused = refused_within(&door, 4, "/v1/inbox", &fresh).await;
    assert_eq!(
        refused.map(|answer| answer.status),
        Some(429),
        "another token of the same member is no way around"
    );
}

#[tokio::test]
async fn accept_delete_block_and_report_are_never_limited() {
    let door = narrow(3).await;
    door.register("ann").await;
    door.register("bob").await;
    let cid = door.sent("bob", "ann", "hi").await;
    let ann = door.member("ann");
    let refused = refused_within(&door, 50, "/v1/inbox", &ann).await.unwrap();
    assert_eq!(refused.status, 429);
    for _ in 0..5 {
        let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
        assert!(door.post("/v1/reports", &ann, report).await.status < 300);
        assert_eq!(
            door.post(&format!("/v1/requests/{cid}/accept"), &ann, Value::Null)
                .await
                .status,
            200
        );
        assert_eq!(
            door.delete(&format!("/v1/requests/{cid}"), &ann)
                .await
                .failure()
                .1,
            "already_accepted"
        );
        let ids = json!({"conversation_ids": [cid]});
        assert_eq!(
            door.post("/v1/requests/accept", &ann, ids.clone())
                .await
                .status,
            200
        );
        assert_eq!(
            door.post("/v1/requests/delete", &ann, ids).await.status,
            200
        );
        assert_eq!(
            door.put("/v1/me/blocks/bob", &ann, Value::Null)
                .await
                .status,
            200
        );
        assert_eq!(door.delete("/v1/me/blocks/bob", &ann).await.status, 200);
    }
}

#[tokio::test]
async fn many_refused_messages_stop_the_sending_and_nothing_else() {
    let door = narrow(1_000).await;
    door.register("bob").await;
    door.register("ann").await;
    for _ in 0..3 {
        assert_eq!(
            door.send("bob", "nobody", "hi").await.failure(),
            (403, "not_allowed".to_owned())
        );
    }
    for to in ["nobody", "ann"] {
        let refused = door.send("bob", to, "hi").await;
        assert_eq!(refused.failure(), (429, "rate_limited".to_owned()), "{to}");
        let wait: u64 = refused.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!(wait > 86_000, "{wait}");
    }
    assert_eq!(door.get("/v1/inbox", &door.member("bob")).await.status, 200);
    assert_eq!(door.send("ann", "bob", "hi").await.status, 201);
}

/// The day's requests are said whoever is addressed; a request that is full and one that is withheld are one thing.
#[tokio::test]
async fn the_two_limits_of_messages_are_told_apart_and_the_first_says_when() {
    let door = Door::open().await;
    for member in ["ann", "bob", "cat"] {
        door.register(member).await;
    }
    for to in ["ann", "cat"] {
        door.audience(to, "everyone").await;
    }
    let host = door.service();
    let mut rules = door.get("/v1/policy", &host).await.json()["rules"].clone();
    for limit in ["requests_per_day", "requests_per_day_new"] {
        rules[limit] = json!(1);
    }
    let _ = door.put("/v1/policy", &host, rules).await.expect(200);
    for _ in 0..3 {
        let _ = door.send("bob", "ann", "hi").await.expect(201);
    }
    let full = door.send("bob", "ann", "hi").await.expect(429);
    assert_eq!(full.code(), "limit_reached");
    assert_eq!(full.json()["limit"], "request_messages");
    assert!(full.headers.get("retry-after").is_none());
    for to in ["cat", "nobody"] {
        let message = || {
            let request = door.request(reqwest::Method::POST, "/v1/messages");
            let request = request.bearer_auth(door.member("bob"));
            let request = request.header("idempotency-key", format!("first to {to}"));
            request.json(&json!({"to": to, "text": "hi"}))
        };
        for turn in ["first", "repeated"] {
            let over = reply(message()).await.expect(429);
            assert_eq!(over.code(), "limit_reached", "{to}, {turn}");
            assert_eq!(over.json()["limit"], "requests_per_day", "{to}, {turn}");
            let wait: u64 = over.headers["retry-after"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!((86_000..=86_400).contains(&wait), "{wait}");
        }
    }
}

#[tokio::test]
async fn what_was_sent_before_the_sending_stopped_is_told_again() {
    let door = narrow(1_000).await;
    door.register("bob").await;
    door.register("ann").await;
    let send = |key: &'static str, to: &'static str, text: &'static str| {
        let request = door.request(Method::POST, "/v1/messages");
        let request = request.bearer_auth(door.member("bob"));
        let request = request.header("idempotency-key", key);
        reply(request.json(&json!({"to": to, "text": text})))
    };
    let sent = send("taken", "ann", "hi").await.expect(201);
    let refused = send("refused", "nobody", "hi").await;
    assert_eq!(refused.failure(), (403, "not_allowed".to_owned()));
    for key in ["second", "third"] {
        assert_eq!(send(key, "nobody", "hi").await.status, 403);
    }
    let limited = (429, "rate_limited".to_owned());
    let end = door.position().await;
    assert_eq!(send("new", "ann", "hi").await.failure(), limited);
    assert_eq!(
        send("taken", "ann", "hi").await.expect(201).bytes,
        sent.bytes
    );
    assert_eq!(send("refused", "nobody", "hi").await.status, 403);
    let reused = send("taken", "ann", "ho").await;
    assert_eq!(reused.failure(), (409, "command_id_reused".to_owned()));
    assert_eq!(
        send("new", "ann", "hi").await.failure(),
        limited,
        "asking again makes nothing of it"
    );
    assert_eq!(door.position().await, end, "nothing is written");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let options = Options {
        body_timeout: Duration::from_millis(30),
        ..Options::default()
    };
    let door = Door::open_with(Setting {
        api: options,
        ..Setting::default()
    })
    .await;
    door.register("ann").await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: d\r\nauthorization: Bearer {}\r\ncontent-length: 40\r\n\r\n{{\"to\":",
        door.member("ann")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"request_timeout\""),
        "{answer}"
    );
}

#[tokio::test]
async fn a_head_that_cannot_be_taken_is_told_so_before_the_connection_ends() {
    let door = Door::open().await;
    let many = "x: a\r\n".repeat(150);
    let long = "a".repeat(80_000);
    for (what, head, status) in [
        ("no HTTP", "GARBAGE\r\n\r\n".to_owned(), "400"),
        (
            "a broken header",
            "GET /healthz HTTP/1.1\r\nhost: d\r\nx y: z\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "too many headers",
            format!("GET /healthz HTTP/1.1\r\nhost: d\r\n{many}\r\n"),
            "431",
        ),
        (
            "too long a path",
            format!("GET /{long} HTTP/1.1\r\nhost: d\r\n\r\n"),
            "414",
        ),
    ] {
        let mut stream = TcpStream::connect(door.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0_u8; 12];
        stream.read_exact(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer, format!("HTTP/1.1 {status}"), "{what}");
    }
}

#[tokio::test]
async fn a_body_that_nobody_takes_is_not_waited_for_either() {
    let options = Options {
        body_timeout: Duration::from_millis(30),
        ..Options::default()
    };
    let door = Door::open_with(Setting {
        api: options,
        ..Setting::default()
    })
    .await;
    door.register("ann").await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    let head = format!(
        "PUT /v1/me/blocks/bob HTTP/1.1\r\nhost: d\r\nauthorization: Bearer {}\r\ncontent-length: 40\r\n\r\n{{",
        door.member("ann")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let serve = ServeOptions {
        head_timeout: Duration::from_millis(30),
        ..ServeOptions::default()
    };
    let door = Door::open_with(Setting {
        serve,
        ..Setting::default()
    })
    .await;
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost:")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_room() {
    let serve = ServeOptions {
        connections_max: 1,
        ..ServeOptions::default()
    };
    let door = Door::open_with(Setting {
        serve,
        ..Setting::default()
    })
    .await;
    // The client of the harness holds the one connection; a second gets its answer once that is given up.
    let request = b"GET /healthz HTTP/1.1\r\nhost: d\r\nconnection: close\r\n\r\n";
    let mut first = TcpStream::connect(door.address).await.unwrap();
    first.write_all(&request[..20]).await.unwrap();
    let mut second = TcpStream::connect(door.address).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut answer = [0_u8; 12];
    let waiting =
        tokio::time::timeout(Duration::from_millis(100), second.read_exact(&mut answer)).await;
    assert!(waiting.is_err(), "the second was answered beside the first");
    drop(first);
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

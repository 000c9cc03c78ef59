//! What must not be told apart is equal byte for byte: the whole response as it stands on the wire, but for its date and
//! the request id, which these tests give themselves.

use api::Role;
use serde_json::{Value, json};
use tests::api::Door;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends one request as bytes and gives the response's, without the line of its date.
async fn raw(door: &Door, method: &str, path: &str, token: &str, body: &Value) -> String {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let authorization = if token.is_empty() {
        String::new()
    } else {
        format!("authorization: Bearer {token}\r\n")
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: doorstep\r\n{authorization}x-request-id: same\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(door.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    text.split("\r\n")
        .filter(|line| !line.starts_with("date: "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn a_block_an_audience_an_age_and_an_unknown_recipient_answer_alike() {
    let door = Door::open().await;
    for member in ["bob", "blocker", "blocked", "closed", "friends"] {
        door.register(member).await;
    }
    door.register_as("child", "under_16").await;
    door.audience("closed", "no_one").await;
    door.audience("friends", "friends").await;
    let _ = door
        .put("/v1/me/blocks/bob", &door.member("blocker"), Value::Null)
        .await
        .expect(200);
    let bob = door.member("bob");
    let _ = door
        .put("/v1/me/blocks/blocked", &bob, Value::Null)
        .await
        .expect(200);
    let mut answers = Vec::new();
    let mut written = Vec::new();
    for to in [
        "unknown", "blocker", "blocked", "closed", "friends", "child", "x",
    ] {
        let before = door.position().await;
        answers.push((
            to,
            raw(
                &door,
                "POST",
                "/v1/messages",
                &bob,
                &json!({"to": to, "text": "hi"}),
            )
            .await,
        ));
        written.push((
            to,
            door.store
                .read_all(before, 10, 1 << 20)
                .await
                .unwrap()
                .len(),
        ));
    }
    let (_, first) = &answers[0];
    assert!(
        first.starts_with("HTTP/1.1 403 ") && first.contains("\"code\":\"not_allowed\""),
        "{first}"
    );
    for (to, answer) in &answers {
        assert_eq!(answer, first, "{to}");
    }
    assert!(
        written.iter().all(|(_, events)| *events == 1),
        "the same is written for each: {written:?}"
    );
}

#[tokio::test]
async fn a_withheld_message_answers_like_a_taken_one() {
    let door = Door::open().await;
    for member in ["bob", "ann", "eve"] {
        door.register(member).await;
    }
    let mut shapes = Vec::new();
    for to in ["ann", "eve"] {
        door.sent("bob", to, "first").await;
        if to == "eve" {
            let _ = door
                .put("/v1/me/blocks/bob", &door.member("eve"), Value::Null)
                .await
                .expect(200);
        }
        let reply = door.send("bob", to, "second").await.expect(201);
        let mut body = reply.json();
        for changing in ["conversation_id", "position", "sent_at"] {
            assert!(
                body.as_object_mut()
                    .unwrap()
                    .remove(changing)
                    .unwrap()
                    .is_string()
            );
        }
        shapes.push((body, reply.bytes.len()));
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0].0, json!({"number": 2, "outcome": "sent"}));
}

#[tokio::test]
async fn unknown_foreign_and_malformed_conversations_answer_alike_on_every_route() {
    let door = Door::open().await;
    for member in ["ann", "bob", "eve"] {
        door.register(member).await;
    }
    let foreign = door.sent("bob", "ann", "private").await;
    let eve = door.member("eve");
    let unknown = "6d8f3c1e-0000-4000-8000-000000000000".to_owned();
    let shouted = foreign.to_uppercase();
    let ids = [
        unknown,
        foreign.clone(),
        shouted,
        "nonsense".to_owned(),
        "%00".to_owned(),
        "%ff".to_owned(),
        "a".repeat(500),
    ];
    let routes = [
        ("GET", "/v1/conversations/{}/messages", Value::Null),
        ("GET", "/v1/conversations/{}/messages?limit=1", Value::Null),
        ("DELETE", "/v1/conversations/{}/messages/1", Value::Null),
        ("PUT", "/v1/conversations/{}/read", json!({"up_to": 1})),
        ("PUT", "/v1/conversations/{}/mute", Value::Null),
        ("DELETE", "/v1/conversations/{}/mute", Value::Null),
        ("POST", "/v1/conversations/{}/move-to-requests", Value::Null),
        ("POST", "/v1/requests/{}/accept", Value::Null),
        ("POST", "/v1/requests/{}/restore", Value::Null),
        ("DELETE", "/v1/requests/{}", Value::Null),
        ("DELETE", "/v1/requests/{}?mode=final", Value::Null),
        ("GET", "/v1/reports/{}", Value::Null),
    ];
    let before = door.position().await;
    let mut first = None;
    for (method, route, body) in routes {
        for id in &ids {
            let answer = raw(&door, method, &route.replace("{}", id), &eve, &body).await;
            let first = first.get_or_insert_with(|| answer.clone());
            assert_eq!(&answer, first, "{method} {route} {id}");
        }
    }
    for id in &ids {
        let report = json!({"conversation_id": id, "messages": [1], "category": "spam"});
        assert_eq!(
            Some(raw(&door, "POST", "/v1/reports", &eve, &report).await),
            first,
            "{id}"
        );
    }
    assert!(first.unwrap().starts_with("HTTP/1.1 404 "));
    assert_eq!(
        door.position().await,
        before,
        "who has no part in it writes nothing"
    );

    let bulk = json!({"conversation_ids": ids});
    let items = door
        .post("/v1/requests/accept", &eve, bulk)
        .await
        .expect(200)
        .json()["items"]
        .clone();
    for (item, id) in items.as_array().unwrap().iter().zip(&ids) {
        assert_eq!(
            item,
            &json!({"conversation_id": id, "status": 404, "code": "not_found"})
        );
    }
}

#[tokio::test]
async fn an_unknown_member_is_blocked_like_a_known_one() {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let ann = door.member("ann");
    let mut shapes = Vec::new();
    for other in ["bob", "nobody"] {
        for method in ["PUT", "PUT", "DELETE", "DELETE"] {
            let answer = raw(
                &door,
                method,
                &format!("/v1/me/blocks/{other}"),
                &ann,
                &Value::Null,
            )
            .await;
            shapes.push(answer.split("position").map(str::len).collect::<Vec<_>>());
        }
    }
    assert_eq!(shapes[..4], shapes[4..]);
}

#[tokio::test]
async fn a_case_that_does_not_exist_answers_like_an_id_that_is_none() {
    let door = Door::open().await;
    let moderator = door.token("mod", &[Role::Moderator]);
    let before = door.position().await;
    let unknown = raw(
        &door,
        "GET",
        "/v1/moderation/cases/6d8f3c1e-0000-4000-8000-000000000000",
        &moderator,
        &Value::Null,
    )
    .await;
    let nonsense = raw(
        &door,
        "GET",
        "/v1/moderation/cases/nonsense",
        &moderator,
        &Value::Null,
    )
    .await;
    assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
    assert_eq!(unknown, nonsense);
    assert_eq!(door.position().await, before);
}

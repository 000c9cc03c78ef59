//! The shape of every answer, as one snapshot: a walk over the routes with status and body of each.
//!
//! What differs from run to run is replaced: ids of conversations, cases and reports, positions, cursors, times.

use std::fmt::Write as _;

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply};

/// A walk under way.
struct Walk {
    door: Door,
    text: String,
}

impl Walk {
    async fn step(&mut self, token: &str, method: Method, path: &str, body: Value) -> Reply {
        let reply = self
            .door
            .call(method.clone(), path, token, body.clone())
            .await;
        let shown = path.split('?').next().unwrap();
        let shown = shown.split('/').map(|part| {
            if uuid::Uuid::try_parse(part).is_ok() {
                "(id)"
            } else {
                part
            }
        });
        let shown = shown.collect::<Vec<_>>().join("/");
        let _ = writeln!(self.text, "{method} {shown}");
        if !body.is_null() {
            let _ = writeln!(self.text, "  {}", same(body));
        }
        let _ = writeln!(
            self.text,
            "{} {}",
            reply.status,
            reply.headers["content-type"].to_str().unwrap()
        );
        let _ = writeln!(
            self.text,
            "{}\n",
            serde_json::to_string_pretty(&same(reply.json())).unwrap()
        );
        reply
    }
}

/// The value without what differs from run to run.
fn same(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name.clone(), same_field(&name, value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(same).collect(),
        Value::String(text) if uuid::Uuid::try_parse(&text).is_ok() => json!("(id)"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn same_field(name: &str, value: Value) -> Value {
    let changing = [
        "position",
        "next_cursor",
        "request_id",
        "recorded_at",
        "at",
        "since",
        "lag",
    ];
    let changes = changing.contains(&name)
        || name.ends_with("_until")
        || (name.ends_with("_at") && name != "registered_at");
    if changes && !value.is_null() {
        json!(format!("({name})"))
    } else {
        same(value)
    }
}

#[tokio::test]
async fn every_answer_has_its_shape() {
    let door = Door::open().await;
    let (host, ann, bob) = (door.service(), door.member("ann"), door.member("bob"));
    let (moderator, auditor) = (
        door.token("mod", &[Role::Moderator]),
        door.token("audit", &[Role::Auditor]),
    );
    let mut walk = Walk {
        door,
        text: String::new(),
    };
    let registration = json!({"age_band": "adult", "registered_at": "2024-01-01T00:00:00Z"});
    for member in ["ann", "bob", "eve"] {
        walk.step(
            &host,
            Method::PUT,
            &format!("/v1/members/{member}"),
            registration.clone(),
        )
        .await;
    }
    walk.step(
        &ann,
        Method::PUT,
        "/v1/me/dm-setting",
        json!({"audience": "everyone"}),
    )
    .await;
    walk.step(
        &host,
        Method::PUT,
        "/v1/members/bob/follows/ann",
        Value::Null,
    )
    .await;
    let sent = walk
        .step(
            &bob,
            Method::POST,
            "/v1/messages",
            json!({"to": "ann", "text": "hi"}),
        )
        .await;
    walk.step(
        &bob,
        Method::POST,
        "/v1/messages",
        json!({"to": "eve", "text": "hi"}),
    )
    .await;
    walk.step(
        &bob,
        Method::POST,
        "/v1/messages",
        json!({"to": "ann", "text": " "}),
    )
    .await;
    walk.step(
        &bob,
        Method::POST,
        "/v1/messages",
        json!({"to": "ann", "txt": "hi"}),
    )
    .await;
    let cid = sent.json()["conversation_id"].as_str().unwrap().to_owned();
    let here = |path: &str, position: &str| format!("{path}?min_position={position}");
    walk.step(
        &ann,
        Method::GET,
        &here("/v1/requests", &sent.position()),
        Value::Null,
    )
    .await;
    let deleted = walk
        .step(
            &ann,
            Method::DELETE,
            &format!("/v1/requests/{cid}"),
            Value::Null,
        )
        .await;
    walk.step(
        &ann,
        Method::POST,
        &format!("/v1/requests/{cid}/accept"),
        Value::Null,
    )
    .await;
    drop(deleted);
    walk.step(
        &ann,
        Method::POST,
        &format!("/v1/requests/{cid}/restore"),
        Value::Null,
    )
    .await;
    walk.step(
        &ann,
        Method::POST,
        "/v1/requests/accept",
        json!({"conversation_ids": [cid, "nonsense"]}),
    )
    .await;
    let report = json!({"conversation_id": cid, "messages": [1], "category": "spam", "comment": "no", "also": "delete"});
    let reported = walk.step(&ann, Method::POST, "/v1/reports", report).await;
    let position = reported.position();
    for path in [
        "/v1/inbox",
        "/v1/unread",
        "/v1/me/blocks",
        "/v1/me/reports",
        "/v1/me/dm-setting",
    ] {
        walk.step(&ann, Method::GET, &here(path, &position), Value::Null)
            .await;
    }
    walk.step(
        &ann,
        Method::GET,
        &here(&format!("/v1/conversations/{cid}/messages"), &position),
        Value::Null,
    )
    .await;
    let queue = walk
        .step(
            &moderator,
            Method::GET,
            &here("/v1/moderation/queue", &position),
            Value::Null,
        )
        .await;
    let case = queue.json()["items"][0]["case_id"]
        .as_str()
        .unwrap()
        .to_owned();
    walk.step(
        &moderator,
        Method::GET,
        &format!("/v1/moderation/cases/{case}"),
        Value::Null,
    )
    .await;
    let decision =
        json!({"action": "warn", "reason": "spam", "text": "Do not.", "facts": "Message 1."});
    let next = walk.door.token("next", &[Role::Moderator]);
    for (by, act, body) in [
        (&moderator, "claim", Value::Null),
        (&moderator, "escalate", Value::Null),
        (&moderator, "claim", Value::Null),
        (&next, "claim", Value::Null),
        (&next, "decision", decision.clone()),
        (&next, "decision", decision),
    ] {
        let path = format!("/v1/moderation/cases/{case}/{act}");
        walk.step(by, Method::POST, &path, body).await;
    }
    walk.step(
        &auditor,
        Method::GET,
        "/v1/events?type=request-opened&limit=1",
        Value::Null,
    )
    .await;
    walk.step(&host, Method::GET, "/v1/policy", Value::Null)
        .await;
    walk.step(&auditor, Method::GET, "/v1/inbox", Value::Null)
        .await;
    walk.step("nonsense", Method::GET, "/v1/inbox", Value::Null)
        .await;
    insta::assert_snapshot!(walk.text);
}

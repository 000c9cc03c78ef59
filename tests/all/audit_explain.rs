//! Why a message went where it went: each rule of sending, as recorded with the decision and in words.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::Door;

struct Explained {
    door: Door,
    keys: std::cell::Cell<u32>,
}

impl Explained {
    async fn open() -> Self {
        let door = Door::open().await;
        for member in ["ann", "bob"] {
            door.register(member).await;
        }
        Self {
            door,
            keys: std::cell::Cell::new(0),
        }
    }

    /// The explanation of a message that `from` sends to `to`, by its command id.
    async fn send(&self, from: &str, to: &str) -> Value {
        self.keys.set(self.keys.get() + 1);
        let key = format!("key-{}", self.keys.get());
        let request = self
            .door
            .request(Method::POST, "/v1/messages")
            .bearer_auth(self.door.member(from))
            .header("Idempotency-Key", &key)
            .json(&json!({"to": to, "text": "hi"}));
        let reply = tests::api::reply(request).await;
        let cid = tests::views::conversation_of(from, to);
        let decision = self
            .explain(&format!("{cid}/explain?command_id={key}"))
            .await;
        let taken = reply.status == 201;
        assert_eq!(taken, decision["outcome"] != "refused", "{decision}");
        if taken {
            // The message by its number is the same decision.
            let number = reply.json()["number"].clone();
            assert_eq!(decision["number"], number);
            let by_number = self
                .explain(&format!("{cid}/explain?number={number}"))
                .await;
            assert_eq!(by_number, decision);
        } else {
            assert_eq!(decision["code"], reply.json()["code"], "{decision}");
        }
        assert_eq!(
            (&decision["by"], &decision["towards"]),
            (&json!(from), &json!(to))
        );
        assert_eq!(
            (&decision["command"], &decision["policy_version"]),
            (&json!("SendMessage"), &json!(0))
        );
        decision
    }

    async fn explain(&self, path: &str) -> Value {
        let auditor = self.door.token("ada", &[Role::Auditor]);
        let path = format!("/v1/audit/conversations/{path}");
        let explained = self.door.get(&path, &auditor).await.expect(200).json();
        let decisions = explained["decisions"].as_array().unwrap();
        assert_eq!(decisions.len(), 1, "{explained}");
        decisions[0].clone()
    }

    async fn put(&self, path: &str, by: &str) {
        let _ = self
            .door
            .put(path, &self.door.member(by), Value::Null)
            .await
            .expect(200);
    }
}

/// Rule, outcome and cause, and the words it is told in.
fn is(decision: &Value, rule: u64, outcome: &str, cause: Option<&str>, words: &str) {
    assert_eq!(
        (&decision["rule"], &decision["outcome"], &decision["cause"]),
        (&json!(rule), &json!(outcome), &json!(cause)),
        "{decision}"
    );
    assert_eq!(decision["words"], words);
}

#[tokio::test]
async fn rule_1_the_sender_may_not_write() {
    let it = Explained::open().await;
    it.door.register_as("kid", "under_16").await;
    let moderator = it.door.token("mia", &[Role::Moderator]);
    let _ = it
        .door
        .put(
            "/v1/moderation/members/bob/suspension",
            &moderator,
            json!({"reason": "spam", "text": "Enough.", "facts": "Ten letters."}),
        )
        .await
        .expect(200);
    for (from, cause, said) in [
        ("zed", "sender_unknown", "zed is not registered"),
        ("kid", "sender_under16", "kid is under 16"),
        ("bob", "sender_suspended", "bob is suspended"),
    ] {
        let words = format!("Rule 1: {said}. It was refused, `account_restricted`.");
        is(
            &it.send(from, "ann").await,
            1,
            "refused",
            Some(cause),
            &words,
        );
    }
}

#[tokio::test]
async fn rule_3_first_contacts_within_limits() {
    let it = Explained::open().await;
    for number in 0..20 {
        let to = format!("x{number}");
        it.door.register(&to).await;
        it.door.sent("bob", &to, "hi").await;
    }
    let decision = it.send("bob", "ann").await;
    is(
        &decision,
        3,
        "refused",
        Some("requests_of_the_day"),
        "Rule 3: of a first contact, whoever is addressed, bob opened as many requests within 24 hours as they may, 20 of 20. It was refused, `limit_reached`.",
    );
    assert_eq!(
        (&decision["used"], &decision["limit"]),
        (&json!(20), &json!(20))
    );
}

#[tokio::test]
async fn rule_4_the_recipient_cannot_be_written_to() {
    let it = Explained::open().await;
    it.door.register_as("kid", "under_16").await;
    it.door.register("blocker").await;
    it.door.register("blocked").await;
    it.put("/v1/me/blocks/bob", "blocker").await;
    it.put("/v1/me/blocks/blocked", "bob").await;
    for (to, cause, said) in [
        ("zed", "recipient_unknown", "zed is not registered"),
        ("kid", "recipient_under16", "kid is under 16"),
        ("blocker", "recipient_blocks", "blocker blocks bob"),
        ("blocked", "sender_blocks", "bob blocks blocked"),
    ] {
        let words = format!("Rule 4: {said}. It was refused, `not_allowed`.");
        is(&it.send("bob", to).await, 4, "refused", Some(cause), &words);
    }
}

#[tokio::test]
async fn rules_5_8_11_and_12_a_request_and_what_follows() {
    let it = Explained::open().await;
    let first = it.send("bob", "ann").await;
    is(
        &first,
        12,
        "requests",
        None,
        "Rule 12: the audience of ann is `everyone`, and bob is anyone else to them. It opened a request on the doorstep of ann.",
    );
    assert_eq!(
        (&first["audience"], &first["relationship_class"]),
        (&json!("everyone"), &json!("anyone"))
    );
    assert_eq!(
        (&first["setting_version"], &first["opened_request"]),
        (&json!(2), &json!(true))
    );
    let second = it.send("bob", "ann").await;
    assert_eq!(
        (&second["rule"], &second["opened_request"]),
        (&json!(12), &json!(false))
    );
    it.put("/v1/me/blocks/bob", "ann").await;
    is(
        &it.send("bob", "ann").await,
        5,
        "withheld",
        Some("recipient_blocks"),
        "Rule 5: ann blocks bob, and bob had written to them before. It was withheld: bob was told `sent`, and ann never sees it.",
    );
    is(
        &it.send("bob", "ann").await,
        5,
        "refused",
        Some("recipient_blocks"),
        "Rule 5: ann blocks bob, and bob, who wrote before, has written as much as a request may hold, 3 of 3. It was refused, `limit_reached`.",
    );
    let _ = it
        .door
        .delete("/v1/me/blocks/bob", &it.door.member("ann"))
        .await
        .expect(200);
    is(
        &it.send("bob", "ann").await,
        11,
        "refused",
        Some("request_messages"),
        "Rule 11: bob has written as many messages as may wait before ann accepts, 3 of 3. It was refused, `limit_reached`.",
    );
    let reply = it.send("ann", "bob").await;
    is(
        &reply,
        8,
        "inbox",
        None,
        "Rule 8: the way was open: bob had accepted ann, or had written to them first. A request was accepted with it, by this reply (rule 7). It went to the inbox of bob.",
    );
    assert_eq!(reply["accepted"], "reply");
    let last = it.send("bob", "ann").await;
    assert_eq!(
        (&last["rule"], &last["outcome"], &last["accepted"]),
        (&json!(8), &json!("inbox"), &Value::Null)
    );
}

#[tokio::test]
async fn rules_6_and_9_the_audience() {
    let it = Explained::open().await;
    it.door.audience("ann", "no_one").await;
    is(
        &it.send("bob", "ann").await,
        6,
        "refused",
        Some("audience"),
        "Rule 6: the audience of ann refuses bob. It was refused, `not_allowed`.",
    );
    it.door.audience("ann", "following").await;
    is(
        &it.send("bob", "ann").await,
        9,
        "refused",
        Some("audience"),
        "Rule 9: the audience of ann is `following`, and bob is anyone else to them. It was refused, `not_allowed`.",
    );
    let service = it.door.service();
    let _ = it
        .door
        .put("/v1/members/ann/follows/bob", &service, Value::Null)
        .await
        .expect(200);
    let decision = it.send("bob", "ann").await;
    is(
        &decision,
        9,
        "inbox",
        None,
        "Rule 9: the audience of ann is `following`, and bob is followed by ann. It went to the inbox of ann.",
    );
    assert_eq!(
        (
            &decision["relationship_class"],
            &decision["setting_version"]
        ),
        (&json!("recipient_follows"), &json!(4))
    );
}

#[tokio::test]
async fn rule_10_the_cooldown_of_a_deleted_request() {
    let it = Explained::open().await;
    let cid = it.door.sent("bob", "ann", "hi").await;
    let _ = it
        .door
        .delete(&format!("/v1/requests/{cid}"), &it.door.member("ann"))
        .await
        .expect(200);
    for _ in 0..2 {
        is(
            &it.send("bob", "ann").await,
            10,
            "withheld",
            Some("cooldown"),
            "Rule 10: the cooldown of the request that ann deleted runs. It was withheld: bob was told `sent`, and ann never sees it.",
        );
    }
    is(
        &it.send("bob", "ann").await,
        10,
        "refused",
        Some("cooldown"),
        "Rule 10: the cooldown of the request that ann deleted runs, and bob has written as much as a request may hold, 3 of 3. It was refused, `limit_reached`.",
    );
}

#[tokio::test]
async fn other_commands_are_explained_by_their_id() {
    let it = Explained::open().await;
    let cid = it.door.sent("bob", "ann", "hi").await;
    it.door.audience("ann", "no_one").await;
    let accept = async |key: &str| {
        let request = it
            .door
            .request(Method::POST, &format!("/v1/requests/{cid}/accept"))
            .bearer_auth(it.door.member("ann"))
            .header("Idempotency-Key", key);
        tests::api::reply(request).await.status
    };
    assert_eq!(accept("frozen").await, 409);
    let decision = it
        .explain(&format!("{cid}/explain?command_id=frozen"))
        .await;
    assert_eq!(
        (&decision["command"], &decision["code"]),
        (&json!("AcceptRequest"), &json!("request_frozen"))
    );
    assert_eq!(
        decision["words"],
        "The audience of ann refuses bob. It was refused, `request_frozen`."
    );
    it.door.audience("ann", "everyone").await;
    assert_eq!(accept("open").await, 200);
    let decision = it.explain(&format!("{cid}/explain?command_id=open")).await;
    assert_eq!(
        (&decision["outcome"], &decision["by"]),
        (&json!("done"), &json!("ann"))
    );
    // As of a moment before it was decided there is nothing to explain.
    let auditor = it.door.token("ada", &[Role::Auditor]);
    let path = format!("/v1/audit/conversations/{cid}/explain?command_id=open&as_of=7");
    assert_eq!(
        it.door.get(&path, &auditor).await.failure(),
        (404, "not_found".to_owned())
    );
}

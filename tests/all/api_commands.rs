//! Commands over HTTP: keys that repeat, times that are told, bulk calls, what each route answers.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, reply};

async fn door() -> Door {
    let door = Door::open().await;
    for member in ["ann", "bob", "eve"] {
        door.register(member).await;
    }
    door
}

/// Sends a message under a key.
async fn keyed(door: &Door, from: &str, key: &str, body: Value) -> Reply {
    let request = door
        .request(Method::POST, "/v1/messages")
        .bearer_auth(door.member(from));
    reply(request.header("idempotency-key", key).json(&body)).await
}

/// A request as one member, whose log position is expected to stay.
async fn stays(door: &Door, method: Method, path: &str, sub: &str, body: Value) -> Reply {
    let before = door.position().await;
    let reply = door.call(method, path, &door.member(sub), body).await;
    assert_eq!(door.position().await, before, "{path} wrote something");
    reply
}

#[tokio::test]
async fn a_repeated_key_gives_the_first_outcome_and_writes_nothing() {
    let door = door().await;
    let message = json!({"to": "ann", "text": "hi"});
    let first = keyed(&door, "bob", "k1", message.clone()).await.expect(201);
    let before = door.position().await;
    let again = keyed(&door, "bob", "k1", message.clone()).await.expect(201);
    assert_eq!(
        (&again.bytes, again.position()),
        (&first.bytes, first.position())
    );
    let other = keyed(&door, "bob", "k1", json!({"to": "ann", "text": "ho"})).await;
    assert_eq!(other.failure(), (409, "command_id_reused".to_owned()));
    let elsewhere = door
        .request(Method::PUT, "/v1/me/blocks/ann")
        .bearer_auth(door.member("bob"));
    let elsewhere = reply(elsewhere.header("idempotency-key", "k1")).await;
    assert_eq!(
        elsewhere.failure(),
        (409, "command_id_reused".to_owned()),
        "another route is other content"
    );
    assert_eq!(door.position().await, before);

    let eve = keyed(&door, "eve", "k1", message.clone()).await.expect(201);
    assert_ne!(
        eve.json()["conversation_id"],
        first.json()["conversation_id"],
        "keys are each member's own"
    );
    assert_eq!(
        door.send("bob", "ann", "hi").await.expect(201).json()["number"],
        2
    );
    assert_eq!(
        door.send("bob", "ann", "hi").await.expect(201).json()["number"],
        3,
        "without a key each is its own"
    );
    assert_eq!(
        door.send("bob", "ann", "hi").await.failure(),
        (429, "limit_reached".to_owned())
    );

    let door = door.reopen(tests::api::Setting::default()).await;
    let before = door.position().await;
    let after_restart = keyed(&door, "bob", "k1", message).await.expect(201);
    assert_eq!(after_restart.bytes, first.bytes);
    assert_eq!(door.position().await, before);
}

#[tokio::test]
async fn a_repeated_refusal_is_the_first_one_though_the_state_has_changed() {
    let door = door().await;
    let _ = door
        .put("/v1/me/blocks/bob", &door.member("ann"), Value::Null)
        .await
        .expect(200);
    let message = json!({"to": "ann", "text": "hi"});
    let refused = keyed(&door, "bob", "k", message.clone()).await;
    assert_eq!(refused.failure(), (403, "not_allowed".to_owned()));
    let _ = door
        .delete("/v1/me/blocks/bob", &door.member("ann"))
        .await
        .expect(200);
    let before = door.position().await;
    assert_eq!(
        keyed(&door, "bob", "k", message.clone()).await.failure(),
        (403, "not_allowed".to_owned())
    );
    assert_eq!(door.position().await, before);
    let _ = keyed(&door, "bob", "another", message).await.expect(201);
}

#[tokio::test]
async fn what_is_so_already_succeeds_with_the_position_that_made_it_so() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "hi").await;
    let accept = format!("/v1/requests/{cid}/accept");
    let first = door
        .post(&accept, &door.member("ann"), Value::Null)
        .await
        .expect(200);
    let again = stays(&door, Method::POST, &accept, "ann", Value::Null)
        .await
        .expect(200);
    assert_eq!(again.position(), first.position());
    let read = format!("/v1/conversations/{cid}/read");
    let first = door
        .put(&read, &door.member("ann"), json!({"up_to": 1}))
        .await
        .expect(200);
    let below = stays(&door, Method::PUT, &read, "ann", json!({"up_to": 0}))
        .await
        .expect(200);
    assert_eq!(below.position(), first.position());
    let above = door
        .put(&read, &door.member("ann"), json!({"up_to": 2}))
        .await;
    assert_eq!(above.failure(), (422, "invalid_read_mark".to_owned()));
    let never = stays(
        &door,
        Method::DELETE,
        "/v1/me/blocks/bob",
        "ann",
        Value::Null,
    )
    .await
    .expect(200);
    let nothing = stays(
        &door,
        Method::DELETE,
        "/v1/me/blocks/eve",
        "ann",
        Value::Null,
    )
    .await
    .expect(200);
    assert_eq!(
        never.position(),
        nothing.position(),
        "none made it so: position 0 for both"
    );
    let host = door.service();
    let _ = door
        .delete("/v1/members/ann/follows/bob", &host)
        .await
        .expect(200);
    let unfollowed = door
        .delete("/v1/members/ann/follows/bob", &host)
        .await
        .expect(200);
    assert_eq!(unfollowed.json(), json!({"position": 0}));
}

#[tokio::test]
async fn conflicts_have_their_codes() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "hi").await;
    let ann = door.member("ann");
    let restored = door
        .post(&format!("/v1/requests/{cid}/restore"), &ann, Value::Null)
        .await;
    assert_eq!(restored.failure(), (409, "not_restorable".to_owned()));
    let unsent = door
        .delete(&format!("/v1/conversations/{cid}/messages/1"), &ann)
        .await;
    assert_eq!(unsent.failure(), (403, "not_author".to_owned()));
    for number in ["2", "0", "x", "-1", "99999999999999999999"] {
        let missing = door
            .delete(&format!("/v1/conversations/{cid}/messages/{number}"), &ann)
            .await;
        assert_eq!(missing.failure(), (404, "not_found".to_owned()), "{number}");
    }
    let _ = door
        .delete(&format!("/v1/requests/{cid}"), &ann)
        .await
        .expect(200);
    let moved = door
        .post(
            &format!("/v1/conversations/{cid}/move-to-requests"),
            &ann,
            Value::Null,
        )
        .await;
    assert_eq!(moved.failure(), (409, "not_accepted".to_owned()));
    let body = json!({"age_band": "adult", "registered_at": "2025-06-01T00:00:00Z"});
    let moved = door.put("/v1/members/bob", &door.service(), body).await;
    assert_eq!(moved.failure(), (409, "registered_at_fixed".to_owned()));
}

#[tokio::test]
async fn the_host_tells_when_it_happened() {
    let door = door().await;
    let before = door.position().await;
    let request = door
        .request(Method::PUT, "/v1/members/zoe/follows/ann")
        .bearer_auth(door.service());
    let _ = reply(request.header("doorstep-at", "2025-02-03T04:05:06.789+01:00"))
        .await
        .expect(200);
    let events = door.store.read_all(before, 10, 1 << 20).await.unwrap();
    assert_eq!(events[0].at_ms(), 1_738_551_906_789);
    let request = door
        .request(Method::PUT, "/v1/members/zoe")
        .bearer_auth(door.service());
    let zoe = request
        .header("doorstep-at", "2025-01-01T00:00:00Z")
        .json(&json!({"age_band": "16_17"}));
    let zoe = reply(zoe).await.expect(200);
    let position = zoe.json()["position"].as_u64().unwrap();
    assert_eq!(
        zoe.json(),
        json!({"member": "zoe", "age_band": "16_17", "position": position})
    );
    assert_eq!(zoe.position(), position.to_string());
}

#[tokio::test]
async fn many_relationships_have_an_outcome_a_line_in_order() {
    let door = door().await;
    let lines = [
        r#"{"member": "ann", "kind": "follow", "other": "bob"}"#,
        r#"{"member": "ann", "kind": "follow", "other": "ann"}"#,
        "not JSON",
        "",
        r#"{"member": "ann", "kind": "suggest", "other": "eve", "at": "2025-01-01T00:00:00Z"}"#,
        r#"{"member": "ann", "kind": "admire", "other": "bob"}"#,
        r#"{"member": "ann", "kind": "follow", "other": "bob"}"#,
        r#"{"member": "bob", "kind": "follow", "other": "ann", "why": "?"}"#,
    ];
    let send = || {
        let request = door
            .request(Method::POST, "/v1/relationships")
            .bearer_auth(door.service());
        request
            .header("idempotency-key", "bulk")
            .header("content-type", "application/x-ndjson")
            .body(lines.join("\n"))
    };
    let first = reply(send()).await.expect(200);
    assert_eq!(first.headers["content-type"], "application/x-ndjson");
    let parse = |reply: &Reply| -> Vec<Value> {
        let text = String::from_utf8(reply.bytes.clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let outcomes = parse(&first);
    let told: Vec<_> = outcomes
        .iter()
        .map(|line| {
            (
                line["status"].as_u64().unwrap(),
                line["code"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (200, ""),
            (422, "invalid_member"),
            (400, "invalid_body"),
            (200, ""),
            (400, "invalid_body"),
            (200, ""),
            (400, "invalid_body")
        ]
    );
    assert_eq!(
        outcomes[0]["position"], outcomes[5]["position"],
        "the second follow was so already"
    );
    assert_eq!(first.position(), outcomes[3]["position"].to_string());
    let before = door.position().await;
    assert_eq!(
        parse(&reply(send()).await.expect(200)),
        outcomes,
        "the same key, the same outcomes"
    );
    assert_eq!(door.position().await, before);
    let _ = door.send("bob", "ann", "hi").await.expect(201);
    assert_eq!(
        door.list("/v1/inbox", "ann").await["items"][0]["with"],
        "bob",
        "whom ann follows comes in"
    );
}

#[tokio::test]
async fn requests_are_accepted_and_deleted_in_bulk() {
    let door = door().await;
    door.register("zoe").await;
    let (bob, eve, zoe) = (
        door.sent("bob", "ann", "1").await,
        door.sent("eve", "ann", "2").await,
        door.sent("zoe", "ann", "3").await,
    );
    let ann = door.member("ann");
    let ids = json!({"conversation_ids": [bob, "nonsense", eve, bob]});
    let done = door
        .post("/v1/requests/accept", &ann, ids)
        .await
        .expect(200)
        .json();
    let told: Vec<_> = done["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["status"].as_u64().unwrap())
        .collect();
    assert_eq!(told, [200, 404, 200, 200]);
    assert_eq!(done["items"][0]["position"], done["items"][3]["position"]);
    assert_eq!(done["position"], done["items"][2]["position"]);
    let done = door
        .post(
            "/v1/requests/delete?mode=final",
            &ann,
            json!({"conversation_ids": [zoe, bob]}),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&done["items"][0]["status"], &done["items"][1]["code"]),
        (&json!(200), &json!("already_accepted"))
    );
    assert!(
        door.list("/v1/requests", "ann").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        door.list("/v1/inbox", "ann").await["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn the_policy_is_read_and_put_whole() {
    let door = door().await;
    let host = door.service();
    let shown = door.get("/v1/policy", &host).await.expect(200).json();
    assert_eq!(
        (&shown["version"], &shown["rules"]["requests_per_day"]),
        (&json!(0), &json!(20))
    );
    let same = door
        .put("/v1/policy", &host, shown["rules"].clone())
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&same["version"], &same["position"]),
        (&shown["version"], &shown["position"])
    );
    let mut rules = shown["rules"].clone();
    rules["request_messages_max"] = json!(1);
    rules["cooldown_days"] = json!([1, 2, 3]);
    let changed = door
        .put("/v1/policy", &host, rules.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(changed["version"], 1);
    let shown = door.get("/v1/policy", &host).await.expect(200).json();
    assert_eq!(
        shown,
        json!({"version": 1, "position": changed["position"], "rules": rules})
    );
    door.sent("bob", "ann", "one").await;
    assert_eq!(
        door.send("bob", "ann", "two").await.failure(),
        (429, "limit_reached".to_owned())
    );
}

#[tokio::test]
async fn the_setting_is_shown_with_its_version() {
    let door = door().await;
    door.register_as("kid", "16_17").await;
    let shown = door.list("/v1/me/dm-setting", "kid").await;
    assert_eq!(
        (&shown["audience"], &shown["version"]),
        (&json!("no_one"), &json!(1))
    );
    let chosen = door
        .put(
            "/v1/me/dm-setting",
            &door.member("kid"),
            json!({"audience": "friends"}),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&chosen["audience"], &chosen["version"]),
        (&json!("friends"), &json!(2))
    );
    assert_eq!(door.list("/v1/me/dm-setting", "kid").await, chosen);
}

#[tokio::test]
async fn positions_are_numbers_for_some_and_strings_for_the_others() {
    let door = door().await;
    door.sent("bob", "ann", "hi").await;
    let end = door.position().await.0;
    let at_end = |view: Value| view["position"].clone();
    let views = |role| {
        let token = door.token("ann", &[role]);
        let door = &door;
        async move { door.get("/v1/views", &token).await.expect(200) }
    };
    for view in projections::ViewName::ALL {
        door.reads
            .wait(
                *view,
                door.position().await,
                std::time::Duration::from_secs(30),
            )
            .await
            .unwrap();
    }
    let (service, operator) = (views(Role::Service).await, views(Role::Operator).await);
    assert_eq!(service.position(), end.to_string());
    assert_eq!(at_end(service.json()["items"][0].clone()), json!(end));
    assert_eq!(operator.position().len(), 22);
    assert_eq!(
        at_end(operator.json()["items"][0].clone()),
        json!(operator.position())
    );
    let inbox = door.get("/v1/inbox", &door.member("ann")).await.expect(200);
    assert_eq!(
        inbox.position(),
        operator.position(),
        "the same position is the same string"
    );
}

#[tokio::test]
async fn a_relationship_comes_with_a_message_of_the_host_alone() {
    let door = door().await;
    door.audience("ann", "following").await;
    let followed = json!({"to": "ann", "text": "hi", "relationship": {"recipient_follows": true}});
    let refused = stays(&door, Method::POST, "/v1/messages", "bob", followed.clone()).await;
    assert_eq!(refused.failure(), (403, "forbidden".to_owned()));
    // Nothing was said of the two, so ann's audience refuses bob.
    let alone = json!({"to": "ann", "text": "hi"});
    let as_host = door.token("bob", &[Role::Member, Role::Service]);
    let refused = door.post("/v1/messages", &as_host, alone.clone()).await;
    assert_eq!(refused.failure(), (403, "not_allowed".to_owned()));

    let before = door.position().await;
    let sent = door.post("/v1/messages", &as_host, followed.clone()).await;
    assert_eq!(sent.expect(201).json()["number"], 1);
    assert_eq!(
        door.position().await.0 - before.0,
        2,
        "the follow, and the message"
    );
    let again = door.post("/v1/messages", &as_host, followed).await;
    assert_eq!(again.status, 201);
    assert_eq!(
        door.position().await.0 - before.0,
        3,
        "what is so already is not recorded"
    );
    let alone = door.post("/v1/messages", &as_host, alone).await;
    assert_eq!(alone.status, 201);

    let ended = json!({"to": "ann", "text": "hi", "relationship": {"recipient_follows": false}});
    let refused = door.post("/v1/messages", &as_host, ended).await;
    assert_eq!(refused.failure(), (403, "not_allowed".to_owned()));
    let refused = door.send("bob", "ann", "hi").await;
    assert_eq!(
        refused.failure(),
        (403, "not_allowed".to_owned()),
        "what came with a refused message is recorded"
    );
    for wrong in [
        json!({"to": "ann", "text": "hi", "relationship": {"follows": true}}),
        json!({"to": "ann", "text": "hi", "relationship": true}),
    ] {
        let wrong = door.post("/v1/messages", &as_host, wrong).await;
        assert_eq!(wrong.status, 400);
    }
}

#[tokio::test]
async fn a_relationship_is_a_part_of_what_a_key_stands_for() {
    let door = door().await;
    let as_host = door.token("bob", &[Role::Member, Role::Service]);
    let send = async |body: Value| {
        let request = door
            .request(Method::POST, "/v1/messages")
            .bearer_auth(&as_host)
            .header("idempotency-key", "k1");
        reply(request.json(&body)).await
    };
    let said = json!({"to": "ann", "text": "hi", "relationship": {"suggested": true}});
    let first = send(said.clone()).await.expect(201);
    assert_eq!(send(said).await.expect(201).bytes, first.bytes);
    let alone = send(json!({"to": "ann", "text": "hi"})).await;
    assert_eq!(alone.failure(), (409, "command_id_reused".to_owned()));
}

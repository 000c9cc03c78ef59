//! One decision on many cases of a member, over HTTP, and the counts of the queue.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply};

/// A door with cases about bob, one by each of whom he wrote to.
struct Desk {
    door: Door,
    cases: Vec<Value>,
}

const REPORTERS: [&str; 3] = ["ann", "ben", "cat"];

impl Desk {
    async fn open() -> Self {
        let door = Door::open().await;
        door.register("bob").await;
        let mut position = String::new();
        for reporter in REPORTERS {
            door.register(reporter).await;
            door.audience(reporter, "everyone").await;
            let cid = door.sent("bob", reporter, "buy").await;
            let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
            let token = door.member(reporter);
            let made = door.post("/v1/reports", &token, report).await;
            position = made.expect(201).position();
        }
        let mut desk = Desk {
            door,
            cases: Vec::new(),
        };
        let path = format!("/v1/moderation/queue?sort=oldest&min_position={position}");
        let queue = desk.get("mia", &path).await.json();
        let items = queue["items"].as_array().unwrap();
        desk.cases.extend(items.iter().cloned());
        assert_eq!(desk.cases.len(), 3);
        desk
    }

    fn moderator(&self, sub: &str) -> String {
        self.door.token(sub, &[Role::Moderator])
    }

    async fn get(&self, sub: &str, path: &str) -> Reply {
        let reply = self.door.get(path, &self.moderator(sub)).await;
        reply.expect(200)
    }

    fn seen(&self) -> Vec<Value> {
        let seen = self
            .cases
            .iter()
            .map(|case| json!({"case_id": case["case_id"], "revision": case["revision"]}));
        seen.collect()
    }

    fn suspending(&self) -> Value {
        json!({"cases": self.seen(), "action": "suspend", "reason": "spam",
            "text": "You sent the same offer to many.", "facts": "Message 1 of each."})
    }

    async fn claim(&self, sub: &str, case: &Value) -> Reply {
        let case = case["case_id"].as_str().unwrap();
        let path = format!("/v1/moderation/cases/{case}/claim");
        let token = self.moderator(sub);
        let claimed = self.door.post(&path, &token, Value::Null).await;
        claimed.expect(200)
    }

    async fn decide(&self, sub: &str, body: Value) -> Reply {
        let path = "/v1/moderation/members/bob/decisions";
        self.door.post(path, &self.moderator(sub), body).await
    }

    /// The act once all of its cases were gone through, and how far the view is then.
    async fn finished(&self, begun: &Reply) -> Value {
        let act = begun.json()["act_id"].as_str().unwrap().to_owned();
        let position = begun.position();
        let path = format!("/v1/moderation/acts/{act}?min_position={position}");
        loop {
            let shown = self.get("max", &path).await.json();
            assert_eq!(shown["total"], 3);
            if shown["finished"] == true {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn counts(&self, sub: &str, after: &Reply) -> Value {
        let position = after.position();
        let path = format!("/v1/moderation/queue/counts?min_position={position}");
        self.get(sub, &path).await.json()
    }
}

#[tokio::test]
async fn an_act_decides_the_cases_as_they_were_seen_and_tells_which_had_moved_on() {
    let desk = Desk::open().await;
    let held = &desk.cases[1]["case_id"];
    let _ = desk.claim("max", &desk.cases[1]).await;
    let begun = desk.decide("mia", desk.suspending()).await.expect(200);
    let act = desk.finished(&begun).await;
    assert_eq!((&act["decided"], &act["by"]), (&json!(2), &json!("mia")));
    assert_eq!(
        act["moved_on"],
        json!([{"case_id": held, "why": "claimed"}])
    );
    assert_eq!(
        (&act["member"], &act["action"], &act["reversal"]),
        (&json!("bob"), &json!("suspend"), &Value::Null)
    );
    let told = desk.door.send("bob", "ann", "hello?").await;
    assert_eq!(told.failure(), (403, "account_restricted".to_owned()));
    let decided = "/v1/moderation/queue?state=decided";
    let items = desk.get("mia", decided).await.json()["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 2);
    let first = desk.cases[0]["case_id"].as_str().unwrap();
    let case = format!("/v1/moderation/cases/{first}");
    let case = desk.get("max", &case).await.json();
    let decisions = case["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0]["act_id"], act["act_id"]);
    assert_eq!(case["history"][0]["suspensions"], 1, "once for the act");
    // Again: everything has moved on, and nothing more is done.
    let begun = desk.decide("max", desk.suspending()).await.expect(200);
    let again = desk.finished(&begun).await;
    assert_eq!(again["decided"], 1, "max holds one of them");
    let whys: Vec<_> = again["moved_on"].as_array().unwrap().iter().collect();
    assert!(whys.iter().all(|moved| moved["why"] == "decided"));
}

#[tokio::test]
async fn an_act_under_a_repeated_key_is_answered_as_at_first() {
    let desk = Desk::open().await;
    let decide = async || {
        let path = "/v1/moderation/members/bob/decisions";
        let request = desk.door.request(Method::POST, path);
        let request = request.bearer_auth(desk.moderator("mia"));
        let request = request.header("idempotency-key", "k1");
        tests::api::reply(request.json(&desk.suspending())).await
    };
    let first = decide().await.expect(200);
    let _ = desk.finished(&first).await;
    assert_eq!(decide().await.bytes, first.bytes);
}

#[tokio::test]
async fn an_act_that_cannot_be_is_refused_by_its_field() {
    let desk = Desk::open().await;
    let with = |field: &str, value: Value| {
        let mut body = desk.suspending();
        body[field] = value;
        body
    };
    let twice = json!([desk.seen()[0], desk.seen()[0]]);
    let many: Vec<Value> = (0..201_u128)
        .map(|n| json!({"case_id": uuid::Uuid::from_u128(n).to_string(), "revision": 1}))
        .collect();
    for (field, value) in [
        ("cases", json!([])),
        ("cases", twice),
        ("cases", json!(many)),
        ("action", json!("remove_messages")),
        ("text", json!(" ")),
        ("facts", json!("x".repeat(2_001))),
        ("until", json!("2001-01-01T00:00:00Z")),
    ] {
        let reply = desk.decide("mia", with(field, value)).await;
        assert_eq!(reply.failure(), (422, "invalid_decision".to_owned()));
        assert_eq!(reply.json()["errors"][0]["field"], field);
    }
    for (field, value) in [
        ("cases", json!([{"case_id": "none", "revision": 1}])),
        ("cases", json!([{"case_id": uuid::Uuid::nil().to_string()}])),
        ("cases", Value::Null),
        ("action", json!("banish")),
        ("until", json!("tomorrow")),
        ("messages", json!([1])),
    ] {
        let reply = desk.decide("mia", with(field, value)).await;
        assert_eq!(reply.failure(), (400, "invalid_body".to_owned()), "{field}");
    }
    let nobodys = "/v1/moderation/members/a%20b/decisions";
    let token = desk.moderator("mia");
    let reply = desk.door.post(nobodys, &token, desk.suspending()).await;
    assert_eq!(reply.failure(), (400, "invalid_member".to_owned()));
    for act in [uuid::Uuid::nil().to_string(), "none".to_owned()] {
        let path = format!("/v1/moderation/acts/{act}");
        let reply = desk.door.get(&path, &token).await;
        assert_eq!(reply.failure(), (404, "not_found".to_owned()));
    }
    let told = desk.door.send("bob", "ann", "hello?").await;
    assert_eq!(told.status, 201, "nothing was done");
}

/// A member whom nobody reported has no case to decide: it is told, and nothing is done.
#[tokio::test]
async fn an_act_on_cases_of_another_member_passes_all_of_them_over() {
    let desk = Desk::open().await;
    let path = "/v1/moderation/members/ann/decisions";
    let token = desk.moderator("mia");
    let begun = desk.door.post(path, &token, desk.suspending()).await;
    let act = desk.finished(&begun.expect(200)).await;
    assert_eq!(act["decided"], 0);
    let moved = act["moved_on"].as_array().unwrap();
    assert!(moved.iter().all(|moved| moved["why"] == "not_found"));
    assert_eq!(moved.len(), 3);
    let sent = desk.door.send("ann", "bob", "I am not suspended").await;
    assert_ne!(sent.code(), "account_restricted");
}

#[tokio::test]
async fn the_queue_tells_how_many_cases_wait_and_of_what_kind() {
    let desk = Desk::open().await;
    let claimed = desk.claim("mia", &desk.cases[0]).await;
    let counts = desk.counts("mia", &claimed).await;
    assert_eq!(
        counts["states"],
        json!([{"state": "open", "cases": 2}, {"state": "claimed", "cases": 1},
            {"state": "decided", "cases": 0}, {"state": "closed", "cases": 0}])
    );
    assert_eq!(
        counts["categories"][0],
        json!({"category": "spam", "cases": 3})
    );
    assert_eq!(counts["categories"].as_array().unwrap().len(), 11);
    assert_eq!(
        (&counts["unclaimed"], &counts["mine"], &counts["escalated"]),
        (&json!(2), &json!(1), &json!(0))
    );
    assert_eq!(desk.counts("max", &claimed).await["mine"], 0);
}

#[tokio::test]
async fn the_queue_is_filtered_by_when_cases_were_opened() {
    let desk = Desk::open().await;
    let opened = desk.cases[1]["opened_at"].as_str().unwrap();
    let listed = async |query: String| {
        let path = format!("/v1/moderation/queue?sort=oldest&{query}");
        desk.get("mia", &path).await.json()["items"].clone()
    };
    let after = listed(format!("opened_after={opened}")).await;
    let before = listed(format!("opened_before={opened}")).await;
    let (after, before) = (after.as_array().unwrap(), before.as_array().unwrap());
    assert_eq!(after.len() + before.len(), 3);
    assert!(after.contains(&desk.cases[2]) && after.contains(&desk.cases[1]));
    let until = format!("opened_before={opened}&opened_after={opened}");
    assert_eq!(listed(until).await, json!([]));
}

#[tokio::test]
async fn an_act_is_reversed_by_one_act() {
    let desk = Desk::open().await;
    let begun = desk.decide("mia", desk.suspending()).await.expect(200);
    let act = desk.finished(&begun).await["act_id"].clone();
    let path = format!("/v1/moderation/acts/{}/reverse", act.as_str().unwrap());
    let token = desk.moderator("max");
    let body = |text: &str| json!({"reason": "mistaken", "text": text});
    for text in ["", &"x".repeat(2_001)] {
        let reply = desk.door.post(&path, &token, body(text)).await;
        assert_eq!(reply.failure(), (422, "invalid_decision".to_owned()));
        assert_eq!(reply.json()["errors"][0]["field"], "text");
    }
    for body in [json!({}), json!({"reason": "No!"})] {
        let reply = desk.door.post(&path, &token, body).await;
        assert_eq!(reply.failure(), (400, "invalid_body".to_owned()));
    }
    let bob = desk.moderator("bob");
    let reply = desk.door.post(&path, &bob, body("x")).await;
    assert_eq!(reply.failure(), (404, "not_found".to_owned()));
    let nowhere = format!("/v1/moderation/acts/{}/reverse", uuid::Uuid::nil());
    let reply = desk.door.post(&nowhere, &token, body("x")).await;
    assert_eq!(reply.failure(), (404, "not_found".to_owned()));

    let reply = desk.door.post(&path, &token, body("We were wrong.")).await;
    let position = reply.expect(200).position();
    let shown = format!(
        "/v1/moderation/acts/{}?min_position={position}",
        act.as_str().unwrap()
    );
    let reversal = loop {
        let shown = desk.get("mia", &shown).await.json();
        if shown["reversal"]["finished"] == true {
            break shown["reversal"].clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (
            &reversal["by"],
            &reversal["reversed"],
            &reversal["moved_on"]
        ),
        (&json!("max"), &json!(3), &json!([]))
    );
    let sent = desk.door.send("bob", "ann", "thank you").await;
    assert_eq!(sent.status, 201);
    let again = desk.door.post(&path, &token, body("Again.")).await;
    assert_eq!(again.expect(200).position(), position, "it is so already");
    let open = "/v1/moderation/queue?state=open";
    let items = desk.get("mia", open).await.json()["items"].clone();
    assert_eq!(
        items.as_array().unwrap().len(),
        3,
        "they wait for another decision"
    );
    let path = format!("/v1/me/decisions?min_position={position}");
    let told = desk.door.list(&path, "bob").await;
    let told = told["items"].as_array().unwrap();
    assert_eq!(told.len(), 3);
    for decision in told {
        assert_eq!(decision["action"], "suspend");
        assert_eq!(decision["reversal"]["text"], "We were wrong.");
        assert!(
            decision["ended_at"].is_string(),
            "for each of them: {decision}"
        );
    }
    let case = desk.cases[0]["case_id"].as_str().unwrap();
    let case = desk
        .get("mia", &format!("/v1/moderation/cases/{case}"))
        .await;
    assert_eq!(case.json()["history"][1]["reports_upheld"], 0);
}

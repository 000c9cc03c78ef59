//! Reporters: whose reports count, what comes of what was judged harmless, and that a reporter learns none of it.

use api::Role;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Scene};

async fn act(door: &Door, sub: &str, path: &str, body: Value) -> Reply {
    let token = door.token(sub, &[Role::Moderator]);
    door.post(path, &token, body).await
}

async fn report(door: &Door, by: &str, cid: &str, number: u64) -> Reply {
    let body = json!({"conversation_id": cid, "messages": [number], "category": "spam"});
    door.post("/v1/reports", &door.member(by), body).await
}

/// The queue's answer, once it has come as far as a reply.
async fn queue(door: &Door, after: &Reply, filter: &str) -> Vec<Value> {
    let position = after.position();
    let path = format!("/v1/moderation/queue?{filter}&min_position={position}");
    let token = door.token("mia", &[Role::Moderator]);
    let queue = door.get(&path, &token).await.expect(200).json();
    queue["items"].as_array().unwrap().clone()
}

async fn history(door: &Door, case: &Value, after: &Reply) -> Value {
    let (case, position) = (case["case_id"].as_str().unwrap(), after.position());
    let path = format!("/v1/moderation/cases/{case}?min_position={position}");
    let token = door.token("mia", &[Role::Moderator]);
    door.get(&path, &token).await.expect(200).json()["history"].clone()
}

fn limit(until: &str) -> Value {
    json!({"until": until, "reason": "flooding"})
}

const LATER: &str = "2999-01-01T00:00:00Z";
const LIMIT: &str = "/v1/moderation/members/ann/report-limit";

#[tokio::test]
async fn reports_beyond_a_moderators_limit_are_answered_alike_and_move_no_queue() {
    let Scene { door, cid } = Scene::open().await;
    door.register("eve").await;
    door.register("ben").await;
    door.audience("ben", "everyone").await;
    let mia = door.token("mia", &[Role::Moderator]);
    let before = report(&door, "ann", &cid, 1).await.expect(201);
    let set = door.put(LIMIT, &mia, limit(LATER)).await.expect(200);
    let again = door.put(LIMIT, &mia, limit(LATER)).await.expect(200);
    assert_eq!(again.position(), set.position(), "it is so already");

    let flooded = door.sent("eve", "ann", "hello").await;
    let made = report(&door, "ann", &flooded, 1).await.expect(201);
    let keys = |reply: &Reply| {
        let json = reply.json();
        let keys = json.as_object().unwrap().keys().cloned();
        keys.collect::<Vec<_>>()
    };
    assert_eq!(keys(&made), keys(&before));
    let mut own = door.list("/v1/me/reports", "ann").await["items"].clone();
    for item in own.as_array_mut().unwrap() {
        for field in ["report_id", "conversation_id", "member", "reported_at"] {
            item.as_object_mut().unwrap().remove(field);
        }
    }
    assert_eq!(own[0], own[1], "nothing tells which of them counts");

    let counted = door.sent("eve", "ben", "hello").await;
    let made = report(&door, "ben", &counted, 1).await.expect(201);
    let items = queue(&door, &made, "").await;
    let reporters: Vec<_> = items
        .iter()
        .map(|item| (item["reporters"].as_u64().unwrap(), item["member"].clone()))
        .collect();
    assert_eq!(
        reporters,
        [(1, json!("bob")), (1, json!("eve")), (1, json!("eve"))],
        "ann's does not count among those who reported eve"
    );
    assert_eq!(items[2]["priority_inputs"]["over_limit"], true);
    let history = history(&door, &items[2], &made).await;
    assert_eq!(
        history[1]["report_limit"],
        json!({"per_day": 0, "until": "2999-01-01T00:00:00.000Z"})
    );

    let lifted = door.delete(LIMIT, &mia).await.expect(200);
    let again = door.delete(LIMIT, &mia).await.expect(200);
    assert_eq!(again.position(), lifted.position(), "it is so already");
    let cid = door.sent("ben", "ann", "hello").await;
    let made = report(&door, "ann", &cid, 1).await.expect(201);
    let [item] = &queue(&door, &made, "member=ben").await[..] else {
        panic!("one case");
    };
    assert_eq!(item["priority_inputs"]["over_limit"], false);
}

#[tokio::test]
async fn a_limit_that_cannot_be_is_refused() {
    let scene = Scene::open().await;
    let door = &scene.door;
    let mia = door.token("mia", &[Role::Moderator]);
    let with = |field: &str, value: Value| {
        let mut body = limit(LATER);
        body[field] = value;
        body
    };
    for (field, value) in [
        ("until", json!("2001-01-01T00:00:00Z")),
        ("per_day", json!(1_001)),
    ] {
        let reply = door.put(LIMIT, &mia, with(field, value)).await;
        assert_eq!(reply.failure(), (422, "invalid_report_limit".to_owned()));
        assert_eq!(reply.json()["errors"][0]["field"], field);
    }
    for (field, value) in [
        ("until", Value::Null),
        ("until", json!("soon")),
        ("per_day", json!(-1)),
        ("reason", json!("Not a code")),
        ("text", json!("x")),
    ] {
        let reply = door.put(LIMIT, &mia, with(field, value)).await;
        assert_eq!(reply.failure(), (400, "invalid_body".to_owned()), "{field}");
    }
    let nobody = "/v1/moderation/members/nobody/report-limit";
    let reply = door.put(nobody, &mia, limit(LATER)).await;
    assert_eq!(reply.failure(), (404, "not_found".to_owned()));
    let reply = door.delete(nobody, &mia).await;
    assert_eq!(reply.failure(), (404, "not_found".to_owned()));
}

/// What was judged harmless comes back by a moderator or by another message, and not by being reported again.
#[tokio::test]
async fn a_harmless_case_stays_closed_until_somebody_asks_or_another_message_is_reported() {
    let Scene { door, cid } = Scene::open().await;
    let first = report(&door, "ann", &cid, 1).await.expect(201);
    let [case] = &queue(&door, &first, "").await[..] else {
        panic!("one case");
    };
    let case = format!("/v1/moderation/cases/{}", case["case_id"].as_str().unwrap());
    let decide = async |sub: &str| {
        let claim = format!("{case}/claim");
        let _ = act(&door, sub, &claim, Value::Null).await.expect(200);
        let nothing = json!({"action": "no_action", "reason": "harmless"});
        let decision = format!("{case}/decision");
        act(&door, sub, &decision, nothing).await.expect(200)
    };
    let decided = decide("mia").await;
    assert_eq!(queue(&door, &decided, "state=closed").await.len(), 1);

    let again = report(&door, "ann", &cid, 1).await.expect(200);
    assert_eq!(again.json()["report_id"], first.json()["report_id"]);
    assert_eq!(queue(&door, &again, "state=closed").await.len(), 1);

    let reopen = format!("{case}/reopen");
    let asked = json!({"reason": "asked", "text": "She wrote to us."});
    for (party, status, code) in [("ann", 409, "own_case"), ("bob", 404, "not_found")] {
        let reply = act(&door, party, &reopen, asked.clone()).await;
        assert_eq!(reply.failure(), (status, code.to_owned()));
    }
    let reply = act(&door, "max", &reopen, json!({"text": "x"})).await;
    assert_eq!(reply.failure(), (400, "invalid_body".to_owned()));
    let long = json!({"reason": "asked", "text": "x".repeat(2_001)});
    let reply = act(&door, "max", &reopen, long).await;
    assert_eq!(reply.failure(), (422, "invalid_note".to_owned()));
    let nowhere = format!("/v1/moderation/cases/{}/reopen", uuid::Uuid::nil());
    let reply = act(&door, "max", &nowhere, asked.clone()).await;
    assert_eq!(reply.failure(), (404, "not_found".to_owned()));

    let reopened = act(&door, "max", &reopen, asked.clone()).await.expect(200);
    assert_eq!(queue(&door, &reopened, "state=open").await.len(), 1);
    let unchanged = act(&door, "max", &reopen, asked).await.expect(200);
    assert_eq!(unchanged.position(), reopened.position());
    let token = door.token("max", &[Role::Moderator]);
    let shown = format!("{case}?min_position={}", reopened.position());
    let notes = door.get(&shown, &token).await.expect(200).json()["notes"].clone();
    assert_eq!(
        (&notes[0]["by"], &notes[0]["text"]),
        (&json!("max"), &json!("She wrote to us."))
    );

    let _ = decide("max").await;
    let _ = door.sent("bob", "ann", "and this").await;
    let new = report(&door, "ann", &cid, 2).await.expect(201);
    assert_eq!(queue(&door, &new, "state=open").await.len(), 1);
}

async fn read(door: &Door, path: &str, token: &str, after: &Reply) -> Value {
    let path = format!("{path}?min_position={}", after.position());
    door.get(&path, token).await.expect(200).json()
}

/// What ann reads of her one report, and what moderators read of her: how many of her reports were decided, and upheld.
async fn told(door: &Door, case: &str, after: &Reply) -> (Value, Value, [u64; 2]) {
    let own = read(door, "/v1/me/reports", &door.member("ann"), after).await;
    let mia = door.token("mia", &[Role::Moderator]);
    let shown = read(door, case, &mia, after).await;
    let ann = &shown["history"][1];
    let counts = ["reports_decided", "reports_upheld"].map(|count| ann[count].as_u64().unwrap());
    let report = &own["items"][0];
    (report["state"].clone(), report["outcome"].clone(), counts)
}

/// A reporter learns what comes of a case that is opened again by hand, and counts by that alone.
#[tokio::test]
async fn a_case_opened_again_by_hand_is_decided_anew_for_its_reporter() {
    let open = || (json!("open"), Value::Null, [0, 0]);
    let acted_on = || (json!("decided"), json!("acted_on"), [1, 1]);
    let harmless = || (json!("decided"), json!("not_acted_on"), [1, 0]);
    for upheld_first in [false, true] {
        let Scene { door, cid } = Scene::open().await;
        let made = report(&door, "ann", &cid, 1).await.expect(201);
        let [item] = &queue(&door, &made, "").await[..] else {
            panic!("one case");
        };
        let case = format!("/v1/moderation/cases/{}", item["case_id"].as_str().unwrap());
        let decide = async |suspend: bool| {
            let claim = format!("{case}/claim");
            let _ = act(&door, "mia", &claim, Value::Null).await.expect(200);
            let body = if suspend {
                json!({"action": "suspend", "until": LATER, "reason": "spam", "text": "x", "facts": "x"})
            } else {
                json!({"action": "no_action", "reason": "harmless"})
            };
            let decision = format!("{case}/decision");
            act(&door, "mia", &decision, body).await.expect(200)
        };
        let reopen = async || {
            let body = json!({"reason": "asked"});
            let reopen = format!("{case}/reopen");
            act(&door, "max", &reopen, body).await.expect(200)
        };
        let outcome = |suspend| if suspend { acted_on() } else { harmless() };
        let first = decide(upheld_first).await;
        assert_eq!(told(&door, &case, &first).await, outcome(upheld_first));
        let reopened = reopen().await;
        assert_eq!(told(&door, &case, &reopened).await, open());
        let second = decide(!upheld_first).await;
        assert_eq!(told(&door, &case, &second).await, outcome(!upheld_first));

        // The first decision decides nothing of the report any more: its reversal changes neither.
        let reverse = async |made: &Reply| {
            let decision = made.json()["decision_id"].as_str().unwrap().to_owned();
            let path = format!("/v1/moderation/decisions/{decision}/reverse");
            let body = json!({"reason": "mistake", "text": "We were wrong."});
            act(&door, "max", &path, body).await.expect(200)
        };
        let reversed = reverse(&first).await;
        assert_eq!(told(&door, &case, &reversed).await, outcome(!upheld_first));
        // Of what waits once more the reversal of the decision before says so, and it goes on waiting.
        let _ = reopen().await;
        let reversed = reverse(&second).await;
        let waits = (json!("open"), json!("reversed"), [0, 0]);
        assert_eq!(told(&door, &case, &reversed).await, waits);
        let third = decide(upheld_first).await;
        assert_eq!(told(&door, &case, &third).await, outcome(upheld_first));
    }
}

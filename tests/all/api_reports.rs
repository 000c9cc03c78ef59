//! What a report answers: new or not, with what became of what it asked for besides; repeated, the same bytes.

use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Scene, reply};

/// Reports message 1 of a conversation under a key.
async fn report(door: &Door, cid: &str, key: &str, also: Option<&str>) -> Reply {
    let mut body = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
    if let Some(also) = also {
        body["also"] = json!(also);
    }
    let request = door
        .request(Method::POST, "/v1/reports")
        .bearer_auth(door.member("ann"))
        .header("idempotency-key", key);
    reply(request.json(&body)).await
}

fn also(reply: &Reply) -> (u16, Value) {
    (reply.status, reply.json()["also"].clone())
}

#[tokio::test]
async fn every_answer_to_a_report_tells_what_became_of_also() {
    let Scene { door, cid } = Scene::open().await;
    let rows = [
        // What is asked, whether the report is new, what came of it.
        (None, 201, json!({"asked": "none", "outcome": "none"})),
        (
            Some("none"),
            200,
            json!({"asked": "none", "outcome": "none"}),
        ),
        (
            Some("delete"),
            200,
            json!({"asked": "delete", "outcome": "applied"}),
        ),
        (
            Some("delete"),
            200,
            json!({"asked": "delete", "outcome": "unchanged", "reason": "already_deleted"}),
        ),
        (
            Some("block"),
            200,
            json!({"asked": "block", "outcome": "applied"}),
        ),
        (
            Some("block"),
            200,
            json!({"asked": "block", "outcome": "unchanged", "reason": "already_blocked"}),
        ),
    ];
    let mut first = Vec::new();
    for (number, (asked, status, expected)) in rows.into_iter().enumerate() {
        let reply = report(&door, &cid, &format!("k{number}"), asked).await;
        assert_eq!(also(&reply), (status, expected), "{number}");
        first.push((asked, reply));
    }
    let ids: Vec<Value> = first
        .iter()
        .map(|(_, reply)| reply.json()["report_id"].clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one report: {ids:?}");

    // What was done is taken back; a repeated key answers as it did, all the same.
    let ann = door.member("ann");
    let _ = door.delete("/v1/me/blocks/bob", &ann).await.expect(200);
    let before = door.position().await;
    for (number, (asked, reply)) in first.iter().enumerate() {
        let again = report(&door, &cid, &format!("k{number}"), *asked).await;
        assert_eq!(
            (again.status, &again.bytes),
            (reply.status, &reply.bytes),
            "{number}"
        );
    }
    assert_eq!(door.position().await, before);
}

#[tokio::test]
async fn what_does_not_apply_is_skipped_and_told_whether_the_report_is_new_or_not() {
    let Scene { door, cid } = Scene::open().await;
    let _ = door
        .post(
            &format!("/v1/requests/{cid}/accept"),
            &door.member("ann"),
            Value::Null,
        )
        .await
        .expect(200);
    let skipped = json!({"asked": "delete", "outcome": "skipped", "reason": "no_pending_request"});
    for status in [201, 200] {
        let reply = report(&door, &cid, &format!("k{status}"), Some("delete")).await;
        assert_eq!(also(&reply), (status, skipped.clone()));
    }
    let door = door.reopen(tests::api::Setting::default()).await;
    for status in [201, 200] {
        let reply = report(&door, &cid, &format!("k{status}"), Some("delete")).await;
        assert_eq!(
            also(&reply),
            (status, skipped.clone()),
            "after a restart too"
        );
    }
}

#[tokio::test]
async fn what_a_report_looks_up_on_its_way_takes_no_id_of_a_client() {
    let Scene { door, cid } = Scene::open().await;
    let first = report(&door, &cid, "first", None).await.expect(201);
    // An item of a bulk call, and a client's own, may have such ids.
    for key in ["k/0", "k/earliest", "first/0"] {
        let request = door
            .request(Method::PUT, "/v1/me/blocks/eve")
            .bearer_auth(door.member("ann"))
            .header("idempotency-key", key);
        let _ = reply(request).await.expect(200);
    }
    let again = report(&door, &cid, "k", Some("block")).await.expect(200);
    assert_eq!(again.json()["report_id"], first.json()["report_id"]);
    assert_eq!(again.json()["also"]["outcome"], "applied");
    let repeated = report(&door, &cid, "k", Some("block")).await;
    assert_eq!(repeated.bytes, again.bytes);
}

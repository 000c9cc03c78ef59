//! The main job over HTTP: a stranger knocks, is accepted, another is reported and reaches the moderators.

use api::Role;
use serde_json::{Value, json};
use tests::api::Door;

/// A door with ann, who takes requests from everyone, and bob and eve, who are strangers to her.
async fn door() -> Door {
    let door = Door::open().await;
    for member in ["ann", "bob", "eve"] {
        door.register(member).await;
    }
    door
}

fn items(list: &Value) -> &Vec<Value> {
    list["items"].as_array().unwrap()
}

#[tokio::test]
async fn a_request_waits_is_accepted_and_moves_to_the_inbox() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "may I come in?").await;
    let requests = door.list("/v1/requests", "ann").await;
    assert_eq!(items(&requests).len(), 1);
    let request = &items(&requests)[0];
    assert_eq!(
        (&request["conversation_id"], &request["with"]),
        (&json!(cid), &json!("bob"))
    );
    assert_eq!(request["last_message"]["text"], "may I come in?");
    assert_eq!(request["messages"], 1);
    assert_eq!(
        request["relationship"],
        json!({"you_follow": false, "follows_you": false, "suggested": false})
    );
    assert!(items(&door.list("/v1/inbox", "ann").await).is_empty());
    assert_eq!(
        door.list("/v1/unread", "ann").await,
        json!({"inbox": 0, "requests": 1})
    );
    assert_eq!(
        items(&door.list("/v1/inbox", "bob").await).len(),
        1,
        "the sender has it at once"
    );

    let ann = door.member("ann");
    let accepted = door
        .post(&format!("/v1/requests/{cid}/accept"), &ann, Value::Null)
        .await
        .expect(200);
    assert_eq!(accepted.json()["position"], json!(accepted.position()));
    let inbox = door.list("/v1/inbox", "ann").await;
    assert_eq!(items(&inbox)[0]["unread"], 1);
    assert!(items(&door.list("/v1/requests", "ann").await).is_empty());

    let _ = door
        .put(
            &format!("/v1/conversations/{cid}/read"),
            &ann,
            json!({"up_to": 1}),
        )
        .await
        .expect(200);
    let _ = door
        .put(&format!("/v1/conversations/{cid}/mute"), &ann, Value::Null)
        .await
        .expect(200);
    let inbox = door.list("/v1/inbox", "ann").await;
    assert_eq!(
        (&items(&inbox)[0]["unread"], &items(&inbox)[0]["muted"]),
        (&json!(0), &json!(true))
    );
    let _ = door
        .delete(&format!("/v1/conversations/{cid}/mute"), &ann)
        .await
        .expect(200);

    let _ = door
        .delete(
            &format!("/v1/conversations/{cid}/messages/1"),
            &door.member("bob"),
        )
        .await
        .expect(200);
    let messages = door
        .list(&format!("/v1/conversations/{cid}/messages"), "ann")
        .await;
    let message = &items(&messages)[0];
    assert_eq!(
        (&message["number"], &message["from"], &message["text"]),
        (&json!(1), &json!("bob"), &Value::Null)
    );
    assert!(message["unsent_at"].is_string(), "{message}");

    let _ = door
        .post(
            &format!("/v1/conversations/{cid}/move-to-requests"),
            &ann,
            Value::Null,
        )
        .await
        .expect(200);
    assert!(items(&door.list("/v1/inbox", "ann").await).is_empty());
}

#[tokio::test]
async fn a_deleted_request_comes_back_by_restoring() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "hello").await;
    let ann = door.member("ann");
    let _ = door
        .delete(&format!("/v1/requests/{cid}?mode=final"), &ann)
        .await
        .expect(200);
    let refused = door
        .post(&format!("/v1/requests/{cid}/accept"), &ann, Value::Null)
        .await
        .expect(409);
    assert_eq!(refused.code(), "request_not_pending");
    assert!(
        refused.json()["restorable_until"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    let _ = door
        .post(&format!("/v1/requests/{cid}/restore"), &ann, Value::Null)
        .await
        .expect(200);
    let _ = door
        .post(&format!("/v1/requests/{cid}/accept"), &ann, Value::Null)
        .await
        .expect(200);
    let refused = door
        .delete(&format!("/v1/requests/{cid}"), &ann)
        .await
        .expect(409);
    assert_eq!(refused.code(), "already_accepted");
}

#[tokio::test]
async fn a_report_reaches_the_queue_and_reading_the_case_is_recorded() {
    let door = door().await;
    for text in ["buy this", "buy that", "and this"] {
        door.sent("eve", "ann", text).await;
    }
    let cid = door.sent("bob", "ann", "hi").await;
    let eve_cid = items(&door.list("/v1/requests", "ann").await)
        .iter()
        .find(|request| request["with"] == "eve")
        .map(|request| request["conversation_id"].as_str().unwrap().to_owned())
        .unwrap();
    let report = json!({"conversation_id": eve_cid, "messages": [2], "category": "spam", "comment": "again", "also": "block"});
    let reported = door
        .post("/v1/reports", &door.member("ann"), report.clone())
        .await
        .expect(201);
    assert_eq!(
        reported.json()["also"],
        json!({"asked": "block", "outcome": "applied"})
    );
    let report_id = reported.json()["report_id"].clone();
    let again = door
        .post("/v1/reports", &door.member("ann"), report)
        .await
        .expect(200);
    assert_eq!(
        again.json()["report_id"],
        report_id,
        "nothing new gives the earliest report"
    );

    let own = door.list("/v1/me/reports", "ann").await;
    assert_eq!(
        (&items(&own)[0]["report_id"], &items(&own)[0]["state"]),
        (&report_id, &json!("open"))
    );
    let path = format!("/v1/reports/{}", report_id.as_str().unwrap());
    assert_eq!(door.list(&path, "ann").await["messages"], json!([2]));
    assert_eq!(
        door.get(&path, &door.member("bob")).await.failure(),
        (404, "not_found".to_owned())
    );

    let moderator = door.token("mod", &[Role::Moderator]);
    let queue = format!("/v1/moderation/queue?min_position={}", reported.position());
    let queue = door.get(&queue, &moderator).await.expect(200).json();
    let case = &items(&queue)[0];
    assert_eq!(
        (&case["member"], &case["conversation_id"], &case["state"]),
        (&json!("eve"), &json!(eve_cid), &json!("open"))
    );
    assert_eq!(
        (&case["categories"], &case["reports"], &case["claimed_by"]),
        (&json!(["spam"]), &json!(1), &Value::Null)
    );

    let before = door.position().await;
    let path = format!(
        "/v1/moderation/cases/{}?purpose=training",
        case["case_id"].as_str().unwrap()
    );
    let shown = door.get(&path, &moderator).await.expect(200).json();
    assert_eq!(shown["reports"][0]["evidence"][0]["text"], "buy that");
    let context: Vec<_> = shown["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (&message["number"], &message["reported"]))
        .collect();
    assert_eq!(
        context,
        [
            (&json!(1), &json!(false)),
            (&json!(2), &json!(true)),
            (&json!(3), &json!(false))
        ]
    );
    let written = door.store.read_all(before, 10, 1 << 20).await.unwrap();
    let disclosed = written
        .iter()
        .find(|event| event.event_type() == "content-disclosed.v1")
        .unwrap();
    assert_eq!(disclosed.actor(), "mod");
    let data: Value = serde_json::from_slice(disclosed.data()).unwrap();
    assert_eq!(data["purpose"], "training");
    assert_eq!(data["conversation"], eve_cid.as_str());
    assert_eq!(
        data["shown"],
        json!({"reported": [2], "around": [1, 3]}),
        "which messages were shown"
    );
    let members: Vec<&str> = disclosed.members().collect();
    assert_eq!(members.len(), 2, "found by the reporter as by the reported");
    assert!(!members.contains(&"mod"));
    let auditor = door.token("ada", &[Role::Auditor]);
    for who in ["ann", "eve", "mod"] {
        let path = format!("/v1/events?type=content-disclosed&member={who}");
        let found = door.get(&path, &auditor).await.expect(200).json();
        assert_eq!(items(&found).len(), 1, "{who}");
    }
    let opened = door.get("/v1/events?type=case-opened&member=ann", &auditor);
    assert_eq!(items(&opened.await.expect(200).json()).len(), 1);

    for case in [
        cid.as_str(),
        "nonsense",
        "00000000-0000-0000-0000-000000000000",
    ] {
        let path = format!("/v1/moderation/cases/{case}");
        assert_eq!(
            door.get(&path, &moderator).await.failure(),
            (404, "not_found".to_owned())
        );
    }
    let blocked = door.list("/v1/me/blocks", "ann").await;
    assert_eq!(items(&blocked)[0]["member"], "eve");
}

#[tokio::test]
async fn a_suspended_member_may_read_and_not_send() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "hi").await;
    let moderator = door.token("mod", &[Role::Moderator]);
    let suspension = json!({"until": "2999-01-01T00:00:00+02:00", "reason": "spam", "text": "Too much of it.", "facts": "Ten letters."});
    let suspended = door
        .put(
            "/v1/moderation/members/bob/suspension",
            &moderator,
            suspension,
        )
        .await
        .expect(200);
    let friends = json!({"audience": "friends"});
    let own = [
        door.send("bob", "ann", "more").await,
        door.send("bob", "nobody", "more").await,
        door.put("/v1/me/dm-setting", &door.member("bob"), friends)
            .await,
    ];
    for refused in own {
        let told = refused.expect(403).json();
        assert_eq!(told["code"], "account_restricted");
        assert_eq!(told["until"], "2998-12-31T22:00:00.000Z");
        assert_eq!(
            (&told["reason"], &told["text"]),
            (&json!("spam"), &json!("Too much of it."))
        );
    }
    let requests = format!("/v1/requests?min_position={}", suspended.position());
    let requests = door
        .get(&requests, &door.member("ann"))
        .await
        .expect(200)
        .json();
    assert!(
        items(&requests).is_empty(),
        "what a suspended member sent is frozen"
    );
    let frozen = door
        .post(
            &format!("/v1/requests/{cid}/accept"),
            &door.member("ann"),
            Value::Null,
        )
        .await;
    assert_eq!(frozen.failure(), (409, "request_frozen".to_owned()));
    for field in ["until", "reason", "text"] {
        assert!(frozen.json().get(field).is_none(), "another's {field}");
    }
    assert_eq!(items(&door.list("/v1/inbox", "bob").await).len(), 1);
    let _ = door
        .delete("/v1/moderation/members/bob/suspension", &moderator)
        .await
        .expect(200);
    let _ = door.send("bob", "ann", "more").await.expect(201);
}

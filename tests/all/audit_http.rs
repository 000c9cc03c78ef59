//! `/v1/audit/…` over the real router: what was answered then is answered again, looks are recorded once, and nobody
//! who is looked at can tell.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::Door;
use tests::commands::log;

/// A service with ann, bob and cat, who take messages from everyone.
pub(crate) async fn door() -> Door {
    let door = Door::open().await;
    for member in ["ann", "bob", "cat"] {
        door.register(member).await;
    }
    door
}

/// An auditor's token.
pub(crate) fn auditor(door: &Door) -> String {
    door.token("ada", &[Role::Auditor])
}

/// An answer of the audit.
pub(crate) async fn audit(door: &Door, path: &str) -> Value {
    let path = format!("/v1/audit/{path}");
    door.get(&path, &auditor(door)).await.expect(200).json()
}

/// The disclosures of a log: type and data.
pub(crate) async fn disclosures(door: &Door) -> Vec<Value> {
    let events = log(&*door.store).await;
    events
        .iter()
        .filter(|event| event.event_type().contains("content-disclosed."))
        .map(|event| serde_json::from_slice(event.data()).unwrap())
        .collect()
}

#[tokio::test]
async fn the_answers_of_each_moment_are_given_again() {
    let door = door().await;
    let mut then = Vec::new();
    let mut cid = String::new();
    for step in 0..9 {
        let ann = door.member("ann");
        match step {
            0 => cid = door.sent("bob", "ann", "may I?").await,
            1 => drop(
                door.post(&format!("/v1/requests/{cid}/accept"), &ann, Value::Null)
                    .await
                    .expect(200),
            ),
            2 => drop(door.sent("ann", "bob", "you may").await),
            3 => drop(door.sent("cat", "ann", "and I?").await),
            4 => drop(
                door.put("/v1/me/blocks/bob", &ann, Value::Null)
                    .await
                    .expect(200),
            ),
            5 => drop(door.sent("bob", "ann", "are you there?").await),
            6 => door.audience("ann", "no_one").await,
            7 => drop(
                door.delete(&format!("/v1/conversations/{cid}/messages/2"), &ann)
                    .await
                    .expect(200),
            ),
            _ => drop(door.delete("/v1/me/blocks/bob", &ann).await.expect(200)),
        }
        let mut live = Vec::new();
        for member in ["ann", "bob", "cat"] {
            for (list, path) in [
                ("inbox", "/v1/inbox".to_owned()),
                ("requests", "/v1/requests".to_owned()),
                ("unread", "/v1/unread".to_owned()),
                ("blocks", "/v1/me/blocks".to_owned()),
            ] {
                live.push((
                    format!("members/{member}/{list}"),
                    door.list(&path, member).await,
                ));
            }
        }
        for member in ["ann", "bob"] {
            let path = format!("/v1/conversations/{cid}/messages");
            let list = door.list(&path, member).await;
            live.push((
                format!("conversations/{cid}/messages?member={member}"),
                list,
            ));
        }
        then.push((door.position().await.0, live));
    }
    for (position, live) in then {
        for (path, answer) in live {
            let mark = if path.contains('?') { '&' } else { '?' };
            let path = format!("/v1/audit/{path}{mark}as_of={position}");
            let reply = door.get(&path, &auditor(&door)).await.expect(200);
            assert_eq!(reply.json(), answer, "{path}");
            assert_eq!(reply.position(), position.to_string(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_time_is_a_moment_too_and_without_one_it_is_now() {
    let door = Door::open().await;
    let service = door.service();
    let at = |second: u32| format!("2025-01-01T00:00:{second:02}Z");
    for (second, member) in [(1, "ann"), (2, "bob")] {
        let request = door
            .request(Method::PUT, &format!("/v1/members/{member}"))
            .bearer_auth(&service)
            .header("Doorstep-At", at(second))
            .json(&json!({"age_band": "adult", "registered_at": "2024-01-01T00:00:00Z"}));
        let _ = tests::api::reply(request).await.expect(200);
    }
    let path = |as_of: &str| format!("/v1/audit/members/bob/dm-setting{as_of}");
    let auditor = auditor(&door);
    let refused = door
        .get(&path("?as_of=2025-01-01T00:00:01.999Z"), &auditor)
        .await;
    assert_eq!(
        refused.failure(),
        (404, "not_found".to_owned()),
        "bob came a moment later"
    );
    let found = door
        .get(&path("?as_of=2025-01-01T01:00:02%2B01:00"), &auditor)
        .await;
    assert_eq!(
        found.clone().expect(200).json()["audience"],
        "friends_and_suggested"
    );
    let at_that_time = found.position();
    door.audience("bob", "no_one").await;
    let now = door.get(&path(""), &auditor).await.expect(200);
    assert_eq!(now.json()["audience"], "no_one");
    assert!(now.position().parse::<u64>().unwrap() > at_that_time.parse::<u64>().unwrap());
}

#[tokio::test]
async fn a_look_is_recorded_once_however_many_pages_it_has_and_stays_at_its_moment() {
    let door = door().await;
    for (number, other) in ["bob", "cat"].into_iter().cycle().take(6).enumerate() {
        let _ = door
            .send(other, "ann", &format!("message {number}"))
            .await
            .expect(201);
    }
    let auditor = auditor(&door);
    let before = door.position().await;
    let mut path = "/v1/audit/members/ann/timeline?limit=3&purpose=complaint_7".to_owned();
    let (mut pages, mut items) = (0, Vec::new());
    loop {
        let page = door.get(&path, &auditor).await.expect(200);
        assert_eq!(
            page.position(),
            before.to_string(),
            "every page stands where the first did"
        );
        let page = page.json();
        items.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        // What happens meanwhile is not in it.
        door.audience("ann", ["no_one", "everyone"][pages % 2])
            .await;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/audit/members/ann/timeline?limit=3&cursor={cursor}");
    }
    assert!(pages > 2);
    let positions: Vec<u64> = items
        .iter()
        .map(|item| item["position"].as_u64().unwrap())
        .collect();
    assert!(positions.is_sorted_by(|a, b| a > b) && positions[0] <= before.0);
    assert!(
        items
            .iter()
            .any(|item| item["statement"] == "bob sent message 1 to ann, as a request")
    );
    let told = disclosures(&door).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0],
        json!({"by": "ada", "purpose": "complaint_7", "looked": "timeline", "member": "ann"})
    );
    // Another look is another event, and says as of when.
    audit(&door, "members/ann/inbox?as_of=4").await;
    let told = disclosures(&door).await;
    assert_eq!(
        (told.len(), &told[1]["looked"], &told[1]["purpose"]),
        (2, &json!("inbox"), &json!("audit"))
    );
    assert!(told[1]["as_of"].is_i64());
}

#[tokio::test]
async fn who_is_looked_at_cannot_tell() {
    let (looked_at, not) = (door().await, door().await);
    let mut answers = Vec::new();
    for (door, looks) in [(&looked_at, true), (&not, false)] {
        let cid = door.sent("bob", "ann", "hi").await;
        if looks {
            for path in [
                "members/ann/inbox".to_owned(),
                "members/ann/requests".to_owned(),
                "members/bob/timeline".to_owned(),
                format!("conversations/{cid}/messages"),
                format!("conversations/{cid}/relationship"),
                format!("conversations/{cid}/explain?number=1"),
                format!("conversations/{cid}/diff?from=1&to=10"),
            ] {
                audit(door, &path).await;
            }
            assert_eq!(disclosures(door).await.len(), 7);
        }
        let next = door.send("bob", "ann", "again").await.expect(201).json();
        let mut told = vec![next["number"].clone()];
        for (path, member) in [
            ("/v1/inbox".to_owned(), "bob"),
            ("/v1/requests".to_owned(), "ann"),
            (format!("/v1/conversations/{cid}/messages"), "ann"),
            ("/v1/unread".to_owned(), "ann"),
        ] {
            told.push(without_times(door.list(&path, member).await));
        }
        // The streams of those who are looked at are as they were.
        let events = log(&*door.store).await;
        let theirs = events
            .iter()
            .filter(|event| !event.stream().starts_with("act-"));
        told.extend(
            theirs.map(|event| json!([event.stream(), event.version(), event.event_type()])),
        );
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
}

fn without_times(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("_at"));
            for field in fields.values_mut() {
                *field = without_times(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_times(item.take());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

#[tokio::test]
async fn a_case_is_shown_as_it_stood_and_the_look_is_an_auditors() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "buy").await;
    let _ = door.send("bob", "ann", "buy more").await.expect(201);
    let report = |number: u64, category: &str| json!({"conversation_id": cid, "messages": [number], "category": category});
    let ann = door.member("ann");
    let _ = door
        .post("/v1/reports", &ann, report(1, "spam"))
        .await
        .expect(201);
    door.commands.drain_reactors().await.unwrap();
    let then = door.position().await.0;
    let _ = door
        .post("/v1/reports", &ann, report(2, "scam"))
        .await
        .expect(201);
    door.commands.drain_reactors().await.unwrap();
    door.views_at_the_end().await;
    let moderator = door.token("mia", &[Role::Moderator]);
    let queue = door
        .get("/v1/moderation/queue", &moderator)
        .await
        .expect(200)
        .json();
    let id = queue["items"][0]["case_id"].as_str().unwrap().to_owned();
    let case = audit(&door, &format!("cases/{id}?as_of={then}")).await;
    assert_eq!(case["categories"], json!(["spam"]));
    assert_eq!(case["reports"].as_array().unwrap().len(), 1);
    let now = audit(&door, &format!("cases/{id}")).await;
    assert_eq!(now["categories"], json!(["scam", "spam"]));
    let told = disclosures(&door).await;
    assert_eq!(told.len(), 2);
    assert_eq!(
        told[0],
        json!({"by": "ada", "purpose": "audit", "looked": "case", "member": "bob", "other": "ann",
            "conversation": cid, "case": id, "shown": {"reported": [1], "around": [2]}, "as_of": told[0]["as_of"]})
    );
    assert!(told[0]["as_of"].is_i64() && told[1]["as_of"].is_null());
    let auditor = auditor(&door);
    let before = door
        .get(&format!("/v1/audit/cases/{id}?as_of=5"), &auditor)
        .await;
    assert_eq!(before.failure(), (404, "not_found".to_owned()));
    assert_eq!(disclosures(&door).await.len(), 2, "nothing was shown");
}

#[tokio::test]
async fn what_changed_names_its_events_and_who_did_it() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "hi").await;
    let from = door.position().await.0;
    let ann = door.member("ann");
    let _ = door
        .post(&format!("/v1/requests/{cid}/accept"), &ann, Value::Null)
        .await
        .expect(200);
    let _ = door.send("ann", "bob", "hello").await.expect(201);
    let _ = door.send("cat", "ann", "me too").await.expect(201);
    let moderator = door.token("mia", &[Role::Moderator]);
    let between = door.position().await.0;
    let _ = door
        .put(
            "/v1/moderation/members/cat/suspension",
            &moderator,
            json!({"reason": "spam", "text": "Enough.", "facts": "Ten letters."}),
        )
        .await
        .expect(200);
    let to = door.position().await.0;
    let diff = audit(&door, &format!("members/ann/diff?from={from}&to={to}")).await;
    assert_eq!((&diff["from"], &diff["to"]), (&json!(from), &json!(to)));
    let items = diff["items"].as_array().unwrap();
    let of = |view: &str| {
        items
            .iter()
            .find(|item| item["view"] == view)
            .unwrap_or_else(|| panic!("{view}: {diff}"))
    };
    let inbox = of("inbox");
    assert_eq!(
        (&inbox["change"], &inbox["before"]),
        (&json!("added"), &Value::Null)
    );
    assert_eq!(inbox["after"]["last_message"]["text"], "hello");
    let by: Vec<(&str, &str)> = inbox["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["type"].as_str().unwrap(),
                event["by"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        by,
        [("request-accepted.v1", "ann"), ("message-sent.v1", "ann")]
    );
    let requests = of("requests");
    assert_eq!(
        (&requests["change"], &requests["after"]),
        (&json!("removed"), &Value::Null)
    );
    assert_eq!(of("unread")["before"], json!({"inbox": 0, "requests": 1}));
    // Cat knocked and was suspended: nothing of it is left to see, and the diff of the later span says why.
    let diff = audit(&door, &format!("members/ann/diff?from={between}&to={to}")).await;
    let gone = &diff["items"][0];
    assert_eq!(
        (&gone["view"], &gone["change"]),
        (&json!("requests"), &json!("removed"))
    );
    assert_eq!(gone["events"][0]["type"], "member-suspended.v2");
    assert_eq!(gone["events"][0]["by"], "mia");
    let diff = audit(
        &door,
        &format!("conversations/{cid}/diff?from={from}&to={to}"),
    )
    .await;
    let messages: Vec<&Value> = diff["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["view"] == "messages")
        .collect();
    assert_eq!(
        messages.len(),
        2,
        "both of them see the new message: {diff}"
    );
    let same = audit(&door, &format!("members/ann/diff?from={to}&to={to}")).await;
    assert_eq!(same["items"], json!([]));
    assert_eq!(disclosures(&door).await.last().unwrap()["looked"], "diff");
}

//! What members are told of decisions, that they appeal them, and that what is reversed is as it was, over HTTP.

use commands::Command;
use domain::case::Ruling;
use domain::{CaseId, ConversationId};
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply};

use crate::api_cases::{Desk, refused};

fn suspend() -> Value {
    json!({"action": "suspend", "until": "2999-01-01T00:00:00Z", "reason": "spam",
        "text": "You sent the same offer to many.", "facts": "The message went to seven."})
}

fn remove(numbers: &[u64]) -> Value {
    json!({"action": "remove_messages", "messages": numbers, "reason": "spam", "text": "Gone.", "facts": "It is an offer."})
}

/// Mia claims the case and decides it. The decision's id, and the reply.
async fn decided(desk: &Desk, decision: Value) -> (String, Reply) {
    let _ = desk.plain("mia", "claim").await.expect(200);
    let decided = desk.act("mia", "decision", decision).await.expect(200);
    let id = decided.json()["decision_id"].as_str().unwrap().to_owned();
    (id, decided)
}

async fn appeal(desk: &Desk, by: &str, decision: &str) -> Reply {
    let path = format!("/v1/decisions/{decision}/appeal");
    let body = json!({"text": "It was a joke."});
    desk.door.post(&path, &desk.door.member(by), body).await
}

async fn answer(desk: &Desk, by: &str, outcome: &str) -> Reply {
    let body = json!({"outcome": outcome, "text": "We looked again."});
    desk.act(by, "appeal-decision", body).await
}

async fn reverse(desk: &Desk, by: &str, decision: &str) -> Reply {
    let path = format!("/v1/moderation/decisions/{decision}/reverse");
    let body = json!({"reason": "mistake", "text": "We were wrong."});
    desk.door.post(&path, &desk.moderator(by), body).await
}

/// What a member reads there, with what a reply reached in it.
async fn read(desk: &Desk, member: &str, path: &str, after: &Reply) -> Value {
    let path = format!("{path}?min_position={}", after.position());
    let reply = desk.door.get(&path, &desk.door.member(member)).await;
    reply.expect(200).json()
}

async fn statements(desk: &Desk, member: &str, after: &Reply) -> Vec<Value> {
    let list = read(desk, member, "/v1/me/decisions", after).await;
    list["items"].as_array().unwrap().clone()
}

async fn requests(desk: &Desk, after: &Reply) -> usize {
    let list = read(desk, "ann", "/v1/requests", after).await;
    list["items"].as_array().unwrap().len()
}

async fn report_of_ann(desk: &Desk, after: &Reply) -> (Value, Value) {
    let list = read(desk, "ann", "/v1/me/reports", after).await;
    let id = list["items"][0]["report_id"].as_str().unwrap();
    let one = read(desk, "ann", &format!("/v1/reports/{id}"), after).await;
    assert_eq!(one, list["items"][0]);
    (one["state"].clone(), one["outcome"].clone())
}

#[tokio::test]
async fn a_suspended_member_reads_why_appeals_and_another_moderator_takes_it_back() {
    let desk = Desk::open().await;
    let (id, suspended) = decided(&desk, suspend()).await;
    assert_eq!(requests(&desk, &suspended).await, 0);
    let acted_on = (json!("decided"), json!("acted_on"));
    assert_eq!(report_of_ann(&desk, &suspended).await, acted_on);

    let told = statements(&desk, "bob", &suspended).await;
    let [statement] = &told[..] else {
        panic!("one statement: {told:?}");
    };
    let expected = json!({"decision_id": id, "action": "suspend", "until": "2999-01-01T00:00:00.000Z",
        "ended_at": null, "category": "spam", "reason": "spam", "text": "You sent the same offer to many.",
        "facts": "The message went to seven.", "messages": 0, "automated": false,
        "appeal_at": format!("/v1/decisions/{id}/appeal"), "appeal": null, "reversal": null});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&statement[field], value, "{field}");
    }
    let reasons = &statement["statement_of_reasons"];
    let expected = json!({"puid": id, "decision_visibility": null, "decision_provision": null,
        "decision_account": "DECISION_ACCOUNT_SUSPENDED", "end_date_account_restriction": "2999-01-01",
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT", "incompatible_content_ground": "spam",
        "incompatible_content_explanation": "You sent the same offer to many.",
        "decision_facts": "The message went to seven.", "content_type": ["CONTENT_TYPE_TEXT"],
        "category": "STATEMENT_CATEGORY_OTHER_VIOLATION_TC", "source_type": "SOURCE_TYPE_OTHER_NOTIFICATION",
        "automated_detection": "No", "automated_decision": "AUTOMATED_DECISION_NOT_AUTOMATED"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&reasons[field], value, "{field}");
    }

    let appealed = appeal(&desk, "bob", &id).await.expect(200);
    let waits = &statements(&desk, "bob", &appealed).await[0]["appeal"];
    let of_appeal = |field: &str| waits[field].clone();
    assert_eq!(of_appeal("text"), "It was a joke.");
    assert_eq!(of_appeal("outcome"), Value::Null);
    assert_eq!(desk.queued(&appealed, "state=appealed").await, 1);
    assert_eq!(
        desk.queued(&appealed, "state=appealed&sort=newest").await,
        1
    );
    assert_eq!(desk.queued(&appealed, "state=appealed&member=bob").await, 1);
    let shown = desk.shown(&appealed).await;
    assert_eq!(shown["decisions"][0]["appeal"]["text"], "It was a joke.");
    assert_eq!(shown["decisions"][0]["appeal"]["answer"], Value::Null);

    refused(&answer(&desk, "mia", "reversed").await, "same_moderator");
    let granted = answer(&desk, "max", "reversed").await.expect(200);
    assert_eq!(requests(&desk, &granted).await, 1, "the request is back");
    let told = &statements(&desk, "bob", &granted).await[0];
    assert!(told["ended_at"].is_string());
    assert_eq!(told["appeal_at"], Value::Null);
    assert_eq!(told["appeal"]["outcome"], "reversed");
    assert_eq!(told["appeal"]["answer"], "We looked again.");
    assert_eq!(told["reversal"]["text"], "We looked again.");
    assert_eq!(told["reversal"]["reason"], "appeal_granted");
    let reversed = (json!("decided"), json!("reversed"));
    assert_eq!(report_of_ann(&desk, &granted).await, reversed);
    let shown = desk.shown(&granted).await;
    assert_eq!(shown["state"], "closed");
    assert_eq!(shown["history"][0]["cases_upheld"], 0);
    assert_eq!(shown["history"][0]["suspended"], false);
    let of_case = &shown["decisions"][0];
    assert_eq!(of_case["appeal"]["answer"]["by"], "max");
    assert_eq!(of_case["reversal"]["by"], "max");
    assert_eq!(desk.queued(&granted, "state=appealed").await, 0);
    let _ = desk.door.sent("bob", "ann", "thank you").await;
}

/// Neither who reported nor which moderator, nor the conversation, which would tell.
#[tokio::test]
async fn a_statement_tells_nobody_who_reported_or_decided() {
    let desk = Desk::open().await;
    let (id, _) = decided(&desk, remove(&[1])).await;
    let _ = appeal(&desk, "bob", &id).await.expect(200);
    let granted = answer(&desk, "max", "reversed").await.expect(200);
    let shown = desk.shown(&granted).await;
    let told = statements(&desk, "bob", &granted).await;
    let reasons = &told[0]["statement_of_reasons"];
    assert_eq!(
        reasons["decision_visibility"],
        json!(["DECISION_VISIBILITY_CONTENT_REMOVED"])
    );
    let text = serde_json::to_string(&told).unwrap();
    let conversation = shown["conversation_id"].as_str().unwrap();
    for secret in ["ann", "mia", "max", conversation, &desk.case] {
        assert!(!text.contains(&format!("\"{secret}\"")), "{secret}: {text}");
    }
    assert_eq!(
        statements(&desk, "ann", &granted).await,
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn an_upheld_appeal_leaves_the_decision_and_closes_the_case() {
    let desk = Desk::open().await;
    let (id, _) = decided(&desk, suspend()).await;
    let _ = appeal(&desk, "bob", &id).await.expect(200);
    let upheld = answer(&desk, "max", "upheld").await.expect(200);
    assert_eq!(requests(&desk, &upheld).await, 0);
    let told = &statements(&desk, "bob", &upheld).await[0];
    assert_eq!(told["appeal"]["outcome"], "upheld");
    assert_eq!(
        (&told["ended_at"], &told["reversal"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(desk.queued(&upheld, "state=closed").await, 1);
    assert_eq!(desk.queued(&upheld, "state=appealed").await, 0);
    refused(&appeal(&desk, "bob", &id).await, "already_appealed");
    refused(&answer(&desk, "max", "reversed").await, "not_appealed");
    let told = desk.door.send("bob", "ann", "hello?").await;
    assert_eq!(told.failure(), (403, "account_restricted".to_owned()));
}

/// In every view of both, and the case waits for another decision; what was unsent meanwhile stays so.
#[tokio::test]
async fn a_reversal_shows_removed_messages_again_but_those_unsent_meanwhile() {
    let desk = Desk::open().await;
    let (door, ann, bob) = (&desk.door, desk.door.member("ann"), desk.door.member("bob"));
    let cid = door.sent("bob", "ann", "second").await;
    let report = json!({"conversation_id": cid, "messages": [2], "category": "spam"});
    let _ = door.post("/v1/reports", &ann, report).await.expect(201);
    let (id, _) = decided(&desk, remove(&[1, 2])).await;
    let accept = format!("/v1/requests/{cid}/accept");
    let _ = door.post(&accept, &ann, Value::Null).await.expect(200);
    let unsend = format!("/v1/conversations/{cid}/messages/1");
    let _ = door.delete(&unsend, &bob).await.expect(200);

    let reversed = reverse(&desk, "mia", &id).await.expect(200);
    for member in ["ann", "bob"] {
        let path = format!("/v1/conversations/{cid}/messages");
        let shown = read(&desk, member, &path, &reversed).await;
        let items = shown["items"].as_array().unwrap();
        let texts: Vec<_> = items
            .iter()
            .map(|item| (&item["text"], &item["removed_at"]))
            .collect();
        assert_eq!(
            texts,
            [
                (&json!("second"), &Value::Null),
                (&Value::Null, &Value::Null)
            ]
        );
        let inbox = read(&desk, member, "/v1/inbox", &reversed).await;
        assert_eq!(
            inbox["items"][0]["last_message"]["text"], "second",
            "{member}"
        );
    }
    assert_eq!(desk.queued(&reversed, "state=open").await, 1);
    let open = (json!("open"), json!("reversed"));
    assert_eq!(report_of_ann(&desk, &reversed).await, open);
    let again = reverse(&desk, "max", &id).await.expect(200);
    assert_eq!(again.position(), reversed.position(), "it is so already");
    refused(&appeal(&desk, "bob", &id).await, "already_reversed");
    let (second, decided) = decided(&desk, suspend()).await;
    assert_ne!(second, id);
    let acted_on = (json!("decided"), json!("acted_on"));
    assert_eq!(report_of_ann(&desk, &decided).await, acted_on);
}

#[tokio::test]
async fn a_reversal_leaves_a_suspension_by_hand_and_what_ended_before() {
    let desk = Desk::open().await;
    let mia = desk.moderator("mia");
    let by_hand = "/v1/moderation/members/bob/suspension";
    let (id, _) = decided(&desk, suspend()).await;
    let body = json!({"reason": "scam", "text": "By hand.", "facts": "A letter."});
    let _ = desk.door.put(by_hand, &mia, body).await.expect(200);
    let reversed = reverse(&desk, "max", &id).await.expect(200);
    assert_eq!(requests(&desk, &reversed).await, 0, "suspended by hand");
    assert_eq!(desk.shown(&reversed).await["history"][0]["suspended"], true);
    let told = statements(&desk, "bob", &reversed).await;
    let of = |field: &str| told.iter().map(|it| it[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("text"), ["By hand.", "You sent the same offer to many."]);
    assert_eq!(told[0]["ended_at"], Value::Null);
    assert_eq!(
        told[0]["statement_of_reasons"]["source_type"],
        "SOURCE_VOLUNTARY"
    );
    assert!(told[1]["ended_at"].is_string());

    let lifted = desk.door.delete(by_hand, &mia).await.expect(200);
    assert_eq!(requests(&desk, &lifted).await, 1);
    assert!(statements(&desk, "bob", &lifted).await[0]["ended_at"].is_string());

    // Lifted by hand first: the reversal has nothing left to lift.
    let (second, _) = decided(&desk, suspend()).await;
    let _ = desk.door.delete(by_hand, &mia).await.expect(200);
    let _ = reverse(&desk, "max", &second).await.expect(200);
    let host = desk.door.service();
    let lifted = "/v1/events?type=restriction-lifted";
    let events = desk.door.get(lifted, &host).await.json();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_appeal_is_refused_to_others_and_by_its_code_and_changes_nothing() {
    let desk = Desk::open().await;
    let (id, _) = decided(&desk, suspend()).await;
    let door = &desk.door;
    let nowhere = uuid::Uuid::nil().to_string();
    for (by, decision) in [("ann", id.as_str()), ("bob", &nowhere), ("bob", "none")] {
        let reply = door.unchanged(Box::pin(appeal(&desk, by, decision))).await;
        assert_eq!(
            reply.failure(),
            (404, "not_found".to_owned()),
            "{by} {decision}"
        );
    }
    let bob = door.member("bob");
    let path = format!("/v1/decisions/{id}/appeal");
    for text in [
        String::new(),
        " \n".to_owned(),
        "x".repeat(2_001),
        "é".repeat(4_097),
    ] {
        let call = door.post(&path, &bob, json!({"text": text}));
        let reply = door.unchanged(Box::pin(call)).await;
        assert_eq!(reply.failure(), (422, "invalid_appeal".to_owned()));
        assert_eq!(reply.json()["errors"][0]["field"], "text");
    }
    for body in [
        json!({}),
        json!({"text": 1}),
        json!({"text": "x", "by": "bob"}),
    ] {
        let reply = door.unchanged(Box::pin(door.post(&path, &bob, body))).await;
        assert_eq!(reply.failure(), (400, "invalid_body".to_owned()));
    }
    for (act, body) in [
        (
            "appeal-decision",
            json!({"outcome": "granted", "text": "x"}),
        ),
        ("appeal-decision", json!({"outcome": "upheld"})),
        (
            "appeal-decision",
            json!({"outcome": "upheld", "text": "x", "decision_id": "none"}),
        ),
    ] {
        let reply = door.unchanged(Box::pin(desk.act("max", act, body))).await;
        assert_eq!(reply.failure(), (400, "invalid_body".to_owned()));
    }
    refused(&answer(&desk, "max", "upheld").await, "not_appealed");
    let path = format!("/v1/moderation/decisions/{id}/reverse");
    let silent = json!({"reason": "mistake"});
    let reply = door.post(&path, &desk.moderator("max"), silent).await;
    assert_eq!(reply.failure(), (422, "invalid_decision".to_owned()));
    let none = reverse(&desk, "max", &nowhere).await;
    assert_eq!(none.failure(), (404, "not_found".to_owned()));
}

/// A moderator who is one of the two members of the conversation.
#[tokio::test]
async fn nobody_decides_their_own_case() {
    let desk = Desk::open().await;
    // Who is reported does not learn here that they are.
    let own = |own: &str| match own {
        "ann" => (409, "own_case".to_owned()),
        _ => (404, "not_found".to_owned()),
    };
    for by in ["ann", "bob"] {
        let claim = desk.plain(by, "claim").await;
        assert_eq!(claim.failure(), own(by));
        let decision = desk.act(by, "decision", suspend()).await;
        assert_eq!(decision.failure(), own(by));
    }
    let (id, _) = decided(&desk, suspend()).await;
    let _ = appeal(&desk, "bob", &id).await.expect(200);
    for by in ["ann", "bob"] {
        assert_eq!(answer(&desk, by, "reversed").await.failure(), own(by));
        assert_eq!(reverse(&desk, by, &id).await.failure(), own(by));
    }
}

/// Decided in 2023, by the clock of the write side then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_can_be_appealed_for_180_days() {
    let early = tests::commands::Desk::open().await;
    early.members(&["ann", "bob"]).await;
    early.message("bob", "ann", "buy").await.unwrap();
    let report = Command::ReportMessage {
        target: tests::commands::with("bob"),
        messages: vec![1],
        category: domain::case::Category::Spam,
        comment: String::new(),
        also: domain::conversation::Also::None,
    };
    early.send("ann", report).await.unwrap();
    early.handler.drain_reactors().await.unwrap();
    let (ann, bob) = ("ann".parse().unwrap(), "bob".parse().unwrap());
    let case = CaseId::of(ConversationId::of(&ann, &bob), &bob);
    early
        .send("mia", Command::ClaimCase { case })
        .await
        .unwrap();
    let ruling = Ruling {
        action: domain::case::Action::Warn,
        until: None,
        messages: Vec::new(),
        reason: "spam".parse().unwrap(),
        text: "Do not.".to_owned(),
        facts: "An offer.".to_owned(),
    };
    early
        .send("mia", Command::DecideCase { case, ruling })
        .await
        .unwrap();
    early.handler.drain_reactors().await.unwrap();
    early.handler.stop().await;
    let dir = std::sync::Arc::clone(&early.dir);
    drop(early);

    let door = Door::serve_again(dir).await;
    let desk = Desk {
        door,
        case: case.to_string(),
    };
    let told = desk.door.list("/v1/me/decisions", "bob").await;
    let warning = &told["items"][0];
    assert_eq!(
        (&warning["action"], &warning["appeal_at"]),
        (&json!("warn"), &Value::Null)
    );
    assert!(warning["appealable_until"].is_string());
    let late = appeal(&desk, "bob", warning["decision_id"].as_str().unwrap()).await;
    refused(&late, "appeal_window_over");
}

/// One has decided the appeal, all others are told that none waits.
#[tokio::test]
async fn of_many_who_decide_an_appeal_at_once_one_does() {
    let desk = Desk::open().await;
    let (id, _) = decided(&desk, suspend()).await;
    let _ = appeal(&desk, "bob", &id).await.expect(200);
    let names: Vec<String> = (0..8).map(|n| format!("m{n}")).collect();
    let answers = names.iter().enumerate().map(|(n, name)| {
        let outcome = if n % 2 == 0 { "upheld" } else { "reversed" };
        answer(&desk, name, outcome)
    });
    let replies = futures::future::join_all(answers).await;
    let first: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(first.len(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        refused(reply, "not_appealed");
    }
    let shown = desk.shown(first[0]).await;
    let outcome = &shown["decisions"][0]["appeal"]["answer"]["outcome"];
    let reversed = !shown["decisions"][0]["reversal"].is_null();
    assert_eq!(outcome == "reversed", reversed);
    assert_eq!(shown["history"][0]["suspended"], !reversed);
}

#[tokio::test]
async fn a_reversal_under_a_repeated_key_is_answered_as_at_first_and_done_once() {
    let desk = Desk::open().await;
    let (id, _) = decided(&desk, suspend()).await;
    let path = format!("/v1/moderation/decisions/{id}/reverse");
    let reverse = async || {
        let request = desk.door.request(Method::POST, &path);
        let request = request.bearer_auth(desk.moderator("max"));
        let body = json!({"reason": "mistake", "text": "We were wrong."});
        tests::api::reply(request.header("idempotency-key", "r1").json(&body)).await
    };
    let first = reverse().await.expect(200);
    let _ = desk.door.sent("bob", "ann", "thanks").await;
    assert_eq!(reverse().await.bytes, first.bytes);
    let host = desk.door.service();
    for (kind, count) in [
        ("decision-reversed", 1),
        ("restriction-lifted", 1),
        ("member-restricted", 1),
    ] {
        let events = format!("/v1/events?type={kind}");
        let events = desk.door.get(&events, &host).await.json();
        assert_eq!(events["items"].as_array().unwrap().len(), count, "{kind}");
    }
}

/// What was said harmlessly is no statement: who was reported in vain does not learn of it.
#[tokio::test]
async fn a_case_in_which_nothing_was_done_is_told_to_its_reporter_alone() {
    let desk = Desk::open().await;
    let nothing = json!({"action": "no_action", "reason": "harmless"});
    let (id, decided) = decided(&desk, nothing).await;
    assert_eq!(
        statements(&desk, "bob", &decided).await,
        Vec::<Value>::new()
    );
    let none = appeal(&desk, "bob", &id).await;
    assert_eq!(none.failure(), (404, "not_found".to_owned()));
    let told = (json!("decided"), json!("not_acted_on"));
    assert_eq!(report_of_ann(&desk, &decided).await, told);
    let reversed = reverse(&desk, "max", &id).await.expect(200);
    assert_eq!(desk.queued(&reversed, "state=open").await, 1);
    assert_eq!(
        statements(&desk, "bob", &reversed).await,
        Vec::<Value>::new()
    );
}

//! The ledger of looks: who was shown what is a member's, as a moderator or an auditor, when and what for.

use api::Role;
use api::problem::Code;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Scene};
use tests::views::{World, conversation_of, id};

use crate::audit_http::{audit, auditor, disclosures};

/// A case about bob, whom ann reported; its id.
async fn case(door: &Door, cid: &str) -> String {
    for text in ["two", "three"] {
        let _ = door.send("bob", "ann", text).await.expect(201);
    }
    let report = json!({"conversation_id": cid, "messages": [2], "category": "spam"});
    let ann = door.member("ann");
    let _ = door.post("/v1/reports", &ann, report).await.expect(201);
    door.commands.drain_reactors().await.unwrap();
    door.views_at_the_end().await;
    let queue = door.get("/v1/moderation/queue", &moderator(door)).await;
    queue.expect(200).json()["items"][0]["case_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn moderator(door: &Door) -> String {
    door.token("mia", &[Role::Moderator])
}

/// The items of a member's ledger, without their times, which fall.
async fn ledger(door: &Door, member: &str) -> Vec<Value> {
    let ledger = audit(
        door,
        &format!("members/{member}/disclosures?purpose=oversight"),
    )
    .await;
    assert_eq!(ledger["next_cursor"], Value::Null);
    let mut items = ledger["items"].as_array().unwrap().clone();
    let times: Vec<String> = items.iter().map(|it| it["at"].to_string()).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier));
    for item in &mut items {
        item.as_object_mut().unwrap().remove("at");
    }
    items
}

fn look(by: &str, role: &str, purpose: &str, looked: &str) -> Value {
    json!({"by": by, "role": role, "purpose": purpose, "looked": looked, "case_id": null, "conversation_id": null,
        "with": null, "messages": null, "from": null, "as_of": null})
}

fn with(mut look: Value, more: &Value) -> Value {
    let fields = look.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    look
}

#[tokio::test]
async fn tells_each_look_of_moderators_and_auditors_to_both_whose_it_is() {
    let Scene { door, cid } = Scene::open().await;
    let case = case(&door, &cid).await;
    let path = format!("/v1/moderation/cases/{case}?purpose=second_opinion");
    let _ = door.get(&path, &moderator(&door)).await.expect(200);
    let _ = audit(&door, "members/ann/inbox?purpose=complaint").await;
    let _ = audit(&door, &format!("conversations/{cid}/messages")).await;
    let _ = audit(&door, &format!("cases/{case}")).await;

    let shown = json!({"reported": [2], "around": [1, 3]});
    let file = json!({"case_id": case, "conversation_id": cid, "with": "bob", "messages": shown});
    let talk = json!({"conversation_id": cid, "with": "bob"});
    let anns = [
        with(look("ada", "auditor", "audit", "case"), &file),
        with(look("ada", "auditor", "audit", "messages"), &talk),
        look("ada", "auditor", "complaint", "inbox"),
        with(look("mia", "moderator", "second_opinion", "case"), &file),
    ];
    assert_eq!(ledger(&door, "ann").await, anns);
    // What is ann's alone is not bob's, nor is a look at her ledger.
    let bobs: Vec<Value> = [&anns[0], &anns[1], &anns[3]]
        .map(|look| with(look.clone(), &json!({"with": "ann"})))
        .to_vec();
    assert_eq!(ledger(&door, "bob").await, bobs);
    // Reading a ledger is a look itself.
    let again = ledger(&door, "ann").await;
    assert_eq!(again[0], look("ada", "auditor", "oversight", "disclosures"));
    assert_eq!(again[1..], anns);
}

#[tokio::test]
async fn its_pages_are_of_one_moment_and_one_look() {
    let Scene { door, .. } = Scene::open().await;
    for purpose in ["one", "two", "three"] {
        let _ = audit(&door, &format!("members/ann/inbox?purpose={purpose}")).await;
    }
    let looks = disclosures(&door).await.len();
    let mut purposes = Vec::new();
    let mut path = "members/ann/disclosures?limit=2".to_owned();
    loop {
        let page = audit(&door, &path).await;
        for item in page["items"].as_array().unwrap() {
            purposes.push(item["purpose"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("members/ann/disclosures?limit=2&cursor={cursor}");
        let _ = audit(&door, "members/ann/inbox?purpose=meanwhile").await;
    }
    assert_eq!(purposes, ["three", "two", "one"]);
    assert_eq!(disclosures(&door).await.len(), looks + 2);
}

#[tokio::test]
async fn of_nobody_there_is_none_and_what_is_asked_wrong_is_no_look() {
    let scene = Scene::open().await;
    let ada = auditor(&scene.door);
    for (path, status, code) in [
        ("members/nobody/disclosures", 404, Code::NotFound),
        ("members/a%20b/disclosures", 400, Code::InvalidMember),
        ("members/ann/disclosures?limit=0", 400, Code::InvalidQuery),
        ("members/ann/disclosures?cursor=x", 400, Code::InvalidQuery),
        ("members/ann/disclosures?as_of=1", 400, Code::InvalidQuery),
        (
            "members/ann/disclosures?purpose=%21",
            400,
            Code::InvalidQuery,
        ),
    ] {
        let request = scene
            .door
            .request(Method::GET, &format!("/v1/audit/{path}"));
        let _ = scene
            .refuses(path, status, code, request.bearer_auth(&ada))
            .await;
    }
    // A cursor of one member's ledger is none of another's.
    let door = &scene.door;
    for purpose in ["one", "two"] {
        let _ = audit(door, &format!("members/ann/inbox?purpose={purpose}")).await;
    }
    let page = audit(door, "members/ann/disclosures?limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("/v1/audit/members/bob/disclosures?cursor={cursor}");
    let refused = door.get(&path, &ada).await;
    assert_eq!(refused.failure(), (400, "invalid_query".to_owned()));
}

#[tokio::test]
async fn the_rows_are_the_same_however_they_are_folded() {
    let mut world = World::open(&["ann", "bob"]);
    world.disclose("bob", "ann");
    world.disclose("ann", "bob");
    let reads = world.reads().await;
    let page = projections::PageRequest::default();
    for member in ["ann", "bob"] {
        let member = id(member);
        let ledger = reads.disclosures(&member, world.position(), &page).await;
        let ledger = ledger.unwrap().items;
        assert_eq!(ledger.len(), 2);
        for look in ledger {
            assert_eq!(look.conversation_id, Some(conversation_of("ann", "bob")));
        }
    }
    world.check();
}

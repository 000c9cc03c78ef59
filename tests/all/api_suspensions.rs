//! A suspension by hand is a decision: the member reads why, appeals it, another moderator answers, and what is reversed is as
//! it was, over HTTP.

use api::Role;
use serde_json::{Value, json};
use tests::api::{Door, Reply};
use tests::pages::Sitting;

use crate::api_cases::refused;

const SUSPENSION: &str = "/v1/moderation/members/bob/suspension";

/// Ann has a request of bob's, whom mia suspends by hand.
async fn suspended() -> (Door, String, Reply) {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let _ = door.send("bob", "ann", "Hello.").await.expect(201);
    let body = json!({"reason": "scam", "text": "You asked for money.", "facts": "Four letters."});
    let mia = door.token("mia", &[Role::Moderator]);
    let suspended = door.put(SUSPENSION, &mia, body).await.expect(200);
    let told = statements(&door, &suspended).await;
    let id = told[0]["decision_id"].as_str().unwrap().to_owned();
    (door, id, suspended)
}

async fn read(door: &Door, token: &str, path: &str, after: &Reply) -> Value {
    let joined = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{joined}min_position={}", after.position());
    door.get(&path, token).await.expect(200).json()
}

async fn statements(door: &Door, after: &Reply) -> Vec<Value> {
    let list = read(door, &door.member("bob"), "/v1/me/decisions", after).await;
    list["items"].as_array().unwrap().clone()
}

async fn requests(door: &Door, after: &Reply) -> usize {
    let list = read(door, &door.member("ann"), "/v1/requests", after).await;
    list["items"].as_array().unwrap().len()
}

async fn appeal(door: &Door, by: &str, id: &str) -> Reply {
    let path = format!("/v1/decisions/{id}/appeal");
    let body = json!({"text": "It was a joke."});
    door.post(&path, &door.member(by), body).await
}

async fn queue(door: &Door, query: &str, after: &Reply) -> Vec<Value> {
    let token = door.token("max", &[Role::Moderator]);
    let path = format!("/v1/moderation/queue{query}");
    let list = read(door, &token, &path, after).await;
    list["items"].as_array().unwrap().clone()
}

async fn answer(door: &Door, by: &str, case: &str, outcome: &str) -> Reply {
    let path = format!("/v1/moderation/cases/{case}/appeal-decision");
    let body = json!({"outcome": outcome, "text": "We looked again."});
    let token = door.token(by, &[Role::Moderator]);
    door.post(&path, &token, body).await
}

#[tokio::test]
async fn is_told_with_its_facts_appealed_and_reversed_by_another_moderator() {
    let (door, id, suspended) = suspended().await;
    assert_eq!(requests(&door, &suspended).await, 0);
    let told = statements(&door, &suspended).await;
    let [statement] = &told[..] else {
        panic!("one statement: {told:?}");
    };
    assert_eq!(statement["text"], "You asked for money.");
    assert_eq!(statement["facts"], "Four letters.");
    assert_eq!(statement["appeal_at"], format!("/v1/decisions/{id}/appeal"));
    let of_eu = &statement["statement_of_reasons"];
    assert_eq!(of_eu["source_type"], "SOURCE_VOLUNTARY");
    assert_eq!(of_eu["decision_facts"], "Four letters.");
    assert!(
        !statement.to_string().contains("mia"),
        "no moderator is named"
    );

    assert_eq!(
        appeal(&door, "ann", &id).await.failure(),
        (404, "not_found".to_owned())
    );
    let counted = async |by: &str| {
        let token = door.token(by, &[Role::Moderator]);
        let counts = door.get("/v1/moderation/queue/counts", &token).await;
        counts.expect(200).json()["appealed"].clone()
    };
    // Nothing waits but with an appeal.
    assert_eq!(queue(&door, "", &suspended).await, [] as [Value; 0]);
    let appealed = appeal(&door, "bob", &id).await.expect(200);
    refused(&appeal(&door, "bob", &id).await, "already_appealed");
    let waiting = queue(&door, "?state=appealed", &appealed).await;
    let [case] = &waiting[..] else {
        panic!("one appeal: {waiting:?}");
    };
    assert_eq!(
        (&case["member"], &case["state"]),
        (&json!("bob"), &json!("decided"))
    );
    assert_eq!(
        (&case["conversation_id"], &case["reports"]),
        (&Value::Null, &json!(0))
    );
    let case = case["case_id"].as_str().unwrap().to_owned();
    // Who moderates is not told of what is about themself.
    assert_eq!(
        (counted("max").await, counted("bob").await),
        (json!(1), json!(0))
    );

    let max = door.token("max", &[Role::Moderator]);
    let path = format!("/v1/moderation/cases/{case}");
    let shown = read(&door, &max, &path, &appealed).await;
    assert_eq!(
        (&shown["reporter"], &shown["messages"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(shown["history"].as_array().unwrap().len(), 1);
    let decision = &shown["decisions"][0];
    assert_eq!(
        (&decision["by"], &decision["facts"]),
        (&json!("mia"), &json!("Four letters."))
    );
    assert_eq!(decision["appeal"]["text"], "It was a joke.");

    let claim = door.post(&format!("{path}/claim"), &max, Value::Null).await;
    refused(&claim, "already_decided");
    let reopen = door
        .post(&format!("{path}/reopen"), &max, json!({"reason": "asked"}))
        .await;
    refused(&reopen, "already_decided");
    refused(
        &answer(&door, "mia", &case, "upheld").await,
        "same_moderator",
    );
    let own = answer(&door, "bob", &case, "reversed").await.failure();
    assert_eq!(own, (404, "not_found".to_owned()));
    let reversed = answer(&door, "max", &case, "reversed").await.expect(200);
    assert_eq!(requests(&door, &reversed).await, 1, "as it was");
    let _ = door.send("bob", "ann", "I am back.").await.expect(201);
    let told = statements(&door, &reversed).await;
    assert_eq!(told[0]["appeal"]["outcome"], "reversed");
    assert!(told[0]["ended_at"].is_string());
    assert_eq!(told[0]["appeal_at"], Value::Null);
    assert_eq!(
        queue(&door, "?state=appealed", &reversed).await,
        [] as [Value; 0]
    );
    let closed = queue(&door, "?state=closed&member=bob", &reversed).await;
    assert_eq!(closed[0]["case_id"], case);
}

#[tokio::test]
async fn stands_beside_another_and_the_reversal_of_one_leaves_the_other() {
    let (door, id, _) = suspended().await;
    let appealed = appeal(&door, "bob", &id).await.expect(200);
    let waiting = queue(&door, "?state=appealed", &appealed).await;
    let case = waiting[0]["case_id"].as_str().unwrap().to_owned();
    let upheld = answer(&door, "max", &case, "upheld").await.expect(200);
    let told = statements(&door, &upheld).await;
    assert_eq!(told[0]["appeal"]["outcome"], "upheld");
    assert_eq!(requests(&door, &upheld).await, 0);

    let max = door.token("max", &[Role::Moderator]);
    let until = json!({"reason": "scam", "text": "Once more.", "facts": "Five letters.", "until": "2999-01-01T00:00:00Z"});
    let next = door.put(SUSPENSION, &max, until.clone()).await.expect(200);
    // By another key, or another moderator, the same is so already.
    let mia = door.token("mia", &[Role::Moderator]);
    let again = door.put(SUSPENSION, &mia, until).await.expect(200);
    assert_eq!(again.position(), next.position());
    let told = statements(&door, &next).await;
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|it| it["ended_at"].is_null()));
    // The later one is reversed: what mia had decided stands.
    let second = told[0]["decision_id"].as_str().unwrap();
    let reverse = async |id: &str| {
        let path = format!("/v1/moderation/decisions/{id}/reverse");
        let why = json!({"reason": "mistake", "text": "We were wrong."});
        let reversed = door.post(&path, &mia, why).await.expect(200);
        assert_eq!(reversed.json()["carried_out"], true);
        reversed
    };
    let reversed = reverse(second).await;
    assert_eq!(requests(&door, &reversed).await, 0);
    let told = statements(&door, &reversed).await;
    assert!(told[0]["ended_at"].is_string() && told[1]["ended_at"].is_null());
    let lifted = reverse(&id).await;
    assert_eq!(requests(&door, &lifted).await, 1);
    let host = door.service();
    let events = door.get("/v1/events?type=restriction-lifted", &host).await;
    assert_eq!(events.json()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn is_answered_at_the_desk_where_nothing_speaks_of_reports_or_of_a_conversation() {
    let (door, id, _) = suspended().await;
    let _ = appeal(&door, "bob", &id).await.expect(200);
    door.views_at_the_end().await;
    let max = Sitting::of(&door, &door.token("max", &[Role::Moderator])).await;
    let queue = max.page("/desk/queue").await.expect(200);
    assert!(queue.says("suspended by hand") && queue.says("Appealed"));
    assert!(!queue.html.contains("/claim\""), "nobody claims it");
    let at = queue.html.find("/desk/cases/").unwrap();
    let path = queue.html[at..].split('"').next().unwrap().to_owned();
    let case = max.page(&path).await.expect(200);
    for words in [
        "Suspended by hand, with no report",
        "You asked for money.",
        "Four letters.",
        "It was a joke.",
    ] {
        assert!(case.says(words), "{words}");
    }
    for words in [
        "Reported by",
        "In context",
        "Open it again",
        "The other member",
    ] {
        assert!(!case.says(words), "{words}");
    }
    let form = format!("{path}/appeal");
    let fields = [("outcome", "reversed"), ("text", "You are right.")];
    let _ = max.fill(&case, &form, &fields).await.expect(303);
    door.views_at_the_end().await;
    let case = max.page(&path).await.expect(200);
    assert!(case.says("Taken back") && case.says("The appeal was granted"));
}

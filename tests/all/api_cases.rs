//! Moderators at work on cases, over HTTP: who holds one, what they write down, and that a claim ends by itself.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Scene};

/// A door with a case about bob, whom ann reported.
struct Desk {
    door: Door,
    case: String,
}

impl Desk {
    async fn open() -> Self {
        let Scene { door, cid } = Scene::open().await;
        let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
        let ann = door.member("ann");
        let position = door.post("/v1/reports", &ann, report).await.position();
        let queue = format!("/v1/moderation/queue?min_position={position}");
        let mut desk = Desk {
            door,
            case: String::new(),
        };
        let queue = desk.door.get(&queue, &desk.moderator("mia")).await.json();
        queue["items"][0]["case_id"]
            .as_str()
            .unwrap()
            .clone_into(&mut desk.case);
        desk
    }

    fn moderator(&self, sub: &str) -> String {
        self.door.token(sub, &[Role::Moderator])
    }

    async fn act(&self, sub: &str, act: &str, body: Value) -> Reply {
        let path = format!("/v1/moderation/cases/{}/{act}", self.case);
        self.door.post(&path, &self.moderator(sub), body).await
    }

    async fn plain(&self, sub: &str, act: &str) -> Reply {
        self.act(sub, act, Value::Null).await
    }

    /// The case as a moderator is shown it, with what this reply reached in it.
    async fn shown(&self, after: &Reply) -> Value {
        let position = after.position();
        let path = format!("/v1/moderation/cases/{}?min_position={position}", self.case);
        let shown = self.door.get(&path, &self.moderator("max")).await;
        shown.expect(200).json()
    }

    async fn queued(&self, after: &Reply, filter: &str) -> usize {
        let position = after.position();
        let path = format!("/v1/moderation/queue?{filter}&min_position={position}");
        let queue = self.door.get(&path, &self.moderator("max")).await;
        queue.expect(200).json()["items"].as_array().unwrap().len()
    }
}

fn refused(reply: &Reply, code: &str) {
    assert_eq!(reply.failure(), (409, code.to_owned()), "{reply:?}");
}

#[tokio::test]
async fn a_case_is_held_by_one_moderator_until_they_let_it_go() {
    let desk = Desk::open().await;
    let claimed = desk.plain("mia", "claim").await.expect(200);
    let until = claimed.json()["claimed_until"].clone();
    refused(&desk.plain("max", "claim").await, "already_claimed");
    refused(&desk.plain("max", "release").await, "not_claimed");
    refused(&desk.plain("max", "escalate").await, "not_claimed");
    let shown = desk.shown(&claimed).await;
    assert_eq!(
        (
            &shown["state"],
            &shown["claimed_by"],
            &shown["claimed_until"]
        ),
        (&json!("claimed"), &json!("mia"), &until)
    );
    assert_eq!(desk.queued(&claimed, "claimed_by=mia").await, 1);
    assert_eq!(desk.queued(&claimed, "state=open").await, 0);

    let released = desk.plain("mia", "release").await.expect(200);
    assert_eq!(desk.shown(&released).await["claimed_by"], Value::Null);
    assert_eq!(desk.queued(&released, "state=open").await, 1);
    let again = desk.plain("mia", "release").await.expect(200);
    assert_eq!(again.position(), released.position(), "it is so already");
    let _ = desk.plain("max", "claim").await.expect(200);
}

#[tokio::test]
async fn an_escalated_case_is_claimed_by_another() {
    let desk = Desk::open().await;
    let _ = desk.plain("mia", "claim").await.expect(200);
    let body = json!({"text": "a threat"});
    let escalated = desk.act("mia", "escalate", body).await.expect(200);
    let shown = desk.shown(&escalated).await;
    assert_eq!(
        (
            &shown["state"],
            &shown["escalated_by"],
            &shown["claimed_by"]
        ),
        (&json!("open"), &json!("mia"), &Value::Null)
    );
    assert_eq!(shown["notes"][0]["by"], "mia");
    assert_eq!(shown["notes"][0]["text"], "a threat");
    refused(&desk.plain("mia", "claim").await, "same_moderator");
    let claimed = desk.plain("max", "claim").await.expect(200);
    assert_eq!(desk.shown(&claimed).await["escalated_by"], "mia");
}

#[tokio::test]
async fn any_moderator_notes_and_the_holders_claim_lasts_longer() {
    let desk = Desk::open().await;
    let claimed = desk.plain("mia", "claim").await.expect(200);
    let before = desk.shown(&claimed).await["claimed_until"].clone();
    let text = "\u{202e}<b>seen</b> \u{1f600} before";
    let noted = desk.act("max", "notes", json!({"text": text})).await;
    assert_eq!(desk.shown(&noted).await["claimed_until"], before);
    let noted = desk.act("mia", "notes", json!({"text": "spam"})).await;
    let shown = desk.shown(&noted.expect(200)).await;
    assert!(shown["claimed_until"].as_str() >= before.as_str());
    let notes = shown["notes"].as_array().unwrap();
    let told: Vec<_> = notes
        .iter()
        .map(|note| (note["by"].as_str().unwrap(), note["text"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("max", text), ("mia", "spam")]);
    for text in [String::new(), " \n".to_owned(), "x".repeat(2_001)] {
        let reply = desk.act("mia", "notes", json!({"text": text})).await;
        assert_eq!(reply.failure(), (422, "invalid_note".to_owned()));
        let reply = desk
            .act("mia", "escalate", json!({"text": "x".repeat(2_001)}))
            .await;
        assert_eq!(reply.failure(), (422, "invalid_note".to_owned()));
    }
    for body in [
        json!({}),
        json!({"text": 1}),
        json!({"text": "x", "by": "max"}),
    ] {
        let reply = desk.act("mia", "notes", body).await;
        assert_eq!(reply.failure(), (400, "invalid_body".to_owned()));
    }
}

/// The claim was made 31 minutes ago by the time it is given, so that it is over before its event is there.
#[tokio::test]
async fn a_claim_lapses_half_an_hour_after_its_holders_last_act() {
    let desk = Desk::open_earlier(31 * 60 * 1000).await;
    let _ = desk.plain("max", "claim").await.expect(200);
    refused(&desk.plain("mia", "escalate").await, "not_claimed");
    refused(&desk.plain("mia", "claim").await, "already_claimed");
}

impl Desk {
    /// A case that mia claimed so long ago.
    async fn open_earlier(ms: i64) -> Self {
        let door = Door::open().await;
        let at = chrono::Utc::now() - chrono::Duration::milliseconds(ms);
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let call = async |method: Method, path: &str, sub: &str, role: Role, body: Value| {
            let token = door.token(sub, &[role, Role::Service]);
            let request = door.request(method, path).bearer_auth(token);
            let request = request.header("doorstep-at", &at);
            let request = if body.is_null() {
                request
            } else {
                request.json(&body)
            };
            tests::api::reply(request).await
        };
        let adult = json!({"age_band": "adult", "registered_at": "2024-01-01T00:00:00Z"});
        let (put, post) = (Method::PUT, Method::POST);
        for member in ["ann", "bob"] {
            let path = format!("/v1/members/{member}");
            let made = call(put.clone(), &path, "host", Role::Service, adult.clone()).await;
            let _ = made.expect(200);
        }
        let everyone = json!({"audience": "everyone"});
        let set = call(put, "/v1/me/dm-setting", "ann", Role::Member, everyone).await;
        let _ = set.expect(200);
        let message = json!({"to": "ann", "text": "buy"});
        let sent = call(post.clone(), "/v1/messages", "bob", Role::Member, message).await;
        let cid = sent.expect(201).json()["conversation_id"].clone();
        let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
        let made = call(post.clone(), "/v1/reports", "ann", Role::Member, report).await;
        let cid: domain::ConversationId = cid.as_str().unwrap().parse().unwrap();
        let _ = made.expect(201);
        let case = domain::CaseId::of(cid, &"bob".parse().unwrap()).to_string();
        let path = format!("/v1/moderation/cases/{case}/claim");
        let _ = call(post, &path, "mia", Role::Moderator, Value::Null)
            .await
            .expect(200);
        Desk { door, case }
    }
}

#[tokio::test]
async fn a_claim_under_a_repeated_key_is_answered_as_at_first() {
    let desk = Desk::open().await;
    let path = format!("/v1/moderation/cases/{}/claim", desk.case);
    let claim = async |sub: &str, key: &str| {
        let request = desk.door.request(Method::POST, &path);
        let request = request.bearer_auth(desk.moderator(sub));
        tests::api::reply(request.header("idempotency-key", key)).await
    };
    let first = claim("mia", "k1").await.expect(200);
    let lost = claim("max", "k1").await;
    refused(&lost, "already_claimed");
    let _ = desk.plain("mia", "release").await.expect(200);
    assert_eq!(claim("mia", "k1").await.bytes, first.bytes);
    refused(&claim("max", "k1").await, "already_claimed");
    let shown = desk.shown(&first).await;
    assert_eq!(shown["claimed_by"], Value::Null, "nothing was done twice");
}

#[tokio::test]
async fn nobody_but_moderators_acts_on_a_case_and_no_other_case_is_there() {
    let desk = Desk::open().await;
    let nowhere = uuid::Uuid::nil();
    for act in ["claim", "release", "notes", "escalate"] {
        let body = if act == "notes" {
            json!({"text": "x"})
        } else {
            Value::Null
        };
        for id in [nowhere.to_string(), "none".to_owned()] {
            let path = format!("/v1/moderation/cases/{id}/{act}");
            let reply = desk
                .door
                .post(&path, &desk.moderator("mia"), body.clone())
                .await;
            assert_eq!(reply.failure(), (404, "not_found".to_owned()), "{path}");
        }
        for role in [Role::Member, Role::Auditor, Role::Service, Role::Operator] {
            let path = format!("/v1/moderation/cases/{}/{act}", desk.case);
            let token = desk.door.token("ann", &[role]);
            let reply = desk.door.post(&path, &token, body.clone()).await;
            assert_eq!(
                reply.failure(),
                (403, "forbidden".to_owned()),
                "{role:?} {act}"
            );
        }
    }
}

/// Many moderators at once: one has it, all others are told so.
#[tokio::test]
async fn of_many_who_claim_at_once_one_holds_the_case() {
    let desk = Desk::open().await;
    let names: Vec<String> = (0..8).map(|n| format!("m{n}")).collect();
    let claims = names.iter().map(|name| desk.plain(name, "claim"));
    let replies = futures::future::join_all(claims).await;
    let held = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(held, 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        refused(reply, "already_claimed");
    }
}

//! Moderators at work on cases, over HTTP: who holds one, what they write down, and that a claim ends by itself.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Scene};

/// A door with a case about bob, whom ann reported.
pub(crate) struct Desk {
    pub(crate) door: Door,
    pub(crate) case: String,
}

impl Desk {
    pub(crate) async fn open() -> Self {
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

    pub(crate) fn moderator(&self, sub: &str) -> String {
        self.door.token(sub, &[Role::Moderator])
    }

    pub(crate) async fn act(&self, sub: &str, act: &str, body: Value) -> Reply {
        let path = format!("/v1/moderation/cases/{}/{act}", self.case);
        self.door.post(&path, &self.moderator(sub), body).await
    }

    pub(crate) async fn plain(&self, sub: &str, act: &str) -> Reply {
        self.act(sub, act, Value::Null).await
    }

    /// The case as a moderator is shown it, with what this reply reached in it.
    pub(crate) async fn shown(&self, after: &Reply) -> Value {
        let position = after.position();
        let path = format!("/v1/moderation/cases/{}?min_position={position}", self.case);
        let shown = self.door.get(&path, &self.moderator("max")).await;
        shown.expect(200).json()
    }

    pub(crate) async fn queued(&self, after: &Reply, filter: &str) -> usize {
        let position = after.position();
        let path = format!("/v1/moderation/queue?{filter}&min_position={position}");
        let queue = self.door.get(&path, &self.moderator("max")).await;
        queue.expect(200).json()["items"].as_array().unwrap().len()
    }
}

pub(crate) fn refused(reply: &Reply, code: &str) {
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
    let released = desk.plain("mia", "release").await.expect(200);
    assert_eq!(claim("mia", "k1").await.bytes, first.bytes);
    refused(&claim("max", "k1").await, "already_claimed");
    let shown = desk.shown(&released).await;
    assert_eq!(shown["claimed_by"], Value::Null, "nothing was done twice");
}

#[tokio::test]
async fn nobody_judges_reads_or_lifts_what_concerns_themself() {
    let desk = Desk::open().await;
    let refuses = |reply: Reply, code: &str| assert_eq!(reply.failure(), (409, code.to_owned()));
    let case = format!("/v1/moderation/cases/{}", desk.case);
    // Who reported knows of it.
    let ann = desk.moderator("ann");
    refuses(desk.door.get(&case, &ann).await, "own_case");
    let note = desk.act("ann", "notes", json!({"text": "x"})).await;
    refuses(note, "own_case");
    refuses(desk.plain("ann", "claim").await, "own_case");
    // Who is reported is answered as of a case that is none, whatever they send.
    let nowhere = Desk {
        case: uuid::Uuid::nil().to_string(),
        ..desk
    };
    let mut answers = Vec::new();
    let mut told = async |desk: &Desk| {
        let bob = desk.moderator("bob");
        let case = format!("/v1/moderation/cases/{}", desk.case);
        let mut told = vec![desk.door.get(&case, &bob).await.failure()];
        for act in ["claim", "release", "escalate"] {
            told.push(desk.plain("bob", act).await.failure());
        }
        for (act, body) in [
            ("notes", json!({"text": ""})),
            (
                "reopen",
                json!({"reason": "asked", "text": "x".repeat(2_001)}),
            ),
            (
                "decision",
                json!({"action": "warn", "reason": "spam", "text": "", "facts": ""}),
            ),
            ("appeal-decision", json!({"outcome": "upheld", "text": ""})),
        ] {
            told.push(desk.act("bob", act, body).await.failure());
        }
        answers.push(told);
    };
    told(&nowhere).await;
    let desk = Desk {
        case: case.rsplit('/').next().unwrap().to_owned(),
        ..nowhere
    };
    told(&desk).await;
    assert_eq!(answers[0], answers[1]);
    assert!(
        answers[0].iter().all(|(status, _)| *status == 404),
        "{answers:?}"
    );
    let bob = desk.moderator("bob");
    let lifted = |what: &str| format!("/v1/moderation/members/bob/{what}");
    let limit = json!({"reason": "spam", "until": "2999-01-01T00:00:00Z"});
    let suspension = json!({"reason": "spam", "text": "Enough.", "facts": "Ten letters."});
    for (what, body) in [("suspension", suspension), ("report-limit", limit)] {
        let (path, mia) = (lifted(what), desk.moderator("mia"));
        let _ = desk.door.put(&path, &mia, body).await.expect(200);
        refuses(desk.door.delete(&path, &bob).await, "own_case");
        let _ = desk.door.delete(&path, &mia).await.expect(200);
    }
    let _ = desk.plain("mia", "claim").await.expect(200);
    let decided = desk.act("mia", "decision", warning()).await.expect(200);
    let decision = decided.json()["decision_id"].as_str().unwrap().to_owned();
    let appeal = format!("/v1/decisions/{decision}/appeal");
    let member = desk.door.member("bob");
    let appealed = desk.door.post(&appeal, &member, json!({"text": "No."}));
    let _ = appealed.await.expect(200);
    // To reverse it would answer the appeal.
    let path = format!("/v1/moderation/decisions/{decision}/reverse");
    let why = json!({"reason": "mistake", "text": "We were wrong."});
    let by = async |sub: &str| {
        desk.door
            .post(&path, &desk.moderator(sub), why.clone())
            .await
    };
    refuses(by("mia").await, "same_moderator");
    let _ = by("max").await.expect(200);
}

#[tokio::test]
async fn nobody_but_moderators_acts_on_a_case_and_no_other_case_is_there() {
    let desk = Desk::open().await;
    let nowhere = uuid::Uuid::nil();
    for act in ["claim", "release", "notes", "escalate", "decision"] {
        let body = if act == "decision" {
            warning()
        } else if act == "notes" {
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

fn warning() -> Value {
    json!({"action": "warn", "reason": "spam", "text": "Do not.", "facts": "Message 1."})
}

#[tokio::test]
async fn a_decision_to_suspend_freezes_what_waits_and_stands_in_the_case() {
    let desk = Desk::open().await;
    let (door, ann) = (&desk.door, desk.door.member("ann"));
    let requests = door.list("/v1/requests", "ann").await;
    assert_eq!(requests["items"].as_array().unwrap().len(), 1);
    let suspend = json!({"action": "suspend", "until": "2999-01-01T00:00:00Z", "reason": "spam",
        "text": "You sent the same offer to many.", "facts": "Message 1."});
    refused(
        &desk.act("mia", "decision", suspend.clone()).await,
        "not_claimed",
    );
    let _ = desk.plain("mia", "claim").await.expect(200);
    refused(
        &desk.act("max", "decision", suspend.clone()).await,
        "not_claimed",
    );
    let decided = desk
        .act("mia", "decision", suspend.clone())
        .await
        .expect(200);
    let position = decided.position();
    let path = format!("/v1/requests?min_position={position}");
    let requests = door.get(&path, &ann).await.expect(200).json();
    assert_eq!(
        requests["items"],
        json!([]),
        "frozen by the answer's position"
    );

    let told = door.send("bob", "ann", "hello?").await;
    assert_eq!(told.failure(), (403, "account_restricted".to_owned()));
    let told = told.json();
    assert_eq!(
        (&told["until"], &told["reason"], &told["text"]),
        (
            &json!("2999-01-01T00:00:00.000Z"),
            &json!("spam"),
            &json!("You sent the same offer to many.")
        )
    );
    let shown = desk.shown(&decided).await;
    assert_eq!(
        (&shown["state"], &shown["claimed_by"]),
        (&json!("decided"), &Value::Null)
    );
    let [decision] = &shown["decisions"].as_array().unwrap()[..] else {
        panic!("one decision");
    };
    assert_eq!(decision["decision_id"], decided.json()["decision_id"]);
    assert_eq!(
        (&decision["by"], &decision["action"]),
        (&json!("mia"), &json!("suspend"))
    );
    assert!(decision["appealable_until"].is_string());
    assert_eq!(shown["history"][0]["suspended"], true);
    assert_eq!(shown["history"][0]["cases_upheld"], 1);
    assert_eq!(desk.queued(&decided, "state=decided").await, 1);
    refused(
        &desk.act("mia", "decision", suspend).await,
        "already_decided",
    );
    refused(&desk.plain("max", "claim").await, "already_decided");
}

#[tokio::test]
async fn a_decision_to_do_nothing_closes_the_case_until_something_is_newly_reported() {
    let desk = Desk::open().await;
    let _ = desk.plain("mia", "claim").await.expect(200);
    let nothing = json!({"action": "no_action", "reason": "harmless"});
    let decided = desk.act("mia", "decision", nothing).await.expect(200);
    assert_eq!(desk.queued(&decided, "state=closed").await, 1);
    assert_eq!(desk.queued(&decided, "member=bob").await, 0);
    let ann = desk.door.member("ann");
    let cid = desk.door.sent("bob", "ann", "more").await;
    let report = json!({"conversation_id": cid, "messages": [2], "category": "scam"});
    let reported = desk.door.post("/v1/reports", &ann, report).await;
    assert_eq!(desk.queued(&reported, "state=open").await, 1);
    let _ = desk.plain("max", "claim").await.expect(200);
    let decided = desk.act("max", "decision", warning()).await.expect(200);
    let shown = desk.shown(&decided).await;
    let actions: Vec<_> = shown["decisions"].as_array().unwrap().iter().collect();
    let actions: Vec<_> = actions.iter().map(|it| it["action"].clone()).collect();
    assert_eq!(actions, ["no_action", "warn"]);
}

#[tokio::test]
async fn a_decision_that_cannot_be_is_refused_by_its_field_and_changes_nothing() {
    let desk = Desk::open().await;
    let _ = desk.plain("mia", "claim").await.expect(200);
    let with = |field: &str, value: Value| {
        let mut body = warning();
        body[field] = value;
        body
    };
    let long = "x".repeat(2_001);
    for (body, field) in [
        (with("text", json!("")), "text"),
        (with("facts", json!(" ")), "facts"),
        (with("text", json!(long)), "text"),
        (with("until", json!("2999-01-01T00:00:00Z")), "until"),
        (with("action", json!("limit")), "until"),
        (
            json!({"action": "suspend", "until": "2001-01-01T00:00:00Z", "reason": "x",
            "text": "x", "facts": "x"}),
            "until",
        ),
    ] {
        let reply = desk
            .door
            .unchanged(Box::pin(desk.act("mia", "decision", body)))
            .await;
        assert_eq!(
            reply.failure(),
            (422, "invalid_decision".to_owned()),
            "{reply:?}"
        );
        assert_eq!(reply.json()["errors"][0]["field"], field);
    }
    for body in [
        with("action", json!("vanish")),
        with("reason", json!("No!")),
        with("until", json!("soon")),
        with("by", json!("max")),
        json!({"action": "warn"}),
    ] {
        let reply = desk
            .door
            .unchanged(Box::pin(desk.act("mia", "decision", body)))
            .await;
        assert_eq!(
            reply.failure(),
            (400, "invalid_body".to_owned()),
            "{reply:?}"
        );
    }
}

/// Two answers to one decision, repeated with its key: the same bytes, and it is carried out once.
#[tokio::test]
async fn a_decision_under_a_repeated_key_is_answered_as_at_first() {
    let desk = Desk::open().await;
    let _ = desk.plain("mia", "claim").await.expect(200);
    let path = format!("/v1/moderation/cases/{}/decision", desk.case);
    let body = json!({"action": "suspend", "reason": "spam", "text": "x", "facts": "x"});
    let decide = async || {
        let request = desk.door.request(Method::POST, &path);
        let request = request.bearer_auth(desk.moderator("mia"));
        tests::api::reply(request.header("idempotency-key", "d1").json(&body)).await
    };
    let first = decide().await.expect(200);
    let before = desk.door.position().await;
    let _ = desk.door.sent("ann", "bob", "why?").await;
    assert_eq!(decide().await.bytes, first.bytes);
    assert!(
        desk.door.position().await > before,
        "only ann's message was written"
    );
    let host = desk.door.service();
    let restricted = "/v1/events?type=member-restricted";
    let events = desk.door.get(restricted, &host).await.json();
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}

/// What was said is gone from every view of both, in its place; the evidence stays.
#[tokio::test]
async fn removed_messages_leave_the_views_of_members_and_not_the_evidence() {
    let desk = Desk::open().await;
    let (door, ann, bob) = (&desk.door, desk.door.member("ann"), desk.door.member("bob"));
    let _ = desk.plain("mia", "claim").await.expect(200);
    let remove = |numbers: &[u64]| {
        json!({"action": "remove_messages", "messages": numbers, "reason": "spam", "text": "Gone.",
            "facts": "Message 1."})
    };
    let unreported = desk.act("mia", "decision", remove(&[2])).await;
    assert_eq!(unreported.failure(), (422, "invalid_decision".to_owned()));
    assert_eq!(unreported.json()["errors"][0]["field"], "messages");
    let decided = desk.act("mia", "decision", remove(&[1])).await.expect(200);
    let at = |path: &str| format!("{path}?min_position={}", decided.position());

    let requests = door.get(&at("/v1/requests"), &ann).await.expect(200).json();
    let item = &requests["items"][0];
    assert_eq!(
        (&item["messages"], &item["last_message"]["text"]),
        (&json!(1), &Value::Null)
    );
    let inbox = door.get(&at("/v1/inbox"), &bob).await.expect(200).json();
    assert_eq!(inbox["items"][0]["last_message"]["text"], Value::Null);
    let cid = item["conversation_id"].as_str().unwrap();
    let messages = format!("/v1/conversations/{cid}/messages");
    for member in [&ann, &bob] {
        let shown = door.get(&at(&messages), member).await.expect(200).json();
        let message = &shown["items"][0];
        assert_eq!(
            (&message["number"], &message["text"]),
            (&json!(1), &Value::Null)
        );
        assert!(message["removed_at"].is_string() && message["unsent_at"].is_null());
    }
    let shown = desk.shown(&decided).await;
    assert_eq!(shown["reports"][0]["evidence"][0]["text"], "hello");
    assert_eq!(shown["messages"][0]["text"], "hello");
    assert_eq!(shown["decisions"][0]["messages"], json!([1]));

    // Accepted, and written on: the place is kept, the text is not.
    let accept = format!("/v1/requests/{cid}/accept");
    let _ = door.post(&accept, &ann, Value::Null).await.expect(200);
    let inbox = door.list("/v1/inbox", "ann").await;
    assert_eq!(inbox["items"][0]["last_message"]["text"], Value::Null);
    let _ = door.sent("bob", "ann", "sorry").await;
    let inbox = door.list("/v1/inbox", "ann").await;
    assert_eq!(inbox["items"][0]["last_message"]["text"], "sorry");
    let shown = door.list(&messages, "ann").await;
    let items = shown["items"].as_array().unwrap();
    let texts: Vec<_> = items.iter().map(|item| &item["text"]).collect();
    assert_eq!(texts, [&json!("sorry"), &Value::Null]);
}

//! What waits for a reactor, over HTTP: an act on a case for the case's own reports, an answer for what the command itself
//! does. A reactor that sticks at one cause keeps nobody from anything else, and who is kept is told.

use std::time::Duration;

use api::{Options, Role};
use domain::ids::{ActId, DecisionId, reactor_event_id};
use domain::{CaseId, ConversationId, MemberId, codec};
use event_store::{Append, ExpectedVersion, RecordedEvent, StreamName};
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Setting, says_what_was_wrong};
use tests::commands::{copy_of, id, log, member};
use tests::stuck::{How, Stuck};

/// So long that no load ends a wait.
const PATIENT: Duration = Duration::from_mins(2);

/// A door whose reactor can be made to stick, with members who may write to one another.
struct Desk {
    door: Door,
    stuck: Stuck,
}

/// The case that `reporter` makes about `member`.
fn case(reported: &str, reporter: &str) -> CaseId {
    let reported: MemberId = member(reported);
    CaseId::of(ConversationId::of(&reported, &member(reporter)), &reported)
}

fn suspension() -> Value {
    json!({"action": "suspend", "reason": "spam", "text": "You sent the same offer to many.", "facts": "Message 1."})
}

fn warning() -> Value {
    json!({"action": "warn", "reason": "spam", "text": "You sent the same offer to many.", "facts": "Message 1."})
}

fn reversal() -> Value {
    json!({"reason": "mistake", "text": "We were wrong."})
}

impl Desk {
    /// Waits for what follows as long as `view_wait`: where the answer is to come, so long that no load ends it.
    async fn open(view_wait: Duration) -> Self {
        let stuck = Stuck::default();
        let door = Door::open_with(Self::setting(view_wait, &stuck)).await;
        for member in ["ann", "ben", "bob", "eve"] {
            door.register(member).await;
        }
        Desk { door, stuck }
    }

    fn setting(view_wait: Duration, stuck: &Stuck) -> Setting {
        let api = Options {
            view_wait,
            ..Options::default()
        };
        Setting {
            api,
            stuck: Some(stuck.clone()),
            ..Setting::default()
        }
    }

    async fn patient() -> Self {
        Self::open(PATIENT).await
    }

    /// Stops in order and serves the same log again, sticking where it stuck.
    async fn reopen(self) -> Self {
        let Desk { door, stuck } = self;
        let door = door.reopen(Self::setting(PATIENT, &stuck)).await;
        Desk { door, stuck }
    }

    /// `from` writes to `reporter`, who reports that message.
    async fn reported(&self, from: &str, reporter: &str) {
        let sent = self.door.send(from, reporter, "buy").await.expect(201);
        let sent = sent.json();
        let body = json!({"conversation_id": sent["conversation_id"], "messages": [sent["number"]], "category": "spam"});
        let token = self.door.member(reporter);
        let _ = self
            .door
            .post("/v1/reports", &token, body)
            .await
            .expect(201);
    }

    /// From now on the reactor sticks at events of this type on this stream.
    fn stick(&self, event_type: &'static str, stream: &str, how: How) {
        let now = self.door.store.durable_position();
        self.stuck.keep(event_type, stream, now, how);
    }

    /// From now on it sticks at reports between these two.
    fn stick_at_reports(&self, one: &str, other: &str, how: How) {
        let between = ConversationId::of(&member(one), &member(other));
        let stream = domain::conversation::stream(between);
        self.stick("messages-reported", &stream, how);
    }

    /// The reactor sticks no more, and has done what waited.
    async fn let_go(&self) {
        self.stuck.let_go();
        self.door.commands.drain_reactors().await.unwrap();
    }

    /// What a moderator who sees positions as numbers sends under a key.
    async fn keyed(&self, by: &str, key: &str, path: &str, body: Value) -> Reply {
        let token = self.door.token(by, &[Role::Moderator, Role::Service]);
        let request = self
            .door
            .request(Method::POST, &format!("/v1/moderation/{path}"));
        let request = request.bearer_auth(token).header("idempotency-key", key);
        tests::api::reply(if body.is_null() {
            request
        } else {
            request.json(&body)
        })
        .await
    }

    /// The same under a key of its own.
    async fn act(&self, by: &str, path: &str, body: Value) -> Reply {
        let key = uuid::Uuid::new_v4().to_string();
        self.keyed(by, &key, path, body).await
    }

    async fn on(&self, by: &str, case: CaseId, act: &str, body: Value) -> Reply {
        self.act(by, &format!("cases/{case}/{act}"), body).await
    }

    /// How many requests a member reads with what a reply reached.
    async fn requests(&self, of: &str, after: &Reply) -> usize {
        let path = format!("/v1/requests?min_position={}", after.position());
        let token = self.door.token(of, &[Role::Member, Role::Service]);
        let list = self.door.get(&path, &token).await.expect(200);
        list.json()["items"].as_array().unwrap().len()
    }

    /// The events of a type, without its version.
    async fn events(&self, name: &str) -> Vec<RecordedEvent> {
        let mut found = log(&*self.door.store).await;
        found.retain(|event| codec::name(event.event_type()) == name);
        found
    }

    /// Waits until so many events of a type are durable.
    async fn come(&self, name: &str, count: usize) {
        let mut changes = self.door.store.durable_changes();
        while self.events(name).await.len() < count {
            changes.changed().await.unwrap();
        }
    }
}

fn position(reply: &Reply) -> u64 {
    reply.position().parse().unwrap()
}

fn is_carried_out(reply: &Reply) -> bool {
    reply.json()["carried_out"].as_bool().unwrap()
}

#[tokio::test]
async fn a_stuck_reactor_keeps_nobody_from_working_on_another_case() {
    let desk = Desk::patient().await;
    desk.reported("bob", "ann").await;
    desk.door.commands.drain_reactors().await.unwrap();
    desk.stick_at_reports("eve", "ben", How::Waits);
    desk.reported("eve", "ben").await;
    let kept = desk.on("mia", case("eve", "ben"), "claim", Value::Null);
    let others = async {
        let bob = case("bob", "ann");
        for (act, body) in [
            ("claim", Value::Null),
            ("notes", json!({"text": "Seen before."})),
            ("release", Value::Null),
            ("claim", Value::Null),
        ] {
            let _ = desk.on("mia", bob, act, body).await.expect(200);
        }
        let warned = desk.on("mia", bob, "decision", warning()).await.expect(200);
        assert!(is_carried_out(&warned), "a warning does nothing elsewhere");
        let decision = warned.json()["decision_id"].clone();
        let decision = decision.as_str().unwrap();
        let path = format!("/v1/decisions/{decision}/appeal");
        let (token, text) = (desk.door.member("bob"), json!({"text": "It was a joke."}));
        let _ = desk.door.post(&path, &token, text).await.expect(200);
        let answer = json!({"outcome": "upheld", "text": "It stays."});
        let _ = desk
            .on("max", bob, "appeal-decision", answer)
            .await
            .expect(200);
        let reverse = format!("decisions/{decision}/reverse");
        let reversed = desk.act("max", &reverse, reversal()).await.expect(200);
        assert!(is_carried_out(&reversed));
        let reopened = json!({"reason": "asked"});
        let _ = desk.on("max", bob, "reopen", reopened).await.expect(200);
        assert_eq!(desk.events("report-joined").await.len(), 1, "it sticks");
        desk.stuck.let_go();
    };
    let (kept, ()) = tokio::join!(kept, others);
    let _ = kept.expect(200);
    assert_eq!(desk.events("report-joined").await.len(), 2);
}

#[tokio::test]
async fn who_waits_too_long_for_a_case_is_told_and_a_decision_stays_made() {
    let desk = Desk::open(Duration::from_millis(100)).await;
    for reporter in ["ann", "ben"] {
        desk.reported("bob", reporter).await;
    }
    desk.door.commands.drain_reactors().await.unwrap();
    desk.stick_at_reports("eve", "ben", How::Waits);
    desk.reported("eve", "ben").await;
    let claim = format!("cases/{}/claim", case("eve", "ben"));
    let busy = desk.act("mia", &claim, Value::Null).await;
    assert_eq!(busy.failure(), (503, "busy".to_owned()));
    assert_eq!(busy.headers["retry-after"], "1");
    // So short a wait may end before the view has come: then nothing was done, and it is repeated.
    let done = async |key: &str, path: &str, body: Value| loop {
        let reply = desk.keyed("mia", key, path, body.clone()).await;
        if reply.status != 503 {
            return reply.expect(200);
        }
    };
    let bob = case("bob", "ann");
    let _ = done("k1", &format!("cases/{bob}/claim"), Value::Null).await;
    let decide = format!("cases/{bob}/decision");
    let decided = done("k2", &decide, suspension()).await;
    let made = desk.events("case-decided").await;
    assert_eq!(
        (position(&decided), is_carried_out(&decided)),
        (made[0].position().0, false)
    );
    let seen = json!([{"case_id": case("bob", "ben"), "revision": 1}]);
    let mut body = suspension();
    body["cases"] = seen;
    let begun = done("k3", "members/bob/decisions", body).await;
    assert!(!is_carried_out(&begun));
    desk.let_go().await;
    desk.door.views_at_the_end().await;
    // Under the same key the answer has come as far as what it does.
    let again = done("k2", &decide, suspension()).await;
    let restricted = desk.events("member-restricted").await;
    assert_eq!(
        (position(&again), is_carried_out(&again)),
        (restricted[0].position().0, true)
    );
    assert_eq!(desk.requests("ann", &again).await, 0);
}

#[tokio::test]
async fn a_report_that_cannot_be_brought_in_keeps_its_case_alone_and_who_comes_is_told() {
    let desk = Desk::patient().await;
    desk.reported("eve", "ben").await;
    let eve = case("eve", "ben");
    let claim = format!("cases/{eve}/claim");
    let first = desk.keyed("mia", "k1", &claim, Value::Null).await;
    let first = first.expect(200);
    desk.stick_at_reports("eve", "ben", How::Fails);
    desk.reported("eve", "ben").await;
    let before = desk.events("command-refused").await.len();
    for (by, act, body) in [
        ("mia", "claim", Value::Null),
        ("max", "claim", Value::Null),
        ("mia", "notes", json!({"text": "Seen before."})),
        ("mia", "decision", suspension()),
        ("mia", "escalate", Value::Null),
        ("max", "reopen", json!({"reason": "asked"})),
    ] {
        let told = desk.on(by, eve, act, body).await;
        assert_eq!(told.failure(), (503, "not_ready".to_owned()), "{act}");
        assert_eq!(told.headers["retry-after"], "1");
        says_what_was_wrong(act, &told.json());
    }
    assert_eq!(desk.events("command-refused").await.len(), before);
    // Who lets it go need not know of what is missing.
    let released = desk.on("mia", eve, "release", Value::Null).await;
    let _ = released.expect(200);
    let again = desk.keyed("mia", "k1", &claim, Value::Null).await;
    assert_eq!(again.expect(200).bytes, first.bytes, "it was done before");
    let ready = desk.door.get("/readyz", "").await;
    assert_eq!(ready.status, 503);
    // What comes later in the log goes on, up to what it does.
    desk.reported("bob", "ann").await;
    let bob = case("bob", "ann");
    let _ = desk.on("mia", bob, "claim", Value::Null).await.expect(200);
    let suspended = desk.on("mia", bob, "decision", suspension()).await;
    let suspended = suspended.expect(200);
    assert!(is_carried_out(&suspended));
    assert_eq!(desk.requests("ann", &suspended).await, 0);
    desk.let_go().await;
    assert_eq!(desk.events("report-joined").await.len(), 3);
    let _ = desk.on("mia", eve, "claim", Value::Null).await.expect(200);
}

#[tokio::test]
async fn a_case_that_is_nowhere_yet_is_told_to_who_opens_it() {
    let desk = Desk::patient().await;
    desk.stick_at_reports("eve", "ben", How::Fails);
    desk.reported("eve", "ben").await;
    desk.door.views_at_the_end().await;
    let path = format!("/v1/moderation/cases/{}", case("eve", "ben"));
    let mia = desk.door.token("mia", &[Role::Moderator]);
    let told = desk.door.get(&path, &mia).await;
    assert_eq!(told.failure(), (503, "not_ready".to_owned()));
    let none = format!("/v1/moderation/cases/{}", case("ben", "eve"));
    let none = desk.door.get(&none, &mia).await;
    assert_eq!(none.failure(), (404, "not_found".to_owned()));
    desk.let_go().await;
    let _ = desk.door.get(&path, &mia).await.expect(200);
}

#[tokio::test]
async fn a_decision_whose_effect_cannot_be_done_for_now_is_made_and_says_so() {
    let desk = Desk::patient().await;
    for reporter in ["ann", "ben"] {
        desk.reported("bob", reporter).await;
    }
    let (first, other) = (case("bob", "ann"), case("bob", "ben"));
    let _ = desk
        .on("mia", first, "claim", Value::Null)
        .await
        .expect(200);
    desk.stick("case-decided", &domain::case::stream(first), How::Fails);
    let decide = format!("cases/{first}/decision");
    let decided = desk.keyed("mia", "k1", &decide, suspension()).await;
    let decided = decided.expect(200);
    let made = desk.events("case-decided").await;
    assert_eq!(
        (position(&decided), is_carried_out(&decided)),
        (made[0].position().0, false)
    );
    assert_eq!(desk.requests("ann", &decided).await, 1, "not yet");
    // The reversal waits behind it, and another case goes on.
    let id = decided.json()["decision_id"].clone();
    let reverse = format!("decisions/{}/reverse", id.as_str().unwrap());
    let reversed = desk.keyed("max", "k2", &reverse, reversal()).await;
    assert!(!is_carried_out(&reversed.expect(200)));
    let _ = desk
        .on("mia", other, "claim", Value::Null)
        .await
        .expect(200);
    let suspended = desk.on("mia", other, "decision", suspension()).await;
    assert!(is_carried_out(&suspended.expect(200)));
    desk.let_go().await;
    let decided = desk.keyed("mia", "k1", &decide, suspension()).await;
    let reversed = desk.keyed("max", "k2", &reverse, reversal()).await;
    let restricted = desk.events("member-restricted").await;
    let lifted = desk.events("restriction-lifted").await;
    for (reply, effect) in [(decided, &restricted[1]), (reversed, &lifted[0])] {
        let reply = reply.expect(200);
        assert_eq!(
            (position(&reply), is_carried_out(&reply)),
            (effect.position().0, true)
        );
    }
}

/// Bob is suspended by one act on the cases that ann and ben made. The act, and the reply.
async fn act_on_bob(desk: &Desk, key: &str) -> (ActId, Reply) {
    let cases = ["ann", "ben"].map(|by| json!({"case_id": case("bob", by), "revision": 1}));
    let mut body = suspension();
    body["cases"] = json!(cases);
    let reply = desk.keyed("mia", key, "members/bob/decisions", body).await;
    (ActId::of(&member("mia"), &id(key)), reply.expect(200))
}

#[tokio::test]
async fn an_act_is_answered_with_the_position_of_what_it_does_and_so_is_its_reversal() {
    let desk = Desk::patient().await;
    for reporter in ["ann", "ben"] {
        desk.reported("bob", reporter).await;
    }
    let (act, begun) = act_on_bob(&desk, "k1").await;
    assert_eq!(begun.json()["act_id"], act.to_string());
    assert!(is_carried_out(&begun));
    for reader in ["ann", "ben"] {
        assert_eq!(desk.requests(reader, &begun).await, 0);
    }
    let path = format!(
        "/v1/moderation/acts/{act}?min_position={}",
        begun.position()
    );
    let mia = desk.door.token("mia", &[Role::Moderator, Role::Service]);
    let shown = desk.door.get(&path, &mia).await.expect(200).json();
    assert_eq!(
        (&shown["finished"], &shown["decided"]),
        (&json!(true), &json!(2))
    );
    let reverse = format!("acts/{act}/reverse");
    let reversed = desk.act("max", &reverse, reversal()).await.expect(200);
    assert!(is_carried_out(&reversed));
    for reader in ["ann", "ben"] {
        assert_eq!(desk.requests(reader, &reversed).await, 1, "it is back");
    }
}

#[tokio::test]
async fn an_act_that_cannot_be_carried_out_for_now_is_made_and_says_so() {
    let desk = Desk::patient().await;
    for reporter in ["ann", "ben"] {
        desk.reported("bob", reporter).await;
    }
    let act = ActId::of(&member("mia"), &id("k1"));
    let stream = domain::act::stream_of_act(act);
    desk.stick("cases-decided", &stream, How::Fails);
    let (_, begun) = act_on_bob(&desk, "k1").await;
    assert!(!is_carried_out(&begun));
    assert_eq!(desk.requests("ann", &begun).await, 1, "not yet");
    desk.let_go().await;
    let (_, again) = act_on_bob(&desk, "k1").await;
    assert!(is_carried_out(&again));
    assert_eq!(desk.requests("ann", &again).await, 0);
}

/// As a process leaves it that was killed, or kept, between the cases of an act and what the act does to its member.
async fn decided_by_half(desk: &Desk, act: ActId) {
    let asked = desk.events("cases-decided").await.remove(0);
    for reporter in ["ann", "ben"] {
        let case = case("bob", reporter);
        let stream = domain::case::stream(case);
        let decided = domain::case::Event::CaseDecided(domain::case::CaseDecided {
            decision: DecisionId::by_act(act, case),
            by: member("mia"),
            reported: member("bob"),
            reporter: member(reporter),
            action: domain::case::Action::Suspend,
            until: None,
            messages: Vec::new(),
            reason: "spam".parse().unwrap(),
            text: "You sent the same offer to many.".into(),
            facts: "Message 1.".into(),
            appealable_until: Some(domain::Timestamp(i64::MAX)),
            act: Some(act),
        });
        let decided = domain::Event::Case(decided);
        let mut event = copy_of(&asked);
        event.event_id = reactor_event_id("cases", asked.event_id(), &stream, 0);
        event.event_type = codec::event_type(&decided).into();
        event.causation_id = asked.event_id();
        event.actor = "reactor/cases".into();
        event.data = codec::encode(&decided).into();
        let stream = StreamName::new(stream).unwrap();
        let head = desk.door.store.head(&stream).await.unwrap();
        let append = Append {
            stream,
            expected: ExpectedVersion::of(head.map(|head| head.version)),
            events: vec![event],
            reads: Vec::new(),
        };
        let ticket = desk.door.store.append(append).await.unwrap();
        ticket.durable().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_reversed_of_an_act_that_is_done_by_half_is_taken_back_once_the_act_is_done() {
    let desk = Desk::patient().await;
    for reporter in ["ann", "ben"] {
        desk.reported("bob", reporter).await;
    }
    let act = ActId::of(&member("mia"), &id("k1"));
    let stream = domain::act::stream_of_act(act);
    desk.stick("cases-decided", &stream, How::Fails);
    let (_, begun) = act_on_bob(&desk, "k1").await;
    assert!(!is_carried_out(&begun));
    decided_by_half(&desk, act).await;
    let desk = desk.reopen().await;
    let reverse = async |reporter: &str| {
        let decision = DecisionId::by_act(act, case("bob", reporter));
        let path = format!("decisions/{decision}/reverse");
        let reversed = desk.keyed("max", reporter, &path, reversal()).await;
        reversed.expect(200)
    };
    for reporter in ["ann", "ben"] {
        let reversed = reverse(reporter).await;
        assert!(
            !is_carried_out(&reversed),
            "what it takes back is yet to be done"
        );
    }
    desk.let_go().await;
    assert_eq!(desk.events("member-restricted").await.len(), 1);
    assert_eq!(desk.events("restriction-lifted").await.len(), 1);
    for reporter in ["ann", "ben"] {
        let reversed = reverse(reporter).await;
        assert!(is_carried_out(&reversed));
        assert_eq!(desk.requests(reporter, &reversed).await, 1, "bob is free");
    }
}

/// The reactor comes to the first reversal when the second is there already.
#[tokio::test]
async fn of_two_decisions_of_an_act_that_are_reversed_at_once_the_last_ones_position_has_the_lift()
{
    let desk = Desk::patient().await;
    for reporter in ["ann", "ben"] {
        desk.reported("bob", reporter).await;
    }
    let (act, _) = act_on_bob(&desk, "k1").await;
    let cases = ["ann", "ben"].map(|by| case("bob", by));
    let stream = domain::case::stream(cases[0]);
    desk.stick("decision-reversed", &stream, How::Waits);
    let reverse = async |case| {
        let decision = DecisionId::by_act(act, case);
        let path = format!("decisions/{decision}/reverse");
        desk.act("max", &path, reversal()).await.expect(200)
    };
    let second = async {
        desk.come("decision-reversed", 1).await;
        let second = reverse(cases[1]);
        let release = async {
            desk.come("decision-reversed", 2).await;
            desk.stuck.let_go();
        };
        tokio::join!(second, release).0
    };
    let (first, second) = tokio::join!(reverse(cases[0]), second);
    assert!(is_carried_out(&first) && is_carried_out(&second));
    let lifted = desk.events("restriction-lifted").await;
    assert_eq!(lifted.len(), 1, "once");
    let reversals = desk.events("decision-reversed").await;
    let last = reversals[1].event_id();
    assert_eq!(lifted[0].causation_id(), last, "it goes with the last");
    assert_eq!(position(&second), lifted[0].position().0);
    for reader in ["ann", "ben"] {
        assert_eq!(desk.requests(reader, &second).await, 1);
    }
}

//! What a sender can count: nothing. Whether a message was delivered, waits as a request, opened one again or was withheld,
//! everything that its sender, or anybody without a token, can ask for before and after reads alike, and so does the
//! sender's feed, from before the first message on.
//!
//! Each way a message can go is a service of its own, with the same members. What is compared are whole answers, line by
//! line, as they stand on the wire; times are left out, and each position is named by the order in which it was first
//! seen, so that two that are equal in one service have to be equal in the other. `/metrics` is not asked: it is for the
//! operator's own monitoring, as its page says.

use api::limits::RateLimits;
use api::{Options, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Setting, reply};
use tests::sse::Stream;

/// What ann does, or has done, about bob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ann {
    Follows,
    SaysNothing,
    Accepts,
    Blocks,
    DeletesLately,
    DeletesForGood,
    DeletedLongAgo,
}

/// A service with ann and bob, and what bob and a stranger have read there.
struct Told {
    door: Door,
    seen: Vec<String>,
    lines: Vec<String>,
    /// Bob's feed, followed all the time.
    feed: Stream,
    muted: bool,
}

impl Told {
    async fn open() -> Self {
        let door = Door::open_with(Setting {
            api: Options {
                rate_limits: RateLimits {
                    member_per_second: 0,
                    ..RateLimits::default()
                },
                ..Options::default()
            },
            ..Setting::default()
        })
        .await;
        for member in ["ann", "bob", "zed"] {
            let path = format!("/v1/members/{member}");
            let body = json!({"age_band": "adult", "registered_at": "2024-01-01T00:00:00Z"});
            past(&door, 30, "host", Method::PUT, &path, body).await;
            let body = json!({"audience": "everyone"});
            past(&door, 29, member, Method::PUT, "/v1/me/dm-setting", body).await;
        }
        let body = json!({"to": "zed", "text": "hi"});
        past(&door, 28, "bob", Method::POST, "/v1/messages", body).await;
        let feed = door.request(Method::GET, "/v1/me/feed");
        Told {
            feed: Stream::of(feed.bearer_auth(door.member("bob"))).await,
            door,
            seen: Vec::new(),
            lines: Vec::new(),
            muted: false,
        }
    }

    /// What somebody did so many days ago.
    async fn past(&self, days: i64, who: &str, method: Method, path: &str, body: Value) {
        past(&self.door, days, who, method, path, body).await;
    }

    /// Keeps what the feed told until now: up to the next thing that bob does elsewhere.
    async fn feeds(&mut self) {
        let zed = of("bob", "zed");
        let mute = format!("/v1/conversations/{zed}/mute");
        let method = if self.muted {
            Method::DELETE
        } else {
            Method::PUT
        };
        self.muted = !self.muted;
        let bob = self.door.member("bob");
        let muted = self.door.call(method, &mute, &bob, Value::Null).await;
        let marked = muted.expect(200).position();
        loop {
            let said = self.feed.next().await.expect("the feed goes on");
            let position = said.json()["position"] == json!(marked);
            let data = self.named("", &said.json());
            let id = said.id.map(|id| self.named("position", &json!(id)));
            self.lines.push(format!("{} {id:?}: {data}", said.event));
            if position && id.is_some() {
                return;
            }
        }
    }

    /// Sends a request as bob, or without a token, and keeps the answer.
    async fn asks(&mut self, token: &str, method: Method, path: &str, body: Value) -> Reply {
        let mut request = self
            .door
            .request(method.clone(), path)
            .header("x-request-id", "same");
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = reply(request).await;
        let path = path.split("min_position=").next().unwrap_or(path);
        self.lines
            .push(format!("{method} {path}: {}", answer.status));
        for (name, value) in &answer.headers {
            if name != "date" {
                let value = value.to_str().unwrap().to_owned();
                let value = self.named(name.as_str(), &Value::String(value));
                self.lines.push(format!("{name}: {value}"));
            }
        }
        let body = match serde_json::from_slice(&answer.bytes) {
            Ok(body) => self.named("", &body),
            Err(_) => json!(String::from_utf8_lossy(&answer.bytes)),
        };
        self.lines.push(body.to_string());
        answer
    }

    /// A value with its positions named by when they were first seen, and its times left out.
    fn named(&mut self, field: &str, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let named = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), self.named(name, value)));
                Value::Object(named.collect())
            }
            Value::Array(items) => items.iter().map(|item| self.named(field, item)).collect(),
            Value::String(text) if field.ends_with("position") => {
                assert_eq!(text.len(), 22, "{text}");
                let at = self.seen.iter().position(|seen| seen == text);
                let at = at.unwrap_or_else(|| {
                    self.seen.push(text.clone());
                    self.seen.len() - 1
                });
                json!(format!("position {at}"))
            }
            // A cursor is of its service's keys.
            Value::String(text)
                if field.ends_with("_at") || field == "since" || field == "next_cursor" =>
            {
                json!(text.len())
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// Reads everything that there is to read, once everything that follows has happened.
    async fn reads(&mut self, conversation: &str, reached: Option<&str>) {
        self.door.commands.drain_reactors().await.unwrap();
        self.feeds().await;
        self.door.views_at_the_end().await;
        let bob = self.door.member("bob");
        let messages = format!("/v1/conversations/{conversation}/messages");
        let paths = [
            "/v1/inbox",
            "/v1/inbox?limit=1",
            "/v1/requests",
            "/v1/unread",
            "/v1/me/blocks",
            "/v1/me/reports",
            "/v1/me/dm-setting",
            messages.as_str(),
        ];
        for path in paths {
            self.asks(&bob, Method::GET, path, Value::Null).await;
            self.asks("", Method::GET, path, Value::Null).await;
            let joint = if path.contains('?') { '&' } else { '?' };
            if let Some(position) = reached {
                let path = format!("{path}{joint}min_position={position}");
                self.asks(&bob, Method::GET, &path, Value::Null).await;
            }
            let end = self.door.position().await.0;
            for number in [end - 1, end, end + 1] {
                let path = format!("{path}{joint}min_position={number}");
                let refused = self.asks(&bob, Method::GET, &path, Value::Null).await;
                assert_eq!(refused.failure(), (400, "invalid_query".to_owned()));
            }
        }
        for path in [
            "/readyz",
            "/healthz",
            "/v1/views",
            "/v1/events",
            "/v1/nothing",
        ] {
            for token in ["", bob.as_str()] {
                self.asks(token, Method::GET, path, Value::Null).await;
            }
        }
    }

    /// Sends a message as bob, reading everything before and after; so too with what he may do then.
    async fn sends(mut self, conversation: &str) -> Vec<String> {
        let bob = self.door.member("bob");
        self.reads(conversation, None).await;
        let body = json!({"to": "ann", "text": "do you read this?"});
        let sent = self.asks(&bob, Method::POST, "/v1/messages", body).await;
        let sent = sent.expect(201);
        self.reads(conversation, Some(&sent.position())).await;
        let number = &sent.json()["number"];
        let mark = format!("/v1/conversations/{conversation}/read");
        let mute = format!("/v1/conversations/{conversation}/mute");
        let message = format!("/v1/conversations/{conversation}/messages/{number}");
        let up_to = json!({"up_to": number});
        for (method, path, body) in [
            (Method::PUT, mark.as_str(), up_to),
            (Method::PUT, mute.as_str(), Value::Null),
            (Method::DELETE, mute.as_str(), Value::Null),
            (Method::DELETE, message.as_str(), Value::Null),
            (Method::DELETE, message.as_str(), Value::Null),
        ] {
            let done = self.asks(&bob, method, path, body).await;
            self.reads(conversation, Some(&done.expect(200).position()))
                .await;
        }
        // What else he can try on the conversation, each twice, since what is so already is answered with where it began.
        let request = |act: &str| format!("/v1/requests/{conversation}{act}");
        let (accept, restore, delete) = (request("/accept"), request("/restore"), request(""));
        let back = format!("/v1/conversations/{conversation}/move-to-requests");
        let report = json!({"conversation_id": conversation, "messages": [1], "category": "spam"});
        let block = "/v1/me/blocks/ann";
        for (method, path, body) in [
            (Method::POST, accept.as_str(), Value::Null),
            (Method::DELETE, delete.as_str(), Value::Null),
            (Method::POST, restore.as_str(), Value::Null),
            (Method::POST, back.as_str(), Value::Null),
            (Method::POST, "/v1/reports", report),
            (Method::PUT, block, Value::Null),
            (Method::DELETE, block, Value::Null),
        ] {
            for _ in 0..2 {
                self.asks(&bob, method.clone(), path, body.clone()).await;
            }
            self.reads(conversation, None).await;
        }
        self.lines
    }

    /// How many events a message left.
    async fn events(&self) -> usize {
        let all = self
            .door
            .store
            .read_all(event_store::Position::START, 100, 1 << 20);
        all.await.unwrap().len()
    }
}

/// What somebody did so many days ago.
async fn past(door: &Door, days: i64, who: &str, method: Method, path: &str, body: Value) {
    let at = chrono::Utc::now() - chrono::Duration::days(days);
    let request = door
        .request(method, path)
        .bearer_auth(door.token(who, &[Role::Member, Role::Service]))
        .header("doorstep-at", at.to_rfc3339());
    let answer = reply(if body.is_null() {
        request
    } else {
        request.json(&body)
    })
    .await;
    assert!((200..300).contains(&answer.status), "{}", answer.json());
}

/// The id of the conversation of two, the same everywhere.
fn of(one: &str, other: &str) -> String {
    let member = |id| domain::ids::MemberId::new(id).unwrap();
    domain::ids::ConversationId::of(&member(one), &member(other)).to_string()
}

/// That of ann and bob.
fn of_the_two() -> String {
    of("ann", "bob")
}

/// Compares what was read, line by line, so that a failure shows where.
fn alike(told: &[(Ann, Vec<String>)]) {
    let (first, expected) = &told[0];
    for (ann, lines) in &told[1..] {
        for (at, (line, expected)) in lines.iter().zip(expected).enumerate() {
            let before = lines.get(at.saturating_sub(20)..at);
            assert_eq!(line, expected, "{ann:?} beside {first:?}: {before:#?}");
        }
        assert_eq!(lines.len(), expected.len(), "{ann:?}");
    }
}

#[tokio::test]
async fn a_first_message_that_is_delivered_reads_like_one_that_waits() {
    let mut told = Vec::new();
    let mut written = Vec::new();
    for ann in [Ann::Follows, Ann::SaysNothing] {
        let door = Told::open().await;
        // One event each, so that what was written before is as much.
        let who = if ann == Ann::Follows { "bob" } else { "cat" };
        let follow = format!("/v1/members/ann/follows/{who}");
        door.past(20, "host", Method::PUT, &follow, Value::Null)
            .await;
        let counted = Told::open().await;
        counted
            .past(20, "host", Method::PUT, &follow, Value::Null)
            .await;
        let before = counted.events().await;
        counted.door.sent("bob", "ann", "hi").await;
        written.push(counted.events().await - before);
        told.push((ann, door.sends(&of_the_two()).await));
    }
    assert_ne!(written[0], written[1], "there is something to count");
    alike(&told);
}

#[tokio::test]
async fn a_further_message_reads_alike_wherever_it_goes() {
    let conversation = of_the_two();
    let request = format!("/v1/requests/{conversation}");
    let mut told = Vec::new();
    for ann in [
        Ann::Follows,
        Ann::SaysNothing,
        Ann::Accepts,
        Ann::Blocks,
        Ann::DeletesLately,
        Ann::DeletesForGood,
        Ann::DeletedLongAgo,
    ] {
        let door = Told::open().await;
        if ann == Ann::Follows {
            let follow = "/v1/members/ann/follows/bob";
            door.past(20, "host", Method::PUT, follow, Value::Null)
                .await;
        }
        let first = json!({"to": "ann", "text": "hi"});
        door.past(12, "bob", Method::POST, "/v1/messages", first)
            .await;
        let accept = format!("{request}/accept");
        let final_delete = format!("{request}?mode=final");
        let done = match ann {
            Ann::Follows | Ann::SaysNothing => None,
            Ann::Accepts => Some((11, Method::POST, accept.as_str())),
            Ann::Blocks => Some((11, Method::PUT, "/v1/me/blocks/bob")),
            Ann::DeletesLately => Some((2, Method::DELETE, request.as_str())),
            Ann::DeletesForGood => Some((11, Method::DELETE, final_delete.as_str())),
            Ann::DeletedLongAgo => Some((11, Method::DELETE, request.as_str())),
        };
        if let Some((days, method, path)) = done {
            door.past(days, "ann", method, path, Value::Null).await;
        }
        told.push((ann, door.sends(&conversation).await));
    }
    alike(&told);
}

#[tokio::test]
async fn a_message_into_a_thread_that_its_sender_moved_to_requests_or_deleted_reads_alike() {
    let conversation = of_the_two();
    let (moves, deletes) = (
        (
            Method::POST,
            format!("/v1/conversations/{conversation}/move-to-requests"),
        ),
        (Method::DELETE, format!("/v1/requests/{conversation}")),
    );
    for steps in [vec![&moves], vec![&moves, &deletes]] {
        let mut told = Vec::new();
        // One event each, so that what was written before is as much.
        for (ann, path) in [
            (Ann::SaysNothing, "/v1/me/blocks/cat"),
            (Ann::Blocks, "/v1/me/blocks/bob"),
        ] {
            let mut door = Told::open().await;
            for (days, from, to) in [(12, "bob", "ann"), (11, "ann", "bob")] {
                let hi = json!({"to": to, "text": "hi"});
                door.past(days, from, Method::POST, "/v1/messages", hi)
                    .await;
                // One change at a time, since those that come together are told once.
                door.feeds().await;
            }
            for (method, path) in &steps {
                door.past(10, "bob", method.clone(), path, Value::Null)
                    .await;
                door.feeds().await;
            }
            door.past(9, "ann", Method::PUT, path, Value::Null).await;
            told.push((ann, door.sends(&conversation).await));
        }
        alike(&told);
    }
}

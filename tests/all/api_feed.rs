//! A member's feed over HTTP: each kind of change as it happens, going on after any id, over restarts, and nothing of
//! what others do out of the member's sight.

use std::collections::BTreeSet;
use std::time::Duration;

use api::limits::RateLimits;
use api::{FollowOptions, Options, Role, ServeOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Setting, reply};
use tests::sse::{Said, Stream};

fn setting(follow: FollowOptions) -> Setting {
    Setting {
        api: Options {
            follow,
            rate_limits: RateLimits {
                member_per_second: 0,
                ..RateLimits::default()
            },
            ..Options::default()
        },
        serve: ServeOptions {
            // Whatever holds up the stop, holds up the test.
            drain_timeout: Duration::from_hours(1),
            ..ServeOptions::default()
        },
        ..Setting::default()
    }
}

async fn open(follow: FollowOptions) -> Door {
    let door = Door::open_with(setting(follow)).await;
    for member in ["ann", "bob", "eve"] {
        door.register(member).await;
    }
    door
}

async fn feed_after(door: &Door, member: &str, after: &str) -> Stream {
    let request = door
        .request(Method::GET, &format!("/v1/me/feed{after}"))
        .bearer_auth(door.member(member))
        .header("accept", "text/event-stream");
    Stream::of(request).await
}

async fn feed(door: &Door, member: &str) -> Stream {
    feed_after(door, member, "").await
}

async fn resumed(door: &Door, member: &str, id: &str) -> Stream {
    let request = door
        .request(Method::GET, "/v1/me/feed")
        .bearer_auth(door.member(member))
        .header("last-event-id", id);
    Stream::of(request).await
}

/// The next change, whole: what was told up to the next id, as words, with its position.
async fn change(stream: &mut Stream) -> (BTreeSet<String>, String) {
    let mut told = BTreeSet::new();
    loop {
        let said = stream.next().await.expect("the feed goes on");
        let data = said.json();
        assert_eq!(data["view"], said.event);
        let with = if data["conversation_id"].is_null() {
            ""
        } else {
            " of one"
        };
        assert!(told.insert(format!("{}{with}", said.event)), "told twice");
        let position = data["position"].as_str().unwrap().to_owned();
        assert_eq!(position.len(), 22);
        if let Some(id) = said.id {
            assert_eq!(id, position);
            return (told, position);
        }
    }
}

fn words(words: &str) -> BTreeSet<String> {
    words.split(", ").map(str::to_owned).collect()
}

/// Whoever is told nothing of what came before is told of this next.
async fn marked(door: &Door, member: &str, stream: &mut Stream) {
    // One's own mute is a change that nobody else makes.
    let cid = domain::ids::ConversationId::of(
        &domain::ids::MemberId::new(member).unwrap(),
        &domain::ids::MemberId::new("marker").unwrap(),
    );
    let path = format!("/v1/conversations/{cid}/mute");
    for method in [Method::PUT, Method::DELETE] {
        let done = door
            .call(method, &path, &door.member(member), Value::Null)
            .await
            .expect(200);
        let (told, position) = change(stream).await;
        assert_eq!((told, position), (words("inbox of one"), done.position()));
    }
}

/// A door where everybody has written to the marker, too.
async fn marking() -> Door {
    let door = open(FollowOptions::default()).await;
    door.register("marker").await;
    for member in ["ann", "bob", "eve"] {
        door.sent(member, "marker", "hi").await;
    }
    door
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_change_is_told_to_whom_it_concerns_and_to_nobody_else() {
    let door = marking().await;
    let (mut ann, mut bob, mut eve) = (
        feed(&door, "ann").await,
        feed(&door, "bob").await,
        feed(&door, "eve").await,
    );
    let cid = door.sent("bob", "ann", "one").await;
    let (told, position) = change(&mut ann).await;
    assert_eq!(
        told,
        words("requests of one, conversation of one, unread of one")
    );
    // What it tells is seen by who asks for it.
    let path = format!("/v1/requests?min_position={position}");
    let requests = door.get(&path, &door.member("ann")).await.expect(200);
    assert_eq!(requests.json()["items"][0]["conversation_id"], cid);
    let own = words("inbox of one, conversation of one");
    let (told, position) = change(&mut bob).await;
    assert_eq!(told, own);
    let path = format!("/v1/inbox?min_position={position}");
    let inbox = door.get(&path, &door.member("bob")).await.expect(200);
    assert_eq!(inbox.json()["items"][0]["conversation_id"], cid);

    let request = |act: &str| format!("/v1/requests/{cid}{act}");
    let conversation = |act: &str| format!("/v1/conversations/{cid}{act}");
    let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
    let both = "inbox of one, requests of one, unread of one";
    for (who, method, path, body, told_to_ann, told_to_bob) in [
        (
            "ann",
            Method::PUT,
            "/v1/me/blocks/bob".to_owned(),
            Value::Null,
            "requests of one, unread of one, blocked of one",
            "",
        ),
        (
            "ann",
            Method::DELETE,
            "/v1/me/blocks/bob".to_owned(),
            Value::Null,
            "requests of one, unread of one, blocked of one",
            "",
        ),
        (
            "ann",
            Method::PUT,
            "/v1/me/dm-setting".to_owned(),
            json!({"audience": "friends"}),
            "dm_setting, requests, unread",
            "",
        ),
        (
            "ann",
            Method::PUT,
            "/v1/me/dm-setting".to_owned(),
            json!({"audience": "everyone"}),
            "dm_setting, requests, unread",
            "",
        ),
        (
            "mia",
            Method::PUT,
            "/v1/moderation/members/bob/suspension".to_owned(),
            json!({"reason": "spam", "text": "Enough.", "facts": "Ten letters."}),
            "requests of one, unread of one",
            "decisions",
        ),
        (
            "mia",
            Method::DELETE,
            "/v1/moderation/members/bob/suspension".to_owned(),
            Value::Null,
            "requests of one, unread of one",
            "decisions",
        ),
        (
            "host",
            Method::PUT,
            "/v1/members/ann/suggestions/bob".to_owned(),
            Value::Null,
            "requests of one",
            "",
        ),
        (
            "host",
            Method::DELETE,
            "/v1/members/ann/suggestions/bob".to_owned(),
            Value::Null,
            "requests of one",
            "",
        ),
        (
            "ann",
            Method::DELETE,
            request(""),
            Value::Null,
            "requests of one, unread of one",
            "",
        ),
        (
            "ann",
            Method::POST,
            request("/restore"),
            Value::Null,
            "requests of one, unread of one",
            "",
        ),
        (
            "ann",
            Method::POST,
            "/v1/reports".to_owned(),
            report,
            "reports of one",
            "",
        ),
        (
            "ann",
            Method::POST,
            request("/accept"),
            Value::Null,
            both,
            "",
        ),
        (
            "ann",
            Method::PUT,
            conversation("/read"),
            json!({"up_to": 1}),
            "inbox of one, unread of one",
            "",
        ),
        (
            "ann",
            Method::PUT,
            conversation("/mute"),
            Value::Null,
            "inbox of one",
            "",
        ),
        (
            "host",
            Method::PUT,
            "/v1/members/ann/follows/bob".to_owned(),
            Value::Null,
            "",
            "",
        ),
        (
            "ann",
            Method::POST,
            "/v1/messages".to_owned(),
            json!({"to": "bob", "text": "two"}),
            "inbox of one, conversation of one",
            "inbox of one, conversation of one, unread of one",
        ),
        (
            "bob",
            Method::POST,
            "/v1/messages".to_owned(),
            json!({"to": "ann", "text": "three"}),
            "inbox of one, conversation of one, unread of one",
            "inbox of one, conversation of one",
        ),
        (
            "bob",
            Method::DELETE,
            conversation("/messages/3"),
            Value::Null,
            "inbox of one, conversation of one",
            "inbox of one, conversation of one",
        ),
        (
            "ann",
            Method::PUT,
            "/v1/me/blocks/bob".to_owned(),
            Value::Null,
            "inbox of one, unread of one, blocked of one",
            "",
        ),
        (
            "bob",
            Method::POST,
            "/v1/messages".to_owned(),
            json!({"to": "ann", "text": "withheld"}),
            "",
            "inbox of one, conversation of one",
        ),
        (
            "ann",
            Method::DELETE,
            "/v1/me/blocks/bob".to_owned(),
            Value::Null,
            "inbox of one, unread of one, blocked of one",
            "",
        ),
        (
            "ann",
            Method::POST,
            conversation("/move-to-requests"),
            Value::Null,
            both,
            "",
        ),
        (
            "ann",
            Method::PUT,
            "/v1/me/blocks/nobody".to_owned(),
            Value::Null,
            "blocked",
            "",
        ),
    ] {
        let role = match who {
            "mia" => Role::Moderator,
            "host" => Role::Service,
            _ => Role::Member,
        };
        let done = door
            .call(method.clone(), &path, &door.token(who, &[role]), body)
            .await;
        assert!(done.status < 300, "{method} {path}: {}", done.json());
        for (stream, told) in [(&mut ann, told_to_ann), (&mut bob, told_to_bob)] {
            if !told.is_empty() {
                let (found, position) = change(stream).await;
                assert_eq!(found, words(told), "{who} {method} {path}");
                if role == Role::Member {
                    assert_eq!(position, done.position(), "{who} {method} {path}");
                }
            }
        }
    }
    for (member, stream) in [("ann", &mut ann), ("bob", &mut bob), ("eve", &mut eve)] {
        marked(&door, member, stream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_and_an_age_change_what_they_change() {
    let door = marking().await;
    door.register_as("kim", "16_17").await;
    door.register_as("lee", "adult").await;
    let (mut ann, mut kim) = (feed(&door, "ann").await, feed(&door, "kim").await);
    let shown = door.get("/v1/policy", &door.service()).await.expect(200);
    let mut rules = shown.json()["rules"].clone();
    // Nothing that anybody is answered.
    rules["restore_days"] = json!(60);
    let _ = door
        .put("/v1/policy", &door.service(), rules.clone())
        .await
        .expect(200);
    // What those of 16 and 17 are answered who did not choose.
    rules["default_audience_16_17"] = json!("friends");
    let _ = door
        .put("/v1/policy", &door.service(), rules.clone())
        .await
        .expect(200);
    let (told, _) = change(&mut kim).await;
    assert_eq!(told, words("dm_setting, requests, unread"));
    let id = kim.last_id.clone().unwrap();
    door.register_as("kim", "adult").await;
    let (told, _) = change(&mut kim).await;
    assert_eq!(told, words("dm_setting, requests, unread"));
    let mut again = resumed(&door, "kim", &id).await;
    assert_eq!(
        change(&mut again).await.0,
        words("dm_setting, requests, unread")
    );
    marked(&door, "ann", &mut ann).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_goes_on_over_restarts_and_tells_each_thing_once() {
    let door = open(FollowOptions::default()).await;
    let mut stream = feed(&door, "ann").await;
    let first = stream.header("doorstep-position");
    let cid = door.sent("bob", "ann", "one").await;
    change(&mut stream).await;
    let id = stream.last_id.clone().unwrap();
    for text in ["two", "three"] {
        door.sent("bob", "ann", text).await;
    }
    for _ in 0..3 {
        door.sent("eve", "ann", "hello").await;
    }
    let dir = door.stop().await;
    assert_eq!(
        stream.rest().await.last().map(|said| said.event.as_str()),
        Some("end")
    );
    let door = Door::serve_again(dir).await;
    let mut stream = resumed(&door, "ann", &id).await;
    let all = words("requests of one, conversation of one, unread of one");
    // What both wrote last, the unread count where it changed last.
    let (told, of_bob) = change(&mut stream).await;
    assert_eq!(told, words("requests of one, conversation of one"));
    let (told, _) = change(&mut stream).await;
    assert_eq!(told, words("unread of one"));
    let (told, of_eve) = change(&mut stream).await;
    assert_eq!(told, words("requests of one, conversation of one"));
    assert_ne!(of_bob, of_eve);
    // From the position of the first answer all of it, and from the last nothing but what comes.
    let mut whole = feed_after(&door, "ann", &format!("?after={first}")).await;
    let mut told = BTreeSet::new();
    while whole.last_id.as_ref() != Some(&of_eve) {
        told.extend(change(&mut whole).await.0);
    }
    assert_eq!(told, all);
    let mut rest = resumed(&door, "ann", &of_eve).await;
    let done = door
        .post(
            &format!("/v1/requests/{cid}/accept"),
            &door.member("ann"),
            Value::Null,
        )
        .await
        .expect(200);
    for stream in [&mut rest, &mut whole, &mut stream] {
        let (told, position) = change(stream).await;
        assert_eq!(told, words("inbox of one, requests of one, unread of one"));
        assert_eq!(position, done.position());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_of_a_feed_have_no_position_whatever_others_do() {
    let door = open(FollowOptions {
        heartbeat: Duration::from_millis(20),
        ..FollowOptions::default()
    })
    .await;
    let mut stream = feed(&door, "eve").await;
    assert_eq!(stream.item().await.unwrap(), "retry: 1000");
    for number in 0..5 {
        door.sent("bob", "ann", &format!("message {number}")).await;
        door.sent("ann", "bob", &format!("message {number}")).await;
        for _ in 0..2 {
            assert_eq!(stream.item().await.unwrap(), ":");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_so_many_feeds_and_all_have_so_many() {
    let door = open(FollowOptions {
        feeds_per_member_max: 2,
        feeds_max: 3,
        ..FollowOptions::default()
    })
    .await;
    let ask = async |member: &str| {
        let request = door.request(Method::GET, "/v1/me/feed");
        let answer = request
            .bearer_auth(door.member(member))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer)
    };
    let first = ask("ann").await;
    let second = ask("ann").await;
    let (status, refused) = ask("ann").await;
    assert_eq!((first.0, second.0, status), (200, 200, 429));
    assert_eq!(refused.headers()["retry-after"], "5");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "rate_limited");
    let of_bob = ask("bob").await;
    let (status, refused) = ask("eve").await;
    assert_eq!((of_bob.0, status), (200, 503));
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "busy");
    // Followers of the log have a number of their own, and who goes makes room.
    let auditor = door.token("ada", &[Role::Auditor]);
    let request = door.request(Method::GET, "/v1/events?follow=true");
    let log = request.bearer_auth(auditor).send().await.unwrap();
    assert_eq!(log.status(), 200);
    drop(second);
    while ask("eve").await.0 != 200 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_place_of_a_feed_is_told_as_documented() {
    let door = open(FollowOptions::default()).await;
    let other = open(FollowOptions::default()).await;
    let elsewhere = feed(&other, "ann").await.header("doorstep-position");
    let end = door.position().await.0.to_string();
    let ann = door.member("ann");
    let ask = async |query: &str, id: &str, accept: &str, token: &str| {
        let mut request = door.request(Method::GET, &format!("/v1/me/feed{query}"));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !id.is_empty() {
            request = request.header("last-event-id", id);
        }
        reply(request.header("accept", accept)).await.failure()
    };
    let sse = "text/event-stream";
    let beyond = door.token("ann", &[Role::Member, Role::Service]);
    for (query, id, accept, token, status, code) in [
        ("?after=bogus", "", sse, &ann, 400, "invalid_query"),
        ("?after=1", "", sse, &ann, 400, "invalid_query"),
        ("", end.as_str(), sse, &ann, 400, "invalid_query"),
        ("?since=1", "", sse, &ann, 400, "invalid_query"),
        ("?after=99999", "", sse, &beyond, 400, "invalid_query"),
        ("", elsewhere.as_str(), sse, &ann, 400, "invalid_query"),
        ("", "", "application/json", &ann, 406, "not_acceptable"),
        ("", "", sse, &door.member("stranger"), 403, "forbidden"),
        (
            "",
            "",
            sse,
            &door.token("ada", &[Role::Auditor]),
            403,
            "forbidden",
        ),
        ("", "", sse, &String::new(), 401, "unauthenticated"),
    ] {
        let refused = ask(query, id, accept, token).await;
        assert_eq!(refused, (status, code.to_owned()), "{query} {id} {accept}");
    }
    let twice = door
        .request(Method::GET, "/v1/me/feed")
        .bearer_auth(&ann)
        .header("last-event-id", "a")
        .header("last-event-id", "b");
    assert_eq!(
        reply(twice).await.failure(),
        (400, "invalid_query".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_another_log_is_refused() {
    // The same keys over two logs, as after a restore.
    let door = open(FollowOptions::default()).await;
    let mut stream = feed(&door, "ann").await;
    door.sent("bob", "ann", "hi").await;
    let id = change(&mut stream).await.1;
    let keys = door.dir().join("auth.key");
    let other = Door::open_with(Setting {
        keys: Some(keys),
        ..setting(FollowOptions::default())
    })
    .await;
    other.register("ann").await;
    let request = other
        .request(Method::GET, "/v1/me/feed")
        .bearer_auth(other.member("ann"))
        .header("last-event-id", id);
    assert_eq!(
        reply(request).await.failure(),
        (410, "other_log".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_with_its_token_and_with_the_service() {
    let mut door = open(FollowOptions {
        heartbeat: Duration::from_millis(50),
        ..FollowOptions::default()
    })
    .await;
    let token = door.keys.sign("ann", &[Role::Member], 2).unwrap();
    let request = door.request(Method::GET, "/v1/me/feed").bearer_auth(&token);
    let mut stream = Stream::of(request).await;
    let ends = |said: Vec<Said>| {
        said.last()
            .map(|said| (said.event.clone(), said.json()["code"].clone()))
    };
    let ended = ends(stream.rest().await);
    assert_eq!(ended, Some(("end".to_owned(), json!("token_expired"))));
    let mut stream = feed(&door, "ann").await;
    assert_eq!(stream.item().await.unwrap(), "retry: 1000");
    door.begin_stop();
    let ended = ends(stream.rest().await);
    assert_eq!(ended, Some(("end".to_owned(), json!("not_ready"))));
    door.stop().await;
}

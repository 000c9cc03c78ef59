//! Bad input: each gets its documented code and changes nothing. Together with the tests named at the end, every row of
//! the table of errors is seen here once.

use std::collections::BTreeSet;

use api::Role;
use api::problem::Code;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, reply};

/// A door with ann and bob, who has written to ann.
struct Scene {
    door: Door,
    cid: String,
}

impl Scene {
    async fn open() -> Self {
        let door = Door::open().await;
        for member in ["ann", "bob"] {
            door.register(member).await;
        }
        let cid = door.sent("bob", "ann", "hello").await;
        Scene { door, cid }
    }

    /// Sends and expects this failure and a log that stays as it is.
    async fn refuses(
        &self,
        what: &str,
        status: u16,
        code: Code,
        request: reqwest::RequestBuilder,
    ) -> Reply {
        let before = self.door.position();
        let reply = reply(request).await;
        assert_eq!(
            reply.failure(),
            (status, code.as_str().to_owned()),
            "{what}: {}",
            String::from_utf8_lossy(&reply.bytes)
        );
        assert_eq!(code.status().as_u16(), status, "{what}");
        assert_eq!(
            reply.headers["content-type"], "application/problem+json",
            "{what}"
        );
        let body = reply.json();
        assert_eq!(body["status"], status, "{what}");
        assert_eq!(
            body["type"],
            format!("urn:doorstep:problem:{}", code.as_str()),
            "{what}"
        );
        assert_eq!(
            body["request_id"],
            reply.headers["x-request-id"].to_str().unwrap(),
            "{what}"
        );
        assert_eq!(self.door.position(), before, "{what}: the log changed");
        reply
    }

    fn post(&self, path: &str, sub: &str) -> reqwest::RequestBuilder {
        self.door
            .request(Method::POST, path)
            .bearer_auth(self.door.member(sub))
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.door
            .request(Method::GET, path)
            .bearer_auth(self.door.member("ann"))
    }
}

#[tokio::test]
async fn bodies_that_are_not_what_the_route_takes() {
    let scene = Scene::open().await;
    let rows: [(&str, &str, &str); 15] = [
        ("nothing", "", ""),
        ("broken JSON", r#"{"to": "ann", "text": "hi""#, ""),
        (
            "more after the end",
            r#"{"to": "ann", "text": "hi"} {}"#,
            "",
        ),
        (
            "not UTF-8 escapes",
            r#"{"to": "ann", "text": "\ud800"}"#,
            "",
        ),
        ("an array of the fields", r#"["ann", "hi"]"#, ""),
        ("a string", r#""ann""#, ""),
        ("null", "null", ""),
        (
            "an unknown field",
            r#"{"to": "ann", "text": "hi", "at": 1}"#,
            "at",
        ),
        ("a missing field", r#"{"to": "ann"}"#, ""),
        (
            "the same field twice",
            r#"{"to": "ann", "to": "bob", "text": "hi"}"#,
            "",
        ),
        ("a number for a text", r#"{"to": "ann", "text": 1}"#, "text"),
        ("null for a text", r#"{"to": "ann", "text": null}"#, "text"),
        (
            "an id with a space",
            r#"{"to": "a nn", "text": "hi"}"#,
            "to",
        ),
        ("an empty id", r#"{"to": "", "text": "hi"}"#, "to"),
        (
            "an id that is too long",
            &format!(r#"{{"to": "{}", "text": "hi"}}"#, "a".repeat(129)),
            "to",
        ),
    ];
    for (what, body, field) in rows {
        let request = scene
            .post("/v1/messages", "bob")
            .header("content-type", "application/json")
            .body(body.to_owned());
        let reply = scene.refuses(what, 400, Code::InvalidBody, request).await;
        if !field.is_empty() {
            assert_eq!(reply.json()["errors"][0]["field"], field, "{what}");
        }
    }
}

#[tokio::test]
async fn fields_of_every_body_are_held_to_their_types() {
    let scene = Scene::open().await;
    let (door, cid) = (&scene.door, &scene.cid);
    let (ann, host, moderator) = (
        door.member("ann"),
        door.service(),
        door.token("mod", &[Role::Moderator]),
    );
    let report = |field: &str, value: Value| {
        let mut report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
        report[field] = value;
        report
    };
    let rows = [
        (
            Method::PUT,
            "/v1/members/zoe".to_owned(),
            &host,
            json!({"age_band": "old"}),
        ),
        (
            Method::PUT,
            "/v1/members/zoe".to_owned(),
            &host,
            json!({"age_band": "adult", "registered_at": "yesterday"}),
        ),
        (
            Method::PUT,
            "/v1/members/zoe".to_owned(),
            &host,
            json!({"age_band": "adult", "name": "Zoe"}),
        ),
        (
            Method::PUT,
            "/v1/policy".to_owned(),
            &host,
            json!({"text_graphemes_max": 5}),
        ),
        (
            Method::PUT,
            "/v1/me/dm-setting".to_owned(),
            &ann,
            json!({"audience": "nobody"}),
        ),
        (
            Method::PUT,
            "/v1/me/dm-setting".to_owned(),
            &ann,
            json!({"audience": "everyone", "version": 1}),
        ),
        (
            Method::PUT,
            format!("/v1/conversations/{cid}/read"),
            &ann,
            json!({"up_to": -1}),
        ),
        (
            Method::PUT,
            format!("/v1/conversations/{cid}/read"),
            &ann,
            json!({"up_to": 1.5}),
        ),
        (
            Method::POST,
            "/v1/requests/accept".to_owned(),
            &ann,
            json!({"conversation_ids": []}),
        ),
        (
            Method::POST,
            "/v1/requests/accept".to_owned(),
            &ann,
            json!({"conversation_ids": vec![cid; 201]}),
        ),
        (
            Method::POST,
            "/v1/requests/delete".to_owned(),
            &ann,
            json!({"conversation_ids": cid}),
        ),
        (
            Method::POST,
            "/v1/reports".to_owned(),
            &ann,
            report("category", json!("boring")),
        ),
        (
            Method::POST,
            "/v1/reports".to_owned(),
            &ann,
            report("also", json!("mute")),
        ),
        (
            Method::POST,
            "/v1/reports".to_owned(),
            &ann,
            report("messages", json!(["1"])),
        ),
        (
            Method::POST,
            "/v1/reports".to_owned(),
            &ann,
            report("reason", json!("x")),
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension".to_owned(),
            &moderator,
            json!({"until": null}),
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension".to_owned(),
            &moderator,
            json!({"reason": "Sp am"}),
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension".to_owned(),
            &moderator,
            json!({"reason": "spam", "until": 5}),
        ),
    ];
    for (method, path, token, body) in rows {
        let request = door.request(method, &path).bearer_auth(token).json(&body);
        let _ = scene
            .refuses(&format!("{path} {body}"), 400, Code::InvalidBody, request)
            .await;
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_or_of_another_type() {
    let scene = Scene::open().await;
    let text = "a".repeat(64 * 1024);
    let whole = scene
        .post("/v1/messages", "bob")
        .json(&json!({"to": "ann", "text": text}));
    let _ = scene
        .refuses("over 64 KiB", 413, Code::BodyTooLarge, whole)
        .await;
    let chunks = futures::stream::iter((0..70).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024])));
    let chunked = scene
        .post("/v1/messages", "bob")
        .body(reqwest::Body::wrap_stream(chunks));
    let _ = scene
        .refuses(
            "over 64 KiB, no length told",
            413,
            Code::BodyTooLarge,
            chunked,
        )
        .await;
    let line = json!({"member": "ann", "kind": "follow", "other": "bob"}).to_string() + "\n";
    let bulk = || {
        scene
            .door
            .request(Method::POST, "/v1/relationships")
            .bearer_auth(scene.door.service())
    };
    let _ = scene
        .refuses(
            "over 1,000 items",
            413,
            Code::BodyTooLarge,
            bulk().body(line.repeat(1_001)),
        )
        .await;
    let _ = scene
        .refuses(
            "over 16 MiB",
            413,
            Code::BodyTooLarge,
            bulk().body(vec![b'\n'; 16 * 1024 * 1024 + 1]),
        )
        .await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "nonsense",
    ] {
        let request = scene
            .post("/v1/messages", "bob")
            .header("content-type", media_type)
            .body(r#"{"to": "ann", "text": "hi"}"#);
        let _ = scene
            .refuses(media_type, 415, Code::UnsupportedMediaType, request)
            .await;
    }
    let plain = scene
        .post("/v1/messages", "bob")
        .body(r#"{"to": "ann", "text": "hi"}"#);
    assert_eq!(
        reply(plain).await.status,
        201,
        "a body of no type is taken at its word"
    );
    let with_charset = scene
        .post("/v1/messages", "bob")
        .header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(
        reply(with_charset.body(r#"{"to": "ann", "text": "hi"}"#))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn texts_beyond_their_limits() {
    let scene = Scene::open().await;
    let long = "\u{1f469}\u{200d}\u{1f680}".repeat(745);
    let rows = [
        ("empty", json!({"to": "ann", "text": ""})),
        (
            "white space",
            json!({"to": "ann", "text": " \u{a0}\u{2003}\n"}),
        ),
        ("a NUL", json!({"to": "ann", "text": "a\u{0}b"})),
        (
            "1,001 graphemes",
            json!({"to": "ann", "text": "e\u{301}".repeat(1_001)}),
        ),
        ("over 8 KiB", json!({"to": "ann", "text": long})),
        ("to oneself", json!({"to": "bob", "text": "hi"})),
    ];
    for (what, body) in rows {
        let reply = scene
            .refuses(
                what,
                422,
                Code::InvalidMessage,
                scene.post("/v1/messages", "bob").json(&body),
            )
            .await;
        let field = if what == "to oneself" { "to" } else { "text" };
        assert_eq!(reply.json()["errors"][0]["field"], field, "{what}");
    }
    let text = "e\u{301}".repeat(1_000);
    let fits = scene.door.send("bob", "ann", &text).await;
    assert_eq!(fits.status, 201, "1,000 graphemes fit");
    let messages = scene
        .door
        .list(&format!("/v1/conversations/{}/messages", scene.cid), "ann")
        .await;
    assert_eq!(messages["items"][0]["text"], text, "stored as sent");
}

#[tokio::test]
async fn headers_that_are_none() {
    let scene = Scene::open().await;
    let message = || {
        scene
            .post("/v1/messages", "bob")
            .json(&json!({"to": "ann", "text": "hi"}))
    };
    let long = "k".repeat(129);
    for key in ["", "a\tb", long.as_str()] {
        let _ = scene
            .refuses(
                key,
                400,
                Code::InvalidHeader,
                message().header("idempotency-key", key),
            )
            .await;
    }
    let twice = message()
        .header("idempotency-key", "a")
        .header("idempotency-key", "b");
    let _ = scene
        .refuses("twice", 400, Code::InvalidHeader, twice)
        .await;
    let dated = message().header("doorstep-at", "2026-01-01T00:00:00Z");
    let _ = scene
        .refuses("a member's time", 403, Code::Forbidden, dated)
        .await;
    let register = || {
        let request = scene
            .door
            .request(Method::PUT, "/v1/members/zoe")
            .bearer_auth(scene.door.service());
        request.json(&json!({"age_band": "adult"}))
    };
    let _ = scene
        .refuses(
            "no time",
            400,
            Code::InvalidHeader,
            register().header("doorstep-at", "noon"),
        )
        .await;
    let ahead = register().header("doorstep-at", "2999-01-01T00:00:00Z");
    let _ = scene
        .refuses("a time ahead", 400, Code::InvalidTime, ahead)
        .await;
}

#[tokio::test]
async fn queries_that_are_none() {
    let scene = Scene::open().await;
    let cid = &scene.cid;
    let lists = [
        "/v1/inbox".to_owned(),
        "/v1/requests".to_owned(),
        "/v1/me/blocks".to_owned(),
        "/v1/me/reports".to_owned(),
        format!("/v1/conversations/{cid}/messages"),
    ];
    let queries = [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "cursor=",
        "cursor=nonsense",
        "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "min_position=",
        "min_position=-1",
        "min_position=soon",
        "min_position=99999999999999999999999",
        "min_position=AAAAAAAAAAAAAAAAAAAAAA",
        "offset=5",
    ];
    for list in &lists {
        for query in queries {
            let _ = scene
                .refuses(
                    query,
                    400,
                    Code::InvalidQuery,
                    scene.get(&format!("{list}?{query}")),
                )
                .await;
        }
    }
    for path in ["/v1/unread?limit=1", "/v1/me/dm-setting?min_position=x"] {
        let _ = scene
            .refuses(path, 400, Code::InvalidQuery, scene.get(path))
            .await;
    }
    let delete = scene
        .door
        .request(Method::DELETE, &format!("/v1/requests/{cid}?mode=loud"));
    let _ = scene
        .refuses(
            "mode",
            400,
            Code::InvalidQuery,
            delete.bearer_auth(scene.door.member("ann")),
        )
        .await;
    let moderator = scene.door.token("mod", &[Role::Moderator]);
    for query in [
        "state=lost",
        "category=boring",
        "sort=random",
        "member=a%20b",
        "claimed_by=",
        "limit=500",
        "cursor=x",
    ] {
        let request = scene
            .door
            .request(Method::GET, &format!("/v1/moderation/queue?{query}"))
            .bearer_auth(&moderator);
        let _ = scene.refuses(query, 400, Code::InvalidQuery, request).await;
    }
    let purpose = scene.door.request(
        Method::GET,
        &format!("/v1/moderation/cases/{cid}?purpose=Not%20a%20code"),
    );
    let _ = scene
        .refuses(
            "purpose",
            400,
            Code::InvalidQuery,
            purpose.bearer_auth(&moderator),
        )
        .await;
    for query in [
        "after=x",
        "limit=0",
        "limit=201",
        "stream=a%20b",
        "cursor=x",
        "after=1&cursor=x",
        "kind=x",
    ] {
        let request = scene
            .door
            .request(Method::GET, &format!("/v1/events?{query}"))
            .bearer_auth(scene.door.service());
        let _ = scene.refuses(query, 400, Code::InvalidQuery, request).await;
    }
    let accept = scene
        .door
        .request(Method::GET, "/v1/events")
        .bearer_auth(scene.door.service())
        .header("accept", "text/html");
    let _ = scene
        .refuses("accept", 406, Code::NotAcceptable, accept)
        .await;
}

#[tokio::test]
async fn commands_that_no_state_allows() {
    let scene = Scene::open().await;
    let (door, cid) = (&scene.door, &scene.cid);
    let (ann, host, moderator) = (
        door.member("ann"),
        door.service(),
        door.token("mod", &[Role::Moderator]),
    );
    let report = |messages: Value, comment: String| json!({"conversation_id": cid, "messages": messages, "category": "spam", "comment": comment});
    let mut policy = door.get("/v1/policy", &host).await.expect(200).json()["rules"].clone();
    policy["audience_table"]["no_one"]["anyone"] = json!("inbox");
    let rows = [
        (
            Method::PUT,
            "/v1/me/blocks/ann",
            &ann,
            Value::Null,
            Code::InvalidMember,
        ),
        (
            Method::PUT,
            "/v1/members/ann/follows/ann",
            &host,
            Value::Null,
            Code::InvalidMember,
        ),
        (
            Method::POST,
            "/v1/reports",
            &ann,
            report(json!([]), String::new()),
            Code::InvalidReport,
        ),
        (
            Method::POST,
            "/v1/reports",
            &ann,
            report((1..=21).collect(), String::new()),
            Code::InvalidReport,
        ),
        (
            Method::POST,
            "/v1/reports",
            &ann,
            report(json!([1]), "c".repeat(2_001)),
            Code::InvalidReport,
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension",
            &moderator,
            json!({"reason": "spam", "until": "2001-01-01T00:00:00Z"}),
            Code::InvalidSuspension,
        ),
        (
            Method::PUT,
            "/v1/policy",
            &host,
            policy,
            Code::InvalidPolicy,
        ),
    ];
    for (method, path, token, body, code) in rows {
        let request = door.request(method, path).bearer_auth(token);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let reply = scene
            .refuses(&format!("{path} {body}"), 422, code, request)
            .await;
        assert!(reply.json()["errors"][0]["field"].is_string(), "{path}");
    }
    let member = door
        .request(Method::PUT, "/v1/me/blocks/a%20b")
        .bearer_auth(&ann);
    let _ = scene
        .refuses("an id that is none", 404, Code::NotFound, member)
        .await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let scene = Scene::open().await;
    for path in [
        "/",
        "/v1",
        "/v2/inbox",
        "/v1/inbox/",
        "/v1/messages/1",
        "/v1/me",
    ] {
        let _ = scene
            .refuses(path, 404, Code::NotFound, scene.get(path))
            .await;
    }
    for (method, path, allow) in [
        (Method::DELETE, "/v1/inbox", "GET"),
        (Method::GET, "/v1/messages", "POST"),
        (Method::POST, "/v1/me/dm-setting", "GET,HEAD,PUT"),
        (Method::PATCH, "/v1/members/ann", "PUT"),
    ] {
        let request = scene
            .door
            .request(method, path)
            .bearer_auth(scene.door.member("ann"));
        let reply = scene
            .refuses(path, 405, Code::MethodNotAllowed, request)
            .await;
        let allowed = reply.headers["allow"].to_str().unwrap();
        assert!(
            allow.split(',').all(|method| allowed.contains(method)),
            "{path}: {allowed}"
        );
    }
}

/// Where the codes are seen that this file does not name.
const ELSEWHERE: [(&str, &str); 22] = [
    ("unauthenticated", "api_tokens"),
    ("token_invalid", "api_tokens"),
    ("token_expired", "api_tokens"),
    ("forbidden", "api_roles"),
    ("not_allowed", "api_indistinguishable"),
    ("account_restricted", "api_tour"),
    ("not_author", "api_commands"),
    ("request_timeout", "api_limits"),
    ("command_id_reused", "api_commands"),
    ("request_not_pending", "api_tour"),
    ("request_frozen", "api_tour"),
    ("already_accepted", "api_tour"),
    ("not_restorable", "api_commands"),
    ("not_accepted", "api_commands"),
    ("registered_at_fixed", "api_commands"),
    ("other_log", "api_paging"),
    ("invalid_read_mark", "api_commands"),
    ("limit_reached", "api_commands"),
    ("rate_limited", "api_limits"),
    ("outcome_unknown", "api_serving"),
    ("view_behind", "api_paging"),
    ("storage_full", "api_serving"),
];
/// What no client can bring about from outside: a defect, a full queue, a view that is being built.
const NOT_FROM_OUTSIDE: [&str; 3] = ["internal", "busy", "not_ready"];

#[test]
fn every_code_is_seen_by_some_test() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("all");
    let here = std::fs::read_to_string(sources.join("api_bad_input.rs")).unwrap();
    let mut seen: BTreeSet<&str> = NOT_FROM_OUTSIDE.into();
    for (code, file) in ELSEWHERE {
        let source = std::fs::read_to_string(sources.join(format!("{file}.rs"))).unwrap();
        assert!(source.contains(code), "{file} does not see {code}");
        seen.insert(code);
    }
    for code in Code::ALL {
        let variant = format!("Code::{code:?},");
        assert!(
            seen.contains(code.as_str())
                || here.contains(&variant)
                || here.contains(&format!("Code::{code:?})")),
            "{code:?}"
        );
    }
}

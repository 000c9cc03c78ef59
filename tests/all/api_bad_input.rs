//! Bad input: bodies, texts and commands; each gets its documented code and changes nothing. Headers, queries and paths
//! are in `api_bad_queries`. Together with the tests named at the end, every row of the table of errors is seen once.

use std::collections::BTreeSet;

use api::Role;
use api::problem::Code;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Scene, reply};

#[tokio::test]
async fn bodies_that_are_not_what_the_route_takes() {
    let scene = Scene::open().await;
    let rows: [(&str, &str, &str); 15] = [
        ("nothing", "", "body"),
        ("broken JSON", r#"{"to": "ann", "text": "hi""#, "body"),
        (
            "more after the end",
            r#"{"to": "ann", "text": "hi"} {}"#,
            "body",
        ),
        (
            "not UTF-8 escapes",
            r#"{"to": "ann", "text": "\ud800"}"#,
            "body",
        ),
        ("an array of the fields", r#"["ann", "hi"]"#, "body"),
        ("a string", r#""ann""#, "body"),
        ("null", "null", "body"),
        (
            "an unknown field",
            r#"{"to": "ann", "text": "hi", "at": 1}"#,
            "at",
        ),
        ("a missing field", r#"{"to": "ann"}"#, "text"),
        (
            "the same field twice",
            r#"{"to": "ann", "to": "bob", "text": "hi"}"#,
            "to",
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
        assert_eq!(reply.json()["errors"][0]["field"], field, "{what}");
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
            json!({"reason": "Sp am", "text": "t", "facts": "f"}),
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension".to_owned(),
            &moderator,
            json!({"reason": "spam", "text": "t", "facts": "f", "until": 5}),
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension".to_owned(),
            &moderator,
            json!({"reason": "spam", "text": "t"}),
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
            json!({"reason": "spam", "text": "t", "facts": "f", "until": "2001-01-01T00:00:00Z"}),
            Code::InvalidSuspension,
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension",
            &moderator,
            json!({"reason": "spam", "text": " ", "facts": "f"}),
            Code::InvalidSuspension,
        ),
        (
            Method::PUT,
            "/v1/moderation/members/bob/suspension",
            &moderator,
            json!({"reason": "spam", "text": "t", "facts": ""}),
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
}

#[tokio::test]
async fn what_cannot_be_a_members_id_is_told_so_where_members_may_be_named() {
    let scene = Scene::open().await;
    let door = &scene.door;
    let (ann, host, moderator) = (
        door.member("ann"),
        door.service(),
        door.token("mod", &[Role::Moderator]),
    );
    let long = "a".repeat(129);
    let bodies = [json!({"age_band": "adult"}), json!({"reason": "spam"})];
    let [adult, suspension] = &bodies;
    let null = &Value::Null;
    let rows = [
        (Method::PUT, "/v1/members/{}", &host, adult, "id"),
        (Method::PUT, "/v1/members/{}/follows/ann", &host, null, "id"),
        (
            Method::DELETE,
            "/v1/members/ann/follows/{}",
            &host,
            null,
            "other",
        ),
        (
            Method::PUT,
            "/v1/members/ann/suggestions/{}",
            &host,
            null,
            "other",
        ),
        (
            Method::DELETE,
            "/v1/members/{}/suggestions/ann",
            &host,
            null,
            "id",
        ),
        (Method::PUT, "/v1/me/blocks/{}", &ann, null, "other"),
        (Method::DELETE, "/v1/me/blocks/{}", &ann, null, "other"),
        (
            Method::PUT,
            "/v1/moderation/members/{}/suspension",
            &moderator,
            suspension,
            "id",
        ),
        (
            Method::POST,
            "/v1/moderation/members/{}/decisions",
            &moderator,
            suspension,
            "id",
        ),
        (
            Method::PUT,
            "/v1/moderation/members/{}/report-limit",
            &moderator,
            suspension,
            "id",
        ),
        (
            Method::DELETE,
            "/v1/moderation/members/{}/report-limit",
            &moderator,
            null,
            "id",
        ),
        (
            Method::DELETE,
            "/v1/moderation/members/{}/suspension",
            &moderator,
            null,
            "id",
        ),
    ];
    for (method, route, token, body, field) in rows {
        for id in ["a%20b", "%C3%BC", "a%2Fb", "%00", long.as_str()] {
            let path = route.replace("{}", id);
            let request = door.request(method.clone(), &path).bearer_auth(token);
            let request = if body.is_null() {
                request
            } else {
                request.json(body)
            };
            let reply = scene
                .refuses(&path, 400, Code::InvalidMember, request)
                .await;
            assert_eq!(reply.json()["errors"][0]["field"], field, "{path}");
        }
    }
}

/// Where the codes are seen that this file does not name.
const ELSEWHERE: [(&str, &str); 46] = [
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
    ("already_claimed", "api_cases"),
    ("not_claimed", "api_cases"),
    ("same_moderator", "api_cases"),
    ("invalid_note", "api_cases"),
    ("invalid_report_limit", "api_reporters"),
    ("already_decided", "api_cases"),
    ("invalid_decision", "api_cases"),
    ("own_case", "api_appeals"),
    ("already_appealed", "api_appeals"),
    ("appeal_window_over", "api_appeals"),
    ("already_reversed", "api_appeals"),
    ("not_appealed", "api_appeals"),
    ("invalid_appeal", "api_appeals"),
    ("log_elsewhere", "program_cluster_folders"),
    ("other_log", "api_paging"),
    ("store_unavailable", "program_cluster"),
    ("invalid_read_mark", "api_commands"),
    ("limit_reached", "api_commands"),
    ("rate_limited", "api_limits"),
    ("outcome_unknown", "api_serving"),
    ("view_behind", "api_paging"),
    ("storage_full", "api_serving"),
    ("damaged", "program_damage"),
    ("as_of_beyond_end", "audit_refusals"),
    ("audit_too_large", "audit_refusals"),
    ("view_busy", "api_views"),
    ("no_previous_view", "api_views"),
    ("event_waits", "api_letters"),
    ("audit_incomplete", "api_letters"),
    ("busy", "api_readiness"),
    ("not_ready", "api_readiness"),
];
/// What no request and no trouble of a part brings about: a defect. The outermost layer has a test of its own for it.
const NOT_FROM_OUTSIDE: [&str; 1] = ["internal"];

#[test]
fn every_code_is_seen_by_some_test() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("all");
    let read = |file: &str| std::fs::read_to_string(sources.join(file)).unwrap();
    let here = read("api_bad_input.rs") + &read("api_bad_queries.rs");
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

//! Bad headers, queries, paths and methods: each gets its documented code and changes nothing.

use api::Role;
use api::problem::Code;
use reqwest::Method;
use serde_json::json;
use tests::api::Scene;

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
    let told = scene
        .refuses("a time ahead", 400, Code::InvalidTime, ahead)
        .await
        .json();
    assert!(told["detail"].to_string().contains("ahead"), "{told}");
    let before = scene
        .door
        .request(Method::PUT, "/v1/members/ann")
        .bearer_auth(scene.door.service())
        .header("doorstep-at", "2001-01-01T00:00:00Z")
        .json(&json!({"age_band": "16_17"}));
    let told = scene
        .refuses("a time before", 400, Code::InvalidTime, before)
        .await
        .json();
    assert!(
        told["detail"].to_string().contains("before the last event"),
        "{told}"
    );
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
        "opened_before=yesterday",
        "opened_after=",
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
        "stream=bogus-1",
        "stream=member",
        "type=bogus",
        "type=message-sent.v9",
        "type=",
        "member=a%20b",
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
async fn a_parameter_that_is_wrong_is_named_with_what_is_accepted() {
    let scene = Scene::open().await;
    let moderator = scene.door.token("mod", &[Role::Moderator]);
    let (ann, host) = (scene.door.member("ann"), scene.door.service());
    let rows = [
        (
            "/v1/inbox?limit=a",
            &ann,
            "limit",
            "wrong_type",
            "from 1 to 200",
        ),
        (
            "/v1/inbox?limit=0",
            &ann,
            "limit",
            "out_of_range",
            "from 1 to 200",
        ),
        (
            "/v1/inbox?limit=1&limit=2",
            &ann,
            "limit",
            "repeated",
            "once",
        ),
        (
            "/v1/inbox?offset=5",
            &ann,
            "offset",
            "unknown",
            "`limit`, `cursor`, `min_position`",
        ),
        (
            "/v1/inbox?cursor=x",
            &ann,
            "cursor",
            "malformed",
            "next_cursor",
        ),
        (
            "/v1/inbox?min_position=x",
            &ann,
            "min_position",
            "malformed",
            "Doorstep-Position",
        ),
        (
            "/v1/unread?limit=1",
            &ann,
            "limit",
            "unknown",
            "`min_position`",
        ),
        (
            "/v1/moderation/queue?sort=x",
            &moderator,
            "sort",
            "not_one_of",
            "`priority`, `oldest`, `newest`",
        ),
        (
            "/v1/moderation/queue?state=x",
            &moderator,
            "state",
            "not_one_of",
            "`open`, `claimed`",
        ),
        (
            "/v1/moderation/queue?opened_before=x",
            &moderator,
            "opened_before",
            "malformed",
            "RFC 3339",
        ),
        (
            "/v1/moderation/queue?category=x",
            &moderator,
            "category",
            "not_one_of",
            "`spam`",
        ),
        (
            "/v1/moderation/queue?member=a%20b",
            &moderator,
            "member",
            "malformed",
            "1-128",
        ),
        ("/v1/events?limit=x", &host, "limit", "wrong_type", "1"),
    ];
    for (path, token, field, code, accepted) in rows {
        let request = scene.door.request(Method::GET, path).bearer_auth(token);
        let reply = scene.refuses(path, 400, Code::InvalidQuery, request).await;
        let errors = &reply.json()["errors"];
        assert_eq!(
            (&errors[0]["field"], &errors[0]["code"]),
            (&json!(field), &json!(code)),
            "{path}"
        );
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.contains(accepted), "{path}: {message}");
    }
    let both = "/v1/inbox?limit=a&offset=5";
    let reply = scene
        .refuses(both, 400, Code::InvalidQuery, scene.get(both))
        .await;
    assert_eq!(
        reply.json()["errors"].as_array().unwrap().len(),
        2,
        "every wrong parameter is named"
    );
}

#[tokio::test]
async fn what_a_route_does_not_take_is_not_passed_over() {
    let scene = Scene::open().await;
    let (door, cid) = (&scene.door, &scene.cid);
    let (ann, host) = (door.member("ann"), door.service());
    for (method, path, token) in [
        (Method::GET, "/v1/policy?version=1", &host),
        (Method::PUT, "/v1/me/blocks/bob?for=ever", &ann),
        (Method::PUT, "/v1/members/ann/follows/bob?at=2004", &host),
    ] {
        let request = door.request(method, path).bearer_auth(token);
        let reply = scene.refuses(path, 400, Code::InvalidQuery, request).await;
        assert_eq!(reply.json()["errors"][0]["code"], "unknown", "{path}");
    }
    let request = format!("/v1/requests/{cid}");
    for (method, path, token, body) in [
        (
            Method::DELETE,
            request.as_str(),
            &ann,
            r#"{"mode": "final"}"#,
        ),
        (Method::PUT, "/v1/me/blocks/bob", &ann, "for good"),
        (Method::PUT, "/v1/members/ann/follows/bob", &host, "[1]"),
    ] {
        let refused = door
            .request(method.clone(), path)
            .bearer_auth(token)
            .body(body);
        let reply = scene.refuses(path, 400, Code::InvalidBody, refused).await;
        assert_eq!(
            (
                &reply.json()["errors"][0]["field"],
                &reply.json()["errors"][0]["code"]
            ),
            (&json!("body"), &json!("unknown")),
            "{path}"
        );
    }
    for nothing in ["", " ", "{}", "null"] {
        let taken = door
            .request(Method::PUT, "/v1/me/blocks/bob")
            .bearer_auth(&ann)
            .body(nothing);
        assert_eq!(tests::api::reply(taken).await.status, 200, "{nothing}");
    }
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

//! Who may come in where: every route with every role.

use api::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::Door;

/// Whom each route is for, as the interface's page says; `m` member, `o` moderator, `a` auditor, `s` service, `p` operator,
/// `*` anyone.
const TABLE: &str = "
PUT    /v1/members/{id}                                s
PUT    /v1/members/{id}/follows/{other}                s
DELETE /v1/members/{id}/follows/{other}                s
PUT    /v1/members/{id}/suggestions/{other}            s
DELETE /v1/members/{id}/suggestions/{other}            s
POST   /v1/relationships                               s
GET    /v1/policy                                      s
PUT    /v1/policy                                      s
GET    /v1/me/dm-setting                               m
PUT    /v1/me/dm-setting                               m
PUT    /v1/me/blocks/{other}                           m
DELETE /v1/me/blocks/{other}                           m
GET    /v1/me/blocks                                   m
POST   /v1/messages                                    m
DELETE /v1/conversations/{cid}/messages/{n}            m
GET    /v1/conversations/{cid}/messages                m
PUT    /v1/conversations/{cid}/read                    m
PUT    /v1/conversations/{cid}/mute                    m
DELETE /v1/conversations/{cid}/mute                    m
POST   /v1/conversations/{cid}/move-to-requests        m
GET    /v1/requests                                    m
POST   /v1/requests/{cid}/accept                       m
POST   /v1/requests/{cid}/restore                      m
DELETE /v1/requests/{cid}                              m
POST   /v1/requests/accept                             m
POST   /v1/requests/delete                             m
POST   /v1/reports                                     m
GET    /v1/me/reports                                  m
GET    /v1/reports/{id}                                m
GET    /v1/me/decisions                                m
POST   /v1/decisions/{id}/appeal                       m
GET    /v1/inbox                                       m
GET    /v1/unread                                      m
GET    /v1/me/feed                                     m
GET    /v1/moderation/queue                            o
GET    /v1/moderation/queue/counts                     o
GET    /v1/moderation/cases/{id}                       o
POST   /v1/moderation/cases/{id}/claim                 o
POST   /v1/moderation/cases/{id}/release               o
POST   /v1/moderation/cases/{id}/notes                 o
POST   /v1/moderation/cases/{id}/escalate              o
POST   /v1/moderation/cases/{id}/decision              o
POST   /v1/moderation/cases/{id}/reopen                o
PUT    /v1/moderation/members/{id}/report-limit        o
DELETE /v1/moderation/members/{id}/report-limit        o
POST   /v1/moderation/members/{id}/decisions           o
GET    /v1/moderation/acts/{id}                        o
POST   /v1/moderation/acts/{id}/reverse                o
POST   /v1/moderation/cases/{id}/appeal-decision       o
POST   /v1/moderation/decisions/{id}/reverse           o
PUT    /v1/moderation/members/{id}/suspension          o
DELETE /v1/moderation/members/{id}/suspension          o
GET    /v1/moderation/transparency                     oa
GET    /v1/audit/members/{id}/inbox                    a
GET    /v1/audit/members/{id}/requests                 a
GET    /v1/audit/members/{id}/unread                   a
GET    /v1/audit/members/{id}/blocks                   a
GET    /v1/audit/members/{id}/dm-setting               a
GET    /v1/audit/members/{id}/timeline                 a
GET    /v1/audit/members/{id}/diff                     a
GET    /v1/audit/members/{id}/disclosures              a
GET    /v1/audit/conversations/{cid}/messages          a
GET    /v1/audit/conversations/{cid}/relationship      a
GET    /v1/audit/conversations/{cid}/explain           a
GET    /v1/audit/conversations/{cid}/diff              a
GET    /v1/audit/cases/{id}                            a
GET    /v1/events                                      as
GET    /v1/views                                       ps
GET    /v1/views/{name}                                oasp
POST   /v1/views/{name}/verify                         ps
POST   /v1/views/{name}/rebuild                        ps
POST   /v1/views/{name}/rollback                       ps
DELETE /v1/views/{name}/previous                       ps
GET    /v1/views/{name}/letters                        ps
POST   /v1/views/{name}/letters/retry                  ps
POST   /v1/views/{name}/letters/skip                   ps
POST   /v1/store/verify                                ps
GET    /v1/store/backup                                ps
GET    /healthz                                        *
GET    /readyz                                         *
GET    /metrics                                        *
";

fn rows() -> Vec<(Method, &'static str, &'static str)> {
    let lines = TABLE.lines().filter(|line| !line.is_empty());
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .map(|words| (words[0].parse().unwrap(), words[1], words[2]))
        .collect()
}

fn letter(role: Role) -> char {
    match role {
        Role::Member => 'm',
        Role::Moderator => 'o',
        Role::Auditor => 'a',
        Role::Service => 's',
        Role::Operator => 'p',
    }
}

/// The route with something in its segments that cannot do harm, and that does not go on.
fn path(route: &str) -> String {
    route
        .replace("/feed", "/feed?after=none")
        .replace("{cid}", "c")
        .replace("{n}", "1")
        .replace("{id}", "zed")
        .replace("{other}", "zoe")
}

#[test]
fn the_table_has_every_route_of_the_document() {
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let mut documented: Vec<String> = Vec::new();
    for (route, item) in document["paths"].as_object().unwrap() {
        documented.extend(
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| format!("{} {route}", method.to_uppercase())),
        );
    }
    let mut listed: Vec<String> = rows()
        .iter()
        .map(|(method, route, _)| format!("{method} {route}"))
        .collect();
    documented.sort();
    listed.sort();
    assert_eq!(documented, listed);
}

#[tokio::test]
async fn each_role_opens_its_routes_and_no_other() {
    let door = Door::open().await;
    door.register("ann").await;
    for role in Role::ALL {
        let token = door.token("ann", &[role]);
        for (method, route, allowed) in rows() {
            let reply = door
                .call(method.clone(), &path(route), &token, Value::Null)
                .await;
            let opened = reply.failure() != (403, "forbidden".to_owned()) && reply.status != 401;
            assert_eq!(
                opened,
                allowed == "*" || allowed.contains(letter(role)),
                "{role:?} {method} {route}: {reply:?}"
            );
        }
    }
}

#[tokio::test]
async fn without_a_token_only_the_open_routes_answer() {
    let door = Door::open().await;
    for (method, route, allowed) in rows() {
        let reply = tests::api::reply(door.request(method.clone(), &path(route))).await;
        if allowed == "*" {
            assert_eq!(reply.status, 200, "{method} {route}");
        } else {
            assert_eq!(
                reply.failure(),
                (401, "unauthenticated".to_owned()),
                "{method} {route}"
            );
        }
    }
}

#[tokio::test]
async fn members_routes_need_a_registered_sub() {
    let door = Door::open().await;
    let stranger = door.member("stranger");
    for (method, route, _) in rows().into_iter().filter(|(_, _, allowed)| *allowed == "m") {
        let before = door.position().await;
        let body = if route == "/v1/messages" {
            json!({"to": "ann", "text": "hi"})
        } else {
            Value::Null
        };
        let reply = door
            .call(method.clone(), &path(route), &stranger, body)
            .await;
        let code = if route == "/v1/messages" {
            "account_restricted"
        } else {
            "forbidden"
        };
        assert_eq!(reply.failure(), (403, code.to_owned()), "{method} {route}");
        if code == "forbidden" {
            assert_eq!(door.position().await, before, "{method} {route}");
        }
    }
    door.register("stranger").await;
    assert_eq!(
        door.get("/v1/inbox", &stranger).await.status,
        200,
        "it holds at once"
    );
}

#[tokio::test]
async fn several_roles_open_the_routes_of_each() {
    let door = Door::open().await;
    door.register("ann").await;
    let token = door.token("ann", &[Role::Member, Role::Auditor]);
    assert_eq!(door.get("/v1/inbox", &token).await.status, 200);
    assert_eq!(door.get("/v1/events", &token).await.status, 200);
    assert_eq!(
        door.get("/v1/policy", &token).await.failure(),
        (403, "forbidden".to_owned())
    );
}

#[tokio::test]
async fn what_is_not_built_yet_is_not_there() {
    let door = Door::open().await;
    door.register("ann").await;
    let ann = door.member("ann");
    for path in ["/v1/nothing", "/"] {
        assert_eq!(
            door.get(path, &ann).await.failure(),
            (404, "not_found".to_owned()),
            "{path}"
        );
    }
}

/// Somebody else's thing, and what a route is given to do with it.
struct Theirs {
    /// What stands for the thing in the route.
    segment: &'static str,
    id: String,
}

/// A body that the route takes, so that it is refused for whose it is and for nothing else.
fn body(method: &Method, route: &str) -> Value {
    match (method.as_str(), route.rsplit('/').next().unwrap()) {
        ("PUT", "read") => json!({"up_to": 1}),
        ("POST", "appeal") => json!({"text": "It was not so."}),
        _ => Value::Null,
    }
}

/// The failure without what differs by chance.
fn told(reply: &tests::api::Reply) -> (u16, Value) {
    let mut told = reply.json();
    told.as_object_mut().unwrap().remove("request_id");
    (reply.status, told)
}

/// Eve asks for what ann and bob have, on every route of members that names something: it is answered as what does not exist.
#[tokio::test]
async fn another_members_things_are_answered_as_what_does_not_exist() {
    let tests::api::Scene { door, cid } = tests::api::Scene::open().await;
    door.register("eve").await;
    let (ann, eve) = (door.member("ann"), door.member("eve"));
    let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
    let reported = door.post("/v1/reports", &ann, report).await.expect(201);
    let theirs = [
        Theirs {
            segment: "/{cid}",
            id: cid.clone(),
        },
        Theirs {
            segment: "/reports/{id}",
            id: reported.json()["report_id"].as_str().unwrap().to_owned(),
        },
        Theirs {
            segment: "/decisions/{id}",
            id: decided(&door, &reported).await,
        },
    ];
    let nothing = uuid::Uuid::from_u128(7).to_string();
    let mut met = std::collections::BTreeSet::new();
    for (method, route, _) in rows().into_iter().filter(|(_, _, allowed)| *allowed == "m") {
        let Some(thing) = theirs.iter().find(|it| route.contains(it.segment)) else {
            assert!(!route.contains("{id}"), "{route} names a thing of whom?");
            continue;
        };
        met.insert(thing.segment);
        let call = async |id: &str| {
            let path = route.replace("{cid}", id).replace("{id}", id);
            let path = path.replace("{n}", "1");
            let body = body(&method, route);
            door.call(method.clone(), &path, &eve, body).await
        };
        let before = door.position().await;
        let refused = call(&thing.id).await;
        let code = (404, "not_found".to_owned());
        assert_eq!(refused.failure(), code, "{method} {route}");
        assert_eq!(told(&refused), told(&call(&nothing).await), "{route}");
        assert_eq!(door.position().await, before, "{method} {route}");
    }
    assert!(
        met.contains("/{cid}") && met.contains("/reports/{id}"),
        "{met:?}"
    );

    // The same where a body names it.
    for (path, named) in [
        ("/v1/requests/accept", "conversation_ids"),
        ("/v1/requests/delete", "conversation_ids"),
        ("/v1/reports", "conversation_id"),
    ] {
        let call = async |id: &str| {
            let body = if named == "conversation_id" {
                json!({"conversation_id": id, "messages": [1], "category": "spam"})
            } else {
                json!({"conversation_ids": [id]})
            };
            let reply = door.post(path, &eve, body).await;
            let text = String::from_utf8(reply.bytes.clone()).unwrap();
            let mut told: Value = serde_json::from_str(&text.replace(id, "(id)")).unwrap();
            told.as_object_mut().unwrap().remove("request_id");
            (reply.status, told)
        };
        let refused = call(&cid).await;
        assert!(refused.1.to_string().contains("not_found"), "{refused:?}");
        assert_eq!(refused, call(&nothing).await, "{path}");
    }
}

/// Each list of a member's own has nothing of others, though moderators and auditors see it.
#[tokio::test]
async fn a_members_lists_have_nothing_of_others() {
    let tests::api::Scene { door, cid } = tests::api::Scene::open().await;
    door.register("eve").await;
    let (ann, eve) = (door.member("ann"), door.member("eve"));
    let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
    let reported = door.post("/v1/reports", &ann, report).await.expect(201);
    let _ = decided(&door, &reported).await;
    let blocked = door.put("/v1/me/blocks/bob", &ann, Value::Null).await;
    let _ = blocked.expect(200);
    door.views_at_the_end().await;
    let mut lists = 0;
    for (method, route, _) in rows().into_iter().filter(|(_, _, allowed)| *allowed == "m") {
        if method != Method::GET || route.contains('{') || route.ends_with("/feed") {
            continue;
        }
        let answer = door.get(route, &eve).await.expect(200).json();
        let text = answer.to_string();
        for others in ["ann", "bob", cid.as_str(), "hello"] {
            assert!(!text.contains(&format!("\"{others}\"")), "{route}: {text}");
        }
        if let Some(items) = answer["items"].as_array() {
            assert!(items.is_empty(), "{route}: {text}");
            lists += 1;
        }
    }
    assert!(lists >= 4, "{lists} lists");
    let mia = door.token("mia", &[Role::Moderator]);
    let queue = door
        .get("/v1/moderation/queue?state=decided", &mia)
        .await
        .expect(200);
    assert_eq!(queue.json()["items"][0]["member"], "bob");
    let auditor = door.token("ada", &[Role::Auditor]);
    let ledger = door
        .get("/v1/audit/members/ann/disclosures", &auditor)
        .await;
    assert_eq!(ledger.expect(200).json()["items"], json!([]));
}

/// A moderator warns bob for what was reported; the decision's id.
async fn decided(door: &Door, reported: &tests::api::Reply) -> String {
    let mia = door.token("mia", &[Role::Moderator]);
    let queue = format!("/v1/moderation/queue?min_position={}", reported.position());
    let queue = door.get(&queue, &mia).await.expect(200).json();
    let case = queue["items"][0]["case_id"].as_str().unwrap().to_owned();
    let act = async |act: &str, body: Value| {
        let path = format!("/v1/moderation/cases/{case}/{act}");
        door.post(&path, &mia, body).await.expect(200).json()
    };
    let _ = act("claim", Value::Null).await;
    let warning = json!({"action": "warn", "reason": "spam", "text": "No.", "facts": "Message 1."});
    let decided = act("decision", warning).await;
    decided["decision_id"].as_str().unwrap().to_owned()
}

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
GET    /v1/audit/members/{id}/inbox                    a
GET    /v1/audit/members/{id}/requests                 a
GET    /v1/audit/members/{id}/unread                   a
GET    /v1/audit/members/{id}/blocks                   a
GET    /v1/audit/members/{id}/dm-setting               a
GET    /v1/audit/members/{id}/timeline                 a
GET    /v1/audit/members/{id}/diff                     a
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

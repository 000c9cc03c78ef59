//! `/try` over HTTP: where it exists, whom it lets in, for whom it acts, and what its forms do.

use std::fmt::Write as _;

use reqwest::Method;
use reqwest::header::HeaderMap;
use tests::api::{Door, Reply, Scene, reply};
use tests::pages::Shown;
use tests::sse::Stream;
use tests::trial;

/// A browser: its cookie, and the mark and the key of the first form of the page.
struct Visitor<'a> {
    door: &'a Door,
    cookie: String,
    csrf: String,
    key: String,
}

/// The value of the first field of this name.
fn field(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.bytes.clone()).unwrap()
}

fn location(headers: &HeaderMap) -> String {
    headers["location"].to_str().unwrap().to_owned()
}

async fn get(door: &Door, path: &str) -> Reply {
    reply(door.request(Method::GET, path)).await
}

impl<'a> Visitor<'a> {
    async fn at(door: &'a Door, path: &str) -> Self {
        let page = get(door, path).await.expect(200);
        let cookie = page.headers["set-cookie"].to_str().unwrap();
        let html = text(&page);
        Visitor {
            door,
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf: field(&html, "csrf"),
            key: field(&html, "key"),
        }
    }

    /// A form in the making, as the page sends it.
    fn form(&self, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.form_of("/try/act", fields)
    }

    /// The same, of a page with a query.
    fn form_of(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let own = [("csrf", self.csrf.as_str()), ("key", self.key.as_str())];
        let pairs: Vec<String> = own
            .iter()
            .chain(fields)
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        self.door
            .request(Method::POST, path)
            .header("cookie", &self.cookie)
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(pairs.join("&"))
    }

    async fn post(&self, fields: &[(&str, &str)]) -> Reply {
        reply(self.form(fields)).await
    }
}

fn encoded(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        write!(written, "%{byte:02X}").unwrap();
    }
    written
}

/// Bob, on the left, writes to ann.
const SEND: [(&str, &str); 4] = [
    ("side", "left"),
    ("do", "send"),
    ("other", "ann"),
    ("text", "hello"),
];

#[tokio::test]
async fn without_a_sample_there_is_no_such_place() {
    let scene = Scene::open().await;
    for (method, path) in [
        (Method::GET, "/try"),
        (Method::GET, "/try/live"),
        (Method::POST, "/try/act"),
    ] {
        let reply = reply(scene.door.request(method, path)).await;
        assert_eq!(reply.failure(), (404, "not_found".to_owned()), "{path}");
        assert!(!reply.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn it_answers_under_the_services_own_addresses_alone() {
    let door = trial::door().await;
    let visitor = Visitor::at(&door, "/try").await;
    let before = door.position().await;
    for host in [
        "elsewhere.example",
        "127.0.0.1.elsewhere.example:7070",
        "192.0.2.8:7070",
    ] {
        for request in [
            door.request(Method::GET, "/try"),
            door.request(Method::GET, "/try/live"),
            visitor.form(&SEND),
        ] {
            let reply = reply(request.header("host", host)).await;
            assert_eq!(reply.status, 403, "{host}");
            assert!(!reply.headers.contains_key("set-cookie"), "{host}");
            assert!(text(&reply).contains("the address that the service listens on"));
        }
    }
    assert_eq!(door.position().await, before);
    for host in ["localhost:1", "[::1]:7070", "192.0.2.7:7070"] {
        let request = door.request(Method::GET, "/try").header("host", host);
        let _ = reply(request).await.expect(200);
    }
}

#[tokio::test]
async fn its_cookie_is_out_of_reach_and_its_page_loads_nothing_from_elsewhere() {
    let door = trial::door().await;
    let page = get(&door, "/try").await.expect(200);
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/try"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; "));
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(!text(&page).contains("://"));
}

#[tokio::test]
async fn it_acts_for_members_of_the_sample_alone() {
    let door = trial::door().await;
    let visitor = Visitor::at(&door, "/try").await;
    let before = door.position().await;
    for path in ["/try?left=zed", "/try?right=nobody", "/try/live?left=zed"] {
        assert_eq!(get(&door, path).await.status, 404, "{path}");
    }
    let as_zed = visitor.form_of("/try/act?left=zed", &SEND);
    assert_eq!(reply(as_zed).await.status, 404);
    assert_eq!(door.position().await, before);
}

#[tokio::test]
async fn a_form_that_was_not_made_here_for_this_browser_does_nothing() {
    let door = trial::door().await;
    let visitor = Visitor::at(&door, "/try").await;
    let other = Visitor::at(&door, "/try").await;
    let before = door.position().await;
    let from = |site: &str| {
        let request = visitor.form(&SEND).build().unwrap();
        let mut request = request;
        request
            .headers_mut()
            .insert("sec-fetch-site", site.parse().unwrap());
        request
    };
    let mut refused = vec![from("cross-site"), from("same-site"), from("none")];
    let mut stolen = visitor.form(&SEND).build().unwrap();
    stolen
        .headers_mut()
        .insert("cookie", other.cookie.parse().unwrap());
    let mut bare = visitor.form(&SEND).build().unwrap();
    bare.headers_mut().remove("cookie");
    let unmarked = Visitor {
        csrf: other.csrf.clone(),
        cookie: visitor.cookie.clone(),
        key: visitor.key.clone(),
        door: &door,
    };
    refused.extend([stolen, bare, unmarked.form(&SEND).build().unwrap()]);
    for request in refused {
        let answer = door.client.execute(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), 403);
    }
    assert_eq!(door.position().await, before);
}

#[tokio::test]
async fn sending_a_form_twice_does_once_and_leads_to_the_page_that_tells_it() {
    let door = trial::door().await;
    let visitor = Visitor::at(&door, "/try").await;
    let first = visitor.post(&SEND).await.expect(303);
    let again = visitor.post(&SEND).await.expect(303);
    assert_eq!(location(&first.headers), location(&again.headers));
    let page = text(&get(&door, &location(&first.headers)).await.expect(200));
    assert_eq!(
        page.matches("hello").count(),
        3,
        "told, open on the left, in its inbox, and on ann's doorstep: {page}"
    );
    for part in [
        "sent, and no more.",
        "it waits on the doorstep",
        "Rule 12: the audience of ann is everyone, and bob is anyone else to them.",
        "Accept the request of bob",
    ] {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
    let requests = door.list("/v1/requests", "ann").await;
    assert_eq!(requests["items"][0]["messages"], 1);
}

#[tokio::test]
async fn what_is_refused_is_told_with_what_was_typed_and_the_reason_that_the_sender_is_not_told() {
    let door = trial::door().await;
    door.audience("ann", "no_one").await;
    let visitor = Visitor::at(&door, "/try").await;
    let typed = "<b>please</b>";
    let send = [SEND[0], SEND[1], SEND[2], ("text", typed)];
    let refused = visitor.post(&send).await.expect(403);
    let page = text(&refused);
    for part in [
        "not_allowed",
        "Rule 6: the audience of ann refuses bob.",
        "&#60;b&#62;please&#60;/b&#62;</textarea>",
    ] {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
    assert!(!page.contains(typed));
}

#[tokio::test]
async fn each_act_is_the_command_of_its_name() {
    let door = trial::door().await;
    let cid = door.sent("bob", "ann", "first").await;
    let of_cat = door.sent("cat", "ann", "buy this").await;
    let list = async |path: &str, member: &str| {
        let items = door.list(path, member).await["items"].clone();
        let with = items.as_array().unwrap().iter();
        let name = if path.ends_with("blocks") {
            "member"
        } else {
            "with"
        };
        with.map(|item| item[name].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let act = async |fields: &[(&str, &str)]| {
        let visitor = Visitor::at(&door, "/try").await;
        let done = visitor.post(&[&[("side", "right")], fields].concat()).await;
        let to = location(&done.expect(303).headers);
        let page = get(&door, &to).await.expect(200);
        assert!(text(&page).contains("What just happened"), "{fields:?}");
    };
    let on = ("on", cid.as_str());
    act(&[("do", "delete"), on]).await;
    assert_eq!(list("/v1/requests", "ann").await, ["cat"]);
    act(&[("do", "restore"), on]).await;
    assert_eq!(list("/v1/requests", "ann").await, ["cat", "bob"]);
    act(&[("do", "accept"), on]).await;
    assert_eq!(list("/v1/inbox", "ann").await, ["bob"]);
    act(&[("do", "move-to-requests"), on]).await;
    assert_eq!(list("/v1/requests", "ann").await, ["cat", "bob"]);
    act(&[("do", "delete-final"), on]).await;
    let report = [
        ("do", "report"),
        ("on", of_cat.as_str()),
        ("message", "1"),
        ("category", "scam"),
        ("comment", "no"),
        ("also", "block"),
    ];
    act(&report).await;
    assert!(list("/v1/requests", "ann").await.is_empty());
    assert_eq!(list("/v1/me/blocks", "ann").await, ["cat"]);
    let reports = door.list("/v1/me/reports", "ann").await;
    assert_eq!(reports["items"][0]["category"], "scam");
    act(&[("do", "unblock"), ("other", "cat")]).await;
    assert_eq!(list("/v1/requests", "ann").await, ["cat"]);
    act(&[("do", "block"), ("other", "bob")]).await;
    assert_eq!(list("/v1/me/blocks", "ann").await, ["bob"]);
    act(&[("do", "audience"), ("audience", "friends")]).await;
    let setting = door.list("/v1/me/dm-setting", "ann").await;
    assert_eq!(setting["audience"], "friends");
    assert!(list("/v1/requests", "ann").await.is_empty(), "frozen");
}

#[tokio::test]
async fn a_form_that_is_none_of_the_pages_is_refused_without_a_trace() {
    let door = trial::door().await;
    let visitor = Visitor::at(&door, "/try").await;
    let before = door.position().await;
    for fields in [
        &[("side", "left"), ("do", "register")][..],
        &[("side", "middle"), ("do", "send")],
        &[
            ("side", "left"),
            ("do", "send"),
            ("other", "not an id"),
            ("text", "x"),
        ],
        &[("side", "left"), ("do", "accept"), ("on", "none")],
        &[("side", "left"), ("do", "audience"), ("audience", "all")],
    ] {
        assert_eq!(visitor.post(fields).await.status, 400, "{fields:?}");
    }
    assert_eq!(door.position().await, before);
}

#[tokio::test]
async fn a_page_is_told_of_what_happens_to_either_once_the_views_have_it() {
    let door = trial::door().await;
    let page = text(&get(&door, "/try").await.expect(200));
    let (_, live) = page.split_once("data-live=\"").unwrap();
    let live = live
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    let mut stream = Stream::of(door.request(Method::GET, &live)).await;
    let cid = door.sent("bob", "ann", "psst").await;
    // What was still on its way when the page was made may be told before.
    loop {
        let told = stream.next().await.unwrap();
        assert_eq!(told.event, "changed");
        let at = told.id.unwrap();
        let fresh = text(&get(&door, &format!("/try?at={at}")).await.expect(200));
        if fresh.contains("psst") && fresh.contains(&cid) {
            return;
        }
    }
}

#[tokio::test]
async fn a_refused_form_comes_back_as_it_was_sent_and_its_alert_leads_to_the_field() {
    let door = trial::door().await;
    let cid = door.sent("bob", "ann", "buy this").await;
    door.views_at_the_end().await;
    let visitor = Visitor::at(&door, "/try").await;
    let open = format!("/try/act?right_open={cid}");
    let long = "x".repeat(2_001);
    let report = [
        ("side", "right"),
        ("do", "report"),
        ("on", &*cid),
        ("message", "1"),
        ("category", "scam"),
        ("also", "block"),
        ("comment", &*long),
    ];
    let refused = Shown::of(reply(visitor.form_of(&open, &report)).await).expect(422);
    assert_eq!(refused.led_to(), ["right-comment"]);
    assert_eq!(refused.field("comment"), long);
    for part in [
        "<details id=\"right-report\" open>",
        "value=\"scam\" selected",
        "value=\"block\" selected",
        "name=\"message\" value=\"1\" checked",
    ] {
        assert!(refused.html.contains(part), "`{part}`: {}", refused.html);
    }
    // Without its conversation there is no such form; what was typed is there.
    let refused = Shown::of(visitor.post(&report).await).expect(422);
    assert!(refused.led_to().is_empty() && refused.says(&long));
    let send = [SEND[0], SEND[1], SEND[2], ("text", " ")];
    let refused = Shown::of(visitor.post(&send).await).expect(422);
    assert_eq!(refused.led_to(), ["left-text"]);
    let audience = [("side", "left"), ("do", "audience"), ("audience", "all")];
    let refused = Shown::of(visitor.post(&audience).await).expect(400);
    assert_eq!(refused.led_to(), ["left-audience"]);
}

#[tokio::test]
async fn a_form_that_was_made_before_the_browser_forgot_its_cookie_comes_back_with_what_was_typed()
{
    let door = trial::door().await;
    let cid = door.sent("cat", "bob", "first").await;
    door.views_at_the_end().await;
    let visitor = Visitor::at(&door, "/try").await;
    let other = Visitor::at(&door, "/try").await;
    let stale = Visitor {
        door: &door,
        cookie: other.cookie.clone(),
        csrf: visitor.csrf.clone(),
        key: visitor.key.clone(),
    };
    let before = door.position().await;
    let send = [SEND[0], SEND[1], SEND[2], ("text", "half an hour <b>")];
    let refused = Shown::of(stale.post(&send).await).expect(403);
    assert_eq!(refused.led_to(), ["left-text"]);
    assert_eq!(
        refused
            .form("/try/act?left=bob&#38;right=ann")
            .field("text"),
        "half an hour <b>"
    );
    let report = [
        ("side", "left"),
        ("do", "report"),
        ("on", &*cid),
        ("message", "1"),
        ("category", "spam"),
        ("also", "none"),
        ("comment", "why I think so"),
    ];
    let open = format!("/try/act?left_open={cid}&right=cat");
    let refused = Shown::of(reply(stale.form_of(&open, &report)).await).expect(403);
    assert_eq!(refused.field("comment"), "why I think so");
    assert_eq!(door.position().await, before, "nothing was done");
    // Made anew for this browser it is carried out.
    let anew = Visitor {
        csrf: field(&refused.html, "csrf"),
        key: field(&refused.html, "key"),
        door: &door,
        cookie: stale.cookie.clone(),
    };
    let _ = reply(anew.form_of(&open, &report)).await.expect(303);
}

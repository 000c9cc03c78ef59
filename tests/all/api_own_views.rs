//! `GET /v1/views/{name}`: a view of one's own over HTTP, added by its line; paged, narrowed, refused, made anew while it is
//! served, and found again after a restart.

use std::sync::Arc;
use std::time::Duration;

use api::limits::RateLimits;
use api::problem::Code;
use api::{Options, Role};
use domain::event::Event;
use event_store::RecordedEvent;
use projections::{DomainCodec, List, OwnView, Part, Staff, ViewName, rows};
use reqwest::Method;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tables::key::Key;
use tables::{ApplyError, Tx, View};
use tests::api::{Door, Setting, says_what_was_wrong};

use crate::views_own::first_contact::FirstContact;

const PATH: &str = "/v1/views/first_contact";

/// A second one: who has opened requests, by position. For moderators and operators.
pub(crate) struct Knocks;

impl View<DomainCodec> for Knocks {
    fn name(&self) -> &'static str {
        "knocks"
    }

    fn version(&self) -> u32 {
        3
    }

    fn tables(&self) -> &'static [&'static str] {
        &["rows"]
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        if let Event::Conversation(domain::conversation::Event::RequestOpened(opened)) = decoded {
            let from = opened.from.as_str();
            let key = Key::new().text(from).u64(recorded.position().0);
            return rows::store(tx, "rows", &key, &(from, opened.to.as_str()));
        }
        Ok(())
    }
}

impl OwnView for Knocks {
    fn lists(&self) -> &'static [List] {
        const LISTS: &[List] = &[List {
            table: "rows",
            key: &[Part::text("from"), Part::number("at")],
        }];
        LISTS
    }

    fn readers(&self) -> &'static [Staff] {
        &[Staff::Moderator, Staff::Operator]
    }

    fn item(&self, _key: &[u8], row: &[u8]) -> anyhow::Result<Box<RawValue>> {
        let (from, to): (&str, &str) = rows::decode("rows", row)?;
        Ok(to_raw_value(&json!({"from": from, "to": to}))?)
    }
}

/// A service that has both, however busy the machine is.
pub(crate) fn setting() -> Setting {
    Setting {
        api: Options {
            view_wait: Duration::from_mins(2),
            rate_limits: RateLimits {
                member_per_second: 0,
                ..RateLimits::default()
            },
            ..Options::default()
        },
        own: vec![Arc::new(FirstContact), Arc::new(Knocks)],
        ..Setting::default()
    }
}

/// Such a service where `zoe` has knocked at three doors and was let in at the second one.
pub(crate) async fn door() -> Door {
    let door = Door::open_with(setting()).await;
    for member in ["ann", "bob", "cat", "zoe"] {
        door.register(member).await;
    }
    for member in ["ann", "bob", "cat"] {
        let cid = door.sent("zoe", member, "hello").await;
        if member == "bob" {
            let accept = format!("/v1/requests/{cid}/accept");
            let accepted = door.post(&accept, &door.member("bob"), Value::Null).await;
            assert_eq!(accepted.status, 200);
        }
    }
    door.views_at_the_end().await;
    door
}

/// What a path answers to the host, standing at the end of the log.
async fn read(door: &Door, path: &str) -> Value {
    let sign = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{sign}min_position={}", door.position().await);
    door.get(&path, &door.service()).await.expect(200).json()
}

fn members(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["member"].as_str().unwrap()).collect()
}

/// The row of a member with one first contact, in whatever week the test runs.
fn row(page: &Value, member: &str, accepted: u64) -> Value {
    let items = page["items"].as_array().unwrap();
    let found = items.iter().find(|item| item["member"] == member).unwrap();
    assert_eq!(
        *found,
        json!({
            "member": member, "week": found["week"], "first_contacts": 1, "accepted": accepted, "deleted": 0,
            "withdrawn": 0, "pending": 1 - accepted, "reported": 0,
        })
    );
    found.clone()
}

#[tokio::test]
async fn its_rows_are_served_in_pages_narrowed_and_in_either_order() {
    let door = door().await;
    let all = read(&door, PATH).await;
    assert_eq!(
        (members(&all), &all["next_cursor"]),
        (vec!["ann", "bob", "cat"], &Value::Null)
    );
    let week = row(&all, "ann", 0)["week"].as_str().unwrap().to_owned();
    row(&all, "bob", 1);
    let shown = door.get(PATH, &door.service()).await.expect(200);
    assert!(
        shown.position().parse::<u64>().unwrap() > 0,
        "a number for the host"
    );
    let order = String::from_utf8(shown.bytes).unwrap();
    assert!(
        order.starts_with(r#"{"items":[{"member":"ann","week":"#),
        "the fields stand as the view tells them: {order}"
    );

    for (query, expected) in [
        ("", vec!["ann", "bob", "cat"]),
        ("order=descending", vec!["cat", "bob", "ann"]),
        (&format!("week={week}"), vec!["ann", "bob", "cat"]),
        (
            "week_from=0001-W01&order=descending",
            vec!["cat", "bob", "ann"],
        ),
    ] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        for _ in 0..3 {
            let page = read(&door, &format!("{PATH}?limit=1&{query}{cursor}")).await;
            found.extend(members(&page).into_iter().map(str::to_owned));
            let next = page["next_cursor"].as_str();
            cursor = next.map_or_else(String::new, |next| format!("&cursor={next}"));
        }
        assert_eq!(
            (found, cursor.as_str()),
            (expected.into_iter().map(str::to_owned).collect(), ""),
            "{query}"
        );
    }
    for (query, expected) in [
        ("member=bob".to_owned(), vec!["bob"]),
        (format!("member=bob&week={week}"), vec!["bob"]),
        (
            format!("member=bob&week_from={week}&week_to={week}"),
            vec!["bob"],
        ),
        ("member=bob&week_from=9999-W01".to_owned(), vec![]),
        ("member=zoe".to_owned(), vec![]),
        ("week_to=2003-W40".to_owned(), vec![]),
    ] {
        let page = read(&door, &format!("{PATH}?{query}")).await;
        assert_eq!(
            (members(&page), &page["next_cursor"]),
            (expected, &Value::Null),
            "{query}"
        );
    }
    let moderator = door.token("mod", &[Role::Moderator]);
    let knocks = door
        .get("/v1/views/knocks?from=zoe&at_from=0&limit=2", &moderator)
        .await;
    assert_eq!(
        knocks.expect(200).json()["items"],
        json!([{"from": "zoe", "to": "ann"}, {"from": "zoe", "to": "bob"}])
    );
}

#[tokio::test]
async fn it_opens_to_the_roles_that_it_names_and_to_no_other() {
    let door = door().await;
    for (view, readers) in [
        ("first_contact", [Role::Service, Role::Auditor]),
        ("knocks", [Role::Moderator, Role::Operator]),
    ] {
        for role in Role::ALL {
            let path = format!("/v1/views/{view}");
            let reply = door.get(&path, &door.token("ann", &[role])).await;
            if readers.contains(&role) {
                assert_eq!(reply.status, 200, "{view} {role:?}");
                continue;
            }
            assert_eq!(
                reply.failure(),
                (403, "forbidden".to_owned()),
                "{view} {role:?}"
            );
            says_what_was_wrong(view, &reply.json());
        }
        // What is wrong with the query is not told to who may not ask.
        let reply = door
            .get(&format!("/v1/views/{view}?x=1"), &door.member("ann"))
            .await;
        assert_eq!(reply.failure(), (403, "forbidden".to_owned()));
    }
    let reply = tests::api::reply(door.request(Method::GET, PATH)).await;
    assert_eq!(reply.failure(), (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn what_it_does_not_take_is_told_by_name() {
    let door = door().await;
    let host = door.service();
    let before = door.position().await;
    for (path, words) in [
        ("/v1/views/nothing", "there are first_contact, knocks"),
        ("/v1/views/inbox", "is built in"),
        ("/v1/views/First_contact", "no such view"),
    ] {
        let reply = door.get(path, &host).await;
        assert_eq!(reply.failure(), (404, "not_found".to_owned()), "{path}");
        assert!(
            reply.json()["detail"].as_str().unwrap().contains(words),
            "{}",
            reply.json()
        );
    }
    for (query, field, code, words) in [
        ("limit=0", "limit", "out_of_range", "from 1 to 200"),
        ("limit=201", "limit", "out_of_range", "from 1 to 200"),
        ("limit=ten", "limit", "wrong_type", "from 1 to 200"),
        ("limit=1&limit=2", "limit", "repeated", "once"),
        ("order=random", "order", "not_one_of", "`ascending`"),
        ("cursor=x", "cursor", "malformed", "next_cursor"),
        (
            "min_position=soon",
            "min_position",
            "malformed",
            "Doorstep-Position",
        ),
        (
            "members=ann",
            "members",
            "unknown",
            "`limit`, `cursor`, `order`, `min_position`, `member`, `week`",
        ),
        ("member=a%20b", "member", "malformed", "1-128 characters"),
        ("member=", "member", "malformed", "1-128 characters"),
        ("week=2004-W5", "week", "malformed", "`2004-W05`"),
        ("week_from=2005-W53", "week_from", "malformed", "`2004-W05`"),
        ("member=ann&member=bob", "member", "repeated", "once"),
        (
            "week=2004-W05&week_to=2004-W06",
            "week_to",
            "unfit",
            "`member`, `week` or `week`, `member`",
        ),
    ] {
        let reply = door.get(&format!("{PATH}?{query}"), &host).await;
        assert_eq!(
            reply.failure(),
            (400, "invalid_query".to_owned()),
            "{query}"
        );
        let problem = reply.json();
        says_what_was_wrong(query, &problem);
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(field), &json!(code)),
            "{query}"
        );
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{query}: {error}"
        );
    }
    let reply = door
        .get(&format!("{PATH}?limit=x&weak=1&week=x"), &host)
        .await;
    let fields: Vec<Value> = reply.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].clone())
        .collect();
    assert_eq!(
        fields,
        ["limit", "weak", "week"],
        "each that is wrong is told"
    );
    assert_eq!(
        door.post(PATH, &host, Value::Null).await.failure(),
        (405, "method_not_allowed".to_owned())
    );
    assert_eq!(door.position().await, before, "nothing of it is in the log");
}

#[tokio::test]
async fn a_cursor_is_of_its_view_its_filter_its_order_and_its_caller() {
    let door = door().await;
    let host = door.token("host", &[Role::Service, Role::Moderator]);
    let page = door
        .get(&format!("{PATH}?limit=1"), &host)
        .await
        .expect(200)
        .json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let knocks = door
        .get("/v1/views/knocks?limit=1", &host)
        .await
        .expect(200)
        .json();
    let of_knocks = knocks["next_cursor"].as_str().unwrap();
    let events = door
        .get("/v1/events?limit=1", &host)
        .await
        .expect(200)
        .json();
    let of_events = events["next_cursor"].as_str().unwrap();
    assert_eq!(
        door.get(&format!("{PATH}?limit=2&cursor={cursor}"), &host)
            .await
            .status,
        200
    );
    for path in [
        format!("{PATH}?order=descending&cursor={cursor}"),
        format!("{PATH}?member=ann&cursor={cursor}"),
        format!("{PATH}?cursor={of_knocks}"),
        format!("{PATH}?cursor={of_events}"),
        format!("/v1/views/knocks?cursor={cursor}"),
        format!("/v1/moderation/queue?cursor={cursor}"),
    ] {
        let reply = door.get(&path, &host).await;
        assert_eq!(reply.failure(), (400, "invalid_query".to_owned()), "{path}");
        assert_eq!(reply.json()["errors"][0]["field"], "cursor", "{path}");
    }
    let other = door.token("other", &[Role::Service]);
    let reply = door.get(&format!("{PATH}?cursor={cursor}"), &other).await;
    assert_eq!(
        reply.failure(),
        (400, Code::InvalidQuery.as_str().to_owned())
    );
}

#[tokio::test]
async fn what_does_not_come_is_behind_and_what_is_closed_is_not_ready() {
    let mut setting = setting();
    setting.api.view_wait = Duration::from_millis(20);
    let door = Door::open_with(setting).await;
    let far = door.position().await.0 + 1_000;
    let behind = door
        .get(&format!("{PATH}?min_position={far}"), &door.service())
        .await;
    assert_eq!(behind.failure(), (503, "view_behind".to_owned()));
    assert_eq!(behind.headers["retry-after"], "1");
    door.reads.stop().await.unwrap();
    let closed = door.get(PATH, &door.service()).await;
    assert_eq!(closed.failure(), (503, "not_ready".to_owned()));
    assert_eq!(closed.headers["retry-after"], "1");
}

/// Begins it as the operator, and gives what it came to; what is served meanwhile is whole.
async fn carries_out(door: &Door, what: &str, expected: &Value) -> Value {
    let otto = door.token("otto", &[Role::Operator]);
    let begun = door
        .post(&format!("{PATH}/{what}"), &otto, Value::Null)
        .await
        .expect(202)
        .json();
    assert_eq!(
        (&begun["name"], &begun["work"]["kind"]),
        (&json!("first_contact"), &json!(what))
    );
    loop {
        let served = door.get(PATH, &door.service()).await.expect(200).json();
        assert_eq!(served, *expected, "during {what}");
        let item = listed(door).await;
        if item["work"].is_null() {
            assert_eq!(item["last"]["number"], begun["work"]["number"]);
            assert_eq!(item["last"]["error"], Value::Null);
            return item["last"].clone();
        }
    }
}

/// The view as the list of views has it.
async fn listed(door: &Door) -> Value {
    let views = door
        .get("/v1/views", &door.service())
        .await
        .expect(200)
        .json();
    let items = views["items"].as_array().unwrap();
    let found = items.iter().find(|item| item["name"] == "first_contact");
    found.unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_listed_proved_and_made_anew_while_it_is_served() {
    let door = door().await;
    let rows = read(&door, PATH).await;
    let item = listed(&door).await;
    assert_eq!(
        (&item["version"], &item["state"], &item["lag"]),
        (&json!(1), &json!("live"), &json!(0))
    );
    let proved = carries_out(&door, "verify", &rows).await;
    assert_eq!(proved["equal"], true, "{proved}");
    let made = carries_out(&door, "rebuild", &rows).await;
    assert_eq!(
        (&made["equal"], &made["sha256"]),
        (&json!(true), &proved["sha256"])
    );
    assert!(listed(&door).await["previous"].is_number());
    // What is served now follows live.
    let _ = door.sent("ann", "cat", "hello").await;
    let counted = |page: &Value| page["items"][2]["first_contacts"].as_u64().unwrap();
    assert_eq!(counted(&read(&door, PATH).await), counted(&rows) + 1);
    let otto = door.token("otto", &[Role::Operator]);
    for (method, what) in [(Method::POST, "rollback"), (Method::DELETE, "previous")] {
        let done = door
            .call(method, &format!("{PATH}/{what}"), &otto, Value::Null)
            .await;
        assert_eq!(done.status, 200, "{what}");
        assert_eq!(
            counted(&read(&door, PATH).await),
            counted(&rows) + 1,
            "{what}"
        );
    }
    let ready = door.get("/readyz", "").await.expect(200).json();
    let views = ready["views"].as_array().unwrap();
    assert!(views.contains(&json!({"name": "first_contact", "state": "live", "ready": true})));
    let metrics = String::from_utf8(door.get("/metrics", "").await.expect(200).bytes).unwrap();
    for metric in [
        "doorstep_view_position",
        "doorstep_view_lag_events",
        "doorstep_view_verified_total",
    ] {
        assert!(
            metrics.contains(&format!("{metric}{{view=\"first_contact\"}} ")),
            "{metric}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_finds_it_where_it_was_and_a_program_without_it_does_without() {
    let door = door().await;
    let rows = read(&door, PATH).await;
    let file = door.dir().join("views/first_contact.v1.redb");
    assert!(file.is_file());
    let door = door.reopen(setting()).await;
    assert_eq!(read(&door, PATH).await, rows);
    assert_eq!(carries_out(&door, "verify", &rows).await["equal"], true);

    let without = Setting {
        own: Vec::new(),
        ..setting()
    };
    let door = door.reopen(without).await;
    let gone = door.get(PATH, &door.service()).await;
    assert_eq!(gone.failure(), (404, "not_found".to_owned()));
    assert!(gone.json()["detail"].as_str().unwrap().contains("has none"));
    let views = door
        .get("/v1/views", &door.service())
        .await
        .expect(200)
        .json();
    let items = views["items"].as_array().unwrap().iter();
    assert_eq!(
        items
            .map(|item| item["name"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ViewName::ALL
            .iter()
            .map(|view| view.as_str())
            .collect::<Vec<_>>()
    );
    let _ = door.sent("ann", "cat", "meanwhile").await;

    let door = door.reopen(setting()).await;
    let page = read(&door, &format!("{PATH}?member=cat")).await;
    assert_eq!(
        page["items"][0]["first_contacts"], 2,
        "what came meanwhile is made up for"
    );
}

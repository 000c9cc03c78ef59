//! `/v1/views/…`: a view proved and made anew beside live traffic, the way back, and what is answered where none of it
//! can be.

use std::sync::Arc;
use std::time::Duration;

use api::limits::RateLimits;
use api::{Options, Role};
use projections::ViewName;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Scene, Setting, reply, says_what_was_wrong};

/// One who runs the service.
struct Operator<'a> {
    door: &'a Door,
    token: String,
}

impl<'a> Operator<'a> {
    fn of(door: &'a Door) -> Self {
        let token = door.token("otto", &[Role::Operator]);
        Operator { door, token }
    }

    async fn asks(&self, view: &str, what: &str) -> Reply {
        let method = if what == "previous" {
            Method::DELETE
        } else {
            Method::POST
        };
        let path = format!("/v1/views/{view}/{what}");
        self.door
            .call(method, &path, &self.token, Value::Null)
            .await
    }

    /// The view as the list has it.
    async fn sees(&self, view: &str) -> Value {
        let views = self.door.get("/v1/views", &self.token).await.expect(200);
        let items = views.json()["items"].as_array().unwrap().clone();
        let mut named = items.into_iter().filter(|item| item["name"] == view);
        named.next().unwrap()
    }

    /// Begins it, and gives what it came to.
    async fn carries_out(&self, view: &str, what: &str) -> Value {
        let begun = self.asks(view, what).await.expect(202);
        let (item, position) = (begun.json(), begun.position());
        assert_eq!(
            (&item["name"], &item["position"], &item["work"]["kind"]),
            (&json!(view), &json!(position), &json!(what)),
            "{item}"
        );
        let number = item["work"]["number"].as_u64().unwrap();
        loop {
            let item = self.sees(view).await;
            if item["work"].is_null() {
                assert_eq!(item["last"]["number"], number, "{item}");
                assert_eq!(item["last"]["kind"], what, "{item}");
                return item["last"].clone();
            }
            assert_eq!(item["work"]["number"], number, "{item}");
            assert!(item["work"]["percent"].as_u64().unwrap() <= 100, "{item}");
            let stage = item["work"]["stage"].as_str().unwrap();
            let stages = ["comparing", "folding", "folding_again", "catching_up"];
            assert!(stages.contains(&stage), "{item}");
        }
    }
}

/// The digest of the rows that are served.
fn digest(door: &Door, view: &str) -> String {
    let reader = door.reads.runner().view(view).unwrap().reader().unwrap();
    tables::digest(&reader).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_is_proved_and_made_anew_while_members_write() {
    // However busy the machine is, and however much is written meanwhile.
    let api = Options {
        view_wait: Duration::from_mins(2),
        rate_limits: RateLimits {
            member_per_second: 0,
            ..RateLimits::default()
        },
        ..Options::default()
    };
    let door = Door::open_with(Setting {
        api,
        ..Setting::default()
    })
    .await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let cid = door.sent("bob", "ann", "hello").await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let door = Arc::new(door);
    let (writer, to) = (Arc::clone(&door), cid.clone());
    let writing = tokio::spawn(async move {
        let accept = format!("/v1/requests/{to}/accept");
        let _ = writer
            .post(&accept, &writer.member("ann"), Value::Null)
            .await
            .expect(200);
        let mut sent = 1_u64;
        while stopped.try_recv().is_err() {
            let reply = writer.send("bob", "ann", "and another").await.expect(201);
            sent = reply.json()["number"].as_u64().unwrap();
            // What is served is whole and holds what was answered, whichever file it comes from.
            let path = format!("/v1/inbox?min_position={}", reply.position());
            let inbox = writer.get(&path, &writer.member("ann")).await.expect(200);
            assert_eq!(inbox.json()["items"][0]["last_message"]["number"], sent);
        }
        sent
    });
    let operator = Operator::of(&door);
    for view in ViewName::ALL {
        let name = view.as_str();
        for what in ["verify", "rebuild"] {
            let last = operator.carries_out(name, what).await;
            assert_eq!(
                (&last["equal"], &last["error"]),
                (&json!(true), &Value::Null),
                "{name}: {last}"
            );
        }
        let item = operator.sees(name).await;
        assert!(item["previous"].is_string(), "{item}");
    }
    stop.send(()).unwrap();
    let sent = writing.await.unwrap();
    let messages = door
        .list(&format!("/v1/conversations/{cid}/messages"), "ann")
        .await;
    assert_eq!(messages["items"][0]["number"], sent);
    for view in ViewName::ALL {
        let last = operator.carries_out(view.as_str(), "verify").await;
        assert_eq!(last["equal"], true, "{last}");
        assert_eq!(last["sha256"], digest(&door, view.as_str()));
    }
    let metrics = door.get("/metrics", "").await.expect(200).bytes;
    let metrics = String::from_utf8(metrics).unwrap();
    let counted = |name: &str| {
        let series = format!("{name}{{view=\"inbox\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        value.unwrap().parse::<f64>().unwrap()
    };
    assert!(counted("doorstep_view_verified_total") >= 3.0);
}

#[tokio::test]
async fn the_earlier_file_is_served_again_and_given_up() {
    let Scene { door, .. } = Scene::open().await;
    let operator = Operator::of(&door);
    door.views_at_the_end().await;
    let rows = digest(&door, "requests");
    assert_eq!(operator.sees("requests").await["previous"], Value::Null);
    for what in ["rollback", "previous"] {
        let refused = operator.asks("requests", what).await;
        assert_eq!(refused.failure(), (409, "no_previous_view".to_owned()));
        says_what_was_wrong(what, &refused.json());
    }
    let last = operator.carries_out("requests", "rebuild").await;
    assert_eq!(
        (&last["equal"], &last["sha256"]),
        (&json!(true), &json!(rows))
    );
    for _ in 0..2 {
        let back = operator
            .asks("requests", "rollback")
            .await
            .expect(200)
            .json();
        assert_eq!(
            (&back["name"], &back["work"]),
            (&json!("requests"), &Value::Null)
        );
        assert!(back["previous"].is_string(), "{back}");
        assert_eq!(digest(&door, "requests"), rows);
    }
    let _ = door.sent("bob", "ann", "one more").await;
    assert_eq!(
        door.list("/v1/requests", "ann").await["items"][0]["messages"],
        2
    );
    let dropped = operator
        .asks("requests", "previous")
        .await
        .expect(200)
        .json();
    assert_eq!(dropped["previous"], Value::Null);
    let refused = operator.asks("requests", "previous").await;
    assert_eq!(refused.failure(), (409, "no_previous_view".to_owned()));
    let files = std::fs::read_dir(door.dir().join("views")).unwrap();
    assert_eq!(files.count(), projections::names().len(), "a file a view");
}

#[tokio::test]
async fn rows_that_are_not_what_the_log_gives_are_told_counted_and_made_good() {
    let Scene { door, .. } = Scene::open().await;
    door.views_at_the_end().await;
    let right = digest(&door, "inbox");
    let store = Arc::clone(&door.store);
    let dir = door.stop().await;
    tests::mistaken::plant(store, &dir.path().join("views"), "inbox").await;
    let door = Door::serve_again(dir).await;
    let operator = Operator::of(&door);
    assert_ne!(digest(&door, "inbox"), right);
    for what in ["verify", "rebuild"] {
        let last = operator.carries_out("inbox", what).await;
        assert_eq!(
            (&last["equal"], &last["sha256"]),
            (&json!(false), &json!(right)),
            "{what}"
        );
    }
    assert_eq!(digest(&door, "inbox"), right);
    let last = operator.carries_out("inbox", "verify").await;
    assert_eq!(last["equal"], true);
    let metrics = door.get("/metrics", "").await.expect(200).bytes;
    let metrics = String::from_utf8(metrics).unwrap();
    // Other tests of this process count as well, and none but this one has anything to find.
    assert!(
        metrics.contains("doorstep_view_differences_total{view=\"inbox\"} 2\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_told_and_changes_nothing() {
    let scene = Scene::open().await;
    let door = &scene.door;
    let operator = Operator::of(door);
    for what in ["verify", "rebuild", "rollback", "previous"] {
        let unknown = operator.asks("outbox", what).await;
        assert_eq!(unknown.failure(), (404, "not_found".to_owned()), "{what}");
        assert!(unknown.json()["detail"].as_str().unwrap().contains("inbox"));
    }
    // Work that has begun keeps the others waiting until it has ended.
    let begun = door
        .reads
        .runner()
        .begin("inbox", tables::Kind::Verify)
        .unwrap();
    for (view, what) in [
        ("inbox", "verify"),
        ("requests", "rebuild"),
        ("inbox", "rollback"),
        ("inbox", "previous"),
    ] {
        let busy = operator.asks(view, what).await;
        assert_eq!(busy.failure(), (409, "view_busy".to_owned()), "{what}");
        assert_eq!(busy.headers["retry-after"], "10");
        says_what_was_wrong(what, &busy.json());
    }
    assert_eq!(operator.sees("inbox").await["work"]["kind"], "verify");
    assert_eq!(operator.sees("requests").await["work"], Value::Null);
    drop(begun);
    assert_eq!(operator.sees("inbox").await["work"], Value::Null);
    let body = door
        .request(Method::POST, "/v1/views/inbox/verify")
        .bearer_auth(&operator.token)
        .json(&json!({"hurry": true}));
    assert_eq!(
        reply(body).await.failure(),
        (400, "invalid_body".to_owned())
    );
    door.reads.stop().await.unwrap();
    for what in ["verify", "rebuild", "rollback", "previous"] {
        let closed = operator.asks("inbox", what).await;
        assert_eq!(closed.failure(), (503, "not_ready".to_owned()), "{what}");
        assert_eq!(closed.headers["retry-after"], "1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_rebuild_that_is_under_way_and_leaves_what_is_served() {
    let Scene { door, .. } = Scene::open().await;
    let operator = Operator::of(&door);
    let begun = operator.asks("inbox", "rebuild").await.expect(202).json();
    assert_eq!(begun["work"]["stage"], "comparing");
    let door = tokio::time::timeout(Duration::from_mins(1), door.reopen(Setting::default()))
        .await
        .unwrap();
    let left: Vec<String> = std::fs::read_dir(door.dir().join("views"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("rebuilt") || name.contains("building"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let operator = Operator::of(&door);
    assert_eq!(operator.sees("inbox").await["last"], Value::Null);
    let last = operator.carries_out("inbox", "verify").await;
    assert_eq!(last["equal"], true);
}

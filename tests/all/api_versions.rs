//! A release that raises the version of every view, over a folder that the release before served: no query goes without an
//! answer, and the way back and on is there over restarts.

use std::sync::Arc;
use std::time::Duration;

use api::limits::RateLimits;
use api::{Options, Role};
use projections::ViewName;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Scene, Setting};
use tests::raised;

/// The release that raises them.
fn raising() -> Setting {
    Setting {
        // However busy the machine is.
        api: Options {
            view_wait: Duration::from_mins(2),
            rate_limits: RateLimits {
                member_per_second: 0,
                staff_per_second: 0,
                ..RateLimits::default()
            },
            ..Options::default()
        },
        views: raised::views,
        ..Setting::default()
    }
}

/// The views as the operator sees them.
async fn listed(door: &Door) -> Vec<Value> {
    let operator = door.token("otto", &[Role::Operator]);
    let views = door.get("/v1/views", &operator).await.expect(200);
    views.json()["items"].as_array().unwrap().clone()
}

async fn versions(door: &Door) -> Vec<u64> {
    let views = listed(door).await;
    views
        .iter()
        .map(|view| view["version"].as_u64().unwrap())
        .collect()
}

async fn asks(door: &Door, method: Method, path: &str) -> Value {
    let operator = door.token("otto", &[Role::Operator]);
    let reply = door.call(method, path, &operator, Value::Null).await;
    reply.expect(200).json()
}

/// Every query of ann's has its answer, with one more message to her in it; gives that one's number.
async fn answers(door: &Door) -> u64 {
    let sent = door.send("bob", "ann", "one more").await.expect(201);
    let number = sent.json()["number"].as_u64().unwrap();
    let (ann, position) = (door.member("ann"), sent.position());
    for list in ["inbox", "requests", "unread", "me/blocks", "me/reports"] {
        let path = format!("/v1/{list}?min_position={position}");
        let answer = door.get(&path, &ann).await.expect(200).json();
        if list == "inbox" {
            let last = &answer["items"][0]["last_message"];
            assert_eq!(last["number"], number, "{answer}");
        }
    }
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_with_new_versions_answers_from_those_before_until_it_has_its_own() {
    let Scene { door, cid } = Scene::open().await;
    let accept = format!("/v1/requests/{cid}/accept");
    let accepted = door.post(&accept, &door.member("ann"), Value::Null).await;
    let _ = accepted.expect(200);
    door.views_at_the_end().await;
    let before = versions(&door).await;
    let raised: Vec<u64> = before.iter().map(|version| version + 1).collect();

    let door = Arc::new(door.reopen(raising()).await);
    assert_eq!(versions(&door).await, before);
    assert_eq!(door.get("/readyz", "").await.status, 200);
    let first = answers(&door).await;
    // What is under way is told, with the version that is made.
    let begun = door
        .reads
        .runner()
        .begin("inbox", tables::Kind::Rebuild)
        .unwrap();
    let inbox = listed(&door).await.swap_remove(0);
    assert_eq!(
        (
            &inbox["version"],
            &inbox["work"]["kind"],
            &inbox["work"]["version"]
        ),
        (&json!(before[0]), &json!("rebuild"), &json!(raised[0])),
        "{inbox}"
    );
    drop(begun);

    // Queries go on while each is made and switched to.
    let renewing = tokio::spawn({
        let reads = door.reads.clone();
        async move { reads.renew().await }
    });
    while !renewing.is_finished() {
        let _ = answers(&door).await;
    }
    renewing.await.unwrap();
    assert_eq!(versions(&door).await, raised);
    for view in listed(&door).await {
        let last = &view["last"];
        assert_eq!(
            (&last["kind"], &last["equal"], &last["error"]),
            (&json!("rebuild"), &json!(true), &Value::Null),
            "{view}"
        );
        assert!(view["previous"].is_string(), "{view}");
    }

    // Back, and that stays; on again, and the one before is given up.
    for view in ViewName::ALL {
        let view = asks(&door, Method::POST, &format!("/v1/views/{view}/rollback")).await;
        assert!(view["previous"].is_string(), "{view}");
    }
    assert_eq!(versions(&door).await, before);
    let door = Arc::into_inner(door).unwrap().reopen(raising()).await;
    door.reads.renew().await;
    assert_eq!(versions(&door).await, before);
    let _ = answers(&door).await;
    for view in ViewName::ALL {
        let _ = asks(&door, Method::POST, &format!("/v1/views/{view}/rollback")).await;
        let view = asks(&door, Method::DELETE, &format!("/v1/views/{view}/previous")).await;
        assert_eq!(view["previous"], Value::Null);
    }
    let door = door.reopen(raising()).await;
    assert_eq!(versions(&door).await, raised);
    assert!(answers(&door).await > first);
    let files = std::fs::read_dir(door.dir().join("views")).unwrap();
    assert_eq!(files.count(), ViewName::ALL.len(), "a file a view");
}

//! When the service is not well: what `/readyz` says, and what `busy` and `not_ready` answer meanwhile. Every part is the
//! real one, brought into its trouble by what it stands on: a disk that holds back, a clock that is off, a log with an
//! event that no one can read.

use std::sync::Arc;
use std::time::Duration;

use api::{Options, Role};
use event_store::{Append, ExpectedVersion};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tests::api::{Door, Setting, says_what_was_wrong};
use tests::commands::{Gate, appends_of, copy_of, log};

/// What `/readyz` says of a service that is not ready.
async fn not_ready(door: &Door) -> (Value, String) {
    let answer = door.get("/readyz", "").await.expect(503).json();
    assert_eq!(answer["ready"], false);
    let reasons = answer["reasons"].to_string();
    (answer, reasons)
}

/// Holds an answer to tell nothing that can be counted with.
fn no_figure(answer: &Value) {
    let text = answer.to_string();
    assert!(
        !text.contains(|letter: char| letter.is_ascii_digit()),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_commands_than_may_wait_are_told_that_the_service_is_busy() {
    let gate = Gate::new();
    let store = event_store::Options {
        backend: Arc::new(gate.backend()),
        // What is ordered fills the room at once, so that the next append waits for the disk, and its worker's queue
        // for the append.
        pending_bytes_max: 1,
        ..tests::commands::store_options()
    };
    let door = Door::open_with(Setting {
        store,
        commands: |options| {
            options.workers = 1;
            options.waiting_per_worker_max = 2;
        },
        ..Setting::default()
    })
    .await;
    door.register("ann").await;
    let before = door.position().await;
    gate.close();
    let host = door.service();
    let follow = |n: usize| {
        let path = format!("/v1/members/ann/follows/m{n}");
        let (door, host) = (&door, &host);
        async move { door.put(&path, host, Value::Null).await }
    };
    let mut calls: FuturesUnordered<_> = (0..24).map(follow).collect();
    let busy = calls.next().await.unwrap();
    assert_eq!(busy.failure(), (503, "busy".to_owned()));
    assert_eq!(busy.headers["retry-after"], "1");
    says_what_was_wrong("busy", &busy.json());
    gate.open();
    let answers: Vec<u16> = calls.map(|reply| reply.status).collect().await;
    let done = answers.iter().filter(|status| **status == 200).count();
    assert!(done >= 2, "what waits is carried out: {answers:?}");
    let written = u64::try_from(done).unwrap();
    assert_eq!(
        door.position().await.0 - before.0,
        written,
        "and nothing else"
    );
}

#[tokio::test]
async fn a_service_in_order_is_ready_and_names_its_parts() {
    let door = Door::open().await;
    let answer = door.get("/readyz", "").await.expect(200).json();
    assert_eq!(
        (
            &answer["write_side"],
            &answer["damage_found"],
            &answer["reasons"]
        ),
        (&json!("running"), &json!(false), &json!([]))
    );
    assert_eq!(
        answer["reactors"],
        json!([{"name": "cases", "ready": true}])
    );
}

#[tokio::test]
async fn views_that_cannot_be_read_answer_not_ready() {
    let door = Door::open().await;
    door.register("ann").await;
    door.reads.stop().await.unwrap();
    let (answer, reasons) = not_ready(&door).await;
    no_figure(&answer);
    assert_eq!(answer["views"][0]["ready"], false);
    assert!(reasons.contains("the view `inbox` is closed"), "{reasons}");
    let refused = door.get("/v1/inbox", &door.member("ann")).await;
    assert_eq!(refused.failure(), (503, "not_ready".to_owned()));
    assert_eq!(refused.headers["retry-after"], "1");
    says_what_was_wrong("not_ready", &refused.json());
    assert_eq!(
        door.put("/v1/me/blocks/bob", &door.member("ann"), Value::Null)
            .await
            .status,
        200,
        "commands go on"
    );
}

#[tokio::test]
async fn a_write_side_that_stopped_is_not_ready() {
    let door = Door::open().await;
    door.register("ann").await;
    door.commands.stop().await;
    let (answer, reasons) = not_ready(&door).await;
    assert_eq!(answer["write_side"], "stopped");
    assert!(reasons.contains("the write side was stopped"), "{reasons}");
    let ann = door.member("ann");
    let refused = door.put("/v1/me/blocks/bob", &ann, Value::Null).await;
    assert_eq!(refused.failure(), (503, "busy".to_owned()));
    assert_eq!(
        door.get("/v1/inbox", &door.member("ann")).await.status,
        200,
        "queries go on"
    );
}

#[tokio::test]
async fn an_event_that_nobody_can_read_parks_its_target_and_is_set_aside_by_the_views() {
    let (door, other) = (Door::open().await, Door::open().await);
    for door in [&door, &other] {
        for member in ["ann", "bob"] {
            door.register(member).await;
        }
        door.sent("bob", "ann", "buy").await;
    }
    let before = log(&*other.store).await.len();
    let cid = door.list("/v1/requests", "ann").await["items"][0]["conversation_id"].clone();
    let report = json!({"conversation_id": cid, "messages": [1], "category": "spam"});
    let _ = other
        .post("/v1/reports", &other.member("ann"), report)
        .await
        .expect(201);
    // The report as a newer program would have written it.
    let mut appends = appends_of(&log(&*other.store).await[before..]);
    appends.retain(|append| append.stream.category() == "conversation");
    let mut append = appends.remove(0);
    append.events.truncate(1);
    append.events[0].data = b"{}".as_slice().into();
    let ticket = door.store.append(append).await.unwrap();
    let position = ticket.durable().await.unwrap();
    door.commands.drain_reactors().await.unwrap();
    let thirty = Duration::from_secs(30);
    let queue = projections::ViewName::ModerationQueue;
    door.reads.wait(queue, position, thirty).await.unwrap();
    let (answer, reasons) = not_ready(&door).await;
    no_figure(&answer);
    assert_eq!(
        answer["reactors"],
        json!([{"name": "cases", "ready": false}])
    );
    assert!(
        reasons.contains("the reactor `cases` has parked what")
            && reasons.contains("the view `moderation_queue` has set aside what it cannot apply"),
        "{reasons}"
    );
    for hidden in ["bob", "conversation-"] {
        assert!(!reasons.contains(hidden), "{reasons}");
    }
    let metrics = String::from_utf8(door.get("/metrics", "").await.expect(200).bytes).unwrap();
    for line in [
        r#"doorstep_reactor_parked_targets{reactor="cases"} 1"#,
        r#"doorstep_view_failed_events{view="moderation_queue"} 1"#,
        r#"doorstep_view_waiting_events{view="moderation_queue"} 0"#,
        r#"doorstep_view_stopped_count{view="moderation_queue"} 0"#,
        r#"doorstep_view_lag_events{view="moderation_queue"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_has_set_aside_all_that_it_may_stops_and_says_so() {
    let door = Door::open().await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    door.sent("bob", "ann", "hello").await;
    // Read marks that nobody can read, one more than a view sets aside.
    let sent = log(&*door.store).await.pop().unwrap();
    let (stream, mut version) = (sent.stream_name().unwrap(), sent.version());
    let marks = u64::try_from(tables::LETTERS_MAX).unwrap() + 1;
    let mut last = None;
    for first in (0..marks).step_by(16) {
        let events = (first..marks.min(first + 16)).map(|number| {
            let mut mark = copy_of(&sent);
            mark.event_id = uuid::Uuid::from_u64_pair(7, number);
            mark.event_type = "read-marked.v1".into();
            mark.data = b"{}".as_slice().into();
            mark
        });
        let append = Append {
            stream: stream.clone(),
            expected: ExpectedVersion::Exact(version),
            events: events.collect(),
            reads: Vec::new(),
        };
        version += append.events.len() as u64;
        last = Some(door.store.append(append).await.unwrap());
    }
    let position = last.unwrap().durable().await.unwrap();
    let inbox = projections::ViewName::Inbox;
    let waited = door.reads.wait(inbox, position, Duration::from_mins(1));
    assert!(waited.await.is_err());
    let (answer, reasons) = not_ready(&door).await;
    no_figure(&answer);
    assert!(reasons.contains("the view `inbox` is stopped"), "{reasons}");
    let metrics = String::from_utf8(door.get("/metrics", "").await.expect(200).bytes).unwrap();
    for line in [
        r#"doorstep_view_stopped_count{view="inbox"} 1"#,
        r#"doorstep_view_lag_events{view="inbox"} 1"#,
        r#"doorstep_view_failed_events{view="inbox"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    // A query that waits for what the view cannot reach is told at once, and which event it is.
    let operator = door.token("otto", &[Role::Operator, Role::Auditor]);
    let path = format!("/v1/views/inbox/letters?min_position={position}");
    let refused = door.get(&path, &operator).await;
    assert_eq!(refused.failure(), (503, "not_ready".to_owned()));
    let mut path = "/v1/views/inbox/letters?limit=200".to_owned();
    let last = loop {
        let page = door.get(&path, &operator).await.expect(200).json();
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/views/inbox/letters?limit=200&cursor={cursor}"),
            None => break page["items"].as_array().unwrap().last().unwrap().clone(),
        }
    };
    assert_eq!(
        (&last["state"], &last["version"]),
        (&json!("stopped"), &json!(version))
    );
    let cause = last["cause"].as_str().unwrap();
    assert!(
        cause.contains("10000 events are set aside already"),
        "{cause}"
    );
    // Without the first of them the others wait no more, and the next one cannot be applied either.
    let first =
        json!({"stream": stream.as_str(), "version": sent.version() + 1, "reason": "unreadable"});
    let left = door
        .post("/v1/views/inbox/letters/skip", &operator, first)
        .await
        .expect(200)
        .json();
    assert_eq!(left["left_failed"], 1, "{left}");
}

#[tokio::test]
async fn a_clock_behind_the_log_by_more_than_5_seconds_is_not_ready() {
    for (ahead_ms, ready) in [(3_600_000, false), (0, true)] {
        let store = event_store::Options {
            clock: Arc::new(move || chrono::Utc::now().timestamp_millis() + ahead_ms),
            ..tests::commands::store_options()
        };
        let door = Door::open_with(Setting {
            store,
            ..Setting::default()
        })
        .await;
        let answer = door.get("/readyz", "").await;
        no_figure(&answer.json());
        assert_eq!(answer.status, if ready { 200 } else { 503 });
        assert_eq!(
            answer.json()["clock"],
            if ready { "right" } else { "behind" }
        );
    }
}

#[tokio::test]
async fn every_view_is_listed_with_its_size_and_how_far_it_is() {
    let options = Options {
        lag_events_max: 10,
        ..Options::default()
    };
    let door = Door::open_with(Setting {
        api: options,
        ..Setting::default()
    })
    .await;
    door.register("ann").await;
    let operator = door.token("ops", &[Role::Operator]);
    let end = door.position().await;
    for view in door.reads.names() {
        door.reads
            .wait(view, end, Duration::from_secs(30))
            .await
            .unwrap();
    }
    let views = door.get("/v1/views", &operator).await.expect(200).json();
    let items = views["items"].as_array().unwrap();
    assert_eq!(items.len(), projections::names().len());
    for view in items {
        assert!(view["bytes"].as_u64().unwrap() > 0, "{view}");
        assert!(view["version"].as_u64().unwrap() > 0, "{view}");
        assert_eq!(
            (&view["state"], &view["lag"], &view["lag_seconds"]),
            (&json!("live"), &json!(0), &json!(0.0)),
            "{view}"
        );
    }
    // A view that stands still falls behind, in events and in seconds; only operators are told how far.
    door.reads.stop().await.unwrap();
    let before = not_ready(&door).await;
    door.audience("ann", "no_one").await;
    assert_eq!(not_ready(&door).await, before);
    let views = door.get("/v1/views", &operator).await.expect(200).json();
    assert_eq!(views["items"][0]["lag"], 1, "{views}");
    assert!(views["items"][0]["lag_seconds"].as_f64().unwrap() >= 0.0);
}

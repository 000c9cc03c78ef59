//! Positions of a log that others write as well, which have gaps: one that another node acknowledged is waited for, one
//! that no event has is refused, and what a connection may be told comes from the log alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use event_store::Position;
use kurrent::server::{Faults, Numbering, Options};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tests::cluster::{Log, appending};
use tests::kurrent::{client, door, read_all};
use tests::program::Server;

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(2);
/// For so long at least a position is waited for.
const WAITED: Duration = Duration::from_secs(4);
/// All servers of one log number it alike.
const SEED: u64 = 71;

/// What a service answers to a caller's question.
async fn asked(url: &str, token: &str, what: String) -> Response {
    let answer = Client::new()
        .get(format!("{url}{what}"))
        .bearer_auth(token)
        .send();
    let answer = tokio::time::timeout(LONG, answer).await;
    answer.expect("in time").expect("an answer")
}

/// The code and the field of a refused question.
async fn refused(answer: Response) -> (String, String) {
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let problem: Value = answer.json().await.expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&problem["code"]), text(&problem["errors"][0]["field"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_begins_at_positions_that_events_have_and_at_no_others() {
    let log = Log::new();
    let node = log.serve(SEED);
    let data = tempfile::tempdir().expect("a folder");
    let more = ["--store", &node.at(), "--kurrent-listen", "127.0.0.1:0"];
    let server = Server::start(data.path(), &more);
    let mut positions = Vec::new();
    for number in 0..5 {
        positions.push(server.register(&format!("member-{number}")).await);
    }
    let auditor = server.token("ada", "auditor");
    let after = async |place: u64, more: &str| {
        let what = format!("/v1/events?after={place}{more}");
        asked(&server.url, &auditor, what).await
    };
    for more in ["", "&follow=true"] {
        for place in [1, positions[1] - 1, positions[1] + 1, positions[3] + 1] {
            assert!(!positions.contains(&place));
            let (code, field) = refused(after(place, more).await).await;
            assert_eq!((code.as_str(), field.as_str()), ("invalid_query", "after"));
        }
    }
    let page = after(positions[1], "").await;
    assert_eq!(page.status(), StatusCode::OK);
    let page: Value = page.json().await.expect("JSON");
    let items = page["items"].as_array().expect("a list").iter();
    let told: Vec<u64> = items.filter_map(|item| item["position"].as_u64()).collect();
    assert_eq!(told, positions[2..]);
    // A page beyond the end is empty; who would wait for what comes there is told that nothing will.
    let beyond = positions[4] + 1_000_000;
    let page: Value = after(beyond, "").await.json().await.expect("JSON");
    assert_eq!(page, json!({"items": [], "next_cursor": null}));
    let (code, field) = refused(after(beyond, "&follow=true").await).await;
    assert_eq!((code.as_str(), field.as_str()), ("invalid_query", "after"));
    let what = format!("/v1/audit/members/member-1/timeline?as_of={beyond}");
    let (code, field) = refused(asked(&server.url, &auditor, what).await).await;
    assert_eq!(
        (code.as_str(), field.as_str()),
        ("as_of_beyond_end", "as_of")
    );
    // Before the first event nothing was known; between two, what the earlier one left.
    let what = format!(
        "/v1/audit/members/member-1/dm-setting?as_of={}",
        positions[1] + 1
    );
    assert_eq!(
        asked(&server.url, &auditor, what).await.status(),
        StatusCode::OK
    );
    let what = "/v1/audit/members/member-1/dm-setting?as_of=1".to_owned();
    assert_eq!(
        asked(&server.url, &auditor, what).await.status(),
        StatusCode::NOT_FOUND
    );
    // A view has come to each of them, and to none beyond the end.
    for (position, status) in [
        (1, StatusCode::OK),
        (positions[1] + 1, StatusCode::OK),
        (beyond, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let what = format!("/v1/views/inbox/letters?min_position={position}");
        let operator = server.token("ole", "operator,service");
        let answer = asked(&server.url, &operator, what).await;
        assert_eq!(answer.status(), status, "{position}");
    }
    // The same by KurrentDB's protocol, whose readings begin at a position itself.
    let door = client(&door(&server), &format!("any:{auditor}"));
    let every = |at: u64| {
        let at = eventstore::Position {
            commit: at,
            prepare: at,
        };
        eventstore::ReadAllOptions::default()
            .position(eventstore::StreamPosition::Position(at))
            .max_count(100)
    };
    let read = read_all(&door, every(positions[1]))
        .await
        .expect("it reads");
    let told: Vec<u64> = read
        .iter()
        .map(|event| event.get_original_event().position.commit)
        .collect();
    // What comes behind them are the looks from above.
    assert_eq!(told[..4], positions[1..]);
    let back = read_all(&door, every(positions[1]).backwards()).await;
    let back = back.expect("it reads");
    assert_eq!(back[0].get_original_event().position.commit, positions[0]);
    for options in [every(positions[1] + 1), every(positions[1] + 1).backwards()] {
        let none = read_all(&door, options).await;
        let error = none.expect_err("no event is there").to_string();
        assert!(error.contains("as they were told"), "{error}");
    }
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_has_acknowledged_is_waited_for() {
    let (log, faults) = (Log::new(), Faults::by_hand());
    let near = log.serve(SEED);
    let far = log.serve_with(Options {
        faults: Some(Arc::clone(&faults)),
        ..appending(SEED)
    });
    let data = tempfile::tempdir().expect("a folder");
    let (one, other) = (data.path().join("one"), data.path().join("other"));
    let one = Server::start(&one, &["--store", &near.at()]);
    let first = one.register("ann").await;
    let other = Server::start(&other, &["--store", &far.at()]);
    let service = other.token("ada", "auditor,service,operator");
    let come = format!("/v1/views/members/letters?min_position={first}");
    let come = asked(&other.url, &service, come).await;
    assert_eq!(come.status(), StatusCode::OK);
    // From here on the other one's place in the cluster lags.
    faults.show_until(Some(log.store.durable_position()));
    let second = one.register("bob").await;
    assert!(second > first);
    let questions = [
        format!("/v1/views/members/letters?min_position={second}"),
        format!("/v1/events?after={second}&follow=true&limit=1"),
        format!("/v1/audit/members/bob/dm-setting?as_of={second}"),
    ];
    let ask = |what: String| {
        let (url, service) = (other.url.clone(), service.clone());
        tokio::spawn(async move { asked(&url, &service, what).await.status() })
    };
    // Nobody is told that it does not exist before it was waited for.
    let began = Instant::now();
    for asked in questions.clone().map(ask) {
        let status = asked.await.expect("a task");
        assert!(!status.is_success(), "{status}");
        assert!(began.elapsed() >= WAITED, "{status} at once");
    }
    let Position(below) = log.store.durable_position();
    assert_eq!(Numbering::Gaps { seed: SEED }.told(Position(below)), second);
    faults.show_until(None);
    for what in questions {
        let answered = tokio::time::timeout(LONG, async {
            while ask(what.clone()).await.expect("a task") != StatusCode::OK {}
        });
        answered.await.expect("it comes");
    }
    assert!(one.stop().success());
    assert!(other.stop().success());
}

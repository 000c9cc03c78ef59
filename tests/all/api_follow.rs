//! Following the log over HTTP: from any position through history into what happens, without a gap and nothing twice,
//! however many follow, however slowly one reads.

use std::sync::Arc;
use std::time::Duration;

use api::limits::RateLimits;
use api::{FollowOptions, Options, Role, ServeOptions};
use event_store::Position;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::api::{Door, Reply, Setting, reply};
use tests::sse::{Said, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

const MEMBERS: [&str; 4] = ["ann", "bob", "eve", "dan"];

/// A door with members who may write to one another as much as they like.
async fn open(follow: FollowOptions) -> Door {
    let door = Door::open_with(Setting {
        api: Options {
            follow,
            rate_limits: RateLimits {
                member_per_second: 0,
                ..RateLimits::default()
            },
            ..Options::default()
        },
        serve: ServeOptions {
            // Whatever holds up the stop, holds up the test.
            drain_timeout: Duration::from_hours(1),
            ..ServeOptions::default()
        },
        ..Setting::default()
    })
    .await;
    for member in MEMBERS {
        door.register(member).await;
    }
    for (one, other) in [("ann", "bob"), ("eve", "dan"), ("ann", "dan")] {
        door.sent(one, other, "hi").await;
        door.sent(other, one, "hi yourself").await;
    }
    door
}

fn auditor(door: &Door) -> String {
    door.token("ada", &[Role::Auditor])
}

/// Follows the log as server-sent events.
async fn follow(door: &Door, query: &str) -> Stream {
    let path = format!("/v1/events?{query}");
    let request = door
        .request(Method::GET, &path)
        .bearer_auth(auditor(door))
        .header("accept", "text/event-stream");
    Stream::of(request).await
}

/// Follows the log as lines.
async fn follow_lines(door: &Door, query: &str) -> Stream {
    let path = format!("/v1/events?follow=true&{query}");
    let request = door
        .request(Method::GET, &path)
        .bearer_auth(auditor(door))
        .header("accept", "application/x-ndjson");
    Stream::of(request).await
}

/// What all lines of the log are now, as far as a filter takes them.
async fn lines(door: &Door, query: &str) -> Vec<String> {
    let request = door
        .request(Method::GET, &format!("/v1/events?{query}"))
        .bearer_auth(auditor(door))
        .header("accept", "application/x-ndjson");
    let text = String::from_utf8(reply(request).await.expect(200).bytes).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn data(said: &[Said]) -> Vec<String> {
    said.iter().map(|said| said.data.clone()).collect()
}

/// Each of two in turn writes to the other, so many times.
async fn talk(door: &Door, one: &str, other: &str, times: usize) {
    for time in 0..times {
        let text = format!("{one} to {other}: {time}");
        door.sent(one, other, &text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_goes_over_into_what_happens_without_a_gap_while_many_write() {
    let door = open(FollowOptions::default()).await;
    let start = door.position().await.0;
    let writing = async {
        let talks = [
            ("ann", "bob"),
            ("bob", "ann"),
            ("eve", "dan"),
            ("dan", "eve"),
        ];
        join_all(talks.map(|(one, other)| talk(&door, one, other, 60))).await;
    };
    // One from the beginning, one from within, one from the end, one that begins while the others write.
    let following = async {
        let mut streams = Vec::new();
        for after in [0, start / 2, start] {
            streams.push((after, follow(&door, &format!("after={after}")).await));
        }
        let mut first = follow(&door, "").await;
        first.take(usize::try_from(start).unwrap() + 30).await;
        streams.push((0, follow(&door, "").await));
        streams
    };
    let ((), streams) = tokio::join!(writing, following);
    let end = usize::try_from(door.position().await.0).unwrap();
    let all = lines(&door, "").await;
    assert_eq!(all.len(), end);
    for (after, mut stream) in streams {
        let after = usize::try_from(after).unwrap();
        let said = stream.take(end - after).await;
        assert_eq!(data(&said), all[after..]);
        for (said, position) in said.iter().zip(after + 1..) {
            assert_eq!(said.id.as_deref(), Some(position.to_string().as_str()));
            assert_eq!(said.event, said.json()["type"]);
        }
        assert_eq!(stream.last_id, Some(end.to_string()));
    }
    let mut as_lines = follow_lines(&door, "").await;
    for line in &all {
        assert_eq!(as_lines.item().await.as_ref(), Some(line));
    }
    let reached = as_lines.item().await.unwrap();
    assert_eq!(reached, format!("{{\"reached\":{{\"position\":{end}}}}}"));
    let sent = door.sent("ann", "bob", "one more");
    let (item, _) = tokio::join!(as_lines.item(), sent);
    let last = lines(&door, &format!("after={end}")).await;
    assert_eq!(item.as_ref(), last.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_take_what_the_page_takes() {
    let door = open(FollowOptions::default()).await;
    talk(&door, "ann", "bob", 80).await;
    let talk_of = |query: &str| {
        let (door, query) = (&door, query.to_owned());
        async move {
            let line = lines(door, &query).await.pop().unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            line["stream"].as_str().unwrap().to_owned()
        }
    };
    let stream = talk_of("type=message-sent&member=bob").await;
    let end = door.position().await.0;
    let mut filters = vec![String::new()];
    for one in [
        format!("stream={stream}"),
        "type=message-sent".to_owned(),
        "member=ann".to_owned(),
    ] {
        let with: Vec<String> = filters
            .iter()
            .map(|filter| format!("{filter}&{one}"))
            .collect();
        filters.extend(with);
    }
    filters.push("&stream=policy".to_owned());
    filters.push("&type=dm-setting-changed.v1&member=eve".to_owned());
    for filter in &filters {
        for after in [0, 7, end - 20, end] {
            let query = format!("after={after}{filter}");
            let expected = lines(&door, &query).await;
            let mut stream = follow(&door, &query).await;
            assert_eq!(
                data(&stream.take(expected.len()).await),
                expected,
                "{query}"
            );
            // At the end it says how far it looked, whether or not anything was there for it.
            let reached = stream.any().await.unwrap();
            assert_eq!(
                (reached.event.as_str(), reached.id),
                ("reached", Some(end.to_string()))
            );
        }
    }
    // What comes afterwards, for all of them at once; the last of it is taken by each.
    let mut streams = Vec::new();
    for filter in &filters {
        let last = format!("after={end}{filter}");
        streams.push((last.clone(), follow(&door, &last).await));
    }
    talk(&door, "eve", "dan", 3).await;
    talk(&door, "bob", "ann", 3).await;
    talk(&door, "ann", "bob", 1).await;
    for (query, mut stream) in streams {
        let expected = lines(&door, &query).await;
        assert_eq!(
            data(&stream.take(expected.len()).await),
            expected,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_matches_little_can_go_on_where_it_looked() {
    let door = open(FollowOptions {
        heartbeat: Duration::from_millis(20),
        ..FollowOptions::default()
    })
    .await;
    let mut stream = follow(&door, "type=case-opened").await;
    let mut sse = stream.any().await.unwrap();
    assert_eq!(sse.event, "reached");
    talk(&door, "ann", "bob", 5).await;
    let end = door.position().await.0;
    while sse.json()["position"] != json!(end) {
        sse = stream.any().await.unwrap();
        assert_eq!(sse.event, "reached");
    }
    assert_eq!(stream.last_id, Some(end.to_string()));
    let mut lines = follow_lines(&door, "member=nobody").await;
    let reached = format!("{{\"reached\":{{\"position\":{end}}}}}");
    for _ in 0..3 {
        assert_eq!(lines.item().await, Some(reached.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_after_its_last_id_which_wins() {
    let door = open(FollowOptions::default()).await;
    let all = lines(&door, "").await;
    let again = async |query: &str, id: &str, count: usize| {
        let request = door
            .request(Method::GET, &format!("/v1/events?limit={count}&{query}"))
            .bearer_auth(auditor(&door))
            .header("accept", "text/event-stream")
            .header("last-event-id", id);
        let mut stream = Stream::of(request).await;
        let mut said = stream.rest().await;
        let end = said.pop().unwrap();
        assert_eq!(
            (end.event.as_str(), &end.json()["code"]),
            ("end", &json!("limit"))
        );
        data(&said)
    };
    assert_eq!(again("", "5", 3).await, all[5..8]);
    assert_eq!(again("after=9", "5", 3).await, all[5..8]);
    assert_eq!(again("after=9", "", 3).await, all[9..12]);
    let page = door.get("/v1/events?limit=4", &auditor(&door)).await;
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!(again(&format!("cursor={cursor}"), "", 2).await, all[4..6]);
    // Event by event, each time anew: nothing is missing, nothing comes twice.
    let mut taken: Vec<String> = Vec::new();
    while taken.len() < 20 {
        let id = taken.len().to_string();
        taken.extend(again("", &id, 1).await);
    }
    assert_eq!(taken, all[..20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_followers_cost_one_reading_of_the_log() {
    let door = open(FollowOptions::default()).await;
    for _ in 0..4 {
        let talks = [
            ("ann", "bob"),
            ("bob", "ann"),
            ("eve", "dan"),
            ("dan", "eve"),
        ];
        join_all(talks.map(|(one, other)| talk(&door, one, other, 60))).await;
    }
    let history = door.position().await;
    let all = usize::try_from(history.0).unwrap();
    let before = (door.read.readings(), door.read.events());
    let mut streams = join_all((0..100).map(|_| follow(&door, ""))).await;
    let told = join_all(streams.iter_mut().map(|stream| stream.take(all))).await;
    assert!(told.iter().all(|said| said == &told[0]));
    let (readings, events) = (
        door.read.readings() - before.0,
        door.read.events() - before.1,
    );
    assert_eq!(events, history.0, "each event is read once for all of them");
    assert!(readings < 20, "{readings} readings");

    let before = (door.read.readings(), door.read.events());
    talk(&door, "ann", "bob", 50).await;
    let written = door.position().await.0 - history.0;
    let count = usize::try_from(written).unwrap();
    let told = join_all(streams.iter_mut().map(|stream| stream.take(count))).await;
    assert!(told.iter().all(|said| said == &told[0]));
    let (readings, events) = (
        door.read.readings() - before.0,
        door.read.events() - before.1,
    );
    assert_eq!(events, written, "each event is read once for all of them");
    assert!(readings <= written, "{readings} readings");
}

/// What `/metrics` says of a series.
async fn metric(door: &Door, series: &str) -> u64 {
    let text = String::from_utf8(door.get("/metrics", "").await.bytes).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{series} ")));
    line.unwrap_or_else(|| panic!("no {series}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_cut_off_holds_no_memory_and_goes_on_later() {
    let dropped = r#"doorstep_follow_dropped_total{followed="log"}"#;
    let door = Arc::new(
        open(FollowOptions {
            stall: Duration::from_millis(300),
            ..FollowOptions::default()
        })
        .await,
    );
    // More than sockets take up.
    let long = "👋🏽".repeat(1_000);
    let sends = |one: &'static str, other: &'static str| {
        let (door, long) = (Arc::clone(&door), long.clone());
        async move {
            for _ in 0..700 {
                door.sent(one, other, &long).await;
            }
        }
    };
    let talks = [
        ("ann", "bob"),
        ("bob", "ann"),
        ("eve", "dan"),
        ("dan", "eve"),
    ];
    join_all(talks.map(|(one, other)| sends(one, other))).await;
    let (before, all) = (metric(&door, dropped).await, lines(&door, "").await);
    let (whole, read) = (
        all.iter().map(String::len).sum::<usize>() as u64,
        door.read.bytes(),
    );
    assert!(whole > 20_000_000);

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut client = socket.connect(door.address).await.unwrap();
    let head = format!(
        "GET /v1/events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: Bearer {}\r\n\r\n",
        auditor(&door)
    );
    client.write_all(head.as_bytes()).await.unwrap();
    while metric(&door, dropped).await == before {}
    let taken = door.read.bytes() - read;
    assert!(
        taken < whole * 3 / 4,
        "{taken} bytes of {whole} were read for who takes none"
    );
    while metric(&door, r#"doorstep_follow_open_count{followed="log"}"#).await > 0 {}

    // What is on the way still comes, up to a broken end.
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let whole_events = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let last = whole_events
        .rsplit("\nid: ")
        .find_map(|rest| rest.lines().next()?.parse::<usize>().ok());
    let last = last.expect("some came");
    assert!(last < all.len());
    let mut rest = follow(&door, &format!("after={last}")).await;
    assert_eq!(data(&rest.take(all.len() - last).await), all[last..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_at_once() {
    let door = open(FollowOptions {
        followers_max: 3,
        ..FollowOptions::default()
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(follow(&door, "").await);
    }
    let one_more = || async {
        let request = door
            .request(Method::GET, "/v1/events?follow=true")
            .bearer_auth(auditor(&door));
        request.send().await.unwrap()
    };
    let refused = one_more().await;
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(refused.status(), 503);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "busy");
    tests::api::says_what_was_wrong("one too many", &problem);
    // A page is none of them, and who goes makes room.
    let _ = door.get("/v1/events", &auditor(&door)).await.expect(200);
    streams.pop();
    while one_more().await.status() != 200 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_told_as_documented() {
    let door = open(FollowOptions::default()).await;
    let end = door.position().await.0;
    let ask = async |query: &str, accept: &str, id: Option<&str>, token: &str| -> Reply {
        let mut request = door
            .request(Method::GET, &format!("/v1/events?{query}"))
            .header("accept", accept);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(id) = id {
            request = request.header("last-event-id", id);
        }
        reply(request).await
    };
    let ada = auditor(&door);
    let sse = "text/event-stream";
    let lines = "application/x-ndjson";
    let beyond = format!("after={}", end + 1);
    let cursor = "cursor=AAAA";
    for (query, accept, id, status, code, field) in [
        ("after=bogus", sse, None, 400, "invalid_query", "after"),
        (beyond.as_str(), sse, None, 400, "invalid_query", "after"),
        (cursor, sse, None, 400, "invalid_query", "cursor"),
        (
            "",
            sse,
            Some("bogus"),
            400,
            "invalid_query",
            "last-event-id",
        ),
        (
            "",
            sse,
            Some("999999"),
            400,
            "invalid_query",
            "last-event-id",
        ),
        ("type=bogus", sse, None, 400, "invalid_query", "type"),
        ("stream=bogus-1", sse, None, 400, "invalid_query", "stream"),
        (
            "follow=true&member=a%20b",
            lines,
            None,
            400,
            "invalid_query",
            "member",
        ),
        ("limit=0", sse, None, 400, "invalid_query", "limit"),
        (
            "follow=perhaps",
            lines,
            None,
            400,
            "invalid_query",
            "follow",
        ),
        ("follow=false", sse, None, 400, "invalid_query", "follow"),
        ("until=5", sse, None, 400, "invalid_query", "until"),
        (
            "follow=true",
            "application/json",
            None,
            406,
            "not_acceptable",
            "",
        ),
        ("follow=true", "text/html", None, 406, "not_acceptable", ""),
    ] {
        let refused = ask(query, accept, id, &ada).await;
        assert_eq!(refused.failure(), (status, code.to_owned()), "{query}");
        let problem = refused.json();
        tests::api::says_what_was_wrong(query, &problem);
        if !field.is_empty() {
            assert_eq!(problem["errors"][0]["field"], field, "{query}");
        }
    }
    for (token, status, code) in [
        (String::new(), 401, "unauthenticated"),
        (door.member("ann"), 403, "forbidden"),
        (door.token("otto", &[Role::Operator]), 403, "forbidden"),
        ("none".to_owned(), 401, "token_invalid"),
    ] {
        let refused = ask("follow=true", sse, None, &token).await;
        assert_eq!(refused.failure(), (status, code.to_owned()));
    }
    let service = ask("follow=true&limit=1", sse, None, &door.service()).await;
    assert_eq!(service.status, 200);
    assert_eq!(service.headers["content-type"], sse);
    assert_eq!(service.headers["x-accel-buffering"], "no");
    assert_eq!(service.position(), end.to_string());
    for accept in ["*/*", "text/*", "application/json, text/event-stream"] {
        let followed = ask("follow=true&limit=1", accept, None, &ada)
            .await
            .expect(200);
        assert_eq!(followed.headers["content-type"], sse, "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let door = open(FollowOptions {
        heartbeat: Duration::from_millis(50),
        ..FollowOptions::default()
    })
    .await;
    let token = door.keys.sign("ada", &[Role::Auditor], 2).unwrap();
    let request = door
        .request(Method::GET, "/v1/events?follow=true")
        .bearer_auth(&token);
    let mut stream = Stream::of(request).await;
    let said = stream.rest().await;
    let end = said.last().unwrap();
    assert_eq!(
        (end.event.as_str(), &end.json()["code"]),
        ("end", &json!("token_expired"))
    );
    let again = door.get("/v1/events", &token).await;
    assert_eq!(again.failure(), (401, "token_expired".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_words_when_the_service_stops_and_do_not_hold_it_up() {
    let mut door = open(FollowOptions::default()).await;
    let end = door.position().await.0;
    let mut sse = follow(&door, "").await;
    let mut lines = follow_lines(&door, &format!("after={end}")).await;
    assert!(lines.item().await.unwrap().contains("reached"));
    for _ in 0..end {
        sse.next().await.expect("the history");
    }
    // The connections are kept open for as long as the streams go on.
    door.begin_stop();
    let said = sse.rest().await;
    assert_eq!(said.len(), 1);
    let last = said.last().unwrap();
    assert_eq!(
        (last.event.as_str(), &last.json()["code"]),
        ("end", &json!("not_ready"))
    );
    let last = lines.item().await.unwrap();
    assert!(
        last.starts_with("{\"end\":{\"code\":\"not_ready\""),
        "{last}"
    );
    assert_eq!(lines.item().await, None);
    let dir = door.stop().await;
    // And go on with the next.
    let door = Door::serve_again(dir).await;
    let id = sse.last_id.unwrap();
    let mut again = follow(&door, &format!("after={id}")).await;
    door.sent("ann", "bob", "still here?").await;
    let next = again.next().await.unwrap();
    assert!(Position(next.id.unwrap().parse().unwrap()) > Position(end));
}

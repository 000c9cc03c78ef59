//! Lists over HTTP: pages and their cursors, positions that are waited for, and both in another log.

use std::time::Duration;

use api::{Options, Role};
use serde_json::{Value, json};
use tests::api::{Door, Setting};

/// A door with ann and these members, each of whom wrote to her, in order.
async fn door(writers: &[&str]) -> Door {
    let door = Door::open().await;
    door.register("ann").await;
    for writer in writers {
        door.register(writer).await;
        door.sent(writer, "ann", &format!("from {writer}")).await;
    }
    door
}

fn with(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["with"].as_str().unwrap())
        .collect()
}

fn cursor(list: &Value) -> String {
    list["next_cursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let door = door(&["bob", "eve", "zoe", "kim", "joe"]).await;
    let first = door.list("/v1/requests?limit=2", "ann").await;
    assert_eq!(with(&first), ["joe", "kim"]);
    let second = door
        .list(
            &format!("/v1/requests?limit=2&cursor={}", cursor(&first)),
            "ann",
        )
        .await;
    assert_eq!(with(&second), ["zoe", "eve"]);
    let third = door
        .list(
            &format!("/v1/requests?limit=2&cursor={}", cursor(&second)),
            "ann",
        )
        .await;
    assert_eq!(
        (with(&third), &third["next_cursor"]),
        (vec!["bob"], &Value::Null)
    );
    let all = door.list("/v1/requests", "ann").await;
    assert_eq!((with(&all).len(), &all["next_cursor"]), (5, &Value::Null));
}

#[tokio::test]
async fn what_moves_up_while_one_pages_is_not_repeated() {
    let door = door(&["bob", "eve", "zoe"]).await;
    let first = door.list("/v1/requests?limit=2", "ann").await;
    assert_eq!(with(&first), ["zoe", "eve"]);
    door.sent("zoe", "ann", "again").await;
    door.sent("bob", "ann", "up").await;
    let second = door
        .list(
            &format!("/v1/requests?limit=2&cursor={}", cursor(&first)),
            "ann",
        )
        .await;
    assert!(with(&second).is_empty(), "{second}");
    assert_eq!(
        with(&door.list("/v1/requests?limit=2", "ann").await),
        ["bob", "zoe"],
        "a fresh first page has it"
    );
}

#[tokio::test]
async fn messages_are_paged_newest_first() {
    let door = door(&[]).await;
    door.register("bob").await;
    let cid = door.sent("bob", "ann", "1").await;
    let _ = door
        .post(
            &format!("/v1/requests/{cid}/accept"),
            &door.member("ann"),
            Value::Null,
        )
        .await
        .expect(200);
    for text in ["2", "3", "4", "5"] {
        door.sent("bob", "ann", text).await;
    }
    let path = format!("/v1/conversations/{cid}/messages?limit=3");
    let first = door.list(&path, "ann").await;
    let numbers = |list: &Value| -> Vec<u64> {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["number"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers(&first), [5, 4, 3]);
    let second = door
        .list(&format!("{path}&cursor={}", cursor(&first)), "ann")
        .await;
    assert_eq!(
        (numbers(&second), &second["next_cursor"]),
        (vec![2, 1], &Value::Null)
    );
}

#[tokio::test]
async fn a_cursor_is_for_its_list_its_reader_and_its_filter() {
    let door = door(&["bob", "eve"]).await;
    let first = door.list("/v1/requests?limit=1", "ann").await;
    let cursor = cursor(&first);
    let bad = (400, "invalid_query".to_owned());
    for path in ["/v1/inbox", "/v1/me/blocks", "/v1/me/reports"] {
        let reply = door
            .get(&format!("{path}?cursor={cursor}"), &door.member("ann"))
            .await;
        assert_eq!(reply.failure(), bad, "{path}");
    }
    let other = door
        .get(
            &format!("/v1/requests?cursor={cursor}"),
            &door.member("bob"),
        )
        .await;
    assert_eq!(other.failure(), bad, "another reader");
    let mut bent = cursor.clone().into_bytes();
    bent[10] = if bent[10] == b'x' { b'y' } else { b'x' };
    let bent = String::from_utf8(bent).unwrap();
    let bent = door
        .get(&format!("/v1/requests?cursor={bent}"), &door.member("ann"))
        .await;
    assert_eq!(bent.failure(), bad);
}

#[tokio::test]
async fn a_cursor_of_the_queue_is_for_one_order() {
    let door = door(&["bob", "eve"]).await;
    let requests = door.list("/v1/requests", "ann").await;
    let mut reported = String::new();
    for request in requests["items"].as_array().unwrap() {
        let report = json!({"conversation_id": request["conversation_id"], "messages": [1], "category": "scam"});
        reported = door
            .post("/v1/reports", &door.member("ann"), report)
            .await
            .expect(201)
            .position();
    }
    let moderator = door.token("mod", &[Role::Moderator]);
    let path = format!("/v1/moderation/queue?limit=1&sort=oldest&min_position={reported}");
    let first = door.get(&path, &moderator).await.expect(200).json();
    assert_eq!(first["items"].as_array().unwrap().len(), 1);
    let cursor = cursor(&first);
    let second = door
        .get(
            &format!("/v1/moderation/queue?limit=1&sort=oldest&cursor={cursor}"),
            &moderator,
        )
        .await;
    assert_eq!(
        second.expect(200).json()["items"].as_array().unwrap().len(),
        1
    );
    for query in [
        "sort=newest",
        "sort=oldest&category=scam",
        "sort=oldest&state=open",
    ] {
        let reply = door
            .get(
                &format!("/v1/moderation/queue?{query}&cursor={cursor}"),
                &moderator,
            )
            .await;
        assert_eq!(
            reply.failure(),
            (400, "invalid_query".to_owned()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_position_is_waited_for_in_the_form_of_the_callers_role() {
    let door = door(&["bob", "eve"]).await;
    for number in 2..=3 {
        let sent = door.send("bob", "ann", "more").await.expect(201);
        let opaque = format!("/v1/requests?min_position={}", sent.position());
        let shown = door.get(&opaque, &door.member("ann")).await.expect(200);
        assert_eq!(shown.json()["items"][0]["last_message"]["number"], number);
        let numeric = format!("/v1/requests?min_position={}", door.position().await);
        for role in [Role::Service, Role::Auditor] {
            let numbers = door.token("ann", &[Role::Member, role]);
            assert_eq!(door.get(&numeric, &numbers).await.status, 200);
        }
    }
}

/// By numbers that are answered, and numbers that are waited for, one finds the end of the log.
#[tokio::test]
async fn a_number_is_no_position_from_who_is_shown_none() {
    let door = door(&["bob"]).await;
    let end = door.position().await.0;
    let moderator = door.token("mod", &[Role::Moderator, Role::Operator]);
    let bob = door.member("bob");
    for (path, token) in [
        ("/v1/inbox", &bob),
        ("/v1/requests", &bob),
        ("/v1/unread", &bob),
        ("/v1/me/blocks", &bob),
        ("/v1/me/reports", &bob),
        ("/v1/me/dm-setting", &bob),
        ("/v1/moderation/queue", &moderator),
    ] {
        let mut answers = Vec::new();
        for number in [0, 1, end - 1, end, end + 1, end + 1_000, u64::MAX] {
            let refused = door
                .get(&format!("{path}?min_position={number}"), token)
                .await;
            assert_eq!(
                refused.failure(),
                (400, "invalid_query".to_owned()),
                "{path} {number}"
            );
            let mut problem = refused.json();
            problem.as_object_mut().unwrap().remove("request_id");
            answers.push(problem);
        }
        let words = answers[0]["detail"].as_str().unwrap();
        assert!(words.contains("as it was received"), "{words}");
        assert!(answers.iter().all(|answer| *answer == answers[0]));
    }
}

#[tokio::test]
async fn no_position_is_made_of_another() {
    let door = door(&["bob"]).await;
    let bob = door.member("bob");
    let known = door.get("/v1/inbox", &bob).await.expect(200).position();
    for at in 0..known.len() {
        for letter in ["A", "B", "w", "_"] {
            let mut made = known.clone();
            made.replace_range(at..=at, letter);
            if made == known {
                continue;
            }
            let refused = door
                .get(&format!("/v1/inbox?min_position={made}"), &bob)
                .await;
            assert_eq!(refused.failure(), (400, "invalid_query".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_position_that_does_not_come_is_behind() {
    let options = Options {
        view_wait: Duration::from_millis(20),
        ..Options::default()
    };
    let door = Door::open_with(Setting {
        api: options,
        ..Setting::default()
    })
    .await;
    door.register("ann").await;
    let far = door.position().await.0 + 1_000;
    let ann = door.token("ann", &[Role::Member, Role::Auditor]);
    for path in [
        "/v1/inbox",
        "/v1/requests",
        "/v1/unread",
        "/v1/me/blocks",
        "/v1/me/reports",
        "/v1/me/dm-setting",
    ] {
        let reply = door.get(&format!("{path}?min_position={far}"), &ann).await;
        assert_eq!(reply.failure(), (503, "view_behind".to_owned()), "{path}");
        assert_eq!(reply.headers["retry-after"], "1");
    }
}

#[tokio::test]
async fn positions_and_cursors_of_another_log_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shared.key");
    std::fs::write(&file, "one secret of two services, long enough").unwrap();
    let setting = || Setting {
        keys: Some(file.clone()),
        ..Setting::default()
    };
    let (here, there) = (
        Door::open_with(setting()).await,
        Door::open_with(setting()).await,
    );
    for door in [&here, &there] {
        for member in ["ann", "bob", "eve"] {
            door.register(member).await;
        }
        door.sent("bob", "ann", "hi").await;
        door.sent("eve", "ann", "hi").await;
    }
    let page = here.list("/v1/requests?limit=1", "ann").await;
    let position = here
        .get("/v1/requests", &here.member("ann"))
        .await
        .position();
    let gone = (410, "other_log".to_owned());
    let ann = there.member("ann");
    assert_eq!(
        there
            .get(&format!("/v1/requests?cursor={}", cursor(&page)), &ann)
            .await
            .failure(),
        gone
    );
    assert_eq!(
        there
            .get(&format!("/v1/requests?min_position={position}"), &ann)
            .await
            .failure(),
        gone
    );
    let events = here
        .get("/v1/events?limit=1", &here.service())
        .await
        .expect(200)
        .json();
    let path = format!("/v1/events?cursor={}", cursor(&events));
    assert_eq!(there.get(&path, &there.service()).await.failure(), gone);
}

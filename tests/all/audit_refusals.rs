//! What auditors are refused: what cannot be asked, what depends on too much, what is asked by too many at once. Nothing of
//! it is recorded as a look.

use api::Role;
use serde_json::Value;
use tests::api::{Door, Setting};

use crate::audit_http::{audit, auditor, disclosures, door};

#[tokio::test]
async fn what_cannot_be_asked_is_told_by_code_and_recorded_by_nothing() {
    let door = door().await;
    let cid = door.sent("bob", "ann", "hi").await;
    let auditor = auditor(&door);
    let end = door.position().await.0;
    let beyond = end + 1;
    let table = [
        ("members/zoe/inbox".to_owned(), 404, "not_found"),
        ("members/zoe/timeline".to_owned(), 404, "not_found"),
        ("members/ann/inbox?as_of=1".to_owned(), 404, "not_found"),
        ("members/ann/inbox?as_of=0".to_owned(), 404, "not_found"),
        (
            "members/ann/inbox?as_of=1969-12-31T23:59:59Z".to_owned(),
            404,
            "not_found",
        ),
        (
            format!("members/ann/inbox?as_of={beyond}"),
            400,
            "as_of_beyond_end",
        ),
        (
            "members/ann/inbox?as_of=2999-01-01T00:00:00Z".to_owned(),
            400,
            "as_of_beyond_end",
        ),
        (
            "members/ann/inbox?as_of=yesterday".to_owned(),
            400,
            "invalid_query",
        ),
        ("members/ann/inbox?as_of=".to_owned(), 400, "invalid_query"),
        ("members/ann/inbox?limit=0".to_owned(), 400, "invalid_query"),
        (
            "members/ann/inbox?cursor=x".to_owned(),
            400,
            "invalid_query",
        ),
        (
            "members/ann/inbox?min_position=1".to_owned(),
            400,
            "invalid_query",
        ),
        (
            "members/ann/inbox?purpose=No%20Code".to_owned(),
            400,
            "invalid_query",
        ),
        ("members/a%20b/inbox".to_owned(), 400, "invalid_member"),
        ("members/ann/diff?from=1".to_owned(), 400, "invalid_query"),
        (
            format!("members/ann/diff?from={end}&to=1"),
            400,
            "invalid_query",
        ),
        (
            format!("members/ann/diff?from=1&to={beyond}"),
            400,
            "as_of_beyond_end",
        ),
        ("members/zoe/diff?from=1&to=2".to_owned(), 404, "not_found"),
        ("conversations/c/messages".to_owned(), 404, "not_found"),
        (
            format!("conversations/{cid}/messages?as_of=3"),
            404,
            "not_found",
        ),
        (
            format!("conversations/{cid}/messages?member=cat"),
            404,
            "not_found",
        ),
        (
            format!("conversations/{cid}/messages?member=a%20b"),
            400,
            "invalid_query",
        ),
        (
            format!("conversations/{cid}/relationship?as_of=3"),
            404,
            "not_found",
        ),
        (format!("conversations/{cid}/explain"), 400, "invalid_query"),
        (
            format!("conversations/{cid}/explain?number=1&command_id=x"),
            400,
            "invalid_query",
        ),
        (
            format!("conversations/{cid}/explain?number=9"),
            404,
            "not_found",
        ),
        (
            format!("conversations/{cid}/explain?command_id=none"),
            404,
            "not_found",
        ),
        ("cases/c".to_owned(), 404, "not_found"),
    ];
    for (path, status, code) in table {
        let reply = door.get(&format!("/v1/audit/{path}"), &auditor).await;
        assert_eq!(
            reply.failure(),
            (status, code.to_owned()),
            "{path}: {}",
            reply.json()
        );
    }
    assert!(
        disclosures(&door).await.is_empty(),
        "nothing was shown, so nothing was recorded"
    );
    let told = door
        .get("/v1/audit/members/ann/inbox?as_of=0", &auditor)
        .await
        .json();
    assert!(
        told["detail"]
            .as_str()
            .unwrap()
            .contains("before the first event"),
        "{told}"
    );
    let told = door
        .get("/v1/audit/members/ann/inbox?as_of=1", &auditor)
        .await
        .json();
    assert!(
        told["detail"]
            .as_str()
            .unwrap()
            .contains("was not known as of position 1"),
        "{told}"
    );
}

#[tokio::test]
async fn a_cursor_is_for_its_list_its_reader_and_its_moment() {
    let door = door().await;
    for other in ["bob", "cat"] {
        let _ = door.send(other, "ann", "hi").await.expect(201);
    }
    let page = audit(&door, "members/ann/requests?limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let ask = async |path: String, token: &str| door.get(&format!("/v1/audit/{path}"), token).await;
    let auditor = auditor(&door);
    let other = door.token("abe", &[Role::Auditor]);
    for (path, token) in [
        (format!("members/ann/inbox?cursor={cursor}"), &auditor),
        (format!("members/bob/requests?cursor={cursor}"), &auditor),
        (format!("members/ann/requests?cursor={cursor}"), &other),
        (
            format!("members/ann/requests?as_of=3&cursor={cursor}"),
            &auditor,
        ),
    ] {
        let refused = ask(path.clone(), token).await;
        assert_eq!(
            refused.failure(),
            (400, "invalid_query".to_owned()),
            "{path}"
        );
    }
    let last = ask(
        format!("members/ann/requests?limit=1&cursor={cursor}"),
        &auditor,
    )
    .await;
    let last = last.expect(200).json();
    assert_eq!(
        (
            last["items"].as_array().unwrap().len(),
            &last["next_cursor"]
        ),
        (1, &Value::Null)
    );
}

#[tokio::test]
async fn a_question_that_depends_on_too_much_is_refused_and_nothing_of_it_shown() {
    let past = projections::Bounds {
        events_max: 8,
        ..projections::Bounds::default()
    };
    let api = api::Options {
        past,
        ..api::Options::default()
    };
    let door = Door::open_with(Setting {
        api,
        ..Setting::default()
    })
    .await;
    for member in ["ann", "bob"] {
        door.register(member).await;
    }
    let ask = async |path: &str| {
        door.get(&format!("/v1/audit/members/{path}"), &auditor(&door))
            .await
    };
    let _ = ask("ann/requests").await.expect(200);
    let cid = door.sent("bob", "ann", "hi").await;
    let ann = door.member("ann");
    let _ = door
        .post(&format!("/v1/requests/{cid}/accept"), &ann, Value::Null)
        .await
        .expect(200);
    for number in 0..6 {
        let _ = door
            .send("bob", "ann", &format!("message {number}"))
            .await
            .expect(201);
    }
    for path in ["ann/requests", "bob/timeline", "ann/diff?from=1&to=12"] {
        let refused = ask(path).await;
        assert_eq!(
            refused.failure(),
            (422, "audit_too_large".to_owned()),
            "{path}"
        );
    }
    let _ = ask("ann/requests?as_of=7").await.expect(200);
    assert_eq!(disclosures(&door).await.len(), 2);
}

#[tokio::test]
async fn as_many_as_ask_at_once_are_answered_or_told_to_come_again() {
    let door = door().await;
    let _ = door.send("bob", "ann", "hi").await.expect(201);
    let auditor = auditor(&door);
    let asking = (0..24).map(|_| door.get("/v1/audit/members/ann/requests", &auditor));
    let replies = futures::future::join_all(asking).await;
    let mut answered = 0;
    for reply in replies {
        if reply.status == 200 {
            assert_eq!(reply.json()["items"].as_array().unwrap().len(), 1);
            answered += 1;
        } else {
            assert_eq!(reply.failure(), (503, "busy".to_owned()));
            assert_eq!(reply.headers["retry-after"], "1");
        }
    }
    assert!(answered > 0);
    assert_eq!(
        disclosures(&door).await.len(),
        answered,
        "what was not answered was not looked at"
    );
}

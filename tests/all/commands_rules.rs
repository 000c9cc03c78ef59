//! The main job through the write side, on a real store: what is sent, accepted, deleted and reported is in the log.

use commands::{Answer, Command, Kind};
use domain::case::Category;
use domain::conversation::{Also, DeleteMode};
use tests::commands::{Desk, code, message, number, with};

fn report(other: &str, messages: Vec<u64>, also: Also) -> Command {
    Command::ReportMessage {
        target: with(other),
        messages,
        category: Category::Spam,
        comment: String::new(),
        also,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_message_waits_and_is_accepted() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let sent = desk.message("bob", "ann", "hi").await;
    assert_eq!(number(&sent), 1);
    assert_eq!(desk.count("request-opened.v1").await, 1);
    assert_eq!(desk.count("request-slot-taken.v1").await, 1);

    let accepted = desk
        .send(
            "ann",
            Command::AcceptRequest {
                target: with("bob"),
            },
        )
        .await
        .unwrap();
    assert_eq!(accepted.kind, Kind::Done);
    let again = desk
        .send(
            "ann",
            Command::AcceptRequest {
                target: with("bob"),
            },
        )
        .await
        .unwrap();
    assert_eq!(
        (again.kind, again.position),
        (Kind::Unchanged, accepted.position)
    );
    assert_eq!(number(&desk.message("bob", "ann", "thanks").await), 2);
    assert_eq!(number(&desk.message("ann", "bob", "welcome").await), 3);
    assert_eq!(
        desk.count("request-slot-taken.v1").await,
        1,
        "one first contact"
    );
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_is_not_accepted_and_the_sender_learns_nothing() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    desk.message("bob", "ann", "hi").await.unwrap();
    desk.send(
        "ann",
        Command::DeleteRequest {
            target: with("bob"),
            mode: DeleteMode::Quiet,
        },
    )
    .await
    .unwrap();
    let late = desk
        .send(
            "ann",
            Command::AcceptRequest {
                target: with("bob"),
            },
        )
        .await;
    assert_eq!(code(&late), "request_not_pending");
    assert_eq!(code(&desk.message("bob", "ann", "hello?").await), "ok");
    assert_eq!(desk.count("message-withheld.v1").await, 1);
    assert_eq!(desk.count("command-refused.v2").await, 1);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_copies_its_evidence_and_opens_a_case_once() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    for text in ["one", "two", "three"] {
        desk.message("bob", "ann", text).await.unwrap();
    }
    desk.send(
        "bob",
        Command::UnsendMessage {
            target: with("ann"),
            number: 2,
        },
    )
    .await
    .unwrap();
    let first = desk
        .send("ann", report("bob", vec![1, 2], Also::None))
        .await
        .unwrap();
    let Answer::Reported {
        report: first_id,
        new: true,
        ..
    } = first.answer
    else {
        panic!("{first:?}")
    };
    let again = desk
        .send("ann", report("bob", vec![2], Also::None))
        .await
        .unwrap();
    let Answer::Reported {
        report: again_id,
        new: false,
        ..
    } = again.answer
    else {
        panic!("{again:?}")
    };
    assert_eq!(
        (again.kind, again_id, again.position),
        (Kind::Unchanged, first_id, first.position)
    );
    let more = desk
        .send("ann", report("bob", vec![2, 3], Also::Block))
        .await
        .unwrap();
    assert_eq!(more.kind, Kind::Done);

    desk.handler.drain_reactors().await.unwrap();
    desk.store
        .wait_durable(desk.store.durable_position())
        .await
        .unwrap();
    let log = desk.log().await;
    let reports: Vec<_> = log
        .iter()
        .filter(|record| record.event_type() == "messages-reported.v1")
        .collect();
    let texts = |index: usize| {
        let data: serde_json::Value = serde_json::from_slice(reports[index].data()).unwrap();
        let texts = data["messages"].as_array().unwrap().iter();
        texts
            .map(|message| message["text"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (texts(0), texts(1)),
        (vec!["one".into(), "two".into()], vec!["three".to_owned()])
    );
    assert_eq!(desk.count("member-blocked.v1").await, 1);
    assert_eq!(desk.count("report-counted.v1").await, 2);
    let desk = desk.reopen().await;
    desk.handler.drain_reactors().await.unwrap();
    assert_eq!(desk.count("case-opened.v1").await, 1);
    assert_eq!(desk.count("report-joined.v2").await, 2);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_to_a_conversation_find_nothing_and_leave_no_trace() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob", "eve"]).await;
    desk.message("bob", "ann", "hi").await.unwrap();
    let before = desk.log().await.len();
    let conversation = domain::ids::ConversationId::of(
        &tests::commands::member("ann"),
        &tests::commands::member("bob"),
    );
    let target = commands::Target::Conversation(conversation);
    for command in [
        Command::AcceptRequest {
            target: target.clone(),
        },
        Command::DeleteRequest {
            target: target.clone(),
            mode: DeleteMode::Final,
        },
        Command::UnsendMessage {
            target: target.clone(),
            number: 1,
        },
        Command::MarkRead {
            target: target.clone(),
            up_to: 1,
        },
    ] {
        assert_eq!(code(&desk.send("eve", command).await), "not found");
    }
    assert_eq!(
        code(
            &desk
                .send(
                    "eve",
                    Command::AcceptRequest {
                        target: with("zoe")
                    }
                )
                .await
        ),
        "not found"
    );
    assert_eq!(desk.log().await.len(), before);
    desk.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_of_an_unknown_id_is_like_any_other() {
    let desk = Desk::open().await;
    desk.members(&["ann", "bob"]).await;
    let known = desk
        .send(
            "ann",
            Command::BlockMember {
                other: tests::commands::member("bob"),
            },
        )
        .await
        .unwrap();
    let unknown = desk
        .send(
            "ann",
            Command::BlockMember {
                other: tests::commands::member("ghost"),
            },
        )
        .await
        .unwrap();
    assert_eq!((known.kind, &known.answer), (unknown.kind, &unknown.answer));
    assert_eq!(
        code(&desk.send("bob", message("ann", "hi")).await),
        "not_allowed"
    );
    let never = desk
        .send(
            "ann",
            Command::UnblockMember {
                other: tests::commands::member("zoe"),
            },
        )
        .await
        .unwrap();
    assert_eq!((never.kind, never.position.0), (Kind::Unchanged, 0));
    desk.handler.stop().await;
}

//! The messages of a conversation as each of the two sees them, in every state of a request.

use domain::conversation::DeleteMode;
use domain::time::Timestamp;
use projections::{MessageItem, PageRequest, QueryError};
use tests::views::{World, conversation_of, id};

/// What a member sees of a conversation, newest first: number, and text unless unsent. None where it does not exist.
async fn seen(world: &World, member: &str, other: &str) -> Option<Vec<(u64, Option<String>)>> {
    items(world, member, other).await.map(|items| {
        items
            .into_iter()
            .map(|item| (item.number, item.text))
            .collect()
    })
}

async fn items(world: &World, member: &str, other: &str) -> Option<Vec<MessageItem>> {
    let reads = world.reads().await;
    let page = PageRequest::default();
    match reads
        .messages(
            &id(member),
            conversation_of(member, other),
            &page,
            Timestamp(world.now),
        )
        .await
    {
        Ok(page) => Some(page.items),
        Err(QueryError::NotFound) => None,
        Err(error) => panic!("{error}"),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "compared with what is seen, which may be nothing"
)]
fn texts(list: &[(u64, &str)]) -> Option<Vec<(u64, Option<String>)>> {
    Some(
        list.iter()
            .map(|(number, text)| (*number, Some((*text).to_owned())))
            .collect(),
    )
}

#[tokio::test]
async fn shows_the_messages_newest_first_to_both() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    world.send("bob", "ann", "one").unwrap();
    world.now += 1;
    world.send("ann", "bob", "two").unwrap();
    for (member, other) in [("ann", "bob"), ("bob", "ann")] {
        assert_eq!(
            seen(&world, member, other).await,
            texts(&[(2, "two"), (1, "one")])
        );
    }
    let items = items(&world, "ann", "bob").await.unwrap();
    assert_eq!((&items[0].from, &items[1].from), (&id("ann"), &id("bob")));
    assert_eq!(items[0].sent_at, Timestamp(world.now));
    assert_eq!(items[1].sent_at, Timestamp(world.now - 1));
    let reads = world.reads().await;
    let foreign = reads
        .messages(
            &id("cleo"),
            conversation_of("ann", "bob"),
            &PageRequest::default(),
            Timestamp(world.now),
        )
        .await;
    assert!(matches!(foreign, Err(QueryError::NotFound)));
    world.check();
}

#[tokio::test]
async fn pages_by_number() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    for number in 0..23 {
        world.send("bob", "ann", &format!("m{number}")).unwrap();
        world.read("ann", "bob", number + 1).unwrap();
    }
    let reads = world.reads().await;
    let (mut cursor, mut numbers) = (None, Vec::new());
    loop {
        let request = PageRequest::new(10, cursor).unwrap();
        let page = reads
            .messages(
                &id("ann"),
                conversation_of("ann", "bob"),
                &request,
                Timestamp(world.now),
            )
            .await
            .unwrap();
        for item in page.items {
            assert_eq!(item.text, Some(format!("m{}", item.number - 1)));
            numbers.push(item.number);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(numbers, (1..=23).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn never_shows_a_withheld_message_to_its_recipient() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.block("ann", "bob").unwrap();
    assert_eq!(world.send("bob", "ann", "withheld"), Ok(2));
    assert_eq!(
        seen(&world, "bob", "ann").await,
        texts(&[(2, "withheld"), (1, "one")])
    );
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.unblock("ann", "bob").unwrap();
    world.accept("ann", "bob").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.send("ann", "bob", "three").unwrap();
    assert_eq!(
        seen(&world, "ann", "bob").await,
        texts(&[(3, "three"), (1, "one")])
    );
    world.check();
}

#[tokio::test]
async fn keeps_what_a_cooldown_withholds_from_acceptance_and_restore() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.delete("ann", "bob", DeleteMode::Quiet).unwrap();
    world.send("bob", "ann", "withheld").unwrap();
    world.restore("ann", "bob").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.accept("ann", "bob").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.check();
}

#[tokio::test]
async fn is_readable_while_pending_frozen_blocked_or_restorable_and_then_no_more() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.suspend("bob");
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.block("ann", "bob").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.delete("ann", "bob", DeleteMode::Quiet).unwrap();
    world.wait_days(30);
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    world.now += 1;
    assert_eq!(seen(&world, "ann", "bob").await, None);
    assert_eq!(seen(&world, "bob", "ann").await, texts(&[(1, "one")]));
    world.check();
}

#[tokio::test]
async fn shows_of_a_reopened_request_only_what_came_since() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.delete("ann", "bob", DeleteMode::Quiet).unwrap();
    world.wait_days(8);
    world.send("bob", "ann", "two").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(2, "two")]));
    world.restore("ann", "bob").unwrap();
    assert_eq!(
        seen(&world, "ann", "bob").await,
        texts(&[(2, "two"), (1, "one")])
    );
    world.check();
}

#[tokio::test]
async fn shows_the_deleted_part_again_once_accepted() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.delete("ann", "bob", DeleteMode::Quiet).unwrap();
    world.wait_days(40);
    world.send("bob", "ann", "two").unwrap();
    world.send("ann", "bob", "three").unwrap();
    assert_eq!(
        seen(&world, "ann", "bob").await,
        texts(&[(3, "three"), (2, "two"), (1, "one")])
    );
    world.check();
}

#[tokio::test]
async fn loses_what_is_unsent_in_a_request_and_shows_as_unsent_what_is_not() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("bob", "ann", "two").unwrap();
    world.unsend("bob", "ann", 1).unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(2, "two")]));
    assert_eq!(
        seen(&world, "bob", "ann").await,
        Some(vec![(2, Some("two".into())), (1, None)])
    );
    world.accept("ann", "bob").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(2, "two")]));
    world.now += 7;
    world.unsend("bob", "ann", 2).unwrap();
    let items = items(&world, "ann", "bob").await.unwrap();
    assert_eq!(
        (items[0].number, &items[0].text, items[0].unsent_at),
        (2, &None, Some(Timestamp(world.now)))
    );
    world.check();
}

#[tokio::test]
async fn does_not_exist_once_all_of_a_request_is_unsent() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.unsend("bob", "ann", 1).unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, None);
    assert_eq!(seen(&world, "bob", "ann").await, Some(vec![(1, None)]));
    world.send("bob", "ann", "two").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(2, "two")]));
    world.check();
}

#[tokio::test]
async fn shows_a_thread_that_was_moved_to_requests_whole() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    world.send("bob", "ann", "one").unwrap();
    world.send("ann", "bob", "two").unwrap();
    world.move_to_requests("ann", "bob").unwrap();
    assert_eq!(
        seen(&world, "ann", "bob").await,
        texts(&[(2, "two"), (1, "one")])
    );
    assert_eq!(
        seen(&world, "bob", "ann").await,
        texts(&[(2, "two"), (1, "one")])
    );
    world.check();
}

/// A removed message keeps its number and its place in every list; only what it said is gone, once, for both.
#[tokio::test]
async fn shows_a_removed_message_in_its_place_without_what_it_said() {
    let mut world = World::open(&["ann", "bob"]);
    for text in ["one", "two"] {
        world.send("bob", "ann", text).unwrap();
    }
    world.remove("bob", "ann", 7, &[2]);
    world.remove("bob", "ann", 7, &[1]);
    let gone = Some(vec![(2, None), (1, Some("one".to_owned()))]);
    for (member, other) in [("ann", "bob"), ("bob", "ann")] {
        assert_eq!(seen(&world, member, other).await, gone, "{member}, once");
    }
    let removed = items(&world, "ann", "bob").await.unwrap();
    assert_eq!(removed[0].removed_at, Some(Timestamp(world.now)));
    world.check();
    // Unsent after all, it leaves the request as any other does.
    world.unsend("bob", "ann", 2).unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, texts(&[(1, "one")]));
    assert_eq!(seen(&world, "bob", "ann").await, gone);
    world.remove("bob", "ann", 9, &[1]);
    world.accept("ann", "bob").unwrap();
    assert_eq!(seen(&world, "ann", "bob").await, Some(vec![(1, None)]));
    world.check();
}

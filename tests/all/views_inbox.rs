//! The inbox, what is unread in it, and the blocked: given what members did, then what each of them sees.

use domain::conversation::{DeleteMode, RelationshipKind};
use domain::member::AgeBand;
use domain::rejection::Code;
use domain::time::Timestamp;
use projections::{Cursor, InboxItem, PageRequest, QueryError, ReadSide, ViewName};
use tests::views::{World, conversation_of, id};

async fn inbox(reads: &ReadSide, member: &str) -> Vec<InboxItem> {
    reads
        .inbox(&id(member), &PageRequest::default())
        .await
        .unwrap()
        .items
}

/// The others in a member's inbox with the last message's text and the number of unread ones.
async fn rows(world: &World, member: &str) -> Vec<(String, Option<String>, u64)> {
    let reads = world.reads().await;
    inbox(&reads, member)
        .await
        .into_iter()
        .map(|item| (item.with.to_string(), item.last_message.text, item.unread))
        .collect()
}

fn row(with: &str, text: &str, unread: u64) -> (String, Option<String>, u64) {
    (with.to_owned(), Some(text.to_owned()), unread)
}

async fn unread(world: &World, member: &str) -> (u64, u64) {
    let unread = world.reads().await.unread(&id(member)).await.unwrap().value;
    (unread.inbox, unread.requests)
}

#[tokio::test]
async fn has_the_conversation_for_its_sender_from_the_first_message_on() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "hi").unwrap();
    assert_eq!(rows(&world, "bob").await, [row("ann", "hi", 0)]);
    assert_eq!(rows(&world, "ann").await, []);
    world.check();
}

#[tokio::test]
async fn tells_all_of_an_item() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    world.send("bob", "ann", "hi").unwrap();
    world.now += 5;
    world.send("bob", "ann", "still there?").unwrap();
    world.mute("ann", "bob").unwrap();
    let reads = world.reads().await;
    let page = reads
        .inbox(&id("ann"), &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(page.position, world.position());
    assert_eq!(page.next, None);
    let [item] = &page.items[..] else {
        panic!("one item")
    };
    assert_eq!(item.conversation_id, conversation_of("ann", "bob"));
    assert_eq!(item.with, id("bob"));
    assert_eq!(item.last_message.number, 2);
    assert_eq!(item.last_message.from, id("bob"));
    assert_eq!(item.last_message.text.as_deref(), Some("still there?"));
    assert_eq!(item.last_message.sent_at, Timestamp(world.now));
    assert_eq!(item.unread, 2);
    assert!(item.muted);
    world.unmute("ann", "bob").unwrap();
    assert!(!inbox(&world.reads().await, "ann").await[0].muted);
    world.check();
}

#[tokio::test]
async fn has_an_accepted_request_with_its_last_message() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("bob", "ann", "two").unwrap();
    world.accept("ann", "bob").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "two", 2)]);
    assert_eq!(rows(&world, "bob").await, [row("ann", "two", 0)]);
    world.check();
}

#[tokio::test]
async fn has_a_request_that_is_answered() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("ann", "bob", "two").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "two", 1)]);
    assert_eq!(rows(&world, "bob").await, [row("ann", "two", 1)]);
    world.check();
}

#[tokio::test]
async fn is_ordered_by_the_last_message() {
    let mut world = World::open(&["ann", "bob", "cleo", "dan"]);
    for other in ["bob", "cleo", "dan"] {
        world.befriend("ann", other);
        world.send(other, "ann", "hi").unwrap();
    }
    world.send("bob", "ann", "again").unwrap();
    assert_eq!(
        rows(&world, "ann").await,
        [
            row("bob", "again", 2),
            row("dan", "hi", 1),
            row("cleo", "hi", 1)
        ]
    );
    world.check();
}

#[tokio::test]
async fn shows_an_unsent_message_in_its_place_without_its_text() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    for other in ["bob", "cleo"] {
        world.befriend("ann", other);
        world.send(other, "ann", "hi").unwrap();
    }
    world.send("bob", "ann", "oh no").unwrap();
    world.unsend("bob", "ann", 2).unwrap();
    assert_eq!(
        rows(&world, "ann").await,
        [("bob".into(), None, 2), row("cleo", "hi", 1)]
    );
    assert_eq!(rows(&world, "bob").await, [("ann".into(), None, 0)]);
    world.check();
}

#[tokio::test]
async fn tells_nothing_of_a_withheld_message_to_its_recipient() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    world.send("bob", "ann", "one").unwrap();
    world.send("ann", "bob", "two").unwrap();
    world.block("ann", "bob").unwrap();
    world.send("bob", "ann", "withheld").unwrap();
    assert_eq!(rows(&world, "bob").await, [row("ann", "withheld", 1)]);
    assert_eq!(rows(&world, "ann").await, []);
    world.unblock("ann", "bob").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "two", 1)]);
    world.send("bob", "ann", "delivered").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "delivered", 2)]);
    world.check();
}

#[tokio::test]
async fn loses_a_blocked_conversation_to_the_blocked_and_gets_it_back() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.accept("ann", "bob").unwrap();
    assert_eq!(unread(&world, "ann").await, (1, 0));
    world.block("ann", "bob").unwrap();
    assert_eq!(rows(&world, "ann").await, []);
    assert_eq!(unread(&world, "ann").await, (0, 0));
    assert_eq!(rows(&world, "bob").await, [row("ann", "one", 0)]);
    let reads = world.reads().await;
    let now = Timestamp(world.now);
    let blocks = reads
        .blocks(&id("ann"), &PageRequest::default(), now)
        .await
        .unwrap()
        .items;
    assert_eq!(blocks.len(), 1);
    assert_eq!(blocks[0].member, id("bob"));
    assert_eq!(
        blocks[0].conversation_id,
        Some(conversation_of("ann", "bob"))
    );
    assert_eq!(blocks[0].since, now);
    assert_eq!(
        reads
            .messages(
                &id("ann"),
                conversation_of("ann", "bob"),
                &PageRequest::default(),
                now
            )
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    world.unblock("ann", "bob").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "one", 1)]);
    assert_eq!(unread(&world, "ann").await, (1, 0));
    assert!(
        world
            .reads()
            .await
            .blocks(&id("ann"), &PageRequest::default(), now)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    world.check();
}

#[tokio::test]
async fn names_no_conversation_for_a_block_without_a_visible_message() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    world.block("ann", "bob").unwrap();
    world.block("ann", "nobody").unwrap();
    world.send("cleo", "ann", "hi").unwrap();
    world.delete("ann", "cleo", DeleteMode::Final).unwrap();
    world.block("ann", "cleo").unwrap();
    let items = async |world: &World| {
        let reads = world.reads().await;
        let page = reads
            .blocks(&id("ann"), &PageRequest::default(), Timestamp(world.now))
            .await
            .unwrap();
        page.items
            .into_iter()
            .map(|item| (item.member.to_string(), item.conversation_id.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        items(&world).await,
        [
            ("cleo".into(), true),
            ("nobody".into(), false),
            ("bob".into(), false)
        ]
    );
    world.wait_days(31);
    assert_eq!(
        items(&world).await,
        [
            ("cleo".into(), false),
            ("nobody".into(), false),
            ("bob".into(), false)
        ]
    );
    world.check();
}

#[tokio::test]
async fn counts_what_lies_above_the_read_mark() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    for number in 1..=150_u64 {
        let (from, to) = if number % 3 == 0 {
            ("ann", "bob")
        } else {
            ("bob", "ann")
        };
        assert_eq!(world.send(from, to, "hm").unwrap(), number);
    }
    for mark in [1, 2, 3, 63, 64, 65, 127, 128, 149, 150] {
        world.read("ann", "bob", mark).unwrap();
        let above = (mark + 1..=150).filter(|number| number % 3 != 0).count() as u64;
        assert_eq!(rows(&world, "ann").await[0].2, above, "above {mark}");
        assert_eq!(unread(&world, "ann").await.0, u64::from(above > 0));
    }
    world.read("bob", "ann", 100).unwrap();
    assert_eq!(rows(&world, "bob").await[0].2, 17);
    world.check();
}

#[tokio::test]
async fn counts_conversations_and_not_messages_as_unread() {
    let mut world = World::open(&["ann", "bob", "cleo", "dan"]);
    world.befriend("ann", "bob");
    world.send("bob", "ann", "one").unwrap();
    world.send("bob", "ann", "two").unwrap();
    world.send("cleo", "ann", "one").unwrap();
    world.send("cleo", "ann", "two").unwrap();
    world.send("dan", "ann", "one").unwrap();
    assert_eq!(unread(&world, "ann").await, (1, 2));
    world.read("ann", "cleo", 2).unwrap();
    world.read("ann", "bob", 1).unwrap();
    assert_eq!(unread(&world, "ann").await, (1, 1));
    world.read("ann", "bob", 2).unwrap();
    world.delete("ann", "dan", DeleteMode::Quiet).unwrap();
    assert_eq!(unread(&world, "ann").await, (0, 0));
    world.restore("ann", "dan").unwrap();
    assert_eq!(unread(&world, "ann").await, (0, 1));
    world.check();
}

#[tokio::test]
async fn does_not_repeat_an_item_that_moves_up_while_one_pages() {
    let mut world = World::open(&["ann"]);
    for number in 0..25 {
        let other = format!("m{number:02}");
        world.register(&other, AgeBand::Adult);
        world.befriend("ann", &other);
        world.send(&other, "ann", "hi").unwrap();
    }
    let reads = world.reads().await;
    let first = reads
        .inbox(&id("ann"), &PageRequest::first(10).unwrap())
        .await
        .unwrap();
    assert_eq!(first.items.len(), 10);
    assert_eq!(first.items[0].with, id("m24"));

    world.send("m02", "ann", "up").unwrap();
    let reads = world.reads().await;
    let cursor = Cursor::from_bytes(&first.next.unwrap().to_bytes()).unwrap();
    let second = reads
        .inbox(&id("ann"), &PageRequest::new(10, Some(cursor)).unwrap())
        .await
        .unwrap();
    let third = reads
        .inbox(
            &id("ann"),
            &PageRequest::new(10, second.next.clone()).unwrap(),
        )
        .await
        .unwrap();
    let with: Vec<_> = second
        .items
        .iter()
        .chain(&third.items)
        .map(|item| item.with.to_string())
        .collect();
    let expected: Vec<_> = (0..15)
        .rev()
        .filter(|number| *number != 2)
        .map(|number| format!("m{number:02}"))
        .collect();
    assert_eq!(with, expected);
    assert_eq!(third.next, None);
    assert_eq!(
        reads
            .inbox(&id("ann"), &PageRequest::default())
            .await
            .unwrap()
            .items[0]
            .with,
        id("m02")
    );
}

#[tokio::test]
async fn refuses_cursors_of_other_lists_and_logs() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "hi").unwrap();
    let reads = world.reads().await;
    let cursor = |view, log_id: u128| Cursor {
        log_id: event_store::LogId(uuid::Uuid::from_u128(log_id)),
        view,
        key: vec![0; 8],
    };
    let of = async |cursor| {
        reads
            .inbox(&id("bob"), &PageRequest::new(1, Some(cursor)).unwrap())
            .await
    };
    assert!(matches!(
        of(cursor(ViewName::Requests, 0)).await,
        Err(QueryError::BadCursor)
    ));
    assert!(matches!(
        of(cursor(ViewName::Inbox, 1)).await,
        Err(QueryError::OtherLog)
    ));
    assert!(matches!(
        of(Cursor {
            key: vec![1],
            ..cursor(ViewName::Inbox, 0)
        })
        .await,
        Err(QueryError::BadCursor)
    ));
    assert!(of(cursor(ViewName::Inbox, 0)).await.is_ok());
    assert!(matches!(
        Cursor::from_bytes(b"short"),
        Err(QueryError::BadCursor)
    ));
    assert!(matches!(PageRequest::first(0), Err(QueryError::BadLimit)));
    assert!(matches!(PageRequest::first(201), Err(QueryError::BadLimit)));
}

#[tokio::test]
async fn keeps_the_thread_of_one_who_is_unfollowed_and_refused() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    world.send("bob", "ann", "one").unwrap();
    world.audience("ann", domain::policy::Audience::NoOne);
    world.relate(RelationshipKind::Unfollow, "ann", "bob");
    assert_eq!(world.send("bob", "ann", "two"), Err(Code::NotAllowed));
    assert_eq!(rows(&world, "ann").await, [row("bob", "one", 1)]);
    world.check();
}

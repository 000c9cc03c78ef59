//! The doorstep: who waits on it, who is frozen and comes back, and that freezing writes nothing.

use domain::conversation::{DeleteMode, RelationshipKind};
use domain::member::{AgeBand, Restriction};
use domain::policy::{Admission, Audience, Rules};
use domain::time::Timestamp;
use projections::{PageRequest, Relationship, RequestItem};
use tests::views::{World, conversation_of, id};

async fn items(world: &World, member: &str) -> Vec<RequestItem> {
    world
        .reads()
        .await
        .requests(&id(member), &PageRequest::default())
        .await
        .unwrap()
        .items
}

/// The others on a member's doorstep, with the last text and how many messages wait.
async fn rows(world: &World, member: &str) -> Vec<(String, Option<String>, u64)> {
    let row = |item: RequestItem| (item.with.to_string(), item.last_message.text, item.messages);
    items(world, member).await.into_iter().map(row).collect()
}

fn row(with: &str, text: &str, messages: u64) -> (String, Option<String>, u64) {
    (with.to_owned(), Some(text.to_owned()), messages)
}

async fn with(world: &World, member: &str) -> Vec<String> {
    items(world, member)
        .await
        .into_iter()
        .map(|item| item.with.to_string())
        .collect()
}

async fn unread(world: &World, member: &str) -> (u64, u64) {
    let unread = world.reads().await.unread(&id(member)).await.unwrap().value;
    (unread.inbox, unread.requests)
}

async fn inbox(world: &World, member: &str) -> usize {
    world
        .reads()
        .await
        .inbox(&id(member), &PageRequest::default())
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn has_a_stranger_who_writes() {
    let mut world = World::open(&["ann", "bob"]);
    world.relate(RelationshipKind::Follow, "bob", "ann");
    world.relate(RelationshipKind::Suggest, "ann", "bob");
    world.send("bob", "ann", "hi").unwrap();
    let opened_at = Timestamp(world.now);
    world.now += 9;
    world.send("bob", "ann", "hello?").unwrap();
    let reads = world.reads().await;
    let page = reads
        .requests(&id("ann"), &PageRequest::default())
        .await
        .unwrap();
    assert_eq!((page.position, page.next), (world.position(), None));
    let [item] = &page.items[..] else {
        panic!("one item")
    };
    assert_eq!(item.conversation_id, conversation_of("ann", "bob"));
    assert_eq!(item.with, id("bob"));
    assert_eq!(item.last_message.number, 2);
    assert_eq!(item.last_message.from, id("bob"));
    assert_eq!(item.last_message.text.as_deref(), Some("hello?"));
    assert_eq!(item.last_message.sent_at, Timestamp(world.now));
    assert_eq!(item.opened_at, opened_at);
    assert_eq!(item.messages, 2);
    assert_eq!(
        item.relationship,
        Relationship {
            you_follow: false,
            follows_you: true,
            suggested: true
        }
    );
    assert_eq!(inbox(&world, "ann").await, 0);
    assert!(rows(&world, "bob").await.is_empty());
    world.check();
}

#[tokio::test]
async fn loses_a_request_by_acceptance_reply_and_deletion() {
    let mut world = World::open(&["ann", "bob", "cleo", "dan"]);
    for other in ["bob", "cleo", "dan"] {
        world.send(other, "ann", "hi").unwrap();
    }
    assert_eq!(with(&world, "ann").await, ["dan", "cleo", "bob"]);
    world.accept("ann", "bob").unwrap();
    world.send("ann", "cleo", "hi yourself").unwrap();
    world.delete("ann", "dan", DeleteMode::Quiet).unwrap();
    assert!(rows(&world, "ann").await.is_empty());
    assert_eq!(inbox(&world, "ann").await, 2);
    assert_eq!(unread(&world, "ann").await, (2, 0));
    world.restore("ann", "dan").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("dan", "hi", 1)]);
    world.check();
}

#[tokio::test]
async fn shows_a_reopened_request_with_what_came_since() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.delete("ann", "bob", DeleteMode::Quiet).unwrap();
    world.send("bob", "ann", "withheld").unwrap();
    assert!(rows(&world, "ann").await.is_empty());
    world.wait_days(7);
    world.send("bob", "ann", "three").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "three", 1)]);
    world.restore("ann", "bob").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "three", 2)]);
    world.check();
}

#[tokio::test]
async fn loses_an_unsent_message_and_with_the_last_one_the_request() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("bob", "ann", "two").unwrap();
    world.unsend("bob", "ann", 2).unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "one", 1)]);
    assert_eq!(unread(&world, "ann").await, (0, 1));
    world.unsend("bob", "ann", 1).unwrap();
    assert!(rows(&world, "ann").await.is_empty());
    assert_eq!(unread(&world, "ann").await, (0, 0));
    world.send("bob", "ann", "three").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "three", 1)]);
    world.check();
}

#[tokio::test]
async fn counts_a_moved_thread_from_the_move_on() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("ann", "bob", "two").unwrap();
    world.now += 5;
    world.move_to_requests("ann", "bob").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "two", 0)]);
    assert_eq!(inbox(&world, "ann").await, 0);
    assert_eq!(
        items(&world, "ann").await[0].opened_at,
        Timestamp(world.now)
    );
    world.send("bob", "ann", "three").unwrap();
    assert_eq!(rows(&world, "ann").await, [row("bob", "three", 1)]);
    assert_eq!(inbox(&world, "bob").await, 1);
    world.send("ann", "bob", "four").unwrap();
    assert!(rows(&world, "ann").await.is_empty());
    assert_eq!(inbox(&world, "ann").await, 1);
    world.check();
}

#[tokio::test]
async fn freezes_and_thaws_by_the_audience_without_an_event_per_request() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    world.send("bob", "ann", "hi").unwrap();
    world.relate(RelationshipKind::Suggest, "ann", "cleo");
    world.send("cleo", "ann", "hi").unwrap();
    for (audience, expected) in [
        (Audience::FriendsAndSuggested, &["cleo"][..]),
        (Audience::Following, &[]),
        (Audience::Friends, &[]),
        (Audience::NoOne, &[]),
        (Audience::Everyone, &["cleo", "bob"]),
    ] {
        let before = world.events().len();
        world.audience("ann", audience);
        assert_eq!(world.events().len(), before + 1);
        assert_eq!(with(&world, "ann").await, expected, "{audience:?}");
        assert_eq!(unread(&world, "ann").await, (0, expected.len() as u64));
    }
    world.check();
}

#[tokio::test]
async fn freezes_and_thaws_by_the_senders_suspension() {
    let mut world = World::open(&["ann", "bob", "cleo", "dan"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("cleo", "ann", "one").unwrap();
    world.send("bob", "dan", "one").unwrap();
    world.suspend("bob");
    assert_eq!(with(&world, "ann").await, ["cleo"]);
    assert!(with(&world, "dan").await.is_empty());
    assert_eq!(unread(&world, "dan").await, (0, 0));
    world.reinstate("bob");
    assert_eq!(with(&world, "ann").await, ["cleo", "bob"]);
    assert_eq!(rows(&world, "dan").await, [row("bob", "one", 1)]);
    assert_eq!(unread(&world, "dan").await, (0, 1));
    world.check();
}

/// Each decision holds by itself; the last one that ends lets the requests come back, and a limit freezes none.
#[tokio::test]
async fn freezes_and_thaws_by_decisions_on_the_sender() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("cleo", "ann", "one").unwrap();
    let end = Timestamp(world.now + 7 * 24 * 60 * 60 * 1000);
    let later = Timestamp(end.0 + 24 * 60 * 60 * 1000);
    world.restrict("d1", "cleo", Restriction::Limit, Some(end));
    world.restrict("d2", "bob", Restriction::Suspension, Some(end));
    world.restrict("d3", "bob", Restriction::Suspension, Some(later));
    assert_eq!(with(&world, "ann").await, ["cleo"]);
    let suspension = async |world: &World| {
        let member = world.reads().await.member(&id("bob")).await.unwrap().value;
        member.suspension.map(|suspension| suspension.until)
    };
    assert_eq!(suspension(&world).await, Some(Some(later)));
    world.wait_days(7);
    world.end_restriction("d2", "bob");
    world.end_restriction("d1", "cleo");
    assert_eq!(with(&world, "ann").await, ["cleo"]);
    assert_eq!(suspension(&world).await, Some(Some(later)));
    world.wait_days(1);
    world.end_restriction("d3", "bob");
    assert_eq!(with(&world, "ann").await, ["cleo", "bob"]);
    assert_eq!(suspension(&world).await, None);
    world.restrict("d4", "bob", Restriction::Suspension, None);
    world.reinstate("bob");
    assert_eq!(with(&world, "ann").await, ["cleo", "bob"]);
    assert_eq!(suspension(&world).await, None);
    world.check();
}

#[tokio::test]
async fn hides_what_is_moved_to_requests_while_the_sender_is_suspended() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    world.send("bob", "ann", "one").unwrap();
    world.suspend("bob");
    world.move_to_requests("ann", "bob").unwrap();
    assert!(with(&world, "ann").await.is_empty());
    world.reinstate("bob");
    assert_eq!(with(&world, "ann").await, ["bob"]);
    world.check();
}

#[tokio::test]
async fn freezes_by_a_block_and_by_age() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    world.send("bob", "ann", "one").unwrap();
    world.send("cleo", "ann", "one").unwrap();
    world.block("ann", "cleo").unwrap();
    assert_eq!(with(&world, "ann").await, ["bob"]);
    world.unblock("ann", "cleo").unwrap();
    assert_eq!(with(&world, "ann").await, ["cleo", "bob"]);
    world.register("bob", AgeBand::Under16);
    assert_eq!(with(&world, "ann").await, ["cleo"]);
    world.register("bob", AgeBand::Adult);
    assert_eq!(with(&world, "ann").await, ["cleo", "bob"]);
    world.register("ann", AgeBand::Under16);
    assert!(with(&world, "ann").await.is_empty());
    assert_eq!(unread(&world, "ann").await, (0, 0));
    world.register("ann", AgeBand::From16To17);
    assert_eq!(with(&world, "ann").await, ["cleo", "bob"]);
    world.check();
}

#[tokio::test]
async fn follows_the_default_audience_and_the_policy() {
    let mut world = World::open(&["ann", "bob"]);
    world.register("eve", AgeBand::Adult);
    let mut rules = Rules::default();
    rules.audience_table.friends_and_suggested.anyone = Admission::Request;
    world.set_policy(rules.clone());
    world.send("bob", "eve", "hi").unwrap();
    assert_eq!(with(&world, "eve").await, ["bob"]);
    world.set_policy(Rules::default());
    assert!(with(&world, "eve").await.is_empty());
    world.set_policy(Rules {
        default_audience_16_17: Audience::Everyone,
        ..Rules::default()
    });
    world.register("eve", AgeBand::From16To17);
    assert_eq!(with(&world, "eve").await, ["bob"]);
    world.check();
}

#[tokio::test]
async fn follows_the_relationship_of_those_who_wait() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    world.send("bob", "ann", "hi").unwrap();
    world.send("cleo", "ann", "hi").unwrap();
    world.audience("ann", Audience::FriendsAndSuggested);
    assert!(with(&world, "ann").await.is_empty());
    world.relate(RelationshipKind::Suggest, "ann", "bob");
    assert_eq!(with(&world, "ann").await, ["bob"]);
    world.relate(RelationshipKind::Follow, "cleo", "ann");
    assert_eq!(with(&world, "ann").await, ["bob"]);
    world.relate(RelationshipKind::Follow, "ann", "cleo");
    assert_eq!(with(&world, "ann").await, ["cleo", "bob"]);
    let relationship = items(&world, "ann").await[0].relationship;
    assert_eq!(
        relationship,
        Relationship {
            you_follow: true,
            follows_you: true,
            suggested: false
        }
    );
    world.relate(RelationshipKind::Unsuggest, "ann", "bob");
    world.relate(RelationshipKind::Unfollow, "cleo", "ann");
    assert!(with(&world, "ann").await.is_empty());
    world.check();
}

#[tokio::test]
async fn pages_over_several_groups_in_one_order() {
    let mut world = World::open(&["ann"]);
    for number in 0..30 {
        let other = format!("m{number:02}");
        world.register(&other, AgeBand::Adult);
        match number % 3 {
            0 => {}
            1 => world.relate(RelationshipKind::Suggest, "ann", &other),
            _ => world.relate(RelationshipKind::Follow, &other, "ann"),
        }
        world.send(&other, "ann", "hi").unwrap();
        if number % 7 == 0 {
            world.suspend(&other);
        }
    }
    let reads = world.reads().await;
    let (mut cursor, mut found) = (None, Vec::new());
    loop {
        let page = reads
            .requests(&id("ann"), &PageRequest::new(4, cursor).unwrap())
            .await
            .unwrap();
        found.extend(page.items.into_iter().map(|item| item.with.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..30)
        .rev()
        .filter(|number| number % 7 != 0)
        .map(|number| format!("m{number:02}"))
        .collect();
    assert_eq!(found, expected);
    world.check();
}

#[tokio::test]
async fn tells_the_sender_the_same_of_a_request_a_withheld_and_a_delivered_message() {
    let answer = async |world: &World| {
        let reads = world.reads().await;
        let page = PageRequest::default();
        let inbox = reads.inbox(&id("bob"), &page).await.unwrap().items;
        let requests = reads.requests(&id("bob"), &page).await.unwrap().items;
        let unread = reads.unread(&id("bob")).await.unwrap().value;
        let conversation = conversation_of("bob", "ann");
        let messages = reads
            .messages(&id("bob"), conversation, &page, Timestamp(world.now))
            .await
            .unwrap()
            .items;
        (inbox, requests, unread, messages)
    };
    let delivered = {
        let mut world = World::open(&["ann", "bob"]);
        world.befriend("ann", "bob");
        world.send("bob", "ann", "one").unwrap();
        world.send("bob", "ann", "two").unwrap();
        answer(&world).await
    };
    let requested = {
        let mut world = World::open(&["ann", "bob"]);
        world.send("bob", "ann", "one").unwrap();
        world.send("bob", "ann", "two").unwrap();
        answer(&world).await
    };
    let withheld = {
        let mut world = World::open(&["ann", "bob"]);
        world.send("bob", "ann", "one").unwrap();
        world.block("ann", "bob").unwrap();
        world.send("bob", "ann", "two").unwrap();
        answer(&world).await
    };
    assert_eq!(delivered, requested);
    assert_eq!(requested, withheld);
}

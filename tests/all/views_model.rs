//! Random histories: the views against a naive reading of the domain's page, and against the domain's own word on what
//! is frozen and what exists. Then real messages, through the write side and the log on disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::conversation;
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use doorstep::workload::Workload;
use event_store::Position;
use projections::{
    Cursor, DomainCodec, Options, Page, PageRequest, QueryError, ReadSide, Relationship, ViewName,
};
use proptest::prelude::*;
use tests::college;
use tests::commands::Desk;
use tests::views::acts::{Act, MEMBERS, carry_out, steps};
use tests::views::model::{self, Pair, Place};
use tests::views::{World, id};

/// All pages of a list, two items at a time.
pub(crate) async fn all<T>(
    page: impl AsyncFn(PageRequest) -> Result<Page<T>, QueryError>,
) -> Result<Vec<T>, QueryError> {
    let (mut items, mut cursor): (_, Option<Cursor>) = (Vec::new(), None);
    loop {
        let found = page(PageRequest::new(2, cursor).unwrap()).await?;
        items.extend(found.items);
        cursor = found.next;
        if cursor.is_none() {
            return Ok(items);
        }
    }
}

async fn compare(world: &World) {
    let reads = world.reads().await;
    let pairs = model::fold(world.events());
    for member in MEMBERS.map(id) {
        let mut theirs: Vec<(&ConversationId, &Pair)> = pairs
            .iter()
            .filter(|(_, pair)| pair.sides.contains_key(&member))
            .collect();
        theirs.sort_by_key(|(_, pair)| std::cmp::Reverse(pair.order(&member)));
        compare_inbox(&reads, &member, &theirs).await;
        compare_requests(world, &reads, &member, &theirs).await;
        compare_unread(world, &reads, &member, &theirs).await;
        compare_messages(world, &reads, &member, &theirs).await;
        compare_blocks(world, &reads, &member, &theirs).await;
    }
}

async fn compare_inbox(reads: &ReadSide, member: &MemberId, pairs: &[(&ConversationId, &Pair)]) {
    let items = all(async |page| reads.inbox(member, &page).await)
        .await
        .unwrap();
    let expected: Vec<_> = pairs
        .iter()
        .filter(|(_, pair)| pair.place(member) == Place::Inbox)
        .collect();
    let ids: Vec<_> = items.iter().map(|item| item.conversation_id).collect();
    assert_eq!(
        ids,
        expected.iter().map(|(id, _)| **id).collect::<Vec<_>>(),
        "inbox of {member}"
    );
    for (item, (_, pair)) in items.iter().zip(expected) {
        let (last, side) = (pair.last(member).unwrap(), &pair.sides[member]);
        assert_eq!(item.with, *pair.other(member));
        assert_eq!(
            item.last_message.number, last.number,
            "inbox of {member} with {}",
            item.with
        );
        assert_eq!(item.last_message.from, last.from);
        assert_eq!(
            item.last_message.text,
            last.shown(),
            "inbox of {member} with {}",
            item.with
        );
        assert_eq!(item.last_message.sent_at, Timestamp(last.at));
        assert_eq!(
            item.unread,
            pair.unread(member),
            "unread of {member} with {}",
            item.with
        );
        assert_eq!(item.muted, side.muted);
    }
}

/// Whether the domain says that what waits for `member` is frozen.
fn frozen(world: &World, member: &MemberId, pair: &Pair) -> bool {
    let from = pair.other(member);
    let state = world.state(from.as_str(), member.as_str());
    conversation::frozen(&state, from, &world.standing(from, member), &world.policy()).is_some()
}

fn on_the_doorstep(world: &World, member: &MemberId, pair: &Pair) -> bool {
    pair.place(member) == Place::Requests && !frozen(world, member, pair)
}

async fn compare_requests(
    world: &World,
    reads: &ReadSide,
    member: &MemberId,
    pairs: &[(&ConversationId, &Pair)],
) {
    let items = all(async |page| reads.requests(member, &page).await)
        .await
        .unwrap();
    let expected: Vec<_> = pairs
        .iter()
        .filter(|(_, pair)| on_the_doorstep(world, member, pair))
        .collect();
    let ids: Vec<_> = items.iter().map(|item| item.conversation_id).collect();
    assert_eq!(
        ids,
        expected.iter().map(|(id, _)| **id).collect::<Vec<_>>(),
        "requests of {member}"
    );
    for (item, (_, pair)) in items.iter().zip(expected) {
        let (last, side) = (pair.last(member).unwrap(), &pair.sides[member]);
        let other = &pair.sides[pair.other(member)];
        assert_eq!(item.with, *pair.other(member));
        assert_eq!(
            item.last_message.number, last.number,
            "request to {member} from {}",
            item.with
        );
        assert_eq!(item.last_message.text, last.shown());
        assert_eq!(item.last_message.from, last.from);
        assert_eq!(item.last_message.sent_at, Timestamp(last.at));
        assert_eq!(item.messages, pair.waiting(member));
        assert_eq!(item.opened_at, Timestamp(side.opened_at));
        assert_eq!(item.muted, side.muted);
        let known = Relationship {
            you_follow: side.follows,
            follows_you: other.follows,
            suggested: side.suggested,
        };
        assert_eq!(item.relationship, known);
    }
}

async fn compare_unread(
    world: &World,
    reads: &ReadSide,
    member: &MemberId,
    pairs: &[(&ConversationId, &Pair)],
) {
    let unread = reads.unread(member).await.unwrap().value;
    let with_unread = || pairs.iter().filter(|(_, pair)| pair.unread(member) > 0);
    let inbox = with_unread()
        .filter(|(_, pair)| pair.place(member) == Place::Inbox)
        .count();
    let requests = with_unread()
        .filter(|(_, pair)| on_the_doorstep(world, member, pair))
        .count();
    assert_eq!(
        (unread.inbox, unread.requests),
        (inbox as u64, requests as u64),
        "unread of {member}"
    );
}

async fn compare_messages(
    world: &World,
    reads: &ReadSide,
    member: &MemberId,
    pairs: &[(&ConversationId, &Pair)],
) {
    let now = Timestamp(world.now);
    for (id, pair) in pairs {
        let found = all(async |page| reads.messages(member, **id, &page, now).await).await;
        let expected = pair.readable(member, world.now);
        let exists = world
            .state(member.as_str(), pair.other(member).as_str())
            .exists_for(member, now);
        assert_eq!(
            exists,
            !expected.is_empty(),
            "existence of {id} for {member}"
        );
        let items = match found {
            Ok(items) => items,
            Err(QueryError::NotFound) => Vec::new(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(
            items.len(),
            expected.len(),
            "messages of {member} with {}",
            pair.other(member)
        );
        for (item, message) in items.iter().zip(expected) {
            assert_eq!((item.number, &item.from), (message.number, &message.from));
            assert_eq!(item.text, message.shown());
            assert_eq!(
                (item.sent_at.0, item.unsent_at.map(|at| at.0)),
                (message.at, message.unsent_at)
            );
        }
    }
}

async fn compare_blocks(
    world: &World,
    reads: &ReadSide,
    member: &MemberId,
    pairs: &[(&ConversationId, &Pair)],
) {
    let now = Timestamp(world.now);
    let items = all(async |page| reads.blocks(member, &page, now).await)
        .await
        .unwrap();
    let mut expected: Vec<_> = pairs
        .iter()
        .filter_map(|(id, pair)| Some((pair.sides[member].blocks?, id, pair)))
        .collect();
    expected.sort_by_key(|((position, _), ..)| std::cmp::Reverse(*position));
    assert_eq!(items.len(), expected.len(), "blocks of {member}");
    for (item, ((_, since), id, pair)) in items.iter().zip(expected) {
        assert_eq!((&item.member, item.since.0), (pair.other(member), since));
        let visible = !pair.readable(member, world.now).is_empty();
        assert_eq!(item.conversation_id, visible.then_some(**id));
    }
}

fn run(steps: &[(usize, usize, Act)]) {
    let mut world = World::open(&MEMBERS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (number, (by, other, act)) in steps.iter().enumerate() {
        if by != other {
            carry_out(&mut world, MEMBERS[*by], MEMBERS[*other], *act);
        }
        if number % 16 == 15 {
            runtime.block_on(compare(&world));
        }
    }
    runtime.block_on(compare(&world));
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_views_are_what_the_page_says(steps in steps()) {
        run(&steps);
    }
}

/// How many of the real messages go through the write side here; all of them are imported elsewhere.
const REAL_MESSAGES: usize = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn real_messages_through_the_write_side_show_as_the_page_says_and_as_a_rebuild() {
    let workload = Workload::read(&college::messages(), &college::texts()).unwrap();
    let contacts = &workload.contacts[..REAL_MESSAGES];
    let name = |member: u32| format!("m{member}");
    let members: BTreeSet<u32> = contacts
        .iter()
        .flat_map(|contact| [contact.from, contact.to])
        .collect();
    let desk = Desk::open().await;
    let names: Vec<String> = members.iter().copied().map(name).collect();
    desk.members(&names.iter().map(String::as_str).collect::<Vec<_>>())
        .await;

    let dir = desk.dir.path().join("views");
    let open = async || {
        ReadSide::open(Options::in_dir(&dir), Arc::clone(&desk.store))
            .await
            .unwrap()
    };
    let mut reads = open().await;
    let mut position = Position::START;
    for (number, contact) in contacts.iter().enumerate() {
        desk.clock.advance_ms(60_000);
        let text = &workload.texts[number % workload.texts.len()].text;
        if let Ok(sent) = desk
            .message(&name(contact.from), &name(contact.to), text)
            .await
        {
            position = sent.position;
        }
        if number == REAL_MESSAGES / 2 {
            // What was not checkpointed in order is made up for from the log.
            reads.stop().await.unwrap();
            reads = open().await;
        }
    }
    for view in ViewName::ALL {
        reads
            .wait(*view, position, Duration::from_mins(1))
            .await
            .unwrap();
    }

    let events = desk.log().await;
    let pairs = model::fold(&events);
    for member in names.iter().map(|name| id(name)) {
        let mut theirs: Vec<(&ConversationId, &Pair)> = pairs
            .iter()
            .filter(|(_, pair)| pair.sides.contains_key(&member))
            .collect();
        theirs.sort_by_key(|(_, pair)| std::cmp::Reverse(pair.order(&member)));
        compare_inbox(&reads, &member, &theirs).await;
        let requests = all(async |page| reads.requests(&member, &page).await)
            .await
            .unwrap();
        let found: Vec<_> = requests.iter().map(|item| item.conversation_id).collect();
        let waiting = theirs
            .iter()
            .filter(|(_, pair)| pair.place(&member) == Place::Requests);
        assert_eq!(
            found,
            waiting.map(|(id, _)| **id).collect::<Vec<_>>(),
            "requests of {member}"
        );
    }
    let last = events.last().unwrap().position();
    for view in projections::views() {
        reads
            .wait(
                ViewName::named(view.name()).unwrap(),
                last,
                Duration::from_mins(1),
            )
            .await
            .unwrap();
        let live = reads.runner().view(view.name()).unwrap().reader().unwrap();
        let folded = tables::testing::fold(&DomainCodec, &*view, &events).unwrap();
        assert_eq!(
            tables::digest(&live).unwrap(),
            tables::digest(&folded).unwrap(),
            "rows of {}",
            view.name()
        );
        let switched = reads.runner().rebuild(view.name()).await.unwrap();
        assert!(switched.compared.equal(), "{}", view.name());
        let rebuilt = reads.runner().view(view.name()).unwrap().reader().unwrap();
        assert_eq!(
            tables::digest(&rebuilt).unwrap(),
            tables::digest(&live).unwrap(),
            "rows of {} made anew",
            view.name()
        );
    }
    reads.stop().await.unwrap();
}

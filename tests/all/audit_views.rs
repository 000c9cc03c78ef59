//! What stood as of a position is what a fresh service answers that was given only the events up to it: for every
//! member and every view, on random histories (`college_replay.rs` does so on real messages). And what it costs.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::ids::{CaseId, ConversationId, MemberId};
use domain::member::AgeBand;
use domain::policy::Audience;
use domain::time::Timestamp;
use event_store::{Position, RecordedEvent};
use projections::{
    Bounds, Cursor, Moment, Options, Page, PageRequest, Past, PastError, QueryError, ReadSide,
    Subject, TimelinePage, ViewName, When,
};
use proptest::prelude::*;
use tests::counted::Counted;
use tests::views::acts::{MEMBERS, run, steps};
use tests::views::{Log, World, conversation_of, id};

const WAIT: Duration = Duration::from_mins(2);
const CLOCK: Timestamp = Timestamp(4_000_000_000_000);
/// What is asked of a member.
const OF_A_MEMBER: &[ViewName] = &[
    ViewName::Inbox,
    ViewName::Requests,
    ViewName::Conversation,
    ViewName::Unread,
    ViewName::Blocked,
    ViewName::Reports,
    ViewName::Members,
];
const OF_A_CASE: &[ViewName] = &[ViewName::ModerationQueue, ViewName::Conversation];

/// All pages of a list, three items at a time, all of them at this position.
async fn all<T>(
    position: Position,
    page: impl AsyncFn(PageRequest) -> Result<Page<T>, QueryError>,
) -> Result<Vec<T>, QueryError> {
    let (mut items, mut cursor): (_, Option<Cursor>) = (Vec::new(), None);
    loop {
        let found = page(PageRequest::new(3, cursor).unwrap()).await?;
        assert_eq!(found.position, position);
        items.extend(found.items);
        cursor = found.next;
        if cursor.is_none() {
            return Ok(items);
        }
    }
}

/// Both or neither, and the same.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    fresh: Result<T, QueryError>,
    past: Result<T, QueryError>,
) {
    match (fresh, past) {
        (Ok(fresh), Ok(past)) => assert_eq!(past, fresh, "{what}"),
        (Err(QueryError::NotFound), Err(QueryError::NotFound)) => {}
        (fresh, past) => panic!("{what}: a fresh service {fresh:?}, the past {past:?}"),
    }
}

/// A service that was given only the events up to a position.
pub(crate) async fn fresh(events: &[RecordedEvent], until: Position) -> ReadSide {
    let given = events[..usize::try_from(until.0).unwrap()].to_vec();
    let reads = ReadSide::open(Options::in_memory(), Log::of(given))
        .await
        .unwrap();
    for view in ViewName::ALL {
        reads.wait(*view, until, WAIT).await.unwrap();
    }
    reads
}

/// All that an auditor may ask of a member as of a moment, against what a fresh service answers.
pub(crate) async fn compare_member(
    fresh: &ReadSide,
    past: &Past,
    member: &MemberId,
    moment: Moment,
) {
    let until = moment.position;
    let subject = Subject::Member(member.clone());
    let as_of = past.as_of(&subject, OF_A_MEMBER, moment).await.unwrap();
    let what = |view: &str| format!("{view} of {member} as of {until}");
    same(
        &what("inbox"),
        all(until, async |page| fresh.inbox(member, &page).await).await,
        all(until, async |page| as_of.inbox(member, &page).await).await,
    );
    same(
        &what("requests"),
        all(until, async |page| fresh.requests(member, &page).await).await,
        all(until, async |page| as_of.requests(member, &page).await).await,
    );
    same(
        &what("blocks"),
        all(until, async |page| {
            fresh.blocks(member, &page, moment.now).await
        })
        .await,
        all(until, async |page| as_of.blocks(member, &page).await).await,
    );
    same(
        &what("reports"),
        all(until, async |page| fresh.my_reports(member, &page).await).await,
        all(until, async |page| as_of.reports(member, &page).await).await,
    );
    same(
        &what("unread"),
        fresh.unread(member).await,
        as_of.unread(member).await,
    );
    same(
        &what("the standing"),
        fresh.member(member).await,
        as_of.member(member).await,
    );
    for pair in past.conversations(member, until).unwrap() {
        let cid = pair.conversation_id;
        same(
            &what("the messages"),
            all(until, async |page| {
                fresh.messages(member, cid, &page, moment.now).await
            })
            .await,
            all(until, async |page| as_of.messages(member, cid, &page).await).await,
        );
        compare_conversation(fresh, past, cid, member, moment).await;
    }
}

/// The same of a conversation by itself, and of the case of its other member.
async fn compare_conversation(
    fresh: &ReadSide,
    past: &Past,
    cid: ConversationId,
    member: &MemberId,
    moment: Moment,
) {
    let until = moment.position;
    let subject = Subject::Conversation(cid);
    let as_of = past
        .as_of(&subject, &[ViewName::Conversation], moment)
        .await
        .unwrap();
    same(
        "a conversation by itself",
        all(until, async |page| {
            fresh.messages(member, cid, &page, moment.now).await
        })
        .await,
        all(until, async |page| as_of.messages(member, cid, &page).await).await,
    );
}

/// Opens the streams of the cases that a world's reports and suspensions by hand make, as the reactor does, and names them.
pub(crate) fn open_cases(world: &mut World) -> Vec<CaseId> {
    let mut cases = BTreeSet::new();
    let events = world.events().to_vec();
    for event in events
        .iter()
        .filter(|event| event.event_type().starts_with("messages-reported."))
    {
        let [reporter, reported] = [0, 1].map(|number| id(event.members().nth(number).unwrap()));
        let conversation = ConversationId::of(&reporter, &reported);
        let case = CaseId::of(conversation, &reported);
        if cases.insert(case) {
            let opened = domain::case::Event::CaseOpened(domain::case::CaseOpened {
                case,
                conversation,
                reported,
                reporter: Some(reporter),
            });
            let stream = domain::case::stream(case);
            world.append(&stream, &domain::event::Event::Case(opened));
        }
    }
    for event in events
        .iter()
        .filter(|event| event.event_type().starts_with("member-suspended."))
    {
        let decoded = domain::codec::decode(event.event_type(), event.data()).unwrap();
        let domain::Event::Member(domain::member::Event::MemberSuspended(it)) = decoded else {
            unreachable!("a suspension");
        };
        let decision = it.decision.unwrap();
        let case = CaseId::of_suspension(decision);
        cases.insert(case);
        let filed = domain::case::Event::SuspensionFiled(domain::case::SuspensionFiled {
            case,
            decision,
            by: it.by,
            reported: it.member,
            member_version: event.version(),
            appealable_until: it.appealable_until.unwrap(),
        });
        let stream = domain::case::stream(case);
        world.append(&stream, &domain::event::Event::Case(filed));
    }
    cases.into_iter().collect()
}

pub(crate) async fn compare_cases(fresh: &ReadSide, past: &Past, cases: &[CaseId], moment: Moment) {
    let until = moment.position;
    for case in cases {
        let as_of = past
            .as_of(&Subject::Case(*case), OF_A_CASE, moment)
            .await
            .unwrap();
        same(
            &format!("case {case} as of {until}"),
            fresh.case(*case).await,
            as_of.case(*case).await,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_past_is_what_a_service_knew_that_was_given_only_its_events(steps in steps(), share in 0..100_u64) {
        let mut world = run(&steps);
        let cases = open_cases(&mut world);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reads = world.reads().await;
            let past = reads.past(WAIT).await.unwrap();
            let end = world.position();
            for until in [Position(end.0 * share / 100), end] {
                let fresh = fresh(world.events(), until).await;
                let moment = past.moment(When::At(until), CLOCK).await.unwrap();
                for member in MEMBERS.map(id) {
                    compare_member(&fresh, &past, &member, moment).await;
                }
                compare_cases(&fresh, &past, &cases, moment).await;
            }
        });
    }
}

/// A member's timeline, in pages, against all events that name them.
async fn compare_timeline(world: &World, past: &Past, member: &MemberId, until: Position) {
    let moment = past.moment(When::At(until), CLOCK).await.unwrap();
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = TimelinePage { limit: 7, before };
        let (page, next) = past.timeline(member, moment, page).await.unwrap();
        assert_eq!(page.position, until);
        found.extend(page.items.iter().map(|item| item.position));
        before = next;
        if before.is_none() {
            break;
        }
    }
    let own = domain::member::stream(member);
    let concerns = |event: &&RecordedEvent| {
        event.position() <= until
            && (event.stream() == own
                || event.stream().starts_with("conversation-")
                    && event.members().any(|named| named == member.as_str()))
    };
    let events = world.events().iter().rev().filter(concerns);
    let expected: Vec<Position> = events.map(RecordedEvent::position).collect();
    assert_eq!(found, expected, "the timeline of {member} as of {until}");
}

/// What changed: the same as what the two answers differ in, and every change of what no time moves has its events.
async fn compare_diff(past: &Past, member: &MemberId, from: Position, to: Position) {
    let from = past.moment(When::At(from), CLOCK).await.unwrap();
    let to = past.moment(When::At(to), CLOCK).await.unwrap();
    let subject = Subject::Member(member.clone());
    let diff = past.diff(&subject, from, to).await.unwrap();
    let mut inboxes = Vec::new();
    for moment in [from, to] {
        let as_of = past
            .as_of(&subject, &[ViewName::Inbox], moment)
            .await
            .unwrap();
        let items = all(moment.position, async |page| {
            as_of.inbox(member, &page).await
        })
        .await;
        inboxes.push(items.unwrap());
    }
    let differ = |one: usize, other: usize| {
        let others = &inboxes[other];
        let items = inboxes[one].iter().filter(|item| !others.contains(item));
        items
            .map(|item| item.conversation_id)
            .collect::<BTreeSet<_>>()
    };
    let expected: BTreeSet<_> = differ(0, 1).union(&differ(1, 0)).copied().collect();
    let told = diff.changes.iter().filter(|change| change.view == "inbox");
    let told: BTreeSet<_> = told.filter_map(|change| change.conversation_id).collect();
    assert_eq!(told, expected);
    for change in &diff.changes {
        assert_ne!(change.before, change.after);
        let timeless = ["inbox", "requests", "unread", "member", "relationship"];
        if timeless.contains(&change.view) {
            assert!(!change.events.is_empty(), "{change:?}");
        }
        for event in &change.events {
            assert!(event.position > from.position && event.position <= to.position);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn timelines_and_changes_are_those_of_the_events(steps in steps(), share in 0..100_u64) {
        let world = run(&steps);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reads = world.reads().await;
            let past = reads.past(WAIT).await.unwrap();
            let end = world.position();
            let then = Position(end.0 * share / 100);
            for member in MEMBERS.map(id) {
                compare_timeline(&world, &past, &member, then).await;
                compare_diff(&past, &member, then, end).await;
            }
            for pair in past.conversations(&id("ann"), end).unwrap() {
                let from = past.moment(When::At(then), CLOCK).await.unwrap();
                let to = past.moment(When::At(end), CLOCK).await.unwrap();
                let subject = Subject::Conversation(pair.conversation_id);
                let diff = past.diff(&subject, from, to).await.unwrap();
                let named: Vec<_> = diff.changes.iter().filter(|change| change.view == "relationship").collect();
                assert!(named.len() <= 1 && named.iter().all(|change| !change.events.is_empty()), "{diff:?}");
            }
        });
    }
}

#[tokio::test]
async fn the_cost_follows_the_member_and_not_the_log() {
    let mut world = World::open(&["ann", "bob", "cat"]);
    world.send("bob", "ann", "hi").unwrap();
    world.suspend("bob");
    world.block("ann", "cat").unwrap();
    let mut costs = Vec::new();
    for _ in 0..2 {
        let store = Counted::over(world.log());
        let reads = ReadSide::open(Options::in_memory(), store.clone())
            .await
            .unwrap();
        let past = reads.past(WAIT).await.unwrap();
        for view in ViewName::ALL {
            reads.wait(*view, past.end(), WAIT).await.unwrap();
        }
        let moment = past.moment(When::Now, CLOCK).await.unwrap();
        store.take();
        let subject = Subject::Member(id("ann"));
        let as_of = past.as_of(&subject, OF_A_MEMBER, moment).await.unwrap();
        assert_eq!(as_of.events(), store.take());
        costs.push(as_of.events());
        // Others have ten times as much to say to one another.
        for number in 0..200 {
            let (from, to) = (format!("x{}", number % 10), format!("y{}", number % 7));
            for member in [&from, &to] {
                world.register(member, AgeBand::Adult);
                world.audience(member, Audience::Everyone);
            }
            let _ = world.send(&from, &to, "hello");
        }
    }
    assert_eq!(costs[0], costs[1]);
    let own = |stream: &str| {
        let of = |name: &str| domain::conversation::stream(conversation_of("ann", name));
        ["member-ann", "member-bob", "member-cat", "policy"].contains(&stream)
            || [of("bob"), of("cat")].iter().any(|of| of == stream)
    };
    let theirs = world.events().iter().filter(|event| own(event.stream()));
    assert_eq!(costs[0], theirs.count());
}

#[tokio::test]
async fn beyond_its_bounds_a_question_is_refused_whole() {
    let mut world = World::open(&["ann", "bob", "cat"]);
    for other in ["bob", "cat"] {
        world.send(other, "ann", "hi").unwrap();
    }
    let reads = world.reads().await;
    let subject = Subject::Member(id("ann"));
    let ask = async |bounds| {
        let past = reads.past_within(WAIT, bounds).await.unwrap();
        let moment = past.moment(When::Now, CLOCK).await.unwrap();
        past.as_of(&subject, OF_A_MEMBER, moment)
            .await
            .map(|as_of| as_of.events())
    };
    let enough = Bounds::default();
    let events = ask(enough).await.unwrap();
    let within = Bounds {
        events_max: events,
        ..enough
    };
    assert_eq!(ask(within).await.unwrap(), events);
    for bounds in [
        Bounds {
            events_max: events - 1,
            ..enough
        },
        Bounds {
            bytes_max: 1_000,
            ..enough
        },
        Bounds {
            streams_max: 1,
            ..enough
        },
    ] {
        match ask(bounds).await {
            Err(PastError::TooMuch(told)) => assert_eq!(told, bounds),
            other => panic!("{other:?}"),
        }
    }
}

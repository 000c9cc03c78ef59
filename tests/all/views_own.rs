//! A view of one's own, the worked example: given events, then rows; delivered twice and made anew the same rows; and the
//! real messages counted a second time, from the log's events and the domain's own state.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike as _};
use domain::case::Category;
use domain::conversation::{self, Also, DeleteMode, RelationshipKind, RequestState};
use domain::event::Event;
use domain::ids::MemberId;
use domain::policy::Audience;
use domain::time::Timestamp;
use doorstep::workload::Workload;
use projections::{
    DomainCodec, IsoWeek, Narrowed, Options, Order, PageRequest, ReadSide, ViewName, WrongParameter,
};
use proptest::prelude::*;
use tables::View;
use tests::college;
use tests::views::acts::{MEMBERS, carry_out, steps};
use tests::views::{World, id};

use first_contact::FirstContact;

/// The whole of what an engineer writes, as it stands in the documents.
#[path = "../../projections/examples/first_contact.rs"]
#[expect(dead_code, reason = "its `main` is for who runs the example")]
pub(crate) mod first_contact;

const NAME: ViewName = ViewName::Own("first_contact");

/// A read side that has the view beside the built-in ones, come to the end of a world's events.
async fn reads(world: &World, mut options: Options) -> ReadSide {
    options.own = vec![Arc::new(FirstContact)];
    let reads = ReadSide::open(options, world.log()).await.unwrap();
    let wait = reads.wait(NAME, world.position(), Duration::from_mins(2));
    wait.await.unwrap();
    reads
}

/// What parameters ask for of the view.
pub(crate) fn narrowed(given: &[(&str, &str)]) -> Result<Narrowed, Vec<WrongParameter>> {
    let given = given
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Narrowed::by(&FirstContact, &given.collect::<Vec<_>>())
}

/// The rows that parameters ask for, in pages of `limit`.
async fn asked(
    reads: &ReadSide,
    given: &[(&str, &str)],
    order: Order,
    limit: usize,
) -> Vec<serde_json::Value> {
    let narrowed = narrowed(given).unwrap();
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest::new(limit, after).unwrap();
        let page = reads.own_rows(&FirstContact, &narrowed, order, &page).await;
        let page = page.unwrap();
        assert!(page.items.len() <= limit);
        let found = page.items.iter().map(|item| item.get());
        items.extend(found.map(|item| serde_json::from_str::<serde_json::Value>(item).unwrap()));
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
}

/// A member's week: first contacts, and of these the accepted, deleted, withdrawn, pending and reported ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([u64; 6]);

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

type Weeks = BTreeMap<(String, String), Counts>;

fn counts(item: &serde_json::Value) -> Counts {
    let fields = [
        "first_contacts",
        "accepted",
        "deleted",
        "withdrawn",
        "pending",
        "reported",
    ];
    Counts(fields.map(|field| item[field].as_u64().unwrap()))
}

fn key(item: &serde_json::Value) -> (String, String) {
    let text = |field: &str| item[field].as_str().unwrap().to_owned();
    (text("member"), text("week"))
}

/// All rows, by member and week.
async fn weeks(world: &World) -> Weeks {
    let reads = reads(world, Options::in_memory()).await;
    let items = asked(&reads, &[], Order::Ascending, 200).await;
    reads.stop().await.unwrap();
    items.iter().map(|item| (key(item), counts(item))).collect()
}

/// Holds a world's rows to these, and the view to its word: delivered twice, one by one and in batches, the same rows.
async fn holds(world: &World, expected: &[(&str, &str, [u64; 6])]) {
    let expected = expected
        .iter()
        .map(|(member, week, counts)| (((*member).to_owned(), (*week).to_owned()), Counts(*counts)))
        .collect::<Weeks>();
    assert_eq!(weeks(world).await, expected);
    assert_eq!(counted(world), expected, "counted from the log");
    delivered_twice(world);
}

fn delivered_twice(world: &World) {
    let view: Arc<dyn View<DomainCodec>> = Arc::new(FirstContact);
    tables::testing::fold_twice(&DomainCodec, &view, world.events()).unwrap();
}

/// The calendar's own word for the week of a time.
fn week_of(at_ms: i64) -> String {
    let week = DateTime::from_timestamp_millis(at_ms).unwrap().iso_week();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// What the rows have to be: the first contacts of the log, each as the domain's state of its conversation has it, and
/// whether the log has a report of its recipient about its sender.
fn counted(world: &World) -> Weeks {
    let mut contacts: BTreeMap<(MemberId, MemberId), String> = BTreeMap::new();
    let mut reports = std::collections::BTreeSet::new();
    for recorded in world.events() {
        let event = domain::codec::decode(recorded.event_type(), recorded.data()).unwrap();
        let Event::Conversation(event) = &event else {
            continue;
        };
        if let conversation::Event::RequestOpened(opened) = event
            && opened.number == 1
        {
            let pair = (opened.from.clone(), opened.to.clone());
            let before = contacts.insert(pair, week_of(recorded.at_ms()));
            assert_eq!(before, None, "two first contacts of one pair");
        }
        if let conversation::Event::MessagesReported(report) = event {
            reports.insert((report.reported.clone(), report.reporter.clone()));
        }
    }
    let mut weeks = Weeks::new();
    for ((from, to), week) in contacts {
        let stands = match world.state(from.as_str(), to.as_str()).request_state(&from) {
            RequestState::Accepted => [1, 1, 0, 0, 0],
            RequestState::Deleted => [1, 0, 1, 0, 0],
            RequestState::Withdrawn => [1, 0, 0, 1, 0],
            RequestState::Pending => [1, 0, 0, 0, 1],
            RequestState::None => panic!("{from} to {to} was opened"),
        };
        let [came, accepted, deleted, withdrawn, pending] = stands;
        let reported = u64::from(reports.contains(&(from, to.clone())));
        let counts = [came, accepted, deleted, withdrawn, pending, reported];
        *weeks.entry((to.to_string(), week)).or_default() += Counts(counts);
    }
    weeks
}

/// A world at noon of Monday 2 February 2004, in week 6.
fn world() -> World {
    let mut world = World::open(&["ann", "bob", "cat"]);
    world.now = 1_075_723_200_000;
    world
}

#[tokio::test]
async fn counts_in_the_week_in_which_the_request_was_opened_whenever_it_is_accepted() {
    let mut world = world();
    world.send("bob", "ann", "hi").unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 0, 1, 0])]).await;
    // Sunday's last moment is of the same week, Monday's first of the next.
    world.now = 1_076_284_800_000 - 1;
    world.send("cat", "ann", "hi").unwrap();
    world.now += 1;
    world.send("ann", "dan", "hi").unwrap_err();
    world.send("bob", "cat", "hi").unwrap();
    world.accept("ann", "bob").unwrap();
    let rows = [
        ("ann", "2004-W06", [2, 1, 0, 0, 1, 0]),
        ("cat", "2004-W07", [1, 0, 0, 0, 1, 0]),
    ];
    holds(&world, &rows).await;
}

#[tokio::test]
async fn is_accepted_by_an_answer_by_crossing_and_by_relationship() {
    let mut world = world();
    world.send("bob", "ann", "hi").unwrap();
    world.now += 1;
    world.send("ann", "bob", "hello").unwrap();
    world.send("cat", "ann", "hi").unwrap();
    world.send("ann", "cat", "hi").unwrap();
    let rows = [("ann", "2004-W06", [2, 2, 0, 0, 0, 0])];
    holds(&world, &rows).await;
    world.send("cat", "bob", "hi").unwrap();
    world.relate(RelationshipKind::Follow, "bob", "cat");
    let pending = ("bob", "2004-W06", [1, 0, 0, 0, 1, 0]);
    holds(&world, &[rows[0], pending]).await;
    world.send("cat", "bob", "hi again").unwrap();
    let accepted = ("bob", "2004-W06", [1, 1, 0, 0, 0, 0]);
    holds(&world, &[rows[0], accepted]).await;
}

#[tokio::test]
async fn a_deleted_one_is_pending_when_it_is_restored_and_when_it_is_opened_again() {
    let mut world = world();
    world.send("bob", "ann", "hi").unwrap();
    for mode in [DeleteMode::Quiet, DeleteMode::Final] {
        world.delete("ann", "bob", mode).unwrap();
        holds(&world, &[("ann", "2004-W06", [1, 0, 1, 0, 0, 0])]).await;
    }
    world.restore("ann", "bob").unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 0, 1, 0])]).await;
    world.delete("ann", "bob", DeleteMode::Quiet).unwrap();
    world.wait_days(31);
    world.send("bob", "ann", "still there?").unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 0, 1, 0])]).await;
    world.accept("ann", "bob").unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 1, 0, 0, 0, 0])]).await;
}

#[tokio::test]
async fn what_is_withheld_counts_nowhere() {
    let mut world = world();
    world.send("bob", "ann", "hi").unwrap();
    world.delete("ann", "bob", DeleteMode::Quiet).unwrap();
    world.send("bob", "ann", "hello?").unwrap();
    let withheld = |world: &World| {
        let last = world.events().last().unwrap();
        last.event_type().starts_with("message-withheld")
    };
    assert!(withheld(&world));
    holds(&world, &[("ann", "2004-W06", [1, 0, 1, 0, 0, 0])]).await;
    world.restore("ann", "bob").unwrap();
    world.block("ann", "bob").unwrap();
    world.send("bob", "ann", "hello!").unwrap();
    assert!(withheld(&world));
    // Frozen is pending.
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 0, 1, 0])]).await;
}

#[tokio::test]
async fn a_withdrawn_one_is_pending_with_the_next_message() {
    let mut world = world();
    world.send("bob", "ann", "hi").unwrap();
    world.unsend("bob", "ann", 1).unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 1, 0, 0])]).await;
    world.wait_days(7);
    world.send("bob", "ann", "hi, I mean").unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 0, 1, 0])]).await;
}

#[tokio::test]
async fn an_accepted_one_that_is_moved_back_is_pending() {
    let mut world = world();
    world.send("bob", "ann", "hi").unwrap();
    world.accept("ann", "bob").unwrap();
    world.move_to_requests("ann", "bob").unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 0, 1, 0])]).await;
    world.send("ann", "bob", "after all").unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 1, 0, 0, 0, 0])]).await;
}

#[tokio::test]
async fn a_reported_one_is_counted_once_beside_how_it_stands() {
    let mut world = world();
    world.send("bob", "ann", "hi").unwrap();
    world.send("bob", "ann", "buy now").unwrap();
    let mut report = |number, also| {
        let reported = world.report("ann", "bob", &[number], Category::Spam, "", also);
        reported.unwrap();
    };
    report(1, Also::None);
    report(2, Also::Delete);
    holds(&world, &[("ann", "2004-W06", [1, 0, 1, 0, 0, 1])]).await;
    world.restore("ann", "bob").unwrap();
    world.accept("ann", "bob").unwrap();
    // The sender's own report of an answer is about no first contact.
    let answer = world.send("ann", "bob", "go away").unwrap();
    let other = world.report(
        "bob",
        "ann",
        &[answer],
        Category::Harassment,
        "",
        Also::None,
    );
    other.unwrap();
    holds(&world, &[("ann", "2004-W06", [1, 1, 0, 0, 0, 1])]).await;
}

#[tokio::test]
async fn what_is_no_first_contact_counts_nowhere() {
    let mut world = world();
    world.befriend("ann", "bob");
    world.send("bob", "ann", "in the inbox").unwrap();
    world.move_to_requests("ann", "bob").unwrap();
    holds(&world, &[]).await;
    world.send("cat", "ann", "hi").unwrap();
    world.relate(RelationshipKind::Follow, "bob", "cat");
    world.send("cat", "bob", "in the inbox").unwrap();
    world.relate(RelationshipKind::Unfollow, "bob", "cat");
    world
        .send("cat", "bob", "a request, and not the first")
        .unwrap();
    let opened = world.state("bob", "cat").request_state(&id("cat"));
    assert_eq!(opened, RequestState::Pending);
    holds(&world, &[("ann", "2004-W06", [1, 0, 0, 0, 1, 0])]).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn of_any_history_the_rows_are_what_the_log_and_the_state_come_to(steps in steps()) {
        let mut world = World::open(&MEMBERS);
        for (by, other, act) in steps.iter().filter(|(by, other, _)| by != other) {
            carry_out(&mut world, MEMBERS[*by], MEMBERS[*other], *act);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(weeks(&world)), counted(&world));
        delivered_twice(&world);
    }
}

/// The real messages, with what else people do about them.
fn college_world() -> World {
    let workload = Workload::read(&college::messages(), &college::texts()).unwrap();
    let name = |member: u32| format!("m{member}");
    let sides = workload.contacts.iter().flat_map(|c| [c.from, c.to]);
    let members: std::collections::BTreeSet<String> = sides.map(name).collect();
    let mut world = World::open(&members.iter().map(String::as_str).collect::<Vec<_>>());
    for (number, contact) in workload.contacts.iter().enumerate() {
        world.now = world.now.max(contact.at_seconds * 1_000);
        let (from, to) = (name(contact.from), name(contact.to));
        let sent = world.send(&from, &to, &workload.text(number).text);
        let _ = match (number % 29, sent) {
            (3 | 17, _) => world.accept(&to, &from),
            (5 | 15, Ok(number)) => world.unsend(&from, &to, number),
            (7 | 9, _) => world.delete(&to, &from, DeleteMode::Quiet),
            (8, _) => world.restore(&to, &from),
            (11, _) => world.block(&to, &from),
            (19, Ok(number)) => world
                .report(&to, &from, &[number], Category::Spam, "", Also::Delete)
                .map(|_| ()),
            (23, _) => world.move_to_requests(&to, &from),
            (25, _) => {
                world.relate(RelationshipKind::Follow, &to, &from);
                Ok(())
            }
            (27, _) => {
                world.audience(&to, Audience::Following);
                Ok(())
            }
            (28, _) => {
                world.audience(&to, Audience::Everyone);
                Ok(())
            }
            (_, _) => Ok(()),
        };
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_college_the_rows_are_an_independent_count_and_a_rebuild() {
    let world = college_world();
    let expected = counted(&world);
    let mut total = Counts::default();
    for counts in expected.values() {
        total += *counts;
    }
    let Counts([came, accepted, deleted, withdrawn, pending, reported]) = total;
    assert!(came > 10_000, "{total:?}");
    assert_eq!(accepted + deleted + withdrawn + pending, came);
    assert!(
        [accepted, deleted, withdrawn, pending, reported]
            .iter()
            .all(|count| *count > 50),
        "{total:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let reads = reads(&world, Options::in_dir(folder.path())).await;
    let by_member = asked(&reads, &[], Order::Ascending, 200).await;
    let found: Weeks = by_member
        .iter()
        .map(|item| (key(item), counts(item)))
        .collect();
    assert_eq!(found.len(), by_member.len(), "a row is told once");
    assert_eq!(found, expected);
    let keys: Vec<_> = by_member.iter().map(key).collect();
    assert!(keys.is_sorted(), "by member and week");

    // What narrows gives the rows of it and no others, in either order.
    let (busiest, weeks) = expected
        .keys()
        .fold(BTreeMap::<&str, usize>::new(), |mut weeks, (member, _)| {
            *weeks.entry(member).or_default() += 1;
            weeks
        })
        .into_iter()
        .max_by_key(|(_, weeks)| *weeks)
        .unwrap();
    assert!(weeks > 5);
    let of_member: Vec<_> = keys
        .iter()
        .filter(|(member, _)| member == busiest)
        .collect();
    let (from, to) = (of_member[1].1.clone(), of_member[3].1.clone());
    let mut of_weeks: Vec<_> = keys
        .iter()
        .filter(|(_, week)| (&from..=&to).contains(&week))
        .collect();
    of_weeks.sort_by(|(a, week_a), (b, week_b)| (week_a, a).cmp(&(week_b, b)));
    for (given, expected) in [
        (vec![("member", busiest)], of_member.clone()),
        (
            vec![("member", busiest), ("week", &*from)],
            vec![of_member[1]],
        ),
        (
            vec![
                ("week_to", &*to),
                ("member", busiest),
                ("week_from", &*from),
            ],
            of_member[1..=3].to_vec(),
        ),
        (
            vec![("member", busiest), ("week_from", &*from)],
            of_member[1..].to_vec(),
        ),
        (vec![("week_from", &*from), ("week_to", &*to)], of_weeks),
        (vec![("week_from", &*to), ("week_to", &*from)], Vec::new()),
        (vec![("member", "nobody")], Vec::new()),
    ] {
        for limit in [1, 7, 200] {
            let rows = asked(&reads, &given, Order::Ascending, limit).await;
            let mut found: Vec<_> = rows.iter().map(key).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{given:?}");
            let falling = asked(&reads, &given, Order::Descending, limit).await;
            found.reverse();
            assert_eq!(
                falling.iter().map(key).collect::<Vec<_>>(),
                found,
                "{given:?}"
            );
        }
    }

    let reader = |reads: &ReadSide| reads.runner().view("first_contact").unwrap().reader();
    let live = tables::digest(&reader(&reads).unwrap()).unwrap();
    let folded = tables::testing::fold(&DomainCodec, &FirstContact, world.events()).unwrap();
    assert_eq!(live, tables::digest(&folded).unwrap());
    let last = reads.begin_rebuild(NAME).unwrap().last.await.unwrap();
    assert!(last.outcome.unwrap().equal());
    assert_eq!(tables::digest(&reader(&reads).unwrap()).unwrap(), live);
    reads.stop().await.unwrap();
}

#[test]
fn weeks_are_those_of_the_calendar() {
    for day in (-200_000..1_000_000).step_by(3) {
        let at = day * domain::time::DAY_MS + 12_345;
        let week = IsoWeek::of(Timestamp(at)).to_string();
        assert_eq!(week, week_of(at));
    }
}

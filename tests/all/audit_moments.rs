//! Which part of the log a time means, against a count over all events; and the index of a member's conversations.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::conversation::RelationshipKind;
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::member::{self, AgeBand, AgeBandChanged};
use domain::time::Timestamp;
use event_store::{EventStore as _, Position};
use projections::{Moment, Options, Past, PastError, ReadSide, When};
use proptest::prelude::*;
use tests::counted::Counted;
use tests::views::acts::{MEMBERS, run, steps};
use tests::views::{World, conversation_of, id};

const WAIT: Duration = Duration::from_mins(1);
/// Later than all that happens here.
const CLOCK: Timestamp = Timestamp(4_000_000_000_000);

/// A world with an event per time, over a few streams.
fn world_of(times: &[i64]) -> World {
    let mut world = World::new();
    for (number, at) in times.iter().enumerate() {
        world.now = *at;
        let member = id(&format!("m{}", number % 7));
        let stream = member::stream(&member);
        let changed = AgeBandChanged {
            member,
            age_band: AgeBand::Adult,
        };
        world.append(
            &stream,
            &Event::Member(member::Event::AgeBandChanged(changed)),
        );
    }
    world
}

/// The position that a time means, by the words of the rule.
fn counted(world: &World, time: i64) -> Position {
    let within = world
        .events()
        .iter()
        .take_while(|event| event.at_ms() <= time);
    within
        .last()
        .map_or(Position::START, event_store::RecordedEvent::position)
}

/// The past of a world, and the views that it begins at, which have to live as long.
async fn past_of(world: &World) -> (ReadSide, Past) {
    let reads = world.reads().await;
    let past = reads.past(WAIT).await.unwrap();
    (reads, past)
}

async fn agrees(world: &World, past: &Past) {
    let latest: Vec<i64> = world
        .events()
        .iter()
        .scan(i64::MIN, |latest, event| {
            *latest = (*latest).max(event.at_ms());
            Some(*latest)
        })
        .collect();
    let mut asked: Vec<i64> = latest.iter().step_by(97).copied().collect();
    asked.extend(latest.last());
    for time in asked
        .iter()
        .flat_map(|time| [time - 1, *time, time + 1])
        .chain([-1, 0])
    {
        let found = past
            .moment(When::Time(Timestamp(time)), CLOCK)
            .await
            .unwrap();
        let expected = Moment {
            position: counted(world, time),
            now: Timestamp(time),
        };
        assert_eq!(found, expected, "at {time}");
    }
    for (event, latest) in world.events().iter().zip(&latest).step_by(61) {
        let found = past
            .moment(When::At(event.position()), CLOCK)
            .await
            .unwrap();
        assert_eq!(found.now, Timestamp(*latest), "at {}", event.position());
    }
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn a_time_means_the_longest_prefix_without_anything_later(
        seed in prop::collection::vec((0..50_i64, -200..200_i64), 1..40), repeat in 1..90_usize,
    ) {
        // Time goes on by and by, with what came late and what came from ahead among it.
        let (mut now, mut times) = (1_000_000, Vec::new());
        for (step, off) in seed.iter().cycle().take(seed.len() * repeat) {
            now += step;
            times.push(now + off);
        }
        let world = world_of(&times);
        blocking(async {
            agrees(&world, &past_of(&world).await.1).await;
            agrees(&world, &Past::at_rest(world.log()).await.unwrap()).await;
        });
    }

    #[test]
    fn every_conversation_of_a_member_is_known_from_its_first_event_on(steps in steps()) {
        let world = run(&steps);
        let mut begun: BTreeMap<(MemberId, ConversationId), Position> = BTreeMap::new();
        for event in world.events().iter().filter(|event| event.stream().starts_with("conversation-")) {
            let [one, other] = [0, 1].map(|number| id(event.members().nth(number).unwrap()));
            for member in [&one, &other] {
                let pair = (member.clone(), ConversationId::of(&one, &other));
                begun.entry(pair).or_insert(event.position());
            }
        }
        blocking(async {
            let (_reads, past) = past_of(&world).await;
            for until in [0, world.position().0 / 3, world.position().0].map(Position) {
                let mut found = BTreeMap::new();
                for member in MEMBERS.map(id) {
                    for pair in past.conversations(&member, until).unwrap() {
                        assert_eq!(ConversationId::of(&member, &pair.with), pair.conversation_id);
                        found.insert((member.clone(), pair.conversation_id), pair.since);
                    }
                }
                let expected: BTreeMap<_, _> =
                    begun.clone().into_iter().filter(|(_, since)| *since <= until).collect();
                assert_eq!(found, expected);
            }
        });
    }
}

#[tokio::test]
async fn a_question_about_time_reads_a_bounded_number_of_events() {
    let times: Vec<i64> = (0..20_000).collect();
    let world = world_of(&times);
    let store = Counted::over(world.log());
    let reads = ReadSide::open(Options::in_memory(), store.clone())
        .await
        .unwrap();
    let past = reads.past(WAIT).await.unwrap();
    store.take();
    for time in [0, 1, 1_023, 1_024, 5_000, 19_999, 1_000_000] {
        let found = past
            .moment(When::Time(Timestamp(time)), CLOCK)
            .await
            .unwrap();
        assert_eq!(found.position, counted(&world, time));
        // Blocks of 256 up to the next note, and what is over.
        assert!(store.take() <= 1_024 + 256, "time {time}");
        past.moment(When::At(found.position), CLOCK).await.unwrap();
        assert!(store.take() <= 1_024 + 256, "position {}", found.position);
    }
}

#[tokio::test]
async fn a_moment_that_has_not_come_is_told() {
    let world = world_of(&[5, 6, 7]);
    let (_reads, past) = past_of(&world).await;
    let beyond = [
        When::At(Position(world.position().0 + 1)),
        When::Time(Timestamp(CLOCK.0 + 1)),
    ];
    for when in beyond {
        match past.moment(when, CLOCK).await {
            Err(PastError::BeyondEnd { end }) => assert_eq!(end, world.log().durable_position()),
            other => panic!("{other:?}"),
        }
    }
    let before = past.moment(When::Time(Timestamp(-1)), CLOCK).await.unwrap();
    assert_eq!(before.position, Position::START, "nothing had happened");
    let now = past.moment(When::Now, CLOCK).await.unwrap();
    assert_eq!((now.position, now.now), (world.position(), CLOCK));
}

#[tokio::test]
async fn a_conversation_that_begins_with_a_block_or_a_follow_is_in_the_index() {
    let mut world = World::open(&["ann", "bob", "cat"]);
    world.block("ann", "bob").unwrap();
    world.relate(RelationshipKind::Follow, "cat", "ann");
    let (_reads, past) = past_of(&world).await;
    let found = past.conversations(&id("ann"), past.end()).unwrap();
    let mut ids: Vec<_> = found.iter().map(|pair| pair.conversation_id).collect();
    ids.sort();
    let mut expected = vec![conversation_of("ann", "bob"), conversation_of("ann", "cat")];
    expected.sort();
    assert_eq!(ids, expected);
}

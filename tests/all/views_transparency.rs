//! The figures of moderation: given events, then the report over their days.

use domain::case::{self, Action, AppealOutcome, Category, Command, Ruling};
use domain::conversation::Also;
use domain::event::Event;
use domain::ids::{CaseId, DecisionId};
use domain::member::Restriction;
use domain::time::{DAY_MS, Timestamp};
use projections::{Day, DecisionFigure, MedianTime, QueryError, Source, Transparency};
use tests::views::{World, conversation_of, id};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// A world that begins at the beginning of a day.
fn world() -> World {
    let mut world = World::open(&["ann", "ben", "bob", "cleo"]);
    world.now = today(&world).0 * DAY_MS;
    world
}

fn today(world: &World) -> Day {
    Day::of(Timestamp(world.now))
}

async fn figures(world: &World, first: Day, last: Day) -> Transparency {
    let reads = world.reads().await;
    reads.transparency(first, last).await.unwrap().value
}

/// `from` writes to `to`, who reports it, and the report joins its case.
fn reported(world: &mut World, from: &str, to: &str, category: Category) {
    let number = world.send(from, to, "buy now").unwrap();
    world
        .report(to, from, &[number], category, "", Also::None)
        .unwrap();
    world.join(from, to);
}

fn decide(
    world: &mut World,
    reported: &str,
    reporter: &str,
    action: Action,
    reason: &str,
) -> DecisionId {
    let (by, at) = (id("mia"), Timestamp(world.now));
    let claim = Command::ClaimCase { by: by.clone(), at };
    world.on_case(reported, reporter, &claim).unwrap();
    let until = (action == Action::Limit).then(|| Timestamp(at.0 + 30 * DAY_MS));
    let ruling = Ruling {
        action,
        until,
        messages: Vec::new(),
        reason: reason.parse().unwrap(),
        text: "Do not.".to_owned(),
        facts: "Message 1.".to_owned(),
    };
    let decision = DecisionId(uuid::Uuid::from_u128(world.position().0.into()));
    let named = Vec::new();
    let decided = Command::DecideCase {
        by,
        decision,
        ruling,
        named,
        at,
    };
    world.on_case(reported, reporter, &decided).unwrap();
    decision
}

fn ground(action: Action, ground: &str, source: Source, count: u64) -> DecisionFigure {
    let ground = ground.to_owned();
    DecisionFigure {
        action,
        ground,
        source,
        count,
    }
}

#[tokio::test]
async fn counts_what_happened_on_its_days_and_on_no_other() {
    let mut world = world();
    let first = today(&world);
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "bob", "ben", Category::Spam);
    // The last millisecond of the day, and the first of the next.
    world.now += DAY_MS - 1;
    reported(&mut world, "bob", "ann", Category::Hate);
    world.now += 1;
    reported(&mut world, "cleo", "ann", Category::MinorSafety);
    decide(&mut world, "bob", "ann", Action::Warn, "rude");

    let day = figures(&world, first, first).await;
    assert_eq!(day.notices, [(Category::Spam, 2), (Category::Hate, 1)]);
    assert_eq!((day.cases_opened, day.decisions), (2, 0));
    let next = Day(first.0 + 1);
    let day = figures(&world, next, next).await;
    assert_eq!(day.notices, [(Category::MinorSafety, 1)]);
    assert_eq!((day.cases_opened, day.decisions), (1, 1));
    let both = figures(&world, first, next).await;
    assert_eq!(both.notices.iter().map(|(_, count)| count).sum::<u64>(), 4);
    assert_eq!((both.cases_opened, both.decisions), (3, 1));
    let around = [Day(first.0 - 31), Day(first.0 - 1)];
    assert_eq!(
        figures(&world, around[0], around[1]).await,
        Transparency::default()
    );
    world.check();
}

#[tokio::test]
async fn tells_decisions_by_what_was_done_and_why_and_what_led_to_them() {
    let mut world = world();
    let first = today(&world);
    for reporter in ["ann", "ben"] {
        reported(&mut world, "bob", reporter, Category::Spam);
        decide(&mut world, "bob", reporter, Action::Limit, "advertising");
    }
    reported(&mut world, "cleo", "ann", Category::Spam);
    decide(&mut world, "cleo", "ann", Action::Nothing, "harmless");
    world.suspend("cleo");
    let day = figures(&world, first, first).await;
    assert_eq!(day.decisions, 4);
    assert_eq!(
        day.by_ground,
        [
            ground(Action::Limit, "advertising", Source::Notices, 2),
            ground(Action::Nothing, "harmless", Source::Notices, 1),
            ground(Action::Suspend, "spam", Source::OwnInitiative, 1),
        ]
    );
    assert_eq!(day.left, (0, 0));
    world.check();
}

#[tokio::test]
async fn of_more_grounds_than_are_listed_the_rest_is_told() {
    let mut world = world();
    let first = today(&world);
    let listed = Transparency::GROUNDS_MAX;
    // The last by its word is the first by its number.
    let most = format!("reason_{:03}", listed + 2);
    let reasons = (0..listed + 3).map(|number| format!("reason_{number:03}"));
    for reason in reasons.chain([most.clone()]) {
        let decided = case::CaseDecided {
            decision: DecisionId(uuid::Uuid::from_u128(world.position().0.into())),
            by: id("mia"),
            reported: id("bob"),
            reporter: id("ann"),
            action: Action::Warn,
            until: None,
            messages: Vec::new(),
            reason: reason.parse().unwrap(),
            text: "Do not.".into(),
            facts: "Message 1.".into(),
            appealable_until: None,
            act: None,
        };
        let case = CaseId::of(conversation_of("ann", "bob"), &id("bob"));
        let event = Event::Case(case::Event::CaseDecided(decided));
        world.append(&case::stream(case), &event);
    }
    let day = figures(&world, first, first).await;
    assert_eq!(day.by_ground.len(), listed);
    assert_eq!(
        day.by_ground[0],
        ground(Action::Warn, &most, Source::Notices, 2)
    );
    assert_eq!(day.left, (3, 3));
    assert_eq!(day.decisions, listed as u64 + 4);
}

/// A case that was decided waits anew from what is newly reported on.
#[tokio::test]
async fn the_median_is_of_the_times_from_the_first_report_that_waited() {
    let mut world = world();
    let first = today(&world);
    let median = async |world: &World, days| {
        let last = Day(first.0 + days);
        figures(world, first, last).await.time_to_decision
    };
    reported(&mut world, "bob", "ann", Category::Spam);
    assert_eq!(median(&world, 0).await, None);
    world.now += 1;
    reported(&mut world, "bob", "ann", Category::Spam);
    world.now += 99;
    decide(&mut world, "bob", "ann", Action::Warn, "spam");
    assert_eq!(median(&world, 0).await, Some(MedianTime { of: 1, ms: 100 }));
    // Three hours, and two days: of an even number the lesser in the middle.
    world.now += HOUR_MS;
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "bob", "ben", Category::Spam);
    world.now += 3 * HOUR_MS;
    decide(&mut world, "bob", "ann", Action::Warn, "spam");
    world.now += 2 * DAY_MS - 3 * HOUR_MS;
    decide(&mut world, "bob", "ben", Action::Warn, "spam");
    assert_eq!(median(&world, 0).await.unwrap().of, 2);
    let all = median(&world, 2).await.unwrap();
    assert_eq!(all.of, 3);
    let three_hours = 3 * HOUR_MS.unsigned_abs();
    assert!(all.ms.abs_diff(three_hours) <= three_hours / 256, "{all:?}");
    let last = Day(first.0 + 2);
    let last = figures(&world, last, last).await.time_to_decision.unwrap();
    assert_eq!(last.of, 1);
    world.check();
}

fn appeal(world: &mut World, reporter: &str, decision: DecisionId) {
    let appeal = Command::AppealDecision {
        by: id("bob"),
        decision,
        text: "It was not so.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", reporter, &appeal).unwrap();
}

fn answer(world: &mut World, reporter: &str, outcome: AppealOutcome) {
    let answer = Command::DecideAppeal {
        by: id("max"),
        decision: None,
        outcome,
        text: "Heard.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", reporter, &answer).unwrap();
}

fn reverse(world: &mut World, reporter: &str, decision: DecisionId) {
    let reverse = Command::ReverseDecision {
        by: id("max"),
        decision,
        reason: "mistake".parse().unwrap(),
        text: "We were wrong.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", reporter, &reverse).unwrap();
}

#[tokio::test]
async fn counts_appeals_what_became_of_them_and_every_reversal_once() {
    let mut world = World::open(&["ann", "ben", "bob", "cleo", "dan"]);
    let first = today(&world);
    let reporters = ["ann", "ben", "cleo", "dan"];
    let decisions = reporters.map(|reporter| {
        reported(&mut world, "bob", reporter, Category::Spam);
        decide(&mut world, "bob", reporter, Action::Warn, "spam")
    });
    // One is upheld, one reversed, one reversed while it waits, and one reversed without an appeal.
    for (reporter, decision) in reporters.into_iter().zip(decisions).take(3) {
        appeal(&mut world, reporter, decision);
    }
    world.wait_days(1);
    answer(&mut world, "ann", AppealOutcome::Upheld);
    world.now += 1;
    answer(&mut world, "ben", AppealOutcome::Reversed);
    world.wait_days(1);
    reverse(&mut world, "cleo", decisions[2]);
    reverse(&mut world, "dan", decisions[3]);
    let day = figures(&world, first, first).await;
    assert_eq!((day.appeals, &day.appeals_decided[..]), (3, &[][..]));
    assert_eq!(day.time_to_appeal_decision, None);
    let all = figures(&world, first, Day(first.0 + 2)).await;
    assert_eq!(
        (all.appeals, &all.appeals_decided[..]),
        (
            3,
            &[(AppealOutcome::Upheld, 1), (AppealOutcome::Reversed, 2)][..]
        )
    );
    assert_eq!((all.reversed_on_appeal, all.reversed_unasked), (2, 1));
    let time = all.time_to_appeal_decision.unwrap();
    let day_ms = DAY_MS.unsigned_abs();
    assert_eq!(time.of, 3);
    assert!(time.ms.abs_diff(day_ms + 1) <= day_ms / 256, "{time:?}");
    world.check();
}

#[tokio::test]
async fn what_restricts_at_the_end_of_a_day_is_what_began_and_had_not_ended() {
    let mut world = world();
    let first = today(&world);
    let mut told = Vec::new();
    let mut day = |world: &mut World| {
        told.push(today(world));
        world.wait_days(1);
    };
    world.suspend("bob");
    // Said again, it is one suspension.
    world.suspend("bob");
    let end = Timestamp(world.now + 3 * DAY_MS);
    world.restrict("d1", "bob", Restriction::Suspension, None);
    world.restrict("d2", "bob", Restriction::Limit, Some(end));
    world.restrict("d3", "cleo", Restriction::Limit, Some(end));
    day(&mut world);
    // Reinstating ends suspensions alone, by hand and by decision.
    world.reinstate("bob");
    day(&mut world);
    world.suspend("cleo");
    day(&mut world);
    for (decision, member) in [("d2", "bob"), ("d3", "cleo")] {
        world.end_restriction(decision, member);
        world.end_restriction(decision, member);
    }
    day(&mut world);
    let mut in_force = Vec::new();
    for day in told {
        let at_end = figures(&world, day, day).await;
        let since_first = figures(&world, first, day).await;
        assert_eq!(at_end.suspensions, since_first.suspensions);
        in_force.push((at_end.suspensions, at_end.limits));
    }
    assert_eq!(in_force, [(2, 2), (0, 2), (1, 2), (1, 0)]);
    world.check();
}

#[tokio::test]
async fn a_report_is_over_a_year_at_most() {
    let reads = world().reads().await;
    let last = Day(Transparency::DAYS_MAX - 1);
    assert!(reads.transparency(Day(0), last).await.is_ok());
    assert!(matches!(
        reads.transparency(Day(-1), last).await,
        Err(QueryError::TooWide)
    ));
}

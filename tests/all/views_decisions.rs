//! What a member is told of decisions about them, and what their reporter is, from given events.

use domain::case::{Action, AppealOutcome, Category, Command, Ruling};
use domain::conversation::Also;
use domain::ids::{DecisionId, ReasonCode};
use domain::member::{MemberSuspended, Restriction};
use domain::time::Timestamp;
use projections::{
    CaseState, OwnDecision, PageRequest, QueueFilter, ReportItem, ReportOutcome, ReportState,
};
use tests::views::{World, decision_of, id};

fn reported(world: &mut World) {
    let number = world.send("bob", "ann", "buy now").unwrap();
    let made = world.report("ann", "bob", &[number], Category::Scam, "", Also::None);
    made.unwrap();
}

/// Claims the case about bob and decides it under this name.
fn decide(world: &mut World, name: &str, action: Action, until: Option<i64>) {
    let at = Timestamp(world.now);
    let claim = Command::ClaimCase { by: id("mia"), at };
    world.on_case("bob", "ann", &claim).unwrap();
    let until = until.map(Timestamp);
    let decide = Command::DecideCase {
        by: id("mia"),
        decision: decision_of(name),
        ruling: Ruling {
            action,
            until,
            messages: Vec::new(),
            reason: ReasonCode::new("scam").unwrap(),
            text: format!("{name} is why."),
            facts: "An offer.".to_owned(),
        },
        named: Vec::new(),
        at,
    };
    world.on_case("bob", "ann", &decide).unwrap();
    match action {
        Action::Suspend => world.restrict(name, "bob", Restriction::Suspension, until),
        Action::Limit => world.restrict(name, "bob", Restriction::Limit, until),
        Action::Nothing | Action::Warn | Action::RemoveMessages => {}
    }
}

fn appeal(world: &mut World, name: &str) {
    let command = Command::AppealDecision {
        by: id("bob"),
        decision: decision_of(name),
        text: "It was a joke.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", "ann", &command).unwrap();
}

fn answer(world: &mut World, decision: Option<DecisionId>, outcome: AppealOutcome) {
    let command = Command::DecideAppeal {
        by: id("max"),
        decision,
        outcome,
        text: "We looked again.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", "ann", &command).unwrap();
}

fn reverse(world: &mut World, name: &str) {
    let command = Command::ReverseDecision {
        by: id("max"),
        decision: decision_of(name),
        reason: ReasonCode::new("mistake").unwrap(),
        text: "We were wrong.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", "ann", &command).unwrap();
}

async fn told(world: &World, member: &str) -> Vec<OwnDecision> {
    let reads = world.reads().await;
    let page = PageRequest::new(50, None).unwrap();
    let page = reads.my_decisions(&id(member), &page).await;
    page.unwrap().items
}

async fn reports(world: &World) -> Vec<(ReportState, Option<ReportOutcome>)> {
    let reads = world.reads().await;
    let page = PageRequest::new(50, None).unwrap();
    let items: Vec<ReportItem> = reads.my_reports(&id("ann"), &page).await.unwrap().items;
    items
        .iter()
        .map(|item| (item.state, item.outcome))
        .collect()
}

/// The cases with an appeal that waits: their states, and since when it does.
async fn appealed(world: &World) -> Vec<(CaseState, Option<Timestamp>)> {
    let filter = QueueFilter {
        appealed: true,
        ..QueueFilter::default()
    };
    let page = PageRequest::new(50, None).unwrap();
    let page = world.reads().await.moderation_queue(&filter, &page).await;
    let items = page.unwrap().items;
    items
        .iter()
        .map(|item| (item.state, item.appealed_at))
        .collect()
}

#[tokio::test]
async fn tells_what_was_decided_when_it_ended_and_what_came_of_the_appeal() {
    let mut world = World::open(&["ann", "bob"]);
    reported(&mut world);
    world.join("bob", "ann");
    let until = world.now + 100;
    decide(&mut world, "d1", Action::Suspend, Some(until));
    world.now += 10;
    appeal(&mut world, "d1");
    let since = Some(Timestamp(world.now));
    assert_eq!(appealed(&world).await, [(CaseState::Decided, since)]);
    let [waiting] = &told(&world, "bob").await[..] else {
        panic!("one decision");
    };
    assert_eq!(waiting.text, "d1 is why.");
    assert_eq!(waiting.category, Some(Category::Scam));
    assert_eq!(
        (waiting.until, waiting.ended_at),
        (Some(Timestamp(until)), None)
    );
    assert_eq!(waiting.appeal.as_ref().unwrap().answer, None);
    world.now += 10;
    answer(&mut world, None, AppealOutcome::Reversed);
    world.lift("d1", "bob");
    let [reversed] = &told(&world, "bob").await[..] else {
        panic!("one decision");
    };
    let at = Timestamp(world.now);
    assert_eq!(reversed.ended_at, Some(at));
    assert_eq!(reversed.reversal.as_ref().unwrap().reversed_at, at);
    let answered = reversed.appeal.as_ref().unwrap().answer.clone();
    let text = "We looked again.".to_owned();
    assert_eq!(answered, Some((AppealOutcome::Reversed, text, at)));
    assert_eq!(appealed(&world).await, []);
    assert_eq!(told(&world, "ann").await, []);
    world.check();
}

#[tokio::test]
async fn a_reopened_case_with_an_appeal_of_before_is_found_in_both_ways() {
    let mut world = World::open(&["ann", "bob"]);
    reported(&mut world);
    world.join("bob", "ann");
    decide(&mut world, "d1", Action::Warn, None);
    appeal(&mut world, "d1");
    let since = Some(Timestamp(world.now));
    reported(&mut world);
    world.join("bob", "ann");
    assert_eq!(appealed(&world).await, [(CaseState::Open, since)]);
    decide(&mut world, "d2", Action::Nothing, None);
    assert_eq!(appealed(&world).await, [(CaseState::Closed, since)]);
    assert_eq!(
        told(&world, "bob").await.len(),
        1,
        "nothing is none to them"
    );
    answer(&mut world, Some(decision_of("d1")), AppealOutcome::Upheld);
    assert_eq!(appealed(&world).await, []);
    world.check();
}

#[tokio::test]
async fn tells_a_reporter_what_came_of_each_report() {
    use ReportOutcome::{ActedOn, NotActedOn, Reversed};
    let (open, done) = (ReportState::Open, ReportState::Decided);
    let mut world = World::open(&["ann", "bob"]);
    reported(&mut world);
    world.join("bob", "ann");
    assert_eq!(reports(&world).await, [(open, None)]);
    // The second was made before the decision, and had not joined.
    reported(&mut world);
    decide(&mut world, "d1", Action::Warn, None);
    world.join("bob", "ann");
    assert_eq!(reports(&world).await, [(open, None), (done, Some(ActedOn))]);
    decide(&mut world, "d2", Action::Nothing, None);
    let both = [(done, Some(NotActedOn)), (done, Some(ActedOn))];
    assert_eq!(reports(&world).await, both);
    // An earlier decision than the last: its report waits for nothing.
    reverse(&mut world, "d1");
    let both = [(done, Some(NotActedOn)), (done, Some(Reversed))];
    assert_eq!(reports(&world).await, both);
    reverse(&mut world, "d2");
    let both = [(open, Some(Reversed)), (done, Some(Reversed))];
    assert_eq!(reports(&world).await, both);
    decide(&mut world, "d3", Action::Warn, None);
    let both = [(done, Some(ActedOn)), (done, Some(Reversed))];
    assert_eq!(reports(&world).await, both);
    world.check();
}

#[tokio::test]
async fn suspensions_by_hand_stand_side_by_side_until_they_are_ended() {
    let mut world = World::open(&["ann", "bob"]);
    world.suspend("bob");
    let first = Timestamp(world.now);
    world.now += 10;
    // The same again is one and the same.
    world.suspend("bob");
    assert_eq!(told(&world, "bob").await.len(), 1);
    world.now += 10;
    let at = Timestamp(world.now);
    world.reinstate("bob");
    let told = told(&world, "bob").await;
    assert!(told[0].by_hand && told[0].appealable_until.is_some() && told[0].facts.is_some());
    assert_eq!((told[0].decided_at, told[0].ended_at), (first, Some(at)));
    world.check();
}

/// Of before suspensions by hand were decisions.
#[tokio::test]
async fn an_old_suspension_by_hand_ends_by_the_next_and_by_time_and_cannot_be_appealed() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "hi").unwrap();
    let stream = domain::member::stream(&id("bob"));
    let append = |world: &mut World, event: domain::member::Event<'_>| {
        world.append(&stream, &domain::Event::Member(event));
        world.now += 10;
        Timestamp(world.now - 10)
    };
    let until = Timestamp(world.now + 15);
    let mut suspend = |until| {
        let suspended = MemberSuspended {
            member: id("bob"),
            decision: None,
            by: id("mia"),
            until,
            reason: ReasonCode::new("scam").unwrap(),
            text: "Old.".into(),
            facts: "".into(),
            appealable_until: None,
        };
        append(
            &mut world,
            domain::member::Event::MemberSuspended(suspended),
        )
    };
    let (first, second) = (suspend(None), suspend(Some(until)));
    let suspended = async |world: &World| {
        let member = world.reads().await.member(&id("bob")).await.unwrap();
        member.value.suspension.is_some()
    };
    assert!(suspended(&world).await);
    let ended = domain::member::SuspensionEnded {
        member: id("bob"),
        until,
    };
    append(&mut world, domain::member::Event::SuspensionEnded(ended));
    assert!(!suspended(&world).await);
    let told = told(&world, "bob").await;
    let ended: Vec<_> = told.iter().map(|it| (it.decided_at, it.ended_at)).collect();
    assert_eq!(ended, [(second, Some(until)), (first, Some(second))]);
    assert_ne!(told[0].decision_id, told[1].decision_id);
    assert!(
        told.iter()
            .all(|it| it.by_hand && it.appealable_until.is_none() && it.facts.is_none())
    );
    world.check();
}

//! The moderation queue and its cases, and what a reporter sees of their own reports.

use domain::case::Category;
use domain::conversation::Also;
use domain::ids::CaseId;
use domain::member::AgeBand;
use domain::time::Timestamp;
use projections::{
    CaseState, PageRequest, QueryError, QueueFilter, QueueItem, QueueSort, ReportState,
};
use tests::views::{World, conversation_of, id};

async fn queue(world: &World, filter: &QueueFilter) -> Vec<QueueItem> {
    let reads = world.reads().await;
    let (mut cursor, mut items) = (None, Vec::new());
    loop {
        let page = reads
            .moderation_queue(filter, &PageRequest::new(2, cursor).unwrap())
            .await
            .unwrap();
        items.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return items;
        }
    }
}

async fn members(world: &World, filter: &QueueFilter) -> Vec<String> {
    queue(world, filter)
        .await
        .into_iter()
        .map(|item| item.member.to_string())
        .collect()
}

/// `from` writes to `to`, who reports it.
fn reported(world: &mut World, from: &str, to: &str, category: Category) {
    let number = world.send(from, to, "buy now").unwrap();
    world
        .report(to, from, &[number], category, "", Also::None)
        .unwrap();
}

#[tokio::test]
async fn has_a_case_with_the_position_of_its_report() {
    let mut world = World::open(&["ann", "bob"]);
    reported(&mut world, "bob", "ann", Category::Spam);
    let opened_at = Timestamp(world.now);
    world.now += 1;
    reported(&mut world, "bob", "ann", Category::Scam);
    let [item] = &queue(&world, &QueueFilter::default()).await[..] else {
        panic!("one case")
    };
    assert_eq!(
        item.case_id,
        CaseId::of(conversation_of("ann", "bob"), &id("bob"))
    );
    assert_eq!(item.conversation_id, Some(conversation_of("ann", "bob")));
    assert_eq!(item.member, id("bob"));
    assert_eq!(item.state, CaseState::Open);
    assert_eq!(item.categories, [Category::Scam, Category::Spam]);
    assert_eq!((item.reports, item.reporters), (2, 1));
    assert_eq!(item.opened_at, opened_at);
    assert_eq!(item.claimed_by, None);
    assert_eq!(item.priority.severity, Category::Scam.severity());
    world.check();
}

#[tokio::test]
async fn is_ordered_by_severity_then_reporters_then_age() {
    let mut world = World::open(&["ann", "ben", "old", "new", "many", "grave"]);
    reported(&mut world, "old", "ann", Category::Spam);
    reported(&mut world, "new", "ann", Category::Spam);
    reported(&mut world, "many", "ann", Category::Spam);
    reported(&mut world, "many", "ben", Category::Spam);
    reported(&mut world, "grave", "ann", Category::MinorSafety);
    let by = |sort| QueueFilter {
        sort,
        ..QueueFilter::default()
    };
    assert_eq!(
        members(&world, &by(QueueSort::Priority)).await,
        ["grave", "many", "many", "old", "new"]
    );
    assert_eq!(
        members(&world, &by(QueueSort::Oldest)).await,
        ["old", "new", "many", "many", "grave"]
    );
    assert_eq!(
        members(&world, &by(QueueSort::Newest)).await,
        ["grave", "many", "many", "new", "old"]
    );
    world.check();
}

#[tokio::test]
async fn counts_reporters_of_ninety_days_at_a_report_and_at_nothing_else() {
    let mut world = World::open(&["ann", "ben", "bob", "cleo", "dan"]);
    reported(&mut world, "bob", "ann", Category::Spam);
    world.now += 1;
    reported(&mut world, "bob", "ben", Category::Spam);
    let places = async |world: &World| {
        queue(world, &QueueFilter::default())
            .await
            .iter()
            .map(|item| (item.reporters, item.priority.rank()))
            .collect::<Vec<_>>()
    };
    let before = places(&world).await;
    assert_eq!(
        before.iter().map(|place| place.0).collect::<Vec<_>>(),
        [2, 2]
    );
    // Ann's report is 90 days old, ben's not quite; neither time nor a look at the case moves anything.
    world.wait_days(90);
    world.now -= 1;
    world.send("cleo", "dan", "time passes").unwrap();
    world.disclose("bob", "ann");
    assert_eq!(places(&world).await, before);
    world.suspend("bob");
    assert_eq!(places(&world).await, before);
    reported(&mut world, "cleo", "dan", Category::Spam);
    let bobs = places(&world).await;
    assert_eq!(bobs[..2], before[..]);
    world.reinstate("bob");
    // The next report of bob counts anew, for both of his cases.
    reported(&mut world, "bob", "dan", Category::Spam);
    let reporters: Vec<u32> = places(&world).await.iter().map(|place| place.0).collect();
    assert_eq!(reporters, [2, 2, 2, 1]);
    world.check();
}

#[tokio::test]
async fn sorts_reports_beyond_the_daily_limit_last() {
    let mut world = World::open(&["ann"]);
    for number in 0..52 {
        let other = format!("m{number:02}");
        world.register(&other, AgeBand::Adult);
        let category = if number == 51 {
            Category::MinorSafety
        } else {
            Category::Spam
        };
        reported(&mut world, &other, "ann", category);
    }
    let items = queue(&world, &QueueFilter::default()).await;
    assert_eq!(items.len(), 52);
    assert!(
        items[..50]
            .iter()
            .all(|item| !item.priority.over_limit && item.reporters == 1)
    );
    assert_eq!(
        (items[50].member.as_str(), items[51].member.as_str()),
        ("m51", "m50")
    );
    assert!(items[50].priority.over_limit && items[50].reporters == 0);
}

#[tokio::test]
async fn filters_by_state_category_member_and_moderator() {
    let mut world = World::open(&["ann", "ben", "bob", "cleo"]);
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "bob", "ben", Category::Hate);
    reported(&mut world, "cleo", "ann", Category::Spam);
    let all = QueueFilter::default();
    let spam = QueueFilter {
        category: Some(Category::Spam),
        ..all.clone()
    };
    assert_eq!(members(&world, &spam).await, ["bob", "cleo"]);
    let bob = QueueFilter {
        member: Some(id("bob")),
        ..all.clone()
    };
    assert_eq!(queue(&world, &bob).await.len(), 2);
    assert_eq!(queue(&world, &bob).await[0].categories, [Category::Hate]);
    let closed = QueueFilter {
        state: Some(CaseState::Closed),
        ..all.clone()
    };
    assert!(queue(&world, &closed).await.is_empty());
    let held = QueueFilter {
        claimed_by: Some(id("moderator")),
        ..all
    };
    assert!(queue(&world, &held).await.is_empty());
}

#[tokio::test]
async fn shows_a_case_with_evidence_context_and_history() {
    let mut world = World::open(&["ann", "bob"]);
    world.befriend("ann", "bob");
    for number in 1..=20_u64 {
        let (from, to) = if number % 2 == 0 {
            ("ann", "bob")
        } else {
            ("bob", "ann")
        };
        world.send(from, to, &format!("m{number}")).unwrap();
    }
    let report = world
        .report("ann", "bob", &[9], Category::Hate, "look", Also::Block)
        .unwrap();
    world.send("bob", "ann", "withheld").unwrap();
    world.unsend("bob", "ann", 9).unwrap();
    world.unsend("bob", "ann", 11).unwrap();
    world.suspend("bob");

    let reads = world.reads().await;
    let answer = reads
        .case(CaseId::of(conversation_of("ann", "bob"), &id("bob")))
        .await
        .unwrap();
    assert_eq!(answer.position, world.position());
    let case = answer.value;
    assert_eq!(
        (&case.summary.member, &case.reporter),
        (&id("bob"), &Some(id("ann")))
    );
    let [one] = &case.reports[..] else {
        panic!("one report")
    };
    assert_eq!(
        (one.report_id, &one.reporter, one.comment.as_str()),
        (report, &id("ann"), "look")
    );
    assert_eq!((one.category, one.over_limit), (Category::Hate, false));
    assert_eq!(
        (one.evidence[0].number, one.evidence[0].text.as_str()),
        (9, "m9")
    );
    let numbers: Vec<_> = case.messages.iter().map(|message| message.number).collect();
    assert_eq!(numbers, (4..=14).collect::<Vec<_>>());
    for message in &case.messages {
        let text = (message.number != 11).then(|| format!("m{}", message.number));
        assert_eq!(message.text, text, "of {}", message.number);
        assert_eq!(message.reported, message.number == 9);
        assert_eq!(
            message.unsent_at.is_some(),
            [9, 11].contains(&message.number)
        );
        assert_eq!(
            message.from,
            id(if message.number % 2 == 0 {
                "ann"
            } else {
                "bob"
            })
        );
    }
    let (bob, ann) = (&case.history, case.history_of_reporter.as_ref().unwrap());
    assert_eq!(
        (
            &bob.member,
            bob.reports_received,
            bob.cases,
            bob.suspensions,
            bob.suspended
        ),
        (&id("bob"), 1, 1, 1, true)
    );
    assert_eq!(
        (&ann.member, ann.reports_made, ann.reports_received),
        (&id("ann"), 1, 0)
    );
    assert!(bob.registered_at.is_some());
    let unknown = reads
        .case(CaseId::of(conversation_of("ann", "bob"), &id("ann")))
        .await;
    assert!(matches!(unknown, Err(QueryError::NotFound)));
    world.check();
}

#[tokio::test]
async fn shows_no_withheld_message_around_a_reported_one() {
    let mut world = World::open(&["ann", "bob"]);
    world.send("bob", "ann", "one").unwrap();
    world.block("ann", "bob").unwrap();
    world.send("bob", "ann", "withheld").unwrap();
    world
        .report("ann", "bob", &[1], Category::Spam, "", Also::None)
        .unwrap();
    let reads = world.reads().await;
    let case = reads
        .case(CaseId::of(conversation_of("ann", "bob"), &id("bob")))
        .await
        .unwrap()
        .value;
    assert_eq!(
        case.messages
            .iter()
            .map(|message| message.number)
            .collect::<Vec<_>>(),
        [1]
    );
}

#[tokio::test]
async fn shows_a_reporter_their_own_reports() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    for from in ["bob", "cleo"] {
        world.send(from, "ann", "one").unwrap();
        world.send(from, "ann", "two").unwrap();
    }
    let first = world
        .report("ann", "bob", &[2, 1], Category::Spam, "twice", Also::Delete)
        .unwrap();
    world.now += 1;
    let second = world
        .report("ann", "cleo", &[1], Category::Scam, "", Also::None)
        .unwrap();
    let reads = world.reads().await;
    let page = reads
        .my_reports(&id("ann"), &PageRequest::first(1).unwrap())
        .await
        .unwrap();
    assert_eq!(page.items[0].report_id, second);
    let rest = reads
        .my_reports(&id("ann"), &PageRequest::new(1, page.next).unwrap())
        .await
        .unwrap();
    let [item] = &rest.items[..] else {
        panic!("one more")
    };
    assert_eq!(item.report_id, first);
    assert_eq!(
        (&item.member, item.conversation_id),
        (&id("bob"), conversation_of("ann", "bob"))
    );
    assert_eq!(
        (&item.messages[..], item.category, item.comment.as_str()),
        (&[1, 2][..], Category::Spam, "twice")
    );
    assert_eq!(
        (item.state, &item.outcome, item.reported_at),
        (ReportState::Open, &None, Timestamp(world.now - 1))
    );
    assert_eq!(
        reads.my_report(&id("ann"), first).await.unwrap().value,
        *item
    );
    assert!(matches!(
        reads.my_report(&id("bob"), first).await,
        Err(QueryError::NotFound)
    ));
    assert!(
        reads
            .my_reports(&id("bob"), &PageRequest::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    world.check();
}

#[tokio::test]
async fn shows_who_holds_a_case_who_left_it_and_what_was_noted() {
    use domain::case::Command;

    let mut world = World::open(&["ann", "bob"]);
    reported(&mut world, "bob", "ann", Category::Spam);
    world.join("bob", "ann");
    let (mia, at) = (id("mia"), Timestamp(world.now));
    let by = || mia.clone();
    let seen = async |world: &World| {
        let case = CaseId::of(conversation_of("ann", "bob"), &id("bob"));
        let case = world.reads().await.case(case).await.unwrap().value;
        let notes: Vec<_> = case.notes.into_iter().map(|note| note.text).collect();
        let item = case.summary;
        (item.state, item.claimed_by, item.escalated_by, notes)
    };
    let on = |world: &mut World, command| world.on_case("bob", "ann", &command).unwrap();
    on(&mut world, Command::ClaimCase { by: by(), at });
    assert_eq!(
        seen(&world).await,
        (CaseState::Claimed, Some(by()), None, vec![])
    );
    let text = "one".to_owned();
    on(&mut world, Command::NoteOnCase { by: by(), text, at });
    let end = Timestamp(at.0 + domain::case::CLAIM_MS);
    on(&mut world, Command::LapseClaim { at: end });
    let notes = vec!["one".to_owned()];
    assert_eq!(seen(&world).await, (CaseState::Open, None, None, notes));
    on(&mut world, Command::ClaimCase { by: by(), at: end });
    let text = "two".to_owned();
    let escalate = Command::EscalateCase {
        by: by(),
        text,
        at: end,
    };
    on(&mut world, escalate);
    let notes = vec!["one".to_owned(), "two".to_owned()];
    let left = Some(by());
    assert_eq!(seen(&world).await, (CaseState::Open, None, left, notes));
    let held = QueueFilter {
        claimed_by: Some(by()),
        ..QueueFilter::default()
    };
    assert!(queue(&world, &held).await.is_empty());
    world.check();
}

#[tokio::test]
async fn a_decided_case_is_opened_by_what_is_newly_reported_even_before_it_joins() {
    use domain::case::{Action, Command, Ruling};

    let mut world = World::open(&["ann", "bob"]);
    reported(&mut world, "bob", "ann", Category::Spam);
    world.join("bob", "ann");
    let (by, at) = (id("mia"), Timestamp(world.now));
    let claim = Command::ClaimCase { by: by.clone(), at };
    let decide = |action| Command::DecideCase {
        by: by.clone(),
        decision: domain::ids::DecisionId(uuid::Uuid::from_u128(1)),
        ruling: Ruling {
            action,
            until: None,
            messages: Vec::new(),
            reason: "spam".parse().unwrap(),
            text: "Do not.".to_owned(),
            facts: "Message 1.".to_owned(),
        },
        named: Vec::new(),
        at,
    };
    let states = async |world: &World| {
        let mut states = Vec::new();
        for state in CaseState::ALL {
            let filter = QueueFilter {
                state: Some(state),
                ..QueueFilter::default()
            };
            states.extend(queue(world, &filter).await.iter().map(|item| item.state));
        }
        states
    };
    let on = |world: &mut World, command: &Command| world.on_case("bob", "ann", command).unwrap();
    on(&mut world, &claim);
    on(&mut world, &decide(Action::Warn));
    assert_eq!(states(&world).await, [CaseState::Decided]);
    // Reported, and yet to join: the queue has it at once.
    reported(&mut world, "bob", "ann", Category::Hate);
    assert_eq!(states(&world).await, [CaseState::Open]);
    world.join("bob", "ann");
    on(&mut world, &claim);
    // Reported while it is held; it joins only after the decision, which knew nothing of it.
    reported(&mut world, "bob", "ann", Category::Scam);
    on(&mut world, &decide(Action::Nothing));
    assert_eq!(states(&world).await, [CaseState::Closed]);
    world.join("bob", "ann");
    assert_eq!(states(&world).await, [CaseState::Open]);
    let case = CaseId::of(conversation_of("ann", "bob"), &id("bob"));
    let case = world.reads().await.case(case).await.unwrap().value;
    let actions: Vec<_> = case.decisions.iter().map(|it| it.action).collect();
    assert_eq!(actions, [Action::Warn, Action::Nothing]);
    assert_eq!(case.history.cases_upheld, 1);
    world.check();
}

//! What the moderation queue tells besides its cases: counts, ages, revisions, who reports whom, and acts on many cases.

use domain::act::{self, MovedOn, SeenCase, Step};
use domain::case::{Action, Category, Command, DecideByAct, PriorityInputs, Ruling};
use domain::conversation::{self, Also, MessagesReported, ReportedMessage};
use domain::ids::{ActId, CaseId, CommandId, DecisionId, ReportId};
use domain::time::Timestamp;
use domain::{Event, case};
use projections::{
    CaseState, MemberHistory, Options, PageRequest, QueryError, QueueCounts, QueueFilter,
    QueueItem, QueueSort, ReadSide, ViewName,
};
use tests::views::{World, conversation_of, id};

/// `from` writes to `to`, who reports it; the report joins its case.
fn reported(world: &mut World, from: &str, to: &str, category: Category) {
    let number = world.send(from, to, "buy now").unwrap();
    let numbers = [number];
    world
        .report(to, from, &numbers, category, "", Also::None)
        .unwrap();
    world.join(from, to);
}

fn case_of(member: &str, reporter: &str) -> CaseId {
    CaseId::of(conversation_of(member, reporter), &id(member))
}

fn ruling(action: Action) -> Ruling {
    Ruling {
        action,
        until: None,
        messages: Vec::new(),
        reason: "spam".parse().unwrap(),
        text: "Do not.".to_owned(),
        facts: "Message 1.".to_owned(),
    }
}

fn claim(world: &mut World, by: &str, member: &str, reporter: &str) {
    let at = Timestamp(world.now);
    let claim = Command::ClaimCase { by: id(by), at };
    world.on_case(member, reporter, &claim).unwrap();
}

fn decide(world: &mut World, member: &str, reporter: &str, action: Action) {
    claim(world, "mia", member, reporter);
    let command = Command::DecideCase {
        by: id("mia"),
        decision: DecisionId(uuid::Uuid::from_u128(u128::from(world.position().0))),
        ruling: ruling(action),
        named: Vec::new(),
        at: Timestamp(world.now),
    };
    world.on_case(member, reporter, &command).unwrap();
}

/// Mia's counts, held against the lists that they count.
async fn counts(world: &World) -> QueueCounts {
    counts_of(world, "mia").await
}

/// A moderator's counts, held against the lists that they count: none of their own.
async fn counts_of(world: &World, moderator: &str) -> QueueCounts {
    let reads = world.reads().await;
    let counts = reads.queue_counts(&id(moderator)).await.unwrap().value;
    let listed = async |filter: QueueFilter| {
        let filter = QueueFilter {
            besides: Some(id(moderator)),
            ..filter
        };
        let page = PageRequest::first(200).unwrap();
        let page = reads.moderation_queue(&filter, &page).await.unwrap();
        page.items
    };
    for (state, count) in &counts.states {
        let filter = QueueFilter {
            state: Some(*state),
            ..QueueFilter::default()
        };
        assert_eq!(listed(filter).await.len() as u64, *count, "{state:?}");
    }
    for (category, count) in &counts.categories {
        let filter = QueueFilter {
            category: Some(*category),
            ..QueueFilter::default()
        };
        assert_eq!(listed(filter).await.len() as u64, *count, "{category:?}");
    }
    let mine = QueueFilter {
        claimed_by: Some(id(moderator)),
        ..QueueFilter::default()
    };
    assert_eq!(listed(mine).await.len() as u64, counts.mine);
    let open = listed(QueueFilter::default()).await;
    let escalated = open
        .iter()
        .filter(|item| item.state == CaseState::Open && item.escalated_by.is_some());
    assert_eq!(escalated.count() as u64, counts.escalated);
    counts
}

fn states(counts: &QueueCounts) -> Vec<u64> {
    counts.states.iter().map(|(_, count)| *count).collect()
}

#[tokio::test]
async fn counts_what_it_lists_through_all_that_happens_to_a_case() {
    let mut world = World::open(&["ann", "ben", "bob", "cleo"]);
    assert_eq!(states(&counts(&world).await), [0, 0, 0, 0]);
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "bob", "ann", Category::Hate);
    reported(&mut world, "bob", "ben", Category::Spam);
    reported(&mut world, "cleo", "ann", Category::Scam);
    assert_eq!(states(&counts(&world).await), [3, 0, 0, 0]);
    claim(&mut world, "mia", "bob", "ann");
    claim(&mut world, "max", "cleo", "ann");
    let held = counts(&world).await;
    assert_eq!((states(&held), held.mine), (vec![1, 2, 0, 0], 1));
    let text = String::new();
    let (by, at) = (id("mia"), Timestamp(world.now));
    let escalate = Command::EscalateCase { by, text, at };
    world.on_case("bob", "ann", &escalate).unwrap();
    let left = counts(&world).await;
    assert_eq!((left.mine, left.escalated), (0, 1));
    decide(&mut world, "bob", "ben", Action::Warn);
    world.wait_days(1);
    decide(&mut world, "cleo", "ann", Action::Nothing);
    assert_eq!(states(&counts(&world).await), [1, 0, 1, 1]);
    reported(&mut world, "cleo", "ann", Category::Spam);
    let again = counts(&world).await;
    assert_eq!(states(&again), [2, 0, 1, 0]);
    let spam = again
        .categories
        .iter()
        .find(|(category, _)| *category == Category::Spam);
    // The decided one waits for nobody.
    assert_eq!(spam, Some(&(Category::Spam, 2)));
    world.check();
}

/// Whoever is one of the two members of a case neither judges it nor learns of it: not by a list, not by a number.
#[tokio::test]
async fn leaves_out_the_cases_of_who_asks_page_by_page_and_in_every_count() {
    let mut world = World::open(&["ann", "bob", "cleo", "mia"]);
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "mia", "ann", Category::Violence);
    reported(&mut world, "bob", "mia", Category::Hate);
    reported(&mut world, "cleo", "ann", Category::Spam);
    reported(&mut world, "cleo", "bob", Category::Spam);
    let mine = counts(&world).await;
    assert_eq!(states(&mine), [3, 0, 0, 0]);
    let some = |counts: &QueueCounts| -> Vec<Category> {
        let some = counts.categories.iter().filter(|(_, cases)| *cases > 0);
        some.map(|(category, _)| *category).collect()
    };
    assert_eq!(some(&mine), [Category::Spam]);
    assert_eq!(states(&counts_of(&world, "max").await), [5, 0, 0, 0]);
    assert_eq!(states(&counts_of(&world, "bob").await), [2, 0, 0, 0]);
    let reads = world.reads().await;
    let everything = all(&reads, &QueueFilter::default()).await;
    for member in ["mia", "bob", "cleo", "ann", "max"] {
        let filter = QueueFilter {
            besides: Some(id(member)),
            ..QueueFilter::default()
        };
        let (mut paged, mut cursor) = (Vec::new(), None);
        loop {
            let page = PageRequest::new(1, cursor).unwrap();
            let page = reads.moderation_queue(&filter, &page).await.unwrap();
            paged.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let others = everything.iter().filter(|item| {
            let with = |other: &str| item.conversation_id == Some(conversation_of(member, other));
            !["mia", "bob", "cleo", "ann"]
                .into_iter()
                .any(|other| other != member && with(other))
        });
        assert_eq!(paged, others.cloned().collect::<Vec<_>>(), "{member}");
    }
    // What becomes of one's own case moves none of one's numbers.
    world.wait_days(1);
    let claim = Command::ClaimCase {
        by: id("max"),
        at: Timestamp(world.now),
    };
    world.on_case("mia", "ann", &claim).unwrap();
    assert_eq!(counts(&world).await, mine);
    let max = counts_of(&world, "max").await;
    assert_eq!((states(&max), max.mine), (vec![4, 1, 0, 0], 1));
    world.check();
}

#[tokio::test]
async fn lists_cases_by_when_they_were_opened() {
    let mut world = World::open(&["ann", "bob", "cleo", "dan"]);
    let mut opened = Vec::new();
    for from in ["bob", "cleo", "dan"] {
        opened.push(Timestamp(world.now));
        reported(&mut world, from, "ann", Category::Spam);
        world.wait_days(1);
    }
    let reads = world.reads().await;
    let listed = async |opened_after, opened_before| {
        let filter = QueueFilter {
            opened_after,
            opened_before,
            ..QueueFilter::default()
        };
        let page = PageRequest::default();
        let page = reads.moderation_queue(&filter, &page).await.unwrap();
        let members = page.items.into_iter().map(|item| item.member.to_string());
        members.collect::<Vec<_>>()
    };
    assert_eq!(listed(None, Some(opened[1])).await, ["bob"]);
    assert_eq!(listed(Some(opened[1]), None).await, ["cleo", "dan"]);
    assert_eq!(listed(Some(opened[1]), Some(opened[2])).await, ["cleo"]);
    assert!(listed(Some(opened[2]), Some(opened[1])).await.is_empty());
}

/// The revision that the queue shows is the one that the case itself has.
#[tokio::test]
async fn shows_the_revision_of_a_case_as_the_case_has_it() {
    let mut world = World::open(&["ann", "bob"]);
    let shown = async |world: &World| {
        let reads = world.reads().await;
        let case = reads.case(case_of("bob", "ann")).await.unwrap();
        let stream = case::stream(case_of("bob", "ann"));
        let mut state = case::State::default();
        for record in world.events().iter().filter(|it| it.stream() == stream) {
            let event = domain::codec::decode(record.event_type(), record.data()).unwrap();
            let Event::Case(event) = event else {
                panic!("another event");
            };
            let (version, at) = (record.version(), Timestamp(record.at_ms()));
            case::evolve(&mut state, domain::event::Recorded { version, at }, &event);
        }
        assert_eq!(case.value.summary.revision, state.revision());
        state.revision()
    };
    reported(&mut world, "bob", "ann", Category::Spam);
    assert_eq!(shown(&world).await, 1);
    world.disclose("bob", "ann");
    claim(&mut world, "mia", "bob", "ann");
    let (by, at) = (id("mia"), Timestamp(world.now));
    let text = "look".to_owned();
    let note = Command::NoteOnCase { by, text, at };
    world.on_case("bob", "ann", &note).unwrap();
    assert_eq!(shown(&world).await, 1);
    let (by, text) = (id("mia"), String::new());
    let escalate = Command::EscalateCase { by, text, at };
    world.on_case("bob", "ann", &escalate).unwrap();
    assert_eq!(shown(&world).await, 2);
    let by = id("max");
    world
        .on_case("bob", "ann", &Command::ClaimCase { by, at })
        .unwrap();
    reported(&mut world, "bob", "ann", Category::Hate);
    assert_eq!(shown(&world).await, 3);
}

async fn history(world: &World, member: &str, reporter: &str) -> [MemberHistory; 2] {
    let reads = world.reads().await;
    let case = reads.case(case_of(member, reporter)).await.unwrap();
    let case = case.value;
    [case.history, case.history_of_reporter.unwrap()]
}

#[tokio::test]
async fn shows_whom_a_reporter_reported_and_how_many_of_it_were_upheld() {
    let mut world = World::open(&["ann", "ben", "bob", "cleo", "dan"]);
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "bob", "ben", Category::Spam);
    reported(&mut world, "cleo", "ann", Category::Spam);
    reported(&mut world, "dan", "ann", Category::Spam);
    let [bob, ann] = history(&world, "bob", "ann").await;
    assert_eq!((bob.reporters, bob.members_reported), (2, 0));
    assert_eq!((ann.reporters, ann.members_reported), (0, 3));
    let reports = |of: &MemberHistory| (of.reports_made, of.reports_decided, of.reports_upheld);
    assert_eq!(reports(&ann), (4, 0, 0));
    decide(&mut world, "bob", "ann", Action::Warn);
    decide(&mut world, "cleo", "ann", Action::Nothing);
    assert_eq!(reports(&history(&world, "bob", "ann").await[1]), (4, 3, 2));
    // What comes after a decision is decided by the next one.
    reported(&mut world, "bob", "ann", Category::Spam);
    decide(&mut world, "bob", "ann", Action::Nothing);
    let [_, ann] = history(&world, "bob", "ann").await;
    assert_eq!(reports(&ann), (5, 4, 2));
    assert_eq!(ann.members_reported, 3);
    // Ninety days later two of the three are over, as of the next report.
    world.wait_days(91);
    reported(&mut world, "dan", "ann", Category::Spam);
    assert_eq!(history(&world, "dan", "ann").await[1].members_reported, 1);
    world.check();
}

fn decide_by_act(world: &mut World, act: ActId, reporter: &str) {
    let command = DecideByAct {
        act,
        decision: DecisionId::by_act(act, case_of("bob", reporter)),
        by: id("mia"),
        member: id("bob"),
        revision: 1,
        ruling: ruling(Action::Suspend),
        at: Timestamp(world.now),
    };
    world
        .on_case("bob", reporter, &Command::DecideByAct(command))
        .unwrap();
}

/// A reversal takes back what was counted as upheld; what waits for another decision is decided no more.
#[tokio::test]
async fn takes_back_with_a_reversal_what_a_reporter_was_right_about() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    let reports = async |world: &World| {
        let [_, ann] = history(world, "bob", "ann").await;
        (ann.reports_decided, ann.reports_upheld)
    };
    reported(&mut world, "bob", "ann", Category::Spam);
    reported(&mut world, "bob", "ann", Category::Spam);
    let made = DecisionId(uuid::Uuid::from_u128(u128::from(world.position().0 + 1)));
    decide(&mut world, "bob", "ann", Action::Warn);
    assert_eq!(reports(&world).await, (2, 2));
    let reverse = Command::ReverseDecision {
        by: id("max"),
        decision: made,
        reason: "mistaken".parse().unwrap(),
        text: "We were wrong.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", "ann", &reverse).unwrap();
    assert_eq!(reports(&world).await, (0, 0));
    assert_eq!(states(&counts(&world).await), [1, 0, 0, 0]);
    decide(&mut world, "bob", "ann", Action::Nothing);
    assert_eq!(reports(&world).await, (2, 0));
    world.check();
}

#[tokio::test]
async fn shows_how_far_an_act_on_many_cases_has_come() {
    let mut world = World::open(&["ann", "ben", "cat", "bob"]);
    let all = ["ann", "ben", "cat"];
    for reporter in all {
        reported(&mut world, "bob", reporter, Category::Spam);
    }
    let act = ActId::of(&id("mia"), &CommandId::new("a1").unwrap());
    let stream = act::stream_of_act(act);
    let unknown = world.reads().await.act(act).await;
    assert!(matches!(unknown, Err(QueryError::NotFound)));
    let command = act::Command::DecideCases(act::DecideCases {
        act,
        by: id("mia"),
        member: id("bob"),
        cases: all
            .map(|reporter| SeenCase {
                case: case_of("bob", reporter),
                revision: 1,
            })
            .to_vec(),
        ruling: ruling(Action::Suspend),
        at: Timestamp(world.now),
    });
    for event in act::decide(&act::State::default(), &command).unwrap() {
        world.append(&stream, &Event::Act(event));
    }
    let shown = async |world: &World| world.reads().await.act(act).await.unwrap().value;
    let begun = shown(&world).await;
    assert_eq!((begun.total, begun.decision.done), (3, 0));
    assert_eq!((begun.decision.finished, begun.reversal), (false, None));
    decide_by_act(&mut world, act, "ann");
    assert_eq!(shown(&world).await.decision.done, 1);
    decide_by_act(&mut world, act, "cat");
    let passed = act::PassedCase {
        case: case_of("bob", "ben"),
        why: MovedOn::Claimed,
    };
    let told = act::Event::ActCarriedOut(act::ActCarriedOut {
        act,
        member: id("bob"),
        step: Step::Decision,
        done: 2,
        passed_over: vec![passed],
    });
    world.append(&stream, &Event::Act(told));
    let done = shown(&world).await;
    assert_eq!((done.decision.done, done.decision.finished), (2, true));
    assert_eq!(done.decision.moved_on, [passed]);
    assert_eq!((done.action, done.member), (Action::Suspend, id("bob")));
    let reads = world.reads().await;
    let case = reads.case(case_of("bob", "ann")).await.unwrap().value;
    assert_eq!(case.decisions[0].act, Some(act));
    world.check();
}

/// A decided case is opened again by what floods in, and stands where that alone would put it.
#[tokio::test]
async fn sorts_last_what_reports_beyond_a_limit_open_again() {
    let mut world = World::open(&["ann", "bob", "cleo"]);
    reported(&mut world, "bob", "ann", Category::MinorSafety);
    decide(&mut world, "bob", "ann", Action::Warn);
    reported(&mut world, "cleo", "ann", Category::Spam);
    world.limit_reports("ann", 0);
    reported(&mut world, "bob", "ann", Category::Spam);
    let reads = world.reads().await;
    let page = PageRequest::default();
    let queue = reads.moderation_queue(&QueueFilter::default(), &page).await;
    let items = queue.unwrap().items;
    let told: Vec<_> = items
        .iter()
        .map(|item| (item.member.as_str(), item.priority.over_limit))
        .collect();
    assert_eq!(told, [("cleo", false), ("bob", true)]);
    assert_eq!(items[1].priority.severity, Category::Spam.severity());
    let [_, ann] = history(&world, "bob", "ann").await;
    assert_eq!(ann.report_limit, Some((0, Timestamp(i64::MAX))));
    world.check();
}

/// As many different members report `member`, each in a conversation of their own; every third for hate.
fn flooded(world: &mut World, member: &str, reporters: u32) {
    for number in 0..reporters {
        let reporter = id(&format!("r{number}"));
        let reported = MessagesReported {
            report_id: ReportId(uuid::Uuid::from_u128(u128::from(world.position().0))),
            reporter: reporter.clone(),
            reported: id(member),
            category: if number % 3 == 0 {
                Category::Hate
            } else {
                Category::Spam
            },
            comment: String::new().into(),
            messages: vec![ReportedMessage {
                number: 1,
                sent_at: Timestamp(world.now),
                text: "buy now".to_owned().into(),
            }],
            over_limit: false,
            also: Also::None,
            also_outcome: None,
            policy_version: 0,
        };
        let stream = conversation::stream(conversation_of(member, reporter.as_str()));
        let event = conversation::Event::MessagesReported(reported);
        world.append(&stream, &Event::Conversation(event));
    }
}

/// The queue with the view it reads cases by, come to the end of the events so far.
async fn queue_alone(world: &World) -> ReadSide {
    let mut options = Options::in_memory();
    options.own = Vec::new();
    let mut views = projections::views();
    let needed = [ViewName::ModerationQueue, ViewName::Conversation].map(ViewName::as_str);
    views.retain(|view| needed.contains(&view.name()));
    let reads = ReadSide::open_with(options, world.log(), views)
        .await
        .unwrap();
    let (view, end) = (ViewName::ModerationQueue, world.position());
    let long = std::time::Duration::from_mins(5);
    reads.wait(view, end, long).await.unwrap();
    reads
}

/// All pages of what a filter names.
async fn all(reads: &ReadSide, filter: &QueueFilter) -> Vec<QueueItem> {
    let (mut cursor, mut found) = (None, Vec::new());
    loop {
        let page = PageRequest::new(200, cursor).unwrap();
        let page = reads.moderation_queue(filter, &page).await.unwrap();
        found.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

/// However many cases a member has, the pages go through all of them, in the order of the queue.
#[tokio::test]
async fn lists_every_case_of_a_member_page_by_page() {
    let mut world = World::open(&["ann", "cleo"]);
    reported(&mut world, "cleo", "ann", Category::Violence);
    flooded(&mut world, "bob", 1_100);
    let reads = queue_alone(&world).await;
    for sort in [QueueSort::Priority, QueueSort::Oldest, QueueSort::Newest] {
        let every = QueueFilter {
            sort,
            ..QueueFilter::default()
        };
        let mut expected = all(&reads, &every).await;
        assert_eq!(expected.len(), 1_101);
        expected.retain(|item| item.member == id("bob"));
        let of_bob = QueueFilter {
            member: Some(id("bob")),
            ..every
        };
        assert_eq!(all(&reads, &of_bob).await, expected, "{sort:?}");
        expected.retain(|item| item.categories == [Category::Hate]);
        assert_eq!(expected.len(), 367);
        let hate = QueueFilter {
            category: Some(Category::Hate),
            ..of_bob.clone()
        };
        assert_eq!(all(&reads, &hate).await, expected, "{sort:?}");
        let closed = QueueFilter {
            state: Some(CaseState::Closed),
            ..of_bob
        };
        assert!(all(&reads, &closed).await.is_empty());
    }
    reads.stop().await.unwrap();
}

/// Beyond so many reporters a priority does not rise; what is shown goes on.
#[tokio::test]
async fn a_priority_rises_up_to_a_number_of_reporters() {
    let mut world = World::open(&[]);
    let most = PriorityInputs::REPORTERS_MAX;
    flooded(&mut world, "bob", most - 1);
    flooded(&mut world, "cleo", most + 2);
    let reads = queue_alone(&world).await;
    let items = all(&reads, &QueueFilter::default()).await;
    let number = usize::try_from(most).unwrap();
    assert_eq!(items.len(), 2 * number + 1);
    for item in &items {
        let told = (item.reporters, item.priority.reporters);
        if item.member == id("bob") {
            assert_eq!(told, (most - 1, most - 1));
        } else {
            assert_eq!(told, (most + 2, most));
        }
    }
    let hateful = items
        .iter()
        .filter(|item| item.categories == [Category::Hate]);
    let first = hateful.take_while(|item| item.member == id("cleo"));
    assert_eq!(first.count(), (number + 2).div_ceil(3));
    reads.stop().await.unwrap();
    world.check();
}

/// What is decided stays where it was whoever reports its member, and is placed by them once it waits again.
#[tokio::test]
async fn moves_what_waits_and_places_what_waits_again() {
    let mut world = World::open(&["ann", "ben", "cat", "bob"]);
    let told = async |world: &World| {
        let case = world.reads().await.case(case_of("bob", "ann")).await;
        let case = case.unwrap().value.summary;
        (case.reporters, case.priority.reporters)
    };
    reported(&mut world, "bob", "ann", Category::Spam);
    let made = DecisionId(uuid::Uuid::from_u128(u128::from(world.position().0 + 1)));
    decide(&mut world, "bob", "ann", Action::Warn);
    reported(&mut world, "bob", "ben", Category::Spam);
    assert_eq!(told(&world).await, (2, 1));
    let appeal = Command::AppealDecision {
        by: id("bob"),
        decision: made,
        text: "It was a joke.".to_owned(),
        at: Timestamp(world.now),
    };
    world.on_case("bob", "ann", &appeal).unwrap();
    assert_eq!(told(&world).await, (2, 2), "an appeal waits");
    reported(&mut world, "bob", "cat", Category::Spam);
    assert_eq!(told(&world).await, (3, 3));
    decide(&mut world, "bob", "cat", Action::Nothing);
    let reopen = Command::ReopenCase {
        by: id("max"),
        reason: "asked".parse().unwrap(),
        text: String::new(),
    };
    world.on_case("bob", "cat", &reopen).unwrap();
    let cases = all(&world.reads().await, &QueueFilter::default()).await;
    let places: Vec<_> = cases.iter().map(|item| item.priority.reporters).collect();
    assert_eq!(places, [3, 3, 3]);
    world.check();
}

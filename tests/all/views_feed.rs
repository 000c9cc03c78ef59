//! The feed against the views: after each act of a random history what it tells is what the answers did. It covers every
//! answer that changed, and of what another did it tells nothing that no answer shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use domain::conversation::{DeleteMode, RelationshipKind};
use domain::ids::{ConversationId, MemberId};
use domain::member::AgeBand;
use domain::policy::Audience;
use domain::time::Timestamp;
use event_store::Position;
use projections::{Change, Changed, Options, QueryError, ReadSide, ViewName};
use proptest::prelude::*;
use tests::views::{Log, World, conversation_of, id};

use tests::views::acts::{Act, MEMBERS, carry_out, steps};

use crate::views_model::all;

/// One thing that is told.
type Told = (Changed, Option<ConversationId>);

/// What a member is answered, by what the feed calls it.
type Answers = BTreeMap<Told, String>;

/// The views over a log that grows.
struct Growing {
    reads: ReadSide,
    log: std::sync::Arc<Log>,
    grown: usize,
}

impl Growing {
    async fn over(world: &World) -> Self {
        let log = world.log();
        let reads = ReadSide::open(Options::in_memory(), log.clone())
            .await
            .unwrap();
        let mut growing = Self {
            reads,
            log,
            grown: world.events().len(),
        };
        growing.follow(world).await;
        growing
    }

    async fn follow(&mut self, world: &World) {
        self.log.grow(world.events()[self.grown..].to_vec());
        self.grown = world.events().len();
        for view in ViewName::ALL {
            self.reads
                .wait(*view, world.position(), Duration::from_mins(1))
                .await
                .unwrap();
        }
    }

    /// All that a member can ask of their own.
    async fn answers(&self, member: &MemberId, now: Timestamp) -> Answers {
        let mut answers = Answers::new();
        let reads = &self.reads;
        let inbox = all(async |page| reads.inbox(member, &page).await).await;
        for item in inbox.unwrap() {
            let told = (Changed::Inbox, Some(item.conversation_id));
            answers.insert(told, format!("{item:?}"));
        }
        let requests = all(async |page| reads.requests(member, &page).await).await;
        for item in requests.unwrap() {
            let told = (Changed::Requests, Some(item.conversation_id));
            answers.insert(told, format!("{item:?}"));
        }
        for other in MEMBERS.iter().filter(|other| **other != member.as_str()) {
            let id = conversation_of(member.as_str(), other);
            match all(async |page| reads.messages(member, id, &page, now).await).await {
                Ok(items) => {
                    let told = (Changed::Conversation, Some(id));
                    answers.insert(told, format!("{items:?}"));
                }
                Err(QueryError::NotFound) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let unread = reads.unread(member).await.unwrap().value;
        answers.insert((Changed::Unread, None), format!("{unread:?}"));
        let blocks = all(async |page| reads.blocks(member, &page, now).await).await;
        answers.insert((Changed::Blocked, None), format!("{:?}", blocks.unwrap()));
        let reports = all(async |page| reads.my_reports(member, &page).await).await;
        for item in reports.unwrap() {
            let told = (Changed::Reports, Some(item.conversation_id));
            let reports: &mut String = answers.entry(told).or_default();
            let _ = write!(reports, "{item:?}");
        }
        let decisions = all(async |page| reads.my_decisions(member, &page).await).await;
        let decisions = format!("{:?}", decisions.unwrap());
        answers.insert((Changed::Decisions, None), decisions);
        if let Ok(known) = reads.member(member).await {
            let setting = known.value.dm_setting;
            answers.insert((Changed::DmSetting, None), format!("{setting:?}"));
        }
        answers
    }

    async fn changes(&self, member: &MemberId, after: Position) -> Vec<Change> {
        let mut items: Vec<Change> = Vec::new();
        loop {
            let from = items.last().map_or(after, |last| last.position);
            let found = self.reads.changes(member, from).await.unwrap();
            assert_eq!(found.waits_for, None);
            items.extend(found.items);
            if !found.more {
                return items;
            }
        }
    }
}

fn differences(before: &Answers, after: &Answers) -> BTreeSet<Told> {
    before
        .keys()
        .chain(after.keys())
        .filter(|told| before.get(told) != after.get(told))
        .copied()
        .collect()
}

/// Whether a changed answer is among what was told. What is told of no conversation is of all.
fn covered(answer: Told, told: &BTreeSet<Told>) -> bool {
    let (changed, conversation) = answer;
    told.iter().any(|(of, in_)| {
        *of == changed && (in_.is_none() || conversation.is_none() || *in_ == conversation)
    })
}

/// Whether what was told is a changed answer.
fn true_of(told: Told, differences: &BTreeSet<Told>) -> bool {
    let (changed, conversation) = told;
    differences
        .iter()
        .any(|(of, in_)| *of == changed && (in_.is_none() || *in_ == conversation))
}

/// Those who did it themselves, or have it done to what is theirs alone.
fn acting(act: Act, by: &str) -> Option<&str> {
    // What the host knows of two is told to neither, unless an answer of theirs shows it.
    (!matches!(act, Act::Relate(_))).then_some(by)
}

async fn check_step(
    growing: &mut Growing,
    world: &mut World,
    step: (&str, &str, Act),
) -> Vec<(MemberId, Change)> {
    let (by, other, act) = step;
    let now = Timestamp(world.now);
    let start = world.position();
    let mut before = Vec::new();
    for member in MEMBERS.map(id) {
        before.push(growing.answers(&member, now).await);
    }
    carry_out(world, by, other, act);
    growing.follow(world).await;
    let mut fed = Vec::new();
    for (member, before) in MEMBERS.map(id).into_iter().zip(before) {
        let differences = differences(&before, &growing.answers(&member, now).await);
        let items = growing.changes(&member, start).await;
        let told: BTreeSet<Told> = items
            .iter()
            .flat_map(|item| item.changed.iter().copied())
            .collect();
        for answer in &differences {
            assert!(
                covered(*answer, &told),
                "{member} was not told of {answer:?} by {step:?}, but {told:?}"
            );
        }
        let own = acting(act, by) == Some(member.as_str());
        for told in &told {
            let of_the_rules = matches!(act, Act::Policy(_)) && told.1.is_none();
            assert!(
                own || of_the_rules || true_of(*told, &differences),
                "{member} was told {told:?} by {step:?}, but only {differences:?} changed"
            );
        }
        for item in &items {
            assert!(item.position > start && item.position <= world.position());
        }
        fed.extend(items.into_iter().map(|item| (member.clone(), item)));
    }
    fed
}

/// Who comes from any position that a member was told is told each thing once, where it happened last.
async fn check_coalesced(growing: &Growing, world: &World, fed: &[(MemberId, Change)]) {
    let told = fed.iter().map(|(_, change)| change.position);
    let mut from: BTreeSet<Position> = told.collect();
    from.extend([Position::START, world.position()]);
    for member in MEMBERS.map(id) {
        for after in from.iter().copied().step_by(5).chain([world.position()]) {
            let mut last: BTreeMap<Told, Position> = BTreeMap::new();
            for (_, change) in fed
                .iter()
                .filter(|(of, change)| *of == member && change.position > after)
            {
                last.extend(change.changed.iter().map(|told| (*told, change.position)));
            }
            let mut expected: BTreeMap<Position, Vec<Told>> = BTreeMap::new();
            for (told, position) in last {
                expected.entry(position).or_default().push(told);
            }
            let found: BTreeMap<Position, Vec<Told>> = growing
                .changes(&member, after)
                .await
                .into_iter()
                .map(|change| (change.position, change.changed))
                .collect();
            assert_eq!(found, expected, "{member} after {after}");
        }
    }
}

fn run(steps: &[(usize, usize, Act)]) {
    let mut world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut growing = Growing::over(&world).await;
        let mut fed = Vec::new();
        for member in MEMBERS {
            let start = (member, member, Act::Age(AgeBand::Adult));
            fed.extend(check_step(&mut growing, &mut world, start).await);
            let open = (member, member, Act::Audience(Audience::Everyone));
            fed.extend(check_step(&mut growing, &mut world, open).await);
        }
        world.wait_days(31);
        for (by, other, act) in steps {
            if by != other {
                let step = (MEMBERS[*by], MEMBERS[*other], *act);
                fed.extend(check_step(&mut growing, &mut world, step).await);
            }
        }
        check_coalesced(&growing, &world, &fed).await;
    });
}

#[test]
fn what_the_host_knows_of_two_is_told_to_whom_a_request_shows_it_alone() {
    let (ann, bob) = (0, 1);
    let follow = Act::Relate(RelationshipKind::Follow);
    let suggest = Act::Relate(RelationshipKind::Suggest);
    // With nothing between them, with a request that shows, and with one that is hidden in each way there is.
    for hides in [
        vec![],
        vec![(bob, ann, Act::Send)],
        vec![(bob, ann, Act::Send), (ann, bob, Act::Block)],
        vec![(bob, ann, Act::Send), (bob, ann, Act::Suspend)],
        vec![
            (bob, ann, Act::Send),
            (ann, bob, Act::Audience(Audience::NoOne)),
        ],
        vec![
            (bob, ann, Act::Send),
            (ann, bob, Act::Audience(Audience::Following)),
        ],
        vec![
            (bob, ann, Act::Send),
            (ann, bob, Act::Age(AgeBand::Under16)),
        ],
        vec![
            (bob, ann, Act::Send),
            (ann, bob, Act::Delete(DeleteMode::Quiet)),
        ],
        vec![(bob, ann, Act::Send), (bob, ann, Act::Unsend(1))],
        vec![(bob, ann, Act::Send), (ann, bob, Act::Accept)],
        vec![
            (bob, ann, Act::Send),
            (ann, bob, Act::Send),
            (ann, bob, Act::Move),
        ],
    ] {
        let mut steps = hides;
        for (by, other) in [(ann, bob), (bob, ann)] {
            steps.extend([(by, other, suggest), (by, other, follow)]);
        }
        run(&steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_feed_tells_what_the_answers_show_and_nothing_else(steps in steps()) {
        run(&steps);
    }
}

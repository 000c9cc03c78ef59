//! What follows by itself on a log that several nodes write to: one node at a time does it, each knows how far it is, and it
//! moves when that node is gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commands::{CarriedOut, Command};
use domain::case::Category;
use domain::conversation::Also;
use domain::ids::{CaseId, ConversationId, ReasonCode};
use domain::policy::Audience;
use domain::time::{DAY_MS, Timestamp};
use event_store::Held;
use tests::cluster::{Log, Node, Way, open_as_node};
use tests::commands::{Desk, START, StandingClock, member, with};
use uuid::Uuid;

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(2);
/// Patience with a node that does not do what it is to do.
const SOON: Duration = Duration::from_secs(2);

fn report(other: &str, messages: Vec<u64>) -> Command {
    Command::ReportMessage {
        target: with(other),
        messages,
        category: Category::Spam,
        comment: "again".to_owned(),
        also: Also::None,
    }
}

/// One log, and the clock of all of its nodes.
struct Place {
    log: Log,
    server: Node,
    clock: Arc<StandingClock>,
}

impl Place {
    fn new(seed: u64) -> Self {
        let log = Log::new();
        let server = log.serve(seed);
        let clock = StandingClock::new();
        Self { log, server, clock }
    }

    /// A node that takes over what another leaves undone.
    async fn node(&self) -> Desk {
        self.node_by(&self.server.at(), SOON).await
    }

    /// One that leaves it undone.
    async fn patient(&self) -> Desk {
        self.node_by(&self.server.at(), 5 * LONG).await
    }

    async fn node_by(&self, at: &str, patience: Duration) -> Desk {
        Desk::node(open_as_node(at).await, &self.clock, patience).await
    }

    /// What the reactor wrote because of which event, and on which stream; a case opens with its first report.
    async fn effects(&self) -> Vec<(Uuid, String, String)> {
        let events = tests::commands::log(&*self.log.store).await;
        let effects = events.iter().filter(|event| {
            let beside = ["reactor-", "case-opened"];
            let beside = beside
                .iter()
                .any(|name| event.event_type().starts_with(name));
            event.actor() == "reactor/cases" && !beside
        });
        effects
            .map(|event| {
                let (stream, name) = (event.stream(), event.event_type());
                (event.causation_id(), stream.to_owned(), name.to_owned())
            })
            .collect()
    }

    async fn count(&self, event_type: &str) -> usize {
        let events = tests::commands::log(&*self.log.store).await;
        let mut count = 0;
        for event in &events {
            count += usize::from(event.event_type() == event_type);
        }
        count
    }
}

/// Ann's report of bob's messages, handled by whoever does that; gives its position.
async fn reported(by: &Desk, numbers: Vec<u64>) -> event_store::Position {
    let outcome = by.send("ann", report("bob", numbers)).await.unwrap();
    outcome.position
}

/// Waits until this node knows that all that follows was done.
async fn knows(node: &Desk, position: event_store::Position) {
    node.store.wait_durable(position).await.unwrap();
    let drained = tokio::time::timeout(LONG, node.handler.drain_reactors()).await;
    drained.expect("in time").unwrap();
    assert!(node.handler.reactors()[0].reached >= position);
}

async fn held(node: &Desk) -> Held {
    let lease = node.store.lease().expect("a lease");
    lease.held().await.unwrap()
}

fn case() -> CaseId {
    let (ann, bob) = (member("ann"), member("bob"));
    CaseId::of(ConversationId::of(&ann, &bob), &bob)
}

async fn begin(node: &Desk) {
    node.members(&["ann", "bob"]).await;
    for text in ["buy", "now", "please"] {
        node.message("bob", "ann", text).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_one_does_what_follows_and_the_other_knows_how_far_it_is() {
    let place = Place::new(41);
    let (one, other) = (place.patient().await, place.patient().await);
    begin(&one).await;
    let first = reported(&one, vec![1]).await;
    knows(&one, first).await;
    knows(&other, first).await;
    let leader = held(&one).await;
    assert!(leader.holder.is_some());
    let second = reported(&other, vec![2, 3]).await;
    knows(&one, second).await;
    knows(&other, second).await;
    let suspend = |days: i64| Command::SuspendMember {
        member: member("bob"),
        until: Some(Timestamp(START.0 + days * DAY_MS)),
        reason: ReasonCode::new("spam").unwrap(),
        text: "a week of rest".to_owned(),
        facts: "Ten letters.".to_owned(),
    };
    // Whichever node a moderator asks, it says when what follows was done.
    for (node, who, days) in [(&one, "mod", 7), (&other, "next", 9)] {
        let suspended = node.send(who, suspend(days)).await.unwrap().position;
        let carried = tokio::time::timeout(LONG, node.handler.carried_out(suspended)).await;
        let CarriedOut::UpTo(position) = carried.expect("in time").unwrap() else {
            panic!("nothing is parked")
        };
        assert!(position > suspended);
    }
    let joined = tokio::time::timeout(LONG, other.handler.joined(case())).await;
    assert_eq!(joined.expect("in time").unwrap(), commands::Joined::All);
    let effects = place.effects().await;
    assert_eq!(effects.len(), 4, "{effects:?}");
    assert_eq!(
        effects.iter().collect::<BTreeSet<_>>().len(),
        4,
        "each once"
    );
    assert_eq!(held(&other).await, leader, "it stays where it was");
    one.handler.stop().await;
    other.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_node_that_does_it_is_cut_off_another_goes_on_and_nothing_is_done_twice() {
    let place = Place::new(42);
    let way = Way::to(place.server.address());
    let one = place
        .node_by(&format!("esdb://{}?tls=false", way.address()), 5 * LONG)
        .await;
    begin(&one).await;
    let first = reported(&one, vec![1]).await;
    knows(&one, first).await;
    let before = held(&one).await;
    let other = place.node().await;
    way.hang();
    let second = reported(&other, vec![2]).await;
    knows(&other, second).await;
    let after = held(&other).await;
    assert_ne!(after.holder, before.holder, "another one has it");
    way.carry_again();
    // It is back, thinks that it leads, and learns that it does not.
    let third = reported(&other, vec![3]).await;
    let back = tokio::time::timeout(LONG, async {
        while one.handler.reactors()[0].reached < third {
            // Until the way is open again it cannot know.
            let _ = one.handler.drain_reactors().await;
            tokio::task::yield_now().await;
        }
    });
    back.await.expect("in time");
    knows(&other, third).await;
    assert_eq!(held(&other).await, after, "it stays where it is");
    let effects = place.effects().await;
    assert_eq!(effects.len(), 3, "{effects:?}");
    assert_eq!(
        effects.iter().collect::<BTreeSet<_>>().len(),
        3,
        "each once"
    );
    one.handler.stop().await;
    other.handler.stop().await;
    way.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_in_order_leaves_it_to_the_others() {
    let place = Place::new(43);
    let (one, other) = (place.node().await, place.node().await);
    begin(&one).await;
    let first = reported(&one, vec![1]).await;
    knows(&one, first).await;
    knows(&other, first).await;
    let (leader, next) = if held(&one).await.holder.is_some() {
        one.handler.stop().await;
        if held(&other).await.holder.is_none() {
            (one, other)
        } else {
            other.handler.stop().await;
            (other, place.node().await)
        }
    } else {
        panic!("one of them has it")
    };
    assert_eq!(held(&next).await.holder, None);
    let second = reported(&next, vec![2]).await;
    knows(&next, second).await;
    assert!(held(&next).await.holder.is_some());
    assert_eq!(place.effects().await.len(), 2);
    next.handler.stop().await;
    drop(leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_time_ends_is_ended_once_by_whichever_node_is_there() {
    let place = Place::new(44);
    let way = Way::to(place.server.address());
    let one = place
        .node_by(&format!("esdb://{}?tls=false", way.address()), 5 * LONG)
        .await;
    begin(&one).await;
    let first = reported(&one, vec![1]).await;
    knows(&one, first).await;
    let claim = Command::ClaimCase { case: case() };
    let other = place.node().await;
    other.send("mod", claim.clone()).await.unwrap();
    // Others go on writing meanwhile, so that no view is ever at the end.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writing = tokio::spawn(write(place.node().await, stopped));
    let mut changes = place.log.store.durable_changes();
    for (lapsed, cut_off) in [(1, false), (2, true)] {
        if cut_off {
            other.send("mod", claim.clone()).await.unwrap();
            way.hang();
        }
        place.clock.advance_ms(31 * 60_000);
        let ended = tokio::time::timeout(LONG, async {
            while place.count("claim-lapsed.v1").await < lapsed {
                changes.changed().await.unwrap();
            }
        });
        ended.await.expect("in time");
        other
            .handler
            .run_timers(Timestamp(i64::MAX / 2))
            .await
            .unwrap();
        assert_eq!(place.count("claim-lapsed.v1").await, lapsed, "once");
    }
    stop.send_replace(true);
    writing.await.unwrap();
    way.carry_again();
    other.handler.stop().await;
    one.handler.stop().await;
    way.end();
}

/// Changes a setting again and again until it is told to stop.
async fn write(node: Desk, stop: tokio::sync::watch::Receiver<bool>) {
    node.members(&["eve"]).await;
    for audience in [Audience::Friends, Audience::Everyone].into_iter().cycle() {
        if *stop.borrow() {
            break;
        }
        let changed = Command::ChangeDmSetting { audience };
        node.send("eve", changed).await.unwrap();
    }
    node.handler.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_take_the_lease_at_once_one_gets_it() {
    let place = Place::new(45);
    let store = open_as_node(&place.server.at()).await;
    let lease = store.lease().expect("a lease");
    let mut standing = lease.held().await.unwrap();
    assert_eq!(standing, Held::default());
    for round in 0..8_u64 {
        let nodes: Vec<Uuid> = (1..=4)
            .map(|node| Uuid::from_u64_pair(round, node))
            .collect();
        let given = nodes.iter().map(|node| lease.give(standing, Some(*node)));
        let given = futures::future::join_all(given).await;
        let given: Vec<bool> = given.into_iter().map(Result::unwrap).collect();
        assert_eq!(given.iter().filter(|given| **given).count(), 1, "{given:?}");
        let winner = given.iter().position(|given| *given).map(|at| nodes[at]);
        let now = lease.held().await.unwrap();
        assert_eq!((now.holder, now.term), (winner, Some(round)));
        standing = now;
    }
    let back = lease.give(standing, None).await.unwrap();
    assert!(back);
    assert_eq!(lease.held().await.unwrap().holder, None);
    let all = store
        .read_all(event_store::Position::START, 100, usize::MAX)
        .await
        .unwrap();
    assert!(all.is_empty(), "it is no part of the log: {}", all.len());
}

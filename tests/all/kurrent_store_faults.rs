//! The adapter against a server that fails on purpose: answers that are lost or held, subscriptions that are ended.

use std::sync::Arc;
use std::time::Duration;

use event_store::{AppendError, EventStore, ExpectedVersion, Position, conformance};
use kurrent::server::{Ending, Faults, Options};
use tests::cluster::{Log, appending, open};
use tests::store::{event, stream};

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(2);

fn failing(seed: u64, faults: &Arc<Faults>) -> Options {
    Options {
        faults: Some(Arc::clone(faults)),
        ..appending(seed)
    }
}

fn nth(number: u64) -> event_store::Append {
    let expected = ExpectedVersion::of(number.checked_sub(1));
    conformance::append_of(&stream(1), expected, vec![event(number, 40)])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_tried_again_and_there_once() {
    let (log, faults) = (Log::new(), Faults::by_hand());
    let node = log.serve_with(failing(41, &faults));
    let store = open(&node.at()).await.expect("it answers");
    for number in 0..10 {
        faults.lose_answers(1);
        let ticket = store.append(nth(number)).await.expect("a place");
        assert_eq!(ticket.last_version, number);
        let position = ticket.durable().await.expect("acknowledged");
        let there = store.read_at(position).await.expect("it reads");
        assert_eq!(there.map(|event| event.version()), Some(number));
    }
    // More than is tried: whether it is there is not known, and asking again finds out.
    faults.lose_answers(3);
    let unknown = store.append(nth(10)).await.expect_err("no answer");
    assert!(
        matches!(unknown, AppendError::Unanswered { .. }),
        "{unknown}"
    );
    let again = store.append(nth(10)).await.expect("a place");
    assert_eq!(again.last_version, 10);
    let head = log.store.head(&stream(1)).await.expect("the stream");
    assert_eq!(head.map(|head| head.version), Some(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_however_its_server_ends_it() {
    let (log, faults) = (Log::new(), Faults::by_hand());
    let node = log.serve_with(failing(42, &faults));
    let store = open(&node.at()).await.expect("it answers");
    let mut subscription = store.subscribe(Position::START).await.expect("it follows");
    for (number, how) in (0..8).zip([Ending::Quiet, Ending::Unavailable].into_iter().cycle()) {
        // Written below, so that the subscription alone can tell of it.
        let ticket = log.store.append(nth(number)).await.expect("a place");
        ticket.durable().await.expect("the disk");
        let told = tokio::time::timeout(LONG, subscription.next()).await;
        let told = told.expect("it goes on").expect("an event");
        assert_eq!((told.len(), told[0].version()), (1, number));
        faults.end_streams(how);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_left_behind_is_not_believed() {
    let (log, faults) = (Log::new(), Faults::by_hand());
    let node = log.serve_with(failing(43, &faults));
    let store = open(&node.at()).await.expect("it answers");
    let ticket = store.append(nth(0)).await.expect("a place");
    ticket.durable().await.expect("acknowledged");
    faults.show_until(Some(Position(2)));
    let ticket = store.append(nth(1)).await.expect("a place");
    let position = ticket.durable().await.expect("acknowledged");
    let reading = {
        let store = store.clone();
        tokio::spawn(async move { store.head(&stream(1)).await })
    };
    tokio::task::yield_now().await;
    faults.show_until(None);
    let head = reading.await.expect("a reader").expect("the stream");
    assert_eq!(
        head.map(|head| (head.version, head.position)),
        Some((1, position))
    );
}

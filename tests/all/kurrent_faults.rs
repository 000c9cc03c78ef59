//! What a cluster does to its clients sooner or later, done on purpose; and what ends a stream that would go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event_store::{EventStore, ExpectedVersion, Position, conformance};
use eventstore::{
    Error, ReadAllOptions, ReadStreamOptions, RetryOptions, StreamPosition, StreamState,
    SubscribeToAllOptions, SubscriptionEvent,
};
use kurrent::server::{Access, Act, Denied, Ending, Everyone, Faults, Options};
use tests::kurrent::{Behind, append, read_all, read_stream};
use tests::store::{all_events, event, stream};

fn faulty(faults: &Arc<Faults>) -> Options {
    Options {
        faults: Some(Arc::clone(faults)),
        ..Options::appending(Arc::new(Everyone))
    }
}

async fn put(store: &dyn EventStore, version: Option<u64>, number: u64) {
    let expected = ExpectedVersion::of(version);
    let one = conformance::append_of(&stream(1), expected, vec![event(number, 40)]);
    let ticket = store.append(one).await.expect("a place");
    ticket.durable().await.expect("the disk");
}

/// The next events that a subscription tells, until it has caught up or ends.
async fn followed(following: &mut eventstore::Subscription) -> Result<Vec<u64>, Error> {
    let mut seen = Vec::new();
    loop {
        let told = following.next_subscription_event().await?;
        if let SubscriptionEvent::EventAppeared(event) = &told {
            seen.push(event.get_original_event().revision);
        }
        if let SubscriptionEvent::CaughtUp(_) = told {
            return Ok(seen);
        }
    }
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_there_and_its_repetition_writes_nothing() {
    let faults = Faults::by_hand();
    let behind = Behind::open(faulty(&faults)).await;
    let client = behind.client("");
    faults.lose_answers(1);
    let lost = append(&client, "thing-1", StreamState::NoStream, 1).await;
    assert!(matches!(lost, Err(Error::ServerError(_))), "{lost:?}");
    assert_eq!(faults.lost(), 1);
    assert_eq!(all_events(&*behind.store).await.len(), 1, "carried out");
    let again = append(&client, "thing-1", StreamState::NoStream, 1).await;
    assert_eq!(again.expect("as at first"), (0, 1));
    assert_eq!(all_events(&*behind.store).await.len(), 1);
    behind.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_held_comes_when_it_is_let_go() {
    let faults = Faults::by_hand();
    let behind = Behind::open(faulty(&faults)).await;
    let client = behind.client("");
    // Whatever the client asks first is answered.
    append(&client, "thing-1", StreamState::NoStream, 1)
        .await
        .expect("written");
    faults.hold_answers();
    let mut durable = behind.store.durable_changes();
    let waiting =
        tokio::spawn(
            async move { append(&client, "thing-1", StreamState::StreamRevision(0), 2).await },
        );
    let carried_out = durable.wait_for(|position| *position == Position(2)).await;
    drop(carried_out.expect("the store is there"));
    assert!(!waiting.is_finished(), "carried out, and not answered");
    faults.release_answers();
    assert_eq!(waiting.await.unwrap().expect("answered"), (1, 2));
    behind.stop().await;
}

#[tokio::test]
async fn a_stale_reading_ends_early_and_a_subscription_goes_on_when_the_node_has_caught_up() {
    let faults = Faults::by_hand();
    let behind = Behind::open(faulty(&faults)).await;
    for number in 0..5_u64 {
        put(&*behind.store, number.checked_sub(1), number).await;
    }
    faults.show_until(Some(Position(3)));
    let client = behind.client("");
    let name = stream(1);
    let every = ReadAllOptions::default().max_count(100);
    assert_eq!(read_all(&client, every.clone()).await.unwrap().len(), 3);
    let back = every.backwards().position(StreamPosition::End);
    let back = read_all(&client, back).await.unwrap();
    assert_eq!(back[0].get_original_event().revision, 2);
    let options = ReadStreamOptions::default();
    let told = read_stream(&client, name.as_str(), options.clone()).await;
    assert_eq!(told.unwrap().len(), 3);
    let back = options.backwards().position(StreamPosition::End);
    let told = read_stream(&client, name.as_str(), back.max_count(1)).await;
    assert_eq!(told.unwrap()[0].get_original_event().revision, 2);
    faults.show_until(Some(Position::START));
    let none = read_stream(&client, name.as_str(), ReadStreamOptions::default()).await;
    assert!(matches!(none, Err(Error::ResourceNotFound)));
    faults.show_until(Some(Position(3)));
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start);
    let mut following = client.subscribe_to_all(&options).await;
    assert_eq!(followed(&mut following).await.unwrap(), [0, 1, 2]);
    faults.show_until(None);
    for wanted in [3, 4] {
        let next = following.next().await.expect("an event");
        assert_eq!(next.get_original_event().revision, wanted);
    }
    behind.stop().await;
}

#[tokio::test]
async fn streams_that_are_ended_tell_the_client_who_goes_on_where_it_was() {
    let faults = Faults::by_hand();
    let behind = Behind::open(faulty(&faults)).await;
    put(&*behind.store, None, 0).await;
    let client = behind.client("");
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start);
    let mut following = client.subscribe_to_all(&options.clone()).await;
    assert_eq!(followed(&mut following).await.unwrap(), [0]);
    faults.end_streams(Ending::Unavailable);
    let ended = following.next_subscription_event().await;
    assert!(matches!(ended, Err(Error::ServerError(_))));
    let retrying = options.retry_options(RetryOptions::default());
    let mut following = client.subscribe_to_all(&retrying).await;
    assert_eq!(followed(&mut following).await.unwrap(), [0]);
    faults.end_streams(Ending::Unavailable);
    put(&*behind.store, Some(0), 1).await;
    let next = following.next().await.expect("it comes back by itself");
    assert_eq!(next.get_original_event().revision, 1);
    behind.stop().await;
}

#[tokio::test]
async fn by_chance_every_append_is_there_once_whatever_became_of_its_answer() {
    let faults = Faults::by_chance(41);
    let behind = Behind::open(faulty(&faults)).await;
    let client = behind.client("");
    let mut expected = StreamState::NoStream;
    for number in 1..=100 {
        let revision = loop {
            match append(&client, "thing-1", expected, number).await {
                Ok((revision, _)) => break revision,
                Err(Error::ServerError(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        };
        assert_eq!(u128::from(revision), number - 1);
        expected = StreamState::StreamRevision(revision);
    }
    assert!(faults.lost() > 0, "some were lost");
    let stored = all_events(&*behind.store).await;
    let ids: Vec<u128> = stored.iter().map(|one| one.event_id().as_u128()).collect();
    assert_eq!(ids, (1..=100).collect::<Vec<u128>>());
    behind.stop().await;
}

/// Takes everyone until it does not.
struct While(AtomicBool);

impl Access for While {
    fn takes(&self, _token: Option<&str>, _act: Act) -> Result<Arc<str>, Denied> {
        if self.0.load(Ordering::SeqCst) {
            Ok(Arc::from("somebody"))
        } else {
            Err(Denied::Unknown)
        }
    }
}

#[tokio::test]
async fn a_subscription_ends_with_the_token_that_opened_it() {
    let access = Arc::new(While(AtomicBool::new(true)));
    let behind = Behind::open(Options {
        recheck: Duration::from_millis(10),
        ..Options::reading(Arc::clone(&access) as Arc<dyn Access>)
    })
    .await;
    put(&*behind.store, None, 0).await;
    let client = behind.client("");
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start);
    let mut following = client.subscribe_to_all(&options).await;
    assert_eq!(followed(&mut following).await.unwrap(), [0]);
    access.0.store(false, Ordering::SeqCst);
    let ended = following.next_subscription_event().await;
    assert!(matches!(ended, Err(Error::AccessDenied)));
    behind.stop().await;
}

#[tokio::test]
async fn a_stop_ends_what_would_go_on() {
    let behind = Behind::open(Options::appending(Arc::new(Everyone))).await;
    put(&*behind.store, None, 0).await;
    let client = behind.client("");
    let options = SubscribeToAllOptions::default().position(StreamPosition::Start);
    let mut following = client.subscribe_to_all(&options).await;
    assert_eq!(followed(&mut following).await.unwrap(), [0]);
    let options = eventstore::BatchAppendOptions::default();
    let batches = client.batch_append(&options).await;
    let batches = batches.expect("a stream of batches");
    let event = vec![tests::kurrent::thing(7)];
    batches
        .append_to_stream("thing-7", StreamState::NoStream, event)
        .await
        .expect("written");
    // Both are open, and it ends all the same.
    behind.stop().await;
    // What was told before is taken first.
    let ended = loop {
        if let Err(error) = following.next_subscription_event().await {
            break error;
        }
    };
    let Error::ServerError(words) = ended else {
        panic!("{ended:?}");
    };
    assert!(words.contains("the server stops"), "{words}");
}

#[tokio::test]
async fn who_comes_beyond_the_bound_is_told_so() {
    let behind = Behind::open(Options {
        subscriptions_max: 1,
        ..Options::reading(Arc::new(Everyone))
    })
    .await;
    let client = behind.client("");
    let options = SubscribeToAllOptions::default();
    let mut first = client.subscribe_to_all(&options).await;
    assert!(followed(&mut first).await.unwrap().is_empty());
    let mut second = client.subscribe_to_all(&options).await;
    match second.next_subscription_event().await {
        Err(Error::Grpc { message, .. }) => assert!(message.contains("at once"), "{message}"),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("there was no place"),
    }
    behind.stop().await;
}

//! Who has a published client of KurrentDB reads a log of ours: streams and the whole log, both ways, filtered, followed.

use std::sync::Arc;

use event_store::{EventStore, ExpectedVersion, conformance};
use eventstore::{
    AppendToStreamOptions, Client, DeleteStreamOptions, Error, EventData, Position, ReadAllOptions,
    ReadStreamOptions, ResolvedEvent, StreamPosition, SubscribeToAllOptions,
    SubscribeToStreamOptions, SubscriptionEvent, SubscriptionFilter,
};
use kurrent::server::{Access, Act, Denied, Everyone, Numbering, Options};
use tests::kurrent::{Behind, read_all, read_stream};
use tests::store::{event, stream};

fn reading() -> Options {
    Options::reading(Arc::new(Everyone))
}

/// Streams 0 to 3, the events of which come in turn: 20 in all.
async fn fill(store: &dyn EventStore) {
    for number in 0..20_u64 {
        let expected = ExpectedVersion::of((number / 4).checked_sub(1));
        let append = conformance::append_of(&stream(number % 4), expected, vec![event(number, 40)]);
        let ticket = store.append(append).await.expect("a place");
        ticket.durable().await.expect("the disk");
    }
}

async fn log(store: &dyn EventStore) -> Vec<event_store::RecordedEvent> {
    let events = store.read_all(event_store::Position::START, 1_000, usize::MAX);
    events.await.expect("the log")
}

async fn all(client: &Client, options: ReadAllOptions) -> Vec<ResolvedEvent> {
    read_all(client, options).await.expect("a reading")
}

fn revisions(events: &[ResolvedEvent]) -> Vec<u64> {
    let revision = |event: &ResolvedEvent| event.get_original_event().revision;
    events.iter().map(revision).collect()
}

#[tokio::test]
async fn every_event_comes_as_the_log_has_it() {
    for numbering in [Numbering::Same, Numbering::Gaps { seed: 3 }] {
        let options = Options {
            numbering,
            ..reading()
        };
        let behind = Behind::open(options).await;
        fill(&*behind.store).await;
        let client = behind.client("");
        let told = all(&client, ReadAllOptions::default().max_count(1_000)).await;
        let stored = log(&*behind.store).await;
        assert_eq!(told.len(), stored.len());
        for (told, stored) in told.iter().zip(&stored) {
            let told = told.get_original_event();
            assert_eq!(told.stream_id(), stored.stream());
            assert_eq!(told.revision, stored.version());
            assert_eq!(told.id, stored.event_id());
            assert_eq!(told.event_type, stored.event_type());
            assert_eq!(&told.data[..], stored.data());
            assert_eq!(told.position.commit, numbering.told(stored.position()));
            // This client leaves out what is less than a second.
            let second = stored.recorded_at_ms().div_euclid(1_000);
            assert_eq!(told.created.timestamp(), second);
            let metadata: serde_json::Value =
                serde_json::from_slice(&told.custom_metadata).expect("JSON");
            assert_eq!(metadata["doorstep"]["at"], stored.at_ms());
            assert_eq!(metadata["doorstep"]["command_id"], stored.command_id());
            let correlation = stored.correlation_id().to_string();
            assert_eq!(metadata["$correlationId"], correlation);
        }
        behind.stop().await;
    }
}

#[tokio::test]
async fn the_whole_log_is_read_from_any_place_both_ways() {
    let behind = Behind::open(Options {
        numbering: Numbering::Gaps { seed: 5 },
        ..reading()
    })
    .await;
    fill(&*behind.store).await;
    let client = behind.client("");
    let forward = all(&client, ReadAllOptions::default().max_count(1_000)).await;
    let places: Vec<Position> = forward
        .iter()
        .map(|event| event.get_original_event().position)
        .collect();
    let ids = |events: &[ResolvedEvent]| -> Vec<uuid::Uuid> {
        let id = |event: &ResolvedEvent| event.get_original_event().id;
        events.iter().map(id).collect()
    };
    let whole = ids(&forward);
    let from = |options: ReadAllOptions, at: usize| {
        options
            .position(StreamPosition::Position(places[at]))
            .max_count(1_000)
    };
    for at in [0, 7, 19] {
        let onward = all(&client, from(ReadAllOptions::default(), at)).await;
        assert_eq!(ids(&onward), whole[at..], "the event there is the first");
        let back = all(&client, from(ReadAllOptions::default().backwards(), at)).await;
        let before: Vec<_> = whole[..at].iter().rev().copied().collect();
        assert_eq!(ids(&back), before, "the one before it is the first");
    }
    let end = ReadAllOptions::default().backwards();
    let last = all(&client, end.position(StreamPosition::End).max_count(3)).await;
    let wanted: Vec<_> = whole[17..].iter().rev().copied().collect();
    assert_eq!(ids(&last), wanted);
    behind.stop().await;
}

#[tokio::test]
async fn a_stream_is_read_from_any_revision_both_ways() {
    let behind = Behind::open(reading()).await;
    fill(&*behind.store).await;
    let client = behind.client("");
    let name = stream(2);
    let read = async |options| {
        read_stream(&client, name.as_str(), options)
            .await
            .expect("events")
    };
    let options = || ReadStreamOptions::default().max_count(1_000);
    assert_eq!(revisions(&read(options()).await), [0, 1, 2, 3, 4]);
    let from = |version| options().position(StreamPosition::Position(version));
    assert_eq!(revisions(&read(from(3)).await), [3, 4]);
    assert_eq!(revisions(&read(from(3).backwards()).await), [3, 2, 1, 0]);
    let end = options().backwards().position(StreamPosition::End);
    assert_eq!(revisions(&read(end.max_count(2)).await), [4, 3]);
    let missing = read_stream(&client, "conversation-none", options()).await;
    assert!(matches!(missing, Err(Error::ResourceNotFound)));
    behind.stop().await;
}

#[tokio::test]
async fn a_filter_leaves_out_what_it_does_not_name() {
    let behind = Behind::open(reading()).await;
    fill(&*behind.store).await;
    let client = behind.client("");
    let read = async |filter: SubscriptionFilter| {
        let options = ReadAllOptions::default().max_count(1_000);
        all(&client, options.filter(filter)).await.len()
    };
    let name = stream(1);
    let by_stream = || SubscriptionFilter::on_stream_name();
    assert_eq!(read(by_stream().add_prefix(name.as_str())).await, 5);
    assert_eq!(read(by_stream().regex(format!("^{name}$"))).await, 5);
    let without = format!(r"^(?!{name}$).*");
    assert_eq!(read(by_stream().regex(without)).await, 15);
    let system = SubscriptionFilter::on_event_type().exclude_system_events();
    assert_eq!(read(system).await, 20);
    let wrong = ReadAllOptions::default().filter(by_stream().regex("("));
    let refused = client.read_all(&wrong).await;
    assert!(refused.is_err(), "a pattern that is none");
    behind.stop().await;
}

#[tokio::test]
async fn the_log_is_followed_from_a_place_on_with_checkpoints() {
    let behind = Behind::open(Options {
        numbering: Numbering::Gaps { seed: 11 },
        ..reading()
    })
    .await;
    fill(&*behind.store).await;
    let client = behind.client("");
    let seventh = all(&client, ReadAllOptions::default().max_count(7)).await;
    let seventh = seventh[6].get_original_event().position;
    let name = stream(0);
    let filter = SubscriptionFilter::on_stream_name().add_prefix(name.as_str());
    let options = SubscribeToAllOptions::default()
        .position(StreamPosition::Position(seventh))
        .filter(filter.max(3));
    let mut following = client.subscribe_to_all(&options).await;
    let (mut seen, mut checkpoints, mut appended) = (Vec::new(), 0, false);
    while seen.len() < 4 {
        let told = following.next_subscription_event().await.expect("an event");
        if let SubscriptionEvent::EventAppeared(event) = &told {
            seen.push(event.get_original_event().revision);
        } else if let SubscriptionEvent::Checkpoint(_) = &told {
            checkpoints += 1;
        } else if let SubscriptionEvent::CaughtUp(_) = &told {
            assert!(!appended, "once");
            appended = true;
            assert_eq!(seen, [2, 3, 4], "after the place, not at it");
            let next = vec![event(99, 40)];
            let append = conformance::append_of(&name, ExpectedVersion::Exact(4), next);
            let ticket = behind.store.append(append).await.expect("a place");
            ticket.durable().await.expect("the disk");
        }
    }
    assert_eq!(seen, [2, 3, 4, 5]);
    assert!(checkpoints >= 4, "one for each three looked at");
    let options = SubscribeToStreamOptions::default().start_from(StreamPosition::Position(3));
    let mut following = client.subscribe_to_stream(name.as_str(), &options).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let event = following.next().await.expect("an event");
        seen.push(event.get_original_event().revision);
    }
    assert_eq!(seen, [4, 5]);
    behind.stop().await;
}

#[tokio::test]
async fn nothing_is_written_by_a_door_for_reading() {
    let behind = Behind::open(reading()).await;
    let client = behind.client("");
    let event = EventData::json("thing-happened.v1", &1).expect("JSON");
    let written = client
        .append_to_stream("conversation-1", &AppendToStreamOptions::default(), event)
        .await;
    assert!(matches!(written, Err(Error::AccessDenied)), "{written:?}");
    let deleted = client
        .delete_stream("conversation-1", &DeleteStreamOptions::default())
        .await;
    assert!(matches!(deleted, Err(Error::AccessDenied)));
    assert!(log(&*behind.store).await.is_empty());
    behind.stop().await;
}

struct Known;

impl Access for Known {
    fn takes(&self, token: Option<&str>, _act: Act) -> Result<Arc<str>, Denied> {
        match token {
            Some("auditor") => Ok(Arc::from("auditor")),
            Some("member") => Err(Denied::Role),
            Some(_) | None => Err(Denied::Unknown),
        }
    }
}

#[tokio::test]
async fn nobody_comes_in_without_a_token_that_is_enough() {
    let behind = Behind::open(Options::reading(Arc::new(Known))).await;
    fill(&*behind.store).await;
    for (credentials, enters) in [
        ("", false),
        ("any:nobody", false),
        ("any:member", false),
        ("any:auditor", true),
    ] {
        let client = behind.client(credentials);
        let read = client.read_all(&ReadAllOptions::default()).await;
        assert_eq!(read.is_ok(), enters, "{credentials}");
        if let Err(error) = read {
            assert!(matches!(error, Error::AccessDenied), "{error:?}");
        }
    }
    behind.stop().await;
}

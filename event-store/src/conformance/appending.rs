//! Promises of `append`: places, expectations, repetition, bounds.

use std::sync::Arc;

use super::{append_of, appended, event, event_with, fresh_stream, stream_of, versions_of};
use crate::{
    AppendError, Direction, EventStore, ExpectedVersion, Grade, Position, StreamFrom, bounds,
};

/// Versions are dense from 0, positions rise, and a ticket names both.
pub async fn places_follow_the_order(store: &Arc<dyn EventStore>) {
    let (a, b) = (fresh_stream("a"), fresh_stream("b"));
    let first = append_of(&a, ExpectedVersion::NoStream, vec![event(), event()]);
    let first = store.append(first).await.unwrap();
    let second = store
        .append(append_of(&b, ExpectedVersion::NoStream, vec![event()]))
        .await;
    let second = second.unwrap();
    let third = append_of(&a, ExpectedVersion::Exact(1), vec![event()]);
    let third = store.append(third).await.unwrap();

    assert_eq!((first.first_version, first.last_version), (0, 1));
    assert_eq!((second.first_version, second.last_version), (0, 0));
    assert_eq!((third.first_version, third.last_version), (2, 2));
    assert!(first.first_position > Position::START);
    assert!(first.first_position < first.last_position);
    assert!(first.last_position < second.first_position);
    assert!(second.last_position < third.first_position);
    assert!(!first.repeated && !second.repeated && !third.repeated);

    let last = third.last_position;
    assert_eq!(third.durable().await, Ok(last));
    let head = store.head(&a).await.unwrap().unwrap();
    assert_eq!((head.version, head.position), (2, last));
    first.durable().await.unwrap();
    second.durable().await.unwrap();
}

/// Each expectation that does not hold is refused with where the stream is, and writes nothing.
pub async fn expected_versions_are_checked(store: &Arc<dyn EventStore>) {
    let absent = fresh_stream("absent");
    let there = stream_of(store, 3).await;
    let head = store.head(&there).await.unwrap().unwrap();
    let cases = [
        (&absent, ExpectedVersion::Exact(0), None, Position::START),
        (&absent, ExpectedVersion::Exact(7), None, Position::START),
        (&there, ExpectedVersion::NoStream, Some(2), head.position),
        (&there, ExpectedVersion::Exact(0), Some(2), head.position),
        (&there, ExpectedVersion::Exact(1), Some(2), head.position),
        (&there, ExpectedVersion::Exact(3), Some(2), head.position),
    ];
    for (stream, expected, actual, position) in cases {
        let refused = store
            .append(append_of(stream, expected, vec![event()]))
            .await
            .unwrap_err();
        let wanted = AppendError::WrongVersion {
            stream: stream.clone(),
            expected,
            actual,
            position,
        };
        assert_eq!(refused, wanted);
    }
    assert_eq!(store.head(&absent).await.unwrap(), None);
    assert_eq!(store.head(&there).await.unwrap().unwrap(), head);
    assert_eq!(
        appended(store, &there, ExpectedVersion::Exact(2), vec![event()]).await,
        (3, 3)
    );
    assert_eq!(
        appended(store, &absent, ExpectedVersion::NoStream, vec![event()]).await,
        (0, 0)
    );
}

/// The same events at their exact versions give the first ticket; anything else is a conflict.
pub async fn repeated_appends_give_the_first_ticket(store: &Arc<dyn EventStore>) {
    let stream = fresh_stream("repeated");
    let opening = append_of(&stream, ExpectedVersion::NoStream, vec![event(), event()]);
    let first = store.append(opening.clone()).await.unwrap();
    // Again at once, while the first may not be durable yet.
    let again = store.append(opening.clone()).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.first_version, again.last_version), (0, 1));
    assert_eq!(again.first_position, first.first_position);
    assert_eq!(again.last_position, first.last_position);
    let position = first.durable().await.unwrap();
    assert_eq!(again.durable().await, Ok(position));

    let next = append_of(&stream, ExpectedVersion::Exact(1), vec![event()]);
    let next_position = store
        .append(next.clone())
        .await
        .unwrap()
        .durable()
        .await
        .unwrap();
    for (append, position) in [(&opening, position), (&next, next_position)] {
        let again = store.append(append.clone()).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.last_position, position);
        assert_eq!(again.durable().await, Ok(position));
    }

    // Other ids, a part of the events, or more than were appended are no repetition.
    let mut part = opening.clone();
    part.events.truncate(1);
    part.events[0].event_id = next.events[0].event_id;
    let mut longer = next.clone();
    longer.events.push(event());
    let other = append_of(&stream, ExpectedVersion::NoStream, vec![event(), event()]);
    for append in [part, longer, other] {
        let refused = store.append(append).await.unwrap_err();
        assert!(
            matches!(
                refused,
                AppendError::WrongVersion {
                    actual: Some(2),
                    ..
                }
            ),
            "{refused}"
        );
    }
    assert_eq!(store.head(&stream).await.unwrap().unwrap().version, 2);
}

/// A serializable store checks every stream read; the other grade takes the append.
pub async fn read_versions_are_checked(store: &Arc<dyn EventStore>) {
    let fact = stream_of(store, 2).await;
    let absent = fresh_stream("absent");
    let mut held = append_of(
        &fresh_stream("held"),
        ExpectedVersion::NoStream,
        vec![event()],
    );
    held.reads = vec![
        (fact.clone(), ExpectedVersion::Exact(1)),
        (absent.clone(), ExpectedVersion::NoStream),
    ];
    store.append(held).await.unwrap().durable().await.unwrap();

    let cases = [
        (fact.clone(), ExpectedVersion::Exact(0), Some(1)),
        (fact.clone(), ExpectedVersion::NoStream, Some(1)),
        (absent.clone(), ExpectedVersion::Exact(0), None),
    ];
    for (read, expected, was) in cases {
        let stream = fresh_stream("decided");
        let mut append = append_of(&stream, ExpectedVersion::NoStream, vec![event()]);
        append.reads = vec![(read.clone(), expected)];
        let outcome = store.append(append).await;
        match store.grade() {
            Grade::Serializable => {
                let refused = outcome.unwrap_err();
                let AppendError::WrongVersion {
                    stream: named,
                    actual,
                    ..
                } = refused
                else {
                    unreachable!("{refused}")
                };
                assert_eq!((named, actual), (read, was));
                assert_eq!(store.head(&stream).await.unwrap(), None);
            }
            Grade::WrittenStreamOnly => {
                outcome.unwrap().durable().await.unwrap();
            }
        }
    }
}

/// Of many appends that expect the same version exactly one takes place.
pub async fn concurrent_appends_have_one_winner(store: &Arc<dyn EventStore>) {
    let stream = fresh_stream("raced");
    for round in 0..8_u64 {
        let expected = ExpectedVersion::of(round.checked_sub(1));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (store, stream) = (Arc::clone(store), stream.clone());
                tokio::spawn(async move {
                    match store
                        .append(append_of(&stream, expected, vec![event()]))
                        .await
                    {
                        Ok(ticket) => {
                            ticket.durable().await.unwrap();
                            1
                        }
                        Err(AppendError::WrongVersion { actual, .. }) => {
                            assert_eq!(actual, Some(round));
                            0
                        }
                        Err(other) => unreachable!("{other}"),
                    }
                })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            won += task.await.unwrap();
        }
        assert_eq!(won, 1, "winners of version {round}");
    }
}

/// An append made alone keeps every promise of another, beside others too.
pub async fn an_append_made_alone_is_like_any_other(store: &Arc<dyn EventStore>) {
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let stream = fresh_stream("alone");
                for version in 0..6_u64 {
                    let expected = ExpectedVersion::of(version.checked_sub(1));
                    let append = append_of(&stream, expected, vec![event()]);
                    let ticket = store.append_alone(append.clone()).await.unwrap();
                    assert_eq!((ticket.first_version, ticket.repeated), (version, false));
                    let position = ticket.durable().await.unwrap();
                    assert!(store.durable_position() >= position);
                    let again = store.append_alone(append).await.unwrap();
                    assert_eq!((again.last_position, again.repeated), (position, true));
                    let late = append_of(&stream, expected, vec![event()]);
                    assert!(matches!(
                        store.append_alone(late).await,
                        Err(AppendError::WrongVersion { actual, .. }) if actual == Some(version)
                    ));
                }
                let read = store.read_stream(&stream, StreamFrom::Start, Direction::Forward, 9);
                versions_of(&read.await.unwrap())
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), (0..6).collect::<Vec<_>>());
    }
}

/// All events of an append are there, beside one another, or none.
pub async fn an_append_is_taken_whole_or_not_at_all(store: &Arc<dyn EventStore>) {
    let stream = fresh_stream("whole");
    let events: Vec<_> = (0..bounds::APPEND_EVENTS_MAX).map(|_| event()).collect();
    let ids: Vec<_> = events.iter().map(|event| event.event_id).collect();
    let ticket = store
        .append(append_of(&stream, ExpectedVersion::NoStream, events))
        .await
        .unwrap();
    let (first, last) = (ticket.first_position, ticket.last_position);
    ticket.durable().await.unwrap();
    let stored = store
        .read_stream(&stream, StreamFrom::Start, Direction::Forward, 100)
        .await
        .unwrap();
    assert_eq!(versions_of(&stored), (0..16).collect::<Vec<_>>());
    assert_eq!(
        stored
            .iter()
            .map(crate::RecordedEvent::event_id)
            .collect::<Vec<_>>(),
        ids
    );
    assert_eq!(stored[0].position(), first);
    assert_eq!(stored[15].position(), last);

    let refused = append_of(&stream, ExpectedVersion::Exact(3), vec![event(), event()]);
    store.append(refused).await.unwrap_err();
    assert_eq!(store.head(&stream).await.unwrap().unwrap().version, 15);
}

/// The bounds are the same in every store: at the bound taken, one over refused.
pub async fn bounds_hold(store: &Arc<dyn EventStore>) {
    let quotes = event_with("''").counted_bytes();
    // JSON of any size: a store may hold `data` to that.
    let sized = |bytes: usize| event_with(format!("\"{}\"", "x".repeat(bytes - quotes)));
    let too_large = |error: &AppendError| matches!(error, AppendError::TooLarge { .. });

    let stream = fresh_stream("bounds");
    let none = append_of(&stream, ExpectedVersion::NoStream, Vec::new());
    assert_eq!(store.append(none).await.unwrap_err(), AppendError::Empty);
    let many: Vec<_> = (0..=bounds::APPEND_EVENTS_MAX).map(|_| event()).collect();
    let over = [
        many,
        vec![sized(bounds::EVENT_BYTES_MAX + 1)],
        vec![
            sized(bounds::EVENT_BYTES_MAX),
            sized(bounds::EVENT_BYTES_MAX),
            sized(quotes),
        ],
    ];
    for events in over {
        let refused = append_of(&stream, ExpectedVersion::NoStream, events);
        let refused = store.append(refused).await.unwrap_err();
        assert!(too_large(&refused), "{refused}");
    }
    assert_eq!(store.head(&stream).await.unwrap(), None);

    let full = vec![
        sized(bounds::EVENT_BYTES_MAX),
        sized(bounds::EVENT_BYTES_MAX),
    ];
    let data = full[0].data.clone();
    appended(store, &stream, ExpectedVersion::NoStream, full).await;
    let stored = store.read_one(&stream, 1).await.unwrap().unwrap();
    assert_eq!(stored.data().len(), data.len());
}

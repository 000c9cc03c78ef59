//! What an auditor is told where an event of the log cannot be read: nothing that leaves it out without a word, and of whom
//! it does not concern all there is.

use std::sync::Arc;
use std::time::Duration;

use api::Role;
use domain::conversation::stream;
use event_store::{Position, RecordedEvent, StreamName};
use projections::{Options, Past, PastError, ReadSide, ViewName};
use serde_json::json;
use tests::api::Door;
use tests::commands::{appends_of, copy_of};
use tests::views::{Log, World, conversation_of, id};

const WAIT: Duration = Duration::from_mins(1);

/// A world where bob wrote to ann, then cat and dan to each other, then ann to dan.
fn world() -> World {
    let mut world = World::open(&["ann", "bob", "cat", "dan"]);
    world.send("bob", "ann", "hi").unwrap();
    world.send("bob", "ann", "again").unwrap();
    world.send("cat", "dan", "hi").unwrap();
    world.send("ann", "dan", "hi").unwrap();
    world
}

/// Its log, where nobody can read these versions of the conversation of bob and ann.
fn log(world: &World, versions: &[u64]) -> Arc<Log> {
    let of_them = stream(conversation_of("ann", "bob"));
    let events = world.events().iter().map(|event| {
        if event.stream() != of_them || !versions.contains(&event.version()) {
            return event.clone();
        }
        let mut new = copy_of(event);
        new.data = b"{}".as_slice().into();
        let name = StreamName::new(event.stream()).unwrap();
        let (position, version) = (event.position(), event.version());
        RecordedEvent::record(position, event.at_ms(), &name, version, &new)
    });
    Log::of(events.collect())
}

/// The position of the first event between bob and ann.
fn first(world: &World) -> Position {
    let of_them = stream(conversation_of("ann", "bob"));
    let mut events = world.events().iter();
    let first = events.find(|event| event.stream() == of_them);
    first.unwrap().position()
}

/// The past by the running views, which have to live as long.
async fn live(log: Arc<Log>) -> (ReadSide, Past) {
    let reads = ReadSide::open(Options::in_memory(), log).await.unwrap();
    let past = reads.past(WAIT).await.unwrap();
    (reads, past)
}

/// The others that a member has conversations with; or the view, stream and version that keep it from being told.
fn others(
    past: &Past,
    member: &str,
    until: Position,
) -> Result<Vec<String>, (String, String, u64)> {
    match past.conversations(&id(member), until) {
        Ok(pairs) => {
            let mut others: Vec<String> = pairs.iter().map(|pair| pair.with.to_string()).collect();
            others.sort();
            Ok(others)
        }
        Err(error) => Err(incomplete(&error)),
    }
}

/// What an answer is incomplete for.
fn incomplete(error: &PastError) -> (String, String, u64) {
    let PastError::Incomplete {
        view,
        stream,
        version,
        cause,
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(cause.contains("missing field"), "{cause}");
    ((*view).to_owned(), stream.clone(), *version)
}

/// No list of conversations is told without one whose beginning cannot be read.
fn none_is_left_out(world: &World, past: &Past) {
    let (first, end) = (first(world), world.position());
    let stream = stream(conversation_of("ann", "bob"));
    for until in [first, end] {
        let missing = Err(("pairs".to_owned(), stream.clone(), 0));
        for member in ["ann", "bob"] {
            assert_eq!(others(past, member, until), missing, "{member} at {until}");
        }
    }
    assert_eq!(others(past, "ann", Position(first.0 - 1)), Ok(Vec::new()));
    assert_eq!(others(past, "cat", end), Ok(vec!["dan".to_owned()]));
    assert_eq!(
        others(past, "dan", end),
        Ok(vec!["ann".to_owned(), "cat".to_owned()])
    );
}

#[tokio::test]
async fn whose_conversation_begins_with_what_cannot_be_read_is_told_so_and_nobody_else() {
    let world = world();
    let (_reads, past) = live(log(&world, &[0])).await;
    none_is_left_out(&world, &past);
}

#[tokio::test]
async fn what_does_not_begin_a_conversation_keeps_nothing_from_the_index_of_conversations() {
    let world = world();
    let later: Vec<u64> = (1..10).collect();
    let (reads, past) = live(log(&world, &later)).await;
    let end = world.position();
    assert_eq!(
        others(&past, "ann", end),
        Ok(vec!["bob".to_owned(), "dan".to_owned()])
    );
    let set_aside = reads.set_aside(ViewName::Pairs);
    assert_eq!(set_aside, projections::SetAside::default());
    assert!(reads.set_aside(ViewName::Inbox).failed > 0, "it is there");
}

#[tokio::test]
async fn at_rest_the_same_is_told_to_the_same() {
    let world = world();
    let past = Past::at_rest(log(&world, &[0])).await.unwrap();
    none_is_left_out(&world, &past);
    let later: Vec<u64> = (1..10).collect();
    let past = Past::at_rest(log(&world, &later)).await.unwrap();
    let told = others(&past, "ann", world.position());
    assert_eq!(told, Ok(vec!["bob".to_owned(), "dan".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_index_does_without_an_event_it_is_left_out_at_rest_too() {
    let (door, other) = (Door::open().await, Door::open().await);
    for door in [&door, &other] {
        for member in ["ann", "bob", "cat"] {
            door.register(member).await;
        }
    }
    other.sent("bob", "ann", "hi").await;
    let mut appends = appends_of(&tests::commands::log(&*other.store).await);
    appends.retain(|append| append.stream.category() == "conversation");
    appends[0].events[0].data = b"{}".as_slice().into();
    let stream = appends[0].stream.to_string();
    for append in appends {
        let ticket = door.store.append(append).await.unwrap();
        ticket.durable().await.unwrap();
    }
    door.sent("cat", "ann", "hi").await;
    door.views_at_the_end().await;

    let at_rest = async || {
        let past = Past::at_rest(Arc::clone(&door.store)).await.unwrap();
        ["ann", "bob", "cat"].map(|member| others(&past, member, past.end()))
    };
    let auditor = door.token("ada", &[Role::Auditor]);
    let inbox = async || door.get("/v1/audit/members/ann/inbox", &auditor).await;
    let of_cat = Ok(vec!["ann".to_owned()]);
    let missing = Err(("pairs".to_owned(), stream.clone(), 0));
    assert_eq!(at_rest().await, [missing.clone(), missing, of_cat.clone()]);
    assert_eq!(
        inbox().await.failure(),
        (409, "audit_incomplete".to_owned())
    );

    let operator = door.token("otto", &[Role::Operator]);
    let skip = json!({"stream": stream, "version": 0, "reason": "unreadable"});
    let path = "/v1/views/pairs/letters/skip";
    let _ = door.post(path, &operator, skip).await.expect(200);
    assert_eq!(
        at_rest().await,
        [Ok(vec!["cat".to_owned()]), Ok(Vec::new()), of_cat]
    );
    let _ = inbox().await.expect(200);
}

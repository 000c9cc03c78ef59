//! What the adapter does while its store is away: it says so at once, loses nothing, and is back by itself.

use std::sync::Arc;
use std::time::Duration;

use event_store::{
    AppendError, Direction, EventStore, ExpectedVersion, Position, ReadError, RecordedEvent,
    StreamFrom, conformance,
};
use kurrent::client::{Connection, KurrentStore};
use kurrent::server::{Options, Pem};
use tests::cluster::{Known, Log, Way, appending, open};
use tests::store::{event, stream};
use tokio::sync::watch;

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(2);

/// Appends one event after the other to a stream until it is told to stop, each until it is acknowledged, the last one too;
/// gives how many were, and how often the store was away.
async fn load(store: KurrentStore, number: u64, stop: watch::Receiver<bool>) -> (u64, u64) {
    let stream = stream(number);
    let (mut written, mut away) = (0_u64, 0_u64);
    // An event without an acknowledgement may be there, and would be one too many.
    let mut open = false;
    while open || !*stop.borrow() {
        let expected = ExpectedVersion::of(written.checked_sub(1));
        let next = event(number * 1_000_000 + written, 40);
        let append = conformance::append_of(&stream, expected, vec![next]);
        match store.append(append).await {
            Ok(ticket) => {
                ticket.durable().await.expect("it was acknowledged");
                written += 1;
                open = false;
            }
            // The same events again, whether they are there or not.
            Err(AppendError::Unavailable { .. } | AppendError::Unanswered { .. }) => {
                away += 1;
                open = true;
                tokio::task::yield_now().await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    (written, away)
}

/// Everything that a subscription tells, until it has told so many events.
async fn follow(
    store: KurrentStore,
    mut count: watch::Receiver<Option<u64>>,
) -> Vec<RecordedEvent> {
    let mut told: Vec<RecordedEvent> = Vec::new();
    let mut subscription = store.subscribe(Position::START).await.expect("it follows");
    loop {
        let wanted = *count.borrow_and_update();
        if wanted.is_some_and(|wanted| told.len() as u64 >= wanted) {
            return told;
        }
        tokio::select! {
            events = subscription.next() => match events {
                Ok(events) => told.extend(events),
                Err(ReadError::Unavailable { .. }) => {
                    let after = told.last().map_or(Position::START, RecordedEvent::position);
                    subscription = store.subscribe(after).await.expect("it follows");
                }
                Err(other) => panic!("{other}"),
            },
            _ = count.changed() => {}
        }
    }
}

/// Waits until an append is acknowledged again.
async fn back(store: &KurrentStore, number: u64) {
    let waited = tokio::time::timeout(LONG, async {
        loop {
            if store.head(&stream(number)).await.is_ok() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it is back by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stops_under_load_and_comes_back_has_lost_nothing() {
    let log = Log::new();
    let mut node = log.serve(21);
    let store = open(&node.at()).await.expect("it answers");
    let (stop, stopped) = watch::channel(false);
    let (wanted, counted) = watch::channel(None);
    let writers: Vec<_> = (0..8)
        .map(|number| tokio::spawn(load(store.clone(), number, stopped.clone())))
        .collect();
    let follower = tokio::spawn(follow(store.clone(), counted));
    for _ in 0..2 {
        let before = store.durable_position();
        let mut changes = store.durable_changes();
        changes
            .wait_for(|durable| durable.0 > before.0 + 100 * 1_024)
            .await
            .expect("it is written to");
        node.kill().await;
        // Whoever asks now is told, and soon at once.
        let away = tokio::time::timeout(LONG, async {
            loop {
                let read = store.head(&stream(0)).await;
                if matches!(read, Err(ReadError::Unavailable { .. })) {
                    return;
                }
            }
        });
        away.await.expect("it is told");
        // Each of them waiting for its answer would take ten minutes.
        let asked = tokio::time::timeout(LONG, async {
            for _ in 0..100 {
                let read = store.head(&stream(0)).await;
                assert!(
                    matches!(read, Err(ReadError::Unavailable { .. })),
                    "{read:?}"
                );
            }
        });
        asked.await.expect("nothing piles up");
        node.start();
        back(&store, 0).await;
    }
    stop.send_replace(true);
    let (mut written, mut away) = (Vec::new(), 0);
    for writer in writers {
        let (count, gone) = writer.await.expect("a writer");
        written.push(count);
        away += gone;
    }
    assert!(away > 0, "they were told");
    let sum: u64 = written.iter().sum();
    wanted.send_replace(Some(sum));
    let told = tokio::time::timeout(LONG, follower).await;
    let told = told.expect("all is told").expect("a follower");
    assert_eq!(told.len() as u64, sum, "each once");
    for (number, count) in (0..).zip(written) {
        let own = told
            .iter()
            .filter(|event| event.stream() == stream(number).as_str());
        let versions: Vec<u64> = own.map(RecordedEvent::version).collect();
        assert_eq!(versions, (0..count).collect::<Vec<_>>(), "in order");
        let below = log
            .store
            .read_stream(
                &stream(number),
                StreamFrom::Start,
                Direction::Forward,
                usize::MAX,
            )
            .await
            .expect("the stream");
        assert_eq!(
            below.len() as u64,
            count,
            "what was acknowledged is there once"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_two_seeds_dead_the_other_is_found() {
    let log = Log::new();
    // One log, so one numbering.
    let mut nodes = [log.serve(22), log.serve(22)];
    let (one, other) = (nodes[0].address(), nodes[1].address());
    let store = open(&format!("esdb://{one},{other}?tls=false")).await;
    let store = store.expect("one of them answers");
    let (stop, stopped) = watch::channel(false);
    let writer = tokio::spawn(load(store.clone(), 1, stopped));
    for dead in [0, 1, 0] {
        let mut changes = store.durable_changes();
        changes.changed().await.expect("it is written to");
        nodes[dead].kill().await;
        back(&store, 1).await;
        let before = store.durable_position();
        changes
            .wait_for(|durable| *durable > before)
            .await
            .expect("it is written to by the other");
        nodes[dead].start();
    }
    stop.send_replace(true);
    let (written, _) = writer.await.expect("a writer");
    let head = store.head(&stream(1)).await.expect("the stream");
    assert_eq!(head.map(|head| head.version + 1), Some(written));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_hangs_without_closing_is_noticed() {
    let log = Log::new();
    let node = log.serve(23);
    let way = Way::to(node.address());
    let store = open(&format!("esdb://{}?tls=false", way.address())).await;
    let store = store.expect("it answers");
    let mut subscription = store.subscribe(Position::START).await.expect("it follows");
    let append = |number: u64| {
        let expected = ExpectedVersion::of(number.checked_sub(1));
        conformance::append_of(&stream(1), expected, vec![event(number, 40)])
    };
    let ticket = store.append(append(0)).await.expect("a place");
    ticket.durable().await.expect("acknowledged");
    assert_eq!(subscription.next().await.expect("an event").len(), 1);
    way.hang();
    // Nobody asks: it is noticed all the same, and then whoever asks is told.
    let told = tokio::time::timeout(LONG, async {
        loop {
            match store.append(append(1)).await {
                Err(AppendError::Unavailable { .. }) => return,
                Err(AppendError::Unanswered { .. }) => {}
                other => panic!("{:?}", other.map(|ticket| ticket.last_version)),
            }
        }
    });
    told.await.expect("it is told");
    way.carry_again();
    back(&store, 1).await;
    // The first one may have come through after all.
    let ticket = store.append(append(1)).await.expect("a place");
    ticket.durable().await.expect("acknowledged");
    let told = tokio::time::timeout(LONG, subscription.next()).await;
    let told = told.expect("the subscription goes on").expect("an event");
    assert_eq!((told.len(), told[0].version()), (1, 1));
    way.end();
}

async fn refused(connection: &str) -> String {
    let opened = tokio::time::timeout(LONG, open(connection)).await;
    let error = opened.expect("it is told in time").err();
    error.expect("it is refused").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_the_way_is_told_with_what_to_do() {
    let log = Log::new();
    let node = log.serve_with(Options {
        access: Arc::new(Known),
        ..appending(24)
    });
    let at = node.address();
    let entered = open(&format!("esdb://doorstep:good@{at}?tls=false")).await;
    assert!(entered.is_ok());
    for credentials in ["", "doorstep:s3cret@", "doorstep:weak@"] {
        let told = refused(&format!("esdb://{credentials}{at}?tls=false")).await;
        assert!(told.contains("user"), "{told}");
        assert!(told.contains("$all"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
    let told = refused(&format!("esdb://{at}?tls=true")).await;
    assert!(told.contains("tls=false"), "{told}");
    // Nobody there at all.
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let told = refused(&format!("esdb://{gone}?tls=false")).await;
    assert!(told.contains(&gone.to_string()), "{told}");
    // Somebody who speaks something else.
    let other = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let web = listener.local_addr().expect("an address");
    let served = tokio::spawn(async move { axum::serve(listener, other).await });
    let told = refused(&format!("esdb://{web}?tls=false")).await;
    assert!(told.contains("no KurrentDB"), "{told}");
    served.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_taken_by_its_authority_and_its_host_or_not_at_all() {
    let made = || {
        let names = vec!["localhost".to_owned()];
        rcgen::generate_simple_self_signed(names).expect("a certificate")
    };
    let (own, other) = (made(), made());
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (trusted, strange) = (
        file("own.pem", own.cert.pem()),
        file("other.pem", other.cert.pem()),
    );
    // A client before any server of TLS: it says which cryptography this process has.
    refused("esdb://127.0.0.1:1?tls=false").await;
    let log = Log::new();
    let node = log.serve_with(Options {
        tls: Some(Pem {
            certificates: own.cert.pem().into_bytes(),
            key: own.signing_key.serialize_pem().into_bytes(),
        }),
        ..appending(25)
    });
    let port = node.address().port();
    let store = open(&format!("esdb://localhost:{port}?tlsCaFile={trusted}")).await;
    let store = store.expect("it is taken");
    let append = conformance::append_of(&stream(1), ExpectedVersion::NoStream, vec![event(1, 40)]);
    let ticket = store.append(append).await.expect("a place");
    ticket.durable().await.expect("acknowledged");
    for wrong in [
        format!("esdb://localhost:{port}?tlsCaFile={strange}"),
        format!("esdb://127.0.0.1:{port}?tlsCaFile={trusted}"),
        format!("esdb://localhost:{port}"),
    ] {
        let told = refused(&wrong).await;
        assert!(told.contains("tlsCaFile"), "{told}");
    }
    let told = refused(&format!("esdb://localhost:{port}?tls=false")).await;
    assert!(told.contains("tls=true"), "{told}");
    // Of several hosts each has its own reason.
    let gone = tests::cluster::address();
    let told = refused(&format!(
        "esdb://{gone},localhost:{port}?tlsCaFile={strange}"
    ))
    .await;
    for words in [&format!("{gone}: nobody is there"), "see that", "tlsCaFile"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(
        !told.contains("metadata"),
        "no words of the client's: {told}"
    );
}

#[tokio::test]
async fn nothing_secret_is_shown_of_a_store() {
    let connection = Connection::parse("esdb://doorstep:s3cret@127.0.0.1:1?tls=false");
    let connection = connection.expect("a connection string");
    assert!(!format!("{connection:?} {connection}").contains("s3cret"));
    let error = KurrentStore::open(connection, kurrent::client::Options::default()).await;
    let error = error.err().expect("nobody is there");
    assert!(!format!("{error:?} {error}").contains("s3cret"));
}

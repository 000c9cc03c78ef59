//! The program's two doors for clients of KurrentDB, as processes: the service's log for reading, and the store alone;
//! by tokens, by TLS, stopped and killed.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventstore::{
    AppendToStreamOptions, Authentication, Client, Error, ReadAllOptions, ReadStreamOptions,
    StreamPosition, StreamState, SubscribeToAllOptions, SubscriptionEvent,
};
use serde_json::{Value, json};
use tests::kurrent::{Certified, append, client, door, read_all, read_stream, thing};
use tests::program::{self, Server};
use uuid::Uuid;

/// A store alone over this folder.
fn store(data: &Path, more: &[&str]) -> Server {
    let mut command = program::doorstep(["store", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(data).args(more);
    Server::spawn(command, data)
}

fn every() -> ReadAllOptions {
    ReadAllOptions::default().max_count(10_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_service_is_read_by_its_own_tokens_and_written_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        &folder.path().join("data"),
        &["--kurrent-listen", "127.0.0.1:0"],
    );
    let url = door(&server);
    let (service, auditor) = (
        server.token("host", "service"),
        server.token("ada", "auditor"),
    );
    let http = reqwest::Client::new();
    for member in ["ann", "bob"] {
        let registered = http
            .put(format!("{}/v1/members/{member}", server.url))
            .bearer_auth(&service)
            .json(&json!({"age_band": "adult"}));
        assert_eq!(registered.send().await.unwrap().status(), 200);
    }
    let page = http
        .get(format!("{}/v1/events?limit=200", server.url))
        .bearer_auth(&auditor);
    let page: Value = page.send().await.unwrap().json().await.unwrap();
    let told = page["items"].as_array().unwrap();
    for token in [&service, &auditor] {
        let read = read_all(&client(&url, &format!("any:{token}")), every()).await;
        let read = read.unwrap();
        assert_eq!(read.len(), told.len());
        for (event, told) in read.iter().zip(told) {
            let event = event.get_original_event();
            assert_eq!(json!(event.id), told["event_id"]);
            assert_eq!(json!(event.position.commit), told["position"]);
            assert_eq!(json!(event.stream_id()), told["stream"]);
            let data: Value = serde_json::from_slice(&event.data).unwrap();
            assert_eq!(data, told["data"]);
        }
    }
    let by_bearer = every().authenticated(Authentication::bearer(auditor.clone()));
    let by_bearer = read_all(&client(&url, ""), by_bearer).await.unwrap();
    assert_eq!(by_bearer.len(), told.len());
    let noted = server.line_with(&["doorstep::access", "ada", "KurrentDB"]);
    assert!(noted.contains("the log is read"), "{noted}");
    assert!(noted.contains("$all"), "{noted}");

    let (member, operator) = (
        server.token("ann", "member"),
        server.token("ole", "operator"),
    );
    for credentials in [
        String::new(),
        "any:none".to_owned(),
        format!("any:{member}"),
        format!("any:{operator}"),
    ] {
        let read = read_all(&client(&url, &credentials), every()).await;
        assert!(matches!(read, Err(Error::AccessDenied)));
    }
    let writer = client(&url, &format!("any:{service}"));
    let written = append(&writer, "member-ann", StreamState::Any, 1).await;
    assert!(matches!(written, Err(Error::AccessDenied)), "{written:?}");

    let options = SubscribeToAllOptions::default().position(StreamPosition::End);
    let mut following = writer.subscribe_to_all(&options).await;
    loop {
        if let SubscriptionEvent::CaughtUp(_) = following.next_subscription_event().await.unwrap() {
            break;
        }
    }
    let registered = http
        .put(format!("{}/v1/members/cat", server.url))
        .bearer_auth(&service)
        .json(&json!({"age_band": "adult"}));
    assert_eq!(registered.send().await.unwrap().status(), 200);
    let came = following.next().await.unwrap();
    assert_eq!(came.get_original_event().stream_id(), "member-cat");
    server.line_with(&["doorstep::access", "host", "the log is followed"]);
    assert!(server.stop().success(), "with a subscription open");
    assert!(following.next_subscription_event().await.is_err());
}

#[test]
fn what_cannot_be_served_is_told_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = data.to_string_lossy().into_owned();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &text];
    let store = ["store", "--data", &text];
    let pem = folder.path().join("pem");
    std::fs::write(&pem, "no certificate\n").unwrap();
    let pem = pem.to_string_lossy().into_owned();
    let both = ["--kurrent-tls-cert", &pem, "--kurrent-tls-key", &pem];
    for (command, more, status, words) in [
        (
            &serve[..],
            &["--kurrent-listen", &taken][..],
            1,
            "with --kurrent-listen",
        ),
        (
            &serve[..],
            &["--kurrent-listen", "nowhere"][..],
            2,
            "HOST:PORT",
        ),
        (&serve[..], &both[..], 2, "--kurrent-listen is served"),
        (
            &serve[..],
            &[&["--kurrent-listen", "127.0.0.1:0"][..], &both[..]].concat()[..],
            2,
            "no certificate and its key",
        ),
        (
            &serve[..],
            &["--kurrent-tls-cert", &pem][..],
            2,
            "--kurrent-tls-key",
        ),
        (&store[..], &[][..], 2, "--listen"),
        (&store[..], &["--listen", &taken][..], 1, "with --listen"),
        (
            &store[..],
            &["--listen", "0.0.0.0:0"][..],
            2,
            "without --auth-key",
        ),
        (
            &store[..],
            &["--listen", "127.0.0.1:0", "--auth-key", "nowhere"][..],
            2,
            "No such file",
        ),
    ] {
        let ended = program::run(command.iter().chain(more));
        assert_eq!(ended.status, Some(status), "{more:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{more:?}: {}", ended.stderr);
        assert!(!data.exists(), "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_a_key_takes_who_may() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "a secret of thirty-two bytes or more").unwrap();
    let key = key.to_string_lossy().into_owned();
    let data = folder.path().join("data");
    let server = store(&data, &["--auth-key", &key]);
    let by = |role: &str| {
        let token = program::run(["token", "--auth-key", &key, "--sub", "node", "--role", role]);
        client(&server.url, &format!("any:{}", token.done().stdout.trim()))
    };
    let written = append(&by("service"), "thing-1", StreamState::NoStream, 1).await;
    assert_eq!(written.expect("written"), (0, 1));
    for (role, reads) in [("service", true), ("auditor", true), ("member", false)] {
        let read = read_all(&by(role), every()).await;
        assert_eq!(read.is_ok(), reads, "{role}");
        if role != "service" {
            let written = append(&by(role), "thing-1", StreamState::Any, 2).await;
            assert!(matches!(written, Err(Error::AccessDenied)), "{role}");
        }
    }
    let nobody = read_all(&client(&server.url, ""), every()).await;
    assert!(matches!(nobody, Err(Error::AccessDenied)));
    assert!(server.stop().success());
    assert!(!data.join("keys").exists(), "it has no keys of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_stopped_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = store(&data, &[]);
    let writer = client(&first.url, "");
    let written = append(&writer, "thing-1", StreamState::NoStream, 1).await;
    assert_eq!(written.expect("written"), (0, 1));
    let held = program::run(["verify", "--data", &data.to_string_lossy()]);
    assert_eq!(held.status, Some(1));
    assert!(held.stderr.contains("doorstep store"), "{}", held.stderr);
    assert!(first.stop().success(), "with a client connected");
    program::run(["verify", "--data", &data.to_string_lossy()]).done();
    let second = store(&data, &[]);
    let writer = client(&second.url, "");
    let written = append(&writer, "thing-1", StreamState::StreamRevision(0), 2).await;
    assert_eq!(written.expect("written"), (1, 2));
    assert_eq!(read_all(&writer, every()).await.unwrap().len(), 2);
    assert!(second.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_on_purpose_keeps_every_event_once_and_numbers_with_gaps() {
    let help = program::run(["store", "--help"]).done().stdout;
    assert!(!help.contains("test-faults"), "of tests: {help}");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = store(&data, &["--test-faults", "5"]);
    let writer = client(&server.url, "");
    let (mut lost, mut places) = (0, Vec::new());
    for number in 0..100_u64 {
        let expected = match number.checked_sub(1) {
            Some(last) => StreamState::StreamRevision(last),
            None => StreamState::NoStream,
        };
        let place = loop {
            match append(&writer, "thing-1", expected, u128::from(number) + 1).await {
                Ok((revision, place)) => {
                    assert_eq!(revision, number);
                    break place;
                }
                Err(Error::ServerError(_)) => lost += 1,
                Err(error) => panic!("{error:?}"),
            }
        };
        places.push(place);
    }
    assert!(lost > 0, "some answers were lost");
    let steps: Vec<u64> = places.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(steps.iter().all(|step| *step > 0), "they rise");
    assert!(steps.iter().any(|step| *step != steps[0]), "irregularly");
    assert!(server.stop().success());
    let events = program::run(["events", "--data", &data.to_string_lossy()]).done();
    assert_eq!(events.stdout.lines().count(), 100, "each once");
}

/// Streams that are written to at once while the store is killed.
const WRITERS: u128 = 8;
/// Appends that are answered before it is killed.
const ANSWERED: u64 = 200;
/// How often it is killed.
const KILLS: usize = 3;

/// What a writer knows of its stream: revisions that were answered, and the append that was not.
#[derive(Clone, Default)]
struct Known {
    answered: Vec<(u64, Uuid)>,
    open: Option<u128>,
}

/// Appends to a stream, one after the other, until an answer stays away.
async fn write(
    client: Client,
    writer: u128,
    mut known: Known,
    answered: Arc<AtomicU64>,
) -> (Known, Error) {
    let name = format!("writer-{writer}");
    loop {
        let next = known.answered.len() as u128;
        let number = known.open.unwrap_or((writer << 64) + next);
        known.open = Some(number);
        let expected = match known.answered.last() {
            Some((revision, _)) => StreamState::StreamRevision(*revision),
            None => StreamState::NoStream,
        };
        let options = AppendToStreamOptions::default().stream_state(expected);
        match client
            .append_to_stream(name.as_str(), &options, thing(number))
            .await
        {
            Ok(written) => {
                let id = Uuid::from_u128(number);
                known.answered.push((written.next_expected_version, id));
                known.open = None;
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(Error::WrongExpectedVersion { .. }) => panic!("{name} has another writer"),
            Err(error) => return (known, error),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed_has_lost_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut known = vec![Known::default(); usize::try_from(WRITERS).unwrap()];
    for _ in 0..KILLS {
        let server = store(&data, &["--segment-bytes", "65536"]);
        let answered = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .zip(known)
            .map(|(writer, known)| {
                let client = client(&server.url, "");
                tokio::spawn(write(client, writer, known, Arc::clone(&answered)))
            })
            .collect();
        let ended = || writers.iter().all(tokio::task::JoinHandle::is_finished);
        while answered.load(Ordering::SeqCst) < ANSWERED && !ended() {
            tokio::task::yield_now().await;
        }
        let early = ended();
        server.kill();
        known = Vec::new();
        for writer in writers {
            let (one, error) = writer.await.expect("no panic");
            assert!(!early, "nobody was killed: {error:?}");
            known.push(one);
        }
        let server = store(&data, &[]);
        let reader = client(&server.url, "");
        for (writer, known) in known.iter().enumerate() {
            let options = ReadStreamOptions::default().max_count(100_000);
            let told = read_stream(&reader, &format!("writer-{writer}"), options).await;
            let told: Vec<(u64, Uuid)> = told
                .expect("the stream")
                .iter()
                .map(eventstore::ResolvedEvent::get_original_event)
                .map(|event| (event.revision, event.id))
                .collect();
            let answered = known.answered.len();
            assert_eq!(told[..answered], known.answered, "each once, in its place");
            let beyond: Vec<u128> = told[answered..]
                .iter()
                .map(|(_, id)| id.as_u128())
                .collect();
            assert!(
                beyond.is_empty() || beyond == [known.open.expect("it was on its way")],
                "no more than the one that was not answered: {beyond:?}"
            );
        }
        server.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_doors_are_behind_tls_and_another_authority_is_not_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (
        Certified::new(folder.path(), "ours"),
        Certified::new(folder.path(), "other"),
    );
    let (cert, key) = (ours.cert.to_string_lossy(), ours.key.to_string_lossy());
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of thirty-two bytes or more").unwrap();
    let secret = secret.to_string_lossy();
    let token = [
        "token",
        "--auth-key",
        &secret,
        "--sub",
        "node",
        "--role",
        "service",
    ];
    let token = program::run(token).done().stdout.trim().to_owned();
    let trusting = |url: &str, certified: &Certified| {
        let authority = certified.authority.to_string_lossy();
        let url = format!("{url}?maxDiscoverAttempts=2&tlsCaFile={authority}");
        client(&url, &format!("any:{token}"))
    };

    let alone = store(
        &folder.path().join("store"),
        &[
            "--auth-key",
            &secret,
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
        ],
    );
    assert!(!alone.url.contains("tls=false"), "{}", alone.url);
    let writer = trusting(&alone.url, &ours);
    let written = append(&writer, "thing-1", StreamState::NoStream, 1).await;
    assert_eq!(written.expect("written"), (0, 1));
    assert_eq!(read_all(&writer, every()).await.unwrap().len(), 1);
    assert!(
        read_all(&trusting(&alone.url, &other), every())
            .await
            .is_err()
    );
    let clear = format!("{}?tls=false&maxDiscoverAttempts=2", alone.url);
    assert!(read_all(&client(&clear, ""), every()).await.is_err());
    assert!(alone.stop().success());

    let server = Server::start(
        &folder.path().join("service"),
        &[
            "--auth-key",
            &secret,
            "--kurrent-listen",
            "127.0.0.1:0",
            "--kurrent-tls-cert",
            &cert,
            "--kurrent-tls-key",
            &key,
        ],
    );
    let url = door(&server);
    let read = read_all(&trusting(&url, &ours), every()).await;
    assert!(!read.unwrap().is_empty(), "the policy is there");
    assert!(read_all(&trusting(&url, &other), every()).await.is_err());
    assert!(server.stop().success());
}

//! The service under hard conditions: killed under load, stopped in order, and on a full disk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::program::{self, Server};
use tokio::sync::Notify;

/// Clients that write at once; client n writes to member n+1, so that each conversation has two writers.
const CLIENTS: usize = 16;

fn name(client: usize) -> String {
    format!("member-{}", client % CLIENTS)
}

/// An answer that a client got: whose command, its key, and what it was told.
#[derive(Debug, Clone)]
struct Answered {
    from: String,
    key: String,
    body: Value,
}

/// Registers members who let everybody in and follow their neighbours.
async fn register(server: &Server, client: &Client) {
    let host = server.token("host", "service");
    for n in 0..CLIENTS {
        let (one, next) = (name(n), name(n + 1));
        for (path, body) in [
            (
                format!("/v1/members/{one}"),
                Some(json!({"age_band": "adult"})),
            ),
            (format!("/v1/members/{one}/follows/{next}"), None),
            (format!("/v1/members/{next}/follows/{one}"), None),
        ] {
            let mut request = client
                .put(format!("{}{path}", server.url))
                .bearer_auth(&host);
            if let Some(body) = body {
                request = request.json(&body);
            }
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
    }
}

/// Sends until the service is gone; notes every answer, and tells when enough are there.
async fn send(
    url: String,
    token: String,
    n: usize,
    run: usize,
    answers: Arc<AtomicUsize>,
    enough: (usize, Arc<Notify>),
) -> Vec<Answered> {
    let client = Client::new();
    let mut answered = Vec::new();
    for number in 0_u64.. {
        let key = format!("{run}-{number}");
        // Every other message answers the neighbour on the other side.
        let to = if number.is_multiple_of(2) {
            name(n + 1)
        } else {
            name(n + CLIENTS - 1)
        };
        let body = json!({"to": to, "text": format!("{run} {number}")});
        let request = client
            .post(format!("{url}/v1/messages"))
            .bearer_auth(&token)
            .header("Idempotency-Key", &key);
        let Ok(answer) = request.json(&body).send().await else {
            break;
        };
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            continue;
        }
        assert_eq!(answer.status(), StatusCode::CREATED);
        let Ok(body) = answer.json().await else { break };
        answered.push(Answered {
            from: name(n),
            key,
            body,
        });
        if answers.fetch_add(1, Ordering::Relaxed) + 1 == enough.0 {
            enough.1.notify_one();
        }
    }
    answered
}

/// Every event of the log, asked of the running service.
fn events(server: &Server) -> Vec<Value> {
    let token = server.token("ada", "auditor");
    let ended = program::run(["events", "--url", &server.url, "--token", &token]).done();
    ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect()
}

/// All messages of a conversation as one member sees them, oldest first: number, author, text.
async fn messages(
    server: &Server,
    client: &Client,
    token: &str,
    conversation: &str,
    position: u64,
) -> Vec<(u64, String, String)> {
    let mut all = Vec::new();
    let mut query = format!("limit=200&min_position={position}");
    loop {
        let url = format!(
            "{}/v1/conversations/{conversation}/messages?{query}",
            server.url
        );
        let answer = client
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let page: Value = answer.json().await.expect("a page");
        for item in page["items"].as_array().expect("items") {
            let text = |field: &str| item[field].as_str().expect("text").to_owned();
            all.push((
                item["number"].as_u64().expect("a number"),
                text("from"),
                text("text"),
            ));
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("limit=200&cursor={cursor}");
    }
    all.reverse();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_every_answered_command_is_there_once_and_the_views_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let client = Client::new();
    let mut server = Server::start(&data, &[]);
    register(&server, &client).await;
    let tokens: Vec<String> = (0..CLIENTS)
        .map(|n| server.token(&name(n), "member"))
        .collect();
    let mut answered: Vec<Answered> = Vec::new();
    for run in 0..3 {
        let answers = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(Notify::new());
        let mut senders = tokio::task::JoinSet::new();
        for (n, token) in tokens.iter().enumerate() {
            let enough = (150 + 137 * run, Arc::clone(&enough));
            senders.spawn(send(
                server.url.clone(),
                token.clone(),
                n,
                run,
                Arc::clone(&answers),
                enough,
            ));
        }
        enough.notified().await;
        server.kill();
        answered.extend(senders.join_all().await.into_iter().flatten());
        server = Server::start(&data, &[]);
    }

    // Every answered command is in the log once, at the number it was told.
    let log = events(&server);
    let mut sent: HashMap<(String, String), Vec<&Value>> = HashMap::new();
    for event in log
        .iter()
        .filter(|event| event["type"] == "message-sent.v1")
    {
        let field = |name: &str| event[name].as_str().expect("text").to_owned();
        sent.entry((field("actor"), field("command_id")))
            .or_default()
            .push(event);
    }
    assert!(answered.len() > 450, "{} answers", answered.len());
    for answer in &answered {
        let events = sent
            .get(&(answer.from.clone(), answer.key.clone()))
            .map_or(&[][..], Vec::as_slice);
        assert_eq!(events.len(), 1, "{answer:?}");
        assert_eq!(
            events[0]["data"]["number"], answer.body["number"],
            "{answer:?}"
        );
        let conversation = answer.body["conversation_id"].as_str().expect("an id");
        assert_eq!(events[0]["stream"], format!("conversation-{conversation}"));
    }
    for (command, events) in &sent {
        assert_eq!(events.len(), 1, "{command:?} took effect twice");
    }
    let ids: HashSet<&str> = log
        .iter()
        .map(|event| event["event_id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids.len(), log.len());

    // Repeated after the restarts, a command gives its first answer and writes nothing.
    for answer in answered.iter().step_by(97) {
        let n: usize = answer
            .from
            .strip_prefix("member-")
            .expect("a name")
            .parse()
            .expect("a number");
        let (run, number) = answer.key.split_once('-').expect("a key");
        let number: usize = number.parse().expect("a number");
        let to = if number.is_multiple_of(2) {
            name(n + 1)
        } else {
            name(n + CLIENTS - 1)
        };
        let body = json!({"to": to, "text": format!("{run} {number}")});
        let request = client
            .post(format!("{}/v1/messages", server.url))
            .bearer_auth(&tokens[n]);
        let again = request
            .header("Idempotency-Key", &answer.key)
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.json::<Value>().await.expect("JSON"), answer.body);
    }
    assert_eq!(events(&server).len(), log.len());

    // The views say what the log says.
    let end = log.last().expect("events")["position"]
        .as_u64()
        .expect("a position");
    let mut conversations: BTreeMap<String, Vec<(u64, String, String)>> = BTreeMap::new();
    for event in log
        .iter()
        .filter(|event| event["type"] == "message-sent.v1")
    {
        let data = |name: &str| event["data"][name].as_str().expect("text").to_owned();
        let number = event["data"]["number"].as_u64().expect("a number");
        let stream = event["stream"]
            .as_str()
            .expect("a stream")
            .strip_prefix("conversation-")
            .expect("a conversation");
        conversations.entry(stream.to_owned()).or_default().push((
            number,
            data("from"),
            data("text"),
        ));
    }
    for n in 0..CLIENTS {
        let token = &server.token(&name(n), "member,auditor");
        let inbox: Value = client
            .get(format!(
                "{}/v1/inbox?limit=200&min_position={end}",
                server.url
            ))
            .bearer_auth(token)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("a page");
        let items = inbox["items"].as_array().expect("items");
        assert_eq!(items.len(), 2, "{inbox}");
        for item in items {
            let conversation = item["conversation_id"].as_str().expect("an id");
            let meant = &conversations[conversation];
            assert_eq!(
                &messages(&server, &client, token, conversation, end).await,
                meant
            );
            let last = meant.last().expect("a message");
            assert_eq!(item["last_message"]["number"].as_u64(), Some(last.0));
            assert_eq!(item["last_message"]["text"].as_str(), Some(last.2.as_str()));
            let unread = meant.iter().filter(|(_, from, _)| *from != name(n)).count() as u64;
            assert_eq!(item["unread"].as_u64(), Some(unread));
        }
    }
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_answers_what_it_accepted_and_opens_again_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let client = Client::new();
    let server = Server::start(&data, &[]);
    register(&server, &client).await;
    let answers = Arc::new(AtomicUsize::new(0));
    let enough = Arc::new(Notify::new());
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..CLIENTS {
        let token = server.token(&name(n), "member");
        let enough = (200, Arc::clone(&enough));
        senders.spawn(send(
            server.url.clone(),
            token,
            n,
            0,
            Arc::clone(&answers),
            enough,
        ));
    }
    enough.notified().await;
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    assert!(stopped.await.expect("it stops").success());
    // Nothing was answered that is not there, and nothing was taken in that was not answered.
    let answered: Vec<Answered> = senders.join_all().await.into_iter().flatten().collect();
    let server = Server::start(&data, &[]);
    let sent = events(&server)
        .iter()
        .filter(|event| event["type"] == "message-sent.v1")
        .count();
    assert_eq!(sent, answered.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_followed_are_printed_as_they_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client::new();
    let server = Server::start(&folder.path().join("data"), &[]);
    register(&server, &client).await;
    let token = server.token("ada", "auditor");
    let mut follower = program::doorstep([
        "events",
        "--follow",
        "--type",
        "message-sent",
        "--url",
        &server.url,
    ])
    .args(["--token", &token])
    .stdout(Stdio::piped())
    .spawn()
    .expect("events starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("piped")).lines();
    let member = server.token("member-0", "member");
    for key in ["one", "two", "three"] {
        assert_eq!(
            post(&server, &client, &member, key).await.0,
            StatusCode::CREATED
        );
        let line = lines.next().expect("it goes on").expect("a line");
        let event: Value = serde_json::from_str(&line).expect("an event");
        assert_eq!(event["data"]["text"], key);
    }
    follower.kill().expect("it runs");
    follower.wait().expect("it was a child");
}

/// A file system of the test's own, where the test may mount one.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "doorstep-test"])
            .arg(at)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

async fn post(server: &Server, client: &Client, token: &str, key: &str) -> (StatusCode, Value) {
    let request = client
        .post(format!("{}/v1/messages", server.url))
        .bearer_auth(token)
        .header("Idempotency-Key", key);
    let answer = request
        .json(&json!({"to": "member-1", "text": key}))
        .send()
        .await
        .expect("an answer");
    (answer.status(), answer.json().await.expect("JSON"))
}

/// The inbox once it has come to a position: the answer's status, and how many conversations it has.
async fn inbox(
    server: &Server,
    client: &Client,
    token: &str,
    position: &str,
) -> (StatusCode, usize) {
    let answer = client
        .get(format!("{}/v1/inbox?min_position={position}", server.url))
        .bearer_auth(token)
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    let page: Value = answer.json().await.expect("JSON");
    (status, page["items"].as_array().map_or(0, Vec::len))
}

/// A command that was so already wrote nothing to the log; what it came to is there after a kill all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_what_was_so_already_undoes_nothing_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let client = Client::new();
    let server = Server::start(&data, &[]);
    register(&server, &client).await;
    let token = server.token("member-0", "member");
    let block = |server: &Server, method: reqwest::Method, key: &str| {
        let request = client
            .request(method, format!("{}/v1/me/blocks/member-1", server.url))
            .bearer_auth(&token)
            .header("Idempotency-Key", key);
        async move {
            let answer = request.send().await.expect("an answer");
            (answer.status(), answer.text().await.expect("a body"))
        }
    };
    let first = block(&server, reqwest::Method::DELETE, "unblock").await;
    assert_eq!(first.0, StatusCode::OK);
    let (blocked, _) = block(&server, reqwest::Method::PUT, "block").await;
    assert_eq!(blocked, StatusCode::OK);
    server.kill();

    let server = Server::start(&data, &[]);
    let again = block(&server, reqwest::Method::DELETE, "unblock").await;
    assert_eq!(again, first);
    let ended = events(&server)
        .iter()
        .filter(|event| event["type"] == "member-unblocked.v1")
        .count();
    assert_eq!(ended, 0, "the block stands");
}

/// On a full disk commands are refused, queries go on, and room made is noticed without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_commands_and_goes_on_answering_queries() {
    const MIB: u64 = 1024 * 1024;
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client::new();
    let disk = SmallDisk::mount(&folder.path().join("disk"), 192);
    let data = folder.path().join("disk").join("data");
    let bounds = ["--segment-bytes", "4194304", "--reserve-bytes", "67108864"];
    let mut server = Server::start(&data, &bounds);
    register(&server, &client).await;
    let token = server.token("member-0", "member");
    let (status, sent) = post(&server, &client, &token, "before").await;
    assert_eq!(status, StatusCode::CREATED);
    let position = sent["position"].as_str().expect("a position");
    let filler = folder.path().join("disk").join("filler");
    if disk.is_some() {
        // Whatever is left above some of the reserve.
        let free = rustix::fs::statvfs(&data).expect("a file system");
        let bytes = (free.f_bavail * free.f_frsize).saturating_sub(32 * MIB);
        std::fs::write(
            &filler,
            vec![1; usize::try_from(bytes).expect("it is small")],
        )
        .expect("room");
    } else {
        // Without the right to mount: a reserve that no disk has.
        assert!(server.stop().success());
        server = Server::start(&data, &["--reserve-bytes", "4611686018427387904"]);
    }
    // The free space is looked at once in a while; until then commands are taken, and none is lost.
    let mut taken = 0;
    let problem = loop {
        let (status, body) = post(&server, &client, &token, &format!("filling-{taken}")).await;
        if status == StatusCode::INSUFFICIENT_STORAGE {
            break body;
        }
        assert!(
            matches!(status, StatusCode::CREATED | StatusCode::TOO_MANY_REQUESTS),
            "{status} {body}"
        );
        taken += usize::from(status == StatusCode::CREATED);
        assert!(taken < 1_000_000, "the disk never fills");
    };
    assert_eq!(problem["code"], "storage_full");
    assert_eq!(
        inbox(&server, &client, &token, position).await,
        (StatusCode::OK, 1)
    );
    let ready = client
        .get(format!("{}/readyz", server.url))
        .send()
        .await
        .expect("an answer");
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    if disk.is_some() {
        std::fs::remove_file(&filler).expect("it is there");
        let mut refused = 0_u32;
        loop {
            let (status, body) = post(&server, &client, &token, "after").await;
            if status == StatusCode::CREATED {
                break;
            }
            assert!(
                matches!(
                    status,
                    StatusCode::INSUFFICIENT_STORAGE | StatusCode::TOO_MANY_REQUESTS
                ),
                "{status} {body}"
            );
            refused += 1;
            assert!(refused < 1_000_000, "room made is not noticed");
        }
    }
    let words = server.words();
    assert!(!words.contains("panicked"), "{words}");
    assert!(server.stop().success());
    // What was told to be there is there.
    let server = Server::start(&data, &["--reserve-bytes", "1"]);
    let sent = events(&server)
        .iter()
        .filter(|event| event["type"] == "message-sent.v1")
        .count();
    assert_eq!(sent, 1 + taken + usize::from(disk.is_some()));
}

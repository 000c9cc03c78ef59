//! Following a process that is killed again and again, and started again: over HTTP after the last id, by `events --follow`,
//! and as a member's feed. Nothing is lost, nothing comes twice.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tests::program::{self, Server};
use tests::sse::{Said, Stream};

/// How often the service is killed.
const KILLS: usize = 5;
/// Events that are followed between two kills.
const EVENTS_BETWEEN: usize = 60;

/// A service at an address of its own, over a folder, started as often as it is killed.
struct Host {
    address: String,
    client: Client,
    tokens: Vec<String>,
    auditor: String,
    service: String,
}

impl Host {
    fn start(data: &Path, address: &str) -> Server {
        let mut command = program::doorstep(["serve", "--listen", address, "--data"]);
        command.arg(data);
        Server::spawn(command, data)
    }

    fn of(server: &Server, address: String) -> Self {
        Host {
            tokens: ["ann", "bob"].map(|who| server.token(who, "member")).into(),
            auditor: server.token("ada", "auditor"),
            service: server.token("host", "service"),
            client: Client::new(),
            address,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn put(&self, path: &str, token: &str, body: Value) {
        let request = self.client.put(self.url(path)).bearer_auth(token);
        let answer = request.json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }

    /// Both take messages from everyone and have answered one another.
    async fn introduce(&self) {
        for (who, token) in ["ann", "bob"].iter().zip(&self.tokens) {
            let path = format!("/v1/members/{who}");
            let body = json!({"age_band": "adult", "registered_at": "2020-01-01T00:00:00Z"});
            self.put(&path, &self.service, body).await;
            let body = json!({"audience": "everyone"});
            self.put("/v1/me/dm-setting", token, body).await;
        }
        assert!(self.send(0, "bob", "hello").await);
        assert!(self.send(1, "ann", "hello").await);
    }

    /// Whether the message was answered; while the service is killed it may not be.
    async fn send(&self, from: usize, to: &str, text: &str) -> bool {
        let request = self.client.post(self.url("/v1/messages"));
        let request = request.bearer_auth(&self.tokens[from]);
        let body = json!({"to": to, "text": text});
        let answer = request.json(&body).send().await;
        answer.is_ok_and(|answer| answer.status() == 201)
    }

    /// Both write until nobody answers.
    async fn talk(&self, round: usize) -> Vec<String> {
        let mut answered = Vec::new();
        for number in 0.. {
            let text = format!("{round}: {number}");
            let (from, to) = if number % 2 == 0 {
                (0, "bob")
            } else {
                (1, "ann")
            };
            if !self.send(from, to, &text).await {
                break;
            }
            answered.push(text);
        }
        answered
    }

    async fn follow(&self, path: &str, token: &str, id: Option<&String>) -> Stream {
        let request = self.client.get(self.url(path)).bearer_auth(token);
        let request = request.header("accept", "text/event-stream");
        Stream::of(match id {
            Some(id) => request.header("last-event-id", id),
            None => request,
        })
        .await
    }

    async fn all_lines(&self) -> Vec<String> {
        let request = self.client.get(self.url("/v1/events"));
        let request = request.bearer_auth(&self.auditor);
        let answer = request.header("accept", "application/x-ndjson").send();
        let text = answer.await.expect("an answer").text().await;
        text.expect("lines").lines().map(str::to_owned).collect()
    }
}

/// What a feed told, of each command all or nothing.
#[derive(Default)]
struct Heard {
    whole: Vec<Value>,
    part: Vec<Value>,
}

impl Heard {
    fn hear(&mut self, said: &Said) {
        self.part.push(said.json());
        if said.id.is_some() {
            self.whole.append(&mut self.part);
        }
    }
}

/// What comes of a stream that breaks off, whole events only.
async fn rest(stream: &mut Stream, told: &mut Vec<String>) {
    while let Some(said) = stream.next().await {
        told.push(said.data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_nothing_is_lost_and_nothing_comes_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    // Nobody else binds here while the service is away.
    let loopback = if cfg!(target_os = "linux") {
        "127.0.0.77:0"
    } else {
        "127.0.0.1:0"
    };
    let free = TcpListener::bind(loopback).expect("a free port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let mut server = Host::start(&data, &address);
    let host = Host::of(&server, address.clone());
    host.introduce().await;

    let url = host.url("");
    let mut printing = program::doorstep(["events", "--follow", "--url", &url])
        .args(["--token", &host.auditor])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("events starts");
    let lines = BufReader::new(printing.stdout.take().expect("piped")).lines();
    let (print, printed) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = print.send(line);
        }
    });

    let mut told: Vec<String> = Vec::new();
    let mut id = None;
    let mut feed_id = None;
    let mut fed = Heard::default();
    let mut answered = Vec::new();
    for round in 0..KILLS {
        let mut stream = host.follow("/v1/events", &host.auditor, id.as_ref()).await;
        let mut feed = host
            .follow("/v1/me/feed", &host.tokens[0], feed_id.as_ref())
            .await;
        let talking = host.talk(round);
        let following = async {
            let events = stream.take(EVENTS_BETWEEN).await;
            told.extend(events.into_iter().map(|said| said.data));
            let of_ann = feed.take(EVENTS_BETWEEN / 4).await;
            for said in &of_ann {
                fed.hear(said);
            }
            // The other one goes on writing while it is killed.
            server.kill();
        };
        let (sent, ()) = tokio::join!(talking, following);
        answered.extend(sent);
        rest(&mut stream, &mut told).await;
        while let Some(said) = feed.next().await {
            fed.hear(&said);
        }
        // It comes again, with the rest of it.
        fed.part.clear();
        id = stream.last_id.or(id);
        feed_id = feed.last_id.or(feed_id);
        server = Host::start(&data, &address);
    }
    assert!(host.send(0, "bob", "the last one").await);
    let all = host.all_lines().await;
    let mut stream = host.follow("/v1/events", &host.auditor, id.as_ref()).await;
    let left = stream.take(all.len() - told.len()).await;
    told.extend(left.into_iter().map(|said| said.data));
    assert_eq!(told, all);
    for text in &answered {
        let text = format!("\"text\":\"{text}\"");
        assert_eq!(all.iter().filter(|line| line.contains(&text)).count(), 1);
    }
    assert!(answered.len() > KILLS * 10);

    let found: Vec<String> = (0..all.len())
        .map(|_| {
            printed
                .recv_timeout(Duration::from_mins(1))
                .expect("it goes on")
        })
        .collect();
    assert_eq!(found, all);
    printing.kill().expect("it runs");
    printing.wait().expect("it was a child");

    // Ann was told of the last one, and until then of the conversation whenever it changed before she was away.
    let mut feed = host
        .follow("/v1/me/feed", &host.tokens[0], feed_id.as_ref())
        .await;
    let end = loop {
        let said = feed.next().await.expect("the feed goes on");
        fed.hear(&said);
        let path = format!(
            "/v1/inbox?min_position={}",
            said.json()["position"].as_str().expect("a position")
        );
        let asked = host
            .client
            .get(host.url(&path))
            .bearer_auth(&host.tokens[0]);
        let inbox: Value = asked
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        if said.id.is_some() && inbox["items"][0]["last_message"]["text"] == "the last one" {
            break inbox;
        }
    };
    assert_eq!(end["items"].as_array().map(Vec::len), Some(1));
    let mut seen = std::collections::BTreeSet::new();
    for told in &fed.whole {
        let told = (told["view"].to_string(), told["position"].to_string());
        assert!(seen.insert(told), "told twice");
    }
    assert!(server.stop().success());
}

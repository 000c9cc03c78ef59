//! The service's store goes away under load, killed and then hanging, and comes back: what callers are told meanwhile, and
//! that the log and the views are afterwards what was acknowledged.
//!
//! How long it is away is `DOORSTEP_OUTAGE_S`, in seconds. What was measured is printed as one line of JSON a round
//! (`--nocapture`); none of it is asserted but that memory stays bounded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::program::{self, Server};
use tokio::sync::watch;

/// Longer than any of this takes on a machine that does other things as well.
const LONG: Duration = Duration::from_mins(5);
/// How long the store is away unless it is said.
const OUTAGE: Duration = Duration::from_secs(3);
/// Callers at once, each of them a member who writes to another.
const CALLERS: u64 = 16;
/// Between two requests of one caller at least: no more than a member may ask for.
const PACE: Duration = Duration::from_millis(15);
/// How much more memory the service may have at the end of an outage than before it.
const GROWTH_KIB_MAX: u64 = 128 * 1024;

/// What is known of the store when a request is made or answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It is there, or the service may not have noticed yet that it is not.
    Other,
    /// It is away for the so many-th time, and the service has said so.
    Away(usize),
}

/// `doorstep store`, killed and started again over the same log and address.
struct Store {
    data: PathBuf,
    address: String,
    running: Option<Server>,
}

impl Store {
    fn new(data: &Path) -> Self {
        let mut store = Self {
            data: data.to_owned(),
            address: tests::cluster::address().to_string(),
            running: None,
        };
        store.start();
        store
    }

    fn start(&mut self) {
        let mut command = program::doorstep(["store", "--listen", &self.address, "--data"]);
        command.arg(&self.data);
        self.running = Some(Server::spawn(command, &self.data));
    }

    fn signal(&self, signal: Signal) {
        let id = self.running.as_ref().expect("it runs").id();
        let id = i32::try_from(id).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), signal).expect("it runs");
    }
}

/// How an outage begins and ends.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// The process is killed: its connections are closed.
    Killed,
    /// The process is stopped: its connections stay open, new ones too, and nothing is answered.
    Hanging,
}

impl Outage {
    fn begins(self, store: &mut Store) {
        match self {
            Self::Killed => store.running.take().expect("it runs").kill(),
            Self::Hanging => store.signal(Signal::STOP),
        }
    }

    fn ends(self, store: &mut Store) {
        match self {
            Self::Killed => store.start(),
            Self::Hanging => store.signal(Signal::CONT),
        }
    }
}

/// What all callers were told.
#[derive(Default)]
struct Told {
    /// By the key of a command, the number of the message that was acknowledged.
    sent: Mutex<BTreeMap<String, u64>>,
    /// How many other answers there were, by their codes.
    refused: Mutex<BTreeMap<String, u64>>,
    /// How long the answers took that were asked for and given while the store was known to be away.
    away: Mutex<Vec<Duration>>,
    /// Rises with every answer.
    answers: watch::Sender<u64>,
}

impl Told {
    fn sent(&self) -> usize {
        self.sent.lock().expect("nobody panics with it").len()
    }

    /// How many messages of one caller are acknowledged.
    fn sent_by(&self, caller: u64) -> u64 {
        let from = format!("from-{caller}-");
        let sent = self.sent.lock().expect("nobody panics with it");
        let own = sent.keys().filter(|key| key.starts_with(&from));
        u64::try_from(own.count()).expect("a number")
    }

    fn refused(&self) -> BTreeMap<String, u64> {
        self.refused.lock().expect("nobody panics with it").clone()
    }

    fn away(&self) -> usize {
        self.away.lock().expect("nobody panics with it").len()
    }

    /// Waits until this is so; looks at every answer.
    async fn until(&self, so: impl Fn() -> bool) {
        let mut answers = self.answers.subscribe();
        let waited = tokio::time::timeout(LONG, answers.wait_for(|_| so())).await;
        waited.expect("in time").expect("they ask");
    }
}

/// Sends one message after the other until it is told to stop, each until it is acknowledged.
async fn calls(
    (url, token): (String, String),
    caller: u64,
    told: Arc<Told>,
    phase: watch::Receiver<Phase>,
    stop: watch::Receiver<bool>,
) {
    let client = Client::new();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut open, mut begun) = (false, false);
    let mut message = 0;
    while open || !*stop.borrow() {
        pace.tick().await;
        let key = format!("from-{caller}-{message}");
        let (before, asked) = (*phase.borrow(), Instant::now());
        let answer = client
            .post(format!("{url}/v1/messages"))
            .bearer_auth(&token)
            .header("Idempotency-Key", &key)
            .json(&json!({"to": format!("reader-{caller}"), "text": format!("{message}")}))
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let answer: Value = answer.json().await.expect("JSON");
        let (after, took) = (*phase.borrow(), asked.elapsed());
        let known_away = before == after && before != Phase::Other;
        if status == StatusCode::CREATED {
            assert!(!known_away, "there is nobody to acknowledge it");
            let number = answer["number"].as_u64().expect("a number");
            let mut sent = told.sent.lock().expect("nobody panics with it");
            assert!(sent.insert(key, number).is_none());
            message += 1;
            (open, begun) = (false, false);
        } else {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
            let code = answer["code"].as_str().expect("a code");
            if known_away {
                // Nothing is begun that could not end; of what was begun before nobody knows.
                assert!(
                    code == "store_unavailable" || begun && code == "outcome_unknown",
                    "{answer}"
                );
                let mut away = told.away.lock().expect("nobody panics with it");
                away.push(took);
            } else {
                let known = ["store_unavailable", "outcome_unknown"];
                assert!(known.contains(&code), "{answer}");
            }
            let mut refused = told.refused.lock().expect("nobody panics with it");
            *refused.entry(code.to_owned()).or_default() += 1;
            open = true;
            begun |= code == "outcome_unknown";
        }
        told.answers.send_modify(|answers| *answers += 1);
    }
}

/// Registers the callers and their readers, friends in pairs.
async fn befriend(server: &Server) {
    let (client, host) = (Client::new(), server.token("host", "service"));
    let put = async |path: String, body: Option<Value>| {
        let asked = client.put(format!("{}{path}", server.url));
        let asked = asked.bearer_auth(&host);
        let asked = match body {
            Some(body) => asked.json(&body),
            None => asked,
        };
        let answer = asked.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    };
    for caller in 0..CALLERS {
        let pair = [format!("caller-{caller}"), format!("reader-{caller}")];
        for one in &pair {
            let path = format!("/v1/members/{one}");
            put(path, Some(json!({"age_band": "adult"}))).await;
        }
        for [one, other] in [[0, 1], [1, 0]] {
            let path = format!("/v1/members/{}/follows/{}", pair[one], pair[other]);
            put(path, None).await;
        }
    }
}

/// Whoever asks for something else while the store is away has an answer of a view, or is told of the store.
async fn others_are_told(url: &str, tokens: &BTreeMap<&str, String>) {
    let client = Client::new();
    for (role, path) in [
        ("member", "/v1/inbox"),
        ("member", "/v1/unread"),
        ("auditor", "/v1/events"),
        ("auditor", "/v1/audit/members/reader-0/requests"),
        ("operator", "/v1/views"),
        ("service", "/v1/policy"),
    ] {
        let asked = client
            .get(format!("{url}{path}"))
            .bearer_auth(&tokens[role]);
        let answer = asked.send().await.expect("an answer");
        let status = answer.status();
        let answer: Value = answer.json().await.expect("JSON");
        let of_a_view = status == StatusCode::OK;
        let told = (status.as_u16(), &answer["code"]) == (503, &json!("store_unavailable"));
        assert!(of_a_view || told, "{path}: {status} {answer}");
    }
}

/// What was acknowledged before has its first outcome, or is told of the store; it never fails otherwise.
async fn repeated_are_told((url, token): (&str, &str), caller: u64, messages: u64) {
    let client = Client::new();
    for message in 0..messages {
        let answer = client
            .post(format!("{url}/v1/messages"))
            .bearer_auth(token)
            .header("Idempotency-Key", format!("from-{caller}-{message}"))
            .json(&json!({"to": format!("reader-{caller}"), "text": format!("{message}")}))
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let answer: Value = answer.json().await.expect("JSON");
        let first = status == StatusCode::CREATED && answer["number"] == message + 1;
        let codes = ["store_unavailable", "outcome_unknown"];
        let told = answer["code"]
            .as_str()
            .is_some_and(|code| codes.contains(&code));
        assert!(
            first || status == StatusCode::SERVICE_UNAVAILABLE && told,
            "{status} {answer}"
        );
    }
}

/// Waits until the service says so of its store.
async fn ready_says(url: &str, store: &str) {
    let client = Client::new();
    let waited = tokio::time::timeout(LONG, async {
        loop {
            let ready = client.get(format!("{url}/readyz")).send().await;
            let ready: Value = ready.expect("an answer").json().await.expect("JSON");
            if ready["store"] == store {
                return;
            }
        }
    });
    waited.await.expect("it is told");
}

/// The memory of a process, in KiB.
fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.expect("its memory").split_whitespace().nth(1);
    words.and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Every acknowledged message is in the log once, and the views are what the log gives.
async fn nothing_is_lost(server: &Server, told: &Told) {
    let client = Client::new();
    let (host, operator) = (
        server.token("host", "service"),
        server.token("ole", "operator"),
    );
    let lines = client
        .get(format!("{}/v1/events?type=message-sent", server.url))
        .bearer_auth(&host)
        .header("Accept", "application/x-ndjson")
        .send();
    let lines = lines.await.expect("an answer").text().await.expect("lines");
    let mut stored = BTreeMap::new();
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let key = event["command_id"].as_str().expect("an id").to_owned();
        let number = event["data"]["number"].as_u64().expect("a number");
        assert!(stored.insert(key, number).is_none(), "once: {line}");
    }
    assert_eq!(stored, *told.sent.lock().expect("nobody panics with it"));
    let at = ["--url", &server.url, "--token", &operator];
    let views = program::run([&["views", "list"][..], &at].concat());
    let views = views.done().json();
    let views = views["items"].as_array().expect("a list").clone();
    assert!(!views.is_empty());
    for view in views {
        let name = view["name"].as_str().expect("a name");
        program::run([&["views", "verify", name][..], &at].concat()).done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_under_load_costs_clear_answers_and_nothing_else() {
    let length = std::env::var("DOORSTEP_OUTAGE_S").map_or(OUTAGE, |seconds| {
        Duration::from_secs(seconds.parse().expect("seconds"))
    });
    let (below, data) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let mut store = Store::new(below.path());
    let at = format!("esdb://{}?tls=false", store.address);
    let server = Server::start(data.path(), &["--store", &at]);
    befriend(&server).await;
    let told = Arc::new(Told::default());
    let (phases, phase) = watch::channel(Phase::Other);
    let (stop, stopped) = watch::channel(false);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let token = server.token(&format!("caller-{caller}"), "member");
            let way = (server.url.clone(), token);
            let (told, phase, stopped) = (Arc::clone(&told), phase.clone(), stopped.clone());
            tokio::spawn(calls(way, caller, told, phase, stopped))
        })
        .collect();
    // None of them was seen before: whether the member is one is looked up.
    let roles = ["member", "auditor", "operator", "service"];
    let others = roles.map(|role| (role, server.token("reader-0", role)));
    let others = BTreeMap::from(others);
    let each = usize::try_from(CALLERS).expect("a number") * 5;
    for (nth, outage) in [Outage::Killed, Outage::Hanging].into_iter().enumerate() {
        let written = told.sent();
        told.until(|| told.sent() >= written + each).await;
        let before_kib = resident_kib(server.id());
        let (refused, sent) = (told.refused(), told.sent());
        outage.begins(&mut store);
        ready_says(&server.url, "unavailable").await;
        phases.send_replace(Phase::Away(nth));
        let (begun, asked) = (Instant::now(), told.away());
        others_are_told(&server.url, &others).await;
        let first = server.token("caller-0", "member");
        let acknowledged = told.sent_by(0);
        repeated_are_told((&server.url, &first), 0, acknowledged.min(20)).await;
        told.until(|| begun.elapsed() >= length && told.away() >= asked + each)
            .await;
        let after_kib = resident_kib(server.id());
        phases.send_replace(Phase::Other);
        outage.ends(&mut store);
        let (back, written) = (Instant::now(), told.sent());
        told.until(|| told.sent() > written).await;
        let first = back.elapsed();
        told.until(|| told.sent() >= written + each).await;
        assert!(
            after_kib <= before_kib + GROWTH_KIB_MAX,
            "{before_kib} KiB before it, {after_kib} KiB at its end"
        );
        let mut took = told.away.lock().expect("nobody panics with it")[asked..].to_vec();
        took.sort_unstable();
        let mut codes = told.refused();
        for (code, count) in &mut codes {
            *count -= refused.get(code).copied().unwrap_or_default();
        }
        let share = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        let measured = json!({
            "outage": format!("{outage:?}"),
            "seconds": length.as_secs(),
            "acknowledged": told.sent() - sent,
            "refused": codes,
            "refused_while_away": took.len(),
            "away_p50_ms": share(50),
            "away_p99_ms": share(99),
            "first_acknowledged_after_ms": first.as_secs_f64() * 1e3,
            "rss_before_kib": before_kib,
            "rss_at_end_kib": after_kib,
        });
        println!("{measured}");
    }
    stop.send_replace(true);
    for caller in callers {
        caller.await.expect("a caller");
    }
    nothing_is_lost(&server, &told).await;
    assert!(server.stop().success());
}

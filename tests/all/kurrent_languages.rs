//! Who builds a read view in another language reads the log of a service with the client that they have: Python, Node.
//!
//! Over TLS, with the role `auditor`: default readings, filters, backwards, one stream, a subscription that goes on; and the
//! examples of `examples/`, held against what `GET /v1/events` tells.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::kurrent::{Certified, door};
use tests::languages;
use tests::program::Server;

/// A service with a door behind TLS.
struct Host {
    server: Server,
    http: reqwest::Client,
    service: String,
    /// What a client connects with.
    url: String,
    _folder: tempfile::TempDir,
}

fn at_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

impl Host {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certified = Certified::new(folder.path(), "door");
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (cert, key) = (text(&certified.cert), text(&certified.key));
        let more = [
            &["--kurrent-listen", "127.0.0.1:0"][..],
            &["--kurrent-tls-cert", &cert, "--kurrent-tls-key", &key],
        ];
        let server = Server::start(&folder.path().join("data"), &more.concat());
        let auditor = server.token("ada", "auditor");
        let at = door(&server).replace("esdb://", &format!("kurrentdb://any:{auditor}@"));
        Self {
            service: server.token("host", "service"),
            url: format!("{at}?tlsCaFile={}", certified.authority.display()),
            http: reqwest::Client::new(),
            server,
            _folder: folder,
        }
    }

    async fn put(&self, path: &str, body: Value) {
        let request = self.http.put(format!("{}{path}", self.server.url));
        let request = request.bearer_auth(&self.service).json(&body);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }

    async fn register(&self, member: &str) {
        let path = format!("/v1/members/{member}");
        self.put(&path, json!({"age_band": "adult"})).await;
    }

    async fn events(&self) -> Vec<Value> {
        let url = format!("{}/v1/events?limit=200", self.server.url);
        let page = self.http.get(url).bearer_auth(&self.service);
        let page: Value = page.send().await.unwrap().json().await.unwrap();
        assert!(page["next_cursor"].is_null(), "all on one page");
        page["items"].as_array().unwrap().clone()
    }
}

fn ids<'a>(events: impl Iterator<Item = &'a Value>) -> Vec<&'a Value> {
    events.map(|event| &event["event_id"]).collect()
}

/// A program whose lines of JSON are read as they come; killed when dropped.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn of(mut command: Command, url: &str) -> Self {
        let command = command.arg(url).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> Value {
        let line = self.lines.next().expect("a line").expect("UTF-8");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_clients_read_filter_and_follow_a_log() {
    let host = Host::start();
    host.register("ann").await;
    host.register("bob").await;
    let scripts = [
        languages::python(&at_root("tests/fixtures/kurrent/reads.py")),
        languages::node(&at_root("tests/fixtures/kurrent/reads.mjs")),
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let name = format!("{:?}", script.get_program());
        let events = host.events().await;
        let mut running = Running::of(script, &host.url);
        let told = running.line();
        assert_eq!(told["all"], json!(ids(events.iter())), "{name}");
        let backwards = ids(events.iter().rev());
        assert_eq!(told["backwards"], json!(backwards), "{name}");
        let of_ann = events
            .iter()
            .filter(|event| event["stream"] == "member-ann");
        assert_eq!(told["stream"], json!(ids(of_ann)), "{name}");
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        let members = events
            .iter()
            .filter(|event| text(event, "stream").starts_with("member-"));
        assert_eq!(told["by_stream"], json!(ids(members)), "{name}");
        let registered = events
            .iter()
            .filter(|event| text(event, "type").starts_with("member-registered"));
        assert_eq!(told["by_type"], json!(ids(registered)), "{name}");
        host.register(&format!("later-{number}")).await;
        let came = host.events().await;
        assert_eq!(running.line(), came.last().unwrap()["event_id"], "{name}");
    }
    assert!(host.server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_in_other_languages_are_views_of_the_log() {
    let host = Host::start();
    for member in ["ann", "bob", "cat"] {
        host.register(member).await;
    }
    let policy = host.http.get(format!("{}/v1/policy", host.server.url));
    let policy = policy.bearer_auth(&host.service).send().await.unwrap();
    let policy: Value = policy.json().await.unwrap();
    let mut rules = policy["rules"].clone();
    rules["default_audience_adult"] = json!("everyone");
    host.put("/v1/policy", rules).await;
    for (from, to) in [("bob", "ann"), ("bob", "cat"), ("cat", "ann")] {
        let message = host.http.post(format!("{}/v1/messages", host.server.url));
        let message = message.bearer_auth(host.server.token(from, "member"));
        let message = message.json(&json!({"to": to, "text": "hi"}));
        assert_eq!(message.send().await.unwrap().status(), 201);
    }
    let mut opened: BTreeMap<String, u64> = BTreeMap::new();
    for event in host.events().await {
        if event["type"]
            .as_str()
            .unwrap()
            .starts_with("request-opened")
        {
            let from = event["data"]["from"].as_str().unwrap().to_owned();
            *opened.entry(from).or_default() += 1;
        }
    }
    assert_eq!(json!(opened), json!({"bob": 2, "cat": 1}));
    for example in [
        languages::python(&at_root("examples/python/requests_opened.py")),
        languages::node(&at_root("examples/node/requests_opened.mjs")),
    ] {
        let name = format!("{:?}", example.get_program());
        assert_eq!(
            Running::of(example, &host.url).line(),
            json!(opened),
            "{name}"
        );
    }
    assert!(host.server.stop().success());
}

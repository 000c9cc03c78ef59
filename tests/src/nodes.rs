//! Several services over one log: real processes with folders of their own and the same signing key, beside one
//! `doorstep store`.
//!
//! A node is killed as `kill -9` does and started again in its folder. Whoever asks one that is down, or is told to come
//! again, goes on to the next with the same key, as a client behind a balancer does. Nothing here waits for a time to pass.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::{KeySet, Role};
use domain::ids::ConversationId;
use doorstep::line::{At, Line, LineCommand};
use kurrent::client::{Connection, KurrentStore};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::program::{Server, doorstep};

/// How long one answer may take on a machine that does much else.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);
/// How long an answer may take over all nodes.
const SOME_ANSWER_WITHIN: Duration = Duration::from_mins(5);

/// A small reproducible chance.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The chance of a seed, and of what it is for.
    pub fn of(seed: u64, what: u64) -> Self {
        let mut chance = Self(seed ^ what.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        chance.below(2);
        chance
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).expect("below a bound")
    }
}

/// What a command was answered, without what is the request's alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The body, without the request's id.
    pub body: Value,
    /// How far the log reached with it.
    pub position: Option<u64>,
}

/// One service.
struct Node {
    data: PathBuf,
    /// Where it answered last.
    url: Mutex<String>,
    server: Mutex<Option<Server>>,
}

/// The services, and the log that they share.
pub struct Nodes {
    /// The log's connection string.
    log: String,
    all: Vec<Node>,
    keys: KeySet,
    key_file: PathBuf,
    client: Client,
    store: Option<Server>,
    /// After the processes, so that it goes last.
    dir: TempDir,
}

impl Nodes {
    /// So many over a new log, whose store gets these arguments besides.
    pub async fn start(count: usize, store: &[&str]) -> Arc<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let key_file = dir.path().join("auth.key");
        KeySet::create_if_missing(&key_file).expect("a key");
        let keys = KeySet::open(&key_file, None).expect("the key");
        let log = dir.path().join("log");
        let mut command = doorstep(["store", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(&log).args(store);
        let store = spawn_blocking(move || Server::spawn(command, &log));
        let store = store.await.expect("the log is served");
        let all = (0..count).map(|number| Node {
            data: dir.path().join(format!("node-{number}")),
            url: Mutex::default(),
            server: Mutex::default(),
        });
        let client = Client::builder().timeout(ANSWER_WITHIN);
        let nodes = Arc::new(Self {
            log: store.url.clone(),
            all: all.collect(),
            keys,
            key_file,
            client: client.build().expect("a client"),
            store: Some(store),
            dir,
        });
        for number in 0..count {
            nodes.start_one(number).await;
        }
        nodes
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The log, by an adapter of one's own.
    pub async fn open_log(&self) -> KurrentStore {
        let connection = Connection::parse(&self.log).expect("a connection string");
        let options = kurrent::client::Options {
            schema_level: domain::codec::LEVEL,
            ..kurrent::client::Options::default()
        };
        let opened = KurrentStore::open(connection, options).await;
        opened.expect("the log")
    }

    /// A folder of this name beside those of the nodes.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The folder of a node.
    pub fn data(&self, number: usize) -> &Path {
        &self.all[number].data
    }

    /// Starts one in its folder.
    pub async fn start_one(self: &Arc<Self>, number: usize) {
        let this = Arc::clone(self);
        let started = spawn_blocking(move || {
            let node = &this.all[number];
            let key = this.key_file.to_string_lossy();
            let server = Server::start(&node.data, &["--store", &this.log, "--auth-key", &key]);
            node.url.lock().expect("whole").clone_from(&server.url);
            *node.server.lock().expect("whole") = Some(server);
        });
        started.await.expect("it starts");
    }

    /// Kills one, whatever it is at.
    pub async fn kill_one(self: &Arc<Self>, number: usize) {
        let this = Arc::clone(self);
        let killed = spawn_blocking(move || {
            let server = this.all[number].server.lock().expect("whole").take();
            server.expect("it runs").kill();
        });
        killed.await.expect("it is killed");
    }

    /// Stops all nodes in order; the log is served on.
    pub async fn stop(self: &Arc<Self>) {
        for number in 0..self.count() {
            let this = Arc::clone(self);
            let stopped = spawn_blocking(move || {
                let server = this.all[number].server.lock().expect("whole").take();
                server.expect("it runs").stop()
            });
            assert!(stopped.await.expect("it stops").success());
        }
    }

    /// What the processes said on standard error, for a test that failed.
    pub fn words(&self) -> String {
        let mut words = String::new();
        for (number, node) in self.all.iter().enumerate() {
            let server = node.server.lock().expect("whole");
            let said = server.as_ref().map(Server::words).unwrap_or_default();
            let _ = write!(words, "--- node {number}\n{said}");
        }
        let store = self.store.as_ref().map(Server::words).unwrap_or_default();
        let _ = write!(words, "--- store\n{store}");
        words
    }

    /// A token of a member's backend, which may give a command its time.
    fn token(&self, sub: &str) -> String {
        let roles = [Role::Member, Role::Service];
        self.keys.sign(sub, &roles, 3600).expect("a token")
    }

    /// Sends a line to a node, and to the next one where that has no answer to give, until it is answered. How many
    /// times it was sent stands beside the answer.
    pub async fn ask(&self, line: &Line, first: usize) -> (Answered, usize) {
        let asked = tokio::time::timeout(SOME_ANSWER_WITHIN, async {
            for turn in 0.. {
                let number = (first + turn) % self.count();
                if let Some(answered) = self.ask_one(line, number).await {
                    return (answered, turn + 1);
                }
                tokio::task::yield_now().await;
            }
            unreachable!("it is asked for ever")
        });
        let Ok(answered) = asked.await else {
            panic!("no answer to {line:?}\n{}", self.words());
        };
        answered
    }

    /// What one node answers; none where it is down, or says to come again.
    async fn ask_one(&self, line: &Line, number: usize) -> Option<Answered> {
        let url = self.all[number].url.lock().expect("whole").clone();
        let answer = self.request(&url, line).send().await.ok()?;
        let status = answer.status();
        let position = answer.headers().get("Doorstep-Position").cloned();
        let mut body: Value = answer.json().await.ok()?;
        if status.is_server_error() {
            assert_eq!(status.as_u16(), 503, "{line:?}: {body}");
            return None;
        }
        if let Some(body) = body.as_object_mut() {
            body.remove("request_id");
        }
        let position = position.map(|position| {
            let told = position.to_str().expect("a number");
            told.parse().expect("a number")
        });
        Some(Answered {
            status: status.as_u16(),
            body,
            position,
        })
    }

    fn request(&self, url: &str, line: &Line) -> RequestBuilder {
        let (method, path, body) = route(&line.command);
        let actor = line.envelope().actor;
        let time = |at: At| serde_json::to_value(at).expect("a time");
        let at = time(line.at);
        self.client
            .request(method, format!("{url}{path}"))
            .bearer_auth(self.token(actor.as_str()))
            .header("Idempotency-Key", line.id.as_str())
            .header("Doorstep-At", at.as_str().expect("a text"))
            .json(&body)
    }
}

/// The route of a line of the college workload. The fields of a line are those of its route.
fn route(command: &LineCommand) -> (Method, String, Value) {
    let mut body = serde_json::to_value(command).expect("a line");
    let fields = body.as_object_mut().expect("an object");
    let name = fields.remove("command").expect("a name");
    let member = fields.remove("member").expect("who acts");
    let member = member.as_str().expect("an id");
    let (method, path) = match name.as_str().expect("a name") {
        "RegisterMember" => (Method::PUT, format!("/v1/members/{member}")),
        "ChangeDmSetting" => (Method::PUT, "/v1/me/dm-setting".to_owned()),
        "SendMessage" => (Method::POST, "/v1/messages".to_owned()),
        "ReportMessage" => {
            let with = fields.remove("with").expect("a member");
            let of = |id: &str| domain::MemberId::new(id).expect("an id");
            let conversation = ConversationId::of(&of(member), &of(with.as_str().expect("an id")));
            let conversation = conversation.to_string();
            fields.insert("conversation_id".to_owned(), conversation.into());
            (Method::POST, "/v1/reports".to_owned())
        }
        other => panic!("{other} is none of the college's"),
    };
    (method, path, body)
}

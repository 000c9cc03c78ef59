//! A whole service over HTTP: a real store in a folder of its own, both sides, a listener on loopback, a real client.
//!
//! [`Door`] serves it; its words send requests as one member or role and give [`Reply`]s. What is in the log is read from
//! the store, never over HTTP. Time is the system's.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::problem::Code;
use api::{App, BackupPart, KeySet, Options, Role, ServeOptions, StoreCare, StoreState};
use commands::{CommandHandler, Mode};
use domain::policy::Rules;
use event_store::{EmbeddedStore, EventStore, Position};
use futures::future::BoxFuture;
use projections::{DomainCodec, OwnView, ReadSide};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tables::View;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::counted::Counted;
use crate::front::Fronted;
use crate::stuck::Stuck;

/// A service that listens.
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its log.
    pub store: Arc<dyn EventStore>,
    /// Its keys.
    pub keys: Arc<KeySet>,
    /// Its read side.
    pub reads: ReadSide,
    /// The client that all requests go through.
    pub client: reqwest::Client,
    /// Its write side.
    pub commands: CommandHandler,
    /// What the interface reads of the log by itself; views and the write side read it on their own.
    pub read: Arc<Fronted<Counted>>,
    shutdown: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
    dir: Arc<TempDir>,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The bytes of the body.
    pub bytes: Vec<u8>,
}

impl Reply {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The code of an error; empty where it is none.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and code, as the table of errors has them.
    pub fn failure(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The position of the answer, as it was shown.
    pub fn position(&self) -> String {
        self.headers["doorstep-position"]
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// The same answer; panics with it unless it has this status.
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }
}

/// The care of the embedded store, as the program has it.
struct Care {
    store: EmbeddedStore,
}

#[async_trait::async_trait]
impl StoreCare for Care {
    async fn verify(&self) -> anyhow::Result<Value> {
        let verified = self.store.verify()?;
        Ok(json!({"ok": true, "events": verified.events}))
    }

    async fn backup(&self, files: mpsc::Sender<BackupPart>) -> anyhow::Result<()> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir()?;
            let copy = folder.path().join("copy");
            event_store::backup(&store, &copy)?;
            send_folder(&copy, &files)
        })
        .await?
    }

    fn free_bytes(&self) -> Option<u64> {
        Some(self.store.free_bytes())
    }

    fn state(&self) -> StoreState {
        StoreState::Writable
    }
}

/// Sends every file of a folder as parts, sorted by path: a backup that was written there. Blocks.
fn send_folder(folder: &Path, parts: &mpsc::Sender<BackupPart>) -> anyhow::Result<()> {
    let mut waiting = vec![PathBuf::new()];
    let mut files = Vec::new();
    while let Some(inner) = waiting.pop() {
        for entry in std::fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                waiting.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    for path in files {
        let mut file = std::fs::File::open(folder.join(&path))?;
        let mut left = file.metadata()?.len();
        parts.blocking_send(BackupPart::File { path, bytes: left })?;
        while left > 0 {
            let mut bytes = vec![0; usize::try_from(left.min(1 << 18)).unwrap()];
            file.read_exact(&mut bytes)?;
            left -= bytes.len() as u64;
            parts.blocking_send(BackupPart::Bytes(bytes.into()))?;
        }
    }
    Ok(())
}

/// How a test's service differs from the usual one.
pub struct Setting {
    /// The interface's options.
    pub api: Options,
    /// The bounds of serving.
    pub serve: ServeOptions,
    /// The store's options.
    pub store: event_store::Options,
    /// The write side's options: what is changed of the usual ones.
    pub commands: fn(&mut commands::Options),
    /// The signing keys' file; the data folder's own when absent.
    pub keys: Option<PathBuf>,
    /// The views of one's own; the program's when nothing else is said.
    pub own: Vec<Arc<dyn OwnView>>,
    /// The code of the views.
    pub views: fn() -> Vec<Arc<dyn View<DomainCodec>>>,
    /// Keeps events from the write side.
    pub stuck: Option<Stuck>,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            api: Options::default(),
            serve: ServeOptions::default(),
            store: crate::commands::store_options(),
            commands: |_| {},
            keys: None,
            own: projections::own_views(),
            views: projections::views,
            stuck: None,
        }
    }
}

impl Door {
    /// A service over a new log.
    pub async fn open() -> Self {
        Self::open_with(Setting::default()).await
    }

    /// The same, set otherwise.
    pub async fn open_with(setting: Setting) -> Self {
        Self::serve(Arc::new(tempfile::tempdir().unwrap()), setting).await
    }

    async fn serve(dir: Arc<TempDir>, setting: Setting) -> Self {
        let data_key = dir.path().join("auth.key");
        KeySet::create_if_missing(&data_key).unwrap();
        let file = setting.keys.as_deref().unwrap_or(&data_key);
        let keys = Arc::new(KeySet::open(file, Some(&data_key)).unwrap());
        // As the program does: before anything counts.
        api::metering::install();
        let mut store_options = setting.store;
        store_options.observer = Some(api::metering::batches());
        let embedded = EmbeddedStore::open(dir.path(), store_options).unwrap();
        let store: Arc<dyn EventStore> = Arc::new(embedded.clone());
        let rules = Arc::new(Rules::default());
        let mut options =
            commands::Options::new(Some(dir.path().join("tables")), Mode::Service, rules);
        options.filter_bytes = 1 << 20;
        (setting.commands)(&mut options);
        let mut written = Arc::clone(&store);
        if let Some(stuck) = setting.stuck {
            written = Fronted::over(written, stuck);
        }
        let commands = CommandHandler::start(written, options).await.unwrap();
        let mut views = projections::Options::in_dir(dir.path().join("views"));
        views.own = setting.own;
        let reads = ReadSide::open_with(views, Arc::clone(&store), (setting.views)())
            .await
            .unwrap();
        for view in reads.names() {
            reads
                .wait(view, store.durable_position(), Duration::from_secs(30))
                .await
                .unwrap();
        }
        let read = Counted::over(Arc::clone(&store));
        let app = App {
            commands: commands.clone(),
            reads: reads.clone(),
            store: Arc::clone(&read) as Arc<dyn EventStore>,
            care: Arc::new(Care { store: embedded }),
            keys: Arc::clone(&keys),
            options: setting.api,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel();
        let serving = tokio::spawn(api::serve(listener, app, setting.serve, async move {
            let _ = stopped.await;
        }));
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let shutdown = Some(shutdown);
        Door {
            address,
            store,
            keys,
            reads,
            client,
            commands,
            read,
            shutdown,
            serving: Some(serving),
            dir,
        }
    }

    /// The data folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asks the service to stop, without waiting for it.
    pub fn begin_stop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
    }

    /// Stops in order, as the program does, and gives the folder.
    pub async fn stop(mut self) -> Arc<TempDir> {
        self.begin_stop();
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap().unwrap();
        }
        self.commands.stop().await;
        self.reads.stop().await.unwrap();
        self.dir
    }

    /// Serves a folder again that was stopped.
    pub async fn serve_again(dir: Arc<TempDir>) -> Self {
        Self::serve(dir, Setting::default()).await
    }

    /// Stops in order and serves the same folder again.
    pub async fn reopen(self, setting: Setting) -> Self {
        let dir = self.stop().await;
        Self::serve(dir, setting).await
    }

    /// A token with these roles.
    pub fn token(&self, sub: &str, roles: &[Role]) -> String {
        self.keys.sign(sub, roles, 3600).unwrap()
    }

    /// A member's token.
    pub fn member(&self, sub: &str) -> String {
        self.token(sub, &[Role::Member])
    }

    /// The host's token.
    pub fn service(&self) -> String {
        self.token("host", &[Role::Service])
    }

    /// A request in the making, without a token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    /// Sends a request with a token and a JSON body, unless that is null.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: Value) -> Reply {
        let request = self.request(method, path).bearer_auth(token);
        reply(if body.is_null() {
            request
        } else {
            request.json(&body)
        })
        .await
    }

    /// `GET` with a token.
    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.call(Method::GET, path, token, Value::Null).await
    }

    /// `PUT` with a token.
    pub async fn put(&self, path: &str, token: &str, body: Value) -> Reply {
        self.call(Method::PUT, path, token, body).await
    }

    /// `POST` with a token.
    pub async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.call(Method::POST, path, token, body).await
    }

    /// `DELETE` with a token.
    pub async fn delete(&self, path: &str, token: &str) -> Reply {
        self.call(Method::DELETE, path, token, Value::Null).await
    }

    /// Registers an adult who takes messages from everyone.
    pub async fn register(&self, id: &str) {
        self.register_as(id, "adult").await;
        self.audience(id, "everyone").await;
    }

    /// Registers a member of this age band, a year ago.
    pub async fn register_as(&self, id: &str, age_band: &str) {
        let body = json!({"age_band": age_band, "registered_at": "2024-01-01T00:00:00Z"});
        let _ = self
            .put(&format!("/v1/members/{id}"), &self.service(), body)
            .await
            .expect(200);
    }

    /// Chooses a member's audience.
    pub async fn audience(&self, id: &str, audience: &str) {
        let body = json!({"audience": audience});
        let _ = self
            .put("/v1/me/dm-setting", &self.member(id), body)
            .await
            .expect(200);
    }

    /// Sends a message and gives the answer, whatever it is.
    pub async fn send(&self, from: &str, to: &str, text: &str) -> Reply {
        self.post(
            "/v1/messages",
            &self.member(from),
            json!({"to": to, "text": text}),
        )
        .await
    }

    /// Sends a message that is taken, and gives the conversation's id.
    pub async fn sent(&self, from: &str, to: &str, text: &str) -> String {
        let reply = self.send(from, to, text).await.expect(201);
        reply.json()["conversation_id"].as_str().unwrap().to_owned()
    }

    /// The end of the log, once what follows from earlier commands has happened. A write side that has ended leaves the
    /// log as it is.
    pub async fn position(&self) -> Position {
        if self.commands.ended().is_none() {
            let _ = self.commands.drain_reactors().await;
        }
        self.store.durable_position()
    }

    /// Waits until every view has come to the end of the log.
    pub async fn views_at_the_end(&self) {
        let end = self.position().await;
        for view in self.reads.names() {
            self.reads
                .wait(view, end, Duration::from_secs(30))
                .await
                .unwrap();
        }
    }

    /// A member's list, standing at the end of the log.
    pub async fn list(&self, path: &str, member: &str) -> Value {
        self.views_at_the_end().await;
        self.get(path, &self.member(member))
            .await
            .expect(200)
            .json()
    }

    /// Expects that what `work` does leaves the log as it is.
    pub async fn unchanged<T>(&self, work: BoxFuture<'_, T>) -> T {
        let before = self.position().await;
        let outcome = work.await;
        assert_eq!(self.position().await, before, "the log changed");
        outcome
    }
}

/// Sends a request and reads the answer whole.
pub async fn reply(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply {
        status,
        headers,
        bytes: response.bytes().await.unwrap().to_vec(),
    }
}

/// Holds a problem to what every one promises: a detail that says more than the title, for a request that is malformed
/// the fields that are wrong, and nowhere the words of a parser or a name inside the program.
///
/// # Panics
/// When it keeps no such promise.
pub fn says_what_was_wrong(what: &str, problem: &Value) {
    let (title, detail) = (
        problem["title"].as_str().unwrap(),
        problem["detail"].as_str().unwrap(),
    );
    assert!(
        detail != title && detail.len() > 15,
        "{what}: the detail says nothing: {problem}"
    );
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    if matches!(problem["status"].as_u64(), Some(400 | 422)) {
        assert!(!errors.is_empty(), "{what}: no field is named: {problem}");
    }
    for error in &errors {
        let keys: Vec<&String> = error.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["code", "field", "message"], "{what}");
        for key in keys {
            assert_ne!(error[key], "", "{what}: {problem}");
        }
    }
    let text = problem.to_string();
    for inside in [
        "deserialize",
        "invalid digit",
        "invalid type",
        "invalid value",
        "variant",
        "struct ",
        "usize",
        "u64",
        "u32",
        "::",
        "Err(",
        "expected value",
    ] {
        assert!(!text.contains(inside), "{what} shows `{inside}`: {text}");
    }
}

/// A door with ann and bob, who has written to ann.
pub struct Scene {
    /// The service.
    pub door: Door,
    /// The conversation of the two.
    pub cid: String,
}

impl Scene {
    /// Opens it.
    pub async fn open() -> Self {
        let door = Door::open().await;
        for member in ["ann", "bob"] {
            door.register(member).await;
        }
        let cid = door.sent("bob", "ann", "hello").await;
        Scene { door, cid }
    }

    /// Sends and expects this failure and a log that stays as it is.
    pub async fn refuses(
        &self,
        what: &str,
        status: u16,
        code: Code,
        request: reqwest::RequestBuilder,
    ) -> Reply {
        let before = self.door.position().await;
        let reply = reply(request).await;
        assert_eq!(
            reply.failure(),
            (status, code.as_str().to_owned()),
            "{what}: {}",
            String::from_utf8_lossy(&reply.bytes)
        );
        assert_eq!(
            reply.headers["content-type"], "application/problem+json",
            "{what}"
        );
        let body = reply.json();
        assert_eq!(body["status"], status, "{what}");
        assert_eq!(
            body["type"],
            format!("urn:doorstep:problem:{}", code.as_str()),
            "{what}"
        );
        assert_eq!(
            body["request_id"],
            reply.headers["x-request-id"].to_str().unwrap(),
            "{what}"
        );
        says_what_was_wrong(what, &body);
        assert_eq!(
            self.door.position().await,
            before,
            "{what}: the log changed"
        );
        reply
    }

    /// A `POST` in the making, as a member.
    pub fn post(&self, path: &str, sub: &str) -> reqwest::RequestBuilder {
        self.door
            .request(Method::POST, path)
            .bearer_auth(self.door.member(sub))
    }

    /// A `GET` in the making, as ann.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.door
            .request(Method::GET, path)
            .bearer_auth(self.door.member("ann"))
    }
}

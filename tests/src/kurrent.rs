//! A log of ours behind KurrentDB's protocol, on a socket of its own, and the published client that speaks to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_store::{EmbeddedStore, EventStore};
use eventstore::{
    AppendToStreamOptions, Client, ClientSettings, Error, EventData, ReadAllOptions,
    ReadStreamOptions, ResolvedEvent, StreamState,
};
use kurrent::server::{self, Options};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::program::Server;

/// The published client of this connection string, which gives these credentials.
pub fn client(url: &str, credentials: &str) -> Client {
    let mut url = url.to_owned();
    if !credentials.is_empty() {
        url = url.replacen("://", &format!("://{credentials}@"), 1);
    }
    let settings: ClientSettings = url.parse().expect("a connection string");
    Client::new(settings).expect("a client")
}

/// Every event of the log, or as many as it was told before something failed.
pub async fn read_all(
    client: &Client,
    options: ReadAllOptions,
) -> Result<Vec<ResolvedEvent>, Error> {
    let mut reading = client.read_all(&options).await?;
    let mut events = Vec::new();
    while let Some(event) = reading.next().await? {
        events.push(event);
    }
    Ok(events)
}

/// Events of a stream, the same way.
pub async fn read_stream(
    client: &Client,
    name: &str,
    options: ReadStreamOptions,
) -> Result<Vec<ResolvedEvent>, Error> {
    let mut reading = client.read_stream(name, &options).await?;
    let mut events = Vec::new();
    while let Some(event) = reading.next().await? {
        events.push(event);
    }
    Ok(events)
}

/// The event of this number, as somebody appends it who knows nothing of Doorstep.
pub fn thing(number: u128) -> EventData {
    let data = serde_json::json!({ "number": number.to_string() });
    let event = EventData::json("thing-happened.v1", &data).expect("JSON");
    event.id(uuid::Uuid::from_u128(number))
}

/// Appends the event of this number, and tells its revision and position.
pub async fn append(
    client: &Client,
    name: &str,
    state: StreamState,
    number: u128,
) -> Result<(u64, u64), Error> {
    let options = AppendToStreamOptions::default().stream_state(state);
    let written = client
        .append_to_stream(name, &options, thing(number))
        .await?;
    Ok((written.next_expected_version, written.position.commit))
}

/// A served log.
pub struct Behind {
    /// The store below.
    pub store: Arc<dyn EventStore>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), server::ServeError>>,
    _dir: tempfile::TempDir,
}

impl Behind {
    /// Serves a log of its own.
    pub async fn open(options: Options) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = EmbeddedStore::open(dir.path(), event_store::Options::default());
        let store: Arc<dyn EventStore> = Arc::new(store.expect("a log"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = server::serve(listener, Arc::clone(&store), options, async {
            let _ = stopped.await;
        });
        Self {
            store,
            address,
            stop,
            served: tokio::spawn(serving),
            _dir: dir,
        }
    }

    /// The published client, which gives these credentials.
    pub fn client(&self, credentials: &str) -> Client {
        client(&format!("esdb://{}?tls=false", self.address), credentials)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells it to stop, and waits until it has, whatever its clients still hold open.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let served = self.served.await.expect("no panic");
        served.expect("it was served to the end");
    }
}

/// Where a service said that its door is.
pub fn door(server: &Server) -> String {
    let line = server.line_with(&["KurrentDB's protocol is spoken"]);
    let (_, url) = line.split_once("reading at ").expect("an address");
    url.trim().to_owned()
}

/// A certificate for this machine, of an authority of its own, in files.
pub struct Certified {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority's certificate.
    pub authority: PathBuf,
}

impl Certified {
    /// A new one, in files of this name.
    pub fn new(folder: &Path, name: &str) -> Self {
        let authority_key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        // A certificate whose issuer bears its own name passes for one that signed itself.
        let common = rcgen::DnType::CommonName;
        params
            .distinguished_name
            .push(common, "authority of a test");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("a certificate");
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]);
        let cert = params.expect("an address").signed_by(&key, &issuer);
        let file = |what: &str, pem: String| {
            let file = folder.join(format!("{name}.{what}"));
            std::fs::write(&file, pem).expect("a file");
            file
        };
        Self {
            cert: file("cert", cert.expect("a certificate").pem()),
            key: file("key", key.serialize_pem()),
            authority: file("authority", authority.pem()),
        }
    }
}

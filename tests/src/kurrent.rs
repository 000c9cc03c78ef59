//! A log of ours behind KurrentDB's protocol, on a socket of its own, and the published client that speaks to it.

use std::net::SocketAddr;
use std::sync::Arc;

use event_store::{EmbeddedStore, EventStore};
use eventstore::{Client, ClientSettings};
use kurrent::server::{self, Options};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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
        let at = if credentials.is_empty() {
            String::new()
        } else {
            format!("{credentials}@")
        };
        let settings = format!("esdb://{at}{}?tls=false", self.address);
        let settings: ClientSettings = settings.parse().expect("a connection string");
        Client::new(settings).expect("a client")
    }

    /// Tells it to stop, and waits until it has, whatever its clients still hold open.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let served = self.served.await.expect("no panic");
        served.expect("it was served to the end");
    }
}

//! Servers of KurrentDB's protocol over one log, that can be killed and come back, and the adapter that finds its way to
//! them: what a cluster is to a client, without the cluster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use event_store::{EmbeddedStore, EventStore};
use kurrent::client::{Connection, KurrentStore, OpenError, Options as Client};
use kurrent::server::{self, Access, Act, Denied, Everyone, Numbering, Options};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// One log, whoever serves it.
pub struct Log {
    /// The store below.
    pub store: Arc<dyn EventStore>,
    _dir: tempfile::TempDir,
}

impl Log {
    /// A new one.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let options = event_store::Options {
            reserve_bytes: 0,
            ..event_store::Options::default()
        };
        let store = EmbeddedStore::open(dir.path(), options);
        Self {
            store: Arc::new(store.expect("a log")),
            _dir: dir,
        }
    }

    /// A server of it that takes appends, its positions with gaps.
    pub fn serve(&self, seed: u64) -> Node {
        self.serve_over(Arc::clone(&self.store), seed)
    }

    /// The same, over a store in front of the log.
    pub fn serve_over(&self, store: Arc<dyn EventStore>, seed: u64) -> Node {
        Self::node(store, appending(seed))
    }

    /// A server of it.
    pub fn serve_with(&self, options: Options) -> Node {
        Self::node(Arc::clone(&self.store), options)
    }

    fn node(store: Arc<dyn EventStore>, options: Options) -> Node {
        let mut node = Node {
            store,
            options,
            address: address(),
            running: None,
        };
        node.start();
        node
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// Ports that the system gives to nobody who does not name them, so that one is free again for whom it was before.
const PORTS: std::ops::Range<u16> = 10_240..30_240;

/// An address of this machine at which nobody listens, for who goes away and comes back.
///
/// # Panics
/// When there is none.
pub fn address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let ports = u32::from(PORTS.end - PORTS.start);
    // Test runs beside each other begin at different ones.
    let first = std::process::id().wrapping_mul(389) % ports;
    for _ in 0..ports {
        let nth = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from((first + nth) % ports).expect("a port") + PORTS.start;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if std::net::TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("every port is taken");
}

/// How a server is that takes appends of everyone, its positions with gaps.
pub fn appending(seed: u64) -> Options {
    Options {
        numbering: Numbering::Gaps { seed },
        ..Options::appending(Arc::new(Everyone))
    }
}

/// Takes who gives the token `good`; `weak` is one without the right.
pub struct Known;

impl Access for Known {
    fn takes(&self, token: Option<&str>, _act: Act) -> Result<Arc<str>, Denied> {
        match token {
            Some("good") => Ok(Arc::from("good")),
            Some("weak") => Err(Denied::Role),
            Some(_) | None => Err(Denied::Unknown),
        }
    }
}

/// A server on a runtime of its own, so that killing it leaves nothing of it behind.
pub struct Node {
    store: Arc<dyn EventStore>,
    options: Options,
    address: SocketAddr,
    running: Option<Runtime>,
}

impl Node {
    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it where it was before.
    pub fn start(&mut self) {
        let runtime = runtime();
        let (bound, address) = std::sync::mpsc::channel();
        let (store, options, before) =
            (Arc::clone(&self.store), self.options.clone(), self.address);
        runtime.spawn(async move {
            let listener = TcpListener::bind(before).await.expect("its port");
            let address = listener.local_addr().expect("an address");
            bound.send(address).expect("somebody waits");
            let served = server::serve(listener, store, options, std::future::pending());
            served.await.expect("served");
        });
        self.address = address.recv().expect("it listens");
        self.running = Some(runtime);
    }

    /// Kills it: its connections break off.
    pub async fn kill(&mut self) {
        let runtime = self.running.take().expect("it runs");
        // What a runtime runs is dropped where it is shut down, which waits for threads.
        let ended = tokio::task::spawn_blocking(move || {
            runtime.shutdown_timeout(Duration::from_secs(30));
        });
        ended.await.expect("it ends");
    }

    /// How to reach it in the clear.
    pub fn at(&self) -> String {
        format!("esdb://{}?tls=false", self.address)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.running.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The adapter, by a connection string.
pub async fn open(connection: &str) -> Result<KurrentStore, OpenError> {
    let connection = Connection::parse(connection).expect("a connection string");
    KurrentStore::open(connection, Client::default()).await
}

/// The same for a node of the service, which knows the newest schema level.
pub async fn open_as_node(connection: &str) -> Arc<dyn EventStore> {
    let connection = Connection::parse(connection).expect("a connection string");
    let options = Client {
        schema_level: domain::codec::LEVEL,
        ..Client::default()
    };
    Arc::new(
        KurrentStore::open(connection, options)
            .await
            .expect("it answers"),
    )
}

/// A way to a node that can stop carrying anything, without closing.
pub struct Way {
    address: SocketAddr,
    hangs: watch::Sender<bool>,
    running: Runtime,
}

impl Way {
    /// One that carries.
    pub fn to(node: SocketAddr) -> Self {
        let running = runtime();
        let (hangs, hung) = watch::channel(false);
        let (bound, address) = std::sync::mpsc::channel();
        running.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            bound
                .send(listener.local_addr().expect("an address"))
                .expect("somebody waits");
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, node, hung.clone()));
            }
        });
        let address = address.recv().expect("it listens");
        Self {
            address,
            hangs,
            running,
        }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing is carried any more, on no connection, old or new.
    pub fn hang(&self) {
        self.hangs.send_replace(true);
    }

    /// New connections are carried again; those that hung hang for ever.
    pub fn carry_again(&self) {
        self.hangs.send_replace(false);
    }

    /// Ends it.
    pub fn end(self) {
        self.running.shutdown_background();
    }
}

async fn carry(mut client: TcpStream, node: SocketAddr, mut hung: watch::Receiver<bool>) {
    let hangs = *hung.borrow_and_update();
    let mut node = TcpStream::connect(node).await.expect("the node");
    if !hangs {
        let over = {
            let carried = tokio::io::copy_bidirectional(&mut client, &mut node);
            tokio::select! {
                _ = carried => true,
                _ = hung.changed() => false,
            }
        };
        if over {
            return;
        }
    }
    // Both ends stay open, and neither hears of the other.
    std::future::pending::<()>().await;
    drop((client, node));
}

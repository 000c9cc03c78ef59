//! KurrentDB's protocol over a store of ours.
//!
//! Promise: what is told is durable, in the log's order, each event once; what is not served is refused in the protocol's
//! own words and changes nothing. Every reading is made as its connection has room for it, so that a slow client costs a
//! block of memory and no more. When told to stop, nothing new is accepted, streams that go on are ended, and what was
//! accepted is answered. Where to listen, who may come in, keys and certificates are the caller's.

mod access;
mod appending;
mod connections;
mod faults;
mod features;
mod filter;
mod gossip;
mod messages;
mod numbering;
mod reading;
mod session;
mod streams;
mod subscribing;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use event_store::EventStore;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::{Identity, Server, ServerTlsConfig};

pub use access::{Access, Act, Denied, Everyone};
pub use faults::{Ending, Faults};
pub use numbering::Numbering;

use crate::proto::event_store::client::gossip::gossip_server::GossipServer;
use crate::proto::event_store::client::server_features::server_features_server::ServerFeaturesServer;
use crate::proto::event_store::client::streams::streams_server::StreamsServer;

/// Calls of one connection at once at most; a client opens one connection for all it does.
const CALLS_PER_CONNECTION_MAX: u32 = 256;
/// Bytes of a message that is taken at most: an append of the largest size, and its wrapping.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Between two signs of life of an idle connection, and for how long one may stay away.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Time to agree on a connection's keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Events read at once.
const BLOCK_EVENTS: usize = 256;
/// Bytes read at once: what one stream keeps in memory.
const BLOCK_BYTES: usize = 256 * 1024;
/// Events read at once where a bound on bytes is not to be had.
const BLOCK_UNBOUNDED_EVENTS: usize = 16;

/// What may be done at this door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Reading alone: what is appended has to be decided first, which is not this door's.
    Reading,
    /// Appending as well.
    Appending,
}

/// How the protocol is served.
#[derive(Clone)]
pub struct Options {
    /// What may be done.
    pub door: Door,
    /// Who may do it.
    pub access: Arc<dyn Access>,
    /// How positions are told.
    pub numbering: Numbering,
    /// Certificate chain and key as PEM; none for a connection in the clear.
    pub tls: Option<Pem>,
    /// Host and port by which clients reach this server; the address that a client came to if there are none.
    pub advertised: Option<(String, u16)>,
    /// Connections at once at most.
    pub connections_max: usize,
    /// Subscriptions at once at most, over all connections.
    pub subscriptions_max: usize,
    /// Readings at once at most, over all connections.
    pub readings_max: usize,
    /// A stream's token is looked at again this often.
    pub recheck: Duration,
    /// Time for what was accepted to be answered after the stop.
    pub drain: Duration,
    /// Faults on purpose; none but in tests.
    pub faults: Option<Arc<Faults>>,
}

impl Options {
    /// Reading alone, for whom this takes, in the clear.
    pub fn reading(access: Arc<dyn Access>) -> Self {
        Self {
            door: Door::Reading,
            access,
            numbering: Numbering::Same,
            tls: None,
            advertised: None,
            connections_max: 1_024,
            subscriptions_max: 256,
            readings_max: 256,
            recheck: Duration::from_secs(15),
            drain: Duration::from_secs(30),
            faults: None,
        }
    }

    /// The same, and appending.
    pub fn appending(access: Arc<dyn Access>) -> Self {
        Self {
            door: Door::Appending,
            ..Self::reading(access)
        }
    }
}

/// A certificate chain and its key, as PEM.
#[derive(Clone)]
pub struct Pem {
    /// The chain, the server's own certificate first.
    pub certificates: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

impl Pem {
    /// What a server needs of it, or why it is none.
    fn tls(&self) -> Result<ServerTlsConfig, tonic::transport::Error> {
        // Where several crates bring a provider none is chosen by itself; a second installation changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let identity = Identity::from_pem(&self.certificates, &self.key);
        let config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
        Server::builder().tls_config(config.clone())?;
        Ok(config)
    }

    /// Whether a server can be had with it.
    pub fn check(&self) -> Result<(), ServeError> {
        Ok(self.tls().map(drop)?)
    }
}

/// Why the protocol is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate or key does not do, or no connection can be taken any more.
    #[error("{}", words(.0))]
    Transport(#[from] tonic::transport::Error),
}

/// What it says, with what it comes from.
fn words(error: &tonic::transport::Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

/// Serves until told to stop.
pub async fn serve(
    listener: TcpListener,
    store: Arc<dyn EventStore>,
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (stopping, stops) = watch::channel(false);
    let streams = streams::Served::new(store, &options, stops);
    let streams = StreamsServer::new(streams).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut server = Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE));
    if let Some(pem) = &options.tls {
        server = server.tls_config(pem.tls()?)?;
    }
    let features = features::Served { door: options.door };
    let gossip = gossip::Served::new(options.advertised, listener.local_addr().ok());
    let stopped = async {
        stop.await;
        stopping.send_replace(true);
    };
    let mut too_late = stopping.subscribe();
    let served = server
        .add_service(streams)
        .add_service(ServerFeaturesServer::new(features))
        .add_service(GossipServer::new(gossip))
        .serve_with_incoming_shutdown(
            connections::incoming(listener, options.connections_max),
            stopped,
        );
    tokio::select! {
        served = served => Ok(served?),
        () = async {
            // The sender is above.
            let _ = too_late.wait_for(|stopping| *stopping).await;
            tokio::time::sleep(options.drain).await;
        } => {
            tracing::warn!("connections of the KurrentDB protocol were cut off that had not ended in time");
            Ok(())
        }
    }
}

/// An address as it is told.
fn shown(address: SocketAddr) -> (String, u16) {
    (address.ip().to_string(), address.port())
}

//! KurrentDB's protocol over a store of ours.
//!
//! Promise: what is told is durable, in the log's order, each event once; what is not served is refused in the protocol's
//! own words and changes nothing. Every reading is made as its connection has room for it, so that a slow client costs a
//! block of memory and no more. Where to listen, keys and certificates are the caller's.

mod access;
mod appending;
mod features;
mod filter;
mod gossip;
mod messages;
mod numbering;
mod reading;
mod streams;
mod subscribing;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use event_store::EventStore;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

pub use access::{Access, Denied, Everyone};
pub use numbering::Numbering;

use crate::proto::event_store::client::gossip::gossip_server::GossipServer;
use crate::proto::event_store::client::server_features::server_features_server::ServerFeaturesServer;
use crate::proto::event_store::client::streams::streams_server::StreamsServer;

/// Calls of one connection at once at most; a client opens one connection for all it does.
const CALLS_PER_CONNECTION_MAX: u32 = 256;
/// Bytes of a message that is taken at most: an append of the largest size, and its wrapping.
const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Between two signs of life of an idle connection.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

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
    /// Host and port by which clients reach this server; where it listens if there are none.
    pub advertised: Option<(String, u16)>,
    /// Subscriptions at once at most, over all connections.
    pub subscriptions_max: usize,
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
            subscriptions_max: 256,
        }
    }
}

/// A certificate chain and its key, as PEM.
#[derive(Clone)]
pub struct Pem {
    /// The chain.
    pub certificates: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// Why the protocol is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address it listens on is not known.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The certificate or key does not do, or the connection is lost for good.
    #[error("{0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until told to stop.
pub async fn serve(
    listener: TcpListener,
    store: Arc<dyn EventStore>,
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let streams = streams::Served::new(store, &options);
    let access = access::Checked::new(Arc::clone(&options.access));
    let streams = StreamsServer::new(streams).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let streams = tonic::service::interceptor::InterceptedService::new(streams, access);
    let mut server = Server::builder()
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE));
    if let Some(pem) = &options.tls {
        let identity = Identity::from_pem(&pem.certificates, &pem.key);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = server
        .add_service(streams)
        .add_service(ServerFeaturesServer::new(features::Served {
            door: options.door,
        }))
        .add_service(GossipServer::new(gossip::Served::new(advertised(
            &options, address,
        ))))
        .serve_with_incoming_shutdown(incoming, stop);
    Ok(served.await?)
}

fn advertised(options: &Options, address: SocketAddr) -> (String, u16) {
    let own = || (address.ip().to_string(), address.port());
    options.advertised.clone().unwrap_or_else(own)
}

//! Serving a router over HTTP/1.1 with bounds, and stopping gracefully.
//!
//! At most so many connections are open; the next ones wait in the listen queue. A connection that sends no whole
//! request head in time is closed; a head that is no HTTP, too long, or of too many headers is answered 400, 414 or 431
//! without a body, before any route. Each request carries a [`Cut`], by which whoever answers it can end the connection
//! where the client takes nothing any more. When asked to stop, nothing new is accepted, every request that was accepted is
//! answered, and whatever has not ended after the time for draining is cut off.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tower::ServiceExt as _;

/// Bytes of a request's head at most, and of what one connection reads ahead.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Ends a connection at once, whatever is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Cut(Arc<Notify>);

impl Cut {
    /// Ends it.
    pub(crate) fn now(&self) {
        self.0.notify_one();
    }
}

/// The bounds of serving.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Connections open at once.
    pub connections_max: usize,
    /// Time for a whole request head to arrive, idle time before it included.
    pub head_timeout: Duration,
    /// Time for what was accepted to be answered after the stop.
    pub drain_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        ServeOptions {
            connections_max: 10_000,
            head_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves the router until `shutdown` is done and everything accepted is answered.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut connections = http1::Builder::new();
    connections
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(options.connections_max));
    let open = metrics::gauge!("doorstep_http_connections_count");
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: what is open goes on, and room comes back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let cut = Cut(Arc::default());
        let (router, handle) = (router.clone(), cut.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(handle.clone());
            router.clone().oneshot(request)
        });
        let connection =
            graceful.watch(connections.serve_connection(TokioIo::new(stream), service));
        let open = open.clone();
        tokio::spawn(async move {
            open.increment(1);
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                () = cut.0.notified() => {}
            }
            open.decrement(1);
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(options.drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections were cut off that had not ended in time");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, permit)),
            // The client went away before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

//! Connections of the server: so many at once, and none that says nothing.
//!
//! Promise: beyond the bound the next ones wait in the listen queue; who connects and sends nothing is let go. A connection
//! keeps its place until it ends.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use metrics::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Time for the first byte of a connection to come.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// Rest after a connection could not be accepted: what is open goes on, and room comes back.
const REST: Duration = Duration::from_millis(50);

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// Runs out unless something comes.
    silent: Option<Pin<Box<Sleep>>>,
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

/// Connections as they come, at most so many at once.
pub(super) fn incoming(
    listener: TcpListener,
    connections_max: usize,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let places = Arc::new(Semaphore::new(connections_max));
    let open = metrics::gauge!("doorstep_kurrent_connections_count");
    futures::stream::try_unfold(
        (listener, places, open),
        async |(listener, places, open)| {
            let place = Arc::clone(&places).acquire_owned().await;
            let place = place.map_err(io::Error::other)?;
            let stream = accept(&listener).await;
            let _ = stream.set_nodelay(true);
            open.increment(1);
            let connection = Connection {
                stream,
                silent: Some(Box::pin(tokio::time::sleep(FIRST_BYTE))),
                open: open.clone(),
                _place: place,
            };
            Ok(Some((connection, (listener, places, open))))
        },
    )
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client went away before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection of the KurrentDB protocol could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.silent = None;
            return Poll::Ready(read);
        }
        if let Some(silent) = &mut self.silent {
            ready!(silent.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

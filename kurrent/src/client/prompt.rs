//! Lets what the published client writes go out at once.
//!
//! The client writes a call in three pieces, and leaves Nagle's algorithm on, without a way to turn it off. So where nothing
//! else is on its way each piece after the first waits until the server's kernel acknowledges the one before, which that
//! does after 40 ms at the earliest: a call that takes 1 ms takes 45. The option belongs to the socket, and this process may
//! ask the system for another handle on a socket of its own (`pidfd_getfd`), set the option, and close that handle again.
//! Where the system does not let it (before Linux 5.6, or in a sandbox that forbids the call) nothing is lost but the time.

use std::fs;
use std::os::fd::AsFd;

use rustix::net::sockopt::{set_tcp_nodelay, tcp_nodelay};
use rustix::net::{SocketAddr, getpeername};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use super::connection::Connection;

/// Where the handles of this process are listed.
const HANDLES: &str = "/proc/self/fd";

/// Sets the option on every socket whose other end is at a port of the store.
pub(super) fn now(connection: &Connection) {
    let hosts = connection.settings().hosts();
    let ports: Vec<u32> = hosts.iter().map(|host| host.port).collect();
    let (Ok(own), Ok(handles)) = (
        pidfd_open(getpid(), PidfdFlags::empty()),
        fs::read_dir(HANDLES),
    ) else {
        return;
    };
    for handle in handles.flatten() {
        let is_socket = fs::read_link(handle.path())
            .is_ok_and(|what| what.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
        let number = handle
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|_| is_socket) else {
            continue;
        };
        // It may have been closed by now, or be another.
        let Ok(socket) = pidfd_getfd(&own, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        if port_of(&socket).is_some_and(|port| ports.contains(&port))
            && tcp_nodelay(&socket) == Ok(false)
        {
            let _ = set_tcp_nodelay(&socket, true);
        }
    }
}

/// The port at the other end of a socket.
fn port_of(socket: impl AsFd) -> Option<u32> {
    let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
    Some(peer.port().into())
}

//! Why a host cannot be spoken to: what answers there, told apart by its first bytes.
//!
//! The published client says of every failed connection that it failed. So where none can be made, somebody else's first
//! words are asked for: in the clear the beginning of HTTP/2, which a server of it answers with its settings; where TLS is
//! wanted a line that is none, which a server of TLS answers with an alert. Nothing secret is sent.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::Connection;

/// How long one host may take.
const LOOK: Duration = Duration::from_secs(1);
/// The beginning of HTTP/2, and settings that say nothing (RFC 9113, 3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// What is said of a host that takes a connection and stays silent, or does not even take one.
const HANGS: &str =
    "it does not answer: it hangs, or something on the way drops what is sent to it";
/// What is to be done where a certificate is not taken.
const CERTIFICATE: &str = "`tlsCaFile=FILE` in the connection string names the authority's, and the host has to be one that the certificate names; one that is its own authority has to be made as no authority (`basicConstraints=CA:FALSE`)";
/// What is no TLS.
const NO_TLS: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// The first byte of a record of TLS that is an alert (RFC 8446, 5.1).
const ALERT: u8 = 21;
/// The type of a frame of settings, and where it stands.
const SETTINGS: (usize, u8) = (3, 4);

/// Why none of the hosts is spoken to, and what to do; none where what answers looks right.
pub(super) async fn of(connection: &Connection) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for host in connection.settings().hosts() {
        let address = format!("{}:{}", host.host, host.port);
        let looked = timeout(LOOK, look(&address, connection.is_secure())).await;
        match looked.unwrap_or_else(|_| Some(HANGS.to_owned())) {
            Some(why) => found.push(format!("{address}: {why}")),
            None => return None,
        }
    }
    (!found.is_empty()).then(|| found.join("; "))
}

async fn look(address: &str, secure: bool) -> Option<String> {
    let mut stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) => {
            return Some(format!(
                "nobody is there: see that the host and the port are right, and that it runs ({error})"
            ));
        }
    };
    let (words, mut answer) = (if secure { NO_TLS } else { HTTP2 }, [0_u8; 9]);
    if let Err(error) = stream.write_all(words).await {
        return Some(format!("it hangs up ({error})"));
    }
    let read = stream.read(&mut answer).await.unwrap_or(0);
    let answer = answer.get(..read).unwrap_or_default();
    let speaks_tls = answer.first() == Some(&ALERT);
    let why = match (secure, speaks_tls) {
        (true, true) => {
            return Some(format!(
                "it speaks TLS, but its certificate is not taken: {CERTIFICATE}"
            ));
        }
        // Some servers of TLS hang up without a word.
        (true, false) if answer.is_empty() => {
            return Some(format!(
                "it hangs up: its certificate is not taken ({CERTIFICATE}), or it does not speak TLS (`tls=false` says so)"
            ));
        }
        (true, false) => "it does not speak TLS: `tls=false` in the connection string says so",
        (false, true) => "it speaks TLS: `tls=true` in the connection string says so",
        (false, false) if answer.get(SETTINGS.0) == Some(&SETTINGS.1) => return None,
        (false, false) => {
            "what answers there is no KurrentDB: the connection string has to name its HTTP port, 2113 by default"
        }
    };
    Some(why.to_owned())
}

//! KurrentDB's protocol as this program serves it: by the service's tokens, with a certificate from files.
//!
//! Beside the service ([`Door`]) it reads the service's log; `store` is the log alone. What may be done is held by
//! `kurrent::server`; here is who may, and where. A reader has the role `auditor` or `service`, as on `GET /v1/events`;
//! who appends to a store has `service`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use api::KeySet;
use api::tokens::{Role, Roles, Tokens};
use event_store::EventStore;
use kurrent::server::{Access, Act, Denied, Options, Pem, ServeError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cli::DoorArgs;
use crate::failure::Failure;

/// Lets in by tokens.
pub(crate) struct ByToken(Tokens);

impl ByToken {
    /// By tokens that these keys sign.
    pub(crate) fn of(keys: &Arc<KeySet>) -> Self {
        Self(Tokens::new(Arc::clone(keys)))
    }
}

impl Access for ByToken {
    fn takes(&self, token: Option<&str>, act: Act) -> Result<Arc<str>, Denied> {
        let token = token.ok_or(Denied::Unknown)?;
        let caller = self.0.check(token).map_err(|_| Denied::Unknown)?;
        let wanted = match act {
            Act::Read => Roles::of(&[Role::Auditor, Role::Service]),
            Act::Append => Roles::of(&[Role::Service]),
        };
        if caller.roles.meet(wanted) {
            Ok(Arc::from(caller.sub.as_str()))
        } else {
            Err(Denied::Role)
        }
    }
}

/// What is served, before it is known to whom.
pub(crate) struct Door {
    tls: Option<Pem>,
    advertised: Option<(String, u16)>,
}

impl Door {
    /// That of `serve`; what its flags name is read, and held to be good.
    pub(crate) fn of(args: &DoorArgs) -> Result<Self, Failure> {
        let files = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
        if args.listen.is_none() && (files.is_some() || args.advertise.is_some()) {
            return Err(Failure::usage(
                "--kurrent-tls-cert, --kurrent-tls-key and --kurrent-advertise say how --kurrent-listen is served, which is not given",
            ));
        }
        Self::with(files, args.advertise.as_deref())
    }

    /// With a certificate and its key, and the address that clients are told.
    pub(crate) fn with(
        files: Option<(&Path, &Path)>,
        advertised: Option<&str>,
    ) -> Result<Self, Failure> {
        let tls = match files {
            Some((certificates, key)) => {
                let pem = Pem {
                    certificates: read(certificates)?,
                    key: read(key)?,
                };
                pem.check().map_err(|error| {
                    Failure::usage(format!(
                        "{} and {} are no certificate and its key: {error}",
                        certificates.display(),
                        key.display()
                    ))
                })?;
                Some(pem)
            }
            None => None,
        };
        Ok(Self {
            tls,
            advertised: advertised.and_then(host_and_port),
        })
    }

    /// These options, with what this is.
    pub(crate) fn options(&self, options: Options) -> Options {
        Options {
            tls: self.tls.clone(),
            advertised: self.advertised.clone(),
            ..options
        }
    }

    /// The connection string of who comes to this address.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        let clear = if self.tls.is_some() { "" } else { "?tls=false" };
        format!("esdb://{address}{clear}")
    }

    /// Serves the log of a service for reading, until the first of these is used or goes.
    pub(crate) fn open(
        &self,
        listener: TcpListener,
        store: Arc<dyn EventStore>,
        keys: &Arc<KeySet>,
    ) -> (oneshot::Sender<()>, Closing) {
        let options = self.options(Options::reading(Arc::new(ByToken::of(keys))));
        let (stop, stopped) = oneshot::channel();
        let served = kurrent::server::serve(listener, store, options, async {
            let _ = stopped.await;
        });
        (stop, Closing(tokio::spawn(served)))
    }
}

/// A door that is open until it is told to close.
pub(crate) struct Closing(JoinHandle<Result<(), ServeError>>);

impl Closing {
    /// Waits until it is.
    pub(crate) async fn closed(self) -> anyhow::Result<()> {
        let served = self.0.await.context("the KurrentDB protocol")?;
        served.context("the KurrentDB protocol is not served")
    }
}

/// A file that a flag names.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The parts of `HOST:PORT`, brackets around an IPv6 address taken off.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), port.parse().ok()?))
}

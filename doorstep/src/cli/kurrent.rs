//! The flags of what speaks KurrentDB's protocol: the door beside the service, and the store by itself.

use std::path::PathBuf;

use clap::Args;

use super::{Folder, KeyArgs, LogArgs, address, number};

/// Where help lists the flags of the door.
const DOOR: &str = "For clients of KurrentDB";

/// The door of `serve` for clients of KurrentDB.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = DOOR)]
pub(crate) struct DoorArgs {
    /// Also speaks KurrentDB's protocol at this address, `HOST:PORT`, for reading alone; port 0 takes a free one.
    #[arg(id = "kurrent_listen", long = "kurrent-listen", value_name = "ADDR", value_parser = address)]
    pub(crate) listen: Option<String>,
    /// Its certificate chain, as PEM; in the clear without one, and then published clients may keep their credentials.
    #[arg(
        id = "kurrent_tls_cert",
        long = "kurrent-tls-cert",
        value_name = "FILE",
        requires = "kurrent_tls_key"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate, as PEM.
    #[arg(
        id = "kurrent_tls_key",
        long = "kurrent-tls-key",
        value_name = "FILE",
        requires = "kurrent_tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// The address that is told to clients who ask which nodes there are, `HOST:PORT`; where they came to, unless given.
    #[arg(id = "kurrent_advertise", long = "kurrent-advertise", value_name = "ADDR", value_parser = address)]
    pub(crate) advertise: Option<String>,
}

/// `store`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Store {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one. Without --auth-key one of this machine's own.
    #[arg(long, value_name = "ADDR", required = true, value_parser = address)]
    pub(crate) listen: Option<String>,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    /// The certificate chain, as PEM; in the clear without one, and then published clients may keep their credentials.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The address that is told to clients who ask which nodes there are, `HOST:PORT`; where they came to, unless given.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) advertise: Option<String>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// For tests of what speaks to it: positions have gaps, answers are lost or late, readings are stale or end, as follows
    /// from this seed.
    #[arg(long, value_name = "SEED", hide = true, value_parser = number)]
    pub(crate) test_faults: Option<u64>,
}

//! The flags of `copy`.
//!
//! `--from` and `--to` name logs here and moments of `audit` there, so that they have other names where settings are told
//! apart by name: `copy_from` and `copy_to` in the file, `DOORSTEP_COPY_FROM` and `DOORSTEP_COPY_TO` in the environment.

use std::time::Duration;

use clap::Args;

use super::{LogArgs, duration};

/// `copy`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Copy {
    /// The log to copy, which is only read: `embedded:DIR`, a data folder at rest or a backup, or a KurrentDB cluster by its
    /// connection string (`esdb://user:password@host:2113`).
    #[arg(
        id = "copy_from",
        long = "from",
        value_name = "LOG",
        required = true,
        hide_env_values = true
    )]
    pub(crate) from: Option<String>,
    /// Where the copy is to be, named the same way: a place without a log, or with a part of this very copy.
    #[arg(
        id = "copy_to",
        long = "to",
        value_name = "LOG",
        required = true,
        hide_env_values = true
    )]
    pub(crate) to: Option<String>,
    /// How long a cluster that does not answer is waited for, once the copy has begun, such as `60s`.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) wait: Duration,
    /// How often a line tells how far it is, where standard error is no terminal, such as `10s`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) progress: Duration,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

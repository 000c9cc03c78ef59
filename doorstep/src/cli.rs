//! The command line: every subcommand and flag, as `clap` reads them.
//!
//! Each flag here gets its environment variable `DOORSTEP_…` and its line in `doorstep.toml` from `settings`, by its
//! name alone: adding a flag is adding a field. Flags of the same name in several subcommands mean the same thing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use domain::ids::MemberId;
use event_store::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use tracing_subscriber::EnvFilter;

/// Where the service listens unless told otherwise.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:7070";

/// Less than this is no cache for all views together.
const CACHE_BYTES_MIN: u64 = 1024 * 1024;
/// More than this is a slip of the hand.
const CACHE_BYTES_MAX: u64 = 1 << 40;

/// A direct-message service: what strangers write waits on the doorstep.
#[derive(Debug, Parser)]
#[command(name = "doorstep", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The configuration file; `doorstep.toml` in the working directory when there is one.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What is logged to standard error, as `tracing` filters name it.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "warn,doorstep=info",
        value_parser = filter
    )]
    pub(crate) log: String,
    /// The form of the log: lines for people, or JSON.
    #[arg(long, global = true, value_name = "FORM", default_value = "text", value_parser = ["text", "json"])]
    pub(crate) log_format: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the service.
    Serve(Serve),
    /// Prints a bearer token.
    Token(Token),
    /// Carries out commands from newline-delimited JSON, strictly in order.
    Import(Import),
    /// Prints events as newline-delimited JSON.
    Events(Events),
    /// Checks every record of the log.
    Verify(Verify),
    /// Copies the log, also while the service runs.
    Backup(Backup),
    /// Brings a backup back into an empty data folder, as a log of its own.
    Restore(Restore),
    /// Prints what is in force and where it comes from, secrets hidden.
    Config(Config),
    /// Measures this build on this machine, each figure beside its baseline.
    Bench(Bench),
    /// Prints the commands of the college workload, for `import`.
    Workload(Workload),
}

/// The data folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct Folder {
    /// The folder that holds all state.
    #[arg(long, value_name = "DIR", default_value = "./doorstep-data")]
    pub(crate) data: PathBuf,
}

/// The store and its bounds.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArgs {
    /// The event store: `embedded`, or the connection string of a cluster.
    #[arg(long, value_name = "URL", default_value = "embedded")]
    pub(crate) store: String,
    /// The size of a log segment, in bytes, zero-filled ahead: 16384 to 1073741824.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024,
          value_parser = clap::value_parser!(u64).range(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX))]
    pub(crate) segment_bytes: u64,
    /// Commands are refused while the file system has less free than this, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024 * 1024)]
    pub(crate) reserve_bytes: u64,
}

/// The caches of the tables.
#[derive(Debug, Clone, Args)]
pub(crate) struct CacheArgs {
    /// The cache that all views share, in bytes: at least 1048576.
    #[arg(long, value_name = "BYTES", default_value_t = 128 * 1024 * 1024,
          value_parser = RangedU64ValueParser::<usize>::new().range(CACHE_BYTES_MIN..=CACHE_BYTES_MAX))]
    pub(crate) cache_bytes: usize,
}

/// The signing key.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeyArgs {
    /// Another signing key than the data folder's: a secret of at least 32 bytes, or a JWKS.
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_key: Option<PathBuf>,
}

/// A running service, instead of a data folder at rest.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// A running service to ask instead of a data folder at rest, such as `http://127.0.0.1:7070`; needs `--token`.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The bearer token for `--url`, as `doorstep token` prints it.
    #[arg(long, value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// `serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = LISTEN_DEFAULT, value_parser = address)]
    pub(crate) listen: String,
    /// Loads a sample into an empty data folder and prints the tokens of its users.
    #[arg(long)]
    pub(crate) demo: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

/// `token`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    /// Who the token speaks for: a member id, or the name of a service or person.
    #[arg(long, value_name = "ID", required = true, value_parser = member)]
    pub(crate) sub: Option<String>,
    /// The roles it carries.
    #[arg(long, value_name = "ROLE", value_delimiter = ',', default_value = "member",
          value_parser = ["member", "moderator", "auditor", "service", "operator"])]
    pub(crate) role: Vec<String>,
    /// How long it is good for, such as `90s`, `30m`, `1h`, `7d`.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub(crate) ttl: Duration,
}

/// `import`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Import {
    /// The file of commands, one JSON object a line; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Writes every refused and invalid line of the whole file here, one JSON object a line: `line`, `id`, `member`,
    /// `command`, `code`, `rule` when there is one, `detail`. Without it the first three of each code are told.
    #[arg(long, value_name = "FILE")]
    pub(crate) refusals: Option<PathBuf>,
    /// How often a line tells how far it is, where standard error is no terminal, such as `10s`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) progress: Duration,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `events`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Events after this position only.
    #[arg(long, value_name = "P", default_value_t = 0)]
    pub(crate) after: u64,
    /// Events of this stream only.
    #[arg(long, value_name = "S")]
    pub(crate) stream: Option<String>,
    /// Events of this type only, such as `message-sent.v1`.
    #[arg(long = "type", id = "type", value_name = "T")]
    pub(crate) event_type: Option<String>,
    /// Events that concern this member only.
    #[arg(long, value_name = "M", value_parser = member)]
    pub(crate) member: Option<String>,
    /// Goes on with what is appended from now on; needs `--url`.
    #[arg(long)]
    pub(crate) follow: bool,
}

/// `verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `backup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Backup {
    /// The folder to write the backup to; it must not exist, or be empty.
    #[arg(value_name = "DEST")]
    pub(crate) dest: PathBuf,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `restore`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Restore {
    /// The folder that `backup` wrote.
    #[arg(value_name = "SRC")]
    pub(crate) src: PathBuf,
    #[command(flatten)]
    pub(crate) folder: Folder,
}

/// `config`: takes every flag of the others, so that one can see what a command line would mean.
#[derive(Debug, Clone, Args)]
pub(crate) struct Config {}

/// `bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bench {
    /// How many events the log holds when views, pages, memory and opening are measured.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) events: u64,
    /// How long many callers send with all views on, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Prints the figures as JSON alone, without the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// A run of seconds that shows only that every row works.
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Measures only the rows whose name contains one of these.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// The folder to measure in; a fresh one beside the data folder, removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

/// `workload`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Workload {
    /// `src dst time` a line: who wrote to whom, and when.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) messages: Option<PathBuf>,
    /// `ham` or `spam`, a tab, a text: what they wrote, in turn.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) texts: Option<PathBuf>,
}

/// Reads a filter of the log.
fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; such as `info` or `warn,doorstep=debug`")),
    }
}

/// Reads `HOST:PORT`. Whether the host is one of this machine shows when it is listened on.
fn address(text: &str) -> Result<String, String> {
    let whole = text.parse::<SocketAddr>().is_ok()
        || text.rsplit_once(':').is_some_and(|(host, port)| {
            let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            !host.is_empty() && host.chars().all(letters) && port.parse::<u16>().is_ok()
        });
    if whole {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "an address is HOST:PORT, such as {LISTEN_DEFAULT} or [::1]:7070, with a port up to 65535"
        ))
    }
}

/// Reads the id of a member.
fn member(text: &str) -> Result<String, String> {
    match MemberId::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("an id is 1 to 128 of the characters A-Z a-z 0-9 . _ : -".to_owned()),
    }
}

/// Reads `90s`, `30m`, `1h`, `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err("a number and one of s, m, h, d, such as 1h".to_owned()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(seconds))
        .filter(|n| (1..=10 * 365 * 24 * 3600).contains(n))
        .map(Duration::from_secs)
        .ok_or_else(|| "a time between 1s and ten years".to_owned())
}

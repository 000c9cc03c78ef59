//! The command line: every subcommand and flag, as `clap` reads them.
//!
//! Each flag here gets its environment variable `DOORSTEP_…` and its line in `doorstep.toml` from `settings`, by its
//! name alone: adding a flag is adding a field. Flags of the same name in several subcommands mean the same thing, but for
//! `--from` and `--to` of `copy` (`copy.rs`).

mod copy;
mod kurrent;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::ids::{MemberId, ReasonCode};
use event_store::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use tracing_subscriber::EnvFilter;

pub(crate) use copy::Copy;
pub(crate) use kurrent::{DoorArgs, Store};

/// Where the service listens unless told otherwise.
pub(crate) const LISTEN_DEFAULT: &str = "127.0.0.1:7070";

/// Where help lists the flags that every command has.
const GLOBAL: &str = "For every command";
/// Less than this is no cache for all views together.
const CACHE_BYTES_MIN: u64 = 1024 * 1024;
/// All views are proved no more often than this: each reads the whole log.
const VERIFY_VIEWS_EVERY_MIN: Duration = Duration::from_mins(1);
/// More than this is a slip of the hand.
const CACHE_BYTES_MAX: u64 = 1 << 40;

/// A direct-message service: what strangers write waits on the doorstep.
#[derive(Debug, Parser)]
#[command(
    name = "doorstep",
    version,
    arg_required_else_help = true,
    after_help = "Begin with `doorstep serve --demo`: it serves a sample and prints tokens and lines to try.\n\
        Exit status: 0 done, 1 failed, 2 wrong usage. Data goes to standard output, words to standard error."
)]
pub(crate) struct Cli {
    /// The configuration file; `doorstep.toml` in the working directory when there is one.
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(crate) config: Option<PathBuf>,
    /// What is logged to standard error: a level (`error`, `warn`, `info`, `debug`), or one for each part.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "warn,doorstep=info,commands=info,kurrent=info,kurrentdb=off",
        value_parser = filter,
        help_heading = GLOBAL
    )]
    pub(crate) log: String,
    /// The form of the log: lines for people, or JSON.
    #[arg(long, global = true, value_name = "FORM", default_value = "text", value_parser = ["text", "json"],
          help_heading = GLOBAL)]
    pub(crate) log_format: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the service over a data folder, which is made where there is none.
    ///
    /// SIGTERM or Ctrl-C stops it in order. `doorstep token` makes tokens for it.
    Serve(Serve),
    /// Serves a log alone by KurrentDB's protocol, appends included.
    ///
    /// For tests, and for a small log that several programs share. Nothing is decided here: who may append appends what
    /// they like. Readers need a token of role auditor or service, who appends one of role service; without --auth-key
    /// everyone may do both, and it listens on this machine alone.
    Store(Store),
    /// Prints a bearer token for a service.
    ///
    /// It is signed with the key of the data folder, or with --auth-key: give the same as `serve` has. It works beside a
    /// running service.
    Token(Token),
    /// Carries out commands from a file, one JSON object a line, strictly in order.
    ///
    /// Run again after a stop or a kill, it goes on where it was and does nothing twice. No service may run over the data
    /// folder meanwhile.
    Import(Import),
    /// Prints events, one JSON object a line, or writes them to a file.
    ///
    /// Of a data folder at rest, or of a running service with --url and a token of role auditor or service.
    Events(Events),
    /// Prints what was known of a member or in a conversation as of a moment, or what changed between two, as JSON.
    ///
    /// Of a running service with --url and a token of role auditor, which records that it was looked at; or of a data folder
    /// at rest, which reads the whole log and records nothing.
    Audit(Audit),
    /// Checks every record of the log, and prints what it found.
    ///
    /// Of a data folder at rest, or of a running service with --url and a token of role operator or service.
    Verify(Verify),
    /// Copies the log into a folder that `restore` takes.
    ///
    /// Of a data folder at rest, or of a running service with --url and a token of role operator or service. Keys are not
    /// copied: without the file `keys` tokens have to be made anew.
    Backup(Backup),
    /// Brings a backup back into a data folder without a log, as a log of its own.
    Restore(Restore),
    /// Copies a log to another place, event by event: from a data folder to a KurrentDB cluster, back, or between two of a kind.
    ///
    /// Streams, versions, ids, types, times and data stay as they are, and so does the order of the whole log; the log's id is
    /// new. Run again after a stop or a kill, or when the source has grown, it goes on where the copy ends. At the end both
    /// logs are compared by a digest over all their events.
    Copy(Copy),
    /// Raises the schema level of a log to the newest that this program knows.
    ///
    /// From then on it is written in the newest types and versions, and programs that know less refuse it: do it when none
    /// of them will read the log again. There is no way back. No service may run over the data folder meanwhile; those over
    /// a cluster's log may, and take the level up.
    RaiseLevel(RaiseLevel),
    /// Tells how the read views are; proves one, makes it anew, or goes back to the one before.
    ///
    /// `list`, `verify NAME`: folds the log once more and compares; `rebuild NAME`: makes it anew beside the one that is
    /// served, and switches. Of a running service with --url and a token of role operator or service, or of a data folder
    /// that no other process holds.
    Views(Views),
    /// Prints every setting with its value and where that comes from, secrets hidden.
    ///
    /// It takes the flags of all other commands, and refuses what they would.
    Config(Config),
    /// Measures this build on this machine, each figure beside its baseline.
    Bench(Bench),
    /// Simulates many nodes over one cluster: conflicts, lag and hot conversations, from 1 to 64 nodes.
    ///
    /// Nothing is measured: the decisions are the program's own, the times of network and cluster are assumed, and the same
    /// seed gives the same figures.
    Simulate(Simulate),
    /// Prints the commands of the college workload, for `import`.
    Workload(Workload),
}

/// The data folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct Folder {
    /// The folder that holds all state: the log, the signing key, and what is made from the log.
    #[arg(long, value_name = "DIR", default_value = "./doorstep-data")]
    pub(crate) data: PathBuf,
}

/// The files of a data folder's log.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogArgs {
    /// The size of a log segment, in bytes, zero-filled ahead: 16384 to 1073741824.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024,
          value_parser = |text: &str| within::<u64>(text, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX), allow_negative_numbers = true)]
    pub(crate) segment_bytes: u64,
    /// Nothing is appended while the file system has less free than this, in bytes; commands are refused then.
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024 * 1024, value_parser = number,
          allow_negative_numbers = true)]
    pub(crate) reserve_bytes: u64,
}

/// The store and its bounds.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArgs {
    /// The event store: `embedded`, the data folder's own, or a KurrentDB cluster by its connection string
    /// (`esdb://user:password@host:2113`).
    #[arg(long, value_name = "URL", default_value = "embedded")]
    pub(crate) store: String,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// The caches of the tables.
#[derive(Debug, Clone, Args)]
pub(crate) struct CacheArgs {
    /// The cache that all views share, in bytes: at least 1048576.
    #[arg(long, value_name = "BYTES", default_value_t = 128 * 1024 * 1024,
          value_parser = |text: &str| within::<usize>(text, CACHE_BYTES_MIN, CACHE_BYTES_MAX), allow_negative_numbers = true)]
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
    /// Proves every view against the log within each such time, one after the other, such as `24h`: 60s at least.
    #[arg(long, value_name = "TIME", value_parser = verify_views_every)]
    pub(crate) verify_views_every: Option<Duration>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) key: KeyArgs,
    #[command(flatten)]
    pub(crate) door: DoorArgs,
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
    /// The roles it carries, one or several with commas between.
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
    #[arg(long, value_name = "POSITION", default_value_t = 0, value_parser = number, allow_negative_numbers = true)]
    pub(crate) after: u64,
    /// Events up to this position only, itself included; to the end of the log as it is, unless given.
    #[arg(long, value_name = "POSITION", value_parser = number, allow_negative_numbers = true)]
    pub(crate) until: Option<u64>,
    /// Events of this stream only: `policy`, or `conversation-`, `member-`, `case-`, `act-` or `reactor-` and an id.
    #[arg(long, value_name = "STREAM")]
    pub(crate) stream: Option<String>,
    /// Events of this type only, such as `message-sent.v1`; without `.v1`, of every version.
    #[arg(long = "type", id = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
    /// Events only that concern this member, or that they did: a member, a moderator, the host.
    #[arg(long, value_name = "ID", value_parser = member)]
    pub(crate) member: Option<String>,
    /// Goes on with what is appended from now on; needs `--url`.
    #[arg(long)]
    pub(crate) follow: bool,
    /// The form of what is written: lines of JSON, or a Parquet file, which needs `--out`.
    #[arg(long, value_name = "FORM", default_value = "json")]
    pub(crate) format: Format,
    /// Writes to this file instead of standard output, which then tells how many events it has. The file is there when it
    /// is whole, and not before.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Writes over the file of `--out` where it is there.
    #[arg(long)]
    pub(crate) force: bool,
}

/// The form of events that are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// What `audit` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditWhat {
    /// A member's setting, inbox, requests, unread counts and blocks.
    Member,
    /// What was said and known in a conversation.
    Conversation,
    /// What changed for a member, or in a conversation.
    Diff,
    /// Who was shown what is a member's, the latest look first.
    Disclosures,
}

/// `audit`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Audit {
    /// What to print.
    #[arg(value_name = "WHAT", value_enum)]
    pub(crate) what: AuditWhat,
    /// The member's id, or the conversation's; for `diff` either.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The moment: a position, or a time such as `2026-01-31T12:00:00Z`; the end of the log when absent.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) as_of: Option<String>,
    /// For `diff`: the first moment.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) from: Option<String>,
    /// For `diff`: the second moment.
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub(crate) to: Option<String>,
    /// What for, 1-64 of `a-z 0-9 _`, which a service records with the look; `audit` when absent.
    #[arg(long, value_name = "CODE", value_parser = purpose)]
    pub(crate) purpose: Option<String>,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) remote: Remote,
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

/// `raise-level`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RaiseLevel {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// The event store: `embedded`, the data folder's own, or a KurrentDB cluster by its connection string
    /// (`esdb://user:password@host:2113`).
    #[arg(long, value_name = "URL", default_value = "embedded")]
    pub(crate) store: String,
}

/// `views`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Views {
    /// What to do.
    #[arg(value_name = "ACTION", value_parser = ["list", "verify", "rebuild", "letters", "retry", "skip"])]
    pub(crate) action: String,
    /// The view to do it to.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// With `rebuild`: serves the file again that was served before the last rebuild, and keeps the other one.
    #[arg(long)]
    pub(crate) rollback: bool,
    /// With `rebuild`: gives up the file that was served before the last rebuild.
    #[arg(long)]
    pub(crate) drop_previous: bool,
    /// With `retry` and `skip`: the stream of the event that is meant.
    #[arg(long, value_name = "STREAM", requires = "event_version")]
    pub(crate) event_stream: Option<String>,
    /// With `retry` and `skip`: the event's version in its stream.
    #[arg(long, value_name = "N", requires = "event_stream")]
    pub(crate) event_version: Option<u64>,
    /// With `skip`: why, as a code of 1 to 64 of the characters a-z 0-9 _.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// With `skip`: why, in words.
    #[arg(long, value_name = "TEXT", requires = "reason")]
    pub(crate) text: Option<String>,
    /// How often a line tells how far it is, where standard error is no terminal, such as `10s`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) progress: Duration,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
}

/// `config`: takes every flag of the others, so that one can see what a command line would mean.
#[derive(Debug, Clone, Args)]
pub(crate) struct Config {}

/// `bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bench {
    /// How many events the log holds when views, pages, memory and opening are measured.
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = |text: &str| within::<u64>(text, 1, u64::MAX), allow_negative_numbers = true)]
    pub(crate) events: u64,
    /// How long many callers send with all views on, in seconds.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = |text: &str| within::<u64>(text, 1, 24 * 60 * 60), allow_negative_numbers = true)]
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

/// `simulate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Simulate {
    /// What chance begins with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// So many nodes, in place of 1 to 64.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = |text: &str| within::<usize>(text, 1, 128),
          allow_negative_numbers = true)]
    pub(crate) nodes: Vec<usize>,
    /// Prints the figures and what is assumed as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// A short run with few nodes, that shows only that it works.
    #[arg(long)]
    pub(crate) smoke: bool,
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

/// Reads how often all views are proved.
fn verify_views_every(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if every < VERIFY_VIEWS_EVERY_MIN {
        return Err("it is 60s at least: each view reads the whole log".to_owned());
    }
    Ok(every)
}

/// Reads a whole number.
fn number(text: &str) -> Result<u64, String> {
    within(text, 0, u64::MAX)
}

/// Reads a whole number within bounds.
fn within<N: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<N, String> {
    text.parse::<u64>()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(|| format!("it is a whole number from {least} to {most}"))
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

/// Reads a position or a time.
fn moment(text: &str) -> Result<String, String> {
    match api::audit_documents::when(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("a moment is a position, or a time such as 2026-01-31T12:00:00Z".to_owned()),
    }
}

/// Reads what something is looked at for.
fn purpose(text: &str) -> Result<String, String> {
    match ReasonCode::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a purpose is 1 to 64 of the characters a-z 0-9 _".to_owned()),
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
        _ => return Err("a time is a number and one of s, m, h, d, such as 90s or 1h".to_owned()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(seconds))
        .filter(|n| (1..=10 * 365 * 24 * 3600).contains(n))
        .map(Duration::from_secs)
        .ok_or_else(|| "a time is between 1s and ten years (3650d)".to_owned())
}

//! Where a setting comes from: flag over environment over `doorstep.toml` over default.
//!
//! `clap` resolves all of it: each flag is given the environment variable of its name, and what the file says becomes
//! its default. So every flag has all three without being listed anywhere, and a key of the file that is no flag is
//! refused. `config` prints the outcome with its sources; it takes the flags of every subcommand for that.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::failure::Failure;

/// The file that is read when it is there and no other is named.
const FILE_DEFAULT: &str = "doorstep.toml";

/// Flags whose value is never printed.
const SECRETS: [&str; 1] = ["token"];

/// The parsed command line, with where each value comes from.
pub(crate) struct Settings {
    /// What was asked.
    pub(crate) cli: Cli,
    matches: ArgMatches,
    file: Option<FileSettings>,
}

/// The values that one configuration file gives.
struct FileSettings {
    path: PathBuf,
    values: BTreeMap<String, Vec<String>>,
}

/// The layer a value comes from, the strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The program's own.
    Default,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// The command line.
    Flag,
}

impl Settings {
    /// Reads the command line, the environment and the configuration file.
    pub(crate) fn read(args: impl Iterator<Item = OsString>) -> Result<Self, Outcome> {
        let args: Vec<OsString> = args.collect();
        let file = read_file(&args).map_err(Outcome::Failure)?;
        let command = layered(file.as_ref()).map_err(Outcome::Failure)?;
        let matches = command.try_get_matches_from(args).map_err(Outcome::Clap)?;
        let cli = Cli::from_arg_matches(&matches).map_err(Outcome::Clap)?;
        Ok(Self { cli, matches, file })
    }

    /// Where the flag `id` of the subcommand in force has its value from.
    pub(crate) fn source(&self, id: &str) -> Source {
        let matches = self.matches.subcommand().map_or(&self.matches, |(_, m)| m);
        match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Source::Flag,
            Some(ValueSource::EnvVariable) => Source::Environment,
            _ if self
                .file
                .as_ref()
                .is_some_and(|f| f.values.contains_key(id)) =>
            {
                Source::File
            }
            _ => Source::Default,
        }
    }

    /// What is in force, as lines of TOML with their source beside them; secrets hidden.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Some((_, matches)) = self.matches.subcommand() else {
            return Vec::new();
        };
        let mut ids: Vec<String> = matches.ids().map(|id| id.as_str().to_owned()).collect();
        ids.extend(
            flags_of_all()
                .into_iter()
                .map(|arg| arg.get_id().as_str().to_owned()),
        );
        ids.sort();
        ids.dedup();
        let known: Vec<Arg> = flags_of_all();
        let mut lines = Vec::new();
        for arg in known
            .iter()
            .filter(|arg| ids.iter().any(|id| arg.get_id() == id.as_str()))
        {
            let id = arg.get_id().as_str();
            let values: Vec<String> = matches
                .get_raw(id)
                .map(|raw| raw.map(|v| v.to_string_lossy().into_owned()).collect())
                .unwrap_or_default();
            let shown = if values.is_empty() {
                "# not set:".to_owned()
            } else if SECRETS.contains(&id) {
                "\"(hidden)\"".to_owned()
            } else {
                toml_value(arg, &values)
            };
            let place = match self.source(id) {
                Source::Flag => format!("flag --{}", id.replace('_', "-")),
                Source::Environment => format!("environment {}", variable(id)),
                Source::File => self
                    .file
                    .as_ref()
                    .map_or_else(String::new, |f| format!("file {}", f.path.display())),
                Source::Default => "default".to_owned(),
            };
            if values.is_empty() {
                lines.push(format!("# {id} is not set"));
            } else {
                lines.push(format!("{id} = {shown}  # {place}"));
            }
        }
        lines.sort_by_key(|line| line.trim_start_matches("# ").to_owned());
        lines
    }
}

/// Why the settings could not be read.
pub(crate) enum Outcome {
    /// Told by `clap`: wrong usage, or help that was asked for.
    Clap(clap::Error),
    /// A configuration file that cannot be meant.
    Failure(Failure),
}

/// The environment variable of a flag.
fn variable(id: &str) -> String {
    format!("DOORSTEP_{}", id.to_ascii_uppercase())
}

/// The flags of every subcommand, each once.
fn flags_of_all() -> Vec<Arg> {
    let root = Cli::command();
    let mut flags: BTreeMap<String, Arg> = BTreeMap::new();
    for command in std::iter::once(&root).chain(root.get_subcommands()) {
        for arg in command.get_arguments().filter(|arg| is_setting(arg)) {
            flags
                .entry(arg.get_id().to_string())
                .or_insert_with(|| arg.clone());
        }
    }
    flags.into_values().collect()
}

/// Whether an argument is a flag that can be set from outside the command line.
fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some()
        && !matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        )
}

/// The command line with the environment and the file laid under it.
fn layered(file: Option<&FileSettings>) -> Result<Command, Failure> {
    let all = flags_of_all();
    if let Some(file) = file {
        for key in file.values.keys() {
            if key == "config" || !all.iter().any(|arg| arg.get_id() == key.as_str()) {
                return Err(Failure::usage(format!(
                    "{}: unknown key `{key}`",
                    file.path.display()
                )));
            }
        }
    }
    let globals: Vec<String> = Cli::command()
        .get_arguments()
        .filter(|arg| is_setting(arg))
        .map(|arg| arg.get_id().to_string())
        .collect();
    let root = Cli::command().mut_args(|arg| layer(arg, file));
    Ok(root.mut_subcommands(|sub| {
        if sub.get_name() == "config" {
            let extra = all
                .iter()
                .filter(|arg| !globals.iter().any(|id| arg.get_id() == id.as_str()))
                .map(|arg| layer(arg.clone().required(false), file));
            sub.args(extra)
        } else {
            sub.mut_args(|arg| layer(arg, file))
        }
    }))
}

/// One flag with its environment variable, and with the file's value for its default.
fn layer(arg: Arg, file: Option<&FileSettings>) -> Arg {
    if !is_setting(&arg) {
        return arg;
    }
    let id = arg.get_id().as_str().to_owned();
    let arg = arg.env(variable(&id));
    let arg = if matches!(arg.get_action(), ArgAction::SetTrue) {
        arg.value_parser(BoolishValueParser::new())
    } else {
        arg
    };
    match file.and_then(|file| file.values.get(&id)) {
        Some(values) => arg.required(false).default_values(values.clone()),
        None => arg,
    }
}

/// Reads the configuration file that the command line or the environment names, or the one that lies there.
fn read_file(args: &[OsString]) -> Result<Option<FileSettings>, Failure> {
    let named = named_file(args).or_else(|| {
        std::env::var_os("DOORSTEP_CONFIG")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    });
    let path = match named {
        Some(path) => path,
        None if Path::new(FILE_DEFAULT).exists() => PathBuf::from(FILE_DEFAULT),
        None => return Ok(None),
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!(
            "cannot read the configuration file {}: {error}",
            path.display()
        ))
    })?;
    let table: toml::Table = text
        .parse()
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let strings = strings_of(&value).ok_or_else(|| {
            Failure::usage(format!(
                "{}: `{key}` must be a value, or a list of values",
                path.display()
            ))
        })?;
        values.insert(key, strings);
    }
    Ok(Some(FileSettings { path, values }))
}

/// The value of `--config` on the command line.
fn named_file(args: &[OsString]) -> Option<PathBuf> {
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == OsStr::new("--") {
            return None;
        }
        if arg == OsStr::new("--config") {
            return rest.next().map(PathBuf::from);
        }
        if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(PathBuf::from(value));
        }
    }
    None
}

/// A TOML value as the strings that `clap` would have been given.
fn strings_of(value: &toml::Value) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text.clone()]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Boolean(flag) => Some(vec![flag.to_string()]),
        toml::Value::Array(items) => {
            let lists: Option<Vec<Vec<String>>> = items.iter().map(strings_of).collect();
            lists.map(|lists| lists.concat())
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// A value in the form the file would have it.
fn toml_value(arg: &Arg, values: &[String]) -> String {
    let one = |text: &str| {
        if text.parse::<u64>().is_ok() || text == "true" || text == "false" {
            text.to_owned()
        } else {
            toml::Value::String(text.to_owned()).to_string()
        }
    };
    if matches!(arg.get_action(), ArgAction::Append) || values.len() > 1 {
        format!(
            "[{}]",
            values.iter().map(|v| one(v)).collect::<Vec<_>>().join(", ")
        )
    } else {
        values.first().map_or_else(String::new, |v| one(v))
    }
}

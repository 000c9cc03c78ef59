//! Where a setting comes from: flag over environment over `doorstep.toml` over default.
//!
//! `clap` resolves all of it: each flag is given the environment variable of its name, and what the file says becomes
//! its default. So every flag has all three without being listed anywhere, and a key of the file that is no flag is
//! refused. A value that cannot be meant is told with the layer it comes from, before anything is done. `config` prints
//! the outcome with its sources; it takes the flags of every subcommand for that.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use kurrent::client::Connection;

use crate::cli::Cli;
use crate::copy::Place;
use crate::failure::Failure;
use crate::log::EMBEDDED;

/// The file that is read when it is there and no other is named.
const FILE_DEFAULT: &str = "doorstep.toml";

/// Flags whose value is never printed.
const SECRETS: [&str; 1] = ["token"];
/// What is printed in place of a secret.
const HIDDEN: &str = "(hidden)";
/// Variables of the project's tests, which mean nothing to the program.
const OF_TESTS: [&str; 6] = [
    "DOORSTEP_SHARED_DATA",
    "DOORSTEP_KURRENT_URL",
    "DOORSTEP_UPDATE_DOCS",
    "DOORSTEP_NODES_SEED",
    "DOORSTEP_NODES_MESSAGES",
    "DOORSTEP_OUTAGE_S",
];
/// What the variables of all settings begin with.
const PREFIX: &str = "DOORSTEP_";

/// The parsed command line, with where each value comes from.
pub(crate) struct Settings {
    /// What was asked.
    pub(crate) cli: Cli,
    matches: ArgMatches,
    file: Option<FileSettings>,
}

/// The values that one configuration file gives.
struct FileSettings {
    /// Where it is, from the root.
    path: PathBuf,
    /// Why it is this file.
    named_by: Source,
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
        let matches = command
            .try_get_matches_from(&args)
            .map_err(|error| told(error, &args, file.as_ref()))?;
        let cli =
            Cli::from_arg_matches(&matches).map_err(|error| told(error, &args, file.as_ref()))?;
        let settings = Self { cli, matches, file };
        settings.check().map_err(Outcome::Failure)?;
        Ok(settings)
    }

    /// Checks the values that the command line alone does not tell to be none.
    fn check(&self) -> Result<(), Failure> {
        for (id, check) in [
            ("store", check_store as fn(&str) -> Result<(), String>),
            ("auth_key", check_auth_key),
            ("url", check_url),
            ("token", check_token),
            ("copy_from", check_place),
            ("copy_to", check_place),
        ] {
            let Some(value) = self.values(id).into_iter().next() else {
                continue;
            };
            check(&value).map_err(|why| {
                let place = self.place(id);
                Failure::usage(format!("{}: {why} (from {place})", flag(id)))
            })?;
        }
        Ok(())
    }

    /// The matches of the subcommand in force.
    fn in_force(&self) -> &ArgMatches {
        self.matches.subcommand().map_or(&self.matches, |(_, m)| m)
    }

    /// The values of a flag of the subcommand in force, as they were given.
    fn values(&self, id: &str) -> Vec<String> {
        match self.in_force().try_get_raw(id) {
            Ok(Some(raw)) => raw.map(|v| v.to_string_lossy().into_owned()).collect(),
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    /// Where the flag `id` of the subcommand in force has its value from.
    pub(crate) fn source(&self, id: &str) -> Source {
        match self.in_force().value_source(id) {
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

    /// The same in words.
    fn place(&self, id: &str) -> String {
        place(id, self.source(id), self.file.as_ref())
    }

    /// What is in force, as lines of TOML with their source beside them; secrets hidden.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = flags_of_all()
            .iter()
            .filter(|arg| !arg.is_hide_set())
            .map(|arg| {
                let id = arg.get_id().as_str();
                if id == CONFIG {
                    return self.file_line();
                }
                let place = self.place(id);
                let values = self.values(id);
                if values.is_empty() {
                    format!("# {id} is not set  # {place}")
                } else if SECRETS.contains(&id) {
                    format!("# {id} = {}  # {place}", toml::Value::from(HIDDEN))
                } else {
                    let shown: Vec<String> = values.iter().map(|v| without_password(v)).collect();
                    // What is hidden is no value to be used.
                    let hidden = if shown == values { "" } else { "# " };
                    format!("{hidden}{id} = {}  # {place}", toml_value(arg, &shown))
                }
            })
            .collect();
        lines.sort_by_key(|line| line.trim_start_matches("# ").to_owned());
        lines
    }

    /// Which file is in force; a comment, because a file cannot name another one.
    fn file_line(&self) -> String {
        let Some(file) = &self.file else {
            return format!(
                "# {CONFIG} is not set, and there is no {FILE_DEFAULT} here  # default"
            );
        };
        let path = toml::Value::from(file.path.display().to_string());
        let place = match file.named_by {
            Source::Default | Source::File => format!("default, {FILE_DEFAULT} in this folder"),
            named @ (Source::Environment | Source::Flag) => place(CONFIG, named, None),
        };
        format!("# {CONFIG} = {path}  # {place}")
    }
}

/// The flag that names the configuration file.
const CONFIG: &str = "config";

/// A flag as it is written.
fn flag(id: &str) -> String {
    let name = SHARED.iter().find(|(own, _)| *own == id);
    let name = name.map_or(id, |(_, name)| name);
    format!("--{}", name.replace('_', "-"))
}

/// Settings whose flag another subcommand has for something else: `config`, which takes all flags, has it under the
/// setting's own name.
const SHARED: [(&str, &str); 2] = [("copy_from", "from"), ("copy_to", "to")];

/// A flag under its setting's own name.
fn under_own_name(arg: Arg) -> Arg {
    let id = arg.get_id().as_str();
    if SHARED.iter().any(|(own, _)| *own == id) {
        let name = id.replace('_', "-");
        arg.long(name)
    } else {
        arg
    }
}

/// A layer in words.
fn place(id: &str, source: Source, file: Option<&FileSettings>) -> String {
    match (source, file) {
        (Source::Flag, _) => format!("flag {}", flag(id)),
        (Source::Environment, _) => format!("environment {}", variable(id)),
        (Source::File, Some(file)) => format!("file {}", file.path.display()),
        (Source::File, None) | (Source::Default, _) => "default".to_owned(),
    }
}

/// A connection string or an address without the password that it may hold.
fn without_password(value: &str) -> String {
    match value.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('@') {
            Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}"),
            None => value.to_owned(),
        },
        None => value.to_owned(),
    }
}

/// The store has to be one that there is.
fn check_store(store: &str) -> Result<(), String> {
    if store == EMBEDDED {
        return Ok(());
    }
    if !store.contains("://") {
        return Err(format!(
            "`{}` is neither `embedded` nor a connection string",
            without_password(store)
        ));
    }
    // Its words hold no credentials.
    Connection::parse(store)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// What is copied from or to has to be a place where a log can be.
fn check_place(place: &str) -> Result<(), String> {
    Place::parse(place).map(|_| ())
}

/// Whether a signing key of its own can be one.
fn check_auth_key(file: &str) -> Result<(), String> {
    api::KeySet::check(Path::new(file)).map_err(|error| error.to_string())
}

/// Whether a service can be reached at an address.
fn check_url(url: &str) -> Result<(), String> {
    let told = without_password(url);
    if !url.starts_with("http://") {
        return Err(format!(
            "`{told}` does not begin with http://; put what ends TLS in front on this machine"
        ));
    }
    match reqwest::Url::parse(url) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{told}` is not a URL: {error}")),
    }
}

/// Whether a token can stand in a header. It is told of without its text.
fn check_token(token: &str) -> Result<(), String> {
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("that is no token: it has white space in it, or nothing".to_owned())
    }
}

/// What `clap` says is wrong, and where the value comes from that it is wrong with.
fn told(error: clap::Error, args: &[OsString], file: Option<&FileSettings>) -> Outcome {
    let id = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name
            .trim_start_matches("--")
            .split([' ', '=', '<'])
            .next()
            .unwrap_or_default()
            .replace('-', "_"),
        _ => String::new(),
    };
    let concerns_value = matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::WrongNumberOfValues
    );
    let from = if concerns_value {
        source_of(&id, args, file)
    } else {
        Source::Default
    };
    let place = match from {
        Source::Environment | Source::File | Source::Flag => Some(place(&id, from, file)),
        Source::Default => None,
    };
    Outcome::Clap(error, place)
}

/// The layer that a value comes from, where parsing did not come to an end.
fn source_of(id: &str, args: &[OsString], file: Option<&FileSettings>) -> Source {
    let (flag, set) = (flag(id), format!("{}=", flag(id)));
    if args
        .iter()
        .filter_map(|arg| arg.to_str())
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == flag || arg.starts_with(&set))
    {
        Source::Flag
    } else if std::env::var_os(variable(id)).is_some() {
        Source::Environment
    } else if file.is_some_and(|file| file.values.contains_key(id)) {
        Source::File
    } else {
        Source::Default
    }
}

/// What is told of variables that look like settings and are none.
pub(crate) fn unknown_variables() -> Vec<String> {
    let known: Vec<String> = flags_of_all()
        .iter()
        .map(|arg| arg.get_id().as_str().to_ascii_uppercase())
        .collect();
    let mut unknown: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| !OF_TESTS.contains(&name.as_str()))
        .filter_map(|name| Some(name.strip_prefix(PREFIX)?.to_owned()))
        .filter(|name| !known.contains(name))
        .collect();
    unknown.sort();
    unknown
        .into_iter()
        .map(|name| {
            let meant = api::near::meant(&name, known.iter().map(String::as_str));
            let more = meant.map_or_else(
                || "`doorstep config` lists them".to_owned(),
                |meant| format!("{PREFIX}{meant} is one"),
            );
            format!("warning: the environment variable {PREFIX}{name} is no setting; {more}")
        })
        .collect()
}

/// Why the settings could not be read.
pub(crate) enum Outcome {
    /// Told by `clap`: wrong usage, and where the wrong value comes from; or help that was asked for.
    Clap(clap::Error, Option<String>),
    /// A configuration file that cannot be meant.
    Failure(Failure),
}

/// The environment variable of a flag.
fn variable(id: &str) -> String {
    format!("{PREFIX}{}", id.to_ascii_uppercase())
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
            let mut known = all.iter().map(|arg| arg.get_id().as_str());
            if key == CONFIG || !known.clone().any(|known| known == key) {
                let known = known.by_ref().filter(|known| *known != CONFIG);
                let meant = api::near::meant(key, known)
                    .map_or_else(String::new, |meant| format!("; `{meant}` is one"));
                return Err(Failure::usage(format!(
                    "{}: unknown key `{key}`{meant}",
                    file.path.display()
                )));
            }
        }
    }
    for arg in &all {
        let values = file.and_then(|file| Some((file, file.values.get(arg.get_id().as_str())?)));
        if let Some((file, values)) = values
            && values.len() != 1
            && !matches!(arg.get_action(), ArgAction::Append)
        {
            return Err(Failure::usage(format!(
                "{}: `{}` takes one value",
                file.path.display(),
                arg.get_id()
            )));
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
                .map(|arg| layer(under_own_name(arg.clone()).required(false), file));
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
    let of_environment = || {
        std::env::var_os(variable(CONFIG))
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let (path, named_by) = if let Some(path) = named_file(args) {
        (path, Source::Flag)
    } else if let Some(path) = of_environment() {
        (path, Source::Environment)
    } else if Path::new(FILE_DEFAULT).exists() {
        (PathBuf::from(FILE_DEFAULT), Source::Default)
    } else {
        return Ok(None);
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!(
            "cannot read the configuration file {}: {error} (from {})",
            path.display(),
            place(CONFIG, named_by, None)
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
    Ok(Some(FileSettings {
        path,
        named_by,
        values,
    }))
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

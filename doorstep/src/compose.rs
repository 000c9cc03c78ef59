//! How the parts are put together over one data folder: the only place that names a storage engine.
//!
//! `DIR/log` is the event log and `DIR/lock` who holds it; `DIR/views` and `DIR/write` are tables made from the log;
//! `DIR/keys` is the secret that signs; `DIR/backups-on-their-way` is what is being sent; `DIR/copying` says that the log is
//! not whole yet. Only the log and the keys cannot be made again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use api::KeySet;
use clap::CommandFactory as _;
use commands::{CommandHandler, Mode};
use domain::codec::LEVEL;
use domain::policy::Rules;
use event_store::backend::{Backend as _, RealBackend};
use event_store::{EmbeddedStore, EventStore, LogAtRest, OpenError};
use projections::ReadSide;

use crate::cli::{self, KeyArgs, LogArgs, StoreArgs};
use crate::failure::Failure;
use crate::log::EMBEDDED;

/// The log of a data folder.
pub(crate) type Store = Arc<EmbeddedStore>;

/// A data folder, whether it is there or not.
#[derive(Debug, Clone)]
pub(crate) struct DataFolder {
    path: PathBuf,
}

impl DataFolder {
    /// The folder at this path.
    pub(crate) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The read side's tables.
    pub(crate) fn views(&self) -> PathBuf {
        self.path.join("views")
    }

    /// The write side's tables.
    pub(crate) fn write(&self) -> PathBuf {
        self.path.join("write")
    }

    /// The secret that signs.
    pub(crate) fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// What backups are laid out in while they are sent; emptied at every opening.
    pub(crate) fn backups(&self) -> PathBuf {
        self.path.join("backups-on-their-way")
    }

    /// What is there while a copy into the folder is not finished.
    pub(crate) fn copying(&self) -> PathBuf {
        self.path.join("copying")
    }

    /// Itself, when it holds a log: what reads must not make one.
    pub(crate) fn existing(&self, on_cluster: OnCluster) -> anyhow::Result<&Self> {
        let log = self.path.join("log");
        match std::fs::metadata(&log) {
            Ok(metadata) if metadata.is_dir() && self.has_log() => Ok(self),
            Ok(metadata) if !metadata.is_dir() => {
                anyhow::bail!("{} is not a folder", log.display())
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot look into {}", self.path.display()))
            }
            Ok(_) | Err(_) => anyhow::bail!(
                "{} holds no log; --data names the folder of a service or an import, and a log on a cluster is {}",
                self.path.display(),
                on_cluster.words()
            ),
        }
    }

    /// Whether it is a backup, which nothing is written to.
    pub(crate) fn is_backup(&self) -> bool {
        event_store::is_backup(&RealBackend, &self.path)
    }

    /// Whether a log was begun here. An empty folder is none; one that may not be looked into is taken for one.
    pub(crate) fn has_log(&self) -> bool {
        let log = self.path.join("log");
        log.is_dir() && std::fs::read_dir(log).map_or(true, |mut files| files.next().is_some())
    }

    /// Whether there are tables here that were made from a log which is not here: one on a cluster, or one that is lost.
    pub(crate) fn is_anothers(&self) -> bool {
        !self.has_log() && (self.views().is_dir() || self.write().is_dir())
    }

    /// Refuses a log that a copy has not come to the end of: it lacks what came last.
    pub(crate) fn copied_whole(&self) -> anyhow::Result<()> {
        let copying = self.copying();
        anyhow::ensure!(
            !copying.exists(),
            "a copy into {} was not finished, as {} says: run the same `doorstep copy` again, and it goes on",
            self.path.display(),
            copying.display()
        );
        Ok(())
    }

    /// Says to who reads it what [`Self::copied_whole`] refuses to who would go on from it.
    pub(crate) fn tells_of_half(&self) {
        if let Err(half) = self.copied_whole() {
            tracing::warn!("{half}; until then it holds the first part of a log");
        }
    }

    /// Whether a process has held it.
    pub(crate) fn was_held(&self) -> bool {
        self.path.join("lock").is_file()
    }

    /// Makes the folder where there is none.
    pub(crate) fn create(&self) -> anyhow::Result<&Self> {
        std::fs::create_dir_all(&self.path)
            .with_context(|| format!("cannot make the data folder {}", self.path.display()))?;
        Ok(self)
    }
}

/// How a command comes to a log on a cluster, where it is given a folder without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCluster {
    /// A service over it answers.
    Asked,
    /// `--store` names it.
    Named,
    /// Not at all.
    CaredForThere,
}

impl OnCluster {
    /// As the end of a sentence.
    fn words(self) -> &'static str {
        match self {
            Self::Asked => "asked by --url of a service that runs over it",
            Self::Named => "named by --store",
            Self::CaredForThere => "checked and backed up with the cluster's own means",
        }
    }
}

/// Opens the log of a data folder, or makes one.
pub(crate) fn open_store(folder: &DataFolder, args: &StoreArgs) -> Result<Store, Failure> {
    not_anothers(folder)?;
    room_to_begin(folder, args.log.reserve_bytes)?;
    folder.create()?;
    let mut options = store_options(args.log);
    options.observer = Some(api::metering::batches());
    let store = open_embedded(folder, options)?;
    // Now that nobody is on the way to its end.
    folder.copied_whole()?;
    Ok(Arc::new(store))
}

/// A log is not begun beside what was made from another one: whoever leaves out --store is not to find a service without
/// its messages.
fn not_anothers(folder: &DataFolder) -> Result<(), Failure> {
    if !folder.is_anothers() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{0} holds tables made from a log (`views` or `write`) and no log: name the cluster of its log with --store, or bring {0}/log back; a new log needs an empty folder",
        folder.path().display()
    )))
}

/// A log is not begun where the disk has less free than is kept free: its first command would be refused.
pub(crate) fn room_to_begin(folder: &DataFolder, reserve_bytes: u64) -> Result<(), Failure> {
    if folder.has_log() {
        return Ok(());
    }
    let path = std::path::absolute(folder.path())?;
    let there = path.ancestors().find(|above| above.is_dir());
    let Some(Ok(free)) = there.map(|there| RealBackend.free_bytes(there)) else {
        // Making the folder tells why.
        return Ok(());
    };
    if free >= reserve_bytes {
        return Ok(());
    }
    Err(anyhow::anyhow!(
        "{} is not begun: its disk has {free} bytes free, and `reserve_bytes` keeps {reserve_bytes} of them; make room, or set a smaller reserve",
        folder.path().display()
    )
    .into())
}

/// Opens the log of a data folder that has one, or of a backup, to read it; the folder stays as it is.
pub(crate) fn open_at_rest(
    folder: &DataFolder,
    on_cluster: OnCluster,
) -> Result<LogAtRest, Failure> {
    folder.existing(on_cluster)?;
    folder.tells_of_half();
    let options = event_store::Options {
        schema_level: LEVEL,
        ..event_store::Options::default()
    };
    let opened = LogAtRest::open(folder.path(), &options);
    Ok(opened.map_err(|error| open_failed(folder, &error, Asking::ToRead))?)
}

/// Opens the log of a data folder that has one, to follow it with the views; its events stay as they are.
pub(crate) fn open_to_care(folder: &DataFolder, args: &StoreArgs) -> Result<Store, Failure> {
    folder.existing(OnCluster::Named)?;
    folder.tells_of_half();
    let mut options = store_options(args.log);
    options.schema_level = LEVEL;
    let store = EmbeddedStore::open(folder.path(), options)
        .map_err(|error| open_failed(folder, &error, Asking::ToRead))?;
    Ok(Arc::new(store))
}

/// The engine's options with these bounds.
pub(crate) fn store_options(log: LogArgs) -> event_store::Options {
    event_store::Options {
        segment_bytes: log.segment_bytes,
        reserve_bytes: log.reserve_bytes,
        ..event_store::Options::default()
    }
}

/// Opens the engine, and takes away what a killed backup left; what the engine's errors need is said here.
pub(crate) fn open_embedded(
    folder: &DataFolder,
    options: event_store::Options,
) -> anyhow::Result<EmbeddedStore> {
    open_at_level(folder, options, LEVEL)
}

/// The same at another schema level: that of a log that is begun, and the highest of one that is there.
pub(crate) fn open_at_level(
    folder: &DataFolder,
    mut options: event_store::Options,
    schema_level: u32,
) -> anyhow::Result<EmbeddedStore> {
    options.schema_level = schema_level;
    let store = EmbeddedStore::open(folder.path(), options)
        .map_err(|error| open_failed(folder, &error, Asking::ToWrite))?;
    // The folder is this process's now: nobody sends what is there.
    let left = folder.backups();
    match std::fs::remove_dir_all(&left) {
        Ok(()) => tracing::debug!(folder = %left.display(), "nothing is left of earlier backups"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            let folder = left.display();
            tracing::warn!(%folder, %error, "what a killed backup left cannot be taken away");
        }
    }
    Ok(store)
}

/// What a log was to be opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// By a command that can ask a running service instead.
    ToRead,
    /// By a command that needs the folder for itself.
    ToWrite,
}

/// Why a log did not open, and what can be done.
pub(crate) fn open_failed(folder: &DataFolder, error: &OpenError, asking: Asking) -> anyhow::Error {
    let words = format!("cannot open the log of {}", folder.path().display());
    let advice = match error {
        OpenError::Locked { dir, pid } => {
            let (command, dir) = (command_of(pid), dir.display());
            let holder = command
                .as_ref()
                .map_or_else(String::new, |command| format!(" (doorstep {command})"));
            let advice = match (command.as_deref(), asking) {
                (Some("serve") | None, Asking::ToRead) => "ask it with --url, or stop it",
                (Some("serve") | None, Asking::ToWrite) => "stop it first",
                (Some(_), _) => "wait until it has ended, or stop it",
            };
            return anyhow::anyhow!("{dir} is in use by process {pid}{holder}; {advice}");
        }
        OpenError::BeingRead { dir } => {
            return anyhow::anyhow!(
                "{} is being read by another command (`events`, `verify` or `backup`); wait until it has ended",
                dir.display()
            );
        }
        OpenError::Backup { dir } => {
            return anyhow::anyhow!(
                "{0} is a backup, which stays as it is; restore it first: doorstep restore {0} --data DIR",
                dir.display()
            );
        }
        OpenError::Format { .. } | OpenError::SchemaLevel { .. } => {
            "; a newer doorstep wrote it, and has to be used"
        }
        OpenError::Permission { .. } => "; run it as the user whom the folder belongs to",
        OpenError::Damaged { .. } => {
            "; nothing was changed: `doorstep verify` tells more, and a backup can be restored into another folder"
        }
        OpenError::Option { .. } | OpenError::ForeignLog { .. } | OpenError::Io { .. } => "",
    };
    anyhow::anyhow!("{words}: {error}{advice}")
}

/// The subcommand that a process of this program carries out, where the system tells.
fn command_of(pid: &str) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let root = cli::Cli::command();
    line.split(|byte| *byte == 0)
        .skip(1)
        .filter_map(|arg| std::str::from_utf8(arg).ok())
        .find(|arg| root.find_subcommand(arg).is_some())
        .map(str::to_owned)
}

/// A log, of whichever engine.
pub(crate) trait AnyLog {
    /// As the store that it is.
    fn any(&self) -> Arc<dyn EventStore>;
}

impl AnyLog for Store {
    fn any(&self) -> Arc<dyn EventStore> {
        Arc::clone(self) as Arc<dyn EventStore>
    }
}

impl AnyLog for Arc<dyn EventStore> {
    fn any(&self) -> Arc<dyn EventStore> {
        Arc::clone(self)
    }
}

/// Starts the write side over a log.
pub(crate) async fn start_commands(
    folder: &DataFolder,
    store: &impl AnyLog,
    mode: Mode,
) -> anyhow::Result<CommandHandler> {
    let options = commands::Options::new(Some(folder.write()), mode, Arc::new(Rules::default()));
    CommandHandler::start(store.any(), options)
        .await
        .context("cannot start the write side")
}

/// Starts the read side over a log.
pub(crate) async fn start_reads(
    folder: &DataFolder,
    store: &impl AnyLog,
    cache_bytes: usize,
) -> anyhow::Result<ReadSide> {
    let mut options = projections::Options::in_dir(folder.views());
    options.cache_bytes = cache_bytes;
    ReadSide::open(options, store.any())
        .await
        .context("cannot open the views")
}

/// Whether a data folder has no signing key yet, as far as one may look.
pub(crate) fn lacks_keys(folder: &DataFolder) -> bool {
    matches!(folder.keys().try_exists(), Ok(false))
}

/// Says whose keys a log's tokens, positions and cursors are signed and sealed with, where that may surprise. `made` says
/// that the folder had no keys and got some, and whether the log had events before.
pub(crate) fn tell_of_keys(
    folder: &DataFolder,
    args: &cli::Serve,
    keys: &KeySet,
    made: Option<bool>,
) {
    let Some(begun) = made else { return };
    let own = folder.keys();
    let given = args.key.auth_key.is_some();
    if given && keys.has_secret() {
        // What lies in the folder signs and seals nothing.
        return;
    }
    if args.store.store != EMBEDDED && given {
        tracing::warn!(
            keys = %own.display(),
            "--auth-key holds public keys alone, so positions and cursors are sealed with new keys of this folder: no other node of this log takes them, unless `keys` is the same in every node's folder"
        );
    } else if args.store.store != EMBEDDED {
        tracing::warn!(
            keys = %own.display(),
            "this folder gets new keys: no other node of this log takes the tokens, positions and cursors that are made with them; give every node the same --auth-key"
        );
    } else if begun {
        tracing::warn!(
            keys = %own.display(),
            "the log has no keys beside it and gets new ones: tokens, positions and cursors that were signed before are void"
        );
    }
}

/// The keys in force: the named file, or the data folder's own, which is made where there is none.
pub(crate) fn open_keys(folder: &DataFolder, args: &KeyArgs) -> anyhow::Result<KeySet> {
    folder.create()?;
    let own = folder.keys();
    KeySet::create_if_missing(&own)?;
    Ok(match &args.auth_key {
        Some(other) => KeySet::open(other, Some(&own))?,
        None => KeySet::open(&own, None)?,
    })
}

//! Where a log is that is copied from or to, and how it is opened for that.
//!
//! Promise: looking at a place changes nothing there, and what is read of a data folder nobody writes to meanwhile. A log is
//! begun only where there is none, at the level that is asked for.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use domain::codec::LEVEL;
use event_store::{EmbeddedStore, EventStore, LogAtRest};
use kurrent::client::{Connection, KurrentStore, Options, Streams};

use crate::cli::LogArgs;
use crate::compose::{self, Asking, DataFolder};
use crate::failure::Failure;
use crate::log::CATEGORIES;

/// What a data folder's own log is named by, with its folder behind it.
const EMBEDDED: &str = "embedded:";

/// Where a log is.
#[derive(Clone)]
pub(crate) enum Place {
    /// In a data folder.
    Folder(DataFolder),
    /// On a cluster.
    Cluster(Box<Connection>),
}

impl Place {
    /// Reads `embedded:DIR` or a connection string. The words of the error hold no credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(dir) = text.strip_prefix(EMBEDDED) {
            return if dir.is_empty() {
                Err("`embedded:` needs the data folder behind it: embedded:DIR".to_owned())
            } else {
                Ok(Self::Folder(DataFolder::at(&PathBuf::from(dir))))
            };
        }
        if !text.contains("://") {
            return Err(format!(
                "`{text}` is neither `embedded:DIR` nor a connection string such as esdb://host:2113"
            ));
        }
        Connection::parse(text)
            .map(|connection| Self::Cluster(Box::new(connection)))
            .map_err(|error| error.to_string())
    }

    /// Whether both are the same data folder. Clusters go by several names: their logs tell.
    pub(crate) fn is_folder_of(&self, other: &Self) -> bool {
        let (Self::Folder(one), Self::Folder(other)) = (self, other) else {
            return false;
        };
        let real = |folder: &DataFolder| {
            let path = folder.path();
            path.canonicalize()
                .or_else(|_| std::path::absolute(path))
                .unwrap_or_else(|_| path.to_owned())
        };
        real(one) == real(other)
    }

    /// The log that is there, to read it; none where there is none.
    pub(crate) async fn look(&self) -> Result<Option<Opened>, Failure> {
        match self {
            Self::Folder(folder) => {
                // Without this file nothing was ever appended.
                if !folder.path().join("log").join("identity").exists() {
                    return Ok(None);
                }
                let options = event_store::Options {
                    schema_level: LEVEL,
                    ..event_store::Options::default()
                };
                let log = LogAtRest::open(folder.path(), &options)
                    .map_err(|error| compose::open_failed(folder, &error, Asking::ToWrite))?;
                Ok(Some(Opened::AtRest(log)))
            }
            Self::Cluster(connection) => {
                let found = KurrentStore::existing((**connection).clone(), options(LEVEL)).await;
                let found = found.map_err(anyhow::Error::from)?;
                Ok(found.map(Opened::Cluster))
            }
        }
    }

    /// The log that is there, to write to it, begun at this level where there is none. On a cluster it then counts as
    /// recorded at this time, which is not after that of its first event.
    pub(crate) async fn open(&self, begin: &Begin) -> Result<Opened, Failure> {
        match self {
            Self::Folder(folder) => {
                self.may_be_written()?;
                compose::room_to_begin(folder, begin.log.reserve_bytes)?;
                folder.create()?;
                let options = compose::store_options(begin.log);
                let store = compose::open_at_level(folder, options, begin.schema_level)?;
                Ok(Opened::Folder(Arc::new(store)))
            }
            Self::Cluster(connection) => {
                let store = KurrentStore::begin(
                    (**connection).clone(),
                    options(begin.schema_level),
                    begin.recorded_at_ms,
                );
                let store = store.await.context("no log can be begun")?;
                Ok(Opened::Cluster(store))
            }
        }
    }

    /// Refuses what nothing is ever written to.
    pub(crate) fn may_be_written(&self) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) if folder.is_backup() => bail!(
                "{} is a backup, which stays as it is; copy into another folder",
                folder.path().display()
            ),
            Self::Folder(folder) if folder.is_anothers() => bail!(
                "{} holds what was made from another log (`views` or `write`), as the folder of a service over a cluster does; copy into another folder",
                folder.path().display()
            ),
            Self::Folder(_) | Self::Cluster(_) => Ok(()),
        }
    }

    /// Refuses to read a copy that was not finished.
    pub(crate) fn may_be_read(&self) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => folder.copied_whole(),
            Self::Cluster(_) => Ok(()),
        }
    }

    /// Says that the copy here is not whole, until it is [finished](Self::finished): on disk before its next event is. A
    /// cluster has no place for that.
    pub(crate) fn unfinished(&self) -> anyhow::Result<()> {
        let Self::Folder(folder) = self else {
            return Ok(());
        };
        let copying = folder.copying();
        let made = File::create(&copying).and_then(|file| file.sync_all());
        made.and_then(|()| sync(folder))
            .with_context(|| format!("cannot make {}", copying.display()))
    }

    /// Says that the copy here is whole.
    pub(crate) fn finished(&self) -> anyhow::Result<()> {
        let Self::Folder(folder) = self else {
            return Ok(());
        };
        let copying = folder.copying();
        match std::fs::remove_file(&copying).and_then(|()| sync(folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", copying.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Makes the names of a folder's files durable.
fn sync(folder: &DataFolder) -> io::Result<()> {
    File::open(folder.path())?.sync_all()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.path().display()),
            Self::Cluster(connection) => write!(f, "{connection}"),
        }
    }
}

/// How a log is begun.
pub(crate) struct Begin {
    /// At this level.
    pub(crate) schema_level: u32,
    /// As of this time.
    pub(crate) recorded_at_ms: Option<i64>,
    /// In a data folder: its files.
    pub(crate) log: LogArgs,
}

/// Which of a cluster's streams are the log, and up to which level it is read.
fn options(schema_level: u32) -> Options {
    Options {
        streams: Streams::Categories(CATEGORIES),
        schema_level,
    }
}

/// An opened log.
pub(crate) enum Opened {
    /// A data folder's, to be read.
    AtRest(LogAtRest),
    /// A data folder's, to be written.
    Folder(Arc<EmbeddedStore>),
    /// A cluster's.
    Cluster(KurrentStore),
}

impl Opened {
    /// As the store that it is.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::AtRest(log) => Arc::new(log.clone()),
            Self::Folder(store) => Arc::clone(store) as Arc<dyn EventStore>,
            Self::Cluster(store) => Arc::new(store.clone()),
        }
    }

    /// Events that stand beside the log in streams of other names, as far as they are no part of the log that is read:
    /// counted up to `max`.
    pub(crate) async fn beside(&self, max: usize) -> anyhow::Result<u64> {
        match self {
            Self::AtRest(_) | Self::Folder(_) => Ok(0),
            Self::Cluster(store) => Ok(u64::try_from(store.others(max).await?)?),
        }
    }

    /// Ends it.
    pub(crate) fn close(&self) {
        match self {
            Self::AtRest(_) => {}
            Self::Folder(store) => store.close(),
            Self::Cluster(store) => store.close(),
        }
    }
}

//! The log of a service: its data folder's own, or one on a KurrentDB cluster.
//!
//! Promise: whichever it is, the rest of the program sees the same trait. On a cluster the data folder still holds what is
//! made from the log, and the keys, and is one process's; checks and backups of the log are the cluster's own.

use std::sync::Arc;

use anyhow::bail;
use api::{BackupPart, LogElsewhere, StoreCare, StoreState};
use async_trait::async_trait;
use domain::codec::LEVEL;
use event_store::{EventStore, HeldFolder, hold_folder};
use kurrent::client::{Connection, KurrentStore, OpenError, Options, Streams};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::care::Care;
use crate::cli::StoreArgs;
use crate::compose::{self, Asking, DataFolder, Store};
use crate::failure::Failure;

/// What `--store` says for the data folder's own log.
pub(crate) const EMBEDDED: &str = "embedded";

/// The categories of the log's streams. What has other names on a cluster is somebody else's.
pub(crate) const CATEGORIES: &[&str] =
    &["conversation", "member", "case", "act", "reactor", "policy"];

/// An opened log.
pub(crate) enum Log {
    /// In the data folder.
    Embedded(Store),
    /// On a cluster.
    Cluster {
        store: KurrentStore,
        /// The data folder, which has what is made from it.
        _held: HeldFolder,
    },
}

impl Log {
    /// Opens what `--store` names, or begins a log there.
    pub(crate) async fn open(folder: &DataFolder, args: &StoreArgs) -> Result<Self, Failure> {
        if args.store == EMBEDDED {
            return compose::open_store(folder, args).map(Self::Embedded);
        }
        Self::open_cluster(folder, args).await
    }

    /// Opens what `--store` names to follow it with the views; its events stay as they are.
    pub(crate) async fn open_to_care(
        folder: &DataFolder,
        args: &StoreArgs,
    ) -> Result<Self, Failure> {
        if args.store == EMBEDDED {
            return compose::open_to_care(folder, args).map(Self::Embedded);
        }
        Self::open_cluster(folder, args).await
    }

    async fn open_cluster(folder: &DataFolder, args: &StoreArgs) -> Result<Self, Failure> {
        let connection = connection(&args.store)?;
        folder.create()?;
        let held = hold_folder(folder.path())
            .map_err(|error| compose::open_failed(folder, &error, Asking::ToWrite))?;
        if folder.has_log() {
            return Err(Failure::usage(format!(
                "{} holds a log of its own; --store names a cluster, whose log needs a data folder without one",
                folder.path().display()
            )));
        }
        let options = Options {
            streams: Streams::Categories(CATEGORIES),
            schema_level: LEVEL,
        };
        let store = KurrentStore::open(connection, options).await;
        Ok(Self::Cluster {
            store: store.map_err(open_failed)?,
            _held: held,
        })
    }

    /// As the store that it is.
    pub(crate) fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Embedded(store) => Arc::clone(store) as Arc<dyn EventStore>,
            Self::Cluster { store, .. } => Arc::new(store.clone()),
        }
    }

    /// Where it is, as people are told.
    pub(crate) fn place(&self, folder: &DataFolder) -> String {
        match self {
            Self::Embedded(_) => folder.path().display().to_string(),
            Self::Cluster { store, .. } => store.place(),
        }
    }

    /// What an operator may ask of it.
    pub(crate) fn care(&self, reserve_bytes: u64) -> Arc<dyn StoreCare> {
        match self {
            Self::Embedded(store) => Arc::new(Care::new(Arc::clone(store), reserve_bytes)),
            Self::Cluster { store, .. } => Arc::new(Elsewhere(store.clone())),
        }
    }

    /// Ends it.
    pub(crate) fn close(&self) {
        match self {
            Self::Embedded(store) => store.close(),
            Self::Cluster { store, .. } => store.close(),
        }
    }
}

/// Raises the schema level of the log that `--store` names on a cluster.
pub(crate) async fn raise_level(store: &str) -> Result<event_store::Raised, Failure> {
    let raised = kurrent::client::raise_level(connection(store)?, LEVEL).await;
    Ok(raised.map_err(open_failed)?)
}

fn connection(store: &str) -> Result<Connection, Failure> {
    Ok(Connection::parse(store).map_err(anyhow::Error::from)?)
}

/// Why a cluster's log did not open, and what can be done.
fn open_failed(error: OpenError) -> anyhow::Error {
    match &error {
        OpenError::SchemaLevel { .. } => {
            anyhow::anyhow!("{error}; a newer doorstep wrote it, and has to be used")
        }
        OpenError::Unavailable { .. } | OpenError::NotOurs { .. } => error.into(),
    }
}

/// The care of a log that is elsewhere: whether it can be reached.
struct Elsewhere(KurrentStore);

/// Why there is no more to it.
const ELSEWHERE: &str =
    "the log is on a KurrentDB cluster: check it and back it up with the cluster's own means";

#[async_trait]
impl StoreCare for Elsewhere {
    async fn verify(&self) -> anyhow::Result<Value> {
        Ok(json!({ "ok": false, "error": ELSEWHERE, "damage": null }))
    }

    async fn backup(&self, _files: mpsc::Sender<BackupPart>) -> anyhow::Result<()> {
        bail!(LogElsewhere(ELSEWHERE))
    }

    fn free_bytes(&self) -> Option<u64> {
        None
    }

    fn state(&self) -> StoreState {
        if self.0.durable_changes().has_changed().is_err() {
            StoreState::Failed
        } else if self.0.is_reached() {
            StoreState::Writable
        } else {
            StoreState::Unavailable
        }
    }
}

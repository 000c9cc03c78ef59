//! What an operator may ask of the engine that runs: verification, backup, and whether it takes commands.
//!
//! A backup is first laid out beside the log, where it is whole and checked, and then told file by file. It takes the
//! room of the log's tail, never of the disk's reserve, and goes when the last byte is told, when nobody listens any
//! more, or, after a kill, when the folder is opened next.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use api::{BackupPart, StoreCare, StoreState};
use async_trait::async_trait;
use bytes::Bytes;
use event_store::{EventStore as _, OpenError, Verified};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::compose::{DataFolder, Store};

/// Bytes told at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The embedded store's care.
pub(crate) struct Care {
    store: Store,
    reserve_bytes: u64,
}

impl Care {
    /// Over an open store that keeps so much of the disk free.
    pub(crate) fn new(store: Store, reserve_bytes: u64) -> Self {
        Self {
            store,
            reserve_bytes,
        }
    }
}

#[async_trait]
impl StoreCare for Care {
    async fn verify(&self) -> anyhow::Result<Value> {
        let store = self.store.clone();
        let checked = tokio::task::spawn_blocking(move || store.verify()).await?;
        Ok(report(&checked))
    }

    async fn backup(&self, files: mpsc::Sender<BackupPart>) -> anyhow::Result<()> {
        let (store, reserve_bytes) = (self.store.clone(), self.reserve_bytes);
        tokio::task::spawn_blocking(move || {
            let folder = DataFolder::at(store.dir()).backups();
            std::fs::create_dir_all(&folder).context("cannot copy the log")?;
            let beside = tempfile::tempdir_in(&folder).context("cannot copy the log")?;
            let copy = beside.path().join("copy");
            event_store::lay_out(&store, &copy, reserve_bytes)?;
            for path in files_of(&copy, Path::new(""))? {
                tell(&copy, path, &files)?;
            }
            Ok(())
        })
        .await?
    }

    fn free_bytes(&self) -> Option<u64> {
        Some(self.store.free_bytes())
    }

    fn state(&self) -> StoreState {
        if self.store.durable_changes().has_changed().is_err() {
            StoreState::Failed
        } else if self.store.free_bytes() < self.reserve_bytes {
            StoreState::Full
        } else {
            StoreState::Writable
        }
    }
}

/// What a check found, as the program prints it and the service answers it.
pub(crate) fn report(checked: &Result<Verified, OpenError>) -> Value {
    let verified = match checked {
        Ok(verified) => verified,
        Err(error) => {
            let damage = if let OpenError::Damaged { file, offset, what } = error {
                json!({ "file": file.display().to_string(), "offset": offset, "what": what })
            } else {
                Value::Null
            };
            return json!({ "ok": false, "error": error.to_string(), "damage": damage });
        }
    };
    let torn = verified.torn.as_ref().map(|(file, offset, bytes)| {
        json!({ "file": file.display().to_string(), "offset": offset, "bytes": bytes })
    });
    json!({
        "ok": true,
        "log_id": verified.log_id.0.to_string(),
        "events": verified.events,
        "position": verified.position,
        "segments": verified.segments,
        "bytes": verified.bytes,
        "torn": torn,
        "kept_aside": verified.kept_aside,
    })
}

/// The files below a folder, by their relative paths, those of a folder before what is in its folders.
fn files_of(root: &Path, below: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            folders.push(path);
        } else {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    for folder in folders {
        files.extend(files_of(root, &folder)?);
    }
    Ok(files)
}

/// Tells one file. Nobody listening is the end of it.
fn tell(root: &Path, path: PathBuf, files: &mpsc::Sender<BackupPart>) -> anyhow::Result<()> {
    let mut file = File::open(root.join(&path))?;
    let mut left = file.metadata()?.len();
    files.blocking_send(BackupPart::File { path, bytes: left })?;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let mut bytes = vec![0; piece];
        file.read_exact(&mut bytes)?;
        files.blocking_send(BackupPart::Bytes(Bytes::from(bytes)))?;
        left -= u64::try_from(piece)?;
    }
    Ok(())
}

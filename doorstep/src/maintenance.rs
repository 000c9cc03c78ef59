//! `verify`, `backup`, `restore` and `raise-level`: the care of the log, for a folder at rest; the first two for a running
//! service, too.
//!
//! A backup of a running service comes as a tar archive and is unpacked as it arrives; both ways leave the same folder,
//! which `restore` takes. What was checked or made is printed as one JSON object.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use domain::codec::LEVEL;
use event_store::{BackupError, OpenError};
use serde_json::{Value, json};

use crate::care;
use crate::cli;
use crate::compose::{self, Asking, DataFolder, OnCluster};
use crate::failure::{Done, Failure};
use crate::log::{self, EMBEDDED};
use crate::out;
use crate::remote::Service;

/// Bytes of a block of a tar archive.
const BLOCK: usize = 512;

/// Checks every record.
pub(crate) async fn verify(args: &cli::Verify) -> Done {
    let report = if let Some(service) = Service::of(&args.remote)? {
        let answer = service.post("/v1/store/verify").await?;
        answer.json().await.context("the report broke off")?
    } else {
        let folder = DataFolder::at(&args.folder.data);
        folder.existing(OnCluster::CaredForThere)?;
        folder.tells_of_half();
        let checked = event_store::verify(folder.path());
        if let Err(error @ (OpenError::Locked { .. } | OpenError::BeingRead { .. })) = checked {
            return Err(compose::open_failed(&folder, &error, Asking::ToRead).into());
        }
        care::report(&checked)
    };
    out::line(&report)?;
    if report.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let error = report
        .get("error")
        .and_then(Value::as_str)
        .unwrap_or("the log does not check");
    Err(Failure::Failed(anyhow::anyhow!("{error}")))
}

/// Copies the log.
pub(crate) async fn backup(args: &cli::Backup) -> Done {
    let made = if let Some(service) = Service::of(&args.remote)? {
        remote_backup(&service, &args.dest).await?
    } else {
        let folder = DataFolder::at(&args.folder.data);
        let log = compose::open_at_rest(&folder, OnCluster::CaredForThere)?;
        folder.copied_whole()?;
        serde_json::to_value(event_store::backup_at_rest(&log, &args.dest)?)?
    };
    let field = |name: &str| made.get(name).cloned().unwrap_or_default();
    out::line(json!({ "log_id": field("log_id"), "position": field("durable_position") }))?;
    Ok(())
}

/// Brings a backup back, as a log of its own.
pub(crate) fn restore(args: &cli::Restore) -> Done {
    let folder = DataFolder::at(&args.folder.data);
    let restored = event_store::restore(&args.src, folder.path())
        .map_err(|error| restore_failed(&args.src, &folder, error))?;
    out::line(json!({
        "log_id": restored.log_id.0.to_string(),
        "copy_of": restored.copy_of.0.to_string(),
        "position": restored.position,
    }))?;
    Ok(())
}

/// Raises the log's schema level to the newest that this program knows.
pub(crate) async fn raise_level(args: &cli::RaiseLevel) -> Done {
    let raised = if args.store == EMBEDDED {
        let folder = DataFolder::at(&args.folder.data);
        folder.existing(OnCluster::Named)?;
        folder.copied_whole()?;
        event_store::raise_level(folder.path(), LEVEL)
            .map_err(|error| compose::open_failed(&folder, &error, Asking::ToWrite))?
    } else {
        log::raise_level(&args.store).await?
    };
    println!(
        "{}",
        json!({
            "log_id": raised.log_id.0.to_string(),
            "before": raised.before,
            "schema_level": raised.level,
        })
    );
    Ok(())
}

/// Why a backup was not brought back.
fn restore_failed(src: &Path, folder: &DataFolder, error: BackupError) -> anyhow::Error {
    match error {
        BackupError::Io { .. } if src.is_file() => anyhow::anyhow!(
            "{0} is a file; unpack it into a folder first (`tar -xf {0} -C DIR`) and restore that",
            src.display()
        ),
        BackupError::Io { path, source }
            if path == src.join("manifest.json") && source.kind() == ErrorKind::NotFound =>
        {
            anyhow::anyhow!(
                "{} is no backup: it has no manifest.json ({source})",
                src.display()
            )
        }
        BackupError::NotEmpty(log) => anyhow::anyhow!(
            "{} holds a log already; restore into another folder",
            log.display()
        ),
        BackupError::Log(error @ (OpenError::Locked { .. } | OpenError::BeingRead { .. })) => {
            compose::open_failed(folder, &error, Asking::ToWrite)
        }
        BackupError::Log(_)
        | BackupError::NoRoom { .. }
        | BackupError::Manifest { .. }
        | BackupError::Differs { .. }
        | BackupError::Io { .. } => {
            let words = format!("nothing was restored into {}", folder.path().display());
            anyhow::Error::new(error).context(words)
        }
    }
}

/// Unpacks a running service's backup; gives its manifest.
async fn remote_backup(service: &Service, dest: &Path) -> Result<Value, Failure> {
    if let Ok(mut held) = std::fs::read_dir(dest)
        && held.next().is_some()
    {
        return Err(anyhow::anyhow!("{} is not empty", dest.display()).into());
    }
    let mut answer = service
        .get("/v1/store/backup", &[], "application/x-tar")
        .await?;
    // Not before there is something to put into it.
    std::fs::create_dir_all(dest).with_context(|| format!("cannot make {}", dest.display()))?;
    let mut unpacking = Unpacking::into(dest);
    while let Some(chunk) = answer.chunk().await.context("the backup broke off")? {
        unpacking.take(&chunk)?;
    }
    unpacking.finish()?;
    let manifest = dest.join("manifest.json");
    let text =
        std::fs::read(&manifest).with_context(|| format!("there is no {}", manifest.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// A tar archive on its way into a folder: regular files with relative paths, and nothing else.
struct Unpacking {
    dest: PathBuf,
    /// The folders within, those of a folder after it.
    folders: BTreeSet<PathBuf>,
    /// Bytes of a header that is not whole yet.
    head: Vec<u8>,
    open: Option<Open>,
    /// Bytes to pass over, up to a whole block.
    padding: usize,
    ended: bool,
}

struct Open {
    file: File,
    left: u64,
}

impl Unpacking {
    fn into(dest: &Path) -> Self {
        Self {
            dest: dest.to_owned(),
            folders: BTreeSet::new(),
            head: Vec::with_capacity(BLOCK),
            open: None,
            padding: 0,
            ended: false,
        }
    }

    /// Takes the next bytes of the archive.
    fn take(&mut self, mut bytes: &[u8]) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            if let Some(open) = &mut self.open {
                let piece = bytes
                    .len()
                    .min(usize::try_from(open.left).unwrap_or(usize::MAX));
                let (now, later) = bytes.split_at(piece);
                open.file.write_all(now)?;
                open.left -= u64::try_from(piece)?;
                bytes = later;
                if open.left == 0 {
                    open.file.sync_all()?;
                    self.open = None;
                }
            } else if self.padding > 0 {
                let (_, later) = bytes.split_at(self.padding.min(bytes.len()));
                self.padding -= bytes.len() - later.len();
                bytes = later;
            } else {
                let (now, later) = bytes.split_at((BLOCK - self.head.len()).min(bytes.len()));
                self.head.extend_from_slice(now);
                bytes = later;
                if self.head.len() == BLOCK {
                    self.begin()?;
                    self.head.clear();
                }
            }
        }
        Ok(())
    }

    /// A whole header: a file begins, or the archive ends.
    fn begin(&mut self) -> anyhow::Result<()> {
        if self.head.iter().all(|byte| *byte == 0) {
            self.ended = true;
            return Ok(());
        }
        ensure!(!self.ended, "the archive goes on after its end");
        let text = |from: usize, bytes: usize| {
            let field = self.head.get(from..from + bytes).unwrap_or_default();
            let end = field
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(field.len());
            std::str::from_utf8(field.get(..end).unwrap_or_default())
        };
        let path = PathBuf::from(text(0, 100)?);
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
            || path.as_os_str().is_empty()
        {
            bail!(
                "the archive holds a file outside of itself: {}",
                path.display()
            );
        }
        let bytes = u64::from_str_radix(text(124, 12)?.trim(), 8)
            .context("a file of the archive has no length")?;
        let path = self.dest.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
            let within = folder.ancestors().take_while(|above| *above != self.dest);
            self.folders.extend(within.map(Path::to_owned));
        }
        let file =
            File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let over = usize::try_from(bytes % u64::try_from(BLOCK)?)?;
        self.padding = if over == 0 { 0 } else { BLOCK - over };
        self.open = (bytes > 0).then_some(Open { file, left: bytes });
        Ok(())
    }

    /// Says whether the archive was whole, and makes the names of its files durable.
    fn finish(self) -> anyhow::Result<()> {
        ensure!(self.ended && self.open.is_none(), "the backup broke off");
        // The files were synced one by one, their folders not yet: those within first.
        let within = self.folders.iter().rev().map(PathBuf::as_path);
        for folder in within.chain([&*self.dest]) {
            sync_folder(folder).with_context(|| format!("cannot sync {}", folder.display()))?;
        }
        if let Some(above) = self.dest.parent() {
            // Where the destination is new its name stands there; not everybody may open that folder.
            let _ = sync_folder(above);
        }
        Ok(())
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

//! Copying a log out while it runs, and bringing it back.
//!
//! A backup is a folder: the sealed segments, the tail cut at the durable position, the identity, and
//! a manifest with a digest of each. Indexes are left out; restoring makes them again. A restored log keeps its
//! events byte for byte and at their positions, but is another log from then on: it has a new id,
//! remembers the old one for the segments written under it, and goes on in a segment of its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::backend::{Backend, BackendFile, Mode, RealBackend, create_dirs};
use crate::batch::{self, FORMAT, SEGMENT_HEADER};
use crate::identity::Identity;
use crate::recovery::{Listing, damaged, read_identity, read_sealed, write_file};
use crate::verify::{self, End};
use crate::wire::{index, len_u64};
use crate::{EmbeddedStore, LogAtRest, LogId, OpenError, Position, files, keeper};

pub(crate) const MANIFEST: &str = "manifest.json";
/// Bytes copied at once.
const PIECE: usize = 1024 * 1024;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the log's files.
    pub format: u32,
    /// The log that was copied.
    pub log_id: LogId,
    /// The last position in the copy.
    pub durable_position: Position,
    /// The files, in the folder `log`.
    pub files: Vec<ManifestFile>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its digest, in hexadecimal.
    pub sha256: String,
}

/// A log that was brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its new id.
    pub log_id: LogId,
    /// The id of the log it is a copy of.
    pub copy_of: LogId,
    /// Its last position.
    pub position: Position,
}

/// Why a backup or a restore did not take place.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The destination holds files already.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// The manifest cannot be read.
    #[error("{file}: {message}")]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file of the backup is not the one that was written.
    #[error("{file} differs from the manifest: {what}")]
    Differs {
        /// The file.
        file: PathBuf,
        /// What differs.
        what: String,
    },
    /// The disk has no room for it beside what is to stay free.
    #[error(
        "a backup needs {needed} bytes beside the {reserve_bytes} that are kept free, and {free} are free"
    )]
    NoRoom {
        /// Bytes that have to be copied.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are to stay free.
        reserve_bytes: u64,
    },
    /// An operation on a file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The log could not be read or made.
    #[error(transparent)]
    Log(#[from] OpenError),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}

/// How the files of a log get into a copy of it.
#[derive(Clone, Copy)]
enum By {
    /// Each as a file of its own, wherever the copy is.
    Copying,
    /// Sealed segments as further names of the same files, as long as the rest leaves so many bytes free.
    Linking { reserve_bytes: u64 },
}

/// Copies the log up to its durable position into a folder that is empty or not there. The copy is
/// checked before its manifest is written: of a damaged log there is no backup. The store goes on
/// meanwhile; the call blocks.
pub fn backup(store: &EmbeddedStore, dest: impl AsRef<Path>) -> Result<Manifest, BackupError> {
    make(store.snapshot(), dest.as_ref(), By::Copying)
}

/// Lays the same out on the log's own file system, to be read from and taken away again. Sealed segments never change,
/// so that they are linked there, where the file system can; the tail is copied. Refused with
/// [`BackupError::NoRoom`] where what has to be copied would leave fewer than `reserve_bytes` free.
pub fn lay_out(
    store: &EmbeddedStore,
    dest: impl AsRef<Path>,
    reserve_bytes: u64,
) -> Result<Manifest, BackupError> {
    make(
        store.snapshot(),
        dest.as_ref(),
        By::Linking { reserve_bytes },
    )
}

/// Copies a log at rest, which is left as it is.
pub fn backup_at_rest(log: &LogAtRest, dest: impl AsRef<Path>) -> Result<Manifest, BackupError> {
    make(log.snapshot(), dest.as_ref(), By::Copying)
}

/// The file system, the folder of the log's files, and the end with its position.
type Snapshot<'a> = (&'a dyn Backend, &'a Path, End, Position);

fn make(of: Snapshot<'_>, dest: &Path, by: By) -> Result<Manifest, BackupError> {
    make_empty(dest)?;
    let made = copy_into(of, dest, by);
    if made.is_err() {
        // It is no backup, and would stand in the way of the next try.
        let log = dest.join("log");
        if let Err(error) = fs::remove_dir_all(&log)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %log.display(), %error, "what was copied of a backup that failed stays");
        }
    }
    made
}

fn copy_into(
    (backend, dir, end, position): Snapshot<'_>,
    dest: &Path,
    by: By,
) -> Result<Manifest, BackupError> {
    let log = dest.join("log");
    create_dirs(&RealBackend, &log)?;
    let identity = read_identity(backend, dir)?;
    let segments = segments_of(backend, dir, end)?;
    let mut linked = vec![false; segments.len()];
    if let By::Linking { reserve_bytes } = by {
        let mut needed = 0;
        for (segment, linked) in segments.iter().zip(&mut linked) {
            *linked =
                segment.sealed && fs::hard_link(&segment.path, log.join(&segment.name)).is_ok();
            needed += if *linked { 0 } else { segment.bytes };
        }
        let free = RealBackend.free_bytes(&log).map_err(failed(&log))?;
        if free < needed.saturating_add(reserve_bytes) {
            return Err(BackupError::NoRoom {
                needed,
                free,
                reserve_bytes,
            });
        }
    }
    let mut held = Vec::with_capacity(segments.len() + 1);
    for (segment, linked) in segments.into_iter().zip(linked) {
        let path = &segment.path;
        let file = backend.open(path, Mode::Read).map_err(failed(path))?;
        let mut source = Source {
            file: &*file,
            at: 0,
            end: segment.bytes,
        };
        held.push(if linked {
            let sha256 = pass(&mut source, &segment.path, segment.bytes, |_| Ok(()))?;
            ManifestFile {
                name: segment.name,
                bytes: segment.bytes,
                sha256,
            }
        } else {
            copy(
                &mut source,
                &segment.path,
                &log,
                segment.name,
                segment.bytes,
            )?
        });
    }
    let text = identity.render();
    let mut source = text.as_bytes();
    let name = files::IDENTITY.to_owned();
    held.push(copy(
        &mut source,
        &dir.join(&name),
        &log,
        name,
        len_u64(text.len()),
    )?);
    sync_dir(&log)?;
    check_copy(dir, &log, end, position, &identity)?;
    let manifest = Manifest {
        format: FORMAT,
        log_id: identity.log_id,
        durable_position: position,
        files: held,
    };
    let path = dest.join(MANIFEST);
    let mut text =
        serde_json::to_vec_pretty(&manifest).map_err(|e| failed(&path)(io::Error::other(e)))?;
    text.push(b'\n');
    let mut file = File::create_new(&path).map_err(failed(&path))?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(failed(&path))?;
    sync_dir(dest)?;
    Ok(manifest)
}

/// A segment of the log that is copied, as far as it is durable.
struct Segment {
    name: String,
    path: PathBuf,
    bytes: u64,
    /// Never written again.
    sealed: bool,
}

fn segments_of(backend: &dyn Backend, dir: &Path, end: End) -> Result<Vec<Segment>, BackupError> {
    let mut segments = Vec::new();
    for first in Listing::of(backend, dir)?.segments {
        // What is after the end was sealed or begun since.
        if first > end.segment {
            continue;
        }
        let name = files::segment_name(first);
        let path = dir.join(&name);
        let sealed = first < end.segment;
        let bytes = if sealed {
            let file = backend.open(&path, Mode::Read).map_err(failed(&path))?;
            file.len().map_err(failed(&path))?
        } else {
            end.offset
        };
        if !sealed && bytes <= len_u64(SEGMENT_HEADER) {
            continue;
        }
        segments.push(Segment {
            name,
            path,
            bytes,
            sealed,
        });
    }
    Ok(segments)
}

/// Checks every batch and record of a copy of the log in `dir`, up to the end it was cut at. Damage
/// is told at its place in the log that was copied.
fn check_copy(
    dir: &Path,
    copy: &Path,
    end: End,
    position: Position,
    identity: &Identity,
) -> Result<(), OpenError> {
    let checked = verify::check_log_as(&RealBackend, copy, Some(end), identity);
    let held = checked.map_err(|error| told_of(error, copy, dir))?;
    if held.position == position {
        return Ok(());
    }
    let missing = dir.join(files::segment_name(held.position.0 + 1));
    Err(damaged(&missing, 0, "the segment is missing"))
}

/// An error of a copy, told of the file that was copied: it is the one that stays.
fn told_of(mut error: OpenError, copy: &Path, original: &Path) -> OpenError {
    if let OpenError::Damaged { file, .. } | OpenError::ForeignLog { file, .. } = &mut error
        && let Ok(name) = file.strip_prefix(copy)
    {
        *file = original.join(name);
    }
    error
}

/// Makes a log of a backup in a data folder that has none yet. Every digest is compared, every
/// event checked and the end found at the manifest's position before the log becomes one that opens,
/// with its index files beside it. Where that fails, what was made is removed again.
pub fn restore(src: impl AsRef<Path>, dir: impl AsRef<Path>) -> Result<Restored, BackupError> {
    let (src, dir) = (src.as_ref(), dir.as_ref());
    let manifest = read_manifest(src)?;
    let absent: Vec<&Path> = dir
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    let restored = restore_into(src, dir, &manifest, !absent.is_empty());
    if restored.is_err() {
        for folder in absent {
            // Only what is empty goes.
            let _ = fs::remove_dir(folder);
        }
    }
    restored
}

fn read_manifest(src: &Path) -> Result<Manifest, BackupError> {
    let path = src.join(MANIFEST);
    let text = fs::read(&path).map_err(failed(&path))?;
    let wrong = |message: String| BackupError::Manifest {
        file: path.clone(),
        message,
    };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if manifest.format != FORMAT {
        return Err(wrong(format!(
            "format {}, this program knows {FORMAT}",
            manifest.format
        )));
    }
    Ok(manifest)
}

/// Restores under the folder's lock, which goes with the folder where that is new and comes to nothing.
fn restore_into(
    src: &Path,
    dir: &Path,
    manifest: &Manifest,
    new: bool,
) -> Result<Restored, BackupError> {
    create_dirs(&RealBackend, dir)?;
    let _lock = crate::embedded::lock(&RealBackend, dir)?;
    let log = dir.join("log");
    let made = !log.exists();
    make_empty(&log)?;
    let restored = fill(src, dir, &log, manifest);
    if restored.is_err() {
        let _ = fs::remove_dir_all(&log);
        if !made {
            let _ = fs::create_dir(&log);
        }
        if new {
            let _ = fs::remove_file(dir.join("lock"));
        }
    }
    restored
}

/// Fills an empty log.
fn fill(src: &Path, dir: &Path, log: &Path, manifest: &Manifest) -> Result<Restored, BackupError> {
    let wrong = |message: String| BackupError::Manifest {
        file: src.join(MANIFEST),
        message,
    };
    for file in &manifest.files {
        let name = &file.name;
        if files::segment_of_name(name).is_none() && name != files::IDENTITY {
            return Err(wrong(format!("no file of a log: {name}")));
        }
        let from = src.join("log").join(name);
        let mut source = File::open(&from).map_err(failed(&from))?;
        let len = source.metadata().map_err(failed(&from))?.len();
        if len != file.bytes {
            let what = format!("{len} bytes, not {}", file.bytes);
            return Err(BackupError::Differs { file: from, what });
        }
        if name == files::IDENTITY {
            continue;
        }
        let copied = copy(&mut source, &from, log, name.clone(), len)?;
        if copied.sha256 != file.sha256 {
            return Err(BackupError::Differs {
                file: from,
                what: "its digest".into(),
            });
        }
    }
    let before = restored_identity(&src.join("log"), manifest)?;
    let mut earlier = before.earlier;
    if manifest.durable_position > Position::START {
        earlier.push((before.log_id, manifest.durable_position.0));
    }
    let identity = Identity {
        log_id: batch::new_log_id(),
        schema_level: before.schema_level,
        earlier,
    };
    let held = verify::check_log_as(&RealBackend, log, None, &identity)
        .map_err(|error| told_of(error, log, &src.join("log")))?
        .position;
    if held != manifest.durable_position {
        return Err(wrong(format!(
            "its segments end at position {held}, its durable position is {}",
            manifest.durable_position
        )));
    }
    index_all(log, &identity)?;
    sync_dir(log)?;
    // Last: without it the folder is not a log.
    write_file(
        &RealBackend,
        log,
        files::IDENTITY,
        identity.render().as_bytes(),
    )?;
    sync_dir(dir)?;
    Ok(Restored {
        log_id: identity.log_id,
        copy_of: before.log_id,
        position: manifest.durable_position,
    })
}

/// Writes the index files of all segments, none of which is written to any more.
fn index_all(log: &Path, identity: &Identity) -> Result<(), OpenError> {
    for first in Listing::of(&RealBackend, log)?.segments {
        let path = log.join(files::segment_name(first));
        let (sealed, index) = read_sealed(&RealBackend, &path, identity, first)?;
        keeper::write_index_files(&RealBackend, log, identity.log_id, &sealed, &index)?;
    }
    Ok(())
}

fn restored_identity(log: &Path, manifest: &Manifest) -> Result<Identity, BackupError> {
    let path = log.join(files::IDENTITY);
    let text = fs::read(&path).map_err(failed(&path))?;
    let listed = manifest
        .files
        .iter()
        .find(|file| file.name == files::IDENTITY);
    if listed.is_none_or(|file| file.sha256 != hex(&Sha256::digest(&text))) {
        return Err(BackupError::Differs {
            file: path,
            what: "its digest".into(),
        });
    }
    let identity = read_identity(&RealBackend, log)?;
    if identity.log_id == manifest.log_id {
        Ok(identity)
    } else {
        Err(BackupError::Differs {
            file: path,
            what: "it is of another log".into(),
        })
    }
}

/// Makes the folder, or sees that it is empty.
fn make_empty(dir: &Path) -> Result<(), BackupError> {
    create_dirs(&RealBackend, dir)?;
    if fs::read_dir(dir).map_err(failed(dir))?.next().is_some() {
        return Err(BackupError::NotEmpty(dir.to_owned()));
    }
    Ok(())
}

/// Copies `bytes` of a source into a new file, synced.
fn copy(
    source: &mut dyn Read,
    from: &Path,
    dir: &Path,
    name: String,
    bytes: u64,
) -> Result<ManifestFile, BackupError> {
    let path = dir.join(&name);
    let mut file = File::create_new(&path).map_err(failed(&path))?;
    let sha256 = pass(source, from, bytes, |part| {
        file.write_all(part).map_err(failed(&path))
    })?;
    file.sync_all().map_err(failed(&path))?;
    Ok(ManifestFile {
        name,
        bytes,
        sha256,
    })
}

/// Hands on `bytes` of a source, and gives their digest.
fn pass(
    source: &mut dyn Read,
    from: &Path,
    bytes: u64,
    mut to: impl FnMut(&[u8]) -> Result<(), BackupError>,
) -> Result<String, BackupError> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut passed = 0;
    while passed < bytes {
        let read = source.read(&mut piece).map_err(failed(from))?;
        let Some(part) = piece.get(..read).filter(|part| !part.is_empty()) else {
            let what = format!("it ends at byte {passed}");
            return Err(BackupError::Differs {
                file: from.to_owned(),
                what,
            });
        };
        digest.update(part);
        to(part)?;
        passed += len_u64(read);
    }
    Ok(hex(&digest.finalize()))
}

fn sync_dir(dir: &Path) -> Result<(), BackupError> {
    RealBackend.sync_dir(dir).map_err(failed(dir))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads a file of the store from its beginning to `end`.
struct Source<'a> {
    file: &'a dyn BackendFile,
    at: u64,
    end: u64,
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = out.len().min(index(self.end - self.at));
        let read = self
            .file
            .read_at(out.get_mut(..wanted).unwrap_or_default(), self.at)?;
        self.at += len_u64(read);
        Ok(read)
    }
}

//! One process to a folder: a lock file that the system frees with its process.
//!
//! The file holds the process id, so that whoever finds it taken can say by whom. Who only reads shares the lock with
//! others who do, and leaves the file as it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::backend::RealBackend;
use crate::error::OpenError;
use crate::{copied, embedded};

/// What stands in place of a process id where the lock is shared by processes that read.
pub(crate) const READERS: &str = "readers";

/// The lock, held until dropped.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing frees the lock anyhow; emptying first leaves no stale process id.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

/// A data folder that is this process's until this is dropped.
pub struct HeldFolder {
    _lock: Box<dyn Send + Sync>,
}

/// Holds a data folder whose log is elsewhere, as an opened log holds its own: refused where another process does, and
/// where it is a backup.
pub fn hold_folder(data_dir: impl AsRef<Path>) -> Result<HeldFolder, OpenError> {
    let data_dir = data_dir.as_ref();
    if copied::is_backup(&RealBackend, data_dir) {
        return Err(OpenError::Backup {
            dir: data_dir.to_owned(),
        });
    }
    let lock = embedded::lock(&RealBackend, data_dir)?;
    Ok(HeldFolder { _lock: lock })
}

/// Takes the lock, or gives `WouldBlock` with the holder's process id as text.
pub(crate) fn take(path: &Path) -> io::Result<Box<dyn Send + Sync>> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            match writeln!(file, "{}", std::process::id()) {
                // The lock holds without the id; a full disk can still be opened.
                Err(error) if crate::keeper::is_full(&error) => {}
                written => written?,
            }
            Ok(Box::new(Held(file)))
        }
        Err(TryLockError::WouldBlock) => {
            if file.try_lock_shared().is_ok() {
                // Whose id may stand in the file is not who holds it.
                return Err(io::Error::new(io::ErrorKind::WouldBlock, READERS));
            }
            Err(taken(file))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes the lock together with others who only read; gives `WouldBlock` as [`take`] does. Where there is no file and
/// none can be made, nobody can write beside it either.
pub(crate) fn take_to_read(path: &Path) -> io::Result<Box<dyn Send + Sync>> {
    let opened = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match OpenOptions::new().append(true).create(true).open(path) {
                Err(error) if cannot_be_made(&error) => return Ok(Box::new(())),
                opened => opened,
            }
        }
        opened => opened,
    };
    let file = opened?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Box::new(file)),
        Err(TryLockError::WouldBlock) => Err(taken(File::open(path)?)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn cannot_be_made(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    ) || crate::keeper::is_full(error)
}

/// Taken, by the process that the file names.
fn taken(file: File) -> io::Error {
    let mut pid = String::new();
    // A holder that has not written its id yet, or bytes that are none, leave it unknown.
    let _ = file.take(32).read_to_string(&mut pid);
    let pid = pid.trim();
    let known = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
    let pid = if known { pid } else { "unknown" };
    io::Error::new(io::ErrorKind::WouldBlock, pid.to_owned())
}

//! One process to a folder: a lock file that the system frees with its process.
//!
//! The file holds the process id, so that whoever finds it taken can say by whom.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The lock, held until dropped.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing frees the lock anyhow; emptying first leaves no stale process id.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
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
            let mut pid = String::new();
            // A holder that has not written its id yet, or bytes that are none, leave it unknown.
            let _ = file.take(32).read_to_string(&mut pid);
            let pid = pid.trim();
            let known = !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
            let pid = if known { pid } else { "unknown" };
            Err(io::Error::new(io::ErrorKind::WouldBlock, pid.to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

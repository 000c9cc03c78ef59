//! The few file operations the engine uses, behind a trait, and the real ones.
//!
//! Tests put a backend in between that fails at a chosen operation or forgets what was not synced
//! (`faults`). Everything is a read or a write at an offset; nothing is memory mapped.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::OpenError;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It exists and is only read.
    Read,
    /// It exists and is read and written.
    Write,
    /// It is made, empty, in place of one that may exist.
    Create,
}

/// An open file.
pub trait BackendFile: Send + Sync {
    /// Reads at an offset; fewer bytes than asked for only at the file's end.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written, and the file's length, survive a loss of power.
    fn sync(&self) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A file system.
pub trait Backend: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn BackendFile>>;
    /// The names of the files in a folder, in no order; folders are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a folder in one that is there ([`io::ErrorKind::NotFound`] otherwise); one that exists is
    /// [`io::ErrorKind::AlreadyExists`]. It survives a loss of power once the folder above is synced.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Gives a file another name in the same folder, in place of one that may exist.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder, of files and of folders, survive a loss of power.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Bytes that this user can still write on the folder's file system.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the lock at this path, held until the value is dropped. Taken by another:
    /// [`io::ErrorKind::WouldBlock`], with the holder's process id as the error's text.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
    /// Takes the lock together with others who only read, and writes nothing into it.
    fn lock_to_read(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.lock(path)
    }
}

/// Makes a folder and those above it, each one durable before the next is made in it.
///
/// Who made a folder may have ended before it was durable. That can only be the lowest one there is,
/// so the folder above that one is synced too, where its rights allow it.
pub(crate) fn create_dirs(backend: &dyn Backend, dir: &Path) -> Result<(), OpenError> {
    let above = match dir.parent() {
        None => return Ok(()),
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
    };
    if sync_held(backend, dir)? {
        return sync_held(backend, above).map(|_| ());
    }
    create_dirs(backend, above)?;
    match backend.create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(OpenError::io(dir, error));
        }
        Ok(()) | Err(_) => {}
    }
    backend.sync_dir(above).map_err(|e| OpenError::io(above, e))
}

/// Syncs a folder that is there and that this user may read; gives whether it is there.
fn sync_held(backend: &dyn Backend, dir: &Path) -> Result<bool, OpenError> {
    match backend.sync_dir(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        Err(error) => Err(OpenError::io(dir, error)),
    }
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealBackend;

struct RealFile(File);

impl Backend for RealBackend {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn BackendFile>> {
        let mut options = OpenOptions::new();
        match mode {
            Mode::Read => options.read(true),
            Mode::Write => options.read(true).write(true),
            Mode::Create => options.read(true).write(true).create(true).truncate(true),
        };
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match std::fs::create_dir(dir) {
            // Some systems tell of missing rights first.
            Err(_) if dir.is_dir() => Err(io::ErrorKind::AlreadyExists.into()),
            made => made,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        crate::lock::take(path)
    }

    fn lock_to_read(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        crate::lock::take_to_read(path)
    }
}

impl BackendFile for RealFile {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + crate::wire::len_u64(done);
            match FileExt::read_at(&self.0, rest, at) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

//! Index files of a sealed segment that there is no room for: kept in memory until there is.
//!
//! A footer and a stream file are derived, so that they cannot be written must not stop an opening. In memory they have
//! the very bytes that they will have on disk, and are read the same way; the keeper writes them once it can. They take
//! what the files would take: 4 bytes an event and 32 bytes a stream.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::backend::{Backend, BackendFile, Mode};
use crate::files;
use crate::footer::{self, Footer, Sealed};
use crate::levels::{self, Coverage, StreamFile};
use crate::memory::MemoryIndex;
use crate::paged::io_error;
use crate::wire::{index, len_u64};
use crate::{LogId, ReadError};

/// A file in memory.
#[derive(Default)]
struct MemoryFile(RwLock<Vec<u8>>);

impl BackendFile for MemoryFile {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let held = self.0.read();
        let rest = held.get(index(offset)..).unwrap_or_default();
        let read = rest.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut held = self.0.write();
        let (from, end) = (index(offset), index(offset) + bytes.len());
        if held.len() < end {
            held.resize(end, 0);
        }
        if let Some(place) = held.get_mut(from..end) {
            place.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.write().resize(index(len), 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(len_u64(self.0.read().len()))
    }
}

/// The index files of one sealed segment, in memory.
pub(crate) struct KeptIndex {
    sealed: Sealed,
    footer: Arc<Footer>,
    footer_bytes: Arc<MemoryFile>,
    streams: Arc<StreamFile>,
    /// The stream file's bytes; none where a wider file on disk has its entries.
    streams_bytes: Option<Arc<MemoryFile>>,
}

impl KeptIndex {
    /// Makes the files in memory. A segment whose streams stand in a wider file keeps its footer alone.
    pub(crate) fn make(
        dir: &Path,
        log_id: LogId,
        sealed: Sealed,
        segment: &MemoryIndex,
        covered: bool,
    ) -> Result<Self, ReadError> {
        let failed = |e: io::Error| io_error(dir, &e);
        let footer_bytes = Arc::new(MemoryFile::default());
        let entries = footer::write(footer_bytes.clone(), &sealed, segment).map_err(failed)?;
        let coverage = Coverage::of_segment(&sealed);
        let streams_bytes = Arc::new(MemoryFile::default());
        levels::write(streams_bytes.clone(), log_id, coverage, &entries).map_err(failed)?;
        Ok(Self {
            footer: Arc::new(Footer::in_file(
                footer_bytes.clone(),
                dir,
                sealed.first_position,
            )?),
            streams: Arc::new(StreamFile::in_file(
                streams_bytes.clone(),
                dir,
                log_id,
                coverage,
            )?),
            sealed,
            footer_bytes,
            streams_bytes: (!covered).then_some(streams_bytes),
        })
    }

    /// The first position of its segment.
    pub(crate) fn first(&self) -> u64 {
        self.sealed.first_position
    }

    /// The footer.
    pub(crate) fn footer(&self) -> Arc<Footer> {
        Arc::clone(&self.footer)
    }

    /// The stream file.
    pub(crate) fn streams(&self) -> Arc<StreamFile> {
        Arc::clone(&self.streams)
    }

    /// Writes the files where they belong, and gives the stream file as it is there; none where a wider file has its
    /// entries.
    pub(crate) fn write(
        &self,
        backend: &dyn Backend,
        dir: &Path,
        log_id: LogId,
    ) -> Result<Option<Arc<StreamFile>>, ReadError> {
        let failed = |e: io::Error| io_error(dir, &e);
        let write = |bytes: &MemoryFile, name: &str| {
            let unfinished = dir.join(files::UNFINISHED);
            let written = backend.open(&unfinished, Mode::Create).and_then(|file| {
                file.write_at(&bytes.0.read(), 0)?;
                file.sync()?;
                backend.rename(&unfinished, &dir.join(name))?;
                backend.sync_dir(dir)
            });
            give_back(backend, dir, written).map_err(failed)
        };
        write(&self.footer_bytes, &files::footer_name(self.first()))?;
        let Some(bytes) = &self.streams_bytes else {
            return Ok(None);
        };
        let coverage = self.streams.coverage;
        write(bytes, &coverage.name())?;
        let path = dir.join(coverage.name());
        Ok(Some(Arc::new(StreamFile::open(
            backend, path, log_id, coverage,
        )?)))
    }
}

/// Gives back what little of a file was written that could not be finished.
pub(crate) fn give_back<T>(
    backend: &dyn Backend,
    dir: &Path,
    written: io::Result<T>,
) -> io::Result<T> {
    if written.is_err() {
        let _ = backend.remove(&dir.join(files::UNFINISHED));
    }
    written
}

//! Files of checked pages: what the indexes of sealed segments are made of.
//!
//! Every page carries a checksum bound to its number, is checked when it is read, and is then kept in
//! one bounded cache for all files. Items never straddle a page, so item *n* of a section stands at
//! a place that can be computed. Index files are derived: one that does not check is removed by
//! hand and rebuilt at the next opening.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use crate::ReadError;
use crate::backend::{Backend, BackendFile, Mode};
use crate::wire::{index, len_u64, put_at, u32_at};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a page that hold items.
pub(crate) const PAYLOAD: usize = PAGE - 4;

/// Items of `size` bytes that a page holds.
pub(crate) fn per_page(size: usize) -> u64 {
    len_u64(PAYLOAD / size)
}

/// Pages that `items` of `size` bytes take.
pub(crate) fn pages_for(items: u64, size: usize) -> u64 {
    items.div_ceil(per_page(size))
}

fn checksum(number: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), payload)
}

/// What names a file of one log in the cache; its content never changes under it.
pub(crate) type FileKey = (u32, u64, u64);
/// A file and the number of its page.
type PageKey = (FileKey, u64);

/// Pages read lately, of all files.
pub(crate) struct PageCache {
    pages: Mutex<LruCache<PageKey, Arc<[u8]>>>,
}

impl PageCache {
    pub(crate) fn new(bytes: usize) -> Self {
        let pages = NonZeroUsize::new(bytes / PAGE).unwrap_or(NonZeroUsize::MIN);
        Self {
            pages: Mutex::new(LruCache::new(pages)),
        }
    }
}

/// A file of pages, open for reading.
pub(crate) struct PagedFile {
    path: PathBuf,
    file: Arc<dyn BackendFile>,
    key: FileKey,
}

impl PagedFile {
    pub(crate) fn open(
        backend: &dyn Backend,
        path: PathBuf,
        key: FileKey,
    ) -> Result<Self, ReadError> {
        let file = backend
            .open(&path, Mode::Read)
            .map_err(|e| io_error(&path, &e))?;
        Ok(Self::of(file, path, key))
    }

    /// A file that is open already.
    pub(crate) fn of(file: Arc<dyn BackendFile>, path: PathBuf, key: FileKey) -> Self {
        Self { path, file, key }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A page's payload, through the cache.
    pub(crate) fn page(&self, cache: &PageCache, number: u64) -> Result<Arc<[u8]>, ReadError> {
        if let Some(page) = cache.pages.lock().get(&(self.key, number)) {
            return Ok(Arc::clone(page));
        }
        let page: Arc<[u8]> = self.read_page(number)?.into();
        cache
            .pages
            .lock()
            .put((self.key, number), Arc::clone(&page));
        Ok(page)
    }

    /// A page's payload, past the cache.
    pub(crate) fn read_page(&self, number: u64) -> Result<Vec<u8>, ReadError> {
        let offset = number * len_u64(PAGE);
        let mut page = vec![0; PAGE];
        let read = self
            .file
            .read_at(&mut page, offset)
            .map_err(|e| io_error(&self.path, &e))?;
        let stored = u32_at(&page, PAYLOAD);
        page.truncate(PAYLOAD);
        if read != PAGE || checksum(number, &page) != stored {
            return Err(ReadError::Damaged {
                file: self.path.clone(),
                offset,
                what: "the checksum of an index page differs; removed, the file is rebuilt".into(),
            });
        }
        Ok(page)
    }

    /// Checks that every page of the file stands, and that there are `pages` of them.
    pub(crate) fn check_all(&self, pages: u64) -> Result<(), ReadError> {
        for number in 0..pages {
            self.read_page(number)?;
        }
        let len = self.file.len().map_err(|e| io_error(&self.path, &e))?;
        if len == pages * len_u64(PAGE) {
            Ok(())
        } else {
            Err(ReadError::Damaged {
                file: self.path.clone(),
                offset: len.min(pages * len_u64(PAGE)),
                what: "the index file has another length".into(),
            })
        }
    }

    /// The bytes of item `item` in the section that begins at page `first`.
    pub(crate) fn item<const N: usize>(
        &self,
        cache: &PageCache,
        first: u64,
        item: u64,
    ) -> Result<[u8; N], ReadError> {
        let number = first + item / per_page(N);
        let page = self.page(cache, number)?;
        let at = index(item % per_page(N)) * N;
        let bytes = page.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| ReadError::Damaged {
            file: self.path.clone(),
            offset: number * len_u64(PAGE),
            what: "an index page is too short".into(),
        })
    }
}

pub(crate) fn io_error(path: &Path, error: &io::Error) -> ReadError {
    ReadError::Io {
        file: path.to_owned(),
        message: error.to_string(),
    }
}

/// Pages written one after the other to a new file.
pub(crate) struct PageWriter {
    file: Arc<dyn BackendFile>,
    written: u64,
    page: Vec<u8>,
    /// Full pages on their way to the file.
    out: Vec<u8>,
}

/// Bytes gathered before they are written.
const OUT_BYTES: usize = 64 * PAGE;

impl PageWriter {
    /// Begins at page `first`; the pages before are written by [`Self::finish`].
    pub(crate) fn new(file: Arc<dyn BackendFile>, first: u64) -> Self {
        Self {
            file,
            written: first,
            page: Vec::with_capacity(PAGE),
            out: Vec::new(),
        }
    }

    /// Adds an item to the section, on the next page where this one has no room.
    pub(crate) fn push(&mut self, item: &[u8]) -> io::Result<()> {
        if self.page.len() + item.len() > PAYLOAD {
            self.end_page()?;
        }
        self.page.extend_from_slice(item);
        Ok(())
    }

    /// Ends the section: the next item begins a page.
    pub(crate) fn end_section(&mut self) -> io::Result<()> {
        if self.page.is_empty() {
            Ok(())
        } else {
            self.end_page()
        }
    }

    /// Ends the section and writes what is gathered.
    pub(crate) fn flush_section(mut self) -> io::Result<()> {
        self.end_section()?;
        self.flush()
    }

    fn end_page(&mut self) -> io::Result<()> {
        let number = self.written + len_u64(self.out.len() / PAGE);
        seal_page(&mut self.page, number);
        self.out.append(&mut self.page);
        if self.out.len() >= OUT_BYTES {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file
            .write_at(&self.out, self.written * len_u64(PAGE))?;
        self.written += len_u64(self.out.len() / PAGE);
        self.out.clear();
        Ok(())
    }

    /// Writes what is left and the first page, then syncs.
    pub(crate) fn finish(mut self, header: &[u8]) -> io::Result<()> {
        self.end_section()?;
        self.flush()?;
        let mut page = header.to_vec();
        seal_page(&mut page, 0);
        self.file.write_at(&page, 0)?;
        self.file.sync()
    }
}

fn seal_page(page: &mut Vec<u8>, number: u64) {
    page.resize(PAGE, 0);
    let checksum = checksum(number, page.get(..PAYLOAD).unwrap_or_default());
    put_at(page, PAYLOAD, &checksum.to_le_bytes());
}

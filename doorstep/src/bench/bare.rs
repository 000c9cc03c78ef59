//! The baseline of the write path: bare segments.
//!
//! The sizes of the batches that the store wrote are noted, and written again, each with its sync, to a file that was
//! filled with zeros before: what the disk alone takes for the same bytes.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event_store::Observer;

/// Bytes written at once when a file is filled or a long batch is written.
const PIECE_BYTES: usize = 1 << 20;

/// The sizes of the batches written, in order, in bytes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Batches(Arc<Mutex<Vec<usize>>>);

impl Batches {
    /// What the store tells of its batches to.
    pub(crate) fn observer(&self) -> Observer {
        let sizes = Arc::clone(&self.0);
        Arc::new(move |batch| {
            sizes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(batch.bytes);
        })
    }

    /// The sizes since the last time this was asked.
    pub(crate) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A zero-filled file to write batches into, one after the other; over its end it begins anew.
pub(crate) struct Bare {
    file: File,
    at: u64,
    bytes: u64,
    pattern: Vec<u8>,
}

impl Bare {
    /// Fills a file with zeros for at least `bytes`.
    pub(crate) fn create(path: &Path, bytes: u64) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(path)?;
        let zeros = vec![0_u8; PIECE_BYTES];
        let mut at = 0;
        while at < bytes {
            file.write_all_at(&zeros, at)?;
            at += 1 << 20;
        }
        file.sync_all()?;
        let pattern = (0_u32..1 << 20).map(|i| i.to_le_bytes()[0] | 1).collect();
        Ok(Self {
            file,
            at: 0,
            bytes: at,
            pattern,
        })
    }

    /// Writes one batch of this size, synced when it returns.
    pub(crate) fn batch(&mut self, mut bytes: usize) -> std::io::Result<()> {
        if self.at + u64::try_from(bytes).unwrap_or(u64::MAX) > self.bytes {
            self.at = 0;
        }
        while bytes > 0 {
            let piece = bytes.min(PIECE_BYTES);
            self.file
                .write_all_at(self.pattern.get(..piece).unwrap_or_default(), self.at)?;
            self.at += u64::try_from(piece).unwrap_or_default();
            bytes -= piece;
        }
        self.file.sync_data()
    }

    /// How long these batches take, one after the other.
    pub(crate) fn time_of(&mut self, sizes: &[usize]) -> std::io::Result<Duration> {
        let started = Instant::now();
        for bytes in sizes {
            self.batch(*bytes)?;
        }
        Ok(started.elapsed())
    }
}

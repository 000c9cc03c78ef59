//! Rows that follow from no event: what a program keeps beside its views, as long as it may lose it.
//!
//! Promise: what is on a shelf belongs to the log at hand and to no later position than the log has; a shelf of another
//! log, ahead of its log, or damaged is emptied. A crash goes back to the last durable change. In the same kind of file
//! as a view's rows, with the same tables; who changes it names the position that its changes rest on.

use std::path::Path;

use event_store::{LogId, Position};
use parking_lot::Mutex;

use crate::file::Synced;
use crate::overlay::Overlay;
use crate::{Reader, TableError, Tx, ViewFile};

/// A file of rows beside the views; shared by those who read and the one who writes.
pub struct Shelf {
    file: Mutex<ViewFile>,
    names: &'static [&'static str],
}

impl Shelf {
    /// Opens the shelf at `path`, or an empty one, with these tables; in memory without a path.
    pub fn open(
        path: Option<&Path>,
        names: &'static [&'static str],
        log_id: LogId,
        durable: Position,
        cache_bytes: usize,
    ) -> Result<Self, TableError> {
        let mut file = match path {
            Some(path) => ViewFile::open(path, names, log_id, durable, cache_bytes)?.0,
            None => ViewFile::in_memory(names, log_id, cache_bytes)?,
        };
        if file.is_building() {
            let begun = file.checkpoint().position;
            file.commit(&mut Overlay::new(names.len()), begun, Synced::Yes)?;
            file.put_in_place()?;
        }
        Ok(Self {
            file: Mutex::new(file),
            names,
        })
    }

    /// The rows as the last change left them.
    pub fn reader(&self) -> Reader {
        self.file.lock().reader()
    }

    /// Changes rows that rest on the log up to `position`, which is durable. Blocks while it is written, and until it is
    /// on the disk where it is to be durable at once.
    pub fn change(
        &self,
        position: Position,
        durable: bool,
        change: impl FnOnce(&mut Tx<'_>) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let mut file = self.file.lock();
        let mut overlay = Overlay::new(self.names.len());
        change(&mut Tx::new(
            self.names,
            &mut overlay,
            Some(file.snapshot()),
        ))?;
        let position = position.max(file.checkpoint().position);
        let synced = if durable { Synced::Yes } else { Synced::No };
        file.commit(&mut overlay, position, synced)
    }
}

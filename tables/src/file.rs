//! One view's file: its rows and its checkpoint, committed together.
//!
//! Commits between durable checkpoints are not synced: they are whole in memory, and a crash goes back to the last
//! durable one. A file is trusted only if it is sound, belongs to the log at hand, and stands at a position the log
//! has; else it is thrown away, for the log can make it again. A file is first written under a name of its own
//! (`.building`) and gets its real one when it has caught up, so that nobody reads half of a view.

use std::fs;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event_store::{LogId, Position};
use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition, WriteTransaction,
};

use crate::letters::Letters;
use crate::names::{building_path, packed_path, rename};
use crate::overlay::{Change, Overlay};
use crate::pace::Pace;
use crate::reader::Snapshot;
use crate::writing::{begin_tables, load, merge, packed_into};
use crate::{Order, Reader, Span, TableError};

/// The table of what a file says about itself. Names of views' tables do not begin with `_`.
pub(crate) const META: &str = "_meta";
/// The name of a table that is being written anew.
const NEXT: &str = "_next";
/// A table is written anew when there are at least so many changes, and no more than so many rows to each of them.
const REWRITE_CHANGES_MIN: usize = if cfg!(test) { 3 } else { 1_024 };
const REWRITE_ROWS: u64 = 8;
/// A file of fewer bytes is served as it was built.
const PACKED_BYTES_MIN: u64 = if cfg!(test) { 1 } else { 8 << 20 };
pub(crate) const CHECKPOINT: &[u8] = b"checkpoint";
pub(crate) const FORMAT: &[u8] = b"format";
/// The version of this crate's own layout: the names in [`META`] and how keys are stored.
pub(crate) const FORMAT_VERSION: &[u8] = &[2];
/// The table of what was set aside.
pub(crate) const LETTERS: &str = "_letters";

/// The definition of a table of rows: bytes to bytes.
pub(crate) fn row_table(
    name: &'static str,
) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

/// How far rows have followed a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log they follow.
    pub log_id: LogId,
    /// The last event that is in them.
    pub position: Position,
}

impl Checkpoint {
    pub(crate) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let (id, position) = bytes.split_at_mut(16);
        id.copy_from_slice(self.log_id.0.as_bytes());
        position.copy_from_slice(&self.position.0.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, position) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            log_id: LogId(uuid::Uuid::from_bytes(*id)),
            position: Position(u64::from_be_bytes(position.try_into().ok()?)),
        })
    }
}

/// How a file was found on opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenedAs {
    /// There was none: it is made from the log.
    New,
    /// It was sound, and goes on from its checkpoint.
    Existing,
    /// A file that had not caught up when the process ended; it goes on from its checkpoint, not served yet.
    Unfinished,
    /// It could not be trusted, was thrown away, and is made again from the log.
    Discarded {
        /// Why it was not trusted.
        reason: String,
    },
}

/// Whether a commit is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synced {
    Yes,
    No,
}

/// A view's file.
pub struct ViewFile {
    /// Before the database, so that it goes first.
    snapshot: Arc<Snapshot>,
    database: Database,
    names: &'static [&'static str],
    place: Option<Place>,
    /// What was set aside.
    letters: Letters,
    /// Whom writing it makes way for, while it is built beside a log that grows.
    pace: Pace,
}

/// Where a file lies, and where it shall.
struct Place {
    served: PathBuf,
    building: bool,
    cache_bytes: usize,
}

impl ViewFile {
    /// Opens the file at `served` for a view with these tables, or an unfinished one beside it, or begins a new one.
    /// What is of another log than `log_id`, stands beyond `durable`, or is damaged, is deleted first.
    pub fn open(
        served: &Path,
        names: &'static [&'static str],
        log_id: LogId,
        durable: Position,
        cache_bytes: usize,
    ) -> Result<(Self, OpenedAs), TableError> {
        // What a crash left while it was packed.
        remove(&packed_path(served))?;
        let mut reason = None;
        for (path, building) in [(served.to_path_buf(), false), (building_path(served), true)] {
            if !path
                .try_exists()
                .map_err(|cause| io(&path, "looking for", cause))?
            {
                continue;
            }
            match Self::trusted(&path, names, log_id, durable, || {
                builder(cache_bytes).open(&path)
            })? {
                Ok((database, snapshot, letters)) => {
                    let place = Some(Place {
                        served: served.to_path_buf(),
                        building,
                        cache_bytes,
                    });
                    let file = Self {
                        snapshot: Arc::new(snapshot),
                        database,
                        names,
                        place,
                        letters,
                        pace: Pace::alone(),
                    };
                    let opened = if building {
                        OpenedAs::Unfinished
                    } else {
                        OpenedAs::Existing
                    };
                    return Ok((file, opened));
                }
                Err(distrust) => {
                    fs::remove_file(&path).map_err(|cause| io(&path, "deleting", cause))?;
                    reason = reason.or(Some(distrust));
                }
            }
        }
        let file = Self::begin(served, names, log_id, cache_bytes)?;
        Ok((
            file,
            reason.map_or(OpenedAs::New, |reason| OpenedAs::Discarded { reason }),
        ))
    }

    /// Begins a new file that shall lie at `served` once it has caught up; an unfinished one beside it is deleted.
    pub(crate) fn begin(
        served: &Path,
        names: &'static [&'static str],
        log_id: LogId,
        cache_bytes: usize,
    ) -> Result<Self, TableError> {
        let path = building_path(served);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|cause| io(dir, "making", cause))?;
        }
        remove(&path)?;
        let database = builder(cache_bytes)
            .create(&path)
            .map_err(|error| open_error(&path, error))?;
        let place = Some(Place {
            served: served.to_path_buf(),
            building: true,
            cache_bytes,
        });
        Self::fresh(database, names, log_id, place)
    }

    /// Rows that live as long as the process.
    pub fn in_memory(
        names: &'static [&'static str],
        log_id: LogId,
        cache_bytes: usize,
    ) -> Result<Self, TableError> {
        let database = builder(cache_bytes).create_with_backend(InMemoryBackend::new())?;
        Self::fresh(database, names, log_id, None)
    }

    fn fresh(
        database: Database,
        names: &'static [&'static str],
        log_id: LogId,
        place: Option<Place>,
    ) -> Result<Self, TableError> {
        let checkpoint = Checkpoint {
            log_id,
            position: Position::START,
        };
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        begin_tables(&transaction, names, checkpoint)?;
        transaction.commit()?;
        let snapshot = Snapshot::stored(&database.begin_read()?, names, checkpoint)?;
        Ok(Self {
            snapshot: Arc::new(snapshot),
            database,
            names,
            place,
            letters: Letters::default(),
            pace: Pace::alone(),
        })
    }

    /// What `open` gives, if it can be trusted. The inner result says why it cannot.
    fn trusted(
        path: &Path,
        names: &'static [&'static str],
        log_id: LogId,
        durable: Position,
        open: impl FnOnce() -> Result<Database, DatabaseError>,
    ) -> Result<Result<(Database, Snapshot, Letters), String>, TableError> {
        // A damaged page may also make redb panic.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = open()?;
            let transaction = database.begin_read()?;
            let meta = transaction.open_table(row_table(META))?;
            let format = meta
                .get(FORMAT)?
                .is_some_and(|format| format.value() == FORMAT_VERSION);
            let checkpoint = meta
                .get(CHECKPOINT)?
                .and_then(|bytes| Checkpoint::from_bytes(bytes.value()));
            let distrust = match checkpoint {
                Some(_) if !format => Some("another layout".to_owned()),
                None => Some("no checkpoint".to_owned()),
                Some(found) if found.log_id != log_id => {
                    Some(format!("it follows the log {}", found.log_id))
                }
                Some(found) if found.position > durable => Some(format!(
                    "it stands at {}, the log ends at {durable}",
                    found.position
                )),
                Some(_) => None,
            };
            if let Some(distrust) = distrust {
                return Ok(Err(distrust));
            }
            let checkpoint = checkpoint.unwrap_or(Checkpoint {
                log_id,
                position: Position::START,
            });
            let Some(letters) = letters_of(&transaction)? else {
                return Ok(Err("what it set aside cannot be read".to_owned()));
            };
            let snapshot = Snapshot::stored(&transaction, names, checkpoint)?;
            Ok(Ok((database, snapshot, letters)))
        }));
        match opened {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => match error {
                TableError::Storage(error) => distrust(path, *error).map(Err),
                TableError::UnknownTable(_)
                | TableError::Io { .. }
                | TableError::AlreadyOpen(_)
                | TableError::Stopped => Err(error),
            },
            Err(_) => Ok(Err("it is damaged: reading it ended in a panic".to_owned())),
        }
    }

    #[cfg(test)]
    pub(crate) fn on(
        backend: impl redb::StorageBackend,
        names: &'static [&'static str],
        log_id: LogId,
    ) -> Result<Self, TableError> {
        let database = builder(1 << 16).create_with_backend(backend)?;
        Self::fresh(database, names, log_id, None)
    }

    #[cfg(test)]
    pub(crate) fn again_on(
        backend: impl redb::StorageBackend,
        names: &'static [&'static str],
        log_id: LogId,
    ) -> Result<Result<Self, String>, TableError> {
        let open = || builder(1 << 16).create_with_backend(backend);
        let found = Self::trusted(Path::new(""), names, log_id, Position(u64::MAX), open)?;
        Ok(found.map(|(database, snapshot, letters)| Self {
            snapshot: Arc::new(snapshot),
            database,
            names,
            place: None,
            letters,
            pace: Pace::alone(),
        }))
    }

    /// Deletes the file at `served`, and an unfinished one beside it.
    pub(crate) fn discard(served: &Path) -> Result<(), TableError> {
        remove(served)?;
        remove(&building_path(served))
    }

    /// A snapshot of the last commit, durable or not.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.snapshot), self.letters.shown())
    }

    /// Where the last commit stands.
    pub fn checkpoint(&self) -> Checkpoint {
        self.snapshot.checkpoint()
    }

    /// From now on whoever works on the file rests beside a log that grows, or does not.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Says under which name the file lies now.
    pub(crate) fn lies_at(&mut self, path: &Path) {
        if let Some(place) = &mut self.place {
            path.clone_into(&mut place.served);
        }
    }

    /// Rests where it is time to; an error once nobody waits for it any more.
    pub(crate) fn rest(&mut self) -> Result<(), TableError> {
        self.pace.rest()
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What was set aside.
    pub(crate) fn letters(&self) -> &Letters {
        &self.letters
    }

    /// The committed rows, and what was set aside.
    pub(crate) fn parts(&mut self) -> (&Snapshot, &mut Letters) {
        (&self.snapshot, &mut self.letters)
    }

    /// Whether the file has not caught up once yet.
    pub fn is_building(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.building)
    }

    /// Commits the changes with their position, and empties the overlay.
    pub(crate) fn commit(
        &mut self,
        overlay: &mut Overlay,
        position: Position,
        synced: Synced,
    ) -> Result<(), TableError> {
        let checkpoint = Checkpoint {
            log_id: self.checkpoint().log_id,
            position,
        };
        if overlay.is_empty() && !self.letters.is_changed() && synced == Synced::No {
            // Nothing to write; the position is written with the next rows, or the next durable checkpoint.
            self.snapshot = Arc::new(self.snapshot.moved_to(checkpoint));
            return Ok(());
        }
        let mut transaction = self.database.begin_write()?;
        match synced {
            Synced::Yes => transaction.set_quick_repair(true),
            Synced::No => transaction.set_durability(Durability::None)?,
        }
        {
            let mut meta = transaction.open_table(row_table(META))?;
            meta.insert(CHECKPOINT, checkpoint.to_bytes().as_slice())?;
        }
        if self.letters.is_changed() {
            let mut letters = transaction.open_table(row_table(LETTERS))?;
            for (key, letter) in self.letters.changes() {
                match letter {
                    Some(letter) => drop(letters.insert(key.as_slice(), letter.as_slice())?),
                    None => drop(letters.remove(key.as_slice())?),
                }
            }
        }
        for (at, (name, changes)) in self.names.iter().zip(overlay.drain()).enumerate() {
            if changes.is_empty() {
                continue;
            }
            let mut table = transaction.open_table(row_table(name))?;
            let rows = table.len()?;
            if rows == 0 {
                load(&mut table, &changes, &mut self.pace)?;
            } else if changes.len() < REWRITE_CHANGES_MIN
                || changes.len() as u64 * REWRITE_ROWS < rows
            {
                merge(&mut table, &changes, &mut self.pace)?;
            } else {
                drop(table);
                self.rewrite(&transaction, at, name, changes)?;
            }
        }
        transaction.commit()?;
        self.letters.written();
        self.snapshot = Arc::new(Snapshot::stored(
            &self.database.begin_read()?,
            self.names,
            checkpoint,
        )?);
        Ok(())
    }

    /// Writes a table anew, its rows and the changes merged in key order: where the changes touch most leaves, this
    /// costs less than to seek each of them.
    fn rewrite(
        &mut self,
        transaction: &WriteTransaction,
        at: usize,
        name: &'static str,
        changes: Vec<(Box<[u8]>, Change)>,
    ) -> Result<(), TableError> {
        let mut next = transaction.open_table(row_table(NEXT))?;
        let mut end = next.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
        let mut changes = changes.into_iter().peekable();
        for row in self.snapshot.scan(at, &Span::all(), Order::Ascending)? {
            self.pace.rest()?;
            let (key, value) = row?;
            while let Some((new, change)) = changes.next_if(|(new, _)| **new < *key) {
                if let Change::Put(value) = change {
                    end.insert_before(&*new, &*value)?;
                }
            }
            match changes.next_if(|(new, _)| **new == *key) {
                Some((_, Change::Put(value))) => end.insert_before(&*key, &*value)?,
                Some((_, Change::Delete)) => {}
                Some((_, Change::Nothing)) | None => end.insert_before(&*key, &*value)?,
            }
        }
        for (new, change) in changes {
            if let Change::Put(value) = change {
                end.insert_before(&*new, &*value)?;
            }
        }
        end.close()?;
        drop(next);
        transaction.delete_table(row_table(name))?;
        transaction.rename_table(row_table(NEXT), row_table(name))?;
        Ok(())
    }

    /// Gives a file that has caught up its real name, packed where that is worth it and there is room for it. Its last
    /// commit must be a synced one.
    pub(crate) fn put_in_place(&mut self) -> Result<(), TableError> {
        let Some(place) = &mut self.place else {
            return Ok(());
        };
        if place.building {
            let built = building_path(&place.served);
            let bytes = fs::metadata(&built).map_err(|cause| io(&built, "looking at", cause))?;
            let packed = packed_path(&place.served);
            if bytes.len() >= PACKED_BYTES_MIN {
                let of = (&*self.snapshot, self.names, &self.letters);
                match packed_into(of, &packed, &built, place.cache_bytes, &mut self.pace) {
                    Ok((database, snapshot)) => {
                        self.snapshot = Arc::new(snapshot);
                        self.database = database;
                    }
                    // There may be no room for it a second time.
                    Err(error) => {
                        if let Err(error) = remove(&packed) {
                            tracing::warn!(%error, "what was packed of a view stays");
                        }
                        if matches!(error, TableError::Stopped) {
                            return Err(error);
                        }
                        let file = built.display();
                        tracing::warn!(%file, %error, "a view is served as it was built, not packed");
                    }
                }
            }
            rename(&built, &place.served)?;
            place.building = false;
        }
        Ok(())
    }
}

/// What a file has set aside; none where that cannot be read.
fn letters_of(transaction: &ReadTransaction) -> Result<Option<Letters>, TableError> {
    let table = match transaction.open_table(row_table(LETTERS)) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Some(Letters::default())),
        Err(error) => return Err(error.into()),
    };
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (key, letter) = row?;
        rows.push((key.value().to_vec(), letter.value().to_vec()));
    }
    let rows = rows.iter().map(|(key, letter)| (&**key, &**letter));
    Ok(Letters::stored(rows))
}

/// Deletes a file, if there is one.
pub(crate) fn remove(path: &Path) -> Result<(), TableError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(io(path, "deleting", cause)),
    }
}

pub(crate) fn builder(cache_bytes: usize) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    builder
}

pub(crate) fn io(path: &Path, what: &str, cause: std::io::Error) -> TableError {
    TableError::Io {
        what: format!("{what} {}", path.display()),
        cause,
    }
}

pub(crate) fn open_error(path: &Path, error: DatabaseError) -> TableError {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        TableError::AlreadyOpen(path.display().to_string())
    } else {
        error.into()
    }
}

/// Whether the error tells of the file's content (then why it cannot be trusted) or of the system around it.
fn distrust(path: &Path, error: redb::Error) -> Result<String, TableError> {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    if let redb::Error::Io(cause) = &error
        && matches!(cause.kind(), InvalidData | UnexpectedEof)
    {
        return Ok(format!("it is damaged: {cause}"));
    }
    if let redb::Error::Io(cause) = error {
        return Err(io(path, "opening", cause));
    }
    if matches!(error, redb::Error::DatabaseAlreadyOpen) {
        return Err(TableError::AlreadyOpen(path.display().to_string()));
    }
    Ok(format!("it is damaged: {error}"))
}

//! How rows get into a file: loaded into an empty table, merged into one that has some, packed into a fresh file.
//!
//! A file that was built by adding rows over and over holds the pages of its earlier states, and redb gives none of
//! them back; packed, it is as small as its rows. Everything is written in key order.

use std::fs;
use std::ops::Bound;
use std::path::Path;

use redb::{Database, ReadableDatabase, WriteTransaction};

use crate::file::{
    CHECKPOINT, Checkpoint, FORMAT, FORMAT_VERSION, LETTERS, META, builder, io, open_error, remove,
    row_table,
};
use crate::letters::Letters;
use crate::overlay::Change;
use crate::pace::Pace;
use crate::reader::Snapshot;
use crate::{Order, Span, TableError};

/// The cache of a file that is only written in order, in bytes.
const PACKING_CACHE_BYTES: usize = 4 << 20;

/// Packs the rows of a snapshot at `packed`, opens that, and puts it in the place of `built`. Where it fails, `built` is
/// as it was.
pub(crate) fn packed_into(
    (from, names, letters): (&Snapshot, &'static [&'static str], &Letters),
    packed: &Path,
    built: &Path,
    cache_bytes: usize,
    pace: &mut Pace,
) -> Result<(Database, Snapshot), TableError> {
    pack((from, names, letters), packed, pace)?;
    let database = builder(cache_bytes)
        .open(packed)
        .map_err(|error| open_error(packed, error))?;
    let snapshot = Snapshot::stored(&database.begin_read()?, names, from.checkpoint())?;
    fs::rename(packed, built).map_err(|cause| io(packed, "renaming", cause))?;
    Ok((database, snapshot))
}

/// Writes a fresh database at `path` with the rows and the checkpoint of a snapshot and what was set aside, synced.
fn pack(
    (from, names, letters): (&Snapshot, &'static [&'static str], &Letters),
    path: &Path,
    pace: &mut Pace,
) -> Result<(), TableError> {
    remove(path)?;
    let database = builder(PACKING_CACHE_BYTES)
        .create(path)
        .map_err(|error| open_error(path, error))?;
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    begin_tables(&transaction, names, from.checkpoint())?;
    for (at, name) in names.iter().enumerate() {
        let mut table = transaction.open_table(row_table(name))?;
        let mut end = table.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
        for row in from.scan(at, &Span::all(), Order::Ascending)? {
            pace.rest()?;
            let (key, value) = row?;
            end.insert_before(&*key, &*value)?;
        }
        end.close()?;
    }
    if !letters.is_empty() {
        let mut table = transaction.open_table(row_table(LETTERS))?;
        for (key, letter) in letters.rows() {
            table.insert(key.as_slice(), letter.as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Makes the tables of a new file, with its checkpoint.
pub(crate) fn begin_tables(
    transaction: &WriteTransaction,
    names: &'static [&'static str],
    checkpoint: Checkpoint,
) -> Result<(), TableError> {
    let mut meta = transaction.open_table(row_table(META))?;
    meta.insert(FORMAT, FORMAT_VERSION)?;
    meta.insert(CHECKPOINT, checkpoint.to_bytes().as_slice())?;
    for name in names {
        transaction.open_table(row_table(name))?;
    }
    Ok(())
}

pub(crate) type RowTable<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// Writes rows in key order into an empty table, each leaf once.
pub(crate) fn load(
    table: &mut RowTable<'_>,
    changes: &[(Box<[u8]>, Change)],
    pace: &mut Pace,
) -> Result<(), TableError> {
    let mut end = table.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
    for (key, change) in changes {
        pace.rest()?;
        if let Change::Put(value) = change {
            end.insert_before(&**key, &**value)?;
        }
    }
    Ok(end.close()?)
}

/// Writes rows in key order into a table that has some.
pub(crate) fn merge(
    table: &mut RowTable<'_>,
    changes: &[(Box<[u8]>, Change)],
    pace: &mut Pace,
) -> Result<(), TableError> {
    for (key, change) in changes {
        pace.rest()?;
        match change {
            Change::Put(value) => drop(table.insert(&**key, &**value)?),
            Change::Delete => drop(table.remove(&**key)?),
            Change::Nothing => {}
        }
    }
    Ok(())
}

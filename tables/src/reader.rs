//! What queries read: one consistent snapshot of a view's rows, with the checkpoint they stand at.
//!
//! A snapshot is taken once per commit and shared by all readers until the next one, so that a query costs no
//! transaction of its own. It is of rows in redb, or of rows folded in memory; queries cannot tell.

use std::fmt;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata};
use sha2::{Digest as _, Sha256};

use crate::file::row_table;
use crate::letters::{self, Letter, Skips, panic_text};
use crate::pace::Pace;
use crate::tx::index_of;
use crate::{Checkpoint, Order, Slice, Span, TableError};

type StoredTable = ReadOnlyTable<&'static [u8], &'static [u8]>;
type StoredRange = redb::Range<'static, &'static [u8], &'static [u8]>;
type MemoryRow = (Box<[u8]>, Box<[u8]>);

/// Rows at one moment.
pub(crate) struct Snapshot {
    names: &'static [&'static str],
    checkpoint: Checkpoint,
    rows: Arc<Kind>,
}

enum Kind {
    Stored(Vec<Option<StoredTable>>),
    /// Sorted by key.
    Memory(Vec<Vec<MemoryRow>>),
}

impl Snapshot {
    pub(crate) fn stored(
        transaction: &ReadTransaction,
        names: &'static [&'static str],
        checkpoint: Checkpoint,
    ) -> Result<Self, TableError> {
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            tables.push(match transaction.open_table(row_table(name)) {
                Ok(table) => Some(table),
                Err(redb::TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(error.into()),
            });
        }
        Ok(Self {
            names,
            checkpoint,
            rows: Arc::new(Kind::Stored(tables)),
        })
    }

    pub(crate) fn memory(
        names: &'static [&'static str],
        checkpoint: Checkpoint,
        rows: Vec<Vec<MemoryRow>>,
    ) -> Self {
        Self {
            names,
            checkpoint,
            rows: Arc::new(Kind::Memory(rows)),
        }
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }

    /// The same rows, standing at a later event: those between changed none.
    pub(crate) fn moved_to(&self, checkpoint: Checkpoint) -> Self {
        Self {
            names: self.names,
            checkpoint,
            rows: Arc::clone(&self.rows),
        }
    }

    /// Whether there is no row at all.
    pub(crate) fn is_void(&self) -> Result<bool, TableError> {
        for at in 0..self.names.len() {
            if self.count(at)? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn get(&self, at: usize, key: &[u8]) -> Result<Option<Slice<'_>>, TableError> {
        match &*self.rows {
            Kind::Stored(tables) => match tables.get(at) {
                Some(Some(table)) => sound(|| Ok(table.get(key)?.map(Slice::stored))),
                Some(None) | None => Ok(None),
            },
            Kind::Memory(tables) => Ok(tables.get(at).and_then(|rows| {
                let found = rows
                    .binary_search_by(|(other, _)| (**other).cmp(key))
                    .ok()?;
                rows.get(found).map(|(_, value)| Slice::memory(value))
            })),
        }
    }

    pub(crate) fn scan(
        &self,
        at: usize,
        span: &Span,
        order: Order,
    ) -> Result<Rows<'_>, TableError> {
        let Some(bounds) = span.bounds() else {
            return Ok(Rows::empty());
        };
        let from = match &*self.rows {
            Kind::Stored(tables) => match tables.get(at) {
                Some(Some(table)) => {
                    From::Stored(sound(|| Ok(Box::new(table.range::<&[u8]>(bounds)?)))?)
                }
                Some(None) | None => From::Nothing,
            },
            Kind::Memory(tables) => tables
                .get(at)
                .map_or(From::Nothing, |rows| From::Memory(within(rows, bounds))),
        };
        Ok(Rows { order, from })
    }

    fn count(&self, at: usize) -> Result<u64, TableError> {
        match &*self.rows {
            Kind::Stored(tables) => match tables.get(at) {
                Some(Some(table)) => Ok(table.len()?),
                Some(None) | None => Ok(0),
            },
            Kind::Memory(tables) => Ok(tables.get(at).map_or(0, |rows| rows.len() as u64)),
        }
    }
}

/// What a reading of a file gives. In a damaged page redb may meet what it holds for impossible, and panic: that is the
/// file's fault, and nobody else's.
fn sound<T>(read: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let error = redb::Error::Corrupted(panic_text(&*panic));
        Err(error.into())
    })
}

/// The rows of a sorted list that lie between two bounds.
fn within<'a>(
    rows: &'a [MemoryRow],
    (lower, upper): (Bound<&[u8]>, Bound<&[u8]>),
) -> &'a [MemoryRow] {
    let start = match lower {
        Bound::Unbounded => 0,
        Bound::Included(low) => rows.partition_point(|(key, _)| **key < *low),
        Bound::Excluded(low) => rows.partition_point(|(key, _)| **key <= *low),
    };
    let end = match upper {
        Bound::Unbounded => rows.len(),
        Bound::Included(high) => rows.partition_point(|(key, _)| **key <= *high),
        Bound::Excluded(high) => rows.partition_point(|(key, _)| **key < *high),
    };
    rows.get(start..end).unwrap_or_default()
}

/// A snapshot of a view's rows; cheap to clone, unmoved by what is applied after it was taken.
///
/// While it is held the file keeps the pages it needs: hold it for a query, not for longer.
#[derive(Clone)]
pub struct Reader {
    snapshot: Arc<Snapshot>,
    letters: letters::Shown,
    version: u32,
    skips: Arc<Skips>,
}

impl Reader {
    /// Rows of no view's version.
    pub(crate) fn new(snapshot: Arc<Snapshot>, letters: letters::Shown) -> Self {
        Self {
            snapshot,
            letters,
            version: 0,
            skips: Arc::default(),
        }
    }

    /// What is set aside beside these very rows, in the log's order.
    pub fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.letters.values()
    }

    /// The same, as rows of a view's version that does without some events.
    pub(crate) fn of(self, version: u32, skips: &Arc<Skips>) -> Self {
        Self {
            version,
            skips: Arc::clone(skips),
            ..self
        }
    }

    /// What these rows do without, which a fold to compare with them has to do without too.
    pub(crate) fn skips(&self) -> &Arc<Skips> {
        &self.skips
    }

    /// The version of the view whose rows these are: what they mean, and their shape. 0 where no view tells, as with rows
    /// that are read from a file by itself.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The position these very rows stand at, and the log's id.
    pub fn checkpoint(&self) -> Checkpoint {
        self.snapshot.checkpoint()
    }

    /// The names of the tables, in the view's order.
    pub fn tables(&self) -> &'static [&'static str] {
        self.snapshot.names
    }

    /// The row at `key`.
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Slice<'_>>, TableError> {
        self.snapshot
            .get(index_of(self.snapshot.names, table)?, key)
    }

    /// Whether there is a row at `key`.
    pub fn contains(&self, table: &str, key: &[u8]) -> Result<bool, TableError> {
        Ok(self.get(table, key)?.is_some())
    }

    /// The rows of `span`, in order.
    pub fn scan(&self, table: &str, span: &Span, order: Order) -> Result<Rows<'_>, TableError> {
        self.snapshot
            .scan(index_of(self.snapshot.names, table)?, span, order)
    }

    /// The number of rows of a table; costs nothing.
    pub fn count(&self, table: &str) -> Result<u64, TableError> {
        self.snapshot.count(index_of(self.snapshot.names, table)?)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("checkpoint", &self.checkpoint())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The rows of a scan: key and value.
pub struct Rows<'a> {
    order: Order,
    from: From<'a>,
}

enum From<'a> {
    Nothing,
    Stored(Box<StoredRange>),
    Memory(&'a [MemoryRow]),
}

impl Rows<'_> {
    pub(crate) fn empty() -> Self {
        Self {
            order: Order::Ascending,
            from: From::Nothing,
        }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<(Slice<'a>, Slice<'a>), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.from {
            From::Nothing => None,
            From::Stored(range) => {
                let next = sound(|| {
                    let next = match self.order {
                        Order::Ascending => range.next(),
                        Order::Descending => range.next_back(),
                    };
                    Ok(next.transpose()?)
                });
                let rows = |(key, value)| (Slice::stored(key), Slice::stored(value));
                next.map(|next| next.map(rows)).transpose()
            }
            From::Memory(rows) => {
                let (row, rest) = match self.order {
                    Order::Ascending => rows.split_first()?,
                    Order::Descending => rows.split_last()?,
                };
                *rows = rest;
                Some(Ok((Slice::memory(&row.0), Slice::memory(&row.1))))
            }
        }
    }
}

/// What a snapshot's rows come to: their number, and SHA-256 over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The number of rows in all tables.
    pub rows: u64,
    /// SHA-256 over the tables by name, and in each the rows by key, length-prefixed.
    pub sha256: [u8; 32],
}

impl Digest {
    /// What stands for rows that could not be read; no rows come to it.
    pub(crate) const UNREADABLE: Self = Self {
        rows: 0,
        sha256: [0; 32],
    };
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sha256
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest of all rows of a snapshot. Equal rows have equal digests, however they were made; the checkpoint is
/// not part of it.
pub fn digest(reader: &Reader) -> Result<Digest, TableError> {
    digest_at(reader, &mut Pace::alone())
}

/// The same, making way for others.
pub(crate) fn digest_at(reader: &Reader, pace: &mut Pace) -> Result<Digest, TableError> {
    let mut sha256 = Sha256::new();
    let mut rows = 0;
    let mut names = reader.tables().to_vec();
    names.sort_unstable();
    let mut take = |bytes: &[u8]| {
        sha256.update((bytes.len() as u64).to_be_bytes());
        sha256.update(bytes);
    };
    for table in names {
        take(table.as_bytes());
        take(&reader.count(table)?.to_be_bytes());
        for row in reader.scan(table, &Span::all(), Order::Ascending)? {
            pace.rest()?;
            let (key, value) = row?;
            take(&key);
            take(&value);
            rows += 1;
        }
    }
    Ok(Digest {
        rows,
        sha256: sha256.finalize().into(),
    })
}

//! What a view writes through: an overlay of a batch's changes over the rows committed before it.
//!
//! Point reads look into the overlay, then into the committed rows; scans merge the two. What a batch does to one row
//! is merged, and only its last state reaches the file, in key order. Without committed rows below, the same code
//! folds in memory alone, which is how a rebuild and a view as of a moment run.

use std::cmp::Ordering;
use std::collections::btree_map;
use std::ops::Deref;

use redb::AccessGuard;

use crate::overlay::{Change, Overlay, TableChanges};
use crate::reader::{Rows, Snapshot};
use crate::{Order, Span, TableError};

/// Bytes of a key or a value, where they lie.
pub struct Slice<'a>(Kind<'a>);

enum Kind<'a> {
    Memory(&'a [u8]),
    Stored(AccessGuard<'a, &'static [u8]>),
}

impl<'a> Slice<'a> {
    pub(crate) fn memory(bytes: &'a [u8]) -> Self {
        Self(Kind::Memory(bytes))
    }

    pub(crate) fn stored(guard: AccessGuard<'a, &'static [u8]>) -> Self {
        Self(Kind::Stored(guard))
    }
}

impl Deref for Slice<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Memory(bytes) => bytes,
            Kind::Stored(guard) => guard.value(),
        }
    }
}

impl AsRef<[u8]> for Slice<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for Slice<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A view's tables while a batch of events is applied.
pub struct Tx<'a> {
    names: &'static [&'static str],
    overlay: &'a mut Overlay,
    below: Option<&'a Snapshot>,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        names: &'static [&'static str],
        overlay: &'a mut Overlay,
        below: Option<&'a Snapshot>,
    ) -> Self {
        Self {
            names,
            overlay,
            below,
        }
    }

    /// The row at `key`, as the events before and within this batch left it.
    pub fn get(&self, table: &str, key: &[u8]) -> Result<Option<Slice<'_>>, TableError> {
        let at = index_of(self.names, table)?;
        match self.overlay.table(at).and_then(|changes| changes.get(key)) {
            Some(Change::Put(value)) => Ok(Some(Slice::memory(value))),
            Some(Change::Delete) => Ok(None),
            Some(Change::Nothing) | None => match self.below {
                Some(snapshot) => snapshot.get(at, key),
                None => Ok(None),
            },
        }
    }

    /// Whether there is a row at `key`.
    pub fn contains(&self, table: &str, key: &[u8]) -> Result<bool, TableError> {
        Ok(self.get(table, key)?.is_some())
    }

    /// Sets the row at `key`.
    pub fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), TableError> {
        let at = index_of(self.names, table)?;
        self.overlay.set(at, key, Change::Put(value.into()));
        Ok(())
    }

    /// Removes the row at `key`, if there is one.
    pub fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), TableError> {
        let at = index_of(self.names, table)?;
        self.overlay.set(at, key, Change::Delete);
        Ok(())
    }

    /// The rows of `span`, in order: what is committed and what this batch did, merged.
    pub fn scan(&mut self, table: &str, span: &Span, order: Order) -> Result<Scan<'_>, TableError> {
        let at = index_of(self.names, table)?;
        let Some(bounds) = span.bounds() else {
            return Ok(Scan::empty(order));
        };
        if let Some(changes) = self.overlay.table_mut(at) {
            changes.sorted();
        }
        let below = match self.below {
            Some(snapshot) => snapshot.scan(at, span, order)?,
            None => Rows::empty(),
        };
        let changes = self.overlay.table(at);
        let above = changes
            .and_then(TableChanges::sorted_if_made)
            .map(|sorted| sorted.range::<[u8], _>(bounds));
        Ok(Scan {
            order,
            above,
            changes,
            below,
            next_above: None,
            next_below: None,
        })
    }

    /// Removes every row of `span`, and says how many there were.
    pub fn delete_span(&mut self, table: &str, span: &Span) -> Result<u64, TableError> {
        let mut keys = Vec::new();
        for row in self.scan(table, span, Order::Ascending)? {
            keys.push(row?.0.to_vec());
        }
        for key in &keys {
            self.delete(table, key)?;
        }
        Ok(keys.len() as u64)
    }
}

/// The place of a table among a view's.
pub(crate) fn index_of(names: &[&'static str], table: &str) -> Result<usize, TableError> {
    names
        .iter()
        .position(|name| std::ptr::eq(*name, table) || *name == table)
        .ok_or_else(|| TableError::UnknownTable(table.to_owned()))
}

/// The rows of a scan within a batch: key and value.
pub struct Scan<'a> {
    order: Order,
    above: Option<btree_map::Range<'a, Box<[u8]>, u32>>,
    changes: Option<&'a TableChanges>,
    below: Rows<'a>,
    next_above: Option<(&'a [u8], &'a Change)>,
    next_below: Option<(Slice<'a>, Slice<'a>)>,
}

impl Scan<'_> {
    fn empty(order: Order) -> Self {
        Self {
            order,
            above: None,
            changes: None,
            below: Rows::empty(),
            next_above: None,
            next_below: None,
        }
    }

    /// Fills both sides; the next row is the nearer of the two.
    fn fill(&mut self) -> Result<(), TableError> {
        if self.next_above.is_none()
            && let (Some(above), Some(changes)) = (&mut self.above, self.changes)
        {
            let next = match self.order {
                Order::Ascending => above.next(),
                Order::Descending => above.next_back(),
            };
            self.next_above = next.map(|(key, &at)| (&**key, changes.change_at(at)));
        }
        if self.next_below.is_none() {
            self.next_below = self.below.next().transpose()?;
        }
        Ok(())
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<(Slice<'a>, Slice<'a>), TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Err(error) = self.fill() {
                return Some(Err(error));
            }
            let Some((key, change)) = self.next_above else {
                return self.next_below.take().map(Ok);
            };
            if let Some((below, _)) = &self.next_below {
                let ordering = match self.order {
                    Order::Ascending => key.cmp(below),
                    Order::Descending => (**below).cmp(key),
                };
                match ordering {
                    Ordering::Greater => return self.next_below.take().map(Ok),
                    // A slot whose change was taken back covers nothing.
                    Ordering::Equal if *change != Change::Nothing => self.next_below = None,
                    Ordering::Equal | Ordering::Less => {}
                }
            }
            self.next_above = None;
            if let Change::Put(value) = change {
                return Some(Ok((Slice::memory(key), Slice::memory(value))));
            }
        }
    }
}

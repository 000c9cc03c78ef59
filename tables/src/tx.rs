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

#[cfg(test)]
mod spec {
    use std::collections::BTreeMap;

    use event_store::{LogId, Position};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::ViewFile;
    use crate::file::Synced;

    const NAMES: &[&str] = &["a", "b"];

    /// Few keys, so that changes meet.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4)
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(usize, Vec<u8>, Vec<u8>),
        Delete(usize, Vec<u8>),
        DeleteSpan(usize, Vec<u8>),
        Scan(usize, Vec<u8>, Vec<u8>, bool),
        /// The event is done.
        Keep,
        /// The event failed.
        TakeBack,
        Commit,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => (0..2_usize, key(), vec(any::<u8>(), 0..3)).prop_map(|(table, key, value)| Step::Put(table, key, value)),
            3 => (0..2_usize, key()).prop_map(|(table, key)| Step::Delete(table, key)),
            1 => (0..2_usize, key()).prop_map(|(table, key)| Step::DeleteSpan(table, key)),
            3 => (0..2_usize, key(), key(), any::<bool>()).prop_map(|(t, a, b, up)| Step::Scan(t, a, b, up)),
            3 => Just(Step::Keep),
            1 => Just(Step::TakeBack),
            1 => Just(Step::Commit),
        ]
    }

    type Model = [BTreeMap<Vec<u8>, Vec<u8>>; 2];

    fn expected(
        model: &BTreeMap<Vec<u8>, Vec<u8>>,
        span: &Span,
        order: Order,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Some(bounds) = span.bounds() else {
            return Vec::new();
        };
        let rows = model
            .range::<[u8], _>(bounds)
            .map(|(key, value)| (key.clone(), value.clone()));
        match order {
            Order::Ascending => rows.collect(),
            Order::Descending => rows.rev().collect(),
        }
    }

    fn owned(row: Result<(Slice<'_>, Slice<'_>), TableError>) -> (Vec<u8>, Vec<u8>) {
        let (key, value) = row.unwrap();
        (key.to_vec(), value.to_vec())
    }

    /// The same steps on a transaction over `file` (or over nothing) and on maps.
    fn compare(steps: Vec<Step>, mut file: Option<ViewFile>) {
        let mut overlay = Overlay::new(2);
        let (mut kept, mut model) = (Model::default(), Model::default());
        let mut position = 0;
        for step in steps {
            let mut tx = Tx::new(NAMES, &mut overlay, file.as_ref().map(ViewFile::snapshot));
            match step {
                Step::Put(table, key, value) => {
                    tx.put(NAMES[table], &key, &value).unwrap();
                    model[table].insert(key, value);
                }
                Step::Delete(table, key) => {
                    tx.delete(NAMES[table], &key).unwrap();
                    model[table].remove(&key);
                }
                Step::DeleteSpan(table, prefix) => {
                    let gone = tx
                        .delete_span(NAMES[table], &Span::prefix(&prefix))
                        .unwrap();
                    let before = model[table].len();
                    model[table].retain(|key, _| !key.starts_with(&prefix));
                    assert_eq!(gone, (before - model[table].len()) as u64);
                }
                Step::Scan(table, prefix, bound, up) => {
                    let order = if up {
                        Order::Ascending
                    } else {
                        Order::Descending
                    };
                    for span in [
                        Span::all(),
                        Span::prefix(&prefix),
                        Span::prefix(&prefix).after(&bound),
                        Span::all().from(&prefix).through(&bound),
                        Span::all().after(&prefix).before(&bound),
                    ] {
                        let rows = tx
                            .scan(NAMES[table], &span, order)
                            .unwrap()
                            .map(owned)
                            .collect::<Vec<_>>();
                        assert_eq!(rows, expected(&model[table], &span, order));
                    }
                    assert_eq!(
                        tx.get(NAMES[table], &bound)
                            .unwrap()
                            .map(|row| row.to_vec()),
                        model[table].get(&bound).cloned(),
                    );
                }
                Step::Keep => {
                    overlay.keep(file.is_none());
                    kept = model.clone();
                }
                Step::TakeBack => {
                    overlay.take_back();
                    model = kept.clone();
                }
                Step::Commit => {
                    overlay.keep(file.is_none());
                    kept = model.clone();
                    position += 1;
                    if let Some(file) = &mut file {
                        file.commit(&mut overlay, Position(position), Synced::No)
                            .unwrap();
                        assert_eq!(overlay.bytes(), 0);
                        let reader = file.reader();
                        assert_eq!(reader.checkpoint().position, Position(position));
                        for (name, rows) in NAMES.iter().zip(&model) {
                            let found = reader.scan(name, &Span::all(), Order::Descending).unwrap();
                            let found = found.map(owned).collect::<Vec<_>>();
                            assert_eq!(found, expected(rows, &Span::all(), Order::Descending));
                            assert_eq!(reader.count(name).unwrap(), rows.len() as u64);
                        }
                    }
                }
            }
        }
    }

    fn in_memory() -> ViewFile {
        ViewFile::in_memory(NAMES, LogId(uuid::Uuid::nil()), 1 << 20).unwrap()
    }

    proptest! {
        #[test]
        fn over_committed_rows_it_is_a_sorted_map(steps in vec(step(), 0..60)) {
            compare(steps, Some(in_memory()));
        }

        #[test]
        fn over_nothing_it_is_a_sorted_map(steps in vec(step(), 0..60)) {
            compare(steps, None);
        }
    }

    #[test]
    fn refuses_a_table_that_the_view_does_not_have() {
        let mut overlay = Overlay::new(2);
        let mut tx = Tx::new(NAMES, &mut overlay, None);
        assert!(
            matches!(tx.put("c", b"k", b"v"), Err(TableError::UnknownTable(name)) if name == "c")
        );
        assert!(tx.scan("", &Span::all(), Order::Ascending).is_err());
    }

    #[test]
    fn a_fold_keeps_nothing_of_rows_that_came_and_went() {
        let mut overlay = Overlay::new(2);
        for number in 0..100_u8 {
            let mut tx = Tx::new(NAMES, &mut overlay, None);
            tx.put("a", &[number], &[0; 100]).unwrap();
            tx.delete("a", &[number.wrapping_sub(1)]).unwrap();
            overlay.keep(true);
        }
        assert!(
            overlay.bytes() < 1000,
            "{} bytes for one row",
            overlay.bytes()
        );
        assert_eq!(overlay.drain()[0].len(), 1);
    }
}

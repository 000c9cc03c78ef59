//! The changes of a batch, held in memory: what each table's rows became, merged by key.
//!
//! Point access is by hash. The order of keys is made only when it is needed: once at the end, when the changes go to
//! the file, and for tables that are scanned while events are applied, by an index beside the hash from the first scan
//! on. Each event's changes can be taken back, so that an event which fails half way leaves nothing.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::mem;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It has this value now.
    Put(Box<[u8]>),
    /// It is gone, whatever was there before.
    Delete,
    /// Nothing: the slot is free, or its change was taken back.
    Nothing,
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Put(value) => value.len(),
            Self::Delete | Self::Nothing => 0,
        }
    }
}

/// One row's slot. Freed slots are used again.
#[derive(Debug)]
struct Slot {
    key: Box<[u8]>,
    hash: u64,
    change: Change,
}

/// Memory a row takes beside the bytes of its key and value: slot, index, allocations.
const SLOT_BYTES: usize = mem::size_of::<Slot>() + 40;

/// The changes of one table.
#[derive(Debug, Default)]
pub(crate) struct TableChanges {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    sorted: Option<BTreeMap<Box<[u8]>, u32>>,
    bytes: usize,
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

impl TableChanges {
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index
            .find(hash, |&slot| {
                self.slot(slot)
                    .is_some_and(|slot| slot.hash == hash && *slot.key == *key)
            })
            .copied()
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Change> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.find(hash(key), key)?;
        self.slot(slot).map(|slot| &slot.change)
    }

    /// Sets a row's change; gives its slot and what was there.
    fn set(&mut self, key: &[u8], change: Change) -> (u32, Change) {
        let hash = hash(key);
        self.bytes += change.bytes();
        if let Some(found) = self.find(hash, key) {
            let old = self
                .slots
                .get_mut(found as usize)
                .map_or(Change::Nothing, |slot| {
                    mem::replace(&mut slot.change, change)
                });
            self.bytes -= old.bytes();
            return (found, old);
        }
        self.bytes += key.len() + SLOT_BYTES;
        let slot = Slot {
            key: key.into(),
            hash,
            change,
        };
        let at = if let Some(free) = self.free.pop() {
            if let Some(place) = self.slots.get_mut(free as usize) {
                *place = slot;
            }
            free
        } else {
            self.slots.push(slot);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |&slot| {
            slots.get(slot as usize).map_or(0, |slot| slot.hash)
        });
        if let Some(sorted) = &mut self.sorted {
            sorted.insert(key.into(), at);
        }
        (at, Change::Nothing)
    }

    fn restore(&mut self, at: u32, change: Change) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        self.bytes += change.bytes();
        let undone = mem::replace(&mut slot.change, change);
        self.bytes -= undone.bytes();
    }

    /// Frees a slot that holds nothing, or a deletion of what was never there.
    fn release(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        let key = mem::take(&mut slot.key);
        self.bytes -= slot.change.bytes();
        slot.change = Change::Nothing;
        let hash = slot.hash;
        if let Ok(entry) = self.index.find_entry(hash, |&found| found == at) {
            entry.remove();
            self.bytes -= key.len() + SLOT_BYTES;
            if let Some(sorted) = &mut self.sorted {
                sorted.remove(&key);
            }
            self.free.push(at);
        }
    }

    /// Keys in order, each with its slot; made at the first call and kept from then on.
    pub(crate) fn sorted(&mut self) -> &BTreeMap<Box<[u8]>, u32> {
        let Self {
            index,
            slots,
            sorted,
            ..
        } = self;
        sorted.get_or_insert_with(|| {
            index
                .iter()
                .filter_map(|&at| slots.get(at as usize).map(|slot| (slot.key.clone(), at)))
                .collect()
        })
    }

    pub(crate) fn sorted_if_made(&self) -> Option<&BTreeMap<Box<[u8]>, u32>> {
        self.sorted.as_ref()
    }

    pub(crate) fn change_at(&self, at: u32) -> &Change {
        self.slot(at).map_or(&Change::Nothing, |slot| &slot.change)
    }

    /// Takes all changes out, in key order.
    pub(crate) fn drain(&mut self) -> Vec<(Box<[u8]>, Change)> {
        self.index.clear();
        self.free.clear();
        self.sorted = None;
        self.bytes = 0;
        let mut rows: Vec<_> = self
            .slots
            .drain(..)
            .filter(|slot| slot.change != Change::Nothing)
            .map(|slot| (slot.key, slot.change))
            .collect();
        rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        rows
    }
}

/// The changes of all tables of a view, and those of the event at hand.
#[derive(Debug)]
pub(crate) struct Overlay {
    tables: Vec<TableChanges>,
    /// What the event at hand replaced, oldest first.
    undo: Vec<(u32, u32, Change)>,
}

impl Overlay {
    pub(crate) fn new(tables: usize) -> Self {
        Self {
            tables: (0..tables).map(|_| TableChanges::default()).collect(),
            undo: Vec::new(),
        }
    }

    pub(crate) fn table(&self, table: usize) -> Option<&TableChanges> {
        self.tables.get(table)
    }

    pub(crate) fn table_mut(&mut self, table: usize) -> Option<&mut TableChanges> {
        self.tables.get_mut(table)
    }

    pub(crate) fn set(&mut self, table: usize, key: &[u8], change: Change) {
        if let Some(changes) = self.tables.get_mut(table) {
            let (slot, old) = changes.set(key, change);
            self.undo
                .push((u32::try_from(table).unwrap_or(u32::MAX), slot, old));
        }
    }

    /// The event at hand is applied: its changes stay. `nothing_below` says that there are no rows under this
    /// overlay, so that a deletion leaves no trace.
    pub(crate) fn keep(&mut self, nothing_below: bool) {
        if nothing_below {
            for (table, slot, _) in self.undo.drain(..) {
                if let Some(changes) = self.tables.get_mut(table as usize)
                    && *changes.change_at(slot) == Change::Delete
                {
                    changes.release(slot);
                }
            }
        } else {
            self.undo.clear();
        }
    }

    /// The event at hand failed: its changes are taken back.
    pub(crate) fn take_back(&mut self) {
        while let Some((table, slot, old)) = self.undo.pop() {
            if let Some(changes) = self.tables.get_mut(table as usize) {
                if old == Change::Nothing {
                    changes.release(slot);
                } else {
                    changes.restore(slot, old);
                }
            }
        }
    }

    /// Memory held, about.
    pub(crate) fn bytes(&self) -> usize {
        self.tables.iter().map(|changes| changes.bytes).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.iter().all(|changes| changes.index.is_empty())
    }

    /// Takes the changes of every table out, in key order.
    pub(crate) fn drain(&mut self) -> Vec<Vec<(Box<[u8]>, Change)>> {
        self.undo.clear();
        self.tables.iter_mut().map(TableChanges::drain).collect()
    }
}

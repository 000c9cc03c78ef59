//! A store that counts what is read of it, and else is the store below it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use event_store::{EventStore, RecordedEvent};

use crate::front::{Front, Fronted};

/// What was read of a store.
#[derive(Default)]
pub struct Counted {
    readings: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
}

impl Counted {
    /// Counts this one.
    pub fn over(store: Arc<dyn EventStore>) -> Arc<Fronted<Self>> {
        Fronted::over(store, Self::default())
    }

    /// How often events were read.
    pub fn readings(&self) -> u64 {
        self.readings.load(Ordering::SeqCst)
    }

    /// How many events were read.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::SeqCst)
    }

    /// The events read since this was asked last; counting begins anew.
    pub fn take(&self) -> usize {
        usize::try_from(self.events.swap(0, Ordering::SeqCst)).unwrap_or(usize::MAX)
    }

    /// How many bytes they had.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

impl Front for Counted {
    fn after_reading(&self, read: &[RecordedEvent]) {
        self.readings.fetch_add(1, Ordering::SeqCst);
        for event in read {
            self.events.fetch_add(1, Ordering::SeqCst);
            let bytes = event.bytes().len() as u64;
            self.bytes.fetch_add(bytes, Ordering::SeqCst);
        }
    }
}

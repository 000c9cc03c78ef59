//! Folds events into rows in memory, through a view's very code and without a file: for a view as of a moment, for
//! comparing, for tests. It sets nothing aside: an event that cannot be applied is an error.

use std::sync::Arc;

use event_store::{LogId, Position, RecordedEvent};

use crate::letters;
use crate::overlay::{Change, Overlay};
use crate::reader::Snapshot;
use crate::{ApplyError, Checkpoint, Codec, DecodeError, Reader, Skips, Tx, View};

/// Rows that are folded in memory. What it holds grows with the rows, not with the events.
pub struct Fold<'v, C: Codec> {
    view: &'v dyn View<C>,
    overlay: Overlay,
    position: Position,
    skips: Skips,
}

impl<'v, C: Codec> Fold<'v, C> {
    /// Begins without rows.
    pub fn new(view: &'v dyn View<C>) -> Self {
        let overlay = Overlay::new(view.tables().len());
        Self {
            view,
            overlay,
            position: Position::START,
            skips: Skips::default(),
        }
    }

    /// Begins without rows, and does without what the view shall.
    pub fn without(view: &'v dyn View<C>, skips: Skips) -> Self {
        Self {
            skips,
            ..Self::new(view)
        }
    }

    /// Applies one event, unless it was applied already. An error leaves the rows as they were before it; so does an event
    /// that is wanted and was not decoded.
    pub fn apply(
        &mut self,
        event: &RecordedEvent,
        decoded: &Result<C::Decoded<'_>, DecodeError>,
    ) -> Result<(), ApplyError> {
        if event.position() <= self.position {
            return Ok(());
        }
        if self.wants(event) {
            let mut tx = Tx::new(self.view.tables(), &mut self.overlay, None);
            if let Err(error) = letters::apply(self.view, &mut tx, event, decoded) {
                self.overlay.take_back();
                return Err(error);
            }
            self.overlay.keep(true);
        }
        self.position = event.position();
        Ok(())
    }

    /// Decodes and applies events in order.
    pub fn apply_all(&mut self, codec: &C, events: &[RecordedEvent]) -> Result<(), ApplyError> {
        for event in events {
            if self.wants(event) {
                self.apply(event, &codec.decode(event))?;
            } else {
                self.position = self.position.max(event.position());
            }
        }
        Ok(())
    }

    fn wants(&self, event: &RecordedEvent) -> bool {
        self.view.wants(event.event_type()) && !self.skips.has(event.stream(), event.version())
    }

    /// Notes that no event up to `position` concerns the view beyond those applied.
    pub fn came_to(&mut self, position: Position) {
        self.position = self.position.max(position);
    }

    /// The last event applied.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Memory held, about, in bytes.
    pub fn bytes(&self) -> usize {
        self.overlay.bytes()
    }

    /// Ends the fold: its rows, as queries read them.
    pub fn into_reader(mut self, log_id: LogId) -> Reader {
        let tables = self.overlay.drain().into_iter().map(|changes| {
            let rows = changes
                .into_iter()
                .filter_map(|(key, change)| match change {
                    Change::Put(value) => Some((key, value)),
                    Change::Delete | Change::Nothing => None,
                });
            rows.collect()
        });
        let checkpoint = Checkpoint {
            log_id,
            position: self.position,
        };
        let rows = Snapshot::memory(self.view.tables(), checkpoint, tables.collect());
        let reader = Reader::new(Arc::new(rows), letters::Shown::default());
        reader.of(self.view.version(), &Arc::new(self.skips))
    }
}

//! Given events, then rows: runs a view's very code in memory, and delivers everything twice on the way.

use event_store::RecordedEvent;

use crate::{ApplyError, Codec, Reader, View};

/// Applies `events` to a fresh view in memory and gives its rows. Every event is applied twice in a row where
/// [`fold_twice`] is called instead; the rows must be the same.
pub fn fold<C: Codec>(
    codec: &C,
    view: &dyn View<C>,
    events: &[RecordedEvent],
) -> Result<Reader, ApplyError> {
    todo!()
}

/// As [`fold`], and then delivers the whole list again as a runner would after a crash, with the checkpoint in place;
/// an error if that changes a row.
pub fn fold_twice<C: Codec>(
    codec: &C,
    view: &dyn View<C>,
    events: &[RecordedEvent],
) -> Result<Reader, ApplyError> {
    todo!()
}

//! A view: which tables it has, and what an event does to their rows.
//!
//! The promise a view must keep: `apply` is a function of the rows and the event alone. No clock, no lookups beyond
//! its own tables, no effect outside them; then the same log gives the same bytes on any machine, and a rebuild
//! equals what grew live. The runner gives the events in the log's order and each one once.

use std::sync::Arc;

use event_store::RecordedEvent;

use crate::{ApplyError, Codec, Tx, WaitKey};

/// Events that a view sets aside at most, unless it says otherwise.
pub const LETTERS_MAX: usize = 10_000;

/// Rows that follow the log.
pub trait View<C: Codec>: Send + Sync + 'static {
    /// The view's name: of its file, in metrics and in readiness. Lower case, digits and `_`.
    fn name(&self) -> &'static str;

    /// The version of the rows' meaning and shape. Raise it with every change to either: the new version is built
    /// from the log in a file of its own.
    fn version(&self) -> u32;

    /// The code of the version before, kept for one release: while this one is built for the first time, the rows of that
    /// one are served, and from then on they are followed for going back. Whoever reads rows asks
    /// [`Reader::version`](crate::Reader::version) whose they are. The name is the same, the version lower.
    fn earlier(&self) -> Option<Arc<dyn View<C>>> {
        None
    }

    /// The names of the view's tables.
    fn tables(&self) -> &'static [&'static str];

    /// Whether events of this type concern the view at all. What is not wanted is not decoded for it and cannot stop
    /// it.
    fn wants(&self, event_type: &str) -> bool {
        let _ = event_type;
        true
    }

    /// How much of the cache its file gets, in parts: twice that of a view with half of it.
    fn cache_share(&self) -> u32 {
        1
    }

    /// What an event's application writes and reads. While an event is set aside because it cannot be applied, later ones
    /// that conflict with it (a key in common, which one of the two writes) wait behind it, and those that wait make
    /// others wait. Events that do not conflict must give the same rows in either order. `decoded` is none for an event
    /// that cannot be decoded. By itself an event writes its stream.
    fn keys(&self, event: &RecordedEvent, decoded: Option<&C::Decoded<'_>>) -> Vec<WaitKey> {
        let _ = decoded;
        vec![WaitKey::Writes(event.stream().to_owned())]
    }

    /// How many events may be set aside, those that wait included, before the view stops. 0 stops it at the first: for
    /// a view whose rows are an order over the whole log.
    fn letters_max(&self) -> usize {
        LETTERS_MAX
    }

    /// Changes the rows by the event's header alone, and says that its content is of no matter: then it is neither needed
    /// nor given, and an event whose content cannot be decoded is applied like any other.
    fn apply_header(
        &self,
        tx: &mut Tx<'_>,
        event: &RecordedEvent,
    ) -> Option<Result<(), ApplyError>> {
        let _ = (tx, event);
        None
    }

    /// Changes the rows as the event demands. With an error or a panic the event is set aside (see [`Self::keys`]);
    /// nothing the failed call did is kept.
    fn apply(
        &self,
        tx: &mut Tx<'_>,
        event: &RecordedEvent,
        decoded: &C::Decoded<'_>,
    ) -> Result<(), ApplyError>;
}

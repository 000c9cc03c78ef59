//! What a query reads: the rows of each view at one moment, and the log for the texts that no row keeps.
//!
//! Queries know no more than this, so that the very same functions answer from the views that follow the log
//! ([`crate::ReadSide`]) and from rows folded as of a moment ([`crate::AsOf`]).

use event_store::EventStore;
use tables::Reader;

use crate::{QueryError, ViewName};

/// The rows of views, and the log they were made from.
pub(crate) trait Views: Send + Sync {
    /// A snapshot of a view.
    fn reader(&self, view: ViewName) -> Result<Reader, QueryError>;

    /// The log, for texts.
    fn log(&self) -> &dyn EventStore;
}

//! A view made from the log alone, aside from the one that serves.

use std::path::Path;
use std::sync::Arc;

use event_store::{EventStore, Position};

use crate::{Checkpoint, Codec, Digest, StartError, View};

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events folded so far.
    pub events: u64,
    /// The last of them.
    pub position: Position,
    /// Where it ends.
    pub until: Position,
}

/// What a rebuild made.
#[derive(Clone, Copy, Debug)]
pub struct Rebuilt {
    /// Where its rows stand.
    pub checkpoint: Checkpoint,
    /// Events folded.
    pub events: u64,
    /// The digest of its rows.
    pub digest: Digest,
}

/// Folds the log up to `until` into a fresh file at `path`: in memory first, then loaded in key order; past
/// `overlay_bytes_max` what is folded goes into the file, and the fold goes on over it. The file is put at `path`
/// durably and in one step at the end; killed before, it leaves nothing there.
pub async fn rebuild<C: Codec>(
    store: Arc<dyn EventStore>,
    codec: Arc<C>,
    view: Arc<dyn View<C>>,
    path: &Path,
    until: Position,
    overlay_bytes_max: usize,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Rebuilt, StartError> {
    todo!()
}

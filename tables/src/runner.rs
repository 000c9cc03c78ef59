//! Follows the log for a set of views: reads and decodes each event once, applies it to each, tells how far each is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, Position};

use crate::{Codec, Reader, TableError, View};

/// Where the files lie, and the bounds.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// The folder of the files; none keeps all rows in memory.
    pub dir: Option<PathBuf>,
    /// Cache of all the files together.
    pub cache_bytes: usize,
    /// A durable checkpoint of each view at least this often.
    pub checkpoint_every: Duration,
    /// A durable checkpoint of each view after at most this many events.
    pub checkpoint_events: u64,
    /// Events of one batch at most.
    pub batch_events_max: usize,
    /// Bytes of folded rows held in memory by one view that is being built.
    pub overlay_bytes_max: usize,
    /// Unapplied events past which [`RunnerHandle::room`] makes writers wait.
    pub unapplied_events_max: u64,
}

impl RunnerOptions {
    /// Files in `dir`, the bounds as measured.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: Some(dir.into()),
            ..Self::in_memory()
        }
    }

    /// No files: rows live as long as the runner.
    pub fn in_memory() -> Self {
        Self {
            dir: None,
            cache_bytes: 128 << 20,
            checkpoint_every: Duration::from_secs(5),
            checkpoint_events: 200_000,
            batch_events_max: 16_384,
            overlay_bytes_max: 64 << 20,
            unapplied_events_max: 200_000,
        }
    }
}

/// Why a runner cannot start, or a rebuild cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Two views bear one name, or a view's or table's name is not one.
    #[error("the views cannot stand together: {0}")]
    Views(String),
    /// A file cannot be opened, made or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(String),
    /// A view cannot apply an event.
    #[error("`{view}` cannot apply the event at {position}: {cause}")]
    Apply {
        /// The view.
        view: &'static str,
        /// The event.
        position: Position,
        /// What it answered.
        cause: String,
    },
}

/// What a view is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewState {
    /// Made from the log for the first time; not served yet.
    Building,
    /// Behind the log since it was opened; served as it stands.
    CatchingUp,
    /// Follows the log.
    Live,
    /// Could not apply an event, and stays before it.
    Stopped {
        /// The event.
        position: Position,
        /// What went wrong.
        cause: String,
    },
    /// The runner was stopped.
    Closed,
}

/// One view, for readiness and metrics.
#[derive(Clone, Debug)]
pub struct Status {
    /// The view's name.
    pub view: &'static str,
    /// Its version.
    pub version: u32,
    /// What it is doing.
    pub state: ViewState,
    /// The last event applied and visible to readers.
    pub applied: Position,
    /// The last event that is also durable in its file.
    pub durable: Position,
    /// How far it is behind the log: exact where positions are dense, else the distance of positions.
    pub lag_events: u64,
}

/// Why a wait ended without the position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The view is not there yet.
    #[error("`{view}` is at {applied}")]
    Timeout {
        /// The view.
        view: &'static str,
        /// Where it is.
        applied: Position,
    },
    /// The view stopped before it.
    #[error("`{view}` stopped before {position}: {cause}")]
    Stopped {
        /// The view.
        view: &'static str,
        /// The event it cannot apply.
        position: Position,
        /// What went wrong.
        cause: String,
    },
    /// The runner was stopped.
    #[error("the views are closed")]
    Closed,
    /// No view of that name.
    #[error("no view `{0}`")]
    UnknownView(String),
}

/// Starts runners.
pub struct Runner;

impl Runner {
    /// Opens the views' files and follows the log. Returns at once; [`RunnerHandle::states`] tells how far they are.
    pub async fn start<C: Codec>(
        store: Arc<dyn EventStore>,
        codec: C,
        views: Vec<Arc<dyn View<C>>>,
        options: RunnerOptions,
    ) -> Result<RunnerHandle, StartError> {
        todo!()
    }
}

/// A running set of views; cheap to clone.
#[derive(Clone)]
pub struct RunnerHandle {
    views: Arc<[ViewHandle]>,
}

impl RunnerHandle {
    /// The view of that name.
    pub fn view(&self, name: &str) -> Option<ViewHandle> {
        self.views.iter().find(|view| view.name() == name).cloned()
    }

    /// All views.
    pub fn views(&self) -> &[ViewHandle] {
        &self.views
    }

    /// Waits until `view` has applied `position`.
    pub async fn wait(
        &self,
        view: &str,
        position: Position,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        todo!()
    }

    /// Waits until all views have applied `position`.
    pub async fn wait_all(&self, position: Position, timeout: Duration) -> Result<(), WaitError> {
        todo!()
    }

    /// The last event that `view` has applied.
    pub fn applied(&self, view: &str) -> Option<Position> {
        self.view(view).map(|view| view.applied())
    }

    /// How each view is, for readiness and metrics.
    pub fn states(&self) -> Vec<Status> {
        self.views.iter().map(ViewHandle::status).collect()
    }

    /// How far the slowest view that is not stopped is behind the log.
    pub fn lag_events(&self) -> u64 {
        todo!()
    }

    /// Waits until the unapplied events are fewer than their bound; counts each wait. Returns at once if a view is
    /// only being built or has stopped: writers do not wait for those.
    pub async fn room(&self) {
        todo!()
    }

    /// Finishes the batch at hand, makes every view's checkpoint durable, closes the files.
    pub async fn stop(&self) -> Result<(), TableError> {
        todo!()
    }
}

/// One running view; cheap to clone.
#[derive(Clone)]
pub struct ViewHandle {
    _shared: Arc<()>,
}

impl ViewHandle {
    /// The view's name.
    pub fn name(&self) -> &'static str {
        todo!()
    }

    /// The last event applied and visible to readers.
    pub fn applied(&self) -> Position {
        todo!()
    }

    /// A snapshot of the view as it stands; an error while it is first built, lest a query see half of it.
    pub fn reader(&self) -> Result<Reader, WaitError> {
        todo!()
    }

    /// Waits until `position` is applied.
    pub async fn wait(&self, position: Position, timeout: Duration) -> Result<(), WaitError> {
        todo!()
    }

    /// How it is.
    pub fn status(&self) -> Status {
        todo!()
    }
}

//! How views are: for waiting queries, readiness and metrics.
//!
//! One [`Published`] per view is the only thing the applying thread shows of itself; everything a handle tells comes
//! from it.

use std::path::PathBuf;
use std::sync::Arc;

use event_store::{Position, ReadError};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Reader;
use crate::letters::{self, SetAside};
use crate::names::building_path;

/// What a view is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewState {
    /// Made from the log; not served before it has caught up once.
    Building,
    /// Behind the log since it was opened; served as it stands.
    CatchingUp,
    /// Follows the log.
    Live,
    /// Could not apply an event, and stays before it; served as it stands.
    Stopped {
        /// The event.
        position: Position,
        /// What went wrong.
        cause: String,
        /// It is its file that fails, and not the event; it is tried again by itself.
        passes: bool,
    },
    /// The runner was stopped.
    Closed,
}

impl ViewState {
    /// A word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::CatchingUp => "catching_up",
            Self::Live => "live",
            Self::Stopped { .. } => "stopped",
            Self::Closed => "closed",
        }
    }
}

/// One view, for readiness and metrics.
#[derive(Clone, Debug)]
pub struct Status {
    /// The view's name.
    pub view: &'static str,
    /// The version whose rows are served: the earlier one as long as a new one is built beside it, or after going back.
    pub version: u32,
    /// What it is doing.
    pub state: ViewState,
    /// The last event in its committed rows.
    pub applied: Position,
    /// The last event that is also durable in its file.
    pub durable: Position,
    /// How far it is behind the log: in events where positions are dense, else the distance of positions.
    pub lag_events: u64,
    /// The size of its file, of the one that is being built where it is built; 0 where rows are in memory.
    pub bytes: u64,
    /// Why the log cannot be read at the moment, if so.
    pub reading: Option<ReadError>,
    /// How far the file has come that was served before the last switch, where one is kept for going back.
    pub previous: Option<Position>,
    /// How many events are set aside, because one cannot be applied.
    pub set_aside: SetAside,
}

/// Why a wait ended without the position, or a view cannot be read.
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
    /// The view is being made from the log, and nobody shall read half of it.
    #[error("`{view}` is being built, at {applied}")]
    Building {
        /// The view.
        view: &'static str,
        /// How far it is.
        applied: Position,
    },
    /// The runner was stopped.
    #[error("the views are closed")]
    Closed,
    /// No view of that name.
    #[error("no view `{0}`")]
    UnknownView(String),
}

/// What a view shows of itself.
#[derive(Clone)]
pub(crate) struct Published {
    /// The version that is served, or built where none is.
    pub(crate) version: u32,
    pub(crate) state: ViewState,
    pub(crate) applied: Position,
    pub(crate) durable: Position,
    /// None while it is built, and once it is closed.
    pub(crate) reader: Option<Reader>,
    /// What is set aside beside those rows.
    pub(crate) letters: letters::Shown,
}

/// A view as it is shared between the applying thread and the handles.
pub(crate) struct Shared {
    pub(crate) name: &'static str,
    /// Where its file is served from; none in memory.
    pub(crate) path: Mutex<Option<PathBuf>>,
    pub(crate) published: watch::Sender<Published>,
    /// The one that was served before, and still follows.
    pub(crate) previous: Mutex<Option<Arc<Shared>>>,
}

impl Shared {
    pub(crate) fn new(
        name: &'static str,
        path: Option<PathBuf>,
        published: Published,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            path: Mutex::new(path),
            published: watch::Sender::new(published),
            previous: Mutex::default(),
        })
    }

    /// How far the one has come that was served before.
    pub(crate) fn previous_applied(&self) -> Option<Position> {
        let previous = self.previous.lock();
        previous
            .as_ref()
            .map(|shared| shared.published.borrow().applied)
    }

    /// The bytes of its file now.
    pub(crate) fn bytes(&self, building: bool) -> u64 {
        let Some(served) = self.path.lock().clone() else {
            return 0;
        };
        let path = if building {
            building_path(&served)
        } else {
            served
        };
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    }
}

/// The distance of two positions; the number of events between them where positions are dense.
pub(crate) fn distance(from: Position, to: Position) -> u64 {
    to.0.saturating_sub(from.0)
}

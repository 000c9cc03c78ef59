//! Why a query has no answer.
//!
//! One type for all queries; the interface maps it to statuses in one place. What a caller may not know of is
//! [`QueryError::NotFound`], the same as what does not exist.

use event_store::Position;

use crate::ViewName;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It does not exist for the caller.
    #[error("not found")]
    NotFound,
    /// The limit is not 1 to [`crate::LIMIT_MAX`].
    #[error("a page has 1 to 200 items")]
    BadLimit,
    /// A report over more days, or more rows, than one report adds up.
    #[error("the report is over too many days")]
    TooWide,
    /// The cursor is none of this list.
    #[error("the cursor is none of this list")]
    BadCursor,
    /// The cursor speaks of another log.
    #[error("the cursor is of another log")]
    OtherLog,
    /// The view cannot be read: it is being built for the first time, has stopped, or is closed.
    #[error("the view `{view}` cannot be read: {cause}")]
    Unavailable {
        /// The view.
        view: ViewName,
        /// What it is doing.
        cause: String,
    },
    /// The log or the rows could not be read, or do not fit together.
    #[error("the answer could not be read: {0}")]
    Storage(#[from] anyhow::Error),
}

/// Why a wait for a position ended without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The time was over; the view had come to this position.
    #[error("the view is behind, at {0}")]
    Behind(Position),
    /// The view stopped before the position, or is closed.
    #[error("the view has stopped: {0}")]
    Stopped(String),
}

impl From<tables::WaitError> for WaitError {
    fn from(error: tables::WaitError) -> Self {
        match error {
            tables::WaitError::Timeout { applied, .. }
            | tables::WaitError::Building { applied, .. } => Self::Behind(applied),
            stopped @ (tables::WaitError::Stopped { .. }
            | tables::WaitError::Closed
            | tables::WaitError::UnknownView(_)) => Self::Stopped(stopped.to_string()),
        }
    }
}

impl From<tables::TableError> for QueryError {
    fn from(error: tables::TableError) -> Self {
        Self::Storage(error.into())
    }
}

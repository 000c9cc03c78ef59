//! What can go wrong at a store, one type per kind of call.
//!
//! An error of an append says whether the outcome is known: only [`AppendError::Closed`] and
//! [`AppendError::Unanswered`] leave it open. Damage always names its file and offset.

use std::path::PathBuf;

use crate::{ExpectedVersion, LogId, Position, StreamName};

/// Why an append did not take place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A stream, written or read, is not where it was expected. Nothing was written.
    #[error("stream {stream} is at {actual:?}, expected {expected}")]
    WrongVersion {
        /// The stream that differs.
        stream: StreamName,
        /// What was expected of it.
        expected: ExpectedVersion,
        /// The version of its last event.
        actual: Option<u64>,
        /// The position of its last event; [`Position::START`] where it has none.
        position: Position,
    },
    /// A bound is passed. Nothing was written.
    #[error("too large: {what}, at most {limit}")]
    TooLarge {
        /// What is bounded.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The append has no events. Nothing was written.
    #[error("an append without events")]
    Empty,
    /// The free disk space is below the reserve. Nothing was written; room made is noticed.
    #[error("the disk is full")]
    StorageFull,
    /// The store has ended. Whether this append took place is unknown.
    #[error("the store has ended; the outcome is unknown")]
    Closed,
    /// A store elsewhere was reached, and its answer was not. Whether this append took place is unknown; the same events at
    /// the same version may be appended again.
    #[error("the store did not answer; the outcome is unknown: {why}")]
    Unanswered {
        /// What happened instead.
        why: String,
    },
    /// A store elsewhere cannot be reached. Nothing was written.
    #[error("the store cannot be reached: {why}")]
    Unavailable {
        /// What is in the way, and what to do about it.
        why: String,
    },
    /// The store cannot keep such an append byte for byte, or not in such a stream. Nothing was written.
    #[error("not for this store: {what}")]
    Unfit {
        /// What does not fit.
        what: &'static str,
    },
    /// Reading what the append is checked against failed. Nothing was written.
    #[error("the append could not be checked: {0}")]
    Read(#[from] ReadError),
}

/// The store ended before the position was durable: the events may be there after a restart or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store has ended; the outcome is unknown")]
pub struct OutcomeUnknown;

/// Why a reading failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store has ended.
    #[error("the store has ended")]
    Closed,
    /// What is stored does not check; nothing of it is served.
    #[error("damage in {file} at byte {offset}: {what}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The byte where the damaged piece begins.
        offset: u64,
        /// What does not check.
        what: String,
    },
    /// The file could not be read.
    #[error("{file}: {message}")]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's words.
        message: String,
    },
    /// A store elsewhere cannot be reached, or does not answer.
    #[error("the store cannot be reached: {why}")]
    Unavailable {
        /// What is in the way, and what to do about it.
        why: String,
    },
    /// What a store elsewhere has in the place of an event is none of ours.
    #[error("{place}: {what}")]
    Foreign {
        /// The stream and version, or the stream alone.
        place: String,
        /// What is wrong with it, and what to do about it.
        what: String,
    },
}

/// Why a log did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder.
    #[error("{dir} is in use by process {pid}")]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The process, as it wrote itself into the lock; `unknown` where it could not be read.
        pid: String,
    },
    /// Other processes read the log, which nobody may write to meanwhile.
    #[error("{dir} is being read by another process")]
    BeingRead {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is a backup, which is restored and never written to.
    #[error("{dir} is a backup")]
    Backup {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder's rights do not allow it.
    #[error("no permission: {path}: {source}")]
    Permission {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The log is damaged; nothing was changed.
    #[error("damage in {file} at byte {offset}: {what}")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The byte where the damaged piece begins.
        offset: u64,
        /// What does not check.
        what: String,
    },
    /// The log was written by a newer program.
    #[error("the log has format {found}, this program knows up to {known}")]
    Format {
        /// The format of the log.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// The log's events are of a schema level above this program's.
    #[error("the log has schema level {found}, this program knows up to {known}")]
    SchemaLevel {
        /// The level of the log.
        found: u32,
        /// The highest level known.
        known: u32,
    },
    /// An option is outside of what the engine can do.
    #[error("option {name}: {what}")]
    Option {
        /// The option.
        name: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The files belong to another log.
    #[error("{file} belongs to log {found}")]
    ForeignLog {
        /// The file.
        file: PathBuf,
        /// The log it names.
        found: LogId,
    },
    /// An operation on a file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl OpenError {
    /// The error of an operation on a path, with missing rights told apart.
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let path = path.into();
        if source.kind() == std::io::ErrorKind::PermissionDenied {
            Self::Permission { path, source }
        } else {
            Self::Io { path, source }
        }
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged { file, offset, what } => Self::Damaged { file, offset, what },
            ReadError::Io { file, message } => Self::Io {
                path: file,
                source: std::io::Error::other(message),
            },
            other @ (ReadError::Closed
            | ReadError::Unavailable { .. }
            | ReadError::Foreign { .. }) => Self::Io {
                path: PathBuf::new(),
                source: std::io::Error::other(other.to_string()),
            },
        }
    }
}

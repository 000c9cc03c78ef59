//! What can go wrong in a table, and what a view answers when it cannot apply an event.
//!
//! A [`TableError`] is trouble of the store below; an [`ApplyError`] is the view's own, and stops that view at the
//! event. Neither ever holds a row's content beyond its table's name.

/// Trouble with a table or its file.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The view named a table that it does not list in [`crate::View::tables`].
    #[error("no table `{0}` in this view")]
    UnknownTable(String),
    /// redb could not read or write.
    #[error("the table's file failed: {0}")]
    Storage(#[source] Box<redb::Error>),
    /// The file system could not do it.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried, with its path.
        what: String,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// The file is another process's, or another runner's of this process.
    #[error("{0} is already open")]
    AlreadyOpen(String),
    /// Nobody waits for it any more.
    #[error("it was stopped before it was done")]
    Stopped,
}

impl<E: Into<redb::Error>> From<E> for TableError {
    fn from(error: E) -> Self {
        Self::Storage(Box::new(error.into()))
    }
}

/// Why a view cannot apply an event.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The tables failed; the event itself may be sound.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A stored row cannot be read.
    #[error("a row of `{table}` cannot be read: {cause}")]
    Row {
        /// The row's table.
        table: &'static str,
        /// What the row's decoder found.
        cause: anyhow::Error,
    },
    /// The event contradicts what the view holds, or lacks what it needs.
    #[error("the event cannot be applied: {0}")]
    Event(anyhow::Error),
}

impl ApplyError {
    /// A row of `table` that cannot be decoded or encoded.
    pub fn row(table: &'static str, cause: impl Into<anyhow::Error>) -> Self {
        Self::Row {
            table,
            cause: cause.into(),
        }
    }

    /// An event that the view cannot make sense of.
    pub fn event(cause: impl Into<anyhow::Error>) -> Self {
        Self::Event(cause.into())
    }

    /// The same, from a message.
    pub fn message(
        cause: impl std::fmt::Display + std::fmt::Debug + Send + Sync + 'static,
    ) -> Self {
        Self::Event(anyhow::Error::msg(cause))
    }
}

//! How the events of a log are decoded, once for all views of a set.
//!
//! The codec is the caller's: this crate hands it a record and passes what it gives on to the views. What it gives may
//! borrow from the record, so that nothing is copied that no view keeps.

use event_store::{RecordedEvent, StreamName};

/// Decodes records into what the views of a set work on.
pub trait Codec: Send + Sync + 'static {
    /// A decoded event, borrowing from its record.
    type Decoded<'a>: Send + Sync;

    /// Decodes one record. After a failure every view that wants the event sets it aside, or stops before it.
    fn decode<'a>(&self, event: &'a RecordedEvent) -> Result<Self::Decoded<'a>, DecodeError>;

    /// The stream in which it stands which events a view shall do without; none where nothing says so.
    fn skip_stream(&self, view: &str) -> Option<StreamName> {
        let _ = view;
        None
    }

    /// What an event of that stream says to do without.
    fn skipped(&self, event: &RecordedEvent) -> Option<Skipped> {
        let _ = event;
        None
    }
}

/// An event that a version of a view shall do without; another version tries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The version of the view.
    pub view_version: u32,
    /// The event's stream.
    pub stream: String,
    /// Its version there.
    pub version: u64,
}

/// The codec of views that need no more than the record itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undecoded;

impl Codec for Undecoded {
    type Decoded<'a> = ();

    fn decode(&self, _event: &RecordedEvent) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// A record that the codec cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the event cannot be decoded: {cause}")]
pub struct DecodeError {
    cause: anyhow::Error,
}

impl DecodeError {
    /// Wraps what the codec found.
    pub fn new(cause: impl Into<anyhow::Error>) -> Self {
        Self {
            cause: cause.into(),
        }
    }
}

//! The event store: one trait, the embedded engine, the conformance suite.
//!
//! [`EventStore`] is what the rest of the program sees: append with an expected version, read a
//! stream both ways, read the whole log, subscribe. [`EmbeddedStore`] keeps the log in append-only
//! segments of one folder; [`conformance`] holds what every store promises. This crate knows
//! nothing of the domain: an event is a header and bytes.

mod active;
mod at_rest;
pub mod backend;
mod backup;
mod batch;
pub mod conformance;
mod copied;
pub mod damage;
mod embedded;
mod error;
pub mod faults;
mod files;
mod footer;
mod identity;
mod keeper;
mod kept;
mod lease;
mod levels;
mod lock;
mod mark;
mod memory;
mod order;
mod paged;
mod raising;
mod reader;
mod record;
mod recovery;
mod segment;
mod shared;
mod store;
mod types;
#[cfg(test)]
mod vectors;
mod verify;
mod wire;
mod writer;

pub use at_rest::LogAtRest;
pub use backup::{
    BackupError, Manifest, ManifestFile, Restored, backup, backup_at_rest, lay_out, restore,
};
pub use copied::is_backup;
pub use embedded::{
    BatchWritten, Clock, EXIT_STORE_FAILED, EmbeddedStore, Observer, OnFatal, Options,
    SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
pub use error::{AppendError, OpenError, OutcomeUnknown, ReadError};
pub use lease::{Held, Lease};
pub use lock::{HeldFolder, hold_folder};
pub use raising::{Raised, raise_level, raise_level_with};
pub use record::{RecordError, RecordedEvent};
pub use recovery::{Recovery, TornTail};
pub use store::{Durable, EventStore, Grade, Source, Subscription, Ticket};
pub use types::{
    Append, Direction, ExpectedVersion, InvalidStreamName, LogId, Members, NewEvent, Position,
    StreamFrom, StreamHead, StreamName, bounds,
};
pub use verify::{Verified, verify, verify_with};

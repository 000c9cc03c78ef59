//! Tables that follow the log: redb with a checkpoint, and the runner.
//!
//! A [`View`] is a pure function from events to rows; this crate keeps its rows in a file of its own together with the
//! position they stand at, so that rows and checkpoint are one transaction and an event is applied once. The
//! [`Runner`] reads the log once for a whole set of views, decodes each event once, and tells how far each view is;
//! [`rebuild`] makes a file from the log alone; [`digest`] proves two of them equal.
//!
//! It knows nothing of the domain: how an event is decoded is the [`Codec`]'s, what a row means is the view's. Rows
//! are a cache of the log: whatever is in doubt (another log, a checkpoint the log does not reach, a damaged file) is
//! thrown away and made again, never trusted.

mod care;
mod codec;
mod error;
mod feed;
mod file;
mod fold;
mod follower;
mod handle;
pub mod key;
mod letters;
mod make;
mod names;
mod overlay;
mod pace;
mod reader;
mod rebuild;
mod runner;
mod shelf;
mod span;
#[cfg(test)]
mod spec;
mod status;
mod switch;
pub mod testing;
mod tx;
mod versions;
mod view;
mod work;
mod writing;

pub use care::{Begun, CareError, Switched, Verified};
pub use codec::{Codec, DecodeError, Skipped, Undecoded};
pub use error::{ApplyError, TableError};
pub use file::{Checkpoint, OpenedAs, ViewFile};
pub use fold::Fold;
pub use handle::{RunnerHandle, StopError, ViewHandle};
pub use letters::{Letter, SetAside, Skips, WaitKey};
pub use names::{StoredFile, delete_stored, stored_files};
pub use reader::{Digest, Reader, Rows, digest};
pub use rebuild::{Progress, RebuildOptions, Rebuilt, rebuild};
pub use runner::{Runner, RunnerOptions, StartError};
pub use shelf::Shelf;
pub use span::{Order, Span};
pub use status::{Status, ViewState, WaitError};
pub use switch::{Reconsidered, Retry};
pub use tx::{Scan, Slice, Tx};
pub use view::{LETTERS_MAX, View};
pub use work::{Kind, Stage, Work};

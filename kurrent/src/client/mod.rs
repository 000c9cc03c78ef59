//! The adapter: a log of ours on a KurrentDB cluster, through the published client.
//!
//! Promise: what `event_store::conformance` asks of a store that checks the written stream alone. Relied on are these
//! promises of KurrentDB's documentation, and no others:
//!
//! - An append is atomic, is refused where the stream is not at the expected version, and versions of a stream have no
//!   gaps and begin at 0 (<https://docs.kurrent.io/clients/python/v1.1/appending-events>, *Append to stream*).
//! - Events are appended to the leader, and a request that requires it is answered by no other node (the same page,
//!   *Requires leader*).
//! - An event's commit position is its place in the order of the whole log, and reading starts at a position that was told
//!   (<https://docs.kurrent.io/clients/python/v1.2/reading-events.html>).
//! - A subscription tells history and then what comes, beginning after the position given, which is exclusive; with a
//!   filter it says from time to time how far it has looked
//!   (<https://docs.kurrent.io/clients/golang/v1.0/subscriptions.html>). It may begin at such a checkpoint as at an event.
//! - Filters take prefixes and regular expressions on the name of the stream (the same page, *Server-side filtering*); that
//!   these have a look-ahead ([`others`]) is what the published clients' own default filter needs.
//! - An event tells when it was recorded (`created`, <https://docs.kurrent.io/clients/python/v1.2/reading-events.html>).
//!
//! From its source alone, and so with no promise: a reading from a position that no event has is refused as an invalid
//! argument ([`reading`]).
//!
//! Not relied on: that a repeated append is recognised by its ids (those that stand there are compared, [`appending`]);
//! that a node knows what another acknowledged (what was seen once is a floor, [`tail`]); that positions have no gaps; that
//! a connection which is open is alive ([`link`]); that only Doorstep writes ([`event`]).
//!
//! What this store has less than the embedded one: streams that a decision only read are not checked with the append;
//! `recorded_at` is the leader's clock, and may fall when another leads; a leader that was cut off and does not know it yet
//! may answer a reading with what it last knew, while nothing it takes is ever acknowledged; the log is read after positions
//! that events have, and after no others: the cluster refuses those.

mod appending;
mod connection;
mod diagnosis;
mod endless;
mod event;
mod following;
mod identity;
mod lease;
mod link;
mod others;
mod prompt;
mod raising;
mod reading;
mod store;
mod streams;
mod tail;

pub use connection::{Connection, InvalidConnection};
pub use link::CALLS_MAX;
pub use raising::raise_level;
pub use reading::LAG_PAUSE;
pub use store::{KurrentStore, OpenError, Options};
pub use streams::Streams;

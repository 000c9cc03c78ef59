//! The rules of Doorstep: aggregates, events, decisions and the event codec, pure and synchronous.
//!
//! Nothing here reads a clock, draws a random number, waits or touches a file: what a decision needs is in the state
//! folded from its stream or is an input of its command. The write side (`commands`) loads streams, calls `decide` and
//! appends; the read side (`projections`) decodes the same events into rows.
//!
//! One module per aggregate ([`conversation`], [`member`], [`case`], [`policy`], [`reactor`], [`act`]), each with `decide` and
//! `evolve`; [`event`] holds what all events share, [`codec`] turns them into the bytes of the log and back,
//! and [`catalogue`] says what those bytes are. A new
//! event type is a payload in its aggregate, a variant, a row of the codec's table and a line of the golden file; the
//! versions of before are in `superseded`.

pub mod act;
pub mod case;
pub mod catalogue;
pub mod codec;
pub mod conversation;
pub mod event;
pub mod evidence;
pub mod ids;
pub mod member;
pub mod policy;
pub mod reactor;
pub mod rejection;
mod superseded;
pub mod text;
pub mod time;
pub mod unchanged;

pub use event::{Event, Recorded};
pub use evidence::{Cause, Evidence};
pub use ids::{CaseId, CommandId, ConversationId, MemberId, ReportId};
pub use rejection::{Code, Rejection};
pub use text::Text;
pub use time::Timestamp;

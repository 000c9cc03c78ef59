//! The write side: commands decided, appended and answered.
//!
//! A command goes to the worker of its stream, which holds recent aggregates, decides on the state in memory, and
//! appends; the answer waits until everything it was decided on is durable. Command ids are remembered over restarts;
//! facts of other streams are named with the decision; reactors and timers write what follows in other streams, once.
//! [`CommandHandler`] is the door. What may happen is the domain's to decide, who may ask is the API's; the tables in
//! here serve no query.

mod acks;
mod acts;
mod aggregate;
mod archive;
mod as_of;
mod carried;
mod command;
mod content;
mod counters;
mod daily_limit;
mod deciding;
mod effects;
mod facts;
mod filing;
mod filter;
mod handler;
mod hands;
mod idempotency;
mod ids;
mod index;
mod job;
mod joining;
mod kept;
mod leading;
mod loading;
mod messages;
mod options;
mod outcome;
mod outcomes;
mod parked;
mod pending;
mod reactors;
mod reading;
mod repeat;
mod routing;
mod shared;
mod slots;
mod snapshots;
mod so_already;
mod standing;
mod starting;
mod steps;
mod task;
mod timekeeping;
mod timers;
mod upheld;
mod worker;

pub use archive::Trace;
pub use carried::{CarriedOut, Joined};
pub use command::{Command, Envelope, Look, Target};
pub use deciding::ATTEMPTS_MAX;
pub use handler::{CommandHandler, ReactorStatus, StartError};
pub use loading::READINGS_MAX;
pub use options::{Clock, Mode, Options, SystemClock};
pub use outcome::{Answer, CommandError, Kind, Outcome, Refusal, WrongTime};
pub use pending::Pending;
pub use standing::ToldSuspension;

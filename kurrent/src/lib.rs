//! KurrentDB: its protocol, spoken over any of our stores.
//!
//! [`server`] lets who has a published client of KurrentDB read a log of ours, and, behind `doorstep store`, append to it.
//! The messages in `proto/` are those of the protocol that are served; they are compiled without a compiler of the
//! system's. What stands in an event's metadata is [`metadata`]'s to say, so that who writes and who reads agree.

pub mod metadata;
mod proto;
pub mod server;

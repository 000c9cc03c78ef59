//! The domain held against what it promises beyond single rules: the stored contract, and properties over random
//! histories. One binary.
//!
//! `model` is written from the domain's page alone; `history` drives the domain as the write side would.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and asks of few variants"
)]

mod frozen;
mod golden;
mod history;
mod members;
mod model;
mod properties;
mod recall;
mod snapshots;

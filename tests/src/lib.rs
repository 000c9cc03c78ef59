//! Tests over all crates: one harness, one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "what a harness finds wrong ends the test"
)]

pub mod api;
pub mod browser;
pub mod buggy;
pub mod cluster;
pub mod college;
pub mod commands;
pub mod copying;
pub mod counted;
pub mod desk;
pub mod eventful;
pub mod front;
pub mod halting;
pub mod json_schema;
pub mod killed;
pub mod kurrent;
pub mod languages;
pub mod meanwhile;
pub mod mistaken;
pub mod nodes;
pub mod pages;
pub mod program;
pub mod raised;
pub mod rival;
pub mod sse;
pub mod store;
pub mod stuck;
pub mod trial;
pub mod views;

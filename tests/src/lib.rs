//! Tests over all crates: one harness, one binary.
pub mod commands;
pub mod store;

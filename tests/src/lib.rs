//! Tests over all crates: one harness, one binary.
pub mod store;

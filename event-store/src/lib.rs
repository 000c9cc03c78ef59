//! The event store: one trait, the embedded engine, the conformance suite.

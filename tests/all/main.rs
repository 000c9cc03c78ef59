//! Every test that needs a store, HTTP or a process, linked as one binary.
mod commands_rules;
mod store_conformance;
mod store_crash;

//! Every test that needs a store, HTTP or a process, linked as one binary.
mod store_conformance;
mod store_crash;

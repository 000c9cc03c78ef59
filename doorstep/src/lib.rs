//! Composition of the service and its subcommands.

/// Runs the program.
pub fn run() {}

//! The `doorstep` binary: hands the command line to the library and its exit status to the shell.

use std::process::ExitCode;

/// Commands and pages are many small values that live shortly, on several threads at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    doorstep::run(std::env::args_os())
}

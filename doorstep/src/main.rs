//! The `doorstep` binary: hands the command line to the library and its exit status to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    doorstep::run(std::env::args_os())
}

//! Composition of the service and its subcommands: the only crate that names a storage engine.
//!
//! `run` reads the settings (`cli`, `settings`), starts one subcommand, and turns how it ended into an exit status.
//! Data goes to standard output, words to standard error.

mod cli;
mod failure;
pub mod line;
mod settings;
pub mod workload;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use cli::Command;
use failure::{Done, Failure};
use settings::{Outcome, Settings};

/// Runs the program with these arguments; the first is its name.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let settings = match Settings::read(args) {
        Ok(settings) => settings,
        Err(Outcome::Clap(error)) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(Outcome::Failure(failure)) => return end(Err(failure)),
    };
    end(dispatch(&settings))
}

fn dispatch(settings: &Settings) -> Done {
    match &settings.cli.command {
        Command::Config(_) => {
            let mut out = std::io::stdout().lock();
            for line in settings.lines() {
                writeln!(out, "{line}")?;
            }
            Ok(())
        }
        Command::Workload(args) => {
            let (Some(messages), Some(texts)) = (&args.messages, &args.texts) else {
                return Err(Failure::usage("workload needs --messages and --texts"));
            };
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            for line in workload::Workload::read(messages, texts)?.lines() {
                serde_json::to_writer(&mut out, &line)?;
                out.write_all(b"\n")?;
            }
            Ok(out.flush()?)
        }
        _ => Ok(()),
    }
}

/// Tells what went wrong, and makes the exit status of it.
fn end(done: Done) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match &failure {
                Failure::Usage(words) => eprintln!("doorstep: {words}"),
                Failure::Failed(error) => eprintln!("doorstep: {error:#}"),
                Failure::Told => {}
            }
            ExitCode::from(failure.status())
        }
    }
}

//! Composition of the service and its subcommands: the only crate that names a storage engine.
//!
//! `run` reads the settings (`cli`, `settings`), starts one subcommand, and turns how it ended into an exit status.
//! Data goes to standard output, words to standard error. What follows from a command line but not from these lines
//! stands in a file of the subcommand's name.

mod audit;
mod bench;
mod care;
mod cli;
mod compose;
mod copy;
mod demo;
mod door;
mod events;
mod failure;
mod import;
pub mod line;
mod log;
mod maintenance;
mod out;
mod remote;
mod serve;
mod settings;
mod simulate;
mod store;
mod token;
mod views;
pub mod workload;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use cli::Command;
use failure::{Done, Failure};
use settings::{Outcome, Settings};

/// Runs the program with these arguments; the first is its name.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    // What members write is in every file that the program makes: they are their owner's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let read = Settings::read(args);
    if !matches!(&read, Err(Outcome::Clap(told, _)) if told.exit_code() == 0) {
        for words in settings::unknown_variables() {
            eprintln!("doorstep: {words}");
        }
    }
    let settings = match read {
        Ok(settings) => settings,
        Err(Outcome::Clap(error, place)) => {
            let _ = error.print();
            if let Some(place) = place {
                eprintln!("\nThe value comes from: {place}");
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(Outcome::Failure(failure)) => return end(Err(failure)),
    };
    end(log_to_stderr(&settings.cli).and_then(|()| dispatch(&settings)))
}

fn dispatch(settings: &Settings) -> Done {
    match &settings.cli.command {
        Command::Serve(args) => block_on(serve::run(args, settings.cli.log_format == "json")),
        Command::Store(args) => block_on(store::run(args, settings.cli.log_format == "json")),
        Command::Token(args) => token::run(args),
        Command::Import(args) => block_on(import::run(args)),
        Command::Copy(args) => block_on(copy::run(args)),
        Command::Events(args) => block_on(events::run(args)),
        Command::Audit(args) => block_on(audit::run(args)),
        Command::Verify(args) => block_on(maintenance::verify(args)),
        Command::Backup(args) => block_on(maintenance::backup(args)),
        Command::Restore(args) => maintenance::restore(args),
        Command::RaiseLevel(args) => block_on(maintenance::raise_level(args)),
        Command::Views(args) => block_on(views::run(args)),
        Command::Config(_) => print_lines(&settings.lines()),
        Command::Bench(args) => bench::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Workload(args) => {
            let (Some(messages), Some(texts)) = (&args.messages, &args.texts) else {
                return Err(Failure::usage("workload needs --messages and --texts"));
            };
            let lines = workload::Workload::read(messages, texts)?.lines()?;
            let lines: Result<Vec<String>, _> = lines.iter().map(serde_json::to_string).collect();
            print_lines(&lines?)
        }
    }
}

/// Prints lines of data.
fn print_lines(lines: &[String]) -> Done {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// Runs a subcommand on the threads that it needs.
fn block_on(work: impl Future<Output = Done>) -> Done {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?
        .block_on(work)
}

/// Sends the log to standard error.
fn log_to_stderr(cli: &cli::Cli) -> Done {
    let filter =
        EnvFilter::try_new(&cli.log).map_err(|error| Failure::usage(format!("--log: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber is refused; the first one is as good.
    let _ = if cli.log_format == "json" {
        builder.json().try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
    Ok(())
}

/// Tells what went wrong, and makes the exit status of it.
fn end(done: Done) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match &failure {
                Failure::Usage(words) => eprintln!("doorstep: {words}"),
                Failure::Failed(error) => eprintln!("doorstep: {}", failure::words(error)),
                Failure::Told => {}
            }
            ExitCode::from(failure.status())
        }
    }
}

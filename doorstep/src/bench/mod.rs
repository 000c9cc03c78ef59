//! `bench`: the measurements of this project, on this machine, each beside its baseline in the same run.
//!
//! A row passes by its ratio; absolute figures are for orientation. Rounds of ours and of the baseline take turns, and
//! medians are told. Every log is made in a scratch folder that is removed at the end. Words go to standard error, the
//! table and then the JSON to standard output.

mod as_of;
mod bare;
mod client;
mod commands;
mod disk;
mod figures;
mod follow;
mod http;
mod log;
mod pages;
mod process;
mod queue;
mod replay;
mod world;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;

pub(crate) use self::figures::number;

use self::figures::Row;
use self::log::Filled;
use crate::cli;
use crate::failure::Done;
use crate::out;

/// How long and how often is measured.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    scratch: PathBuf,
    events: u64,
    rounds: u64,
    warm_up: Duration,
    round: Duration,
    with_views: Duration,
    one_caller: u64,
    pages: u64,
    /// Everything is as small as can be.
    smoke: bool,
    /// Parts of row names; all rows when empty.
    only: Vec<String>,
}

impl Plan {
    fn of(args: &cli::Bench, scratch: &Path) -> Self {
        let scratch = scratch.to_owned();
        let only = args.only.clone();
        if args.smoke {
            let (warm_up, round) = (Duration::from_millis(50), Duration::from_millis(200));
            return Self {
                scratch,
                events: 2_000,
                rounds: 1,
                warm_up,
                round,
                with_views: round,
                one_caller: 20,
                pages: 50,
                smoke: true,
                only,
            };
        }
        Self {
            scratch,
            events: args.events,
            rounds: 3,
            warm_up: Duration::from_secs(1),
            round: Duration::from_secs(3),
            with_views: Duration::from_secs(args.seconds),
            one_caller: 1_000,
            pages: 20_000,
            smoke: false,
            only,
        }
    }

    /// Whether one of these rows is asked for.
    fn wants(&self, rows: &[&str]) -> bool {
        self.only.is_empty()
            || rows
                .iter()
                .any(|row| self.only.iter().any(|only| row.contains(only.as_str())))
    }
}

/// Runs `bench`.
pub(crate) fn run(args: &cli::Bench) -> Done {
    // Beside the working directory unless told otherwise: a file system of memory has no disk to wait for.
    let parent = args.scratch.clone().unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("cannot make {}", parent.display()))?;
    let scratch = tempfile::Builder::new()
        .prefix("doorstep-bench-")
        .tempdir_in(&parent)
        .context("cannot make the scratch folder")?;
    let plan = Plan::of(args, scratch.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    // Counting is a part of the service, so it is a part of what is measured.
    api::metering::install();
    let started = Instant::now();
    let rows = runtime.block_on(measure(&plan))?;
    let report = json!({
        "events": plan.events,
        "smoke": args.smoke,
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "seconds": started.elapsed().as_secs(),
        "rows": rows,
    });
    if !args.json {
        out::line(format_args!("{}\n", figures::table(&rows)))?;
    }
    out::line(serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

async fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    if plan.wants(&["send", "send-with-views"]) {
        told("many callers");
        rows.extend(commands::many(plan).await?);
    }
    if plan.wants(&["one-caller"]) {
        told("one caller");
        rows.extend(commands::one(plan).await?);
    }
    if plan.wants(&["http"]) {
        told("HTTP");
        rows.extend(http::measure(plan).await?);
    }
    if plan.wants(&queue::ROWS) {
        told("the moderators' queue");
        rows.extend(queue::measure(plan).await?);
    }
    let pages = plan.wants(&pages::ROWS);
    let memory = plan.wants(&["memory", "memory-rebuilding"]);
    let opening = plan.wants(&["open-clean", "open-killed"]);
    let following = plan.wants(&follow::ROWS);
    let past = plan.wants(&as_of::ROWS);
    if !(pages
        || memory
        || following
        || past
        || opening
        || plan.wants(&[
            "disk-log",
            "disk-views",
            "replay",
            "rebuild",
            "rebuild-beside",
        ]))
    {
        return Ok(rows);
    }
    told("filling a log");
    let log = Filled::fill(&plan.scratch.join("log"), plan.events).await?;
    if plan.wants(&["disk-log", "disk-views"]) {
        told("disk");
        rows.extend(disk::measure(&log).await?);
    }
    if plan.wants(&["replay"]) {
        told("replay");
        rows.extend(replay::replay(plan, &log).await?);
    }
    if plan.wants(&["rebuild"]) {
        told("rebuild of the inbox");
        rows.extend(replay::rebuild(plan, &log).await?);
    }
    if pages {
        told("pages");
        let smaller = if plan.events > pages::SMALLER_EVENTS {
            Some(Filled::fill(&plan.scratch.join("smaller"), pages::SMALLER_EVENTS).await?)
        } else {
            None
        };
        rows.extend(pages::measure(plan, &log, smaller.as_ref()).await?);
    }
    if memory || past {
        let tenth = Filled::fill(&plan.scratch.join("tenth"), plan.events / 10).await?;
        if past {
            told("what stood when");
            rows.extend(as_of::measure(plan, &log, &tenth).await?);
        }
        if memory {
            told("memory");
            rows.extend(process::memory(plan, &log, &tenth).await?);
        }
    }
    if following {
        told("following");
        rows.extend(follow::measure(&log).await?);
    }
    if opening {
        told("opening");
        rows.extend(process::opening(plan, &log).await?);
    }
    // Last, since it writes to the log.
    if plan.wants(&["rebuild-beside"]) {
        told("rebuild of the inbox beside writers");
        rows.extend(replay::rebuild_beside(plan, &log).await?);
    }
    Ok(rows)
}

/// Says what is measured now.
fn told(what: &str) {
    eprintln!("bench: {what}");
}

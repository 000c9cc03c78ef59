//! `events`: the log as newline-delimited JSON or as a Parquet file, from a data folder at rest or a running service.
//!
//! Both print the same bytes for the same event, and where the log is damaged what stands before it. Following is for a
//! running service: nothing is appended to a folder at rest. Where the events go, and that a file is there whole or not at
//! all, is the outlet's matter, and how a service is followed that of `follow`.

use anyhow::{Context as _, bail};
use api::event_filter::EventFilter;
use event_store::{Direction, EventStore, Position, ReadError, StreamFrom, damage};
use serde::Deserialize;

use crate::cli;
use crate::compose::{self, DataFolder, OnCluster};
use crate::failure::{Done, Failure};
use crate::remote::Service;
use outlet::Outlet;

mod follow;
mod outlet;
mod table;

/// Events and bytes of one reading.
const BLOCK_EVENTS: usize = 4096;
const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// The form in which a service is asked for events.
const LINES: &str = "application/x-ndjson";

/// Prints events, or writes them to a file.
pub(crate) async fn run(args: &cli::Events) -> Done {
    let service = Service::of(&args.remote)?;
    check(args, service.is_some())?;
    let result = if let Some(service) = service {
        // A service of another version may know other types: it says so itself.
        if args.follow {
            follow::follow(args, &service).await
        } else {
            remote(args, &service, Outlet::open(args)?).await
        }
    } else {
        let filter = EventFilter::of(
            args.stream.as_deref(),
            args.event_type.as_deref(),
            args.member.as_deref(),
        )
        .map_err(|none| Failure::usage(format!("--{}: {}", none.field, none.detail)))?;
        let folder = DataFolder::at(&args.folder.data);
        let store = compose::open_at_rest(&folder, OnCluster::Asked)?;
        let result = at_rest(args, &filter, &store, Outlet::open(args)?).await;
        result.map_err(Failure::from)
    };
    match result {
        // Whoever reads has enough.
        Err(Failure::Failed(error)) if args.out.is_none() && is_closed_pipe(&error) => Ok(()),
        result => result,
    }
}

/// Refuses flags that mean nothing together.
fn check(args: &cli::Events, asks_service: bool) -> Done {
    if args.follow && !asks_service {
        return Err(Failure::usage(
            "--follow needs --url: a folder at rest does not grow",
        ));
    }
    if args.follow && (args.until.is_some() || args.out.is_some()) {
        return Err(Failure::usage(
            "--follow has no end, which --until and --out need",
        ));
    }
    if args.force && args.out.is_none() {
        return Err(Failure::usage("--force needs --out"));
    }
    if let Some(until) = args.until.filter(|until| *until <= args.after) {
        let after = args.after;
        return Err(Failure::usage(format!(
            "there is nothing after position {after} (--after) and up to position {until} (--until)"
        )));
    }
    Ok(())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

async fn at_rest(
    args: &cli::Events,
    filter: &EventFilter,
    store: &dyn EventStore,
    mut out: Outlet,
) -> anyhow::Result<()> {
    let until = args.until.unwrap_or(u64::MAX);
    out.until(store.durable_position().0.min(until));
    let mut line = Vec::with_capacity(4096);
    let mut after = Position(args.after);
    let mut version = 0;
    let mut at_once = BLOCK_EVENTS;
    while after.0 < until {
        let read = match filter.stream() {
            Some(name) => {
                let from = StreamFrom::Version(version);
                store
                    .read_stream(name, from, Direction::Forward, at_once)
                    .await
            }
            None => store.read_all(after, at_once, BLOCK_BYTES).await,
        };
        let events = match (read, damage::fewer(at_once)) {
            (Ok(events), _) => events,
            // What stands before the damage is printed.
            (Err(ReadError::Damaged { .. }), Some(less)) => {
                at_once = less;
                continue;
            }
            (Err(error), _) => {
                out.flush()?;
                return Err(match damage::first_damaged(store, after).await {
                    Some(at) => anyhow::anyhow!("{error} (position {at})"),
                    None => error.into(),
                });
            }
        };
        let Some(last) = events.last() else { break };
        after = after.max(last.position());
        version = last.version().saturating_add(1);
        for event in events
            .iter()
            .filter(|event| {
                let position = event.position().0;
                position > args.after && position <= until
            })
            .filter(|event| filter.takes(event))
        {
            line.clear();
            api::event_json::write(store.log_id(), event, &mut line);
            line.push(b'\n');
            out.take(event.position().0, &line)?;
        }
        out.at(after.0);
    }
    out.finish()
}

async fn remote(args: &cli::Events, service: &Service, mut out: Outlet) -> Done {
    let mut answer = service
        .get("/v1/events", &query(args, args.after), LINES)
        .await?;
    let end: u64 = answer
        .headers()
        .get("doorstep-position")
        .and_then(|position| position.to_str().ok()?.parse().ok())
        .context("the service did not say how far its log goes")?;
    out.until(end.min(args.until.unwrap_or(u64::MAX)));
    let mut lines = Lines::until(args.until);
    while let Some(chunk) = answer.chunk().await.context("the events broke off")? {
        lines.take(&chunk, &mut out)?;
        if lines.enough {
            break;
        }
    }
    out.flush()?;
    lines.end()?;
    Ok(out.finish()?)
}

/// What is asked for after a position.
fn query(args: &cli::Events, after: u64) -> Vec<(&'static str, String)> {
    let mut query = vec![("after", after.to_string())];
    for (name, value) in [
        ("stream", &args.stream),
        ("type", &args.event_type),
        ("member", &args.member),
    ] {
        query.extend(value.iter().map(|value| (name, value.clone())));
    }
    query
}

/// The lines of an answer: events, which are passed on, and the one that may end it and says why.
struct Lines {
    until: Option<u64>,
    /// The beginning of a line whose end is still to come.
    part: Vec<u8>,
    /// An event beyond the last one asked for came.
    enough: bool,
    error: Option<String>,
}

/// Where the event of a line stands.
#[derive(Deserialize)]
struct Place {
    position: u64,
}

impl Lines {
    fn until(until: Option<u64>) -> Self {
        Self {
            until,
            part: Vec::new(),
            enough: false,
            error: None,
        }
    }

    fn take(&mut self, mut chunk: &[u8], out: &mut Outlet) -> anyhow::Result<()> {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = chunk.split_at(end + 1);
            chunk = rest;
            self.part.extend_from_slice(line);
            if self.part.starts_with(b"{\"error\":") {
                let told: serde_json::Value =
                    serde_json::from_slice(&self.part).unwrap_or_default();
                let detail = told.pointer("/error/detail").and_then(|told| told.as_str());
                self.error = Some(detail.unwrap_or("the service failed").to_owned());
            } else {
                self.event(out)?;
            }
            self.part.clear();
            if self.enough {
                return Ok(());
            }
        }
        self.part.extend_from_slice(chunk);
        Ok(())
    }

    /// Passes on the event of the line that is whole now.
    fn event(&mut self, out: &mut Outlet) -> anyhow::Result<()> {
        let mut position = 0;
        if self.until.is_some() || out.counts() {
            let place: Place = serde_json::from_slice(&self.part)
                .context("the service answered with a line that is no event")?;
            position = place.position;
            if self.until.is_some_and(|until| position > until) {
                self.enough = true;
                return Ok(());
            }
            out.at(position);
        }
        out.take(position, &self.part)
    }

    /// Says whether the events were whole.
    fn end(self) -> anyhow::Result<()> {
        match self.error {
            Some(detail) => bail!("the events end early: {detail}"),
            None if self.part.is_empty() => Ok(()),
            None => bail!("the events broke off"),
        }
    }
}

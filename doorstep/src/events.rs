//! `events`: the log as newline-delimited JSON, from a data folder at rest or from a running service.
//!
//! Both print the same bytes for the same event, and where the log is damaged what stands before it. Following is for a
//! running service, since nothing is appended to a folder at rest; when that is started again it goes on after the last
//! event that was printed.

use std::io::{BufWriter, Write};
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::event_filter::EventFilter;
use event_store::{Direction, EventStore, Position, ReadError, StreamFrom, damage};

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure, words};
use crate::remote::Service;

/// Events and bytes of one reading.
const BLOCK_EVENTS: usize = 4096;
const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// The form in which a service is asked for events.
const LINES: &str = "application/x-ndjson";
/// How long a service that is followed is left alone after a break, doubled while it does not answer.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Prints events.
pub(crate) async fn run(args: &cli::Events) -> Done {
    let result = match Service::of(&args.remote)? {
        // A service of another version may know other types: it says so itself.
        Some(service) => remote(args, &service).await,
        None if args.follow => {
            return Err(Failure::usage(
                "--follow needs --url: a folder at rest does not grow",
            ));
        }
        None => {
            let filter = EventFilter::of(
                args.stream.as_deref(),
                args.event_type.as_deref(),
                args.member.as_deref(),
            )
            .map_err(|none| Failure::usage(format!("--{}: {}", none.field, none.detail)))?;
            let folder = DataFolder::at(&args.folder.data);
            let store = compose::open_at_rest(&folder)?;
            let result = at_rest(args.after, &filter, &store).await;
            result.map_err(Failure::from)
        }
    };
    match result {
        // Whoever reads has enough.
        Err(Failure::Failed(error)) if is_closed_pipe(&error) => Ok(()),
        result => result,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

async fn at_rest(
    after_asked: u64,
    filter: &EventFilter,
    store: &dyn EventStore,
) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(256 * 1024, std::io::stdout().lock());
    let mut line = Vec::with_capacity(4096);
    let mut after = Position(after_asked);
    let mut version = 0;
    let mut at_once = BLOCK_EVENTS;
    loop {
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
            .filter(|event| event.position().0 > after_asked && filter.takes(event))
        {
            line.clear();
            api::event_json::write(store.log_id(), event, &mut line);
            line.push(b'\n');
            out.write_all(&line)?;
        }
    }
    out.flush()?;
    Ok(())
}

async fn remote(args: &cli::Events, service: &Service) -> Done {
    let mut out = std::io::stdout().lock();
    let mut lines = Lines::after(args.after);
    let mut connected = false;
    let mut pause = PAUSE_MIN;
    loop {
        let asked = service
            .get("/v1/events", &query(args, lines.came_to()?), LINES)
            .await;
        let mut answer = match asked {
            Ok(answer) => answer,
            // It was there: it is started again, or the way to it is.
            Err(Failure::Failed(error)) if connected && is_of_the_way(&error) => {
                eprintln!("doorstep: {}; trying again", words(&error));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        connected = true;
        let broken = loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => {
                    lines.take(&chunk, &mut out)?;
                    out.flush()?;
                    pause = PAUSE_MIN;
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        lines.end()?;
        if !args.follow {
            if let Some(error) = broken {
                return Err(anyhow::Error::new(error)
                    .context("the events broke off")
                    .into());
            }
            return lines.whole().map_err(Failure::from);
        }
        // The end of a line that broke off comes again, with its beginning.
        lines.part.clear();
        tokio::time::sleep(pause).await;
    }
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
    if args.follow {
        query.push(("follow", true.to_string()));
    }
    query
}

/// Whether nothing was answered at all.
fn is_of_the_way(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(<(dyn std::error::Error + 'static)>::is::<reqwest::Error>)
}

/// The lines of an answer: events, which are passed on, how far was looked, and what may end them and says why.
struct Lines {
    /// The beginning of a line whose end is still to come.
    part: Vec<u8>,
    /// The last whole line.
    last: Vec<u8>,
    after: u64,
    error: Option<String>,
}

impl Lines {
    fn after(after: u64) -> Self {
        Self {
            part: Vec::new(),
            last: Vec::new(),
            after,
            error: None,
        }
    }

    fn take(&mut self, mut chunk: &[u8], out: &mut impl Write) -> std::io::Result<()> {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = chunk.split_at(end + 1);
            chunk = rest;
            self.part.extend_from_slice(line);
            if self.part.starts_with(b"{\"error\":") {
                let told: serde_json::Value =
                    serde_json::from_slice(&self.part).unwrap_or_default();
                let detail = told.pointer("/error/detail").and_then(|told| told.as_str());
                self.error = Some(detail.unwrap_or("the service failed").to_owned());
            } else if !self.part.starts_with(b"{\"end\":") {
                if !self.part.starts_with(b"{\"reached\":") {
                    out.write_all(&self.part)?;
                }
                std::mem::swap(&mut self.last, &mut self.part);
            }
            self.part.clear();
        }
        self.part.extend_from_slice(chunk);
        Ok(())
    }

    /// The position up to which everything was passed on.
    fn came_to(&mut self) -> anyhow::Result<u64> {
        if !self.last.is_empty() {
            let line: serde_json::Value = serde_json::from_slice(&self.last)?;
            let position = line
                .get("position")
                .or_else(|| line.pointer("/reached/position"));
            self.after = position
                .and_then(serde_json::Value::as_u64)
                .context("the service did not say how far it came")?;
            self.last.clear();
        }
        Ok(self.after)
    }

    /// Whether something could not be read.
    fn end(&mut self) -> anyhow::Result<()> {
        match self.error.take() {
            Some(detail) => bail!("the events end early: {detail}"),
            None => Ok(()),
        }
    }

    /// Says whether the last line was.
    fn whole(&self) -> anyhow::Result<()> {
        if self.part.is_empty() {
            Ok(())
        } else {
            bail!("the events broke off")
        }
    }
}

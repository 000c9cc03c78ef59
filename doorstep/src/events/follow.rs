//! Following a running service: events are printed as they come, by one stream that goes on.
//!
//! When the service is started again, or the way to it broke, it goes on after the last event that was printed, so that
//! nothing is missed and nothing comes twice. How far was looked is taken from every line, so that a filter that matches
//! little goes on near the end.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{LINES, query};
use crate::cli;
use crate::failure::{Done, Failure, words};
use crate::remote::Service;

/// How long a service that is followed is left alone after a break, doubled while it does not answer.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Prints events as they come, for as long as the service is there or comes back.
pub(super) async fn follow(args: &cli::Events, service: &Service) -> Done {
    let mut out = std::io::stdout().lock();
    let mut lines = Lines::after(args.after);
    let mut connected = false;
    let mut pause = PAUSE_MIN;
    loop {
        let asked = service
            .get("/v1/events", &asked_for(args, lines.came_to()?), LINES)
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
        // What broke off is asked for again.
        while let Ok(Some(chunk)) = answer.chunk().await {
            lines.take(&chunk, &mut out)?;
            out.flush()?;
            pause = PAUSE_MIN;
        }
        lines.end()?;
        // The end of a line that broke off comes again, with its beginning.
        lines.part.clear();
        tokio::time::sleep(pause).await;
    }
}

fn asked_for(args: &cli::Events, after: u64) -> Vec<(&'static str, String)> {
    let mut query = query(args, after);
    query.push(("follow", true.to_string()));
    query
}

/// Whether nothing was answered at all.
fn is_of_the_way(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(<dyn std::error::Error + 'static>::is::<reqwest::Error>)
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
}

//! `events`: the log as newline-delimited JSON, from a data folder at rest or from a running service.
//!
//! Both print the same bytes for the same event. Following is for a running service: nothing is appended to a folder
//! at rest.

use std::io::{BufWriter, Write};
use std::time::Duration;

use anyhow::Context as _;
use event_store::{Direction, EventStore, Position, RecordedEvent, StreamFrom, StreamName};

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::remote::Service;

/// Events and bytes of one reading.
const BLOCK_EVENTS: usize = 4096;
const BLOCK_BYTES: usize = 4 * 1024 * 1024;
/// How often a service that is followed is asked for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Prints events.
pub(crate) async fn run(args: &cli::Events) -> Done {
    let stream = match &args.stream {
        Some(name) => Some(
            StreamName::new(name.as_str())
                .map_err(|_| Failure::usage("--stream is not a stream's name"))?,
        ),
        None => None,
    };
    let result = match Service::of(&args.remote)? {
        Some(service) => remote(args, &service).await,
        None if args.follow => {
            return Err(Failure::usage(
                "--follow needs --url: a folder at rest does not grow",
            ));
        }
        None => {
            let folder = DataFolder::at(&args.folder.data);
            let store = compose::open_at_rest(&folder)?;
            let result = at_rest(args, stream, store.as_ref()).await;
            store.close();
            result
        }
    };
    match result {
        // Whoever reads has enough.
        Err(error) if is_closed_pipe(&error) => Ok(()),
        result => Ok(result?),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

async fn at_rest(
    args: &cli::Events,
    stream: Option<StreamName>,
    store: &dyn EventStore,
) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(256 * 1024, std::io::stdout().lock());
    let mut line = Vec::with_capacity(4096);
    let mut after = Position(args.after);
    let mut version = 0;
    loop {
        let events = match &stream {
            Some(name) => {
                store
                    .read_stream(
                        name,
                        StreamFrom::Version(version),
                        Direction::Forward,
                        BLOCK_EVENTS,
                    )
                    .await?
            }
            None => store.read_all(after, BLOCK_EVENTS, BLOCK_BYTES).await?,
        };
        let Some(last) = events.last() else { break };
        after = after.max(last.position());
        version = last.version().saturating_add(1);
        for event in events
            .iter()
            .filter(|event| event.position().0 > args.after && wanted(args, event))
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

/// Whether an event is of the type and concerns the member asked for; a type without its version means all of them.
fn wanted(args: &cli::Events, event: &RecordedEvent) -> bool {
    let name = event.event_type();
    args.event_type.as_deref().is_none_or(|wanted| {
        name == wanted
            || name
                .rsplit_once(".v")
                .is_some_and(|(name, _)| name == wanted)
    }) && args
        .member
        .as_deref()
        .is_none_or(|wanted| event.members().any(|member| member == wanted))
}

async fn remote(args: &cli::Events, service: &Service) -> anyhow::Result<()> {
    let mut after = args.after;
    let mut out = std::io::stdout().lock();
    loop {
        let mut query = vec![("after", after.to_string())];
        for (name, value) in [
            ("stream", &args.stream),
            ("type", &args.event_type),
            ("member", &args.member),
        ] {
            query.extend(value.iter().map(|value| (name, value.clone())));
        }
        let mut answer = service
            .get("/v1/events", &query, "application/x-ndjson")
            .await?;
        after = answer
            .headers()
            .get("doorstep-position")
            .and_then(|position| position.to_str().ok()?.parse().ok())
            .context("the service did not say how far its log goes")?;
        while let Some(chunk) = answer.chunk().await.context("the events broke off")? {
            out.write_all(&chunk)?;
        }
        out.flush()?;
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_EVERY).await;
    }
}

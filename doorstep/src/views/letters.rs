//! `views letters`, `retry` and `skip`: what a view could not apply, tried again or done without.
//!
//! Listing and trying again work over a folder at rest as over a service. Doing without is somebody's decision and an
//! event in the log, so that it goes by a service, which knows who decides.

use anyhow::Context as _;
use domain::ids::ReasonCode;
use projections::{Letter, ReadSide, Retry, ViewState};
use serde_json::{Value, json};

use super::{CATCHING_UP, caught_up, field, items};
use crate::cli;
use crate::failure::Failure;
use crate::remote::Service;

/// What is asked of what a view has set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    List,
    Retry,
    Skip,
}

/// Whether the flags fit what is asked.
pub(super) fn check(args: &cli::Views) -> Result<(), Failure> {
    let names_one = args.event_stream.is_some();
    match args.action.as_str() {
        "skip" if !names_one || args.reason.is_none() => Err(Failure::usage(
            "`views skip NAME` needs --event-stream and --event-version, and --reason",
        )),
        "skip"
            if args
                .reason
                .as_deref()
                .is_some_and(|code| ReasonCode::new(code).is_err()) =>
        {
            Err(Failure::usage(
                "--reason is a code of 1 to 64 of the characters a-z 0-9 _",
            ))
        }
        "skip" if args.remote.url.is_none() => Err(Failure::usage(
            "a view does without an event by somebody's decision, which is an event itself: `views skip` goes by a running service, named with --url and --token",
        )),
        "retry" if args.reason.is_some() => Err(Failure::usage("--reason goes with `views skip`")),
        "skip" | "retry" => Ok(()),
        _ if names_one || args.reason.is_some() => Err(Failure::usage(
            "--event-stream, --event-version, --reason and --text go with `views skip NAME`, the first two with `views retry NAME` too",
        )),
        _ => Ok(()),
    }
}

/// Asks a service, and gives what it answers.
pub(super) async fn at_service(
    service: &Service,
    what: Letters,
    name: &str,
    args: &cli::Views,
) -> Result<Value, Failure> {
    let path = format!("/v1/views/{name}/letters");
    let answer = match what {
        Letters::List => return all(service, &path).await,
        Letters::Retry => {
            let stream = args.event_stream.clone().map(|stream| ("stream", stream));
            let version = args
                .event_version
                .map(|version| ("version", version.to_string()));
            let query: Vec<_> = stream.into_iter().chain(version).collect();
            service.post_with(&format!("{path}/retry"), &query).await?
        }
        Letters::Skip => {
            let skip = json!({
                "stream": args.event_stream,
                "version": args.event_version,
                "reason": args.reason,
                "text": args.text.as_deref().unwrap_or_default(),
            });
            service.post_json(&format!("{path}/skip"), &skip).await?
        }
    };
    Ok(answer.json().await.context("the answer broke off")?)
}

/// The list, all of its pages.
async fn all(service: &Service, path: &str) -> Result<Value, Failure> {
    let mut found: Vec<Value> = Vec::new();
    let mut query = vec![("limit", "200".to_owned())];
    loop {
        let answer = service.get(path, &query, "application/json").await?;
        let page: Value = answer.json().await.context("the list broke off")?;
        found.extend(items(&page).cloned());
        match field(&page, "next_cursor").as_str() {
            Some(cursor) => {
                query = vec![("limit", "200".to_owned()), ("cursor", cursor.to_owned())];
            }
            None => return Ok(json!({ "items": found })),
        }
    }
}

/// Does it over a read side.
pub(super) async fn at_rest(
    reads: &ReadSide,
    what: Letters,
    name: &str,
    args: &cli::Views,
) -> Result<Value, Failure> {
    let view = reads.named(name).context("there is no such view")?;
    let handle = reads.runner().view(name).context("there is no such view")?;
    caught_up(reads, handle.wait_live(CATCHING_UP), || ()).await?;
    if what == Letters::List {
        let letters = handle.letters(event_store::Position::START, usize::MAX);
        let mut items: Vec<Value> = letters.iter().map(shown).collect();
        if let ViewState::Stopped {
            position,
            cause,
            passes: false,
        } = handle.status().state
        {
            items.push(json!({"state": "stopped", "position": position, "cause": cause}));
        }
        return Ok(json!({ "items": items }));
    }
    let retry = match (&args.event_stream, args.event_version) {
        (Some(stream), Some(version)) => {
            let letter = reads.letter(view, stream, version);
            let failed = letter.filter(|letter| letter.cause.is_some());
            let letter = failed.with_context(|| {
                format!("the view `{name}` could apply the event {version} of `{stream}`, or has not tried it")
            })?;
            Retry::One(letter.position)
        }
        _ => Retry::All,
    };
    let tried = reads.retry(view, retry).await?;
    let left = reads.set_aside(view);
    Ok(json!({
        "applied": tried.applied,
        "failed": tried.failed,
        "left_failed": left.failed,
        "left_waiting": left.waiting,
        "position": handle.applied(),
    }))
}

fn shown(letter: &Letter) -> Value {
    let failed = letter.cause.is_some();
    json!({
        "state": if failed { "failed" } else { "waiting" },
        "stream": letter.stream,
        "version": letter.version,
        "type": letter.event_type,
        "position": letter.position,
        "cause": letter.cause,
    })
}

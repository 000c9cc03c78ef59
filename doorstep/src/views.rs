//! `views`: how the read views are, a view proved or made anew, the way back; of a running service or a folder at rest.
//!
//! A service is asked to begin, and then how far it is, until it tells what came of it. Over a folder at rest the read side
//! is opened alone, follows the log to its end, and does the very same. How far it is goes to standard error, as a bar on a
//! terminal and a line every so often elsewhere; what it came to is one JSON object.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use projections::{Beginning, Last, ReadSide, Status, ViewState};
use serde_json::{Value, json};

use crate::cli;
use crate::compose::{self, DataFolder};
use crate::failure::{Done, Failure};
use crate::log::Log;
use crate::remote::Service;

mod letters;
use letters::Letters;

/// How soon progress is asked for the first time, and how long after that at most.
const ASKED_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// A view at rest has this long to come to the log's end: as long as anybody waits, since a stop is a signal away.
const CATCHING_UP: Duration = Duration::from_hours(24 * 365);

/// What is asked of one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Verify,
    Rebuild,
    GoBack,
    DropPrevious,
    Letters(Letters),
}

/// Lists the views, or does something to one.
pub(crate) async fn run(args: &cli::Views) -> Done {
    let asked = asked(args)?;
    if let Some(service) = Service::of(&args.remote)? {
        let views = of_service(&service).await?;
        let Some((act, name)) = asked else {
            return print(&views);
        };
        known(
            name,
            items(&views).filter_map(|item| item.get("name")?.as_str()),
        )?;
        if let Act::Letters(what) = act {
            return print(&letters::at_service(&service, what, name, args).await?);
        }
        let outcome = at_service(&service, act, name, args.progress).await?;
        let last = field(&outcome, "last");
        if act == Act::GoBack && field(&last, "kind") == "rebuild" && field(&last, "equal") == false
        {
            eprintln!(
                "doorstep: the rows of `{name}` that are served now were not what the log gives when they were compared last"
            );
        }
        return end(name, &outcome);
    }
    let folder = DataFolder::at(&args.folder.data);
    if let Some((_, name)) = asked {
        known(name, projections::names().into_iter())?;
    }
    let log = Log::open_to_care(&folder, &args.store).await?;
    let reads = compose::start_reads(&folder, &log.store(), args.cache.cache_bytes).await?;
    let done = match asked {
        None => list_at_rest(&reads).await,
        Some((Act::Letters(what), name)) => letters::at_rest(&reads, what, name, args).await,
        Some((act, name)) => at_rest(&reads, act, name, args.progress).await,
    };
    let stopped = reads.stop().await;
    log.close();
    let outcome = done?;
    stopped.context("the views' checkpoints")?;
    match asked {
        None | Some((Act::Letters(_), _)) => print(&outcome),
        Some((_, name)) => end(name, &outcome),
    }
}

/// What the command line asks for, and of which view; none for the list.
fn asked(args: &cli::Views) -> Result<Option<(Act, &str)>, Failure> {
    letters::check(args)?;
    let act = match (args.action.as_str(), args.rollback, args.drop_previous) {
        ("list", false, false) => None,
        ("verify", false, false) => Some(Act::Verify),
        ("rebuild", false, false) => Some(Act::Rebuild),
        ("rebuild", true, false) => Some(Act::GoBack),
        ("rebuild", false, true) => Some(Act::DropPrevious),
        ("letters", false, false) => Some(Act::Letters(Letters::List)),
        ("retry", false, false) => Some(Act::Letters(Letters::Retry)),
        ("skip", false, false) => Some(Act::Letters(Letters::Skip)),
        ("rebuild", true, true) => {
            return Err(Failure::usage(
                "--rollback and --drop-previous cannot be done at once",
            ));
        }
        _ => {
            return Err(Failure::usage(
                "--rollback and --drop-previous go with `views rebuild NAME`",
            ));
        }
    };
    match (act, &args.name) {
        (None, None) => Ok(None),
        (Some(act), Some(name)) => Ok(Some((act, name))),
        (None, Some(_)) => Err(Failure::usage(
            "`views list` lists all views, and takes no NAME",
        )),
        (Some(_), None) => Err(Failure::usage(format!(
            "`views {}` needs the NAME of a view; `doorstep views list` has them",
            args.action
        ))),
    }
}

/// Whether there is a view of that name.
fn known<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let names: Vec<&str> = names.collect();
    if names.contains(&name) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "there is no view `{name}`; there are {}",
        names.join(", ")
    )))
}

fn field(of: &Value, name: &str) -> Value {
    of.get(name).cloned().unwrap_or_default()
}

fn items(views: &Value) -> impl Iterator<Item = &Value> {
    views
        .get("items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

async fn of_service(service: &Service) -> Result<Value, Failure> {
    let answer = service.get("/v1/views", &[], "application/json").await?;
    Ok(answer.json().await.context("the list broke off")?)
}

/// Has a service do it, and gives what it came to.
async fn at_service(
    service: &Service,
    act: Act,
    name: &str,
    every: Duration,
) -> Result<Value, Failure> {
    let path = |what: &str| format!("/v1/views/{name}/{what}");
    let answer = match act {
        Act::Verify => service.post(&path("verify")).await?,
        Act::Rebuild => service.post(&path("rebuild")).await?,
        Act::GoBack => service.post(&path("rollback")).await?,
        Act::DropPrevious | Act::Letters(_) => service.delete(&path("previous")).await?,
    };
    let item: Value = answer.json().await.context("the answer broke off")?;
    if matches!(act, Act::GoBack | Act::DropPrevious) {
        return Ok(item);
    }
    let number = |of: &Value, what: &str| field(&field(of, what), "number").as_u64();
    let begun = number(&item, "work").context("the service does not say what it has begun")?;
    let mut showing = Showing::new(name, every);
    let mut wait = ASKED_AGAIN.0;
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(ASKED_AGAIN.1);
        let views = of_service(service).await?;
        let found = items(&views).find(|item| field(item, "name") == name);
        let item = found.context("the service does not have the view any more")?;
        if number(item, "work") == Some(begun) {
            let work = field(item, "work");
            showing.show(
                field(&work, "stage").as_str().unwrap_or_default(),
                field(&work, "percent").as_u64().unwrap_or_default(),
                field(&work, "seconds_to_go").as_u64(),
            );
        } else if number(item, "last") == Some(begun) {
            return Ok(field(item, "last"));
        } else {
            return Err(anyhow::anyhow!(
                "what came of it is not known: the service was stopped meanwhile, or more was begun; see `doorstep views list`"
            )
            .into());
        }
    }
}

async fn list_at_rest(reads: &ReadSide) -> Result<Value, Failure> {
    caught_up(reads, reads.runner().wait_live(CATCHING_UP), || ()).await?;
    let items: Vec<Value> = reads.states().iter().map(shown).collect();
    Ok(json!({ "items": items }))
}

/// A view at rest as the list has it.
fn shown(status: &Status) -> Value {
    json!({
        "name": status.view,
        "version": status.version,
        "state": status.state.name(),
        "position": status.applied,
        "lag": status.lag_events,
        "bytes": status.bytes,
        "failed": status.set_aside.failed,
        "waiting": status.set_aside.waiting,
        "reason": match &status.state {
            ViewState::Stopped { cause, .. } => Some(cause),
            ViewState::Building
            | ViewState::CatchingUp
            | ViewState::Live
            | ViewState::Closed => None,
        },
        "previous": status.previous,
    })
}

/// Does it over a read side, and gives what it came to.
async fn at_rest(
    reads: &ReadSide,
    act: Act,
    name: &str,
    every: Duration,
) -> Result<Value, Failure> {
    let view = reads.named(name).context("there is no such view")?;
    let handle = reads.runner().view(name).context("there is no such view")?;
    let mut showing = Showing::new(name, every);
    let waiting = handle.wait_live(CATCHING_UP);
    caught_up(reads, waiting, || showing.show("catching_up", 0, None)).await?;
    let begun = match act {
        Act::Verify => reads.begin_verify(view)?,
        Act::Rebuild => reads.begin_rebuild(view)?,
        Act::GoBack | Act::DropPrevious | Act::Letters(_) => {
            if act == Act::GoBack {
                reads.go_back(view).await?;
            } else {
                reads.drop_previous(view).await?;
            }
            return Ok(shown(&handle.status()));
        }
    };
    let Beginning { mut last, .. } = begun;
    let last = loop {
        match tokio::time::timeout(ASKED_AGAIN.1, &mut last).await {
            Ok(last) => break last.context("it ended early")?,
            Err(_) => {
                if let Some(work) = reads.work() {
                    let left = work.to_go().map(|left| left.as_secs());
                    showing.show(work.stage.name(), work.percent().into(), left);
                }
            }
        }
    };
    Ok(came(&last))
}

/// Waits until views at rest have come to the log's end, or have stopped: then they are looked at as they stand. An error
/// where the log cannot be read, which over a folder at rest nobody mends meanwhile.
async fn caught_up<T>(
    reads: &ReadSide,
    waiting: impl Future<Output = T>,
    mut each_second: impl FnMut(),
) -> Result<(), Failure> {
    let mut waiting = std::pin::pin!(waiting);
    while tokio::time::timeout(ASKED_AGAIN.1, &mut waiting)
        .await
        .is_err()
    {
        if let Some(error) = reads.not_read() {
            return Err(anyhow::anyhow!("the log cannot be read: {error}").into());
        }
        each_second();
    }
    Ok(())
}

/// What work came to, as the service tells it.
fn came(last: &Last) -> Value {
    let compared = last.outcome.as_ref().ok();
    json!({
        "kind": last.kind,
        "position": compared.map(|compared| compared.position),
        "rows": compared.map(|compared| compared.folded.rows),
        "sha256": compared.map(|compared| compared.folded.to_string()),
        "equal": compared.map(projections::Verified::equal),
        "error": last.outcome.as_ref().err(),
    })
}

fn print(value: &Value) -> Done {
    crate::print_lines(&[value.to_string()])
}

/// Prints what it came to, and makes the exit status of it.
fn end(name: &str, outcome: &Value) -> Done {
    let mut told = json!({ "name": name });
    if let (Some(told), Some(fields)) = (told.as_object_mut(), outcome.as_object()) {
        let fields = fields.iter().filter(|(field, _)| *field != "number");
        told.extend(fields.map(|(field, value)| (field.clone(), value.clone())));
    }
    print(&told)?;
    if let Some(why) = field(outcome, "error").as_str() {
        return Err(anyhow::anyhow!("{why}").into());
    }
    if field(outcome, "equal") != false {
        return Ok(());
    }
    if field(outcome, "kind") == "rebuild" {
        eprintln!(
            "doorstep: the rows of `{name}` were not what the log gives; those that are served now are"
        );
        return Ok(());
    }
    Err(anyhow::anyhow!(
        "the rows of `{name}` are not what the log gives; `doorstep views rebuild {name}` makes them anew"
    )
    .into())
}

/// How far the work is, told while it goes on.
struct Showing {
    name: String,
    bar: Option<ProgressBar>,
    every: Duration,
    told: Instant,
}

impl Showing {
    fn new(name: &str, every: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(10);
            let bar = ProgressBar::with_draw_target(Some(100), target);
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} %") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            name: name.to_owned(),
            bar,
            every,
            told: Instant::now(),
        }
    }

    fn show(&mut self, stage: &str, percent: u64, seconds_to_go: Option<u64>) {
        let (name, stage) = (&self.name, stage.replace('_', " "));
        let left = seconds_to_go.map_or_else(String::new, |left| format!(", {left} s to go"));
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{name}: {stage}{left}"));
            bar.set_position(percent);
        } else if self.told.elapsed() >= self.every {
            self.told = Instant::now();
            eprintln!("views: {name}: {stage}, {percent} %{left}");
        }
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

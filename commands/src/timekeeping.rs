//! What fires the timers: the clock in service, and whoever says a time.
//!
//! Promise: timers fire in the order of their times. In service one that fails is passed over, counted, and tried again
//! later, so that the others do not wait for it; during an import it ends the run, because the order of the log is at
//! stake. Which timers there are stands in `timers.rs`.

use std::sync::Arc;
use std::time::Duration;

use domain::time::Timestamp;
use domain::{case, member};
use event_store::Position;
use rustc_hash::FxHashSet;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::aggregate::stream_name;
use crate::job::{At, Job, Origin};
use crate::shared::Shared;
use crate::task::Task;
use crate::timers::{Due, Ending};
use crate::{CommandError, Kind, Mode};

/// The longest that a timer sleeps while one is set: clocks are stepped.
const TIMER_SLEEP_MS_MAX: i64 = 1_000;
/// The shortest while another node is to end what is over.
const LOOK_AGAIN_MS: i64 = 100;

/// The timer of a kind of ends, and who acts in its events; no member's id, by its `/`.
const fn timer(of: &Ending) -> (&'static str, &'static str) {
    match of {
        Ending::Suspension(_) => ("suspensions", "timer/suspensions"),
        Ending::Claim(_) => ("claims", "timer/claims"),
        Ending::SuspensionBy(..) | Ending::LimitBy(..) => ("restrictions", "timer/restrictions"),
        Ending::Appeal(_) => ("appeals", "timer/appeals"),
        Ending::ReportLimit(_) => ("report_limits", "timer/report_limits"),
    }
}

/// Fires timers as the clock says, until told to stop.
pub(crate) async fn keep_time(shared: &Shared, mut stop: watch::Receiver<bool>) {
    let mut failed = FxHashSet::default();
    let mut undone = None;
    loop {
        let now = shared.options.clock.now();
        let ours = match leads(shared, now, &failed, &mut undone).await {
            Ok(true) => end_all(shared, now, &mut failed).await.map(|()| true),
            Ok(false) => Ok(false),
            Err(error) => {
                tracing::warn!(%error, "what is over is ended later");
                Err(error)
            }
        };
        let sleep_ms = match ours {
            Ok(ours) => shared.timers.next().map(|due| {
                let least = if ours { 1 } else { LOOK_AGAIN_MS };
                due.since_ms(now).clamp(least, TIMER_SLEEP_MS_MAX)
            }),
            Err(_) => Some(TIMER_SLEEP_MS_MAX),
        };
        let due = async {
            match sleep_ms.and_then(|ms| u64::try_from(ms).ok()) {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = shared.timers.changed() => {}
            () = due => {}
        }
    }
}

/// Whether this node ends what is over. What another leaves undone is taken over, but for what this node could not end itself.
async fn leads(
    shared: &Shared,
    now: Timestamp,
    failed: &FxHashSet<Ending>,
    undone: &mut Option<Undone>,
) -> Result<bool, CommandError> {
    let leading = &shared.leading;
    if leading.leads().await? {
        return Ok(true);
    }
    // What was ended elsewhere comes with the view.
    let first = shared.timers.first_due(now, failed).map(|(of, _)| of);
    let seen = match (first, undone.take()) {
        (None, _) => return Ok(false),
        (Some(first), Some(seen)) if seen.of == first => undone.insert(seen),
        (Some(of), _) => undone.insert(Undone {
            of,
            since: Instant::now(),
            end: shared.store.durable_position(),
        }),
    };
    if shared.view.applied() < seen.end {
        return Ok(false);
    }
    leading.overdue(seen.since).await
}

/// What is over and was not ended yet by the node that is to.
struct Undone {
    of: Ending,
    since: Instant,
    /// Where the log ended then: before the view has come so far, it may have been ended there.
    end: Position,
}

/// Ends everything whose end is `until` or before, in the order of the ends. The first failure, if any.
pub(crate) async fn run_timers(shared: &Shared, until: Timestamp) -> Result<(), CommandError> {
    end_all(shared, until, &mut FxHashSet::default()).await
}

/// The same, and tells what this node could not end for more than the moment.
async fn end_all(
    shared: &Shared,
    until: Timestamp,
    lasting: &mut FxHashSet<Ending>,
) -> Result<(), CommandError> {
    let mut failed = Ok(());
    let mut passed_over = FxHashSet::default();
    lasting.clear();
    while let Some((of, due)) = shared.timers.first_due(until, &passed_over) {
        if let Err(error) = end(shared, &of, due).await {
            shared.counters.timer_failed();
            if shared.options.mode == Mode::Import {
                return Err(error);
            }
            tracing::warn!(timer = timer(&of).0, cause = %due.cause, %error, "what is over could not be ended, and is tried again");
            if !error.may_pass() {
                lasting.insert(of.clone());
            }
            passed_over.insert(of);
            failed = failed.and(Err(error));
        }
    }
    failed
}

async fn end(shared: &Shared, of: &Ending, due: Due) -> Result<(), CommandError> {
    let (name, actor) = timer(of);
    let origin = Origin::Event {
        actor: Arc::from(actor),
        name,
        cause: due.cause,
        correlation: due.correlation,
        command_id: Arc::from(name),
    };
    let at = due.until;
    let (stream, task) = match of {
        Ending::Suspension(member) => {
            let member = member.clone();
            let stream = member::stream(&member);
            let command = member::Command::EndSuspension { member, at };
            (stream, Task::Member(command))
        }
        Ending::ReportLimit(member) => {
            let member = member.clone();
            let stream = member::stream(&member);
            let command = member::Command::EndReportLimit { member, at };
            (stream, Task::Member(command))
        }
        Ending::Claim(case) => {
            let command = case::Command::LapseClaim { at };
            (case::stream(*case), Task::Case(command))
        }
        Ending::SuspensionBy(member, decision) | Ending::LimitBy(member, decision) => {
            let (member, decision) = (member.clone(), *decision);
            let stream = member::stream(&member);
            let command = member::Command::EndRestriction {
                member,
                decision,
                at,
            };
            (stream, Task::Member(command))
        }
        Ending::Appeal(case) => {
            let command = case::Command::CloseCase { at };
            (case::stream(*case), Task::Case(command))
        }
    };
    let decided = shared
        .decide(|reply, place| {
            let stream = stream_name(stream);
            Job::new(stream, task, origin, At::NotBefore(at), reply, place)
        })
        .await;
    if decided.result?.kind == Kind::Unchanged {
        // Nothing is left to end: somebody was faster, or it was changed meanwhile.
        shared.timers.forget(of, due);
    }
    Ok(())
}

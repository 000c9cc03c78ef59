//! What fires the timers: the clock in service, and whoever says a time.
//!
//! Promise: timers fire in the order of their times. In service one that fails is passed over, counted, and tried again
//! later, so that the others do not wait for it; during an import it ends the run, because the order of the log is at
//! stake. Which timers there are stands in `timers.rs`.

use std::sync::Arc;
use std::time::Duration;

use domain::time::Timestamp;
use domain::{case, member};
use rustc_hash::FxHashSet;
use tokio::sync::watch;

use crate::aggregate::stream_name;
use crate::job::{At, Job, Origin};
use crate::shared::Shared;
use crate::task::Task;
use crate::timers::{Due, Ending};
use crate::{CommandError, Kind, Mode};

/// The longest that a timer sleeps while one is set: clocks are stepped.
const TIMER_SLEEP_MS_MAX: i64 = 1_000;

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
    loop {
        let now = shared.options.clock.now();
        let sleep_ms = match run_timers(shared, now).await {
            Ok(()) => shared
                .timers
                .next()
                .map(|due| due.since_ms(now).clamp(1, TIMER_SLEEP_MS_MAX)),
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

/// Ends everything whose end is `until` or before, in the order of the ends. The first failure, if any.
pub(crate) async fn run_timers(shared: &Shared, until: Timestamp) -> Result<(), CommandError> {
    let mut failed = Ok(());
    let mut passed_over = FxHashSet::default();
    while let Some((of, due)) = shared.timers.first_due(until, &passed_over) {
        if let Err(error) = end(shared, &of, due).await {
            shared.counters.timer_failed();
            if shared.options.mode == Mode::Import {
                return Err(error);
            }
            tracing::warn!(timer = timer(&of).0, cause = %due.cause, %error, "what is over could not be ended, and is tried again");
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

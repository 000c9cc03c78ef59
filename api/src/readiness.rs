//! Whether the service does all of its work, and else why not: what `/readyz` answers.
//!
//! Not ready is a service that takes no commands (its store is full or has ended, its write side has stopped), one that
//! answers with less than it should (a view is stopped, far behind or has set events aside, a reactor has parked what it cannot handle, damage
//! was found), and one whose clock is off the log's. The reasons name parts, never members or texts. Whoever reaches the port
//! reads it, so it holds no number at all: by how far a view is behind one counts the events of a message. Exact figures
//! are in the metrics and, for operators, in the list of views.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{Shared, StoreState};

/// Whether the service is ready, and else why not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    /// `writable`, `full`, `failed`, or `unavailable` where the log is on a cluster that cannot be reached.
    store: &'static str,
    /// `running` or `stopped`.
    write_side: &'static str,
    /// `right`, or `behind` where the log's time is more than 5 s ahead of it.
    clock: &'static str,
    /// Whether a reading, a verification or a backup met damage of the log since the start.
    damage_found: bool,
    views: Vec<ViewReadiness>,
    reactors: Vec<ReactorReadiness>,
    /// What is not well, in words; empty when ready.
    reasons: Vec<String>,
}

/// How one view is.
#[derive(Debug, Serialize, ToSchema)]
struct ViewReadiness {
    name: &'static str,
    /// `building`, `catching_up`, `live`, `stopped` or `closed`.
    state: &'static str,
    /// It is served, not far behind the log, and has set nothing aside.
    ready: bool,
}

/// How what follows in other streams is.
#[derive(Debug, Serialize, ToSchema)]
struct ReactorReadiness {
    name: &'static str,
    /// It has parked nothing: no target's events wait for somebody to look, because one could not be handled.
    ready: bool,
}

/// How the service is now.
pub(crate) async fn of(shared: &Shared) -> Readiness {
    let mut reasons = Vec::new();
    let store = store(shared, &mut reasons);
    let write_side = write_side(shared, &mut reasons);
    let clock = clock(shared, &mut reasons).await;
    shared.damage.note_of_views(shared.reads.not_read());
    let damage = shared.damage.reason();
    let damage_found = damage.is_some();
    reasons.extend(damage.map(str::to_owned));
    let views = views(shared, &mut reasons);
    let reactors = reactors(shared, &mut reasons);
    Readiness {
        ready: reasons.is_empty(),
        store,
        write_side,
        clock,
        damage_found,
        views,
        reactors,
        reasons,
    }
}

fn store(shared: &Shared, reasons: &mut Vec<String>) -> &'static str {
    match shared.care.state() {
        StoreState::Writable => "writable",
        StoreState::Full => {
            reasons
                .push("the disk has less room than the reserve; commands are refused".to_owned());
            "full"
        }
        StoreState::Failed => {
            reasons.push("the store has ended".to_owned());
            "failed"
        }
        StoreState::Unavailable => {
            reasons.push("the store cannot be reached; it is tried again and again".to_owned());
            "unavailable"
        }
    }
}

fn write_side(shared: &Shared, reasons: &mut Vec<String>) -> &'static str {
    let stopped_tables = shared
        .commands
        .tables()
        .into_iter()
        .find(|status| matches!(status.state.name(), "stopped" | "closed"));
    if let Some(why) = shared.commands.ended() {
        reasons.push(why.to_owned());
        return "stopped";
    }
    if let Some(status) = stopped_tables {
        // Commands go on for now, but what was decided before is no longer found.
        reasons.push(format!(
            "the write side's table `{}` is {}",
            status.view,
            status.state.name()
        ));
    }
    "running"
}

fn views(shared: &Shared, reasons: &mut Vec<String>) -> Vec<ViewReadiness> {
    let states = shared.reads.states();
    if states.iter().any(|status| status.reading.is_some()) {
        reasons.push("the views cannot read the log; the service's own log says why".to_owned());
    }
    let views = states.into_iter().map(|status| {
        // One that catches up is served, and answers as of the past.
        let live = status.state.name() == "live";
        let near = live && status.lag_events <= shared.options.lag_events_max;
        let whole = status.set_aside.all() == 0;
        if !near {
            let how = if live {
                "far behind the log"
            } else {
                status.state.name()
            };
            reasons.push(format!("the view `{}` is {how}", status.view));
        }
        if !whole {
            reasons.push(format!(
                "the view `{}` has set aside what it cannot apply; its letters say what",
                status.view
            ));
        }
        let ready = near && whole;
        ViewReadiness {
            name: status.view,
            state: status.state.name(),
            ready,
        }
    });
    views.collect()
}

fn reactors(shared: &Shared, reasons: &mut Vec<String>) -> Vec<ReactorReadiness> {
    let reactors = shared.commands.reactors().into_iter().map(|status| {
        let ready = status.parked == 0;
        if !ready {
            reasons.push(format!(
                "the reactor `{}` has parked what it cannot handle; the service's own log says what",
                status.name
            ));
        }
        ReactorReadiness {
            name: status.name,
            ready,
        }
    });
    reactors.collect()
}

/// Whether the last recorded event lies too far ahead of this clock.
async fn clock(shared: &Shared, reasons: &mut Vec<String>) -> &'static str {
    // The event at the durable position is the last one.
    let end = shared.store.durable_position();
    let last = shared.store.read_at(end).await.ok().flatten();
    let recorded_at_ms = last.map_or(i64::MIN, |event| event.recorded_at_ms());
    let behind_ms = recorded_at_ms.saturating_sub(crate::time::now_ms());
    let tolerance_ms =
        i64::try_from(shared.options.clock_tolerance.as_millis()).unwrap_or(i64::MAX);
    if behind_ms > tolerance_ms {
        reasons.push("the clock is behind the log".to_owned());
        "behind"
    } else {
        "right"
    }
}

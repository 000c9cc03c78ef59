//! Whether the service does all of its work, and else why not: what `/readyz` answers.
//!
//! Not ready is a service that takes no commands (its store is full or has ended, its write side has stopped), one that
//! answers with less than it should (a view is stopped or far behind, a reactor has parked what it cannot handle, damage
//! was found), and one whose clock is off the log's. The reasons name parts, never members or texts.

use event_store::Position;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::{Shared, StoreState};

/// Whether the service is ready, and else why not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    /// `writable`, `full` or `failed`.
    store: &'static str,
    /// `running` or `stopped`.
    write_side: &'static str,
    /// Milliseconds by which the log's time is ahead of this clock; more than 5,000 is not ready.
    clock_behind_ms: i64,
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
    /// How far it is behind the log, in events.
    lag: u64,
    ready: bool,
}

/// How what follows in other streams is. A parked target waits for somebody to look, and is tried again meanwhile.
#[derive(Debug, Serialize, ToSchema)]
struct ReactorReadiness {
    name: &'static str,
    /// Targets whose events wait because one could not be handled.
    parked: usize,
}

/// How the service is now.
pub(crate) async fn of(shared: &Shared) -> Readiness {
    let mut reasons = Vec::new();
    let store = store(shared, &mut reasons);
    let write_side = write_side(shared, &mut reasons);
    let clock_behind_ms = clock_behind_ms(shared).await;
    let tolerance_ms =
        i64::try_from(shared.options.clock_tolerance.as_millis()).unwrap_or(i64::MAX);
    if clock_behind_ms > tolerance_ms {
        reasons.push(format!("the clock is {clock_behind_ms} ms behind the log"));
    }
    let damage = shared.damage.reason();
    let damage_found = damage.is_some();
    reasons.extend(damage);
    let views = views(shared, &mut reasons);
    let reactors = reactors(shared, &mut reasons);
    Readiness {
        ready: reasons.is_empty(),
        store,
        write_side,
        clock_behind_ms,
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
        let served = matches!(status.state.name(), "live" | "catching_up");
        let ready = served && status.lag_events <= shared.options.lag_events_max;
        if !ready {
            reasons.push(format!(
                "the view `{}` is {}, {} events behind",
                status.view,
                status.state.name(),
                status.lag_events
            ));
        }
        ViewReadiness {
            name: status.view,
            state: status.state.name(),
            lag: status.lag_events,
            ready,
        }
    });
    views.collect()
}

fn reactors(shared: &Shared, reasons: &mut Vec<String>) -> Vec<ReactorReadiness> {
    let reactors = shared.commands.reactors().into_iter().map(|status| {
        if status.parked > 0 {
            reasons.push(format!(
                "the reactor `{}` has parked {} of its targets: an event of theirs cannot be handled",
                status.name, status.parked
            ));
        }
        ReactorReadiness {
            name: status.name,
            parked: status.parked,
        }
    });
    reactors.collect()
}

/// How far the last recorded event lies ahead of this clock; 0 where it does not.
async fn clock_behind_ms(shared: &Shared) -> i64 {
    // The event at the durable position is the last one.
    let before_last = Position(shared.store.durable_position().0.saturating_sub(1));
    let last = shared
        .store
        .read_all(before_last, 1, 1)
        .await
        .ok()
        .and_then(|events| events.last().cloned());
    let recorded_at_ms = last.map_or(i64::MIN, |event| event.recorded_at_ms());
    recorded_at_ms.saturating_sub(crate::time::now_ms()).max(0)
}

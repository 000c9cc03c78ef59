//! The metrics of the process: their catalogue, and the recorder behind `/metrics`, in the text format of Prometheus.
//!
//! One recorder serves the whole process, so that every crate counts into it; the first call installs it. Every metric is
//! named in [`CATALOGUE`], with its labels and all the values that these may have, so that the set of series is bounded and
//! known; `docs/metrics.md` is made from it. No label holds a member, a stream or a key. What describes how things stand
//! (positions, lags, free room) is looked up when somebody asks. Histograms are drained by a thread of their own, so that
//! memory stays bounded when nobody scrapes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use event_store::Observer;
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use crate::app::{Shared, StoreState};

/// How a metric counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only rises, from 0 at the start.
    Counter,
    /// How it is now.
    Gauge,
    /// How many were at most so large, for each of these bounds.
    Histogram(&'static [f64]),
}

/// A metric of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name: `doorstep_<part>_<what>_<unit>`.
    pub name: &'static str,
    /// How it counts.
    pub kind: Kind,
    /// Its labels, each with the values it may have.
    pub labels: &'static [(&'static str, &'static str)],
    /// What it tells.
    pub help: &'static str,
}

const SECONDS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
const EVENTS: &[f64] = &[1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0];
const BYTES: &[f64] = &[1_024.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

const ROUTE: (&str, &str) = (
    "route",
    "the templates of the OpenAPI document, `unmatched`",
);
const METHOD: (&str, &str) = ("method", "`GET`, `POST`, `PUT`, `DELETE`, `other`");
const STATUS: (&str, &str) = ("status", "`1xx` to `5xx`");
const KIND: (&str, &str) = ("kind", "`command`, `query`, `other`");
const COMMAND: (&str, &str) = ("command", "the commands' names, `Other`");
const OUTCOME: (&str, &str) = (
    "outcome",
    "`done`, `unchanged`, `refused`, `not_found`, `command_id_reused`, `invalid_time`, `rate_limited`, `busy`, `storage_full`, `outcome_unknown`, `store_unavailable`, `failed`",
);
const WORKER: (&str, &str) = ("worker", "a number from 0, one for each worker");
const REACTOR: (&str, &str) = ("reactor", "`cases`");
const VIEW: (&str, &str) = (
    "view",
    "the read views' names, and `write_side`, the write side's own table",
);

const FOLLOWED: (&str, &str) = ("followed", "`log`, `feed`");
const CALL: (&str, &str) = ("call", "`read`, `append`, `batch_append`, `delete`");
const ANSWER: (&str, &str) = (
    "answer",
    "`taken`, `unauthenticated`, `denied`, `refused`, `failed`",
);
const OF: (&str, &str) = ("of", "`reading`, `subscription`, `batches`");

/// Declares a list of metrics: name, kind, labels, meaning.
macro_rules! catalogue {
    ($($name:literal, $kind:expr, [$($label:expr),*], $help:literal;)+) => {
        /// Every metric there is, by parts.
        pub const CATALOGUE: &[Metric] = &[$(Metric {
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
        }),+];
    };
}

catalogue! {
    "doorstep_http_answers_total", Kind::Counter, [ROUTE, METHOD, STATUS],
        "Answers. A series begins with its first answer.";
    "doorstep_http_answer_seconds", Kind::Histogram(SECONDS), [KIND],
        "Time from a request's head to its answer's: of commands, of queries (both below `/v1`), of everything else.";
    "doorstep_http_connections_count", Kind::Gauge, [],
        "Connections that are open.";
    "doorstep_follow_open_count", Kind::Gauge, [FOLLOWED],
        "Streams that go on and are open: of the log, and feeds of members.";
    "doorstep_follow_dropped_total", Kind::Counter, [FOLLOWED],
        "Streams that were cut off because their reader took nothing of them.";
    "doorstep_follow_blocks_read_total", Kind::Counter, [],
        "Readings of the log for all who follow it; each is shared by those who are at its place.";
    "doorstep_kurrent_connections_count", Kind::Gauge, [],
        "Connections of KurrentDB's protocol that are open.";
    "doorstep_kurrent_open_count", Kind::Gauge, [OF],
        "What such clients are being told: readings, subscriptions, answers to batches. A series begins with `--kurrent-listen`.";
    "doorstep_kurrent_messages_total", Kind::Counter, [OF],
        "Messages that they were told. A series begins with `--kurrent-listen`.";
    "doorstep_kurrent_calls_total", Kind::Counter, [CALL, ANSWER],
        "Calls of such clients, by how they were taken. A series begins with its first call.";
    "doorstep_commands_decided_total", Kind::Counter, [COMMAND, OUTCOME],
        "Commands and steps that were decided, by outcome. A series begins with its first.";
    "doorstep_commands_repeated_total", Kind::Counter, [],
        "Commands that had come before, and were answered with their first outcome.";
    "doorstep_commands_conflicts_total", Kind::Counter, [],
        "Appends that met another version than they were decided on, and were decided again.";
    "doorstep_commands_refusals_recorded_total", Kind::Counter, [],
        "Refusals that became events.";
    "doorstep_commands_refusals_not_recorded_total", Kind::Counter, [],
        "Refusals beyond their member's daily limit, of which nothing was written.";
    "doorstep_commands_waiting_count", Kind::Gauge, [WORKER],
        "Messages that wait for a worker of the write side.";
    "doorstep_reactor_leading_count", Kind::Gauge, [],
        "1 where this node does what follows from events and from time for all nodes of the log, else 0.";
    "doorstep_reactor_led_total", Kind::Counter, [],
        "Times that this node took that over.";
    "doorstep_timers_failed_total", Kind::Counter, [],
        "Times that a timer could not do what was due; it is tried again.";
    "doorstep_reactor_position", Kind::Gauge, [REACTOR],
        "Position of the log up to which a reactor has taken up its causes.";
    "doorstep_reactor_lag_events", Kind::Gauge, [REACTOR],
        "Events of the log beyond that.";
    "doorstep_reactor_lag_seconds", Kind::Gauge, [REACTOR],
        "For how long the first of them has been waiting.";
    "doorstep_reactor_parked_targets", Kind::Gauge, [REACTOR],
        "Targets whose events wait because one could not be handled; more than 0 is not ready.";
    "doorstep_view_position", Kind::Gauge, [VIEW],
        "Position of the last event in a view's rows.";
    "doorstep_view_lag_events", Kind::Gauge, [VIEW],
        "Events of the log that are not in a view's rows yet.";
    "doorstep_view_lag_seconds", Kind::Gauge, [VIEW],
        "For how long the first of them has been waiting.";
    "doorstep_view_file_bytes", Kind::Gauge, [VIEW],
        "Size of a view's file.";
    "doorstep_view_stopped_count", Kind::Gauge, [VIEW],
        "1 while a view cannot go on, because of an event, its file or the log, with the cause in the service's log; else 0.";
    "doorstep_view_stops_total", Kind::Counter, [VIEW],
        "Times that a view stopped before an event that it could neither apply nor set aside.";
    "doorstep_view_dead_letters_total", Kind::Counter, [VIEW],
        "Events that a view could not apply and set aside, each time that it was tried.";
    "doorstep_view_failed_events", Kind::Gauge, [VIEW],
        "Events that are set aside because a view cannot apply them; more than 0 is not ready.";
    "doorstep_view_waiting_events", Kind::Gauge, [VIEW],
        "Events that wait behind those.";
    "doorstep_view_file_failures_total", Kind::Counter, [VIEW],
        "Failures of a view's file.";
    "doorstep_view_discarded_total", Kind::Counter, [VIEW],
        "View files thrown away on opening, and made again.";
    "doorstep_view_verified_total", Kind::Counter, [VIEW],
        "Times that a view's rows were compared with what the log gives: by a verification, a rebuild or the schedule.";
    "doorstep_view_differences_total", Kind::Counter, [VIEW],
        "Times that they were not that. More than 0 is a defect, or damage of the view's file: rebuild it, and report it.";
    "doorstep_view_apply_seconds", Kind::Histogram(SECONDS), [],
        "Time to apply one batch to one view.";
    "doorstep_view_commit_seconds", Kind::Histogram(SECONDS), [],
        "Time to commit a batch's changes to one view's file.";
    "doorstep_view_checkpoint_seconds", Kind::Histogram(SECONDS), [],
        "Time of one view's durable checkpoint.";
    "doorstep_view_room_waits_total", Kind::Counter, [],
        "Waits of commands for views that were too far behind.";
    "doorstep_store_durable_position", Kind::Gauge, [],
        "Position of the last durable event.";
    "doorstep_store_batch_events", Kind::Histogram(EVENTS), [],
        "Events of one batch: what one sync made durable.";
    "doorstep_store_batch_bytes", Kind::Histogram(BYTES), [],
        "Bytes of one batch.";
    "doorstep_store_sync_seconds", Kind::Histogram(SECONDS), [],
        "Time of one sync of the log.";
    "doorstep_store_free_bytes", Kind::Gauge, [],
        "Free room of the log's disk; below the reserve commands are refused. No number where the log is on a cluster.";
    "doorstep_store_reached_count", Kind::Gauge, [],
        "1 while the log can be asked; 0 where it is on a cluster that does not answer.";
    "doorstep_store_damage_found_total", Kind::Counter, [],
        "Times that damage of the log was met; more than 0 is not ready.";
}

const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
/// Held while what stands is entered and shown, so that two who ask do not mix.
static SHOWING: Mutex<()> = Mutex::new(());

/// Installs the recorder of the process, once.
pub fn install() {
    RECORDER.get_or_init(|| {
        let handle = match recorder() {
            Ok(handle) => handle,
            Err(error) => {
                tracing::warn!(%error, "metrics are off");
                return None;
            }
        };
        begin();
        let upkeep = handle.clone();
        let spawned = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(UPKEEP);
                    upkeep.run_upkeep();
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "metrics are not drained between scrapes");
        }
        Some(handle)
    });
}

fn recorder() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in CATALOGUE {
        if let Kind::Histogram(bounds) = metric.kind {
            let matcher = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(matcher, bounds)?;
        }
    }
    builder.install_recorder()
}

/// Describes every metric, and lets those without labels begin.
fn begin() {
    for metric in CATALOGUE {
        let (name, help) = (metric.name, metric.help);
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram(_) => metrics::describe_histogram!(name, help),
        }
        if metric.labels.is_empty() {
            match metric.kind {
                Kind::Counter => counter!(name).increment(0),
                Kind::Gauge => gauge!(name).increment(0.0),
                Kind::Histogram(_) => drop(histogram!(name)),
            }
        }
    }
}

/// Counts the batches of a store; for its options.
pub fn batches() -> Observer {
    let meters = OnceLock::new();
    Arc::new(move |batch| {
        // Made with the first batch, when the recorder is there.
        let (events, bytes, sync) = meters.get_or_init(|| {
            (
                histogram!("doorstep_store_batch_events"),
                histogram!("doorstep_store_batch_bytes"),
                histogram!("doorstep_store_sync_seconds"),
            )
        });
        events.record(f64::from(batch.events));
        bytes.record(approximately(batch.bytes as u64));
        sync.record(batch.sync.as_secs_f64());
    })
}

/// What `/metrics` answers: what was counted, and how things stand now.
pub(crate) async fn render(shared: &Shared) -> String {
    let mut views = Vec::new();
    for status in shared
        .reads
        .states()
        .into_iter()
        .chain(shared.commands.tables())
    {
        let lag_s = shared.waiting_s(status.applied).await;
        views.push((status, lag_s));
    }
    let durable = shared.store.durable_position();
    let mut reactors = Vec::new();
    for status in shared.commands.reactors() {
        let lag_s = shared.waiting_s(status.reached).await;
        reactors.push((status, lag_s));
    }
    shared.damage.note_of_views(shared.reads.not_read());
    let _showing = SHOWING.lock();
    gauge!("doorstep_store_durable_position").set(approximately(durable.0));
    let free = shared.care.free_bytes().map_or(f64::NAN, approximately);
    gauge!("doorstep_store_free_bytes").set(free);
    let reached = shared.care.state() != StoreState::Unavailable;
    gauge!("doorstep_store_reached_count").set(if reached { 1.0 } else { 0.0 });
    for (followed, open) in shared.following.open() {
        gauge!("doorstep_follow_open_count", "followed" => followed)
            .set(approximately(open as u64));
        counter!("doorstep_follow_dropped_total", "followed" => followed).increment(0);
    }
    for (status, lag_s) in views {
        let view = status.view;
        let stopped = if status.state.name() == "stopped" || status.reading.is_some() {
            1.0
        } else {
            0.0
        };
        gauge!("doorstep_view_position", "view" => view).set(approximately(status.applied.0));
        gauge!("doorstep_view_lag_events", "view" => view).set(approximately(status.lag_events));
        gauge!("doorstep_view_lag_seconds", "view" => view).set(lag_s);
        gauge!("doorstep_view_file_bytes", "view" => view).set(approximately(status.bytes));
        gauge!("doorstep_view_stopped_count", "view" => view).set(stopped);
        let (failed, waiting) = (status.set_aside.failed, status.set_aside.waiting);
        gauge!("doorstep_view_failed_events", "view" => view).set(approximately(failed as u64));
        gauge!("doorstep_view_waiting_events", "view" => view).set(approximately(waiting as u64));
        for counted in [
            "doorstep_view_stops_total",
            "doorstep_view_dead_letters_total",
            "doorstep_view_file_failures_total",
            "doorstep_view_discarded_total",
            "doorstep_view_verified_total",
            "doorstep_view_differences_total",
        ] {
            counter!(counted, "view" => view).increment(0);
        }
    }
    for (status, lag_s) in reactors {
        let reactor = status.name;
        let lag = durable.0.saturating_sub(status.reached.0);
        gauge!("doorstep_reactor_position", "reactor" => reactor)
            .set(approximately(status.reached.0));
        gauge!("doorstep_reactor_lag_events", "reactor" => reactor).set(approximately(lag));
        gauge!("doorstep_reactor_lag_seconds", "reactor" => reactor).set(lag_s);
        gauge!("doorstep_reactor_parked_targets", "reactor" => reactor)
            .set(approximately(status.parked as u64));
    }
    RECORDER
        .get()
        .and_then(Option::as_ref)
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating point; beyond 2^53 the last digits are lost"
)]
fn approximately(number: u64) -> f64 {
    number as f64
}

/// The page `docs/metrics.md`, made from the catalogue.
pub fn document() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Metrics\n\n\
         What `GET /metrics` answers, in the text format of Prometheus. This page is made from the catalogue in\n\
         `api/src/metering.rs` and compared with it by a test; another compares it with what a running service answers.\n\n\
         Names are `doorstep_<part>_<what>_<unit>`. No label holds a member, a stream or a key, and every label has the few\n\
         values named below, so that the number of series does not grow with use. Whoever reaches the port may read them:\n\
         positions tell how much is going on, so let only your own monitoring reach it.\n\n\
         | name | type | labels | tells |\n| --- | --- | --- | --- |\n",
    );
    for metric in CATALOGUE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(label, _)| format!("`{label}`"))
            .collect();
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.help
        );
    }
    page.push_str("\n| label | values |\n| --- | --- |\n");
    for (label, values) in [
        ROUTE, METHOD, STATUS, KIND, FOLLOWED, CALL, ANSWER, OF, COMMAND, OUTCOME, WORKER, REACTOR,
        VIEW,
    ] {
        let _ = writeln!(page, "| `{label}` | {values} |");
    }
    page.push_str("\n| histograms in | bounds |\n| --- | --- |\n");
    for (unit, bounds) in [("seconds", SECONDS), ("events", EVENTS), ("bytes", BYTES)] {
        let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "| {unit} | {} |", bounds.join(", "));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::CATALOGUE;

    #[test]
    fn names_say_the_part_what_and_the_unit() {
        for metric in CATALOGUE {
            let parts: Vec<&str> = metric.name.split('_').collect();
            assert!(
                matches!(
                    parts[..],
                    [
                        "doorstep",
                        "http"
                            | "follow"
                            | "kurrent"
                            | "commands"
                            | "timers"
                            | "reactor"
                            | "view"
                            | "store",
                        ..
                    ]
                ),
                "{}",
                metric.name
            );
            assert!(
                matches!(
                    parts.last(),
                    Some(
                        &("total"
                            | "seconds"
                            | "bytes"
                            | "events"
                            | "count"
                            | "position"
                            | "targets")
                    )
                ),
                "{}",
                metric.name
            );
        }
    }
}

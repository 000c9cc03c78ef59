//! Ends a subscription of the published client that would otherwise never give its thread back.
//!
//! When a server ends a subscription without an error, `Subscription::next_subscription_event` of `kurrentdb` 1.2 asks the
//! ended stream again without ever waiting: it writes a warning each time round and cannot be aborted, because its task is
//! never polled to an end. The warning is the only thing that it does there which others can see. So the task of a
//! subscription runs under [`Endless`], which hands all that is logged on to where it went before, and at this warning
//! unwinds the task. Whoever started it sees it end, and subscribes again after its own checkpoint.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// The crate that warns, as its events name it.
const CRATE: &str = "kurrentdb";
/// What it says each time round.
const WARNING: &str = "Received an unknown subscription message";

/// Hands on what is logged; ends the task at the warning.
pub(super) struct Endless {
    before: Dispatch,
    /// What was let through before, and the warning.
    level: LevelFilter,
}

impl Endless {
    /// Over what is in force here.
    pub(super) fn dispatch() -> Dispatch {
        let before = tracing::dispatcher::get_default(Clone::clone);
        let level = LevelFilter::current().max(LevelFilter::WARN);
        Dispatch::new(Self { before, level })
    }
}

fn may_warn(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
        && *metadata.level() == Level::WARN
        && metadata.target().split("::").next() == Some(CRATE)
}

/// Whether a message is the warning.
#[derive(Default)]
struct Warns(bool);

impl Visit for Warns {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}") == WARNING;
    }
}

impl Subscriber for Endless {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if may_warn(metadata) {
            return Interest::sometimes();
        }
        self.before.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        may_warn(metadata) || self.before.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.before.new_span(attributes)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.before.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.before.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        if may_warn(event.metadata()) {
            let mut warns = Warns::default();
            event.record(&mut warns);
            if warns.0 {
                // Not a failure of ours: no panic hook is to tell of it.
                std::panic::resume_unwind(Box::new(WARNING));
            }
        }
        if self.before.enabled(event.metadata()) {
            self.before.event(event);
        }
    }

    fn enter(&self, span: &Id) {
        self.before.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.before.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.before.clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.before.try_close(span)
    }
}

#[cfg(test)]
mod spec {
    use tracing::instrument::WithSubscriber as _;

    use super::*;

    #[tokio::test]
    async fn a_task_that_warns_without_end_is_ended_and_one_that_warns_of_something_else_is_not() {
        let endless = async {
            loop {
                tracing::warn!(target: "kurrentdb::commands", "{WARNING}");
            }
        };
        let ended = tokio::spawn(endless.with_subscriber(Endless::dispatch())).await;
        assert!(ended.is_err_and(|ended| ended.is_panic()));
        let other = async {
            tracing::warn!(target: "kurrentdb::commands", "something else");
            tracing::warn!("{WARNING}");
        };
        let ended = tokio::spawn(other.with_subscriber(Endless::dispatch())).await;
        assert!(ended.is_ok());
    }
}

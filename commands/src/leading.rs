//! Whether this node leads: does what follows from events and from time for all nodes of the log.
//!
//! Promise: where the store has no lease this program is the only node, and leads. Else one node does at a time, but for
//! moments: a leader learns within [`BELIEVED_FOR`] that it is none any more. Nobody renews anything. The others look at
//! what is due and not done, and the first that has seen it so for [`Options::lease_patience`] takes the lease; where nobody has it, at
//! once. So work moves when its leader dies, stands still or cannot be heard, and an idle log stays as it is. What two
//! leaders do at once has its effect once, by what the targets themselves decide.

use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, Held, Lease};
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::CommandError;
#[cfg(doc)]
use crate::Options;

/// How long a leader acts before it asks again whether it leads.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// Between two looks at who leads, of one who does not.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// Whether this node leads.
pub(crate) struct Leading {
    lease: Option<Arc<dyn Lease>>,
    /// How long work is left to a leader that does not do it.
    patience: Duration,
    /// This node, from its start to its end.
    node: Uuid,
    known: Mutex<Known>,
    leads: Gauge,
    led: Counter,
}

#[derive(Clone, Copy)]
struct Known {
    held: Held,
    /// When that was asked; none where it never was.
    asked: Option<Instant>,
    /// Since when the lease has been known to stand so.
    since: Instant,
}

impl Leading {
    /// Of a store.
    pub(crate) fn of(store: &dyn EventStore, patience: Duration) -> Self {
        let lease = store.lease();
        let leads = gauge!("doorstep_reactor_leading_count");
        leads.set(if lease.is_none() { 1.0 } else { 0.0 });
        Self {
            lease,
            patience,
            node: Uuid::now_v7(),
            known: Mutex::new(Known {
                held: Held::default(),
                asked: None,
                since: Instant::now(),
            }),
            leads,
            led: counter!("doorstep_reactor_led_total"),
        }
    }

    /// Whether another node could lead.
    pub(crate) fn is_shared(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether this node leads, as far as it knows; one that thinks so asks now and then.
    pub(crate) async fn leads(&self) -> Result<bool, CommandError> {
        let Some(lease) = &self.lease else {
            return Ok(true);
        };
        let mut known = self.known.lock().await;
        if known.held.holder == Some(self.node) {
            self.ask(&mut known, &**lease, BELIEVED_FOR).await?;
        }
        Ok(known.held.holder == Some(self.node))
    }

    /// Work is due and has been seen undone since then: takes the lease where nobody has it, or where its holder had time
    /// enough. Whether this node leads now.
    pub(crate) async fn overdue(&self, since: Instant) -> Result<bool, CommandError> {
        let Some(lease) = &self.lease else {
            return Ok(true);
        };
        let mut known = self.known.lock().await;
        self.ask(&mut known, &**lease, ASKED_EVERY).await?;
        if known.held.holder == Some(self.node) {
            return Ok(true);
        }
        // Who has just taken it gets its time.
        let left = known.since.max(since).elapsed() < self.patience;
        if known.held.holder.is_some() && left {
            return Ok(false);
        }
        self.take(&mut known, &**lease).await
    }

    /// Takes the lease whoever has it: for an import, which is to run alone.
    pub(crate) async fn claim(&self) -> Result<(), CommandError> {
        let Some(lease) = &self.lease else {
            return Ok(());
        };
        let mut known = self.known.lock().await;
        self.ask(&mut known, &**lease, Duration::ZERO).await?;
        if known.held.holder == Some(self.node) || self.take(&mut known, &**lease).await? {
            return Ok(());
        }
        Err(CommandError::Busy)
    }

    /// Leaves it to the others, where this node has it.
    pub(crate) async fn leave(&self) {
        let Some(lease) = &self.lease else { return };
        let mut known = self.known.lock().await;
        if known.held.holder != Some(self.node) {
            return;
        }
        // Where that fails the others wait a little longer.
        if let Err(error) = lease.give(known.held, None).await {
            tracing::debug!(%error, "the lease was not given back");
        }
        known.held.holder = None;
        self.leads.set(0.0);
    }

    async fn take(&self, known: &mut Known, lease: &dyn Lease) -> Result<bool, CommandError> {
        let from = known.held.holder;
        let given = lease.give(known.held, Some(self.node)).await;
        // Whatever came of it, what was known is old.
        known.asked = None;
        if given? {
            self.led.increment(1);
            tracing::info!(node = %self.node, from = ?from, "this node does what follows from events and time");
        }
        self.ask(known, lease, Duration::ZERO).await?;
        Ok(known.held.holder == Some(self.node))
    }

    /// Asks how the lease stands, unless that was asked just now.
    async fn ask(
        &self,
        known: &mut Known,
        lease: &dyn Lease,
        every: Duration,
    ) -> Result<(), CommandError> {
        if known.asked.is_some_and(|asked| asked.elapsed() < every) {
            return Ok(());
        }
        let held = lease.held().await?;
        let now = Instant::now();
        if held != known.held {
            if known.held.holder == Some(self.node) {
                tracing::info!(node = %self.node, to = ?held.holder, "another node does what follows from events and time");
            }
            known.held = held;
            known.since = now;
        }
        known.asked = Some(now);
        let leads = held.holder == Some(self.node);
        self.leads.set(if leads { 1.0 } else { 0.0 });
        Ok(())
    }
}

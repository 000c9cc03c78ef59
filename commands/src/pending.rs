//! A command that is decided and not yet answered.
//!
//! What was decided waits until all that it rests on is durable: its events and facts in the log, and, where it wrote
//! nothing, the outcome itself beside the log (`kept.rs`), so that a repeat is answered alike after a kill too.

use std::sync::Arc;

use crate::job::Decided;
use crate::shared::Shared;
use crate::{CommandError, Kind, Mode, Outcome};

/// A command whose place is fixed: decided, not yet durable.
#[must_use = "an outcome counts when it is durable"]
pub struct Pending {
    shared: Arc<Shared>,
    decided: Decided,
}

impl Pending {
    pub(crate) fn new(shared: &Arc<Shared>, decided: Decided) -> Self {
        Self {
            shared: Arc::clone(shared),
            decided,
        }
    }

    /// What was decided; not to be shown to anybody before it is durable.
    pub fn decided(&self) -> &Result<Outcome, CommandError> {
        &self.decided.result
    }

    /// Waits until everything the outcome was decided on is durable, and gives it.
    pub async fn durable(self) -> Result<Outcome, CommandError> {
        let store = &self.shared.store;
        store.wait_durable(self.decided.position).await?;
        settled(&self.shared, &self.decided.result).await;
        self.decided.result
    }
}

/// Waits until an outcome that wrote nothing is kept as durably as one that is an event.
pub(crate) async fn settled(shared: &Shared, result: &Result<Outcome, CommandError>) {
    let wrote_nothing = matches!(result, Ok(outcome) if outcome.kind == Kind::Unchanged);
    if wrote_nothing && shared.options.mode == Mode::Service {
        shared.kept.settled().await;
    }
}

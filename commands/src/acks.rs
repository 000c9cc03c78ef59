//! Holds answers back until what they were decided on is durable.
//!
//! One task per worker: it waits for the durable position once per batch of answers, however many callers wait, so that
//! a sync wakes one task and not all of them.

use std::sync::Arc;

use event_store::{EventStore, Position};
use tokio::sync::{mpsc, oneshot};

use crate::{CommandError, Outcome};

/// An answer and what it waits for.
pub(crate) struct Ack {
    pub(crate) position: Position,
    pub(crate) result: Result<Outcome, CommandError>,
    pub(crate) caller: oneshot::Sender<Result<Outcome, CommandError>>,
}

/// Answers batch after batch, in the order of decision, until the worker is gone.
pub(crate) async fn run(
    store: Arc<dyn EventStore>,
    mut batches: mpsc::UnboundedReceiver<Vec<Ack>>,
) {
    let mut durable = store.durable_position();
    let mut lost = false;
    while let Some(batch) = batches.recv().await {
        for ack in batch {
            let mut result = ack.result;
            if ack.position > durable && !lost {
                lost = store.wait_durable(ack.position).await.is_err();
                durable = store.durable_position();
            }
            if ack.position > durable && lost {
                result = Err(CommandError::OutcomeUnknown);
            }
            // A caller that went away needs no answer; its command is durable all the same.
            let _ = ack.caller.send(result);
        }
    }
}

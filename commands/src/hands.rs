//! Who does what follows from a cause: the reactor of this node, or another's that is looked after.
//!
//! Promise: every node goes through all causes in order. The one that leads does what follows; the others look whether it was
//! done, so that each knows how far it is, and what another leaves undone for too long is taken over (`leading.rs`). What a
//! node could not do itself it takes over no second time, so that no cause sends the lease around.

use domain::time::Timestamp;
use event_store::{Position, RecordedEvent, StreamName};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use crate::CommandError;
use crate::aggregate::stream_name;
use crate::job::Hand;
use crate::parked::Cause;
use crate::reactors::{CASES_STREAM, Cases, Progress, Trouble};

/// What is known of whose hand it is.
#[derive(Default)]
pub(crate) struct Hands {
    /// Whether this node did it, the last time.
    pub(crate) led: bool,
    /// What was seen to be undone while another node is to do it, and since when. No more than may be parked, and one.
    undone: FxHashMap<Position, Instant>,
    /// What this node could not do itself. No more than may be parked.
    failed: FxHashSet<Position>,
}

impl Cases {
    /// Handles a cause, or looks whether another node did, and gives it; none where it is not there. What another has left
    /// undone for too long is done here.
    pub(crate) async fn tried(
        &self,
        state: &mut Progress,
        stream: &StreamName,
        cause: Cause,
    ) -> Result<Result<Option<RecordedEvent>, Trouble>, CommandError> {
        let leading = &self.shared.leading;
        loop {
            let hand = match self.hand(state).await {
                Ok(hand) => hand,
                Err(error) => {
                    // Nobody could do it meanwhile.
                    state.hands.undone.clear();
                    return Err(error);
                }
            };
            let tried = self.tried_by(hand, state, stream, cause).await;
            if !leading.is_shared() {
                return Ok(tried);
            }
            match (&tried, hand) {
                (Err(Trouble::Undone), _) if !state.hands.failed.contains(&cause.position) => {
                    let now = Instant::now();
                    let since = *state.hands.undone.entry(cause.position).or_insert(now);
                    if leading.overdue(since).await? {
                        continue;
                    }
                }
                // It may be done the next time, by whoever leads then.
                (Err(Trouble::Passing(_)), _) => {
                    state.hands.undone.remove(&cause.position);
                }
                (Err(_), Hand::Does) => {
                    state.hands.failed.insert(cause.position);
                }
                (Err(_), Hand::Looks) => {}
                (Ok(_), _) => {
                    state.hands.failed.remove(&cause.position);
                    state.hands.undone.remove(&cause.position);
                }
            }
            return Ok(tried);
        }
    }

    /// What this node does with causes now. One that begins to lead goes on at the others' last checkpoint.
    async fn hand(&self, state: &mut Progress) -> Result<Hand, CommandError> {
        let leading = &self.shared.leading;
        let leads = leading.leads().await?;
        if leads && !state.hands.led && leading.is_shared() {
            state.checkpoint_at = state.checkpoint_at.max(self.last_checkpoint().await?);
        }
        state.hands.led = leads;
        Ok(if leads { Hand::Does } else { Hand::Looks })
    }

    /// When the last checkpoint was.
    async fn last_checkpoint(&self) -> Result<Timestamp, CommandError> {
        let stream = stream_name(CASES_STREAM);
        let head = self.shared.store.head(&stream).await?;
        let Some(head) = head else {
            return Ok(Timestamp::EPOCH);
        };
        let last = self.shared.store.read_one(&stream, head.version).await?;
        Ok(last.map_or(Timestamp::EPOCH, |last| Timestamp(last.at_ms())))
    }

    async fn tried_by(
        &self,
        hand: Hand,
        state: &mut Progress,
        stream: &StreamName,
        cause: Cause,
    ) -> Result<Option<RecordedEvent>, Trouble> {
        let read = self.shared.store.read_one(stream, cause.version).await;
        let Some(record) = read.map_err(|error| Trouble::Passing(error.into()))? else {
            return Ok(None);
        };
        let reached = self.handle(hand, &record).await?;
        state.effects = state.effects.max(reached);
        Ok(Some(record))
    }
}

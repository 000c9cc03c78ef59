//! A reading that goes on: history after a place, then what comes, without a gap, with what was looked at told from time
//! to time.
//!
//! First comes the confirmation; once history is told, [`Content::CaughtUp`]. With a filter a checkpoint follows every
//! window of events looked at, so that who resumes does not look at them again.

use std::collections::VecDeque;
use std::sync::Arc;

use event_store::{Direction, EventStore, Position, RecordedEvent, StreamFrom, StreamName};
use prost_types::Timestamp;
use tokio::sync::watch;
use tonic::Status;

use super::filter::Filter;
use super::messages::{self, Ids};
use super::streams::unread;
use super::{BLOCK_BYTES, BLOCK_EVENTS, BLOCK_UNBOUNDED_EVENTS, Numbering};
use crate::proto::event_store::client::streams::ReadResp;
use crate::proto::event_store::client::streams::read_resp::{
    CaughtUp, Checkpoint, Content, Position as ToldPosition,
};

/// What is followed, and up to where it was told.
pub(super) enum Followed {
    /// The whole log.
    All {
        after: Position,
        filter: Option<Filter>,
        /// Looked at since the last checkpoint.
        looked_at: u64,
    },
    /// A stream, with the version told last.
    Stream { name: StreamName, told: Option<u64> },
}

/// A subscription on its way.
pub(super) struct Subscription {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) changes: watch::Receiver<Position>,
    /// How far may be seen, where faults say so.
    pub(super) seen: Option<watch::Receiver<Option<Position>>>,
    pub(super) numbering: Numbering,
    pub(super) ids: Ids,
    pub(super) followed: Followed,
    pub(super) caught_up: bool,
    pub(super) waiting: VecDeque<ReadResp>,
}

impl Subscription {
    /// The next message; none when the store ends.
    pub(super) async fn next(&mut self) -> Result<Option<ReadResp>, Status> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            self.changes.borrow_and_update();
            if self.block().await? {
                continue;
            }
            if !self.caught_up {
                self.caught_up = true;
                self.tell_caught_up();
                continue;
            }
            let changed = match &mut self.seen {
                Some(seen) => tokio::select! {
                    changed = self.changes.changed() => changed,
                    changed = seen.changed() => changed,
                },
                None => self.changes.changed().await,
            };
            changed.map_err(|_| Status::unavailable("the store has ended"))?;
        }
    }

    /// Reads what is next. Whether there was anything.
    async fn block(&mut self) -> Result<bool, Status> {
        let seen = self.seen.as_mut();
        let until = seen
            .and_then(|seen| *seen.borrow_and_update())
            .unwrap_or(Position(u64::MAX));
        match &mut self.followed {
            Followed::All {
                after,
                filter,
                looked_at,
            } => {
                let block = self.store.read_all(*after, BLOCK_EVENTS, BLOCK_BYTES).await;
                let mut block = block.map_err(|error| unread(&error))?;
                block.retain(|event| event.position() <= until);
                let any = !block.is_empty();
                for event in block {
                    *after = event.position();
                    let Some(filter) = filter.as_ref() else {
                        let message = messages::event(&event, self.numbering, self.ids);
                        self.waiting.push_back(message);
                        continue;
                    };
                    if filter.takes(&event)? {
                        let message = messages::event(&event, self.numbering, self.ids);
                        self.waiting.push_back(message);
                    }
                    *looked_at += 1;
                    if *looked_at >= filter.window {
                        *looked_at = 0;
                        let checkpoint = checkpoint(self.numbering, &event);
                        self.waiting.push_back(checkpoint);
                    }
                }
                Ok(any)
            }
            Followed::Stream { name, told } => {
                let from = told.map_or(StreamFrom::Start, |told| {
                    StreamFrom::Version(told.saturating_add(1))
                });
                let mut block = self
                    .store
                    .read_stream(name, from, Direction::Forward, BLOCK_UNBOUNDED_EVENTS)
                    .await
                    .map_err(|error| unread(&error))?;
                block.retain(|event| event.position() <= until);
                let any = !block.is_empty();
                for event in block {
                    *told = Some(event.version());
                    let message = messages::event(&event, self.numbering, self.ids);
                    self.waiting.push_back(message);
                }
                Ok(any)
            }
        }
    }

    fn tell_caught_up(&mut self) {
        let caught_up = match &self.followed {
            Followed::All { after, .. } => {
                let position = self.numbering.told(*after);
                CaughtUp {
                    timestamp: None,
                    stream_revision: None,
                    position: Some(ToldPosition {
                        commit_position: position,
                        prepare_position: position,
                    }),
                }
            }
            Followed::Stream { told, .. } => CaughtUp {
                timestamp: None,
                stream_revision: Some(
                    told.map_or(-1, |told| i64::try_from(told).unwrap_or(i64::MAX)),
                ),
                position: None,
            },
        };
        self.waiting
            .push_back(messages::content(Content::CaughtUp(caught_up)));
    }
}

fn checkpoint(numbering: Numbering, event: &RecordedEvent) -> ReadResp {
    let position = numbering.told(event.position());
    let recorded_at_ms = event.recorded_at_ms();
    messages::content(Content::Checkpoint(Checkpoint {
        commit_position: position,
        prepare_position: position,
        timestamp: Some(Timestamp {
            seconds: recorded_at_ms.div_euclid(1_000),
            nanos: i32::try_from(recorded_at_ms.rem_euclid(1_000) * 1_000_000).unwrap_or(0),
        }),
    }))
}

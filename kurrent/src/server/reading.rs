//! A reading that ends: of a stream or of the whole log, either way, from a place on, at most so many.
//!
//! Forward, the event at the place itself is the first told; backward from a position, the one before it, and backward from a
//! revision, that one itself: so the protocol has it. What came after it was asked is not in it.

use std::collections::VecDeque;
use std::sync::Arc;

use event_store::{Direction, EventStore, Position, RecordedEvent, StreamFrom, StreamName};
use tonic::Status;

use super::filter::Filter;
use super::messages::{self, Ids};
use super::streams::unread;
use super::{BLOCK_BYTES, BLOCK_EVENTS, BLOCK_UNBOUNDED_EVENTS, Numbering};
use crate::proto::event_store::client::streams::ReadResp;
use crate::proto::event_store::client::streams::read_resp::{Content, StreamNotFound};

/// A reading on its way.
pub(super) struct Reading {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) numbering: Numbering,
    pub(super) ids: Ids,
    /// How many are still to be told.
    pub(super) left: u64,
    /// Nothing beyond this position is told.
    pub(super) until: Position,
    pub(super) at: At,
    pub(super) waiting: VecDeque<ReadResp>,
}

/// Where a reading is.
pub(super) enum At {
    /// In the whole log, after a position.
    Forward {
        /// The event here is told first.
        at: Option<Position>,
        after: Position,
        filter: Option<Filter>,
    },
    /// In the whole log, before a position.
    Backward {
        before: Position,
        filter: Option<Filter>,
    },
    /// In a stream.
    Stream {
        name: StreamName,
        from: StreamFrom,
        direction: Direction,
        /// Nothing was read yet.
        first: bool,
    },
    /// At its end.
    Over,
}

/// Whether a reading asks for an event.
fn takes(filter: Option<&Filter>, event: &RecordedEvent) -> Result<bool, Status> {
    filter.map_or(Ok(true), |filter| filter.takes(event))
}

impl Reading {
    /// The next message; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<ReadResp>, Status> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            if self.left == 0 {
                return Ok(None);
            }
            match &self.at {
                At::Over => return Ok(None),
                At::Forward { .. } => self.forward().await?,
                At::Backward { .. } => self.backward().await?,
                At::Stream { .. } => self.stream().await?,
            }
        }
    }

    fn wanted(&self, most: usize) -> usize {
        usize::try_from(self.left).unwrap_or(most).clamp(1, most)
    }

    async fn forward(&mut self) -> Result<(), Status> {
        let At::Forward { at, after, filter } = &mut self.at else {
            return Ok(());
        };
        let block = match at.take() {
            Some(at) => self.store.read_at(at).await.map(Vec::from_iter),
            None => self.store.read_all(*after, BLOCK_EVENTS, BLOCK_BYTES).await,
        };
        let block = block.map_err(|error| unread(&error))?;
        let mut told = Vec::new();
        let mut over = block.is_empty();
        for event in block {
            if event.position() > self.until {
                over = true;
                break;
            }
            *after = event.position();
            if takes(filter.as_ref(), &event)? {
                told.push(event);
            }
        }
        if over {
            self.at = At::Over;
        }
        self.tell(told);
        Ok(())
    }

    async fn backward(&mut self) -> Result<(), Status> {
        let wanted = self.wanted(BLOCK_UNBOUNDED_EVENTS);
        let At::Backward { before, filter } = &mut self.at else {
            return Ok(());
        };
        let block = self.store.read_all_backward(*before, wanted).await;
        let block = block.map_err(|error| unread(&error))?;
        let mut told = Vec::new();
        let over = block.is_empty();
        for event in block {
            *before = event.position();
            if takes(filter.as_ref(), &event)? {
                told.push(event);
            }
        }
        if over {
            self.at = At::Over;
        }
        self.tell(told);
        Ok(())
    }

    async fn stream(&mut self) -> Result<(), Status> {
        let wanted = self.wanted(BLOCK_UNBOUNDED_EVENTS);
        let At::Stream {
            name,
            from,
            direction,
            first,
        } = &mut self.at
        else {
            return Ok(());
        };
        let block = self
            .store
            .read_stream(name, *from, *direction, wanted)
            .await;
        let mut block = block.map_err(|error| unread(&error))?;
        let ended = match (block.last(), *direction) {
            (None, _) => true,
            (Some(last), Direction::Forward) => {
                *from = StreamFrom::Version(last.version().saturating_add(1));
                false
            }
            (Some(last), Direction::Backward) => match last.version().checked_sub(1) {
                Some(version) => {
                    *from = StreamFrom::Version(version);
                    false
                }
                None => true,
            },
        };
        let all = block.len();
        block.retain(|event| event.position() <= self.until);
        let ended = ended || (*direction == Direction::Forward && block.len() < all);
        if ended && block.is_empty() {
            let head = self
                .store
                .head(name)
                .await
                .map_err(|error| unread(&error))?;
            match head.filter(|head| head.position <= self.until) {
                None if *first => {
                    let missing = StreamNotFound {
                        stream_identifier: Some(messages::stream(name.as_str())),
                    };
                    self.waiting
                        .push_back(messages::content(Content::StreamNotFound(missing)));
                }
                Some(head) if *direction == Direction::Forward => {
                    let last = Content::LastStreamPosition(head.version);
                    self.waiting.push_back(messages::content(last));
                }
                None | Some(_) => {}
            }
        }
        *first &= block.is_empty();
        if ended {
            self.at = At::Over;
        }
        self.tell(block);
        Ok(())
    }

    fn tell(&mut self, events: Vec<RecordedEvent>) {
        for event in events {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let message = messages::event(&event, self.numbering, self.ids);
            self.waiting.push_back(message);
        }
    }
}

//! A stream of the log: what comes after a position, from history into what happens, without a gap and nothing twice.
//!
//! History of the whole log and what comes live are the same blocks, read once for everybody who is at that place. Of one
//! stream history is read by versions, and what comes after it from the blocks. Filters take what the page takes. Where
//! the log is damaged everything before it is told, then the damage, and the stream is over. `reached` tells how far was
//! looked: once at the log's end, and with each heartbeat.

use std::sync::Arc;

use event_store::{Direction, Position, ReadError, RecordedEvent, StreamFrom, StreamName, damage};
use tokio::sync::watch;

use super::blocks::{BLOCK_EVENTS, Block};
use super::frames::{End, Form};
use super::session::{FRAME_BYTES, Frames, Session, Woken};
use crate::caller::ShownPosition;
use crate::damage::Broken;
use crate::event_filter::EventFilter;

/// Events of one stream read at once; each may be as large as an event can be.
const STREAM_EVENTS: usize = 64;

/// What is asked for.
pub(crate) struct Wanted {
    pub(crate) form: Form,
    pub(crate) filter: EventFilter,
    pub(crate) after: Position,
    /// Events at most.
    pub(crate) limit: usize,
}

/// A stream of the log.
pub(crate) struct Follower {
    session: Session,
    form: Form,
    filter: EventFilter,
    /// What was asked for up to here was told.
    at: Position,
    left: usize,
    /// Events that are at hand, and how many of them were looked at.
    block: Option<(Arc<Block>, usize)>,
    /// While history of one stream is read: the version to go on from.
    version: Option<u64>,
    at_once: usize,
    tip: watch::Receiver<Position>,
    began: bool,
    /// It was told that the log's end is reached.
    told_end: bool,
}

/// What reading came to.
enum Found {
    /// There are events at hand.
    Some,
    /// There are none yet.
    None,
}

impl Follower {
    /// The stream; it reads nothing before it is asked for the first frame.
    pub(crate) fn new(session: Session, wanted: Wanted) -> Self {
        let tip = session.shared().following.tip();
        Self {
            session,
            form: wanted.form,
            at: wanted.after,
            left: wanted.limit,
            block: None,
            version: wanted.filter.stream().map(|_| 0),
            filter: wanted.filter,
            at_once: BLOCK_EVENTS,
            tip,
            began: false,
            told_end: false,
        }
    }

    /// Writes what is at hand, as much as a frame takes.
    fn write(&mut self, frame: &mut Vec<u8>) {
        let Some((block, looked_at)) = &mut self.block else {
            return;
        };
        let log_id = self.session.shared().store.log_id();
        while let Some(held) = block.events.get(*looked_at) {
            if frame.len() >= FRAME_BYTES || self.left == 0 {
                return;
            }
            *looked_at += 1;
            let position = held.event.position();
            if position <= self.at {
                continue;
            }
            self.at = position;
            if self.filter.takes(&held.event) {
                let json = held.json(log_id);
                self.form
                    .event(position.0, held.event.event_type(), json, frame);
                self.left -= 1;
            }
        }
        self.block = None;
    }

    /// Finds what comes next.
    async fn find(&mut self) -> Result<Found, ReadError> {
        loop {
            let block = if let Some(version) = self.version {
                self.of_stream(version).await
            } else {
                let blocks = &self.session.shared().following.blocks;
                blocks.after(self.at, self.at_once).await
            };
            match block {
                Ok(Some(block)) => {
                    self.block = Some((block, 0));
                    return Ok(Found::Some);
                }
                // The history of one stream is over; what comes is in the blocks.
                Ok(None) if self.version.take().is_some() => {}
                Ok(None) => return Ok(Found::None),
                Err(error) => match damage::fewer(self.at_once) {
                    Some(less) if matches!(error, ReadError::Damaged { .. }) => self.at_once = less,
                    _ => return Err(error),
                },
            }
        }
    }

    /// The next events of the stream that is asked for; none at its end, up to which then all is told.
    async fn of_stream(&mut self, version: u64) -> Result<Option<Arc<Block>>, ReadError> {
        let Some(stream) = self.filter.stream().cloned() else {
            return Ok(None);
        };
        let store = Arc::clone(&self.session.shared().store);
        // What becomes durable after this is found in the blocks.
        let end = store.durable_position();
        let from = if version == 0 {
            first_after(&*store, &stream, self.at).await?
        } else {
            Some(version)
        };
        let events = match from {
            Some(version) => {
                let at_once = self.at_once.min(STREAM_EVENTS);
                let from = StreamFrom::Version(version);
                store
                    .read_stream(&stream, from, Direction::Forward, at_once)
                    .await?
            }
            None => Vec::new(),
        };
        let Some(last) = events.last().map(RecordedEvent::version) else {
            self.at = self.at.max(end);
            return Ok(None);
        };
        self.version = Some(last.saturating_add(1));
        Ok(Block::of(self.at, events))
    }

    async fn broken(&mut self, error: &ReadError, frame: &mut Vec<u8>) {
        let shared = self.session.shared();
        let broken = Broken::of(error, &*shared.store, &shared.damage, self.at).await;
        self.form.error(&broken, frame);
        self.session.end();
    }

    fn end(&mut self, end: &End, frame: &mut Vec<u8>) {
        self.form.end(end, frame);
        self.session.end();
    }

    fn reached(&mut self, frame: &mut Vec<u8>) {
        self.form.reached(&ShownPosition::Number(self.at.0), frame);
    }
}

impl Frames for Follower {
    async fn next(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        if !self.began {
            self.began = true;
            self.form.beginning(&mut frame);
        }
        loop {
            match self.session.due() {
                Woken::Came(()) => {}
                Woken::Beat => self.reached(&mut frame),
                Woken::Over(end) => {
                    self.end(&end, &mut frame);
                    return frame;
                }
            }
            self.write(&mut frame);
            if self.left == 0 {
                self.end(&End::LIMIT, &mut frame);
            }
            if frame.len() >= FRAME_BYTES || self.session.is_over() {
                return frame;
            }
            if self.block.is_some() {
                continue;
            }
            match self.find().await {
                Ok(Found::Some) => continue,
                Ok(Found::None) => {}
                Err(error) => {
                    self.broken(&error, &mut frame).await;
                    return frame;
                }
            }
            if !self.told_end {
                self.told_end = true;
                self.reached(&mut frame);
            }
            if !frame.is_empty() {
                return frame;
            }
            let (at, mut tip) = (self.at, self.tip.clone());
            match self.session.wait(tip.wait_for(|tip| *tip > at)).await {
                Woken::Came(_) => {}
                Woken::Beat => self.reached(&mut frame),
                Woken::Over(end) => self.end(&end, &mut frame),
            }
            if !frame.is_empty() {
                return frame;
            }
        }
    }

    fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// The version of a stream's first event after a position; none where there is none yet.
async fn first_after(
    store: &dyn event_store::EventStore,
    stream: &StreamName,
    after: Position,
) -> Result<Option<u64>, ReadError> {
    let Some(head) = store.head(stream).await? else {
        return Ok(None);
    };
    if head.position <= after {
        return Ok(None);
    }
    let (mut low, mut high) = (0, head.version);
    while low < high && after > Position::START {
        let middle = low + (high - low) / 2;
        match store.read_one(stream, middle).await? {
            Some(event) if event.position() <= after => low = middle + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(Some(low))
}

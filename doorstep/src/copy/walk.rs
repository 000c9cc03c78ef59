//! A log read once from its beginning to the end that it had when it was opened, event by event, with a digest of it all.
//!
//! Promise: both ends of a copy are read by this code, so that equal digests mean equal logs. The digest is the SHA-256 of
//! the canonical bytes of the events one after the other, in the order of the log. Streams of other categories than the
//! log's are left out and counted. Where `recorded_at` falls from one event to the next, as it may on a cluster, it is taken
//! to be that of the event before, and counted: a log of our own has no falling times.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::bail;
use event_store::{EventStore, Position, ReadError, RecordedEvent, StreamName};
use sha2::{Digest as _, Sha256};

use super::progress::Patience;
use crate::log::CATEGORIES;

/// Events and bytes of one reading.
const BLOCK_EVENTS: usize = 4096;
const BLOCK_BYTES: usize = 1024 * 1024;

/// A log on its way through.
pub(crate) struct Walk {
    /// None while nobody may be kept from writing to it.
    store: Option<Arc<dyn EventStore>>,
    patience: Patience,
    after: Position,
    until: Position,
    block: VecDeque<RecordedEvent>,
    recorded_at_ms: i64,
    /// The canonical bytes of the last event.
    canonical: Vec<u8>,
    digest: Sha256,
    events: u64,
    left_out: u64,
    raised: u64,
}

impl Walk {
    /// From the log's beginning to its end as it is known now.
    pub(crate) fn over(store: Arc<dyn EventStore>, patience: Patience) -> Self {
        let until = store.durable_position();
        Self {
            store: Some(store),
            patience,
            after: Position::START,
            until,
            block: VecDeque::new(),
            recorded_at_ms: i64::MIN,
            canonical: Vec::with_capacity(512),
            digest: Sha256::new(),
            events: 0,
            left_out: 0,
            raised: 0,
        }
    }

    /// Lets the log go, so that it can be opened anew.
    pub(crate) fn let_go(&mut self) {
        self.store = None;
    }

    /// Goes on in the same log, to where it ends now.
    pub(crate) fn go_on(&mut self, store: Arc<dyn EventStore>) {
        self.until = store.durable_position();
        self.store = Some(store);
    }

    /// The next event; none at the end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<RecordedEvent>> {
        loop {
            let Some(event) = self.block.pop_front() else {
                if self.read().await? {
                    continue;
                }
                return Ok(None);
            };
            self.after = event.position();
            let Ok(stream) = StreamName::new(event.stream()) else {
                bail!("an event at position {} has no stream", event.position());
            };
            if !CATEGORIES.contains(&stream.category()) {
                self.left_out += 1;
                continue;
            }
            let event = self.levelled(&stream, event);
            self.canonical.clear();
            event.canonical_bytes(&mut self.canonical);
            self.digest.update(&self.canonical);
            self.events += 1;
            return Ok(Some(event));
        }
    }

    /// The event with a time of recording that does not fall.
    fn levelled(&mut self, stream: &StreamName, event: RecordedEvent) -> RecordedEvent {
        if event.recorded_at_ms() >= self.recorded_at_ms {
            self.recorded_at_ms = event.recorded_at_ms();
            return event;
        }
        self.raised += 1;
        RecordedEvent::record(
            event.position(),
            self.recorded_at_ms,
            stream,
            event.version(),
            &event.to_new(),
        )
    }

    /// Reads on. Whether there was more.
    async fn read(&mut self) -> anyhow::Result<bool> {
        while self.after < self.until {
            let Some(store) = &self.store else { break };
            let block = store.read_all(self.after, BLOCK_EVENTS, BLOCK_BYTES);
            match block.await {
                Ok(events) => {
                    self.patience.answered();
                    if events.is_empty() {
                        bail!(
                            "the log ends at position {}, and it was told to reach {}",
                            self.after,
                            self.until
                        );
                    }
                    self.block.extend(events);
                    self.block.retain(|event| event.position() <= self.until);
                    return Ok(!self.block.is_empty());
                }
                Err(ReadError::Unavailable { why }) => self.patience.wait(&why).await?,
                Err(
                    error @ (ReadError::Closed
                    | ReadError::Damaged { .. }
                    | ReadError::Io { .. }
                    | ReadError::Foreign { .. }),
                ) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// The canonical bytes of the event that came last.
    pub(crate) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// How far it has come.
    pub(crate) fn position(&self) -> Position {
        self.after
    }

    /// How many events have come.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// How many were left out: they are in other streams than the log's.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many have a later time of recording than they were told with.
    pub(crate) fn raised(&self) -> u64 {
        self.raised
    }

    /// The digest of all events that have come.
    pub(crate) fn digest(&self) -> String {
        use std::fmt::Write as _;
        let digest = self.digest.clone().finalize();
        digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

//! Appends the events of another log, one after the other in their order, at exactly the versions that they have there.
//!
//! Promise: what stands in the target is at every moment a beginning of the source, whatever ends the process: an append is
//! begun only when the place of the one before it is fixed. Neighbours of one stream go in one append, within the store's
//! bounds. An append whose answer was lost is made again: its ids and its version tell the store that it is the same.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use event_store::{
    Append, AppendError, EventStore, ExpectedVersion, NewEvent, Position, RecordedEvent,
    StreamName, bounds,
};

use super::progress::Patience;

/// Events on their way into a log.
pub(crate) struct Laying {
    store: Arc<dyn EventStore>,
    place: String,
    patience: Patience,
    group: Option<Group>,
    last: Position,
}

/// Neighbours of one stream.
struct Group {
    stream: StreamName,
    first_version: u64,
    events: Vec<NewEvent>,
    recorded_at_ms: Vec<i64>,
    bytes: usize,
}

impl Laying {
    /// Into this store.
    pub(crate) fn into(store: Arc<dyn EventStore>, place: String, patience: Patience) -> Self {
        Self {
            last: store.durable_position(),
            store,
            place,
            patience,
            group: None,
        }
    }

    /// Takes the next event.
    pub(crate) async fn take(&mut self, event: &RecordedEvent) -> anyhow::Result<()> {
        let new = event.to_new();
        if let Some(group) = &mut self.group
            && group.takes(event, &new)
        {
            group.add(event, new);
            return Ok(());
        }
        self.flush().await?;
        let stream = StreamName::new(event.stream())?;
        let mut group = Group {
            stream,
            first_version: event.version(),
            events: Vec::new(),
            recorded_at_ms: Vec::new(),
            bytes: 0,
        };
        group.add(event, new);
        self.group = Some(group);
        Ok(())
    }

    /// Appends what is on its way, and waits until all is durable.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        self.flush().await?;
        self.store
            .wait_durable(self.last)
            .await
            .with_context(|| self.again())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        let append = Append {
            stream: group.stream,
            expected: ExpectedVersion::of(group.first_version.checked_sub(1)),
            events: group.events,
            reads: Vec::new(),
        };
        loop {
            let times = group.recorded_at_ms.clone();
            match self.store.append_recorded(append.clone(), times).await {
                Ok(ticket) => {
                    self.patience.answered();
                    self.last = self.last.max(ticket.last_position);
                    return Ok(());
                }
                Err(AppendError::Unavailable { why } | AppendError::Unanswered { why }) => {
                    self.patience.wait(&why).await?;
                }
                Err(error @ AppendError::WrongVersion { .. }) => bail!(
                    "somebody else writes to {}: {error}; a copy needs a log of its own, begin it anew elsewhere",
                    self.place
                ),
                Err(AppendError::Unfit { what }) => bail!(
                    "{} does not take events {} and on of {}: {what}",
                    self.place,
                    group.first_version,
                    append.stream
                ),
                Err(
                    error @ (AppendError::TooLarge { .. }
                    | AppendError::Empty
                    | AppendError::StorageFull
                    | AppendError::Closed
                    | AppendError::Read(_)),
                ) => return Err(error).with_context(|| self.again()),
            }
        }
    }

    fn again(&self) -> String {
        format!(
            "the copy into {} stopped; run the same command again to go on",
            self.place
        )
    }
}

impl Group {
    fn takes(&self, event: &RecordedEvent, new: &NewEvent) -> bool {
        let count = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        event.stream() == self.stream.as_str()
            && Some(event.version()) == self.first_version.checked_add(count)
            && self.events.len() < bounds::APPEND_EVENTS_MAX
            && self.bytes + new.counted_bytes() <= bounds::APPEND_BYTES_MAX
    }

    fn add(&mut self, event: &RecordedEvent, new: NewEvent) {
        self.bytes += new.counted_bytes();
        self.events.push(new);
        self.recorded_at_ms.push(event.recorded_at_ms());
    }
}

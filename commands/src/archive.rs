//! The command ids of a whole log, for `import`: known without any window, whatever the index has dropped.
//!
//! Sixteen bytes an id: a part of its hash, and the position before its first event, from where that is read again. It
//! is made at the start of an import, by one pass over the headers, and lives as long as it.

use event_store::{EventStore, Position, ReadError, RecordedEvent, StreamName};
use uuid::Uuid;

use crate::ids::mark_of;
use crate::index::is_clients;

/// Events and bytes read at once.
const PAGE_EVENTS: usize = 8192;
const PAGE_BYTES: usize = 8 << 20;

/// The ids, sorted.
pub(crate) struct Archive {
    ids: Vec<(u64, u64)>,
}

impl Archive {
    /// Reads the log up to its durable end.
    pub(crate) async fn read(store: &dyn EventStore) -> Result<Self, ReadError> {
        let mut ids = Vec::new();
        let mut before = Position::START;
        let mut last = Uuid::nil();
        loop {
            let page = store.read_all(before, PAGE_EVENTS, PAGE_BYTES).await?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                let id = record.correlation_id();
                if id != last && is_clients(record.event_type()) {
                    ids.push((mark_of(id), before.0));
                    last = id;
                }
                before = record.position();
            }
        }
        ids.sort_unstable();
        Ok(Self { ids })
    }

    /// The first event of the command with this id, if the log had it.
    pub(crate) async fn find(
        &self,
        store: &dyn EventStore,
        id: Uuid,
    ) -> Result<Option<(StreamName, RecordedEvent)>, ReadError> {
        let mark = mark_of(id);
        let from = self.ids.partition_point(|(held, _)| *held < mark);
        for (_, before) in self
            .ids
            .iter()
            .skip(from)
            .take_while(|(held, _)| *held == mark)
        {
            let page = store.read_all(Position(*before), 1, 1).await?;
            if let Some(record) = page.into_iter().next()
                && record.correlation_id() == id
                && let Ok(stream) = StreamName::new(record.stream())
            {
                return Ok(Some((stream, record)));
            }
        }
        Ok(None)
    }
}

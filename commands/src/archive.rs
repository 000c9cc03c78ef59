//! The command ids of a whole log, for `import`: known without any window, whatever the index has dropped.
//!
//! Sixteen bytes an id: a part of its hash, and the position before its first event, from where that is read again. It
//! is made at the start of an import, by one pass over the headers, and lives as long as it. What timers and steps left
//! on the way to a command stands in front of its first event and belongs to it; at the end of the log it belongs to a
//! command that a killed run did not come to.

use domain::codec;
use event_store::{EventStore, Position, ReadError, RecordedEvent, StreamName};
use uuid::Uuid;

use crate::ids::mark_of;
use crate::index::is_clients;

/// Events and bytes read at once.
const PAGE_EVENTS: usize = 8192;
const PAGE_BYTES: usize = 8 << 20;

/// Whether timers append this type, in whatever version.
pub(crate) fn is_timed(event_type: &str) -> bool {
    matches!(
        codec::name(event_type),
        "suspension-ended"
            | "claim-lapsed"
            | "restriction-ended"
            | "case-closed"
            | "report-limit-ended"
    )
}

/// The ids, sorted.
pub(crate) struct Archive {
    ids: Vec<(u64, u64)>,
    /// Where a command's way began, for those that have one: the positions before its first event, and before its way.
    ways: Vec<(u64, u64)>,
    /// Where the way began that ends the log.
    unfinished: Option<Position>,
}

/// Where a command's first event stands.
pub(crate) struct Found {
    pub(crate) stream: StreamName,
    pub(crate) record: RecordedEvent,
    /// Just before what it left, what its steps left, and what the timers in front of it did.
    pub(crate) before: Position,
}

/// What a command left in the log.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// Its first event.
    pub position: Position,
    /// The last event before what it left, with its steps and the timers that fired before it.
    pub before: Position,
    /// Its content, as [`Envelope::ids`](crate::Envelope::ids) tells it.
    pub content: Uuid,
}

impl Archive {
    /// Reads the log up to its durable end.
    pub(crate) async fn read(store: &dyn EventStore) -> Result<Self, ReadError> {
        let (mut ids, mut ways) = (Vec::new(), Vec::new());
        let mut way = None;
        let mut before = Position::START;
        let mut last = Uuid::nil();
        loop {
            let page = store.read_all(before, PAGE_EVENTS, PAGE_BYTES).await?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                let id = record.correlation_id();
                if is_clients(record) {
                    if id != last {
                        ids.push((mark_of(id), before.0));
                        ways.extend(way.map(|way: Position| (before.0, way.0)));
                    }
                    last = id;
                    way = None;
                } else if comes_before(record) {
                    way.get_or_insert(before);
                } else {
                    way = None;
                }
                before = record.position();
            }
        }
        ids.sort_unstable();
        Ok(Self {
            ids,
            ways,
            unfinished: way,
        })
    }

    /// Just before the timers and steps that end the log, if any do.
    pub(crate) fn unfinished(&self) -> Option<Position> {
        self.unfinished
    }

    /// Just before the way to the command whose first event follows this position.
    fn before(&self, first: u64) -> Position {
        match self.ways.binary_search_by_key(&first, |(first, _)| *first) {
            Ok(index) => Position(self.ways.get(index).map_or(first, |(_, way)| *way)),
            Err(_) => Position(first),
        }
    }

    /// The first event of the command with this id, if the log had it.
    pub(crate) async fn find(
        &self,
        store: &dyn EventStore,
        id: Uuid,
    ) -> Result<Option<Found>, ReadError> {
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
                return Ok(Some(Found {
                    stream,
                    record,
                    before: self.before(*before),
                }));
            }
        }
        Ok(None)
    }
}

/// Whether events of this type lead to the command after them: what time ended, or a step.
fn comes_before(record: &RecordedEvent) -> bool {
    // An appeal's decision closes its case by itself.
    is_timed(record.event_type()) && record.actor().starts_with("timer/")
        || matches!(
            codec::name(record.event_type()),
            "request-slot-taken" | "report-counted"
        )
}

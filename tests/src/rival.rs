//! A store in which somebody else is faster: before an append to one stream an event of theirs takes its place.
//!
//! Everything is the real store's: the rival's event is appended to it, and the mismatch is its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use event_store::{Append, Direction, EventStore, ExpectedVersion, StreamFrom, StreamName};
use uuid::Uuid;

use crate::commands::copy_of;
use crate::front::{Front, Fronted};

/// A store with a rival on one stream.
pub struct Rival {
    stream: StreamName,
    times: AtomicU32,
}

impl Rival {
    /// A store whose next appends to a stream that has events lose so many times.
    pub fn over(store: Arc<dyn EventStore>, stream: &str, times: u32) -> Arc<Fronted<Self>> {
        let rival = Self {
            stream: StreamName::new(stream).unwrap(),
            times: AtomicU32::new(times),
        };
        Fronted::over(store, rival)
    }

    /// Says again what the stream's last event said, as an event of its own.
    async fn be_faster(&self, store: &dyn EventStore) {
        let last = store
            .read_stream(&self.stream, StreamFrom::End, Direction::Backward, 1)
            .await
            .unwrap();
        let mut event = copy_of(&last[0]);
        let version = last[0].version();
        event.event_id = Uuid::from_u64_pair(9, version);
        event.correlation_id = Uuid::from_u64_pair(8, version);
        let append = Append {
            stream: self.stream.clone(),
            expected: ExpectedVersion::Exact(version),
            events: vec![event],
            reads: Vec::new(),
        };
        let ticket = store.append(append).await.unwrap();
        ticket.durable().await.unwrap();
    }
}

#[async_trait]
impl Front for Rival {
    async fn before(&self, behind: &dyn EventStore, append: &Append) {
        let less = |times: u32| times.checked_sub(1);
        if append.stream == self.stream
            && self
                .times
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok()
        {
            self.be_faster(behind).await;
        }
    }
}

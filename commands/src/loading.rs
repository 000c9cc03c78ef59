//! Readings of the log beside the workers and beside the runtime's own threads.
//!
//! Promise: whatever waits for the disk waits on a thread of its own, so that neither a worker nor a caller who asks for
//! something else waits with it. Only so many read at once; what is beyond waits in the order it came, without a thread.
//! What is read, and what comes of it, is the caller's.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Readings at once: enough to keep a disk busy, few beside the threads of the process.
pub const READINGS_MAX: usize = 32;

/// The bound of readings.
pub(crate) struct Loading {
    places: Arc<Semaphore>,
}

impl Loading {
    /// Nothing is being read.
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(READINGS_MAX)),
        }
    }

    /// Does work that reads, beside whoever calls. The work itself tells what came of it.
    pub(crate) fn aside(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            run(place, work);
            return;
        }
        let places = Arc::clone(&self.places);
        tokio::spawn(async move {
            // The places are never closed.
            if let Ok(place) = places.acquire_owned().await {
                run(place, work);
            }
        });
    }

    /// Does work that reads, and waits for what comes of it; none where the runtime ends meanwhile.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        self.aside(async move {
            // Who asked may have gone away.
            let _ = sender.send(work.await);
        });
        result.await.ok()
    }
}

fn run(place: OwnedSemaphorePermit, work: impl Future<Output = ()> + Send + 'static) {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        runtime.block_on(work);
        drop(place);
    });
}

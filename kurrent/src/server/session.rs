//! What every stream of messages shares, whatever it tells: its place, its end by the server, its end with its token.
//!
//! Promise: a stream outlives its token by no more than the time between two looks at it; one that goes on ends when the
//! server stops, one with an end is told to it. How many there are is bounded, and counted.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tonic::Status;

use super::access::Entered;
use super::faults::{Ending, Faults};

/// Messages on their way out.
pub(super) type Told<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The places that streams of one kind have.
pub(super) struct Places {
    free: Arc<Semaphore>,
    open: Gauge,
    told: Counter,
}

/// A stream's place.
pub(super) struct Place {
    open: Gauge,
    told: Counter,
    _taken: OwnedSemaphorePermit,
}

impl Places {
    /// So many, which are counted as these.
    pub(super) fn new(most: usize, of: &'static str) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            open: gauge!("doorstep_kurrent_open_count", "of" => of),
            told: counter!("doorstep_kurrent_messages_total", "of" => of),
        }
    }

    /// Lets the series begin.
    pub(super) fn begin(&self) {
        self.open.increment(0);
        self.told.increment(0);
    }

    /// One of them.
    pub(super) fn take(&self) -> Result<Place, Status> {
        let taken = Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted("as many as this server takes at once; try again later")
        })?;
        self.open.increment(1);
        Ok(Place {
            open: self.open.clone(),
            told: self.told.clone(),
            _taken: taken,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}

/// What ends a stream that did not end by itself.
pub(super) struct Bounds {
    pub(super) entered: Entered,
    /// Between two looks at the token.
    pub(super) recheck: Duration,
    /// Whether the server stops; for what has an end of its own, none.
    pub(super) stopping: Option<watch::Receiver<bool>>,
    pub(super) faults: Option<Arc<Faults>>,
}

struct Session<T> {
    told: Told<T>,
    bounds: Bounds,
    due: Instant,
    endings: Option<watch::Receiver<(u64, Ending)>>,
    over: bool,
    place: Place,
}

/// These messages, within bounds.
pub(super) fn within<T: Send + 'static>(told: Told<T>, place: Place, bounds: Bounds) -> Told<T> {
    let session = Session {
        told,
        due: Instant::now() + bounds.recheck,
        endings: bounds.faults.as_ref().map(|faults| faults.endings()),
        bounds,
        over: false,
        place,
    };
    Box::pin(futures::stream::unfold(session, async |mut session| {
        let next = session.next().await?;
        session.over = next.is_err();
        if next.is_ok() {
            session.place.told.increment(1);
        }
        Some((next, session))
    }))
}

impl<T> Session<T> {
    async fn next(&mut self) -> Option<Result<T, Status>> {
        if self.over {
            return None;
        }
        loop {
            tokio::select! {
                biased;
                () = stopped(self.bounds.stopping.as_mut()) => {
                    return Some(Err(Status::unavailable("the server stops")));
                }
                ending = ended(self.endings.as_mut()) => return ending.map(Err),
                () = tokio::time::sleep_until(self.due) => {
                    if let Err(refused) = self.bounds.entered.still() {
                        return Some(Err(refused));
                    }
                    self.due = Instant::now() + self.bounds.recheck;
                }
                next = self.told.next() => {
                    let faults = self.bounds.faults.as_ref();
                    if faults.is_some_and(|faults| faults.is_last()) {
                        return Some(Err(Status::unavailable("the connection has gone")));
                    }
                    return next;
                }
            }
        }
    }
}

/// Done when the server stops.
async fn stopped(stopping: Option<&mut watch::Receiver<bool>>) {
    match stopping {
        // Nobody is left to say so: it stopped.
        Some(stopping) => drop(stopping.wait_for(|stopping| *stopping).await),
        None => std::future::pending().await,
    }
}

/// Done when a fault ends all streams, with what it is told as.
async fn ended(endings: Option<&mut watch::Receiver<(u64, Ending)>>) -> Option<Status> {
    let Some(endings) = endings else {
        return std::future::pending().await;
    };
    if endings.changed().await.is_err() {
        return std::future::pending().await;
    }
    let (_, ending) = *endings.borrow_and_update();
    match ending {
        Ending::Unavailable => Some(Status::unavailable("the connection has gone")),
        Ending::Quiet => None,
    }
}

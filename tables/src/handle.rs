//! What the program holds of running views: snapshots to read, positions to wait for, how each view is, the stop.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, Position};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::care::Care;
use crate::feed::Feed;
use crate::letters;
use crate::names::is_marked;
use crate::status::{Published, Shared};
use crate::versions::beside;
use crate::{Letter, Reader, Status, ViewState, WaitError};

/// How often a waiting writer looks whether there is room.
const ROOM_POLL: Duration = Duration::from_millis(5);

/// A view's file could not be closed durably; it goes on from its last durable checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not all views were closed durably: {0}")]
pub struct StopError(pub(crate) String);

pub(crate) struct Inner {
    pub(crate) views: Vec<ViewHandle>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) stopped: watch::Receiver<Option<Result<(), StopError>>>,
    /// Its sender goes when nothing reads the log any more.
    pub(crate) read: watch::Receiver<()>,
    pub(crate) unapplied_events_max: u64,
    pub(crate) care: Care,
}

/// Without a handle nobody can read the views, so they stop.
impl Drop for Inner {
    fn drop(&mut self) {
        self.care.cancel();
        self.feed.stop();
    }
}

/// A running set of views; cheap to clone. The views stop when the last clone goes.
#[derive(Clone)]
pub struct RunnerHandle {
    pub(crate) inner: Arc<Inner>,
}

impl RunnerHandle {
    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The view of that name.
    pub fn view(&self, name: &str) -> Option<ViewHandle> {
        self.inner
            .views
            .iter()
            .find(|view| view.name() == name)
            .cloned()
    }

    /// All views, in the order they were given.
    pub fn views(&self) -> &[ViewHandle] {
        &self.inner.views
    }

    /// Waits until `view` has applied `position`.
    pub async fn wait(
        &self,
        view: &str,
        position: Position,
        within: Duration,
    ) -> Result<(), WaitError> {
        let view = self
            .view(view)
            .ok_or_else(|| WaitError::UnknownView(view.to_owned()))?;
        view.wait(position, within).await
    }

    /// Waits until all views have applied `position`.
    pub async fn wait_all(&self, position: Position, within: Duration) -> Result<(), WaitError> {
        let until = tokio::time::Instant::now() + within;
        for view in &self.inner.views {
            view.wait(
                position,
                until.saturating_duration_since(tokio::time::Instant::now()),
            )
            .await?;
        }
        Ok(())
    }

    /// Waits until all views have caught up with the log; an error as soon as one stops.
    pub async fn wait_live(&self, within: Duration) -> Result<(), WaitError> {
        let until = tokio::time::Instant::now() + within;
        for view in &self.inner.views {
            view.wait_live(until.saturating_duration_since(tokio::time::Instant::now()))
                .await?;
        }
        Ok(())
    }

    /// The last event that `view` has applied.
    pub fn applied(&self, view: &str) -> Option<Position> {
        self.view(view).map(|view| view.applied())
    }

    /// How each view is, for readiness and metrics.
    pub fn states(&self) -> Vec<Status> {
        self.inner.views.iter().map(ViewHandle::status).collect()
    }

    /// How far the slowest view that follows the log live is behind it. Views that are built, catch up or have
    /// stopped do not count.
    pub fn lag_events(&self) -> u64 {
        self.inner
            .views
            .iter()
            .map(ViewHandle::live_lag)
            .max()
            .unwrap_or(0)
    }

    /// Waits until the live views have fewer unapplied events than their bound; counts each wait. A view that is
    /// built, catches up or has stopped keeps no writer waiting.
    pub async fn room(&self) {
        if self.lag_events() < self.inner.unapplied_events_max {
            return;
        }
        metrics::counter!("doorstep_view_room_waits_total").increment(1);
        while self.lag_events() >= self.inner.unapplied_events_max {
            tokio::time::sleep(ROOM_POLL).await;
        }
    }

    /// Finishes the batch at hand, makes every view's checkpoint durable, closes the files, lets go of the store but
    /// for what handles hold. Later calls wait for the
    /// same end.
    pub async fn stop(&self) -> Result<(), StopError> {
        self.inner.feed.stop();
        self.inner.care.end().await;
        let mut stopped = self.inner.stopped.clone();
        while self.inner.read.clone().changed().await.is_ok() {}
        match stopped.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            Err(_) => Err(StopError("the applying thread ended".to_owned())),
        }
    }
}

/// One running view; cheap to clone. Does not keep the runner going.
#[derive(Clone)]
pub struct ViewHandle {
    shared: Arc<Shared>,
    store: Arc<dyn EventStore>,
    feed: Arc<Feed>,
}

impl ViewHandle {
    pub(crate) fn new(shared: Arc<Shared>, store: Arc<dyn EventStore>, feed: Arc<Feed>) -> Self {
        Self {
            shared,
            store,
            feed,
        }
    }

    /// The view's name.
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// Where its file is served from; none in memory.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.shared.path.lock().clone()
    }

    /// Whether it was taken back from that version, and stays so.
    pub(crate) fn is_taken_back(&self, newest: u32) -> bool {
        self.path()
            .is_some_and(|path| is_marked(&beside(&path, self.name(), newest)))
    }

    /// The version whose rows are served, or are built where none are.
    pub fn version(&self) -> u32 {
        self.shared.published.borrow().version
    }

    /// The last event in the view's committed rows.
    pub fn applied(&self) -> Position {
        self.shared.published.borrow().applied
    }

    /// A snapshot of the view as it stands, also of a stopped one; an error while it is built or once it is closed.
    pub fn reader(&self) -> Result<Reader, WaitError> {
        let published = self.shared.published.borrow();
        match (&published.reader, &published.state) {
            (Some(reader), _) => Ok(reader.clone()),
            (
                None,
                ViewState::Stopped {
                    position, cause, ..
                },
            ) => Err(WaitError::Stopped {
                view: self.name(),
                position: *position,
                cause: cause.clone(),
            }),
            (None, ViewState::Closed) => Err(WaitError::Closed),
            (None, ViewState::Building | ViewState::CatchingUp | ViewState::Live) => {
                Err(WaitError::Building {
                    view: self.name(),
                    applied: published.applied,
                })
            }
        }
    }

    /// Waits until `position` is in the rows that [`Self::reader`] gives.
    pub async fn wait(&self, position: Position, within: Duration) -> Result<(), WaitError> {
        self.until(within, |published| {
            published.applied >= position && published.reader.is_some()
        })
        .await
    }

    /// Waits until the view has caught up with the log and follows it.
    pub async fn wait_live(&self, within: Duration) -> Result<(), WaitError> {
        self.until(within, |published| published.state == ViewState::Live)
            .await
    }

    async fn until(
        &self,
        within: Duration,
        there: impl Fn(&Published) -> bool,
    ) -> Result<(), WaitError> {
        let ended = |published: &Published| {
            matches!(
                published.state,
                ViewState::Stopped { .. } | ViewState::Closed
            )
        };
        let mut published = self.shared.published.subscribe();
        let _hurry = (!there(&published.borrow())).then(|| self.feed.hurry());
        let waited = timeout(
            within,
            published.wait_for(|published| there(published) || ended(published)),
        )
        .await;
        match waited {
            Ok(Ok(published)) if there(&published) => Ok(()),
            Ok(Ok(published)) => Err(match &published.state {
                ViewState::Stopped {
                    position, cause, ..
                } => WaitError::Stopped {
                    view: self.name(),
                    position: *position,
                    cause: cause.clone(),
                },
                ViewState::Building
                | ViewState::CatchingUp
                | ViewState::Live
                | ViewState::Closed => WaitError::Closed,
            }),
            Ok(Err(_)) => Err(WaitError::Closed),
            Err(_) => Err(WaitError::Timeout {
                view: self.name(),
                applied: self.applied(),
            }),
        }
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let published = self.shared.published.borrow();
        Status {
            view: self.shared.name,
            version: published.version,
            state: published.state.clone(),
            applied: published.applied,
            durable: published.durable,
            lag_events: self
                .store
                .events_between(published.applied, self.store.durable_position()),
            bytes: self.shared.bytes(published.state == ViewState::Building),
            reading: self.feed.failure(),
            previous: self.shared.previous_applied(),
            set_aside: letters::count(&published.letters),
        }
    }

    /// What is set aside beyond `after`, in the log's order, at most `limit`.
    pub fn letters(&self, after: Position, limit: usize) -> Vec<Letter> {
        let shown = Arc::clone(&self.shared.published.borrow().letters);
        let beyond = (Bound::Excluded(after), Bound::Unbounded);
        let letters = shown.range(beyond).map(|(_, letter)| letter.clone());
        letters.take(limit).collect()
    }

    fn live_lag(&self) -> u64 {
        let published = self.shared.published.borrow();
        if published.state == ViewState::Live {
            let end = self.store.durable_position();
            self.store.events_between(published.applied, end)
        } else {
            0
        }
    }
}

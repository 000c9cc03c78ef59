//! Which of a view's files is served: the switch to one that was made anew, the way back, and the end of the earlier one.
//!
//! The applying thread does it between two batches, so that both files stand at the same event and whoever reads sees
//! the one or the other, whole, and never an earlier position than before. The earlier file goes on following the log
//! until it is dropped, over restarts too. Files of one version change places; of two versions see `versions`.

use std::path::Path;
use std::sync::Arc;

use event_store::Position;
use tokio::sync::oneshot;

use crate::care::CareError;
use crate::file::Synced;
use crate::follower::{Follower, Log};
use crate::names::{previous_path, rebuilt_path};
use crate::runner::{NEAR_EVENTS, Running, VIEWS_MAX};
use crate::status::distance;
use crate::versions::{beside, roll, take_over};
use crate::{Codec, OpenedAs, RunnerHandle, StartError, ViewFile};

/// Events and bytes of one reading while the last few are caught up.
const BLOCK_EVENTS: usize = 1_024;
const BLOCK_BYTES: usize = 1 << 20;

/// What the applying thread is asked to do; views by their place among those that are served.
pub(crate) enum Order {
    /// Serve the file that was made at its [`rebuilt_path`] by the code of that version.
    Adopt {
        view: usize,
        version: u32,
        file: Box<ViewFile>,
        done: oneshot::Sender<Result<Position, NotAdopted>>,
    },
    /// Serve what was served before.
    GoBack {
        view: usize,
        done: oneshot::Sender<Result<Position, CareError>>,
    },
    /// Try again what was set aside, and before what the view stopped.
    Reconsider {
        view: usize,
        retry: Retry,
        done: oneshot::Sender<Result<Reconsidered, CareError>>,
    },
    /// Give up what was served before.
    DropPrevious {
        view: usize,
        done: oneshot::Sender<Result<(), CareError>>,
    },
}

/// Which of the events that could not be applied are tried again; those that wait for nothing any more always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// None: the log may say to do without one.
    No,
    /// This one.
    One(Position),
    /// Every one.
    All,
}

/// What came of events that were set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconsidered {
    /// Events that are applied now.
    pub applied: u64,
    /// Events that the view does without from now on.
    pub skipped: u64,
    /// Events that were tried, and failed again.
    pub failed: u64,
}

/// Why a file is not served.
pub(crate) enum NotAdopted {
    /// It is further behind than is caught up between two batches.
    Behind(Box<ViewFile>),
    Failed(CareError),
}

/// The file that was served before the last switch, where there is one that can be trusted.
pub(crate) fn previous<C: Codec>(
    serving: &Follower<C>,
    served: &Path,
    durable: Position,
) -> Result<Option<Follower<C>>, StartError> {
    let path = previous_path(served);
    if !path.is_file() {
        // One that failed, and was being made again.
        ViewFile::discard(&path)?;
        return Ok(None);
    }
    let (file, opened) = serving.open_beside(&path, durable)?;
    if opened != OpenedAs::Existing {
        drop(file);
        ViewFile::discard(&path)?;
        tracing::warn!(
            view = serving.view.name(),
            ?opened,
            "there is no way back to the earlier file"
        );
        return Ok(None);
    }
    let mut kept = serving.beside(Arc::clone(&serving.view), file, path);
    kept.is_previous = true;
    *serving.shared.previous.lock() = Some(kept.shared.clone());
    Ok(Some(kept))
}

impl RunnerHandle {
    /// Tries again what a view has set aside, the events it shall do without by now among it, and lets it go on where it
    /// had stopped before one.
    pub async fn reconsider(&self, view: &str, retry: Retry) -> Result<Reconsidered, CareError> {
        let mut views = (0..).zip(self.views());
        let found = views.find(|(_, held)| held.name() == view);
        let (view, _) = found.ok_or_else(|| CareError::UnknownView(view.to_owned()))?;
        let (done, outcome) = oneshot::channel();
        self.order(Order::Reconsider { view, retry, done });
        outcome.await.map_err(|_| CareError::Closed)?
    }
}

impl<C: Codec> Running<C> {
    pub(crate) fn carry_out(&mut self, order: Order) {
        // Whoever asked may have gone; what is done is done all the same.
        match order {
            Order::Adopt {
                view,
                version,
                file,
                done,
            } => drop(done.send(self.adopt(view, version, *file))),
            Order::GoBack { view, done } => drop(done.send(self.go_back(view))),
            Order::Reconsider { view, retry, done } => {
                drop(done.send(self.reconsider(view, retry)));
            }
            Order::DropPrevious { view, done } => drop(done.send(self.drop_previous(view))),
        }
        self.masks.forget();
    }

    /// Tries again what a view has set aside, and goes on where it had stopped before an event. What was served before,
    /// of the same view, is treated alike.
    pub(crate) fn reconsider(
        &mut self,
        index: usize,
        retry: Retry,
    ) -> Result<Reconsidered, CareError> {
        let outcome = self.reconsider_one(index, retry)?;
        if let Some(previous) = self.previous_of(index) {
            self.reconsider_one(previous, retry)?;
        }
        Ok(outcome)
    }

    fn log(&self) -> Log<'_, C> {
        Log {
            store: &*self.store,
            codec: &*self.codec,
            runtime: &self.runtime,
        }
    }

    pub(crate) fn reconsider_one(
        &mut self,
        index: usize,
        retry: Retry,
    ) -> Result<Reconsidered, CareError> {
        let view = self.views.get_mut(index).ok_or(CareError::Closed)?;
        let log = Log {
            store: &*self.store,
            codec: &*self.codec,
            runtime: &self.runtime,
        };
        let outcome = view.reconsider(retry, &log)?;
        if let Some(cause) = view.failing() {
            return Err(CareError::Switch(cause));
        }
        if view.resume() {
            self.read_on();
        }
        Ok(outcome)
    }

    fn adopt(
        &mut self,
        index: usize,
        version: u32,
        file: ViewFile,
    ) -> Result<Position, NotAdopted> {
        let (Some(serving), Some(view)) = (self.views.get(index), self.versions.of(index, version))
        else {
            return Err(NotAdopted::Failed(CareError::Closed));
        };
        let Some(served) = serving.path() else {
            return Err(NotAdopted::Failed(CareError::Closed));
        };
        let same_version = serving.view.version() == version;
        let rebuilt = rebuilt_path(&beside(served, view.name(), version));
        let kept = previous_path(served);
        let target = serving.applied();
        if distance(file.checkpoint().position, target) > NEAR_EVENTS {
            return Err(NotAdopted::Behind(Box::new(file)));
        }
        let mut fresh = serving.beside(view, file, rebuilt);
        let brought = self.bring_to(&mut fresh, target).and_then(|()| {
            // It may have set aside what it shall do without by now.
            Ok(fresh.reconsider(Retry::No, &self.log()).map(drop)?)
        });
        if let Err(error) = brought {
            fresh.discard();
            return Err(NotAdopted::Failed(error));
        }
        // One file to go back to at most, and the one that is served now is it.
        if self.previous_of(index).is_some()
            && let Err(error) = self.drop_previous(index)
        {
            fresh.discard();
            return Err(NotAdopted::Failed(error));
        }
        if self.views.len() >= VIEWS_MAX {
            fresh.discard();
            let why = format!("{VIEWS_MAX} files are followed already");
            return Err(NotAdopted::Failed(CareError::Switch(why)));
        }
        let Some(serving) = self.views.get_mut(index) else {
            return Err(NotAdopted::Failed(CareError::Closed));
        };
        if serving.is_dirty() && !serving.is_stopped() {
            serving.commit(Synced::Yes);
        }
        let missed = serving.is_stopped();
        let traded = if same_version {
            serving.trade_places(&mut fresh)
        } else {
            take_over(serving, &mut fresh)
        };
        if let Err(error) = traded {
            fresh.discard();
            return Err(NotAdopted::Failed(error.into()));
        }
        std::mem::swap(serving, &mut fresh);
        serving.publish();
        let position = serving.applied();
        // Now the earlier one. That of another version has a name of its own.
        let named = if same_version {
            fresh.rename(kept)
        } else {
            Ok(())
        };
        match named {
            Ok(()) => {
                fresh.is_previous = true;
                *serving.shared.previous.lock() = Some(fresh.shared.clone());
                fresh.publish();
                self.views.push(fresh);
            }
            Err(error) => {
                tracing::warn!(view = serving.view.name(), %error, "the earlier file cannot be kept");
                fresh.discard();
            }
        }
        if missed {
            // What came since the earlier one stopped was passed over.
            self.read_on();
        }
        Ok(position)
    }

    /// Applies what is missing up to `target`, durably.
    fn bring_to(&self, fresh: &mut Follower<C>, target: Position) -> Result<(), CareError> {
        while fresh.applied() < target && !fresh.is_stopped() {
            let read = self
                .store
                .read_all(fresh.applied(), BLOCK_EVENTS, BLOCK_BYTES);
            let mut block = self.runtime.block_on(read).map_err(StartError::from)?;
            // Not past it, where the other one is.
            block.truncate(block.partition_point(|event| event.position() <= target));
            if block.is_empty() {
                return Err(CareError::Switch("the log ended early".to_owned()));
            }
            let decoded: Vec<_> = block
                .iter()
                .map(|event| {
                    let wanted = fresh.view.wants(event.event_type());
                    wanted.then(|| self.codec.decode(event))
                })
                .collect();
            fresh.apply(&block, &decoded, |_| true, Some(&self.log()));
        }
        if fresh.is_dirty() {
            fresh.commit(Synced::Yes);
        }
        if let Some(cause) = fresh.stopped_by() {
            return Err(CareError::Switch(cause));
        }
        fresh.catch_up(self.store.durable_position(), NEAR_EVENTS);
        Ok(())
    }

    fn previous_of(&self, index: usize) -> Option<usize> {
        let name = self.views.get(index)?.view.name();
        self.views
            .iter()
            .position(|view| view.is_previous && view.view.name() == name)
    }

    /// Gives up a file to go back to, because it has what the view shall do without.
    pub(crate) fn give_up(&mut self, at: usize) {
        let overtaken = self.views.remove(at);
        let name = overtaken.view.name();
        tracing::warn!(
            view = name,
            "there is no way back to the earlier file: it has applied what the view does without"
        );
        let mut served = self.views.iter();
        if let Some(served) = served.find(|view| view.view.name() == name && !view.is_previous) {
            served.shared.previous.lock().take();
        }
        overtaken.discard();
        self.masks.forget();
    }

    pub(crate) fn name_of(&self, index: usize) -> &'static str {
        self.views.get(index).map_or("", |view| view.view.name())
    }

    fn go_back(&mut self, index: usize) -> Result<Position, CareError> {
        let name = self.name_of(index);
        let at = self.previous_of(index).ok_or(CareError::NoPrevious(name))?;
        let mut earlier = self.views.remove(at);
        let outcome = self.serve_again(index, &mut earlier);
        self.views.push(earlier);
        outcome
    }

    fn serve_again(
        &mut self,
        index: usize,
        earlier: &mut Follower<C>,
    ) -> Result<Position, CareError> {
        let serving = self.views.get_mut(index).ok_or(CareError::Closed)?;
        if let Some(cause) = earlier.stopped_by() {
            return Err(CareError::Switch(format!(
                "the earlier file stopped: {cause}"
            )));
        }
        if earlier.is_building() {
            let why = "the earlier file failed and is being made again".to_owned();
            return Err(CareError::Switch(why));
        }
        if earlier.applied() < serving.applied() {
            return Err(CareError::Switch(format!(
                "the earlier file is at {}, the served one at {}; try again when it has caught up",
                earlier.applied(),
                serving.applied()
            )));
        }
        for view in [&mut *earlier, &mut *serving] {
            if view.is_dirty() && !view.is_stopped() {
                view.commit(Synced::Yes);
            }
        }
        if let Some(cause) = earlier.stopped_by() {
            return Err(CareError::Switch(cause));
        }
        let kept = serving.shared.previous.lock().take();
        let traded = if serving.view.version() == earlier.view.version() {
            serving.trade_places(earlier)
        } else {
            roll(serving, earlier)
        };
        if let Err(error) = traded {
            *serving.shared.previous.lock() = kept;
            return Err(error.into());
        }
        std::mem::swap(serving, earlier);
        *serving.shared.previous.lock() = Some(earlier.shared.clone());
        serving.publish();
        earlier.publish();
        Ok(serving.applied())
    }

    fn drop_previous(&mut self, index: usize) -> Result<(), CareError> {
        let name = self.name_of(index);
        let at = self.previous_of(index).ok_or(CareError::NoPrevious(name))?;
        if let Some(serving) = self.views.get(index) {
            serving.shared.previous.lock().take();
        }
        self.views.remove(at).discard();
        Ok(())
    }
}

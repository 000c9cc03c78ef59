//! Views proved and made anew beside those that are served.
//!
//! A verification folds the log once more, up to where the served rows stand, and compares number and digest of the
//! rows. A rebuild folds it into a fresh file, folds it a second time with other bounds to compare that with, lets the
//! file catch up, and has the applying thread switch to it in one step (`switch`); the earlier file goes on following
//! the log until it is dropped. One of these at a time, so that memory and disk are bounded: two files of one view at
//! most. While somebody writes, the folding rests in between (`pace`). Killed at any moment, nothing that is served
//! changes; what was begun is taken away at the next start.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use event_store::Position;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::make::{Into, Make, Telling};
use crate::names::{compared_path, rebuilt_path};
use crate::pace::{self, Pace};
use crate::reader::{Digest, digest_at};
use crate::rebuild::Folded;
use crate::runner::thread;
use crate::switch::{NotAdopted, Order};
use crate::versions::beside;
use crate::work::{Kind, Stage, Work};
use crate::{
    Reader, RebuildOptions, RunnerHandle, Skips, StartError, TableError, ViewFile, ViewHandle,
    WaitError,
};

/// The second fold goes into its file this many times as often as the first.
const SECOND_FOLD_PARTS: usize = 8;
/// How often a file that fell behind once more catches up before the rebuild gives up: each round has less to do than
/// the one before, unless more is written than can be folded.
const ROUNDS_MAX: u32 = 64;
/// How long a stop waits for work that is under way, which looks every few rows whether it is still wanted: what may take
/// longer is one writing to a disk that hardly answers. What it leaves behind then is taken away at the next start.
const END_MAX: Duration = Duration::from_secs(30);

/// Why a view was not verified, made anew, or switched.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// No view of that name.
    #[error("there is no view `{0}`")]
    UnknownView(String),
    /// One at a time.
    #[error("`{0}` is being verified or made anew; one view at a time")]
    Busy(&'static str),
    /// There is no file to make another one of.
    #[error("the rows of `{0}` are in memory alone")]
    InMemory(&'static str),
    /// The view has no rows to read.
    #[error(transparent)]
    NotServed(#[from] WaitError),
    /// The log could not be folded.
    #[error(transparent)]
    Fold(#[from] StartError),
    /// A file failed.
    #[error(transparent)]
    Table(TableError),
    /// Two folds of the same events came to different rows: the view's code is no function of the log. Nothing was
    /// switched.
    #[error(
        "two folds of the log up to {position} give `{view}` different rows: {first} and {second}"
    )]
    Differs {
        /// The view.
        view: &'static str,
        /// How far was folded.
        position: Position,
        /// The first fold's digest.
        first: Digest,
        /// The second's.
        second: Digest,
    },
    /// There is nothing to go back to, or to drop.
    #[error("`{0}` keeps no earlier file")]
    NoPrevious(&'static str),
    /// The switch did not happen; what was served is served.
    #[error("nothing was switched: {0}")]
    Switch(String),
    /// The views are stopped.
    #[error("the views are closed")]
    Closed,
}

impl From<TableError> for CareError {
    fn from(error: TableError) -> Self {
        if matches!(error, TableError::Stopped) {
            return Self::Fold(StartError::Stopped);
        }
        Self::Table(error)
    }
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where both stand.
    pub position: Position,
    /// The rows that are served; those of a second fold where a new version was made, whose rows nobody was served yet.
    pub served: Digest,
    /// The rows that the log gives.
    pub folded: Digest,
}

impl Verified {
    /// Whether the served rows are what the log gives.
    pub fn equal(&self) -> bool {
        self.served == self.folded
    }
}

/// What a rebuild came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switched {
    /// Where the new file stood when it began to be served.
    pub position: Position,
    /// What was compared before: the rows that were served then, and those that both folds gave.
    pub compared: Verified,
}

/// What is done to views, one at a time, and whom to ask for a switch.
pub(crate) struct Care {
    maker: Box<dyn Make>,
    orders: Mutex<std::sync::mpsc::Sender<Order>>,
    work: watch::Sender<Option<Work>>,
    numbers: AtomicU64,
    cancelled: Arc<AtomicBool>,
}

impl Care {
    pub(crate) fn new(maker: Box<dyn Make>, orders: std::sync::mpsc::Sender<Order>) -> Self {
        Self {
            maker,
            orders: Mutex::new(orders),
            work: watch::Sender::new(None),
            numbers: AtomicU64::new(1),
            cancelled: Arc::default(),
        }
    }

    /// What is under way ends without a result.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Cancels, and waits until nothing is under way, but no longer than a stop may take.
    pub(crate) async fn end(&self) {
        self.cancel();
        if timeout(END_MAX, self.idle()).await.is_err() {
            tracing::warn!(
                "the work on a view did not end; what it leaves is taken away at the next start"
            );
        }
    }

    /// Waits until nothing is under way.
    async fn idle(&self) {
        let mut work = self.work.subscribe();
        // The sender is this one.
        let _ = work.wait_for(Option::is_none).await;
    }

    fn begin(
        &self,
        view: &ViewHandle,
        (kind, version): (Kind, u32),
        until: Position,
    ) -> Result<Work, CareError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(CareError::Closed);
        }
        let new = Work {
            view: view.name(),
            kind,
            version,
            stage: Stage::Comparing,
            events: 0,
            position: Position::START,
            from: Position::START,
            until,
            begun: Instant::now(),
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
        };
        let mut busy = None;
        self.work.send_if_modified(|work| {
            busy = work.map(|other| other.view);
            if busy.is_none() {
                *work = Some(new);
            }
            busy.is_none()
        });
        match busy {
            Some(other) => Err(CareError::Busy(other)),
            None => Ok(new),
        }
    }

    fn stage(&self, stage: Stage, from: Position, until: Position) {
        self.work.send_modify(|work| {
            if let Some(work) = work {
                *work = Work {
                    stage,
                    from,
                    position: from,
                    until,
                    events: 0,
                    begun: Instant::now(),
                    ..*work
                };
            }
        });
    }

    /// A pace beside those who write, which ends with the work on views.
    fn pace(&self) -> Pace {
        Pace::beside(self.maker.store(), Arc::clone(&self.cancelled))
    }

    /// Tells progress, and whether to go on: not once nobody waits for this very work any more.
    fn telling(&self) -> Telling {
        let (work, cancelled) = (self.work.clone(), Arc::clone(&self.cancelled));
        let number = self.work.borrow().map(|work| work.number);
        Box::new(move |progress| {
            let mut wanted = false;
            work.send_if_modified(|work| match work {
                Some(work) if Some(work.number) == number => {
                    (work.events, work.position) = (progress.events, progress.position);
                    wanted = !cancelled.load(Ordering::Relaxed);
                    true
                }
                Some(_) | None => false,
            });
            if wanted { Folded::GoOn } else { Folded::Enough }
        })
    }
}

/// Work on a view that has begun. No other begins until it goes, which whoever tells its outcome lets happen afterwards.
pub struct Begun {
    runner: RunnerHandle,
    index: usize,
    view: ViewHandle,
    /// Where the file of the version is served from that is proved or made.
    path: PathBuf,
    work: Work,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.runner.inner.care.work.send_replace(None);
    }
}

/// A file that is deleted in the end, whatever happens.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        if let Err(error) = ViewFile::discard(&self.0) {
            tracing::warn!(%error, "a file that was made to compare stays");
        }
    }
}

impl RunnerHandle {
    /// What is done to a view at the moment.
    pub fn work(&self) -> Option<Work> {
        *self.inner.care.work.borrow()
    }

    /// Folds the log once more, up to where the rows of `view` stand, and compares.
    pub async fn verify(&self, view: &str) -> Result<Verified, CareError> {
        self.begin(view, Kind::Verify)?.verify().await
    }

    /// Makes `view` anew beside the file that is served, compares it, and switches to it. What is served until then, and
    /// what anybody reads, is whole all the time. What was served before is kept until [`Self::drop_previous`].
    pub async fn rebuild(&self, view: &str) -> Result<Switched, CareError> {
        self.begin(view, Kind::Rebuild)?.rebuild().await
    }

    /// Begins work on a view that has rows to read; nothing is folded yet.
    pub fn begin(&self, view: &str, kind: Kind) -> Result<Begun, CareError> {
        let (index, view, served) = self.with_file(view)?;
        let care = &self.inner.care;
        let reader = view.reader()?;
        let version = match kind {
            Kind::Verify => reader.version(),
            Kind::Rebuild => care.maker.newest(index).ok_or(CareError::Closed)?,
        };
        let position = reader.checkpoint().position;
        let work = care.begin(&view, (kind, version), position)?;
        Ok(Begun {
            runner: self.clone(),
            index,
            path: beside(&served, view.name(), version),
            view,
            work,
        })
    }

    /// The same, as soon as no other work is under way.
    pub async fn begin_in_turn(&self, view: &str, kind: Kind) -> Result<Begun, CareError> {
        loop {
            match self.begin(view, kind) {
                Err(CareError::Busy(_)) => self.inner.care.idle().await,
                begun => return begun,
            }
        }
    }

    /// The views of which an earlier version is served until the newest one is made, by [`Kind::Rebuild`]. Those that were
    /// taken back to it are not among them.
    pub fn outdated(&self) -> Vec<&'static str> {
        let outdated = (0..).zip(self.views()).filter(|(index, view)| {
            let newest = self.inner.care.maker.newest(*index);
            newest.is_some_and(|newest| view.version() < newest && !view.is_taken_back(newest))
        });
        outdated.map(|(_, view)| view.name()).collect()
    }

    /// Serves the file again that was served before the last switch, and keeps the other one in its place.
    pub async fn go_back(&self, view: &str) -> Result<Position, CareError> {
        let begun = self.begin(view, Kind::Rebuild)?;
        let (view, (done, outcome)) = (begun.index, oneshot::channel());
        self.order(Order::GoBack { view, done });
        outcome.await.map_err(|_| CareError::Closed)?
    }

    /// Gives up the file that was served before the last switch.
    pub async fn drop_previous(&self, view: &str) -> Result<(), CareError> {
        let begun = self.begin(view, Kind::Rebuild)?;
        let (view, (done, outcome)) = (begun.index, oneshot::channel());
        self.order(Order::DropPrevious { view, done });
        outcome.await.map_err(|_| CareError::Closed)?
    }

    fn with_file(&self, view: &str) -> Result<(usize, ViewHandle, PathBuf), CareError> {
        let found = (0..)
            .zip(self.views())
            .find(|(_, held)| held.name() == view);
        let (index, handle) = found.ok_or_else(|| CareError::UnknownView(view.to_owned()))?;
        let path = handle
            .path()
            .ok_or_else(|| CareError::InMemory(handle.name()))?;
        Ok((index, handle.clone(), path))
    }

    pub(crate) fn order(&self, order: Order) {
        // Where nobody takes it any more, the one who waits for the answer learns of it.
        let _ = self.inner.care.orders.lock().send(order);
        self.inner.feed.ask();
    }
}

impl Begun {
    /// As it began.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Folds the log once more, up to where the rows stood that were served when it began, and compares.
    pub async fn verify(&self) -> Result<Verified, CareError> {
        let reader = self.view.reader()?;
        let (position, version) = (reader.checkpoint().position, reader.version());
        let skips = Arc::clone(reader.skips());
        let served = self.served(reader).await?;
        let folded = self.fold_to_compare(position, (version, &skips), 1).await?;
        let verified = Verified {
            position,
            served,
            folded,
        };
        self.count(&verified);
        Ok(verified)
    }

    /// Makes the view anew, by the newest version of its code, beside the file that is served, compares it, and switches to
    /// it.
    pub async fn rebuild(&self) -> Result<Switched, CareError> {
        let care = &self.runner.inner.care;
        let version = self.work.version;
        let reader = self.view.reader()?;
        let position = reader.checkpoint().position;
        let (skips, served) = if reader.version() == version {
            let skips = Arc::clone(reader.skips());
            // Rows that cannot be read are not what the log gives, and are what a rebuild is for.
            let served = self.served(reader).await.unwrap_or_else(|error| {
                tracing::error!(view = self.view.name(), %error, "the rows that are served cannot be read");
                Digest::UNREADABLE
            });
            (skips, Some(served))
        } else {
            drop(reader);
            let skips = care.maker.skips((self.index, version), position);
            (skips.await?, None)
        };
        let version = (version, &skips);
        let aside = Aside(rebuilt_path(&self.path));
        care.stage(Stage::Folding, Position::START, position);
        let (into, options) = (Into::Fresh(&aside.0), RebuildOptions::default());
        let file = self.fold(version, into, position, options).await?;
        let first = digest_of(file.reader(), care.pace()).await?;
        let second = self
            .fold_to_compare(position, version, SECOND_FOLD_PARTS)
            .await?;
        if first != second {
            return Err(CareError::Differs {
                view: self.view.name(),
                position,
                first,
                second,
            });
        }
        let compared = Verified {
            position,
            served: served.unwrap_or(second),
            folded: first,
        };
        if served.is_some() {
            self.count(&compared);
        }
        let position = self.switch(file, &skips).await?;
        let (view, version) = (self.view.name(), self.work.version);
        tracing::info!(view, version, %position, "the view was made anew and is served");
        Ok(Switched { position, compared })
    }

    /// The rows that are served now. Their snapshot is let go of before anything is folded: one that is held keeps every
    /// page that is replaced meanwhile.
    async fn served(&self, reader: Reader) -> Result<Digest, CareError> {
        let care = &self.runner.inner.care;
        care.stage(
            Stage::Comparing,
            Position::START,
            reader.checkpoint().position,
        );
        digest_of(reader, care.pace()).await
    }

    async fn fold(
        &self,
        (version, skips): (u32, &Arc<Skips>),
        into: Into<'_>,
        until: Position,
        options: RebuildOptions,
    ) -> Result<ViewFile, StartError> {
        let care = &self.runner.inner.care;
        let at_pace = (care.pace(), care.telling());
        let view = (self.index, version, skips);
        care.maker.fold(view, into, until, options, at_pace).await
    }

    /// Counts a comparison with what was served, and tells of a difference.
    fn count(&self, compared: &Verified) {
        let view = self.view.name();
        metrics::counter!("doorstep_view_verified_total", "view" => view).increment(1);
        if !compared.equal() {
            metrics::counter!("doorstep_view_differences_total", "view" => view).increment(1);
            tracing::error!(view, position = %compared.position, served = %compared.served, folded = %compared.folded,
                "the rows that were served are not what the log gives");
        }
    }

    /// Folds the log into a file that is deleted again, and gives its digest.
    async fn fold_to_compare(
        &self,
        until: Position,
        version: (u32, &Arc<Skips>),
        parts: usize,
    ) -> Result<Digest, CareError> {
        let care = &self.runner.inner.care;
        let options = RebuildOptions::default();
        let options = RebuildOptions {
            overlay_bytes_max: options.overlay_bytes_max / parts,
            ..options
        };
        care.stage(
            if parts == 1 {
                Stage::Folding
            } else {
                Stage::FoldingAgain
            },
            Position::START,
            until,
        );
        let aside = Aside(compared_path(&self.path));
        let into = Into::Fresh(&aside.0);
        let file = self.fold(version, into, until, options).await?;
        care.stage(Stage::Comparing, Position::START, until);
        digest_of(file.reader(), care.pace()).await
    }

    /// Lets a file catch up until the applying thread takes it.
    async fn switch(&self, file: ViewFile, skips: &Arc<Skips>) -> Result<Position, CareError> {
        let version = (self.work.version, skips);
        let care = &self.runner.inner.care;
        let mut file = Box::new(file);
        for _ in 0..ROUNDS_MAX {
            let until = self.view.applied();
            let from = file.checkpoint().position;
            care.stage(Stage::CatchingUp, from, until);
            if from < until {
                let (on, options) = (Into::On(file), RebuildOptions::default());
                let folded = self.fold(version, on, until, options);
                file = Box::new(folded.await?);
            }
            let (done, outcome) = oneshot::channel();
            self.runner.order(Order::Adopt {
                view: self.index,
                version: self.work.version,
                file,
                done,
            });
            match outcome.await.map_err(|_| CareError::Closed)? {
                Ok(position) => return Ok(position),
                Err(NotAdopted::Failed(error)) => return Err(error),
                Err(NotAdopted::Behind(again)) => file = again,
            }
        }
        Err(CareError::Switch(
            "more is written than the new file can take up".to_owned(),
        ))
    }
}

/// The digest of a snapshot, worked out on a thread that makes way for others.
async fn digest_of(reader: Reader, mut pace: Pace) -> Result<Digest, CareError> {
    let (done, outcome) = oneshot::channel();
    thread("views-compare", move || {
        pace::give_way();
        // Nobody may wait for it any more.
        let _ = done.send(digest_at(&reader, &mut pace));
    })?;
    let ended = |_| StartError::Thread("the comparison panicked".to_owned());
    Ok(outcome.await.map_err(ended)??)
}

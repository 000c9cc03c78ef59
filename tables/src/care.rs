//! Views proved and made anew beside those that are served.
//!
//! A verification folds the log once more, up to where the served rows stand, and compares number and digest of the
//! rows. A rebuild folds it into a fresh file, folds it a second time with other bounds to compare that with, lets the
//! file catch up, and has the applying thread switch to it in one step (`switch`); the earlier file goes on following
//! the log until it is dropped. One of these at a time, so that memory and disk are bounded: two files of one view at
//! most. While somebody writes, the folding rests in between (`pace`). Killed at any moment, nothing that is served
//! changes; what was begun is taken away at the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use event_store::{EventStore, Position};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::names::{compared_path, rebuilt_path};
use crate::pace;
use crate::reader::{Digest, digest};
use crate::rebuild::{Folded, advance, begin};
use crate::runner::thread;
use crate::switch::{NotAdopted, Order};
use crate::{
    Codec, Progress, Reader, RebuildOptions, RunnerHandle, StartError, TableError, View, ViewFile,
    ViewHandle, WaitError,
};

/// The second fold goes into its file this many times as often as the first.
const SECOND_FOLD_PARTS: usize = 8;
/// How often a file that fell behind once more catches up before the rebuild gives up: each round has less to do than
/// the one before, unless more is written than can be folded.
const ROUNDS_MAX: u32 = 64;

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
    Table(#[from] TableError),
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

/// What is done to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is proved.
    Verify,
    /// It is made anew.
    Rebuild,
}

impl Kind {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Rebuild => "rebuild",
        }
    }
}

/// How far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The log is folded.
    Folding,
    /// It is folded a second time, to compare.
    FoldingAgain,
    /// Rows are compared.
    Comparing,
    /// The new file takes up what was written meanwhile.
    CatchingUp,
}

impl Stage {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folding => "folding",
            Self::FoldingAgain => "folding_again",
            Self::Comparing => "comparing",
            Self::CatchingUp => "catching_up",
        }
    }
}

/// Work on a view that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The view.
    pub view: &'static str,
    /// What is done.
    pub kind: Kind,
    /// How far it is.
    pub stage: Stage,
    /// Events of this stage so far.
    pub events: u64,
    /// The last event folded.
    pub position: Position,
    /// Where this stage began.
    pub from: Position,
    /// Where it ends.
    pub until: Position,
    /// When it began.
    pub begun: Instant,
    /// Tells it from work before, which has a lower one, and after.
    pub number: u64,
}

impl Work {
    /// How much of this stage is done, in hundredths.
    pub fn percent(&self) -> u8 {
        let part = |to: Position| u128::from(to.0.saturating_sub(self.from.0));
        let (done, whole) = (part(self.position), part(self.until));
        let percent = (done * 100).checked_div(whole).unwrap_or(0).min(100);
        u8::try_from(percent).unwrap_or(100)
    }

    /// How long this stage still takes at its speed so far; none before anything was done.
    pub fn to_go(&self) -> Option<Duration> {
        let done = self.position.0.checked_sub(self.from.0)?;
        let left = self.until.0.checked_sub(self.position.0)?;
        if done == 0 {
            return None;
        }
        let (done, left) = (u128::from(done), u128::from(left));
        let millis = self.begun.elapsed().as_millis().saturating_mul(left) / done;
        Some(Duration::from_millis(
            u64::try_from(millis).unwrap_or(u64::MAX),
        ))
    }
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where both stand.
    pub position: Position,
    /// The rows that are served.
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

/// Folds of the views, whatever their codec.
#[async_trait]
pub(crate) trait Make: Send + Sync {
    /// Folds the log into a fresh file at `path`, or goes on with one.
    async fn fold(
        &self,
        view: usize,
        into: Into<'_>,
        until: Position,
        options: RebuildOptions,
        progress: Box<dyn FnMut(Progress) -> Folded + Send>,
    ) -> Result<ViewFile, StartError>;
}

/// Where a fold goes.
pub(crate) enum Into<'a> {
    Fresh(&'a Path),
    On(Box<ViewFile>),
}

/// Folds the views of one codec.
pub(crate) struct Maker<C: Codec> {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) codec: Arc<C>,
    pub(crate) views: Vec<Arc<dyn View<C>>>,
}

#[async_trait]
impl<C: Codec> Make for Maker<C> {
    async fn fold(
        &self,
        view: usize,
        into: Into<'_>,
        until: Position,
        options: RebuildOptions,
        progress: Box<dyn FnMut(Progress) -> Folded + Send>,
    ) -> Result<ViewFile, StartError> {
        let closed = || StartError::Views("there is no such view".to_owned());
        let view = Arc::clone(self.views.get(view).ok_or_else(closed)?);
        let file = match into {
            Into::Fresh(path) => begin(&*self.store, &*view, path, options)?,
            Into::On(file) => *file,
        };
        let (store, codec) = (Arc::clone(&self.store), Arc::clone(&self.codec));
        let folded = advance(store, codec, view, file, until, options, progress).await?;
        Ok(folded.file)
    }
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

    /// Cancels, and waits until nothing is under way.
    pub(crate) async fn end(&self) {
        self.cancel();
        let mut work = self.work.subscribe();
        // The sender is this one.
        let _ = work.wait_for(Option::is_none).await;
    }

    fn begin(&self, view: &ViewHandle, kind: Kind, until: Position) -> Result<Work, CareError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(CareError::Closed);
        }
        let new = Work {
            view: view.name(),
            kind,
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

    /// Tells progress, and whether to go on: not once nobody waits for this very work any more.
    fn telling(&self) -> Box<dyn FnMut(Progress) -> Folded + Send> {
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
    served: PathBuf,
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
        let position = view.reader()?.checkpoint().position;
        let work = self.inner.care.begin(&view, kind, position)?;
        Ok(Begun {
            runner: self.clone(),
            index,
            view,
            served,
            work,
        })
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
        Ok((index, handle.clone(), path.to_owned()))
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
        let (position, served) = self.served().await?;
        let folded = self.fold_to_compare(position, 1).await?;
        let verified = Verified {
            position,
            served,
            folded,
        };
        self.count(&verified);
        Ok(verified)
    }

    /// Makes the view anew beside the file that is served, compares it, and switches to it.
    pub async fn rebuild(&self) -> Result<Switched, CareError> {
        let care = &self.runner.inner.care;
        let (position, served) = self.served().await?;
        let aside = Aside(rebuilt_path(&self.served));
        care.stage(Stage::Folding, Position::START, position);
        let (options, telling) = (RebuildOptions::default(), care.telling());
        let file = care
            .maker
            .fold(
                self.index,
                Into::Fresh(&aside.0),
                position,
                options,
                telling,
            )
            .await?;
        let first = digest_of(file.reader()).await?;
        let second = self.fold_to_compare(position, SECOND_FOLD_PARTS).await?;
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
            served,
            folded: first,
        };
        self.count(&compared);
        let position = self.switch(file).await?;
        let view = self.view.name();
        tracing::info!(view, %position, "the view was made anew and is served");
        Ok(Switched { position, compared })
    }

    /// The rows that are served now. Their snapshot is let go of before anything is folded: one that is held keeps every
    /// page that is replaced meanwhile.
    async fn served(&self) -> Result<(Position, Digest), CareError> {
        let reader = self.view.reader()?;
        let position = reader.checkpoint().position;
        let care = &self.runner.inner.care;
        care.stage(Stage::Comparing, Position::START, position);
        Ok((position, digest_of(reader).await?))
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
    async fn fold_to_compare(&self, until: Position, parts: usize) -> Result<Digest, CareError> {
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
        let aside = Aside(compared_path(&self.served));
        let into = Into::Fresh(&aside.0);
        let file = care
            .maker
            .fold(self.index, into, until, options, care.telling())
            .await?;
        care.stage(Stage::Comparing, Position::START, until);
        digest_of(file.reader()).await
    }

    /// Lets a file catch up until the applying thread takes it.
    async fn switch(&self, file: ViewFile) -> Result<Position, CareError> {
        let care = &self.runner.inner.care;
        let mut file = Box::new(file);
        for _ in 0..ROUNDS_MAX {
            let until = self.view.applied();
            let from = file.checkpoint().position;
            care.stage(Stage::CatchingUp, from, until);
            if from < until {
                let options = RebuildOptions::default();
                let on = Into::On(file);
                file = Box::new(
                    care.maker
                        .fold(self.index, on, until, options, care.telling())
                        .await?,
                );
            }
            let (done, outcome) = oneshot::channel();
            self.runner.order(Order::Adopt {
                view: self.index,
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
async fn digest_of(reader: Reader) -> Result<Digest, CareError> {
    let (done, outcome) = oneshot::channel();
    thread("views-compare", move || {
        pace::give_way();
        // Nobody may wait for it any more.
        let _ = done.send(digest(&reader));
    })?;
    let ended = |_| StartError::Thread("the comparison panicked".to_owned());
    Ok(outcome.await.map_err(ended)??)
}

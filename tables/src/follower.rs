//! One view on its way along the log: its file, what is applied but not committed, and what became of it.
//!
//! Used by one thread. An event whose application fails leaves nothing and is set aside (`letters`); where the view has
//! no room for that, it stays before the event. Trouble of the file is not the event's fault: the file is opened again at its last durable checkpoint, and the view goes on from
//! there after a pause.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_store::{LogId, Position, RecordedEvent};

mod retry;

pub(crate) use retry::Log;

use crate::file::Synced;
use crate::letters::{Applying, Blocked, panic_text};
use crate::names::{exchange, rename};
use crate::overlay::Overlay;
use crate::status::{Published, Shared, distance};
use crate::{Codec, DecodeError, OpenedAs, Skips, TableError, View, ViewFile, ViewState};

/// First pause before a view with a failing file is tried again; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// While more is coming, a view pauses between commits this many times what the last one took, at most
/// [`COMMIT_PAUSE_MAX`].
const COMMIT_PAUSE: u32 = 3;
const COMMIT_PAUSE_MAX: Duration = Duration::from_millis(250);

/// What the codec made of an event; none if no view wants it.
pub(crate) type Decoded<'a, C> = Option<Result<<C as Codec>::Decoded<'a>, DecodeError>>;

/// Where a view's file is, and how it is opened again.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) path: Option<PathBuf>,
    pub(crate) log_id: LogId,
    pub(crate) cache_bytes: usize,
}

impl Home {
    pub(crate) fn open(
        &self,
        names: &'static [&'static str],
        durable: Position,
    ) -> Result<(ViewFile, OpenedAs), TableError> {
        match &self.path {
            Some(path) => ViewFile::open(path, names, self.log_id, durable, self.cache_bytes),
            None => Ok((
                ViewFile::in_memory(names, self.log_id, self.cache_bytes)?,
                OpenedAs::New,
            )),
        }
    }
}

/// Why a view does not go on.
struct Stop {
    position: Position,
    cause: String,
    /// When it is tried again; never, if it is the event's or the view's fault.
    retry_at: Option<Instant>,
}

/// What is to be done with a view between two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// What it shall do without by now could not be looked at.
    LookAgain,
    /// It has applied what it shall do without: nobody goes back to it.
    GiveUp,
}

/// Why a batch is not applied to its end.
enum Paused {
    /// The event at this index says what the view shall do without.
    Told(usize),
    /// The event at this index can neither be applied nor set aside.
    Full {
        index: usize,
        at: Position,
        cause: String,
    },
}

/// A view on its way.
pub(crate) struct Follower<C: Codec> {
    pub(crate) view: Arc<dyn View<C>>,
    pub(crate) shared: Arc<Shared>,
    home: Home,
    file: Option<ViewFile>,
    overlay: Overlay,
    /// The last event in the overlay or below it.
    applied: Position,
    durable: Position,
    durable_due: Instant,
    events_since_durable: u64,
    committed_at: Instant,
    /// How long the last commit took.
    commit_took: Duration,
    /// How long the last batch took, its commit included.
    took: Duration,
    /// Where the log ended when the view was opened, or last looked at while it caught up.
    goal: Position,
    caught_up: bool,
    stop: Option<Stop>,
    pause: Duration,
    /// Was served before, and is kept for going back.
    pub(crate) is_previous: bool,
    /// What it shall do without.
    skips: Arc<Skips>,
    /// What is to be done with it once a batch is over.
    due: Due,
}

impl<C: Codec> Follower<C> {
    pub(crate) fn new(
        view: Arc<dyn View<C>>,
        skips: Arc<Skips>,
        home: Home,
        file: ViewFile,
        goal: Position,
        durable_due: Instant,
    ) -> Self {
        let checkpoint = file.checkpoint();
        let published = Published {
            version: view.version(),
            state: if file.is_building() {
                ViewState::Building
            } else {
                ViewState::CatchingUp
            },
            applied: checkpoint.position,
            durable: checkpoint.position,
            reader: (!file.is_building()).then(|| file.reader().of(view.version(), &skips)),
            letters: file.letters().shown(),
        };
        Self {
            shared: Shared::new(view.name(), home.path.clone(), published),
            overlay: Overlay::new(view.tables().len()),
            view,
            home,
            applied: checkpoint.position,
            durable: checkpoint.position,
            file: Some(file),
            durable_due,
            events_since_durable: 0,
            committed_at: Instant::now(),
            commit_took: Duration::ZERO,
            took: Duration::ZERO,
            goal,
            caught_up: false,
            stop: None,
            pause: PAUSE_MIN,
            is_previous: false,
            skips,
            due: Due::Nothing,
        }
    }

    /// Another file of the same view, of this version or another, which lies at `path`, on its way to take this one's place.
    pub(crate) fn beside(&self, view: Arc<dyn View<C>>, file: ViewFile, path: PathBuf) -> Self {
        let home = Home {
            path: Some(path),
            ..self.home.clone()
        };
        let goal = file.checkpoint().position;
        let skips = if view.version() == self.view.version() {
            Arc::clone(&self.skips)
        } else {
            Arc::default()
        };
        Self::new(view, skips, home, file, goal, self.durable_due)
    }

    /// Opens another file of the same view.
    pub(crate) fn open_beside(
        &self,
        path: &Path,
        durable: Position,
    ) -> Result<(ViewFile, OpenedAs), TableError> {
        let home = Home {
            path: Some(path.to_owned()),
            ..self.home.clone()
        };
        home.open(self.view.tables(), durable)
    }

    /// Lets the other file of the same version be what this one was, name and readers and all, and the other way round.
    /// Both have to be durable. Where it fails, everything is as it was.
    pub(crate) fn trade_places(&mut self, other: &mut Self) -> Result<(), TableError> {
        let (Some(mine), Some(others)) = (self.home.path.clone(), other.home.path.clone()) else {
            return Ok(());
        };
        exchange(&mine, &others)?;
        self.trade_roles(other);
        self.lies_at(others);
        other.lies_at(mine);
        Ok(())
    }

    /// Lets the other one be what this one was to whoever reads, and the other way round; each keeps its file's name.
    pub(crate) fn trade_roles(&mut self, other: &mut Self) {
        mem::swap(&mut self.shared, &mut other.shared);
        mem::swap(&mut self.is_previous, &mut other.is_previous);
        for view in [self, other] {
            (*view.shared.path.lock()).clone_from(&view.home.path);
        }
    }

    /// Gives its file another name.
    pub(crate) fn rename(&mut self, to: PathBuf) -> Result<(), TableError> {
        if let Some(from) = &self.home.path {
            rename(from, &to)?;
            self.lies_at(to);
        }
        Ok(())
    }

    fn lies_at(&mut self, path: PathBuf) {
        if let Some(file) = &mut self.file {
            file.lies_at(&path);
        }
        *self.shared.path.lock() = Some(path.clone());
        self.home.path = Some(path);
    }

    /// Closes its file and deletes it.
    pub(crate) fn discard(mut self) {
        self.file = None;
        self.shared.published.send_modify(|published| {
            published.state = ViewState::Closed;
            published.reader = None;
        });
        if let Some(path) = &self.home.path
            && let Err(error) = ViewFile::discard(path)
        {
            tracing::warn!(view = self.shared.name, %error, "a file that is not needed any more stays");
        }
    }

    /// Why it does not go on.
    pub(crate) fn stopped_by(&self) -> Option<String> {
        self.stop.as_ref().map(|stop| stop.cause.clone())
    }

    /// Where its file is served from.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.home.path.as_deref()
    }

    /// The last event applied, committed or not.
    pub(crate) fn applied(&self) -> Position {
        self.applied
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    pub(crate) fn is_building(&self) -> bool {
        self.file.as_ref().is_some_and(ViewFile::is_building)
    }

    /// Looks whether the view has caught up with a log that ends at `end`: it has come to where the log ended when it
    /// was last looked at, and what was added since is at most `near`.
    pub(crate) fn catch_up(&mut self, end: Position, near: u64) {
        if self.caught_up || self.stop.is_some() || self.applied < self.goal {
            return;
        }
        if distance(self.applied, end) > near {
            self.goal = end;
            return;
        }
        self.caught_up = true;
        if self.is_building() {
            self.commit(Synced::Yes);
        } else if self.is_dirty() {
            self.commit(Synced::No);
        } else {
            self.publish();
        }
    }

    pub(crate) fn overlay_bytes(&self) -> usize {
        self.overlay.bytes()
    }

    /// When a durable checkpoint is due by time.
    pub(crate) fn durable_due(&self) -> Instant {
        self.durable_due
    }

    pub(crate) fn events_since_durable(&self) -> u64 {
        self.events_since_durable
    }

    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.stop.as_ref().and_then(|stop| stop.retry_at)
    }

    /// When what is applied shall be shown although more is coming: the sooner the cheaper the last commit was, so
    /// that rows are fresh when little happens, and much is merged when much does. None if all is shown, or nothing
    /// shall be.
    pub(crate) fn commit_due(&self) -> Option<Instant> {
        let file = self.file.as_ref().filter(|file| !file.is_building())?;
        let hidden = self.stop.is_none() && file.checkpoint().position < self.applied;
        hidden.then(|| self.committed_at + (self.commit_took * COMMIT_PAUSE).min(COMMIT_PAUSE_MAX))
    }

    /// How long the last batch took, its commit included.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// Whether anything is applied that is not durable.
    pub(crate) fn is_dirty(&self) -> bool {
        self.durable < self.applied
    }

    /// Applies what it does not have yet of `events`; `wanted` tells which of them concern it. `log` is where what was set
    /// aside is read again once an event says what the view shall do without.
    pub(crate) fn apply(
        &mut self,
        events: &[RecordedEvent],
        decoded: &[Decoded<'_, C>],
        wanted: impl Fn(usize) -> bool,
        log: Option<&Log<'_, C>>,
    ) {
        let started = Instant::now();
        let mut from = 0;
        while let Some(paused) = self.apply_from(from, events, decoded, &wanted) {
            match (paused, log) {
                (Paused::Told(told), log) => {
                    if let (Some(event), Some(log)) = (events.get(told), log)
                        && let Err(error) = self.do_without(event, log)
                    {
                        let view = self.shared.name;
                        tracing::warn!(view, %error, "what was set aside is not tried again yet");
                    }
                    from = told + 1;
                }
                (Paused::Full { index, .. }, Some(log)) if self.may_go_on(log) => from = index,
                (Paused::Full { at, cause, .. }, _) => {
                    if self.stop.is_none() {
                        self.stop_at(at, cause);
                    }
                    break;
                }
            }
        }
        self.took = started.elapsed();
        metrics::histogram!("doorstep_view_apply_seconds").record(self.took.as_secs_f64());
    }

    /// Applies events from an index on, up to one that is more than that.
    fn apply_from(
        &mut self,
        from: usize,
        events: &[RecordedEvent],
        decoded: &[Decoded<'_, C>],
        wanted: &impl Fn(usize) -> bool,
    ) -> Option<Paused> {
        let file = self.file.as_mut().filter(|_| self.stop.is_none())?;
        let (below, letters) = file.parts();
        let nothing_below = match below.is_void() {
            Ok(void) => void,
            Err(error) => {
                self.fail(self.applied, &error);
                return None;
            }
        };
        let mut applying = Applying {
            view: &*self.view,
            skips: &self.skips,
            overlay: &mut self.overlay,
            below: (!nothing_below).then_some(below),
            letters,
        };
        let mut blocked = None;
        for (index, (event, decoded)) in events.iter().zip(decoded).enumerate().skip(from) {
            let at = event.position();
            if at <= self.applied {
                continue;
            }
            if wanted(index)
                && let Some(decoded) = decoded
                && let Err(why) = applying.take(event, decoded)
            {
                blocked = Some((index, at, why));
                break;
            }
            self.applied = at;
            self.events_since_durable += 1;
            if self.skips.are_told_by(event) {
                return Some(Paused::Told(index));
            }
        }
        match blocked? {
            (_, at, Blocked::Table(error)) => {
                self.fail(at, &error);
                None
            }
            (index, at, Blocked::Full(cause)) => Some(Paused::Full { index, at, cause }),
        }
    }

    /// Commits what is applied and shows it. Trouble of the file stops the view for a while.
    pub(crate) fn commit(&mut self, synced: Synced) {
        let Some(file) = &mut self.file else { return };
        let started = Instant::now();
        let building = file.is_building();
        match catch_unwind(AssertUnwindSafe(|| {
            file.commit(&mut self.overlay, self.applied, synced)
        })) {
            Ok(Ok(())) => {
                self.committed_at = Instant::now();
                self.commit_took = started.elapsed();
                self.took += self.commit_took;
                if synced == Synced::Yes {
                    self.durable = self.applied;
                    self.events_since_durable = 0;
                    self.pause = PAUSE_MIN;
                }
                let what = match synced {
                    Synced::Yes => "doorstep_view_checkpoint_seconds",
                    Synced::No => "doorstep_view_commit_seconds",
                };
                metrics::histogram!(what).record(self.commit_took.as_secs_f64());
                if building && self.caught_up && synced == Synced::Yes {
                    if let Err(error) = file.put_in_place() {
                        self.fail(self.applied, &error);
                        return;
                    }
                    tracing::info!(view = self.shared.name, position = %self.applied, "the view is built");
                }
                self.publish();
            }
            Ok(Err(error)) => self.fail(self.applied, &error),
            Err(panic) => {
                let error = redb::Error::Corrupted(panic_text(&*panic));
                self.fail(self.applied, &error.into());
            }
        }
    }

    /// Moves the time of the next durable checkpoint.
    pub(crate) fn next_durable(&mut self, due: Instant) {
        self.durable_due = due;
    }

    /// Shows how the view is.
    pub(crate) fn publish(&self) {
        let reader = self
            .file
            .as_ref()
            .filter(|file| !file.is_building())
            .map(|file| file.reader().of(self.view.version(), &self.skips));
        // Of a view that is built nobody reads the rows, so that what is applied may tell its progress.
        let applied = match &self.file {
            Some(file) if file.is_building() => self.applied,
            Some(file) => file.checkpoint().position,
            None => self.durable,
        };
        let state = match &self.stop {
            Some(stop) => ViewState::Stopped {
                position: stop.position,
                cause: stop.cause.clone(),
                passes: stop.retry_at.is_some(),
            },
            None if self.is_building() => ViewState::Building,
            None if self.caught_up => ViewState::Live,
            None => ViewState::CatchingUp,
        };
        let durable = self.durable;
        let letters = match &self.file {
            Some(file) => file.letters().shown(),
            None => Arc::clone(&self.shared.published.borrow().letters),
        };
        self.shared.published.send_replace(Published {
            version: self.view.version(),
            state,
            applied,
            durable,
            reader,
            letters,
        });
    }

    /// The view cannot apply the event at `position`; what came before it is kept.
    fn stop_at(&mut self, position: Position, cause: String) {
        self.overlay.take_back();
        tracing::error!(view = self.shared.name, %position, cause, "the view stopped");
        metrics::counter!("doorstep_view_stops_total", "view" => self.shared.name).increment(1);
        self.stop = Some(Stop {
            position,
            cause,
            retry_at: None,
        });
        self.commit(Synced::Yes);
        self.publish();
    }

    /// The file failed: it is opened again where it was last durable, and the view goes on after a pause.
    fn fail(&mut self, position: Position, error: &TableError) {
        let damaged = matches!(error, TableError::Storage(error) if matches!(**error, redb::Error::Corrupted(_)));
        tracing::error!(view = self.shared.name, %position, %error, damaged, "the view's file failed");
        metrics::counter!("doorstep_view_file_failures_total", "view" => self.shared.name)
            .increment(1);
        self.stop = Some(Stop {
            position,
            cause: error.to_string(),
            retry_at: Some(Instant::now() + self.pause),
        });
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.reopen(damaged);
        self.publish();
    }

    fn reopen(&mut self, damaged: bool) {
        self.overlay = Overlay::new(self.view.tables().len());
        // The file must be closed everywhere before it is opened again.
        self.shared
            .published
            .send_modify(|published| published.reader = None);
        self.file = None;
        if damaged
            && let Some(path) = &self.home.path
            && let Err(error) = ViewFile::discard(path)
        {
            tracing::error!(view = self.shared.name, %error, "the damaged file cannot be deleted");
        }
        self.goal = self.goal.max(self.applied);
        match self.home.open(self.view.tables(), self.applied) {
            Ok((file, opened)) => {
                tracing::warn!(
                    view = self.shared.name,
                    ?opened,
                    "the view's file is opened again"
                );
                self.applied = file.checkpoint().position;
                self.durable = self.applied;
                self.caught_up = false;
                self.events_since_durable = 0;
                self.file = Some(file);
            }
            Err(error) => {
                tracing::error!(view = self.shared.name, %error, "the view's file cannot be opened");
            }
        }
    }

    /// Lets a view whose file failed go on; whether it does, and needs the log from where it stands.
    pub(crate) fn retry(&mut self) -> bool {
        if self.file.is_none() {
            self.reopen(false);
        }
        if self.file.is_none() {
            if let Some(stop) = &mut self.stop {
                stop.retry_at = Some(Instant::now() + self.pause);
            }
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            return false;
        }
        self.stop = None;
        self.publish();
        true
    }

    /// Commits durably and closes the file.
    pub(crate) fn close(&mut self) -> Option<String> {
        if self.is_dirty() && self.stop.is_none() {
            self.commit(Synced::Yes);
        }
        let failure = self
            .stop
            .as_ref()
            .filter(|stop| stop.retry_at.is_some())
            .map(|stop| stop.cause.clone());
        self.shared.published.send_modify(|published| {
            published.state = ViewState::Closed;
            published.reader = None;
        });
        self.file = None;
        failure
    }
}

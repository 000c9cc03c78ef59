//! Two versions of a view: the newest one of the program, and the one before it.
//!
//! A new version begins without rows. While they are made (`care`), those of the earlier version are served, which goes on
//! following the log by its own code; then the applying thread switches in one step. The earlier version follows on for
//! going back, over restarts, until it is dropped. What is served after a kill is told by what lies in the folder: the
//! newest version where its file is whole and it was not taken back, else the earlier one, and where neither is whole, the
//! newest once it is built. What cannot be trusted is deleted; of files to go back to there is one at most.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use event_store::{LogId, Position};
use rustc_hash::FxHashMap;

use crate::follower::{Follower, Home};
use crate::names::{file_path, is_marked, mark, previous_path, remove_unfinished, unmark};
use crate::runner::check_names;
use crate::switch::previous;
use crate::{Codec, OpenedAs, Skips, StartError, TableError, View, ViewFile};

/// Where the file of another version of a view is served from.
pub(crate) fn beside(served: &Path, view: &str, version: u32) -> PathBuf {
    let dir = served.parent().unwrap_or(Path::new(""));
    file_path(dir, view, version)
}

/// Whether the earlier version of a view is one.
pub(crate) fn check<C: Codec>(view: &dyn View<C>) -> Result<(), StartError> {
    let Some(earlier) = view.earlier() else {
        return Ok(());
    };
    let (name, version) = (view.name(), view.version());
    if earlier.name() != name || earlier.version() >= version {
        return Err(StartError::Views(format!(
            "`{}` {} is no earlier version of `{name}` {version}",
            earlier.name(),
            earlier.version()
        )));
    }
    check_names(name, earlier.tables())
}

/// The views of a runner, in their newest versions.
pub(crate) struct Versions<C: Codec>(pub(crate) Vec<Arc<dyn View<C>>>);

impl<C: Codec> Versions<C> {
    /// The newest version of the view in that place.
    pub(crate) fn newest(&self, view: usize) -> Option<u32> {
        self.0.get(view).map(|view| view.version())
    }

    /// The code of a version of it.
    pub(crate) fn of(&self, view: usize, version: u32) -> Option<Arc<dyn View<C>>> {
        let newest = self.0.get(view)?;
        if newest.version() == version {
            return Some(Arc::clone(newest));
        }
        newest
            .earlier()
            .filter(|earlier| earlier.version() == version)
    }
}

/// How the files of one view are opened.
pub(crate) struct Opening<'a> {
    /// What each version of the view shall do without.
    pub(crate) skips: &'a FxHashMap<u32, Arc<Skips>>,
    pub(crate) dir: Option<&'a Path>,
    pub(crate) log_id: LogId,
    /// Where the log ends.
    pub(crate) durable: Position,
    pub(crate) cache_bytes: usize,
    /// The time of the first durable checkpoint.
    pub(crate) due: Instant,
}

impl Opening<'_> {
    /// The file that is served, or that is built where none is whole, and the one that is kept for going back.
    pub(crate) fn open<C: Codec>(
        &self,
        view: &Arc<dyn View<C>>,
    ) -> Result<(Follower<C>, Option<Follower<C>>), StartError> {
        let Some(dir) = self.dir else {
            return Ok((self.follow(view, None)?, None));
        };
        let at = |version| file_path(dir, view.name(), version);
        let newest = at(view.version());
        remove_unfinished(&newest)?;
        if let Some(earlier) = view.earlier() {
            let old = at(earlier.version());
            remove_unfinished(&old)?;
            if let Some(earlier) = self.whole(&earlier, &old)? {
                return self.open_both(view, &newest, earlier, &old);
            }
            ViewFile::discard(&previous_path(&old))?;
            unmark(&newest)?;
        }
        let serving = self.follow(view, Some(newest.clone()))?;
        let kept = previous(&serving, &newest, self.durable)?;
        Ok((serving, kept))
    }

    /// The same where the file of the earlier version is whole.
    fn open_both<C: Codec>(
        &self,
        view: &Arc<dyn View<C>>,
        newest: &Path,
        earlier: Follower<C>,
        old: &Path,
    ) -> Result<(Follower<C>, Option<Follower<C>>), StartError> {
        ViewFile::discard(&previous_path(newest))?;
        let Some(new) = self.whole(view, newest)? else {
            tracing::info!(
                view = view.name(),
                version = view.version(),
                served = earlier.view.version(),
                "the earlier version of the view is served"
            );
            let kept = previous(&earlier, old, self.durable)?;
            return Ok((earlier, kept));
        };
        ViewFile::discard(&previous_path(old))?;
        let (serving, mut kept) = if is_marked(newest) {
            (earlier, new)
        } else {
            (new, earlier)
        };
        kept.is_previous = true;
        *serving.shared.previous.lock() = Some(Arc::clone(&kept.shared));
        Ok((serving, Some(kept)))
    }

    /// The file of a version, where there is a whole one that can be trusted; whatever else there is of it is deleted.
    fn whole<C: Codec>(
        &self,
        view: &Arc<dyn View<C>>,
        served: &Path,
    ) -> Result<Option<Follower<C>>, StartError> {
        if served.is_file() {
            let follower = self.follow(view, Some(served.to_owned()))?;
            if !follower.is_building() {
                return Ok(Some(follower));
            }
        }
        ViewFile::discard(served)?;
        Ok(None)
    }

    /// Opens the file of a version, or begins one.
    fn follow<C: Codec>(
        &self,
        view: &Arc<dyn View<C>>,
        path: Option<PathBuf>,
    ) -> Result<Follower<C>, TableError> {
        let home = Home {
            path,
            log_id: self.log_id,
            cache_bytes: self.cache_bytes,
        };
        let (file, opened) = home.open(view.tables(), self.durable)?;
        let (name, version) = (view.name(), view.version());
        match &opened {
            OpenedAs::Discarded { reason } => {
                metrics::counter!("doorstep_view_discarded_total", "view" => name).increment(1);
                tracing::warn!(
                    view = name,
                    version,
                    reason,
                    "the view's file was thrown away and is made again"
                );
            }
            OpenedAs::New | OpenedAs::Existing | OpenedAs::Unfinished => {
                let position = file.checkpoint().position;
                tracing::info!(view = name, version, %position, ?opened, "view opened");
            }
        }
        let view = Arc::clone(view);
        let skips = self.skips.get(&view.version()).cloned().unwrap_or_default();
        Ok(Follower::new(
            view,
            skips,
            home,
            file,
            self.durable,
            self.due,
        ))
    }
}

/// Gives a new version its file's name, from when on it is the one that is served, and lets it be what the earlier one was
/// to whoever reads. Both are durable. Where it fails, the earlier one is served.
pub(crate) fn take_over<C: Codec>(
    serving: &mut Follower<C>,
    fresh: &mut Follower<C>,
) -> Result<(), TableError> {
    if let Some(path) = serving.path() {
        let newest = beside(path, fresh.view.name(), fresh.view.version());
        fresh.rename(newest.clone())?;
        // It may have been taken back before it was made anew.
        unmark(&newest)?;
    }
    serving.trade_roles(fresh);
    Ok(())
}

/// Lets the other version that is kept be what the served one was, durably.
pub(crate) fn roll<C: Codec>(
    serving: &mut Follower<C>,
    kept: &mut Follower<C>,
) -> Result<(), TableError> {
    if let (Some(from), Some(to)) = (serving.path(), kept.path()) {
        if kept.view.version() < serving.view.version() {
            mark(from)?;
        } else {
            unmark(to)?;
        }
    }
    serving.trade_roles(kept);
    Ok(())
}

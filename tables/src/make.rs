//! Folds of views into files, whatever their codec: what the care of views is done with.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use event_store::{EventStore, Position};

use crate::pace::Pace;
use crate::rebuild::{Folded, advance, begin};
use crate::versions::Versions;
use crate::{Codec, Progress, RebuildOptions, Skips, StartError, View, ViewFile};

/// Tells how far a fold is, and hears whether it is still wanted.
pub(crate) type Telling = Box<dyn FnMut(Progress) -> Folded + Send>;

/// Folds of the views, whatever their codec.
#[async_trait]
pub(crate) trait Make: Send + Sync {
    /// The log.
    fn store(&self) -> Arc<dyn EventStore>;

    /// The newest version of a view.
    fn newest(&self, view: usize) -> Option<u32>;

    /// What the log says up to `until` that a version of a view shall do without.
    async fn skips(&self, view: (usize, u32), until: Position) -> Result<Arc<Skips>, StartError>;

    /// Folds the log into a fresh file, or goes on with one, by the code of a version, which does without some events.
    async fn fold(
        &self,
        (view, version, skips): (usize, u32, &Arc<Skips>),
        into: Into<'_>,
        until: Position,
        options: RebuildOptions,
        (pace, progress): (Pace, Telling),
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
    pub(crate) versions: Arc<Versions<C>>,
}

impl<C: Codec> Maker<C> {
    fn code(&self, view: usize, version: u32) -> Result<Arc<dyn View<C>>, StartError> {
        let none = || StartError::Views(format!("there is no code of version {version}"));
        self.versions.of(view, version).ok_or_else(none)
    }
}

#[async_trait]
impl<C: Codec> Make for Maker<C> {
    fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store)
    }

    fn newest(&self, view: usize) -> Option<u32> {
        self.versions.newest(view)
    }

    async fn skips(
        &self,
        (view, version): (usize, u32),
        until: Position,
    ) -> Result<Arc<Skips>, StartError> {
        let view = self.code(view, version)?;
        let of = (view.name(), version);
        let skips = Skips::read(&*self.store, &*self.codec, of, until).await?;
        Ok(Arc::new(skips))
    }

    async fn fold(
        &self,
        (view, version, skips): (usize, u32, &Arc<Skips>),
        into: Into<'_>,
        until: Position,
        options: RebuildOptions,
        (pace, progress): (Pace, Telling),
    ) -> Result<ViewFile, StartError> {
        let view = self.code(view, version)?;
        let mut file = match into {
            Into::Fresh(path) => begin(&*self.store, &*view, path, options)?,
            Into::On(file) => *file,
        };
        file.set_pace(pace);
        let (store, codec) = (Arc::clone(&self.store), Arc::clone(&self.codec));
        let view = (view, Arc::clone(skips));
        let folded = advance(store, codec, view, file, until, options, progress).await?;
        Ok(folded.file)
    }
}

//! A data folder of a given size, filled once for all rows that need one.

use std::path::Path;
use std::sync::Arc;

use commands::Mode;
use event_store::EventStore as _;

use super::commands::caught_up;
use super::world::{self, Size, Texts};
use crate::compose::{self, DataFolder, Store};

/// A filled data folder at rest, its views caught up.
pub(crate) struct Filled {
    pub(crate) folder: DataFolder,
    pub(crate) size: Size,
    /// Events that it really has.
    pub(crate) events: u64,
}

impl Filled {
    /// Fills a folder.
    pub(crate) async fn fill(path: &Path, events: u64) -> anyhow::Result<Self> {
        let folder = DataFolder::at(path);
        folder.create()?;
        let size = Size::of(events);
        let store = Arc::new(compose::open_embedded(
            &folder,
            event_store::Options::default(),
        )?);
        let handler = compose::start_commands(&folder, &store, Mode::Service).await?;
        world::fill(&handler, size, &Texts::read()?).await?;
        handler.drain_reactors().await?;
        handler.stop().await;
        let reads = compose::start_reads(&folder, &store, 128 << 20).await?;
        caught_up(&reads, store.durable_position()).await?;
        reads.stop().await?;
        let events = store.durable_position().0;
        store.close();
        Ok(Self {
            folder,
            size,
            events,
        })
    }

    /// Opens its log.
    pub(crate) fn open(&self) -> anyhow::Result<Store> {
        Ok(Arc::new(compose::open_embedded(
            &self.folder,
            event_store::Options::default(),
        )?))
    }
}

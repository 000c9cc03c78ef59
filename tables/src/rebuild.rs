//! A view made from the log alone, aside from the one that serves.

use std::path::Path;
use std::sync::Arc;

use event_store::{EventStore, Position, RecordedEvent};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::file::Synced;
use crate::letters::{Applying, Blocked};
use crate::overlay::Overlay;
use crate::pace::{self, Pace};
use crate::runner::{check_names, thread};
use crate::{Codec, Skips, StartError, View, ViewFile};

/// Events and bytes of one reading: short, since whoever runs beside it waits for it.
const BLOCK_EVENTS: usize = 1_024;
const BLOCK_BYTES: usize = 512 << 10;
/// Blocks read ahead.
const BLOCKS_AHEAD: usize = 2;

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events folded so far.
    pub events: u64,
    /// The last of them.
    pub position: Position,
    /// Where it ends.
    pub until: Position,
}

/// What a rebuild made.
pub struct Rebuilt {
    /// The file, in its place, with its checkpoint and its rows.
    pub file: ViewFile,
    /// Events folded.
    pub events: u64,
}

/// The bounds of a rebuild.
#[derive(Clone, Copy, Debug)]
pub struct RebuildOptions {
    /// Folded rows held in memory, in bytes; past it they go into the file, and the fold goes on over them.
    pub overlay_bytes_max: usize,
    /// Cache of the file, in bytes.
    pub cache_bytes: usize,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self {
            overlay_bytes_max: 128 << 20,
            cache_bytes: 64 << 20,
        }
    }
}

/// Folds the log up to `until`, or to its durable end if that is earlier, into a fresh file at `path`, which must not
/// be open: in memory first, then loaded in key order. The file is put at `path` durably and in one step at the end;
/// killed before, it leaves what was there.
pub async fn rebuild<C: Codec>(
    store: Arc<dyn EventStore>,
    codec: Arc<C>,
    view: Arc<dyn View<C>>,
    path: &Path,
    until: Position,
    options: RebuildOptions,
    mut progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Rebuilt, StartError> {
    let until = until.min(store.durable_position());
    let mut file = begin(&*store, &*view, path, options)?;
    file.set_pace(Pace::beside(Arc::clone(&store), Arc::default()));
    let progress = move |told| {
        progress(told);
        Folded::GoOn
    };
    let skips = Skips::read(&*store, &*codec, (view.name(), view.version()), until).await?;
    let view = (view, Arc::new(skips));
    advance(store, codec, view, file, until, options, progress).await
}

/// Whether a fold that told its progress is still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    GoOn,
    Enough,
}

/// Begins a file for a fold.
pub(crate) fn begin<C: Codec>(
    store: &dyn EventStore,
    view: &dyn View<C>,
    path: &Path,
    options: RebuildOptions,
) -> Result<ViewFile, StartError> {
    check_names(view.name(), view.tables())?;
    let begun = ViewFile::begin(path, view.tables(), store.log_id(), options.cache_bytes);
    Ok(begun?)
}

/// Folds the events after a file's checkpoint, up to `until`, into it, at the file's pace. One that was begun gets its name
/// at the end; the last commit is a synced one.
pub(crate) async fn advance<C: Codec>(
    store: Arc<dyn EventStore>,
    codec: Arc<C>,
    (view, skips): (Arc<dyn View<C>>, Arc<Skips>),
    file: ViewFile,
    until: Position,
    options: RebuildOptions,
    progress: impl FnMut(Progress) -> Folded + Send + 'static,
) -> Result<Rebuilt, StartError> {
    let from = file.checkpoint().position;
    let (blocks, reading) = mpsc::channel(BLOCKS_AHEAD);
    let fold = Folding {
        codec,
        view,
        skips,
        file,
        options,
        until,
        progress,
    };
    let (made, rebuilt) = oneshot::channel();
    thread("views-rebuild", move || {
        // Nobody waits for it any more where that fails.
        let _ = made.send(fold.run(reading));
    })?;
    let runtime = Handle::current();
    let (ended, read) = oneshot::channel();
    thread("views-rebuild-read", move || {
        pace::give_way();
        let _ = ended.send(runtime.block_on(read_into(&*store, from, until, blocks)));
    })?;
    let panicked = |_| StartError::Thread("the rebuild panicked".to_owned());
    let rebuilt = rebuilt.await.map_err(panicked)?;
    // Why nothing more was read says more than that it ended early.
    read.await.map_err(panicked)??;
    rebuilt
}

/// Reads after `after`, up to `until`; ends early, and quietly, when nobody takes it any more.
async fn read_into(
    store: &dyn EventStore,
    mut after: Position,
    until: Position,
    blocks: mpsc::Sender<Vec<RecordedEvent>>,
) -> Result<(), StartError> {
    while after < until {
        let read = store.read_all(after, BLOCK_EVENTS, BLOCK_BYTES).await;
        let mut block = read?;
        block.truncate(block.partition_point(|event| event.position() <= until));
        let Some(last) = block.last() else {
            return Ok(());
        };
        after = last.position();
        if blocks.send(block).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

struct Folding<C: Codec, P> {
    codec: Arc<C>,
    view: Arc<dyn View<C>>,
    skips: Arc<Skips>,
    file: ViewFile,
    options: RebuildOptions,
    until: Position,
    progress: P,
}

impl<C: Codec, P: FnMut(Progress) -> Folded> Folding<C, P> {
    fn run(
        mut self,
        mut blocks: mpsc::Receiver<Vec<RecordedEvent>>,
    ) -> Result<Rebuilt, StartError> {
        let mut overlay = Overlay::new(self.view.tables().len());
        let mut position = self.file.checkpoint().position;
        let mut events = 0;
        pace::give_way();
        while let Some(block) = blocks.blocking_recv() {
            for event in &block {
                self.file.rest()?;
                if self.view.wants(event.event_type()) {
                    self.apply(&mut overlay, event)?;
                }
                position = event.position();
                events += 1;
            }
            if overlay.bytes() > self.options.overlay_bytes_max {
                self.file.commit(&mut overlay, position, Synced::No)?;
            }
            let told = (self.progress)(Progress {
                events,
                position,
                until: self.until,
            });
            if told == Folded::Enough {
                return Err(StartError::Stopped);
            }
        }
        if position < self.until {
            return Err(StartError::Log(format!(
                "it ended at {position}, before {}",
                self.until
            )));
        }
        self.file.commit(&mut overlay, position, Synced::Yes)?;
        self.file.put_in_place()?;
        self.file.set_pace(Pace::alone());
        Ok(Rebuilt {
            file: self.file,
            events,
        })
    }

    fn apply(&mut self, overlay: &mut Overlay, event: &RecordedEvent) -> Result<(), StartError> {
        let (below, letters) = self.file.parts();
        let nothing_below = below.is_void()?;
        let mut applying = Applying {
            view: &*self.view,
            skips: &self.skips,
            overlay,
            below: (!nothing_below).then_some(below),
            letters,
        };
        let taken = applying.take(event, &self.codec.decode(event));
        taken.map_err(|blocked| match blocked {
            Blocked::Table(error) => error.into(),
            Blocked::Full(cause) => StartError::Apply {
                view: self.view.name(),
                position: event.position(),
                cause,
            },
        })
    }
}

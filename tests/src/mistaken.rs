//! A view's file with rows that the log does not give, as a mistake in the view's code would have left it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_store::{EventStore, RecordedEvent};
use projections::DomainCodec;
use tables::{ApplyError, Codec, Runner, RunnerOptions, Tx, View};

/// A view with a row too many.
struct Mistaken(Arc<dyn View<DomainCodec>>);

impl View<DomainCodec> for Mistaken {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        self.0.version()
    }

    fn tables(&self) -> &'static [&'static str] {
        self.0.tables()
    }

    fn wants(&self, event_type: &str) -> bool {
        self.0.wants(event_type)
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        event: &RecordedEvent,
        decoded: &<DomainCodec as Codec>::Decoded<'_>,
    ) -> Result<(), ApplyError> {
        self.0.apply(tx, event, decoded)?;
        Ok(tx.put(self.0.tables()[0], b"\xff\xff", b"nobody")?)
    }
}

/// Makes the file of a view in this folder anew, through code with a mistake in it. Nobody else has the folder.
///
/// # Panics
/// When it cannot be made.
pub async fn plant(store: Arc<dyn EventStore>, folder: &Path, view: &str) {
    for stored in tables::stored_files(folder).unwrap() {
        if stored.view == view {
            tables::delete_stored(&stored).unwrap();
        }
    }
    let mut views = projections::views().into_iter();
    let right = views.find(|found| found.name() == view).unwrap();
    let views: Vec<Arc<dyn View<DomainCodec>>> = vec![Arc::new(Mistaken(right))];
    let end = store.durable_position();
    let options = RunnerOptions::in_dir(folder);
    let runner = Runner::start(store, DomainCodec, views, options)
        .await
        .unwrap();
    runner
        .wait(view, end, Duration::from_mins(1))
        .await
        .unwrap();
    runner.stop().await.unwrap();
}

//! Views with a planted bug: they fail at the events of one stream, from a moment on, until they are repaired.
//!
//! Any view can be wrapped, all of one set by one [`Bug`]; what is not the stream's is the view's own code. How it fails
//! is all that a view can do: say so, panic, and either of them after it has changed rows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::event::Event;
use event_store::{Position, RecordedEvent};
use projections::DomainCodec;
use tables::{ApplyError, Codec as _, Tx, View, WaitKey};

/// How a view fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// It says so.
    Says,
    /// It panics.
    Panics,
    /// It says so once the rows are changed.
    SaysLate,
    /// It panics once the rows are changed.
    PanicsLate,
}

/// Where views fail, and whether they do.
#[derive(Clone, Debug)]
pub struct Bug {
    stream: Arc<str>,
    from: Position,
    failing: Failing,
    there: Arc<AtomicBool>,
}

impl Bug {
    /// A bug with the events of a stream at or behind a position.
    pub fn with(stream: &str, from: Position, failing: Failing) -> Self {
        Self {
            stream: stream.into(),
            from,
            failing,
            there: Arc::new(AtomicBool::new(true)),
        }
    }

    /// These views with it.
    pub fn in_all(
        &self,
        views: Vec<Arc<dyn View<DomainCodec>>>,
    ) -> Vec<Arc<dyn View<DomainCodec>>> {
        views.into_iter().map(|view| self.in_one(view)).collect()
    }

    fn in_one(&self, view: Arc<dyn View<DomainCodec>>) -> Arc<dyn View<DomainCodec>> {
        let bug = self.clone();
        Arc::new(Buggy { view, bug })
    }

    /// Every view with it is right from now on.
    pub fn repair(&self) {
        self.there.store(false, Ordering::SeqCst);
    }

    fn meets(&self, event: &RecordedEvent) -> bool {
        event.stream() == &*self.stream && event.position() >= self.from
    }

    /// The positions that a view has to set aside for it: those it fails at, and by the view's own word all that conflict
    /// with one of them.
    ///
    /// # Panics
    /// Where an event cannot be decoded.
    pub fn sets_aside(
        &self,
        view: &dyn View<DomainCodec>,
        events: &[RecordedEvent],
    ) -> BTreeSet<Position> {
        let (mut written, mut touched) = (BTreeSet::new(), BTreeSet::new());
        let mut aside = BTreeSet::new();
        let wanted = |event: &&RecordedEvent| view.wants(event.event_type());
        for event in events.iter().filter(wanted) {
            let decoded = DomainCodec.decode(event).unwrap();
            let keys = view.keys(event, Some(&decoded));
            let waits = keys.iter().any(|key| match key {
                WaitKey::Writes(name) => touched.contains(name),
                WaitKey::Reads(name) => written.contains(name),
            });
            if self.meets(event) || waits {
                aside.insert(event.position());
                for key in keys {
                    touched.insert(key.name().to_owned());
                    if let WaitKey::Writes(name) = key {
                        written.insert(name);
                    }
                }
            }
        }
        aside
    }

    fn changed<T>(
        &self,
        event: &RecordedEvent,
        change: impl FnOnce() -> Result<T, ApplyError>,
    ) -> Result<T, ApplyError> {
        if !self.meets(event) || !self.there.load(Ordering::SeqCst) {
            return change();
        }
        match self.failing {
            Failing::Says | Failing::Panics => {}
            Failing::SaysLate | Failing::PanicsLate => drop(change()),
        }
        match self.failing {
            Failing::Says | Failing::SaysLate => Err(ApplyError::message("a planted bug")),
            Failing::Panics | Failing::PanicsLate => panic!("a planted bug"),
        }
    }
}

struct Buggy {
    view: Arc<dyn View<DomainCodec>>,
    bug: Bug,
}

impl View<DomainCodec> for Buggy {
    fn name(&self) -> &'static str {
        self.view.name()
    }

    fn version(&self) -> u32 {
        self.view.version()
    }

    fn earlier(&self) -> Option<Arc<dyn View<DomainCodec>>> {
        Some(self.bug.in_one(self.view.earlier()?))
    }

    fn tables(&self) -> &'static [&'static str] {
        self.view.tables()
    }

    fn wants(&self, event_type: &str) -> bool {
        self.view.wants(event_type)
    }

    fn cache_share(&self) -> u32 {
        self.view.cache_share()
    }

    fn keys(&self, event: &RecordedEvent, decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        self.view.keys(event, decoded)
    }

    fn letters_max(&self) -> usize {
        self.view.letters_max()
    }

    fn apply_header(
        &self,
        tx: &mut Tx<'_>,
        event: &RecordedEvent,
    ) -> Option<Result<(), ApplyError>> {
        // Always late: whether the header is enough is known once the view was asked.
        let applied = self.view.apply_header(tx, event)?;
        Some(self.bug.changed(event, || applied))
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        event: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        self.bug
            .changed(event, || self.view.apply(tx, event, decoded))
    }
}

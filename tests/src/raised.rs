//! A view in a version higher than it is: what the next release of the program would have, with the code of this one kept.

use std::sync::Arc;

use event_store::RecordedEvent;
use projections::DomainCodec;
use tables::{ApplyError, Codec, Tx, View};

/// The same rows under a higher version.
struct Raised(Arc<dyn View<DomainCodec>>);

impl View<DomainCodec> for Raised {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        self.0.version() + 1
    }

    fn earlier(&self) -> Option<Arc<dyn View<DomainCodec>>> {
        Some(Arc::clone(&self.0))
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
        self.0.apply(tx, event, decoded)
    }
}

/// All views of the read side, each a version higher and with its code of today as the version before.
pub fn views() -> Vec<Arc<dyn View<DomainCodec>>> {
    projections::views()
        .into_iter()
        .map(|view| -> Arc<dyn View<DomainCodec>> { Arc::new(Raised(view)) })
        .collect()
}

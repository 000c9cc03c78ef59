//! A store in front of the real one that comes to no append of one type: what waits for it waits until the process is
//! killed.
//!
//! Everything is the real store's; it tells the parent process when such an append is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{Append, EventStore};

use crate::front::{Front, Fronted};
use crate::killed;

/// A store that halts before an event.
pub struct Halting {
    before: String,
}

impl Halting {
    /// A store that halts before the first event of this type, and tells `halted` then.
    pub fn over(store: Arc<dyn EventStore>, before: &str) -> Arc<Fronted<Self>> {
        let before = before.to_owned();
        Fronted::over(store, Self { before })
    }
}

#[async_trait]
impl Front for Halting {
    async fn before(&self, _behind: &dyn EventStore, append: &Append) {
        let mut events = append.events.iter();
        if events.any(|event| *event.event_type == *self.before) {
            killed::tell("halted");
            std::future::pending::<()>().await;
        }
    }
}

//! A store in front of the real one that does not give some events to who reads them alone, as a reactor reads its causes:
//! it keeps who asks waiting, or says that they cannot be read, until it is let go.
//!
//! Everything else is the real store's: appends, streams, and the log as views read it.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{Position, ReadError, RecordedEvent};
use tokio::sync::watch;

use crate::front::Front;

/// How who asks fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// They wait.
    Waits,
    /// They are told that it cannot be read.
    Fails,
}

/// Which events, if any.
#[derive(Clone, Debug)]
struct Kept {
    event_type: &'static str,
    stream: String,
    after: Position,
    how: How,
}

/// What keeps events back; its clones are one.
#[derive(Clone)]
pub struct Stuck(Arc<watch::Sender<Option<Kept>>>);

impl Default for Stuck {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Stuck {
    /// Keeps back the events of this type, without its version, on this stream after a position.
    pub fn keep(&self, event_type: &'static str, stream: &str, after: Position, how: How) {
        let stream = stream.to_owned();
        self.0.send_replace(Some(Kept {
            event_type,
            stream,
            after,
            how,
        }));
    }

    /// Lets everything go.
    pub fn let_go(&self) {
        self.0.send_replace(None);
    }
}

#[async_trait]
impl Front for Stuck {
    async fn giving(&self, event: &RecordedEvent) -> Result<(), ReadError> {
        let holds = |kept: &Option<Kept>, how| {
            kept.as_ref().is_some_and(|kept| {
                kept.how == how
                    && kept.stream == event.stream()
                    && kept.after < event.position()
                    && kept.event_type == domain::codec::name(event.event_type())
            })
        };
        if holds(&self.0.borrow(), How::Fails) {
            return Err(ReadError::Closed);
        }
        let mut changes = self.0.subscribe();
        let _ = changes.wait_for(|kept| !holds(kept, How::Waits)).await;
        Ok(())
    }
}

//! What stands on a cluster beside the log: events of streams that are somebody else's.
//!
//! They are only counted, up to a bound, so that whoever moves a log over learns that they are there. The server picks them
//! out by a pattern with a look-ahead, which its regular expressions have.

use event_store::{Position, ReadError};
use eventstore::{ReadAllOptions, StreamPosition, SubscriptionFilter};

use super::event;
use super::reading::there;
use super::store::{Inner, KurrentStore};
use super::streams::Streams;
use super::{identity, lease};

/// Events read by one call at most.
const PAGE_EVENTS: usize = 1_024;

impl KurrentStore {
    /// How many events other streams have, the system's own aside; counted up to `max`.
    pub async fn others(&self, max: usize) -> Result<usize, ReadError> {
        let inner = self.inner();
        let Streams::Categories(categories) = inner.streams else {
            return Ok(0);
        };
        let names = categories.join("|");
        let (log, lease) = (identity::STREAM, lease::STREAM);
        let pattern = format!("^(?!\\$|{log}$|{lease}$|(?:{names})(?:-|$))");
        let mut counted = 0;
        let mut from = Position::START;
        loop {
            let at = match from {
                Position::START => StreamPosition::Start,
                at => there(at),
            };
            let options = ReadAllOptions::default()
                .position(at)
                .filter(SubscriptionFilter::on_stream_name().regex(&pattern))
                .max_count(PAGE_EVENTS)
                .requires_leader(true)
                .forwards();
            let page = inner.link.call(|client| {
                let options = options.clone();
                async move {
                    let mut reading = client.read_all(&options).await?;
                    let mut told = Vec::new();
                    while let Some(event) = reading.next().await? {
                        told.push(event::position(&event));
                    }
                    Ok(told)
                }
            });
            let told = page.await.map_err(|failure| Inner::unread(&failure))?;
            counted += told.iter().filter(|position| **position > from).count();
            match told.last() {
                Some(last) if told.len() >= PAGE_EVENTS && counted < max && *last > from => {
                    from = *last;
                }
                Some(_) | None => return Ok(counted.min(max)),
            }
        }
    }
}

//! Texts that no row keeps, read from the log.
//!
//! A text is stored once, in the log; `conversation` keeps the version of the event that sent each message. Neighbours
//! of a page mostly are neighbours in their stream, so a page is read in few stretches.

use anyhow::Context;
use domain::conversation;
use domain::ids::ConversationId;
use domain::time::Timestamp;
use event_store::{Direction, EventStore, RecordedEvent, StreamFrom, StreamName};

/// A gap between two wanted versions that is read over rather than asked anew.
const GAP_MAX: u64 = 8;

/// A message as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) text: String,
    pub(crate) sent_at: Timestamp,
}

/// The message that the event of this version sent.
pub(crate) async fn message(
    store: &dyn EventStore,
    conversation: ConversationId,
    version: u64,
) -> anyhow::Result<Sent> {
    let event = event(store, conversation, version).await?;
    sent(&event)?.with_context(|| absent(version))
}

/// The event of this version.
pub(crate) async fn event(
    store: &dyn EventStore,
    conversation: ConversationId,
    version: u64,
) -> anyhow::Result<RecordedEvent> {
    let stream = stream_of(conversation)?;
    let event = store.read_one(&stream, version).await?;
    event.with_context(|| absent(version))
}

/// The messages that the events of these versions sent, in the order given, which falls.
pub(crate) async fn messages(
    store: &dyn EventStore,
    conversation: ConversationId,
    versions: &[u64],
) -> anyhow::Result<Vec<Sent>> {
    let stream = stream_of(conversation)?;
    let mut found = Vec::with_capacity(versions.len());
    let mut rest = versions;
    while let Some((first, _)) = rest.split_first() {
        let (mut end, mut last) = (1, *first);
        for version in rest.iter().skip(1) {
            if last.saturating_sub(*version) > GAP_MAX {
                break;
            }
            (end, last) = (end + 1, *version);
        }
        let (stretch, later) = rest.split_at(end);
        let span = usize::try_from(first.saturating_sub(last) + 1)?;
        let events = store
            .read_stream(
                &stream,
                StreamFrom::Version(*first),
                Direction::Backward,
                span,
            )
            .await?;
        let mut events = events.iter();
        for version in stretch {
            let event = events
                .find(|event| event.version() == *version)
                .with_context(|| absent(*version))?;
            found.push(sent(event)?.with_context(|| absent(*version))?);
        }
        rest = later;
    }
    Ok(found)
}

fn sent(event: &RecordedEvent) -> anyhow::Result<Option<Sent>> {
    let text = domain::codec::message_text(event.event_type(), event.data())?;
    Ok(text.map(|text| Sent {
        text: text.into_cow().into_owned(),
        sent_at: Timestamp(event.at_ms()),
    }))
}

fn stream_of(conversation: ConversationId) -> anyhow::Result<StreamName> {
    Ok(StreamName::new(conversation::stream(conversation))?)
}

fn absent(version: u64) -> String {
    format!("the log has no such event at version {version} of the conversation")
}

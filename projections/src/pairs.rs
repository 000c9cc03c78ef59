//! `pairs`: which conversations has a member, of whatever kind, and since when?
//!
//! Key: member, conversation; the row names the other member and the position of the conversation's first event. It is
//! written once a pair, by that event, be it a message, a block, a relationship or a refusal, and never again: an index
//! of streams for who asks what stood where at a moment ([`crate::as_of`]). Bound: two rows per conversation.

use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use event_store::{Position, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, Tx, View};
use uuid::Uuid;

use crate::ViewName;
use crate::codec::{DomainCodec, conversation_of};
use crate::rows::{decode, store};
use crate::topic::Topic;

const ROWS: &str = "rows";

/// A conversation of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairItem {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The other member.
    pub with: MemberId,
    /// The position of its first event.
    pub since: Position,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    with: MemberId,
    since: u64,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairs;

impl View<DomainCodec> for Pairs {
    fn name(&self) -> &'static str {
        ViewName::Pairs.as_str()
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS]
    }

    fn wants(&self, event_type: &str) -> bool {
        // Whatever may be a conversation's first event. Refusals stand on all streams.
        Topic::of(event_type).is_one_of(&[
            Topic::Message,
            Topic::Request,
            Topic::Blocking,
            Topic::Relationship,
            Topic::Nothing,
        ])
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        if recorded.version() > 0 {
            return Ok(());
        }
        let (one, other) = match decoded {
            Event::Conversation(event) => {
                let [one, other] = event.members();
                (one, other)
            }
            Event::Refused(refused) if recorded.stream().starts_with("conversation-") => {
                let Some(other) = &refused.other else {
                    return Ok(());
                };
                (&refused.by, other)
            }
            Event::Refused(_)
            | Event::Member(_)
            | Event::Case(_)
            | Event::Policy(_)
            | Event::Reactor(_)
            | Event::Act(_) => return Ok(()),
        };
        let id = conversation_of(recorded)?;
        // Of a refusal to write to oneself the two are one; its stream holds refusals alone.
        for (member, with) in [(one, other), (other, one)] {
            let row = Row {
                with: with.clone(),
                since: recorded.position().0,
            };
            store(tx, ROWS, &key(member, id), &row)?;
        }
        Ok(())
    }
}

fn key(member: &MemberId, id: ConversationId) -> Key {
    Key::with_capacity(member.as_str().len() + 18)
        .text(member.as_str())
        .fixed(id.0.as_bytes())
}

/// The conversations of a member that had begun at `until`, by their ids; at most `max`, and one more where there are
/// more.
pub(crate) fn of_member(
    reader: &Reader,
    member: &MemberId,
    until: Position,
    max: usize,
) -> anyhow::Result<Vec<PairItem>> {
    let mut items = Vec::new();
    let prefix = Key::new().text(member.as_str());
    for row in reader.scan(ROWS, &Span::prefix(&prefix), Order::Ascending)? {
        let (key, value) = row?;
        let Row { with, since } = decode(ROWS, &value)?;
        let Some(id) = key.last_chunk::<16>().filter(|_| since <= until.0) else {
            continue;
        };
        items.push(PairItem {
            conversation_id: ConversationId(Uuid::from_bytes(*id)),
            with,
            since: Position(since),
        });
        if items.len() > max {
            break;
        }
    }
    Ok(items)
}

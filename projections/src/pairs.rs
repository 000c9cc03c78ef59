//! `pairs`: which conversations has a member, of whatever kind, and since when?
//!
//! Key: member, conversation; the row names the other member and the position of the conversation's first event. It is
//! written once a pair, by that event, be it a message, a block, a relationship, a refusal or what was so already, and
//! never again: an index of streams for who asks what stood where at a moment ([`crate::as_of`]). Bound: two rows per
//! conversation.
//!
//! Where a first event is set aside, the conversation is not known here; whose it is its letter says ([`concerns`]), so that
//! nobody is told a list without it.

use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::member;
use event_store::{Position, RecordedEvent};
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Letter, Order, Reader, Span, Tx, View, WaitKey};
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
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS]
    }

    fn wants(&self, event_type: &str) -> bool {
        // Whatever may be a conversation's first event. Refusals, and what was so already, stand on all streams.
        Topic::of(event_type).is_one_of(&[
            Topic::Message,
            Topic::Request,
            Topic::Blocking,
            Topic::Relationship,
            Topic::Nothing,
        ])
    }

    /// The members are named so that it is known whose conversation is missing; what does not begin one changes nothing.
    fn keys(&self, event: &RecordedEvent, _decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        if !begins(event) {
            return Vec::new();
        }
        let members = event.members().map(|id| format!("member-{id}"));
        let stream = WaitKey::Writes(event.stream().to_owned());
        std::iter::once(stream)
            .chain(members.map(WaitKey::Reads))
            .collect()
    }

    fn apply_header(
        &self,
        _tx: &mut Tx<'_>,
        event: &RecordedEvent,
    ) -> Option<Result<(), ApplyError>> {
        (!begins(event)).then_some(Ok(()))
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        if !begins(recorded) {
            return Ok(());
        }
        let (one, other) = match decoded {
            Event::Conversation(event) => {
                let [one, other] = event.members();
                (one, other)
            }
            Event::Refused(refused) => {
                let Some(other) = &refused.other else {
                    return Ok(());
                };
                (&refused.by, other)
            }
            Event::Unchanged(unchanged) => {
                let Some(other) = &unchanged.other else {
                    return Ok(());
                };
                (&unchanged.by, other)
            }
            Event::Member(_)
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

/// Whether it is the first event of a conversation.
fn begins(event: &RecordedEvent) -> bool {
    event.version() == 0 && event.stream().starts_with("conversation-")
}

/// Whether a conversation of the member's is missing while this event is set aside. One that names no members may be
/// anybody's.
pub(crate) fn concerns(letter: &Letter, member: &MemberId) -> bool {
    let own = WaitKey::Reads(member::stream(member));
    match &*letter.keys {
        [WaitKey::Writes(_)] => true,
        keys => keys.contains(&own),
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

//! The query of `feed`: what changed after a position, each command's changes together at its last event.
//!
//! Bound: so many rows at once, and for each command one small reading of the log, which says where its append ends. What
//! an append changed is told once the view has all of it.

use domain::ids::{ConversationId, MemberId};
use domain::{member, policy};
use event_store::{EventStore, Position, bounds};
use tables::key::{Key, Parts};
use tables::{Order, Reader, Span, WaitKey};
use uuid::Uuid;

use super::{AUDIENCES, CHANGES, Changed, DOORSTEP, RULES, Row, RulesRow, append_of, changes_key};
use crate::rows::decode;
use crate::views::Views as _;
use crate::{QueryError, ReadSide, ViewName};

/// Rows that one query reads at most.
const ROWS_MAX: usize = 256;
/// Changes of the rules that one query looks at, the latest ones.
const RULES_MAX: usize = 64;
/// Bytes of an append's rest that are read at once.
const APPEND_BYTES: usize = 64 * 1024;

/// What changed of a member's views by one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The last event of the command: a query with this `min_position` sees the change.
    pub position: Position,
    /// What changed, each with its conversation where there is one.
    pub changed: Vec<(Changed, Option<ConversationId>)>,
}

/// Changes of a member's views, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The changes.
    pub items: Vec<Change>,
    /// There is more after the last of them.
    pub more: bool,
    /// How far the view has to come before the next of them can be told; none where it has come far enough.
    pub waits_for: Option<Position>,
    /// The position these rows stand at.
    pub position: Position,
}

/// What changed of a member's views after a position.
pub(crate) async fn query(
    reads: &ReadSide,
    member: &MemberId,
    after: Position,
) -> Result<Changes, QueryError> {
    let reader = reads.reader(ViewName::Feed)?;
    let (mut rows, mut more) = rows_after(&reader, member, after)?;
    let position = reader.checkpoint().position;
    if let Some(held) = held_from(&reader, member) {
        let before = rows.partition_point(|(at, _)| *at < held);
        more &= before == rows.len();
        rows.truncate(before);
    }
    drop(reader);

    let mut items: Vec<Change> = Vec::new();
    let mut waits_for = None;
    for (at, row) in rows {
        match items.last_mut() {
            Some(last) if at <= last.position => last.changed.extend(row.told()),
            Some(_) | None => {
                let end = end_of_append(&*reads.store, at, row.append).await?;
                if end > position {
                    // Of the rest of its append the rows are not there yet.
                    waits_for = Some(end);
                    more = false;
                    break;
                }
                items.push(Change {
                    position: end,
                    changed: row.told().collect(),
                });
            }
        }
    }
    if more {
        // The rest of the last one may stand among the rows that were not read.
        items.pop();
    }
    for item in &mut items {
        item.changed.sort_unstable();
        item.changed.dedup();
    }
    Ok(Changes {
        items,
        more,
        waits_for,
        position,
    })
}

impl Row {
    fn told(self) -> impl Iterator<Item = (Changed, Option<ConversationId>)> {
        let conversation = (!self.conversation.0.is_nil()).then_some(self.conversation);
        Changed::ALL
            .into_iter()
            .filter(move |changed| self.views & changed.bit() != 0)
            .map(move |changed| (changed, conversation))
    }
}

/// The first event that is set aside and may change what a member is answered.
fn held_from(reader: &Reader, member: &MemberId) -> Option<Position> {
    let (own, of_all) = (
        member::stream(member),
        WaitKey::Writes(policy::STREAM.to_owned()),
    );
    // A member's event may change what those are answered at whose door they wait.
    let concerns = |key: &WaitKey| key.name() == own || key.name() == AUDIENCES || *key == of_all;
    let mut letters = reader.letters();
    let first = letters.find(|letter| letter.keys.iter().any(concerns));
    first.map(|letter| letter.position)
}

/// The rows of a member after a position with that of the rules, in order, and whether there are more.
fn rows_after(
    reader: &Reader,
    member: &MemberId,
    after: Position,
) -> anyhow::Result<(Vec<(Position, Row)>, bool)> {
    let prefix = Key::new().text(member.as_str());
    let span = Span::prefix(&prefix).after(&changes_key(member, after.0));
    let mut rows = Vec::new();
    let mut more = false;
    for row in reader.scan(CHANGES, &span, Order::Ascending)? {
        let (key, value) = row?;
        if rows.len() == ROWS_MAX {
            more = true;
            break;
        }
        if let Some(at) = key.last_chunk::<8>() {
            let at = Position(u64::from_be_bytes(*at));
            rows.push((at, decode(CHANGES, &value)?));
        }
    }
    if let Some((at, row)) = of_the_rules(reader, member, after)? {
        let place = rows.partition_point(|(position, _)| *position < at);
        // Behind rows that were not read it comes with them.
        if place < rows.len() || !more {
            rows.insert(place, (at, row));
        }
    }
    Ok((rows, more))
}

/// The last change of the rules after a position that may change what a member is answered.
fn of_the_rules(
    reader: &Reader,
    member: &MemberId,
    after: Position,
) -> anyhow::Result<Option<(Position, Row)>> {
    let span = Span::all().after(&Key::new().u64(after.0));
    let mut standing = None;
    for row in reader
        .scan(RULES, &span, Order::Descending)?
        .take(RULES_MAX)
    {
        let (key, value) = row?;
        let RulesRow {
            before,
            after,
            append,
        } = decode(RULES, &value)?;
        if standing.is_none() {
            standing = DOORSTEP.standing(reader, member)?;
        }
        let (Some(standing), Some(at)) = (standing, Parts::of(&key).u64()) else {
            return Ok(None);
        };
        let mut views = 0;
        if before.to(standing) != after.to(standing) {
            views |= Changed::Requests.bit() | Changed::Unread.bit();
        }
        if before.audience(standing) != after.audience(standing) {
            views |= Changed::DmSetting.bit();
        }
        if views != 0 {
            let conversation = ConversationId(Uuid::nil());
            let row = Row {
                conversation,
                views,
                append,
            };
            return Ok(Some((Position(at), row)));
        }
    }
    Ok(None)
}

/// The last event of the append that an event belongs to.
async fn end_of_append(
    log: &dyn EventStore,
    at: Position,
    append: u64,
) -> anyhow::Result<Position> {
    let mut end = at;
    for _ in 0..bounds::APPEND_EVENTS_MAX {
        let left = bounds::APPEND_EVENTS_MAX;
        let events = log.read_all(end, left, APPEND_BYTES).await?;
        let before = end;
        for event in &events {
            if append_of(event) != append {
                return Ok(end);
            }
            end = event.position();
        }
        if end == before {
            break;
        }
    }
    Ok(end)
}

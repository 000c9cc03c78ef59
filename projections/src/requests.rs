//! `requests`: who waits on a member's doorstep?
//!
//! Key: recipient, group, then the position of the last message they see, falling. A page merges the groups that the
//! recipient's audience lets in, so that it costs the rows it shows, however many are frozen; see [`Doorstep`] for the
//! groups and for the tables beside the rows. How many rows each group has is counted, so that empty ones are not asked. Bound: a row per pending request, with the last message's text.

use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::policy;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Span, Tx, View};

use crate::codec::DomainCodec;
use crate::doorstep::{Change, Doorstep, GROUPS, Kept, Stand};
use crate::last_message::{Content, LastMessage, Shown};
use crate::rows::{Merged, decode, fetch, load, store};
use crate::thread::{Mark, Side};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Page, PageRequest, QueryError, ViewName};

const ROWS: &str = "rows";
const COUNTS: &str = "counts";
const DOORSTEP: Doorstep = Doorstep {
    threads: "threads",
    senders: "senders",
    members: "members",
    policy: "policy",
};

/// A request that waits for a member, neither accepted nor frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestItem {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Who knocks.
    pub with: MemberId,
    /// The last message that the member sees.
    pub last_message: LastMessage,
    /// Whether the member muted it.
    pub muted: bool,
    /// When it was opened, or moved here.
    pub opened_at: Timestamp,
    /// How many messages wait in it.
    pub messages: u64,
    /// What is known between the two, to help to decide.
    pub relationship: Relationship,
}

/// What is known between a member and the one who knocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationship {
    /// The member follows the one who knocks.
    pub you_follow: bool,
    /// The one who knocks follows the member.
    pub follows_you: bool,
    /// The one who knocks is suggested to the member.
    pub suggested: bool,
}

impl From<policy::Relationship> for Relationship {
    fn from(relationship: policy::Relationship) -> Self {
        let policy::Relationship {
            recipient_follows,
            sender_follows,
            suggested,
        } = relationship;
        Self {
            you_follow: recipient_follows,
            follows_you: sender_follows,
            suggested,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row<'a> {
    conversation: ConversationId,
    with: MemberId,
    #[serde(borrow)]
    last: Shown<'a>,
    muted: bool,
    opened_at: i64,
    messages: u64,
    relationship: Relationship,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests;

impl View<DomainCodec> for Requests {
    fn name(&self) -> &'static str {
        ViewName::Requests.as_str()
    }

    fn version(&self) -> u32 {
        3
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            ROWS,
            COUNTS,
            DOORSTEP.threads,
            DOORSTEP.senders,
            DOORSTEP.members,
            DOORSTEP.policy,
        ]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[
            Topic::Message,
            Topic::Request,
            Topic::Reading,
            Topic::Muting,
            Topic::Blocking,
            Topic::Relationship,
            Topic::Member,
            Topic::Policy,
        ])
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        DOORSTEP.apply(tx, recorded, decoded, Kept::stand, |tx, change| {
            follow(tx, change, Side::Lower)?;
            follow(tx, change, Side::Higher)
        })
    }
}

/// Brings the row of one side to where the conversation stands now.
fn follow(tx: &mut Tx<'_>, change: &Change<'_, Stand>, side: Side) -> Result<(), ApplyError> {
    let (before, after) = (*side.of(&change.before), change.kept.stand(side));
    if before == after {
        return Ok(());
    }
    let member = change.pair.member(side);
    let was = before
        .waits
        .map(|(mark, group)| (mark, row_key(member, group, before.order)));
    count(tx, member, before.group(), after.group())?;
    let Some((mark, group)) = after.waits else {
        return was.map_or(Ok(()), |(_, key)| Ok(tx.delete(ROWS, &key)?));
    };
    let key = row_key(member, group, after.order);
    let sent = change
        .event
        .and_then(|(recorded, event)| Content::sent(recorded, event, mark));
    let content = match (sent, &was) {
        (Some(sent), _) => sent,
        (None, Some((was, key))) if was.number == mark.number => known(tx, key, mark)?,
        (None, _) => Content::in_log(mark),
    };
    if let Some((_, was)) = was.filter(|(_, was)| *was != key) {
        tx.delete(ROWS, &was)?;
    }
    let row = Row {
        conversation: change.id,
        with: change.pair.member(side.other()).clone(),
        last: Shown::new(mark, side, content),
        muted: after.muted,
        opened_at: after.opened_at,
        messages: after.messages,
        relationship: after.relationship.into(),
    };
    store(tx, ROWS, &key, &row)
}

/// Counts the rows of a member's groups; hidden ones are in none.
fn count(
    tx: &mut Tx<'_>,
    member: &MemberId,
    before: Option<u8>,
    after: Option<u8>,
) -> Result<(), ApplyError> {
    if before == after {
        return Ok(());
    }
    let key = member.as_str().as_bytes();
    let mut counts: [u64; GROUPS] = load(tx, COUNTS, key)?.unwrap_or_default();
    if let Some(count) = before.and_then(|group| counts.get_mut(usize::from(group))) {
        *count = count.saturating_sub(1);
    }
    if let Some(count) = after.and_then(|group| counts.get_mut(usize::from(group))) {
        *count += 1;
    }
    if counts == [0; GROUPS] {
        // One left behind would tell what once was, by which a row differs from one made of the same events in another order.
        return Ok(tx.delete(COUNTS, key)?);
    }
    store(tx, COUNTS, key, &counts)
}

/// What the row from before this event says of the message.
fn known(tx: &Tx<'_>, key: &[u8], mark: Mark) -> Result<Content<'static>, ApplyError> {
    let Some(bytes) = tx.get(ROWS, key)? else {
        return Ok(Content::in_log(mark));
    };
    let row: Row<'_> =
        postcard::from_bytes(&bytes).map_err(|cause| ApplyError::row(ROWS, cause))?;
    Ok(row.last.into_owned().into_content())
}

fn group_key(member: &MemberId, group: u8) -> Key {
    Key::with_capacity(member.as_str().len() + 11)
        .text(member.as_str())
        .u8(group)
}

fn row_key(member: &MemberId, group: u8, order: u64) -> Key {
    group_key(member, group).u64_desc(order)
}

/// A page of a member's requests, without the frozen ones.
pub(crate) async fn query(
    reads: &dyn Views,
    member: &MemberId,
    page: &PageRequest,
) -> Result<Page<RequestItem>, QueryError> {
    let reader = reads.reader(ViewName::Requests)?;
    let checkpoint = reader.checkpoint();
    let place = page.place::<8>(ViewName::Requests, checkpoint.log_id)?;
    let open = DOORSTEP.open_groups(&reader, member)?;
    let counts: [u64; GROUPS] =
        fetch(&reader, COUNTS, member.as_str().as_bytes())?.unwrap_or_default();
    let mut spans = Vec::new();
    for (group, _) in (0_u8..)
        .zip(counts)
        .filter(|(group, count)| *count > 0 && open & 1 << group != 0)
    {
        let prefix = group_key(member, group);
        let span = Span::prefix(&prefix);
        spans.push(match place {
            Some(place) => span.after(&prefix.fixed(&place)),
            None => span,
        });
    }
    let mut incomplete = Vec::new();
    let mut number = 0;
    let mut rows = Merged::<8>::of(&reader, ROWS, &spans, Order::Ascending)?;
    let mut page = Page::read(&mut rows, page, ViewName::Requests, checkpoint, |bytes| {
        let row: Row<'_> = decode(ROWS, bytes)?;
        let (last_message, missing) = row.last.told(member, &row.with);
        incomplete.extend(missing.map(|missing| (number, missing)));
        number += 1;
        Ok(RequestItem {
            conversation_id: row.conversation,
            with: row.with,
            last_message,
            muted: row.muted,
            opened_at: Timestamp(row.opened_at),
            messages: row.messages,
            relationship: row.relationship,
        })
    })?;
    drop(rows);
    for (number, missing) in incomplete {
        if let Some(item) = page.items.get_mut(number) {
            item.last_message
                .complete(missing, reads.log(), item.conversation_id)
                .await?;
        }
    }
    Ok(page)
}

//! `conversation`: what was said in a conversation, as one of the two sees it?
//!
//! Key: conversation, who sees the message (both, or its author alone), then its number, falling. A withheld message
//! is its author's alone from the start, one unsent in a request from then on, so that a page skips nothing. A row
//! keeps version and flags, never a text: those are read from the log. Beside the rows: each conversation's
//! [`Thread`], which says what its recipient may still read. Bound: a row per message.

use std::ops::RangeInclusive;

use domain::conversation;
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, Tx, View};

use crate::codec::{DomainCodec, conversation_of};
use crate::rows::{Merged, decode, fetch, load, store};
use crate::thread::{Pair, Side, Thread};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Page, PageRequest, QueryError, ViewName, texts};

const MESSAGES: &str = "messages";
const THREADS: &str = "threads";

/// How many rows of the deleted part a page passes over at most, looking for the member's own.
const PASSED_MAX: usize = 2_000;

/// A message as one of the two sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageItem {
    /// Its number in the conversation.
    pub number: u64,
    /// Who wrote it.
    pub from: MemberId,
    /// What it says; none once unsent or removed.
    pub text: Option<String>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was unsent.
    pub unsent_at: Option<Timestamp>,
    /// When moderators removed it.
    pub removed_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The version of the event that sent it.
    pub(crate) version: u64,
    pub(crate) from: Side,
    pub(crate) withheld: bool,
    pub(crate) unsent_at: Option<i64>,
    pub(crate) removed_at: Option<i64>,
}

/// A conversation's thread with its members.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    members: [MemberId; 2],
    thread: Thread,
}

/// Who sees a message.
#[derive(Clone, Copy)]
enum Seers {
    Both,
    Only(Side),
}

impl Seers {
    const ALL: [Self; 3] = [
        Self::Both,
        Self::Only(Side::Lower),
        Self::Only(Side::Higher),
    ];

    const fn number(self) -> u8 {
        match self {
            Self::Both => 0,
            Self::Only(Side::Lower) => 1,
            Self::Only(Side::Higher) => 2,
        }
    }
}

fn seers_key(id: ConversationId, seers: Seers) -> Key {
    Key::with_capacity(25)
        .fixed(id.0.as_bytes())
        .u8(seers.number())
}

fn key(id: ConversationId, seers: Seers, number: u64) -> Key {
    seers_key(id, seers).u64_desc(number)
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conversation;

impl View<DomainCodec> for Conversation {
    fn name(&self) -> &'static str {
        ViewName::Conversation.as_str()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[MESSAGES, THREADS]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[Topic::Message, Topic::Request])
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        let Event::Conversation(event) = decoded else {
            return Ok(());
        };
        let id = conversation_of(recorded)?;
        let (pair, author) = Pair::acting(event);
        let mut kept = match load(tx, THREADS, id.0.as_bytes())? {
            Some(kept) => kept,
            None if !Thread::begins_with(event) => return Ok(()),
            None => Kept {
                members: Side::BOTH.map(|side| pair.member(side).clone()),
                thread: Thread::default(),
            },
        };
        let gone = kept.thread.apply(recorded, event);
        store(tx, THREADS, id.0.as_bytes(), &kept)?;

        let row = Row {
            version: recorded.version(),
            from: author,
            withheld: false,
            unsent_at: None,
            removed_at: None,
        };
        match event {
            conversation::Event::MessageSent(sent) => {
                store(tx, MESSAGES, &key(id, Seers::Both, sent.number), &row)
            }
            conversation::Event::MessageWithheld(withheld) => {
                let row = Row {
                    withheld: true,
                    ..row
                };
                store(
                    tx,
                    MESSAGES,
                    &key(id, Seers::Only(author), withheld.number),
                    &row,
                )
            }
            conversation::Event::MessageUnsent(unsent) => {
                let alone = key(id, Seers::Only(author), unsent.number);
                let both = key(id, Seers::Both, unsent.number);
                let stands = if tx.contains(MESSAGES, &alone)? {
                    &alone
                } else {
                    &both
                };
                let Some(row) = load::<Row>(tx, MESSAGES, stands)? else {
                    return Ok(());
                };
                let row = Row {
                    unsent_at: Some(recorded.at_ms()),
                    ..row
                };
                if gone.is_some() {
                    tx.delete(MESSAGES, &both)?;
                    store(tx, MESSAGES, &alone, &row)
                } else {
                    store(tx, MESSAGES, stands, &row)
                }
            }
            conversation::Event::MessagesRemoved(removed) => {
                let removed_at = Some(recorded.at_ms());
                set_removed(tx, id, author, &removed.numbers, removed_at)
            }
            conversation::Event::MessagesRestored(restored) => {
                set_removed(tx, id, author, &restored.numbers, None)
            }
            conversation::Event::RequestOpened(_)
            | conversation::Event::RequestAccepted(_)
            | conversation::Event::RequestDeleted(_)
            | conversation::Event::RequestRestored(_)
            | conversation::Event::RequestWithdrawn(_)
            | conversation::Event::MovedToRequests(_)
            | conversation::Event::ReadMarked(_)
            | conversation::Event::ConversationMuted(_)
            | conversation::Event::ConversationUnmuted(_)
            | conversation::Event::MemberBlocked(_)
            | conversation::Event::MemberUnblocked(_)
            | conversation::Event::RelationshipRecorded(_)
            | conversation::Event::MessagesReported(_) => Ok(()),
        }
    }
}

/// Sets when moderators removed these messages of one author; none once they are shown again.
fn set_removed(
    tx: &mut Tx<'_>,
    id: ConversationId,
    author: Side,
    numbers: &[u64],
    removed_at: Option<i64>,
) -> Result<(), ApplyError> {
    for number in numbers {
        for seers in [Seers::Both, Seers::Only(author)] {
            let key = key(id, seers, *number);
            if let Some(row) = load::<Row>(tx, MESSAGES, &key)? {
                store(tx, MESSAGES, &key, &Row { removed_at, ..row })?;
            }
        }
    }
    Ok(())
}

/// A page of a conversation as `member` sees it at the time `now`.
pub(crate) async fn query(
    reads: &dyn Views,
    member: &MemberId,
    id: ConversationId,
    page: &PageRequest,
    now: Timestamp,
) -> Result<Page<MessageItem>, QueryError> {
    let reader = reads.reader(ViewName::Conversation)?;
    let checkpoint = reader.checkpoint();
    let place = page.place::<8>(ViewName::Conversation, checkpoint.log_id)?;
    let Kept { members, thread } =
        fetch(&reader, THREADS, id.0.as_bytes())?.ok_or(QueryError::NotFound)?;
    let [lower, higher] = &members;
    let side = Pair::of(lower, higher)
        .side(member)
        .ok_or(QueryError::NotFound)?;
    let seen = thread.seen(side);
    if !seen.exists(now) {
        return Err(QueryError::NotFound);
    }
    let above = seen.readable_above(now).unwrap_or(u64::MAX);
    let mut spans = Vec::with_capacity(2);
    for seers in [Seers::Both, Seers::Only(side)] {
        let prefix = seers_key(id, seers);
        let mut span = Span::prefix(&prefix);
        if !seen.wrote {
            span = span.before(&key(id, seers, above));
        }
        spans.push(match place {
            Some(place) => span.after(&prefix.fixed(&place)),
            None => span,
        });
    }

    let mut rows: Vec<([u8; 8], (u64, Row))> = Vec::with_capacity(page.limit() + 1);
    let mut passed = 0;
    let mut passed_to = None;
    let mut merged = Merged::<8>::of(&reader, MESSAGES, &spans, Order::Ascending)?;
    while rows.len() <= page.limit() {
        let Some((place, value)) = merged.next()? else {
            break;
        };
        let (number, row) = (!u64::from_be_bytes(place), decode::<Row>(MESSAGES, &value)?);
        if number > above || row.from == side {
            rows.push((place, (number, row)));
        } else {
            passed += 1;
            if passed == PASSED_MAX {
                passed_to = Some(place);
                break;
            }
        }
    }
    drop(merged);
    let mut page = Page::cut(rows, page, ViewName::Conversation, checkpoint);
    if let (Some(place), None) = (passed_to, &page.next) {
        page.next = Some(crate::Cursor {
            log_id: checkpoint.log_id,
            view: ViewName::Conversation,
            key: place.to_vec(),
        });
    }
    told(reads, id, &members, page).await
}

/// A page of a conversation, every message of it: withheld ones, those of a deleted part, and those that left their
/// recipient's view, too.
pub(crate) async fn query_all(
    reads: &dyn Views,
    id: ConversationId,
    page: &PageRequest,
) -> Result<Page<MessageItem>, QueryError> {
    let reader = reads.reader(ViewName::Conversation)?;
    let checkpoint = reader.checkpoint();
    let place = page.place::<8>(ViewName::Conversation, checkpoint.log_id)?;
    let Kept { members, .. } =
        fetch(&reader, THREADS, id.0.as_bytes())?.ok_or(QueryError::NotFound)?;
    let spans = Seers::ALL.map(|seers| {
        let prefix = seers_key(id, seers);
        let span = Span::prefix(&prefix);
        match place {
            Some(place) => span.after(&prefix.fixed(&place)),
            None => span,
        }
    });
    let mut merged = Merged::<8>::of(&reader, MESSAGES, &spans, Order::Ascending)?;
    let mut rows: Vec<([u8; 8], (u64, Row))> = Vec::with_capacity(page.limit() + 1);
    while rows.len() <= page.limit() {
        let Some((place, value)) = merged.next()? else {
            break;
        };
        let row = decode::<Row>(MESSAGES, &value)?;
        rows.push((place, (!u64::from_be_bytes(place), row)));
    }
    drop(merged);
    told(
        reads,
        id,
        &members,
        Page::cut(rows, page, ViewName::Conversation, checkpoint),
    )
    .await
}

/// The messages of a page, with their texts.
async fn told(
    reads: &dyn Views,
    id: ConversationId,
    members: &[MemberId; 2],
    page: Page<(u64, Row)>,
) -> Result<Page<MessageItem>, QueryError> {
    let Page {
        items,
        next,
        position,
    } = page;
    let versions: Vec<u64> = items.iter().map(|(_, row)| row.version).collect();
    let texts = texts::messages(reads.log(), id, &versions).await?;
    let items = items
        .into_iter()
        .zip(texts)
        .map(|((number, row), sent)| MessageItem {
            number,
            from: row.from.of(members).clone(),
            text: (row.unsent_at.is_none() && row.removed_at.is_none()).then_some(sent.text),
            sent_at: sent.sent_at,
            unsent_at: row.unsent_at.map(Timestamp),
            removed_at: row.removed_at.map(Timestamp),
        })
        .collect();
    Ok(Page {
        items,
        next,
        position,
    })
}

/// The messages with these numbers that reached their recipient, newest first.
pub(crate) fn reached(
    reader: &Reader,
    id: ConversationId,
    numbers: RangeInclusive<u64>,
) -> anyhow::Result<Vec<(u64, Row)>> {
    let mut found = Vec::new();
    for seers in Seers::ALL {
        let span = Span::prefix(&seers_key(id, seers))
            .from(&key(id, seers, *numbers.end()))
            .through(&key(id, seers, *numbers.start()));
        for row in reader.scan(MESSAGES, &span, Order::Ascending)? {
            let (key, value) = row?;
            let row: Row = decode(MESSAGES, &value)?;
            if let (false, Some(place)) = (row.withheld, key.last_chunk::<8>()) {
                found.push((!u64::from_be_bytes(*place), row));
            }
        }
    }
    found.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
    Ok(found)
}

/// The member on a side of a conversation; none before its first message.
pub(crate) fn members(
    reader: &Reader,
    id: ConversationId,
) -> anyhow::Result<Option<[MemberId; 2]>> {
    let kept: Option<Kept> = fetch(reader, THREADS, id.0.as_bytes())?;
    Ok(kept.map(|kept| kept.members))
}

//! `inbox`: which conversations has a member, newest first?
//!
//! Key: member, then the position of the last message they see, falling; a page is one range read. A conversation is
//! in its sender's inbox from the first message on, in its recipient's once accepted, and leaves the inbox of a member
//! who deletes, moves or blocks it. Beside the rows: each conversation's [`Thread`] with its unread counts, and who
//! wrote which number. Bound: a row per member and conversation, with the last message's text.

use domain::conversation;
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Span, Tx, View};

use crate::codec::{DomainCodec, conversation_of, message_of};
use crate::last_message::{Content, LastMessage, Shown};
use crate::rows::{Merged, decode, load, store};
use crate::speakers::{Block, Speakers};
use crate::thread::{Gone, Mark, Pair, Place, Side, Thread};
use crate::topic::Topic;
use crate::views::Views;
use crate::{Page, PageRequest, QueryError, ViewName};

const ROWS: &str = "rows";
const THREADS: &str = "threads";
const SPEAKERS: &str = "speakers";

/// A conversation in a member's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxItem {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The other member.
    pub with: MemberId,
    /// The last message that the member sees.
    pub last_message: LastMessage,
    /// How many messages of the other the member has not read.
    pub unread: u64,
    /// Whether the member muted it.
    pub muted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row<'a> {
    conversation: ConversationId,
    with: MemberId,
    #[serde(borrow)]
    last: Shown<'a>,
    unread: u64,
    muted: bool,
}

/// A conversation's thread with what only the inbox keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    thread: Thread,
    unread: [u64; 2],
    speakers: Block,
}

/// What a row follows from.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stand {
    /// The last message, if the conversation is in the inbox.
    last: Option<Mark>,
    order: u64,
    unread: u64,
    muted: bool,
}

impl Kept {
    fn stand(&self, side: Side) -> Stand {
        let seen = self.thread.seen(side);
        Stand {
            last: seen.last().filter(|_| seen.place() == Place::Inbox),
            order: seen.order(),
            unread: *side.of(&self.unread),
            muted: seen.muted,
        }
    }
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inbox;

impl View<DomainCodec> for Inbox {
    fn name(&self) -> &'static str {
        ViewName::Inbox.as_str()
    }

    fn version(&self) -> u32 {
        2
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, THREADS, SPEAKERS]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[
            Topic::Message,
            Topic::Request,
            Topic::Reading,
            Topic::Muting,
            Topic::Blocking,
        ])
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
        let (pair, actor) = Pair::acting(event);
        let mut kept = match load(tx, THREADS, id.0.as_bytes())? {
            Some(kept) => kept,
            None if !Thread::begins_with(event) => return Ok(()),
            None => Kept {
                thread: Thread::default(),
                unread: [0, 0],
                speakers: Block::default(),
            },
        };
        let before = Side::BOTH.map(|side| kept.stand(side));
        let read_before = Side::BOTH.map(|side| kept.thread.seen(side).read);
        let last_before = kept.thread.last_number;

        let gone = kept.thread.apply(recorded, event);
        let speakers = Speakers {
            table: SPEAKERS,
            conversation: id,
            last_number: last_before,
        };
        count_unread(tx, &mut kept, &speakers, event, gone, read_before)?;
        store(tx, THREADS, id.0.as_bytes(), &kept)?;

        let mut rows = Following {
            tx,
            id,
            pair,
            kept: &kept,
            before,
            recorded,
            event,
        };
        rows.follow(actor)?;
        rows.follow(actor.other())
    }
}

/// Keeps both sides' unread counts: exactly the other's messages that a side sees or would see once accepted.
fn count_unread(
    tx: &mut Tx<'_>,
    kept: &mut Kept,
    speakers: &Speakers,
    event: &conversation::Event<'_>,
    gone: Option<Gone>,
    read_before: [u64; 2],
) -> Result<(), ApplyError> {
    if let Some(message) = message_of(event) {
        let (_, author) = Pair::acting(event);
        speakers.wrote(
            tx,
            &mut kept.speakers,
            message.number,
            author,
            message.withheld,
        )?;
        *author.other().of_mut(&mut kept.unread) += u64::from(!message.withheld);
    }
    for side in Side::BOTH {
        let (from, to) = (*side.of(&read_before), kept.thread.seen(side).read);
        if from != to {
            let read = speakers.count(tx, kept.speakers, side.other(), from, to)?;
            let unread = side.of_mut(&mut kept.unread);
            *unread = unread.saturating_sub(read);
        }
    }
    if let Some(Gone { side, number }) = gone {
        speakers.hide(tx, &mut kept.speakers, number)?;
        if number > kept.thread.seen(side).read {
            let unread = side.of_mut(&mut kept.unread);
            *unread = unread.saturating_sub(1);
        }
    }
    Ok(())
}

/// The rows that an event changes.
struct Following<'a, 'b, 'tx> {
    tx: &'a mut Tx<'tx>,
    id: ConversationId,
    pair: Pair<'a>,
    kept: &'a Kept,
    before: [Stand; 2],
    recorded: &'a RecordedEvent,
    event: &'a conversation::Event<'b>,
}

impl Following<'_, '_, '_> {
    /// Brings the row of one side to where the conversation stands now.
    fn follow(&mut self, side: Side) -> Result<(), ApplyError> {
        let (before, after) = (*side.of(&self.before), self.kept.stand(side));
        if before == after {
            return Ok(());
        }
        let member = self.pair.member(side);
        let was = before.last.map(|_| row_key(member, before.order));
        let Some(mark) = after.last else {
            return was.map_or(Ok(()), |key| Ok(self.tx.delete(ROWS, &key)?));
        };
        let key = row_key(member, after.order);
        let content = match Content::sent(self.recorded, self.event, mark) {
            Some(content) => content,
            None => self.known(side, mark)?.unwrap_or(Content::in_log(mark)),
        };
        if let Some(was) = was.filter(|was| *was != key) {
            self.tx.delete(ROWS, &was)?;
        }
        let row = Row {
            conversation: self.id,
            with: self.pair.member(side.other()).clone(),
            last: Shown::new(mark, side, content),
            unread: after.unread,
            muted: after.muted,
        };
        store(self.tx, ROWS, &key, &row)
    }

    /// What a row from before this event says of the message: this side's own, or the other's.
    fn known(&self, side: Side, mark: Mark) -> Result<Option<Content<'static>>, ApplyError> {
        for side in [side, side.other()] {
            let before = side.of(&self.before);
            if before.last.is_some_and(|last| last.number == mark.number) {
                let key = row_key(self.pair.member(side), before.order);
                if let Some(bytes) = self.tx.get(ROWS, &key)? {
                    let row: Row<'_> = postcard::from_bytes(&bytes)
                        .map_err(|cause| ApplyError::row(ROWS, cause))?;
                    return Ok(Some(row.last.into_owned().into_content()));
                }
            }
        }
        Ok(None)
    }
}

fn row_key(member: &MemberId, position: u64) -> Key {
    Key::with_capacity(member.as_str().len() + 10)
        .text(member.as_str())
        .u64_desc(position)
}

/// A page of a member's inbox.
pub(crate) async fn query(
    reads: &dyn Views,
    member: &MemberId,
    page: &PageRequest,
) -> Result<Page<InboxItem>, QueryError> {
    let reader = reads.reader(ViewName::Inbox)?;
    let checkpoint = reader.checkpoint();
    let prefix = Key::new().text(member.as_str());
    let mut span = Span::prefix(&prefix);
    if let Some(place) = page.place::<8>(ViewName::Inbox, checkpoint.log_id)? {
        span = span.after(&prefix.fixed(&place));
    }
    let mut incomplete = Vec::new();
    let mut number = 0;
    let mut rows = Merged::<8>::of(&reader, ROWS, &[span], Order::Ascending)?;
    let mut page = Page::read(&mut rows, page, ViewName::Inbox, checkpoint, |bytes| {
        let row: Row<'_> = decode(ROWS, bytes)?;
        let (last_message, missing) = row.last.told(member, &row.with);
        incomplete.extend(missing.map(|missing| (number, missing)));
        number += 1;
        Ok(InboxItem {
            conversation_id: row.conversation,
            with: row.with,
            last_message,
            unread: row.unread,
            muted: row.muted,
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

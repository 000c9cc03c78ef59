//! `blocked`: whom has a member blocked?
//!
//! Key: the member, then the position of the block, falling. Beside the rows: each conversation's [`Thread`], which
//! says whether it holds a message that the member may read. Bound: a row per block in force.

use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Reader, Tx, View};

use crate::codec::{DomainCodec, conversation_of};
use crate::rows::{decode, load, store};
use crate::thread::{Existence, Pair, Side, Thread};
use crate::topic::Topic;
use crate::{Page, PageRequest, QueryError, ViewName};

const ROWS: &str = "rows";
const THREADS: &str = "threads";

/// A member whom the caller has blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockItem {
    /// The blocked member.
    pub member: MemberId,
    /// Their conversation, if it holds a message that the caller may read.
    pub conversation_id: Option<ConversationId>,
    /// Since when.
    pub since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    member: MemberId,
    conversation: ConversationId,
    exists: Existence,
    since: i64,
}

/// A conversation's thread, and per side its block in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    thread: Thread,
    blocks: [Option<Block>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    position: u64,
    since: i64,
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocked;

impl View<DomainCodec> for Blocked {
    fn name(&self) -> &'static str {
        ViewName::Blocked.as_str()
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, THREADS]
    }

    fn wants(&self, event_type: &str) -> bool {
        Topic::of(event_type).is_one_of(&[Topic::Message, Topic::Request, Topic::Blocking])
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
        let (pair, _) = Pair::acting(event);
        let mut kept: Kept = match load(tx, THREADS, id.0.as_bytes())? {
            Some(kept) => kept,
            None if !Thread::begins_with(event) && !Thread::blocks_with(event) => return Ok(()),
            None => Kept {
                thread: Thread::default(),
                blocks: [None, None],
            },
        };
        let before = Side::BOTH.map(|side| kept.row(id, pair, side));
        kept.thread.apply(recorded, event);
        for side in Side::BOTH {
            let block = side.of_mut(&mut kept.blocks);
            if !kept.thread.seen(side).blocks {
                *block = None;
            } else if block.is_none() {
                *block = Some(Block {
                    position: recorded.position().0,
                    since: recorded.at_ms(),
                });
            }
        }
        store(tx, THREADS, id.0.as_bytes(), &kept)?;
        for side in Side::BOTH {
            match (side.of(&before), kept.row(id, pair, side)) {
                (before, after) if *before == after => {}
                (Some((key, _)), None) => tx.delete(ROWS, key)?,
                (_, Some((key, row))) => store(tx, ROWS, &key, &row)?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

impl Kept {
    /// The row of one side, if it blocks the other.
    fn row(&self, id: ConversationId, pair: Pair<'_>, side: Side) -> Option<(Key, Row)> {
        let Block { position, since } = (*side.of(&self.blocks))?;
        let row = Row {
            member: pair.member(side.other()).clone(),
            conversation: id,
            exists: self.thread.seen(side).existence(),
            since,
        };
        Some((
            Key::new()
                .text(pair.member(side).as_str())
                .u64_desc(position),
            row,
        ))
    }
}

/// A page of whom a member has blocked. `now` decides whether a deleted conversation is still there.
pub(crate) fn query(
    reader: &Reader,
    member: &MemberId,
    page: &PageRequest,
    now: Timestamp,
) -> Result<Page<BlockItem>, QueryError> {
    let prefix = Key::new().text(member.as_str());
    Page::below(reader, ROWS, &prefix, page, ViewName::Blocked, |bytes| {
        let row: Row = decode(ROWS, bytes)?;
        Ok(BlockItem {
            member: row.member,
            conversation_id: row.exists.at(now).then_some(row.conversation),
            since: Timestamp(row.since),
        })
    })
}

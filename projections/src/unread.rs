//! `unread`: how many conversations hold something unread?
//!
//! Key: member. A row counts conversations of the inbox and, by group, of the doorstep, so that the answer is one row
//! and the groups that the member's audience lets in; see [`Doorstep`]. A conversation is unread while a message of
//! the other that the member sees lies above the read mark. Bound: a row per member.

use domain::event::Event;
use domain::ids::MemberId;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::{ApplyError, Reader, Tx, View};

use crate::codec::DomainCodec;
use crate::doorstep::{Change, Doorstep, GROUPS, Kept, Stand};
use crate::rows::{fetch, load, store};
use crate::thread::Side;
use crate::topic::Topic;
use crate::{Answer, QueryError, ViewName};

const ROWS: &str = "rows";
const DOORSTEP: Doorstep = Doorstep {
    threads: "threads",
    senders: "senders",
    members: "members",
    policy: "policy",
};

/// How many conversations hold something unread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// In the inbox.
    pub inbox: u64,
    /// On the doorstep.
    pub requests: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    inbox: u64,
    requests: [u64; GROUPS],
}

/// What a conversation counts as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    Nowhere,
    Inbox,
    Group(u8),
}

impl Counts {
    fn of(stand: Stand) -> Self {
        match stand.waits {
            _ if !stand.any_unread => Self::Nowhere,
            Some(_) => stand.group().map_or(Self::Nowhere, Self::Group),
            None if stand.in_inbox => Self::Inbox,
            None => Self::Nowhere,
        }
    }
}

impl Row {
    fn at(&mut self, counts: Counts) -> Option<&mut u64> {
        match counts {
            Counts::Nowhere => None,
            Counts::Inbox => Some(&mut self.inbox),
            Counts::Group(group) => self.requests.get_mut(usize::from(group)),
        }
    }
}

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnreadCounts;

impl View<DomainCodec> for UnreadCounts {
    fn name(&self) -> &'static str {
        ViewName::Unread.as_str()
    }

    fn version(&self) -> u32 {
        3
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            ROWS,
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

fn follow(tx: &mut Tx<'_>, change: &Change<'_, Stand>, side: Side) -> Result<(), ApplyError> {
    let (before, after) = (
        Counts::of(*side.of(&change.before)),
        Counts::of(change.kept.stand(side)),
    );
    if before == after {
        return Ok(());
    }
    let member = change.pair.member(side);
    let mut row: Row = load(tx, ROWS, member.as_str().as_bytes())?.unwrap_or_default();
    if let Some(count) = row.at(before) {
        *count = count.saturating_sub(1);
    }
    if let Some(count) = row.at(after) {
        *count += 1;
    }
    if row == Row::default() {
        // As in `requests`: nothing is left of what once was.
        return Ok(tx.delete(ROWS, member.as_str().as_bytes())?);
    }
    store(tx, ROWS, member.as_str().as_bytes(), &row)
}

/// How many of a member's conversations hold something unread.
pub(crate) fn query(reader: &Reader, member: &MemberId) -> Result<Answer<Unread>, QueryError> {
    let row: Row = fetch(reader, ROWS, member.as_str().as_bytes())?.unwrap_or_default();
    let open = DOORSTEP.open_groups(reader, member)?;
    let counts = row.requests.iter().enumerate();
    let requests = counts
        .filter(|(group, _)| open & 1 << group != 0)
        .map(|(_, count)| count)
        .sum();
    Ok(Answer {
        value: Unread {
            inbox: row.inbox,
            requests,
        },
        position: reader.checkpoint().position,
    })
}

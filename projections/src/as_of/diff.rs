//! What changed between two moments: every row of a view that is other than it was, and the events that made it so.
//!
//! Both moments are folded by the views' own code and asked by the live queries; what differs is told before and after.
//! The events beside a change are those after the first moment up to the second that the view is given and that stand in
//! a stream its row depends on: the conversation's, the two members', the rules'. Bound: [`Diff::CHANGES_MAX`] changes,
//! beyond which the question is refused, and [`Diff::EVENTS_MAX`] events named with each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::ids::{ConversationId, MemberId};
use domain::{conversation, member, policy};
use event_store::{Position, RecordedEvent};
use tables::View;

use super::timeline::{Statement, statement};
use super::{AsOf, Moment, PairFacts, Past, PastError, Subject, gather};
use crate::codec::DomainCodec;
use crate::{
    BlockItem, Cursor, InboxItem, LIMIT_MAX, Member, MessageItem, PageRequest, QueryError,
    RequestItem, Unread, ViewName, registry,
};

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A conversation in the inbox.
    Inbox(InboxItem),
    /// A request on the doorstep.
    Request(RequestItem),
    /// A blocked member.
    Block(BlockItem),
    /// How much is unread.
    Unread(Unread),
    /// The member's registration, setting and standing.
    Member(Member),
    /// A message.
    Message(MessageItem),
    /// What is known between the two.
    Relationship(PairFacts),
}

/// A row that is other than it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// Whose row it is; none where it is of both.
    pub member: Option<MemberId>,
    /// The conversation it is about, if it is about one.
    pub conversation_id: Option<ConversationId>,
    /// The view, as the interface names it.
    pub view: &'static str,
    /// What it was; none where it was not there.
    pub before: Option<Shown>,
    /// What it is; none where it is gone.
    pub after: Option<Shown>,
    /// By which events, by whom: oldest first, at most [`Diff::EVENTS_MAX`].
    pub events: Vec<Statement>,
    /// How many more there were.
    pub more_events: usize,
}

/// What changed between two moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    /// The first moment.
    pub from: Moment,
    /// The second.
    pub to: Moment,
    /// What changed.
    pub changes: Vec<RowChange>,
}

impl Diff {
    /// Changes that are told at most.
    pub const CHANGES_MAX: usize = 1_000;
    /// Events that are told with a change at most.
    pub const EVENTS_MAX: usize = 50;
}

/// A row's place among those of a subject.
type Key = (&'static str, Option<MemberId>, Option<ConversationId>, u64);
type Rows = BTreeMap<Key, Shown>;

/// The views of a subject that are compared.
const OF_A_MEMBER: &[ViewName] = &[
    ViewName::Inbox,
    ViewName::Requests,
    ViewName::Unread,
    ViewName::Blocked,
    ViewName::Members,
];
const OF_A_CONVERSATION: &[ViewName] = &[
    ViewName::Inbox,
    ViewName::Requests,
    ViewName::Blocked,
    ViewName::Conversation,
];

impl Past {
    /// What changed for a member or in a conversation from one moment to a later one.
    pub async fn diff(
        &self,
        subject: &Subject,
        from: Moment,
        to: Moment,
    ) -> Result<Diff, PastError> {
        let before = self.rows(subject, from).await?;
        let after = self.rows(subject, to).await?;
        let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
        let changed: Vec<&Key> = keys
            .into_iter()
            .filter(|key| before.get(key) != after.get(key))
            .collect();
        if changed.len() > Diff::CHANGES_MAX {
            return Err(PastError::TooManyChanges(Diff::CHANGES_MAX));
        }
        let between = Between::gather(self, subject, from, to).await?;
        let mut changes = Vec::with_capacity(changed.len());
        for key in changed {
            let (view, member, conversation_id, _) = key;
            let (before, after) = (before.get(key).cloned(), after.get(key).cloned());
            let (events, more_events) = between.of(key, before.as_ref().or(after.as_ref()))?;
            changes.push(RowChange {
                member: member.clone(),
                conversation_id: *conversation_id,
                view,
                before,
                after,
                events,
                more_events,
            });
        }
        Ok(Diff { from, to, changes })
    }

    /// All rows of a subject at a moment; none where it was not known yet.
    async fn rows(&self, subject: &Subject, moment: Moment) -> Result<Rows, PastError> {
        let mut rows = Rows::new();
        let (views, members) = match subject {
            Subject::Member(member) => (OF_A_MEMBER, vec![member.clone()]),
            Subject::Conversation(id) => match self.members_of(*id, moment.position).await {
                Ok(members) => (OF_A_CONVERSATION, members.to_vec()),
                Err(PastError::Query(QueryError::NotFound)) => return Ok(rows),
                Err(error) => return Err(error),
            },
            Subject::Case(_) => return Err(QueryError::NotFound.into()),
        };
        let as_of = self.as_of(subject, views, moment).await?;
        for member in &members {
            lists(&as_of, member, &mut rows).await?;
            if let Subject::Conversation(id) = subject {
                messages(&as_of, member, *id, &mut rows).await?;
            } else {
                standing(&as_of, member, &mut rows).await?;
            }
        }
        if let Subject::Conversation(id) = subject {
            match self.relationship(*id, moment).await {
                Ok(answer) => {
                    // How many messages there are is told by the messages.
                    let facts = PairFacts {
                        messages: 0,
                        ..answer.value
                    };
                    let key = ("relationship", None, Some(*id), 0);
                    rows.insert(key, Shown::Relationship(facts));
                }
                Err(PastError::Query(QueryError::NotFound)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }
}

/// A list whole, by a query of one of its pages. A function over queries would not be `Send`.
macro_rules! all {
    ($page:ident => $query:expr) => {{
        let (mut items, mut cursor): (Vec<_>, Option<Cursor>) = (Vec::new(), None);
        loop {
            let $page = PageRequest::new(LIMIT_MAX, cursor)?;
            let found = $query?;
            items.extend(found.items);
            cursor = found.next;
            if cursor.is_none() {
                break items;
            }
        }
    }};
}

async fn lists(as_of: &AsOf, member: &MemberId, rows: &mut Rows) -> Result<(), QueryError> {
    let owner = || Some(member.clone());
    for item in all!(page => as_of.inbox(member, &page).await) {
        let key = ("inbox", owner(), Some(item.conversation_id), 0);
        rows.insert(key, Shown::Inbox(item));
    }
    for item in all!(page => as_of.requests(member, &page).await) {
        let key = ("requests", owner(), Some(item.conversation_id), 0);
        rows.insert(key, Shown::Request(item));
    }
    for item in all!(page => as_of.blocks(member, &page).await) {
        let id = ConversationId::of(member, &item.member);
        rows.insert(("blocks", owner(), Some(id), 0), Shown::Block(item));
    }
    Ok(())
}

async fn standing(as_of: &AsOf, member: &MemberId, rows: &mut Rows) -> Result<(), QueryError> {
    let owner = || Some(member.clone());
    let unread = as_of.unread(member).await?.value;
    rows.insert(("unread", owner(), None, 0), Shown::Unread(unread));
    match as_of.member(member).await {
        Ok(answer) => {
            rows.insert(("member", owner(), None, 0), Shown::Member(answer.value));
            Ok(())
        }
        Err(QueryError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn messages(
    as_of: &AsOf,
    member: &MemberId,
    id: ConversationId,
    rows: &mut Rows,
) -> Result<(), QueryError> {
    let items = all!(page => match as_of.messages(member, id, &page).await {
        Err(QueryError::NotFound) => return Ok(()),
        page => page,
    });
    for item in items {
        let key = ("messages", Some(member.clone()), Some(id), item.number);
        rows.insert(key, Shown::Message(item));
    }
    Ok(())
}

/// What happened between two moments, by stream.
struct Between {
    /// Each with the number of the message it is about, if it is about one alone.
    events: Vec<(RecordedEvent, Option<u64>)>,
    views: Vec<Arc<dyn View<DomainCodec>>>,
}

impl Between {
    async fn gather(
        past: &Past,
        subject: &Subject,
        from: Moment,
        to: Moment,
    ) -> Result<Self, PastError> {
        let concerned = past.concerned(subject, to.position).await?;
        let mut streams = BTreeSet::new();
        for view in OF_A_MEMBER.iter().chain(OF_A_CONVERSATION) {
            concerned.streams_of(*view, &mut streams);
        }
        let gathered =
            gather::gather(past.log(), &streams, to.position, &|_| true, past.bounds()).await?;
        let after: Position = from.position;
        let later = gathered
            .events
            .into_iter()
            .filter(|event| event.position() > after);
        let mut events = Vec::new();
        for event in later {
            let about = about_message(&event)?;
            events.push((event, about));
        }
        Ok(Self {
            events,
            views: registry::views(),
        })
    }

    /// The events that a row's change may have come by, and how many were left out.
    fn of(&self, key: &Key, shown: Option<&Shown>) -> Result<(Vec<Statement>, usize), PastError> {
        let (name, owner, conversation_id, number) = key;
        let view = match *name {
            "inbox" => Some(ViewName::Inbox),
            "requests" => Some(ViewName::Requests),
            "blocks" => Some(ViewName::Blocked),
            "unread" => Some(ViewName::Unread),
            "member" => Some(ViewName::Members),
            "messages" => Some(ViewName::Conversation),
            _ => None,
        };
        let view = view.and_then(|view| {
            let views = self.views.iter();
            views.clone().find(|known| known.name() == view.as_str())
        });
        let mut streams: BTreeSet<String> = conversation_id
            .iter()
            .map(|id| conversation::stream(*id))
            .collect();
        let of_members = matches!(*name, "requests" | "unread" | "member");
        if of_members {
            streams.extend(owner.iter().map(member::stream));
            streams.insert(policy::STREAM.to_owned());
        }
        if let Some(Shown::Request(item)) = shown {
            streams.insert(member::stream(&item.with));
        }
        let mut events = self.events.iter().filter(|(event, about)| {
            let within = if *name == "unread" {
                // It counts over all conversations.
                true
            } else {
                streams.contains(event.stream())
            };
            within
                && view.is_none_or(|view| view.wants(event.event_type()))
                && !["command-refused.", "command-unchanged."]
                    .iter()
                    .any(|nothing| event.event_type().starts_with(nothing))
                && (*number == 0 || about.is_none_or(|about| about == *number))
        });
        let mut told = Vec::new();
        for (event, _) in events.by_ref().take(Diff::EVENTS_MAX) {
            told.push(statement("diff", event)?);
        }
        Ok((told, events.count()))
    }
}

/// The number of the one message that an event is about; none where it may change how any is seen.
fn about_message(event: &RecordedEvent) -> Result<Option<u64>, PastError> {
    if event.event_type().starts_with("message-") {
        Ok(statement("diff", event)?.number)
    } else {
        Ok(None)
    }
}

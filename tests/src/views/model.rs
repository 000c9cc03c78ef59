//! The views as the domain's page reads, folded naively: every message in a list, every question a scan.
//!
//! Nothing here is kept in summary, so that what the views keep in summary can be held against it. Decisions that the
//! page leaves open are taken as the views take them: a message that reached its recipient's inbox shows as unsent, one
//! that waits leaves; what is unsent keeps its place in the order; a withheld message looks to its sender like the
//! reply it would have been.

use std::collections::BTreeMap;

use domain::conversation::{self, RelationshipKind, RequestState, Route};
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use event_store::RecordedEvent;

/// A message and what became of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug)]
pub struct Message {
    /// Its number.
    pub number: u64,
    /// Its author.
    pub from: MemberId,
    /// What it said.
    pub text: String,
    /// When it was sent.
    pub at: i64,
    /// Where it stands in the log.
    pub position: u64,
    /// Only its author sees it.
    pub withheld: bool,
    /// When it was unsent.
    pub unsent_at: Option<i64>,
    /// Moderators removed it.
    pub removed: bool,
    /// It waits for acceptance.
    pub waits: bool,
    /// It was unsent while it waited.
    pub lost: bool,
}

impl Message {
    /// The text as it is shown.
    pub fn shown(&self) -> Option<String> {
        let told = self.unsent_at.is_none() && !self.removed;
        told.then(|| self.text.clone())
    }
}

/// What one of the two did and is.
#[derive(Clone, Debug)]
pub struct Side {
    /// State of the way from the other to this one.
    pub state: RequestState,
    /// Numbers up to this one are deleted.
    pub deleted_up_to: u64,
    /// Of those, numbers above this one can be restored.
    pub restorable_above: u64,
    /// Up to this moment.
    pub restorable_until: i64,
    /// When the request was opened.
    pub opened_at: i64,
    /// The read mark.
    pub read: u64,
    /// Blocks the other, since when.
    pub blocks: Option<(u64, i64)>,
    /// Muted the conversation.
    pub muted: bool,
    /// Follows the other.
    pub follows: bool,
    /// The other is suggested to them.
    pub suggested: bool,
}

/// Everything between two members.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The two, and what each did.
    pub sides: BTreeMap<MemberId, Side>,
    /// All messages.
    pub messages: Vec<Message>,
}

/// Where a conversation stands for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the inbox.
    Inbox,
    /// On the doorstep, frozen or not.
    Requests,
    /// In neither.
    Nowhere,
}

/// All pairs of a log.
pub fn fold(events: &[RecordedEvent]) -> BTreeMap<ConversationId, Pair> {
    let mut pairs: BTreeMap<ConversationId, Pair> = BTreeMap::new();
    for recorded in events {
        let decoded = domain::codec::decode(recorded.event_type(), recorded.data()).unwrap();
        let Event::Conversation(event) = decoded else {
            continue;
        };
        let [one, other] = event.members();
        let side = |()| Side {
            state: RequestState::None,
            deleted_up_to: 0,
            restorable_above: 0,
            restorable_until: 0,
            opened_at: 0,
            read: 0,
            blocks: None,
            muted: false,
            follows: false,
            suggested: false,
        };
        let pair = pairs
            .entry(ConversationId::of(one, other))
            .or_insert_with(|| Pair {
                sides: [one, other].map(|member| (member.clone(), side(()))).into(),
                messages: Vec::new(),
            });
        pair.take(recorded, &event);
    }
    pairs
}

impl Pair {
    /// The other of the two.
    pub fn other(&self, member: &MemberId) -> &MemberId {
        self.sides.keys().find(|one| *one != member).unwrap()
    }

    fn side(&mut self, member: &MemberId) -> &mut Side {
        self.sides.get_mut(member).unwrap()
    }

    fn accept(&mut self, by: &MemberId) {
        let side = self.side(by);
        side.state = RequestState::Accepted;
        side.deleted_up_to = 0;
        side.restorable_above = 0;
        for message in self
            .messages
            .iter_mut()
            .filter(|message| message.from != *by)
        {
            message.waits = false;
        }
    }

    fn push(
        &mut self,
        recorded: &RecordedEvent,
        number: u64,
        from: &MemberId,
        text: &str,
    ) -> &mut Message {
        self.messages.push(Message {
            number,
            from: from.clone(),
            text: text.to_owned(),
            at: recorded.at_ms(),
            position: recorded.position().0,
            withheld: false,
            unsent_at: None,
            removed: false,
            waits: false,
            lost: false,
        });
        self.messages.last_mut().unwrap()
    }

    fn take(&mut self, recorded: &RecordedEvent, event: &conversation::Event<'_>) {
        use conversation::Event;
        let last_number = self.messages.len() as u64;
        match event {
            Event::MessageSent(sent) => {
                if sent.route == Route::Inbox {
                    self.accept(&sent.to);
                }
                let waits = sent.route == Route::Request;
                self.push(recorded, sent.number, &sent.from, sent.text.as_str())
                    .waits = waits;
                if waits && self.side(&sent.to).state != RequestState::Pending {
                    self.side(&sent.to).state = RequestState::Pending;
                    self.side(&sent.to).opened_at = recorded.at_ms();
                }
            }
            Event::MessageWithheld(held) => {
                match self.side(&held.from).state {
                    RequestState::None | RequestState::Accepted => {}
                    RequestState::Pending | RequestState::Deleted | RequestState::Withdrawn => {
                        self.accept(&held.from);
                    }
                }
                self.push(recorded, held.number, &held.from, held.text.as_str())
                    .withheld = true;
            }
            Event::RequestOpened(opened) => {
                let side = self.side(&opened.to);
                side.state = RequestState::Pending;
                side.opened_at = recorded.at_ms();
            }
            Event::RequestAccepted(accepted) => self.accept(&accepted.by),
            Event::RequestDeleted(deleted) => {
                let side = self.side(&deleted.by);
                side.state = RequestState::Deleted;
                side.deleted_up_to = last_number;
                side.restorable_above = deleted.after;
                side.restorable_until = deleted.restorable_until.0;
            }
            Event::RequestRestored(restored) => {
                let side = self.side(&restored.by);
                side.state = RequestState::Pending;
                side.deleted_up_to = restored.after;
            }
            Event::RequestWithdrawn(withdrawn) => {
                self.side(&withdrawn.to).state = RequestState::Withdrawn;
            }
            Event::MovedToRequests(moved) => {
                let side = self.side(&moved.by);
                side.state = RequestState::Pending;
                side.opened_at = recorded.at_ms();
            }
            Event::MessageUnsent(unsent) => {
                let message = self
                    .messages
                    .iter_mut()
                    .find(|message| message.number == unsent.number)
                    .unwrap();
                message.unsent_at = Some(recorded.at_ms());
                message.lost = message.waits;
            }
            Event::MessagesRemoved(removed) => {
                for message in &mut self.messages {
                    message.removed |= removed.numbers.contains(&message.number);
                }
            }
            Event::MessagesRestored(restored) => {
                for message in &mut self.messages {
                    message.removed &= !restored.numbers.contains(&message.number);
                }
            }
            Event::ReadMarked(marked) => {
                let side = self.side(&marked.by);
                side.read = side.read.max(marked.up_to);
            }
            Event::ConversationMuted(muted) => self.side(&muted.by).muted = true,
            Event::ConversationUnmuted(unmuted) => self.side(&unmuted.by).muted = false,
            Event::MemberBlocked(blocked) => {
                let since = (recorded.position().0, recorded.at_ms());
                self.side(&blocked.by).blocks = Some(since);
            }
            Event::MemberUnblocked(unblocked) => self.side(&unblocked.by).blocks = None,
            Event::RelationshipRecorded(related) => {
                let side = self.side(&related.member);
                match related.kind {
                    RelationshipKind::Follow => side.follows = true,
                    RelationshipKind::Unfollow => side.follows = false,
                    RelationshipKind::Suggest => side.suggested = true,
                    RelationshipKind::Unsuggest => side.suggested = false,
                }
            }
            Event::MessagesReported(_) => {}
        }
    }

    /// The messages that make up a member's thread, those lost to them included.
    fn thread<'a>(&'a self, member: &'a MemberId) -> impl DoubleEndedIterator<Item = &'a Message> {
        let deleted_up_to = self.sides[member].deleted_up_to;
        self.messages
            .iter()
            .filter(move |message| message.number > deleted_up_to)
            .filter(move |message| message.from == *member || !message.withheld)
    }

    fn listed<'a>(&'a self, member: &'a MemberId) -> impl DoubleEndedIterator<Item = &'a Message> {
        self.thread(member)
            .filter(move |message| message.from == *member || !message.lost)
    }

    /// The last message that a member's list shows.
    pub fn last<'a>(&'a self, member: &'a MemberId) -> Option<&'a Message> {
        self.listed(member).next_back()
    }

    /// What a member's lists are ordered by.
    pub fn order(&self, member: &MemberId) -> u64 {
        self.thread(member)
            .next_back()
            .map_or(0, |message| message.position)
    }

    /// Where the conversation stands for a member, were nothing frozen.
    pub fn place(&self, member: &MemberId) -> Place {
        let side = &self.sides[member];
        match side.state {
            _ if self.last(member).is_none() => Place::Nowhere,
            RequestState::Pending if self.readable(member, i64::MAX).is_empty() => Place::Nowhere,
            RequestState::Pending => Place::Requests,
            RequestState::Deleted | RequestState::Withdrawn => Place::Nowhere,
            RequestState::None | RequestState::Accepted if side.blocks.is_some() => Place::Nowhere,
            RequestState::None | RequestState::Accepted => Place::Inbox,
        }
    }

    /// How many messages of the other a member has not read.
    pub fn unread(&self, member: &MemberId) -> u64 {
        let read = self.sides[member].read;
        self.listed(member)
            .filter(|message| message.from != *member && message.number > read)
            .count() as u64
    }

    /// How many messages wait for a member.
    pub fn waiting(&self, member: &MemberId) -> u64 {
        self.listed(member)
            .filter(|message| message.from != *member && message.waits)
            .count() as u64
    }

    /// Whether a message of the other that is not unsent reached this member, of the numbers above one and up to the
    /// other.
    fn reached(&self, member: &MemberId, above: u64, up_to: u64) -> bool {
        self.messages.iter().any(|message| {
            let there = message.from != *member && !message.withheld && message.unsent_at.is_none();
            there && message.number > above && message.number <= up_to
        })
    }

    fn wrote(&self, member: &MemberId) -> bool {
        self.messages.iter().any(|message| message.from == *member)
    }

    /// The messages that a member may read at `now`, newest first. A request of which all is unsent is none.
    pub fn readable(&self, member: &MemberId, now: i64) -> Vec<&Message> {
        let side = &self.sides[member];
        let restorable = now <= side.restorable_until
            && self.reached(member, side.restorable_above, side.deleted_up_to);
        let waits = self.reached(member, side.deleted_up_to, u64::MAX) || self.wrote(member);
        let above = match side.state {
            RequestState::None | RequestState::Accepted => Some(0),
            RequestState::Pending => waits.then_some(side.deleted_up_to),
            RequestState::Deleted | RequestState::Withdrawn => {
                restorable.then_some(side.restorable_above)
            }
        };
        let of_other = |message: &Message| {
            !message.withheld && !message.lost && above.is_some_and(|above| message.number > above)
        };
        self.messages
            .iter()
            .rev()
            .filter(|message| message.from == *member || of_other(message))
            .collect()
    }
}

//! A conversation as its two members see it: the reading of DOMAIN's section 7 that several views share.
//!
//! A [`Thread`] is folded from the conversation's own events and is bounded: nothing in it grows with the number of
//! messages. For each side it says where the conversation stands ([`Thread::place`]), which message is the last one
//! that this side sees ([`Thread::last`]), from which number on it may be read ([`Thread::readable_above`]), and what
//! is unread. Views keep it as a row and make their own rows of the difference an event makes.
//!
//! What freezes a request (the recipient's audience, the sender's standing) is outside the conversation and outside
//! of a thread; see `doorstep`. Unread messages are counted exactly only by a view that keeps the speakers of all
//! numbers ([`crate::speakers`]); whether there are any, a thread knows by itself.

use domain::conversation::{Event, MessageUnsent, RelationshipKind, Route};
use domain::ids::MemberId;
use domain::policy::Relationship;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};

/// One of the two members of a conversation, by the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Side {
    /// The member with the lower id.
    Lower,
    /// The member with the higher id.
    Higher,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Lower, Side::Higher];

    /// This side's of a pair, lower side first.
    pub(crate) const fn of<T>(self, [lower, higher]: &[T; 2]) -> &T {
        match self {
            Side::Lower => lower,
            Side::Higher => higher,
        }
    }

    /// The same, to be changed.
    pub(crate) const fn of_mut<T>(self, [lower, higher]: &mut [T; 2]) -> &mut T {
        match self {
            Side::Lower => lower,
            Side::Higher => higher,
        }
    }

    /// The other one.
    pub(crate) const fn other(self) -> Side {
        match self {
            Side::Lower => Side::Higher,
            Side::Higher => Side::Lower,
        }
    }
}

/// The state of the way from the other member to this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// The other never wrote this way.
    #[default]
    None,
    /// A request waits.
    Pending,
    /// Messages go to the inbox.
    Accepted,
    /// The request was deleted.
    Deleted,
    /// The other took back all that waited.
    Withdrawn,
}

/// A message that may be the last one a side sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Its number.
    pub(crate) number: u64,
    /// The version of the event that sent it.
    pub(crate) version: u64,
    /// The position of the event that sent it.
    pub(crate) position: u64,
    /// Its author.
    pub(crate) from: Side,
    /// It was unsent: shows as such once settled, and not at all while it waits.
    pub(crate) unsent: bool,
    /// Moderators removed it: it shows in its place, without what it said.
    pub(crate) removed: bool,
}

/// What a conversation is to one of its members.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The way from the other to this member.
    pub(crate) way: Way,
    /// Messages up to this number are the deleted part.
    floor: u64,
    /// Of the deleted part, what a restoring brings back lies above this number.
    restorable_above: u64,
    /// The last moment at which it can be restored.
    restorable_until: i64,
    /// The last message that this member sees and that no unsending takes from them.
    settled: Option<Mark>,
    /// Position of the last message that was visible before the present request, unsent ones included.
    settled_order: u64,
    /// The other's last message of that kind; 0 where there is none.
    settled_of_other: u64,
    /// How many of the other's messages reached this member and are neither unsent nor deleted.
    live: u64,
    /// The same of the deleted part that can be restored.
    live_restorable: u64,
    /// The same of what is past restoring.
    live_lost: u64,
    /// The other's messages that wait for acceptance, oldest first; as many as the policy allows in a request.
    waiting: Vec<Mark>,
    /// When the request was opened, or moved here.
    pub(crate) opened_at: i64,
    /// This member wrote a message.
    pub(crate) wrote: bool,
    /// The read mark.
    pub(crate) read: u64,
    /// This member blocks the other.
    pub(crate) blocks: bool,
    /// This member muted the conversation.
    pub(crate) muted: bool,
    /// This member follows the other.
    pub(crate) follows: bool,
    /// The other is suggested to this member.
    pub(crate) suggested: bool,
}

impl Seen {
    /// The last message that this member sees.
    pub(crate) fn last(&self) -> Option<Mark> {
        let waiting = self.visible_waiting().next_back().copied();
        let last = match (self.settled, waiting) {
            (Some(settled), Some(waiting)) if settled.number > waiting.number => Some(settled),
            (settled, waiting) => waiting.or(settled),
        };
        last.filter(|mark| mark.number > self.floor)
    }

    /// What orders the member's lists: the position of the last message visible to them, unsent ones included, so
    /// that an unsending moves nothing.
    pub(crate) fn order(&self) -> u64 {
        let waiting = self.waiting.last().filter(|mark| mark.number > self.floor);
        self.settled_order
            .max(waiting.map_or(0, |mark| mark.position))
    }

    /// How many messages wait in the request.
    pub(crate) fn messages(&self) -> u64 {
        self.visible_waiting().map(|_| 1).sum()
    }

    /// Whether a message of the other that this member sees lies above the read mark.
    pub(crate) fn any_unread(&self) -> bool {
        let waiting = self
            .visible_waiting()
            .next_back()
            .map_or(0, |mark| mark.number);
        self.settled_of_other.max(waiting) > self.floor.max(self.read)
    }

    fn visible_waiting(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        self.waiting
            .iter()
            .filter(|mark| !mark.unsent && mark.number > self.floor)
    }

    /// Where the conversation stands for this member, were nothing frozen.
    pub(crate) fn place(&self) -> Place {
        match self.way {
            _ if self.last().is_none() => Place::Nowhere,
            Way::Pending if self.live == 0 && !self.wrote => Place::Nowhere,
            Way::Pending => Place::Requests,
            Way::None | Way::Accepted if self.blocks => Place::Blocked,
            Way::None | Way::Accepted => Place::Inbox,
            Way::Deleted | Way::Withdrawn => Place::Nowhere,
        }
    }

    /// The number above which this member may read the other's messages at the time `now`; none where they may read
    /// nothing. A frozen or blocked request stays readable, a deleted one as long as it can be restored. Their own
    /// messages they may always read.
    pub(crate) fn readable_above(&self, now: Timestamp) -> Option<u64> {
        match self.way {
            Way::None | Way::Accepted => Some(0),
            Way::Pending => Some(self.floor),
            Way::Deleted | Way::Withdrawn => self.restorable(now).then_some(self.restorable_above),
        }
    }

    /// Whether the conversation exists for this member at the time `now`: whether it holds a message of their own, or
    /// one of the other that they may read. The domain says the same of a conversation's state.
    pub(crate) fn exists(&self, now: Timestamp) -> bool {
        self.wrote
            || match self.way {
                Way::None | Way::Accepted => self.settled_of_other > 0,
                Way::Pending => self.live > 0 || self.restorable(now),
                Way::Deleted | Way::Withdrawn => self.restorable(now),
            }
    }

    fn restorable(&self, now: Timestamp) -> bool {
        self.live_restorable > 0 && now.0 <= self.restorable_until
    }

    /// The same for any time.
    pub(crate) fn existence(&self) -> Existence {
        let until = Timestamp(self.restorable_until);
        if self.exists(Timestamp(i64::MAX)) {
            Existence::Always
        } else if self.exists(until) {
            Existence::Until(until.0)
        } else {
            Existence::Never
        }
    }

    /// Whether a request waits for this member.
    pub(crate) fn is_pending(&self) -> bool {
        self.way == Way::Pending
    }

    fn settle(&mut self, mark: Mark) {
        self.settled = Some(mark);
        self.settled_order = mark.position;
    }

    /// The request is accepted: what waited and what was deleted are part of the thread.
    fn accept(&mut self) {
        self.way = Way::Accepted;
        self.floor = 0;
        self.restorable_above = 0;
        self.live += self.live_restorable + self.live_lost;
        (self.live_restorable, self.live_lost) = (0, 0);
        self.settled_order = self.order();
        let last = self.visible_waiting().next_back().copied();
        if let Some(last) = last {
            self.settled_of_other = self.settled_of_other.max(last.number);
            if self
                .settled
                .is_none_or(|settled| settled.number < last.number)
            {
                self.settled = Some(last);
            }
        }
        self.waiting.clear();
    }
}

/// When a conversation exists for a member, as things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Existence {
    /// Never.
    Never,
    /// Up to this moment, inclusive.
    Until(i64),
    /// At any time.
    Always,
}

impl Existence {
    pub(crate) fn at(self, now: Timestamp) -> bool {
        match self {
            Self::Never => false,
            Self::Until(until) => now.0 <= until,
            Self::Always => true,
        }
    }
}

/// In which of a member's lists a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the inbox.
    Inbox,
    /// On the doorstep, frozen or not.
    Requests,
    /// Among the blocked.
    Blocked,
    /// In none.
    Nowhere,
}

/// The two members of a conversation. They stand in every event of it, and so in no thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a>([&'a MemberId; 2]);

impl<'a> Pair<'a> {
    /// The two, in either order.
    pub(crate) fn of(one: &'a MemberId, other: &'a MemberId) -> Self {
        if one <= other {
            Self([one, other])
        } else {
            Self([other, one])
        }
    }

    /// The two that an event names, and the side of the one who acted.
    pub(crate) fn acting(event: &'a Event<'_>) -> (Self, Side) {
        let [actor, other] = event.members();
        let side = if actor <= other {
            Side::Lower
        } else {
            Side::Higher
        };
        (Self::of(actor, other), side)
    }

    /// The member on a side.
    pub(crate) fn member(&self, side: Side) -> &'a MemberId {
        side.of::<&'a MemberId>(&self.0)
    }

    /// The side of a member; none for a stranger.
    pub(crate) fn side(&self, member: &MemberId) -> Option<Side> {
        Side::BOTH
            .into_iter()
            .find(|side| self.member(*side) == member)
    }
}

/// A conversation as its two members see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thread {
    seen: [Seen; 2],
    /// The last message's number.
    pub(crate) last_number: u64,
}

impl Thread {
    /// What the conversation is to a side.
    pub(crate) fn seen(&self, side: Side) -> &Seen {
        side.of(&self.seen)
    }

    fn seen_mut(&mut self, side: Side) -> &mut Seen {
        side.of_mut(&mut self.seen)
    }

    /// What the other is to this side, when a message of the other is routed.
    pub(crate) fn relationship(&self, side: Side) -> Relationship {
        let (me, other) = (self.seen(side), self.seen(side.other()));
        Relationship {
            recipient_follows: me.follows,
            sender_follows: other.follows,
            suggested: me.suggested,
        }
    }

    /// Whether a conversation that was not known yet begins with this event. Before its first message there is nothing
    /// to see: who blocks, is followed or suggested then is no view's matter but that of `blocked`, and a request
    /// brings what is known between the two.
    pub(crate) fn begins_with(event: &Event<'_>) -> bool {
        match event {
            Event::MessageSent(_) | Event::MessageWithheld(_) | Event::RequestOpened(_) => true,
            Event::RequestAccepted(_)
            | Event::RequestDeleted(_)
            | Event::RequestRestored(_)
            | Event::RequestWithdrawn(_)
            | Event::MovedToRequests(_)
            | Event::MessageUnsent(_)
            | Event::ReadMarked(_)
            | Event::ConversationMuted(_)
            | Event::ConversationUnmuted(_)
            | Event::MemberBlocked(_)
            | Event::MemberUnblocked(_)
            | Event::MessagesRemoved(_)
            | Event::MessagesRestored(_)
            | Event::RelationshipRecorded(_)
            | Event::MessagesReported(_) => false,
        }
    }

    /// Whether the event is a block, which needs no message.
    pub(crate) fn blocks_with(event: &Event<'_>) -> bool {
        matches!(event, Event::MemberBlocked(_))
    }

    /// Takes an event of the conversation in. Answers which message left whose view, if one did.
    pub(crate) fn apply(&mut self, recorded: &RecordedEvent, event: &Event<'_>) -> Option<Gone> {
        let (_, actor) = Pair::acting(event);
        let mark = |number| Mark {
            number,
            version: recorded.version(),
            position: recorded.position().0,
            from: actor,
            unsent: false,
            removed: false,
        };
        let at = recorded.at_ms();
        match event {
            Event::MessageSent(sent) => {
                self.last_number = self.last_number.max(sent.number);
                let sender = self.seen_mut(actor);
                sender.wrote = true;
                sender.settle(mark(sent.number));
                let recipient = self.seen_mut(actor.other());
                recipient.live += 1;
                match sent.route {
                    Route::Inbox => {
                        if recipient.way != Way::Accepted {
                            recipient.accept();
                        }
                        recipient.settle(mark(sent.number));
                        recipient.settled_of_other = sent.number;
                    }
                    Route::Request => {
                        if recipient.way != Way::Pending {
                            recipient.way = Way::Pending;
                            recipient.opened_at = at;
                        }
                        recipient.waiting.push(mark(sent.number));
                    }
                }
            }
            Event::MessageWithheld(withheld) => {
                self.last_number = self.last_number.max(withheld.number);
                let sender = self.seen_mut(actor);
                // A log may hold what was withheld without the acceptance that a delivered message brings along; its
                // sender must not see that.
                if sender.way != Way::None && sender.way != Way::Accepted {
                    sender.accept();
                }
                sender.wrote = true;
                sender.settle(mark(withheld.number));
            }
            Event::RequestOpened(opened) => {
                self.relate(actor.other(), opened.relationship);
                let recipient = self.seen_mut(actor.other());
                recipient.way = Way::Pending;
                recipient.opened_at = at;
            }
            Event::RequestAccepted(_) => self.seen_mut(actor).accept(),
            Event::RequestDeleted(deleted) => {
                let last_number = self.last_number;
                let seen = self.seen_mut(actor);
                seen.way = Way::Deleted;
                if deleted.after >= seen.floor {
                    seen.live_lost += seen.live_restorable;
                    seen.live_restorable = 0;
                }
                seen.live_restorable += seen.live;
                seen.live = 0;
                seen.floor = last_number;
                seen.restorable_above = deleted.after;
                seen.restorable_until = deleted.restorable_until.0;
            }
            Event::RequestRestored(restored) => {
                let seen = self.seen_mut(actor);
                seen.way = Way::Pending;
                seen.floor = restored.after;
                seen.live += seen.live_restorable;
                seen.live_restorable = 0;
            }
            Event::RequestWithdrawn(_) => self.seen_mut(actor.other()).way = Way::Withdrawn,
            Event::MovedToRequests(moved) => {
                self.relate(actor, moved.relationship);
                let seen = self.seen_mut(actor);
                seen.way = Way::Pending;
                seen.opened_at = at;
            }
            Event::MessageUnsent(unsent) => return self.unsend(actor, unsent),
            Event::ReadMarked(marked) => {
                let seen = self.seen_mut(actor);
                seen.read = seen.read.max(marked.up_to);
            }
            Event::ConversationMuted(_) => self.seen_mut(actor).muted = true,
            Event::ConversationUnmuted(_) => self.seen_mut(actor).muted = false,
            Event::MemberBlocked(_) => self.seen_mut(actor).blocks = true,
            Event::MemberUnblocked(_) => self.seen_mut(actor).blocks = false,
            Event::RelationshipRecorded(recorded) => {
                let seen = self.seen_mut(actor);
                match recorded.kind {
                    RelationshipKind::Follow => seen.follows = true,
                    RelationshipKind::Unfollow => seen.follows = false,
                    RelationshipKind::Suggest => seen.suggested = true,
                    RelationshipKind::Unsuggest => seen.suggested = false,
                }
            }
            Event::MessagesRemoved(removed) => self.set_removed(&removed.numbers, true),
            Event::MessagesRestored(restored) => self.set_removed(&restored.numbers, false),
            Event::MessagesReported(_) => {}
        }
        None
    }

    /// What these messages said is gone for both sides, or there again; all else stays as it is.
    fn set_removed(&mut self, numbers: &[u64], removed: bool) {
        for seen in &mut self.seen {
            let marks = seen.settled.iter_mut().chain(&mut seen.waiting);
            for mark in marks.filter(|mark| numbers.contains(&mark.number)) {
                mark.removed = removed;
            }
        }
    }

    fn relate(&mut self, recipient: Side, relationship: Relationship) {
        let Relationship {
            recipient_follows,
            sender_follows,
            suggested,
        } = relationship;
        let seen = self.seen_mut(recipient);
        (seen.follows, seen.suggested) = (recipient_follows, suggested);
        self.seen_mut(recipient.other()).follows = sender_follows;
    }

    /// In a request an unsent message leaves its recipient's view; elsewhere it shows as unsent.
    fn unsend(&mut self, author: Side, unsent: &MessageUnsent) -> Option<Gone> {
        let number = unsent.number;
        for side in Side::BOTH {
            if let Some(settled) = self
                .seen_mut(side)
                .settled
                .as_mut()
                .filter(|mark| mark.number == number)
            {
                settled.unsent = true;
            }
        }
        if unsent.withheld {
            return None;
        }
        let recipient = self.seen_mut(author.other());
        let live = if number > recipient.floor {
            &mut recipient.live
        } else if number > recipient.restorable_above {
            &mut recipient.live_restorable
        } else {
            &mut recipient.live_lost
        };
        *live = live.saturating_sub(1);
        recipient
            .waiting
            .iter_mut()
            .find(|mark| mark.number == number)?
            .unsent = true;
        Some(Gone {
            side: author.other(),
            number,
        })
    }
}

/// A message that left a side's view for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Whose view it left.
    pub(crate) side: Side,
    /// Its number.
    pub(crate) number: u64,
}

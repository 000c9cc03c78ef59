//! What decisions about a conversation need, and how events change it.
//!
//! Bounded: two sides and two directions of fixed size. Of the messages it keeps counts and boundaries by number, never
//! a list. Each thing that a command may find already so carries the version of the event that made it so.
//! `evolve` never fails: an event of members who are not the two of this conversation changes nothing.

use crate::conversation::event::{DeleteMode, Event, RelationshipKind};
use crate::event::Recorded;
use crate::ids::MemberId;
use crate::policy::Relationship;
use crate::time::Timestamp;

/// The request state of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RequestState {
    /// No request was ever opened. Messages may be in the inbox all the same, by relationship or by a reply.
    #[default]
    None,
    /// A request waits.
    Pending,
    /// The recipient accepted the sender.
    Accepted,
    /// The recipient deleted the request.
    Deleted,
    /// The sender unsent all of it.
    Withdrawn,
}

/// Everything between two members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(super) pair: Option<[MemberId; 2]>,
    pub(super) sides: [Side; 2],
    pub(super) directions: [Direction; 2],
    pub(super) last_number: u64,
}

/// Which of the two, in byte order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Lower,
    Higher,
}

impl Who {
    /// The side that `member` has in a conversation with `other`.
    pub(super) fn of(member: &MemberId, other: &MemberId) -> Who {
        if member < other {
            Who::Lower
        } else {
            Who::Higher
        }
    }

    pub(super) const fn other(self) -> Who {
        match self {
            Who::Lower => Who::Higher,
            Who::Higher => Who::Lower,
        }
    }
}

/// Something that is so or not, and the event that made it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) holds: bool,
    pub(super) version: Option<u64>,
}

/// What one member did or is towards the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    /// Blocks the other.
    pub(super) blocks: Fact,
    /// Follows the other.
    pub(super) follows: Fact,
    /// The other is suggested to them.
    pub(super) suggested: Fact,
    /// Wants no notices.
    pub(super) muted: Fact,
    /// Read up to this number, and by which event.
    pub(super) read_up_to: u64,
    pub(super) read_version: Option<u64>,
}

/// For how long what the sender of a deleted request writes is withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Cooldown {
    #[default]
    None,
    Until(Timestamp),
    UntilRecipientActs,
}

impl Cooldown {
    /// Whether it runs at `at`: up to its end, not including it.
    pub(super) fn runs(self, at: Timestamp) -> bool {
        match self {
            Cooldown::None => false,
            Cooldown::Until(until) => at < until,
            Cooldown::UntilRecipientActs => true,
        }
    }
}

/// From one member to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) state: RequestState,
    /// Version of the event that made the state what it is.
    pub(super) state_version: Option<u64>,
    /// When the request was opened last.
    pub(super) opened_at: Option<Timestamp>,
    /// Number of the last message written, withheld ones included; 0 before the first.
    pub(super) last_written: u64,
    /// Number of the last message that reached the recipient; 0 before the first.
    pub(super) last_reached: u64,
    /// Version of the first message that reached the recipient.
    pub(super) reached_version: Option<u64>,
    /// Messages written since the recipient accepted last (rule 11).
    pub(super) count: u32,
    /// Messages up to this number are deleted; 0 when none are.
    pub(super) deleted_up_to: u64,
    /// Of those, messages above this number can be restored.
    pub(super) restorable_after: u64,
    /// The last moment at which they can.
    pub(super) restorable_until: Timestamp,
    /// How many that reached the recipient are neither deleted nor unsent.
    pub(super) live: u64,
    /// How many of the restorable part are not unsent.
    pub(super) live_restorable: u64,
    /// How many deleted ones, past restoring, are not unsent.
    pub(super) live_lost: u64,
    /// How the last deletion was meant.
    pub(super) mode: Option<DeleteMode>,
    /// How many deletions there were since the recipient accepted last.
    pub(super) deletes: u32,
    pub(super) cooldown: Cooldown,
    /// Version of the restore that left nothing to restore.
    pub(super) restored_version: Option<u64>,
    /// The last decision on a case that removed messages of it, or the last reversal of one.
    pub(super) removed: Option<Removed>,
}

/// A decision that removed messages, or the reversal of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removed {
    /// Its version in the case's stream.
    pub(super) case_version: u64,
    /// Version of the event that carried it out here.
    pub(super) version: u64,
}

impl Direction {
    /// Whether a message was ever written in it.
    pub(super) fn written(&self) -> bool {
        self.last_written > 0
    }

    /// Whether a message ever reached its recipient.
    pub(super) fn reached(&self) -> bool {
        self.last_reached > 0
    }

    /// Whether its recipient can read any of it at `at`.
    pub(super) fn readable(&self, at: Timestamp) -> bool {
        match self.state {
            RequestState::None | RequestState::Accepted => self.reached(),
            RequestState::Pending => self.live > 0 || self.restorable(at),
            RequestState::Deleted | RequestState::Withdrawn => self.restorable(at),
        }
    }

    /// Whether a deleted part can be restored at `at`, up to the last moment inclusive.
    pub(super) fn restorable(&self, at: Timestamp) -> bool {
        self.live_restorable > 0 && at <= self.restorable_until
    }
}

impl State {
    /// Number of the last message; 0 before the first.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }

    /// The two members, lower id first; none before any event named them.
    pub fn pair(&self) -> Option<&[MemberId; 2]> {
        self.pair.as_ref()
    }

    /// The other of the two; none for who is neither.
    pub fn other(&self, member: &MemberId) -> Option<&MemberId> {
        let [lower, higher] = self.pair.as_ref()?;
        if member == lower {
            Some(higher)
        } else if member == higher {
            Some(lower)
        } else {
            None
        }
    }

    /// The request state of the direction from `from` to the other.
    pub fn request_state(&self, from: &MemberId) -> RequestState {
        self.who(from)
            .map_or(RequestState::None, |from| self.outgoing(from).state)
    }

    /// What is known between the sender of a direction and its recipient.
    pub fn relationship(&self, from: &MemberId) -> Relationship {
        self.who(from)
            .map_or_else(Relationship::default, |from| self.relationship_of(from))
    }

    /// Whether `by` blocks the other.
    pub fn blocks(&self, by: &MemberId) -> bool {
        self.who(by).is_some_and(|by| self.side(by).blocks.holds)
    }

    /// Whether the conversation exists for a member at `at`: whether it holds a message that they can see, their own
    /// or the other's. What is frozen or blocked can be read, what is deleted as long as it can be restored.
    pub fn exists_for(&self, member: &MemberId, at: Timestamp) -> bool {
        self.who(member).is_some_and(|who| {
            self.outgoing(who).written() || self.outgoing(who.other()).readable(at)
        })
    }

    pub(super) fn who(&self, member: &MemberId) -> Option<Who> {
        let [lower, higher] = self.pair.as_ref()?;
        if member == lower {
            Some(Who::Lower)
        } else if member == higher {
            Some(Who::Higher)
        } else {
            None
        }
    }

    pub(super) fn side(&self, who: Who) -> &Side {
        let [lower, higher] = &self.sides;
        match who {
            Who::Lower => lower,
            Who::Higher => higher,
        }
    }

    /// The direction in which `who` writes.
    pub(super) fn outgoing(&self, who: Who) -> &Direction {
        let [lower, higher] = &self.directions;
        match who {
            Who::Lower => lower,
            Who::Higher => higher,
        }
    }

    pub(super) fn relationship_of(&self, from: Who) -> Relationship {
        let recipient = self.side(from.other());
        Relationship {
            recipient_follows: recipient.follows.holds,
            sender_follows: self.side(from).follows.holds,
            suggested: recipient.suggested.holds,
        }
    }

    fn side_mut(&mut self, who: Who) -> &mut Side {
        let [lower, higher] = &mut self.sides;
        match who {
            Who::Lower => lower,
            Who::Higher => higher,
        }
    }

    fn outgoing_mut(&mut self, who: Who) -> &mut Direction {
        let [lower, higher] = &mut self.directions;
        match who {
            Who::Lower => lower,
            Who::Higher => higher,
        }
    }

    /// The side of the event's first member, if its two are the two of this conversation; the first event names them.
    fn take_pair(&mut self, [one, other]: [&MemberId; 2]) -> Option<Who> {
        if one == other {
            return None;
        }
        if self.pair.is_none() {
            let (lower, higher) = if one < other {
                (one, other)
            } else {
                (other, one)
            };
            self.pair = Some([lower.clone(), higher.clone()]);
        }
        self.who(other)?;
        self.who(one)
    }
}

/// Takes an event into the state.
pub fn evolve(state: &mut State, recorded: Recorded, event: &Event<'_>) {
    let Some(first) = state.take_pair(event.members()) else {
        return;
    };
    let version = recorded.version;
    match event {
        Event::MessageSent(sent) => {
            state.last_number = state.last_number.max(sent.number);
            let direction = state.outgoing_mut(first);
            direction.last_written = sent.number;
            direction.last_reached = sent.number;
            direction.reached_version.get_or_insert(version);
            direction.count = direction.count.saturating_add(1);
            direction.live = direction.live.saturating_add(1);
        }
        Event::MessageWithheld(withheld) => {
            state.last_number = state.last_number.max(withheld.number);
            let direction = state.outgoing_mut(first);
            direction.last_written = withheld.number;
            direction.count = direction.count.saturating_add(1);
        }
        Event::RequestOpened(_) => {
            let direction = state.outgoing_mut(first);
            direction.state = RequestState::Pending;
            direction.state_version = Some(version);
            direction.opened_at = Some(recorded.at);
            direction.cooldown = Cooldown::None;
        }
        Event::RequestAccepted(_) => accepted(state.outgoing_mut(first.other()), version),
        Event::RequestDeleted(deleted) => {
            let direction = state.outgoing_mut(first.other());
            if direction.state != RequestState::Deleted {
                direction.deletes = direction.deletes.saturating_add(1);
            }
            if deleted.after >= direction.deleted_up_to {
                direction.live_lost = direction
                    .live_lost
                    .saturating_add(direction.live_restorable);
                direction.live_restorable = 0;
            }
            direction.live_restorable = direction.live_restorable.saturating_add(direction.live);
            direction.live = 0;
            direction.state = RequestState::Deleted;
            direction.state_version = Some(version);
            direction.mode = Some(deleted.mode);
            direction.deleted_up_to = deleted.up_to;
            direction.restorable_after = deleted.after;
            direction.restorable_until = deleted.restorable_until;
            direction.cooldown = deleted
                .cooldown_until
                .map_or(Cooldown::UntilRecipientActs, Cooldown::Until);
            direction.restored_version = None;
        }
        Event::RequestRestored(restored) => {
            let direction = state.outgoing_mut(first.other());
            direction.live = direction.live.saturating_add(direction.live_restorable);
            direction.live_restorable = 0;
            direction.deleted_up_to = restored.after;
            direction.state = RequestState::Pending;
            direction.state_version = Some(version);
            direction.cooldown = Cooldown::None;
            direction.restored_version = Some(version);
        }
        Event::RequestWithdrawn(_) => {
            let direction = state.outgoing_mut(first);
            direction.state = RequestState::Withdrawn;
            direction.state_version = Some(version);
        }
        Event::MovedToRequests(_) => {
            let direction = state.outgoing_mut(first.other());
            direction.state = RequestState::Pending;
            direction.state_version = Some(version);
            direction.count = 0;
        }
        Event::MessageUnsent(unsent) => {
            if !unsent.withheld {
                unsent_one(state.outgoing_mut(first), unsent.number);
            }
        }
        Event::ReadMarked(marked) => {
            let side = state.side_mut(first);
            side.read_up_to = marked.up_to;
            side.read_version = Some(version);
        }
        Event::ConversationMuted(_) => {
            state.side_mut(first).muted = Fact {
                holds: true,
                version: Some(version),
            }
        }
        Event::ConversationUnmuted(_) => {
            state.side_mut(first).muted = Fact {
                holds: false,
                version: Some(version),
            }
        }
        Event::MemberBlocked(_) => {
            state.side_mut(first).blocks = Fact {
                holds: true,
                version: Some(version),
            }
        }
        Event::MemberUnblocked(_) => {
            state.side_mut(first).blocks = Fact {
                holds: false,
                version: Some(version),
            }
        }
        Event::RelationshipRecorded(relationship) => {
            related(state, first, relationship.kind, version);
        }
        Event::MessagesRemoved(removed) => {
            state.outgoing_mut(first).removed = Some(Removed {
                case_version: removed.case_version,
                version,
            });
        }
        Event::MessagesRestored(restored) => {
            state.outgoing_mut(first).removed = Some(Removed {
                case_version: restored.case_version,
                version,
            });
        }
        Event::MessagesReported(_) => {}
    }
}

/// The recipient's consent: everything is visible again, every count starts anew.
fn accepted(direction: &mut Direction, version: u64) {
    direction.state = RequestState::Accepted;
    direction.state_version = Some(version);
    direction.count = 0;
    direction.live = direction
        .live
        .saturating_add(direction.live_restorable)
        .saturating_add(direction.live_lost);
    direction.live_restorable = 0;
    direction.live_lost = 0;
    direction.deleted_up_to = 0;
    direction.restorable_after = 0;
    direction.deletes = 0;
    direction.cooldown = Cooldown::None;
    direction.restored_version = None;
}

fn unsent_one(direction: &mut Direction, number: u64) {
    let part = if number > direction.deleted_up_to {
        &mut direction.live
    } else if number > direction.restorable_after {
        &mut direction.live_restorable
    } else {
        &mut direction.live_lost
    };
    *part = part.saturating_sub(1);
}

fn related(state: &mut State, member: Who, kind: RelationshipKind, version: u64) {
    let fact = |holds| Fact {
        holds,
        version: Some(version),
    };
    let side = state.side_mut(member);
    match kind {
        RelationshipKind::Follow => {
            side.follows = fact(true);
            // A follow made after the deletion lifts its cooldown.
            state.outgoing_mut(member.other()).cooldown = Cooldown::None;
        }
        RelationshipKind::Unfollow => side.follows = fact(false),
        RelationshipKind::Suggest => side.suggested = fact(true),
        RelationshipKind::Unsuggest => side.suggested = fact(false),
    }
}

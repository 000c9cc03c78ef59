//! Who stands on whose doorstep, and whom the recipient sees there: what `requests` and `unread` share.
//!
//! Freezing writes no event per request. A pending request lies in a group of its recipient: one group per
//! relationship, and one for those hidden whatever the audience says, because the recipient blocks the sender, or the
//! sender is suspended or under 16. A query asks the audience table in force which groups the recipient's audience
//! lets in, so that a changed setting or policy moves no row; what concerns one sender moves that sender's requests,
//! which are found by sender. When its causes are gone a request is back as it was, in its place.
//!
//! The table itself is the domain's (`AudienceTable::admit`), and so are the causes (`domain::conversation::frozen`).

use domain::conversation;
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::member::{self, AgeBand, Restriction};
use domain::policy::{self, Admission, Audience, Relationship, Rules};
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Order, Reader, Span, Tx};

use crate::codec::conversation_of;
use crate::rows::{fetch, load, store};
use crate::thread::{Mark, Pair, Place, Side, Thread};

/// The group of those that no audience lets in.
pub(crate) const HIDDEN: u8 = 0x80;
/// How many groups there are beside that one.
pub(crate) const GROUPS: usize = 8;

const RULES: &[u8] = b"rules";

/// The tables that a view of the doorstep has beside its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doorstep {
    /// Conversation: its [`Kept`].
    pub(crate) threads: &'static str,
    /// Sender, conversation: the recipient. The pending requests of a sender.
    pub(crate) senders: &'static str,
    /// Member: their [`Standing`].
    pub(crate) members: &'static str,
    /// What the rules in force let in.
    pub(crate) policy: &'static str,
}

/// What the rules in force let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Admitted {
    /// Per audience, a bit per group that it does not refuse.
    groups: [u8; 5],
    default_adult: Audience,
    default_16_17: Audience,
}

impl Admitted {
    fn by(rules: &Rules) -> Self {
        let groups = AUDIENCES.map(|audience| {
            let admits = |group: &u8| {
                let relationship = relationship_of(*group);
                let known = group_of(relationship) == *group;
                known && rules.audience_table.admit(audience, relationship).0 > Admission::Refused
            };
            (0..8)
                .filter(admits)
                .fold(0, |groups, group| groups | 1 << group)
        });
        Self {
            groups,
            default_adult: rules.default_audience_adult,
            default_16_17: rules.default_audience_16_17,
        }
    }

    /// The audience of a member.
    pub(crate) fn audience(self, standing: Standing) -> Audience {
        let defaults = (self.default_adult, self.default_16_17);
        audience_of(standing.chosen, standing.age_band, defaults)
    }

    /// A bit per group that this member's audience lets in; none where an age forbids it.
    pub(crate) fn to(self, standing: Standing) -> u8 {
        if standing.age_band == AgeBand::Under16 {
            return 0;
        }
        let audience = self.audience(standing);
        let of = AUDIENCES.iter().position(|known| *known == audience);
        of.and_then(|at| self.groups.get(at)).copied().unwrap_or(0)
    }
}

/// All audiences.
const AUDIENCES: [Audience; 5] = [
    Audience::Everyone,
    Audience::Following,
    Audience::FriendsAndSuggested,
    Audience::Friends,
    Audience::NoOne,
];

/// What of a member freezes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    age_band: AgeBand,
    pub(crate) chosen: Option<Audience>,
    suspended: bool,
}

impl Standing {
    fn may_send(self) -> bool {
        !self.suspended && self.age_band != AgeBand::Under16
    }
}

/// Whom a member lets write to them: as they chose, or by the default of their age band, of adults and of those of 16
/// and 17.
pub(crate) fn audience_of(
    chosen: Option<Audience>,
    age_band: AgeBand,
    (adult, from_16_to_17): (Audience, Audience),
) -> Audience {
    chosen.unwrap_or(match age_band {
        AgeBand::Under16 => Audience::NoOne,
        AgeBand::From16To17 => from_16_to_17,
        AgeBand::Adult => adult,
    })
}

/// A conversation's thread, and per side whether the other one may not send at present, kept while they wait.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) thread: Thread,
    silenced: [bool; 2],
}

/// What the rows of one side follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    /// The last message and the group, while it is in the requests, hidden or not.
    pub(crate) waits: Option<(Mark, u8)>,
    /// It is in the inbox.
    pub(crate) in_inbox: bool,
    pub(crate) order: u64,
    pub(crate) messages: u64,
    pub(crate) opened_at: i64,
    pub(crate) muted: bool,
    pub(crate) any_unread: bool,
    pub(crate) relationship: Relationship,
}

impl Stand {
    /// The group in which it can be seen.
    pub(crate) fn group(&self) -> Option<u8> {
        self.waits
            .map(|(_, group)| group)
            .filter(|group| *group != HIDDEN)
    }
}

impl Kept {
    pub(crate) fn stand(&self, side: Side) -> Stand {
        let seen = self.thread.seen(side);
        let relationship = self.thread.relationship(side);
        let hidden = seen.blocks || *side.of(&self.silenced);
        let group = if hidden {
            HIDDEN
        } else {
            group_of(relationship)
        };
        let place = seen.place();
        Stand {
            waits: seen
                .last()
                .filter(|_| place == Place::Requests)
                .map(|last| (last, group)),
            in_inbox: place == Place::Inbox,
            order: seen.order(),
            messages: seen.messages(),
            opened_at: seen.opened_at,
            muted: seen.muted,
            any_unread: seen.any_unread(),
            relationship,
        }
    }
}

/// A conversation before and after an event; of before what a view looks at.
pub(crate) struct Change<'a, S> {
    pub(crate) id: ConversationId,
    pub(crate) pair: Pair<'a>,
    pub(crate) kept: &'a Kept,
    pub(crate) before: [S; 2],
    /// The event, if it is the conversation's own.
    pub(crate) event: Option<(&'a RecordedEvent, &'a conversation::Event<'a>)>,
}

impl Doorstep {
    /// Takes an event in, and tells `follow` of each conversation that it concerns, with what `stand` said of it before.
    pub(crate) fn apply<S>(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
        stand: impl Fn(&Kept, Side) -> S,
        follow: impl Fn(&mut Tx<'_>, &Change<'_, S>) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        match decoded {
            Event::Conversation(event) => self.conversation(tx, recorded, event, stand, follow),
            Event::Member(event) => self.member(tx, event, stand, follow),
            Event::Policy(policy::Event::PolicySet(set)) => {
                store(tx, self.policy, RULES, &Admitted::by(&set.rules))
            }
            Event::Case(_)
            | Event::Reactor(_)
            | Event::Act(_)
            | Event::Refused(_)
            | Event::Unchanged(_) => Ok(()),
        }
    }

    fn conversation<S>(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        event: &conversation::Event<'_>,
        stand: impl Fn(&Kept, Side) -> S,
        follow: impl Fn(&mut Tx<'_>, &Change<'_, S>) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let id = conversation_of(recorded)?;
        let (pair, _) = Pair::acting(event);
        let mut kept: Kept = match load(tx, self.threads, id.0.as_bytes())? {
            Some(kept) => kept,
            None if !Thread::begins_with(event) => return Ok(()),
            None => Kept {
                thread: Thread::default(),
                silenced: [false, false],
            },
        };
        let before = Side::BOTH.map(|side| stand(&kept, side));
        let waited = Side::BOTH.map(|side| kept.thread.seen(side).is_pending());
        kept.thread.apply(recorded, event);
        for side in Side::BOTH {
            let waits = kept.thread.seen(side).is_pending();
            if waits != *side.of(&waited) {
                let (sender, recipient) = (pair.member(side.other()), pair.member(side));
                let may_send = self.wait(tx, id, sender, recipient, waits)?;
                *side.of_mut(&mut kept.silenced) = !may_send;
            }
        }
        store(tx, self.threads, id.0.as_bytes(), &kept)?;
        follow(
            tx,
            &Change {
                id,
                pair,
                kept: &kept,
                before,
                event: Some((recorded, event)),
            },
        )
    }

    /// Keeps the pending requests of each sender. Says whether the sender of one that begins to wait may send.
    fn wait(
        &self,
        tx: &mut Tx<'_>,
        id: ConversationId,
        sender: &MemberId,
        recipient: &MemberId,
        waits: bool,
    ) -> Result<bool, ApplyError> {
        let key = Key::new().text(sender.as_str()).fixed(id.0.as_bytes());
        if !waits {
            tx.delete(self.senders, &key)?;
            return Ok(true);
        }
        tx.put(self.senders, &key, recipient.as_str().as_bytes())?;
        let standing: Option<Standing> = load(tx, self.members, sender.as_str().as_bytes())?;
        Ok(standing.is_some_and(Standing::may_send))
    }

    fn member<S>(
        &self,
        tx: &mut Tx<'_>,
        event: &member::Event<'_>,
        stand: impl Fn(&Kept, Side) -> S,
        follow: impl Fn(&mut Tx<'_>, &Change<'_, S>) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let member = event.member();
        let before: Option<Standing> = load(tx, self.members, member.as_str().as_bytes())?;
        let Some(after) = standing_after(before, event) else {
            return Ok(());
        };
        if before == Some(after) {
            return Ok(());
        }
        store(tx, self.members, member.as_str().as_bytes(), &after)?;
        if before.is_some_and(Standing::may_send) == after.may_send() {
            return Ok(());
        }
        let prefix = Key::new().text(member.as_str());
        let mut waiting = Vec::new();
        for row in tx.scan(self.senders, &Span::prefix(&prefix), Order::Ascending)? {
            let (key, recipient) = row?;
            let recipient = std::str::from_utf8(&recipient)
                .ok()
                .and_then(|id| MemberId::new(id).ok());
            waiting.extend(key.last_chunk::<16>().copied().zip(recipient));
        }
        for (id, recipient) in waiting {
            let Some(mut kept) = load::<Kept>(tx, self.threads, &id)? else {
                continue;
            };
            let pair = Pair::of(member, &recipient);
            let before = Side::BOTH.map(|side| stand(&kept, side));
            if let Some(side) = pair.side(&recipient) {
                *side.of_mut(&mut kept.silenced) = !after.may_send();
            }
            store(tx, self.threads, &id, &kept)?;
            let id = ConversationId(uuid::Uuid::from_bytes(id));
            let change = Change {
                id,
                pair,
                kept: &kept,
                before,
                event: None,
            };
            follow(tx, &change)?;
        }
        Ok(())
    }

    /// A bit per group of a recipient's requests that their audience lets in.
    pub(crate) fn open_groups(&self, reader: &Reader, recipient: &MemberId) -> anyhow::Result<u8> {
        let admitted: Option<Admitted> = fetch(reader, self.policy, RULES)?;
        let standing = self.standing(reader, recipient)?;
        Ok(open(admitted, standing))
    }

    /// The same while events are applied.
    pub(crate) fn open_groups_now(
        &self,
        tx: &Tx<'_>,
        recipient: &MemberId,
    ) -> Result<u8, ApplyError> {
        let admitted: Option<Admitted> = load(tx, self.policy, RULES)?;
        Ok(open(admitted, self.standing_now(tx, recipient)?))
    }

    /// What is known of a member; none before they are registered.
    pub(crate) fn standing(
        &self,
        reader: &Reader,
        member: &MemberId,
    ) -> anyhow::Result<Option<Standing>> {
        fetch(reader, self.members, member.as_str().as_bytes())
    }

    /// The same while events are applied.
    pub(crate) fn standing_now(
        &self,
        tx: &Tx<'_>,
        member: &MemberId,
    ) -> Result<Option<Standing>, ApplyError> {
        load(tx, self.members, member.as_str().as_bytes())
    }

    /// What the rules in force let in, while events are applied.
    pub(crate) fn admitted_now(&self, tx: &Tx<'_>) -> Result<Admitted, ApplyError> {
        let admitted = load(tx, self.policy, RULES)?;
        Ok(admitted.unwrap_or_else(|| Admitted::by(&Rules::default())))
    }
}

fn open(admitted: Option<Admitted>, standing: Option<Standing>) -> u8 {
    let admitted = admitted.unwrap_or_else(|| Admitted::by(&Rules::default()));
    standing.map_or(0, |standing| admitted.to(standing))
}

/// What a member's standing is after an event; none where it does not concern it.
fn standing_after(before: Option<Standing>, event: &member::Event<'_>) -> Option<Standing> {
    let known = || {
        before.unwrap_or(Standing {
            age_band: AgeBand::Adult,
            chosen: None,
            suspended: false,
        })
    };
    match event {
        member::Event::MemberRegistered(registered) => Some(Standing {
            age_band: registered.age_band,
            ..known()
        }),
        member::Event::AgeBandChanged(changed) => Some(Standing {
            age_band: changed.age_band,
            ..known()
        }),
        member::Event::DmSettingChanged(changed) => Some(Standing {
            chosen: Some(changed.audience),
            ..known()
        }),
        member::Event::MemberSuspended(_) => Some(Standing {
            suspended: true,
            ..known()
        }),
        member::Event::MemberReinstated(_) | member::Event::SuspensionEnded(_) => Some(Standing {
            suspended: false,
            ..known()
        }),
        member::Event::MemberRestricted(restricted) => match restricted.restriction {
            Restriction::Suspension => Some(Standing {
                suspended: true,
                ..known()
            }),
            // A limit freezes nothing that waits.
            Restriction::Limit => None,
        },
        member::Event::RestrictionEnded(ended) => Some(Standing {
            suspended: ended.suspended,
            ..known()
        }),
        member::Event::RestrictionLifted(lifted) => match lifted.restriction {
            Restriction::Suspension => Some(Standing {
                suspended: lifted.suspended,
                ..known()
            }),
            Restriction::Limit => None,
        },
        member::Event::RequestSlotTaken(_)
        | member::Event::RequestSlotReturned(_)
        | member::Event::ReportLimitSet(_)
        | member::Event::ReportLimitLifted(_)
        | member::Event::ReportLimitEnded(_)
        | member::Event::ReportCounted(_) => None,
    }
}

/// The group of a relationship: what the audience table can tell apart. The sender's own follow opens nothing by
/// itself, so it makes no group unless it makes a friend.
fn group_of(relationship: Relationship) -> u8 {
    let Relationship {
        recipient_follows,
        sender_follows,
        suggested,
    } = relationship;
    u8::from(recipient_follows)
        | u8::from(recipient_follows && sender_follows) << 1
        | u8::from(suggested) << 2
}

fn relationship_of(group: u8) -> Relationship {
    Relationship {
        recipient_follows: group & 1 != 0,
        sender_follows: group & 2 != 0,
        suggested: group & 4 != 0,
    }
}

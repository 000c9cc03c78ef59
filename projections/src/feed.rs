//! `feed`: which of a member's own views changed, in which conversation, and where in the log last?
//!
//! Key: member, then the position of the change, rising. A change stands where it happened last: what a later one of the
//! same view and conversation says again is taken away, so that who was away for long is told of each once. Beside the
//! rows: where each view of a member's conversation changed last, the changes of the rules, and what the doorstep keeps.
//! Bound: as many rows as a member's conversations have views.
//!
//! Promise: a member is told of a change where an answer of theirs changed by it, and of nothing else that another did. It
//! is decided on what each view shows them before and after the event, so that nobody's feed moves by what is withheld,
//! deleted, accepted, blocked or followed out of their sight. What a member does themself may be told a little wider.
//!
//! While an event is set aside that concerns a member, they are told nothing from there on: what comes of it later comes in
//! its place.
//!
//! The events of one command are one change: it is told at the last of them, whichever of them made it, lest the place
//! tell a message that is delivered from one that is not. That place is found in the log when the feed is asked for (`query`).

use domain::case;
use domain::conversation;
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::member;
use domain::policy;
use domain::time::Timestamp;
use event_store::RecordedEvent;
use serde::{Deserialize, Serialize};
use tables::key::Key;
use tables::{ApplyError, Tx, View, WaitKey};
use uuid::Uuid;

mod query;

pub(crate) use query::query;
pub use query::{Change, Changes};

use crate::ViewName;
use crate::codec::{DomainCodec, conversation_of, message_of};
use crate::doorstep::{self, Admitted, Doorstep, Kept};
use crate::rows::{load, store};
use crate::thread::{Mark, Pair, Place, Side};
use crate::topic::Topic;

const CHANGES: &str = "changes";
const LATEST: &str = "latest";
const RULES: &str = "rules";
const DOORSTEP: Doorstep = Doorstep {
    threads: "threads",
    senders: "senders",
    members: "members",
    policy: "policy",
};

/// Something of a member's that answers otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Changed {
    /// The conversations.
    Inbox,
    /// What waits on the doorstep.
    Requests,
    /// The messages of a conversation.
    Conversation,
    /// The counts of what is unread.
    Unread,
    /// Whom the member blocks.
    Blocked,
    /// Whom they let write to them.
    DmSetting,
    /// What they reported.
    Reports,
    /// What was decided about them.
    Decisions,
}

impl Changed {
    /// All there are, in the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::Inbox,
        Self::Requests,
        Self::Conversation,
        Self::Unread,
        Self::Blocked,
        Self::DmSetting,
        Self::Reports,
        Self::Decisions,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Requests => "requests",
            Self::Conversation => "conversation",
            Self::Unread => "unread",
            Self::Blocked => "blocked",
            Self::DmSetting => "dm_setting",
            Self::Reports => "reports",
            Self::Decisions => "decisions",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A change in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// The conversation; nil where there is none.
    conversation: ConversationId,
    /// A bit per view.
    views: u8,
    /// What the events of its append have in common.
    append: u64,
}

/// Where each view of a member's conversation changed last; 0 where it never did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Latest([u64; Changed::ALL.len()]);

impl Latest {
    /// The views that changed last at a position.
    fn at(&self, position: u64) -> u8 {
        let changed = Changed::ALL.iter().zip(self.0);
        changed
            .filter(|(_, at)| *at == position)
            .fold(0, |views, (changed, _)| views | changed.bit())
    }
}

/// A change of the rules, as far as it may change what members are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RulesRow {
    before: Admitted,
    after: Admitted,
    append: u64,
}

/// What a side is answered of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand {
    /// Last message, order, muted, read mark: in the inbox.
    inbox: Option<(Mark, u64, bool, u64)>,
    doorstep: doorstep::Stand,
    /// The number above which the other's messages can be read; none where the conversation does not exist for them.
    readable: Option<u64>,
    blocks: bool,
}

/// A message as a list tells it: what was unsent and what was removed say nothing alike.
fn told(mark: Mark) -> Mark {
    Mark {
        unsent: mark.unsent || mark.removed,
        removed: false,
        ..mark
    }
}

impl Stand {
    fn of(kept: &Kept, side: Side, at: Timestamp) -> Self {
        let seen = kept.thread.seen(side);
        let last = seen.last().filter(|_| seen.place() == Place::Inbox);
        let above = seen.readable_above(at).unwrap_or(u64::MAX);
        Self {
            inbox: last.map(|last| (told(last), seen.order(), seen.muted, seen.read)),
            doorstep: kept.stand(side),
            readable: seen.exists(at).then_some(above),
            blocks: seen.blocks,
        }
    }

    fn waits(&self) -> bool {
        self.doorstep.waits.is_some()
    }

    /// The row among the requests, where the groups that are let in show it.
    fn request(&self, open: u8) -> Option<doorstep::Stand> {
        let shown = self
            .doorstep
            .group()
            .is_some_and(|group| open & 1 << group != 0);
        shown.then_some(doorstep::Stand {
            any_unread: false,
            ..self.doorstep
        })
    }

    /// Among which of the unread it counts.
    fn counts(&self, open: u8) -> Option<Changed> {
        if !self.doorstep.any_unread {
            None
        } else if self.waits() {
            self.request(open).map(|_| Changed::Requests)
        } else {
            self.doorstep.in_inbox.then_some(Changed::Inbox)
        }
    }
}

/// What all members' standings are to events that wait: whom each lets write to them.
const AUDIENCES: &str = "audiences";

/// The view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed;

impl View<DomainCodec> for Feed {
    fn name(&self) -> &'static str {
        ViewName::Feed.as_str()
    }

    fn version(&self) -> u32 {
        3
    }

    fn tables(&self) -> &'static [&'static str] {
        &[
            CHANGES,
            LATEST,
            RULES,
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
            Topic::Report,
            Topic::Member,
            Topic::Case,
            Topic::Policy,
        ])
    }

    /// What a conversation's event changes is decided on the standing of both and on the rules; what a member's changes for
    /// those at whose door they wait, on the audiences of these, whom the event does not name.
    fn keys(&self, event: &RecordedEvent, decoded: Option<&Event<'_>>) -> Vec<WaitKey> {
        let mut keys = vec![WaitKey::Writes(event.stream().to_owned())];
        if event.stream().starts_with("conversation-") {
            keys.extend(
                event
                    .members()
                    .map(|id| WaitKey::Reads(format!("member-{id}"))),
            );
            keys.push(WaitKey::Reads(policy::STREAM.to_owned()));
        } else if event.stream().starts_with("member-") {
            keys.push(WaitKey::Reads(policy::STREAM.to_owned()));
            keys.push(audiences(decoded));
        }
        keys
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        recorded: &RecordedEvent,
        decoded: &Event<'_>,
    ) -> Result<(), ApplyError> {
        let at = Timestamp(recorded.at_ms());
        let stand = |kept: &Kept, side| Stand::of(kept, side, at);
        let doorstep = |tx: &mut Tx<'_>| {
            DOORSTEP.apply(tx, recorded, decoded, stand, |tx, change| {
                follow(tx, recorded, change, Side::Lower)?;
                follow(tx, recorded, change, Side::Higher)
            })
        };
        match decoded {
            Event::Conversation(event) => {
                of_nobodys_messages(tx, recorded, event)?;
                doorstep(tx)
            }
            Event::Member(event) => {
                let member = event.member();
                let before = DOORSTEP.open_groups_now(tx, member)?;
                doorstep(tx)?;
                let mut views = setting_of(tx, event)? | decisions_of(event);
                if before != DOORSTEP.open_groups_now(tx, member)? {
                    views |= Changed::Requests.bit() | Changed::Unread.bit();
                }
                note(tx, recorded, member, None, views)
            }
            Event::Policy(policy::Event::PolicySet(_)) => {
                let before = DOORSTEP.admitted_now(tx)?;
                doorstep(tx)?;
                let after = DOORSTEP.admitted_now(tx)?;
                if before == after {
                    return Ok(());
                }
                let row = RulesRow {
                    before,
                    after,
                    append: append_of(recorded),
                };
                store(tx, RULES, &Key::new().u64(recorded.position().0), &row)
            }
            Event::Case(event) => of_case(tx, recorded, event),
            Event::Act(_) | Event::Reactor(_) | Event::Refused(_) | Event::Unchanged(_) => Ok(()),
        }
    }
}

/// What moderators do with a case changes for the two members: the reporter's report, and what was decided about the other,
/// who is told of no conversation.
fn of_case(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &case::Event<'_>,
) -> Result<(), ApplyError> {
    use case::Event as C;
    let (reported, reporter, action) = match event {
        C::CaseDecided(it) => (&it.reported, Some(&it.reporter), it.action),
        // Of a suspension by hand nobody is the reporter.
        C::DecisionReversed(it) => {
            let reporter = Some(&it.reporter).filter(|reporter| **reporter != it.reported);
            (&it.reported, reporter, it.action)
        }
        // Only of what does something there are appeals.
        C::DecisionAppealed(it) => (&it.reported, None, case::Action::Warn),
        C::AppealDecided(it) => (&it.reported, None, case::Action::Warn),
        C::CaseOpened(_)
        | C::ReportJoined(_)
        | C::ContentDisclosed(_)
        | C::CaseClaimed(_)
        | C::CaseReleased(_)
        | C::ClaimLapsed(_)
        | C::CaseNoted(_)
        | C::CaseEscalated(_)
        | C::CaseClosed(_)
        | C::CaseReopened(_)
        | C::SuspensionFiled(_) => return Ok(()),
    };
    if action.upholds() {
        note(tx, recorded, reported, None, Changed::Decisions.bit())?;
    }
    let Some(reporter) = reporter else {
        return Ok(());
    };
    let id = ConversationId::of(reported, reporter);
    note(tx, recorded, reporter, Some(id), Changed::Reports.bit())
}

/// Whether a member's event changes what they are told of decisions about them.
fn decisions_of(event: &member::Event<'_>) -> u8 {
    let changes = match event {
        member::Event::MemberSuspended(_)
        | member::Event::MemberReinstated(_)
        | member::Event::SuspensionEnded(_)
        | member::Event::RestrictionEnded(_)
        | member::Event::RestrictionLifted(_) => true,
        // The decision itself told of it.
        member::Event::MemberRestricted(_)
        | member::Event::MemberRegistered(_)
        | member::Event::DmSettingChanged(_)
        | member::Event::AgeBandChanged(_)
        | member::Event::RequestSlotTaken(_)
        | member::Event::RequestSlotReturned(_)
        | member::Event::ReportLimitSet(_)
        | member::Event::ReportLimitLifted(_)
        | member::Event::ReportLimitEnded(_)
        | member::Event::ReportCounted(_) => false,
    };
    if changes { Changed::Decisions.bit() } else { 0 }
}

/// What an event of a conversation changes whether or not anything was written in it.
fn of_nobodys_messages(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    event: &conversation::Event<'_>,
) -> Result<(), ApplyError> {
    use conversation::Event;
    let [actor, _] = event.members();
    match event {
        Event::MessagesReported(_) => {
            let id = conversation_of(recorded)?;
            note(tx, recorded, actor, Some(id), Changed::Reports.bit())
        }
        // Before the first message there is no thread that says who blocks, and no conversation to name.
        Event::MemberBlocked(_) | Event::MemberUnblocked(_) => {
            let id = conversation_of(recorded)?;
            if tx.contains(DOORSTEP.threads, id.0.as_bytes())? {
                return Ok(());
            }
            note(tx, recorded, actor, None, Changed::Blocked.bit())
        }
        Event::MessageSent(_)
        | Event::MessageWithheld(_)
        | Event::RequestOpened(_)
        | Event::RequestAccepted(_)
        | Event::RequestDeleted(_)
        | Event::RequestRestored(_)
        | Event::RequestWithdrawn(_)
        | Event::MovedToRequests(_)
        | Event::MessageUnsent(_)
        | Event::ReadMarked(_)
        | Event::ConversationMuted(_)
        | Event::ConversationUnmuted(_)
        | Event::RelationshipRecorded(_)
        | Event::MessagesRemoved(_)
        | Event::MessagesRestored(_) => Ok(()),
    }
}

/// Whether a member's event changes whom they let write to them, or only depends on whom others do.
fn audiences(decoded: Option<&Event<'_>>) -> WaitKey {
    use member::Event::{MemberReinstated, MemberSuspended, SuspensionEnded};
    let name = AUDIENCES.to_owned();
    match decoded {
        Some(Event::Member(MemberSuspended(_) | MemberReinstated(_) | SuspensionEnded(_))) => {
            WaitKey::Reads(name)
        }
        Some(_) | None => WaitKey::Writes(name),
    }
}

/// Whether an event sets whom its member lets write to them.
fn setting_of(tx: &Tx<'_>, event: &member::Event<'_>) -> Result<u8, ApplyError> {
    let sets = match event {
        member::Event::MemberRegistered(_) | member::Event::DmSettingChanged(_) => true,
        // The default follows the band until the member chooses.
        member::Event::AgeBandChanged(changed) => DOORSTEP
            .standing_now(tx, &changed.member)?
            .is_some_and(|standing| standing.chosen.is_none()),
        member::Event::MemberSuspended(_)
        | member::Event::MemberReinstated(_)
        | member::Event::SuspensionEnded(_)
        | member::Event::MemberRestricted(_)
        | member::Event::RestrictionEnded(_)
        | member::Event::RestrictionLifted(_)
        | member::Event::RequestSlotTaken(_)
        | member::Event::RequestSlotReturned(_)
        | member::Event::ReportLimitSet(_)
        | member::Event::ReportLimitLifted(_)
        | member::Event::ReportLimitEnded(_)
        | member::Event::ReportCounted(_) => false,
    };
    Ok(if sets { Changed::DmSetting.bit() } else { 0 })
}

/// Notes what one side is answered otherwise of a conversation.
fn follow(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    change: &doorstep::Change<'_, Stand>,
    side: Side,
) -> Result<(), ApplyError> {
    let before = *side.of(&change.before);
    let after = Stand::of(change.kept, side, Timestamp(recorded.at_ms()));
    let member = change.pair.member(side);
    let open = if before.waits() || after.waits() {
        DOORSTEP.open_groups_now(tx, member)?
    } else {
        0
    };
    let mut views = 0;
    for (changed, differs) in [
        (Changed::Inbox, before.inbox != after.inbox),
        (
            Changed::Requests,
            before.request(open) != after.request(open),
        ),
        (
            Changed::Conversation,
            before.readable != after.readable || shows(change.event, side, after.readable),
        ),
        (Changed::Unread, before.counts(open) != after.counts(open)),
        (
            Changed::Blocked,
            before.blocks != after.blocks
                || (after.blocks && before.readable.is_some() != after.readable.is_some()),
        ),
    ] {
        if differs {
            views |= changed.bit();
        }
    }
    let exists = before.readable.is_some() || after.readable.is_some();
    note(tx, recorded, member, exists.then_some(change.id), views)
}

/// Whether an event shows in the messages that a side can read.
fn shows(
    event: Option<(&RecordedEvent, &conversation::Event<'_>)>,
    side: Side,
    readable: Option<u64>,
) -> bool {
    let (Some((_, event)), Some(above)) = (event, readable) else {
        return false;
    };
    let (_, author) = Pair::acting(event);
    let by_moderators =
        |numbers: &[u64]| side == author || numbers.iter().any(|number| *number > above);
    if let conversation::Event::MessagesRemoved(removed) = event {
        return by_moderators(&removed.numbers);
    }
    if let conversation::Event::MessagesRestored(restored) = event {
        return by_moderators(&restored.numbers);
    }
    let told = if let conversation::Event::MessageUnsent(unsent) = event {
        Some((unsent.number, unsent.withheld))
    } else {
        message_of(event).map(|message| (message.number, message.withheld))
    };
    told.is_some_and(|(number, withheld)| side == author || (!withheld && number > above))
}

/// Notes that these views of a member changed here, of a conversation or of none.
fn note(
    tx: &mut Tx<'_>,
    recorded: &RecordedEvent,
    member: &MemberId,
    conversation: Option<ConversationId>,
    views: u8,
) -> Result<(), ApplyError> {
    if views == 0 {
        return Ok(());
    }
    let position = recorded.position().0;
    let conversation = conversation.unwrap_or(ConversationId(Uuid::nil()));
    let key = Key::new()
        .text(member.as_str())
        .fixed(conversation.0.as_bytes());
    let mut latest: Latest = load(tx, LATEST, &key)?.unwrap_or_default();
    let mut before = Vec::new();
    for (changed, at) in Changed::ALL.iter().zip(&mut latest.0) {
        // An event that was set aside may come after later ones, which say the same again.
        if views & changed.bit() != 0 && *at <= position {
            before.push(*at);
            *at = position;
        }
    }
    if latest.at(position) == 0 {
        return Ok(());
    }
    before.retain(|at| *at != 0 && *at != position);
    before.sort_unstable();
    before.dedup();
    for at in before {
        let key = changes_key(member, at);
        let left = latest.at(at);
        match load::<Row>(tx, CHANGES, &key)? {
            Some(row) if left != 0 => store(tx, CHANGES, &key, &Row { views: left, ..row })?,
            Some(_) | None => tx.delete(CHANGES, &key)?,
        }
    }
    store(tx, LATEST, &key, &latest)?;
    let row = Row {
        conversation,
        views: latest.at(position),
        append: append_of(recorded),
    };
    store(tx, CHANGES, &changes_key(member, position), &row)
}

fn changes_key(member: &MemberId, position: u64) -> Key {
    Key::with_capacity(member.as_str().len() + 10)
        .text(member.as_str())
        .u64(position)
}

/// What the events of one append have in common, and those beside them have not: FNV-1a of stream and command.
fn append_of(recorded: &RecordedEvent) -> u64 {
    let command = recorded.correlation_id();
    let bytes = recorded.stream().bytes().chain(*command.as_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

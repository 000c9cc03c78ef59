//! A random history between Ann and Bob: steps, and the driver that has the domain decide each of them.
//!
//! The driver plays the write side: it looks up facts and named messages, takes slots and counts reports, and folds what
//! was decided. What it gives the domain comes from its own notes, not from the domain's state.

use std::sync::Arc;

use domain::case::Category;
use domain::conversation::{self, Also, Command, DeleteMode, Event, RelationshipKind, Route};
use domain::event::Recorded;
use domain::member::{AgeBand, Facts};
use domain::policy::{Audience, InForce, Rules};
use domain::rejection::Rejection;
use domain::time::{DAY_MS, HOUR_MS};
use domain::{MemberId, ReportId, Timestamp};
use proptest::prelude::*;

use crate::model::{Act, Fact, Person, Who};

/// One step of a history.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Act(Who, Act),
    /// Unsend the message so many before the last.
    UnsendRecent(Who, u64),
    Wait(i64),
    Person(Who, Change),
}

/// What changes around the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Audience(Audience),
    AgeBand(AgeBand),
    Suspended(bool),
    Limited(bool),
    Known(bool),
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::Ann), Just(Who::Bob)]
}

/// Mostly sends and what recipients do with them; numbers stay near those that exist.
fn act() -> impl Strategy<Value = Act> {
    let number = 0..12_u64;
    let kind = prop_oneof![
        2 => Just(RelationshipKind::Follow),
        1 => Just(RelationshipKind::Unfollow),
        2 => Just(RelationshipKind::Suggest),
        1 => Just(RelationshipKind::Unsuggest),
    ];
    let also = prop_oneof![2 => Just(Also::None), 1 => Just(Also::Delete), 1 => Just(Also::Block)];
    let slots_used = prop_oneof![6 => Just(0_u32), 1 => Just(5), 1 => Just(20)];
    prop_oneof![
        24 => (prop::bool::weighted(0.95), slots_used)
            .prop_map(|(valid, slots_used)| Act::Send { valid, slots_used }),
        4 => Just(Act::Accept),
        5 => Just(Act::Delete(DeleteMode::Quiet)),
        2 => Just(Act::Delete(DeleteMode::Final)),
        4 => Just(Act::Restore),
        3 => Just(Act::MoveToRequests),
        6 => number.clone().prop_map(Act::Unsend),
        2 => number.clone().prop_map(Act::Read),
        1 => Just(Act::Mute),
        1 => Just(Act::Unmute),
        2 => Just(Act::Block),
        3 => Just(Act::Unblock),
        4 => kind.prop_map(Act::Relate),
        3 => (prop::collection::vec(1..8_u64, 0..4), also).prop_map(|(numbers, also)| Act::Report(numbers, also)),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let audience = prop_oneof![
        4 => Just(Audience::Everyone),
        1 => Just(Audience::Following),
        2 => Just(Audience::FriendsAndSuggested),
        1 => Just(Audience::Friends),
        1 => Just(Audience::NoOne),
    ];
    let age_band = prop_oneof![
        4 => Just(AgeBand::Adult),
        1 => Just(AgeBand::From16To17),
        1 => Just(AgeBand::Under16),
    ];
    prop_oneof![
        5 => audience.prop_map(Change::Audience),
        2 => age_band.prop_map(Change::AgeBand),
        2 => prop::bool::weighted(0.3).prop_map(Change::Suspended),
        1 => prop::bool::weighted(0.3).prop_map(Change::Limited),
        1 => prop::bool::weighted(0.9).prop_map(Change::Known),
    ]
}

/// Waits that end at, just before and just after the ends that rules speak of.
fn wait() -> impl Strategy<Value = i64> {
    let span = prop_oneof![
        Just(HOUR_MS),
        Just(DAY_MS),
        Just(7 * DAY_MS),
        Just(23 * DAY_MS),
        Just(30 * DAY_MS)
    ];
    (span, -1..=1_i64).prop_map(|(span, off)| span + off)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (who(), act()).prop_map(|(who, act)| Step::Act(who, act)),
        2 => wait().prop_map(Step::Wait),
        1 => (who(), change()).prop_map(|(who, change)| Step::Person(who, change)),
    ]
}

/// Bob knocks, Ann decides, time passes: what leads deep into the table of requests.
fn knock() -> impl Strategy<Value = Step> {
    let ann = |act| Just(Step::Act(Who::Ann, act));
    let relate = |kind| ann(Act::Relate(kind));
    prop_oneof![
        10 => Just(Step::Act(Who::Bob, Act::Send { valid: true, slots_used: 0 })),
        6 => ann(Act::Delete(DeleteMode::Quiet)),
        1 => ann(Act::Delete(DeleteMode::Final)),
        5 => ann(Act::Restore),
        2 => ann(Act::Accept),
        2 => ann(Act::MoveToRequests),
        1 => ann(Act::Send { valid: true, slots_used: 0 }),
        7 => (0..4_u64).prop_map(|back| Step::UnsendRecent(Who::Bob, back)),
        1 => ann(Act::Block),
        2 => ann(Act::Unblock),
        1 => relate(RelationshipKind::Follow),
        3 => relate(RelationshipKind::Unfollow),
        1 => relate(RelationshipKind::Suggest),
        1 => relate(RelationshipKind::Unsuggest),
        1 => (1..8_u64).prop_map(|number| Step::Act(Who::Ann, Act::Report(vec![number], Also::Delete))),
        10 => wait().prop_map(Step::Wait),
    ]
}

/// A history of up to `steps` steps: anything at all, or mostly knocking at an open door.
pub(crate) fn steps(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    let open = |who| Step::Person(who, Change::Audience(Audience::Everyone));
    let anything = prop::collection::vec(step(), 1..steps);
    let both_open = prop::collection::vec(step(), 1..steps);
    let knocking = prop::collection::vec(prop_oneof![20 => knock(), 1 => step()], 1..steps);
    prop_oneof![
        1 => anything,
        1 => both_open.prop_map(move |steps| [open(Who::Ann), open(Who::Bob)].into_iter().chain(steps).collect()),
        3 => knocking.prop_map(move |steps| [open(Who::Ann)].into_iter().chain(steps).collect()),
    ]
}

/// A message as the log would tell of it.
#[derive(Clone, Debug)]
struct Written {
    from: Who,
    sent_at: Timestamp,
    withheld: bool,
    unsent: Option<u64>,
    reported: Vec<(Who, conversation::Reported)>,
}

/// The domain, driven through a history.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) state: conversation::State,
    pub(crate) events: Vec<(Recorded, Event<'static>)>,
    pub(crate) at: Timestamp,
    ann: Person,
    bob: Person,
    written: Vec<Written>,
    policy: InForce,
    /// What the host says of the relationship with the messages to come.
    pub(crate) given: conversation::GivenRelationship,
}

impl World {
    pub(crate) fn new() -> World {
        let at = Timestamp(100 * DAY_MS);
        let person = |registered_at, audience| Person {
            known: true,
            age_band: AgeBand::Adult,
            suspended: false,
            limited: false,
            registered_at,
            audience,
        };
        World {
            state: conversation::State::default(),
            events: Vec::new(),
            at,
            ann: person(Timestamp(0), Audience::FriendsAndSuggested),
            bob: person(Timestamp(97 * DAY_MS), Audience::Friends),
            written: Vec::new(),
            policy: InForce {
                version: 0,
                rules: Arc::new(Rules::default()),
            },
            given: conversation::GivenRelationship::default(),
        }
    }

    pub(crate) fn person(&self, who: Who) -> &Person {
        match who {
            Who::Ann => &self.ann,
            Who::Bob => &self.bob,
        }
    }

    pub(crate) fn change(&mut self, who: Who, change: Change) {
        let person = match who {
            Who::Ann => &mut self.ann,
            Who::Bob => &mut self.bob,
        };
        match change {
            Change::Audience(audience) => person.audience = audience,
            Change::AgeBand(age_band) => person.age_band = age_band,
            Change::Suspended(suspended) => person.suspended = suspended,
            Change::Limited(limited) => person.limited = limited,
            Change::Known(known) => person.known = known,
        }
    }

    pub(crate) fn wait(&mut self, ms: i64) {
        self.at = self.at.plus_ms(ms);
    }

    fn facts(&self, who: Who) -> Option<Facts> {
        let person = self.person(who);
        person.known.then_some(Facts {
            version: 0,
            registered_at: person.registered_at,
            age_band: person.age_band,
            suspended: person.suspended,
            limited: person.limited,
            audience: person.audience,
            setting_version: 1,
        })
    }

    fn named(&self, number: u64, asks: Who) -> conversation::NamedMessage {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let written = index.and_then(|index| self.written.get(index));
        let facts = written.map(|written| conversation::MessageFacts {
            from: id(written.from),
            sent_at: written.sent_at,
            text: "hi".to_owned(),
            withheld: written.withheld,
            unsent: written.unsent,
            reported: written
                .reported
                .iter()
                .find(|(by, _)| *by == asks)
                .map(|(_, reported)| *reported),
        });
        conversation::NamedMessage { number, facts }
    }

    /// The command of an act, with the facts of now.
    pub(crate) fn command(&self, who: Who, act: &Act) -> Command {
        let (by, other, at, policy) = (id(who), id(who.other()), self.at, self.policy.clone());
        let standing = conversation::Standing {
            sender: self.facts(who.other()),
            recipient: self.facts(who),
        };
        match act {
            Act::Send { valid, slots_used } => {
                let mut send = conversation::SendMessage {
                    from: by,
                    to: other,
                    text: if *valid { "hi" } else { " " }.to_owned(),
                    at,
                    sender: self.facts(who),
                    recipient: self.facts(who.other()),
                    policy,
                    slot: conversation::Slot::Open { used: *slots_used },
                    relationship: self.given,
                };
                if conversation::needs_slot(&self.state, &send) {
                    send.slot = conversation::Slot::Taken;
                }
                Command::SendMessage(send)
            }
            Act::Accept => Command::AcceptRequest(conversation::AcceptRequest {
                by,
                at,
                standing,
                policy,
            }),
            Act::Delete(mode) => Command::DeleteRequest(conversation::DeleteRequest {
                by,
                mode: *mode,
                at,
                policy,
            }),
            Act::Restore => Command::RestoreRequest(conversation::RestoreRequest {
                by,
                at,
                standing,
                policy,
            }),
            Act::MoveToRequests => Command::MoveToRequests(conversation::MoveToRequests { by, at }),
            Act::Unsend(number) => {
                let message = self.named(*number, who);
                Command::UnsendMessage(conversation::UnsendMessage { by, message, at })
            }
            Act::Read(up_to) => Command::MarkRead(conversation::MarkRead {
                by,
                up_to: *up_to,
                at,
            }),
            Act::Mute => Command::MuteConversation(conversation::MuteConversation { by, at }),
            Act::Unmute => Command::UnmuteConversation(conversation::UnmuteConversation { by, at }),
            Act::Block => Command::BlockMember(conversation::BlockMember { by, other, at }),
            Act::Unblock => Command::UnblockMember(conversation::UnblockMember { by, other, at }),
            Act::Relate(kind) => {
                let relate = conversation::RecordRelationship {
                    kind: *kind,
                    member: by,
                    other,
                    at,
                };
                Command::RecordRelationship(relate)
            }
            Act::Report(numbers, also) => {
                let mut report = conversation::ReportMessage {
                    by,
                    report_id: ReportId(uuid::Uuid::from_u64_pair(7, self.events.len() as u64)),
                    messages: numbers
                        .iter()
                        .map(|number| self.named(*number, who))
                        .collect(),
                    category: Category::Spam,
                    comment: String::new(),
                    also: *also,
                    count: conversation::Count::NotYet,
                    at,
                    policy,
                };
                if conversation::needs_count(&self.state, &report) {
                    report.count = conversation::Count::Within;
                }
                Command::ReportMessage(report)
            }
        }
    }

    /// Decides an act and folds what was decided.
    pub(crate) fn act(&mut self, who: Who, act: &Act) -> Result<Vec<Event<'static>>, Rejection> {
        let events = conversation::decide(&self.state, &self.command(who, act))?;
        for event in &events {
            let recorded = Recorded {
                version: self.events.len() as u64,
                at: self.at,
            };
            conversation::evolve(&mut self.state, recorded, event);
            self.note(recorded.version, event);
            self.events.push((recorded, event.clone()));
        }
        Ok(events)
    }

    fn note(&mut self, version: u64, event: &Event<'static>) {
        for fact in [fact(event)] {
            match fact {
                Fact::Sent { from, .. } | Fact::Withheld { from, .. } => {
                    self.written.push(Written {
                        from,
                        sent_at: self.at,
                        withheld: matches!(event, Event::MessageWithheld(_)),
                        unsent: None,
                        reported: Vec::new(),
                    });
                }
                Fact::Unsent { number } => {
                    self.written[usize::try_from(number - 1).expect("small")].unsent =
                        Some(version);
                }
                Fact::Reported { by, numbers } => {
                    let report_id = ReportId(uuid::Uuid::from_u64_pair(7, version));
                    for number in numbers {
                        self.written[usize::try_from(number - 1).expect("small")]
                            .reported
                            .push((by, conversation::Reported { report_id, version }));
                    }
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn id(who: Who) -> MemberId {
    let name = match who {
        Who::Ann => "ann",
        Who::Bob => "bob",
    };
    MemberId::new(name).expect("a member id")
}

fn who_is(member: &MemberId) -> Who {
    if *member == id(Who::Ann) {
        Who::Ann
    } else {
        Who::Bob
    }
}

/// An event in the model's words.
pub(crate) fn fact(event: &Event<'_>) -> Fact {
    match event {
        Event::MessageSent(sent) => Fact::Sent {
            number: sent.number,
            from: who_is(&sent.from),
            inbox: sent.route == Route::Inbox,
        },
        Event::MessageWithheld(withheld) => Fact::Withheld {
            number: withheld.number,
            from: who_is(&withheld.from),
        },
        Event::RequestOpened(opened) => Fact::Opened {
            from: who_is(&opened.from),
            again: opened.reopened,
        },
        Event::RequestAccepted(accepted) => Fact::Accepted {
            from: who_is(&accepted.from),
            method: accepted.method,
        },
        Event::RequestDeleted(deleted) => Fact::Deleted {
            from: who_is(&deleted.from),
            mode: deleted.mode,
            cooldown_until: deleted.cooldown_until,
            restorable_until: deleted.restorable_until,
        },
        Event::RequestRestored(restored) => Fact::Restored {
            from: who_is(&restored.from),
        },
        Event::RequestWithdrawn(withdrawn) => Fact::Withdrawn {
            from: who_is(&withdrawn.from),
        },
        Event::MessagesRemoved(_) | Event::MessagesRestored(_) => {
            unreachable!("no moderator acts in these histories")
        }
        Event::MovedToRequests(moved) => Fact::Moved {
            from: who_is(&moved.from),
        },
        Event::MessageUnsent(unsent) => Fact::Unsent {
            number: unsent.number,
        },
        Event::ReadMarked(marked) => Fact::Read {
            by: who_is(&marked.by),
            up_to: marked.up_to,
        },
        Event::ConversationMuted(muted) => Fact::Muted {
            by: who_is(&muted.by),
            on: true,
        },
        Event::ConversationUnmuted(unmuted) => Fact::Muted {
            by: who_is(&unmuted.by),
            on: false,
        },
        Event::MemberBlocked(blocked) => Fact::Blocked {
            by: who_is(&blocked.by),
            on: true,
        },
        Event::MemberUnblocked(unblocked) => Fact::Blocked {
            by: who_is(&unblocked.by),
            on: false,
        },
        Event::RelationshipRecorded(recorded) => Fact::Related {
            member: who_is(&recorded.member),
            kind: recorded.kind,
        },
        Event::MessagesReported(reported) => Fact::Reported {
            by: who_is(&reported.reporter),
            numbers: reported
                .messages
                .iter()
                .map(|message| message.number)
                .collect(),
        },
    }
}

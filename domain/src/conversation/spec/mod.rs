//! The rules of a conversation as sentences: given what happened, when a member acts, then these events or this refusal.
//!
//! A [`Story`] is the two members Ann and Bob; events and refusals are told in short words, so that a spec reads as its
//! rule does. A row of the rules has at least one spec here.

mod deletions;
mod given;
mod removals;
mod reports;
mod requests;
mod routes;
mod send;
mod sides;

use std::sync::Arc;

use super::*;
use crate::case::Category;
use crate::event::Recorded;
use crate::evidence::Cause;
use crate::ids::ReportId;
use crate::member::{AgeBand, Facts};
use crate::policy::{Audience, InForce, Rules};
use crate::time::{HOUR_MS, Timestamp};

pub(super) const ANN: &str = "ann";
pub(super) const BOB: &str = "bob";

/// What a member does to the other.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Send(&'static str),
    Accept,
    Delete(DeleteMode),
    Restore,
    MoveToRequests,
    Unsend(u64),
    Read(u64),
    Mute,
    Unmute,
    Block,
    Unblock,
    Relate(RelationshipKind),
    Report(&'static [u64], Also),
}

pub(super) const QUIET: Act = Act::Delete(DeleteMode::Quiet);
pub(super) const FINAL: Act = Act::Delete(DeleteMode::Final);
pub(super) const FOLLOW: Act = Act::Relate(RelationshipKind::Follow);
pub(super) const UNFOLLOW: Act = Act::Relate(RelationshipKind::Unfollow);
pub(super) const SUGGEST: Act = Act::Relate(RelationshipKind::Suggest);

/// A message as the log would tell of it.
#[derive(Clone)]
struct Written {
    from: MemberId,
    text: String,
    sent_at: Timestamp,
    withheld: bool,
    unsent: Option<u64>,
    reported: Vec<(MemberId, Reported)>,
}

/// What happened so far between the two, and what is so around them.
#[derive(Clone)]
pub(super) struct Story {
    state: State,
    next_version: u64,
    at: Timestamp,
    ann: Option<Facts>,
    bob: Option<Facts>,
    slots_used: u32,
    reports_over: bool,
    given: GivenRelationship,
    rules: Rules,
    messages: Vec<Written>,
}

/// Two adults of long standing, Ann with this audience, Bob with the default one.
pub(super) fn given(audience: Audience) -> Story {
    let registered_at = Timestamp(0);
    let facts = |version, audience| Facts {
        version,
        registered_at,
        age_band: AgeBand::Adult,
        suspended: false,
        limited: false,
        audience,
        setting_version: 1,
    };
    Story {
        state: State::default(),
        next_version: 0,
        at: registered_at.plus_days(100),
        ann: Some(facts(7, audience)),
        bob: Some(facts(8, Audience::FriendsAndSuggested)),
        slots_used: 0,
        reports_over: false,
        given: GivenRelationship::default(),
        rules: Rules::default(),
        messages: Vec::new(),
    }
}

/// Ann takes requests from anyone.
pub(super) fn open_door() -> Story {
    given(Audience::Everyone)
}

impl Story {
    /// Something that must succeed; what it does is part of the story.
    #[track_caller]
    pub(super) fn and(mut self, who: &str, act: Act) -> Story {
        if let Err(rejection) = self.act(who, act) {
            panic!("{who} was to act, and was refused: {}", refusal(&rejection));
        }
        self
    }

    /// The same several times.
    #[track_caller]
    pub(super) fn times(mut self, count: usize, who: &str, act: Act) -> Story {
        for _ in 0..count {
            self = self.and(who, act);
        }
        self
    }

    pub(super) fn days(mut self, days: u32) -> Story {
        self.at = self.at.plus_days(days);
        self
    }

    pub(super) fn hours(mut self, hours: i64) -> Story {
        self.at = self.at.plus_ms(hours * HOUR_MS);
        self
    }

    pub(super) fn a_moment(mut self) -> Story {
        self.at = self.at.plus_ms(1);
        self
    }

    pub(super) fn ann(mut self, change: impl FnOnce(&mut Facts)) -> Story {
        change(self.ann.as_mut().expect("ann is registered"));
        self
    }

    pub(super) fn bob(mut self, change: impl FnOnce(&mut Facts)) -> Story {
        change(self.bob.as_mut().expect("bob is registered"));
        self
    }

    pub(super) fn ann_unknown(mut self) -> Story {
        self.ann = None;
        self
    }

    pub(super) fn bob_unknown(mut self) -> Story {
        self.bob = None;
        self
    }

    pub(super) fn slots_used(mut self, used: u32) -> Story {
        self.slots_used = used;
        self
    }

    pub(super) fn reports_over(mut self) -> Story {
        self.reports_over = true;
        self
    }

    /// What the host says of the relationship with every message from now on.
    pub(super) fn told(mut self, given: GivenRelationship) -> Story {
        self.given = given;
        self
    }

    pub(super) fn rules(mut self, change: impl FnOnce(&mut Rules)) -> Story {
        change(&mut self.rules);
        self
    }

    /// What comes of an act, told in short words.
    pub(super) fn when(mut self, who: &str, act: Act) -> Told {
        let before = self.state.clone();
        let command = self.command(who, act);
        let told = match self.act(who, act) {
            Err(rejection) => refusal(&rejection),
            Ok(events) if events.is_empty() => match already(&before, &command) {
                Some(version) => format!("unchanged since {version}"),
                None => "unchanged since ever".to_owned(),
            },
            Ok(events) => events
                .iter()
                .map(|event| brief(event, self.at))
                .collect::<Vec<_>>()
                .join("; "),
        };
        Told(told)
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn now(&self) -> Timestamp {
        self.at
    }

    pub(super) fn frozen(&self) -> Option<Frozen> {
        let standing = Standing {
            sender: self.bob,
            recipient: self.ann,
        };
        frozen(&self.state, &id(BOB), &standing, &self.policy())
    }

    /// Decides, folds the events, and gives them.
    pub(super) fn act(&mut self, who: &str, act: Act) -> Result<Vec<Event<'static>>, Rejection> {
        let command = self.command(who, act);
        let events = decide(&self.state, &command)?;
        for event in &events {
            self.note(event);
            let recorded = Recorded {
                version: self.next_version,
                at: self.at,
            };
            evolve(&mut self.state, recorded, event);
            self.next_version += 1;
        }
        Ok(events)
    }

    /// The events of an act that must succeed.
    #[track_caller]
    pub(super) fn events(mut self, who: &str, act: Act) -> Vec<Event<'static>> {
        self.act(who, act).expect("the act succeeds")
    }

    fn policy(&self) -> InForce {
        InForce {
            version: 3,
            rules: Arc::new(self.rules.clone()),
        }
    }

    fn note(&mut self, event: &Event<'static>) {
        let version = self.next_version;
        let written = |from: &MemberId, text: &str, withheld| Written {
            from: from.clone(),
            text: text.to_owned(),
            sent_at: self.at,
            withheld,
            unsent: None,
            reported: Vec::new(),
        };
        if let Event::MessageSent(sent) = event {
            self.messages
                .push(written(&sent.from, sent.text.as_str(), false));
        } else if let Event::MessageWithheld(withheld) = event {
            self.messages
                .push(written(&withheld.from, withheld.text.as_str(), true));
        } else if let Event::MessageUnsent(unsent) = event {
            self.messages[usize::try_from(unsent.number).unwrap() - 1].unsent = Some(version);
        } else if let Event::MessagesReported(report) = event {
            for message in &report.messages {
                let reported = Reported {
                    report_id: report.report_id,
                    version,
                };
                self.messages[usize::try_from(message.number).unwrap() - 1]
                    .reported
                    .push((report.reporter.clone(), reported));
            }
        }
    }

    fn named(&self, number: u64, asks: &MemberId) -> NamedMessage {
        let written = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| self.messages.get(index));
        let facts = written.map(|written| MessageFacts {
            from: written.from.clone(),
            sent_at: written.sent_at,
            text: written.text.clone(),
            withheld: written.withheld,
            unsent: written.unsent,
            reported: written
                .reported
                .iter()
                .find(|(by, _)| by == asks)
                .map(|(_, reported)| *reported),
        });
        NamedMessage { number, facts }
    }

    fn command(&self, who: &str, act: Act) -> Command {
        let (by, at, policy) = (id(who), self.at, self.policy());
        let (other, own, others) = if who == ANN {
            (id(BOB), self.ann, self.bob)
        } else {
            (id(ANN), self.bob, self.ann)
        };
        let standing = Standing {
            sender: others,
            recipient: own,
        };
        match act {
            Act::Send(text) => {
                let mut command = SendMessage {
                    from: by,
                    to: other,
                    text: text.to_owned(),
                    at,
                    sender: own,
                    recipient: others,
                    policy,
                    slot: Slot::Open {
                        used: self.slots_used,
                    },
                    relationship: self.given,
                };
                if needs_slot(&self.state, &command) {
                    command.slot = Slot::Taken;
                }
                Command::SendMessage(command)
            }
            Act::Accept => Command::AcceptRequest(AcceptRequest {
                by,
                at,
                standing,
                policy,
            }),
            Act::Delete(mode) => Command::DeleteRequest(DeleteRequest {
                by,
                mode,
                at,
                policy,
            }),
            Act::Restore => Command::RestoreRequest(RestoreRequest {
                by,
                at,
                standing,
                policy,
            }),
            Act::MoveToRequests => Command::MoveToRequests(MoveToRequests { by, at }),
            Act::Unsend(number) => {
                let message = self.named(number, &by);
                Command::UnsendMessage(UnsendMessage { by, message, at })
            }
            Act::Read(up_to) => Command::MarkRead(MarkRead { by, up_to, at }),
            Act::Mute => Command::MuteConversation(MuteConversation { by, at }),
            Act::Unmute => Command::UnmuteConversation(UnmuteConversation { by, at }),
            Act::Block => Command::BlockMember(BlockMember { by, other, at }),
            Act::Unblock => Command::UnblockMember(UnblockMember { by, other, at }),
            Act::Relate(kind) => Command::RecordRelationship(RecordRelationship {
                kind,
                member: by,
                other,
                at,
            }),
            Act::Report(numbers, also) => {
                let messages = numbers
                    .iter()
                    .map(|number| self.named(*number, &by))
                    .collect();
                let mut command = ReportMessage {
                    by,
                    report_id: report_id(self.next_version),
                    messages,
                    category: Category::Spam,
                    comment: String::new(),
                    also,
                    count: Count::NotYet,
                    at,
                    policy,
                };
                if needs_count(&self.state, &command) {
                    command.count = if self.reports_over {
                        Count::Over
                    } else {
                        Count::Within
                    };
                }
                Command::ReportMessage(command)
            }
        }
    }
}

/// What came of an act.
pub(super) struct Told(String);

impl Told {
    #[track_caller]
    pub(super) fn then(self, expected: &str) {
        assert_eq!(self.0, expected);
    }
}

pub(super) fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

/// The id of the report made as the event of this version.
pub(super) fn report_id(version: u64) -> ReportId {
    ReportId(uuid::Uuid::from_u64_pair(0, version))
}

fn refusal(rejection: &Rejection) -> String {
    let mut told = vec![rejection.code().as_str().to_owned()];
    told.extend(rejection.rule().map(|rule| format!("by rule {rule}")));
    told.extend(
        rejection
            .cause()
            .map(|cause| format!("({})", cause_word(cause))),
    );
    told.extend(rejection.field().map(|field| format!("for {field}")));
    told.extend(rejection.problem().map(|problem| format!("{problem:?}")));
    let day = |until: Timestamp| until.0 / crate::time::DAY_MS;
    told.extend(
        rejection
            .restorable_until()
            .map(|until| format!("until day {}", day(until))),
    );
    told.join(" ")
}

fn cause_word(cause: Cause) -> String {
    serde_json::to_string(&cause)
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

/// An event in short words; times as days after now.
fn brief(event: &Event<'_>, now: Timestamp) -> String {
    let days = |until: Timestamp| until.since_ms(now) / crate::time::DAY_MS;
    match event {
        Event::MessageSent(sent) => {
            let route = match sent.route {
                Route::Inbox => "inbox",
                Route::Request => "request",
            };
            format!(
                "sent {} to {route} by rule {}",
                sent.number,
                sent.evidence.rule.unwrap()
            )
        }
        Event::MessageWithheld(withheld) => {
            format!(
                "withheld {} by rule {}",
                withheld.number,
                withheld.evidence.rule.unwrap()
            )
        }
        Event::RequestOpened(opened) if opened.reopened => format!("reopened at {}", opened.number),
        Event::RequestOpened(opened) => format!("opened at {}", opened.number),
        Event::RequestAccepted(accepted) => {
            format!("{} accepted ({:?})", accepted.from, accepted.method)
        }
        Event::RequestDeleted(deleted) => {
            let cooldown = deleted.cooldown_until.map_or_else(
                || "for good".to_owned(),
                |until| format!("for {} days", days(until)),
            );
            let (mode, after, up_to) = (deleted.mode, deleted.after, deleted.up_to);
            format!(
                "deleted {mode:?} {after}..{up_to} {cooldown}, restorable {} days",
                days(deleted.restorable_until)
            )
        }
        Event::RequestRestored(restored) if restored.merged => {
            format!("restored after {}, merged", restored.after)
        }
        Event::RequestRestored(restored) => format!("restored after {}", restored.after),
        Event::RequestWithdrawn(_) => "withdrawn".to_owned(),
        Event::MovedToRequests(moved) => format!("moved to requests after {}", moved.after),
        Event::MessageUnsent(unsent) if unsent.withheld => {
            format!("unsent {} (withheld)", unsent.number)
        }
        Event::MessageUnsent(unsent) => format!("unsent {}", unsent.number),
        Event::MessagesRemoved(removed) => format!("removed {:?}", removed.numbers),
        Event::MessagesRestored(restored) => format!("restored {:?}", restored.numbers),
        Event::ReadMarked(marked) => format!("read up to {}", marked.up_to),
        Event::ConversationMuted(_) => "muted".to_owned(),
        Event::ConversationUnmuted(_) => "unmuted".to_owned(),
        Event::MemberBlocked(_) => "blocked".to_owned(),
        Event::MemberUnblocked(_) => "unblocked".to_owned(),
        Event::RelationshipRecorded(recorded) => format!("{:?}", recorded.kind),
        Event::MessagesReported(report) => {
            let numbers: Vec<u64> = report
                .messages
                .iter()
                .map(|message| message.number)
                .collect();
            let over_limit = if report.over_limit { " over limit" } else { "" };
            let also = report
                .also_outcome
                .map(|outcome| format!(", {:?} {outcome:?}", report.also));
            format!(
                "reported {numbers:?}{over_limit}{}",
                also.unwrap_or_default()
            )
        }
    }
}

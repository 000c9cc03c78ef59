//! A small world for the tests of views: commands decided by the domain, their events as a log in memory.
//!
//! What happens is decided by the domain's own `decide`, in order and at once, so that a test says who did what and
//! then looks at the rows. [`World::log`] is a store over the events so far, [`World::reads`] the views on it, come to
//! its end. [`World::check`] holds every view to its word: delivered twice, in batches or one by one, folded in memory
//! or live, the rows are the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::case::Category;
use domain::conversation::{
    self, Also, Command, Count, DeleteMode, MessageFacts, NamedMessage, RelationshipKind, Slot,
};
use domain::event::{Event, Recorded};
use domain::ids::{CommandId, ConversationId, MemberId, ReasonCode, ReportId};
use domain::member::{self, AgeBand};
use domain::policy::{self, Audience, InForce, Rules};
use domain::rejection::{Code, Rejection};
use domain::time::Timestamp;
use event_store::{LogId, Members, NewEvent, Position, RecordedEvent, StreamName};
use projections::{DomainCodec, Options, ReadSide, ViewName};
use uuid::Uuid;

pub mod acts;
mod cases;
mod log;
pub mod model;
pub use cases::decision_of;
pub use log::Log;

/// The id of such a world's log.
pub const LOG_ID: LogId = LogId(Uuid::nil());

/// A member's id.
pub fn id(member: &str) -> MemberId {
    MemberId::new(member).unwrap()
}

/// The conversation of two members.
pub fn conversation_of(one: &str, other: &str) -> ConversationId {
    ConversationId::of(&id(one), &id(other))
}

/// Members, conversations, and what happened between them.
pub struct World {
    /// The time of the next command, in milliseconds since the Unix epoch.
    pub now: i64,
    /// Who acts: a member, or with a `/` what follows from an event.
    pub actor: &'static str,
    events: Vec<RecordedEvent>,
    versions: HashMap<String, u64>,
    conversations: HashMap<ConversationId, conversation::State>,
    members: HashMap<MemberId, member::State>,
    policy: policy::State,
    messages:
        BTreeMap<(ConversationId, u64), (MessageFacts, HashMap<MemberId, conversation::Reported>)>,
    commands: u64,
    decided: u64,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with the first policy and nobody in it, on the first day of 2004.
    pub fn new() -> Self {
        let mut world = Self {
            now: 0,
            actor: "actor",
            events: Vec::new(),
            versions: HashMap::new(),
            conversations: HashMap::new(),
            members: HashMap::new(),
            policy: policy::State::default(),
            messages: BTreeMap::new(),
            commands: 0,
            decided: 0,
        };
        world.set_policy(Rules::default());
        world.now = 1_072_915_200_000;
        world
    }

    /// Such a world with adult members whose audience is everyone, a month after they registered.
    pub fn open(members: &[&str]) -> Self {
        let mut world = Self::new();
        for member in members {
            world.register(member, AgeBand::Adult);
            world.audience(member, Audience::Everyone);
        }
        world.wait_days(31);
        world
    }

    /// Lets days of 24 hours pass.
    pub fn wait_days(&mut self, days: i64) {
        self.now += days * 24 * 60 * 60 * 1000;
    }

    /// The events so far.
    pub fn events(&self) -> &[RecordedEvent] {
        &self.events
    }

    /// The last position.
    pub fn position(&self) -> Position {
        Position(self.events.len() as u64)
    }

    /// What a conversation's decisions are made on.
    pub fn state(&self, one: &str, other: &str) -> conversation::State {
        self.conversations
            .get(&conversation_of(one, other))
            .cloned()
            .unwrap_or_default()
    }

    /// The rules in force.
    pub fn policy(&self) -> InForce {
        self.policy.in_force().cloned().unwrap_or_else(|| InForce {
            version: 0,
            rules: Arc::default(),
        })
    }

    /// What other streams' decisions see of a member now.
    pub fn facts(&self, member: &MemberId) -> Option<member::Facts> {
        let version = self
            .versions
            .get(&member::stream(member))
            .copied()
            .unwrap_or(0);
        self.members
            .get(member)?
            .facts(&self.policy().rules, version, Timestamp(self.now))
    }

    /// What is known of both sides of a request.
    pub fn standing(&self, from: &MemberId, to: &MemberId) -> conversation::Standing {
        conversation::Standing {
            sender: self.facts(from),
            recipient: self.facts(to),
        }
    }

    /// Changes the policy.
    pub fn set_policy(&mut self, rules: Rules) {
        let command = policy::Command::ChangePolicy {
            rules: Arc::new(rules),
        };
        self.decided += 1;
        for event in policy::decide(&self.policy, &command).unwrap() {
            let recorded = self.append(policy::STREAM, &Event::Policy(event.clone()));
            policy::evolve(&mut self.policy, recorded, &event);
        }
    }

    /// Registers a member, or changes their age band.
    pub fn register(&mut self, member: &str, age_band: AgeBand) {
        let at = Timestamp(self.now);
        let member = id(member);
        let command = member::Command::RegisterMember {
            member: member.clone(),
            age_band,
            registered_at: None,
            at,
        };
        self.of_member(&member, &command).unwrap();
    }

    /// Changes a member's audience.
    pub fn audience(&mut self, member: &str, audience: Audience) {
        let (member, at) = (id(member), Timestamp(self.now));
        let _ = self.of_member(
            &member.clone(),
            &member::Command::ChangeDmSetting {
                member,
                audience,
                at,
            },
        );
    }

    /// Suspends a member for good.
    pub fn suspend(&mut self, member: &str) {
        let (member, at) = (id(member), Timestamp(self.now));
        let (by, reason) = (id("moderator"), ReasonCode::new("spam").unwrap());
        let command_id = CommandId::new(&format!("suspend-{}", self.events.len())).unwrap();
        let command = member::Command::SuspendMember(member::SuspendMember {
            command_id,
            member: member.clone(),
            by,
            until: None,
            reason,
            text: "You were reported.".to_owned(),
            facts: "Ten letters.".to_owned(),
            at,
        });
        let _ = self.of_member(&member, &command);
    }

    /// Ends a member's suspension.
    pub fn reinstate(&mut self, member: &str) {
        let (member, at) = (id(member), Timestamp(self.now));
        let by = id("moderator");
        let _ = self.of_member(
            &member.clone(),
            &member::Command::ReinstateMember { member, by, at },
        );
    }

    /// Sends a message; its number, or the code of the refusal.
    pub fn send(&mut self, from: &str, to: &str, text: &str) -> Result<u64, Code> {
        let (from, to) = (id(from), id(to));
        let state = self
            .conversations
            .get(&ConversationId::of(&from, &to))
            .cloned()
            .unwrap_or_default();
        let command_id = self.command_id();
        let used = self
            .members
            .get(&from)
            .map_or(0, |member| member.slots_used(Timestamp(self.now), None));
        let mut command = conversation::SendMessage {
            sender: self.facts(&from),
            recipient: self.facts(&to),
            from,
            to,
            text: text.to_owned(),
            at: Timestamp(self.now),
            policy: self.policy(),
            slot: Slot::Open { used },
            relationship: conversation::GivenRelationship::default(),
        };
        if conversation::needs_slot(&state, &command) {
            let take = member::Command::TakeRequestSlot {
                member: command.from.clone(),
                conversation: ConversationId::of(&command.from, &command.to),
                command_id,
                policy: self.policy(),
                at: command.at,
            };
            self.of_member(&command.from.clone(), &take).unwrap();
            command.slot = Slot::Taken;
        }
        let (from, to) = (command.from.clone(), command.to.clone());
        self.of_conversation(&from, &to, &Command::SendMessage(command))
            .map_err(|refused| refused.code())?;
        Ok(self.state(from.as_str(), to.as_str()).last_number())
    }

    /// Accepts the request of `from`.
    pub fn accept(&mut self, by: &str, from: &str) -> Result<(), Code> {
        let command = Command::AcceptRequest(conversation::AcceptRequest {
            by: id(by),
            at: Timestamp(self.now),
            standing: self.standing(&id(from), &id(by)),
            policy: self.policy(),
        });
        self.between(by, from, &command)
    }

    /// Deletes the request of `from`.
    pub fn delete(&mut self, by: &str, from: &str, mode: DeleteMode) -> Result<(), Code> {
        let (at, policy) = (Timestamp(self.now), self.policy());
        let command = conversation::DeleteRequest {
            by: id(by),
            mode,
            at,
            policy,
        };
        self.between(by, from, &Command::DeleteRequest(command))
    }

    /// Restores the deleted request of `from`.
    pub fn restore(&mut self, by: &str, from: &str) -> Result<(), Code> {
        let command = Command::RestoreRequest(conversation::RestoreRequest {
            by: id(by),
            at: Timestamp(self.now),
            standing: self.standing(&id(from), &id(by)),
            policy: self.policy(),
        });
        self.between(by, from, &command)
    }

    /// Moves the thread with `from` back to the doorstep.
    pub fn move_to_requests(&mut self, by: &str, from: &str) -> Result<(), Code> {
        let command = conversation::MoveToRequests {
            by: id(by),
            at: Timestamp(self.now),
        };
        self.between(by, from, &Command::MoveToRequests(command))
    }

    /// Takes an own message back.
    pub fn unsend(&mut self, by: &str, other: &str, number: u64) -> Result<(), Code> {
        let message = self.named(by, other, number);
        let command = conversation::UnsendMessage {
            by: id(by),
            message,
            at: Timestamp(self.now),
        };
        self.between(by, other, &Command::UnsendMessage(command))
    }

    /// Marks as read.
    pub fn read(&mut self, by: &str, other: &str, up_to: u64) -> Result<(), Code> {
        let command = conversation::MarkRead {
            by: id(by),
            up_to,
            at: Timestamp(self.now),
        };
        self.between(by, other, &Command::MarkRead(command))
    }

    /// Mutes.
    pub fn mute(&mut self, by: &str, other: &str) -> Result<(), Code> {
        let command = conversation::MuteConversation {
            by: id(by),
            at: Timestamp(self.now),
        };
        self.between(by, other, &Command::MuteConversation(command))
    }

    /// Unmutes.
    pub fn unmute(&mut self, by: &str, other: &str) -> Result<(), Code> {
        let command = conversation::UnmuteConversation {
            by: id(by),
            at: Timestamp(self.now),
        };
        self.between(by, other, &Command::UnmuteConversation(command))
    }

    /// Blocks.
    pub fn block(&mut self, by: &str, other: &str) -> Result<(), Code> {
        let command = conversation::BlockMember {
            by: id(by),
            other: id(other),
            at: Timestamp(self.now),
        };
        self.between(by, other, &Command::BlockMember(command))
    }

    /// Unblocks.
    pub fn unblock(&mut self, by: &str, other: &str) -> Result<(), Code> {
        let command = conversation::UnblockMember {
            by: id(by),
            other: id(other),
            at: Timestamp(self.now),
        };
        self.between(by, other, &Command::UnblockMember(command))
    }

    /// Records a relationship of `member` to `other`.
    pub fn relate(&mut self, kind: RelationshipKind, member: &str, other: &str) {
        let at = Timestamp(self.now);
        let command = conversation::RecordRelationship {
            kind,
            member: id(member),
            other: id(other),
            at,
        };
        let _ = self.between(member, other, &Command::RecordRelationship(command));
    }

    /// Makes two members friends.
    pub fn befriend(&mut self, one: &str, other: &str) {
        self.relate(RelationshipKind::Follow, one, other);
        self.relate(RelationshipKind::Follow, other, one);
    }

    /// Reports messages of `other`.
    pub fn report(
        &mut self,
        by: &str,
        other: &str,
        numbers: &[u64],
        category: Category,
        comment: &str,
        also: Also,
    ) -> Result<ReportId, Code> {
        let command_id = self.command_id();
        let (reporter, report_id) = (id(by), ReportId::of(&id(by), &command_id));
        let mut command = conversation::ReportMessage {
            by: reporter.clone(),
            report_id,
            messages: numbers
                .iter()
                .map(|number| self.named(by, other, *number))
                .collect(),
            category,
            comment: comment.to_owned(),
            also,
            count: Count::NotYet,
            at: Timestamp(self.now),
            policy: self.policy(),
        };
        let state = self.state(by, other);
        if conversation::needs_count(&state, &command) {
            let count = member::Command::CountReport {
                member: reporter.clone(),
                report_id,
                policy: self.policy(),
                at: command.at,
            };
            self.of_member(&reporter, &count).unwrap();
            let over = self
                .members
                .get(&reporter)
                .and_then(|member| member.counted(report_id));
            command.count = if over == Some(true) {
                Count::Over
            } else {
                Count::Within
            };
        }
        self.of_conversation(&reporter, &id(other), &Command::ReportMessage(command))
            .map_err(|refused| refused.code())?;
        Ok(report_id)
    }

    fn named(&self, by: &str, other: &str, number: u64) -> NamedMessage {
        let found = self.messages.get(&(conversation_of(by, other), number));
        let facts = found.map(|(facts, reported)| MessageFacts {
            reported: reported.get(&id(by)).copied(),
            ..facts.clone()
        });
        NamedMessage { number, facts }
    }

    fn between(&mut self, by: &str, other: &str, command: &Command) -> Result<(), Code> {
        self.of_conversation(&id(by), &id(other), command)
            .map_err(|refused| refused.code())
    }

    fn command_id(&mut self) -> CommandId {
        self.commands += 1;
        CommandId::new(&format!("c{}", self.commands)).unwrap()
    }

    fn of_member(&mut self, member: &MemberId, command: &member::Command) -> Result<(), Rejection> {
        let mut state = self.members.remove(member).unwrap_or_default();
        self.decided += 1;
        let decided = member::decide(&state, command);
        for event in decided.iter().flatten() {
            let recorded = self.append(&member::stream(member), &Event::Member(event.clone()));
            member::evolve(&mut state, recorded, event);
        }
        self.members.insert(member.clone(), state);
        decided.map(|_| ())
    }

    fn of_conversation(
        &mut self,
        one: &MemberId,
        other: &MemberId,
        command: &Command,
    ) -> Result<(), Rejection> {
        let id = ConversationId::of(one, other);
        let mut state = self.conversations.remove(&id).unwrap_or_default();
        self.decided += 1;
        let decided = conversation::decide(&state, command);
        for event in decided.iter().flatten() {
            let recorded = self.append(
                &conversation::stream(id),
                &Event::Conversation(event.clone()),
            );
            conversation::evolve(&mut state, recorded, event);
            self.remember(id, recorded, event);
        }
        self.conversations.insert(id, state);
        decided.map(|_| ())
    }

    fn remember(
        &mut self,
        id: ConversationId,
        recorded: Recorded,
        event: &conversation::Event<'_>,
    ) {
        let (number, from, text, withheld) = match event {
            conversation::Event::MessageSent(sent) => (sent.number, &sent.from, &sent.text, false),
            conversation::Event::MessageWithheld(held) => {
                (held.number, &held.from, &held.text, true)
            }
            conversation::Event::MessageUnsent(unsent) => {
                if let Some((facts, _)) = self.messages.get_mut(&(id, unsent.number)) {
                    facts.unsent = Some(recorded.version);
                }
                return;
            }
            conversation::Event::MessagesReported(reported) => {
                for message in &reported.messages {
                    if let Some((_, reports)) = self.messages.get_mut(&(id, message.number)) {
                        let report = conversation::Reported {
                            report_id: reported.report_id,
                            version: recorded.version,
                        };
                        reports.entry(reported.reporter.clone()).or_insert(report);
                    }
                }
                return;
            }
            conversation::Event::RequestOpened(_)
            | conversation::Event::RequestAccepted(_)
            | conversation::Event::RequestDeleted(_)
            | conversation::Event::RequestRestored(_)
            | conversation::Event::RequestWithdrawn(_)
            | conversation::Event::MovedToRequests(_)
            | conversation::Event::ReadMarked(_)
            | conversation::Event::ConversationMuted(_)
            | conversation::Event::ConversationUnmuted(_)
            | conversation::Event::MemberBlocked(_)
            | conversation::Event::MemberUnblocked(_)
            | conversation::Event::MessagesRemoved(_)
            | conversation::Event::MessagesRestored(_)
            | conversation::Event::RelationshipRecorded(_) => return,
        };
        let facts = MessageFacts {
            from: from.clone(),
            sent_at: recorded.at,
            text: text.as_str().to_owned(),
            withheld,
            unsent: None,
            reported: None,
        };
        self.messages.insert((id, number), (facts, HashMap::new()));
    }

    /// Appends one event, decided elsewhere.
    pub fn append(&mut self, stream: &str, event: &Event<'_>) -> Recorded {
        let version = self.versions.get(stream).map_or(0, |version| version + 1);
        self.versions.insert(stream.to_owned(), version);
        let members = match event.members() {
            [Some(one), Some(other)] => Members::two(one.as_arc().clone(), other.as_arc().clone()),
            [Some(one), None] => Members::one(one.as_arc().clone()),
            _ => Members::none(),
        };
        let position = Position(self.events.len() as u64 + 1);
        let new = NewEvent {
            event_id: Uuid::from_u128(u128::from(position.0)),
            event_type: domain::codec::event_type(event).into(),
            at_ms: self.now,
            command_id: "command".into(),
            correlation_id: Uuid::from_u128(u128::from(self.decided)),
            causation_id: Uuid::nil(),
            actor: self.actor.into(),
            members,
            last_number: None,
            data: Bytes::from(domain::codec::encode(event)),
        };
        let name = StreamName::new(stream).unwrap();
        self.events.push(RecordedEvent::record(
            position, self.now, &name, version, &new,
        ));
        Recorded {
            version,
            at: Timestamp(self.now),
        }
    }

    /// A store over the events so far.
    pub fn log(&self) -> Arc<Log> {
        Log::of(self.events.clone())
    }

    /// The views, come to the end of the events so far.
    pub async fn reads(&self) -> ReadSide {
        let reads = ReadSide::open(Options::in_memory(), self.log())
            .await
            .unwrap();
        for view in ViewName::ALL {
            reads
                .wait(*view, self.position(), Duration::from_secs(30))
                .await
                .unwrap();
        }
        reads
    }

    /// Holds every view to its word: delivered twice, in batches of several sizes, the rows are those of a fold.
    pub fn check(&self) {
        for view in projections::views() {
            tables::testing::fold_twice(&DomainCodec, &view, &self.events)
                .unwrap_or_else(|error| panic!("{}: {error}", view.name()));
        }
    }
}

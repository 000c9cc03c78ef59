//! A command on its way to its aggregate: which stream, which facts, which decision, which answer.
//!
//! A task is the domain's own command, made from the caller's once; its time and facts are put in anew before every
//! decision. Everything here is synchronous and touches no store: the worker calls it between a load and an append.

use std::sync::Arc;

use domain::conversation::{Count, Slot, Standing};
use domain::ids::{CaseId, CommandId, ConversationId, MemberId};
use domain::policy::InForce;
use domain::rejection::{CommandName, Rejection};
use domain::time::Timestamp;
use domain::{Event, act, case, conversation, member, policy, reactor};
use event_store::{ExpectedVersion, Position, StreamName};
use uuid::Uuid;

use crate::Answer;
use crate::aggregate::State;
use crate::facts::{MemberFact, PolicyFact, Read};

/// The domain's command on its aggregate.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// On a conversation.
    Conversation(conversation::Command),
    /// On a member's stream.
    Member(member::Command),
    /// On a case.
    Case(case::Command),
    /// On the rules.
    Policy(policy::Command),
    /// On a reactor's checkpoint.
    Reactor(reactor::Command),
    /// On an auditor's acts.
    Act(act::Command),
}

/// The facts of other streams that a decision is made on.
#[derive(Clone, Debug)]
pub(crate) struct FactsInHand {
    /// The acting member of a conversation's command.
    pub(crate) by: Option<Arc<MemberFact>>,
    /// The other member.
    pub(crate) other: Option<Arc<MemberFact>>,
    /// The rules.
    pub(crate) policy: Option<Arc<PolicyFact>>,
}

impl FactsInHand {
    /// What the append names as read.
    pub(crate) fn reads(&self, policy: &StreamName) -> Vec<Read> {
        let mut reads = Vec::with_capacity(3);
        reads.extend(self.by.iter().chain(&self.other).map(|fact| fact.read()));
        if let Some(fact) = &self.policy {
            reads.push((policy.clone(), ExpectedVersion::of(fact.version)));
        }
        reads
    }

    /// The highest position among them.
    pub(crate) fn position(&self) -> Position {
        let members = self.by.iter().chain(&self.other).map(|fact| fact.position);
        members
            .chain(self.policy.iter().map(|fact| fact.position))
            .max()
            .unwrap_or(Position::START)
    }
}

impl Task {
    /// The members whose state the decision needs: the acting one, and the other of the conversation.
    pub(crate) fn members_needed(&self, state: &State) -> [Option<MemberId>; 2] {
        let (Task::Conversation(command), State::Conversation(state)) = (self, state) else {
            return [None, None];
        };
        match command {
            conversation::Command::SendMessage(send) => {
                [Some(send.from.clone()), Some(send.to.clone())]
            }
            conversation::Command::AcceptRequest(_) | conversation::Command::RestoreRequest(_) => {
                // Of a conversation that does not exist nothing is looked up: it is not found.
                match state.other(command.by()) {
                    Some(other) => [Some(command.by().clone()), Some(other.clone())],
                    None => [None, None],
                }
            }
            conversation::Command::ReportMessage(report) => [Some(report.by.clone()), None],
            conversation::Command::DeleteRequest(_)
            | conversation::Command::MoveToRequests(_)
            | conversation::Command::UnsendMessage(_)
            | conversation::Command::MarkRead(_)
            | conversation::Command::MuteConversation(_)
            | conversation::Command::UnmuteConversation(_)
            | conversation::Command::BlockMember(_)
            | conversation::Command::UnblockMember(_)
            | conversation::Command::RecordRelationship(_)
            | conversation::Command::RemoveMessages(_)
            | conversation::Command::RestoreMessages(_) => [None, None],
        }
    }

    /// Whether the decision uses the rules.
    pub(crate) fn needs_policy(&self) -> bool {
        match self {
            Task::Conversation(command) => match command {
                conversation::Command::SendMessage(_)
                | conversation::Command::AcceptRequest(_)
                | conversation::Command::DeleteRequest(_)
                | conversation::Command::RestoreRequest(_)
                | conversation::Command::ReportMessage(_) => true,
                conversation::Command::MoveToRequests(_)
                | conversation::Command::UnsendMessage(_)
                | conversation::Command::MarkRead(_)
                | conversation::Command::MuteConversation(_)
                | conversation::Command::UnmuteConversation(_)
                | conversation::Command::BlockMember(_)
                | conversation::Command::UnblockMember(_)
                | conversation::Command::RecordRelationship(_)
                | conversation::Command::RemoveMessages(_)
                | conversation::Command::RestoreMessages(_) => false,
            },
            Task::Member(command) => match command {
                member::Command::TakeRequestSlot { .. } | member::Command::CountReport { .. } => {
                    true
                }
                member::Command::RegisterMember { .. }
                | member::Command::ChangeDmSetting { .. }
                | member::Command::SuspendMember(_)
                | member::Command::ReinstateMember { .. }
                | member::Command::LimitReports { .. }
                | member::Command::LiftReportLimit { .. }
                | member::Command::EndReportLimit { .. }
                | member::Command::EndSuspension { .. }
                | member::Command::RestrictMember(_)
                | member::Command::EndRestriction { .. }
                | member::Command::LiftRestriction { .. }
                | member::Command::ReturnRequestSlot { .. } => false,
            },
            Task::Case(_) | Task::Policy(_) | Task::Reactor(_) | Task::Act(_) => false,
        }
    }

    /// The numbers of the messages that the command names, and who asks.
    pub(crate) fn messages_named(&self) -> Option<(Vec<u64>, &MemberId)> {
        if let Task::Case(case::Command::DecideCase { by, named, .. }) = self {
            let numbers = named.iter().map(|message| message.number).collect();
            return Some((numbers, by)).filter(|_| !named.is_empty());
        }
        let Task::Conversation(command) = self else {
            return None;
        };
        match command {
            conversation::Command::UnsendMessage(unsend) => {
                Some((vec![unsend.message.number], &unsend.by))
            }
            conversation::Command::ReportMessage(report) => Some((
                report
                    .messages
                    .iter()
                    .map(|message| message.number)
                    .collect(),
                &report.by,
            )),
            conversation::Command::SendMessage(_)
            | conversation::Command::AcceptRequest(_)
            | conversation::Command::DeleteRequest(_)
            | conversation::Command::RestoreRequest(_)
            | conversation::Command::MoveToRequests(_)
            | conversation::Command::MarkRead(_)
            | conversation::Command::MuteConversation(_)
            | conversation::Command::UnmuteConversation(_)
            | conversation::Command::BlockMember(_)
            | conversation::Command::UnblockMember(_)
            | conversation::Command::RecordRelationship(_)
            | conversation::Command::RemoveMessages(_)
            | conversation::Command::RestoreMessages(_) => None,
        }
    }

    /// Puts in what is known of the named messages, in their order.
    pub(crate) fn put_messages(&mut self, facts: Vec<Option<conversation::MessageFacts>>) {
        if let Task::Case(case::Command::DecideCase { named, .. }) = self {
            for (message, facts) in named.iter_mut().zip(facts) {
                message.facts = facts;
            }
            return;
        }
        let Task::Conversation(command) = self else {
            return;
        };
        if let conversation::Command::UnsendMessage(unsend) = command {
            unsend.message.facts = facts.into_iter().next().flatten();
        } else if let conversation::Command::ReportMessage(report) = command {
            for (message, facts) in report.messages.iter_mut().zip(facts) {
                message.facts = facts;
            }
        }
    }

    /// Puts in the facts and the time that the decision is made on.
    pub(crate) fn put_facts(
        &mut self,
        facts: &FactsInHand,
        at: Timestamp,
        command_id: Option<&CommandId>,
    ) {
        match self {
            Task::Conversation(command) => put_conversation_facts(command, facts, at, command_id),
            Task::Member(command) => put_member_facts(command, facts, at),
            Task::Case(command) => put_case_time(command, at),
            Task::Act(act::Command::DecideCases(command)) => command.at = at,
            Task::Policy(_) | Task::Reactor(_) | Task::Act(_) => {}
        }
    }

    /// Decides. A task and a state of different kinds do not meet: both follow from the stream.
    pub(crate) fn decide(&self, state: &State) -> Result<Vec<Event<'static>>, Rejection> {
        match (self, state) {
            (Task::Conversation(command), State::Conversation(state)) => {
                Ok(conversation::decide(state, command)?
                    .into_iter()
                    .map(Event::Conversation)
                    .collect())
            }
            (Task::Member(command), State::Member(state)) => Ok(member::decide(state, command)?
                .into_iter()
                .map(Event::Member)
                .collect()),
            (Task::Case(command), State::Case(state)) => Ok(case::decide(state, command)?
                .into_iter()
                .map(Event::Case)
                .collect()),
            (Task::Policy(command), State::Policy(state)) => Ok(policy::decide(state, command)?
                .into_iter()
                .map(Event::Policy)
                .collect()),
            (Task::Reactor(command), State::Reactor(state)) => Ok(reactor::decide(state, command)
                .into_iter()
                .map(Event::Reactor)
                .collect()),
            (Task::Act(command), State::Act(state)) => Ok(act::decide(state, command)?
                .into_iter()
                .map(Event::Act)
                .collect()),
            (
                Task::Conversation(_)
                | Task::Member(_)
                | Task::Case(_)
                | Task::Policy(_)
                | Task::Reactor(_)
                | Task::Act(_),
                State::Conversation(_)
                | State::Member(_)
                | State::Case(_)
                | State::Policy(_)
                | State::Reactor(_)
                | State::Act(_),
            ) => Err(Rejection::not_found()),
        }
    }

    /// What stands before a refusal of it that is recorded.
    pub(crate) fn recorded_first(&self, state: &State) -> Vec<Event<'static>> {
        let (Task::Conversation(command), State::Conversation(state)) = (self, state) else {
            return Vec::new();
        };
        let first = conversation::recorded_first(state, command);
        first.into_iter().map(Event::Conversation).collect()
    }

    /// The version of the event that made it so already, after a decision without events.
    pub(crate) fn already(&self, state: &State) -> Option<u64> {
        match (self, state) {
            (Task::Conversation(command), State::Conversation(state)) => {
                conversation::already(state, command)
            }
            (Task::Member(command), State::Member(state)) => member::already(state, command),
            (Task::Case(command), State::Case(state)) => case::already(state, command),
            (Task::Policy(command), State::Policy(state)) => policy::already(state, command),
            (Task::Act(command), State::Act(state)) => act::already(state, command),
            (
                Task::Conversation(_)
                | Task::Member(_)
                | Task::Case(_)
                | Task::Policy(_)
                | Task::Reactor(_)
                | Task::Act(_),
                State::Conversation(_)
                | State::Member(_)
                | State::Case(_)
                | State::Policy(_)
                | State::Reactor(_)
                | State::Act(_),
            ) => None,
        }
    }

    /// Whether the command is answered as it is decided, however many of its member's were refused: what protects a
    /// member is never limited.
    pub(crate) fn is_never_limited(&self) -> bool {
        use conversation::Command as C;
        match self {
            Task::Conversation(command) => match command {
                C::AcceptRequest(_)
                | C::DeleteRequest(_)
                | C::BlockMember(_)
                | C::ReportMessage(_) => true,
                C::SendMessage(_)
                | C::RestoreRequest(_)
                | C::MoveToRequests(_)
                | C::UnsendMessage(_)
                | C::MarkRead(_)
                | C::MuteConversation(_)
                | C::UnmuteConversation(_)
                | C::UnblockMember(_)
                | C::RecordRelationship(_)
                | C::RemoveMessages(_)
                | C::RestoreMessages(_) => false,
            },
            Task::Member(_) | Task::Case(_) | Task::Policy(_) | Task::Reactor(_) | Task::Act(_) => {
                false
            }
        }
    }

    /// How a refusal of this is recorded: the command, who acted, whom else it concerned. None for what no client asks.
    pub(crate) fn refusal(
        &self,
        actor: &MemberId,
    ) -> Option<(CommandName, MemberId, Option<MemberId>)> {
        match self {
            Task::Conversation(command) => {
                let other = match command {
                    conversation::Command::SendMessage(send) => Some(send.to.clone()),
                    conversation::Command::BlockMember(block) => Some(block.other.clone()),
                    conversation::Command::UnblockMember(unblock) => Some(unblock.other.clone()),
                    conversation::Command::RecordRelationship(record) => Some(record.other.clone()),
                    conversation::Command::AcceptRequest(_)
                    | conversation::Command::DeleteRequest(_)
                    | conversation::Command::RestoreRequest(_)
                    | conversation::Command::MoveToRequests(_)
                    | conversation::Command::UnsendMessage(_)
                    | conversation::Command::MarkRead(_)
                    | conversation::Command::MuteConversation(_)
                    | conversation::Command::UnmuteConversation(_)
                    | conversation::Command::ReportMessage(_)
                    | conversation::Command::RemoveMessages(_)
                    | conversation::Command::RestoreMessages(_) => None,
                };
                Some((command.name()?, command.by().clone(), other))
            }
            Task::Member(command) => command.name().map(|name| (name, actor.clone(), None)),
            Task::Policy(policy::Command::ChangePolicy { .. }) => {
                Some((CommandName::ChangePolicy, actor.clone(), None))
            }
            Task::Case(command) => command.name().map(|name| (name, actor.clone(), None)),
            Task::Reactor(_) | Task::Act(_) => None,
        }
    }

    /// What the caller learns of a command that was so already.
    pub(crate) fn answer_unchanged(
        &self,
        state: &State,
        stream: &StreamName,
        policy: &PolicyFact,
    ) -> Answer {
        match (self, state) {
            (
                Task::Conversation(conversation::Command::ReportMessage(report)),
                State::Conversation(state),
            ) => match (
                conversation::earliest_report(report),
                state.other(&report.by),
                conversation_of(stream),
            ) {
                (Some(earliest), Some(reported), Some(conversation)) => Answer::Reported {
                    report: earliest.report_id,
                    case: CaseId::of(conversation, reported),
                    new: false,
                    also: conversation::also_outcome(state, report),
                },
                _ => Answer::Nothing,
            },
            (Task::Member(member::Command::ChangeDmSetting { .. }), State::Member(state)) => state
                .dm_setting(&policy.in_force.rules)
                .map_or(Answer::Nothing, |setting| Answer::Setting {
                    audience: setting.audience,
                    version: setting.version,
                }),
            (Task::Case(case::Command::ClaimCase { at, .. }), State::Case(state)) => state
                .claimed(*at)
                .map_or(Answer::Nothing, |(_, until)| Answer::Claimed { until }),
            (Task::Policy(_), State::Policy(state)) => {
                state
                    .in_force()
                    .map_or(Answer::Nothing, |in_force| Answer::Policy {
                        version: in_force.version,
                    })
            }
            (
                Task::Conversation(_)
                | Task::Member(_)
                | Task::Case(_)
                | Task::Policy(_)
                | Task::Reactor(_)
                | Task::Act(_),
                State::Conversation(_)
                | State::Member(_)
                | State::Case(_)
                | State::Policy(_)
                | State::Reactor(_)
                | State::Act(_),
            ) => Answer::Nothing,
        }
    }
}

fn put_case_time(command: &mut case::Command, now: Timestamp) {
    use case::{Command as C, DecideByAct};
    match command {
        C::ClaimCase { at, .. }
        | C::ReleaseCase { at, .. }
        | C::NoteOnCase { at, .. }
        | C::EscalateCase { at, .. }
        | C::DecideCase { at, .. }
        | C::DecideByAct(DecideByAct { at, .. })
        | C::AppealDecision { at, .. }
        | C::DecideAppeal { at, .. }
        | C::ReverseDecision { at, .. }
        | C::CloseCase { at }
        | C::LapseClaim { at } => *at = now,
        C::JoinReport(_) | C::FileSuspension(_) | C::DiscloseCase { .. } | C::ReopenCase { .. } => {
        }
    }
}

fn put_conversation_facts(
    command: &mut conversation::Command,
    facts: &FactsInHand,
    at: Timestamp,
    command_id: Option<&CommandId>,
) {
    use conversation::Command as C;
    let rules = facts.policy.as_ref().map(|fact| &fact.in_force);
    let member = |fact: &Option<Arc<MemberFact>>| {
        let (fact, rules) = (fact.as_ref()?, rules?);
        fact.state.facts(&rules.rules, fact.version?, at)
    };
    match command {
        C::SendMessage(send) => {
            send.at = at;
            send.sender = member(&facts.by);
            send.recipient = member(&facts.other);
            send.slot = facts.by.as_ref().map_or(Slot::Open { used: 0 }, |fact| {
                let conversation = Some(ConversationId::of(&send.from, &send.to));
                if command_id.is_some_and(|command| fact.state.has_slot(command, conversation, at))
                {
                    Slot::Taken
                } else {
                    Slot::Open {
                        used: fact.state.slots_used(at, command_id),
                    }
                }
            });
            put_policy(&mut send.policy, rules);
        }
        C::AcceptRequest(accept) => {
            accept.at = at;
            accept.standing = Standing {
                sender: member(&facts.other),
                recipient: member(&facts.by),
            };
            put_policy(&mut accept.policy, rules);
        }
        C::RestoreRequest(restore) => {
            restore.at = at;
            restore.standing = Standing {
                sender: member(&facts.other),
                recipient: member(&facts.by),
            };
            put_policy(&mut restore.policy, rules);
        }
        C::DeleteRequest(delete) => {
            delete.at = at;
            put_policy(&mut delete.policy, rules);
        }
        C::ReportMessage(report) => {
            report.at = at;
            put_policy(&mut report.policy, rules);
            let counted = facts
                .by
                .as_ref()
                .and_then(|fact| fact.state.counted(report.report_id));
            report.count = match counted {
                None => Count::NotYet,
                Some(false) => Count::Within,
                Some(true) => Count::Over,
            };
        }
        C::RemoveMessages(_) | C::RestoreMessages(_) => {}
        C::MoveToRequests(command) => command.at = at,
        C::UnsendMessage(command) => command.at = at,
        C::MarkRead(command) => command.at = at,
        C::MuteConversation(command) => command.at = at,
        C::UnmuteConversation(command) => command.at = at,
        C::BlockMember(command) => command.at = at,
        C::UnblockMember(command) => command.at = at,
        C::RecordRelationship(command) => command.at = at,
    }
}

fn put_policy(policy: &mut InForce, rules: Option<&InForce>) {
    if let Some(rules) = rules
        && policy.version != rules.version
    {
        *policy = rules.clone();
    }
}

fn put_member_facts(command: &mut member::Command, facts: &FactsInHand, time: Timestamp) {
    match command {
        member::Command::RegisterMember { at, .. }
        | member::Command::ChangeDmSetting { at, .. }
        | member::Command::SuspendMember(member::SuspendMember { at, .. })
        | member::Command::ReinstateMember { at, .. }
        | member::Command::LimitReports { at, .. }
        | member::Command::LiftReportLimit { at, .. }
        | member::Command::EndReportLimit { at, .. }
        | member::Command::EndSuspension { at, .. }
        | member::Command::EndRestriction { at, .. }
        | member::Command::LiftRestriction { at, .. } => *at = time,
        member::Command::TakeRequestSlot { at, policy, .. }
        | member::Command::CountReport { at, policy, .. } => {
            *at = time;
            put_policy(policy, facts.policy.as_ref().map(|fact| &fact.in_force));
        }
        member::Command::ReturnRequestSlot { .. } | member::Command::RestrictMember(_) => {}
    }
}

/// The member whose stream this is.
pub(crate) fn member_of(stream: &StreamName) -> Option<MemberId> {
    let id = stream.as_str().strip_prefix("member-")?;
    MemberId::new(id).ok()
}

/// The conversation whose stream this is.
pub(crate) fn conversation_of(stream: &StreamName) -> Option<ConversationId> {
    let id = stream.as_str().strip_prefix("conversation-")?;
    Uuid::parse_str(id).ok().map(ConversationId)
}

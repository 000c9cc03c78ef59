//! What moderators do with cases, in a world of given events.

use domain::case;
use domain::conversation;
use domain::event::{Event, Recorded};
use domain::ids::{CaseId, CommandId, DecisionId, ReasonCode};
use domain::member::{self, Restriction};
use domain::rejection::Code;
use domain::time::Timestamp;

use super::{World, conversation_of, id};

impl World {
    /// Notes that a moderator was shown the case about `reported` in the conversation of the two.
    pub fn disclose(&mut self, reported: &str, reporter: &str) {
        let case = CaseId::of(conversation_of(reported, reporter), &id(reported));
        let disclosed = case::ContentDisclosed {
            by: id("moderator"),
            reported: id(reported),
            purpose: ReasonCode::new("review").unwrap(),
            conversation: Some(conversation_of(reported, reporter)),
            reporter: Some(id(reporter)),
            shown: None,
        };
        let event = case::Event::ContentDisclosed(disclosed);
        self.append(&case::stream(case), &Event::Case(event));
    }

    /// Lets so many reports of a member a day count, for as long as time goes.
    pub fn limit_reports(&mut self, member: &str, per_day: u32) {
        let (member, at) = (id(member), Timestamp(self.now));
        let command = member::Command::LimitReports {
            member: member.clone(),
            by: id("moderator"),
            per_day,
            until: Timestamp(i64::MAX),
            reason: ReasonCode::new("flooding").unwrap(),
            at,
        };
        self.of_member(&member, &command).unwrap();
    }

    /// Brings every report about `reported` in the conversation of the two into its case, as the reactor does.
    pub fn join(&mut self, reported: &str, reporter: &str) {
        let stream = conversation::stream(conversation_of(reported, reporter));
        let mut joins = Vec::new();
        for record in self
            .events()
            .iter()
            .filter(|event| event.stream() == stream)
        {
            let event = domain::codec::decode(record.event_type(), record.data()).unwrap();
            if let Event::Conversation(conversation::Event::MessagesReported(made)) = event
                && made.reported == id(reported)
            {
                joins.push(case::Command::JoinReport(case::JoinReport {
                    conversation: conversation_of(reported, reporter),
                    conversation_version: record.version(),
                    report_id: made.report_id,
                    reporter: made.reporter,
                    reported: made.reported,
                    category: made.category,
                    messages: u32::try_from(made.messages.len()).unwrap(),
                    over_limit: made.over_limit,
                    reporters: 1,
                    upheld: 0,
                }));
            }
        }
        for join in joins {
            self.on_case(reported, reporter, &join).unwrap();
        }
    }

    /// Carries out a command on the case about `reported` in the conversation of the two.
    pub fn on_case(
        &mut self,
        reported: &str,
        reporter: &str,
        command: &case::Command,
    ) -> Result<(), Code> {
        let stream = case::stream(CaseId::of(
            conversation_of(reported, reporter),
            &id(reported),
        ));
        let mut state = case::State::default();
        for record in self
            .events()
            .iter()
            .filter(|event| event.stream() == stream)
        {
            let event = domain::codec::decode(record.event_type(), record.data()).unwrap();
            if let Event::Case(event) = event {
                let (version, at) = (record.version(), Timestamp(record.at_ms()));
                case::evolve(&mut state, Recorded { version, at }, &event);
            }
        }
        let decided = case::decide(&state, command).map_err(|refused| refused.code())?;
        for event in decided {
            self.append(&stream, &Event::Case(event));
        }
        Ok(())
    }

    /// Carries a decision on `member` out, under a name.
    pub fn restrict(
        &mut self,
        decision: &str,
        member: &str,
        restriction: Restriction,
        until: Option<Timestamp>,
    ) {
        let command = member::Command::RestrictMember(member::RestrictMember {
            member: id(member),
            decision: decision_of(decision),
            by: id("moderator"),
            restriction,
            until,
            reason: ReasonCode::new("spam").unwrap(),
            text: "You were reported.".to_owned(),
        });
        self.of_member(&id(member), &command).unwrap();
    }

    /// The timer: what this decision restricts of a member is due by now.
    pub fn end_restriction(&mut self, decision: &str, member: &str) {
        let command = member::Command::EndRestriction {
            member: id(member),
            decision: decision_of(decision),
            at: Timestamp(self.now),
        };
        self.of_member(&id(member), &command).unwrap();
    }

    /// The reactor: this decision on a member was reversed.
    pub fn lift(&mut self, decision: &str, member: &str) {
        let command = member::Command::LiftRestriction {
            member: id(member),
            decision: decision_of(decision),
            by: id("another"),
            at: Timestamp(self.now),
        };
        self.of_member(&id(member), &command).unwrap();
    }

    /// Whether moderators removed this message, and did not show it again.
    pub(super) fn removed(&self, from: &str, to: &str, number: u64) -> bool {
        let stream = conversation::stream(conversation_of(from, to));
        let mut removed = false;
        for record in self.events().iter().filter(|it| it.stream() == stream) {
            let event = domain::codec::decode(record.event_type(), record.data()).unwrap();
            if let Event::Conversation(conversation::Event::MessagesRemoved(event)) = &event {
                removed |= event.numbers.contains(&number);
            }
            if let Event::Conversation(conversation::Event::MessagesRestored(event)) = &event {
                removed &= !event.numbers.contains(&number);
            }
        }
        removed
    }

    /// Shows messages of `from` again, by the reversal of this version of the case.
    pub fn show_again(&mut self, from: &str, to: &str, case_version: u64, numbers: &[u64]) {
        let command = conversation::Command::RestoreMessages(conversation::RestoreMessages {
            decision: decision_of("remove"),
            case_version,
            by: id("another"),
            from: id(from),
            to: id(to),
            numbers: numbers.to_vec(),
        });
        self.of_conversation(&id(from), &id(to), &command).unwrap();
    }

    /// Whether this message is one of `from` that reached `to`.
    pub(super) fn arrived(&self, from: &str, to: &str, number: u64) -> bool {
        let found = self.messages.get(&(conversation_of(from, to), number));
        found.is_some_and(|(facts, _)| facts.from == id(from) && !facts.withheld)
    }

    /// Removes messages of `from`, by the decision of this version of the case.
    pub fn remove(&mut self, from: &str, to: &str, case_version: u64, numbers: &[u64]) {
        let command = conversation::Command::RemoveMessages(conversation::RemoveMessages {
            decision: decision_of("remove"),
            case_version,
            by: id("moderator"),
            from: id(from),
            to: id(to),
            numbers: numbers.to_vec(),
        });
        self.of_conversation(&id(from), &id(to), &command).unwrap();
    }
}

/// The decision of this name.
pub fn decision_of(name: &str) -> DecisionId {
    DecisionId::by_hand(
        &id("moderator"),
        &id("moderator"),
        &CommandId::new(name).unwrap(),
        domain::Timestamp(0),
    )
}

//! From events to answers: the same for a command just decided and for one repeated years later.
//!
//! An answer is made from the events that the command wrote, and from nothing else, so that a repeated command gives
//! the first outcome again word for word.

use domain::conversation::Event as ConversationEvent;
use domain::event::Event;
use domain::ids::CaseId;
use domain::rejection::{CommandRefused, Rejection};
use domain::time::Timestamp;
use domain::{act, case, member, policy};
use event_store::{Position, StreamName};

use crate::task::conversation_of;
use crate::{Answer, CommandError, Kind, Outcome, Refusal};

/// Gathers what a command's events answer.
pub(crate) struct Told<'a> {
    stream: &'a StreamName,
    answer: Answer,
    refused: Option<Rejection>,
}

impl<'a> Told<'a> {
    /// Nothing told yet by the events on this stream.
    pub(crate) fn by(stream: &'a StreamName) -> Self {
        Self {
            stream,
            answer: Answer::Nothing,
            refused: None,
        }
    }

    /// Takes an event into account.
    pub(crate) fn event(&mut self, event: &Event<'_>, version: u64, at: Timestamp) {
        match event {
            Event::Conversation(event) => self.conversation(event, at),
            Event::Member(member::Event::DmSettingChanged(changed)) => {
                self.answer = Answer::Setting {
                    audience: changed.audience,
                    version: changed.version,
                };
            }
            Event::Case(case::Event::CaseClaimed(claimed)) => {
                self.answer = Answer::Claimed {
                    until: claimed.until,
                };
            }
            Event::Case(case::Event::CaseDecided(decided)) => {
                self.answer = Answer::Decided {
                    decision: decided.decision,
                };
            }
            Event::Act(act::Event::CasesDecided(decided)) => {
                self.answer = Answer::DecidedMany { act: decided.act };
            }
            Event::Policy(policy::Event::PolicySet(_)) => self.answer = Answer::Policy { version },
            Event::Refused(refused) => self.refused(refused),
            Event::Member(_) | Event::Case(_) | Event::Reactor(_) | Event::Act(_) => {}
        }
    }

    fn conversation(&mut self, event: &ConversationEvent<'_>, at: Timestamp) {
        let Some(conversation) = conversation_of(self.stream) else {
            return;
        };
        if let Some(number) = crate::job::number_of(event) {
            self.answer = Answer::Sent {
                conversation,
                number,
                at,
            };
        } else if let ConversationEvent::MessagesReported(reported) = event {
            let case = CaseId::of(conversation, &reported.reported);
            self.answer = Answer::Reported {
                report: reported.report_id,
                case,
                new: true,
                also: reported.also_outcome,
            };
        }
    }

    fn refused(&mut self, refused: &CommandRefused) {
        self.refused = Some(Rejection::from_event(refused));
    }

    /// The outcome of a command whose last event stands here.
    pub(crate) fn outcome(
        self,
        position: Position,
        repeated: bool,
    ) -> Result<Outcome, CommandError> {
        match self.refused {
            Some(rejection) => Err(CommandError::Refused(Box::new(Refusal {
                rejection,
                position,
                repeated,
            }))),
            None => Ok(Outcome {
                position,
                kind: Kind::Done,
                repeated,
                answer: self.answer,
            }),
        }
    }
}

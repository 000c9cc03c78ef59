//! From events to answers: the same for a command just decided and for one repeated years later.
//!
//! An answer is made from the events that the command wrote, and from nothing else, so that a repeated command gives
//! the first outcome again word for word.

use domain::conversation::Event as ConversationEvent;
use domain::event::Event;
use domain::ids::CaseId;
use domain::rejection::{CommandRefused, Rejection};
use domain::time::Timestamp;
use domain::unchanged::{CommandUnchanged, Told as ToldThen};
use domain::{act, case, member, policy};
use event_store::{Position, StreamName};

use crate::task::conversation_of;
use crate::{Answer, CommandError, Kind, Outcome, Refusal};

/// What had made a command so already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeSo {
    /// The event of this version in its stream.
    By(u64),
    /// No event.
    ByNothing,
}

/// Gathers what a command's events answer.
pub(crate) struct Told<'a> {
    stream: &'a StreamName,
    answer: Answer,
    refused: Option<Rejection>,
    was_so: Option<MadeSo>,
}

impl<'a> Told<'a> {
    /// Nothing told yet by the events on this stream.
    pub(crate) fn by(stream: &'a StreamName) -> Self {
        Self {
            stream,
            answer: Answer::Nothing,
            refused: None,
            was_so: None,
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
            Event::Unchanged(unchanged) => self.unchanged(unchanged),
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

    fn unchanged(&mut self, unchanged: &CommandUnchanged) {
        self.was_so = Some(unchanged.since.map_or(MadeSo::ByNothing, MadeSo::By));
        self.answer = match unchanged.told {
            None => Answer::Nothing,
            Some(ToldThen::Report {
                report_id,
                case,
                also_outcome,
            }) => Answer::Reported {
                report: report_id,
                case,
                new: false,
                also: also_outcome,
            },
            Some(ToldThen::Setting { audience, version }) => Answer::Setting { audience, version },
            Some(ToldThen::Claim { until }) => Answer::Claimed { until },
            Some(ToldThen::Policy { version }) => Answer::Policy { version },
        };
    }

    /// What had made the command so already, where it was. The position of that is what [`Self::outcome`] is asked with.
    pub(crate) fn was_so(&self) -> Option<MadeSo> {
        self.was_so
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
                kind: if self.was_so.is_some() {
                    Kind::Unchanged
                } else {
                    Kind::Done
                },
                repeated,
                answer: self.answer,
            }),
        }
    }
}

/// What an answer to a command that was so already holds, for the event that keeps it.
pub(crate) fn told_then(answer: &Answer) -> Option<ToldThen> {
    match *answer {
        Answer::Reported {
            report, case, also, ..
        } => Some(ToldThen::Report {
            report_id: report,
            case,
            also_outcome: also,
        }),
        Answer::Setting { audience, version } => Some(ToldThen::Setting { audience, version }),
        Answer::Claimed { until } => Some(ToldThen::Claim { until }),
        Answer::Policy { version } => Some(ToldThen::Policy { version }),
        // A message and a decision always write.
        Answer::Nothing
        | Answer::Sent { .. }
        | Answer::Decided { .. }
        | Answer::DecidedMany { .. } => None,
    }
}

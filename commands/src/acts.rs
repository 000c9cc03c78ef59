//! How the reactor `cases` carries out what is decided on many cases at once.
//!
//! Promise: each case of the act is decided once, on its own stream, or passed over because it had moved on; what the act
//! does to its member is done once, where any case was decided; at the end one event of the act's stream says what came of
//! it. A kill anywhere on the way leaves each target with what it has: gone through again, the cases decided before are so
//! already, and an act that was gone through whole is left alone. Its reversal goes the same way. Where its decisions are
//! reversed one by one, what it did to the member goes with the last.

use domain::act::{self, ActCarriedOut, CasesDecided, CasesReversed, MovedOn, PassedCase, Step};
use domain::case::{self, Action, DecideByAct, DecisionReversed, Ruling};
use domain::ids::{ActId, CaseId, DecisionId};
use domain::member::{self, RestrictMember, Restriction};
use domain::rejection::Code;
use domain::time::Timestamp;
use domain::{Event, codec};
use event_store::{Direction, Position, RecordedEvent, StreamFrom};

use crate::aggregate::stream_name;
use crate::carried::{Effect, Follows};
use crate::job::Hand;
use crate::reactors::{Cases, Trouble, unreadable};
use crate::task::Task;
use crate::{CommandError, Kind, Outcome, index};

/// Events of an act's stream read at once: what is asked for and what came of it, twice; nothing else
/// stands there.
const PAGE_EVENTS: usize = 64;

impl Cases {
    /// Decides the cases of an act, and does to its member what it does.
    pub(crate) async fn decide_cases(
        &self,
        hand: Hand,
        record: &RecordedEvent,
        decided: &CasesDecided<'_>,
    ) -> Result<Position, Trouble> {
        if let Some((done, _)) = self.told(decided.act, Step::Decision).await? {
            return Ok(done);
        }
        // What came of it is told last.
        if hand == Hand::Looks {
            return Err(Trouble::Undone);
        }
        let mut position = record.position();
        let mut done = 0;
        let mut passed_over = Vec::new();
        for seen in &decided.cases {
            let command = DecideByAct {
                act: decided.act,
                decision: decided.decision_on(seen.case),
                by: decided.by.clone(),
                member: decided.member.clone(),
                revision: seen.revision,
                ruling: ruling(decided),
                at: Timestamp(record.at_ms()),
            };
            let task = Task::Case(case::Command::DecideByAct(command));
            match self
                .effect(hand, record, case::stream(seen.case), task)
                .await
            {
                Ok(reached) => {
                    done += 1;
                    position = position.max(reached);
                }
                Err(trouble) => passed_over.push(PassedCase {
                    case: seen.case,
                    why: passed(trouble)?,
                }),
            }
        }
        // Another node that thinks that it leads may have decided one that had moved on when it was looked at here.
        if self.shared.leading.is_shared() {
            let mut still = Vec::with_capacity(passed_over.len());
            for passed in passed_over {
                if self.decided_because(record, passed.case).await? {
                    done += 1;
                } else {
                    still.push(passed);
                }
            }
            passed_over = still;
        }
        if done > 0
            && let Some(restrict) = restriction_of(decided)
        {
            let stream = member::stream(&decided.member);
            let task = Task::Member(member::Command::RestrictMember(restrict));
            position = position.max(self.effect(hand, record, stream, task).await?);
        }
        let told = ActCarriedOut {
            act: decided.act,
            member: decided.member.clone(),
            step: Step::Decision,
            done,
            passed_over,
        };
        Ok(position.max(self.tell(hand, record, told).await?))
    }

    /// Whether a case was decided because of this event of an act.
    async fn decided_because(&self, act: &RecordedEvent, case: CaseId) -> Result<bool, Trouble> {
        let decision = Follows::on(act, case::stream(case));
        let effect = decision.effect(&self.shared, act.position()).await;
        Ok(matches!(effect.map_err(Trouble::Passing)?, Effect::At(_)))
    }

    /// Reverses the decisions of an act, and takes back what it did to its member.
    pub(crate) async fn reverse_cases(
        &self,
        hand: Hand,
        record: &RecordedEvent,
        reversed: &CasesReversed<'_>,
    ) -> Result<Position, Trouble> {
        let (act, by) = (reversed.act, &reversed.by);
        if let Some((done, _)) = self.told(act, Step::Reversal).await? {
            return Ok(done);
        }
        // What came of it is told last.
        if hand == Hand::Looks {
            return Err(Trouble::Undone);
        }
        let mut position = record.position();
        let mut done = 0;
        let mut passed_over = Vec::new();
        for case in self.decided_by(act).await? {
            let command = case::Command::ReverseDecision {
                by: by.clone(),
                decision: DecisionId::by_act(act, case),
                reason: reversed.reason.clone(),
                text: reversed.text.as_str().to_owned(),
                at: Timestamp(record.at_ms()),
            };
            let (stream, task) = (case::stream(case), Task::Case(command));
            let why = match self.outcome(hand, record, stream, task).await {
                Ok((outcome, reached)) => {
                    position = position.max(reached);
                    let own = self.is_of(record, &outcome).await?;
                    (!own).then_some(MovedOn::Reversed)
                }
                Err(trouble) => Some(passed(trouble)?),
            };
            match why {
                Some(why) => passed_over.push(PassedCase { case, why }),
                None => done += 1,
            }
        }
        // As long as a decision of the act stands, so does what the act did; it is lifted with the last.
        let stands = passed_over.iter().any(|it| it.why != MovedOn::Reversed);
        if !stands {
            let lift = member::Command::LiftRestriction {
                member: reversed.member.clone(),
                decision: DecisionId::of_act(act),
                by: by.clone(),
                at: Timestamp(record.at_ms()),
            };
            let stream = member::stream(&reversed.member);
            let lifted = self
                .effect(hand, record, stream, Task::Member(lift))
                .await?;
            position = position.max(lifted);
        }
        let told = ActCarriedOut {
            act,
            member: reversed.member.clone(),
            step: Step::Reversal,
            done,
            passed_over,
        };
        let told = self.tell(hand, record, told).await?;
        Ok(position.max(told))
    }

    /// Whether what an act did to its member stays, though this decision of it is reversed: another one stood then. So it
    /// goes with the reversal that was the last, however late each is handled, and is found where that one's effect is.
    pub(crate) async fn act_stands(
        &self,
        reversed: &DecisionReversed<'_>,
        at: Position,
    ) -> Result<bool, Trouble> {
        let Some(act) = reversed.act else {
            return Ok(false);
        };
        // Before all of the act is done nobody can say what goes with it: this waits for that.
        let Some((_, told)) = self.told(act, Step::Decision).await? else {
            return Err(Trouble::Passing(CommandError::Busy));
        };
        let decided = told.done;
        let reversed = index::reversed_of(&self.reader()?, act, at);
        Ok(reversed.map_err(|error| unreadable(&error))? < decided)
    }

    /// Says on the act's stream what came of it, and waits until that is durable: it is read there.
    async fn tell(
        &self,
        hand: Hand,
        record: &RecordedEvent,
        told: ActCarriedOut,
    ) -> Result<Position, Trouble> {
        let stream = act::stream_of_act(told.act);
        let task = Task::Act(act::Command::CarryOut(told));
        let position = self.effect(hand, record, stream, task).await?;
        let durable = self.shared.store.wait_durable(position).await;
        durable.map_err(|error| Trouble::Passing(error.into()))?;
        Ok(position)
    }

    /// The cases that an act decided.
    async fn decided_by(&self, act: ActId) -> Result<Vec<CaseId>, Trouble> {
        let told = self.told(act, Step::Decision).await?;
        let passed_over = told.map_or_else(Vec::new, |(_, told)| told.passed_over);
        let mut cases = Vec::new();
        for (_, event) in self.events_of(act).await? {
            if let act::Event::CasesDecided(decided) = event {
                cases.extend(decided.cases.iter().map(|seen| seen.case));
            }
        }
        cases.retain(|case| passed_over.iter().all(|passed| passed.case != *case));
        Ok(cases)
    }

    /// What an act's stream says came of a step of it, and where.
    async fn told(
        &self,
        act: ActId,
        step: Step,
    ) -> Result<Option<(Position, ActCarriedOut)>, Trouble> {
        let events = self.events_of(act).await?.into_iter();
        let mut told = events.filter_map(|(position, event)| match event {
            act::Event::ActCarriedOut(told) if told.step == step => Some((position, told)),
            act::Event::ActCarriedOut(_)
            | act::Event::CasesDecided(_)
            | act::Event::CasesReversed(_)
            | act::Event::ContentDisclosed(_)
            | act::Event::EventSkipped(_) => None,
        });
        Ok(told.next())
    }

    /// The events of an act's stream, as far as they are durable.
    async fn events_of(&self, act: ActId) -> Result<Vec<(Position, act::Event<'static>)>, Trouble> {
        let stream = stream_name(act::stream_of_act(act));
        let read = self.shared.store.read_stream(
            &stream,
            StreamFrom::Start,
            Direction::Forward,
            PAGE_EVENTS,
        );
        let records = read
            .await
            .map_err(|error| Trouble::Passing(CommandError::from(error)))?;
        let mut events = Vec::with_capacity(records.len());
        for record in &records {
            let decoded = codec::decode(record.event_type(), record.data())
                .map_err(|error| Trouble::Lasting(error.to_string()))?;
            if let Event::Act(event) = decoded {
                events.push((record.position(), event.into_owned()));
            }
        }
        Ok(events)
    }

    /// Whether what came of a cause was done because of it, now or before a crash, and not by somebody else.
    async fn is_of(&self, cause: &RecordedEvent, outcome: &Outcome) -> Result<bool, Trouble> {
        if outcome.kind == Kind::Done {
            return Ok(true);
        }
        let passing = |error: CommandError| Trouble::Passing(error);
        let durable = self.shared.store.wait_durable(outcome.position).await;
        durable.map_err(|error| passing(error.into()))?;
        let event = self.shared.event_at(outcome.position).await;
        let event = event.map_err(passing)?;
        Ok(event.is_some_and(|event| event.causation_id() == cause.event_id()))
    }
}

/// Why a case was passed over, where it was.
fn passed(trouble: Trouble) -> Result<MovedOn, Trouble> {
    match trouble {
        Trouble::NotFound => Ok(MovedOn::NotFound),
        Trouble::Refused(refusal) => match refusal.rejection.moved_on() {
            Some(why) => Ok(why),
            None if refusal.code() == Code::OwnCase => Ok(MovedOn::OwnCase),
            None if refusal.code() == Code::SameModerator => Ok(MovedOn::Appealed),
            None => Err(Trouble::Refused(refusal)),
        },
        trouble @ (Trouble::Passing(_) | Trouble::Lasting(_) | Trouble::Undone) => Err(trouble),
    }
}

fn ruling(decided: &CasesDecided<'_>) -> Ruling {
    Ruling {
        action: decided.action,
        until: decided.until,
        messages: Vec::new(),
        reason: decided.reason.clone(),
        text: decided.text.as_str().to_owned(),
        facts: decided.facts.as_str().to_owned(),
    }
}

/// What an act does to its member, once for all of its cases.
fn restriction_of(decided: &CasesDecided<'_>) -> Option<RestrictMember> {
    let restriction = match decided.action {
        Action::Nothing | Action::Warn | Action::RemoveMessages => return None,
        Action::Limit => Restriction::Limit,
        Action::Suspend => Restriction::Suspension,
    };
    Some(RestrictMember {
        member: decided.member.clone(),
        decision: DecisionId::of_act(decided.act),
        by: decided.by.clone(),
        restriction,
        until: decided.until,
        reason: decided.reason.clone(),
        text: decided.text.as_str().to_owned(),
    })
}

//! One decision on many cases of one member, and its reversal: what was asked for, and what came of it.
//!
//! Protects: an act names the cases that its moderator saw and as what they saw them, once and for good; it is carried out
//! once, and says at its end which cases had moved on. Stream `act-{uuid}`, the uuid being [`ActId::of`] its moderator and
//! command. The reactor decides each case on the case's own stream, and what is done to the member once for the act, where
//! it decided any case at all. State is bounded: of at most [`CASES_MAX`] cases their ids.
//!
//! Decided here, where the domain's page is silent: an act removes no messages, because those are named one by one by whom
//! they were shown to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Event;
use crate::case::{Action, RULING_LIMITS, Ruling, check_ruling};
use crate::ids::{ActId, CaseId, DecisionId, MemberId, ReasonCode};
use crate::rejection::{Code, Rejection};
use crate::text::{self, Text};
use crate::time::Timestamp;

/// Most cases of one act: its event and its answer stay within their bounds, and a moderator has seen them all.
pub const CASES_MAX: u32 = 200;

/// The stream of an act on many cases.
pub fn stream_of_act(act: ActId) -> String {
    format!("act-{act}")
}

/// A case as its moderator saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenCase {
    /// The case.
    pub case: CaseId,
    /// How often what is to be decided had changed when it was seen: a case of another revision has moved on.
    pub revision: u64,
}

/// `cases-decided.v1`: a moderator decided many cases of one member as one act. Each case has its own `case-decided`, unless
/// it had moved on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CasesDecided<'a> {
    /// The act.
    pub act: ActId,
    /// Which moderator.
    pub by: MemberId,
    /// Whose cases.
    pub member: MemberId,
    /// Which, and as what they were seen.
    #[schemars(length(min = 1, max = CASES_MAX))]
    pub cases: Vec<SeenCase>,
    /// What it does; never the removal of messages.
    pub action: Action,
    /// Until when; absent where it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told; may be empty where nothing is done.
    #[serde(borrow)]
    pub text: Text<'a>,
    /// The facts relied on; may be empty where nothing is done.
    #[serde(borrow)]
    pub facts: Text<'a>,
}

/// `cases-reversed.v1`: a moderator took an act back, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CasesReversed<'a> {
    /// The act.
    pub act: ActId,
    /// Which moderator.
    pub by: MemberId,
    /// Whose cases.
    pub member: MemberId,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told; may be empty where nothing had been done.
    #[serde(borrow)]
    pub text: Text<'a>,
}

/// What of an act was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Its decision.
    Decision,
    /// Its reversal.
    Reversal,
}

/// Why an act passed a case over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MovedOn {
    /// There is no such case of this member.
    NotFound,
    /// The moderator is one of the two members of its conversation.
    OwnCase,
    /// Another moderator holds it.
    Claimed,
    /// It was decided meanwhile.
    Decided,
    /// It was left to another moderator, by this one or since it was seen.
    Escalated,
    /// Something was reported since it was seen.
    Reported,
    /// It was decided and opened again since it was seen.
    Reopened,
    /// Its decision was reversed already.
    Reversed,
    /// The decision is this moderator's own, and its appeal another's to answer.
    Appealed,
}

impl MovedOn {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MovedOn::NotFound => "not_found",
            MovedOn::OwnCase => "own_case",
            MovedOn::Claimed => "claimed",
            MovedOn::Decided => "decided",
            MovedOn::Escalated => "escalated",
            MovedOn::Reported => "reported",
            MovedOn::Reopened => "reopened",
            MovedOn::Reversed => "reversed",
            MovedOn::Appealed => "appealed",
        }
    }
}

/// A case that an act passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PassedCase {
    /// The case.
    pub case: CaseId,
    /// Why.
    pub why: MovedOn,
}

/// `act-carried-out.v1`: all cases of an act were gone through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActCarriedOut {
    /// The act.
    pub act: ActId,
    /// Whose cases.
    pub member: MemberId,
    /// What of it.
    pub step: Step,
    /// On how many cases.
    pub done: u32,
    /// Those that had moved on, in the order in which the act names them; absent where none had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = CASES_MAX))]
    pub passed_over: Vec<PassedCase>,
}

/// An act that was decided, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bulk {
    pub(super) member: MemberId,
    pub(super) action: Action,
    pub(super) decided: Place,
    pub(super) reversed: Option<Place>,
}

/// Where a step of an act stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The version of the event that asked for it.
    pub(super) version: u64,
    /// The version of the event that says that it is done.
    pub(super) carried_out: Option<u64>,
}

impl Place {
    pub(super) fn asked(version: u64) -> Self {
        Self {
            version,
            carried_out: None,
        }
    }
}

impl Bulk {
    pub(super) fn place(&self, step: Step) -> Option<Place> {
        match step {
            Step::Decision => Some(self.decided),
            Step::Reversal => self.reversed,
        }
    }

    pub(super) fn carry_out(&mut self, step: Step, version: u64) {
        let place = match step {
            Step::Decision => Some(&mut self.decided),
            Step::Reversal => self.reversed.as_mut(),
        };
        if let Some(place) = place {
            place.carried_out.get_or_insert(version);
        }
    }
}

/// A moderator's decision on many cases of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecideCases {
    /// The act.
    pub act: ActId,
    /// Who decides.
    pub by: MemberId,
    /// Whose cases.
    pub member: MemberId,
    /// Which, and as what they were seen.
    pub cases: Vec<SeenCase>,
    /// What is decided.
    pub ruling: Ruling,
    /// The command's time.
    pub at: Timestamp,
}

/// The reversal of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReverseCases {
    /// Who reverses.
    pub by: MemberId,
    /// Which act.
    pub act: ActId,
    /// Why, as a code.
    pub reason: ReasonCode,
    /// What the member is told.
    pub text: String,
}

pub(super) fn decide(
    bulk: Option<&Bulk>,
    command: &DecideCases,
) -> Result<Vec<Event<'static>>, Rejection> {
    if bulk.is_some() {
        return Ok(Vec::new());
    }
    let DecideCases {
        act,
        by,
        member,
        cases,
        ruling,
        at,
    } = command;
    let invalid = |field| Rejection::of_command(Code::InvalidDecision).with_field(field);
    let count = u64::try_from(cases.len()).unwrap_or(u64::MAX);
    let mut ids: Vec<CaseId> = cases.iter().map(|seen| seen.case).collect();
    ids.sort_unstable();
    ids.dedup();
    if !(1..=u64::from(CASES_MAX)).contains(&count) || ids.len() != cases.len() {
        return Err(invalid("cases").with_range(1, u64::from(CASES_MAX)));
    }
    if ruling.action == Action::RemoveMessages {
        return Err(invalid("action"));
    }
    check_ruling(ruling, *at)?;
    Ok(vec![Event::CasesDecided(CasesDecided {
        act: *act,
        by: by.clone(),
        member: member.clone(),
        cases: cases.clone(),
        action: ruling.action,
        until: ruling.until,
        reason: ruling.reason.clone(),
        text: Text::from(ruling.text.clone()),
        facts: Text::from(ruling.facts.clone()),
    })])
}

pub(super) fn reverse(
    bulk: Option<&Bulk>,
    command: &ReverseCases,
) -> Result<Vec<Event<'static>>, Rejection> {
    // Who it is about does not learn here that it was made.
    let bulk = bulk.filter(|bulk| bulk.member != command.by);
    let bulk = bulk.ok_or_else(Rejection::not_found)?;
    let checked = if bulk.action.upholds() {
        text::check_nonempty(&command.text, RULING_LIMITS)
    } else {
        text::check(&command.text, RULING_LIMITS)
    };
    checked.map_err(|problem| {
        Rejection::of_command(Code::InvalidDecision)
            .with_field("text")
            .with_problem(problem)
    })?;
    if bulk.reversed.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CasesReversed(CasesReversed {
        act: command.act,
        by: command.by.clone(),
        member: bulk.member.clone(),
        reason: command.reason.clone(),
        text: Text::from(command.text.clone()),
    })])
}

pub(super) fn carried_out(bulk: Option<&Bulk>, told: &ActCarriedOut) -> Vec<Event<'static>> {
    let place = bulk.and_then(|bulk| bulk.place(told.step));
    match place {
        Some(place) if place.carried_out.is_none() => vec![Event::ActCarriedOut(told.clone())],
        Some(_) | None => Vec::new(),
    }
}

impl CasesDecided<'_> {
    /// The decision that the act makes on one of its cases.
    pub fn decision_on(&self, case: CaseId) -> DecisionId {
        DecisionId::by_act(self.act, case)
    }
}

#[cfg(test)]
mod spec {
    use super::*;
    use crate::act::{Command, State, already, decide, evolve};
    use crate::event::Recorded;
    use crate::ids::CommandId;

    fn id(name: &str) -> MemberId {
        MemberId::new(name).unwrap()
    }

    fn act() -> ActId {
        ActId::of(&id("mia"), &CommandId::new("c1").unwrap())
    }

    fn seen(number: u32) -> SeenCase {
        SeenCase {
            case: CaseId(uuid::Uuid::from_u128(u128::from(number))),
            revision: 1,
        }
    }

    fn cases(count: u32) -> DecideCases {
        DecideCases {
            act: act(),
            by: id("mia"),
            member: id("bob"),
            cases: (0..count).map(seen).collect(),
            ruling: Ruling {
                action: Action::Suspend,
                until: Some(Timestamp(10)),
                messages: Vec::new(),
                reason: ReasonCode::new("spam").unwrap(),
                text: "You sent the same offer to many.".to_owned(),
                facts: "Seven members reported it.".to_owned(),
            },
            at: Timestamp(0),
        }
    }

    fn reversal(text: &str) -> Command {
        Command::ReverseCases(ReverseCases {
            by: id("max"),
            act: act(),
            reason: ReasonCode::new("mistaken").unwrap(),
            text: text.to_owned(),
        })
    }

    fn done(step: Step) -> Command {
        Command::CarryOut(ActCarriedOut {
            act: act(),
            member: id("bob"),
            step,
            done: 1,
            passed_over: vec![PassedCase {
                case: seen(1).case,
                why: MovedOn::Claimed,
            }],
        })
    }

    #[derive(Default)]
    struct Given {
        state: State,
        version: u64,
    }

    impl Given {
        fn with(mut self, command: &Command) -> Self {
            let events = decide(&self.state, command).unwrap();
            assert_eq!(events.len(), 1, "{command:?}");
            for event in events {
                assert_eq!(event.members(), [Some(&id("bob")), None]);
                assert!(!event.leaves_nothing());
                let (version, at) = (self.version, Timestamp(0));
                evolve(&mut self.state, Recorded { version, at }, &event);
                self.version += 1;
            }
            self
        }

        #[track_caller]
        fn quiet(&self, command: &Command, since: Option<u64>) {
            assert_eq!(decide(&self.state, command), Ok(Vec::new()));
            assert_eq!(already(&self.state, command), since);
        }
    }

    #[track_caller]
    fn refuses(command: DecideCases, field: &str) {
        let refused = decide(&State::default(), &Command::DecideCases(command)).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidDecision);
        assert_eq!(refused.field(), Some(field));
        assert!(!refused.recorded());
    }

    #[test]
    fn decides_and_reverses_once_and_each_is_carried_out_once() {
        let decided = Command::DecideCases(cases(2));
        let given = Given::default().with(&decided);
        given.quiet(&decided, Some(0));
        given.quiet(&done(Step::Reversal), None);
        let given = given.with(&done(Step::Decision));
        given.quiet(&done(Step::Decision), Some(1));
        let given = given.with(&reversal("We were wrong."));
        given.quiet(&reversal("Again."), Some(2));
        let given = given.with(&done(Step::Reversal));
        given.quiet(&done(Step::Reversal), Some(3));
    }

    #[test]
    fn names_each_case_once_and_as_many_as_its_bound() {
        refuses(cases(0), "cases");
        refuses(cases(CASES_MAX + 1), "cases");
        let twice = DecideCases {
            cases: vec![seen(1), seen(1)],
            ..cases(0)
        };
        refuses(twice, "cases");
        Given::default().with(&Command::DecideCases(cases(CASES_MAX)));
    }

    #[test]
    fn has_what_every_ruling_has_and_removes_no_messages() {
        let ruling = |change: fn(&mut Ruling)| {
            let mut command = cases(1);
            change(&mut command.ruling);
            command
        };
        refuses(ruling(|it| it.until = Some(Timestamp(0))), "until");
        refuses(ruling(|it| it.text.clear()), "text");
        refuses(ruling(|it| it.facts.clear()), "facts");
        refuses(ruling(|it| it.messages = vec![1]), "messages");
        let removing = ruling(|it| {
            it.action = Action::RemoveMessages;
            it.until = None;
            it.messages = vec![1];
        });
        refuses(removing, "action");
    }

    #[test]
    fn reverses_what_was_decided_and_says_so_within_the_limits() {
        let nothing = decide(&State::default(), &reversal("x"));
        assert_eq!(nothing.unwrap_err().code(), Code::NotFound);
        let given = Given::default().with(&Command::DecideCases(cases(1)));
        for text in ["", " ", &"x".repeat(2_001)] {
            let refused = decide(&given.state, &reversal(text)).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidDecision);
            assert_eq!(refused.field(), Some("text"));
        }
        let by_themself = Command::ReverseCases(ReverseCases {
            by: id("bob"),
            act: act(),
            reason: ReasonCode::new("mistaken").unwrap(),
            text: "Let me go.".to_owned(),
        });
        let refused = decide(&given.state, &by_themself).unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        let mut harmless = cases(1);
        harmless.ruling.action = Action::Nothing;
        harmless.ruling.until = None;
        let given = Given::default().with(&Command::DecideCases(harmless));
        given.with(&reversal(""));
        Given::default().quiet(&done(Step::Decision), None);
    }

    #[test]
    fn a_case_of_an_act_has_a_decision_of_its_own() {
        let (one, other) = (seen(1).case, seen(2).case);
        let of = |case| DecisionId::by_act(act(), case);
        assert_ne!(of(one), of(other));
        assert_ne!(of(one), DecisionId::of_act(act()));
    }
}

//! Given events, then rows: what is over leaves none, and what is asked for is one row's worth.

use std::collections::HashMap;
use std::sync::Arc;

use domain::case::{Action, CaseDecided, Category, DecisionReversed, ReportJoined};
use domain::conversation::{Also, ConversationMuted};
use domain::ids::ReasonCode;
use domain::member::{
    MemberReinstated, MemberRestricted, MemberSuspended, Restriction, RestrictionEnded,
    RestrictionLifted,
};
use event_store::{Members, NewEvent};

use super::*;

/// A log in the making, and its rows.
#[derive(Default)]
struct Given {
    events: Vec<RecordedEvent>,
    versions: HashMap<String, u64>,
}

impl Given {
    /// With an event more.
    fn with(&mut self, stream: &str, event: &Event<'_>) -> Position {
        let version = self.versions.entry(stream.to_owned()).or_default();
        let position = Position(self.events.len() as u64 + 1);
        let (event_type, data) = codec::encode_at(event, codec::LEVEL).unwrap();
        let new = NewEvent {
            event_id: Uuid::from_u128(u128::from(position.0)),
            event_type: event_type.into(),
            at_ms: 0,
            command_id: "c".into(),
            correlation_id: Uuid::from_u128(u128::from(position.0)),
            causation_id: Uuid::nil(),
            actor: "ann".into(),
            members: Members::two("ann", "bob"),
            last_number: None,
            data: data.into(),
        };
        let name = StreamName::new(stream).unwrap();
        self.events
            .push(RecordedEvent::record(position, 0, &name, *version, &new));
        *version += 1;
        position
    }

    fn rows(&self) -> Reader {
        let view: Arc<dyn View<WriteSideCodec>> = Arc::new(WriteSide {
            filter: Arc::default(),
            timers: Arc::default(),
            causes: watch::Sender::default(),
        });
        tables::testing::fold_twice(&WriteSideCodec, &view, &self.events).unwrap()
    }

    fn member(&mut self, event: member::Event<'static>) {
        let _ = self.with("member-bob", &Event::Member(event));
    }
}

fn id(name: &str) -> MemberId {
    MemberId::new(name).unwrap()
}

fn reason() -> ReasonCode {
    ReasonCode::new("spam").unwrap()
}

fn decision(number: u128) -> DecisionId {
    DecisionId(Uuid::from_u128(number))
}

fn case(number: u128) -> String {
    case::stream(CaseId(Uuid::from_u128(number)))
}

fn decided(number: u128, action: Action) -> Event<'static> {
    Event::Case(case::Event::CaseDecided(CaseDecided {
        decision: decision(number),
        by: id("mia"),
        reported: id("bob"),
        reporter: id("ann"),
        action,
        until: None,
        messages: Vec::new(),
        reason: reason(),
        text: String::new().into(),
        facts: String::new().into(),
        appealable_until: None,
        act: None,
    }))
}

fn reversed(number: u128, act: Option<ActId>) -> Event<'static> {
    Event::Case(case::Event::DecisionReversed(DecisionReversed {
        decision: decision(number),
        by: id("max"),
        reported: id("bob"),
        reporter: id("ann"),
        action: Action::Warn,
        messages: Vec::new(),
        reason: reason(),
        text: String::new().into(),
        appealed: false,
        reopened: true,
        act,
    }))
}

#[test]
fn a_reversed_decision_leaves_no_row_to_pass_over_and_the_count_of_any_moment_stays() {
    let mut given = Given::default();
    let mut counts = Vec::new();
    // Each case twice, the second decision beside the first; then all is taken back.
    for number in 0..200 {
        let of = case(number / 2);
        counts.push((given.with(&of, &decided(number, Action::Warn)), number / 2));
        let _ = given.with(&of, &decided(1_000 + number, Action::Nothing));
    }
    for number in (0..200).rev() {
        let of = case(number / 2);
        counts.push((given.with(&of, &reversed(number, None)), number / 2 + 1));
    }
    let end = given.with(&case(9_999), &decided(9_999, Action::Nothing));
    let rows = given.rows();
    assert_eq!(rows.count(upheld::UPHELD).unwrap(), 0);
    let at = |position, max| upheld::upheld(&rows, &id("bob"), position, max).unwrap();
    for (position, before) in counts {
        let before = u32::try_from(before).unwrap();
        let decides = position.0 <= 400;
        let second = decides && (position.0 - 1) / 2 % 2 == 1;
        let stood = before + u32::from(second);
        assert_eq!(at(position, 255), stood, "before {position}");
        assert_eq!(at(position, 7), stood.min(7));
    }
    assert_eq!(at(end, 255), 0);
    let nobody = upheld::upheld(&rows, &id("bobby"), end, 255);
    assert_eq!(nobody.unwrap(), 0);
}

#[test]
fn of_an_act_the_reversals_up_to_a_position_count() {
    let (mut given, act) = (Given::default(), ActId(Uuid::from_u128(7)));
    let first = given.with(&case(1), &reversed(1, Some(act)));
    let _ = given.with(&case(2), &reversed(2, None));
    let second = given.with(&case(3), &reversed(3, Some(act)));
    let rows = given.rows();
    let of = |through| reversed_of(&rows, act, through).unwrap();
    assert_eq!((of(first), of(second)), (1, 2));
}

#[test]
fn a_suspension_that_is_over_leaves_no_due_time_behind() {
    let by_hand = || {
        member::Event::MemberSuspended(MemberSuspended {
            member: id("bob"),
            decision: None,
            by: id("mia"),
            until: Some(Timestamp(10)),
            reason: reason(),
            text: String::new().into(),
            facts: String::new().into(),
            appealable_until: None,
        })
    };
    let by_decision = |number, restriction, until| {
        member::Event::MemberRestricted(MemberRestricted {
            member: id("bob"),
            decision: decision(number),
            by: id("mia"),
            restriction,
            until: Some(Timestamp(until)),
            reason: reason(),
            text: String::new().into(),
        })
    };
    let ended = |suspended| {
        member::Event::RestrictionEnded(RestrictionEnded {
            member: id("bob"),
            decision: decision(1),
            restriction: Restriction::Suspension,
            until: Timestamp(20),
            suspended,
        })
    };
    let lifted = |suspended| {
        member::Event::RestrictionLifted(RestrictionLifted {
            member: id("bob"),
            decision: decision(1),
            by: id("max"),
            restriction: Restriction::Suspension,
            suspended,
        })
    };
    let reinstated = member::Event::MemberReinstated(MemberReinstated {
        member: id("bob"),
        by: id("max"),
    });
    let limit = Ending::LimitBy(id("bob"), decision(2));
    let hand = Ending::Suspension(id("bob"));
    for (last, left) in [
        (ended(false), vec![limit.clone()]),
        (ended(true), vec![hand.clone(), limit.clone()]),
        (lifted(false), vec![limit.clone()]),
        (lifted(true), vec![hand, limit.clone()]),
        (reinstated, vec![limit]),
    ] {
        let mut given = Given::default();
        given.member(by_hand());
        given.member(by_decision(1, Restriction::Suspension, 20));
        given.member(by_decision(2, Restriction::Limit, 30));
        given.member(last.clone());
        let found = timers(&given.rows()).unwrap();
        let found: Vec<_> = found.into_iter().map(|(of, _)| of).collect();
        assert_eq!(found, left, "{last:?}");
    }
}

#[test]
fn a_case_is_behind_its_reports_until_the_newest_has_joined_it() {
    let conversation = domain::ids::ConversationId::of(&id("ann"), &id("bob"));
    let stream = conversation::stream(conversation);
    let case = CaseId::of(conversation, &id("bob"));
    let reported = || {
        let report = conversation::MessagesReported {
            report_id: ReportId(Uuid::nil()),
            reporter: id("ann"),
            reported: id("bob"),
            category: Category::Spam,
            comment: String::new().into(),
            messages: Vec::new(),
            over_limit: false,
            also: Also::None,
            also_outcome: None,
            policy_version: 1,
        };
        Event::Conversation(conversation::Event::MessagesReported(report))
    };
    let joined = |conversation_version| {
        Event::Case(case::Event::ReportJoined(ReportJoined {
            report_id: ReportId(Uuid::nil()),
            conversation_version,
            reporter: id("ann"),
            reported: id("bob"),
            category: Category::Spam,
            severity: 1,
            messages: 1,
            over_limit: false,
            reporters: 1,
            upheld: 0,
        }))
    };
    let muted = conversation::Event::ConversationMuted(ConversationMuted {
        by: id("ann"),
        other: id("bob"),
    });
    let mut given = Given::default();
    let behind = |given: &Given| {
        let behind = joining::behind(&given.rows(), case).unwrap();
        behind.map(|stream| stream.as_str().to_owned())
    };
    assert_eq!(behind(&given), None);
    let _ = given.with(&stream, &reported());
    let _ = given.with(&stream, &Event::Conversation(muted));
    let _ = given.with(&stream, &reported());
    assert_eq!(behind(&given), Some(stream.clone()));
    let _ = given.with(&case::stream(case), &joined(0));
    assert_eq!(behind(&given), Some(stream));
    let _ = given.with(&case::stream(case), &joined(2));
    assert_eq!(behind(&given), None);
    let other = CaseId::of(conversation, &id("ann"));
    assert_eq!(joining::behind(&given.rows(), other).unwrap(), None);
}

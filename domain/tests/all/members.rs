//! Properties of a member's stream over random histories, against lists of everything that happened.
//!
//! The limits are small, so that histories reach them; what is so is worked out anew from all events at every step.

use std::sync::Arc;

use domain::event::Recorded;
use domain::ids::ReasonCode;
use domain::member::{self, AgeBand, Command, Event};
use domain::policy::{Audience, InForce, Rules};
use domain::time::{DAY_MS, HOUR_MS};
use domain::{CommandId, ConversationId, MemberId, ReportId, Timestamp, codec};
use proptest::prelude::*;

/// One step of a member's history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(i64),
    Register(AgeBand),
    Choose(Audience),
    Suspend(Option<u32>),
    Reinstate,
    Timer,
    TakeSlot(u8),
    ReturnSlot(u8),
    CountReport(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let age_band = prop_oneof![3 => Just(AgeBand::Adult), 1 => Just(AgeBand::From16To17), 1 => Just(AgeBand::Under16)];
    let audience = prop_oneof![
        Just(Audience::Everyone),
        Just(Audience::Friends),
        Just(Audience::NoOne)
    ];
    prop_oneof![
        3 => prop_oneof![Just(HOUR_MS), Just(DAY_MS - 1), Just(DAY_MS), Just(3 * DAY_MS)].prop_map(Step::Wait),
        1 => age_band.prop_map(Step::Register),
        2 => audience.prop_map(Step::Choose),
        1 => prop::option::of(1..5_u32).prop_map(Step::Suspend),
        1 => Just(Step::Reinstate),
        1 => Just(Step::Timer),
        20 => (0..60_u8).prop_map(Step::TakeSlot),
        2 => (0..60_u8).prop_map(Step::ReturnSlot),
        4 => (0..60_u8).prop_map(Step::CountReport),
    ]
}

fn ann() -> MemberId {
    MemberId::new("ann").expect("a member id")
}

fn command_id(number: u8) -> CommandId {
    CommandId::new(&format!("c{number}")).expect("a command id")
}

fn command(step: Step, at: Timestamp) -> Option<Command> {
    let member = ann();
    // Small limits, so that histories reach them.
    let rules = Rules {
        requests_per_day: 6,
        requests_per_day_new: 3,
        reports_per_day: 2,
        ..Rules::default()
    };
    let policy = InForce {
        version: 0,
        rules: Arc::new(rules),
    };
    Some(match step {
        Step::Wait(_) => return None,
        Step::Register(age_band) => Command::RegisterMember {
            member,
            age_band,
            registered_at: None,
            at,
        },
        Step::Choose(audience) => Command::ChangeDmSetting {
            member,
            audience,
            at,
        },
        Step::Suspend(days) => Command::SuspendMember(member::SuspendMember {
            member,
            command_id: CommandId::new(&format!("c{}", at.0)).expect("an id"),
            by: MemberId::new("mod").expect("a member id"),
            until: days.map(|days| at.plus_days(days)),
            reason: ReasonCode::new("spam").expect("a reason code"),
            text: "why".to_owned(),
            facts: "what".to_owned(),
            at,
        }),
        Step::Reinstate => Command::ReinstateMember {
            member,
            by: MemberId::new("mod").expect("a member id"),
            at,
        },
        Step::Timer => Command::EndSuspension { member, at },
        Step::TakeSlot(number) => Command::TakeRequestSlot {
            conversation: ConversationId::of(&member, &MemberId::new("bob").expect("a member id")),
            member,
            command_id: command_id(number),
            policy,
            at,
        },
        Step::ReturnSlot(number) => Command::ReturnRequestSlot {
            member,
            command_id: command_id(number),
        },
        Step::CountReport(number) => Command::CountReport {
            report_id: ReportId::of(&member, &command_id(number)),
            member,
            policy,
            at,
        },
    })
}

/// All that happened, and the state that came of it.
#[derive(Default)]
struct History {
    state: member::State,
    events: Vec<(Recorded, Event<'static>)>,
}

impl History {
    fn fold(&mut self, at: Timestamp, events: Vec<Event<'static>>) {
        for event in events {
            let recorded = Recorded {
                version: self.events.len() as u64,
                at,
            };
            member::evolve(&mut self.state, recorded, &event);
            self.events.push((recorded, event));
        }
    }

    /// Slots taken within 24 h and not returned, by the list of all events.
    fn slots(&self, at: Timestamp) -> usize {
        let mut held: Vec<(CommandId, Timestamp)> = Vec::new();
        for (recorded, event) in &self.events {
            if let Event::RequestSlotTaken(taken) = event {
                held.push((taken.command_id.clone(), recorded.at));
            } else if let Event::RequestSlotReturned(returned) = event {
                held.retain(|(command, _)| *command != returned.command_id);
            }
        }
        held.iter()
            .filter(|(_, taken)| at.0 - taken.0 < DAY_MS)
            .count()
    }

    /// Suspended or not, by the list of all events.
    fn suspended(&self, at: Timestamp) -> bool {
        let mut standing = Vec::new();
        for (_, event) in &self.events {
            match event {
                Event::MemberSuspended(suspended) => standing.push(suspended.until),
                Event::MemberReinstated(_) => standing.clear(),
                _ => {}
            }
        }
        let holds = |until: &Option<Timestamp>| until.is_none_or(|until| at < until);
        standing.iter().any(holds)
    }

    /// The audience in force and how often the setting was set, by the list of all events.
    fn setting(&self) -> Option<(Audience, u64)> {
        let (mut default, mut chosen, mut version) = (None, None, 0);
        for (_, event) in &self.events {
            let band = match event {
                Event::MemberRegistered(registered) => Some(registered.age_band),
                Event::AgeBandChanged(changed) => Some(changed.age_band),
                _ => None,
            };
            if let Some(band) = band {
                default = Some(if band == AgeBand::Adult {
                    Audience::FriendsAndSuggested
                } else {
                    Audience::NoOne
                });
                version += u64::from(chosen.is_none());
            }
            if let Event::DmSettingChanged(changed) = event {
                chosen = Some(changed.audience);
                version += 1;
                assert_eq!(changed.version, version);
            }
        }
        default.map(|default| (chosen.unwrap_or(default), version))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keeps_the_promises_of_a_member(steps in prop::collection::vec(step(), 1..120)) {
        let mut at = Timestamp(100 * DAY_MS);
        let registered_at = at;
        let mut history = History::default();
        for step in steps {
            if let Step::Wait(ms) = step {
                at = at.plus_ms(ms);
            }
            let Some(command) = command(step, at) else { continue };
            let before = history.slots(at);
            if let Ok(events) = member::decide(&history.state, &command) {
                let told = !events.is_empty();
                history.fold(at, events);
                // Twice gives nothing new; only a slot that was returned can be taken, or returned, once more.
                prop_assert_eq!(member::decide(&history.state, &command), Ok(vec![]), "{:?}", command);
                let gone = matches!(step, Step::ReturnSlot(_));
                let made_so = member::already(&history.state, &command);
                prop_assert!(!told || gone || made_so == Some(history.events.len() as u64 - 1));
            }
            let limit = if at.0 - registered_at.0 < 7 * DAY_MS { 3 } else { 6 };
            let after = history.slots(at);
            prop_assert!(after <= before.max(limit), "{} slots of {}", after, limit);
            prop_assert_eq!(history.state.slots_used(at, None) as usize, after);
            prop_assert_eq!(history.state.suspended(at), history.suspended(at));
            let setting = history.state.dm_setting(&Rules::default());
            prop_assert_eq!(setting.map(|setting| (setting.audience, setting.version)), history.setting());
        }
        let mut folded = member::State::default();
        for (recorded, event) in &history.events {
            let event = domain::Event::Member(event.clone());
            let data = codec::encode(&event);
            match codec::decode(codec::event_type(&event), &data).expect("decodes") {
                domain::Event::Member(event) => member::evolve(&mut folded, *recorded, &event),
                other => panic!("not of a member: {other:?}"),
            }
            // Kept and read back after any event that leaves no suspension, it folds on to the same.
            if let Some(kept) = folded.to_snapshot() {
                folded = member::State::from_snapshot(&kept).expect("a snapshot");
            }
        }
        prop_assert_eq!(folded, history.state);
    }

    /// Any commands' events in any order, with any versions and times, leave a bounded state and no panic.
    #[test]
    fn evolves_from_any_events_in_any_order(
        steps in prop::collection::vec((step(), any::<u64>(), any::<i64>()), 0..80),
    ) {
        let mut history = History::default();
        history.fold(Timestamp(0), member::decide(&history.state, &Command::RegisterMember {
            member: ann(),
            age_band: AgeBand::Adult,
            registered_at: None,
            at: Timestamp(0),
        }).expect("registers"));
        let mut shuffled = member::State::default();
        for (step, version, at) in steps {
            let Some(command) = command(step, Timestamp(at)) else { continue };
            let _ = member::decide(&shuffled, &command);
            for event in member::decide(&history.state, &command).unwrap_or_default() {
                member::evolve(&mut shuffled, Recorded { version, at: Timestamp(at) }, &event);
            }
        }
        let _ = shuffled.facts(&Rules::default(), 0, Timestamp(i64::MAX));
    }
}

//! Properties of a conversation over random histories: it decides as the naive model does, decides nothing twice, keeps
//! its invariants, folds in parts, and takes any event whatever.
//!
//! `PROPTEST_CASES` asks for more histories than the 256 of a run.

use domain::conversation::{self, RequestState};
use domain::event::Recorded;
use domain::{Event, MemberId, Timestamp, codec};
use proptest::prelude::*;

use crate::history::{Step, World, fact, id, steps};
use crate::model::{self, Act, Model, Outcome, Who};

/// Goes through a history, telling each act to `each` before and after.
fn through(steps: &[Step], mut each: impl FnMut(&mut World, Who, &Act)) -> World {
    let mut world = World::new();
    for step in steps {
        match step {
            Step::Act(who, act) => each(&mut world, *who, act),
            Step::UnsendRecent(who, back) => {
                let number = world.state.last_number().saturating_sub(*back);
                each(&mut world, *who, &Act::Unsend(number));
            }
            Step::Wait(ms) => world.wait(*ms),
            Step::Person(who, change) => world.change(*who, *change),
        }
    }
    world
}

/// Goes through a history.
fn played(steps: &[Step]) -> World {
    through(steps, |world, who, act| {
        let _ = world.act(who, act);
    })
}

fn state_word(state: RequestState) -> model::RequestState {
    match state {
        RequestState::None => model::RequestState::None,
        RequestState::Pending => model::RequestState::Pending,
        RequestState::Accepted => model::RequestState::Accepted,
        RequestState::Deleted => model::RequestState::Deleted,
        RequestState::Withdrawn => model::RequestState::Withdrawn,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Every act has the outcome that the page gives it, worked out from the whole history by a model of its own.
    #[test]
    fn decides_as_the_naive_model_does(steps in steps(80)) {
        let mut model = Model::default();
        through(&steps, |world, who, act| {
            let expected = model.expect(who, act, world.at, world.person(who), world.person(who.other()));
            let decided = match world.act(who, act) {
                Ok(events) => Outcome::Done(events.iter().map(fact).collect()),
                Err(rejection) => Outcome::Refused(rejection.code().as_str()),
            };
            assert_eq!(decided, expected, "{who:?} {act:?}");
            if let Outcome::Done(facts) = &expected {
                model.happen(world.at, facts);
            }
            for from in [Who::Ann, Who::Bob] {
                assert_eq!(state_word(world.state.request_state(&id(from))), model.state(from));
                assert_eq!(world.state.exists_for(&id(from), world.at), model.sees_something(from, world.at));
                assert_eq!(world.state.blocks(&id(from)), model.blocks(from));
            }
            assert_eq!(world.state.last_number(), model.messages.len() as u64);
        });
    }

    /// A message that comes with a relationship is decided as if what differs had been recorded just before it.
    #[test]
    fn decides_a_given_relationship_as_the_naive_model_does(
        steps in steps(40),
        given in prop::collection::vec(prop::array::uniform3(prop::option::of(any::<bool>())), 1..8),
    ) {
        let (mut model, mut given) = (Model::default(), given.iter().cycle());
        through(&steps, |world, who, act| {
            let mut first = Vec::new();
            if matches!(act, Act::Send { .. }) {
                let [recipient_follows, sender_follows, suggested] = *given.next().expect("endless");
                world.given = conversation::GivenRelationship { recipient_follows, sender_follows, suggested };
                first = model.told(who, [recipient_follows, sender_follows, suggested]);
            }
            let mut knowing = model.clone();
            knowing.happen(world.at, &first);
            let expected = knowing.expect(who, act, world.at, world.person(who), world.person(who.other()));
            let decided = match world.act(who, act) {
                Ok(events) => Outcome::Done(events.iter().map(fact).collect()),
                Err(rejection) => Outcome::Refused(rejection.code().as_str()),
            };
            let expected = match expected {
                Outcome::Done(facts) => Outcome::Done(first.into_iter().chain(facts).collect()),
                refused @ Outcome::Refused(_) => refused,
            };
            assert_eq!(decided, expected, "{who:?} {act:?} {:?}", world.given);
            if let Outcome::Done(facts) = &expected {
                model.happen(world.at, facts);
            }
        });
    }

    /// Decided twice gives nothing new, and names the event that made it so. Sending is told apart by its command id.
    #[test]
    fn decides_nothing_new_the_second_time(steps in steps(80)) {
        through(&steps, |world, who, act| {
            let before = world.events.len();
            if world.act(who, act).is_err() || matches!(act, Act::Send { .. }) {
                return;
            }
            let again = world.command(who, act);
            assert_eq!(conversation::decide(&world.state, &again), Ok(vec![]), "{who:?} {act:?}");
            let made_so = conversation::already(&world.state, &again);
            let last = world.events.len() as u64;
            assert!(made_so.is_none_or(|version| version < last), "{made_so:?} of {last}");
            if world.events.len() > before {
                assert!(made_so.is_some(), "{who:?} {act:?} was made so by an event");
            }
        });
    }

    /// What must hold whatever happens, read off the events alone.
    #[test]
    fn keeps_its_invariants(steps in steps(80)) {
        let world = played(&steps);
        let mut next = 1;
        for (_, event) in &world.events {
            if let conversation::Event::MessageSent(sent) = event {
                prop_assert_eq!(sent.number, next);
                next += 1;
            } else if let conversation::Event::MessageWithheld(withheld) = event {
                prop_assert_eq!(withheld.number, next);
                next += 1;
            }
        }
        // At most three messages of a request are shown before its recipient accepts or moves it anew.
        for from in [Who::Ann, Who::Bob] {
            let mut shown = 0;
            for (_, event) in &world.events {
                match event {
                    conversation::Event::MessageSent(sent)
                        if sent.from == id(from) && sent.route == conversation::Route::Request => shown += 1,
                    conversation::Event::RequestAccepted(accepted) if accepted.from == id(from) => shown = 0,
                    conversation::Event::MovedToRequests(moved) if moved.from == id(from) => shown = 0,
                    _ => {}
                }
                prop_assert!(shown <= 3);
            }
        }
        // No message is in two reports of one member, and none in a report was withheld from the reporter.
        let mut reported = std::collections::BTreeSet::new();
        let withheld: Vec<u64> = world.events.iter().filter_map(|(_, event)| match event {
            conversation::Event::MessageWithheld(withheld) => Some(withheld.number),
            _ => None,
        }).collect();
        for (_, event) in &world.events {
            if let conversation::Event::MessagesReported(report) = event {
                for message in &report.messages {
                    prop_assert!(reported.insert((report.reporter.clone(), message.number)));
                    prop_assert!(!withheld.contains(&message.number));
                }
            }
        }
    }

    /// A history folded from its stored bytes, in one part or in two, is the state that decided it.
    #[test]
    fn folds_in_two_parts_as_in_one(steps in steps(80), cut in any::<prop::sample::Index>()) {
        let world = played(&steps);
        let stored: Vec<(Recorded, &'static str, Vec<u8>)> = world.events.iter().map(|(recorded, event)| {
            let event = Event::Conversation(event.clone());
            (*recorded, codec::event_type(&event), codec::encode(&event))
        }).collect();
        let fold = |state: &mut conversation::State, part: &[(Recorded, &'static str, Vec<u8>)]| {
            for (recorded, event_type, data) in part {
                match codec::decode(event_type, data).expect("decodes") {
                    Event::Conversation(event) => conversation::evolve(state, *recorded, &event),
                    other => panic!("not of a conversation: {other:?}"),
                }
            }
        };
        let mut whole = conversation::State::default();
        fold(&mut whole, &stored);
        let (first, second) = stored.split_at(cut.index(stored.len() + 1));
        let mut half = conversation::State::default();
        fold(&mut half, first);
        let mut resumed = half.clone();
        fold(&mut resumed, second);
        prop_assert_eq!(&whole, &world.state);
        prop_assert_eq!(&resumed, &whole);
    }

    /// `evolve` takes any events in any order, of anybody, with any numbers, and `decide` any state that comes of them.
    #[test]
    fn evolves_from_any_events_in_any_order(
        events in prop::collection::vec((any::<u64>(), any::<i64>(), any_event()), 0..40),
        acts in steps(10),
    ) {
        let mut world = World::new();
        for (version, at, event) in &events {
            let recorded = Recorded { version: *version, at: Timestamp(*at) };
            conversation::evolve(&mut world.state, recorded, event);
        }
        for step in &acts {
            if let Step::Act(who, act) = step {
                let command = world.command(*who, act);
                let _ = conversation::decide(&world.state, &command);
                let _ = conversation::already(&world.state, &command);
            }
        }
    }
}

fn any_member() -> impl Strategy<Value = MemberId> {
    prop_oneof![4 => Just("ann"), 4 => Just("bob"), 1 => Just("cat")]
        .prop_map(|name| MemberId::new(name).expect("a member id"))
}

/// Any event of a conversation: the stored samples with other members, numbers and times.
fn any_event() -> impl Strategy<Value = conversation::Event<'static>> {
    let number = prop_oneof![0..9_u64, Just(u64::MAX), any::<u64>()];
    (
        any::<prop::sample::Index>(),
        any_member(),
        any_member(),
        number,
        any::<i64>(),
    )
        .prop_map(|(index, one, other, number, time)| {
            let (event_type, data) = *index.get(&crate::golden::CONVERSATION_SAMPLES);
            let mut sample: serde_json::Value =
                serde_json::from_str(data).expect("a sample is JSON");
            let fields = sample.as_object_mut().expect("an object");
            for (name, value) in fields.iter_mut() {
                match name.as_str() {
                    "from" | "by" | "member" | "reporter" => *value = one.as_str().into(),
                    "to" | "other" | "reported" => *value = other.as_str().into(),
                    "number" | "up_to" | "after" => *value = number.into(),
                    "cooldown_until" | "restorable_until" => *value = time.into(),
                    _ => {}
                }
            }
            let data = sample.to_string();
            match codec::decode(event_type, data.as_bytes())
                .expect("a sample decodes")
                .into_owned()
            {
                Event::Conversation(event) => event,
                other => panic!("not of a conversation: {other:?}"),
            }
        })
}

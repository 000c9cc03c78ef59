//! States as bytes: what is read back is what was written, at any moment of any history, and nothing changes what is
//! folded from the same events without another version.
//!
//! `golden/snapshots.ndjson` holds, by the version of the fold, events and the state that they fold to. A line that does
//! not fold to its state any more says that the fold changed: raise `STATE_VERSION` of that aggregate, so that no old
//! snapshot is read, and let `DOORSTEP_UPDATE_GOLDEN=1` write the lines of the new version.

use std::collections::BTreeSet;
use std::path::Path;

use domain::event::Recorded;
use domain::{Event, Timestamp, codec, conversation, member};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};

use crate::golden::{self, samples};
use crate::history::{Step, World, steps};

/// One line: which aggregate under which version of its fold, its events, and the state as text.
#[derive(Serialize, Deserialize)]
struct Line {
    of: String,
    version: u32,
    events: Vec<(i64, String, String)>,
    state: String,
}

fn conversation_of(events: &[(Recorded, conversation::Event<'_>)]) -> conversation::State {
    let mut state = conversation::State::default();
    for (recorded, event) in events {
        conversation::evolve(&mut state, *recorded, event);
    }
    state
}

fn history(steps: &[Step]) -> World {
    let mut world = World::new();
    for step in steps {
        let _ = match step {
            Step::Act(who, act) => world.act(*who, act).map(drop),
            Step::UnsendRecent(who, back) => {
                let number = world.state.last_number().saturating_sub(*back);
                world
                    .act(*who, &crate::model::Act::Unsend(number))
                    .map(drop)
            }
            Step::Wait(ms) => {
                world.wait(*ms);
                Ok(())
            }
            Step::Person(who, change) => {
                world.change(*who, *change);
                Ok(())
            }
        };
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A snapshot taken anywhere and what came since fold to what the whole folds to.
    #[test]
    fn a_snapshot_and_what_came_since_are_the_whole_fold(steps in steps(80), cut in any::<prop::sample::Index>()) {
        let world = history(&steps);
        let cut = cut.index(world.events.len() + 1);
        let before = conversation_of(&world.events[..cut]);
        let mut state = conversation::State::from_snapshot(&before.to_snapshot()).expect("a snapshot");
        prop_assert_eq!(&state, &before);
        for (recorded, event) in &world.events[cut..] {
            conversation::evolve(&mut state, *recorded, event);
        }
        prop_assert_eq!(state, world.state);
    }
}

/// The events of a member's stream among the golden samples, several times over with time passing.
fn member_events() -> Vec<(i64, String, String)> {
    let mut events = Vec::new();
    for turn in 0..3_i64 {
        for (event_type, data) in samples().map(|sample| (sample.event_type, sample.data.get())) {
            if matches!(
                codec::decode(event_type, data.as_bytes()),
                Ok(Event::Member(_))
            ) {
                let at = 1_700_000_000_000 + turn * 40_000_000;
                events.push((at, event_type.to_owned(), data.to_owned()));
            }
        }
    }
    // Whoever is suspended has no snapshot.
    let ends = events
        .iter()
        .rfind(|(_, event_type, _)| event_type == "member-reinstated.v1")
        .cloned();
    events.extend(ends);
    events
}

/// The state that a line's events fold to, as text.
fn folded(line: &Line) -> String {
    let mut conversation = conversation::State::default();
    let mut member = member::State::default();
    for (version, (at, event_type, data)) in (0..).zip(&line.events) {
        let recorded = Recorded {
            version,
            at: Timestamp(*at),
        };
        match codec::decode(event_type, data.as_bytes()).expect("a stored event") {
            Event::Conversation(event) => {
                conversation::evolve(&mut conversation, recorded, &event);
            }
            Event::Member(event) => member::evolve(&mut member, recorded, &event),
            other => panic!("{other:?}"),
        }
    }
    let bytes = if line.of == "conversation" {
        conversation.to_snapshot()
    } else {
        let bytes = member.to_snapshot().expect("nobody is suspended");
        assert_eq!(member::State::from_snapshot(&bytes), Some(member));
        bytes
    };
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn lines() -> Vec<Line> {
    let mut lines = Vec::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..32 {
        let steps = steps(80).new_tree(&mut runner).expect("steps").current();
        let events = history(&steps).events;
        let stored = |(recorded, event): &(Recorded, conversation::Event<'static>)| {
            let event = Event::Conversation(event.clone());
            let data = String::from_utf8(codec::encode(&event)).expect("JSON is UTF-8");
            (recorded.at.0, codec::event_type(&event).to_owned(), data)
        };
        lines.push(Line {
            of: "conversation".to_owned(),
            version: conversation::STATE_VERSION,
            events: events.iter().map(stored).collect(),
            state: String::new(),
        });
    }
    // No moderator acts in these histories: what one removes comes after a message of the other's.
    let sample = |name: &str| {
        let mut all = samples().filter(|sample| sample.event_type == name);
        let data = all.next().expect("a sample").data.get().to_owned();
        (1_700_000_000_000, name.to_owned(), data)
    };
    lines.push(Line {
        of: "conversation".to_owned(),
        version: conversation::STATE_VERSION,
        events: vec![
            sample("message-sent.v1"),
            sample("messages-removed.v1"),
            sample("messages-restored.v1"),
        ],
        state: String::new(),
    });
    lines.push(Line {
        of: "member".to_owned(),
        version: member::STATE_VERSION,
        events: member_events(),
        state: String::new(),
    });
    for line in &mut lines {
        line.state = folded(line);
    }
    lines
}

#[test]
fn the_fold_changes_with_its_version_alone() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/snapshots.ndjson");
    if std::env::var_os("DOORSTEP_UPDATE_GOLDEN").is_some() {
        let mut text = String::new();
        for line in lines() {
            text += &serde_json::to_string(&line).expect("a line");
            text.push('\n');
        }
        std::fs::write(&file, text).expect("the golden file is written");
    }
    let text = std::fs::read_to_string(&file).expect("the golden file");
    let (mut types, mut current) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).expect("a line");
        let now = if line.of == "conversation" {
            conversation::STATE_VERSION
        } else {
            member::STATE_VERSION
        };
        assert_eq!(
            line.version, now,
            "the fold of a {} has another version: write its lines anew",
            line.of
        );
        assert_eq!(
            folded(&line),
            line.state,
            "the fold of a {} changed: raise its STATE_VERSION",
            line.of
        );
        types.extend(line.events.iter().map(|event| event.1.clone()));
        current.insert(line.of);
    }
    assert_eq!(current.len(), 2);
    let all = golden::samples()
        .filter(|sample| {
            matches!(
                codec::decode(sample.event_type, sample.data.get().as_bytes()),
                Ok(Event::Conversation(_) | Event::Member(_))
            )
        })
        .map(|sample| sample.event_type.to_owned());
    assert_eq!(types, all.collect(), "every event is in a fold");
}

#[test]
fn what_is_no_snapshot_is_none() {
    for bytes in [&b""[..], b"[]", b"null", b"{}", b"[null,[],[],0]"] {
        assert_eq!(conversation::State::from_snapshot(bytes), None);
        assert_eq!(member::State::from_snapshot(bytes), None);
    }
}

/// Bounded: what is kept of a conversation is of one size, however many messages it has.
#[test]
fn the_state_of_a_conversation_does_not_grow_with_its_messages() {
    let size = |messages: u64| {
        let mut state = conversation::State::default();
        for number in 1..=messages {
            let (from, to) = if number % 2 == 0 {
                ("ann", "bob")
            } else {
                ("bob", "ann")
            };
            let data = format!(
                r#"{{"number":{number},"from":"{from}","to":"{to}","route":"inbox","text":"hi","evidence":{{"policy_version":0}}}}"#
            );
            let recorded = Recorded {
                version: number,
                at: Timestamp(0),
            };
            match codec::decode("message-sent.v1", data.as_bytes()).expect("a message") {
                Event::Conversation(event) => {
                    conversation::evolve(&mut state, recorded, &event);
                }
                other => panic!("{other:?}"),
            }
        }
        state.to_snapshot().len()
    };
    // Nine numbers grow by as many digits.
    assert!(size(10_000) <= size(10) + 9 * 4);
}

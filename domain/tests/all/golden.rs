//! The stored contract: every event type and version ever stored decodes, for ever.
//!
//! `golden/events.ndjson` holds at least one sample of each, its `data` byte for byte as the log holds it. Lines are
//! added, never changed. Each must also encode to the very same bytes, in a log of the schema level that it is of.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use domain::codec;
use serde::Deserialize;
use serde_json::value::RawValue;

/// One line of the golden file.
#[derive(Deserialize)]
pub(crate) struct Sample<'a> {
    #[serde(rename = "type")]
    pub(crate) event_type: &'a str,
    #[serde(borrow)]
    pub(crate) data: &'a RawValue,
}

pub(crate) fn samples() -> impl Iterator<Item = Sample<'static>> {
    include_str!("../../golden/events.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a sample per line"))
}

fn known(event_type: &str) -> &'static codec::EventType {
    let mut types = codec::TYPES.iter();
    types
        .find(|known| known.name == event_type)
        .expect("a known type")
}

#[test]
fn decodes_every_sample_and_encodes_it_to_the_same_bytes() {
    for sample in samples() {
        let data = sample.data.get();
        let event = codec::decode(sample.event_type, data.as_bytes()).expect(data);
        let known = known(sample.event_type);
        let (event_type, encoded) = codec::encode_at(&event, known.since).expect("its level");
        assert_eq!(event_type, sample.event_type);
        assert_eq!(String::from_utf8(encoded).expect("JSON is UTF-8"), data);
        let newest = known.superseded_by.unwrap_or(known.name);
        assert_eq!(codec::event_type(&event), newest);
        let owned = event.clone().into_owned();
        assert_eq!(owned, event);
    }
}

/// The text read alone is the text of the whole event, of every version that sends a message.
#[test]
fn reads_of_a_message_its_text_alone() {
    use domain::Event;
    use domain::conversation::Event::{MessageSent, MessageWithheld};

    let mut messages = 0;
    for sample in samples() {
        let data = sample.data.get().as_bytes();
        let alone = codec::message_text(sample.event_type, data).expect("a sample");
        let whole = match codec::decode(sample.event_type, data).expect("a sample") {
            Event::Conversation(MessageSent(sent)) => Some(sent.text),
            Event::Conversation(MessageWithheld(withheld)) => Some(withheld.text),
            _ => None,
        };
        messages += usize::from(whole.is_some());
        assert_eq!(alone, whole, "{}", sample.event_type);
    }
    assert!(messages > 1);
    assert!(codec::message_text("message-sung.v1", b"{}").is_err());
}

#[test]
fn has_a_sample_of_every_type_and_no_other() {
    let sampled: BTreeSet<&str> = samples().map(|sample| sample.event_type).collect();
    let known: BTreeSet<&str> = codec::TYPES.iter().map(|known| known.name).collect();
    assert_eq!(sampled, known);
    assert_eq!(known.len(), codec::TYPES.len(), "a type is listed twice");
}

/// An old event is today's event: what it did not record is what was so for all of its version.
#[test]
fn reads_a_report_that_joined_its_case_before_severities_were_recorded() {
    use domain::Event;
    use domain::case::Event::ReportJoined;

    let data = br#"{"report_id":"d94492e7-72dc-56dd-84db-8778dddb51bd","conversation_version":4,"reporter":"ann","reported":"bob","category":"minor_safety","messages":2,"over_limit":false,"reporters":1}"#;
    let event = codec::decode("report-joined.v1", data).expect("old bytes");
    let Event::Case(ReportJoined(joined)) = &event else {
        panic!("another event");
    };
    assert_eq!((joined.severity, joined.upheld), (5, 0));
    assert_eq!((joined.messages, joined.reporters), (2, 1));
    // Written today it is the new version, which says the same.
    let (event_type, bytes) = codec::encode_at(&event, codec::LEVEL).expect("the newest level");
    assert_eq!(event_type, "report-joined.v2");
    assert_eq!(codec::decode(event_type, &bytes).expect("new bytes"), event);
}

#[test]
fn writes_into_a_log_of_an_older_level_what_its_programs_read_or_nothing() {
    for sample in samples() {
        let data = sample.data.get();
        let event = codec::decode(sample.event_type, data.as_bytes()).expect(data);
        for level in 0..=codec::LEVEL {
            match codec::encode_at(&event, level) {
                Ok((event_type, bytes)) => {
                    assert!(known(event_type).since <= level, "{event_type}");
                    assert_eq!(codec::decode(event_type, &bytes).expect("it reads"), event);
                }
                Err(above) => {
                    assert!(above.needed > level && above.level == level, "{above}");
                    assert!(
                        above.to_string().contains("doorstep raise-level"),
                        "{above}"
                    );
                }
            }
        }
        assert!(codec::encode_at(&event, 0).is_err(), "there is no level 0");
    }
    // Two of the golden events say what version 1 cannot; looks of auditors and the acts of moderators on a case are of
    // level 2 altogether.
    let of_level_1 = |sample: &Sample<'_>| {
        let data = sample.data.get().as_bytes();
        codec::encode_at(
            &codec::decode(sample.event_type, data).expect("a sample"),
            1,
        )
        .is_err()
    };
    let above: Vec<_> = samples()
        .filter(of_level_1)
        .map(|sample| sample.event_type)
        .collect();
    assert_eq!(
        above,
        [
            &["act-content-disclosed.v1"; 3][..],
            &["report-joined.v2", "act-event-skipped.v1"],
            &["case-claimed.v1", "case-released.v1", "claim-lapsed.v1"],
            &["case-noted.v1", "case-noted.v1", "case-escalated.v1"],
            &["command-refused.v2"],
            &["case-decided.v1", "case-decided.v1", "case-closed.v1"],
            &[
                "member-restricted.v1",
                "member-restricted.v1",
                "restriction-ended.v1",
                "case-decided.v1",
                "messages-removed.v1"
            ],
            &[
                "decision-appealed.v1",
                "appeal-decided.v1",
                "appeal-decided.v1",
                "decision-reversed.v1",
                "decision-reversed.v1",
                "messages-restored.v1",
                "restriction-lifted.v1",
                "command-refused.v2"
            ],
            &["act-content-disclosed.v1"; 2],
            &["case-decided.v1", "cases-decided.v1", "cases-decided.v1"],
            &["act-carried-out.v1", "act-carried-out.v1"],
            &["cases-reversed.v1", "decision-reversed.v1"],
            &["report-limit-set.v1", "report-limit-lifted.v1"],
            &["report-limit-ended.v1", "case-reopened.v1"],
            &["member-suspended.v2", "member-suspended.v2"],
            &["suspension-filed.v1"],
            &["command-unchanged.v1"; 7]
        ]
        .concat()
    );
}

#[test]
fn the_newest_level_is_that_of_the_newest_type_and_versions_follow_one_another() {
    let newest = codec::TYPES.iter().map(|known| known.since).max();
    assert_eq!(newest, Some(codec::LEVEL));
    for known in codec::TYPES {
        let (name, version) = known.name.rsplit_once(".v").expect("a version");
        assert_eq!(codec::name(known.name), name);
        let version: u32 = version.parse().expect("a number");
        let of_name = || {
            codec::TYPES
                .iter()
                .filter(|other| codec::name(other.name) == name)
        };
        let last = format!("{name}.v{}", of_name().count());
        let newer = (known.name != last).then_some(last.as_str());
        assert_eq!(known.superseded_by, newer, "{}", known.name);
        let before = format!("{name}.v{}", version - 1);
        for older in of_name().filter(|older| older.name == before) {
            assert!(older.since < known.since, "{}", known.name);
        }
    }
}

#[test]
fn names_types_in_kebab_case_with_a_version() {
    for known in codec::TYPES {
        let (name, version) = known.name.rsplit_once(".v").expect("a version");
        assert!(
            version.parse::<u32>().is_ok_and(|version| version > 0),
            "{name}"
        );
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{name}"
        );
    }
}

/// What answers say is what the log says.
#[test]
fn writes_refusal_codes_as_they_are_answered() {
    let mut codes = BTreeSet::new();
    for sample in samples() {
        let data = sample.data.get();
        if let Ok(domain::Event::Refused(refused)) =
            codec::decode(sample.event_type, data.as_bytes())
        {
            assert!(
                data.contains(&format!(r#""code":"{}""#, refused.code.as_str())),
                "{data}"
            );
            codes.insert(refused.code.as_str());
        }
    }
    assert_eq!(codes.len(), 18);
}

/// A later program may add fields; this one reads on.
#[test]
fn ignores_fields_it_does_not_know() {
    for sample in samples() {
        let data = sample.data.get();
        let extended = format!(
            r#"{{"of_later":[{{"x":null}}],{}"#,
            data.trim_start_matches('{')
        );
        let event = codec::decode(sample.event_type, extended.as_bytes()).expect(&extended);
        let (_, encoded) = codec::encode_at(&event, known(sample.event_type).since).expect(data);
        assert_eq!(String::from_utf8(encoded).expect("JSON is UTF-8"), data);
    }
}

#[test]
fn tells_an_unknown_type_from_data_that_do_not_fit() {
    assert!(matches!(
        codec::decode("message-sent.v9", b"{}"),
        Err(codec::DecodeError::UnknownType(_))
    ));
    assert!(matches!(
        codec::decode("message-sent.v1", b"{}"),
        Err(codec::DecodeError::Data { .. })
    ));
    assert!(matches!(
        codec::decode("request-withdrawn.v1", br#"{"from":"a b","to":"c"}"#),
        Err(codec::DecodeError::Data { .. })
    ));
}

#[test]
fn borrows_a_text_without_escapes() {
    let data =
        br#"{"number":1,"from":"bob","to":"ann","text":"hi","evidence":{"policy_version":0}}"#;
    let event = codec::decode("message-withheld.v1", data).expect("decodes");
    let domain::Event::Conversation(domain::conversation::Event::MessageWithheld(withheld)) = event
    else {
        panic!("another event");
    };
    assert!(matches!(
        withheld.text.into_cow(),
        std::borrow::Cow::Borrowed("hi")
    ));
}

/// Type and data of every sample that belongs to a conversation.
pub(crate) static CONVERSATION_SAMPLES: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let of_a_conversation = |(event_type, data): &(&str, &str)| {
        matches!(
            codec::decode(event_type, data.as_bytes()),
            Ok(domain::Event::Conversation(_))
        )
    };
    samples()
        .map(|sample| (sample.event_type, sample.data.get()))
        .filter(of_a_conversation)
        .collect()
});

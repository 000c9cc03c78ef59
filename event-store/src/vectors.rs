//! The byte format, held by `vectors/log-v1.json`: what the fields encode to, what the bytes decode
//! to, and the canonical digests. A vector once written is never changed; a new format gets a file of
//! its own.

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::batch::{self, BATCH_HEADER, Link, SEGMENT_HEADER, SegmentHeader};
use crate::identity::Identity;
use crate::mark::Mark;
use crate::record::{self, Place};
use crate::{LogId, Members, NewEvent, Position, RecordedEvent, StreamName};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/log-v1.json")).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key}"))
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key}"))
}

fn log_id(value: &Value) -> LogId {
    LogId(text(value, "log_id").parse().unwrap())
}

fn event_of(fields: &Value) -> (Place, StreamName, NewEvent) {
    let place = Place {
        position: number(fields, "position"),
        version: number(fields, "version"),
        recorded_at_ms: fields["recorded_at"].as_i64().unwrap(),
        previous: number(fields, "previous"),
    };
    let uuid = |key| text(fields, key).parse::<Uuid>().unwrap();
    let members: Vec<_> = fields["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_str().unwrap())
        .collect();
    let event = NewEvent {
        event_id: uuid("event_id"),
        event_type: text(fields, "type").to_owned().into(),
        at_ms: fields["at"].as_i64().unwrap(),
        command_id: text(fields, "command_id").into(),
        correlation_id: uuid("correlation_id"),
        causation_id: uuid("causation_id"),
        actor: text(fields, "actor").into(),
        members: match members[..] {
            [] => Members::none(),
            [a] => Members::one(a),
            _ => Members::two(members[0], members[1]),
        },
        last_number: fields["last_number"].as_u64(),
        data: text(fields, "data").to_owned().into(),
    };
    (
        place,
        StreamName::new(text(fields, "stream")).unwrap(),
        event,
    )
}

#[test]
fn records_encode_and_decode() {
    for vector in vectors()["records"].as_array().unwrap() {
        let fields = &vector["fields"];
        let (place, stream, event) = event_of(fields);
        let mut encoded = Vec::new();
        record::encode(&mut encoded, place, &stream, &event);
        record::seal(&mut encoded);
        assert_eq!(hex(&encoded), text(vector, "bytes"));
        assert_eq!(encoded.len(), record::encoded_len(&stream, &event));

        let decoded = RecordedEvent::from_bytes(Bytes::from(unhex(text(vector, "bytes")))).unwrap();
        assert_eq!(decoded.position(), Position(place.position));
        assert_eq!(decoded.stream(), stream.as_str());
        assert_eq!(decoded.version(), place.version);
        assert_eq!(decoded.recorded_at_ms(), place.recorded_at_ms);
        assert_eq!(decoded.previous().map_or(0, |p| p.0), place.previous);
        assert_eq!(decoded.event_id(), event.event_id);
        assert_eq!(decoded.event_type(), event.event_type);
        assert_eq!(decoded.at_ms(), event.at_ms);
        assert_eq!(decoded.command_id(), &*event.command_id);
        assert_eq!(decoded.correlation_id(), event.correlation_id);
        assert_eq!(decoded.causation_id(), event.causation_id);
        assert_eq!(decoded.actor(), &*event.actor);
        assert!(decoded.members().eq(event.members.iter().map(|m| &**m)));
        assert_eq!(decoded.last_number(), event.last_number);
        assert_eq!(decoded.data(), &event.data[..]);
        assert_eq!(decoded.data_bytes(), event.data);

        let mut canonical = Vec::new();
        decoded.canonical_bytes(&mut canonical);
        assert_eq!(hex(&canonical), text(vector, "canonical"));
        assert_eq!(
            hex(&decoded.canonical_digest()),
            text(vector, "canonical_sha256")
        );
        assert_eq!(
            hex(&Sha256::digest(&canonical)),
            text(vector, "canonical_sha256")
        );
    }
}

#[test]
fn a_changed_byte_is_no_record() {
    for vector in vectors()["records"].as_array().unwrap() {
        let bytes = unhex(text(vector, "bytes"));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(
                    RecordedEvent::from_bytes(changed.into()).is_err(),
                    "byte {at}"
                );
            }
        }
        for len in 0..bytes.len() {
            assert!(RecordedEvent::from_bytes(bytes[..len].to_vec().into()).is_err());
        }
    }
}

#[test]
fn batches_encode_and_decode() {
    let vectors = vectors();
    let vector = &vectors["batch"];
    let chain = u32::try_from(number(vector, "chain")).unwrap();
    let mut bytes = vec![0; BATCH_HEADER];
    for record in vectors["records"].as_array().unwrap() {
        let (place, stream, event) = event_of(&record["fields"]);
        record::encode(&mut bytes, place, &stream, &event);
    }
    let first = number(vector, "first_position");
    let count = u32::try_from(number(vector, "count")).unwrap();
    let checksum = batch::seal(&mut bytes, log_id(vector), first, count, chain);
    assert_eq!(u64::from(checksum), number(vector, "checksum"));
    assert_eq!(hex(&bytes[..BATCH_HEADER]), text(vector, "header"));

    let header = batch::check(&bytes).unwrap();
    assert_eq!(header.first_position, first);
    assert_eq!(
        (header.count, header.chain, header.checksum),
        (count, chain, checksum)
    );
    assert_eq!((header.log_id, header.len()), (log_id(vector), bytes.len()));
    let mut segment = vec![0; SEGMENT_HEADER];
    segment.extend_from_slice(&bytes);
    segment.extend_from_slice(&[0; 64]);
    let from = Link {
        offset: SEGMENT_HEADER,
        position: first,
        chain,
    };
    let mut positions = Vec::new();
    let (link, stop) = batch::walk(&segment, log_id(vector), from, |_, record| {
        positions.push(record::position_of(record));
    });
    assert_eq!(stop, None);
    assert_eq!(
        positions,
        (first..first + u64::from(count)).collect::<Vec<_>>()
    );
    assert_eq!(link.offset, SEGMENT_HEADER + bytes.len());
}

#[test]
fn segment_headers_marks_and_identities_encode_and_decode() {
    let vectors = vectors();
    let vector = &vectors["segment"];
    let header = SegmentHeader {
        log_id: log_id(vector),
        first_position: number(vector, "first_position"),
        chain: u32::try_from(number(vector, "chain")).unwrap(),
        recorded_at_ms: vector["recorded_at"].as_i64().unwrap(),
    };
    assert_eq!(hex(&header.encode()), text(vector, "bytes"));
    assert_eq!(
        SegmentHeader::decode(&unhex(text(vector, "bytes"))),
        Ok(header)
    );

    let vector = &vectors["mark"];
    let mark = Mark {
        sequence: number(vector, "sequence"),
        log_id: log_id(vector),
        segment: number(vector, "segment"),
        offset: number(vector, "offset"),
        position: number(vector, "position"),
        chain: u32::try_from(number(vector, "chain")).unwrap(),
        clean: vector["clean"].as_bool().unwrap(),
    };
    assert_eq!(hex(&mark.encode()), text(vector, "bytes"));

    let vector = &vectors["identity"];
    let identity = Identity {
        log_id: log_id(vector),
        schema_level: 1,
        earlier: vec![(LogId(text(vector, "earlier").parse().unwrap()), 41)],
    };
    assert_eq!(identity.render(), text(vector, "text"));
    assert_eq!(
        Identity::parse(text(vector, "text").as_bytes()),
        Ok(identity.clone())
    );
    assert_eq!(identity.written_as(41), identity.earlier[0].0);
    assert_eq!(identity.written_as(42), identity.log_id);
}

#[test]
fn stream_hashes_stay() {
    for vector in vectors()["stream_hashes"].as_array().unwrap() {
        let hash = crate::footer::hash_of(text(vector, "stream"));
        assert_eq!(format!("{hash:016x}"), text(vector, "hash"));
    }
}

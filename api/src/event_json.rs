//! Events as JSON, one way for `GET /v1/events` and for the program's own `events`.
//!
//! The header's fields, then `data` as it was stored, byte for byte where it is JSON. Written by hand because nothing of
//! `data` may be parsed and built again.

use std::io::Write as _;

use event_store::{LogId, RecordedEvent};

use crate::time;

/// Appends the event as one JSON object without a line end.
pub fn write(log_id: LogId, event: &RecordedEvent, out: &mut Vec<u8>) {
    out.push(b'{');
    text(out, "log_id", &log_id.0.to_string());
    number(out, "position", event.position().0);
    text(out, "stream", event.stream());
    number(out, "version", event.version());
    text(out, "event_id", &event.event_id().to_string());
    text(out, "type", event.event_type());
    text(out, "at", &time::format(event.at_ms()));
    text(out, "recorded_at", &time::format(event.recorded_at_ms()));
    text(out, "command_id", event.command_id());
    text(out, "correlation_id", &event.correlation_id().to_string());
    text(out, "causation_id", &event.causation_id().to_string());
    text(out, "actor", event.actor());
    key(out, "members");
    out.push(b'[');
    for (index, member) in event.members().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, member);
    }
    out.push(b']');
    if let Some(last) = event.last_number() {
        number(out, "last_number", last);
    }
    key(out, "data");
    // Written as it was stored; only a store that was tampered with holds anything else than JSON.
    if serde_json::from_slice::<serde::de::IgnoredAny>(event.data()).is_ok() {
        out.extend(event.data().iter().map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        }));
    } else {
        out.extend_from_slice(b"null");
    }
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    string(out, name);
    out.push(b':');
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    string(out, value);
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    let _ = write!(out, "{value}");
}

fn string(out: &mut Vec<u8>, value: &str) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

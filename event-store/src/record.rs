//! One event as bytes: what is stored, what is read, what digests are taken over.
//!
//! A record is a fixed header, the texts, then `data`, under a checksum of its own, little-endian
//! throughout (`docs/log-format.md`). [`RecordedEvent`] is such bytes, checked once; its fields are
//! read at their offsets, so that a clone costs a counter and nobody pays for a field unread.
//! Batches and segments are laid out elsewhere.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::wire::{i64_at, len_u32, put_at, u16_at, u32_at, u64_at, uuid_at};
use crate::{Members, NewEvent, Position, StreamName};

/// Bytes of a record's fixed header.
pub(crate) const HEADER: usize = 120;
/// Bytes of a record at most, its padding included.
pub(crate) const RECORD_BYTES_MAX: usize =
    HEADER + crate::bounds::EVENT_BYTES_MAX + crate::bounds::STREAM_NAME_BYTES_MAX + 4;

const LENGTH: usize = 0;
const CHECKSUM: usize = 4;
const POSITION: usize = 8;
const VERSION: usize = 16;
const AT: usize = 24;
const RECORDED_AT: usize = 32;
const PREVIOUS: usize = 40;
const LAST_NUMBER: usize = 48;
const EVENT_ID: usize = 56;
const CORRELATION_ID: usize = 72;
const CAUSATION_ID: usize = 88;
const STREAM_LEN: usize = 104;
const TYPE_LEN: usize = 106;
const COMMAND_LEN: usize = 108;
const ACTOR_LEN: usize = 110;
const MEMBER_LEN: [usize; 2] = [112, 114];
const DATA_LEN: usize = 116;

/// The length that says *no such member*.
const NO_MEMBER: u16 = u16::MAX;
/// The number that says *no last number*.
const NO_NUMBER: u64 = u64::MAX;
/// The version of the canonical bytes.
const CANONICAL_VERSION: u8 = 1;

/// Bytes up to the next multiple of four.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// The place that an append gives to an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) position: u64,
    pub(crate) version: u64,
    pub(crate) recorded_at_ms: i64,
    /// The position of the stream's event before this one; 0 where there is none.
    pub(crate) previous: u64,
}

/// Bytes that the record of an event takes.
pub(crate) fn encoded_len(stream: &StreamName, event: &NewEvent) -> usize {
    padded(HEADER + stream.as_str().len() + event.counted_bytes())
}

/// Appends the record to `out`, without its checksum: [`seal`] sets it.
pub(crate) fn encode(out: &mut Vec<u8>, place: Place, stream: &StreamName, event: &NewEvent) {
    let len = HEADER + stream.as_str().len() + event.counted_bytes();
    let text_len = |text: &str| {
        u16::try_from(text.len())
            .unwrap_or(NO_MEMBER - 1)
            .to_le_bytes()
    };
    let member_len = |i| {
        event
            .members
            .at(i)
            .map_or(NO_MEMBER.to_le_bytes(), text_len)
    };

    let mut header = [0_u8; HEADER];
    put_at(&mut header, LENGTH, &len_u32(len).to_le_bytes());
    put_at(&mut header, POSITION, &place.position.to_le_bytes());
    put_at(&mut header, VERSION, &place.version.to_le_bytes());
    put_at(&mut header, AT, &event.at_ms.to_le_bytes());
    put_at(
        &mut header,
        RECORDED_AT,
        &place.recorded_at_ms.to_le_bytes(),
    );
    put_at(&mut header, PREVIOUS, &place.previous.to_le_bytes());
    put_at(
        &mut header,
        LAST_NUMBER,
        &event.last_number.unwrap_or(NO_NUMBER).to_le_bytes(),
    );
    put_at(&mut header, EVENT_ID, event.event_id.as_bytes());
    put_at(&mut header, CORRELATION_ID, event.correlation_id.as_bytes());
    put_at(&mut header, CAUSATION_ID, event.causation_id.as_bytes());
    put_at(&mut header, STREAM_LEN, &text_len(stream.as_str()));
    put_at(&mut header, TYPE_LEN, &text_len(&event.event_type));
    put_at(&mut header, COMMAND_LEN, &text_len(&event.command_id));
    put_at(&mut header, ACTOR_LEN, &text_len(&event.actor));
    for (i, at) in MEMBER_LEN.into_iter().enumerate() {
        put_at(&mut header, at, &member_len(i));
    }
    put_at(
        &mut header,
        DATA_LEN,
        &len_u32(event.data.len()).to_le_bytes(),
    );

    out.extend_from_slice(&header);
    out.extend_from_slice(stream.as_str().as_bytes());
    out.extend_from_slice(event.event_type.as_bytes());
    out.extend_from_slice(event.command_id.as_bytes());
    out.extend_from_slice(event.actor.as_bytes());
    for member in event.members.iter() {
        out.extend_from_slice(member.as_bytes());
    }
    out.extend_from_slice(&event.data);
    out.resize(out.len() + padded(len) - len, 0);
}

/// Sets the checksum of a record, padding included.
pub(crate) fn seal(record: &mut [u8]) {
    let checksum = checksum(record);
    put_at(record, CHECKSUM, &checksum.to_le_bytes());
}

fn checksum(record: &[u8]) -> u32 {
    let length = record.get(..CHECKSUM).unwrap_or_default();
    let rest = record.get(POSITION..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c(length), rest)
}

/// The bytes that the record beginning here takes, by its own word; none where no record can begin
/// so.
pub(crate) fn stored_len(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < 4 {
        return None;
    }
    let len = padded(crate::wire::index(u64::from(u32_at(bytes, LENGTH))));
    (HEADER..=RECORD_BYTES_MAX).contains(&len).then_some(len)
}

/// The position in a record's header, unchecked.
pub(crate) fn position_of(record: &[u8]) -> u64 {
    u64_at(record, POSITION)
}

/// The version in a record's header, unchecked.
pub(crate) fn version_of(record: &[u8]) -> u64 {
    u64_at(record, VERSION)
}

/// `recorded_at` in a record's header, unchecked.
pub(crate) fn recorded_at_of(record: &[u8]) -> i64 {
    i64_at(record, RECORDED_AT)
}

/// The previous position in a record's header, unchecked; 0 where there is none.
pub(crate) fn previous_of(record: &[u8]) -> u64 {
    u64_at(record, PREVIOUS)
}

/// The stream's name of a record, unchecked.
pub(crate) fn stream_of(record: &[u8]) -> &str {
    let end = HEADER + usize::from(u16_at(record, STREAM_LEN));
    let name = record.get(HEADER..end).unwrap_or_default();
    std::str::from_utf8(name).unwrap_or_default()
}

/// Whether a record's own checksum stands over these bytes, its padding included.
pub(crate) fn check(record: &[u8]) -> Result<(), RecordError> {
    if stored_len(record) != Some(record.len()) {
        return Err(RecordError::Short);
    }
    if checksum(record) != u32_at(record, CHECKSUM) {
        return Err(RecordError::Checksum);
    }
    Ok(())
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than a record has.
    #[error("the record is cut short")]
    Short,
    /// The checksum differs.
    #[error("the record's checksum differs")]
    Checksum,
    /// The lengths of its parts do not add up.
    #[error("the record's lengths do not add up")]
    Lengths,
    /// A text is not UTF-8.
    #[error("a text of the record is not UTF-8")]
    Text,
}

/// An event as it is stored: its record's bytes, shared. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    bytes: Bytes,
}

impl RecordedEvent {
    /// The event that an append at this place would store.
    pub fn record(
        position: Position,
        recorded_at_ms: i64,
        stream: &StreamName,
        version: u64,
        event: &NewEvent,
    ) -> Self {
        let place = Place {
            position: position.0,
            version,
            recorded_at_ms,
            previous: 0,
        };
        let mut out = Vec::with_capacity(encoded_len(stream, event));
        encode(&mut out, place, stream, event);
        seal(&mut out);
        Self {
            bytes: Bytes::from(out),
        }
    }

    /// Checks the bytes of one record, padding included, and takes them as an event.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, RecordError> {
        check(&bytes)?;
        let event = Self { bytes };
        let unpadded = HEADER + event.texts_len() + event.data_len();
        if unpadded != crate::wire::index(u64::from(u32_at(&event.bytes, LENGTH))) {
            return Err(RecordError::Lengths);
        }
        // All texts at once: where a cut between two splits no character, each is a text.
        let texts = event
            .bytes
            .get(HEADER..HEADER + event.texts_len())
            .unwrap_or_default();
        if !texts.is_ascii() && !event.texts_are_utf8() {
            return Err(RecordError::Text);
        }
        Ok(event)
    }

    /// The event without its place, its `data` sharing the record's bytes.
    pub fn to_new(&self) -> NewEvent {
        let mut members = self.members();
        let members = match (members.next(), members.next()) {
            (Some(first), Some(second)) => Members::two(first, second),
            (Some(one), None) => Members::one(one),
            (None, _) => Members::none(),
        };
        NewEvent {
            event_id: self.event_id(),
            event_type: self.event_type().to_owned().into(),
            at_ms: self.at_ms(),
            command_id: self.command_id().into(),
            correlation_id: self.correlation_id(),
            causation_id: self.causation_id(),
            actor: self.actor().into(),
            members,
            last_number: self.last_number(),
            data: self.data_bytes(),
        }
    }

    /// The record's bytes, padding included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same event in bytes of its own, so that it does not keep the block it was read in.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(&self.bytes),
        }
    }

    /// Its place in the log.
    pub fn position(&self) -> Position {
        Position(position_of(&self.bytes))
    }

    /// Its stream's name.
    pub fn stream(&self) -> &str {
        self.text(HEADER, self.len_at(STREAM_LEN))
    }

    /// Its stream's name, as a name.
    pub fn stream_name(&self) -> Option<StreamName> {
        StreamName::new(self.stream()).ok()
    }

    /// Its place in its stream, from 0.
    pub fn version(&self) -> u64 {
        version_of(&self.bytes)
    }

    /// Its id.
    pub fn event_id(&self) -> Uuid {
        uuid_at(&self.bytes, EVENT_ID)
    }

    /// Its type with schema version.
    pub fn event_type(&self) -> &str {
        self.text(HEADER + self.len_at(STREAM_LEN), self.len_at(TYPE_LEN))
    }

    /// The command's time, in milliseconds since the Unix epoch.
    pub fn at_ms(&self) -> i64 {
        i64_at(&self.bytes, AT)
    }

    /// The store's time, in milliseconds since the Unix epoch; never falls along the log.
    pub fn recorded_at_ms(&self) -> i64 {
        i64_at(&self.bytes, RECORDED_AT)
    }

    /// The command that led to it.
    pub fn command_id(&self) -> &str {
        let at = HEADER + self.len_at(STREAM_LEN) + self.len_at(TYPE_LEN);
        self.text(at, self.len_at(COMMAND_LEN))
    }

    /// What belongs together over streams.
    pub fn correlation_id(&self) -> Uuid {
        uuid_at(&self.bytes, CORRELATION_ID)
    }

    /// The command's content, or the event that caused it.
    pub fn causation_id(&self) -> Uuid {
        uuid_at(&self.bytes, CAUSATION_ID)
    }

    /// Who acted.
    pub fn actor(&self) -> &str {
        self.text(
            self.members_at() - self.len_at(ACTOR_LEN),
            self.len_at(ACTOR_LEN),
        )
    }

    /// The members concerned, in order.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        let mut at = self.members_at();
        MEMBER_LEN.into_iter().filter_map(move |place| {
            let len = self.member_len(place)?;
            let text = self.text(at, len);
            at += len;
            Some(text)
        })
    }

    /// In a conversation: the last message's number after this event.
    pub fn last_number(&self) -> Option<u64> {
        Some(u64_at(&self.bytes, LAST_NUMBER)).filter(|number| *number != NO_NUMBER)
    }

    /// The position of the stream's event before this one; none for its first, and for events that
    /// did not come out of an embedded log.
    pub fn previous(&self) -> Option<Position> {
        Some(Position(u64_at(&self.bytes, PREVIOUS))).filter(|p| *p != Position::START)
    }

    /// Its JSON, byte for byte as it was appended.
    pub fn data(&self) -> &[u8] {
        let at = HEADER + self.texts_len();
        self.bytes.get(at..at + self.data_len()).unwrap_or_default()
    }

    /// Its JSON, sharing the record's bytes.
    pub fn data_bytes(&self) -> Bytes {
        let at = HEADER + self.texts_len();
        let end = (at + self.data_len()).min(self.bytes.len());
        self.bytes.slice(at.min(end)..end)
    }

    /// Appends the canonical bytes: the fields that no log decides, each behind its length, then
    /// the SHA-256 of `data`. `position` and the log's id are outside.
    pub fn canonical_bytes(&self, out: &mut Vec<u8>) {
        let mut field = |bytes: &[u8]| {
            out.extend_from_slice(&len_u32(bytes.len()).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        field(&[CANONICAL_VERSION]);
        field(self.stream().as_bytes());
        field(&self.version().to_le_bytes());
        field(self.event_id().as_bytes());
        field(self.event_type().as_bytes());
        field(&self.at_ms().to_le_bytes());
        field(&self.recorded_at_ms().to_le_bytes());
        field(self.command_id().as_bytes());
        field(self.correlation_id().as_bytes());
        field(self.causation_id().as_bytes());
        field(self.actor().as_bytes());
        field(&[u8::try_from(self.members().count()).unwrap_or(u8::MAX)]);
        for member in self.members() {
            field(member.as_bytes());
        }
        match self.last_number() {
            Some(number) => field(&number.to_le_bytes()),
            None => field(&[]),
        }
        field(&Sha256::digest(self.data()));
    }

    /// The SHA-256 of the canonical bytes.
    pub fn canonical_digest(&self) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(512);
        self.canonical_bytes(&mut bytes);
        Sha256::digest(&bytes).into()
    }

    fn len_at(&self, place: usize) -> usize {
        usize::from(u16_at(&self.bytes, place))
    }

    fn member_len(&self, place: usize) -> Option<usize> {
        Some(u16_at(&self.bytes, place))
            .filter(|len| *len != NO_MEMBER)
            .map(usize::from)
    }

    fn members_at(&self) -> usize {
        HEADER
            + self.len_at(STREAM_LEN)
            + self.len_at(TYPE_LEN)
            + self.len_at(COMMAND_LEN)
            + self.len_at(ACTOR_LEN)
    }

    fn texts_len(&self) -> usize {
        let members: usize = MEMBER_LEN
            .into_iter()
            .map(|place| self.member_len(place).unwrap_or(0))
            .sum();
        self.members_at() - HEADER + members
    }

    fn data_len(&self) -> usize {
        crate::wire::index(u64::from(u32_at(&self.bytes, DATA_LEN)))
    }

    fn text(&self, at: usize, len: usize) -> &str {
        let bytes = self.bytes.get(at..at + len).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn texts_are_utf8(&self) -> bool {
        let mut at = HEADER;
        [STREAM_LEN, TYPE_LEN, COMMAND_LEN, ACTOR_LEN]
            .into_iter()
            .map(|place| self.len_at(place))
            .chain(
                MEMBER_LEN
                    .into_iter()
                    .filter_map(|place| self.member_len(place)),
            )
            .all(|len| {
                let part = self.bytes.get(at..at + len);
                at += len;
                part.is_some_and(|part| std::str::from_utf8(part).is_ok())
            })
    }
}

impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without `data`: it can hold what a member wrote.
        f.debug_struct("RecordedEvent")
            .field("position", &self.position())
            .field("stream", &self.stream())
            .field("version", &self.version())
            .field("event_type", &self.event_type())
            .finish_non_exhaustive()
    }
}

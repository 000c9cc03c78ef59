//! Command ids in tables: where the first event of a command stands, by the command's id.
//!
//! Promise: an id is found for at least [`WINDOW_DAYS`] days after its arrival, and gone soon after it where many come.
//! New ids are appended to a short row; full rows are chunks, and a block of chunks is divided by hash into rows of its
//! own, by the day this was done. So an id costs some 25 bytes and little work, however many come, finding one reads a
//! few hundred rows, and what leaves the window goes by whole days. Everything is a function of the log.

use domain::case;
use domain::conversation;
use domain::ids::{CaseId, ConversationId};
use domain::time::DAY_MS;
use event_store::{RecordedEvent, StreamName};
use tables::key::{Key, Parts};
use tables::{ApplyError, Order, Reader, Span, TableError, Tx};
use uuid::Uuid;

use crate::filter::SeenFilter;

/// Days for which a command id is known at least, by the time of its arrival.
pub(crate) const WINDOW_DAYS: i64 = 7;

/// Ids divided by day, part of the hash, and block.
pub(crate) const IDS: &str = "ids";
/// Chunks of ids not divided yet, by number.
pub(crate) const NEW: &str = "ids_new";
/// How many chunks there were, the last day, and the ids of no chunk yet.
pub(crate) const STATE: &str = "ids_state";

/// Ids of one chunk.
const CHUNK_IDS: u16 = 64;
/// Chunks of one block.
const BLOCK_CHUNKS: u64 = 512;
/// Parts that a block is divided into: as many ids are in a row as in a chunk.
const PARTS: u16 = 512;
/// The rows of [`STATE`].
const TAIL: &[u8] = b"tail";
const PROGRESS: &[u8] = b"progress";
/// Bytes before the ids of the tail: when the last arrived, its mark, and how many they are.
const TAIL_HEADER: usize = 18;
/// Bytes before the ids of a chunk: when the last arrived.
const CHUNK_HEADER: usize = 8;

/// Chunks so far, and the last day that one became full on.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    chunks: u64,
    day: i64,
}

impl Progress {
    fn decode(row: &[u8]) -> Option<Self> {
        let (chunks, day) = row.split_first_chunk::<8>()?;
        Some(Self {
            chunks: u64::from_be_bytes(*chunks),
            day: i64::from_be_bytes(*day.first_chunk()?),
        })
    }

    fn encode(self) -> [u8; 16] {
        let mut row = [0; 16];
        let (chunks, day) = row.split_at_mut(8);
        chunks.copy_from_slice(&self.chunks.to_be_bytes());
        day.copy_from_slice(&self.day.to_be_bytes());
        row
    }
}

/// What tells ids apart, and what the filter holds: most of the hash that an id is.
pub(crate) fn mark_of(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

/// The part of a block that a mark belongs to: bits that the filter does not use, and no variant's.
fn part_of(mark: u64) -> u16 {
    let [_, byte, next, ..] = mark.to_be_bytes();
    u16::from_be_bytes([byte, next]) % PARTS
}

/// Takes in the command of an event.
pub(crate) fn add(tx: &mut Tx<'_>, event: &RecordedEvent) -> Result<(), ApplyError> {
    let mark = mark_of(event.correlation_id());
    let mut tail = tx
        .get(STATE, TAIL)?
        .map_or_else(|| vec![0; TAIL_HEADER], |row| row.to_vec());
    let TailHeader { count, last, .. } = TailHeader::decode(&tail);
    // Of a command's events in one append the first is enough.
    if count > 0 && last == mark {
        return Ok(());
    }
    encode_entry(&mut tail, mark, event.stream(), event.version());
    let count = count + 1;
    TailHeader {
        arrived_ms: event.recorded_at_ms(),
        last: mark,
        count,
    }
    .encode(&mut tail);
    if count < CHUNK_IDS {
        tx.put(STATE, TAIL, &tail)?;
        return Ok(());
    }
    tx.delete(STATE, TAIL)?;
    let progress = tx
        .get(STATE, PROGRESS)?
        .and_then(|row| Progress::decode(&row))
        .unwrap_or_default();
    tail.drain(CHUNK_HEADER..TAIL_HEADER);
    tx.put(NEW, &Key::new().u64(progress.chunks), &tail)?;
    let progress = Progress {
        chunks: progress.chunks + 1,
        day: progress.day.max(event.recorded_at_ms().div_euclid(DAY_MS)),
    };
    tx.put(STATE, PROGRESS, &progress.encode())?;
    if progress.chunks.is_multiple_of(BLOCK_CHUNKS) {
        divide(tx, progress)?;
    }
    Ok(())
}

/// What stands before the ids of the tail; the first of it stays before those of a chunk.
#[derive(Clone, Copy, Debug, Default)]
struct TailHeader {
    arrived_ms: i64,
    last: u64,
    count: u16,
}

impl TailHeader {
    fn decode(tail: &[u8]) -> Self {
        let decode = || {
            let (arrived, rest) = tail.split_first_chunk::<8>()?;
            let (last, rest) = rest.split_first_chunk::<8>()?;
            Some(Self {
                arrived_ms: i64::from_be_bytes(*arrived),
                last: u64::from_be_bytes(*last),
                count: u16::from_be_bytes(*rest.first_chunk()?),
            })
        };
        decode().unwrap_or_default()
    }

    fn encode(self, tail: &mut [u8]) {
        let bytes = self
            .arrived_ms
            .to_be_bytes()
            .into_iter()
            .chain(self.last.to_be_bytes());
        for (place, byte) in tail.iter_mut().zip(bytes.chain(self.count.to_be_bytes())) {
            *place = byte;
        }
    }
}

/// Divides a whole block by hash, and drops the days that left the window.
fn divide(tx: &mut Tx<'_>, progress: Progress) -> Result<(), ApplyError> {
    let mut parts = vec![Vec::new(); usize::from(PARTS)];
    for row in tx.scan(NEW, &Span::all(), Order::Ascending)? {
        let (_, row) = row?;
        for entry in Entries(row.get(CHUNK_HEADER..).unwrap_or_default()) {
            if let Some(part) = parts.get_mut(usize::from(part_of(entry.mark))) {
                part.extend_from_slice(entry.bytes);
            }
        }
    }
    tx.delete_span(NEW, &Span::all())?;
    for (part, ids) in (0..PARTS).zip(&parts) {
        if !ids.is_empty() {
            let key = Key::with_capacity(24)
                .i64(progress.day)
                .u64(part.into())
                .u64(progress.chunks);
            tx.put(IDS, &key, ids)?;
        }
    }
    // An id that arrived late on a day is kept for the whole window.
    let first_kept = Key::new().i64(progress.day - WINDOW_DAYS - 1);
    tx.delete_span(IDS, &Span::all().before(&first_kept))?;
    Ok(())
}

/// Streams whose ids are UUIDs take 16 bytes.
const CONVERSATION: u8 = 0;
const CASE: u8 = 1;
const BY_NAME: u8 = 2;

fn encode_entry(row: &mut Vec<u8>, mark: u64, stream: &str, version: u64) {
    row.extend_from_slice(&mark.to_be_bytes());
    put_varint(row, version);
    let uuid = |prefix: &str| {
        stream
            .strip_prefix(prefix)
            .and_then(|id| Uuid::parse_str(id).ok())
    };
    if let Some(conversation) = uuid("conversation-") {
        row.push(CONVERSATION);
        row.extend_from_slice(conversation.as_bytes());
    } else if let Some(case) = uuid("case-") {
        row.push(CASE);
        row.extend_from_slice(case.as_bytes());
    } else {
        row.push(BY_NAME);
        put_varint(row, stream.len() as u64);
        row.extend_from_slice(stream.as_bytes());
    }
}

fn put_varint(row: &mut Vec<u8>, mut value: u64) {
    loop {
        let [byte, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            row.push(byte & 0x7f);
            return;
        }
        row.push(byte | 0x80);
    }
}

/// One id of a row.
struct Entry<'a> {
    mark: u64,
    version: u64,
    kind: u8,
    name: &'a [u8],
    /// The whole of it.
    bytes: &'a [u8],
}

impl Entry<'_> {
    fn stream(&self) -> Option<StreamName> {
        let uuid = || Uuid::from_slice(self.name).ok();
        let name = match self.kind {
            CONVERSATION => conversation::stream(ConversationId(uuid()?)),
            CASE => case::stream(CaseId(uuid()?)),
            _ => String::from_utf8(self.name.to_vec()).ok()?,
        };
        StreamName::new(name).ok()
    }
}

/// The ids of a row, in the order of the log.
struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let whole = self.0;
        let mark = u64::from_be_bytes(*self.take(8)?.first_chunk()?);
        let version = self.varint()?;
        let kind = *self.take(1)?.first()?;
        let len = if kind == BY_NAME {
            usize::try_from(self.varint()?).ok()?
        } else {
            16
        };
        let name = self.take(len)?;
        let bytes = whole.get(..whole.len() - self.0.len())?;
        Some(Entry {
            mark,
            version,
            kind,
            name,
            bytes,
        })
    }
}

/// Where events stand that may be the first of a command, oldest first: the caller compares the whole id.
pub(crate) fn find(reader: &Reader, id: Uuid) -> Result<Vec<(StreamName, u64)>, TableError> {
    let mark = mark_of(id);
    let mut found = Vec::new();
    let mut look = |row: &[u8]| {
        let places = Entries(row).filter(|entry| entry.mark == mark);
        found.extend(places.filter_map(|entry| Some((entry.stream()?, entry.version))));
    };
    if let Some(progress) = reader
        .get(STATE, PROGRESS)?
        .and_then(|row| Progress::decode(&row))
    {
        for day in progress.day - WINDOW_DAYS - 1..=progress.day {
            let prefix = Key::new().i64(day).u64(part_of(mark).into());
            for row in reader.scan(IDS, &Span::prefix(&prefix), Order::Ascending)? {
                look(&row?.1);
            }
        }
    }
    for row in reader.scan(NEW, &Span::all(), Order::Ascending)? {
        look(row?.1.get(CHUNK_HEADER..).unwrap_or_default());
    }
    if let Some(tail) = reader.get(STATE, TAIL)? {
        look(tail.get(TAIL_HEADER..).unwrap_or_default());
    }
    Ok(found)
}

/// Adds the ids of the window to the filter, with the time of their arrival or a later one.
pub(crate) fn fill_filter(reader: &Reader, filter: &SeenFilter) -> Result<(), TableError> {
    let fill = |ids: Option<&[u8]>, arrived_ms: i64| {
        for entry in Entries(ids.unwrap_or_default()) {
            filter.add(entry.mark, arrived_ms);
        }
    };
    for row in reader.scan(IDS, &Span::all(), Order::Ascending)? {
        let (key, row) = row?;
        if let Some(day) = Parts::of(&key).i64() {
            fill(
                Some(&row),
                day.saturating_mul(DAY_MS).saturating_add(DAY_MS - 1),
            );
        }
    }
    for row in reader.scan(NEW, &Span::all(), Order::Ascending)? {
        let (_, row) = row?;
        fill(
            row.get(CHUNK_HEADER..),
            row.first_chunk().copied().map_or(0, i64::from_be_bytes),
        );
    }
    if let Some(tail) = reader.get(STATE, TAIL)? {
        fill(
            tail.get(TAIL_HEADER..),
            TailHeader::decode(&tail).arrived_ms,
        );
    }
    Ok(())
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let mut row = Vec::new();
        let conversation = format!("conversation-{}", Uuid::from_u128(7));
        let case = format!("case-{}", Uuid::from_u128(8));
        let streams = [conversation.as_str(), "member-ann", case.as_str(), "policy"];
        for (stream, number) in streams.into_iter().zip([0, 127, 128, u64::MAX]) {
            encode_entry(&mut row, !number, stream, number);
        }
        let read: Vec<_> = Entries(&row)
            .map(|entry| {
                (
                    entry.mark,
                    entry.version,
                    entry.stream().map(|stream| stream.to_string()),
                )
            })
            .collect();
        for ((mark, version, read), (stream, number)) in read
            .into_iter()
            .zip(streams.into_iter().zip([0, 127, 128, u64::MAX]))
        {
            assert_eq!(
                (mark, version, read.as_deref()),
                (!number, number, Some(stream))
            );
        }
        let whole: usize = Entries(&row).map(|entry| entry.bytes.len()).sum();
        assert_eq!(whole, row.len());
    }

    fn record(number: u64, arrived_ms: i64) -> RecordedEvent {
        let stream = StreamName::new(format!(
            "conversation-{}",
            Uuid::from_u128(u128::from(number % 1_000))
        ))
        .unwrap();
        let event = event_store::NewEvent {
            event_id: Uuid::from_u128(u128::from(number)),
            event_type: "message-sent.v1".into(),
            at_ms: arrived_ms,
            command_id: "c".into(),
            correlation_id: id(number),
            causation_id: id(number),
            actor: "ann".into(),
            members: event_store::Members::one("ann"),
            last_number: Some(1),
            data: b"{}".as_slice().into(),
        };
        let position = event_store::Position(number + 1);
        RecordedEvent::record(position, arrived_ms, &stream, number / 1_000, &event)
    }

    fn id(number: u64) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes())
    }

    #[test]
    fn ids_are_found_through_chunks_and_blocks_until_their_day_is_gone() {
        let block = u64::from(CHUNK_IDS) * BLOCK_CHUNKS;
        let filter = std::sync::Arc::new(SeenFilter::new(1 << 20, WINDOW_DAYS * DAY_MS));
        let view = crate::index::WriteSide {
            filter: std::sync::Arc::default(),
            timers: std::sync::Arc::default(),
            causes: tokio::sync::watch::Sender::default(),
        };
        let fold = |events: &[RecordedEvent]| {
            tables::testing::fold(&crate::index::WriteSideCodec, &view, events).unwrap()
        };
        let day = 20_000 * DAY_MS;
        let mut events: Vec<_> = (0..block + 1_000)
            .map(|number| record(number, day))
            .collect();
        let reader = fold(&events);
        fill_filter(&reader, &filter).unwrap();
        filter.complete();
        for number in [0, 63, 64, block - 1, block, block + 959, block + 999] {
            let stream = format!(
                "conversation-{}",
                Uuid::from_u128(u128::from(number % 1_000))
            );
            let found = find(&reader, id(number)).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|(stream, version)| (stream.as_str(), *version))
                .collect();
            assert_eq!(found, [(stream.as_str(), number / 1_000)]);
            assert!(filter.maybe(mark_of(id(number))));
        }
        assert!(find(&reader, id(block + 1_000)).unwrap().is_empty());

        // A week and a day later the block is still there; once another has filled after it, it is gone.
        let later = day + (WINDOW_DAYS + 1) * DAY_MS;
        events.extend((block + 1_000..2 * block).map(|number| record(number, later)));
        assert_eq!(find(&fold(&events), id(0)).unwrap().len(), 1);
        events.extend((2 * block..3 * block).map(|number| record(number, later + DAY_MS)));
        let reader = fold(&events);
        assert!(find(&reader, id(0)).unwrap().is_empty());
        assert_eq!(
            find(&reader, id(block)).unwrap().len(),
            1,
            "divided on the later day"
        );
    }
}

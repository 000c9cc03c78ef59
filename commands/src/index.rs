//! The write side's own tables: a view of the log that serves no query.
//!
//! Promise: every client's command whose events were applied is found by its id for [`WINDOW_DAYS`] days by the time of
//! arrival; every message unsent or reported, every report against a member, every suspension with an end is found by
//! its name. It is a function of the log, so it can be thrown away. What is not applied yet, its users learn from the
//! streams themselves or from `idempotency.rs`.
//!
//! Ids are kept in rows of many: by day of arrival, part of the key's hash, and block of the log. A batch touches few
//! rows however many ids it brings, an id costs some 25 bytes, and what leaves the window goes by whole days.

use std::sync::Arc;

use domain::event::Event;
use domain::ids::{ConversationId, MemberId, ReportId};
use domain::time::{DAY_MS, Timestamp};
use domain::{codec, conversation, member, reactor};
use event_store::{Position, RecordedEvent, StreamName};
use tables::key::{Key, Parts};
use tables::{ApplyError, Codec, DecodeError, Order, Reader, Span, TableError, Tx, View};
use tokio::sync::watch;
use uuid::Uuid;

use crate::filter::SeenFilter;
use crate::reactors::CASES_STREAM;
use crate::timers::{Suspension, Timers};

/// Days for which a command id is known, by the time of its arrival.
pub(crate) const WINDOW_DAYS: i64 = 7;
/// The view's name.
pub(crate) const VIEW: &str = "write_side";

const IDS: &str = "ids";
const DAYS: &str = "days";
const UNSENT: &str = "unsent";
const REPORTED: &str = "reported";
const REPORTS: &str = "reports";
const SUSPENSIONS: &str = "suspensions";
const CAUSES: &str = "causes";

/// Parts of the hash that rows are divided by.
const PARTS: u64 = 1024;
/// Positions of one block: a power of two, so that a row holds some sixty ids where positions are dense.
const BLOCK_SHIFT: u32 = 16;
/// The key of the one row of `days`.
const LAST_DAY: &[u8] = b"last";

/// Decodes what this view reads, and nothing else: of most events their header is enough.
pub(crate) struct WriteSideCodec;

impl Codec for WriteSideCodec {
    type Decoded<'a> = Option<Event<'a>>;

    fn decode<'a>(&self, event: &'a RecordedEvent) -> Result<Self::Decoded<'a>, DecodeError> {
        if !matters(event.event_type()) {
            return Ok(None);
        }
        codec::decode(event.event_type(), event.data())
            .map(Some)
            .map_err(DecodeError::new)
    }
}

/// Types whose content the view reads.
fn matters(event_type: &str) -> bool {
    matches!(
        event_type,
        "message-unsent.v1"
            | "messages-reported.v1"
            | "member-suspended.v1"
            | "member-reinstated.v1"
            | "suspension-ended.v1"
            | "reactor-checkpoint.v1"
    )
}

/// Whether events of this type are a client's command's own: not a step on its way, nor what follows from it.
pub(crate) fn is_clients(event_type: &str) -> bool {
    !matches!(
        event_type,
        "request-slot-taken.v1"
            | "request-slot-returned.v1"
            | "report-counted.v1"
            | "case-opened.v1"
            | "report-joined.v1"
            | "suspension-ended.v1"
            | "reactor-checkpoint.v1"
    )
}

/// The view. Beside its rows it feeds what is held in memory in front of them.
pub(crate) struct WriteSide {
    /// Hints which ids were never seen.
    pub(crate) filter: Arc<SeenFilter>,
    /// Learns of suspensions, those of other nodes too.
    pub(crate) timers: Arc<Timers>,
    /// Is told of what the reactors have to handle.
    pub(crate) causes: watch::Sender<Position>,
    /// The log that checkpoints have to speak of.
    pub(crate) log_id: Uuid,
}

impl View<WriteSideCodec> for WriteSide {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[IDS, DAYS, UNSENT, REPORTED, REPORTS, SUSPENSIONS, CAUSES]
    }

    fn wants(&self, event_type: &str) -> bool {
        is_clients(event_type) || matters(event_type)
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        event: &RecordedEvent,
        decoded: &Option<Event<'_>>,
    ) -> Result<(), ApplyError> {
        if is_clients(event.event_type()) {
            self.filter
                .add(mark_of(event.correlation_id()), event.recorded_at_ms());
            add_id(tx, event)?;
        }
        match decoded {
            Some(Event::Conversation(conversation::Event::MessageUnsent(unsent))) => {
                tx.put(
                    UNSENT,
                    &message_key(event.stream(), unsent.number),
                    &event.version().to_be_bytes(),
                )?;
            }
            Some(Event::Conversation(conversation::Event::MessagesReported(reported))) => {
                let mut row = reported.report_id.0.into_bytes().to_vec();
                row.extend_from_slice(&event.version().to_be_bytes());
                for message in &reported.messages {
                    tx.put(REPORTED, &message_key(event.stream(), message.number), &row)?;
                }
                let key = Key::new()
                    .text(reported.reported.as_str())
                    .i64(event.at_ms())
                    .text(reported.reporter.as_str());
                tx.put(REPORTS, &key, &[])?;
                let mut row = event.version().to_be_bytes().to_vec();
                row.extend_from_slice(event.stream().as_bytes());
                tx.put(CAUSES, &Key::new().u64(event.position().0), &row)?;
                self.causes.send_replace(event.position());
            }
            Some(Event::Reactor(reactor::Event::ReactorCheckpoint(checkpoint)))
                if checkpoint.log_id == self.log_id && event.stream() == CASES_STREAM =>
            {
                let handled = Key::new().u64(checkpoint.position);
                tx.delete_span(CAUSES, &Span::all().through(&handled))?;
            }
            Some(Event::Member(
                changed @ (member::Event::MemberSuspended(_)
                | member::Event::MemberReinstated(_)
                | member::Event::SuspensionEnded(_)),
            )) => {
                let key = Key::new().text(changed.member().as_str());
                match Suspension::of(changed, event.event_id(), event.correlation_id()) {
                    Some(suspension) => tx.put(SUSPENSIONS, &key, &suspension.encode())?,
                    None => tx.delete(SUSPENSIONS, &key)?,
                }
                self.timers
                    .observe(changed, event.event_id(), event.correlation_id());
            }
            Some(
                Event::Conversation(_)
                | Event::Member(_)
                | Event::Case(_)
                | Event::Policy(_)
                | Event::Reactor(_)
                | Event::Refused(_),
            )
            | None => {}
        }
        Ok(())
    }
}

fn message_key(stream: &str, number: u64) -> Key {
    let conversation = stream.split_once('-').map_or(stream, |(_, id)| id);
    Key::new().text(conversation).u64(number)
}

fn day_of(arrived_ms: i64) -> i64 {
    arrived_ms.div_euclid(DAY_MS)
}

fn part_of(id: Uuid) -> u64 {
    id.as_u64_pair().0 % PARTS
}

/// What tells ids of one part apart, and what the filter holds.
pub(crate) fn mark_of(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

fn add_id(tx: &mut Tx<'_>, event: &RecordedEvent) -> Result<(), ApplyError> {
    let id = event.correlation_id();
    let day = day_of(event.recorded_at_ms());
    let key = Key::with_capacity(24)
        .i64(day)
        .u64(part_of(id))
        .u64(event.position().0 >> BLOCK_SHIFT);
    let row = tx.get(IDS, &key)?.map(|row| row.to_vec());
    if row.is_none() {
        expire(tx, day)?;
    }
    let mut row = row.unwrap_or_default();
    // Of a command's events in one append the first is enough; it is the row's last entry where they are in one block.
    if Entries(&row)
        .last()
        .is_some_and(|last| last.mark == mark_of(id))
    {
        return Ok(());
    }
    encode_entry(&mut row, id, event.stream(), event.version());
    tx.put(IDS, &key, &row)?;
    Ok(())
}

/// Drops the days that left the window when a new day comes up.
fn expire(tx: &mut Tx<'_>, day: i64) -> Result<(), ApplyError> {
    let last = tx
        .get(DAYS, LAST_DAY)?
        .and_then(|row| row.first_chunk().copied().map(i64::from_be_bytes));
    if last.is_some_and(|last| last >= day) {
        return Ok(());
    }
    tx.put(DAYS, LAST_DAY, &day.to_be_bytes())?;
    // An id that arrived late on the first day is kept for the whole window.
    let first_kept = Key::new().i64(day - WINDOW_DAYS - 1);
    tx.delete_span(IDS, &Span::all().before(&first_kept))?;
    Ok(())
}

/// Streams whose ids are UUIDs take 16 bytes.
const CONVERSATION: u8 = 0;
const CASE: u8 = 1;
const BY_NAME: u8 = 2;

fn encode_entry(row: &mut Vec<u8>, id: Uuid, stream: &str, version: u64) {
    row.extend_from_slice(&mark_of(id).to_be_bytes());
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
}

impl Entry<'_> {
    fn stream(&self) -> Option<StreamName> {
        let uuid = || Uuid::from_slice(self.name).ok();
        let name = match self.kind {
            CONVERSATION => conversation::stream(ConversationId(uuid()?)),
            CASE => domain::case::stream(domain::CaseId(uuid()?)),
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
        let mark = u64::from_be_bytes(*self.take(8)?.first_chunk()?);
        let version = self.varint()?;
        let kind = *self.take(1)?.first()?;
        let len = if kind == BY_NAME {
            usize::try_from(self.varint()?).ok()?
        } else {
            16
        };
        Some(Entry {
            mark,
            version,
            kind,
            name: self.take(len)?,
        })
    }
}

/// Where events stand that may be the first of a command, oldest first: the caller compares the whole id.
pub(crate) fn find_id(reader: &Reader, id: Uuid) -> Result<Vec<(StreamName, u64)>, TableError> {
    let mut found = Vec::new();
    let mark = mark_of(id);
    let Some(last) = reader
        .get(DAYS, LAST_DAY)?
        .and_then(|row| row.first_chunk().copied().map(i64::from_be_bytes))
    else {
        return Ok(found);
    };
    for day in last - WINDOW_DAYS - 1..=last {
        let prefix = Key::new().i64(day).u64(part_of(id));
        for row in reader.scan(IDS, &Span::prefix(&prefix), Order::Ascending)? {
            let (_, row) = row?;
            let places = Entries(&row).filter(|entry| entry.mark == mark);
            found.extend(places.filter_map(|entry| Some((entry.stream()?, entry.version))));
        }
    }
    Ok(found)
}

/// Adds the ids of the window to the filter.
pub(crate) fn fill_filter(reader: &Reader, filter: &SeenFilter) -> Result<(), TableError> {
    for row in reader.scan(IDS, &Span::all(), Order::Ascending)? {
        let (key, row) = row?;
        let mut parts = Parts::of(&key);
        let (Some(day), Some(_part)) = (parts.i64(), parts.u64()) else {
            continue;
        };
        for entry in Entries(&row) {
            filter.add(entry.mark, day.saturating_mul(DAY_MS));
        }
    }
    Ok(())
}

/// What was done with a message after it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageMarks {
    /// Version of the event that unsent it.
    pub(crate) unsent: Option<u64>,
    /// The report that names it, and the version of that event.
    pub(crate) reported: Option<(ReportId, u64)>,
}

/// What is known of a message up to the reader's checkpoint.
pub(crate) fn message_marks(
    reader: &Reader,
    stream: &StreamName,
    number: u64,
) -> Result<MessageMarks, TableError> {
    let key = message_key(stream.as_str(), number);
    let unsent = reader
        .get(UNSENT, &key)?
        .and_then(|row| row.first_chunk().copied().map(u64::from_be_bytes));
    let reported = reader.get(REPORTED, &key)?.and_then(|row| {
        let (report, version) = row.split_first_chunk::<16>()?;
        Some((
            ReportId(Uuid::from_bytes(*report)),
            u64::from_be_bytes(*version.first_chunk()?),
        ))
    });
    Ok(MessageMarks { unsent, reported })
}

/// How many different members reported this member from `since` to `until`, both included; at most `max`.
pub(crate) fn reporters(
    reader: &Reader,
    reported: &MemberId,
    since: Timestamp,
    until: Timestamp,
    max: usize,
) -> Result<u32, TableError> {
    let prefix = Key::new().text(reported.as_str());
    let mut reporters = rustc_hash::FxHashSet::default();
    for row in reader.scan(REPORTS, &Span::prefix(&prefix), Order::Descending)? {
        let (key, _) = row?;
        let mut parts = Parts::of(&key);
        let (Some(_), Some(at), Some(reporter)) = (parts.bytes(), parts.i64(), parts.bytes())
        else {
            continue;
        };
        if at < since.0 || reporters.len() >= max {
            break;
        }
        if at <= until.0 {
            reporters.insert(reporter);
        }
    }
    Ok(u32::try_from(reporters.len()).unwrap_or(u32::MAX))
}

/// Where the causes of the `cases` reactor after a position stand, in the order of the log; at most `max`.
pub(crate) fn causes(
    reader: &Reader,
    after: Position,
    max: usize,
) -> Result<Vec<(Position, StreamName, u64)>, TableError> {
    let mut found = Vec::new();
    let span = Span::all().after(&Key::new().u64(after.0));
    for row in reader.scan(CAUSES, &span, Order::Ascending)?.take(max) {
        let (key, row) = row?;
        let position = Parts::of(&key).u64().map(Position);
        let place = row.split_first_chunk::<8>().and_then(|(version, stream)| {
            let stream = StreamName::new(String::from_utf8(stream.to_vec()).ok()?).ok()?;
            Some((stream, u64::from_be_bytes(*version)))
        });
        found.extend(
            position
                .zip(place)
                .map(|(position, (stream, version))| (position, stream, version)),
        );
    }
    Ok(found)
}

/// The suspensions that have an end.
pub(crate) fn suspensions(reader: &Reader) -> Result<Vec<(MemberId, Suspension)>, TableError> {
    let mut found = Vec::new();
    for row in reader.scan(SUSPENSIONS, &Span::all(), Order::Ascending)? {
        let (key, row) = row?;
        let member = Parts::of(&key)
            .text()
            .and_then(|id| MemberId::new(&id).ok());
        found.extend(member.zip(Suspension::decode(&row)));
    }
    Ok(found)
}

/// The position of rows read through this reader.
pub(crate) fn applied(reader: &Reader) -> Position {
    reader.checkpoint().position
}

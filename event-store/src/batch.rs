//! Batches and segment headers as bytes: what one sync makes durable, whole or not at all.
//!
//! A segment is a header and then batch after batch. A batch is a header and its records; one
//! checksum stands over all of it, and the header repeats the checksum of the batch before, so that
//! batches form a chain through all segments. Everything here works on bytes in memory.

use std::path::Path;

use uuid::Uuid;

use crate::record;
use crate::wire::{i64_at, index, len_u32, put_at, u32_at, u64_at, uuid_at};
use crate::{LogId, OpenError, Position};

/// The format this program writes, and the newest it reads.
pub(crate) const FORMAT: u32 = 1;
/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER: usize = 64;
/// Bytes of a batch's header.
pub(crate) const BATCH_HEADER: usize = 48;
/// What batches and records begin at multiples of.
pub(crate) const ALIGN: usize = 4;

const SEGMENT_MAGIC: &[u8; 8] = b"DOORSEG1";
/// As a record's length it would be far too long, so a batch is told from a record by it.
const BATCH_MAGIC: [u8; 4] = *b"DSB1";

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The log that its batches are bound to.
    pub(crate) log_id: LogId,
    /// The position of its first event.
    pub(crate) first_position: u64,
    /// The checksum of the batch before it; 0 at the log's start.
    pub(crate) chain: u32,
    /// `recorded_at` of the event before it; the least number at the log's start.
    pub(crate) recorded_at_ms: i64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        put_at(&mut out, 0, SEGMENT_MAGIC);
        put_at(&mut out, 8, &FORMAT.to_le_bytes());
        put_at(&mut out, 16, self.log_id.0.as_bytes());
        put_at(&mut out, 32, &self.first_position.to_le_bytes());
        put_at(&mut out, 40, &self.chain.to_le_bytes());
        put_at(&mut out, 48, &self.recorded_at_ms.to_le_bytes());
        let checksum = checksum_around(&out, 12);
        put_at(&mut out, 12, &checksum.to_le_bytes());
        out
    }

    /// Reads a header; the error says what does not check.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(header) = bytes.get(..SEGMENT_HEADER) else {
            return Err("the segment's header is cut short".into());
        };
        if header.get(..8) != Some(SEGMENT_MAGIC.as_slice()) {
            return Err("not a segment's header".into());
        }
        if checksum_around(header, 12) != u32_at(header, 12) {
            return Err("the checksum of the segment's header differs".into());
        }
        if u32_at(header, 8) != FORMAT {
            return Err(format!(
                "format {}, this program knows {FORMAT}",
                u32_at(header, 8)
            ));
        }
        Ok(Self {
            log_id: LogId(uuid_at(header, 16)),
            first_position: u64_at(header, 32),
            chain: u32_at(header, 40),
            recorded_at_ms: i64_at(header, 48),
        })
    }
}

/// The checksum of bytes in which four, at `hole`, hold that checksum.
fn checksum_around(bytes: &[u8], hole: usize) -> u32 {
    let before = bytes.get(..hole).unwrap_or_default();
    let after = bytes.get(hole + 4..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c(before), after)
}

/// The header of a batch that checks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) first_position: u64,
    pub(crate) count: u32,
    pub(crate) body: usize,
    /// The checksum of the batch before.
    pub(crate) chain: u32,
    /// Its own.
    pub(crate) checksum: u32,
    pub(crate) log_id: LogId,
}

impl BatchHeader {
    /// Bytes of header and records.
    pub(crate) fn len(&self) -> usize {
        BATCH_HEADER + self.body
    }

    /// The position after its last event.
    pub(crate) fn next_position(&self) -> u64 {
        self.first_position.saturating_add(u64::from(self.count))
    }
}

/// Whether a batch begins with these bytes, by its magic alone.
pub(crate) fn begins_batch(bytes: &[u8]) -> bool {
    bytes.get(..4) == Some(&BATCH_MAGIC)
}

/// Seals every record in `batch`, which begins with room for the header, then the batch itself.
/// Gives its checksum.
pub(crate) fn seal(
    batch: &mut [u8],
    log_id: LogId,
    first_position: u64,
    count: u32,
    chain: u32,
) -> u32 {
    let mut at = BATCH_HEADER;
    while let Some(len) = batch.get(at..).and_then(record::stored_len) {
        let Some(bytes) = batch.get_mut(at..at + len) else {
            break;
        };
        record::seal(bytes);
        at += len;
    }
    let body = len_u32(batch.len() - BATCH_HEADER);
    put_at(batch, 0, &BATCH_MAGIC);
    put_at(batch, 8, &body.to_le_bytes());
    put_at(batch, 12, &count.to_le_bytes());
    put_at(batch, 16, &first_position.to_le_bytes());
    put_at(batch, 24, &chain.to_le_bytes());
    put_at(batch, 28, &[0; 4]);
    put_at(batch, 32, log_id.0.as_bytes());
    let checksum = checksum_around(batch, 4);
    put_at(batch, 4, &checksum.to_le_bytes());
    checksum
}

/// Checks by itself the batch that begins with these bytes; `bytes` may go on after it.
pub(crate) fn check(bytes: &[u8]) -> Result<BatchHeader, &'static str> {
    if !begins_batch(bytes) {
        return Err("no batch begins here");
    }
    let Some(header) = bytes.get(..BATCH_HEADER) else {
        return Err("the batch's header is cut short");
    };
    let body = index(u64::from(u32_at(header, 8)));
    let Some(whole) = bytes.get(..BATCH_HEADER.saturating_add(body)) else {
        return Err("the batch is cut short");
    };
    let checksum = u32_at(header, 4);
    if checksum_around(whole, 4) != checksum {
        return Err("the batch's checksum differs");
    }
    Ok(BatchHeader {
        first_position: u64_at(header, 16),
        count: u32_at(header, 12),
        body,
        chain: u32_at(header, 24),
        checksum,
        log_id: LogId(uuid_at(header, 32)),
    })
}

/// Where a chain of batches stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The byte after the last batch.
    pub(crate) offset: usize,
    /// The position that the next event gets.
    pub(crate) position: u64,
    /// The checksum of the last batch.
    pub(crate) chain: u32,
}

/// Why a walk ended before the end of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) offset: usize,
    pub(crate) what: String,
}

impl Stop {
    /// The damage as it is told everywhere: the record that does not check, and the batch it is in.
    pub(crate) fn damage(&self, file: &Path, segment: &[u8]) -> OpenError {
        let at = narrow(segment, self.offset);
        let (what, from) = (&self.what, self.offset);
        let what = if at == from {
            what.clone()
        } else if segment.get(from..).is_some_and(begins_batch) {
            format!("{what}; the batch begins at byte {from}")
        } else {
            format!("{what}; the last whole batch ends at byte {from}")
        };
        OpenError::Damaged {
            file: file.to_owned(),
            offset: crate::wire::len_u64(at),
            what,
        }
    }
}

/// The damage of a log that ends before its mark says.
pub(crate) fn short_of_mark(
    file: &Path,
    segment: &[u8],
    link: Link,
    stop: Option<&Stop>,
) -> OpenError {
    match stop {
        Some(stop) => stop.damage(file, segment),
        None => OpenError::Damaged {
            file: file.to_owned(),
            offset: crate::wire::len_u64(link.offset),
            what: "the log ends here, the mark says later".to_owned(),
        },
    }
}

/// Walks the batches of a segment in memory, calls `each` with every record's offset and bytes, and
/// gives the link after the last batch that checks, with what stands against the next one; nothing
/// where the bytes end or only zeros follow.
///
/// A batch is looked through before `each` sees its first record: whole or not at all.
pub(crate) fn walk(
    segment: &[u8],
    log_id: LogId,
    from: Link,
    mut each: impl FnMut(usize, &[u8]),
) -> (Link, Option<Stop>) {
    let mut link = from;
    loop {
        let rest = segment.get(link.offset..).unwrap_or_default();
        if rest.is_empty() {
            return (link, None);
        }
        let (header, problem) = match check(rest) {
            Ok(header) => (Some(header), against(rest, &header, log_id, link)),
            Err(_) if rest.iter().all(|b| *b == 0) => return (link, None),
            Err(what) => (None, Some((0, what.to_owned()))),
        };
        let Some(header) = header.filter(|_| problem.is_none()) else {
            let (at, what) = problem.unwrap_or_default();
            return (
                link,
                Some(Stop {
                    offset: link.offset + at,
                    what,
                }),
            );
        };
        for_each_record(rest, &header, |at, record| each(link.offset + at, record));
        link = Link {
            offset: link.offset + header.len(),
            position: header.next_position(),
            chain: header.checksum,
        };
    }
}

/// What stands against a batch that checks by itself, at this place of this log.
fn against(
    bytes: &[u8],
    header: &BatchHeader,
    log_id: LogId,
    link: Link,
) -> Option<(usize, String)> {
    if header.log_id != log_id {
        return Some((0, format!("a batch of log {}", header.log_id)));
    }
    if header.first_position != link.position {
        let (found, wanted) = (header.first_position, link.position);
        return Some((
            0,
            format!("a batch from position {found} where {wanted} follows"),
        ));
    }
    if header.chain != link.chain {
        return Some((0, "the batch does not follow the one before it".into()));
    }
    let mut at = BATCH_HEADER;
    let mut position = header.first_position;
    while at < header.len() {
        let record = bytes.get(at..header.len()).and_then(|rest| {
            let len = record::stored_len(rest)?;
            rest.get(..len)
        });
        let Some(record) = record else {
            return Some((at, "no record where one follows".into()));
        };
        if let Err(error) = record::check(record) {
            return Some((at, error.to_string()));
        }
        if record::position_of(record) != position {
            return Some((at, format!("a record that is not at position {position}")));
        }
        position += 1;
        at += record.len();
    }
    (position != header.next_position()).then(|| (0, "the batch's count differs".into()))
}

fn for_each_record(bytes: &[u8], header: &BatchHeader, mut each: impl FnMut(usize, &[u8])) {
    let mut at = BATCH_HEADER;
    while let Some(rest) = bytes.get(at..header.len()) {
        let Some(record) = record::stored_len(rest).and_then(|len| rest.get(..len)) else {
            break;
        };
        each(at, record);
        at += record.len();
    }
}

/// Where in a batch that does not check the damage is: its first record whose own checksum or length
/// differs, or else the batch's beginning; behind zeros, the first byte that is none.
pub(crate) fn narrow(segment: &[u8], batch: usize) -> usize {
    let rest = segment.get(batch..).unwrap_or_default();
    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
    if zeros >= BATCH_HEADER {
        return batch + zeros;
    }
    let mut at = batch + BATCH_HEADER;
    while let Some(rest) = segment.get(at..)
        && let Some(record) = record::stored_len(rest).and_then(|len| rest.get(..len))
    {
        if record::check(record).is_err() {
            return at;
        }
        at += record.len();
    }
    match segment.get(at..).unwrap_or_default() {
        rest @ [_, ..] if !begins_batch(rest) && !rest.starts_with(&[0; 4]) => at,
        _ => batch,
    }
}

/// The offset and header of the first batch of this log, at or after `from`, whose first position
/// is `position` or later and that checks by itself: where one stands behind bytes that do not
/// check, those bytes are damage and not the end of the log.
pub(crate) fn find_later(
    segment: &[u8],
    log_id: LogId,
    from: usize,
    position: Position,
) -> Option<(usize, BatchHeader)> {
    let mut at = from.next_multiple_of(ALIGN);
    while let Some(rest) = segment.get(at..).filter(|rest| rest.len() >= BATCH_HEADER) {
        if begins_batch(rest)
            && uuid_at(rest, 32) == log_id.0
            && let Ok(header) = check(rest)
            && header.first_position >= position.0
        {
            return Some((at, header));
        }
        at += ALIGN;
    }
    None
}

/// A fresh log's identity.
pub(crate) fn new_log_id() -> LogId {
    LogId(Uuid::now_v7())
}

//! The mark: how far the log is known to be durable, and whether it was stopped cleanly.
//!
//! A small file with two slots, written in turn after every sync and not synced itself except at a
//! clean stop, so it is never ahead of the log and may be behind after a loss of power. Opening takes
//! what stands before it as acknowledged; another process reads it to know how far it may read.

use crate::LogId;
use crate::backend::BackendFile;
use crate::wire::{put_at, u32_at, u64_at, uuid_at};

/// Bytes of a slot; the file has two.
pub(crate) const SLOT: usize = 64;
const MAGIC: [u8; 4] = *b"DSMK";
const CLEAN: u32 = 1;

/// A durable end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Rises by one with every mark.
    pub(crate) sequence: u64,
    pub(crate) log_id: LogId,
    /// The first position of the segment that the end is in.
    pub(crate) segment: u64,
    /// The byte after the last durable batch.
    pub(crate) offset: u64,
    /// The durable position.
    pub(crate) position: u64,
    /// The checksum of the last durable batch.
    pub(crate) chain: u32,
    /// The store ended here, by its own will.
    pub(crate) clean: bool,
}

impl Mark {
    pub(crate) fn encode(&self) -> [u8; SLOT] {
        let mut out = [0; SLOT];
        put_at(&mut out, 0, &MAGIC);
        put_at(&mut out, 8, &self.sequence.to_le_bytes());
        put_at(&mut out, 16, self.log_id.0.as_bytes());
        put_at(&mut out, 32, &self.segment.to_le_bytes());
        put_at(&mut out, 40, &self.offset.to_le_bytes());
        put_at(&mut out, 48, &self.position.to_le_bytes());
        put_at(&mut out, 56, &self.chain.to_le_bytes());
        put_at(
            &mut out,
            60,
            &(if self.clean { CLEAN } else { 0 }).to_le_bytes(),
        );
        let checksum = checksum(&out);
        put_at(&mut out, 4, &checksum.to_le_bytes());
        out
    }

    fn decode(slot: &[u8]) -> Option<Self> {
        let checks = slot.len() == SLOT
            && slot.get(..4) == Some(&MAGIC)
            && checksum(slot) == u32_at(slot, 4);
        checks.then(|| Self {
            sequence: u64_at(slot, 8),
            log_id: LogId(uuid_at(slot, 16)),
            segment: u64_at(slot, 32),
            offset: u64_at(slot, 40),
            position: u64_at(slot, 48),
            chain: u32_at(slot, 56),
            clean: u32_at(slot, 60) == CLEAN,
        })
    }

    /// Writes it into the slot whose turn it is.
    pub(crate) fn write(&self, file: &dyn BackendFile) -> std::io::Result<()> {
        file.write_at(
            &self.encode(),
            (self.sequence % 2) * crate::wire::len_u64(SLOT),
        )
    }
}

fn checksum(slot: &[u8]) -> u32 {
    let before = slot.get(..4).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c(before), slot.get(8..).unwrap_or_default())
}

/// The slots as read: the newest mark that checks, and the offset of a slot that does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) newest: Option<Mark>,
    pub(crate) damaged_at: Option<u64>,
}

/// Reads the file's two slots.
pub(crate) fn read(file: &dyn BackendFile) -> std::io::Result<Slots> {
    let mut bytes = vec![0; 2 * SLOT + 1];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    let mut slots = Slots::default();
    for number in 0..2 {
        let slot = bytes
            .get(number * SLOT..((number + 1) * SLOT).min(read))
            .unwrap_or_default();
        match Mark::decode(slot) {
            Some(mark)
                if slots
                    .newest
                    .is_none_or(|best| mark.sequence > best.sequence) =>
            {
                slots.newest = Some(mark);
            }
            Some(_) => {}
            None => slots.damaged_at = Some(crate::wire::len_u64(number * SLOT)),
        }
    }
    if read > 2 * SLOT {
        slots.damaged_at = Some(crate::wire::len_u64(2 * SLOT));
    }
    Ok(slots)
}

//! Little-endian numbers at places in a byte slice.
//!
//! Reading outside of the slice gives zero: every reader here checks lengths first, and a checksum
//! stands over what is read.

use uuid::Uuid;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    array_at(bytes, at).map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    array_at(bytes, at).map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    array_at(bytes, at).map_or(0, u64::from_le_bytes)
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    array_at(bytes, at).map_or(0, i64::from_le_bytes)
}

pub(crate) fn uuid_at(bytes: &[u8], at: usize) -> Uuid {
    array_at(bytes, at).map_or(Uuid::nil(), Uuid::from_bytes)
}

/// Writes over what stands at a place; nothing where it does not fit.
pub(crate) fn put_at(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// A length as the format writes it. What is written is bounded far below, so nothing is cut.
pub(crate) fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A length as a file's offset.
pub(crate) fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A file's number as an index; beyond the machine's width it fits nowhere.
pub(crate) fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

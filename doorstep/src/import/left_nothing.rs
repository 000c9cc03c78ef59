//! The ids of lines that carried nothing out, unchanged or refused, with what they came to: for the rest of the file.
//!
//! Promise: an id costs 24 bytes of memory and its share of a table that is at least seven sixteenths full once it has
//! grown, so at most 57, or 57 MB a million. For that an id is known by 96 bits of its hash and its content by 48: among
//! a hundred million ids two are taken for one with a chance below one in 10^12.

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::CameTo;

/// What is known of an id: 6 bytes of its content, 5 of its line, one for what it came to.
type Entry = [u8; 12];

/// Those so far.
#[derive(Default)]
pub(super) struct LeftNothing {
    entries: FxHashMap<[u8; 12], Entry>,
    /// What lines came to, of which there are as many kinds as codes.
    kinds: Vec<CameTo>,
}

/// What the first line with an id came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct First {
    content: [u8; 6],
    /// What it came to.
    pub(super) came: CameTo,
    /// Its number.
    pub(super) line: u64,
}

impl First {
    /// Whether it had this content.
    pub(super) fn is_of(&self, content: Uuid) -> bool {
        self.content == digest_of(content)
    }
}

impl LeftNothing {
    /// Remembers the first line with an id.
    pub(super) fn add(&mut self, id: Uuid, content: Uuid, came: CameTo, line: u64) {
        let kind = self.kinds.iter().position(|kind| *kind == came);
        let kind = kind.unwrap_or_else(|| {
            self.kinds.push(came);
            self.kinds.len() - 1
        });
        // No file has 2^40 lines, and there are fewer codes than 2^8.
        let (Ok(kind), [0, 0, 0, l0, l1, l2, l3, l4]) = (u8::try_from(kind), line.to_be_bytes())
        else {
            return;
        };
        let [c0, c1, c2, c3, c4, c5] = digest_of(content);
        let entry = [c0, c1, c2, c3, c4, c5, l0, l1, l2, l3, l4, kind];
        self.entries.entry(key_of(id)).or_insert(entry);
    }

    /// What the first line with this id came to, where it carried nothing out.
    pub(super) fn first(&self, id: Uuid) -> Option<First> {
        let [c0, c1, c2, c3, c4, c5, l0, l1, l2, l3, l4, kind] = *self.entries.get(&key_of(id))?;
        Some(First {
            content: [c0, c1, c2, c3, c4, c5],
            came: *self.kinds.get(usize::from(kind))?,
            line: u64::from_be_bytes([0, 0, 0, l0, l1, l2, l3, l4]),
        })
    }
}

/// The bytes of a hashed id that say neither its version nor its variant.
fn key_of(id: Uuid) -> [u8; 12] {
    let [
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        _,
        _,
        _,
        _,
        b10,
        b11,
        b12,
        b13,
        b14,
        b15,
    ] = id.into_bytes();
    [b0, b1, b2, b3, b4, b5, b10, b11, b12, b13, b14, b15]
}

fn digest_of(content: Uuid) -> [u8; 6] {
    let [.., b10, b11, b12, b13, b14, b15] = content.into_bytes();
    [b10, b11, b12, b13, b14, b15]
}

#[cfg(test)]
mod spec {
    use super::*;

    fn uuid(n: u64) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes())
    }

    #[test]
    fn tells_what_the_first_line_of_each_id_came_to() {
        let mut left = LeftNothing::default();
        let codes = ["not_found", "too_large", "no_request"];
        let came = |n: u64| match codes.get(usize::try_from(n % 4).unwrap()) {
            Some(code) => CameTo::Refused(code),
            None => CameTo::Unchanged,
        };
        for n in 0..10_000 {
            left.add(uuid(n), uuid(n + 20_000), came(n), n << 20);
            // A later line does not take its place.
            left.add(uuid(n), uuid(n), CameTo::Unchanged, 1);
        }
        for n in 0..10_000 {
            let first = left.first(uuid(n)).unwrap();
            assert_eq!((first.came, first.line), (came(n), n << 20));
            assert!(first.is_of(uuid(n + 20_000)) && !first.is_of(uuid(n)));
        }
        assert!((10_000..20_000).all(|n| left.first(uuid(n)).is_none()));
    }

    #[test]
    fn keeps_24_bytes_of_an_id() {
        assert_eq!(size_of::<([u8; 12], Entry)>(), 24);
    }
}

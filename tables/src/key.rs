//! Keys whose byte order is the order meant: numbers, numbers falling, texts, and one after the other.
//!
//! Every part is self-delimiting or of fixed size, so that keys put together part by part sort part by part. Texts
//! are closed by `00 00`, a zero byte inside them is written `00 FF`; no text's encoding is a prefix of another's.

/// Builds a key part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// An empty key.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty key with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends a byte.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// Appends a number, smaller ones first.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Appends a number, greater ones first.
    #[must_use]
    pub fn u64_desc(self, value: u64) -> Self {
        self.u64(!value)
    }

    /// Appends a number with a sign, smaller ones first.
    #[must_use]
    pub fn i64(self, value: i64) -> Self {
        self.u64(value.cast_unsigned() ^ (1 << 63))
    }

    /// Appends a number with a sign, greater ones first.
    #[must_use]
    pub fn i64_desc(self, value: i64) -> Self {
        self.u64(!(value.cast_unsigned() ^ (1 << 63)))
    }

    /// Appends a text, closed so that what follows does not change its place.
    #[must_use]
    pub fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Appends bytes of any length, closed like a text.
    #[must_use]
    pub fn bytes(mut self, value: &[u8]) -> Self {
        for (index, part) in value.split(|byte| *byte == 0).enumerate() {
            if index > 0 {
                self.0.extend_from_slice(&[0, 0xFF]);
            }
            self.0.extend_from_slice(part);
        }
        self.0.extend_from_slice(&[0, 0]);
        self
    }

    /// Appends bytes of a size that is the same in every such key, such as an id's 16.
    #[must_use]
    pub fn fixed(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Takes a key apart, part by part, in the order it was built.
#[derive(Clone, Debug)]
pub struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// The parts of `key`.
    pub fn of(key: &'a [u8]) -> Self {
        Self(key)
    }

    /// Takes a byte.
    pub fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Takes a number.
    pub fn u64(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    /// Takes a falling number.
    pub fn u64_desc(&mut self) -> Option<u64> {
        self.u64().map(|number| !number)
    }

    /// Takes a number with a sign.
    pub fn i64(&mut self) -> Option<i64> {
        self.u64().map(|number| (number ^ (1 << 63)).cast_signed())
    }

    /// Takes a falling number with a sign.
    pub fn i64_desc(&mut self) -> Option<i64> {
        self.u64().map(|number| (!number ^ (1 << 63)).cast_signed())
    }

    /// Takes a text.
    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    /// Takes bytes of any length.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            match (self.u8()?, self.0.first()) {
                (0, Some(0)) => {
                    self.u8();
                    return Some(bytes);
                }
                (0, Some(0xFF)) => {
                    self.u8();
                    bytes.push(0);
                }
                (0, _) => return None,
                (byte, _) => bytes.push(byte),
            }
        }
    }

    /// Takes bytes of a fixed size.
    pub fn fixed<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let (bytes, rest) = self.0.split_first_chunk::<SIZE>()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod spec {
    use proptest::prelude::*;

    use super::*;

    /// One of each kind of part, so that the order of keys is that of the tuples.
    type Tuple = (String, u64, i64, Vec<u8>);

    fn key((text, number, signed, bytes): &Tuple) -> Key {
        Key::new().text(text).u64(*number).i64(*signed).bytes(bytes)
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_parts_do(a: Tuple, b: Tuple) {
            prop_assert_eq!(key(&a).as_bytes().cmp(key(&b).as_bytes()), a.cmp(&b));
        }

        #[test]
        fn falling_numbers_sort_the_other_way(a: (u64, i64), b: (u64, i64)) {
            let key = |(number, signed): (u64, i64)| Key::new().u64_desc(number).i64_desc(signed);
            prop_assert_eq!(key(a).as_bytes().cmp(key(b).as_bytes()), b.cmp(&a));
        }

        #[test]
        fn texts_with_one_beginning_sort_as_texts(
            beginning in "[a\\x00]{0,4}", a in "[\\x00\\x01a\u{7f}]{0,4}", b in "[\\x00\\x01a\u{7f}]{0,4}",
        ) {
            let (a, b) = (format!("{beginning}{a}"), format!("{beginning}{b}"));
            let key = |text: &str| Key::new().text(text).u8(7);
            prop_assert_eq!(key(&a).as_bytes().cmp(key(&b).as_bytes()), a.cmp(&b));
        }

        #[test]
        fn a_key_comes_apart_into_its_parts(tuple: Tuple, falling: u64, signed: i64, id: [u8; 16], byte: u8) {
            let key = key(&tuple).u64_desc(falling).i64_desc(signed).fixed(&id).u8(byte);
            let mut parts = Parts::of(&key);
            prop_assert_eq!(parts.text(), Some(tuple.0));
            prop_assert_eq!(parts.u64(), Some(tuple.1));
            prop_assert_eq!(parts.i64(), Some(tuple.2));
            prop_assert_eq!(parts.bytes(), Some(tuple.3));
            prop_assert_eq!(parts.u64_desc(), Some(falling));
            prop_assert_eq!(parts.i64_desc(), Some(signed));
            prop_assert_eq!(parts.fixed(), Some(id));
            prop_assert_eq!(parts.u8(), Some(byte));
            prop_assert!(parts.rest().is_empty());
        }

        #[test]
        fn what_is_not_a_key_comes_apart_into_nothing(bytes: Vec<u8>) {
            let mut parts = Parts::of(&bytes);
            while parts.text().is_some() {}
            prop_assert!(parts.rest().len() <= bytes.len());
        }
    }
}

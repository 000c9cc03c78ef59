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
        for &byte in value {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xFF);
            }
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

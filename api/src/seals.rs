//! What is held outside without being readable there: opaque positions, opaque cursors, and the mark of a form.
//!
//! A position is one AES-128 block over the position and a check of the log it belongs to, so the same position is the
//! same string and nobody counts the events between two of them. A cursor is sealed under a synthetic initialization
//! vector, a MAC over its view, its member and its content, so that one that was made for another view or member is none.
//! A form's mark is a MAC over the cookie of who was given it. All keys come from the signing key by HMAC-SHA256. With another log's id they answer [`Unsealed::OtherLog`].
//! Who is shown numbers instead is decided in `caller`.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Marks a block that was made here; a block of another key shows it once in four billion.
const MARK: [u8; 4] = *b"dps1";
/// A cursor's content is at most this long; views use far less.
const CURSOR_BYTES_MAX: usize = 512;

/// The ciphers that one signing key gives.
#[derive(Clone)]
pub(crate) struct Seal {
    positions: Aes128,
    cursors: Aes128,
    cursor_mac: Hmac<Sha256>,
    forms: Hmac<Sha256>,
}

/// The outcome of opening a string that a client gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unsealed<T> {
    /// It was made here, for this log.
    Here(T),
    /// It was made here, for another log.
    OtherLog,
    /// It was never made here.
    Nothing,
}

impl Seal {
    /// Derives the ciphers from a signing key.
    pub(crate) fn derive(secret: &[u8]) -> Self {
        let mac_key = subkey(secret, b"doorstep cursor mac v1");
        Seal {
            positions: Aes128::new(&half(&subkey(secret, b"doorstep position v1"))),
            cursors: Aes128::new(&half(&subkey(secret, b"doorstep cursor v1"))),
            cursor_mac: keyed(&mac_key),
            forms: keyed(&subkey(secret, b"doorstep forms v1")),
        }
    }

    /// The opaque form of a position.
    pub(crate) fn position(&self, log_id: Uuid, position: u64) -> String {
        let mut block = [0_u8; 16];
        let (number, rest) = block.split_at_mut(8);
        let (mark, check) = rest.split_at_mut(4);
        number.copy_from_slice(&position.to_be_bytes());
        mark.copy_from_slice(&MARK);
        check.copy_from_slice(&log_check(log_id));
        let mut block = Array::from(block);
        self.positions.encrypt_block(&mut block);
        URL_SAFE_NO_PAD.encode(block)
    }

    /// The position behind an opaque form.
    pub(crate) fn open_position(&self, log_id: Uuid, text: &str) -> Unsealed<u64> {
        let mut block = [0_u8; 16];
        if text.len() != 22 || URL_SAFE_NO_PAD.decode_slice(text, &mut block) != Ok(16) {
            return Unsealed::Nothing;
        }
        let mut block = Array::from(block);
        self.positions.decrypt_block(&mut block);
        let [p0, p1, p2, p3, p4, p5, p6, p7, mark @ .., c0, c1, c2, c3] = block.0;
        if mark != MARK {
            Unsealed::Nothing
        } else if [c0, c1, c2, c3] == log_check(log_id) {
            Unsealed::Here(u64::from_be_bytes([p0, p1, p2, p3, p4, p5, p6, p7]))
        } else {
            Unsealed::OtherLog
        }
    }

    /// The opaque form of a view's cursor for one reader.
    pub(crate) fn cursor(&self, log_id: Uuid, view: &str, reader: &str, content: &[u8]) -> String {
        let mut plain = Vec::with_capacity(32 + content.len());
        plain.extend_from_slice(&[0; 16]);
        plain.extend_from_slice(log_id.as_bytes());
        plain.extend_from_slice(content);
        let (iv, body) = plain.split_at_mut(16);
        let mac = self.cursor_iv(view, reader, body);
        iv.copy_from_slice(&mac);
        self.stream(&mac, body);
        URL_SAFE_NO_PAD.encode(plain)
    }

    /// The content behind a cursor that this view gave this reader.
    pub(crate) fn open_cursor(
        &self,
        log_id: Uuid,
        view: &str,
        reader: &str,
        text: &str,
    ) -> Unsealed<Vec<u8>> {
        if text.len() > (32 + CURSOR_BYTES_MAX) * 4 / 3 + 1 {
            return Unsealed::Nothing;
        }
        let Ok(mut sealed) = URL_SAFE_NO_PAD.decode(text) else {
            return Unsealed::Nothing;
        };
        let Some((iv, body)) = sealed.split_first_chunk_mut::<16>() else {
            return Unsealed::Nothing;
        };
        self.stream(iv, body);
        let Some((of_log, content)) = body.split_first_chunk::<16>() else {
            return Unsealed::Nothing;
        };
        if self.cursor_iv(view, reader, body) != *iv {
            Unsealed::Nothing
        } else if of_log == log_id.as_bytes() {
            Unsealed::Here(content.to_vec())
        } else {
            Unsealed::OtherLog
        }
    }

    /// What a form of these pages carries that was made for who has this cookie.
    pub(crate) fn form(&self, pages: &str, cookie: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.form_mac(pages, cookie).finalize().into_bytes())
    }

    /// Whether a form carries what was made for this cookie; takes as long whatever it carries.
    pub(crate) fn is_form(&self, pages: &str, cookie: &str, text: &str) -> bool {
        let mut given = [0_u8; 32];
        text.len() == 43
            && URL_SAFE_NO_PAD.decode_slice(text, &mut given) == Ok(32)
            && self.form_mac(pages, cookie).verify_slice(&given).is_ok()
    }

    fn form_mac(&self, pages: &str, cookie: &str) -> Hmac<Sha256> {
        let mut mac = self.forms.clone();
        for part in [pages, cookie] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    fn cursor_iv(&self, view: &str, reader: &str, body: &[u8]) -> [u8; 16] {
        let mut mac = self.cursor_mac.clone();
        for part in [view.as_bytes(), reader.as_bytes()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.update(body);
        half(&mac.finalize().into_bytes().into()).0
    }

    /// AES-128 in counter mode from `iv`; its own inverse.
    fn stream(&self, iv: &[u8; 16], body: &mut [u8]) {
        let mut counter = u128::from_be_bytes(*iv);
        for chunk in body.chunks_mut(16) {
            let mut block = Array::from(counter.to_be_bytes());
            self.cursors.encrypt_block(&mut block);
            for (byte, key) in chunk.iter_mut().zip(block) {
                *byte ^= key;
            }
            counter = counter.wrapping_add(1);
        }
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    // A key of 32 bytes is padded to the block and never refused.
    let mut block = [0_u8; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::<Sha256>::new(&Array::from(block))
}

fn subkey(secret: &[u8], label: &[u8]) -> [u8; 32] {
    // HMAC takes the digest of a key that is longer than its block; taking it of every key keeps this infallible.
    let mut mac = keyed(&Sha256::digest(secret).into());
    mac.update(label);
    mac.finalize().into_bytes().into()
}

fn half(bytes: &[u8; 32]) -> Array<u8, aes::cipher::typenum::U16> {
    let mut first = [0_u8; 16];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    Array::from(first)
}

fn log_check(log_id: Uuid) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::digest(log_id.as_bytes()).into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::{Seal, Unsealed};
    use uuid::Uuid;

    const LOG: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn the_same_position_is_the_same_string_and_comes_back() {
        let seal = Seal::derive(b"a secret of this test, long enough");
        for position in [0, 1, 2, u64::MAX] {
            let text = seal.position(LOG, position);
            assert_eq!(text, seal.position(LOG, position));
            assert_eq!(seal.open_position(LOG, &text), Unsealed::Here(position));
            assert_eq!(seal.open_position(OTHER, &text), Unsealed::OtherLog);
        }
    }

    #[test]
    fn refuses_positions_that_were_not_made_here() {
        let seal = Seal::derive(b"a secret of this test, long enough");
        let foreign = Seal::derive(b"another secret of this test, long").position(LOG, 7);
        for text in [
            "",
            "7",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "not base64!!!!!!!!!!!!!",
            foreign.as_str(),
        ] {
            assert_eq!(seal.open_position(LOG, text), Unsealed::Nothing, "{text}");
        }
    }

    #[test]
    fn a_cursor_opens_for_its_view_and_reader_alone() {
        let seal = Seal::derive(b"a secret of this test, long enough");
        let text = seal.cursor(
            LOG,
            "inbox",
            "ann",
            b"some key of a view that is longer than a block",
        );
        assert_eq!(
            seal.open_cursor(LOG, "inbox", "ann", &text),
            Unsealed::Here(b"some key of a view that is longer than a block".to_vec())
        );
        assert_eq!(
            seal.open_cursor(LOG, "requests", "ann", &text),
            Unsealed::Nothing
        );
        assert_eq!(
            seal.open_cursor(LOG, "inbox", "bob", &text),
            Unsealed::Nothing
        );
        assert_eq!(
            seal.open_cursor(OTHER, "inbox", "ann", &text),
            Unsealed::OtherLog
        );
        let mut bent = text.clone().into_bytes();
        bent[30] = if bent[30] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            seal.open_cursor(LOG, "inbox", "ann", std::str::from_utf8(&bent).unwrap()),
            Unsealed::Nothing
        );
        assert_eq!(seal.open_cursor(LOG, "inbox", "ann", ""), Unsealed::Nothing);
    }
}

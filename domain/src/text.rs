//! Texts that members write: their type of their own, and their limits.
//!
//! Message texts and report comments are personal content. In events they have the type [`Text`], so that the codec is
//! the one place that will ever seal them, and so that no log line prints one by accident. [`check`] holds a text
//! against its limits; which limits apply is the policy's matter.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::policy::TEXT_BYTES_MAX;

/// A text that somebody wrote, as it was sent: personal content.
// Borrowed from the log's bytes where it holds no JSON escapes. Its bound in the catalogue is of bytes, under any
// policy; JSON Schema counts characters, of which there are never more.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("x-personal" = true))]
pub struct Text<'a>(
    #[serde(borrow)]
    #[schemars(length(max = TEXT_BYTES_MAX))]
    Cow<'a, str>,
);

impl<'a> Text<'a> {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, no longer borrowed.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }

    /// The text as the copy-on-write string it is.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text(Cow::Owned(text))
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// The most a text may hold. Graphemes are extended grapheme clusters of Unicode; bytes are those of its UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most extended grapheme clusters.
    pub graphemes_max: u32,
    /// Most bytes of UTF-8.
    pub bytes_max: u32,
}

/// Why a text cannot be taken, naming the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextProblem {
    /// Nothing is left after trimming Unicode white space.
    Empty,
    /// More grapheme clusters than this.
    GraphemesMax(u32),
    /// More bytes than this.
    BytesMax(u32),
    /// It holds a U+0000.
    Nul,
}

/// Holds a text that may be empty against its limits; it is counted as sent, white space included.
pub fn check(text: &str, limits: Limits) -> Result<(), TextProblem> {
    if text.len() > limits.bytes_max as usize {
        return Err(TextProblem::BytesMax(limits.bytes_max));
    }
    if text.as_bytes().contains(&0) {
        return Err(TextProblem::Nul);
    }
    // A cluster takes at least one byte, so short texts need no segmentation.
    let graphemes_max = limits.graphemes_max as usize;
    if text.len() > graphemes_max && text.graphemes(true).nth(graphemes_max).is_some() {
        return Err(TextProblem::GraphemesMax(limits.graphemes_max));
    }
    Ok(())
}

/// Like [`check`], for a text that must say something.
pub fn check_nonempty(text: &str, limits: Limits) -> Result<(), TextProblem> {
    if text.trim().is_empty() {
        return Err(TextProblem::Empty);
    }
    check(text, limits)
}

#[cfg(test)]
mod spec {
    use super::*;

    const LIMITS: Limits = Limits {
        graphemes_max: 3,
        bytes_max: 12,
    };

    #[test]
    fn counts_graphemes_not_code_points() {
        assert_eq!(
            check("\u{1f1e9}\u{1f1ea}abc", LIMITS),
            Err(TextProblem::GraphemesMax(3))
        );
        assert_eq!(check("\u{1f1e9}\u{1f1ea}ab", LIMITS), Ok(()));
        assert_eq!(check("a\r\nb", LIMITS), Ok(()));
    }

    #[test]
    fn counts_bytes_before_anything_else() {
        assert_eq!(
            check("0123456789abc", LIMITS),
            Err(TextProblem::BytesMax(12))
        );
    }

    #[test]
    fn takes_an_empty_text_only_where_it_may_be() {
        assert_eq!(check("", LIMITS), Ok(()));
        assert_eq!(
            check_nonempty("\u{2003}\t", LIMITS),
            Err(TextProblem::Empty)
        );
        // A zero-width space is no white space to Unicode: something is left.
        assert_eq!(check_nonempty("\u{200b}", LIMITS), Ok(()));
    }

    #[test]
    fn does_not_print_what_was_written() {
        assert_eq!(format!("{:?}", Text::from("secret")), "Text(6 bytes)");
    }
}

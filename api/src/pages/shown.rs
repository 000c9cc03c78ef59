//! Times and words as pages show them.

use std::fmt;

use askama::FastWritable;
use askama::filters::HtmlSafe;
use chrono::{TimeZone as _, Utc};
use domain::case::Category;
use domain::time::Timestamp;
use serde::Serialize;

/// Bytes and lines of a text that is shown whole.
const LONG_BYTES: usize = 600;
const LONG_LINES: usize = 15;

/// A time, written as an element of its own: for machines to the millisecond, for people to the minute, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When(pub(crate) Timestamp);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_ms = self.0.as_millis();
        let machine = crate::time::format(at_ms);
        // Beyond the years that a calendar has, the machine's form says it.
        let people = match Utc.timestamp_millis_opt(at_ms).single() {
            Some(time) => time.format("%-d %b %Y, %H:%M").to_string(),
            None => machine.clone(),
        };
        write!(f, "<time datetime=\"{machine}\">{people} UTC</time>")
    }
}

/// Digits and names of months alone.
impl HtmlSafe for When {}

impl FastWritable for When {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn askama::Values) -> askama::Result<()> {
        Ok(write!(dest, "{self}")?)
    }
}

/// A word of the wire.
pub(crate) fn word(of: &impl Serialize) -> String {
    let word = serde_json::to_value(of).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

/// A category in words.
pub(crate) const fn category(category: Category) -> &'static str {
    match category {
        Category::Spam => "spam",
        Category::Scam => "scam",
        Category::Harassment => "harassment",
        Category::Hate => "hate",
        Category::SexualContent => "sexual content",
        Category::MinorSafety => "minor safety",
        Category::Violence => "violence",
        Category::SelfHarm => "self-harm",
        Category::Impersonation => "impersonation",
        Category::IllegalGoods => "illegal goods",
        Category::Other => "other",
    }
}

/// Whether a text of a member takes so much room that it scrolls by itself.
pub(crate) fn is_long(text: &str) -> bool {
    text.len() > LONG_BYTES || text.lines().count() > LONG_LINES
}

/// A number of things: `1 report`, `2 reports`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

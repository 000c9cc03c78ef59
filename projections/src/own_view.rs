//! A view of one's own: what an engineer writes in one file, and what is said there of how its rows are read.
//!
//! Beside what every view says ([`View`]: its name, its version, its tables, what an event does to their rows) it says in
//! which lists its rows are served ([`OwnView::lists`]), to whom ([`OwnView::readers`]), and what a row is as JSON
//! ([`OwnView::item`]). All else follows from that: `GET /v1/views/{name}` with pages and filters, rebuild, verification,
//! readiness, metrics. It needs one line in `own`, and nothing anywhere else.
//!
//! An own view is not for members: that no answer tells a sender what became of their messages is held for the built-in
//! routes one by one. What a member shall see of it the app's backend asks for, as `service`, and passes on. It keeps no
//! texts of messages, and is not answered as of a moment.

use std::fmt;
use std::sync::Arc;

use domain::ids::MemberId;
use serde_json::value::RawValue;
use tables::View;
use tables::key::Key;

use crate::IsoWeek;
use crate::codec::DomainCodec;

/// Most bytes of an own view's name, so that it has room in a cursor.
pub const OWN_NAME_BYTES_MAX: usize = 64;
/// Parameters that every own view takes, and none has for its own.
pub(crate) const RESERVED: [&str; 4] = ["limit", "cursor", "order", "min_position"];
/// Most bytes of a text that narrows a list.
const TEXT_BYTES_MAX: usize = 128;

/// A view of one's own.
pub trait OwnView: View<DomainCodec> {
    /// How its rows can be read: the first list is the one that is served where nothing is asked for, others are there for
    /// what narrows them. At least one.
    fn lists(&self) -> &'static [List];

    /// Which roles may read it. At least one.
    fn readers(&self) -> &'static [Staff];

    /// A row of a served table as the JSON object that callers get. A time is told as it is everywhere, a ratio as two whole
    /// numbers. Keys of served rows are at most [`crate::Cursor::KEY_BYTES_MAX`] bytes.
    fn item(&self, key: &[u8], row: &[u8]) -> anyhow::Result<Box<RawValue>>;

    /// The version before, where there is a [`View::earlier`]: the same view, which says how the rows of that version are
    /// read. While those are served, its lists, readers and items are the ones that count.
    fn before(&self) -> Option<Arc<dyn OwnView>> {
        None
    }
}

/// The version of a view that reads the rows of version `rows`; none where no version at hand does.
pub(crate) fn of_version(view: &Arc<dyn OwnView>, rows: u32) -> Option<Arc<dyn OwnView>> {
    if view.version() == rows {
        return Some(Arc::clone(view));
    }
    view.before().filter(|before| before.version() == rows)
}

impl fmt::Debug for dyn OwnView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who reads own views: a role of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staff {
    /// Works on the cases.
    Moderator,
    /// Reads the log and the past.
    Auditor,
    /// The host's own backend.
    Service,
    /// Runs the service.
    Operator,
}

/// A table whose rows are served, and what its keys begin with.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// One of the view's tables.
    pub table: &'static str,
    /// The parts of its keys that parameters narrow, from the first on. What follows them in a key is the view's own.
    pub key: &'static [Part],
}

/// A part of a key, and the parameter that narrows by it.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The parameter's name: lower case, digits and `_`.
    pub name: &'static str,
    /// What its value has to be, in words.
    pub form: &'static str,
    /// Whether `NAME_from` and `NAME_to` (both inclusive) narrow as well.
    pub ranged: bool,
    /// Appends what the value stands for, as the view's keys have it; none where the value is not of the form.
    pub append: fn(Key, &str) -> Option<Key>,
}

impl Part {
    /// A member's id, in keys as a text.
    pub const fn member(name: &'static str) -> Self {
        Self {
            name,
            form: "a member's id: 1-128 characters of `A-Z a-z 0-9 . _ : -`",
            ranged: false,
            append: |key, value| {
                let member = MemberId::new(value).ok()?;
                Some(key.text(member.as_str()))
            },
        }
    }

    /// An ISO week, in keys as its text.
    pub const fn week(name: &'static str) -> Self {
        Self {
            name,
            form: "an ISO week such as `2004-W05`",
            ranged: true,
            append: |key, value| {
                let week: IsoWeek = value.parse().ok()?;
                Some(key.text(&week.to_string()))
            },
        }
    }

    /// A whole number from 0 on, in keys as such.
    pub const fn number(name: &'static str) -> Self {
        Self {
            name,
            form: "a whole number, 0 or more",
            ranged: true,
            append: |key, value| {
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                Some(key.u64(value.parse().ok().filter(|_| digits)?))
            },
        }
    }

    /// Any text, in keys as such.
    pub const fn text(name: &'static str) -> Self {
        Self {
            name,
            form: "a text of 1-128 bytes",
            ranged: false,
            append: |key, value| {
                let fits = (1..=TEXT_BYTES_MAX).contains(&value.len());
                fits.then(|| key.text(value))
            },
        }
    }

    /// The parameters that narrow by it.
    pub(crate) fn parameters(&self) -> Vec<String> {
        let mut names = vec![self.name.to_owned()];
        if self.ranged {
            names.extend([self.from(), self.to()]);
        }
        names
    }

    pub(crate) fn from(&self) -> String {
        format!("{}_from", self.name)
    }

    pub(crate) fn to(&self) -> String {
        format!("{}_to", self.name)
    }
}

/// The parameters that narrow a view's lists, each once.
pub(crate) fn parameters(view: &dyn OwnView) -> Vec<String> {
    let mut names = Vec::new();
    for part in view.lists().iter().flat_map(|list| list.key) {
        for name in part.parameters() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// As the names of views and tables are.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(inner)
}

/// Why an own view cannot be served, in words.
pub(crate) fn check(view: &dyn OwnView) -> Result<(), String> {
    check_one(view)?;
    let (earlier, before) = (view.earlier(), view.before());
    let of_earlier = earlier.map(|earlier| (earlier.name(), earlier.version()));
    let of_before = before.as_ref().map(|view| (view.name(), view.version()));
    if of_earlier != of_before {
        let told = |version: Option<(&str, u32)>| match version {
            Some((name, version)) => format!("version {version} of `{name}`"),
            None => "none".to_owned(),
        };
        return Err(format!(
            "of `{}` the version before is to be followed and read by the same code: `earlier` gives {}, `before` {}",
            view.name(),
            told(of_earlier),
            told(of_before)
        ));
    }
    before.map_or(Ok(()), |before| check_one(&*before))
}

/// The same, of one version by itself.
fn check_one(view: &dyn OwnView) -> Result<(), String> {
    let name = view.name();
    if name.len() > OWN_NAME_BYTES_MAX {
        return Err(format!(
            "`{name}` is longer than {OWN_NAME_BYTES_MAX} bytes"
        ));
    }
    if view.lists().is_empty() || view.readers().is_empty() {
        return Err(format!("`{name}` has no list, or nobody may read it"));
    }
    for list in view.lists() {
        if !view.tables().contains(&list.table) {
            return Err(format!("`{name}` has no table `{}` to serve", list.table));
        }
        let mut names: Vec<String> = RESERVED.map(str::to_owned).to_vec();
        for parameter in list.key.iter().flat_map(Part::parameters) {
            if !is_name(&parameter) || names.contains(&parameter) {
                return Err(format!(
                    "`{name}` cannot have a parameter `{parameter}`: it is taken, or no name"
                ));
            }
            names.push(parameter);
        }
    }
    Ok(())
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn a_part_takes_what_is_of_its_form_and_nothing_else() {
        let long = "x".repeat(129);
        for (part, takes, refuses) in [
            (
                Part::member("member"),
                ["ann", "did:plc:z72i7"],
                ["", "a b", "ä", &long],
            ),
            (
                Part::week("week"),
                ["2004-W05", "2004-W53"],
                ["", "2004-W5", "2005-W53", "5"],
            ),
            (
                Part::number("at"),
                ["0", "18446744073709551615"],
                ["", "-1", "+1", "18446744073709551616"],
            ),
            (Part::text("from"), ["a b", "ä"], ["", &long, &long, &long]),
        ] {
            let name = part.name;
            for value in takes {
                assert!((part.append)(Key::new(), value).is_some(), "{name} {value}");
            }
            for value in refuses {
                assert_eq!((part.append)(Key::new(), value), None, "{name} {value}");
            }
        }
    }

    #[test]
    fn keys_of_a_part_sort_as_its_values_do() {
        let sorted = |part: Part, values: &[&str]| {
            let keys = values.iter().map(|value| (part.append)(Key::new(), value));
            keys.map(|key| key.map(Key::into_bytes)).is_sorted()
        };
        assert!(sorted(Part::number("at"), &["2", "10", "300"]));
        assert!(sorted(
            Part::week("week"),
            &["2003-W52", "2004-W01", "2004-W10"]
        ));
        assert!(sorted(Part::member("member"), &["a", "ab", "b"]));
    }
}

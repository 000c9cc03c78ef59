//! The rows of an own view: which of them are asked for, and a page of these.
//!
//! Parameters narrow a list from the first part of its keys on: a value for each, and for the one after these a value from
//! which and one up to which. The first list that takes all that is given is the one that is read, as one range of keys,
//! so that a page costs its own rows and nothing else. What is given and narrows nothing is refused, never passed over.
//!
//! Of a view in two versions the one whose rows are served is asked ([`crate::ReadSide::own_served`]); rows that another
//! one would have to read are not answered.

use serde_json::value::RawValue;
use tables::key::Key;
use tables::{Order, Reader, Span};

use crate::own_view::{OwnView, Part, parameters};
use crate::{Cursor, List, Page, PageRequest, QueryError, ViewName};

/// Parameters that are told to be wrong at most.
const TOLD_MAX: usize = 16;

/// Which rows of an own view are asked for.
#[derive(Clone, Debug)]
pub struct Narrowed {
    table: &'static str,
    span: Span,
    given: Vec<(String, String)>,
}

/// A parameter that narrows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongParameter {
    /// Its name.
    pub name: String,
    /// Why it does not.
    pub why: Why,
}

/// Why a parameter narrows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The view has no such parameter; these are the ones that it has.
    Unknown(Vec<String>),
    /// It is given more than once.
    Repeated,
    /// The value is not what it has to be, which is this.
    Malformed(&'static str),
    /// No list takes it beside the others; these are the parts of each list's keys.
    Unfit(Vec<Vec<&'static str>>),
}

impl Narrowed {
    /// The rows that these parameters ask for, or what is wrong with each of them that does not narrow.
    pub fn by(view: &dyn OwnView, given: &[(String, String)]) -> Result<Self, Vec<WrongParameter>> {
        let mut given = given.to_vec();
        given.sort();
        let wrong = wrong_by_themselves(view, &given);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut left: Option<Vec<&str>> = None;
        for list in view.lists() {
            let (span, over) = span(list, &given);
            if over.is_empty() {
                return Ok(Self {
                    table: list.table,
                    span,
                    given,
                });
            }
            if left.as_ref().is_none_or(|left| over.len() < left.len()) {
                left = Some(over);
            }
        }
        let names = |list: &List| list.key.iter().map(|part| part.name).collect();
        let keys: Vec<Vec<&'static str>> = view.lists().iter().map(names).collect();
        let unfit = |name: &str| WrongParameter {
            name: name.to_owned(),
            why: Why::Unfit(keys.clone()),
        };
        Err(left.into_iter().flatten().map(unfit).collect())
    }

    /// What a cursor is for beside the view: the same words for the same rows.
    pub fn scope(&self) -> String {
        format!("{:?}", self.given)
    }
}

/// What is wrong with each parameter, whatever the others are; they are sorted.
fn wrong_by_themselves(view: &dyn OwnView, given: &[(String, String)]) -> Vec<WrongParameter> {
    let mut wrong: Vec<WrongParameter> = Vec::new();
    for (index, (name, value)) in given.iter().enumerate() {
        let mut parts = view.lists().iter().flat_map(|list| list.key);
        let part = parts.find(|part| part.parameters().contains(name));
        let before = index.checked_sub(1).and_then(|before| given.get(before));
        let why = match part {
            None => Why::Unknown(parameters(view)),
            Some(_) if before.is_some_and(|(other, _)| other == name) => Why::Repeated,
            Some(part) if (part.append)(Key::new(), value).is_none() => Why::Malformed(part.form),
            Some(_) => continue,
        };
        let found = WrongParameter {
            name: name.clone(),
            why,
        };
        if wrong.last() != Some(&found) {
            wrong.push(found);
        }
        if wrong.len() == TOLD_MAX {
            break;
        }
    }
    wrong
}

/// The keys of a list that parameters ask for, and those that do not narrow it.
fn span<'g>(list: &List, given: &'g [(String, String)]) -> (Span, Vec<&'g str>) {
    let mut over: Vec<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
    let mut take = |part: &Part, name: &str, key: &Key| {
        let (_, value) = given.iter().find(|(given, _)| given == name)?;
        let key = (part.append)(key.clone(), value)?;
        over.retain(|other| *other != name);
        Some(key)
    };
    let mut prefix = Key::new();
    let mut parts = list.key.iter();
    let next = loop {
        let Some(part) = parts.next() else {
            break None;
        };
        match take(part, part.name, &prefix) {
            Some(longer) => prefix = longer,
            None => break Some(part),
        }
    };
    let mut span = Span::prefix(&prefix);
    if let Some(part) = next.filter(|part| part.ranged) {
        if let Some(from) = take(part, &part.from(), &prefix) {
            span = span.from(&from);
        }
        if let Some(to) = take(part, &part.to(), &prefix) {
            span = span.through_prefix(&to);
        }
    }
    (span, over)
}

/// A page of rows, which are of this version of the view.
pub(crate) fn query(
    reader: &Reader,
    view: &dyn OwnView,
    narrowed: &Narrowed,
    order: Order,
    page: &PageRequest,
) -> Result<Page<Box<RawValue>>, QueryError> {
    let (checkpoint, name) = (reader.checkpoint(), ViewName::Own(view.name()));
    if reader.version() != view.version() {
        return Err(QueryError::Unavailable {
            view: name,
            cause: "another version of its rows is served now".to_owned(),
        });
    }
    let mut span = narrowed.span.clone();
    if let Some(key) = page.key(name, checkpoint.log_id)? {
        span = match order {
            Order::Ascending => span.after(key),
            Order::Descending => span.before(key),
        };
    }
    let mut rows = reader.scan(narrowed.table, &span, order)?;
    let (mut items, mut last) = (Vec::with_capacity(page.limit()), Vec::new());
    for row in rows.by_ref().take(page.limit()) {
        let (key, row) = row?;
        items.push(view.item(&key, &row)?);
        last = key.to_vec();
    }
    let more = items.len() == page.limit() && rows.next().transpose()?.is_some();
    if more && last.len() > Cursor::KEY_BYTES_MAX {
        let error = anyhow::anyhow!("a key of `{name}` is too long for a cursor");
        return Err(error.into());
    }
    Ok(Page {
        items,
        next: more.then_some(Cursor {
            log_id: checkpoint.log_id,
            view: name,
            key: last,
        }),
        position: checkpoint.position,
    })
}

//! Rows as bytes: postcard, which has one encoding per value, and the order in which pages read them.
//!
//! Everything a view stores, one of one's own too, goes through here, so that the same rows are the same bytes on every
//! machine. Pages read
//! one or several spans of a table and merge them by the place that ends their keys, so that a list kept in groups
//! reads like one.

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tables::{ApplyError, Order, Reader, Rows, Slice, Span, Tx};

/// The row at `key`, while events are applied.
pub fn load<T: DeserializeOwned>(
    tx: &Tx<'_>,
    table: &'static str,
    key: &[u8],
) -> Result<Option<T>, ApplyError> {
    tx.get(table, key)?
        .map(|bytes| postcard::from_bytes(&bytes).map_err(|cause| ApplyError::row(table, cause)))
        .transpose()
}

/// Sets the row at `key`.
pub fn store<T: Serialize>(
    tx: &mut Tx<'_>,
    table: &'static str,
    key: &[u8],
    row: &T,
) -> Result<(), ApplyError> {
    let bytes = postcard::to_stdvec(row).map_err(|cause| ApplyError::row(table, cause))?;
    Ok(tx.put(table, key, &bytes)?)
}

/// The row at `key`, for a query.
pub(crate) fn fetch<T: DeserializeOwned>(
    reader: &Reader,
    table: &'static str,
    key: &[u8],
) -> anyhow::Result<Option<T>> {
    reader
        .get(table, key)?
        .map(|bytes| decode(table, &bytes))
        .transpose()
}

/// A row's value.
pub fn decode<'a, T: Deserialize<'a>>(table: &'static str, bytes: &'a [u8]) -> anyhow::Result<T> {
    postcard::from_bytes(bytes).with_context(|| format!("a row of `{table}` cannot be read"))
}

/// Rows of several spans of a table as one list, by the last `PLACE` bytes of their keys.
pub(crate) struct Merged<'a, const PLACE: usize> {
    from: From<'a, PLACE>,
    order: Order,
}

enum From<'a, const PLACE: usize> {
    /// There is nothing to merge, and nothing is read ahead.
    One(Rows<'a>),
    Many(Vec<Source<'a, PLACE>>),
}

struct Source<'a, const PLACE: usize> {
    rows: Rows<'a>,
    head: Row<'a, PLACE>,
}

/// A row's place and its value.
type Row<'a, const PLACE: usize> = ([u8; PLACE], Slice<'a>);

impl<'a, const PLACE: usize> Merged<'a, PLACE> {
    /// Begins to read the spans.
    pub(crate) fn of(
        reader: &'a Reader,
        table: &'static str,
        spans: &[Span],
        order: Order,
    ) -> anyhow::Result<Self> {
        if let [span] = spans {
            let rows = reader.scan(table, span, order)?;
            return Ok(Self {
                from: From::One(rows),
                order,
            });
        }
        let mut sources = Vec::with_capacity(spans.len());
        for span in spans {
            let mut rows = reader.scan(table, span, order)?;
            if let Some(head) = next_of(&mut rows)? {
                sources.push(Source { rows, head });
            }
        }
        Ok(Self {
            from: From::Many(sources),
            order,
        })
    }

    /// Whether there is a next row. Asked once, at the end of a page.
    pub(crate) fn more(&mut self) -> anyhow::Result<bool> {
        match &mut self.from {
            From::One(rows) => Ok(rows.next().transpose()?.is_some()),
            From::Many(sources) => Ok(!sources.is_empty()),
        }
    }

    /// The next row: its place and its value.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<Row<'a, PLACE>>> {
        let sources = match &mut self.from {
            From::One(rows) => return next_of(rows),
            From::Many(sources) => sources,
        };
        let place = |(_, source): &(usize, &Source<'a, PLACE>)| source.head.0;
        let first = match self.order {
            Order::Ascending => sources.iter().enumerate().min_by_key(place),
            Order::Descending => sources.iter().enumerate().max_by_key(place),
        };
        let Some(first) = first.map(|(index, _)| index) else {
            return Ok(None);
        };
        let Some(source) = sources.get_mut(first) else {
            return Ok(None);
        };
        match next_of(&mut source.rows)? {
            Some(head) => Ok(Some(std::mem::replace(&mut source.head, head))),
            None => Ok(Some(sources.swap_remove(first).head)),
        }
    }
}

fn next_of<'a, const PLACE: usize>(rows: &mut Rows<'a>) -> anyhow::Result<Option<Row<'a, PLACE>>> {
    let Some((key, value)) = rows.next().transpose()? else {
        return Ok(None);
    };
    let place = key.last_chunk::<PLACE>().context("a key is too short")?;
    Ok(Some((*place, value)))
}

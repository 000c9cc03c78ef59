//! Rows as bytes: postcard, which has one encoding per value, and the order in which pages read them.
//!
//! Everything a view stores goes through here, so that the same rows are the same bytes on every machine. Pages read
//! one or several spans of a table and merge them by the place that ends their keys, so that a list kept in groups
//! reads like one.

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tables::{ApplyError, Order, Reader, Rows, Slice, Span, Tx};

/// The row at `key`, while events are applied.
pub(crate) fn load<T: DeserializeOwned>(
    tx: &Tx<'_>,
    table: &'static str,
    key: &[u8],
) -> Result<Option<T>, ApplyError> {
    tx.get(table, key)?
        .map(|bytes| postcard::from_bytes(&bytes).map_err(|cause| ApplyError::row(table, cause)))
        .transpose()
}

/// Sets the row at `key`.
pub(crate) fn store<T: Serialize>(
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
pub(crate) fn decode<'a, T: Deserialize<'a>>(
    table: &'static str,
    bytes: &'a [u8],
) -> anyhow::Result<T> {
    postcard::from_bytes(bytes).with_context(|| format!("a row of `{table}` cannot be read"))
}

/// Rows of several spans of a table as one list, by the last `PLACE` bytes of their keys.
pub(crate) struct Merged<'a, const PLACE: usize> {
    sources: Vec<Source<'a, PLACE>>,
    order: Order,
}

struct Source<'a, const PLACE: usize> {
    rows: Rows<'a>,
    head: Option<([u8; PLACE], Slice<'a>)>,
}

impl<'a, const PLACE: usize> Merged<'a, PLACE> {
    /// Begins to read the spans.
    pub(crate) fn of(
        reader: &'a Reader,
        table: &'static str,
        spans: &[Span],
        order: Order,
    ) -> anyhow::Result<Self> {
        let mut sources = Vec::with_capacity(spans.len());
        for span in spans {
            let mut source = Source {
                rows: reader.scan(table, span, order)?,
                head: None,
            };
            source.advance()?;
            if source.head.is_some() {
                sources.push(source);
            }
        }
        Ok(Self { sources, order })
    }

    /// Whether there is a next row.
    pub(crate) fn more(&self) -> bool {
        self.sources.iter().any(|source| source.head.is_some())
    }

    /// The next row: its place and its value.
    pub(crate) fn next(&mut self) -> anyhow::Result<Option<([u8; PLACE], Slice<'a>)>> {
        let waiting = self
            .sources
            .iter_mut()
            .filter(|source| source.head.is_some());
        let place = |source: &&mut Source<'a, PLACE>| source.head.as_ref().map(|(place, _)| *place);
        let first = match self.order {
            Order::Ascending => waiting.min_by_key(place),
            Order::Descending => waiting.max_by_key(place),
        };
        let Some(source) = first else { return Ok(None) };
        let row = source.head.take();
        source.advance()?;
        Ok(row)
    }
}

impl<const PLACE: usize> Source<'_, PLACE> {
    fn advance(&mut self) -> anyhow::Result<()> {
        self.head = match self.rows.next().transpose()? {
            Some((key, value)) => {
                let place = key.last_chunk::<PLACE>().context("a key is too short")?;
                Some((*place, value))
            }
            None => None,
        };
        Ok(())
    }
}

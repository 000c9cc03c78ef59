//! Pages and their cursors: how a list is asked for and answered.
//!
//! A page is bounded (1 to [`LIMIT_MAX`] items) and tells the position its very rows stand at. A cursor names the
//! place in the view's own order after which the next page begins, together with the log and the view it belongs to;
//! with another log's or another view's it is refused, never trusted. An item that moves up while one pages is not
//! repeated. How a cursor travels (sealed, so that members read no positions in it) is the interface's.

use event_store::{LogId, Position};
use tables::key::Key;
use tables::{Checkpoint, Order, Reader, Span};
use uuid::Uuid;

use crate::rows::Merged;
use crate::{QueryError, ViewName};

/// The most items of a page.
pub const LIMIT_MAX: usize = 200;

/// The items of a page when nobody says how many.
pub const LIMIT_DEFAULT: usize = 50;

/// What page of a list is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    limit: usize,
    after: Option<Cursor>,
}

impl PageRequest {
    /// The first page, of at most `limit` items. [`QueryError::BadLimit`] unless it is 1 to [`LIMIT_MAX`].
    pub fn first(limit: usize) -> Result<Self, QueryError> {
        Self::new(limit, None)
    }

    /// The page after `after`, or the first.
    pub fn new(limit: usize, after: Option<Cursor>) -> Result<Self, QueryError> {
        if (1..=LIMIT_MAX).contains(&limit) {
            Ok(Self { limit, after })
        } else {
            Err(QueryError::BadLimit)
        }
    }

    /// How many items at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Where the page before ended.
    pub fn after(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }
}

impl PageRequest {
    /// The place in the view's order after which the page begins, if it is not the first.
    pub(crate) fn place<const PLACE: usize>(
        &self,
        view: ViewName,
        log_id: LogId,
    ) -> Result<Option<[u8; PLACE]>, QueryError> {
        let key = self.key(view, log_id)?;
        key.map(|key| key.try_into().map_err(|_| QueryError::BadCursor))
            .transpose()
    }

    /// The same of a view whose places have no one size.
    pub(crate) fn key(&self, view: ViewName, log_id: LogId) -> Result<Option<&[u8]>, QueryError> {
        match &self.after {
            None => Ok(None),
            Some(cursor) if cursor.log_id != log_id => Err(QueryError::OtherLog),
            Some(cursor) if cursor.view != view => Err(QueryError::BadCursor),
            Some(cursor) => Ok(Some(&cursor.key)),
        }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            limit: LIMIT_DEFAULT,
            after: None,
        }
    }
}

/// A page of a list, newest or most urgent first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where to go on; none at the end of the list.
    pub next: Option<Cursor>,
    /// The position these very rows stand at.
    pub position: Position,
}

impl<T> Page<T> {
    /// The page of `rows`, which are at most one more than asked for: the one more only tells that there is more.
    pub(crate) fn cut<const PLACE: usize>(
        mut rows: Vec<([u8; PLACE], T)>,
        request: &PageRequest,
        view: ViewName,
        checkpoint: Checkpoint,
    ) -> Self {
        let more = rows.len() > request.limit();
        rows.truncate(request.limit());
        let last = rows
            .last()
            .filter(|_| more)
            .map(|(place, _)| place.to_vec());
        Self {
            next: last.map(|key| Cursor {
                log_id: checkpoint.log_id,
                view,
                key,
            }),
            items: rows.into_iter().map(|(_, item)| item).collect(),
            position: checkpoint.position,
        }
    }
}

impl<T> Page<T> {
    /// A page of the rows of a table below a key, in their order.
    pub(crate) fn below(
        reader: &Reader,
        table: &'static str,
        prefix: &Key,
        request: &PageRequest,
        view: ViewName,
        item: impl FnMut(&[u8]) -> anyhow::Result<T>,
    ) -> Result<Self, QueryError> {
        Self::within(
            reader,
            (table, prefix, Span::prefix(prefix)),
            request,
            view,
            item,
        )
    }

    /// The same of a part of them.
    pub(crate) fn within(
        reader: &Reader,
        (table, prefix, span): (&'static str, &Key, Span),
        request: &PageRequest,
        view: ViewName,
        item: impl FnMut(&[u8]) -> anyhow::Result<T>,
    ) -> Result<Self, QueryError> {
        let checkpoint = reader.checkpoint();
        let span = match request.place::<8>(view, checkpoint.log_id)? {
            Some(place) => span.after(&prefix.clone().fixed(&place)),
            None => span,
        };
        let mut rows = Merged::<8>::of(reader, table, &[span], Order::Ascending)?;
        Ok(Self::read(&mut rows, request, view, checkpoint, item)?)
    }

    /// A page read off the rows of a list.
    pub(crate) fn read<const PLACE: usize>(
        rows: &mut Merged<'_, PLACE>,
        request: &PageRequest,
        view: ViewName,
        checkpoint: Checkpoint,
        mut item: impl FnMut(&[u8]) -> anyhow::Result<T>,
    ) -> anyhow::Result<Self> {
        let mut items = Vec::with_capacity(request.limit());
        let mut last = None;
        while items.len() < request.limit() {
            let Some((place, row)) = rows.next()? else {
                break;
            };
            items.push(item(&row)?);
            last = Some(place);
        }
        let last = match last {
            Some(last) if items.len() == request.limit() && rows.more()? => Some(last),
            _ => None,
        };
        Ok(Self {
            next: last.map(|place| Cursor {
                log_id: checkpoint.log_id,
                view,
                key: place.to_vec(),
            }),
            items,
            position: checkpoint.position,
        })
    }
}

/// One answer that is not a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The position these very rows stand at.
    pub position: Position,
}

/// A place in a view's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The log whose positions the key speaks of.
    pub log_id: LogId,
    /// The view it belongs to.
    pub view: ViewName,
    /// The last item's place in the view's order; at most [`Cursor::KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
}

impl Cursor {
    /// The bound of a cursor's key: what two members' ids and some numbers take.
    pub const KEY_BYTES_MAX: usize = 400;

    /// The cursor as bytes: log id, view, key.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(17 + self.key.len());
        bytes.extend_from_slice(self.log_id.0.as_bytes());
        bytes.extend(head(self.view));
        bytes.extend_from_slice(&self.key);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote of a built-in view's cursor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QueryError> {
        let number = bytes.get(16).ok_or(QueryError::BadCursor)?;
        let view = ViewName::numbered(*number).ok_or(QueryError::BadCursor)?;
        Self::of(view, bytes)
    }

    /// Reads what [`Self::to_bytes`] wrote of this view's cursor; another view's is none.
    pub fn of(view: ViewName, bytes: &[u8]) -> Result<Self, QueryError> {
        let (log_id, rest) = bytes
            .split_first_chunk::<16>()
            .ok_or(QueryError::BadCursor)?;
        let key = rest
            .strip_prefix(head(view).as_slice())
            .filter(|key| key.len() <= Self::KEY_BYTES_MAX)
            .ok_or(QueryError::BadCursor)?;
        Ok(Self {
            log_id: LogId(Uuid::from_bytes(*log_id)),
            view,
            key: key.to_vec(),
        })
    }
}

/// How a view is named in its cursors: by its number, one of one's own by its name, closed.
fn head(view: ViewName) -> Vec<u8> {
    let number = Key::new().u8(view.number());
    let head = if let ViewName::Own(name) = view {
        number.text(name)
    } else {
        number
    };
    head.into_bytes()
}

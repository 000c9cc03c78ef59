//! Pages of the moderation queue, by its filters and orders.
//!
//! A page merges the states that are asked for, in the order of their keys: of all cases, or of one member's. Other filters
//! pass rows over, up to a bound: then a page may be short and still have a next one.

use domain::case::Category;
use domain::ids::{CaseId, MemberId};
use domain::time::Timestamp;
use tables::key::Key;
use tables::{Order, Reader, Span};

use super::{AGES, APPEALED, CASES, CaseRow, CaseState, Lists, QueueItem, RANKS, bit_of};
use crate::rows::{Merged, fetch};
use crate::{Cursor, Page, PageRequest, QueryError, ViewName};

/// How many rows a page passes over at most, looking for those that a filter names.
const PASSED_MAX: usize = 1_000;

/// Which cases are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFilter {
    /// In this state. If none is named, what waits: open, claimed, or with an appeal that waits; of one member all but
    /// closed ones; all of the appealed.
    pub state: Option<CaseState>,
    /// With an appeal that waits.
    pub appealed: bool,
    /// With a report of this category.
    pub category: Option<Category>,
    /// About this member.
    pub member: Option<MemberId>,
    /// Held by this moderator.
    pub claimed_by: Option<MemberId>,
    /// Opened before this time.
    pub opened_before: Option<Timestamp>,
    /// Opened at this time or later.
    pub opened_after: Option<Timestamp>,
    /// But for those that this member is one of the two members of: who looks is told of none of their own.
    pub besides: Option<MemberId>,
    /// In this order.
    pub sort: QueueSort,
}

/// The queue's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueSort {
    /// The most urgent first.
    #[default]
    Priority,
    /// The oldest first.
    Oldest,
    /// The newest first.
    Newest,
}

impl QueueFilter {
    fn states(&self) -> Vec<CaseState> {
        match self.state {
            None if self.appealed => CaseState::ALL.to_vec(),
            Some(state) => vec![state],
            None if self.waits() => vec![CaseState::Open, CaseState::Claimed],
            None => CaseState::ALL
                .into_iter()
                .filter(|state| *state != CaseState::Closed)
                .collect(),
        }
    }

    /// Whether what waits for somebody is asked for: of one member it is what is not over.
    fn waits(&self) -> bool {
        self.state.is_none() && !self.appealed && self.member.is_none()
    }

    /// The lists that are read. One that waits and is appealed stands in two of them.
    fn lists(&self) -> Vec<u8> {
        if self.appealed {
            return vec![APPEALED];
        }
        let appealed = self.waits().then_some(APPEALED);
        let states = self.states().into_iter().map(CaseState::number);
        states.chain(appealed).collect()
    }

    fn names(&self, case: &CaseRow) -> bool {
        let of_state = self.states().contains(&case.state);
        (of_state || self.waits() && !case.appeals.is_empty())
            && (!self.appealed || !case.appeals.is_empty())
            && self
                .category
                .is_none_or(|category| case.categories & bit_of(category) != 0)
            && self
                .member
                .as_ref()
                .is_none_or(|member| case.member == *member)
            && (self.claimed_by.is_none() || case.claimed_by == self.claimed_by)
            && self
                .opened_before
                .is_none_or(|time| case.opened_at < time.0)
            && self
                .opened_after
                .is_none_or(|time| time.0 <= case.opened_at)
            && self.besides.as_ref().is_none_or(|own| !case.is_of(own))
    }
}

/// The cases of the queue that a filter names.
pub(crate) fn query(
    reader: &Reader,
    filter: &QueueFilter,
    page: &PageRequest,
) -> Result<Page<QueueItem>, QueryError> {
    match filter.sort {
        QueueSort::Priority => listed::<16>(reader, filter, page, &RANKS, Order::Ascending),
        QueueSort::Oldest => listed::<8>(reader, filter, page, &AGES, Order::Ascending),
        QueueSort::Newest => listed::<8>(reader, filter, page, &AGES, Order::Descending),
    }
}

/// A page in one of the queue's orders, whose keys end in `PLACE` bytes after the list.
fn listed<const PLACE: usize>(
    reader: &Reader,
    filter: &QueueFilter,
    page: &PageRequest,
    lists: &Lists,
    order: Order,
) -> Result<Page<QueueItem>, QueryError> {
    let checkpoint = reader.checkpoint();
    let place = page.place::<PLACE>(ViewName::ModerationQueue, checkpoint.log_id)?;
    let mut rows = Vec::new();
    let mut passed_to = None;
    let (table, within) = match &filter.member {
        None => (lists.all, Key::new()),
        Some(member) => (lists.of_member, Key::new().text(member.as_str())),
    };
    let mut spans = Vec::new();
    for list in filter.lists() {
        let prefix = within.clone().u8(list);
        let span = Span::prefix(&prefix);
        spans.push(match place {
            None => span,
            Some(place) => {
                let key = prefix.fixed(&place);
                if order == Order::Ascending {
                    span.after(&key)
                } else {
                    span.before(&key)
                }
            }
        });
    }
    let mut merged = Merged::<PLACE>::of(reader, table, &spans, order)?;
    let mut passed = 0;
    while rows.len() <= page.limit() {
        let Some((place, id)) = merged.next()? else {
            break;
        };
        let id = id.first_chunk::<16>().copied().unwrap_or_default();
        match fetch::<CaseRow>(reader, CASES, &id)? {
            // In the order of the lists' keys the two come one after the other.
            _ if rows.last().is_some_and(|(last, _)| *last == place) => {}
            Some(case) if filter.names(&case) => {
                let id = CaseId(uuid::Uuid::from_bytes(id));
                rows.push((place, case.into_item(reader, id)?));
            }
            _ => {
                passed += 1;
                if passed == PASSED_MAX {
                    passed_to = Some(place);
                    break;
                }
            }
        }
    }
    let mut page = Page::cut(rows, page, ViewName::ModerationQueue, checkpoint);
    if let (Some(place), None) = (passed_to, &page.next) {
        page.next = Some(Cursor {
            log_id: checkpoint.log_id,
            view: ViewName::ModerationQueue,
            key: place.to_vec(),
        });
    }
    Ok(page)
}

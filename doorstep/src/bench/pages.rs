//! Pages of fifty items of inbox, requests and conversation, beside a bare range read of the same rows in redb.
//!
//! Half of the pages are those of members with very many conversations, half of anybody. Ours is the whole query:
//! snapshot, rows, texts from the log, items. The bare one copies the keys and values of the rows out. Both begin with a file just opened
//! and a warm-up of their own, in turns.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use projections::{PageRequest, QueryError, ReadSide, ViewName};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use tables::key::Key;

use super::Plan;
use super::figures::{Row, Target, median, number, quantile};
use super::log::Filled;
use super::world::{self, mix};
use crate::compose;

/// The rows of this file.
pub(crate) const ROWS: [&str; 3] = ["page-inbox", "page-requests", "page-conversation"];
const ITEMS: usize = 50;
/// Events of the log that pages of a larger one are compared with.
pub(crate) const SMALLER_EVENTS: u64 = 100_000;
/// Cache of one file opened bare, in bytes.
const CACHE_BYTES: usize = 32 << 20;
/// The first of so many parts of the pages is not timed, but warms up.
const WARM_UP: u64 = 4;

/// A kind of page.
#[derive(Clone, Copy)]
enum Kind {
    Inbox,
    Requests,
    Conversation,
}

impl Kind {
    fn row(self) -> &'static str {
        match self {
            Self::Inbox => "page-inbox",
            Self::Requests => "page-requests",
            Self::Conversation => "page-conversation",
        }
    }

    fn view(self) -> ViewName {
        match self {
            Self::Inbox => ViewName::Inbox,
            Self::Requests => ViewName::Requests,
            Self::Conversation => ViewName::Conversation,
        }
    }

    /// The table of the view that a page is read from.
    fn table(self) -> &'static str {
        match self {
            Self::Inbox | Self::Requests => "rows",
            Self::Conversation => "messages",
        }
    }
}

const KINDS: [Kind; 3] = [Kind::Inbox, Kind::Requests, Kind::Conversation];

/// p99 in microseconds: ours, the bare one, and how many items a page had.
struct Seen {
    ours: f64,
    bare: f64,
    items: f64,
}

/// `page-inbox`, `page-requests`, `page-conversation`; beside a smaller log too, where there is one.
pub(crate) async fn measure(
    plan: &Plan,
    log: &Filled,
    smaller: Option<&Filled>,
) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| plan.wants(&[kind.row()])) {
        let seen = see(plan, kind, log).await?;
        let what = format!("a page of {}, p99", kind.view());
        let mut note = format!("{} items on average", number(seen.items));
        let mut row = Row::new(kind.row(), &what, "µs", seen.ours, Target::RatioAtMost(3.0))
            .beside("a bare redb range read of the same rows, p99", seen.bare);
        if let Some(smaller) = smaller {
            let growth = seen.ours / see(plan, kind, smaller).await?.ours.max(1e-9);
            row = row.and(growth <= 1.5);
            note = format!(
                "{note}; {} times the page at {SMALLER_EVENTS} events, target 1.5",
                number(growth)
            );
        }
        rows.push(row.noting(note));
    }
    Ok(rows)
}

async fn see(plan: &Plan, kind: Kind, log: &Filled) -> anyhow::Result<Seen> {
    let (mut ours, mut bare, mut items) = (Vec::new(), Vec::new(), 0);
    for round in 0..plan.rounds {
        bare.push(quantile(read_bare(plan, kind, log, round)?, 0.99));
        let store = log.open()?;
        let reads = compose::start_reads(&log.folder, &store, 128 << 20).await?;
        let mut times = Vec::new();
        for page in 0..plan.pages {
            let started = Instant::now();
            let count = query(&reads, kind, log, round * plan.pages + page).await?;
            if page >= plan.pages / WARM_UP {
                times.push(started.elapsed().as_secs_f64() * 1e6);
            }
            items += count;
        }
        reads.stop().await?;
        store.close();
        ours.push(quantile(times, 0.99));
    }
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    let items = items as f64 / (plan.rounds * plan.pages).max(1) as f64;
    Ok(Seen {
        ours: median(ours),
        bare: median(bare),
        items,
    })
}

/// Whose page number `page` is.
fn reader(log: &Filled, page: u64) -> anyhow::Result<MemberId> {
    let random = mix(page);
    world::member(if page.is_multiple_of(2) {
        random % world::HUBS
    } else {
        random % log.size.members
    })
}

/// Which conversation page number `page` is of.
fn conversation(log: &Filled, page: u64) -> anyhow::Result<(MemberId, ConversationId)> {
    let (one, other) = log.size.pair(mix(page) % log.size.conversations.max(1));
    let (one, other) = (world::member(one)?, world::member(other)?);
    Ok((one.clone(), ConversationId::of(&one, &other)))
}

/// One page of ours; says how many items it had.
async fn query(reads: &ReadSide, kind: Kind, log: &Filled, page: u64) -> anyhow::Result<usize> {
    let request = PageRequest::first(ITEMS)?;
    match kind {
        Kind::Inbox => Ok(black_box(reads.inbox(&reader(log, page)?, &request).await?)
            .items
            .len()),
        Kind::Requests => Ok(
            black_box(reads.requests(&reader(log, page)?, &request).await?)
                .items
                .len(),
        ),
        Kind::Conversation => {
            let (member, conversation) = conversation(log, page)?;
            match reads
                .messages(&member, conversation, &request, Timestamp(i64::MAX))
                .await
            {
                Ok(page) => Ok(black_box(page).items.len()),
                Err(QueryError::NotFound) => Ok(0),
                Err(error) => Err(error.into()),
            }
        }
    }
}

fn read_bare(plan: &Plan, kind: Kind, log: &Filled, round: u64) -> anyhow::Result<Vec<f64>> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .open(path(kind, log)?)?;
    let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(kind.table());
    let mut times = Vec::new();
    for page in 0..plan.pages {
        let number = round * plan.pages + page;
        let started = Instant::now();
        let prefix = match kind {
            Kind::Inbox | Kind::Requests => Key::new().text(reader(log, number)?.as_str()),
            Kind::Conversation => Key::new().fixed(conversation(log, number)?.1.0.as_bytes()),
        };
        let mut rows = Vec::with_capacity(ITEMS);
        let table = database.begin_read()?.open_table(definition)?;
        for row in table.range::<&[u8]>(prefix.as_bytes()..)?.take(ITEMS) {
            let (key, value) = row?;
            if !key.value().starts_with(prefix.as_bytes()) {
                break;
            }
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        black_box(&rows);
        if page >= plan.pages / WARM_UP {
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(times)
}

/// Where the view's file lies.
fn path(kind: Kind, log: &Filled) -> anyhow::Result<PathBuf> {
    tables::stored_files(&log.folder.views())?
        .into_iter()
        .find(|file| file.finished && file.view == kind.view().as_str())
        .map(|file| file.path)
        .with_context(|| format!("{} has no file", kind.view()))
}

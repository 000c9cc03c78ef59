//! Ten thousand open cases: the first page of the moderators' queue, asked for in process beside a bare range read of the same
//! rows in redb, and over HTTP beside an empty `GET` handler of the same framework.
//!
//! A thousand members write to ten others each, who report it; nobody reports more than forty times, so that all count. Each
//! report places all cases of its member anew, as in life. One caller asks, one question at a time.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use api::Role;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use commands::{Command, CommandHandler, Mode, Target};
use domain::case::Category;
use domain::conversation::{Also, GivenRelationship};
use event_store::EventStore;
use projections::{PageRequest, QueueFilter, ReadSide, ViewName};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use tables::key::Key;

use super::Plan;
use super::client::{Client, request};
use super::commands::caught_up;
use super::figures::{Row, Target as Reach, median, quantile};
use super::http::Serving;
use super::world::{self, Texts, carry_out};
use crate::care::Care;
use crate::cli::KeyArgs;
use crate::compose::{self, DataFolder};

/// The rows of this file.
pub(crate) const ROWS: [&str; 2] = ["queue", "queue-http"];
/// Cases that wait.
const CASES: u64 = 10_000;
/// The same of a smoke run.
const CASES_SMOKE: u64 = 200;
/// Members who report each one.
const REPORTERS: u64 = 10;
/// Members whom each one reports, below the number from which on reports count no more.
const REPORTED: u64 = 40;
/// Milliseconds in which the page is to be there, p99.
const WITHIN_MS: f64 = 20.0;
const ITEMS: usize = 50;
/// Cache of the file opened bare, in bytes.
const CACHE_BYTES: usize = 32 << 20;
/// The first of so many parts of the pages is not timed, but warms up.
const WARM_UP: u64 = 4;
/// Pages over HTTP for one in process.
const PAGES_A_REQUEST: u64 = 4;

/// `queue`, `queue-http`.
pub(crate) async fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let folder = DataFolder::at(&plan.scratch.join("queue"));
    folder.create()?;
    let cases = if plan.smoke { CASES_SMOKE } else { CASES };
    let store = Arc::new(compose::open_embedded(
        &folder,
        event_store::Options::default(),
    )?);
    let handler = compose::start_commands(&folder, &store, Mode::Service).await?;
    fill(&handler, cases).await?;
    handler.drain_reactors().await?;
    let reads = compose::start_reads(&folder, &store, 128 << 20).await?;
    caught_up(&reads, store.durable_position()).await?;
    // Closed, so that what is read bare is all on disk and nothing is in a cache.
    reads.stop().await?;

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        bare.push(quantile(read_bare(plan, &folder)?, 0.99));
        let reads = compose::start_reads(&folder, &store, 128 << 20).await?;
        caught_up(&reads, store.durable_position()).await?;
        ours.push(quantile(ask(plan, &reads).await?, 0.99));
        reads.stop().await?;
    }
    let (ours, bare) = (median(ours), median(bare));
    let what = format!("the queue's first page over {cases} open cases, p99");
    let mut rows = Vec::new();
    if plan.wants(&["queue"]) {
        let row = Row::new("queue", &what, "ms", ours, Reach::AtMost(WITHIN_MS));
        rows.push(row.beside("a bare redb range read of the same rows, p99", bare));
    }
    if plan.wants(&["queue-http"]) {
        let reads = compose::start_reads(&folder, &store, 128 << 20).await?;
        caught_up(&reads, store.durable_position()).await?;
        let keys = Arc::new(compose::open_keys(&folder, &KeyArgs { auth_key: None })?);
        let token = keys.sign("mia", &[Role::Moderator], 3600)?;
        let mut options = api::Options::default();
        // The limits of one moderator are not what is measured.
        options.rate_limits.staff_per_second = 0;
        let app = api::App {
            commands: handler.clone(),
            reads: reads.clone(),
            store: Arc::clone(&store) as Arc<dyn EventStore>,
            care: Arc::new(Care::new(Arc::clone(&store), 0)),
            keys,
            options,
        };
        rows.push(over_http(plan, app, &token, &what).await?);
        reads.stop().await?;
    }
    handler.stop().await;
    store.close();
    std::fs::remove_dir_all(folder.path())?;
    Ok(rows)
}

/// Makes so many cases, of as many conversations.
async fn fill(handler: &CommandHandler, cases: u64) -> anyhow::Result<()> {
    let texts = Texts::read()?;
    let members = cases / REPORTERS;
    // Groups of members whom the same ten report.
    let groups = members.div_ceil(REPORTED);
    let registering = handler.clone();
    world::each(members + groups * REPORTERS, move |n| {
        let handler = registering.clone();
        async move { world::register(&handler, n).await }
    })
    .await?;
    let handler = handler.clone();
    world::each(cases, move |case| {
        let (handler, texts) = (handler.clone(), texts.clone());
        async move {
            let by = case / REPORTERS;
            let to = members + (by / REPORTED) * REPORTERS + case % REPORTERS;
            let (member, reporter) = (world::member(by)?, world::member(to)?);
            // New members open few requests a day; whom one follows opens none.
            world::follow(&handler, to, by).await?;
            let send = Command::SendMessage {
                to: reporter.clone(),
                text: texts.get(case),
                relationship: GivenRelationship::default(),
            };
            carry_out(&handler, member.clone(), format!("message-{case}"), send).await?;
            let report = Command::ReportMessage {
                target: Target::With(member),
                messages: vec![1],
                category: *Category::ALL
                    .get(usize::try_from(case)? % Category::ALL.len())
                    .context("a category")?,
                comment: String::new(),
                also: Also::None,
            };
            carry_out(&handler, reporter, format!("report-{case}"), report).await
        }
    })
    .await
}

/// Asks for the page in process; the times in milliseconds.
async fn ask(plan: &Plan, reads: &ReadSide) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for page in 0..plan.pages {
        let started = Instant::now();
        let filter = QueueFilter::default();
        let first = reads
            .moderation_queue(&filter, &PageRequest::first(ITEMS)?)
            .await?;
        let first = black_box(first);
        ensure!(first.items.len() == ITEMS, "the page is not full");
        if page >= plan.pages / WARM_UP {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(times)
}

/// Reads the same rows without us: the places of the open cases, the most urgent first, and each case.
fn read_bare(plan: &Plan, folder: &DataFolder) -> anyhow::Result<Vec<f64>> {
    let view = ViewName::ModerationQueue;
    let path = tables::stored_files(&folder.views())?
        .into_iter()
        .find(|file| file.finished && file.view == view.as_str())
        .with_context(|| format!("{view} has no file"))?
        .path;
    let database = Database::builder().set_cache_size(CACHE_BYTES).open(path)?;
    let places: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("queue");
    let cases: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("cases");
    let mut times = Vec::new();
    for page in 0..plan.pages {
        let started = Instant::now();
        let open = Key::new().u8(0);
        let mut rows = Vec::with_capacity(ITEMS);
        let read = database.begin_read()?;
        let (places, cases) = (read.open_table(places)?, read.open_table(cases)?);
        for place in places.range::<&[u8]>(open.as_bytes()..)?.take(ITEMS) {
            let (key, id) = place?;
            let case = cases.get(id.value())?.context("a place without a case")?;
            rows.push((key.value().to_vec(), case.value().to_vec()));
        }
        black_box(&rows);
        if page >= plan.pages / WARM_UP {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(times)
}

async fn over_http(plan: &Plan, app: api::App, token: &str, what: &str) -> anyhow::Result<Row> {
    let path = "/v1/moderation/queue";
    let service = Serving::start(api::router(app)).await?;
    let empty = Router::new().route(path, get(|| async { StatusCode::OK }));
    let empty = Serving::start(empty).await?;
    let bytes = request("GET", path, token, "", "");
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        bare.push(quantile(asked(plan, &empty.address, &bytes).await?, 0.99));
        ours.push(quantile(asked(plan, &service.address, &bytes).await?, 0.99));
    }
    service.stop().await?;
    empty.stop().await?;
    let (ours, bare) = (median(ours), median(bare));
    let what = format!("{what}, over HTTP/1.1");
    let row = Row::new("queue-http", &what, "ms", ours, Reach::AtMost(WITHIN_MS));
    let row = row.beside("an empty GET handler of the same framework, p99", bare);
    Ok(row.noting(format!("{ITEMS} items")))
}

/// Sends the request over one connection, one at a time; the times in milliseconds.
async fn asked(plan: &Plan, address: &str, bytes: &[u8]) -> anyhow::Result<Vec<f64>> {
    let mut client = Client::connect(address).await?;
    let requests = (plan.pages / PAGES_A_REQUEST).max(WARM_UP);
    let mut times = Vec::new();
    for sent in 0..requests {
        let started = Instant::now();
        let answer = client.send(bytes).await?;
        ensure!(answer.status == 200, "the queue answers {}", answer.status);
        black_box(answer.body);
        if sent >= requests / WARM_UP {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(times)
}

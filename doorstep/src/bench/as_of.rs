//! An auditor's question: a member's inbox as of the middle of the log, beside a bare reading of the events it rests on;
//! the same over a log of a tenth of the size; and the memory that such questions take.
//!
//! Who is asked for is anybody but the few members with very many conversations: what one question may read is bounded,
//! and theirs is beyond it in a large log. Memory is measured with those, too. Ours is the whole question: the moment, the
//! member's streams, their events, the views' fold, a page. The bare one reads the same streams up to the same position,
//! and drops what it read. Which goes first takes turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use api::Role;
use domain::ids::MemberId;
use domain::time::Timestamp;
use domain::{conversation, member, policy};
use event_store::{Direction, EventStore, Position, StreamFrom, StreamName};
use projections::{Past, ReadSide, Subject, ViewName, When};

use super::Plan;
use super::client::{Client, request};
use super::commands::caught_up;
use super::figures::{Row, Target, number, quantile};
use super::log::Filled;
use super::process::Service;
use super::world::{self, mix};
use crate::cli::KeyArgs;
use crate::compose;

/// The rows of this file.
pub(crate) const ROWS: [&str; 3] = ["as-of", "as-of-growth", "memory-as-of"];
const ITEMS: usize = 50;
/// One question for so many pages of the other rows.
const PAGES_A_QUESTION: u64 = 20;
/// The first of so many parts of the questions is not timed, but warms up.
const WARM_UP: usize = 4;
/// Events of a stream read at once.
const BLOCK_EVENTS: usize = 1_024;
/// Who asks at once while memory is looked at: as many as are answered at once.
const AUDITORS: u64 = 2;
/// Memory that their questions may take, in MiB: what each may read, and the rows it makes of it.
const MEMORY_MIB: f64 = 256.0;
/// How long the views may take to come to the log's end.
const LONG: Duration = Duration::from_hours(1);

/// One question: how many events it read, and how long it and the bare reading took, in microseconds.
struct Seen {
    events: f64,
    ours: f64,
    bare: f64,
}

/// Measures it over a log and one of a tenth of its size.
pub(crate) async fn measure(plan: &Plan, log: &Filled, tenth: &Filled) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    if plan.wants(&["as-of", "as-of-growth"]) {
        let seen = see(plan, log).await?;
        let of =
            |figure: fn(&Seen) -> f64, share| quantile(seen.iter().map(figure).collect(), share);
        let what = "a member's inbox as of the middle of the log, p50";
        let row = Row::new(
            "as-of",
            what,
            "µs",
            of(|seen| seen.ours, 0.5),
            Target::RatioAtMost(5.0),
        )
        .beside(
            "a bare reading of the same events, p50",
            of(|seen| seen.bare, 0.5),
        );
        rows.push(row.noting(format!(
            "p99 {} µs, the baseline's {} µs; {} events on average",
            number(of(|seen| seen.ours, 0.99)),
            number(of(|seen| seen.bare, 0.99)),
            number(mean(&seen, |seen| seen.events)),
        )));
        // Those in the middle of the larger log, and those of the smaller one that rest on as many events.
        let (least, most) = (of(|seen| seen.events, 0.25), of(|seen| seen.events, 0.75));
        let alike = |seen: Vec<Seen>| -> Vec<Seen> {
            let alike = |seen: &Seen| (least..=most).contains(&seen.events);
            seen.into_iter().filter(alike).collect()
        };
        let smaller = alike(see(plan, tenth).await?);
        let larger = alike(seen);
        let p50 = |seen: &[Seen]| quantile(seen.iter().map(|seen| seen.ours).collect(), 0.5);
        let what = "the same, of members with as many events";
        let target = Target::RatioAtMost(1.5);
        let row = Row::new("as-of-growth", what, "µs", p50(&larger), target)
            .beside("over a log of a tenth of the size", p50(&smaller));
        rows.push(row.noting(format!(
            "{} events on average, there {}",
            number(mean(&larger, |seen| seen.events)),
            number(mean(&smaller, |seen| seen.events)),
        )));
    }
    if plan.wants(&["memory-as-of"]) {
        rows.push(memory(plan, log).await?);
    }
    Ok(rows)
}

#[expect(clippy::cast_precision_loss, reason = "an average")]
fn mean(seen: &[Seen], figure: fn(&Seen) -> f64) -> f64 {
    let sum = seen
        .iter()
        .map(figure)
        .fold(0.0, |sum, figure| sum + figure);
    sum / seen.len().max(1) as f64
}

/// Asks in process.
async fn see(plan: &Plan, log: &Filled) -> anyhow::Result<Vec<Seen>> {
    let store = log.open()?;
    let reads = compose::start_reads(&log.folder, &store, 128 << 20).await?;
    caught_up(&reads, store.durable_position()).await?;
    let middle = Position(log.events / 2);
    let mut seen = Vec::new();
    for question in 0..questions(plan) {
        let member = anybody(log, question)?;
        let streams = streams_of(&reads.past(LONG).await?, &member, middle)?;
        let mut bare = Duration::ZERO;
        if question.is_multiple_of(2) {
            bare = read(store.as_ref(), &streams, middle).await?;
        }
        let (events, ours) = ask(&reads, &member, middle).await?;
        if !question.is_multiple_of(2) {
            bare = read(store.as_ref(), &streams, middle).await?;
        }
        seen.push(Seen {
            events,
            ours: ours.as_secs_f64() * 1e6,
            bare: bare.as_secs_f64() * 1e6,
        });
    }
    reads.stop().await?;
    store.close();
    Ok(seen.split_off(seen.len() / WARM_UP))
}

fn questions(plan: &Plan) -> u64 {
    plan.rounds * (plan.pages / PAGES_A_QUESTION).max(10)
}

/// Whom a question is about: not one of the few with very many conversations.
fn anybody(log: &Filled, question: u64) -> anyhow::Result<MemberId> {
    let others = log.size.members.saturating_sub(world::HUBS).max(1);
    world::member(world::HUBS + mix(question) % others)
}

/// The streams that a member's inbox and standing rest on.
fn streams_of(past: &Past, member: &MemberId, until: Position) -> anyhow::Result<Vec<StreamName>> {
    let pairs = past.conversations(member, until)?;
    let conversations = pairs
        .iter()
        .map(|pair| conversation::stream(pair.conversation_id));
    let names = [policy::STREAM.to_owned(), member::stream(member)];
    let names = names.into_iter().chain(conversations);
    names.map(|name| Ok(StreamName::new(name)?)).collect()
}

/// The whole question: how many events were read for it, and how long it took.
async fn ask(
    reads: &ReadSide,
    member: &MemberId,
    middle: Position,
) -> anyhow::Result<(f64, Duration)> {
    let started = Instant::now();
    let past = reads.past(LONG).await?;
    let moment = past.moment(When::At(middle), Timestamp(i64::MAX)).await?;
    let views = [ViewName::Inbox, ViewName::Members];
    let subject = Subject::Member(member.clone());
    let as_of = past.as_of(&subject, &views, moment).await?;
    let page = projections::PageRequest::first(ITEMS)?;
    black_box(as_of.inbox(member, &page).await?);
    let took = started.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a number to be read")]
    let events = as_of.events() as f64;
    Ok((events, took))
}

/// Reads streams up to a position.
async fn read(
    store: &dyn EventStore,
    streams: &[StreamName],
    until: Position,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for stream in streams {
        let mut from = StreamFrom::Start;
        loop {
            let block = store
                .read_stream(stream, from, Direction::Forward, BLOCK_EVENTS)
                .await?;
            let whole = block.len() < BLOCK_EVENTS;
            let last = block.last().map(|last| (last.position(), last.version()));
            black_box(block);
            match last {
                Some((position, version)) if !whole && position <= until => {
                    from = StreamFrom::Version(version + 1);
                }
                Some(_) | None => break,
            }
        }
    }
    Ok(started.elapsed())
}

/// Asks a service of its own over HTTP, as many at once as it answers, for the members with very many conversations, too.
async fn memory(plan: &Plan, log: &Filled) -> anyhow::Result<Row> {
    let service = Service::start(log).await?;
    let keys = compose::open_keys(&log.folder, &KeyArgs { auth_key: None })?;
    let token = keys.sign("ada", &[Role::Auditor], 24 * 3600)?;
    let (serving, _) = service.memory_mib()?;
    let mut asking = tokio::task::JoinSet::new();
    for auditor in 0..AUDITORS {
        let mut members = Vec::new();
        for question in 0..questions(plan) {
            members.push(anybody(log, AUDITORS * question + auditor)?);
        }
        for hub in 0..world::HUBS {
            members.push(world::member((hub + auditor) % world::HUBS)?);
        }
        let (address, token) = (service.address.clone(), token.clone());
        let middle = log.events / 2;
        asking.spawn(async move { ask_all(&address, &token, &members, middle).await });
    }
    let mut refused = 0;
    while let Some(asked) = asking.join_next().await {
        refused += asked.context("an auditor ended early")??;
    }
    let (_, most) = service.memory_mib()?;
    service.stop()?;
    let what = format!("memory at most while {AUDITORS} auditors ask so at once");
    let target = Target::AtMost(serving + MEMORY_MIB);
    let row = Row::new("memory-as-of", &what, "MiB", most, target);
    Ok(row.noting(format!("{refused} questions were beyond their bounds")))
}

/// Asks for the inboxes of members, one after the other; how many were refused as too large.
async fn ask_all(
    address: &str,
    token: &str,
    members: &[MemberId],
    middle: u64,
) -> anyhow::Result<u64> {
    let mut client = Client::connect(address).await?;
    let mut refused = 0;
    for member in members {
        let path = format!("/v1/audit/members/{member}/inbox?as_of={middle}&limit={ITEMS}");
        let answer = client.send(&request("GET", &path, token, "", "")).await?;
        match answer.status {
            200 => {}
            422 => refused += 1,
            status => anyhow::bail!("{path} answers {status}"),
        }
    }
    Ok(refused)
}

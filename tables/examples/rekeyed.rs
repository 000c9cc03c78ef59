//! Measures a re-keyed inbox: events a second followed live in batches and rebuilt from the log, each beside a fold of
//! the same events into maps in memory, in one run.
//!
//! `cargo run --release -p tables --example rekeyed -- [EVENTS] [FOLDER]`. Each message moves one row of each of its
//! two members to the top: the row's old place in the order is deleted, the new one put. About three messages a pair,
//! a few pairs having most of them.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_store::{EventStore, LogId, Members, NewEvent, Position, RecordedEvent, StreamName};
use tables::key::Key;
use tables::testing::Log;
use tables::{
    ApplyError, Fold, RebuildOptions, Runner, RunnerOptions, Tx, Undecoded, View, digest, rebuild,
};
use uuid::Uuid;

const ROWS: &str = "rows";
const ORDER: &str = "orders";
const EVENTS_PER_PAIR: u64 = 3;
const EVENTS_PER_MEMBER: u64 = 31;

/// What the view and its baseline do to rows.
trait Rows {
    fn get(&mut self, table: &str, key: &[u8]) -> Option<Vec<u8>>;
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]);
    fn delete(&mut self, table: &str, key: &[u8]);
}

struct InTx<'a, 'b>(&'a mut Tx<'b>);

impl Rows for InTx<'_, '_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(table, key).unwrap().map(|row| row.to_vec())
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) {
        self.0.put(table, key, value).unwrap();
    }

    fn delete(&mut self, table: &str, key: &[u8]) {
        self.0.delete(table, key).unwrap();
    }
}

#[derive(Default)]
struct Maps {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    orders: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Maps {
    fn table(&mut self, table: &str) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        if table == ROWS {
            &mut self.rows
        } else {
            &mut self.orders
        }
    }
}

impl Rows for Maps {
    fn get(&mut self, table: &str, key: &[u8]) -> Option<Vec<u8>> {
        self.table(table).get(key).cloned()
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) {
        self.table(table).insert(key.to_vec(), value.to_vec());
    }

    fn delete(&mut self, table: &str, key: &[u8]) {
        self.table(table).remove(key);
    }
}

fn apply(rows: &mut impl Rows, event: &RecordedEvent) {
    let mut members = event.members();
    let (Some(from), Some(to)) = (members.next(), members.next()) else {
        return;
    };
    let conversation = event.correlation_id();
    for (member, sent) in [(from, true), (to, false)] {
        let key = Key::with_capacity(48)
            .text(member)
            .fixed(conversation.as_bytes());
        let old = rows.get(ROWS, &key);
        let mut unread = 0_u32;
        if let Some((at, rest)) = old.as_deref().and_then(|old| old.split_first_chunk::<8>()) {
            let at = i64::from_be_bytes(*at);
            unread = rest
                .first_chunk()
                .map_or(0, |unread| u32::from_be_bytes(*unread));
            rows.delete(ORDER, &order(member, at, conversation));
        }
        unread = if sent { 0 } else { unread + 1 };
        let text = event
            .data()
            .get(..event.data().len().min(60))
            .unwrap_or_default();
        let mut row = Vec::with_capacity(12 + text.len());
        row.extend_from_slice(&event.at_ms().to_be_bytes());
        row.extend_from_slice(&unread.to_be_bytes());
        row.extend_from_slice(text);
        rows.put(ORDER, &order(member, event.at_ms(), conversation), &[]);
        rows.put(ROWS, &key, &row);
    }
}

fn order(member: &str, at: i64, conversation: Uuid) -> Key {
    Key::with_capacity(56)
        .text(member)
        .i64_desc(at)
        .fixed(conversation.as_bytes())
}

struct Inbox;

impl View<Undecoded> for Inbox {
    fn name(&self) -> &'static str {
        "inbox"
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, ORDER]
    }

    fn apply(&self, tx: &mut Tx<'_>, event: &RecordedEvent, (): &()) -> Result<(), ApplyError> {
        apply(&mut InTx(tx), event);
        Ok(())
    }
}

/// The same events every time.
fn events(count: u64) -> Vec<RecordedEvent> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let (pairs, members) = (
        (count / EVENTS_PER_PAIR).max(1),
        (count / EVENTS_PER_MEMBER).max(2),
    );
    let text = r#"{"text":"Are you coming to the library later? I have the notes you asked for."}"#;
    let event = |index: u64| {
        let pair = (random().powi(2) * pairs as f64) as u64;
        let mut sides = [
            pair.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            pair.wrapping_mul(0xD1B5_4A32_D192_ED03),
        ]
        .map(|hash| format!("member-{}", (hash >> 20) % members));
        if random() < 0.5 {
            sides.swap(0, 1);
        }
        let [from, to] = sides;
        let conversation = Uuid::from_u64_pair(pair.wrapping_mul(0xA24B_AED4_963E_E407), pair);
        let new = NewEvent {
            event_id: Uuid::from_u64_pair(1, index),
            event_type: Cow::Borrowed("message-sent.v1"),
            at_ms: 1_700_000_000_000 + index.cast_signed() * 10,
            command_id: format!("c{index}").into(),
            correlation_id: conversation,
            causation_id: conversation,
            actor: from.clone().into(),
            members: Members::two(from, to),
            last_number: None,
            data: text.into(),
        };
        let stream = StreamName::new(format!("conversation-{conversation}")).unwrap();
        RecordedEvent::record(Position(index + 1), new.at_ms, &stream, 0, &new)
    };
    (0..count).map(event).collect()
}

fn report(what: &str, events: usize, took: Duration, baseline: Option<Duration>) {
    let rate = events as f64 / took.as_secs_f64() / 1000.0;
    let ratio = baseline.map_or(String::new(), |baseline| {
        format!(
            "{:.2} of the maps",
            baseline.as_secs_f64() / took.as_secs_f64()
        )
    });
    println!("{what:<44} {rate:>8.0} thousand events/s   {ratio}");
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let count = arguments
        .next()
        .map_or(500_000, |count| count.parse().unwrap());
    let dir = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join("doorstep-rekeyed");
    let _ = std::fs::remove_dir_all(&dir);
    let log_id = LogId(Uuid::from_u128(7));
    let events = events(count);
    let total = events.len();

    let started = Instant::now();
    let mut maps = Maps::default();
    for event in &events {
        apply(&mut maps, event);
    }
    let baseline = started.elapsed();
    report("maps in memory", total, baseline, None);
    println!("{:<44} {:>8} rows", "", maps.rows.len() + maps.orders.len());
    drop(maps);

    let started = Instant::now();
    let mut fold = Fold::new(&Inbox);
    for event in &events {
        fold.apply(event, &Ok(())).unwrap();
    }
    report("fold in memory", total, started.elapsed(), Some(baseline));
    println!("{:<44} {:>8} MiB", "", fold.bytes() >> 20);
    let started = Instant::now();
    let folded = digest(&fold.into_reader(log_id)).unwrap();
    println!(
        "{:<44} {:>8.2} s for order and digest",
        "",
        started.elapsed().as_secs_f64()
    );

    let log = Log::new(log_id, events.clone());
    let view: Arc<dyn View<Undecoded>> = Arc::new(Inbox);
    for (what, overlay_bytes_max) in [
        ("rebuild in one fold", usize::MAX),
        ("rebuild in folds of 64 MiB", 64 << 20),
    ] {
        let started = Instant::now();
        let options = RebuildOptions {
            overlay_bytes_max,
            ..RebuildOptions::default()
        };
        let path = dir.join("rebuilt.redb");
        let store: Arc<dyn EventStore> = log.clone();
        let rebuilt = rebuild(
            store,
            Arc::new(Undecoded),
            Arc::clone(&view),
            &path,
            Position(u64::MAX),
            options,
            |_| {},
        )
        .await
        .unwrap();
        report(what, total, started.elapsed(), Some(baseline));
        println!(
            "{:<44} {:>8} MiB",
            "",
            std::fs::metadata(&path).unwrap().len() >> 20
        );
        assert_eq!(
            digest(&rebuilt.file.reader()).unwrap(),
            folded,
            "rebuilt equals folded"
        );
    }

    for batch in [16_384, 4_096, 1_024, 128] {
        let dir = dir.join(format!("live-{batch}"));
        let log = Log::new(log_id, Vec::new());
        let options = RunnerOptions {
            batch_events_max: batch,
            cache_bytes: 64 << 20,
            ..RunnerOptions::in_dir(&dir)
        };
        let store: Arc<dyn EventStore> = log.clone();
        let runner = Runner::start(store, Undecoded, vec![Arc::clone(&view)], options)
            .await
            .unwrap();
        runner
            .wait_all(Position::START, Duration::from_mins(1))
            .await
            .unwrap();
        let started = Instant::now();
        for block in events.chunks(batch) {
            while runner.lag_events() > batch as u64 * 2 {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            log.push(block.iter().cloned());
        }
        runner
            .wait_all(Position(count), Duration::from_mins(5))
            .await
            .unwrap();
        report(
            &format!("live in batches of {batch}"),
            total,
            started.elapsed(),
            Some(baseline),
        );
        let reader = runner.view("inbox").unwrap().reader().unwrap();
        assert_eq!(digest(&reader).unwrap(), folded, "live equals folded");
        drop(reader);
        runner.stop().await.unwrap();
    }

    let log = Log::new(log_id, Vec::new());
    let store: Arc<dyn EventStore> = log.clone();
    let runner = Runner::start(
        store,
        Undecoded,
        vec![view],
        RunnerOptions::in_dir(dir.join("single")),
    )
    .await
    .unwrap();
    let mut waits = Vec::new();
    for event in events.iter().take(5_000) {
        let position = event.position();
        let started = Instant::now();
        log.push([event.clone()]);
        runner
            .wait("inbox", position, Duration::from_secs(5))
            .await
            .unwrap();
        waits.push(started.elapsed());
    }
    waits.sort_unstable();
    let at = |share: usize| {
        waits
            .get(waits.len() * share / 1000)
            .map_or(0, Duration::as_micros)
    };
    println!(
        "one event until it is readable: p50 {} us, p99 {} us, p99.9 {} us",
        at(500),
        at(990),
        at(999)
    );
    runner.stop().await.unwrap();
    let _ = std::fs::remove_dir_all(&dir);
}

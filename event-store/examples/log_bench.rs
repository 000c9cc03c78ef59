//! Measures the embedded store alone: events appended durably per second by number of callers, beside
//! bare batches of the same bytes written and synced to a zero-filled file; then scans of the log.
//!
//! `cargo run --release -p event-store --example log_bench -- [events] [dir]`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement, not a program"
)]

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use event_store::conformance::{append_of, fresh_stream};
use event_store::{
    Direction, EmbeddedStore, EventStore, ExpectedVersion, Members, NewEvent, Options, Position,
    StreamFrom,
};
use uuid::Uuid;

const DATA: &str = r#"{"number":41,"from":"college:1234","to":"college:987","text":"are we still on for tonight?","route":"inbox","evidence":{"rule":8,"policy_version":0,"setting_version":3,"class":"friend"}}"#;

/// An event without a look at the system's source of chance, which would cost more than the append.
fn event(number: u64) -> NewEvent {
    NewEvent {
        event_id: Uuid::from_u128(u128::from(number)),
        event_type: "message-sent.v1".into(),
        at_ms: 1_733_000_000_000,
        command_id: "4f1d2c6e-8a53-4c0b".into(),
        correlation_id: Uuid::from_u128(7),
        causation_id: Uuid::from_u128(8),
        actor: "college:1234".into(),
        members: Members::two("college:1234", "college:987"),
        last_number: Some(number),
        data: DATA.into(),
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let events: u64 = args.next().map_or(200_000, |n| n.parse().unwrap());
    let parent = args
        .next()
        .unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for callers in [1_u64, 16, 128, 512, 1024] {
        let dir = Path::new(&parent).join(format!("log-bench-{}-{callers}", std::process::id()));
        let count = events.min(callers * 2_000);
        runtime.block_on(measure(callers, count, &dir));
        std::fs::remove_dir_all(&dir).unwrap();
    }
    let dir = Path::new(&parent).join(format!("log-bench-{}-scan", std::process::id()));
    runtime.block_on(scans(events, &dir));
    std::fs::remove_dir_all(&dir).unwrap();
}

async fn measure(callers: u64, count: u64, dir: &Path) {
    let batches = Arc::new((AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)));
    let seen = Arc::clone(&batches);
    let options = Options {
        observer: Some(Arc::new(move |batch| {
            seen.0.fetch_add(1, Ordering::Relaxed);
            seen.1
                .fetch_add(u64::try_from(batch.bytes).unwrap(), Ordering::Relaxed);
            let nanos = u64::try_from(batch.total.as_nanos()).unwrap();
            seen.2.fetch_add(nanos, Ordering::Relaxed);
        })),
        ..Options::default()
    };
    let store = EmbeddedStore::open(dir, options).unwrap();
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let stream = fresh_stream("conversation");
                for number in 0..count / callers {
                    let expected = ExpectedVersion::of(number.checked_sub(1));
                    let append = append_of(&stream, expected, vec![event(number)]);
                    store.append(append).await.unwrap().durable().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = begun.elapsed();
    let written = batches.0.load(Ordering::Relaxed);
    let bytes = batches.1.load(Ordering::Relaxed);
    let writing = Duration::from_nanos(batches.2.load(Ordering::Relaxed));
    let bare = bare(
        &dir.join("bare"),
        written,
        usize::try_from(bytes / written).unwrap(),
    );
    let rate = |time: Duration| count as f64 / time.as_secs_f64() / 1000.0;
    println!(
        "{callers:5} callers: {:8.1} k events/s, {:6.1} events/batch, writer busy {:3.0} %, bare {:8.1} k events/s, ratio {:.2}",
        rate(took),
        count as f64 / written as f64,
        100.0 * writing.as_secs_f64() / took.as_secs_f64(),
        rate(bare),
        bare.as_secs_f64() / took.as_secs_f64(),
    );
}

/// The same number of batches of the same size, written and synced and nothing else.
fn bare(path: &Path, batches: u64, bytes: usize) -> Duration {
    let file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .read(true)
        .open(path)
        .unwrap();
    let segment = 64 * 1024 * 1024;
    file.write_all_at(&vec![0; segment], 0).unwrap();
    file.sync_all().unwrap();
    let batch = vec![7_u8; bytes];
    let mut at = 0;
    let begun = Instant::now();
    for _ in 0..batches {
        if at + bytes > segment {
            at = 0;
        }
        file.write_all_at(&batch, u64::try_from(at).unwrap())
            .unwrap();
        file.sync_data().unwrap();
        at += bytes;
    }
    begun.elapsed()
}

/// Memory of this process, from the system's own account.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or("0 kB");
    line.trim()
        .trim_end_matches(" kB")
        .trim()
        .parse::<u64>()
        .unwrap_or(0)
        / 1024
}

async fn scans(events: u64, dir: &Path) {
    let store = EmbeddedStore::open(dir, Options::default()).unwrap();
    let begun = Instant::now();
    let streams = (events / 20).max(1);
    let names: Vec<_> = (0..streams).map(|_| fresh_stream("conversation")).collect();
    let mut last = None;
    for number in 0..events {
        let expected = ExpectedVersion::of((number / streams).checked_sub(1));
        let stream = &names[usize::try_from(number % streams).unwrap()];
        let append = append_of(stream, expected, vec![event(number)]);
        last = Some(store.append(append).await.unwrap());
    }
    last.unwrap().durable().await.unwrap();
    let rate = |time: Duration| events as f64 / time.as_secs_f64() / 1000.0;
    println!("pipelined: {:8.1} k events/s", rate(begun.elapsed()));
    println!("resident after writing: {} MiB", resident_mib());
    for _ in 0..3 {
        let begun = Instant::now();
        let (mut after, mut bytes, mut seen) = (Position::START, 0, 0);
        loop {
            let block = store.read_all(after, 100_000, 1 << 20).await.unwrap();
            let Some(last) = block.last() else { break };
            after = last.position();
            seen += block.len();
            bytes += block.iter().map(|event| event.data().len()).sum::<usize>();
        }
        println!(
            "scan of {seen}: {:8.1} k events/s ({bytes} bytes of data)",
            rate(begun.elapsed())
        );
    }
    let begun = Instant::now();
    let reads = 20_000.min(events);
    for number in 0..reads {
        let stream = &names[usize::try_from(number * 7919 % streams).unwrap()];
        let version = number * 31 % (events / streams).max(1);
        store.read_one(stream, version).await.unwrap().unwrap();
    }
    let took = begun.elapsed();
    println!(
        "read_one: {:.1} µs",
        took.as_secs_f64() * 1e6 / reads as f64
    );
    let begun = Instant::now();
    let mut read = 0;
    for stream in &names {
        let page = store
            .read_stream(stream, StreamFrom::End, Direction::Backward, 50)
            .await
            .unwrap();
        read += page.len();
    }
    let took = begun.elapsed();
    println!(
        "last 50 of a stream: {:.1} µs ({} events each)",
        took.as_secs_f64() * 1e6 / streams as f64,
        read as u64 / streams
    );
    let begun = Instant::now();
    for _ in 0..10_000 {
        assert!(store.head(&fresh_stream("absent")).await.unwrap().is_none());
    }
    println!(
        "head of an absent stream: {:.1} µs",
        begun.elapsed().as_secs_f64() * 1e6 / 1e4
    );
    println!("resident after reading: {} MiB", resident_mib());
    let durable = store.durable_position();
    drop(store);
    let begun = Instant::now();
    let store = EmbeddedStore::open(dir, Options::default()).unwrap();
    println!(
        "opening after a clean stop: {:.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    assert_eq!(store.durable_position(), durable);
    println!("resident after opening: {} MiB", resident_mib());
}

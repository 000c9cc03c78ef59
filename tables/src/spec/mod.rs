//! What running views promise, on a log in memory: following, stopping, going on, starting over.

mod crashes;
mod files;
mod following;
mod letters;
mod stopping;
mod switching;
mod versions;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event_store::{EventStore, LogId, Members, NewEvent, Position, RecordedEvent, StreamName};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::testing::Log;
use crate::{
    ApplyError, Codec, DecodeError, Digest, Fold, Runner, RunnerHandle, RunnerOptions, Skipped, Tx,
    View, WaitKey, digest,
};

const LOG: LogId = LogId(Uuid::from_u128(1));
const LONG: Duration = Duration::from_secs(20);
const ROWS: &str = "rows";
const LATEST: &str = "latest";
/// The stream that says what a view shall do without.
const SKIPS: &str = "skips";

/// The event at `position`: `word` is its data, the stream one of five.
fn event(position: u64, word: &str) -> RecordedEvent {
    let new = NewEvent {
        event_id: Uuid::from_u64_pair(2, position),
        event_type: Cow::Owned(
            if word.starts_with("odd") {
                "odd.v1"
            } else {
                "word.v1"
            }
            .to_owned(),
        ),
        at_ms: 1_000 + position.cast_signed(),
        command_id: "command".into(),
        correlation_id: Uuid::nil(),
        causation_id: Uuid::nil(),
        actor: "actor".into(),
        members: Members::none(),
        last_number: None,
        data: word.to_owned().into(),
    };
    let (stream, version) = if word.starts_with("skip ") {
        (SKIPS.to_owned(), position)
    } else {
        (format!("stream-{}", position % 5), position / 5)
    };
    let stream = StreamName::new(stream).unwrap();
    RecordedEvent::record(Position(position), new.at_ms, &stream, version, &new)
}

fn events(positions: std::ops::RangeInclusive<u64>) -> Vec<RecordedEvent> {
    positions
        .map(|position| event(position, &format!("word {}", position * 7919 % 13)))
        .collect()
}

/// Decodes data to text; `unreadable` is not.
#[derive(Clone, Copy)]
struct Words;

impl Codec for Words {
    type Decoded<'a> = &'a str;

    fn decode<'a>(&self, event: &'a RecordedEvent) -> Result<&'a str, DecodeError> {
        match std::str::from_utf8(event.data()) {
            Ok("unreadable") => Err(DecodeError::new(anyhow::anyhow!("made so"))),
            Ok(text) => Ok(text),
            Err(error) => Err(DecodeError::new(error)),
        }
    }

    fn skip_stream(&self, _view: &str) -> Option<StreamName> {
        StreamName::new(SKIPS).ok()
    }

    fn skipped(&self, event: &RecordedEvent) -> Option<Skipped> {
        let text = std::str::from_utf8(event.data()).ok()?;
        let (stream, version) = text.strip_prefix("skip ")?.split_once(' ')?;
        Some(Skipped {
            view_version: 1,
            stream: stream.to_owned(),
            version: version.parse().ok()?,
        })
    }
}

/// Counts words, and keeps each stream's latest word in an order of its own: neither the same when an event is applied
/// twice, nor when one is missed.
#[derive(Default)]
struct Counter {
    name: Option<&'static str>,
    version: u32,
    /// Has no use for `odd` events.
    even: bool,
    /// Fails at events of these words, half way.
    fails_at: Option<&'static str>,
    panics_at: Option<&'static str>,
    /// Has a bug with these streams' events, while it has.
    bug: Mutex<BTreeSet<String>>,
    /// How many events it sets aside before it stops.
    letters_max: usize,
    applied: AtomicU64,
}

impl Counter {
    fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }
}

impl View<Words> for Counter {
    fn name(&self) -> &'static str {
        self.name.unwrap_or("counter")
    }

    fn version(&self) -> u32 {
        self.version.max(1)
    }

    fn tables(&self) -> &'static [&'static str] {
        &[ROWS, LATEST]
    }

    fn wants(&self, event_type: &str) -> bool {
        !(self.even && event_type == "odd.v1")
    }

    fn letters_max(&self) -> usize {
        self.letters_max
    }

    /// By its stream, and where its word says so by another thing too.
    fn keys(&self, event: &RecordedEvent, word: Option<&&str>) -> Vec<WaitKey> {
        let mut keys = vec![WaitKey::Writes(event.stream().to_owned())];
        let word = word.copied().unwrap_or_default();
        let (written, read) = (word.strip_prefix("with "), word.strip_prefix("beside "));
        keys.extend(written.map(|other| WaitKey::Writes(other.to_owned())));
        keys.extend(read.map(|other| WaitKey::Reads(other.to_owned())));
        keys
    }

    fn apply(&self, tx: &mut Tx<'_>, event: &RecordedEvent, word: &&str) -> Result<(), ApplyError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        let count = tx
            .get(ROWS, word.as_bytes())?
            .and_then(|row| row.first_chunk().copied());
        let count = count.map_or(0, u64::from_be_bytes) + 1;
        tx.put(ROWS, word.as_bytes(), &count.to_be_bytes())?;
        if self.fails_at == Some(word) {
            return Err(ApplyError::message("it does not like the word"));
        }
        assert_ne!(self.panics_at, Some(*word), "a bug");
        assert!(!self.bug.lock().contains(event.stream()), "a bug with it");
        let stream = event.stream().as_bytes();
        let old = tx.get(LATEST, stream)?.map(|row| row.to_vec());
        if let Some(old) = old {
            tx.delete(LATEST, &old)?;
        }
        let place = [b"at ", event.position().to_string().as_bytes()].concat();
        tx.put(LATEST, &place, word.as_bytes())?;
        tx.put(LATEST, stream, &place)?;
        Ok(())
    }
}

fn expected(events: &[RecordedEvent]) -> Digest {
    let view = Counter::default();
    let mut fold = Fold::new(&view);
    fold.apply_all(&Words, events).unwrap();
    digest(&fold.into_reader(LOG)).unwrap()
}

fn rows(runner: &RunnerHandle, view: &str) -> Digest {
    digest(&runner.view(view).unwrap().reader().unwrap()).unwrap()
}

async fn start(log: &Arc<Log>, views: &[&Arc<Counter>], options: RunnerOptions) -> RunnerHandle {
    let views = views
        .iter()
        .map(|view| -> Arc<dyn View<Words>> { Arc::<Counter>::clone(view) })
        .collect();
    let store: Arc<dyn EventStore> = log.clone();
    Runner::start(store, Words, views, options).await.unwrap()
}

/// Options under which nothing becomes durable but by a stop.
fn options(dir: &std::path::Path) -> RunnerOptions {
    RunnerOptions {
        checkpoint_every: Duration::from_hours(1),
        cache_bytes: 4 << 20,
        ..RunnerOptions::in_dir(dir)
    }
}

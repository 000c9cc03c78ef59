//! Dead letters: what a view could not apply is set aside with its cause, and what belongs to it waits behind it, in order.
//!
//! Letters lie in the view's own file, written in the transaction of the rows and the checkpoint they stand beside, so
//! that a crash loses none and applies none twice. An event that conflicts with a letter ([`View::keys`]) waits; whatever
//! conflicts with none flows on. The view's bound ([`View::letters_max`]) holds for both kinds together: past it the view
//! stops before the event, and says why. Letters are tried again by `follower::retry`, once the view's code may be another,
//! or an operator says that the view shall do without an event ([`Skips`]).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use event_store::{Direction, EventStore, Position, RecordedEvent, StreamFrom, StreamName};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::key::{Key, Parts};
use crate::overlay::Overlay;
use crate::reader::Snapshot;
use crate::{ApplyError, Codec, DecodeError, Skipped, StartError, TableError, Tx, View};

/// Bytes kept of a cause at most.
const CAUSE_BYTES_MAX: usize = 512;
/// Events that skip, read at once.
const SKIPS_READ: usize = 256;

/// An event that a view has not applied, although it stands beyond it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The event's place in the log.
    pub position: Position,
    /// Its stream.
    pub stream: Box<str>,
    /// Its version there.
    pub version: u64,
    /// Its type.
    pub event_type: Box<str>,
    /// Why the view could not apply it, cut to 512 bytes; none where it only waits behind an earlier one.
    pub cause: Option<Box<str>>,
    /// What it writes and reads.
    pub keys: Box<[WaitKey]>,
}

/// Something that the application of an event writes, or only reads. Two events conflict by a key that one of them
/// writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitKey {
    /// It changes with the event.
    Writes(String),
    /// What becomes of the event depends on it.
    Reads(String),
}

impl WaitKey {
    /// What is written or read.
    pub fn name(&self) -> &str {
        match self {
            Self::Writes(name) | Self::Reads(name) => name,
        }
    }
}

/// What some events write and read: for each key, how many of either.
#[derive(Default)]
pub(crate) struct Conflicts(FxHashMap<String, (usize, usize)>);

impl Conflicts {
    /// Whether an event with these keys conflicts with one of them.
    pub(crate) fn with(&self, keys: &[WaitKey]) -> bool {
        keys.iter().any(|key| match (key, self.0.get(key.name())) {
            (_, None) => false,
            (WaitKey::Writes(_), Some(_)) => true,
            (WaitKey::Reads(_), Some((writes, _))) => *writes > 0,
        })
    }

    pub(crate) fn add(&mut self, keys: &[WaitKey]) {
        for key in keys {
            let (writes, reads) = self.0.entry(key.name().to_owned()).or_default();
            *(match key {
                WaitKey::Writes(_) => writes,
                WaitKey::Reads(_) => reads,
            }) += 1;
        }
    }

    fn take_away(&mut self, keys: &[WaitKey]) {
        for key in keys {
            let Some((writes, reads)) = self.0.get_mut(key.name()) else {
                continue;
            };
            let count = match key {
                WaitKey::Writes(_) => &mut *writes,
                WaitKey::Reads(_) => &mut *reads,
            };
            *count = count.saturating_sub(1);
            if *writes + *reads == 0 {
                self.0.remove(key.name());
            }
        }
    }
}

impl Letter {
    fn of(event: &RecordedEvent, keys: Vec<WaitKey>, cause: Option<String>) -> Self {
        Self {
            position: event.position(),
            stream: event.stream().into(),
            version: event.version(),
            event_type: event.event_type().into(),
            cause: cause.map(|cause| cut(cause).into()),
            keys: keys.into(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Key::new()
            .text(&self.stream)
            .u64(self.version)
            .text(&self.event_type)
            .u8(u8::from(self.cause.is_some()))
            .text(self.cause.as_deref().unwrap_or_default());
        for key in &self.keys {
            let reads = matches!(key, WaitKey::Reads(_));
            bytes = bytes.u8(u8::from(reads)).text(key.name());
        }
        bytes.into_bytes()
    }

    fn from_bytes(position: Position, bytes: &[u8]) -> Option<Self> {
        let mut parts = Parts::of(bytes);
        let stream = parts.text()?.into();
        let version = parts.u64()?;
        let event_type = parts.text()?.into();
        let failed = parts.u8()? == 1;
        let cause: Box<str> = parts.text()?.into();
        let mut keys = Vec::new();
        while !parts.clone().rest().is_empty() {
            let reads = parts.u8()? == 1;
            let name = parts.text()?;
            keys.push(if reads {
                WaitKey::Reads(name)
            } else {
                WaitKey::Writes(name)
            });
        }
        Some(Self {
            position,
            stream,
            version,
            event_type,
            cause: failed.then_some(cause),
            keys: keys.into(),
        })
    }
}

fn cut(mut cause: String) -> String {
    if cause.len() > CAUSE_BYTES_MAX {
        let end = (0..=CAUSE_BYTES_MAX).rfind(|end| cause.is_char_boundary(*end));
        cause.truncate(end.unwrap_or(0));
    }
    cause
}

/// How many events a view has set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Those it could not apply.
    pub failed: usize,
    /// Those that wait behind them.
    pub waiting: usize,
}

impl SetAside {
    /// Both kinds together.
    pub fn all(self) -> usize {
        self.failed + self.waiting
    }
}

pub(crate) type Shown = Arc<BTreeMap<Position, Letter>>;

/// Counts both kinds.
pub(crate) fn count(letters: &Shown) -> SetAside {
    let failed = letters
        .values()
        .filter(|letter| letter.cause.is_some())
        .count();
    SetAside {
        failed,
        waiting: letters.len() - failed,
    }
}

/// The letters of a file, with what has changed of them since its last commit.
#[derive(Default)]
pub(crate) struct Letters {
    all: Shown,
    /// Those of the last commit, as they stand beside its rows.
    committed: Shown,
    /// What they write and read.
    conflicts: Conflicts,
    changed: FxHashSet<Position>,
}

impl Letters {
    /// The letters that a file holds. None where one cannot be read.
    pub(crate) fn stored<'a>(rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let mut letters = Self::default();
        for (key, bytes) in rows {
            let position = Position(Parts::of(key).u64()?);
            letters.add(Letter::from_bytes(position, bytes)?);
        }
        letters.written();
        Some(letters)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// As they are, with what is not committed yet.
    pub(crate) fn now(&self) -> Shown {
        Arc::clone(&self.all)
    }

    /// As they were committed, for whoever asks.
    pub(crate) fn shown(&self) -> Shown {
        Arc::clone(&self.committed)
    }

    fn add(&mut self, letter: Letter) {
        self.remove(letter.position);
        self.conflicts.add(&letter.keys);
        self.changed.insert(letter.position);
        Arc::make_mut(&mut self.all).insert(letter.position, letter);
    }

    pub(crate) fn remove(&mut self, position: Position) {
        if let Some(letter) = Arc::make_mut(&mut self.all).remove(&position) {
            self.conflicts.take_away(&letter.keys);
            self.changed.insert(position);
        }
    }

    /// Whether there is anything to write.
    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What is to be written: the new bytes of a letter, or that it is gone.
    pub(crate) fn changes(&self) -> impl Iterator<Item = ([u8; 8], Option<Vec<u8>>)> {
        self.changed.iter().map(|position| {
            let letter = self.all.get(position).map(Letter::to_bytes);
            (position.0.to_be_bytes(), letter)
        })
    }

    /// All of them, as they are written.
    pub(crate) fn rows(&self) -> impl Iterator<Item = ([u8; 8], Vec<u8>)> {
        let rows = self.all.iter();
        rows.map(|(position, letter)| (position.0.to_be_bytes(), letter.to_bytes()))
    }

    /// What was to be written is.
    pub(crate) fn written(&mut self) {
        if self.is_changed() {
            self.changed.clear();
            self.committed = Arc::clone(&self.all);
        }
    }
}

/// The events that operators decided a view shall do without.
///
/// They stand in the log, in a stream of the view ([`Codec::skip_stream`]), each for one version of it, and hold from the
/// view's beginning on: a view that is made anew passes over the event at once, where the running one had set it aside before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skips {
    /// Where it stands; none where nothing says so.
    stream: Option<StreamName>,
    /// Where each was decided.
    events: FxHashMap<Box<str>, FxHashMap<u64, Position>>,
}

impl Skips {
    /// Reads what the log says of a version of a view up to `until`.
    pub async fn read<C: Codec>(
        store: &dyn EventStore,
        codec: &C,
        (view, view_version): (&str, u32),
        until: Position,
    ) -> Result<Self, StartError> {
        let mut skips = Self::default();
        let Some(stream) = codec.skip_stream(view) else {
            return Ok(skips);
        };
        skips.stream = Some(stream.clone());
        let mut from = StreamFrom::Start;
        loop {
            let read = store.read_stream(&stream, from, Direction::Forward, SKIPS_READ);
            let events = read.await?;
            let Some(last) = events.last() else {
                return Ok(skips);
            };
            from = StreamFrom::Version(last.version().saturating_add(1));
            for event in &events {
                if event.position() > until {
                    return Ok(skips);
                }
                skips.add(codec.skipped(event), event.position(), view_version);
            }
        }
    }

    /// Whether an event stands where such decisions do.
    pub(crate) fn are_told_by(&self, event: &RecordedEvent) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.as_str() == event.stream())
    }

    pub(crate) fn add(&mut self, skipped: Option<Skipped>, decided: Position, view_version: u32) {
        if let Some(skipped) = skipped.filter(|skipped| skipped.view_version == view_version) {
            let of_stream = self.events.entry(skipped.stream.into()).or_default();
            of_stream.entry(skipped.version).or_insert(decided);
        }
    }

    /// Whether the view shall do without the event of this stream and version.
    pub fn has(&self, stream: &str, version: u64) -> bool {
        self.decided(stream, version).is_some()
    }

    /// Where it was decided that the view shall do without that event.
    pub fn decided(&self, stream: &str, version: u64) -> Option<Position> {
        self.events.get(stream)?.get(&version).copied()
    }
}

/// Why a view does not go past an event.
pub(crate) enum Blocked {
    /// The tables failed.
    Table(TableError),
    /// The event is one too many to be set aside.
    Full(String),
}

/// One view's rows while events are applied to them.
pub(crate) struct Applying<'a, C: Codec> {
    pub(crate) view: &'a dyn View<C>,
    pub(crate) skips: &'a Skips,
    pub(crate) overlay: &'a mut Overlay,
    /// The committed rows; none where there are none.
    pub(crate) below: Option<&'a Snapshot>,
    pub(crate) letters: &'a mut Letters,
}

impl<C: Codec> Applying<'_, C> {
    /// Applies an event, or sets it aside.
    pub(crate) fn take(
        &mut self,
        event: &RecordedEvent,
        decoded: &Result<C::Decoded<'_>, DecodeError>,
    ) -> Result<(), Blocked> {
        if self.skips.has(event.stream(), event.version()) {
            return Ok(());
        }
        if !self.letters.is_empty() {
            let keys = self.view.keys(event, decoded.as_ref().ok());
            if self.letters.conflicts.with(&keys) {
                self.room().map_err(Blocked::Full)?;
                self.letters.add(Letter::of(event, keys, None));
                return Ok(());
            }
        }
        match self.attempt(event, decoded) {
            Ok(()) => Ok(()),
            Err(Failed::Table(error)) => Err(Blocked::Table(error)),
            Err(Failed::Event(cause)) => {
                if let Err(bound) = self.room() {
                    let cause = match self.view.letters_max() {
                        0 => cause,
                        _ => format!("{cause}; {bound}"),
                    };
                    return Err(Blocked::Full(cause));
                }
                self.set_aside(event, decoded, cause);
                Ok(())
            }
        }
    }

    /// Tries a letter again. Whether it is applied, or else stays with what hindered it now.
    pub(crate) fn again(
        &mut self,
        event: &RecordedEvent,
        decoded: &Result<C::Decoded<'_>, DecodeError>,
    ) -> Result<bool, TableError> {
        match self.attempt(event, decoded) {
            Ok(()) => {
                self.letters.remove(event.position());
                Ok(true)
            }
            Err(Failed::Table(error)) => Err(error),
            Err(Failed::Event(cause)) => {
                self.set_aside(event, decoded, cause);
                Ok(false)
            }
        }
    }

    fn set_aside(
        &mut self,
        event: &RecordedEvent,
        decoded: &Result<C::Decoded<'_>, DecodeError>,
        cause: String,
    ) {
        let view = self.view.name();
        let (position, stream, version) = (event.position(), event.stream(), event.version());
        tracing::error!(view, %position, stream, version, cause, "an event was set aside");
        metrics::counter!("doorstep_view_dead_letters_total", "view" => view).increment(1);
        let keys = self.view.keys(event, decoded.as_ref().ok());
        self.letters.add(Letter::of(event, keys, Some(cause)));
    }

    /// Whether one more may be set aside; in words why not.
    fn room(&self) -> Result<(), String> {
        let bound = self.view.letters_max();
        if self.letters.all.len() < bound {
            return Ok(());
        }
        Err(format!("{bound} events are set aside already"))
    }

    /// Applies an event, and leaves nothing of it where it fails.
    fn attempt(
        &mut self,
        event: &RecordedEvent,
        decoded: &Result<C::Decoded<'_>, DecodeError>,
    ) -> Result<(), Failed> {
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let mut tx = Tx::new(self.view.tables(), self.overlay, self.below);
            apply(self.view, &mut tx, event, decoded)
        }));
        let failed = match applied {
            Ok(Ok(())) => {
                self.overlay.keep(self.below.is_none());
                return Ok(());
            }
            Ok(Err(ApplyError::Table(error @ TableError::Storage(_)))) => Failed::Table(error),
            Ok(Err(error)) => Failed::Event(error.to_string()),
            Err(panic) => Failed::Event(format!("the view panicked: {}", panic_text(&*panic))),
        };
        self.overlay.take_back();
        Err(failed)
    }
}

/// Applies an event that may not have been decoded.
pub(crate) fn apply<C: Codec>(
    view: &dyn View<C>,
    tx: &mut Tx<'_>,
    event: &RecordedEvent,
    decoded: &Result<C::Decoded<'_>, DecodeError>,
) -> Result<(), ApplyError> {
    match (view.apply_header(tx, event), decoded) {
        (Some(applied), _) => applied,
        (None, Ok(decoded)) => view.apply(tx, event, decoded),
        (None, Err(error)) => Err(ApplyError::message(error.to_string())),
    }
}

/// Why an event was not applied.
enum Failed {
    Table(TableError),
    Event(String),
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

//! What is known of command ids before the index has them: commands in flight, and those decided since.
//!
//! Promise: of two commands with one id at once, one is decided and the other gets its outcome; an id decided here is
//! known from the moment its events have their place until the command index has applied them, without a gap. The
//! index itself, and the filter that spares it, stand in `index.rs` and `filter.rs`; the answer of a repeated command
//! is made from its stored events in `repeat.rs`.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use event_store::{Position, StreamName};
use lru::LruCache;
use parking_lot::Mutex;
use rustc_hash::{FxBuildHasher, FxHashMap};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::Outcome;

/// Parts of the map with a lock of their own.
const SHARDS: usize = 16;
/// Outcomes that wrote nothing, remembered per part until they are surely kept elsewhere (`kept.rs`).
const UNCHANGED_PER_SHARD: usize = 512;

/// Where the first event of a decided command stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The stream.
    pub(crate) stream: StreamName,
    /// The first event's version.
    pub(crate) version: u64,
    /// The last event's position.
    pub(crate) position: Position,
    /// The command's content.
    pub(crate) causation: Uuid,
}

enum Known {
    Running {
        waiting: Vec<oneshot::Sender<()>>,
        noted: Option<Seen>,
    },
    Decided(Seen),
}

/// What is known of an id.
pub(crate) enum Begun {
    /// Nothing here: the claim is the caller's, who has to ask the index next.
    Claimed(Claim),
    /// It is being decided, whatever its content; the receiver ends when it has been. Ask again then.
    Running(oneshot::Receiver<()>),
    /// It was decided, and wrote events.
    Decided(Seen),
    /// It was decided, and wrote nothing.
    Unchanged(Uuid, Position, Outcome),
}

struct Part {
    known: FxHashMap<Uuid, Known>,
    /// The decided ones by the order in which they were, to be dropped once applied.
    decided: VecDeque<(Position, Uuid)>,
    unchanged: LruCache<Uuid, (Uuid, Position, Outcome), FxBuildHasher>,
}

impl Part {
    /// Drops what the index has applied, and says how many that were.
    fn drop_applied(&mut self, applied: Position) -> usize {
        let before = self.known.len();
        while let Some((position, key)) = self.decided.front().copied()
            && position <= applied
        {
            self.decided.pop_front();
            if matches!(self.known.get(&key), Some(Known::Decided(seen)) if seen.position <= applied)
            {
                self.known.remove(&key);
            }
        }
        before - self.known.len()
    }
}

/// The ids in flight and not yet in the index.
pub(crate) struct Recent {
    shards: Vec<Mutex<Part>>,
    len: AtomicUsize,
}

impl Recent {
    /// Nothing known.
    pub(crate) fn new() -> Arc<Self> {
        let bound = NonZeroUsize::new(UNCHANGED_PER_SHARD).unwrap_or(NonZeroUsize::MIN);
        let part = || Part {
            known: FxHashMap::default(),
            decided: VecDeque::new(),
            unchanged: LruCache::with_hasher(bound, FxBuildHasher),
        };
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::new(part())).collect(),
            len: AtomicUsize::new(0),
        })
    }

    /// Claims an id, or tells what is known of it. What the index has applied is dropped on the way.
    pub(crate) fn begin(self: &Arc<Self>, key: Uuid, causation: Uuid, applied: Position) -> Begun {
        let mut part = self.shard(key).lock();
        let dropped = part.drop_applied(applied);
        self.len.fetch_sub(dropped, Ordering::Relaxed);
        if !part.unchanged.is_empty()
            && let Some((causation, position, outcome)) = part.unchanged.get(&key)
        {
            return Begun::Unchanged(*causation, *position, outcome.clone());
        }
        match part.known.get_mut(&key) {
            None => {
                self.len.fetch_add(1, Ordering::Relaxed);
                part.known.insert(
                    key,
                    Known::Running {
                        waiting: Vec::new(),
                        noted: None,
                    },
                );
                Begun::Claimed(Claim {
                    recent: Arc::clone(self),
                    key,
                    causation,
                    id_given: true,
                    open: true,
                })
            }
            Some(Known::Running { waiting, .. }) => {
                let (sender, ended) = oneshot::channel();
                waiting.push(sender);
                Begun::Running(ended)
            }
            Some(Known::Decided(seen)) => Begun::Decided(seen.clone()),
        }
    }

    /// Notes a stored command, found while a stream was folded. One in flight asks for it before it is decided a second
    /// time, whatever the index has applied: it may have been asked before that. Else it is remembered where the index
    /// does not have it yet.
    pub(crate) fn note(&self, key: Uuid, seen: Seen, applied: Position) {
        let mut part = self.shard(key).lock();
        match part.known.get_mut(&key) {
            // The first event counts.
            Some(Known::Running { noted, .. }) => {
                noted.get_or_insert(seen);
            }
            Some(Known::Decided(_)) => {}
            None if seen.position <= applied => {}
            None => {
                self.len.fetch_add(1, Ordering::Relaxed);
                part.decided.push_back((seen.position, key));
                part.known.insert(key, Known::Decided(seen));
            }
        }
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    fn shard(&self, key: Uuid) -> &Mutex<Part> {
        let (high, _) = key.as_u64_pair();
        let index = usize::try_from(high >> 60).unwrap_or(0) % SHARDS;
        match self.shards.get(index) {
            Some(shard) => shard,
            None => unreachable!("an index below the number of shards"),
        }
    }

    /// What was found of the command in the log stays known, whatever became of who asked.
    fn end(&self, key: Uuid, decided: Option<Seen>) {
        let waiting = {
            let mut part = self.shard(key).lock();
            let (waiting, noted) = match part.known.remove(&key) {
                Some(Known::Running { waiting, noted }) => (waiting, noted),
                Some(Known::Decided(seen)) => (Vec::new(), Some(seen)),
                None => (Vec::new(), None),
            };
            if let Some(seen) = decided.or(noted) {
                part.decided.push_back((seen.position, key));
                part.known.insert(key, Known::Decided(seen));
            } else {
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
            waiting
        };
        for waiter in waiting {
            // A waiter that went away needs no word.
            let _ = waiter.send(());
        }
    }
}

/// The right to decide one command id. Dropped without a word, the id is as if it had never come.
pub(crate) struct Claim {
    recent: Arc<Recent>,
    key: Uuid,
    causation: Uuid,
    /// Whether the id can come again, by the client who gave it; else nothing is remembered of what wrote nothing.
    pub(crate) id_given: bool,
    open: bool,
}

impl Claim {
    /// What was found of the command in the log after the claim was made.
    pub(crate) fn noted(&self) -> Option<Seen> {
        let part = self.recent.shard(self.key).lock();
        match part.known.get(&self.key) {
            Some(Known::Running { noted, .. }) => noted.clone(),
            Some(Known::Decided(_)) | None => None,
        }
    }

    /// The command's id and content.
    pub(crate) fn ids(&self) -> (Uuid, Uuid) {
        (self.key, self.causation)
    }

    /// The command's events have their place.
    pub(crate) fn decided(mut self, stream: &StreamName, version: u64, position: Position) {
        self.open = false;
        let seen = Seen {
            stream: stream.clone(),
            version,
            position,
            causation: self.causation,
        };
        self.recent.end(self.key, Some(seen));
    }

    /// The command was so already, as everything up to `decided_on` says.
    pub(crate) fn unchanged(self, decided_on: Position, outcome: &Outcome) {
        let mut outcome = outcome.clone();
        outcome.repeated = true;
        self.recent
            .shard(self.key)
            .lock()
            .unchanged
            .put(self.key, (self.causation, decided_on, outcome));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.open {
            self.recent.end(self.key, None);
        }
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    fn seen(version: u64, position: u64) -> Seen {
        Seen {
            stream: StreamName::new("conversation-1").unwrap(),
            version,
            position: Position(position),
            causation: Uuid::nil(),
        }
    }

    fn claimed(recent: &Arc<Recent>, key: Uuid, applied: u64) -> Claim {
        match recent.begin(key, Uuid::nil(), Position(applied)) {
            Begun::Claimed(claim) => claim,
            Begun::Running(_) | Begun::Decided(_) | Begun::Unchanged(..) => panic!("it is known"),
        }
    }

    #[test]
    fn who_is_about_to_decide_learns_what_was_found_whatever_the_index_has_applied() {
        let (recent, key) = (Recent::new(), Uuid::from_u128(7));
        let claim = claimed(&recent, key, 100);
        recent.note(key, seen(3, 110), Position(120));
        recent.note(key, seen(4, 111), Position(120));
        assert_eq!(claim.noted(), Some(seen(3, 110)));
    }

    #[test]
    fn what_was_found_stays_known_until_the_index_has_it_whoever_asked_is_gone() {
        let (recent, key) = (Recent::new(), Uuid::from_u128(7));
        let claim = claimed(&recent, key, 100);
        recent.note(key, seen(3, 110), Position(100));
        drop(claim);
        assert_eq!(recent.len(), 1);
        let again = recent.begin(key, Uuid::nil(), Position(109));
        assert!(matches!(again, Begun::Decided(found) if found == seen(3, 110)));
        // From there on the index says it.
        drop(claimed(&recent, key, 110));
        assert_eq!(recent.len(), 0);
    }

    #[test]
    fn what_the_index_has_is_not_remembered_a_second_time() {
        let (recent, key) = (Recent::new(), Uuid::from_u128(7));
        recent.note(key, seen(3, 110), Position(110));
        assert_eq!(recent.len(), 0);
        recent.note(key, seen(3, 110), Position(109));
        assert_eq!(recent.len(), 1);
    }
}

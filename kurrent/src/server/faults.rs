//! Faults on purpose, for tests of whoever speaks to this server: what a cluster does to its clients sooner or later.
//!
//! Promise: a fault loses an answer, never an event; what is told is true, if late. By hand ([`Faults::lose_answers`] and
//! its like) a test says when; by chance ([`Faults::by_chance`]) a seed does. Positions with gaps are
//! [`Numbering`](super::Numbering)'s. Nothing here is for a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event_store::Position;
use tokio::sync::watch;
use tonic::Status;

use super::numbering::mixed;

/// Of so many answers to appends that come by chance one is lost, and another one late.
const ANSWERS: u64 = 16;
/// Of so many readings one is stale.
const READINGS: u64 = 16;
/// Of so many messages of readings one is the last.
const MESSAGES: u64 = 512;
/// Events that a stale reading does not see, at most.
const STALE_EVENTS_MAX: u64 = 8;
/// How late an answer is, at most.
const LATE_MS_MAX: u64 = 50;

/// How a stream of messages is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As if the node went away.
    Unavailable,
    /// As if all had been told.
    Quiet,
}

/// The faults of a server, turned on and off while it serves.
#[derive(Debug)]
pub struct Faults {
    /// Answers that are still to be lost.
    to_lose: AtomicU64,
    /// Answers that were lost.
    lost: AtomicU64,
    held: watch::Sender<bool>,
    until: watch::Sender<Option<Position>>,
    /// How often all streams were ended, and how the last time.
    ended: watch::Sender<(u64, Ending)>,
    chance: Option<Chance>,
}

#[derive(Debug)]
struct Chance {
    seed: u64,
    drawn: AtomicU64,
}

impl Chance {
    fn draw(&self) -> u64 {
        mixed(
            self.seed
                .wrapping_add(mixed(self.drawn.fetch_add(1, Ordering::Relaxed))),
        )
    }

    /// True once in so many times.
    fn once_in(&self, times: u64) -> bool {
        self.draw().is_multiple_of(times)
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            to_lose: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            held: watch::Sender::new(false),
            until: watch::Sender::new(None),
            ended: watch::Sender::new((0, Ending::Unavailable)),
            chance: None,
        }
    }
}

impl Faults {
    /// None until one is asked for.
    pub fn by_hand() -> Arc<Self> {
        Arc::default()
    }

    /// Each kind now and then: what is drawn follows from a seed, whom it meets from the order in which calls come.
    pub fn by_chance(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            chance: Some(Chance {
                seed,
                drawn: AtomicU64::new(0),
            }),
            ..Self::default()
        })
    }

    /// The next so many appends are carried out, and their calls fail as if the connection had gone.
    pub fn lose_answers(&self, answers: u64) {
        self.to_lose.fetch_add(answers, Ordering::Relaxed);
    }

    /// How many answers were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// From now on appends are carried out, and readings begun, without an answer, until [`Faults::release_answers`].
    pub fn hold_answers(&self) {
        self.held.send_replace(true);
    }

    /// Gives every answer that was held.
    pub fn release_answers(&self) {
        self.held.send_replace(false);
    }

    /// Readings and subscriptions that begin from now on see nothing beyond this position, as on a node that was left
    /// behind; with none they see all again, and subscriptions that were left behind go on.
    pub fn show_until(&self, position: Option<Position>) {
        self.until.send_replace(position);
    }

    /// Ends every reading, subscription and stream of batches that is under way.
    pub fn end_streams(&self, how: Ending) {
        self.ended
            .send_modify(|(times, ending)| (*times, *ending) = (*times + 1, how));
    }

    /// Waits as long as answers are held, and says whether this one is lost.
    pub(super) async fn answer(&self) -> Result<(), Status> {
        self.let_go().await;
        let lost = || {
            self.lost.fetch_add(1, Ordering::Relaxed);
            Err(Status::unavailable("the connection has gone"))
        };
        let taken = self
            .to_lose
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        if taken.is_ok() {
            return lost();
        }
        if let Some(chance) = &self.chance {
            if chance.once_in(ANSWERS) {
                return lost();
            }
            if chance.once_in(ANSWERS) {
                let late = Duration::from_millis(chance.draw() % LATE_MS_MAX);
                tokio::time::sleep(late).await;
            }
        }
        Ok(())
    }

    /// Waits as long as answers are held.
    pub(super) async fn let_go(&self) {
        let mut held = self.held.subscribe();
        // The sender is this very value.
        let _ = held.wait_for(|held| !held).await;
    }

    /// How far a reading may see that begins now; none for all of it. A leader that was asked for is not stale by chance.
    pub(super) fn sees_until(&self, durable: Position, leader: bool) -> Option<Position> {
        let by_hand = *self.until.borrow();
        by_hand.or_else(|| {
            let chance = self.chance.as_ref().filter(|_| !leader)?;
            chance.once_in(READINGS).then(|| {
                let behind = 1 + chance.draw() % STALE_EVENTS_MAX;
                Position(durable.0.saturating_sub(behind))
            })
        })
    }

    /// What tells how far may be seen, as it changes.
    pub(super) fn seen(&self) -> watch::Receiver<Option<Position>> {
        self.until.subscribe()
    }

    /// Whether a message is the last one of its stream by chance.
    pub(super) fn is_last(&self) -> bool {
        let chance = self.chance.as_ref();
        chance.is_some_and(|chance| chance.once_in(MESSAGES))
    }

    /// What tells that all streams are ended.
    pub(super) fn endings(&self) -> watch::Receiver<(u64, Ending)> {
        self.ended.subscribe()
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[tokio::test]
    async fn as_many_answers_are_lost_as_were_asked_for() {
        let faults = Faults::by_hand();
        faults.lose_answers(2);
        let mut lost = 0;
        for _ in 0..5 {
            lost += u64::from(faults.answer().await.is_err());
        }
        assert_eq!((lost, faults.lost()), (2, 2));
    }

    #[test]
    fn a_seed_draws_the_same_each_time_and_each_kind_now_and_then() {
        let drawn = |seed| {
            let faults = Faults::by_chance(seed);
            let draw = |_| {
                let until = faults.sees_until(Position(1_000), false);
                (until, faults.is_last())
            };
            (0..4_096).map(draw).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        assert!(drawn(1).iter().any(|(until, _)| until.is_some()));
        assert!(drawn(1).iter().any(|(until, _)| until.is_none()));
        assert!(drawn(1).iter().any(|(_, last)| *last));
    }
}

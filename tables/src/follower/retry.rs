//! Trying again what a view has set aside: because its code may be another, or since it shall do without an event.

use std::sync::Arc;

use event_store::{EventStore, Position, RecordedEvent, StreamName};
use tokio::runtime::Handle;

use super::{Due, Follower};
use crate::file::Synced;
use crate::letters::{Applying, Conflicts};
use crate::{Codec, Letter, Reconsidered, Retry, Skips, StartError, View, ViewFile};

/// The log, to a thread that may wait for it.
pub(crate) struct Log<'a, C> {
    pub(crate) store: &'a dyn EventStore,
    pub(crate) codec: &'a C,
    pub(crate) runtime: &'a Handle,
}

impl<C: Codec> Log<'_, C> {
    /// What a view shall do without by what is said up to `until`.
    fn skips(&self, view: &dyn View<C>, until: Position) -> Result<Skips, StartError> {
        let of = (view.name(), view.version());
        self.runtime
            .block_on(Skips::read(self.store, self.codec, of, until))
    }

    /// The event of a letter.
    fn event(&self, letter: &Letter) -> Result<RecordedEvent, StartError> {
        let lost = |why: String| StartError::Log(format!("at {}: {why}", letter.position));
        let stream = StreamName::new(&*letter.stream).map_err(|error| lost(error.to_string()))?;
        let read = self.store.read_one(&stream, letter.version);
        let event = self.runtime.block_on(read);
        let event = event.map_err(|error| lost(error.to_string()))?;
        event.ok_or_else(|| lost("the event is not there".to_owned()))
    }
}

impl<C: Codec> Follower<C> {
    /// Whether something that it shall do without could not be tried.
    pub(crate) fn is_undone(&self) -> bool {
        self.due == Due::LookAgain && self.stop.is_none()
    }

    /// Whether it has applied what it shall do without, so that nobody goes back to it.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.due == Due::GiveUp
    }

    fn has_letter(&self, stream: &str, version: u64) -> bool {
        let letters = self.file.as_ref().map(|file| file.letters().now());
        letters.is_some_and(|letters| {
            let mut letters = letters.values();
            letters.any(|letter| *letter.stream == *stream && letter.version == version)
        })
    }

    pub(crate) fn has_letters(&self) -> bool {
        let letters = self.file.as_ref().map(ViewFile::letters);
        letters.is_some_and(|letters| !letters.is_empty())
    }

    /// Tries what was set aside again. It does without what the log says up to where its rows stand, so that they are what
    /// any fold of so much of the log gives; only where it stopped before an event, by what is said beyond too. Committed
    /// durably with what is applied.
    pub(crate) fn reconsider(
        &mut self,
        retry: Retry,
        log: &Log<'_, C>,
    ) -> Result<Reconsidered, StartError> {
        let until = if self.is_stopped() {
            log.store.durable_position()
        } else {
            self.applied
        };
        self.skips = Arc::new(log.skips(&*self.view, until)?);
        self.due = Due::Nothing;
        let outcome = self.try_letters(retry, log)?;
        if outcome != Reconsidered::default() {
            self.commit(Synced::Yes);
        }
        Ok(outcome)
    }

    /// The same by an event that is applied just now, whose rows are committed with it.
    pub(super) fn do_without(
        &mut self,
        event: &RecordedEvent,
        log: &Log<'_, C>,
    ) -> Result<(), StartError> {
        let version = self.view.version();
        let skipped = log.codec.skipped(event);
        if self.is_previous
            && let Some(skipped) = &skipped
            && skipped.view_version == version
            && !self.has_letter(&skipped.stream, skipped.version)
        {
            // Its rows have the event, which no fold of the log gives any more.
            self.due = Due::GiveUp;
        }
        Arc::make_mut(&mut self.skips).add(skipped, event.position(), version);
        let tried = self.try_letters(Retry::No, log);
        if tried.is_err() && self.due == Due::Nothing {
            self.due = Due::LookAgain;
        }
        tried.map(drop)
    }

    /// In the log's order: what waits for nothing any more, what shall be passed over, and of what failed that which is
    /// asked for.
    fn try_letters(&mut self, retry: Retry, log: &Log<'_, C>) -> Result<Reconsidered, StartError> {
        let mut outcome = Reconsidered::default();
        let Some(file) = self.file.as_mut() else {
            return Ok(outcome);
        };
        let (below, letters) = file.parts();
        let nothing_below = below.is_void()?;
        let mut applying = Applying {
            view: &*self.view,
            skips: &self.skips,
            overlay: &mut self.overlay,
            below: (!nothing_below).then_some(below),
            letters,
        };
        let mut left = Conflicts::default();
        let mut failure = None;
        for letter in applying.letters.now().values() {
            let waits = left.with(&letter.keys);
            let skipped = self.skips.has(&letter.stream, letter.version);
            let asked = match retry {
                Retry::No => false,
                Retry::One(position) => position == letter.position,
                Retry::All => true,
            };
            let gone = if waits || !(skipped || asked || letter.cause.is_none()) {
                false
            } else if skipped {
                applying.letters.remove(letter.position);
                outcome.skipped += 1;
                true
            } else {
                let again = log
                    .event(letter)
                    .and_then(|event| Ok(applying.again(&event, &log.codec.decode(&event))?));
                match again {
                    Ok(true) => outcome.applied += 1,
                    Ok(false) => outcome.failed += 1,
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
                matches!(again, Ok(true))
            };
            if !gone {
                left.add(&letter.keys);
            }
        }
        if let Some(StartError::Table(error)) = &failure {
            self.fail(self.applied, error);
        }
        failure.map_or(Ok(outcome), Err)
    }

    /// Lets a view that stopped before an event try it again, behind the log as it is by now; whether it does, and needs the
    /// log from where it stands.
    pub(crate) fn resume(&mut self) -> bool {
        let stopped = self.stop.take_if(|stop| stop.retry_at.is_none());
        if stopped.is_some() {
            self.caught_up = false;
            self.publish();
        }
        stopped.is_some()
    }

    /// What its file fails by, if that is so.
    pub(crate) fn failing(&self) -> Option<String> {
        let stop = self.stop.as_ref().filter(|stop| stop.retry_at.is_some());
        stop.map(|stop| stop.cause.clone())
    }

    /// Whether the log says beyond where the view stands that it shall do without what it has set aside or stops before; it
    /// is done then.
    pub(super) fn may_go_on(&mut self, log: &Log<'_, C>) -> bool {
        let said = match log.skips(&*self.view, log.store.durable_position()) {
            Ok(said) => Arc::new(said),
            Err(error) => {
                tracing::warn!(view = self.shared.name, %error, "what it shall do without is not known");
                return false;
            }
        };
        if *said == *self.skips {
            return false;
        }
        self.skips = said;
        if let Err(error) = self.try_letters(Retry::No, log) {
            tracing::warn!(view = self.shared.name, %error, "what was set aside is not tried again");
            return false;
        }
        true
    }
}

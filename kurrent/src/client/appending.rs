//! Appending: events at an exact version of their stream, taken whole by the cluster or not at all.
//!
//! Promise: a given ticket names what the cluster has acknowledged; a repetition of the same events at the same version
//! gives what the first one gave; what has another outcome says whether it is known. Nothing here depends on the cluster
//! recognising a repetition, nor on its not doing so: where it answers that the stream is elsewhere, the events that stand
//! there are read and their ids compared, and where it acknowledges, what stands there is compared in full.
//!
//! The versions of streams that were only read are not checked: the cluster checks the written one alone.

use std::sync::atomic::{AtomicU32, Ordering};

use event_store::{
    Append, AppendError, Direction, ExpectedVersion, Position, ReadError, RecordedEvent,
    StreamFrom, Ticket,
};
use eventstore::{AppendToStreamOptions, EventData, StreamState, WriteResult};
use tokio::time::timeout;

use super::event;
use super::link::Failure;
use super::store::{Inner, TOLD_SOON};

/// The code of gRPC for what cannot be taken as it is.
const INVALID_ARGUMENT: i32 = 3;

impl Inner {
    /// Appends, with the times at which another log recorded the events, if one did.
    pub(super) async fn append(
        &self,
        append: Append,
        recorded_at_ms: Option<&[i64]>,
    ) -> Result<Ticket, AppendError> {
        append.check_bounds()?;
        if self.tail.has_ended() {
            return Err(AppendError::Closed);
        }
        if !self.streams.has(append.stream.as_str()) {
            let what = "the stream is none of those that the log has in this store";
            return Err(AppendError::Unfit { what });
        }
        let proposed = append.events.iter().enumerate().map(|(number, event)| {
            let told = recorded_at_ms.and_then(|told| told.get(number)).copied();
            event::proposed(event, told)
        });
        let proposed = proposed.collect::<Result<Vec<EventData>, _>>()?;
        if self.known_beyond(&append.stream, append.expected) {
            return self.compared(&append, false).await;
        }
        let state = match append.expected {
            ExpectedVersion::NoStream => StreamState::NoStream,
            ExpectedVersion::Exact(version) => StreamState::StreamRevision(version),
        };
        let options = AppendToStreamOptions::default()
            .stream_state(state)
            .requires_leader(true);
        let tries = AtomicU32::new(0);
        let written = self.link.call(|client| {
            tries.fetch_add(1, Ordering::Relaxed);
            let name = append.stream.to_string();
            let (options, proposed) = (options.clone(), proposed.clone());
            async move { client.append_to_stream(name, &options, proposed).await }
        });
        match written.await {
            Ok(written) => {
                let once = tries.into_inner() == 1;
                self.placed(&append, &written, once).await
            }
            Err(Failure::Refused(eventstore::Error::WrongExpectedVersion { current, .. })) => {
                if let eventstore::CurrentRevision::Current(version) = current {
                    self.tail.note(&append.stream, version);
                }
                let begun = tries.into_inner() > 1;
                self.compared(&append, begun).await
            }
            Err(Failure::Closed) => Err(AppendError::Closed),
            Err(Failure::Away { why, begun: true }) => Err(AppendError::Unanswered { why }),
            Err(Failure::Away { why, begun: false }) => Err(AppendError::Unavailable { why }),
            // An earlier try may have been carried out.
            Err(failure @ Failure::Refused(_)) if tries.into_inner() > 1 => {
                let why = failure.to_string();
                Err(AppendError::Unanswered { why })
            }
            Err(Failure::Refused(eventstore::Error::Grpc { code, message }))
                if i32::from(code) == INVALID_ARGUMENT =>
            {
                tracing::warn!(message, "the store refuses an append");
                let what = "what the store refuses as it is";
                Err(AppendError::Unfit { what })
            }
            Err(failure @ Failure::Refused(_)) => Err(AppendError::Unavailable {
                why: failure.to_string(),
            }),
        }
    }

    /// Where acknowledged events are. What is acknowledged is that events of these ids stand there: the cluster may have
    /// recognised them, and have those of somebody else who decided the same otherwise.
    async fn placed(
        &self,
        append: &Append,
        written: &WriteResult,
        once: bool,
    ) -> Result<Ticket, AppendError> {
        let first = append.expected.next();
        let versions = (first, last_of(append));
        self.tail.note(&append.stream, versions.1);
        let unanswered = |why: String| AppendError::Unanswered { why };
        // One answer names one position.
        let alone = matches!(append.events[..], [_])
            && once
            && written.next_expected_version == versions.1
            && written.position.commit > 0;
        let position = Position(written.position.commit);
        let told = if alone {
            self.told_at(position).await
        } else {
            None
        };
        let stored = if let Some(event) = told {
            vec![event]
        } else {
            match self.standing(append).await {
                Ok(stored) => stored,
                // It is there, and whose it is can be read later.
                Err(_) if alone => {
                    self.tail.raise(position);
                    return Ok(ticket(versions, (position, position), true));
                }
                Err(error) => return Err(unanswered(error.to_string())),
            }
        };
        match places(append, &stored) {
            Some(positions) => {
                self.tail.raise(positions.1);
                let others = !says_the_same(append, &stored);
                Ok(ticket(versions, positions, others))
            }
            None => Err(unanswered(
                "it acknowledged events that it does not have".to_owned(),
            )),
        }
    }

    /// The event at a position that was just acknowledged, as the subscription tells it; none where that takes too long.
    async fn told_at(&self, position: Position) -> Option<RecordedEvent> {
        let before = Position(position.0.checked_sub(1)?);
        let told = timeout(TOLD_SOON, self.tail.comes_after(before)).await;
        told.ok()?;
        let events = self.tail.read(before, 1, usize::MAX)?;
        let event = events.into_iter().next();
        event.filter(|event| event.position() == position)
    }

    /// The stream is beyond what was expected: the same events stand there, or others. Where this very call may have brought
    /// it there, and that cannot be read, the outcome is unknown.
    async fn compared(&self, append: &Append, begun: bool) -> Result<Ticket, AppendError> {
        let unread = |error: ReadError| match error {
            ReadError::Unavailable { why } if begun => AppendError::Unanswered { why },
            ReadError::Unavailable { why } => AppendError::Unavailable { why },
            ReadError::Closed => AppendError::Closed,
            error @ (ReadError::Damaged { .. }
            | ReadError::Io { .. }
            | ReadError::Foreign { .. }) => AppendError::Read(error),
        };
        let stored = self.standing(append).await.map_err(unread)?;
        if let Some(positions) = places(append, &stored) {
            self.tail.raise(positions.1);
            let versions = (append.expected.next(), last_of(append));
            return Ok(ticket(versions, positions, true));
        }
        let head = self.head(&append.stream).await.map_err(unread)?;
        Err(AppendError::WrongVersion {
            stream: append.stream.clone(),
            expected: append.expected,
            actual: head.map(|head| head.version),
            position: head.map_or(Position::START, |head| head.position),
        })
    }

    /// What stands where the events were to stand.
    async fn standing(&self, append: &Append) -> Result<Vec<RecordedEvent>, ReadError> {
        let from = StreamFrom::Version(append.expected.next());
        let count = append.events.len();
        self.stream(&append.stream, from, Direction::Forward, count)
            .await
    }
}

/// The version of the last event.
fn last_of(append: &Append) -> u64 {
    let more = append.events.len().saturating_sub(1);
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    append.expected.next().saturating_add(more)
}

/// Where the first and the last event are, if these are they.
fn places(append: &Append, stored: &[RecordedEvent]) -> Option<(Position, Position)> {
    let ids = append.events.iter().map(|event| event.event_id);
    let same = stored.iter().map(RecordedEvent::event_id).eq(ids);
    let (first, last) = (stored.first()?, stored.last()?);
    same.then(|| (first.position(), last.position()))
}

/// Whether the events that stand there are these, and not only have their ids.
fn says_the_same(append: &Append, stored: &[RecordedEvent]) -> bool {
    let proposed = append.events.iter();
    proposed.zip(stored).all(|(proposed, stored)| {
        stored.event_type() == proposed.event_type
            && stored.at_ms() == proposed.at_ms
            && stored.data() == &proposed.data[..]
    })
}

/// A ticket of what is durable already.
fn ticket(versions: (u64, u64), positions: (Position, Position), repeated: bool) -> Ticket {
    let last = positions.1;
    Ticket::new(
        versions,
        positions,
        repeated,
        Box::pin(async move { Ok(last) }),
    )
}

//! Readings of the cluster: streams and the whole log, both ways, page by page.
//!
//! Promise: versions of a stream come without a gap, positions in order; what shows less than is known already comes from a
//! node that lags, is not believed, and is asked for again. An event that is none of ours ends a reading before it, and one
//! that begins with it fails.

use std::time::Duration;

use event_store::{Direction, Position, ReadError, RecordedEvent, StreamFrom, StreamName};
use eventstore::{Error, ReadAllOptions, ReadStreamOptions, ResolvedEvent, StreamPosition};
use tokio::time::{Instant, sleep};

use super::event;
use super::link::{Failure, PATIENCE};
use super::store::Inner;

/// Events of a stream read by one call at most.
const STREAM_PAGE_EVENTS: usize = 512;
/// Events of the log read by one call at most.
const LOG_PAGE_EVENTS: usize = 4_096;
/// Between two tries at a node that lags.
pub const LAG_PAUSE: Duration = Duration::from_millis(10);

/// The code of gRPC by which KurrentDB refuses to read at a position that nothing was told to be at: `INVALID_ARGUMENT`.
const NO_PLACE: i32 = 3;

/// Why a page was not read.
enum NoPage {
    /// Nothing is at the position.
    NoPlace,
    Read(ReadError),
}

/// What one call on the whole log gave.
struct Page {
    events: Vec<RecordedEvent>,
    /// How far it came.
    last: Option<Position>,
    /// It gave as many as it was asked for.
    full: bool,
    /// What ended it early.
    foreign: Option<ReadError>,
}

impl Inner {
    /// At most `max` events of a stream, from a version on or back.
    pub(super) async fn stream(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        // What lies at the other end is one event.
        match (from, direction) {
            (StreamFrom::Start, Direction::Backward) => {
                let one = max.min(1);
                return Box::pin(self.stream(stream, from, Direction::Forward, one)).await;
            }
            (StreamFrom::End, Direction::Forward) => {
                let one = max.min(1);
                return Box::pin(self.stream(stream, from, Direction::Backward, one)).await;
            }
            (StreamFrom::Start | StreamFrom::Version(_), Direction::Forward)
            | (StreamFrom::End | StreamFrom::Version(_), Direction::Backward) => {}
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let known = self.tail.known(stream);
            let events = self.stream_once(stream, from, direction, max).await?;
            if shows(&events, from, direction, max, known) {
                if let Some(event) = events.iter().max_by_key(|event| event.version()) {
                    self.tail.note(stream, event.version());
                    self.tail.raise(event.position());
                }
                return Ok(events);
            }
            self.lags(until).await?;
        }
    }

    async fn stream_once(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let mut events: Vec<RecordedEvent> = Vec::new();
        let mut at = from;
        while events.len() < max {
            let wanted = (max - events.len()).min(STREAM_PAGE_EVENTS);
            let told = self.stream_page(stream, at, direction, wanted).await?;
            let full = told.len() >= wanted;
            let mut page = told
                .iter()
                .map(event::recorded)
                .collect::<Result<Vec<_>, _>>()?;
            // A server may stop short where nothing is at the version asked for itself.
            if page.is_empty()
                && events.is_empty()
                && direction == Direction::Backward
                && matches!(at, StreamFrom::Version(_))
            {
                let wanted = wanted.max(1);
                let end = StreamFrom::End;
                let told = self.stream_page(stream, end, direction, wanted).await?;
                page = told
                    .iter()
                    .map(event::recorded)
                    .collect::<Result<Vec<_>, _>>()?;
                if let StreamFrom::Version(version) = at {
                    page.retain(|event| event.version() <= version);
                }
            }
            unbroken(stream, events.last(), at, direction, &page)?;
            events.append(&mut page);
            let next = events.last().and_then(|last| match direction {
                Direction::Forward => last.version().checked_add(1),
                Direction::Backward => last.version().checked_sub(1),
            });
            match next {
                Some(version) if full => at = StreamFrom::Version(version),
                Some(_) | None => break,
            }
        }
        Ok(events)
    }

    async fn stream_page(
        &self,
        stream: &StreamName,
        from: StreamFrom,
        direction: Direction,
        wanted: usize,
    ) -> Result<Vec<ResolvedEvent>, ReadError> {
        let position = match from {
            StreamFrom::Start => StreamPosition::Start,
            StreamFrom::End => StreamPosition::End,
            // Versions are signed there.
            StreamFrom::Version(version) if i64::try_from(version).is_err() => match direction {
                Direction::Forward => return Ok(Vec::new()),
                Direction::Backward => StreamPosition::End,
            },
            StreamFrom::Version(version) => StreamPosition::Position(version),
        };
        let options = ReadStreamOptions::default()
            .position(position)
            .max_count(wanted)
            .requires_leader(true);
        let options = match direction {
            Direction::Forward => options.forwards(),
            Direction::Backward => options.backwards(),
        };
        let asked = self.link.call(|client| {
            let (name, options) = (stream.to_string(), options.clone());
            async move {
                let mut reading = client.read_stream(name, &options).await?;
                let mut told = Vec::new();
                while let Some(event) = reading.next().await? {
                    told.push(event);
                }
                Ok(told)
            }
        });
        match asked.await {
            Ok(told) => Ok(told),
            Err(Failure::Refused(Error::ResourceNotFound)) => Ok(Vec::new()),
            Err(Failure::Refused(Error::ResourceDeleted)) => Err(ReadError::Foreign {
                place: format!("stream {stream}"),
                what: "it was deleted in KurrentDB; a log of Doorstep's is whole: restore a backup"
                    .to_owned(),
            }),
            Err(failure) => Err(Self::unread(&failure)),
        }
    }

    /// Events of the whole log after a position that an event has, or from the beginning.
    pub(super) async fn log(
        &self,
        after: Position,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let until = Instant::now() + PATIENCE;
        let wanted = max_events.clamp(1, LOG_PAGE_EVENTS);
        let mut from = after;
        loop {
            let (at, more) = match from {
                Position::START => (StreamPosition::Start, 0),
                // The one there itself comes first, and is known.
                at => (there(at), 1),
            };
            let page = self
                .log_page(at, Direction::Forward, wanted + more, max_bytes)
                .await
                .map_err(|error| error.at(from))?;
            let mut events = page.events;
            events.retain(|event| event.position() > after);
            events.truncate(wanted);
            within(&mut events, max_bytes);
            if let Some(last) = events.last() {
                self.tail.raise(last.position());
                return Ok(events);
            }
            if let Some(error) = page.foreign {
                return Err(error);
            }
            match page.last {
                // All of it was left out here.
                Some(last) if page.full && last > from => from = last,
                Some(_) | None if after >= self.tail.durable() => return Ok(Vec::new()),
                Some(_) | None => self.lags(until).await?,
            }
        }
    }

    /// At most `max` events of the whole log before a position, the last first.
    pub(super) async fn log_backward(
        &self,
        before: Position,
        max: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let until = Instant::now() + PATIENCE;
        let durable = self.tail.durable();
        let mut events = Vec::new();
        if max == 0 || before == Position::START {
            return Ok(events);
        }
        let from_end = before > durable;
        let mut at = if from_end {
            StreamPosition::End
        } else {
            there(before)
        };
        let mut least = 1;
        loop {
            let wanted = (max - events.len()).clamp(least, LOG_PAGE_EVENTS);
            let page = self.log_page(at, Direction::Backward, wanted, usize::MAX);
            let page = match page.await {
                // Between two events: those beyond it are read over.
                Err(NoPage::NoPlace) if at == there(before) => {
                    at = StreamPosition::End;
                    least = STREAM_PAGE_EVENTS;
                    continue;
                }
                page => page.map_err(|error| error.at(before))?,
            };
            if let Some(error) = page.foreign {
                return Err(error);
            }
            if from_end && at == StreamPosition::End {
                if page.last.is_none() && durable > Position::START
                    || page
                        .events
                        .first()
                        .is_some_and(|event| event.position() < durable)
                {
                    self.lags(until).await?;
                    continue;
                }
                if let Some(first) = page.events.first() {
                    self.tail.raise(first.position());
                }
            }
            let fitting = page
                .events
                .into_iter()
                .filter(|event| event.position() < before);
            events.extend(fitting);
            match page.last {
                Some(last) if page.full && events.len() < max => at = there(last),
                Some(_) | None => {
                    events.truncate(max);
                    return Ok(events);
                }
            }
        }
    }

    /// The event at a position.
    pub(super) async fn log_at(
        &self,
        position: Position,
    ) -> Result<Option<RecordedEvent>, ReadError> {
        if position == Position::START || position > self.tail.durable() {
            return Ok(None);
        }
        if let Some(event) = self.tail.at(position).filter(|_| !self.tail.has_ended()) {
            return Ok(Some(event));
        }
        let page = self
            .log_page(there(position), Direction::Forward, 1, usize::MAX)
            .await;
        let page = match page {
            Err(NoPage::NoPlace) => return Ok(None),
            Err(NoPage::Read(error)) => return Err(error),
            Ok(page) => page,
        };
        if let Some(error) = page.foreign {
            return Err(error);
        }
        let mut events = page.events.into_iter();
        Ok(events.find(|event| event.position() == position))
    }

    async fn log_page(
        &self,
        at: StreamPosition<eventstore::Position>,
        direction: Direction,
        wanted: usize,
        max_bytes: usize,
    ) -> Result<Page, NoPage> {
        let options = ReadAllOptions::default()
            .position(at)
            .filter(self.streams.filter())
            .max_count(wanted)
            .requires_leader(true);
        let options = match direction {
            Direction::Forward => options.forwards(),
            Direction::Backward => options.backwards(),
        };
        let asked = self.link.call(|client| {
            let options = options.clone();
            async move {
                let mut reading = client.read_all(&options).await?;
                let (mut told, mut bytes) = (Vec::new(), 0_usize);
                while let Some(event) = reading.next().await? {
                    bytes = bytes.saturating_add(event.get_original_event().data.len());
                    told.push(event);
                    // The first may be the one that is known; a page has one more than that.
                    if bytes >= max_bytes && told.len() > 1 {
                        return Ok((told, true));
                    }
                }
                let full = told.len() >= wanted;
                Ok((told, full))
            }
        });
        let (told, full) = asked.await.map_err(|failure| match failure {
            Failure::Refused(Error::Grpc { code, .. }) if i32::from(code) == NO_PLACE => {
                NoPage::NoPlace
            }
            failure @ (Failure::Refused(_) | Failure::Away { .. } | Failure::Closed) => {
                NoPage::Read(Self::unread(&failure))
            }
        })?;
        let mut page = Page {
            events: Vec::with_capacity(told.len()),
            last: told.last().map(event::position),
            full,
            foreign: None,
        };
        for told in &told {
            if !self.streams.has(event::stream(told)) {
                continue;
            }
            match event::recorded(told) {
                Ok(event) => page.events.push(event),
                Err(error) => {
                    page.foreign = Some(error);
                    break;
                }
            }
        }
        Ok(page)
    }

    /// Waits a little for a node that lags; gives up in time.
    async fn lags(&self, until: Instant) -> Result<(), ReadError> {
        if self.link.is_closed() {
            return Err(ReadError::Closed);
        }
        if Instant::now() >= until {
            let why =
                "what answers lags behind what was already there; is it the cluster's leader?";
            return Err(ReadError::Unavailable {
                why: why.to_owned(),
            });
        }
        sleep(LAG_PAUSE).await;
        Ok(())
    }

    pub(super) fn unread(failure: &Failure) -> ReadError {
        match failure {
            Failure::Closed => ReadError::Closed,
            Failure::Away { why, .. } => ReadError::Unavailable { why: why.clone() },
            Failure::Refused(_) => ReadError::Unavailable {
                why: failure.to_string(),
            },
        }
    }
}

impl NoPage {
    /// Of a reading that began at this position.
    fn at(self, position: Position) -> ReadError {
        match self {
            Self::Read(error) => error,
            Self::NoPlace => ReadError::Foreign {
                place: format!("position {position}"),
                what: "no event of the log is there; positions are given back as they were told, and have gaps".to_owned(),
            },
        }
    }
}

/// A position as the protocol has it.
pub(super) fn there(position: Position) -> StreamPosition<eventstore::Position> {
    StreamPosition::Position(eventstore::Position {
        commit: position.0,
        prepare: position.0,
    })
}

/// Leaves as many events as have so many bytes, and one in any case.
fn within(events: &mut Vec<RecordedEvent>, max_bytes: usize) {
    let mut bytes = 0_usize;
    let fitting = events.iter().take_while(|event| {
        bytes = bytes.saturating_add(event.bytes().len());
        bytes <= max_bytes
    });
    let fitting = fitting.count().max(1);
    events.truncate(fitting);
}

/// Whether a reading shows all that is known of the stream.
fn shows(
    events: &[RecordedEvent],
    from: StreamFrom,
    direction: Direction,
    max: usize,
    known: Option<u64>,
) -> bool {
    let Some(known) = known else { return true };
    if max == 0 {
        return true;
    }
    match direction {
        Direction::Forward => {
            let first = match from {
                StreamFrom::Version(version) => version,
                StreamFrom::Start | StreamFrom::End => 0,
            };
            let last = events.last().map(RecordedEvent::version);
            events.len() >= max || first > known || last.is_some_and(|last| last >= known)
        }
        Direction::Backward => {
            let wanted = match from {
                StreamFrom::Version(version) => version.min(known),
                StreamFrom::Start | StreamFrom::End => known,
            };
            events
                .first()
                .is_some_and(|first| first.version() >= wanted)
        }
    }
}

/// Whether a page goes on where the one before ended: a stream of ours has no gaps.
fn unbroken(
    stream: &StreamName,
    before: Option<&RecordedEvent>,
    at: StreamFrom,
    direction: Direction,
    page: &[RecordedEvent],
) -> Result<(), ReadError> {
    let mut next = match (before, at, direction) {
        (Some(before), _, Direction::Forward) => Some(before.version().saturating_add(1)),
        (Some(before), _, Direction::Backward) => before.version().checked_sub(1),
        (None, StreamFrom::Start, Direction::Forward) => Some(0),
        (None, StreamFrom::Version(version), Direction::Forward) => Some(version),
        (None, StreamFrom::Start | StreamFrom::End | StreamFrom::Version(_), _) => None,
    };
    for event in page {
        if next.is_some_and(|next| next != event.version()) {
            return Err(ReadError::Foreign {
                place: format!("stream {stream} before version {}", event.version()),
                what: "events are missing: the stream was truncated in KurrentDB ($maxAge, $maxCount, $tb or a deletion); take that setting away, and restore a backup if the events were scavenged".to_owned(),
            });
        }
        next = match direction {
            Direction::Forward => event.version().checked_add(1),
            Direction::Backward => event.version().checked_sub(1),
        };
    }
    Ok(())
}

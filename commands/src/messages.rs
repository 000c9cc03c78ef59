//! What the log says of a message named by its number.
//!
//! A message is found by bisection over the versions of its conversation: each event's header holds the number of the
//! last message then. What was done with it since (unsent, reported) is in the write side's view up to its checkpoint,
//! and in the stream's events after it. Everything read here is durable: the caller has waited for the state it decides
//! on.

use domain::codec;
use domain::conversation::{Event as ConversationEvent, MessageFacts, Reported};
use domain::event::Event;
use domain::ids::{ConversationId, MemberId};
use domain::time::Timestamp;
use event_store::{
    Direction, EventStore, Position, ReadError, RecordedEvent, StreamFrom, StreamName,
};
use rustc_hash::FxHashMap;
use tables::{TableError, ViewHandle, WaitError};

use crate::CommandError;
use crate::aggregate::stream_name;
use crate::index::{self, MessageMarks};
use crate::job::Job;
use crate::shared::Shared;

/// Events read at once of what the view has not applied.
const TAIL_PAGE_EVENTS: usize = 256;

/// Why a message could not be looked up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookUpError {
    /// The stream cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The view cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The view is not there.
    #[error(transparent)]
    View(#[from] WaitError),
    /// An event does not decode.
    #[error(transparent)]
    Decode(#[from] codec::DecodeError),
}

/// Looks the named messages up: in the job's own stream up to `head`, or in the conversation of its case.
pub(crate) async fn put_into(
    shared: &Shared,
    job: &mut Job,
    head: Option<u64>,
    of_case: Option<ConversationId>,
) -> Result<(), CommandError> {
    let Some((numbers, asking)) = job.task.messages_named() else {
        return Ok(());
    };
    let (stream, head) = match of_case {
        Some(conversation) => {
            let stream = stream_name(domain::conversation::stream(conversation));
            let head = head_of(&*shared.store, &stream).await?;
            (stream, head)
        }
        None => (job.stream.clone(), head),
    };
    let found = look_up(
        &*shared.store,
        &shared.view,
        &stream,
        head,
        &numbers,
        asking,
    )
    .await?;
    job.task.put_messages(found);
    Ok(())
}

/// What is known of the messages with these numbers, for `asking`, in a conversation up to the version `head`.
pub(crate) async fn look_up(
    store: &dyn EventStore,
    view: &ViewHandle,
    stream: &StreamName,
    head: Option<u64>,
    numbers: &[u64],
    asking: &MemberId,
) -> Result<Vec<Option<MessageFacts>>, LookUpError> {
    let reader = view.reader()?;
    let applied = index::applied(&reader);
    let tail = marks_after(store, stream, applied, head).await?;
    let mut found = Vec::with_capacity(numbers.len());
    for &number in numbers {
        let Some(record) = find(store, stream, head, number).await? else {
            found.push(None);
            continue;
        };
        let mut marks = index::message_marks(&reader, stream, number)?;
        if let Some(later) = tail.get(&number) {
            marks.unsent = marks.unsent.or(later.unsent);
            marks.reported = marks.reported.or(later.reported);
        }
        // What came after the version asked for was not known then.
        let known = |version: u64| head.is_some_and(|head| version <= head);
        marks.unsent = marks.unsent.filter(|version| known(*version));
        marks.reported = marks.reported.filter(|(_, version)| known(*version));
        if let Some(unsent) = marks.unsent {
            marks.unsent = Some(last_of_unsending(store, stream, head, unsent).await?);
        }
        found.push(facts(&record, marks, asking)?);
    }
    Ok(found)
}

/// The last version of a stream; none where it has no event.
async fn head_of(store: &dyn EventStore, stream: &StreamName) -> Result<Option<u64>, ReadError> {
    let last = store
        .read_stream(stream, StreamFrom::End, Direction::Backward, 1)
        .await?;
    Ok(last.first().map(RecordedEvent::version))
}

/// The last version of what unsent a message: where that withdrew the request it follows at once. Taking a message back
/// twice gives the same position twice, lest its author learn that the message had been waiting.
async fn last_of_unsending(
    store: &dyn EventStore,
    stream: &StreamName,
    head: Option<u64>,
    unsent: u64,
) -> Result<u64, ReadError> {
    let next = unsent.saturating_add(1);
    if head.is_none_or(|head| next > head) {
        return Ok(unsent);
    }
    let record = store.read_one(stream, next).await?;
    let withdrawn =
        record.is_some_and(|record| codec::name(record.event_type()) == "request-withdrawn");
    Ok(if withdrawn { next } else { unsent })
}

fn facts(
    record: &RecordedEvent,
    marks: MessageMarks,
    asking: &MemberId,
) -> Result<Option<MessageFacts>, codec::DecodeError> {
    let (from, text, withheld) = match codec::decode(record.event_type(), record.data())? {
        Event::Conversation(ConversationEvent::MessageSent(sent)) => (sent.from, sent.text, false),
        Event::Conversation(ConversationEvent::MessageWithheld(withheld)) => {
            (withheld.from, withheld.text, true)
        }
        Event::Conversation(_)
        | Event::Member(_)
        | Event::Case(_)
        | Event::Policy(_)
        | Event::Reactor(_)
        | Event::Act(_)
        | Event::Refused(_)
        | Event::Unchanged(_) => return Ok(None),
    };
    // A message is reported by the member it was written to, and by nobody else.
    let reported = marks
        .reported
        .filter(|_| from != *asking)
        .map(|(report_id, version)| Reported { report_id, version });
    Ok(Some(MessageFacts {
        from,
        sent_at: Timestamp(record.at_ms()),
        text: text.into_cow().into_owned(),
        withheld,
        unsent: marks.unsent,
        reported,
    }))
}

/// The event that wrote message `number`: the first whose header says that so many are there. Message *n* cannot stand
/// before version *n* - 1.
pub(crate) async fn find(
    store: &dyn EventStore,
    stream: &StreamName,
    head: Option<u64>,
    number: u64,
) -> Result<Option<RecordedEvent>, ReadError> {
    let Some(head) = head else { return Ok(None) };
    if number == 0 || number - 1 > head {
        return Ok(None);
    }
    let (mut low, mut high) = (number - 1, head);
    let mut found = None;
    while low <= high {
        let middle = low + (high - low) / 2;
        let Some(record) = store.read_one(stream, middle).await? else {
            return Ok(None);
        };
        if record.last_number().unwrap_or(0) >= number {
            found = Some(record);
            if middle == low {
                break;
            }
            high = middle - 1;
        } else {
            low = middle + 1;
        }
    }
    // Where the last number passes over it there is no such message.
    Ok(found.filter(|record| record.last_number() == Some(number)))
}

/// What was done with messages by the stream's events after a position, up to a version.
async fn marks_after(
    store: &dyn EventStore,
    stream: &StreamName,
    after: Position,
    head: Option<u64>,
) -> Result<FxHashMap<u64, MessageMarks>, LookUpError> {
    let mut marks: FxHashMap<u64, MessageMarks> = FxHashMap::default();
    let mut from = head.map_or(StreamFrom::End, StreamFrom::Version);
    loop {
        let page = store
            .read_stream(stream, from, Direction::Backward, TAIL_PAGE_EVENTS)
            .await?;
        for record in &page {
            if record.position() <= after {
                return Ok(marks);
            }
            if !matches!(
                codec::name(record.event_type()),
                "message-unsent" | "messages-reported"
            ) {
                continue;
            }
            match codec::decode(record.event_type(), record.data())? {
                Event::Conversation(ConversationEvent::MessageUnsent(unsent)) => {
                    marks.entry(unsent.number).or_default().unsent = Some(record.version());
                }
                Event::Conversation(ConversationEvent::MessagesReported(reported)) => {
                    for message in &reported.messages {
                        marks.entry(message.number).or_default().reported =
                            Some((reported.report_id, record.version()));
                    }
                }
                Event::Conversation(_)
                | Event::Member(_)
                | Event::Case(_)
                | Event::Policy(_)
                | Event::Reactor(_)
                | Event::Act(_)
                | Event::Refused(_)
                | Event::Unchanged(_) => {}
            }
        }
        match page.last().map(RecordedEvent::version) {
            Some(version) if version > 0 && page.len() == TAIL_PAGE_EVENTS => {
                from = StreamFrom::Version(version - 1);
            }
            _ => return Ok(marks),
        }
    }
}
